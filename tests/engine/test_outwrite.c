/* test_outwrite.c - random entries and range tombs written as tables: they are disjoint, hold all
 * of it and no more, none is much too large or lies over too much, and no failure leaves a file. */
#include "base/prng.h"
#include "engine/install.h"
#include "engine/outwrite.h"
#include "engine/table_cursor.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define PLACES 200
#define MOST   600
#define TOMBS  30000 /* each under a hundred others at most */
#define ROUNDS 150

struct world {
    struct tmpdir dir;
    struct inject in;
    struct tkv *db;
    struct prng prng;
    char keys[PLACES][8]; /* ascending; the first is empty */
    struct entry entries[MOST];
    size_t count;
    struct tomb tombs[TOMBS];
    size_t tomb_count;
    struct tomb_set *set;
    struct version *version; /* with the outputs in level 1, beyond in level 2 */
    uint64_t limit;
    uint64_t beyond_limit;
    struct outwrite o;
};

static uint64_t below(struct world *w, uint64_t n)
{
    return prng_below(&w->prng, n);
}

static struct slice key_of(struct world *w, size_t k)
{
    return slice_text(w->keys[k]);
}

static void open_db(struct world *w)
{
    struct tkv_options o;
    struct tkv_error error = {.text = ""};
    tmpdir_make(&w->dir);
    inject_init(&w->in, w->dir.env);
    tkv_options_init(&o);
    o.env = &w->in.env;
    o.threads = 1;
    o.block_bytes = 200;
    if (tkv_open(&o, "db", &w->db, &error) != TKV_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    for (size_t k = 0; k < PLACES; k++) {
        (void)snprintf(w->keys[k], sizeof w->keys[k], "k%04zu", k);
    }
    w->keys[0][0] = '\0';
}

static void close_db(struct world *w)
{
    EXPECT(tkv_close(w->db) == TKV_OK);
    EXPECT(w->in.live == 0 && w->in.descriptors == 0);
    inject_release(&w->in);
    tmpdir_remove(&w->dir);
}

/* ---- what is written ---- */

/* Tables of the level after next, made up. */
static void beyond_make(struct world *w)
{
    struct edit e;
    struct version *empty;
    edit_init(&e, w->db->env);
    EXPECT(version_new(w->db->env, w->db->order, &empty) == ST_OK);
    for (size_t k = below(w, 20); k + 10 < PLACES && below(w, 30) > 0;) {
        size_t end = k + below(w, 9);
        struct table_info t = {.number = 1000000 + k,
                               .size = 100 + below(w, 900),
                               .sequence_min = 1,
                               .sequence_max = 1,
                               .least = key_of(w, k),
                               .most = key_of(w, end),
                               .most_open = end > k && below(w, 2) == 0};
        struct tabfile *f;
        EXPECT(tabfile_new(&w->db->tabset, &t, &f) == ST_OK);
        f->kept = 1; /* it has no file */
        EXPECT(edit_add_file(&e, 2, f) == ST_OK);
        tabfile_unref(f);
        k = end + 1 + below(w, 3);
    }
    EXPECT(version_apply(empty, &e, &w->version) == ST_OK);
    edit_release(&e);
    version_unref(empty);
}

static void world_make(struct world *w, uint64_t seed)
{
    w->prng = (struct prng){seed};
    w->count = w->tomb_count = 0;
    w->set = NULL;
    uint64_t density = below(w, 5);
    uint64_t tombs = below(w, 4);
    for (size_t k = 0; k < PLACES; k++) {
        for (uint64_t n = below(w, 10) < density ? 1 + below(w, 3) : 0; n > 0; n--) {
            w->entries[w->count++] = (struct entry){.key = key_of(w, k),
                                                    .sequence = 10000 + n,
                                                    .type = n == 2 ? BATCH_DELETE : BATCH_PUT,
                                                    .value = key_of(w, n == 2 ? 0 : PLACES - 1)};
        }
    }
    struct tomb drawn[100];
    size_t n = tombs == 0 ? 0 : tombs == 1 ? 1 : below(w, 100);
    for (size_t i = 0; i < n; i++) {
        size_t a = below(w, PLACES);
        size_t b = tombs == 1 || below(w, 20) == 0 ? PLACES - 1 : a + below(w, 10);
        a = tombs == 1 ? below(w, 3) : a;
        drawn[i] = (struct tomb){key_of(w, a), key_of(w, b < PLACES ? b : PLACES - 1),
                                 1 + below(w, 20000) + i * 20000};
    }
    EXPECT(tomb_set_new(&w->db->env->mem, w->db->order, drawn, n, &w->set) == ST_OK);
    for (size_t i = 0; i < tomb_set_count(w->set); i++) {
        struct tomb_piece p = tomb_set_piece(w->set, i);
        for (size_t k = 0; k < p.count && w->tomb_count < TOMBS; k++) {
            w->tombs[w->tomb_count++] = (struct tomb){p.begin, p.end, p.sequences[k]};
        }
    }
    EXPECT(w->tomb_count < TOMBS);
    w->limit = 300 + below(w, 3000);
    w->beyond_limit = 500 + below(w, 5000);
    beyond_make(w);
}

static void world_release(struct world *w)
{
    outwrite_release(&w->o);
    version_unref(w->version);
    tomb_set_free(w->set);
    (void)install_sweep(w->db);
}

static enum status write_all(struct world *w)
{
    w->o = (struct outwrite){.db = w->db,
                             .level = 1,
                             .limit = w->limit,
                             .beyond = &w->version->levels[2],
                             .beyond_limit = w->beyond_limit,
                             .tombs = w->tombs,
                             .tomb_count = w->tomb_count};
    outwrite_init(&w->o);
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < w->count; i++) {
        st = outwrite_add(&w->o, &w->entries[i]);
    }
    return st == ST_OK ? outwrite_end(&w->o) : st;
}

/* ---- what came of it ---- */

static uint64_t cover(const struct tomb_set *set, struct slice key, uint64_t at)
{
    return tomb_set_cover(set, key, at);
}

/* The tables' entries are those given, from *at on; each range tomb is where it was. */
static void table_expect(struct world *w, struct tabfile *f, size_t *at)
{
    struct err err = {.text = ""};
    struct table *t;
    struct table_cursor c;
    struct order order = w->db->order;
    EXPECT(tabcache_get(&w->db->tabcache, &f->slot, &f->info, &t, &err) == ST_OK);
    enum status st = table_verify(t, &f->info, &err);
    if (st != ST_OK) {
        printf("# %s\n", err.text);
    }
    EXPECT(st == ST_OK);
    table_cursor_init(&c, t, TABLE_SCAN);
    for (table_cursor_first(&c); c.valid; table_cursor_next(&c), (*at)++) {
        EXPECT(*at < w->count && slice_equal(c.entry.key, w->entries[*at].key) &&
               c.entry.sequence == w->entries[*at].sequence &&
               c.entry.type == w->entries[*at].type &&
               slice_equal(c.entry.value, w->entries[*at].value));
        if (tap_failed) {
            break;
        }
    }
    EXPECT(c.st == ST_OK);
    table_cursor_release(&c);
    for (size_t k = 0; k < PLACES; k++) {
        struct slice key = key_of(w, k);
        bool inside =
            order_compare(order, f->info.least, key) <= 0 && !version_file_before(order, f, key);
        for (uint64_t s = 0; s < 100 * 20000; s += 150001) {
            EXPECT(cover(table_tombs(t), key, s) == (inside ? cover(w->set, key, s) : 0));
        }
    }
    table_unref(t);
}

/* Bytes of the level after next that one table lies over. */
static uint64_t over(const struct world *w, const struct tabfile *f, size_t *files)
{
    size_t first;
    uint64_t bytes = 0;
    version_overlap(w->version, 2, &f->info.least, &f->info.most, &first, files);
    for (size_t i = 0; i < *files; i++) {
        bytes += w->version->levels[2].files[first + i]->info.size;
    }
    return bytes;
}

static void outputs_expect(struct world *w)
{
    struct edit e;
    struct version *v = NULL;
    size_t at = 0;
    edit_init(&e, w->db->env);
    for (size_t i = 0; i < w->o.count; i++) {
        size_t files;
        EXPECT(edit_add_file(&e, 1, w->o.files[i]) == ST_OK);
        table_expect(w, w->o.files[i], &at);
        uint64_t bytes = over(w, w->o.files[i], &files);
        EXPECT(bytes <= w->beyond_limit + 3 * 1000); /* those at its ends are larger than asked */
    }
    EXPECT(at == w->count);
    EXPECT(version_apply(w->version, &e, &v) == ST_OK);
    EXPECT(v != NULL && version_check(v, NULL));
    for (size_t k = 0; k < PLACES; k++) { /* no tomb is left out */
        size_t i = version_find(v, 1, key_of(w, k));
        bool inside =
            i < v->levels[1].count &&
            order_compare(w->db->order, v->levels[1].files[i]->info.least, key_of(w, k)) <= 0;
        EXPECT(inside || cover(w->set, key_of(w, k), UINT64_MAX) == 0);
    }
    edit_release(&e);
    version_unref(v);
}

/* ---- tests ---- */

static void outwrite__tables_are_disjoint_and_hold_everything(void)
{
    static struct world w;
    size_t tables = 0;
    open_db(&w);
    for (uint64_t seed = 0; seed < ROUNDS && !tap_failed; seed++) {
        world_make(&w, seed);
        EXPECT(write_all(&w) == ST_OK);
        outputs_expect(&w);
        tables += w.o.count;
        EXPECT(w.o.count > 0 || w.count + w.tomb_count == 0);
        world_release(&w);
        if (tap_failed) {
            printf("# seed %llu\n", (unsigned long long)seed);
        }
    }
    EXPECT(tables > 3 * ROUNDS);
    EXPECT(tmpdir_count(&w.dir, "db", ".sst") == 0);
    close_db(&w);
}

/* One range delete over everything does not make one compaction of everything out of the next. */
static void outwrite__a_wide_tomb_is_cut_where_the_level_after_next_is(void)
{
    static struct world w;
    open_db(&w);
    world_make(&w, 1);
    version_unref(w.version);
    tomb_set_free(w.set);
    struct tomb all = {key_of(&w, 0), key_of(&w, PLACES - 1), 7};
    EXPECT(tomb_set_new(&w.db->env->mem, w.db->order, &all, 1, &w.set) == ST_OK);
    w.tombs[0] = all;
    w.tomb_count = 1;
    w.count = 0;
    w.prng.state = 2;
    w.beyond_limit = 2000;
    beyond_make(&w);
    EXPECT(w.version->levels[2].count > 10);
    EXPECT(write_all(&w) == ST_OK);
    EXPECT(w.o.count >= w.version->levels[2].bytes / (2000 + 2000));
    outputs_expect(&w);
    world_release(&w);
    close_db(&w);
}

/* Tombs alone fill tables too. */
static void outwrite__many_tombs_are_more_than_one_table(void)
{
    static struct world w;
    open_db(&w);
    world_make(&w, 1);
    version_unref(w.version);
    tomb_set_free(w.set);
    struct tomb drawn[PLACES / 2];
    for (size_t i = 0; i < PLACES / 2; i++) {
        drawn[i] = (struct tomb){key_of(&w, 2 * i), key_of(&w, 2 * i + 1), i + 1};
        w.tombs[i] = drawn[i];
    }
    EXPECT(tomb_set_new(&w.db->env->mem, w.db->order, drawn, PLACES / 2, &w.set) == ST_OK);
    w.tomb_count = PLACES / 2;
    w.count = 0;
    w.limit = 300;
    w.beyond_limit = UINT64_MAX;
    beyond_make(&w);
    EXPECT(write_all(&w) == ST_OK);
    EXPECT(w.o.count >= 5 && w.o.count <= 12);
    outputs_expect(&w);
    world_release(&w);
    w.limit = UINT64_MAX; /* a flush makes one */
    world_make(&w, 5);
    w.limit = UINT64_MAX;
    w.beyond_limit = UINT64_MAX;
    EXPECT(write_all(&w) == ST_OK);
    EXPECT(w.o.count == 1);
    outputs_expect(&w);
    world_release(&w);
    close_db(&w);
}

static void outwrite__any_allocation_or_file_call_may_fail(void)
{
    static struct world w;
    for (int memory = 0; memory < 2; memory++) {
        open_db(&w);
        bool reached = true;
        for (long n = 0; reached && !tap_failed; n += 1 + n / 10) {
            struct inject_rule rule;
            world_make(&w, 8);
            inject_rule_init(&rule);
            long at = atomic_load(&w.in.allocs) + n;
            if (memory == 1) {
                w.in.fail_at = at;
            } else {
                rule.calls = INJECT_OPEN | INJECT_WRITE | INJECT_SYNC;
                atomic_store(&rule.at, n);
                inject_add(&w.in, &rule);
            }
            enum status st = write_all(&w);
            reached = memory == 1 ? atomic_load(&w.in.allocs) > at : atomic_load(&rule.seen) > n;
            EXPECT(st == (!reached ? ST_OK : memory == 1 ? ST_NOMEM : ST_IO));
            w.in.fail_at = -1;
            atomic_store(&rule.at, -1);
            if (!reached) {
                outputs_expect(&w);
            }
            world_release(&w);
            EXPECT(tmpdir_count(&w.dir, "db", ".sst") == 0);
            w.in.rules = NULL;
        }
        close_db(&w);
    }
}

TAP_MAIN({
    RUN(outwrite__tables_are_disjoint_and_hold_everything);
    RUN(outwrite__a_wide_tomb_is_cut_where_the_level_after_next_is);
    RUN(outwrite__many_tombs_are_more_than_one_table);
    RUN(outwrite__any_allocation_or_file_call_may_fail);
})
