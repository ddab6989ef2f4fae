/* simenv.c - the simulated Env: its table, and the groups too small for a file of their own. */
#include "sim/simenv_int.h"

#define NS_PER_S 1000000000

static uint64_t clock_mono(struct env *e)
{
    return host_mono(proc_of(e)->host);
}

/* Machines here do not suspend: a paused process is paused, its machine is not. */
static uint64_t clock_boot(struct env *e)
{
    return host_mono(proc_of(e)->host);
}

#define WALL_FAR (INT64_MAX / 2) /* 146 years from 1970: where steps turn back */

static int64_t clock_wall(struct env *e)
{
    struct proc *p = proc_of(e);
    struct host *h = p->host;
    if (p->faulty && world_fault(p->world, &h->clock, PLAN_WALL_STEP)) {
        int64_t days = (int64_t)choose(&h->clock, 8000) - 4000;
        int64_t step = days * 86400 * NS_PER_S + (int64_t)choose(&h->clock, NS_PER_S);
        bool far = step > 0 ? h->wall_offset > WALL_FAR : h->wall_offset < -WALL_FAR;
        h->wall_offset += far ? -step : step; /* a clock that is read for ever stays a clock */
    }
    return host_wall(h);
}

static void sleep_until(struct env *e, uint64_t mono_ns)
{
    struct proc *p = proc_of(e);
    while (host_mono(p->host) < mono_ns) {
        task_sleep_until(&p->world->sched, host_when(p->host, mono_ns));
    }
}

static uint64_t random_u64(struct env *e)
{
    return choose_u64(&proc_of(e)->random);
}

static bool stop_requested(struct env *e)
{
    return proc_of(e)->stop_requested;
}

static __attribute__((noreturn)) void die(struct env *e, const char *reason)
{
    proc_die_now(proc_of(e), reason);
}

static void console(struct env *e, bool error, const char *text, size_t size)
{
    char line[TRACE_TEXT];
    size_t n = 0;
    for (; n < size && n + 1 < sizeof line && text[n] != '\n'; n++) {
        line[n] = text[n];
    }
    line[n] = '\0';
    proc_trace(proc_of(e), TRACE_CONSOLE, line, error, 0, 0, ST_OK);
}

static void log_line(struct env *e, enum env_log_level level, const char *text)
{
    proc_trace(proc_of(e), TRACE_LOG, text, (uint64_t)level, 0, 0, ST_OK);
}

/* None: the portable code runs everywhere the same. */
static unsigned cpu_features(struct env *e)
{
    (void)e;
    return 0;
}

static void yield(struct env *e, const struct env_site *site)
{
    (void)site;
    task_point(&proc_of(e)->world->sched, POINT_LABEL);
}

static void probe(struct env *e, const struct env_site *site)
{
    struct proc *p = proc_of(e);
    const struct world_hooks *hooks = p->world->hooks;
    if (hooks != NULL && hooks->probe != NULL) {
        hooks->probe(p->world->hooks_arg, p, site);
    }
}

static void note(struct env *e, const struct env_note *n)
{
    struct proc *p = proc_of(e);
    const struct world_hooks *hooks = p->world->hooks;
    trace_mix(&p->world->trace, n->kind, n->a);
    trace_mix(&p->world->trace, n->b, n->c);
    if (hooks != NULL && hooks->note != NULL) {
        hooks->note(p->world->hooks_arg, p, n);
    }
}

const struct env_vt simenv_vt = {
    .clock_mono = clock_mono,
    .clock_boot = clock_boot,
    .clock_wall = clock_wall,
    .sleep_until = sleep_until,
    .random_u64 = random_u64,
    .thread_start = simenv_thread_start,
    .thread_join = simenv_thread_join,
    .mutex_init = simenv_mutex_init,
    .mutex_release = simenv_mutex_release,
    .mutex_lock = simenv_mutex_lock,
    .mutex_unlock = simenv_mutex_unlock,
    .cond_init = simenv_cond_init,
    .cond_release = simenv_cond_release,
    .cond_wait = simenv_cond_wait,
    .cond_signal = simenv_cond_signal,
    .cond_broadcast = simenv_cond_broadcast,
    .file_open = simenv_file_open,
    .file_pread = simenv_file_pread,
    .file_pwrite = simenv_file_pwrite,
    .file_append = simenv_file_append,
    .file_sync = simenv_file_sync,
    .file_datasync = simenv_file_datasync,
    .file_truncate = simenv_file_truncate,
    .file_allocate = simenv_file_allocate,
    .file_size = simenv_file_size,
    .file_writeback = simenv_file_writeback,
    .fd_close = simenv_fd_close,
    .dir_make = simenv_dir_make,
    .dir_list = simenv_dir_list,
    .dir_sync = simenv_dir_sync,
    .path_stat = simenv_path_stat,
    .path_rename = simenv_path_rename,
    .path_link = simenv_path_link,
    .path_remove = simenv_path_remove,
    .path_lock = simenv_path_lock,
    .path_free_space = simenv_path_free_space,
    .sock_listen = simenv_sock_listen,
    .sock_accept = simenv_sock_accept,
    .sock_connect = simenv_sock_connect,
    .sock_error = simenv_sock_error,
    .sock_read = simenv_sock_read,
    .sock_write = simenv_sock_write,
    .sock_shutdown = simenv_sock_shutdown,
    .sock_option = simenv_sock_option,
    .sock_local = simenv_sock_local,
    .poller_open = simenv_poller_open,
    .poller_set = simenv_poller_set,
    .poller_wait = simenv_poller_wait,
    .poller_wake = simenv_poller_wake,
    .stop_requested = stop_requested,
    .stop_subscribe = simenv_stop_subscribe,
    .proc_die = die,
    .console = console,
    .log = log_line,
    .cpu_features = cpu_features,
    .yield = yield,
    .probe = probe,
    .note = note,
};
