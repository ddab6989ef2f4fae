/* replica_ask.c - what clients want: writes become envelopes that are proposed, reads questions
 * to the leader; both again when an answer did not come and it is harmless to ask twice.
 *
 * What an envelope's clients may be told depends on whether it can happen. It cannot while it
 * was never sent, and once its place in the log is known to be lost: an entry of a later term was
 * applied, so all behind that are of later terms too (3.6.2, and terms never fall along a log). */
#include "base/ck.h"
#include "env/note.h"
#include "node/replica_int.h"

#define SLOTS_SHIFT 20u /* contexts: ordinal of the asking, slot, one bit for the kind */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t retry_after(const struct replica *r)
{
    return r->o.raft.election / 8 + 1;
}

/* A message and its answer, with a slow disk on the way. */
static uint64_t answer_after(const struct replica *r)
{
    return r->o.raft.election * 2;
}

static struct replica_request *request_of(struct list *l)
{
    return LIST_ENTRY(l, struct replica_request, link);
}

static void request_done(struct replica_request *q, enum replica_outcome outcome)
{
    list_remove(&q->link);
    q->outcome = outcome;
    q->done(q);
}

static void requests_done(struct list *requests, enum replica_outcome outcome)
{
    while (!list_empty(requests)) {
        request_done(request_of(requests->next), outcome);
    }
}

enum status replica_ask_init(struct replica *r)
{
    r->proposals = mem_zalloc(&r->env->mem, r->o.proposals * sizeof *r->proposals);
    if (r->proposals == NULL) {
        return ST_NOMEM;
    }
    r->oldest = 1;
    for (uint32_t i = 0; i < r->o.proposals; i++) {
        buf_init(&r->proposals[i].payload, &r->env->mem);
        list_init(&r->proposals[i].requests);
    }
    for (uint32_t i = 0; i < REPLICA_READS_MAX; i++) {
        list_init(&r->reads[i].requests);
    }
    return ST_OK;
}

void replica_ask_release(struct replica *r)
{
    for (uint32_t i = 0; r->proposals != NULL && i < r->o.proposals; i++) {
        buf_release(&r->proposals[i].payload);
        env_release(r->env, r->proposals[i].index);
    }
    env_release(r->env, r->proposals);
    r->proposals = NULL;
}

/* ---- envelopes ---- */

static struct replica_proposal *slot_free(struct replica *r)
{
    struct replica_proposal *p = &r->proposals[(r->ordinal + 1) & (r->o.proposals - 1)];
    return p->ordinal == 0 ? p : NULL;
}

/* The slot of that envelope, if it is under way. */
static struct replica_proposal *proposal_at(struct replica *r, uint64_t ordinal)
{
    struct replica_proposal *p = &r->proposals[ordinal & (r->o.proposals - 1)];
    return ordinal != 0 && p->ordinal == ordinal ? p : NULL;
}

static void proposal_free(struct replica *r, struct replica_proposal *p)
{
    CK(list_empty(&p->requests));
    p->ordinal = 0;
    while (r->oldest <= r->ordinal && proposal_at(r, r->oldest) == NULL) {
        r->oldest++;
    }
    if (p->payload.cap > 4 * r->o.envelope_bytes) {
        buf_release(&p->payload);
    }
}

static enum status index_reserve(struct replica *r, struct replica_proposal *p, uint32_t count)
{
    if (count <= p->cap) {
        return ST_OK;
    }
    uint32_t cap = p->cap == 0 ? 16 : p->cap * 2;
    struct replica_request **index = env_resize(r->env, p->index, cap * sizeof *index);
    if (index == NULL) {
        return ST_NOMEM;
    }
    p->index = index;
    p->cap = cap;
    return ST_OK;
}

/* Takes the first of the waiting requests into the envelope. */
static enum status request_pack(struct replica *r, struct replica_proposal *p,
                                struct envelope_writer *w)
{
    struct replica_request *q = request_of(r->waiting.next);
    enum status st = index_reserve(r, p, p->count + 1);
    if (st != ST_OK) {
        return st;
    }
    envelope_request(w, &q->head);
    for (uint32_t i = 0; i < q->head.commands; i++) {
        envelope_command(w, q->commands[i].args, q->commands[i].count);
    }
    if (w->st != ST_OK) {
        return w->st;
    }
    list_remove(&q->link);
    list_insert(&p->requests, &q->link);
    p->index[p->count++] = q;
    p->safe = p->safe && q->head.session != 0;
    p->overdue_at = earlier(p->overdue_at, q->deadline);
    return ST_OK;
}

/* Puts requests back in front of those that wait. */
static void requests_return(struct replica *r, struct replica_proposal *p)
{
    while (!list_empty(&p->requests)) {
        struct list *last = p->requests.prev;
        list_remove(last);
        list_insert(r->waiting.next, last);
    }
}

/* Does the first of the waiting requests belong into this envelope? */
static bool goes_in(const struct replica *r, const struct replica_proposal *p)
{
    bool room = p->payload.size < r->o.envelope_bytes && p->count < ENVELOPE_REQUESTS_MAX / 2;
    return room || request_of(r->waiting.next)->follows;
}

/* An envelope of waiting requests. False: there is no room for one now. */
static bool proposal_make(struct replica *r)
{
    struct replica_proposal *p = slot_free(r);
    if (p == NULL) {
        ENV_PROBE(r->env, "replica: many envelopes under way");
        return false;
    }
    struct envelope head = {.origin = r->o.raft.self,
                            .life = r->life,
                            .ordinal = r->ordinal + 1,
                            .reply_max = r->o.reply_max};
    struct envelope_writer w;
    buf_clear(&p->payload);
    envelope_begin(&w, &p->payload, &head);
    p->count = 0;
    p->safe = true;
    p->overdue_at = ENV_NEVER;
    enum status st = ST_OK;
    while (st == ST_OK && !list_empty(&r->waiting) && goes_in(r, p)) {
        st = request_pack(r, p, &w);
    }
    w.owed = 0; /* a failed one may have left some */
    st = st == ST_OK ? envelope_end(&w) : st;
    if (st != ST_OK) {
        ENV_PROBE(r->env, "replica: no memory for an envelope");
        requests_return(r, p);
        return false;
    }
    p->ordinal = ++r->ordinal;
    p->state = PROPOSAL_WAITS;
    p->risked = false;
    p->executed = 0;
    p->sent = 0;
    p->again_at = 0;
    env_note(r->env, &(struct env_note){.kind = NOTE_ENVELOPE,
                                        .a = r->life,
                                        .b = p->ordinal,
                                        .data = p->index,
                                        .size = p->count * sizeof(struct replica_request *)});
    return true;
}

/* ---- proposing ---- */

static uint64_t context_new(struct replica *r, uint32_t slot, bool reads)
{
    return (++r->asked << SLOTS_SHIFT | slot) << 1 | reads;
}

static uint32_t context_slot(uint64_t context)
{
    return (uint32_t)(context >> 1) & ((1u << SLOTS_SHIFT) - 1);
}

static void propose(struct replica *r, struct replica_proposal *p)
{
    struct raft_item item = {.bytes = (uint32_t)p->payload.size, .kind = RAFT_COMMAND};
    struct raft_entry entry = {.kind = RAFT_COMMAND, .data = buf_slice(&p->payload)};
    struct raft_event e = {.type = RAFT_EV_PROPOSE,
                           .ok = true, /* pass it on to the leader */
                           .count = 1,
                           .items = &item};
    struct replica_input in = {.entries = &entry};
    p->context = context_new(r, (uint32_t)(p - r->proposals), false);
    e.context = p->context;
    p->state = PROPOSAL_ASKED;
    p->risked = true;
    p->sent++;
    p->again_at = r->now + answer_after(r);
    r->envelopes++;
    r->again += p->sent > 1;
    replica_step(r, &e, &in);
}

/* Nothing came of the last asking. What was asked once has not happened at all, then. */
static void proposal_wait(struct replica_proposal *p, uint64_t again_at)
{
    p->state = PROPOSAL_WAITS;
    p->again_at = again_at;
    p->sent--;
    p->risked = p->sent > 0;
}

/* Whether an envelope with a place below the snapshot was executed nobody can tell here, if terms
 * let it be there at all. Under sessions it is asked again, and answered once. */
static void proposal_covered(struct replica *r, struct replica_proposal *p)
{
    if (p->safe) {
        ENV_PROBE(r->env, "replica: an envelope is asked for again after a snapshot");
        p->state = PROPOSAL_ASKED;
        p->again_at = r->now;
        return;
    }
    ENV_PROBE(r->env, "replica: an envelope's fate is lost in a snapshot");
    requests_done(&p->requests, REPLICA_UNKNOWN);
    proposal_free(r, p);
}

/* Its place lies under the snapshot that was installed last: it was not seen to be executed. */
static bool is_covered(const struct replica *r, const struct replica_proposal *p)
{
    const struct raft_place *c = &r->snap.covered;
    return p->executed == 0 && p->state == PROPOSAL_PLACED && p->place.index <= c->index &&
           p->place.term <= c->term;
}

static void proposal_answer(struct replica *r, const struct raft_action *a)
{
    uint32_t slot = context_slot(a->context);
    struct replica_proposal *p = slot < r->o.proposals ? &r->proposals[slot] : NULL;
    if (p == NULL || p->ordinal == 0 || p->context != a->context || p->state != PROPOSAL_ASKED) {
        return; /* an answer that came late, or twice */
    }
    if (a->outcome == RAFT_TAKEN) {
        p->state = PROPOSAL_PLACED;
        p->place = a->place;
        if (is_covered(r, p)) {
            ENV_PROBE(r->env, "replica: an answer came after a snapshot that covers it");
            proposal_covered(r, p);
        }
    } else {
        proposal_wait(p, r->now + retry_after(r));
    }
}

/* Requests whose time is over. Those that may happen go with the envelope, unknown; if it was not
 * sent the others are put into another one. */
static void proposal_overdue(struct replica *r, struct replica_proposal *p)
{
    uint64_t next = ENV_NEVER;
    for (uint32_t i = 0; i < p->count; i++) {
        struct replica_request *q = p->index[i];
        if (q == NULL) {
            continue;
        }
        if (q->deadline <= r->now) {
            p->index[i] = NULL;
            request_done(q, p->risked ? REPLICA_UNKNOWN : REPLICA_NOT_DONE);
        } else {
            next = earlier(next, q->deadline);
        }
    }
    p->overdue_at = next;
    if (!p->risked) {
        requests_return(r, p);
    }
    if (list_empty(&p->requests)) {
        proposal_free(r, p);
    }
}

static void proposals_turn(struct replica *r)
{
    for (uint64_t o = r->oldest; o <= r->ordinal; o++) {
        struct replica_proposal *p = proposal_at(r, o);
        if (p != NULL && p->overdue_at <= r->now) {
            proposal_overdue(r, p);
            p = proposal_at(r, o);
        }
        if (p == NULL || p->again_at > r->now) {
            continue;
        }
        if (p->state == PROPOSAL_ASKED && p->safe) {
            ENV_PROBE(r->env, "replica: proposed again under sessions");
            p->state = PROPOSAL_WAITS;
        }
        if (p->state == PROPOSAL_WAITS) {
            propose(r, p);
        }
    }
}

/* ---- reads ---- */

static void reads_ask(struct replica *r, struct replica_reads *b)
{
    b->context = context_new(r, (uint32_t)(b - r->reads), true);
    b->again_at = r->now + answer_after(r);
    struct raft_event e = {
        .type = RAFT_EV_READ, .ok = b->lease && r->now >= r->rested_at, .context = b->context};
    replica_step(r, &e, NULL);
}

static void reads_overdue(struct replica *r, struct replica_reads *b)
{
    b->overdue_at = ENV_NEVER;
    for (struct list *l = b->requests.next; l != &b->requests;) {
        struct replica_request *q = request_of(l);
        l = l->next;
        if (q->deadline <= r->now) {
            request_done(q, REPLICA_NOT_DONE);
        } else {
            b->overdue_at = earlier(b->overdue_at, q->deadline);
        }
    }
    b->context = list_empty(&b->requests) ? 0 : b->context;
}

static void reads_make(struct replica *r, struct replica_reads *b, bool lease)
{
    struct list *from = lease ? &r->leasing : &r->asking;
    b->lease = lease;
    b->overdue_at = ENV_NEVER;
    while (!list_empty(from)) {
        struct replica_request *q = request_of(from->next);
        list_remove(&q->link);
        list_insert(&b->requests, &q->link);
        b->overdue_at = earlier(b->overdue_at, q->deadline);
    }
    reads_ask(r, b);
}

static void reads_turn(struct replica *r)
{
    for (uint32_t i = 0; i < REPLICA_READS_MAX; i++) {
        struct replica_reads *b = &r->reads[i];
        if (b->context != 0 && b->overdue_at <= r->now) {
            reads_overdue(r, b);
        }
        if (b->context != 0 && b->again_at <= r->now) {
            reads_ask(r, b);
        } else if (b->context == 0 && !list_empty(&r->leasing)) {
            reads_make(r, b, true);
        } else if (b->context == 0 && !list_empty(&r->asking)) {
            reads_make(r, b, false);
        }
    }
}

/* Reads of what there is here. A node that has no state yet, for it waits to be let in, has
 * nothing to show. */
static void local_turn(struct replica *r)
{
    uint64_t applied = r->snap.switching ? 0 : r->sm.applied.place.index;
    for (struct list *l = r->local.next; l != &r->local;) {
        struct replica_request *q = request_of(l);
        l = l->next;
        if (applied > 0 && applied >= q->min_index) {
            request_done(q, REPLICA_DONE);
        } else if (q->deadline <= r->now) {
            request_done(q, REPLICA_NOT_DONE);
        }
    }
}

static uint64_t local_deadline(const struct replica *r)
{
    uint64_t at = ENV_NEVER;
    for (struct list *l = r->local.next; l != &r->local; l = l->next) {
        at = earlier(at, request_of(l)->deadline);
    }
    return at;
}

static struct replica_reads *reads_find(struct replica *r, uint64_t context)
{
    uint32_t slot = context_slot(context);
    struct replica_reads *b = slot < REPLICA_READS_MAX ? &r->reads[slot] : NULL;
    return b != NULL && b->context == context ? b : NULL;
}

void replica_ask_ready(struct replica *r, const struct raft_action *a)
{
    struct replica_reads *b = reads_find(r, a->context);
    if (b == NULL) {
        return;
    }
    if (r->snap.switching) {
        b->again_at = r->now + retry_after(r); /* there is no state to look at */
        return;
    }
    if (a->lease != 0 && env_clock_mono(r->env) >= a->lease) {
        b->again_at = r->now;
        return;
    }
    b->context = 0;
    requests_done(&b->requests, REPLICA_DONE);
}

void replica_ask_reply(struct replica *r, const struct raft_action *a)
{
    if (replica_admin_reply(r, a)) {
        return;
    }
    if ((a->context & 1) == 0) {
        proposal_answer(r, a);
        return;
    }
    struct replica_reads *b = reads_find(r, a->context);
    if (b != NULL) {
        b->again_at = r->now + retry_after(r);
    }
}

/* ---- the turn ---- */

void replica_ask_role(struct replica *r)
{
    for (uint64_t o = r->oldest; o <= r->ordinal; o++) {
        struct replica_proposal *p = proposal_at(r, o);
        if (p != NULL) {
            p->again_at = r->now;
        }
    }
    for (uint32_t i = 0; i < REPLICA_READS_MAX; i++) {
        r->reads[i].again_at = r->now;
    }
}

/* Requests that got into no envelope in time. */
static void waiting_overdue(struct replica *r)
{
    for (struct list *l = r->waiting.next; l != &r->waiting;) {
        struct replica_request *q = request_of(l);
        l = l->next;
        if (q->deadline <= r->now) {
            request_done(q, REPLICA_NOT_DONE);
        }
    }
}

void replica_ask_turn(struct replica *r)
{
    local_turn(r);
    reads_turn(r);
    replica_admin_turn(r);
    while (!list_empty(&r->waiting) && proposal_make(r)) {
    }
    proposals_turn(r);
    waiting_overdue(r);
}

uint64_t replica_ask_deadline(struct replica *r)
{
    uint64_t at = ENV_NEVER;
    for (uint64_t o = r->oldest; o <= r->ordinal; o++) {
        const struct replica_proposal *p = proposal_at(r, o);
        if (p != NULL) {
            bool again = p->state == PROPOSAL_WAITS || (p->state == PROPOSAL_ASKED && p->safe);
            at = earlier(at, again ? earlier(p->again_at, p->overdue_at) : p->overdue_at);
        }
    }
    for (uint32_t i = 0; i < REPLICA_READS_MAX; i++) {
        const struct replica_reads *b = &r->reads[i];
        at = b->context != 0 ? earlier(at, earlier(b->again_at, b->overdue_at)) : at;
    }
    at = earlier(at, earlier(replica_admin_deadline(r), replica_snap_deadline(r)));
    at = earlier(at, local_deadline(r));
    bool waits = !list_empty(&r->waiting) || !list_empty(&r->asking) || !list_empty(&r->leasing);
    return waits ? earlier(at, r->now + retry_after(r)) : at;
}

/* ---- what was applied ---- */

static struct buf *on_reply(void *arg, const struct envelope *e, uint32_t request)
{
    struct replica *r = arg;
    if (e->origin != r->o.raft.self || e->life != r->life) {
        return NULL;
    }
    struct replica_proposal *p = proposal_at(r, e->ordinal);
    if (p == NULL || request >= p->count) {
        return NULL; /* it was answered: unknown, or by a copy */
    }
    p->executed = r->sm.applied.place.index + 1;
    struct replica_request *q = p->index[request];
    if (q == NULL) {
        return NULL;
    }
    q->index = p->executed;
    return &q->reply;
}

struct statemachine_sink replica_ask_sink(struct replica *r)
{
    return (struct statemachine_sink){on_reply, r};
}

void replica_ask_applied(struct replica *r, struct raft_place place)
{
    replica_admin_applied(r, place);
    local_turn(r);
    for (uint64_t o = r->oldest; o <= r->ordinal; o++) {
        struct replica_proposal *p = proposal_at(r, o);
        if (p == NULL) {
            continue;
        }
        if (p->executed != 0 && p->executed <= place.index) {
            requests_done(&p->requests, REPLICA_DONE);
            proposal_free(r, p);
        } else if (p->state == PROPOSAL_PLACED &&
                   (p->place.term < place.term || p->place.index <= place.index)) {
            ENV_PROBE(r->env, "replica: an envelope lost its place");
            proposal_wait(p, r->now);
        }
    }
}

void replica_ask_installed(struct replica *r, struct raft_place place)
{
    for (uint64_t o = r->oldest; o <= r->ordinal; o++) {
        struct replica_proposal *p = proposal_at(r, o);
        if (p != NULL && is_covered(r, p)) {
            proposal_covered(r, p);
        }
    }
    replica_ask_applied(r, place); /* the others: executed, or certainly lost, or still to come */
}

void replica_ask_end(struct replica *r)
{
    for (uint64_t o = r->oldest; o <= r->ordinal; o++) {
        struct replica_proposal *p = proposal_at(r, o);
        if (p != NULL) {
            requests_done(&p->requests, p->risked ? REPLICA_UNKNOWN : REPLICA_NOT_DONE);
            proposal_free(r, p);
        }
    }
    for (uint32_t i = 0; i < REPLICA_READS_MAX; i++) {
        r->reads[i].context = 0;
        requests_done(&r->reads[i].requests, REPLICA_NOT_DONE);
    }
    requests_done(&r->waiting, REPLICA_NOT_DONE);
    requests_done(&r->asking, REPLICA_NOT_DONE);
    requests_done(&r->leasing, REPLICA_NOT_DONE);
    requests_done(&r->local, REPLICA_NOT_DONE);
    replica_snap_end(r);
    replica_admin_end(r); /* behind the requests of its own */
}
