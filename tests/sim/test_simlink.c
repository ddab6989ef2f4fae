/* test_simlink.c - links of the simulated network: what each fault does to two small programs that
 * talk over Env sockets, as the model's tables say. */
#include "sim/simlink.h"
#include "sim/simnet_int.h"

#include "tests/sim/simtest.h"
#include "tests/sim/talker.h"
#include "tests/tap.h"

#include <string.h>

#define US 1000u
#define MS 1000000u
#define S  1000000000u

/* Two hosts, a server on the first and a client on the second, and somebody who steers the links.
 */
struct pair {
    struct simtest t;
    struct host *server, *client;
    struct talker s, c;
    struct list tasks;
    void (*steer)(struct pair *p);
    uint64_t cut_id;
};

static void steer_body(void *arg)
{
    struct pair *p = arg;
    p->steer(p);
}

static void at(struct pair *p, uint64_t ms)
{
    task_sleep_until(&p->t.world.sched, ms * MS);
}

static void pair_open(struct pair *p, uint64_t seed)
{
    memset(p, 0, sizeof *p);
    plan_init(&p->t.plan, simmem(), seed);
    list_init(&p->tasks);
}

/* Everything above is set; runs it to its end. */
static void pair_run(struct pair *p)
{
    simtest_open_plan(&p->t);
    p->server = p->t.host;
    p->client = world_host(&p->t.world, NULL);
    p->t.world.faults = true;
    p->c.peer = p->server;
    p->c.start_ms = p->c.start_ms != 0 ? p->c.start_ms : 1;
    (void)simtest_start(&p->t, p->server, "server", talker_main, &p->s);
    (void)simtest_start(&p->t, p->client, "client", talker_main, &p->c);
    if (p->steer != NULL) {
        (void)world_task(&p->t.world, "steer", &p->tasks, steer_body, p);
    }
    EXPECT(simtest_run(&p->t));
}

static void pair_close(struct pair *p)
{
    while (!list_empty(&p->tasks)) {
        task_kill(LIST_ENTRY(p->tasks.next, struct task, link));
    }
    simtest_close(&p->t);
}

/* Both talk: ten bytes every ten ms, until end_ms. */
static void both_talk(struct pair *p, uint64_t end_ms)
{
    p->s.size = p->c.size = 10;
    p->s.gap_ms = p->c.gap_ms = 10;
    p->s.end_ms = p->c.end_ms = end_ms;
}

static void cut(struct pair *p, bool there, bool back, struct simlink_cut how)
{
    if (there) {
        p->cut_id = simlink_cut(&p->t.world, p->client, p->server, &how);
    }
    if (back) {
        p->cut_id = simlink_cut(&p->t.world, p->server, p->client, &how);
    }
}

static const struct simlink_cut drop = {.mode = SIMLINK_DROP};

/* ---- cuts ---- */

static void cut_at_1_heal_at_3(struct pair *p)
{
    at(p, 1000);
    cut(p, true, true, drop);
    EXPECT(!simlink_passes(&p->t.world, p->client, p->server, 4000));
    at(p, 2990);
    EXPECT(simlink_state(&p->t.world, p->client, p->server).in_flight == p->c.said - p->s.heard);
    at(p, 3000);
    simlink_heal_all(&p->t.world);
    EXPECT(simlink_passes(&p->t.world, p->client, p->server, 4000));
    EXPECT(simlink_state(&p->t.world, p->client, p->server).in_flight > 1500);
}

static void cut_at_1_heal_at_3_quiet(struct pair *p)
{
    at(p, 1000);
    cut(p, true, true, drop);
    at(p, 2990);
    at(p, 3000);
    simlink_heal_all(&p->t.world);
}

static void cut_at_1_heal_at_3_asked(struct pair *p)
{
    at(p, 1000);
    cut(p, true, true, drop);
    at(p, 2990);
    EXPECT(!simlink_passes(&p->t.world, p->client, p->server, 4000));
    EXPECT(simlink_state(&p->t.world, p->client, p->server).in_flight > 0);
    at(p, 3000);
    simlink_heal_all(&p->t.world);
}

/* Nothing crosses a cut. After it, what was written before and during it arrives on the same
 * connection, but not at once: the sender waits for its next retransmission. */
static void test_simlink__old_bytes_arrive_late_after_a_heal(void)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (uint64_t seed = 0; seed < 24; seed++) {
        struct pair p;
        pair_open(&p, seed);
        both_talk(&p, 9000);
        p.steer = cut_at_1_heal_at_3;
        pair_run(&p);
        EXPECT(talker_heard(&p.s, 0, 1000) > 900);
        EXPECT(talker_heard(&p.s, 1001, 3000) == 0);
        EXPECT(talker_heard(&p.c, 1001, 3000) == 0);
        /* 0.4 + 0.8 + 1.6 s passed: the third try was to be, and k is 3: at most 1.6 s more. */
        EXPECT(talker_heard(&p.s, 4610, 9000) > 0 && talker_heard(&p.s, 0, 4610) > 3000);
        EXPECT(p.s.wrong == 0 && p.c.wrong == 0);
        EXPECT(p.s.end == ST_OK && p.c.end == ST_OK);
        for (size_t i = 0; i < p.s.entries; i++) {
            if (p.s.diary[i].at > 3000 * (uint64_t)MS) {
                uint64_t late = p.s.diary[i].at - 3000 * (uint64_t)MS;
                EXPECT(p.s.diary[i].bytes > 1900 || late > 1600 * (uint64_t)MS); /* all at once */
                least = late < least ? late : least;
                most = late > most ? late : most;
                break;
            }
        }
        pair_close(&p);
    }
    EXPECT(least < 400 * (uint64_t)MS && most > 800 * (uint64_t)MS && most <= 1600 * (uint64_t)MS);
}

static void cut_there(struct pair *p)
{
    at(p, 1000);
    cut(p, true, false, (struct simlink_cut){.mode = SIMLINK_DROP, .acks_pass = true});
    EXPECT(!simlink_passes(&p->t.world, p->client, p->server, 4000));
    EXPECT(simlink_passes(&p->t.world, p->server, p->client, 4000));
}

/* A one-way cut cuts one way. */
static void test_simlink__a_one_way_cut_cuts_one_way(void)
{
    struct pair p;
    pair_open(&p, 3);
    both_talk(&p, 5000);
    p.steer = cut_there;
    pair_run(&p);
    EXPECT(talker_heard(&p.s, 1001, 5000) == 0);
    EXPECT(talker_heard(&p.c, 1001, 5000) > 3900);
    EXPECT(p.c.end == ST_OK && p.s.end == ST_OK);
    pair_close(&p);
}

static void cut_there_with_acks(struct pair *p)
{
    at(p, 1000);
    cut(p, true, false, drop);
    at(p, 3000);
    simlink_heal(&p->t.world, p->client, p->server, p->cut_id);
}

/* When the acknowledgements are lost with it, the way back is heard for one retransmission timeout,
 * and its writer does not know of what arrived until the heal. */
static void test_simlink__without_acknowledgements_the_way_back_falls_silent(void)
{
    struct pair p;
    pair_open(&p, 3);
    both_talk(&p, 9000);
    p.steer = cut_there_with_acks;
    pair_run(&p);
    EXPECT(talker_heard(&p.c, 1010, 1195) > 100);
    EXPECT(talker_heard(&p.c, 1215, 3000) == 0);
    EXPECT(talker_heard(&p.c, 3000, 9000) > 7000);
    EXPECT(talker_heard(&p.s, 1001, 3000) == 0);
    EXPECT(p.c.wrong == 0 && p.s.wrong == 0);
    EXPECT(p.c.end == ST_OK && p.s.end == ST_OK);
    pair_close(&p);
}

/* The last words arrived and were never acknowledged: their writer is told that time is up. */
static void test_simlink__unacknowledged_bytes_time_out_too(void)
{
    struct pair p;
    pair_open(&p, 3);
    both_talk(&p, 9000);
    p.s.words = 110; /* the last at 1.1 s */
    p.s.user_timeout_ms = 2000;
    p.c.size = 0;
    p.steer = cut_there_with_acks;
    pair_run(&p);
    EXPECT(p.c.heard == 1100 && p.s.end == ST_OK); /* healed just in time */
    pair_close(&p);
    pair_open(&p, 3);
    both_talk(&p, 9000);
    p.s.words = 110;
    p.s.user_timeout_ms = 1000;
    p.c.size = 0;
    p.steer = cut_there_with_acks;
    pair_run(&p);
    EXPECT(p.c.heard == 1100 && p.s.end == ST_TIMEOUT);
    EXPECT(p.s.ended_at > 2000 * (uint64_t)MS && p.s.ended_at < 2400 * (uint64_t)MS);
    pair_close(&p);
}

static void cut_at_1(struct pair *p)
{
    at(p, 1000);
    cut(p, true, true, drop);
}

/* TCP_USER_TIMEOUT ends a connection that nobody acknowledges; the other side, which is silent,
 * goes on believing in it. */
static void test_simlink__the_user_timeout_ends_it(void)
{
    struct pair p;
    pair_open(&p, 5);
    both_talk(&p, 20000);
    p.s.size = 0;
    p.c.user_timeout_ms = 3000;
    p.steer = cut_at_1;
    pair_run(&p);
    EXPECT(p.c.end == ST_TIMEOUT);
    EXPECT(p.c.ended_at > 4000 * (uint64_t)MS && p.c.ended_at < 4020 * (uint64_t)MS);
    EXPECT(p.s.end == ST_OK && !p.s.eof && p.s.ended_at >= 20000 * (uint64_t)MS);
    pair_close(&p);
}

/* Without one it takes Linux some fifteen minutes. */
static void test_simlink__without_one_it_takes_a_quarter_of_an_hour(void)
{
    struct pair p;
    pair_open(&p, 5);
    both_talk(&p, 2000000);
    p.s.size = 0;
    p.steer = cut_at_1;
    pair_run(&p);
    EXPECT(p.c.end == ST_TIMEOUT);
    EXPECT(p.c.ended_at > 900 * (uint64_t)S && p.c.ended_at < 1100 * (uint64_t)S);
    pair_close(&p);
}

static void cut_at_1_heal_at_8(struct pair *p)
{
    at(p, 1000);
    cut(p, true, true, drop);
    at(p, 8000);
    simlink_heal_all(&p->t.world);
}

/* The side that did not give up speaks into a connection that the other has forgotten: RST. */
static void test_simlink__who_was_forgotten_is_reset_after_the_heal(void)
{
    struct pair p;
    pair_open(&p, 5);
    both_talk(&p, 40000);
    p.c.user_timeout_ms = 3000;
    p.steer = cut_at_1_heal_at_8;
    pair_run(&p);
    EXPECT(p.c.end == ST_TIMEOUT);
    EXPECT(p.s.end == ST_RESET && p.s.ended_at > 8000 * (uint64_t)MS);
    pair_close(&p);
}

/* ---- connecting ---- */

static void cut_from_the_start(struct pair *p)
{
    cut(p, true, true, drop);
}

static void cut_back_from_the_start(struct pair *p)
{
    cut(p, false, true, drop);
}

static void reject_from_the_start(struct pair *p)
{
    cut(p, true, true, (struct simlink_cut){.mode = SIMLINK_REJECT});
}

static void reset_from_the_start(struct pair *p)
{
    cut(p, true, true, (struct simlink_cut){.mode = SIMLINK_RESET});
}

static void connect_through(void (*steer)(struct pair *p), int user_timeout_ms, enum status want,
                            uint64_t from_ms, uint64_t to_ms)
{
    struct pair p;
    pair_open(&p, 7);
    p.s.end_ms = 300000;
    p.c.end_ms = 300000;
    p.c.start_ms = 10;
    p.c.user_timeout_ms = user_timeout_ms;
    p.steer = steer;
    pair_run(&p);
    EXPECT(p.c.connected == want);
    EXPECT(p.c.ended_at >= from_ms * MS && p.c.ended_at < to_ms * MS);
    pair_close(&p);
}

static void cut_and_heal_at_5(struct pair *p)
{
    cut(p, true, false, drop);
    at(p, 5000);
    simlink_heal_all(&p->t.world);
}

static void test_simlink__connecting_through_a_cut(void)
{
    connect_through(cut_from_the_start, 0, ST_TIMEOUT, 127000, 200000);
    connect_through(cut_back_from_the_start, 0, ST_TIMEOUT, 127000, 200000);
    connect_through(cut_from_the_start, 5000, ST_TIMEOUT, 5000, 9000);
    connect_through(reject_from_the_start, 0, ST_UNREACH, 10, 20);
    connect_through(reset_from_the_start, 0, ST_REFUSED, 10, 20);
}

/* SYNs go at 0, 1, 3 and 7 s: healed at 5 s, the connection is there at 7. */
static void test_simlink__the_next_syn_finds_the_healed_link(void)
{
    struct pair p;
    pair_open(&p, 7);
    both_talk(&p, 9000);
    p.steer = cut_and_heal_at_5;
    pair_run(&p);
    EXPECT(p.c.connected == ST_OK);
    EXPECT(p.c.connected_at > 7000 * (uint64_t)MS && p.c.connected_at < 7050 * (uint64_t)MS);
    EXPECT(p.s.heard > 0);
    pair_close(&p);
}

static void reject_at_1(struct pair *p)
{
    at(p, 1000);
    cut(p, true, false, (struct simlink_cut){.mode = SIMLINK_REJECT});
}

static void reset_at_1(struct pair *p)
{
    at(p, 1000);
    cut(p, true, false, (struct simlink_cut){.mode = SIMLINK_RESET});
}

/* On a connection that stands, "no way there" counts at the end only; a RST counts at once, for the
 * side that gets it. */
static void test_simlink__rejecting_routers_and_resetting_firewalls(void)
{
    struct pair p;
    pair_open(&p, 7);
    both_talk(&p, 9000);
    p.s.size = 0;
    p.c.user_timeout_ms = 2000;
    p.steer = reject_at_1;
    pair_run(&p);
    EXPECT(p.c.end == ST_UNREACH && p.c.ended_at > 3000 * (uint64_t)MS);
    pair_close(&p);
    pair_open(&p, 7);
    both_talk(&p, 9000);
    p.s.size = 0;
    p.steer = reset_at_1;
    pair_run(&p);
    EXPECT(p.c.end == ST_RESET && p.c.ended_at < 1050 * (uint64_t)MS);
    EXPECT(p.s.end == ST_OK && !p.s.eof); /* half open */
    pair_close(&p);
}

/* ---- filters ---- */

static void cut_port_4000(struct pair *p)
{
    at(p, 1000);
    cut(p, true, true,
        (struct simlink_cut){.mode = SIMLINK_DROP, .what = SIMLINK_PORT, .value = 4000});
    EXPECT(!simlink_passes(&p->t.world, p->client, p->server, 4000));
    EXPECT(simlink_passes(&p->t.world, p->client, p->server, 4001));
}

static void cut_all_but_4000(struct pair *p)
{
    at(p, 1000);
    cut(p, true, true,
        (struct simlink_cut){.mode = SIMLINK_DROP, .what = SIMLINK_NOT_PORT, .value = 4000});
}

static void port_cut(void (*steer)(struct pair *p), uint16_t port, bool passes)
{
    struct pair p;
    pair_open(&p, 9);
    both_talk(&p, 3000);
    p.s.port = p.c.port = port;
    p.steer = steer;
    pair_run(&p);
    EXPECT((talker_heard(&p.s, 1001, 3000) > 1500) == passes);
    EXPECT((talker_heard(&p.c, 1001, 3000) > 1500) == passes);
    pair_close(&p);
}

/* Both directions of a connection belong to the port that it was made to. */
static void test_simlink__a_port_can_be_cut_and_all_but_it(void)
{
    port_cut(cut_port_4000, 4000, false);
    port_cut(cut_port_4000, 4001, true);
    port_cut(cut_all_but_4000, 4000, true);
    port_cut(cut_all_but_4000, 4001, false);
}

static void hole_at_1(struct pair *p)
{
    at(p, 1000);
    cut(p, true, true,
        (struct simlink_cut){.mode = SIMLINK_DROP, .what = SIMLINK_BIGGER, .value = 1200});
}

/* N17: heartbeats pass, and big frames vanish; on one connection they stand in the way. */
static void test_simlink__an_mtu_hole_takes_what_is_big(void)
{
    struct pair p;
    pair_open(&p, 9);
    both_talk(&p, 4000);
    p.s.size = 2000;
    p.s.gap_ms = 100;
    p.steer = hole_at_1;
    pair_run(&p);
    EXPECT(talker_heard(&p.s, 1001, 4000) > 2900); /* small ones */
    EXPECT(talker_heard(&p.c, 0, 1000) > 10000 && talker_heard(&p.c, 1001, 4000) == 0);
    pair_close(&p);
}

static void silence_conn(struct pair *p)
{
    at(p, 1000);
    uint64_t conn = simnet_conn_between(p->t.world.net, p->client, p->server, 0);
    EXPECT(conn != 0);
    cut(p, true, true,
        (struct simlink_cut){.mode = SIMLINK_DROP, .what = SIMLINK_CONN, .value = conn});
}

/* N5: one connection falls silent, the rest of the link is well. */
static void test_simlink__one_connection_can_fall_silent(void)
{
    struct pair p;
    struct talker s2 = {.size = 10, .gap_ms = 10, .end_ms = 3000, .port = 4001};
    struct talker c2 = {.size = 10, .gap_ms = 10, .end_ms = 3000, .port = 4001, .start_ms = 500};
    pair_open(&p, 9);
    both_talk(&p, 3000);
    p.steer = silence_conn;
    simtest_open_plan(&p.t);
    p.server = p.t.host;
    p.client = world_host(&p.t.world, NULL);
    p.c.peer = p.server;
    c2.peer = p.server;
    p.c.start_ms = 1;
    (void)simtest_start(&p.t, p.server, "server", talker_main, &p.s);
    (void)simtest_start(&p.t, p.client, "client", talker_main, &p.c);
    (void)simtest_start(&p.t, p.server, "server2", talker_main, &s2);
    (void)simtest_start(&p.t, p.client, "client2", talker_main, &c2);
    (void)world_task(&p.t.world, "steer", &p.tasks, steer_body, &p);
    EXPECT(simtest_run(&p.t));
    EXPECT(talker_heard(&p.s, 1001, 3000) == 0 && talker_heard(&p.c, 1001, 3000) == 0);
    EXPECT(talker_heard(&s2, 1001, 3000) > 1900 && talker_heard(&c2, 1001, 3000) > 1900);
    EXPECT(p.s.end == ST_OK && p.c.end == ST_OK);
    pair_close(&p);
}

static void two_cuts(struct pair *p)
{
    at(p, 1000);
    cut(p, true, false, drop);
    uint64_t first = p->cut_id;
    at(p, 1100);
    cut(p, true, false, drop);
    at(p, 2000);
    simlink_heal(&p->t.world, p->client, p->server, first);
    EXPECT(!simlink_passes(&p->t.world, p->client, p->server, 4000));
    EXPECT(simlink_state(&p->t.world, p->client, p->server).cuts == 1);
    at(p, 3000);
    simlink_heal(&p->t.world, p->client, p->server, p->cut_id);
    simlink_heal(&p->t.world, p->client, p->server, first); /* again: harmless */
    EXPECT(simlink_passes(&p->t.world, p->client, p->server, 4000));
}

static void test_simlink__cuts_overlap_and_end_one_by_one(void)
{
    struct pair p;
    pair_open(&p, 9);
    both_talk(&p, 8000);
    p.steer = two_cuts;
    pair_run(&p);
    EXPECT(talker_heard(&p.s, 1001, 3000) == 0);
    EXPECT(talker_heard(&p.s, 3000, 8000) > 6000);
    pair_close(&p);
}

/* ---- bandwidth, latency, loss, flips ---- */

/* A second connection between the same hosts, beside the pair's. */
struct second {
    struct talker s, c;
};

static void pair_run_with(struct pair *p, struct second *o)
{
    simtest_open_plan(&p->t);
    p->server = p->t.host;
    p->client = world_host(&p->t.world, NULL);
    p->t.world.faults = true;
    p->c.peer = o->c.peer = p->server;
    p->c.start_ms = 1;
    o->s.port = o->c.port = 4001;
    o->s.end_ms = o->c.end_ms = p->c.end_ms;
    (void)simtest_start(&p->t, p->server, "server", talker_main, &p->s);
    (void)simtest_start(&p->t, p->client, "client", talker_main, &p->c);
    (void)simtest_start(&p->t, p->server, "server2", talker_main, &o->s);
    (void)simtest_start(&p->t, p->client, "client2", talker_main, &o->c);
    if (p->steer != NULL) {
        (void)world_task(&p->t.world, "steer", &p->tasks, steer_body, p);
    }
    EXPECT(simtest_run(&p->t));
}

/* The link carries as much as its bandwidth, and no more however many connections share it; the
 * other direction has its own. */
static void test_simlink__bandwidth_is_shared_by_all_connections(void)
{
    struct pair p;
    struct second o = {.c = {.size = 4000, .start_ms = 1}, .s = {.size = 0}};
    pair_open(&p, 11);
    p.t.plan.value[PLAN_NET_BANDWIDTH] = 100000;
    p.c.size = p.s.size = 4000;
    p.c.end_ms = p.s.end_ms = 10000;
    pair_run_with(&p, &o);
    uint64_t there = p.s.heard + o.s.heard;
    EXPECT(there > 900000 && there <= 1000000);
    EXPECT(p.s.heard > 300000 && o.s.heard > 300000);
    EXPECT(p.c.heard > 900000 && p.c.heard <= 1000000);
    EXPECT(p.s.wrong == 0 && o.s.wrong == 0);
    pair_close(&p);
}

/* Heartbeats wait behind a bulk transfer on another connection of the same link. */
static void test_simlink__a_bulk_transfer_starves_heartbeats(void)
{
    struct pair p;
    struct second o = {.c = {.size = 4000, .start_ms = 1000}};
    pair_open(&p, 11);
    p.t.plan.value[PLAN_NET_BANDWIDTH] = 100000;
    both_talk(&p, 6000);
    p.c.gap_ms = p.s.gap_ms = 50;
    pair_run_with(&p, &o);
    uint64_t before = 0, after = 0, back = 0;
    for (size_t i = 1; i < p.s.entries; i++) {
        uint64_t gap = p.s.diary[i].at - p.s.diary[i - 1].at;
        uint64_t *most = p.s.diary[i].at < 1000 * (uint64_t)MS ? &before : &after;
        *most = gap > *most ? gap : *most;
    }
    for (size_t i = 1; i < p.c.entries; i++) {
        uint64_t gap = p.c.diary[i].at - p.c.diary[i - 1].at;
        back = gap > back ? gap : back;
    }
    EXPECT(before < 60 * MS && back < 60 * MS);
    EXPECT(after > 500 * MS); /* 64 KiB take 655 ms */
    pair_close(&p);
}

static void clog_at_1_until_3(struct pair *p)
{
    at(p, 1000);
    simlink_clog(&p->t.world, p->client, p->server, 1024);
    at(p, 2999);
    EXPECT(simlink_state(&p->t.world, p->client, p->server).waiting_ns > 10 * (uint64_t)S);
    at(p, 3000);
    simlink_clog(&p->t.world, p->client, p->server, 0);
    EXPECT(simlink_state(&p->t.world, p->client, p->server).waiting_ns < S);
}

/* N12: for a while the link carries a kilobyte a second; then the rest comes at the old rate. */
static void test_simlink__a_clog_ends(void)
{
    struct pair p;
    pair_open(&p, 12);
    p.t.plan.value[PLAN_NET_BANDWIDTH] = 1000000;
    p.c.size = 1000;
    p.c.gap_ms = 10;
    p.s.end_ms = p.c.end_ms = 5000;
    p.steer = clog_at_1_until_3;
    pair_run(&p);
    EXPECT(talker_heard(&p.s, 0, 1000) > 95000);
    uint64_t clogged = talker_heard(&p.s, 1010, 3000);
    EXPECT(clogged >= 1000 && clogged <= 2048);
    EXPECT(talker_heard(&p.s, 3000, 3500) > 70000);
    EXPECT(p.s.wrong == 0);
    pair_close(&p);
}

static void slow_there(struct pair *p)
{
    const struct simlink_profile there = {.latency_ns = 50 * MS};
    simlink_set_profile(&p->t.world, p->client, p->server, &there);
}

/* Latency belongs to one direction of a pair of hosts. */
static void test_simlink__latency_is_a_links_own(void)
{
    struct pair p;
    pair_open(&p, 13);
    both_talk(&p, 3000);
    p.s.words = p.c.words = 1;
    p.steer = slow_there;
    pair_run(&p);
    EXPECT(p.c.connected_at > 14 * MS && p.c.connected_at < 200 * MS);
    EXPECT(p.s.first_at - p.c.connected_at > 14 * MS);
    EXPECT(p.c.first_at - p.c.connected_at < 10 * MS);
    pair_close(&p);
}

static void test_simlink__profiles_are_what_their_names_say(void)
{
    struct chooser c;
    struct chooser_stream s;
    uint64_t low = UINT64_MAX, high = 0;
    chooser_init(&c, 1);
    chooser_stream_init(&s, &c, CHOOSE_NET_TIME, 77);
    for (int i = 0; i < 2000; i++) {
        struct simlink_profile lan = simlink_draw(&s, SIMLINK_LAN);
        struct simlink_profile wan = simlink_draw(&s, SIMLINK_WAN);
        EXPECT(lan.latency_ns >= 50 * US && lan.latency_ns <= 500 * US);
        EXPECT(wan.latency_ns >= MS && wan.latency_ns <= 80 * MS);
        EXPECT(lan.jitter_ns <= lan.latency_ns && lan.tail_ppm == 1000);
        low = wan.latency_ns < low ? wan.latency_ns : low;
        high = wan.latency_ns > high ? wan.latency_ns : high;
    }
    EXPECT(low < 2 * MS && high > 60 * MS);
}

/* A lost packet comes 200 ms * 2^k later, and everything after it on that connection with it. */
static void test_simlink__loss_is_delay(void)
{
    struct pair p;
    pair_open(&p, 14);
    p.t.plan.value[PLAN_NET_LOSS] = 20000;
    both_talk(&p, 20000);
    pair_run(&p);
    uint64_t waits = 0, long_waits = 0;
    for (size_t i = 1; i < p.s.entries; i++) {
        uint64_t gap = p.s.diary[i].at - p.s.diary[i - 1].at;
        waits += gap > 190 * MS;
        long_waits += gap > 590 * MS;
    }
    EXPECT(waits > 10 && waits < 60 && long_waits < waits);
    EXPECT(p.s.wrong == 0 && p.s.heard > 19000);
    uint64_t lost = simlink_state(&p.t.world, p.client, p.server).lost;
    EXPECT(lost >= waits && p.t.world.injected[PLAN_NET_LOSS] > lost);
    pair_close(&p);
}

static void flip_three(struct pair *p)
{
    at(p, 1000);
    simlink_flip_next(&p->t.world, p->client, p->server, 3);
}

/* N18: one bit in each of three deliveries; and by the plan's rate, never more than its budget. */
static void test_simlink__flips_are_counted(void)
{
    struct pair p;
    pair_open(&p, 15);
    both_talk(&p, 3000);
    p.steer = flip_three;
    pair_run(&p);
    EXPECT(p.s.wrong == 3 && p.c.wrong == 0);
    EXPECT(simlink_state(&p.t.world, p.client, p.server).flipped == 3);
    pair_close(&p);
    pair_open(&p, 15);
    p.t.plan.value[PLAN_NET_FLIP] = 200000;
    p.t.plan.value[PLAN_NET_FLIP_MAX] = 20;
    both_talk(&p, 5000);
    pair_run(&p);
    EXPECT(p.s.wrong + p.c.wrong == 20 && p.s.wrong > 2 && p.c.wrong > 2);
    EXPECT(p.t.world.injected[PLAN_NET_FLIP] == 20);
    pair_close(&p);
}

/* ---- the world ---- */

static uint64_t hash_of(uint64_t seed, bool asked)
{
    struct pair p;
    pair_open(&p, seed);
    p.t.plan.value[PLAN_NET_PROFILE] = SIMLINK_MIXED;
    p.t.plan.value[PLAN_NET_LOSS] = 5000;
    p.t.plan.value[PLAN_NET_BANDWIDTH] = 50000;
    both_talk(&p, 4000);
    p.steer = asked ? cut_at_1_heal_at_3_asked : cut_at_1_heal_at_3_quiet;
    pair_run(&p);
    uint64_t hash = p.t.world.trace.hash;
    pair_close(&p);
    return hash;
}

/* Same seed, same trace; questions change nothing. */
static void test_simlink__a_run_is_a_function_of_its_seed(void)
{
    for (uint64_t seed = 1; seed < 6; seed++) {
        uint64_t hash = hash_of(seed, false);
        EXPECT(hash == hash_of(seed, false));
        EXPECT(hash == hash_of(seed, true));
        EXPECT(hash != hash_of(seed + 100, false));
    }
}

/* A connection that is never idle keeps its queue of segments as small as what it holds. */
static void test_simlink__a_busy_queue_stays_small(void)
{
    struct pair p;
    pair_open(&p, 16);
    p.t.plan.value[PLAN_NET_LATENCY_US] = 30000;
    p.t.plan.value[PLAN_STEP_NS] = 1000;
    both_talk(&p, 20000);
    p.c.gap_ms = 1;
    pair_run(&p);
    size_t most = 0;
    for (struct list *l = p.t.world.net->conns.next; l != &p.t.world.net->conns; l = l->next) {
        const struct simconn *c = LIST_ENTRY(l, struct simconn, link);
        most = c->half[0].cap > most ? c->half[0].cap : most;
    }
    EXPECT(p.s.heard > 100000);
    EXPECT(most >= 32 && most <= 512);
    pair_close(&p);
}

static void heal_among_two(struct pair *p)
{
    at(p, 1000);
    cut(p, true, true, drop);
    struct host *third = world_host(&p->t.world, NULL);
    (void)simlink_cut(&p->t.world, third, p->server, &drop);
    at(p, 1100);
    struct host *both[2] = {p->server, p->client};
    simlink_heal_among(&p->t.world, both, 2);
    EXPECT(simlink_passes(&p->t.world, p->client, p->server, 1));
    EXPECT(simlink_passes(&p->t.world, p->server, p->client, 1));
    EXPECT(!simlink_passes(&p->t.world, third, p->server, 1));
}

/* A core can be made whole while the rest stays broken. */
static void test_simlink__a_core_heals_alone(void)
{
    struct pair p;
    pair_open(&p, 17);
    both_talk(&p, 4000);
    p.steer = heal_among_two;
    pair_run(&p);
    EXPECT(talker_heard(&p.s, 1101, 4000) > 2500);
    pair_close(&p);
}

TAP_MAIN({
    RUN(test_simlink__old_bytes_arrive_late_after_a_heal);
    RUN(test_simlink__a_one_way_cut_cuts_one_way);
    RUN(test_simlink__without_acknowledgements_the_way_back_falls_silent);
    RUN(test_simlink__unacknowledged_bytes_time_out_too);
    RUN(test_simlink__the_user_timeout_ends_it);
    RUN(test_simlink__without_one_it_takes_a_quarter_of_an_hour);
    RUN(test_simlink__who_was_forgotten_is_reset_after_the_heal);
    RUN(test_simlink__connecting_through_a_cut);
    RUN(test_simlink__the_next_syn_finds_the_healed_link);
    RUN(test_simlink__rejecting_routers_and_resetting_firewalls);
    RUN(test_simlink__a_port_can_be_cut_and_all_but_it);
    RUN(test_simlink__an_mtu_hole_takes_what_is_big);
    RUN(test_simlink__one_connection_can_fall_silent);
    RUN(test_simlink__cuts_overlap_and_end_one_by_one);
    RUN(test_simlink__bandwidth_is_shared_by_all_connections);
    RUN(test_simlink__a_bulk_transfer_starves_heartbeats);
    RUN(test_simlink__a_clog_ends);
    RUN(test_simlink__latency_is_a_links_own);
    RUN(test_simlink__profiles_are_what_their_names_say);
    RUN(test_simlink__loss_is_delay);
    RUN(test_simlink__flips_are_counted);
    RUN(test_simlink__a_run_is_a_function_of_its_seed);
    RUN(test_simlink__a_busy_queue_stays_small);
    RUN(test_simlink__a_core_heals_alone);
})
