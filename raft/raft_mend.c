/* raft_mend.c - entries that were in the log and cannot be read any more.
 *
 * The identities of such entries are known, so the node keeps their place: it votes as one that
 * has them, and does not stand, acknowledge or apply beyond the gap. It gets them from any peer
 * that holds the same (index, term), or learns from a majority of voters, in later terms than the
 * entry's, that they do not hold it: then it was never committed, cannot be any more in its own
 * term, and may be dropped with all behind it (Alagappan et al., "Protocol-aware recovery for
 * consensus-based storage", FAST'18). In a later term: a voter that has left the entry's
 * term can never be one of those that acknowledge it there.
 *
 * Of two voters, or of four when power fails, there may be no such majority for ever: then each
 * other voter has to say that it lacks the entry or cannot read it either. Nobody can give it back
 * any more; and if it was committed more voters than one have lost it, which only damage beyond any
 * budget does: what a power loss tears was never acknowledged. */
#include "raft/raft_int.h"

/* ---- ranges ---- */

static void drop_range(struct raft *r, uint32_t i)
{
    r->damage_count--;
    for (; i < r->damage_count; i++) {
        r->damage[i] = r->damage[i + 1];
    }
}

/* Ascending and disjoint; those that touch are one, and the last two when there are too many. */
static void add_range(struct raft *r, struct raft_range range)
{
    uint32_t at = 0;
    while (at < r->damage_count && r->damage[at].hi < range.lo) {
        at++;
    }
    while (at < r->damage_count && r->damage[at].lo <= range.hi) {
        range.lo = min_u64(range.lo, r->damage[at].lo);
        range.hi = max_u64(range.hi, r->damage[at].hi);
        drop_range(r, at);
    }
    if (r->damage_count == RAFT_RANGES) {
        uint32_t with = at > 0 ? at - 1 : 0;
        r->damage[with].lo = min_u64(r->damage[with].lo, range.lo);
        r->damage[with].hi = max_u64(r->damage[with].hi, range.hi);
        return;
    }
    for (uint32_t i = r->damage_count; i > at; i--) {
        r->damage[i] = r->damage[i - 1];
    }
    r->damage[at] = range;
    r->damage_count++;
}

/* Only [lo, hi) is still in the log. */
void raft_mend_clip(struct raft *r, uint64_t lo, uint64_t hi)
{
    for (uint32_t i = r->damage_count; i-- > 0;) {
        r->damage[i].lo = max_u64(r->damage[i].lo, lo);
        r->damage[i].hi = min_u64(r->damage[i].hi, hi);
        if (r->damage[i].lo >= r->damage[i].hi) {
            drop_range(r, i);
        }
    }
    r->mend_hi = min_u64(r->mend_hi, hi);
}

/* ---- learning of it ---- */

void raft_mend_fault(struct raft *r, struct raft_out *out, const struct raft_event *e)
{
    struct raft_range range = {max_u64(e->lo, r->base.index + 1), min_u64(e->hi, r->last + 1)};
    if (range.lo >= range.hi) {
        return;
    }
    saw(out, RAFT_SEEN_DAMAGE);
    /* What is behind it is of the same group, the log's last: as little was promised of that. */
    if (e->fault == RAFT_FAULT_TORN && range.lo > r->commit && raft_change_is_alone(r) &&
        r->state == RAFT_FOLLOWER) {
        raft_log_truncate(r, out, range.lo);
        saw(out, RAFT_SEEN_CUT);
        return;
    }
    add_range(r, range);
    for (uint32_t i = 0; i < r->peer_count; i++) {
        peers_of(r)[i].absent = 0;
    }
    bool leads_on = r->state == RAFT_LEADER && range.hi - 1 <= r->applied;
    if (r->state == RAFT_LEADER && !leads_on) {
        raft_elect_abdicate(r, out);
    } else if (r->state != RAFT_LEADER && r->state != RAFT_FOLLOWER) {
        raft_elect_follow(r, out, r->hard.term, 0);
    }
    raft_mend_ask(r, out);
}

/* No leader was heard for an election timeout. If the damaged entry is of the present term and
 * somebody lacks it, a new term has to begin before anything can be proven: with a vote for nobody.
 * Once, as that term is then over. */
void raft_mend_timeout(struct raft *r, struct raft_out *out)
{
    if (r->damage_count > 0) {
        r->leader = 0;
        if (r->stuck && term_at(r, r->damage[0].lo) == r->hard.term) {
            raft_elect_follow(r, out, r->hard.term + 1, 0);
        }
        r->stuck = false;
        raft_mend_ask(r, out);
    }
}

static void ask(struct raft *r, struct raft_out *out, uint64_t to)
{
    struct raft_msg *m = raft_send(r, out, RAFT_MSG_FETCH, to);
    m->place = (struct raft_place){r->damage[0].lo, term_at(r, r->damage[0].lo)};
    m->index = min_u64(r->damage[0].hi, r->damage[0].lo + RAFT_MEND);
    m->probe = r->life;
}

/* Asks for the first gap: the leader, if there is another, for he has it, and he may be no member
 * as far as this log goes; else everybody. */
void raft_mend_ask(struct raft *r, struct raft_out *out)
{
    const struct raft_peer *peers = peers_of(r);
    if (r->damage_count == 0) {
        return;
    }
    if (r->leader != 0 && r->leader != r->o.self) {
        ask(r, out, r->leader);
        return;
    }
    for (uint32_t i = 0; i < r->peer_count; i++) {
        if (i != r->self_slot) {
            ask(r, out, peers[i].id);
        }
    }
}

/* ---- helping others ---- */

/* How many entries from lo on are whole here. */
static uint32_t whole_from(const struct raft *r, uint64_t lo, uint64_t hi)
{
    hi = min_u64(hi, r->last + 1);
    for (uint32_t i = 0; i < r->damage_count; i++) {
        if (r->damage[i].hi > lo) {
            hi = min_u64(hi, max_u64(r->damage[i].lo, lo));
        }
    }
    return hi > lo ? (uint32_t)min_u64(hi - lo, RAFT_MEND) : 0;
}

static bool damaged_at(const struct raft *r, uint64_t index)
{
    for (uint32_t i = 0; i < r->damage_count; i++) {
        if (index >= r->damage[i].lo && index < r->damage[i].hi) {
            return true;
        }
    }
    return false;
}

/* What is said to be missing must be missing from the disk too: it waits for all writes. */
void raft_mend_answer(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    uint64_t lo = m->place.index;
    bool known = lo > r->floor.index && !damaged_at(r, lo);
    struct raft_peer *p = r->state == RAFT_LEADER ? raft_change_peer(r, m->from) : NULL;
    if (lo <= r->floor.index && p != NULL && !is_self(r, p) && p->flow != RAFT_FLOW_SNAPSHOT) {
        raft_lead_snapshot(r, out, p, lo); /* only that helps it now */
    }
    struct raft_msg *a = raft_send(r, out, RAFT_MSG_FETCH_REPLY, m->from);
    a->ok = known;
    /* With its term, but not known: it was here, too. */
    a->place = (struct raft_place){lo, lo > r->floor.index ? term_at(r, lo) : 0};
    a->count = known ? whole_from(r, lo, m->index) : 0;
    a->index = r->last;
    a->probe = m->probe;
    uint64_t seq = max_u64(r->seq, out->save.seq);
    out->actions[out->count - 1].after = seq > r->done ? seq : 0;
}

/* ---- being helped ---- */

bool raft_mend_from(struct raft *r, struct raft_out *out, uint64_t first,
                    const struct raft_item *items, uint32_t count)
{
    if (r->damage_count == 0 || r->mend_seq > r->done || first > r->damage[0].lo ||
        first + count <= r->damage[0].lo) {
        return false;
    }
    uint64_t lo = r->damage[0].lo;
    uint64_t hi = min_u64(r->damage[0].hi, first + count);
    uint64_t at = lo;
    while (at < hi && items[at - first].term == term_at(r, at)) {
        at++;
    }
    if (at == lo) {
        return false; /* it conflicts: as any append then */
    }
    struct raft_write *w = raft_log_write(r, out);
    w->repair = true;
    w->lo = lo;
    w->hi = at;
    w->items = items + (lo - first);
    w->skip = (uint32_t)(lo - first);
    r->mend_seq = w->seq;
    r->mend_hi = at;
    return true;
}

/* A repair is durable. */
void raft_mend_done(struct raft *r, struct raft_out *out)
{
    if (r->mend_seq == 0 || r->mend_seq > r->done) {
        return;
    }
    if (r->damage_count > 0 && r->mend_hi > r->damage[0].lo) {
        r->damage[0].lo = min_u64(r->mend_hi, r->damage[0].hi);
        if (r->damage[0].lo == r->damage[0].hi) {
            drop_range(r, 0);
        }
        saw(out, RAFT_SEEN_REPAIRED);
    }
    r->mend_seq = 0;
    r->mend_hi = 0;
    raft_mend_ask(r, out);
}

static bool is_voter_else(const struct raft *r, uint32_t i, uint8_t role)
{
    return i != r->self_slot && (peers_of(r)[i].roles & role) != 0;
}

static bool most_lack(const struct raft *r, uint64_t index, uint8_t role)
{
    const struct raft_peer *peers = peers_of(r);
    uint32_t voters = 0;
    uint32_t lack = 0;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        voters += (peers[i].roles & role) != 0;
        lack += is_voter_else(r, i, role) && peers[i].absent == index && !peers[i].broken;
    }
    return voters == 0 ? role == RAFT_OUT : lack > voters / 2;
}

static bool all_others_lack(const struct raft *r, uint64_t index, uint8_t role)
{
    const struct raft_peer *peers = peers_of(r);
    uint32_t others = 0;
    uint32_t lack = 0;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        others += is_voter_else(r, i, role);
        lack += is_voter_else(r, i, role) && peers[i].absent == index;
    }
    return others == 0 ? role == RAFT_OUT : lack == others;
}

/* A configuration behind the entry may be why it was never committed, or one that came after: those
 * of the one before have to lack it as well. */
static bool all_before_lack(const struct raft *r, uint64_t index)
{
    uint32_t others = 0;
    if (r->config_index <= index) {
        return true;
    }
    for (uint32_t i = 0; r->before_index != RAFT_NEVER && i < r->before.count; i++) {
        const struct raft_member *m = &r->before.members[i];
        if ((m->roles & (RAFT_IN | RAFT_OUT)) != 0 && m->id != r->o.self) {
            const struct raft_peer *p = raft_change_peer(r, m->id);
            if (p == NULL || p->incarnation != m->incarnation || p->absent != index) {
                return false;
            }
            others++;
        }
    }
    return others > 0;
}

/* Nobody has it, and nobody will. */
static bool proven_absent(const struct raft *r, uint64_t index)
{
    bool most = most_lack(r, index, RAFT_IN) && most_lack(r, index, RAFT_OUT);
    return most || (all_others_lack(r, index, RAFT_IN) && all_others_lack(r, index, RAFT_OUT) &&
                    all_before_lack(r, index));
}

void raft_mend_reply(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    uint64_t lo = m->place.index;
    bool broken = !m->ok && m->place.term != 0;
    if (m->probe != r->life || !(m->ok || broken) || r->damage_count == 0 ||
        lo != r->damage[0].lo) {
        return;
    }
    uint64_t term = term_at(r, lo);
    if (m->ok && m->index >= lo && m->place.term == term) {
        (void)raft_mend_from(r, out, lo, m->items, m->count);
        return;
    }
    if (m->term == term && r->hard.term == term) {
        r->stuck = true; /* as long as that term lasts nothing can be proven */
        return;
    }
    struct raft_peer *p = raft_change_peer(r, m->from);
    bool counts = p != NULL && p->incarnation == m->incarnation && m->term > term &&
                  r->state != RAFT_LEADER && lo > r->commit;
    if (!counts) {
        return;
    }
    p->absent = lo;
    p->broken = broken;
    if (proven_absent(r, lo)) {
        raft_log_truncate(r, out, lo);
        saw(out, RAFT_SEEN_CUT);
    }
}
