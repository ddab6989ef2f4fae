/* entry.h - one version of one key, as memtables, tables and merges hand it around.
 *
 * Internal order: user key ascending, then sequence descending, so that the newest version of a key
 * comes first. Two entries never share key and sequence. Range deletes are no entries: they lie
 * beside them, as struct tomb. */
#ifndef ENGINE_ENTRY_H
#define ENGINE_ENTRY_H

#include "engine/batch.h"
#include "engine/order.h"

#define ENTRY_SEQUENCE_MAX (UINT64_MAX >> 8) /* sorts before every version of its key */

struct entry {
    struct slice key; /* borrowed, as the value is */
    uint64_t sequence;
    struct slice value; /* empty for a delete */
    uint8_t type;       /* BATCH_PUT or BATCH_DELETE */
};

/* < 0: (key, sequence) comes before (key2, sequence2). */
static inline int entry_compare(struct order o, struct slice key, uint64_t sequence,
                                struct slice key2, uint64_t sequence2)
{
    int c = order_compare(o, key, key2);
    if (c != 0) {
        return c;
    }
    return sequence > sequence2 ? -1 : sequence < sequence2;
}

#endif
