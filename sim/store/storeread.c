/* storeread.c - see storeread.h. */
#include "sim/store/storeread.h"

#include "base/ck.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

#define MILLION   1000000u
#define MANY_MAX  8
#define STEPS_MAX 12
#define KEY_MAX   4200 /* of the workload, or a little more */
#define NOTHING   STOREMODEL_NONE

static size_t draw_key(struct storeworker *w)
{
    const struct storemodel *m = &w->store->model;
    if (choose_chance(&w->draw, MILLION / 16)) {
        return choose(&w->draw, m->key_count); /* stripes too */
    }
    return m->data_first + choose(&w->draw, m->data_count);
}

static void wrong_value(struct storeworker *w, const char *class, const char *call, size_t key,
                        struct slice got)
{
    struct store *s = w->store;
    struct storecut low;
    struct slice name = storemodel_key(&s->model, key), should;
    storemodel_low(&s->model, &low);
    bool present = storemodel_lookup(&s->model, &low, key, &should);
    world_fail(&s->world, class, "%s of '%.*s' %s%.*s; acknowledged is %s%.*s", call,
               name.size > 24 ? 24 : (int)name.size, name.data,
               got.data != NULL ? "gave " : "found nothing", got.size > 40 ? 40 : (int)got.size,
               got.data != NULL ? got.data : "", present ? "" : "nothing",
               should.size > 40 ? 40 : (int)should.size, present ? should.data : "");
}

/* A value that was read now, or through what the worker holds (hold not NULL). */
static void check_value(struct storeworker *w, const char *call, const struct storecut *low,
                        const struct storehold *hold, size_t key, struct slice got)
{
    struct storemodel *m = &w->store->model;
    w->answers = hash_add(w->answers, key << 1 | (got.data != NULL));
    w->answers = hash_bytes(w->answers, got.data, got.size);
    bool right = hold != NULL ? storemodel_match(m, &hold->cut, key, got)
                              : storemodel_match_now(m, low, key, got);
    if (!right) {
        wrong_value(w, hold != NULL ? "E10 isolation" : "E9 live read", call, key, got);
    }
}

/* NOTFOUND is an answer; anything else but OK needs an excuse. */
static bool answered(struct storeworker *w, const char *call, enum tkv_status st)
{
    return st == TKV_NOTFOUND || storecheck_status(w->store, call, st);
}

static void read_one(struct storeworker *w, const struct storehold *hold, size_t key)
{
    struct store *s = w->store;
    struct tkv_read_options o;
    struct storecut low;
    size_t size = 0, room = (size_t)plan_get(s->plan, PLAN_STORE_VALUE_BYTES) + 64;
    struct slice k = storemodel_key(&s->model, key);
    tkv_read_options_init(&o);
    o.snapshot = hold != NULL ? hold->snapshot : NULL;
    o.skip_cache = choose_chance(&w->draw, MILLION / 8);
    enum status reserved = buf_reserve(&w->value, room);
    CK(reserved == ST_OK);
    buf_clear(&w->value);
    storemodel_low(&s->model, &low);
    enum tkv_status st = tkv_get(s->db, &o, k.data, k.size, w->value.data, room, &size);
    if (answered(w, "tkv_get", st)) {
        bool found = st == TKV_OK;
        check_value(w, "tkv_get", &low, hold, key,
                    found ? slice_of(w->value.data, size < room ? size : room) : slice_of(NULL, 0));
    }
}

void storeread_get(struct storeworker *w, struct env *env)
{
    (void)env;
    for (uint64_t n = 1 + choose(&w->draw, 3); n > 0 && !w->store->world.failure.set; n--) {
        read_one(w, NULL, draw_key(w));
    }
}

/* ---- pins ---- */

void storeread_pin(struct storeworker *w)
{
    struct store *s = w->store;
    struct storepin *p = &w->pins[choose(&w->draw, STORE_HOLDS)];
    struct storecut low;
    size_t key = draw_key(w);
    struct slice k = storemodel_key(&s->model, key);
    if (p->pin.owner != NULL) {
        return;
    }
    storemodel_low(&s->model, &low);
    enum tkv_status st = tkv_get_pin(s->db, NULL, k.data, k.size, &p->pin);
    if (!answered(w, "tkv_get_pin", st)) {
        p->pin = (struct tkv_pin){0};
        return;
    }
    struct slice got = slice_of(NULL, 0);
    if (st == TKV_OK) {
        got = slice_of(p->pin.size > 0 ? p->pin.data : "", p->pin.size);
        p->had = storemodel_keep(&s->model, got);
    } else {
        p->pin = (struct tkv_pin){0};
    }
    check_value(w, "tkv_get_pin", &low, NULL, key, got);
}

static void unpin(struct storeworker *w, struct storepin *p)
{
    struct store *s = w->store;
    if (p->pin.owner == NULL) {
        return;
    }
    struct slice had = p->had;
    if (!slice_equal(had, slice_of(p->pin.size > 0 ? p->pin.data : "", p->pin.size))) {
        world_fail(&s->world, "E10 isolation", "a pinned value has changed from '%.*s'",
                   had.size > 60 ? 60 : (int)had.size, had.data);
    }
    tkv_pin_release(s->db, &p->pin);
    p->pin = (struct tkv_pin){0};
}

void storeread_unpin(struct storeworker *w)
{
    unpin(w, &w->pins[choose(&w->draw, STORE_HOLDS)]);
}

/* ---- several at once ---- */

static const struct storehold *some_snapshot(struct storeworker *w)
{
    const struct storehold *h = &w->snapshots[choose(&w->draw, STORE_HOLDS)];
    return h->snapshot != NULL ? h : NULL;
}

void storeread_many(struct storeworker *w, struct env *env)
{
    struct store *s = w->store;
    const struct storehold *hold = some_snapshot(w);
    struct tkv_slice keys[MANY_MAX];
    struct tkv_pin pins[MANY_MAX] = {{0}};
    enum tkv_status each[MANY_MAX];
    size_t which[MANY_MAX];
    size_t count = 1 + choose(&w->draw, MANY_MAX);
    struct tkv_read_options o;
    struct storecut low;
    (void)env;
    for (size_t i = 0; i < count; i++) {
        which[i] = draw_key(w);
        struct slice k = storemodel_key(&s->model, which[i]);
        keys[i] = (struct tkv_slice){k.data, k.size};
        each[i] = TKV_NOTFOUND;
    }
    tkv_read_options_init(&o);
    o.snapshot = hold != NULL ? hold->snapshot : NULL;
    storemodel_low(&s->model, &low);
    enum tkv_status st = tkv_multi_get(s->db, &o, count, keys, pins, each);
    (void)storecheck_status(s, "tkv_multi_get", st); /* each key tells for itself */
    for (size_t i = 0; i < count; i++) {
        if (answered(w, "tkv_multi_get of a key", each[i])) {
            struct slice got = slice_of(pins[i].size > 0 ? pins[i].data : "", pins[i].size);
            check_value(w, "tkv_multi_get", &low, hold, which[i],
                        each[i] == TKV_OK ? got : slice_of(NULL, 0));
        }
        tkv_pin_release(s->db, &pins[i]);
    }
}

static void scan(struct storeworker *w, const struct storehold *hold)
{
    storecheck_scan(w->store, &w->view, hold, choose(&w->draw, 2) == 1);
    for (size_t key = 0; key < w->view.key_count; key++) {
        struct slice value = storeview_value(&w->view, key);
        w->answers = hash_add(w->answers, value.data != NULL);
        w->answers = hash_bytes(w->answers, value.data, value.size);
    }
}

void storeread_scan(struct storeworker *w)
{
    scan(w, some_snapshot(w));
}

/* ---- snapshots ---- */

/* What a snapshot shows is committed, but its writer may not have been told yet: until it is, the
 * order of that write is not known. */
static void await_writers(struct storeworker *w, const struct storecut *cut)
{
    struct store *s = w->store;
    struct env *env = &s->proc->env;
    uint64_t wait_ns = 10000; /* longer each time: some policies run the latest to wake first */
    for (size_t i = 0; i < s->model.workers; i++) {
        const struct storelist *l = &s->model.lists[i];
        while (cut->upto[i] > 0 && !s->world.failure.set &&
               s->model.writes[l->writes[cut->upto[i] - 1]].state == STOREWRITE_PENDING) {
            env_sleep_until(env, env_clock_mono(env) + wait_ns);
            wait_ns *= 2;
        }
    }
}

/* Takes a snapshot and learns from the stripes which cut it is. */
static bool hold_take(struct storeworker *w, struct storehold *h)
{
    struct store *s = w->store;
    struct storecut low;
    storemodel_low(&s->model, &low);
    enum tkv_status st = tkv_snapshot_new(s->db, &h->snapshot);
    if (!storecheck_status(s, "tkv_snapshot_new", st)) {
        h->snapshot = NULL;
        return false;
    }
    h->cut = low;
    if (s->model.workers == 1) {
        return true;
    }
    struct slice stripes[STOREMODEL_WORKERS];
    size_t at[STOREMODEL_WORKERS];
    char text[STOREMODEL_WORKERS][32];
    struct tkv_read_options o;
    tkv_read_options_init(&o);
    o.snapshot = h->snapshot;
    for (size_t i = 0; i < s->model.workers; i++) {
        struct slice k = storemodel_key(&s->model, s->model.stripes[i]);
        do { /* refused memory is no answer */
            st = tkv_get(s->db, &o, k.data, k.size, text[i], sizeof text[i], &at[i]);
        } while (st == TKV_NOMEM && storecheck_excused(s, st));
        if (!answered(w, "tkv_get of a stripe", st)) {
            tkv_snapshot_free(s->db, h->snapshot);
            h->snapshot = NULL;
            return false;
        }
        size_t n = at[i] < sizeof text[i] ? at[i] : sizeof text[i];
        stripes[i] = st == TKV_OK ? slice_of(text[i], n) : slice_of(NULL, 0);
    }
    const char *class = "";
    struct err why = {{0}};
    if (!storejudge_cut(&s->model, stripes, &low, &h->cut, &class, &why)) {
        storecheck_fail(s, class, &why);
    }
    await_writers(w, &h->cut);
    return true;
}

static void hold_drop(struct storeworker *w, struct storehold *h)
{
    tkv_snapshot_free(w->store->db, h->snapshot);
    h->snapshot = NULL;
}

void storeread_snapshot(struct storeworker *w)
{
    struct storehold *h = &w->snapshots[choose(&w->draw, STORE_HOLDS)];
    if (h->snapshot != NULL) {
        hold_drop(w, h);
    } else {
        (void)hold_take(w, h);
    }
}

void storeread_by_snapshot(struct storeworker *w)
{
    const struct storehold *h = some_snapshot(w);
    if (h == NULL) {
        return;
    }
    if (choose(&w->draw, 3) == 0) {
        scan(w, h);
        return;
    }
    for (uint64_t n = 1 + choose(&w->draw, 4); n > 0 && !w->store->world.failure.set; n--) {
        read_one(w, h, draw_key(w));
    }
}

/* ---- cursors ---- */

/* Bytes to seek to or to bound by: a key, something just after or before it, or none of them. */
static struct slice draw_place(struct storeworker *w, char place[KEY_MAX])
{
    const struct storemodel *m = &w->store->model;
    struct slice k = storemodel_key(m, choose(&w->draw, m->key_count));
    size_t n = k.size < KEY_MAX - 1 ? k.size : KEY_MAX - 1;
    memcpy(place, k.data, n);
    switch (choose(&w->draw, 5)) {
    case 0:
        place[n++] = '\0';
        break;
    case 1:
        n = choose(&w->draw, n + 1); /* a prefix of it, also the empty key */
        break;
    case 2:
        place[n - 1]++;
        break;
    default:
        break;
    }
    return slice_of(place, n);
}

static bool has_prefix(struct slice key, struct slice prefix)
{
    return key.size >= prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0;
}

static void cursor_bounds(struct storecursor *c, const struct storemodel *m,
                          const struct tkv_read_options *o)
{
    for (size_t k = 0; k < m->key_count; k++) {
        struct slice key = storemodel_key(m, k);
        struct slice low = slice_of(o->lower, o->lower_size);
        struct slice high = slice_of(o->upper, o->upper_size);
        c->in[k] = (low.data == NULL || storemodel_compare(m, key, low) >= 0) &&
                   (high.data == NULL || storemodel_compare(m, key, high) < 0) &&
                   (o->prefix == NULL || has_prefix(key, slice_of(o->prefix, o->prefix_size)));
    }
    c->at = NOTHING;
}

static void cursor_drop(struct storeworker *w, struct storecursor *c)
{
    tkv_iter_free(c->iter);
    c->iter = NULL;
    if (c->snapshot.snapshot != NULL) {
        hold_drop(w, &c->snapshot);
    }
}

void storeread_cursor(struct storeworker *w)
{
    struct store *s = w->store;
    struct storecursor *c = &w->cursors[choose(&w->draw, STORE_HOLDS)];
    char lower[KEY_MAX], upper[KEY_MAX], prefix[KEY_MAX];
    struct tkv_read_options o;
    struct slice place;
    if (c->iter != NULL) {
        cursor_drop(w, c);
        return;
    }
    tkv_read_options_init(&o);
    /* What a cursor sees is known by its snapshot; with one worker its creation will do. */
    bool own = s->model.workers > 1 || choose(&w->draw, 2) == 0;
    if (own && !hold_take(w, &c->snapshot)) {
        return;
    }
    if (choose(&w->draw, 2) == 0) {
        place = draw_place(w, lower);
        o.lower = place.data;
        o.lower_size = place.size;
    }
    if (choose(&w->draw, 2) == 0) {
        place = draw_place(w, upper);
        o.upper = place.data;
        o.upper_size = place.size;
    }
    if (choose(&w->draw, 4) == 0) {
        place = draw_place(w, prefix);
        o.prefix = place.data;
        o.prefix_size = place.size;
    }
    o.snapshot = own ? c->snapshot.snapshot : NULL;
    storemodel_low(&s->model, &c->cut);
    c->cut = own ? c->snapshot.cut : c->cut;
    cursor_bounds(c, &s->model, &o);
    enum tkv_status st = tkv_iter_new(s->db, &o, &c->iter);
    if (!storecheck_status(s, "tkv_iter_new", st)) {
        c->iter = NULL;
        cursor_drop(w, c);
    }
}

/* The nearest key of the cut from k on, in that direction. */
static size_t settle(const struct storeworker *w, const struct storecursor *c, size_t k, bool back)
{
    const struct storemodel *m = &w->store->model;
    struct slice value;
    while (k < m->key_count) {
        if (c->in[k] && storemodel_lookup(m, &c->cut, k, &value)) {
            return k;
        }
        k = back && k == 0 ? NOTHING : back ? k - 1 : k + 1;
    }
    return NOTHING;
}

static size_t place_back(const struct storemodel *m, struct slice place)
{
    size_t rank = storemodel_rank(m, place);
    bool on = rank < m->key_count && slice_equal(storemodel_key(m, rank), place);
    return on ? rank : rank > 0 ? rank - 1 : NOTHING;
}

/* One step; the key that it has to be on then. */
static size_t step(struct storeworker *w, struct storecursor *c, const char **what)
{
    const struct storemodel *m = &w->store->model;
    char bytes[KEY_MAX];
    struct slice place;
    bool on = c->at != NOTHING;
    switch (choose(&w->draw, on ? 12 : 4)) {
    case 0:
        *what = "tkv_iter_first";
        tkv_iter_first(c->iter);
        return settle(w, c, 0, false);
    case 1:
        *what = "tkv_iter_last";
        tkv_iter_last(c->iter);
        return settle(w, c, m->key_count - 1, true);
    case 2:
        *what = "tkv_iter_seek";
        place = draw_place(w, bytes);
        tkv_iter_seek(c->iter, place.data, place.size);
        return settle(w, c, storemodel_rank(m, place), false);
    case 3:
        *what = "tkv_iter_seek_back";
        place = draw_place(w, bytes);
        tkv_iter_seek_back(c->iter, place.data, place.size);
        return settle(w, c, place_back(m, place), true);
    case 4:
    case 5:
    case 6:
    case 7:
        *what = "tkv_iter_prev";
        tkv_iter_prev(c->iter);
        return c->at > 0 ? settle(w, c, c->at - 1, true) : NOTHING;
    default:
        *what = "tkv_iter_next";
        tkv_iter_next(c->iter);
        return settle(w, c, c->at + 1, false);
    }
}

static void check_cursor(struct storeworker *w, struct storecursor *c, const char *what)
{
    struct store *s = w->store;
    size_t n, size;
    bool valid = tkv_iter_valid(c->iter);
    struct slice should =
        c->at != NOTHING ? storemodel_key(&s->model, c->at) : slice_text("the end");
    struct slice is = slice_text("the end");
    if (valid) {
        const void *key = tkv_iter_key(c->iter, &n);
        is = slice_of(n > 0 ? key : "", n);
    }
    if (valid != (c->at != NOTHING) || (valid && !slice_equal(is, should))) {
        world_fail(&s->world, "E10 isolation", "%s came to '%.*s' and should be at '%.*s'", what,
                   is.size > 24 ? 24 : (int)is.size, is.data,
                   should.size > 24 ? 24 : (int)should.size, should.data);
        return;
    }
    if (valid) {
        const void *value = tkv_iter_value(c->iter, &size);
        struct storehold hold = {.cut = c->cut};
        check_value(w, what, NULL, &hold, c->at, slice_of(size > 0 ? value : "", size));
    }
}

void storeread_move(struct storeworker *w)
{
    struct store *s = w->store;
    struct storecursor *c = &w->cursors[choose(&w->draw, STORE_HOLDS)];
    uint64_t steps = 1 + choose(&w->draw, STEPS_MAX);
    if (c->iter == NULL) {
        return;
    }
    while (steps-- > 0 && !s->world.failure.set) {
        const char *what = "";
        c->at = step(w, c, &what);
        enum tkv_status st = tkv_iter_status(c->iter);
        if (!storecheck_status(s, what, st)) {
            cursor_drop(w, c); /* it has failed: its place is not known */
            return;
        }
        check_cursor(w, c, what);
    }
}

void storeread_release(struct storeworker *w)
{
    for (size_t i = 0; i < STORE_HOLDS; i++) {
        unpin(w, &w->pins[i]);
        if (w->cursors[i].iter != NULL) {
            cursor_drop(w, &w->cursors[i]);
        }
        if (w->snapshots[i].snapshot != NULL) {
            hold_drop(w, &w->snapshots[i]);
        }
    }
}
