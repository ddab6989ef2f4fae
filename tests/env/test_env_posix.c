/* test_env_posix.c - the rest of the POSIX Env: memory, clocks, threads, process, signals. */
#define _GNU_SOURCE
#include "env/env_posix.h"

#include "base/crc32c.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS 1000000u

static struct env *make_env(const struct env_posix_options *o)
{
    struct env *e = NULL;
    EXPECT(env_posix_new(o, &e) == ST_OK);
    return e;
}

/* Runs in a child whose stdout or stderr (`which`) goes to out; returns its wait status. */
static int run_child(void (*body)(struct env *e), int which, char *out, size_t size)
{
    int pipes[2], status = -1;
    size_t n = 0;
    EXPECT(pipe(pipes) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct env *e = NULL;
        int null = open("/dev/null", O_WRONLY);
        (void)dup2(null, which == STDERR_FILENO ? STDOUT_FILENO : STDERR_FILENO);
        (void)dup2(pipes[1], which);
        (void)close(pipes[0]);
        (void)close(pipes[1]);
        if (env_posix_new(NULL, &e) == ST_OK) {
            body(e);
        }
        env_posix_free(e);
        _exit(0);
    }
    (void)close(pipes[1]);
    for (;;) {
        ssize_t got = read(pipes[0], out + n, size - 1 - n);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    out[n] = '\0';
    EXPECT(waitpid(child, &status, 0) == child);
    (void)close(pipes[0]);
    return status;
}

/* Sanitizers end the program at an absurd size, unless told that NULL is expected. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void test_mem__allocates_aligned(void)
{
    struct env *e = make_env(NULL);
    char *a = env_alloc(e, 1);
    EXPECT((uintptr_t)a % _Alignof(max_align_t) == 0);
    a[0] = 'a';
    a = env_resize(e, a, 10000);
    EXPECT(a[0] == 'a');
    EXPECT(env_alloc(e, SIZE_MAX / 2) == NULL);
    env_release(e, a);
    env_release(e, NULL);
    env_posix_free(e);
}

static void test_clock__mono_advances_and_wall_is_now(void)
{
    struct env *e = make_env(NULL);
    uint64_t last = env_clock_mono(e);
    EXPECT(last > 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = env_clock_mono(e);
        EXPECT(now >= last);
        last = now;
    }
    EXPECT(env_clock_boot(e) >= env_clock_mono(e) - 1000 * MS);
    EXPECT(env_clock_wall(e) > 1700000000 * (int64_t)1000000000); /* after 2023 */
    uint64_t end = env_clock_mono(e) + 3 * MS;
    env_sleep_until(e, end);
    EXPECT(env_clock_mono(e) >= end);
    env_sleep_until(e, 0); /* past: returns at once */
    env_posix_free(e);
}

static void test_random__does_not_repeat(void)
{
    struct env *a = make_env(NULL);
    struct env *b = make_env(NULL);
    uint64_t all = 0, none = UINT64_MAX, last = 0;
    for (int i = 0; i < 200; i++) {
        uint64_t v = env_random_u64(a);
        EXPECT(v != last);
        EXPECT(v != env_random_u64(b));
        last = v;
        all |= v;
        none &= v;
    }
    EXPECT(all == UINT64_MAX); /* every bit was seen set, and clear */
    EXPECT(none == 0);
    env_posix_free(a);
    env_posix_free(b);
}

static atomic_int alarms;

static void on_alarm(int number)
{
    (void)number;
    atomic_fetch_add(&alarms, 1);
}

/* A signal a millisecond, without SA_RESTART. */
static void set_alarms(bool on)
{
    struct sigaction act = {.sa_handler = on ? on_alarm : SIG_IGN};
    struct itimerval every = {{0, on ? 1000 : 0}, {0, on ? 1000 : 0}};
    EXPECT(sigaction(SIGALRM, &act, NULL) == 0);
    EXPECT(setitimer(ITIMER_REAL, &every, NULL) == 0);
}

static void test_signal__sleep_goes_on_and_poller_says_so(void)
{
    struct env *e = make_env(NULL);
    struct env_event ev;
    int poller, count = 9;
    enum status st = ST_OK;
    EXPECT(env_poller_open(e, &poller) == ST_OK);
    set_alarms(true);
    uint64_t end = env_clock_mono(e) + 20 * MS;
    env_sleep_until(e, end);
    EXPECT(env_clock_mono(e) >= end);
    EXPECT(atomic_load(&alarms) > 0);
    while (st == ST_OK) { /* until one falls into the wait */
        st = env_poller_wait(e, poller, &ev, 1, env_clock_mono(e) + 50 * MS, &count);
    }
    EXPECT(st == ST_INTR);
    set_alarms(false);
    EXPECT(env_fd_close(e, poller) == ST_OK);
    env_posix_free(e);
}

/* ---- threads ---- */

struct shared {
    struct env *env;
    struct env_mutex mutex;
    struct env_cond cond;
    long counter;
    int turn;
    char name[32];
};

static void count_up(void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < 10000; i++) {
        env_mutex_lock(s->env, &s->mutex);
        s->counter++;
        env_mutex_unlock(s->env, &s->mutex);
    }
}

static void test_thread__mutexes_exclude(void)
{
    struct shared s = {.env = make_env(NULL)};
    struct env_thread t[4];
    env_mutex_init(s.env, &s.mutex);
    for (int i = 0; i < 4; i++) {
        EXPECT(env_thread_start(s.env, &t[i], "count", count_up, &s) == ST_OK);
    }
    for (int i = 0; i < 4; i++) {
        env_thread_join(s.env, &t[i]);
    }
    EXPECT(s.counter == 40000);
    env_mutex_release(s.env, &s.mutex);
    env_posix_free(s.env);
}

static void play(void *arg)
{
    struct shared *s = arg;
    env_mutex_lock(s->env, &s->mutex);
    for (int i = 0; i < 1000; i++) {
        while (s->turn != 1) {
            EXPECT(env_cond_wait(s->env, &s->cond, &s->mutex, ENV_NEVER) == ST_OK);
        }
        s->turn = 0;
        s->counter++;
        env_cond_signal(s->env, &s->cond);
    }
    env_mutex_unlock(s->env, &s->mutex);
}

static void test_cond__hands_over_and_back(void)
{
    struct shared s = {.env = make_env(NULL)};
    struct env_thread t;
    env_mutex_init(s.env, &s.mutex);
    env_cond_init(s.env, &s.cond);
    EXPECT(env_thread_start(s.env, &t, "play", play, &s) == ST_OK);
    env_mutex_lock(s.env, &s.mutex);
    for (int i = 0; i < 1000; i++) {
        s.turn = 1;
        env_cond_broadcast(s.env, &s.cond);
        while (s.turn != 0) {
            EXPECT(env_cond_wait(s.env, &s.cond, &s.mutex, ENV_NEVER) == ST_OK);
        }
    }
    env_mutex_unlock(s.env, &s.mutex);
    env_thread_join(s.env, &t);
    EXPECT(s.counter == 1000);
    env_cond_release(s.env, &s.cond);
    env_mutex_release(s.env, &s.mutex);
    env_posix_free(s.env);
}

/* On the monotonic clock: never early; a time long past is a timeout at once. */
static void test_cond__timed_waits_end(void)
{
    struct shared s = {.env = make_env(NULL)};
    env_mutex_init(s.env, &s.mutex);
    env_cond_init(s.env, &s.cond);
    env_mutex_lock(s.env, &s.mutex);
    EXPECT(env_cond_wait(s.env, &s.cond, &s.mutex, 1) == ST_TIMEOUT);
    uint64_t end = env_clock_mono(s.env) + 5 * MS;
    while (env_cond_wait(s.env, &s.cond, &s.mutex, end) != ST_TIMEOUT) {
        EXPECT(env_clock_mono(s.env) < end); /* woken without cause */
    }
    EXPECT(env_clock_mono(s.env) >= end);
    env_mutex_unlock(s.env, &s.mutex);
    env_cond_release(s.env, &s.cond);
    env_mutex_release(s.env, &s.mutex);
    env_posix_free(s.env);
}

static void wait_to_be_named(void *arg)
{
    struct shared *s = arg;
    env_mutex_lock(s->env, &s->mutex); /* the parent holds it until the name is set */
    (void)pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    env_mutex_unlock(s->env, &s->mutex);
}

static void test_thread__names_are_cut_to_15_bytes(void)
{
    struct shared s = {.env = make_env(NULL)};
    struct env_thread t;
    env_mutex_init(s.env, &s.mutex);
    env_mutex_lock(s.env, &s.mutex);
    EXPECT(env_thread_start(s.env, &t, "a-name-of-over-15-bytes", wait_to_be_named, &s) == ST_OK);
    env_mutex_unlock(s.env, &s.mutex);
    env_thread_join(s.env, &t);
    EXPECT(strcmp(s.name, "a-name-of-over-") == 0);
    env_mutex_release(s.env, &s.mutex);
    env_posix_free(s.env);
}

/* ---- process ---- */

static void die(struct env *e)
{
    env_proc_die(e, "the reason");
}

static void test_proc__die_says_why_and_aborts(void)
{
    char out[256];
    int status = run_child(die, STDERR_FILENO, out, sizeof out);
    EXPECT(WIFSIGNALED(status));
    EXPECT(WTERMSIG(status) == SIGABRT);
    EXPECT(strcmp(out, "fatal: the reason\n") == 0);
}

/* Letters that tell where they were, so that bytes written twice show. */
static void fill(char *p, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        p[i] = (char)('a' + i % 23);
    }
}

static void say(struct env *e)
{
    static char big[200000];
    fill(big, sizeof big);
    (void)fcntl(STDOUT_FILENO, F_SETPIPE_SZ, 4096); /* a pipe that fills up, again and again */
    (void)fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
    env_console(e, false, big, sizeof big);
    env_console(e, true, "not here", 8);
    env_console(e, false, "end", 3);
}

/* Everything arrives, through a pipe that takes less at once and does not block. */
static void test_proc__console_writes_everything(void)
{
    static char out[300000], want[200000];
    int status = run_child(say, STDOUT_FILENO, out, sizeof out);
    EXPECT(status == 0);
    EXPECT(strlen(out) == 200003);
    fill(want, sizeof want);
    EXPECT(memcmp(out, want, sizeof want) == 0);
    EXPECT(strcmp(out + sizeof want, "end") == 0);
}

static void log_some(struct env *e)
{
    char big[3000];
    memset(big, 'l', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    env_log(e, ENV_LOG_INFO, "a line");
    env_log(e, ENV_LOG_ERROR, big);
}

static void test_log__lines_have_time_and_level(void)
{
    char out[4096];
    EXPECT(run_child(log_some, STDERR_FILENO, out, sizeof out) == 0);
    /* 2026-11-21T06:33:20.123456Z INFO  a line */
    EXPECT(out[4] == '-' && out[10] == 'T' && out[19] == '.' && out[26] == 'Z');
    EXPECT(strncmp(out + 27, " INFO  a line\n", 14) == 0);
    EXPECT(strncmp(out + 41 + 27, " ERROR lll", 10) == 0);
    EXPECT(strlen(out) == 41 + 27 + 7 + 2999 + 1);
    EXPECT(out[strlen(out) - 1] == '\n');
}

static void log_filtered(struct env *e)
{
    (void)e;
    struct env_posix_options o = {.log_least = ENV_LOG_WARN};
    struct env *quiet;
    if (env_posix_new(&o, &quiet) == ST_OK) {
        env_log(quiet, ENV_LOG_INFO, "no");
        env_log(quiet, ENV_LOG_WARN, "yes");
        env_posix_free(quiet);
    }
}

static void test_log__quiet_levels_are_dropped(void)
{
    char out[256];
    EXPECT(run_child(log_filtered, STDERR_FILENO, out, sizeof out) == 0);
    EXPECT(strstr(out, "no") == NULL);
    EXPECT(strstr(out, " WARN  yes\n") != NULL);
}

static void test_cpu__features_do_not_lie(void)
{
    struct env *e = make_env(NULL);
    bool hardware = (env_cpu_features(e) & ENV_CPU_CRC32C) != 0;
    EXPECT(crc32c_on(hardware, 0, "123456789", 9) == 0xe3069283u); /* or dies of SIGILL */
    env_posix_free(e);
}

static void test_vt__every_call_is_there(void)
{
    struct env *e = make_env(NULL);
    void *const *calls = (void *const *)(const void *)e->vt;
    size_t n = offsetof(struct env_vt, yield) / sizeof *calls;
    for (size_t i = 0; i < n; i++) {
        EXPECT(calls[i] != NULL);
    }
    EXPECT(e->vt->yield == NULL);
    EXPECT(e->vt->probe == NULL);
    EXPECT(e->vt->note == NULL);
    env_posix_free(e);
}

/* ---- signals ---- */

static void test_signal__terminate_asks_for_a_stop(void)
{
    struct env *e = make_env(NULL);
    struct env_event ev;
    int poller, count = 9, pipes[2];
    env_posix_catch_signals(e);
    EXPECT(env_poller_open(e, &poller) == ST_OK);
    EXPECT(env_stop_subscribe(e, poller) == ST_OK);
    EXPECT(!env_stop_requested(e));
    EXPECT(raise(SIGTERM) == 0);
    EXPECT(env_stop_requested(e));
    EXPECT(env_poller_wait(e, poller, &ev, 1, ENV_NEVER, &count) == ST_OK);
    EXPECT(count == 0);
    EXPECT(pipe(pipes) == 0);
    EXPECT(close(pipes[0]) == 0);
    EXPECT(write(pipes[1], "x", 1) == -1); /* and SIGPIPE does not kill */
    EXPECT(close(pipes[1]) == 0);
    EXPECT(env_fd_close(e, poller) == ST_OK);
    env_posix_free(e);
}

static void interrupt_twice(struct env *e)
{
    env_posix_catch_signals(e);
    (void)raise(SIGINT);
    if (env_stop_requested(e)) {
        (void)raise(SIGTERM);
        env_console(e, false, "asked", 5);
        (void)raise(SIGINT);
        env_console(e, false, "survived", 8);
    }
}

static void test_signal__second_interrupt_kills(void)
{
    char out[64];
    int status = run_child(interrupt_twice, STDOUT_FILENO, out, sizeof out);
    EXPECT(WIFSIGNALED(status));
    EXPECT(WTERMSIG(status) == SIGINT);
    EXPECT(strcmp(out, "asked") == 0);
}

static void free_and_terminate(struct env *e)
{
    struct env *other;
    env_posix_catch_signals(e);
    if (env_posix_new(NULL, &other) == ST_OK) {
        env_posix_catch_signals(other);
        env_posix_free(other);
        (void)raise(SIGTERM); /* nobody's any more: kills */
    }
}

static void test_signal__freed_env_lets_go(void)
{
    char out[64];
    int status = run_child(free_and_terminate, STDOUT_FILENO, out, sizeof out);
    EXPECT(WIFSIGNALED(status));
    EXPECT(WTERMSIG(status) == SIGTERM);
}

TAP_MAIN({
    RUN(test_mem__allocates_aligned);
    RUN(test_clock__mono_advances_and_wall_is_now);
    RUN(test_random__does_not_repeat);
    RUN(test_signal__sleep_goes_on_and_poller_says_so);
    RUN(test_thread__mutexes_exclude);
    RUN(test_cond__hands_over_and_back);
    RUN(test_cond__timed_waits_end);
    RUN(test_thread__names_are_cut_to_15_bytes);
    RUN(test_proc__die_says_why_and_aborts);
    RUN(test_proc__console_writes_everything);
    RUN(test_log__lines_have_time_and_level);
    RUN(test_log__quiet_levels_are_dropped);
    RUN(test_cpu__features_do_not_lie);
    RUN(test_vt__every_call_is_there);
    RUN(test_signal__terminate_asks_for_a_stop);
    RUN(test_signal__second_interrupt_kills);
    RUN(test_signal__freed_env_lets_go);
})
