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
#include "sim/trial.h"

/* Runs it. The lines of the ring go to `tail` when it failed (NULL: not wanted). */
void cluster_run(const struct trial_options *o, struct trial_result *r, struct buf *tail);

#endif
