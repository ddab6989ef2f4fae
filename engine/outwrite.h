/* outwrite.h - writes a sorted stream of entries, and the range tombs beside it, as tables.
 *
 * A table ends when it is large enough, or when it would overlap too much of the level after next
 * (or its own compaction would be dear), but only between two user keys: so tables of a level stay
 * disjoint in user keys. Range tombs are cut at the same places, and are weighed as entries are: a
 * table may end where a tomb begins, or within a wide tomb where a table of that level begins.
 *
 * Invariants
 *   O1  tables ascend and are disjoint in user keys
 *   O2  together they hold every entry and every tomb, and nothing else
 *
 * Failure: what tablewrite says, ST_NOMEM; outwrite_release() then gives everything back, and
 * unfinished files are removed. Ownership: the list of tables is the writer's until it is released;
 * references are counted. What is finished is synced; names are the caller's to sync. */
#ifndef ENGINE_OUTWRITE_H
#define ENGINE_OUTWRITE_H

#include "engine/collapse.h"
#include "engine/db.h"
#include "engine/tablewrite.h"

struct outwrite {
    struct tkv *db;                     /* borrowed, as all below */
    int level;                          /* that the tables are for */
    uint64_t limit;                     /* bytes of a table; UINT64_MAX: one table */
    const struct version_level *beyond; /* tables that outputs should not overlap too much; NULL */
    uint64_t beyond_limit;              /* bytes of them */
    const struct tomb *tombs;           /* disjoint or equal ranges, ascending by begin */
    size_t tomb_count;
    struct err *err; /* may be NULL */

    /* out */
    struct tabfile **files; /* references, ascending */
    size_t count;
    uint64_t bytes; /* of all of them */

    /* private */
    size_t cap;
    struct tablewrite table;
    bool begun; /* a table is being written */
    uint64_t number;
    struct buf last;  /* the last user key */
    struct buf lower; /* where the present table begins; meaningful when bounded */
    bool bounded;
    size_t tomb_at;      /* tombs before it end before the present table */
    size_t tomb_next;    /* tombs before it begin before the present place */
    uint64_t tomb_bytes; /* of those that the present table has, about */
    size_t beyond_next;  /* files of beyond before it begin before the present place */
    size_t beyond_at;    /* files of beyond before it end before the last key */
    uint64_t overlapped; /* bytes of beyond that the present table overlaps */
};

/* Fields above `out` are filled by the caller, the rest is zero. */
void outwrite_init(struct outwrite *o);

/* Entries in internal order. */
NODISCARD enum status outwrite_add(struct outwrite *o, const struct entry *e);

/* Ends the last table. Nothing was added and there are no tombs: no table. */
NODISCARD enum status outwrite_end(struct outwrite *o);

/* Gives back the references; an unfinished file is removed. Safe on a zeroed struct. */
void outwrite_release(struct outwrite *o);

#endif
