/* memview.h - what readers see: the tables that together hold every entry, newest first.
 *
 * tables[0] is the active memtable, the last one the base, full ones lie between. A version never
 * changes once it is installed; a reader holds a reference while it looks. */
#ifndef ENGINE_MEMVIEW_H
#define ENGINE_MEMVIEW_H

#include "engine/memtable.h"

struct memview {
    struct env *env; /* borrowed */
    uint64_t refs;   /* atomic */
    size_t cap;
    size_t count;              /* at least 2 once it is installed */
    struct memtable *tables[]; /* a reference to each is held */
};

/* An empty one with room for cap tables, and one reference, the caller's. */
NODISCARD enum status memview_new(struct env *env, size_t cap, struct memview **version);

/* Adds a table behind the others and takes a reference of it. */
void memview_add(struct memview *v, struct memtable *t);

void memview_ref(struct memview *v);
void memview_unref(struct memview *v); /* NULL is harmless */

/* The newest version of key that is no newer than sequence, a delete too, and the table that owns
 * it; NULL: none. */
const struct skl_node *memview_get(const struct memview *v, struct slice key, uint64_t sequence,
                                   struct memtable **owner);

/* Full tables that wait to be merged into the base. */
static inline size_t memview_full(const struct memview *v)
{
    return v->count - 2;
}

static inline struct memtable *memview_active(const struct memview *v)
{
    return v->tables[0];
}

/* Bytes that its tables hold. */
uint64_t memview_bytes(const struct memview *v);

/* Newer tables hold newer sequences, and every table is well formed but for the active one, which
 * may be written to at this moment. O(n); for CK_SLOW. */
bool memview_check(const struct memview *v);

#endif
