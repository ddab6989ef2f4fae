/* test_lsm_model.c - the whole engine against an array of values: tables so small that there are
 * many in every level, range deletes, snapshots, cursors that live long and go both ways, prefixes,
 * multi-get, compactions by themselves and by hand, restarts. */
#include "base/prng.h"
#include "engine/tkv.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

#define KEYS      240
#define SNAPSHOTS 4
#define CURSORS   4
#define VALUE_MAX 200

/* What each key has at a moment; 0: nothing. */
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
    int lower, upper; /* of keys; what is outside is absent */
    int at;           /* key it is on; -1: nothing */
};

struct model {
    struct tmpdir dir;
    struct tkv *db;
    struct prng prng;
    bool reversed; /* an own order: greater bytes first */
    struct state now;
    struct held held[SNAPSHOTS];
    struct cursor cursors[CURSORS];
    int last; /* value given last */
};

static uint64_t below(struct model *m, uint64_t n)
{
    return prng_below(&m->prng, n);
}

/* Key number k in order: groups of eight with a common prefix, the first being it; the very first
 * key is empty. */
static size_t key_text(const struct model *m, int k, char text[32])
{
    int n = m->reversed ? KEYS - 1 - k : k;
    if (n == 0) {
        text[0] = '\0';
        return 0;
    }
    if (n % 8 == 0) {
        return (size_t)snprintf(text, 32, "p%02d", n / 8);
    }
    return (size_t)snprintf(text, 32, "p%02d-key-%d%.*s", n / 8, n % 8, n % 5, "\xff\xff\xff\xff");
}

static int reverse_compare(void *arg, const void *a, size_t an, const void *b, size_t bn)
{
    (void)arg;
    size_t n = an < bn ? an : bn;
    int c = n > 0 ? memcmp(b, a, n) : 0;
    return c != 0 ? c : an < bn ? 1 : -(an > bn);
}

static const struct tkv_comparator reverse_order = {"test.reverse", NULL, reverse_compare};

static void db_open(struct model *m)
{
    struct tkv_options o;
    struct tkv_error error = {.text = ""};
    tkv_options_init(&o);
    o.env = m->dir.env;
    o.verify = true;
    o.comparator = m->reversed ? &reverse_order : NULL;
    o.write_buffer_bytes = 1000 + below(m, 12000);
    o.memtables_max = (uint32_t)(1 + below(m, 4));
    o.block_bytes = 64 + (uint32_t)below(m, 400);
    o.table_bytes = 500 + below(m, 4000);
    o.level0_files = 1 + (uint32_t)below(m, 4);
    o.level1_bytes = 1000 + below(m, 10000);
    o.level_factor = 2 + (uint32_t)below(m, 3);
    o.filter_bits = below(m, 4) == 0 ? 0 : 10;
    o.prefix_bytes = below(m, 2) == 0 ? 0 : 3;
    o.cache_bytes = below(m, 3) == 0 ? 0 : 20000;
    o.files_max = 8 + (uint32_t)below(m, 20);
    o.threads = 1 + (uint32_t)below(m, 3);
    for (int level = 0; level < TKV_LEVELS; level++) {
        o.compression[level] = (uint8_t)below(m, 2);
    }
    enum tkv_status st = tkv_open(&o, "db", &m->db, &error);
    EXPECT(st == TKV_OK);
    if (st != TKV_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
}

/* The bytes of value v: its number, and as many letters as the number says. */
static size_t value_text(int v, char text[VALUE_MAX + 16])
{
    size_t n = (size_t)snprintf(text, 16, "%d:", v);
    size_t letters = (size_t)(v * 37 % VALUE_MAX);
    memset(text + n, 'a' + v % 26, letters);
    return n + letters;
}

static bool value_is(int v, const void *data, size_t size)
{
    char text[VALUE_MAX + 16];
    size_t n = value_text(v, text);
    return n == size && memcmp(data, text, n) == 0;
}

/* ---- writing ---- */

static void batch_change(struct model *m, struct tkv_batch *b, bool hot)
{
    char key[32], end[32], value[VALUE_MAX + 16];
    int k = (int)below(m, hot ? 3 : KEYS);
    size_t n = key_text(m, k, key);
    uint64_t what = below(m, 20);
    if (what == 0) {
        int to = k + (int)below(m, below(m, 4) == 0 ? KEYS : 20);
        to = to > KEYS - 1 ? KEYS - 1 : to;
        size_t end_size = key_text(m, to, end);
        EXPECT(tkv_batch_delete_range(b, key, n, end, end_size) == TKV_OK);
        for (int i = k; i < to; i++) {
            m->now.values[i] = 0;
        }
    } else if (what < 7) {
        EXPECT(tkv_batch_delete(b, key, n) == TKV_OK);
        m->now.values[k] = 0;
    } else {
        EXPECT(tkv_batch_put(b, key, n, value, value_text(++m->last, value)) == TKV_OK);
        m->now.values[k] = m->last;
    }
}

static void write_one(struct model *m)
{
    struct tkv_batch *b;
    struct tkv_write_options o;
    EXPECT(tkv_batch_new(m->dir.env, &b) == TKV_OK);
    int changes = (int)below(m, 8) + 1;
    bool hot = below(m, 4) == 0;
    for (int i = 0; i < changes; i++) {
        batch_change(m, b, hot);
    }
    tkv_write_options_init(&o);
    EXPECT(tkv_write(m->db, &o, b, NULL) == TKV_OK);
    tkv_batch_free(b);
}

/* ---- reading ---- */

static void get_check(struct model *m, const struct state *s, const struct tkv_snapshot *snapshot)
{
    struct tkv_read_options o;
    struct tkv_pin pin = {0};
    char key[32], value[VALUE_MAX + 16];
    size_t size = 0;
    int k = (int)below(m, KEYS);
    size_t n = key_text(m, k, key);
    tkv_read_options_init(&o);
    o.snapshot = snapshot;
    o.skip_cache = below(m, 4) == 0;
    enum tkv_status want = s->values[k] != 0 ? TKV_OK : TKV_NOTFOUND;
    enum tkv_status st = tkv_get(m->db, &o, key, n, value, sizeof value, &size);
    EXPECT(st == want);
    EXPECT(st != TKV_OK || value_is(s->values[k], value, size));
    st = tkv_get_pin(m->db, &o, key, n, &pin);
    EXPECT(st == want);
    EXPECT(st != TKV_OK || value_is(s->values[k], pin.data, pin.size));
    tkv_pin_release(m->db, &pin);
    tkv_pin_release(m->db, &pin);
}

static void multi_get_check(struct model *m, const struct state *s,
                            const struct tkv_snapshot *snapshot)
{
    struct tkv_read_options o;
    struct tkv_pin pins[10];
    struct tkv_slice keys[10];
    enum tkv_status statuses[10];
    char text[10][32];
    int k[10];
    for (int i = 0; i < 10; i++) {
        k[i] = (int)below(m, KEYS);
        keys[i].data = text[i];
        keys[i].size = key_text(m, k[i], text[i]);
    }
    tkv_read_options_init(&o);
    o.snapshot = snapshot;
    EXPECT(tkv_multi_get(m->db, &o, 10, keys, pins, statuses) == TKV_OK);
    for (int i = 0; i < 10; i++) {
        int v = s->values[k[i]];
        EXPECT(statuses[i] == (v != 0 ? TKV_OK : TKV_NOTFOUND));
        EXPECT(statuses[i] != TKV_OK || value_is(v, pins[i].data, pins[i].size));
        tkv_pin_release(m->db, &pins[i]);
    }
}

static void snapshot_step(struct model *m)
{
    struct held *h = &m->held[below(m, SNAPSHOTS)];
    if (h->snapshot == NULL) {
        EXPECT(tkv_snapshot_new(m->db, &h->snapshot) == TKV_OK);
        h->state = m->now;
    } else if (below(m, 8) == 0) {
        tkv_snapshot_free(m->db, h->snapshot);
        h->snapshot = NULL;
    } else if (below(m, 2) == 0) {
        get_check(m, &h->state, h->snapshot);
    } else {
        multi_get_check(m, &h->state, h->snapshot);
    }
}

/* ---- cursors ---- */

static bool has_prefix(const struct model *m, int k, const char *prefix, size_t size)
{
    char key[32];
    return key_text(m, k, key) >= size && memcmp(key, prefix, size) == 0;
}

static void cursor_make(struct model *m, struct cursor *c)
{
    struct tkv_read_options o;
    char lower[32], upper[32], prefix[32];
    tkv_read_options_init(&o);
    struct held *h = &m->held[below(m, SNAPSHOTS)];
    o.snapshot = h->snapshot;
    o.skip_cache = below(m, 4) == 0;
    c->state = h->snapshot != NULL ? h->state : m->now;
    c->lower = 0;
    c->upper = KEYS;
    if (below(m, 3) == 0) {
        c->lower = (int)below(m, KEYS);
        o.lower = lower;
        o.lower_size = key_text(m, c->lower, lower);
    }
    if (below(m, 3) == 0) {
        c->upper = c->lower + (int)below(m, (uint64_t)(KEYS - c->lower));
        o.upper = upper;
        o.upper_size = key_text(m, c->upper, upper);
    }
    if (below(m, 3) == 0) {
        size_t n = key_text(m, (int)below(m, KEYS), prefix);
        o.prefix = prefix;
        o.prefix_size = n > 3 && below(m, 2) == 0 ? 3 : n;
        for (int k = 0; k < KEYS; k++) {
            if (!has_prefix(m, k, prefix, o.prefix_size)) {
                c->state.values[k] = 0;
            }
        }
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
    int k = (int)below(m, KEYS);
    size_t n = key_text(m, k, key);
    uint64_t what = below(m, c->at >= 0 ? 20 : 4);
    if (what == 0) {
        tkv_iter_first(c->it);
        c->at = present_from(c, c->lower, 1);
    } else if (what == 1) {
        tkv_iter_last(c->it);
        c->at = present_from(c, c->upper - 1, -1);
    } else if (what == 2) {
        tkv_iter_seek(c->it, key, n);
        c->at = present_from(c, clamp_up(c, k), 1);
    } else if (what == 3) {
        tkv_iter_seek_back(c->it, key, n);
        c->at = present_from(c, clamp_down(c, k), -1);
    } else if (what < 13) {
        tkv_iter_next(c->it);
        c->at = present_from(c, c->at + 1, 1);
    } else {
        tkv_iter_prev(c->it);
        c->at = present_from(c, c->at - 1, -1);
    }
}

static void cursor_look(const struct model *m, const struct cursor *c)
{
    char key[32];
    EXPECT(tkv_iter_status(c->it) == TKV_OK);
    EXPECT(tkv_iter_valid(c->it) == (c->at >= 0));
    if (c->at >= 0 && tkv_iter_valid(c->it)) {
        size_t size;
        size_t n = key_text(m, c->at, key);
        const void *p = tkv_iter_key(c->it, &size);
        EXPECT(size == n && memcmp(p, key, n) == 0);
        p = tkv_iter_value(c->it, &size);
        EXPECT(value_is(c->state.values[c->at], p, size));
    }
}

static void cursor_step(struct model *m)
{
    struct cursor *c = &m->cursors[below(m, CURSORS)];
    if (c->it == NULL) {
        cursor_make(m, c);
    } else if (below(m, 30) == 0) {
        tkv_iter_free(c->it);
        c->it = NULL;
        return;
    }
    for (uint64_t i = below(m, 12); i > 0; i--) {
        cursor_move(m, c);
        cursor_look(m, c);
        if (tap_failed) {
            return;
        }
    }
}

/* Everything, forward and back. */
static void scan_check(struct model *m, const struct state *s, const struct tkv_snapshot *snapshot)
{
    struct tkv_read_options o;
    struct cursor c = {.state = *s, .upper = KEYS};
    tkv_read_options_init(&o);
    o.snapshot = snapshot;
    EXPECT(tkv_iter_new(m->db, &o, &c.it) == TKV_OK);
    tkv_iter_first(c.it);
    for (c.at = present_from(&c, 0, 1); c.at >= 0; c.at = present_from(&c, c.at + 1, 1)) {
        cursor_look(m, &c);
        if (tap_failed) {
            break;
        }
        tkv_iter_next(c.it);
    }
    cursor_look(m, &c);
    tkv_iter_last(c.it);
    for (c.at = present_from(&c, KEYS - 1, -1); c.at >= 0; c.at = present_from(&c, c.at - 1, -1)) {
        cursor_look(m, &c);
        if (tap_failed) {
            break;
        }
        tkv_iter_prev(c.it);
    }
    cursor_look(m, &c);
    tkv_iter_free(c.it);
}

/* ---- moving data ---- */

static void compact_some(struct model *m)
{
    char begin[32], end[32];
    int from = (int)below(m, KEYS);
    int to = from + (int)below(m, (uint64_t)(KEYS - from));
    size_t begin_size = key_text(m, from, begin);
    size_t end_size = key_text(m, to, end);
    bool all = below(m, 2) == 0;
    EXPECT(tkv_compact_range(m->db, all ? NULL : begin, begin_size, all ? NULL : end, end_size) ==
           TKV_OK);
}

static void let_go(struct model *m)
{
    for (int i = 0; i < CURSORS; i++) {
        tkv_iter_free(m->cursors[i].it);
        m->cursors[i].it = NULL;
    }
    for (int i = 0; i < SNAPSHOTS; i++) {
        tkv_snapshot_free(m->db, m->held[i].snapshot);
        m->held[i].snapshot = NULL;
    }
}

/* Views are the same whatever was compacted. */
static void views_check(struct model *m)
{
    scan_check(m, &m->now, NULL);
    for (int i = 0; i < SNAPSHOTS; i++) {
        if (m->held[i].snapshot != NULL) {
            scan_check(m, &m->held[i].state, m->held[i].snapshot);
        }
    }
}

static void rare_step(struct model *m)
{
    switch (below(m, 8)) {
    case 0:
        EXPECT(tkv_flush(m->db) == TKV_OK);
        break;
    case 1:
        compact_some(m);
        views_check(m);
        break;
    case 2:
        EXPECT(tkv_wait_idle(m->db) == TKV_OK);
        views_check(m);
        break;
    case 3:
        let_go(m);
        EXPECT(tkv_close(m->db) == TKV_OK);
        db_open(m);
        scan_check(m, &m->now, NULL);
        break;
    default:
        views_check(m);
        break;
    }
}

static void model_run(uint64_t seed, bool reversed, int steps)
{
    struct model *m = calloc(1, sizeof *m);
    tmpdir_make(&m->dir);
    m->prng = (struct prng){seed};
    m->reversed = reversed;
    db_open(m);
    for (int i = 0; i < steps && !tap_failed; i++) {
        uint64_t what = below(m, 100);
        if (what < 50) {
            write_one(m);
        } else if (what < 65) {
            get_check(m, &m->now, NULL);
        } else if (what < 70) {
            multi_get_check(m, &m->now, NULL);
        } else if (what < 80) {
            snapshot_step(m);
        } else if (what < 98) {
            cursor_step(m);
        } else {
            rare_step(m);
        }
    }
    if (tap_failed) {
        printf("# seed %llu%s\n", (unsigned long long)seed, reversed ? ", reversed" : "");
    }
    let_go(m);
    EXPECT(tkv_close(m->db) == TKV_OK);
    tmpdir_remove(&m->dir);
    free(m);
}

static void lsm_model__random_operations_agree_with_an_array(void)
{
    const char *first = getenv("LSM_MODEL_SEED");
    uint64_t seed = first != NULL ? strtoull(first, NULL, 10) : 1;
    const char *count = getenv("LSM_MODEL_COUNT");
    uint64_t end = seed + (count != NULL ? strtoull(count, NULL, 10) : 12);
    for (; seed < end && !tap_failed; seed++) {
        model_run(seed, seed % 4 == 0, 3000);
    }
}

/* Everything is deleted in the end: nothing comes back, and space does. */
static void lsm_model__deletes_give_their_space_back(void)
{
    struct model *m = calloc(1, sizeof *m);
    char first[32], value[VALUE_MAX + 16];
    tmpdir_make(&m->dir);
    m->prng = (struct prng){7};
    db_open(m);
    for (int round = 0; round < 20; round++) {
        for (int k = 0; k < KEYS; k++) {
            size_t n = key_text(m, k, first);
            EXPECT(tkv_put(m->db, NULL, first, n, value, value_text(++m->last, value)) == TKV_OK);
        }
    }
    for (int k = 0; k < KEYS; k++) {
        size_t n = key_text(m, k, first);
        EXPECT(tkv_delete(m->db, NULL, first, n) == TKV_OK);
    }
    scan_check(m, &m->now, NULL);
    EXPECT(tkv_flush(m->db) == TKV_OK);
    EXPECT(tkv_wait_idle(m->db) == TKV_OK);
    EXPECT(tkv_compact_range(m->db, NULL, 0, NULL, 0) == TKV_OK);
    EXPECT(tkv_wait_idle(m->db) == TKV_OK);
    scan_check(m, &m->now, NULL);
    struct tkv_stats s = {.size = sizeof s};
    tkv_stats(m->db, &s);
    uint64_t tables = 0;
    for (int level = 0; level < TKV_LEVELS; level++) {
        tables += s.levels[level].tables;
    }
    EXPECT(tables == 0);
    EXPECT(tkv_close(m->db) == TKV_OK);
    tmpdir_remove(&m->dir);
    free(m);
}

/* A scan that had to pass over very many deletes in memory has them moved out of the way. */
static void lsm_model__the_next_scan_over_deletes_is_short(void)
{
    struct tmpdir dir;
    struct tkv_options o;
    struct tkv *db;
    struct tkv_iter *it;
    struct tkv_stats s = {.size = sizeof s};
    char key[16];
    tmpdir_make(&dir);
    tkv_options_init(&o);
    o.env = dir.env;
    EXPECT(tkv_open(&o, "db", &db, NULL) == TKV_OK);
    for (int i = 0; i < 10000; i++) {
        size_t n = (size_t)snprintf(key, sizeof key, "key%04d", i % 5000);
        EXPECT((i < 5000 ? tkv_put(db, NULL, key, n, "v", 1) : tkv_delete(db, NULL, key, n)) ==
               TKV_OK);
    }
    EXPECT(tkv_put(db, NULL, "last", 4, "v", 1) == TKV_OK);
    for (int i = 0; i < 4; i++) {
        EXPECT(tkv_iter_new(db, NULL, &it) == TKV_OK);
        if (i % 2 == 0) {
            tkv_iter_first(it);
        } else {
            tkv_iter_seek_back(it, "last", 4);
        }
        EXPECT(tkv_iter_valid(it));
        tkv_iter_free(it);
        EXPECT(tkv_wait_idle(db) == TKV_OK);
        tkv_stats(db, &s);
        EXPECT(s.flushes == 1);
    }
    uint64_t bytes = 0;
    for (int level = 0; level < TKV_LEVELS; level++) {
        bytes += s.levels[level].bytes;
    }
    EXPECT(bytes < 1000);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&dir);
}

TAP_MAIN({
    RUN(lsm_model__the_next_scan_over_deletes_is_short);
    RUN(lsm_model__random_operations_agree_with_an_array);
    RUN(lsm_model__deletes_give_their_space_back);
})
