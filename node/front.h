/* front.h - between the jobs of connections and the replica: what a replicated node has in the
 * place of executing jobs itself.
 *
 * Runs on the reactor's thread. Every job is looked at once, in its connection's order: what
 * concerns the connection alone (MULTI, HELLO, PING …) is answered there and then; what concerns
 * the database is routed. From the routed jobs of a connection a *run* is taken and handed to the
 * replica: either reads only, which share a question to the leader and are executed on this
 * node's state (without the question, when the connection or the request allows that), or, when a
 * write is among them, all of them by way of the log, in one envelope. The next run begins when
 * this one has landed. So a connection's requests happen in its order though envelopes may overtake
 * each other, and a pipeline costs as many round trips as it turns from reading to writing and
 * back, not one a request.
 *
 * Invariants (tests/node/test_front.c; under simulation tests/node/test_member.c, sim/group)
 *   I1  replies of one connection are handed back in the order of its requests
 *   I2  a job is handed back once; OK to a write: it is committed and applied, a reply is that of
 *       its only execution; TRYAGAIN: it did not and will not happen; UNKNOWN: it may
 *   I3  requests of a connection are executed in its order, in the log as on this node
 *   I4  what is in one transaction is one request, so it happens whole
 *
 * Failure: refused memory answers the job concerned, "nothing was changed".
 * Threads: the reactor's, but for what the replica calls (see front.c). */
#ifndef NODE_FRONT_H
#define NODE_FRONT_H

#include "base/list.h"
#include "env/env.h"
#include "node/job.h"

struct core;
struct front;
struct replica;

NODISCARD enum status front_new(struct core *core, struct replica *replica, struct front **front);

/* Nothing may be under way. NULL is harmless. */
void front_free(struct front *f);

/* Takes jobs in, and what landed; appends answered jobs to `done`. Ended sessions are freed. */
void front_turn(struct front *f, struct list *jobs, struct list *landed, struct list *done);

/* Requests that the replica has. */
uint64_t front_flying(const struct front *f);

/* From now on nothing more is handed to the replica: TRYAGAIN. What it has comes back at once. */
void front_end(struct front *f);

#endif
