/* test_simtcp.c - what the kernels at both ends of a simulated connection do when machines, ports,
 * descriptors and accept queues fail them. */
#include "sim/simnet_int.h"

#include "tests/sim/simtest.h"
#include "tests/sim/talker.h"
#include "tests/tap.h"

#include <stdio.h>
#include <string.h>

#define MS 1000000u
#define S  1000000000u

#define TALKERS 8

/* A server on the first host, clients on others, and somebody who steers. */
struct stage {
    struct simtest t;
    struct host *hosts[TALKERS];
    struct talker talkers[TALKERS]; /* 0: the server */
    size_t count;
    struct list tasks;
    void (*steer)(struct stage *g);
    uint64_t asked;
};

static void steer_body(void *arg)
{
    struct stage *g = arg;
    g->steer(g);
}

static void at(struct stage *g, uint64_t ms)
{
    task_sleep_until(&g->t.world.sched, ms * MS);
}

static void stage_open(struct stage *g, uint64_t seed, size_t count, uint64_t end_ms)
{
    memset(g, 0, sizeof *g);
    plan_init(&g->t.plan, simmem(), seed);
    list_init(&g->tasks);
    g->count = count;
    for (size_t i = 0; i < count; i++) {
        g->talkers[i] = (struct talker){.end_ms = end_ms, .start_ms = i > 0 ? 1 : 0};
    }
}

static void stage_start(struct stage *g, size_t i)
{
    char name[12];
    (void)snprintf(name, sizeof name, "%s%u", i == 0 ? "server" : "client", (unsigned)i % 100);
    g->talkers[i].peer = i == 0 ? NULL : g->hosts[0];
    (void)simtest_start(&g->t, g->hosts[i], name, talker_main, &g->talkers[i]);
}

static void stage_run(struct stage *g)
{
    simtest_open_plan(&g->t);
    g->t.world.faults = true;
    for (size_t i = 0; i < g->count; i++) {
        g->hosts[i] = i == 0 ? g->t.host : world_host(&g->t.world, NULL);
    }
    for (size_t i = 0; i < g->count; i++) {
        stage_start(g, i);
    }
    if (g->steer != NULL) {
        (void)world_task(&g->t.world, "steer", &g->tasks, steer_body, g);
    }
    EXPECT(simtest_run(&g->t));
}

static void stage_close(struct stage *g)
{
    while (!list_empty(&g->tasks)) {
        task_kill(LIST_ENTRY(g->tasks.next, struct task, link));
    }
    simtest_close(&g->t);
}

/* ---- machines ---- */

static void power_off_at_1_on_at_3(struct stage *g)
{
    at(g, 1000);
    host_power_off(g->hosts[0], SIMDISK_DROP_ALL);
    at(g, 3000);
    host_power_on(g->hosts[0]);
}

static void power_off_at_1(struct stage *g)
{
    at(g, 1000);
    host_power_off(g->hosts[0], SIMDISK_DROP_ALL);
}

/* Power loss: silence; after the reboot the first packet of an old connection is answered by RST.
 */
static void test_simtcp__a_rebooted_host_resets_old_connections(void)
{
    struct stage g;
    stage_open(&g, 1, 2, 20000);
    g.talkers[0].end_ms = 0;
    g.talkers[1].size = 10;
    g.talkers[1].gap_ms = 10;
    g.steer = power_off_at_1_on_at_3;
    stage_run(&g);
    EXPECT(g.talkers[1].end == ST_RESET);
    EXPECT(g.talkers[1].ended_at > 3000 * (uint64_t)MS &&
           g.talkers[1].ended_at < 7000 * (uint64_t)MS);
    stage_close(&g);
}

/* While it is silent, what is written fills the buffer; then nothing more is taken. */
static void test_simtcp__writes_to_a_silent_host_fill_the_buffer(void)
{
    struct stage g;
    stage_open(&g, 1, 2, 20000);
    g.t.plan.value[PLAN_NET_BUFFER] = 4096;
    g.talkers[1].size = 100;
    g.talkers[1].gap_ms = 10;
    g.talkers[1].user_timeout_ms = 9000;
    g.steer = power_off_at_1;
    stage_run(&g);
    EXPECT(g.talkers[1].said >= g.talkers[0].heard + 4096);
    EXPECT(g.talkers[1].said <= g.talkers[0].heard + 4096 + 200);
    EXPECT(g.talkers[1].end == ST_TIMEOUT);
    EXPECT(g.talkers[1].ended_at > 10000 * (uint64_t)MS &&
           g.talkers[1].ended_at < 10100 * (uint64_t)MS);
    stage_close(&g);
}

/* Bytes that wait for bandwidth when the power goes were never sent. */
static void test_simtcp__what_waits_for_bandwidth_dies_with_its_host(void)
{
    struct stage g;
    stage_open(&g, 1, 2, 20000);
    g.t.plan.value[PLAN_NET_BANDWIDTH] = 10000;
    g.talkers[0].size = 4000; /* it loses its power in the middle of 64 KiB */
    g.steer = power_off_at_1;
    stage_run(&g);
    EXPECT(g.talkers[1].heard > 3000 && g.talkers[1].heard < 11000);
    EXPECT(g.talkers[1].last_at < 1010 * (uint64_t)MS);
    stage_close(&g);
}

static void pause_from_1_to_5(struct stage *g)
{
    at(g, 1000);
    proc_pause(g->talkers[0].proc);
    at(g, 5000);
    g->asked = simlink_state(&g->t.world, g->hosts[1], g->hosts[0]).in_flight;
    proc_resume(g->talkers[0].proc);
}

/* A paused process's kernel takes bytes until its buffer is full (a zero window), then none; after
 * the pause they are all there. The listener goes on taking connections, too. */
static void test_simtcp__a_paused_process_has_a_window_that_closes(void)
{
    struct stage g;
    stage_open(&g, 2, 2, 8000);
    g.t.plan.value[PLAN_NET_BUFFER] = 4096;
    g.talkers[1].size = 100;
    g.talkers[1].gap_ms = 10;
    g.steer = pause_from_1_to_5;
    stage_run(&g);
    EXPECT(g.asked == 4096); /* and 4096 more in the receiver's buffer */
    EXPECT(talker_heard(&g.talkers[0], 1010, 5000) == 0);
    EXPECT(talker_heard(&g.talkers[0], 5000, 5100) >= 8192);
    EXPECT(g.talkers[0].wrong == 0 && g.talkers[1].end == ST_OK);
    stage_close(&g);
}

/* The server never reads. Without a user timeout the client waits for as long as it is answered:
 * for ever, or until the server's machine has been off; with one, not longer than that. */
static void never_read(void (*steer)(struct stage *g), int user_timeout_ms, enum status end,
                       uint64_t from_ms, uint64_t to_ms)
{
    struct stage g;
    stage_open(&g, 2, 2, 60000);
    g.t.plan.value[PLAN_NET_BUFFER] = 4096;
    g.talkers[0].deaf = true;
    g.talkers[0].end_ms = 70000;
    g.talkers[1].size = 100;
    g.talkers[1].gap_ms = 5;
    g.talkers[1].user_timeout_ms = user_timeout_ms;
    g.steer = steer;
    stage_run(&g);
    EXPECT(g.talkers[1].said == 8192);
    EXPECT(g.talkers[1].end == end);
    EXPECT(g.talkers[1].ended_at >= from_ms * MS && g.talkers[1].ended_at <= to_ms * MS);
    stage_close(&g);
}

static void test_simtcp__a_closed_window_is_waited_for_and_asked_about(void)
{
    never_read(NULL, 0, ST_OK, 60000, 60100);
    never_read(power_off_at_1_on_at_3, 0, ST_RESET, 3000, 6000);
    never_read(NULL, 5000, ST_TIMEOUT, 5000, 5500);
    never_read(power_off_at_1, 5000, ST_TIMEOUT, 5000, 6500);
}

static void slow_from_1_on(struct stage *g)
{
    at(g, 1000);
    simlink_clog(&g->t.world, g->hosts[1], g->hosts[0], 100);
}

static void pause_for_a_moment(struct stage *g)
{
    at(g, 1000);
    proc_pause(g->talkers[0].proc);
    at(g, 1200);
    proc_resume(g->talkers[0].proc);
}

/* What is slow beyond the user timeout ends as what is lost does; a window that was closed for a
 * moment leaves no delay behind. */
static void test_simtcp__patience_ends_with_slow_links_too(void)
{
    struct stage g;
    stage_open(&g, 2, 2, 20000);
    g.talkers[1].size = 1000;
    g.talkers[1].gap_ms = 100;
    g.talkers[1].user_timeout_ms = 2000;
    g.steer = slow_from_1_on;
    stage_run(&g);
    EXPECT(g.talkers[1].end == ST_TIMEOUT);
    EXPECT(g.talkers[1].ended_at > 3000 * (uint64_t)MS &&
           g.talkers[1].ended_at < 3200 * (uint64_t)MS);
    stage_close(&g);
    stage_open(&g, 2, 2, 5000);
    g.t.plan.value[PLAN_NET_BUFFER] = 256;
    g.talkers[1].size = 2000;
    g.talkers[1].gap_ms = 50;
    g.talkers[1].user_timeout_ms = 2000;
    g.steer = pause_for_a_moment;
    stage_run(&g);
    EXPECT(simnet_effect(g.t.world.net, SIMNET_WINDOW) > 0);
    for (size_t i = 1; i < g.talkers[0].entries; i++) {
        EXPECT(g.talkers[0].diary[i].at - g.talkers[0].diary[i - 1].at < 300 * MS);
    }
    stage_close(&g);
}

/* ---- keepalive ---- */

static void cut_at_1(struct stage *g)
{
    static const struct simlink_cut drop = {.mode = SIMLINK_DROP};
    at(g, 1000);
    (void)simlink_cut(&g->t.world, g->hosts[0], g->hosts[1], &drop);
    (void)simlink_cut(&g->t.world, g->hosts[1], g->hosts[0], &drop);
}

static void cut_from_1_to_9(struct stage *g)
{
    cut_at_1(g);
    at(g, 9000);
    simlink_heal_all(&g->t.world);
}

static void idle_pair(void (*steer)(struct stage *g), int keepalive_s, int user_timeout_ms,
                      enum status end, uint64_t from_ms, uint64_t to_ms)
{
    struct stage g;
    stage_open(&g, 3, 2, 60000);
    g.talkers[0].end_ms = 100000;
    g.talkers[1].size = 10;
    g.talkers[1].words = 3;
    g.talkers[1].gap_ms = 100;
    g.talkers[1].keepalive_s = keepalive_s;
    g.talkers[1].user_timeout_ms = user_timeout_ms;
    g.steer = steer;
    stage_run(&g);
    EXPECT(g.talkers[1].end == end);
    EXPECT(g.talkers[1].ended_at >= from_ms * MS && g.talkers[1].ended_at <= to_ms * MS);
    stage_close(&g);
}

/* An idle connection lives forever; with keepalive its end is noticed: probes after so long, three
 * of them; what the user timeout leaves of that; RST from a machine that knows nothing of it. */
static void test_simtcp__keepalive_ends_what_nobody_answers(void)
{
    idle_pair(cut_at_1, 0, 0, ST_OK, 60000, 60100);
    idle_pair(cut_at_1, 6, 0, ST_TIMEOUT, 12000, 12500); /* 0.2 + 6 + 3 * 2, and it began at 0.2 */
    idle_pair(cut_at_1, 6, 9000, ST_TIMEOUT, 9000, 9500);
    idle_pair(power_off_at_1, 6, 0, ST_TIMEOUT, 12000, 12500);
    idle_pair(power_off_at_1_on_at_3, 6, 0, ST_RESET, 6000, 6500);
    idle_pair(cut_from_1_to_9, 6, 0, ST_OK, 60000, 60100);
}

/* ---- ports, descriptors, queues ---- */

static void few_ports(struct stage *g)
{
    g->hosts[1]->port_span = 2;
}

/* N21: with two ports two connections to one place can be had, and a third has no address. */
static void test_simtcp__ephemeral_ports_run_out(void)
{
    struct stage g;
    stage_open(&g, 4, 4, 2000);
    simtest_open_plan(&g.t);
    struct host *other = world_host(&g.t.world, NULL);
    g.hosts[0] = g.t.host;
    g.hosts[1] = other;
    few_ports(&g);
    g.talkers[0].hold = true;
    for (size_t i = 0; i < 4; i++) {
        g.hosts[i] = i == 0 ? g.hosts[0] : other;
        g.talkers[i].start_ms = 10 * i;
        stage_start(&g, i);
    }
    EXPECT(simtest_run(&g.t));
    EXPECT(g.talkers[1].connected == ST_OK && g.talkers[2].connected == ST_OK);
    EXPECT(g.talkers[3].connected == ST_UNREACH);
    stage_close(&g);
}

static void no_descriptors(struct stage *g)
{
    at(g, 100);
    proc_limit_fds(g->talkers[0].proc, 0);
    at(g, 2000);
    g->asked = (uint64_t)proc_fds_open(g->talkers[0].proc);
    proc_limit_fds(g->talkers[0].proc, -1);
}

static int patient_main(struct env *env, int argc, char **argv)
{
    static const struct env_addr here = {.family = 4, .port = 4000};
    struct talker *t = proc_of(env)->user;
    int listener, fd;
    (void)argc;
    (void)argv;
    t->proc = proc_of(env);
    if (env_sock_listen(env, &here, 8, &listener) != ST_OK) {
        return 1;
    }
    for (;;) {
        enum status st = env_sock_accept(env, listener, &fd, NULL);
        t->wrong += st == ST_MFILE;
        if (st == ST_OK) {
            break;
        }
        env_sleep_until(env, env_clock_mono(env) + 10 * MS);
    }
    t->connected_at = proc_of(env)->world->sched.now;
    return 0;
}

/* N9: accept says so, the connection stays queued, and is there when the limit is lifted. */
static void test_simtcp__without_descriptors_connections_stay_queued(void)
{
    struct stage g;
    stage_open(&g, 5, 2, 4000);
    simtest_open_plan(&g.t);
    g.hosts[0] = g.t.host;
    g.hosts[1] = world_host(&g.t.world, NULL);
    g.steer = no_descriptors;
    g.talkers[1].start_ms = 500;
    (void)simtest_start(&g.t, g.hosts[0], "server", patient_main, &g.talkers[0]);
    stage_start(&g, 1);
    (void)world_task(&g.t.world, "steer", &g.tasks, steer_body, &g);
    EXPECT(simtest_run(&g.t));
    EXPECT(g.asked == 1); /* the listener alone */
    EXPECT(g.talkers[0].wrong > 100);
    EXPECT(g.talkers[1].connected == ST_OK && g.talkers[1].connected_at < 520 * (uint64_t)MS);
    EXPECT(g.talkers[0].connected_at > 2000 * (uint64_t)MS);
    stage_close(&g);
}

/* Nobody accepts; a backlog of one takes two. */
static void crowd(struct stage *g, uint64_t abort, uint64_t server_end_ms)
{
    stage_open(g, 6, 4, 80000);
    g->t.plan.value[PLAN_NET_OVERFLOW] = 1000000;
    g->t.plan.value[PLAN_NET_OVERFLOW_ABORT] = abort;
    g->talkers[0].backlog = 1;
    g->talkers[0].hold = true;
    g->talkers[0].end_ms = server_end_ms;
    for (size_t i = 1; i < 4; i++) {
        g->talkers[i].start_ms = 10 * i;
    }
    g->talkers[3].size = 10;
    g->talkers[3].gap_ms = 1000;
}

/* N8 as Linux has it by default: the client believes that it is connected, what it says goes
 * nowhere, and after a minute it is told. */
static void test_simtcp__a_full_queue_leaves_half_a_connection(void)
{
    struct stage g;
    crowd(&g, 0, 100000);
    stage_run(&g);
    const struct talker *t = &g.talkers[3];
    EXPECT(t->connected == ST_OK && t->connected_at < 40 * MS);
    EXPECT(t->end == ST_RESET && t->ended_at > 60 * (uint64_t)S);
    EXPECT(t->said > 500);
    EXPECT(g.t.world.injected[PLAN_NET_OVERFLOW] == 1);
    stage_close(&g);
}

/* With tcp_abort_on_overflow it is told at once. */
static void test_simtcp__or_is_reset_at_once(void)
{
    struct stage g;
    crowd(&g, 1, 100000);
    stage_run(&g);
    const struct talker *t = &g.talkers[3];
    EXPECT(t->connected == ST_OK || t->connected == ST_RESET);
    EXPECT(t->end == ST_RESET && t->ended_at < 50 * MS);
    stage_close(&g);
}

static int late_accepter_main(struct env *env, int argc, char **argv)
{
    static const struct env_addr here = {.family = 4, .port = 4000};
    struct talker *t = proc_of(env)->user;
    int listener, fd;
    char piece[100];
    size_t got = 0;
    (void)argc;
    (void)argv;
    if (env_sock_listen(env, &here, 1, &listener) != ST_OK) {
        return 1;
    }
    env_sleep_until(env, env_clock_mono(env) + 20 * (uint64_t)S);
    for (unsigned i = 0; i < 3000 && t->heard == 0; i++) {
        if (env_sock_accept(env, listener, &fd, NULL) == ST_OK) {
            t->words++;
        }
        env_sleep_until(env, env_clock_mono(env) + 10 * MS);
        if (t->words == 3 && env_sock_read(env, fd, piece, sizeof piece, &got) == ST_OK) {
            t->heard = got;
            t->first_at = proc_of(env)->world->sched.now;
        }
    }
    return 0;
}

/* When the queue drains in time, the half becomes a whole and what was said arrives. */
static void test_simtcp__half_a_connection_becomes_whole(void)
{
    struct stage g;
    crowd(&g, 0, 100000);
    simtest_open_plan(&g.t);
    g.t.world.faults = true;
    for (size_t i = 0; i < 4; i++) {
        g.hosts[i] = i == 0 ? g.t.host : world_host(&g.t.world, NULL);
    }
    g.talkers[3].words = 2;
    (void)simtest_start(&g.t, g.hosts[0], "server", late_accepter_main, &g.talkers[0]);
    for (size_t i = 1; i < 4; i++) {
        stage_start(&g, i);
    }
    EXPECT(simtest_run(&g.t));
    EXPECT(g.talkers[0].heard > 0 && g.talkers[0].first_at < 63 * (uint64_t)S);
    stage_close(&g);
}

/* A client that gave up meanwhile is not handed to the server any more. */
static void test_simtcp__half_a_connection_ends_with_its_client(void)
{
    struct stage g;
    crowd(&g, 0, 100000);
    simtest_open_plan(&g.t);
    g.t.world.faults = true;
    for (size_t i = 0; i < 4; i++) {
        g.hosts[i] = i == 0 ? g.t.host : world_host(&g.t.world, NULL);
    }
    g.talkers[3].user_timeout_ms = 2000;
    (void)simtest_start(&g.t, g.hosts[0], "server", late_accepter_main, &g.talkers[0]);
    for (size_t i = 1; i < 4; i++) {
        stage_start(&g, i);
    }
    EXPECT(simtest_run(&g.t));
    EXPECT(g.talkers[3].end == ST_TIMEOUT && g.talkers[0].words == 2);
    stage_close(&g);
}

/* ---- addresses ---- */

/* Host 300 is not host 44. */
static void test_simtcp__a_world_has_more_than_255_hosts(void)
{
    struct simtest t;
    struct talker s = {.end_ms = 1000},
                  c = {.end_ms = 1000, .size = 10, .words = 1, .start_ms = 10};
    struct talker nobody = {.end_ms = 1000, .start_ms = 10};
    simtest_open(&t, 1);
    for (int i = 0; i < 400; i++) {
        (void)world_host(&t.world, NULL);
    }
    c.peer = t.world.hosts[299];
    nobody.peer = t.world.hosts[43];
    (void)simtest_start(&t, t.world.hosts[299], "server", talker_main, &s);
    (void)simtest_start(&t, t.world.hosts[399], "client", talker_main, &c);
    (void)simtest_start(&t, t.world.hosts[398], "client2", talker_main, &nobody);
    EXPECT(simtest_run(&t));
    EXPECT(c.connected == ST_OK && s.heard == 10);
    EXPECT(nobody.connected == ST_REFUSED);
    simtest_close(&t);
}

static void swap_addresses(struct stage *g)
{
    at(g, 500);
    uint32_t first = g->hosts[0]->address;
    g->hosts[0]->address = g->hosts[1]->address;
    g->hosts[1]->address = first;
}

/* N19: an address can become another host's; connections that stand stay where they are. */
static void test_simtcp__an_address_can_move(void)
{
    struct stage g;
    stage_open(&g, 8, 3, 2000);
    simtest_open_plan(&g.t);
    for (size_t i = 0; i < 3; i++) {
        g.hosts[i] = i == 0 ? g.t.host : world_host(&g.t.world, NULL);
    }
    struct talker heir = {.end_ms = 2000};
    struct talker late = {.end_ms = 2000, .size = 10, .words = 1, .start_ms = 1000};
    late.peer = g.hosts[1]; /* its address at that time was the first host's before */
    g.talkers[2].size = 10;
    g.talkers[2].gap_ms = 10;
    g.steer = swap_addresses;
    stage_start(&g, 0);
    stage_start(&g, 2);
    (void)simtest_start(&g.t, g.hosts[1], "heir", talker_main, &heir);
    (void)simtest_start(&g.t, g.hosts[2], "late", talker_main, &late);
    (void)world_task(&g.t.world, "steer", &g.tasks, steer_body, &g);
    EXPECT(simtest_run(&g.t));
    EXPECT(talker_heard(&g.talkers[0], 600, 2000) > 1000);
    EXPECT(late.connected == ST_OK && heir.heard == 10);
    stage_close(&g);
}

static void slow_way_back(struct stage *g)
{
    const struct simlink_profile back = {.latency_ns = 100 * MS};
    simlink_set_profile(&g->t.world, g->hosts[0], g->hosts[1], &back);
}

/* Who writes more often than the way back takes is told all the same that nobody listens. */
static void test_simtcp__a_quick_writer_is_reset_too(void)
{
    struct stage g;
    stage_open(&g, 9, 2, 4000);
    g.steer = slow_way_back;
    g.talkers[0].end_ms = 1000;
    g.talkers[1].size = 10;
    g.talkers[1].gap_ms = 10;
    g.talkers[1].deaf = true; /* it does not read that the server has ended */
    stage_run(&g);
    EXPECT(g.talkers[1].end == ST_RESET || g.talkers[1].end == ST_PIPE);
    EXPECT(g.talkers[1].ended_at < 2500 * (uint64_t)MS);
    stage_close(&g);
}

/* A port that a dead process had is free for the next, and an old segment meets a RST there. */
static void test_simtcp__a_restarted_process_has_its_port_and_no_old_connection(void)
{
    struct stage g;
    stage_open(&g, 9, 3, 3000);
    simtest_open_plan(&g.t);
    g.hosts[0] = g.t.host;
    g.hosts[1] = world_host(&g.t.world, NULL);
    g.hosts[2] = g.hosts[1];
    struct talker again = {.start_ms = 600, .end_ms = 3000};
    g.talkers[0].end_ms = 500; /* the first server ends, with a connection open */
    g.talkers[1].size = 10;
    g.talkers[1].gap_ms = 700;
    g.talkers[2].start_ms = 1000;
    g.talkers[2].size = 10;
    g.talkers[2].gap_ms = 10;
    stage_start(&g, 0);
    stage_start(&g, 1);
    stage_start(&g, 2);
    (void)simtest_start(&g.t, g.hosts[0], "again", talker_main, &again);
    EXPECT(simtest_run(&g.t));
    EXPECT(g.talkers[1].eof || g.talkers[1].end == ST_RESET);
    EXPECT(again.connected == ST_OK && again.heard > 1000 && again.wrong == 0);
    stage_close(&g);
}

/* ---- monitors ---- */

/* Told of a connection, it does not accept it: at once, or after some sleep. */
static int spinner_main(struct env *env, int argc, char **argv)
{
    static const struct env_addr here = {.family = 4, .port = 4000};
    struct talker *t = proc_of(env)->user;
    struct env_event ev[4];
    int listener, poller, n;
    (void)argc;
    (void)argv;
    if (env_sock_listen(env, &here, 8, &listener) != ST_OK ||
        env_poller_open(env, &poller) != ST_OK ||
        env_poller_set(env, poller, listener, ENV_IN, 1) != ST_OK) {
        return 1;
    }
    for (unsigned i = 0; i < 30000; i++) {
        if (env_poller_wait(env, poller, ev, 4, ENV_NEVER, &n) != ST_OK) {
            return 1;
        }
        t->said++;
        env_log(env, ENV_LOG_WARN, "there is somebody at the door");
        if (t->gap_ms > 0) {
            env_sleep_until(env, env_clock_mono(env) + t->gap_ms * MS);
        }
    }
    return 0;
}

static void spin(uint64_t gap_ms, bool found)
{
    struct stage g;
    stage_open(&g, 10, 2, 100);
    simtest_open_plan(&g.t);
    g.hosts[0] = g.t.host;
    g.hosts[1] = world_host(&g.t.world, NULL);
    g.talkers[0].gap_ms = gap_ms;
    g.talkers[1].end_ms = 0;
    struct proc *p = simtest_start(&g.t, g.hosts[0], "spinner", spinner_main, &g.talkers[0]);
    stage_start(&g, 1);
    bool ok = simtest_run(&g.t);
    EXPECT(ok == !found);
    EXPECT(!found || strcmp(g.t.world.failure.class, "busy loop") == 0);
    EXPECT(p->state == (found ? PROC_DIED : PROC_EXITED) && p->exit_code == 0);
    EXPECT(found ? g.talkers[0].said < 21000 : g.talkers[0].said == 30000);
    stage_close(&g);
}

static void test_simtcp__a_busy_loop_is_found(void)
{
    spin(0, true);
    spin(1, false);
}

/* Reads one byte of many after an edge, and waits for the next edge. */
static int forgetful_main(struct env *env, int argc, char **argv)
{
    static const struct env_addr here = {.family = 4, .port = 4000};
    struct talker *t = proc_of(env)->user;
    struct env_event ev[4];
    int listener, poller, n, fd = -1;
    char byte;
    size_t got;
    (void)argc;
    (void)argv;
    if (env_sock_listen(env, &here, 8, &listener) != ST_OK ||
        env_poller_open(env, &poller) != ST_OK) {
        return 1;
    }
    while (env_sock_accept(env, listener, &fd, NULL) != ST_OK) {
        env_sleep_until(env, env_clock_mono(env) + 10 * MS);
    }
    enum status st = env_poller_set(env, poller, fd, ENV_IN | (t->hold ? ENV_EDGE : 0), 1);
    uint64_t until = env_clock_mono(env) + 500 * MS;
    while (st == ST_OK && env_clock_mono(env) < until) {
        st = env_poller_wait(env, poller, ev, 4, until, &n);
        if (st == ST_OK && n > 0) {
            st = env_sock_read(env, fd, &byte, 1, &got);
        }
    }
    t->heard = simnet_unwatched(proc_of(env)->world->net, proc_of(env)->host);
    return st == ST_OK || st == ST_AGAIN ? 0 : 1;
}

/* What nobody will be told of is counted: bytes left after an edge. With levels there are none. */
static void test_simtcp__a_lost_wakeup_is_counted(void)
{
    for (int edge = 0; edge < 2; edge++) {
        struct stage g;
        stage_open(&g, 10, 2, 2000);
        simtest_open_plan(&g.t);
        g.hosts[0] = g.t.host;
        g.hosts[1] = world_host(&g.t.world, NULL);
        g.talkers[0].hold = edge == 1;
        g.talkers[1].size = 10;
        g.talkers[1].words = 1;
        (void)simtest_start(&g.t, g.hosts[0], "forgetful", forgetful_main, &g.talkers[0]);
        stage_start(&g, 1);
        EXPECT(simtest_run(&g.t));
        EXPECT(g.talkers[0].heard == (uint64_t)edge);
        stage_close(&g);
    }
}

TAP_MAIN({
    RUN(test_simtcp__a_busy_loop_is_found);
    RUN(test_simtcp__a_lost_wakeup_is_counted);
    RUN(test_simtcp__a_rebooted_host_resets_old_connections);
    RUN(test_simtcp__writes_to_a_silent_host_fill_the_buffer);
    RUN(test_simtcp__what_waits_for_bandwidth_dies_with_its_host);
    RUN(test_simtcp__a_paused_process_has_a_window_that_closes);
    RUN(test_simtcp__a_closed_window_is_waited_for_and_asked_about);
    RUN(test_simtcp__patience_ends_with_slow_links_too);
    RUN(test_simtcp__keepalive_ends_what_nobody_answers);
    RUN(test_simtcp__ephemeral_ports_run_out);
    RUN(test_simtcp__without_descriptors_connections_stay_queued);
    RUN(test_simtcp__a_full_queue_leaves_half_a_connection);
    RUN(test_simtcp__or_is_reset_at_once);
    RUN(test_simtcp__half_a_connection_becomes_whole);
    RUN(test_simtcp__half_a_connection_ends_with_its_client);
    RUN(test_simtcp__a_quick_writer_is_reset_too);
    RUN(test_simtcp__a_world_has_more_than_255_hosts);
    RUN(test_simtcp__an_address_can_move);
    RUN(test_simtcp__a_restarted_process_has_its_port_and_no_old_connection);
})
