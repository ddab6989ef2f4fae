/* tomb.h - range tombstones: what delete-range leaves behind.
 *
 * A tomb says that every version of a key in [begin, end) with a lower sequence is gone. A set of
 * them is kept fragmented: pieces that do not overlap, ascending, each with the sequences that
 * cover it, newest first; so a question costs one binary search. A set never changes.
 *
 * Invariants (tomb_set_check)
 *   T1  pieces are not empty, ascending and disjoint; each has at least one sequence
 *   T2  sequences of a piece are strictly descending
 *
 * Failure: ST_NOMEM; ST_CORRUPT from tomb_set_decode, which trusts nothing. */
#ifndef ENGINE_TOMB_H
#define ENGINE_TOMB_H

#include "base/buf.h"
#include "base/mem.h"
#include "engine/order.h"

struct tomb {
    struct slice begin;
    struct slice end; /* exclusive */
    uint64_t sequence;
};

struct tomb_piece {
    struct slice begin;
    struct slice end;
    const uint64_t *sequences; /* newest first */
    size_t count;
};

struct tomb_set; /* owns its bytes */

/* Fragments count tombs in any order (an empty range is skipped). *set is NULL when none is left.
 * Bytes are copied. O(n log n + pieces * depth). */
NODISCARD enum status tomb_set_new(struct mem *mem, struct order order, const struct tomb *tombs,
                                   size_t count, struct tomb_set **set);

/* What may be left out: a sequence of a piece that a newer one <= visible hides, when no snapshot
 * lies between them. Without this a piece under n tombs has n sequences; a queue that is trimmed by
 * range deletes from its beginning would cost n * n / 2 of them. */
struct tomb_prune {
    uint64_t visible;
    const uint64_t *snapshots; /* ascending; borrowed */
    size_t snapshot_count;
};

/* The same, with the sequences left out that prune (NULL: none) allows. {.visible = s} and tombs
 * <= s: what a reader at s needs, one sequence a piece. O(n log n + pieces * stripes). */
NODISCARD enum status tomb_set_pruned(struct mem *mem, struct order order, const struct tomb *tombs,
                                      size_t count, const struct tomb_prune *prune,
                                      struct tomb_set **set);

void tomb_set_free(struct tomb_set *set); /* NULL is harmless */

/* Everything below takes NULL for the empty set. */
size_t tomb_set_count(const struct tomb_set *set); /* pieces */
struct tomb_piece tomb_set_piece(const struct tomb_set *set, size_t i);
uint64_t tomb_set_bytes(const struct tomb_set *set); /* of memory */

/* The index of the first piece whose end is behind key; the count when there is none. */
size_t tomb_set_find(const struct tomb_set *set, struct slice key);

/* The highest sequence <= `sequence` of a tomb that covers key; 0: none does. */
uint64_t tomb_set_cover(const struct tomb_set *set, struct slice key, uint64_t sequence);

/* Appends the encoded set; decode copies. */
NODISCARD enum status tomb_set_encode(const struct tomb_set *set, struct buf *out);
NODISCARD enum status tomb_set_decode(struct mem *mem, struct order order, struct slice bytes,
                                      struct tomb_set **set);

bool tomb_set_check(const struct tomb_set *set);

#endif
