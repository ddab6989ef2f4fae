/* raftlog.h - the durable Raft log: entries, hard state, snapshot mark, in segments of one
 * directory.
 *
 * The core (raft/raft.h) asks for numbered writes: any of hard state, snapshot mark, truncation,
 * entries, each write atomic. raftlog_append() takes a write into memory, where its entries can be
 * read at once; raftlog_sync(), on the caller's log-writer thread, puts everything taken so far on
 * the medium as one group: one append and one fdatasync, and says up to which write all is durable.
 *
 *     core thread    raftlog_append(log, &write)                    wakes the writer
 *     writer thread  raftlog_sync(log, &seq) -> persisted(seq)      while more is pending
 *                    raftlog_tidy(log)                              when idle, or stats say so
 *     any thread     raftlog_read, raftlog_term, raftlog_stats
 *
 * On disk (docs/format-raftlog.md): segments of groups of records, each record's CRC-32C chained to
 * the one before it and bound to its segment and offset. A group starts at a sector of its own. Its
 * identity (sequence, place, hard state, chain) is written to one of two slots at the segment's
 * head that take turns, under the same fdatasync. A group says what it was preceded by, and
 * that all before it was durable. So recovery tells three things apart:
 *     no identity, no whole group      a torn tail: it was never durable, and is cut
 *     an identity without its group    in doubt: perhaps it was durable; the place is kept
 *     anything broken before that      damage: it was durable; the place is kept
 * The last group is copied into a segment of its own on every open, so that its fate is decided
 * once, and nothing is ever appended to what an older process wrote.
 *
 * Invariants (tests/raft/test_raftlog*.c)
 *   L1  a write is there whole or not at all after any crash; durable writes are a prefix (R1, R5)
 *   L2  what raftlog_sync called durable survives every crash; what open gave is durable
 *   L3  damage never shortens the log: the place of every entry that was durable is kept, and
 *       reading it says ST_CORRUPT, not an end, not other bytes                        (RE)
 *   L4  of a term and a vote that were durable nothing older is given back but with hard_lost
 *   L5  after a failed sync nothing is ever durable again                              (R7)
 *   L6  a segment is recycled or removed only when a durable group says that it is not needed
 *   L7  room for a group is reserved before its sync begins: ST_NOSPC changes nothing
 *
 * Failure: each call says. ST_NOMEM and ST_NOSPC leave everything as it was, and the call may be
 * made again. A failed fsync breaks the log for good: append and sync say ST_IO from then on,
 * reads go on. Damage is no failure of open: it is listed in the start.
 *
 * Threads: append by one thread at a time; sync, tidy by one thread at a time (the same or
 * another); reads, term, stats by any number; all of these may run at once. create, open, close:
 * alone.
 *
 * Ownership: what append is given is copied. Determinism: epochs come from env_random_u64. */
#ifndef RAFT_RAFTLOG_H
#define RAFT_RAFTLOG_H

#include "base/err.h"
#include "env/env.h"
#include "raft/rafttypes.h"

#include <stdbool.h>

#define RAFTLOG_CONFIG_MAX 1536              /* bytes of an encoded configuration */
#define RAFTLOG_ENTRY_MAX  ((size_t)1 << 30) /* bytes of an entry's data */

struct raftlog;

/* Whose log it is. Written once, when it is made. */
struct raftlog_identity {
    uint64_t cluster;
    uint64_t node;
    uint64_t incarnation;
    uint64_t database; /* the store whose write-ahead log it is; 0: not said */
};

/* Zeros mean the defaults in brackets. */
struct raftlog_options {
    uint64_t segment_bytes; /* of a file; a multiple of 4096, 32 KiB or more [64 MiB] */
    uint64_t
        group_bytes; /* about the most that one sync writes; a larger write goes alone [1 MiB] */
    uint64_t cache_bytes;  /* of entries kept in memory, but for those not durable yet [16 MiB] */
    uint32_t sector_bytes; /* groups start at its multiples; 512 to 4096, a power of two [512] */
    uint32_t spares;       /* obsolete segments kept to be written again [1]; UINT32_MAX: none */
    bool verify;           /* check the whole state after every write */
};

/* ---- making, opening, closing ---- */

/* The state of the group at an index, and how it is configured there. */
struct raftlog_snapshot {
    struct raft_place place; /* {0, 0}: how the group was founded */
    struct slice config;     /* encoded, opaque here; at most RAFTLOG_CONFIG_MAX bytes */
    bool keep;               /* in a write: the entries behind place stay; else the log is empty
                                behind it */
};

/* Makes an empty log in dir (made when absent), behind first->place, durably. ST_EXIST: there is
 * one. What a creation that was interrupted left is removed. NOSPC IO NOMEM INVAL. */
NODISCARD enum status raftlog_create(struct env *env, const char *dir,
                                     const struct raftlog_options *options,
                                     const struct raftlog_identity *identity,
                                     const struct raftlog_snapshot *first, struct err *err);

/* Recovers the log in dir. The caller holds the directory's lock. On ST_OK everything that the
 * start says is durable. ST_NOENT: there is no log (or one whose creation was interrupted).
 * ST_CORRUPT: so much is damaged that not even the configuration can be told: the node has to join
 * again. ST_UNSUPPORTED: of a newer version. NOSPC IO NOMEM INVAL; nothing is lost by failing. */
NODISCARD enum status raftlog_open(struct env *env, const char *dir,
                                   const struct raftlog_options *options, struct raftlog **log,
                                   struct err *err);

/* Frees it; what was not synced is lost. A log that is whole and synced is closed with a mark, by
 * which the next open knows that nothing is in doubt. NULL is harmless. */
void raftlog_close(struct raftlog *log);

/* Removes a log's files (when a node is to join anew), in an order that a crash cannot turn into a
 * log that opens. Harmless without one. */
NODISCARD enum status raftlog_erase(struct env *env, const char *dir, struct err *err);

/* ---- what recovery found ---- */

/* Entries [lo, hi) were written and cannot be read. */
struct raftlog_fault {
    uint64_t lo;
    uint64_t hi;
    bool doubt; /* of the last group before a crash: perhaps they were never durable. A group of one
                   truncates from lo on; among several they are as good as damaged */
    bool terms_true; /* the runs have their terms; else those are a lower bound, and no core may be
                        started on them: see docs/raft.md. A crash alone never does that */
};

/* A configuration entry behind the snapshot. */
struct raftlog_config {
    struct raft_place place;
    struct slice data; /* as it was appended; .data NULL: damaged */
};

struct raftlog_start {
    struct raftlog_identity identity;
    struct raft_hard hard;
    bool hard_lost; /* a newer one may have been durable: do not vote, join under a new incarnation
                     */
    struct raftlog_snapshot snapshot; /* the last mark; config.size 0: lost by damage, the state
                                         machine's own is to be used */
    struct raft_place base;           /* before the first entry */
    struct raft_place last;           /* base: the log is empty */
    const struct raft_run *runs;      /* the terms of (base.index, last.index], ascending */
    size_t run_count;
    const struct raftlog_config *configs; /* of (snapshot, last], ascending */
    size_t config_count;
    const struct raftlog_fault *faults; /* ascending, disjoint */
    size_t fault_count;
    uint64_t torn_bytes; /* of a torn tail that was cut; 0: there was none */
    uint64_t bytes_read; /* by the recovery */
    uint64_t segments;   /* that hold entries */
};

/* Borrowed until the first append. */
const struct raftlog_start *raftlog_start(const struct raftlog *log);

/* ---- writing ---- */

/* One atomic write. Its parts are done in this order; what is NULL or 0 is left out. */
struct raftlog_write {
    uint64_t seq; /* above that of the write before */
    const struct raft_hard *hard;
    const struct raftlog_snapshot *snapshot; /* not before the present one */
    uint64_t truncate;                       /* entries from here on go; above the snapshot */
    const struct raft_entry *entries;        /* consecutive; the first follows the log's last. They
                                                begin at most RAFT_WRITE_RUNS runs of terms */
    size_t count;
    bool repair;      /* the entries take the place of damaged ones; those that are not damaged
                         (any more) are left as they are */
    uint64_t compact; /* entries up to here are given up; at most the snapshot's index. Files go
                         with raftlog_tidy, when this is durable */
};

/* Takes a write. Nothing of it is durable; its entries can be read (repairs: once they are
 * durable). ST_NOMEM: nothing has changed. ST_IO: the log is broken. ST_INVAL: a repair does not
 * fit the term that the log knows for its place. Anything else that does not fit is a bug (CK). */
NODISCARD enum status raftlog_append(struct raftlog *log, const struct raftlog_write *w);

/* Puts what was appended on the medium, about group_bytes of it: *durable is the seq up to which
 * every write is durable. Call again while stats.pending says so. ST_NOSPC, ST_NOMEM, and ST_IO
 * before the fsync: nothing has changed, *durable is as before, it may be called again.
 * After a failed fsync the log is broken: ST_IO for ever (R7). Blocks for the disk. */
NODISCARD enum status raftlog_sync(struct raftlog *log, uint64_t *durable);

/* The slow file work ahead of time: makes or recycles the next segment, removes obsolete ones.
 * Failing is harmless: raftlog_sync does what is needed itself and will say. */
NODISCARD enum status raftlog_tidy(struct raftlog *log);

/* ---- reading ---- */

/* Entries of one read; zero it, use it for any number of reads, release it. One thread at a time.
 */
struct raftlog_batch {
    struct raft_entry *entries; /* valid until the next read with this batch */
    size_t count;
    size_t bytes;    /* of their data */
    uint64_t bad_lo; /* after ST_CORRUPT: these entries are damaged */
    uint64_t bad_hi;
    /* the reader's own */
    size_t cap;
    char *data;
    size_t data_size;
    size_t data_cap;
    char *window;
    size_t window_cap;
    int fd;
    uint64_t segment;
    struct env *env;
};

/* Reads entries from lo on, below hi <= last + 1: at least one, and no more than about max_bytes of
 * data. ST_NOENT: lo is not in the log (any more). ST_CORRUPT: entry lo is damaged (batch->bad_lo
 * .. bad_hi). Damage behind lo ends the read early. IO NOMEM. */
NODISCARD enum status raftlog_read(struct raftlog *log, uint64_t lo, uint64_t hi, size_t max_bytes,
                                   struct raftlog_batch *batch);

/* The same from memory alone, without blocking: ST_AGAIN when lo is not cached. */
NODISCARD enum status raftlog_peek(struct raftlog *log, uint64_t lo, uint64_t hi, size_t max_bytes,
                                   struct raftlog_batch *batch);

void raftlog_batch_release(struct raftlog_batch *batch);

/* The term of the entry at index, or of the base. ST_NOENT: not in the log. ST_CORRUPT: damaged,
 * and its term with it. */
NODISCARD enum status raftlog_term(struct raftlog *log, uint64_t index, uint64_t *term);

struct raftlog_stats {
    uint64_t first; /* index of the first entry; last + 1: none */
    uint64_t last;
    uint64_t durable;       /* seq up to which writes are durable */
    uint64_t pending;       /* bytes that a sync would write; 0: nothing */
    uint64_t damaged;       /* entries that cannot be read */
    uint64_t cached_from;   /* entries from here on are in memory */
    uint64_t cache_bytes;   /* held for them */
    uint64_t segments;      /* files that hold groups, the present one too */
    uint64_t segment_bytes; /* the sum of their sizes */
    uint64_t spares;        /* files ready to be written again */
    uint64_t groups;        /* synced since open */
    uint64_t written;       /* bytes handed to the disk since open */
    bool untidy;            /* raftlog_tidy would do something */
    bool broken;
};

void raftlog_stats(struct raftlog *log, struct raftlog_stats *stats);

#endif
