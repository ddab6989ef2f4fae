/* lin_edn.c - reads the logs of Jepsen, Knossos and porcupine. See lin.h.
 *
 * Only as much of EDN as such logs use: maps, vectors, lists, keywords, strings, numbers, symbols,
 * tags (passed over), commas as white space, comments. */
#include "sim/lin/lin_map.h"
#include "sim/lin/lin_rec.h"

#include <stdio.h>

#define NODES_MAX 4096 /* in one event */
#define DEPTH_MAX 32

enum token {
    T_END,
    T_OPEN,
    T_CLOSE,
    T_KEYWORD,
    T_STRING,
    T_WORD, /* number, symbol, nil, true, false */
    T_BAD,
};

struct node {
    enum token kind;   /* T_OPEN for a collection */
    struct slice text; /* without ':' or quotes; of a collection its bracket */
    uint32_t end;      /* the node after this one and all that is in it */
};

/* One event: an invocation or a completion. */
struct event {
    struct slice process;
    struct slice type;
    struct slice f;
    struct slice key;
    bool keyed;
    uint32_t value; /* node, LIN_NONE */
};

struct edn {
    struct lin_history *h;
    struct mem *mem;
    const char *p;
    const char *end;
    uint64_t line;
    int64_t time;
    enum lin_format format;
    const char *wrong;
    struct node *nodes; /* of the event that is read */
    uint32_t count;
    struct lin_op *open; /* of each process its invocation; kind LIN_KIND_COUNT: none */
    uint32_t open_count;
    size_t open_cap;
    struct lin_step *steps;
    struct lin_strtab processes;
    struct lin_map open_of; /* process -> place in open + 1 */
};

static bool fail(struct edn *e, const char *what)
{
    e->wrong = e->wrong == NULL ? what : e->wrong;
    return false;
}

/* ---- tokens ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',';
}

static void skip_space(struct edn *e)
{
    while (e->p < e->end && (is_space(*e->p) || *e->p == ';')) {
        if (*e->p == ';') {
            while (e->p < e->end && *e->p != '\n') {
                e->p++;
            }
            continue;
        }
        e->line += *e->p == '\n' ? 1 : 0;
        e->p++;
    }
}

static bool is_word(char c)
{
    return !is_space(c) && c != '\0' && strchr("{}[]()\";", c) == NULL;
}

static enum token string_token(struct edn *e, struct slice *text)
{
    const char *start = ++e->p;
    while (e->p < e->end && *e->p != '"') {
        if (*e->p == '\\' || *e->p == '\n') {
            /* Values of tests are plain; guessing at escapes would make two texts equal. */
            (void)fail(e, "escapes and line ends in strings are not supported");
            return T_BAD;
        }
        e->p++;
    }
    if (e->p == e->end) {
        (void)fail(e, "the text ends in a string");
        return T_BAD;
    }
    *text = slice_of(start, (size_t)(e->p - start));
    e->p++;
    return T_STRING;
}

static enum token next_token(struct edn *e, struct slice *text)
{
    skip_space(e);
    if (e->p == e->end) {
        return T_END;
    }
    char c = *e->p;
    *text = slice_of(e->p, 1);
    if (c != '\0' && strchr("{[(", c) != NULL) {
        e->p++;
        return T_OPEN;
    }
    if (c != '\0' && strchr("}])", c) != NULL) {
        e->p++;
        return T_CLOSE;
    }
    if (c == '"') {
        return string_token(e, text);
    }
    const char *start = e->p;
    while (e->p < e->end && is_word(*e->p)) {
        e->p++;
    }
    if (e->p == start) {
        (void)fail(e, "a character that has no place here");
        return T_BAD;
    }
    bool keyword = c == ':';
    *text = slice_of(start + (keyword ? 1 : 0), (size_t)(e->p - start) - (keyword ? 1 : 0));
    return keyword ? T_KEYWORD : T_WORD;
}

static char closing(char open)
{
    return open == '{' ? '}' : open == '[' ? ']' : ')';
}

/* Reads one value, from its first token on, into nodes; *at is its node. */
static bool read_value(struct edn *e, enum token kind, struct slice text, uint32_t *at)
{
    uint32_t stack[DEPTH_MAX];
    uint32_t depth = 0;
    *at = e->count;
    for (;;) {
        if (kind == T_BAD || kind == T_END || e->count == NODES_MAX) {
            return fail(e, kind == T_END ? "the text ends in a value" : "an event is too long");
        }
        if (kind == T_CLOSE) {
            if (depth == 0 || *text.data != closing(*e->nodes[stack[depth - 1]].text.data)) {
                return fail(e, "a closing bracket without its opening one");
            }
            e->nodes[stack[--depth]].end = e->count;
        } else if (kind == T_WORD && *text.data == '#') {
            /* A tag says how to read what follows; that is read as it is. */
            if (text.size == 1) {
                return fail(e, "sets are not supported");
            }
            kind = next_token(e, &text);
            continue;
        } else {
            e->nodes[e->count] = (struct node){kind, text, e->count + 1};
            if (kind == T_OPEN) {
                if (depth == DEPTH_MAX) {
                    return fail(e, "nested too deeply");
                }
                stack[depth++] = e->count;
            }
            e->count++;
        }
        if (depth == 0) {
            return true;
        }
        kind = next_token(e, &text);
    }
}

static bool is(struct slice s, const char *word)
{
    return slice_equal(s, slice_text(word));
}

static bool is_nil(const struct edn *e, uint32_t n)
{
    return n == LIN_NONE || (e->nodes[n].kind == T_WORD && is(e->nodes[n].text, "nil"));
}

static bool is_list(const struct edn *e, uint32_t n)
{
    return n != LIN_NONE && e->nodes[n].kind == T_OPEN && *e->nodes[n].text.data != '{';
}

/* The i-th element of a collection, or LIN_NONE. */
static uint32_t element(const struct edn *e, uint32_t list, uint32_t i)
{
    uint32_t n = list + 1;
    for (; i > 0 && n < e->nodes[list].end; i--) {
        n = e->nodes[n].end;
    }
    return n < e->nodes[list].end ? n : LIN_NONE;
}

static uint32_t elements(const struct edn *e, uint32_t list)
{
    uint32_t count = 0;
    for (uint32_t n = list + 1; n < e->nodes[list].end; n = e->nodes[n].end) {
        count++;
    }
    return count;
}

static bool scalar(struct edn *e, uint32_t n, struct lin_value *out)
{
    if (n == LIN_NONE || e->nodes[n].kind == T_OPEN) {
        return fail(e, "a single value was expected");
    }
    *out = (struct lin_value){!is_nil(e, n), e->nodes[n].text};
    return true;
}

/* ---- from events to operations ---- */

/* [[:r k nil] [:w k v] …] */
static bool read_txn(struct edn *e, struct lin_op *op, uint32_t list, bool results)
{
    uint32_t count = is_list(e, list) ? elements(e, list) : 0;
    op->kind = LIN_BATCH;
    op->steps = e->steps;
    op->step_count = count;
    op->result_known = results;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t part = element(e, list, i);
        uint32_t f = is_list(e, part) && elements(e, part) == 3 ? element(e, part, 0) : LIN_NONE;
        struct lin_step *s = &e->steps[i];
        struct lin_value key;
        struct lin_value value;
        if (f == LIN_NONE || !scalar(e, element(e, part, 1), &key) ||
            !scalar(e, element(e, part, 2), &value)) {
            return fail(e, "a transaction is a list of [:r or :w, key, value]");
        }
        bool read = is(e->nodes[f].text, "r") || is(e->nodes[f].text, "read");
        if (!read && !is(e->nodes[f].text, "w") && !is(e->nodes[f].text, "write")) {
            return fail(e, "a transaction is a list of [:r or :w, key, value]");
        }
        *s = (struct lin_step){.kind = read ? LIN_GET : LIN_PUT, .key = key.text};
        s->value = value;
        s->result = value;
        s->result_known = read && value.present;
    }
    return count > 0 || fail(e, "a transaction is a list of [:r or :w, key, value]");
}

static bool read_cas(struct edn *e, struct lin_op *op, uint32_t value)
{
    op->kind = LIN_CAS;
    if (!is_list(e, value) || elements(e, value) != 2) {
        return fail(e, "the value of cas is [expected new]");
    }
    return scalar(e, element(e, value, 0), &op->step.expect) &&
           scalar(e, element(e, value, 1), &op->step.value);
}

static bool read_lock(struct lin_op *op, bool acquire)
{
    struct lin_value held = {true, slice_text("held")};
    struct lin_value free_value = {true, slice_text("free")};
    op->kind = LIN_CAS;
    op->step.key = slice_text("lock");
    op->step.expect = acquire ? free_value : held;
    op->step.value = acquire ? held : free_value;
    return true;
}

/* What is asked for. */
static bool invoke(struct edn *e, const struct event *ev, struct lin_op *op)
{
    uint32_t value = ev->value;
    op->step.key = ev->keyed ? ev->key : slice_text("r");
    bool cas = is(ev->f, "cas");
    /* jepsen.independent: the value is [key value]. */
    bool pair = is_list(e, value) && elements(e, value) == 2 && !is(ev->f, "txn");
    if (pair && (!cas || is_list(e, element(e, value, 1)))) {
        op->step.key = e->nodes[element(e, value, 0)].text;
        value = element(e, value, 1);
    }
    if (is(ev->f, "read") || is(ev->f, "get")) {
        op->kind = LIN_GET;
        return true;
    }
    if (is(ev->f, "write") || is(ev->f, "put") || is(ev->f, "append")) {
        op->kind = is(ev->f, "append") ? LIN_APPEND : LIN_PUT;
        return scalar(e, value, &op->step.value);
    }
    if (cas) {
        return read_cas(e, op, value);
    }
    if (is(ev->f, "acquire") || is(ev->f, "release")) {
        return read_lock(op, is(ev->f, "acquire"));
    }
    if (is(ev->f, "txn")) {
        return read_txn(e, op, value, false);
    }
    return fail(e, "unknown :f");
}

/* What came of it. */
static bool complete(struct edn *e, const struct event *ev, struct lin_op *op)
{
    bool ok = is(ev->type, "ok");
    bool failed = is(ev->type, "fail");
    bool timed_out = ev->value != LIN_NONE && e->nodes[ev->value].kind == T_KEYWORD &&
                     is(e->nodes[ev->value].text, "timed-out");
    op->outcome = ok ? LIN_OK : failed ? LIN_FAIL : LIN_INFO;
    op->ret = op->outcome == LIN_INFO ? LIN_NEVER : e->time;
    uint32_t value = ev->value;
    bool pair = is_list(e, value) && elements(e, value) == 2;
    if (op->kind == LIN_CAS) {
        bool mismatch = failed && e->format == LIN_PORCUPINE && !timed_out;
        op->outcome = mismatch ? LIN_OK : op->outcome;
        op->step.result_known = op->outcome == LIN_OK;
        op->step.result_true = ok;
        return true;
    }
    if (op->kind == LIN_BATCH && ok) {
        return read_txn(e, op, value, true);
    }
    if (op->kind == LIN_GET && ok) {
        value = pair ? element(e, value, 1) : value;
        op->step.result_known = !is_nil(e, value) || e->format == LIN_PORCUPINE;
        if (value == LIN_NONE) {
            return fail(e, "a read has no value");
        }
        return scalar(e, value, &op->step.result);
    }
    return true;
}

static bool keep(struct edn *e, enum status st)
{
    return st == ST_OK || fail(e, st == ST_NOMEM ? "out of memory" : "the operation does not fit");
}

static bool store(struct edn *e, const struct lin_op *op)
{
    return keep(e, lin_history_add(e->h, op, NULL));
}

/* What the operation points to is in the text, which stays; but the parts of a transaction. */
static bool on_invoke(struct edn *e, const struct event *ev, uint32_t process, uint64_t *open)
{
    struct lin_op op = {.client = process, .ret = LIN_NEVER, .outcome = LIN_INFO, .node = -1};
    op.call = e->time;
    op.line = (uint32_t)e->line;
    if (*open != 0 && e->open[*open - 1].kind != LIN_KIND_COUNT) {
        return fail(e, "the process has an operation open");
    }
    if (!invoke(e, ev, &op)) {
        return false;
    }
    if (op.kind == LIN_BATCH) {
        struct lin_step *copy = mem_alloc(e->mem, op.step_count * sizeof *copy);
        if (copy == NULL) {
            return fail(e, "out of memory");
        }
        memcpy(copy, op.steps, op.step_count * sizeof *copy);
        op.steps = copy;
    }
    if (*open == 0) {
        enum status st =
            lin_grow(e->mem, &e->open, &e->open_cap, (size_t)e->open_count + 1, sizeof *e->open);
        if (st != ST_OK) {
            mem_release(e->mem, op.kind == LIN_BATCH ? (void *)(uintptr_t)op.steps : NULL);
            return keep(e, st);
        }
        *open = ++e->open_count;
    }
    e->open[*open - 1] = op;
    return true;
}

static bool on_event(struct edn *e, const struct event *ev)
{
    uint32_t process;
    if (!keep(e, lin_strtab_add(&e->processes, ev->process, &process))) {
        return false;
    }
    uint64_t *open = lin_map_at(&e->open_of, process, 0);
    if (open == NULL) {
        return fail(e, "out of memory");
    }
    e->time++;
    if (is(ev->type, "invoke")) {
        return on_invoke(e, ev, process, open);
    }
    if (!is(ev->type, "ok") && !is(ev->type, "fail") && !is(ev->type, "info")) {
        return fail(e, "unknown :type");
    }
    if (*open == 0 || e->open[*open - 1].kind == LIN_KIND_COUNT) {
        /* Knossos tolerates an :info of a process that is not in an operation. */
        return is(ev->type, "info") || fail(e, "a completion without its invocation");
    }
    struct lin_op *op = &e->open[*open - 1];
    const struct lin_step *asked = op->steps;
    bool good = complete(e, ev, op) && store(e, op);
    if (op->kind == LIN_BATCH) {
        mem_release(e->mem, (void *)(uintptr_t)asked);
        op->steps = NULL;
    }
    op->kind = LIN_KIND_COUNT; /* told: not to be added at the end */
    return good;
}

/* ---- the two layouts ---- */

/* {:process 0, :type :invoke, :f :read, :value nil} */
static bool read_map(struct edn *e, uint32_t map)
{
    struct event ev = {.value = LIN_NONE};
    if (e->nodes[map].kind != T_OPEN || *e->nodes[map].text.data != '{') {
        return fail(e, "an event is a map");
    }
    uint32_t n = map + 1;
    while (n < e->nodes[map].end) {
        uint32_t value = e->nodes[n].end;
        if (e->nodes[n].kind != T_KEYWORD || value >= e->nodes[map].end) {
            return fail(e, "a map is made of keyword and value");
        }
        struct slice name = e->nodes[n].text;
        struct slice text = e->nodes[value].text;
        if (is(name, "process")) {
            ev.process = text;
        } else if (is(name, "type")) {
            ev.type = text;
        } else if (is(name, "f")) {
            ev.f = text;
        } else if (is(name, "key")) {
            ev.key = text;
            ev.keyed = true;
        } else if (is(name, "value")) {
            ev.value = value;
        }
        n = e->nodes[value].end;
    }
    if (ev.process.size == 0 || ev.type.size == 0 || ev.f.size == 0) {
        return fail(e, "an event needs :process, :type and :f");
    }
    if (is(ev.process, "nemesis")) {
        return true;
    }
    return on_event(e, &ev);
}

/* INFO  jepsen.util - 3 :invoke :write 4. Anything else in such a log is not an event. */
static bool read_log_line(struct edn *e, struct slice line)
{
    static const char mark[] = "jepsen.util - ";
    const char *end = line.data + line.size;
    const char *at = line.data;
    while ((size_t)(end - at) > sizeof mark && memcmp(at, mark, sizeof mark - 1) != 0) {
        at++;
    }
    at += sizeof mark - 1;
    if (at >= end || *at < '0' || *at > '9') {
        return true;
    }
    const char *p = e->p;
    const char *stop = e->end;
    e->p = at;
    e->end = end;
    struct slice parts[3] = {{0}};
    struct event ev = {.value = LIN_NONE};
    bool good = true;
    e->count = 0;
    for (int i = 0; i < 3 && good; i++) {
        enum token kind = next_token(e, &parts[i]);
        good = kind == (i == 0 ? T_WORD : T_KEYWORD);
    }
    struct slice text;
    enum token kind = good ? next_token(e, &text) : T_BAD;
    if (good && kind != T_END) {
        good = read_value(e, kind, text, &ev.value);
    }
    ev.process = parts[0];
    ev.type = parts[1];
    ev.f = parts[2];
    good = good && on_event(e, &ev);
    e->p = p;
    e->end = stop;
    return good || fail(e, "not an event of a jepsen log");
}

static bool read_lines(struct edn *e)
{
    bool good = true;
    while (good && e->p < e->end) {
        const char *nl = memchr(e->p, '\n', (size_t)(e->end - e->p));
        const char *stop = nl != NULL ? nl : e->end;
        struct slice line = slice_of(e->p, (size_t)(stop - e->p));
        e->line++;
        e->p = nl != NULL ? nl + 1 : e->end;
        good = read_log_line(e, line);
    }
    return good;
}

/* Maps one after the other, or all of them in one vector. */
static bool read_maps(struct edn *e)
{
    bool inside = false;
    for (;;) {
        struct slice text;
        e->count = 0;
        enum token kind = next_token(e, &text);
        if (kind == T_END) {
            return !inside || fail(e, "the text ends in a list");
        }
        if (kind == T_OPEN && *text.data != '{' && !inside) {
            inside = true;
            continue;
        }
        if (kind == T_CLOSE && inside) {
            inside = false;
            continue;
        }
        uint32_t at;
        if (!read_value(e, kind, text, &at) || !read_map(e, at)) {
            return false;
        }
    }
}

static bool add_unfinished(struct edn *e)
{
    bool good = true;
    for (uint32_t i = 0; i < e->open_count; i++) {
        struct lin_op *op = &e->open[i];
        if (op->kind == LIN_KIND_COUNT) {
            continue;
        }
        good = good && store(e, op);
        if (op->kind == LIN_BATCH) {
            mem_release(e->mem, (void *)(uintptr_t)op->steps);
        }
    }
    return good;
}

static bool is_log(struct slice text)
{
    static const char mark[] = "jepsen.util";
    size_t n = text.size < 4096 ? text.size : 4096;
    for (size_t i = 0; i + sizeof mark - 1 <= n; i++) {
        if (memcmp(text.data + i, mark, sizeof mark - 1) == 0) {
            return true;
        }
    }
    return false;
}

enum status lin_edn_read(struct lin_history *h, const char *name, struct slice text,
                         enum lin_format format, struct err *err)
{
    struct edn e = {.h = h, .mem = h->mem, .p = text.data, .format = format};
    e.end = text.data + text.size;
    lin_strtab_init(&e.processes, h->mem);
    lin_map_init(&e.open_of, h->mem);
    e.nodes = mem_alloc(h->mem, NODES_MAX * sizeof *e.nodes);
    e.steps = mem_alloc(h->mem, NODES_MAX * sizeof *e.steps);
    bool log = is_log(text);
    e.line = log ? 0 : 1;
    bool good = e.nodes != NULL && e.steps != NULL ? true : fail(&e, "out of memory");
    good = good && (log ? read_lines(&e) : read_maps(&e));
    good = add_unfinished(&e) && good;
    if (!good) {
        err_set(err, "%s:%llu: %s", name, (unsigned long long)e.line, e.wrong);
    }
    mem_release(h->mem, e.nodes);
    mem_release(h->mem, e.steps);
    mem_release(h->mem, e.open);
    lin_strtab_release(&e.processes);
    lin_map_release(&e.open_of);
    return good ? ST_OK : ST_CORRUPT;
}
