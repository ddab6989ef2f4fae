/* lin_graph.c - see lin_graph.h. Nodes: the operations of the part; then, for each chain, one
 * before and one after all of it; then one for each overwriting operation; then those of time. */
#include "sim/lin/lin_graph.h"
#include "sim/lin/lin_digraph.h"
#include "sim/lin/lin_map.h"
#include "sim/lin/lin_sort.h"

#include <stdio.h>

#define DIRECT_MAX 4096 /* edges past one chain's own place: more only where operations pile up */

/* What an operation saw or wrote of a key. */
struct touch {
    uint32_t op; /* of the part */
    uint32_t key;
    uint32_t value;
    uint32_t block;
    bool write;
    bool sure; /* if the operation takes effect, so does this */
};

/* A value of a key with one writer, and all that saw it. */
struct block {
    uint32_t key;
    uint32_t value;
    uint32_t writer; /* operation, LIN_NONE: the first value */
    uint32_t touch;  /* its looks are in sorted[touch, touch + touch_count), among others */
    uint32_t touch_count;
    uint32_t over;  /* operation that saw it and overwrote it, or LIN_NONE */
    uint32_t chain; /* parent, at last the root */
    bool seen;
};

struct chain {
    uint32_t block; /* its root */
    int64_t first_ret;
    int64_t last_call;
    uint32_t first_op; /* whose return, */
    uint32_t last_op;  /* whose call that is */
};

struct grapher {
    struct mem *mem;
    const struct lin_history *h;
    const struct lin_split *s;
    const struct lin_part *part;
    struct touch *touches;
    size_t touch_count;
    size_t touch_cap;
    struct lin_key *sorted; /* touches by key and value */
    struct block *blocks;
    size_t block_count;
    size_t block_cap;
    struct chain *chains;  /* by block; those of roots are in use */
    uint8_t *blurred;      /* keys of which nothing is known */
    uint8_t *active;       /* operations that took effect for certain */
    struct lin_key *order; /* chains, by key and last call */
    size_t order_count;
    uint32_t chain_nodes; /* the first of two for each block */
    uint32_t over_nodes;  /* the first of one for each block */
    struct lin_digraph g;
};

static const struct lin_rec *op_at(const struct grapher *g, uint32_t i)
{
    return &g->h->ops[g->part->ops[i]];
}

/* ---- touches ---- */

static enum status touch(struct grapher *g, struct touch t)
{
    t.block = LIN_NONE;
    enum status st =
        lin_grow(g->mem, &g->touches, &g->touch_cap, g->touch_count + 1, sizeof *g->touches);
    if (st == ST_OK) {
        g->touches[g->touch_count++] = t;
    }
    return st;
}

/* `own` is the write of the same operation to the key before this, or NULL. */
static enum status touch_sub(struct grapher *g, uint32_t i, const struct lin_sub *s, bool known,
                             const struct touch *own)
{
    uint32_t key = g->s->local_of[s->key];
    struct touch t = {.op = i, .key = key, .value = s->result, .sure = true};
    bool blind = s->kind == LIN_PUT || s->kind == LIN_DEL;
    bool swap = s->kind == LIN_CAS && (!known || s->result != 0);
    enum status st = ST_OK;
    if (s->kind == LIN_APPEND || s->kind == LIN_INCR || (own != NULL && (blind || swap))) {
        g->blurred[key] = 1;
        return ST_OK;
    }
    if (s->kind == LIN_GET || (swap && known)) {
        t.value = swap ? s->expect : s->result;
        st = known && own == NULL ? touch(g, t) : ST_OK;
    }
    if (st == ST_OK && (blind || (swap && s->expect != s->value))) {
        t.value = s->value;
        t.write = true;
        t.sure = blind || known;
        st = touch(g, t);
    }
    return st;
}

static enum status touch_batch(struct grapher *g, uint32_t i, const struct lin_rec *op, bool told)
{
    enum status st = ST_OK;
    size_t begin = g->touch_count;
    for (uint32_t n = 0; n < op->result && st == ST_OK; n++) {
        const struct lin_sub *s = &g->h->subs[op->expect + n];
        const struct touch *own = NULL;
        for (size_t w = begin; w < g->touch_count; w++) {
            bool mine = g->touches[w].write && g->touches[w].key == g->s->local_of[s->key];
            own = mine ? &g->touches[w] : own;
        }
        st = touch_sub(g, i, s, told && s->known, own);
    }
    return st;
}

static enum status touch_scan(struct grapher *g, uint32_t i, const struct lin_rec *op)
{
    uint32_t first;
    uint32_t end;
    uint32_t n = 0;
    enum status st = ST_OK;
    lin_split_range(g->h, g->part, op, &first, &end);
    for (uint32_t k = first; k < end && st == ST_OK; k++) {
        bool there = n < op->result && g->h->subs[op->expect + n].key == g->part->keys[k];
        uint32_t saw = there ? g->h->subs[op->expect + n++].result : LIN_ABSENT;
        st = touch(g, (struct touch){.op = i, .key = k, .value = saw, .sure = true});
    }
    return st;
}

static enum status touch_all(struct grapher *g)
{
    enum status st = ST_OK;
    for (uint32_t i = 0; i < g->part->op_count && st == ST_OK; i++) {
        const struct lin_rec *op = op_at(g, i);
        bool told = op->outcome == LIN_OK && op->known;
        g->active[i] = op->outcome == LIN_OK ? 1 : 0;
        if (op->kind == LIN_SCAN) {
            st = told ? touch_scan(g, i, op) : ST_OK;
        } else if (op->kind == LIN_BATCH) {
            st = touch_batch(g, i, op, told);
        } else {
            struct lin_sub s = {op->key, op->value, op->expect, op->result, op->kind, told};
            st = touch_sub(g, i, &s, told, NULL);
        }
    }
    return st;
}

/* ---- blocks ---- */

/* The touches sorted[from, end) are all of one value: is its writer known? */
static enum status add_block(struct grapher *g, size_t from, size_t end)
{
    const struct touch *t = &g->touches[g->sorted[from].item];
    struct block b = {.key = t->key, .value = t->value, .writer = LIN_NONE, .over = LIN_NONE};
    uint32_t writers = g->s->init[g->part->keys[t->key]] == t->value ? 1 : 0;
    bool sure = writers > 0;
    for (size_t i = from; i < end; i++) {
        t = &g->touches[g->sorted[i].item];
        writers += t->write ? 1 : 0;
        b.writer = t->write ? t->op : b.writer;
        sure = sure || (t->write && t->sure && g->active[t->op] != 0);
        b.seen = b.seen || !t->write;
    }
    if (writers != 1 || g->blurred[b.key] != 0 || (!sure && !b.seen)) {
        return ST_OK;
    }
    if (b.writer != LIN_NONE) {
        g->active[b.writer] = 1; /* it was seen, so it took effect */
    }
    for (size_t i = from; i < end; i++) {
        g->touches[g->sorted[i].item].block = (uint32_t)g->block_count;
    }
    b.touch = (uint32_t)from;
    b.touch_count = (uint32_t)(end - from);
    b.chain = (uint32_t)g->block_count;
    enum status st =
        lin_grow(g->mem, &g->blocks, &g->block_cap, g->block_count + 1, sizeof *g->blocks);
    if (st == ST_OK) {
        g->blocks[g->block_count++] = b;
    }
    return st;
}

static enum status make_blocks(struct grapher *g)
{
    g->sorted = mem_alloc(g->mem, (g->touch_count + 1) * sizeof *g->sorted);
    if (g->sorted == NULL) {
        return ST_NOMEM;
    }
    for (size_t i = 0; i < g->touch_count; i++) {
        uint64_t pair = lin_map_pair(g->touches[i].key, g->touches[i].value);
        g->sorted[i] = (struct lin_key){pair, (uint32_t)i};
    }
    enum status st = lin_sort(g->mem, g->sorted, g->touch_count);
    for (size_t from = 0; from < g->touch_count && st == ST_OK;) {
        size_t end = from + 1;
        while (end < g->touch_count && g->sorted[end].key == g->sorted[from].key) {
            end++;
        }
        st = add_block(g, from, end);
        from = end;
    }
    return st;
}

static uint32_t root_of(struct grapher *g, uint32_t b)
{
    while (g->blocks[b].chain != b) {
        g->blocks[b].chain = g->blocks[g->blocks[b].chain].chain;
        b = g->blocks[b].chain;
    }
    return b;
}

/* A look and the write after it, of one operation on one key, join two blocks. They stand next to
 * each other among the touches. */
static void join_blocks(struct grapher *g)
{
    for (size_t i = 1; i < g->touch_count; i++) {
        const struct touch *look = &g->touches[i - 1];
        const struct touch *write = &g->touches[i];
        /* In a batch, others may stand between the two: look back as far as the operation goes. */
        for (size_t n = i; write->write && n-- > 0 && g->touches[n].op == write->op;) {
            look = &g->touches[n];
            if (look->key == write->key && !look->write) {
                break;
            }
        }
        bool pair = write->write && !look->write && look->op == write->op &&
                    look->key == write->key && look->block != LIN_NONE && write->block != LIN_NONE;
        if (pair && g->blocks[look->block].over == LIN_NONE) {
            g->blocks[look->block].over = write->op;
            g->blocks[root_of(g, write->block)].chain = root_of(g, look->block);
        }
    }
}

/* ---- chains ---- */

static void note_op(struct grapher *g, struct chain *c, uint32_t i)
{
    const struct lin_rec *op = op_at(g, i);
    if (op->outcome == LIN_OK && op->ret < c->first_ret) {
        c->first_ret = op->ret;
        c->first_op = i;
    }
    if (op->call > c->last_call || c->last_op == LIN_NONE) {
        c->last_call = op->call;
        c->last_op = i;
    }
}

static enum status make_chains(struct grapher *g)
{
    size_t n = g->block_count;
    g->chains = mem_alloc(g->mem, (n + 1) * sizeof *g->chains);
    g->order = mem_alloc(g->mem, (n + 1) * sizeof *g->order);
    if (g->chains == NULL || g->order == NULL) {
        return ST_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        g->chains[i] = (struct chain){(uint32_t)i, INT64_MAX, INT64_MIN, LIN_NONE, LIN_NONE};
    }
    for (size_t i = 0; i < n; i++) {
        const struct block *b = &g->blocks[i];
        struct chain *c = &g->chains[root_of(g, (uint32_t)i)];
        for (uint32_t t = b->touch; t < b->touch + b->touch_count; t++) {
            note_op(g, c, g->touches[g->sorted[t].item].op);
        }
        if (b->writer == LIN_NONE) { /* what was there at first comes before everything */
            c->first_ret = INT64_MIN;
            c->first_op = LIN_NONE;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (g->blocks[i].chain == i) {
            uint64_t key = lin_key_of(g->chains[i].last_call);
            g->order[g->order_count++] = (struct lin_key){key, (uint32_t)i};
        }
    }
    enum status st = lin_sort(g->mem, g->order, g->order_count);
    struct lin_key *by_key = mem_alloc(g->mem, (g->order_count + 1) * sizeof *by_key);
    if (st != ST_OK || by_key == NULL) {
        mem_release(g->mem, by_key);
        return ST_NOMEM;
    }
    for (size_t i = 0; i < g->order_count; i++) { /* the sort is stable: by key, then by call */
        by_key[i] = (struct lin_key){g->blocks[g->order[i].item].key, g->order[i].item};
    }
    st = lin_sort(g->mem, by_key, g->order_count);
    mem_release(g->mem, g->order);
    g->order = by_key;
    return st;
}

/* ---- edges ---- */

static uint32_t node_before(const struct grapher *g, uint32_t chain)
{
    return g->chain_nodes + 2 * chain;
}

static uint32_t node_after(const struct grapher *g, uint32_t chain)
{
    return g->chain_nodes + 2 * chain + 1;
}

static enum status edge(struct grapher *g, enum status st, uint32_t from, uint32_t to)
{
    return st == ST_OK ? lin_digraph_edge(&g->g, from, to) : st;
}

/* Within a block: the write, the looks, and who overwrote it. */
static enum status block_edges(struct grapher *g, uint32_t i)
{
    const struct block *b = &g->blocks[i];
    uint32_t chain = root_of(g, i);
    uint32_t over = g->over_nodes + i;
    enum status st = ST_OK;
    for (uint32_t t = b->touch; t < b->touch + b->touch_count; t++) {
        uint32_t op = g->touches[g->sorted[t].item].op;
        if (op != b->writer && b->writer != LIN_NONE) {
            st = edge(g, st, b->writer, op);
        }
        if (op != b->over && b->over != LIN_NONE && op != b->writer) {
            st = edge(g, st, op, over);
        }
        if (chain == i && (b->writer == LIN_NONE || op == b->writer)) {
            st = edge(g, st, node_before(g, chain), op);
        }
        st = edge(g, st, op, node_after(g, chain));
    }
    return b->over != LIN_NONE ? edge(g, st, over, b->over) : st;
}

/* From the chain at place `own` of its key, order[first, end), to all that must come after it. */
static enum status chain_edges(struct grapher *g, size_t own, size_t first, size_t end)
{
    uint32_t a = g->order[own].item;
    int64_t ret = g->chains[a].first_ret;
    if (ret == INT64_MAX) {
        return ST_OK;
    }
    size_t lo = first;
    size_t hi = end;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (g->chains[g->order[mid].item].last_call <= ret) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    enum status st = ST_OK;
    /* Those between are all open at one time, or contradict this one: then one is enough. */
    for (size_t i = lo, n = 0; i < own && n < DIRECT_MAX; i++, n++) {
        uint32_t b = g->order[i].item;
        st = edge(g, st, node_after(g, a), node_before(g, b));
        if (g->chains[b].first_ret < g->chains[a].last_call) {
            break;
        }
    }
    size_t next = own >= lo ? own + 1 : lo;
    if (next < end) {
        uint32_t line = g->g.node_count - (uint32_t)(g->order_count - next);
        st = edge(g, st, node_after(g, a), line);
    }
    return st;
}

/* Each chain has a node on the line of its key, from which it and all later ones are reached. The
 * line's nodes are the last of the graph. */
static enum status line_edges(struct grapher *g)
{
    enum status st = ST_OK;
    uint32_t line = g->g.node_count - (uint32_t)g->order_count;
    for (size_t first = 0; first < g->order_count && st == ST_OK;) {
        size_t end = first + 1;
        while (end < g->order_count && g->order[end].key == g->order[first].key) {
            end++;
        }
        for (size_t i = first; i < end; i++) {
            st = edge(g, st, line + (uint32_t)i, node_before(g, g->order[i].item));
            if (i + 1 < end) {
                st = edge(g, st, line + (uint32_t)i, line + (uint32_t)i + 1);
            }
            st = st == ST_OK ? chain_edges(g, i, first, end) : st;
        }
        first = end;
    }
    return st;
}

/* Real time: a line of nodes, one before each run of calls that follows returns. */
static enum status time_edges(struct grapher *g)
{
    uint32_t n = g->part->op_count;
    struct lin_key *rets = mem_alloc(g->mem, ((size_t)n + 1) * sizeof *rets);
    uint32_t count = 0;
    uint32_t r = 0;
    uint32_t last = LIN_NONE; /* node that all returns so far lead to */
    bool called = true;
    if (rets == NULL) {
        return ST_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (op_at(g, i)->outcome == LIN_OK) {
            rets[count++] = (struct lin_key){lin_key_of(op_at(g, i)->ret), i};
        }
    }
    enum status st = lin_sort(g->mem, rets, count);
    for (uint32_t c = 0; c < n && st == ST_OK; c++) {
        for (; r < count && rets[r].key < lin_key_of(op_at(g, c)->call); r++) {
            if (called) {
                uint32_t fresh = g->g.node_count++;
                st = last != LIN_NONE ? edge(g, st, last, fresh) : st;
                last = fresh;
                called = false;
            }
            st = edge(g, st, rets[r].item, last);
        }
        if (last != LIN_NONE && g->active[c] != 0) {
            st = edge(g, st, last, c);
            called = true;
        }
    }
    mem_release(g->mem, rets);
    return st;
}

/* ---- the circle ---- */

static enum status more(struct lin_circle *c, uint32_t place)
{
    enum status st = lin_grow(c->mem, &c->more, &c->more_cap, c->more_count + 1, sizeof *c->more);
    if (st == ST_OK) {
        c->more[c->more_count++] = place;
    }
    return st;
}

/* The blocks between one of a chain and its root, by their writers: they tie its ends together. */
static enum status more_of_chain(struct grapher *g, struct lin_circle *c, uint32_t chain,
                                 uint32_t op)
{
    enum status st = ST_OK;
    if (op == LIN_NONE) {
        return ST_OK;
    }
    st = more(c, g->part->ops[op]);
    for (uint32_t i = 0; i < g->block_count && st == ST_OK; i++) {
        bool tied = root_of(g, i) == chain && g->blocks[i].writer != LIN_NONE;
        st = tied && c->more_count < 64 ? more(c, g->part->ops[g->blocks[i].writer]) : st;
    }
    return st;
}

/* Which operation of one chain ended before which of the other began: the two of the circle where
 * that is so, as they are shown anyway. */
static void name_ends(const struct grapher *g, struct lin_link *l, const struct chain *first,
                      const struct chain *then, uint32_t a, uint32_t b)
{
    const struct lin_rec *ra = op_at(g, a);
    const struct lin_rec *rb = op_at(g, b);
    bool late = rb->call > first->first_ret;
    l->then = late ? b : then->last_op;
    int64_t call = late ? rb->call : then->last_call;
    bool early = first->first_op != LIN_NONE && ra->outcome == LIN_OK && ra->ret < call;
    l->first = early ? a : first->first_op;
}

/* What the nodes between two operations, cycle[from + 1, to), say about them. */
static enum status link_of(struct grapher *g, struct lin_circle *c, size_t from, size_t to)
{
    const uint32_t *cycle = g->g.cycle;
    size_t n = g->g.cycle_count;
    uint32_t a = cycle[from];
    uint32_t b = cycle[to % n];
    struct lin_link *l = &c->links[c->count++];
    *l = (struct lin_link){g->part->ops[a], LIN_R_TIME, 0, 0, LIN_NONE, LIN_NONE};
    uint32_t out = to > from + 1 ? cycle[from + 1] : LIN_NONE;
    uint32_t in = to > from + 1 ? cycle[to - 1] : LIN_NONE;
    enum status st = ST_OK;
    if (out == LIN_NONE) {
        for (size_t i = 0; i < g->block_count; i++) {
            const struct block *blk = &g->blocks[i];
            for (uint32_t t = blk->touch; blk->writer == a && t < blk->touch + blk->touch_count;
                 t++) {
                if (g->touches[g->sorted[t].item].op == b) {
                    *l = (struct lin_link){l->place, LIN_R_SAW, blk->key, blk->value, 0, 0};
                }
            }
        }
    } else if (out >= g->chain_nodes && out < g->over_nodes) {
        uint32_t first = (out - g->chain_nodes) / 2;
        uint32_t then = (in - g->chain_nodes) / 2;
        l->reason = LIN_R_BLOCK;
        l->key = g->blocks[first].key;
        l->value = g->blocks[first].value;
        name_ends(g, l, &g->chains[first], &g->chains[then], a, b);
        st = more_of_chain(g, c, first, l->first);
        st = st == ST_OK ? more_of_chain(g, c, then, l->then) : st;
        l->first = l->first != LIN_NONE ? g->part->ops[l->first] : LIN_NONE;
        l->then = g->part->ops[l->then];
    } else if (out >= g->over_nodes && out < g->over_nodes + g->block_count) {
        const struct block *blk = &g->blocks[out - g->over_nodes];
        *l = (struct lin_link){l->place, LIN_R_OVER, blk->key, blk->value, 0, 0};
    }
    l->key = g->part->keys[l->key];
    return st;
}

static enum status make_circle(struct grapher *g, struct lin_circle *c)
{
    const uint32_t *cycle = g->g.cycle;
    size_t n = g->g.cycle_count;
    if (n == 0) {
        return ST_OK;
    }
    c->links = mem_alloc(c->mem, (n + 1) * sizeof *c->links);
    if (c->links == NULL) {
        return ST_NOMEM;
    }
    enum status st = ST_OK;
    for (size_t from = 0; from < n && st == ST_OK;) { /* the first node is an operation */
        size_t to = from + 1;
        while (to < n && cycle[to] >= g->g.heavy) {
            to++;
        }
        st = link_of(g, c, from, to);
        from = to;
    }
    return st;
}

static enum status build(struct grapher *g, struct lin_circle *c)
{
    enum status st = touch_all(g);
    st = st == ST_OK ? make_blocks(g) : st;
    if (st != ST_OK) {
        return st;
    }
    join_blocks(g);
    st = make_chains(g);
    g->g.heavy = g->part->op_count;
    g->chain_nodes = g->g.heavy;
    g->over_nodes = g->chain_nodes + 2 * (uint32_t)g->block_count;
    g->g.node_count = g->over_nodes + (uint32_t)(g->block_count + g->order_count);
    st = st == ST_OK ? line_edges(g) : st;
    for (uint32_t i = 0; i < g->block_count && st == ST_OK; i++) {
        st = block_edges(g, i);
    }
    st = st == ST_OK ? time_edges(g) : st;
    st = st == ST_OK ? lin_digraph_cycle(&g->g) : st;
    return st == ST_OK ? make_circle(g, c) : st;
}

enum status lin_graph_check(const struct lin_history *h, const struct lin_split *s,
                            const struct lin_part *part, struct lin_circle *c)
{
    struct grapher g = {.mem = h->mem, .h = h, .s = s, .part = part, .g = {.mem = h->mem}};
    *c = (struct lin_circle){.mem = h->mem};
    g.blurred = mem_zalloc(h->mem, (size_t)part->key_count + 1);
    g.active = mem_zalloc(h->mem, (size_t)part->op_count + 1);
    enum status st = g.blurred != NULL && g.active != NULL ? build(&g, c) : ST_NOMEM;
    lin_digraph_release(&g.g);
    mem_release(h->mem, g.touches);
    mem_release(h->mem, g.sorted);
    mem_release(h->mem, g.blocks);
    mem_release(h->mem, g.chains);
    mem_release(h->mem, g.order);
    mem_release(h->mem, g.blurred);
    mem_release(h->mem, g.active);
    return st;
}

void lin_circle_release(struct lin_circle *c)
{
    if (c->mem != NULL) {
        mem_release(c->mem, c->links);
        mem_release(c->mem, c->more);
    }
    *c = (struct lin_circle){0};
}

/* ---- for people ---- */

static enum status say_value(const struct lin_history *h, const struct lin_link *l, struct buf *out)
{
    struct slice key = lin_strtab_get(&h->keys, l->key);
    struct slice text = {0};
    if (l->value != LIN_ABSENT) {
        text = lin_strtab_get(&h->values, l->value - 1);
    }
    char line[160];
    (void)snprintf(line, sizeof line,
                   l->value != LIN_ABSENT ? "%.*s = \"%.*s\"" : "%.*s absent%.*s",
                   (int)(key.size < 40 ? key.size : 40), key.data,
                   (int)(text.size < 40 ? text.size : 40), text.size > 0 ? text.data : "");
    return buf_append_text(out, line);
}

static enum status say_link(const struct lin_history *h, const struct lin_link *l, uint32_t next,
                            struct buf *out)
{
    char line[160];
    (void)snprintf(line, sizeof line, "%u before %u (", l->place, next);
    enum status st = buf_append_text(out, line);
    bool named = l->reason == LIN_R_SAW || l->reason == LIN_R_OVER;
    if (st == ST_OK && named) {
        (void)snprintf(line, sizeof line, "%u saw ", l->reason == LIN_R_SAW ? next : l->place);
        st = buf_append_text(out, line);
        st = st == ST_OK ? say_value(h, l, out) : st;
    }
    if (l->reason == LIN_R_SAW) {
        (void)snprintf(line, sizeof line, " of %u)", l->place);
    } else if (l->reason == LIN_R_OVER) {
        (void)snprintf(line, sizeof line, ", which %u overwrote)", next);
    } else if (l->reason == LIN_R_TIME) {
        (void)snprintf(line, sizeof line, "it ended before %u began)", next);
    } else {
        struct slice key = lin_strtab_get(&h->keys, l->key);
        int size = (int)(key.size < 40 ? key.size : 40);
        if (l->first == LIN_NONE) {
            (void)snprintf(line, sizeof line, "its %.*s is the one at first)", size, key.data);
        } else {
            (void)snprintf(line, sizeof line,
                           "its %.*s is the earlier one: %u ended before %u began)", size, key.data,
                           l->first, l->then);
        }
    }
    return st == ST_OK ? buf_append_text(out, line) : st;
}

enum status lin_circle_say(const struct lin_history *h, const struct lin_circle *c, struct buf *out)
{
    enum status st = buf_append_text(out, "the operations go in a circle: ");
    for (size_t i = 0; i < c->count && st == ST_OK; i++) {
        st = i > 0 ? buf_append_text(out, ", ") : ST_OK;
        uint32_t next = c->links[(i + 1) % c->count].place;
        st = st == ST_OK ? say_link(h, &c->links[i], next, out) : st;
    }
    return st;
}
