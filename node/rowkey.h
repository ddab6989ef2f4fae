/* rowkey.h - keys of the state machine's own rows: the reserved prefix, a kind, numbers.
 *
 * Numbers are big-endian, so that rows of a kind ascend with them. */
#ifndef NODE_ROWKEY_H
#define NODE_ROWKEY_H

#include "node/view.h"

#define ROWKEY_MAX 19u

static inline void rowkey_put(char *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8) {
        p[i] = (char)v;
    }
}

static inline uint64_t rowkey_get(const char *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) {
        v = v << 8 | (unsigned char)p[i];
    }
    return v;
}

/* The key of a kind with `numbers` (0 to 2) numbers behind it, in the caller's bytes. */
static inline struct slice rowkey(char bytes[ROWKEY_MAX], char kind, int numbers, uint64_t a,
                                  uint64_t b)
{
    memcpy(bytes, VIEW_RESERVED, 2);
    bytes[2] = kind;
    rowkey_put(bytes + 3, a);
    rowkey_put(bytes + 11, b);
    return slice_of(bytes, 3 + 8 * (size_t)numbers);
}

#endif
