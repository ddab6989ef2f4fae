/* raft.c - see raft.h: a node's life, the dispatch of events, looking in. */
#include "raft/raft_int.h"

#define INDEX_MAX (UINT64_C(1) << 62) /* beyond it sums could wrap: nobody gets there */

_Static_assert(sizeof(struct raft_peer) == 16 * 8 + 8, "no hidden padding");
_Static_assert(sizeof(struct raft) % 8 == 0, "the arrays behind it are aligned");

/* ---- making ---- */

static bool fill_in(struct raft_options *o)
{
#define DEFAULT(field, value) (o->field = o->field != 0 ? o->field : (value))
    DEFAULT(election, UINT64_C(1000000000));
    DEFAULT(heartbeat, max_u64(1, o->election / 10));
    DEFAULT(drift_ppm, 500);
    DEFAULT(members, RAFT_MEMBERS_MAX);
    DEFAULT(runs, 1024);
    DEFAULT(window, 4096);
    DEFAULT(reads, 1024);
    DEFAULT(message_entries, 1024);
    DEFAULT(message_bytes, 1u << 20);
    DEFAULT(flight_entries, o->window / 2);
    DEFAULT(flight_bytes, 8u << 20);
    DEFAULT(backlog_entries, o->window / 2);
    DEFAULT(backlog_bytes, 32u << 20);
    DEFAULT(warm_bytes, 64u << 20);
    DEFAULT(rounds, 2);
#undef DEFAULT
    return o->self != 0 && o->election >= 2 && o->election < INDEX_MAX &&
           o->heartbeat < o->election && o->drift_ppm < 1000000 && o->members <= RAFT_MEMBERS_MAX &&
           o->runs >= 4 && o->window >= 4 && (o->window & (o->window - 1)) == 0 &&
           o->flight_entries < o->window && o->backlog_entries < o->window;
}

size_t raft_size(const struct raft_options *options)
{
    struct raft_options o = *options;
    if (!fill_in(&o)) {
        return 0;
    }
    return sizeof(struct raft) + o.members * sizeof(struct raft_peer) +
           o.runs * sizeof(struct raft_run) + o.window * sizeof(uint64_t) +
           o.reads * sizeof(struct raft_read);
}

struct raft *raft_init(void *memory, const struct raft_options *options)
{
    struct raft *r = (struct raft *)memory;
    size_t size = raft_size(options);
    if (size == 0) {
        return NULL;
    }
    memset(memory, 0, size);
    r->o = *options;
    bool sane = fill_in(&r->o);
    CK(sane);
    r->prng.state = hash_mix(r->o.seed ^ hash_mix(r->o.self));
    r->life = prng_next(&r->prng) | 1;
    r->state = RAFT_FOLLOWER;
    return r;
}

/* ---- what goes out ---- */

struct raft_action *raft_act(struct raft_out *out, enum raft_action_type type)
{
    CK(out->count < out->cap); /* raft_step has seen to it */
    struct raft_action *a = &out->actions[out->count++];
    *a = (struct raft_action){.type = (uint8_t)type};
    return a;
}

struct raft_msg *raft_send(struct raft *r, struct raft_out *out, enum raft_msg_type type,
                           uint64_t to)
{
    struct raft_action *a = raft_act(out, RAFT_SEND);
    a->after = hard_gate(r);
    a->msg.type = (uint8_t)type;
    a->msg.cluster = r->o.cluster;
    a->msg.from = r->o.self;
    a->msg.to = to;
    a->msg.term = r->hard.term;
    a->msg.incarnation = r->o.incarnation;
    return &a->msg;
}

void raft_reply(struct raft_out *out, uint64_t context, enum raft_outcome outcome,
                struct raft_place place)
{
    struct raft_action *a = raft_act(out, RAFT_REPLY);
    a->context = context;
    a->outcome = (uint8_t)outcome;
    a->place = place;
}

/* More than any step makes: per member two bursts, two heartbeats, a request, a fetch, an answer.
 */
static uint32_t need_for(uint32_t members, uint64_t reads)
{
    return members * (2 * RAFT_BURST + 6) + (uint32_t)reads + 8;
}

uint32_t raft_actions_max(const struct raft *r)
{
    return need_for(r->o.members, (uint64_t)r->o.reads + 1);
}

static uint32_t need_of(const struct raft *r, const struct raft_event *e)
{
    uint32_t members = e->type == RAFT_EV_CONFIGURE ? r->o.members : r->peer_count;
    return need_for(members, r->read_hi - r->read_lo + 1);
}

/* ---- start ---- */

static bool runs_fit(const struct raft_start *s)
{
    uint64_t next = s->base.index + 1;
    uint64_t term = s->base.term;
    for (uint32_t i = 0; i < s->run_count; i++) {
        const struct raft_run *run = &s->runs[i];
        if ((i == 0 ? run->first != next : run->first <= next || run->term == term) ||
            run->term < term || run->first > s->last || run->term > s->hard.term) {
            return false;
        }
        next = run->first;
        term = run->term;
    }
    return (s->run_count > 0) == (s->last > s->base.index);
}

static enum status start_fits(const struct raft *r, const struct raft_start *s)
{
    if (s == NULL || s->config == NULL || s->last < s->base.index || s->last > INDEX_MAX ||
        s->applied < s->base.index || s->applied > s->last || !runs_fit(s) ||
        s->base.term > s->hard.term || !raft_change_sane(r, s->config) ||
        s->config_index > s->last) {
        return ST_INVAL;
    }
    if (s->config_index > s->applied && (s->before == NULL || s->before_index >= s->config_index ||
                                         !raft_change_sane(r, s->before))) {
        return ST_INVAL;
    }
    if (s->run_count > r->o.runs && s->runs[s->run_count - r->o.runs].first - 1 > s->applied) {
        return ST_TOOBIG;
    }
    return ST_OK;
}

static void start(struct raft *r, const struct raft_start *s)
{
    uint32_t forget = s->run_count > r->o.runs ? s->run_count - r->o.runs : 0;
    r->hard = s->hard;
    r->base = r->floor = s->base;
    r->last = r->raw_durable = s->last;
    r->commit = r->applied = r->accepted = r->leader_commit = s->applied;
    r->apply_next = s->applied + 1;
    r->warm = s->last + 1;
    r->snap = s->base;
    if (forget > 0) {
        r->floor = (struct raft_place){s->runs[forget].first - 1, s->runs[forget - 1].term};
    }
    r->run_end = s->run_count - forget;
    if (r->run_end > 0) {
        memcpy(runs_of(r), s->runs + forget, r->run_end * sizeof *s->runs);
    }
    r->before_index = RAFT_NEVER;
    if (s->before != NULL) {
        r->before = *s->before;
        r->before_index = s->before_index;
    }
    r->config = *s->config;
    r->config_index = s->config_index;
    raft_change_rebuild(r);
    raft_elect_rest(r);
    r->sticky_until = r->o.lease ? r->now + r->o.election : 0; /* it may have promised a lease */
    if (raft_change_is_alone(r)) {
        r->election_at = r->now;
    }
    r->started = true;
}

/* ---- time ---- */

/* A leader that no quorum answers is none, and must not keep clients waiting (6.2). */
static void check_quorum(struct raft *r, struct raft_out *out, bool forced)
{
    if (r->self_slot < r->peer_count) {
        peers_of(r)[r->self_slot].contact = r->now;
    }
    uint64_t heard = raft_change_quorum(r, offsetof(struct raft_peer, contact));
    if ((forced && !raft_change_is_alone(r)) || heard + r->o.election <= r->now) {
        saw(out, RAFT_SEEN_NO_QUORUM);
        raft_elect_follow(r, out, r->hard.term, 0);
    } else {
        r->election_at = heard + r->o.election;
    }
}

static void lead_time(struct raft *r, struct raft_out *out, uint8_t force)
{
    if (r->now >= r->election_at || force == RAFT_FORCE_ELECTION) {
        check_quorum(r, out, force == RAFT_FORCE_ELECTION);
    }
    if (r->state == RAFT_LEADER && r->transferee != 0 && r->now >= r->transfer_at) {
        raft_elect_transfer_over(r, out);
    }
    if (r->state == RAFT_LEADER && (r->now >= r->heartbeat_at || force == RAFT_FORCE_HEARTBEAT)) {
        r->heartbeat_at = r->now + r->o.heartbeat;
        raft_lead_beat(r, out);
        raft_read_confirm(r, out);
        raft_mend_ask(r, out);
        raft_change_committed(r, out);
    }
    if (r->state == RAFT_LEADER && r->more) {
        raft_lead_push_all(r, out);
    }
}

static void time_passes(struct raft *r, struct raft_out *out, uint8_t force)
{
    if (force == RAFT_FORCE_LAPSE) {
        r->sticky_until = 0;
    }
    if (r->state == RAFT_LEADER) {
        lead_time(r, out, force);
    } else if (r->now >= r->election_at || force == RAFT_FORCE_ELECTION) {
        raft_elect_timeout(r, out);
    }
}

static uint64_t deadline_of(const struct raft *r)
{
    if (r->state != RAFT_LEADER) {
        return r->election_at;
    }
    uint64_t at = min_u64(r->heartbeat_at, r->election_at);
    if (r->transferee != 0) {
        at = min_u64(at, r->transfer_at);
    }
    return r->more ? r->now : at;
}

/* ---- messages ---- */

static bool items_fit(const struct raft *r, const struct raft_msg *m, uint64_t term, uint64_t max)
{
    if (m->count > 0 && m->items == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        const struct raft_item *item = &m->items[i];
        if (item->term < term || item->term > max || item->kind == 0 || item->kind >= RAFT_KINDS ||
            (item->kind == RAFT_CONFIG) != (item->config != NULL)) {
            return false;
        }
        if (item->config != NULL &&
            (item->config->count == 0 || !raft_change_sane(r, item->config))) {
            return false;
        }
        term = item->term;
    }
    return true;
}

/* Whether a correct peer could have sent it; the wire's checksums should have seen to that. */
static bool msg_fits(const struct raft *r, const struct raft_msg *m)
{
    bool places = m->place.index < INDEX_MAX && (m->place.index == 0) == (m->place.term == 0) &&
                  m->place.term <= m->term;
    if (m->from == 0 || m->from == r->o.self || m->type == 0 || m->type >= RAFT_MSG_TYPES) {
        return false;
    }
    switch (m->type) {
    case RAFT_MSG_APPEND:
        return places && m->term > 0 && items_fit(r, m, max_u64(m->place.term, 1), m->term);
    case RAFT_MSG_PREVOTE:
        return places && m->campaign == m->term + 1;
    case RAFT_MSG_VOTE:
        return places && m->term > 0;
    case RAFT_MSG_SNAPSHOT:
        return places && m->place.index > 0 && m->config != NULL && m->config->count > 0 &&
               raft_change_sane(r, m->config);
    case RAFT_MSG_FETCH:
        return m->place.index > 0 && m->place.index < INDEX_MAX && m->index > m->place.index;
    case RAFT_MSG_FETCH_REPLY:
        return m->place.index > 0 && m->place.index < INDEX_MAX && items_fit(r, m, 1, UINT64_MAX);
    case RAFT_MSG_PROPOSE:
        for (uint32_t i = 0; m->items != NULL && i < m->count; i++) {
            if (m->items[i].kind != RAFT_COMMAND) {
                return false;
            }
        }
        return m->count > 0 && m->items != NULL;
    default:
        return true;
    }
}

/* The sender does not know this term yet. What leads or asks for votes is told; what does not
 * depend on terms goes on. False: it is done with. */
static bool from_the_past(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    switch (m->type) {
    case RAFT_MSG_PREVOTE:
    case RAFT_MSG_VOTE:
    case RAFT_MSG_FETCH:
    case RAFT_MSG_FETCH_REPLY:
    case RAFT_MSG_READ:
    case RAFT_MSG_READ_REPLY:
    case RAFT_MSG_PROPOSE:
    case RAFT_MSG_PROPOSE_REPLY:
        return true;
    case RAFT_MSG_APPEND:
    case RAFT_MSG_HEARTBEAT:
    case RAFT_MSG_SNAPSHOT:
        (void)raft_send(r, out, RAFT_MSG_APPEND_REPLY, m->from); /* its header says it all */
        return false;
    default:
        return false;
    }
}

static void take_proposal(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    struct raft_place place = {0, 0};
    enum raft_outcome outcome = raft_lead_propose(r, out, m->items, m->count, &place);
    struct raft_msg *a = raft_send(r, out, RAFT_MSG_PROPOSE_REPLY, m->from);
    a->outcome = (uint8_t)outcome;
    a->place = place;
    a->context = m->context;
    a->probe = m->probe;
}

static void told_to_stand(struct raft *r, struct raft_out *out)
{
    if (r->state == RAFT_FOLLOWER && raft_elect_may_stand(r)) {
        raft_elect_stand(r, out, true);
    }
}

static void take(struct raft *r, struct raft_out *out, const struct raft_msg *m) /* dispatch */
{
    switch (m->type) {
    case RAFT_MSG_PREVOTE:
        raft_elect_prevote(r, out, m);
        break;
    case RAFT_MSG_VOTE:
        raft_elect_vote(r, out, m);
        break;
    case RAFT_MSG_PREVOTE_REPLY:
    case RAFT_MSG_VOTE_REPLY:
        raft_elect_reply(r, out, m);
        break;
    case RAFT_MSG_APPEND:
        raft_follow_append(r, out, m);
        break;
    case RAFT_MSG_APPEND_REPLY:
        raft_lead_append_reply(r, out, m);
        break;
    case RAFT_MSG_HEARTBEAT:
        raft_follow_beat(r, out, m);
        break;
    case RAFT_MSG_HEARTBEAT_REPLY:
        raft_lead_beat_reply(r, out, m);
        break;
    case RAFT_MSG_SNAPSHOT:
        raft_follow_snapshot(r, out, m);
        break;
    case RAFT_MSG_READ:
        raft_read_ask(r, out, m->from, m->probe, m->context, false);
        break;
    case RAFT_MSG_READ_REPLY:
        raft_read_reply(r, out, m);
        break;
    case RAFT_MSG_FETCH:
        raft_mend_answer(r, out, m);
        break;
    case RAFT_MSG_FETCH_REPLY:
        raft_mend_reply(r, out, m);
        break;
    case RAFT_MSG_TIMEOUT_NOW:
        told_to_stand(r, out);
        break;
    case RAFT_MSG_PROPOSE:
        take_proposal(r, out, m);
        break;
    case RAFT_MSG_PROPOSE_REPLY:
        if (m->probe == r->life) {
            raft_reply(out, m->context, (enum raft_outcome)m->outcome, m->place);
        }
        break;
    default:
        break;
    }
}

/* One that was removed and asks for entries that it has lost, in a term that nobody else is in: it
 * would unseat leaders as its votes would (4.2.3). */
static bool is_strangers_term(const struct raft *r, const struct raft_msg *m)
{
    return m->type == RAFT_MSG_FETCH && m->term > r->hard.term &&
           raft_change_peer(r, m->from) == NULL;
}

static void receive(struct raft *r, struct raft_out *out, const struct raft_msg *m)
{
    if (m->cluster != r->o.cluster || m->to != r->o.self) {
        return;
    }
    bool asks = m->type == RAFT_MSG_PREVOTE || m->type == RAFT_MSG_VOTE;
    bool stands = asks && m->term >= r->hard.term && !m->transfer;
    if ((stands || is_strangers_term(r, m)) && raft_elect_sticky(r)) {
        saw(out, RAFT_SEEN_STICKY);
        return;
    }
    if (m->term > r->hard.term) {
        bool leads = m->type == RAFT_MSG_APPEND || m->type == RAFT_MSG_HEARTBEAT ||
                     m->type == RAFT_MSG_SNAPSHOT;
        raft_elect_follow(r, out, m->term, leads ? m->from : 0);
    } else if (m->term < r->hard.term && !from_the_past(r, out, m)) {
        return;
    }
    take(r, out, m);
}

/* ---- the driver's news ---- */

static void persisted(struct raft *r, struct raft_out *out, uint64_t seq)
{
    if (seq <= r->done) {
        return;
    }
    raft_log_done(r, seq);
    r->stalled = false;
    if (r->snap_seq != 0 && r->snap_seq <= seq) {
        r->applied = max_u64(r->applied, r->snap.index);
        r->apply_next = max_u64(r->apply_next, r->applied + 1);
        r->snap_seq = 0;
    }
    raft_mend_done(r, out);
    if (r->state == RAFT_CANDIDATE) {
        raft_elect_count(r, out);
    } else if (r->state == RAFT_LEADER) {
        raft_lead_commit(r, out);
        raft_elect_hand(r, out);
    } else {
        raft_follow_acknowledge(r, out);
    }
    raft_read_serve(r, out);
}

static void stalled(struct raft *r, struct raft_out *out)
{
    if (r->done == r->seq) {
        return; /* it has just come through */
    }
    r->stalled = true;
    if (r->state == RAFT_LEADER && !raft_change_is_alone(r)) {
        saw(out, RAFT_SEEN_STALLED);
        raft_elect_abdicate(r, out);
    }
}

static void propose(struct raft *r, struct raft_out *out, const struct raft_event *e)
{
    struct raft_place place = {0, 0};
    if (r->state != RAFT_LEADER && e->ok && r->leader != 0) {
        struct raft_msg *m = raft_send(r, out, RAFT_MSG_PROPOSE, r->leader);
        m->count = e->count;
        m->context = e->context;
        m->probe = r->life;
        return;
    }
    enum raft_outcome outcome = raft_lead_propose(r, out, e->items, e->count, &place);
    raft_reply(out, e->context, outcome, place);
}

static void configure(struct raft *r, struct raft_out *out, const struct raft_event *e)
{
    struct raft_place place = {0, 0};
    enum raft_outcome outcome = raft_change_ask(r, out, e->config, &place);
    raft_reply(out, e->context, outcome, place);
}

static void compacted(struct raft *r, uint64_t index)
{
    if (index > r->base.index) {
        raft_log_rebase(r, (struct raft_place){index, term_at(r, index)}, true);
    }
}

static void dispatch(struct raft *r, struct raft_out *out,
                     const struct raft_event *e) /* dispatch */
{
    switch (e->type) {
    case RAFT_EV_START:
        start(r, e->start);
        break;
    case RAFT_EV_TIME:
        time_passes(r, out, e->force);
        break;
    case RAFT_EV_RECEIVE:
        receive(r, out, e->msg);
        break;
    case RAFT_EV_PROPOSE:
        propose(r, out, e);
        break;
    case RAFT_EV_CONFIGURE:
        configure(r, out, e);
        break;
    case RAFT_EV_READ:
        raft_read_ask(r, out, r->o.self, r->life, e->context, e->ok);
        break;
    case RAFT_EV_TRANSFER:
        raft_elect_transfer(r, out, e->node, e->context);
        break;
    case RAFT_EV_PERSISTED:
        persisted(r, out, e->index);
        break;
    case RAFT_EV_PERSIST_FAILED:
        r->state = RAFT_HALTED;
        r->leader = 0;
        break;
    case RAFT_EV_APPLIED:
        r->applied = max_u64(r->applied, e->index);
        raft_read_serve(r, out);
        break;
    case RAFT_EV_FETCHED:
        raft_lead_fetched(r, out, e);
        break;
    case RAFT_EV_SNAPSHOT_TAKEN:
        if (e->place.index > r->snap.index) {
            r->snap = e->place;
        }
        break;
    case RAFT_EV_SNAPSHOT_SENT:
        raft_lead_snapshot_sent(r, e);
        break;
    case RAFT_EV_UNREACHABLE:
        raft_lead_unreachable(r, e->node);
        break;
    case RAFT_EV_DISK_STALLED:
        stalled(r, out);
        break;
    case RAFT_EV_LOG_FAULT:
        raft_mend_fault(r, out, e);
        break;
    case RAFT_EV_COMPACTED:
        compacted(r, e->index);
        break;
    default:
        break;
    }
}

/* ---- the step ---- */

static bool commands_only(const struct raft_event *e)
{
    for (uint32_t i = 0; e->items != NULL && i < e->count; i++) {
        if (e->items[i].kind != RAFT_COMMAND || e->items[i].config != NULL) {
            return false;
        }
    }
    return e->items != NULL && e->count > 0;
}

/* What a driver must not say. */
static enum status refuse(const struct raft *r, const struct raft_event *e)
{
    bool wrong = (e->type != RAFT_EV_START) != r->started || e->now < r->now || e->type == 0 ||
                 e->type >= RAFT_EV_TYPES;
    switch (e->type) {
    case RAFT_EV_START:
        return wrong ? ST_INVAL : start_fits(r, e->start);
    case RAFT_EV_RECEIVE:
        if (!wrong && e->msg != NULL) {
            return msg_fits(r, e->msg) ? ST_OK : ST_CORRUPT;
        }
        return ST_INVAL;
    case RAFT_EV_PROPOSE:
        wrong = wrong || !commands_only(e);
        break;
    case RAFT_EV_CONFIGURE:
        wrong = wrong || e->config == NULL;
        break;
    case RAFT_EV_PERSISTED:
        wrong = wrong || e->index > r->seq;
        break;
    case RAFT_EV_APPLIED:
        wrong = wrong || e->index >= r->apply_next;
        break;
    case RAFT_EV_SNAPSHOT_TAKEN:
        wrong = wrong || e->place.index > r->applied;
        break;
    case RAFT_EV_COMPACTED:
        wrong = wrong || e->index > r->applied;
        break;
    case RAFT_EV_LOG_FAULT:
        wrong = wrong || e->lo == 0 || e->hi <= e->lo;
        break;
    default:
        break;
    }
    return wrong ? ST_INVAL : ST_OK;
}

/* What is committed and on this disk goes to the state machine. Waiting for one's own disk is what
 * keeps the state machine from holding more than the log does after a crash. */
static void hand_out(struct raft *r, struct raft_out *out)
{
    uint64_t hi = min_u64(r->commit, durable_of(r)) + 1;
    if (hi > r->apply_next && r->snap_seq <= r->done) {
        out->apply_lo = r->apply_next;
        out->apply_hi = hi;
        r->apply_next = hi;
    }
}

static void begin(struct raft_out *out)
{
    out->count = 0;
    out->need = 0;
    out->save = (struct raft_write){0};
    out->apply_lo = out->apply_hi = 0;
    out->role_changed = false;
    out->seen = 0;
}

enum status raft_step(struct raft *r, const struct raft_event *event, struct raft_out *out)
{
    begin(out);
    enum status st = refuse(r, event);
    if (st != ST_OK) {
        return st;
    }
    uint32_t need = need_of(r, event);
    if (out->cap < need) {
        out->need = need;
        return ST_TOOBIG;
    }
    if (r->state == RAFT_HALTED) {
        out->deadline = RAFT_NEVER;
        out->warm = r->warm;
        return ST_OK;
    }
    uint8_t state = r->state;
    uint64_t leader = r->leader;
    uint64_t term = r->hard.term;
    r->now = event->now;
    dispatch(r, out, event);
    if (r->state == RAFT_LEADER) {
        raft_lead_tell(r, out);
    }
    if (out->save.seq != 0) {
        out->save.hard = r->hard;
        r->seq = out->save.seq;
    }
    hand_out(r, out);
    out->role_changed = state != r->state || leader != r->leader || term != r->hard.term;
    out->deadline = r->state == RAFT_HALTED ? RAFT_NEVER : deadline_of(r);
    out->warm = r->warm;
    CK_SLOW(r->o.verify, raft_check(r));
    return ST_OK;
}

/* ---- looking in ---- */

void raft_view(const struct raft *r, struct raft_view *view)
{
    *view = (struct raft_view){
        .self = r->o.self,
        .incarnation = r->o.incarnation,
        .term = r->hard.term,
        .vote = r->hard.vote,
        .leader = r->leader,
        .state = r->state,
        .stalled = r->stalled,
        .damaged = r->damage_count > 0,
        .joint = is_joint(&r->config),
        .base = r->base,
        .last = r->last,
        .commit = r->commit,
        .applied = r->applied,
        .durable = durable_of(r),
        .write_seq = r->seq,
        .done_seq = r->done,
        .hard_seq = r->hard_seq,
        .config_index = r->config_index,
        .transferee = r->transferee,
        .lease = raft_read_lease(r),
        .members = r->peer_count,
        .reads = (uint32_t)(r->read_hi - r->read_lo),
    };
}

void raft_peer_view(const struct raft *r, uint32_t i, struct raft_peer_view *view)
{
    CK(i < r->peer_count);
    const struct raft_peer *p = &peers_of(r)[i];
    *view = (struct raft_peer_view){
        .id = p->id,
        .incarnation = p->incarnation,
        .roles = p->roles,
        .flow = p->flow,
        .match = p->match,
        .next = p->next,
        .session = p->session,
        .contact = p->contact,
    };
}

uint64_t raft_term_at(const struct raft *r, uint64_t index)
{
    return raft_log_term(r, index);
}

const struct raft_config *raft_config(const struct raft *r)
{
    return &r->config;
}

const struct raft_config *raft_config_at(const struct raft *r, uint64_t index,
                                         uint64_t *config_index)
{
    if (r->config_index <= index) {
        *config_index = r->config_index;
        return &r->config;
    }
    if (r->before_index <= index) {
        *config_index = r->before_index;
        return &r->before;
    }
    return NULL;
}
