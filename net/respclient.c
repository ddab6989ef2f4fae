/* respclient.c - see respclient.h. */
#include "net/respclient.h"

#include "base/ck.h"

#include <stdio.h>

#define READ_CHUNK (16u * 1024u)

static enum status poison(struct respclient *c, enum status st)
{
    if (c->poison == ST_OK) {
        c->poison = st;
    }
    return c->poison;
}

/* Waits until the socket is ready for one of `interest`. */
static enum status wait_for(struct respclient *c, unsigned interest, uint64_t deadline)
{
    struct env_event event;
    int count = 0;
    enum status st = ST_OK;
    if (interest != c->interest) {
        st = env_poller_set(c->env, c->poller, c->fd, interest, 0);
        if (st != ST_OK) {
            return st;
        }
        c->interest = interest;
    }
    while (count == 0) {
        if (env_clock_mono(c->env) >= deadline) {
            return ST_TIMEOUT;
        }
        st = env_poller_wait(c->env, c->poller, &event, 1, deadline, &count);
        if (st != ST_OK && st != ST_INTR) {
            return st;
        }
    }
    return ST_OK;
}

static enum status connect_to(struct respclient *c, const struct env_addr *addr, uint64_t deadline)
{
    enum status st;
    do {
        st = env_sock_connect(c->env, addr, &c->fd);
    } while (st == ST_INTR);
    if (st != ST_OK && st != ST_INPROGRESS) {
        c->fd = -1;
        return st;
    }
    if (st == ST_INPROGRESS) {
        st = wait_for(c, ENV_OUT, deadline);
        if (st == ST_OK) {
            st = env_sock_error(c->env, c->fd);
        }
    }
    if (st == ST_OK) {
        enum status hint = env_sock_option(c->env, c->fd, ENV_OPT_NODELAY, 1);
        (void)hint; /* a matter of speed only */
    }
    return st;
}

enum status respclient_open(struct respclient *c, struct env *env, const struct env_addr *addr,
                            uint64_t deadline_mono)
{
    *c = (struct respclient){.env = env, .fd = -1, .poller = -1};
    buf_init(&c->out, &env->mem);
    buf_init(&c->in, &env->mem);
    respval_init(&c->value, &env->mem);
    enum status st = env_poller_open(env, &c->poller);
    if (st != ST_OK) {
        c->poller = -1;
        return poison(c, st);
    }
    st = connect_to(c, addr, deadline_mono);
    return st == ST_OK ? ST_OK : poison(c, st);
}

void respclient_close(struct respclient *c)
{
    if (c->env == NULL) {
        return;
    }
    if (c->fd >= 0) {
        (void)env_fd_close(c->env, c->fd); /* gone whatever it says */
    }
    if (c->poller >= 0) {
        (void)env_fd_close(c->env, c->poller);
    }
    buf_release(&c->out);
    buf_release(&c->in);
    respval_release(&c->value);
    *c = (struct respclient){.fd = -1, .poller = -1};
}

/* ---- sending ---- */

static enum status header_append(struct buf *b, char type, size_t n)
{
    char line[32];
    int size = snprintf(line, sizeof line, "%c%zu\r\n", type, n);
    CK(size > 0);
    return buf_append(b, line, (size_t)size);
}

static enum status arg_append(struct buf *b, struct slice arg)
{
    if (arg.data == NULL) {
        return buf_append_text(b, "$-1\r\n");
    }
    enum status st = header_append(b, '$', arg.size);
    st = st == ST_OK ? buf_append(b, arg.data, arg.size) : st;
    return st == ST_OK ? buf_append_text(b, "\r\n") : st;
}

/* Drops what was sent, so that the buffer holds unsent bytes only. */
static void out_compact(struct respclient *c)
{
    buf_consume(&c->out, c->out_at);
    c->out_at = 0;
}

/* Accounts for the bytes appended since `before`, or takes them back. */
static enum status queued(struct respclient *c, size_t before, enum status st, uint64_t *start)
{
    if (st != ST_OK) {
        c->out.size = before;
        return st; /* nothing is queued: not poisoned */
    }
    if (start != NULL) {
        *start = c->queued;
    }
    c->queued += c->out.size - before;
    return ST_OK;
}

enum status respclient_queue(struct respclient *c, const struct slice *args, size_t count,
                             uint64_t *start)
{
    if (c->poison != ST_OK) {
        return c->poison;
    }
    out_compact(c);
    size_t before = c->out.size;
    enum status st = header_append(&c->out, '*', count);
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        st = arg_append(&c->out, args[i]);
    }
    return queued(c, before, st, start);
}

enum status respclient_queue_raw(struct respclient *c, struct slice bytes, uint64_t *start)
{
    if (c->poison != ST_OK) {
        return c->poison;
    }
    out_compact(c);
    size_t before = c->out.size;
    return queued(c, before, buf_append(&c->out, bytes.data, bytes.size), start);
}

static bool out_pending(const struct respclient *c)
{
    return c->out_at < c->out.size;
}

static enum status write_once(struct respclient *c)
{
    struct env_slice part = {c->out.data + c->out_at, c->out.size - c->out_at};
    size_t put = 0;
    enum status st = env_sock_write(c->env, c->fd, &part, 1, &put);
    if (st == ST_OK) {
        c->out_at += put;
        c->sent += put;
    }
    return st;
}

/* ---- receiving ---- */

static void reply_drop(struct respclient *c)
{
    c->in_at += c->reply_size;
    c->reply_size = 0;
    if (c->in_at > c->in.size / 2) {
        buf_consume(&c->in, c->in_at);
        c->in_at = 0;
    }
}

static enum status read_once(struct respclient *c)
{
    size_t got = 0;
    enum status st = buf_reserve(&c->in, READ_CHUNK);
    if (st != ST_OK) {
        return st;
    }
    st = env_sock_read(c->env, c->fd, c->in.data + c->in.size, READ_CHUNK, &got);
    if (st == ST_OK) {
        c->in.size += got;
        c->ended = got == 0;
    }
    return st;
}

/* Reads and writes what is possible now, waiting when nothing is. */
static enum status progress(struct respclient *c, uint64_t deadline)
{
    bool moved = false;
    if (out_pending(c)) {
        enum status st = write_once(c);
        moved = st == ST_OK || st == ST_INTR;
        if (!moved && st != ST_AGAIN) {
            return st;
        }
    }
    if (!c->ended) {
        enum status st = read_once(c);
        moved = moved || st == ST_OK || st == ST_INTR;
        if (st != ST_OK && st != ST_INTR && st != ST_AGAIN) {
            return st;
        }
    }
    if (moved) {
        return env_clock_mono(c->env) >= deadline ? ST_TIMEOUT : ST_OK;
    }
    unsigned interest = (c->ended ? 0u : ENV_IN) | (out_pending(c) ? ENV_OUT : 0u);
    return interest != 0 ? wait_for(c, interest, deadline) : ST_RESET;
}

enum status respclient_flush(struct respclient *c, uint64_t deadline_mono)
{
    if (c->poison != ST_OK) {
        return c->poison;
    }
    reply_drop(c);
    while (out_pending(c)) {
        enum status st = progress(c, deadline_mono);
        if (st != ST_OK) {
            return poison(c, st);
        }
    }
    return ST_OK;
}

enum status respclient_receive(struct respclient *c, uint64_t deadline_mono)
{
    if (c->poison != ST_OK) {
        return c->poison;
    }
    reply_drop(c);
    for (;;) {
        size_t size = c->in.size - c->in_at;
        enum status st =
            size == 0 ? ST_AGAIN : respval_parse(&c->value, c->in.data + c->in_at, size);
        if (st == ST_OK) {
            c->reply_size = c->value.at;
            return ST_OK;
        }
        if (st == ST_AGAIN) {
            st = c->ended ? ST_RESET : progress(c, deadline_mono);
        }
        if (st != ST_OK) {
            return poison(c, st);
        }
    }
}

enum status respclient_call(struct respclient *c, const char *const *words, size_t count,
                            uint64_t deadline_mono)
{
    struct slice args[16];
    if (count > sizeof args / sizeof *args) {
        return ST_TOOBIG;
    }
    for (size_t i = 0; i < count; i++) {
        args[i] = slice_text(words[i]);
    }
    enum status st = respclient_queue(c, args, count, NULL);
    return st == ST_OK ? respclient_receive(c, deadline_mono) : st;
}

struct slice respclient_text(const struct respclient *c, uint32_t i)
{
    return respval_text(&c->value, c->in.data + c->in_at, i);
}

enum status respclient_end(struct respclient *c)
{
    if (c->poison != ST_OK) {
        return c->poison;
    }
    enum status st = env_sock_shutdown(c->env, c->fd);
    return st == ST_OK ? ST_OK : poison(c, st);
}
