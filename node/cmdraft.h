/* cmdraft.h - RAFT: looking at a group, and changing it. A handler, see command.h and
 * node/replica.h. docs/commands.md describes each.
 *
 * In the log there is RAFT ADDRESS node address: where others reach that node, a row of the state
 * machine. */
#ifndef NODE_CMDRAFT_H
#define NODE_CMDRAFT_H

#include "node/command.h"

#define CMDRAFT_ADDRESS_KIND 'm' /* rows: key kind node id, value the address as text */

/* As the log has it. */
enum status cmdraft_raft(struct call *c);

/* From a connection: answered here, or on its way to the log or the leader's core. */
enum status cmdraft_route(struct call *c);

/* The word for one of enum raft_state. */
const char *cmdraft_state(unsigned state);

/* What became of a change. */
void cmdraft_changed(struct buf *out, int protocol, const struct replica_change *x,
                     enum replica_outcome outcome);

#endif
