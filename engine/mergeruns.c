/* mergeruns.c - see mergeruns.h. */
#include "engine/mergeruns.h"

#include "base/ck.h"

void mergeruns_init(struct mergeruns *m, struct order order, struct run *runs, size_t count,
                    struct mergeruns_place *heap)
{
    *m = (struct mergeruns){.order = order, .runs = runs, .count = count, .heap = heap};
}

/* Big-endian, short keys as if zeros followed: an equal lead decides nothing. */
static uint64_t lead_of(struct order order, struct slice key)
{
    unsigned char p[8] = {0};
    if (!order_bytewise(order)) {
        return 0;
    }
    memcpy(p, key.data, key.size < sizeof p ? key.size : sizeof p);
    uint64_t v = 0;
    for (size_t i = 0; i < sizeof p; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

/* Whether a's entry comes before b's in the present direction. */
static bool sooner(const struct mergeruns *m, const struct mergeruns_place *a,
                   const struct mergeruns_place *b)
{
    if (a->lead != b->lead) {
        return (a->lead < b->lead) != m->backward;
    }
    const struct entry *x = a->run->at;
    const struct entry *y = b->run->at;
    int c = entry_compare(m->order, x->key, x->sequence, y->key, y->sequence);
    if (c == 0) {
        return a->run < b->run; /* only a repair merges equal entries */
    }
    return (c < 0) != m->backward;
}

/* Lets the place sink from index at to where it belongs. */
static void sink(struct mergeruns *m, size_t at, struct mergeruns_place p)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= m->live) {
            break;
        }
        if (child + 1 < m->live && sooner(m, &m->heap[child + 1], &m->heap[child])) {
            child++;
        }
        if (!sooner(m, &m->heap[child], &p)) {
            break;
        }
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = p;
}

static void show(struct mergeruns *m)
{
    m->from = m->live > 0 ? m->heap[0].run : NULL;
    m->at = m->live > 0 ? m->from->at : NULL;
}

static void fail(struct mergeruns *m, const struct run *r)
{
    m->st = r->st;
    m->live = 0;
    m->at = NULL;
    m->from = NULL;
}

/* Builds the heap from where the runs stand. */
static void gather(struct mergeruns *m, bool backward)
{
    m->st = ST_OK;
    m->live = 0;
    m->backward = backward;
    for (size_t i = 0; i < m->count; i++) {
        struct run *r = &m->runs[i];
        if (r->st != ST_OK) {
            fail(m, r);
            return;
        }
        if (r->at != NULL) {
            m->heap[m->live++] = (struct mergeruns_place){lead_of(m->order, r->at->key), r};
        }
    }
    for (size_t i = m->live / 2; i-- > 0;) {
        sink(m, i, m->heap[i]);
    }
    show(m);
}

void mergeruns_first(struct mergeruns *m)
{
    for (size_t i = 0; i < m->count; i++) {
        run_first(&m->runs[i]);
    }
    gather(m, false);
}

void mergeruns_last(struct mergeruns *m)
{
    for (size_t i = 0; i < m->count; i++) {
        run_last(&m->runs[i]);
    }
    gather(m, true);
}

void mergeruns_seek(struct mergeruns *m, struct slice key, uint64_t sequence)
{
    for (size_t i = 0; i < m->count; i++) {
        run_seek(&m->runs[i], key, sequence);
    }
    gather(m, false);
}

void mergeruns_seek_before(struct mergeruns *m, struct slice key, uint64_t sequence)
{
    for (size_t i = 0; i < m->count; i++) {
        run_seek_before(&m->runs[i], key, sequence);
    }
    gather(m, true);
}

/* The run at the top has moved: puts it where it belongs now, or out. */
static void top_moved(struct mergeruns *m)
{
    struct run *r = m->heap[0].run;
    if (r->at != NULL) {
        if (m->live > 1) {
            sink(m, 0, (struct mergeruns_place){lead_of(m->order, r->at->key), r});
        }
        show(m);
    } else if (r->st != ST_OK) {
        fail(m, r);
    } else {
        m->live--;
        if (m->live > 0) {
            sink(m, 0, m->heap[m->live]);
        }
        show(m);
    }
}

void mergeruns_step(struct mergeruns *m)
{
    CK(m->at != NULL);
    if (m->backward) {
        run_prev(m->heap[0].run);
    } else {
        run_next(m->heap[0].run);
    }
    top_moved(m);
}

void mergeruns_skip(struct mergeruns *m, struct slice key, uint64_t sequence)
{
    CK(!m->backward);
    while (m->at != NULL &&
           entry_compare(m->order, m->at->key, m->at->sequence, key, sequence) < 0) {
        run_seek(m->heap[0].run, key, sequence);
        top_moved(m);
    }
}

void mergeruns_jump(struct mergeruns *m, struct slice key, uint64_t sequence)
{
    CK(m->at != NULL);
    if (m->backward) {
        run_seek_before(m->heap[0].run, key, sequence);
    } else {
        run_seek(m->heap[0].run, key, sequence);
    }
    top_moved(m);
}

enum status mergeruns_error(const struct mergeruns *m, struct err *err)
{
    for (size_t i = 0; m->st != ST_OK && i < m->count; i++) {
        if (m->runs[i].st == m->st) {
            return run_error(&m->runs[i], err);
        }
    }
    return m->st;
}
