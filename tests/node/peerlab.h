/* peerlab.h - a few nodes that talk through node/peers.h in a simulated world, and keep account.
 *
 * Each message carries its sender's life and a count, and its entries follow from these, so that a
 * receiver knows what it should have got: whole, and in ascending order within a life. */
#ifndef TESTS_NODE_PEERLAB_H
#define TESTS_NODE_PEERLAB_H

#include "node/peerbox.h"
#include "node/peers.h"
#include "sim/simlink.h"
#include "sim/simnet_int.h"
#include "tests/node/peertest.h"
#include "tests/sim/simtest.h"
#include "tests/test_env.h"

#define PEERLAB_NODES 3
#define PEERLAB_PORT  7000
#define PEERLAB_LARGE 300000u
#define PEERLAB_MS    1000000ull

struct peerlab;

struct peerlab_node {
    struct peerlab *lab;
    struct host *host;
    struct proc *proc; /* NULL: not running */
    uint64_t id;
    /* what it does */
    unsigned peers;   /* bits of the nodes that it is told of */
    uint64_t cluster; /* 0: that of all */
    uint64_t gap_ms;  /* between two turns */
    unsigned burst;   /* messages a turn to each */
    size_t large;     /* bytes of one more entry in each fifth message; 0: none */
    uint64_t slow_ms; /* it takes what came so seldom; 0: each turn */
    uint64_t end_ms;  /* of virtual time */
    long fail_at;     /* this allocation is refused; -1: none */
    struct peers_options options;
    /* what it saw */
    uint64_t life;
    struct peers *p; /* while it runs */
    struct peerbox box;
    uint64_t sent[PEERLAB_NODES + 1]; /* queued, this life */
    uint64_t said[PEERLAB_NODES + 1]; /* tried, this life */
    uint64_t dropped[PEERLAB_NODES + 1];
    uint64_t told[PEERLAB_NODES + 1];     /* `lost`, ever */
    uint64_t heard[PEERLAB_NODES + 1];    /* ever */
    uint64_t heard_at[PEERLAB_NODES + 1]; /* virtual ns */
    uint64_t newest[PEERLAB_NODES + 1];   /* count of the last one heard */
    uint64_t life_of[PEERLAB_NODES + 1];  /* of whom */
    uint64_t lives[PEERLAB_NODES + 1];    /* changes of that */
    uint64_t gaps[PEERLAB_NODES + 1];     /* in the counts of one life */
    uint64_t wrong;                       /* messages that are not as they were sent */
    uint64_t disorder;                    /* or came twice, or late */
    uint64_t busy;                        /* deliveries refused */
    uint64_t heap_most;
    uint64_t allocs;
    long live; /* blocks at the end of a run under inject */
    bool opened;
    struct peers_stats stats[PEERLAB_NODES + 1];
    size_t stats_count;
    struct peers_totals totals;
    char leaks[256];
    char scratch[PEERLAB_LARGE + PEERTEST_ENTRIES * 200];
};

struct peerlab {
    struct simtest t;
    struct peerlab_node nodes[PEERLAB_NODES + 1]; /* by id, from 1 */
    struct list tasks;
    void (*steer)(struct peerlab *lab);
    unsigned count;
};

/* Every node knows every other and says one message in 10 ms, until end_ms; the plan is free of
 * faults. Change what is to be different before peerlab_run. */
void peerlab_open(struct peerlab *lab, uint64_t seed, unsigned count, uint64_t end_ms);
/* Builds the world, starts all nodes and runs to the end; false: the world failed. */
bool peerlab_run(struct peerlab *lab);
void peerlab_close(struct peerlab *lab);

/* For steer: wait until this virtual time; start a node again. */
void peerlab_at(struct peerlab *lab, uint64_t ms);
void peerlab_start(struct peerlab_node *n);
struct env_addr peerlab_address(const struct peerlab_node *n);
/* Cuts (a to b, b to a). */
void peerlab_cut(struct peerlab *lab, unsigned a, unsigned b, bool there, bool back);

#endif
