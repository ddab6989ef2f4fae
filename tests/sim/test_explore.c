/* test_explore.c - the search over small Raft groups: it is silent, repeatable, and gets where it
 * should. That it finds bugs is shown by tests/mutants. */
#include "sim/explore/explore.h"
#include "sim/explore/explworld.h"
#include "sim/simmem.h"
#include "tests/tap.h"

#include <string.h>

static struct explore_result search(const char *name, uint64_t states)
{
    struct explore_options o = {.states_max = states};
    struct explore_result r;
    struct buf trace;
    buf_init(&trace, simmem());
    explore_run(explore_find(name), &o, simmem(), &r, &trace);
    if (r.violated) {
        printf("# %s: %s\n%.*s", name, r.what, (int)trace.size, trace.data);
    }
    buf_release(&trace);
    return r;
}

/* What 4,000 states are enough to see, and with that, what a preset is good for. */
static unsigned wanted(const char *preset)
{
    static const struct {
        const char *preset;
        unsigned marks;
    } wants[] = {
        {"votes", 1u << EXPLORE_LEADER | 1u << EXPLORE_CRASHED_VOTE},
        {"crashes", 1u << EXPLORE_LEADER | 1u << EXPLORE_CRASHED_VOTE},
        {"prevote", 1u << EXPLORE_LEADER | 1u << EXPLORE_CRASHED_VOTE},
        {"figure8", 1u << EXPLORE_TWO_LEADERS | 1u << EXPLORE_TRUNCATED},
        {"stream", 1u << EXPLORE_COMMITTED},
        {"truncate", 1u << EXPLORE_COMMITTED | 1u << EXPLORE_TRUNCATED},
        {"members", 1u << EXPLORE_COMMITTED | 1u << EXPLORE_JOINT},
        {"joint", 1u << EXPLORE_COMMITTED | 1u << EXPLORE_JOINT},
        {"reads", 1u << EXPLORE_COMMITTED | 1u << EXPLORE_READ},
    };
    for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
        if (strcmp(preset, wants[i].preset) == 0) {
            return wants[i].marks;
        }
    }
    printf("# this test does not know preset %s\n", preset);
    return UINT32_MAX;
}

static void explore__every_preset_is_silent(void)
{
    const struct explore_preset *p;
    for (unsigned i = 0; (p = explore_at(i)) != NULL; i++) {
        struct explore_result r = search(explore_name(p), 4000);
        EXPECT(r.st == ST_OK && !r.violated);
        EXPECT(r.complete || r.end.states >= 4000);
        unsigned want = wanted(explore_name(p));
        EXPECT((r.reached & want) == want);
        EXPECT(strlen(explore_purpose(p)) > 20);
    }
    EXPECT(explore_find("no such preset") == NULL);
}

static void explore__the_same_search_finds_the_same(void)
{
    struct explore_result a = search("truncate", 3000);
    struct explore_result b = search("truncate", 3000);
    EXPECT(memcmp(&a.end, &b.end, sizeof a.end) == 0);
    EXPECT(a.reached == b.reached && a.lost == b.lost && a.cut == b.cut);
}

/* A group of one elects itself, and that is all there is. */
static void explore__a_small_world_ends(void)
{
    struct explore_preset one = {
        .name = "one", .purpose = "", .nodes = 1, .voters = 1, .terms = 1, .crashes = 1, .net = 2};
    struct explore_options o = {.states_max = 0};
    struct explore_result r;
    struct buf trace;
    buf_init(&trace, simmem());
    explore_run(&one, &o, simmem(), &r, &trace);
    EXPECT(r.st == ST_OK && r.complete && !r.violated);
    EXPECT(r.end.states > 3 && r.end.states < 100);
    EXPECT((r.reached >> EXPLORE_COMMITTED & 1) != 0);
    buf_release(&trace);
}

/* All that can become of one leader's appends of one entry. */
static void explore__a_larger_world_ends(void)
{
    struct explore_preset small = *explore_find("stream");
    struct explore_options o = {.states_max = 0};
    struct explore_result r;
    struct buf trace;
    small.twice = 1;
    small.proposals = 1;
    buf_init(&trace, simmem());
    explore_run(&small, &o, simmem(), &r, &trace);
    EXPECT(r.st == ST_OK && r.complete && !r.violated);
    printf("# %u states\n", (unsigned)r.end.states);
    EXPECT(r.end.states > 10000);
    buf_release(&trace);
}

/* Worlds that differ in numbers alone are one: three ways to begin, one state more. */
static void explore__nodes_that_look_alike_are_one(void)
{
    struct explore_options o = {.depth_max = 1};
    struct explore_result r;
    struct buf trace;
    struct explore_preset three = {
        .name = "three", .purpose = "", .nodes = 3, .voters = 3, .terms = 1, .net = 6};
    buf_init(&trace, simmem());
    explore_run(&three, &o, simmem(), &r, &trace);
    EXPECT(r.end.moves == 3);
    EXPECT(r.end.states == 2);
    buf_release(&trace);
}

/* Who has heard a leader, and hears no more of it, votes for another without standing itself. */
static void explore__a_follower_votes_again(void)
{
    struct explore_preset pair = {
        .name = "pair", .purpose = "", .nodes = 3, .voters = 3, .terms = 2, .net = 6};
    struct explworld_tools t;
    explworld_move moves[EXPLWORLD_MOVES];
    pair.instant = true;
    pair.prelude[0] = (struct explworld_election){1, 2, 1};
    EXPECT(explworld_tools_init(&t, simmem(), &pair) == ST_OK);
    struct explworld *w = mem_alloc(simmem(), t.size);
    explworld_begin(&t, w, &pair);
    explworld_make(&t, w, explworld_move_of(EXPLWORLD_BEAT, 1));
    while (w->net_count > 0) { /* all are in its log, and follow it */
        explworld_make(&t, w, explworld_move_of(EXPLWORLD_DELIVER, 0));
    }
    EXPECT(w->committed == 1 && explworld_view(w, 2).leader == 1);
    explworld_make(&t, w, explworld_move_of(EXPLWORLD_TIMEOUT, 3));
    EXPECT(w->net_count == 2); /* to the leader, and to node 2 */
    uint32_t count = explworld_moves(w, moves);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = explworld_at_of(moves[i]);
        EXPECT(explworld_kind_of(moves[i]) != EXPLWORLD_DELIVER || w->net[at].m.to == 2);
    }
    explworld_make(&t, w, explworld_move_of(EXPLWORLD_DELIVER, w->net[0].m.to == 2 ? 0 : 1));
    EXPECT(w->node[2].hard.term == 2 && w->node[2].hard.vote == 3);
    mem_release(simmem(), w);
    explworld_tools_release(&t);
}

/* A world put together wrong on purpose is noticed, and the moves that led there are told. */
static void explore__a_violation_is_told(void)
{
    const struct explore_preset *p = explore_find("figure8");
    struct explworld_tools t;
    struct buf text;
    buf_init(&text, simmem());
    EXPECT(explworld_tools_init(&t, simmem(), p) == ST_OK);
    struct explworld *w = mem_alloc(simmem(), t.size);
    explworld_begin(&t, w, p);
    EXPECT(w->what[0] == '\0' && w->leader[1] == 1 && w->leader[2] == 3);
    w->leader[3] = 3; /* as if node 3 had led term 3 */
    explworld_move moves[EXPLWORLD_MOVES];
    uint64_t before = explworld_digest(w);
    EXPECT(explworld_moves(w, moves) == 3);
    for (int i = 0; i < 3 && w->what[0] == '\0'; i++) {
        explworld_make(&t, w, explworld_move_of(EXPLWORLD_TIMEOUT, 1));
    }
    EXPECT(explworld_digest(w) != before);
    uint32_t count = explworld_moves(w, moves);
    for (uint32_t i = 0; i < count && w->what[0] == '\0'; i++) {
        struct explworld *next = mem_alloc(simmem(), t.size);
        explworld_copy(next, w);
        EXPECT(explworld_digest(next) == explworld_digest(w));
        mem_release(simmem(), next);
    }
    while (w->what[0] == '\0' && w->net_count > 0) {
        explworld_tell(w, explworld_move_of(EXPLWORLD_DELIVER, 0), &text);
        explworld_make(&t, w, explworld_move_of(EXPLWORLD_DELIVER, 0));
    }
    explworld_show(w, &text);
    EXPECT(strncmp(w->what, "ES:", 3) == 0);
    EXPECT(text.size > 100);
    mem_release(simmem(), w);
    explworld_tools_release(&t);
    buf_release(&text);
}

TAP_MAIN(RUN(explore__every_preset_is_silent); RUN(explore__the_same_search_finds_the_same);
         RUN(explore__a_small_world_ends); RUN(explore__a_larger_world_ends);
         RUN(explore__nodes_that_look_alike_are_one); RUN(explore__a_follower_votes_again);
         RUN(explore__a_violation_is_told);)
