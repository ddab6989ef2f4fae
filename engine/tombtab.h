/* tombtab.h - the range tombstones of a memtable: one writer, readers that never wait.
 *
 * New tombs lie in a short list. When that is long enough it becomes a set, and FANOUT sets of a
 * size become one larger set: so there are O(log n) of them. A set is a segment tree over the
 * places where its tombs begin and end: each tomb is noted at O(log n) nodes, newest first, and the
 * nodes above a key's place together have every tomb that covers it. What readers look at is
 * published by one pointer and never changes; what is replaced stays until the arena goes.
 *
 * Cost: a question O(log^2 n) nodes, a tomb O(log^2 n) time and O(log^2 n) words all told.
 *
 * Failure: linking cannot fail. If a set cannot be made for want of memory the list stays as it
 * is, which only costs time. */
#ifndef ENGINE_TOMBTAB_H
#define ENGINE_TOMBTAB_H

#include "engine/arena.h"
#include "engine/tomb.h"

struct tombtab_item {
    struct tombtab_item *next; /* older ones */
    struct tomb tomb;
};

struct tombtab_view;

struct tombtab {
    struct order order;
    struct arena *arena;        /* borrowed; owns everything */
    struct tombtab_view *view;  /* atomic; NULL: no tombs */
    uint64_t count;             /* atomic */
    struct tombtab_view *first; /* of the writer, until it is the view */
    size_t waiting;             /* in the list; the writer's */
};

void tombtab_init(struct tombtab *t, struct order order, struct arena *arena);

/* Makes room for what linking the item needs: once for each that will be linked, before that. */
NODISCARD enum status tombtab_prepare(struct tombtab *t);

/* Puts the item in; its tomb is complete and not empty. It and its bytes are borrowed for good. */
void tombtab_link(struct tombtab *t, struct tombtab_item *item);

static inline bool tombtab_any(const struct tombtab *t)
{
    return ATOMIC_GET_PTR(&t->view) != NULL;
}

/* The highest sequence <= `sequence` of a tomb over key; 0: none. */
uint64_t tombtab_cover(const struct tombtab *t, struct slice key, uint64_t sequence);

/* See memtable_tombs. */
NODISCARD enum status tombtab_set(const struct tombtab *t, uint64_t limit,
                                  const struct tomb_prune *prune, struct tomb_set **set);

bool tombtab_check(const struct tombtab *t);

#endif
