/* storeorder.c - see storeorder.h. */
#include "sim/store/storeorder.h"

#include "base/ck.h"
#include "engine/fname.h"
#include "env/note.h"
#include "sim/store/store_int.h"

#include <stdio.h>
#include <string.h>

#define PATH_MAX_HERE 64

/* A record that is in a log, by the sequence of its last change. */
struct known_record {
    uint64_t log;
    uint64_t end;
    uint64_t start; /* of the process that wrote it */
};

static void broken(struct store *s, const char *rule, const char *name)
{
    world_fail(&s->world, "ORDER", "%s: %s", name, rule);
}

/* ---- logs ---- */

static size_t record_count(const struct storeorder *o)
{
    return o->records.size / sizeof(struct known_record);
}

/* The sequence of the last change in the log; 0: nothing is known to be in it. */
static uint64_t log_last(const struct storeorder *o, uint64_t number)
{
    const struct known_record *r = (const void *)o->records.data;
    uint64_t last = 0;
    for (size_t i = 0; i < record_count(o); i++) {
        last = r[i].log == number && r[i].end > last ? r[i].end : last;
    }
    return last;
}

static void log_grew(struct storeorder *o, uint64_t number, uint64_t end)
{
    struct known_record r = {number, end, o->starts};
    enum status st = buf_append(&o->records, &r, sizeof r);
    CK(st == ST_OK);
}

/* Drops what `gone` says. */
static void records_drop(struct storeorder *o,
                         bool (*gone)(const struct storeorder *, size_t, uint64_t), uint64_t arg)
{
    struct known_record *r = (void *)o->records.data;
    size_t kept = 0;
    for (size_t i = 0; i < record_count(o); i++) {
        if (!gone(o, i, arg)) {
            r[kept++] = r[i];
        }
    }
    o->records.size = kept * sizeof *r;
}

static bool is_of_log(const struct storeorder *o, size_t i, uint64_t number)
{
    const struct known_record *r = (const void *)o->records.data;
    return r[i].log == number;
}

static bool is_of_lost_log(const struct storeorder *o, size_t i, uint64_t number)
{
    const struct known_record *r = (const void *)o->records.data;
    return r[i].log == number && r[i].start != o->starts;
}

static void log_forget(struct storeorder *o, uint64_t number)
{
    records_drop(o, is_of_log, number);
}

/* Whether the crash took it, or the recovery wrote it again into a newer log. */
static bool counts_no_more(const struct storeorder *o, size_t i, uint64_t sequence)
{
    const struct known_record *r = (const void *)o->records.data;
    bool gone = r[i].end > sequence;
    for (size_t k = i + 1; k < record_count(o) && !gone; k++) {
        gone = r[k].end == r[i].end && r[k].log > r[i].log;
    }
    return gone;
}

void storeorder_opened(struct store *s)
{
    records_drop(&s->order, counts_no_more, s->order.replayed);
}

/* ---- what the engine says ---- */

static void path_of(char path[PATH_MAX_HERE], enum fname_kind kind, uint64_t number)
{
    char name[FNAME_SIZE];
    fname_text(name, kind, number);
    (void)snprintf(path, PATH_MAX_HERE, STORE_DIR "/%s", name); /* it fits */
}

static void manifest_counts(struct store *s, uint64_t number, uint64_t size, uint64_t flushed)
{
    const struct simdisk *d = s->host->disk;
    char path[PATH_MAX_HERE];
    path_of(path, FNAME_MANIFEST, number);
    if (!simdisk_guaranteed(d, path, 0, size)) {
        broken(s, "it is taken for durable, and is not", path);
    }
    bool names = simdisk_name_guaranteed(d, STORE_DIR); /* a first opening syncs that last */
    if (names && !simdisk_name_guaranteed(d, path)) {
        broken(s, "its name is taken for durable, and is not", path);
    }
    path_of(path, FNAME_CURRENT, 0);
    if (names && !simdisk_name_guaranteed(d, path)) {
        broken(s, "it names the manifest that counts, and may be another after a crash", path);
    }
    s->order.manifest = number;
    s->order.flushed = flushed;
}

void storeorder_note(struct store *s, const struct env_note *n)
{
    char path[PATH_MAX_HERE];
    switch (n->kind) {
    case NOTE_WAL_APPENDED:
        log_grew(&s->order, n->a, n->c);
        break;
    case NOTE_REPLAYED:
        s->order.replayed = n->a;
        break;
    case NOTE_TABLE:
        path_of(path, FNAME_TABLE, n->a);
        if (n->c == 1 && simdisk_name_guaranteed(s->host->disk, STORE_DIR) &&
            !simdisk_file_guaranteed(s->host->disk, path)) {
            broken(s, "the manifest names it, and it is not durable", path);
        }
        break;
    case NOTE_RESUMED:
        path_of(path, FNAME_LOG, n->a);
        if (!simdisk_file_guaranteed(s->host->disk, path)) {
            broken(s, "writes go on in it, and it is not durable", path);
        }
        break;
    case NOTE_FLUSHED:
        manifest_counts(s, n->b, n->a, n->c);
        break;
    default:
        break;
    }
}

/* ---- what the disk sees ---- */

static void table_goes(struct store *s, uint64_t number, const char *path)
{
    for (size_t i = 0; i < s->table_count; i++) {
        if (s->tables[i] == number) {
            broken(s, "it is removed, and the manifest names it", path);
        }
    }
}

static void removed(struct store *s, const char *path, const char *name)
{
    struct storeorder *o = &s->order;
    uint64_t number = 0;
    switch (fname_parse(name, &number)) {
    case FNAME_LOG:
        /* while it recovers, copies are made that are not known to count yet */
        if (s->open && log_last(o, number) > o->flushed) {
            broken(s, "it is removed, and holds what no durable table has", path);
        }
        log_forget(o, number);
        break;
    case FNAME_TABLE:
        table_goes(s, number, path);
        break;
    case FNAME_MANIFEST:
        if (number == o->manifest) {
            broken(s, "it is removed, and no other one counts", path);
        }
        break;
    default:
        break;
    }
}

static void on_event(void *arg, const struct simdisk *d, const struct simdisk_event *e)
{
    struct store *s = arg;
    char path[PATH_MAX_HERE];
    const size_t dir = sizeof STORE_DIR; /* with the slash */
    bool logs = e->action == SIMDISK_WRITES && e->offset == 0;
    uint64_t number;
    if (s->host == NULL || d != s->host->disk || s->proc == NULL) {
        return;
    }
    if (e->action == SIMDISK_REMOVES && strncmp(e->path, STORE_DIR "/", dir) == 0) {
        removed(s, e->path, e->path + dir);
    } else if (e->action == SIMDISK_RENAMES && strcmp(e->to, STORE_DIR "/CURRENT") == 0) {
        if (!simdisk_guaranteed(d, e->path, 0, simdisk_size(d, e->ino))) {
            broken(s, "it becomes CURRENT, and is not durable", e->path);
        }
    } else if (logs && simdisk_path_of(d, e->ino, path, sizeof path) &&
               strncmp(path, STORE_DIR "/", dir) == 0 &&
               fname_parse(path + dir, &number) == FNAME_LOG) {
        /* an older one of that number, lost in a crash; a recovery notes copies before it writes */
        records_drop(&s->order, is_of_lost_log, number);
    }
}

void storeorder_started(struct store *s)
{
    s->order.manifest = 0;
    s->order.flushed = 0;
    s->order.starts++;
}

void storeorder_init(struct store *s)
{
    buf_init(&s->order.records, s->world.mem);
    simdisk_watch(s->host->disk, on_event, s);
}

void storeorder_release(struct store *s)
{
    buf_release(&s->order.records);
}
