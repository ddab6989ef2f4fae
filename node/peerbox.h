/* peerbox.h - messages of consensus on their way from the thread that reads them off the wire to
 * the one that steps the core: a box that one side fills while the other empties the one before.
 *
 * Two arenas take turns, so a message costs one copy and, once they have grown to what a turn
 * needs, no allocation.
 *
 * Invariants (tests/node/test_peerbox.c): I1 messages come out in the order they went in, whole
 * I2 at most `limit` bytes wait, but for one message that is larger and goes into an empty box
 * I3 after a refusal the next peerbox_take says that somebody waits, so no wake-up is lost.
 * Failure: ST_BUSY: full, offer it again after peerbox_take said so. ST_NOMEM: not taken.
 * Ownership: what goes in is copied; what comes out lives until the next take.
 * Threads: any number may put; one takes. */
#ifndef NODE_PEERBOX_H
#define NODE_PEERBOX_H

#include "base/list.h"
#include "env/env.h"
#include "net/pbarena.h"
#include "node/peerwire.h"

struct peerbox_message {
    struct list link;
    struct peerwire_in in;
};

struct peerbox {
    struct env *env; /* borrowed */
    struct env_mutex m;
    size_t limit;
    struct pbarena arenas[2];
    unsigned filling; /* which of the two */
    struct list waiting;
    struct list out;
    size_t bytes; /* that wait */
    bool refused; /* since the last take */
};

void peerbox_init(struct peerbox *b, struct env *env, size_t limit);
void peerbox_release(struct peerbox *b);

/* ST_OK: it was copied; *first (may be NULL): the box was empty, wake who takes. */
NODISCARD enum status peerbox_put(struct peerbox *b, const struct peerwire_in *in, bool *first);

/* All that waits, as a list of struct peerbox_message, and forgets what the last call gave.
 * *resume: somebody was refused since. */
struct list *peerbox_take(struct peerbox *b, bool *resume);

#endif
