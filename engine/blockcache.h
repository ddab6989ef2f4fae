/* blockcache.h - decoded blocks of tables in memory, bounded in bytes.
 *
 * Sharded by the hash of (file number, offset). A hit takes no lock: it enters the epoch, probes an
 * array of pointers, takes a reference and leaves; it writes to nothing but the block's own count
 * of references, its mark for the clock (when not set already), and counters that no other thread
 * has at that moment. Adding and evicting take the shard's mutex. Replacement is CLOCK: a block
 * that was hit since the hand passed it last is spared once.
 *
 * Once it is full, a block gets in only when it was asked for a second time lately
 * (blockcache_wants): one pass over much data then neither empties the cache nor pays for blocks
 * that nobody asks for again. What was asked for is remembered as a hash each, in a table with
 * room for about as many blocks as the cache has.
 *
 * Invariants
 *   K1  blocks in the cache, with all overhead, and evicted ones that wait for readers to leave,
 *       are never more than `bytes`; beyond that there are what holders of references keep, and
 *       what is made with the cache: shards, counters, and the hashes, 8 bytes for 2 KiB of it
 *   K2  what is found under (number, offset) was added under it, whole
 *   K3  a block is in at most one place of one shard (blockcache_check)
 *
 * Failure: only making the cache can fail. When memory is refused later, or when
 * evicted blocks still wait for readers, blocks are just not cached.
 *
 * Ownership: a block belongs to its references; it starts with one. Blocks never change once added.
 */
#ifndef ENGINE_BLOCKCACHE_H
#define ENGINE_BLOCKCACHE_H

#include "base/atomic.h"
#include "base/list.h"
#include "engine/epoch.h"

#include <stddef.h>

struct blockcache;

struct block {
    uint64_t refs; /* atomic */
    uint64_t used; /* atomic: hit since the hand passed */
    uint64_t number;
    uint64_t offset;
    size_t size;
    struct mem *mem; /* borrowed */
    union {
        struct list ring;       /* in a shard */
        struct epoch_item item; /* evicted */
    } at;
    struct blockcache *cache; /* borrowed; NULL: never added */
    char data[];
};

/* A block of size bytes, contents undefined, to be filled before it is added or shared.
 * NULL when memory is refused. */
static inline struct block *block_new(struct mem *mem, uint64_t number, uint64_t offset,
                                      size_t size)
{
    struct block *b =
        size <= SIZE_MAX / 2 ? mem_alloc(mem, sizeof(struct block) + size) : (struct block *)NULL;
    if (b != NULL) {
        *b =
            (struct block){.refs = 1, .number = number, .offset = offset, .size = size, .mem = mem};
    }
    return b;
}

static inline void block_ref(struct block *b)
{
    (void)atomic_add_u64(&b->refs, 1);
}

static inline void block_unref(struct block *b) /* NULL is harmless */
{
    if (b != NULL && atomic_add_u64(&b->refs, -1) == 0) {
        mem_release(b->mem, b);
    }
}

/* bytes 0: caches nothing. ST_NOMEM. env and epoch are borrowed and outlive the cache. */
NODISCARD enum status blockcache_new(struct env *env, struct epoch *epoch, uint64_t bytes,
                                     struct blockcache **cache);
/* Nobody uses it any more; blocks whose references are held stay with their holders. Reclaims the
 * epoch. NULL is harmless. */
void blockcache_free(struct blockcache *c);

/* The block with a reference for the caller, or NULL. Enters the epoch by itself. */
struct block *blockcache_find(struct blockcache *c, uint64_t number, uint64_t offset);

/* The same for a caller who has entered the cache's epoch: no reference: the block stays until he
 * leaves with `slot`. */
struct block *blockcache_peek(struct blockcache *c, unsigned slot, uint64_t number,
                              uint64_t offset);

/* Whether a block that was just missed is worth adding: there is room, or it was asked for not long
 * ago. Remembers that it was asked for. Takes no lock. */
bool blockcache_wants(struct blockcache *c, uint64_t number, uint64_t offset);

/* Takes a reference of its own, unless the block does not fit or one of its name is there. May
 * evict, and reclaims the epoch: call it without a lock that a drop function of an item takes.
 */
void blockcache_add(struct blockcache *c, struct block *b);

/* Forgets the blocks of a file that is gone. Walks the cache in short steps: for background
 * threads. */
void blockcache_drop_file(struct blockcache *c, uint64_t number);

struct blockcache_stats {
    uint64_t bytes;   /* in the cache, with overhead */
    uint64_t waiting; /* bytes evicted that readers may still look at */
    uint64_t blocks;
    uint64_t hits, misses, evicted, refused;
};
void blockcache_stats(struct blockcache *c, struct blockcache_stats *s);

/* K1 and K3, walking everything; takes the mutexes. For CK_SLOW and tests. */
bool blockcache_check(struct blockcache *c);

#endif
