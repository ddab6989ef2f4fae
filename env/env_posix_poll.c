/* env_posix_poll.c - pollers over epoll, each of them a single descriptor.
 *
 * Waking: every poller watches one eventfd of the Env that is always readable, but disarmed.
 * A wake arms it for one event (EPOLLONESHOT); delivering the event disarms it again. So a wake
 * is one system call, needs nothing to be drained, and wakes that pile up count as one.
 * Stopping: a subscribed poller watches the Env's stop eventfd edge-triggered, so it returns once
 * when the stop is asked for (or at once when it was), and does not spin afterwards. */
#define _GNU_SOURCE
#include "env/env_posix_impl.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCH          128        /* events fetched by one wait */
#define TOKEN_INTERNAL UINT64_MAX /* of the Env's own eventfds; refused in poller_set */

static enum status poller_open(struct env *e, int *poller)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) {
        return env_posix_last();
    }
    struct epoll_event armed_later = {.events = EPOLLONESHOT, .data.u64 = TOKEN_INTERNAL};
    if (epoll_ctl(fd, EPOLL_CTL_ADD, env_posix_of(e)->wake_fd, &armed_later) != 0) {
        enum status st = env_posix_last();
        (void)close(fd); /* nobody has it yet */
        return st;
    }
    *poller = fd;
    return ST_OK;
}

/* Of a failed epoll_ctl: EPERM is a plain file, EINVAL something that is not a poller. */
static enum status control_status(void)
{
    return errno == EPERM || errno == EINVAL ? ST_BADFD : env_posix_last();
}

static enum status poller_set(struct env *e, int poller, int fd, unsigned interest, uint64_t token)
{
    (void)e;
    struct epoll_event event = {.data.u64 = token};
    if (token == TOKEN_INTERNAL) {
        return ST_INVAL;
    }
    if (interest == 0) {
        int rc = epoll_ctl(poller, EPOLL_CTL_DEL, fd, &event);
        return rc == 0 || errno == ENOENT ? ST_OK : control_status();
    }
    event.events = ((interest & ENV_IN) != 0 ? (uint32_t)EPOLLIN : 0) |
                   ((interest & ENV_OUT) != 0 ? (uint32_t)EPOLLOUT : 0) |
                   ((interest & ENV_EDGE) != 0 ? (uint32_t)EPOLLET : 0);
    if (epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event) == 0) {
        return ST_OK;
    }
    if (errno != ENOENT) {
        return control_status();
    }
    return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0 ? ST_OK : control_status();
}

/* Nanoseconds from now to the deadline; 0 when it is past. */
static uint64_t time_left(struct env *e, uint64_t mono_ns)
{
    uint64_t now = env_clock_mono(e);
    return mono_ns > now ? mono_ns - now : 0;
}

/* For kernels before 5.11: whole milliseconds, rounded up so as never to be early. */
static int wait_coarse(struct env *e, int poller, struct epoll_event *events, int max,
                       uint64_t mono_ns)
{
    if (mono_ns == ENV_NEVER) {
        return epoll_wait(poller, events, max, -1);
    }
    uint64_t left = time_left(e, mono_ns);
    uint64_t ms = left / 1000000 + (left % 1000000 != 0);
    return epoll_wait(poller, events, max, ms > 1000000000 ? 1000000000 : (int)ms);
}

static int wait_raw(struct env *e, int poller, struct epoll_event *events, int max,
                    uint64_t mono_ns)
{
#if defined(SYS_epoll_pwait2) && defined(__LP64__)
    struct env_posix *p = env_posix_of(e);
    if (!atomic_load(&p->no_pwait2)) {
        struct timespec left = {0};
        if (mono_ns != ENV_NEVER) {
            left = env_posix_timespec(time_left(e, mono_ns));
        }
        long n = syscall(SYS_epoll_pwait2, poller, events, max, mono_ns == ENV_NEVER ? NULL : &left,
                         NULL, (size_t)0);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM)) {
            return (int)n;
        }
        atomic_store(&p->no_pwait2, true); /* an old kernel, or a sandbox that knows no new call */
    }
#endif
    return wait_coarse(e, poller, events, max, mono_ns);
}

static enum status poller_wait(struct env *e, int poller, struct env_event *events, int max,
                               uint64_t mono_ns, int *count)
{
    struct epoll_event raw[BATCH];
    int n = wait_raw(e, poller, raw, max < BATCH ? max : BATCH, mono_ns);
    if (n < 0) {
        return control_status();
    }
    int used = 0;
    for (int i = 0; i < n; i++) {
        if (raw[i].data.u64 == TOKEN_INTERNAL) {
            continue; /* having returned is all that it asks for */
        }
        uint32_t bits = raw[i].events;
        events[used++] = (struct env_event){
            .token = raw[i].data.u64,
            .ready = ((bits & EPOLLIN) != 0 ? (uint32_t)ENV_IN : 0) |
                     ((bits & EPOLLOUT) != 0 ? (uint32_t)ENV_OUT : 0) |
                     ((bits & EPOLLERR) != 0 ? (uint32_t)ENV_ERR : 0) |
                     ((bits & EPOLLHUP) != 0 ? (uint32_t)ENV_HUP : 0),
        };
    }
    *count = used;
    return ST_OK;
}

static void poller_wake(struct env *e, int poller)
{
    struct epoll_event once = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = TOKEN_INTERNAL};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, env_posix_of(e)->wake_fd, &once) != 0) {
        env_proc_die(e, "poller_wake: not an open poller");
    }
}

static enum status stop_subscribe(struct env *e, int poller)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = TOKEN_INTERNAL};
    int rc = epoll_ctl(poller, EPOLL_CTL_ADD, env_posix_of(e)->stop_fd, &event);
    return rc == 0 || errno == EEXIST ? ST_OK : control_status();
}

void env_posix_poll_fill(struct env_vt *vt)
{
    vt->poller_open = poller_open;
    vt->poller_set = poller_set;
    vt->poller_wait = poller_wait;
    vt->poller_wake = poller_wake;
    vt->stop_subscribe = stop_subscribe;
}
