/* test_env.h - fault/inject.h for tests: an Env that refuses allocations and counts what is held,
 * over any other Env, or over the C heap alone.
 *
 *     struct inject te;
 *     for (long n = 0;; n++) {
 *         test_env_init(&te, under);
 *         te.fail_at = n;
 *         enum status st = thing_new(&te.env, …);
 *         …
 *         EXPECT(te.live == 0);
 *         if (te.allocs <= n) break;    // it was never reached: all have been refused once
 *     }
 *
 * Link with test_env_dep. */
#ifndef TESTS_TEST_ENV_H
#define TESTS_TEST_ENV_H

#include "fault/inject.h"

#define test_env inject /* its name in tests that were written before it moved */

/* inject_init; with under == NULL there is memory and nothing else. */
void test_env_init(struct inject *te, struct env *under);

#endif
