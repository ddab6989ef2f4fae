/* bench_data.c - see bench_data.h. */
#include "tests/bench/bench_data.h"

#include "tests/bench/bench_peer.h"

#include <math.h>
#include <stdlib.h>

#define PIECE 100 /* bytes of the pool that are one half twice */
#define THETA 0.99

static void fill_pool(char *pool, size_t size)
{
    struct prng g = {301};
    for (size_t at = 0; at < size; at += PIECE) {
        for (size_t i = 0; i < PIECE && at + i < size; i++) {
            pool[at + i] =
                i < PIECE / 2 ? (char)(' ' + prng_below(&g, 95)) : pool[at + i - PIECE / 2];
        }
    }
}

/* Ranks below n, as Gray and others draw them ("Quickly generating billion-record synthetic
 * databases", 1994), which is what YCSB does. */
static void draw_ranks(uint32_t *ranks, uint64_t n)
{
    struct prng g = {99};
    double zeta = 0;
    for (uint64_t i = 1; i <= n; i++) {
        zeta += pow(1.0 / (double)i, THETA);
    }
    double two = 1 + pow(0.5, THETA);
    double alpha = 1 / (1 - THETA);
    double eta = (1 - pow(2.0 / (double)n, 1 - THETA)) / (1 - two / zeta);
    for (uint32_t i = 0; i < DATA_ZIPF; i++) {
        double u = (double)(prng_next(&g) >> 11) / 9007199254740992.0;
        double rank = (double)n * pow(eta * u - eta + 1, alpha);
        rank = u * zeta < 1 ? 0 : u * zeta < two ? 1 : rank;
        ranks[i] = rank < (double)n ? (uint32_t)rank : (uint32_t)(n - 1);
    }
}

void bench_data_init(struct data *d, uint64_t entries, uint32_t value_bytes, bool zipf)
{
    unsigned bits = 2;
    while (((uint64_t)1 << bits) < entries) {
        bits++;
    }
    *d = (struct data){.entries = entries,
                       .value_bytes = value_bytes,
                       .mask = ((uint64_t)1 << bits) - 1,
                       .shift = (bits + 1) / 2};
    d->pool = bench_alloc(DATA_POOL + DATA_VALUE_MAX);
    fill_pool(d->pool, DATA_POOL + DATA_VALUE_MAX);
    if (zipf) {
        d->ranks = bench_alloc(DATA_ZIPF * sizeof *d->ranks);
        draw_ranks(d->ranks, entries);
    }
}

void bench_data_release(struct data *d)
{
    free(d->pool);
    free(d->ranks);
    *d = (struct data){0};
}

bool bench_data_right(const struct data *d, uint64_t id, struct slice value, bool all)
{
    uint64_t head[2];
    if (value.size != d->value_bytes) {
        return false;
    }
    memcpy(head, value.data, sizeof head);
    if (head[0] != id) {
        return false;
    }
    return !all || (head[1] < DATA_POOL && memcmp(value.data + DATA_VALUE_MIN, d->pool + head[1],
                                                  value.size - DATA_VALUE_MIN) == 0);
}
