/* sched.h - virtual time and the choice of who runs: one world's scheduler.
 *
 * A task is a thread of a simulated process (or one of the testbed itself) on a fiber. The loop
 * fires the timers that are due, picks a ready task by the policy of this run, and lets it run
 * until it parks, yields or ends; every step costs some virtual time, and where nothing is ready
 * time jumps to the next timer.
 *
 * Invariants: I1 at most one task runs   I2 a task is in exactly one of: running, ready, held
 * (its process is paused), waiting, done   I3 time never goes back   I4 which task runs next
 * depends on the chooser and on nothing else. Failure: no task ready and no timer armed is a
 * deadlock: the run ends and sched_waiters() lists who waits for what. A step budget turns a
 * livelock into a result. */
#ifndef SIM_SCHED_H
#define SIM_SCHED_H

#include "base/list.h"
#include "sim/chooser.h"
#include "sim/fiber.h"
#include "sim/timers.h"
#include "sim/trace.h"

enum sched_policy {
    SCHED_RANDOM, /* any ready task, at every point */
    SCHED_PCT,    /* random priorities, lowered at a few drawn steps */
    SCHED_BLOCK,  /* first come, first served; runs until it blocks */
    SCHED_STARVE, /* one task is not picked while others are ready, for a bounded time */
    SCHED_LIFO,   /* the latest to become ready */
    SCHED_LABELS, /* as SCHED_BLOCK, but random at labelled yields */
    SCHED_POLICIES
};

enum sched_point { POINT_LOCK, POINT_LABEL }; /* why a running task might give way */

enum task_state { TASK_READY, TASK_HELD, TASK_RUNNING, TASK_WAITING, TASK_DONE };

enum task_wait { WAIT_NONE, WAIT_SLEEP, WAIT_DISK, WAIT_MUTEX, WAIT_COND, WAIT_POLLER, WAIT_JOIN };

struct proc;
struct sched;

struct task {
    struct sched *sched;
    struct fiber *fiber;
    uint32_t id;       /* from 1, in order of creation */
    struct proc *proc; /* its owner's; NULL for the testbed's own */
    char name[16];
    enum task_state state;
    bool held; /* becomes TASK_HELD instead of TASK_READY */
    enum task_wait wait;
    const void *wait_on; /* compared, never followed */
    bool timed_out;      /* the last wait ended by its deadline */
    struct timer timer;  /* its deadline */
    size_t ready_at;     /* index in sched.ready */
    uint64_t ready_tie;  /* order of becoming ready */
    uint64_t priority;   /* SCHED_PCT */
    struct list link;    /* among its owner's tasks */
    void (*run)(void *arg);
    void *arg;
    void (*inner)(void *arg); /* sim/simenv_thread.c: what the process asked to run */
    void *inner_arg;
    void *in_flight; /* the disk operation it waits for; sim/proc.h */
};

struct sched {
    struct mem *mem;
    struct fiber_pool *pool;
    struct trace *trace;
    uint64_t now; /* virtual ns */
    uint64_t steps;
    uint64_t steps_max;
    uint64_t step_ns; /* what one step costs */
    struct timers timers;
    struct task **ready;
    size_t ready_count;
    size_t ready_cap;
    struct task *current;
    struct task *doomed; /* killed while running: freed once it is off its stack */
    uint32_t tasks;      /* ever */
    uint64_t ties;
    enum sched_policy policy;
    struct chooser_stream stream;
    uint64_t change_at[8]; /* SCHED_PCT: steps at which the running task's priority drops */
    unsigned changes;
    uint32_t starved;      /* SCHED_STARVE: this task's id … */
    uint64_t starve_until; /* … while time is before this */
    bool stop;
};

enum sched_end { SCHED_STOPPED, SCHED_DEADLOCK, SCHED_EXHAUSTED };

struct sched_options {
    enum sched_policy policy;
    uint64_t step_ns;
    uint64_t steps_max;
    unsigned pct_changes; /* 1..8 */
    uint64_t pct_steps;   /* the range they are drawn from */
    uint64_t starve_ns;
};

void sched_init(struct sched *s, struct mem *mem, struct fiber_pool *pool, struct trace *trace,
                struct chooser *chooser, const struct sched_options *o);
/* Every task must be gone. */
void sched_release(struct sched *s);

/* Runs until sched_stop, a deadlock, or the step budget is spent. */
enum sched_end sched_run(struct sched *s);
void sched_stop(struct sched *s);

/* A ready task, owned by the scheduler until task_kill, or until it is done and task_reap is
 * called. */
struct task *task_spawn(struct sched *s, struct proc *proc, const char *name, struct list *owner,
                        void (*run)(void *arg), void *arg);
/* Frees a task that is done. */
void task_reap(struct task *t);
/* Drops a task wherever it stands; for the running one this takes effect at its next suspension,
 * which must follow at once (task_leave). */
void task_kill(struct task *t);
/* The running, killed task goes for good. */
_Noreturn void task_leave(struct sched *s);

/* Parks the running task until task_wake or the deadline (ENV_NEVER: none); false on the deadline.
 */
bool task_park(struct sched *s, enum task_wait why, const void *on, uint64_t deadline);
void task_wake(struct task *t); /* only a waiting task; a running or ready one stays as it is */
void task_sleep_until(struct sched *s, uint64_t when);
/* The running task may give way here; whether it does is the policy's choice. */
void task_point(struct sched *s, enum sched_point why);
/* The tasks of a paused process are held, not run. */
void task_hold(struct task *t, bool held);

static inline bool task_waits(const struct task *t, enum task_wait why, const void *on)
{
    return t->state == TASK_WAITING && t->wait == why && t->wait_on == on;
}

const char *task_wait_name(enum task_wait why);

#endif
