/* simworld.c - the worlds that tinykv-sim knows. */
#include "sim/cluster/cluster.h"
#include "sim/group/groupworld.h"
#include "sim/store/store.h"
#include "sim/tool/simtool.h"

#include <string.h>

void simworld_draw(struct plan *p)
{
    plan_draw(p);
    if (p->world == PLAN_WORLD_STORE) {
        store_draw(p);
    } else if (p->world == PLAN_WORLD_CLUSTER) {
        groupworld_draw(p);
    }
}

/* The parts of a node that only a member of a group has, and those that such a one does not use;
 * then what no client of these worlds asks for. Their probes are named after them. */
static const char *const of_groups[] = {
    "ferry:",   "front:",  "member:",   "peerbox:",  "peers:",
    "replica:", "roster:", "snaprecv:", "snapsend:", "statemachine:"};
static const char *const of_single_nodes[] = {"core:", "exec:"};
static const char *const of_nobody[] = {"command: its time was over",
                                        "server: no memory for a response"};

/* What cannot happen in the world of groups: only the disks of nodes that have left are wiped; no
 * host is suspended; all nodes are this program, and what is flipped on the way does not pass a
 * CRC. tests/node/test_member.c, test_slept.c and tests/raft/test_raft.c have them. */
static const char *const of_no_group[] = {"member: a wiped node is refused",
                                          "replica: the machine has slept",
                                          "replica: a message that no peer sends"};

static bool is_among(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strncmp(name, list[i], strlen(list[i])) == 0) {
            return true;
        }
    }
    return false;
}

#define IS_AMONG(name, list) is_among(name, list, sizeof(list) / sizeof *(list))

bool simworld_probe(size_t i, enum plan_world world)
{
    const char *name = trial_probe_name(i);
    if (trial_probe_engine(i) || world == PLAN_WORLD_STORE) {
        return trial_probe_engine(i) &&
               world == PLAN_WORLD_STORE; /* that world has all of its calls */
    }
    bool group = IS_AMONG(name, of_groups);
    bool single = IS_AMONG(name, of_single_nodes) || IS_AMONG(name, of_no_group);
    return !(world == PLAN_WORLD_CLUSTER ? single : group) && !IS_AMONG(name, of_nobody);
}

void simworld_run(const struct trial_options *o, struct trial_result *r, struct buf *tail)
{
    if (o->plan->world == PLAN_WORLD_STORE) {
        store_run(o, r, tail);
    } else if (o->plan->world == PLAN_WORLD_CLUSTER) {
        groupworld_run(o, r, tail);
    } else {
        cluster_run(o, r, tail);
    }
}
