/* test_env.h - an Env for tests, laid over any other Env.
 *
 * It passes every call on, and beside that
 *   - refuses the allocation number `fail_at` (counted from 0), or all from there on,
 *   - counts the blocks and the descriptors that are still held,
 *   - cuts every read and write of files and sockets to at most `io_max` bytes.
 *
 *     struct test_env te;
 *     for (long n = 0;; n++) {
 *         test_env_init(&te, under);
 *         te.fail_at = n;
 *         enum status st = thing_new(&te.env, …);
 *         …
 *         EXPECT(te.live == 0);
 *         if (te.allocs <= n) break;    // it was never reached: all have been refused once
 *     }
 *
 * With under == NULL there is memory and nothing else: enough for containers, which take
 * &te.env.mem. Safe with threads; the switches are set while no other thread runs. Link with
 * test_env_dep. */
#ifndef TESTS_TEST_ENV_H
#define TESTS_TEST_ENV_H

#include "env/env.h"

#include <stdatomic.h>

struct test_env {
    struct env env; /* hand &te.env to what is tested */
    struct env_vt vt;
    struct env *under;       /* borrowed; NULL: memory only */
    long fail_at;            /* -1: none */
    bool fail_rest;          /* not only that one but every later one too */
    size_t io_max;           /* 0: no limit */
    atomic_long allocs;      /* asked for so far, refused ones too; resizing is asking */
    atomic_long live;        /* blocks held */
    atomic_long descriptors; /* files, locks, sockets and pollers held */
};

/* Everything off, all counts 0. Nothing to release. */
void test_env_init(struct test_env *te, struct env *under);

#endif
