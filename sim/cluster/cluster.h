/* cluster.h - one whole simulated run of TinyKV: a node, its clients, a nemesis, and every check.
 *
 * Phases: the node boots (no faults) · chaos (the plan's faults, the clients' operations) · heal
 * (faults off, room on the disk, the node up) · verify (every key is read) · an orderly stop, after
 * which nothing may be left · a last power loss, after which everything promised must be there ·
 * the history is judged.
 *
 * A run is a function of its plan (and tape): cluster_run gives the same result and trace hash
 * every time. */
#ifndef SIM_CLUSTER_CLUSTER_H
#define SIM_CLUSTER_CLUSTER_H

#include "sim/cluster/contract.h"
#include "sim/lin/lin.h"
#include "sim/world.h"

#define CLUSTER_PORT 6379

struct cluster_options {
    const struct plan *plan; /* borrowed */
    struct fiber_pool *pool;
    size_t trace_keep;
    trace_watch_fn *watch; /* sees every event; NULL: nobody */
    void *watch_arg;
    const void *tape; /* answers the choices; NULL: the seed does */
    size_t tape_size;
    struct buf *record;  /* gets the tape of this run; NULL: not wanted */
    struct buf *history; /* gets the clients' history as JSON lines; NULL: not wanted */
    uint8_t *probes;     /* one byte a probe site, set when reached; NULL: not wanted */
};

struct cluster_result {
    bool ok;
    bool unknown; /* the history's verdict was "unknown" */
    bool
        searched; /* the order of execution did not explain the history: a search did, or did not */
    char order_why[256]; /* the first operation that it did not explain, and why */
    struct world_failure failure;
    uint64_t trace_hash;
    uint64_t events;
    uint64_t steps;
    uint64_t virtual_ns;
    uint64_t operations;     /* of clients, begun */
    uint64_t replies;        /* with a definite outcome */
    uint64_t crashes;        /* real ones: kills, powers, deaths */
    uint64_t shadow_crashes; /* recoveries that scanned everything */
    uint64_t shadow_nested;  /* of these, inside a recovery */
    uint64_t allocations;    /* of the first node process */
    uint64_t injected[PLAN_KNOBS];
    uint64_t choices;
};

/* Runs it. The lines of the ring go to `tail` when it failed (NULL: not wanted). */
void cluster_run(const struct cluster_options *o, struct cluster_result *r, struct buf *tail);

/* The probe sites that this program was linked with. */
size_t cluster_probe_count(void);
const char *cluster_probe_name(size_t i);

#endif
