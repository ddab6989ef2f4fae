/* newdir.h - makes a directory, and its name durable in the one above it.
 *
 * Failure: as env_dir_make and env_dir_sync; ST_OK when it is there already. */
#ifndef ENV_NEWDIR_H
#define ENV_NEWDIR_H

#include "env/env.h"

NODISCARD enum status newdir_make(struct env *env, const char *dir);

#endif
