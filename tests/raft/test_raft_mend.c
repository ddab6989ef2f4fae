/* test_raft_mend.c - entries that were in the log and cannot be read any more. */
#include "tests/raft/directed.h"

/* n voters with about thirty entries, all durable everywhere. */
static uint64_t group(struct soup *s, uint32_t n)
{
    soup_init(s, n, 21);
    soup_up_all(s);
    uint64_t leader = soup_elect(s);
    for (int i = 0; i < 30; i++) {
        soup_propose(s, leader);
    }
    soup_run(s, 500);
    return leader;
}

static void test_raft_mend__damage_in_the_middle_comes_back_from_the_leader(void)
{
    for (uint64_t lo = 2; lo < 32; lo += 3) {
        struct soup s;
        uint64_t leader = group(&s, 3);
        uint64_t a = leader % 3 + 1;
        soup_crash(&s, a);
        soup_damage(&s, a, lo, lo + 1 + lo % 7);
        soup_up(&s, a);
        EXPECT(view(&s, a).damaged);
        EXPECT(view(&s, a).durable == lo - 1);
        uint64_t index = soup_propose(&s, leader);
        soup_run(&s, s.options.election);
        EXPECT(soup_leader(&s) == leader); /* no outage */
        EXPECT(view(&s, leader).commit == index);
        EXPECT(!view(&s, a).damaged && saw_it(&s, RAFT_SEEN_REPAIRED));
        EXPECT(view(&s, a).applied == index);
        done(&s);
    }
}

/* It votes as one that has what it cannot read, and does not stand. */
static void test_raft_mend__a_damaged_voter_keeps_its_place(void)
{
    struct soup s;
    uint64_t leader = group(&s, 3);
    uint64_t a = leader % 3 + 1;
    uint64_t b = a % 3 + 1;
    soup_isolate(&s, b, true);
    uint64_t index = soup_propose(&s, leader);
    soup_run(&s, 100);
    EXPECT(view(&s, leader).commit == index); /* on the leader's disk and on a's */
    soup_crash(&s, leader);
    soup_crash(&s, a);
    soup_damage(&s, a, index, index + 1);
    soup_up(&s, a);
    soup_isolate(&s, b, false);
    soup_run(&s, 20 * s.options.election);
    EXPECT(soup_leader(&s) == 0); /* b lacks it, a cannot read it */
    EXPECT(view(&s, a).damaged && view(&s, a).last == index);
    soup_up(&s, leader);
    soup_run(&s, 10 * s.options.election);
    EXPECT(soup_leader(&s) != 0);
    EXPECT(!view(&s, a).damaged && view(&s, b).applied >= index);
    done(&s);
}

/* After a power loss each disk lost something else: nobody can stand, and all heal each other. */
static void test_raft_mend__three_damaged_nodes_heal_each_other(void)
{
    struct soup s;
    (void)group(&s, 3);
    for (uint64_t id = 1; id <= 3; id++) {
        soup_crash(&s, id);
        soup_damage(&s, id, 4 * id, 4 * id + 3);
    }
    soup_up_all(&s);
    soup_run(&s, 10 * s.options.election);
    EXPECT(soup_leader(&s) != 0);
    for (uint64_t id = 1; id <= 3; id++) {
        EXPECT(!view(&s, id).damaged);
    }
    soup_heal(&s);
    done(&s);
}

/* What only the damaged node had was never committed: a majority says so, in a later term, and
 * it is dropped. */
static void test_raft_mend__what_a_majority_never_had_is_dropped(void)
{
    struct soup s;
    uint64_t leader = group(&s, 3);
    uint64_t before = view(&s, leader).last;
    soup_isolate(&s, leader, true);
    uint64_t index = soup_propose(&s, leader);
    soup_propose(&s, leader);
    soup_run(&s, 50);
    soup_crash(&s, leader);
    soup_damage(&s, leader, index, index + 1);
    soup_isolate(&s, leader, false);
    for (uint64_t id = 1; id <= 3; id++) {
        soup_crash(&s, id); /* so that nobody has gone on to another term */
    }
    soup_up_all(&s);
    soup_run(&s, 20 * s.options.election);
    EXPECT(saw_it(&s, RAFT_SEEN_CUT) || saw_it(&s, RAFT_SEEN_CONFLICT));
    EXPECT(!view(&s, leader).damaged);
    uint64_t next = soup_leader(&s);
    EXPECT(next != 0 && view(&s, next).last > before);
    soup_heal(&s);
    done(&s);
}

/* Of two and of four there is no majority besides those that cannot read their last entries: it is
 * enough that nobody can. */
static void test_raft_mend__what_nobody_can_read_is_dropped(void)
{
    for (uint32_t n = 2; n <= 4; n += 2) {
        struct soup s;
        uint64_t leader = group(&s, n);
        uint64_t other = leader % n + 1;
        for (uint64_t id = 1; id <= n; id++) {
            soup_isolate(&s, id, true);
        }
        soup_split(&s, leader, other, n == 2);
        uint64_t index = soup_propose(&s, leader);
        soup_run(&s, 50); /* on half of the disks */
        for (uint64_t id = 1; id <= n; id++) {
            soup_crash(&s, id);
            soup_isolate(&s, id, false);
        }
        soup_damage(&s, leader, index, index + 1);
        if (n == 4) {
            soup_damage(&s, other, index, index + 1);
        }
        soup_up_all(&s);
        soup_run(&s, 20 * s.options.election);
        EXPECT(saw_it(&s, RAFT_SEEN_CUT));
        EXPECT(!view(&s, leader).damaged && !view(&s, other).damaged);
        EXPECT(soup_leader(&s) != 0);
        soup_heal(&s);
        done(&s);
    }
}

/* What one of two cannot read, and the other one can, is no such entry. */
static void test_raft_mend__what_the_other_of_two_has_comes_back(void)
{
    struct soup s;
    uint64_t leader = group(&s, 2);
    uint64_t index = soup_propose(&s, leader);
    soup_run(&s, 50);
    soup_crash(&s, leader);
    soup_crash(&s, leader % 2 + 1);
    soup_damage(&s, leader, index, index + 1);
    soup_up_all(&s);
    soup_run(&s, 20 * s.options.election);
    EXPECT(!saw_it(&s, RAFT_SEEN_CUT) && !view(&s, leader).damaged);
    EXPECT(view(&s, leader).applied >= index);
    soup_heal(&s);
    done(&s);
}

/* An answer in the entry's own term proves nothing: its leader may still commit it. */
static void test_raft_mend__absence_in_the_entrys_own_term_proves_nothing(void)
{
    struct soup s;
    uint64_t leader = group(&s, 5);
    uint64_t a = leader % 5 + 1;
    for (uint64_t id = 1; id <= 5; id++) {
        soup_isolate(&s, id, id != leader && id != a);
    }
    soup_split(&s, leader, a, false);
    uint64_t index = soup_propose(&s, leader);
    soup_run(&s, 30); /* on the leader's disk and on a's: one short of a quorum */
    uint64_t term = view(&s, leader).term;
    soup_crash(&s, a);
    soup_damage(&s, a, index, index + 1);
    soup_isolate(&s, leader, true);
    for (uint64_t id = 1; id <= 5; id++) {
        soup_split(&s, a, id, id == leader);
    }
    soup_up(&s, a);
    long asked = soup_find(&s, RAFT_MSG_FETCH, a, 0);
    EXPECT(asked >= 0);
    uint64_t life = s.net.msgs[asked].m.probe;
    for (uint64_t k = 0; k < 10; k++) {
        uint64_t id = 1 + k % 5;
        struct raft_msg m = {.type = RAFT_MSG_FETCH_REPLY, .cluster = 7, .from = id, .to = a};
        struct raft_event e = {.type = RAFT_EV_RECEIVE, .msg = &m};
        m.term = term;
        m.incarnation = s.node[id].incarnation;
        m.ok = true;
        m.place = (struct raft_place){index, 0};
        m.index = index - 1;
        m.probe = life;
        EXPECT(id == leader || id == a || soup_step(&s, a, &e) == ST_OK);
    }
    EXPECT(view(&s, a).last == index);
    done(&s);
}

/* Of the entries of a group that was torn any may be there, also the last. */
static void cuts_a_torn_tail(uint64_t readable)
{
    struct soup s;
    uint64_t leader = group(&s, 1);
    uint64_t last = view(&s, leader).last;
    soup_flush(&s, 1);
    soup_propose(&s, 1);
    soup_propose(&s, 1);
    soup_persist(&s, 1, 9, false);
    soup_crash(&s, 1);
    soup_up(&s, 1);
    EXPECT(view(&s, 1).last == last + 2);
    struct raft_event e = {.type = RAFT_EV_LOG_FAULT, .fault = RAFT_FAULT_TORN};
    e.lo = last + 1;
    e.hi = last + 3 - readable;
    EXPECT(soup_step(&s, 1, &e) == ST_OK);
    EXPECT(view(&s, 1).last == last && saw_it(&s, RAFT_SEEN_CUT));
    soup_run(&s, s.options.election);
    EXPECT(soup_leader(&s) == 1);
    done(&s);
}

static void test_raft_mend__a_group_of_one_cuts_a_torn_tail(void)
{
    cuts_a_torn_tail(0);
    cuts_a_torn_tail(1);
}

/* What is applied already is mended in office; what is not, another must lead through. */
static void test_raft_mend__a_leader_with_unapplied_damage_steps_down(void)
{
    struct soup s;
    uint64_t leader = group(&s, 3);
    struct raft_event e = {.type = RAFT_EV_LOG_FAULT, .fault = RAFT_FAULT_DAMAGED};
    e.lo = 5;
    e.hi = 7;
    EXPECT(soup_step(&s, leader, &e) == ST_OK);
    EXPECT(view(&s, leader).state == RAFT_LEADER && view(&s, leader).damaged);
    soup_run(&s, 300);
    EXPECT(!view(&s, leader).damaged);
    e.lo = soup_propose(&s, leader);
    e.hi = e.lo + 1;
    EXPECT(soup_step(&s, leader, &e) == ST_OK);
    EXPECT(view(&s, leader).state == RAFT_FOLLOWER);
    soup_run(&s, 10 * s.options.election);
    EXPECT(soup_leader(&s) != 0 && !view(&s, leader).damaged);
    done(&s);
}

/* A leader that has removed itself leads until that is committed (4.2.2). Whoever is needed for it
 * and has the new configuration, in which the leader is nobody, asks it all the same. */
static void test_raft_mend__a_leader_that_is_no_member_is_asked(void)
{
    struct soup s;
    uint64_t leader = group(&s, 3);
    uint64_t a = leader % 3 + 1;
    uint64_t b = a % 3 + 1;
    uint64_t lo = a < b ? a : b;
    uint64_t hi = a < b ? b : a;
    struct raft_config c = {2, {{lo, 100 + lo, RAFT_IN}, {hi, 100 + hi, RAFT_IN}}};
    soup_crash(&s, b);
    EXPECT(soup_change(&s, leader, &c) == RAFT_TAKEN);
    soup_run(&s, 300);
    uint64_t last = view(&s, leader).last;
    EXPECT(view(&s, leader).commit < last && view(&s, a).durable == last);
    soup_crash(&s, a);
    soup_damage(&s, a, last - 1, last);
    soup_up(&s, a);
    soup_run(&s, s.options.election / 2);
    EXPECT(view(&s, leader).state == RAFT_LEADER); /* no election helped */
    EXPECT(!view(&s, a).damaged && saw_it(&s, RAFT_SEEN_REPAIRED));
    soup_up(&s, b);
    soup_run(&s, 10 * s.options.election);
    EXPECT(view(&s, a).commit >= last && soup_leader(&s) != leader);
    done(&s);
}

TAP_MAIN({
    RUN(test_raft_mend__damage_in_the_middle_comes_back_from_the_leader);
    RUN(test_raft_mend__a_damaged_voter_keeps_its_place);
    RUN(test_raft_mend__three_damaged_nodes_heal_each_other);
    RUN(test_raft_mend__what_a_majority_never_had_is_dropped);
    RUN(test_raft_mend__what_nobody_can_read_is_dropped);
    RUN(test_raft_mend__what_the_other_of_two_has_comes_back);
    RUN(test_raft_mend__absence_in_the_entrys_own_term_proves_nothing);
    RUN(test_raft_mend__a_group_of_one_cuts_a_torn_tail);
    RUN(test_raft_mend__a_leader_with_unapplied_damage_steps_down);
    RUN(test_raft_mend__a_leader_that_is_no_member_is_asked);
})
