/* lin_witness.h - a few operations that contradict each other. Internal to sim/lin.
 *
 * A set of operations of a history that is not linearizable need not say so itself: without the
 * write, its read looks wrong. A set is a proof when it is closed: with an operation that looks
 * for a value it has every operation that could have written that value in time; and with one
 * that looks without naming a value, every write of that key. Taking an order of the whole
 * history down to a closed set leaves each look what it saw. So if the set has no order, the
 * history has none. Operations that are there only as writers have their own looks dropped. */
#ifndef SIM_LIN_LIN_WITNESS_H
#define SIM_LIN_LIN_WITNESS_H

#include "sim/lin/lin_prog.h"

/* Which operations of a part are kept. */
enum lin_keep {
    LIN_DROP,
    LIN_WEAK, /* as a writer only */
    LIN_FULL,
};

/* Finds a small closed set without an order. `place` is the operation at whose return the search
 * gave up. *places (released by the caller with mem_release) ascend by call. */
NODISCARD enum status lin_witness_find(const struct lin_history *h, const struct lin_split *s,
                                       const struct lin_part *part, uint32_t place,
                                       uint64_t steps_max, size_t bytes_max, uint32_t **places,
                                       size_t *count);

/* The same, beginning with operations that are thought to contradict each other: these and what
 * they need. *count is 0 when they have an order. */
NODISCARD enum status lin_witness_from(const struct lin_history *h, const struct lin_split *s,
                                       const struct lin_part *part, const uint32_t *seeds,
                                       size_t seed_count, uint32_t **places, size_t *count);

/* Leaves out looks that a closed set without an order can do without; *count shrinks. Where the
 * set rests on what it does not hold (appends, the start of a chain) it is left as it is. */
NODISCARD enum status lin_witness_trim(const struct lin_history *h, const struct lin_split *s,
                                       const struct lin_part *part, uint32_t *places,
                                       size_t *count);

#endif
