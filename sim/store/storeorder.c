/* storeorder.c - see storeorder.h. */
#include "sim/store/storeorder.h"

#include "base/ck.h"
#include "engine/fname.h"
#include "env/note.h"
#include "sim/store/store_int.h"

#include <stdio.h>
#include <string.h>

#define PATH_MAX_HERE 64

struct known_log {
    uint64_t number;
    uint64_t last; /* sequence of the last change in it */
};

static void broken(struct store *s, const char *rule, const char *name)
{
    world_fail(&s->world, "ORDER", "%s: %s", name, rule);
}

/* ---- logs ---- */

static struct known_log *log_find(struct storeorder *o, uint64_t number)
{
    struct known_log *logs = (void *)o->logs.data;
    size_t count = o->logs.size / sizeof *logs;
    for (size_t i = 0; i < count; i++) {
        if (logs[i].number == number) {
            return &logs[i];
        }
    }
    return NULL;
}

static void log_grew(struct storeorder *o, uint64_t number, uint64_t last)
{
    struct known_log *l = log_find(o, number);
    if (l == NULL) {
        struct known_log fresh = {number, last};
        enum status st = buf_append(&o->logs, &fresh, sizeof fresh);
        CK(st == ST_OK);
    } else {
        l->last = last > l->last ? last : l->last;
    }
}

static void log_forget(struct storeorder *o, uint64_t number)
{
    struct known_log *l = log_find(o, number);
    if (l != NULL) {
        const char *end = o->logs.data + o->logs.size;
        memcpy(l, end - sizeof *l, sizeof *l);
        o->logs.size -= sizeof *l;
    }
}

void storeorder_opened(struct store *s, uint64_t sequence)
{
    struct known_log *logs = (void *)s->order.logs.data;
    for (size_t i = 0; i < s->order.logs.size / sizeof *logs; i++) {
        logs[i].last = logs[i].last < sequence ? logs[i].last : sequence;
    }
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
    case NOTE_TABLE:
        path_of(path, FNAME_TABLE, n->a);
        if (n->c == 1 && simdisk_name_guaranteed(s->host->disk, STORE_DIR) &&
            !simdisk_file_guaranteed(s->host->disk, path)) {
            broken(s, "the manifest names it, and it is not durable", path);
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
    const struct known_log *l;
    switch (fname_parse(name, &number)) {
    case FNAME_LOG:
        l = log_find(o, number);
        /* a recovery copies what it still needs of a log into the next one */
        if (s->open && l != NULL && l->last > o->flushed) {
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
        log_forget(&s->order, number); /* an older one of that number, lost in a crash */
    }
}

void storeorder_started(struct store *s)
{
    s->order.manifest = 0;
    s->order.flushed = 0;
}

void storeorder_init(struct store *s)
{
    buf_init(&s->order.logs, s->world.mem);
    simdisk_watch(s->host->disk, on_event, s);
}

void storeorder_release(struct store *s)
{
    buf_release(&s->order.logs);
}
