/* lin_concat.h - the values that a search makes: appended texts and sums. Internal to sim/lin.
 *
 * It also knows which texts are the beginning of a value that somebody reads, so that an order
 * of appends that nobody saw is given up at once. */
#ifndef SIM_LIN_LIN_CONCAT_H
#define SIM_LIN_LIN_CONCAT_H

#include "sim/lin/lin_prog.h"

struct lin_concat {
    struct mem *mem;
    const struct lin_prog *p;
    uint32_t *seen; /* ids of the values that are read, in byte order, without repetition */
    uint32_t seen_count;
    struct lin_strtab *into; /* where made texts go instead of `made`, or NULL: then */
    struct lin_strtab made;  /* made text i has id values.count + 1 + i */
    struct lin_map made_of;  /* (value, text) -> sum */
    struct lin_map range_of; /* value -> the run of seen[] that begins with it: first, end */
    struct buf text;
};

/* Zeroes *c first; release in every case. */
NODISCARD enum status lin_concat_init(struct lin_concat *c, const struct lin_prog *p);
void lin_concat_release(struct lin_concat *c);

/* True when some value that is read begins with `value` and then `text`. */
NODISCARD enum status lin_concat_leads(struct lin_concat *c, uint32_t value, uint32_t text,
                                       bool *leads);

/* The id of `value` followed by `text`; absent counts as "". */
NODISCARD enum status lin_concat_append(struct lin_concat *c, uint32_t value, uint32_t text,
                                        uint32_t *out);

/* The id of value + delta, both decimal, or LIN_NONE when it is no number or leaves 64 bits. */
NODISCARD enum status lin_concat_add(struct lin_concat *c, uint32_t value, uint32_t delta,
                                     uint32_t *out);

#endif
