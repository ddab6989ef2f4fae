/* lin_deep.c - see lin_deep.h. */
#include "sim/lin/lin_deep.h"

/* Ways that were not taken: each is the event to go on with and a node. */
struct ways {
    struct mem *mem;
    uint64_t *words;
    size_t count;
    size_t cap; /* in words */
};

static enum status ways_push(struct ways *w, const struct lin_search *s, uint32_t event,
                             const uint64_t *node)
{
    size_t size = (size_t)s->node_words + 1;
    enum status st = lin_grow(w->mem, &w->words, &w->cap, (w->count + 1) * size, sizeof *w->words);
    if (st == ST_OK) {
        uint64_t *to = w->words + w->count++ * size;
        to[0] = event;
        memcpy(to + 1, node, s->node_words * sizeof *node);
    }
    return st;
}

/* Which operations are open is a matter of the event alone: undoes those in [to, from). */
static void rewind_events(struct lin_search *s, uint32_t from, uint32_t to)
{
    while (from > to) {
        uint32_t e = s->p->events[--from];
        const struct lin_prog_op *op = &s->p->ops[e / 2];
        uint64_t *set = lin_prog_observes(op) ? s->observers : s->writers;
        uint64_t bit = (uint64_t)1 << op->slot % 64;
        if (e % 2 == 0) {
            set[op->slot / 64] &= ~bit;
        } else {
            set[op->slot / 64] |= bit;
            s->slot_op[op->slot] = e / 2;
        }
        s->steps++;
    }
}

/* Goes on with one of the nodes; the others are for later, the first of them first. */
static enum status keep_one(struct lin_search *s, struct ways *w, uint32_t next)
{
    enum status st = ST_OK;
    for (size_t i = s->now.count; i-- > 1 && st == ST_OK;) {
        st = ways_push(w, s, next, s->now.words + i * s->node_words);
    }
    s->now.count = 1;
    return st;
}

static void take_way(struct lin_search *s, struct ways *w, uint32_t *event)
{
    size_t size = (size_t)s->node_words + 1;
    const uint64_t *from = w->words + --w->count * size;
    rewind_events(s, *event + 1, (uint32_t)from[0]);
    *event = (uint32_t)from[0] - 1;
    memcpy(s->now.words, from + 1, s->node_words * sizeof *from);
    s->now.count = 1;
}

enum status lin_deep_run(struct lin_search *s, bool *found)
{
    struct ways w = {.mem = s->mem};
    uint64_t most = (uint64_t)s->p->event_count * LIN_DEEP_STEPS;
    enum status st = lin_search_start(s);
    uint32_t event = 0;
    *found = false;
    for (; event < s->p->event_count && st == ST_OK && !s->stopped; event++) {
        uint32_t e = s->p->events[event];
        s->event = event;
        if (s->progress != NULL && event % 1024 == 0) {
            s->progress(s->progress_arg, event);
        }
        if (e % 2 == 0) {
            lin_search_call(s, e / 2);
            continue;
        }
        st = lin_search_return(s, e / 2);
        if (st == ST_OK && s->now.count > 1) {
            st = keep_one(s, &w, event + 1);
        }
        if (s->now.count == 0 && w.count > 0) {
            take_way(s, &w, &event);
        }
        if (s->now.count == 0 || s->steps > most || s->steps > s->steps_max) {
            break;
        }
    }
    *found = st == ST_OK && !s->stopped && event == s->p->event_count;
    mem_release(w.mem, w.words);
    return st;
}
