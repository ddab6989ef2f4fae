/* simconn.c - connections of the simulated network: handshake, delivery, reset. See simnet.h. */
#include "base/ck.h"
#include "env/env.h"
#include "sim/latency.h"
#include "sim/simnet_int.h"

#include <string.h>

#define NS_PER_US   1000u
#define NS_PER_MS   1000000u
#define NS_PER_S    1000000000u
#define RTO_FIRST   (200u * (uint64_t)NS_PER_MS)
#define RTO_LAST    (120u * (uint64_t)NS_PER_S)
#define SYN_RETRY   (1u * (uint64_t)NS_PER_S)
#define SYN_TIMEOUT (127u * (uint64_t)NS_PER_S)
#define DATA_GIVEUP (924u * (uint64_t)NS_PER_S) /* about 15 retransmissions */

uint64_t simnet_latency(struct simnet *n)
{
    struct world *w = n->world;
    uint64_t ns = latency_draw(&n->time, plan_get(w->plan, PLAN_NET_LATENCY_US) * NS_PER_US);
    return world_fault(w, &n->time, PLAN_NET_TAIL) ? latency_tail(&n->time, ns) : ns;
}

size_t simnet_buffer(const struct simnet *n)
{
    return (size_t)plan_get(n->world->plan, PLAN_NET_BUFFER);
}

static void handshake_fire(struct timer *t);

static void half_fire(struct timer *t)
{
    simconn_deliver(LIST_ENTRY(t, struct half, timer));
}

struct simconn *simconn_new(struct simnet *n, struct simsock *client)
{
    struct simconn *c = mem_zalloc(n->world->mem, sizeof *c);
    c->net = n;
    c->id = ++n->ids;
    c->side[0] = client;
    for (int i = 0; i < 2; i++) {
        c->half[i].conn = c;
        c->half[i].from = i;
        c->half[i].timer.fire = half_fire;
        buf_init(&c->half[i].fly, n->world->mem);
        buf_init(&c->half[i].in, n->world->mem);
    }
    c->handshake.fire = handshake_fire;
    list_insert(&n->conns, &c->link);
    return c;
}

static void simconn_free(struct simconn *c)
{
    struct world *w = c->net->world;
    timers_remove(&w->sched.timers, &c->handshake);
    for (int i = 0; i < 2; i++) {
        timers_remove(&w->sched.timers, &c->half[i].timer);
        buf_release(&c->half[i].fly);
        buf_release(&c->half[i].in);
        mem_release(w->mem, c->half[i].segments);
        if (c->side[i] != NULL) {
            c->side[i]->conn = NULL;
            simsock_free(c->side[i]);
        }
    }
    list_remove(&c->link);
    mem_release(w->mem, c);
}

/* Nobody holds this side any more: closed by its process, lost with its machine, or not there yet.
 */
static bool side_over(const struct simsock *s)
{
    return s == NULL || s->gone || !s->owned;
}

void simconn_settle(struct simconn *c)
{
    bool accepted = c->side[1] == NULL || list_empty(&c->side[1]->queue_link);
    if (!accepted || !side_over(c->side[0]) || !side_over(c->side[1])) {
        return;
    }
    bool moving = c->handshake.at != 0 || c->half[0].timer.at != 0 || c->half[1].timer.at != 0;
    if (!moving) {
        simconn_free(c);
    }
}

/* ---- the handshake ---- */

static struct host *host_at(struct world *w, struct host *from, const struct env_addr *a)
{
    if (a->family == 4 && a->ip[0] == 127) {
        return from;
    }
    for (size_t i = 0; i < w->host_count; i++) {
        const uint8_t ip[4] = {10, 0, 0, (uint8_t)w->hosts[i]->id};
        if (a->family == 4 && memcmp(a->ip, ip, 4) == 0) {
            return w->hosts[i];
        }
    }
    return NULL;
}

/* The answer to the SYN sets out for the client. */
static void answer(struct simconn *c, enum status st)
{
    struct world *w = c->net->world;
    c->answered = true;
    c->answer = st;
    timers_set(&w->sched.timers, &c->handshake, w->sched.now + simnet_latency(c->net));
}

static void syn_lost(struct simconn *c)
{
    struct world *w = c->net->world;
    uint64_t limit = c->side[0]->user_timeout_ns > 0 ? c->side[0]->user_timeout_ns : SYN_TIMEOUT;
    if (w->sched.now - c->syn_first >= limit) {
        simsock_break(c->side[0], ST_TIMEOUT);
        simconn_settle(c);
        return;
    }
    uint64_t wait = SYN_RETRY << (c->syns < 6 ? c->syns : 6);
    c->syns++;
    timers_set(&w->sched.timers, &c->handshake, w->sched.now + wait);
}

/* A SYN is at the door of the server's machine. */
static void syn_arrives(struct simconn *c)
{
    struct simnet *n = c->net;
    struct simsock *client = c->side[0];
    struct host *h = host_at(n->world, client->host, &client->remote);
    if (h == NULL) {
        answer(c, ST_UNREACH);
        return;
    }
    if (!h->up) {
        syn_lost(c);
        return;
    }
    struct simsock *listener = simnet_listener(n, h, &client->remote);
    if (listener == NULL) {
        answer(c, ST_REFUSED);
        return;
    }
    if (listener->queued_count > listener->backlog) { /* Linux queues one more than asked for */
        syn_lost(c);
        return;
    }
    struct simsock *s = simsock_new(n, h, SOCK_OPEN);
    s->local = client->remote;
    s->remote = client->local;
    s->conn = c;
    s->side = 1;
    c->side[1] = s;
    list_insert(&listener->queue, &s->queue_link);
    listener->queued_count++;
    simsock_notify(listener, ENV_IN);
    answer(c, ST_OK);
}

static void handshake_fire(struct timer *t)
{
    struct simconn *c = LIST_ENTRY(t, struct simconn, handshake);
    struct simsock *client = c->side[0];
    if (!c->answered) {
        if (side_over(client) || client->state != SOCK_CONNECTING) {
            simconn_settle(c); /* gave up before its SYN arrived */
            return;
        }
        syn_arrives(c);
        return;
    }
    if (client->never && c->answer == ST_OK) {
        simconn_send(&c->half[0], 0, false, true); /* nobody waits for that answer any more */
    }
    if (client->gone || client->state != SOCK_CONNECTING) {
        simconn_settle(c);
        return;
    }
    if (!client->owned) {
        if (c->answer == ST_OK) {
            simconn_send(&c->half[0], 0, false, true); /* closed meanwhile: its kernel says so */
        }
        simconn_settle(c);
        return;
    }
    if (c->answer == ST_OK) {
        client->state = SOCK_OPEN;
        simsock_notify(client, SIMSOCK_ALL);
    } else {
        simsock_break(client, c->answer);
    }
    simconn_settle(c);
}

void simconn_connect(struct simconn *c)
{
    struct world *w = c->net->world;
    c->syn_first = w->sched.now;
    timers_set(&w->sched.timers, &c->handshake, w->sched.now + simnet_latency(c->net));
}

/* ---- bytes ---- */

void simsock_break(struct simsock *s, enum status why)
{
    s->state = SOCK_DEAD;
    s->error = why;
    simsock_notify(s, SIMSOCK_ALL);
}

void simconn_send(struct half *h, size_t bytes, bool fin, bool rst)
{
    struct world *w = h->conn->net->world;
    if (h->head == h->count) {
        h->head = 0;
        h->count = 0;
    }
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 8 : h->cap * 2;
        h->segments = mem_resize(w->mem, h->segments, h->cap * sizeof *h->segments);
    }
    uint64_t when = w->sched.now + simnet_latency(h->conn->net);
    h->last_when = when > h->last_when ? when : h->last_when;
    h->segments[h->count++] =
        (struct segment){.when = h->last_when, .bytes = bytes, .fin = fin, .rst = rst};
    if (h->timer.at == 0 && (h->head + 1 == h->count || rst)) {
        timers_set(&w->sched.timers, &h->timer, h->last_when);
    }
}

static void drop_segments(struct half *h)
{
    h->head = h->count;
    buf_clear(&h->fly);
    timers_remove(&h->conn->net->world->sched.timers, &h->timer);
}

/* A reset reaches the side that does not write this half. */
static void reset_arrives(struct half *h)
{
    struct simconn *c = h->conn;
    struct simsock *to = c->side[1 - h->from];
    struct half *back = &c->half[1 - h->from];
    drop_segments(h);
    drop_segments(back);
    if (to == NULL || to->gone) {
        return;
    }
    if (simsock_over(to)) {
        return;
    }
    if (c->net->world->faults && choose_chance(&c->net->time, 300000)) {
        buf_clear(&h->in); /* what was not read yet may be lost with it, though not on Linux */
    }
    struct trace_event e = {.time = c->net->world->sched.now, .kind = TRACE_RESET, .a = c->id};
    trace_add(&c->net->world->trace, &e);
    bool half_closed = h->fin_in && !back->fin_sent;
    simsock_break(to, half_closed ? ST_PIPE : ST_RESET);
}

/* The receiver's machine does not answer: try again later, or give up. */
static void unanswered(struct half *h)
{
    struct world *w = h->conn->net->world;
    struct simsock *from = h->conn->side[h->from];
    if (from == NULL || from->gone) {
        drop_segments(h);
        return;
    }
    if (h->retries++ == 0) {
        h->lost_since = w->sched.now;
    }
    uint64_t limit = from->user_timeout_ns > 0 ? from->user_timeout_ns : DATA_GIVEUP;
    if (w->sched.now - h->lost_since >= limit) {
        drop_segments(h);
        simsock_break(from, ST_TIMEOUT);
        return;
    }
    uint64_t rto = RTO_FIRST << (h->retries < 10 ? h->retries : 10);
    timers_set(&w->sched.timers, &h->timer, w->sched.now + (rto < RTO_LAST ? rto : RTO_LAST));
}

/* The kernel of a machine that knows nothing of this connection answers with RST. */
static void unknown_here(struct half *h)
{
    struct half *back = &h->conn->half[1 - h->from];
    drop_segments(h);
    drop_segments(back);
    simconn_send(back, 0, false, true);
}

/* Takes as much of the first segment as the receiver has room for; false when it has none. */
static bool take_segment(struct half *h, struct simsock *to)
{
    struct simnet *n = h->conn->net;
    struct segment *g = &h->segments[h->head];
    size_t room = simnet_buffer(n) > h->in.size ? simnet_buffer(n) - h->in.size : 0;
    size_t bytes = g->bytes < room ? g->bytes : room;
    if (bytes > 0) {
        enum status st = buf_append(&h->in, h->fly.data, bytes);
        CK(st == ST_OK);
        buf_consume(&h->fly, bytes);
        g->bytes -= bytes;
        struct trace_event e = {.time = n->world->sched.now,
                                .kind = TRACE_DELIVER,
                                .a = h->conn->id,
                                .b = bytes,
                                .c = (uint64_t)h->from};
        trace_add(&n->world->trace, &e);
        simsock_notify(to, ENV_IN);
        struct simsock *writer = h->conn->side[h->from];
        if (writer != NULL && writer->wants_room) {
            writer->wants_room = false;
            simsock_notify(writer, ENV_OUT);
        }
    }
    if (g->bytes > 0) {
        return false;
    }
    if (g->fin) {
        h->fin_in = true;
        simsock_notify(to, SIMSOCK_ALL);
        if (h->conn->side[h->from] != NULL) {
            simsock_notify(h->conn->side[h->from], SIMSOCK_ALL); /* its end was acknowledged */
        }
    }
    h->head++;
    return true;
}

/* The receiver has no room. A reset that has been sent waits for no window: it is looked at when it
 * is due; true when that is now. */
static bool reset_due(struct half *h)
{
    const struct segment *last = &h->segments[h->count - 1];
    struct world *w = h->conn->net->world;
    if (last->rst && last->when > w->sched.now) {
        timers_set(&w->sched.timers, &h->timer, last->when);
    }
    return last->rst && last->when <= w->sched.now;
}

void simconn_deliver(struct half *h)
{
    struct simconn *c = h->conn;
    struct world *w = c->net->world;
    while (h->head < h->count && h->segments[h->head].when <= w->sched.now) {
        struct simsock *to = c->side[1 - h->from];
        if (h->segments[h->head].rst) {
            reset_arrives(h);
            break;
        }
        if (to == NULL || !to->host->up) {
            unanswered(h);
            simconn_settle(c);
            return;
        }
        bool waiting = !list_empty(&to->queue_link); /* not accepted yet */
        if (to->gone || (!to->owned && !waiting && h->segments[h->head].bytes > 0)) {
            unknown_here(h);
            break;
        }
        if (!take_segment(h, to)) {
            if (!reset_due(h)) {
                return; /* zero window: a read asks again */
            }
            reset_arrives(h);
            break;
        }
    }
    h->retries = 0;
    if (h->head < h->count) {
        timers_set(&w->sched.timers, &h->timer, h->segments[h->head].when);
    }
    simconn_settle(c);
}
