/* simmedia.h - the media faults of a plan, carried out while processes use their host's disk.
 *
 * Drawn from the host's own stream, and only where the plan has such a fault at all: a plan without
 * them runs as though this were not here. Each that strikes is counted (world.injected) and leaves
 * a line in the trace. */
#ifndef SIM_SIMMEDIA_H
#define SIM_SIMMEDIA_H

#include "sim/proc.h"

/* Whether the plan has any. */
bool simmedia_wanted(const struct plan *plan);
/* Before a disk operation of a watched process: sectors may go bad, pages leave the cache. */
void simmedia_point(struct proc *p);
/* Before a write to that file: it may be lost, or land elsewhere. */
void simmedia_write(struct proc *p, simdisk_ino ino);

#endif
