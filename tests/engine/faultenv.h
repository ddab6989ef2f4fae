/* faultenv.h - an Env over any other, whose n-th file or directory call fails.
 *
 * Calls are counted from 0: open, read, append, write, sync, list, rename, remove, lock and so on.
 * With `rest` every later one fails as well: to those above it the disk is gone, and what
 * is left on the disk below is what a killed process leaves. With `tear` the failing append first
 * writes half of its bytes. It stands on a test_env, whose switches work too. */
#ifndef TESTS_ENGINE_FAULTENV_H
#define TESTS_ENGINE_FAULTENV_H

#include "tests/test_env.h"

struct faultenv {
    struct test_env te;  /* hand &f.te.env to what is tested */
    atomic_long fail_at; /* -1: none */
    bool rest;
    long every; /* fail each so many-th call too; 0: do not */
    bool tear;
    bool syncs_only; /* count and fail syncs of files alone */
    enum status with;
    atomic_long calls;
    atomic_long failed;
    atomic_long synced_after_failure; /* syncs of a descriptor whose sync had failed */
    atomic_int bad_fd;                /* whose sync failed; -1: none */
};

void faultenv_init(struct faultenv *f, struct env *below);

#endif
