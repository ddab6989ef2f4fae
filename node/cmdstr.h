/* cmdstr.h - commands on single keys and lists of keys. Handlers, see command.h. */
#ifndef NODE_CMDSTR_H
#define NODE_CMDSTR_H

#include "node/command.h"

enum status cmdstr_append(struct call *c);
enum status cmdstr_cas(struct call *c);
enum status cmdstr_decr(struct call *c);
enum status cmdstr_decrby(struct call *c);
enum status cmdstr_del(struct call *c);
enum status cmdstr_exists(struct call *c);
enum status cmdstr_get(struct call *c);
enum status cmdstr_incr(struct call *c);
enum status cmdstr_incrby(struct call *c);
enum status cmdstr_mget(struct call *c);
enum status cmdstr_mset(struct call *c);
enum status cmdstr_set(struct call *c);
enum status cmdstr_strlen(struct call *c);

#endif
