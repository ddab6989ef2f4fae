/* memtable.h - a table of entries in memory, with the range tombstones that came with them.
 *
 * One thread writes the active table, any number reads it without a lock; tables behind it never
 * change. References are counted: who looks inside holds one. All versions of a key in a newer
 * table are newer than all those of it in an older one.
 *
 * Writing is two steps, because the one that can fail has to come before the log is written and
 * the one that is seen after: memtable_prepare() makes a node that nobody can reach,
 * memtable_link() puts it in its place and cannot fail.
 *
 * What a reader sees: with a sequence s that was visible when it looked, exactly the entries and
 * tombs with sequences <= s, whatever is linked meanwhile. */
#ifndef ENGINE_MEMTABLE_H
#define ENGINE_MEMTABLE_H

#include "engine/entry.h"
#include "engine/memtree.h"
#include "engine/skl.h"
#include "engine/tombtab.h"

enum memtable_kind {
    MEMTABLE_TREE,     /* memtree.h: use this one */
    MEMTABLE_SKIPLIST, /* skl.h: the reference */
};

struct memtable_node {
    struct memtable_node *chain; /* the caller's until the node is linked */
};

struct memtable {
    struct env *env; /* borrowed */
    uint64_t refs;   /* atomic */
    uint64_t log;    /* the first log that holds entries of this table; set before it is shared */
    uint64_t last;   /* sequence of its last entry; set when it is full, under the mutex */
    uint64_t first;  /* least sequence that was linked, 0: none; the writer's until it is full */
    uint64_t tag;    /* highest tag of a batch in it; the owner's */
    struct order order;
    enum memtable_kind kind;
    struct arena arena;
    struct skl skl; /* one of the two is in use, as kind says */
    struct memtree tree;
    struct tombtab tombs;
};

/* An empty table with one reference, the caller's. */
NODISCARD enum status memtable_new(struct env *env, struct order order, enum memtable_kind kind,
                                   uint64_t log, struct memtable **table);

void memtable_ref(struct memtable *t);

/* Gives a reference back; the last one frees the table. NULL is harmless. */
void memtable_unref(struct memtable *t);

/* ---- the writer ---- */

/* Makes a node with copies of the entry's bytes: BATCH_PUT, BATCH_DELETE or BATCH_DELETE_RANGE.
 * ST_NOMEM. A node that is not linked in the end costs its memory until the table goes. */
NODISCARD enum status memtable_prepare(struct memtable *t, const struct batch_entry *e,
                                       struct memtable_node **node);

/* Puts it in as `sequence` (1..ENTRY_SEQUENCE_MAX), higher than any of the same key before. */
void memtable_link(struct memtable *t, struct memtable_node *node, uint64_t sequence);

/* Told before a group is linked: a version that a newer one of the same key with a sequence <=
 * `visible` hides, with no snapshot between the two, may be dropped while the table is written to.
 * The list is ascending and borrowed until the next call. Without this nothing is dropped. */
void memtable_prune(struct memtable *t, uint64_t visible, const uint64_t *snapshots, size_t count);

/* ---- readers ---- */

enum memtable_answer {
    MEMTABLE_ABSENT,
    MEMTABLE_FOUND, /* a put or a delete */
    MEMTABLE_STALE, /* what `sequence` would see may have been dropped: ask with a fresh one. Never
                       for a sequence that memtable_prune was told as a snapshot */
};

/* The newest version of key with a sequence <= `sequence`; e's bytes are the table's. */
enum memtable_answer memtable_get(const struct memtable *t, struct slice key, uint64_t sequence,
                                  struct entry *e);

/* The highest sequence <= `sequence` of a range tomb over key; 0: none. One load when the table
 * has no tombs. Never stale: tombs are not dropped. */
uint64_t memtable_cover(const struct memtable *t, struct slice key, uint64_t sequence);

/* The table's range tombs with sequences <= limit as a set that the caller frees (NULL: none).
 * prune says what may be left out, NULL nothing: a reader at sequence s passes s as the limit and
 * {.visible = s}, a flush its snapshots; see tomb_set_pruned for what it saves. */
NODISCARD enum status memtable_tombs(const struct memtable *t, uint64_t limit,
                                     const struct tomb_prune *prune, struct tomb_set **set);

static inline bool memtable_has_tombs(const struct memtable *t)
{
    return tombtab_any(&t->tombs);
}

/* Entries and tombs. */
uint64_t memtable_count(const struct memtable *t);

/* What it holds of memory: drives rotation. UINT64_MAX when memory was refused to a link, which
 * costs readers time from then on: the table should be retired. */
static inline uint64_t memtable_bytes(const struct memtable *t)
{
    return memtree_full(&t->tree) ? UINT64_MAX : arena_bytes(&t->arena);
}

/* The whole structure, in O(n); for CK_SLOW and tests. The writer calls it, or nobody writes. */
bool memtable_check(const struct memtable *t);

/* ---- in order ---- */

/* A place among the entries, in internal order (entry.h). It sees every entry, so versions newer
 * than a reader's sequence are the reader's to pass; entries linked meanwhile may show or not. The
 * reader holds a reference, and a snapshot if memtable_prune is in use. */
struct memtable_cursor {
    struct entry entry; /* the present one, when valid; borrowed as long as the table lives */
    bool valid;
    const struct memtable *table; /* borrowed */
    const struct skl_node *node;
    const struct record *record;
    struct memtree_cursor tree;
};

/* No allocation, nothing to release; stands on nothing. */
void memtable_cursor_init(struct memtable_cursor *c, const struct memtable *t);

void memtable_cursor_first(struct memtable_cursor *c);
void memtable_cursor_last(struct memtable_cursor *c);

/* The first entry at or after (key, sequence). */
void memtable_cursor_seek(struct memtable_cursor *c, struct slice key, uint64_t sequence);

/* The last entry before (key, sequence). */
void memtable_cursor_seek_before(struct memtable_cursor *c, struct slice key, uint64_t sequence);

/* From a valid place; off the end it is not valid any more. */
void memtable_cursor_next(struct memtable_cursor *c);
void memtable_cursor_prev(struct memtable_cursor *c);

#endif
