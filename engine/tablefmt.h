/* tablefmt.h - the bytes of a table file that are not data: frames, properties, the footer.
 *
 *     data blocks | filter | range tombs | index | properties | footer
 *
 * Nothing lies between them, so that a size for each part says where all of them are, and no file
 * can describe a gap or an overlap. Every block is framed: its payload, then
 *
 *      0 u8  type    TABLEFMT_RAW or TABLEFMT_LZ4
 *      1 u32 crc     CRC-32C over: file number u64, offset of the block u64 (neither is stored),
 *                    the payload and the type
 *
 * so that a block of another file, or of another place in this one, never parses. See
 * docs/format-table.md.
 *
 * Failure: ST_CORRUPT for bytes that are not what was written, ST_UNSUPPORTED for a newer version;
 * nothing read is trusted. */
#ifndef ENGINE_TABLEFMT_H
#define ENGINE_TABLEFMT_H

#include "base/buf.h"
#include "engine/order.h"
#include "engine/tableinfo.h"

#define TABLEFMT_TRAIL   5 /* bytes behind the payload of a block */
#define TABLEFMT_FOOTER  68
#define TABLEFMT_VERSION 1
#define TABLEFMT_MAGIC   0x0a4c424154564b54u /* "TKVTABL\n" */

enum tablefmt_type { TABLEFMT_RAW = 0, TABLEFMT_LZ4 = 1 }; /* as enum tkv_compression */

/* The properties block: what the footer does not say. */
struct tablefmt_props {
    struct table_info info; /* size and check are 0 here: the footer has them */
    struct slice order;     /* the comparator's name */
    uint64_t blocks;        /* of data */
    uint64_t key_max;       /* bytes of the longest key */
    uint32_t block_bytes;   /* creation options */
    uint32_t filter_bits;
    uint32_t prefix_bytes;
    uint8_t compression;
};

struct tablefmt_footer {
    uint64_t number;
    uint64_t data;   /* bytes of each part, frames included; they add up with the */
    uint64_t filter; /* footer to the file's size. 0: there is none */
    uint64_t tombs;
    uint64_t index;
    uint64_t props;
    uint32_t check;
};

/* Puts the frame behind size bytes of payload at p; returns its CRC. */
uint32_t tablefmt_seal(bool hardware, char *p, size_t size, uint8_t type, uint64_t number,
                       uint64_t offset);

/* Are these size bytes, frame included, the block at that place? *found and *want are the CRCs. */
bool tablefmt_sealed(bool hardware, const char *p, size_t size, uint64_t number, uint64_t offset,
                     uint32_t *found, uint32_t *want);

NODISCARD enum status tablefmt_put_props(struct buf *b, const struct tablefmt_props *p);
/* Slices point into bytes. */
NODISCARD enum status tablefmt_get_props(struct slice bytes, struct tablefmt_props *p);

void tablefmt_put_footer(char p[TABLEFMT_FOOTER], const struct tablefmt_footer *f);
/* size: of the whole file, which the parts must add up to. */
NODISCARD enum status tablefmt_get_footer(const char p[TABLEFMT_FOOTER], uint64_t number,
                                          uint64_t size, struct tablefmt_footer *f);

#endif
