/* fiber.h - coroutines with their own stacks: what simulated threads run on.
 *
 * Asymmetric: a host resumes a fiber, the fiber suspends back to whoever resumed it, so that
 * a world can run inside a fiber of another (shadow recoveries do). The switch is hand-written
 * for x86-64 and aarch64, ucontext elsewhere. Stacks have a guard page below and are pooled.
 *
 * Invariants: I1 only the host resumes, only the fiber itself suspends   I2 a fiber may be freed
 * at any suspension, without unwinding: it must own nothing outside its process.
 * Failure: ST_NOMEM when the system refuses a stack. */
#ifndef SIM_FIBER_H
#define SIM_FIBER_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct fiber;

/* Stacks that are not in use; one pool serves every world of a program. */
struct fiber_pool {
    struct fiber *idle;
    size_t stack_size; /* bytes usable */
    size_t live;       /* fibers in use */
};

/* stack_size 0 means the default. */
void fiber_pool_init(struct fiber_pool *p, size_t stack_size);
void fiber_pool_release(struct fiber_pool *p); /* no fiber may be live */

/* A fiber that will call run(arg) when first resumed. */
NODISCARD enum status fiber_new(struct fiber_pool *p, void (*run)(void *arg), void *arg,
                                struct fiber **f);
/* Takes the stack back, wherever the fiber stands. Not from inside it. */
void fiber_free(struct fiber_pool *p, struct fiber *f);

/* Runs f until it suspends or returns; true while it has more to do. */
bool fiber_resume(struct fiber *f);
/* Back to the host; returns at the next resume. Called inside f. */
void fiber_suspend(struct fiber *f);

#endif
