/* dbtool.h - the commands that look at a database that nobody has open: dump, verify, repair,
 * stats.
 *
 *     tinykv dump wal|sst|manifest FILE    every record, line by line
 *     tinykv verify DIR                    reads every byte, changes nothing
 *     tinykv repair DIR                    makes it open again, with what can be told to be right
 *     tinykv stats DIR                     levels, sizes, counts
 *
 * Exit codes as node_main's, and 1 for a database in which something is wrong. */
#ifndef NODE_DBTOOL_H
#define NODE_DBTOOL_H

#include "env/env.h"

#include <stdbool.h>

/* Whether word is one of these commands. */
bool dbtool_knows(const char *word);

/* Runs argv[0] with its arguments; the exit code. */
int dbtool_run(struct env *env, int argc, char **argv);

#endif
