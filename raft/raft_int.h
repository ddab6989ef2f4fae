/* raft_int.h - the state behind raft.h and what its files owe each other. Inside raft/raft*.c only.
 *
 * The state is one block: struct raft, then four arrays whose room the options fix (peers, term
 * runs, running sums, reads). There are no pointers in it, so that a copy is a copy.
 *
 *   raft.c         life and dispatch: init, step, deadlines, views
 *   raft_elect.c   terms, votes, roles, transfer (3.4, 3.10, 4.2.3, 9.6)
 *   raft_lead.c    a leader's side of replication, commitment (3.5, 3.6, 10.2)
 *   raft_follow.c  a follower's side, snapshots (3.5, 7)
 *   raft_read.c    reads without the log (6.4)
 *   raft_change.c  members, quorums (4)
 *   raft_mend.c    damaged entries
 *   raft_log.c     what is known of the log: terms, sizes, durability
 *   raft_digest.c  copy, digest, raft_check */
#ifndef RAFT_RAFT_INT_H
#define RAFT_RAFT_INT_H

#include "base/ck.h"
#include "base/prng.h"
#include "raft/raft.h"

#define RAFT_PENDING 32 /* writes under way that are told apart; more are merged */
#define RAFT_RANGES  8  /* of damage that are told apart; more are merged */
#define RAFT_BURST   4  /* appends to one peer in one go; the rest waits for the next step */
#define RAFT_MEND    64 /* entries asked for at a time */

/* What this node knows of a member. For itself too: its match is what is durable here. */
struct raft_peer {
    uint64_t id;
    uint64_t incarnation;
    uint64_t match;
    uint64_t next;
    uint64_t session;
    uint64_t contact;     /* when it was last heard in this term */
    uint64_t acked_probe; /* the latest round that it answered */
    uint64_t acked_stamp; /* when the latest message that it answered had been sent */
    uint64_t beat_probe;  /* the latest heartbeat's probe, */
    uint64_t beat_next;   /* and what it should have accepted by then, + 1; 0: nothing to learn */
    uint64_t cold_hi;     /* the last fetched range that was sent ends here, */
    uint64_t cold_bytes;  /* and this many bytes of such are in flight */
    uint64_t fetch;       /* entries from here on are being read for it; 0: none */
    uint64_t probe_hi;    /* flow PROBE: the end of the append that waits for an answer; 0: none */
    uint64_t told;        /* the commit that the latest message to it carried */
    uint64_t absent;      /* it said that it does not have this entry of ours; 0: none */
    uint8_t roles;
    uint8_t flow;
    uint8_t vote;   /* 0: no answer, 1: no, 2: yes */
    uint8_t broken; /* it cannot read `absent`, but had it, or another one there */
    uint8_t zero[4];
};

struct raft_pending {
    uint64_t seq;
    uint64_t last; /* of the log when it is done */
};

struct raft_range {
    uint64_t lo;
    uint64_t hi;
};

struct raft_read {
    uint64_t context;
    uint64_t from;  /* who asked; self: the driver */
    uint64_t life;  /* that its answer repeats */
    uint64_t probe; /* the round that confirms it */
    uint64_t index; /* served when this is applied */
};

struct raft {
    struct raft_options o; /* with the defaults filled in */

    /* hard state and writes */
    struct raft_hard hard;
    uint64_t hard_seq; /* the write that carries it */
    uint64_t seq;      /* of the last write asked for */
    uint64_t done;     /* of the last one durable */
    uint64_t snap_seq; /* of the last one with a snapshot */
    uint64_t mend_seq; /* of the last one with a repair, */
    uint64_t mend_hi;  /* which ends here */
    struct raft_pending pending[RAFT_PENDING];
    uint32_t pending_count;

    /* the log */
    uint32_t run_begin; /* runs [run_begin, run_end) cover (floor.index, last] */
    uint32_t run_end;
    uint32_t damage_count;
    struct raft_place base;  /* before the log's first entry */
    struct raft_place floor; /* terms below are forgotten; base <= floor <= commit */
    uint64_t last;
    uint64_t raw_durable; /* on disk, whole or not */
    uint64_t warm;        /* sizes of [warm, last] are in sums */
    uint64_t commit;
    uint64_t applied;
    uint64_t apply_next;
    struct raft_place snap; /* the latest snapshot taken or installed */
    struct raft_range damage[RAFT_RANGES];

    /* members */
    uint32_t peer_count;
    uint32_t self_slot; /* of peers; peer_count: not a member */
    uint64_t config_index;
    uint64_t before_index; /* RAFT_NEVER: not known */
    struct raft_config config;
    struct raft_config before;

    /* role */
    uint8_t state;
    bool stalled;
    bool owes;   /* an acknowledgement, when more is durable */
    bool handed; /* a leader that told another to stand: leases are over for this term */
    bool more;   /* a burst was cut short */
    bool started;
    bool wanted; /* a round, when one of those on their way is confirmed */
    bool stuck;  /* damage of the present term, which somebody lacks */
    uint64_t leader;
    uint64_t session;       /* of the stream from the leader */
    uint64_t accepted;      /* vouched for by the leader of this term, in this session */
    uint64_t leader_commit; /* the most that a leader of this term said */
    uint64_t owed_probe;
    uint64_t owed_stamp;
    uint64_t term_first; /* the leader's first entry in its term */
    uint64_t probe;      /* rounds begun by this node, of any kind */
    uint64_t transferee;
    uint64_t transfer_context;

    /* time */
    uint64_t now;
    uint64_t timeout; /* drawn for this wait */
    uint64_t election_at;
    uint64_t sticky_until; /* a leader was heard: nobody is elected here before */
    uint64_t heartbeat_at;
    uint64_t transfer_at;
    struct prng prng;
    uint64_t life; /* names this process to those it asks */

    /* reads [read_lo, read_mid) wait for apply, [read_mid, read_hi) for their round */
    uint64_t read_lo;
    uint64_t read_mid;
    uint64_t read_hi;
};

/* ---- the arrays ---- */

static inline struct raft_peer *peers_of(const struct raft *r)
{
    return (struct raft_peer *)(uintptr_t)(r + 1);
}

static inline struct raft_run *runs_of(const struct raft *r)
{
    return (struct raft_run *)(void *)(peers_of(r) + r->o.members);
}

static inline uint64_t *sums_of(const struct raft *r)
{
    return (uint64_t *)(void *)(runs_of(r) + r->o.runs);
}

static inline struct raft_read *reads_of(const struct raft *r)
{
    return (struct raft_read *)(void *)(sums_of(r) + r->o.window);
}

static inline struct raft_read *read_at(const struct raft *r, uint64_t i)
{
    return &reads_of(r)[i % r->o.reads];
}

static inline bool is_self(const struct raft *r, const struct raft_peer *p)
{
    return p->id == r->o.self;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline void saw(struct raft_out *out, enum raft_seen what)
{
    out->seen |= RAFT_SEEN(what);
}

/* On disk and whole. */
static inline uint64_t durable_of(const struct raft *r)
{
    return r->damage_count > 0 ? min_u64(r->raw_durable, r->damage[0].lo - 1) : r->raw_durable;
}

/* The write that the node's own term and vote wait for; 0: none. */
static inline uint64_t hard_gate(const struct raft *r)
{
    return r->hard_seq > r->done ? r->hard_seq : 0;
}

static inline bool is_joint(const struct raft_config *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if ((c->members[i].roles & RAFT_OUT) != 0) {
            return true;
        }
    }
    return false;
}

/* ---- raft.c ---- */

/* A cleared action; there is room. */
struct raft_action *raft_act(struct raft_out *out, enum raft_action_type type);

/* A send of this node in its term, with the header filled in; after = the hard gate. */
struct raft_msg *raft_send(struct raft *r, struct raft_out *out, enum raft_msg_type type,
                           uint64_t to);

void raft_reply(struct raft_out *out, uint64_t context, enum raft_outcome outcome,
                struct raft_place place);

/* ---- raft_log.c ---- */

/* This step's write, begun when it is first asked for. */
struct raft_write *raft_log_write(struct raft *r, struct raft_out *out);
void raft_log_hard(struct raft *r, struct raft_out *out);

/* When this step's write is durable, the log up to `last` is. */
void raft_log_pend(struct raft *r, struct raft_out *out);

/* Writes up to seq are durable. */
void raft_log_done(struct raft *r, uint64_t seq);

/* How many of these can be taken behind `last` now: room for sizes and terms. */
uint32_t raft_log_room(struct raft *r, struct raft_out *out, const struct raft_item *items,
                       uint32_t count, uint64_t term);

/* Takes items behind last, at most as many as there is room for; term 0: the items' own.
 * skip: where the first of them is in the event's array. */
void raft_log_append(struct raft *r, struct raft_out *out, const struct raft_item *items,
                     uint32_t count, uint64_t term, uint32_t skip);

/* Entries from index on are gone: index > commit. */
void raft_log_truncate(struct raft *r, struct raft_out *out, uint64_t index);

/* The log begins behind place, which it holds (keep), or holds nothing. */
void raft_log_rebase(struct raft *r, struct raft_place place, bool keep);

/* The largest index <= place.index whose term is <= place.term; floor.index at the least. */
uint64_t raft_log_meet(const struct raft *r, struct raft_place place);

/* The end of an append that begins at lo, warm <= lo <= last, and may not pass hi. */
uint64_t raft_log_cut(const struct raft *r, uint64_t lo, uint64_t hi);

/* Bytes of [lo, hi), what is below warm for nothing. */
uint64_t raft_log_bytes(const struct raft *r, uint64_t lo, uint64_t hi);

/* Moves warm up as the limits say. */
void raft_log_cool(struct raft *r);

/* The term of an entry, or of the place before the first; 0: not known. */
uint64_t raft_log_term(const struct raft *r, uint64_t index);

static inline uint64_t last_term(const struct raft *r)
{
    return r->run_end > r->run_begin ? runs_of(r)[r->run_end - 1].term : r->floor.term;
}

static inline uint64_t term_at(const struct raft *r, uint64_t index)
{
    if (r->run_end > r->run_begin && index >= runs_of(r)[r->run_end - 1].first) {
        return index <= r->last ? runs_of(r)[r->run_end - 1].term : 0;
    }
    return raft_log_term(r, index);
}

/* ---- raft_elect.c ---- */

void raft_elect_rest(struct raft *r); /* a new timeout from now */
void raft_elect_follow(struct raft *r, struct raft_out *out, uint64_t term, uint64_t leader);
void raft_elect_timeout(struct raft *r, struct raft_out *out);
void raft_elect_stand(struct raft *r, struct raft_out *out, bool transfer);
void raft_elect_count(struct raft *r, struct raft_out *out);
void raft_elect_prevote(struct raft *r, struct raft_out *out, const struct raft_msg *m);
void raft_elect_vote(struct raft *r, struct raft_out *out, const struct raft_msg *m);
void raft_elect_reply(struct raft *r, struct raft_out *out, const struct raft_msg *m);
bool raft_elect_may_stand(const struct raft *r);
bool raft_elect_sticky(const struct raft *r);

/* A leader gives up its office, and tells who is best placed to stand. */
void raft_elect_abdicate(struct raft *r, struct raft_out *out);
void raft_elect_transfer(struct raft *r, struct raft_out *out, uint64_t to, uint64_t context);
void raft_elect_transfer_over(struct raft *r, struct raft_out *out); /* it did not come about */
void raft_elect_hand(struct raft *r, struct raft_out *out); /* if the transferee has caught up */

/* ---- raft_lead.c ---- */

void raft_lead_begin(struct raft *r, struct raft_out *out);
enum raft_outcome raft_lead_propose(struct raft *r, struct raft_out *out,
                                    const struct raft_item *items, uint32_t count,
                                    struct raft_place *place);
void raft_lead_own(struct raft *r, struct raft_out *out, enum raft_kind kind,
                   const struct raft_config *config);
void raft_lead_push(struct raft *r, struct raft_out *out, struct raft_peer *p);
void raft_lead_push_all(struct raft *r, struct raft_out *out);
void raft_lead_beat(struct raft *r, struct raft_out *out);
/* At the end of a leader's step. */
void raft_lead_tell(struct raft *r, struct raft_out *out);
void raft_lead_append_reply(struct raft *r, struct raft_out *out, const struct raft_msg *m);
void raft_lead_beat_reply(struct raft *r, struct raft_out *out, const struct raft_msg *m);
void raft_lead_fetched(struct raft *r, struct raft_out *out, const struct raft_event *e);
/* A snapshot that covers `lo`, and what this log does not have. */
void raft_lead_snapshot(struct raft *r, struct raft_out *out, struct raft_peer *p, uint64_t lo);
void raft_lead_snapshot_sent(struct raft *r, const struct raft_event *e);
void raft_lead_unreachable(struct raft *r, uint64_t node);
void raft_lead_commit(struct raft *r, struct raft_out *out);
void raft_lead_fresh(struct raft *r, struct raft_peer *p, uint64_t session);

/* ---- raft_follow.c ---- */

/* False: the message belongs to a session that is over. */
bool raft_follow_touch(struct raft *r, struct raft_out *out, const struct raft_msg *m);
void raft_follow_append(struct raft *r, struct raft_out *out, const struct raft_msg *m);
void raft_follow_beat(struct raft *r, struct raft_out *out, const struct raft_msg *m);
void raft_follow_snapshot(struct raft *r, struct raft_out *out, const struct raft_msg *m);
void raft_follow_commit(struct raft *r);
void raft_follow_acknowledge(struct raft *r, struct raft_out *out);

/* ---- raft_read.c ---- */

void raft_read_ask(struct raft *r, struct raft_out *out, uint64_t from, uint64_t life,
                   uint64_t context, bool lease);
void raft_read_reply(struct raft *r, struct raft_out *out, const struct raft_msg *m);
void raft_read_confirm(struct raft *r, struct raft_out *out);
void raft_read_serve(struct raft *r, struct raft_out *out);
void raft_read_drop(struct raft *r, struct raft_out *out);
uint64_t raft_read_lease(const struct raft *r);

/* ---- raft_change.c ---- */

struct raft_peer *raft_change_peer(const struct raft *r, uint64_t id);
void raft_change_enter(struct raft *r, struct raft_out *out, uint64_t index,
                       const struct raft_config *config);
void raft_change_revert(struct raft *r, struct raft_out *out, uint64_t index);
void raft_change_rebuild(struct raft *r);
enum raft_outcome raft_change_ask(struct raft *r, struct raft_out *out,
                                  const struct raft_config *config, struct raft_place *place);
void raft_change_committed(struct raft *r, struct raft_out *out);
bool raft_change_sane(const struct raft *r, const struct raft_config *config);

/* The largest value that a quorum (of both configurations when joint) has reached; `field` is the
 * offset of an uint64_t in struct raft_peer. 0 without voters. */
uint64_t raft_change_quorum(const struct raft *r, size_t field);
/* A quorum whose `vote` is this. */
bool raft_change_voted(const struct raft *r, uint8_t vote);
bool raft_change_is_voter(const struct raft *r);
bool raft_change_is_alone(const struct raft *r);

/* ---- raft_mend.c ---- */

void raft_mend_fault(struct raft *r, struct raft_out *out, const struct raft_event *e);
void raft_mend_ask(struct raft *r, struct raft_out *out);
void raft_mend_timeout(struct raft *r, struct raft_out *out);
void raft_mend_answer(struct raft *r, struct raft_out *out, const struct raft_msg *m);
void raft_mend_reply(struct raft *r, struct raft_out *out, const struct raft_msg *m);
/* Items from index `first` on: repairs the first damage if they reach it. True: it wrote. */
bool raft_mend_from(struct raft *r, struct raft_out *out, uint64_t first,
                    const struct raft_item *items, uint32_t count);
void raft_mend_done(struct raft *r, struct raft_out *out);
void raft_mend_clip(struct raft *r, uint64_t lo, uint64_t hi); /* entries outside are gone */

#endif
