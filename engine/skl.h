/* skl.h - a skip list of internal entries: the memtable's index.
 *
 * An entry is (user key, sequence, type, value). Entries are ordered by user key, then by
 * sequence descending, so that the newest version of a key comes first. The list only grows.
 * One thread writes; any number read at the same time without a lock.
 *
 * Adding is two steps, because the one that can fail has to come before the log is written and
 * the one that is seen after: skl_node_new() makes a node that nobody can reach, skl_link()
 * puts it in its place and cannot fail.
 *
 * Invariants (skl_check() tests all of them):
 *   I1  entries are strictly ascending along level 0
 *   I2  every level is a subsequence of the level below it
 *   I3  a linked node is never moved, changed (but for its links) or freed before the arena is
 *   I4  `height` is that of the tallest node: lower, and search silently becomes O(n)
 *   I5  a reader that finds a node finds it complete: links are released, loads acquire
 *
 * Failure: memory only, and then nothing has changed.
 * Determinism: node heights come from env_random_u64() and from nothing else. */
#ifndef ENGINE_SKL_H
#define ENGINE_SKL_H

#include "engine/arena.h"
#include "engine/order.h"
#include "engine/record.h"
#include "env/env.h"

#define SKL_HEIGHT_MAX   12         /* 4^12 entries before the top level fills up */
#define SKL_SEQUENCE_MAX UINT64_MAX /* sorts before every version of its key; 0 after */

struct skl_node {
    uint64_t sequence; /* this and the next three as in struct record */
    uint32_t value_size;
    uint32_t key_size : 24;
    uint32_t type : 8; /* of enum batch_type; the list does not care */
    uint64_t height;
    struct skl_node *next[]; /* next[height], atomic; then the key, then the value */
};

struct skl {
    struct env *env; /* borrowed; outlives the list */
    struct order order;
    struct arena *arena; /* borrowed; owns the nodes */
    struct skl_node *head;
    struct skl_node *hint[SKL_HEIGHT_MAX]; /* writer: the path to its last link, all levels */
    uint64_t height;                       /* levels in use, 1..SKL_HEIGHT_MAX; atomic */
    uint64_t count;                        /* atomic */
};

/* An empty list whose nodes come from arena. */
NODISCARD enum status skl_init(struct skl *l, struct env *env, struct order order,
                               struct arena *arena);

/* A node with copies of key and value, in no list. NULL when memory is refused. next[0] is the
 * caller's to chain such nodes by until they are linked. */
struct skl_node *skl_node_new(struct skl *l, uint8_t type, struct slice key, struct slice value);

/* Puts the node in as (key, sequence), which must not be in the list. Readers may see it from now
 * on. Ascending entries cost O(1), others O(log n). */
void skl_link(struct skl *l, struct skl_node *node, uint64_t sequence);

/* The first entry at or after (key, sequence); NULL: none. */
const struct skl_node *skl_seek(const struct skl *l, struct slice key, uint64_t sequence);

/* The last entry before (key, sequence); NULL: none. */
const struct skl_node *skl_before(const struct skl *l, struct slice key, uint64_t sequence);

const struct skl_node *skl_first(const struct skl *l);
const struct skl_node *skl_last(const struct skl *l);
const struct skl_node *skl_next(const struct skl_node *node);

/* Borrowed as long as the arena lives. */
static inline struct slice skl_key(const struct skl_node *n)
{
    return slice_of((const char *)&n->next[n->height], n->key_size);
}

static inline struct slice skl_value(const struct skl_node *n)
{
    return slice_of((const char *)&n->next[n->height] + n->key_size, n->value_size);
}

static inline uint64_t skl_count(const struct skl *l)
{
    return atomic_get_u64(&l->count);
}

/* Checks I1, I2, I4 and count in O(n); for CK_SLOW and tests. The writer calls it. */
bool skl_check(const struct skl *l);

#endif
