/* bulk.c - see bulk.h. */
#include "net/bulk.h"

#include "base/ck.h"
#include "net/pbdec.h"

#define READ_PIECE  (64u * 1024u)
#define READ_MOST   (1024u * 1024u)
#define IN_KEEP     (2u * 1024u * 1024u)
#define ARENA_LIMIT (16u << 20)
#define ARENA_KEEP  (64u * 1024u)
#define KEEPALIVE_S 15
#define UNACKED_MS  10000

enum status bulk_init(struct bulk *b, struct env *env, size_t frame_max, bool (*stop)(void *arg),
                      void *arg)
{
    *b = (struct bulk){
        .env = env, .stop = stop, .arg = arg, .poller = -1, .fd = -1, .frame_max = frame_max};
    b->hardware = (env_cpu_features(env) & ENV_CPU_CRC32C) != 0;
    buf_init(&b->in, &env->mem);
    buf_init(&b->out, &env->mem);
    pbarena_init(&b->arena, &env->mem, ARENA_LIMIT, ARENA_KEEP);
    enum status st = env_poller_open(env, &b->poller);
    if (st != ST_OK) {
        b->poller = -1;
    }
    return st;
}

void bulk_hang_up(struct bulk *b)
{
    if (b->fd >= 0) {
        (void)env_fd_close(b->env, b->fd); /* gone whatever it says */
    }
    b->fd = -1;
    b->interest = 0;
    b->in_at = 0;
    buf_release(&b->in);
    buf_release(&b->out);
}

void bulk_release(struct bulk *b)
{
    if (b->env == NULL) {
        return;
    }
    bulk_hang_up(b);
    pbarena_release(&b->arena);
    if (b->poller >= 0) {
        (void)env_fd_close(b->env, b->poller);
    }
    b->env = NULL;
}

void bulk_wake(struct bulk *b)
{
    env_poller_wake(b->env, b->poller);
}

/* ---- waiting ---- */

/* Until the socket is ready for that, or something else ends the wait: look again. */
static enum status wait_for(struct bulk *b, unsigned interest, uint64_t deadline_ns)
{
    struct env_event events[2];
    int count;
    enum status st = ST_OK;
    if (b->stop(b->arg)) {
        return ST_STOPPED;
    }
    if (env_clock_mono(b->env) >= deadline_ns) {
        return ST_TIMEOUT;
    }
    if (b->fd >= 0 && interest != b->interest) {
        st = env_poller_set(b->env, b->poller, b->fd, interest, 0);
        b->interest = st == ST_OK ? interest : b->interest;
    }
    if (st == ST_OK) {
        st = env_poller_wait(b->env, b->poller, events, 2, deadline_ns, &count);
    }
    return st == ST_INTR ? ST_OK : st;
}

enum status bulk_rest(struct bulk *b, uint64_t until_ns)
{
    enum status st = ST_OK;
    while (st == ST_OK) {
        st = wait_for(b, 0, until_ns);
    }
    return st == ST_TIMEOUT ? ST_OK : st;
}

/* ---- a connection ---- */

static void begin(struct bulk *b, int fd)
{
    CK(b->fd < 0);
    b->fd = fd;
    b->interest = 0;
    b->in_at = 0;
    b->why = NULL;
    frame_init(&b->frames, FRAME_PEER, b->frame_max, b->hardware);
    enum status st = env_sock_option(b->env, fd, ENV_OPT_NODELAY, 1);
    st = st == ST_OK ? env_sock_option(b->env, fd, ENV_OPT_KEEPALIVE_S, KEEPALIVE_S) : st;
    st = st == ST_OK ? env_sock_option(b->env, fd, ENV_OPT_USER_TIMEOUT_MS, UNACKED_MS) : st;
    (void)st; /* hints */
}

/* Writes what is in b->out. */
static enum status flush(struct bulk *b, uint64_t deadline_ns)
{
    enum status st = ST_OK;
    for (size_t at = 0; st == ST_OK && at < b->out.size;) {
        size_t put = 0;
        struct env_slice part = {b->out.data + at, b->out.size - at};
        st = env_sock_write(b->env, b->fd, &part, 1, &put);
        if (st == ST_OK) {
            at += put;
        } else if (st == ST_AGAIN || st == ST_INTR) {
            st = st == ST_INTR ? ST_OK : wait_for(b, ENV_OUT, deadline_ns);
        }
    }
    buf_clear(&b->out);
    return st;
}

enum status bulk_dial(struct bulk *b, const struct env_addr *addr, uint64_t deadline_ns)
{
    char preamble[FRAME_PREAMBLE_SIZE];
    int fd = -1;
    enum status st = env_sock_connect(b->env, addr, &fd);
    if (st != ST_OK && st != ST_INPROGRESS) {
        return st;
    }
    begin(b, fd);
    if (st == ST_INPROGRESS) {
        /* A wait may end early; the socket says AGAIN to a write until it is connected. */
        st = wait_for(b, ENV_OUT, deadline_ns);
        st = st == ST_OK ? env_sock_error(b->env, fd) : st;
    }
    frame_preamble(FRAME_PEER, preamble);
    st = st == ST_OK ? buf_append(&b->out, preamble, sizeof preamble) : st;
    return st == ST_OK ? flush(b, deadline_ns) : st;
}

enum status bulk_adopt(struct bulk *b, int fd, struct slice rest)
{
    begin(b, fd);
    return buf_append(&b->in, rest.data, rest.size);
}

/* ---- messages ---- */

enum status bulk_say(struct bulk *b, const struct peermsg *m, uint64_t deadline_ns)
{
    CK(b->fd >= 0);
    enum status st = frame_append_peer(&b->out, &peermsg_table, m, b->hardware);
    return st == ST_OK ? flush(b, deadline_ns) : st;
}

/* Reads once, or waits. */
static enum status more(struct bulk *b, uint64_t deadline_ns)
{
    size_t got = 0;
    size_t missing = frame_missing(&b->frames, b->in.size);
    size_t size = missing > READ_MOST ? READ_MOST : missing > READ_PIECE ? missing : READ_PIECE;
    enum status st = buf_reserve(&b->in, size);
    st = st == ST_OK ? env_sock_read(b->env, b->fd, b->in.data + b->in.size, size, &got) : st;
    if (st == ST_INTR) {
        return ST_OK;
    }
    if (st == ST_AGAIN) {
        return wait_for(b, ENV_IN, deadline_ns);
    }
    if (st == ST_OK && got == 0) {
        b->why = "closed by the other side";
        return ST_STOPPED;
    }
    b->in.size += got;
    return st;
}

static enum status decode(struct bulk *b, struct slice payload, struct peermsg *m)
{
    struct pbdec_error error;
    pbarena_reset(&b->arena);
    enum status st = pbdec_read(&peermsg_table, payload, &b->arena, m, &error);
    if (st != ST_OK) {
        b->why = pbdec_fault_text(error.fault);
        return st;
    }
    return peermsg_check(m, &b->why);
}

enum status bulk_hear(struct bulk *b, struct peermsg *m, uint64_t deadline_ns)
{
    struct slice payload;
    CK(b->fd >= 0);
    if (b->in_at > 0) { /* the message before is done with */
        buf_consume(&b->in, b->in_at);
        b->in_at = 0;
    }
    if (b->in.size == 0 && b->in.cap > IN_KEEP) {
        buf_release(&b->in);
    }
    for (;;) {
        enum status st =
            b->in.size > 0 ? frame_parse(&b->frames, b->in.data, b->in.size, &payload) : ST_AGAIN;
        if (st == ST_OK) {
            b->in_at = b->frames.at;
            return decode(b, payload, m);
        }
        if (st != ST_AGAIN) {
            b->why = frame_fault_text(b->frames.fault);
            return st;
        }
        st = more(b, deadline_ns);
        if (st != ST_OK) {
            return st;
        }
    }
}
