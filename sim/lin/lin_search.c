/* lin_search.c - see lin_search.h: nodes, and the breadth-first run over the events. */
#include "sim/lin/lin_search.h"
#include "sim/lin/lin_step.h"

#include "base/hash.h"

#define CHAIN_MAX 24 /* nodes of one state that are compared with each other */
#define EARLY_MAX 16 /* of so many nodes each is compared with each */

static void *zalloc(struct lin_search *s, size_t size)
{
    s->bytes += size;
    return mem_zalloc(s->mem, size > 0 ? size : 1);
}

enum status lin_search_init(struct lin_search *s, const struct lin_prog *p, uint64_t steps_max,
                            size_t bytes_max)
{
    *s = (struct lin_search){.mem = p->mem, .p = p, .steps_max = steps_max, .bytes_max = bytes_max};
    s->width = (p->slot_count + 63) / 64;
    s->node_words = 2 * s->width + (p->key_count + 1) / 2;
    s->observers = zalloc(s, s->width * sizeof *s->observers);
    s->writers = zalloc(s, s->width * sizeof *s->writers);
    s->slot_op = zalloc(s, p->slot_count * sizeof *s->slot_op);
    s->stamp = zalloc(s, p->key_count * sizeof *s->stamp);
    s->near = zalloc(s, p->key_count);
    if (s->observers == NULL || s->writers == NULL || s->slot_op == NULL || s->stamp == NULL ||
        s->near == NULL) {
        return ST_NOMEM;
    }
    return lin_concat_init(&s->concat, p);
}

void lin_search_release(struct lin_search *s)
{
    if (s->mem == NULL) {
        return;
    }
    mem_release(s->mem, s->observers);
    mem_release(s->mem, s->writers);
    mem_release(s->mem, s->slot_op);
    mem_release(s->mem, s->stamp);
    mem_release(s->mem, s->near);
    mem_release(s->mem, s->table);
    mem_release(s->mem, s->now.words);
    mem_release(s->mem, s->next.words);
    mem_release(s->mem, s->pool.words);
    lin_concat_release(&s->concat);
    *s = (struct lin_search){0};
}

/* ---- sets of nodes ---- */

static uint64_t *node_at(const struct lin_search *s, const struct lin_nodes *set, size_t i)
{
    return set->words + i * s->node_words;
}

/* Room for one node at the end, not counted yet; NULL when out of memory or over the limit. */
static enum status reserve(struct lin_search *s, struct lin_nodes *set, uint64_t **node)
{
    if (set->count == set->cap) {
        size_t cap = set->cap > 0 ? set->cap * 2 : 4;
        size_t more = (cap - set->cap) * s->node_words * sizeof(uint64_t);
        if (s->bytes + more > s->bytes_max) {
            s->stopped = true;
            *node = NULL;
            return ST_OK;
        }
        uint64_t *words = mem_resize(s->mem, set->words, cap * s->node_words * sizeof(uint64_t));
        if (words == NULL) {
            return ST_NOMEM;
        }
        s->bytes += more;
        set->words = words;
        set->cap = cap;
    }
    *node = node_at(s, set, set->count);
    return ST_OK;
}

static enum status push(struct lin_search *s, struct lin_nodes *set, const uint64_t *node)
{
    uint64_t *to;
    enum status st = reserve(s, set, &to);
    if (st == ST_OK && to != NULL) {
        memcpy(to, node, s->node_words * sizeof *to);
        set->count++;
    }
    return st;
}

/* An empty table with room for `count` entries. */
static enum status table_reset(struct lin_search *s, size_t count)
{
    size_t want = 16;
    while (want < count * 2) {
        want *= 2;
    }
    if (want > s->table_cap) {
        uint32_t *table = mem_resize(s->mem, s->table, want * sizeof *table);
        if (table == NULL) {
            return ST_NOMEM;
        }
        s->bytes += (want - s->table_cap) * sizeof *table;
        s->table = table;
        s->table_cap = want;
    }
    s->table_count = want;
    memset(s->table, 0, s->table_count * sizeof *s->table);
    return ST_OK;
}

static uint64_t hash_words(const uint64_t *words, uint32_t count)
{
    uint64_t h = 0;
    for (uint32_t i = 0; i < count; i++) {
        h = hash_add(h, words[i]);
    }
    return h;
}

/* ---- dominance ---- */

/* a can do all that b can: the same state, and no bit of b that a lacks. */
static bool covers(const struct lin_search *s, const uint64_t *a, const uint64_t *b)
{
    for (uint32_t i = 0; i < 2 * s->width; i++) {
        if ((b[i] & ~a[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* True when one of the first nodes of the set has the same values and covers this one. */
static bool covered_early(const struct lin_search *s, const struct lin_nodes *set,
                          const uint64_t *node)
{
    size_t count = set->count < EARLY_MAX ? set->count : EARLY_MAX;
    uint32_t bits = 2 * s->width;
    for (const uint64_t *other = set->words; count-- > 0; other += s->node_words) {
        bool same = true;
        for (uint32_t i = bits; i < s->node_words && same; i++) {
            same = other[i] == node[i];
        }
        if (same && covers(s, other, node)) {
            return true;
        }
    }
    return false;
}

/* ---- what was reached within one return ---- */

static enum status pool_rehash(struct lin_search *s)
{
    enum status st = table_reset(s, s->pool.count * 2);
    for (size_t i = 0; st == ST_OK && i < s->pool.count; i++) {
        size_t at = (size_t)hash_words(node_at(s, &s->pool, i), s->node_words);
        for (at &= s->table_count - 1; s->table[at] != 0; at = (at + 1) & (s->table_count - 1)) {
        }
        s->table[at] = (uint32_t)i + 1;
    }
    return st;
}

/* Counts the node that lies after the end of the pool, unless it is there already or one of the
 * first nodes, which have the most left to them, covers it. A small pool needs no table. */
static enum status pool_take(struct lin_search *s)
{
    const uint64_t *node = node_at(s, &s->pool, s->pool.count);
    if (covered_early(s, &s->pool, node)) {
        return ST_OK;
    }
    if (s->pool.count < EARLY_MAX) {
        return ++s->pool.count == EARLY_MAX ? pool_rehash(s) : ST_OK;
    }
    size_t size = s->node_words * sizeof *node;
    size_t mask = s->table_count - 1;
    size_t at = (size_t)hash_words(node, s->node_words) & mask;
    for (; s->table[at] != 0; at = (at + 1) & mask) {
        if (memcmp(node_at(s, &s->pool, s->table[at] - 1), node, size) == 0) {
            return ST_OK;
        }
    }
    s->table[at] = (uint32_t)++s->pool.count;
    return s->pool.count * 2 > s->table_count ? pool_rehash(s) : ST_OK;
}

static enum status pool_push(struct lin_search *s, const uint64_t *node)
{
    uint64_t *to;
    enum status st = reserve(s, &s->pool, &to);
    if (st == ST_OK && to != NULL) {
        memcpy(to, node, s->node_words * sizeof *to);
        st = pool_take(s);
    }
    return st;
}

/* Settles a few nodes: all pairs are compared. */
static enum status settle_few(struct lin_search *s)
{
    enum status st = ST_OK;
    uint32_t bits = 2 * s->width;
    size_t size = (s->node_words - bits) * sizeof(uint64_t);
    for (size_t i = 0; st == ST_OK && i < s->next.count && !s->stopped; i++) {
        const uint64_t *node = node_at(s, &s->next, i);
        if (covered_early(s, &s->now, node)) {
            continue;
        }
        bool put = false;
        for (size_t n = 0; n < s->now.count && !put; n++) {
            uint64_t *other = node_at(s, &s->now, n);
            put = memcmp(other + bits, node + bits, size) == 0 && covers(s, node, other);
            if (put) {
                memcpy(other, node, bits * sizeof *node);
            }
        }
        st = put ? ST_OK : push(s, &s->now, node);
    }
    return st;
}

/* Moves the nodes of `next` that no other covers to `now`. */
static enum status settle(struct lin_search *s)
{
    uint32_t bits = 2 * s->width;
    uint32_t vals = s->node_words - bits;
    s->now.count = 0;
    if (s->next.count < 2) {
        struct lin_nodes swap = s->now;
        s->now = s->next;
        s->next = swap;
        return ST_OK;
    }
    if (s->next.count <= EARLY_MAX) {
        return settle_few(s);
    }
    enum status st = table_reset(s, s->next.count);
    size_t mask = s->table_count - 1;
    for (size_t i = 0; st == ST_OK && i < s->next.count && !s->stopped; i++) {
        const uint64_t *node = node_at(s, &s->next, i);
        size_t at = (size_t)hash_words(node + bits, vals) & mask;
        bool drop = false;
        for (int n = 0; s->table[at] != 0 && !drop; at = (at + 1) & mask, n++) {
            uint64_t *other = node_at(s, &s->now, s->table[at] - 1);
            if (n >= CHAIN_MAX || memcmp(other + bits, node + bits, vals * sizeof *node) != 0) {
                continue;
            }
            drop = covers(s, other, node);
            if (!drop && covers(s, node, other)) {
                memcpy(other, node, bits * sizeof *node);
                drop = true;
            }
        }
        if (!drop) {
            st = push(s, &s->now, node);
            s->table[at] = (uint32_t)s->now.count;
        }
    }
    return st;
}

/* ---- events ---- */

void lin_search_call(struct lin_search *s, uint32_t index)
{
    const struct lin_prog_op *op = &s->p->ops[index];
    uint64_t bit = (uint64_t)1 << op->slot % 64;
    s->slot_op[op->slot] = index;
    (lin_prog_observes(op) ? s->observers : s->writers)[op->slot / 64] |= bit;
    for (size_t i = 0; i < s->now.count; i++) {
        lin_step_open(s, node_at(s, &s->now, i), op);
    }
    s->steps += s->now.count;
}

static void clear_slot(struct lin_search *s, uint64_t *node, uint32_t slot)
{
    uint64_t bit = (uint64_t)1 << slot % 64;
    node[slot / 64] &= ~bit;
    node[s->width + slot / 64] &= ~bit;
}

/* All nodes of the pool, and all that can be reached from them, in which the operation is done. */
static enum status explore(struct lin_search *s, const struct lin_prog_op *op)
{
    for (size_t i = 0; i < s->pool.count && !s->stopped; i++) {
        uint64_t *node = node_at(s, &s->pool, i);
        enum lin_need need = lin_step_need(s, node, op);
        if (need != LIN_NEED_MUST) {
            enum status st = push(s, &s->next, node);
            if (st != ST_OK || s->stopped) {
                return st;
            }
            clear_slot(s, node_at(s, &s->next, s->next.count - 1), op->slot);
        }
        if (need == LIN_NEED_NOTHING) {
            continue;
        }
        struct lin_step_iter it;
        lin_step_begin(&it, op);
        for (;;) {
            uint64_t *to;
            enum status st = reserve(s, &s->pool, &to);
            if (st != ST_OK || to == NULL) {
                return st;
            }
            bool more;
            st = lin_step_next(s, &it, node_at(s, &s->pool, i), to, &more);
            if (st == ST_OK && more) {
                st = pool_take(s);
            }
            if (st != ST_OK || !more) {
                if (st != ST_OK) {
                    return st;
                }
                break;
            }
        }
        s->steps += 1;
        s->stopped = s->stopped || s->steps > s->steps_max;
    }
    return ST_OK;
}

/* The common case without a table: one node, one way on from it, and that meets the obligation. */
static enum status step_once(struct lin_search *s, const struct lin_prog_op *op, bool *done)
{
    struct lin_step_iter it;
    bool more = false;
    uint64_t *to;
    s->pool.count = 0;
    *done = false;
    lin_step_begin(&it, op);
    enum status st = reserve(s, &s->pool, &to);
    if (st != ST_OK || to == NULL) {
        return st;
    }
    lin_step_near(s, op);
    st = lin_step_next(s, &it, node_at(s, &s->now, 0), to, &more);
    if (st != ST_OK || !more || lin_step_need(s, to, op) != LIN_NEED_NOTHING) {
        return st;
    }
    s->pool.count = 1;
    uint64_t *other;
    st = reserve(s, &s->pool, &other);
    if (st == ST_OK && other != NULL) {
        st = lin_step_next(s, &it, node_at(s, &s->now, 0), other, &more);
    }
    if (st == ST_OK && other != NULL && !more) {
        memcpy(node_at(s, &s->now, 0), node_at(s, &s->pool, 0), s->node_words * sizeof *other);
        clear_slot(s, node_at(s, &s->now, 0), op->slot);
        *done = true;
    }
    s->pool.count = 0;
    return st;
}

static void end_slot(struct lin_search *s, const struct lin_prog_op *op)
{
    uint64_t bit = (uint64_t)1 << op->slot % 64;
    s->observers[op->slot / 64] &= ~bit;
    s->writers[op->slot / 64] &= ~bit;
}

enum status lin_search_return(struct lin_search *s, uint32_t index)
{
    const struct lin_prog_op *op = &s->p->ops[index];
    enum status st = ST_OK;
    size_t kept = 0;
    bool done = false;
    s->steps += s->now.count;
    if (s->now.count == 1 && lin_step_need(s, node_at(s, &s->now, 0), op) == LIN_NEED_MUST) {
        st = step_once(s, op, &done);
    }
    if (done || st != ST_OK) {
        end_slot(s, op);
        return st;
    }
    s->next.count = 0;
    s->pool.count = 0;
    bool fresh = true;
    for (size_t i = 0; i < s->now.count && st == ST_OK; i++) {
        uint64_t *node = node_at(s, &s->now, i);
        if (lin_step_need(s, node, op) == LIN_NEED_NOTHING) {
            clear_slot(s, node, op->slot);
            kept++;
            if (!fresh || kept <= i) {
                st = push(s, &s->next, node);
            }
            continue;
        }
        if (fresh) { /* the first that is not simply kept: from here on all goes through next */
            fresh = false;
            lin_step_near(s, op);
            for (size_t n = 0; n < i && st == ST_OK; n++) {
                st = push(s, &s->next, node_at(s, &s->now, n));
            }
        }
        if (st == ST_OK) {
            st = pool_push(s, node);
        }
    }
    if (st == ST_OK && !fresh) {
        st = explore(s, op);
    }
    end_slot(s, op);
    if (st != ST_OK || (fresh && s->now.count < 2)) {
        return st;
    }
    if (fresh) {
        struct lin_nodes swap = s->now;
        s->now = s->next;
        s->next = swap;
    }
    return s->stopped ? ST_OK : settle(s);
}

enum status lin_search_start(struct lin_search *s)
{
    uint64_t *node;
    enum status st = reserve(s, &s->now, &node);
    if (st == ST_OK && node != NULL) {
        memset(node, 0, s->node_words * sizeof *node);
        memcpy(lin_step_values(s, node), s->p->init, s->p->key_count * sizeof *s->p->init);
        s->now.count = 1;
    }
    return st;
}

enum status lin_search_run(struct lin_search *s, enum lin_result *result, uint32_t *event)
{
    *result = LIN_UNKNOWN;
    enum status st = lin_search_start(s);
    for (s->event = 0; s->event < s->p->event_count && st == ST_OK; s->event++) {
        uint32_t e = s->p->events[s->event];
        if (s->progress != NULL && s->event % 1024 == 0) {
            s->progress(s->progress_arg, s->event);
        }
        if (e % 2 == 0) {
            lin_search_call(s, e / 2);
        } else {
            st = lin_search_return(s, e / 2);
        }
        s->widest = s->now.count > s->widest ? s->now.count : s->widest;
        s->stopped = s->stopped || s->steps > s->steps_max;
        if (st != ST_OK || s->stopped) {
            return st;
        }
        if (s->now.count == 0) {
            *result = LIN_NON_LINEARIZABLE;
            *event = s->event;
            return ST_OK;
        }
    }
    if (st == ST_OK) {
        *result = LIN_LINEARIZABLE;
    }
    return st;
}

static enum status widen_array(struct lin_search *s, void *array, size_t had, size_t need,
                               size_t size)
{
    char *old;
    memcpy(&old, array, sizeof old);
    char *block = mem_resize(s->mem, old, need * size);
    if (block == NULL) {
        return ST_NOMEM;
    }
    memset(block + had * size, 0, (need - had) * size);
    memcpy(array, &block, sizeof block);
    return ST_OK;
}

enum status lin_search_widen(struct lin_search *s)
{
    uint32_t had = s->width;
    uint32_t need = (s->p->slot_count + 63) / 64;
    uint32_t vals = s->node_words - 2 * had;
    enum status st = widen_array(s, &s->observers, had, need, sizeof *s->observers);
    st = st == ST_OK ? widen_array(s, &s->writers, had, need, sizeof *s->writers) : st;
    st = st == ST_OK
             ? widen_array(s, &s->slot_op, (size_t)had * 64, (size_t)need * 64, sizeof *s->slot_op)
             : st;
    size_t words = 2 * need + vals;
    uint64_t *nodes = st == ST_OK ? mem_zalloc(s->mem, (s->now.count + 1) * words * 8) : NULL;
    if (nodes == NULL) {
        return ST_NOMEM;
    }
    for (size_t i = 0; i < s->now.count; i++) {
        const uint64_t *from = node_at(s, &s->now, i);
        uint64_t *to = nodes + i * words;
        memcpy(to, from, had * sizeof *to);
        memcpy(to + need, from + had, had * sizeof *to);
        memcpy(to + 2 * need, from + 2 * had, vals * sizeof *to);
    }
    mem_release(s->mem, s->now.words);
    mem_release(s->mem, s->next.words);
    mem_release(s->mem, s->pool.words);
    s->now = (struct lin_nodes){nodes, s->now.count, s->now.count + 1};
    s->next = (struct lin_nodes){0};
    s->pool = (struct lin_nodes){0};
    s->width = need;
    s->node_words = (uint32_t)words;
    return ST_OK;
}
