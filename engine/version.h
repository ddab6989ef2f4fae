/* version.h - which tables hold what, level by level. Never changes once it is built.
 *
 * Level 0 is newest first, its tables may overlap. In the others tables are ascending and disjoint:
 * no user key lies in two of them.
 *
 * Invariants (version_check)
 *   V1  levels >= 1: ascending and disjoint
 *   V2  level 0: descending in sequences, ranges of sequences disjoint
 *   V3  each table: least <= most, sequence_min <= sequence_max, no number twice
 *
 * Ownership: a version holds a reference to each of its files; references to it are counted.
 * Failure: ST_NOMEM; ST_CORRUPT from version_apply for an edit that does not fit its base. */
#ifndef ENGINE_VERSION_H
#define ENGINE_VERSION_H

#include "base/err.h"
#include "engine/edit.h"
#include "engine/order.h"
#include "engine/tabfile.h"

struct version_level {
    struct tabfile **files;
    size_t count;
    uint64_t bytes;
    uint64_t tombs; /* pieces of range tombstones */
};

struct version {
    struct env *env; /* borrowed */
    uint64_t refs;   /* atomic */
    struct order order;
    struct version_level levels[TKV_LEVELS];
};

/* An empty one with one reference, the caller's. */
NODISCARD enum status version_new(struct env *env, struct order order, struct version **version);

/* base with the edit's files added and removed. ST_CORRUPT: a file to be removed is not there, or
 * one to be added is, or what is added does not fit its level. */
NODISCARD enum status version_apply(const struct version *base, const struct edit *e,
                                    struct version **version);

void version_ref(struct version *v);
void version_unref(struct version *v); /* NULL is harmless */

/* Whether all of the file lies before key. */
bool version_file_before(struct order o, const struct tabfile *f, struct slice key);

/* The bounds and sequences that a table is said to have can be those of one. */
bool version_bounds_right(struct order o, const struct table_info *t);

/* level >= 1: index of the first file that does not lie before key; the count when there is none.
 * The key is in that file or in none of the level. */
size_t version_find(const struct version *v, int level, struct slice key);

/* level >= 1: the run of files that overlap [begin, end], both inclusive; NULL: open. */
void version_overlap(const struct version *v, int level, const struct slice *begin,
                     const struct slice *end, size_t *first, size_t *count);

/* E14 on what is known of the tables. O(n log n); for CK_SLOW. err may be NULL. */
bool version_check(const struct version *v, struct err *err);

#endif
