/* lin_text.h - a cursor over one JSON text in memory, for the readers. Internal to sim/lin.
 *
 * Strings without escapes are slices of the input; others are decoded into a scratch buffer
 * that is as long as the text, so that no slice moves. An error sticks in `wrong`. */
#ifndef SIM_LIN_LIN_TEXT_H
#define SIM_LIN_LIN_TEXT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct lin_text {
    const char *p;
    const char *end;
    size_t size;         /* of the whole text */
    struct buf *scratch; /* borrowed; cleared by lin_text_init */
    const char *wrong;   /* what is wrong, or NULL; a constant text */
    bool nomem;
};

void lin_text_init(struct lin_text *t, struct slice text, struct buf *scratch);

/* Notes the first error; returns false. */
bool lin_text_fail(struct lin_text *t, const char *what);

static inline void lin_text_space(struct lin_text *t)
{
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\t' || *t->p == '\r' || *t->p == '\n')) {
        t->p++;
    }
}

/* After white space: takes the character if it is next. */
static inline bool lin_text_take(struct lin_text *t, char c)
{
    lin_text_space(t);
    if (t->p < t->end && *t->p == c) {
        t->p++;
        return true;
    }
    return false;
}

/* Takes the word (true, null, …) if it is next. */
bool lin_text_word(struct lin_text *t, const char *word);

/* Each reads one value of its kind; false with `wrong` set otherwise. */
bool lin_text_string(struct lin_text *t, struct slice *out);
bool lin_text_integer(struct lin_text *t, int64_t *out);

/* Passes over one value of any kind. *out (may be NULL) is its raw text. */
bool lin_text_skip(struct lin_text *t, struct slice *out);

/* True when nothing but white space is left. */
bool lin_text_done(struct lin_text *t);

#endif
