/* raftlogdump.h - a segment of the Raft log as lines for people: `tinykv dump raftlog FILE`.
 *
 * Reads the file and nothing else; damage is told where it lies, and what is behind it is shown.
 * Failure: statuses of the file calls; ST_CORRUPT: nothing in it is of the segment that its name
 * says, or something is damaged (all lines have been reported by then). */
#ifndef RAFT_RAFTLOGDUMP_H
#define RAFT_RAFTLOGDUMP_H

#include "base/err.h"
#include "env/env.h"

/* Called with each line, without an end of line. */
typedef void raftlogdump_fn(void *arg, const char *line);

/* The file at path, whose name is that of a segment (raft-000012.log) or raft.id. */
NODISCARD enum status raftlogdump_file(struct env *env, const char *path, raftlogdump_fn *report,
                                       void *arg, struct err *err);

#endif
