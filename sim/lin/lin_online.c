/* lin_online.c - checks operations as they complete. See lin.h.
 *
 * Each key begins as a flow of zones (lin_flow.h) and goes over to a search, whose operations live
 * in their slots, at the first operation that a flow cannot take. Calls and returns wait in a queue
 * until the horizon has passed them: only then is it certain that no earlier call is still to
 * come. */
#include "sim/lin/lin_flow.h"
#include "sim/lin/lin_queue.h"
#include "sim/lin/lin_search.h"
#include "sim/lin/lin_sort.h"

#define SLOTS_FIRST    64
#define VALUES_FIRST   4096 /* few enough for their tables to stay in the nearest caches */
#define STEPS_DEFAULT  200000u
#define MEMORY_DEFAULT ((size_t)64 << 20)

struct lin_key_engine {
    struct lin_flow flow;
    bool flows; /* as long as that is enough; nothing below is in use */
    struct lin_prog prog;
    struct lin_search search;
    uint32_t *free_slots;
    uint32_t free_count;
    uint32_t open_count;
    bool given_up;
};

/* ---- operations on their way ---- */

static struct lin_pending *pending_new(struct lin_online *o)
{
    struct lin_pending *p = o->spare;
    if (p != NULL) {
        o->spare = p->next;
        memset(p, 0, sizeof *p);
        return p;
    }
    return mem_zalloc(o->mem, sizeof *p);
}

static void pending_free(struct lin_online *o, struct lin_pending *p)
{
    if (p->subs != NULL) {
        mem_release(o->mem, p->subs);
        p->subs = NULL;
    }
    p->next = o->spare;
    o->spare = p;
}

/* Takes what the flow has let go of. */
static void spare_all(struct lin_online *o, struct lin_flow *f)
{
    while (f->freed != NULL) {
        struct lin_pending *p = f->freed;
        f->freed = p->next;
        pending_free(o, p);
    }
}

/* ---- engines ---- */

static void engine_free(struct lin_online *o, struct lin_key_engine *e)
{
    if (e != NULL) {
        lin_flow_release(&e->flow);
        spare_all(o, &e->flow);
        lin_search_release(&e->search);
        lin_prog_release(&e->prog);
        mem_release(o->mem, e->free_slots);
        mem_release(o->mem, e);
    }
}

static enum status grow_slots(struct lin_online *o, struct lin_key_engine *e)
{
    uint32_t had = e->prog.slot_count;
    uint32_t need = had > 0 ? had * 2 : SLOTS_FIRST;
    struct lin_prog_op *ops = mem_resize(o->mem, e->prog.ops, need * sizeof *ops);
    e->prog.ops = ops != NULL ? ops : e->prog.ops;
    uint32_t *slots = mem_resize(o->mem, e->free_slots, need * sizeof *slots);
    e->free_slots = slots != NULL ? slots : e->free_slots;
    if (ops == NULL || slots == NULL) {
        return ST_NOMEM;
    }
    for (uint32_t i = need; i-- > had;) {
        e->free_slots[e->free_count++] = i;
    }
    e->prog.slot_count = need;
    return had > 0 ? lin_search_widen(&e->search) : ST_OK;
}

static uint32_t first_value(const struct lin_online *o, uint32_t key)
{
    uint32_t value = o->h.fallback;
    for (size_t i = 0; i < o->h.init_count; i++) {
        value = o->h.init[2 * i] == key ? o->h.init[2 * i + 1] : value;
    }
    return value;
}

/* The search of a key that holds `init` at first. */
static enum status engine_search(struct lin_online *o, uint32_t init, struct lin_key_engine *e)
{
    struct lin_prog *p = &e->prog;
    *p = (struct lin_prog){.mem = o->mem, .h = &o->h, .key_count = 1};
    p->init = mem_zalloc(o->mem, sizeof *p->init);
    p->seen_at = mem_zalloc(o->mem, sizeof *p->seen_at);
    p->loose_at = mem_zalloc(o->mem, sizeof *p->loose_at);
    p->blurred = mem_zalloc(o->mem, 1);
    if (p->init == NULL || p->seen_at == NULL || p->loose_at == NULL || p->blurred == NULL) {
        return ST_NOMEM;
    }
    p->init[0] = init;
    /* Nothing is known of what is to come: everything may be looked at for ever. */
    p->seen_at[0] = LIN_NONE;
    p->loose_at[0] = LIN_NONE;
    p->blurred[0] = 1;
    enum status st = grow_slots(o, e);
    st = st == ST_OK ? lin_search_init(&e->search, p, o->limits.steps, o->limits.memory) : st;
    e->search.concat.into = &o->h.values;
    return st == ST_OK ? lin_search_start(&e->search) : st;
}

static enum status engine_of(struct lin_online *o, uint32_t key, struct lin_key_engine **out)
{
    size_t had = o->engine_cap;
    if (key < had && o->engines[key] != NULL) {
        *out = o->engines[key];
        return ST_OK;
    }
    enum status st =
        lin_grow(o->mem, &o->engines, &o->engine_cap, o->h.keys.count, sizeof *o->engines);
    for (size_t i = had; st == ST_OK && i < o->engine_cap; i++) {
        o->engines[i] = NULL;
    }
    *out = NULL;
    if (st != ST_OK) {
        return st;
    }
    struct lin_key_engine *e = mem_zalloc(o->mem, sizeof *e);
    st = e != NULL ? lin_flow_start(&e->flow, o->mem, first_value(o, key)) : ST_NOMEM;
    if (st != ST_OK) {
        engine_free(o, e);
        return st;
    }
    e->flows = true;
    o->engines[key] = e;
    *out = e;
    return ST_OK;
}

/* ---- operations in ---- */

static enum status add_sub(struct lin_online *o, struct lin_pending *p, const struct lin_sub *sub)
{
    struct lin_sub *subs = mem_resize(o->mem, p->subs, (p->sub_count + 1) * sizeof *subs);
    if (subs == NULL) {
        return ST_NOMEM;
    }
    p->subs = subs;
    p->subs[p->sub_count++] = *sub;
    return ST_OK;
}

/* Where the second is refused the call is in the queue all the same: the operation then has no
 * end, and the caller has the status. */
static enum status queue_both(struct lin_online *o, struct lin_pending *p)
{
    struct lin_event call = {p->rec.call, p->number, p};
    struct lin_event ret = {p->rec.ret, p->number | LIN_RETURN_BIT, p};
    enum status st = lin_queue_push(&o->queue, o->mem, &call);
    p->queued = st == ST_OK;
    if (st != ST_OK || p->rec.outcome == LIN_INFO) {
        return st;
    }
    st = lin_queue_push(&o->queue, o->mem, &ret);
    if (st != ST_OK) {
        p->rec.outcome = LIN_INFO;
    }
    return st;
}

/* The share of one key; with subs it is a batch on that key alone. */
static enum status enqueue(struct lin_online *o, const struct lin_rec *rec, uint32_t key)
{
    struct lin_pending *p = pending_new(o);
    if (p == NULL) {
        return ST_NOMEM;
    }
    p->rec = *rec;
    p->rec.key = key;
    p->number = o->taken;
    enum status st = ST_OK;
    bool listed = false;
    for (uint32_t i = 0; rec->kind >= LIN_SCAN && i < rec->result && st == ST_OK; i++) {
        const struct lin_sub *sub = &o->h.subs[rec->expect + i];
        listed = listed || sub->key == key;
        st = sub->key == key ? add_sub(o, p, sub) : ST_OK;
    }
    if (st == ST_OK && rec->kind == LIN_SCAN && !listed) {
        struct lin_sub absent = {.key = key, .kind = LIN_GET, .known = true};
        st = add_sub(o, p, &absent);
    }
    if (rec->kind >= LIN_SCAN) { /* all that matters is in the subs now */
        p->rec.kind = LIN_BATCH;
        p->rec.value = LIN_ABSENT;
        p->rec.expect = LIN_ABSENT;
    }
    if (st == ST_OK) {
        st = queue_both(o, p);
    }
    if (st != ST_OK && !p->queued) {
        pending_free(o, p);
    }
    return st;
}

static bool in_range(const struct lin_online *o, const struct lin_rec *scan, uint32_t key)
{
    struct slice name = lin_strtab_get(&o->h.keys, key);
    return slice_compare(name, lin_strtab_get(&o->h.values, scan->key - 1)) >= 0 &&
           slice_compare(name, lin_strtab_get(&o->h.values, scan->value - 1)) < 0;
}

/* Every key that the operation touches, once. */
static enum status enqueue_list(struct lin_online *o, const struct lin_rec *rec)
{
    enum status st = ST_OK;
    if (rec->kind == LIN_SCAN) {
        for (uint32_t k = 0; k < o->h.keys.count && st == ST_OK; k++) {
            st = in_range(o, rec, k) ? enqueue(o, rec, k) : ST_OK;
        }
        return st;
    }
    for (uint32_t i = 0; i < rec->result && st == ST_OK; i++) {
        uint32_t key = o->h.subs[rec->expect + i].key;
        bool before = false;
        for (uint32_t n = 0; n < i; n++) {
            before = before || o->h.subs[rec->expect + n].key == key;
        }
        st = before ? ST_OK : enqueue(o, rec, key);
    }
    return st;
}

enum status lin_online_take(struct lin_online *o, const struct lin_op *op, struct err *err)
{
    if (op->call < o->horizon) {
        err_set(err, "the operation was called before the horizon");
        return ST_INVAL;
    }
    struct lin_rec rec;
    enum status st = lin_history_record(&o->h, op, &rec, err);
    if (st != ST_OK) {
        return st;
    }
    if (!lin_split_idle(&o->h, &rec)) {
        st = rec.kind >= LIN_SCAN ? enqueue_list(o, &rec) : enqueue(o, &rec, rec.key);
    }
    o->h.sub_count = 0;
    o->taken++;
    return st;
}

/* ---- events out ---- */

/* The subs of open operations move together when others have left holes. */
static void compact_subs(struct lin_key_engine *e)
{
    if (e->open_count == 0) {
        e->prog.sub_count = 0;
    }
}

static enum status zeros_for(struct lin_online *o)
{
    size_t had = o->zero_cap;
    if (had >= o->h.keys.count) {
        return ST_OK;
    }
    enum status st = lin_grow(o->mem, &o->zeros, &o->zero_cap, o->h.keys.count, sizeof *o->zeros);
    for (size_t i = had; st == ST_OK && i < o->zero_cap; i++) {
        o->zeros[i] = 0;
    }
    return st;
}

/* Compiles through a history of one: the pending operation as place 0. */
static enum status compile(struct lin_online *o, struct lin_key_engine *e,
                           const struct lin_pending *p, struct lin_prog_op *op)
{
    enum status st = zeros_for(o);
    struct lin_rec rec = p->rec;
    struct lin_sub *had_subs = o->h.subs;
    struct lin_rec *had_ops = o->h.ops;
    struct lin_split split = {.local_of = o->zeros};
    struct lin_part part = {.keys = o->zeros, .key_count = 1};
    rec.expect = p->sub_count > 0 ? 0 : rec.expect;
    rec.result = p->sub_count > 0 ? p->sub_count : rec.result;
    o->h.ops = &rec;
    o->h.subs = p->subs;
    st = st == ST_OK ? lin_prog_compile(&e->prog, &split, &part, 0, op) : st;
    o->h.ops = had_ops;
    o->h.subs = had_subs;
    op->last_at = LIN_NONE;
    op->group = LIN_NONE;
    return st;
}

static enum status on_call(struct lin_online *o, struct lin_key_engine *e, struct lin_pending *p)
{
    enum status st = e->free_count == 0 ? grow_slots(o, e) : ST_OK;
    if (st != ST_OK) {
        return st;
    }
    compact_subs(e);
    uint32_t slot = e->free_slots[e->free_count - 1];
    struct lin_prog_op *op = &e->prog.ops[slot];
    st = compile(o, e, p, op);
    if (st != ST_OK) {
        return st;
    }
    op->slot = slot;
    p->slot = slot;
    e->free_count--;
    e->open_count++;
    lin_search_call(&e->search, slot);
    return ST_OK;
}

static enum status on_return(struct lin_online *o, struct lin_key_engine *e, struct lin_pending *p)
{
    e->search.steps = 0;
    enum status st = lin_search_return(&e->search, p->slot);
    e->search.stopped = e->search.stopped || e->search.steps > e->search.steps_max;
    e->free_slots[e->free_count++] = p->slot;
    e->open_count--;
    if (st == ST_OK && e->search.stopped) {
        e->given_up = true;
        o->result = o->result == LIN_LINEARIZABLE ? LIN_UNKNOWN : o->result;
    } else if (st == ST_OK && e->search.now.count == 0) {
        e->given_up = true;
        o->result = LIN_NON_LINEARIZABLE;
        o->culprit = p->number;
    }
    return st;
}

/* ---- from a flow to a search ---- */

struct replay {
    struct lin_pending **ops;
    struct lin_key *calls;
    struct lin_key *rets;
    size_t count;
    size_t cap;
    size_t ret_count;
};

static enum status replay_add(struct lin_online *o, struct replay *r, struct lin_pending *p)
{
    enum status st = lin_grow(o->mem, &r->ops, &r->cap, r->count + 1, sizeof(struct lin_pending *));
    if (st == ST_OK) {
        r->ops[r->count++] = p;
    }
    return st;
}

/* What the flow still knows: operations of its blocks, and open reads. */
static enum status replay_collect(struct lin_online *o, const struct lin_key_engine *e,
                                  uint32_t key, struct replay *r)
{
    enum status st = ST_OK;
    for (size_t i = 0; i < e->flow.count && st == ST_OK; i++) {
        const struct lin_block *b = &e->flow.blocks[i];
        st = b->write != NULL ? replay_add(o, r, b->write) : ST_OK;
        if (st == ST_OK && b->first != NULL && b->first != b->write) {
            st = replay_add(o, r, b->first);
        }
        if (st == ST_OK && b->last != NULL && b->last != b->first) {
            st = replay_add(o, r, b->last);
        }
    }
    size_t at = 0;
    const struct lin_event *ev = lin_queue_each(&o->queue, &at);
    for (; ev != NULL && st == ST_OK; ev = lin_queue_each(&o->queue, &at)) {
        struct lin_pending *p = ev->pending;
        bool open = lin_event_returns(ev) && p->called && p->rec.key == key;
        st = open && p->rec.kind == LIN_GET ? replay_add(o, r, p) : ST_OK;
    }
    return st;
}

static enum status replay_sort(struct lin_online *o, struct replay *r)
{
    r->calls = mem_alloc(o->mem, (r->count + 1) * sizeof *r->calls);
    r->rets = mem_alloc(o->mem, (r->count + 1) * sizeof *r->rets);
    if (r->calls == NULL || r->rets == NULL) {
        return ST_NOMEM;
    }
    for (size_t i = 0; i < r->count; i++) {
        const struct lin_pending *p = r->ops[i];
        r->calls[i] = (struct lin_key){lin_key_of(p->rec.call), (uint32_t)i};
        if (!p->queued && p->rec.outcome != LIN_INFO) {
            r->rets[r->ret_count++] = (struct lin_key){lin_key_of(p->rec.ret), (uint32_t)i};
        }
    }
    enum status st = lin_sort(o->mem, r->calls, r->count);
    return st == ST_OK ? lin_sort(o->mem, r->rets, r->ret_count) : st;
}

static enum status replay_run(struct lin_online *o, struct lin_key_engine *e, struct replay *r)
{
    enum status st = ST_OK;
    size_t c = 0;
    size_t n = 0;
    while (st == ST_OK && (c < r->count || n < r->ret_count) && !e->given_up) {
        bool call = c < r->count && (n == r->ret_count || r->calls[c].key <= r->rets[n].key);
        st = call ? on_call(o, e, r->ops[r->calls[c].item])
                  : on_return(o, e, r->ops[r->rets[n].item]);
        *(call ? &c : &n) += 1;
    }
    return st;
}

/* The flow ends; a search begins with the operations that it still holds. */
static enum status to_search(struct lin_online *o, struct lin_key_engine *e, uint32_t key)
{
    struct replay r = {0};
    enum status st = replay_collect(o, e, key, &r);
    st = st == ST_OK ? replay_sort(o, &r) : st;
    st = st == ST_OK ? engine_search(o, lin_flow_init(&e->flow), e) : st;
    st = st == ST_OK ? replay_run(o, e, &r) : st;
    e->flows = false;
    lin_flow_release(&e->flow);
    spare_all(o, &e->flow);
    mem_release(o->mem, r.ops);
    mem_release(o->mem, r.calls);
    mem_release(o->mem, r.rets);
    return st;
}

/* ---- forgetting values ---- */

/* Of the events of one operation. */
static bool last_event(const struct lin_event *e)
{
    return lin_event_returns(e) || e->pending->rec.outcome == LIN_INFO;
}

static enum status keep_value(const struct lin_strtab *old, struct lin_strtab *fresh, uint32_t *id)
{
    if (*id == LIN_ABSENT || *id == LIN_NONE) {
        return ST_OK;
    }
    uint32_t moved;
    enum status st = lin_strtab_add(fresh, lin_strtab_get(old, *id - 1), &moved);
    *id = st == ST_OK ? moved + 1 : *id;
    return st;
}

static enum status keep_sub(const struct lin_strtab *old, struct lin_strtab *fresh,
                            struct lin_sub *s)
{
    enum status st = keep_value(old, fresh, &s->value);
    st = st == ST_OK && s->kind == LIN_CAS ? keep_value(old, fresh, &s->expect) : st;
    return st == ST_OK && s->kind != LIN_CAS ? keep_value(old, fresh, &s->result) : st;
}

static enum status keep_pending(const struct lin_strtab *old, struct lin_strtab *fresh,
                                struct lin_pending *p)
{
    enum status st = ST_OK;
    for (uint32_t i = 0; i < p->sub_count && st == ST_OK; i++) {
        st = keep_sub(old, fresh, &p->subs[i]);
    }
    if (p->sub_count > 0 || st != ST_OK) {
        return st;
    }
    struct lin_sub one = {p->rec.key,    p->rec.value, p->rec.expect,
                          p->rec.result, p->rec.kind,  p->rec.known};
    st = keep_sub(old, fresh, &one);
    p->rec.value = one.value;
    p->rec.expect = one.expect;
    p->rec.result = one.result;
    return st;
}

static enum status keep_flow(const struct lin_strtab *old, struct lin_strtab *fresh,
                             struct lin_flow *f)
{
    enum status st = ST_OK;
    for (size_t i = 0; i < f->count && st == ST_OK; i++) {
        struct lin_block *b = &f->blocks[i];
        st = keep_value(old, fresh, &b->value);
        st = st == ST_OK && b->write != NULL ? keep_pending(old, fresh, b->write) : st;
        if (st == ST_OK && b->first != NULL && b->first != b->write) {
            st = keep_pending(old, fresh, b->first);
        }
        if (st == ST_OK && b->last != NULL && b->last != b->first) {
            st = keep_pending(old, fresh, b->last);
        }
    }
    if (st == ST_OK) {
        lin_flow_reindex(f);
    }
    return st;
}

static enum status keep_engine(const struct lin_strtab *old, struct lin_strtab *fresh,
                               struct lin_key_engine *e)
{
    enum status st = ST_OK;
    if (e->flows) {
        return keep_flow(old, fresh, &e->flow);
    }
    for (size_t i = 0; i < e->search.now.count && st == ST_OK; i++) {
        uint64_t *node = e->search.now.words + i * e->search.node_words;
        st = keep_value(old, fresh, (uint32_t *)(void *)(node + 2 * e->search.width));
    }
    for (uint32_t w = 0; w < e->search.width && st == ST_OK; w++) {
        uint64_t set = e->search.observers[w] | e->search.writers[w];
        for (; set != 0 && st == ST_OK; set &= set - 1) {
            struct lin_prog_op *op = &e->prog.ops[w * 64 + (uint32_t)__builtin_ctzll(set)];
            st = keep_value(old, fresh, &op->need);
            st = st == ST_OK ? keep_value(old, fresh, &op->val) : st;
            for (uint32_t i = 0; i < op->sub_count && st == ST_OK; i++) {
                st = keep_sub(old, fresh, &e->prog.subs[op->sub + i]);
            }
        }
    }
    lin_map_release(&e->search.concat.made_of);
    return st;
}

/* Renumbers the values that are still in use. A refusal in the middle leaves ids of both tables:
 * the checker cannot go on, and its caller gets the status. */
static enum status forget_values(struct lin_online *o)
{
    struct lin_strtab fresh;
    struct lin_strtab old = o->h.values;
    lin_strtab_init(&fresh, o->mem);
    enum status st = keep_value(&old, &fresh, &o->h.fallback);
    for (size_t i = 0; i < o->h.init_count && st == ST_OK; i++) {
        st = keep_value(&old, &fresh, &o->h.init[2 * i + 1]);
    }
    for (size_t k = 0; k < o->engine_cap && st == ST_OK; k++) {
        st = o->engines[k] != NULL ? keep_engine(&old, &fresh, o->engines[k]) : ST_OK;
    }
    size_t at = 0;
    const struct lin_event *e = lin_queue_each(&o->queue, &at);
    for (; e != NULL && st == ST_OK; e = lin_queue_each(&o->queue, &at)) {
        bool once = last_event(e) && e->pending->held == 0;
        st = once ? keep_pending(&old, &fresh, e->pending) : ST_OK;
    }
    lin_strtab_release(&old);
    o->h.values = fresh;
    o->values_max = fresh.count * (size_t)2 > VALUES_FIRST ? fresh.count * (size_t)2 : VALUES_FIRST;
    /* A round looks at every key, so it has to be worth that. */
    o->values_max = o->values_max > o->engine_cap ? o->values_max : o->engine_cap;
    return st;
}

/* ---- the rest ---- */

static enum status on_flow_call(struct lin_online *o, struct lin_key_engine *e,
                                struct lin_pending *p)
{
    bool fits = lin_flow_suits(p);
    enum status st = fits ? lin_flow_call(&e->flow, p, &fits) : ST_OK;
    if (st != ST_OK || fits) {
        return st;
    }
    st = to_search(o, e, p->rec.key);
    return st == ST_OK && !e->given_up ? on_call(o, e, p) : st;
}

static void on_flow_return(struct lin_online *o, struct lin_key_engine *e, struct lin_pending *p)
{
    if (!lin_flow_return(&e->flow, p)) {
        e->given_up = true;
        o->result = LIN_NON_LINEARIZABLE;
        o->culprit = p->number;
    }
    spare_all(o, &e->flow);
}

static enum status on_event(struct lin_online *o, struct lin_pending *p)
{
    struct lin_key_engine *e;
    enum status st = engine_of(o, p->rec.key, &e);
    bool ends = p->called;
    bool last = ends || p->rec.outcome == LIN_INFO;
    if (st == ST_OK && !e->given_up) {
        if (!e->flows) {
            st = ends ? on_return(o, e, p) : on_call(o, e, p);
        } else if (ends) {
            on_flow_return(o, e, p);
        } else {
            st = on_flow_call(o, e, p);
        }
    }
    p->called = true;
    p->queued = !last; /* not before: whoever lets go of it would free it */
    if (last && p->held == 0) {
        pending_free(o, p);
    }
    return st;
}

enum status lin_online_advance(struct lin_online *o, int64_t horizon)
{
    enum status st = ST_OK;
    o->horizon = horizon > o->horizon ? horizon : o->horizon;
    const struct lin_event *e = lin_queue_first(&o->queue);
    while (st == ST_OK && e != NULL && e->time < o->horizon) {
        struct lin_pending *p = e->pending;
        lin_queue_pop(&o->queue);
        st = on_event(o, p);
        e = lin_queue_first(&o->queue);
    }
    if (st == ST_OK && o->h.values.count > o->values_max) {
        st = forget_values(o);
    }
    return st;
}

void lin_online_init(struct lin_online *o, struct mem *mem, const struct lin_options *limits)
{
    *o = (struct lin_online){.mem = mem, .horizon = INT64_MIN, .values_max = VALUES_FIRST};
    o->limits = limits != NULL ? *limits : (struct lin_options){0};
    o->limits.steps = o->limits.steps > 0 ? o->limits.steps : STEPS_DEFAULT;
    o->limits.memory = o->limits.memory > 0 ? o->limits.memory : MEMORY_DEFAULT;
    lin_history_init(&o->h, mem);
}

void lin_online_release(struct lin_online *o)
{
    if (o->mem == NULL) {
        return;
    }
    size_t at = 0;
    const struct lin_event *e = lin_queue_each(&o->queue, &at);
    for (; e != NULL; e = lin_queue_each(&o->queue, &at)) {
        bool last = last_event(e);
        e->pending->queued = e->pending->queued && !last;
        if (last && e->pending->held == 0) {
            pending_free(o, e->pending);
        }
    }
    for (size_t k = 0; k < o->engine_cap; k++) {
        engine_free(o, o->engines[k]);
    }
    while (o->spare != NULL) {
        struct lin_pending *p = o->spare;
        o->spare = p->next;
        mem_release(o->mem, p);
    }
    mem_release(o->mem, o->engines);
    mem_release(o->mem, o->zeros);
    lin_queue_release(&o->queue, o->mem);
    lin_history_release(&o->h);
    *o = (struct lin_online){0};
}

enum status lin_online_set_init(struct lin_online *o, struct slice key, struct lin_value value)
{
    return lin_history_set_init(&o->h, key, value);
}
