/* lin_deep.h - the search depth first: one way through, others only when it ends. Internal to
 * sim/lin.
 *
 * For a long history that is in order, and in which little happens at once, the first way through
 * is nearly always right, and one node is carried where breadth first carries all. It does not
 * remember where it has been: its budget is linear in the history (LIN_DEEP_STEPS for each event),
 * and when that is used up the breadth-first search, which forgets nothing, has the word. */
#ifndef SIM_LIN_LIN_DEEP_H
#define SIM_LIN_LIN_DEEP_H

#include "sim/lin/lin_search.h"

#define LIN_DEEP_STEPS 3

/* *found: there is an order. Otherwise nothing is known; then the search has to be made anew. */
NODISCARD enum status lin_deep_run(struct lin_search *s, bool *found);

#endif
