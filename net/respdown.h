/* respdown.h - a reply in RESP3, as RESP2 has it.
 *
 * Null becomes the null bulk, a map the list of its keys and values, a set or a push a list, true
 * and false 1 and 0, a double or a big number a bulk string, a verbatim string one without its
 * kind, a bulk error a simple one; attributes go. Aggregates stand before their elements on the
 * wire, so one pass over the bytes does it, however deep they are nested; that an aggregate has all
 * of its elements is not looked at.
 *
 * Failure: ST_CORRUPT for bytes that are no reply, ST_NOMEM; `out` is then to be thrown away. */
#ifndef NET_RESPDOWN_H
#define NET_RESPDOWN_H

#include "base/buf.h"

#include <stdbool.h>

/* Appends the replies in `resp3`, one or several, to out. */
NODISCARD enum status respdown(struct slice resp3, struct buf *out);

/* False: the same bytes are RESP2 (one reply that is a bulk, a number, a status, an error). */
bool respdown_changes(struct slice resp3);

#endif
