/* proc.c - see proc.h. */
#include "sim/proc.h"

#include "base/ck.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FD_LIMIT 4096
#define FD_MIN   8

struct proc *proc_current(struct world *w)
{
    return w->sched.current != NULL ? w->sched.current->proc : NULL;
}

void proc_trace(struct proc *p, enum trace_kind kind, const char *text, uint64_t a, uint64_t b,
                uint64_t c, enum status st)
{
    struct world *w = p->world;
    struct trace_event e = {.time = w->sched.now,
                            .proc = p->id,
                            .task = w->sched.current != NULL ? w->sched.current->id : 0,
                            .kind = kind,
                            .status = st,
                            .a = a,
                            .b = b,
                            .c = c};
    memcpy(e.who, p->name, sizeof e.who);
    trace_text(&e, text);
    trace_add(&w->trace, &e);
    bool talk = kind == TRACE_LOG || kind == TRACE_CONSOLE || kind == TRACE_NOTE;
    p->spins = st == ST_OK && !talk ? 0 : p->spins;
}

/* ---- descriptors ---- */

static int lowest_fd(const struct proc *p)
{
    int at = 0;
    while (at < p->fd_count && p->fds[at].kind != FD_FREE) {
        at++;
    }
    return at;
}

bool proc_fd_room(const struct proc *p)
{
    return lowest_fd(p) < p->fd_limit;
}

int proc_fds_open(const struct proc *p)
{
    int n = 0;
    for (int i = 0; i < p->fd_count; i++) {
        n += p->fds[i].kind != FD_FREE;
    }
    return n;
}

void proc_limit_fds(struct proc *p, int more)
{
    p->fd_limit = more < 0 ? FD_LIMIT : proc_fds_open(p) + more;
}

enum status proc_fd_new(struct proc *p, struct fd_entry entry, int *fd)
{
    int at = lowest_fd(p);
    if (at >= p->fd_limit) {
        return ST_MFILE;
    }
    if (at == p->fd_count) {
        int count = p->fd_count < FD_MIN ? FD_MIN : p->fd_count * 2;
        p->fds = mem_resize(p->world->mem, p->fds, (size_t)count * sizeof *p->fds);
        memset(p->fds + p->fd_count, 0, (size_t)(count - p->fd_count) * sizeof *p->fds);
        p->fd_count = count;
    }
    p->fds[at] = entry;
    *fd = at;
    return ST_OK;
}

bool proc_fd_open(const struct proc *p, int fd)
{
    return fd >= 0 && fd < p->fd_count && p->fds[fd].kind != FD_FREE;
}

struct fd_entry *proc_fd(struct proc *p, int fd, enum fd_kind kind)
{
    return fd >= 0 && fd < p->fd_count && p->fds[fd].kind == kind ? &p->fds[fd] : NULL;
}

void proc_fd_drop(struct proc *p, struct fd_entry *e, bool vanish)
{
    if (e->kind == FD_LOCK && !vanish) {
        simdisk_unlock(p->host->disk, e->ino);
    }
    switch (e->kind) {
    case FD_LOCK:
    case FD_FILE:
        if (!vanish) {
            simdisk_close(p->host->disk, e->ino);
        }
        break;
    case FD_SOCKET:
        if (!vanish) {
            simsock_close(e->sock);
        }
        break;
    case FD_POLLER:
        simpoller_free(e->poller);
        break;
    case FD_FREE:
        break;
    }
    *e = (struct fd_entry){0};
}

/* Pollers first: they refer to sockets. */
static void drop_all_fds(struct proc *p, bool vanish)
{
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < p->fd_count; i++) {
            if (pass == 1 || p->fds[i].kind == FD_POLLER) {
                proc_fd_drop(p, &p->fds[i], vanish);
            }
        }
    }
    mem_release(p->world->mem, p->fds);
    p->fds = NULL;
    p->fd_count = 0;
}

/* ---- life ---- */

/* What a killed task was doing to the disk may have been done in part. */
static void interrupt_disk(struct proc *p)
{
    for (struct list *l = p->tasks.next; l != &p->tasks; l = l->next) {
        struct task *t = LIST_ENTRY(l, struct task, link);
        if (t->in_flight != NULL) {
            simfile_interrupt(p, t->in_flight);
            t->in_flight = NULL;
        }
    }
}

/* Ends it, with or without a kernel left to tidy up. The hook sees the heap as it stood. A running
 * task of its own stays on its stack and must task_leave. */
static void proc_end(struct proc *p, enum proc_state how, bool vanish)
{
    CK(p->state == PROC_RUNNING);
    interrupt_disk(p);
    p->state = how;
    if (p->world->hooks != NULL && p->world->hooks->ended != NULL) {
        p->world->hooks->ended(p->world->hooks_arg, p);
    }
    while (!list_empty(&p->tasks)) {
        task_kill(LIST_ENTRY(p->tasks.next, struct task, link));
    }
    drop_all_fds(p, vanish);
    simheap_free_all(p);
    if (!vanish) {
        simdisk_process_died(p->host->disk, &p->host->disk_fault);
    }
}

static void proc_body(void *arg)
{
    struct proc *p = arg;
    p->exit_code = p->main(&p->env, p->argc, p->argv);
    proc_trace(p, TRACE_EXIT, "", (uint64_t)p->exit_code, p->heap_blocks, 0, ST_OK);
    proc_end(p, PROC_EXITED, false);
    task_leave(&p->world->sched);
}

struct proc *proc_start(struct host *h, const char *name, proc_main_fn *main, int argc, char **argv,
                        void *user)
{
    struct world *w = h->world;
    struct proc *p = mem_zalloc(w->mem, sizeof *p);
    p->world = w;
    p->host = h;
    p->id = ++w->proc_ids;
    (void)snprintf(p->name, sizeof p->name, "%s", name);
    p->main = main;
    p->argc = argc;
    p->argv = argv;
    p->user = user;
    p->env.vt = &simenv_vt;
    p->fd_limit = FD_LIMIT;
    list_init(&p->tasks);
    list_init(&p->pollers);
    h->incarnations++;
    uint64_t actor = (uint64_t)h->id << 32 | h->incarnations;
    chooser_stream_init(&p->random, &w->chooser, CHOOSE_RANDOM, actor);
    chooser_stream_init(&p->heap_stream, &w->chooser, CHOOSE_HEAP, actor);
    chooser_stream_init(&p->net_fault, &w->chooser, CHOOSE_NET_FAULT, actor);
    chooser_stream_init(&p->sched_stream, &w->chooser, CHOOSE_SCHED, actor);
    simheap_init(p);
    list_insert(&w->procs, &p->link);
    (void)task_spawn(&w->sched, p, "main", &p->tasks, proc_body, p);
    proc_trace(p, TRACE_START, p->name, h->incarnations, 0, 0, ST_OK);
    return p;
}

void proc_kill(struct proc *p)
{
    bool self = proc_current(p->world) == p;
    proc_trace(p, TRACE_KILL, "", 0, 0, 0, ST_OK);
    proc_end(p, PROC_KILLED, false);
    if (self) {
        task_leave(&p->world->sched);
    }
}

void proc_vanish(struct proc *p)
{
    proc_end(p, PROC_KILLED, true);
}

_Noreturn void proc_die_now(struct proc *p, const char *why)
{
    CK(proc_current(p->world) == p);
    (void)snprintf(p->death, sizeof p->death, "%s", why);
    proc_trace(p, TRACE_KILL, why, 0, 0, 0, ST_OK);
    proc_end(p, PROC_DIED, false);
    task_leave(&p->world->sched);
}

void proc_request_stop(struct proc *p)
{
    if (p->state != PROC_RUNNING || p->stop_requested) {
        return;
    }
    p->stop_requested = true;
    for (struct list *l = p->pollers.next; l != &p->pollers; l = l->next) {
        simpoller_stop(simpoller_of_link(l));
    }
}

static void hold_all(struct proc *p, bool held)
{
    p->paused = held;
    for (struct list *l = p->tasks.next; l != &p->tasks; l = l->next) {
        task_hold(LIST_ENTRY(l, struct task, link), held);
    }
    proc_trace(p, held ? TRACE_PAUSE : TRACE_RESUME, "", 0, 0, 0, ST_OK);
}

void proc_pause(struct proc *p)
{
    if (p->state == PROC_RUNNING && !p->paused) {
        hold_all(p, true);
    }
}

void proc_resume(struct proc *p)
{
    if (p->state == PROC_RUNNING && p->paused) {
        hold_all(p, false);
    }
}

void proc_free(struct proc *p)
{
    CK(p->state != PROC_RUNNING);
    list_remove(&p->link);
    mem_release(p->world->mem, p);
}

/* ---- looking ---- */

__attribute__((format(printf, 3, 4))) static void add(char *text, size_t size, const char *fmt, ...)
{
    size_t at = strlen(text);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text + at, size - at, fmt, args);
    va_end(args);
}

void proc_leaks(const struct proc *p, char *text, size_t size)
{
    text[0] = '\0';
    if (p->heap_blocks > 0) {
        add(text, size, "%llu heap blocks (%llu bytes); ", (unsigned long long)p->heap_blocks,
            (unsigned long long)p->heap_bytes);
    }
    for (int i = 0; i < p->fd_count; i++) {
        if (p->fds[i].kind != FD_FREE) {
            add(text, size, "descriptor %d %s; ", i, p->fds[i].name);
        }
    }
    for (struct list *l = p->tasks.next; l != &p->tasks; l = l->next) {
        const struct task *t = LIST_ENTRY(l, struct task, link);
        if (t != p->world->sched.current) {
            add(text, size, "thread %s; ", t->name);
        }
    }
}

void proc_waiters(const struct proc *p, char *text, size_t size)
{
    for (struct list *l = p->tasks.next; l != &p->tasks; l = l->next) {
        const struct task *t = LIST_ENTRY(l, struct task, link);
        if (t->state == TASK_WAITING || t->state == TASK_HELD) {
            add(text, size, "  %s thread %s (t%u) waits for %s\n", p->name, t->name, t->id,
                t->state == TASK_HELD ? "the end of a pause" : task_wait_name(t->wait));
        }
    }
}

unsigned proc_wake_all(struct proc *p, enum task_wait why, const void *on)
{
    unsigned n = 0;
    for (struct list *l = p->tasks.next; l != &p->tasks; l = l->next) {
        struct task *t = LIST_ENTRY(l, struct task, link);
        if (task_waits(t, why, on)) {
            task_wake(t);
            n++;
        }
    }
    return n;
}

unsigned proc_wake_one(struct proc *p, enum task_wait why, const void *on)
{
    unsigned n = 0;
    for (struct list *l = p->tasks.next; l != &p->tasks; l = l->next) {
        n += task_waits(LIST_ENTRY(l, struct task, link), why, on);
    }
    if (n == 0) {
        return 0;
    }
    uint64_t k = choose(&p->sched_stream, n);
    for (struct list *l = p->tasks.next; l != &p->tasks; l = l->next) {
        struct task *t = LIST_ENTRY(l, struct task, link);
        if (task_waits(t, why, on) && k-- == 0) {
            task_wake(t);
            return 1;
        }
    }
    return 0;
}
