/* groupworld_int.h - the struct of a run, shared by the files of this folder. */
#ifndef SIM_GROUP_GROUPWORLD_INT_H
#define SIM_GROUP_GROUPWORLD_INT_H

#include "sim/cluster/nodeargs.h"
#include "sim/cluster/raftwatch.h"
#include "sim/cluster/workload.h"
#include "sim/group/grouporder.h"
#include "sim/group/groupworld.h"
#include "sim/netnemesis.h"

#define GROUP_MAX       9 /* nodes, with those that may join */
#define GROUP_OPERATORS 2
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
    bool wipe;                /* the keeper is to start it with an empty disk, as one that joins */
    bool joins;               /* it is one that joined, or waits for it */
    bool was_member;          /* since it had an empty disk, perhaps */
    bool up;                  /* its core has started */
    uint64_t errors_at_start; /* faults that excuse a failing start, counted before it */
    uint64_t damage_at_start; /* calls that damage had spoilt by then */
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

/* Somebody who changes the group while it runs. */
struct groupoperator {
    struct groupworld *world;
    struct host *host;
    bool members; /* it changes who is a member; else who leads */
    bool over;
};

/* A change that was asked for, and nobody said what came of it. */
struct grouppending {
    uint32_t proc;  /* the process that may still have the request; 0: none has */
    unsigned asked; /* its node */
    unsigned node;  /* whom it is about, */
    bool votes;     /* who is to be a voter; else to be none */
};

struct groupworld {
    struct world world;
    const struct trial_options *options;
    const struct plan *plan;
    struct trial_result *result;
    struct list tasks; /* the testbed's own */
    struct task *director;
    unsigned nodes;       /* with those that may join */
    unsigned founders;    /* the first of them */
    uint64_t election_ns; /* the most a node waits before it stands */
    uint64_t live_ns;     /* within so much a healthy group has to get on */
    bool stuck;           /* it cannot, and may not be blamed for it */
    struct groupnode node[GROUP_MAX];
    struct host *hosts[GROUP_MAX + GROUP_CLIENTS]; /* the nodes, then the clients */
    struct groupoperator operators[GROUP_OPERATORS];
    struct grouppending pending;
    uint64_t victims;          /* whose media may be damaged: fewer than half */
    struct raft_config config; /* the last one that is known to be committed */
    uint64_t config_index;
    struct proc *procs[GROUP_MAX]; /* NULL: down */
    bool stopping[GROUP_MAX];      /* somebody asked it to end */
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
/* An empty disk, and the command line of one that waits to be added. */
void groupnode_wipe(struct groupworld *g, unsigned i);
/* Opens the database of a node that is down and sums it up in its `found`. */
void groupnode_look(struct groupworld *g, unsigned i);

/* groupmembers.c: sets of nodes, bits from 0. */
void groupmembers_learn(struct groupworld *g, const struct raft *core);
uint64_t groupmembers_now(const struct groupworld *g);
uint64_t groupmembers_voters(const struct groupworld *g);
/* Of any configuration that may count. */
uint64_t groupmembers_perhaps(const struct groupworld *g);
/* The set has a quorum of each of them. */
bool groupmembers_quorum(const struct groupworld *g, uint64_t set);

/* groupchange.c: the operators of the plan. */
#define GROUPCHANGE_EVENTS 64u /* of each, at most */
void groupchange_start(struct groupworld *g);
bool groupchange_over(const struct groupworld *g);
/* No request of an operator is on its way any more: what is not in a log will not happen. */
void groupchange_settle(struct groupworld *g);

/* -1: nobody leads. Of several, the one of the latest term. */
int groupworld_leader(const struct groupworld *g);

/* Tells whoever waits for something. */
static inline void groupworld_news(struct groupworld *g)
{
    task_wake(g->director);
}

#endif
