/* timers.c - see timers.h. Memory comes from simmem, which never refuses. */
#include "sim/timers.h"

#include "base/ck.h"

#define CAP_MIN 32

static bool before(const struct timer *a, const struct timer *b)
{
    return a->when != b->when ? a->when < b->when : a->tie < b->tie;
}

static void place(struct timers *ts, size_t at, struct timer *t)
{
    ts->heap[at] = t;
    t->at = at + 1;
}

static size_t sift_up(struct timers *ts, size_t at, struct timer *t)
{
    while (at > 0 && before(t, ts->heap[(at - 1) / 2])) {
        place(ts, at, ts->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    return at;
}

static size_t sift_down(struct timers *ts, size_t at, struct timer *t)
{
    for (;;) {
        size_t down = 2 * at + 1;
        if (down >= ts->count) {
            return at;
        }
        if (down + 1 < ts->count && before(ts->heap[down + 1], ts->heap[down])) {
            down++;
        }
        if (!before(ts->heap[down], t)) {
            return at;
        }
        place(ts, at, ts->heap[down]);
        at = down;
    }
}

void timers_init(struct timers *ts, struct mem *mem)
{
    *ts = (struct timers){.mem = mem};
}

void timers_release(struct timers *ts)
{
    mem_release(ts->mem, ts->heap);
    *ts = (struct timers){.mem = ts->mem};
}

void timers_set(struct timers *ts, struct timer *t, uint64_t when)
{
    timers_remove(ts, t);
    if (ts->count == ts->cap) {
        size_t cap = ts->cap < CAP_MIN ? CAP_MIN : ts->cap * 2;
        ts->heap = mem_resize(ts->mem, ts->heap, cap * sizeof(struct timer *));
        CK(ts->heap != NULL);
        ts->cap = cap;
    }
    t->when = when;
    t->tie = ++ts->armed;
    size_t at = sift_up(ts, ts->count++, t);
    place(ts, at, t);
}

void timers_remove(struct timers *ts, struct timer *t)
{
    if (t->at == 0) {
        return;
    }
    size_t at = t->at - 1;
    CK(at < ts->count && ts->heap[at] == t);
    t->at = 0;
    struct timer *last = ts->heap[--ts->count];
    if (last == t) {
        return;
    }
    at = sift_up(ts, at, last);
    at = sift_down(ts, at, last);
    place(ts, at, last);
}
