/* filter.h - a Bloom filter in blocks of one cache line: one miss a question.
 *
 * The high half of a key's hash chooses a line of 64 bytes, the low half its bits in it. As bytes:
 * the lines, then a u8 with the number of bits a key sets. See docs/table.md for the rate of false
 * positives. Failure: ST_NOMEM; ST_CORRUPT from filter_load. */
#ifndef ENGINE_FILTER_H
#define ENGINE_FILTER_H

#include "base/buf.h"

#include <stdbool.h>

#define FILTER_LINE       64u /* bytes */
#define FILTER_BITS_MAX   64  /* a key */
#define FILTER_PROBES_MAX 24

struct filter {
    struct mem *mem;
    void *block;       /* owned: the memory of lines */
    const char *lines; /* on a line boundary; NULL: no filter: everything may be there */
    uint64_t count;    /* of lines */
    unsigned probes;
};

/* The hash of a user key, and of a prefix that stands for all keys that begin with it. Part of the
 * format: never changes. */
uint64_t filter_hash(struct slice key);
uint64_t filter_hash_prefix(struct slice prefix);

/* Appends the filter of count hashes. */
NODISCARD enum status filter_build(struct buf *out, const uint64_t *hashes, size_t count,
                                   uint32_t bits);

/* Takes a copy on its own line boundary. */
NODISCARD enum status filter_load(struct filter *f, struct mem *mem, struct slice bytes);
void filter_release(struct filter *f);

uint64_t filter_memory(const struct filter *f);

/* false: no key with that hash was added. */
bool filter_may_have(const struct filter *f, uint64_t hash);

#endif
