/* raft.h - consensus as a pure state machine: events in, what is to be done out.
 *
 *     size_t size = raft_size(&options);
 *     struct raft *r = raft_init(memory, &options);
 *     raft_step(r, &(struct raft_event){.type = RAFT_EV_START, .now = …, .start = &start}, &out);
 *     for (;;) { … raft_step(r, &event, &out); do what `out` says … }
 *
 * It follows Ongaro's dissertation ("Consensus: bridging theory and practice", 2014; the comments
 * cite its sections). It has no clock, does no I/O, calls nobody back, allocates nothing and has
 * no globals. It holds no payloads: of an entry it knows index, term, size, and if it is a
 * configuration its members. Whoever steps it, the *driver*, owns disk, network, clock and bytes.
 *
 * The driver's part of the contract
 *   C1  Events are given one at a time, `now` never goes back (it may stand still).
 *   C2  out->save, when there is one, joins one FIFO of writes; it is done before any later one.
 *       RAFT_EV_PERSISTED(s): every write up to s is durable. A write is atomic over a crash.
 *   C3  A send leaves only when a RAFT_EV_PERSISTED with seq >= its `after` has been given. Until
 *       then it is held, and a crash drops it. Sends may be lost, doubled, delayed, reordered.
 *   C4  Payloads of [out->warm, last] are at hand: an append names those or a range just fetched.
 *   C5  out->apply ranges are applied in order, each entry once; RAFT_EV_APPLIED says how far. What
 *       is not applied yet when out->save has a snapshot is not applied any more: when that write
 *       is durable the state machine is the snapshot's.
 *   C6  By out->deadline at the latest the core is stepped again (RAFT_EV_TIME, for want of news).
 *   C7  A write that fails is reported (RAFT_EV_PERSIST_FAILED) and never retried: the node stops.
 *
 * Invariants (O1..O8 are the ordering rules of docs/raft.md)
 *   V1  no message carries a term above the durable one when it leaves; a vote, one's own too,
 *       leaves and counts only when it is durable                                   (O2, O3)
 *   V2  an entry is acknowledged only when it is durable; the leader counts itself as any other,
 *       and may commit without itself                                               (O3, O4)
 *   V3  a leader commits by counting only entries of its own term                    (3.6.2)
 *   V4  nothing at or below commit is ever truncated: that is a bug and ends the process   (O5)
 *   V5  accepted, commit and applied never go back but with the log they speak of;
 *       applied <= commit <= last, applied <= durable
 *   V6  a configuration counts from the moment it is in the log; at most one is not committed (O8)
 *   V7  one step costs O(1), or O(members) where quorums are counted, however long the log is
 *   V8  a refused step (any status but ST_OK) has changed nothing
 * raft_check() looks at the structure behind them; options.verify calls it after every step.
 * What nodes owe each other is checked from outside: sim/cluster/raftwatch.h.
 *
 * Failure: ST_TOOBIG: out's array is too small, out->need says what would do. ST_CORRUPT: a message
 * that no correct peer sends (bytes lie; drop it). ST_INVAL: the driver's start is inconsistent.
 * What the world does to a node comes in as events; what is refused goes out as outcomes.
 *
 * Ownership: memory is the caller's. Pointers in events are borrowed for the call. Pointers in
 * `out` point into the state, or repeat the event's: they live until the next step.
 * Determinism: the state and `out` are functions of the options and the events. */
#ifndef RAFT_RAFT_H
#define RAFT_RAFT_H

#include "base/status.h"
#include "raft/raftmsg.h"

#include <stddef.h>

#define RAFT_NEVER UINT64_MAX /* a deadline that does not come */

struct raft;

/* ---- what a node is made with ---- */

/* All zero but the first three is valid: then the defaults in brackets hold. Times are in the
 * unit of `now`, which the driver chooses; [] are for nanoseconds. */
struct raft_options {
    uint64_t cluster;     /* messages of another one are dropped */
    uint64_t self;        /* this node's id, not 0 */
    uint64_t incarnation; /* of its disk */
    uint64_t seed; /* fresh in every process: timeouts and the name of its life come from it */
    /* time */
    uint64_t election;  /* a follower hears nothing this long [1 s]; timeouts are drawn from one to
                           two of it, and within one of it nobody else is voted for (4.2.3, 6.4) */
    uint64_t heartbeat; /* between two [election / 10] */
    uint32_t drift_ppm; /* how far a clock's rate may be off; leases are shorter by that. [500] */
    bool lease;         /* there are leases (6.4.1), for reads that say so; of all nodes alike */
    bool no_prevote;    /* stand for election without asking first (9.6); for tests */
    bool verify;        /* raft_check after every step */
    /* room: what raft_size() depends on */
    uint32_t members; /* at most RAFT_MEMBERS_MAX [that] */
    uint32_t runs;    /* terms of the log that it remembers; what is older is sent as a snapshot
                         only, so it must be in one: see RAFT_SEEN_RUNS_FULL, RUNS_STUCK. At least
                         twice what the log has at the start [1024] */
    uint32_t window;  /* entries whose sizes it remembers, a power of two [4096] */
    uint32_t reads;   /* reads that wait at a time [1024] */
    /* flow control */
    uint32_t message_entries; /* in one append [1024] */
    uint32_t message_bytes;   /* in one append, but for one entry that is larger [1 MiB] */
    uint32_t flight_entries;  /* sent to a peer and not acknowledged [window / 2] */
    uint64_t flight_bytes;    /* [8 MiB] */
    uint32_t backlog_entries; /* in the leader's log and not yet applied [window / 2] */
    uint64_t backlog_bytes;   /* [32 MiB] */
    uint64_t warm_bytes;      /* of payloads that the driver keeps at hand; more only while they
                                 are not durable yet [64 MiB] */
    uint32_t rounds;          /* of heartbeats for reads, on their way at once [2] */
    bool lazy_commit;         /* followers learn of commits by appends and heartbeats only: fewer
                                 messages, for searches [no] */
};

/* ---- events ---- */

enum raft_event_type {
    RAFT_EV_START = 1,      /* start. The first event, once */
    RAFT_EV_TIME,           /* deadline reached, or nothing; force */
    RAFT_EV_RECEIVE,        /* msg */
    RAFT_EV_PROPOSE,        /* items, count, context: commands for the log */
    RAFT_EV_CONFIGURE,      /* config, context: the members as they shall be in the end */
    RAFT_EV_READ,           /* context: names a batch of reads that came before this moment; ok: a
                               lease will do, if this node leads and has one */
    RAFT_EV_TRANSFER,       /* node, context: make it the leader (3.10) */
    RAFT_EV_PERSISTED,      /* index = seq: writes up to it are durable */
    RAFT_EV_PERSIST_FAILED, /* the node stops: nothing comes out any more */
    RAFT_EV_APPLIED,        /* index */
    RAFT_EV_FETCHED,        /* node, lo, hi, bytes: what RAFT_FETCH asked for is at hand */
    RAFT_EV_SNAPSHOT_TAKEN, /* place: a durable snapshot covers all up to it */
    RAFT_EV_SNAPSHOT_SENT,  /* node, session, ok: a transfer is over */
    RAFT_EV_UNREACHABLE,    /* node: what was sent to it is probably lost, or what it was to be sent
                               cannot be read at present */
    RAFT_EV_DISK_STALLED,   /* the oldest write is overdue; over with the next PERSISTED */
    RAFT_EV_LOG_FAULT,      /* lo, hi, fault: entries of the log cannot be read. Their terms are
                               known (else the node has to join anew: see docs/raft.md) */
    RAFT_EV_COMPACTED,      /* index: the log begins behind it now */
    RAFT_EV_TYPES
};

/* What a driver without a clock says has come to pass (a search that branches on timeouts). */
enum raft_force {
    RAFT_FORCE_NONE = 0,
    RAFT_FORCE_ELECTION,  /* nothing was heard for an election timeout; a leader: no quorum was */
    RAFT_FORCE_HEARTBEAT, /* the next heartbeat is due */
    RAFT_FORCE_LAPSE,     /* no leader was heard for so long that others may be elected (4.2.3), but
                             not for this wait's own timeout, which is longer; without leases */
};

/* What is wrong with entries that the log's own identities say were there. */
enum raft_fault {
    RAFT_FAULT_DAMAGED = 1, /* they were durable: only a peer's copy helps, or a quorum's word
                               that they were never committed */
    RAFT_FAULT_TORN = 2,    /* the last group before a crash: perhaps never complete. A group of
                               one cuts it; among several it counts as damaged */
};

/* What the disk gave back, and it alone. A group is founded by giving all founders the same base,
 * {1, 1}, the configuration at that index, and term 1: then a node that joins later with an empty
 * log is sent a snapshot first, and with it the configuration that no entry holds. */
struct raft_start {
    struct raft_hard hard;
    struct raft_place base;      /* before the first entry of the log; {0, 0}: it has all */
    uint64_t last;               /* of the log; base.index: it is empty */
    const struct raft_run *runs; /* the terms of (base.index, last], ascending */
    uint32_t run_count;
    uint64_t applied; /* what the state machine holds; base.index <= applied <= last */
    /* The latest configuration in the log, or else the snapshot's, or else the one that the group
     * was founded with (index 0); and the one before it, wanted when config_index > applied. */
    const struct raft_config *config;
    uint64_t config_index;
    const struct raft_config *before;
    uint64_t before_index;
};

struct raft_event {
    uint8_t type;  /* enum raft_event_type */
    uint8_t force; /* enum raft_force */
    uint8_t fault; /* enum raft_fault */
    bool ok;
    uint32_t count;
    uint64_t now;
    uint64_t context; /* the driver's, comes back with what this leads to */
    uint64_t node;
    uint64_t session;
    uint64_t index;
    uint64_t lo;
    uint64_t hi;
    uint64_t bytes;
    struct raft_place place;
    const struct raft_start *start;
    const struct raft_msg *msg;
    const struct raft_item *items;
    const struct raft_config *config;
};

/* ---- what is to be done ---- */

/* One atomic write of the durable log. In this order: the snapshot, the truncation, the entries;
 * with them the hard state. */
struct raft_write {
    uint64_t seq; /* 0: there is none. Else one above that of the write before */
    bool has_hard;
    bool has_snapshot; /* switch to the staged snapshot of `place`, `config` (state machine and
                          log); the log keeps what is behind it only if `keep` */
    bool keep;
    bool repair; /* [lo, hi) take the place of damaged ones, what is behind them stays */
    struct raft_hard hard;
    struct raft_place place;
    const struct raft_config *config;
    uint64_t truncate; /* entries from here on go first; 0: none */
    uint64_t lo;       /* entries [lo, hi), */
    uint64_t hi;
    uint64_t term;                 /* of all of them; 0: as the items say */
    const struct raft_item *items; /* hi - lo of them; they begin at most RAFT_WRITE_RUNS runs */
    uint32_t skip; /* how many of the event's entries come before the first: its payload is there */
    bool own;      /* made by the core (a no-op, a configuration): no payload came with the event */
};

enum raft_action_type {
    RAFT_SEND = 1, /* after, msg */
    RAFT_FETCH,    /* node, lo, hi, bytes: read entries from lo on, below hi, at least one, about
                      `bytes`; say RAFT_EV_FETCHED (or LOG_FAULT; UNREACHABLE: not now) */
    RAFT_SNAPSHOT, /* node, session, lo, msg: stream it a snapshot that covers lo or more; say
                      RAFT_EV_SNAPSHOT_SENT when that is over, either way. msg is what the other
                      core gets when it has all, but for place and config, which are the
                      driver's to fill in; `after` holds for it as for a send */
    RAFT_READY,    /* context: reads may be served now from the applied state; lease: until when
                      (0: the moment that was asked in was confirmed, there is no hurry) */
    RAFT_REPLY,    /* context, outcome, place: an answer to propose, configure, transfer, read.
                      What went over the network may be answered twice, or never */
};

struct raft_action {
    uint8_t type; /* enum raft_action_type */
    uint8_t outcome;
    uint64_t after;
    uint64_t node;
    uint64_t session;
    uint64_t context;
    uint64_t lo;
    uint64_t hi;
    uint64_t bytes;
    uint64_t lease;
    struct raft_place place;
    struct raft_msg msg;
};

enum raft_state {
    RAFT_FOLLOWER = 1, /* learners too */
    RAFT_PRECANDIDATE,
    RAFT_CANDIDATE,
    RAFT_LEADER,
    RAFT_HALTED, /* a write failed */
};

/* Things worth knowing that they happened: bits of out->seen, for traces, counters and probes. */
#define RAFT_SEEN(what) (UINT64_C(1) << (what))
enum raft_seen {
    RAFT_SEEN_CAMPAIGN, /* stood for election */
    RAFT_SEEN_PREVOTE,  /* asked whether it would be elected */
    RAFT_SEEN_ELECTED,
    RAFT_SEEN_VOTED,            /* for another */
    RAFT_SEEN_STICKY,           /* refused to unseat a leader that is heard */
    RAFT_SEEN_NO_QUORUM,        /* stepped down: check-quorum */
    RAFT_SEEN_STALLED,          /* stepped down: its own disk */
    RAFT_SEEN_CONFLICT,         /* truncated its log */
    RAFT_SEEN_REFUSED,          /* refused an append: the logs do not meet */
    RAFT_SEEN_BACKTRACK,        /* a leader stepped back */
    RAFT_SEEN_RESEND,           /* a leader found that appends were lost */
    RAFT_SEEN_STALE_SESSION,    /* an acknowledgement of an old session or incarnation */
    RAFT_SEEN_COMMIT_SANS_SELF, /* committed what its own disk does not have yet */
    RAFT_SEEN_OLD_TERM_HELD,    /* a quorum has it, but it is of an earlier term: not committed */
    RAFT_SEEN_SNAPSHOT_NEEDED,  /* a peer is behind the log's begin */
    RAFT_SEEN_SNAPSHOT_IN,      /* installs one */
    RAFT_SEEN_SNAPSHOT_KEPT,    /* and keeps the entries behind it */
    RAFT_SEEN_JOINT,            /* a joint configuration entered the log */
    RAFT_SEEN_JOINT_LEFT,
    RAFT_SEEN_CONFIG_REVERTED, /* a configuration was truncated */
    RAFT_SEEN_REMOVED_SELF,    /* a leader stepped down: not a member any more */
    RAFT_SEEN_LEASE_READ,
    RAFT_SEEN_ROUND_SHARED, /* a read waits for the next round */
    RAFT_SEEN_TRANSFER,     /* told another to stand */
    RAFT_SEEN_BUSY,         /* refused a proposal: backlog */
    RAFT_SEEN_THROTTLED,    /* a peer's window is full */
    RAFT_SEEN_FETCH,        /* needs old entries */
    RAFT_SEEN_DAMAGE,       /* entries of the log are damaged */
    RAFT_SEEN_REPAIRED,
    RAFT_SEEN_CUT,        /* damage dropped: proven uncommitted */
    RAFT_SEEN_RUNS_FULL,  /* forgot the oldest terms, or would have liked to: a snapshot helps */
    RAFT_SEEN_RUNS_STUCK, /* they are not in a snapshot: nothing is taken any more, raft_copy_grown
                           */
    RAFT_SEEN_MERGED,     /* more writes under way than it remembers apart */
    RAFT_SEEN_COUNT
};

struct raft_out {
    /* the driver's */
    struct raft_action *actions;
    uint32_t cap;
    /* the core's */
    uint32_t count; /* of actions */
    uint32_t need;  /* ST_TOOBIG: the cap that would have done */
    struct raft_write save;
    uint64_t apply_lo; /* hand [apply_lo, apply_hi) to the state machine; empty: nothing new */
    uint64_t apply_hi;
    bool role_changed;    /* state, leader or term are not what they were: see raft_view */
    uint64_t deadline;    /* step again at this time at the latest, even if nothing happens */
    uint64_t warm;        /* payloads below this index need not be at hand */
    uint64_t seen;        /* RAFT_SEEN bits */
    struct raft_item own; /* what save.items points to when save.own */
};

/* ---- calls ---- */

/* The bytes raft_init wants for these options, aligned as for uint64_t; 0: they make no sense. */
size_t raft_size(const struct raft_options *options);

/* A node that waits for RAFT_EV_START. options are copied. NULL when raft_size says 0. */
struct raft *raft_init(void *memory, const struct raft_options *options);

/* One event. See the contract above. out->actions and out->cap are the caller's, all else is
 * written. An array of raft_actions_max() is never too small. */
NODISCARD enum status raft_step(struct raft *r, const struct raft_event *event,
                                struct raft_out *out);

uint32_t raft_actions_max(const struct raft *r);

/* Makes *to (raft_size bytes of the same options) the same as *from; costs what is in use. */
void raft_copy(struct raft *to, const struct raft *from);

/* The same state with room for more runs, in memory of raft_size bytes of such options. What `out`
 * of the last step points to is in the old one. */
struct raft *raft_copy_grown(void *memory, const struct raft *from, uint32_t runs);

/* Of the whole state: equal states have equal digests, on every machine. */
uint64_t raft_digest(const struct raft *r);

/* The same for a search in which time stands still (RAFT_FORCE moves it): without clock, timeouts
 * (RAFT_FORCE_LAPSE comes when it matters), random numbers and the names of lives (so such a search
 * asks no reads of nodes that it restarts); numbers of writes relative to the latest. The node `id`
 * is called names[id]; names[0] is 0: states that differ in who is who alone can be made equal. */
uint64_t raft_digest_timeless(const struct raft *r, const uint64_t *names);

/* Structure, O(state); for CK_SLOW and tests. */
bool raft_check(const struct raft *r);

/* ---- looking in: for status pages, for checkers ---- */

struct raft_view {
    uint64_t self;
    uint64_t incarnation;
    uint64_t term;
    uint64_t vote;
    uint64_t leader; /* 0: none known */
    uint8_t state;   /* enum raft_state */
    bool stalled;    /* its disk */
    bool damaged;    /* entries of its log are */
    bool joint;      /* the active configuration is */
    struct raft_place base;
    uint64_t last;
    uint64_t commit;
    uint64_t applied;
    uint64_t durable;   /* index: entries up to it are on its disk and whole */
    uint64_t write_seq; /* last write that it asked for */
    uint64_t done_seq;  /* last that is durable */
    uint64_t hard_seq;  /* with which term and vote became, or become, durable */
    uint64_t config_index;
    uint64_t transferee;
    uint64_t lease; /* leader: reads without a round are right until then; 0: none */
    uint32_t members;
    uint32_t reads;
};

enum raft_flow {
    RAFT_FLOW_PROBE = 1, /* where the logs meet is not known: one append at a time */
    RAFT_FLOW_STREAM,    /* pipelined */
    RAFT_FLOW_SNAPSHOT,  /* waits for a snapshot to arrive */
};

struct raft_peer_view {
    uint64_t id;
    uint64_t incarnation;
    uint8_t roles;  /* enum raft_role bits */
    uint8_t flow;   /* enum raft_flow */
    uint64_t match; /* durable there, as the leader believes */
    uint64_t next;  /* to be sent next */
    uint64_t session;
    uint64_t contact; /* when it was last heard, in this term */
};

void raft_view(const struct raft *r, struct raft_view *view);

/* The i-th member that a leader replicates to (itself among them), i < view.members. */
void raft_peer_view(const struct raft *r, uint32_t i, struct raft_peer_view *view);

/* The term of the entry at index; 0: the log does not have it, or its term was forgotten. */
uint64_t raft_term_at(const struct raft *r, uint64_t index);

/* The active configuration. */
const struct raft_config *raft_config(const struct raft *r);

/* The configuration that a snapshot of index carries, and its index; NULL: one that is older than
 * what the core remembers (the state machine keeps it). */
const struct raft_config *raft_config_at(const struct raft *r, uint64_t index,
                                         uint64_t *config_index);

#endif
