/* respclient.h - a small RESP client that waits: connect, pipeline, receive, each with a deadline.
 *
 * For simulated clients, tests and tools. One connection, one thread.
 *
 * After any failure, a deadline included, the client is poisoned: a late reply could be taken for
 * the next one's, so every call says the first failure again until it is closed. What became of a
 * request without a reply is unknown as soon as one byte of it left; respclient_left tells.
 *
 * Failure: ST_TIMEOUT, ST_CORRUPT (the bytes are no RESP), ST_RESET (also when the server closed
 * with replies owed), ST_NOMEM, and what connecting says.
 * Ownership: a received reply is borrowed until the next call. */
#ifndef NET_RESPCLIENT_H
#define NET_RESPCLIENT_H

#include "base/buf.h"
#include "env/env.h"
#include "net/respval.h"

struct respclient {
    struct env *env; /* borrowed */
    int fd;          /* -1: none */
    int poller;
    unsigned interest;
    struct buf out; /* queued requests, from out_at on unsent */
    size_t out_at;
    uint64_t queued; /* bytes of requests since opening, and how many of them were sent */
    uint64_t sent;
    struct buf in;
    size_t in_at;
    size_t reply_size; /* of the reply last received; dropped by the next call */
    struct respval value;
    bool ended;
    enum status poison;
};

/* Connects. Whatever it returns, respclient_close must be called. ST_REFUSED: nobody listens. */
NODISCARD enum status respclient_open(struct respclient *c, struct env *env,
                                      const struct env_addr *addr, uint64_t deadline_mono);

/* Closes; safe on a zeroed struct. */
void respclient_close(struct respclient *c);

/* Queues a request; an argument with data == NULL is sent as a null bulk. *start (may be NULL)
 * names it for respclient_left. */
NODISCARD enum status respclient_queue(struct respclient *c, const struct slice *args, size_t count,
                                       uint64_t *start);

/* Queues bytes as they are: an inline command, or rubbish. */
NODISCARD enum status respclient_queue_raw(struct respclient *c, struct slice bytes,
                                           uint64_t *start);

/* Sends all that is queued, taking in replies meanwhile so that neither side can block. */
NODISCARD enum status respclient_flush(struct respclient *c, uint64_t deadline_mono);

/* Waits for one reply, sending what is queued. Its root is c->value.nodes[0]; see
 * respclient_text. An error reply is a reply: ST_OK. */
NODISCARD enum status respclient_receive(struct respclient *c, uint64_t deadline_mono);

/* queue, flush and receive of one request made of NUL-terminated words. */
NODISCARD enum status respclient_call(struct respclient *c, const char *const *words, size_t count,
                                      uint64_t deadline_mono);

/* The text of node i of the last reply. */
struct slice respclient_text(const struct respclient *c, uint32_t i);

/* Ends our direction: replies owed still come. */
NODISCARD enum status respclient_end(struct respclient *c);

/* Did any byte of the request queued at `start` leave? If not, it surely has no effect. */
static inline bool respclient_left(const struct respclient *c, uint64_t start)
{
    return c->sent > start;
}

#endif
