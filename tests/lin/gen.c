/* gen.c - see gen.h. */
#include "tests/lin/gen.h"

#include <stdio.h>
#include <stdlib.h>

static int below(struct prng *g, int n)
{
    return n > 0 ? (int)prng_below(g, (uint64_t)n) : 0;
}

static bool chance(struct prng *g, int percent)
{
    return below(g, 100) < percent;
}

void gen_style(struct gen_style *style, struct prng *g)
{
    *style = (struct gen_style){.ops_max = 2 + below(g, 7),
                                .keys = 1 + (chance(g, 50) ? 0 : below(g, 3)),
                                .values = chance(g, 40) ? 0 : 1 + below(g, 3),
                                .time_max = 3 + below(g, 30),
                                .length_max = 1 + below(g, 20),
                                .info = chance(g, 50) ? 0 : below(g, 50),
                                .fail = chance(g, 70) ? 0 : below(g, 20),
                                .lie = below(g, 80)};
    static const int mixes[][LIN_KIND_COUNT] = {
        {5, 5, 0, 0, 0, 0, 0, 0}, {4, 3, 2, 0, 0, 0, 0, 0}, {3, 2, 1, 4, 0, 0, 0, 0},
        {3, 1, 0, 6, 0, 0, 0, 0}, {4, 1, 1, 0, 5, 0, 0, 0}, {3, 1, 1, 1, 0, 5, 0, 0},
        {2, 5, 1, 0, 0, 0, 4, 0}, {2, 3, 0, 0, 0, 0, 1, 5}, {2, 2, 1, 2, 1, 1, 1, 2},
        {1, 1, 1, 3, 2, 2, 1, 3},
    };
    memcpy(style->weight, mixes[below(g, (int)(sizeof mixes / sizeof *mixes))],
           sizeof style->weight);
}

/* ---- texts ---- */

static struct slice keep(struct gen *out, const char *text)
{
    if (out->text_count == BRUTE_OPS_MAX * 8) {
        abort();
    }
    char *to = out->texts[out->text_count++];
    (void)snprintf(to, BRUTE_TEXT_MAX, "%s", text);
    return slice_text(to);
}

static struct slice key_of(struct gen *out, int k)
{
    return slice_text(out->start.keys[k].name);
}

static struct lin_value draw_value(struct gen *out, const struct gen_style *style, struct prng *g)
{
    char text[32];
    int n = style->values > 0 ? below(g, style->values) : 10 + out->text_count;
    (void)snprintf(text, sizeof text, "%d", n);
    return (struct lin_value){true, keep(out, text)};
}

static struct lin_value draw_expect(struct gen *out, const struct gen_style *style, struct prng *g)
{
    if (chance(g, 15)) {
        return (struct lin_value){0};
    }
    if (style->values == 0 && out->text_count > 0 && chance(g, 80)) {
        return (struct lin_value){true, slice_text(out->texts[below(g, out->text_count)])};
    }
    return draw_value(out, style, g);
}

static void draw_step(struct gen *out, struct lin_step *s, enum lin_kind kind,
                      const struct gen_style *style, struct prng *g)
{
    *s = (struct lin_step){.kind = kind, .key = key_of(out, below(g, style->keys))};
    s->result_known = chance(g, 92);
    if (kind == LIN_INCR) {
        static const char *const deltas[] = {"1", "1", "2", "-1", "0"};
        s->value = (struct lin_value){true, slice_text(deltas[below(g, 5)])};
        return;
    }
    if (kind == LIN_CAS) {
        s->expect = draw_expect(out, style, g);
    }
    if (kind != LIN_GET && kind != LIN_DEL) {
        s->value = draw_value(out, style, g);
    }
}

static enum lin_kind draw_kind(const int *weight, int kinds, struct prng *g)
{
    int sum = 0;
    for (int k = 0; k < kinds; k++) {
        sum += weight[k];
    }
    int at = below(g, sum);
    for (int k = 0; k < kinds; k++) {
        at -= weight[k];
        if (at < 0) {
            return (enum lin_kind)k;
        }
    }
    return LIN_GET;
}

static void draw_op(struct gen *out, int i, const struct gen_style *style, struct prng *g)
{
    struct lin_op *op = &out->ops[i];
    enum lin_kind kind = draw_kind(style->weight, LIN_KIND_COUNT, g);
    *op = (struct lin_op){.client = i, .kind = kind, .node = -1};
    op->result_known = chance(g, 94);
    op->outcome = chance(g, style->info) ? LIN_INFO : chance(g, style->fail) ? LIN_FAIL : LIN_OK;
    op->call = below(g, style->time_max);
    op->ret = op->call + below(g, style->length_max);
    if (op->outcome == LIN_INFO) {
        op->ret = LIN_NEVER;
    }
    if (kind == LIN_SCAN) {
        int lo = below(g, style->keys + 1);
        int hi = lo + below(g, style->keys + 1 - lo) + (chance(g, 80) ? 1 : 0);
        char text[2] = {(char)('a' + lo), '\0'};
        op->lo = keep(out, text);
        text[0] = (char)('a' + hi);
        op->hi = keep(out, text);
        return;
    }
    if (kind != LIN_BATCH) {
        draw_step(out, &op->step, kind, style, g);
        return;
    }
    op->steps = out->steps[i];
    op->step_count = 1 + (size_t)below(g, GEN_STEPS_MAX);
    bool plain = chance(g, 50); /* reads and writes only */
    static const int simple[] = {4, 4, 1};
    for (size_t n = 0; n < op->step_count; n++) {
        enum lin_kind k = draw_kind(plain ? simple : style->weight, plain ? 3 : LIN_SCAN, g);
        draw_step(out, &out->steps[i][n], k, style, g);
    }
}

/* ---- results ---- */

static struct lin_value value_now(struct gen *out, struct brute_store *store, struct slice key)
{
    for (int k = 0; k < store->count; k++) {
        if (slice_equal(slice_text(store->keys[k].name), key)) {
            struct brute_value *v = &store->keys[k].value;
            return (struct lin_value){v->present,
                                      v->present ? keep(out, v->text) : slice_of(NULL, 0)};
        }
    }
    return (struct lin_value){0};
}

/* Fills in what the step sees; false when it cannot take place at all. */
static bool answer_step(struct gen *out, struct brute_store *store, struct lin_step *s)
{
    struct lin_value now = value_now(out, store, s->key);
    s->result = now;
    s->result_true =
        now.present == s->expect.present && (!now.present || slice_equal(now.text, s->expect.text));
    struct lin_op one = {.kind = s->kind, .outcome = LIN_OK, .step = *s};
    one.step.result_known = s->kind != LIN_INCR && s->result_known;
    if (!brute_apply(store, &one)) {
        return false;
    }
    if (s->kind == LIN_INCR) {
        s->result = value_now(out, store, s->key);
    }
    return true;
}

static void answer_scan(struct gen *out, struct brute_store *store, int i)
{
    struct lin_op *op = &out->ops[i];
    op->pairs = out->pairs[i];
    for (int k = 0; k < store->count; k++) {
        struct slice key = key_of(out, k); /* the store is about to go */
        if (store->keys[k].value.present && slice_compare(key, op->lo) >= 0 &&
            slice_compare(key, op->hi) < 0) {
            struct lin_value v = value_now(out, store, key);
            out->pairs[i][op->pair_count++] = (struct lin_pair){key, v.text};
        }
    }
}

static bool answer(struct gen *out, struct brute_store *store, int i)
{
    struct lin_op *op = &out->ops[i];
    if (op->kind == LIN_SCAN) {
        answer_scan(out, store, i);
        return true;
    }
    if (op->kind != LIN_BATCH) {
        op->step.kind = op->kind;
        return answer_step(out, store, &op->step);
    }
    struct brute_store before = *store;
    for (size_t n = 0; n < op->step_count; n++) {
        if (!answer_step(out, store, &out->steps[i][n])) {
            *store = before;
            return false;
        }
    }
    return true;
}

/* Changes what one operation saw. */
static void lie(struct gen *out, const struct gen_style *style, struct prng *g)
{
    int i = below(g, out->count);
    struct lin_op *op = &out->ops[i];
    struct lin_step *s = &op->step;
    if (op->kind == LIN_BATCH) {
        s = &out->steps[i][below(g, (int)op->step_count)];
    }
    if (op->kind == LIN_SCAN) {
        if (op->pair_count > 0 && chance(g, 50)) {
            op->pair_count--;
        } else if (op->pair_count > 0) {
            out->pairs[i][0].value = draw_value(out, style, g).text;
        }
    } else if (s->kind == LIN_INCR) {
        s->result = (struct lin_value){true, slice_text(chance(g, 50) ? "1" : "2")};
    } else {
        s->result = draw_expect(out, style, g);
        s->result_true = !s->result_true;
    }
}

static void init_store(struct gen *out, const struct gen_style *style, struct prng *g)
{
    out->start.count = style->keys;
    out->fallback = (struct lin_value){0};
    if (chance(g, 20)) {
        out->fallback = (struct lin_value){true, slice_text(chance(g, 50) ? "" : "1")};
    }
    for (int k = 0; k < style->keys; k++) {
        struct brute_key *key = &out->start.keys[k];
        *key = (struct brute_key){.name = {(char)('a' + k)}};
        key->value.present = out->fallback.present;
        (void)snprintf(key->value.text, sizeof key->value.text, "%.*s",
                       (int)out->fallback.text.size,
                       out->fallback.present ? out->fallback.text.data : "");
        if (chance(g, 20)) {
            key->value.present = true;
            (void)snprintf(key->value.text, sizeof key->value.text, "%d", below(g, 3));
        }
    }
}

void gen_history(struct gen *out, const struct gen_style *style, struct prng *g)
{
    int at[BRUTE_OPS_MAX]; /* the instant of each operation */
    bool gone[BRUTE_OPS_MAX] = {false};
    out->text_count = 0;
    out->count = 1 + below(g, style->ops_max);
    init_store(out, style, g);
    for (int i = 0; i < out->count; i++) {
        draw_op(out, i, style, g);
        const struct lin_op *op = &out->ops[i];
        int length = op->ret == LIN_NEVER ? style->time_max : (int)(op->ret - op->call);
        at[i] = (int)op->call + below(g, length + 1);
        gone[i] = op->outcome == LIN_FAIL || (op->outcome == LIN_INFO && chance(g, 40));
    }
    struct brute_store store = out->start;
    for (;;) {
        int first = -1;
        for (int i = 0; i < out->count; i++) {
            if (!gone[i] && (first < 0 || at[i] < at[first])) {
                first = i;
            }
        }
        if (first < 0) {
            break;
        }
        gone[first] = true;
        if (!answer(out, &store, first)) {
            out->ops[first].outcome = LIN_FAIL;
            out->ops[first].ret =
                out->ops[first].ret == LIN_NEVER ? out->ops[first].call : out->ops[first].ret;
        }
    }
    if (chance(g, style->lie)) {
        lie(out, style, g);
    }
    if (chance(g, style->lie / 3)) {
        lie(out, style, g);
    }
}

bool gen_add(const struct gen *gen, struct lin_history *h)
{
    struct err err;
    bool good = lin_history_set_default(h, gen->fallback) == ST_OK;
    for (int k = 0; k < gen->start.count; k++) {
        const struct brute_key *key = &gen->start.keys[k];
        struct lin_value v = {key->value.present, slice_text(key->value.text)};
        good = good && lin_history_set_init(h, slice_text(key->name), v) == ST_OK;
    }
    for (int i = 0; i < gen->count; i++) {
        good = good && lin_history_add(h, &gen->ops[i], &err) == ST_OK;
    }
    return good;
}
