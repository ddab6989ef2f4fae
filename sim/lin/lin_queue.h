/* lin_queue.h - calls and returns that are to come, in their order. Internal to sim/lin.
 *
 * Operations are taken when they end, so their returns come nearly sorted, and a call lies only a
 * few calls back. So there are two sorted runs, into which an event is put from the end; what is
 * too far from its place goes to a heap. */
#ifndef SIM_LIN_LIN_QUEUE_H
#define SIM_LIN_LIN_QUEUE_H

#include "sim/lin/lin_rec.h"

#define LIN_RETURN_BIT \
    ((uint64_t)1 << 63) /* in the order of an event: at one time calls go first */

/* Without a branch: which is sooner is anybody's guess. */
static inline bool lin_event_sooner(const struct lin_event *a, const struct lin_event *b)
{
    unsigned before = a->time < b->time;
    unsigned equal = a->time == b->time;
    unsigned first = a->order < b->order;
    return (before | (equal & first)) != 0;
}

static inline bool lin_event_returns(const struct lin_event *e)
{
    return (e->order & LIN_RETURN_BIT) != 0;
}

/* ST_NOMEM: nothing changed. */
NODISCARD enum status lin_queue_push(struct lin_queue *q, struct mem *mem,
                                     const struct lin_event *e);

/* The first event, or NULL. */
const struct lin_event *lin_queue_first(const struct lin_queue *q);
void lin_queue_pop(struct lin_queue *q);

/* All events in no particular order: *at begins at 0. NULL after the last. */
const struct lin_event *lin_queue_each(const struct lin_queue *q, size_t *at);

void lin_queue_release(struct lin_queue *q, struct mem *mem);

#endif
