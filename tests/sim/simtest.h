/* simtest.h - a small world for unit tests: one call to make it, one to run a program in it. */
#ifndef TESTS_SIM_SIMTEST_H
#define TESTS_SIM_SIMTEST_H

#include "sim/proc.h"
#include "sim/simmem.h"
#include "sim/world.h"

struct simtest {
    struct plan plan;
    struct fiber_pool pool;
    struct world world;
    struct host *host;
    struct world_hooks hooks;
    unsigned running;
};

/* A world of that seed with every knob at its default: no faults. */
void simtest_open(struct simtest *t, uint64_t seed);
/* The same on a plan that the caller has filled (t->plan). */
void simtest_open_plan(struct simtest *t);
void simtest_close(struct simtest *t);

/* Starts a program on a host; the world stops when the last one has ended. */
struct proc *simtest_start(struct simtest *t, struct host *h, const char *name, proc_main_fn *main,
                           void *user);
/* Runs until then; false when the world failed. */
bool simtest_run(struct simtest *t);

#endif
