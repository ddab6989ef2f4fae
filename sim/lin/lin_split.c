/* lin_split.c - see lin_split.h. */
#include "sim/lin/lin_split.h"
#include "sim/lin/lin_sort.h"

void lin_split_release(struct lin_split *s)
{
    if (s->mem == NULL) {
        return;
    }
    mem_release(s->mem, s->parts);
    mem_release(s->mem, s->key_items);
    mem_release(s->mem, s->op_items);
    mem_release(s->mem, s->part_of);
    mem_release(s->mem, s->local_of);
    mem_release(s->mem, s->init);
    *s = (struct lin_split){0};
}

static bool reads_only(const struct lin_sub *subs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (subs[i].kind != LIN_GET) {
            return false;
        }
    }
    return true;
}

bool lin_split_idle(const struct lin_history *h, const struct lin_rec *op)
{
    if (op->outcome == LIN_FAIL) {
        return true;
    }
    bool told = op->outcome == LIN_OK && op->known;
    switch (op->kind) {
    case LIN_GET:
    case LIN_SCAN:
        return !told;
    case LIN_CAS: /* replacing a value by itself is a read */
        return !told && op->expect == op->value;
    case LIN_BATCH:
        return op->result == 0 || (!told && reads_only(&h->subs[op->expect], op->result));
    default:
        return false;
    }
}

/* ---- joining keys ---- */

static uint32_t find_root(uint32_t *parent, uint32_t k)
{
    while (parent[k] != k) {
        parent[k] = parent[parent[k]];
        k = parent[k];
    }
    return k;
}

static void join(uint32_t *parent, uint32_t a, uint32_t b)
{
    a = find_root(parent, a);
    b = find_root(parent, b);
    /* The lesser place is the root, so that the outcome does not depend on the order. */
    if (a < b) {
        parent[b] = a;
    } else {
        parent[a] = b;
    }
}

static int compare_keys(const struct lin_history *h, uint32_t a, uint32_t b)
{
    return slice_compare(lin_strtab_get(&h->keys, a), lin_strtab_get(&h->keys, b));
}

/* Bottom-up merge sort of key ids by their bytes; `other` is as long as `keys`. */
static void sort_keys(const struct lin_history *h, uint32_t *keys, uint32_t *other, size_t count)
{
    uint32_t *from = keys;
    uint32_t *to = other;
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t start = 0; start < count; start += 2 * run) {
            size_t mid = start + run < count ? start + run : count;
            size_t end = start + 2 * run < count ? start + 2 * run : count;
            size_t a = start;
            size_t b = mid;
            for (size_t i = start; i < end; i++) {
                bool left = a < mid && (b == end || compare_keys(h, from[a], from[b]) <= 0);
                to[i] = left ? from[a++] : from[b++];
            }
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys) {
        memcpy(keys, from, count * sizeof *keys);
    }
}

/* The first of the sorted keys that is not below the bound. */
static uint32_t lower_bound(const struct lin_history *h, const uint32_t *keys, uint32_t count,
                            uint32_t bound)
{
    struct slice text = lin_strtab_get(&h->values, bound - 1);
    uint32_t lo = 0;
    uint32_t hi = count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (slice_compare(lin_strtab_get(&h->keys, keys[mid]), text) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

void lin_split_range(const struct lin_history *h, const struct lin_part *part,
                     const struct lin_rec *scan, uint32_t *first, uint32_t *end)
{
    *first = lower_bound(h, part->keys, part->key_count, scan->key);
    *end = lower_bound(h, part->keys, part->key_count, scan->value);
    *end = *end < *first ? *first : *end;
}

/* Joins what each scan and batch touches. `sorted` holds all keys in byte order. */
static void join_all(const struct lin_history *h, uint32_t *parent, const uint32_t *sorted)
{
    struct lin_part all = {.keys = sorted, .key_count = h->keys.count};
    for (size_t i = 0; i < h->count; i++) {
        const struct lin_rec *op = &h->ops[i];
        if ((op->kind != LIN_SCAN && op->kind != LIN_BATCH) || lin_split_idle(h, op)) {
            continue;
        }
        if (op->kind == LIN_BATCH) {
            for (uint32_t n = 1; n < op->result; n++) {
                join(parent, h->subs[op->expect].key, h->subs[op->expect + n].key);
            }
            continue;
        }
        uint32_t first;
        uint32_t end;
        lin_split_range(h, &all, op, &first, &end);
        for (uint32_t n = first + 1; n < end; n++) {
            join(parent, sorted[first], sorted[n]);
        }
    }
}

/* ---- filling in ---- */

/* Numbers the parts by their first key; part_of[] comes in as the parents. */
static void number_parts(struct lin_split *s, const uint32_t *sorted, uint32_t keys)
{
    for (uint32_t k = 0; k < keys; k++) {
        (void)find_root(s->part_of, k);
    }
    for (uint32_t k = 0; k < keys; k++) {
        s->local_of[k] = find_root(s->part_of, k);
    }
    for (uint32_t k = 0; k < keys; k++) {
        /* A root is the least place of its part, so it has its number by now. */
        uint32_t root = s->local_of[k];
        s->part_of[k] = root == k ? s->part_count++ : s->part_of[root];
        s->parts[s->part_of[k]].key_count++;
    }
    uint32_t at = 0;
    for (uint32_t p = 0; p < s->part_count; p++) {
        s->parts[p].keys = s->key_items + at;
        at += s->parts[p].key_count;
        s->parts[p].key_count = 0;
    }
    for (uint32_t i = 0; i < keys; i++) {
        uint32_t k = sorted[i];
        struct lin_part *part = &s->parts[s->part_of[k]];
        s->local_of[k] = part->key_count;
        s->key_items[(size_t)(part->keys - s->key_items) + part->key_count++] = k;
    }
}

/* The part of an operation, or LIN_NONE: a scan of a range in which there is no key at all. */
static uint32_t part_of_op(const struct lin_split *s, const struct lin_history *h,
                           const struct lin_part *all, const struct lin_rec *op)
{
    if (op->kind == LIN_BATCH) {
        return s->part_of[h->subs[op->expect].key];
    }
    if (op->kind != LIN_SCAN) {
        return s->part_of[op->key];
    }
    uint32_t first;
    uint32_t end;
    lin_split_range(h, all, op, &first, &end);
    return first < end ? s->part_of[all->keys[first]] : LIN_NONE;
}

static void fill_ops(struct lin_split *s, const struct lin_history *h, const uint32_t *order,
                     const uint32_t *sorted, uint32_t *homes)
{
    struct lin_part all = {.keys = sorted, .key_count = h->keys.count};
    for (size_t i = 0; i < h->count; i++) {
        const struct lin_rec *op = &h->ops[i];
        homes[i] = lin_split_idle(h, op) ? LIN_NONE : part_of_op(s, h, &all, op);
        if (homes[i] != LIN_NONE) {
            s->parts[homes[i]].op_count++;
        }
    }
    uint32_t at = 0;
    for (uint32_t p = 0; p < s->part_count; p++) {
        s->parts[p].ops = s->op_items + at;
        at += s->parts[p].op_count;
        s->parts[p].op_count = 0;
    }
    for (size_t i = 0; i < h->count; i++) {
        uint32_t place = order != NULL ? order[i] : (uint32_t)i;
        if (homes[place] != LIN_NONE) {
            struct lin_part *part = &s->parts[homes[place]];
            s->op_items[(size_t)(part->ops - s->op_items) + part->op_count++] = place;
        }
    }
}

static enum status allocate(struct lin_split *s, const struct lin_history *h)
{
    size_t keys = (size_t)h->keys.count + 1;
    s->parts = mem_zalloc(s->mem, keys * sizeof *s->parts);
    s->key_items = mem_alloc(s->mem, keys * sizeof *s->key_items);
    s->op_items = mem_alloc(s->mem, (h->count + 1) * sizeof *s->op_items);
    s->part_of = mem_alloc(s->mem, keys * sizeof *s->part_of);
    s->local_of = mem_alloc(s->mem, keys * sizeof *s->local_of);
    s->init = mem_alloc(s->mem, keys * sizeof *s->init);
    bool all = s->parts != NULL && s->key_items != NULL && s->op_items != NULL &&
               s->part_of != NULL && s->local_of != NULL && s->init != NULL;
    return all ? ST_OK : ST_NOMEM;
}

static bool has_lists(const struct lin_history *h, bool *scans)
{
    bool lists = false;
    *scans = false;
    for (size_t i = 0; i < h->count && !*scans; i++) {
        *scans = h->ops[i].kind == LIN_SCAN;
        lists = lists || *scans || h->ops[i].kind == LIN_BATCH;
    }
    return lists;
}

enum status lin_split_make(struct lin_split *s, const struct lin_history *h)
{
    *s = (struct lin_split){.mem = h->mem};
    uint32_t keys = h->keys.count;
    uint32_t *sorted = mem_alloc(h->mem, ((size_t)keys + 1) * sizeof *sorted);
    uint32_t *homes = mem_alloc(h->mem, (h->count + 1) * sizeof *homes);
    uint32_t *order = NULL;
    enum status st = sorted != NULL && homes != NULL ? allocate(s, h) : ST_NOMEM;
    if (st == ST_OK) {
        st = lin_sort_calls(h, &order);
    }
    if (st != ST_OK) {
        goto out;
    }
    for (uint32_t k = 0; k < keys; k++) {
        sorted[k] = k;
        s->part_of[k] = k;
        s->init[k] = h->fallback;
    }
    for (size_t i = 0; i < h->init_count; i++) {
        s->init[h->init[2 * i]] = h->init[2 * i + 1];
    }
    bool scans;
    if (has_lists(h, &scans)) {
        if (scans) {
            sort_keys(h, sorted, s->local_of, keys);
        }
        join_all(h, s->part_of, sorted);
    }
    number_parts(s, sorted, keys);
    fill_ops(s, h, order, sorted, homes);
out:
    mem_release(h->mem, sorted);
    mem_release(h->mem, homes);
    mem_release(h->mem, order);
    return st;
}

enum status lin_split_sort_keys(const struct lin_history *h, uint32_t *sorted)
{
    uint32_t *other = mem_alloc(h->mem, ((size_t)h->keys.count + 1) * sizeof *other);
    if (other == NULL) {
        return ST_NOMEM;
    }
    for (uint32_t k = 0; k < h->keys.count; k++) {
        sorted[k] = k;
    }
    sort_keys(h, sorted, other, h->keys.count);
    mem_release(h->mem, other);
    return ST_OK;
}
