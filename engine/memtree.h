/* memtree.h - an ordered tree of records in memory: one writer, readers that never wait.
 *
 * A B+tree whose nodes are made for caches. A leaf has 64 slots: a record is put into the next free
 * one and published by the leaf's count; a slot never changes after that. A full leaf is sorted and
 * replaced by two new ones; a child pointer of the node above makes the change visible. What is
 * replaced stays as it was until the arena goes, so that a reader that is still inside finds all
 * that its sequence may see. Nothing is locked, and nothing is read that is being written.
 *
 * Order is that of entry.h. Of one key, later links have higher sequences.
 *
 * Invariants (memtree_check tests T1 to T4; the writer calls it)
 *   T1  every record of a node lies within the separators above it; the first `sorted` slots of a
 *       node ascend
 *   T2  slot prefixes and leaf tags are those of the keys
 *   T3  count is the number of records in live leaves and in the overflow list
 *   T4  all leaves are equally deep
 *   T5  a node is complete for its range when it is replaced, and never changes afterwards
 *   T6  in a node above leaves a separator is published before the child beside it shrinks: a
 *       reader that sees a small child sees the count that tells of its sibling
 *
 * Failure: memtree_new_record() may be refused memory; linking cannot fail: where a node that it
 * wants is refused, the record goes to an overflow list that readers search too, and memtree_full()
 * asks for the table to be retired. */
#ifndef ENGINE_MEMTREE_H
#define ENGINE_MEMTREE_H

#include "engine/arena.h"
#include "engine/entry.h"
#include "engine/record.h"

#define MEMTREE_LEAF 64 /* slots */

struct memtree_node;
struct memtree_cell;
struct memtree_spare;

struct memtree_bound {
    const struct record *record; /* whose key it is; NULL: open */
    uint64_t sequence;
};

struct memtree {
    struct order order;
    struct arena *arena;           /* borrowed; owns everything */
    struct memtree_node *root;     /* atomic */
    struct memtree_cell *overflow; /* atomic; newest first; usually NULL */
    uint64_t count;                /* atomic */

    /* the writer's */
    struct memtree_node *rightmost; /* the leaf where keys above `greatest` go */
    const struct record *greatest;
    struct memtree_spare *spare_leaves;
    struct memtree_spare *spare_inners;
    size_t spare_leaf_count;
    size_t spare_inner_count;
    struct memtree_cell *cells; /* free ones: at least as many as records wait to be linked */
    size_t cell_count;
    size_t waiting;
    uint64_t visible; /* see memtree_prune */
    const uint64_t *snapshots;
    size_t snapshot_count;
};

NODISCARD enum status memtree_init(struct memtree *t, struct order order, struct arena *arena);

/* ---- the writer ---- */

/* A record with copies of key and value that is in no tree. NULL when memory is refused. */
struct record *memtree_new_record(struct memtree *t, uint8_t type, struct slice key,
                                  struct slice value);

/* Readers may see it from now on. O(log n). */
void memtree_link(struct memtree *t, struct record *r, uint64_t sequence);

/* From now on versions that a newer one <= visible hides, with no snapshot between them, may be
 * dropped. The list is ascending, and borrowed. */
void memtree_prune(struct memtree *t, uint64_t visible, const uint64_t *snapshots, size_t count);

/* ---- readers ---- */

/* The newest version of key with a sequence <= `sequence`; NULL: none. *stale: versions have been
 * dropped that this sequence might have seen. */
const struct record *memtree_get(const struct memtree *t, struct slice key, uint64_t sequence,
                                 bool *stale);

static inline uint64_t memtree_count(const struct memtree *t)
{
    return atomic_get_u64(&t->count);
}

/* Memory was refused while linking. */
static inline bool memtree_full(const struct memtree *t)
{
    return ATOMIC_GET_PTR(&t->overflow) != NULL;
}

bool memtree_check(const struct memtree *t);

/* ---- in order ---- */

/* A place between records, and a sorted copy of the slots of one leaf around it. */
struct memtree_cursor {
    const struct memtree *tree; /* borrowed */
    unsigned count;
    unsigned at;
    bool to_high;              /* the copy goes on to high, else to some record before it */
    struct memtree_bound low;  /* the copy has every record from low ... */
    struct memtree_bound high; /* ... to high, exclusive, that the calls below may ask for */
    const struct record *list[MEMTREE_LEAF];
};

void memtree_cursor_init(struct memtree_cursor *c, const struct memtree *t);

/* Each returns the record that it then stands on; NULL: none, and next and prev are not allowed. */
const struct record *memtree_cursor_first(struct memtree_cursor *c);
const struct record *memtree_cursor_last(struct memtree_cursor *c);
const struct record *memtree_cursor_seek(struct memtree_cursor *c, struct slice key,
                                         uint64_t sequence);
const struct record *memtree_cursor_before(struct memtree_cursor *c, struct slice key,
                                           uint64_t sequence);
const struct record *memtree_cursor_next(struct memtree_cursor *c, const struct record *from);
const struct record *memtree_cursor_prev(struct memtree_cursor *c, const struct record *from);

#endif
