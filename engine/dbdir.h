/* dbdir.h - a database's directory as a whole: for what works on databases that are closed, or on
 * copies.
 *
 * Failure: statuses of the file calls. */
#ifndef ENGINE_DBDIR_H
#define ENGINE_DBDIR_H

#include "base/buf.h"
#include "base/err.h"
#include "engine/fname.h"

struct dbdir_file {
    enum fname_kind kind; /* never FNAME_OTHER */
    uint64_t number;
};

/* Appends a struct dbdir_file for every name that is ours, ascending by kind and number. *others
 * (may be NULL) tells whether there are further names. */
NODISCARD enum status dbdir_list(struct env *env, const char *dir, struct buf *files, bool *others);

/* Syncs the directory above, where the name of dir itself is. */
NODISCARD enum status dbdir_parent_sync(struct env *env, const char *dir);

/* Removes every file of ours, CURRENT first, so that what a crash leaves is no half database; then
 * the directory, unless something else is in it. */
NODISCARD enum status dbdir_remove(struct env *env, const char *dir);

/* Takes the lock; *fd is the caller's. ST_NOENT: there is no database; ST_BUSY: it is open. */
NODISCARD enum status dbdir_lock(struct env *env, const char *dir, int *fd, struct err *err);

#endif
