/* bench_cache.c - what a hit costs: the epoch alone, the block cache, a table's slot.
 *
 *     bench_cache [OPERATIONS [ROUNDS]]
 *
 * Each line is one case with two loads, one after the other (1) and at once (2): nanoseconds of
 * processor time an operation, the least of the rounds and their median, and the rate of all
 * threads by the clock on the wall in the best round. On a machine that others use, processor time
 * is the figure to look at. Threads use blocks of their own in the cases named distinct, and the
 * same ones in the cases named same.
 */
#include "base/prng.h"
#include "engine/blockcache.h"
#include "env/env_posix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 2, BLOCKS = 8192, BLOCK_SIZE = 4096, ROUNDS_MAX = 99 };

struct work {
    struct epoch *epoch;
    struct blockcache *cache;
    struct env *env;
    uint64_t number; /* file whose blocks it asks for */
    uint64_t operations;
    uint64_t blocks;
    uint64_t found;
    struct block **plain; /* all blocks, by file and offset */
    double cpu_ns;
    void (*run)(struct work *w);
    struct env_thread thread;
};

static double clock_ns(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void run_epoch(struct work *w)
{
    for (uint64_t i = 0; i < w->operations; i++) {
        unsigned slot = epoch_enter(w->epoch);
        w->found += slot < EPOCH_SLOTS;
        epoch_exit(w->epoch, slot);
    }
}

static void run_nested(struct work *w)
{
    unsigned outer = epoch_enter(w->epoch);
    run_epoch(w);
    epoch_exit(w->epoch, outer);
}

/* The same blocks through an array of the thread's own: what the machine itself makes of it. */
static void run_plain(struct work *w)
{
    struct prng r = {w->number};
    for (uint64_t i = 0; i < w->operations; i++) {
        uint64_t n = prng_next(&r) % w->blocks;
        const struct block *b = w->plain[(w->number - 1) * BLOCKS + n];
        w->found += b->offset == n * 4096 && atomic_get_u64(&b->used) < 2;
    }
}

static void run_find(struct work *w)
{
    struct prng r = {w->number};
    for (uint64_t i = 0; i < w->operations; i++) {
        struct block *b = blockcache_find(w->cache, w->number, prng_next(&r) % w->blocks * 4096);
        w->found += b != NULL;
        block_unref(b);
    }
}

static void run_peek(struct work *w)
{
    struct prng r = {w->number};
    for (uint64_t i = 0; i < w->operations; i++) {
        unsigned slot = epoch_enter(w->epoch);
        w->found +=
            blockcache_peek(w->cache, slot, w->number, prng_next(&r) % w->blocks * 4096) != NULL;
        epoch_exit(w->epoch, slot);
    }
}

/* Misses every time: what making, adding and evicting a block cost. */
static void run_add(struct work *w)
{
    for (uint64_t i = 0; i < w->operations; i++) {
        struct block *b = block_new(&w->env->mem, w->number, i << 20, BLOCK_SIZE);
        if (b != NULL) {
            blockcache_add(w->cache, b);
        }
        w->found++;
        block_unref(b);
    }
}

static void thread_run(void *arg)
{
    struct work *w = arg;
    double from = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    w->run(w);
    w->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - from;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

struct result {
    double least_ns, median_ns, per_s;
    uint64_t found;
};

static void start(struct work *w)
{
    if (env_thread_start(w->env, &w->thread, "bench", thread_run, w) != ST_OK) {
        exit(1);
    }
}

/* The same two loads, one after the other or both at once. */
static struct result measure(const struct work *like, bool at_once, bool same, int rounds)
{
    double ns[ROUNDS_MAX];
    struct result result = {0};
    for (int round = 0; round < rounds; round++) {
        struct work w[THREADS];
        double from = clock_ns(CLOCK_MONOTONIC), cpu = 0;
        for (int i = 0; i < THREADS; i++) {
            w[i] = *like;
            w[i].number = same ? 1 : 1 + (uint64_t)i;
            start(&w[i]);
            if (!at_once) {
                env_thread_join(like->env, &w[i].thread);
            }
        }
        for (int i = 0; i < THREADS; i++) {
            if (at_once) {
                env_thread_join(like->env, &w[i].thread);
            }
            cpu += w[i].cpu_ns;
            result.found += w[i].found;
        }
        double all = (double)like->operations * THREADS;
        double rate = all / (clock_ns(CLOCK_MONOTONIC) - from) * 1e9;
        ns[round] = cpu / all;
        result.per_s = rate > result.per_s ? rate : result.per_s;
    }
    qsort(ns, (size_t)rounds, sizeof *ns, by_value);
    result.least_ns = ns[0];
    result.median_ns = ns[rounds / 2];
    return result;
}

static void compare(const char *name, struct work like, void (*run)(struct work *w), bool same,
                    int rounds)
{
    like.run = run;
    struct result one = measure(&like, false, same, rounds);
    struct result two = measure(&like, true, same, rounds);
    uint64_t asked = like.operations * (uint64_t)rounds * 2 * THREADS;
    printf("{\"bench\":\"cache\",\"case\":\"%s\",\"ns_1\":%.1f,\"ns_1_median\":%.1f,\"ns_2\":%.1f,"
           "\"ns_2_median\":%.1f,\"scaling\":%.2f,\"per_s_1\":%.0f,\"per_s_2\":%.0f,\"found\":%.4f}"
           "\n",
           name, one.least_ns, one.median_ns, two.least_ns, two.median_ns,
           2 * one.least_ns / two.least_ns, one.per_s, two.per_s,
           (double)(one.found + two.found) / (double)asked);
}

static void fill(struct work *w)
{
    for (uint64_t number = 1; number <= THREADS; number++) {
        for (uint64_t i = 0; i < BLOCKS; i++) {
            struct block *b = block_new(&w->env->mem, number, i * 4096, BLOCK_SIZE);
            if (b == NULL) {
                exit(1);
            }
            memset(b->data, (int)i, b->size);
            blockcache_add(w->cache, b);
            w->plain[(number - 1) * BLOCKS + i] = b; /* and keeps the reference */
        }
    }
}

int main(int argc, char **argv)
{
    struct env *env;
    struct epoch epoch;
    static struct block *blocks[THREADS * BLOCKS];
    struct work w = {.plain = blocks,
                     .operations = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000000};
    int rounds = argc > 2 ? atoi(argv[2]) : 9;
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    if (env_posix_new(NULL, &env) != ST_OK || epoch_init(&epoch, env) != ST_OK ||
        blockcache_new(env, &epoch, (uint64_t)256 << 20, &w.cache) != ST_OK) {
        return 1;
    }
    w.env = env;
    w.epoch = &epoch;
    fill(&w);
    compare("epoch", w, run_epoch, false, rounds);
    compare("epoch nested", w, run_nested, false, rounds);
    w.blocks = 64;
    compare("array, 64 distinct blocks", w, run_plain, false, rounds);
    compare("find, 64 distinct blocks", w, run_find, false, rounds);
    compare("peek, 64 distinct blocks", w, run_peek, false, rounds);
    compare("find, 64 same blocks", w, run_find, true, rounds);
    w.blocks = BLOCKS;
    compare("array, 8192 distinct blocks", w, run_plain, false, rounds);
    compare("find, 8192 distinct blocks", w, run_find, false, rounds);
    compare("peek, 8192 distinct blocks", w, run_peek, false, rounds);
    w.operations /= 25;
    compare("add and evict", w, run_add, false, rounds);
    for (int i = 0; i < THREADS * BLOCKS; i++) {
        block_unref(blocks[i]);
    }
    blockcache_free(w.cache);
    epoch_release(&epoch);
    env_posix_free(env);
    return 0;
}
