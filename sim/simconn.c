/* simconn.c - connections of the simulated network: delivery, retransmission, reset. See simnet.h.
 *
 * A half whose first segment is not taken, because its link drops it or nobody answers there, is
 * stuck: it tries again after 400 ms, 800 ms and so on, until the user timeout. When the link heals
 * it waits for its next try, drawn from what is left of that. What was delivered while the way back
 * was cut counts as unacknowledged; after one retransmission timeout such a half is stuck too. */
#include "base/ck.h"
#include "env/env.h"
#include "sim/simnet_int.h"

#include <string.h>

#define DATA_GIVEUP (924u * (uint64_t)1000000000) /* about 15 retransmissions */

size_t simnet_buffer(const struct simnet *n)
{
    return (size_t)plan_get(n->world->plan, PLAN_NET_BUFFER);
}

size_t simconn_room(const struct half *h)
{
    size_t cap = simnet_buffer(h->conn->net);
    size_t used = h->fly.size + h->unacked;
    return cap > used ? cap - used : 0;
}

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
    c->host[0] = client->host;
    for (int i = 0; i < 2; i++) {
        c->half[i].conn = c;
        c->half[i].from = i;
        c->half[i].timer.fire = half_fire;
        buf_init(&c->half[i].fly, n->world->mem);
        buf_init(&c->half[i].in, n->world->mem);
        c->alive[i].conn = c;
        c->alive[i].side = i;
        c->alive[i].timer.fire = simalive_fire;
    }
    c->handshake.fire = simsyn_fire;
    list_insert(&n->conns, &c->link);
    return c;
}

static void simconn_free(struct simconn *c)
{
    struct world *w = c->net->world;
    timers_remove(&w->sched.timers, &c->handshake);
    for (int i = 0; i < 2; i++) {
        timers_remove(&w->sched.timers, &c->half[i].timer);
        timers_remove(&w->sched.timers, &c->alive[i].timer);
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

/* ---- what a link does ---- */

void simconn_wire(struct simconn *c, struct host *server)
{
    c->host[1] = server;
    c->wire[0] = server != NULL ? simlink_between(c->net, c->host[0], server) : NULL;
    c->wire[1] = server != NULL ? simlink_between(c->net, server, c->host[0]) : NULL;
}

enum simlink_mode simconn_passes(const struct half *h, size_t bytes)
{
    const struct simconn *c = h->conn;
    const struct simlink_packet p = {.conn = c->id, .port = c->port, .bytes = bytes};
    return simlink_judge(c->wire[h->from], &p);
}

bool simconn_ack_passes(const struct half *h)
{
    const struct simconn *c = h->conn;
    const struct simlink_packet p = {.conn = c->id, .port = c->port, .ack = true};
    return simlink_judge(c->wire[1 - h->from], &p) == SIMLINK_PASS;
}

/* It is stuck and a link is why: its next try comes some time after that link has healed. */
static void look_again(struct half *h, struct simlink *l)
{
    struct world *w = l->net->world;
    if (h->cut && h->timer.at != 0) {
        uint64_t rto = simlink_rto(h->retries);
        timers_set(&w->sched.timers, &h->timer, w->sched.now + 1 + choose(&l->time, rto));
    }
}

void simconn_link_changed(struct simlink *l)
{
    struct simnet *n = l->net;
    for (struct list *at = n->conns.next; at != &n->conns; at = at->next) {
        struct simconn *c = LIST_ENTRY(at, struct simconn, link);
        if (c->wire[0] != l && c->wire[1] != l) {
            continue;
        }
        for (int i = 0; i < 2; i++) {
            struct half *h = &c->half[i];
            size_t bytes = h->head < h->count ? h->segments[h->head].bytes : 0;
            if (simconn_passes(h, bytes) == SIMLINK_PASS && simconn_ack_passes(h)) {
                look_again(h, l);
            } else {
                simconn_probe_window(h);
            }
            simalive_look(c, i);
        }
    }
}

/* ---- bytes ---- */

void simsock_break(struct simsock *s, enum status why)
{
    s->state = SOCK_DEAD;
    s->error = why;
    simsock_notify(s, SIMSOCK_ALL);
}

/* For one more segment: those that are done give up their places once they are half of all. */
static void make_room(struct half *h)
{
    if (h->head * 2 >= h->count && h->head > 0) {
        h->count -= h->head;
        memmove(h->segments, h->segments + h->head, h->count * sizeof *h->segments);
        h->head = 0;
    }
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 8 : h->cap * 2;
        h->segments =
            mem_resize(h->conn->net->world->mem, h->segments, h->cap * sizeof *h->segments);
        CK(h->segments != NULL);
    }
}

/* When the writer's user timeout ends for the first segment, which is slow rather than lost. */
static uint64_t patience(const struct half *h)
{
    const struct simsock *from = h->conn->side[h->from];
    bool any = from != NULL && !from->gone && from->user_timeout_ns > 0;
    return any ? h->head_since + from->user_timeout_ns : UINT64_MAX;
}

void simconn_arm(struct half *h)
{
    uint64_t when = h->segments[h->head].when;
    uint64_t end = patience(h);
    timers_set(&h->conn->net->world->sched.timers, &h->timer, when < end ? when : end);
}

void simconn_send(struct half *h, size_t bytes, bool fin, bool rst)
{
    struct world *w = h->conn->net->world;
    make_room(h);
    struct segment g = {.bytes = bytes, .fin = fin, .rst = rst};
    simlink_send(h->conn->net, simconn_link(h), &g);
    g.when = g.when > h->last_when ? g.when : h->last_when;
    h->last_when = g.when;
    h->segments[h->count++] = g;
    bool first = h->head + 1 == h->count;
    h->head_since = first ? w->sched.now : h->head_since;
    bool idle = h->unacked > 0 && h->retries == 0 && first && h->timer.when > g.when;
    if (idle || (h->timer.at == 0 && first)) {
        simconn_arm(h);
    } else if (h->timer.at == 0 && rst) {
        timers_set(&w->sched.timers, &h->timer, h->last_when);
    }
}

static void drop_segments(struct half *h)
{
    h->head = h->count;
    h->unacked = 0;
    h->deaf_since = 0;
    h->shut_since = 0;
    h->cut = false;
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

/* The writer learns that all of it arrived. */
static void acknowledged(struct half *h)
{
    struct simsock *writer = h->conn->side[h->from];
    h->unacked = 0;
    h->deaf_since = 0;
    if (writer != NULL && writer->wants_room) {
        writer->wants_room = false;
        simsock_notify(writer, ENV_OUT);
    }
}

void simconn_probe_window(struct half *h)
{
    struct world *w = h->conn->net->world;
    if (h->shut_since != 0) {
        timers_set(&w->sched.timers, &h->timer, w->sched.now + SIMLINK_RTO_FIRST);
    }
}

/* The writer's kernel forgets the connection without being heard. */
static void gives_up(struct half *h, enum status why)
{
    struct simconn *c = h->conn;
    drop_segments(h);
    c->side[h->from]->forgot = true;
    c->net->effects[SIMNET_GAVE_UP]++;
    simconn_probe_window(&c->half[1 - h->from]);
    simsock_break(c->side[h->from], why);
}

/* The window is closed. A healthy receiver opens it when it reads, and nothing has to ask; with a
 * user timeout Linux waits no longer than that even for one that answers. */
static void window_closed(struct half *h)
{
    struct world *w = h->conn->net->world;
    const struct simsock *from = h->conn->side[h->from];
    if (h->shut_since == 0) {
        h->shut_since = w->sched.now;
        h->conn->net->effects[SIMNET_WINDOW]++;
    }
    h->retries = 0; /* it was answered */
    h->cut = false;
    if (from == NULL || from->gone || from->user_timeout_ns == 0) {
        return;
    }
    uint64_t until = h->shut_since + from->user_timeout_ns;
    if (w->sched.now >= until) {
        gives_up(h, ST_TIMEOUT);
    } else if (h->timer.at == 0 || h->timer.when > until) {
        timers_set(&w->sched.timers, &h->timer, until);
    }
}

/* Nobody answers for it: try again later, or give up, for that reason. */
static void unanswered(struct half *h, enum status why)
{
    struct world *w = h->conn->net->world;
    struct simsock *from = h->conn->side[h->from];
    if (from == NULL || from->gone) {
        drop_segments(h);
        return;
    }
    if (h->retries++ == 0) {
        h->lost_since = h->deaf_since != 0 ? h->deaf_since : w->sched.now;
    }
    uint64_t limit = from->user_timeout_ns > 0 ? from->user_timeout_ns : DATA_GIVEUP;
    if (w->sched.now - h->lost_since >= limit) {
        gives_up(h, why);
        return;
    }
    uint64_t wait = simlink_rto(h->retries);
    uint64_t left = limit - (w->sched.now - h->lost_since);
    bool clamp = from->user_timeout_ns > 0 && left < wait; /* Linux looks at its end too */
    timers_set(&w->sched.timers, &h->timer, w->sched.now + (clamp ? left : wait));
}

/* A link takes what this half sends, or what would acknowledge it. */
static void cut_off(struct half *h, enum simlink_mode mode)
{
    struct simsock *from = h->conn->side[h->from];
    bool reset = h->head < h->count && h->segments[h->count - 1].rst;
    h->cut = true;
    h->shut_since = 0;
    h->conn->net->effects[SIMNET_RST_LOST] += reset;
    if (mode == SIMLINK_RESET || reset) { /* a RST is not sent twice */
        drop_segments(h);
        if (from != NULL && !from->gone) {
            from->forgot = true;
        }
        if (from != NULL && !from->gone && from->state == SOCK_OPEN && !simsock_over(from)) {
            drop_segments(&h->conn->half[1 - h->from]);
            simsock_break(from, ST_RESET);
        }
        return;
    }
    unanswered(h, mode == SIMLINK_REJECT ? ST_UNREACH : ST_TIMEOUT);
}

/* What was delivered while the way back is cut is sent again, and that in vain. */
static bool deaf(const struct half *h)
{
    uint64_t now = h->conn->net->world->sched.now;
    return h->deaf_since != 0 && now - h->deaf_since >= SIMLINK_RTO_FIRST;
}

/* The kernel of a machine that knows nothing of this connection answers with RST. One that is on
 * its way already is not replaced: a writer that is quicker than the way back would never hear. */
static void unknown_here(struct half *h)
{
    struct half *back = &h->conn->half[1 - h->from];
    bool told = back->head < back->count && back->segments[back->count - 1].rst;
    h->conn->net->effects[SIMNET_UNKNOWN]++;
    drop_segments(h);
    if (!told) {
        drop_segments(back);
        simconn_send(back, 0, false, true);
    }
}

/* Takes as much of the first segment as the receiver has room for; false when it has none. */
static bool take_segment(struct half *h, struct simsock *to)
{
    struct simnet *n = h->conn->net;
    struct segment *g = &h->segments[h->head];
    size_t room = simnet_buffer(n) > h->in.size ? simnet_buffer(n) - h->in.size : 0;
    size_t bytes = g->bytes < room ? g->bytes : room;
    h->conn->heard[1 - h->from] = n->world->sched.now;
    if (bytes > 0) {
        h->shut_since = 0;
        enum status st = buf_append(&h->in, h->fly.data, bytes);
        CK(st == ST_OK);
        simlink_arrived(simconn_link(h), (unsigned char *)h->in.data + h->in.size - bytes, bytes);
        buf_consume(&h->fly, bytes);
        g->bytes -= bytes;
        struct trace_event e = {.time = n->world->sched.now,
                                .kind = TRACE_DELIVER,
                                .a = h->conn->id,
                                .b = bytes,
                                .c = (uint64_t)h->from};
        trace_add(&n->world->trace, &e);
        simsock_notify(to, ENV_IN);
        n->effects[SIMNET_STALE] += h->cut;
        h->unacked += bytes;
        if (simconn_ack_passes(h)) {
            acknowledged(h);
        } else if (h->deaf_since == 0) {
            h->deaf_since = n->world->sched.now;
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
    h->head_since = n->world->sched.now;
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

/* The other machine has no such connection (any more). */
static bool is_unknown(const struct half *h, const struct simsock *to)
{
    const struct segment *g = &h->segments[h->head];
    if (to == NULL) {
        return !h->conn->ghost;
    }
    bool waiting = !list_empty(&to->queue_link); /* not accepted yet */
    return to->gone || (!to->owned && !waiting && g->bytes > 0) ||
           (to->forgot && (g->bytes > 0 || g->fin));
}

/* A RST that meets a cut is lost, and with it what its sender knew. */
static void reset_lost(struct half *h)
{
    struct simsock *from = h->conn->side[h->from];
    h->conn->net->effects[SIMNET_RST_LOST]++;
    if (from != NULL) {
        from->forgot = true;
    }
    h->head++;
}

enum taken { TAKEN, NOT_NOW, THE_END };

/* What becomes of the first segment, which is due. */
static enum taken first_segment(struct half *h)
{
    struct simconn *c = h->conn;
    struct segment *g = &h->segments[h->head];
    enum simlink_mode mode = simconn_passes(h, g->bytes);
    if (g->rst) {
        if (mode != SIMLINK_PASS) {
            reset_lost(h);
            return TAKEN;
        }
        reset_arrives(h);
        return THE_END;
    }
    if (mode != SIMLINK_PASS || deaf(h)) {
        c->net->effects[SIMNET_DEAF] += mode == SIMLINK_PASS;
        cut_off(h, mode);
        return NOT_NOW;
    }
    if (c->ghost) {
        simsyn_ghost_retry(c);
    }
    struct simsock *to = c->side[1 - h->from];
    bool up = to != NULL ? to->host->up : c->host[1] != NULL && c->host[1]->up && !c->ghost;
    if (!up) {
        h->shut_since = 0;
        unanswered(h, ST_TIMEOUT);
        return NOT_NOW;
    }
    if (is_unknown(h, to)) {
        if (simconn_passes(&c->half[1 - h->from], 0) != SIMLINK_PASS) {
            cut_off(h, SIMLINK_DROP); /* the RST would not get through */
            return NOT_NOW;
        }
        unknown_here(h);
        return THE_END;
    }
    if (take_segment(h, to)) {
        return TAKEN;
    }
    if (!reset_due(h)) {
        window_closed(h); /* a read asks again */
        return NOT_NOW;
    }
    reset_arrives(h);
    return THE_END;
}

/* Nothing is left to send, but the writer may not know: it sends again what it has no answer to. */
static void await_ack(struct half *h)
{
    if (h->unacked == 0) {
        h->retries = 0;
        h->cut = false;
        timers_remove(&h->conn->net->world->sched.timers, &h->timer);
    } else if (simconn_ack_passes(h) && simconn_passes(h, 0) == SIMLINK_PASS) {
        acknowledged(h);
        await_ack(h);
    } else if (!deaf(h)) {
        struct world *w = h->conn->net->world;
        timers_set(&w->sched.timers, &h->timer, h->deaf_since + SIMLINK_RTO_FIRST);
    } else {
        cut_off(h, SIMLINK_DROP);
    }
}

void simconn_deliver(struct half *h)
{
    struct simconn *c = h->conn;
    struct world *w = c->net->world;
    if (h->unacked > 0 && simconn_ack_passes(h)) {
        acknowledged(h);
    }
    while (h->head < h->count && h->segments[h->head].when <= w->sched.now) {
        enum taken taken = first_segment(h);
        if (taken == NOT_NOW) {
            simconn_settle(c);
            return;
        }
        if (taken == THE_END) {
            break;
        }
    }
    if (h->head < h->count) {
        h->retries = 0;
        h->cut = false;
        if (w->sched.now < patience(h)) {
            simconn_arm(h);
        } else {
            gives_up(h, ST_TIMEOUT);
        }
    } else {
        await_ack(h);
    }
    simconn_settle(c);
}

/* ---- machines ---- */

/* What its kernel had not sent for good is gone with it. */
static void unsent_is_gone(struct half *h)
{
    struct world *w = h->conn->net->world;
    size_t keep = h->head;
    size_t bytes = 0;
    while (keep < h->count && !h->cut &&
           h->segments[keep].sent + h->segments[keep].late <= w->sched.now) {
        bytes += h->segments[keep].bytes;
        keep++;
    }
    if (keep == h->head) {
        drop_segments(h);
    } else if (keep < h->count) {
        h->count = keep;
        h->fly.size = bytes;
    }
}

void simconn_host_changed(struct simnet *n, const struct host *h)
{
    for (struct list *l = n->conns.next; l != &n->conns; l = l->next) {
        struct simconn *c = LIST_ENTRY(l, struct simconn, link);
        for (int i = 0; i < 2; i++) {
            if (c->host[i] == h && !h->up) {
                unsent_is_gone(&c->half[i]);
            }
            if (c->host[1 - i] == h) {
                simconn_probe_window(&c->half[i]);
                simalive_look(c, i);
            }
        }
    }
}
