/* test_fiber.c - fibers run where they stopped, and their stacks come back wherever they stood. */
#include "sim/fiber.h"
#include "tests/tap.h"

#include <stdint.h>
#include <unistd.h>

struct walk {
    struct fiber *fiber;
    int steps, end;
};

/* `place` is a block whose address is taken: with a sanitizer it lies on a fake stack. */
static void stand(struct walk *w, volatile unsigned char *place)
{
    place[w->steps % 256]++;
    w->steps++;
    fiber_suspend(w->fiber);
}

static void walk(void *arg)
{
    struct walk *w = arg;
    volatile unsigned char place[256] = {0};
    while (w->steps < w->end) {
        stand(w, place);
    }
}

static void fiber__runs_where_it_stopped(void)
{
    struct fiber_pool pool;
    struct walk a = {.end = 3}, b = {.end = 2};
    fiber_pool_init(&pool, 0);
    EXPECT(fiber_new(&pool, walk, &a, &a.fiber) == ST_OK);
    EXPECT(fiber_new(&pool, walk, &b, &b.fiber) == ST_OK);
    for (int i = 1; i <= 2; i++) {
        EXPECT(fiber_resume(a.fiber) && a.steps == i);
        EXPECT(fiber_resume(b.fiber) && b.steps == i);
    }
    EXPECT(fiber_resume(a.fiber) && a.steps == 3);
    EXPECT(!fiber_resume(a.fiber) && !fiber_resume(b.fiber));
    fiber_free(&pool, a.fiber);
    fiber_free(&pool, b.fiber);
    EXPECT(pool.live == 0);
    fiber_pool_release(&pool);
}

/* Pages of address space that this process has. */
static long address_space(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld", &pages) != 1) {
        pages = -1;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return pages;
}

static void start_and_drop(struct fiber_pool *pool, int fibers, int steps)
{
    for (int i = 0; i < fibers; i++) {
        struct walk w = {.end = steps};
        EXPECT(fiber_new(pool, walk, &w, &w.fiber) == ST_OK);
        for (int k = 0; k < i % (steps + 2); k++) { /* not begun, on its way, at its end */
            (void)fiber_resume(w.fiber);
        }
        fiber_free(pool, w.fiber);
    }
}

/* A process that is killed leaves its fibers where they stand: worlds do so all the time. */
static void fiber__a_dropped_one_leaves_nothing_behind(void)
{
    struct fiber_pool pool;
    fiber_pool_init(&pool, 0);
    start_and_drop(&pool, 100, 3);
    long before = address_space();
    EXPECT(before > 0);
    start_and_drop(&pool, 2000, 3);
    EXPECT((address_space() - before) * sysconf(_SC_PAGESIZE) < 64 * 1024 * 1024);
    fiber_pool_release(&pool);
}

TAP_MAIN(RUN(fiber__runs_where_it_stopped); RUN(fiber__a_dropped_one_leaves_nothing_behind);)
