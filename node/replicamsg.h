/* replicamsg.h - a message of consensus with the payloads of its entries, in one block: for those
 * that wait for a write before they may leave.
 *
 * Failure: ST_NOMEM. */
#ifndef NODE_REPLICAMSG_H
#define NODE_REPLICAMSG_H

#include "base/list.h"
#include "base/mem.h"
#include "base/status.h"
#include "raft/raftmsg.h"

struct replicamsg {
    struct list link;
    uint64_t after; /* held until this write is durable */
    struct raft_msg m;
    struct raft_entry *entries; /* m.count of them; NULL: it has none */
    struct raft_config config;  /* m.config points to it, when it has one */
};

/* A copy; its items are NULL. */
NODISCARD enum status replicamsg_new(struct mem *mem, const struct raft_msg *m,
                                     const struct raft_entry *entries, struct replicamsg **out);

void replicamsg_free(struct mem *mem, struct replicamsg *m); /* NULL is harmless */

#endif
