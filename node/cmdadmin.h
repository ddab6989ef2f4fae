/* cmdadmin.h - commands about the server. Handlers, see command.h. */
#ifndef NODE_CMDADMIN_H
#define NODE_CMDADMIN_H

#include "node/command.h"

enum status cmdadmin_command(struct call *c);
enum status cmdadmin_config(struct call *c);
enum status cmdadmin_info(struct call *c);
enum status cmdadmin_shutdown(struct call *c);

#endif
