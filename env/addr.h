/* addr.h - numeric TCP addresses as text: "127.0.0.1:6379", "[::1]:0", ":6379".
 *
 * Names are not looked up: that would be I/O, and a name can move. An empty host is any IPv4
 * address (0.0.0.0). Text made by addr_format() parses to the same address. */
#ifndef ENV_ADDR_H
#define ENV_ADDR_H

#include "base/err.h"
#include "env/env.h"

#define ADDR_TEXT_MAX 48 /* "[" 39 "]:" 5 and the NUL */

/* Parses text; ST_INVAL, with the reason in *err (may be NULL), when it is not an address. */
NODISCARD enum status addr_parse(const char *text, struct env_addr *addr, struct err *err);

/* Writes the address in its shortest form (RFC 5952), NUL-terminated; returns text. */
const char *addr_format(const struct env_addr *addr, char text[ADDR_TEXT_MAX]);

#endif
