/* env_posix.h - the real world behind the seam: Linux files, sockets, threads and clocks.
 *
 * Every call is the plain system call, with EINTR on files retried, errno turned into a status
 * by one table, and every descriptor close-on-exec. Sockets are non-blocking. A poller is one
 * epoll descriptor: waking it and telling it of a stop need no further descriptor of its own.
 *
 * Failure: env_posix_new() says ST_NOMEM, ST_MFILE, or what opening `root` said, and leaves
 * nothing behind. A thread primitive that fails is a bug or a broken system: the process dies.
 * Ownership: the Env is one block of malloc'ed memory; everything that the Env handed out
 * (descriptors, threads, blocks) must be given back before env_posix_free(). */
#ifndef ENV_ENV_POSIX_H
#define ENV_ENV_POSIX_H

#include "env/env.h"

/* Zeroed: paths start in the working directory, every log line is printed. */
struct env_posix_options {
    const char *root;             /* relative paths start here; borrowed for the call */
    enum env_log_level log_least; /* quieter lines are dropped */
};

/* Makes an Env; options may be NULL. *env is set on ST_OK only. */
NODISCARD enum status env_posix_new(const struct env_posix_options *options, struct env **env);

/* Frees it; NULL is harmless. Ends its hold on signals (env_posix_catch_signals). */
void env_posix_free(struct env *env);

/* Asks the program to stop: stop_requested() is true from now on and subscribed pollers wake.
 * From any thread, and from a signal handler. Doing it twice is harmless. */
void env_posix_request_stop(struct env *env);

/* For a program's main(): SIGTERM and SIGINT request a stop of this Env (a second SIGINT kills),
 * SIGPIPE is ignored. One Env a process at a time. */
void env_posix_catch_signals(struct env *env);

/* The status that stands for an errno value; ST_IO for those that have no better one. */
enum status env_posix_status(int error);

#endif
