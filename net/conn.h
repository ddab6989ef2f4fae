/* conn.h - one connection of a server: bytes in, bytes out, and what to wait for.
 *
 * The owner (node/server.c) decides what bytes mean. A conn reads into a growing buffer, sends
 * what is queued in order however little the socket takes at a time, and keeps the poller's
 * interest equal to what it can make use of. Level-triggered.
 *
 * Invariants (tests/net/test_conn.c)
 *   I1  the bytes sent are the queued runs, in order, each once, whatever short writes there are
 *   I2  interest: ENV_IN while conn_arm was told to read and the peer has not ended; ENV_OUT while
 *       there is unsent output; so a conn with something to do is never unarmed
 *   I3  a queued run's `sent` function is called exactly once: when its last byte was taken by
 *       the socket, or at conn_release
 *
 * Closing is polite: conn_finish ends our direction and then throws input away until the peer
 * ends too, for a close with unread input would reset the connection and could destroy replies
 * still on their way.
 * Failure: every status but ST_OK and ST_AGAIN means that the connection is dead: release it.
 * Ownership: a conn_out is the caller's; its bytes are borrowed until `sent`. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/buf.h"
#include "base/list.h"
#include "env/env.h"

/* A run of bytes to send; embed it in what owns the bytes. */
struct conn_out {
    struct list link;
    struct slice bytes;
    void (*sent)(struct conn_out *out);
};

struct conn {
    struct env *env; /* borrowed */
    int poller;
    int fd; /* owned; -1: none */
    uint64_t token;
    unsigned interest; /* as last set */
    struct buf in;
    size_t in_at;   /* bytes of `in` that are consumed */
    size_t in_keep; /* an emptied input buffer that is larger is given back */
    struct list out;
    size_t out_at;    /* bytes of the first run that are sent */
    size_t out_bytes; /* unsent, over all runs */
    bool ended;       /* the peer sends no more */
    bool finished;    /* we send no more */
};

/* Takes the descriptor over, in every case. Nothing is armed yet. */
void conn_init(struct conn *c, struct env *env, int poller, int fd, uint64_t token);

/* Closes the descriptor, drops what is unsent. Safe on a zeroed struct and twice. */
void conn_release(struct conn *c);

/* Reads once, up to `most` bytes. ST_OK: there are new bytes, or the peer ended. ST_NOMEM too. */
NODISCARD enum status conn_read(struct conn *c, size_t most);

/* The unconsumed input. Writable, for resp_parse; gone at the next conn_read. */
static inline char *conn_input(struct conn *c, size_t *size)
{
    *size = c->in.size - c->in_at;
    return *size > 0 ? c->in.data + c->in_at : NULL;
}

void conn_consume(struct conn *c, size_t n);

/* Queues a run; conn_flush sends it. An empty run's `sent` is called at once. */
void conn_send(struct conn *c, struct conn_out *out);

/* Sends as much as the socket takes. ST_OK: everything. ST_AGAIN: the rest waits for ENV_OUT. */
NODISCARD enum status conn_flush(struct conn *c);

/* Sets the poller's interest; want_read: the owner has room for more input. */
NODISCARD enum status conn_arm(struct conn *c, bool want_read);

/* With all output sent: says so to the peer, and drops the input there is. */
NODISCARD enum status conn_finish(struct conn *c);

/* After conn_finish, when readable: drops input. ST_AGAIN: the peer is not done yet; ST_OK: it
 * ended, close now. */
NODISCARD enum status conn_drain(struct conn *c);

#endif
