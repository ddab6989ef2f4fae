/* scratch.c - see scratch.h. */
#define _GNU_SOURCE
#include "tests/env/scratch.h"

#include "base/ck.h"
#include "env/env_posix.h"
#include "env/fullio.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

void scratch_init(struct scratch *t)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(t->path, sizeof t->path, "%.200s/tinykv-test-XXXXXX",
                   base != NULL && base[0] != '\0' ? base : "/tmp");
    CK(mkdtemp(t->path) != NULL);
    struct env_posix_options o = {.root = t->path};
    CK(env_posix_new(&o, &t->env) == ST_OK);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    (void)remove(path); /* a leftover in /tmp fails no test */
    return 0;
}

void scratch_release(struct scratch *t)
{
    env_posix_free(t->env);
    t->env = NULL;
    (void)nftw(t->path, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* as above */
}

void scratch_put(struct scratch *t, const char *name, const void *data, size_t size)
{
    int fd;
    size_t put;
    CK(env_file_open(t->env, name, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &fd) == ST_OK);
    CK(fullio_pwrite(t->env, fd, data, size, 0, &put) == ST_OK);
    CK(env_fd_close(t->env, fd) == ST_OK);
}
