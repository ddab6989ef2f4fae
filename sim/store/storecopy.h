/* storecopy.h - whole databases: a checkpoint made while others write, opened, compared, destroyed.
 */
#ifndef SIM_STORE_STORECOPY_H
#define SIM_STORE_STORECOPY_H

#include "sim/store/store_int.h"

/* Makes a checkpoint in a directory of its own, named by the operation, and looks at it. */
void storecopy_run(struct storeworker *w, struct env *env, uint64_t ordinal);

#endif
