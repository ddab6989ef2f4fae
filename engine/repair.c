/* repair.c - see repair.h. */
#include "engine/repair.h"

#include "base/ck.h"
#include "engine/batch.h"
#include "engine/blockcache.h"
#include "engine/db.h"
#include "engine/dbdir.h"
#include "engine/manifest.h"
#include "engine/mergeruns.h"
#include "engine/table_impl.h"
#include "engine/walread.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define BATCH_BYTES ((size_t)1 << 20) /* of the new database's writes */

struct repair {
    struct env *env;
    const struct tkv_options *o;
    struct order order;
    const char *dir;
    tkv_report_fn *report;
    void *arg;
    struct err *err;

    struct table_env te;
    struct tabset set;
    struct manifest_state state; /* meaningful with a version */
    struct version *version;     /* NULL: no manifest could be read */
    struct buf tables;           /* struct table *: right ones, a reference each */
    struct buf holders;          /* struct table *: damaged ones, whose tombs are looked at */
    struct memtable *salvaged;   /* what single blocks and logs held */
    struct buf tombs;            /* struct tomb; bytes of open tables and of salvaged */
    struct tomb_set *memory_tombs;
    uint64_t log_last; /* sequence read from logs so far */
};

__attribute__((format(__printf__, 2, 3))) static void say(const struct repair *r, const char *fmt,
                                                          ...)
{
    char line[sizeof(struct err) + 128];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args); /* a longer one is cut */
    va_end(args);
    if (r->report != NULL && n >= 0) {
        r->report(r->arg, line);
    }
}

/* Failures of the world end the repair; damage is what it is here for. */
static bool is_damage(enum status st)
{
    return st == ST_CORRUPT || st == ST_NOENT || st == ST_IO || st == ST_UNSUPPORTED;
}

/* ---- entries into memory ---- */

static enum status entry_keep(struct repair *r, const struct batch_entry *e, uint64_t sequence)
{
    struct memtable_node *node;
    struct entry had;
    if (sequence == 0 || sequence > ENTRY_SEQUENCE_MAX) {
        return ST_OK; /* no writer gave that number */
    }
    if (e->type != BATCH_DELETE_RANGE &&
        memtable_get(r->salvaged, e->key, sequence, &had) == MEMTABLE_FOUND &&
        had.sequence == sequence) {
        return ST_OK; /* it is in two files */
    }
    enum status st = memtable_prepare(r->salvaged, e, &node);
    if (st == ST_OK) {
        memtable_link(r->salvaged, node, sequence);
    }
    return st;
}

/* ---- tables ---- */

/* Takes what single blocks of a damaged table hold. */
static enum status blocks_salvage(struct repair *r, struct table *t, uint64_t number)
{
    uint64_t good = 0;
    uint64_t entries = 0;
    enum status st = ST_OK;
    for (uint32_t i = 0; st == ST_OK && i < t->index.count; i++) {
        struct block *block;
        struct blockread view;
        st = table_block(t, i, TABLE_NO_FILL, &block, &view, NULL);
        if (st != ST_OK) {
            st = is_damage(st) ? ST_OK : st;
            continue;
        }
        good++;
        struct buf key;
        buf_init(&key, &r->env->mem);
        for (uint32_t k = 0; st == ST_OK && k < view.count; k++) {
            struct blockread_item it;
            struct slice head;
            if (!blockread_item(&view, k, &it) || !blockread_head(&view, k, &head) ||
                it.shared > head.size) {
                break;
            }
            buf_clear(&key);
            st = buf_append(&key, head.data, it.shared);
            if (st == ST_OK) {
                st = buf_append(&key, it.rest.data, it.rest.size);
            }
            struct batch_entry e = {it.type, buf_slice(&key), it.value};
            if (st == ST_OK) {
                st = entry_keep(r, &e, blockread_sequence(&view, k));
                entries++;
            }
        }
        buf_release(&key);
        block_unref(block);
    }
    say(r,
        "%06" PRIu64 ".sst: %" PRIu64 " of %" PRIu32 " blocks could be read, %" PRIu64
        " entries; keys of the others may be missing, old, or back",
        number, good, t->index.count, entries);
    return st;
}

static enum status tombs_take(struct repair *r, const struct tomb_set *set)
{
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < tomb_set_count(set); i++) {
        struct tomb_piece p = tomb_set_piece(set, i);
        struct tomb t = {p.begin, p.end, p.sequences[0]}; /* the newest: nobody looks back */
        st = buf_append(&r->tombs, &t, sizeof t);
    }
    return st;
}

/* Opens a table and takes it whole, or what of it can be read. info NULL: nothing is known of it.
 */
static enum status table_take(struct repair *r, const char *path, uint64_t number,
                              const struct table_info *info)
{
    struct err err = {.text = ""};
    struct table_info any = {.number = number};
    struct table *t;
    enum status st = table_open(&r->te, path, info != NULL ? info : &any, &t, &err);
    if (st != ST_OK) {
        say(r, "LOST: %s", err.text[0] != '\0' ? err.text : path);
        return is_damage(st) ? ST_OK : st;
    }
    enum status checked = table_verify(t, info, &err);
    struct buf *list = checked == ST_OK ? &r->tables : &r->holders;
    st = checked == ST_OK || is_damage(checked) ? ST_OK : checked;
    if (st == ST_OK) {
        st = buf_append(list, &t, sizeof(struct table *));
    }
    if (st != ST_OK) {
        table_unref(t);
        return st;
    }
    st = tombs_take(r, table_tombs(t)); /* they were checked when it was opened */
    if (st == ST_OK && checked != ST_OK) {
        say(r, "DAMAGED: %s", err.text);
        st = blocks_salvage(r, t, number);
    }
    return st;
}

static enum status version_take(struct repair *r)
{
    enum status st = ST_OK;
    for (int level = 0; st == ST_OK && level < TKV_LEVELS; level++) {
        const struct version_level *l = &r->version->levels[level];
        for (size_t i = 0; st == ST_OK && i < l->count; i++) {
            char path[ENV_PATH_MAX];
            fname_make(path, r->dir, FNAME_TABLE, l->files[i]->info.number);
            st = table_take(r, path, l->files[i]->info.number, &l->files[i]->info);
        }
    }
    return st;
}

/* ---- logs ---- */

static enum status batch_take(struct repair *r, const struct walread_record *record)
{
    struct batch_walk w;
    struct batch_entry e;
    bool more = true;
    uint64_t sequence = record->sequence;
    enum status st = batch_walk_init(&w, record->data);
    while (st == ST_OK && more) {
        st = batch_walk_next(&w, &e, &more);
        if (st == ST_OK && more) {
            if (sequence > r->log_last) { /* else a copy of what an older log held */
                st = entry_keep(r, &e, sequence);
                r->log_last = sequence;
            }
            sequence++;
        }
    }
    return st;
}

static enum status log_take(struct repair *r, const char *path, uint64_t number)
{
    struct walread reader;
    struct walread_record record = {.type = WALFMT_HEADER};
    uint64_t records = 0;
    enum status st = walread_open(&reader, r->env, path, number, UINT64_MAX);
    if (st != ST_OK) {
        say(r, "LOST: %s: %s", path, status_text(st));
        return is_damage(st) ? ST_OK : st;
    }
    while (st == ST_OK && record.type != WALFMT_NONE) {
        st = walread_next(&reader, &record);
        if (st == ST_OK && record.type == WALFMT_FULL) {
            st = batch_take(r, &record);
            records++;
        }
    }
    if (is_damage(st)) {
        bool safe = false;
        enum status asked = walread_evidence(&reader, &safe);
        say(r, "%06" PRIu64 ".log: %" PRIu64 " records; %s at offset %" PRIu64, number, records,
            asked == ST_OK && !safe ? "a torn tail" : "DAMAGED, what follows is lost,",
            reader.damage);
        st = ST_OK;
    }
    walread_close(&reader);
    return st;
}

/* ---- everything that there is ---- */

/* The state that CURRENT names, if it can be read. */
static enum status manifest_take(struct repair *r)
{
    uint64_t number;
    struct err err = {.text = ""};
    enum status st = manifest_current(r->env, r->dir, &number, &err);
    if (st == ST_OK) {
        st = manifest_read(r->env, r->dir, number, r->order, &r->set, &r->version, &r->state, &err);
    }
    if (st == ST_OK) {
        say(r, "MANIFEST-%06" PRIu64 ": right", number);
        return ST_OK;
    }
    r->version = NULL;
    if (!is_damage(st)) {
        *r->err = err;
        return st;
    }
    say(r, "DAMAGED: %s; all tables are taken, and what was deleted may come back",
        err.text[0] != '\0' ? err.text : "CURRENT is missing");
    return ST_OK;
}

/* Takes the logs of a directory, and its tables unless the manifest told which. */
static enum status directory_take(struct repair *r, const char *dir)
{
    struct buf files;
    buf_init(&files, &r->env->mem);
    enum status st = dbdir_list(r->env, dir, &files, NULL);
    for (size_t at = 0; st == ST_OK && at < files.size; at += sizeof(struct dbdir_file)) {
        struct dbdir_file f;
        char path[ENV_PATH_MAX];
        memcpy(&f, files.data + at, sizeof f);
        fname_make(path, dir, f.kind, f.number);
        if (f.kind == FNAME_LOG && (r->version == NULL || f.number >= r->state.log_floor)) {
            st = log_take(r, path, f.number);
        } else if (f.kind == FNAME_TABLE && r->version == NULL) {
            st = table_take(r, path, f.number, NULL);
        }
    }
    buf_release(&files);
    return st;
}

static enum status subdir(const struct repair *r, char path[ENV_PATH_MAX], const char *name)
{
    int n = snprintf(path, ENV_PATH_MAX, "%s/%s", r->dir, name);
    return n > 0 && n < ENV_PATH_MAX - FNAME_SIZE ? ST_OK : ST_NAMETOOLONG;
}

static enum status everything_take(struct repair *r)
{
    char lost[ENV_PATH_MAX];
    struct env_stat stat;
    enum status st = manifest_take(r);
    if (st == ST_OK && r->version != NULL) {
        st = version_take(r);
    }
    if (st == ST_OK) {
        st = directory_take(r, r->dir);
    }
    if (st == ST_OK && r->version == NULL) { /* perhaps an earlier repair was cut short */
        st = subdir(r, lost, "lost");
        if (st == ST_OK && env_path_stat(r->env, lost, &stat) == ST_OK) {
            st = directory_take(r, lost);
        }
    }
    return st;
}

/* ---- into a new database ---- */

struct target {
    struct tkv *db;
    struct tkv_batch *batch;
    uint64_t keys;
};

static enum status target_write(struct target *t, const struct repair *r)
{
    struct tkv_write_options w;
    tkv_write_options_init(&w);
    w.tag = r->version != NULL ? r->state.tag : 0;
    enum status st = (enum status)tkv_write(t->db, &w, t->batch, NULL);
    tkv_batch_clear(t->batch);
    return st;
}

static enum status target_put(struct target *t, const struct repair *r, const struct entry *e)
{
    size_t size;
    t->keys++;
    enum status st = (enum status)tkv_batch_put(t->batch, e->key.data, e->key.size, e->value.data,
                                                e->value.size);
    (void)tkv_batch_data(t->batch, &size);
    return st == ST_OK && size >= BATCH_BYTES ? target_write(t, r) : st;
}

/* Writes the newest version of each key. Of equal entries, which lie in more than one table when no
 * manifest told which counts, any is right. */
static enum status newest_write(struct repair *r, struct mergeruns *m, const struct tomb_set *tombs,
                                struct target *t)
{
    struct buf key;
    bool any = false;
    enum status st = ST_OK;
    buf_init(&key, &r->env->mem);
    while (st == ST_OK && m->at != NULL) {
        if (!any || !slice_equal(buf_slice(&key), m->at->key)) {
            any = true;
            buf_clear(&key);
            st = buf_append(&key, m->at->key.data, m->at->key.size);
            if (st == ST_OK && m->at->type == BATCH_PUT &&
                tomb_set_cover(tombs, m->at->key, ENTRY_SEQUENCE_MAX) < m->at->sequence) {
                st = target_put(t, r, m->at);
            }
        }
        mergeruns_step(m);
    }
    buf_release(&key);
    if (st == ST_OK) {
        st = mergeruns_error(m, r->err);
    }
    return st == ST_OK ? target_write(t, r) : st;
}

static enum status merge_write(struct repair *r, struct target *t)
{
    size_t count = r->tables.size / sizeof(struct table *) + 1;
    struct run *runs = env_alloc(r->env, count * sizeof *runs);
    struct mergeruns_place *heap = env_alloc(r->env, count * sizeof *heap);
    struct tomb_set *tombs = NULL;
    struct mergeruns m;
    enum status st = runs != NULL && heap != NULL ? ST_OK : ST_NOMEM;
    if (st == ST_OK) {
        st = tombs_take(r, r->memory_tombs);
    }
    if (st == ST_OK && r->tombs.size > 0) {
        st = tomb_set_new(&r->env->mem, r->order, (const void *)r->tombs.data,
                          r->tombs.size / sizeof(struct tomb), &tombs);
    }
    if (st == ST_OK) {
        run_init_memtable(&runs[0], r->salvaged);
        for (size_t i = 1; i < count; i++) {
            struct table *table;
            memcpy(&table, r->tables.data + (i - 1) * sizeof table, sizeof table);
            run_init_open(&runs[i], table, TABLE_SCAN);
        }
        mergeruns_init(&m, r->order, runs, count, heap);
        mergeruns_first(&m);
        st = newest_write(r, &m, tombs, t);
        for (size_t i = 0; i < count; i++) {
            run_release(&runs[i]);
        }
    }
    tomb_set_free(tombs);
    env_release(r->env, heap);
    env_release(r->env, runs);
    return st;
}

static enum status target_make(struct repair *r, const char *dir)
{
    struct target t = {0};
    struct tkv_options o;
    struct tkv_error error = {.text = ""};
    tkv_options_init(&o);
    o.env = r->env;
    o.comparator = r->o->comparator;
    o.log = false;
    enum status st = (enum status)tkv_open(&o, dir, &t.db, &error);
    if (st != ST_OK) {
        err_set(r->err, "%s", error.text);
        return st;
    }
    st = (enum status)tkv_batch_new(r->env, &t.batch);
    if (st == ST_OK) {
        st = merge_write(r, &t);
        tkv_batch_free(t.batch);
    }
    if (st == ST_OK) {
        st = (enum status)tkv_flush(t.db);
    }
    db_unsettle(t.db); /* its files move: that their names are durable will be another matter */
    enum status closed = (enum status)tkv_close(t.db);
    st = st == ST_OK ? closed : st;
    if (st == ST_OK) {
        say(r, "%" PRIu64 " keys kept", t.keys);
    }
    return st;
}

/* ---- taking its place ---- */

static enum status file_move(struct repair *r, const char *from, const char *to,
                             struct dbdir_file f)
{
    char a[ENV_PATH_MAX];
    char b[ENV_PATH_MAX];
    fname_make(a, from, f.kind, f.number);
    fname_make(b, to, f.kind, f.number);
    enum status st = env_path_rename(r->env, a, b);
    return st == ST_OK ? ST_OK : err_status(r->err, st, a);
}

/* Moves what a database is made of; CURRENT first or last, locks stay. Both directories' names are
 * durable then. */
static enum status files_move(struct repair *r, const char *from, const char *to,
                              bool current_first)
{
    struct buf files;
    buf_init(&files, &r->env->mem);
    enum status st = dbdir_list(r->env, from, &files, NULL);
    for (int turn = 0; st == ST_OK && turn < 2; turn++) {
        bool current = (turn == 0) == current_first;
        for (size_t at = 0; st == ST_OK && at < files.size; at += sizeof(struct dbdir_file)) {
            struct dbdir_file f;
            memcpy(&f, files.data + at, sizeof f);
            if (f.kind != FNAME_LOCK && (f.kind == FNAME_CURRENT) == current) {
                st = file_move(r, from, to, f);
            }
        }
        if (st == ST_OK) {
            st = env_dir_sync(r->env, to);
        }
        if (st == ST_OK) {
            st = env_dir_sync(r->env, from);
        }
    }
    buf_release(&files);
    return st;
}

static enum status exchange(struct repair *r, const char *fresh)
{
    char lost[ENV_PATH_MAX];
    enum status st = subdir(r, lost, "lost");
    if (st == ST_OK) {
        st = env_dir_make(r->env, lost);
        st = st == ST_EXIST ? ST_OK : st;
    }
    if (st == ST_OK) {
        st = files_move(r, r->dir, lost, true);
    }
    if (st == ST_OK) {
        ENV_YIELD(r->env, "repair: old files moved, new ones not yet");
        st = files_move(r, fresh, r->dir, false);
    }
    if (st == ST_OK) {
        st = dbdir_remove(r->env, fresh);
    }
    /* an open takes it from a manifest with edits that this has been done (recover.c) */
    return st == ST_OK ? dbdir_parent_sync(r->env, r->dir) : st;
}

/* ---- all of it ---- */

static void repair_release(struct repair *r)
{
    struct buf *lists[] = {&r->tables, &r->holders};
    for (size_t k = 0; k < 2; k++) {
        for (size_t at = 0; at < lists[k]->size; at += sizeof(struct table *)) {
            struct table *t;
            memcpy(&t, lists[k]->data + at, sizeof t);
            table_unref(t);
        }
        buf_release(lists[k]);
    }
    tomb_set_free(r->memory_tombs);
    memtable_unref(r->salvaged);
    buf_release(&r->tombs);
    version_unref(r->version);
    struct tabfile *f = tabset_take(&r->set);
    while (f != NULL) {
        struct tabfile *next = f->next;
        tabfile_free(f);
        f = next;
    }
    tabset_release(&r->set);
}

static enum status gather_and_write(struct repair *r, const char *fresh)
{
    struct env_stat stat;
    enum status st = memtable_new(r->env, r->order, MEMTABLE_SKIPLIST, 0, &r->salvaged);
    if (st == ST_OK) {
        st = everything_take(r);
    }
    if (st == ST_OK) {
        st = memtable_tombs(r->salvaged, ENTRY_SEQUENCE_MAX, NULL, &r->memory_tombs);
    }
    if (st == ST_OK && env_path_stat(r->env, fresh, &stat) == ST_OK) {
        st = dbdir_remove(r->env, fresh); /* of a repair that was cut short */
    }
    return st == ST_OK ? target_make(r, fresh) : st;
}

enum status repair_run(const struct tkv_options *o, const char *dir, tkv_report_fn *report,
                       void *arg, struct err *err)
{
    struct repair r = {.env = o->env,
                       .o = o,
                       .order = {o->comparator},
                       .dir = dir,
                       .report = report,
                       .arg = arg,
                       .err = err};
    char fresh[ENV_PATH_MAX];
    if (tkv_verify(o, dir, NULL, NULL, NULL) == TKV_OK) {
        say(&r, "nothing is wrong: nothing was changed");
        return ST_OK;
    }
    tabset_init(&r.set, r.env);
    buf_init(&r.tables, &r.env->mem);
    buf_init(&r.holders, &r.env->mem);
    buf_init(&r.tombs, &r.env->mem);
    r.te = (struct table_env){.env = r.env, .order = r.order};
    enum status st = subdir(&r, fresh, "repair");
    if (st == ST_OK) {
        st = gather_and_write(&r, fresh);
    }
    repair_release(&r);
    if (st == ST_OK) {
        st = exchange(&r, fresh);
    }
    if (st == ST_OK) {
        say(&r, "repaired; the files as they were are in %s/lost", dir);
    } else if (err->text[0] == '\0') {
        err_set(err, "%s: %s", dir, status_text(st));
    }
    return st;
}
