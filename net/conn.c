/* conn.c - see conn.h. */
#include "net/conn.h"

#include "base/ck.h"

#define IN_KEEP     (16u * 1024u) /* in_keep, unless its owner sets it */
#define DRAIN_CHUNK 4096u
#define PARTS_MAX   32

void conn_init(struct conn *c, struct env *env, int poller, int fd, uint64_t token)
{
    *c = (struct conn){.env = env, .poller = poller, .fd = fd, .token = token, .in_keep = IN_KEEP};
    buf_init(&c->in, &env->mem);
    list_init(&c->out);
}

/* Unlinks the first run and hands it back. */
static void out_pop(struct conn *c)
{
    struct conn_out *out = LIST_ENTRY(c->out.next, struct conn_out, link);
    list_remove(&out->link);
    c->out_at = 0;
    out->sent(out);
}

void conn_release(struct conn *c)
{
    if (c->env == NULL) {
        return;
    }
    while (!list_empty(&c->out)) {
        out_pop(c);
    }
    c->out_bytes = 0;
    if (c->fd >= 0) {
        (void)env_fd_close(c->env, c->fd); /* it is gone whatever it says */
        c->fd = -1;
    }
    buf_release(&c->in);
    c->in_at = 0;
}

/* ---- input ---- */

/* Moves the unconsumed bytes to the front when the space before them is worth having. */
static void in_compact(struct conn *c)
{
    if (c->in_at == c->in.size) {
        buf_clear(&c->in);
        c->in_at = 0;
        if (c->in.cap > c->in_keep) {
            buf_release(&c->in);
        }
    } else if (c->in_at > c->in.size / 2) {
        buf_consume(&c->in, c->in_at);
        c->in_at = 0;
    }
}

void conn_consume(struct conn *c, size_t n)
{
    CK(n <= c->in.size - c->in_at);
    c->in_at += n;
}

enum status conn_read(struct conn *c, size_t most)
{
    CK(!c->ended);
    CK(most > 0);
    in_compact(c);
    enum status st = buf_reserve(&c->in, most);
    if (st != ST_OK) {
        ENV_PROBE(c->env, "conn: no memory to read into");
        return st;
    }
    size_t got = 0;
    do {
        st = env_sock_read(c->env, c->fd, c->in.data + c->in.size, most, &got);
    } while (st == ST_INTR);
    if (st == ST_OK) {
        CK(got <= most);
        c->in.size += got;
        c->ended = got == 0;
    }
    return st;
}

/* ---- output ---- */

void conn_send(struct conn *c, struct conn_out *out)
{
    CK(!c->finished);
    if (out->bytes.size == 0) {
        list_init(&out->link);
        out->sent(out);
        return;
    }
    list_insert(&c->out, &out->link);
    c->out_bytes += out->bytes.size;
}

/* The unsent bytes as a vector of at most PARTS_MAX parts. */
static int out_gather(const struct conn *c, struct env_slice *parts)
{
    int count = 0;
    size_t skip = c->out_at;
    for (struct list *l = c->out.next; l != &c->out && count < PARTS_MAX; l = l->next) {
        const struct slice *bytes = &LIST_ENTRY(l, struct conn_out, link)->bytes;
        parts[count++] = (struct env_slice){bytes->data + skip, bytes->size - skip};
        skip = 0;
    }
    return count;
}

/* The socket took n bytes. */
static void out_advance(struct conn *c, size_t n)
{
    CK(n <= c->out_bytes);
    c->out_bytes -= n;
    while (n > 0) {
        size_t left = LIST_ENTRY(c->out.next, struct conn_out, link)->bytes.size - c->out_at;
        if (n < left) {
            c->out_at += n;
            return;
        }
        n -= left;
        out_pop(c);
    }
}

enum status conn_flush(struct conn *c)
{
    while (c->out_bytes > 0) {
        struct env_slice parts[PARTS_MAX];
        size_t put = 0;
        int count = out_gather(c, parts);
        enum status st = env_sock_write(c->env, c->fd, parts, count, &put);
        if (st == ST_INTR) {
            continue;
        }
        if (st != ST_OK) {
            return st;
        }
        CK(put > 0);
        out_advance(c, put);
        if (c->out_at > 0) {
            ENV_PROBE(c->env, "conn: a reply left in pieces");
        }
    }
    CK(list_empty(&c->out));
    return ST_OK;
}

/* ---- waiting and ending ---- */

enum status conn_arm(struct conn *c, bool want_read)
{
    unsigned interest = want_read && !c->ended ? ENV_IN : 0;
    interest |= c->out_bytes > 0 ? ENV_OUT : 0;
    if (interest == c->interest) {
        return ST_OK;
    }
    enum status st = env_poller_set(c->env, c->poller, c->fd, interest, c->token);
    if (st == ST_OK) {
        c->interest = interest;
    }
    return st;
}

enum status conn_finish(struct conn *c)
{
    CK(c->out_bytes == 0);
    CK(!c->finished);
    c->finished = true;
    conn_consume(c, c->in.size - c->in_at);
    in_compact(c);
    return env_sock_shutdown(c->env, c->fd);
}

enum status conn_drain(struct conn *c)
{
    char scrap[DRAIN_CHUNK];
    CK(c->finished);
    while (!c->ended) {
        size_t got = 0;
        enum status st = env_sock_read(c->env, c->fd, scrap, sizeof scrap, &got);
        if (st == ST_INTR) {
            continue;
        }
        if (st != ST_OK) {
            return st;
        }
        c->ended = got == 0;
    }
    return ST_OK;
}
