/* lin_step.c - see lin_step.h. The rules are numbered as in docs/lin.md. */
#include "sim/lin/lin_step.h"

static bool bit(const uint64_t *set, uint32_t slot)
{
    return (set[slot / 64] >> slot % 64 & 1) != 0;
}

static void set_bit(uint64_t *set, uint32_t slot)
{
    set[slot / 64] |= (uint64_t)1 << slot % 64;
}

static const uint32_t *values(const struct lin_search *s, const uint64_t *node)
{
    return (const uint32_t *)(const void *)(node + 2 * s->width);
}

static const struct lin_prog_op *op_in(const struct lin_search *s, uint32_t slot)
{
    return &s->p->ops[s->slot_op[slot]];
}

static bool holds(const struct lin_search *s, const uint32_t *vals, const struct lin_prog_op *op)
{
    if (op->type == LIN_T_IS) {
        return vals[op->key] == op->need;
    }
    if (op->type == LIN_T_NOT) {
        return vals[op->key] != op->need;
    }
    for (uint32_t i = 0; i < op->sub_count; i++) {
        const struct lin_sub *sub = &s->p->subs[op->sub + i];
        if (vals[sub->key] != sub->result) {
            return false;
        }
    }
    return true;
}

/* Rule 2: in this state the writer changes nothing, so it could take effect unnoticed. */
static bool idles(const uint32_t *vals, const struct lin_prog_op *op)
{
    return (op->type == LIN_T_PUT && vals[op->key] == op->val) ||
           (op->type == LIN_T_MAYBE && vals[op->key] != op->need);
}

void lin_step_open(const struct lin_search *s, uint64_t *node, const struct lin_prog_op *op)
{
    const uint32_t *vals = values(s, node);
    if (lin_prog_observes(op)) {
        if (holds(s, vals, op)) {
            set_bit(node, op->slot);
        }
        return;
    }
    set_bit(node + s->width, op->slot);
    if (op->info || idles(vals, op)) {
        set_bit(node, op->slot);
    }
}

/* Nobody looks at what it writes after this event: whether it took effect is all the same. */
static bool unseen(const struct lin_search *s, const struct lin_prog_op *op)
{
    if (!op->total) {
        return false;
    }
    if (op->type != LIN_T_BATCH) {
        return s->p->seen_at[op->key] <= s->event;
    }
    for (uint32_t i = 0; i < op->sub_count; i++) {
        if (s->p->seen_at[s->p->subs[op->sub + i].key] > s->event) {
            return false;
        }
    }
    return true;
}

enum lin_need lin_step_need(const struct lin_search *s, const uint64_t *node,
                            const struct lin_prog_op *op)
{
    bool done = bit(node, op->slot);
    bool live = bit(node + s->width, op->slot);
    if (done && (!live || op->last_at <= s->event)) {
        return LIN_NEED_NOTHING;
    }
    if (!done && live && unseen(s, op)) {
        return LIN_NEED_NOTHING;
    }
    /* Rule 10: somebody has to see its value, and this is the last chance to show it. */
    return done && op->must_at <= s->event ? LIN_NEED_EITHER : LIN_NEED_MUST;
}

/* ---- what is near ---- */

static bool touches_near(const struct lin_search *s, const struct lin_prog_op *op)
{
    if (op->sub_count == 0) {
        return s->near[op->key] != 0;
    }
    for (uint32_t i = 0; i < op->sub_count; i++) {
        if (s->near[s->p->subs[op->sub + i].key] != 0) {
            return true;
        }
    }
    return false;
}

/* True when a key was not near before. */
static bool mark_near(struct lin_search *s, const struct lin_prog_op *op)
{
    bool news = false;
    if (op->sub_count == 0) {
        news = s->near[op->key] == 0;
        s->near[op->key] = 1;
    }
    for (uint32_t i = 0; i < op->sub_count; i++) {
        uint32_t key = s->p->subs[op->sub + i].key;
        news = news || s->near[key] == 0;
        s->near[key] = 1;
    }
    return news;
}

void lin_step_near(struct lin_search *s, const struct lin_prog_op *op)
{
    if (s->p->key_count == 1) {
        s->near[0] = 1;
        return;
    }
    memset(s->near, 0, s->p->key_count);
    bool news = mark_near(s, op);
    while (news) {
        news = false;
        for (uint32_t w = 0; w < s->width; w++) {
            for (uint64_t set = s->observers[w] | s->writers[w]; set != 0; set &= set - 1) {
                const struct lin_prog_op *o = op_in(s, w * 64 + (uint32_t)__builtin_ctzll(set));
                if (touches_near(s, o) && mark_near(s, o)) {
                    news = true;
                }
            }
        }
    }
}

/* ---- taking effect ---- */

/* One part of a batch; *fits is false when what it saw cannot be. */
static enum status apply_sub(struct lin_search *s, uint32_t *vals, const struct lin_sub *sub,
                             bool *fits)
{
    uint32_t *at = &vals[sub->key];
    uint32_t sum;
    enum status st = ST_OK;
    switch (sub->kind) {
    case LIN_GET:
        *fits = !sub->known || *at == sub->result;
        break;
    case LIN_PUT:
    case LIN_DEL:
        *at = sub->value;
        break;
    case LIN_CAS:
        *fits = !sub->known || (*at == sub->expect) == (sub->result != 0);
        *at = *fits && *at == sub->expect ? sub->value : *at;
        break;
    case LIN_APPEND:
        st = lin_concat_append(&s->concat, *at, sub->value, at);
        break;
    default:
        st = lin_concat_add(&s->concat, *at, sub->value, &sum);
        *fits = sum != LIN_NONE && (!sub->known || sum == sub->result);
        *at = *fits ? sum : *at;
        break;
    }
    return st;
}

/* A batch overwrites a key blindly when it does so before it looks at it. Appends and a
 * compare-and-set of unknown result do not look. An odd stamp is a key that was looked at. */
static void mark_touch(struct lin_search *s, const struct lin_sub *sub)
{
    bool blind = sub->kind == LIN_PUT || sub->kind == LIN_DEL;
    bool neutral = sub->kind == LIN_APPEND || (sub->kind == LIN_CAS && !sub->known);
    if (!neutral && s->stamp[sub->key] / 2 != s->applied / 2) {
        s->stamp[sub->key] = s->applied + (blind ? 0 : 1);
    }
}

static enum status apply_batch(struct lin_search *s, uint32_t *vals, const struct lin_prog_op *op,
                               bool *fits)
{
    enum status st = ST_OK;
    *fits = true;
    for (uint32_t i = 0; i < op->sub_count && *fits && st == ST_OK; i++) {
        const struct lin_sub *sub = &s->p->subs[op->sub + i];
        mark_touch(s, sub);
        st = apply_sub(s, vals, sub, fits);
    }
    return st;
}

static enum status apply_values(struct lin_search *s, uint32_t *vals, const struct lin_prog_op *op,
                                bool *fits)
{
    uint32_t *at = &vals[op->key];
    uint32_t sum;
    enum status st = ST_OK;
    switch ((enum lin_type)op->type) {
    case LIN_T_PUT:
        s->stamp[op->key] = s->applied;
        *fits = true;
        *at = op->val;
        return ST_OK;
    case LIN_T_CAS:
    case LIN_T_MAYBE:
        *fits = *at == op->need;
        *at = *fits ? op->val : *at;
        return ST_OK;
    case LIN_T_APPEND:
        *fits = true;
        return lin_concat_append(&s->concat, *at, op->val, at);
    case LIN_T_INCR:
        st = lin_concat_add(&s->concat, *at, op->val, &sum);
        *fits = sum != LIN_NONE && (op->need == LIN_NONE || sum == op->need);
        *at = *fits ? sum : *at;
        return st;
    default:
        return apply_batch(s, vals, op, fits);
    }
}

/* Rule 3: it could have taken effect just before what was applied, and was overwritten. */
static bool hidden(const struct lin_search *s, const struct lin_prog_op *op)
{
    if (!op->total) {
        return false;
    }
    if (op->type != LIN_T_BATCH) {
        return s->stamp[op->key] == s->applied;
    }
    for (uint32_t i = 0; i < op->sub_count; i++) {
        if (s->stamp[s->p->subs[op->sub + i].key] != s->applied) {
            return false;
        }
    }
    return true;
}

/* What the new state, and the way to it, mean for the others that are open. */
static void notify(const struct lin_search *s, uint64_t *node)
{
    const uint32_t *vals = values(s, node);
    for (uint32_t w = 0; w < s->width; w++) {
        for (uint64_t set = s->observers[w] & ~node[w]; set != 0; set &= set - 1) {
            uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(set);
            if (holds(s, vals, op_in(s, slot))) {
                set_bit(node, slot);
            }
        }
        for (uint64_t set = s->writers[w] & ~node[w]; set != 0; set &= set - 1) {
            uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(set);
            const struct lin_prog_op *op = op_in(s, slot);
            if (hidden(s, op) || idles(vals, op)) {
                set_bit(node, slot);
            }
        }
    }
}

static enum status apply(struct lin_search *s, uint64_t *node, const struct lin_prog_op *op,
                         bool *fits)
{
    s->applied += 2;
    if (s->applied == 0) {
        memset(s->stamp, 0, s->p->key_count * sizeof *s->stamp);
        s->applied = 2;
    }
    enum status st = apply_values(s, lin_step_values(s, node), op, fits);
    if (st == ST_OK && *fits) {
        set_bit(node, op->slot);
        node[s->width + op->slot / 64] &= ~((uint64_t)1 << op->slot % 64);
        notify(s, node);
    }
    return st;
}

/* ---- who is worth trying ---- */

static bool sub_wants(const struct lin_sub *sub, uint32_t key, uint32_t val)
{
    if (sub->key != key) {
        return false;
    }
    if (sub->kind == LIN_GET) {
        return sub->result == val;
    }
    return sub->kind != LIN_PUT && sub->kind != LIN_DEL;
}

static bool op_wants(const struct lin_search *s, const struct lin_prog_op *op, uint32_t key,
                     uint32_t val)
{
    if (op->sub_count > 0) {
        for (uint32_t i = 0; i < op->sub_count; i++) {
            if (sub_wants(&s->p->subs[op->sub + i], key, val)) {
                return true;
            }
        }
        return false;
    }
    if (op->key != key) {
        return false;
    }
    switch ((enum lin_type)op->type) {
    case LIN_T_IS:
    case LIN_T_CAS:
    case LIN_T_MAYBE:
        return op->need == val;
    case LIN_T_NOT:
        return op->need != val;
    case LIN_T_APPEND:
    case LIN_T_INCR:
        return true;
    default:
        return false;
    }
}

/* Rule 4: some open operation that is not yet done looks for this value. */
static bool wanted(const struct lin_search *s, const uint64_t *node, uint32_t key, uint32_t val)
{
    for (uint32_t w = 0; w < s->width; w++) {
        uint64_t set = (s->observers[w] & ~node[w]) | (s->writers[w] & node[s->width + w]);
        for (; set != 0; set &= set - 1) {
            if (op_wants(s, op_in(s, w * 64 + (uint32_t)__builtin_ctzll(set)), key, val)) {
                return true;
            }
        }
    }
    return false;
}

static void gather_one(struct lin_step_iter *it, uint32_t value)
{
    for (uint32_t i = 0; i < it->want_count; i++) {
        if (it->wants[i] == value) {
            return;
        }
    }
    if (it->want_count == LIN_STEP_WANTS) {
        it->any = true;
        return;
    }
    it->wants[it->want_count++] = value;
}

/* The same question for all candidates of a node at once, where there is one key. */
static void gather(const struct lin_search *s, struct lin_step_iter *it, const uint64_t *node)
{
    it->gathered = true;
    it->any = false;
    it->want_count = 0;
    for (uint32_t w = 0; w < s->width && !it->any; w++) {
        uint64_t set = (s->observers[w] & ~node[w]) | (s->writers[w] & node[s->width + w]);
        for (; set != 0; set &= set - 1) {
            const struct lin_prog_op *op = op_in(s, w * 64 + (uint32_t)__builtin_ctzll(set));
            bool named = op->type == LIN_T_IS || op->type == LIN_T_CAS || op->type == LIN_T_MAYBE;
            if (named) {
                gather_one(it, op->need);
            } else if (op->type != LIN_T_PUT) {
                it->any = true;
            }
        }
    }
}

/* `any` is only a hint that the slow way has to be asked. */
static bool wanted_once(const struct lin_search *s, struct lin_step_iter *it, const uint64_t *node,
                        const struct lin_prog_op *op)
{
    if (s->p->key_count > 1) {
        return wanted(s, node, op->key, op->val);
    }
    if (!it->gathered) {
        gather(s, it, node);
    }
    for (uint32_t i = 0; i < it->want_count; i++) {
        if (it->wants[i] == op->val) {
            return true;
        }
    }
    return it->any && wanted(s, node, op->key, op->val);
}

static bool writes_key(const struct lin_search *s, const struct lin_prog_op *op, uint32_t key)
{
    if (op->sub_count == 0) {
        return op->key == key;
    }
    for (uint32_t i = 0; i < op->sub_count; i++) {
        if (s->p->subs[op->sub + i].key == key) {
            return true;
        }
    }
    return false;
}

/* Somebody still has to see what this part of a batch writes, so it cannot be overwritten unseen.
 */
static bool must_show(const struct lin_search *s, uint32_t sub)
{
    return s->p->sub_seen != NULL && s->p->sub_seen[sub] > s->event;
}

/* Another open operation may overwrite a part of the batch: then the order of the two matters
 * to the other keys, even if nobody looks at the part in between. */
static bool batch_shares(const struct lin_search *s, const uint64_t *node,
                         const struct lin_prog_op *op)
{
    for (uint32_t w = 0; w < s->width; w++) {
        for (uint64_t set = s->writers[w] & node[s->width + w]; set != 0; set &= set - 1) {
            const struct lin_prog_op *o = op_in(s, w * 64 + (uint32_t)__builtin_ctzll(set));
            for (uint32_t i = 0; o != op && i < op->sub_count; i++) {
                if (!must_show(s, op->sub + i) && writes_key(s, o, s->p->subs[op->sub + i].key)) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* Some other operation that is not done could hide under this one. */
static bool frees(const struct lin_search *s, const uint64_t *node, const struct lin_prog_op *op)
{
    for (uint32_t w = 0; w < s->width; w++) {
        for (uint64_t set = s->writers[w] & ~node[w]; set != 0; set &= set - 1) {
            const struct lin_prog_op *o = op_in(s, w * 64 + (uint32_t)__builtin_ctzll(set));
            if (o != op && o->total && writes_key(s, o, op->key)) {
                return true;
            }
        }
    }
    return false;
}

static bool batch_wanted(const struct lin_search *s, const uint64_t *node,
                         const struct lin_prog_op *op)
{
    if (!op->total || batch_shares(s, node, op)) {
        return true;
    }
    for (uint32_t i = 0; i < op->sub_count; i++) {
        const struct lin_sub *sub = &s->p->subs[op->sub + i];
        bool blind = sub->kind == LIN_PUT || sub->kind == LIN_DEL;
        if (!blind || wanted(s, node, sub->key, sub->value)) {
            return true;
        }
    }
    return false;
}

/* Rule 5: of open operations of equal effect the one that returns first goes first, unless it is
 * done for free and this one is not. */
static bool twin_first(const struct lin_search *s, const uint64_t *node,
                       const struct lin_prog_op *op)
{
    for (uint32_t w = 0; w < s->width; w++) {
        for (uint64_t set = s->writers[w] & node[s->width + w]; set != 0; set &= set - 1) {
            uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(set);
            const struct lin_prog_op *o = op_in(s, slot);
            bool earlier = o->deadline < op->deadline || (o->deadline == op->deadline && o < op);
            bool freer = bit(node, slot) && !bit(node, op->slot);
            if (o != op && o->group == op->group && earlier && !freer) {
                return true;
            }
        }
    }
    return false;
}

static enum status worth(struct lin_search *s, struct lin_step_iter *it, const uint64_t *node,
                         const struct lin_prog_op *op, bool *yes)
{
    const uint32_t *vals = values(s, node);
    enum status st = ST_OK;
    *yes = true;
    switch ((enum lin_type)op->type) {
    case LIN_T_CAS:
    case LIN_T_MAYBE:
        *yes = vals[op->key] == op->need;
        break;
    case LIN_T_PUT:
        *yes = wanted_once(s, it, node, op) && (vals[op->key] != op->val || frees(s, node, op));
        break;
    case LIN_T_APPEND:
        /* Rule 6: leads to something that is read, or somebody looks without naming a value. */
        if (s->p->blurred[op->key] == 0) {
            st = lin_concat_leads(&s->concat, vals[op->key], op->val, yes);
        }
        break;
    case LIN_T_BATCH:
        *yes = batch_wanted(s, node, op);
        break;
    default:
        break;
    }
    *yes = *yes && (s->p->key_count == 1 || touches_near(s, op)) &&
           !(op->twin && twin_first(s, node, op));
    return st;
}

static bool is_owed(const struct lin_search *s, const uint32_t *vals, uint32_t key)
{
    const uint64_t *call = lin_map_find(&s->p->owed, lin_map_pair(key, vals[key]));
    return call != NULL && *call > s->event;
}

/* Rule 11: it would overwrite a value that a later operation has to see, and that nobody writes
 * again. */
static bool covers_owed(const struct lin_search *s, const uint64_t *node,
                        const struct lin_prog_op *op)
{
    const uint32_t *vals = values(s, node);
    if (s->p->owed.count == 0 || op->type == LIN_T_MAYBE) {
        return false;
    }
    if (op->type != LIN_T_BATCH) {
        return vals[op->key] != op->val && is_owed(s, vals, op->key);
    }
    for (uint32_t i = 0; i < op->sub_count; i++) {
        const struct lin_sub *sub = &s->p->subs[op->sub + i];
        bool plain = sub->kind == LIN_PUT || sub->kind == LIN_DEL;
        if (plain && op->total && vals[sub->key] != sub->value && is_owed(s, vals, sub->key)) {
            return true;
        }
    }
    return false;
}

/* The next open operation, at or after it->slot, whose effect is still to be had. */
static bool next_live(const struct lin_search *s, struct lin_step_iter *it, const uint64_t *node)
{
    for (uint32_t w = it->slot / 64; w < s->width; w++) {
        uint64_t set = s->writers[w] & node[s->width + w];
        set = w == it->slot / 64 ? set & ~(uint64_t)0 << it->slot % 64 : set;
        if (set != 0) {
            it->slot = w * 64 + (uint32_t)__builtin_ctzll(set);
            return true;
        }
    }
    return false;
}

enum status lin_step_next(struct lin_search *s, struct lin_step_iter *it, const uint64_t *node,
                          uint64_t *to, bool *more)
{
    *more = false;
    for (; next_live(s, it, node); it->slot++) {
        const struct lin_prog_op *op = op_in(s, it->slot);
        /* The goal is tried even where the value stays: it hides others that are open. */
        bool yes = true;
        enum status st = it->slot == it->goal ? ST_OK : worth(s, it, node, op, &yes);
        if (st == ST_OK && yes && !covers_owed(s, node, op)) {
            memcpy(to, node, s->node_words * sizeof *to);
            st = apply(s, to, op, more);
        }
        if (st != ST_OK || *more) {
            it->slot++;
            return st;
        }
    }
    return ST_OK;
}
