/* nemesis.c - what happens to the node at drawn moments: death, power loss, pauses, orderly
 * restarts, a full disk. Event `i` depends on its own stream of choices, so that a plan may leave
 * others out. */
#include "sim/cluster/cluster_int.h"

#define NS_PER_MS 1000000u

enum event_kind { EVENT_KILL, EVENT_POWER, EVENT_PAUSE, EVENT_STOP, EVENT_FULL, EVENT_KINDS };

static const enum plan_knob knob_of[EVENT_KINDS] = {
    [EVENT_KILL] = PLAN_KILLS, [EVENT_POWER] = PLAN_POWERS,   [EVENT_PAUSE] = PLAN_PAUSES,
    [EVENT_STOP] = PLAN_STOPS, [EVENT_FULL] = PLAN_DISK_FULL,
};

struct event {
    enum event_kind kind;
    uint64_t ordinal;
    uint64_t at; /* operations started */
    struct chooser_stream s;
};

static void sleep_ns(struct cluster *c, uint64_t ns)
{
    task_sleep_until(&c->world.sched, c->world.sched.now + ns);
}

static void pause_node(struct cluster *c, struct event *e)
{
    struct proc *p = c->node;
    uint32_t id = p->id;
    proc_pause(p);
    sleep_ns(c, (1 + choose(&e->s, 400)) * NS_PER_MS);
    if (c->node == p && p->id == id) {
        proc_resume(p);
    }
}

static void stop_node(struct cluster *c, struct event *e)
{
    struct proc *p = c->node;
    c->stopping = true;
    proc_request_stop(p);
    uint64_t until = c->world.sched.now + (500 + choose(&e->s, 3000)) * NS_PER_MS;
    while (c->node == p && c->world.sched.now < until) {
        sleep_ns(c, NS_PER_MS);
    }
    if (c->node == p) {
        proc_kill(p); /* its grace is over */
    }
    c->stopping = false;
}

/* The disk has no room but a little, for a while. */
static void fill_disk(struct cluster *c, struct event *e)
{
    struct simdisk *d = c->node_host->disk;
    uint64_t capacity = plan_get(c->plan, PLAN_CAPACITY);
    uint64_t used = capacity - simdisk_free_bytes(d);
    world_trace(&c->world, TRACE_FAULT, "disk full", used);
    simdisk_set_capacity(d, used + choose(&e->s, 16) * 1024);
    sleep_ns(c, (1 + choose(&e->s, 200)) * NS_PER_MS);
    simdisk_set_capacity(c->node_host->disk, capacity); /* it may be another after a power loss */
    world_trace(&c->world, TRACE_FAULT, "disk has room", capacity);
}

static void carry_out(struct cluster *c, struct event *e)
{
    if (c->node == NULL) {
        return; /* it is down already */
    }
    world_injected(&c->world, knob_of[e->kind]);
    switch (e->kind) {
    case EVENT_KILL:
        proc_kill(c->node);
        break;
    case EVENT_POWER:
        host_power_off(c->node_host, simdisk_draw_strategy(&c->node_host->disk_crash));
        break;
    case EVENT_PAUSE:
        pause_node(c, e);
        break;
    case EVENT_STOP:
        stop_node(c, e);
        break;
    case EVENT_FULL:
        fill_disk(c, e);
        break;
    case EVENT_KINDS:
        break;
    }
}

/* All events of the plan, by the operation count at which they happen. */
static size_t draw_events(struct cluster *c, struct event *events)
{
    size_t n = 0;
    uint64_t ordinal = 0;
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        for (uint64_t i = 0; i < plan_get(c->plan, knob_of[kind]); i++, ordinal++) {
            struct event e = {.kind = (enum event_kind)kind, .ordinal = ordinal};
            uint64_t actor = 100 + (uint64_t)kind * 10000 + i;
            chooser_stream_init(&e.s, &c->world.chooser, CHOOSE_NEMESIS, actor);
            e.at = choose(&e.s, plan_get(c->plan, PLAN_OPS) + 1);
            size_t at = n;
            while (at > 0 && events[at - 1].at > e.at) {
                events[at] = events[at - 1];
                at--;
            }
            events[at] = e;
            n += 1;
        }
    }
    return n;
}

void nemesis_run(void *arg)
{
    struct cluster *c = arg;
    struct world *w = &c->world;
    size_t most = 0;
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        most += plan_get(c->plan, knob_of[kind]);
    }
    c->events = mem_alloc(w->mem, (most + 1) * sizeof *c->events);
    struct event *events = c->events;
    size_t n = draw_events(c, events);
    for (size_t i = 0; i < n; i++) {
        while (c->ops_started < events[i].at && c->clients_running > 0) {
            c->nemesis_at = events[i].at;
            (void)task_park(&w->sched, WAIT_SLEEP, c, ENV_NEVER); /* woken by a client */
        }
        sleep_ns(c, choose(&events[i].s, 3 * NS_PER_MS));
        if (c->clients_running > 0 && !plan_skips(&c->plan->events, 0, events[i].ordinal)) {
            carry_out(c, &events[i]);
        }
    }
    c->nemesis = NULL;
    task_wake(c->director);
}
