/* world.c - see world.h. */
#include "sim/world.h"

#include "base/ck.h"
#include "sim/proc.h"
#include "sim/simmedia.h"
#include "sim/simnet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS  1000000u
#define STEPS_MAX  4000000u
#define MONO_START 1000000000000u      /* a machine that has been up for a while */
#define WALL_START 1700000000000000000 /* 2023 */
#define STARVE_MS  200

static const struct simdisk_aim any_file = {"*", 1, 0, 1000};

/* The one thing here that is not part of a world: which of them runs on this thread. ck_fail() has
 * no other way to know. */
static _Thread_local struct world *running;

struct world *world_current(void)
{
    return running;
}

void world_init(struct world *w, struct mem *mem, const struct world_options *o)
{
    const struct plan *p = o->plan;
    *w = (struct world){.mem = mem,
                        .pool = o->pool,
                        .plan = p,
                        .hooks = o->hooks,
                        .hooks_arg = o->hooks_arg,
                        .aims = o->aims != NULL ? o->aims : &any_file,
                        .aim_count = o->aims != NULL ? o->aim_count : 1,
                        .media = simmedia_wanted(p),
                        .media_left = plan_get(p, PLAN_MEDIA_MAX),
                        .outer = running};
    chooser_init(&w->chooser, p->seed);
    trace_init(&w->trace, mem, o->trace_keep);
    list_init(&w->procs);
    struct sched_options so = {.policy = (enum sched_policy)plan_get(p, PLAN_POLICY),
                               .step_ns = plan_get(p, PLAN_STEP_NS),
                               .steps_max = STEPS_MAX,
                               .pct_changes = (unsigned)plan_get(p, PLAN_PCT_CHANGES),
                               .pct_steps = 20 * plan_get(p, PLAN_OPS) + 100,
                               .starve_ns = (uint64_t)STARVE_MS * NS_PER_MS};
    sched_init(&w->sched, mem, o->pool, &w->trace, &w->chooser, &so);
    w->net = simnet_new(w);
}

void world_release(struct world *w)
{
    while (!list_empty(&w->procs)) {
        struct proc *p = LIST_ENTRY(w->procs.next, struct proc, link);
        if (p->state == PROC_RUNNING) {
            proc_vanish(p);
        }
        proc_free(p);
    }
    for (size_t i = 0; i < w->host_count; i++) {
        simdisk_free(w->hosts[i]->disk);
        mem_release(w->mem, w->hosts[i]);
    }
    mem_release(w->mem, w->hosts);
    simnet_free(w->net);
    sched_release(&w->sched);
    trace_release(&w->trace);
}

static void disk_options(const struct plan *p, struct simdisk_options *o)
{
    simdisk_options_init(o);
    o->model = (enum simdisk_model)plan_get(p, PLAN_DISK_MODEL);
    o->tear = (enum simdisk_tear)plan_get(p, PLAN_TEAR);
    o->fsync_fail = (enum simdisk_fsync_fail)plan_get(p, PLAN_FSYNC_FAIL);
    o->capacity = plan_get(p, PLAN_CAPACITY);
}

static void host_clock(struct host *h)
{
    struct world *w = h->world;
    uint64_t drift = plan_get(w->plan, PLAN_CLOCK_DRIFT);
    if (drift > 0) {
        h->drift_ppm = (int64_t)choose(&h->clock, 2 * drift + 1) - (int64_t)drift;
        world_injected(w, PLAN_CLOCK_DRIFT);
    }
    h->mono_base = MONO_START + choose(&h->clock, MONO_START);
    h->wall_offset = WALL_START + (int64_t)choose(&h->clock, MONO_START);
}

struct host *world_host(struct world *w, struct simdisk *disk)
{
    struct host **bigger = mem_resize(w->mem, w->hosts, (w->host_count + 1) * sizeof *bigger);
    struct host *h = mem_zalloc(w->mem, sizeof *h);
    CK(bigger != NULL);
    CK(h != NULL);
    w->hosts = bigger;
    w->hosts[w->host_count++] = h;
    h->world = w;
    h->id = (uint32_t)w->host_count;
    h->address = h->id;
    h->up = true;
    h->port_next = SIMNET_PORT_FIRST;
    h->port_span = SIMNET_PORT_SPAN;
    chooser_stream_init(&h->clock, &w->chooser, CHOOSE_CLOCK, h->id);
    chooser_stream_init(&h->disk_time, &w->chooser, CHOOSE_DISK_TIME, h->id);
    chooser_stream_init(&h->disk_fault, &w->chooser, CHOOSE_DISK_FAULT, h->id);
    chooser_stream_init(&h->disk_crash, &w->chooser, CHOOSE_DISK_CRASH, h->id);
    chooser_stream_init(&h->media, &w->chooser, CHOOSE_MEDIA, h->id);
    host_clock(h);
    h->disk = disk;
    if (disk == NULL) {
        struct simdisk_options o;
        disk_options(w->plan, &o);
        enum status st = simdisk_new(w->mem, &o, &h->disk);
        CK(st == ST_OK);
    }
    return h;
}

/* ---- running ---- */

static void fail_stuck(struct world *w, enum sched_end end)
{
    char text[768] = "";
    for (struct list *l = w->procs.next; l != &w->procs; l = l->next) {
        proc_waiters(LIST_ENTRY(l, struct proc, link), text, sizeof text);
    }
    if (end == SCHED_DEADLOCK) {
        world_fail(w, "deadlock", "no task can run and no timer is set:\n%s", text);
    } else {
        world_fail(w, "livelock", "%llu steps without an end; waiting:\n%s",
                   (unsigned long long)w->sched.steps, text);
    }
}

bool world_run(struct world *w)
{
    struct world *outer = running;
    running = w;
    w->sched.stop = w->failure.set;
    enum sched_end end = sched_run(&w->sched);
    if (end != SCHED_STOPPED) {
        fail_stuck(w, end);
    }
    running = outer;
    return !w->failure.set;
}

void world_stop(struct world *w)
{
    sched_stop(&w->sched);
}

void world_fail(struct world *w, const char *class, const char *fmt, ...)
{
    if (w->failure.set) {
        return;
    }
    w->failure.set = true;
    w->failure.time = w->sched.now;
    (void)snprintf(w->failure.class, sizeof w->failure.class, "%s", class);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(w->failure.text, sizeof w->failure.text, fmt, args);
    va_end(args);
    world_trace(w, TRACE_VIOLATION, class, 0);
    sched_stop(&w->sched);
}

void world_trace(struct world *w, enum trace_kind kind, const char *text, uint64_t a)
{
    struct trace_event e = {.time = w->sched.now, .kind = kind, .a = a};
    trace_text(&e, text);
    trace_add(&w->trace, &e);
}

struct task *world_task(struct world *w, const char *name, struct list *owner,
                        void (*run)(void *arg), void *arg)
{
    return task_spawn(&w->sched, NULL, name, owner, run, arg);
}

bool world_fault(struct world *w, struct chooser_stream *s, enum plan_knob k)
{
    uint64_t ppm = plan_get(w->plan, k);
    if (!w->faults || ppm == 0 || !choose_chance(s, (uint32_t)ppm)) {
        return false;
    }
    world_injected(w, k);
    return true;
}

void world_injected(struct world *w, enum plan_knob k)
{
    w->injected[k]++;
}

/* ---- machines ---- */

uint64_t host_mono(const struct host *h)
{
    uint64_t t = h->world->sched.now;
    return h->mono_base + t + (uint64_t)((int64_t)(t / 1000) * h->drift_ppm / 1000);
}

int64_t host_wall(const struct host *h)
{
    return h->wall_offset + (int64_t)host_mono(h);
}

uint64_t host_when(const struct host *h, uint64_t mono)
{
    uint64_t now = host_mono(h);
    if (mono <= now) {
        return h->world->sched.now;
    }
    uint64_t left = mono - now;
    if (left > UINT64_MAX / 4) {
        return ENV_NEVER;
    }
    /* Not earlier than asked: the clock's rate is within 10 %, and the waiter looks again. */
    uint64_t rate = (uint64_t)(1000000 + h->drift_ppm);
    return h->world->sched.now + left / rate * 1000000u + left % rate * 1000000u / rate + 2000;
}

/* Its processes vanish; returns the one that was running, which must leave in the end. */
static struct proc *fall_silent(struct host *h, uint64_t how)
{
    struct world *w = h->world;
    struct trace_event e = {.time = w->sched.now, .kind = TRACE_POWER, .a = how};
    trace_add(&w->trace, &e);
    h->up = false;
    simnet_host_down(w->net, h);
    struct proc *self = NULL;
    for (struct list *l = w->procs.next; l != &w->procs;) {
        struct proc *p = LIST_ENTRY(l, struct proc, link);
        l = l->next;
        if (p->host == h && p->state == PROC_RUNNING) {
            self = proc_current(w) == p ? p : self;
            proc_vanish(p);
        }
    }
    return self;
}

static void put_disk(struct host *h, struct simdisk *disk, const struct proc *self)
{
    simdisk_free(h->disk);
    h->disk = disk;
    trace_mix(&h->world->trace, simdisk_digest(disk), h->id);
    if (self != NULL) {
        task_leave(&h->world->sched);
    }
}

void host_power_off(struct host *h, enum simdisk_strategy strategy)
{
    struct proc *self = fall_silent(h, strategy);
    struct simdisk *after;
    enum status st = simdisk_crash(h->disk, strategy, &h->disk_crash, &after);
    CK(st == ST_OK);
    put_disk(h, after, self);
}

void host_power_off_to(struct host *h, struct simdisk *disk)
{
    put_disk(h, disk, fall_silent(h, SIMDISK_STRATEGIES));
}

void host_power_on(struct host *h)
{
    h->up = true;
    simnet_host_up(h->world->net, h);
}
