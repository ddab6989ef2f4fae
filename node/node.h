/* node.h - TinyKV's node: a whole server as a function of an Env.
 *
 * node_main parses its arguments, locks and recovers the data directory, listens, and serves until
 * stop is requested (SIGTERM, SHUTDOWN). It prints "tinykv: listening on ADDR:PORT" once it is
 * ready. Everything it took from the Env is given back when it returns, memory too. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "env/env.h"

#define NODE_VERSION "0.1.0"

/* argv as a program gets it. Returns the exit code: 0 stopped when asked, 1 it failed, 2 bad usage;
 * then one line on the error console says why. */
int node_main(struct env *env, int argc, char **argv);

#endif
