/* netnemesis.c - see netnemesis.h. */
#include "sim/netnemesis.h"

#include "base/ck.h"
#include "base/json.h"
#include "sim/simlink.h"

#include <stdio.h>

#define NS_PER_MS      1000000u
#define CLOG_RATE      1024
#define PARTITIONS_MAX 2
#define STREAMS        500000 /* actors of CHOOSE_NEMESIS from here on are its own */
#define NOBODY         UINT32_MAX

enum kind { KIND_PARTITION, KIND_CLOG, KIND_SILENCE, KIND_BURST, KIND_FDS, KIND_PORTS, KINDS };

static const enum plan_knob knobs[KINDS] = {
    [KIND_PARTITION] = PLAN_PARTITIONS, [KIND_CLOG] = PLAN_NET_CLOGS,
    [KIND_SILENCE] = PLAN_NET_SILENCES, [KIND_BURST] = PLAN_NET_BURSTS,
    [KIND_FDS] = PLAN_NET_FD_LIMITS,    [KIND_PORTS] = PLAN_NET_PORT_LIMITS,
};

static const enum plan_knob part_knobs[PARTITION_KINDS] = {
    [PARTITION_ISOLATE] = PLAN_PART_ISOLATE, [PARTITION_HALVES] = PLAN_PART_HALVES,
    [PARTITION_BRIDGE] = PLAN_PART_BRIDGE,   [PARTITION_RING] = PLAN_PART_RING,
    [PARTITION_HUB] = PLAN_PART_HUB,         [PARTITION_LINK] = PLAN_PART_LINK,
    [PARTITION_ONEWAY] = PLAN_PART_ONEWAY,   [PARTITION_ROLES] = PLAN_PART_ROLES,
    [PARTITION_CLASS] = PLAN_PART_CLASS,     [PARTITION_FLAP] = PLAN_PART_FLAP,
};

struct netnemesis_event {
    struct netnemesis *nemesis;
    enum kind kind;
    uint64_t ordinal;
    struct chooser_stream s;
    struct netsplit split;
    uint32_t node; /* whom it is about; NOBODY: not one alone */
    bool begun;
    bool over;
    uint64_t at, until;
    char text[PARTITION_TEXT];
};

static uint64_t now(const struct netnemesis *n)
{
    return n->world->sched.now;
}

static void sleep_ns(struct netnemesis *n, uint64_t ns)
{
    task_sleep_until(&n->world->sched, now(n) + ns);
}

static uint64_t roll(void *arg, uint64_t n)
{
    return choose(arg, n);
}

static void begins(struct netnemesis_event *e, const char *text, uint32_t node)
{
    struct netnemesis *n = e->nemesis;
    e->begun = true;
    e->at = now(n);
    e->node = node;
    (void)snprintf(e->text, sizeof e->text, "%s", text);
    world_injected(n->world, knobs[e->kind]);
}

static void notes(struct netnemesis_event *e, const char *text, uint64_t value)
{
    world_trace(e->nemesis->world, TRACE_FAULT, text, value);
}

/* ---- partitions ---- */

/* On and off until its time is up. */
static void flap(struct netnemesis_event *e, uint64_t until)
{
    struct netnemesis *n = e->nemesis;
    bool on = true;
    while (now(n) < until) {
        uint64_t left = until - now(n);
        uint64_t step = e->split.partition.flap_ns;
        sleep_ns(n, step < left ? step : left);
        on = !on;
        if (on) {
            netsplit_lay(&e->split);
        } else {
            netsplit_lift(&e->split);
        }
    }
}

/* One link after another, in a drawn order. */
static void heal_slowly(struct netnemesis_event *e)
{
    for (size_t left = e->split.count; left > 0; left--) {
        uint64_t k = choose(&e->s, left);
        for (size_t i = 0; i < e->split.count; i++) {
            if (e->split.cuts[i].id != 0 && k-- == 0) {
                netsplit_heal_link(&e->split, i);
                break;
            }
        }
        sleep_ns(e->nemesis, 1 + choose(&e->s, e->split.partition.gap_ns / e->split.count + 1));
    }
}

static void partition(struct netnemesis_event *e)
{
    struct netnemesis *n = e->nemesis;
    const struct partition_dice dice = {roll, &e->s};
    struct partition_who who = {
        .nodes = n->nodes, .clients = n->clients, .leader = -1, .election_ns = n->election_ns};
    uint32_t weights[PARTITION_KINDS];
    for (int k = 0; k < PARTITION_KINDS; k++) {
        weights[k] = (uint32_t)plan_get(n->world->plan, part_knobs[k]);
    }
    while (n->alive >= PARTITIONS_MAX) {
        sleep_ns(n, n->election_ns);
    }
    who.leader = n->leader != NULL ? n->leader(n->arg) : -1;
    enum partition_kind kind = partition_draw_kind(weights, &who, &dice);
    if (kind == PARTITION_KINDS) {
        return;
    }
    struct partition p;
    n->alive++;
    partition_draw(&p, kind, &who, &dice);
    begins(e, p.text, NOBODY);
    world_injected(n->world, part_knobs[kind]);
    netsplit_start(&e->split, n->world, n->hosts, &p, n->peer_port);
    if (p.flap_ns > 0) {
        flap(e, now(n) + p.ns);
    } else {
        sleep_ns(n, p.ns);
    }
    if (p.staggered) {
        heal_slowly(e);
    }
    netsplit_heal(&e->split);
    n->alive--;
}

/* ---- episodes ---- */

static uint64_t episode_ns(struct netnemesis_event *e)
{
    return e->nemesis->election_ns * (1 + choose(&e->s, 12));
}

/* Two different hosts, one of them a node; false: there is only one. */
static bool two_hosts(struct netnemesis_event *e, struct host **a, struct host **b)
{
    struct netnemesis *n = e->nemesis;
    unsigned all = n->nodes + n->clients;
    if (all < 2) {
        return false;
    }
    uint64_t i = choose(&e->s, n->nodes);
    uint64_t k = (i + 1 + choose(&e->s, all - 1)) % all;
    bool swap = choose(&e->s, 2) == 1;
    *a = n->hosts[swap ? k : i];
    *b = n->hosts[swap ? i : k];
    return true;
}

/* N12 */
static void clogging(struct netnemesis_event *e)
{
    struct netnemesis *n = e->nemesis;
    struct host *a, *b;
    if (two_hosts(e, &a, &b)) {
        begins(e, "clog", a->id - 1);
        notes(e, "clog of the link from host", a->id);
        simlink_clog(n->world, a, b, CLOG_RATE << choose(&e->s, 4));
        sleep_ns(n, episode_ns(e));
        simlink_clog(n->world, a, b, 0);
        notes(e, "end of the clog of the link from host", a->id);
    }
}

/* N5: nobody ever heals it; the connection's own timeouts must. */
static void silence(struct netnemesis_event *e)
{
    struct netnemesis *n = e->nemesis;
    struct host *a, *b;
    if (!two_hosts(e, &a, &b)) {
        return;
    }
    uint64_t conn = simnet_conn_between(n->world->net, a, b, 0);
    if (conn == 0) {
        return;
    }
    const struct simlink_cut cut = {.mode = SIMLINK_DROP, .what = SIMLINK_CONN, .value = conn};
    begins(e, "a connection falls silent", NOBODY);
    notes(e, "silent connection", conn);
    (void)simlink_cut(n->world, a, b, &cut);
    if (choose(&e->s, 2) == 0) {
        (void)simlink_cut(n->world, b, a, &cut);
    }
}

/* N20 */
static void burst(struct netnemesis_event *e)
{
    struct netnemesis *n = e->nemesis;
    unsigned all = n->nodes + n->clients;
    unsigned one = (unsigned)choose(&e->s, n->nodes);
    struct partition p;
    if (all < 2) {
        return;
    }
    partition_init(&p, all);
    uint64_t everybody = p.hosts >= 64 ? UINT64_MAX : ((uint64_t)1 << p.hosts) - 1;
    partition_cut_sets(&p, (uint64_t)1 << one, everybody);
    (void)snprintf(p.text, sizeof p.text, "host %u comes and goes", one);
    begins(e, p.text, one);
    netsplit_start(&e->split, n->world, n->hosts, &p, n->peer_port);
    for (uint64_t left = 1 + choose(&e->s, 5); left > 0; left--) {
        netsplit_lay(&e->split);
        sleep_ns(n, (1 + choose(&e->s, 100)) * NS_PER_MS);
        netsplit_lift(&e->split);
        sleep_ns(n, (1 + choose(&e->s, 300)) * NS_PER_MS);
    }
    netsplit_heal(&e->split);
}

static struct proc *process_of(struct netnemesis *n, unsigned node)
{
    return n->process != NULL ? n->process(n->arg, node) : NULL;
}

/* N9 */
static void few_fds(struct netnemesis_event *e)
{
    struct netnemesis *n = e->nemesis;
    unsigned node = (unsigned)choose(&e->s, n->nodes);
    struct proc *p = process_of(n, node);
    if (p == NULL) {
        return;
    }
    uint32_t id = p->id;
    begins(e, "hardly a descriptor left", node);
    notes(e, "descriptors run out on host", node + 1);
    proc_limit_fds(p, (int)choose(&e->s, 3));
    sleep_ns(n, episode_ns(e));
    p = process_of(n, node);
    if (p != NULL && p->id == id) {
        proc_limit_fds(p, -1);
    }
    notes(e, "there are descriptors on host", node + 1);
}

/* N21 */
static void few_ports(struct netnemesis_event *e)
{
    struct netnemesis *n = e->nemesis;
    unsigned node = (unsigned)choose(&e->s, n->nodes);
    struct host *h = n->hosts[node];
    begins(e, "hardly a port left", node);
    notes(e, "ports run out on host", node + 1);
    h->port_span = (uint16_t)choose(&e->s, 3);
    sleep_ns(n, episode_ns(e));
    h->port_span = SIMNET_PORT_SPAN;
    notes(e, "there are ports on host", node + 1);
}

/* ---- the events of a run ---- */

static void ends(struct netnemesis_event *e)
{
    if (!e->over) {
        e->over = true;
        e->until = now(e->nemesis);
        e->nemesis->busy--;
    }
}

static void event_run(void *arg)
{
    static void (*const run[KINDS])(struct netnemesis_event * e) = {
        [KIND_PARTITION] = partition, [KIND_CLOG] = clogging, [KIND_SILENCE] = silence,
        [KIND_BURST] = burst,         [KIND_FDS] = few_fds,   [KIND_PORTS] = few_ports,
    };
    struct netnemesis_event *e = arg;
    struct netnemesis *n = e->nemesis;
    sleep_ns(n, choose(&e->s, n->span_ns + 1));
    if (!plan_skips(&n->world->plan->events, 0, n->first_ordinal + e->ordinal)) {
        run[e->kind](e);
    }
    ends(e);
}

uint64_t netnemesis_events(const struct plan *p)
{
    uint64_t count = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        count += plan_get(p, knobs[kind]);
    }
    return count;
}

void netnemesis_start(struct netnemesis *n)
{
    struct world *w = n->world;
    size_t total = (size_t)netnemesis_events(w->plan);
    CK(n->nodes > 0);
    list_init(&n->tasks);
    n->count = 0;
    n->alive = 0;
    n->busy = (unsigned)total;
    n->events = mem_zalloc(w->mem, (total + 1) * sizeof *n->events);
    CK(n->events != NULL);
    for (int kind = 0; kind < KINDS; kind++) {
        for (uint64_t i = 0; i < plan_get(w->plan, knobs[kind]); i++) {
            struct netnemesis_event *e = &n->events[n->count];
            e->nemesis = n;
            e->kind = (enum kind)kind;
            e->ordinal = n->count++;
            e->node = NOBODY;
            uint64_t actor = STREAMS + (uint64_t)kind * 10000 + i;
            chooser_stream_init(&e->s, &w->chooser, CHOOSE_NEMESIS, actor);
            (void)world_task(w, "net nemesis", &n->tasks, event_run, e);
        }
    }
}

void netnemesis_stop(struct netnemesis *n)
{
    while (!list_empty(&n->tasks)) {
        task_kill(LIST_ENTRY(n->tasks.next, struct task, link));
    }
}

void netnemesis_core(struct netnemesis *n, struct host *const *hosts, size_t count)
{
    netnemesis_stop(n);
    simlink_heal_among(n->world, hosts, count);
    world_trace(n->world, TRACE_FAULT, "a core of the network is healed", count);
}

void netnemesis_heal(struct netnemesis *n)
{
    netnemesis_stop(n);
    for (size_t i = 0; i < n->count; i++) {
        ends(&n->events[i]);
        netsplit_release(&n->events[i].split);
    }
    for (unsigned i = 0; i < n->nodes; i++) {
        struct proc *p = process_of(n, i);
        n->hosts[i]->port_span = SIMNET_PORT_SPAN;
        if (p != NULL) {
            proc_limit_fds(p, -1);
        }
    }
    n->alive = 0;
    simlink_heal_all(n->world);
    world_trace(n->world, TRACE_FAULT, "the network is healed", n->count);
}

void netnemesis_release(struct netnemesis *n)
{
    if (n->events == NULL) {
        return;
    }
    netnemesis_stop(n);
    for (size_t i = 0; i < n->count; i++) {
        netsplit_release(&n->events[i].split);
    }
    mem_release(n->world->mem, n->events);
    n->events = NULL;
}

static void lane(struct json *j, const struct netnemesis_event *e)
{
    json_object(j, NULL);
    json_text(j, "event", "fault");
    json_u64(j, "at", e->at);
    if (e->over) {
        json_u64(j, "until", e->until);
    } else {
        json_null(j, "until");
    }
    if (e->node != NOBODY) {
        json_u64(j, "node", e->node + 1);
    }
    json_text(j, "text", e->text);
    json_object_end(j);
}

enum status netnemesis_lanes(const struct netnemesis *n, struct buf *out)
{
    enum status st = ST_OK;
    for (size_t i = 0; i < n->count && st == ST_OK; i++) {
        struct json j;
        if (!n->events[i].begun) {
            continue;
        }
        json_init(&j, out);
        lane(&j, &n->events[i]);
        st = j.st == ST_OK ? buf_append_text(out, "\n") : j.st;
    }
    return st;
}
