/* test_raft.c - the step function itself: what it refuses, copies, digests. */
#include "raft/raft_int.h"
#include "tests/raft/soup.h"
#include "tests/tap.h"

#include <stdlib.h>

static struct raft_view view(const struct soup *s, uint64_t id)
{
    struct raft_view v;
    soup_view(s, id, &v);
    return v;
}

static uint64_t group(struct soup *s)
{
    soup_init(s, 3, 5);
    soup_up_all(s);
    uint64_t leader = soup_elect(s);
    soup_run(s, 500);
    return leader;
}

static void test_raft__senseless_options_have_no_size(void)
{
    struct raft_options good = {.self = 1};
    EXPECT(raft_size(&good) > 0);
    struct raft_options bad[] = {
        {.self = 0},
        {.self = 1, .window = 100},
        {.self = 1, .window = 64, .flight_entries = 64},
        {.self = 1, .window = 64, .backlog_entries = 64},
        {.self = 1, .election = 1},
        {.self = 1, .election = 100, .heartbeat = 100},
        {.self = 1, .members = RAFT_MEMBERS_MAX + 1},
        {.self = 1, .runs = 3},
        {.self = 1, .drift_ppm = 1000000},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT(raft_size(&bad[i]) == 0);
        EXPECT(raft_init(NULL, &bad[i]) == NULL);
    }
}

static void refused(struct soup *s, uint64_t id, struct raft_event e, enum status want)
{
    struct raft *r = s->node[id].core;
    uint64_t before = raft_digest(r);
    e.now = e.now != 0 ? e.now : soup_clock(s, &s->node[id]);
    EXPECT(raft_step(r, &e, &s->out) == want);
    EXPECT(raft_digest(r) == before);
    EXPECT(s->out.count == 0 && s->out.save.seq == 0);
}

/* V8 */
static void test_raft__what_is_refused_changes_nothing(void)
{
    struct soup s;
    uint64_t leader = group(&s);
    struct raft_view v = view(&s, leader);
    struct raft_start start = {0};
    struct raft_item config = {.kind = RAFT_CONFIG};
    refused(&s, leader, (struct raft_event){.type = 0}, ST_INVAL);
    refused(&s, leader, (struct raft_event){.type = RAFT_EV_TYPES}, ST_INVAL);
    refused(&s, leader, (struct raft_event){.type = RAFT_EV_TIME, .now = 1}, ST_INVAL);
    refused(&s, leader, (struct raft_event){.type = RAFT_EV_START, .start = &start}, ST_INVAL);
    refused(&s, leader, (struct raft_event){.type = RAFT_EV_PROPOSE}, ST_INVAL);
    refused(&s, leader, (struct raft_event){.type = RAFT_EV_PROPOSE, .items = &config, .count = 1},
            ST_INVAL);
    refused(&s, leader, (struct raft_event){.type = RAFT_EV_CONFIGURE}, ST_INVAL);
    refused(&s, leader, (struct raft_event){.type = RAFT_EV_RECEIVE}, ST_INVAL);
    refused(&s, leader, (struct raft_event){.type = RAFT_EV_PERSISTED, .index = v.write_seq + 1},
            ST_INVAL);
    refused(&s, leader, (struct raft_event){.type = RAFT_EV_APPLIED, .index = v.commit + 1},
            ST_INVAL);
    refused(&s, leader, (struct raft_event){.type = RAFT_EV_COMPACTED, .index = v.applied + 1},
            ST_INVAL);
    refused(&s, leader, (struct raft_event){.type = RAFT_EV_LOG_FAULT, .lo = 3, .hi = 3}, ST_INVAL);
    soup_release(&s);
}

/* Bytes lie: no correct peer says this. */
static void test_raft__messages_that_cannot_be_are_refused(void)
{
    struct soup s;
    uint64_t leader = group(&s);
    uint64_t a = leader % 3 + 1;
    uint64_t term = view(&s, leader).term;
    struct raft_item items[2] = {{.term = term, .kind = RAFT_COMMAND},
                                 {.term = term - 1, .kind = 1}};
    struct raft_config empty = {0};
    struct raft_msg append = {.type = RAFT_MSG_APPEND, .cluster = 7, .from = leader, .to = a};
    append.term = term;
    append.place = (struct raft_place){2, term};
    struct raft_msg bad[12];
    for (int i = 0; i < 12; i++) {
        bad[i] = append;
    }
    bad[0].type = 0;
    bad[1].type = RAFT_MSG_TYPES;
    bad[2].from = 0;
    bad[3].from = a;
    bad[4].count = 1; /* and no items */
    bad[5].count = 2;
    bad[5].items = items; /* terms go back */
    bad[6].place.term = term + 1;
    bad[7].place = (struct raft_place){0, term};
    bad[8].type = RAFT_MSG_SNAPSHOT;
    bad[9].type = RAFT_MSG_SNAPSHOT;
    bad[9].config = &empty;
    bad[10].type = RAFT_MSG_PREVOTE;
    bad[10].campaign = term + 7;
    bad[11].place.index = UINT64_MAX;
    for (int i = 0; i < 12; i++) {
        refused(&s, a, (struct raft_event){.type = RAFT_EV_RECEIVE, .msg = &bad[i]}, ST_CORRUPT);
    }
    soup_release(&s);
}

static void test_raft__strangers_are_not_heard(void)
{
    struct soup s;
    uint64_t leader = group(&s);
    struct raft_msg m = {.type = RAFT_MSG_VOTE, .cluster = 8, .from = 9, .to = leader};
    m.term = m.campaign = 100;
    m.transfer = true;
    struct raft_event e = {.type = RAFT_EV_RECEIVE, .msg = &m};
    EXPECT(soup_step(&s, leader, &e) == ST_OK && view(&s, leader).term < 100);
    m.cluster = 7;
    m.to = leader % 3 + 1;
    EXPECT(soup_step(&s, leader, &e) == ST_OK && view(&s, leader).term < 100);
    m.to = leader;
    EXPECT(soup_step(&s, leader, &e) == ST_OK && view(&s, leader).term == 100);
    soup_release(&s);
}

static void test_raft__too_little_room_for_what_comes_out_is_said_beforehand(void)
{
    struct soup s;
    uint64_t leader = group(&s);
    struct raft *r = s.node[leader].core;
    struct raft_event e = {.type = RAFT_EV_TIME, .force = RAFT_FORCE_HEARTBEAT};
    e.now = soup_clock(&s, &s.node[leader]);
    uint64_t before = raft_digest(r);
    s.out.cap = 3;
    EXPECT(raft_step(r, &e, &s.out) == ST_TOOBIG);
    EXPECT(raft_digest(r) == before);
    EXPECT(s.out.need > 3 && s.out.need <= raft_actions_max(r));
    s.out.cap = s.out.need;
    EXPECT(raft_step(r, &e, &s.out) == ST_OK);
    EXPECT(raft_digest(r) != before && s.out.count == 2);
    soup_release(&s);
}

/* A copy goes the same way as its original, and neither moves the other. */
static void test_raft__a_copy_is_a_branch(void)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct soup s;
        soup_init(&s, 3, seed);
        soup_draw(&s);
        soup_up_all(&s);
        soup_stir(&s, 1500);
        for (uint64_t id = 1; id <= 3; id++) {
            struct raft *r = s.node[id].core;
            if (r == NULL) {
                continue;
            }
            struct raft_options o = r->o;
            struct raft *copy = malloc(raft_size(&o));
            memset(copy, 0xa5, raft_size(&o));
            raft_copy(copy, r);
            uint64_t before = raft_digest(r);
            EXPECT(raft_digest(copy) == before && raft_check(copy));
            struct raft_event e = {.type = RAFT_EV_TIME, .force = RAFT_FORCE_ELECTION};
            e.now = soup_clock(&s, &s.node[id]) + 5000;
            EXPECT(raft_step(copy, &e, &s.out) == ST_OK);
            uint64_t branch = raft_digest(copy);
            EXPECT(raft_digest(r) == before && branch != before);
            EXPECT(raft_step(r, &e, &s.out) == ST_OK);
            EXPECT(raft_digest(r) == branch);
            free(copy);
        }
        EXPECT(soup_what(&s)[0] == '\0');
        soup_release(&s);
    }
}

#define CHANGE(field)                                \
    do {                                             \
        uint64_t kept = r->field;                    \
        r->field = (__typeof__(r->field))(kept ^ 1); \
        EXPECT(raft_digest(r) != before);            \
        r->field = (__typeof__(r->field))kept;       \
    } while (0)

static void change_log(struct raft *r, uint64_t before)
{
    CHANGE(hard.term);
    CHANGE(hard.vote);
    CHANGE(hard_seq);
    CHANGE(seq);
    CHANGE(done);
    CHANGE(snap_seq);
    CHANGE(mend_seq);
    CHANGE(mend_hi);
    CHANGE(pending_count);
    CHANGE(run_end);
    CHANGE(damage_count);
    CHANGE(base.index);
    CHANGE(base.term);
    CHANGE(floor.index);
    CHANGE(floor.term);
    CHANGE(last);
    CHANGE(raw_durable);
    CHANGE(commit);
    CHANGE(applied);
    CHANGE(apply_next);
    CHANGE(snap.index);
    CHANGE(snap.term);
    CHANGE(self_slot);
    CHANGE(config_index);
    CHANGE(before_index);
    CHANGE(config.members[1].roles);
    CHANGE(config.members[1].incarnation);
}

static void change_role(struct raft *r, uint64_t before)
{
    CHANGE(state);
    CHANGE(stalled);
    CHANGE(owes);
    CHANGE(handed);
    CHANGE(more);
    CHANGE(started);
    CHANGE(wanted);
    CHANGE(stuck);
    CHANGE(leader);
    CHANGE(session);
    CHANGE(accepted);
    CHANGE(leader_commit);
    CHANGE(owed_probe);
    CHANGE(owed_stamp);
    CHANGE(term_first);
    CHANGE(probe);
    CHANGE(transferee);
    CHANGE(transfer_context);
    CHANGE(now);
    CHANGE(timeout);
    CHANGE(election_at);
    CHANGE(sticky_until);
    CHANGE(heartbeat_at);
    CHANGE(transfer_at);
    CHANGE(prng.state);
    CHANGE(life);
}

static void test_raft__the_digest_sees_every_part(void)
{
    struct soup s;
    uint64_t leader = group(&s);
    struct raft *r = s.node[leader].core;
    soup_propose(&s, leader);
    uint64_t before = raft_digest(r);
    change_log(r, before);
    change_role(r, before);
    for (uint32_t i = 0; i < r->peer_count; i++) {
        struct raft_peer *p = &peers_of(r)[i];
        uint64_t *words = (uint64_t *)(void *)p;
        for (size_t k = 0; k < sizeof *p / sizeof *words; k++) {
            words[k] ^= 1; /* of the last word: roles */
            EXPECT(raft_digest(r) != before);
            words[k] ^= 1;
        }
        p->flow ^= 1;
        EXPECT(raft_digest(r) != before);
        p->flow ^= 1;
        p->vote ^= 1;
        EXPECT(raft_digest(r) != before);
        p->vote ^= 1;
    }
    runs_of(r)[r->run_begin].term ^= 1;
    EXPECT(raft_digest(r) != before);
    runs_of(r)[r->run_begin].term ^= 1;
    sums_of(r)[r->last % r->o.window]++;
    EXPECT(raft_digest(r) != before);
    sums_of(r)[r->last % r->o.window]--;
    EXPECT(raft_digest(r) == before);
    soup_release(&s);
}

/* Same options, same events: the same state to the last bit, and the same world around it. */
static void test_raft__equal_seeds_make_equal_states(void)
{
    uint64_t digest[3];
    static const uint64_t seeds[3] = {9, 9, 10};
    for (int i = 0; i < 3; i++) {
        struct soup s;
        soup_init(&s, 3, seeds[i]);
        soup_draw(&s);
        soup_up_all(&s);
        soup_stir(&s, 2000);
        soup_heal(&s);
        digest[i] = 0;
        for (uint64_t id = 1; id <= 3; id++) {
            digest[i] = hash_add(digest[i], raft_digest(s.node[id].core));
        }
        EXPECT(soup_what(&s)[0] == '\0');
        soup_release(&s);
    }
    EXPECT(digest[0] == digest[1]);
    EXPECT(digest[0] != digest[2]);
}

static void test_raft__a_start_that_cannot_be_is_refused(void)
{
    struct raft_options o = {.self = 1, .incarnation = 1, .runs = 4};
    struct raft_run runs[6] = {{2, 1}, {3, 2}, {4, 3}, {5, 4}, {6, 5}, {7, 6}};
    struct raft_config c = {1, {{1, 1, RAFT_IN}}};
    struct raft_start good = {.hard = {6, 0},
                              .base = {1, 1},
                              .last = 7,
                              .runs = runs,
                              .run_count = 6,
                              .applied = 3,
                              .config = &c,
                              .config_index = 1};
    void *memory = malloc(raft_size(&o));
    struct raft_action actions[1200];
    struct raft_out out = {.actions = actions, .cap = 1200};
    for (int i = 0; i < 9; i++) {
        struct raft_start s = good;
        struct raft_event e = {.type = RAFT_EV_START, .now = 1, .start = &s};
        s.hard.term = i == 1 ? 5 : 6;            /* an entry of a later term */
        s.last = i == 2 ? 6 : 7;                 /* a run behind the end */
        s.run_count = i == 3 ? 0 : 6;            /* terms are missing */
        s.applied = i == 4 ? 8 : i == 5 ? 2 : 3; /* more than there is; too many runs to forget */
        s.config_index = i == 6 ? 4 : 1;         /* not committed, and nothing before it */
        s.config = i == 7 ? NULL : &c;
        s.base.index = i == 8 ? 0 : 1; /* a hole */
        struct raft *r = raft_init(memory, &o);
        enum status st = raft_step(r, &e, &out);
        EXPECT(i == 0 ? st == ST_OK : i == 5 ? st == ST_TOOBIG : st == ST_INVAL);
    }
    free(memory);
}

TAP_MAIN({
    RUN(test_raft__senseless_options_have_no_size);
    RUN(test_raft__what_is_refused_changes_nothing);
    RUN(test_raft__messages_that_cannot_be_are_refused);
    RUN(test_raft__strangers_are_not_heard);
    RUN(test_raft__too_little_room_for_what_comes_out_is_said_beforehand);
    RUN(test_raft__a_copy_is_a_branch);
    RUN(test_raft__the_digest_sees_every_part);
    RUN(test_raft__equal_seeds_make_equal_states);
    RUN(test_raft__a_start_that_cannot_be_is_refused);
})
