/* env_posix_thread.c - threads, mutexes and condition variables over pthreads. */
#define _GNU_SOURCE
#include "env/env_posix_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define STACK_SIZE ((size_t)2 << 20) /* musl's default of 128 KiB is too little for comfort */

struct thread {
    pthread_t id;
    void (*run)(void *arg);
    void *arg;
};

_Static_assert(sizeof(struct thread) <= sizeof(struct env_thread), "a thread fits its storage");
_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct env_mutex), "a mutex fits its storage");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(struct env_cond), "a condition fits its storage");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(struct env_mutex), "and is aligned");
_Static_assert(_Alignof(pthread_cond_t) <= _Alignof(struct env_cond), "and is aligned");

static pthread_mutex_t *mutex_of(struct env_mutex *m)
{
    return (pthread_mutex_t *)(void *)m->opaque;
}

static pthread_cond_t *cond_of(struct env_cond *c)
{
    return (pthread_cond_t *)(void *)c->opaque;
}

/* These calls fail only when they are misused: there is no state to go on from. */
static void must(struct env *e, const char *call, int error)
{
    if (error != 0) {
        char text[128];
        (void)snprintf(text, sizeof text, "%s: error %d", call, error);
        e->vt->proc_die(e, text);
    }
}

static void *thread_main(void *arg)
{
    struct thread *t = (struct thread *)arg;
    t->run(t->arg);
    return NULL;
}

static enum status thread_start(struct env *e, struct env_thread *storage, const char *name,
                                void (*run)(void *arg), void *arg)
{
    struct thread *t = (struct thread *)(void *)storage->opaque;
    pthread_attr_t attr;
    t->run = run;
    t->arg = arg;
    must(e, "pthread_attr_init", pthread_attr_init(&attr));
    must(e, "pthread_attr_setstacksize", pthread_attr_setstacksize(&attr, STACK_SIZE));
    int error = pthread_create(&t->id, &attr, thread_main, t);
    (void)pthread_attr_destroy(&attr); /* frees nothing that could fail */
    if (error != 0) {
        return env_posix_status(error);
    }
    char kept[16];
    (void)snprintf(kept, sizeof kept, "%s", name);
    (void)pthread_setname_np(t->id, kept); /* for people who look at the process only */
    return ST_OK;
}

static void thread_join(struct env *e, struct env_thread *storage)
{
    struct thread *t = (struct thread *)(void *)storage->opaque;
    must(e, "pthread_join", pthread_join(t->id, NULL));
}

static void mutex_init(struct env *e, struct env_mutex *m)
{
    must(e, "pthread_mutex_init", pthread_mutex_init(mutex_of(m), NULL));
}

static void mutex_release(struct env *e, struct env_mutex *m)
{
    must(e, "pthread_mutex_destroy", pthread_mutex_destroy(mutex_of(m)));
}

static void mutex_lock(struct env *e, struct env_mutex *m)
{
    must(e, "pthread_mutex_lock", pthread_mutex_lock(mutex_of(m)));
}

static void mutex_unlock(struct env *e, struct env_mutex *m)
{
    must(e, "pthread_mutex_unlock", pthread_mutex_unlock(mutex_of(m)));
}

static void cond_init(struct env *e, struct env_cond *c)
{
    pthread_condattr_t attr;
    must(e, "pthread_condattr_init", pthread_condattr_init(&attr));
    must(e, "pthread_condattr_setclock", pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    must(e, "pthread_cond_init", pthread_cond_init(cond_of(c), &attr));
    (void)pthread_condattr_destroy(&attr); /* as above */
}

static void cond_release(struct env *e, struct env_cond *c)
{
    must(e, "pthread_cond_destroy", pthread_cond_destroy(cond_of(c)));
}

static enum status cond_wait(struct env *e, struct env_cond *c, struct env_mutex *m,
                             uint64_t mono_ns)
{
    if (mono_ns == ENV_NEVER) {
        must(e, "pthread_cond_wait", pthread_cond_wait(cond_of(c), mutex_of(m)));
        return ST_OK;
    }
    struct timespec at = env_posix_timespec(mono_ns);
    int error = pthread_cond_timedwait(cond_of(c), mutex_of(m), &at);
    if (error == ETIMEDOUT) {
        return ST_TIMEOUT;
    }
    must(e, "pthread_cond_timedwait", error);
    return ST_OK;
}

static void cond_signal(struct env *e, struct env_cond *c)
{
    must(e, "pthread_cond_signal", pthread_cond_signal(cond_of(c)));
}

static void cond_broadcast(struct env *e, struct env_cond *c)
{
    must(e, "pthread_cond_broadcast", pthread_cond_broadcast(cond_of(c)));
}

void env_posix_thread_fill(struct env_vt *vt)
{
    vt->thread_start = thread_start;
    vt->thread_join = thread_join;
    vt->mutex_init = mutex_init;
    vt->mutex_release = mutex_release;
    vt->mutex_lock = mutex_lock;
    vt->mutex_unlock = mutex_unlock;
    vt->cond_init = cond_init;
    vt->cond_release = cond_release;
    vt->cond_wait = cond_wait;
    vt->cond_signal = cond_signal;
    vt->cond_broadcast = cond_broadcast;
}
