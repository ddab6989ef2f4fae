/* db.h - the inside of a struct tkv, and what its parts share.
 *
 *     tkv.c         the public calls, thin
 *     recover.c     from a directory to a database that may serve
 *     commit.c      writes: the queue, groups, rotation
 *     background.c  the thread that rewrites the base and brings a broken log back
 *     tkv_iter.c    ordered cursors
 *
 * Locks: `mutex` guards what is said below; `names` is held from making a name until the
 * directory is synced, so that a failed directory sync is never papered over by a second one for
 * the same name. `names` may be taken without `mutex` only, and `mutex` never while `names` waits
 * for the disk. The leader (the writer at the head of the queue) alone uses `log`, the active
 * table's writing side and rotation; while the log is broken and a leader waits for it, the
 * background thread does.
 *
 * Invariants
 *   D1  every visible change is in version; every acknowledged one is in the base or a live log
 *   D2  a log is appended to only after its name and its opening are durable, and never once a
 *       header that states its final size may exist
 *   D3  files are removed only when a durable base, or a durable log's header, does without them
 *   D4  numbers of files are never used twice, those of failed files neither */
#ifndef ENGINE_DB_H
#define ENGINE_DB_H

#include "base/list.h"
#include "engine/fname.h"
#include "engine/memview.h"
#include "engine/tkv.h"
#include "engine/wal.h"

struct db_log {
    uint64_t number;
    uint64_t size;
};

struct tkv_snapshot {
    struct list link;
    uint64_t sequence;
};

struct tkv {
    struct env *env; /* borrowed */
    char *dir;       /* owned */
    int lock_fd;
    bool verify;
    uint64_t buffer_bytes; /* a memtable is full at this size */
    size_t full_max;       /* tables that may wait */

    struct env_mutex names;
    struct env_mutex mutex;
    /* guarded by mutex */
    struct memview *version;
    uint64_t sequence; /* of the last visible change */
    uint64_t given;    /* the last number handed out, to failed changes too */
    uint64_t next_file;
    uint64_t base_number;  /* 0: there is no base file */
    struct list commits;   /* struct commit, in the order of their turn */
    struct list snapshots; /* struct tkv_snapshot, ascending */
    struct db_log *logs;   /* live ones, ascending; the last is the one in use */
    size_t logs_count;
    size_t logs_cap;
    enum status broken; /* why the log takes no writes, or ST_OK */
    bool needs_base;    /* what the logs hold is in doubt: rewrite all before a new log */
    uint64_t iterators; /* and pins: for the check at close */

    struct wal log; /* the leader's */

    /* the background thread; guarded by mutex */
    struct env_thread thread;
    struct env_cond work;     /* there is something to do */
    struct env_cond progress; /* an attempt has ended */
    bool wanted;
    bool stop;
    uint64_t started; /* attempts */
    uint64_t finished;
    enum status attempt; /* how the last one ended */

    /* for tkv_stats; guarded by mutex */
    uint64_t syncs, flushes, flush_errors, recovered_records, recovered_dropped;
};

/* Makes room for one more live log. Under mutex. */
NODISCARD enum status db_logs_reserve(struct tkv *db);

/* Adds a live log; room was reserved. Under mutex. */
void db_logs_add(struct tkv *db, uint64_t number, uint64_t size);

/* Makes log number, whose header names the live log before it with its final size (unless prev
 * is 0), durable with its name, and readies db->log for appending to it. Takes `names`;
 * the caller is the one who may use db->log, which has no file open. */
NODISCARD enum status db_log_make(struct tkv *db, uint64_t number, struct db_log prev,
                                  uint64_t base);

/* The log takes no more writes because of st. Under mutex. */
void db_break(struct tkv *db, enum status st, bool needs_base);

/* Removes a file; failure is not fatal, the next open tries again. */
void db_remove(struct tkv *db, enum fname_kind kind, uint64_t number);

/* A reference to the present version and the sequence that is visible in it. Takes mutex. */
struct memview *db_view(struct tkv *db, uint64_t *sequence);

#endif
