/* lin_flow.c - see lin_flow.h. */
#include "sim/lin/lin_flow.h"

#define TABLE_FIRST 16
#define TIDY_FIRST  2

/* ---- blocks by value ---- */

/* Values are numbered as they come, so the number itself spreads them. */
static uint32_t table_slot(const struct lin_flow *f, uint32_t value)
{
    uint32_t mask = f->table_count - 1;
    uint32_t i = value & mask;
    while (f->table[i] != 0 && f->blocks[f->table[i] - 1].value != value) {
        i = (i + 1) & mask;
    }
    return i;
}

static struct lin_block *find(const struct lin_flow *f, uint32_t value)
{
    uint32_t at = f->table[table_slot(f, value)];
    return at != 0 ? &f->blocks[at - 1] : NULL;
}

void lin_flow_reindex(struct lin_flow *f)
{
    memset(f->table, 0, f->table_count * sizeof *f->table);
    for (size_t i = 0; i < f->count; i++) {
        f->table[table_slot(f, f->blocks[i].value)] = (uint32_t)i + 1;
    }
}

/* Empties the slot; those after it that would not be found any more move up. */
static void table_remove(struct lin_flow *f, uint32_t hole)
{
    uint32_t mask = f->table_count - 1;
    for (uint32_t i = (hole + 1) & mask; f->table[i] != 0; i = (i + 1) & mask) {
        uint32_t home = f->blocks[f->table[i] - 1].value & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            f->table[hole] = f->table[i];
            hole = i;
        }
    }
    f->table[hole] = 0;
}

static enum status reserve(struct lin_flow *f)
{
    enum status st = lin_grow(f->mem, &f->blocks, &f->cap, f->count + 1, sizeof *f->blocks);
    if (st != ST_OK || (f->count + 1) * 2 <= f->table_count) {
        return st;
    }
    uint32_t want = f->table_count > 0 ? f->table_count * 2 : TABLE_FIRST;
    uint32_t *table = mem_resize(f->mem, f->table, want * sizeof *table);
    if (table == NULL) {
        return ST_NOMEM;
    }
    f->table = table;
    f->table_count = want;
    lin_flow_reindex(f);
    return ST_OK;
}

/* ---- holding operations ---- */

static void let_go(struct lin_flow *f, struct lin_pending *p)
{
    if (p != NULL && --p->held == 0 && !p->queued) {
        p->next = f->freed;
        f->freed = p;
    }
}

static void hold(struct lin_flow *f, struct lin_pending **at, struct lin_pending *p)
{
    p->held++;
    let_go(f, *at);
    *at = p;
}

static void let_go_block(struct lin_flow *f, const struct lin_block *b)
{
    let_go(f, b->write);
    let_go(f, b->first);
    let_go(f, b->last);
}

static void block_remove(struct lin_flow *f, size_t i)
{
    struct lin_block *b = &f->blocks[i];
    f->top_serial = b->serial == f->top_serial ? LIN_NONE : f->top_serial;
    f->gone = b->last_call > f->gone ? b->last_call : f->gone;
    let_go_block(f, b);
    table_remove(f, table_slot(f, b->value));
    struct lin_block *last = &f->blocks[f->count - 1];
    if (b != last) {
        f->table[table_slot(f, last->value)] = (uint32_t)i + 1;
        *b = *last;
    }
    f->count--;
}

static enum status block_add(struct lin_flow *f, uint32_t value, struct lin_block **out)
{
    enum status st = reserve(f);
    if (st == ST_OK) {
        f->blocks[f->count] = (struct lin_block){.first_ret = INT64_MAX,
                                                 .last_call = INT64_MIN,
                                                 .value = value,
                                                 .serial = f->next_serial++};
        *out = &f->blocks[f->count];
        f->table[table_slot(f, value)] = (uint32_t)++f->count;
    }
    return st;
}

enum status lin_flow_start(struct lin_flow *f, struct mem *mem, uint32_t init)
{
    *f = (struct lin_flow){.mem = mem,
                           .top = INT64_MIN,
                           .second = INT64_MIN,
                           .gone = INT64_MIN,
                           .top_serial = LIN_NONE,
                           .tidy_at = TIDY_FIRST};
    struct lin_block *b;
    enum status st = block_add(f, init, &b);
    if (st == ST_OK) {
        b->first_ret = INT64_MIN;
    }
    return st;
}

void lin_flow_release(struct lin_flow *f)
{
    for (size_t i = 0; i < f->count; i++) {
        let_go_block(f, &f->blocks[i]);
    }
    f->count = 0;
    if (f->mem != NULL) {
        mem_release(f->mem, f->blocks);
        mem_release(f->mem, f->table);
    }
    *f = (struct lin_flow){.freed = f->freed};
}

uint32_t lin_flow_init(const struct lin_flow *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->blocks[i].serial == 0) {
            return f->blocks[i].value;
        }
    }
    return LIN_NONE;
}

/* ---- forgetting ---- */

static int64_t top_of_others(const struct lin_flow *f, const struct lin_block *b)
{
    return b->serial == f->top_serial ? f->second : f->top;
}

/* Of the blocks that were dead before, keeps those which a kept one must come before. `least` is
 * the least return of the newly dead. */
static void keep_tied(struct lin_flow *f, int64_t least)
{
    for (bool news = true; news;) {
        news = false;
        for (size_t i = 0; i < f->count; i++) {
            struct lin_block *b = &f->blocks[i];
            if (b->dead && !b->keep && least < b->last_call) {
                b->keep = true;
                least = b->first_ret < least ? b->first_ret : least;
                news = true;
            }
        }
    }
}

/* No read is open that was so when the last look was taken. */
static void tidy(struct lin_flow *f)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < f->count; i++) {
        struct lin_block *b = &f->blocks[i];
        b->keep = false;
        if (!b->dead && b->first_ret < top_of_others(f, b)) {
            b->dead = true;
            b->keep = true;
            least = b->first_ret < least ? b->first_ret : least;
        }
    }
    keep_tied(f, least);
    for (size_t i = f->count; i-- > 0;) {
        if (f->blocks[i].dead && !f->blocks[i].keep) {
            block_remove(f, i);
        }
    }
    f->tidy_at = f->count * 2 > TIDY_FIRST ? f->count * 2 : TIDY_FIRST;
    f->reads_old = f->reads_new;
    f->reads_new = 0;
    f->generation++;
}

/* ---- events ---- */

bool lin_flow_suits(const struct lin_pending *p)
{
    uint8_t kind = p->rec.kind;
    return kind == LIN_GET || kind == LIN_PUT || kind == LIN_DEL;
}

enum status lin_flow_call(struct lin_flow *f, struct lin_pending *p, bool *fits)
{
    *fits = true;
    if (p->rec.kind == LIN_GET) {
        p->slot = f->generation;
        f->reads_new++;
        return ST_OK;
    }
    *fits = find(f, p->rec.value) == NULL;
    struct lin_block *b;
    enum status st = *fits ? block_add(f, p->rec.value, &b) : ST_OK;
    if (*fits && st == ST_OK) {
        b->last_call = p->rec.call;
        hold(f, &b->write, p);
    }
    return st;
}

static void raise_top(struct lin_flow *f, const struct lin_block *b)
{
    bool own = b->serial == f->top_serial;
    if (b->last_call > f->top) {
        f->second = own ? f->second : f->top;
        f->top = b->last_call;
        f->top_serial = b->serial;
    } else if (!own && b->last_call > f->second) {
        f->second = b->last_call;
    }
}

/* Another block must come before this one and after it. */
static bool torn(const struct lin_flow *f, const struct lin_block *b)
{
    if (top_of_others(f, b) <= b->first_ret) {
        return false;
    }
    /* What is forgotten was over before any read that returns now was called. */
    bool found = f->gone > b->first_ret;
    for (size_t i = 0; i < f->count && !found; i++) {
        const struct lin_block *o = &f->blocks[i];
        found = o != b && o->last_call > b->first_ret && o->first_ret < b->last_call;
    }
    return found;
}

/* The operation belongs to the block from now on. */
static bool join(struct lin_flow *f, struct lin_block *b, struct lin_pending *p)
{
    bool good = true;
    if (b->first_ret == INT64_MAX) {
        b->first_ret = p->rec.ret;
        hold(f, &b->first, p);
        b->last_call = p->rec.call > b->last_call ? p->rec.call : b->last_call;
        raise_top(f, b);
    } else if (p->rec.call > b->last_call) {
        b->last_call = p->rec.call;
        good = !torn(f, b);
        raise_top(f, b);
    } else {
        return true;
    }
    if (b->last_call == p->rec.call && p != b->write) {
        hold(f, &b->last, p);
    }
    return good;
}

static void end_read(struct lin_flow *f, const struct lin_pending *p)
{
    uint32_t *open = p->slot == f->generation ? &f->reads_new : &f->reads_old;
    (*open)--;
}

bool lin_flow_return(struct lin_flow *f, struct lin_pending *p)
{
    bool read = p->rec.kind == LIN_GET;
    /* A write that nobody holds is over: its value was read, and forgotten since. */
    struct lin_block *b = read || p->held > 0 ? find(f, p->rec.value) : NULL;
    bool good = !read;
    if (read) {
        b = find(f, p->rec.result);
        end_read(f, p);
    }
    if (b != NULL) {
        good = join(f, b, p);
    }
    if (f->reads_old == 0 && f->count >= f->tidy_at) {
        tidy(f);
    }
    return good;
}
