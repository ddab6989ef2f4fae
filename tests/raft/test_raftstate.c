/* test_raftstate.c - what the log says apart from its bytes: repairs of terms that were a lower
 * bound, and the traces that truncations leave for recovery. */
#include "raft/raftstate.h"

#include "env/env_posix.h"
#include "tests/tap.h"
#include "tests/test_env.h"

struct scene {
    struct env *real;
    struct test_env te;
    struct raftstate s;
};

/* Entries 1..5 of term 1, 6..8 of term 4, 9 of term 6. */
static void scene_begin(struct scene *x)
{
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    EXPECT(env_posix_new(&o, &x->real) == ST_OK);
    test_env_init(&x->te, x->real);
    raftstate_init(&x->s, &x->te.env);
    EXPECT(raftstate_reserve(&x->s, 20, 20) == ST_OK);
    for (uint64_t i = 1; i <= 9; i++) {
        raftstate_entry(&x->s, &(struct raft_place){i, i < 6 ? 1 : i < 9 ? 4 : 6});
    }
}

static void scene_end(struct scene *x)
{
    EXPECT(raftstate_check(&x->s));
    raftstate_release(&x->s);
    EXPECT(x->te.live == 0);
    env_posix_free(x->real);
}

static bool terms_are(const struct scene *x, const uint64_t *want)
{
    bool same = true;
    for (uint64_t i = 1; i <= x->s.last.index; i++) {
        same = same && raftstate_term(&x->s, i) == want[i - 1];
    }
    return same && raftstate_check(&x->s);
}

static void raftstate__a_repair_lies_between_its_neighbours(void)
{
    struct scene x;
    scene_begin(&x);
    EXPECT(raftstate_repairable(&x.s, &(struct raft_place){3, 1}));
    EXPECT(raftstate_repairable(&x.s, &(struct raft_place){3, 4}));
    EXPECT(!raftstate_repairable(&x.s, &(struct raft_place){3, 5}));
    EXPECT(!raftstate_repairable(&x.s, &(struct raft_place){7, 3}));
    EXPECT(raftstate_repairable(&x.s, &(struct raft_place){9, 6}));
    EXPECT(!raftstate_repairable(&x.s, &(struct raft_place){9, 7})); /* the last term is known */
    scene_end(&x);
}

static void raftstate__repairs_move_where_terms_begin(void)
{
    static const uint64_t first[] = {1, 1, 1, 2, 2, 4, 4, 4, 6};
    static const uint64_t joined[] = {1, 1, 1, 2, 4, 4, 4, 4, 6};
    static const uint64_t swallowed[] = {1, 1, 1, 4, 4, 4, 4, 4, 6};
    static const uint64_t whole[] = {4, 4, 4, 4, 4, 4, 4, 4, 6};
    struct scene x;
    scene_begin(&x);
    raftstate_repair(&x.s, &(struct raft_place){4, 2}); /* in the middle: and so are those behind */
    EXPECT(terms_are(&x, first) && x.s.run_count == 4);
    raftstate_repair(&x.s, &(struct raft_place){5, 4});
    EXPECT(terms_are(&x, joined) && x.s.run_count == 4);
    raftstate_repair(&x.s, &(struct raft_place){4, 4}); /* nothing of term 2 is left */
    EXPECT(terms_are(&x, swallowed) && x.s.run_count == 3);
    raftstate_repair(&x.s, &(struct raft_place){1, 4});
    EXPECT(terms_are(&x, whole) && x.s.run_count == 2);
    raftstate_repair(&x.s, &(struct raft_place){2, 4}); /* as it was */
    EXPECT(terms_are(&x, whole));
    scene_end(&x);
}

/* Recovery needs to know how far down the groups that it cannot read have cut. */
static void raftstate__truncations_leave_the_lowest_of_a_group(void)
{
    struct scene x;
    struct raftlogfmt_block b = {.kind = RAFTLOGFMT_IDENTITY};
    scene_begin(&x);
    raftstate_truncate(&x.s, 9, 20);
    raftstate_truncate(&x.s, 4, 21);
    raftstate_entry(&x.s, &(struct raft_place){4, 7});
    raftstate_entry(&x.s, &(struct raft_place){5, 7});
    raftstate_truncate(&x.s, 5, 21);
    raftstate_tell(&x.s, &b);
    EXPECT(b.info.cut_sequence == 21 && b.info.cut_from == 4 && b.info.cut_before == 20);
    EXPECT(b.info.last.index == 4 && b.info.last.term == 7 && b.info.last_run == 4);
    scene_end(&x);
}

TAP_MAIN({
    RUN(raftstate__a_repair_lies_between_its_neighbours);
    RUN(raftstate__repairs_move_where_terms_begin);
    RUN(raftstate__truncations_leave_the_lowest_of_a_group);
})
