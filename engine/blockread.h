/* blockread.h - reading a decoded data block in place.
 *
 *     entries   each: varint shared, varint rest << 1 | delete, the key's rest, the value
 *     offsets   count of u16, or of u32 when wide: where each entry begins
 *     sequences count of `width` bytes, little-endian, each less `base`
 *     marks     count of u8: table_hash of the user key, low byte
 *     tail      u56 base, u8 width, u31 count, u1 wide
 *
 * `shared` counts the bytes that a key has in common with the first of its group of
 * BLOCKREAD_GROUP, all of them; the first of a group shares nothing. So any entry is decoded in
 * O(1). A value ends where the next entry begins.
 *
 * Failure: blocks have passed their CRC, but nothing in them is trusted: every access is
 * inside the block, and what makes no sense is ST_CORRUPT. */
#ifndef ENGINE_BLOCKREAD_H
#define ENGINE_BLOCKREAD_H

#include "base/code.h"
#include "base/status.h"
#include "engine/entry.h"

#define BLOCKREAD_GROUP 16 /* entries that share a head */
#define BLOCKREAD_TAIL  12 /* bytes */
#define BLOCKREAD_WIDE  0x80000000u

struct blockread {
    const char *data; /* borrowed */
    const char *offsets;
    const char *sequences;
    const char *marks;
    uint64_t base;
    uint32_t count;
    uint32_t ends; /* bytes of the entries */
    uint8_t width;
    bool wide;
};

/* One entry as it lies there. */
struct blockread_item {
    uint32_t shared; /* bytes of its group's head that its key begins with */
    uint8_t type;    /* BATCH_PUT or BATCH_DELETE */
    struct slice rest;
    struct slice value;
};

/* Finds the columns. The block is borrowed. */
NODISCARD enum status blockread_init(struct blockread *r, struct slice block);

static inline uint32_t blockread_offset(const struct blockread *r, uint32_t i)
{
    return r->wide ? code_get32(r->offsets + (size_t)4 * i)
                   : code_get16(r->offsets + (size_t)2 * i);
}

/* The long way round, for sizes over one byte. */
bool blockread_item_long(const char *p, const char *end, struct blockread_item *it);

/* Entry i < count; false: it is damaged. */
static inline bool blockread_item(const struct blockread *r, uint32_t i, struct blockread_item *it)
{
    uint32_t at = blockread_offset(r, i);
    uint32_t end = i + 1 < r->count ? blockread_offset(r, i + 1) : r->ends;
    if (end > r->ends || at >= end || end - at < 2) {
        return false;
    }
    const char *p = r->data + at;
    unsigned shared = (unsigned char)p[0];
    unsigned rest = (unsigned char)p[1];
    if ((shared | rest) >= 0x80) {
        return blockread_item_long(p, r->data + end, it);
    }
    uint32_t size = end - at - 2;
    if (rest >> 1 > size) {
        return false;
    }
    it->shared = shared;
    it->type = (rest & 1) != 0 ? BATCH_DELETE : BATCH_PUT;
    it->rest = slice_of(p + 2, rest >> 1);
    it->value = slice_of(p + 2 + (rest >> 1), size - (rest >> 1));
    return true;
}

/* Reads eight bytes and masks: the tail lies behind the column. */
static inline uint64_t blockread_sequence(const struct blockread *r, uint32_t i)
{
    uint64_t low = code_get64(r->sequences + (size_t)r->width * i);
    return (r->base + (low & ((UINT64_C(1) << (8 * r->width)) - 1))) & ENTRY_SEQUENCE_MAX;
}

/* The key of the first entry of i's group; false: it is damaged. */
static inline bool blockread_head(const struct blockread *r, uint32_t i, struct slice *key)
{
    struct blockread_item it;
    bool good = blockread_item(r, i - i % BLOCKREAD_GROUP, &it) && it.shared == 0;
    *key = it.rest;
    return good;
}

/* The newest entry of key with a sequence <= `sequence`. hash: table_hash(key). ST_NOENT. */
NODISCARD enum status blockread_find(const struct blockread *r, struct slice key, uint64_t hash,
                                     uint64_t sequence, struct entry *e);

/* *at: the first entry >= (key, sequence), the count when there is none. scratch (cap bytes) has
 * room for the longest key; an order other than bytewise needs it. */
NODISCARD enum status blockread_seek(const struct blockread *r, struct order o, struct slice key,
                                     uint64_t sequence, char *scratch, size_t cap, uint32_t *at);

#endif
