/* lin_step.h - one operation taking effect in a search node. Internal to sim/lin. */
#ifndef SIM_LIN_LIN_STEP_H
#define SIM_LIN_LIN_STEP_H

#include "sim/lin/lin_search.h"

/* What an operation needs at its return. */
enum lin_need {
    LIN_NEED_NOTHING, /* it is done; showing its effect now would help nobody */
    LIN_NEED_EITHER,  /* it is done, but its effect may be wanted: both ways */
    LIN_NEED_MUST,    /* it has to take effect now */
};

#define LIN_STEP_WANTS 12

struct lin_step_iter {
    uint32_t goal; /* slot of the operation that returns */
    uint32_t slot; /* the next one to try */

    /* On one key: the values that open operations of the node look for, once they are gathered. */
    bool gathered;
    bool any; /* every value is wanted, or there were too many to list */
    uint32_t want_count;
    uint32_t wants[LIN_STEP_WANTS];
};

static inline uint32_t *lin_step_values(const struct lin_search *s, uint64_t *node)
{
    return (uint32_t *)(void *)(node + 2 * s->width);
}

/* Its call: sets its bits in the node. */
void lin_step_open(const struct lin_search *s, uint64_t *node, const struct lin_prog_op *op);

enum lin_need lin_step_need(const struct lin_search *s, const uint64_t *node,
                            const struct lin_prog_op *op);

/* Marks the keys that can matter to the operation through what is open. */
void lin_step_near(struct lin_search *s, const struct lin_prog_op *op);

/* The open operations that may take effect in the node, one after the other: each into `to`. */
static inline void lin_step_begin(struct lin_step_iter *it, const struct lin_prog_op *goal)
{
    it->goal = goal->slot;
    it->slot = 0;
    it->gathered = false;
}
NODISCARD enum status lin_step_next(struct lin_search *s, struct lin_step_iter *it,
                                    const uint64_t *node, uint64_t *to, bool *more);

#endif
