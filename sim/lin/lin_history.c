/* lin_history.c - a history in memory. See lin.h and lin_rec.h. */
#include "sim/lin/lin_rec.h"

#include <stdio.h>

void lin_history_init(struct lin_history *h, struct mem *mem)
{
    *h = (struct lin_history){.mem = mem};
    lin_strtab_init(&h->keys, mem);
    lin_strtab_init(&h->values, mem);
    lin_strtab_init(&h->clients, mem);
}

void lin_history_release(struct lin_history *h)
{
    if (h->mem != NULL) {
        mem_release(h->mem, h->ops);
        mem_release(h->mem, h->subs);
        mem_release(h->mem, h->meta);
        mem_release(h->mem, h->marks);
        mem_release(h->mem, h->init);
    }
    lin_strtab_release(&h->keys);
    lin_strtab_release(&h->values);
    lin_strtab_release(&h->clients);
    *h = (struct lin_history){0};
}

bool lin_number_parse(struct slice text, int64_t *out)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    size_t i = negative ? 1 : 0;
    size_t digits = text.size - i;
    if (digits == 0 || digits > 19 || (text.data[i] == '0' && (digits > 1 || negative))) {
        return false;
    }
    uint64_t sum = 0;
    for (; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        sum = sum * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (sum > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *out = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return true;
}

/* Value ids are places in the table plus one, as 0 is "absent". */
static enum status intern_value(struct lin_history *h, struct lin_value v, uint32_t *id)
{
    *id = LIN_ABSENT;
    if (!v.present) {
        return ST_OK;
    }
    enum status st = lin_strtab_add(&h->values, v.text, id);
    *id += st == ST_OK ? 1 : 0;
    return st;
}

enum status lin_history_set_default(struct lin_history *h, struct lin_value value)
{
    uint32_t id;
    enum status st = intern_value(h, value, &id);
    h->fallback = st == ST_OK ? id : h->fallback;
    return st;
}

enum status lin_history_set_init(struct lin_history *h, struct slice key, struct lin_value value)
{
    uint32_t pair[2];
    enum status st = lin_strtab_add(&h->keys, key, &pair[0]);
    if (st == ST_OK) {
        st = intern_value(h, value, &pair[1]);
    }
    if (st == ST_OK) {
        st = lin_grow(h->mem, &h->init, &h->init_cap, h->init_count + 1, sizeof pair);
    }
    if (st == ST_OK) {
        memcpy(h->init + 2 * h->init_count++, pair, sizeof pair);
    }
    return st;
}

static enum status invalid(struct err *err, const char *what)
{
    err_set(err, "%s", what);
    return ST_INVAL;
}

static enum status check_step(const struct lin_step *s, enum lin_kind kind, bool known,
                              struct err *err)
{
    int64_t n;
    switch (kind) {
    case LIN_GET:
    case LIN_DEL:
        return ST_OK;
    case LIN_PUT:
    case LIN_APPEND:
    case LIN_CAS:
        return s->value.present ? ST_OK : invalid(err, "the operation has no value");
    case LIN_INCR:
        if (!s->value.present || !lin_number_parse(s->value.text, &n)) {
            return invalid(err, "the value of incr is not a 64-bit decimal number");
        }
        if (known && s->result_known &&
            (!s->result.present || !lin_number_parse(s->result.text, &n))) {
            return invalid(err, "the result of incr is not a 64-bit decimal number");
        }
        return ST_OK;
    default:
        return invalid(err, "a scan or batch cannot be a part of a batch");
    }
}

static enum status check_scan(const struct lin_op *op, struct err *err)
{
    for (size_t i = 0; op->result_known && i < op->pair_count; i++) {
        struct slice key = op->pairs[i].key;
        if (slice_compare(key, op->lo) < 0 || slice_compare(key, op->hi) >= 0) {
            return invalid(err, "the scan's result has a key outside its range");
        }
        if (i > 0 && slice_compare(op->pairs[i - 1].key, key) >= 0) {
            return invalid(err, "the scan's result is not in ascending order of keys");
        }
    }
    return ST_OK;
}

static enum status check_op(const struct lin_op *op, struct err *err)
{
    if (op->ret < op->call) {
        return invalid(err, "the operation returns before its call");
    }
    if (op->outcome == LIN_OK && op->ret == LIN_NEVER) {
        return invalid(err, "the outcome is ok but there is no return");
    }
    if (op->kind == LIN_SCAN) {
        return check_scan(op, err);
    }
    if (op->kind != LIN_BATCH) {
        return check_step(&op->step, op->kind, op->outcome == LIN_OK, err);
    }
    bool told = op->result_known && op->outcome == LIN_OK;
    for (size_t i = 0; i < op->step_count; i++) {
        enum status st = check_step(&op->steps[i], op->steps[i].kind, told, err);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

/* One step as ids. */
static enum status intern_step(struct lin_history *h, const struct lin_step *s, enum lin_kind kind,
                               struct lin_sub *out)
{
    *out = (struct lin_sub){.kind = (uint8_t)kind, .known = s->result_known};
    enum status st = lin_strtab_add(&h->keys, s->key, &out->key);
    if (st == ST_OK && kind != LIN_GET && kind != LIN_DEL) {
        st = intern_value(h, s->value, &out->value);
    }
    if (st == ST_OK && kind == LIN_CAS) {
        st = intern_value(h, s->expect, &out->expect);
        out->result = s->result_true ? 1 : 0;
    }
    if (st == ST_OK && (kind == LIN_GET || kind == LIN_INCR) && s->result_known) {
        st = intern_value(h, s->result, &out->result);
    }
    return st;
}

static enum status intern_list(struct lin_history *h, const struct lin_op *op, struct lin_rec *rec)
{
    bool scan = op->kind == LIN_SCAN;
    size_t n = scan ? (op->result_known ? op->pair_count : 0) : op->step_count;
    enum status st = lin_grow(h->mem, &h->subs, &h->sub_cap, h->sub_count + n, sizeof *h->subs);
    if (st != ST_OK) {
        return st;
    }
    rec->expect = (uint32_t)h->sub_count;
    rec->result = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        struct lin_step got = {.kind = LIN_GET, .result_known = true};
        if (scan) {
            got.key = op->pairs[i].key;
            got.result = (struct lin_value){true, op->pairs[i].value};
        }
        struct lin_sub *sub = &h->subs[h->sub_count + i];
        const struct lin_step *from = scan ? &got : &op->steps[i];
        st = intern_step(h, from, from->kind, sub);
        if (st != ST_OK) {
            return st;
        }
        sub->known = sub->known && op->result_known;
    }
    if (scan) {
        st = intern_value(h, (struct lin_value){true, op->lo}, &rec->key);
        if (st == ST_OK) {
            st = intern_value(h, (struct lin_value){true, op->hi}, &rec->value);
        }
    }
    h->sub_count += st == ST_OK ? n : 0;
    return st;
}

static enum status intern_single(struct lin_history *h, const struct lin_op *op,
                                 struct lin_rec *rec)
{
    struct lin_sub sub;
    enum status st = intern_step(h, &op->step, op->kind, &sub);
    if (st != ST_OK) {
        return st;
    }
    rec->key = sub.key;
    rec->value = sub.value;
    rec->expect = sub.expect;
    rec->result = sub.result;
    rec->known = sub.known;
    return st;
}

/* Makes room for the commit index and node, which only some histories have. */
static enum status reserve_meta(struct lin_history *h, const struct lin_op *op)
{
    if (h->meta == NULL && op->index == 0 && op->node < 0) {
        return ST_OK;
    }
    size_t had = h->meta_cap;
    enum status st = lin_grow(h->mem, &h->meta, &h->meta_cap, h->cap, sizeof *h->meta);
    for (size_t i = had; st == ST_OK && i < h->meta_cap; i++) {
        h->meta[i] = (struct lin_meta){0, -1};
    }
    return st;
}

enum status lin_history_record(struct lin_history *h, const struct lin_op *op, struct lin_rec *rec,
                               struct err *err)
{
    enum status st = check_op(op, err);
    if (st != ST_OK) {
        return st;
    }
    if (h->sub_count + op->step_count + op->pair_count >= UINT32_MAX) {
        return ST_TOOBIG;
    }
    *rec = (struct lin_rec){.call = op->call,
                            .ret = op->ret,
                            .line = op->line,
                            .kind = (uint8_t)op->kind,
                            .outcome = (uint8_t)op->outcome,
                            .known = op->result_known};
    bool list = op->kind == LIN_SCAN || op->kind == LIN_BATCH;
    st = list ? intern_list(h, op, rec) : intern_single(h, op, rec);
    return st == ST_OK ? ST_OK : err_status(err, st, "cannot add the operation");
}

enum status lin_history_add(struct lin_history *h, const struct lin_op *op, struct err *err)
{
    if (h->count >= UINT32_MAX - 1) {
        return ST_TOOBIG;
    }
    size_t had_subs = h->sub_count;
    enum status st = lin_grow(h->mem, &h->ops, &h->cap, h->count + 1, sizeof *h->ops);
    if (st == ST_OK) {
        st = reserve_meta(h, op);
    }
    if (st != ST_OK) {
        return err_status(err, st, "cannot add the operation");
    }
    struct lin_rec *rec = &h->ops[h->count];
    st = lin_history_record(h, op, rec, err);
    if (st != ST_OK) {
        return st;
    }
    st = lin_strtab_add(&h->clients, slice_of(&op->client, sizeof op->client), &rec->client);
    if (st != ST_OK) {
        h->sub_count = had_subs;
        return err_status(err, st, "cannot add the operation");
    }
    if (h->meta != NULL) {
        h->meta[h->count] = (struct lin_meta){op->index, op->node};
    }
    h->count++;
    return ST_OK;
}

const char *lin_mark_name(enum lin_mark_kind kind)
{
    static const char *const names[LIN_MARK_COUNT] = {"fault", "leader", "term"};
    return names[kind];
}

enum status lin_history_mark(struct lin_history *h, const struct lin_mark *mark)
{
    if (mark->until < mark->at) {
        return ST_INVAL;
    }
    uint32_t text;
    enum status st = intern_value(h, (struct lin_value){mark->text.size > 0, mark->text}, &text);
    if (st == ST_OK) {
        st = lin_grow(h->mem, &h->marks, &h->mark_cap, h->mark_count + 1, sizeof *h->marks);
    }
    if (st == ST_OK) {
        h->marks[h->mark_count++] =
            (struct lin_mark_rec){mark->at, mark->until, mark->node, text, (uint8_t)mark->kind};
    }
    return st;
}
