/* test_group.c - replicas in a simulated world: one, three and five of them, with what happens to
 * processes, power and links. See group.h for what is checked. */
#include "tests/node/group.h"

#include "tests/tap.h"

#include <stdlib.h>

static struct group g;
static uint64_t refused; /* messages, for a time, by full inboxes */

/* One run; says what was wrong. */
static bool fine(const struct group_plan *p)
{
    group_run(&g, p);
    if (g.wrong[0] != '\0') {
        printf("# seed %d, %u nodes: %s\n", (int)p->seed, p->nodes, g.wrong);
    }
    refused += g.refused;
    return g.wrong[0] == '\0';
}

static void group__one_alone_serves(void)
{
    EXPECT(fine(&(struct group_plan){.seed = 1, .nodes = 1, .clients = 4, .writes = 50}));
    EXPECT(g.fates[GROUP_DONE] == 200);
    EXPECT(g.reads > 50);
}

static uint64_t installed; /* snapshots, in many runs */

/* Many runs; the sum of what happened is in `sum`. */
static bool all_fine(struct group_plan p, uint64_t from, uint64_t to, uint64_t sum[GROUP_FATES])
{
    memset(sum, 0, GROUP_FATES * sizeof *sum);
    installed = 0;
    for (p.seed = from; p.seed < to; p.seed++) {
        if (!fine(&p)) {
            return false;
        }
        installed += g.installed;
        for (int i = 0; i < GROUP_FATES; i++) {
            sum[i] += g.fates[i];
        }
    }
    printf("# %d snapshots, %d done, %d not, %d unknown, %d open\n", (int)installed,
           (int)sum[GROUP_DONE], (int)sum[GROUP_NOT_DONE], (int)sum[GROUP_UNKNOWN],
           (int)sum[GROUP_OPEN]);
    return true;
}

static uint64_t more; /* seeds, from the command line */

static void group__one_survives_crashes(void)
{
    uint64_t sum[GROUP_FATES];
    EXPECT(all_fine(
        (struct group_plan){
            .nodes = 1, .clients = 3, .writes = 150, .rounds = 8, .crashes = true, .small = true},
        0, 6 + more, sum));
    EXPECT(sum[GROUP_DONE] > 100);
    EXPECT(sum[GROUP_OPEN] > 0);
}

static void group__one_compacts_and_survives(void)
{
    uint64_t sum[GROUP_FATES];
    EXPECT(all_fine((struct group_plan){.nodes = 1,
                                        .clients = 3,
                                        .writes = 150,
                                        .rounds = 12,
                                        .log = 8,
                                        .crashes = true,
                                        .small = true},
                    100, 106 + more, sum));
    EXPECT(sum[GROUP_DONE] > 100);
}

static void group__three_agree(void)
{
    EXPECT(fine(&(struct group_plan){.seed = 1, .nodes = 3, .clients = 3, .writes = 40}));
    EXPECT(g.fates[GROUP_DONE] == 360);
}

/* Whoever is there serves, and in the end all are there again. */
static void group__members_come_and_go(void)
{
    uint64_t sum[GROUP_FATES];
    uint64_t done = 0;
    uint64_t snapshots = 0;
    for (uint64_t seed = 0; seed < 8 + more; seed++) {
        EXPECT(all_fine((struct group_plan){.nodes = seed % 2 == 0 ? 3 : 5,
                                            .clients = 1,
                                            .writes = 60,
                                            .rounds = 8,
                                            .loss = 20,
                                            .crashes = seed % 4 >= 2,
                                            .runs = 4,
                                            .cuts = true,
                                            .changes = true,
                                            .sessions = seed % 3 == 0},
                        seed, seed + 1, sum));
        done += g.changes[REPLICA_DONE];
        snapshots += g.snapshots;
    }
    printf("# changes: %d done, snapshots: %d\n", (int)done, (int)snapshots);
    EXPECT(done > 50 && snapshots > 10);
}

/* The same while logs are short and few terms are remembered. */
static void group__members_are_brought_up_by_snapshots(void)
{
    uint64_t sum[GROUP_FATES];
    EXPECT(all_fine((struct group_plan){.nodes = 5,
                                        .clients = 1,
                                        .writes = 60,
                                        .rounds = 10,
                                        .loss = 20,
                                        .log = 8,
                                        .runs = 8,
                                        .crashes = true,
                                        .cuts = true,
                                        .changes = true,
                                        .sessions = true},
                    6000, 6005 + more, sum));
    EXPECT(installed > 5);
}

static void group__three_survive(void)
{
    uint64_t sum[GROUP_FATES];
    EXPECT(all_fine((struct group_plan){.nodes = 3,
                                        .clients = 2,
                                        .writes = 60,
                                        .rounds = 12,
                                        .loss = 50,
                                        .crashes = true,
                                        .cuts = true},
                    0, 6 + more, sum));
    EXPECT(sum[GROUP_DONE] > 100);
    EXPECT(sum[GROUP_UNKNOWN] > 0);
}

/* Leases hold while clocks drift as much as they are said to; what is read of a node alone is old
 * at times, never older than what the same client knew through it, nor than the index it names. */
static void group__reads_are_as_fresh_as_they_are_asked_to_be(void)
{
    uint64_t sum[GROUP_FATES];
    uint64_t local = 0;
    uint64_t old = 0;
    for (uint64_t seed = 7000; seed < 7012 + more; seed++) {
        EXPECT(all_fine((struct group_plan){.nodes = seed % 2 == 0 ? 3 : 5,
                                            .clients = 2,
                                            .writes = 60,
                                            .rounds = 10,
                                            .loss = 30,
                                            .crashes = seed % 3 != 0,
                                            .cuts = true,
                                            .changes = seed % 4 == 0,
                                            .fresh = true},
                        seed, seed + 1, sum));
        local += g.local;
        old += g.old;
    }
    printf("# %d reads of what was there, %d of them old\n", (int)local, (int)old);
    EXPECT(local > 500 && old > 10);
}

static void group__three_survive_in_small_rooms(void)
{
    uint64_t sum[GROUP_FATES];
    EXPECT(all_fine((struct group_plan){.nodes = 3,
                                        .clients = 2,
                                        .writes = 60,
                                        .rounds = 12,
                                        .loss = 50,
                                        .crashes = true,
                                        .cuts = true,
                                        .small = true},
                    1000, 1006 + more, sum));
    EXPECT(sum[GROUP_DONE] > 100);
    EXPECT(refused > 0);
}

/* Logs are short, so whoever was away for a while is sent a snapshot. */
static void group__who_is_behind_gets_a_snapshot(void)
{
    uint64_t sum[GROUP_FATES];
    EXPECT(all_fine((struct group_plan){.nodes = 3,
                                        .clients = 2,
                                        .writes = 80,
                                        .rounds = 14,
                                        .loss = 50,
                                        .log = 8,
                                        .crashes = true,
                                        .cuts = true,
                                        .small = true},
                    4000, 4008 + more, sum));
    EXPECT(sum[GROUP_DONE] > 100);
    EXPECT(installed > 8);
}

/* Wherever the power goes from the moment on that a snapshot is there whole. */
static void group__power_goes_at_each_step_of_an_install(void)
{
    uint64_t interrupted = 0;
    struct group_plan p = {
        .nodes = 3, .clients = 1, .writes = 30, .rounds = 2, .log = 8, .away = true};
    for (p.power = 1; p.power<400; p.power += more> 0 ? 1 : 9) {
        p.seed = 5000 + p.power;
        p.joins = p.power % 2 == 0;
        EXPECT(fine(&p));
        interrupted += g.interrupted;
    }
    printf("# %d interrupted\n", (int)interrupted);
    EXPECT(interrupted > 20);
}

/* With numbers in sessions nothing is unknown while its client lives. */
static void group__sessions_end_what_is_unknown(void)
{
    uint64_t sum[GROUP_FATES];
    EXPECT(all_fine((struct group_plan){.nodes = 3,
                                        .clients = 2,
                                        .writes = 40,
                                        .rounds = 10,
                                        .loss = 100,
                                        .cuts = true,
                                        .sessions = true},
                    2000, 2006 + more, sum));
    EXPECT(sum[GROUP_DONE] > 100);
    EXPECT(sum[GROUP_UNKNOWN] == 0);
}

static void group__five_survive(void)
{
    uint64_t sum[GROUP_FATES];
    EXPECT(all_fine((struct group_plan){.nodes = 5,
                                        .clients = 1,
                                        .writes = 60,
                                        .rounds = 12,
                                        .loss = 50,
                                        .crashes = true,
                                        .cuts = true,
                                        .sessions = true},
                    3000, 3004 + more, sum));
    EXPECT(sum[GROUP_DONE] > 50);
}

TAP_MAIN({
    const char *text = getenv("GROUP_SEEDS"); /* so many more of each */
    more = text != NULL ? strtoull(text, NULL, 10) : 0;
    RUN(group__one_alone_serves);
    RUN(group__one_survives_crashes);
    RUN(group__one_compacts_and_survives);
    RUN(group__three_agree);
    RUN(group__members_come_and_go);
    RUN(group__members_are_brought_up_by_snapshots);
    RUN(group__three_survive);
    RUN(group__reads_are_as_fresh_as_they_are_asked_to_be);
    RUN(group__three_survive_in_small_rooms);
    RUN(group__who_is_behind_gets_a_snapshot);
    RUN(group__power_goes_at_each_step_of_an_install);
    RUN(group__sessions_end_what_is_unknown);
    RUN(group__five_survive);
})
