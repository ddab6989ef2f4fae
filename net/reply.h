/* reply.h - the server's side of writing RESP: replies, in the dialect the client chose.
 *
 * A writer appends to a buffer. Refused memory, and a reply over its limit, stick in `st`: later
 * calls do nothing, the caller looks once at the end and puts an error in the reply's place.
 * Protocol 2 has no null, map or double of its own; they are written as Redis does. */
#ifndef NET_REPLY_H
#define NET_REPLY_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct reply {
    struct buf *out; /* borrowed; text is appended */
    int protocol;    /* 2 or 3 */
    uint64_t bytes_max;
    enum status st; /* ST_OK, ST_NOMEM or ST_TOOBIG */
};

void reply_init(struct reply *r, struct buf *out, int protocol, uint64_t bytes_max);

/* text holds no CR or LF. */
void reply_simple(struct reply *r, const char *text);

/* "-<text>\r\n", text formatted; what is not printable becomes '?', and it is cut at 512 bytes. */
__attribute__((format(__printf__, 2, 3))) void reply_error(struct reply *r, const char *fmt, ...);

void reply_integer(struct reply *r, int64_t value);
void reply_bulk(struct reply *r, struct slice bytes);
void reply_text(struct reply *r, const char *text); /* a bulk string */
void reply_null(struct reply *r);
void reply_null_array(struct reply *r);
void reply_array(struct reply *r, uint64_t count); /* count elements follow */
void reply_map(struct reply *r, uint64_t count);   /* count keys and values follow, in turn */

/* Bytes that are RESP already. */
void reply_raw(struct reply *r, struct slice bytes);

#endif
