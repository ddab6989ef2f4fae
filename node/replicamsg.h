/* replicamsg.h - a message of consensus with the payloads of its entries, in one block: for those
 * that wait, in a queue or for a write.
 *
 * Making one from what came over the wire also decodes the configurations among its entries and
 * in it, for the core wants them as structs.
 * Failure: ST_NOMEM; ST_CORRUPT or ST_UNSUPPORTED: a configuration is none. */
#ifndef NODE_REPLICAMSG_H
#define NODE_REPLICAMSG_H

#include "base/list.h"
#include "base/mem.h"
#include "base/status.h"
#include "raft/raftmsg.h"

struct replicamsg {
    struct list link;
    uint64_t after; /* held until this write is durable */
    size_t bytes;   /* of the block */
    struct raft_msg m;
    struct raft_entry *entries; /* m.count of them; NULL: it has none */
    struct raft_item *items;    /* m.items, when they were made */
    struct raft_config config;  /* m.config points to it, when it has one */
};

/* A copy. With `parse` the items are made from the entries. */
NODISCARD enum status replicamsg_new(struct mem *mem, const struct raft_msg *m,
                                     const struct raft_entry *entries, bool parse,
                                     struct replicamsg **out);

void replicamsg_free(struct mem *mem, struct replicamsg *m); /* NULL is harmless */

#endif
