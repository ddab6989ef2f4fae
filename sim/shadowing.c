/* shadowing.c - see shadowing.h. */
#include "sim/shadowing.h"

#include "base/ck.h"
#include "base/hash.h"

#define MILLION 1000000u

void shadowing_init(struct shadowing *run)
{
    chooser_init(&run->chooser, hash_mix(run->options->plan->seed ^ 0x736861646f77u));
    chooser_stream_init(&run->draw, &run->chooser, CHOOSE_SHADOW, 0);
    run->done = 0;
}

void shadowed_fail(struct shadowed *s, const char *class, const char *text)
{
    world_fail(&s->world, class, "%s: %s", s->what, text);
}

/* ---- one recovery ---- */

static void on_ended(void *arg, struct proc *p)
{
    struct shadowed *s = arg;
    char leaks[256];
    proc_leaks(p, leaks, sizeof leaks);
    if (p->state == PROC_EXITED && leaks[0] != '\0') {
        shadowed_fail(s, "leak", leaks);
    }
    world_stop(&s->world);
}

static void on_probe(void *arg, struct proc *p, const struct env_site *site)
{
    const struct shadowed *s = arg;
    (void)p;
    trial_probe_reached(s->run->options, site);
}

static uint32_t rate_of(const struct plan *plan, enum disk_op op)
{
    bool meta = op == DISK_META || op == DISK_DIRSYNC;
    bool data = op == DISK_WRITE || op == DISK_SYNC;
    enum plan_knob k = meta ? PLAN_SHADOW_META : PLAN_SHADOW_DATA;
    return meta || data ? (uint32_t)plan_get(plan, k) : 0;
}

/* A crash inside a recovery. */
static void on_disk_point(void *arg, struct proc *p, enum disk_op op, bool before)
{
    struct shadowed *s = arg;
    struct shadowing *run = s->run;
    (void)before;
    if (s->world.failure.set || s->depth == 0 ||
        !choose_chance(&run->draw, rate_of(run->options->plan, op) / 4)) {
        return;
    }
    unsigned depth = s->depth - 1;
    s->depth = choose_chance(&run->draw, MILLION / 2) ? s->depth : 0;
    run->crash(run, s, p->host->disk, simdisk_draw_strategy(&run->draw), depth,
               "power loss inside a recovery");
}

static const struct world_hooks shadow_hooks = {
    .disk_point = on_disk_point,
    .probe = on_probe,
    .ended = on_ended,
};

struct simdisk *shadowed_disk(struct shadowing *run, const struct simdisk *d,
                              enum simdisk_strategy strategy)
{
    struct simdisk *after;
    enum status st = simdisk_crash(d, strategy, &run->draw, &after);
    CK(st == ST_OK);
    return after;
}

void shadowed_run(struct shadowed *s, struct simdisk *disk)
{
    struct shadowing *run = s->run;
    s->plan = *run->options->plan;
    s->plan.seed = choose_u64(&run->draw);
    struct world_options o = {
        .plan = &s->plan, .pool = run->options->pool, .hooks = &shadow_hooks, .hooks_arg = s};
    world_init(&s->world, run->world->mem, &o);
    simdisk_set_capacity(disk, plan_get(&s->plan, PLAN_CAPACITY)); /* the operator made room */
    struct host *h = world_host(&s->world, disk);
    struct proc *p = proc_start(h, "shadow", run->main, 0, NULL, s);
    p->watched = s->depth > 0;
    (void)world_run(&s->world);
    run->result->shadow_crashes++;
    run->result->shadow_nested += s->outer != NULL;
    if (!s->world.failure.set) {
        run->judge(s);
    }
    if (s->world.failure.set) {
        struct world *up = s->outer != NULL ? &s->outer->world : run->world;
        world_fail(up, s->world.failure.class, "%s", s->world.failure.text);
    }
    world_release(&s->world);
}

void shadowed_crash(struct shadowed *s, const struct simdisk *d, enum simdisk_strategy strategy)
{
    shadowed_run(s, shadowed_disk(s->run, d, strategy));
}

/* ---- where they happen ---- */

bool shadowing_room(const struct shadowing *run)
{
    return run->done < plan_get(run->options->plan, PLAN_SHADOW_MAX) && !run->world->failure.set;
}

void shadowing_point(struct shadowing *run, const struct simdisk *d, enum disk_op op)
{
    const struct plan *plan = run->options->plan;
    if (!shadowing_room(run) || !choose_chance(&run->draw, rate_of(plan, op))) {
        return;
    }
    run->done++;
    run->crash(run, NULL, d, simdisk_draw_strategy(&run->draw),
               (unsigned)plan_get(plan, PLAN_SHADOW_DEPTH), "power loss");
}

void shadowing_promise(struct shadowing *run, const struct simdisk *d)
{
    const struct plan *plan = run->options->plan;
    if (shadowing_room(run) &&
        choose_chance(&run->draw, (uint32_t)plan_get(plan, PLAN_SHADOW_ACK))) {
        run->done++;
        run->crash(run, NULL, d, SIMDISK_DROP_ALL, 0, "power loss when a promise left");
    }
}
