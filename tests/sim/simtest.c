/* simtest.c - see simtest.h. */
#include "tests/sim/simtest.h"

#include <string.h>

static void ended(void *arg, struct proc *p)
{
    struct simtest *t = arg;
    (void)p;
    if (--t->running == 0) {
        world_stop(&t->world);
    }
}

void simtest_open_plan(struct simtest *t)
{
    fiber_pool_init(&t->pool, 0);
    t->running = 0;
    t->hooks.ended = ended;
    struct world_options o = {
        .plan = &t->plan, .pool = &t->pool, .trace_keep = 64, .hooks = &t->hooks, .hooks_arg = t};
    world_init(&t->world, simmem(), &o);
    t->host = world_host(&t->world, NULL);
}

void simtest_open(struct simtest *t, uint64_t seed)
{
    memset(t, 0, sizeof *t);
    plan_init(&t->plan, simmem(), seed);
    simtest_open_plan(t);
}

void simtest_close(struct simtest *t)
{
    t->running = UINT32_MAX; /* what world_release ends is no news */
    world_release(&t->world);
    fiber_pool_release(&t->pool);
    plan_release(&t->plan);
}

struct proc *simtest_start(struct simtest *t, struct host *h, const char *name, proc_main_fn *main,
                           void *user)
{
    t->running++;
    return proc_start(h, name, main, 0, NULL, user);
}

bool simtest_run(struct simtest *t)
{
    return world_run(&t->world);
}
