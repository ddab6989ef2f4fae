/* simck.c - the simulator's ck_fail(): goes to the trap that is set; else ends the simulated
 * process that was running and fails the run; outside any process it is a bug of the testbed
 * itself. */
#include "sim/simck.h"

#include "base/ck.h"
#include "sim/proc.h"

#include <stdio.h>
#include <stdlib.h>

static struct simck_trap *trapped;

void simck_trap_set(struct simck_trap *trap)
{
    trapped = trap;
}

_Noreturn void ck_fail(const char *file, int line, const char *expr)
{
    struct world *w = world_current();
    struct proc *p = w != NULL ? proc_current(w) : NULL;
    while (*file == '.' || *file == '/') {
        file++; /* the build's way to the source */
    }
    if (trapped != NULL) {
        (void)snprintf(trapped->why, sizeof trapped->why, "%s:%d: CK(%s)", file, line, expr);
        longjmp(trapped->at, 1);
    }
    if (p == NULL || p->state != PROC_RUNNING) {
        (void)fprintf(stderr, "tinykv-sim: a bug in the simulator: %s:%d: CK(%s)\n", file, line,
                      expr);
        exit(3);
    }
    char why[160];
    (void)snprintf(why, sizeof why, "%s:%d: CK(%s)", file, line, expr);
    world_fail(w, "assertion", "%s: %s", p->name, why);
    proc_die_now(p, why);
}
