/* tkv.c - the public calls that change a database or tell about it: open, close, write, flush,
 * stats. */
#include "engine/tkv.h"

#include "base/ck.h"
#include "base/err.h"
#include "engine/background.h"
#include "engine/commit.h"
#include "engine/install.h"
#include "engine/pick.h"
#include "engine/recover.h"
#include "engine/tkv_impl.h"

#include <inttypes.h>

_Static_assert(sizeof(struct err) == sizeof(struct tkv_error), "one is handed out as the other");
_Static_assert((int)TKV_TOOBIG == (int)ST_TOOBIG, "public statuses are statuses");
_Static_assert((int)TKV_NOTFOUND == (int)ST_NOENT, "public statuses are statuses");
_Static_assert((int)TKV_UNSUPPORTED == (int)ST_UNSUPPORTED, "public statuses are statuses");

#define MIB ((uint64_t)1 << 20)

void tkv_options_init(struct tkv_options *o)
{
    *o = (struct tkv_options){.size = sizeof *o,
                              .create_if_missing = true,
                              .log = true,
                              .write_buffer_bytes = 64 * MIB,
                              .memtables_max = 4,
                              .cache_bytes = 8 * MIB,
                              .meta_bytes = 64 * MIB,
                              .files_max = 512,
                              .block_bytes = 2048,
                              .table_bytes = 32 * MIB,
                              .filter_bits = 10,
                              .level0_files = 4,
                              .level0_slow = 12,
                              .level0_stop = 24,
                              .level1_bytes = 128 * MIB,
                              .level_factor = 10,
                              .threads = 2};
    for (int level = 2; level < TKV_LEVELS; level++) {
        o->compression[level] = TKV_COMPRESSION_LZ4;
    }
}

void tkv_write_options_init(struct tkv_write_options *o)
{
    *o = (struct tkv_write_options){.size = sizeof *o};
}

void tkv_read_options_init(struct tkv_read_options *o)
{
    *o = (struct tkv_read_options){.size = sizeof *o};
}

enum tkv_status tkv_impl_status(enum status st)
{
    switch (st) {
    case ST_OK:
    case ST_NOMEM:
    case ST_IO:
    case ST_NOSPC:
    case ST_CORRUPT:
    case ST_NOENT:
    case ST_EXIST:
    case ST_INVAL:
    case ST_BUSY:
    case ST_ROFS:
    case ST_MFILE:
    case ST_UNSUPPORTED:
    case ST_TOOBIG:
        return (enum tkv_status)st;
    case ST_NOTDIR:
    case ST_ISDIR:
    case ST_NAMETOOLONG:
        return TKV_INVALID;
    default:
        return TKV_IO;
    }
}

const char *tkv_status_text(enum tkv_status status)
{
    return status_text((enum status)status);
}

/* ---- open and close ---- */

/* An option that is a number, and what it may be. */
struct range {
    const char *name;
    uint64_t value;
    uint64_t least;
    uint64_t most;
};

static enum status ranges_check(const struct range *r, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (r[i].value < r[i].least || r[i].value > r[i].most) {
            err_set(err, "options: %s is %" PRIu64 ", not in %" PRIu64 "..%" PRIu64, r[i].name,
                    r[i].value, r[i].least, r[i].most);
            return ST_INVAL;
        }
    }
    return ST_OK;
}

static enum status comparator_check(const struct tkv_comparator *c, struct err *err)
{
    if (c != NULL && (c->name == NULL || c->name[0] == '\0' || strlen(c->name) > ORDER_NAME_MAX ||
                      c->compare == NULL)) {
        err_set(err, "options: comparator has no name, one of more than %d bytes, or no function",
                ORDER_NAME_MAX);
        return ST_INVAL;
    }
    return ST_OK;
}

static enum status options_check(const struct tkv_options *o, struct err *err)
{
    const uint64_t huge = (uint64_t)1 << 50;
    const struct range ranges[] = {
        {"write_buffer_bytes", o->write_buffer_bytes, 1, huge},
        {"memtables_max", o->memtables_max, 1, 64},
        {"cache_bytes", o->cache_bytes, 0, huge},
        {"meta_bytes", o->meta_bytes, 0, huge},
        {"files_max", o->files_max, 8, 1 << 20},
        {"block_bytes", o->block_bytes, 64, 1 << 20},
        {"table_bytes", o->table_bytes, 1, huge},
        {"filter_bits", o->filter_bits, 0, 64},
        {"prefix_bytes", o->prefix_bytes, 0, TKV_KEY_MAX},
        {"level0_files", o->level0_files, 1, 1 << 16},
        {"level0_slow", o->level0_slow, o->level0_files, 1 << 16},
        {"level0_stop", o->level0_stop, o->level0_slow, 1 << 16},
        {"level1_bytes", o->level1_bytes, 1, huge},
        {"level_factor", o->level_factor, 2, 1000},
        {"threads", o->threads, 1, 16},
        {"background_bytes_second", o->background_bytes_second, 0, huge},
    };
    enum status st = ranges_check(ranges, sizeof ranges / sizeof ranges[0], err);
    for (int level = 0; st == ST_OK && level < TKV_LEVELS; level++) {
        const struct range r = {"compression", o->compression[level], 0, TKV_COMPRESSION_LZ4};
        st = ranges_check(&r, 1, err);
    }
    return st == ST_OK ? comparator_check(o->comparator, err) : st;
}

/* The caller's options over the defaults: an older program's struct is shorter. */
static enum status options_copy(const struct tkv_options *from, struct tkv_options *to,
                                struct err *err)
{
    tkv_options_init(to);
    if (from->size > sizeof *to || from->size < offsetof(struct tkv_options, create_if_missing)) {
        err_set(err, "options: not made by tkv_options_init of this version or an older one");
        return ST_INVAL;
    }
    memcpy(to, from, from->size);
    to->size = sizeof *to;
    if (to->env == NULL) {
        err_set(err, "options: env is NULL");
        return ST_INVAL;
    }
    return options_check(to, err);
}

/* Everything that needs memory of its own. */
static enum status db_init(struct tkv *db)
{
    struct env *env = db->env;
    const struct tkv_options *o = &db->options;
    enum status st = epoch_init(&db->epoch, env);
    if (st == ST_OK && o->cache_bytes > 0) {
        st = blockcache_new(env, &db->epoch, o->cache_bytes, &db->blockcache);
    }
    if (st == ST_OK) {
        db->table_env = (struct table_env){
            .env = env, .order = db->order, .cache = db->blockcache, .stats = &db->table_stats};
        st = tabcache_init(&db->tabcache, &db->table_env, db->dir, &db->epoch, o->files_max,
                           o->meta_bytes);
    }
    if (st == ST_OK) {
        st = wal_init(&db->log, env);
    }
    if (st == ST_OK) {
        st = manifest_init(&db->manifest, env, db->dir, db->order);
    }
    return st;
}

/* A database that has nothing yet but its settings. */
static struct tkv *db_new(const struct tkv_options *o, const char *dir)
{
    size_t n = strlen(dir) + 1;
    struct tkv *db = env_alloc(o->env, sizeof *db + n);
    if (db == NULL) {
        return NULL;
    }
    *db = (struct tkv){.env = o->env,
                       .dir = (char *)(db + 1),
                       .lock_fd = -1,
                       .options = *o,
                       .order = {o->comparator},
                       .next_file = 1,
                       .log = {.fd = -1},
                       .manifest = {.wal = {.fd = -1}}};
    memcpy(db->dir, dir, n);
    list_init(&db->commits);
    list_init(&db->snapshots);
    list_init(&db->compactions);
    buf_init(&db->manifest_stale, &db->env->mem);
    buf_init(&db->prune, &db->env->mem);
    tabset_init(&db->tabset, db->env);
    pacer_init(&db->pacer, db->env, o->background_bytes_second);
    env_mutex_init(db->env, &db->mutex);
    env_mutex_init(db->env, &db->names);
    env_mutex_init(db->env, &db->installing);
    env_cond_init(db->env, &db->work);
    env_cond_init(db->env, &db->progress);
    commit_init(db);
    return db;
}

/* No other thread uses it. Safe on one that is half made. */
static void db_free(struct tkv *db)
{
    install_end(db);
    manifest_release(&db->manifest);
    wal_release(&db->log);
    tabcache_release(&db->tabcache);
    blockcache_free(db->blockcache);
    epoch_release(&db->epoch);
    tabset_release(&db->tabset);
    pacer_release(&db->pacer);
    buf_release(&db->manifest_stale);
    buf_release(&db->prune);
    env_release(db->env, db->logs);
    if (db->lock_fd >= 0) {
        (void)env_fd_close(db->env, db->lock_fd); /* dropped in any case */
    }
    commit_release(db);
    env_cond_release(db->env, &db->progress);
    env_cond_release(db->env, &db->work);
    env_mutex_release(db->env, &db->installing);
    env_mutex_release(db->env, &db->names);
    env_mutex_release(db->env, &db->mutex);
    env_release(db->env, db);
}

static enum status directory_take(struct tkv *db, bool create, struct err *err)
{
    struct env_stat stat;
    char path[ENV_PATH_MAX];
    enum status st = env_path_stat(db->env, db->dir, &stat);
    if (st == ST_NOENT && create) {
        st = env_dir_make(db->env, db->dir);
    } else if (st == ST_OK && stat.kind != ENV_KIND_DIR) {
        st = ST_NOTDIR;
    }
    if (st != ST_OK) {
        return err_status(err, st, db->dir);
    }
    fname_make(path, db->dir, FNAME_LOCK, 0);
    if (db->options.read_only && env_path_stat(db->env, path, &stat) == ST_NOENT) {
        return ST_OK; /* nobody ever wrote here; making the file would be the first */
    }
    st = env_path_lock(db->env, path, &db->lock_fd);
    if (st != ST_OK) {
        db->lock_fd = -1;
        return err_status(err, st, path);
    }
    return ST_OK;
}

static enum status dir_check(const char *dir, struct err *err)
{
    size_t n = strlen(dir);
    if (n == 0 || n > ENV_PATH_MAX - FNAME_SIZE) {
        err_set(err, "directory: its name is empty or too long");
        return ST_INVAL;
    }
    return ST_OK;
}

enum tkv_status tkv_open(const struct tkv_options *o, const char *dir, struct tkv **out,
                         struct tkv_error *error)
{
    struct err err = {.text = ""};
    struct tkv *db = NULL;
    struct tkv_options options;
    enum status st = options_copy(o, &options, &err);
    if (st == ST_OK) {
        st = dir_check(dir, &err);
    }
    if (st == ST_OK) {
        db = db_new(&options, dir);
        st = db != NULL ? ST_OK : ST_NOMEM;
    }
    if (st == ST_OK) {
        st = db_init(db);
    }
    if (st == ST_OK) {
        st = directory_take(db, options.create_if_missing && !options.read_only, &err);
    }
    if (st == ST_OK) {
        struct recover_options r = {options.create_if_missing, options.error_if_exists};
        st = recover_run(db, &r, &err);
    }
    if (st == ST_OK && !options.read_only) {
        st = background_start(db);
    }
    if (st == ST_OK) {
        *out = db;
    } else {
        if (err.text[0] == '\0') {
            err_set(&err, "%s: %s", dir, status_text(st));
        }
        if (db != NULL) {
            db_free(db);
        }
    }
    if (error != NULL) {
        memcpy(error->text, err.text, sizeof error->text);
    }
    return tkv_impl_status(st);
}

/* Syncs the log; when it holds what no table has, says in it that this was done. */
static enum status log_end(struct tkv *db, bool needed)
{
    enum status st = db->log.synced == db->log.size ? ST_OK : wal_sync(&db->log);
    if (st == ST_OK && needed) {
        /* the mark spares the next open a copy; that it gets there is not needed */
        enum status mark = wal_append_mark(&db->log);
        mark = mark == ST_OK ? wal_flush(&db->log) : mark;
        if (mark != ST_OK) {
            env_log(db->env, ENV_LOG_WARN, "log: its end could not be marked");
        }
    }
    return st;
}

/* Whether everything that counts is on the medium for sure, when every change is in tables; what
 * the closed record says then. */
static bool is_settled(const struct tkv *db, struct manifest_closed *closed)
{
    const struct wal *w = &db->log;
    *closed = (struct manifest_closed){.next_file = db->next_file, .last_sequence = db->given};
    if (atomic_get_u64(&db->unsettled) != 0 || atomic_get_u64(&db->in_doubt) != 0 ||
        db->broken != ST_OK || db->needs_flush ||
        db->manifest.wal.synced != db->manifest.wal.size) {
        return false;
    }
    if (db->logs_count == 0) {
        return true;
    }
    closed->log = w->number;
    closed->log_size = w->size;
    closed->log_epoch = w->epoch;
    return db->logs_count == 1 && wal_is_open(w) && db->logs[0].number == w->number &&
           w->synced == w->size && w->filled == w->size;
}

/* Leaves everything acknowledged durable, best in tables, so that the next open has nothing to
 * replay; else in the log. */
static enum status db_end(struct tkv *db)
{
    const struct superversion *sv = db->superversion;
    bool logged = wal_is_open(&db->log);
    bool empty = sv->full_count == 0 && memtable_count(sv->active) == 0 && sv->active->tag == 0;
    struct manifest_closed closed;
    enum status st = ST_OK;
    if (!empty) {
        st = background_flush_all(db);
    }
    bool in_tables = st == ST_OK;
    if (st == ST_OK && !empty) {
        ENV_PROBE(db->env, "close: flushed");
    } else if (logged) {
        st = log_end(db, !empty);
    }
    (void)install_sweep(db); /* the next open removes what is left */
    bool settled = in_tables && st == ST_OK && is_settled(db, &closed);
    manifest_end(&db->manifest, settled ? &closed : NULL);
    return st;
}

enum tkv_status tkv_close(struct tkv *db)
{
    background_stop(db);
    CK(list_empty(&db->commits));
    CK(list_empty(&db->snapshots));
    CK(atomic_get_u64(&db->readers) == 0);
    tkv_impl_iters_release(db);
    enum status st = db->options.read_only ? ST_OK : db_end(db);
    db_free(db);
    return tkv_impl_status(st);
}

/* ---- writing ---- */

/* What the caller asked for; an older program's struct is shorter. */
static struct tkv_write_options write_options(const struct tkv_write_options *o)
{
    struct tkv_write_options w;
    tkv_write_options_init(&w);
    if (o != NULL) {
        memcpy(&w, o, o->size < sizeof w ? o->size : sizeof w);
    }
    return w;
}

/* Waits until every table that was full when `given` was the last number is flushed. */
static enum status flushed_wait(struct tkv *db, uint64_t given)
{
    enum status st = ST_OK;
    env_mutex_lock(db->env, &db->mutex);
    for (;;) {
        const struct superversion *sv = db->superversion;
        if (st != ST_OK || sv->full_count == 0 || sv->full[sv->full_count - 1]->last > given) {
            break;
        }
        st = background_wait_flush(db);
    }
    env_mutex_unlock(db->env, &db->mutex);
    return st;
}

static enum status flush(struct tkv *db)
{
    struct commit c = {.rotate = true};
    enum status st = commit_run(db, &c);
    return st == ST_OK ? flushed_wait(db, c.sequence) : st;
}

/* Runs c with the caller's wishes. Without a log a synced write is a flush. */
static enum status commit_with(struct tkv *db, struct commit *c, const struct tkv_write_options *o)
{
    struct tkv_write_options w = write_options(o);
    if (db->options.read_only) {
        return ST_ROFS;
    }
    c->sync = w.sync && db->options.log;
    c->tag = w.tag;
    enum status st = commit_run(db, c);
    return st == ST_OK && w.sync && !db->options.log ? flush(db) : st;
}

static enum tkv_status change(struct tkv *db, const struct tkv_write_options *o,
                              const struct batch_entry *e)
{
    size_t value_max = e->type == BATCH_DELETE_RANGE ? TKV_KEY_MAX : TKV_VALUE_MAX;
    if (e->key.size > TKV_KEY_MAX || e->value.size > value_max) {
        return TKV_TOOBIG;
    }
    struct commit c = {.entry = *e, .count = 1};
    if (e->type == BATCH_DELETE_RANGE && order_compare(db->order, e->key, e->value) >= 0) {
        c.count = 0; /* empty */
    }
    return tkv_impl_status(commit_with(db, &c, o));
}

enum tkv_status tkv_put(struct tkv *db, const struct tkv_write_options *o, const void *key,
                        size_t key_size, const void *value, size_t value_size)
{
    struct batch_entry e = {BATCH_PUT, slice_of(key, key_size), slice_of(value, value_size)};
    return change(db, o, &e);
}

enum tkv_status tkv_delete(struct tkv *db, const struct tkv_write_options *o, const void *key,
                           size_t key_size)
{
    struct batch_entry e = {BATCH_DELETE, slice_of(key, key_size), slice_of(NULL, 0)};
    return change(db, o, &e);
}

enum tkv_status tkv_delete_range(struct tkv *db, const struct tkv_write_options *o,
                                 const void *begin, size_t begin_size, const void *end,
                                 size_t end_size)
{
    struct batch_entry e = {BATCH_DELETE_RANGE, slice_of(begin, begin_size),
                            slice_of(end, end_size)};
    return change(db, o, &e);
}

enum tkv_status tkv_write(struct tkv *db, const struct tkv_write_options *o,
                          const struct tkv_batch *batch, uint64_t *sequence)
{
    struct commit c = {.batch = buf_slice(&batch->bytes), .count = tkv_batch_count(batch)};
    enum status st = commit_with(db, &c, o);
    if (st == ST_OK && sequence != NULL) {
        *sequence = c.sequence;
    }
    return tkv_impl_status(st);
}

enum tkv_status tkv_sync(struct tkv *db)
{
    struct commit c = {.sync = true};
    if (db->options.read_only) {
        return TKV_OK;
    }
    return tkv_impl_status(db->options.log ? commit_run(db, &c) : flush(db));
}

/* ---- flushing and compacting ---- */

enum tkv_status tkv_flush(struct tkv *db)
{
    return db->options.read_only ? TKV_READONLY : tkv_impl_status(flush(db));
}

enum tkv_status tkv_durable_tag(struct tkv *db, uint64_t *tag)
{
    env_mutex_lock(db->env, &db->mutex);
    *tag = db->durable_tag;
    env_mutex_unlock(db->env, &db->mutex);
    return TKV_OK;
}

enum tkv_status tkv_flush_to(struct tkv *db, uint64_t tag)
{
    env_mutex_lock(db->env, &db->mutex);
    bool known = tag <= db->tag;
    bool durable = tag <= db->durable_tag;
    env_mutex_unlock(db->env, &db->mutex);
    if (!known) {
        return TKV_INVALID;
    }
    return durable ? TKV_OK : tkv_flush(db);
}

enum tkv_status tkv_wait_idle(struct tkv *db)
{
    if (db->options.read_only) {
        return TKV_OK;
    }
    env_mutex_lock(db->env, &db->mutex);
    enum status st = background_wait_idle(db);
    env_mutex_unlock(db->env, &db->mutex);
    return tkv_impl_status(st);
}

/* Moves what a level has in the range into the next one. Under mutex, which is let go meanwhile. */
static enum status level_compact(struct tkv *db, int level, const struct slice *begin,
                                 const struct slice *end)
{
    for (;;) {
        struct compaction *c = NULL;
        enum status st = pick_manual(db, level, begin, end, &c);
        if (st == ST_OK && c != NULL) {
            bool once = level == 0 || c->output == level; /* flushes go on; written anew */
            st = background_compact(db, c);
            if (once) {
                return st;
            }
        } else if (st == ST_OK && db->compacting > 0) {
            (void)env_cond_wait(db->env, &db->progress, &db->mutex, ENV_NEVER); /* it may be busy */
        } else {
            return st;
        }
        if (st != ST_OK) {
            return st;
        }
    }
}

enum tkv_status tkv_compact_range(struct tkv *db, const void *begin, size_t begin_size,
                                  const void *end, size_t end_size)
{
    struct slice from = slice_of(begin, begin_size);
    struct slice to = slice_of(end, end_size);
    const struct slice *b = begin != NULL ? &from : NULL;
    const struct slice *e = end != NULL ? &to : NULL;
    enum tkv_status flushed = tkv_flush(db);
    if (flushed != TKV_OK) {
        return flushed;
    }
    enum status st = ST_OK;
    env_mutex_lock(db->env, &db->mutex);
    db->manual++;
    for (int level = 0; st == ST_OK && level < TKV_LEVELS; level++) {
        st = level_compact(db, level, b, e);
    }
    db->manual--;
    db->sweep = true;
    background_kick(db);
    env_mutex_unlock(db->env, &db->mutex);
    return tkv_impl_status(st);
}

/* ---- looking inside ---- */

static void table_stats_fill(struct tkv *db, struct tkv_stats *s)
{
    struct table_stripe sum;
    struct tabcache_stats tables;
    struct blockcache_stats blocks = {0};
    table_stats_sum(&db->table_stats, &sum);
    tabcache_stats(&db->tabcache, &tables);
    if (db->blockcache != NULL) {
        blockcache_stats(db->blockcache, &blocks);
    }
    s->filter_checks = sum.filter_checks;
    s->filter_misses = sum.filter_misses;
    s->read_bytes = sum.read_bytes;
    s->tables_open = tables.files;
    s->meta_bytes = tables.bytes;
    s->cache_bytes = blocks.bytes;
    s->cache_hits = blocks.hits;
    s->cache_misses = blocks.misses;
}

void tkv_stats(struct tkv *db, struct tkv_stats *stats)
{
    env_mutex_lock(db->env, &db->mutex);
    struct tkv_stats s = db->stats;
    const struct superversion *sv = db->superversion;
    s.sequence = db_sequence(db);
    s.memory_bytes = superversion_bytes(sv);
    s.logs = db->logs_count;
    for (size_t i = 0; i < db->logs_count; i++) {
        s.log_bytes += db->logs[i].size;
    }
    s.syncs = atomic_get_u64(&db->syncs);
    s.write_error = tkv_impl_status(db->broken);
    for (int level = 0; level < TKV_LEVELS; level++) {
        s.levels[level].tables = sv->version->levels[level].count;
        s.levels[level].bytes = sv->version->levels[level].bytes;
    }
    env_mutex_unlock(db->env, &db->mutex);
    table_stats_fill(db, &s);
    s.size = stats->size;
    memcpy(stats, &s, s.size < sizeof s ? s.size : sizeof s);
}
