/* blockwrite.h - building a data block; blockread.h has the layout.
 *
 * Entries come in internal order; nothing checks that here. Failure: ST_NOMEM, and then the block
 * is as it was before. */
#ifndef ENGINE_BLOCKWRITE_H
#define ENGINE_BLOCKWRITE_H

#include "base/buf.h"
#include "engine/entry.h"

struct blockwrite_row {
    uint64_t sequence;
    uint32_t offset;
    uint8_t mark;
};

struct blockwrite {
    struct buf entries;
    struct blockwrite_row *rows; /* owned */
    uint32_t count, cap;
    uint32_t head_at, head_size; /* the group's first key, in entries */
    uint64_t least, most;        /* sequences */
};

void blockwrite_init(struct blockwrite *w, struct mem *mem);
void blockwrite_release(struct blockwrite *w);
void blockwrite_clear(struct blockwrite *w);

/* hash: of the user key, as table_hash gives it. */
NODISCARD enum status blockwrite_add(struct blockwrite *w, const struct entry *e, uint64_t hash);

/* Bytes of the block with one more entry of such sizes, at most. */
uint64_t blockwrite_size_with(const struct blockwrite *w, size_t key_size, size_t value_size);
uint64_t blockwrite_size(const struct blockwrite *w);

/* Appends the block. count > 0. */
NODISCARD enum status blockwrite_finish(const struct blockwrite *w, struct buf *out);

#endif
