/* lin_tell.h - what went wrong, in one sentence. Internal to sim/lin. */
#ifndef SIM_LIN_LIN_TELL_H
#define SIM_LIN_LIN_TELL_H

#include "sim/lin/lin_rec.h"

/* Puts the places in the order of their calls. */
void lin_tell_sort(const struct lin_history *h, uint32_t *places, size_t count);

/* Appends a sentence that names the operations of a witness (sorted) by their places. */
NODISCARD enum status lin_tell(const struct lin_history *h, const uint32_t *places, size_t count,
                               struct buf *out);

/* A failed operation that would have written what this one saw, or LIN_NONE. */
uint32_t lin_tell_failed_writer(const struct lin_history *h, uint32_t place);

#endif
