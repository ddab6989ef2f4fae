/* test_heap.c - the timer heap against sorting, and under refused allocations. */
#include "base/heap.h"

#include "base/prng.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define COUNT 3000

static int by_key_then_tie(const void *a, const void *b)
{
    const struct heap_entry *x = a;
    const struct heap_entry *y = b;
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return x->tie < y->tie ? -1 : x->tie > y->tie;
}

/* Few distinct keys, so that ties decide often. */
static void test_heap__comes_out_sorted(void)
{
    static struct heap_entry want[COUNT];
    struct inject te;
    struct heap h;
    struct prng g = {4};
    test_env_init(&te, NULL);
    heap_init(&h, &te.env.mem);
    EXPECT(heap_first(&h) == NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        want[i] = (struct heap_entry){prng_below(&g, 50), i * 2654435761u % 65536, &want[i]};
        EXPECT(heap_push(&h, want[i]) == ST_OK);
    }
    EXPECT(te.allocs < 12); /* growth doubles */
    qsort(want, COUNT, sizeof *want, by_key_then_tie);
    for (unsigned i = 0; i < COUNT; i++) {
        EXPECT(by_key_then_tie(heap_first(&h), &want[i]) == 0);
        struct heap_entry got = heap_pop(&h);
        EXPECT(by_key_then_tie(&got, &want[i]) == 0);
        EXPECT(got.item == want[i].item);
    }
    EXPECT(h.count == 0);
    heap_release(&h);
    EXPECT(te.live == 0);
}

/* Pushes and pops mixed: what comes out is the least of what is in. */
static void test_heap__least_of_what_is_in(void)
{
    struct inject te;
    struct heap h;
    struct prng g = {6};
    uint64_t in[200] = {0}; /* how many entries of each key */
    test_env_init(&te, NULL);
    heap_init(&h, &te.env.mem);
    for (unsigned i = 0; i < 20000; i++) {
        if (h.count == 0 || (h.count < 500 && prng_below(&g, 2) == 0)) {
            uint64_t key = prng_below(&g, 200);
            EXPECT(heap_push(&h, (struct heap_entry){key, i, NULL}) == ST_OK);
            in[key]++;
        } else {
            unsigned least = 0;
            while (in[least] == 0) {
                least++;
            }
            EXPECT(heap_pop(&h).key == least);
            in[least]--;
        }
    }
    heap_release(&h);
    heap_release(&h);
    EXPECT(te.live == 0);
}

static void test_heap__extreme_keys(void)
{
    struct inject te;
    struct heap h;
    test_env_init(&te, NULL);
    heap_init(&h, &te.env.mem);
    EXPECT(heap_push(&h, (struct heap_entry){UINT64_MAX, 1, NULL}) == ST_OK);
    EXPECT(heap_push(&h, (struct heap_entry){0, 2, NULL}) == ST_OK);
    EXPECT(heap_push(&h, (struct heap_entry){UINT64_MAX, 0, NULL}) == ST_OK);
    EXPECT(heap_pop(&h).key == 0);
    EXPECT(heap_pop(&h).tie == 0);
    EXPECT(heap_pop(&h).tie == 1);
    heap_release(&h);
}

static void test_heap__each_nomem_leaves_entries(void)
{
    for (long n = 0;; n++) {
        struct inject te;
        struct heap h;
        size_t in = 0;
        test_env_init(&te, NULL);
        te.fail_at = n;
        heap_init(&h, &te.env.mem);
        for (unsigned i = 0; i < 100; i++) {
            enum status st = heap_push(&h, (struct heap_entry){100 - i, i, NULL});
            EXPECT(st == ST_OK || st == ST_NOMEM);
            in += st == ST_OK;
            EXPECT(h.count == in);
        }
        uint64_t before = 0;
        while (h.count > 0) {
            uint64_t key = heap_pop(&h).key;
            EXPECT(key > before);
            before = key;
        }
        heap_release(&h);
        EXPECT(te.live == 0);
        if (te.allocs <= n) {
            EXPECT(in == 100);
            break;
        }
        EXPECT(in == 99);
    }
}

static void test_heap__zeroed_release_is_harmless(void)
{
    struct heap h = {0};
    heap_release(&h);
    EXPECT(heap_first(&h) == NULL);
}

TAP_MAIN({
    RUN(test_heap__comes_out_sorted);
    RUN(test_heap__least_of_what_is_in);
    RUN(test_heap__extreme_keys);
    RUN(test_heap__each_nomem_leaves_entries);
    RUN(test_heap__zeroed_release_is_harmless);
})
