/* test_simnet.c - the simulated network, seen through the Env by small programs. */
#include "sim/proc.h"

#include "base/hash.h"
#include "tests/sim/simtest.h"
#include "tests/tap.h"

#include <stdio.h>

#define MS    1000000u
#define S     1000000000u
#define BYTES 200000u

/* What two programs do and see. */
struct talk {
    struct proc *server_proc;
    uint64_t sent, received;
    uint64_t sent_hash, received_hash;
    enum status last;
    enum status connected;
    uint64_t when;
    int backlog;
    int opened;
    unsigned events;
    bool hold; /* the server keeps the connection without reading */
};

static const struct env_addr server_addr = {.family = 4, .port = 4000, .ip = {10, 0, 0, 1}};

static enum status wait_for(struct env *env, int fd, unsigned interest, uint64_t ms)
{
    struct env_event ev[4];
    int poller, n = 0;
    uint64_t until = env_clock_mono(env) + ms * MS;
    if (env_poller_open(env, &poller) != ST_OK) {
        return ST_MFILE;
    }
    enum status st = env_poller_set(env, poller, fd, interest, 1);
    while (st == ST_OK && n == 0 && env_clock_mono(env) < until) {
        st = env_poller_wait(env, poller, ev, 4, until, &n);
        st = st == ST_INTR ? ST_OK : st;
    }
    (void)env_fd_close(env, poller);
    return st == ST_OK && n == 0 ? ST_TIMEOUT : st;
}

static enum status accept_one(struct env *env, int listener, int *fd)
{
    enum status st;
    while ((st = env_sock_accept(env, listener, fd, NULL)) == ST_AGAIN || st == ST_INTR) {
        enum status waited = wait_for(env, listener, ENV_IN, 200000);
        if (waited != ST_OK) {
            return waited;
        }
    }
    return st;
}

static enum status connect_to(struct env *env, const struct env_addr *addr, int *fd)
{
    enum status st = env_sock_connect(env, addr, fd);
    if (st != ST_INPROGRESS) {
        return st;
    }
    st = wait_for(env, *fd, ENV_OUT, 200000);
    return st == ST_OK ? env_sock_error(env, *fd) : st;
}

/* Reads to the end of the stream. */
static int reader_main(struct env *env, int argc, char **argv)
{
    struct talk *t = proc_of(env)->user;
    char piece[1000];
    size_t got;
    int listener, fd;
    (void)argc;
    (void)argv;
    if (env_sock_listen(env, &server_addr, 8, &listener) != ST_OK ||
        accept_one(env, listener, &fd) != ST_OK) {
        return 1;
    }
    for (;;) {
        t->last = env_sock_read(env, fd, piece, sizeof piece, &got);
        if (t->last == ST_AGAIN) {
            t->last = wait_for(env, fd, ENV_IN, 2000000);
            if (t->last != ST_OK) {
                break;
            }
            continue;
        }
        if (t->last == ST_INTR) {
            continue;
        }
        if (t->last != ST_OK || got == 0) {
            break;
        }
        for (size_t i = 0; i < got; i++) {
            t->received_hash = hash_add(t->received_hash, (unsigned char)piece[i]);
        }
        t->received += got;
    }
    (void)env_fd_close(env, fd);
    (void)env_fd_close(env, listener);
    return 0;
}

static int writer_main(struct env *env, int argc, char **argv)
{
    struct talk *t = proc_of(env)->user;
    char piece[777];
    int fd = -1;
    (void)argc;
    (void)argv;
    env_sleep_until(env, env_clock_mono(env) + MS);
    t->connected = connect_to(env, &server_addr, &fd);
    while (t->connected == ST_OK && t->sent < BYTES) {
        for (size_t i = 0; i < sizeof piece; i++) {
            piece[i] = (char)(hash_mix(t->sent + i) & 127);
        }
        struct env_slice part = {piece, sizeof piece};
        size_t put = 0;
        enum status st = env_sock_write(env, fd, &part, 1, &put);
        if (st == ST_AGAIN) {
            st = wait_for(env, fd, ENV_OUT, 2000000);
            if (st != ST_OK) {
                return 1;
            }
            continue;
        }
        if (st == ST_INTR) {
            continue;
        }
        if (st != ST_OK) {
            return 1;
        }
        for (size_t i = 0; i < put; i++) {
            t->sent_hash = hash_add(t->sent_hash, (unsigned char)piece[i]);
        }
        t->sent += put;
    }
    if (fd >= 0) {
        (void)env_fd_close(env, fd);
    }
    return 0;
}

/* Through any buffers and any splits, the stream arrives whole and in order, then its end. */
static void test_simnet__streams_arrive_whole(void)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct simtest t = {0};
        struct talk talk = {0};
        plan_init(&t.plan, simmem(), seed);
        t.plan.value[PLAN_NET_SPLIT] = 400000;
        t.plan.value[PLAN_NET_INTR] = 5000;
        t.plan.value[PLAN_NET_SPURIOUS] = 20000;
        t.plan.value[PLAN_NET_TAIL] = 10000;
        t.plan.value[PLAN_NET_BUFFER] = seed % 2 == 0 ? 4096 : 64;
        t.plan.value[PLAN_POLICY] = seed % 6;
        simtest_open_plan(&t);
        t.world.faults = true;
        (void)simtest_start(&t, t.host, "reader", reader_main, &talk);
        (void)simtest_start(&t, world_host(&t.world, NULL), "writer", writer_main, &talk);
        EXPECT(simtest_run(&t));
        EXPECT(talk.sent >= BYTES && talk.received == talk.sent);
        EXPECT(talk.received_hash == talk.sent_hash);
        EXPECT(talk.last == ST_OK);
        simtest_close(&t);
    }
}

static int connect_main(struct env *env, int argc, char **argv)
{
    struct talk *t = proc_of(env)->user;
    int fd = -1;
    (void)argc;
    (void)argv;
    uint64_t from = env_clock_mono(env);
    t->connected = connect_to(env, &server_addr, &fd);
    t->when = env_clock_mono(env) - from;
    (void)env_fd_close(env, fd);
    return 0;
}

static void test_simnet__nobody_listens(void)
{
    struct simtest t;
    struct talk talk = {0};
    simtest_open(&t, 1);
    (void)simtest_start(&t, world_host(&t.world, NULL), "client", connect_main, &talk);
    EXPECT(simtest_run(&t));
    EXPECT(talk.connected == ST_REFUSED);
    simtest_close(&t);
}

static void test_simnet__no_such_host(void)
{
    struct simtest t;
    struct talk talk = {0};
    simtest_open(&t, 1);
    (void)simtest_start(&t, t.host, "client", connect_main, &talk);
    t.host->address = 9; /* the address 10.0.0.1 is nobody's now */
    EXPECT(simtest_run(&t));
    EXPECT(talk.connected == ST_UNREACH);
    simtest_close(&t);
}

static void test_simnet__a_dead_host_times_out(void)
{
    struct simtest t;
    struct talk talk = {0};
    simtest_open(&t, 1);
    struct host *other = world_host(&t.world, NULL);
    host_power_off(t.host, SIMDISK_DROP_ALL);
    (void)simtest_start(&t, other, "client", connect_main, &talk);
    EXPECT(simtest_run(&t));
    EXPECT(talk.connected == ST_TIMEOUT);
    EXPECT(talk.when > 100 * (uint64_t)S);
    simtest_close(&t);
}

/* Accepts, then does nothing until it is killed. */
static int holder_main(struct env *env, int argc, char **argv)
{
    struct talk *t = proc_of(env)->user;
    int listener, fd;
    (void)argc;
    (void)argv;
    if (env_sock_listen(env, &server_addr, t->backlog, &listener) != ST_OK) {
        return 1;
    }
    if (!t->hold) {
        if (accept_one(env, listener, &fd) != ST_OK) {
            return 1;
        }
        t->opened = fd;
        size_t put;
        struct env_slice last = {"bye", 3};
        if (env_sock_write(env, fd, &last, 1, &put) != ST_OK) {
            return 1;
        }
    }
    t->server_proc = proc_of(env);
    env_sleep_until(env, env_clock_mono(env) + 3000u * (uint64_t)S);
    return 0;
}

/* Connects, reads what there is, then waits for the end however it comes. */
static int last_words_main(struct env *env, int argc, char **argv)
{
    struct talk *t = proc_of(env)->user;
    char piece[16];
    size_t got = 0;
    int fd = -1;
    (void)argc;
    (void)argv;
    env_sleep_until(env, env_clock_mono(env) + MS);
    t->connected = connect_to(env, &server_addr, &fd);
    while (t->connected == ST_OK) {
        t->last = env_sock_read(env, fd, piece, sizeof piece, &got);
        if (t->last == ST_AGAIN) {
            if (wait_for(env, fd, ENV_IN, 60000) != ST_OK) {
                t->last = ST_TIMEOUT;
                break;
            }
            continue;
        }
        if (t->last != ST_OK || got == 0) {
            break;
        }
        t->received += got;
    }
    t->when = env_clock_mono(env);
    (void)env_fd_close(env, fd);
    return 0;
}

struct killer {
    struct simtest *t;
    struct talk *talk;
    bool power;
};

static void killer_body(void *arg)
{
    struct killer *k = arg;
    struct sched *s = &k->t->world.sched;
    while (k->talk->server_proc == NULL) {
        task_sleep_until(s, s->now + MS);
    }
    task_sleep_until(s, s->now + (k->power ? 50 * MS : 0));
    if (k->power) {
        host_power_off(k->t->host, SIMDISK_DROP_ALL);
    } else {
        proc_kill(k->talk->server_proc);
    }
}

static void run_killed(bool power, struct talk *talk)
{
    struct simtest t;
    struct list tasks;
    simtest_open(&t, 5);
    list_init(&tasks);
    talk->backlog = 4;
    struct killer k = {&t, talk, power};
    (void)simtest_start(&t, t.host, "server", holder_main, talk);
    (void)simtest_start(&t, world_host(&t.world, NULL), "client", last_words_main, talk);
    (void)world_task(&t.world, "killer", &tasks, killer_body, &k);
    EXPECT(simtest_run(&t));
    while (!list_empty(&tasks)) {
        task_kill(LIST_ENTRY(tasks.next, struct task, link));
    }
    simtest_close(&t);
}

/* The bytes of a killed process arrive all the same, then the end of the stream. */
static void test_simnet__a_killed_process_is_still_heard(void)
{
    struct talk talk = {0};
    run_killed(false, &talk);
    EXPECT(talk.connected == ST_OK);
    EXPECT(talk.received == 3);
    EXPECT(talk.last == ST_OK);
}

/* A machine without power says nothing: the peer waits for as long as it likes. */
static void test_simnet__a_host_without_power_is_silent(void)
{
    struct talk talk = {0};
    run_killed(true, &talk);
    EXPECT(talk.received == 3);
    EXPECT(talk.last == ST_TIMEOUT);
}

static int crowd_main(struct env *env, int argc, char **argv)
{
    struct talk *t = proc_of(env)->user;
    int fds[3];
    (void)argc;
    (void)argv;
    env_sleep_until(env, env_clock_mono(env) + MS);
    for (int i = 0; i < 3; i++) {
        enum status st = env_sock_connect(env, &server_addr, &fds[i]);
        (void)st; /* in progress */
    }
    for (int i = 0; i < 3; i++) {
        t->opened += wait_for(env, fds[i], ENV_OUT, 100) == ST_OK;
    }
    for (int i = 0; i < 3; i++) {
        (void)env_fd_close(env, fds[i]);
    }
    world_stop(proc_of(env)->world);
    return 0;
}

/* A listener that does not accept: as many connect as its backlog holds and, as on Linux, one
 * more; the rest waits. */
static void test_simnet__the_backlog_is_bounded(void)
{
    struct simtest t;
    struct talk talk = {.backlog = 1, .hold = true};
    simtest_open(&t, 5);
    (void)simtest_start(&t, t.host, "server", holder_main, &talk);
    (void)simtest_start(&t, world_host(&t.world, NULL), "crowd", crowd_main, &talk);
    EXPECT(simtest_run(&t));
    EXPECT(talk.opened == 2);
    simtest_close(&t);
}

static int edge_main(struct env *env, int argc, char **argv)
{
    struct talk *t = proc_of(env)->user;
    struct env_event ev[2];
    int fd = -1, poller, n;
    char one;
    size_t got;
    (void)argc;
    (void)argv;
    env_sleep_until(env, env_clock_mono(env) + MS);
    t->connected = connect_to(env, &server_addr, &fd);
    bool ok = t->connected == ST_OK && wait_for(env, fd, ENV_IN, 1000) == ST_OK;
    ok = ok && env_poller_open(env, &poller) == ST_OK;
    ok = ok && env_poller_set(env, poller, fd, ENV_IN | ENV_EDGE, 7) == ST_OK;
    for (int i = 0; ok && i < 3; i++) { /* one arrival, however much is left unread */
        uint64_t until = env_clock_mono(env) + 10 * MS;
        ok = env_poller_wait(env, poller, ev, 2, until, &n) == ST_OK;
        t->events += (unsigned)n;
        ok = ok && (i > 0 ||
                    (n == 1 && ev[0].token == 7 && env_sock_read(env, fd, &one, 1, &got) == ST_OK));
    }
    (void)env_fd_close(env, fd);
    world_stop(proc_of(env)->world);
    return ok ? 0 : 1;
}

static void test_simnet__edges_are_reported_once(void)
{
    struct simtest t;
    struct talk talk = {.backlog = 2};
    simtest_open(&t, 5);
    (void)simtest_start(&t, t.host, "server", holder_main, &talk);
    struct proc *p = simtest_start(&t, world_host(&t.world, NULL), "edge", edge_main, &talk);
    EXPECT(simtest_run(&t));
    EXPECT(p->exit_code == 0);
    EXPECT(talk.events == 1);
    simtest_close(&t);
}

/* Fills the buffer to its last byte, so that no write was ever cut short, then waits for room. */
static int filler_main(struct env *env, int argc, char **argv)
{
    static const char piece[65536];
    struct talk *t = proc_of(env)->user;
    struct env_slice part = {piece, sizeof piece};
    size_t put = 0;
    int fd = -1;
    (void)argc;
    (void)argv;
    env_sleep_until(env, env_clock_mono(env) + MS);
    t->connected = connect_to(env, &server_addr, &fd);
    bool ok = t->connected == ST_OK && env_sock_write(env, fd, &part, 1, &put) == ST_OK &&
              put == sizeof piece && wait_for(env, fd, ENV_OUT, 1000) == ST_OK;
    (void)env_fd_close(env, fd);
    return ok ? 0 : 1;
}

static void test_simnet__room_after_an_exact_fill_is_told(void)
{
    struct simtest t;
    struct talk talk = {0};
    simtest_open(&t, 5);
    (void)simtest_start(&t, t.host, "server", reader_main, &talk);
    struct proc *p = simtest_start(&t, world_host(&t.world, NULL), "filler", filler_main, &talk);
    EXPECT(simtest_run(&t));
    EXPECT(p->exit_code == 0);
    simtest_close(&t);
}

TAP_MAIN({
    RUN(test_simnet__room_after_an_exact_fill_is_told);
    RUN(test_simnet__streams_arrive_whole);
    RUN(test_simnet__nobody_listens);
    RUN(test_simnet__no_such_host);
    RUN(test_simnet__a_dead_host_times_out);
    RUN(test_simnet__a_killed_process_is_still_heard);
    RUN(test_simnet__a_host_without_power_is_silent);
    RUN(test_simnet__the_backlog_is_bounded);
    RUN(test_simnet__edges_are_reported_once);
})
