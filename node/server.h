/* server.h - the reactor: accepts connections, turns bytes into jobs for the core, sends replies.
 *
 * One thread, one poller. A connection is read only while there is room for what it asks: its
 * requests in flight and its unsent replies are bounded, so that a client that does not read stops
 * being read (back-pressure), and one that goes beyond the hard limit is closed.
 *
 * Invariants (tests/node, tests/interop, and every simulated run)
 *   I1  a reply goes to the connection that asked, or to nobody: jobs and events carry tokens
 *   I2  every complete request received before the peer ended, or before stop, is answered,
 *       unless its connection fails or the stop's grace is over
 *   I3  a connection that is not armed waits for a job or for a timer
 *
 * Failure: an accept that finds no descriptor left pauses accepting; a refused allocation closes
 * the connection concerned. server_run fails only when it cannot begin. */
#ifndef NODE_SERVER_H
#define NODE_SERVER_H

#include "base/err.h"
#include "node/core.h"

/* Listens, says so on the console, serves until stop is requested, and ends every connection. The
 * core is started and stopped by it. */
NODISCARD enum status server_run(struct env *env, struct core *core, struct nodeopt *opt,
                                 struct err *err);

#endif
