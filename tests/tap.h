/* tap.h - the whole test framework: TAP on stdout, one process per file.
 *
 * EXPECT(e) notes a failure and goes on. SKIP(reason) inside a test says that this machine
 * cannot run it; return after it. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdio.h>
#include <string.h>

static int tap_failed, tap_n;
static const char *tap_only;    /* argv[1]: run tests whose name holds this */
static const char *tap_skipped; /* why the running test was skipped; NULL: it was not */

#define EXPECT(e) \
    ((e) ? (void)0 : (tap_failed = 1, (void)printf("# %s:%d: %s\n", __FILE__, __LINE__, #e)))
#define SKIP(reason) (tap_skipped = (reason))
#define RUN(fn)                                                                                \
    do {                                                                                       \
        if (tap_only != NULL && strstr(#fn, tap_only) == NULL)                                 \
            break;                                                                             \
        tap_failed = 0;                                                                        \
        tap_skipped = NULL;                                                                    \
        fn();                                                                                  \
        printf("%sok %d - %s%s%s\n", tap_failed ? "not " : "", ++tap_n, #fn,                   \
               tap_skipped != NULL ? " # SKIP " : "", tap_skipped != NULL ? tap_skipped : ""); \
    } while (0)
/* Line by line, so that what was said before a crash or a fork is not lost or said twice. */
#define TAP_MAIN(...)                              \
    int main(int argc, char **argv)                \
    {                                              \
        (void)setvbuf(stdout, NULL, _IOLBF, 4096); \
        tap_only = argc > 1 ? argv[1] : NULL;      \
        __VA_ARGS__ printf("1..%d\n", tap_n);      \
        return 0;                                  \
    }

#endif
