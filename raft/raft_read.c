/* raft_read.c - linearizable reads without the log (6.4): by a round of heartbeats, shared by all
 * that came before it, or by the leader's lease. */
#include "raft/raft_int.h"

/* Followers that answered what left at `start` elect nobody for an election timeout of theirs from
 * then on, by clocks that may run fast while ours runs slow (6.4.1). */
uint64_t raft_read_lease(const struct raft *r)
{
    if (!r->o.lease || r->state != RAFT_LEADER || r->handed || r->commit < r->term_first) {
        return 0;
    }
    uint64_t million = 1000000;
    uint64_t start = raft_change_is_alone(r)
                         ? r->now
                         : raft_change_quorum(r, offsetof(struct raft_peer, acked_stamp));
    uint64_t e = r->o.election;
    uint64_t slow = million - r->o.drift_ppm;
    uint64_t fast = million + r->o.drift_ppm;
    uint64_t length = e < UINT64_MAX / million ? e * slow / fast : e / fast * slow;
    return start != 0 && start + length > r->now ? start + length : 0;
}

static uint64_t confirmed(const struct raft *r)
{
    if (r->self_slot < r->peer_count) {
        peers_of(r)[r->self_slot].acked_probe = r->probe;
        peers_of(r)[r->self_slot].acked_stamp = r->now;
    }
    return raft_change_quorum(r, offsetof(struct raft_peer, acked_probe));
}

/* ---- asking ---- */

/* No leader here: pass it on, or say so. */
static void pass_on(struct raft *r, struct raft_out *out, uint64_t from, uint64_t life,
                    uint64_t context)
{
    if (from != r->o.self) {
        struct raft_msg *m = raft_send(r, out, RAFT_MSG_READ_REPLY, from);
        m->context = context;
        m->probe = life;
        m->commit = r->commit;
    } else if (r->leader == 0) {
        raft_reply(out, context, RAFT_NOT_LEADER, (struct raft_place){0, 0});
    } else {
        struct raft_msg *m = raft_send(r, out, RAFT_MSG_READ, r->leader);
        m->context = context;
        m->probe = r->life;
    }
}

static bool push_read(struct raft *r, struct raft_out *out, struct raft_read q)
{
    if (r->read_hi - r->read_lo == r->o.reads) {
        if (q.from == r->o.self) {
            raft_reply(out, q.context, RAFT_BUSY, (struct raft_place){0, 0});
        } else {
            struct raft_msg *m = raft_send(r, out, RAFT_MSG_READ_REPLY, q.from);
            m->context = q.context;
            m->probe = q.life;
        }
        return false;
    }
    *read_at(r, r->read_hi) = q;
    r->read_hi++;
    return true;
}

/* Others ask for rounds only: that their clocks ran on (they slept, say) is theirs to know.
 * What is committed now may be read, and all that was committed when this leader came: it knows
 * that only when the first entry of its term is (6.4, step 1). */
void raft_read_ask(struct raft *r, struct raft_out *out, uint64_t from, uint64_t life,
                   uint64_t context, bool lease)
{
    if (r->state != RAFT_LEADER) {
        pass_on(r, out, from, life, context);
        return;
    }
    uint64_t done = confirmed(r);
    struct raft_read q = {context, from, life, r->probe + 1, max_u64(r->commit, r->term_first)};
    bool sure = raft_change_is_alone(r) || (lease && raft_read_lease(r) != 0);
    if (sure) {
        q.probe = 0;
    }
    if (!push_read(r, out, q)) {
        return;
    }
    if (sure) {
        saw(out, RAFT_SEEN_LEASE_READ);
    } else if (r->probe - min_u64(done, r->probe) < r->o.rounds) {
        raft_lead_beat(r, out);
    } else {
        r->wanted = true;
        saw(out, RAFT_SEEN_ROUND_SHARED);
    }
    raft_read_confirm(r, out);
}

/* ---- answers ---- */

/* Rounds are numbered in the order in which they begin, so reads are confirmed in order. */
void raft_read_confirm(struct raft *r, struct raft_out *out)
{
    if (r->read_mid == r->read_hi) {
        return;
    }
    uint64_t done = confirmed(r);
    for (; r->read_mid < r->read_hi && read_at(r, r->read_mid)->probe <= done; r->read_mid++) {
        const struct raft_read *q = read_at(r, r->read_mid);
        if (q->from != r->o.self) {
            struct raft_msg *m = raft_send(r, out, RAFT_MSG_READ_REPLY, q->from);
            m->ok = true;
            m->context = q->context;
            m->probe = q->life;
            m->index = q->index;
            m->commit = r->commit;
        }
    }
    if (r->wanted && r->probe - min_u64(done, r->probe) < r->o.rounds) {
        r->wanted = false;
        raft_lead_beat(r, out);
    }
    raft_read_serve(r, out);
}

/* The leader's word for a read of ours. It holds whatever has happened since: what was committed
 * when it was asked is in `index`. */
void raft_read_reply(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    if (m->probe != r->life) {
        return; /* an earlier life of this node asked that */
    }
    if (!m->ok) {
        raft_reply(out, m->context, RAFT_LOST, (struct raft_place){0, 0});
        return;
    }
    if (m->term == r->hard.term && m->from == r->leader) {
        r->leader_commit = max_u64(r->leader_commit, m->commit);
        raft_follow_commit(r);
    }
    struct raft_read q = {m->context, r->o.self, r->life, 0, m->index};
    if (push_read(r, out, q) && r->read_mid + 1 == r->read_hi) {
        r->read_mid++;
    }
    raft_read_serve(r, out);
}

/* Those whose index has been applied. */
void raft_read_serve(struct raft *r, struct raft_out *out)
{
    for (; r->read_lo < r->read_mid; r->read_lo++) {
        const struct raft_read *q = read_at(r, r->read_lo);
        if (q->from != r->o.self) {
            continue; /* answered when it was confirmed */
        }
        if (q->index > r->applied) {
            return;
        }
        struct raft_action *a = raft_act(out, RAFT_READY);
        a->context = q->context;
        a->lease = q->probe == 0 ? raft_read_lease(r) : 0;
    }
}

/* Nobody confirms these any more. */
void raft_read_drop(struct raft *r, struct raft_out *out)
{
    for (uint64_t i = r->read_mid; i < r->read_hi; i++) {
        const struct raft_read *q = read_at(r, i);
        if (q->from == r->o.self) {
            raft_reply(out, q->context, RAFT_LOST, (struct raft_place){0, 0});
        } else {
            struct raft_msg *m = raft_send(r, out, RAFT_MSG_READ_REPLY, q->from);
            m->context = q->context;
            m->probe = q->life;
        }
    }
    r->read_hi = r->read_mid;
}
