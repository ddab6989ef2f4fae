/* client_link.c - the connection of a client; see client.h. It carries bytes: what they mean for
 * calls is client.c's. */
#include "base/ck.h"
#include "net/client_int.h"

#define READ_CHUNK     (16u * 1024u)
#define READ_CHUNK_MAX (1024u * 1024u)
#define BUF_KEEP       (1024u * 1024u) /* an emptied buffer that is larger is given back */
#define DOUBLINGS_MAX  20u

void client_link_init(struct client *c)
{
    c->fd = -1;
    c->state = CLIENT_AWAY;
    buf_init(&c->out, &c->env->mem);
    buf_init(&c->in, &c->env->mem);
    /* clients that were started together should not all begin with the same node */
    c->node = (uint32_t)(env_random_u64(c->env) % c->o.node_count);
}

/* Closes the connection; what was to be sent or read on it is gone. */
static void hang_up(struct client *c)
{
    if (c->fd >= 0) {
        (void)env_fd_close(c->env, c->fd); /* gone whatever it says */
        c->fd = -1;
    }
    c->state = CLIENT_AWAY;
    c->interest = 0;
    buf_clear(&c->out);
    buf_clear(&c->in);
    c->out_at = c->in_at = c->in_held = 0;
    c->greeted = false;
    c->served = false;
    c->ready = false;
    c->choked = false;
    c->leaving = false;
}

void client_link_release(struct client *c)
{
    hang_up(c);
    buf_release(&c->out);
    buf_release(&c->in);
}

/* Half of it to all of it, so that clients that failed together do not come back together. */
static uint64_t jittered(struct client *c, uint64_t ns)
{
    return ns / 2 + env_random_u64(c->env) % (ns / 2 + 1);
}

/* No pause while there are nodes that were not asked; then one that doubles with every round. */
static uint64_t pause_ns(struct client *c)
{
    uint32_t rounds = c->troubles / c->o.node_count;
    if (c->troubles % c->o.node_count != 0 || rounds == 0) {
        return 0;
    }
    uint32_t doublings = rounds - 1 < DOUBLINGS_MAX ? rounds - 1 : DOUBLINGS_MAX;
    uint64_t ns = c->o.pause_least_ns << doublings;
    return jittered(c, ns < c->o.pause_most_ns ? ns : c->o.pause_most_ns);
}

/* As client_link_next, when the connection has already been left. */
static void go_on(struct client *c)
{
    c->troubles++;
    uint64_t wait = pause_ns(c);
    if (wait > 0 && wait < c->retry_ns) {
        wait = jittered(c, 2 * c->retry_ns);
    }
    c->retry_ns = 0;
    c->try_at = c->now + wait;
    if (!c->led) {
        c->node = (c->node + 1) % c->o.node_count;
    }
}

void client_link_next(struct client *c)
{
    hang_up(c);
    go_on(c);
    client_grounded(c);
}

/* The connection failed: another address, also when this one was somebody's word. */
static void lose(struct client *c)
{
    ENV_PROBE(c->env, "client: a connection was lost");
    c->led = false;
    client_link_next(c);
}

/* The node closed a connection that had served and on which nothing was owed: no trouble. */
static void part(struct client *c)
{
    ENV_PROBE(c->env, "client: an idle connection was closed");
    hang_up(c);
}

/* ---- dialing ---- */

static enum status arm(struct client *c, unsigned interest)
{
    if (interest == c->interest) {
        return ST_OK;
    }
    c->interest = interest;
    return env_poller_set(c->env, c->poller, c->fd, interest, 0);
}

static void linked(struct client *c)
{
    char preamble[FRAME_PREAMBLE_SIZE];
    enum status hint = env_sock_option(c->env, c->fd, ENV_OPT_NODELAY, 1);
    (void)hint; /* a matter of speed only */
    frame_preamble(FRAME_CLIENT, preamble);
    frame_init(&c->frames, FRAME_CLIENT, (size_t)c->o.response_max, false);
    c->state = CLIENT_LINKED;
    c->heard_at = c->now;
    c->queued = sizeof preamble;
    c->sent = 0;
    if (buf_append(&c->out, preamble, sizeof preamble) != ST_OK) {
        lose(c);
    }
}

static void dial(struct client *c)
{
    const struct env_addr *to = c->led ? &c->leader : &c->nodes[c->node];
    enum status st;
    do {
        st = env_sock_connect(c->env, to, &c->fd);
    } while (st == ST_INTR);
    if (st == ST_OK) {
        linked(c);
        return;
    }
    if (st != ST_INPROGRESS) {
        c->fd = -1;
        lose(c);
        return;
    }
    c->state = CLIENT_DIALING;
    c->give_up_at = c->now + c->o.connect_ns;
    if (arm(c, ENV_OUT) != ST_OK) {
        lose(c);
    }
}

/* ---- sending and receiving ---- */

static bool unsent(const struct client *c)
{
    return c->out_at < c->out.size;
}

/* An empty buffer begins anew; a large one is given back. */
static void out_tidy(struct client *c)
{
    if (!unsent(c)) {
        buf_clear(&c->out);
        c->out_at = 0;
        if (c->out.cap > BUF_KEEP) {
            buf_release(&c->out);
        }
    }
}

/* A socket that was full and takes more is a sign of life, for a large request may be on its way
 * for longer than patience lasts; one that has had room all the time is not. */
static enum status flush(struct client *c)
{
    enum status st = ST_OK;
    uint64_t before = c->sent;
    while (unsent(c) && (st == ST_OK || st == ST_INTR)) {
        struct env_slice part = {c->out.data + c->out_at, c->out.size - c->out_at};
        size_t put = 0;
        st = env_sock_write(c->env, c->fd, &part, 1, &put);
        if (st == ST_OK) {
            c->out_at += put;
            c->sent += put;
        }
    }
    if (c->choked && c->sent != before) {
        c->heard_at = c->now;
    }
    c->choked = unsent(c);
    out_tidy(c);
    return st == ST_AGAIN ? ST_OK : st;
}

static void in_tidy(struct client *c)
{
    if (c->in_at == c->in.size) {
        buf_clear(&c->in);
        c->in_at = 0;
        if (c->in.cap > BUF_KEEP) {
            buf_release(&c->in);
        }
    } else if (c->in_at > c->in.size / 2) {
        buf_consume(&c->in, c->in_at);
        c->in_at = 0;
    }
}

/* Reads once, when the poller said so; or when nothing is owed, to notice before the next request
 * leaves that the node has hung up. ST_AGAIN: nothing is there; ST_RESET: the node has closed, or
 * worse. */
static enum status receive(struct client *c)
{
    size_t got = 0;
    in_tidy(c);
    size_t missing = frame_missing(&c->frames, c->in.size - c->in_at);
    missing = missing < READ_CHUNK_MAX ? missing : READ_CHUNK_MAX;
    size_t size = missing > READ_CHUNK ? missing : READ_CHUNK;
    enum status st = buf_reserve(&c->in, size);
    if (st != ST_OK) {
        return st;
    }
    st = env_sock_read(c->env, c->fd, c->in.data + c->in.size, size, &got);
    if (st == ST_OK && got > 0) {
        c->in.size += got;
        c->heard_at = c->now;
    }
    c->ready = c->ready && st == ST_OK && got == size; /* else the poller tells of more */
    return st == ST_OK && got == 0 ? ST_RESET : st;
}

/* ---- moving on ---- */

static void move_dialing(struct client *c)
{
    enum status st = c->now >= c->give_up_at ? ST_TIMEOUT : ST_AGAIN;
    if (st == ST_AGAIN && c->ready) {
        st = env_sock_error(c->env, c->fd);
        c->ready = false;
    }
    if (st == ST_OK) {
        linked(c);
    } else if (st != ST_AGAIN) {
        lose(c);
    }
}

static void move_linked(struct client *c)
{
    CK(c->in_held == 0);
    enum status st = flush(c);
    if (st == ST_OK && (c->ready || c->fly_count == 0)) {
        st = receive(c);
    }
    if (st == ST_RESET && c->fly_count == 0 && c->served) {
        part(c);
    } else if (st != ST_OK && st != ST_AGAIN && st != ST_INTR) {
        lose(c);
    } else if (c->repeatable > 0 && c->now >= c->heard_at + c->o.patience_ns) {
        ENV_PROBE(c->env, "client: a node fell silent");
        lose(c);
    }
}

void client_link_move(struct client *c)
{
    if (c->state == CLIENT_AWAY && c->pending > 0 && c->now >= c->try_at) {
        dial(c);
    }
    if (c->state == CLIENT_DIALING) {
        move_dialing(c);
    }
    if (c->state == CLIENT_LINKED) {
        move_linked(c);
    }
}

void client_link_flush(struct client *c)
{
    if (c->state == CLIENT_LINKED && flush(c) != ST_OK) {
        lose(c);
    }
}

/* ---- responses ---- */

void client_link_consume(struct client *c)
{
    c->in_at += c->in_held;
    c->in_held = 0;
}

/* The first that a node says is its preamble. */
static enum status greet(struct client *c, struct slice in)
{
    enum frame_speaker who;
    enum frame_fault fault;
    enum status st = frame_detect(in, &who, &fault);
    if (st == ST_OK && who != FRAME_CLIENT) {
        st = ST_CORRUPT;
    }
    if (st == ST_OK) {
        c->greeted = true;
        c->in_at += FRAME_PREAMBLE_SIZE;
    }
    return st;
}

bool client_link_frame(struct client *c, struct slice *payload)
{
    if (c->state != CLIENT_LINKED) {
        return false;
    }
    client_link_consume(c);
    if (c->in_at == c->in.size) {
        return false;
    }
    enum status st = ST_OK;
    if (!c->greeted) {
        st = greet(c, slice_of(c->in.data + c->in_at, c->in.size - c->in_at));
    }
    if (st == ST_OK) {
        size_t size = c->in.size - c->in_at;
        st = size > 0 ? frame_parse(&c->frames, c->in.data + c->in_at, size, payload) : ST_AGAIN;
    }
    if (st == ST_OK) {
        c->in_held = c->frames.at;
        return true;
    }
    if (st != ST_AGAIN) {
        ENV_PROBE(c->env, "client: not a node, or framing is lost");
        lose(c);
    }
    return false;
}

/* ---- waiting ---- */

uint64_t client_link_due(const struct client *c)
{
    switch (c->state) {
    case CLIENT_AWAY:
        return c->pending > 0 ? c->try_at : ENV_NEVER;
    case CLIENT_DIALING:
        return c->give_up_at;
    default:
        return c->repeatable > 0 ? c->heard_at + c->o.patience_ns : ENV_NEVER;
    }
}

enum status client_link_wait(struct client *c, uint64_t until_mono)
{
    struct env_event event;
    int count = 0;
    enum status st = ST_OK;
    if (c->state == CLIENT_LINKED) {
        st = arm(c, ENV_IN | (unsent(c) ? ENV_OUT : 0u));
    }
    if (st == ST_OK) {
        st = env_poller_wait(c->env, c->poller, &event, 1, until_mono, &count);
    }
    c->ready = c->ready || count > 0;
    return st == ST_INTR ? ST_OK : st;
}
