/* test_pick.c - which compaction comes next, on versions of made-up tables: what goes with what,
 * what meets what, what is left alone, and that choosing ends. */
#include "base/prng.h"
#include "engine/pick.h"
#include "env/env_posix.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#define LAST   (TKV_LEVELS - 1)
#define ROUNDS 600

static struct env *real; /* for its mutexes */

/* As much of a database as choosing looks at. */
struct bench {
    struct test_env te;
    struct tkv db;
    uint64_t number;
    struct prng prng;
    struct edit edit; /* tables to come */
};

static void bench_init(struct bench *b)
{
    memset(b, 0, sizeof *b);
    b->prng = (struct prng){1};
    test_env_init(&b->te, real);
    b->db.env = &b->te.env;
    tkv_options_init(&b->db.options);
    b->db.options.table_bytes = 1000;
    b->db.options.level1_bytes = 10000;
    b->db.options.level_factor = 10;
    b->db.sequence = 1000000;
    list_init(&b->db.compactions);
    list_init(&b->db.snapshots);
    tabset_init(&b->db.tabset, b->db.env);
    struct version *v;
    EXPECT(version_new(b->db.env, b->db.order, &v) == ST_OK);
    EXPECT(superversion_new(b->db.env, 1, &b->db.superversion) == ST_OK);
    b->db.superversion->version = v; /* its reference too */
    edit_init(&b->edit, b->db.env);
}

static void sweep(struct bench *b)
{
    for (struct tabfile *f = tabset_take(&b->db.tabset), *next; f != NULL; f = next) {
        next = f->next;
        tabfile_free(f);
    }
}

static void bench_release(struct bench *b)
{
    edit_release(&b->edit);
    version_unref(b->db.superversion->version);
    env_release(b->db.env, b->db.superversion);
    sweep(b);
    tabset_release(&b->db.tabset);
    EXPECT(b->te.live == 0);
}

/* What is to be in the next version; numbers are sequences too. */
static void table(struct bench *b, int level, const char *least, const char *most, uint64_t size,
                  uint64_t deletes)
{
    struct table_info t = {.number = ++b->number,
                           .size = size,
                           .entries = 100,
                           .deletes = deletes,
                           .sequence_min = b->number,
                           .sequence_max = b->number,
                           .least = slice_text(least),
                           .most = slice_text(most)};
    struct tabfile *f;
    EXPECT(tabfile_new(&b->db.tabset, &t, &f) == ST_OK);
    EXPECT(edit_add_file(&b->edit, level, f) == ST_OK);
    tabfile_unref(f);
}

/* The edit so far gives the next version. */
static const struct version *apply(struct bench *b)
{
    struct version *v = NULL;
    struct version *old = b->db.superversion->version;
    EXPECT(version_apply(old, &b->edit, &v) == ST_OK);
    EXPECT(v == NULL || version_check(v, NULL));
    if (v != NULL) {
        b->db.superversion->version = v;
        version_unref(old);
    }
    edit_release(&b->edit);
    edit_init(&b->edit, b->db.env);
    sweep(b);
    return v;
}

static struct compaction *next(struct bench *b)
{
    struct compaction *c;
    EXPECT(pick_next(&b->db, &c) == ST_OK);
    return c;
}

/* ---- levels ---- */

static void pick__targets_grow_towards_the_last_level(void)
{
    struct bench b;
    uint64_t t[TKV_LEVELS];
    bench_init(&b);
    EXPECT(pick_targets(apply(&b), &b.db.options, t) == LAST);
    table(&b, LAST, "a", "b", 9000, 0);
    EXPECT(pick_targets(apply(&b), &b.db.options, t) == LAST);
    table(&b, LAST, "c", "d", 91000, 0); /* 100 000: one more level may hold 10 000 */
    EXPECT(pick_targets(apply(&b), &b.db.options, t) == LAST - 1);
    EXPECT(t[LAST - 1] == 10000 && t[LAST - 2] == 0);
    table(&b, LAST, "e", "f", 900000, 0);
    EXPECT(pick_targets(apply(&b), &b.db.options, t) == LAST - 2);
    EXPECT(t[LAST - 1] == 100000 && t[LAST - 2] == 10000 && t[LAST - 3] == 0);
    table(&b, 2, "a", "b", 10, 0); /* what is there keeps its level */
    EXPECT(pick_targets(apply(&b), &b.db.options, t) <= 2);
    bench_release(&b);
}

/* ---- level 0 ---- */

/* P1, P2: all of it, and what it overlaps at the base. */
static void pick__level_zero_goes_as_a_whole(void)
{
    struct bench b;
    bench_init(&b);
    table(&b, LAST, "a", "c", 1000, 0);
    table(&b, LAST, "d", "g", 1000, 0);
    table(&b, LAST, "h", "k", 1000, 0);
    for (int i = 0; i < 3; i++) {
        table(&b, 0, i == 0 ? "e" : "f", "f", 100, 0);
    }
    (void)apply(&b);
    EXPECT(next(&b) == NULL); /* three of four */
    table(&b, 0, "b", "e", 100, 0);
    (void)apply(&b);
    struct compaction *c = next(&b);
    EXPECT(c != NULL && c->level == 0 && c->output == LAST && !c->move && c->upper_count == 4 &&
           c->input_count == 6 && c->bytes_in == 2400);
    if (c != NULL) {
        EXPECT(slice_equal(c->least, slice_text("a")) && slice_equal(c->most, slice_text("g")));
        table(&b, 0, "x", "y", 100, 0); /* flushed meanwhile */
        (void)apply(&b);
        EXPECT(next(&b) == NULL); /* not beside the one in hand */
        pick_done(c);
        c = next(&b);
        EXPECT(c != NULL && c->upper_count == 5);
        pick_done(c);
    }
    bench_release(&b);
}

static void pick__tables_that_meet_none_are_moved(void)
{
    struct bench b;
    bench_init(&b);
    table(&b, LAST, "m", "n", 1000, 0);
    for (int i = 0; i < 4; i++) {
        const char *const keys[] = {"a", "b", "c", "d"};
        table(&b, 0, keys[i], keys[i], 100, 0);
    }
    (void)apply(&b);
    b.db.options.compression[0] = b.db.options.compression[LAST];
    struct compaction *c = next(&b);
    EXPECT(c != NULL && c->move && c->input_count == 4 && c->output == LAST);
    pick_done(c);
    b.db.options.compression[0] = (uint8_t)!b.db.options.compression[LAST];
    c = next(&b);
    EXPECT(c != NULL && !c->move); /* it would not be compressed */
    pick_done(c);
    b.db.options.compression[0] = b.db.options.compression[LAST];
    table(&b, 0, "d", "e", 100, 0); /* two of them overlap */
    (void)apply(&b);
    c = next(&b);
    EXPECT(c != NULL && !c->move && c->upper_count == 5);
    pick_done(c);
    bench_release(&b);
}

/* ---- deletes ---- */

static void pick__deletes_go_down_and_then_away(void)
{
    struct bench b;
    bench_init(&b);
    table(&b, 5, "a", "b", 1000, 50);
    table(&b, 5, "c", "d", 1000, 25); /* not dense */
    table(&b, LAST, "b", "c", 100000, 0);
    (void)apply(&b);
    struct tkv_snapshot s = {.sequence = 0};
    list_insert(&b.db.snapshots, &s.link);
    EXPECT(next(&b) == NULL); /* the snapshot needs them */
    list_remove(&s.link);
    struct compaction *c = next(&b);
    EXPECT(c != NULL && c->level == 5 && c->output == LAST && c->input_count == 2);
    EXPECT(next(&b) == NULL);
    pick_done(c);
    table(&b, LAST, "x", "y", 1000, 50);
    (void)apply(&b);
    c = next(&b);
    struct compaction *again = next(&b);
    EXPECT(c != NULL && again != NULL && again->level == LAST && again->output == LAST &&
           again->input_count == 1 && !again->move);
    pick_done(c);
    pick_done(again);
    bench_release(&b);
}

/* ---- any version ---- */

static const char *const places[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l",
                                     "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x"};
#define PLACES (sizeof places / sizeof places[0])

/* Tables here and there; deeper ones are larger in all. */
static void random_version(struct bench *b, uint64_t seed)
{
    b->prng = (struct prng){seed};
    int first = 1 + (int)prng_below(&b->prng, LAST);
    for (int level = LAST; level >= first; level--) {
        for (size_t i = prng_below(&b->prng, 3); i < PLACES; i++) {
            size_t most = i + prng_below(&b->prng, 3);
            most = most < PLACES ? most : PLACES - 1;
            table(b, level, places[i], places[most], 200 + prng_below(&b->prng, 1000),
                  prng_below(&b->prng, 3) == 0 ? prng_below(&b->prng, 100) : 0);
            i = most + prng_below(&b->prng, 3);
        }
    }
    for (size_t n = prng_below(&b->prng, 7); n > 0; n--) {
        size_t i = prng_below(&b->prng, PLACES);
        size_t most = i + prng_below(&b->prng, PLACES - i);
        table(b, 0, places[i], places[most], 100, prng_below(&b->prng, 2) * 30);
    }
    b->db.options.level1_bytes = 500 + prng_below(&b->prng, 5000);
    b->db.options.level_factor = 2 + (uint32_t)prng_below(&b->prng, 4);
    (void)apply(b);
}

static bool is_input(const struct compaction *c, const struct tabfile *f)
{
    for (size_t i = 0; i < c->input_count; i++) {
        if (c->inputs[i] == f) {
            return true;
        }
    }
    return false;
}

static void rules_expect(const struct bench *b, const struct compaction *c)
{
    const struct version *v = b->db.superversion->version;
    EXPECT(c->output == (c->level == 0 ? c->output : c->level) || c->output == c->level + 1);
    EXPECT(c->output > 0 && c->upper_count > 0);
    EXPECT(c->level > 0 || c->upper_count == v->levels[0].count);
    for (int level = 1; level < c->output && c->level == 0; level++) {
        EXPECT(v->levels[level].count == 0); /* nothing lies between */
    }
    for (size_t i = 0; i < v->levels[c->output].count; i++) {
        const struct tabfile *f = v->levels[c->output].files[i];
        bool meets = order_compare(b->db.order, f->info.least, c->most) <= 0 &&
                     !version_file_before(b->db.order, f, c->least);
        EXPECT(meets == is_input(c, f) || (c->output == c->level && c->upper_count == 1));
    }
    for (size_t i = 0; i < c->input_count; i++) {
        EXPECT(c->inputs[i]->busy);
        EXPECT(order_compare(b->db.order, c->least, c->inputs[i]->info.least) <= 0);
        EXPECT(order_compare(b->db.order, c->most, c->inputs[i]->info.most) >= 0);
    }
    EXPECT(!c->move || (c->input_count == c->upper_count && c->output != c->level));
}

/* J3, P3: as many as can be had at once. */
static void pick__compactions_in_hand_do_not_meet(void)
{
    size_t together = 0;
    for (uint64_t seed = 0; seed < ROUNDS && !tap_failed; seed++) {
        struct bench b;
        struct compaction *list[64];
        size_t n = 0;
        bench_init(&b);
        random_version(&b, seed);
        while (n < 64 && (list[n] = next(&b)) != NULL) {
            rules_expect(&b, list[n]);
            for (size_t i = 0; i < n; i++) {
                for (size_t k = 0; k < list[n]->input_count; k++) {
                    EXPECT(!is_input(list[i], list[n]->inputs[k]));
                }
                EXPECT(list[i]->output != list[n]->output ||
                       order_compare(b.db.order, list[i]->most, list[n]->least) < 0 ||
                       order_compare(b.db.order, list[n]->most, list[i]->least) < 0);
            }
            n++;
        }
        together += n > 1;
        while (n > 0) {
            pick_done(list[--n]);
        }
        for (int level = 0; level < TKV_LEVELS; level++) {
            for (size_t i = 0; i < b.db.superversion->version->levels[level].count; i++) {
                EXPECT(!b.db.superversion->version->levels[level].files[i]->busy);
            }
        }
        bench_release(&b);
    }
    EXPECT(together > ROUNDS / 4);
}

/* J3 as it is written, even where shared inputs would tell. */
static void pick__what_another_writes_is_left_alone(void)
{
    struct bench b;
    bench_init(&b);
    for (int i = 0; i < 4; i++) {
        table(&b, 0, "b", "d", 100, 0);
    }
    (void)apply(&b);
    struct compaction other = {.output = LAST, .least = slice_text("d"), .most = slice_text("f")};
    list_insert(&b.db.compactions, &other.link);
    EXPECT(next(&b) == NULL);
    other.least = slice_text("e");
    struct compaction *c = next(&b);
    EXPECT(c != NULL);
    pick_done(c);
    other.least = slice_text("d");
    other.output = LAST - 1;
    c = next(&b);
    EXPECT(c != NULL);
    pick_done(c);
    list_remove(&other.link);
    bench_release(&b);
}

/* The table that is chosen of a level brings no more along than any other. */
static void pick__the_cheapest_table_is_chosen(void)
{
    size_t met = 0;
    for (uint64_t seed = 0; seed < ROUNDS && !tap_failed; seed++) {
        struct bench b;
        bench_init(&b);
        random_version(&b, seed);
        struct compaction *c = next(&b);
        const struct version *v = b.db.superversion->version;
        uint64_t t[TKV_LEVELS];
        int base = pick_targets(v, &b.db.options, t);
        if (c != NULL && c->level >= base && c->level < LAST &&
            v->levels[c->level].bytes > 2 * t[c->level] + 2048) {
            uint64_t best = UINT64_MAX;
            uint64_t got =
                (c->bytes_in - c->inputs[0]->info.size) / (c->inputs[0]->info.size / 1024 + 1);
            for (size_t i = 0; i < v->levels[c->level].count; i++) {
                const struct table_info *f = &v->levels[c->level].files[i]->info;
                uint64_t bytes = 0;
                size_t first, count;
                version_overlap(v, c->level + 1, &f->least, &f->most, &first, &count);
                for (size_t k = 0; k < count; k++) {
                    bytes += v->levels[c->level + 1].files[first + k]->info.size;
                }
                uint64_t cost = bytes / (f->size / 1024 + 1);
                best = cost < best ? cost : best;
            }
            EXPECT(c->upper_count == 1 && got == best);
            met++;
        }
        if (c != NULL) {
            pick_done(c);
        }
        bench_release(&b);
    }
    EXPECT(met > ROUNDS / 10);
}

/* What carrying it out gives: the inputs' range in tables without the deletes that may go. */
static void carry_out(struct bench *b, struct compaction *c, bool shed)
{
    for (size_t i = 0; i < c->input_count; i++) {
        const struct tabfile *f = c->inputs[i];
        EXPECT(edit_remove_file(&b->edit, i < c->upper_count ? c->level : c->output,
                                f->info.number) == ST_OK);
        if (c->move) {
            EXPECT(edit_add_file(&b->edit, c->output, c->inputs[i]) == ST_OK);
        }
    }
    if (!c->move) {
        struct table_info t = c->inputs[0]->info;
        struct tabfile *f;
        t.number = ++b->number;
        t.size = c->bytes_in;
        t.least = c->least;
        t.most = c->most;
        t.deletes = shed ? 0 : 90;
        EXPECT(tabfile_new(&b->db.tabset, &t, &f) == ST_OK);
        EXPECT(edit_add_file(&b->edit, c->output, f) == ST_OK);
        tabfile_unref(f);
    }
    pick_done(c);
    (void)apply(b);
}

/* Nothing lies deeper than what was chosen: its deletes may go. */
static bool nothing_deeper(const struct bench *b, const struct compaction *c)
{
    for (int level = c->output + 1; level < TKV_LEVELS; level++) {
        size_t first, count;
        version_overlap(b->db.superversion->version, level, &c->least, &c->most, &first, &count);
        if (count > 0) {
            return false;
        }
    }
    return true;
}

/* P4, even if no delete ever goes before it must. */
static void pick__choosing_ends(void)
{
    for (uint64_t seed = 0; seed < ROUNDS && !tap_failed; seed++) {
        struct bench b;
        struct compaction *c;
        size_t steps = 0;
        bench_init(&b);
        random_version(&b, seed);
        while ((c = next(&b)) != NULL && steps++ < 2000 && !tap_failed) {
            carry_out(&b, c, nothing_deeper(&b, c));
        }
        EXPECT(c == NULL);
        if (c != NULL) {
            pick_done(c);
        }
        for (int level = 0; level < TKV_LEVELS; level++) { /* by hand too */
            for (steps = 0; steps < 100; steps++) {
                EXPECT(pick_manual(&b.db, level, NULL, NULL, &c) == ST_OK);
                if (c == NULL) {
                    break;
                }
                carry_out(&b, c, nothing_deeper(&b, c));
            }
            EXPECT(steps < 100);
        }
        size_t levels = 0;
        for (int level = 0; level < TKV_LEVELS; level++) {
            levels += b.db.superversion->version->levels[level].count > 0 ? 1 : 0;
        }
        EXPECT(levels <= TKV_LEVELS && b.db.superversion->version->levels[0].count == 0);
        bench_release(&b);
    }
}

static void pick__any_allocation_may_be_refused(void)
{
    for (long n = 0;; n++) {
        struct bench b;
        struct compaction *c = NULL;
        bench_init(&b);
        random_version(&b, 3);
        for (int i = 0; i < 4; i++) {
            table(&b, 0, "a", "x", 100, 0);
        }
        const struct version *v = apply(&b);
        long at = atomic_load(&b.te.allocs) + n;
        b.te.fail_at = at;
        enum status st = n % 2 == 0 ? pick_next(&b.db, &c) : pick_manual(&b.db, 0, NULL, NULL, &c);
        bool reached = atomic_load(&b.te.allocs) > at;
        b.te.fail_at = -1;
        EXPECT(st == (reached ? ST_NOMEM : ST_OK));
        EXPECT((c == NULL) == reached);
        EXPECT(reached == list_empty(&b.db.compactions));
        EXPECT(v->levels[0].files[0]->busy == !reached);
        if (c != NULL) {
            pick_done(c);
        }
        bench_release(&b);
        if (!reached && n % 2 == 1) {
            break;
        }
    }
}

TAP_MAIN({
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    if (env_posix_new(&o, &real) != ST_OK) {
        printf("Bail out! no environment\n");
        return 1;
    }
    RUN(pick__targets_grow_towards_the_last_level);
    RUN(pick__level_zero_goes_as_a_whole);
    RUN(pick__tables_that_meet_none_are_moved);
    RUN(pick__deletes_go_down_and_then_away);
    RUN(pick__compactions_in_hand_do_not_meet);
    RUN(pick__what_another_writes_is_left_alone);
    RUN(pick__the_cheapest_table_is_chosen);
    RUN(pick__choosing_ends);
    RUN(pick__any_allocation_may_be_refused);
    env_posix_free(real);
})
