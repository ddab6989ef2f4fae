/* cmdscan.h - commands that walk over keys in order. Handlers, see command.h. */
#ifndef NODE_CMDSCAN_H
#define NODE_CMDSCAN_H

#include "node/command.h"

enum status cmdscan_delrange(struct call *c);
enum status cmdscan_dbsize(struct call *c);
enum status cmdscan_range(struct call *c);
enum status cmdscan_scan(struct call *c);

#endif
