/* keeper.c - the operator's init system: starts the node, and again whenever it went down. */
#include "sim/cluster/cluster_int.h"

#include "node/node.h"

#include <stdio.h>

#define NS_PER_MS 1000000u

static void add_text(struct cluster *c, const char *text)
{
    char *own = c->node_text[c->node_argc];
    (void)snprintf(own, sizeof c->node_text[0], "%s", text);
    c->node_argv[c->node_argc++] = own;
}

static void add_number(struct cluster *c, const char *name, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    add_text(c, name);
    add_text(c, text);
}

static void make_args(struct cluster *c)
{
    const struct plan *p = c->plan;
    c->node_argc = 0;
    add_text(c, "tinykv");
    add_text(c, "serve");
    add_text(c, "--data");
    add_text(c, CLUSTER_DIR);
    add_text(c, "--listen");
    add_text(c, "10.0.0.1:6379");
    add_number(c, "--write-buffer", plan_get(p, PLAN_WRITE_BUFFER));
    add_number(c, "--output-limit", plan_get(p, PLAN_OUTPUT_LIMIT));
    add_number(c, "--idle-timeout", plan_get(p, PLAN_IDLE_MS));
    add_number(c, "--max-clients", plan_get(p, PLAN_MAX_CLIENTS));
    add_number(c, "--inflight", plan_get(p, PLAN_INFLIGHT));
    add_number(c, "--cursors", plan_get(p, PLAN_CURSORS));
    add_text(c, "--verify");
}

void keeper_start_node(struct cluster *c)
{
    make_args(c);
    c->errors_at_start = trial_excuses(&c->world);
    c->node = proc_start(c->node_host, "node", node_main, c->node_argc, c->node_argv, c);
    c->node->watched = true;
    c->node->faulty = true;
}

void keeper_run(void *arg)
{
    struct cluster *c = arg;
    struct world *w = &c->world;
    struct chooser_stream s;
    chooser_stream_init(&s, &w->chooser, CHOOSE_NEMESIS, 1);
    for (;;) {
        while (c->node != NULL || c->keep_down) {
            (void)task_park(&w->sched, WAIT_SLEEP, c, ENV_NEVER); /* woken when it ends */
        }
        uint64_t most = c->failed_starts > 5 ? 400u : 40u;
        task_sleep_until(&w->sched, w->sched.now + choose(&s, most * NS_PER_MS));
        if (c->node == NULL && !c->keep_down) {
            if (simdisk_dead(c->node_host->disk) && c->node_host->up) {
                /* Only a reboot brings such a device back. */
                host_power_off(c->node_host, simdisk_draw_strategy(&c->node_host->disk_crash));
                c->power_lost = true;
            }
            if (!c->node_host->up) {
                host_power_on(c->node_host);
            }
            keeper_start_node(c);
        }
    }
}
