/* test_raftwatch.c - each check sees the violation that is planted for it, also in a group whose
 * logs have been truncated and thrown away: a check that goes blind is a bug. */
#include "raft/raft_int.h"
#include "tests/raft/soup.h"
#include "tests/tap.h"

#include <stdlib.h>

static struct raft_out nothing; /* a step that asks for nothing */
static const struct raft_event tick = {.type = RAFT_EV_TIME};

/* Three nodes, thirty entries; old: with another leader before, a conflict, a snapshot. */
static uint64_t group(struct soup *s, bool old)
{
    soup_init(s, 3, 33);
    soup_up_all(s);
    uint64_t leader = soup_elect(s);
    if (old) {
        soup_isolate(s, leader, true);
        soup_propose(s, leader);
        soup_run(s, 8 * s->options.election);
        soup_isolate(s, leader, false);
        soup_run(s, 3 * s->options.election);
        soup_crash(s, leader);
        uint64_t next = soup_elect(s);
        for (int i = 0; i < 30; i++) {
            soup_propose(s, next);
        }
        soup_run(s, 500);
        soup_flush(s, next);
        soup_compact(s, next, raft_term_at(s->node[next].core, 25) != 0 ? 25 : 5);
        soup_up(s, leader);
        soup_run(s, 5 * s->options.election);
    }
    leader = soup_elect(s);
    for (int i = 0; i < 30; i++) {
        soup_propose(s, leader);
    }
    soup_run(s, 500);
    EXPECT(soup_what(s)[0] == '\0');
    return leader;
}

static bool fired(struct soup *s, const char *check)
{
    bool good = strncmp(s->watch.what, check, strlen(check)) == 0 && s->watch.what[2] == ':';
    if (!good) {
        printf("# wanted %s: \"%s\"\n", check, s->watch.what);
    }
    soup_release(s);
    return good;
}

static void plant_leadership(struct soup *s, uint64_t leader)
{
    struct raft *r = s->node[leader % 3 + 1].core;
    r->state = RAFT_LEADER;
    raftwatch_stepped(&s->watch, r, &tick, &nothing, NULL);
}

static void plant_message(struct soup *s, uint64_t leader, uint64_t term)
{
    struct raft_msg m = {.type = RAFT_MSG_VOTE_REPLY, .from = leader, .to = leader % 3 + 1};
    m.term = m.campaign = term;
    m.ok = true;
    raftwatch_sent(&s->watch, &m);
}

static void plant_entry(struct soup *s, uint64_t leader, bool other_before)
{
    struct raft *r = s->node[leader].core;
    struct raft_item item = {.term = last_term(r), .kind = RAFT_COMMAND, .bytes = 3};
    struct raft_out out = {.save = {.seq = r->seq + 1, .lo = r->last, .hi = r->last + 1}};
    uint64_t id = 4711;
    out.save.items = &item;
    if (other_before) { /* the same entry behind another one */
        const struct soup_entry *e = &s->node[leader].log.entries[s->node[leader].log.count - 1];
        item.bytes = e->item.bytes;
        id = e->id;
        r->last++;
        runs_of(r)[r->run_end++] = (struct raft_run){r->last, last_term(r) + 1};
        out.save.lo = r->last;
        out.save.hi = r->last + 1;
        item.term = last_term(r) - 1;
        raftwatch_stepped(&s->watch, r, &tick, &out, &id);
        runs_of(r)[r->run_end - 1].term = 1;
        runs_of(r)[r->run_end - 1].first = r->last - 1;
        out.save.seq++;
    }
    raftwatch_stepped(&s->watch, r, &tick, &out, &id);
}

static void test_raftwatch__two_leaders_in_a_term(void)
{
    for (int old = 0; old < 2; old++) {
        struct soup s;
        plant_leadership(&s, group(&s, old != 0));
        EXPECT(fired(&s, "ES"));
    }
}

static void test_raftwatch__votes_that_are_not_on_disk(void)
{
    for (int old = 0; old < 2; old++) {
        struct soup s;
        uint64_t leader = group(&s, old != 0);
        plant_message(&s, leader, s.node[leader].hard.term);
        EXPECT(fired(&s, "VD"));
    }
}

static void test_raftwatch__a_vote_that_changes(void)
{
    struct soup s;
    uint64_t leader = group(&s, true);
    struct raft *r = s.node[leader].core;
    struct raft_out out = {.save = {.seq = r->seq + 1, .has_hard = true, .hard = r->hard}};
    out.save.hard.vote = leader % 3 + 1;
    raftwatch_stepped(&s.watch, r, &tick, &out, NULL);
    EXPECT(fired(&s, "VD"));
}

static void test_raftwatch__a_term_above_the_disks(void)
{
    for (int old = 0; old < 2; old++) {
        struct soup s;
        uint64_t leader = group(&s, old != 0);
        plant_message(&s, leader, s.node[leader].hard.term + 1);
        EXPECT(fired(&s, "HS"));
    }
}

static void test_raftwatch__entries_that_differ(void)
{
    for (int old = 0; old < 2; old++) {
        for (int before = 0; before < 2; before++) {
            struct soup s;
            plant_entry(&s, group(&s, old != 0), before != 0);
            EXPECT(fired(&s, "LM"));
        }
    }
}

static void test_raftwatch__a_leader_that_rewrites_its_log(void)
{
    struct soup s;
    uint64_t leader = group(&s, true);
    struct raft *r = s.node[leader].core;
    struct raft_out out = {.save = {.seq = r->seq + 1, .truncate = r->last}};
    raftwatch_stepped(&s.watch, r, &tick, &out, NULL);
    EXPECT(fired(&s, "AO"));
}

static void test_raftwatch__a_leader_that_lacks_what_is_committed(void)
{
    for (int old = 0; old < 2; old++) {
        struct soup s;
        uint64_t leader = group(&s, old != 0);
        struct raft *r = s.node[leader % 3 + 1].core;
        r->state = RAFT_LEADER;
        r->hard.term += 7;
        r->last--;
        r->commit--;
        raftwatch_stepped(&s.watch, r, &tick, &nothing, NULL);
        EXPECT(fired(&s, "LC"));
    }
}

static void test_raftwatch__applying_out_of_order_or_too_early(void)
{
    for (int how = 0; how < 3; how++) {
        struct soup s;
        uint64_t leader = group(&s, true);
        struct raft *r = s.node[leader].core;
        struct raft_out out = {.apply_lo = r->apply_next, .apply_hi = r->apply_next + 1};
        if (how == 0) {
            out.apply_lo++;
            out.apply_hi++;
        } else if (how == 1) {
            soup_propose(&s, leader); /* not committed */
        } else {                      /* committed, but another one here */
            soup_propose(&s, leader);
            uint64_t a = leader % 3 + 1;
            soup_run(&s, 12);
            soup_persist(&s, leader, 9, true);
            soup_run(&s, 12);
            r = s.node[a].core;
            out = (struct raft_out){.apply_lo = r->apply_next, .apply_hi = r->last + 1};
            runs_of(r)[r->run_end++] = (struct raft_run){r->last, last_term(r) + 1};
            EXPECT(out.apply_lo < out.apply_hi);
        }
        raftwatch_stepped(&s.watch, r, &tick, &out, NULL);
        EXPECT(fired(&s, "SM"));
    }
}

static void test_raftwatch__a_snapshot_of_what_is_not_committed(void)
{
    struct soup s;
    uint64_t leader = group(&s, true);
    struct raft *r = s.node[leader % 3 + 1].core;
    struct raft_out out = {.save = {.seq = r->seq + 1, .has_snapshot = true, .keep = true}};
    out.save.place = (struct raft_place){r->commit, last_term(r) + 1};
    raftwatch_stepped(&s.watch, r, &tick, &out, NULL);
    EXPECT(fired(&s, "SM"));
}

static void test_raftwatch__a_commit_without_a_quorum_of_disks(void)
{
    for (int old = 0; old < 2; old++) {
        struct soup s;
        uint64_t leader = group(&s, old != 0);
        struct raft *r = s.node[leader].core;
        soup_propose(&s, leader);
        r->commit = r->last;
        raftwatch_stepped(&s.watch, r, &tick, &nothing, NULL);
        EXPECT(fired(&s, "DU"));
    }
}

static void test_raftwatch__commits_that_go_back_or_come_from_followers(void)
{
    for (int how = 0; how < 3; how++) {
        struct soup s;
        uint64_t leader = group(&s, true);
        struct raft *r = s.node[leader].core;
        if (how == 0) {
            r->commit--;
        } else if (how == 1) {
            soup_propose(&s, leader);
            r = s.node[leader % 3 + 1].core;
            soup_run(&s, 11);
            r->commit = r->last = r->last + 1;
        } else {
            soup_propose(&s, leader);
            soup_persist(&s, leader, 9, false);
            r->hard.term++; /* as if it led a later term */
            r->commit = r->last;
        }
        raftwatch_stepped(&s.watch, r, &tick, &nothing, NULL);
        EXPECT(fired(&s, "CM"));
    }
}

static void test_raftwatch__a_belief_in_what_a_peer_lacks(void)
{
    struct soup s;
    uint64_t leader = group(&s, true);
    struct raft *r = s.node[leader].core;
    struct raft_msg m = {.type = RAFT_MSG_APPEND_REPLY, .from = leader % 3 + 1, .to = leader};
    struct raft_event e = {.type = RAFT_EV_RECEIVE, .msg = &m};
    soup_propose(&s, leader);
    raft_change_peer(r, m.from)->match = r->last;
    raftwatch_stepped(&s.watch, r, &e, &nothing, NULL);
    EXPECT(fired(&s, "MA"));
}

static void test_raftwatch__configurations_whose_quorums_may_miss(void)
{
    for (int how = 0; how < 2; how++) {
        struct soup s;
        uint64_t leader = group(&s, true);
        struct raft *r = s.node[leader].core;
        struct raft_out out = {.save = {.own = true, .lo = r->last + 1, .hi = r->last + 1}};
        r->last++;
        r->config_index = r->last;
        r->config.count = how == 0 ? 1 : 2; /* two voters gone at once; one, but ... */
        raftwatch_stepped(&s.watch, r, &tick, &out, NULL);
        if (how == 1) { /* ... another change while that one is open */
            EXPECT(raftwatch_ok(&s.watch));
            out.save.lo = out.save.hi = ++r->last;
            r->config_index = r->last;
            r->config.count = 1;
            raftwatch_stepped(&s.watch, r, &tick, &out, NULL);
        }
        EXPECT(fired(&s, "ME"));
    }
}

static void test_raftwatch__a_start_with_less_than_the_disk_had(void)
{
    for (int how = 0; how < 4; how++) {
        struct soup s;
        uint64_t leader = group(&s, true);
        struct raft *r = s.node[leader].core;
        struct raft_run run = {r->base.index + 1, how == 3 ? 1 : last_term(r)};
        struct raft_start start = {.hard = r->hard, .base = r->base, .last = r->last, .runs = &run};
        start.run_count = 1;
        start.applied = r->base.index;
        start.config = &r->config;
        start.hard.term -= how == 0;
        start.hard.vote = how == 1 ? 0 : start.hard.vote;
        start.last -= how == 2;
        raftwatch_crashed(&s.watch, leader);
        raftwatch_started(&s.watch, r, &start);
        EXPECT(fired(&s, "RE"));
    }
}

/* A process died with writes on its way: any number of them, from the first on, may be on its disk.
 */
static void test_raftwatch__writes_in_doubt_are_decided_by_the_next_start(void)
{
    for (int more = -1; more <= 4; more++) {
        struct soup s;
        uint64_t leader = group(&s, false);
        struct raft *r = s.node[leader].core;
        uint64_t durable = r->last;
        for (int i = 0; i < 3; i++) {
            soup_propose(&s, leader); /* a write each; the disk does none of them */
        }
        EXPECT(r->last == durable + 3 && raftwatch_ok(&s.watch));
        struct raft_run run = {r->base.index + 1, last_term(r)};
        struct raft_start start = {.hard = r->hard, .base = r->base, .runs = &run, .run_count = 1};
        start.last = durable + (uint64_t)(int64_t)more;
        start.applied = r->base.index;
        start.config = &r->config;
        raftwatch_died(&s.watch, leader);
        raftwatch_started(&s.watch, r, &start);
        if (more < 0 || more > 3) {
            EXPECT(fired(&s, "RE"));
            continue;
        }
        EXPECT(raftwatch_ok(&s.watch));
        raftwatch_died(&s.watch, leader); /* what was found there stays */
        start.last = durable + (more > 0 ? 0 : 1);
        raftwatch_started(&s.watch, r, &start);
        EXPECT(fired(&s, "RE"));
    }
}

static void test_raftwatch__a_read_from_the_past(void)
{
    struct soup s;
    uint64_t leader = group(&s, true);
    struct raft *r = s.node[leader].core;
    uint64_t asked = raftwatch_asked(&s.watch);
    raftwatch_served(&s.watch, r, asked);
    EXPECT(raftwatch_ok(&s.watch));
    r->applied--;
    raftwatch_served(&s.watch, r, asked);
    EXPECT(fired(&s, "RD"));
}

/* The fixture's own: no progress, no convergence. */
static void test_raftwatch__a_group_that_does_not_recover(void)
{
    struct soup s;
    uint64_t leader = group(&s, false);
    for (uint64_t id = 1; id <= 3; id++) {
        s.node[id].mute = id != leader;
    }
    soup_heal(&s);
    EXPECT(strncmp(s.what, "LV:", 3) == 0);
    soup_release(&s);
    leader = group(&s, false);
    s.node[leader % 3 + 1].mute = true;
    soup_heal(&s);
    EXPECT(strncmp(s.what, "CV:", 3) == 0);
    soup_release(&s);
}

/* ---- memory ---- */

struct stingy {
    struct mem mem;
    long left;
};

static void *stingy_alloc(struct mem *m, size_t size)
{
    return ((struct stingy *)(void *)m)->left-- > 0 ? malloc(size) : NULL;
}

static void *stingy_resize(struct mem *m, void *block, size_t size)
{
    return ((struct stingy *)(void *)m)->left-- > 0 ? realloc(block, size) : NULL;
}

static void stingy_release(struct mem *m, void *block)
{
    (void)m;
    free(block);
}

static void test_raftwatch__each_refused_block_is_said(void)
{
    for (long n = 0;; n++) {
        struct soup s;
        struct stingy stingy = {{stingy_alloc, stingy_resize, stingy_release}, n};
        soup_init(&s, 3, 33);
        raftwatch_release(&s.watch);
        raftwatch_init(&s.watch, &stingy.mem);
        soup_up_all(&s);
        soup_run(&s, 4 * s.options.election);
        soup_propose(&s, soup_leader(&s) != 0 ? soup_leader(&s) : 1);
        bool enough = stingy.left >= 0;
        EXPECT(enough || strncmp(soup_what(&s), "NOMEM", 5) == 0);
        EXPECT(!enough || soup_what(&s)[0] == '\0');
        soup_release(&s);
        if (enough) {
            EXPECT(n > 10);
            break;
        }
    }
}

TAP_MAIN({
    RUN(test_raftwatch__two_leaders_in_a_term);
    RUN(test_raftwatch__votes_that_are_not_on_disk);
    RUN(test_raftwatch__a_vote_that_changes);
    RUN(test_raftwatch__a_term_above_the_disks);
    RUN(test_raftwatch__entries_that_differ);
    RUN(test_raftwatch__a_leader_that_rewrites_its_log);
    RUN(test_raftwatch__a_leader_that_lacks_what_is_committed);
    RUN(test_raftwatch__applying_out_of_order_or_too_early);
    RUN(test_raftwatch__a_snapshot_of_what_is_not_committed);
    RUN(test_raftwatch__a_commit_without_a_quorum_of_disks);
    RUN(test_raftwatch__commits_that_go_back_or_come_from_followers);
    RUN(test_raftwatch__a_belief_in_what_a_peer_lacks);
    RUN(test_raftwatch__configurations_whose_quorums_may_miss);
    RUN(test_raftwatch__a_start_with_less_than_the_disk_had);
    RUN(test_raftwatch__writes_in_doubt_are_decided_by_the_next_start);
    RUN(test_raftwatch__a_read_from_the_past);
    RUN(test_raftwatch__a_group_that_does_not_recover);
    RUN(test_raftwatch__each_refused_block_is_said);
})
