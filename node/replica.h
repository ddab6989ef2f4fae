/* replica.h - one member of a group: consensus, its log, the state machine, put together.
 *
 * Requests go in (replica_submit), and come back when they are done: a write when its entry is
 * committed and applied here, a read when this node's state is at least what was committed when it
 * was asked. All writes that are there in one turn go into one envelope, one log entry, one
 * message, one fsync; all reads of a turn share one question to the leader.
 *
 *     replica thread   steps the core (raft/raft.h), executes entries, calls done(), in turns
 *     log writer       raftlog_sync: puts writes on the disk, several at a time
 *     reader           reads old entries for members that are behind
 *     snapshotter      has the database flushed, so that the log can be compacted
 *
 * A turn can be anybody's: who submits, brings messages, or has synced the log takes one if nobody
 * has it, for to wake another thread costs more than most turns do. What is long is left to the
 * replica thread, and so are timers. Where it says "on the replica thread" it means: by who has the
 * turn, one at a time, who holds no lock of the replica.
 *
 * The network is not its business: it hands messages to a transport and is handed those that came.
 *
 * Invariants (tests/node/test_replica.c, tests/node/test_group.c, both under simulation)
 *   I1  done() is called once for each request, on the replica thread, in no order
 *   I2  REPLICA_DONE: the write is applied, its reply is that of its only execution. For a read:
 *       the state that done() sees holds every write that was answered before it was submitted,
 *       or what else its `fresh` promises
 *   I3  REPLICA_NOT_DONE: it did not happen and never will. REPLICA_UNKNOWN: it may
 *   I4  a message leaves only when the writes that it depends on are durable (C3 of raft.h)
 *   I5  a request without a session is proposed again only when its entry is certainly lost
 *
 * Failure: a log that cannot be written, an entry that cannot be applied, damage that recovery
 * cannot explain: the replica stops (replica_failed says why), requests end as unknown or
 * not done. Refused memory and a full disk are waited for.
 * Ownership: requests are the caller's, the replica's from submit to done(). */
#ifndef NODE_REPLICA_H
#define NODE_REPLICA_H

#include "base/err.h"
#include "base/list.h"
#include "node/peerwire.h"
#include "node/snapset.h"
#include "node/statemachine.h"
#include "raft/raft.h"
#include "raft/raftlog.h"

struct replica;

/* ---- requests ---- */

enum replica_outcome {
    REPLICA_DONE = 1,
    REPLICA_NOT_DONE, /* no leader in time, too busy, stopping */
    REPLICA_UNKNOWN,
};

/* A change of the group. Only the leader's replica can; others say NOT_DONE and why. And a
 * snapshot, which is each replica's own matter. */
enum replica_change_kind {
    REPLICA_ADD = 1, /* a learner: `node` with `incarnation` */
    REPLICA_JOIN,    /* a learner as well, and it gets a vote when it has what the others have,
                        unless it shall stay one (`learner`); `address` is where others reach it.
                        Goes on from where an earlier one came to. UNKNOWN: it may have come a part
                        of the way, so it may be asked for again */
    REPLICA_PROMOTE, /* a learner gets a vote */
    REPLICA_REMOVE,
    REPLICA_TRANSFER, /* `node` is to lead; 0: whoever is furthest, and `node` says who that was */
    REPLICA_SNAPSHOT, /* the database is written out, so that the log need not keep what is applied
                         now: `place` */
};

struct replica_change {
    enum replica_change_kind kind;
    uint64_t node;
    uint64_t incarnation;
    struct slice address; /* borrowed until done(); empty: the group knows it */
    bool learner;
    enum raft_outcome why;   /* out, with NOT_DONE */
    uint64_t leader;         /* out: as far as is known; 0: none */
    struct raft_place place; /* out, with DONE: of the configuration; of the snapshot */
};

/* How fresh a read has to be. */
enum replica_freshness {
    REPLICA_LINEARIZABLE, /* it sees every write that was answered before it was submitted */
    REPLICA_LEASE,        /* the same, as long as clocks' rates are as good as options.raft says: a
                             leader that has a lease asks nobody */
    REPLICA_LOCAL,        /* what is applied here, `min_index` at least: may be old. Later reads of
                             the same replica see no less */
};

struct replica_command {
    const struct slice *args;
    uint32_t count;
};

/* Submitted by the caller; everything stays as it is until done(). */
struct replica_request {
    struct list link; /* the replica's */
    bool reads;       /* done() reads the state itself; the fields of a write are not looked at */
    enum replica_freshness fresh; /* of a read */
    uint64_t min_index;
    bool follows; /* executed behind the one before it in the list, or neither is */
    struct replica_change *change; /* not NULL: this, and neither a read nor a write. DONE: the
                                      configuration is committed, or that node leads */
    uint64_t deadline;             /* mono; from then on it is done() with what is known */
    void (*done)(struct replica_request *q);
    enum replica_outcome outcome;
    uint64_t index; /* out, with DONE: of the entry that is the write, or its repetition */
    /* a write */
    struct envelope_request head;
    const struct replica_command *commands; /* head.commands of them */
    struct buf reply;                       /* of any memory; RESP3, with REPLICA_DONE */
};

/* ---- the network ---- */

/* All of it is called on the replica thread (see above), and must not block. */
struct replica_transport {
    /* Takes the message to m->to, or drops it. entries (m->count of them, or NULL) and everything
     * else are borrowed for the call. A message may be lost or late; one of type PROPOSE must not
     * arrive twice, for it would be done twice. NULL: there is nobody else. */
    void (*deliver)(void *arg, const struct raft_msg *m, const struct raft_entry *entries);
    /* What was delivered leaves now: before the turn waits or applies. May be NULL. */
    void (*flush)(void *arg);
    /* There is room for what replica_receive refused. May be NULL. */
    void (*resume)(void *arg);
    /* The active configuration, or an address in the state machine, may have changed; also once at
     * the start. On the replica thread. NULL: nobody wants to know. */
    void (*members)(void *arg, const struct raft_config *config, struct statemachine *sm);
    /* A snapshot for m->to: the files of `set` in `dir`. m is what its core gets when it has all of
     * them. set and dir are borrowed until replica_snapshot_sent, which has to come, once. NULL:
     * none can be sent. */
    void (*send_snapshot)(void *arg, const struct raft_msg *m, const struct snapset *set,
                          const char *dir);
    /* What replica_staged told of goes to that name, durably; if it fails it is thrown away. On a
     * thread of the replica's own, where it may block. NULL: none can come. */
    enum status (*take_snapshot)(void *arg, const char *to, struct err *err);
    void *arg;
};

/* ---- making, opening, running ---- */

struct replica_options {
    const char *dir;                  /* `dir`/db and `dir`/raft; must exist */
    struct raft_options raft;         /* cluster, self, incarnation and seed are filled in */
    struct raftlog_options log;       /* */
    const struct tkv_options *engine; /* env and log are filled in; NULL: the defaults */
    struct replica_transport transport;
    uint64_t reply_max;      /* bytes of a reply [64 MiB] */
    uint64_t envelope_bytes; /* of requests in one envelope, about [256 KiB] */
    uint32_t proposals;      /* envelopes under way, a power of two [256] */
    uint64_t log_bytes;      /* of entries applied and not in the database's tables: it is flushed,
                                and the log is compacted [64 MiB] */
    uint64_t log_entries;    /* the same in entries [1 Mi] */
    bool no_tail;            /* the log keeps nothing for slow followers; else what came since the
                                compaction before the last */
    uint64_t inbox_bytes;    /* of messages that wait; more are refused [16 MiB] */
};

/* Makes the log of a new member, in `dir`/raft: of a group that is founded with these members, or
 * (config->count 0) of one that is to be let in. ST_EXIST: there is one. */
NODISCARD enum status replica_create(struct env *env, const struct replica_options *o,
                                     const struct raftlog_identity *identity,
                                     const struct raft_config *config, struct err *err);

/* Recovers database and log. ST_NOENT: replica_create comes first. */
NODISCARD enum status replica_open(struct env *env, const struct replica_options *o,
                                   struct replica **replica, struct err *err);

/* Whose log it is. */
const struct raftlog_identity *replica_identity(const struct replica *r);

/* Before replica_start: over(arg) is called once, on the replica's thread, when it stops by itself
 * (replica_failed says why then). Nobody needs to ask anything to learn of it. */
void replica_on_over(struct replica *r, void (*over)(void *arg), void *arg);

/* Starts its threads; the rest of the log is applied by them. */
NODISCARD enum status replica_start(struct replica *r);

/* Ends the threads. What was submitted is done() with before it returns. */
void replica_stop(struct replica *r);

/* Frees a replica that is stopped, or was never started. NULL is harmless. */
NODISCARD enum status replica_close(struct replica *r);

/* ---- from any thread ---- */

/* Hands requests over: the list is empty afterwards. Takes a turn: the caller holds no lock that
 * done() or the transport wants, and done() may come before this returns. */
void replica_submit(struct replica *r, struct list *requests);

/* What was submitted is done() with, soon: as if its deadline had come. */
void replica_abandon(struct replica *r);

/* A message came. ST_OK: it was copied. ST_BUSY: not now; transport.resume will say when.
 * ST_NOMEM: it is lost. After one or several of them replica_turn has to come. */
NODISCARD enum status replica_receive(struct replica *r, const struct peerwire_in *in);

/* What there is to do is done, by the caller or by somebody who is at it; what is long, soon. Locks
 * as with replica_submit. */
void replica_turn(struct replica *r);

/* A whole snapshot was staged: m is the message that comes with it. ST_BUSY: another one is
 * under way, this one is to be thrown away: the leader sends a later one if it has to. */
NODISCARD enum status replica_staged(struct replica *r, const struct raft_msg *m,
                                     uint64_t config_index);

/* What send_snapshot began is over; from its call on, and until replica_close. */
void replica_snapshot_sent(struct replica *r, uint64_t node, uint64_t session, bool ok);

/* What was sent to that node lately is probably lost. */
void replica_unreachable(struct replica *r, uint64_t node);

struct replica_status {
    struct raft_view raft;
    struct statemachine_mark applied;
    struct statemachine_counts counts;
    uint64_t envelopes; /* proposed, repetitions too */
    uint64_t again;     /* proposed again */
    uint64_t dropped;   /* messages */
    uint64_t compacted; /* times */
    uint64_t shipped;   /* snapshots that arrived elsewhere */
    uint64_t installed; /* snapshots */
    uint64_t cluster;
    uint64_t snapshot;  /* index of the latest mark that is in the log */
    uint64_t sessions;  /* of clients */
    enum status failed; /* ST_OK: it runs */
};
void replica_status(struct replica *r, struct replica_status *s);

/* The active configuration here; of a leader, how far each member is. */
struct replica_members {
    uint64_t index; /* of the configuration */
    uint64_t now;   /* mono, when this was so */
    bool leads;
    uint32_t count;
    struct raft_peer_view member[RAFT_MEMBERS_MAX];
};
void replica_members(struct replica *r, struct replica_members *m);

/* Figures of the database (stats->size is set). False: it is being exchanged for a snapshot. */
bool replica_engine(struct replica *r, struct tkv_stats *stats);

/* And of the log. */
void replica_log(struct replica *r, struct raftlog_stats *stats);

/* Why it stopped by itself; ST_OK: it did not. */
enum status replica_failed(struct replica *r);

/* ---- on the replica thread, in done() of a read; or while it is stopped ---- */

struct statemachine *replica_machine(struct replica *r);

#endif
