/* lin_zones.c - see lin_zones.h: from operations to blocks and chains, and the sweep. */
#include "sim/lin/lin_zones.h"
#include "sim/lin/lin_sort.h"
#include "sim/lin/lin_touch.h"

#define BEFORE_ALL INT64_MIN
#define PREFETCH   12 /* touches */

void lin_zones_init(struct lin_zones *z, const struct lin_history *h)
{
    *z = (struct lin_zones){.mem = h->mem, .h = h};
}

void lin_zones_release(struct lin_zones *z)
{
    if (z->mem == NULL) {
        return;
    }
    mem_release(z->mem, z->touches);
    mem_release(z->mem, z->blocks);
    mem_release(z->mem, z->chains);
    mem_release(z->mem, z->block_of);
    mem_release(z->mem, z->places);
    *z = (struct lin_zones){0};
}

/* ---- the witness ---- */

static enum status blame_one(struct lin_zones *z, uint32_t touch)
{
    uint32_t place = z->touches[touch].place;
    for (size_t i = 0; i < z->place_count; i++) {
        if (z->places[i] == place) {
            return ST_OK;
        }
    }
    enum status st =
        lin_grow(z->mem, &z->places, &z->place_cap, z->place_count + 1, sizeof *z->places);
    if (st == ST_OK) {
        z->places[z->place_count++] = place;
    }
    return st;
}

/* The touch and, for an unknown write, what shows that it took effect. */
static enum status blame(struct lin_zones *z, uint32_t touch)
{
    enum status st = ST_OK;
    while (touch != LIN_NONE && st == ST_OK) {
        const struct lin_touch *t = &z->touches[touch];
        st = blame_one(z, touch);
        touch = t->info && t->writes ? z->blocks[t->block].evidence : LIN_NONE;
    }
    return st;
}

/* The block that a touch belongs to: the one it writes, else the one it looks at. */
static uint32_t home(const struct lin_zones *z, uint32_t touch)
{
    const struct lin_touch *t = &z->touches[touch];
    if (t->block != LIN_NONE) {
        return t->block;
    }
    return (uint32_t)z->block_of[t->saw];
}

/* The touch, and the writer of the value it is about. */
static enum status blame_with_writer(struct lin_zones *z, uint32_t touch)
{
    enum status st = blame(z, touch);
    if (st == ST_OK && touch != LIN_NONE) {
        st = blame(z, z->blocks[home(z, touch)].writer);
    }
    return st;
}

/* All that ties the blocks of two touches of one chain together. */
static enum status blame_path(struct lin_zones *z, uint32_t a, uint32_t b)
{
    enum status st = blame_with_writer(z, a);
    if (st == ST_OK) {
        st = blame_with_writer(z, b);
    }
    if (a == LIN_NONE || b == LIN_NONE) {
        return st;
    }
    uint32_t from = home(z, a);
    uint32_t to = home(z, b);
    for (int turn = 0; turn < 2; turn++) {
        uint32_t at = turn == 0 ? from : to;
        uint32_t goal = turn == 0 ? to : from;
        uint32_t n = at;
        while (n != LIN_NONE && n != goal) {
            n = z->blocks[n].next;
        }
        for (; n == goal && at != goal && st == ST_OK; at = z->blocks[at].next) {
            st = blame(z, z->blocks[z->blocks[at].next].writer);
        }
    }
    return st;
}

/* ---- blocks ---- */

static enum status new_block(struct lin_zones *z, uint32_t writer, uint32_t *out)
{
    enum status st =
        lin_grow(z->mem, &z->blocks, &z->block_cap, (size_t)z->block_count + 1, sizeof *z->blocks);
    if (st != ST_OK) {
        return st;
    }
    struct lin_block *b = &z->blocks[z->block_count];
    *b = (struct lin_block){.first_ret = BEFORE_ALL,
                            .last_call = BEFORE_ALL,
                            .writer = writer,
                            .first_op = writer,
                            .last_op = writer,
                            .next = LIN_NONE,
                            .prev = LIN_NONE,
                            .chain = LIN_NONE,
                            .evidence = LIN_NONE};
    if (writer != LIN_NONE) {
        b->first_ret = z->touches[writer].ret;
        b->last_call = z->touches[writer].call;
        z->touches[writer].block = z->block_count;
    }
    *out = z->block_count++;
    return ST_OK;
}

static uint32_t block_of(const struct lin_zones *z, uint32_t value)
{
    uint64_t at = z->block_of[value];
    return at >> 32 == z->round ? (uint32_t)at : LIN_NONE;
}

/* A block for each write; a value that is written again makes the first of its blocks ambiguous. */
static enum status make_blocks(struct lin_zones *z, uint32_t init)
{
    uint32_t block = 0;
    enum status st = new_block(z, LIN_NONE, &block);
    if (st == ST_OK) {
        z->block_of[init] = (uint64_t)z->round << 32 | block;
        z->blocks[block].seen = true; /* it has taken effect, looked at or not */
    }
    for (uint32_t i = 0; i < z->touch_count && st == ST_OK; i++) {
        struct lin_touch *t = &z->touches[i];
        if (i + PREFETCH < z->touch_count && t[PREFETCH].wrote != LIN_NONE) {
            __builtin_prefetch(&z->block_of[t[PREFETCH].wrote], 1);
        }
        if (!t->writes) {
            continue;
        }
        st = new_block(z, i, &block);
        if (st != ST_OK || t->wrote == LIN_NONE) {
            continue;
        }
        uint32_t other = block_of(z, t->wrote);
        if (other != LIN_NONE) {
            z->blocks[other].ambiguous = true;
        } else {
            z->block_of[t->wrote] = (uint64_t)z->round << 32 | block;
        }
    }
    return st;
}

/* Gives an operation's look to its block. *proof: it saw what was never written. */
static void attach_look(struct lin_zones *z, uint32_t i, bool *proof)
{
    struct lin_touch *t = &z->touches[i];
    uint32_t at = block_of(z, t->saw);
    if (at == LIN_NONE) {
        *proof = !t->info;
    }
    if (at == LIN_NONE || z->blocks[at].ambiguous) {
        z->exact = false;
        t->looks = false;
        return;
    }
    struct lin_block *b = &z->blocks[at];
    if (t->info) {
        return; /* counts only if it is itself seen: later */
    }
    b->seen = true;
    b->evidence = i;
    if (t->writes) {
        return; /* a tie, made later; its times count for the block it writes */
    }
    if (t->ret < b->first_ret) {
        b->first_ret = t->ret;
        b->first_op = i;
    }
    if (t->call > b->last_call) {
        b->last_call = t->call;
        b->last_op = i;
    }
}

static enum status attach_looks(struct lin_zones *z, bool *proof)
{
    for (uint32_t i = 0; i < z->touch_count; i++) {
        struct lin_touch *t = &z->touches[i];
        if (!t->looks) {
            continue;
        }
        attach_look(z, i, proof);
        if (*proof) {
            return blame(z, i);
        }
        /* A look that ended before the write of what it saw began. */
        if (t->looks && !t->writes && !t->info) {
            uint32_t writer = z->blocks[block_of(z, t->saw)].writer;
            if (writer != LIN_NONE && t->ret < z->touches[writer].call) {
                *proof = true;
                return blame_with_writer(z, i);
            }
        }
    }
    return ST_OK;
}

/* An unknown write counts once its value is seen; then it saw its own expectation. */
static void settle_unknown(struct lin_zones *z)
{
    for (uint32_t i = 0; i < z->block_count; i++) {
        struct lin_block *b = &z->blocks[i];
        if (b->writer == LIN_NONE || b->ambiguous) {
            continue;
        }
        const struct lin_touch *t = &z->touches[b->writer];
        b->seen = b->seen || !t->info;
        while (b->seen && b->writer != LIN_NONE) {
            t = &z->touches[b->writer];
            if (!t->info || !t->looks) {
                break;
            }
            struct lin_block *from = &z->blocks[block_of(z, t->saw)];
            if (from->seen) {
                break;
            }
            from->seen = true;
            from->evidence = b->writer;
            b = from;
        }
    }
}

/* Blocks with writers of one value are each for themselves: their value is nobody's. */
static void forget_ambiguous(struct lin_zones *z)
{
    for (uint32_t i = 0; i < z->touch_count; i++) {
        const struct lin_touch *t = &z->touches[i];
        if (!t->writes || t->wrote == LIN_NONE) {
            continue;
        }
        uint32_t first = block_of(z, t->wrote);
        if (z->blocks[first].ambiguous) {
            z->blocks[t->block].seen = z->blocks[t->block].seen || !t->info;
        }
    }
}

/* ---- chains ---- */

static enum status tie(struct lin_zones *z, bool *proof)
{
    for (uint32_t i = 0; i < z->touch_count && !*proof; i++) {
        const struct lin_touch *t = &z->touches[i];
        if (!t->writes || !t->looks || !z->blocks[t->block].seen) {
            continue;
        }
        uint32_t from = block_of(z, t->saw);
        struct lin_block *b = &z->blocks[from];
        if (b->next != LIN_NONE) { /* two took the same value away */
            *proof = true;
            enum status st = blame(z, b->writer);
            st = st == ST_OK ? blame(z, z->blocks[b->next].writer) : st;
            return st == ST_OK ? blame(z, i) : st;
        }
        b->next = t->block;
        z->blocks[t->block].prev = from;
    }
    return ST_OK;
}

/* Within a chain: nothing of a later block ended before something of an earlier one began. */
static enum status walk_chain(struct lin_zones *z, uint32_t head, bool *proof)
{
    enum status st =
        lin_grow(z->mem, &z->chains, &z->chain_cap, (size_t)z->chain_count + 1, sizeof *z->chains);
    if (st != ST_OK) {
        return st;
    }
    struct lin_chain *c = &z->chains[z->chain_count];
    const struct lin_block *b = &z->blocks[head];
    *c = (struct lin_chain){b->first_ret, b->last_call, head, b->first_op, b->last_op};
    z->blocks[head].chain = z->chain_count++;
    for (uint32_t at = b->next; at != LIN_NONE; at = z->blocks[at].next) {
        struct lin_block *n = &z->blocks[at];
        n->chain = z->chain_count - 1;
        if (n->first_ret < c->last_call) {
            *proof = true;
            return blame_path(z, n->first_op, c->last_op);
        }
        if (n->first_ret < c->first_ret) {
            c->first_ret = n->first_ret;
            c->first_op = n->first_op;
        }
        if (n->last_call > c->last_call) {
            c->last_call = n->last_call;
            c->last_op = n->last_op;
        }
    }
    return ST_OK;
}

static enum status make_chains(struct lin_zones *z, bool *proof)
{
    enum status st = tie(z, proof);
    for (uint32_t i = 0; i < z->block_count && st == ST_OK && !*proof; i++) {
        if (z->blocks[i].seen && z->blocks[i].prev == LIN_NONE) {
            st = walk_chain(z, i, proof);
        }
    }
    for (uint32_t i = 0; i < z->block_count && st == ST_OK && !*proof; i++) {
        if (!z->blocks[i].seen || z->blocks[i].chain != LIN_NONE) {
            continue;
        }
        *proof = true; /* a ring: each took away what another made */
        uint32_t at = i;
        do {
            st = st == ST_OK ? blame(z, z->blocks[at].writer) : st;
            at = z->blocks[at].next;
        } while (at != i);
    }
    return st;
}

/* ---- the sweep ---- */

static bool forward(const struct lin_chain *c)
{
    return c->first_ret < c->last_call;
}

/* Chains by their left ends, those that last (forward) after the others of the same end. */
static enum status order_chains(struct lin_zones *z, struct lin_key **out)
{
    struct lin_key *keys = mem_alloc(z->mem, ((size_t)z->chain_count + 1) * sizeof *keys);
    *out = keys;
    if (keys == NULL) {
        return ST_NOMEM;
    }
    uint32_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < z->chain_count; i++) {
            const struct lin_chain *c = &z->chains[i];
            if (forward(c) == (pass == 1)) {
                keys[n++] =
                    (struct lin_key){lin_key_of(pass == 1 ? c->first_ret : c->last_call), i};
            }
        }
    }
    return lin_sort(z->mem, keys, n);
}

static enum status sweep(struct lin_zones *z, const struct lin_key *order, bool *proof)
{
    const struct lin_chain *open = NULL; /* the forward chain that reaches furthest */
    for (uint32_t i = 0; i < z->chain_count; i++) {
        const struct lin_chain *c = &z->chains[order[i].item];
        bool clash =
            open != NULL && open->first_ret < c->last_call && c->first_ret < open->last_call;
        if (clash) {
            *proof = true;
            enum status st = blame_path(z, open->first_op, open->last_op);
            return st == ST_OK ? blame_path(z, c->first_op, c->last_op) : st;
        }
        if (forward(c) && (open == NULL || c->last_call > open->last_call)) {
            open = c;
        }
    }
    return ST_OK;
}

/* ---- observations that a value is not there ---- */

struct gaps {
    uint32_t *at;       /* the place of each block in the order that the sweep found */
    uint32_t *block_at; /* the other way round */
    uint32_t blocks;
    struct lin_key *rets; /* touches by return: item is the greatest place so far */
    uint32_t count;
};

static enum status number_blocks(struct lin_zones *z, const struct lin_key *order, struct gaps *g)
{
    g->at = mem_alloc(z->mem, ((size_t)z->block_count + 1) * sizeof *g->at);
    g->block_at = mem_alloc(z->mem, ((size_t)z->block_count + 1) * sizeof *g->block_at);
    if (g->at == NULL || g->block_at == NULL) {
        return ST_NOMEM;
    }
    for (uint32_t i = 0; i < z->chain_count; i++) {
        uint32_t b = z->chains[order[i].item].head;
        for (; b != LIN_NONE; b = z->blocks[b].next) {
            g->block_at[g->blocks] = b;
            g->at[b] = g->blocks++;
        }
    }
    return ST_OK;
}

static bool counts(const struct lin_zones *z, const struct lin_touch *t)
{
    return t->writes ? z->blocks[t->block].seen : t->looks && !t->differs;
}

static uint32_t place_of(const struct lin_zones *z, const struct gaps *g, uint32_t i)
{
    return g->at[home(z, i)];
}

static enum status make_gaps(struct lin_zones *z, const struct lin_key *order, struct gaps *g)
{
    g->rets = mem_alloc(z->mem, ((size_t)z->touch_count + 1) * sizeof *g->rets);
    enum status st = g->rets != NULL ? number_blocks(z, order, g) : ST_NOMEM;
    if (st != ST_OK) {
        return st;
    }
    for (uint32_t i = 0; i < z->touch_count; i++) {
        const struct lin_touch *t = &z->touches[i];
        if (counts(z, t) && t->ret != LIN_NEVER) {
            g->rets[g->count++] = (struct lin_key){lin_key_of(t->ret), place_of(z, g, i)};
        }
    }
    st = lin_sort(z->mem, g->rets, g->count);
    for (uint32_t i = 1; st == ST_OK && i < g->count; i++) {
        uint32_t before = g->rets[i - 1].item;
        g->rets[i].item = g->rets[i].item > before ? g->rets[i].item : before;
    }
    return st;
}

/* The greatest place of an operation that ended before the time; LIN_NONE without one. */
static uint32_t ended_before(const struct gaps *g, int64_t time)
{
    uint32_t lo = 0;
    uint32_t hi = g->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (g->rets[mid].key < lin_key_of(time)) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo > 0 ? g->rets[lo - 1].item : LIN_NONE;
}

/* The first touch that begins after the time. */
static uint32_t begins_after(const struct lin_zones *z, int64_t time)
{
    uint32_t lo = 0;
    uint32_t hi = z->touch_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (z->touches[mid].call <= time) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static bool differs_from_block(const struct lin_zones *z, const struct lin_touch *t)
{
    uint32_t b = t->differs ? block_of(z, t->saw) : LIN_NONE;
    return b != LIN_NONE && z->blocks[b].seen;
}

/* Puts one such operation into the earliest block at or after `from` that is not the one it must
 * not be in. LIN_NONE: it does not fit. least[i] is the least block of touches i and later. */
static uint32_t fit_one(const struct lin_zones *z, const struct gaps *g, const uint32_t *least,
                        const struct lin_touch *t, uint32_t from)
{
    uint32_t before = ended_before(g, t->call);
    uint32_t c = before == LIN_NONE || before < from ? from : before;
    c += c == g->at[block_of(z, t->saw)] ? 1 : 0;
    uint32_t limit = least[begins_after(z, t->ret)];
    if (c >= g->blocks || c > limit) {
        return LIN_NONE;
    }
    /* In the block of what begins later: only if that is not its write. */
    uint32_t writer = z->blocks[g->block_at[c]].writer;
    bool starts = writer == LIN_NONE || z->touches[writer].call <= t->ret;
    return starts ? c : LIN_NONE;
}

/* Fits them all in, in the order of their calls, each after those that ended before it began. */
static bool fit_all(const struct lin_zones *z, const struct gaps *g, const uint32_t *least,
                    struct lin_key *rets, uint32_t *fitted)
{
    uint32_t from = 0;
    uint32_t done = 0;
    for (uint32_t i = 0; i < z->touch_count; i++) {
        const struct lin_touch *t = &z->touches[i];
        if (!differs_from_block(z, t)) {
            continue;
        }
        /* Those that ended before this call were called before it, so they have their place. */
        for (; rets[done].key < lin_key_of(t->call); done++) {
            uint32_t c = fitted[rets[done].item];
            from = c > from ? c : from;
        }
        fitted[i] = fit_one(z, g, least, t, from);
        if (fitted[i] == LIN_NONE) {
            return false;
        }
    }
    return true;
}

static enum status fit_differs(struct lin_zones *z, const struct gaps *g)
{
    size_t n = (size_t)z->touch_count + 1;
    uint32_t *least = mem_alloc(z->mem, 2 * n * sizeof *least);
    struct lin_key *rets = mem_alloc(z->mem, n * sizeof *rets);
    enum status st = least != NULL && rets != NULL ? ST_OK : ST_NOMEM;
    uint32_t count = 0;
    for (uint32_t i = z->touch_count; st == ST_OK && i-- > 0;) {
        least[z->touch_count] = LIN_NONE;
        uint32_t here = counts(z, &z->touches[i]) ? place_of(z, g, i) : LIN_NONE;
        least[i] = here < least[i + 1] ? here : least[i + 1];
    }
    for (uint32_t i = 0; st == ST_OK && i < z->touch_count; i++) {
        if (differs_from_block(z, &z->touches[i])) {
            rets[count++] = (struct lin_key){lin_key_of(z->touches[i].ret), i};
        }
    }
    st = st == ST_OK ? lin_sort(z->mem, rets, count) : st;
    if (st == ST_OK) {
        rets[count] = (struct lin_key){UINT64_MAX, 0};
        z->exact = fit_all(z, g, least, rets, least + n);
    }
    mem_release(z->mem, least);
    mem_release(z->mem, rets);
    return st;
}

static enum status check_differs(struct lin_zones *z, const struct lin_key *order, bool *proof)
{
    struct gaps g = {0};
    enum status st = ST_OK;
    bool any = false;
    for (uint32_t i = 0; i < z->touch_count && !*proof && st == ST_OK; i++) {
        const struct lin_touch *t = &z->touches[i];
        uint32_t at = t->differs ? block_of(z, t->saw) : LIN_NONE;
        if (at == LIN_NONE) {
            continue;
        }
        const struct lin_block *b = &z->blocks[at];
        any = true;
        if (b->ambiguous) {
            z->exact = false;
        } else if (b->seen && b->first_ret < t->call && t->ret < b->last_call) {
            *proof = true;
            st = blame(z, i);
            st = st == ST_OK ? blame_path(z, b->first_op, b->last_op) : st;
        }
    }
    if (!any || *proof || !z->exact || st != ST_OK) {
        return st;
    }
    st = make_gaps(z, order, &g);
    st = st == ST_OK ? fit_differs(z, &g) : st;
    mem_release(z->mem, g.at);
    mem_release(z->mem, g.block_at);
    mem_release(z->mem, g.rets);
    return st;
}

/* ---- all of it ---- */

static enum status reset(struct lin_zones *z)
{
    z->touch_count = 0;
    z->block_count = 0;
    z->chain_count = 0;
    z->place_count = 0;
    z->exact = true;
    z->open_ended = false;
    z->round++;
    if (z->block_of == NULL) {
        z->value_count = (size_t)z->h->values.count + 1;
        z->block_of = mem_zalloc(z->mem, z->value_count * sizeof *z->block_of);
    }
    return z->block_of != NULL ? ST_OK : ST_NOMEM;
}

enum status lin_zones_check(struct lin_zones *z, const struct lin_split *s,
                            const struct lin_part *part, uint32_t local, bool weak,
                            enum lin_result *result)
{
    bool proof = false;
    struct lin_key *order = NULL;
    *result = LIN_UNKNOWN;
    enum status st = reset(z);
    st = st == ST_OK ? lin_touch_collect(z, s, part, local) : st;
    if (st == ST_OK && z->open_ended) {
        return ST_OK;
    }
    st = st == ST_OK ? make_blocks(z, s->init[part->keys[local]]) : st;
    st = st == ST_OK ? attach_looks(z, &proof) : st;
    if (st == ST_OK && !proof && !z->exact && !weak) {
        return ST_OK;
    }
    if (st == ST_OK && !proof) {
        settle_unknown(z);
        forget_ambiguous(z);
        st = make_chains(z, &proof);
    }
    if (st == ST_OK && !proof) {
        st = order_chains(z, &order);
        st = st == ST_OK ? sweep(z, order, &proof) : st;
    }
    if (st == ST_OK && !proof) {
        st = check_differs(z, order, &proof);
    }
    if (st == ST_OK && (proof || z->exact)) {
        *result = proof ? LIN_NON_LINEARIZABLE : LIN_LINEARIZABLE;
    }
    mem_release(z->mem, order);
    return st;
}
