/* bench_rocksdb.c - RocksDB through its C API, as a peer of the benchmark. */
#include "tests/bench/bench_peer.h"

#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>

struct db {
    rocksdb_t *rocks;
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    rocksdb_block_based_table_options_t *table;
};

struct thread {
    rocksdb_t *rocks;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *buffered;
    rocksdb_writeoptions_t *synced;
    rocksdb_writebatch_t *batch;
    rocksdb_iterator_t *iter;
};

static void must(char *error, const char *what)
{
    if (error != NULL) {
        bench_die("rocksdb: %s: %s", what, error);
    }
}

static void version(char *text, size_t size)
{
    (void)snprintf(text, size, "RocksDB %s", ROCKSDB_VERSION);
}

static rocksdb_block_based_table_options_t *table_options(const struct peer_config *c,
                                                          rocksdb_cache_t *cache)
{
    rocksdb_block_based_table_options_t *o = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(o, cache);
    if (c->filter_bits > 0) { /* takes the policy */
        rocksdb_block_based_options_set_filter_policy(
            o, rocksdb_filterpolicy_create_bloom_full((double)c->filter_bits));
    }
    return o;
}

static void *open_db(const struct peer_config *c, const char *dir)
{
    struct db *db = bench_alloc(sizeof *db);
    char *error = NULL;
    db->options = rocksdb_options_create();
    db->cache = rocksdb_cache_create_lru((size_t)c->cache_bytes);
    db->table = table_options(c, db->cache);
    rocksdb_options_set_create_if_missing(db->options, 1);
    rocksdb_options_set_write_buffer_size(db->options, (size_t)c->write_buffer_bytes);
    rocksdb_options_set_block_based_table_factory(db->options, db->table);
    rocksdb_options_set_max_background_jobs(db->options, (int)c->threads);
    rocksdb_options_set_compression(db->options, c->compression ? rocksdb_lz4_compression
                                                                : rocksdb_no_compression);
    db->rocks = rocksdb_open(db->options, dir, &error);
    must(error, "open");
    return db;
}

static void close_db(void *arg)
{
    struct db *db = arg;
    rocksdb_close(db->rocks);
    rocksdb_options_destroy(db->options);
    rocksdb_cache_destroy(db->cache);
    rocksdb_block_based_options_destroy(db->table);
    free(db);
}

static bool compact(void *arg)
{
    struct db *db = arg;
    rocksdb_compact_range(db->rocks, NULL, 0, NULL, 0);
    return true;
}

static void *thread_new(void *arg)
{
    struct db *db = arg;
    struct thread *t = bench_alloc(sizeof *t);
    t->rocks = db->rocks;
    t->read = rocksdb_readoptions_create();
    t->buffered = rocksdb_writeoptions_create();
    t->synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(t->synced, 1);
    t->batch = rocksdb_writebatch_create();
    return t;
}

static void thread_free(void *arg)
{
    struct thread *t = arg;
    rocksdb_readoptions_destroy(t->read);
    rocksdb_writeoptions_destroy(t->buffered);
    rocksdb_writeoptions_destroy(t->synced);
    rocksdb_writebatch_destroy(t->batch);
    free(t);
}

static void put(void *arg, struct slice key, struct slice value, bool sync)
{
    struct thread *t = arg;
    char *error = NULL;
    rocksdb_put(t->rocks, sync ? t->synced : t->buffered, key.data, key.size, value.data,
                value.size, &error);
    must(error, "put");
}

static void remove_key(void *arg, struct slice key)
{
    struct thread *t = arg;
    char *error = NULL;
    rocksdb_delete(t->rocks, t->buffered, key.data, key.size, &error);
    must(error, "delete");
}

static void batch_put(void *arg, struct slice key, struct slice value)
{
    struct thread *t = arg;
    rocksdb_writebatch_put(t->batch, key.data, key.size, value.data, value.size);
}

static void batch_write(void *arg)
{
    struct thread *t = arg;
    char *error = NULL;
    rocksdb_write(t->rocks, t->buffered, t->batch, &error);
    must(error, "write");
    rocksdb_writebatch_clear(t->batch);
}

static bool get(void *arg, struct slice key, char *value, size_t capacity, size_t *size)
{
    struct thread *t = arg;
    char *error = NULL;
    rocksdb_pinnableslice_t *found =
        rocksdb_get_pinned(t->rocks, t->read, key.data, key.size, &error);
    must(error, "get");
    if (found == NULL) {
        return false;
    }
    const char *data = rocksdb_pinnableslice_value(found, size);
    memcpy(value, data, *size < capacity ? *size : capacity);
    rocksdb_pinnableslice_destroy(found);
    return true;
}

static void cursor_open(void *arg)
{
    struct thread *t = arg;
    t->iter = rocksdb_create_iterator(t->rocks, t->read);
}

static void cursor_close(void *arg)
{
    struct thread *t = arg;
    rocksdb_iter_destroy(t->iter);
}

static bool at(rocksdb_iterator_t *iter, struct entry *e)
{
    if (!rocksdb_iter_valid(iter)) {
        char *error = NULL;
        rocksdb_iter_get_error(iter, &error);
        must(error, "scan");
        return false;
    }
    e->key.data = rocksdb_iter_key(iter, &e->key.size);
    e->value.data = rocksdb_iter_value(iter, &e->value.size);
    return true;
}

static bool seek(void *arg, struct slice key, struct entry *e)
{
    struct thread *t = arg;
    rocksdb_iter_seek(t->iter, key.data, key.size);
    return at(t->iter, e);
}

static bool first(void *arg, struct entry *e)
{
    struct thread *t = arg;
    rocksdb_iter_seek_to_first(t->iter);
    return at(t->iter, e);
}

static bool last(void *arg, struct entry *e)
{
    struct thread *t = arg;
    rocksdb_iter_seek_to_last(t->iter);
    return at(t->iter, e);
}

static bool next(void *arg, struct entry *e)
{
    struct thread *t = arg;
    rocksdb_iter_next(t->iter);
    return at(t->iter, e);
}

static bool prev(void *arg, struct entry *e)
{
    struct thread *t = arg;
    rocksdb_iter_prev(t->iter);
    return at(t->iter, e);
}

const struct peer bench_rocksdb = {
    .name = "rocksdb",
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
