/* run.h - a cursor over one sorted run: a memtable, a table, or a level of disjoint tables.
 *
 * One struct for all three, so that what merges them takes a step with a switch and no call through
 * a pointer. A level opens its tables one after another, as the cursor gets to them.
 *
 * Invariants: `at` is NULL off the ends and after a failure; it points to the present entry
 * otherwise, which is borrowed until the cursor moves. A run must not move in memory.
 *
 * Failure: `st` says why, run_error() copies the message; a seek begins anew.
 * Ownership: memtable, version and tables are borrowed unless said otherwise; run_release() closes
 * what the run opened by itself. One thread at a time. */
#ifndef ENGINE_RUN_H
#define ENGINE_RUN_H

#include "engine/memtable.h"
#include "engine/tabcache.h"
#include "engine/table_cursor.h"
#include "engine/version.h"

enum run_kind { RUN_NONE, RUN_MEMTABLE, RUN_TABLE, RUN_LEVEL };

struct run {
    const struct entry *at; /* NULL: none */
    enum status st;
    enum run_kind kind;

    /* private */
    unsigned flags; /* of enum table_flags */
    struct memtable_cursor mem;
    struct table_cursor cursor;
    struct table *table; /* reference: the open one */
    struct tabcache *tabcache;
    struct tabfile *const *files; /* of a level, ascending; borrowed */
    size_t count;
    size_t file; /* the open one's index */
    struct order order;
    struct slice upper; /* a level is not followed beyond it; data NULL: open */
    struct slice lower;
    struct slice prefix; /* empty: none */
    struct err err;
};

/* Each stands on nothing. */
void run_init_memtable(struct run *r, const struct memtable *t);
/* One file; opens it. On failure there is nothing to release. */
NODISCARD enum status run_init_table(struct run *r, struct tabcache *c, struct tabfile *f,
                                     unsigned flags, struct err *err);
/* A table that is open already; takes a reference. */
void run_init_open(struct run *r, struct table *t, unsigned flags);
/* count files, ascending and disjoint; opens none yet. */
void run_init_level(struct run *r, struct tabcache *c, struct order order,
                    struct tabfile *const *files, size_t count, unsigned flags);
/* Files of a level that lie outside need not be opened; borrowed as long as the run. */
void run_bounds(struct run *r, struct slice lower, struct slice upper);
/* Only entries whose keys start with prefix are wanted: tables whose filter denies them are passed
 * over. Borrowed as long as the run; others may show. */
void run_prefix(struct run *r, struct slice prefix);
void run_release(struct run *r); /* harmless on a zeroed one */

void run_first(struct run *r);
void run_last(struct run *r);
/* The first entry >= (key, sequence) in internal order. */
void run_seek(struct run *r, struct slice key, uint64_t sequence);
/* The last entry < (key, sequence). */
void run_seek_before(struct run *r, struct slice key, uint64_t sequence);
void run_next(struct run *r); /* on an entry */
void run_prev(struct run *r); /* on an entry */

/* Copies the message of the failure; returns st. err may be NULL. */
NODISCARD enum status run_error(const struct run *r, struct err *err);

#endif
