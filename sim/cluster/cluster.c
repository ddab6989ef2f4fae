/* cluster.c - see cluster.h: the phases of a run, and its account. */
#include "sim/cluster/cluster.h"

#include "base/ck.h"
#include "base/hash.h"
#include "node/node.h"
#include "sim/cluster/cluster_int.h"
#include "sim/simmem.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_S  1000000000u
#define HEAL_S    120 /* virtual: by then a healthy node serves */
#define FILES_MAX 16  /* of a database at rest: lock, base, a few logs */

static void phase(struct cluster *c, const char *name)
{
    world_trace(&c->world, TRACE_PHASE, name, c->load.started);
}

static void wait_here(struct cluster *c, uint64_t until)
{
    (void)task_park(&c->world.sched, WAIT_SLEEP, c, until); /* whoever changed something wakes us */
}

/* Until the node serves; false when it does not in time. */
static bool await_serving(struct cluster *c)
{
    struct sched *s = &c->world.sched;
    uint64_t until = s->now + (uint64_t)HEAL_S * NS_PER_S;
    while (!c->serving && s->now < until && !c->world.failure.set) {
        wait_here(c, until);
    }
    return c->serving;
}

/* Until the node is down; false when it is not in time. */
static bool await_down(struct cluster *c)
{
    struct sched *s = &c->world.sched;
    uint64_t until = s->now + (uint64_t)HEAL_S * NS_PER_S;
    while (c->node != NULL && s->now < until && !c->world.failure.set) {
        wait_here(c, until);
    }
    return c->node == NULL;
}

static void await_clients(struct cluster *c)
{
    while (c->load.running > 0 && !c->world.failure.set) {
        wait_here(c, ENV_NEVER);
    }
}

/* Faults off, room on the disk, power on, nothing paused; a device that died is replaced by a
 * reboot. */
static void heal(struct cluster *c)
{
    struct host *h = c->node_host;
    c->world.faults = false;
    while (c->nemesis.task != NULL && !c->world.failure.set) {
        task_wake(c->nemesis.task);
        wait_here(c, c->world.sched.now + NS_PER_S);
    }
    simdisk_set_capacity(h->disk, plan_get(c->plan, PLAN_CAPACITY));
    if (c->node != NULL) {
        proc_resume(c->node);
    }
    bool dead =
        plan_get(c->plan, PLAN_FSYNC_FAIL) == SIMDISK_F4 && c->world.injected[PLAN_SYNC_EIO] > 0;
    if (dead && h->up) {
        host_power_off(h, simdisk_draw_strategy(&h->disk_crash));
    }
}

/* E17: what lies in the directory at rest is bounded, and no temporary file is left. */
static void check_files(struct cluster *c)
{
    struct trial_files n;
    enum status st = trial_files(c->node_host->disk, CLUSTER_DIR, &n);
    if (st != ST_OK || n.count > FILES_MAX || strstr(n.names, ".tmp") != NULL) {
        world_fail(&c->world, "E17 orphans", "the directory at rest holds:%s", n.names);
    }
}

static void stop_node(struct cluster *c)
{
    c->keep_down = true;
    c->stopping = true;
    if (c->node != NULL) {
        proc_request_stop(c->node);
    }
    if (!await_down(c)) {
        world_fail(&c->world, "shutdown", "the node did not end within %d s of being asked",
                   HEAL_S);
    }
    c->stopping = false;
}

/* What a run with faults left lying about is gone within one start and stop without any. */
static void second_life(struct cluster *c)
{
    keeper_start_node(c);
    if (!await_serving(c)) {
        world_fail(&c->world, "L1 liveness", "the node does not serve after an orderly stop");
        return;
    }
    stop_node(c);
    check_files(c);
}

static void director_body(struct cluster *c)
{
    phase(c, "boot");
    keeper_start_node(c);
    c->keeper = world_task(&c->world, "keeper", &c->tasks, keeper_run, c);
    if (!await_serving(c)) {
        world_fail(&c->world, "liveness", "the node did not serve after a start without faults");
        return;
    }
    phase(c, "chaos");
    c->world.faults = true;
    size_t clients = (size_t)plan_get(c->plan, PLAN_CLIENTS);
    for (size_t i = 0; i < clients; i++) {
        workload_start(&c->load, i, false);
    }
    nemesis_start(&c->nemesis, &c->tasks);
    await_clients(c);
    phase(c, "heal");
    heal(c);
    if (!await_serving(c)) {
        world_fail(&c->world, "L1 liveness", "all faults are over, and the node does not serve");
        return;
    }
    phase(c, "verify");
    workload_start(&c->load, clients, true);
    await_clients(c);
    if (!workload_verified(&c->load, clients)) {
        world_fail(&c->world, "L1 liveness", "all faults are over, and reads get no answer");
        return;
    }
    phase(c, "stop");
    stop_node(c);
    if (!c->world.failure.set) {
        phase(c, "again");
        second_life(c);
    }
    phase(c, "post mortem");
    shadow_post_mortem(c);
}

static void director_run(void *arg)
{
    struct cluster *c = arg;
    director_body(c);
    world_stop(&c->world);
}

/* ---- the account ---- */

/* The place that the node gave to operation i: 0 when it has none, for it never happened. */
static uint64_t place_of(const struct cluster *c, size_t i)
{
    const struct execorder_record *r =
        execorder_find(&c->order, c->load.refs[i].conn, c->load.refs[i].number);
    if (r == NULL) {
        return 0;
    }
    if (r->commit == EXECORDER_REFUSED) {
        return 0;
    }
    if (r->commit != EXECORDER_NONE) {
        return c->contract.commits[r->commit].outcome == CONTRACT_OK ? r->place : 0;
    }
    return c->load.refs[i].answered ? r->place : 0; /* else it was refused, or changed nothing */
}

/* The order of execution as a witness: a proof, in one pass, when it fits. */
static bool order_explains(struct cluster *c)
{
    for (size_t i = 0; i < c->load.history.count; i++) {
        c->load.history.meta[i].index = place_of(c, i);
    }
    return workload_order_explains(&c->load);
}

static void judge_history(struct cluster *c)
{
    if (c->load.history.count > 0 && !(c->judging && order_explains(c))) {
        workload_search(&c->load);
    }
}

static void cluster_init(struct cluster *c, const struct trial_options *o, struct trial_result *r)
{
    struct mem *mem = simmem();
    *c = (struct cluster){.options = o, .plan = o->plan, .result = r};
    *r = (struct trial_result){0};
    struct world_options wo = trial_world(o, &cluster_hooks, c);
    world_init(&c->world, mem, &wo);
    trial_attach(o, &c->world);
    list_init(&c->tasks);
    contract_init(&c->contract, mem);
    execorder_init(&c->order, mem);
    c->shadows = (struct shadowing){.world = &c->world,
                                    .options = o,
                                    .result = r,
                                    .main = shadow_main,
                                    .judge = shadow_judge,
                                    .crash = shadow_crash,
                                    .user = c};
    shadowing_init(&c->shadows);
    c->node_host = world_host(&c->world, NULL);
    c->load = (struct workload){.world = &c->world,
                                .plan = o->plan,
                                .result = r,
                                .nemesis = &c->nemesis,
                                .wake = &c->director,
                                .nodes = 1};
    workload_init(&c->load, (size_t)plan_get(o->plan, PLAN_CLIENTS) + 1);
    c->nemesis = (struct nemesis){.world = &c->world,
                                  .host = &c->node_host,
                                  .proc = &c->node,
                                  .stopping = &c->stopping,
                                  .ops = &c->load.started,
                                  .busy = &c->load.running,
                                  .wake = &c->director};
    c->judging = plan_get(o->plan, PLAN_SHADOW_MAX) > 0;
}

static void cluster_release(struct cluster *c)
{
    while (!list_empty(&c->tasks)) {
        task_kill(LIST_ENTRY(c->tasks.next, struct task, link));
    }
    struct mem *mem = c->world.mem;
    nemesis_release(&c->nemesis);
    c->node = NULL; /* its end is nobody's business any more */
    world_release(&c->world);
    contract_release(&c->contract);
    workload_release(&c->load);
    mem_release(mem, c->logs);
    mem_release(mem, c->tables);
    execorder_release(&c->order);
}

void cluster_run(const struct trial_options *o, struct trial_result *r, struct buf *tail)
{
    struct cluster *c = mem_alloc(simmem(), sizeof *c);
    cluster_init(c, o, r);
    c->director = world_task(&c->world, "director", &c->tasks, director_run, c);
    (void)world_run(&c->world); /* its failure is in the result */
    if (!c->world.failure.set) {
        judge_history(c);
    }
    trial_account(&c->world, r);
    if (tail != NULL && !r->ok) {
        trial_tail(&c->world, tail);
    }
    if (o->history != NULL) {
        enum status st = lin_jsonl_write(&c->load.history, o->history);
        CK(st == ST_OK);
    }
    cluster_release(c);
    mem_release(simmem(), c);
}
