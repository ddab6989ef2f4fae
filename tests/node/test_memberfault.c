/* test_memberfault.c - a member that is made, or opened again, while each allocation is refused
 * once, each call to the disk fails once, and the power goes: it says why or runs, gives everything
 * back, and the next start is well and on the same disk. On a simulated machine. */
#include "node/member.h"
#include "node/roster.h"

#include "tests/sim/simtest.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define ARGS_MAX 7

/* What one process is to do, and what came of it. */
struct fault {
    struct simtest t;
    struct inject_rule rule;
    long memory; /* this allocation is refused, */
    long call;   /* this call fails, */
    long power;  /* the power goes at this point of the disk; -1: none */
    long points; /* of the disk, so far */
    bool reached;
    enum status st;
    struct err err;
    uint64_t disk; /* as the roster says afterwards; 0: there is none */
    long live;
    char leaks[160];
};

static enum status live(struct fault *f, struct env *env)
{
    static char data[] = "--data=d", id[] = "--id=1", at[] = "--peer-listen=:7000",
                level[] = "--log-level=error", buffer[] = "--write-buffer=64k",
                segment[] = "--log-segment=32k", cache[] = "--cache=0";
    char *argv[ARGS_MAX] = {data, id, at, level, buffer, cache, segment};
    struct nodeopt opt;
    struct roster r;
    struct member *m;
    f->err.text[0] = '\0';
    EXPECT(nodeopt_parse(&opt, ARGS_MAX, argv, &f->err) == ST_OK);
    enum status st = member_open(env, &opt, &m, &f->err);
    if (st != ST_OK) {
        return st;
    }
    if (roster_load(env, "d", &r, &f->err) == ST_OK) {
        EXPECT(f->disk == 0 || f->disk == r.disk);
        f->disk = r.disk; /* what it may say things under from now on */
    }
    st = member_start(m, &f->err);
    member_stop(m);
    enum status closed = member_close(m);
    return st == ST_OK ? closed : st;
}

static int process(struct env *real, int argc, char **argv)
{
    struct fault *f = proc_of(real)->user;
    struct inject in;
    (void)argc, (void)argv;
    inject_init(&in, real);
    in.fail_at = f->memory;
    inject_rule_init(&f->rule);
    f->rule.at = f->call;
    inject_add(&in, &f->rule);
    f->st = live(f, &in.env);
    f->reached = f->rule.struck > 0 || (f->memory >= 0 && in.allocs > f->memory);
    f->live = in.live;
    inject_release(&in);
    return 0;
}

static void on_disk_point(void *arg, struct proc *p, enum disk_op op, bool before)
{
    struct fault *f = p->user;
    (void)arg, (void)op, (void)before;
    if (f->points++ == f->power) {
        f->reached = true;
        host_power_off(p->host, simdisk_draw_strategy(&p->host->disk_crash));
    }
}

static void on_ended(void *arg, struct proc *p)
{
    struct simtest *t = arg;
    struct fault *f = p->user;
    if (p->state == PROC_EXITED) {
        proc_leaks(p, f->leaks, sizeof f->leaks);
    }
    if (--t->running == 0) {
        world_stop(&t->world);
    }
}

/* One life, in which at most one of these happens. */
static void life(struct fault *f, long memory, long call, long power)
{
    f->memory = memory;
    f->call = call;
    f->power = power;
    f->points = 0;
    f->reached = false;
    f->live = 0;
    simtest_start(&f->t, f->t.host, "node", process, f)->watched = true;
    EXPECT(simtest_run(&f->t));
    EXPECT(f->leaks[0] == '\0' && f->live == 0);
    if (!f->t.host->up) {
        host_power_on(f->t.host);
    }
}

/* A first life and, `old`, one before it; afterwards one without a fault, which has to be well.
 * False: the fault was not reached. */
static bool survived(struct fault *f, long n, bool old, long memory, long call, long power)
{
    simtest_open(&f->t, (uint64_t)n);
    f->t.hooks.ended = on_ended;
    f->t.hooks.disk_point = on_disk_point;
    f->disk = 0;
    if (old) {
        life(f, -1, -1, -1);
    }
    life(f, memory, call, power);
    bool reached = f->reached;
    EXPECT(reached || f->st == ST_OK);
    life(f, -1, -1, -1);
    EXPECT(f->st == ST_OK);
    if (tap_failed) {
        printf("# fault %ld: %s %s%s\n", n, status_name(f->st), f->err.text, f->leaks);
    }
    simtest_close(&f->t);
    return reached;
}

static struct fault fault;

static void memberfault__refused_memory_is_survived(void)
{
    for (int old = 0; old < 2; old++) {
        long n = 0;
        while (survived(&fault, n, old != 0, n, -1, -1) && !tap_failed) {
            n++;
        }
        EXPECT(n > 30);
    }
}

static void memberfault__each_failing_call_is_survived(void)
{
    for (int old = 0; old < 2; old++) {
        long n = 0;
        while (survived(&fault, n, old != 0, -1, n, -1) && !tap_failed) {
            n++;
        }
        EXPECT(n > 20);
    }
}

static void memberfault__power_loss_is_survived(void)
{
    for (int old = 0; old < 2; old++) {
        long n = 0;
        while (survived(&fault, n, old != 0, -1, -1, n) && !tap_failed) {
            n++;
        }
        EXPECT(n > 40);
    }
}

TAP_MAIN({
    RUN(memberfault__refused_memory_is_survived);
    RUN(memberfault__each_failing_call_is_survived);
    RUN(memberfault__power_loss_is_survived);
})
