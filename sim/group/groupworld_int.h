/* groupworld_int.h - the struct of a run, shared by the files of this folder. */
#ifndef SIM_GROUP_GROUPWORLD_INT_H
#define SIM_GROUP_GROUPWORLD_INT_H

#include "sim/cluster/nodeargs.h"
#include "sim/cluster/raftwatch.h"
#include "sim/cluster/workload.h"
#include "sim/group/grouporder.h"
#include "sim/group/groupworld.h"
#include "sim/netnemesis.h"

#define GROUP_MAX       7
#define GROUP_PEER_PORT 7000
#define GROUP_DIR       "data"
#define GROUP_CLIENTS   8 /* at most, with those that verify */

/* What a look at a database at rest found. */
struct groupview {
    bool opened;
    uint64_t entries;
    uint64_t a, b; /* sum of the hashes of its entries */
};

struct groupnode {
    struct groupworld *world;
    unsigned number;          /* from 0 */
    bool keep_down;           /* the keeper must not restart it */
    bool up;                  /* its core has started */
    uint64_t errors_at_start; /* faults that excuse a failing start, counted before it */
    unsigned failed_starts;   /* in a row */
    struct task *keeper;
    struct nodeargs args;
    struct raft_view view; /* after its last step */
    struct groupview found;
};

/* The state after an entry, by whoever executed it first. */
struct groupmark {
    uint64_t term; /* 0: not known yet */
    uint64_t digest;
};

struct groupworld {
    struct world world;
    const struct trial_options *options;
    const struct plan *plan;
    struct trial_result *result;
    struct list tasks; /* the testbed's own */
    struct task *director;
    unsigned nodes;
    uint64_t election_ns; /* the most a node waits before it stands */
    uint64_t live_ns;     /* within so much a healthy group has to get on */
    bool stuck;           /* it cannot, and may not be blamed for it */
    struct groupnode node[GROUP_MAX];
    struct host *hosts[GROUP_MAX + GROUP_CLIENTS]; /* the nodes, then the clients */
    struct proc *procs[GROUP_MAX];                 /* NULL: down */
    bool stopping[GROUP_MAX];                      /* somebody asked it to end */
    struct nemesis nemesis;
    struct netnemesis net;
    struct chooser_stream draw;
    struct workload load;
    struct raftwatch watch;
    struct grouporder order;
    struct groupmark *marks; /* by index */
    size_t mark_count;
    struct buf ids; /* of the entries of a step */
};

/* groupwatch.c: what the nodes say, and what must hold then. */
extern const struct world_hooks groupwatch_hooks;

/* groupnode.c: starts a node, and again whenever it went down. */
void groupnode_init(struct groupworld *g, unsigned i);
void groupnode_start(struct groupworld *g, unsigned i);
void groupnode_keep(void *arg);
/* Opens the database of a node that is down and sums it up in its `found`. */
void groupnode_look(struct groupworld *g, unsigned i);

/* Tells whoever waits for something. */
static inline void groupworld_news(struct groupworld *g)
{
    task_wake(g->director);
}

#endif
