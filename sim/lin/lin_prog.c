/* lin_prog.c - see lin_prog.h. */
#include "sim/lin/lin_prog.h"
#include "sim/lin/lin_sort.h"
#include "sim/lin/lin_witness.h"

#include "base/hash.h"

#define EASY_SLOTS \
    8 /* a key with so few operations open at once is quick without rules 10 and 11 */

void lin_prog_release(struct lin_prog *p)
{
    if (p->mem == NULL) {
        return;
    }
    mem_release(p->mem, p->init);
    mem_release(p->mem, p->ops);
    mem_release(p->mem, p->subs);
    mem_release(p->mem, p->sub_seen);
    lin_map_release(&p->owed);
    mem_release(p->mem, p->events);
    mem_release(p->mem, p->seen_at);
    mem_release(p->mem, p->loose_at);
    mem_release(p->mem, p->blurred);
    *p = (struct lin_prog){0};
}

/* ---- operations ---- */

/* Adds a sub; a read whose result is not known shows nothing. */
static enum status add_sub(struct lin_prog *p, struct lin_prog_op *op, const struct lin_sub *sub)
{
    if (sub->kind == LIN_GET && !sub->known) {
        return ST_OK;
    }
    enum status st = lin_grow(p->mem, &p->subs, &p->sub_cap, p->sub_count + 1, sizeof *p->subs);
    if (st == ST_OK) {
        p->subs[p->sub_count++] = *sub;
        op->sub_count++;
    }
    return st;
}

/* The pairs that were seen, and all other keys of the range as absent. */
static enum status compile_scan(struct lin_prog *p, const struct lin_split *s,
                                const struct lin_part *part, const struct lin_rec *rec,
                                struct lin_prog_op *op)
{
    uint32_t first;
    uint32_t end;
    lin_split_range(p->h, part, rec, &first, &end);
    const struct lin_sub *got = rec->result > 0 ? p->h->subs + rec->expect : NULL;
    uint32_t n = 0;
    op->type = LIN_T_VIEW;
    enum status st = ST_OK;
    for (uint32_t k = first; k < end && st == ST_OK; k++) {
        bool there = n < rec->result && s->local_of[got[n].key] == k;
        struct lin_sub sub = {.key = k, .kind = LIN_GET, .known = true};
        sub.result = there ? got[n++].result : LIN_ABSENT;
        st = add_sub(p, op, &sub);
    }
    return st;
}

static bool sub_writes(const struct lin_sub *sub)
{
    return !(sub->kind == LIN_GET || (sub->kind == LIN_CAS && sub->known && sub->result == 0));
}

static bool sub_total(const struct lin_sub *sub)
{
    return sub->kind == LIN_PUT || sub->kind == LIN_DEL || sub->kind == LIN_APPEND ||
           (sub->kind == LIN_CAS && !sub->known);
}

static enum status compile_batch(struct lin_prog *p, const struct lin_split *s,
                                 const struct lin_rec *rec, struct lin_prog_op *op)
{
    bool writes = false;
    bool reads_all = true;
    op->total = true;
    enum status st = ST_OK;
    for (uint32_t i = 0; i < rec->result && st == ST_OK; i++) {
        struct lin_sub sub = p->h->subs[rec->expect + i];
        sub.key = s->local_of[sub.key];
        sub.known = sub.known && rec->outcome == LIN_OK;
        if (sub.kind == LIN_GET && !sub.known) {
            continue;
        }
        writes = writes || sub_writes(&sub);
        reads_all = reads_all && sub.kind == LIN_GET;
        op->total = op->total && sub_total(&sub);
        st = add_sub(p, op, &sub);
    }
    op->type = writes || !reads_all ? LIN_T_BATCH : LIN_T_VIEW;
    return st;
}

static void compile_cas(const struct lin_rec *rec, struct lin_prog_op *op, bool told)
{
    op->need = rec->expect;
    op->val = rec->value;
    bool same = rec->expect == rec->value;
    if (told) {
        op->type = rec->result == 0 ? LIN_T_NOT : same ? LIN_T_IS : LIN_T_CAS;
        return;
    }
    /* Unknown whether it is there at all: only taking effect is of interest. */
    op->type = op->info ? LIN_T_CAS : LIN_T_MAYBE;
    op->total = !op->info;
}

enum status lin_prog_compile(struct lin_prog *p, const struct lin_split *s,
                             const struct lin_part *part, uint32_t place, struct lin_prog_op *op)
{
    const struct lin_rec *rec = &p->h->ops[place];
    *op = (struct lin_prog_op){.place = place, .info = rec->outcome == LIN_INFO};
    op->sub = (uint32_t)p->sub_count;
    op->ret_at = LIN_NONE;
    op->deadline = op->info ? LIN_NEVER : rec->ret;
    bool list = rec->kind == LIN_SCAN || rec->kind == LIN_BATCH;
    op->key = list ? 0 : s->local_of[rec->key];
    op->val = rec->value;
    bool told = !op->info && rec->known;
    switch (rec->kind) {
    case LIN_GET:
        op->type = LIN_T_IS;
        op->need = rec->result;
        return ST_OK;
    case LIN_PUT:
    case LIN_DEL:
        op->type = LIN_T_PUT;
        op->total = true;
        return ST_OK;
    case LIN_CAS:
        compile_cas(rec, op, told);
        return ST_OK;
    case LIN_APPEND:
        op->type = LIN_T_APPEND;
        op->total = true;
        p->grows = true;
        return ST_OK;
    case LIN_INCR:
        op->type = LIN_T_INCR;
        op->need = told ? rec->result : LIN_NONE;
        return ST_OK;
    case LIN_SCAN:
        return compile_scan(p, s, part, rec, op);
    default:
        return compile_batch(p, s, rec, op);
    }
}

/* Leaves only what it writes. */
static void weaken(struct lin_prog *p, struct lin_prog_op *op)
{
    if (op->type == LIN_T_CAS || op->type == LIN_T_MAYBE || op->type == LIN_T_INCR) {
        op->info = op->info || op->type == LIN_T_MAYBE;
        op->val = op->type == LIN_T_INCR ? op->need : op->val;
        op->need = 0;
        op->type = LIN_T_PUT;
        op->total = true;
    }
    if (op->type != LIN_T_BATCH) {
        return;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < op->sub_count; i++) {
        struct lin_sub *sub = &p->subs[op->sub + i];
        if (sub->kind != LIN_GET) {
            p->subs[op->sub + kept++] = *sub;
        }
    }
    op->sub_count = kept;
    op->total = true;
    for (uint32_t i = 0; i < kept; i++) {
        op->total = op->total && sub_total(&p->subs[op->sub + i]);
    }
}

/* ---- events ---- */

static bool returns(const struct lin_prog *p, const struct lin_prog_op *op)
{
    return !op->info && p->h->ops[op->place].ret != LIN_NEVER;
}

/* Merges calls (already in order) with the sorted returns. */
static void merge_events(struct lin_prog *p, const struct lin_key *rets, uint32_t ret_count)
{
    uint32_t c = 0;
    uint32_t r = 0;
    while (c < p->op_count || r < ret_count) {
        bool call = c < p->op_count &&
                    (r == ret_count || lin_key_of(p->h->ops[p->ops[c].place].call) <= rets[r].key);
        uint32_t op = call ? c++ : rets[r++].item;
        *(call ? &p->ops[op].call_at : &p->ops[op].ret_at) = p->event_count;
        p->events[p->event_count++] = op * 2 + (call ? 0 : 1);
    }
}

static enum status make_events(struct lin_prog *p)
{
    size_t most = (size_t)p->op_count * 2 + 1;
    struct lin_key *rets = mem_alloc(p->mem, most * sizeof *rets);
    p->events = mem_alloc(p->mem, most * sizeof *p->events);
    enum status st = rets != NULL && p->events != NULL ? ST_OK : ST_NOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; st == ST_OK && i < p->op_count; i++) {
        if (returns(p, &p->ops[i])) {
            rets[count++] = (struct lin_key){lin_key_of(p->h->ops[p->ops[i].place].ret), i};
        }
    }
    if (st == ST_OK) {
        st = lin_sort(p->mem, rets, count);
    }
    if (st == ST_OK) {
        merge_events(p, rets, count);
    }
    mem_release(p->mem, rets);
    return st;
}

/* The lowest free slot to each call. */
static enum status assign_slots(struct lin_prog *p)
{
    uint32_t *free_slots = mem_alloc(p->mem, ((size_t)p->op_count + 1) * sizeof *free_slots);
    if (free_slots == NULL) {
        return ST_NOMEM;
    }
    uint32_t free_count = 0;
    for (uint32_t e = 0; e < p->event_count; e++) {
        struct lin_prog_op *op = &p->ops[p->events[e] / 2];
        if (p->events[e] % 2 == 1) {
            free_slots[free_count++] = op->slot;
        } else {
            op->slot = free_count > 0 ? free_slots[--free_count] : p->slot_count++;
        }
    }
    mem_release(p->mem, free_slots);
    return ST_OK;
}

/* ---- who looks at what, and until when ---- */

static void later(uint32_t *at, uint32_t event)
{
    *at = event > *at ? event : *at; /* LIN_NONE, "for ever", is the greatest */
}

static enum status look(struct lin_prog *p, struct lin_map *wants, uint32_t key, uint32_t value,
                        uint32_t until)
{
    uint64_t *at = lin_map_at(wants, lin_map_pair(key, value), 0);
    if (at == NULL) {
        return ST_NOMEM;
    }
    *at = until > *at ? until : *at;
    later(&p->seen_at[key], until);
    return ST_OK;
}

static void look_loosely(struct lin_prog *p, uint32_t key, uint32_t until, bool append)
{
    p->blurred[key] = p->blurred[key] != 0 || !append ? 1 : 0;
    later(&p->seen_at[key], until);
    later(&p->loose_at[key], until);
}

static enum status look_subs(struct lin_prog *p, struct lin_map *wants,
                             const struct lin_prog_op *op)
{
    enum status st = ST_OK;
    for (uint32_t i = 0; i < op->sub_count && st == ST_OK; i++) {
        const struct lin_sub *sub = &p->subs[op->sub + i];
        if (sub->kind == LIN_GET) {
            st = look(p, wants, sub->key, sub->result, op->ret_at);
        } else if (sub->kind != LIN_PUT && sub->kind != LIN_DEL) {
            look_loosely(p, sub->key, op->ret_at, sub->kind == LIN_APPEND);
        }
    }
    return st;
}

static enum status note_looks(struct lin_prog *p, struct lin_map *wants)
{
    enum status st = ST_OK;
    for (uint32_t i = 0; i < p->op_count && st == ST_OK; i++) {
        const struct lin_prog_op *op = &p->ops[i];
        switch ((enum lin_type)op->type) {
        case LIN_T_IS:
        case LIN_T_CAS:
            st = look(p, wants, op->key, op->need, op->ret_at);
            break;
        case LIN_T_NOT:
        case LIN_T_MAYBE:
        case LIN_T_APPEND:
        case LIN_T_INCR:
            look_loosely(p, op->key, op->ret_at, op->type == LIN_T_APPEND);
            break;
        case LIN_T_VIEW:
        case LIN_T_BATCH:
            st = look_subs(p, wants, op);
            break;
        case LIN_T_PUT:
            break;
        }
    }
    return st;
}

/* An append looks at what was there only if somebody looks at the outcome. So where appends are
 * all that is loose, only appends matter; that is left to the search. */
static void set_last(struct lin_prog *p, const struct lin_map *wants, struct lin_prog_op *op)
{
    op->last_at = 0;
    if (op->type == LIN_T_BATCH) {
        for (uint32_t i = 0; i < op->sub_count; i++) {
            const struct lin_sub *sub = &p->subs[op->sub + i];
            if (sub_writes(sub)) {
                later(&op->last_at, p->seen_at[sub->key]);
            }
        }
        return;
    }
    bool named = op->type == LIN_T_PUT || op->type == LIN_T_CAS || op->type == LIN_T_MAYBE;
    if (!named) {
        op->last_at = p->seen_at[op->key];
        return;
    }
    op->last_at = p->loose_at[op->key];
    const uint64_t *at = lin_map_find(wants, lin_map_pair(op->key, op->val));
    if (at != NULL) {
        later(&op->last_at, (uint32_t)*at);
    }
}

/* Groups operations of one key and equal effect. */
static enum status make_groups(struct lin_prog *p)
{
    struct lin_map groups;
    lin_map_init(&groups, p->mem);
    enum status st = ST_OK;
    for (uint32_t i = 0; i < p->op_count; i++) {
        struct lin_prog_op *op = &p->ops[i];
        op->group = i;
        if (lin_prog_observes(op) || op->type == LIN_T_BATCH) {
            continue;
        }
        /* Two rounds of mixing make the key; equality is checked, a clash only costs a twin. */
        uint64_t key = hash_add(hash_add(op->type, lin_map_pair(op->key, op->need)), op->val) >> 1;
        uint64_t *first = lin_map_at(&groups, key, i);
        if (first == NULL) {
            st = ST_NOMEM;
            break;
        }
        struct lin_prog_op *f = &p->ops[*first];
        if (f != op && f->type == op->type && f->key == op->key && f->need == op->need &&
            f->val == op->val) {
            op->group = f->group;
            op->twin = true;
            f->twin = true;
        }
    }
    lin_map_release(&groups);
    return st;
}

/* ---- values that have one writer, and that somebody has to see ---- */

/* For each (key, value): how many operations write it, and until which event an acknowledged
 * operation looks for it. Both in one number: writers << 32 | event. */
struct tally {
    struct lin_map pairs;
    struct lin_map *owed; /* the same pairs: the last call of such an operation */
};

static enum status count_writer(struct tally *t, uint32_t key, uint32_t value)
{
    uint64_t *at = lin_map_at(&t->pairs, lin_map_pair(key, value), 0);
    if (at == NULL) {
        return ST_NOMEM;
    }
    *at += (uint64_t)1 << 32;
    return ST_OK;
}

static enum status count_look(struct tally *t, const struct lin_prog_op *op, uint32_t key,
                              uint32_t value)
{
    uint64_t *at = lin_map_at(&t->pairs, lin_map_pair(key, value), 0);
    uint64_t *call = lin_map_at(t->owed, lin_map_pair(key, value), 0);
    if (at == NULL || call == NULL) {
        return ST_NOMEM;
    }
    uint32_t until = (uint32_t)*at;
    later(&until, op->ret_at);
    *at = (*at >> 32 << 32) | until;
    *call = op->call_at > *call ? op->call_at : *call;
    return ST_OK;
}

static enum status count_sub(struct tally *t, const struct lin_prog_op *op, const struct lin_sub *s)
{
    bool cas = s->kind == LIN_CAS;
    enum status st = ST_OK;
    if ((s->kind == LIN_GET || (cas && s->known && s->result != 0)) && !op->info) {
        st = count_look(t, op, s->key, cas ? s->expect : s->result);
    }
    return st == ST_OK && s->kind != LIN_GET ? count_writer(t, s->key, s->value) : st;
}

static enum status count_op(struct tally *t, const struct lin_prog *p, const struct lin_prog_op *op)
{
    enum status st = ST_OK;
    switch ((enum lin_type)op->type) {
    case LIN_T_IS:
        return count_look(t, op, op->key, op->need);
    case LIN_T_CAS:
        st = op->info ? ST_OK : count_look(t, op, op->key, op->need);
        return st == ST_OK ? count_writer(t, op->key, op->val) : st;
    case LIN_T_PUT:
    case LIN_T_MAYBE:
        return count_writer(t, op->key, op->val);
    case LIN_T_VIEW:
    case LIN_T_BATCH:
        for (uint32_t i = 0; i < op->sub_count && st == ST_OK; i++) {
            st = count_sub(t, op, &p->subs[op->sub + i]);
        }
        return st;
    default:
        return ST_OK;
    }
}

/* Until when somebody has to see this value, if it has one writer; else 0. */
static uint32_t seen_until(const struct tally *t, uint32_t key, uint32_t value)
{
    const uint64_t *at = lin_map_find(&t->pairs, lin_map_pair(key, value));
    return at != NULL && *at >> 32 == 1 ? (uint32_t)*at : 0;
}

static void set_must(struct lin_prog *p, const struct tally *t, struct lin_prog_op *op)
{
    op->must_at = 0;
    if (op->type == LIN_T_PUT) {
        op->must_at = seen_until(t, op->key, op->val);
    }
    for (uint32_t i = 0; i < op->sub_count && op->type == LIN_T_BATCH; i++) {
        const struct lin_sub *s = &p->subs[op->sub + i];
        if (s->kind == LIN_PUT || s->kind == LIN_DEL) {
            p->sub_seen[op->sub + i] = seen_until(t, s->key, s->value);
            later(&op->must_at, op->total ? p->sub_seen[op->sub + i] : 0);
        }
    }
}

/* Forgets what is owed for pairs with several writers. */
static void drop_shared(struct lin_prog *p, const struct tally *t)
{
    for (size_t i = 0; i < p->owed.slot_count; i++) {
        struct lin_map_slot *s = &p->owed.slots[i];
        if (s->key != UINT64_MAX &&
            seen_until(t, (uint32_t)(s->key >> 32), (uint32_t)s->key) == 0) {
            s->value = 0;
        }
    }
}

/* Where sums and appended texts are made, any operation may write any value: nothing is certain. */
static bool makes_values(const struct lin_prog *p)
{
    bool made = p->grows;
    for (uint32_t i = 0; i < p->op_count && !made; i++) {
        made = p->ops[i].type == LIN_T_INCR;
    }
    for (size_t i = 0; i < p->sub_count && !made; i++) {
        made = p->subs[i].kind == LIN_INCR || p->subs[i].kind == LIN_APPEND;
    }
    return made;
}

static enum status make_must(struct lin_prog *p)
{
    struct tally t = {.owed = &p->owed};
    lin_map_init(&t.pairs, p->mem);
    bool easy = p->key_count == 1 && p->slot_count <= EASY_SLOTS;
    if (easy || makes_values(p)) {
        return ST_OK;
    }
    p->sub_seen = mem_zalloc(p->mem, (p->sub_count + 1) * sizeof *p->sub_seen);
    enum status st = p->sub_seen != NULL ? ST_OK : ST_NOMEM;
    for (uint32_t k = 0; k < p->key_count && st == ST_OK; k++) {
        st = count_writer(&t, k, p->init[k]);
    }
    for (uint32_t i = 0; i < p->op_count && st == ST_OK; i++) {
        st = count_op(&t, p, &p->ops[i]);
    }
    for (uint32_t i = 0; i < p->op_count && st == ST_OK; i++) {
        set_must(p, &t, &p->ops[i]);
    }
    if (st == ST_OK) {
        drop_shared(p, &t);
    }
    lin_map_release(&t.pairs);
    return st;
}

static enum status make_looks(struct lin_prog *p)
{
    struct lin_map wants;
    lin_map_init(&wants, p->mem);
    enum status st = note_looks(p, &wants);
    for (uint32_t i = 0; st == ST_OK && i < p->op_count; i++) {
        set_last(p, &wants, &p->ops[i]);
    }
    lin_map_release(&wants);
    st = st == ST_OK ? make_must(p) : st;
    return st == ST_OK ? make_groups(p) : st;
}

static enum status allocate(struct lin_prog *p, const struct lin_split *s,
                            const struct lin_part *part)
{
    p->key_count = part->key_count;
    p->init = mem_alloc(p->mem, part->key_count * sizeof *p->init);
    p->ops = mem_alloc(p->mem, ((size_t)part->op_count + 1) * sizeof *p->ops);
    p->seen_at = mem_zalloc(p->mem, part->key_count * sizeof *p->seen_at);
    p->loose_at = mem_zalloc(p->mem, part->key_count * sizeof *p->loose_at);
    p->blurred = mem_zalloc(p->mem, part->key_count);
    if (p->init == NULL || p->ops == NULL || p->seen_at == NULL || p->loose_at == NULL ||
        p->blurred == NULL) {
        return ST_NOMEM;
    }
    for (uint32_t k = 0; k < part->key_count; k++) {
        p->init[k] = s->init[part->keys[k]];
    }
    return ST_OK;
}

enum status lin_prog_make(struct lin_prog *p, const struct lin_history *h,
                          const struct lin_split *s, const struct lin_part *part,
                          const uint8_t *keep)
{
    *p = (struct lin_prog){.mem = h->mem, .h = h};
    lin_map_init(&p->owed, h->mem);
    enum status st = allocate(p, s, part);
    for (uint32_t i = 0; st == ST_OK && i < part->op_count; i++) {
        enum lin_keep level = keep == NULL ? LIN_FULL : (enum lin_keep)keep[i];
        if (level == LIN_DROP) {
            continue;
        }
        struct lin_prog_op *op = &p->ops[p->op_count++];
        st = lin_prog_compile(p, s, part, part->ops[i], op);
        if (level == LIN_WEAK && st == ST_OK) {
            weaken(p, op);
        }
    }
    if (st == ST_OK) {
        st = make_events(p);
    }
    if (st == ST_OK) {
        st = assign_slots(p);
    }
    return st == ST_OK ? make_looks(p) : st;
}
