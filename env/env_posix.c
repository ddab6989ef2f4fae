/* env_posix.c - the POSIX Env as a whole, and its groups memory, clock, random and process. */
#define _GNU_SOURCE
#include "env/env_posix_impl.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

/* ---- memory ---- */

static void *mem_posix_alloc(struct mem *m, size_t size)
{
    (void)m;
    return malloc(size);
}

static void *mem_posix_resize(struct mem *m, void *block, size_t size)
{
    (void)m;
    return realloc(block, size);
}

static void mem_posix_release(struct mem *m, void *block)
{
    (void)m;
    free(block);
}

/* ---- clock and random ---- */

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;
    if (clock_gettime(id, &t) != 0) {
        return 0; /* only for a clock that Linux does not have */
    }
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t clock_mono(struct env *e)
{
    (void)e;
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t clock_boot(struct env *e)
{
    (void)e;
    return read_clock(CLOCK_BOOTTIME);
}

static int64_t clock_wall(struct env *e)
{
    (void)e;
    return (int64_t)read_clock(CLOCK_REALTIME);
}

static void sleep_until(struct env *e, uint64_t mono_ns)
{
    (void)e;
    struct timespec at = env_posix_timespec(mono_ns);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

/* A counter that the kernel seeded, through a mixer: unlike getrandom() it costs no system
 * call, and does not repeat. It is not for secrets. */
static uint64_t random_u64(struct env *e)
{
    return hash_mix(atomic_fetch_add(&env_posix_of(e)->random, 0x9e3779b97f4a7c15u));
}

static enum status seed_random(struct env_posix *p)
{
    uint64_t seed = 0;
    ssize_t n;
    do {
        n = getrandom(&seed, sizeof seed, 0);
    } while (n < 0 && errno == EINTR);
    atomic_init(&p->random, seed);
    return n == sizeof seed ? ST_OK : ST_IO;
}

/* ---- process ---- */

static bool stop_requested(struct env *e)
{
    return atomic_load(&env_posix_of(e)->stop);
}

/* Writes everything, waiting where the other side is slow; gives up on an error, for there is
 * nobody left to tell. */
static void write_full(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n >= 0) {
            text += n;
            size -= (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            (void)poll(&p, 1, -1); /* the write that follows tells */
        } else if (errno != EINTR) {
            return;
        }
    }
}

static void console(struct env *e, bool error, const char *text, size_t size)
{
    (void)e;
    write_full(error ? STDERR_FILENO : STDOUT_FILENO, text, size);
}

__attribute__((noreturn)) static void proc_die(struct env *e, const char *reason)
{
    (void)e;
    char line[512];
    int n = snprintf(line, sizeof line, "fatal: %s\n", reason);
    size_t size = n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    write_full(STDERR_FILENO, line, size);
    abort();
}

/* The line goes out in one write where it fits, so that lines of threads do not mix. */
static void log_line(struct env *e, enum env_log_level level, const char *text)
{
    static const char names[][6] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
    if (level < env_posix_of(e)->log_least) {
        return;
    }
    struct timespec now;
    struct tm tm;
    char line[1024];
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || gmtime_r(&now.tv_sec, &tm) == NULL) {
        memset(&tm, 0, sizeof tm);
        now.tv_nsec = 0;
    }
    int head = snprintf(line, sizeof line, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ %s ",
                        tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                        tm.tm_sec, now.tv_nsec / 1000, names[level & 3]);
    size_t used = head < 0 ? 0 : (size_t)head;
    size_t size = strlen(text);
    if (used + size + 1 <= sizeof line) {
        memcpy(line + used, text, size);
        line[used + size] = '\n';
        write_full(STDERR_FILENO, line, used + size + 1);
        return;
    }
    write_full(STDERR_FILENO, line, used);
    write_full(STDERR_FILENO, text, size);
    write_full(STDERR_FILENO, "\n", 1);
}

static unsigned cpu_features(struct env *e)
{
    (void)e;
#if defined(__x86_64__)
    return __builtin_cpu_supports("sse4.2") ? ENV_CPU_CRC32C : 0;
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0 ? ENV_CPU_CRC32C : 0;
#else
    return 0;
#endif
}

void env_posix_proc_fill(struct env_vt *vt)
{
    vt->clock_mono = clock_mono;
    vt->clock_boot = clock_boot;
    vt->clock_wall = clock_wall;
    vt->sleep_until = sleep_until;
    vt->random_u64 = random_u64;
    vt->stop_requested = stop_requested;
    vt->proc_die = proc_die;
    vt->console = console;
    vt->log = log_line;
    vt->cpu_features = cpu_features;
}

/* ---- signals ---- */

/* The one writable global of the POSIX side: a signal handler has no argument to carry it. */
static struct env *_Atomic signal_env;

static void on_signal(int number)
{
    (void)number;
    struct env *e = atomic_load(&signal_env);
    if (e != NULL) {
        env_posix_request_stop(e);
    }
}

static void set_handler(int number, void (*handler)(int), int flags)
{
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_handler = handler;
    act.sa_flags = flags;
    (void)sigemptyset(&act.sa_mask);     /* cannot fail */
    (void)sigaction(number, &act, NULL); /* fails for a number that is no signal only */
}

void env_posix_catch_signals(struct env *env)
{
    atomic_store(&signal_env, env);
    set_handler(SIGTERM, on_signal, SA_RESTART);
    set_handler(SIGINT, on_signal, SA_RESTART | (int)SA_RESETHAND);
    set_handler(SIGPIPE, SIG_IGN, 0);
}

static void drop_signals(struct env *env)
{
    struct env *mine = env;
    if (atomic_compare_exchange_strong(&signal_env, &mine, NULL)) {
        set_handler(SIGTERM, SIG_DFL, 0);
        set_handler(SIGINT, SIG_DFL, 0);
    }
}

void env_posix_request_stop(struct env *env)
{
    struct env_posix *p = env_posix_of(env);
    int saved = errno;
    uint64_t one = 1;
    atomic_store(&p->stop, true);
    ssize_t n = write(p->stop_fd, &one, sizeof one);
    (void)n; /* fails only when the counter is full, and then it is readable already */
    errno = saved;
}

/* ---- life ---- */

static enum status open_descriptors(struct env_posix *p, const char *root)
{
    if (root != NULL) {
        p->root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (p->root_fd < 0) {
            return env_posix_last();
        }
    }
    p->wake_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->wake_fd < 0) {
        return env_posix_last();
    }
    p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return p->stop_fd < 0 ? env_posix_last() : ST_OK;
}

enum status env_posix_new(const struct env_posix_options *options, struct env **env)
{
    static const struct env_posix_options defaults;
    const struct env_posix_options *o = options != NULL ? options : &defaults;
    struct env_posix *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return ST_NOMEM;
    }
    p->env.mem = (struct mem){mem_posix_alloc, mem_posix_resize, mem_posix_release};
    p->env.vt = &p->vt;
    p->log_least = o->log_least;
    p->root_fd = AT_FDCWD;
    p->wake_fd = -1;
    p->stop_fd = -1;
    env_posix_thread_fill(&p->vt);
    env_posix_file_fill(&p->vt);
    env_posix_dir_fill(&p->vt);
    env_posix_sock_fill(&p->vt);
    env_posix_poll_fill(&p->vt);
    env_posix_proc_fill(&p->vt);
    enum status st = seed_random(p);
    if (st == ST_OK) {
        st = open_descriptors(p, o->root);
    }
    if (st != ST_OK) {
        env_posix_free(&p->env);
        return st;
    }
    *env = &p->env;
    return ST_OK;
}

void env_posix_free(struct env *env)
{
    if (env == NULL) {
        return;
    }
    struct env_posix *p = env_posix_of(env);
    drop_signals(env);
    const int fds[] = {p->stop_fd, p->wake_fd, p->root_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]); /* nothing was written there */
        }
    }
    free(p);
}
