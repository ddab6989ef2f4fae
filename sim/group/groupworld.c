/* groupworld.c - see groupworld.h: the phases of a run, and its account. */
#include "sim/group/groupworld_int.h"

#include "base/ck.h"
#include "sim/simmem.h"

#include <stdio.h>

#define NS_PER_MS     1000000ull
#define NS_PER_S      (1000 * NS_PER_MS)
#define LIVE          20    /* election timeouts within which a healthy group gets on, */
#define LIVE_S        20    /* and what starts, retransmissions and slow disks may take */
#define STOP_S        120   /* an orderly end takes less */
#define STEP_NS_MAX   2000u /* many programs share the processor of the world */
#define SLOW_MAX      8u    /* a disk slower than that does not keep up with elections */
#define WAN_MS        1000u /* election timeouts on slow links */
#define PAUSES        3     /* election timeouts of the longest pause */
#define VERIFIERS     3     /* of the core, of all, of what a blackout left */
#define BUFFER_LAN    2048u /* bytes of a socket */
#define BUFFER_WAN    65536u
#define BANDWIDTH_MIN 500000u /* bytes a second */
#define IDLE_MIN_MS   1000u   /* many round trips */
#define OUTPUT_MIN    1000000u
#define VALUE_MAX     2000u
#define TIGHT_CLIENTS 7u
#define MEDIA_ON_PPM  600000 /* of each kind, where a seed has any */
#define REQUEST_MIN   4u     /* election timeouts in which a node may try to do what it was asked */
#define GROUP_OPS     400u   /* operations of a run */

static void phase(struct groupworld *g, const char *name)
{
    world_trace(&g->world, TRACE_PHASE, name, g->load.started);
}

static uint64_t now_of(const struct groupworld *g)
{
    return g->world.sched.now;
}

static uint64_t everybody(const struct groupworld *g)
{
    return ((uint64_t)1 << g->nodes) - 1;
}

/* Until `holds` does for these nodes; false when it does not by then. */
static bool await(struct groupworld *g, uint64_t set, uint64_t ns,
                  bool (*holds)(const struct groupworld *g, uint64_t set))
{
    uint64_t until = now_of(g) + ns;
    while (!holds(g, set) && now_of(g) < until && !g->world.failure.set) {
        (void)task_park(&g->world.sched, WAIT_SLEEP, g,
                        until); /* whoever changed something wakes us */
    }
    return holds(g, set);
}

static bool is_led(const struct groupworld *g, uint64_t set)
{
    for (unsigned i = 0; i < g->nodes; i++) {
        if ((set >> i & 1) != 0 && g->node[i].up && g->node[i].view.state == RAFT_LEADER &&
            g->node[i].view.commit > 0) {
            return true;
        }
    }
    return false;
}

static uint64_t founders_of(const struct groupworld *g)
{
    return ((uint64_t)1 << g->founders) - 1;
}

/* Nobody lags: all hold, and have applied, what anybody has committed. */
static bool is_settled(const struct groupworld *g, uint64_t set)
{
    for (unsigned i = 0; i < g->nodes; i++) {
        const struct raft_view *v = &g->node[i].view;
        if ((set >> i & 1) != 0 &&
            (!g->node[i].up || v->applied != g->watch.committed || v->last != g->watch.committed)) {
            return false;
        }
    }
    return is_led(g, set);
}

/* The same of the members, whoever they are by then. */
static bool are_members_settled(const struct groupworld *g, uint64_t set)
{
    (void)set;
    return is_settled(g, groupmembers_now(g));
}

static bool are_down(const struct groupworld *g, uint64_t set)
{
    for (unsigned i = 0; i < g->nodes; i++) {
        if ((set >> i & 1) != 0 && g->procs[i] != NULL) {
            return false;
        }
    }
    return true;
}

/* One line a node, for a failure. */
static const char *say_nodes(const struct groupworld *g, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < g->nodes && at < size; i++) {
        const struct raft_view *v = &g->node[i].view;
        at += (size_t)snprintf(
            text + at, size - at,
            "\n  node %u: %s, state %d, term %llu, leader %llu, log %llu..%llu, commit %llu, "
            "applied %llu, durable %llu%s%s",
            i + 1,
            g->procs[i] == NULL   ? "down"
            : g->procs[i]->paused ? "paused"
            : !g->node[i].up      ? "starting"
                                  : "up",
            v->state, (unsigned long long)v->term, (unsigned long long)v->leader,
            (unsigned long long)v->base.index, (unsigned long long)v->last,
            (unsigned long long)v->commit, (unsigned long long)v->applied,
            (unsigned long long)v->durable, v->stalled ? ", disk stalls" : "",
            v->damaged ? ", damaged" : "");
    }
    return text;
}

static void fail(struct groupworld *g, const char *class, const char *what)
{
    char text[900];
    world_fail(&g->world, class, "%s%s", what, say_nodes(g, text, sizeof text));
}

/* Of a part of the group: nobody leads, and so many nodes have their last entries in doubt that the
 * others are no quorum. A power loss of all can tear the last group on several disks, nobody can
 * tell that from damage, and an entry that those who are there cannot read may be whole on one who
 * is not (docs/group.md, "Known limits"). When all are there they find out. */
static bool in_doubt(const struct groupworld *g, uint64_t set)
{
    uint64_t sure = 0;
    if ((groupmembers_perhaps(g) & ~set) == 0) {
        return false;
    }
    for (unsigned i = 0; i < g->nodes; i++) {
        const struct raft_view *v = &g->node[i].view;
        bool away = (set >> i & 1) == 0 && v->stalled; /* whose disk is dead cannot tell either */
        if (g->node[i].up && !v->damaged && !away) {
            sure |= (uint64_t)1 << i;
        }
    }
    return !groupmembers_quorum(g, sure) && !is_led(g, everybody(g));
}

/* The group does not get on. */
static void stuck(struct groupworld *g, uint64_t set, const char *class, const char *what)
{
    g->stuck = in_doubt(g, set);
    if (g->stuck) {
        phase(g, "stuck in doubt");
    } else {
        fail(g, class, what);
    }
}

static void await_clients(struct groupworld *g)
{
    while (g->load.running > 0 && !g->world.failure.set) {
        (void)task_park(&g->world.sched, WAIT_SLEEP, g, ENV_NEVER); /* the last one wakes us */
    }
}

/* The verifier number `which` writes through each of the set and reads every key through any. */
static void verify(struct groupworld *g, unsigned which, uint64_t set, const char *what)
{
    size_t i = (size_t)plan_get(g->plan, PLAN_CLIENTS) + which;
    if (g->world.failure.set) {
        return;
    }
    g->load.asked = set;
    g->load.each = which > 0; /* of a core, the leader may be nobody, and unheard by some */
    workload_start(&g->load, i, true);
    await_clients(g);
    g->stuck = false;
    if (!workload_verified(&g->load, i) && !g->world.failure.set) {
        stuck(g, set, "L1 liveness", what);
    }
}

/* ---- the phases ---- */

static void warm_up(struct groupworld *g)
{
    phase(g, "warm-up");
    for (unsigned i = 0; i < g->nodes; i++) {
        g->node[i].keep_down = i >= g->founders;
        if (i < g->founders) {
            groupnode_start(g, i);
        }
        g->node[i].keeper = world_task(&g->world, "keeper", &g->tasks, groupnode_keep, &g->node[i]);
    }
    if (!await(g, founders_of(g), g->live_ns, is_settled)) {
        fail(g, "warm-up", "a group without faults does not settle");
    }
}

static void rest_until(struct groupworld *g, uint64_t until)
{
    while (now_of(g) < until && !g->world.failure.set) {
        (void)task_park(&g->world.sched, WAIT_SLEEP, g, until); /* others may wake us */
    }
}

/* The plan's faults, while clients work; their last operations may be long over. */
static void chaos(struct groupworld *g)
{
    uint64_t until = now_of(g) + g->net.span_ns;
    phase(g, "chaos");
    g->world.faults = true;
    g->load.asked = founders_of(g);
    for (size_t i = 0; i < plan_get(g->plan, PLAN_CLIENTS); i++) {
        workload_start(&g->load, i, false);
    }
    nemesis_start(&g->nemesis, &g->tasks);
    netnemesis_start(&g->net);
    groupchange_start(g);
    await_clients(g);
    rest_until(g, until);
    g->world.faults = false;
    while ((g->nemesis.task != NULL || !groupchange_over(g)) && !g->world.failure.set) {
        if (g->nemesis.task != NULL) {
            task_wake(g->nemesis.task);
        }
        (void)task_park(&g->world.sched, WAIT_SLEEP, g, now_of(g) + NS_PER_S);
    }
}

/* Its media read as they were written. What it met may have stopped it for good: it starts again.
 */
static void heal_media(struct groupworld *g, unsigned i)
{
    if ((g->victims >> i & 1) != 0) {
        simdisk_heal(g->hosts[i]->disk, SIMDISK_FAULT_ALL);
        if (g->procs[i] != NULL) {
            proc_kill(g->procs[i]);
        }
    }
}

/* A node is as good as new: power, room, no limits; if it is down, it comes back. */
static void make_well(struct groupworld *g, unsigned i)
{
    struct host *h = g->hosts[i];
    heal_media(g, i);
    simdisk_set_capacity(h->disk, plan_get(g->plan, PLAN_CAPACITY));
    h->port_span = SIMNET_PORT_SPAN;
    if (g->procs[i] != NULL) {
        proc_resume(g->procs[i]);
        proc_limit_fds(g->procs[i], -1);
    }
    if (simdisk_dead(h->disk) && h->up) {
        host_power_off(h, simdisk_draw_strategy(&h->disk_crash));
    }
    g->node[i].keep_down = false;
    task_wake(g->node[i].keeper);
}

/* Nodes in a drawn order until they have a quorum of each configuration that may count, whichever
 * of them it will be; or a few more. */
static uint64_t draw_core(struct groupworld *g)
{
    uint64_t voters = groupmembers_perhaps(g) & ~g->victims;
    unsigned first = (unsigned)choose(&g->draw, g->nodes);
    uint64_t core = 0;
    uint64_t rest = 0;
    for (unsigned i = 0; i < g->nodes; i++) {
        uint64_t node = (uint64_t)1 << (first + i) % g->nodes & voters;
        *(groupmembers_quorum(g, core) ? &rest : &core) |= node;
    }
    uint64_t more = (uint64_t)__builtin_popcountll(rest);
    if (plan_get(g->plan, PLAN_GROUP_CORE_MORE) == 1 && more > 0) {
        for (more = choose(&g->draw, more); more > 0; more--) {
            core |= rest & -rest;
            rest &= rest - 1;
        }
    }
    return core;
}

/* A quorum is well and stays so. Of the others, those that are up stay up, those that are down
 * stay down, and what is cut stays cut. */
static uint64_t heal_core(struct groupworld *g)
{
    struct host *hosts[GROUP_MAX];
    size_t count = 0;
    uint64_t core = draw_core(g);
    for (unsigned i = 0; i < g->nodes; i++) {
        if ((core >> i & 1) != 0) {
            hosts[count++] = g->hosts[i];
        } else if (g->procs[i] == NULL) {
            g->node[i].keep_down = true;
        }
    }
    netnemesis_core(&g->net, hosts, count);
    for (unsigned i = 0; i < g->nodes; i++) {
        if ((core >> i & 1) != 0) {
            make_well(g, i);
        }
    }
    return core;
}

static void core_gets_on(struct groupworld *g)
{
    phase(g, "core");
    verify(g, 0, heal_core(g), "a healthy core of the group does not answer");
}

static void all_settle(struct groupworld *g, const char *what)
{
    if (!g->world.failure.set && !g->stuck &&
        !await(g, everybody(g), g->live_ns, are_members_settled)) {
        stuck(g, everybody(g), "L3 convergence", what);
    }
}

static void heal_all(struct groupworld *g)
{
    if (g->world.failure.set) {
        return;
    }
    phase(g, "heal");
    netnemesis_heal(&g->net);
    groupchange_settle(g);
    uint64_t members = groupmembers_perhaps(g);
    for (unsigned i = 0; i < g->nodes; i++) {
        if ((members >> i & 1) != 0 || g->procs[i] != NULL) {
            make_well(g, i); /* of those that left some are down for good */
        }
    }
    if (members != groupmembers_voters(g)) {
        all_settle(g, "all is healed, and a change of the members does not come to its end");
    }
    verify(g, 1, groupmembers_now(g), "all is healed, and the group does not answer");
    all_settle(g, "all is healed, and the nodes do not agree");
}

/* What was promised is on disks, not in the memory of survivors. */
static void blackout(struct groupworld *g)
{
    if (g->world.failure.set || g->stuck) {
        return;
    }
    phase(g, "blackout");
    for (unsigned i = 0; i < g->nodes; i++) {
        if (g->hosts[i]->up) {
            host_power_off(g->hosts[i], SIMDISK_DROP_ALL);
        }
    }
    verify(g, 2, groupmembers_now(g),
           "the power of all went and came back, and the group does not answer");
    all_settle(g, "the power of all went and came back, and the nodes do not agree");
}

static void stop_all(struct groupworld *g)
{
    if (g->world.failure.set) {
        return;
    }
    phase(g, "stop");
    for (unsigned i = 0; i < g->nodes; i++) {
        g->node[i].keep_down = true;
        g->stopping[i] = true;
        if (g->procs[i] != NULL) {
            proc_request_stop(g->procs[i]);
        }
    }
    if (!await(g, everybody(g), STOP_S * NS_PER_S, are_down)) {
        fail(g, "shutdown", "not all nodes end when they are asked to");
    }
}

/* Databases that have applied the same hold the same. */
static void compare(struct groupworld *g)
{
    const struct groupview *first = NULL;
    if (g->world.failure.set || g->stuck) {
        return;
    }
    phase(g, "compare");
    uint64_t members = groupmembers_now(g);
    for (unsigned i = 0; i < g->nodes; i++) {
        if ((members >> i & 1) != 0) {
            groupnode_look(g, i);
        }
    }
    (void)await(g, everybody(g), STOP_S * NS_PER_S, are_down);
    for (unsigned i = 0; i < g->nodes && !g->world.failure.set; i++) {
        const struct groupview *v = &g->node[i].found;
        if ((members >> i & 1) == 0) {
            continue;
        }
        first = first == NULL ? v : first;
        if (!v->opened) {
            world_fail(&g->world, "E6 recovery", "the database of node %u does not open", i + 1);
        } else if (v->a != first->a || v->b != first->b || v->entries != first->entries) {
            world_fail(&g->world, "X8 replicas",
                       "the databases of node %u and another differ: %llu and %llu entries", i + 1,
                       (unsigned long long)first->entries, (unsigned long long)v->entries);
        }
    }
}

static void director_run(void *arg)
{
    struct groupworld *g = arg;
    warm_up(g);
    if (!g->world.failure.set) {
        chaos(g);
    }
    if (!g->world.failure.set) {
        core_gets_on(g);
    }
    heal_all(g);
    blackout(g);
    stop_all(g);
    compare(g);
    world_stop(&g->world);
}

/* ---- the plan ---- */

/* Damage that is found when it is read, of no more nodes than a group can lose; a wiped disk would
 * count as damaged, so nobody comes or goes. */
static void draw_media(struct plan *p)
{
    static const enum plan_knob media[] = {PLAN_MEDIA_MAX,       PLAN_MEDIA_EVICT,
                                           PLAN_MEDIA_ROT,       PLAN_MEDIA_LSE,
                                           PLAN_MEDIA_TRANSIENT, PLAN_MEDIA_MISREAD};
    uint64_t *v = p->value;
    if (v[PLAN_GROUP_NODES] < 3) {
        v[PLAN_GROUP_MEDIA] = 0;
    }
    for (size_t i = 0; v[PLAN_GROUP_MEDIA] > 0 && i < sizeof media / sizeof *media; i++) {
        plan_draw_one(p, media[i], MEDIA_ON_PPM);
    }
    if (v[PLAN_GROUP_MEDIA] > 0) {
        v[PLAN_MEMBER_CHANGES] = 0;
    }
}

void groupworld_draw(struct plan *p)
{
    uint64_t *v = p->value;
    draw_media(p);
    v[PLAN_SHADOW_MAX] = 0;
    /* Connections that fell silent count, too, for they are never told. */
    v[PLAN_MAX_CLIENTS] = v[PLAN_GROUP_TIGHT] == 1 ? TIGHT_CLIENTS : plan_default(PLAN_MAX_CLIENTS);
    v[PLAN_STEP_NS] = v[PLAN_STEP_NS] < STEP_NS_MAX ? v[PLAN_STEP_NS] : STEP_NS_MAX;
    v[PLAN_DISK_SLOW] = v[PLAN_DISK_SLOW] < SLOW_MAX ? v[PLAN_DISK_SLOW] : SLOW_MAX;
    /* what one round trip carries: else a node that is behind is so for minutes */
    uint64_t buffer = v[PLAN_NET_PROFILE] >= 2 ? BUFFER_WAN : BUFFER_LAN;
    v[PLAN_NET_BUFFER] = v[PLAN_NET_BUFFER] > buffer ? v[PLAN_NET_BUFFER] : buffer;
    if (v[PLAN_OUTPUT_LIMIT] < OUTPUT_MIN) {
        v[PLAN_OUTPUT_LIMIT] = OUTPUT_MIN; /* a key that was appended to can be read */
    }
    if (v[PLAN_IDLE_MS] > 0 && v[PLAN_IDLE_MS] < IDLE_MIN_MS) {
        v[PLAN_IDLE_MS] = IDLE_MIN_MS;
    }
    v[PLAN_VALUE_BYTES] = v[PLAN_VALUE_BYTES] < VALUE_MAX ? v[PLAN_VALUE_BYTES] : VALUE_MAX;
    if (v[PLAN_NET_BANDWIDTH] > 0 && v[PLAN_NET_BANDWIDTH] < BANDWIDTH_MIN) {
        v[PLAN_NET_BANDWIDTH] = BANDWIDTH_MIN;
    }
    if (v[PLAN_MEMBER_CHANGES] == 0) {
        v[PLAN_GROUP_SPARES] = 0;
    }
    if (v[PLAN_GROUP_REQUEST_MS] < REQUEST_MIN * v[PLAN_GROUP_ELECTION_MS]) {
        v[PLAN_GROUP_REQUEST_MS] = REQUEST_MIN * v[PLAN_GROUP_ELECTION_MS];
    }
    v[PLAN_CLIENTS] = v[PLAN_GROUP_NODES] > 3 ? 5 : 4;
    v[PLAN_OPS] = GROUP_OPS;
    if (v[PLAN_NET_PROFILE] >= 2 && v[PLAN_GROUP_ELECTION_MS] < WAN_MS) {
        v[PLAN_GROUP_ELECTION_MS] = WAN_MS;
    }
    /* the operations fill the time of the faults, about */
    uint64_t span_us = v[PLAN_GROUP_SPAN] * v[PLAN_GROUP_ELECTION_MS] * 1000;
    uint64_t rounds = 1 + 2 * v[PLAN_OPS] / v[PLAN_CLIENTS] / (v[PLAN_PIPELINE] + 1);
    v[PLAN_THINK_US] = 2 * span_us / rounds;
    if (v[PLAN_THINK_US] > plan_max(PLAN_THINK_US)) {
        v[PLAN_THINK_US] = plan_max(PLAN_THINK_US);
    }
}

/* ---- the account ---- */

int groupworld_leader(const struct groupworld *g)
{
    int best = -1;
    for (unsigned i = 0; i < g->nodes; i++) {
        const struct raft_view *v = &g->node[i].view;
        if (v->state == RAFT_LEADER && (best < 0 || v->term > g->node[best].view.term)) {
            best = (int)i;
        }
    }
    return best;
}

static int leader(void *arg)
{
    return groupworld_leader(arg);
}

static struct proc *process(void *arg, unsigned node)
{
    struct groupworld *g = arg;
    return g->procs[node];
}

/* The place of an operation: of whichever of its requests was executed, and of the first if several
 * went through the log, for then the others were answered from the session. */
static uint64_t place_of(const struct groupworld *g, const struct history_ref *ref)
{
    const struct history_try *tries = (const void *)g->load.tries.data;
    uint64_t best = grouporder_place(&g->order, ref->conn, ref->number);
    for (size_t i = 0; i < ref->before_count; i++) {
        const struct history_try *t = &tries[ref->before + i];
        uint64_t place = grouporder_place(&g->order, t->conn, t->number);
        best = place != 0 && (best == 0 || place < best) ? place : best;
    }
    return best;
}

/* The order of execution as a witness: a proof, in one pass, when it fits. */
static bool order_explains(struct groupworld *g)
{
    struct workload *l = &g->load;
    for (size_t i = 0; i < l->history.count; i++) {
        l->history.meta[i].index = place_of(g, &l->refs[i]);
        if (l->refs[i].refused && l->history.meta[i].index != 0) {
            world_fail(&g->world, "X1 linearizability",
                       "operation %zu of the history was said not to happen, and happened", i);
            return true;
        }
    }
    return workload_order_explains(l);
}

static void nemeses_init(struct groupworld *g)
{
    uint64_t election = plan_get(g->plan, PLAN_GROUP_ELECTION_MS);
    g->election_ns = 2 * election * NS_PER_MS;
    g->live_ns = LIVE * g->election_ns + LIVE_S * NS_PER_S;
    g->nemesis = (struct nemesis){.world = &g->world,
                                  .targets = g->nodes,
                                  .host = g->hosts,
                                  .proc = g->procs,
                                  .stopping = g->stopping,
                                  .pause_ms = PAUSES * election,
                                  .ops = &g->load.started,
                                  .busy = &g->load.running,
                                  .wake = &g->director};
    g->net =
        (struct netnemesis){.world = &g->world,
                            .hosts = g->hosts,
                            .nodes = g->nodes,
                            .clients = (unsigned)plan_get(g->plan, PLAN_CLIENTS),
                            .election_ns = election * NS_PER_MS,
                            .span_ns = plan_get(g->plan, PLAN_GROUP_SPAN) * election * NS_PER_MS,
                            .peer_port = GROUP_PEER_PORT,
                            .first_ordinal = GROUPWORLD_NET_ORDINALS,
                            .leader = leader,
                            .process = process,
                            .arg = g};
}

static void load_init(struct groupworld *g)
{
    size_t clients = (size_t)plan_get(g->plan, PLAN_CLIENTS);
    g->load = (struct workload){.world = &g->world,
                                .plan = g->plan,
                                .result = g->result,
                                .nemesis = &g->nemesis,
                                .wake = &g->director,
                                .nodes = g->nodes,
                                .asked = founders_of(g),
                                .sessions = plan_get(g->plan, PLAN_GROUP_SESSIONS) == 1,
                                .patience_ns = g->live_ns,
                                .answer_ms = 2 * g->election_ns / NS_PER_MS};
    workload_init(&g->load, clients + VERIFIERS);
    for (size_t i = 0; i < clients; i++) {
        g->hosts[g->nodes + i] = world_host(&g->world, NULL);
        g->load.clients[i].host = g->hosts[g->nodes + i];
    }
}

/* Where damage strikes: logs most. */
static const struct simdisk_aim aims[] = {
    {"raft-*.log", 60, 0, 1000}, {"*.sst", 20, 0, 800}, {"*.sst", 10, 800, 1000},
    {"MANIFEST-*", 5, 0, 1000},  {"roster", 5, 0, 500},
};

static void victims_draw(struct groupworld *g)
{
    uint64_t media = plan_get(g->plan, PLAN_GROUP_MEDIA);
    unsigned most = media == 0 ? 0 : media == 1 ? 1 : (g->founders - 1) / 2;
    unsigned first = media > 0 ? (unsigned)choose(&g->draw, g->founders) : 0;
    for (unsigned i = 0; i < g->nodes; i++) {
        bool victim = i < g->founders && (i + g->founders - first) % g->founders < most;
        g->victims |= (uint64_t)victim << i;
        g->hosts[i]->spared = !victim;
    }
}

static void groupworld_init(struct groupworld *g, const struct trial_options *o,
                            struct trial_result *r)
{
    struct mem *mem = simmem();
    *g = (struct groupworld){.options = o, .plan = o->plan, .result = r};
    *r = (struct trial_result){0};
    struct world_options wo = trial_world(o, &groupwatch_hooks, g);
    wo.aims = aims;
    wo.aim_count = sizeof aims / sizeof *aims;
    world_init(&g->world, mem, &wo);
    trial_attach(o, &g->world);
    list_init(&g->tasks);
    raftwatch_init(&g->watch, mem);
    grouporder_init(&g->order, mem);
    buf_init(&g->ids, mem);
    chooser_stream_init(&g->draw, &g->world.chooser, CHOOSE_NEMESIS, 90);
    g->founders = (unsigned)plan_get(o->plan, PLAN_GROUP_NODES);
    g->nodes = g->founders + (unsigned)plan_get(o->plan, PLAN_GROUP_SPARES);
    for (unsigned i = 0; i < g->nodes; i++) {
        g->hosts[i] = world_host(&g->world, NULL);
        groupnode_init(g, i);
    }
    victims_draw(g);
    g->world.flip_hosts = g->nodes; /* what clients speak is not checked */
    nemeses_init(g);
    load_init(g);
    for (unsigned i = 0; i < GROUP_OPERATORS; i++) {
        g->operators[i].host = world_host(&g->world, NULL);
    }
}

static void groupworld_release(struct groupworld *g)
{
    while (!list_empty(&g->tasks)) {
        task_kill(LIST_ENTRY(g->tasks.next, struct task, link));
    }
    nemesis_release(&g->nemesis);
    netnemesis_release(&g->net);
    for (unsigned i = 0; i < g->nodes; i++) {
        g->procs[i] = NULL; /* their ends are nobody's business any more */
    }
    world_release(&g->world);
    workload_release(&g->load);
    raftwatch_release(&g->watch);
    grouporder_release(&g->order);
    buf_release(&g->ids);
    mem_release(simmem(), g->marks);
}

void groupworld_run(const struct trial_options *o, struct trial_result *r, struct buf *tail)
{
    struct groupworld *g = mem_alloc(simmem(), sizeof *g);
    groupworld_init(g, o, r);
    g->director = world_task(&g->world, "director", &g->tasks, director_run, g);
    (void)world_run(&g->world); /* its failure is in the result */
    if (!g->world.failure.set && g->load.history.count > 0 && !order_explains(g)) {
        workload_search(&g->load);
    }
    trial_account(&g->world, r);
    if (tail != NULL && !r->ok) {
        trial_tail(&g->world, tail);
    }
    if (o->history != NULL) {
        enum status st = lin_jsonl_write(&g->load.history, o->history);
        CK(st == ST_OK);
    }
    groupworld_release(g);
    mem_release(simmem(), g);
}
