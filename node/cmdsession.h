/* cmdsession.h - SESSION: opening and ending what makes requests happen once. A handler, see
 * command.h and once.h. */
#ifndef NODE_CMDSESSION_H
#define NODE_CMDSESSION_H

#include "node/command.h"

#define CMDSESSION_EXPIRED "SESSIONEXPIRED there is no such session (any more), nothing was done"

/* As the log has it: SESSION OPEN most, SESSION RENEW id, SESSION CLOSE id. */
enum status cmdsession_session(struct call *c);

/* On its way to the log. SESSION RUN id sequence answered command [argument …] is the command, done
 * once. */
enum status cmdsession_route(struct call *c);

#endif
