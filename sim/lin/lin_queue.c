/* lin_queue.c - see lin_queue.h. */
#include "sim/lin/lin_queue.h"

#define BACK_MAX 128 /* so far from the end an event is put into a run */

/* ---- runs ---- */

static enum status run_reserve(struct lin_run *r, struct mem *mem)
{
    if (r->end < r->cap) {
        return ST_OK;
    }
    size_t count = r->end - r->first;
    if (count > r->cap / 2 || r->cap == 0) {
        enum status st = lin_grow(mem, &r->events, &r->cap, r->cap + 1, sizeof *r->events);
        if (st != ST_OK) {
            return st;
        }
    }
    /* At least half of the room is before the first: moving costs no more than what was popped. */
    if (r->first > 0) {
        memmove(r->events, r->events + r->first, count * sizeof *r->events);
        r->first = 0;
        r->end = count;
    }
    return ST_OK;
}

/* True when the event has its place near the end of the run. */
static bool run_near(const struct lin_run *r, const struct lin_event *e)
{
    size_t count = r->end - r->first;
    return count < BACK_MAX || !lin_event_sooner(e, &r->events[r->end - BACK_MAX]);
}

static void run_put(struct lin_run *r, const struct lin_event *e)
{
    size_t at = r->end++;
    for (; at > r->first && lin_event_sooner(e, &r->events[at - 1]); at--) {
        r->events[at] = r->events[at - 1];
    }
    r->events[at] = *e;
}

/* ---- the heap ---- */

static void sift_up(struct lin_queue *q, size_t at, struct lin_event e)
{
    while (at > 0 && lin_event_sooner(&e, &q->heap[(at - 1) / 2])) {
        q->heap[at] = q->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    q->heap[at] = e;
}

/* Puts the event where the first one was. */
static void sift_down(struct lin_queue *q, struct lin_event e)
{
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= q->heap_count) {
            break;
        }
        size_t other = child + 1 < q->heap_count ? child + 1 : child;
        child += lin_event_sooner(&q->heap[other], &q->heap[child]) ? 1 : 0;
        if (!lin_event_sooner(&q->heap[child], &e)) {
            break;
        }
        q->heap[at] = q->heap[child];
        at = child;
    }
    q->heap[at] = e;
}

/* ---- both ---- */

enum status lin_queue_push(struct lin_queue *q, struct mem *mem, const struct lin_event *e)
{
    struct lin_run *r = lin_event_returns(e) ? &q->returns : &q->calls;
    if (run_near(r, e)) {
        enum status st = run_reserve(r, mem);
        if (st == ST_OK) {
            run_put(r, e);
        }
        return st;
    }
    enum status st = lin_grow(mem, &q->heap, &q->heap_cap, q->heap_count + 1, sizeof *q->heap);
    if (st == ST_OK) {
        sift_up(q, q->heap_count++, *e);
    }
    return st;
}

const struct lin_event *lin_queue_first(const struct lin_queue *q)
{
    const struct lin_event *first = NULL;
    if (q->calls.first < q->calls.end) {
        first = &q->calls.events[q->calls.first];
    }
    if (q->returns.first < q->returns.end) {
        const struct lin_event *e = &q->returns.events[q->returns.first];
        first = first == NULL || lin_event_sooner(e, first) ? e : first;
    }
    if (q->heap_count > 0) {
        first = first == NULL || lin_event_sooner(&q->heap[0], first) ? &q->heap[0] : first;
    }
    return first;
}

void lin_queue_pop(struct lin_queue *q)
{
    const struct lin_event *first = lin_queue_first(q);
    if (q->heap_count > 0 && first == &q->heap[0]) {
        struct lin_event last = q->heap[--q->heap_count];
        if (q->heap_count > 0) {
            sift_down(q, last);
        }
        return;
    }
    struct lin_run *r = lin_event_returns(first) ? &q->returns : &q->calls;
    r->first++;
    if (r->first == r->end) {
        r->first = 0;
        r->end = 0;
    }
}

const struct lin_event *lin_queue_each(const struct lin_queue *q, size_t *at)
{
    size_t i = (*at)++;
    size_t calls = q->calls.end - q->calls.first;
    size_t returns = q->returns.end - q->returns.first;
    if (i < calls) {
        return &q->calls.events[q->calls.first + i];
    }
    i -= calls;
    if (i < returns) {
        return &q->returns.events[q->returns.first + i];
    }
    i -= returns;
    return i < q->heap_count ? &q->heap[i] : NULL;
}

void lin_queue_release(struct lin_queue *q, struct mem *mem)
{
    mem_release(mem, q->calls.events);
    mem_release(mem, q->returns.events);
    mem_release(mem, q->heap);
    *q = (struct lin_queue){0};
}
