/* record.h - one version of one key as a memtable keeps it: a head, then the key, then the value.
 *
 * Immutable once it is linked. Lives in the memtable's arena. */
#ifndef ENGINE_RECORD_H
#define ENGINE_RECORD_H

#include "base/slice.h"

#include <stdint.h>

#define RECORD_KEY_MAX ((1u << 24) - 1)

struct record {
    union {
        struct record *chain; /* the preparer's, until it is linked */
        uint64_t sequence;
    };
    uint32_t value_size;
    uint32_t key_size : 24;
    uint32_t type : 8; /* of enum batch_type */
};

static inline struct slice record_key(const struct record *r)
{
    return slice_of((const char *)(r + 1), r->key_size);
}

static inline struct slice record_value(const struct record *r)
{
    return slice_of((const char *)(r + 1) + r->key_size, r->value_size);
}

#endif
