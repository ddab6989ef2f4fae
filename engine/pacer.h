/* pacer.h - a limit in bytes a second for what runs in the background.
 *
 * A token bucket in terms of time: writers book their bytes one after the other on a line of time
 * and wait until their booking begins. So waiters are served in the order of asking, each for its
 * own bytes, and none starves. Idle time is not saved up beyond a short burst.
 *
 * Invariants
 *   L1  over any span of time t, what was let through is at most rate * (t + burst) + one request
 *   L2  who asks first goes first
 *   L3  after pacer_hurry or with rate 0 nobody waits
 *
 * Failure: none. */
#ifndef ENGINE_PACER_H
#define ENGINE_PACER_H

#include "env/env.h"

struct pacer {
    struct env *env; /* borrowed */
    struct env_mutex mutex;
    struct env_cond changed;
    /* guarded by mutex */
    uint64_t rate;    /* bytes a second; 0: no limit */
    uint64_t hurry;   /* how many ask that nobody waits */
    uint64_t next;    /* ticket of the next who asks */
    uint64_t serving; /* ticket of the one whose turn it is */
    uint64_t free_at; /* mono ns: when all that was let through has been paid for */
    uint64_t bytes, waited_ns, waits;
};

#define PACER_BURST_NS 20000000u                 /* idle time that may be used afterwards */
#define PACER_RATE_MAX (((uint64_t)1 << 34) - 1) /* bytes a second; more counts as this */

void pacer_init(struct pacer *p, struct env *env, uint64_t bytes_per_s);
void pacer_release(struct pacer *p); /* nobody waits; safe on a zeroed struct */

/* Returns when `bytes` may be written. */
void pacer_wait(struct pacer *p, uint64_t bytes);

/* The same as a tablewrite's `pace`; arg is the pacer. Always ST_OK. */
NODISCARD enum status pacer_pace(void *arg, uint64_t bytes);

/* From any thread, at any time; those who wait feel it at once. */
void pacer_set(struct pacer *p, uint64_t bytes_per_s);

/* Between hurry(true) and hurry(false) nobody waits: the database stops, or writers wait for what
 * the background does. Calls nest. */
void pacer_hurry(struct pacer *p, bool on);

struct pacer_stats {
    uint64_t bytes;     /* let through */
    uint64_t waits;     /* requests that had to wait */
    uint64_t waited_ns; /* by all together */
};
void pacer_stats(struct pacer *p, struct pacer_stats *s);

#endif
