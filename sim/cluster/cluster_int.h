/* cluster_int.h - the struct of a run, shared by the files of this folder. */
#ifndef SIM_CLUSTER_CLUSTER_INT_H
#define SIM_CLUSTER_CLUSTER_INT_H

#include "sim/cluster/cluster.h"
#include "sim/cluster/execorder.h"
#include "sim/cluster/nodeargs.h"
#include "sim/cluster/workload.h"
#include "sim/nemesis.h"
#include "sim/proc.h"
#include "sim/shadowing.h"

/* Where a log stood when the engine last spoke of it. */
struct table_mark {
    uint64_t number;
    uint64_t size;
};

struct log_mark {
    uint64_t number;
    uint64_t end;      /* bytes */
    uint64_t sequence; /* of its last record */
};

struct cluster {
    struct world world;
    const struct trial_options *options;
    const struct plan *plan;
    struct trial_result *result;
    struct list tasks; /* the testbed's own */
    /* the node */
    struct host *node_host;
    struct proc *node;        /* the present incarnation; NULL while it is down */
    bool serving;             /* it said so */
    bool stopping;            /* the director asked it to end */
    bool keep_down;           /* the keeper must not restart it */
    bool power_lost;          /* since the last recovery that served */
    uint64_t errors_at_start; /* faults that excuse a failing start, counted before it */
    uint64_t sync_errors;     /* failed syncs when the state was last decided */
    unsigned failed_starts;
    struct nodeargs args;
    struct task *keeper;
    struct task *director;
    struct nemesis nemesis;
    /* clients */
    struct workload load; /* of plan CLIENTS + 1: the last one verifies */
    struct execorder order;
    /* contracts */
    bool judging; /* false with shadow_max = 0: nobody would decide what a crash left */
    struct contract contract;
    struct log_mark *logs;
    size_t log_count;
    size_t log_cap;
    struct table_mark *tables; /* that the manifest names */
    size_t table_count, table_cap;
    uint64_t manifest_number, manifest_size;
    uint64_t flushed; /* sequence up to which those tables hold everything */
    /* shadows */
    struct shadowing shadows;
};

/* observe.c: the hooks of the node's world. */
extern const struct world_hooks cluster_hooks;

/* keeper.c: starts the node, and again whenever it went down. */
void keeper_run(void *arg);
void keeper_start_node(struct cluster *c);

/* shadow.c */
/* What `struct shadowing` asks for. */
int shadow_main(struct env *env, int argc, char **argv);
void shadow_judge(struct shadowed *base);
void shadow_crash(struct shadowing *run, struct shadowed *outer, const struct simdisk *d,
                  enum simdisk_strategy strategy, unsigned depth, const char *what);
/* A disk operation of the node: maybe a shadow crash here. */
void shadow_point(struct cluster *c, enum disk_op op);
/* A promise leaves: maybe a shadow that drops everything unsynced. */
void shadow_ack(struct cluster *c);
/* The node serves after a recovery: two shadows decide what it recovered. */
void shadow_decide(struct cluster *c);
/* After the end: everything that was promised is on the disk. */
void shadow_post_mortem(struct cluster *c);

#define CLUSTER_DIR "data"

#endif
