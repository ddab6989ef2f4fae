/* test_member.c - members of a group over the simulated network: they elect, replicate, survive
 * deaths, power loss and partitions; a node that lost its disk is refused. See memberlab.h for what
 * is checked. */
#include "tests/node/memberlab.h"

#include "tests/tap.h"

#include <stdlib.h>

static struct memberlab lab;
static uint64_t more; /* seeds, from the command line */

static bool fine(uint64_t seed, uint32_t count, void (*story)(struct memberlab *lab))
{
    memberlab_run(&lab, seed, count, story);
    if (lab.wrong[0] != '\0') {
        printf("# seed %d: %s\n", (int)seed, lab.wrong);
    }
    return lab.wrong[0] == '\0';
}

static void all_up(struct memberlab *l)
{
    for (uint32_t i = 1; i <= l->count; i++) {
        memberlab_up(l, i);
    }
}

static void story_plain(struct memberlab *l)
{
    all_up(l);
    memberlab_writes(l, 60);
}

static void member__a_group_of_one_serves(void)
{
    EXPECT(fine(1, 1, story_plain));
}

static void member__three_replicate_what_any_is_asked(void)
{
    EXPECT(fine(1, 3, story_plain));
    EXPECT(lab.node[1].done > 10 && lab.node[2].done > 10 && lab.node[3].done > 10);
}

static void story_misfortune(struct memberlab *l)
{
    all_up(l);
    memberlab_writes(l, 10);
    uint64_t one = 1 + l->plan.seed % l->count;
    memberlab_kill(l, one);
    memberlab_writes(l, 10); /* the others go on */
    memberlab_up(l, one);
    memberlab_writes(l, 10);
    for (uint32_t i = 1; i <= l->count; i++) {
        memberlab_power(l, i);
    }
    all_up(l);
    memberlab_writes(l, 10);
    struct memberlab_node *leader = memberlab_leader(l);
    for (uint32_t i = 1; leader != NULL && i <= l->count; i++) {
        if (i != leader->id) {
            memberlab_cut(l, leader->id, i);
        }
    }
    memberlab_writes(l, 10); /* the others elect one of them */
    memberlab_heal(l);
    memberlab_writes(l, 10);
    memberlab_power(l, one);
    memberlab_pass(l, l->plan.seed % 3 * MEMBERLAB_SECOND);
    memberlab_up(l, one);
    memberlab_writes(l, 10);
}

static void member__groups_survive(void)
{
    for (uint64_t seed = 0; seed < 40 + more; seed++) {
        if (!fine(seed, seed % 4 == 0 ? 5 : 3, story_misfortune)) {
            EXPECT(!"a group that survives");
            break;
        }
    }
}

/* Node 2 loses its disk while node 3 is away: node 1 alone must not get anything done with it, for
 * what 2 promised is gone. */
static void story_wiped(struct memberlab *l)
{
    all_up(l);
    memberlab_writes(l, 20);
    memberlab_kill(l, 3);
    memberlab_writes(l, 20);
    memberlab_kill(l, 1);
    memberlab_wipe(l, 2);
    uint64_t done = l->done;
    memberlab_up(l, 2);
    memberlab_up(l, 3); /* it lacks what 1 and 2 did, and must not lead 2 */
    memberlab_pass(l, 10 * MEMBERLAB_SECOND);
    if (l->done != done || l->refused == 0) {
        memberlab_wrong(l, "a wiped node takes part");
    }
    memberlab_up(l, 1);
    memberlab_writes(l, 20);
    l->node[2].may_fail = true;
    memberlab_kill(l, 2); /* it holds what leaders sent it, and nothing that it may say */
}

static void member__a_wiped_founder_is_refused(void)
{
    for (uint64_t seed = 0; seed < 20 + more; seed++) {
        EXPECT(fine(seed, 3, story_wiped));
    }
}

/* The power of all goes as soon as the group is founded, and node 2 comes back without its disk:
 * what the others noted of it must be there. */
static void story_noted(struct memberlab *l)
{
    all_up(l);
    memberlab_writes(l, 1);
    memberlab_power(l, 1);
    memberlab_power(l, 3);
    memberlab_wipe(l, 2);
    uint64_t done = l->done;
    uint64_t one = l->plan.seed % 2 == 0 ? 1 : 3;
    memberlab_up(l, 2);
    memberlab_up(l, one);
    memberlab_pass(l, 10 * MEMBERLAB_SECOND);
    if (l->done != done || l->refused == 0) {
        memberlab_wrong(l, "a wiped node takes part");
    }
    memberlab_up(l, 4 - one);
    memberlab_writes(l, 20);
    l->node[2].may_fail = true;
    memberlab_kill(l, 2);
}

static void member__the_roster_survives_power_loss(void)
{
    for (uint64_t seed = 0; seed < 20 + more; seed++) {
        EXPECT(fine(seed, 3, story_noted));
    }
}

/* Node 4 comes with an empty disk: it gets a snapshot, then a vote, and then one of the founders
 * can go for good. Deaths on the way, if the seed says so. */
static void story_joins(struct memberlab *l)
{
    uint64_t seed = l->plan.seed;
    l->founders = 3;
    for (uint32_t i = 1; i <= 3; i++) {
        memberlab_up(l, i);
    }
    memberlab_writes(l, 20);
    memberlab_up(l, 4);
    memberlab_change(l, REPLICA_ADD, 4);
    memberlab_pass(l, seed % 7 * 20 * MEMBERLAB_MS);
    uint64_t victim = 1 + seed % 4;
    if (seed % 3 == 1) {
        memberlab_kill(l, victim);
    } else if (seed % 3 == 2) {
        memberlab_power(l, victim);
    }
    memberlab_writes(l, 20);
    memberlab_up(l, victim);
    memberlab_change(l, REPLICA_PROMOTE, 4);
    memberlab_writes(l, 20);
    memberlab_kill(l, 1 + seed % 3);
    memberlab_writes(l, 20); /* it takes three of four */
    memberlab_change(l, REPLICA_REMOVE, 1 + seed % 3);
    memberlab_writes(l, 20);
    l->node[1 + seed % 3].may_fail = true;
}

static void member__one_joins_with_an_empty_disk(void)
{
    uint64_t installed = 0;
    for (uint64_t seed = 0; seed < 20 + more; seed++) {
        EXPECT(fine(seed, 4, story_joins));
        installed += lab.installed;
    }
    EXPECT(installed > 10);
}

/* Who leads is removed: it has to hear from the others until they have its removal in their logs,
 * though these say that it is no member. */
static void story_leader_leaves(struct memberlab *l)
{
    l->founders = 3;
    for (uint32_t i = 1; i <= 3; i++) {
        memberlab_up(l, i);
    }
    memberlab_writes(l, 20);
    const struct memberlab_node *leader = memberlab_leader(l);
    if (leader == NULL) {
        memberlab_wrong(l, "nobody leads");
        return;
    }
    uint64_t id = leader->id;
    memberlab_change(l, REPLICA_REMOVE, id);
    if (l->changed_by != id) {
        memberlab_wrong(l, "a leader cannot remove itself");
    }
    l->node[id].quiet = true;
    memberlab_writes(l, 20);
    l->node[id].may_fail = true;
    memberlab_kill(l, id);
}

static void member__a_leader_removes_itself(void)
{
    for (uint64_t seed = 0; seed < 20 + more; seed++) {
        EXPECT(fine(seed, 3, story_leader_leaves));
    }
}

/* Node 4, which joined and votes, loses its disk and comes back under its old id: its incarnation
 * is another one, and it counts for nothing until it was removed and added again. */
static void story_wiped_joiner(struct memberlab *l)
{
    l->founders = 3;
    for (uint32_t i = 1; i <= 4; i++) {
        memberlab_up(l, i);
    }
    memberlab_writes(l, 5);
    memberlab_change(l, REPLICA_ADD, 4);
    memberlab_change(l, REPLICA_PROMOTE, 4);
    memberlab_kill(l, 1);
    memberlab_writes(l, 20); /* with its vote */
    memberlab_wipe(l, 4);
    memberlab_up(l, 4);
    memberlab_pass(l, 5 * MEMBERLAB_SECOND); /* what was under way is over */
    uint64_t done = l->done;
    memberlab_pass(l, 10 * MEMBERLAB_SECOND);
    if (l->done != done) {
        memberlab_wrong(l, "a wiped node takes part");
    }
    memberlab_up(l, 1);
    memberlab_writes(l, 20);
    memberlab_change(l, REPLICA_REMOVE, 4);
    memberlab_change(l, REPLICA_ADD, 4);
    memberlab_change(l, REPLICA_PROMOTE, 4);
    memberlab_kill(l, 2);
    memberlab_writes(l, 20);
    memberlab_up(l, 2);
}

static void member__a_wiped_joiner_is_added_again(void)
{
    for (uint64_t seed = 0; seed < 10 + more; seed++) {
        EXPECT(fine(seed, 4, story_wiped_joiner));
    }
}

/* Node 4 is added before anybody has heard of it, and loses its disk again and again: each time it
 * is sent a snapshot, for the most part by the same leader. */
static void story_comes_again(struct memberlab *l)
{
    l->founders = 3;
    for (uint32_t i = 1; i <= 4; i++) {
        memberlab_up(l, i);
        memberlab_cut(l, i, i < 4 ? 4 : 1);
    }
    memberlab_writes(l, 5);
    for (uint32_t i = 0; i < 10 && l->wrong[0] == '\0'; i++) {
        memberlab_change(l, REPLICA_ADD, 4);
        memberlab_pass(l, 500 * MEMBERLAB_MS);
        memberlab_heal(l);
        memberlab_change(l, REPLICA_PROMOTE, 4);
        const struct memberlab_node *leader = memberlab_leader(l);
        uint64_t other = leader != NULL && leader->id == 1 ? 2 : 1;
        memberlab_kill(l, other);
        memberlab_writes(l, 5); /* it takes three of four */
        memberlab_up(l, other);
        memberlab_change(l, REPLICA_REMOVE, 4);
        memberlab_wipe(l, 4);
        l->node[4].incarnation = 0;
        memberlab_up(l, 4);
    }
    l->node[4].may_fail = true;
    memberlab_kill(l, 4);
}

static void member__snapshots_leave_again_and_again(void)
{
    for (uint64_t seed = 0; seed < 5 + more; seed++) {
        EXPECT(fine(seed, 4, story_comes_again));
        EXPECT(lab.installed >= 10);
    }
}

/* Before all founders have met it a founder is silent: then one that is wiped at once, and one that
 * was never there, cannot found the group a second time. */
static void story_founding(struct memberlab *l)
{
    memberlab_up(l, 1);
    memberlab_up(l, 2);
    memberlab_pass(l, 10 * MEMBERLAB_SECOND);
    if (l->done != 0) {
        memberlab_wrong(l, "a group that was not founded serves");
    }
    memberlab_up(l, 3);
    memberlab_writes(l, 20);
    memberlab_kill(l, 3); /* once is enough */
    memberlab_power(l, 1);
    memberlab_up(l, 1);
    memberlab_writes(l, 20);
    memberlab_up(l, 3);
}

static void member__all_founders_have_to_meet_once(void)
{
    for (uint64_t seed = 0; seed < 20 + more; seed++) {
        EXPECT(fine(seed, 3, story_founding));
    }
}

TAP_MAIN({
    const char *text = getenv("MEMBER_SEEDS"); /* so many more of each */
    more = text != NULL ? strtoull(text, NULL, 10) : 0;
    RUN(member__a_group_of_one_serves);
    RUN(member__three_replicate_what_any_is_asked);
    RUN(member__groups_survive);
    RUN(member__a_wiped_founder_is_refused);
    RUN(member__the_roster_survives_power_loss);
    RUN(member__one_joins_with_an_empty_disk);
    RUN(member__a_leader_removes_itself);
    RUN(member__a_wiped_joiner_is_added_again);
    RUN(member__snapshots_leave_again_and_again);
    RUN(member__all_founders_have_to_meet_once);
})
