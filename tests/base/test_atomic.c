/* test_atomic.c - the atomic operations: sums of threads add up, what is published is whole, and
 * the exploring build is asked before each of them. ThreadSanitizer watches (suite threads). */
static int explored;

#define TINYKV_EXPLORE
#include "base/atomic.h"

#include "env/env_posix.h"
#include "tests/tap.h"

#define ROUNDS 20000

struct item {
    uint64_t a;
    uint64_t b; /* always a + 1 */
};

struct shared {
    struct env *env;
    uint64_t sum;
    uint64_t stop;
    struct item items[64];
    struct item *published;
};

/* Counts on the main thread only: other threads would race on the count. */
static const void *watched;

void atomic_explore(const void *at)
{
    if (at == watched) {
        explored++;
    }
}

static void add_and_take(void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        (void)atomic_add_u64(&s->sum, 3);  /* the sum is looked at in the end */
        (void)atomic_add_u64(&s->sum, -2); /* as above */
    }
}

static void test_atomic__sums_of_threads_add_up(void)
{
    struct shared s = {.sum = 5};
    struct env_thread t[4];
    EXPECT(env_posix_new(NULL, &s.env) == ST_OK);
    for (int i = 0; i < 4; i++) {
        EXPECT(env_thread_start(s.env, &t[i], "add", add_and_take, &s) == ST_OK);
    }
    for (int i = 0; i < 4; i++) {
        env_thread_join(s.env, &t[i]);
    }
    EXPECT(atomic_get_u64(&s.sum) == 5 + 4 * ROUNDS);
    env_posix_free(s.env);
}

static void read_published(void *arg)
{
    struct shared *s = arg;
    uint64_t last = 0;
    while (atomic_get_u64(&s->stop) == 0) {
        const struct item *it = ATOMIC_GET_PTR(&s->published);
        if (it != NULL) {
            EXPECT(it->b == it->a + 1);
            EXPECT(it->a >= last);
            last = it->a;
        }
    }
}

/* Each item is finished before its address is stored, and never touched again. */
static void test_atomic__what_is_published_is_whole(void)
{
    struct shared s = {.sum = 0};
    struct env_thread t;
    EXPECT(env_posix_new(NULL, &s.env) == ST_OK);
    EXPECT(env_thread_start(s.env, &t, "read", read_published, &s) == ST_OK);
    for (uint64_t i = 0; i < 64; i++) {
        s.items[i] = (struct item){100 + i, 101 + i};
        ATOMIC_SET_PTR(&s.published, &s.items[i]);
        env_sleep_until(s.env, env_clock_mono(s.env) + 20000);
    }
    atomic_set_u64(&s.stop, 1);
    env_thread_join(s.env, &t);
    env_posix_free(s.env);
}

static void test_atomic__each_operation_is_a_point(void)
{
    uint64_t v = 0;
    int x = 0;
    int *p = NULL;
    explored = 0;
    watched = &v;
    atomic_set_u64(&v, 7);
    EXPECT(atomic_get_u64(&v) == 7);
    EXPECT(atomic_add_u64(&v, -8) == UINT64_MAX);
    EXPECT(explored == 3);
    watched = &p;
    ATOMIC_SET_PTR(&p, &x);
    EXPECT(ATOMIC_GET_PTR(&p) == &x);
    EXPECT(explored == 5);
    watched = NULL;
}

TAP_MAIN({
    RUN(test_atomic__sums_of_threads_add_up);
    RUN(test_atomic__what_is_published_is_whole);
    RUN(test_atomic__each_operation_is_a_point);
})
