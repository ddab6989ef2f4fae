/* tkv.h - TinyKV's storage engine: an embeddable, ordered, crash-safe key-value store.
 *
 *     struct tkv_options o;
 *     tkv_options_init(&o);
 *     o.env = env;
 *     struct tkv *db;
 *     if (tkv_open(&o, "data", &db, &error) == TKV_OK) { ... tkv_close(db); }
 *
 * Keys and values are any bytes; keys are ordered bytewise, unsigned, a prefix first, unless the
 * options name another order.
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

/* Bytes that somebody else owns. */
struct tkv_slice {
    const void *data;
    size_t size;
};

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
    TKV_MFILE = 10, /* no descriptor was left: trying again may help, as with NOMEM and NOSPC */
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

#define TKV_LEVELS 7 /* of tables on disk */

/* An order of keys other than bytewise. Lives longer than the database. Its name is stored: a
 * database opens under the order that it was made with and no other. Equal means equal bytes. */
struct tkv_comparator {
    const char *name; /* at most 63 bytes */
    void *arg;
    int (*compare)(void *arg, const void *a, size_t a_size, const void *b, size_t b_size);
};

enum tkv_compression { TKV_COMPRESSION_NONE = 0, TKV_COMPRESSION_LZ4 = 1 };

struct tkv_options {
    uint32_t size;          /* of this struct; set by tkv_options_init */
    struct env *env;        /* required; outlives the database */
    bool create_if_missing; /* default true; else TKV_NOTFOUND */
    bool error_if_exists;   /* default false; TKV_EXIST */
    bool verify;            /* default false: whole-structure checks as it runs */
    bool read_only;         /* default false: nothing is changed on disk, writes are TKV_READONLY */
    bool log;               /* default true; false: writes carry tags, their owner replays them */
    const struct tkv_comparator *comparator; /* default NULL: bytewise */

    uint64_t write_buffer_bytes; /* default 64 MiB: a memtable is full at this size */
    uint32_t memtables_max;      /* default 4: full ones that wait before writers do; 1..64 */
    uint64_t cache_bytes;        /* default 8 MiB: data blocks, unpacked; 0: none */
    uint64_t meta_bytes;         /* default 64 MiB: indexes and filters of open tables */
    uint32_t files_max;          /* default 512: tables open at once; at least 8 */

    uint32_t block_bytes;             /* default 2048: 64..1 MiB, before compression */
    uint64_t table_bytes;             /* default 32 MiB: a compaction's output is cut here */
    uint32_t filter_bits;             /* default 10 a key; 0: no filter; at most 64 */
    uint32_t prefix_bytes;            /* default 0; else keys' first bytes are in the filter too */
    uint8_t compression[TKV_LEVELS];  /* enum tkv_compression; default LZ4 from level 2 on */
    uint32_t level0_files;            /* default 4: compact at so many tables in level 0 */
    uint32_t level0_slow;             /* default 12: writers are slowed down */
    uint32_t level0_stop;             /* default 24: and stopped */
    uint64_t level1_bytes;            /* default 128 MiB: what level 1 may hold */
    uint32_t level_factor;            /* default 10: each level holds so many times the last */
    uint32_t threads;                 /* default 2: for flushes and compactions; 1..16 */
    uint64_t background_bytes_second; /* default 0: no limit on what compactions write */
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
 * The next open takes it from the files that they are on the medium: whoever copies the directory
 * by other means than tkv_checkpoint() syncs the copy before it is opened. */
enum tkv_status tkv_close(struct tkv *db);

/* ---- writing ---- */

struct tkv_write_options {
    uint32_t size;
    bool sync;    /* default false: return only once it would survive power loss */
    uint64_t tag; /* default 0: none. Without a log: what tkv_durable_tag() is to tell */
};
void tkv_write_options_init(struct tkv_write_options *o);

/* o == NULL means the defaults, here and below. TKV_TOOBIG over the limits above. After TKV_NOSPC
 * or TKV_IO the database answers reads, tries again by itself in later writes, and accepts them
 * once a fresh log could be made durable. */
enum tkv_status tkv_put(struct tkv *db, const struct tkv_write_options *o, const void *key,
                        size_t key_size, const void *value, size_t value_size);
enum tkv_status tkv_delete(struct tkv *db, const struct tkv_write_options *o, const void *key,
                           size_t key_size);
/* Deletes every key k with begin <= k < end, in O(1). An empty range is no change. */
enum tkv_status tkv_delete_range(struct tkv *db, const struct tkv_write_options *o,
                                 const void *begin, size_t begin_size, const void *end,
                                 size_t end_size);

/* A list of changes applied in order and as one. Its memory comes from env. */
enum tkv_status tkv_batch_new(struct env *env, struct tkv_batch **batch);
void tkv_batch_free(struct tkv_batch *batch);
void tkv_batch_clear(struct tkv_batch *batch);
enum tkv_status tkv_batch_put(struct tkv_batch *batch, const void *key, size_t key_size,
                              const void *value, size_t value_size);
enum tkv_status tkv_batch_delete(struct tkv_batch *batch, const void *key, size_t key_size);
enum tkv_status tkv_batch_delete_range(struct tkv_batch *batch, const void *begin,
                                       size_t begin_size, const void *end, size_t end_size);
/* Adds the changes of another batch behind those of this one. */
enum tkv_status tkv_batch_append(struct tkv_batch *batch, const struct tkv_batch *other);
uint32_t tkv_batch_count(const struct tkv_batch *batch);

/* The encoded form: borrowed until the batch changes. */
const void *tkv_batch_data(const struct tkv_batch *batch, size_t *size);

enum tkv_change_type { TKV_PUT = 1, TKV_DELETE = 2, TKV_DELETE_RANGE = 3 };
struct tkv_change {
    enum tkv_change_type type;
    struct tkv_slice key;   /* a range: where it begins */
    struct tkv_slice value; /* a range: where it ends; a delete: empty */
};
/* Called for each change in order; its bytes are the batch's. Return false to stop. */
typedef bool tkv_batch_fn(void *arg, const struct tkv_change *change);
/* Walks an encoded batch (from tkv_batch_data, or from anywhere). TKV_CORRUPT when it is none;
 * changes before the damage have been reported then. */
enum tkv_status tkv_batch_walk(const void *data, size_t size, tkv_batch_fn *each, void *arg);
/* Adds an encoded batch behind the changes of this one. TKV_CORRUPT, and nothing added, when it
 * is none. */
enum tkv_status tkv_batch_decode(struct tkv_batch *batch, const void *data, size_t size);

/* Applies the batch; an empty one is a no-op that still syncs when asked. *sequence (may be NULL)
 * gets the number of its last change: numbers rise with every change and are never used twice. */
enum tkv_status tkv_write(struct tkv *db, const struct tkv_write_options *o,
                          const struct tkv_batch *batch, uint64_t *sequence);

/* Makes everything acknowledged so far durable. */
enum tkv_status tkv_sync(struct tkv *db);

/* Moves what the memtables hold into tables and waits for it; old logs go then. */
enum tkv_status tkv_flush(struct tkv *db);

/* Without a log: every write with a tag up to *tag survives power loss, and so do all that were
 * made before them; the highest tag of a flush and its data are one atomic step. 0: none yet. */
enum tkv_status tkv_durable_tag(struct tkv *db, uint64_t *tag);
/* Flushes if that is needed for tkv_durable_tag() >= tag, and waits. TKV_INVALID: no write had
 * that tag yet. */
enum tkv_status tkv_flush_to(struct tkv *db, uint64_t tag);

/* Compacts what lies between begin and end (NULL: open) down to one level, and waits. */
enum tkv_status tkv_compact_range(struct tkv *db, const void *begin, size_t begin_size,
                                  const void *end, size_t end_size);

/* Waits until no flush or compaction is wanted any more; the last one's error, if it failed. */
enum tkv_status tkv_wait_idle(struct tkv *db);

/* ---- reading ---- */

struct tkv_read_options {
    uint32_t size;
    const struct tkv_snapshot *snapshot; /* default NULL: the latest state */
    /* iterators only: lower <= key < upper; a NULL bound is open. Copied. */
    const void *lower;
    size_t lower_size;
    const void *upper;
    size_t upper_size;
    /* iterators only: just keys that start with this; it narrows the bounds. Copied. */
    const void *prefix;
    size_t prefix_size;
    bool skip_cache; /* default false: blocks read for this stay out of the cache */
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

/* count keys from one view of the database. pins[i] and statuses[i] are as of tkv_get_pin; the
 * result is TKV_OK, or the first status that is neither TKV_OK nor TKV_NOTFOUND. */
enum tkv_status tkv_multi_get(struct tkv *db, const struct tkv_read_options *o, size_t count,
                              const struct tkv_slice *keys, struct tkv_pin *pins,
                              enum tkv_status *statuses);

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

/* Sums since open unless said otherwise. */
struct tkv_level_stats {
    uint64_t tables;      /* now */
    uint64_t bytes;       /* now */
    uint64_t compactions; /* that wrote this level */
    uint64_t bytes_in;    /* that they read, from here and above */
    uint64_t bytes_out;
};
struct tkv_stats {
    uint32_t size;               /* set before the call to sizeof(struct tkv_stats) */
    uint64_t sequence;           /* of the last change */
    uint64_t memory_bytes;       /* held by memtables */
    uint64_t log_bytes;          /* in live logs */
    uint64_t logs;               /* live logs */
    uint64_t syncs;              /* of logs */
    uint64_t flushes;            /* done */
    uint64_t flush_errors;       /* of flushes and compactions */
    uint64_t recovered_records;  /* replayed at open */
    uint64_t recovered_dropped;  /* bytes of torn tail cut at open */
    enum tkv_status write_error; /* TKV_OK, or why writes fail at present */
    uint64_t written_bytes;      /* keys and values taken from callers */
    uint64_t log_written_bytes;
    uint64_t flush_bytes; /* written by flushes */
    uint64_t flush_ns;
    uint64_t compactions; /* moves not counted */
    uint64_t moves;       /* tables that changed level as they were */
    uint64_t compaction_bytes_in;
    uint64_t compaction_bytes_out;
    uint64_t compaction_ns;
    uint64_t stalls; /* writers that had to wait */
    uint64_t stall_ns;
    uint64_t slowdowns; /* writers that were slowed down */
    uint64_t slowdown_ns;
    uint64_t cache_bytes; /* now */
    uint64_t cache_hits;
    uint64_t cache_misses;
    uint64_t meta_bytes; /* now: indexes and filters of open tables */
    uint64_t tables_open;
    uint64_t filter_checks;
    uint64_t filter_misses; /* reads that a filter spared */
    uint64_t read_bytes;    /* from tables */
    struct tkv_level_stats levels[TKV_LEVELS];
};
void tkv_stats(struct tkv *db, struct tkv_stats *stats);

/* A text for people about one thing: "stats" (a table of all of the above), "levels", "tables"
 * (each with its range), "memory", "options". Copies up to capacity bytes; *size is its length.
 * TKV_NOTFOUND: no such property. */
enum tkv_status tkv_property(struct tkv *db, const char *name, char *text, size_t capacity,
                             size_t *size);

/* About how many bytes on disk hold keys with begin <= k < end (NULL: open); memtables are left
 * out. */
enum tkv_status tkv_approximate_size(struct tkv *db, const void *begin, size_t begin_size,
                                     const void *end, size_t end_size, uint64_t *bytes);

/* ---- whole databases ---- */

/* A copy that opens by itself, of the state at some moment of the call, in a new directory on
 * the same file system: tables are hard links. TKV_EXIST: dir exists. On failure nothing is left
 * there. */
enum tkv_status tkv_checkpoint(struct tkv *db, const char *dir, struct tkv_error *error);

/* Called with a line for a person about each thing found or done; whatever it ends with. */
typedef void tkv_report_fn(void *arg, const char *line);

/* Reads every byte of the closed database in dir and checks it against every other. Changes
 * nothing. TKV_OK: all is well; else the first thing wrong, and a line for each. o: env and
 * comparator count. */
enum tkv_status tkv_verify(const struct tkv_options *o, const char *dir, tkv_report_fn *report,
                           void *arg, struct tkv_error *error);

/* Makes the closed database in dir open again, with all that can be told to be right: damaged
 * tables and logs are copied as far as they are readable, the originals moved to dir/lost. What
 * may be missing or come back is reported line by line. */
enum tkv_status tkv_repair(const struct tkv_options *o, const char *dir, tkv_report_fn *report,
                           void *arg, struct tkv_error *error);

/* Removes the closed database in dir, and dir when nothing else is in it. TKV_NOTFOUND: no
 * database is there. Files of others are left alone. */
enum tkv_status tkv_destroy(const struct tkv_options *o, const char *dir, struct tkv_error *error);

/* Prints a log, a table or a manifest, told by its name, line by line. TKV_CORRUPT after the
 * lines before the damage. */
enum tkv_status tkv_dump(struct env *env, const char *path, tkv_report_fn *report, void *arg,
                         struct tkv_error *error);

/* ---- the world ---- */

/* The operating system as an Env, for options.env. Only in the installed library: a program that
 * brings its own Env (see env/env.h) does without. One Env serves any number of databases;
 * free it after the last of them is closed. */
enum tkv_status tkv_env_new(struct env **env);
void tkv_env_free(struct env *env); /* NULL is harmless */

const char *tkv_status_text(enum tkv_status status);

#ifdef __cplusplus
}
#endif

#endif
