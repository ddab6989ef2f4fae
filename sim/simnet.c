/* simnet.c - sockets of the simulated network; see simnet.h. */
#include "sim/simnet.h"

#include "base/ck.h"
#include "sim/simnet_int.h"

#include <string.h>

#define NS_PER_MS 1000000u
#define NS_PER_S  1000000000u

struct simnet *simnet_new(struct world *w)
{
    struct simnet *n = mem_zalloc(w->mem, sizeof *n);
    n->world = w;
    list_init(&n->socks);
    list_init(&n->conns);
    chooser_stream_init(&n->time, &w->chooser, CHOOSE_NET_TIME, 0);
    chooser_stream_init(&n->fault, &w->chooser, CHOOSE_NET_FAULT, 0);
    return n;
}

uint64_t simnet_effect(const struct simnet *n, enum simnet_effect e)
{
    return n->effects[e];
}

const char *simnet_effect_name(enum simnet_effect e)
{
    static const char *const names[SIMNET_EFFECTS] = {
        [SIMNET_STALE] = "old bytes after a cut",
        [SIMNET_DEAF] = "silent for want of acknowledgements",
        [SIMNET_SYN_CUT] = "a handshake met a cut",
        [SIMNET_REJECTED] = "a connect was rejected on its way",
        [SIMNET_RST_LOST] = "a reset met a cut",
        [SIMNET_UNKNOWN] = "an unknown connection was reset",
        [SIMNET_GAVE_UP] = "a user timeout",
        [SIMNET_KEEPALIVE] = "keepalive gave up",
        [SIMNET_GHOST_WHOLE] = "half a connection became whole",
        [SIMNET_GHOST_RESET] = "half a connection was reset",
        [SIMNET_WINDOW] = "a window closed",
        [SIMNET_NO_PORT] = "no ephemeral port",
        [SIMNET_LOST] = "a packet was lost",
    };
    return names[e];
}

struct simsock *simsock_new(struct simnet *n, struct host *h, enum sock_state state)
{
    struct simsock *s = mem_zalloc(n->world->mem, sizeof *s);
    s->net = n;
    s->host = h;
    s->id = ++n->ids;
    s->state = state;
    list_init(&s->queue);
    list_init(&s->queue_link);
    list_init(&s->watchers);
    list_insert(&n->socks, &s->link);
    return s;
}

void simsock_free(struct simsock *s)
{
    simsock_unwatch(s);
    list_remove(&s->link);
    list_remove(&s->queue_link);
    mem_release(s->net->world->mem, s);
}

uint64_t simsock_id(const struct simsock *s)
{
    return s->conn != NULL ? s->conn->id : s->id;
}

/* Every connection is over, whatever is still on its way. */
void simnet_free(struct simnet *n)
{
    while (!list_empty(&n->conns)) {
        struct simconn *c = LIST_ENTRY(n->conns.next, struct simconn, link);
        for (int i = 0; i < 2; i++) {
            if (c->side[i] != NULL) {
                c->side[i]->gone = true;
                list_remove(&c->side[i]->queue_link);
            }
            timers_remove(&n->world->sched.timers, &c->half[i].timer);
            timers_remove(&n->world->sched.timers, &c->alive[i].timer);
        }
        timers_remove(&n->world->sched.timers, &c->handshake);
        simconn_settle(c);
    }
    while (!list_empty(&n->socks)) {
        simsock_free(LIST_ENTRY(n->socks.next, struct simsock, link));
    }
    simlink_free_all(n);
    mem_release(n->world->mem, n);
}

void simnet_host_down(struct simnet *n, struct host *h)
{
    for (struct list *l = n->socks.next; l != &n->socks; l = l->next) {
        struct simsock *s = LIST_ENTRY(l, struct simsock, link);
        if (s->host == h) {
            simsock_unwatch(s);
            list_remove(&s->queue_link);
            s->gone = true;
            s->owned = false;
        }
    }
    simconn_host_changed(n, h);
    for (struct list *l = n->conns.next; l != &n->conns;) {
        struct simconn *c = LIST_ENTRY(l, struct simconn, link);
        l = l->next;
        simconn_settle(c);
    }
}

void simnet_host_up(struct simnet *n, struct host *h)
{
    simconn_host_changed(n, h);
}

uint64_t simnet_conn_between(struct simnet *n, const struct host *a, const struct host *b, size_t i)
{
    for (struct list *l = n->conns.next; l != &n->conns; l = l->next) {
        const struct simconn *c = LIST_ENTRY(l, struct simconn, link);
        bool theirs = (c->host[0] == a && c->host[1] == b) || (c->host[0] == b && c->host[1] == a);
        bool stands = c->side[0]->state == SOCK_OPEN && c->side[0]->owned && c->side[1] != NULL &&
                      c->side[1]->state == SOCK_OPEN && c->side[1]->owned;
        if (theirs && stands && i-- == 0) {
            return c->id;
        }
    }
    return 0;
}

/* ---- making connections ---- */

static bool is_any(const struct env_addr *a)
{
    static const uint8_t zero[16];
    return memcmp(a->ip, zero, sizeof zero) == 0;
}

static void host_addr(const struct host *h, struct env_addr *a)
{
    a->family = 4;
    memset(a->ip, 0, sizeof a->ip);
    a->ip[0] = 10;
    a->ip[1] = (uint8_t)(h->address >> 16);
    a->ip[2] = (uint8_t)(h->address >> 8);
    a->ip[3] = (uint8_t)h->address;
}

static bool is_loopback(const struct env_addr *a)
{
    return a->family == 4 && a->ip[0] == 127;
}

static void loopback_addr(struct env_addr *a)
{
    static const uint8_t ip[16] = {127, 0, 0, 1};
    a->family = 4;
    memcpy(a->ip, ip, sizeof ip);
}

/* Whether a listener at `bound` takes connections to `to`. */
static bool covers(const struct env_addr *bound, const struct env_addr *to)
{
    return is_any(bound) || is_any(to) || memcmp(bound->ip, to->ip, sizeof to->ip) == 0;
}

struct simsock *simnet_listener(struct simnet *n, const struct host *h, const struct env_addr *to)
{
    for (struct list *l = n->socks.next; l != &n->socks; l = l->next) {
        struct simsock *s = LIST_ENTRY(l, struct simsock, link);
        if (s->state == SOCK_LISTENING && s->host == h && s->owned && !s->gone &&
            s->local.port == to->port && covers(&s->local, to)) {
            return s;
        }
    }
    return NULL;
}

static bool port_taken(struct simnet *n, const struct host *h, uint16_t port)
{
    const struct env_addr any = {.family = 4, .port = port};
    return simnet_listener(n, h, &any) != NULL;
}

/* A connection from there to the same place has it. */
static bool pair_taken(struct simnet *n, const struct host *h, uint16_t port,
                       const struct env_addr *remote)
{
    for (struct list *l = n->conns.next; l != &n->conns; l = l->next) {
        const struct simsock *s = LIST_ENTRY(l, struct simconn, link)->side[0];
        if (s->host == h && !s->gone && s->local.port == port && s->remote.port == remote->port &&
            memcmp(s->remote.ip, remote->ip, sizeof remote->ip) == 0) {
            return true;
        }
    }
    return false;
}

/* A free ephemeral port, for a connection to `remote` or (NULL) a listener; 0: there is none. */
static uint16_t port_new(struct simnet *n, struct host *h, const struct env_addr *remote)
{
    for (unsigned tries = 0; tries < h->port_span; tries++) {
        unsigned at = (unsigned)(h->port_next - SIMNET_PORT_FIRST) % h->port_span;
        uint16_t port = (uint16_t)(SIMNET_PORT_FIRST + at);
        h->port_next = (uint16_t)(SIMNET_PORT_FIRST + (at + 1) % h->port_span);
        if (!port_taken(n, h, port) && (remote == NULL || !pair_taken(n, h, port, remote))) {
            return port;
        }
    }
    return 0;
}

enum status simsock_listen(struct proc *owner, const struct env_addr *addr, int backlog,
                           struct simsock **sock)
{
    struct simnet *n = owner->world->net;
    struct host *h = owner->host;
    struct env_addr local = *addr;
    struct env_addr mine = {.port = 0};
    host_addr(h, &mine);
    bool own = addr->family == 4 && memcmp(addr->ip, mine.ip, sizeof mine.ip) == 0;
    if (backlog < 1) {
        return ST_INVAL;
    }
    if (!is_any(addr) && !is_loopback(addr) && !own) {
        return ST_UNREACH; /* not an address of this machine */
    }
    if (local.port != 0 && simnet_listener(n, h, &local) != NULL) {
        return ST_ADDRUSE;
    }
    if (local.port == 0) {
        local.port = port_new(n, h, NULL);
    }
    if (local.port == 0) {
        return ST_ADDRUSE;
    }
    struct simsock *s = simsock_new(n, h, SOCK_LISTENING);
    uint64_t limit = plan_get(owner->world->plan, PLAN_BACKLOG);
    s->owned = true;
    s->local = local;
    s->backlog = (uint64_t)backlog < limit ? backlog : (int)limit;
    *sock = s;
    return ST_OK;
}

static bool interrupted(struct proc *owner)
{
    return world_fault(owner->world, &owner->net_fault, PLAN_NET_INTR);
}

enum status simsock_accept(struct proc *owner, struct simsock *listener, struct simsock **sock,
                           struct env_addr *peer)
{
    if (listener->state != SOCK_LISTENING) {
        return ST_BADFD;
    }
    if (list_empty(&listener->queue)) {
        return ST_AGAIN;
    }
    if (interrupted(owner)) {
        return ST_INTR;
    }
    if (world_fault(owner->world, &owner->net_fault, PLAN_NET_ACCEPT)) {
        return choose(&owner->net_fault, 2) == 0 ? ST_MFILE : ST_NOMEM; /* it stays queued */
    }
    struct simsock *s = LIST_ENTRY(listener->queue.next, struct simsock, queue_link);
    list_remove(&s->queue_link);
    listener->queued_count--;
    s->owned = true;
    /* The peer was gone before: Linux hands it over all the same, others do not. */
    if (s->state == SOCK_DEAD && owner->world->faults && choose(&owner->net_fault, 2) == 0) {
        simsock_close(s);
        return ST_ABORTED;
    }
    if (peer != NULL) {
        *peer = s->remote;
    }
    *sock = s;
    return ST_OK;
}

enum status simsock_connect(struct proc *owner, const struct env_addr *addr, struct simsock **sock)
{
    struct simnet *n = owner->world->net;
    struct simsock *s = simsock_new(n, owner->host, SOCK_CONNECTING);
    s->owned = true;
    s->remote = *addr;
    if (is_any(addr)) {
        loopback_addr(&s->remote);
    }
    if (is_loopback(&s->remote)) {
        loopback_addr(&s->local);
    } else {
        host_addr(owner->host, &s->local);
    }
    s->local.port = port_new(n, owner->host, &s->remote);
    if (s->local.port == 0) {
        n->effects[SIMNET_NO_PORT]++;
        simsock_free(s);
        return ST_UNREACH; /* what EADDRNOTAVAIL is */
    }
    s->conn = simconn_new(n, s);
    simsyn_start(s->conn);
    *sock = s;
    return ST_INPROGRESS;
}

enum status simsock_error(struct simsock *s)
{
    enum status st = s->error;
    s->error = ST_OK;
    return st;
}

/* ---- bytes ---- */

/* A reset out of nowhere, at one of this side's calls: both sides learn of it. */
static bool reset_here(struct proc *owner, struct simsock *s)
{
    if (!world_fault(owner->world, &owner->net_fault, PLAN_NET_RESET)) {
        return false;
    }
    struct half *out = &s->conn->half[s->side];
    simconn_send(out, 0, false, true);
    simsock_break(s, ST_RESET);
    return true;
}

/* What a call that could move n bytes moves: now and then fewer, sometimes one. */
static size_t split(struct proc *owner, size_t n)
{
    if (n <= 1 || !world_fault(owner->world, &owner->net_fault, PLAN_NET_SPLIT)) {
        return n;
    }
    return choose(&owner->net_fault, 6) == 0 ? 1 : 1 + (size_t)choose(&owner->net_fault, n);
}

/* A stream that had ended stays ended, as Linux has it; otherwise the pending error once, then what
 * a finished stream says. */
static enum status dead_read(struct simsock *s, size_t *got)
{
    *got = 0;
    if (s->conn->half[1 - s->side].fin_in) {
        return ST_OK;
    }
    enum status st = simsock_error(s);
    return st == ST_OK && s->never ? ST_NOTCONN : st;
}

enum status simsock_read(struct proc *owner, struct simsock *s, void *buf, size_t size, size_t *got)
{
    if (s->state == SOCK_LISTENING || s->state == SOCK_CONNECTING) {
        return s->state == SOCK_CONNECTING ? ST_AGAIN : ST_NOTCONN;
    }
    struct half *in = &s->conn->half[1 - s->side];
    if (interrupted(owner)) {
        return ST_INTR;
    }
    if (s->state == SOCK_OPEN && reset_here(owner, s)) {
        return dead_read(s, got);
    }
    size_t n = in->in.size < size ? in->in.size : size;
    if (n > 0) {
        n = split(owner, n);
        memcpy(buf, in->in.data, n);
        buf_consume(&in->in, n);
        *got = n;
        bool waits = in->timer.at == 0 || in->shut_since != 0;
        if (waits && in->head < in->count && s->state == SOCK_OPEN) {
            simconn_deliver(in); /* the window opens */
        }
        return ST_OK;
    }
    if (s->state == SOCK_DEAD) {
        return dead_read(s, got);
    }
    *got = 0;
    return in->fin_in ? ST_OK : ST_AGAIN;
}

static enum status write_checks(struct proc *owner, struct simsock *s)
{
    if (s->state == SOCK_LISTENING) {
        return ST_PIPE;
    }
    if (s->state == SOCK_CONNECTING) {
        return ST_AGAIN;
    }
    if (interrupted(owner)) {
        return ST_INTR;
    }
    if (s->state == SOCK_DEAD || reset_here(owner, s)) {
        enum status st = simsock_error(s);
        return st != ST_OK ? st : ST_PIPE;
    }
    return s->conn->half[s->side].fin_sent ? ST_PIPE : ST_OK;
}

enum status simsock_write(struct proc *owner, struct simsock *s, const struct env_slice *parts,
                          int count, size_t *put)
{
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += parts[i].size;
    }
    enum status st = write_checks(owner, s);
    if (st != ST_OK) {
        return st;
    }
    struct half *out = &s->conn->half[s->side];
    size_t room = simconn_room(out);
    s->wants_room = s->wants_room || room < total;
    if (room == 0) {
        return ST_AGAIN;
    }
    size_t n = split(owner, total < room ? total : room);
    size_t left = n;
    for (int i = 0; i < count && left > 0; i++) {
        size_t part = parts[i].size < left ? parts[i].size : left;
        st = buf_append(&out->fly, parts[i].data, part);
        CK(st == ST_OK);
        left -= part;
    }
    simconn_send(out, n, false, false);
    *put = n;
    return ST_OK;
}

enum status simsock_shutdown(struct simsock *s)
{
    simsock_notify(s, SIMSOCK_ALL); /* even where nothing changes */
    if (s->state == SOCK_LISTENING) {
        return ST_OK; /* it has no writing side */
    }
    if (s->state == SOCK_CONNECTING) {
        s->never = true; /* the attempt ends here; a SYN under way is answered with RST */
        simsock_break(s, ST_RESET);
        return ST_OK;
    }
    if (s->state != SOCK_OPEN || simsock_over(s)) {
        return ST_NOTCONN;
    }
    struct half *out = &s->conn->half[s->side];
    if (!out->fin_sent) {
        out->fin_sent = true;
        simconn_send(out, 0, true, false);
    }
    return ST_OK;
}

enum status simsock_option(struct simsock *s, enum env_sockopt option, int value)
{
    if (option == ENV_OPT_USER_TIMEOUT_MS) {
        s->user_timeout_ns = (uint64_t)value * NS_PER_MS;
    }
    if (option == ENV_OPT_KEEPALIVE_S) {
        s->keepalive_ns = (uint64_t)value * NS_PER_S;
        if (s->conn != NULL) {
            simalive_look(s->conn, s->side);
        }
    }
    if (option == ENV_OPT_SEND_BUFFER) {
        simsock_notify(s, ENV_OUT); /* Linux takes it for new room, and tells */
    }
    return ST_OK; /* the others change no behaviour that this network has */
}

void simsock_local(const struct simsock *s, struct env_addr *addr)
{
    *addr = s->local;
}

static void close_listener(struct simsock *s)
{
    while (!list_empty(&s->queue)) {
        struct simsock *waiting = LIST_ENTRY(s->queue.next, struct simsock, queue_link);
        list_remove(&waiting->queue_link);
        if (waiting->state == SOCK_OPEN) {
            simconn_send(&waiting->conn->half[1], 0, false, true);
            waiting->state = SOCK_DEAD;
        }
        simconn_settle(waiting->conn);
    }
    simsock_free(s);
}

void simsock_close(struct simsock *s)
{
    simsock_unwatch(s);
    if (s->gone) {
        return; /* it went with its machine */
    }
    s->owned = false;
    if (s->state == SOCK_LISTENING) {
        close_listener(s);
        return;
    }
    struct half *out = &s->conn->half[s->side];
    const struct half *in = &s->conn->half[1 - s->side];
    if (s->state == SOCK_OPEN) {
        if (in->in.size > 0) {
            simconn_send(out, 0, false, true);
        } else if (!out->fin_sent) {
            out->fin_sent = true;
            simconn_send(out, 0, true, false);
        }
    }
    simconn_settle(s->conn);
}
