/* tabcache.h - the open tables of a database, bounded in descriptors and in bytes of memory.
 *
 * Each table file of a version has a slot, which points to its open table when there is one: a hit
 * is one load. A miss opens it, once: whoever else wants it meanwhile waits for the outcome. Room
 * is made by CLOCK: a table that was used since the hand passed it last is spared once. No lock is
 * held while a file is opened or closed.
 *
 * Invariants
 *   F1  what a slot points to stays open while a reader who found it is in the epoch or holds a
 *       reference
 *   F2  tables in slots are never more than files_max, nor their memory more than meta_bytes (one
 *       table, and those being opened, excepted); evicted ones are closed once their last reader
 *       has gone
 *   F3  a slot is opened by one thread at a time
 *
 * Failure: that of table_open, with its message, or ST_NOMEM; the slot stays closed and the next
 * one who asks tries again. When the process has no descriptors left (ST_MFILE), others are closed
 * for it.
 *
 * Ownership: a slot lives in the record of its file, which outlives what it holds: tabcache_drop
 * comes before it goes. The cache holds one reference to each table in a slot. */
#ifndef ENGINE_TABCACHE_H
#define ENGINE_TABCACHE_H

#include "base/atomic.h"
#include "base/err.h"
#include "base/list.h"
#include "engine/epoch.h"
#include "engine/table.h"

struct tabcache_held;

/* All zero: closed. */
struct tabcache_slot {
    struct table *table;        /* atomic */
    uint64_t used;              /* atomic: since the hand passed */
    struct tabcache_held *held; /* what is known of an open table; under the cache's mutex */
    bool opening;               /* a thread is at it; under the cache's mutex */
};

struct tabcache {
    struct env *env; /* borrowed, as dir and epoch */
    const char *dir;
    struct epoch *epoch;
    struct table_env options; /* for table_open */
    uint64_t files_max;
    uint64_t bytes_max;
    uint64_t descriptors; /* atomic: descriptors, those of evicted tables too; kept by the tables */
    uint64_t waiting;     /* atomic: evicted tables whose reference the epoch still has */
    struct env_mutex mutex; /* guards what follows */
    struct env_cond opened; /* an opening has ended */
    struct list ring;       /* struct tabcache_held; the hand stands at its first */
    uint64_t files, bytes;  /* in slots */
    uint64_t opening;       /* threads that are at it */
    uint64_t opens, evicted, failed;
};

/* options->descriptors is replaced; else everything is borrowed and outlives the cache. files_max 0
 * counts as 1. */
NODISCARD enum status tabcache_init(struct tabcache *c, const struct table_env *options,
                                    const char *dir, struct epoch *epoch, uint64_t files_max,
                                    uint64_t meta_bytes);

/* All slots were dropped, all references given back. Safe on a zeroed struct. Reclaims the epoch.
 */
void tabcache_release(struct tabcache *c);

/* For a caller who is in the epoch: the open table, which stays until he leaves; NULL: it is not
 * open. */
static inline struct table *tabcache_peek(struct tabcache_slot *slot)
{
    struct table *t = ATOMIC_GET_PTR(&slot->table);
    if (t != NULL && atomic_get_u64(&slot->used) == 0) {
        atomic_set_u64(&slot->used, 1);
    }
    return t;
}

/* The open table with a reference for the caller (table_unref). Opens the file of `info` when need
 * be, closes others. May wait for I/O, and reclaims the epoch: call it without a lock that a drop
 * function takes. The slot must not be dropped meanwhile. err may be NULL.
 * A caller who is in the epoch keeps others from being closed: after ST_MFILE it may leave, reclaim
 * and ask again. */
NODISCARD enum status tabcache_get(struct tabcache *c, struct tabcache_slot *slot,
                                   const struct table_info *info, struct table **table,
                                   struct err *err);

/* The file goes away: its slot is closed (readers may still hold the table). Does nothing when it
 * is. Nobody opens it at the same time. Closing happens when the epoch is reclaimed. */
void tabcache_drop(struct tabcache *c, struct tabcache_slot *slot);

struct tabcache_stats {
    uint64_t files;       /* in slots */
    uint64_t bytes;       /* of memory, in slots */
    uint64_t descriptors; /* descriptors, those of evicted tables too */
    uint64_t opens, evicted, failed;
};
void tabcache_stats(struct tabcache *c, struct tabcache_stats *s);

#endif
