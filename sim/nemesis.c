/* nemesis.c - see nemesis.h. */
#include "sim/nemesis.h"

#define NS_PER_MS 1000000u
#define PAUSE_MS  400

enum event_kind {
    EVENT_KILL,
    EVENT_POWER,
    EVENT_PAUSE,
    EVENT_STOP,
    EVENT_FULL,
    EVENT_BLACKOUT,
    EVENT_KINDS
};

static const enum plan_knob knob_of[EVENT_KINDS] = {
    [EVENT_KILL] = PLAN_KILLS, [EVENT_POWER] = PLAN_POWERS,   [EVENT_PAUSE] = PLAN_PAUSES,
    [EVENT_STOP] = PLAN_STOPS, [EVENT_FULL] = PLAN_DISK_FULL, [EVENT_BLACKOUT] = PLAN_BLACKOUTS,
};

struct nemesis_event {
    enum event_kind kind;
    uint64_t ordinal;
    uint64_t at;   /* operations started */
    size_t target; /* which process */
    struct chooser_stream s;
};

static void sleep_ns(struct nemesis *n, uint64_t ns)
{
    task_sleep_until(&n->world->sched, n->world->sched.now + ns);
}

static void pause_node(struct nemesis *n, struct nemesis_event *e)
{
    struct proc *p = n->proc[e->target];
    uint32_t id = p->id;
    uint64_t most = n->pause_ms > 0 ? n->pause_ms : PAUSE_MS;
    proc_pause(p);
    sleep_ns(n, (1 + choose(&e->s, most)) * NS_PER_MS);
    if (n->proc[e->target] == p && p->id == id) {
        proc_resume(p);
    }
}

static void stop_node(struct nemesis *n, struct nemesis_event *e)
{
    struct proc *p = n->proc[e->target];
    n->stopping[e->target] = true;
    proc_request_stop(p);
    uint64_t until = n->world->sched.now + (500 + choose(&e->s, 3000)) * NS_PER_MS;
    while (n->proc[e->target] == p && n->world->sched.now < until) {
        sleep_ns(n, NS_PER_MS);
    }
    if (n->proc[e->target] == p) {
        proc_kill(p); /* its grace is over */
    }
    n->stopping[e->target] = false;
}

/* The disk has no room but a little, for a while. */
static void fill_disk(struct nemesis *n, struct nemesis_event *e)
{
    struct host *h = n->host[e->target];
    uint64_t capacity = plan_get(n->world->plan, PLAN_CAPACITY);
    uint64_t used = capacity - simdisk_free_bytes(h->disk);
    world_trace(n->world, TRACE_FAULT, "disk full", used);
    simdisk_set_capacity(h->disk, used + choose(&e->s, 16) * 1024);
    sleep_ns(n, (1 + choose(&e->s, 200)) * NS_PER_MS);
    simdisk_set_capacity(h->disk, capacity); /* it may be another after a power loss */
    world_trace(n->world, TRACE_FAULT, "disk has room", capacity);
}

static void power_off(struct host *h)
{
    if (h->up) {
        host_power_off(h, simdisk_draw_strategy(&h->disk_crash));
    }
}

static void carry_out(struct nemesis *n, struct nemesis_event *e)
{
    if (n->proc[e->target] == NULL && e->kind != EVENT_BLACKOUT) {
        return; /* it is down already */
    }
    world_injected(n->world, knob_of[e->kind]);
    switch (e->kind) {
    case EVENT_KILL:
        proc_kill(n->proc[e->target]);
        break;
    case EVENT_POWER:
        power_off(n->host[e->target]);
        break;
    case EVENT_PAUSE:
        pause_node(n, e);
        break;
    case EVENT_STOP:
        stop_node(n, e);
        break;
    case EVENT_FULL:
        fill_disk(n, e);
        break;
    case EVENT_BLACKOUT:
        for (size_t i = 0; i < n->targets; i++) {
            power_off(n->host[i]);
        }
        break;
    case EVENT_KINDS:
        break;
    }
}

/* All events of the plan, by the operation count at which they happen. */
static size_t draw_events(struct nemesis *n)
{
    size_t count = 0;
    uint64_t ordinal = 0;
    const struct plan *plan = n->world->plan;
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        for (uint64_t i = 0; i < plan_get(plan, knob_of[kind]); i++, ordinal++) {
            struct nemesis_event e = {.kind = (enum event_kind)kind, .ordinal = ordinal};
            uint64_t actor = 100 + (uint64_t)kind * 10000 + i;
            chooser_stream_init(&e.s, &n->world->chooser, CHOOSE_NEMESIS, actor);
            e.at = choose(&e.s, plan_get(plan, PLAN_OPS) + 1);
            e.target = n->targets > 1 ? (size_t)choose(&e.s, n->targets) : 0;
            size_t at = count;
            while (at > 0 && n->events[at - 1].at > e.at) {
                n->events[at] = n->events[at - 1];
                at--;
            }
            n->events[at] = e;
            count += 1;
        }
    }
    return count;
}

static void nemesis_run(void *arg)
{
    struct nemesis *n = arg;
    struct world *w = n->world;
    size_t most = 0;
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        most += plan_get(w->plan, knob_of[kind]);
    }
    n->events = mem_alloc(w->mem, (most + 1) * sizeof *n->events);
    size_t count = draw_events(n);
    for (size_t i = 0; i < count; i++) {
        struct nemesis_event *e = &n->events[i];
        while (*n->ops<e->at && * n->busy> 0) {
            n->at = e->at;
            (void)task_park(&w->sched, WAIT_SLEEP, n, ENV_NEVER); /* woken by an operation */
        }
        sleep_ns(n, choose(&e->s, 3 * NS_PER_MS));
        if (*n->busy > 0 && !plan_skips(&w->plan->events, 0, e->ordinal)) {
            carry_out(n, e);
        }
    }
    n->task = NULL;
    task_wake(*n->wake);
}

void nemesis_start(struct nemesis *n, struct list *tasks)
{
    n->at = UINT64_MAX;
    n->task = world_task(n->world, "nemesis", tasks, nemesis_run, n);
}

void nemesis_release(struct nemesis *n)
{
    if (n->world != NULL) {
        mem_release(n->world->mem, n->events);
    }
    *n = (struct nemesis){0};
}

void nemesis_tick(struct nemesis *n)
{
    if (n->task != NULL && *n->ops >= n->at) {
        task_wake(n->task);
    }
}
