/* err.h - a message for a person, beside a status: what failed, where, and why.
 *
 * The caller owns the struct and may pass NULL where it does not care for the text. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/status.h"

struct err {
    char text[256]; /* NUL-terminated; "" when nothing was said */
};

/* Formats into e (truncating); does nothing when e is NULL. */
__attribute__((format(__printf__, 2, 3))) void err_set(struct err *e, const char *fmt, ...);

/* err_set("<what>: <status_text(st)>") and returns st, so that a failure reads in one line. */
NODISCARD enum status err_status(struct err *e, enum status st, const char *what);

#endif
