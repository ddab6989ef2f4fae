/* grouporder.h - the order in which the group executed requests, matched to what clients sent.
 *
 * A client knows its request by the connection and its number on it. The node that took it names
 * the same pair, then the envelope that it went into; whoever executes that envelope first gives
 * its requests their places: index of the entry, position in it. A request that only reads has the
 * place behind the entry whose state it saw. So each operation has its place in one order, also
 * those whose reply was lost; what has none never happened. The history replayed in this order is
 * proven linearizable in one pass.
 *
 * Failure: none; memory is the simulator's. Determinism: a function of what it is told. */
#ifndef SIM_GROUP_GROUPORDER_H
#define SIM_GROUP_GROUPORDER_H

#include "base/mem.h"
#include "node/envelope.h"

/* Pairs by pairs. */
struct groupmap_cell {
    uint64_t key[2];
    uint64_t value[2];
    bool used;
};

struct groupmap {
    struct mem *mem;
    struct groupmap_cell *cells; /* open addressing */
    size_t count, cap;
};

struct grouporder {
    struct groupmap conns;   /* (node, session) -> connection, of its present life */
    struct groupmap flights; /* (node, request) -> (connection, number) */
    struct groupmap packed;  /* (envelope, position) -> (connection, number) */
    struct groupmap places;  /* (connection, number) -> place */
    struct groupmap floors;  /* session of requests that are executed once -> its least number */
    struct envelope_reader reader;
};

void grouporder_init(struct grouporder *o, struct mem *mem);
void grouporder_release(struct grouporder *o);

/* The nodes' words. */
void grouporder_session(struct grouporder *o, uint64_t node, uint64_t session, uint64_t conn);
void grouporder_submitted(struct grouporder *o, uint64_t node, const void *request,
                          uint64_t session, uint64_t number);
void grouporder_packed(struct grouporder *o, uint64_t node, uint64_t life, uint64_t ordinal,
                       const void *const *requests, size_t count);
void grouporder_looked(struct grouporder *o, uint64_t node, uint64_t session, uint64_t number,
                       uint64_t index);
/* Somebody is the first to execute the entry. False: a request of it was executed before, and is in
 * no session, where a repetition has no effect. */
bool grouporder_executed(struct grouporder *o, uint64_t index, struct slice envelope);

/* The place of a request; 0: it was never executed. */
uint64_t grouporder_place(const struct grouporder *o, uint64_t conn, uint64_t number);

#endif
