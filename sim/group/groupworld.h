/* groupworld.h - one whole simulated run of a group: one to seven nodes on hosts of their own, each
 * the whole program, their clients, all that can happen to machines and networks, every check.
 *
 * Phases: warm-up (a leader is found) · chaos (the plan's faults, the clients' operations) · core
 * (a quorum is healed for good, everybody else stays as they are: it has to get on) · heal (all
 * agree) · blackout (the power of all goes, and with it everything unsynced) · stop · compare (the
 * databases hold the same) · the history is judged. docs/group.md says what each checks.
 *
 * A run is a function of its plan (and tape). */
#ifndef SIM_GROUP_GROUPWORLD_H
#define SIM_GROUP_GROUPWORLD_H

#include "sim/trial.h"

/* In plan.events: those of machines come from 0 on. */
#define GROUPWORLD_NET_ORDINALS      10000u
#define GROUPWORLD_TRANSFER_ORDINALS 20000u
#define GROUPWORLD_CHANGE_ORDINALS   20100u

/* What plan_draw leaves open: sizes that only go together. */
void groupworld_draw(struct plan *p);

/* Runs it. The lines of the ring go to `tail` when it failed (NULL: not wanted). */
void groupworld_run(const struct trial_options *o, struct trial_result *r, struct buf *tail);

#endif
