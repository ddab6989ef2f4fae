/* test_raftplaces.c - where entries lie: each move by hand. */
#include "raft/raftplaces.h"

#include "tests/tap.h"
#include "tests/test_env.h"

struct scene {
    struct test_env te;
    struct raftplaces p;
};

/* Entries from 10 on, ten a place, each in a segment of its own: 1, 2, … */
static void scene_begin(struct scene *x, uint64_t places)
{
    test_env_init(&x->te, NULL);
    raftplaces_init(&x->p, &x->te.env.mem);
    EXPECT(raftplaces_reserve(&x->p, (size_t)places + 4) == ST_OK);
    for (uint64_t i = 1; i <= places; i++) {
        raftplaces_add(&x->p, &(struct raftplace){10 * i, i, 800 * i});
    }
}

static void scene_end(struct scene *x)
{
    EXPECT(raftplaces_check(&x->p));
    raftplaces_release(&x->p);
    EXPECT(x->te.live == 0);
}

/* The segment that an entry lies in, 0: none; and where the next place begins. */
static uint64_t segment_of(const struct scene *x, uint64_t index, uint64_t *next)
{
    const struct raftplace *at = raftplaces_find(&x->p, index, next);
    return at != NULL ? at->segment : 0;
}

static void raftplaces__an_entry_belongs_to_the_place_below_it(void)
{
    struct scene x;
    uint64_t next;
    scene_begin(&x, 3);
    EXPECT(segment_of(&x, 9, &next) == 0 && next == 10);
    EXPECT(segment_of(&x, 10, &next) == 1 && next == 20);
    EXPECT(segment_of(&x, 19, &next) == 1 && next == 20);
    EXPECT(segment_of(&x, 500, &next) == 3 && next == UINT64_MAX);
    scene_end(&x);
}

static void raftplaces__what_is_dropped_or_cut_leaves_the_rest(void)
{
    struct scene x;
    uint64_t next;
    scene_begin(&x, 5);
    raftplaces_drop(&x.p, 25); /* its place is still needed */
    EXPECT(segment_of(&x, 25, &next) == 2 && x.p.count == 4);
    raftplaces_drop(&x.p, 30);
    EXPECT(segment_of(&x, 29, &next) == 0 && segment_of(&x, 30, &next) == 3);
    raftplaces_cut(&x.p, 50);
    EXPECT(segment_of(&x, 60, &next) == 4 && next == UINT64_MAX);
    raftplaces_cut(&x.p, 45); /* within a place */
    EXPECT(segment_of(&x, 44, &next) == 4);
    raftplaces_cut(&x.p, 1);
    EXPECT(x.p.count == 0);
    scene_end(&x);
}

static void raftplaces__what_is_set_lies_between_its_neighbours(void)
{
    struct scene x;
    uint64_t next;
    struct raftplace one = {12, 7, 64};
    struct raftplace rest = {0, 1, 900};
    scene_begin(&x, 3);
    raftplaces_set(&x.p, &one, 13, &rest);
    EXPECT(segment_of(&x, 11, &next) == 1 && next == 12);
    EXPECT(segment_of(&x, 12, &next) == 7 && next == 13);
    EXPECT(segment_of(&x, 13, &next) == 1 && next == 20);
    one.index = 18;
    raftplaces_set(&x.p, &one, 20, &rest); /* 20 has a place of its own, and keeps it */
    EXPECT(segment_of(&x, 19, &next) == 7 && next == 20);
    EXPECT(segment_of(&x, 20, &next) == 2 && x.p.count == 6);
    one.index = 11;
    raftplaces_set(&x.p, &one, 40, NULL); /* over several */
    EXPECT(segment_of(&x, 39, &next) == 7 && next == UINT64_MAX && x.p.count == 2);
    scene_end(&x);
}

/* A repaired entry lies in a later segment than those behind it. */
static void raftplaces__the_floor_is_the_lowest_segment_of_any(void)
{
    struct scene x;
    struct raftplace repaired = {10, 9, 64};
    struct raftplace rest = {0, 1, 840};
    scene_begin(&x, 3);
    EXPECT(raftplaces_floor(&x.p, 8) == 1);
    raftplaces_set(&x.p, &repaired, 11, &rest);
    EXPECT(raftplaces_floor(&x.p, 8) == 1);
    raftplaces_drop(&x.p, 20);
    EXPECT(raftplaces_floor(&x.p, 8) == 2);
    EXPECT(raftplaces_floor(&x.p, 1) == 1);
    scene_end(&x);
}

static void raftplaces__damaged_entries_are_counted(void)
{
    struct scene x;
    struct raftplace bad = {14, 1, RAFTPLACE_DAMAGED};
    struct raftplace rest = {0, 1, 960};
    scene_begin(&x, 2);
    EXPECT(raftplaces_damaged(&x.p, 1, 100) == 0);
    raftplaces_set(&x.p, &bad, 17, &rest);
    EXPECT(raftplaces_damaged(&x.p, 1, 100) == 3);
    EXPECT(raftplaces_damaged(&x.p, 15, 100) == 2 && raftplaces_damaged(&x.p, 1, 16) == 2);
    raftplaces_add(&x.p, &(struct raftplace){40, 2, RAFTPLACE_DAMAGED | RAFTPLACE_DOUBT});
    EXPECT(raftplaces_damaged(&x.p, 1, 44) == 7); /* up to the end */
    scene_end(&x);
}

TAP_MAIN({
    RUN(raftplaces__an_entry_belongs_to_the_place_below_it);
    RUN(raftplaces__what_is_dropped_or_cut_leaves_the_rest);
    RUN(raftplaces__what_is_set_lies_between_its_neighbours);
    RUN(raftplaces__the_floor_is_the_lowest_segment_of_any);
    RUN(raftplaces__damaged_entries_are_counted);
})
