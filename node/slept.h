/* slept.h - whether the machine slept: the monotonic clock stands still then, the boot clock does
 * not, so their difference grows. Leases are measured by the first (node/replica.c), and what the
 * others do meanwhile by neither.
 *
 * The clocks cannot be read at the same moment; the monotonic one is read before and after. So a
 * reading bounds the difference from both sides, and a thread that did not run between two reads
 * makes the bounds wide, never wrong.
 *
 * Invariants (tests/node/test_slept.c)
 *   I1  without a sleep slept_look says false, however late each clock is read
 *   I2  a sleep that ended before the boot clock was read is told once: by the first reading from
 *       then on that is narrower than it was long, less the narrowest one before it
 *
 * Failure: none. Determinism: a function of the readings. */
#ifndef NODE_SLEPT_H
#define NODE_SLEPT_H

#include <stdbool.h>
#include <stdint.h>

struct slept {
    uint64_t most; /* the difference is at most this, since the last sleep */
};

static inline void slept_init(struct slept *s)
{
    s->most = UINT64_MAX;
}

/* Clocks in the order in which they were read. True: it has slept since the reading before. */
static inline bool slept_look(struct slept *s, uint64_t mono, uint64_t boot, uint64_t mono_after)
{
    uint64_t most = boot > mono ? boot - mono : 0;
    uint64_t least = boot > mono_after ? boot - mono_after : 0;
    bool slept = least > s->most;
    s->most = slept || most < s->most ? most : s->most;
    return slept;
}

#endif
