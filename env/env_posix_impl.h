/* env_posix_impl.h - what the env_posix_*.c files share; nobody else includes it.
 *
 * Each file holds one group of calls and enters them into the table by its _fill function.
 * Feature macros come first in each of these files, and in no others of the tree. */
#ifndef ENV_ENV_POSIX_IMPL_H
#define ENV_ENV_POSIX_IMPL_H

#include "env/env_posix.h"

#include <stdatomic.h>
#include <sys/uio.h>
#include <time.h>

#define ENV_POSIX_PARTS 64   /* buffers handed to one vectored call; more is a short write */
#define ENV_POSIX_TAILS 1024 /* descriptors below it may have a mapped tail */

struct env_posix_tail;

struct env_posix {
    struct env env; /* first: a struct env * is a struct env_posix * */
    struct env_vt vt;
    enum env_log_level log_least;
    int root_fd; /* AT_FDCWD, or the directory that relative paths start in */
    int wake_fd; /* an eventfd that is always readable; see env_posix_poll.c */
    int stop_fd; /* an eventfd that becomes readable when a stop is asked for */
    atomic_bool stop;
    atomic_bool no_pwait2; /* this kernel has no epoll_pwait2 */
    _Atomic uint64_t random;
    struct env_posix_tail *_Atomic tails[ENV_POSIX_TAILS]; /* by descriptor; owned */
};

static inline struct env_posix *env_posix_of(struct env *e)
{
    return (struct env_posix *)(void *)e;
}

/* The status of the errno that the last call left. */
enum status env_posix_last(void);

/* A time of CLOCK_MONOTONIC as the kernel wants it. */
static inline struct timespec env_posix_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
}

/* Copies parts that are not empty into iov[ENV_POSIX_PARTS]; returns how many. */
int env_posix_gather(const struct env_slice *parts, int count, struct iovec *iov);

/* ---- the mapped end of a growing file: see env_posix_tail.c ---- */

/* NULL: not here, or no memory. */
struct env_posix_tail *env_posix_tail_new(int fd);
void env_posix_tail_free(struct env_posix_tail *t);
/* Puts bytes where the last ones ended; false: it is for pwrite() to do that. */
bool env_posix_tail_put(struct env_posix_tail *t, int fd, const void *buf, size_t size,
                        uint64_t offset);
/* What pwrite() put ends there. */
void env_posix_tail_wrote(struct env_posix_tail *t, uint64_t end);
void env_posix_tail_synced(struct env_posix_tail *t);

void env_posix_thread_fill(struct env_vt *vt);
void env_posix_file_fill(struct env_vt *vt);
void env_posix_dir_fill(struct env_vt *vt);
void env_posix_sock_fill(struct env_vt *vt);
void env_posix_poll_fill(struct env_vt *vt);
void env_posix_proc_fill(struct env_vt *vt);

#endif
