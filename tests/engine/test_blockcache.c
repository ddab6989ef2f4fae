/* test_blockcache.c - bounded, right, and found again. */
#include "base/atomic.h"
#include "base/hash.h"
#include "base/prng.h"
#include "engine/blockcache.h"
#include "env/env_posix.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define MB ((uint64_t)1 << 20)

struct setup {
    struct inject te;
    struct epoch e;
    struct blockcache *c;
};

static struct env *posix;

static void begin(struct setup *s, uint64_t bytes)
{
    test_env_init(&s->te, posix);
    EXPECT(epoch_init(&s->e, &s->te.env) == ST_OK);
    EXPECT(blockcache_new(&s->te.env, &s->e, bytes, &s->c) == ST_OK);
}

static void end(struct setup *s)
{
    blockcache_free(s->c);
    epoch_release(&s->e);
    EXPECT(atomic_load(&s->te.live) == 0);
}

static uint64_t stamp(uint64_t number, uint64_t offset)
{
    return hash_add(number, offset);
}

static struct block *make(struct mem *mem, uint64_t number, uint64_t offset, size_t size)
{
    struct block *b = block_new(mem, number, offset, size);
    if (b != NULL) {
        uint64_t v = stamp(number, offset);
        memset(b->data, (int)(v & 0xff), size);
        memcpy(b->data, &v, size < sizeof v ? size : sizeof v);
    }
    return b;
}

static bool holds(const struct block *b, uint64_t number, uint64_t offset)
{
    uint64_t v = stamp(number, offset);
    return b->number == number && b->offset == offset &&
           memcmp(b->data, &v, b->size < sizeof v ? b->size : sizeof v) == 0 &&
           (b->size <= sizeof v || b->data[b->size - 1] == (char)(v & 0xff));
}

static void put(struct setup *s, uint64_t number, uint64_t offset, size_t size)
{
    struct block *b = make(&s->te.env.mem, number, offset, size);
    if (b != NULL) {
        blockcache_add(s->c, b);
    }
    block_unref(b);
}

static bool has(struct setup *s, uint64_t number, uint64_t offset)
{
    struct block *b = blockcache_find(s->c, number, offset);
    bool found = b != NULL;
    EXPECT(!found || holds(b, number, offset));
    block_unref(b);
    return found;
}

static struct blockcache_stats stats(struct setup *s)
{
    struct blockcache_stats st;
    blockcache_stats(s->c, &st);
    return st;
}

static void blockcache__what_was_added_is_found(void)
{
    struct setup s;
    begin(&s, 64 * MB);
    for (uint64_t i = 0; i < 2000; i++) {
        EXPECT(!has(&s, i % 7, i * 4096));
        put(&s, i % 7, i * 4096, 1000 + i);
    }
    for (uint64_t i = 0; i < 2000; i++) {
        EXPECT(has(&s, i % 7, i * 4096));
        EXPECT(!has(&s, i % 7 + 1, i * 4096));
        EXPECT(!has(&s, i % 7, i * 4096 + 1));
    }
    struct blockcache_stats st = stats(&s);
    EXPECT(st.hits == 2000);
    EXPECT(st.misses == 6000);
    EXPECT(st.blocks == 2000);
    EXPECT(st.evicted == 0);
    EXPECT(blockcache_check(s.c));
    end(&s);
}

static void blockcache__capacity_zero_caches_nothing(void)
{
    struct setup s;
    begin(&s, 0);
    put(&s, 1, 0, 64);
    EXPECT(!has(&s, 1, 0));
    blockcache_drop_file(s.c, 1);
    EXPECT(stats(&s).misses == 1);
    EXPECT(blockcache_check(s.c));
    end(&s);
}

/* ---- what is really allocated ---- */

static atomic_long held_bytes;

static void *counted_alloc(struct mem *m, size_t size)
{
    (void)m;
    size_t *p = malloc(size + 2 * sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p[0] = size;
    atomic_fetch_add(&held_bytes, (long)size);
    return p + 2;
}

static void counted_release(struct mem *m, void *block)
{
    (void)m;
    if (block != NULL) {
        size_t *p = (size_t *)block - 2;
        atomic_fetch_sub(&held_bytes, (long)p[0]);
        free(p);
    }
}

static void blockcache__its_memory_is_what_it_says(void)
{
    struct test_env te;
    struct epoch e;
    struct blockcache *c;
    struct prng r = {1};
    test_env_init(&te, posix);
    te.env.mem = (struct mem){.alloc = counted_alloc, .release = counted_release};
    EXPECT(epoch_init(&e, &te.env) == ST_OK);
    for (uint64_t bytes = 1000; bytes < 20 * MB; bytes *= 3) {
        EXPECT(blockcache_new(&te.env, &e, bytes, &c) == ST_OK);
        long before = atomic_load(&held_bytes);
        for (uint64_t i = 0; i < 20000; i++) {
            struct block *b = make(&te.env.mem, i % 3, i, prng_next(&r) % 600);
            blockcache_add(c, b);
            block_unref(b);
            EXPECT(atomic_load(&held_bytes) - before <= (long)bytes);
        }
        EXPECT(atomic_load(&held_bytes) - before > (long)bytes / 2 || bytes > 8 * MB);
        blockcache_free(c);
    }
    epoch_release(&e);
    EXPECT(atomic_load(&held_bytes) == 0);
}

static void blockcache__never_above_its_capacity(void)
{
    static const uint64_t capacities[] = {1, 300, 4096, 20000, MB, 9 * MB};
    static const size_t sizes[] = {0, 64, 4096, 100000, 1000000};
    for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++) {
        for (size_t z = 0; z < sizeof sizes / sizeof *sizes; z++) {
            struct setup s;
            begin(&s, capacities[c]);
            for (uint64_t i = 0; i < 3000; i++) {
                put(&s, 1, i, sizes[z]);
                struct blockcache_stats st = stats(&s);
                EXPECT(st.bytes + st.waiting <= capacities[c]);
                if (i % 500 == 0) {
                    EXPECT(blockcache_check(s.c));
                }
            }
            struct blockcache_stats st = stats(&s);
            if (capacities[c] > 5 * (sizes[z] + 300)) { /* it is worth its memory */
                EXPECT(st.bytes >= capacities[c] / 2 - sizes[z] || st.blocks == 3000);
            }
            EXPECT(blockcache_check(s.c));
            end(&s);
        }
    }
}

static void blockcache__what_is_used_stays(void)
{
    struct setup s;
    begin(&s, 4 * MB);
    for (uint64_t i = 0; i < 100; i++) {
        put(&s, 1, i, 4000);
    }
    for (uint64_t i = 0; i < 20000; i++) { /* a scan goes through, the hundred are asked for */
        EXPECT(has(&s, 1, i % 100));
        put(&s, 2, i, 4000);
    }
    EXPECT(stats(&s).evicted > 18000);
    EXPECT(blockcache_check(s.c));
    end(&s);
}

static void blockcache__a_full_cache_wants_what_was_asked_for_twice(void)
{
    struct setup s;
    begin(&s, MB);
    uint64_t i = 0;
    for (; stats(&s).evicted == 0; i++) {
        EXPECT(blockcache_wants(s.c, 1, i)); /* there is room */
        put(&s, 1, i, 4000);
    }
    unsigned first = 0, second = 0, late = 0;
    for (uint64_t k = 0; k < 1000; k++) {
        first += blockcache_wants(s.c, 2, k);
        second += blockcache_wants(s.c, 2, k);
    }
    for (uint64_t k = 0; k < 100; k++) {
        late += blockcache_wants(s.c, 2, k);
    }
    EXPECT(first == 0);
    EXPECT(second == 1000);
    EXPECT(late < 60); /* others took their places */
    blockcache_drop_file(s.c, 1);
    EXPECT(blockcache_wants(s.c, 2, 5000)); /* there is room again */
    EXPECT(blockcache_check(s.c));
    end(&s);
    begin(&s, 0);
    EXPECT(!blockcache_wants(s.c, 1, 1) && !blockcache_wants(s.c, 1, 1));
    end(&s);
}

static void blockcache__a_reader_keeps_an_evicted_block(void)
{
    struct setup s;
    begin(&s, 64 << 10);
    put(&s, 1, 1, 4096);
    struct block *b = blockcache_find(s.c, 1, 1);
    EXPECT(b != NULL);
    for (uint64_t i = 0; i < 100; i++) {
        put(&s, 2, i, 4096);
    }
    EXPECT(!has(&s, 1, 1));
    EXPECT(b != NULL && holds(b, 1, 1));
    if (b != NULL) {
        blockcache_add(s.c, b); /* a second life is not given */
        EXPECT(!has(&s, 1, 1));
    }
    EXPECT(blockcache_check(s.c));
    blockcache_free(s.c);
    EXPECT(b != NULL && holds(b, 1, 1));
    block_unref(b);
    epoch_release(&s.e);
    EXPECT(atomic_load(&s.te.live) == 0);
}

/* Who stays in the epoch holds all that is evicted: the cache stops taking, and starts again. */
static void blockcache__a_slow_reader_does_not_break_the_bound(void)
{
    struct setup s;
    begin(&s, 256 << 10);
    for (uint64_t i = 0; i < 100; i++) {
        put(&s, 1, i, 4096);
    }
    unsigned slot = epoch_enter(&s.e);
    const struct block *b = NULL;
    for (uint64_t i = 99; b == NULL; i--) {
        b = blockcache_peek(s.c, slot, 1, i);
    }
    uint64_t offset = b->offset;
    for (uint64_t i = 0; i < 500; i++) {
        put(&s, 2, i, 4096);
        struct blockcache_stats st = stats(&s);
        EXPECT(st.bytes + st.waiting <= 256 << 10);
    }
    EXPECT(stats(&s).refused > 0);
    EXPECT(stats(&s).blocks > 40); /* it was not emptied by those who could not get in */
    EXPECT(holds(b, 1, offset));
    epoch_exit(&s.e, slot);
    for (uint64_t i = 1000; i < 1010; i++) {
        put(&s, 2, i, 4096);
        EXPECT(has(&s, 2, i));
    }
    EXPECT(blockcache_check(s.c));
    end(&s);
}

static void blockcache__the_first_of_two_wins(void)
{
    struct setup s;
    begin(&s, MB);
    put(&s, 1, 1, 100);
    put(&s, 1, 1, 100);
    EXPECT(stats(&s).blocks == 1);
    EXPECT(has(&s, 1, 1));
    EXPECT(blockcache_check(s.c));
    end(&s);
}

static void blockcache__a_dropped_file_is_gone(void)
{
    struct setup s;
    begin(&s, 64 * MB);
    for (uint64_t i = 0; i < 30000; i++) {
        put(&s, i % 10, i, 64);
    }
    blockcache_drop_file(s.c, 3);
    blockcache_drop_file(s.c, 77);
    for (uint64_t i = 0; i < 30000; i++) {
        EXPECT(has(&s, i % 10, i) == (i % 10 != 3));
    }
    EXPECT(stats(&s).blocks == 27000);
    EXPECT(stats(&s).waiting == 0);
    EXPECT(blockcache_check(s.c));
    end(&s);
}

static void blockcache__refused_memory_costs_hits_only(void)
{
    for (int rest = 0; rest < 2; rest++) {
        for (long n = 0;; n++) {
            struct setup s;
            test_env_init(&s.te, posix);
            EXPECT(epoch_init(&s.e, &s.te.env) == ST_OK);
            s.te.fail_at = atomic_load(&s.te.allocs) + n;
            s.te.fail_rest = rest;
            enum status st = blockcache_new(&s.te.env, &s.e, 100000, &s.c);
            EXPECT(st == (n == 0 ? ST_NOMEM : ST_OK));
            for (uint64_t i = 0; st == ST_OK && i < 200; i++) {
                put(&s, 1, i, 64);
                (void)has(&s, 1, i / 2);
            }
            EXPECT(st != ST_OK || blockcache_check(s.c));
            bool done = atomic_load(&s.te.allocs) <= s.te.fail_at;
            blockcache_free(st == ST_OK ? s.c : NULL);
            epoch_release(&s.e);
            EXPECT(atomic_load(&s.te.live) == 0);
            if (done) {
                break;
            }
        }
    }
}

/* An array that cannot grow gets fuller, and then blocks give way. */
static void blockcache__an_array_that_cannot_grow_still_works(void)
{
    struct setup s;
    begin(&s, MB);
    put(&s, 1, 0, 64);
    struct block *blocks[100];
    for (uint64_t i = 0; i < 100; i++) {
        blocks[i] = make(&s.te.env.mem, 1, i + 1, 64);
    }
    s.te.fail_at = atomic_load(&s.te.allocs);
    s.te.fail_rest = true;
    for (uint64_t i = 0; i < 100; i++) {
        blockcache_add(s.c, blocks[i]);
        EXPECT(has(&s, 1, i + 1));
        block_unref(blocks[i]);
        EXPECT(blockcache_check(s.c));
    }
    EXPECT(stats(&s).blocks == 14); /* of 16 places */
    s.te.fail_at = -1;
    s.te.fail_rest = false;
    for (uint64_t i = 0; i < 1000; i++) {
        put(&s, 2, i, 64);
    }
    EXPECT(stats(&s).blocks == 1014);
    EXPECT(blockcache_check(s.c));
    end(&s);
}

/* Any sequence of calls: what is found is right, and what is held stays. */
static void blockcache__any_sequence(void)
{
    enum { HELD = 20 };
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct prng r = {seed};
        struct setup s;
        begin(&s, (uint64_t)1 << (8 + prng_next(&r) % 14));
        uint64_t names = 1 + prng_next(&r) % 500;
        struct block *held[HELD] = {0};
        for (int i = 0; i < 3000; i++) {
            uint64_t number = prng_next(&r) % 4, offset = prng_next(&r) % names;
            uint64_t what = prng_next(&r) % 100;
            if (what < 50) {
                put(&s, number, offset, prng_next(&r) % 8 == 0 ? 3000 : prng_next(&r) % 300);
            } else if (what < 99) {
                struct block **at = &held[prng_next(&r) % HELD];
                EXPECT(*at == NULL || holds(*at, (*at)->number, (*at)->offset));
                block_unref(*at);
                *at = blockcache_find(s.c, number, offset);
                EXPECT(*at == NULL || holds(*at, number, offset));
            } else {
                blockcache_drop_file(s.c, number);
            }
            if (i % 300 == 0) {
                EXPECT(blockcache_check(s.c));
            }
        }
        for (int i = 0; i < HELD; i++) {
            block_unref(held[i]);
        }
        EXPECT(blockcache_check(s.c));
        end(&s);
    }
}

/* ---- real threads ---- */

enum { THREADS = 4 };

struct worker {
    struct setup *s;
    uint64_t seed, calls, hits, wrong, names;
    struct env_thread thread;
};

static void work(void *arg)
{
    struct worker *w = arg;
    struct prng r = {w->seed};
    for (int i = 0; i < 20000; i++) {
        uint64_t number = prng_next(&r) % 3;
        uint64_t offset = prng_next(&r) % w->names * (prng_next(&r) % w->names) / w->names;
        struct block *b = blockcache_find(w->s->c, number, offset);
        w->calls++;
        w->hits += b != NULL;
        if (b == NULL) {
            b = make(&w->s->te.env.mem, number, offset, 64 + offset % 900);
            blockcache_add(w->s->c, b);
        }
        w->wrong += !holds(b, number, offset);
        block_unref(b);
        if (i % 5000 == 0) {
            blockcache_drop_file(w->s->c, number);
        }
    }
}

static void threads(uint64_t bytes, uint64_t names)
{
    struct setup s;
    begin(&s, bytes);
    struct worker w[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        w[i] = (struct worker){.s = &s, .seed = i + 1, .names = names};
        EXPECT(env_thread_start(posix, &w[i].thread, "worker", work, &w[i]) == ST_OK);
    }
    uint64_t calls = 0, hits = 0;
    for (int i = 0; i < THREADS; i++) {
        env_thread_join(posix, &w[i].thread);
        EXPECT(w[i].wrong == 0);
        calls += w[i].calls;
        hits += w[i].hits;
    }
    struct blockcache_stats st = stats(&s);
    EXPECT(st.hits == hits);
    EXPECT(st.hits + st.misses == calls);
    EXPECT(blockcache_check(s.c));
    end(&s);
}

static void blockcache__threads_with_room(void)
{
    threads(64 * MB, 4000);
}

static void blockcache__threads_that_evict(void)
{
    threads(100000, 400);
    threads(9 * MB, 20000);
}

TAP_MAIN({
    if (env_posix_new(NULL, &posix) != ST_OK) {
        return 1;
    }
    RUN(blockcache__what_was_added_is_found);
    RUN(blockcache__capacity_zero_caches_nothing);
    RUN(blockcache__never_above_its_capacity);
    RUN(blockcache__its_memory_is_what_it_says);
    RUN(blockcache__what_is_used_stays);
    RUN(blockcache__a_full_cache_wants_what_was_asked_for_twice);
    RUN(blockcache__a_reader_keeps_an_evicted_block);
    RUN(blockcache__a_slow_reader_does_not_break_the_bound);
    RUN(blockcache__the_first_of_two_wins);
    RUN(blockcache__a_dropped_file_is_gone);
    RUN(blockcache__refused_memory_costs_hits_only);
    RUN(blockcache__an_array_that_cannot_grow_still_works);
    RUN(blockcache__any_sequence);
    RUN(blockcache__threads_with_room);
    RUN(blockcache__threads_that_evict);
    env_posix_free(posix);
})
