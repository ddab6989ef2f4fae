/* test_env.c - see test_env.h. */
#include "tests/test_env.h"

#include <stdlib.h>
#include <string.h>

static struct test_env *te_of(struct env *e)
{
    return (struct test_env *)(void *)e;
}

static struct env *under(struct env *e)
{
    return te_of(e)->under;
}

/* ---- memory ---- */

static bool refused(struct test_env *te)
{
    long n = atomic_fetch_add(&te->allocs, 1);
    return te->fail_at >= 0 && (n == te->fail_at || (te->fail_rest && n > te->fail_at));
}

static void *mem_test_alloc(struct mem *m, size_t size)
{
    struct test_env *te = (struct test_env *)(void *)m; /* env is first, and mem first in it */
    if (refused(te)) {
        return NULL;
    }
    void *p = te->under != NULL ? env_alloc(te->under, size) : malloc(size);
    if (p != NULL) {
        atomic_fetch_add(&te->live, 1);
    }
    return p;
}

static void *mem_test_resize(struct mem *m, void *block, size_t size)
{
    struct test_env *te = (struct test_env *)(void *)m;
    if (refused(te)) {
        return NULL;
    }
    void *p = te->under != NULL ? env_resize(te->under, block, size) : realloc(block, size);
    if (p != NULL && block == NULL) {
        atomic_fetch_add(&te->live, 1);
    }
    return p;
}

static void mem_test_release(struct mem *m, void *block)
{
    struct test_env *te = (struct test_env *)(void *)m;
    if (block != NULL) {
        atomic_fetch_sub(&te->live, 1);
    }
    if (te->under != NULL) {
        env_release(te->under, block);
    } else {
        free(block);
    }
}

/* ---- clock, random, threads: passed on ---- */

static uint64_t clock_mono(struct env *e)
{
    return env_clock_mono(under(e));
}

static uint64_t clock_boot(struct env *e)
{
    return env_clock_boot(under(e));
}

static int64_t clock_wall(struct env *e)
{
    return env_clock_wall(under(e));
}

static void sleep_until(struct env *e, uint64_t mono_ns)
{
    env_sleep_until(under(e), mono_ns);
}

static uint64_t random_u64(struct env *e)
{
    return env_random_u64(under(e));
}

static enum status thread_start(struct env *e, struct env_thread *t, const char *name,
                                void (*run)(void *arg), void *arg)
{
    return env_thread_start(under(e), t, name, run, arg);
}

static void thread_join(struct env *e, struct env_thread *t)
{
    env_thread_join(under(e), t);
}

static void mutex_init(struct env *e, struct env_mutex *m)
{
    env_mutex_init(under(e), m);
}

static void mutex_release(struct env *e, struct env_mutex *m)
{
    env_mutex_release(under(e), m);
}

static void mutex_lock(struct env *e, struct env_mutex *m)
{
    env_mutex_lock(under(e), m);
}

static void mutex_unlock(struct env *e, struct env_mutex *m)
{
    env_mutex_unlock(under(e), m);
}

static void cond_init(struct env *e, struct env_cond *c)
{
    env_cond_init(under(e), c);
}

static void cond_release(struct env *e, struct env_cond *c)
{
    env_cond_release(under(e), c);
}

static enum status cond_wait(struct env *e, struct env_cond *c, struct env_mutex *m,
                             uint64_t mono_ns)
{
    return env_cond_wait(under(e), c, m, mono_ns);
}

static void cond_signal(struct env *e, struct env_cond *c)
{
    env_cond_signal(under(e), c);
}

static void cond_broadcast(struct env *e, struct env_cond *c)
{
    env_cond_broadcast(under(e), c);
}

/* ---- files ---- */

/* Counts the descriptor that a call gave, where it gave one. */
static enum status counted(struct env *e, enum status st)
{
    if (st == ST_OK || st == ST_INPROGRESS) {
        atomic_fetch_add(&te_of(e)->descriptors, 1);
    }
    return st;
}

static size_t cut(struct env *e, size_t size)
{
    size_t most = te_of(e)->io_max;
    return most > 0 && size > most ? most : size;
}

/* The first part that is not empty, cut: what a vectored call is reduced to under io_max. */
static struct env_slice first_cut(struct env *e, const struct env_slice *parts, int count)
{
    for (int i = 0; i < count; i++) {
        if (parts[i].size > 0) {
            return (struct env_slice){parts[i].data, cut(e, parts[i].size)};
        }
    }
    return (struct env_slice){NULL, 0};
}

static enum status file_open(struct env *e, const char *path, unsigned flags, int *fd)
{
    return counted(e, env_file_open(under(e), path, flags, fd));
}

static enum status file_pread(struct env *e, int fd, void *buf, size_t size, uint64_t offset,
                              size_t *got)
{
    return env_file_pread(under(e), fd, buf, cut(e, size), offset, got);
}

static enum status file_pwrite(struct env *e, int fd, const void *buf, size_t size, uint64_t offset,
                               size_t *put)
{
    return env_file_pwrite(under(e), fd, buf, cut(e, size), offset, put);
}

static enum status file_append(struct env *e, int fd, const struct env_slice *parts, int count,
                               size_t *put)
{
    if (te_of(e)->io_max == 0) {
        return env_file_append(under(e), fd, parts, count, put);
    }
    struct env_slice one = first_cut(e, parts, count);
    return env_file_append(under(e), fd, &one, 1, put);
}

static enum status file_sync(struct env *e, int fd)
{
    return env_file_sync(under(e), fd);
}

static enum status file_datasync(struct env *e, int fd)
{
    return env_file_datasync(under(e), fd);
}

static enum status file_truncate(struct env *e, int fd, uint64_t size)
{
    return env_file_truncate(under(e), fd, size);
}

static enum status file_allocate(struct env *e, int fd, uint64_t offset, uint64_t size,
                                 bool keep_size)
{
    return env_file_allocate(under(e), fd, offset, size, keep_size);
}

static enum status file_size(struct env *e, int fd, uint64_t *size)
{
    return env_file_size(under(e), fd, size);
}

static enum status file_writeback(struct env *e, int fd, uint64_t offset, uint64_t size)
{
    return env_file_writeback(under(e), fd, offset, size);
}

static enum status fd_close(struct env *e, int fd)
{
    enum status st = env_fd_close(under(e), fd);
    if (st != ST_BADFD) {
        atomic_fetch_sub(&te_of(e)->descriptors, 1);
    }
    return st;
}

/* ---- directories ---- */

static enum status dir_make(struct env *e, const char *path)
{
    return env_dir_make(under(e), path);
}

static enum status dir_list(struct env *e, const char *path, env_list_fn *each, void *arg)
{
    return env_dir_list(under(e), path, each, arg);
}

static enum status dir_sync(struct env *e, const char *path)
{
    return env_dir_sync(under(e), path);
}

static enum status path_stat(struct env *e, const char *path, struct env_stat *st)
{
    return env_path_stat(under(e), path, st);
}

static enum status path_rename(struct env *e, const char *from, const char *to)
{
    return env_path_rename(under(e), from, to);
}

static enum status path_link(struct env *e, const char *from, const char *to)
{
    return env_path_link(under(e), from, to);
}

static enum status path_remove(struct env *e, const char *path)
{
    return env_path_remove(under(e), path);
}

static enum status path_lock(struct env *e, const char *path, int *fd)
{
    return counted(e, env_path_lock(under(e), path, fd));
}

static enum status path_free_space(struct env *e, const char *path, uint64_t *bytes)
{
    return env_path_free_space(under(e), path, bytes);
}

/* ---- sockets and pollers ---- */

static enum status sock_listen(struct env *e, const struct env_addr *addr, int backlog, int *fd)
{
    return counted(e, env_sock_listen(under(e), addr, backlog, fd));
}

static enum status sock_accept(struct env *e, int listener, int *fd, struct env_addr *peer)
{
    return counted(e, env_sock_accept(under(e), listener, fd, peer));
}

static enum status sock_connect(struct env *e, const struct env_addr *addr, int *fd)
{
    return counted(e, env_sock_connect(under(e), addr, fd));
}

static enum status sock_error(struct env *e, int fd)
{
    return env_sock_error(under(e), fd);
}

static enum status sock_read(struct env *e, int fd, void *buf, size_t size, size_t *got)
{
    return env_sock_read(under(e), fd, buf, cut(e, size), got);
}

static enum status sock_write(struct env *e, int fd, const struct env_slice *parts, int count,
                              size_t *put)
{
    if (te_of(e)->io_max == 0) {
        return env_sock_write(under(e), fd, parts, count, put);
    }
    struct env_slice one = first_cut(e, parts, count);
    return env_sock_write(under(e), fd, &one, 1, put);
}

static enum status sock_shutdown(struct env *e, int fd)
{
    return env_sock_shutdown(under(e), fd);
}

static enum status sock_option(struct env *e, int fd, enum env_sockopt option, int value)
{
    return env_sock_option(under(e), fd, option, value);
}

static enum status sock_local(struct env *e, int fd, struct env_addr *addr)
{
    return env_sock_local(under(e), fd, addr);
}

static enum status poller_open(struct env *e, int *poller)
{
    return counted(e, env_poller_open(under(e), poller));
}

static enum status poller_set(struct env *e, int poller, int fd, unsigned interest, uint64_t token)
{
    return env_poller_set(under(e), poller, fd, interest, token);
}

static enum status poller_wait(struct env *e, int poller, struct env_event *events, int max,
                               uint64_t mono_ns, int *count)
{
    return env_poller_wait(under(e), poller, events, max, mono_ns, count);
}

static void poller_wake(struct env *e, int poller)
{
    env_poller_wake(under(e), poller);
}

/* ---- process and observation ---- */

static bool stop_requested(struct env *e)
{
    return env_stop_requested(under(e));
}

static enum status stop_subscribe(struct env *e, int poller)
{
    return env_stop_subscribe(under(e), poller);
}

__attribute__((noreturn)) static void proc_die(struct env *e, const char *reason)
{
    env_proc_die(under(e), reason);
}

static void console(struct env *e, bool error, const char *text, size_t size)
{
    env_console(under(e), error, text, size);
}

static void log_line(struct env *e, enum env_log_level level, const char *text)
{
    env_log(under(e), level, text);
}

static unsigned cpu_features(struct env *e)
{
    return env_cpu_features(under(e));
}

static void yield(struct env *e, const struct env_site *site)
{
    under(e)->vt->yield(under(e), site);
}

static void probe(struct env *e, const struct env_site *site)
{
    under(e)->vt->probe(under(e), site);
}

static void note(struct env *e, const struct env_note *n)
{
    env_note(under(e), n);
}

static const struct env_vt forward = {
    .clock_mono = clock_mono,
    .clock_boot = clock_boot,
    .clock_wall = clock_wall,
    .sleep_until = sleep_until,
    .random_u64 = random_u64,
    .thread_start = thread_start,
    .thread_join = thread_join,
    .mutex_init = mutex_init,
    .mutex_release = mutex_release,
    .mutex_lock = mutex_lock,
    .mutex_unlock = mutex_unlock,
    .cond_init = cond_init,
    .cond_release = cond_release,
    .cond_wait = cond_wait,
    .cond_signal = cond_signal,
    .cond_broadcast = cond_broadcast,
    .file_open = file_open,
    .file_pread = file_pread,
    .file_pwrite = file_pwrite,
    .file_append = file_append,
    .file_sync = file_sync,
    .file_datasync = file_datasync,
    .file_truncate = file_truncate,
    .file_allocate = file_allocate,
    .file_size = file_size,
    .file_writeback = file_writeback,
    .fd_close = fd_close,
    .dir_make = dir_make,
    .dir_list = dir_list,
    .dir_sync = dir_sync,
    .path_stat = path_stat,
    .path_rename = path_rename,
    .path_link = path_link,
    .path_remove = path_remove,
    .path_lock = path_lock,
    .path_free_space = path_free_space,
    .sock_listen = sock_listen,
    .sock_accept = sock_accept,
    .sock_connect = sock_connect,
    .sock_error = sock_error,
    .sock_read = sock_read,
    .sock_write = sock_write,
    .sock_shutdown = sock_shutdown,
    .sock_option = sock_option,
    .sock_local = sock_local,
    .poller_open = poller_open,
    .poller_set = poller_set,
    .poller_wait = poller_wait,
    .poller_wake = poller_wake,
    .stop_requested = stop_requested,
    .stop_subscribe = stop_subscribe,
    .proc_die = proc_die,
    .console = console,
    .log = log_line,
    .cpu_features = cpu_features,
    .yield = yield,
    .probe = probe,
    .note = note,
};

void test_env_init(struct test_env *te, struct env *below)
{
    memset(te, 0, sizeof *te);
    te->env.mem = (struct mem){mem_test_alloc, mem_test_resize, mem_test_release};
    te->env.vt = &te->vt;
    te->under = below;
    te->fail_at = -1;
    if (below != NULL) {
        te->vt = forward;
        /* what the Env below leaves out stays out: callers look for NULL */
        te->vt.yield = below->vt->yield != NULL ? yield : NULL;
        te->vt.probe = below->vt->probe != NULL ? probe : NULL;
        te->vt.note = below->vt->note != NULL ? note : NULL;
    }
}
