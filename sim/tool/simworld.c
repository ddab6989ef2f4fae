/* simworld.c - the worlds that tinykv-sim knows. */
#include "sim/cluster/cluster.h"
#include "sim/store/store.h"
#include "sim/tool/simtool.h"

void simworld_draw(struct plan *p)
{
    plan_draw(p);
    if (p->world == PLAN_WORLD_STORE) {
        store_draw(p);
    }
}

void simworld_run(const struct trial_options *o, struct trial_result *r, struct buf *tail)
{
    if (o->plan->world == PLAN_WORLD_STORE) {
        store_run(o, r, tail);
    } else {
        cluster_run(o, r, tail);
    }
}
