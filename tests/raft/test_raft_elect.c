/* test_raft_elect.c - who is elected, when, and what must be durable before. */
#include "tests/raft/directed.h"

static void quiet(struct soup *s, uint32_t n)
{
    soup_init(s, n, 7);
    soup_up_all(s);
}

static void test_raft_elect__group_of_one_leads_when_its_vote_is_durable(void)
{
    struct soup s;
    quiet(&s, 1);
    soup_event(&s, 1, RAFT_EV_TIME);
    EXPECT(view(&s, 1).state == RAFT_CANDIDATE);
    EXPECT(view(&s, 1).term == 2);
    persist(&s, 1);
    EXPECT(view(&s, 1).state == RAFT_LEADER);
    EXPECT(view(&s, 1).commit == 1); /* its no-op is not on its disk yet */
    persist(&s, 1);
    EXPECT(view(&s, 1).commit == 2);
    done(&s);
}

/* O2, O3: the request carries the candidate's term, so it waits for the same write as its vote. */
static void test_raft_elect__requests_wait_for_the_candidates_own_disk(void)
{
    struct soup s;
    soup_init(&s, 3, 7);
    s.options.no_prevote = true;
    soup_up_all(&s);
    soup_force(&s, 1, RAFT_FORCE_ELECTION);
    EXPECT(s.net.count == 0);
    EXPECT(s.node[1].held.count == 2);
    persist(&s, 1);
    EXPECT(s.net.count == 2);
    EXPECT(soup_find(&s, RAFT_MSG_VOTE, 1, 2) >= 0);
    done(&s);
}

/* Elected by others before its own term is durable, crashed, elected again in the same term, two
 * logs in one term: no message of that term can have left. */
static void test_raft_elect__no_second_election_in_a_term_that_a_crash_forgot(void)
{
    struct soup s;
    soup_init(&s, 3, 7);
    s.options.no_prevote = true;
    soup_up_all(&s);
    soup_force(&s, 1, RAFT_FORCE_ELECTION);
    EXPECT(view(&s, 1).term == 2);
    soup_crash(&s, 1);
    soup_up(&s, 1);
    EXPECT(view(&s, 1).term == 1);
    EXPECT(s.net.count == 0);
    EXPECT(view(&s, 2).term == 1 && view(&s, 3).term == 1);
    soup_force(&s, 1, RAFT_FORCE_ELECTION);
    persist(&s, 1);
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE, 1, 2) == 1);
    persist(&s, 2);
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE_REPLY, 2, 1) == 1);
    EXPECT(view(&s, 1).state == RAFT_LEADER);
    done(&s);
}

static void test_raft_elect__a_vote_leaves_when_it_is_durable_and_is_the_only_one(void)
{
    struct soup s;
    soup_init(&s, 3, 7);
    s.options.no_prevote = true;
    soup_up_all(&s);
    soup_force(&s, 1, RAFT_FORCE_ELECTION);
    soup_force(&s, 3, RAFT_FORCE_ELECTION);
    persist(&s, 1);
    persist(&s, 3);
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE, 1, 2) == 1);
    EXPECT(soup_find(&s, RAFT_MSG_VOTE_REPLY, 2, 1) < 0);
    soup_twice(&s, (size_t)soup_find(&s, RAFT_MSG_VOTE, 3, 2));
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE, 3, 2) == 2);
    EXPECT(view(&s, 2).vote == 1);
    persist(&s, 2);
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE_REPLY, 2, 3) == 2);
    EXPECT(view(&s, 3).state == RAFT_CANDIDATE);
    EXPECT(soup_pass(&s, RAFT_MSG_VOTE_REPLY, 2, 1) == 1);
    EXPECT(view(&s, 1).state == RAFT_LEADER);
    done(&s);
}

/* 9.6: cut off for twenty timeouts, it comes back without having made a term. */
static void test_raft_elect__a_partitioned_node_comes_back_quietly(void)
{
    struct soup s;
    quiet(&s, 3);
    uint64_t leader = soup_elect(&s);
    uint64_t away = leader % 3 + 1;
    uint64_t term = view(&s, leader).term;
    soup_isolate(&s, away, true);
    soup_run(&s, 20 * s.options.election);
    EXPECT(soup_propose(&s, leader) != 0);
    EXPECT(view(&s, away).term == term);
    soup_isolate(&s, away, false);
    soup_run(&s, 5 * s.options.election);
    EXPECT(view(&s, leader).state == RAFT_LEADER);
    EXPECT(view(&s, leader).term == term);
    EXPECT(view(&s, away).applied == view(&s, leader).last);
    done(&s);
}

/* Two of three cannot see each other, the third sees both: whoever leads goes on, with the third;
 * one that leads without the third cannot be unseated by what it cannot hear, and must not be. */
static void test_raft_elect__a_partial_partition_of_three_keeps_its_leader(void)
{
    for (uint64_t side = 0; side < 2; side++) {
        struct soup s;
        quiet(&s, 3);
        uint64_t leader = soup_elect(&s);
        uint64_t a = leader % 3 + 1;
        uint64_t b = a % 3 + 1;
        uint64_t term = view(&s, leader).term;
        soup_split(&s, side == 0 ? leader : a, b, true);
        for (int i = 0; i < 30; i++) {
            soup_run(&s, s.options.election);
            EXPECT(soup_propose(&s, leader) != 0);
        }
        soup_run(&s, s.options.election);
        EXPECT(view(&s, leader).state == RAFT_LEADER);
        EXPECT(view(&s, leader).term == term);
        EXPECT(view(&s, leader).commit == view(&s, leader).last);
        done(&s);
    }
}

/* 6.2, and the other half of pre-vote: a leader that nobody answers gives up by itself. */
static void test_raft_elect__a_leader_without_a_quorum_steps_down(void)
{
    struct soup s;
    quiet(&s, 3);
    uint64_t leader = soup_elect(&s);
    for (uint64_t id = 1; id <= 3; id++) {
        s.cut[id][leader] = true; /* it can still be heard */
    }
    soup_run(&s, 3 * s.options.election);
    EXPECT(view(&s, leader).state != RAFT_LEADER);
    soup_run(&s, 5 * s.options.election);
    EXPECT(soup_leader(&s) != 0 && soup_leader(&s) != leader);
    EXPECT((s.seen & RAFT_SEEN(RAFT_SEEN_NO_QUORUM)) != 0);
    done(&s);
}

static void test_raft_elect__a_leader_that_is_heard_is_not_unseated(void)
{
    struct soup s;
    quiet(&s, 3);
    uint64_t leader = soup_elect(&s);
    uint64_t a = leader % 3 + 1;
    uint64_t b = a % 3 + 1;
    soup_force(&s, a, RAFT_FORCE_ELECTION);
    EXPECT(soup_pass(&s, RAFT_MSG_PREVOTE, a, b) == 1);
    EXPECT(soup_find(&s, RAFT_MSG_PREVOTE_REPLY, b, a) < 0);
    EXPECT((s.seen & RAFT_SEEN(RAFT_SEEN_STICKY)) != 0);
    soup_run(&s, 3 * s.options.election);
    EXPECT(soup_leader(&s) == leader);
    done(&s);
}

/* 3.6.1 */
/* 4.2.3: one that was removed, and has lost entries, asks for them in a term of its own. */
static void test_raft_elect__a_stranger_unseats_nobody(void)
{
    struct soup s;
    quiet(&s, 3);
    uint64_t leader = soup_elect(&s);
    struct raft_msg m = {.cluster = s.options.cluster,
                         .type = RAFT_MSG_FETCH,
                         .from = 9,
                         .to = leader,
                         .incarnation = 1,
                         .term = view(&s, leader).term + 5,
                         .place = {2, 1},
                         .index = 3};
    struct raft_event e = {.type = RAFT_EV_RECEIVE, .msg = &m};
    EXPECT(soup_step(&s, leader, &e) == ST_OK);
    EXPECT(view(&s, leader).state == RAFT_LEADER);
    m.from = leader % 3 + 1; /* a member that is ahead: it would follow nobody else */
    m.incarnation = s.node[m.from].incarnation;
    EXPECT(soup_step(&s, leader, &e) == ST_OK);
    EXPECT(view(&s, leader).state != RAFT_LEADER && view(&s, leader).term == m.term);
    soup_release(&s);
}

static void test_raft_elect__a_shorter_log_is_not_elected(void)
{
    struct soup s;
    quiet(&s, 3);
    uint64_t leader = soup_elect(&s);
    uint64_t behind = leader % 3 + 1;
    soup_isolate(&s, behind, true);
    EXPECT(soup_propose(&s, leader) != 0);
    soup_run(&s, 100);
    uint64_t last = view(&s, leader).commit;
    soup_crash(&s, leader);
    soup_isolate(&s, behind, false);
    soup_run(&s, 10 * s.options.election);
    uint64_t next = soup_leader(&s);
    EXPECT(next != 0 && next != behind);
    EXPECT(raft_term_at(s.node[behind].core, last) != 0);
    done(&s);
}

/* Heartbeats go on, the disk does not: another one leads, and the old one follows. */
static void test_raft_elect__a_leader_with_a_stalled_disk_hands_over(void)
{
    struct soup s;
    quiet(&s, 3);
    uint64_t leader = soup_elect(&s);
    s.node[leader].mute = true;
    EXPECT(soup_propose(&s, leader) != 0);
    soup_run(&s, 100);
    soup_event(&s, leader, RAFT_EV_DISK_STALLED);
    EXPECT(view(&s, leader).state == RAFT_FOLLOWER);
    soup_run(&s, 4 * s.options.election);
    uint64_t next = soup_leader(&s);
    EXPECT(next != 0 && next != leader);
    EXPECT(soup_propose(&s, next) != 0);
    soup_run(&s, 100);
    EXPECT(view(&s, next).commit == view(&s, next).last);
    soup_force(&s, leader, RAFT_FORCE_ELECTION);
    EXPECT(view(&s, leader).state == RAFT_FOLLOWER); /* it does not stand */
    s.node[leader].mute = false;
    soup_run(&s, 4 * s.options.election);
    EXPECT(view(&s, leader).last == view(&s, next).last);
    EXPECT(!view(&s, leader).stalled);
    done(&s);
}

/* 3.10 */
static void test_raft_elect__leadership_moves_on_request(void)
{
    struct soup s;
    quiet(&s, 3);
    uint64_t leader = soup_elect(&s);
    uint64_t to = leader % 3 + 1;
    soup_transfer(&s, leader, to);
    EXPECT(soup_propose(&s, leader) == 0); /* proposals wait outside */
    EXPECT(s.replies[RAFT_BUSY] == 1);
    soup_run(&s, s.options.election / 2);
    EXPECT(soup_leader(&s) == to);
    EXPECT(s.replies[RAFT_MOVED] == 1);
    soup_transfer(&s, to, 99);
    EXPECT(s.replies[RAFT_BAD_CHANGE] == 1);
    soup_transfer(&s, leader, to);
    EXPECT(s.replies[RAFT_NOT_LEADER] == 1);
    done(&s);
}

static void test_raft_elect__a_transfer_to_the_dead_is_given_up(void)
{
    struct soup s;
    quiet(&s, 3);
    uint64_t leader = soup_elect(&s);
    uint64_t to = leader % 3 + 1;
    soup_crash(&s, to);
    EXPECT(soup_propose(&s, leader) != 0);
    soup_transfer(&s, leader, to);
    soup_run(&s, 2 * s.options.election);
    EXPECT(soup_leader(&s) == leader);
    EXPECT(s.replies[RAFT_LOST] == 1);
    EXPECT(soup_propose(&s, leader) != 0);
    done(&s);
}

/* R7: nothing comes out of a node whose disk has failed. */
static void test_raft_elect__a_failed_write_stops_the_node(void)
{
    struct soup s;
    quiet(&s, 3);
    uint64_t leader = soup_elect(&s);
    soup_event(&s, leader, RAFT_EV_PERSIST_FAILED);
    EXPECT(view(&s, leader).state == RAFT_HALTED);
    EXPECT(s.out.deadline == RAFT_NEVER);
    EXPECT(soup_propose(&s, leader) == 0);
    EXPECT(s.out.count == 0 && s.out.save.seq == 0);
    soup_run(&s, 5 * s.options.election);
    EXPECT(soup_leader(&s) != 0 && soup_leader(&s) != leader);
    done(&s);
}

TAP_MAIN({
    RUN(test_raft_elect__group_of_one_leads_when_its_vote_is_durable);
    RUN(test_raft_elect__requests_wait_for_the_candidates_own_disk);
    RUN(test_raft_elect__no_second_election_in_a_term_that_a_crash_forgot);
    RUN(test_raft_elect__a_vote_leaves_when_it_is_durable_and_is_the_only_one);
    RUN(test_raft_elect__a_partitioned_node_comes_back_quietly);
    RUN(test_raft_elect__a_partial_partition_of_three_keeps_its_leader);
    RUN(test_raft_elect__a_leader_without_a_quorum_steps_down);
    RUN(test_raft_elect__a_leader_that_is_heard_is_not_unseated);
    RUN(test_raft_elect__a_stranger_unseats_nobody);
    RUN(test_raft_elect__a_shorter_log_is_not_elected);
    RUN(test_raft_elect__a_leader_with_a_stalled_disk_hands_over);
    RUN(test_raft_elect__leadership_moves_on_request);
    RUN(test_raft_elect__a_transfer_to_the_dead_is_given_up);
    RUN(test_raft_elect__a_failed_write_stops_the_node);
})
