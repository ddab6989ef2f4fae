/* recover.h - from a directory to a database that may serve.
 *
 * Finds the newest base, replays the logs above it, and makes a new log. What of the last log is
 * not known to be on the medium is written again into the new one, which is durable before
 * anything is served: bytes read from the page cache of a process that died promise nothing. After
 * a clean close nothing is in doubt, and what is there goes on as it is: resume.h.
 *
 * Invariants
 *   R1  nothing in the directory is changed before everything has been read and found right
 *   R2  an old log is never cut or synced, nor appended to unless resume.h allows it; the new log's
 *       header says how much of it counts
 *   R3  a new log counts only when its opening (header, copies, mark) is whole: a crash at any
 *       point leaves either the old state or the new one, and both say the same
 *   R4  files are removed last
 *
 * Failure: ST_CORRUPT, ST_UNSUPPORTED and statuses of the file calls, with a message. */
#ifndef ENGINE_RECOVER_H
#define ENGINE_RECOVER_H

#include "base/err.h"
#include "engine/db.h"

struct recover_options {
    bool create_if_missing;
    bool error_if_exists;
};

/* db holds its lock file, and its own directory exists. On ST_OK it has a version, sequences, live
 * logs and a log to write to. Runs before any other thread. */
NODISCARD enum status recover_run(struct tkv *db, const struct recover_options *o, struct err *err);

#endif
