/* prng.h - a small fast generator (splitmix64) for tests and workloads that own their seed.
 *
 * The simulator's decisions do not come from here but from sim/chooser.h. */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include "base/hash.h"

struct prng {
    uint64_t state;
};

static inline uint64_t prng_next(struct prng *g)
{
    g->state += 0x9e3779b97f4a7c15u;
    return hash_mix(g->state);
}

/* Uniform in [0, n), n > 0; the bias is below n / 2^64. */
static inline uint64_t prng_below(struct prng *g, uint64_t n)
{
    return prng_next(g) % n;
}

#endif
