/* test_raft_change.c - members: learners, one at a time, joint, and back. */
#include "tests/raft/directed.h"

/* n voters that are up and led, and nodes up to `all` that wait with empty disks. */
static uint64_t group(struct soup *s, uint32_t n, uint32_t all)
{
    soup_init(s, n, 5);
    s->nodes = all;
    for (uint64_t id = n + 1; id <= all; id++) {
        soup_blank(s, id);
    }
    soup_up_all(s);
    uint64_t leader = soup_elect(s);
    soup_run(s, 500);
    return leader;
}

static void set(struct soup *s, struct raft_config *c, uint64_t id, uint8_t roles)
{
    uint32_t at = 0;
    while (at < c->count && c->members[at].id < id) {
        at++;
    }
    bool there = at < c->count && c->members[at].id == id;
    if (roles == 0 && there) {
        memmove(&c->members[at], &c->members[at + 1], (--c->count - at) * sizeof c->members[0]);
    } else if (roles != 0) {
        if (!there) {
            memmove(&c->members[at + 1], &c->members[at], (c->count++ - at) * sizeof c->members[0]);
        }
        c->members[at] = (struct raft_member){id, s->node[id].incarnation, roles};
    }
}

static struct raft_config now(const struct soup *s, uint64_t id)
{
    return *raft_config(s->node[id].core);
}

/* 4.2.1: it gets everything, it decides nothing, and is promoted when it has caught up. */
static void test_raft_change__a_learner_learns_and_does_not_count(void)
{
    struct soup s;
    uint64_t leader = group(&s, 1, 2);
    for (int i = 0; i < 10; i++) {
        soup_propose(&s, leader);
    }
    struct raft_config c = now(&s, leader);
    set(&s, &c, 2, RAFT_LEARNER);
    EXPECT(soup_change(&s, leader, &c) == RAFT_TAKEN);
    soup_run(&s, 500);
    EXPECT(view(&s, 2).applied == view(&s, leader).last);
    EXPECT((s.seen & RAFT_SEEN(RAFT_SEEN_SNAPSHOT_IN)) != 0); /* the founders are in no entry */
    soup_crash(&s, 2);
    uint64_t index = soup_propose(&s, leader);
    soup_run(&s, 100);
    EXPECT(view(&s, leader).commit == index);
    soup_up(&s, 2);
    soup_run(&s, 5 * s.options.election);
    EXPECT(view(&s, 2).state == RAFT_FOLLOWER && soup_leader(&s) == leader);
    set(&s, &c, 2, RAFT_IN);
    EXPECT(soup_change(&s, leader, &c) == RAFT_TAKEN);
    EXPECT(!view(&s, leader).joint); /* one voter more is no joint matter */
    soup_run(&s, 500);
    soup_crash(&s, 2);
    index = soup_propose(&s, leader);
    soup_run(&s, 100);
    EXPECT(view(&s, leader).commit < index);
    done(&s);
}

/* 4.3: while joint, both majorities; then the old one is out. */
static void test_raft_change__joint_needs_both_majorities(void)
{
    struct soup s;
    uint64_t leader = group(&s, 3, 6);
    uint64_t a = leader % 3 + 1;
    uint64_t b = a % 3 + 1;
    struct raft_config c = now(&s, leader);
    for (uint64_t id = 4; id <= 6; id++) { /* learners first, so that they have the log */
        set(&s, &c, id, RAFT_LEARNER);
    }
    EXPECT(soup_change(&s, leader, &c) == RAFT_TAKEN);
    soup_run(&s, 500);
    set(&s, &c, a, 0);
    set(&s, &c, b, 0);
    for (uint64_t id = 4; id <= 6; id++) {
        set(&s, &c, id, RAFT_IN);
    }
    soup_crash(&s, a);
    soup_crash(&s, b); /* no majority of the outgoing voters */
    EXPECT(soup_change(&s, leader, &c) == RAFT_TAKEN);
    EXPECT(view(&s, leader).joint);
    soup_run(&s, s.options.election / 2);
    EXPECT(view(&s, leader).commit < view(&s, leader).config_index);
    EXPECT(view(&s, leader).joint);
    soup_up(&s, a);
    soup_run(&s, 6 * s.options.election);
    uint64_t next = soup_leader(&s);
    EXPECT(next != 0);
    EXPECT(!view(&s, next).joint);
    EXPECT(view(&s, next).members == 4);
    EXPECT(view(&s, next).commit == view(&s, next).last);
    EXPECT((s.seen & RAFT_SEEN(RAFT_SEEN_JOINT_LEFT)) != 0);
    done(&s);
}

static void test_raft_change__changes_come_one_at_a_time(void)
{
    struct soup s;
    uint64_t leader = group(&s, 3, 4);
    struct raft_config c = now(&s, leader);
    set(&s, &c, 4, RAFT_LEARNER);
    EXPECT(soup_change(&s, leader, &c) == RAFT_TAKEN);
    set(&s, &c, 4, RAFT_IN);
    EXPECT(soup_change(&s, leader, &c) == RAFT_CHANGING);
    soup_run(&s, 500);
    EXPECT(soup_change(&s, leader, &c) == RAFT_TAKEN);
    soup_run(&s, 500);
    EXPECT(soup_change(&s, leader, &c) == RAFT_BAD_CHANGE); /* it is so already */
    struct raft_config none = {0};
    EXPECT(soup_change(&s, leader, &none) == RAFT_BAD_CHANGE);
    for (uint32_t i = 0; i < c.count; i++) {
        c.members[i].roles = RAFT_LEARNER;
    }
    EXPECT(soup_change(&s, leader, &c) == RAFT_BAD_CHANGE); /* nobody would vote */
    EXPECT(soup_change(&s, leader % 3 + 1, &c) == RAFT_NOT_LEADER);
    done(&s);
}

/* O8, the flaw of 2015: not before an entry of the leader's own term is committed. */
static void test_raft_change__not_before_an_entry_of_the_term_is_committed(void)
{
    struct soup s;
    soup_init(&s, 3, 5);
    soup_up_all(&s);
    while (soup_leader(&s) == 0) {
        soup_run(&s, 10);
    }
    uint64_t leader = soup_leader(&s);
    if (view(&s, leader).commit > 1) {
        soup_release(&s);
        EXPECT(false); /* it must be caught in the act */
        return;
    }
    struct raft_config c = now(&s, leader);
    c.members[leader == 1 ? 1 : 0].roles = RAFT_LEARNER;
    EXPECT(soup_change(&s, leader, &c) == RAFT_CHANGING);
    soup_run(&s, 100);
    EXPECT(soup_change(&s, leader, &c) == RAFT_TAKEN);
    done(&s);
}

/* 4.2.2: it leads until the configuration without it is committed, without counting itself. */
static void test_raft_change__a_leader_removes_itself(void)
{
    struct soup s;
    uint64_t leader = group(&s, 3, 3);
    struct raft_config c = now(&s, leader);
    set(&s, &c, leader, 0);
    EXPECT(soup_change(&s, leader, &c) == RAFT_TAKEN);
    EXPECT(view(&s, leader).state == RAFT_LEADER);
    soup_run(&s, s.options.election / 2);
    EXPECT(view(&s, leader).state == RAFT_FOLLOWER);
    EXPECT((s.seen & RAFT_SEEN(RAFT_SEEN_REMOVED_SELF)) != 0);
    uint64_t next = soup_leader(&s);
    EXPECT(next != 0 && next != leader); /* told to stand, so at once */
    EXPECT(view(&s, next).members == 2);
    soup_run(&s, 10 * s.options.election);
    EXPECT(soup_leader(&s) == next); /* whoever was removed does not disturb */
    done(&s);
}

/* Figure 4.6: two voters, the leader removes itself and crashes; only the removed one has the
 * entry that the other needs, and stands for it. */
static void test_raft_change__a_removed_voter_stands_while_it_may_be_needed(void)
{
    struct soup s;
    uint64_t leader = group(&s, 2, 2);
    uint64_t other = 3 - leader;
    struct raft_config c = now(&s, leader);
    soup_split(&s, 1, 2, true);
    set(&s, &c, leader, 0);
    EXPECT(soup_change(&s, leader, &c) == RAFT_TAKEN);
    soup_persist(&s, leader, 9, true);
    soup_crash(&s, leader);
    soup_up(&s, leader);
    soup_split(&s, 1, 2, false);
    soup_run(&s, 10 * s.options.election);
    EXPECT(soup_leader(&s) == other);
    EXPECT(view(&s, other).members == 1);
    EXPECT(view(&s, other).commit == view(&s, other).last);
    done(&s);
}

/* A configuration that is truncated is not in force any more. */
static void test_raft_change__a_configuration_reverts_when_truncated(void)
{
    struct soup s;
    uint64_t leader = group(&s, 3, 4);
    struct raft_config c = now(&s, leader);
    soup_isolate(&s, leader, true);
    set(&s, &c, 4, RAFT_IN);
    EXPECT(soup_change(&s, leader, &c) == RAFT_TAKEN);
    EXPECT(view(&s, leader).members == 4);
    soup_run(&s, 6 * s.options.election);
    uint64_t next = soup_leader(&s);
    EXPECT(next != 0 && next != leader);
    soup_propose(&s, next);
    soup_run(&s, 100);
    soup_isolate(&s, leader, false);
    soup_run(&s, 3 * s.options.election);
    EXPECT(view(&s, leader).members == 3);
    EXPECT((s.seen & RAFT_SEEN(RAFT_SEEN_CONFIG_REVERTED)) != 0);
    EXPECT(view(&s, leader).last == view(&s, next).last);
    done(&s);
}

/* Its disk was replaced: under its old name it is a stranger, whose words count nothing. */
static void test_raft_change__another_incarnation_is_a_stranger(void)
{
    struct soup s;
    uint64_t leader = group(&s, 3, 3);
    uint64_t a = leader % 3 + 1;
    uint64_t b = a % 3 + 1;
    soup_blank(&s, a);
    soup_up(&s, a);
    soup_crash(&s, b);
    uint64_t index = soup_propose(&s, leader);
    soup_run(&s, s.options.election / 2);
    EXPECT(view(&s, leader).commit < index);
    EXPECT((s.seen & RAFT_SEEN(RAFT_SEEN_STALE_SESSION)) != 0);
    soup_run(&s, 5 * s.options.election);
    EXPECT(soup_leader(&s) == 0);
    soup_up(&s, b);
    soup_run(&s, 5 * s.options.election);
    EXPECT(soup_leader(&s) != 0);
    done(&s);
}

TAP_MAIN({
    RUN(test_raft_change__a_learner_learns_and_does_not_count);
    RUN(test_raft_change__joint_needs_both_majorities);
    RUN(test_raft_change__changes_come_one_at_a_time);
    RUN(test_raft_change__not_before_an_entry_of_the_term_is_committed);
    RUN(test_raft_change__a_leader_removes_itself);
    RUN(test_raft_change__a_removed_voter_stands_while_it_may_be_needed);
    RUN(test_raft_change__a_configuration_reverts_when_truncated);
    RUN(test_raft_change__another_incarnation_is_a_stranger);
})
