/* simck.h - catching a failed CK() that is no simulated process's.
 *
 * A search that steps the product's code directly (sim/explore) wants a bug that an assertion finds
 * as a result, not as its own end.
 *
 *     struct simck_trap trap;
 *     if (setjmp(trap.at) == 0) { simck_trap_set(&trap); ... } else { trap.why says it }
 *     simck_trap_set(NULL);
 *
 * What was being changed is in any state then: throw it away. One trap at a time, one thread. */
#ifndef SIM_SIMCK_H
#define SIM_SIMCK_H

#include <setjmp.h>

struct simck_trap {
    jmp_buf at;
    char why[160];
};

/* Borrowed until the next call; NULL: failures end the program again. */
void simck_trap_set(struct simck_trap *trap);

#endif
