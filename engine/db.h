/* db.h - the inside of a struct tkv, and what its parts share.
 *
 *     tkv.c         the public calls, thin
 *     recover.c     from a directory to a database that may serve
 *     commit.c      writes: the queue, groups, rotation
 *     background.c  the threads that flush, compact and bring a broken log back
 *     install.c     one edit: into the manifest, then into memory
 *     get.c, tkv_iter.c, flush.c, pick.c, compact.c: reads, and what moves data downwards
 *
 * Locks, in the order in which they may be taken: `installing` is held by whoever makes an edit
 * durable and shows it (disk I/O under it); `mutex` guards what is said below, no I/O under it;
 * `names` lets one directory sync run at a time (I/O under it; taken without `mutex`). Readers take
 * none. The leader (the one writer that commits for all at the moment) alone uses `log`, the active
 * table's writing side and rotation; while the log is broken, the background thread that renews it
 * does.
 *
 * Readers: enter the epoch; load `superversion`; then load `sequence`, never before it: with an
 * older sequence and a newer superversion one could miss what a compaction has dropped meanwhile.
 *
 * Invariants
 *   D1  every visible change is in the superversion; every acknowledged one is in a table that a
 *       durable manifest names, or in a live log
 *   D2  a log is appended to only after its name and its opening are durable, and never once a
 *       header that states its final size may exist; by another process than its maker's only when
 *       a closed record says so much of it, and it has grown by no byte (resume.h)
 *   D3  files are removed only when a durable manifest, or a durable log's header, does without
 *       them, and never while the manifest is in doubt
 *   D4  numbers of files are never used twice, those of failed files neither
 *   D5  a name counts as durable only if no directory sync failed between its making and the
 *       successful sync (names_begin, names_sync) */
#ifndef ENGINE_DB_H
#define ENGINE_DB_H

#include "base/atomic.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "engine/blockcache.h"
#include "engine/epoch.h"
#include "engine/fname.h"
#include "engine/manifest.h"
#include "engine/pacer.h"
#include "engine/superversion.h"
#include "engine/tabcache.h"
#include "engine/table.h"
#include "engine/tkv.h"
#include "engine/wal.h"

#define DB_ITERS 8 /* freed cursors that are kept for reuse */

struct db_log {
    uint64_t number;
    uint64_t size;
};

/* What pins old versions of keys: snapshots, and iterators, which embed one. */
struct tkv_snapshot {
    struct list link; /* of db->snapshots, ascending */
    uint64_t sequence;
};

/* Trying again what failed. */
struct db_retry {
    bool wanted;      /* somebody waits: at once */
    uint64_t at;      /* mono ns: when to try by itself; 0: the last attempt succeeded */
    uint64_t wait_ns; /* longer from time to time */
    uint64_t failed;  /* attempts so far */
    enum status status;
};

struct tkv {
    struct env *env; /* borrowed */
    char *dir;       /* owned */
    int lock_fd;
    struct tkv_options options; /* checked; never changes */
    struct order order;
    uint32_t database; /* drawn when it was made: tells its logs from those of others */

    /* for readers, without a lock */
    struct epoch epoch;
    struct superversion *superversion; /* atomic; replaced under mutex. db_superversion() */
    uint64_t sequence;                 /* atomic: of the last visible change */
    uint64_t readers;                  /* atomic: iterators and pins, for the check at close */
    uint64_t iters[DB_ITERS]; /* atomic: struct tkv_iter *, kept for reuse; see tkv_iter.c */
    uint64_t stopping;        /* atomic: 1: background work ends at the next chance */
    uint64_t level0_reads; /* atomic: since level 0 was last compacted: tables of it that moves of
                              cursors looked into beyond the first; see pick.h */

    /* tables */
    struct tabset tabset;
    struct table_stats table_stats;
    struct table_env table_env;
    struct blockcache *blockcache; /* NULL: none */
    struct tabcache tabcache;
    struct pacer pacer;

    /* durable state: under installing */
    struct env_mutex installing;
    struct manifest manifest;
    uint64_t manifest_number;  /* atomic: of the durable one that CURRENT names; 0: none yet */
    struct buf manifest_stale; /* u64 numbers of older ones, to be removed after the next */
    uint64_t in_doubt; /* atomic; 1: an edit or a CURRENT may or may not be durable: a new manifest
                          comes first */

    struct env_mutex names;
    uint64_t names_failed; /* atomic: directory syncs that failed */
    uint64_t unsettled;    /* atomic; 1: at close it is not said that all is on the medium */

    struct env_mutex mutex;
    /* guarded by mutex */
    uint64_t given;             /* the last number handed out, to failed changes too */
    uint64_t next_file;         /* db_file_number() */
    uint64_t log_floor;         /* as in the manifest: logs below it are not needed */
    uint64_t flushed;           /* everything up to this sequence is in durable tables */
    uint64_t tag;               /* the highest that a write had */
    uint64_t durable_tag;       /* the highest in durable tables */
    struct list commits;        /* struct commit, in the order of their turn */
    size_t commits_count;       /* of them */
    bool leading;               /* one of them does */
    uint64_t round;             /* number of the next group */
    struct env_cond rounds[2];  /* who waits for group n, or for a group from n on: [n % 2] */
    struct list snapshots;      /* struct tkv_snapshot, ascending */
    uint64_t snapshots_changed; /* how often that list was */
    struct db_log *logs;        /* live ones, ascending; the last is the one in use */
    size_t logs_count;
    size_t logs_cap;
    enum status broken; /* why the log takes no writes, or ST_OK */
    bool needs_flush;   /* what the logs hold is in doubt: all into tables before a new log */

    /* larger groups, see commit.c; guarded by mutex */
    size_t gathering; /* somebody waits until there are so many commits; 0: nobody */
    size_t writers;   /* seen around the last sync: in its group, and behind it at its end */
    uint64_t sync_ns; /* that a sync takes, lately */

    /* the leader's */
    struct wal log;
    struct buf prune;  /* u64: the registered sequences, as of */
    uint64_t prune_at; /* snapshots_changed */
    uint64_t syncs;    /* atomic: of logs */

    /* the background; guarded by mutex */
    struct env_thread *threads; /* owned */
    size_t threads_count;
    struct env_cond work;     /* there may be something to do */
    struct env_cond progress; /* something was done, or tried */
    bool flushing;            /* a thread is at a flush or at renewing the log */
    size_t compacting;        /* compactions in hand */
    size_t manual;            /* calls of tkv_compact_range: no others are picked meanwhile */
    struct list compactions;  /* struct compaction, those in hand */
    uint64_t flush_started;   /* attempts */
    uint64_t flush_finished;
    enum status flush_status; /* of the last attempt */
    struct db_retry flush_retry;
    struct db_retry compact_retry;
    bool sweep; /* there is something new to sweep */
    bool sweeping;
    uint64_t sweep_at; /* look again for readers that have left */
    uint64_t sweep_ns;
    bool idle; /* a thread found nothing to do, and nothing is in hand */

    struct tkv_stats stats; /* sums; guarded by mutex */
};

/* ---- readers ---- */

/* In the epoch, or under mutex. */
static inline struct superversion *db_superversion(struct tkv *db)
{
    return ATOMIC_GET_PTR(&db->superversion);
}

static inline uint64_t db_sequence(const struct tkv *db)
{
    return atomic_get_u64(&db->sequence);
}

/* Registers s at the present sequence and hands out a reference to the superversion that goes with
 * it. Takes mutex. */
struct superversion *db_snapshot_take(struct tkv *db, struct tkv_snapshot *s);
/* Registers s at the sequence of another one. Takes mutex. */
struct superversion *db_snapshot_copy(struct tkv *db, const struct tkv_snapshot *of,
                                      struct tkv_snapshot *s);
/* Unregisters it. Takes mutex; wakes the background when there are files to remove: give back
 * superversions before. */
void db_snapshot_drop(struct tkv *db, struct tkv_snapshot *s);

/* The registered sequences, ascending, each once, and the visible one as the last: what no merge
 * may drop. *list is the caller's (env_release). Under mutex. */
NODISCARD enum status db_snapshots(struct tkv *db, uint64_t **list, size_t *count);

/* ---- files ---- */

/* A number never used before. Takes mutex. */
uint64_t db_file_number(struct tkv *db);

/* Removes a file; failure is not fatal, the next open tries again. */
void db_remove(struct tkv *db, enum fname_kind kind, uint64_t number);

/* Before files are made: what to hand to db_names_sync() to have their names durable. */
uint64_t db_names_begin(struct tkv *db);
/* Syncs the directory. ST_OK: every name made since that begin is durable. Else they must not be
 * used: make the files again, with other numbers. */
NODISCARD enum status db_names_sync(struct tkv *db, uint64_t begun);

/* Says something of this database to whoever simulates it (env/note.h). */
void db_note(struct tkv *db, uint32_t kind, uint64_t a, uint64_t b, uint64_t c);

/* ---- logs ---- */

/* Makes room in db->logs for one more. Under mutex. */
NODISCARD enum status db_logs_reserve(struct tkv *db);
/* Adds a log to the list of live ones; there is room. Under mutex. */
void db_logs_add(struct tkv *db, uint64_t number, uint64_t size);

/* Makes a log with an opening that says that it follows on prev (number 0: on nothing before it),
 * durable with its name, and readies db->log for appending to it. The caller is the one who may use
 * db->log, which has no file open. */
NODISCARD enum status db_log_make(struct tkv *db, uint64_t number, struct db_log prev);

/* Something could not be written or synced in this process, or its files will get other names: its
 * close says nothing of what is on the medium (manifest.h, struct manifest_closed). */
void db_unsettle(struct tkv *db);

/* The log takes no more writes because of st. Under mutex. */
void db_break(struct tkv *db, enum status st, bool needs_flush);

#endif
