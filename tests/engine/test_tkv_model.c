/* test_tkv_model.c - random operations against a plain model: every version of every key in an
 * array. Gets, snapshots and cursors in both directions with bounds, over flushes and restarts. */
#include "base/prng.h"
#include "engine/tkv.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

#define KEYS      40
#define SNAPSHOTS 4
#define CURSORS   3

/* values[k] at a moment; 0: absent. */
struct state {
    int values[KEYS];
};

struct held {
    const struct tkv_snapshot *snapshot;
    struct state state;
};

struct cursor {
    struct tkv_iter *it;
    struct state state;
    int lower, upper; /* of keys */
    int at;           /* key it is on; -1: nothing */
};

struct model {
    struct tmpdir dir;
    struct tkv *db;
    struct prng prng;
    struct state now;
    struct held held[SNAPSHOTS];
    struct cursor cursors[CURSORS];
    int last; /* value given last */
};

/* Keys that are prefixes of one another: "k", "ka", "kaa"... in blocks of four. */
static size_t key_text(int k, char text[32])
{
    return (size_t)snprintf(text, 32, "k%02d%.*s", k / 4, k % 4, "aaa");
}

static void db_open(struct model *m)
{
    struct tkv_options o;
    struct tkv_error error;
    tkv_options_init(&o);
    o.env = m->dir.env;
    o.verify = true;
    o.write_buffer_bytes = 500 + prng_below(&m->prng, 8000);
    o.memtables_max = (uint32_t)(1 + prng_below(&m->prng, 4));
    enum tkv_status st = tkv_open(&o, "db", &m->db, &error);
    EXPECT(st == TKV_OK);
    if (st != TKV_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
}

static int value_int(const void *data, size_t size)
{
    char text[16] = "";
    memcpy(text, data, size < 15 ? size : 15);
    return atoi(text);
}

static void get_check(struct model *m, const struct state *s, const struct tkv_snapshot *snapshot)
{
    struct tkv_read_options o;
    struct tkv_pin pin = {0};
    char key[32], value[16];
    size_t size = 0;
    int k = (int)prng_below(&m->prng, KEYS);
    size_t n = key_text(k, key);
    tkv_read_options_init(&o);
    o.snapshot = snapshot;
    enum tkv_status st = tkv_get(m->db, &o, key, n, value, sizeof value, &size);
    EXPECT(st == (s->values[k] != 0 ? TKV_OK : TKV_NOTFOUND));
    EXPECT(st != TKV_OK || value_int(value, size) == s->values[k]);
    st = tkv_get_pin(m->db, &o, key, n, &pin);
    EXPECT(st == (s->values[k] != 0 ? TKV_OK : TKV_NOTFOUND));
    EXPECT(st != TKV_OK || value_int(pin.data, pin.size) == s->values[k]);
    tkv_pin_release(m->db, &pin);
    tkv_pin_release(m->db, &pin);
}

static void write_one(struct model *m)
{
    struct tkv_batch *b;
    char key[32], value[16];
    EXPECT(tkv_batch_new(m->dir.env, &b) == TKV_OK);
    int changes = (int)prng_below(&m->prng, 5) + 1;
    for (int i = 0; i < changes; i++) {
        int k = (int)prng_below(&m->prng, prng_below(&m->prng, 2) == 0 ? KEYS : 3); /* hot ones */
        size_t n = key_text(k, key);
        if (prng_below(&m->prng, 3) == 0) {
            EXPECT(tkv_batch_delete(b, key, n) == TKV_OK);
            m->now.values[k] = 0;
        } else {
            int size = snprintf(value, sizeof value, "%d", ++m->last);
            EXPECT(tkv_batch_put(b, key, n, value, (size_t)size) == TKV_OK);
            m->now.values[k] = m->last;
        }
    }
    struct tkv_write_options o;
    tkv_write_options_init(&o);
    o.sync = prng_below(&m->prng, 20) == 0;
    struct tkv_stats before = {.size = sizeof before};
    tkv_stats(m->db, &before);
    uint64_t sequence = 0;
    EXPECT(tkv_write(m->db, &o, b, &sequence) == TKV_OK);
    EXPECT(sequence == before.sequence + (uint64_t)changes);
    tkv_batch_free(b);
}

static void snapshot_step(struct model *m)
{
    struct held *h = &m->held[prng_below(&m->prng, SNAPSHOTS)];
    if (h->snapshot == NULL) {
        EXPECT(tkv_snapshot_new(m->db, &h->snapshot) == TKV_OK);
        h->state = m->now;
    } else if (prng_below(&m->prng, 4) == 0) {
        tkv_snapshot_free(m->db, h->snapshot);
        h->snapshot = NULL;
    } else {
        get_check(m, &h->state, h->snapshot);
    }
}

static void cursor_make(struct model *m, struct cursor *c)
{
    struct tkv_read_options o;
    char lower[32], upper[32];
    tkv_read_options_init(&o);
    struct held *h = &m->held[prng_below(&m->prng, SNAPSHOTS)];
    o.snapshot = h->snapshot;
    c->state = h->snapshot != NULL ? h->state : m->now;
    c->lower = (int)prng_below(&m->prng, KEYS);
    c->upper = c->lower + (int)prng_below(&m->prng, (uint64_t)(KEYS - c->lower));
    if (prng_below(&m->prng, 2) == 0) {
        o.lower = lower;
        o.lower_size = key_text(c->lower, lower);
    } else {
        c->lower = 0;
    }
    if (prng_below(&m->prng, 2) == 0) {
        o.upper = upper;
        o.upper_size = key_text(c->upper, upper);
    } else {
        c->upper = KEYS;
    }
    c->at = -1;
    EXPECT(tkv_iter_new(m->db, &o, &c->it) == TKV_OK);
    EXPECT(!tkv_iter_valid(c->it));
}

/* The next present key from k in a direction, k included; -1: none within the bounds. */
static int present_from(const struct cursor *c, int k, int step)
{
    for (; k >= c->lower && k < c->upper; k += step) {
        if (c->state.values[k] != 0) {
            return k;
        }
    }
    return -1;
}

static int clamp_up(const struct cursor *c, int k)
{
    return k < c->lower ? c->lower : k;
}

static int clamp_down(const struct cursor *c, int k)
{
    return k >= c->upper ? c->upper - 1 : k;
}

static void cursor_move(struct model *m, struct cursor *c)
{
    char key[32];
    int k = (int)prng_below(&m->prng, KEYS);
    size_t n = key_text(k, key);
    switch (prng_below(&m->prng, c->at >= 0 ? 12 : 4)) {
    case 0:
        tkv_iter_first(c->it);
        c->at = present_from(c, c->lower, 1);
        break;
    case 1:
        tkv_iter_last(c->it);
        c->at = present_from(c, c->upper - 1, -1);
        break;
    case 2:
        tkv_iter_seek(c->it, key, n);
        c->at = present_from(c, clamp_up(c, k), 1);
        break;
    case 3:
        tkv_iter_seek_back(c->it, key, n);
        c->at = present_from(c, clamp_down(c, k), -1);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        tkv_iter_next(c->it);
        c->at = present_from(c, c->at + 1, 1);
        break;
    default:
        tkv_iter_prev(c->it);
        c->at = present_from(c, c->at - 1, -1);
        break;
    }
}

static void cursor_step(struct model *m)
{
    struct cursor *c = &m->cursors[prng_below(&m->prng, CURSORS)];
    if (c->it == NULL) {
        cursor_make(m, c);
        return;
    }
    if (prng_below(&m->prng, 20) == 0) {
        tkv_iter_free(c->it);
        c->it = NULL;
        return;
    }
    cursor_move(m, c);
    EXPECT(tkv_iter_status(c->it) == TKV_OK);
    EXPECT(tkv_iter_valid(c->it) == (c->at >= 0));
    if (tkv_iter_valid(c->it) && c->at >= 0) {
        char key[32];
        size_t n = key_text(c->at, key);
        size_t size;
        const void *k = tkv_iter_key(c->it, &size);
        EXPECT(size == n && memcmp(k, key, n) == 0);
        const void *v = tkv_iter_value(c->it, &size);
        EXPECT(value_int(v, size) == c->state.values[c->at]);
    }
}

static void let_go(struct model *m)
{
    for (int i = 0; i < SNAPSHOTS; i++) {
        tkv_snapshot_free(m->db, m->held[i].snapshot);
        m->held[i].snapshot = NULL;
    }
    for (int i = 0; i < CURSORS; i++) {
        tkv_iter_free(m->cursors[i].it);
        m->cursors[i].it = NULL;
    }
}

static void step(struct model *m)
{
    uint64_t what = prng_below(&m->prng, 200);
    if (what < 60) {
        write_one(m);
    } else if (what < 100) {
        get_check(m, &m->now, NULL);
    } else if (what < 130) {
        snapshot_step(m);
    } else if (what < 196) {
        cursor_step(m);
    } else if (what < 199) {
        EXPECT(tkv_flush(m->db) == TKV_OK);
    } else {
        struct tkv_stats s = {.size = sizeof s};
        let_go(m);
        tkv_stats(m->db, &s);
        uint64_t sequence = s.sequence;
        EXPECT(tkv_close(m->db) == TKV_OK);
        db_open(m);
        tkv_stats(m->db, &s);
        EXPECT(s.sequence == sequence);
    }
}

static void tkv__agrees_with_a_model(void)
{
    for (uint64_t seed = 1; seed <= 12 && !tap_failed; seed++) {
        struct model m = {.prng = {seed}};
        tmpdir_make(&m.dir);
        db_open(&m);
        for (int i = 0; i < 2500 && !tap_failed; i++) {
            step(&m);
        }
        let_go(&m);
        EXPECT(tkv_close(m.db) == TKV_OK);
        tmpdir_remove(&m.dir);
        if (tap_failed) {
            printf("# seed %d\n", (int)seed);
        }
    }
}

/* Thousands of versions of one key do not slow a cursor's step: it seeks past them. Counted in
 * comparisons it would be thousands; here only that it is right with many. */
static void tkv__many_versions_of_a_key_are_one_key(void)
{
    struct tmpdir t;
    struct tkv_options o;
    struct tkv *db;
    struct tkv_iter *it;
    const struct tkv_snapshot *early;
    char value[16];
    size_t size;
    tmpdir_make(&t);
    tkv_options_init(&o);
    o.env = t.env;
    EXPECT(tkv_open(&o, "db", &db, NULL) == TKV_OK);
    EXPECT(tkv_put(db, NULL, "a", 1, "first", 5) == TKV_OK);
    EXPECT(tkv_put(db, NULL, "c", 1, "last", 4) == TKV_OK);
    EXPECT(tkv_put(db, NULL, "b", 1, "0", 1) == TKV_OK);
    EXPECT(tkv_snapshot_new(db, &early) == TKV_OK);
    for (int i = 1; i <= 5000; i++) {
        int n = snprintf(value, sizeof value, "%d", i);
        EXPECT(tkv_put(db, NULL, "b", 1, value, (size_t)n) == TKV_OK);
    }
    for (int round = 0; round < 2; round++) {
        struct tkv_read_options r;
        tkv_read_options_init(&r);
        r.snapshot = early;
        EXPECT(tkv_iter_new(db, round == 0 ? &r : NULL, &it) == TKV_OK);
        tkv_iter_first(it);
        tkv_iter_next(it);
        EXPECT(value_int(tkv_iter_value(it, &size), 1) == (round == 0 ? 0 : 5));
        tkv_iter_next(it);
        EXPECT(memcmp(tkv_iter_key(it, &size), "c", 1) == 0);
        tkv_iter_prev(it);
        EXPECT(value_int(tkv_iter_value(it, &size), 1) == (round == 0 ? 0 : 5));
        tkv_iter_prev(it);
        EXPECT(memcmp(tkv_iter_key(it, &size), "a", 1) == 0);
        tkv_iter_prev(it);
        EXPECT(!tkv_iter_valid(it));
        tkv_iter_free(it);
        EXPECT(tkv_flush(db) == TKV_OK); /* the base keeps what the snapshot sees */
        EXPECT(tkv_get(db, &r, "b", 1, value, sizeof value, &size) == TKV_OK && value[0] == '0');
    }
    tkv_snapshot_free(db, early);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(tkv__agrees_with_a_model);
    RUN(tkv__many_versions_of_a_key_are_one_key);
})
