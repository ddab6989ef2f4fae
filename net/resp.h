/* resp.h - the server's side of reading RESP: finds requests in a stream of bytes.
 *
 * A request is an array of bulk strings ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), as every Redis client
 * sends it, or one line of words as a person types it into telnet ("get k\r\n", quotes as in
 * redis-cli). The caller owns a buffer that grows at its end; resp_parse looks at it whenever
 * bytes were added, remembers how far it got and never looks at a byte twice for length.
 *
 * Invariants (tests/net/test_resp.c)
 *   I1  the requests found do not depend on how the bytes were cut into calls
 *   I2  no more memory than one struct resp_arg per argument *received* is taken; lengths that
 *       the peer only announces allocate nothing
 *   I3  a length over its limit is refused when its header is read
 *
 * Failure: ST_CORRUPT, with `error` set to Redis's words: framing is lost for ever, and later
 * calls say the same. ST_NOMEM: nothing is lost, call again.
 * Ownership: arguments are offsets into the caller's bytes, so that the buffer may move.
 * Determinism: a function of the bytes. */
#ifndef NET_RESP_H
#define NET_RESP_H

#include "base/mem.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define RESP_INLINE_MAX (64u * 1024u)   /* bytes of a line, and of a length header */
#define RESP_ARGS_MAX   (1024u * 1024u) /* arguments of a request */

struct resp_limits {
    uint64_t request_bytes_max; /* a whole request with its framing, and so every bulk in it */
    uint32_t args_max;
};

/* The defaults: 512 MiB and a little for framing, RESP_ARGS_MAX. */
struct resp_limits resp_limits_default(void);

/* An argument: bytes [offset, offset + size) of the request. */
struct resp_arg {
    size_t offset;
    size_t size;
    bool null; /* it was sent as a null bulk ("$-1") */
};

struct resp_parser {
    struct mem *mem; /* borrowed */
    struct resp_limits limits;
    size_t at;       /* bytes of the present request that are understood */
    size_t searched; /* no line end lies before this offset; >= at */
    bool started;    /* the array header has been read */
    bool done;       /* the last call returned ST_OK: start over */
    uint32_t owed;   /* arguments still to come */
    bool in_bulk;    /* its header has been read */
    size_t bulk_size;
    struct resp_arg *args; /* owned */
    uint32_t arg_count;
    uint32_t arg_cap;
    bool failed;
    char error[96]; /* "Protocol error: ..."; set with ST_CORRUPT */
};

void resp_init(struct resp_parser *p, struct mem *mem, struct resp_limits limits);

/* Safe on a zeroed struct. */
void resp_release(struct resp_parser *p);

/* Looks for a request at data[0, size), where each call gets the bytes of the one before and
 * more. ST_OK: there is one; `at` is its length, args the arguments (none for an empty line or
 * array), and the next call starts a new request at data[0], so drop `at` bytes first. A line's
 * quotes are decoded in place, hence the writable bytes. ST_AGAIN: not all there yet. */
NODISCARD enum status resp_parse(struct resp_parser *p, char *data, size_t size);

/* How many bytes, beyond the size given to the last call, are surely missing; 0 when unknown. */
size_t resp_missing(const struct resp_parser *p, size_t size);

#endif
