/* err.c - see err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

void err_set(struct err *e, const char *fmt, ...)
{
    if (e == NULL) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    if (n < 0) {
        e->text[0] = '\0';
    }
}

enum status err_status(struct err *e, enum status st, const char *what)
{
    err_set(e, "%s: %s", what, status_text(st));
    return st;
}
