/* simenv_thread.c - threads, mutexes and condition variables of a simulated process.
 *
 * Their storage in the process's heap holds numbers only; who waits is known by the tasks, which
 * belong to the world, so that a kill leaves nothing dangling. */
#include "base/ck.h"
#include "sim/simenv_int.h"

/* opaque[0] of a mutex: the task id of its owner, 0 when free. */

static struct task *task_by_id(struct proc *p, uint64_t id)
{
    for (struct list *l = p->tasks.next; l != &p->tasks; l = l->next) {
        struct task *t = LIST_ENTRY(l, struct task, link);
        if (t->id == id) {
            return t;
        }
    }
    return NULL;
}

static void thread_body(void *arg)
{
    struct task *t = arg;
    t->inner(t->inner_arg);
    /* It is done when this returns; whoever joins looks after that. */
    (void)proc_wake_all(t->proc, WAIT_JOIN, t);
}

enum status simenv_thread_start(struct env *e, struct env_thread *t, const char *name,
                                void (*run)(void *arg), void *arg)
{
    struct proc *p = proc_of(e);
    struct task *task = task_spawn(&p->world->sched, p, name, &p->tasks, thread_body, NULL);
    task->arg = task;
    task->inner = run;
    task->inner_arg = arg;
    t->opaque[0] = task->id;
    proc_trace(p, TRACE_THREAD, task->name, task->id, 0, 0, ST_OK);
    task_point(&p->world->sched, POINT_LOCK);
    return ST_OK;
}

void simenv_thread_join(struct env *e, struct env_thread *t)
{
    struct proc *p = proc_of(e);
    struct task *task = task_by_id(p, t->opaque[0]);
    CK(task != NULL);
    while (task->state != TASK_DONE) {
        (void)task_park(&p->world->sched, WAIT_JOIN, task, ENV_NEVER); /* woken at its end */
    }
    task_reap(task);
    t->opaque[0] = 0;
}

void simenv_mutex_init(struct env *e, struct env_mutex *m)
{
    (void)e;
    m->opaque[0] = 0;
}

void simenv_mutex_release(struct env *e, struct env_mutex *m)
{
    (void)e;
    CK(m->opaque[0] == 0);
}

static void lock_now(struct proc *p, struct env_mutex *m)
{
    struct sched *s = &p->world->sched;
    while (m->opaque[0] != 0) {
        CK(m->opaque[0] != s->current->id); /* locking twice */
        (void)task_park(s, WAIT_MUTEX, m, ENV_NEVER);
    }
    m->opaque[0] = s->current->id;
}

void simenv_mutex_lock(struct env *e, struct env_mutex *m)
{
    struct proc *p = proc_of(e);
    task_point(&p->world->sched, POINT_LOCK);
    lock_now(p, m);
}

static void unlock_now(struct proc *p, struct env_mutex *m)
{
    CK(m->opaque[0] == p->world->sched.current->id);
    m->opaque[0] = 0;
    (void)proc_wake_one(p, WAIT_MUTEX, m); /* nobody need be waiting */
}

void simenv_mutex_unlock(struct env *e, struct env_mutex *m)
{
    unlock_now(proc_of(e), m);
}

void simenv_cond_init(struct env *e, struct env_cond *c)
{
    (void)e;
    c->opaque[0] = 0;
}

void simenv_cond_release(struct env *e, struct env_cond *c)
{
    struct proc *p = proc_of(e);
    for (struct list *l = p->tasks.next; l != &p->tasks; l = l->next) {
        CK(!task_waits(LIST_ENTRY(l, struct task, link), WAIT_COND, c));
    }
}

enum status simenv_cond_wait(struct env *e, struct env_cond *c, struct env_mutex *m,
                             uint64_t mono_ns)
{
    struct proc *p = proc_of(e);
    struct sched *s = &p->world->sched;
    enum status st = ST_OK;
    unlock_now(p, m);
    if (world_fault(p->world, &p->sched_stream, PLAN_SPURIOUS_WAKE)) {
        task_point(s, POINT_LABEL);
    } else {
        uint64_t when = mono_ns == ENV_NEVER ? ENV_NEVER : host_when(p->host, mono_ns);
        (void)task_park(s, WAIT_COND, c, when); /* a timeout is told by the clock below */
        st = host_mono(p->host) >= mono_ns ? ST_TIMEOUT : ST_OK;
    }
    lock_now(p, m);
    return st;
}

void simenv_cond_signal(struct env *e, struct env_cond *c)
{
    (void)proc_wake_one(proc_of(e), WAIT_COND, c);
}

void simenv_cond_broadcast(struct env *e, struct env_cond *c)
{
    (void)proc_wake_all(proc_of(e), WAIT_COND, c);
}
