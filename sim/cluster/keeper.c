/* keeper.c - the operator's init system: starts the node, and again whenever it went down. */
#include "sim/cluster/cluster_int.h"

#include "node/node.h"

#define NS_PER_MS 1000000u

void keeper_start_node(struct cluster *c)
{
    nodeargs_init(&c->args, CLUSTER_DIR, "10.0.0.1:6379");
    nodeargs_plan(&c->args, c->plan);
    c->errors_at_start = trial_excuses(&c->world);
    c->node = proc_start(c->node_host, "node", node_main, c->args.argc, c->args.argv, c);
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
