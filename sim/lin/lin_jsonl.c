/* lin_jsonl.c - reads histories as JSON lines (linhist v1). See lin.h. */
#include "sim/lin/lin_rec.h"
#include "sim/lin/lin_text.h"

/* Fields of an operation line, as bits: which were there. */
enum field {
    F_OTHER = 0, /* somebody else's */
    F_CLIENT = 1,
    F_OP = 2,
    F_KEY = 4,
    F_VALUE = 8,
    F_EXPECT = 16,
    F_RESULT = 32,
    F_CALL = 64,
    F_RETURN = 128,
    F_OUTCOME = 256,
    F_LO = 512,
    F_HI = 1024,
    F_OPS = 2048,
    F_INDEX = 4096,
    F_NODE = 8192,
};

/* One line while it is read: lists are kept raw until the kind is known. */
struct line {
    struct lin_op op;
    unsigned seen;
    struct slice result; /* raw */
    struct slice steps;  /* raw */

    /* Of a line about something else than an operation; raw, as in an operation's line they are
     * fields of somebody else. */
    struct slice event;
    struct slice at;
    struct slice until;
    struct slice text;
};

static const char *const kind_names[LIN_KIND_COUNT] = {"get",    "put",  "del",  "cas",
                                                       "append", "incr", "scan", "batch"};

void lin_jsonl_init(struct lin_jsonl *r, struct lin_history *h, const char *name)
{
    *r = (struct lin_jsonl){.h = h, .name = name, .declared = -1};
    buf_init(&r->rest, h->mem);
    buf_init(&r->text, h->mem);
}

void lin_jsonl_release(struct lin_jsonl *r)
{
    if (r->h == NULL) {
        return;
    }
    buf_release(&r->rest);
    buf_release(&r->text);
    mem_release(r->h->mem, r->steps);
    mem_release(r->h->mem, r->pairs);
    *r = (struct lin_jsonl){0};
}

static bool read_kind(struct lin_text *t, enum lin_kind *out)
{
    struct slice name;
    if (!lin_text_string(t, &name)) {
        return false;
    }
    for (int k = 0; k < LIN_KIND_COUNT; k++) {
        if (slice_equal(name, slice_text(kind_names[k]))) {
            *out = (enum lin_kind)k;
            return true;
        }
    }
    return lin_text_fail(t, "unknown operation");
}

static bool read_outcome(struct lin_text *t, enum lin_outcome *out)
{
    struct slice name;
    if (!lin_text_string(t, &name)) {
        return false;
    }
    bool ok = slice_equal(name, slice_text("ok"));
    bool fail = slice_equal(name, slice_text("fail"));
    *out = ok ? LIN_OK : fail ? LIN_FAIL : LIN_INFO;
    return ok || fail || slice_equal(name, slice_text("info")) ||
           lin_text_fail(t, "unknown outcome");
}

/* A string, or null for "absent". */
static bool read_value(struct lin_text *t, struct lin_value *out)
{
    out->present = !lin_text_word(t, "null");
    return !out->present || lin_text_string(t, &out->text);
}

static bool read_text_value(struct lin_text *t, struct lin_value *out)
{
    out->present = true;
    return lin_text_string(t, &out->text);
}

static bool read_return(struct lin_text *t, int64_t *out)
{
    *out = LIN_NEVER;
    return lin_text_word(t, "null") || lin_text_integer(t, out);
}

static bool read_meta(struct lin_text *t, enum field field, struct lin_op *op)
{
    int64_t n;
    if (!lin_text_integer(t, &n)) {
        return false;
    }
    if (n < 0 || (field == F_NODE && n > INT32_MAX)) {
        return lin_text_fail(t, "index and node are not negative");
    }
    if (field == F_NODE) {
        op->node = (int32_t)n;
    } else {
        op->index = (uint64_t)n;
    }
    return true;
}

static bool is(struct slice name, const char *word, size_t size)
{
    return name.size == size && memcmp(name.data, word, size) == 0;
}

/* By length first: this is asked eight times a line. */
static enum field field_of(struct slice n)
{
    switch (n.size) {
    case 2:
        return is(n, "op", 2) ? F_OP : is(n, "lo", 2) ? F_LO : is(n, "hi", 2) ? F_HI : F_OTHER;
    case 3:
        return is(n, "key", 3) ? F_KEY : is(n, "ops", 3) ? F_OPS : F_OTHER;
    case 4:
        return is(n, "call", 4) ? F_CALL : is(n, "node", 4) ? F_NODE : F_OTHER;
    case 5:
        return is(n, "value", 5) ? F_VALUE : is(n, "index", 5) ? F_INDEX : F_OTHER;
    case 6:
        return is(n, "client", 6)   ? F_CLIENT
               : is(n, "return", 6) ? F_RETURN
               : is(n, "result", 6) ? F_RESULT
               : is(n, "expect", 6) ? F_EXPECT
                                    : F_OTHER;
    case 7:
        return is(n, "outcome", 7) ? F_OUTCOME : F_OTHER;
    default:
        return F_OTHER;
    }
}

static bool read_field(struct lin_text *t, struct line *l, enum field field)
{
    struct lin_step *s = &l->op.step;
    switch (field) {
    case F_CLIENT:
        return lin_text_integer(t, &l->op.client);
    case F_OP:
        return read_kind(t, &l->op.kind);
    case F_KEY:
        return lin_text_string(t, &s->key);
    case F_VALUE:
        return read_text_value(t, &s->value);
    case F_EXPECT:
        return read_value(t, &s->expect);
    case F_RESULT:
        return lin_text_skip(t, &l->result);
    case F_CALL:
        return lin_text_integer(t, &l->op.call);
    case F_RETURN:
        return read_return(t, &l->op.ret);
    case F_OUTCOME:
        return read_outcome(t, &l->op.outcome);
    case F_LO:
        return lin_text_string(t, &l->op.lo);
    case F_HI:
        return lin_text_string(t, &l->op.hi);
    case F_OPS:
        return lin_text_skip(t, &l->steps);
    case F_INDEX:
    case F_NODE:
        return read_meta(t, field, &l->op);
    default:
        return lin_text_skip(t, NULL);
    }
}

/* A field that no operation has. */
static bool read_other(struct lin_text *t, struct line *l, struct slice name)
{
    struct slice *out = is(name, "event", 5)   ? &l->event
                        : is(name, "at", 2)    ? &l->at
                        : is(name, "until", 5) ? &l->until
                        : is(name, "text", 4)  ? &l->text
                                               : NULL;
    return lin_text_skip(t, out);
}

static bool read_fields(struct lin_text *t, struct line *l)
{
    if (!lin_text_take(t, '{')) {
        return lin_text_fail(t, "an object was expected");
    }
    while (!lin_text_take(t, '}')) {
        struct slice name;
        if (l->seen != 0 && !lin_text_take(t, ',')) {
            return lin_text_fail(t, "',' or '}' was expected");
        }
        if (!lin_text_string(t, &name)) {
            return false;
        }
        enum field field = field_of(name);
        if ((l->seen & field) != 0) {
            return lin_text_fail(t, "a field is there twice");
        }
        l->seen |= field | 1u << 31; /* the top bit: not the first any more */
        if (!lin_text_take(t, ':')) {
            return lin_text_fail(t, "':' was expected");
        }
        if (!(field == F_OTHER ? read_other(t, l, name) : read_field(t, l, field))) {
            return false;
        }
    }
    return lin_text_done(t) || lin_text_fail(t, "something follows the object");
}

/* ---- lists ---- */

static bool grow(struct lin_text *t, struct mem *mem, void *array, size_t *cap, size_t need,
                 size_t size)
{
    if (lin_grow(mem, array, cap, need, size) == ST_OK) {
        return true;
    }
    t->nomem = true;
    return lin_text_fail(t, "out of memory");
}

/* One of ["get",k] ["put",k,v] ["del",k] ["append",k,v] ["incr",k,v] ["cas",k,expect,v]. */
static bool read_step(struct lin_text *t, struct lin_step *s)
{
    *s = (struct lin_step){0};
    if (!lin_text_take(t, '[') || !read_kind(t, &s->kind) || !lin_text_take(t, ',') ||
        !lin_text_string(t, &s->key)) {
        return lin_text_fail(t, "a part of the batch is not [op, key, …]");
    }
    if (s->kind == LIN_SCAN || s->kind == LIN_BATCH) {
        return lin_text_fail(t, "a scan or batch cannot be a part of a batch");
    }
    if (s->kind == LIN_CAS && !(lin_text_take(t, ',') && read_value(t, &s->expect))) {
        return lin_text_fail(t, "cas in a batch is [\"cas\", key, expect, value]");
    }
    bool valued = s->kind != LIN_GET && s->kind != LIN_DEL;
    if (valued && !(lin_text_take(t, ',') && read_text_value(t, &s->value))) {
        return lin_text_fail(t, "a part of the batch has no value");
    }
    return lin_text_take(t, ']') || lin_text_fail(t, "']' was expected");
}

static bool read_steps(struct lin_jsonl *r, struct lin_text *t, struct lin_op *op)
{
    if (!lin_text_take(t, '[')) {
        return lin_text_fail(t, "the ops of a batch are not a list");
    }
    while (!lin_text_take(t, ']')) {
        if (op->step_count > 0 && !lin_text_take(t, ',')) {
            return lin_text_fail(t, "',' or ']' was expected");
        }
        if (!grow(t, r->h->mem, &r->steps, &r->step_cap, op->step_count + 1, sizeof *r->steps) ||
            !read_step(t, &r->steps[op->step_count])) {
            return false;
        }
        op->step_count++;
    }
    op->steps = r->steps;
    return true;
}

/* What one step saw. */
static bool read_step_result(struct lin_text *t, enum lin_kind kind, struct lin_step *s)
{
    s->result_known = true;
    switch (kind) {
    case LIN_GET:
        return read_value(t, &s->result);
    case LIN_INCR:
        s->result_known = !lin_text_word(t, "null");
        return !s->result_known || read_text_value(t, &s->result);
    case LIN_CAS:
        s->result_true = lin_text_word(t, "true");
        return s->result_true || lin_text_word(t, "false") ||
               lin_text_fail(t, "the result of cas is true or false");
    default:
        s->result_known = false;
        return lin_text_word(t, "null") || lin_text_fail(t, "this operation has no result");
    }
}

static bool read_batch_result(struct lin_text *t, struct lin_jsonl *r, size_t count)
{
    if (!lin_text_take(t, '[')) {
        return lin_text_fail(t, "the result of a batch is not a list");
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && !lin_text_take(t, ',')) {
            return lin_text_fail(t, "the result of a batch is shorter than its ops");
        }
        if (!read_step_result(t, r->steps[i].kind, &r->steps[i])) {
            return false;
        }
    }
    return lin_text_take(t, ']') ||
           lin_text_fail(t, "the result of a batch is longer than its ops");
}

static bool read_scan_result(struct lin_text *t, struct lin_jsonl *r, struct lin_op *op)
{
    if (!lin_text_take(t, '[')) {
        return lin_text_fail(t, "the result of a scan is not a list");
    }
    while (!lin_text_take(t, ']')) {
        if (op->pair_count > 0 && !lin_text_take(t, ',')) {
            return lin_text_fail(t, "',' or ']' was expected");
        }
        if (!grow(t, r->h->mem, &r->pairs, &r->pair_cap, op->pair_count + 1, sizeof *r->pairs)) {
            return false;
        }
        struct lin_pair *p = &r->pairs[op->pair_count++];
        if (!(lin_text_take(t, '[') && lin_text_string(t, &p->key) && lin_text_take(t, ',') &&
              lin_text_string(t, &p->value) && lin_text_take(t, ']'))) {
            return lin_text_fail(t, "the result of a scan is not a list of [key, value]");
        }
    }
    op->pairs = r->pairs;
    return true;
}

/* ---- a line ---- */

static unsigned required(enum lin_kind kind)
{
    static const unsigned by_kind[LIN_KIND_COUNT] = {
        F_KEY,           F_KEY | F_VALUE, F_KEY,       F_KEY | F_VALUE | F_EXPECT,
        F_KEY | F_VALUE, F_KEY | F_VALUE, F_LO | F_HI, F_OPS};
    return by_kind[kind] | F_CLIENT | F_OP | F_CALL | F_OUTCOME;
}

static bool read_result(struct lin_jsonl *r, struct lin_text *t, struct line *l)
{
    struct lin_op *op = &l->op;
    if ((l->seen & F_RESULT) == 0 || op->outcome != LIN_OK) {
        return true; /* what an operation that did not end well saw is nothing to go by */
    }
    t->p = l->result.data;
    t->end = l->result.data + l->result.size;
    op->result_known = true;
    switch (op->kind) {
    case LIN_BATCH:
        return read_batch_result(t, r, op->step_count);
    case LIN_SCAN:
        return read_scan_result(t, r, op);
    case LIN_INCR: /* a null is no number */
        op->step.result_known = true;
        return read_text_value(t, &op->step.result);
    default:
        return read_step_result(t, op->kind, &op->step);
    }
}

static void look_at(struct lin_text *t, struct slice raw)
{
    t->p = raw.data;
    t->end = raw.size > 0 ? raw.data + raw.size : raw.data; /* NULL when it was not there */
}

/* A line with an event and no operation. One of a kind that is not known is passed over. */
static bool read_mark(struct lin_jsonl *r, struct lin_text *t, const struct line *l)
{
    struct lin_mark m = {.kind = LIN_MARK_COUNT, .node = l->op.node};
    struct slice name;
    look_at(t, l->event);
    if (!lin_text_string(t, &name)) {
        return false;
    }
    for (int k = 0; k < LIN_MARK_COUNT; k++) {
        bool same = slice_equal(name, slice_text(lin_mark_name((enum lin_mark_kind)k)));
        m.kind = same ? (enum lin_mark_kind)k : m.kind;
    }
    if (m.kind == LIN_MARK_COUNT) {
        return true;
    }
    look_at(t, l->at);
    if (l->at.size == 0 || !lin_text_integer(t, &m.at)) {
        return lin_text_fail(t, "the event has no time");
    }
    m.until = m.at;
    look_at(t, l->until);
    if (l->until.size > 0 && !read_return(t, &m.until)) {
        return false;
    }
    look_at(t, l->text);
    if (l->text.size > 0 && !lin_text_string(t, &m.text)) {
        return false;
    }
    enum status st = lin_history_mark(r->h, &m);
    t->nomem = st == ST_NOMEM;
    return st == ST_OK || lin_text_fail(t, "the event ends before it begins");
}

static bool read_op(struct lin_jsonl *r, struct lin_text *t, struct line *l)
{
    unsigned need = (l->seen & F_OP) != 0 ? required(l->op.kind) : (unsigned)F_OP;
    if ((l->seen & need) != need) {
        return lin_text_fail(t, "a field is missing");
    }
    if (l->op.kind == LIN_BATCH) {
        t->p = l->steps.data;
        t->end = l->steps.data + l->steps.size;
        if (!read_steps(r, t, &l->op)) {
            return false;
        }
    }
    return read_result(r, t, l);
}

static enum status wrong(struct lin_jsonl *r, const struct lin_text *t, struct err *err)
{
    if (t->nomem) {
        return err_status(err, ST_NOMEM, r->name);
    }
    err_set(err, "%s:%llu: %s", r->name, (unsigned long long)r->line, t->wrong);
    return ST_CORRUPT;
}

static enum status take_op(struct lin_jsonl *r, struct slice text, struct err *err)
{
    struct lin_text t;
    lin_text_init(&t, text, &r->text);
    struct line l = {.op = {.line = (uint32_t)r->line}};
    l.op.ret = LIN_NEVER;
    l.op.node = -1;
    if (!read_fields(&t, &l)) {
        return wrong(r, &t, err);
    }
    if ((l.seen & F_OP) == 0 && l.event.size > 0) {
        return read_mark(r, &t, &l) ? ST_OK : wrong(r, &t, err);
    }
    if (!read_op(r, &t, &l)) {
        return wrong(r, &t, err);
    }
    struct err why = {""};
    enum status st = lin_history_add(r->h, &l.op, &why);
    if (st == ST_INVAL) {
        t.wrong = why.text;
        return wrong(r, &t, err);
    }
    return st == ST_OK ? ST_OK : err_status(err, st, r->name);
}

/* ---- the header ---- */

static bool keep(struct lin_text *t, enum status st)
{
    t->nomem = st != ST_OK;
    return st == ST_OK || lin_text_fail(t, "out of memory");
}

static bool read_init(struct lin_jsonl *r, struct lin_text *t)
{
    bool first = true;
    if (!lin_text_take(t, '{')) {
        return lin_text_fail(t, "init is not an object");
    }
    while (!lin_text_take(t, '}')) {
        struct slice key;
        struct lin_value value = {0};
        if ((!first && !lin_text_take(t, ',')) || !lin_text_string(t, &key) ||
            !lin_text_take(t, ':') || !read_value(t, &value)) {
            return lin_text_fail(t, "init is not an object of strings");
        }
        first = false;
        if (!keep(t, lin_history_set_init(r->h, key, value))) {
            return false;
        }
    }
    return true;
}

static bool read_header_field(struct lin_jsonl *r, struct lin_text *t, struct slice name)
{
    if (slice_equal(name, slice_text("linhist"))) {
        int64_t version;
        r->header = true;
        return lin_text_integer(t, &version) &&
               (version == 1 || lin_text_fail(t, "this version of the format is not known"));
    }
    if (slice_equal(name, slice_text("default"))) {
        struct lin_value value = {0};
        return read_value(t, &value) && keep(t, lin_history_set_default(r->h, value));
    }
    if (slice_equal(name, slice_text("init"))) {
        return read_init(r, t);
    }
    if (slice_equal(name, slice_text("ops"))) {
        return lin_text_integer(t, &r->declared);
    }
    return lin_text_skip(t, NULL);
}

static bool read_header(struct lin_jsonl *r, struct lin_text *t)
{
    bool first = true;
    if (!lin_text_take(t, '{')) {
        return lin_text_fail(t, "the header {\"linhist\":1,…} was expected");
    }
    while (!lin_text_take(t, '}')) {
        struct slice name;
        if ((!first && !lin_text_take(t, ',')) || !lin_text_string(t, &name) ||
            !lin_text_take(t, ':')) {
            return lin_text_fail(t, "bad JSON in the header");
        }
        first = false;
        if (!read_header_field(r, t, name)) {
            return false;
        }
    }
    if (!r->header) {
        return lin_text_fail(t, "the header has no \"linhist\"");
    }
    return lin_text_done(t) || lin_text_fail(t, "something follows the header");
}

static enum status take_line(struct lin_jsonl *r, struct slice text, struct err *err)
{
    r->line++;
    if (text.size == 0 || (text.size == 1 && text.data[0] == '\r')) {
        return ST_OK;
    }
    if (r->header) {
        return take_op(r, text, err);
    }
    struct lin_text t;
    lin_text_init(&t, text, &r->text);
    return read_header(r, &t) ? ST_OK : wrong(r, &t, err);
}

enum status lin_jsonl_feed(struct lin_jsonl *r, struct slice piece, struct err *err)
{
    const char *p = piece.data;
    const char *end = p + piece.size;
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        struct slice text = slice_of(p, (size_t)((nl != NULL ? nl : end) - p));
        if (nl == NULL || r->rest.size > 0) {
            enum status st = buf_append(&r->rest, text.data, text.size);
            if (st != ST_OK) {
                return err_status(err, st, r->name);
            }
            text = buf_slice(&r->rest);
        }
        if (nl == NULL) {
            return ST_OK;
        }
        enum status st = take_line(r, text, err);
        if (st != ST_OK) {
            return st;
        }
        buf_clear(&r->rest);
        p = nl + 1;
    }
    return ST_OK;
}

enum status lin_jsonl_end(struct lin_jsonl *r, struct err *err)
{
    enum status st = r->rest.size > 0 ? take_line(r, buf_slice(&r->rest), err) : ST_OK;
    buf_clear(&r->rest);
    if (st != ST_OK) {
        return st;
    }
    if (!r->header) {
        err_set(err, "%s:1: the file is empty", r->name);
        return ST_CORRUPT;
    }
    if (r->declared >= 0 && (uint64_t)r->declared != r->h->count) {
        err_set(err, "%s:%llu: the header says %lld operations, the file has %zu: cut short?",
                r->name, (unsigned long long)r->line, (long long)r->declared, r->h->count);
        return ST_CORRUPT;
    }
    struct err why = {""};
    st = lin_history_validate(r->h, &why);
    if (st == ST_INVAL) {
        err_set(err, "%s:%s", r->name, why.text);
        return ST_CORRUPT;
    }
    return st == ST_OK ? ST_OK : err_status(err, st, r->name);
}

enum status lin_jsonl_read(struct lin_history *h, const char *name, struct slice text,
                           struct err *err)
{
    struct lin_jsonl r;
    lin_jsonl_init(&r, h, name);
    enum status st = lin_jsonl_feed(&r, text, err);
    if (st == ST_OK) {
        st = lin_jsonl_end(&r, err);
    }
    lin_jsonl_release(&r);
    return st;
}
