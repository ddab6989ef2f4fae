/* scratch.h - a fresh directory for one test, and an Env that starts in it.
 *
 * Deterministic content, random name under $TMPDIR or /tmp; removed with all it holds. */
#ifndef TESTS_ENV_SCRATCH_H
#define TESTS_ENV_SCRATCH_H

#include "env/env.h"

struct scratch {
    struct env *env; /* owned; relative paths start in the directory */
    char path[256];
};

/* Aborts with a message where it cannot: a test has nothing to do without it. */
void scratch_init(struct scratch *t);

/* Removes the tree and frees the Env. */
void scratch_release(struct scratch *t);

/* Writes a whole file through the Env; aborts where it cannot. */
void scratch_put(struct scratch *t, const char *name, const void *data, size_t size);

#endif
