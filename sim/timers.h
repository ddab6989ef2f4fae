/* timers.h - the events of virtual time: an indexed binary heap of timers embedded in their owners.
 *
 * Order is (when, order of arming), so equal times fire in a fixed order. Removing is exact: a
 * timer that was removed is not referenced any more and its owner may go. */
#ifndef SIM_TIMERS_H
#define SIM_TIMERS_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    uint64_t when; /* ns */
    uint64_t tie;
    size_t at;                     /* index + 1 in the heap; 0: not armed */
    void (*fire)(struct timer *t); /* called disarmed */
};

struct timers {
    struct mem *mem;
    struct timer **heap;
    size_t count;
    size_t cap;
    uint64_t armed; /* ever, for ties */
};

void timers_init(struct timers *ts, struct mem *mem);
void timers_release(struct timers *ts);
/* Arms t for `when`, moving it when it is armed already. */
void timers_set(struct timers *ts, struct timer *t, uint64_t when);
void timers_remove(struct timers *ts, struct timer *t); /* harmless when not armed */

static inline struct timer *timers_first(const struct timers *ts)
{
    return ts->count > 0 ? ts->heap[0] : NULL;
}

#endif
