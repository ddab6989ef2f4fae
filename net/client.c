/* client.c - calls: which are sent, and what becomes of them; see client.h. */
#include "base/ck.h"
#include "env/addr.h"
#include "net/client_int.h"
#include "net/pbdec.h"

#define MS         1000000ull
#define ARENA_MAX  ((size_t)64 << 20)
#define ARENA_KEEP (64u << 10)
#define OUT_HIGH   (256u * 1024u) /* unsent bytes; more are not encoded ahead */

void client_options_init(struct client_options *o)
{
    *o = (struct client_options){.inflight = 256,
                                 .connect_ns = 1000 * MS,
                                 .patience_ns = 3000 * MS,
                                 .pause_least_ns = 20 * MS,
                                 .pause_most_ns = 2000 * MS,
                                 .response_max = 1u << 30};
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static struct client_call *call_of(struct list *l)
{
    return LIST_ENTRY(l, struct client_call, link);
}

/* ---- making and freeing ---- */

enum status client_new(struct env *env, const struct client_options *o, struct client **client)
{
    CK(o->node_count > 0);
    CK(o->inflight > 0 && (o->inflight & (o->inflight - 1)) == 0);
    struct client *c = mem_zalloc(&env->mem, sizeof *c);
    if (c == NULL) {
        return ST_NOMEM;
    }
    c->env = env;
    c->o = *o;
    c->poller = -1;
    list_init(&c->waiting);
    list_init(&c->flying);
    list_init(&c->by_deadline);
    list_init(&c->numbered);
    client_link_init(c);
    pbarena_init(&c->arena, &env->mem, ARENA_MAX, ARENA_KEEP);
    c->nodes = mem_alloc(&env->mem, o->node_count * sizeof *c->nodes);
    c->slots = mem_zalloc(&env->mem, o->inflight * sizeof(struct client_call *));
    enum status st = c->nodes == NULL || c->slots == NULL ? ST_NOMEM : ST_OK;
    if (st == ST_OK) {
        memcpy(c->nodes, o->nodes, o->node_count * sizeof *c->nodes);
        st = env_poller_open(env, &c->poller);
        c->poller = st == ST_OK ? c->poller : -1;
    }
    if (st != ST_OK) {
        client_free(c);
        return st;
    }
    *client = c;
    return ST_OK;
}

uint64_t client_pending(const struct client *c)
{
    return c->pending;
}

uint64_t client_session(const struct client *c)
{
    return c->session;
}

void client_wake(struct client *c)
{
    env_poller_wake(c->env, c->poller);
}

/* ---- what a call is ---- */

static bool batch_reads(const struct pbmsg_batch *b)
{
    bool reads = true;
    for (uint32_t i = 0; i < b->ops.count; i++) {
        reads = reads && b->ops.items[i].op == PBMSG_GET;
    }
    return reads;
}

/* Carrying it out twice, or without anybody to hear of it, changes nothing. */
static bool reads_only(const struct client_call *call)
{
    switch (call->request.op) {
    case PBMSG_GET:
    case PBMSG_SCAN:
    case PBMSG_PING:
    case PBMSG_MEMBERS:
    case PBMSG_STATUS:
        return true;
    case PBMSG_BATCH:
        return batch_reads(&call->request.batch);
    default:
        return false;
    }
}

/* May it be sent again though it may have been carried out? A session that was opened and of which
 * nobody heard is an unused row that goes by itself; renewing and closing happen to be idempotent.
 */
static bool repeatable(const struct client_call *call)
{
    uint32_t op = call->request.op;
    return call->once || reads_only(call) || op == PBMSG_OPEN_SESSION ||
           op == PBMSG_RENEW_SESSION || op == PBMSG_CLOSE_SESSION;
}

/* ---- the end of a call ---- */

/* It flies no more. */
static void land(struct client *c, struct client_call *call)
{
    if (!call->flying) {
        return;
    }
    struct client_call **slot = &c->slots[call->request.id & (c->o.inflight - 1)];
    CK(*slot == call);
    *slot = NULL;
    call->flying = false;
    CK(c->fly_count > 0);
    c->fly_count--;
    c->repeatable -= repeatable(call);
}

static void end(struct client *c, struct client_call *call, enum client_outcome outcome,
                enum pbmsg_code code, const struct pbmsg_response *response)
{
    CK(!call->ended);
    land(c, call);
    list_remove(&call->link);
    list_remove(&call->by_deadline);
    list_remove(&call->numbered);
    call->ended = true;
    call->outcome = outcome;
    call->code = (int32_t)code;
    call->response = response;
    CK(c->pending > 0);
    c->pending--;
    c->ended++;
    if (call->done != NULL) {
        call->done(call);
    }
}

/* This attempt did nothing; one before it perhaps did. */
static void end_undone(struct client *c, struct client_call *call, enum pbmsg_code code,
                       const struct pbmsg_response *response)
{
    end(c, call, call->maybe ? CLIENT_UNKNOWN : CLIENT_NOT_DONE, code, response);
}

/* Nobody waits for it any more. One that was encoded may be on its way. */
static void give_up(struct client *c, struct client_call *call, enum pbmsg_code code)
{
    call->maybe = call->maybe || (call->flying && !reads_only(call));
    end_undone(c, call, code, NULL);
}

void client_cancel(struct client *c, struct client_call *call)
{
    if (!call->ended) {
        give_up(c, call, PBMSG_CODE_TIMEOUT);
    }
}

void client_free(struct client *c)
{
    if (c == NULL) {
        return;
    }
    while (!list_empty(&c->by_deadline)) {
        struct client_call *call = LIST_ENTRY(c->by_deadline.next, struct client_call, by_deadline);
        give_up(c, call, PBMSG_CODE_STOPPING);
    }
    client_link_release(c);
    pbarena_release(&c->arena);
    if (c->poller >= 0) {
        (void)env_fd_close(c->env, c->poller); /* gone whatever it says */
    }
    env_release(c->env, c->nodes);
    env_release(c->env, c->slots);
    env_release(c->env, c);
}

/* Calls of which the time is over. */
static void expire(struct client *c)
{
    while (!list_empty(&c->by_deadline)) {
        struct client_call *call = LIST_ENTRY(c->by_deadline.next, struct client_call, by_deadline);
        if (c->now < call->deadline) {
            return;
        }
        give_up(c, call, PBMSG_CODE_TIMEOUT);
    }
}

/* ---- taking a call ---- */

/* Deadlines mostly come in order, so the place is looked for from the end. */
static void deadline_insert(struct client *c, struct client_call *call)
{
    struct list *at = &c->by_deadline;
    while (at->prev != &c->by_deadline &&
           LIST_ENTRY(at->prev, struct client_call, by_deadline)->deadline > call->deadline) {
        at = at->prev;
    }
    list_insert(at, &call->by_deadline);
}

void client_send(struct client *c, struct client_call *call)
{
    struct pbmsg_request *r = &call->request;
    list_init(&call->numbered);
    list_init(&call->by_deadline);
    call->ended = false;
    call->flying = false;
    call->maybe = false;
    call->attempts = 0;
    call->response = NULL;
    r->id = r->session = r->sequence = r->answered = 0;
    if (r->op == PBMSG_RENEW_SESSION || r->op == PBMSG_CLOSE_SESSION) {
        r->session = c->session;
    }
    list_insert(&c->waiting, &call->link);
    deadline_insert(c, call);
    c->pending++;
}

/* ---- sending ---- */

/* Gives the call its number in the session. False: not now. */
static bool number(struct client *c, struct client_call *call)
{
    struct pbmsg_request *r = &call->request;
    if (r->sequence == 0) {
        uint64_t first = c->next_sequence;
        if (!list_empty(&c->numbered)) {
            first = LIST_ENTRY(c->numbered.next, struct client_call, numbered)->request.sequence;
        }
        if (c->next_sequence - first >= CLIENT_WINDOW) {
            ENV_PROBE(c->env, "client: the window of the session is full");
            return false;
        }
        r->session = c->session;
        r->sequence = c->next_sequence++;
        list_insert(&c->numbered, &call->numbered);
    }
    if (r->session == c->session) {
        r->answered = LIST_ENTRY(c->numbered.next, struct client_call, numbered)->request.sequence;
    }
    return true;
}

/* An id whose slot is free; there is one. */
static uint64_t id_take(struct client *c)
{
    do {
        c->last_id++;
    } while (c->slots[c->last_id & (c->o.inflight - 1)] != NULL);
    return c->last_id;
}

/* Writes the call's request behind what is to be sent. */
static void launch(struct client *c, struct client_call *call)
{
    struct pbmsg_request *r = &call->request;
    size_t before = c->out.size;
    uint64_t left_ms = (call->deadline - c->now) / MS + 1;
    r->timeout_ms = left_ms < UINT32_MAX ? (uint32_t)left_ms : 0;
    r->id = id_take(c);
    if (r->consistency == PBMSG_CONSISTENCY_LOCAL && r->min_index < c->index) {
        r->min_index = c->index;
    }
    enum status st = frame_append_client(&c->out, &pbmsg_request_table, r);
    if (st != ST_OK) {
        end_undone(c, call,
                   st == ST_NOMEM    ? PBMSG_CODE_NO_MEMORY
                   : st == ST_TOOBIG ? PBMSG_CODE_TOO_LARGE
                                     : PBMSG_CODE_BAD_REQUEST,
                   NULL);
        return;
    }
    c->queued += c->out.size - before;
    call->end_at = c->queued;
    call->attempts++;
    call->flying = true;
    c->slots[r->id & (c->o.inflight - 1)] = call;
    if (c->repeatable == 0) {
        c->heard_at = c->now; /* patience begins */
    }
    c->fly_count++;
    c->repeatable += repeatable(call);
    list_remove(&call->link);
    list_insert(&c->flying, &call->link);
}

static void launch_waiting(struct client *c)
{
    while (c->state == CLIENT_LINKED && !c->leaving && !list_empty(&c->waiting) &&
           c->fly_count < c->o.inflight && c->out.size - c->out_at < OUT_HIGH) {
        struct client_call *call = call_of(c->waiting.next);
        if (call->once && call->request.sequence == 0 && c->session == 0) {
            end_undone(c, call, PBMSG_CODE_SESSION_EXPIRED, NULL);
            continue;
        }
        if (call->once && !number(c, call)) {
            return;
        }
        launch(c, call);
    }
}

/* Back to the front of those that wait. */
static void wait_again(struct client *c, struct client_call *call)
{
    land(c, call);
    list_remove(&call->link);
    list_insert(c->waiting.next, &call->link);
}

void client_grounded(struct client *c)
{
    /* from the last to the first, so that they wait in the order in which they were sent */
    struct list over;
    list_init(&over);
    while (!list_empty(&c->flying)) {
        struct client_call *call = call_of(c->flying.prev);
        call->maybe = call->maybe || (call->end_at <= c->sent && !reads_only(call));
        wait_again(c, call);
        if (call->maybe && !repeatable(call)) {
            list_remove(&call->link);
            list_insert(over.next, &call->link);
        }
    }
    while (!list_empty(&over)) {
        ENV_PROBE(c->env, "client: a write of unknown outcome");
        end(c, call_of(over.next), CLIENT_UNKNOWN, PBMSG_CODE_UNKNOWN, NULL);
    }
}

/* ---- responses ---- */

static void session_note(struct client *c, const struct client_call *call,
                         const struct pbmsg_response *r)
{
    uint32_t op = call->request.op;
    if (r->code == PBMSG_CODE_OK && op == PBMSG_OPEN_SESSION) {
        while (!list_empty(&c->numbered)) { /* they keep their numbers in the old one */
            list_remove(c->numbered.next);
        }
        c->session = r->open_session.session;
        c->next_sequence = 1;
    }
    bool gone = r->code == PBMSG_CODE_SESSION_EXPIRED ||
                (r->code == PBMSG_CODE_OK && op == PBMSG_CLOSE_SESSION);
    if (gone && call->request.session == c->session) {
        ENV_PROBE(c->env, "client: the session is gone");
        c->session = 0;
    }
}

/* Where the leader is, if the response says so. */
static void leader_note(struct client *c, const struct pbmsg_response *r)
{
    char text[ADDR_TEXT_MAX];
    size_t size = r->leader.address.size;
    c->led = false;
    if (r->code != PBMSG_CODE_NOT_LEADER || !r->has_leader || size == 0 || size >= sizeof text) {
        return;
    }
    memcpy(text, r->leader.address.data, size);
    text[size] = '\0';
    c->led = addr_parse(text, &c->leader, NULL) == ST_OK;
}

/* This node cannot serve now: nothing was done, or it is not known. Another one, when the others
 * that it has are answered. */
static void try_again(struct client *c, struct client_call *call, const struct pbmsg_response *r)
{
    ENV_PROBE(c->env, "client: a node could not serve");
    leader_note(c, r);
    c->leaving = true;
    c->retry_ns = earlier(r->retry_ms * MS, c->o.pause_most_ns);
    wait_again(c, call);
}

/* The end, or another attempt. */
static void respond(struct client *c, struct client_call *call, const struct pbmsg_response *r)
{
    enum pbmsg_code code = (enum pbmsg_code)r->code;
    session_note(c, call, r);
    switch (code) {
    case PBMSG_CODE_OK:
        if (r->result != call->request.op) { /* not what was asked: whatever it did */
            end(c, call, CLIENT_UNKNOWN, PBMSG_CODE_UNKNOWN, NULL);
            return;
        }
        c->troubles = 0;
        c->index = r->index > c->index ? r->index : c->index;
        end(c, call, CLIENT_DONE, code, r);
        return;
    case PBMSG_CODE_NOT_LEADER:
    case PBMSG_CODE_UNAVAILABLE:
    case PBMSG_CODE_BUSY:
    case PBMSG_CODE_STOPPING:
        try_again(c, call, r);
        return;
    case PBMSG_CODE_UNKNOWN:
        call->maybe = !reads_only(call);
        if (repeatable(call)) {
            try_again(c, call, r);
        } else {
            end(c, call, CLIENT_UNKNOWN, code, r);
        }
        return;
    case PBMSG_CODE_NOT_INTEGER:
    case PBMSG_CODE_OVERFLOW:
        /* an answer out of the state, and a number has one answer only */
        c->troubles = 0;
        end(c, call, CLIENT_NOT_DONE, code, r);
        return;
    default:
        end_undone(c, call, code, r);
    }
}

/* Takes one response. False: there is none. */
static bool deliver(struct client *c)
{
    struct slice payload;
    if (!client_link_frame(c, &payload)) {
        return false;
    }
    pbarena_reset(&c->arena);
    struct pbmsg_response *r = &c->response;
    enum status st = pbdec_read(&pbmsg_response_table, payload, &c->arena, r, NULL);
    if (st != ST_OK) {
        ENV_PROBE(c->env, "client: a response that cannot be read");
        client_link_next(c);
        return false;
    }
    struct client_call *call = c->slots[r->id & (c->o.inflight - 1)];
    if (r->id == 0 && r->code != PBMSG_CODE_OK && !list_empty(&c->flying)) {
        /* a request that the node could not read: the first that it has not answered */
        ENV_PROBE(c->env, "client: a request could not be read");
        end_undone(c, call_of(c->flying.next), (enum pbmsg_code)r->code, r);
        return true;
    }
    c->served = true;
    if (call == NULL || call->request.id != r->id) {
        ENV_PROBE(c->env, "client: a response came too late");
        return true;
    }
    respond(c, call, r);
    return true;
}

/* ---- steps ---- */

/* Everything that can be done without waiting; ends early with `awaited`. */
static void advance(struct client *c, const struct client_call *awaited)
{
    c->now = env_clock_mono(c->env);
    expire(c);
    for (int round = 0; round < 2; round++) {
        bool more = true;
        while (more) {
            if (awaited != NULL && awaited->ended) {
                return;
            }
            more = deliver(c);
        }
        if (c->leaving && c->fly_count == 0) {
            client_link_next(c);
        }
        if (round == 0) {
            client_link_move(c);
        }
    }
    launch_waiting(c);
    client_link_flush(c);
}

static uint64_t due(const struct client *c)
{
    uint64_t at = client_link_due(c);
    if (!list_empty(&c->by_deadline)) {
        struct list *first = c->by_deadline.next;
        at = earlier(at, LIST_ENTRY(first, struct client_call, by_deadline)->deadline);
    }
    return at;
}

/* One wait, between two goes at everything else. */
static enum status step(struct client *c, uint64_t until, const struct client_call *awaited)
{
    uint64_t before = c->ended;
    advance(c, awaited);
    if (c->ended != before) {
        return ST_OK;
    }
    enum status st = client_link_wait(c, earlier(until, due(c)));
    if (st == ST_OK) {
        advance(c, awaited);
    }
    return st;
}

enum status client_step(struct client *c, uint64_t until_mono)
{
    return step(c, until_mono, NULL);
}

enum status client_run(struct client *c, struct client_call *call)
{
    enum status st = ST_OK;
    client_send(c, call);
    while (st == ST_OK && !call->ended) {
        st = step(c, call->deadline, call);
    }
    client_cancel(c, call); /* unless it has ended */
    return st;
}
