/* storetwin.h - E12: the same operations of one thread, on databases with different options, get
 * the same answers. */
#ifndef SIM_STORE_STORETWIN_H
#define SIM_STORE_STORETWIN_H

#include "sim/store/store.h"

/* One run of the store world; answers (may be NULL) gets a struct storetwin_answer an operation. */
typedef void storetwin_run_fn(const struct trial_options *o, struct trial_result *r,
                              struct buf *answers, struct buf *tail);

struct storetwin_answer {
    uint64_t ordinal;
    uint64_t hash; /* of everything that was read */
};

/* Runs the plan twice, without faults, and compares. */
void storetwin_run(const struct trial_options *o, struct trial_result *r, storetwin_run_fn *run,
                   struct buf *tail);

#endif
