/* test_raft_repl.c - logs: what is sent, kept, given up, acknowledged, committed. */
#include "tests/raft/directed.h"

static uint64_t match_of(const struct soup *s, uint64_t leader, uint64_t id)
{
    struct raft_peer_view p = {0};
    struct raft_view v = view(s, leader);
    for (uint32_t i = 0; i < v.members; i++) {
        raft_peer_view(s->node[leader].core, i, &p);
        if (p.id == id) {
            return p.match;
        }
    }
    return 0;
}

/* Makes `id` the leader of a new term with the votes of `voters` (0 ends them); nothing else of
 * what is sent arrives. */
static void elect_by(struct soup *s, uint64_t id, const uint64_t *voters)
{
    lose_all(s);
    s->now += 3 * s->options.election; /* nobody remembers a leader */
    uint64_t term = 0;
    for (uint64_t other = 1; other <= s->nodes; other++) {
        term = other != id && view(s, other).term > term ? view(s, other).term : term;
    }
    do {
        soup_force(s, id, RAFT_FORCE_ELECTION);
    } while (view(s, id).term <= term);
    lose_all(s);
    persist(s, id);
    for (; *voters != 0; voters++) {
        (void)soup_pass(s, RAFT_MSG_VOTE, id, *voters);
        persist(s, *voters);
        (void)soup_pass(s, RAFT_MSG_VOTE_REPLY, *voters, id);
    }
    EXPECT(view(s, id).state == RAFT_LEADER);
}

/* Figure 3.7 of the dissertation (8 of the paper): an entry of an earlier term that a majority
 * has is not committed by that; and is then lost, rightly. */
static void test_raft_repl__figure_8(void)
{
    static const uint64_t none[] = {2, 3, 0};
    static const uint64_t far[] = {3, 4, 0};
    static const uint64_t all[] = {2, 3, 4, 0};
    struct soup s;
    soup_init(&s, 5, 3);
    s.options.no_prevote = true;
    s.options.message_entries = 1;
    soup_up_all(&s);
    elect_by(&s, 1, none); /* a: S1 leads term 2, its entry 2 is on S1 and S2 */
    uint64_t term = view(&s, 1).term;
    persist(&s, 1);
    soup_pass(&s, RAFT_MSG_APPEND, 1, 2);
    persist(&s, 2);
    soup_crash(&s, 1);
    elect_by(&s, 5, far); /* b: S5 leads with another entry 2, and crashes */
    persist(&s, 5);
    uint64_t other = view(&s, 5).term;
    soup_crash(&s, 5);
    lose_all(&s);
    soup_up(&s, 1);
    elect_by(&s, 1, all); /* c: S1 leads again, and brings entry 2 to S3 and S4 */
    persist(&s, 1);
    for (int i = 0; i < 3; i++) {
        for (uint64_t to = 3; to <= 4; to++) {
            if (view(&s, to).last < 2) {
                soup_pass(&s, RAFT_MSG_APPEND, 1, to);
                persist(&s, to);
                soup_pass(&s, RAFT_MSG_APPEND_REPLY, to, 1);
            }
        }
    }
    EXPECT(raft_term_at(s.node[3].core, 2) == term);
    EXPECT(match_of(&s, 1, 3) == 2 && match_of(&s, 1, 4) == 2);
    EXPECT(saw_it(&s, RAFT_SEEN_OLD_TERM_HELD));
    EXPECT(view(&s, 1).commit == 1); /* on three of five, and not committed */
    soup_crash(&s, 1);
    soup_up(&s, 5);
    elect_by(&s, 5, all); /* d: S5 may lead, and overwrites it */
    soup_run(&s, s.options.election / 2);
    EXPECT(raft_term_at(s.node[3].core, 2) == other);
    EXPECT(view(&s, 3).commit == view(&s, 5).last);
    done(&s);
}

/* The other end of figure 8: with an entry of its own term on a majority, all before it is. */
static void test_raft_repl__an_entry_of_its_term_commits_those_before(void)
{
    struct soup s;
    soup_init(&s, 3, 5);
    soup_up_all(&s);
    uint64_t first = soup_elect(&s);
    soup_isolate(&s, first, true);
    uint64_t index = soup_propose(&s, first);
    persist(&s, first);
    soup_crash(&s, first);
    soup_isolate(&s, first, false);
    soup_up(&s, first);
    while (soup_leader(&s) != first && s.now < 100 * s.options.election) {
        soup_force(&s, first, RAFT_FORCE_ELECTION);
        soup_run(&s, 100);
    }
    soup_run(&s, s.options.election);
    EXPECT(view(&s, first).commit >= index);
    EXPECT(raft_term_at(s.node[first].core, index) < view(&s, first).term);
    done(&s);
}

/* O3: the reply leaves when the entries are durable; the leader's commit needs a quorum of such. */
static void test_raft_repl__an_append_is_acknowledged_when_durable(void)
{
    struct soup s;
    soup_init(&s, 3, 7);
    soup_up_all(&s);
    uint64_t leader = soup_elect(&s);
    uint64_t a = leader % 3 + 1;
    uint64_t b = a % 3 + 1;
    soup_run(&s, 500);
    lose_all(&s);
    soup_isolate(&s, b, true);
    uint64_t index = soup_propose(&s, leader);
    soup_pass(&s, RAFT_MSG_APPEND, leader, a);
    EXPECT(view(&s, a).last == index);
    EXPECT(soup_find(&s, RAFT_MSG_APPEND_REPLY, a, leader) < 0);
    persist(&s, a);
    EXPECT(soup_pass(&s, RAFT_MSG_APPEND_REPLY, a, leader) == 1);
    EXPECT(view(&s, leader).commit == index - 1); /* its own disk is late */
    persist(&s, leader);
    EXPECT(view(&s, leader).commit == index);
    done(&s);
}

/* O4, and what is applied waits for the node's own disk. */
static void test_raft_repl__a_leader_may_commit_without_its_own_disk(void)
{
    struct soup s;
    soup_init(&s, 3, 7);
    soup_up_all(&s);
    uint64_t leader = soup_elect(&s);
    soup_run(&s, 500);
    s.node[leader].mute = true;
    uint64_t index = soup_propose(&s, leader);
    soup_run(&s, 50);
    EXPECT(view(&s, leader).commit == index);
    EXPECT(view(&s, leader).durable < index);
    EXPECT(view(&s, leader).applied < index);
    EXPECT(saw_it(&s, RAFT_SEEN_COMMIT_SANS_SELF));
    s.node[leader].mute = false;
    soup_run(&s, 50);
    EXPECT(view(&s, leader).applied == index);
    done(&s);
}

/* An old append, delivered again after newer ones, takes nothing away. */
/* All that can happen without time passing. */
static void settle(struct soup *s)
{
    do {
        while (s->net.count > 0) {
            soup_deliver(s, 0);
        }
        for (uint64_t id = 1; id <= s->nodes; id++) {
            persist(s, id);
        }
    } while (s->net.count > 0);
}

/* Who waits for a commit at a follower need not wait for a heartbeat. */
static void test_raft_repl__a_commit_is_told_at_once(void)
{
    for (int lazy = 0; lazy < 2; lazy++) {
        struct soup s;
        soup_init(&s, 3, 8);
        s.options.lazy_commit = lazy != 0;
        soup_up_all(&s);
        soup_run(&s, 3 * s.options.election);
        settle(&s);
        uint64_t leader = view(&s, 1).leader;
        EXPECT(leader != 0);
        uint64_t index = 0;
        for (int i = 0; i < 3; i++) { /* the middle one comes while another is on its way */
            index = soup_propose(&s, leader);
        }
        settle(&s);
        for (uint64_t id = 1; id <= 3; id++) {
            EXPECT(view(&s, id).last == index);
            EXPECT((view(&s, id).commit == index) == (id == leader || lazy == 0));
        }
        done(&s);
    }
}

static void test_raft_repl__an_old_append_shortens_nothing(void)
{
    struct soup s;
    soup_init(&s, 3, 7);
    soup_up_all(&s);
    uint64_t leader = soup_elect(&s);
    uint64_t a = leader % 3 + 1;
    soup_run(&s, 500);
    lose_all(&s);
    soup_propose(&s, leader);
    soup_twice(&s, (size_t)soup_find(&s, RAFT_MSG_APPEND, leader, a));
    struct soup_msg old = s.net.msgs[s.net.count - 1];
    s.net.count--; /* kept aside */
    soup_pass(&s, RAFT_MSG_APPEND, leader, a);
    for (int i = 0; i < 5; i++) {
        soup_propose(&s, leader);
    }
    soup_pass(&s, RAFT_MSG_APPEND, leader, a);
    uint64_t last = view(&s, a).last;
    s.net.msgs[s.net.count++] = old;
    soup_pass(&s, RAFT_MSG_APPEND, leader, a);
    EXPECT(view(&s, a).last == last);
    EXPECT(last == view(&s, leader).last);
    EXPECT(!saw_it(&s, RAFT_SEEN_CONFLICT));
    soup_run(&s, 500);
    done(&s);
}

/* A leader of many uncommitted entries meets one of many others: a refusal a term, not an entry. */
static void test_raft_repl__logs_meet_in_steps_of_terms(void)
{
    struct soup s;
    soup_init(&s, 3, 9);
    soup_up_all(&s);
    uint64_t old = soup_elect(&s);
    soup_isolate(&s, old, true);
    for (int i = 0; i < 60; i++) {
        soup_propose(&s, old);
    }
    persist(&s, old);
    soup_run(&s, 8 * s.options.election);
    uint64_t leader = soup_leader(&s);
    EXPECT(leader != 0 && leader != old);
    for (int i = 0; i < 60; i++) {
        soup_propose(&s, leader);
        soup_run(&s, 20);
    }
    soup_crash(&s, leader); /* its successor knows nothing of where the logs meet */
    soup_up(&s, leader);
    soup_run(&s, 5 * s.options.election);
    leader = soup_leader(&s);
    uint64_t before = s.seen_count[RAFT_SEEN_REFUSED];
    soup_isolate(&s, old, false);
    soup_run(&s, 3 * s.options.election);
    uint64_t refused = s.seen_count[RAFT_SEEN_REFUSED] - before;
    EXPECT(refused >= 1 && refused <= 4);
    EXPECT(saw_it(&s, RAFT_SEEN_CONFLICT));
    EXPECT(saw_it(&s, RAFT_SEEN_BACKTRACK));
    EXPECT(view(&s, old).last == view(&s, leader).last);
    EXPECT(view(&s, old).applied == view(&s, leader).last);
    done(&s);
}

/* What is in flight to a peer is bounded, in entries and in bytes, and so is the backlog. */
static void test_raft_repl__a_silent_follower_holds_back_what_is_sent(void)
{
    struct soup s;
    soup_init(&s, 3, 7);
    s.options.flight_entries = 10;
    s.options.message_entries = 3;
    s.options.backlog_entries = 40;
    soup_up_all(&s);
    uint64_t leader = soup_elect(&s);
    uint64_t a = leader % 3 + 1;
    soup_run(&s, 500);
    lose_all(&s);
    for (uint64_t id = 1; id <= 3; id++) {
        s.node[id].mute = true; /* nobody's disk answers */
    }
    uint32_t taken = 0;
    for (int i = 0; i < 60; i++) {
        taken += soup_propose(&s, leader) != 0;
    }
    EXPECT(taken == 40);
    EXPECT(saw_it(&s, RAFT_SEEN_BUSY) && saw_it(&s, RAFT_SEEN_THROTTLED));
    uint64_t sent = 0;
    for (size_t i = 0; i < s.net.count; i++) {
        const struct raft_msg *m = &s.net.msgs[i].m;
        sent += m->type == RAFT_MSG_APPEND && m->to == a ? m->count : 0;
        EXPECT(m->count <= 3);
    }
    EXPECT(sent == 10);
    for (uint64_t id = 1; id <= 3; id++) {
        s.node[id].mute = false;
    }
    soup_run(&s, 500);
    EXPECT(view(&s, a).applied == view(&s, leader).last);
    done(&s);
}

/* A lost append is found by the next heartbeat, not by a timeout of its own. */
static void test_raft_repl__a_lost_append_is_sent_again_after_a_heartbeat(void)
{
    struct soup s;
    soup_init(&s, 3, 7);
    soup_up_all(&s);
    uint64_t leader = soup_elect(&s);
    soup_run(&s, 500);
    uint64_t index = soup_propose(&s, leader);
    lose_all(&s);
    soup_run(&s, 2 * s.options.heartbeat + 50);
    EXPECT(saw_it(&s, RAFT_SEEN_RESEND));
    EXPECT(view(&s, leader).commit == index);
    done(&s);
}

/* Removed and added again in one term, with an empty disk but the same name: the acknowledgement
 * of its first stay, late, must not count in its second. */
static void test_raft_repl__acknowledgements_of_an_earlier_stay_count_nothing(void)
{
    struct soup s;
    soup_init(&s, 3, 11);
    s.options.message_entries = 4 * RAFT_WRITE_RUNS;
    s.options.window = 512;
    s.options.runs = 1024;
    soup_up_all(&s);
    uint64_t leader = soup_elect(&s);
    uint64_t a = leader % 3 + 1;
    struct raft_config all = soup_voters(&s, 3);
    struct raft_config two = {0};
    for (uint32_t i = 0; i < 3; i++) {
        if (all.members[i].id != a) {
            two.members[two.count++] = all.members[i];
        }
    }
    soup_run(&s, 500);
    lose_all(&s);
    soup_propose(&s, leader);
    soup_pass(&s, RAFT_MSG_APPEND, leader, a);
    persist(&s, a);
    long at = soup_find(&s, RAFT_MSG_APPEND_REPLY, a, leader);
    EXPECT(at >= 0);
    struct soup_msg late = s.net.msgs[at];
    soup_twice(&s, (size_t)at); /* one arrives now, one is kept back */
    late = s.net.msgs[s.net.count - 1];
    s.net.count--;
    soup_run(&s, 300);
    EXPECT(soup_change(&s, leader, &two) == RAFT_TAKEN);
    soup_run(&s, 300);
    uint64_t term = view(&s, leader).term;
    EXPECT(soup_change(&s, leader, &all) == RAFT_TAKEN);
    EXPECT(match_of(&s, leader, a) == 0);
    s.net.msgs[s.net.count++] = late;
    soup_pass(&s, RAFT_MSG_APPEND_REPLY, a, leader);
    EXPECT(match_of(&s, leader, a) == 0);
    EXPECT(saw_it(&s, RAFT_SEEN_STALE_SESSION));
    soup_run(&s, 500);
    EXPECT(view(&s, leader).term == term);
    EXPECT(match_of(&s, leader, a) == view(&s, leader).last);
    done(&s);
}

/* Behind the log's begin: a snapshot, installed whole or not at all, whatever the crash. */
static void test_raft_repl__a_snapshot_is_installed_whole_or_not_at_all(void)
{
    for (int crash = 0; crash < 2; crash++) {
        struct soup s;
        soup_init(&s, 3, 13);
        soup_up_all(&s);
        uint64_t leader = soup_elect(&s);
        uint64_t a = leader % 3 + 1;
        soup_crash(&s, a);
        for (int i = 0; i < 30; i++) {
            soup_propose(&s, leader);
        }
        soup_run(&s, 300);
        soup_flush(&s, leader);
        soup_compact(&s, leader, view(&s, leader).applied - 5);
        soup_up(&s, a);
        s.node[a].mute = true;
        soup_run(&s, 500);
        EXPECT(saw_it(&s, RAFT_SEEN_SNAPSHOT_NEEDED) && saw_it(&s, RAFT_SEEN_SNAPSHOT_IN));
        EXPECT(view(&s, a).base.index >= 26);
        EXPECT(view(&s, a).applied < 26);
        if (crash == 1) {
            soup_crash(&s, a);
            soup_up(&s, a);
            EXPECT(view(&s, a).base.index == 1);
        }
        s.node[a].mute = false;
        soup_run(&s, 2 * s.options.election);
        EXPECT(view(&s, a).applied == view(&s, leader).last);
        EXPECT(view(&s, a).base.index >= 26);
        done(&s);
    }
}

/* Three nodes with a small window, of which one is down while so many entries are committed: a
 * leader with old entries to send. */
static uint64_t leave_behind(struct soup *s, int entries, uint64_t *away)
{
    soup_init(s, 3, 17);
    s->options.window = 16;
    soup_up_all(s);
    uint64_t leader = soup_elect(s);
    *away = leader % 3 + 1;
    soup_crash(s, *away);
    for (int i = 0; i < entries; i++) {
        soup_propose(s, leader);
        soup_run(s, 30);
    }
    return leader;
}

/* Entries that are not at hand any more are read first; a chunk at a time. */
static void test_raft_repl__old_entries_are_fetched_before_they_are_sent(void)
{
    struct soup s;
    uint64_t a;
    uint64_t leader = leave_behind(&s, 200, &a);
    soup_up(&s, a);
    soup_run(&s, 4 * s.options.election);
    EXPECT(saw_it(&s, RAFT_SEEN_FETCH));
    EXPECT(view(&s, a).applied == view(&s, leader).last);
    EXPECT(view(&s, leader).last > 200);
    done(&s);
}

/* The driver is short of something when it is to read them: that is no end of it. */
static void test_raft_repl__old_entries_that_cannot_be_read_now_are_asked_for_again(void)
{
    for (uint32_t fails = 1; fails < 5; fails++) {
        struct soup s;
        uint64_t a;
        uint64_t leader = leave_behind(&s, 50, &a);
        s.fetch_fails = fails;
        soup_up(&s, a);
        soup_run(&s, 4 * s.options.election);
        EXPECT(s.fetch_fails == 0 && soup_leader(&s) == leader);
        EXPECT(view(&s, a).applied == view(&s, leader).last);
        done(&s);
    }
}

static void test_raft_repl__an_unreachable_peer_is_probed_anew(void)
{
    struct soup s;
    soup_init(&s, 3, 7);
    soup_up_all(&s);
    uint64_t leader = soup_elect(&s);
    uint64_t a = leader % 3 + 1;
    soup_run(&s, 500);
    uint64_t index = soup_propose(&s, leader);
    lose_all(&s);
    struct raft_event e = {.type = RAFT_EV_UNREACHABLE, .node = a};
    EXPECT(soup_step(&s, leader, &e) == ST_OK);
    EXPECT(soup_propose(&s, leader) == index + 1);
    EXPECT(soup_find(&s, RAFT_MSG_APPEND, leader, a) < 0); /* no use until it is heard */
    soup_run(&s, 500);
    EXPECT(view(&s, a).applied == index + 1);
    done(&s);
}

/* A write begins only so many runs of terms (the log tells them all, should it be torn); what an
 * append has more comes with the next. */
static void test_raft_repl__many_terms_are_taken_in_several_writes(void)
{
    struct soup s;
    soup_init(&s, 3, 11);
    s.options.message_entries = 4 * RAFT_WRITE_RUNS;
    s.options.window = 512;
    s.options.runs = 1024;
    soup_up_all(&s);
    uint64_t leader = soup_elect(&s);
    uint64_t a = leader % 3 + 1;
    soup_crash(&s, a);
    for (int i = 0; i < 3 * RAFT_WRITE_RUNS; i++) {
        leader = soup_leader(&s);
        soup_transfer(&s, leader, 6 - a - leader);
        soup_run(&s, 5 * s.options.heartbeat);
    }
    leader = soup_leader(&s);
    uint64_t last = view(&s, leader).last;
    EXPECT(view(&s, leader).term > 3 * RAFT_WRITE_RUNS);
    soup_up(&s, a);
    soup_run(&s, 2 * s.options.election);
    EXPECT(soup_leader(&s) == leader);
    EXPECT(view(&s, a).applied == last);
    done(&s);
}

/* More terms than a node has room for, none of them in a snapshot, and nothing committed but by
 * taking them: it says so, and gets the room. */
static void test_raft_repl__a_core_that_is_full_of_terms_grows(void)
{
    static const uint64_t three[] = {3, 0};
    struct soup s;
    soup_init(&s, 3, 12);
    s.options.no_prevote = true;
    soup_up(&s, 1);
    s.options.runs = 4; /* of the others */
    soup_up_all(&s);
    for (int i = 0; i < 12; i++) { /* a no-op each, which nobody else gets */
        elect_by(&s, 1, three);
        persist(&s, 1);
    }
    uint64_t last = view(&s, 1).last;
    EXPECT(last > 12 && view(&s, 1).commit == 1);
    EXPECT(!saw_it(&s, RAFT_SEEN_RUNS_STUCK));
    soup_run(&s, 10 * s.options.election);
    EXPECT(saw_it(&s, RAFT_SEEN_RUNS_STUCK));
    for (uint64_t id = 1; id <= 3; id++) {
        EXPECT(view(&s, id).commit >= last);
    }
    soup_heal(&s);
    done(&s);
}

TAP_MAIN({
    RUN(test_raft_repl__figure_8);
    RUN(test_raft_repl__an_entry_of_its_term_commits_those_before);
    RUN(test_raft_repl__an_append_is_acknowledged_when_durable);
    RUN(test_raft_repl__a_leader_may_commit_without_its_own_disk);
    RUN(test_raft_repl__a_commit_is_told_at_once);
    RUN(test_raft_repl__an_old_append_shortens_nothing);
    RUN(test_raft_repl__logs_meet_in_steps_of_terms);
    RUN(test_raft_repl__a_silent_follower_holds_back_what_is_sent);
    RUN(test_raft_repl__a_lost_append_is_sent_again_after_a_heartbeat);
    RUN(test_raft_repl__acknowledgements_of_an_earlier_stay_count_nothing);
    RUN(test_raft_repl__a_snapshot_is_installed_whole_or_not_at_all);
    RUN(test_raft_repl__old_entries_are_fetched_before_they_are_sent);
    RUN(test_raft_repl__old_entries_that_cannot_be_read_now_are_asked_for_again);
    RUN(test_raft_repl__an_unreachable_peer_is_probed_anew);
    RUN(test_raft_repl__many_terms_are_taken_in_several_writes);
    RUN(test_raft_repl__a_core_that_is_full_of_terms_grows);
})
