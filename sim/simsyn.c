/* simsyn.c - handshakes of the simulated network: SYNs, their answers, and full accept queues. See
 * simnet.h.
 *
 * A SYN gets through when the link to the server and the one back pass: the server hands a
 * connection to its listener only once the client has answered. */
#include "base/ck.h"
#include "sim/simnet_int.h"

#include <string.h>

#define NS_PER_S    1000000000u
#define SYN_RETRY   (1u * (uint64_t)NS_PER_S)
#define SYN_TIMEOUT (127u * (uint64_t)NS_PER_S)
#define GHOST_LIFE  (63u * (uint64_t)NS_PER_S) /* five times SYN-ACK again */

struct host *simnet_host_at(struct world *w, struct host *from, const struct env_addr *a)
{
    if (a->family != 4 || a->ip[0] == 127) {
        return a->family == 4 ? from : NULL;
    }
    uint32_t at = (uint32_t)a->ip[1] << 16 | (uint32_t)a->ip[2] << 8 | a->ip[3];
    for (size_t i = 0; i < w->host_count && a->ip[0] == 10; i++) {
        if (w->hosts[i]->address == at) {
            return w->hosts[i];
        }
    }
    return NULL;
}

/* Nobody waits for the outcome any more. */
static bool client_left(const struct simconn *c)
{
    const struct simsock *s = c->side[0];
    return s->gone || !s->owned || s->state != SOCK_CONNECTING;
}

/* The answer to the SYN sets out for the client: from the server's machine, or from one between. */
static void answer(struct simconn *c, enum status st, bool from_host)
{
    struct simnet *n = c->net;
    c->answered = true;
    c->answer = st;
    c->from_host = from_host;
    timers_set(&n->world->sched.timers, &c->handshake, simlink_packet(n, c->wire[1]));
}

/* Waits for the next SYN's turn, or gives up. */
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

static void enqueue(struct simconn *c, struct simsock *listener)
{
    struct simsock *client = c->side[0];
    struct simsock *s = simsock_new(c->net, c->host[1], SOCK_OPEN);
    s->local = client->remote;
    s->remote = client->local;
    s->conn = c;
    s->side = 1;
    c->side[1] = s;
    list_insert(&listener->queue, &s->queue_link);
    listener->queued_count++;
    simsock_notify(listener, ENV_IN);
}

/* Linux queues one more than asked for. */
static bool queue_full(const struct simsock *listener)
{
    return listener->queued_count > listener->backlog;
}

/* The queue is full. Mostly the SYN is dropped; where it became full between a SYN and the third
 * packet, the client is connected and the server is not. */
static void overflow(struct simconn *c)
{
    struct world *w = c->net->world;
    if (!world_fault(w, &c->net->fault, PLAN_NET_OVERFLOW)) {
        syn_lost(c);
        return;
    }
    c->ghost = plan_get(w->plan, PLAN_NET_OVERFLOW_ABORT) == 0;
    c->ghost_since = w->sched.now;
    world_trace(w, TRACE_FAULT,
                c->ghost ? "accept queue full: half a connection" : "accept queue full: reset",
                c->id);
    answer(c, ST_OK, true);
}

/* A SYN is at the door of the server's machine. */
static void syn_arrives(struct simconn *c)
{
    struct simnet *n = c->net;
    struct simsock *client = c->side[0];
    struct host *h = simnet_host_at(n->world, client->host, &client->remote);
    simconn_wire(c, h);
    if (h == NULL) {
        answer(c, ST_UNREACH, false);
        return;
    }
    enum simlink_mode mode = simconn_passes(&c->half[0], 0);
    if (mode == SIMLINK_REJECT || mode == SIMLINK_RESET) {
        n->effects[SIMNET_REJECTED]++;
        answer(c, mode == SIMLINK_REJECT ? ST_UNREACH : ST_REFUSED, false);
        return;
    }
    bool cut = mode != SIMLINK_PASS || simconn_passes(&c->half[1], 0) != SIMLINK_PASS;
    n->effects[SIMNET_SYN_CUT] += cut;
    if (!h->up || cut || simlink_lost(c->wire[0])) {
        syn_lost(c);
        return;
    }
    struct simsock *listener = simnet_listener(n, h, &client->remote);
    if (listener == NULL) {
        answer(c, ST_REFUSED, true);
    } else if (queue_full(listener)) {
        overflow(c);
    } else {
        enqueue(c, listener);
        answer(c, ST_OK, true);
    }
}

/* The server sends its part again, in case its queue has room by now. False: it is over. */
static bool ghost_tries(struct simconn *c)
{
    struct world *w = c->net->world;
    struct simsock *listener =
        c->host[1]->up ? simnet_listener(c->net, c->host[1], &c->side[0]->remote) : NULL;
    bool client = c->side[0]->state == SOCK_OPEN && !c->side[0]->gone;
    if (!client || listener == NULL || w->sched.now - c->ghost_since >= GHOST_LIFE) {
        return false;
    }
    if (!queue_full(listener) && simconn_passes(&c->half[0], 0) == SIMLINK_PASS) {
        enqueue(c, listener);
        c->ghost = false;
        c->net->effects[SIMNET_GHOST_WHOLE]++;
    }
    return true;
}

void simsyn_ghost_retry(struct simconn *c)
{
    struct world *w = c->net->world;
    if (!ghost_tries(c)) {
        c->ghost = false;
        c->net->effects[SIMNET_GHOST_RESET]++;
        timers_remove(&w->sched.timers, &c->handshake);
        simalive_look(c, 0);
    }
}

/* 1, 2, 4, 8, 16 and 32 seconds after one another. */
static void ghost_waits(struct simconn *c)
{
    struct world *w = c->net->world;
    uint64_t since = w->sched.now - c->ghost_since;
    uint64_t step = SYN_RETRY;
    while (2 * step <= since + step) {
        step *= 2;
    }
    timers_set(&w->sched.timers, &c->handshake, w->sched.now + step);
}

static void ghost_fire(struct simconn *c)
{
    simsyn_ghost_retry(c);
    if (c->ghost) {
        ghost_waits(c);
    }
    simconn_settle(c);
}

/* The client is connected. */
static void connected(struct simconn *c)
{
    struct world *w = c->net->world;
    c->side[0]->state = SOCK_OPEN;
    c->heard[0] = w->sched.now;
    c->heard[1] = w->sched.now;
    simsock_notify(c->side[0], SIMSOCK_ALL);
    if (c->ghost) {
        ghost_waits(c);
    } else if (c->side[1] == NULL) {
        c->net->effects[SIMNET_GHOST_RESET]++;
        simconn_send(&c->half[1], 0, false, true); /* a full queue that resets */
    }
    simalive_look(c, 0);
}

/* The answer is here, unless a link took it. */
static bool answer_lost(struct simconn *c)
{
    if (!c->from_host || client_left(c) || simconn_passes(&c->half[1], 0) == SIMLINK_PASS) {
        return false;
    }
    c->net->effects[SIMNET_SYN_CUT]++;
    c->answered = c->answer == ST_OK; /* a refusal is asked for again */
    syn_lost(c);
    return true;
}

void simsyn_fire(struct timer *t)
{
    struct simconn *c = LIST_ENTRY(t, struct simconn, handshake);
    struct simsock *client = c->side[0];
    if (c->ghost && c->answered && client->state != SOCK_CONNECTING) {
        ghost_fire(c);
        return;
    }
    if (!c->answered) {
        if (client_left(c)) {
            simconn_settle(c); /* gave up before its SYN arrived */
            return;
        }
        syn_arrives(c);
        return;
    }
    if (answer_lost(c)) {
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
        connected(c);
    } else {
        simsock_break(client, c->answer);
    }
    simconn_settle(c);
}

void simsyn_start(struct simconn *c)
{
    struct simnet *n = c->net;
    struct simsock *client = c->side[0];
    c->port = client->remote.port;
    c->syn_first = n->world->sched.now;
    simconn_wire(c, simnet_host_at(n->world, client->host, &client->remote));
    timers_set(&n->world->sched.timers, &c->handshake, simlink_packet(n, c->wire[0]));
}
