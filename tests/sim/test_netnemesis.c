/* test_netnemesis.c - partitions and episodes, as a plan has them, over a group of programs that
 * all talk to each other. */
#include "sim/netnemesis.h"

#include "sim/simlink.h"
#include "tests/sim/simtest.h"
#include "tests/sim/talker.h"
#include "tests/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS        1000000u
#define S         1000000000u
#define NODES     5
#define CLIENTS   2
#define HOSTS     (NODES + CLIENTS)
#define PEER_PORT 4000
#define ELECTION  (150 * (uint64_t)MS)

/* Hosts without programs: what matters is which links pass. */
struct scene {
    struct simtest t;
    struct host *hosts[HOSTS];
    struct netnemesis n;
    struct list tasks;
    uint64_t end_ms;
    unsigned most_alive;
    uint64_t cut_links; /* seen at any look */
    unsigned whole;     /* looks at which every link passed */
    unsigned looks;
    bool core;
};

static int leader(void *arg)
{
    (void)arg;
    return 2;
}

static unsigned cut_links(struct scene *c)
{
    unsigned n = 0;
    for (int i = 0; i < HOSTS; i++) {
        for (int k = 0; k < HOSTS; k++) {
            n += i != k && !simlink_passes(&c->t.world, c->hosts[i], c->hosts[k], PEER_PORT);
        }
    }
    return n;
}

static void watch(struct scene *c)
{
    struct sched *s = &c->t.world.sched;
    while (s->now < c->end_ms * MS) {
        task_sleep_until(s, s->now + 20 * MS);
        unsigned n = cut_links(c);
        c->cut_links += n;
        c->whole += n == 0;
        c->looks++;
        c->most_alive = c->n.alive > c->most_alive ? c->n.alive : c->most_alive;
    }
}

static void director(void *arg)
{
    struct scene *c = arg;
    c->t.world.faults = true;
    netnemesis_start(&c->n);
    watch(c);
    if (c->core) {
        struct host *core[3] = {c->hosts[0], c->hosts[2], c->hosts[3]};
        netnemesis_core(&c->n, core, 3);
        for (int i = 0; i < 3; i++) {
            for (int k = 0; k < 3; k++) {
                EXPECT(i == k || simlink_passes(&c->t.world, core[i], core[k], PEER_PORT));
            }
        }
    }
    netnemesis_heal(&c->n);
    EXPECT(cut_links(c) == 0 && c->n.alive == 0 && c->n.busy == 0);
    world_stop(&c->t.world);
}

static void scene_open(struct scene *c, uint64_t seed, uint64_t end_ms)
{
    memset(c, 0, sizeof *c);
    plan_init(&c->t.plan, simmem(), seed);
    list_init(&c->tasks);
    c->end_ms = end_ms;
}

static void scene_run(struct scene *c)
{
    simtest_open_plan(&c->t);
    for (int i = 0; i < HOSTS; i++) {
        c->hosts[i] = i == 0 ? c->t.host : world_host(&c->t.world, NULL);
    }
    c->n = (struct netnemesis){.world = &c->t.world,
                               .hosts = c->hosts,
                               .nodes = NODES,
                               .clients = CLIENTS,
                               .election_ns = ELECTION,
                               .span_ns = c->end_ms * MS / 2,
                               .peer_port = PEER_PORT,
                               .leader = leader};
    (void)world_task(&c->t.world, "director", &c->tasks, director, c);
    EXPECT(simtest_run(&c->t));
}

static void scene_close(struct scene *c)
{
    netnemesis_release(&c->n);
    while (!list_empty(&c->tasks)) {
        task_kill(LIST_ENTRY(c->tasks.next, struct task, link));
    }
    simtest_close(&c->t);
}

static const enum plan_knob parts[PARTITION_KINDS] = {
    PLAN_PART_ISOLATE, PLAN_PART_HALVES, PLAN_PART_BRIDGE, PLAN_PART_RING,  PLAN_PART_HUB,
    PLAN_PART_LINK,    PLAN_PART_ONEWAY, PLAN_PART_ROLES,  PLAN_PART_CLASS, PLAN_PART_FLAP,
};

/* Over some seeds each kind happens, is counted, cuts links, and ends: by itself, and by the heal.
 */
static void test_netnemesis__every_kind_of_partition_happens(void)
{
    for (int kind = 0; kind < PARTITION_KINDS; kind++) {
        uint64_t cut = 0;
        unsigned whole = 0;
        for (uint64_t seed = 0; seed < 12; seed++) {
            struct scene c;
            scene_open(&c, seed, 8000);
            c.t.plan.value[PLAN_PARTITIONS] = 2;
            c.t.plan.value[parts[kind]] = 10;
            scene_run(&c);
            EXPECT(c.t.world.injected[PLAN_PARTITIONS] <= 2);
            EXPECT(c.t.world.injected[parts[kind]] == c.t.world.injected[PLAN_PARTITIONS]);
            cut += c.cut_links;
            whole += c.whole > 0;
            scene_close(&c);
        }
        /* Big packets and single connections are no cut of a whole link, and a cut of the clients'
         * ports is none of the peers'. */
        EXPECT((cut > 0) == (kind != PARTITION_CLASS));
        EXPECT(whole == 12);
    }
}

/* Many at once wait for each other: two are alive at most, and two are. */
static void test_netnemesis__two_at_most_are_alive(void)
{
    unsigned twice = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct scene c;
        scene_open(&c, seed, 10000);
        c.t.plan.value[PLAN_PARTITIONS] = 12;
        c.core = seed % 2 == 0;
        scene_run(&c);
        EXPECT(c.most_alive <= 2);
        twice += c.most_alive == 2;
        scene_close(&c);
    }
    EXPECT(twice > 7);
}

static void no_plan_no_event(struct scene *c)
{
    EXPECT(c->n.count == 0 && c->cut_links == 0 && c->whole == c->looks && c->looks > 90);
}

/* Without its knobs it does nothing; what a plan leaves out does not happen, and the rest does as
 * before. */
static void test_netnemesis__events_can_be_left_out(void)
{
    struct scene c;
    scene_open(&c, 1, 2000);
    scene_run(&c);
    no_plan_no_event(&c);
    scene_close(&c);
    struct buf all, fewer;
    buf_init(&all, simmem());
    buf_init(&fewer, simmem());
    for (int skip = 0; skip < 2; skip++) {
        scene_open(&c, 3, 20000);
        c.t.plan.value[PLAN_PARTITIONS] = 1;
        c.t.plan.value[PLAN_NET_BURSTS] = 2;
        if (skip == 1) {
            EXPECT(plan_skip(&c.t.plan, &c.t.plan.events, (struct plan_range){0, 0, 0}) == ST_OK);
        }
        scene_run(&c);
        EXPECT(c.t.world.injected[PLAN_PARTITIONS] == (skip == 0 ? 1 : 0));
        EXPECT(c.t.world.injected[PLAN_NET_BURSTS] == 2);
        EXPECT(netnemesis_lanes(&c.n, skip == 0 ? &all : &fewer) == ST_OK);
        scene_close(&c);
    }
    /* The lines of the two bursts, which come last, are the same. */
    EXPECT(fewer.size > 0 && all.size > fewer.size);
    EXPECT(memcmp(all.data + all.size - fewer.size, fewer.data, fewer.size) == 0);
    buf_release(&all);
    buf_release(&fewer);
}

/* Lines for the lanes of a history: an object each, with its times. */
static void test_netnemesis__tells_its_story(void)
{
    struct scene c;
    struct buf out;
    scene_open(&c, 5, 20000);
    buf_init(&out, simmem());
    c.t.plan.value[PLAN_PARTITIONS] = 3;
    c.t.plan.value[PLAN_NET_CLOGS] = 1;
    scene_run(&c);
    EXPECT(netnemesis_lanes(&c.n, &out) == ST_OK && buf_append(&out, "", 1) == ST_OK);
    const char *text = (const char *)out.data;
    unsigned lines = 0;
    for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1) {
        lines++;
        EXPECT(strncmp(at, "{\"event\":\"fault\",\"at\":", 22) == 0);
    }
    EXPECT(lines == c.t.world.injected[PLAN_PARTITIONS] + c.t.world.injected[PLAN_NET_CLOGS]);
    EXPECT(lines >= 3 && strstr(text, "\"clog\"") != NULL && strstr(text, "\"until\":") != NULL);
    buf_release(&out);
    scene_close(&c);
}

static uint64_t hash_of(uint64_t seed)
{
    struct scene c;
    scene_open(&c, seed, 5000);
    plan_draw_net(&c.t.plan);
    c.t.plan.value[PLAN_PARTITIONS] = 3;
    c.t.plan.value[PLAN_NET_BURSTS] = 1;
    scene_run(&c);
    uint64_t hash = c.t.world.trace.hash;
    scene_close(&c);
    return hash;
}

static void test_netnemesis__a_run_is_a_function_of_its_seed(void)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        EXPECT(hash_of(seed) == hash_of(seed));
        EXPECT(hash_of(seed) != hash_of(seed + 1));
    }
}

/* ---- with programs ---- */

struct group {
    struct scene c;
    struct talker talkers[2];
    size_t fds_before;
    bool saw_limit, saw_ports;
};

static struct proc *process(void *arg, unsigned node)
{
    struct group *g = arg;
    return node < 2 && g->talkers[node].proc != NULL && g->talkers[node].proc->state == PROC_RUNNING
               ? g->talkers[node].proc
               : NULL;
}

static void group_director(void *arg)
{
    struct group *g = arg;
    struct sched *s = &g->c.t.world.sched;
    g->c.t.world.faults = true;
    task_sleep_until(s, 200 * MS);
    netnemesis_start(&g->c.n);
    while (s->now < 20 * (uint64_t)S) {
        task_sleep_until(s, s->now + 10 * MS);
        for (unsigned i = 0; i < 2; i++) {
            g->saw_limit = g->saw_limit || g->talkers[i].proc->fd_limit < 100;
            g->saw_ports = g->saw_ports || g->c.hosts[i]->port_span < 100;
        }
    }
    netnemesis_heal(&g->c.n);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(g->talkers[i].proc->fd_limit > 1000);
        EXPECT(g->c.hosts[i]->port_span == SIMNET_PORT_SPAN);
    }
    world_stop(&g->c.t.world);
}

/* Silences, limits of descriptors and of ports strike processes that are there, and end. */
static void test_netnemesis__episodes_strike_and_end(void)
{
    static const enum plan_knob knobs[] = {PLAN_NET_SILENCES, PLAN_NET_FD_LIMITS,
                                           PLAN_NET_PORT_LIMITS, PLAN_NET_CLOGS};
    struct group g;
    memset(&g, 0, sizeof g);
    scene_open(&g.c, 4, 20000);
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++) {
        g.c.t.plan.value[knobs[i]] = 2;
    }
    simtest_open_plan(&g.c.t);
    g.c.hosts[0] = g.c.t.host;
    g.c.hosts[1] = world_host(&g.c.t.world, NULL);
    g.c.n = (struct netnemesis){.world = &g.c.t.world,
                                .hosts = g.c.hosts,
                                .nodes = 2,
                                .election_ns = ELECTION,
                                .span_ns = 10 * (uint64_t)S,
                                .process = process,
                                .arg = &g};
    g.talkers[0] = (struct talker){.size = 10, .gap_ms = 10};
    g.talkers[1] = (struct talker){.size = 10, .gap_ms = 10, .start_ms = 10, .peer = g.c.hosts[0]};
    for (int i = 0; i < 2; i++) {
        (void)simtest_start(&g.c.t, g.c.hosts[i], i == 0 ? "a" : "b", talker_main, &g.talkers[i]);
    }
    (void)world_task(&g.c.t.world, "director", &g.c.tasks, group_director, &g);
    EXPECT(simtest_run(&g.c.t));
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++) {
        EXPECT(g.c.t.world.injected[knobs[i]] >= 1);
    }
    EXPECT(g.saw_limit && g.saw_ports);
    EXPECT(talker_heard(&g.talkers[0], 15000, 20000) == 0 ||
           talker_heard(&g.talkers[1], 15000, 20000) == 0); /* silent for good */
    scene_close(&g.c);
}

TAP_MAIN({
    RUN(test_netnemesis__every_kind_of_partition_happens);
    RUN(test_netnemesis__two_at_most_are_alive);
    RUN(test_netnemesis__events_can_be_left_out);
    RUN(test_netnemesis__tells_its_story);
    RUN(test_netnemesis__a_run_is_a_function_of_its_seed);
    RUN(test_netnemesis__episodes_strike_and_end);
})
