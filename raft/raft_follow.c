/* raft_follow.c - a follower: what a leader says about the log (3.5), snapshots (5). */
#include "raft/raft_int.h"

/* The leader of this term was heard. False: in a session that is over. */
bool raft_follow_touch(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    CK(r->state != RAFT_LEADER); /* two leaders in a term: election safety is gone */
    CK(r->leader == 0 || r->leader == m->from);
    if (r->leader == 0 || r->state != RAFT_FOLLOWER) {
        raft_elect_follow(r, out, r->hard.term, m->from);
    }
    if (m->session < r->session) {
        saw(out, RAFT_SEEN_STALE_SESSION);
        return false;
    }
    if (m->session > r->session) { /* it may have been away: begin anew */
        r->session = m->session;
        r->accepted = r->commit;
        r->owes = false;
    }
    r->stuck = false;
    r->election_at = r->now + r->timeout;
    r->sticky_until = r->now + r->o.election;
    r->leader_commit = max_u64(r->leader_commit, m->commit);
    return true;
}

/* As far as the leader has vouched for what is here (3.5; a late message cannot move it back). */
void raft_follow_commit(struct raft *r)
{
    r->commit = max_u64(r->commit, min_u64(r->leader_commit, r->accepted));
}

static void answer(struct raft *r, struct raft_out *out, const struct raft_msg *m,
                   enum raft_msg_type type)
{
    struct raft_msg *a = raft_send(r, out, type, m->from);
    a->ok = true;
    a->session = r->session;
    a->probe = m->probe;
    a->stamp = m->stamp;
    a->accepted = r->accepted;
    a->index = min_u64(r->accepted, durable_of(r));
}

/* An acknowledgement leaves when all is durable that it is about (O3); those that were owed in
 * the meantime are one. */
static void acknowledge_or_owe(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    if (r->accepted <= durable_of(r) || m->count == 0) {
        answer(r, out, m, RAFT_MSG_APPEND_REPLY);
    }
    if (r->accepted > durable_of(r)) {
        r->owes = true;
        r->owed_probe = m->probe;
        r->owed_stamp = m->stamp;
    }
}

void raft_follow_acknowledge(struct raft *r, struct raft_out *out)
{
    if (!r->owes || r->leader == 0 || r->state != RAFT_FOLLOWER) {
        return;
    }
    struct raft_msg m = {.from = r->leader, .probe = r->owed_probe, .stamp = r->owed_stamp};
    r->owes = r->accepted > durable_of(r);
    answer(r, out, &m, RAFT_MSG_APPEND_REPLY);
}

static void refuse(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    struct raft_msg *a = raft_send(r, out, RAFT_MSG_APPEND_REPLY, m->from);
    uint64_t at = max_u64(raft_log_meet(r, m->place), r->commit);
    a->session = r->session;
    a->probe = m->probe;
    a->stamp = m->stamp;
    a->accepted = r->accepted;
    a->index = m->place.index;
    a->place = (struct raft_place){at, term_at(r, at)};
    saw(out, RAFT_SEEN_REFUSED);
}

/* The entries of m from the i-th on, which come at index `at`: those that are here already stay
 * (an old append shortens nothing), the first that conflicts takes all behind it along, what is
 * new is taken as far as there is room. Returns how far the log agrees then. */
static uint64_t merge(struct raft *r, struct raft_out *out, const struct raft_msg *m, uint32_t i,
                      uint64_t at)
{
    while (i < m->count && at <= r->last && term_at(r, at) == m->items[i].term) {
        i++;
        at++;
    }
    if (i == m->count) {
        return at - 1;
    }
    if (at <= r->last) {
        raft_log_truncate(r, out, at);
    }
    uint32_t n = raft_log_room(r, out, m->items + i, m->count - i, 0);
    if (n > 0) {
        raft_log_append(r, out, m->items + i, n, 0, i);
    }
    return r->last;
}

void raft_follow_append(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    if (!raft_follow_touch(r, out, m)) {
        return;
    }
    uint64_t prev = m->place.index;
    uint64_t end = prev + m->count;
    if (raft_mend_from(r, out, prev + 1, m->items, m->count)) {
        return; /* this step's write is a repair: the leader finds out what is missing */
    }
    if (end > r->commit) {
        uint32_t skip = prev < r->commit ? (uint32_t)(r->commit - prev) : 0;
        struct raft_place at = m->place;
        if (skip > 0) {
            at = (struct raft_place){r->commit, m->items[skip - 1].term};
            CK(term_at(r, r->commit) == at.term); /* a leader that lacks what is committed */
        }
        if (at.index > r->last || term_at(r, at.index) != at.term) {
            refuse(r, out, m);
            return;
        }
        end = merge(r, out, m, skip, at.index + 1);
    }
    r->accepted = max_u64(r->accepted, end);
    raft_follow_commit(r);
    acknowledge_or_owe(r, out, m);
}

void raft_follow_beat(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    if (!raft_follow_touch(r, out, m)) {
        return;
    }
    raft_follow_commit(r);
    answer(r, out, m, RAFT_MSG_HEARTBEAT_REPLY);
    if (r->damage_count > 0) {
        raft_mend_ask(r, out);
    }
}

/* The state machine as the leader had it (5). Where the log holds the snapshot's last entry it
 * holds all before it too, and nothing need be installed, but for what is damaged. */
void raft_follow_snapshot(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    if (!raft_follow_touch(r, out, m)) {
        return;
    }
    struct raft_place place = m->place;
    bool hurt = r->damage_count > 0 && r->damage[0].lo <= place.index;
    bool held = place.index <= r->commit ||
                (place.index <= r->last && term_at(r, place.index) == place.term);
    if (place.index > r->commit || (hurt && place.index > r->applied)) {
        if (!held || hurt) {
            struct raft_write *w = raft_log_write(r, out);
            w->has_snapshot = true;
            w->place = place;
            w->keep = held;
            raft_log_rebase(r, place, held);
            raft_log_pend(r, out);
            r->snap_seq = w->seq;
            r->snap = place;
            if (!held || r->config_index <= place.index) {
                raft_change_enter(r, out, place.index, m->config);
                r->before_index = RAFT_NEVER;
            }
            w->config = m->config;
            saw(out, held ? RAFT_SEEN_SNAPSHOT_KEPT : RAFT_SEEN_SNAPSHOT_IN);
        }
        r->commit = max_u64(r->commit, place.index);
        r->accepted = max_u64(r->accepted, place.index);
    }
    raft_follow_commit(r);
    acknowledge_or_owe(r, out, m);
}
