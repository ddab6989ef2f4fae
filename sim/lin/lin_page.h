/* lin_page.h - a verdict as one HTML page that needs nothing else. Internal to sim/lin.
 *
 * The page holds the operations around the witness (or the first ones of a history without), as
 * many as fit, and an overview of the rest, so that it never exceeds LIN_PAGE_MAX bytes. */
#ifndef SIM_LIN_LIN_PAGE_H
#define SIM_LIN_LIN_PAGE_H

#include "sim/lin/lin.h"

#define LIN_PAGE_MAX 2000000

NODISCARD enum status lin_page_write(const struct lin_history *h, const struct lin_verdict *v,
                                     const char *title, struct buf *out);

/* The first place of a window of operations around the witness, in the order of calls, and its
 * length (at most `most`); the list is *order (NULL: the order of the history). */
NODISCARD enum status lin_page_window(const struct lin_history *h, const struct lin_verdict *v,
                                      size_t most, uint32_t **order, size_t *first, size_t *count);

#endif
