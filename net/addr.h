/* addr.h - numeric addresses as people write them: "127.0.0.1:6379", "[::1]:6379".
 *
 * Names are never looked up. Failure: ST_INVAL, with the reason in err. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "base/err.h"
#include "base/status.h"
#include "env/env.h"

#define ADDR_TEXT_MAX 64 /* bytes that addr_format needs at most, NUL included */

/* Reads ADDR:PORT, port 0..65535. */
NODISCARD enum status addr_parse(const char *text, struct env_addr *addr, struct err *err);

/* Writes ADDR:PORT; text has ADDR_TEXT_MAX bytes. IPv6 is written in full groups. */
void addr_format(const struct env_addr *addr, char *text);

#endif
