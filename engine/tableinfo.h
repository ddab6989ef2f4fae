/* tableinfo.h - what a finished table is: told by its writer, kept in the manifest, checked by its
 * readers. */
#ifndef ENGINE_TABLEINFO_H
#define ENGINE_TABLEINFO_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct table_info {
    uint64_t number; /* of the file */
    uint64_t size;   /* of the file, bytes */
    uint32_t check;  /* CRC-32C over the CRCs of all its blocks: binds the file to the manifest */
    uint64_t entries;
    uint64_t deletes;
    uint64_t tombs; /* pieces of range tombstones */
    uint64_t sequence_min;
    uint64_t sequence_max;
    uint64_t raw_bytes; /* of keys and values */
    struct slice least; /* user keys: least <= every key <= most, range tombstones included */
    struct slice most;
    bool most_open; /* most itself is not in it: it is the end of a range tombstone */
};

#endif
