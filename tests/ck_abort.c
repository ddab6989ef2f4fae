/* ck_abort.c - the ck_fail() of test programs: says what and where, and aborts. */
#include "base/ck.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void ck_fail(const char *file, int line, const char *expr)
{
    (void)fprintf(stderr, "Bail out! %s:%d: CK(%s)\n", file, line, expr);
    abort();
}
