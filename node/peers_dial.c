/* peers_dial.c - links out: dialing, the handshake's first half, pings, giving up. See peers_int.h.
 *
 * All of it runs on the peers' thread with the lock held, for senders use the same links. */
#include "node/peers_int.h"

#define KEEPALIVE_S 15
#define TRIES_MOST  20 /* of doubling */

static uint64_t jitter(struct peers *p, uint64_t ns)
{
    return ns / 2 + env_random_u64(p->env) % (ns / 2 + 1);
}

/* When to dial again: doubling, between half of it and all. */
static void retry_plan(struct peers *p, struct peers_slot *s)
{
    uint64_t most = p->o.retry_most_ms * PEERS_MS;
    uint64_t wait = p->o.retry_least_ms * PEERS_MS;
    for (unsigned i = 0; i < s->tries && wait < most; i++) {
        wait *= 2;
    }
    wait = wait < most ? wait : most;
    s->tries += s->tries < TRIES_MOST;
    s->next_ns = p->now_ns + jitter(p, wait);
}

void peers_dial_fail(struct peers *p, struct peers_link *l, enum status st)
{
    struct peers_slot *s = l->slot;
    char text[ADDR_TEXT_MAX];
    bool up = l->state == LINK_UP;
    if (up && p->now_ns - l->since_ns >= p->o.silence_ms * PEERS_MS) {
        s->tries = 0; /* it was a good one */
    }
    if (up || s->tries == 0) {
        nodelog_line(&p->log, ENV_LOG_INFO, "node %llu at %s: %s: %s", (unsigned long long)s->id,
                     addr_format(&l->far, text), up ? "connection lost" : "cannot connect",
                     l->why != NULL ? l->why : status_text(st));
    }
    s->lost = s->lost || up || peers_link_queued(l) > 0;
    s->dirty = false;
    peers_link_free(p, l);
    retry_plan(p, s);
}

/* A hint that does not matter when it fails. */
static void socket_hint(struct peers *p, int fd, enum env_sockopt option, int value)
{
    enum status st = env_sock_option(p->env, fd, option, value);
    if (st != ST_OK) {
        nodelog_line(&p->log, ENV_LOG_DEBUG, "socket option: %s", status_text(st));
    }
}

/* The connection is there: the preamble and HELLO go out. */
static enum status greet(struct peers *p, struct peers_link *l)
{
    char preamble[FRAME_PREAMBLE_SIZE];
    struct buf queued = l->filling; /* what senders have put there meanwhile goes behind */
    buf_init(&l->filling, &p->env->mem);
    frame_preamble(FRAME_PEER, preamble);
    enum status st = buf_append(&l->filling, preamble, sizeof preamble);
    st = st == ST_OK ? peers_link_hello(p, l, l->slot->id) : st;
    if (st == ST_OK) {
        peers_link_state(p, l, LINK_GREETING);
        st = peers_link_flush(l);
    }
    buf_release(&l->filling); /* the HELLO is in the run now; the messages wait for the reply */
    l->filling = queued;
    return st;
}

static void dial(struct peers *p, struct peers_slot *s)
{
    int fd = -1;
    s->stats.dials++;
    enum status st = env_sock_connect(p->env, &s->addr, &fd);
    if (st != ST_OK && st != ST_INPROGRESS) {
        retry_plan(p, s);
        return;
    }
    struct peers_link *l = peers_link_new(p, fd, LINK_DIALING, &s->addr);
    if (l == NULL) {
        retry_plan(p, s);
        return;
    }
    l->slot = s;
    s->links++;
    l->preamble = true; /* the other side says none */
    s->out = l;
    socket_hint(p, fd, ENV_OPT_NODELAY, 1);
    socket_hint(p, fd, ENV_OPT_KEEPALIVE_S, KEEPALIVE_S);
    socket_hint(p, fd, ENV_OPT_USER_TIMEOUT_MS, (int)(2 * p->o.silence_ms));
    st = st == ST_OK ? greet(p, l) : env_poller_set(p->env, p->poller, fd, ENV_OUT, l->token);
    if (st == ST_OK || st == ST_AGAIN) {
        l->conn.interest = l->state == LINK_DIALING ? ENV_OUT : 0;
        st = l->state == LINK_DIALING ? ST_OK : conn_arm(&l->conn, true);
    }
    if (st != ST_OK) {
        peers_dial_fail(p, l, st);
    }
}

/* Room in a socket that was full is a sign of life: the other end has taken something in. So a
 * message may take longer than silence is endured, on a link that carries little. */
static enum status link_send(struct peers *p, struct peers_link *l)
{
    size_t left = l->conn.out_bytes;
    enum status st = conn_flush(&l->conn);
    l->heard_ns = l->conn.out_bytes < left ? p->now_ns : l->heard_ns;
    return st == ST_OK ? peers_link_flush(l) : st;
}

/* Sends and waits for what may come. */
static void link_go_on(struct peers *p, struct peers_link *l)
{
    enum status st = l->broken;
    l->attention = false;
    if (st == ST_OK && l->state == LINK_UP) {
        st = link_send(p, l);
    } else if (st == ST_OK && l->state == LINK_GREETING) {
        st = conn_flush(&l->conn); /* the HELLO's rest */
    }
    if (st == ST_OK || st == ST_AGAIN) {
        st = conn_arm(&l->conn, true);
    }
    if (st != ST_OK) {
        peers_dial_fail(p, l, st);
    }
}

/* ---- what comes back ---- */

static enum status refused(struct peers *p, struct peers_link *l, int32_t refusal)
{
    static const char *const texts[] = {"",
                                        "another version of the protocol",
                                        "another cluster",
                                        "another node",
                                        ("our disk is not the one it knows: a wiped node has to be "
                                         "removed, and added again with --join"),
                                        "we were removed"};
    char text[ADDR_TEXT_MAX];
    bool known = refusal > 0 && (size_t)refusal < sizeof texts / sizeof *texts;
    l->why = known ? texts[refusal] : "refused";
    if (l->slot->refusal != refusal) {
        l->slot->refusal = refusal;
        nodelog_line(&p->log, ENV_LOG_WARN, "node %llu at %s refuses us: %s",
                     (unsigned long long)l->slot->id, addr_format(&l->far, text), l->why);
    }
    l->slot->tries = TRIES_MOST; /* no hurry */
    return ST_REFUSED;
}

static enum status up(struct peers *p, struct peers_link *l)
{
    char text[ADDR_TEXT_MAX];
    peers_link_state(p, l, LINK_UP);
    l->slot->stats.connects++;
    l->slot->refusal = PEERMSG_REFUSAL_NONE;
    nodelog_line(&p->log, ENV_LOG_INFO, "node %llu at %s: connected",
                 (unsigned long long)l->slot->id, addr_format(&l->far, text));
    /* Said again at once: that we heard the reply makes the connection count over there. What
     * senders have queued stands in front of it, and serves as well. */
    return peers_link_hello(p, l, l->slot->id);
}

static enum status reply_take(struct peers *p, struct peers_link *l, const struct peermsg *m,
                              size_t bytes)
{
    (void)bytes;
    if (m->body != PEERMSG_HELLO_REPLY) {
        l->why = "not a reply to HELLO";
        return ST_CORRUPT;
    }
    if (m->hello_reply.refusal != PEERMSG_REFUSAL_NONE) {
        return refused(p, l, m->hello_reply.refusal);
    }
    if (!peers_link_ours(p, m) || m->from_node != l->slot->id) {
        l->why = "a reply of another node";
        return ST_CORRUPT;
    }
    if (m->probe == l->probe) {
        l->slot->stats.rtt_ns = p->now_ns - l->said_ns;
    }
    l->life = m->hello_reply.life;
    l->slot->admitted = true;
    return l->state == LINK_GREETING ? up(p, l) : ST_OK;
}

static enum status connected(struct peers *p, struct peers_link *l)
{
    enum status st = env_sock_error(p->env, l->conn.fd);
    return st == ST_OK ? greet(p, l) : st;
}

void peers_dial_event(struct peers *p, struct peers_link *l, unsigned ready)
{
    enum status st = ST_OK;
    if (l->state == LINK_DIALING) {
        if ((ready & (ENV_OUT | ENV_ERR | ENV_HUP)) == 0) {
            return;
        }
        st = connected(p, l);
    } else if ((ready & (ENV_IN | ENV_ERR | ENV_HUP)) != 0) {
        st = peers_link_read(p, l, reply_take);
    }
    if (st == ST_OK || st == ST_AGAIN) {
        link_go_on(p, l);
    } else {
        l->why = st == ST_STOPPED ? "closed by the other side" : l->why;
        peers_dial_fail(p, l, st);
    }
}

/* ---- time ---- */

static bool wanted(const struct peers_slot *s)
{
    return !s->removed && s->addr.family != 0;
}

static uint64_t give_up_at(const struct peers *p, const struct peers_link *l)
{
    return l->state == LINK_UP ? l->heard_ns + p->o.silence_ms * PEERS_MS
                               : l->begun_ns + p->o.connect_ms * PEERS_MS;
}

uint64_t peers_dial_next(const struct peers *p, const struct peers_slot *s)
{
    const struct peers_link *l = s->out;
    if (l == NULL) {
        return wanted(s) ? s->next_ns : ENV_NEVER;
    }
    uint64_t at = give_up_at(p, l);
    uint64_t ping = l->said_ns + p->o.ping_ms * PEERS_MS;
    return l->state == LINK_UP && ping < at ? ping : at;
}

static void link_tick(struct peers *p, struct peers_link *l)
{
    if (l->broken == ST_OK && p->now_ns >= give_up_at(p, l)) {
        ENV_PROBE(p->env, "peers: a silent link is given up");
        l->why = "nothing is heard";
        peers_dial_fail(p, l, ST_TIMEOUT);
        return;
    }
    bool ping = l->state == LINK_UP && p->now_ns - l->said_ns >= p->o.ping_ms * PEERS_MS;
    if (ping) {
        if (l->sent_then == l->slot->stats.sent) {
            peers_link_trim(l); /* quiet since the last one */
        }
        l->sent_then = l->slot->stats.sent;
        l->broken = peers_link_hello(p, l, l->slot->id);
    }
    if (ping || l->attention || l->broken != ST_OK) {
        link_go_on(p, l);
    }
}

void peers_dial_tick(struct peers *p, struct peers_slot *s)
{
    if (s->out != NULL) {
        link_tick(p, s->out);
    } else if (wanted(s) && p->now_ns >= s->next_ns) {
        dial(p, s);
    }
}

void peers_dial_kick(struct peers *p, struct peers_slot *s, const struct peers_link *in)
{
    struct peers_link *l = s->out;
    bool old_life = l != NULL && l->state == LINK_UP && l->life != in->life;
    uint64_t trip = 2 * (p->now_ns - in->begun_ns); /* three round trips, as just measured */
    bool stuck = l != NULL && l->state != LINK_UP && l->begun_ns + trip < in->begun_ns;
    if (old_life || stuck) {
        ENV_PROBE(p->env, "peers: a node that dialed us is dialed afresh");
        l->why = old_life ? "it was started again" : "it got through to us";
        peers_dial_fail(p, l, ST_ABORTED);
    }
    if (s->out == NULL && wanted(s)) {
        s->tries = 0;
        s->next_ns = p->now_ns;
    }
}
