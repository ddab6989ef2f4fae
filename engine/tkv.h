/* tkv.h - TinyKV's storage engine: an embeddable, ordered, crash-safe key-value store.
 *
 *     struct tkv_options o;
 *     tkv_options_init(&o);
 *     o.env = env;
 *     struct tkv *db;
 *     if (tkv_open(&o, "data", &db, &error) == TKV_OK) { ... tkv_close(db); }
 *
 * Keys and values are any bytes; keys are ordered bytewise, unsigned, a prefix first.
 *
 * Promises
 *   - A write that returned TKV_OK with sync set survives power loss. One without sync survives
 *     the death of the process, and a power loss keeps a prefix of the writes in the order in
 *     which they were acknowledged. A batch is all or nothing.
 *   - A write that failed is not visible in this process; after a restart it is absent or whole.
 *   - A snapshot or an iterator sees the database as it was when it was made.
 *   - Damaged bytes are reported (TKV_CORRUPT), never returned.
 *
 * Threads: any number may use one database at once; an iterator, a batch and a pin belong to one
 * thread at a time. Ownership: every pointer passed in is borrowed for the call.
 * Every struct that a caller fills has an init function and carries its own size, so that it
 * can grow without breaking programs built against an older header. */
#ifndef TKV_H
#define TKV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct env; /* the world to run in: see env/env.h */
struct tkv;
struct tkv_batch;
struct tkv_iter;
struct tkv_snapshot;

/* Values equal those of enum status (base/status.h) inside the engine. */
enum tkv_status {
    TKV_OK = 0,
    TKV_NOMEM = 1,
    TKV_IO = 2,
    TKV_NOSPC = 3,
    TKV_CORRUPT = 4,
    TKV_NOTFOUND = 5,
    TKV_EXIST = 6,
    TKV_INVALID = 7,
    TKV_BUSY = 8,
    TKV_READONLY = 9,
    TKV_UNSUPPORTED = 28,
    TKV_TOOBIG = 29,
};

/* A message for a person: what failed, in which file, at which offset. */
struct tkv_error {
    char text[256];
};

#define TKV_KEY_MAX   (64u * 1024u)          /* bytes of a key */
#define TKV_VALUE_MAX (512u * 1024u * 1024u) /* bytes of a value */
#define TKV_BATCH_MAX (1u << 30)             /* bytes of an encoded batch */

struct tkv_options {
    uint32_t size;               /* of this struct; set by tkv_options_init */
    struct env *env;             /* required; outlives the database */
    bool create_if_missing;      /* default true; else TKV_NOTFOUND */
    bool error_if_exists;        /* default false; TKV_EXIST */
    bool verify;                 /* default false: whole-structure checks as it runs */
    uint64_t write_buffer_bytes; /* default 64 MiB: a memtable is full at this size */
    uint32_t memtables_max;      /* default 4: full ones that wait before writers do; 1..64 */
};

/* The defaults above, env NULL. */
void tkv_options_init(struct tkv_options *o);

/* Opens the database in directory dir, recovering what its log holds, and starts its background
 * thread. What it then serves is durable already. TKV_BUSY: another process, or this one, has it
 * open. TKV_CORRUPT: error names the file and the offset; nothing was changed.
 * TKV_UNSUPPORTED: written by a newer version. error may be NULL. */
enum tkv_status tkv_open(const struct tkv_options *o, const char *dir, struct tkv **db,
                         struct tkv_error *error);

/* Syncs what was written, stops the background thread and frees everything. Iterators, snapshots
 * and pins must be gone. The status tells whether that last sync succeeded; db is gone in any case.
 */
enum tkv_status tkv_close(struct tkv *db);

/* ---- writing ---- */

struct tkv_write_options {
    uint32_t size;
    bool sync; /* default false: return only once it would survive power loss */
};
void tkv_write_options_init(struct tkv_write_options *o);

/* o == NULL means the defaults, here and below. TKV_TOOBIG over the limits above. After TKV_NOSPC
 * or TKV_IO the database answers reads, tries again by itself in later writes, and accepts them
 * once a fresh log could be made durable. */
enum tkv_status tkv_put(struct tkv *db, const struct tkv_write_options *o, const void *key,
                        size_t key_size, const void *value, size_t value_size);
enum tkv_status tkv_delete(struct tkv *db, const struct tkv_write_options *o, const void *key,
                           size_t key_size);

/* A list of changes applied in order and as one. Its memory comes from env. */
enum tkv_status tkv_batch_new(struct env *env, struct tkv_batch **batch);
void tkv_batch_free(struct tkv_batch *batch);
void tkv_batch_clear(struct tkv_batch *batch);
enum tkv_status tkv_batch_put(struct tkv_batch *batch, const void *key, size_t key_size,
                              const void *value, size_t value_size);
enum tkv_status tkv_batch_delete(struct tkv_batch *batch, const void *key, size_t key_size);
uint32_t tkv_batch_count(const struct tkv_batch *batch);

/* The encoded form: borrowed until the batch changes. */
const void *tkv_batch_data(const struct tkv_batch *batch, size_t *size);

/* Called for each change in order: value == NULL for a delete. Return false to stop. */
typedef bool tkv_batch_fn(void *arg, const void *key, size_t key_size, const void *value,
                          size_t value_size);
/* Walks an encoded batch (from tkv_batch_data, or from anywhere). TKV_CORRUPT when it is none;
 * changes before the damage have been reported then. */
enum tkv_status tkv_batch_walk(const void *data, size_t size, tkv_batch_fn *each, void *arg);

/* Applies the batch; an empty one is a no-op that still syncs when asked. *sequence (may be NULL)
 * gets the number of its last change: numbers rise with every change and are never used twice. */
enum tkv_status tkv_write(struct tkv *db, const struct tkv_write_options *o,
                          const struct tkv_batch *batch, uint64_t *sequence);

/* Makes everything acknowledged so far durable. */
enum tkv_status tkv_sync(struct tkv *db);

/* Moves what the memtable holds into its long-lived form and waits for it; old logs go then. */
enum tkv_status tkv_flush(struct tkv *db);

/* ---- reading ---- */

struct tkv_read_options {
    uint32_t size;
    const struct tkv_snapshot *snapshot; /* default NULL: the latest state */
    /* iterators only: lower <= key < upper; a NULL bound is open. Copied. */
    const void *lower;
    size_t lower_size;
    const void *upper;
    size_t upper_size;
};
void tkv_read_options_init(struct tkv_read_options *o);

/* Copies up to capacity bytes of the value into value; *value_size is its whole length, which may
 * be more. TKV_NOTFOUND when absent. */
enum tkv_status tkv_get(struct tkv *db, const struct tkv_read_options *o, const void *key,
                        size_t key_size, void *value, size_t capacity, size_t *value_size);

/* A value without a copy: the bytes stay until tkv_pin_release. */
struct tkv_pin {
    const void *data;
    size_t size;
    void *owner; /* private */
};
enum tkv_status tkv_get_pin(struct tkv *db, const struct tkv_read_options *o, const void *key,
                            size_t key_size, struct tkv_pin *pin);
void tkv_pin_release(struct tkv *db, struct tkv_pin *pin); /* harmless on a zeroed one */

/* A consistent view, held until released. */
enum tkv_status tkv_snapshot_new(struct tkv *db, const struct tkv_snapshot **snapshot);
void tkv_snapshot_free(struct tkv *db, const struct tkv_snapshot *snapshot);

/* An ordered cursor over live keys, each once. Starts on nothing: seek first. It sees the
 * state of its snapshot, or of its creation. Key and value are borrowed until it moves. */
enum tkv_status tkv_iter_new(struct tkv *db, const struct tkv_read_options *o,
                             struct tkv_iter **iter);
void tkv_iter_free(struct tkv_iter *iter);
void tkv_iter_first(struct tkv_iter *iter);
void tkv_iter_last(struct tkv_iter *iter);
void tkv_iter_seek(struct tkv_iter *iter, const void *key, size_t key_size);      /* first >= key */
void tkv_iter_seek_back(struct tkv_iter *iter, const void *key, size_t key_size); /* last <= key */
void tkv_iter_next(struct tkv_iter *iter);
void tkv_iter_prev(struct tkv_iter *iter);
bool tkv_iter_valid(
    const struct tkv_iter *iter); /* on a key; false at the end and after an error */
const void *tkv_iter_key(const struct tkv_iter *iter, size_t *size);
const void *tkv_iter_value(const struct tkv_iter *iter, size_t *size);
enum tkv_status tkv_iter_status(const struct tkv_iter *iter); /* ask at the end of every scan */

/* ---- looking inside ---- */

struct tkv_stats {
    uint32_t size;         /* set before the call to sizeof(struct tkv_stats) */
    uint64_t sequence;     /* of the last change */
    uint64_t memory_bytes; /* held by memtables */
    uint64_t log_bytes;    /* in live logs */
    uint64_t logs;         /* live logs */
    uint64_t syncs;        /* of logs */
    uint64_t flushes;      /* done */
    uint64_t flush_errors;
    uint64_t recovered_records;  /* replayed at open */
    uint64_t recovered_dropped;  /* bytes of torn tail cut at open */
    enum tkv_status write_error; /* TKV_OK, or why writes fail at present */
};
void tkv_stats(struct tkv *db, struct tkv_stats *stats);

const char *tkv_status_text(enum tkv_status status);

#ifdef __cplusplus
}
#endif

#endif
