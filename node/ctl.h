/* ctl.h - tinykv ctl: looking at a group and changing it, from outside, as a client.
 *
 *     tinykv ctl [--connect ADDR:PORT,…] [--timeout MS] COMMAND
 *     status | members | add ADDR:PORT [--learner] | promote NODE | remove NODE | transfer NODE
 *
 * Any of the addresses will do for looking; for changing the leader is found among them. Exit
 * codes: 0 it is so; 1 it is not, and why; 2 usage; 3 it may be: no answer came in time. */
#ifndef NODE_CTL_H
#define NODE_CTL_H

#include "env/env.h"

/* argv[0] is "ctl". */
int ctl_run(struct env *env, int argc, char **argv);

#endif
