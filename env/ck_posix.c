/* ck_posix.c - the ck_fail() of production programs: says what and where, and aborts.
 *
 * A library of its own (ck_posix_dep), for the simulator and the tests supply theirs. */
#include "base/ck.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void ck_fail(const char *file, int line, const char *expr)
{
    (void)fprintf(stderr, "fatal: %s:%d: CK(%s)\n", file, line, expr); /* nowhere to report to */
    abort();
}
