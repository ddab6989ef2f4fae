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

#endif
