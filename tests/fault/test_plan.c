/* test_plan.c - the catalogue, the swarm, and the .seed file. */
#include "fault/plan.h"

#include "sim/simmem.h"
#include "tests/tap.h"

#include <stdlib.h>

static void test_plan__draws_stay_within_limits(void)
{
    struct plan p;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        plan_init(&p, simmem(), seed);
        p.world = (enum plan_world)(seed % PLAN_WORLDS);
        plan_draw(&p);
        for (int i = 0; i < PLAN_KNOBS; i++) {
            enum plan_knob k = (enum plan_knob)i;
            EXPECT(plan_get(&p, k) >= plan_min(k));
            EXPECT(plan_get(&p, k) <= plan_max(k));
        }
        plan_release(&p);
    }
}

/* Each fault is off in some seeds and on in others; a run with everything on tests only errors. */
static void test_plan__every_seed_has_its_own_faults(void)
{
    unsigned on[PLAN_KNOBS] = {0};
    unsigned most = 0;
    unsigned faults = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct plan p;
        unsigned here = 0;
        plan_init(&p, simmem(), seed);
        plan_draw(&p);
        for (int k = 0; k < PLAN_KNOBS; k++) {
            bool enabled = plan_is_fault((enum plan_knob)k) &&
                           plan_get(&p, (enum plan_knob)k) > plan_min((enum plan_knob)k);
            on[k] += enabled;
            here += enabled;
        }
        most = here > most ? here : most;
        plan_release(&p);
    }
    for (int k = 0; k < PLAN_KNOBS; k++) {
        if (plan_is_fault((enum plan_knob)k) && plan_concerns((enum plan_knob)k, PLAN_WORLD_NODE)) {
            faults++;
            bool drawn = plan_is_drawn((enum plan_knob)k);
            EXPECT(drawn ? on[k] > 50 && on[k] < 950 : on[k] == 0);
        }
    }
    EXPECT(most < faults);
}

/* What breaks promises of the default run is drawn by worlds that ask for it only. */
static void test_plan__faults_out_of_the_swarm_are_drawn_one_by_one(void)
{
    unsigned out = 0;
    for (int k = 0; k < PLAN_KNOBS; k++) {
        enum plan_knob knob = (enum plan_knob)k;
        unsigned on = 0;
        if (!plan_is_fault(knob) || plan_is_drawn(knob) || !plan_concerns(knob, PLAN_WORLD_NODE)) {
            continue;
        }
        out++;
        for (uint64_t seed = 0; seed < 1000; seed++) {
            struct plan p;
            plan_init(&p, simmem(), seed);
            plan_draw_one(&p, knob, 250000);
            on += plan_get(&p, knob) > plan_min(knob);
            EXPECT(plan_get(&p, knob) <= plan_max(knob));
            plan_release(&p);
        }
        EXPECT(on > 180 && on < 320);
    }
    EXPECT(out == 8 && !plan_is_drawn(PLAN_MEDIA_ROT) && !plan_is_drawn(PLAN_RENAME_LIES));
}

static bool same_skips(const struct plan_skips *a, const struct plan_skips *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->ranges[i].actor != b->ranges[i].actor || a->ranges[i].first != b->ranges[i].first ||
            a->ranges[i].last != b->ranges[i].last) {
            return false;
        }
    }
    return true;
}

static void test_plan__text_round_trips(void)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct plan p, q;
        struct buf text;
        struct err err;
        buf_init(&text, simmem());
        plan_init(&p, simmem(), seed * 0x123456789abcdefu);
        p.world = (enum plan_world)(seed % PLAN_WORLDS);
        plan_draw(&p);
        EXPECT(plan_skip(&p, &p.ops, (struct plan_range){0, seed, 2 * seed}) == ST_OK);
        EXPECT(plan_skip(&p, &p.events, (struct plan_range){0, 3, 3}) == ST_OK);
        EXPECT(plan_print(&p, &text) == ST_OK);
        plan_init(&q, simmem(), 0);
        EXPECT(plan_parse(&q, buf_slice(&text), &err) == ST_OK);
        EXPECT(q.seed == p.seed);
        EXPECT(q.world == p.world);
        EXPECT(memcmp(p.value, q.value, sizeof p.value) == 0);
        EXPECT(same_skips(&p.ops, &q.ops) && same_skips(&p.events, &q.events));
        plan_release(&p);
        plan_release(&q);
        buf_release(&text);
    }
}

static void expect_refused(const char *text, const char *why)
{
    struct plan p;
    struct err err = {{0}};
    plan_init(&p, simmem(), 77);
    EXPECT(plan_parse(&p, slice_text(text), &err) == ST_INVAL);
    EXPECT(strstr(err.text, why) != NULL);
    EXPECT(p.seed == 77); /* unchanged */
    plan_release(&p);
}

static void test_plan__bad_text_is_refused_with_its_line(void)
{
    expect_refused("version = 1\nnosuch = 3\n", "line 2: there is no knob 'nosuch'");
    expect_refused("version = 2\n", "line 1: version 2 is not known");
    expect_refused("clients = 0\n", "line 1: clients = 0 is out of range: it takes 1 to 64");
    expect_refused("clients = 65\n", "out of range");
    expect_refused("clients three\n", "expected 'name = value'");
    expect_refused("clients = three\n", "wants a number");
    expect_refused("clients = 3 4\n", "text after the value");
    expect_refused("seed = 99999999999999999999\n", "below 2^64");
    expect_refused("world = moon\n", "line 1: world is one of");
    expect_refused("world = 1\n", "world is one of");
    expect_refused("skip_op = 0:9-3\n", "ACTOR:FIRST-LAST");
    expect_refused("\n\n# hm\nops\n", "line 4");
}

static void test_plan__comments_and_blanks_are_fine(void)
{
    struct plan p;
    struct err err;
    plan_init(&p, simmem(), 0);
    EXPECT(plan_parse(&p, slice_text("# x\n\n  seed =  5  # five\r\nops = 7"), &err) == ST_OK);
    EXPECT(p.seed == 5 && plan_get(&p, PLAN_OPS) == 7);
    EXPECT(plan_get(&p, PLAN_CLIENTS) == plan_default(PLAN_CLIENTS));
    EXPECT(plan_parse(&p, slice_of(NULL, 0), &err) == ST_OK);
    plan_release(&p);
}

static void test_plan__skips_hold_their_ranges(void)
{
    struct plan p, q;
    plan_init(&p, simmem(), 1);
    for (uint64_t i = 0; i < 20; i++) {
        EXPECT(plan_skip(&p, &p.ops, (struct plan_range){0, 10 * i, 10 * i + 4}) == ST_OK);
    }
    EXPECT(plan_skips(&p.ops, 0, 0) && plan_skips(&p.ops, 0, 4) && !plan_skips(&p.ops, 0, 5));
    EXPECT(plan_skips(&p.ops, 0, 194) && !plan_skips(&p.ops, 1, 194));
    EXPECT(plan_copy(&p, &q) == ST_OK);
    plan_release(&p);
    EXPECT(plan_skips(&q.ops, 0, 194));
    plan_release(&q);
}

static void test_plan__set_names_what_is_wrong(void)
{
    struct plan p;
    struct err err;
    plan_init(&p, simmem(), 1);
    EXPECT(plan_set(&p, "keys", 9, &err) == ST_OK && plan_get(&p, PLAN_KEYS) == 9);
    EXPECT(plan_set(&p, "keys", 0, &err) == ST_INVAL);
    EXPECT(strstr(err.text, "keys = 0 is out of range") != NULL);
    EXPECT(plan_set(&p, "kays", 1, &err) == ST_INVAL);
    plan_release(&p);
}

/* A copy has what the first has, and its own memory for it. */
static void test_plan__a_copy_stands_alone(void)
{
    struct plan a, b;
    plan_init(&a, simmem(), 9);
    EXPECT(plan_skip(&a, &a.ops, (struct plan_range){0, 1, 2}) == ST_OK);
    EXPECT(plan_skip(&a, &a.events, (struct plan_range){0, 4, 5}) == ST_OK);
    EXPECT(plan_copy(&a, &b) == ST_OK);
    EXPECT(same_skips(&a.ops, &b.ops));
    EXPECT(same_skips(&a.events, &b.events));
    plan_release(&a);
    EXPECT(plan_skip(&b, &b.ops, (struct plan_range){0, 7, 7}) == ST_OK);
    EXPECT(plan_skips(&b.ops, 0, 1) && plan_skips(&b.ops, 0, 7));
    EXPECT(plan_skips(&b.events, 0, 5) && !plan_skips(&b.events, 0, 6));
    plan_release(&b);
}

/* LOG(2, 64) of keys: both ends are reached, and nothing beyond. */
static void test_plan__a_draw_by_magnitude_keeps_its_bounds(void)
{
    uint64_t least = UINT64_MAX, greatest = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct plan p;
        plan_init(&p, simmem(), seed);
        plan_draw(&p);
        uint64_t keys = plan_get(&p, PLAN_KEYS);
        least = keys < least ? keys : least;
        greatest = keys > greatest ? keys : greatest;
        plan_release(&p);
    }
    EXPECT(least == 2);
    EXPECT(greatest == 64);
}

TAP_MAIN({
    RUN(test_plan__a_copy_stands_alone);
    RUN(test_plan__a_draw_by_magnitude_keeps_its_bounds);
    RUN(test_plan__draws_stay_within_limits);
    RUN(test_plan__every_seed_has_its_own_faults);
    RUN(test_plan__faults_out_of_the_swarm_are_drawn_one_by_one);
    RUN(test_plan__text_round_trips);
    RUN(test_plan__bad_text_is_refused_with_its_line);
    RUN(test_plan__comments_and_blanks_are_fine);
    RUN(test_plan__skips_hold_their_ranges);
    RUN(test_plan__set_names_what_is_wrong);
})
