/* tkv.c - the public calls that are not batches or cursors: open, close, write, read, stats. */
#include "engine/tkv.h"

#include "base/ck.h"
#include "base/err.h"
#include "engine/background.h"
#include "engine/commit.h"
#include "engine/recover.h"
#include "engine/tkv_impl.h"

_Static_assert(sizeof(struct err) == sizeof(struct tkv_error), "one is handed out as the other");
_Static_assert((int)TKV_TOOBIG == (int)ST_TOOBIG, "public statuses are statuses");
_Static_assert((int)TKV_NOTFOUND == (int)ST_NOENT, "public statuses are statuses");
_Static_assert((int)TKV_UNSUPPORTED == (int)ST_UNSUPPORTED, "public statuses are statuses");

#define BUFFER_BYTES_DEFAULT ((uint64_t)64 << 20)
#define TABLES_DEFAULT       4
#define TABLES_MAX           64

void tkv_options_init(struct tkv_options *o)
{
    *o = (struct tkv_options){.size = sizeof *o,
                              .create_if_missing = true,
                              .write_buffer_bytes = BUFFER_BYTES_DEFAULT,
                              .memtables_max = TABLES_DEFAULT};
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

static enum status options_check(const struct tkv_options *o, const char *dir, struct err *err)
{
    if (o->size < sizeof *o || o->env == NULL) {
        err_set(err, "options: not made by tkv_options_init, or without an env");
        return ST_INVAL;
    }
    if (o->memtables_max < 1 || o->memtables_max > TABLES_MAX) {
        err_set(err, "options: memtables_max is not in 1..%d", TABLES_MAX);
        return ST_INVAL;
    }
    size_t n = strlen(dir);
    if (n == 0 || n > ENV_PATH_MAX - FNAME_SIZE) {
        err_set(err, "directory: its name is empty or too long");
        return ST_INVAL;
    }
    return ST_OK;
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
                       .verify = o->verify,
                       .buffer_bytes = o->write_buffer_bytes,
                       .full_max = o->memtables_max,
                       .next_file = 1,
                       .log = {.fd = -1}};
    memcpy(db->dir, dir, n);
    list_init(&db->commits);
    list_init(&db->snapshots);
    env_mutex_init(db->env, &db->mutex);
    env_mutex_init(db->env, &db->names);
    env_cond_init(db->env, &db->work);
    env_cond_init(db->env, &db->progress);
    return db;
}

static void db_free(struct tkv *db)
{
    memview_unref(db->version);
    wal_release(&db->log);
    env_release(db->env, db->logs);
    if (db->lock_fd >= 0) {
        (void)env_fd_close(db->env, db->lock_fd); /* dropped in any case */
    }
    env_cond_release(db->env, &db->progress);
    env_cond_release(db->env, &db->work);
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
    st = env_path_lock(db->env, path, &db->lock_fd);
    if (st != ST_OK) {
        db->lock_fd = -1;
        return err_status(err, st, path);
    }
    return ST_OK;
}

enum tkv_status tkv_open(const struct tkv_options *o, const char *dir, struct tkv **out,
                         struct tkv_error *error)
{
    struct err err = {.text = ""};
    struct tkv *db = NULL;
    enum status st = options_check(o, dir, &err);
    if (st == ST_OK) {
        db = db_new(o, dir);
        st = db != NULL ? ST_OK : ST_NOMEM;
    }
    if (st == ST_OK) {
        st = directory_take(db, o->create_if_missing, &err);
    }
    if (st == ST_OK) {
        st = wal_init(&db->log, db->env);
    }
    if (st == ST_OK) {
        struct recover_options r = {o->create_if_missing, o->error_if_exists};
        st = recover_run(db, &r, &err);
    }
    if (st == ST_OK) {
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

/* Syncs the log, and says in it that this was done. */
static enum status log_end(struct tkv *db)
{
    enum status st = db->log.synced == db->log.size ? ST_OK : wal_sync(&db->log);
    if (st == ST_OK) {
        /* the mark spares the next open a copy; that it gets there is not needed */
        enum status mark = wal_append_mark(&db->log);
        mark = mark == ST_OK ? wal_flush(&db->log) : mark;
        if (mark != ST_OK) {
            env_log(db->env, ENV_LOG_WARN, "log: its end could not be marked");
        }
    }
    return st;
}

enum tkv_status tkv_close(struct tkv *db)
{
    background_stop(db);
    CK(list_empty(&db->commits));
    CK(list_empty(&db->snapshots));
    CK(db->iterators == 0);
    enum status st = db->broken != ST_OK ? db->broken : log_end(db);
    db_free(db);
    return tkv_impl_status(st);
}

/* ---- writing ---- */

static bool wants_sync(const struct tkv_write_options *o)
{
    return o != NULL && o->sync;
}

static enum tkv_status change(struct tkv *db, const struct tkv_write_options *o,
                              const struct batch_entry *e)
{
    if (e->key.size > TKV_KEY_MAX || e->value.size > TKV_VALUE_MAX) {
        return TKV_TOOBIG;
    }
    struct commit c = {.entry = *e, .count = 1, .sync = wants_sync(o)};
    return tkv_impl_status(commit_run(db, &c));
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

enum tkv_status tkv_write(struct tkv *db, const struct tkv_write_options *o,
                          const struct tkv_batch *batch, uint64_t *sequence)
{
    struct commit c = {
        .batch = buf_slice(&batch->bytes), .count = tkv_batch_count(batch), .sync = wants_sync(o)};
    enum status st = commit_run(db, &c);
    if (st == ST_OK && sequence != NULL) {
        *sequence = c.sequence;
    }
    return tkv_impl_status(st);
}

enum tkv_status tkv_sync(struct tkv *db)
{
    struct commit c = {.sync = true};
    return tkv_impl_status(commit_run(db, &c));
}

enum tkv_status tkv_flush(struct tkv *db)
{
    struct commit c = {.rotate = true};
    enum status st = commit_run(db, &c);
    if (st != ST_OK) {
        return tkv_impl_status(st);
    }
    env_mutex_lock(db->env, &db->mutex);
    /* every table that was full then is merged once the active one's first log is the first */
    uint64_t log = memview_active(db->version)->log;
    while (st == ST_OK && memview_full(db->version) > 0 &&
           db->version->tables[memview_full(db->version)]->log < log) {
        st = background_wait(db);
    }
    env_mutex_unlock(db->env, &db->mutex);
    return tkv_impl_status(st);
}

/* ---- reading ---- */

struct memview *tkv_impl_view(struct tkv *db, const struct tkv_read_options *o, uint64_t *sequence)
{
    struct memview *v = db_view(db, sequence);
    if (o != NULL && o->snapshot != NULL) {
        *sequence = o->snapshot->sequence;
    }
    return v;
}

enum tkv_status tkv_get(struct tkv *db, const struct tkv_read_options *o, const void *key,
                        size_t key_size, void *value, size_t capacity, size_t *value_size)
{
    uint64_t sequence;
    struct memtable *owner;
    struct memview *v = tkv_impl_view(db, o, &sequence);
    const struct skl_node *n = memview_get(v, slice_of(key, key_size), sequence, &owner);
    bool found = n != NULL && n->type == BATCH_PUT;
    if (found) {
        struct slice s = skl_value(n);
        size_t size = s.size < capacity ? s.size : capacity;
        if (size > 0) {
            memcpy(value, s.data, size);
        }
        *value_size = s.size;
    }
    memview_unref(v);
    return found ? TKV_OK : TKV_NOTFOUND;
}

enum tkv_status tkv_get_pin(struct tkv *db, const struct tkv_read_options *o, const void *key,
                            size_t key_size, struct tkv_pin *pin)
{
    uint64_t sequence;
    struct memtable *owner;
    struct memview *v = tkv_impl_view(db, o, &sequence);
    const struct skl_node *n = memview_get(v, slice_of(key, key_size), sequence, &owner);
    bool found = n != NULL && n->type == BATCH_PUT;
    if (found) {
        struct slice s = skl_value(n);
        memtable_ref(owner);
        (void)atomic_add_u64(&db->iterators, 1); /* the count is looked at in tkv_close alone */
        *pin = (struct tkv_pin){s.data, s.size, owner};
    }
    memview_unref(v);
    return found ? TKV_OK : TKV_NOTFOUND;
}

void tkv_pin_release(struct tkv *db, struct tkv_pin *pin)
{
    if (pin->owner != NULL) {
        memtable_unref(pin->owner);
        (void)atomic_add_u64(&db->iterators, -1); /* as above */
    }
    *pin = (struct tkv_pin){0};
}

enum tkv_status tkv_snapshot_new(struct tkv *db, const struct tkv_snapshot **snapshot)
{
    struct tkv_snapshot *s = env_alloc(db->env, sizeof *s);
    if (s == NULL) {
        return TKV_NOMEM;
    }
    env_mutex_lock(db->env, &db->mutex);
    s->sequence = db->sequence;
    list_insert(&db->snapshots, &s->link);
    env_mutex_unlock(db->env, &db->mutex);
    *snapshot = s;
    return TKV_OK;
}

void tkv_snapshot_free(struct tkv *db, const struct tkv_snapshot *snapshot)
{
    if (snapshot == NULL) {
        return;
    }
    struct tkv_snapshot *s;
    memcpy(&s, &snapshot, sizeof s); /* it was ours all along; const is for its holder */
    env_mutex_lock(db->env, &db->mutex);
    list_remove(&s->link);
    env_mutex_unlock(db->env, &db->mutex);
    env_release(db->env, s);
}

void tkv_stats(struct tkv *db, struct tkv_stats *stats)
{
    struct tkv_stats s = {.size = stats->size};
    env_mutex_lock(db->env, &db->mutex);
    s.sequence = db->sequence;
    s.memory_bytes = memview_bytes(db->version);
    s.logs = db->logs_count;
    for (size_t i = 0; i < db->logs_count; i++) {
        s.log_bytes += db->logs[i].size;
    }
    s.syncs = db->syncs;
    s.flushes = db->flushes;
    s.flush_errors = db->flush_errors;
    s.recovered_records = db->recovered_records;
    s.recovered_dropped = db->recovered_dropped;
    s.write_error = tkv_impl_status(db->broken);
    env_mutex_unlock(db->env, &db->mutex);
    memcpy(stats, &s, s.size < sizeof s ? s.size : sizeof s);
}
