/* cmdconn.h - commands about the connection itself. Handlers, see command.h. */
#ifndef NODE_CMDCONN_H
#define NODE_CMDCONN_H

#include "node/command.h"

enum status cmdconn_client(struct call *c);
enum status cmdconn_consistency(struct call *c);
enum status cmdconn_durability(struct call *c);
enum status cmdconn_echo(struct call *c);
enum status cmdconn_hello(struct call *c);
enum status cmdconn_ping(struct call *c);
enum status cmdconn_quit(struct call *c);
enum status cmdconn_reset(struct call *c);
enum status cmdconn_select(struct call *c);

#endif
