/* proc.h - a simulated process: an Env, a heap, threads, descriptors.
 *
 * Invariants: I1 its heap is freed whole when it ends   I2 descriptors are handed out lowest first
 * I3 after a clean exit nothing of it is left: heap, threads, descriptors (proc_leaks says what
 * is). */
#ifndef SIM_PROC_H
#define SIM_PROC_H

#include "env/env.h"
#include "sim/simnet.h"
#include "sim/world.h"

enum proc_state { PROC_RUNNING, PROC_EXITED, PROC_KILLED, PROC_DIED };

enum fd_kind { FD_FREE, FD_FILE, FD_LOCK, FD_SOCKET, FD_POLLER };

struct fd_entry {
    enum fd_kind kind;
    unsigned flags;  /* files: as opened */
    unsigned calm;   /* files: writes since the last sync */
    simdisk_ino ino; /* files, locks */
    struct simsock *sock;
    struct simpoller *poller;
    char name[32]; /* last part of the path, for the trace */
};

typedef int proc_main_fn(struct env *env, int argc, char **argv);

struct proc {
    struct env env; /* first: an Env is its process */
    struct world *world;
    struct host *host;
    struct list link; /* in world.procs */
    uint32_t id;
    char name[12];
    enum proc_state state;
    int exit_code;
    char death[160]; /* why it died, "" otherwise */
    bool stop_requested;
    bool paused;
    bool watched; /* disk points are reported */
    bool faulty;  /* heap and clock faults apply */
    struct list tasks;
    struct list heap; /* of struct block */
    uint64_t heap_blocks;
    uint64_t heap_bytes;
    uint64_t allocations; /* ever */
    unsigned char fill;   /* what fresh memory holds */
    struct fd_entry *fds;
    int fd_count;
    int fd_limit; /* descriptors below this one can be had */
    struct list pollers;
    unsigned spins; /* waits for events that did not wait, since it did anything */
    uint64_t spins_since;
    struct chooser_stream random;
    struct chooser_stream heap_stream;
    struct chooser_stream net_fault;
    struct chooser_stream sched_stream;
    proc_main_fn *main;
    void *user; /* the testbed's */
    int argc;
    char **argv;
};

/* Starts main(env, argc, argv) as a process of host; argv is borrowed until it ends. */
struct proc *proc_start(struct host *h, const char *name, proc_main_fn *main, int argc, char **argv,
                        void *user);

/* Ends it from outside as SIGKILL does (K1): a write in flight may have done a page prefix; the
 * kernel closes its sockets. From inside one of its own tasks this does not return. */
void proc_kill(struct proc *p);
/* The same without the kernel: the machine is gone (host_power_off). */
void proc_vanish(struct proc *p);
/* As CK and proc_die do: it ends by its own fault. From inside; does not return. */
_Noreturn void proc_die_now(struct proc *p, const char *why);

/* RLIMIT_NOFILE: only so many more descriptors than are open now; a negative number lifts it. */
void proc_limit_fds(struct proc *p, int more);
int proc_fds_open(const struct proc *p);

void proc_request_stop(struct proc *p); /* SIGTERM */
void proc_pause(struct proc *p);        /* SIGSTOP */
void proc_resume(struct proc *p);

/* Text of what a clean exit left behind, "" when nothing. */
void proc_leaks(const struct proc *p, char *text, size_t size);

/* Forgets an ended process. */
void proc_free(struct proc *p);

/* The process whose task is running, or NULL. */
struct proc *proc_current(struct world *w);

/* Each of its tasks that waits, one a line, appended to text. */
void proc_waiters(const struct proc *p, char *text, size_t size);

static inline struct proc *proc_of(struct env *e)
{
    return (struct proc *)(void *)e;
}

/* ---- for the simenv_*.c files ---- */

extern const struct env_vt simenv_vt;

/* There is a free descriptor. As on Linux one is looked for first: what would have taken it stays
 * as it is. */
bool proc_fd_room(const struct proc *p);
/* The lowest free descriptor. ST_MFILE at the limit. */
enum status proc_fd_new(struct proc *p, struct fd_entry entry, int *fd);
/* The entry of fd when it is of that kind, else NULL. */
struct fd_entry *proc_fd(struct proc *p, int fd, enum fd_kind kind);
bool proc_fd_open(const struct proc *p, int fd);
/* An event line for this process's running task. */
void proc_trace(struct proc *p, enum trace_kind kind, const char *text, uint64_t a, uint64_t b,
                uint64_t c, enum status st);
/* Wakes one (drawn) or all of the tasks that wait for that. Returns how many. */
unsigned proc_wake_one(struct proc *p, enum task_wait why, const void *on);
unsigned proc_wake_all(struct proc *p, enum task_wait why, const void *on);
/* The heap's part of struct env. */
void simheap_init(struct proc *p);
void simheap_free_all(struct proc *p);
/* Applies what a killed task's disk operation may have done. */
void simfile_interrupt(struct proc *p, void *in_flight);
/* Closes one descriptor; `vanish`: without telling anybody. */
void proc_fd_drop(struct proc *p, struct fd_entry *e, bool vanish);

#endif
