/* workop.c - see workop.h. */
#include "sim/cluster/workop.h"

#include "base/ck.h"

#include <stdio.h>
#include <string.h>

#define ARGS_MAX  12
#define RUN_WORDS 5 /* SESSION RUN id number answered */
#define OTHERS    7

/* Weights by the plan's mix. */
static const uint32_t weights[5][W_KINDS] = {
    /*  GET SET DEL CAS APP INC SNX GS  MG MS MUL RNG BUF OTH */
    {30, 20, 6, 10, 5, 5, 4, 3, 3, 3, 5, 4, 5, 4},    {40, 40, 6, 8, 0, 0, 3, 3, 0, 0, 0, 0, 5, 2},
    {15, 15, 5, 5, 0, 0, 2, 2, 12, 12, 18, 12, 2, 2}, {25, 5, 5, 5, 20, 30, 2, 2, 0, 0, 2, 0, 4, 2},
    {15, 10, 3, 3, 3, 3, 1, 1, 1, 1, 2, 1, 55, 3},
};

void workop_key(uint64_t n, char *key, size_t size)
{
    (void)snprintf(key, size, "k%03llu", (unsigned long long)n);
}

/* ---- what an operation is ---- */

struct slice workop_text(const struct session *s, size_t at, size_t size)
{
    return slice_of(at > 0 ? s->text.data + at : s->text.data, size);
}

void workop_keep(struct session *s, size_t *at, size_t *size, struct slice v)
{
    *at = s->text.size;
    *size = v.size;
    enum status st = buf_append(&s->text, v.data, v.size);
    CK(st == ST_OK);
}

static void new_value(struct session *s, struct wop *w, unsigned part, struct chooser_stream *r)
{
    char head[48];
    struct part *p = &w->parts[part];
    int n = snprintf(head, sizeof head, "v%llu.%u", (unsigned long long)w->ordinal, part);
    workop_keep(s, &p->value_at, &p->value_size, slice_of(head, (size_t)n));
    size_t pad = (size_t)choose(r, plan_get(s->load->plan, PLAN_VALUE_BYTES) + 1);
    if (pad > 0) {
        enum status st = buf_reserve(&s->text, pad + 1);
        CK(st == ST_OK);
        s->text.data[s->text.size] = '-';
        memset(s->text.data + s->text.size + 1, 'x', pad);
        s->text.size += pad + 1;
        p->value_size += pad + 1;
    }
}

static uint64_t draw_key(struct session *s, struct chooser_stream *r)
{
    return choose(r, plan_get(s->load->plan, PLAN_KEYS));
}

/* Parts with different keys, ascending. */
static void draw_parts(struct session *s, struct wop *w, struct chooser_stream *r, unsigned most)
{
    uint64_t keys = plan_get(s->load->plan, PLAN_KEYS);
    uint64_t first = choose(r, keys);
    uint64_t count = 1 + choose(r, most);
    for (uint64_t i = 0; i < count && first + i < keys; i++) {
        workop_key(first + i, w->parts[i].key, sizeof w->parts[i].key);
        w->part_count++;
    }
}

static void draw_expect(struct session *s, struct wop *w, struct chooser_stream *r, uint64_t key)
{
    uint64_t how = choose(r, 10);
    const struct buf *seen = &s->seen[key];
    if (how < 2 || (how < 8 && seen->size == 0)) {
        w->expect_absent = true;
    } else {
        workop_keep(s, &w->expect_at, &w->expect_size,
                    how < 8 ? buf_slice(seen) : slice_text("never written"));
    }
}

static void draw_multi(struct session *s, struct wop *w, struct chooser_stream *r)
{
    static const enum lin_kind kinds[] = {LIN_GET, LIN_PUT, LIN_PUT, LIN_DEL};
    draw_parts(s, w, r, WORKOP_PARTS_MAX);
    for (unsigned i = 0; i < w->part_count; i++) {
        w->parts[i].kind = kinds[choose(r, 4)];
        if (w->parts[i].kind == LIN_PUT) {
            new_value(s, w, i, r);
        }
    }
}

void workop_draw(struct session *s, struct wop *w, uint64_t ordinal)
{
    struct chooser_stream r;
    chooser_stream_init(&r, &s->load->world->chooser, CHOOSE_WORKLOAD, ordinal + 1);
    uint64_t mix = plan_get(s->load->plan, PLAN_MIX);
    *w = (struct wop){.ordinal = ordinal};
    w->kind = (enum wkind)choose_weighted(&r, weights[mix], W_KINDS);
    struct part *p = &w->parts[0];
    uint64_t key = draw_key(s, &r);
    w->part_count = 1;
    workop_key(key, p->key, sizeof p->key);
    switch (w->kind) {
    case W_INCR:
        (void)snprintf(p->key, sizeof p->key, "n%03llu", (unsigned long long)(key % 4));
        break;
    case W_APPEND:
        (void)snprintf(p->key, sizeof p->key, "a%03llu", (unsigned long long)(key % 6));
        new_value(s, w, 0, &r);
        break;
    case W_SET:
    case W_SETNX:
    case W_GETSET:
        new_value(s, w, 0, &r);
        break;
    case W_CAS:
        draw_expect(s, w, &r, key);
        new_value(s, w, 0, &r);
        break;
    case W_BUFFERED:
        (void)snprintf(p->key, sizeof p->key, "b%03llu", (unsigned long long)key);
        new_value(s, w, 0, &r);
        break;
    case W_MGET:
    case W_MSET:
        w->part_count = 0;
        draw_parts(s, w, &r, WORKOP_PARTS_MAX);
        for (unsigned i = 0; w->kind == W_MSET && i < w->part_count; i++) {
            new_value(s, w, i, &r);
        }
        break;
    case W_MULTI:
        w->part_count = 0;
        draw_multi(s, w, &r);
        break;
    case W_RANGE:
        w->part_count = 2;
        workop_key(key + 1 + choose(&r, 4), w->parts[1].key, sizeof w->parts[1].key);
        break;
    case W_OTHER:
        p->value_at = (size_t)choose(&r, OTHERS); /* which of them */
        break;
    case W_GET:
    case W_DEL:
    case W_KINDS:
        break;
    }
}

/* ---- sending it ---- */

static enum status queue(struct session *s, struct wop *w, const struct slice *args, size_t count)
{
    uint64_t start;
    struct slice all[ARGS_MAX + RUN_WORDS];
    char words[3][24];
    if (s->running) {
        const uint64_t numbers[3] = {s->once, s->sequence, s->sequence};
        all[0] = slice_text("SESSION");
        all[1] = slice_text("RUN");
        for (unsigned i = 0; i < 3; i++) {
            (void)snprintf(words[i], sizeof words[i], "%llu", (unsigned long long)numbers[i]);
            all[2 + i] = slice_text(words[i]);
        }
        memcpy(all + RUN_WORDS, args, count * sizeof *args);
        args = all;
        count += RUN_WORDS;
    }
    enum status st = respclient_queue(&s->rc, args, count, &start);
    if (st == ST_OK && !w->queued) {
        w->queued = true;
        w->start = start;
    }
    w->number = ++s->requests;
    w->conn = s->conn;
    w->replies++;
    return st;
}

static enum status queue_words(struct session *s, struct wop *w, const char *a, const char *b)
{
    struct slice args[2] = {slice_text(a), slice_text(b != NULL ? b : "")};
    return queue(s, w, args, b != NULL ? 2 : 1);
}

struct slice workop_value(const struct session *s, const struct part *p)
{
    return workop_text(s, p->value_at, p->value_size);
}

static enum status queue_kv(struct session *s, struct wop *w, const char *verb, unsigned part,
                            const char *extra)
{
    const struct part *p = &w->parts[part];
    struct slice args[4] = {slice_text(verb), slice_text(p->key), workop_value(s, p)};
    args[3] = slice_text(extra != NULL ? extra : "");
    return queue(s, w, args, extra != NULL ? 4 : 3);
}

static enum status queue_many(struct session *s, struct wop *w)
{
    struct slice args[ARGS_MAX];
    size_t n = 0;
    args[n++] = slice_text(w->kind == W_MSET ? "MSET" : "MGET");
    for (unsigned i = 0; i < w->part_count; i++) {
        args[n++] = slice_text(w->parts[i].key);
        if (w->kind == W_MSET) {
            args[n++] = workop_value(s, &w->parts[i]);
        }
    }
    return queue(s, w, args, n);
}

static enum status queue_multi(struct session *s, struct wop *w)
{
    enum status st = queue_words(s, w, "MULTI", NULL);
    for (unsigned i = 0; i < w->part_count && st == ST_OK; i++) {
        const struct part *p = &w->parts[i];
        st = p->kind == LIN_PUT   ? queue_kv(s, w, "SET", i, NULL)
             : p->kind == LIN_DEL ? queue_words(s, w, "DEL", p->key)
                                  : queue_words(s, w, "GET", p->key);
    }
    return st == ST_OK ? queue_words(s, w, "EXEC", NULL) : st;
}

static enum status queue_cas(struct session *s, struct wop *w)
{
    struct slice expect = slice_of(NULL, 0);
    if (!w->expect_absent) {
        expect = workop_text(s, w->expect_at, w->expect_size);
    }
    struct slice args[4] = {slice_text("CAS"), slice_text(w->parts[0].key), expect,
                            workop_value(s, &w->parts[0])};
    return queue(s, w, args, 4);
}

static enum status queue_range(struct session *s, struct wop *w)
{
    struct slice args[3] = {slice_text("RANGE"), slice_text(w->parts[0].key),
                            slice_text(w->parts[1].key)};
    return queue(s, w, args, 3);
}

static enum status queue_buffered(struct session *s, struct wop *w)
{
    enum status st = queue_words(s, w, "DURABILITY", "buffered");
    if (st == ST_OK) {
        st = w->ordinal % 5 == 0 ? queue_words(s, w, "DEL", w->parts[0].key)
                                 : queue_kv(s, w, "SET", 0, NULL);
    }
    return st == ST_OK ? queue_words(s, w, "DURABILITY", "sync") : st;
}

/* Commands that have no place in the history but must not break anything. */
static enum status queue_other(struct session *s, struct wop *w)
{
    static const char *const words[OTHERS] = {"PING",   "DBSIZE", "INFO",  "SCAN",
                                              "STRLEN", "EXISTS", "NOSUCH"};
    const char *verb = words[w->parts[0].value_at];
    char cursor[24];
    if (w->parts[0].value_at == WORKOP_SCAN) {
        (void)snprintf(cursor, sizeof cursor, "%llu", (unsigned long long)s->cursor);
        struct slice args[4] = {slice_text(verb), slice_text(cursor), slice_text("COUNT"),
                                slice_text("1")};
        return queue(s, w, args, 4);
    }
    bool keyed = verb[0] == 'S' || verb[0] == 'E';
    return queue_words(s, w, verb, keyed ? w->parts[0].key : NULL);
}

bool workop_runs(const struct wop *w)
{
    switch (w->kind) {
    case W_SET:
    case W_DEL:
    case W_CAS:
    case W_APPEND:
    case W_INCR:
    case W_SETNX:
    case W_GETSET:
    case W_MSET:
        return true;
    default:
        return false;
    }
}

enum status workop_queue(struct session *s, struct wop *w)
{
    const char *key = w->parts[0].key;
    switch (w->kind) {
    case W_GET:
        return queue_words(s, w, "GET", key);
    case W_SET:
        return queue_kv(s, w, "SET", 0, NULL);
    case W_DEL:
        return queue_words(s, w, "DEL", key);
    case W_CAS:
        return queue_cas(s, w);
    case W_APPEND:
        return queue_kv(s, w, "APPEND", 0, NULL);
    case W_INCR:
        return queue_words(s, w, "INCR", key);
    case W_SETNX:
        return queue_kv(s, w, "SET", 0, "NX");
    case W_GETSET:
        return queue_kv(s, w, "SET", 0, "GET");
    case W_MGET:
    case W_MSET:
        return queue_many(s, w);
    case W_MULTI:
        return queue_multi(s, w);
    case W_RANGE:
        return queue_range(s, w);
    case W_BUFFERED:
        return queue_buffered(s, w);
    case W_OTHER:
    case W_KINDS:
        break;
    }
    return queue_other(s, w);
}
