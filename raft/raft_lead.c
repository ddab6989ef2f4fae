/* raft_lead.c - a leader: its log to everybody else's, and what is committed (3.5, 3.6, 10.2). */
#include "raft/raft_int.h"

/* ---- taking office ---- */

/* A new stream: nothing is known but that what is committed here is committed. */
void raft_lead_fresh(struct raft *r, struct raft_peer *p, uint64_t session)
{
    p->match = 0;
    p->next = r->last + 1;
    p->session = session;
    p->contact = r->now;
    p->acked_probe = 0;
    p->acked_stamp = 0;
    p->beat_probe = p->beat_next = 0;
    p->told = 0;
    p->cold_hi = p->cold_bytes = p->fetch = 0;
    p->probe_hi = 0;
    p->flow = RAFT_FLOW_PROBE;
}

/* Its own disk answers like any peer, without messages (10.2.1). */
static void note_self(struct raft *r)
{
    if (r->self_slot < r->peer_count) {
        struct raft_peer *self = &peers_of(r)[r->self_slot];
        self->match = durable_of(r);
        self->acked_probe = r->probe;
        self->acked_stamp = r->now;
        self->contact = r->now;
    }
}

/* The no-op lets it find out, and say, what is committed (6.4, step 1). */
void raft_lead_begin(struct raft *r, struct raft_out *out)
{
    struct raft_peer *peers = peers_of(r);
    CK(r->state == RAFT_CANDIDATE);
    CK(r->hard.vote == r->o.self);
    if (raft_log_room(r, out, &(struct raft_item){0}, 1, r->hard.term) < 1) {
        raft_elect_follow(r, out, r->hard.term, 0); /* its disk is far behind: let others */
        return;
    }
    raft_elect_transfer_over(r, out);
    r->state = RAFT_LEADER;
    r->leader = r->o.self;
    r->term_first = r->last + 1;
    r->wanted = false;
    r->handed = false;
    r->heartbeat_at = r->now + r->o.heartbeat;
    r->election_at = r->now + r->o.election; /* now its time to have heard a quorum */
    for (uint32_t i = 0; i < r->peer_count; i++) {
        raft_lead_fresh(r, &peers[i], r->term_first);
        peers[i].acked_probe = r->probe; /* no read waits for those */
    }
    saw(out, RAFT_SEEN_ELECTED);
    raft_lead_own(r, out, RAFT_NOOP, NULL);
}

/* ---- what goes out ---- */

static uint64_t flight_bytes(const struct raft *r, const struct raft_peer *p)
{
    return raft_log_bytes(r, p->match + 1, p->next) + p->cold_bytes;
}

static bool window_full(const struct raft *r, const struct raft_peer *p)
{
    return p->next - 1 - p->match >= r->o.flight_entries ||
           (p->next - 1 > p->match && flight_bytes(r, p) >= r->o.flight_bytes);
}

/* What a message to the peer says of the commit, and what is remembered of that. */
static uint64_t commit_told(const struct raft *r, struct raft_peer *p)
{
    p->told = r->o.lazy_commit ? 0 : r->commit;
    return r->commit;
}

static void send_append(struct raft *r, struct raft_out *out, struct raft_peer *p, uint64_t hi)
{
    struct raft_msg *m = raft_send(r, out, RAFT_MSG_APPEND, p->id);
    m->session = p->session;
    m->probe = r->probe;
    m->stamp = r->now;
    m->place = (struct raft_place){p->next - 1, term_at(r, p->next - 1)};
    m->count = (uint32_t)(hi - p->next);
    m->commit = commit_told(r, p);
    if (p->flow == RAFT_FLOW_PROBE) {
        p->probe_hi = hi;
    } else {
        p->next = hi;
    }
}

/* What it needs is not in the log any more, or its terms were forgotten, or it is damaged here. */
static bool needs_snapshot(const struct raft *r, const struct raft_peer *p)
{
    return p->next <= r->floor.index ||
           (r->damage_count > 0 && p->next >= r->damage[0].lo && p->next < r->damage[0].hi);
}

void raft_lead_snapshot(struct raft *r, struct raft_out *out, struct raft_peer *p, uint64_t lo)
{
    struct raft_msg *m = raft_send(r, out, RAFT_MSG_SNAPSHOT, p->id);
    struct raft_action *a = &out->actions[out->count - 1];
    m->session = p->session;
    m->probe = r->probe;
    m->stamp = r->now;
    m->commit = commit_told(r, p);
    a->type = RAFT_SNAPSHOT;
    a->node = p->id;
    a->session = p->session;
    a->lo = max_u64(r->floor.index, lo);
    p->flow = RAFT_FLOW_SNAPSHOT;
    p->probe_hi = 0;
    p->fetch = 0;
    saw(out, RAFT_SEEN_SNAPSHOT_NEEDED);
}

/* Below warm the payloads are on disk only: read first, send when they are here. */
static void ask_fetch(struct raft *r, struct raft_out *out, struct raft_peer *p)
{
    if (p->fetch != 0) {
        return;
    }
    struct raft_action *a = raft_act(out, RAFT_FETCH);
    a->node = p->id;
    a->lo = p->next;
    a->hi = min_u64(min_u64(r->warm, r->last + 1), p->next + r->o.message_entries);
    if (r->damage_count > 0 && r->damage[0].lo > a->lo) {
        a->hi = min_u64(a->hi, r->damage[0].lo);
    }
    a->bytes = r->o.message_bytes;
    p->fetch = p->next;
    saw(out, RAFT_SEEN_FETCH);
}

/* One append, or what must come before it. False: nothing more to do for this peer now. */
static bool push_one(struct raft *r, struct raft_out *out, struct raft_peer *p)
{
    bool probing = p->flow == RAFT_FLOW_PROBE;
    if (is_self(r, p) || p->flow == RAFT_FLOW_SNAPSHOT || (probing && p->probe_hi != 0) ||
        (!probing && p->next > r->last)) {
        return false;
    }
    if (needs_snapshot(r, p)) {
        raft_lead_snapshot(r, out, p, p->next);
        return false;
    }
    if (p->next > r->last) {
        send_append(r, out, p, p->next); /* where do the logs meet? */
        return false;
    }
    if (!probing && window_full(r, p)) {
        saw(out, RAFT_SEEN_THROTTLED);
        return false;
    }
    if (p->next < r->warm) {
        ask_fetch(r, out, p);
        return false;
    }
    uint64_t hi = probing ? r->last + 1 : p->match + 1 + r->o.flight_entries;
    if (r->damage_count > 0 && r->damage[0].lo > p->next) {
        hi = min_u64(hi, r->damage[0].lo);
    }
    send_append(r, out, p, raft_log_cut(r, p->next, hi));
    return !probing;
}

void raft_lead_push(struct raft *r, struct raft_out *out, struct raft_peer *p)
{
    for (int i = 0; i < RAFT_BURST; i++) {
        if (!push_one(r, out, p)) {
            return;
        }
    }
    r->more = r->more || (p->next <= r->last && !window_full(r, p));
}

void raft_lead_push_all(struct raft *r, struct raft_out *out)
{
    struct raft_peer *peers = peers_of(r);
    r->more = false;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        raft_lead_push(r, out, &peers[i]);
    }
}

/* A round: who answers it has not heard of a later leader when it left here. What was sent before
 * it should have arrived when it is answered. */
static void send_beat(struct raft *r, struct raft_out *out, struct raft_peer *p)
{
    struct raft_msg *m = raft_send(r, out, RAFT_MSG_HEARTBEAT, p->id);
    m->session = p->session;
    m->probe = r->probe;
    m->stamp = r->now;
    m->commit = commit_told(r, p);
}

/* Somebody may wait there for what is committed. While more entries are on their way they bring the
 * news along; to whom has them all it is sent by itself. */
void raft_lead_tell(struct raft *r, struct raft_out *out)
{
    struct raft_peer *peers = peers_of(r);
    for (uint32_t i = 0; i < r->peer_count && !r->o.lazy_commit; i++) {
        struct raft_peer *p = &peers[i];
        bool idle = p->flow == RAFT_FLOW_STREAM && p->match + 1 == p->next;
        if (i != r->self_slot && idle && p->told < min_u64(r->commit, p->match)) {
            send_beat(r, out, p);
        }
    }
}

void raft_lead_beat(struct raft *r, struct raft_out *out)
{
    struct raft_peer *peers = peers_of(r);
    r->probe++;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        struct raft_peer *p = &peers[i];
        if (i == r->self_slot) {
            continue;
        }
        send_beat(r, out, p);
        if (p->beat_next == 0) {
            p->beat_probe = r->probe;
            p->beat_next = p->flow == RAFT_FLOW_PROBE ? p->probe_hi : p->next;
        }
    }
    note_self(r);
}

/* ---- what comes in ---- */

/* The core's own entries: a no-op, a configuration. */
void raft_lead_own(struct raft *r, struct raft_out *out, enum raft_kind kind,
                   const struct raft_config *config)
{
    out->own = (struct raft_item){.term = r->hard.term, .kind = (uint8_t)kind, .config = config};
    raft_log_append(r, out, &out->own, 1, r->hard.term, 0);
    out->save.own = true;
    if (config != NULL) {
        out->own.config = &r->config;
    }
    raft_lead_push_all(r, out);
}

enum raft_outcome raft_lead_propose(struct raft *r, struct raft_out *out,
                                    const struct raft_item *items, uint32_t count,
                                    struct raft_place *place)
{
    if (r->state != RAFT_LEADER) {
        return RAFT_NOT_LEADER;
    }
    uint64_t bytes = raft_log_bytes(r, r->applied + 1, r->last + 1);
    if (r->transferee != 0 ||
        r->last - min_u64(r->last, r->applied) + count > r->o.backlog_entries ||
        bytes >= r->o.backlog_bytes || raft_log_room(r, out, items, count, r->hard.term) < count) {
        saw(out, RAFT_SEEN_BUSY);
        return RAFT_BUSY;
    }
    *place = (struct raft_place){r->last + 1, r->hard.term};
    raft_log_append(r, out, items, count, r->hard.term, 0);
    raft_lead_push_all(r, out);
    return RAFT_TAKEN;
}

/* The peer that answers in this term and session; NULL: an answer to somebody else's message. */
static struct raft_peer *answering(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    struct raft_peer *p = r->state == RAFT_LEADER ? raft_change_peer(r, m->from) : NULL;
    if (p == NULL || is_self(r, p)) {
        return NULL;
    }
    if (p->session != m->session || p->incarnation != m->incarnation) {
        saw(out, RAFT_SEEN_STALE_SESSION);
        return NULL;
    }
    p->contact = r->now;
    p->acked_stamp = max_u64(p->acked_stamp, min_u64(m->stamp, r->now));
    if (m->probe > p->acked_probe) {
        p->acked_probe = min_u64(m->probe, r->probe);
        raft_read_confirm(r, out);
    }
    return p;
}

/* It has this much on its disk. True: that is news. */
static bool note_match(struct raft_peer *p, uint64_t match)
{
    if (match <= p->match) {
        return false;
    }
    p->match = match;
    p->next = max_u64(p->next, match + 1);
    if (p->match >= p->cold_hi) {
        p->cold_hi = p->cold_bytes = 0;
    }
    return true;
}

/* The logs meet: from now on appends are sent ahead of their answers (10.2.2). */
static void stream_from(struct raft_peer *p, uint64_t next)
{
    p->flow = RAFT_FLOW_STREAM;
    p->next = max_u64(next, p->match + 1);
    p->probe_hi = 0;
    p->beat_next = 0;
}

/* One append at a time from here on, until an answer says that the logs meet. */
static void probe_from(struct raft_peer *p, uint64_t next)
{
    p->flow = RAFT_FLOW_PROBE;
    p->next = max_u64(next, p->match + 1);
    p->probe_hi = 0;
    p->beat_next = 0;
    p->fetch = 0;
}

static void refused(struct raft *r, struct raft_out *out, struct raft_peer *p,
                    const struct raft_msg *m)
{
    bool expected = p->flow == RAFT_FLOW_STREAM ||
                    (p->flow == RAFT_FLOW_PROBE && p->probe_hi != 0 && m->index == p->next - 1);
    if (!expected || m->index <= p->match || m->index == 0) {
        return; /* an old one */
    }
    struct raft_place meet = {min_u64(m->place.index, m->index - 1), m->place.term};
    uint64_t at = raft_log_meet(r, meet);
    if (meet.index < r->floor.index) {
        at = meet.index; /* behind what is known here: a snapshot will do */
    }
    probe_from(p, max_u64(at, m->accepted) + 1);
    saw(out, RAFT_SEEN_BACKTRACK);
}

/* After news of a peer: commit, which may change who is a member and who leads; send more. */
static void go_on(struct raft *r, struct raft_out *out, uint64_t node, bool moved)
{
    if (moved) {
        raft_lead_commit(r, out);
    }
    struct raft_peer *p = r->state == RAFT_LEADER ? raft_change_peer(r, node) : NULL;
    if (p != NULL) {
        raft_lead_push(r, out, p);
        raft_elect_hand(r, out);
    }
}

void raft_lead_append_reply(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    struct raft_peer *p = answering(r, out, m);
    if (p == NULL) {
        return;
    }
    bool moved = false;
    uint64_t accepted = min_u64(m->accepted, r->last);
    if (!m->ok) {
        refused(r, out, p, m);
    } else {
        moved = note_match(p, min_u64(m->index, r->last));
        bool met = p->flow == RAFT_FLOW_PROBE && accepted + 1 >= p->next;
        bool caught = p->flow == RAFT_FLOW_SNAPSHOT && accepted >= r->floor.index;
        if (met || caught) {
            stream_from(p, accepted + 1);
        }
    }
    go_on(r, out, m->from, moved);
}

/* When a heartbeat is answered, what left before it has arrived, or has been lost. */
void raft_lead_beat_reply(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    struct raft_peer *p = answering(r, out, m);
    if (p == NULL) {
        return;
    }
    uint64_t accepted = min_u64(m->accepted, r->last);
    uint64_t expected = m->probe >= p->beat_probe ? p->beat_next : 0;
    bool moved = note_match(p, min_u64(m->index, r->last));
    if (expected != 0) {
        p->beat_next = 0;
    }
    if (p->flow == RAFT_FLOW_SNAPSHOT) {
        if (accepted >= r->floor.index) {
            stream_from(p, accepted + 1);
        }
    } else if (p->flow == RAFT_FLOW_PROBE && p->probe_hi != 0 && accepted + 1 >= p->probe_hi) {
        stream_from(p, accepted + 1);
    } else if (expected != 0 && accepted + 1 < expected) {
        probe_from(p, p->flow == RAFT_FLOW_STREAM ? accepted + 1 : p->next);
        saw(out, RAFT_SEEN_RESEND);
    }
    go_on(r, out, m->from, moved);
}

/* ---- commitment ---- */

/* Only an entry of its own term is committed by counting; those before it with it (3.6.2,
 * figure 3.7). The leader's own disk is one of those counted (10.2.1). */
void raft_lead_commit(struct raft *r, struct raft_out *out)
{
    note_self(r);
    uint64_t match = min_u64(raft_change_quorum(r, offsetof(struct raft_peer, match)), r->last);
    if (match <= r->commit) {
        return;
    }
    if (match < r->term_first) {
        saw(out, RAFT_SEEN_OLD_TERM_HELD);
        return;
    }
    r->commit = match;
    if (match > durable_of(r)) {
        saw(out, RAFT_SEEN_COMMIT_SANS_SELF);
    }
    raft_change_committed(r, out);
}

/* ---- the driver's news ---- */

void raft_lead_fetched(struct raft *r, struct raft_out *out, const struct raft_event *e)
{
    struct raft_peer *p = r->state == RAFT_LEADER ? raft_change_peer(r, e->node) : NULL;
    if (p == NULL || p->fetch == 0 || e->lo != p->fetch) {
        return;
    }
    p->fetch = 0;
    bool wanted = e->lo == p->next && e->hi > e->lo && e->hi <= r->last + 1 &&
                  p->flow != RAFT_FLOW_SNAPSHOT &&
                  (p->flow == RAFT_FLOW_STREAM || p->probe_hi == 0) && !needs_snapshot(r, p);
    if (wanted) {
        p->cold_hi = e->hi - 1;
        p->cold_bytes += e->bytes;
        send_append(r, out, p, e->hi);
    }
    raft_lead_push(r, out, p);
}

/* Whether it helped, the next heartbeats tell. */
void raft_lead_snapshot_sent(struct raft *r, const struct raft_event *e)
{
    struct raft_peer *p = r->state == RAFT_LEADER ? raft_change_peer(r, e->node) : NULL;
    if (p != NULL && p->session == e->session && p->flow == RAFT_FLOW_SNAPSHOT) {
        probe_from(p, p->next);
        p->probe_hi = p->next + 1; /* as if one were on its way */
    }
}

/* What was sent is probably lost, or what was to be sent could not be read: wait for a sign of
 * life, then begin where it was. */
void raft_lead_unreachable(struct raft *r, uint64_t node)
{
    struct raft_peer *p = r->state == RAFT_LEADER ? raft_change_peer(r, node) : NULL;
    if (p != NULL && p->flow != RAFT_FLOW_SNAPSHOT && !is_self(r, p)) {
        probe_from(p, p->flow == RAFT_FLOW_STREAM ? p->match + 1 : p->next);
        p->probe_hi = p->next + 1;
    }
}
