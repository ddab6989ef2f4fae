/* bench_sched.c - bare scheduler events a second: a switch, an Env call, a choice, and the hash.
 * Seconds are of processor time: there is one thread, and it never waits. */
#include "tests/sim/simtest.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define EVENTS_DEFAULT 20000000u

static const struct env_site label = {"bench: label"};
static uint64_t rounds;

static void spin(void *arg)
{
    struct env *env = arg;
    for (uint64_t i = 0; i < rounds; i++) {
        env->vt->yield(env, &label);
    }
}

static int bench_main(struct env *env, int argc, char **argv)
{
    struct env_thread t[3];
    (void)argc;
    (void)argv;
    for (int i = 0; i < 3; i++) {
        if (env_thread_start(env, &t[i], "spin", spin, env) != ST_OK) {
            return 1;
        }
    }
    spin(env);
    for (int i = 0; i < 3; i++) {
        env_thread_join(env, &t[i]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct simtest t = {0};
    struct timespec from, to;
    uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 10) : EVENTS_DEFAULT;
    rounds = events / 4;
    plan_init(&t.plan, simmem(), 1);
    simtest_open_plan(&t);
    t.world.sched.steps_max = UINT64_MAX;
    struct proc *p = simtest_start(&t, t.host, "bench", bench_main, NULL);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    bool ok = simtest_run(&t) && p->exit_code == 0;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    double s = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    printf("{\"bench\":\"sched\",\"calls\":%llu,\"switches\":%llu,\"cpu_s\":%.3f,"
           "\"calls_per_s\":%.0f,\"switches_per_s\":%.0f}\n",
           (unsigned long long)events, (unsigned long long)t.world.sched.steps, s,
           (double)events / s, (double)t.world.sched.steps / s);
    simtest_close(&t);
    return ok ? 0 : 1;
}
