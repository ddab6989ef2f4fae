/* bench_peer.h - what the engine's benchmark asks of a store: one struct of function pointers for
 * each, so that all do the same work through the same calls.
 *
 * A store is driven through handles, one a thread, which hold what a careful user would keep
 * between calls: option structs, a read transaction, a buffer. Anything that goes wrong ends the
 * process (bench_die): a benchmark of failing calls measures nothing. Bytes that a cursor gives
 * are borrowed until it moves; get copies into the caller's buffer, as all can. */
#ifndef TESTS_BENCH_BENCH_PEER_H
#define TESTS_BENCH_BENCH_PEER_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>

struct peer_config {
    uint64_t write_buffer_bytes;
    uint64_t cache_bytes;
    uint64_t map_bytes; /* LMDB: the most that the file may grow to */
    unsigned filter_bits;
    unsigned threads; /* background threads, where that can be chosen */
    bool compression; /* the fastest codec that it has */
    bool sync;        /* whether writes will ask for sync: for LMDB that is how it is opened */
};

struct entry {
    struct slice key;
    struct slice value;
};

struct peer {
    const char *name;
    void (*version)(char *text, size_t size);
    bool has_log; /* a crash leaves a log to be replayed */

    void *(*open)(const struct peer_config *c, const char *dir); /* made when missing */
    void (*close)(void *db);
    /* Merges everything into one level, and waits. False: it cannot. NULL: nothing to merge. */
    bool (*compact)(void *db);

    void *(*thread_new)(void *db);
    void (*thread_free)(void *t);
    void (*put)(void *t, struct slice key, struct slice value, bool sync);
    void (*remove)(void *t, struct slice key);
    void (*batch_put)(void *t, struct slice key, struct slice value);
    void (*batch_write)(void *t);
    bool (*get)(void *t, struct slice key, char *value, size_t capacity, size_t *size);

    /* One cursor a handle at a time. False: there is no such entry. */
    void (*cursor_open)(void *t);
    void (*cursor_close)(void *t);
    bool (*seek)(void *t, struct slice key, struct entry *e); /* the first >= key */
    bool (*first)(void *t, struct entry *e);
    bool (*last)(void *t, struct entry *e);
    bool (*next)(void *t, struct entry *e);
    bool (*prev)(void *t, struct entry *e);
};

extern const struct peer bench_tinykv;
#ifdef HAVE_LEVELDB
extern const struct peer bench_leveldb;
#endif
#ifdef HAVE_ROCKSDB
extern const struct peer bench_rocksdb;
#endif
#ifdef HAVE_LMDB
extern const struct peer bench_lmdb;
#endif

/* Prints what went wrong and ends this process with exit code 3. */
noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A zeroed block; ends the process when there is none. */
void *bench_alloc(size_t size);

#endif
