/* bench_lmdb.c - LMDB as a peer of the benchmark.
 *
 * Each put and delete is a transaction of its own, as durable as the others': without sync it has
 * been written to the file (MDB_NOSYNC), with sync it is on the medium. A read renews the
 * thread's read transaction, so that it sees the latest state, and lets go of it at once. */
#include "tests/bench/bench_peer.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct db {
    MDB_env *env;
    MDB_dbi dbi;
};

struct thread {
    struct db *db;
    MDB_txn *reading; /* reset between reads */
    MDB_cursor *cursor;
    MDB_txn *batch; /* NULL: none has begun */
};

static void must(int code, const char *what)
{
    if (code != 0) {
        bench_die("lmdb: %s: %s", what, mdb_strerror(code));
    }
}

static MDB_val val_of(struct slice s)
{
    return (MDB_val){s.size, (void *)(uintptr_t)s.data}; /* LMDB does not write to it */
}

static void version(char *text, size_t size)
{
    (void)snprintf(text, size, "LMDB %d.%d.%d", MDB_VERSION_MAJOR, MDB_VERSION_MINOR,
                   MDB_VERSION_PATCH);
}

static void *open_db(const struct peer_config *c, const char *dir)
{
    struct db *db = bench_alloc(sizeof *db);
    MDB_txn *txn;
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        bench_die("lmdb: %s: %s", dir, strerror(errno));
    }
    must(mdb_env_create(&db->env), "create");
    must(mdb_env_set_mapsize(db->env, (size_t)c->map_bytes), "map size");
    must(mdb_env_open(db->env, dir, MDB_NOTLS | (c->sync ? 0 : MDB_NOSYNC), 0666), "open");
    must(mdb_txn_begin(db->env, NULL, 0, &txn), "begin");
    must(mdb_dbi_open(txn, NULL, 0, &db->dbi), "open");
    must(mdb_txn_commit(txn), "commit");
    return db;
}

static void close_db(void *arg)
{
    struct db *db = arg;
    must(mdb_env_sync(db->env, 1), "sync");
    mdb_env_close(db->env);
    free(db);
}

static void *thread_new(void *arg)
{
    struct thread *t = bench_alloc(sizeof *t);
    t->db = arg;
    must(mdb_txn_begin(t->db->env, NULL, MDB_RDONLY, &t->reading), "begin");
    must(mdb_cursor_open(t->reading, t->db->dbi, &t->cursor), "cursor");
    mdb_txn_reset(t->reading);
    return t;
}

static void thread_free(void *arg)
{
    struct thread *t = arg;
    mdb_cursor_close(t->cursor);
    mdb_txn_abort(t->reading);
    free(t);
}

static void put(void *arg, struct slice key, struct slice value, bool sync)
{
    struct thread *t = arg;
    MDB_txn *txn;
    MDB_val k = val_of(key);
    MDB_val v = val_of(value);
    (void)sync; /* opened so */
    must(mdb_txn_begin(t->db->env, NULL, 0, &txn), "begin");
    must(mdb_put(txn, t->db->dbi, &k, &v, 0), "put");
    must(mdb_txn_commit(txn), "commit");
}

static void remove_key(void *arg, struct slice key)
{
    struct thread *t = arg;
    MDB_txn *txn;
    MDB_val k = val_of(key);
    must(mdb_txn_begin(t->db->env, NULL, 0, &txn), "begin");
    int code = mdb_del(txn, t->db->dbi, &k, NULL);
    if (code != MDB_NOTFOUND) {
        must(code, "delete");
    }
    must(mdb_txn_commit(txn), "commit");
}

static void batch_put(void *arg, struct slice key, struct slice value)
{
    struct thread *t = arg;
    MDB_val k = val_of(key);
    MDB_val v = val_of(value);
    if (t->batch == NULL) {
        must(mdb_txn_begin(t->db->env, NULL, 0, &t->batch), "begin");
    }
    must(mdb_put(t->batch, t->db->dbi, &k, &v, 0), "put");
}

static void batch_write(void *arg)
{
    struct thread *t = arg;
    must(mdb_txn_commit(t->batch), "commit");
    t->batch = NULL;
}

static bool get(void *arg, struct slice key, char *value, size_t capacity, size_t *size)
{
    struct thread *t = arg;
    MDB_val k = val_of(key);
    MDB_val v;
    must(mdb_txn_renew(t->reading), "renew");
    int code = mdb_get(t->reading, t->db->dbi, &k, &v);
    if (code != MDB_NOTFOUND) {
        must(code, "get");
        *size = v.mv_size;
        memcpy(value, v.mv_data, v.mv_size < capacity ? v.mv_size : capacity);
    }
    mdb_txn_reset(t->reading);
    return code == 0;
}

static void cursor_open(void *arg)
{
    struct thread *t = arg;
    must(mdb_txn_renew(t->reading), "renew");
    must(mdb_cursor_renew(t->reading, t->cursor), "renew");
}

static void cursor_close(void *arg)
{
    struct thread *t = arg;
    mdb_txn_reset(t->reading);
}

static bool move(struct thread *t, MDB_val k, MDB_cursor_op how, struct entry *e)
{
    MDB_val v;
    int code = mdb_cursor_get(t->cursor, &k, &v, how);
    if (code == MDB_NOTFOUND) {
        return false;
    }
    must(code, "scan");
    e->key = slice_of(k.mv_data, k.mv_size);
    e->value = slice_of(v.mv_data, v.mv_size);
    return true;
}

static bool seek(void *arg, struct slice key, struct entry *e)
{
    return move(arg, val_of(key), MDB_SET_RANGE, e);
}

static bool first(void *arg, struct entry *e)
{
    return move(arg, (MDB_val){0}, MDB_FIRST, e);
}

static bool last(void *arg, struct entry *e)
{
    return move(arg, (MDB_val){0}, MDB_LAST, e);
}

static bool next(void *arg, struct entry *e)
{
    return move(arg, (MDB_val){0}, MDB_NEXT, e);
}

static bool prev(void *arg, struct entry *e)
{
    return move(arg, (MDB_val){0}, MDB_PREV, e);
}

const struct peer bench_lmdb = {
    .name = "lmdb",
    .version = version,
    .has_log = false,
    .open = open_db,
    .close = close_db,
    .compact = NULL,
    .thread_new = thread_new,
    .thread_free = thread_free,
    .put = put,
    .remove = remove_key,
    .batch_put = batch_put,
    .batch_write = batch_write,
    .get = get,
    .cursor_open = cursor_open,
    .cursor_close = cursor_close,
    .seek = seek,
    .first = first,
    .last = last,
    .next = next,
    .prev = prev,
};
