/* cmdtxn.h - MULTI, EXEC, DISCARD. Handlers, see command.h.
 *
 * EXEC runs its requests one after the other inside one group: nothing is committed between
 * them and nothing else runs. As in Redis a request that is refused while it is queued spoils the
 * transaction, one that fails when it runs (INCR on text) only gets its error. Unlike Redis, when
 * the world fails (memory, disk) the whole transaction is undone. */
#ifndef NODE_CMDTXN_H
#define NODE_CMDTXN_H

#include "node/command.h"

enum status cmdtxn_multi(struct call *c);
enum status cmdtxn_exec(struct call *c);
enum status cmdtxn_discard(struct call *c);

/* Puts the call's request aside and answers QUEUED. */
enum status cmdtxn_queue(struct call *c);

/* Leaves MULTI, dropping what was queued. */
void cmdtxn_forget(struct core *core, struct session *s);

#endif
