/* bench_data.h - the keys and values of the engine's benchmark: the same for every store.
 *
 * A key is the 16 decimal digits of a number. A value begins with its key's number and the place
 * in a pool of half-compressible bytes (each 100 are 50 random ones twice) that the rest was taken
 * from: so that what is read back can be told to be right without a table of what was written. */
#ifndef TESTS_BENCH_BENCH_DATA_H
#define TESTS_BENCH_BENCH_DATA_H

#include "base/prng.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define DATA_KEY_BYTES 16
#define DATA_VALUE_MIN 16
#define DATA_VALUE_MAX 65536
#define DATA_POOL      (1u << 20) /* places in the pool */
#define DATA_ZIPF      (1u << 20) /* ranks drawn ahead, so that no workload computes powers */

struct data {
    uint64_t entries;
    uint32_t value_bytes;
    uint64_t mask; /* of the power of two that covers entries */
    unsigned shift;
    char *pool;
    uint32_t *ranks; /* zipfian, 0 is the hottest; NULL when no workload wants them */
};

void bench_data_init(struct data *d, uint64_t entries, uint32_t value_bytes, bool zipf);
void bench_data_release(struct data *d);

/* Whether these are the bytes of a value of this key; all of them, or (cheaper) the length and
 * the number only. */
bool bench_data_right(const struct data *d, uint64_t id, struct slice value, bool all);

/* The number at position i of one of many fixed orders of 0..entries-1, told apart by salt. */
static inline uint64_t data_shuffle(const struct data *d, uint64_t i, uint64_t salt)
{
    do {
        i = (i * 0x9e3779b97f4a7c15u + salt) & d->mask;
        i ^= i >> d->shift;
        i = (i * 0xd6e8feb86659fd93u) & d->mask;
        i ^= i >> d->shift;
    } while (i >= d->entries);
    return i;
}

static inline struct slice data_key(char buffer[DATA_KEY_BYTES + 1], uint64_t id)
{
    for (unsigned i = DATA_KEY_BYTES; i-- > 0; id /= 10) {
        buffer[i] = (char)('0' + id % 10);
    }
    return slice_of(buffer, DATA_KEY_BYTES);
}

static inline struct slice data_value(const struct data *d, char *buffer, uint64_t id,
                                      uint64_t place)
{
    place &= DATA_POOL - 1;
    memcpy(buffer, &id, 8);
    memcpy(buffer + 8, &place, 8);
    memcpy(buffer + DATA_VALUE_MIN, d->pool + place, d->value_bytes - DATA_VALUE_MIN);
    return slice_of(buffer, d->value_bytes);
}

#endif
