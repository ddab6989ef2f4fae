/* repair.h - makes a database open again with what can be told to be right.
 *
 * Everything that is readable is gathered: the tables that the manifest names (all of them when no
 * manifest can be read), block by block where a table is damaged, and the logs up to their damage.
 * Of each key the newest version goes into a new database in dir/repair; then the old files move to
 * dir/lost and the new ones take their place. A repair that was cut short is simply run again.
 *
 * What is reported: each file that was damaged and how much of it could be read, and what that
 * means: keys in lost blocks are missing, or show an older value; deletes that were lost let keys
 * come back. Sequences begin anew.
 *
 * Failure: statuses of the file calls, ST_NOMEM; the old files are in dir or in dir/lost, whole. */
#ifndef ENGINE_REPAIR_H
#define ENGINE_REPAIR_H

#include "base/err.h"
#include "engine/tkv.h"

/* The database is closed. report may be NULL. */
NODISCARD enum status repair_run(const struct tkv_options *o, const char *dir,
                                 tkv_report_fn *report, void *arg, struct err *err);

#endif
