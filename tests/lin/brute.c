/* brute.c - see brute.h. Plain C strings and recursion, on purpose: nothing clever. */
#include "tests/lin/brute.h"

#include <stdio.h>
#include <stdlib.h>

static struct brute_value *find(struct brute_store *store, struct slice key)
{
    for (int i = 0; i < store->count; i++) {
        const char *name = store->keys[i].name;
        if (strlen(name) == key.size && memcmp(name, key.data, key.size) == 0) {
            return &store->keys[i].value;
        }
    }
    abort(); /* the caller did not name it */
}

static bool equals(const struct brute_value *a, struct lin_value b)
{
    if (a->present != b.present) {
        return false;
    }
    return !a->present ||
           (strlen(a->text) == b.text.size && memcmp(a->text, b.text.data, b.text.size) == 0);
}

static void set(struct brute_value *at, struct lin_value v)
{
    at->present = v.present;
    at->text[0] = '\0';
    if (v.present) {
        (void)snprintf(at->text, sizeof at->text, "%.*s", (int)v.text.size, v.text.data);
    }
}

/* "12" but not "012", "+1", "" or "1x", and within 64 bits. */
static bool number(const char *text, long long *out)
{
    char again[32];
    *out = strtoll(text, NULL, 10);
    (void)snprintf(again, sizeof again, "%lld", *out);
    return strcmp(again, text) == 0;
}

static bool apply_incr(struct brute_value *at, const struct lin_step *s, bool known)
{
    char delta_text[32];
    char sum_text[32];
    long long old = 0;
    long long delta;
    (void)snprintf(delta_text, sizeof delta_text, "%.*s", (int)s->value.text.size,
                   s->value.text.data);
    if ((at->present && !number(at->text, &old)) || !number(delta_text, &delta)) {
        return false;
    }
    if ((delta > 0 && old > INT64_MAX - delta) || (delta < 0 && old < INT64_MIN - delta)) {
        return false;
    }
    (void)snprintf(sum_text, sizeof sum_text, "%lld", old + delta);
    set(at, (struct lin_value){true, slice_text(sum_text)});
    return !known || equals(at, s->result);
}

static bool apply_step(struct brute_store *store, const struct lin_step *s, bool known)
{
    struct brute_value *at = find(store, s->key);
    bool equal;
    switch (s->kind) {
    case LIN_GET:
        return !known || equals(at, s->result);
    case LIN_PUT:
        set(at, s->value);
        return true;
    case LIN_DEL:
        set(at, (struct lin_value){0});
        return true;
    case LIN_CAS:
        equal = equals(at, s->expect);
        if (equal) {
            set(at, s->value);
        }
        return !known || equal == s->result_true;
    case LIN_APPEND: {
        size_t had = at->present ? strlen(at->text) : 0;
        at->present = true;
        at->text[had] = '\0';
        (void)snprintf(at->text + had, sizeof at->text - had, "%.*s", (int)s->value.text.size,
                       s->value.text.data);
        return true;
    }
    default:
        return apply_incr(at, s, known);
    }
}

static bool in_range(const struct lin_op *op, const char *key)
{
    return slice_compare(slice_text(key), op->lo) >= 0 &&
           slice_compare(slice_text(key), op->hi) < 0;
}

/* Every key in range is listed with its value if present, and not listed if absent. */
static bool check_scan(const struct brute_store *store, const struct lin_op *op)
{
    for (int i = 0; i < store->count; i++) {
        const struct brute_key *k = &store->keys[i];
        struct lin_value listed = {0};
        for (size_t n = 0; n < op->pair_count; n++) {
            if (slice_equal(op->pairs[n].key, slice_text(k->name))) {
                listed = (struct lin_value){true, op->pairs[n].value};
            }
        }
        if (in_range(op, k->name) && !equals(&k->value, listed)) {
            return false;
        }
    }
    return true;
}

bool brute_apply(struct brute_store *store, const struct lin_op *op)
{
    bool told = op->outcome == LIN_OK;
    if (op->kind == LIN_SCAN) {
        return !told || !op->result_known || check_scan(store, op);
    }
    if (op->kind != LIN_BATCH) {
        struct lin_step one = op->step;
        one.kind = op->kind;
        return apply_step(store, &one, told && one.result_known);
    }
    for (size_t i = 0; i < op->step_count; i++) {
        bool known = told && op->result_known && op->steps[i].result_known;
        if (!apply_step(store, &op->steps[i], known)) {
            return false;
        }
    }
    return true;
}

/* Some remaining operation ended before this one began. */
static bool must_wait(const struct lin_op *ops, int count, const bool *gone, int i)
{
    for (int j = 0; j < count; j++) {
        if (!gone[j] && ops[j].outcome == LIN_OK && ops[j].ret < ops[i].call) {
            return true;
        }
    }
    return false;
}

/* An unknown operation may take effect, or be left out at the end. */
static bool extend(const struct lin_op *ops, int count, bool *gone, const struct brute_store *store)
{
    bool over = true;
    for (int i = 0; i < count; i++) {
        over = over && (gone[i] || ops[i].outcome == LIN_INFO);
    }
    if (over) {
        return true;
    }
    for (int i = 0; i < count; i++) {
        struct brute_store after = *store;
        if (gone[i] || must_wait(ops, count, gone, i) || !brute_apply(&after, &ops[i])) {
            continue;
        }
        gone[i] = true;
        bool found = extend(ops, count, gone, &after);
        gone[i] = false;
        if (found) {
            return true;
        }
    }
    return false;
}

bool brute_linearizable(const struct lin_op *ops, int count, const struct brute_store *start)
{
    bool gone[BRUTE_OPS_MAX] = {false};
    if (count > BRUTE_OPS_MAX) {
        abort();
    }
    for (int i = 0; i < count; i++) {
        gone[i] = ops[i].outcome == LIN_FAIL;
    }
    return extend(ops, count, gone, start);
}
