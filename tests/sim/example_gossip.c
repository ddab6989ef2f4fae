/* example_gossip.c - a group of somebody else's programs on several hosts in one world: partitions
 * of every kind, episodes, process deaths, power loss of one host and of all at once, restarts,
 * pauses, drifting and jumping clocks.
 *
 * A run goes as a cluster's does: warm-up; chaos; a core is healed, and has to get on whatever the
 * others do; all is healed, and everybody has to know everything; all are stopped and leave nothing
 * behind.
 *
 *   example_gossip '' SEEDS     300 without it */
#include "sim/netnemesis.h"
#include "sim/simlink.h"
#include "sim/simmem.h"
#include "tests/sim/gossip.h"
#include "tests/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS       (uint64_t)1000000
#define S        (1000 * MS)
#define ELECTION (1 * S) /* there are none, but partitions are measured by them */
#define CHAOS    (20 * S)
#define LIVE     (12 * S) /* within so much all of a healed group have heard of each other */

struct group {
    struct plan plan;
    struct fiber_pool pool;
    struct world world;
    struct gossip_story story;
    struct gossip_node nodes[GOSSIP_MAX];
    struct host *hosts[GOSSIP_MAX];
    struct proc *procs[GOSSIP_MAX]; /* NULL: down */
    struct netnemesis nemesis;
    struct chooser_stream draw;
    struct list tasks;
    bool stopping;
    unsigned kills, powers, blackouts, pauses, stops;
};

/* What a sweep of seeds has seen. */
struct seen {
    uint64_t injected[PLAN_KNOBS];
    uint64_t effects[SIMNET_EFFECTS];
    unsigned kills, powers, blackouts, pauses, stops;
    uint64_t refused_frames, no_descriptor;
};

static uint64_t now(const struct group *g)
{
    return g->world.sched.now;
}

static void rest(struct group *g, uint64_t ns)
{
    task_sleep_until(&g->world.sched, now(g) + ns);
}

/* ---- processes ---- */

static void ended(void *arg, struct proc *p)
{
    struct group *g = arg;
    char left[512];
    for (unsigned i = 0; i < g->story.nodes; i++) {
        g->procs[i] = g->procs[i] == p ? NULL : g->procs[i];
    }
    if (p->state != PROC_EXITED) {
        return;
    }
    proc_leaks(p, left, sizeof left);
    if (p->exit_code != 0 || left[0] != '\0') {
        world_fail(&g->world, "exit", "%s ended with %d and left %s", p->name, p->exit_code, left);
    }
}

static void start(struct group *g, unsigned i)
{
    char name[12];
    (void)snprintf(name, sizeof name, "n%u", i % 10);
    if (!g->hosts[i]->up) {
        host_power_on(g->hosts[i]);
    }
    g->procs[i] = proc_start(g->hosts[i], name, gossip_main, 0, NULL, &g->nodes[i]);
    g->procs[i]->faulty = true;
}

/* Brings back whoever is down, some time later. */
static void keeper(void *arg)
{
    struct group *g = arg;
    uint64_t back_at[GOSSIP_MAX] = {0};
    for (;;) {
        for (unsigned i = 0; i < g->story.nodes; i++) {
            if (g->procs[i] != NULL || g->stopping) {
                back_at[i] = 0;
            } else if (back_at[i] == 0) {
                back_at[i] = now(g) + (1 + choose(&g->draw, 800)) * MS;
            } else if (now(g) >= back_at[i]) {
                start(g, i);
            }
        }
        rest(g, 10 * MS);
    }
}

static void power_off(struct group *g, unsigned i)
{
    if (g->hosts[i]->up) {
        host_power_off(g->hosts[i], simdisk_draw_strategy(&g->hosts[i]->disk_crash));
    }
}

static void pause_one(struct group *g, unsigned i)
{
    struct proc *p = g->procs[i];
    uint32_t id = p->id;
    proc_pause(p);
    rest(g, (1 + choose(&g->draw, 1500)) * MS);
    if (g->procs[i] == p && p->id == id) {
        proc_resume(p);
    }
}

static void strike(struct group *g)
{
    static const uint32_t weights[] = {4, 3, 1, 3, 2, 4};
    unsigned i = (unsigned)choose(&g->draw, g->story.nodes);
    unsigned what = choose_weighted(&g->draw, weights, 6);
    if (g->procs[i] == NULL) {
        return;
    }
    if (what == 0) {
        g->kills++;
        proc_kill(g->procs[i]);
    } else if (what == 1) {
        g->powers++;
        power_off(g, i);
    } else if (what == 2) {
        g->blackouts++;
        for (unsigned k = 0; k < g->story.nodes; k++) {
            power_off(g, k);
        }
    } else if (what == 3) {
        g->pauses++;
        pause_one(g, i);
    } else if (what == 4) {
        g->stops++;
        proc_request_stop(g->procs[i]);
    }
}

/* ---- the phases ---- */

/* Every node of the set runs, and heard at least that from each other of the set. */
static bool know(const struct group *g, uint64_t set, const uint64_t *least)
{
    for (unsigned i = 0; i < g->story.nodes; i++) {
        if ((set >> i & 1) == 0) {
            continue;
        }
        if (g->procs[i] == NULL) {
            return false;
        }
        for (unsigned k = 0; k < g->story.nodes; k++) {
            if (i != k && (set >> k & 1) != 0 && g->nodes[i].direct[k] < least[k]) {
                return false;
            }
        }
    }
    return true;
}

/* Until those of the set heard from each what it has said by now, and one more. */
static bool get_on(struct group *g, uint64_t set)
{
    uint64_t least[GOSSIP_MAX];
    uint64_t until = now(g) + LIVE;
    for (unsigned i = 0; i < GOSSIP_MAX; i++) {
        least[i] = g->story.said[i] + 1;
    }
    while (now(g) < until && !g->world.failure.set && !know(g, set, least)) {
        rest(g, 50 * MS);
    }
    return know(g, set, least);
}

static uint64_t everybody(const struct group *g)
{
    return ((uint64_t)1 << g->story.nodes) - 1;
}

/* A majority that is up, not paused, and sees itself; the rest keeps what it has. */
static uint64_t heal_core(struct group *g)
{
    unsigned need = g->story.nodes / 2 + 1;
    unsigned first = (unsigned)choose(&g->draw, g->story.nodes);
    struct host *hosts[GOSSIP_MAX];
    uint64_t core = 0;
    for (unsigned i = 0; i < need; i++) {
        unsigned node = (first + i) % g->story.nodes;
        hosts[i] = g->hosts[node];
        core |= (uint64_t)1 << node;
        if (g->procs[node] != NULL) {
            proc_resume(g->procs[node]);
            proc_limit_fds(g->procs[node], -1);
        }
        g->hosts[node]->port_span = SIMNET_PORT_SPAN;
    }
    netnemesis_core(&g->nemesis, hosts, need);
    return core;
}

static void stop_all(struct group *g)
{
    uint64_t until = now(g) + LIVE;
    g->stopping = true;
    for (unsigned i = 0; i < g->story.nodes; i++) {
        if (g->procs[i] != NULL) {
            proc_request_stop(g->procs[i]);
        }
    }
    for (unsigned i = 0; i < g->story.nodes; i++) {
        while (g->procs[i] != NULL && now(g) < until) {
            rest(g, 10 * MS);
        }
        if (g->procs[i] != NULL) {
            world_fail(&g->world, "stop", "node %u does not end", i);
        }
    }
}

static void phases(struct group *g)
{
    if (!get_on(g, everybody(g))) {
        world_fail(&g->world, "warm-up", "the group does not get on without faults");
        return;
    }
    g->world.faults = true;
    netnemesis_start(&g->nemesis);
    uint64_t until = now(g) + CHAOS;
    while (now(g) < until && g->story.wrong == NULL) {
        rest(g, choose(&g->draw, 1500) * MS);
        strike(g);
    }
    g->world.faults = false;
    uint64_t core = heal_core(g);
    if (!get_on(g, core)) {
        world_fail(&g->world, "L1", "a healthy core does not get on");
        return;
    }
    netnemesis_heal(&g->nemesis);
    for (unsigned i = 0; i < g->story.nodes; i++) {
        if (g->procs[i] != NULL) {
            proc_resume(g->procs[i]);
        }
    }
    if (!get_on(g, everybody(g))) {
        world_fail(&g->world, "L3", "all is healed, and the group does not get on");
        return;
    }
    stop_all(g);
}

static void director(void *arg)
{
    struct group *g = arg;
    for (unsigned i = 0; i < g->story.nodes; i++) {
        start(g, i);
    }
    (void)world_task(&g->world, "keeper", &g->tasks, keeper, g);
    phases(g);
    if (g->story.wrong != NULL) {
        world_fail(&g->world, "promise", "%s", g->story.wrong);
    }
    world_stop(&g->world);
}

/* ---- a run ---- */

static struct proc *process(void *arg, unsigned node)
{
    struct group *g = arg;
    return g->procs[node];
}

static void draw_plan(struct plan *p, uint64_t seed)
{
    static const enum plan_knob knobs[] = {
        PLAN_NET_LATENCY_US, PLAN_NET_BUFFER,   PLAN_NET_SPLIT,  PLAN_NET_TAIL, PLAN_NET_RESET,
        PLAN_NET_INTR,       PLAN_NET_SPURIOUS, PLAN_NET_ACCEPT, PLAN_BACKLOG,  PLAN_CLOCK_DRIFT,
        PLAN_WALL_STEP,      PLAN_POLICY,       PLAN_TEAR,
    };
    plan_init(p, simmem(), seed);
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++) {
        plan_draw_one(p, knobs[i], 500000);
    }
    plan_draw_net(p);
    p->value[PLAN_STEP_NS] = 10000;
}

static void open_group(struct group *g, uint64_t seed)
{
    static struct world_hooks hooks;
    hooks = (struct world_hooks){.ended = ended};
    draw_plan(&g->plan, seed);
    fiber_pool_init(&g->pool, 0);
    list_init(&g->tasks);
    struct world_options o = {
        .plan = &g->plan, .pool = &g->pool, .trace_keep = 40, .hooks = &hooks, .hooks_arg = g};
    world_init(&g->world, simmem(), &o);
    chooser_stream_init(&g->draw, &g->world.chooser, CHOOSE_NEMESIS, 0);
    g->story.nodes = choose(&g->draw, 2) == 0 ? 3 : 5;
    for (unsigned i = 0; i < g->story.nodes; i++) {
        g->hosts[i] = world_host(&g->world, NULL);
        g->nodes[i].story = &g->story;
        g->nodes[i].number = i;
    }
    for (unsigned i = 0; i < g->story.nodes; i++) {
        memcpy(g->nodes[i].hosts, g->hosts, sizeof g->hosts);
    }
    g->nemesis = (struct netnemesis){.world = &g->world,
                                     .hosts = g->hosts,
                                     .nodes = g->story.nodes,
                                     .election_ns = ELECTION,
                                     .span_ns = CHAOS,
                                     .peer_port = GOSSIP_PORT,
                                     .process = process,
                                     .arg = g};
}

static void account(const struct group *g, struct seen *seen)
{
    for (int k = 0; k < PLAN_KNOBS; k++) {
        seen->injected[k] += g->world.injected[k];
    }
    for (int k = 0; k < SIMNET_EFFECTS; k++) {
        seen->effects[k] += simnet_effect(g->world.net, (enum simnet_effect)k);
    }
    seen->kills += g->kills;
    seen->powers += g->powers;
    seen->blackouts += g->blackouts;
    seen->pauses += g->pauses;
    seen->stops += g->stops;
    for (unsigned i = 0; i < g->story.nodes; i++) {
        seen->refused_frames += g->nodes[i].refused_frames;
        seen->no_descriptor += g->nodes[i].no_descriptor;
    }
}

static void report(const struct group *g, uint64_t seed)
{
    char line[256];
    const struct trace_event *e;
    (void)printf("# seed %llu: %s: %s\n", (unsigned long long)seed, g->world.failure.class,
                 g->world.failure.text);
    for (size_t i = 0; (e = trace_kept(&g->world.trace, i)) != NULL; i++) {
        trace_format(e, line, sizeof line);
        (void)printf("#   %s\n", line);
    }
}

/* True when nothing went wrong; `loud`: says what did. */
static bool tell(uint64_t seed, const struct gossip_story *bugs, bool loud, struct seen *seen,
                 uint64_t *hash)
{
    struct group *g = mem_zalloc(simmem(), sizeof *g);
    g->story = *bugs;
    open_group(g, seed);
    (void)world_task(&g->world, "director", &g->tasks, director, g);
    bool ok = world_run(&g->world);
    if (!ok && loud) {
        report(g, seed);
    }
    if (seen != NULL) {
        account(g, seen);
    }
    *hash = g->world.trace.hash;
    netnemesis_release(&g->nemesis);
    while (!list_empty(&g->tasks)) {
        task_kill(LIST_ENTRY(g->tasks.next, struct task, link));
    }
    g->stopping = true;
    world_release(&g->world);
    fiber_pool_release(&g->pool);
    plan_release(&g->plan);
    mem_release(simmem(), g);
    return ok;
}

static uint64_t seeds = 300;
static struct seen seen;

static void test_gossip__keeps_its_word_and_gets_on(void)
{
    const struct gossip_story none = {.nodes = 0};
    uint64_t hash;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        EXPECT(tell(seed, &none, true, &seen, &hash));
    }
}

static bool of_the_network(enum plan_knob k)
{
    return plan_is_fault(k) && plan_is_net(k);
}

/* Every fault between hosts, every effect on connections, and every death has happened. */
static void test_gossip__has_met_every_fault(void)
{
    for (int k = 0; k < PLAN_KNOBS; k++) {
        if (of_the_network((enum plan_knob)k)) {
            EXPECT(seen.injected[k] > 0);
            (void)printf("# %-20s %llu\n", plan_name((enum plan_knob)k),
                         (unsigned long long)seen.injected[k]);
        }
    }
    for (int k = 0; k < SIMNET_EFFECTS; k++) {
        EXPECT(seen.effects[k] > 0);
        (void)printf("# %-40s %llu\n", simnet_effect_name((enum simnet_effect)k),
                     (unsigned long long)seen.effects[k]);
    }
    EXPECT(seen.injected[PLAN_CLOCK_DRIFT] > 0 && seen.injected[PLAN_WALL_STEP] > 0);
    EXPECT(seen.kills > 0 && seen.powers > 0 && seen.blackouts > 0);
    EXPECT(seen.pauses > 0 && seen.stops > 0);
    EXPECT(seen.refused_frames > 0 && seen.no_descriptor > 0);
}

static void test_gossip__a_run_is_a_function_of_its_seed(void)
{
    const struct gossip_story none = {.nodes = 0};
    uint64_t first, again;
    for (uint64_t seed = 0; seed < 12; seed++) {
        (void)tell(seed, &none, false, NULL, &first);
        (void)tell(seed, &none, false, NULL, &again);
        EXPECT(first == again);
    }
}

static unsigned found(const struct gossip_story *bug)
{
    unsigned n = 0;
    uint64_t hash;
    for (uint64_t seed = 0; seed < 60; seed++) {
        n += !tell(seed, bug, false, NULL, &hash);
    }
    return n;
}

static void test_gossip__planted_bugs_are_found(void)
{
    const struct gossip_story hasty = {.hasty = true};
    const struct gossip_story trusting = {.trusting = true};
    const struct gossip_story believing = {.believing = true};
    unsigned h = found(&hasty), t = found(&trusting), b = found(&believing);
    (void)printf("# of 60 seeds: says before it has synced %u, no CRC %u, no timeouts %u\n", h, t,
                 b);
    EXPECT(h > 0);
    EXPECT(t > 0);
    EXPECT(b > 0);
}

TAP_MAIN({
    seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : seeds;
    RUN(test_gossip__keeps_its_word_and_gets_on);
    RUN(test_gossip__has_met_every_fault);
    RUN(test_gossip__a_run_is_a_function_of_its_seed);
    RUN(test_gossip__planted_bugs_are_found);
})
