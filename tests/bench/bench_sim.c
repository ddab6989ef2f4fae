/* bench_sim.c - whole seeds of the default plan a second, on one core, checks and shadow recoveries
 * included. Prints one JSON object.
 *
 * usage: bench_sim [SEEDS [FIRST]] */
#include "sim/cluster/cluster.h"
#include "sim/simmem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SEEDS_DEFAULT 100u

static double seconds_now(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t); /* these clocks are always there */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct sums {
    uint64_t operations, crashes, shadows, steps, failed, unknown;
    double slowest_s;
    uint64_t slowest_seed;
};

static void one_seed(struct fiber_pool *pool, uint64_t seed, struct sums *s)
{
    struct plan plan;
    struct trial_result r;
    plan_init(&plan, simmem(), seed);
    plan_draw(&plan);
    struct trial_options o = {.plan = &plan, .pool = pool};
    double from = seconds_now(CLOCK_PROCESS_CPUTIME_ID);
    cluster_run(&o, &r, NULL);
    double took = seconds_now(CLOCK_PROCESS_CPUTIME_ID) - from;
    if (took > s->slowest_s) {
        s->slowest_s = took;
        s->slowest_seed = seed;
    }
    s->operations += r.operations;
    s->crashes += r.crashes;
    s->shadows += r.shadow_crashes;
    s->steps += r.steps;
    s->failed += !r.ok;
    s->unknown += r.unknown;
    plan_release(&plan);
}

int main(int argc, char **argv)
{
    struct fiber_pool pool;
    struct sums s = {0};
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : SEEDS_DEFAULT;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    fiber_pool_init(&pool, 0);
    double cpu = seconds_now(CLOCK_PROCESS_CPUTIME_ID);
    double wall = seconds_now(CLOCK_MONOTONIC);
    for (uint64_t i = 0; i < seeds; i++) {
        one_seed(&pool, first + i, &s);
    }
    cpu = seconds_now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds_now(CLOCK_MONOTONIC) - wall;
    (void)printf("{\"bench\":\"sim\",\"seeds\":%llu,\"operations\":%llu,\"crashes\":%llu,"
                 "\"shadow_recoveries\":%llu,\"steps\":%llu,\"failed\":%llu,\"unknown\":%llu,"
                 "\"cpu_s\":%.3f,\"wall_s\":%.3f,\"seeds_per_cpu_s\":%.1f,"
                 "\"slowest_seed\":%llu,\"slowest_s\":%.3f}\n",
                 (unsigned long long)seeds, (unsigned long long)s.operations,
                 (unsigned long long)s.crashes, (unsigned long long)s.shadows,
                 (unsigned long long)s.steps, (unsigned long long)s.failed,
                 (unsigned long long)s.unknown, cpu, wall, (double)seeds / cpu,
                 (unsigned long long)s.slowest_seed, s.slowest_s);
    fiber_pool_release(&pool);
    return s.failed > 0;
}
