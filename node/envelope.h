/* envelope.h - a batch of clients' requests as the payload of one log entry.
 *
 * A node puts the requests that came together into one envelope and proposes it; every node
 * executes it, in order, when the entry is applied. It carries all that the outcome depends on,
 * and who asked, so that the node with the clients knows its own when it comes back. The bytes are
 * in docs/format-envelope.md; they go into the durable log and over the wire.
 *
 *     envelope_begin(&w, &out, &head);             envelope_open(&r, bytes, &head)
 *     envelope_request(&w, &request);              while (envelope_next(&r, &request)) {
 *     envelope_command(&w, args, count); …             for (i = 0; i < request.commands; i++)
 *     st = envelope_end(&w);                                args = envelope_args(&r, &count);
 *
 * Invariants (tests/node/test_envelope.c, tests/fuzz/fuzz_envelope.c)
 *   I1  what was written is what is read
 *   I2  any bytes either open or are ST_CORRUPT or ST_UNSUPPORTED; once opened, walking cannot fail
 *   I3  walking looks at no byte outside of what was given
 *
 * Failure: writing says ST_NOMEM or ST_TOOBIG at the end, and `out` is as before then. Opening says
 * ST_CORRUPT, ST_UNSUPPORTED (of a later version), or ST_NOMEM.
 * Ownership: arguments are slices of the bytes that were opened; the array of them is the reader's.
 * Determinism: a function of the arguments; no byte depends on the machine. */
#ifndef NODE_ENVELOPE_H
#define NODE_ENVELOPE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define ENVELOPE_VERSION      1
#define ENVELOPE_HEAD_BYTES   40
#define ENVELOPE_REQUESTS_MAX (1u << 20)

/* Who sent it, and what holds for all of its requests. */
struct envelope {
    uint64_t origin;    /* node id */
    uint64_t life;      /* drawn when that process started */
    uint64_t ordinal;   /* of the envelope in that life */
    uint64_t reply_max; /* bytes; a request whose reply would be larger has no effect */
    uint32_t count;     /* of requests; set by the writer */
};

/* One request: a command, or several that happen as one. */
struct envelope_request {
    bool transaction;  /* its answer is a list */
    uint32_t commands; /* 1 when it is no transaction */
    uint64_t session;  /* 0: none */
    uint64_t sequence; /* in a session: it is carried out once, however often it comes */
    uint64_t answered; /* in a session: replies below this one are not needed any more */
};

/* ---- writing ---- */

struct envelope_writer {
    struct buf *out; /* borrowed; the envelope is appended */
    size_t from;     /* size of out before */
    uint32_t count;  /* requests so far */
    uint32_t owed;   /* commands of the last one that are still to come */
    enum status st;  /* sticks */
};

void envelope_begin(struct envelope_writer *w, struct buf *out, const struct envelope *head);
void envelope_request(struct envelope_writer *w, const struct envelope_request *q);

/* count >= 1 arguments; data == NULL: a null. */
void envelope_command(struct envelope_writer *w, const struct slice *args, uint32_t count);

/* Every request has all of its commands. An envelope without requests is ST_INVAL. */
NODISCARD enum status envelope_end(struct envelope_writer *w);

/* ---- reading ---- */

struct envelope_reader {
    struct mem *mem; /* borrowed */
    const char *at;
    const char *end;
    uint32_t left;      /* requests not yet read */
    uint32_t owed;      /* commands of the present one not yet read */
    const char *first;  /* its first command, */
    uint32_t commands;  /* and how many it has */
    struct slice *args; /* owned; kept from one envelope to the next */
    uint32_t arg_cap;
};

void envelope_reader_init(struct envelope_reader *r, struct mem *mem);

/* Safe on a zeroed struct. */
void envelope_reader_release(struct envelope_reader *r);

/* Checks all of it, and stands before the first request. */
NODISCARD enum status envelope_open(struct envelope_reader *r, struct slice bytes,
                                    struct envelope *head);

/* The next request; what was not read of the one before is passed over. False: there is none. */
bool envelope_next(struct envelope_reader *r, struct envelope_request *q);

/* The next command of the present request; the array lives until the next call. */
const struct slice *envelope_args(struct envelope_reader *r, uint32_t *count);

/* Back to before the first command of the present request. */
void envelope_rewind(struct envelope_reader *r);

#endif
