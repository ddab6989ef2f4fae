/* lin_order.c - checks a history against the order that the store itself claims. See lin.h.
 *
 * Replays the operations by commit index. The order respects real time when no operation ended
 * before an earlier one of the order began, so the greatest call so far is all that is needed. */
#include "sim/lin/lin_concat.h"
#include "sim/lin/lin_sort.h"

#include <stdio.h>

struct replay {
    const struct lin_history *h;
    struct lin_prog prog; /* only what lin_concat looks at */
    struct lin_concat concat;
    uint32_t *state;  /* value of each key */
    uint32_t *sorted; /* keys in byte order; NULL without scans */
    int64_t last_call;
};

static bool only_looks(const struct lin_history *h, const struct lin_rec *op)
{
    if (op->kind == LIN_BATCH) {
        for (uint32_t i = 0; i < op->result; i++) {
            if (h->subs[op->expect + i].kind != LIN_GET) {
                return false;
            }
        }
        return true;
    }
    return op->kind == LIN_GET || op->kind == LIN_SCAN ||
           (op->kind == LIN_CAS && op->known && op->result == 0);
}

static enum status replay_sub(struct replay *r, const struct lin_sub *s, bool told, bool *fits)
{
    uint32_t *at = &r->state[s->key];
    bool known = told && s->known;
    enum status st = ST_OK;
    uint32_t sum;
    switch (s->kind) {
    case LIN_GET:
        *fits = !known || *at == s->result;
        return ST_OK;
    case LIN_CAS: {
        bool equal = *at == s->expect;
        *fits = !known || equal == (s->result != 0);
        *at = equal ? s->value : *at;
        return ST_OK;
    }
    case LIN_APPEND:
        return lin_concat_append(&r->concat, *at, s->value, at);
    case LIN_INCR:
        st = lin_concat_add(&r->concat, *at, s->value, &sum);
        *fits = sum != LIN_NONE && (!known || sum == s->result);
        *at = *fits ? sum : *at;
        return st;
    default:
        *at = s->value;
        return ST_OK;
    }
}

static bool replay_scan(const struct replay *r, const struct lin_rec *op)
{
    struct lin_part all = {.keys = r->sorted, .key_count = r->h->keys.count};
    uint32_t first;
    uint32_t end;
    uint32_t n = 0;
    lin_split_range(r->h, &all, op, &first, &end);
    for (uint32_t i = first; i < end; i++) {
        const struct lin_sub *s = n < op->result ? &r->h->subs[op->expect + n] : NULL;
        bool listed = s != NULL && s->key == r->sorted[i];
        if (r->state[r->sorted[i]] != (listed ? s->result : LIN_ABSENT)) {
            return false;
        }
        n += listed ? 1 : 0;
    }
    return true;
}

static enum status replay_op(struct replay *r, const struct lin_rec *op, bool *fits)
{
    bool told = op->outcome == LIN_OK && op->known;
    *fits = true;
    if (op->kind == LIN_SCAN) {
        *fits = !told || replay_scan(r, op);
        return ST_OK;
    }
    if (op->kind != LIN_BATCH) {
        struct lin_sub one = {op->key, op->value, op->expect, op->result, op->kind, true};
        return replay_sub(r, &one, told, fits);
    }
    enum status st = ST_OK;
    for (uint32_t i = 0; i < op->result && st == ST_OK && *fits; i++) {
        st = replay_sub(r, &r->h->subs[op->expect + i], told, fits);
    }
    return st;
}

/* The indexed operations by index, those that write before those that look. *whole is false when
 * an acknowledged one has no index. */
static enum status order_ops(const struct lin_history *h, struct lin_key **out, size_t *count,
                             bool *whole)
{
    struct lin_key *keys = mem_alloc(h->mem, (h->count + 1) * sizeof *keys);
    uint32_t *calls = NULL;
    *out = keys;
    *count = 0;
    *whole = true;
    enum status st = keys != NULL ? lin_sort_calls(h, &calls) : ST_NOMEM;
    /* Looks of one index stay in the order of their calls: that is one that real time allows. */
    for (size_t n = 0; st == ST_OK && n < h->count; n++) {
        size_t i = calls != NULL ? calls[n] : n;
        const struct lin_rec *op = &h->ops[i];
        uint64_t index = h->meta != NULL ? h->meta[i].index : 0;
        if (op->outcome == LIN_FAIL || index == 0) {
            *whole = *whole && (op->outcome != LIN_OK || lin_split_idle(h, op));
            continue;
        }
        keys[(*count)++] = (struct lin_key){index * 2 + (only_looks(h, op) ? 1 : 0), (uint32_t)i};
    }
    mem_release(h->mem, calls);
    return st == ST_OK ? lin_sort(h->mem, keys, *count) : st;
}

static enum status replay_all(struct replay *r, const struct lin_key *keys, size_t count,
                              struct lin_order_verdict *v)
{
    for (size_t i = 0; i < count; i++) {
        const struct lin_rec *op = &r->h->ops[keys[i].item];
        bool fits;
        v->place = keys[i].item;
        if (i > 0 && keys[i].key % 2 == 0 && keys[i].key == keys[i - 1].key) {
            v->result = LIN_NON_LINEARIZABLE;
            v->why = "two writes have the same commit index";
            return ST_OK;
        }
        if (op->outcome == LIN_OK && op->ret < r->last_call) {
            v->result = LIN_NON_LINEARIZABLE;
            v->why = "it ended before an operation with a lower commit index began";
            return ST_OK;
        }
        r->last_call = op->call > r->last_call ? op->call : r->last_call;
        enum status st = replay_op(r, op, &fits);
        if (st != ST_OK || !fits) {
            v->result = st == ST_OK ? LIN_NON_LINEARIZABLE : LIN_UNKNOWN;
            v->why = "its result is not what the store held at its commit index";
            return st;
        }
    }
    v->result = LIN_LINEARIZABLE;
    v->why = "the commit order explains every result";
    return ST_OK;
}

static enum status prepare(struct replay *r)
{
    const struct lin_history *h = r->h;
    size_t keys = (size_t)h->keys.count + 1;
    r->state = mem_alloc(h->mem, keys * sizeof *r->state);
    r->sorted = mem_alloc(h->mem, keys * sizeof *r->sorted);
    if (r->state == NULL || r->sorted == NULL) {
        return ST_NOMEM;
    }
    for (uint32_t k = 0; k < h->keys.count; k++) {
        r->state[k] = h->fallback;
    }
    for (size_t i = 0; i < h->init_count; i++) {
        r->state[h->init[2 * i]] = h->init[2 * i + 1];
    }
    r->prog = (struct lin_prog){.mem = h->mem, .h = h};
    enum status st = lin_concat_init(&r->concat, &r->prog);
    return st == ST_OK ? lin_split_sort_keys(h, r->sorted) : st;
}

enum status lin_order_check(const struct lin_history *h, struct lin_order_verdict *v)
{
    struct replay r = {.h = h, .last_call = INT64_MIN};
    struct lin_key *keys = NULL;
    size_t count;
    bool whole;
    *v = (struct lin_order_verdict){.result = LIN_UNKNOWN};
    enum status st = order_ops(h, &keys, &count, &whole);
    v->why = "an acknowledged operation has no commit index";
    if (st == ST_OK && whole) {
        st = prepare(&r);
        st = st == ST_OK ? replay_all(&r, keys, count, v) : st;
    }
    mem_release(h->mem, keys);
    mem_release(h->mem, r.state);
    mem_release(h->mem, r.sorted);
    lin_concat_release(&r.concat);
    return st;
}
