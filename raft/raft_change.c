/* raft_change.c - members: what they decide together, and how they change (dissertation 4). */
#include "raft/raft_int.h"

struct raft_peer *raft_change_peer(const struct raft *r, uint64_t id)
{
    struct raft_peer *peers = peers_of(r);
    for (uint32_t i = 0; i < r->peer_count; i++) {
        if (peers[i].id == id) {
            return &peers[i];
        }
    }
    return NULL;
}

/* ---- quorums ---- */

/* The value that a majority of those with this role has reached; UINT64_MAX: nobody has it. */
static uint64_t majority_value(const struct raft *r, uint8_t role, size_t field)
{
    const struct raft_peer *peers = peers_of(r);
    uint64_t sorted[RAFT_MEMBERS_MAX]; /* descending */
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        if ((peers[i].roles & role) == 0) {
            continue;
        }
        uint64_t v = *(const uint64_t *)(const void *)((const char *)&peers[i] + field);
        uint32_t at = n++;
        for (; at > 0 && sorted[at - 1] < v; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = v;
    }
    return n > 0 ? sorted[n / 2] : UINT64_MAX;
}

uint64_t raft_change_quorum(const struct raft *r, size_t field)
{
    uint64_t in = majority_value(r, RAFT_IN, field);
    uint64_t out = majority_value(r, RAFT_OUT, field);
    return in == UINT64_MAX ? 0 : min_u64(in, out); /* without voters nothing is decided */
}

static bool majority_voted(const struct raft *r, uint8_t role, uint8_t vote)
{
    const struct raft_peer *peers = peers_of(r);
    uint32_t voters = 0;
    uint32_t yes = 0;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        if ((peers[i].roles & role) != 0) {
            voters++;
            yes += peers[i].vote == vote;
        }
    }
    return voters == 0 ? role == RAFT_OUT : yes > voters / 2;
}

bool raft_change_voted(const struct raft *r, uint8_t vote)
{
    return majority_voted(r, RAFT_IN, vote) && majority_voted(r, RAFT_OUT, vote);
}

bool raft_change_is_voter(const struct raft *r)
{
    return r->self_slot < r->peer_count &&
           (peers_of(r)[r->self_slot].roles & (RAFT_IN | RAFT_OUT)) != 0;
}

bool raft_change_is_alone(const struct raft *r)
{
    const struct raft_peer *peers = peers_of(r);
    for (uint32_t i = 0; i < r->peer_count; i++) {
        if (i != r->self_slot && (peers[i].roles & (RAFT_IN | RAFT_OUT)) != 0) {
            return false;
        }
    }
    return raft_change_is_voter(r);
}

/* ---- entering and leaving the log ---- */

/* Peers follow the active configuration; who stays keeps what is known of him (4.1: a server uses
 * the latest configuration in its log, committed or not). */
void raft_change_rebuild(struct raft *r)
{
    struct raft_peer old[RAFT_MEMBERS_MAX];
    struct raft_peer *peers = peers_of(r);
    uint32_t old_count = r->peer_count;
    memcpy(old, peers, old_count * sizeof *old);
    r->peer_count = r->config.count;
    r->self_slot = r->peer_count;
    for (uint32_t i = 0, o = 0; i < r->config.count; i++) {
        const struct raft_member *m = &r->config.members[i];
        while (o < old_count && old[o].id < m->id) {
            o++;
        }
        if (o < old_count && old[o].id == m->id && old[o].incarnation == m->incarnation) {
            peers[i] = old[o];
        } else {
            peers[i] = (struct raft_peer){.id = m->id, .incarnation = m->incarnation};
            raft_lead_fresh(r, &peers[i], r->config_index);
        }
        peers[i].roles = m->roles;
        if (m->id == r->o.self && m->incarnation == r->o.incarnation) {
            r->self_slot = i;
        }
    }
}

void raft_change_enter(struct raft *r, struct raft_out *out, uint64_t index,
                       const struct raft_config *config)
{
    r->before = r->config;
    r->before_index = r->config_index;
    r->config = *config;
    r->config_index = index;
    raft_change_rebuild(r);
    if (is_joint(config)) {
        saw(out, RAFT_SEEN_JOINT);
    }
}

/* One step back is enough: whoever put the latest one into its log had committed the one before
 * (O8), so that one is in no log's future to lose. */
void raft_change_revert(struct raft *r, struct raft_out *out, uint64_t index)
{
    if (r->config_index < index) {
        return;
    }
    CK(r->before_index < index);
    r->config = r->before;
    r->config_index = r->before_index;
    r->before_index = RAFT_NEVER;
    raft_change_rebuild(r);
    saw(out, RAFT_SEEN_CONFIG_REVERTED);
}

/* ---- changing ---- */

/* Ascending ids, known roles, one voter at least; joint only where a log says so. */
bool raft_change_sane(const struct raft *r, const struct raft_config *config)
{
    bool voter = false;
    if (config->count > r->o.members) {
        return false;
    }
    for (uint32_t i = 0; i < config->count; i++) {
        const struct raft_member *m = &config->members[i];
        uint8_t roles = m->roles;
        bool lone = roles == RAFT_IN || roles == RAFT_LEARNER || roles == RAFT_OUT;
        bool both = roles == (RAFT_IN | RAFT_OUT) || roles == (RAFT_OUT | RAFT_LEARNER);
        if (m->id == 0 || !(lone || both) || (i > 0 && m->id <= config->members[i - 1].id)) {
            return false;
        }
        voter = voter || (roles & RAFT_IN) != 0;
    }
    return voter || config->count == 0;
}

static const struct raft_member *member_of(const struct raft_config *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->count && c->members[i].id <= id; i++) {
        if (c->members[i].id == id) {
            return &c->members[i];
        }
    }
    return NULL;
}

/* How many voters come or go; a voter of another incarnation does both. */
static uint32_t voters_not_in(const struct raft_config *a, const struct raft_config *b)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct raft_member *m = &a->members[i];
        const struct raft_member *other = member_of(b, m->id);
        if ((m->roles & RAFT_IN) != 0) {
            n += other == NULL || (other->roles & RAFT_IN) == 0 ||
                 other->incarnation != m->incarnation;
        }
    }
    return n;
}

/* The joint configuration between two (4.3): those of `to` as they shall be, the voters of
 * `from` with a vote in the outgoing one. False: too many, or a member with two incarnations. */
static bool make_joint(const struct raft *r, const struct raft_config *from,
                       const struct raft_config *to, struct raft_config *joint)
{
    uint32_t a = 0;
    uint32_t b = 0;
    joint->count = 0;
    while (a < from->count || b < to->count) {
        const struct raft_member *f = a < from->count ? &from->members[a] : NULL;
        const struct raft_member *t = b < to->count ? &to->members[b] : NULL;
        struct raft_member m = {0};
        if (t != NULL && (f == NULL || t->id <= f->id)) {
            m = *t;
            b++;
        }
        if (f != NULL && (t == NULL || f->id <= t->id)) {
            a++;
            if ((f->roles & RAFT_IN) != 0) {
                if (m.id != 0 && m.incarnation != f->incarnation) {
                    return false;
                }
                m.id = f->id;
                m.incarnation = f->incarnation;
                m.roles |= RAFT_OUT;
            }
        }
        if (m.id != 0) {
            if (joint->count == r->o.members) {
                return false;
            }
            joint->members[joint->count++] = m;
        }
    }
    return true;
}

static bool same_config(const struct raft_config *a, const struct raft_config *b)
{
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++) {
        same = a->members[i].id == b->members[i].id && a->members[i].roles == b->members[i].roles &&
               a->members[i].incarnation == b->members[i].incarnation;
    }
    return same;
}

/* One voter more or less keeps majorities overlapping (4.1); anything more goes through both
 * (4.3). No change before an entry of this term is committed: the bug in single-server changes
 * that Ongaro announced on raft-dev in 2015. */
enum raft_outcome raft_change_ask(struct raft *r, struct raft_out *out,
                                  const struct raft_config *config, struct raft_place *place)
{
    if (r->state != RAFT_LEADER) {
        return RAFT_NOT_LEADER;
    }
    if (r->transferee != 0) {
        return RAFT_BUSY;
    }
    if (r->config_index > r->commit || r->commit < r->term_first || is_joint(&r->config)) {
        return RAFT_CHANGING;
    }
    struct raft_config next;
    bool good = config->count > 0 && raft_change_sane(r, config) && !is_joint(config) &&
                !same_config(config, &r->config);
    if (!good) {
        return RAFT_BAD_CHANGE;
    }
    uint32_t moved = voters_not_in(config, &r->config) + voters_not_in(&r->config, config);
    if (moved <= 1) {
        next = *config;
    } else if (!make_joint(r, &r->config, config, &next)) {
        return RAFT_BAD_CHANGE;
    }
    if (raft_log_room(r, out, &(struct raft_item){0}, 1, r->hard.term) < 1) {
        return RAFT_BUSY;
    }
    raft_lead_own(r, out, RAFT_CONFIG, &next);
    *place = (struct raft_place){r->last, r->hard.term};
    return RAFT_TAKEN;
}

/* The joint configuration is over when it is committed: its leader says so in the log. A leader
 * that is no voter of a committed configuration has led long enough (4.2.2). */
void raft_change_committed(struct raft *r, struct raft_out *out)
{
    if (r->state != RAFT_LEADER || r->config_index > r->commit) {
        return;
    }
    if (is_joint(&r->config)) {
        if (r->commit < r->term_first || out->save.lo != out->save.hi ||
            raft_log_room(r, out, &(struct raft_item){0}, 1, r->hard.term) < 1) {
            return; /* another step's write will do */
        }
        struct raft_config next = {0};
        for (uint32_t i = 0; i < r->config.count; i++) {
            struct raft_member m = r->config.members[i];
            m.roles &= (uint8_t)~RAFT_OUT;
            if (m.roles != 0) {
                next.members[next.count++] = m;
            }
        }
        raft_lead_own(r, out, RAFT_CONFIG, &next);
        saw(out, RAFT_SEEN_JOINT_LEFT);
    } else if (!raft_change_is_voter(r)) {
        saw(out, RAFT_SEEN_REMOVED_SELF);
        raft_elect_abdicate(r, out);
    }
}
