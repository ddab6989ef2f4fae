/* workload.h - the clients of a run and what they saw: shared by the world of one node and the
 * world of groups.
 *
 * A client is real client code over simulated TCP; the plan's operations are divided among them.
 * What came of each goes into the history: a reply is definite, a request of which no byte left
 * never happened, everything else is unknown for ever.
 *
 * Ownership: what the first block names is borrowed. Memory comes from the world's. */
#ifndef SIM_CLUSTER_WORKLOAD_H
#define SIM_CLUSTER_WORKLOAD_H

#include "sim/lin/lin.h"
#include "sim/nemesis.h"
#include "sim/proc.h"
#include "sim/trial.h"

#define WORKLOAD_PORT 6379

/* A request of a client. */
struct history_try {
    uint64_t conn;
    uint64_t number;
};

/* Which request an operation of the history was: the last one, if it was sent again and again. */
struct history_ref {
    uint64_t conn;
    uint64_t number;
    size_t before; /* in `tries`: those before it, */
    size_t before_count;
    bool answered; /* its outcome is known, */
    bool refused;  /* namely that it does not happen */
};

struct workload;

struct client {
    struct workload *load;
    struct host *host;
    uint32_t number; /* from 1 */
    uint64_t first;  /* ordinals of its operations: first, first + stride, … below ops */
    uint64_t stride;
    bool verifier;
    unsigned only;  /* this node is asked, from 1; 0: any */
    unsigned wrote; /* by a verifier */
    bool done;
    bool failed; /* the verifier could not finish */
};

struct workload {
    struct world *world;
    const struct plan *plan;
    struct trial_result *result;
    struct nemesis *nemesis;  /* hears of each operation */
    struct task *const *wake; /* whoever waits for clients */
    unsigned nodes;           /* they listen at 10.0.0.1, 10.0.0.2, … */
    uint64_t asked;           /* those of a group that clients go to: bits, from 0 */
    bool each;                /* a verifier writes through each of them; else through any */
    bool sessions; /* single writes are sent in sessions, until it is known what came of them */
    uint64_t patience_ns; /* a verifier is answered by then; 0: within some tries */
    uint64_t answer_ms;   /* it waits for one answer; 0: long */
    /* its own */
    struct client *clients;
    size_t client_count;
    size_t running;
    uint64_t started;   /* operations */
    int64_t client_ids; /* for histories: a client whose operation ended unknown gets a new one */
    struct lin_history history;
    struct history_ref *refs; /* one an operation of the history */
    size_t ref_cap;
    struct buf tries; /* of struct history_try */
};

/* The fields of the first block are set; clients: how many there will be, at most. */
void workload_init(struct workload *l, size_t clients);
void workload_release(struct workload *l);

/* Starts the i-th client on a host of its own; a verifier reads every key instead. */
void workload_start(struct workload *l, size_t i, bool verifier);
/* The verifier that was started as the i-th client got all its answers. */
bool workload_verified(const struct workload *l, size_t i);

/* Replays the history by the places in its meta: LIN_LINEARIZABLE is a proof. What does not fit
 * goes to the result's order_why. */
bool workload_order_explains(struct workload *l);
/* Searches for an order; fails the run when there is none. */
void workload_search(struct workload *l);

int workload_main(struct env *env, int argc, char **argv);

#endif
