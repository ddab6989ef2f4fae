/* tmpdir.h - a fresh directory for one test, and an Env that starts in it.
 *
 * Deterministic content, random name under $TMPDIR or /tmp; removed with all it holds. */
#ifndef TESTS_ENV_TMPDIR_H
#define TESTS_ENV_TMPDIR_H

#include "env/env.h"

struct tmpdir {
    struct env *env; /* owned; relative paths start in the directory */
    char path[256];
};

/* Aborts with a message where it cannot: a test has nothing to do without it. */
void tmpdir_init(struct tmpdir *t);

/* Removes the tree and frees the Env. */
void tmpdir_release(struct tmpdir *t);

/* Writes a whole file through the Env; aborts where it cannot. */
void tmpdir_put(struct tmpdir *t, const char *name, const void *data, size_t size);

#endif
