/* tap.h - the whole test framework: TAP on stdout, one process per file. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdio.h>
#include <string.h>

static int tap_failed, tap_n;
static const char *tap_only; /* argv[1]: run tests whose name holds this */

#define EXPECT(e) \
    ((e) ? (void)0 : (tap_failed = 1, (void)printf("# %s:%d: %s\n", __FILE__, __LINE__, #e)))
#define RUN(fn)                                                           \
    do {                                                                  \
        if (tap_only != NULL && strstr(#fn, tap_only) == NULL)            \
            break;                                                        \
        tap_failed = 0;                                                   \
        fn();                                                             \
        printf("%sok %d - %s\n", tap_failed ? "not " : "", ++tap_n, #fn); \
    } while (0)
#define TAP_MAIN(...)                         \
    int main(int argc, char **argv)           \
    {                                         \
        tap_only = argc > 1 ? argv[1] : NULL; \
        __VA_ARGS__ printf("1..%d\n", tap_n); \
        return 0;                             \
    }

#endif
