/* replica_apply.c - committed entries to the state machine. */
#include "base/ck.h"
#include "env/note.h"
#include "node/replica_int.h"

#define APPLY_BYTES  (1u << 20)  /* of entries in one go: then messages get their turn */
#define APPLY_LITTLE (16u << 10) /* on a thread that has other things to do */
#define TRY_AGAIN_NS (10 * REPLICA_MS)

/* Whether trying again can help. Else it fails the replica. */
static void failed(struct replica *r, enum status st, const char *what)
{
    if (st == ST_NOMEM || st == ST_NOSPC || st == ST_MFILE) {
        ENV_PROBE(r->env, "replica: applying waits");
        r->apply_at = r->now + TRY_AGAIN_NS;
        return;
    }
    replica_step_fail(r, st, what);
}

/* Makes what was executed visible, and tells those who wait. */
static bool commit(struct replica *r)
{
    uint64_t before = r->sm.committed.place.index;
    enum status st = statemachine_commit(&r->sm);
    if (st != ST_OK) {
        failed(r, st, "applying");
        return false;
    }
    if (r->sm.committed.place.index > before) {
        ENV_YIELD(r->env, "replica: between commit and replies");
        replica_ask_applied(r, r->sm.committed.place);
        struct raft_event e = {.type = RAFT_EV_APPLIED, .index = r->sm.committed.place.index};
        replica_step(r, &e, NULL);
    }
    return true;
}

static void note_applied(struct replica *r, const struct raft_entry *e)
{
    const struct statemachine_mark *m = &r->sm.applied;
    bool command = e->kind == RAFT_COMMAND;
    env_note(r->env, &(struct env_note){.kind = NOTE_APPLIED,
                                        .a = m->place.index,
                                        .b = m->place.term,
                                        .c = m->digest,
                                        .data = command ? e->data.data : NULL,
                                        .size = command ? e->data.size : 0});
}

/* Entries of the batch, as far as it goes. */
static void execute(struct replica *r)
{
    struct statemachine_sink sink = replica_ask_sink(r);
    for (size_t i = 0; i < r->apply_batch.count; i++) {
        if (statemachine_full(&r->sm) && !commit(r)) {
            return;
        }
        enum status st = statemachine_apply(&r->sm, &r->apply_batch.entries[i], &sink);
        if (st != ST_OK) {
            failed(r, st, "executing an entry");
            break;
        }
        replica_snap_applied(r, r->apply_batch.entries[i].data.size);
        note_applied(r, &r->apply_batch.entries[i]);
    }
    (void)commit(r); /* what failed is tried again */
}

/* The next entries, from memory if they are there. */
static enum status entries_read(struct replica *r, bool little)
{
    uint64_t lo = r->sm.applied.place.index + 1;
    size_t most = little ? APPLY_LITTLE : APPLY_BYTES;
    enum status st = raftlog_peek(r->log, lo, r->apply_to, most, &r->apply_batch);
    if (st == ST_AGAIN && !little) {
        ENV_PROBE(r->env, "replica: entries to apply are not in memory");
        st = raftlog_read(r->log, lo, r->apply_to, APPLY_BYTES, &r->apply_batch);
    }
    return st;
}

bool replica_apply_some(struct replica *r, bool little)
{
    if (r->halted || r->snap.switching || r->now < r->apply_at) {
        return true;
    }
    bool pending = r->sm.applied.place.index != r->sm.committed.place.index;
    if (pending && !commit(r)) { /* its entries are in the batch still */
        return true;
    }
    if (r->sm.applied.place.index + 1 >= r->apply_to) {
        return true;
    }
    enum status st = entries_read(r, little);
    if (little && (st != ST_OK || r->apply_batch.bytes > APPLY_LITTLE)) {
        return false; /* for the replica thread */
    }
    if (st == ST_CORRUPT) {
        ENV_PROBE(r->env, "replica: an entry to apply is damaged");
        struct raft_event e = {.type = RAFT_EV_LOG_FAULT,
                               .lo = r->apply_batch.bad_lo,
                               .hi = r->apply_batch.bad_hi,
                               .fault = RAFT_FAULT_DAMAGED};
        r->apply_at = r->now + TRY_AGAIN_NS;
        replica_step(r, &e, NULL);
        return true;
    }
    if (st != ST_OK) {
        failed(r, st, "reading the log");
        return true;
    }
    execute(r);
    return r->halted || r->now < r->apply_at || r->sm.applied.place.index + 1 >= r->apply_to;
}
