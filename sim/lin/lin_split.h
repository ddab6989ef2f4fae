/* lin_split.h - a history in independent parts: keys that no operation joins. Internal to sim/lin.
 *
 * A history is linearizable if and only if each part is (locality: Herlihy and Wing 1990, theorem
 * 1). Operations that failed, and those that say nothing (a read whose result is unknown), are in
 * no part. */
#ifndef SIM_LIN_LIN_SPLIT_H
#define SIM_LIN_LIN_SPLIT_H

#include "sim/lin/lin_rec.h"

struct lin_part {
    const uint32_t *keys; /* ascending in byte order where the history has scans */
    uint32_t key_count;
    const uint32_t *ops; /* places in the history, ascending by call */
    uint32_t op_count;
};

struct lin_split {
    struct mem *mem;
    struct lin_part *parts;
    uint32_t part_count;
    uint32_t *key_items; /* what the parts point into */
    uint32_t *op_items;
    uint32_t *part_of;  /* of each key */
    uint32_t *local_of; /* the place of each key in its part */
    uint32_t *init;     /* the first value of each key */
};

/* Zeroes *s first; release it in every case. */
NODISCARD enum status lin_split_make(struct lin_split *s, const struct lin_history *h);
void lin_split_release(struct lin_split *s);

/* The local keys [*first, *end) of a part that a scan covers. */
void lin_split_range(const struct lin_history *h, const struct lin_part *part,
                     const struct lin_rec *scan, uint32_t *first, uint32_t *end);

/* True when the operation can be left out of every check. */
bool lin_split_idle(const struct lin_history *h, const struct lin_rec *op);

/* All keys of the history in byte order, into an array of keys.count. */
NODISCARD enum status lin_split_sort_keys(const struct lin_history *h, uint32_t *sorted);

#endif
