/* fakereplica.h - a replica for tests of what stands before it: requests wait until the test says
 * what becomes of them; those that are done are executed on a view that keeps everything.
 *
 * It stands in for node/replica at link time. */
#ifndef TESTS_NODE_FAKEREPLICA_H
#define TESTS_NODE_FAKEREPLICA_H

#include "node/replica.h"

struct replica {
    struct list requests; /* submitted, in order */
    uint32_t submits;
    bool abandoned;
    bool leads;
    bool exchanging; /* its database */
    uint64_t index;  /* of the last write that was executed */
    enum status failed;
    uint32_t lost;          /* executed, but for want of memory not kept */
    struct statemachine sm; /* its view alone is in use */
};

void fakereplica_init(struct replica *r, struct env *env, struct tkv *db);
void fakereplica_release(struct replica *r);

/* Ends the first `count` requests in this way. Returns how many there were. */
uint32_t fakereplica_end(struct replica *r, uint32_t count, enum replica_outcome outcome);

#endif
