/* bench_leveldb.c - LevelDB through its C API, as a peer of the benchmark. */
#include "tests/bench/bench_peer.h"

#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>

struct db {
    leveldb_t *level;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
};

struct thread {
    leveldb_t *level;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *buffered;
    leveldb_writeoptions_t *synced;
    leveldb_writebatch_t *batch;
    leveldb_iterator_t *iter;
};

static void must(char *error, const char *what)
{
    if (error != NULL) {
        bench_die("leveldb: %s: %s", what, error);
    }
}

static void version(char *text, size_t size)
{
    (void)snprintf(text, size, "LevelDB %d.%d", leveldb_major_version(), leveldb_minor_version());
}

static void *open_db(const struct peer_config *c, const char *dir)
{
    struct db *db = bench_alloc(sizeof *db);
    char *error = NULL;
    db->options = leveldb_options_create();
    db->cache = leveldb_cache_create_lru((size_t)c->cache_bytes);
    db->filter = c->filter_bits > 0 ? leveldb_filterpolicy_create_bloom((int)c->filter_bits) : NULL;
    leveldb_options_set_create_if_missing(db->options, 1);
    leveldb_options_set_write_buffer_size(db->options, (size_t)c->write_buffer_bytes);
    leveldb_options_set_cache(db->options, db->cache);
    leveldb_options_set_filter_policy(db->options, db->filter);
    leveldb_options_set_compression(db->options, c->compression ? leveldb_snappy_compression
                                                                : leveldb_no_compression);
    db->level = leveldb_open(db->options, dir, &error);
    must(error, "open");
    return db;
}

static void close_db(void *arg)
{
    struct db *db = arg;
    leveldb_close(db->level);
    leveldb_options_destroy(db->options);
    leveldb_cache_destroy(db->cache);
    if (db->filter != NULL) {
        leveldb_filterpolicy_destroy(db->filter);
    }
    free(db);
}

static bool compact(void *arg)
{
    struct db *db = arg;
    leveldb_compact_range(db->level, NULL, 0, NULL, 0);
    return true;
}

static void *thread_new(void *arg)
{
    struct db *db = arg;
    struct thread *t = bench_alloc(sizeof *t);
    t->level = db->level;
    t->read = leveldb_readoptions_create();
    t->buffered = leveldb_writeoptions_create();
    t->synced = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(t->synced, 1);
    t->batch = leveldb_writebatch_create();
    return t;
}

static void thread_free(void *arg)
{
    struct thread *t = arg;
    leveldb_readoptions_destroy(t->read);
    leveldb_writeoptions_destroy(t->buffered);
    leveldb_writeoptions_destroy(t->synced);
    leveldb_writebatch_destroy(t->batch);
    free(t);
}

static void put(void *arg, struct slice key, struct slice value, bool sync)
{
    struct thread *t = arg;
    char *error = NULL;
    leveldb_put(t->level, sync ? t->synced : t->buffered, key.data, key.size, value.data,
                value.size, &error);
    must(error, "put");
}

static void remove_key(void *arg, struct slice key)
{
    struct thread *t = arg;
    char *error = NULL;
    leveldb_delete(t->level, t->buffered, key.data, key.size, &error);
    must(error, "delete");
}

static void batch_put(void *arg, struct slice key, struct slice value)
{
    struct thread *t = arg;
    leveldb_writebatch_put(t->batch, key.data, key.size, value.data, value.size);
}

static void batch_write(void *arg)
{
    struct thread *t = arg;
    char *error = NULL;
    leveldb_write(t->level, t->buffered, t->batch, &error);
    must(error, "write");
    leveldb_writebatch_clear(t->batch);
}

static bool get(void *arg, struct slice key, char *value, size_t capacity, size_t *size)
{
    struct thread *t = arg;
    char *error = NULL;
    char *found = leveldb_get(t->level, t->read, key.data, key.size, size, &error);
    must(error, "get");
    if (found == NULL) {
        return false;
    }
    memcpy(value, found, *size < capacity ? *size : capacity);
    leveldb_free(found);
    return true;
}

static void cursor_open(void *arg)
{
    struct thread *t = arg;
    t->iter = leveldb_create_iterator(t->level, t->read);
}

static void cursor_close(void *arg)
{
    struct thread *t = arg;
    leveldb_iter_destroy(t->iter);
}

static bool at(leveldb_iterator_t *iter, struct entry *e)
{
    if (!leveldb_iter_valid(iter)) {
        char *error = NULL;
        leveldb_iter_get_error(iter, &error);
        must(error, "scan");
        return false;
    }
    e->key.data = leveldb_iter_key(iter, &e->key.size);
    e->value.data = leveldb_iter_value(iter, &e->value.size);
    return true;
}

static bool seek(void *arg, struct slice key, struct entry *e)
{
    struct thread *t = arg;
    leveldb_iter_seek(t->iter, key.data, key.size);
    return at(t->iter, e);
}

static bool first(void *arg, struct entry *e)
{
    struct thread *t = arg;
    leveldb_iter_seek_to_first(t->iter);
    return at(t->iter, e);
}

static bool last(void *arg, struct entry *e)
{
    struct thread *t = arg;
    leveldb_iter_seek_to_last(t->iter);
    return at(t->iter, e);
}

static bool next(void *arg, struct entry *e)
{
    struct thread *t = arg;
    leveldb_iter_next(t->iter);
    return at(t->iter, e);
}

static bool prev(void *arg, struct entry *e)
{
    struct thread *t = arg;
    leveldb_iter_prev(t->iter);
    return at(t->iter, e);
}

const struct peer bench_leveldb = {
    .name = "leveldb",
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
