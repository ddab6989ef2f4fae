/* peerlist.h - nodes and where other nodes reach them, as people write it:
 * "1=10.0.0.1:7000,2=10.0.0.2:7000".
 *
 * Invariants (tests/node/test_peerlist.c): I1 items ascend by id, each id once, none is 0   I2 each
 * address has a host and a port, so that it can be dialed   I3 text that was made from a list reads
 * back the same.
 * Failure: ST_INVAL with one line that names the item. Ownership, determinism: plain data. */
#ifndef NODE_PEERLIST_H
#define NODE_PEERLIST_H

#include "base/err.h"
#include "base/slice.h"
#include "env/addr.h"
#include "raft/rafttypes.h"

#include <stdbool.h>

#define PEERLIST_TEXT_MAX (RAFT_MEMBERS_MAX * (21u + ADDR_TEXT_MAX))

struct peerlist_item {
    uint64_t id;
    struct env_addr addr;
};

struct peerlist {
    uint32_t count;
    struct peerlist_item items[RAFT_MEMBERS_MAX];
};

/* On failure the list is unspecified. */
NODISCARD enum status peerlist_parse(struct slice text, struct peerlist *list, struct err *err);

/* Writes the list, NUL-terminated; returns text. */
const char *peerlist_format(const struct peerlist *list, char text[PEERLIST_TEXT_MAX]);

/* NULL: it is not among them. */
const struct env_addr *peerlist_find(const struct peerlist *list, uint64_t id);

/* That node is reached there from now on. False: there is no room for another. */
bool peerlist_set(struct peerlist *list, uint64_t id, const struct env_addr *addr);

#endif
