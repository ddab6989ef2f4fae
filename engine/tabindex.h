/* tabindex.h - which data block of a table holds a key.
 *
 * As bytes: for each block: varint shared, varint rest << 1 | numbered, the separator's rest,
 * varint sequence when numbered, varint size of the block with its frame. `shared` counts bytes in
 * common with the separator before. A separator (key, sequence) is >= the block's last entry and
 * < the next block's first; sequence is 0, which is behind every version, unless versions
 * of one key lie in both. Blocks follow each other from offset 0 on, so sizes say where they lie.
 *
 * In memory a flat array of eight bytes a separator, taken behind what all of them share, is
 * searched first (bytewise order only); whole separators settle what it leaves open.
 *
 * Failure: ST_NOMEM; ST_CORRUPT from tabindex_load, which trusts nothing. */
#ifndef ENGINE_TABINDEX_H
#define ENGINE_TABINDEX_H

#include "base/buf.h"
#include "engine/entry.h"

struct tabindex {
    struct mem *mem;
    struct order order;
    void *block;         /* owned: all of the arrays */
    uint64_t *prefixes;  /* bytewise order only, else NULL */
    uint64_t *offsets;   /* count + 1 */
    uint64_t *sequences; /* NULL: all 0 */
    uint32_t *ends;      /* of separators, in bytes; without what all share */
    const char *bytes;
    struct slice shared; /* what all separators begin with */
    uint32_t count;
    uint64_t memory; /* bytes of block */
};

/* Builds the index as entries come. */
struct tabindex_build {
    struct buf out;  /* the bytes so far */
    struct buf last; /* separator */
    uint64_t blocks;
};

void tabindex_build_init(struct tabindex_build *b, struct mem *mem);
void tabindex_build_release(struct tabindex_build *b);

/* The block of framed size `size` is done: it ended in last, and next follows (NULL: nothing does).
 */
NODISCARD enum status tabindex_build_add(struct tabindex_build *b, struct order o,
                                         struct slice last, uint64_t last_sequence,
                                         const struct slice *next, uint64_t size);

/* count: of blocks; total: what their sizes must add up to. */
NODISCARD enum status tabindex_load(struct tabindex *ix, struct mem *mem, struct order o,
                                    struct slice bytes, uint64_t count, uint64_t total);
void tabindex_release(struct tabindex *ix);

/* The first block whose separator is >= (key, sequence): the only one that can hold the
 * first entry >= it, but for the first of the next. The count when there is none. */
uint32_t tabindex_find(const struct tabindex *ix, struct slice key, uint64_t sequence);

/* Separator i behind `shared`. */
static inline struct slice tabindex_separator(const struct tabindex *ix, uint32_t i)
{
    uint32_t from = i == 0 ? 0 : ix->ends[i - 1];
    return slice_of(ix->bytes + from, ix->ends[i] - from);
}

static inline uint64_t tabindex_sequence(const struct tabindex *ix, uint32_t i)
{
    return ix->sequences == NULL ? 0 : ix->sequences[i];
}

#endif
