/* netnemesis.h - what happens to the network of a group at drawn moments: partitions of every kind,
 * at most two at a time, and episodes of single faults.
 *
 * How many of each is the plan's (partitions, part_*, net_clogs, ...). Event i is a task with a
 * stream of choices of its own, so that a plan may leave others out (plan.events: ordinals from
 * first_ordinal on). It begins at a moment drawn from the first span_ns; a partition waits while
 * two are alive. Each event stands in the trace, and is counted by its knob.
 *
 * The end of a run goes: netnemesis_stop (nothing begins or ends any more; what is cut stays cut),
 * perhaps netnemesis_core (these hosts see each other), then netnemesis_heal. */
#ifndef SIM_NETNEMESIS_H
#define SIM_NETNEMESIS_H

#include "base/buf.h"
#include "sim/netsplit.h"
#include "sim/proc.h"

struct netnemesis_event;

struct netnemesis {
    struct world *world;
    struct host *const *hosts; /* the nodes, then the clients; borrowed */
    unsigned nodes;
    unsigned clients;
    uint64_t election_ns;
    uint64_t span_ns;
    uint16_t peer_port; /* of connections between nodes */
    uint64_t first_ordinal;
    int (*leader)(void *arg);                          /* -1: none is known; may be NULL */
    struct proc *(*process)(void *arg, unsigned node); /* NULL while it is down; may be NULL */
    void *arg;
    /* its own */
    struct list tasks;
    struct netnemesis_event *events;
    size_t count;
    unsigned alive; /* partitions */
    unsigned busy;  /* events that are not over */
};

/* The fields above `tasks` are set. */
void netnemesis_start(struct netnemesis *n);
void netnemesis_stop(struct netnemesis *n);
/* These hosts, of its own, see each other well from now on; the rest stays as it is. */
void netnemesis_core(struct netnemesis *n, struct host *const *hosts, size_t count);
/* All links are well, and no limit is left. Stops it, too. */
void netnemesis_heal(struct netnemesis *n);
void netnemesis_release(struct netnemesis *n);

/* How many ordinals its events take. */
uint64_t netnemesis_events(const struct plan *p);

/* Each event that has begun as a line of JSON, in the form that a history's lanes take: event, at,
 * until, node, text (docs/checking-histories.md). */
NODISCARD enum status netnemesis_lanes(const struct netnemesis *n, struct buf *out);

#endif
