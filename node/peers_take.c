/* peers_take.c - links in: accepting, the handshake's second half, delivery. See peers_int.h. */
#include "node/peers_int.h"

#include <stdio.h>

#define ACCEPTS         16
#define ACCEPT_PAUSE_NS (100 * PEERS_MS)
#define KEEPALIVE_S     15

static void link_end(struct peers *p, struct peers_link *l)
{
    peers_lock(p);
    peers_link_free(p, l);
    peers_unlock(p);
}

/* What it said cannot be: a line in the log, a count, the end. */
static void link_fail(struct peers *p, struct peers_link *l, enum status st)
{
    char text[ADDR_TEXT_MAX];
    bool garbage = st == ST_CORRUPT || st == ST_TOOBIG || st == ST_UNSUPPORTED;
    if (garbage) {
        ENV_PROBE(p->env, "peers: a connection is closed for what it said");
        nodelog_line(&p->log, ENV_LOG_WARN, "peer connection from %s: %s",
                     addr_format(&l->far, text), l->why != NULL ? l->why : status_text(st));
        peers_lock(p);
        p->totals.garbage++;
        peers_unlock(p);
    }
    link_end(p, l);
}

/* ---- accepting ---- */

static void accept_arm(struct peers *p, bool on)
{
    enum status st =
        env_poller_set(p->env, p->poller, p->listener, on ? ENV_IN : 0, UINT64_MAX - 1);
    p->accept_ns = on && st == ST_OK ? ENV_NEVER : p->now_ns + ACCEPT_PAUSE_NS;
}

/* There is always room for somebody new: the one that has been silent longest goes. */
static void strangers_thin(struct peers *p)
{
    for (struct list *n = p->links.next; p->strangers > p->o.strangers_max; n = n->next) {
        CK(n != &p->links);
        struct peers_link *l = LIST_ENTRY(n, struct peers_link, node);
        if (l->state == LINK_STRANGER) {
            ENV_PROBE(p->env, "peers: too many strangers");
            peers_lock(p);
            p->totals.crowded++;
            peers_link_free(p, l);
            peers_unlock(p);
            return;
        }
    }
}

static void stranger_new(struct peers *p, int fd, const struct env_addr *far)
{
    struct peers_link *l = peers_link_new(p, fd, LINK_STRANGER, far);
    if (l == NULL) {
        return;
    }
    enum status st = env_sock_option(p->env, fd, ENV_OPT_NODELAY, 1);
    st = st == ST_OK ? env_sock_option(p->env, fd, ENV_OPT_KEEPALIVE_S, KEEPALIVE_S) : st;
    if (st != ST_OK) {
        nodelog_line(&p->log, ENV_LOG_DEBUG, "socket option: %s", status_text(st));
    }
    if (conn_arm(&l->conn, true) != ST_OK) {
        link_end(p, l);
        return;
    }
    strangers_thin(p);
}

void peers_take_accept(struct peers *p)
{
    if (p->accept_ns != ENV_NEVER) {
        accept_arm(p, true);
    }
    for (int i = 0; i < ACCEPTS; i++) {
        int fd;
        struct env_addr far;
        enum status st = env_sock_accept(p->env, p->listener, &fd, &far);
        if (st == ST_AGAIN) {
            return;
        }
        if (st == ST_OK) {
            peers_lock(p);
            p->totals.accepted++;
            peers_unlock(p);
            stranger_new(p, fd, &far);
        } else if (st != ST_INTR && st != ST_ABORTED) {
            nodelog_line(&p->log, ENV_LOG_WARN, "accepting nodes is paused: %s", status_text(st));
            accept_arm(p, false);
            return;
        }
    }
}

/* ---- the handshake ---- */

static enum peermsg_refusal first_judge(struct peers *p, const struct peermsg *m)
{
    if (m->hello.version_least > PEERMSG_VERSION || m->hello.version < PEERMSG_VERSION) {
        return PEERMSG_REFUSAL_VERSION;
    }
    if (m->cluster != p->o.cluster) {
        return PEERMSG_REFUSAL_CLUSTER;
    }
    if (!peers_link_ours(p, m)) {
        return PEERMSG_REFUSAL_NODE;
    }
    peers_lock(p);
    struct peers_slot *s = peers_slot(p, m->from_node);
    bool removed = s != NULL && s->removed && s->removed_life == m->incarnation;
    peers_unlock(p);
    return removed ? PEERMSG_REFUSAL_REMOVED : PEERMSG_REFUSAL_NONE;
}

/* Whether to let it in. A failure: nobody knows. */
static enum status judge(struct peers *p, const struct peermsg *m, const struct env_addr *addr,
                         enum peermsg_refusal *refusal)
{
    *refusal = first_judge(p, m);
    if (*refusal != PEERMSG_REFUSAL_NONE || p->o.admit == NULL) {
        return ST_OK;
    }
    struct peers_visitor v = {.id = m->from_node,
                              .incarnation = m->incarnation,
                              .disk = m->hello.disk,
                              .addr = *addr,
                              .clients = m->hello.address,
                              .bulk = m->hello.channel != PEERMSG_CHANNEL_CONTROL};
    return p->o.admit(p->o.arg, &v, refusal);
}

/* Where it is reached: what it says; its port, at the host that it called from, when it does not
 * know its host. Family 0: what it says is of no use. */
static struct env_addr address_of(const struct peers_link *l, const struct peermsg *m)
{
    char text[ADDR_TEXT_MAX];
    struct env_addr addr;
    static const uint8_t nowhere[16];
    static const struct env_addr none;
    size_t size = m->hello.peer_address.size;
    if (size >= sizeof text) {
        return none;
    }
    if (size > 0) {
        memcpy(text, m->hello.peer_address.data, size);
    }
    text[size] = '\0';
    if (addr_parse(text, &addr, NULL) != ST_OK || addr.port == 0) {
        return none;
    }
    if (memcmp(addr.ip, nowhere, sizeof nowhere) == 0) {
        uint16_t port = addr.port;
        addr = l->far;
        addr.port = port;
    }
    return addr;
}

/* Says no, and waits for the other side to close. */
static enum status refuse(struct peers *p, struct peers_link *l, const struct peermsg *m,
                          enum peermsg_refusal refusal)
{
    static const char *const texts[] = {"",
                                        "another version of the protocol",
                                        "it belongs to another cluster",
                                        "it wants another node",
                                        "its disk is not the one we know (was it wiped?)",
                                        "it was removed"};
    char text[ADDR_TEXT_MAX];
    ENV_PROBE(p->env, "peers: a handshake is refused");
    CK((size_t)refusal < sizeof texts / sizeof *texts);
    nodelog_line(&p->log, ENV_LOG_WARN, "node %llu at %s is refused: %s",
                 (unsigned long long)m->from_node, addr_format(&l->far, text), texts[refusal]);
    peers_lock(p);
    p->totals.refused[refusal]++;
    peers_unlock(p);
    enum status st = peers_link_reply(p, l, m->from_node, refusal);
    if (st == ST_OK) {
        peers_link_state(p, l, LINK_ENDING);
        st = peers_link_flush(l);
        st = st == ST_OK ? conn_finish(&l->conn) : st;
    }
    return st == ST_OK ? ST_ABORTED : ST_STOPPED;
}

/* It is handed on: the link goes, the descriptor stays. */
static enum status bulk_hand(struct peers *p, struct peers_link *l, const struct peermsg *m)
{
    size_t size;
    char *in = conn_input(&l->conn, &size);
    struct peers_caller caller = {
        .id = m->from_node,
        .incarnation = m->incarnation,
        .life = m->hello.life,
        .probe = m->probe,
        .fd = l->conn.fd,
        .rest = slice_of(in + l->frames.at, size - l->frames.at),
    };
    enum status st = env_poller_set(p->env, p->poller, l->conn.fd, 0, l->token);
    if (st != ST_OK || p->o.bulk == NULL) {
        return ST_STOPPED;
    }
    l->conn.fd = -1;
    p->o.bulk(p->o.arg, &caller);
    return ST_STOPPED;
}

static enum status greeted(struct peers *p, struct peers_link *l, const struct peermsg *m)
{
    if (m->body != PEERMSG_HELLO) {
        l->why = "no HELLO";
        return ST_CORRUPT;
    }
    enum peermsg_refusal refusal;
    struct env_addr addr = address_of(l, m);
    enum status st = judge(p, m, &addr, &refusal);
    l->probe = m->probe;
    if (st != ST_OK) {
        l->why = "whether to admit it is not known";
        return ST_STOPPED;
    }
    if (refusal != PEERMSG_REFUSAL_NONE) {
        return refuse(p, l, m, refusal);
    }
    if (m->hello.channel != PEERMSG_CHANNEL_CONTROL) {
        return bulk_hand(p, l, m);
    }
    peers_lock(p);
    struct peers_slot *s = peers_slot_make(p, m->from_node);
    if (s != NULL) {
        s->removed = s->removed && s->removed_life == m->incarnation; /* else another life of it */
        s->addr = s->told || addr.family == 0 ? s->addr : addr;
        l->slot = s;
        s->links++;
    }
    peers_unlock(p);
    if (s == NULL) {
        l->why = "no room for another node";
        return ST_STOPPED;
    }
    l->life = m->hello.life;
    l->frames.payload_max = p->o.frame_max;
    peers_link_state(p, l, LINK_GREETED);
    return peers_link_reply(p, l, s->id, PEERMSG_REFUSAL_NONE);
}

/* Somebody alive is there: it takes the place of an older connection from that node. */
static void confirmed(struct peers *p, struct peers_link *l)
{
    struct peers_slot *s = l->slot;
    peers_lock(p);
    if (s->in != NULL) {
        ENV_PROBE(p->env, "peers: a connection is replaced by a newer one");
        s->stats.replaced++;
        peers_link_free(p, s->in);
    }
    s->in = l;
    peers_dial_kick(p, s, l);
    peers_unlock(p);
    peers_link_state(p, l, LINK_LIVE);
}

/* ---- delivery ---- */

static enum status deliver(struct peers *p, struct peers_link *l, const struct peermsg *m,
                           size_t bytes)
{
    struct peerwire_in in;
    enum status st = peerwire_read(m, &p->arena, &in, &l->why);
    if (st != ST_OK) {
        return st;
    }
    if (p->o.deliver(p->o.arg, &in) == ST_BUSY) {
        ENV_PROBE(p->env, "peers: a message waits for room");
        l->paused = true;
        return ST_BUSY;
    }
    peers_lock(p);
    l->slot->stats.received++;
    l->slot->stats.received_bytes += bytes;
    peers_unlock(p);
    return ST_OK;
}

static enum status hello_again(struct peers *p, struct peers_link *l, const struct peermsg *m)
{
    if (m->hello.life != l->life || m->hello.channel != PEERMSG_CHANNEL_CONTROL) {
        l->why = "a second HELLO that is not like the first";
        return ST_CORRUPT;
    }
    l->probe = m->probe;
    return peers_link_reply(p, l, l->slot->id, PEERMSG_REFUSAL_NONE);
}

static enum status message_take(struct peers *p, struct peers_link *l, const struct peermsg *m,
                                size_t bytes)
{
    if (l->state == LINK_STRANGER) {
        return greeted(p, l, m);
    }
    if (!peers_link_ours(p, m) || m->from_node != l->slot->id) {
        l->why = "a message of another node, or for another";
        return ST_CORRUPT;
    }
    if (l->state == LINK_GREETED) {
        confirmed(p, l);
    }
    switch (m->body) {
    case PEERMSG_HELLO:
        return hello_again(p, l, m);
    case PEERMSG_RAFT:
        return deliver(p, l, m, bytes);
    default:
        l->why = "a message that has no place here";
        return ST_CORRUPT;
    }
}

/* After reading: replies leave, interest is what it should be; or it is over. */
static void link_settle(struct peers *p, struct peers_link *l, enum status st)
{
    if (st == ST_ABORTED && l->state == LINK_ENDING) {
        st = conn_arm(&l->conn, true);
    } else if (st == ST_OK || st == ST_AGAIN || st == ST_BUSY) {
        st = peers_link_flush(l);
        st = st == ST_OK || st == ST_AGAIN ? conn_arm(&l->conn, !l->paused) : st;
    }
    if (st != ST_OK) {
        link_fail(p, l, st);
    }
}

void peers_take_event(struct peers *p, struct peers_link *l, unsigned ready)
{
    if (l->state == LINK_ENDING) {
        if (conn_drain(&l->conn) != ST_AGAIN) {
            link_end(p, l);
        }
        return;
    }
    bool readable = !l->paused && (ready & (ENV_IN | ENV_ERR | ENV_HUP)) != 0;
    bool gone = l->paused && (ready & (ENV_ERR | ENV_HUP)) != 0;
    if (gone) {
        link_end(p, l);
        return;
    }
    link_settle(p, l, readable ? peers_link_read(p, l, message_take) : ST_OK);
}

void peers_take_resume(struct peers *p, struct peers_link *l)
{
    if (l->paused) {
        link_settle(p, l, peers_link_again(p, l, message_take));
    }
}

/* ---- time ---- */

uint64_t peers_take_next(const struct peers *p, const struct peers_link *l)
{
    if (l->state == LINK_LIVE) {
        return l->paused ? l->said_ns + p->o.ping_ms * PEERS_MS
                         : l->heard_ns + 2 * p->o.silence_ms * PEERS_MS;
    }
    return l->begun_ns + p->o.connect_ms * PEERS_MS;
}

/* A paused link reads no HELLO, but whoever said it shall know that we live. */
static void beat(struct peers *p, struct peers_link *l)
{
    enum status st = ST_OK;
    if (peers_link_queued(l) == 0) {
        uint64_t probe = l->probe;
        l->probe = 0;
        st = peers_link_reply(p, l, l->slot->id, PEERMSG_REFUSAL_NONE);
        l->probe = probe;
    }
    l->said_ns = p->now_ns;
    link_settle(p, l, st);
}

void peers_take_tick(struct peers *p, struct peers_link *l)
{
    if (p->now_ns < peers_take_next(p, l)) {
        return;
    }
    if (l->state == LINK_LIVE && l->paused) {
        beat(p, l);
        return;
    }
    ENV_PROBE(p->env, "peers: a silent caller is dropped");
    l->why = "nothing is heard";
    link_end(p, l);
}
