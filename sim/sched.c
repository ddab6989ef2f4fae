/* sched.c - see sched.h. */
#include "sim/sched.h"

#include "base/ck.h"
#include "env/env.h"

#include <stdio.h>
#include <string.h>

#define READY_MIN 16

static const char *const wait_names[] = {"nothing",     "a sleep",    "the disk", "a mutex",
                                         "a condition", "its poller", "a join"};

const char *task_wait_name(enum task_wait why)
{
    return wait_names[why];
}

/* ---- the ready set: unordered array, each task knows its place ---- */

static void ready_add(struct sched *s, struct task *t)
{
    if (s->ready_count == s->ready_cap) {
        size_t cap = s->ready_cap < READY_MIN ? READY_MIN : s->ready_cap * 2;
        s->ready = mem_resize(s->mem, s->ready, cap * sizeof(struct task *));
        CK(s->ready != NULL);
        s->ready_cap = cap;
    }
    t->state = TASK_READY;
    t->ready_tie = ++s->ties;
    t->ready_at = s->ready_count;
    s->ready[s->ready_count++] = t;
}

static void ready_remove(struct sched *s, struct task *t)
{
    CK(t->state == TASK_READY);
    CK(s->ready[t->ready_at] == t);
    struct task *last = s->ready[--s->ready_count];
    s->ready[t->ready_at] = last;
    last->ready_at = t->ready_at;
}

static void make_ready(struct task *t)
{
    if (t->held) {
        t->state = TASK_HELD;
    } else {
        ready_add(t->sched, t);
    }
}

/* ---- policies ---- */

/* Index of the ready task with the least (or greatest) ready_tie. */
static size_t by_age(const struct sched *s, bool oldest)
{
    size_t best = 0;
    for (size_t i = 1; i < s->ready_count; i++) {
        if ((s->ready[i]->ready_tie < s->ready[best]->ready_tie) == oldest) {
            best = i;
        }
    }
    return best;
}

static size_t by_priority(const struct sched *s)
{
    size_t best = 0;
    for (size_t i = 1; i < s->ready_count; i++) {
        if (s->ready[i]->priority > s->ready[best]->priority) {
            best = i;
        }
    }
    return best;
}

/* The array's order depends on history alone, so a plain index is deterministic. */
static size_t pick(struct sched *s)
{
    if (s->ready_count == 1) {
        return 0;
    }
    switch (s->policy) {
    case SCHED_PCT:
        return by_priority(s);
    case SCHED_BLOCK:
    case SCHED_LABELS:
        return by_age(s, true);
    case SCHED_LIFO:
        return by_age(s, false);
    case SCHED_STARVE: {
        size_t at = (size_t)choose(&s->stream, s->ready_count);
        bool spare = s->ready[at]->id == s->starved && s->now < s->starve_until;
        return spare ? (at + 1) % s->ready_count : at;
    }
    case SCHED_RANDOM:
    case SCHED_POLICIES:
        break;
    }
    return (size_t)choose(&s->stream, s->ready_count);
}

/* PCT: at a drawn step the running task falls below all others. */
static void pct_step(struct sched *s, struct task *t)
{
    for (unsigned i = 0; i < s->changes; i++) {
        if (s->change_at[i] == s->steps) {
            t->priority = s->changes - i;
        }
    }
}

void sched_init(struct sched *s, struct mem *mem, struct fiber_pool *pool, struct trace *trace,
                struct chooser *chooser, const struct sched_options *o)
{
    *s = (struct sched){.mem = mem,
                        .pool = pool,
                        .trace = trace,
                        .step_ns = o->step_ns,
                        .steps_max = o->steps_max,
                        .policy = o->policy};
    timers_init(&s->timers, mem);
    chooser_stream_init(&s->stream, chooser, CHOOSE_SCHED, 0);
    if (o->policy == SCHED_PCT) {
        CK(o->pct_changes <= sizeof s->change_at / sizeof s->change_at[0]);
        s->changes = o->pct_changes;
        for (unsigned i = 0; i < s->changes; i++) {
            s->change_at[i] = 1 + choose(&s->stream, o->pct_steps);
        }
    }
    if (o->policy == SCHED_STARVE) {
        s->starved = 1 + (uint32_t)choose(&s->stream, 12);
        s->starve_until = o->starve_ns;
    }
}

void sched_release(struct sched *s)
{
    CK(s->ready_count == 0);
    CK(s->current == NULL);
    timers_release(&s->timers);
    mem_release(s->mem, s->ready);
    *s = (struct sched){0};
}

/* ---- the loop ---- */

static void fire_due(struct sched *s)
{
    struct timer *t;
    while ((t = timers_first(&s->timers)) != NULL && t->when <= s->now && !s->stop) {
        timers_remove(&s->timers, t);
        t->fire(t);
    }
}

static void task_discard(struct task *t)
{
    struct sched *s = t->sched;
    fiber_free(s->pool, t->fiber);
    mem_release(s->mem, t);
}

static void run_one(struct sched *s, struct task *t)
{
    ready_remove(s, t);
    t->state = TASK_RUNNING;
    s->current = t;
    s->steps++;
    s->now += s->step_ns;
    trace_mix(s->trace, s->now, t->id);
    if (s->policy == SCHED_PCT) {
        pct_step(s, t);
    }
    bool more = fiber_resume(t->fiber);
    s->current = NULL;
    if (s->doomed != NULL) {
        CK(s->doomed == t);
        s->doomed = NULL;
        task_discard(t);
    } else if (!more) {
        t->state = TASK_DONE;
    }
}

enum sched_end sched_run(struct sched *s)
{
    for (;;) {
        fire_due(s);
        if (s->stop) {
            return SCHED_STOPPED;
        }
        if (s->ready_count == 0) {
            struct timer *next = timers_first(&s->timers);
            if (next == NULL) {
                return SCHED_DEADLOCK;
            }
            s->now = next->when > s->now ? next->when : s->now;
            continue;
        }
        if (s->steps >= s->steps_max) {
            return SCHED_EXHAUSTED;
        }
        run_one(s, s->ready[pick(s)]);
    }
}

void sched_stop(struct sched *s)
{
    s->stop = true;
}

/* ---- tasks ---- */

static void task_timeout(struct timer *timer)
{
    struct task *t = LIST_ENTRY(timer, struct task, timer);
    CK(t->state == TASK_WAITING);
    t->timed_out = true;
    make_ready(t);
}

static void task_body(void *arg)
{
    struct task *t = arg;
    t->run(t->arg);
}

struct task *task_spawn(struct sched *s, struct proc *proc, const char *name, struct list *owner,
                        void (*run)(void *arg), void *arg)
{
    struct task *t = mem_zalloc(s->mem, sizeof *t);
    CK(t != NULL);
    t->sched = s;
    t->id = ++s->tasks;
    t->proc = proc;
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    t->run = run;
    t->arg = arg;
    t->timer.fire = task_timeout;
    enum status st = fiber_new(s->pool, task_body, t, &t->fiber);
    CK(st == ST_OK);
    if (s->policy == SCHED_PCT) {
        t->priority = 16 + choose(&s->stream, 1u << 20);
    }
    list_insert(owner, &t->link);
    ready_add(s, t);
    return t;
}

void task_reap(struct task *t)
{
    CK(t->state == TASK_DONE);
    list_remove(&t->link);
    task_discard(t);
}

void task_kill(struct task *t)
{
    struct sched *s = t->sched;
    timers_remove(&s->timers, &t->timer);
    list_remove(&t->link);
    if (t == s->current) {
        s->doomed = t;
        return;
    }
    if (t->state == TASK_READY) {
        ready_remove(s, t);
    }
    task_discard(t);
}

_Noreturn void task_leave(struct sched *s)
{
    CK(s->doomed != NULL && s->doomed == s->current);
    fiber_suspend(s->current->fiber);
    CK(!"a killed task was resumed");
    __builtin_unreachable();
}

bool task_park(struct sched *s, enum task_wait why, const void *on, uint64_t deadline)
{
    struct task *t = s->current;
    CK(t != NULL);
    t->state = TASK_WAITING;
    t->wait = why;
    t->wait_on = on;
    t->timed_out = false;
    if (deadline != ENV_NEVER) {
        timers_set(&s->timers, &t->timer, deadline);
    }
    fiber_suspend(t->fiber);
    t->wait = WAIT_NONE;
    return !t->timed_out;
}

void task_wake(struct task *t)
{
    if (t->state == TASK_WAITING) {
        timers_remove(&t->sched->timers, &t->timer);
        make_ready(t);
    }
}

void task_sleep_until(struct sched *s, uint64_t when)
{
    (void)task_park(s, WAIT_SLEEP, NULL, when); /* the deadline is the point */
}

/* Whether the running task gives way at this point. */
static bool gives_way(struct sched *s, enum sched_point why)
{
    if (s->ready_count == 0) {
        return false;
    }
    switch (s->policy) {
    case SCHED_PCT:
        return s->ready[by_priority(s)]->priority > s->current->priority;
    case SCHED_BLOCK:
    case SCHED_LIFO:
        return false;
    case SCHED_LABELS:
        return why == POINT_LABEL && choose(&s->stream, 2) == 1;
    case SCHED_RANDOM:
    case SCHED_STARVE:
    case SCHED_POLICIES:
        break;
    }
    return choose(&s->stream, why == POINT_LABEL ? 2 : 4) == 1;
}

void task_point(struct sched *s, enum sched_point why)
{
    if (gives_way(s, why)) {
        make_ready(s->current);
        fiber_suspend(s->current->fiber);
    }
}

void task_hold(struct task *t, bool held)
{
    t->held = held;
    if (held && t->state == TASK_READY) {
        ready_remove(t->sched, t);
        t->state = TASK_HELD;
    } else if (!held && t->state == TASK_HELD) {
        ready_add(t->sched, t);
    }
}
