/* arena.h - memory that is handed out piece by piece and given back all at once.
 *
 * A memtable lives in one: its nodes are never freed singly. Blocks double in size from
 * ARENA_BLOCK_MIN to ARENA_BLOCK_MAX, so that a small table costs little and a large one few calls;
 * a piece too large for a block gets one of its own.
 *
 * Failure: NULL when memory is refused; the arena is as before. One thread at a time allocates;
 * arena_bytes() may be asked by any. */
#ifndef ENGINE_ARENA_H
#define ENGINE_ARENA_H

#include "base/atomic.h"
#include "base/mem.h"

#define ARENA_BLOCK_MIN ((size_t)4 << 10)
#define ARENA_BLOCK_MAX ((size_t)1 << 20)

struct arena_block;

struct arena {
    struct mem *mem;            /* borrowed; outlives the arena */
    struct arena_block *blocks; /* owned, all of them */
    char *at;                   /* free part of the newest shared block */
    size_t left;
    size_t block_size; /* of the next shared block */
    uint64_t bytes;    /* handed out; atomic */
};

void arena_init(struct arena *a, struct mem *mem);

/* Frees everything. Safe on a zeroed struct. */
void arena_release(struct arena *a);

/* size > 0 bytes aligned for pointers and u64, contents undefined. NULL when refused. */
void *arena_alloc(struct arena *a, size_t size);

static inline uint64_t arena_bytes(const struct arena *a)
{
    return atomic_get_u64(&a->bytes);
}

#endif
