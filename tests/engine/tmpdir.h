/* tmpdir.h - a directory of its own for a test, with a real Env whose relative paths start there.
 */
#ifndef TESTS_ENGINE_TMPDIR_H
#define TESTS_ENGINE_TMPDIR_H

#include "env/env.h"

struct tmpdir {
    char path[256];
    struct env *env; /* a real one, rooted here */
};

/* Ends the test program when it cannot. */
void tmpdir_make(struct tmpdir *t);

/* Removes it with everything in it, and the Env. */
void tmpdir_remove(struct tmpdir *t);

/* Removes the files of one directory in it, and the directory. */
void tmpdir_clear(struct tmpdir *t, const char *dir);

/* Whole files, by a path in it. The bytes are malloc'ed. */
char *tmpdir_read(struct tmpdir *t, const char *path, size_t *size);
void tmpdir_write(struct tmpdir *t, const char *path, const void *data, size_t size);

/* Copies every file of directory `from` to `to`, which is made; locks are left out. */
void tmpdir_copy(struct tmpdir *t, const char *from, const char *to);

/* Number of files in a directory whose name ends like this. */
/* How many names begin with that. */
int tmpdir_count_prefix(struct tmpdir *t, const char *dir, const char *prefix);
int tmpdir_count(struct tmpdir *t, const char *dir, const char *suffix);

/* The name of the highest file with that suffix ("" when there is none). */
void tmpdir_highest(struct tmpdir *t, const char *dir, const char *suffix, char name[64]);

#endif
