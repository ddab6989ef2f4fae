/* store.h - a second simulated world: the storage engine alone, under all of its operations, held
 * against a model (docs/store.md).
 *
 * One process opens the database with drawn options, and a few of its threads use it. Phases: chaos
 * (the plan's faults, the operations) · heal (faults off; the same process has to go on writing) ·
 * a last look at everything, an orderly end, after which nothing may be left · another start and
 * end · a last power loss.
 *
 * A run is a function of its plan (and tape). */
#ifndef SIM_STORE_STORE_H
#define SIM_STORE_STORE_H

#include "sim/trial.h"

/* What the plan of a seed has beside the common draw: media faults, in some. */
void store_draw(struct plan *p);

/* Runs it. The lines of the ring go to `tail` when it failed (NULL: not wanted). */
void store_run(const struct trial_options *o, struct trial_result *r, struct buf *tail);

#endif
