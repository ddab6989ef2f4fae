/* simmem.h - the simulator's own memory: malloc that does not refuse.
 *
 * A testbed that runs out of memory has failed as a tool: it says so and exits with 3. */
#ifndef SIM_SIMMEM_H
#define SIM_SIMMEM_H

#include "base/mem.h"

/* Shared, stateless. */
struct mem *simmem(void);

#endif
