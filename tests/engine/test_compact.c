/* test_compact.c - compactions one at a time, chosen as the engine chooses them: what every
 * snapshot sees stays as it was, the tables are in order, and what fails leaves everything in its
 * place. */
#include "base/prng.h"
#include "engine/background.h"
#include "engine/install.h"
#include "engine/pick.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define KEYS      60
#define SNAPSHOTS 3

struct state {
    int values[KEYS]; /* 0: none */
};

struct world {
    struct tmpdir dir;
    struct inject in;
    struct tkv *db;
    struct prng prng;
    struct state now;
    struct {
        const struct tkv_snapshot *snapshot;
        struct state state;
    } held[SNAPSHOTS];
    int last;
    uint64_t done, moved, removed;
};

static uint64_t below(struct world *w, uint64_t n)
{
    return prng_below(&w->prng, n);
}

static void open_db(struct world *w, uint64_t seed)
{
    struct tkv_options o;
    struct tkv_error error = {.text = ""};
    memset(w, 0, sizeof *w);
    w->prng = (struct prng){seed};
    tmpdir_make(&w->dir);
    inject_init(&w->in, w->dir.env);
    tkv_options_init(&o);
    o.env = &w->in.env;
    o.verify = true;
    o.threads = 1;
    o.block_bytes = 100;
    o.table_bytes = 300 + below(w, 1000);
    o.level0_files = 1 + (uint32_t)below(w, 3);
    o.level0_slow = o.level0_stop = 1000;
    o.level1_bytes = 500 + below(w, 2000);
    o.level_factor = 2 + (uint32_t)below(w, 2);
    o.cache_bytes = 0;
    memset(o.compression, (int)below(w, 2), sizeof o.compression);
    if (tkv_open(&o, "db", &w->db, &error) != TKV_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    env_mutex_lock(w->db->env, &w->db->mutex);
    w->db->manual++; /* nothing is compacted but by us */
    env_mutex_unlock(w->db->env, &w->db->mutex);
}

static void close_db(struct world *w)
{
    for (int i = 0; i < SNAPSHOTS; i++) {
        tkv_snapshot_free(w->db, w->held[i].snapshot);
    }
    EXPECT(tkv_close(w->db) == TKV_OK);
    EXPECT(w->in.live == 0 && w->in.descriptors == 0);
    inject_release(&w->in);
    tmpdir_remove(&w->dir);
}

/* ---- writing and looking ---- */

static size_t key_text(int k, char text[16])
{
    return k == 0 ? 0 : (size_t)snprintf(text, 16, "k%03d", k);
}

static size_t value_text(int v, char text[64])
{
    return (size_t)snprintf(text, 64, "value %d %.*s", v, v % 40,
                            "........................................");
}

static void change(struct world *w)
{
    char key[16], end[16], value[64];
    int k = (int)below(w, KEYS);
    size_t n = key_text(k, key);
    uint64_t what = below(w, 12);
    if (what == 0) {
        int to = k + (int)below(w, below(w, 3) == 0 ? KEYS : 10);
        to = to < KEYS ? to : KEYS - 1;
        EXPECT(tkv_delete_range(w->db, NULL, key, n, end, key_text(to, end)) == TKV_OK);
        for (int i = k; i < to; i++) {
            w->now.values[i] = 0;
        }
    } else if (what < 4) {
        EXPECT(tkv_delete(w->db, NULL, key, n) == TKV_OK);
        w->now.values[k] = 0;
    } else {
        w->now.values[k] = ++w->last;
        EXPECT(tkv_put(w->db, NULL, key, n, value, value_text(w->last, value)) == TKV_OK);
    }
}

static void view_expect(struct world *w, const struct tkv_snapshot *snapshot,
                        const struct state *state)
{
    struct tkv_read_options o;
    tkv_read_options_init(&o);
    o.snapshot = snapshot;
    for (int k = 0; k < KEYS; k++) {
        char key[16], value[64], got[64];
        size_t size = 0;
        enum tkv_status st = tkv_get(w->db, &o, key, key_text(k, key), got, sizeof got, &size);
        int v = state->values[k];
        EXPECT(st == (v == 0 ? TKV_NOTFOUND : TKV_OK));
        EXPECT(v == 0 || (size == value_text(v, value) && memcmp(value, got, size) == 0));
    }
}

static void views_expect(struct world *w)
{
    view_expect(w, NULL, &w->now);
    for (int i = 0; i < SNAPSHOTS; i++) {
        if (w->held[i].snapshot != NULL) {
            view_expect(w, w->held[i].snapshot, &w->held[i].state);
        }
    }
}

/* E14: the version, and every byte of its tables. */
static void tables_expect(struct world *w)
{
    struct version *v = w->db->superversion->version;
    struct err err = {.text = ""};
    EXPECT(version_check(v, &err));
    for (int level = 0; level < TKV_LEVELS; level++) {
        for (size_t i = 0; i < v->levels[level].count; i++) {
            struct tabfile *f = v->levels[level].files[i];
            struct table *t;
            EXPECT(!f->busy);
            EXPECT(tabcache_get(&w->db->tabcache, &f->slot, &f->info, &t, &err) == ST_OK);
            EXPECT(table_verify(t, &f->info, &err) == ST_OK);
            table_unref(t);
        }
    }
    if (err.text[0] != '\0') {
        printf("# %s\n", err.text);
    }
}

static void snapshot_change(struct world *w)
{
    size_t i = below(w, SNAPSHOTS);
    tkv_snapshot_free(w->db, w->held[i].snapshot);
    w->held[i].snapshot = NULL;
    if (below(w, 3) > 0) {
        EXPECT(tkv_snapshot_new(w->db, &w->held[i].snapshot) == TKV_OK);
        w->held[i].state = w->now;
    }
}

/* ---- one compaction ---- */

static struct compaction *choose(struct world *w)
{
    struct compaction *c = NULL;
    env_mutex_lock(w->db->env, &w->db->mutex);
    EXPECT(pick_next(w->db, &c) == ST_OK);
    env_mutex_unlock(w->db->env, &w->db->mutex);
    return c;
}

/* False: none was wanted. */
static bool compact_one(struct world *w)
{
    struct compaction *c = choose(w);
    if (c == NULL) {
        return false;
    }
    w->done++;
    w->moved += c->move;
    env_mutex_lock(w->db->env, &w->db->mutex);
    EXPECT(background_compact(w->db, c) == ST_OK);
    env_mutex_unlock(w->db->env, &w->db->mutex);
    return true;
}

/* compact_run alone; what it made goes again. */
static enum status attempt(struct world *w, struct compaction *c)
{
    struct edit e;
    edit_init(&e, w->db->env);
    enum status st = compact_run(c, &e, NULL);
    edit_release(&e);
    return st;
}

static void give_up(struct world *w, struct compaction *c)
{
    env_mutex_lock(w->db->env, &w->db->mutex);
    pick_done(c);
    env_mutex_unlock(w->db->env, &w->db->mutex);
    (void)install_sweep(w->db);
}

static void compact__no_view_changes(void)
{
    static struct world w;
    uint64_t done = 0;
    uint64_t moved = 0;
    for (uint64_t seed = 0; seed < 30 && !tap_failed; seed++) {
        open_db(&w, seed);
        for (int round = 0; round < 25 && !tap_failed; round++) {
            for (uint64_t n = below(&w, 60); n > 0; n--) {
                change(&w);
            }
            snapshot_change(&w);
            EXPECT(tkv_flush(w.db) == TKV_OK);
            views_expect(&w);
            for (uint64_t n = below(&w, 4); n > 0 && compact_one(&w); n--) {
                views_expect(&w);
            }
            tables_expect(&w);
        }
        while (!tap_failed && compact_one(&w)) {
            EXPECT(w.done < 2000);
        }
        views_expect(&w);
        tables_expect(&w);
        done += w.done;
        moved += w.moved;
        close_db(&w);
        if (tap_failed) {
            printf("# seed %llu\n", (unsigned long long)seed);
        }
    }
    EXPECT(done > 300 && moved > 10);
}

/* With everything deleted and no snapshot nothing is left at all, by choosing alone. */
static void compact__what_is_deleted_leaves_nothing(void)
{
    static struct world w;
    char key[16];
    open_db(&w, 5);
    for (int i = 0; i < 400; i++) {
        change(&w);
        if (i % 50 == 0) {
            EXPECT(tkv_flush(w.db) == TKV_OK);
            (void)compact_one(&w);
        }
    }
    EXPECT(tkv_delete_range(w.db, NULL, "", 0, "z", 1) == TKV_OK);
    memset(&w.now, 0, sizeof w.now);
    EXPECT(tkv_flush(w.db) == TKV_OK);
    while (compact_one(&w)) {
        views_expect(&w);
    }
    const struct version *v = w.db->superversion->version;
    for (int level = 0; level < TKV_LEVELS; level++) {
        EXPECT(v->levels[level].count == 0);
    }
    /* what nothing lies under does not even become a table */
    EXPECT(tkv_put(w.db, NULL, "a", 1, "b", 1) == TKV_OK);
    EXPECT(tkv_delete(w.db, NULL, "a", 1) == TKV_OK);
    EXPECT(tkv_delete_range(w.db, NULL, "b", 1, "c", 1) == TKV_OK);
    EXPECT(tkv_flush(w.db) == TKV_OK);
    EXPECT(w.db->superversion->version->levels[0].count == 0);
    /* but a delete of what lies in a table does */
    EXPECT(tkv_put(w.db, NULL, "a", 1, "b", 1) == TKV_OK);
    EXPECT(tkv_flush(w.db) == TKV_OK);
    EXPECT(tkv_delete(w.db, NULL, "a", 1) == TKV_OK);
    EXPECT(tkv_flush(w.db) == TKV_OK);
    EXPECT(w.db->superversion->version->levels[0].count == 2);
    size_t size;
    EXPECT(tkv_get(w.db, NULL, "a", 1, key, sizeof key, &size) == TKV_NOTFOUND);
    close_db(&w);
}

/* ---- failures ---- */

/* A world with a merge of several tables and what they overlap below, chosen. */
static struct compaction *prepared(struct world *w)
{
    open_db(w, 11);
    for (;;) {
        for (int i = 0; i < 80; i++) {
            change(w);
        }
        EXPECT(tkv_flush(w->db) == TKV_OK);
        struct compaction *c = choose(w);
        if (c != NULL && c->level == 0 && !c->move && c->upper_count + 2 <= c->input_count) {
            return c;
        }
        if (c != NULL) {
            give_up(w, c);
            (void)compact_one(w);
        }
    }
}

static void compact__any_allocation_or_file_call_may_fail(void)
{
    static struct world w;
    for (int memory = 0; memory < 2; memory++) {
        struct compaction *c = prepared(&w);
        int tables = tmpdir_count(&w.dir, "db", ".sst");
        bool reached = true;
        for (long n = 0; reached && !tap_failed; n += 1 + n / 16) {
            struct inject_rule rule;
            inject_rule_init(&rule);
            long at = atomic_load(&w.in.allocs) + n;
            if (memory == 1) {
                w.in.fail_at = at;
            } else {
                rule.calls = INJECT_OPEN | INJECT_READ | INJECT_WRITE | INJECT_SYNC | INJECT_SIZE;
                atomic_store(&rule.at, n);
                inject_add(&w.in, &rule);
            }
            enum status st = attempt(&w, c);
            reached = memory == 1 ? atomic_load(&w.in.allocs) > at : atomic_load(&rule.seen) > n;
            EXPECT(st == (!reached ? ST_OK : memory == 1 ? ST_NOMEM : ST_IO));
            w.in.fail_at = -1;
            w.in.rules = NULL;
            (void)install_sweep(w.db);
            EXPECT(tmpdir_count(&w.dir, "db", ".sst") == tables);
            views_expect(&w);
        }
        give_up(&w, c);
        EXPECT(compact_one(&w));
        views_expect(&w);
        tables_expect(&w);
        close_db(&w);
    }
}

/* One bit of the n-th append is lost on its way. */
static struct {
    enum status (*append)(struct env *e, int fd, const struct env_slice *parts, int count,
                          size_t *put);
    atomic_long left; /* < 0: none */
    atomic_bool struck;
} bad;

static enum status bad_append(struct env *e, int fd, const struct env_slice *parts, int count,
                              size_t *put)
{
    if (atomic_fetch_sub(&bad.left, 1) != 0 || parts[0].size == 0) {
        return bad.append(e, fd, parts, count, put);
    }
    char *copy = malloc(parts[0].size);
    struct env_slice one = {copy, parts[0].size};
    memcpy(copy, parts[0].data, parts[0].size);
    copy[parts[0].size / 2] ^= 4;
    atomic_store(&bad.struck, true);
    enum status st = bad.append(e, fd, &one, 1, put);
    free(copy);
    return st;
}

/* E21: with options.verify. */
static void compact__a_bad_write_is_not_installed(void)
{
    static struct world w;
    struct compaction *c = prepared(&w);
    bad.append = w.in.vt.file_append;
    atomic_store(&bad.left, -1);
    w.in.vt.file_append = bad_append;
    long n = 0;
    for (;; n++) {
        atomic_store(&bad.struck, false);
        atomic_store(&bad.left, n);
        enum status st = attempt(&w, c);
        atomic_store(&bad.left, -1);
        EXPECT(st == (atomic_load(&bad.struck) ? ST_CORRUPT : ST_OK));
        if (!atomic_load(&bad.struck) || tap_failed) {
            break;
        }
    }
    EXPECT(n > 1);
    give_up(&w, c);
    change(&w); /* a flush too */
    struct memtable *active = w.db->superversion->active;
    uint64_t visible = db_sequence(w.db);
    struct compact_flush f = {
        .db = w.db, .tables = &active, .count = 1, .snapshots = &visible, .snapshot_count = 1};
    struct tabfile *file = NULL;
    atomic_store(&bad.left, 0);
    EXPECT(compact_flush(&f, &file, NULL) == ST_CORRUPT && file == NULL);
    atomic_store(&bad.left, -1);
    EXPECT(compact_flush(&f, &file, NULL) == ST_OK && file != NULL);
    tabfile_unref(file);
    (void)install_sweep(w.db);
    views_expect(&w);
    close_db(&w);
}

TAP_MAIN({
    RUN(compact__no_view_changes);
    RUN(compact__what_is_deleted_leaves_nothing);
    RUN(compact__any_allocation_or_file_call_may_fail);
    RUN(compact__a_bad_write_is_not_installed);
})
