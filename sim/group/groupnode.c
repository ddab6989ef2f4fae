/* groupnode.c - a node of the group: its command line, its keeper, and a look at what it leaves. */
#include "base/ck.h"
#include "base/hash.h"
#include "engine/tkv.h"
#include "node/node.h"
#include "sim/group/groupworld_int.h"

#include <stdio.h>

#define NS_PER_MS 1000000u

/* ---- the command line ---- */

/* The founders; one that joins calls everybody that there may be. */
static void add_peers(struct groupworld *g, struct groupnode *n)
{
    char text[NODEARGS_TEXT];
    size_t at = 0;
    for (unsigned i = 0; i < (n->joins ? g->nodes : g->founders); i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%u=10.0.0.%u:%u", i > 0 ? "," : "",
                               i + 1, i + 1, GROUP_PEER_PORT);
    }
    nodeargs_text(&n->args, "--peers");
    nodeargs_text(&n->args, text);
}

void groupnode_init(struct groupworld *g, unsigned i)
{
    struct groupnode *n = &g->node[i];
    const struct plan *p = g->plan;
    char listen[32];
    n->world = g;
    n->number = i;
    (void)snprintf(listen, sizeof listen, "10.0.0.%u:%u", i + 1, WORKLOAD_PORT);
    nodeargs_init(&n->args, GROUP_DIR, listen);
    nodeargs_number(&n->args, "--id", i + 1);
    if (g->founders > 1 || n->joins) {
        add_peers(g, n);
    } else if (g->nodes > 1) {
        nodeargs_text(&n->args, "--peer-listen");
        nodeargs_text(&n->args, "10.0.0.1:7000");
    }
    if (n->joins) {
        nodeargs_text(&n->args, "--join");
    }
    uint64_t election = plan_get(p, PLAN_GROUP_ELECTION_MS);
    uint64_t heartbeat = election / plan_get(p, PLAN_GROUP_HEARTBEATS);
    nodeargs_number(&n->args, "--election", election);
    nodeargs_number(&n->args, "--heartbeat", heartbeat > 0 ? heartbeat : 1);
    nodeargs_number(&n->args, "--log-segment", plan_get(p, PLAN_GROUP_SEGMENT));
    nodeargs_number(&n->args, "--log-compact", plan_get(p, PLAN_GROUP_COMPACT));
    nodeargs_number(&n->args, "--request-timeout", plan_get(p, PLAN_GROUP_REQUEST_MS));
    if (plan_get(p, PLAN_GROUP_TIGHT) == 1) {
        nodeargs_text(&n->args, "--tight");
    }
    nodeargs_plan(&n->args, p);
}

/* ---- keeping it up ---- */

void groupnode_start(struct groupworld *g, unsigned i)
{
    char name[12];
    struct groupnode *n = &g->node[i];
    (void)snprintf(name, sizeof name, "n%u", (i + 1) % 10);
    n->errors_at_start = trial_excuses(&g->world);
    n->damage_at_start = simdisk_damage_met(g->hosts[i]->disk);
    n->up = false;
    g->stopping[i] = false;
    g->procs[i] = proc_start(g->hosts[i], name, node_main, n->args.argc, n->args.argv, g);
    g->procs[i]->watched = true;
    g->procs[i]->faulty = true;
}

void groupnode_wipe(struct groupworld *g, unsigned i)
{
    struct groupnode *n = &g->node[i];
    struct simdisk *empty;
    enum status st = simdisk_wiped(g->hosts[i]->disk, &empty);
    CK(st == ST_OK);
    world_trace(&g->world, TRACE_FAULT, "an empty disk for node", i + 1);
    host_power_off_to(g->hosts[i], empty);
    raftwatch_wiped(&g->watch, i + 1);
    n->wipe = false;
    n->was_member = false;
    n->joins = true;
    groupnode_init(g, i);
}

void groupnode_keep(void *arg)
{
    struct groupnode *n = arg;
    struct groupworld *g = n->world;
    struct world *w = &g->world;
    struct host *h = g->hosts[n->number];
    struct chooser_stream s;
    chooser_stream_init(&s, &w->chooser, CHOOSE_NEMESIS, 1 + n->number);
    for (;;) {
        while (!n->wipe && (g->procs[n->number] != NULL || n->keep_down)) {
            (void)task_park(&w->sched, WAIT_SLEEP, n, ENV_NEVER); /* woken when it ends */
        }
        if (n->wipe) {
            groupnode_wipe(g, n->number);
        }
        uint64_t most = n->failed_starts > 5 ? 400u : 2 * plan_get(g->plan, PLAN_GROUP_ELECTION_MS);
        task_sleep_until(&w->sched, w->sched.now + choose(&s, most * NS_PER_MS));
        if (g->procs[n->number] != NULL || n->keep_down) {
            continue;
        }
        if (simdisk_dead(h->disk) && h->up) {
            /* Only a reboot brings such a device back. */
            host_power_off(h, simdisk_draw_strategy(&h->disk_crash));
        }
        if (!h->up) {
            host_power_on(h);
        }
        groupnode_start(g, n->number);
    }
}

/* ---- at rest ---- */

static enum tkv_status sum_up(struct env *env, struct groupview *v)
{
    struct tkv_options o;
    struct tkv_error error;
    struct tkv *db;
    struct tkv_iter *it;
    tkv_options_init(&o);
    o.env = env;
    o.log = false; /* the log of the group is its own */
    enum tkv_status st = tkv_open(&o, GROUP_DIR "/db", &db, &error);
    if (st != TKV_OK) {
        return st;
    }
    st = tkv_iter_new(db, NULL, &it);
    if (st == TKV_OK) {
        for (tkv_iter_first(it); tkv_iter_valid(it); tkv_iter_next(it)) {
            size_t k, n;
            const void *key = tkv_iter_key(it, &k);
            const void *value = tkv_iter_value(it, &n);
            uint64_t h = hash_bytes(hash_bytes(1, key, k), value, n);
            v->a += h;
            v->b += hash_mix(h);
            v->entries++;
        }
        st = tkv_iter_status(it);
        tkv_iter_free(it);
    }
    enum tkv_status closed = tkv_close(db);
    return st != TKV_OK ? st : closed;
}

static int look_main(struct env *env, int argc, char **argv)
{
    struct groupnode *n = proc_of(env)->user;
    (void)argc;
    (void)argv;
    n->found.opened = sum_up(env, &n->found) == TKV_OK;
    groupworld_news(n->world);
    return 0;
}

void groupnode_look(struct groupworld *g, unsigned i)
{
    g->node[i].found = (struct groupview){.opened = false};
    g->procs[i] = proc_start(g->hosts[i], "look", look_main, 0, NULL, &g->node[i]);
}
