/* memtable.h - a table of entries in memory: the active one, full ones, and the base.
 *
 * Counted references: versions, pins and iterators hold them. One thread writes the active table;
 * tables behind it never change. All versions of a key in a newer table are newer than all
 * those of it in an older one. */
#ifndef ENGINE_MEMTABLE_H
#define ENGINE_MEMTABLE_H

#include "engine/batch.h"
#include "engine/skl.h"

struct memtable {
    struct env *env; /* borrowed */
    uint64_t refs;   /* atomic */
    uint64_t log;    /* the first log that holds entries of this table; set before it is shared */
    uint64_t last;   /* sequence of its last entry; set when it is full, under the mutex */
    struct arena arena;
    struct skl skl;
};

/* An empty table with one reference, the caller's. */
NODISCARD enum status memtable_new(struct env *env, uint64_t log, struct memtable **table);

void memtable_ref(struct memtable *t);

/* Gives a reference back; the last one frees the table. NULL is harmless. */
void memtable_unref(struct memtable *t);

/* The newest version of key that is no newer than sequence, a delete too; NULL: none. */
const struct skl_node *memtable_get(const struct memtable *t, struct slice key, uint64_t sequence);

static inline uint64_t memtable_bytes(const struct memtable *t)
{
    return arena_bytes(&t->arena);
}

#endif
