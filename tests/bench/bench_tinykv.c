/* bench_tinykv.c - the engine of this tree, as a peer of the benchmark. */
#include "engine/tkv.h"
#include "env/env_posix.h"
#include "tests/bench/bench_peer.h"

#include <stdio.h>
#include <stdlib.h>

struct db {
    struct env *env;
    struct tkv *tkv;
};

struct thread {
    struct db *db;
    struct tkv_batch *batch;
    struct tkv_iter *iter;
    struct tkv_write_options synced;
};

static void must(enum tkv_status st, const char *what)
{
    if (st != TKV_OK) {
        bench_die("tinykv: %s: %s", what, tkv_status_text(st));
    }
}

static void version(char *text, size_t size)
{
    (void)snprintf(text, size, "tinykv of this tree");
}

static void *open_db(const struct peer_config *c, const char *dir)
{
    struct db *db = bench_alloc(sizeof *db);
    struct env_posix_options quiet = {NULL, ENV_LOG_ERROR};
    if (env_posix_new(&quiet, &db->env) != ST_OK) {
        bench_die("tinykv: no Env");
    }
    struct tkv_options o;
    tkv_options_init(&o);
    o.env = db->env;
    o.write_buffer_bytes = c->write_buffer_bytes;
    o.cache_bytes = c->cache_bytes;
    o.filter_bits = c->filter_bits;
    o.threads = c->threads;
    for (unsigned i = 0; i < TKV_LEVELS; i++) {
        o.compression[i] = c->compression ? TKV_COMPRESSION_LZ4 : TKV_COMPRESSION_NONE;
    }
    struct tkv_error error = {""};
    enum tkv_status st = tkv_open(&o, dir, &db->tkv, &error);
    if (st != TKV_OK) {
        bench_die("tinykv: open %s: %s %s", dir, tkv_status_text(st), error.text);
    }
    return db;
}

static void close_db(void *arg)
{
    struct db *db = arg;
    must(tkv_close(db->tkv), "close");
    env_posix_free(db->env);
    free(db);
}

static bool compact(void *arg)
{
    struct db *db = arg;
    enum tkv_status st = tkv_compact_range(db->tkv, NULL, 0, NULL, 0);
    if (st == TKV_UNSUPPORTED) {
        return false;
    }
    must(st, "compact");
    return true;
}

static void *thread_new(void *arg)
{
    struct thread *t = bench_alloc(sizeof *t);
    t->db = arg;
    must(tkv_batch_new(t->db->env, &t->batch), "batch");
    tkv_write_options_init(&t->synced);
    t->synced.sync = true;
    return t;
}

static void thread_free(void *arg)
{
    struct thread *t = arg;
    tkv_batch_free(t->batch);
    free(t);
}

static void put(void *arg, struct slice key, struct slice value, bool sync)
{
    struct thread *t = arg;
    must(tkv_put(t->db->tkv, sync ? &t->synced : NULL, key.data, key.size, value.data, value.size),
         "put");
}

static void remove_key(void *arg, struct slice key)
{
    struct thread *t = arg;
    must(tkv_delete(t->db->tkv, NULL, key.data, key.size), "delete");
}

static void batch_put(void *arg, struct slice key, struct slice value)
{
    struct thread *t = arg;
    must(tkv_batch_put(t->batch, key.data, key.size, value.data, value.size), "batch put");
}

static void batch_write(void *arg)
{
    struct thread *t = arg;
    must(tkv_write(t->db->tkv, NULL, t->batch, NULL), "write");
    tkv_batch_clear(t->batch);
}

static bool get(void *arg, struct slice key, char *value, size_t capacity, size_t *size)
{
    struct thread *t = arg;
    enum tkv_status st = tkv_get(t->db->tkv, NULL, key.data, key.size, value, capacity, size);
    if (st == TKV_NOTFOUND) {
        return false;
    }
    must(st, "get");
    return true;
}

static void cursor_open(void *arg)
{
    struct thread *t = arg;
    must(tkv_iter_new(t->db->tkv, NULL, &t->iter), "iterator");
}

static void cursor_close(void *arg)
{
    struct thread *t = arg;
    tkv_iter_free(t->iter);
}

static bool at(struct tkv_iter *iter, struct entry *e)
{
    if (!tkv_iter_valid(iter)) {
        must(tkv_iter_status(iter), "scan");
        return false;
    }
    e->key.data = tkv_iter_key(iter, &e->key.size);
    e->value.data = tkv_iter_value(iter, &e->value.size);
    return true;
}

static bool seek(void *arg, struct slice key, struct entry *e)
{
    struct thread *t = arg;
    tkv_iter_seek(t->iter, key.data, key.size);
    return at(t->iter, e);
}

static bool first(void *arg, struct entry *e)
{
    struct thread *t = arg;
    tkv_iter_first(t->iter);
    return at(t->iter, e);
}

static bool last(void *arg, struct entry *e)
{
    struct thread *t = arg;
    tkv_iter_last(t->iter);
    return at(t->iter, e);
}

static bool next(void *arg, struct entry *e)
{
    struct thread *t = arg;
    tkv_iter_next(t->iter);
    return at(t->iter, e);
}

static bool prev(void *arg, struct entry *e)
{
    struct thread *t = arg;
    tkv_iter_prev(t->iter);
    return at(t->iter, e);
}

const struct peer bench_tinykv = {
    .name = "tinykv",
    .version = version,
    .has_log = true,
    .open = open_db,
    .close = close_db,
    .compact = compact,
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
