/* statemachine.h - what the log's entries do to the database: the replicated state machine.
 *
 * The log holds requests (node/envelope.h), and every node executes them in the log's order with
 * the same commands. So what an entry does must be a function of the log alone: no clock, no
 * randomness, no setting and no memory of this node has a part in it. The database has no log of
 * its own. What entries did is gathered in the view's overlay and written as one batch that
 * carries their last index as its tag; the raft log is replayed from behind the tag that a crash
 * left (dissertation 5.1; docs/statemachine.md).
 *
 *     statemachine_apply(sm, &entry, &sink) …     as often as there are entries at hand
 *     statemachine_commit(sm)                     now they can be seen, and replies may leave
 *
 * Rows of its own, behind the reserved prefix: 'a' the place that is applied and a running digest
 * of all effects, 'c' the last configuration entry, 'm' members' addresses (node/address.h), and
 * those of node/once.h.
 *
 * Invariants (tests/node/test_statemachine.c; under simulation also sim/cluster)
 *   I1  equal logs give equal databases, byte for byte, however they were cut into batches and
 *       wherever a crash came between
 *   I2  equal applied indices mean equal digests; one that differs tells of a divergence
 *   I3  the database holds exactly the entries up to its tag: effects, sessions, tag in one batch
 *   I4  an entry that could not be applied has changed nothing, and is never passed over
 *
 * Failure: apply and commit say what failed, nothing is changed, and they may be called again.
 * ST_NOMEM, ST_NOSPC, ST_MFILE: trying again may help. ST_CORRUPT, ST_IO: reading the database
 * failed, or the entry is none. ST_UNSUPPORTED: an entry of a later version. After these the node
 * must stop. Ownership: an entry's bytes are borrowed until the commit. Threads: one at a time. */
#ifndef NODE_STATEMACHINE_H
#define NODE_STATEMACHINE_H

#include "base/err.h"
#include "node/envelope.h"
#include "node/view.h"
#include "raft/rafttypes.h"

#define STATEMACHINE_GROUP_BYTES (8u << 20) /* commit at so much */
#define STATEMACHINE_ENTRY_BYTES                                     \
    (768u << 20) /* of an entry's effects; requests beyond have none \
                  */

/* The applied state, as row 'a' has it. */
struct statemachine_mark {
    struct raft_place place;
    uint64_t digest;
};

struct statemachine_counts {
    uint64_t entries;
    uint64_t requests;
    uint64_t repeats; /* answered from a session */
    uint64_t skipped; /* reads that nobody here waits for */
    uint64_t commits;
};

struct statemachine {
    struct env *env; /* borrowed */
    struct tkv *db;  /* borrowed */
    struct view view;
    struct buf scratch;
    struct buf reply; /* when nobody waits for it */
    struct envelope_reader reader;
    struct tkv_batch *batch;
    struct statemachine_mark applied;   /* executed */
    struct statemachine_mark committed; /* in the database */
    struct statemachine_counts counts;
    uint64_t sessions;      /* that there are, by what is executed */
    bool addresses_changed; /* since somebody set this to false; true when it was opened */
};

/* Who waits for replies. Called for each request in turn: the buffer that gets its reply, as
 * RESP3; NULL: nobody does. May be asked again for the same entry, after a failure. */
struct statemachine_sink {
    struct buf *(*reply)(void *arg, const struct envelope *e, uint32_t request);
    void *arg;
};

/* Reads where the database stands. ST_CORRUPT: its tag and its row do not agree, or it holds what
 * no log of this kind wrote. err says what. */
NODISCARD enum status statemachine_open(struct statemachine *sm, struct env *env, struct tkv *db,
                                        struct err *err);

/* An empty one stands behind that place: where its group's log begins. */
void statemachine_found(struct statemachine *sm, struct raft_place place);

/* Safe on a zeroed struct; what was not committed is lost. */
void statemachine_release(struct statemachine *sm);

/* Executes the entry behind sm->applied. sink == NULL: nobody waits. A reply may leave only after
 * the commit. Not when statemachine_full. */
NODISCARD enum status statemachine_apply(struct statemachine *sm, const struct raft_entry *entry,
                                         const struct statemachine_sink *sink);

/* It is time to commit. */
static inline bool statemachine_full(const struct statemachine *sm)
{
    return sm->view.overlay.bytes >= STATEMACHINE_GROUP_BYTES;
}

/* Writes what was executed, with the tag of its last entry. Harmless when there is nothing. */
NODISCARD enum status statemachine_commit(struct statemachine *sm);

/* The last applied configuration entry, appended to payload; ST_NOENT: there was none. */
NODISCARD enum status statemachine_config(struct statemachine *sm, struct raft_place *place,
                                          struct buf *payload);

/* Where the node is reached by others, appended to text; ST_NOENT: nobody said. */
NODISCARD enum status statemachine_address(struct statemachine *sm, uint64_t node,
                                           struct buf *text);

/* A hash over every row of the database, the reserved ones too. O(n): for tests. */
NODISCARD enum status statemachine_hash(struct statemachine *sm, uint64_t *hash);

#endif
