/* inject.c - see inject.h. */
#include "fault/inject.h"

#include "fault/namepat.h"

#include <string.h>

static struct inject *of(struct env *e)
{
    return (struct inject *)(void *)e;
}

static struct env *under(struct env *e)
{
    return of(e)->under;
}

/* ---- memory ---- */

static struct inject *of_mem(struct mem *m)
{
    return (struct inject *)(void *)m; /* env is first, and mem first in it */
}

static bool refused(struct inject *in)
{
    long n = atomic_fetch_add(&in->allocs, 1);
    return in->fail_at >= 0 && (n == in->fail_at || (in->fail_rest && n > in->fail_at));
}

static void *inject_alloc(struct mem *m, size_t size)
{
    struct inject *in = of_mem(m);
    void *p = refused(in) ? NULL : mem_alloc(in->mem, size);
    if (p != NULL) {
        atomic_fetch_add(&in->live, 1);
    }
    return p;
}

static void *inject_resize(struct mem *m, void *block, size_t size)
{
    struct inject *in = of_mem(m);
    void *p = refused(in) ? NULL : mem_resize(in->mem, block, size);
    if (p != NULL && block == NULL) {
        atomic_fetch_add(&in->live, 1);
    }
    return p;
}

static void inject_free(struct mem *m, void *block)
{
    struct inject *in = of_mem(m);
    if (block != NULL) {
        atomic_fetch_sub(&in->live, 1);
    }
    mem_release(in->mem, block);
}

/* ---- rules ---- */

enum verdict { PASS, FAIL, CUT };

/* One more call that matches r. */
static enum verdict judge(struct inject_rule *r)
{
    long n = atomic_fetch_add(&r->seen, 1);
    long at = atomic_load(&r->at);
    bool owed = atomic_exchange(&r->owes, false);
    bool later = r->rest && at >= 0 && n > at;
    bool here = n == at || (r->every > 0 && n % r->every == r->every - 1);
    if (!owed && !later && !here) {
        return PASS;
    }
    atomic_fetch_add(&r->struck, 1);
    return owed || later || r->how == INJECT_FAIL ? FAIL : CUT;
}

/* What a call concerns: paths, or a descriptor. */
struct subject {
    const char *path;
    const char *other;
    int fd;
};

static bool name_is(const char *pattern, const char *path)
{
    const char *base = path != NULL ? namepat_base(path) : "";
    return path != NULL && namepat_matches(pattern, base, strlen(base));
}

static enum verdict ask_all(struct inject *in, unsigned call, const char *path, const char *other,
                            struct inject_rule **by)
{
    enum verdict v = PASS;
    for (struct inject_rule *r = in->rules; r != NULL; r = r->next) {
        bool named = r->name == NULL || name_is(r->name, path) || name_is(r->name, other);
        enum verdict mine = (r->calls & call) != 0 && named ? judge(r) : PASS;
        if (v == PASS && mine != PASS) {
            v = mine;
            *by = r;
        }
    }
    return v;
}

static enum verdict ask(struct env *e, unsigned call, struct subject s, struct inject_rule **by)
{
    struct inject *in = of(e);
    if (in->rules == NULL) {
        return PASS;
    }
    if (s.path != NULL || !in->named) {
        return ask_all(in, call, s.path, s.other, by);
    }
    env_mutex_lock(in->under, &in->m);
    const char *name = s.fd >= 0 && s.fd < in->name_cap ? in->names[s.fd] : NULL;
    enum verdict v = ask_all(in, call, name, NULL, by);
    env_mutex_unlock(in->under, &in->m);
    return v;
}

/* For calls that move no bytes. */
static bool fails(struct env *e, unsigned call, struct subject s, enum status *with)
{
    struct inject_rule *r = NULL;
    enum verdict v = ask(e, call, s, &r);
    if (v == PASS || (v == CUT && r->how == INJECT_SHORT)) {
        return false;
    }
    *with = r->with;
    return true;
}

static bool fails_path(struct env *e, unsigned call, const char *path, enum status *with)
{
    return fails(e, call, (struct subject){path, NULL, -1}, with);
}

static bool fails_fd(struct env *e, unsigned call, int fd, enum status *with)
{
    return fails(e, call, (struct subject){NULL, NULL, fd}, with);
}

/* For reads and writes: may also halve their size. */
static bool fails_io(struct env *e, unsigned call, int fd, size_t *size, enum status *with)
{
    struct inject_rule *r = NULL;
    enum verdict v = ask(e, call, (struct subject){NULL, NULL, fd}, &r);
    if (v == PASS) {
        return false;
    }
    bool tears = r->how == INJECT_TEAR;
    bool halves = v == CUT && (tears ? call == INJECT_WRITE && *size > 1 : true);
    if (!halves) {
        *with = r->with;
        return true;
    }
    *size -= *size / 2;
    if (tears) {
        atomic_store(&r->owes, true);
    }
    return false;
}

/* ---- names of descriptors ---- */

static char *copy_of(struct mem *m, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = mem_alloc(m, n);
    if (copy != NULL) {
        memcpy(copy, text, n);
    }
    return copy;
}

static bool names_reach(struct inject *in, int fd)
{
    if (fd < in->name_cap) {
        return true;
    }
    int cap = 2 * fd + 16;
    char **bigger = mem_resize(in->mem, in->names, (size_t)cap * sizeof *bigger);
    if (bigger == NULL) {
        return false;
    }
    memset(bigger + in->name_cap, 0, (size_t)(cap - in->name_cap) * sizeof *bigger);
    in->names = bigger;
    in->name_cap = cap;
    return true;
}

static enum status name_keep(struct inject *in, int fd, const char *path)
{
    if (!in->named) {
        return ST_OK;
    }
    env_mutex_lock(in->under, &in->m);
    char *copy = names_reach(in, fd) ? copy_of(in->mem, namepat_base(path)) : NULL;
    if (copy != NULL) {
        in->names[fd] = copy;
    }
    env_mutex_unlock(in->under, &in->m);
    return copy != NULL ? ST_OK : ST_NOMEM;
}

static void name_drop(struct inject *in, int fd)
{
    if (!in->named) {
        return;
    }
    env_mutex_lock(in->under, &in->m);
    if (fd >= 0 && fd < in->name_cap) {
        mem_release(in->mem, in->names[fd]);
        in->names[fd] = NULL;
    }
    env_mutex_unlock(in->under, &in->m);
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
        atomic_fetch_add(&of(e)->descriptors, 1);
    }
    return st;
}

static size_t cut(struct env *e, size_t size)
{
    size_t most = of(e)->io_max;
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

/* A new descriptor of a file: its name is remembered where rules ask for names. */
static enum status file_got(struct env *e, enum status st, const char *path, int fd)
{
    struct inject *in = of(e);
    if (st == ST_OK) {
        st = name_keep(in, fd, path);
        if (st != ST_OK) {
            (void)env_fd_close(in->under, fd); /* nothing was done with it */
        }
    }
    if (st == ST_OK && fd == atomic_load(&in->failed_sync)) {
        atomic_store(&in->failed_sync, -1); /* another file now */
    }
    return counted(e, st);
}

static enum status file_open(struct env *e, const char *path, unsigned flags, int *fd)
{
    enum status st;
    if (fails_path(e, INJECT_OPEN, path, &st)) {
        return st;
    }
    st = env_file_open(under(e), path, flags, fd);
    return file_got(e, st, path, st == ST_OK ? *fd : -1);
}

static enum status file_pread(struct env *e, int fd, void *buf, size_t size, uint64_t offset,
                              size_t *got)
{
    enum status st;
    size = cut(e, size);
    return fails_io(e, INJECT_READ, fd, &size, &st)
               ? st
               : env_file_pread(under(e), fd, buf, size, offset, got);
}

static enum status file_pwrite(struct env *e, int fd, const void *buf, size_t size, uint64_t offset,
                               size_t *put)
{
    enum status st;
    size = cut(e, size);
    return fails_io(e, INJECT_WRITE, fd, &size, &st)
               ? st
               : env_file_pwrite(under(e), fd, buf, size, offset, put);
}

static enum status file_append(struct env *e, int fd, const struct env_slice *parts, int count,
                               size_t *put)
{
    enum status st;
    struct env_slice one = first_cut(e, parts, count);
    size_t size = one.size;
    if (fails_io(e, INJECT_WRITE, fd, &size, &st)) {
        return st;
    }
    if (of(e)->io_max == 0 && size == one.size) {
        return env_file_append(under(e), fd, parts, count, put);
    }
    one.size = size;
    return env_file_append(under(e), fd, &one, 1, put);
}

static enum status sync_with(struct env *e, int fd, enum status (*call)(struct env *, int))
{
    struct inject *in = of(e);
    enum status st;
    if (fd == atomic_load(&in->failed_sync)) {
        atomic_fetch_add(&in->synced_after_failure, 1);
    }
    if (fails_fd(e, INJECT_SYNC, fd, &st)) {
        atomic_store(&in->failed_sync, fd);
        return st;
    }
    return call(under(e), fd);
}

static enum status file_sync(struct env *e, int fd)
{
    return sync_with(e, fd, env_file_sync);
}

static enum status file_datasync(struct env *e, int fd)
{
    return sync_with(e, fd, env_file_datasync);
}

static enum status file_truncate(struct env *e, int fd, uint64_t size)
{
    enum status st;
    return fails_fd(e, INJECT_TRUNCATE, fd, &st) ? st : env_file_truncate(under(e), fd, size);
}

static enum status file_allocate(struct env *e, int fd, uint64_t offset, uint64_t size,
                                 bool keep_size)
{
    enum status st;
    return fails_fd(e, INJECT_ALLOCATE, fd, &st)
               ? st
               : env_file_allocate(under(e), fd, offset, size, keep_size);
}

static enum status file_size(struct env *e, int fd, uint64_t *size)
{
    enum status st;
    return fails_fd(e, INJECT_SIZE, fd, &st) ? st : env_file_size(under(e), fd, size);
}

static enum status file_writeback(struct env *e, int fd, uint64_t offset, uint64_t size)
{
    return env_file_writeback(under(e), fd, offset, size);
}

static enum status fd_close(struct env *e, int fd)
{
    name_drop(of(e), fd); /* first: another thread may get the number at once */
    enum status st = env_fd_close(under(e), fd);
    if (st != ST_BADFD) {
        atomic_fetch_sub(&of(e)->descriptors, 1);
    }
    return st;
}

/* ---- directories ---- */

static enum status dir_make(struct env *e, const char *path)
{
    enum status st;
    return fails_path(e, INJECT_MAKE, path, &st) ? st : env_dir_make(under(e), path);
}

static enum status dir_list(struct env *e, const char *path, env_list_fn *each, void *arg)
{
    enum status st;
    return fails_path(e, INJECT_LIST, path, &st) ? st : env_dir_list(under(e), path, each, arg);
}

static enum status dir_sync(struct env *e, const char *path)
{
    enum status st;
    return fails_path(e, INJECT_DIRSYNC, path, &st) ? st : env_dir_sync(under(e), path);
}

static enum status path_stat(struct env *e, const char *path, struct env_stat *out)
{
    enum status st;
    return fails_path(e, INJECT_STAT, path, &st) ? st : env_path_stat(under(e), path, out);
}

static enum status path_rename(struct env *e, const char *from, const char *to)
{
    enum status st;
    bool no = fails(e, INJECT_RENAME, (struct subject){from, to, -1}, &st);
    return no ? st : env_path_rename(under(e), from, to);
}

static enum status path_link(struct env *e, const char *from, const char *to)
{
    enum status st;
    bool no = fails(e, INJECT_LINK, (struct subject){from, to, -1}, &st);
    return no ? st : env_path_link(under(e), from, to);
}

static enum status path_remove(struct env *e, const char *path)
{
    enum status st;
    return fails_path(e, INJECT_REMOVE, path, &st) ? st : env_path_remove(under(e), path);
}

static enum status path_lock(struct env *e, const char *path, int *fd)
{
    enum status st;
    if (fails_path(e, INJECT_LOCK, path, &st)) {
        return st;
    }
    st = env_path_lock(under(e), path, fd);
    return file_got(e, st, path, st == ST_OK ? *fd : -1);
}

static enum status path_free_space(struct env *e, const char *path, uint64_t *bytes)
{
    enum status st;
    return fails_path(e, INJECT_SPACE, path, &st) ? st : env_path_free_space(under(e), path, bytes);
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
    if (of(e)->io_max == 0) {
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

/* ---- life ---- */

void inject_init_mem(struct inject *in, struct mem *mem)
{
    memset(in, 0, sizeof *in);
    in->env.mem = (struct mem){inject_alloc, inject_resize, inject_free};
    in->env.vt = &in->vt;
    in->mem = mem;
    in->fail_at = -1;
    in->failed_sync = -1;
}

void inject_init(struct inject *in, struct env *below)
{
    inject_init_mem(in, &below->mem);
    in->under = below;
    in->vt = forward;
    /* what the Env below leaves out stays out: callers look for NULL */
    in->vt.yield = below->vt->yield != NULL ? yield : NULL;
    in->vt.probe = below->vt->probe != NULL ? probe : NULL;
    in->vt.note = below->vt->note != NULL ? note : NULL;
}

void inject_release(struct inject *in)
{
    for (int fd = 0; fd < in->name_cap; fd++) {
        mem_release(in->mem, in->names[fd]);
    }
    mem_release(in->mem, in->names);
    if (in->named) {
        env_mutex_release(in->under, &in->m);
    }
    in->names = NULL;
    in->name_cap = 0;
    in->named = false;
    in->rules = NULL;
}

void inject_rule_init(struct inject_rule *r)
{
    memset(r, 0, sizeof *r);
    r->calls = INJECT_ANY;
    r->at = -1;
    r->with = ST_IO;
}

void inject_add(struct inject *in, struct inject_rule *r)
{
    struct inject_rule **last = &in->rules;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    r->next = NULL;
    *last = r;
    if (r->name != NULL && !in->named) {
        env_mutex_init(in->under, &in->m);
        in->named = true;
    }
}
