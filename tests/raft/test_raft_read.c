/* test_raft_read.c - reads without the log: rounds, leases, followers, and when none may be served.
 */
#include "tests/raft/directed.h"

static uint64_t group(struct soup *s, bool lease)
{
    soup_init(s, 3, 5);
    s->options.lease = lease;
    soup_up_all(s);
    uint64_t leader = soup_elect(s);
    soup_run(s, 500);
    return leader;
}

static uint32_t beats(const struct soup *s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s->net.count; i++) {
        n += s->net.msgs[i].m.type == RAFT_MSG_HEARTBEAT;
    }
    return n;
}

static void test_raft_read__a_read_waits_for_a_round(void)
{
    struct soup s;
    uint64_t leader = group(&s, false);
    soup_pass(&s, 0, 0, 0);
    while (s.net.count > 0) {
        soup_lose(&s, 0);
    }
    soup_read(&s, leader);
    EXPECT(s.reads_served == 0);
    EXPECT(beats(&s) == 2);
    soup_run(&s, 50);
    EXPECT(s.reads_served == 1);
    done(&s);
}

/* Those that come while rounds are on their way share the next. */
static void test_raft_read__many_reads_share_a_round(void)
{
    struct soup s;
    uint64_t leader = group(&s, false);
    while (s.net.count > 0) {
        soup_lose(&s, 0);
    }
    for (int i = 0; i < 10; i++) {
        soup_read(&s, leader);
    }
    EXPECT(beats(&s) <= 2 * 2); /* options.rounds of them to two peers */
    soup_run(&s, 80);
    EXPECT(s.reads_served == 10);
    EXPECT((s.seen & RAFT_SEEN(RAFT_SEEN_ROUND_SHARED)) != 0);
    done(&s);
}

/* P24: another leads and has committed; the old one does not know, and must not answer. */
static void test_raft_read__a_stale_leader_answers_nothing(void)
{
    struct soup s;
    uint64_t leader = group(&s, false);
    uint64_t a = leader % 3 + 1;
    soup_isolate(&s, leader, true);
    soup_pace(&s, leader, 1000); /* its time all but stands still: it does not step down */
    soup_run(&s, 5 * s.options.election);
    uint64_t next = soup_leader(&s);
    EXPECT(next != 0 && next != leader);
    EXPECT(soup_propose(&s, next) != 0);
    soup_run(&s, 100);
    EXPECT(view(&s, leader).state == RAFT_LEADER);
    soup_read(&s, leader);
    soup_run(&s, 500);
    EXPECT(s.reads_served == 0);
    soup_isolate(&s, leader, false);
    soup_pace(&s, leader, 1000000);
    soup_run(&s, 2 * s.options.election);
    EXPECT(s.reads_served == 0 && s.replies[RAFT_LOST] == 1);
    soup_read(&s, a);
    soup_run(&s, 500);
    EXPECT(s.reads_served == 1);
    done(&s);
}

/* 6.4, step 1: a new leader does not know what is committed until its no-op is. */
static void test_raft_read__a_new_leader_reads_after_its_first_entry(void)
{
    struct soup s;
    soup_init(&s, 3, 5);
    soup_up_all(&s);
    while (soup_leader(&s) == 0) {
        soup_run(&s, 10);
    }
    uint64_t leader = soup_leader(&s);
    EXPECT(view(&s, leader).commit == 1);
    soup_read(&s, leader);
    EXPECT(soup_pass(&s, RAFT_MSG_HEARTBEAT, leader, 0) == 2);
    soup_pass(&s, RAFT_MSG_HEARTBEAT_REPLY, 0, leader);
    EXPECT(s.reads_served == 0);
    soup_run(&s, 100);
    EXPECT(s.reads_served == 1);
    EXPECT(view(&s, leader).applied >= 2);
    done(&s);
}

static void test_raft_read__a_follower_reads_what_the_leader_confirms(void)
{
    struct soup s;
    uint64_t leader = group(&s, false);
    uint64_t a = leader % 3 + 1;
    uint64_t index = soup_propose(&s, leader);
    soup_run(&s, 40);
    EXPECT(view(&s, leader).commit == index);
    soup_read(&s, a);
    soup_run(&s, 60); /* no heartbeat is waited for: the answer says what is committed */
    EXPECT(s.reads_served == 1);
    EXPECT(view(&s, a).applied == index);
    done(&s);
}

/* The same name for a read, in another life of the asker: the late answer is no answer. */
static void test_raft_read__an_answer_to_an_earlier_life_is_none(void)
{
    struct soup s;
    uint64_t leader = group(&s, false);
    uint64_t a = leader % 3 + 1;
    soup_read(&s, a);
    uint64_t context = s.next_id;
    soup_pass(&s, RAFT_MSG_READ, a, leader);
    soup_pass(&s, RAFT_MSG_HEARTBEAT, leader, 0);
    soup_pass(&s, RAFT_MSG_HEARTBEAT_REPLY, 0, leader);
    EXPECT(soup_find(&s, RAFT_MSG_READ_REPLY, leader, a) >= 0);
    soup_flush(&s, a); /* what it read from is there again at once */
    soup_crash(&s, a);
    soup_up(&s, a);
    soup_force(&s, leader, RAFT_FORCE_HEARTBEAT); /* so that it knows whom to ask */
    EXPECT(soup_pass(&s, RAFT_MSG_HEARTBEAT, leader, a) == 1);
    s.next_id = context - 1; /* a driver that counts from the start again */
    soup_read(&s, a);
    EXPECT(s.next_id == context);
    soup_propose(&s, leader);
    soup_pass(&s, RAFT_MSG_READ_REPLY, leader, a);
    soup_apply(&s, a, SIZE_MAX);
    EXPECT(s.reads_served == 0);
    done(&s);
}

static void test_raft_read__a_lease_serves_without_a_round(void)
{
    struct soup s;
    uint64_t leader = group(&s, true);
    while (s.net.count > 0) {
        soup_lose(&s, 0);
    }
    EXPECT(view(&s, leader).lease > soup_clock(&s, &s.node[leader]));
    soup_read(&s, leader);
    EXPECT(s.reads_served == 1);
    EXPECT(s.net.count == 0);
    struct raft_event e = {.type = RAFT_EV_READ, .context = 1};
    (void)soup_step(&s, leader, &e); /* one that does not ask for it */
    EXPECT(s.reads_served == 1 && beats(&s) == 2);
    soup_isolate(&s, leader, true);
    s.now += s.options.election; /* nobody has answered for that long */
    soup_read(&s, leader);
    EXPECT(s.reads_served == 1);
    done(&s);
}

/* Whoever is told to stand may be elected within the lease: it ends there, for the whole term. */
static void test_raft_read__a_lease_ends_when_leadership_is_offered(void)
{
    struct soup s;
    uint64_t leader = group(&s, true);
    uint64_t a = leader % 3 + 1;
    soup_transfer(&s, leader, a);
    EXPECT(soup_find(&s, RAFT_MSG_TIMEOUT_NOW, leader, a) >= 0);
    EXPECT(view(&s, leader).lease == 0);
    soup_lose(&s, (size_t)soup_find(&s, RAFT_MSG_TIMEOUT_NOW, leader, a));
    soup_isolate(&s, a, true);
    soup_run(&s, 2 * s.options.election);
    EXPECT(soup_leader(&s) == leader);
    EXPECT(view(&s, leader).transferee == 0);
    EXPECT(view(&s, leader).lease == 0);
    uint64_t served = s.reads_served;
    soup_read(&s, leader);
    EXPECT(s.reads_served == served);
    soup_run(&s, 100);
    EXPECT(s.reads_served == served + 1); /* by a round */
    done(&s);
}

/* A voter that is moved to a later term by a message that is no request must not forget that it
 * heard a leader: that leader's lease counts on it. */
static void test_raft_read__a_later_term_alone_does_not_end_a_promise(void)
{
    struct soup s;
    uint64_t leader = group(&s, true);
    uint64_t a = leader % 3 + 1;
    uint64_t b = a % 3 + 1;
    uint64_t term = view(&s, leader).term;
    struct raft_msg m = {.type = RAFT_MSG_READ, .cluster = 7, .from = b, .to = a};
    m.term = term + 1;
    m.incarnation = s.node[b].incarnation;
    struct raft_event e = {.type = RAFT_EV_RECEIVE, .msg = &m};
    EXPECT(soup_step(&s, a, &e) == ST_OK);
    EXPECT(view(&s, a).term == term + 1);
    m.type = RAFT_MSG_VOTE;
    m.campaign = m.term;
    m.place = (struct raft_place){view(&s, a).last, term};
    EXPECT(soup_step(&s, a, &e) == ST_OK);
    EXPECT(view(&s, a).vote == 0);
    EXPECT((s.seen & RAFT_SEEN(RAFT_SEEN_STICKY)) != 0);
    done(&s);
}

TAP_MAIN({
    RUN(test_raft_read__a_read_waits_for_a_round);
    RUN(test_raft_read__many_reads_share_a_round);
    RUN(test_raft_read__a_stale_leader_answers_nothing);
    RUN(test_raft_read__a_new_leader_reads_after_its_first_entry);
    RUN(test_raft_read__a_follower_reads_what_the_leader_confirms);
    RUN(test_raft_read__an_answer_to_an_earlier_life_is_none);
    RUN(test_raft_read__a_lease_serves_without_a_round);
    RUN(test_raft_read__a_lease_ends_when_leadership_is_offered);
    RUN(test_raft_read__a_later_term_alone_does_not_end_a_promise);
})
