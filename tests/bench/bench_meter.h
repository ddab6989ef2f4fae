/* bench_meter.h - latencies of very short operations, at little cost.
 *
 * The clock is the processor's counter where there is one. An operation of less than a
 * microsecond is timed once in 17, of less than 100 ns once in 257 (found out from the first
 * 1,000); the span between two looks at the clock is kept too, so that a stall in an operation
 * that was not sampled still shows in max. Counts are in buckets of 1/32 of a power of two. */
#ifndef TESTS_BENCH_BENCH_METER_H
#define TESTS_BENCH_BENCH_METER_H

#include <stdint.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define METER_FINE    32
#define METER_BUCKETS (METER_FINE * 60)
#define METER_TRIAL   1000 /* operations, all timed, that the rate of sampling is found from */

struct meter {
    double ns_per_tick;
    uint64_t begun;
    uint64_t last;  /* when the clock was last read */
    uint64_t start; /* of the operation that is being timed */
    uint32_t every;
    uint32_t left; /* operations until the next that is timed */
    uint64_t count;
    uint64_t max;
    uint32_t buckets[METER_BUCKETS];
};

static inline uint64_t meter_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t meter_ticks(void)
{
#if defined(__x86_64__)
    return __rdtsc();
#elif defined(__aarch64__)
    uint64_t t;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
    return t;
#else
    return meter_ns();
#endif
}

/* Takes 20 ms. */
static inline double meter_calibrate(void)
{
    uint64_t ns = meter_ns();
    uint64_t ticks = meter_ticks();
    while (meter_ns() - ns < 20000000u) {
    }
    return (double)(meter_ns() - ns) / (double)(meter_ticks() - ticks);
}

static inline void meter_begin(struct meter *m, double ns_per_tick)
{
    memset(m, 0, sizeof *m);
    m->ns_per_tick = ns_per_tick;
    m->every = 1;
    m->left = 1;
    m->begun = m->last = meter_ticks();
}

static inline uint32_t meter_bucket(uint64_t v)
{
    if (v < METER_FINE) {
        return (uint32_t)v;
    }
    uint32_t top = 63u - (uint32_t)__builtin_clzll(v);
    return (top - 4) * METER_FINE + (uint32_t)((v >> (top - 5)) & (METER_FINE - 1));
}

/* The middle of a bucket. */
static inline double meter_value(uint32_t bucket)
{
    if (bucket < METER_FINE) {
        return bucket;
    }
    uint32_t shift = bucket / METER_FINE - 1;
    return ((double)(METER_FINE + bucket % METER_FINE) + 0.5) * (double)(1ull << shift);
}

static inline void meter_add(struct meter *m, uint64_t ticks)
{
    m->buckets[meter_bucket(ticks)]++;
    if (++m->count == METER_TRIAL && m->every == 1) {
        double mean = (double)(m->last - m->begun) * m->ns_per_tick / METER_TRIAL;
        m->every = mean < 100 ? 257 : mean < 1000 ? 17 : 1;
    }
}

static inline void meter_before(struct meter *m)
{
    if (--m->left == 0) {
        m->start = meter_ticks();
        if (m->start - m->last > m->max) {
            m->max = m->start - m->last;
        }
    }
}

static inline void meter_after(struct meter *m)
{
    if (m->left == 0) {
        m->last = meter_ticks();
        if (m->last - m->start > m->max) {
            m->max = m->last - m->start;
        }
        meter_add(m, m->last - m->start);
        m->left = m->every;
    }
}

static inline void meter_merge(struct meter *to, const struct meter *from)
{
    to->count += from->count;
    to->max = from->max > to->max ? from->max : to->max;
    for (uint32_t i = 0; i < METER_BUCKETS; i++) {
        to->buckets[i] += from->buckets[i];
    }
}

/* The latency in ns that this part of the samples does not exceed. */
static inline double meter_quantile(const struct meter *m, double part)
{
    double seen = 0;
    for (uint32_t i = 0; i < METER_BUCKETS; i++) {
        seen += m->buckets[i];
        if (m->buckets[i] > 0 && seen >= part * (double)m->count) {
            return meter_value(i) * m->ns_per_tick;
        }
    }
    return 0;
}

#endif
