/* lin_sort.h - sorts (64-bit key, item) pairs, stably, without recursion. Internal to sim/lin. */
#ifndef SIM_LIN_LIN_SORT_H
#define SIM_LIN_LIN_SORT_H

#include "base/mem.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct lin_key {
    uint64_t key;
    uint32_t item;
};

/* A signed time as an unsigned key of the same order. */
static inline uint64_t lin_key_of(int64_t t)
{
    return (uint64_t)t ^ (uint64_t)1 << 63;
}

/* Ascending by key, equal keys in their first order. ST_NOMEM: nothing moved. Linear for runs
 * that are sorted already, otherwise a radix sort of as many bytes as differ. */
NODISCARD enum status lin_sort(struct mem *mem, struct lin_key *keys, size_t count);

#endif
