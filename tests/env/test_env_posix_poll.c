/* test_env_posix_poll.c - pollers of the POSIX Env: readiness, edges, wakes, stops, deadlines. */
#include "env/env_posix.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdatomic.h>

#define MS      1000000u
#define LONG_NS 10000000000u /* a wait that takes this long has failed */

static const struct env_addr loopback = {.family = 4, .ip = {127, 0, 0, 1}};

/* One wait of at most ms; ST_INTR counts as nothing. */
static int wait_ms(struct env *e, int poller, struct env_event *ev, int max, uint64_t ms)
{
    int count = 0;
    uint64_t end = env_clock_mono(e) + ms * MS;
    while (env_poller_wait(e, poller, ev, max, end, &count) == ST_INTR) {
    }
    return count;
}

/* A connected pair of sockets, without the listener. */
static void make_pair(struct env *e, int *a, int *b)
{
    struct env_addr at, peer;
    struct env_event ev;
    int listener, poller;
    EXPECT(env_sock_listen(e, &loopback, 1, &listener) == ST_OK);
    EXPECT(env_sock_local(e, listener, &at) == ST_OK);
    EXPECT(env_poller_open(e, &poller) == ST_OK);
    enum status st = env_sock_connect(e, &at, a);
    EXPECT(st == ST_OK || st == ST_INPROGRESS);
    EXPECT(env_poller_set(e, poller, listener, ENV_IN, 0) == ST_OK);
    EXPECT(wait_ms(e, poller, &ev, 1, 10000) == 1);
    EXPECT(env_sock_accept(e, listener, b, &peer) == ST_OK);
    EXPECT(env_fd_close(e, listener) == ST_OK);
    EXPECT(env_fd_close(e, poller) == ST_OK);
}

static void put_byte(struct env *e, int fd)
{
    struct env_slice part = {"x", 1};
    size_t n;
    EXPECT(env_sock_write(e, fd, &part, 1, &n) == ST_OK);
}

static void test_poller__level_reports_states(void)
{
    struct tmpdir t;
    struct env_event ev[4];
    int p, a, b;
    size_t n;
    char c;
    tmpdir_make(&t);
    make_pair(t.env, &a, &b);
    EXPECT(env_poller_open(t.env, &p) == ST_OK);
    EXPECT(env_poller_set(t.env, p, a, ENV_IN, 77) == ST_OK);
    EXPECT(wait_ms(t.env, p, ev, 4, 0) == 0);
    put_byte(t.env, b);
    for (int i = 0; i < 3; i++) {
        EXPECT(wait_ms(t.env, p, ev, 4, 10000) == 1);
        EXPECT(ev[0].token == 77);
        EXPECT(ev[0].ready == ENV_IN);
    }
    EXPECT(env_poller_set(t.env, p, a, ENV_IN | ENV_OUT, 78) == ST_OK); /* replaces */
    EXPECT(wait_ms(t.env, p, ev, 4, 10000) == 1);
    EXPECT(ev[0].token == 78);
    EXPECT(ev[0].ready == (ENV_IN | ENV_OUT));
    EXPECT(env_sock_read(t.env, a, &c, 1, &n) == ST_OK);
    EXPECT(wait_ms(t.env, p, ev, 4, 10000) == 1);
    EXPECT(ev[0].ready == ENV_OUT);
    EXPECT(env_poller_set(t.env, p, a, 0, 0) == ST_OK);
    EXPECT(env_poller_set(t.env, p, a, 0, 0) == ST_OK); /* forgetting twice is harmless */
    EXPECT(wait_ms(t.env, p, ev, 4, 0) == 0);
    EXPECT(env_fd_close(t.env, a) == ST_OK);
    EXPECT(env_fd_close(t.env, b) == ST_OK);
    EXPECT(env_fd_close(t.env, p) == ST_OK);
    tmpdir_remove(&t);
}

static void test_poller__edge_reports_arrivals(void)
{
    struct tmpdir t;
    struct env_event ev[4];
    int p, a, b;
    tmpdir_make(&t);
    make_pair(t.env, &a, &b);
    EXPECT(env_poller_open(t.env, &p) == ST_OK);
    EXPECT(env_poller_set(t.env, p, a, ENV_IN | ENV_EDGE, 5) == ST_OK);
    for (int i = 0; i < 3; i++) {
        put_byte(t.env, b);
        EXPECT(wait_ms(t.env, p, ev, 4, 10000) == 1);
        EXPECT(ev[0].ready == ENV_IN);
        EXPECT(wait_ms(t.env, p, ev, 4, 0) == 0); /* bytes wait there, but none arrived */
    }
    EXPECT(env_fd_close(t.env, a) == ST_OK);
    EXPECT(env_fd_close(t.env, b) == ST_OK);
    EXPECT(env_fd_close(t.env, p) == ST_OK);
    tmpdir_remove(&t);
}

static void test_poller__closing_forgets(void)
{
    struct tmpdir t;
    struct env_event ev[4];
    int p, a, b;
    tmpdir_make(&t);
    make_pair(t.env, &a, &b);
    EXPECT(env_poller_open(t.env, &p) == ST_OK);
    EXPECT(env_poller_set(t.env, p, a, ENV_OUT, 5) == ST_OK);
    EXPECT(env_fd_close(t.env, a) == ST_OK);
    EXPECT(wait_ms(t.env, p, ev, 4, 0) == 0);
    EXPECT(env_fd_close(t.env, b) == ST_OK);
    EXPECT(env_fd_close(t.env, p) == ST_OK);
    tmpdir_remove(&t);
}

/* More ready descriptors than the caller takes at once: all come, in the end. */
static void test_poller__small_batches_reach_all(void)
{
    struct tmpdir t;
    struct env_event ev[3];
    int p, fds[20];
    unsigned seen = 0;
    tmpdir_make(&t);
    EXPECT(env_poller_open(t.env, &p) == ST_OK);
    for (int i = 0; i < 20; i += 2) {
        make_pair(t.env, &fds[i], &fds[i + 1]);
    }
    for (int i = 0; i < 20; i++) {
        EXPECT(env_poller_set(t.env, p, fds[i], ENV_OUT, (uint64_t)i) == ST_OK);
    }
    for (int round = 0; round < 40; round++) {
        int n = wait_ms(t.env, p, ev, 3, 10000);
        EXPECT(n >= 1 && n <= 3);
        for (int i = 0; i < n; i++) {
            seen |= 1u << ev[i].token;
        }
    }
    EXPECT(seen == (1u << 20) - 1);
    for (int i = 0; i < 20; i++) {
        EXPECT(env_fd_close(t.env, fds[i]) == ST_OK);
    }
    EXPECT(env_fd_close(t.env, p) == ST_OK);
    tmpdir_remove(&t);
}

static void test_poller__wrong_kinds_are_bad_descriptors(void)
{
    struct tmpdir t;
    struct env_event ev;
    int p, file, count;
    tmpdir_make(&t);
    EXPECT(env_poller_open(t.env, &p) == ST_OK);
    EXPECT(env_file_open(t.env, "f", ENV_WRITE | ENV_CREATE, &file) == ST_OK);
    EXPECT(env_poller_set(t.env, p, file, ENV_IN, 1) == ST_BADFD);
    EXPECT(env_poller_set(t.env, file, p, ENV_IN, 1) == ST_BADFD);
    EXPECT(env_poller_set(t.env, p, 12345, ENV_IN, 1) == ST_BADFD);
    EXPECT(env_poller_set(t.env, p, file, ENV_IN, UINT64_MAX) == ST_INVAL);
    EXPECT(env_poller_wait(t.env, file, &ev, 1, 0, &count) == ST_BADFD);
    EXPECT(env_stop_subscribe(t.env, file) == ST_BADFD);
    EXPECT(env_fd_close(t.env, file) == ST_OK);
    EXPECT(env_fd_close(t.env, p) == ST_OK);
    tmpdir_remove(&t);
}

/* Never early, and not late by more than a loaded machine explains. */
static void test_poller__deadlines_are_kept(void)
{
    struct tmpdir t;
    struct env_event ev;
    int p, count = 9;
    static const uint64_t waits[] = {0, 1, 300000, 1000000, 1700000, 20000000};
    tmpdir_make(&t);
    EXPECT(env_poller_open(t.env, &p) == ST_OK);
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        uint64_t end = env_clock_mono(t.env) + waits[i];
        EXPECT(env_poller_wait(t.env, p, &ev, 1, end, &count) == ST_OK);
        uint64_t now = env_clock_mono(t.env);
        EXPECT(count == 0);
        EXPECT(now >= end);
        EXPECT(now < end + LONG_NS);
    }
    EXPECT(env_poller_wait(t.env, p, &ev, 1, 1, &count) == ST_OK); /* long past */
    EXPECT(env_fd_close(t.env, p) == ST_OK);
    tmpdir_remove(&t);
}

/* A wake before the wait counts, once; wakes pile up to one; other pollers are not disturbed. */
static void test_poller__wake_is_remembered_once(void)
{
    struct tmpdir t;
    struct env_event ev;
    int p, q, count = 9;
    tmpdir_make(&t);
    EXPECT(env_poller_open(t.env, &p) == ST_OK);
    EXPECT(env_poller_open(t.env, &q) == ST_OK);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k <= i; k++) {
            env_poller_wake(t.env, p);
        }
        EXPECT(env_poller_wait(t.env, p, &ev, 1, ENV_NEVER, &count) == ST_OK);
        EXPECT(count == 0);
        uint64_t start = env_clock_mono(t.env);
        EXPECT(wait_ms(t.env, p, &ev, 1, 5) == 0);
        EXPECT(env_clock_mono(t.env) >= start + 5 * MS); /* not woken again */
        EXPECT(wait_ms(t.env, q, &ev, 1, 5) == 0);
        EXPECT(env_clock_mono(t.env) >= start + 10 * MS); /* never woken */
    }
    EXPECT(env_fd_close(t.env, p) == ST_OK);
    EXPECT(env_fd_close(t.env, q) == ST_OK);
    tmpdir_remove(&t);
}

struct waker {
    struct env *env;
    int poller;
    atomic_int rounds; /* waits that have returned */
    int total;
};

static void wake_each_round(void *arg)
{
    struct waker *w = arg;
    for (int i = 0; i < w->total; i++) {
        env_poller_wake(w->env, w->poller);
        while (atomic_load(&w->rounds) == i) {
            env_sleep_until(w->env, env_clock_mono(w->env) + 1000);
        }
    }
}

/* Each wake from another thread ends a wait that has no deadline: none is lost. */
static void test_poller__wake_from_another_thread(void)
{
    struct tmpdir t;
    struct env_thread th;
    struct env_event ev;
    struct waker w = {.total = 500};
    int count;
    tmpdir_make(&t);
    w.env = t.env;
    EXPECT(env_poller_open(t.env, &w.poller) == ST_OK);
    EXPECT(env_thread_start(t.env, &th, "waker", wake_each_round, &w) == ST_OK);
    for (int i = 0; i < w.total; i++) {
        EXPECT(env_poller_wait(t.env, w.poller, &ev, 1, ENV_NEVER, &count) == ST_OK);
        EXPECT(count == 0);
        atomic_fetch_add(&w.rounds, 1);
    }
    env_thread_join(t.env, &th);
    EXPECT(env_fd_close(t.env, w.poller) == ST_OK);
    tmpdir_remove(&t);
}

/* An event and a wake in one batch: the wake takes no place of the event. */
static void test_poller__wake_does_not_hide_events(void)
{
    struct tmpdir t;
    struct env_event ev[2];
    int p, a, b;
    tmpdir_make(&t);
    make_pair(t.env, &a, &b);
    EXPECT(env_poller_open(t.env, &p) == ST_OK);
    EXPECT(env_poller_set(t.env, p, a, ENV_OUT, 3) == ST_OK);
    env_poller_wake(t.env, p);
    int n = wait_ms(t.env, p, ev, 1, 10000) + wait_ms(t.env, p, ev, 1, 10000);
    EXPECT(n >= 1);
    EXPECT(ev[0].token == 3);
    EXPECT(env_fd_close(t.env, a) == ST_OK);
    EXPECT(env_fd_close(t.env, b) == ST_OK);
    EXPECT(env_fd_close(t.env, p) == ST_OK);
    tmpdir_remove(&t);
}

/* Every subscribed poller returns once, also one that subscribes late; then all wait again. */
static void test_stop__wakes_subscribers_without_spinning(void)
{
    struct tmpdir t;
    struct env_event ev;
    int p[3], count = 9;
    tmpdir_make(&t);
    for (int i = 0; i < 3; i++) {
        EXPECT(env_poller_open(t.env, &p[i]) == ST_OK);
    }
    EXPECT(env_stop_subscribe(t.env, p[0]) == ST_OK);
    EXPECT(env_stop_subscribe(t.env, p[0]) == ST_OK); /* twice is once */
    EXPECT(env_stop_subscribe(t.env, p[1]) == ST_OK);
    EXPECT(!env_stop_requested(t.env));
    EXPECT(wait_ms(t.env, p[0], &ev, 1, 0) == 0);
    env_posix_request_stop(t.env);
    EXPECT(env_stop_requested(t.env));
    EXPECT(env_stop_subscribe(t.env, p[2]) == ST_OK);
    for (int i = 0; i < 3; i++) {
        EXPECT(env_poller_wait(t.env, p[i], &ev, 1, ENV_NEVER, &count) == ST_OK);
        EXPECT(count == 0);
        uint64_t start = env_clock_mono(t.env);
        EXPECT(wait_ms(t.env, p[i], &ev, 1, 5) == 0);
        EXPECT(env_clock_mono(t.env) >= start + 5 * MS);
    }
    env_posix_request_stop(t.env); /* harmless */
    EXPECT(env_stop_requested(t.env));
    for (int i = 0; i < 3; i++) {
        EXPECT(env_fd_close(t.env, p[i]) == ST_OK);
    }
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(test_poller__level_reports_states);
    RUN(test_poller__edge_reports_arrivals);
    RUN(test_poller__closing_forgets);
    RUN(test_poller__small_batches_reach_all);
    RUN(test_poller__wrong_kinds_are_bad_descriptors);
    RUN(test_poller__deadlines_are_kept);
    RUN(test_poller__wake_is_remembered_once);
    RUN(test_poller__wake_from_another_thread);
    RUN(test_poller__wake_does_not_hide_events);
    RUN(test_stop__wakes_subscribers_without_spinning);
})
