/* lin_concat.c - see lin_concat.h. */
#include "sim/lin/lin_concat.h"

#include <stdio.h>

static struct slice text_of(const struct lin_concat *c, uint32_t id)
{
    const struct lin_strtab *values = &c->p->h->values;
    if (id == LIN_ABSENT) {
        return slice_of(NULL, 0);
    }
    return id <= values->count ? lin_strtab_get(values, id - 1)
                               : lin_strtab_get(&c->made, id - values->count - 1);
}

static int compare(const struct lin_concat *c, uint32_t a, uint32_t b)
{
    return slice_compare(text_of(c, a), text_of(c, b));
}

static void sift(struct lin_concat *c, uint32_t *ids, uint32_t at, uint32_t count)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) {
            return;
        }
        if (child + 1 < count && compare(c, ids[child + 1], ids[child]) > 0) {
            child++;
        }
        if (compare(c, ids[child], ids[at]) <= 0) {
            return;
        }
        uint32_t swap = ids[at];
        ids[at] = ids[child];
        ids[child] = swap;
        at = child;
    }
}

/* Heap sort: no recursion, no memory. */
static void sort_ids(struct lin_concat *c, uint32_t *ids, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;) {
        sift(c, ids, i, count);
    }
    for (uint32_t n = count; n > 1; n--) {
        uint32_t swap = ids[0];
        ids[0] = ids[n - 1];
        ids[n - 1] = swap;
        sift(c, ids, 0, n - 1);
    }
}

static enum status add_seen(struct lin_concat *c, struct lin_map *once, size_t *cap, uint32_t id)
{
    if (id == LIN_ABSENT || id == LIN_NONE) {
        return ST_OK;
    }
    uint64_t *before = lin_map_at(once, id, 0);
    if (before == NULL) {
        return ST_NOMEM;
    }
    if (*before != 0) {
        return ST_OK;
    }
    *before = 1;
    enum status st = lin_grow(c->mem, &c->seen, cap, (size_t)c->seen_count + 1, sizeof *c->seen);
    if (st == ST_OK) {
        c->seen[c->seen_count++] = id;
    }
    return st;
}

static enum status collect(struct lin_concat *c, struct lin_map *once)
{
    size_t cap = 0;
    enum status st = ST_OK;
    for (uint32_t i = 0; i < c->p->op_count && st == ST_OK; i++) {
        const struct lin_prog_op *op = &c->p->ops[i];
        bool named = op->type == LIN_T_IS || op->type == LIN_T_CAS || op->type == LIN_T_MAYBE ||
                     op->type == LIN_T_NOT || op->type == LIN_T_INCR;
        if (named) {
            st = add_seen(c, once, &cap, op->need);
        }
        for (uint32_t n = 0; n < op->sub_count && st == ST_OK; n++) {
            const struct lin_sub *sub = &c->p->subs[op->sub + n];
            st = add_seen(c, once, &cap, sub->kind == LIN_CAS ? sub->expect : sub->result);
        }
    }
    return st;
}

enum status lin_concat_init(struct lin_concat *c, const struct lin_prog *p)
{
    *c = (struct lin_concat){.mem = p->mem, .p = p};
    lin_strtab_init(&c->made, p->mem);
    lin_map_init(&c->made_of, p->mem);
    lin_map_init(&c->range_of, p->mem);
    buf_init(&c->text, p->mem);
    if (!p->grows) {
        return ST_OK;
    }
    struct lin_map once;
    lin_map_init(&once, p->mem);
    enum status st = collect(c, &once);
    lin_map_release(&once);
    if (st == ST_OK) {
        sort_ids(c, c->seen, c->seen_count);
    }
    return st;
}

void lin_concat_release(struct lin_concat *c)
{
    if (c->mem == NULL) {
        return;
    }
    mem_release(c->mem, c->seen);
    lin_strtab_release(&c->made);
    lin_map_release(&c->made_of);
    lin_map_release(&c->range_of);
    buf_release(&c->text);
    *c = (struct lin_concat){0};
}

/* Compares what follows the first `skip` bytes of a seen value with `tail`, as far as tail goes. */
static int compare_tail(const struct lin_concat *c, uint32_t id, size_t skip, struct slice tail)
{
    struct slice s = text_of(c, id);
    struct slice rest = slice_of(s.data + skip, s.size - skip);
    if (rest.size >= tail.size) {
        return tail.size > 0 ? memcmp(rest.data, tail.data, tail.size) : 0;
    }
    int r = rest.size > 0 ? memcmp(rest.data, tail.data, rest.size) : 0;
    return r != 0 ? r : -1;
}

/* Narrows the run [first, end), all of which share `skip` bytes, to what goes on with tail. */
static uint64_t narrow(const struct lin_concat *c, uint64_t run, size_t skip, struct slice tail)
{
    uint32_t bounds[2];
    for (int side = 0; side < 2; side++) {
        uint32_t lo = (uint32_t)(run >> 32);
        uint32_t hi = (uint32_t)run;
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            int r = compare_tail(c, c->seen[mid], skip, tail);
            if (r < 0 || (side == 1 && r == 0)) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        bounds[side] = lo;
    }
    return lin_map_pair(bounds[0], bounds[1]);
}

static enum status range_of(struct lin_concat *c, uint32_t value, uint64_t *run)
{
    uint64_t *known = lin_map_at(&c->range_of, value, UINT64_MAX);
    if (known == NULL) {
        return ST_NOMEM;
    }
    if (*known == UINT64_MAX) {
        *known = narrow(c, lin_map_pair(0, c->seen_count), 0, text_of(c, value));
    }
    *run = *known;
    return ST_OK;
}

enum status lin_concat_leads(struct lin_concat *c, uint32_t value, uint32_t text, bool *leads)
{
    uint64_t run = 0;
    enum status st = range_of(c, value, &run);
    if (st == ST_OK) {
        run = narrow(c, run, text_of(c, value).size, text_of(c, text));
        *leads = run >> 32 != (run & UINT32_MAX);
    }
    return st;
}

/* The id of the text in c->text. */
static enum status intern(struct lin_concat *c, uint32_t *out)
{
    const struct lin_strtab *values = &c->p->h->values;
    uint32_t id = lin_strtab_find(values, buf_slice(&c->text));
    if (id != LIN_NONE) {
        *out = id + 1;
        return ST_OK;
    }
    if (c->into != NULL) {
        enum status st = lin_strtab_add(c->into, buf_slice(&c->text), &id);
        *out = id + 1;
        return st;
    }
    enum status st = lin_strtab_add(&c->made, buf_slice(&c->text), &id);
    *out = values->count + 1 + id;
    return st;
}

enum status lin_concat_append(struct lin_concat *c, uint32_t value, uint32_t text, uint32_t *out)
{
    uint64_t *known = lin_map_at(&c->made_of, lin_map_pair(value, text), UINT64_MAX);
    if (known == NULL) {
        return ST_NOMEM;
    }
    if (*known != UINT64_MAX) {
        *out = (uint32_t)*known;
        return ST_OK;
    }
    struct slice a = text_of(c, value);
    struct slice b = text_of(c, text);
    buf_clear(&c->text);
    enum status st = buf_append(&c->text, a.data, a.size);
    if (st == ST_OK) {
        st = buf_append(&c->text, b.data, b.size);
    }
    if (st == ST_OK) {
        st = intern(c, out);
    }
    if (st == ST_OK) {
        *known = *out;
    }
    return st;
}

enum status lin_concat_add(struct lin_concat *c, uint32_t value, uint32_t delta, uint32_t *out)
{
    int64_t a = 0;
    int64_t b;
    int64_t sum;
    *out = LIN_NONE;
    if ((value != LIN_ABSENT && !lin_number_parse(text_of(c, value), &a)) ||
        !lin_number_parse(text_of(c, delta), &b) || __builtin_add_overflow(a, b, &sum)) {
        return ST_OK;
    }
    buf_clear(&c->text);
    enum status st = buf_append_i64(&c->text, sum);
    return st == ST_OK ? intern(c, out) : st;
}
