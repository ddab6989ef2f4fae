/* walfmt.h - the bytes of a fragment, shared by whatever writes and reads logs and manifests.
 *
 * A file is a run of fragments inside blocks of WALFMT_BLOCK bytes; none crosses a block, and a
 * block's end too short for a fragment head is zero. See docs/format-wal.md.
 *
 *      0 u32 crc     CRC-32C over: file number u64, offset of the fragment u64 (neither is stored),
 *                    then bytes 4..32 of the head and the payload
 *      4 u16 size    of the payload
 *      6 u8  type    of enum walfmt_type
 *      7 u8  flags   0
 *      8 u32 number  low half of the file's number
 *     12 u32 epoch   drawn when the file was made: tells it from another of the same number
 *     16 u64 sequence of the record's first change
 *     24 u64 synced  the file was known to be on the medium up to here when this was written
 *
 * So leftovers of another file, or of another place in this one, never parse. */
#ifndef ENGINE_WALFMT_H
#define ENGINE_WALFMT_H

#include "base/slice.h"
#include "base/status.h"

#include <stdint.h>

#define WALFMT_BLOCK          ((size_t)32 << 10)
#define WALFMT_FRAG           32 /* bytes of a fragment's head */
#define WALFMT_HEAD           48 /* payload of a header record */
#define WALFMT_VERSION        1
#define WALFMT_PAYLOAD_MAX    (WALFMT_BLOCK - WALFMT_FRAG)
#define WALFMT_LOG_MAGIC      0x0a0d474f4c564b54u /* "TKVLOG\r\n" */
#define WALFMT_MANIFEST_MAGIC 0x0a494e414d564b54u /* "TKVMANI\n" */

enum walfmt_type {
    WALFMT_NONE, /* what zeros say: never written */
    WALFMT_FULL,
    WALFMT_FIRST,
    WALFMT_MIDDLE,
    WALFMT_LAST,
    WALFMT_HEADER, /* the first record of a file, and only that */
    WALFMT_MARK,   /* a log: no payload. The first one ends the opening; others carry `synced` */
    WALFMT_TYPES
};

struct walfmt_frag {
    uint32_t crc;
    uint16_t size;
    uint8_t type;
    uint8_t flags;
    uint32_t number;
    uint32_t epoch;
    uint64_t sequence;
    uint64_t synced;
};

/* The header record. Of a log, a: number of the log before it that is still needed (0: none), b:
 * that log's final size, c: number of the manifest that was CURRENT's when it was made. Of a
 * manifest all three are 0. */
struct walfmt_head {
    uint64_t magic;
    uint32_t version;
    uint64_t number;
    uint64_t a, b, c;
    uint32_t database; /* of a log: which database it belongs to */
};

/* Writes a fragment's head, all but the CRC, at p. */
void walfmt_put_frag(void *p, const struct walfmt_frag *f);
void walfmt_get_frag(const void *p, struct walfmt_frag *f);

/* The CRC of a fragment that lies at p, head and payload together. */
uint32_t walfmt_crc(bool hardware, const void *p, uint64_t number, uint64_t offset);

void walfmt_put_head(void *p, const struct walfmt_head *h);

/* ST_CORRUPT: this is no header of that magic and number. ST_UNSUPPORTED: a newer version. */
NODISCARD enum status walfmt_get_head(struct slice payload, uint64_t magic, uint64_t number,
                                      struct walfmt_head *h);

#endif
