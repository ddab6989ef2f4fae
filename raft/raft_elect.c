/* raft_elect.c - who leads: terms, votes, pre-votes, stepping down, handing over. */
#include "raft/raft_int.h"

/* ---- roles ---- */

void raft_elect_rest(struct raft *r)
{
    r->timeout = r->o.election + prng_below(&r->prng, r->o.election);
    r->election_at = r->now + r->timeout;
}

static void transfer_over(struct raft *r, struct raft_out *out, enum raft_outcome outcome)
{
    if (r->transferee != 0) {
        raft_reply(out, r->transfer_context, outcome, (struct raft_place){0, 0});
        r->transferee = 0;
    }
}

/* What only a leader has, ends; who asked for a transfer waits for the next leader's name. */
static void leave_office(struct raft *r, struct raft_out *out)
{
    raft_read_drop(r, out);
    if (!r->handed) {
        transfer_over(r, out, RAFT_LOST);
    }
    r->handed = false;
    r->more = false;
    r->wanted = false;
}

/* Follows `leader` (0: nobody yet) in a term that is not below its own. */
void raft_elect_follow(struct raft *r, struct raft_out *out, uint64_t term, uint64_t leader)
{
    CK(term >= r->hard.term);
    if (r->state == RAFT_LEADER) {
        leave_office(r, out);
    }
    if (term > r->hard.term) {
        r->hard.term = term;
        r->hard.vote = 0;
        raft_log_hard(r, out);
    }
    if (leader != 0) {
        transfer_over(r, out, leader == r->transferee ? RAFT_MOVED : RAFT_LOST);
    }
    r->state = RAFT_FOLLOWER;
    r->leader = leader;
    r->session = 0;
    r->accepted = r->commit; /* what is committed is in every later leader's log (3.6.3) */
    r->leader_commit = r->commit;
    r->owes = false;
    raft_elect_rest(r); /* sticky_until stays: a lease may still count on it */
}

/* Until then a leader that was heard is not unseated: neither by those who cannot hear it nor by
 * those who were removed (4.2.3), and its lease is good (6.4.1). */
bool raft_elect_sticky(const struct raft *r)
{
    return r->state == RAFT_LEADER || r->sticky_until > r->now;
}

/* One that is no voter any more stands as long as the change may not be committed: it may be the
 * only one that can commit it (4.2.2, figure 4.6). It does not count itself then. */
static bool is_needed(const struct raft *r)
{
    if (r->config_index <= r->commit || r->before_index == RAFT_NEVER) {
        return false;
    }
    for (uint32_t i = 0; i < r->before.count; i++) {
        const struct raft_member *m = &r->before.members[i];
        if (m->id == r->o.self && m->incarnation == r->o.incarnation) {
            return (m->roles & (RAFT_IN | RAFT_OUT)) != 0;
        }
    }
    return false;
}

bool raft_elect_may_stand(const struct raft *r)
{
    return (raft_change_is_voter(r) || is_needed(r)) && r->damage_count == 0 && !r->stalled &&
           r->snap_seq <= r->done;
}

/* ---- standing ---- */

/* Asks everybody who has a vote. */
static void ask(struct raft *r, struct raft_out *out, enum raft_msg_type type, bool transfer)
{
    struct raft_peer *peers = peers_of(r);
    for (uint32_t i = 0; i < r->peer_count; i++) {
        peers[i].vote = 0;
        if (i == r->self_slot || (peers[i].roles & (RAFT_IN | RAFT_OUT)) == 0) {
            continue;
        }
        struct raft_msg *m = raft_send(r, out, type, peers[i].id);
        m->place = (struct raft_place){r->last, last_term(r)};
        m->probe = r->probe;
        m->transfer = transfer;
        m->campaign = r->hard.term + (type == RAFT_MSG_PREVOTE);
    }
}

/* A term of its own, and its own vote, which counts when it is durable (O3). The requests carry
 * the new term, so they wait for the same write (O2). */
void raft_elect_stand(struct raft *r, struct raft_out *out, bool transfer)
{
    raft_elect_follow(r, out, r->hard.term + 1, 0);
    r->state = RAFT_CANDIDATE;
    r->hard.vote = r->o.self;
    r->probe++;
    saw(out, RAFT_SEEN_CAMPAIGN);
    ask(r, out, RAFT_MSG_VOTE, transfer);
}

/* Would it be elected? Only then is a new term worth the trouble it makes (9.6). */
static void sound_out(struct raft *r, struct raft_out *out)
{
    r->state = RAFT_PRECANDIDATE;
    r->leader = 0;
    r->sticky_until = 0;
    r->probe++;
    saw(out, RAFT_SEEN_PREVOTE);
    ask(r, out, RAFT_MSG_PREVOTE, false);
    if (r->self_slot < r->peer_count) {
        peers_of(r)[r->self_slot].vote = 2; /* a wish, not a vote: it promises nothing */
    }
    raft_elect_count(r, out);
}

void raft_elect_timeout(struct raft *r, struct raft_out *out)
{
    raft_elect_rest(r);
    transfer_over(r, out, RAFT_LOST);
    r->sticky_until = 0;
    raft_mend_timeout(r, out);
    if (!raft_elect_may_stand(r)) {
        r->leader = 0;
        r->state = RAFT_FOLLOWER;
    } else if (r->o.no_prevote) {
        raft_elect_stand(r, out, false);
    } else {
        sound_out(r, out);
    }
}

void raft_elect_count(struct raft *r, struct raft_out *out)
{
    if (r->state == RAFT_CANDIDATE && r->hard_seq <= r->done && r->self_slot < r->peer_count) {
        peers_of(r)[r->self_slot].vote = 2;
    }
    if (r->state == RAFT_PRECANDIDATE && raft_change_voted(r, 2)) {
        raft_elect_stand(r, out, false);
    } else if (r->state == RAFT_CANDIDATE && raft_change_voted(r, 2)) {
        CK(r->hard_seq <= r->done); /* V1: the requests have waited for it */
        raft_lead_begin(r, out);
    }
}

/* ---- being asked ---- */

/* 3.6.1: not behind ours. */
static bool up_to_date(const struct raft *r, struct raft_place place)
{
    uint64_t term = last_term(r);
    return place.term > term || (place.term == term && place.index >= r->last);
}

/* The term was seen to already; a promise is not made by a pre-vote. */
void raft_elect_prevote(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    struct raft_msg *answer = raft_send(r, out, RAFT_MSG_PREVOTE_REPLY, m->from);
    answer->ok = m->campaign > r->hard.term && up_to_date(r, m->place);
    answer->campaign = m->campaign;
    answer->probe = m->probe;
}

void raft_elect_vote(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    bool unbound = r->hard.vote == 0 && r->leader == 0;
    bool yes =
        m->term == r->hard.term && (r->hard.vote == m->from || unbound) && up_to_date(r, m->place);
    if (yes && r->hard.vote == 0) {
        r->hard.vote = m->from;
        raft_log_hard(r, out);
        saw(out, RAFT_SEEN_VOTED);
        if (r->state == RAFT_PRECANDIDATE) {
            r->state = RAFT_FOLLOWER;
        }
        raft_elect_rest(r);
    }
    struct raft_msg *answer = raft_send(r, out, RAFT_MSG_VOTE_REPLY, m->from);
    answer->ok = yes;
    answer->campaign = m->term;
    answer->probe = m->probe;
}

/* To a vote or a pre-vote of this campaign; another life of the peer has no vote here. */
void raft_elect_reply(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    bool pre = m->type == RAFT_MSG_PREVOTE_REPLY;
    struct raft_peer *p = raft_change_peer(r, m->from);
    if (r->state != (pre ? RAFT_PRECANDIDATE : RAFT_CANDIDATE) || m->probe != r->probe ||
        m->campaign != r->hard.term + pre) {
        return;
    }
    if (p == NULL || p->incarnation != m->incarnation) {
        saw(out, RAFT_SEEN_STALE_SESSION);
        return;
    }
    p->vote = m->ok ? 2 : 1;
    raft_elect_count(r, out);
}

/* ---- leaving ---- */

/* The voter with the longest durable log, the lowest id among equals; NULL: no other voter. */
static struct raft_peer *heir(const struct raft *r)
{
    struct raft_peer *peers = peers_of(r);
    struct raft_peer *best = NULL;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        if (i != r->self_slot && (peers[i].roles & RAFT_IN) != 0 &&
            (best == NULL || peers[i].match > best->match)) {
            best = &peers[i];
        }
    }
    return best;
}

/* It need not be up to date: if it is not, others will not vote for it, and stand themselves. */
void raft_elect_abdicate(struct raft *r, struct raft_out *out)
{
    struct raft_peer *p = heir(r);
    if (p != NULL) {
        (void)raft_send(r, out, RAFT_MSG_TIMEOUT_NOW, p->id);
        saw(out, RAFT_SEEN_TRANSFER);
    }
    raft_elect_follow(r, out, r->hard.term, 0);
}

/* 3.10: proposals wait, the other is brought up to date, and told to stand at once. */
void raft_elect_transfer(struct raft *r, struct raft_out *out, uint64_t to, uint64_t context)
{
    struct raft_peer *p = raft_change_peer(r, to);
    struct raft_place none = {0, 0};
    if (r->state != RAFT_LEADER) {
        raft_reply(out, context, RAFT_NOT_LEADER, none);
    } else if (to == r->o.self) {
        raft_reply(out, context, RAFT_MOVED, none);
    } else if (p == NULL || (p->roles & RAFT_IN) == 0) {
        raft_reply(out, context, RAFT_BAD_CHANGE, none);
    } else if (r->transferee != 0) {
        raft_reply(out, context, RAFT_BUSY, none);
    } else {
        r->transferee = to;
        r->transfer_context = context;
        r->transfer_at = r->now + r->o.election;
        raft_elect_hand(r, out);
    }
}

void raft_elect_transfer_over(struct raft *r, struct raft_out *out)
{
    transfer_over(r, out, RAFT_LOST);
}

/* From here on another may be elected within our lease: it is over for this term. */
void raft_elect_hand(struct raft *r, struct raft_out *out)
{
    struct raft_peer *p = r->transferee != 0 ? raft_change_peer(r, r->transferee) : NULL;
    if (p != NULL && p->match == r->last) {
        (void)raft_send(r, out, RAFT_MSG_TIMEOUT_NOW, p->id);
        r->handed = true;
        saw(out, RAFT_SEEN_TRANSFER);
    }
}
