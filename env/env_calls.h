/* env_calls.h - env_<call>(e, …) for every member of struct env_vt. Included by env.h only. */
#ifndef ENV_ENV_CALLS_H
#define ENV_ENV_CALLS_H

static inline void *env_alloc(struct env *e, size_t size)
{
    return mem_alloc(&e->mem, size);
}

static inline void *env_resize(struct env *e, void *block, size_t size)
{
    return mem_resize(&e->mem, block, size);
}

static inline void env_release(struct env *e, void *block)
{
    mem_release(&e->mem, block);
}

static inline uint64_t env_clock_mono(struct env *e)
{
    return e->vt->clock_mono(e);
}

static inline uint64_t env_clock_boot(struct env *e)
{
    return e->vt->clock_boot(e);
}

static inline int64_t env_clock_wall(struct env *e)
{
    return e->vt->clock_wall(e);
}

static inline void env_sleep_until(struct env *e, uint64_t mono_ns)
{
    e->vt->sleep_until(e, mono_ns);
}

static inline uint64_t env_random_u64(struct env *e)
{
    return e->vt->random_u64(e);
}

NODISCARD static inline enum status env_thread_start(struct env *e, struct env_thread *t,
                                                     const char *name, void (*run)(void *arg),
                                                     void *arg)
{
    return e->vt->thread_start(e, t, name, run, arg);
}

static inline void env_thread_join(struct env *e, struct env_thread *t)
{
    e->vt->thread_join(e, t);
}

static inline void env_mutex_init(struct env *e, struct env_mutex *m)
{
    e->vt->mutex_init(e, m);
}

static inline void env_mutex_release(struct env *e, struct env_mutex *m)
{
    e->vt->mutex_release(e, m);
}

static inline void env_mutex_lock(struct env *e, struct env_mutex *m)
{
    e->vt->mutex_lock(e, m);
}

static inline void env_mutex_unlock(struct env *e, struct env_mutex *m)
{
    e->vt->mutex_unlock(e, m);
}

static inline void env_cond_init(struct env *e, struct env_cond *c)
{
    e->vt->cond_init(e, c);
}

static inline void env_cond_release(struct env *e, struct env_cond *c)
{
    e->vt->cond_release(e, c);
}

static inline enum status env_cond_wait(struct env *e, struct env_cond *c, struct env_mutex *m,
                                        uint64_t mono_ns)
{
    return e->vt->cond_wait(e, c, m, mono_ns);
}

static inline void env_cond_signal(struct env *e, struct env_cond *c)
{
    e->vt->cond_signal(e, c);
}

static inline void env_cond_broadcast(struct env *e, struct env_cond *c)
{
    e->vt->cond_broadcast(e, c);
}

NODISCARD static inline enum status env_file_open(struct env *e, const char *path, unsigned flags,
                                                  int *fd)
{
    return e->vt->file_open(e, path, flags, fd);
}

NODISCARD static inline enum status env_file_pread(struct env *e, int fd, void *buf, size_t size,
                                                   uint64_t offset, size_t *got)
{
    return e->vt->file_pread(e, fd, buf, size, offset, got);
}

NODISCARD static inline enum status env_file_pwrite(struct env *e, int fd, const void *buf,
                                                    size_t size, uint64_t offset, size_t *put)
{
    return e->vt->file_pwrite(e, fd, buf, size, offset, put);
}

NODISCARD static inline enum status
env_file_append(struct env *e, int fd, const struct env_slice *parts, int count, size_t *put)
{
    return e->vt->file_append(e, fd, parts, count, put);
}

NODISCARD static inline enum status env_file_sync(struct env *e, int fd)
{
    return e->vt->file_sync(e, fd);
}

NODISCARD static inline enum status env_file_datasync(struct env *e, int fd)
{
    return e->vt->file_datasync(e, fd);
}

NODISCARD static inline enum status env_file_truncate(struct env *e, int fd, uint64_t size)
{
    return e->vt->file_truncate(e, fd, size);
}

NODISCARD static inline enum status env_file_allocate(struct env *e, int fd, uint64_t offset,
                                                      uint64_t size, bool keep_size)
{
    return e->vt->file_allocate(e, fd, offset, size, keep_size);
}

NODISCARD static inline enum status env_file_size(struct env *e, int fd, uint64_t *size)
{
    return e->vt->file_size(e, fd, size);
}

NODISCARD static inline enum status env_file_writeback(struct env *e, int fd, uint64_t offset,
                                                       uint64_t size)
{
    return e->vt->file_writeback(e, fd, offset, size);
}

static inline enum status env_fd_close(struct env *e, int fd)
{
    return e->vt->fd_close(e, fd);
}

NODISCARD static inline enum status env_dir_make(struct env *e, const char *path)
{
    return e->vt->dir_make(e, path);
}

NODISCARD static inline enum status env_dir_list(struct env *e, const char *path, env_list_fn *each,
                                                 void *arg)
{
    return e->vt->dir_list(e, path, each, arg);
}

NODISCARD static inline enum status env_dir_sync(struct env *e, const char *path)
{
    return e->vt->dir_sync(e, path);
}

NODISCARD static inline enum status env_path_stat(struct env *e, const char *path,
                                                  struct env_stat *st)
{
    return e->vt->path_stat(e, path, st);
}

NODISCARD static inline enum status env_path_rename(struct env *e, const char *from, const char *to)
{
    return e->vt->path_rename(e, from, to);
}

NODISCARD static inline enum status env_path_link(struct env *e, const char *from, const char *to)
{
    return e->vt->path_link(e, from, to);
}

NODISCARD static inline enum status env_path_remove(struct env *e, const char *path)
{
    return e->vt->path_remove(e, path);
}

NODISCARD static inline enum status env_path_lock(struct env *e, const char *path, int *fd)
{
    return e->vt->path_lock(e, path, fd);
}

NODISCARD static inline enum status env_path_free_space(struct env *e, const char *path,
                                                        uint64_t *bytes)
{
    return e->vt->path_free_space(e, path, bytes);
}

NODISCARD static inline enum status env_sock_listen(struct env *e, const struct env_addr *addr,
                                                    int backlog, int *fd)
{
    return e->vt->sock_listen(e, addr, backlog, fd);
}

NODISCARD static inline enum status env_sock_accept(struct env *e, int listener, int *fd,
                                                    struct env_addr *peer)
{
    return e->vt->sock_accept(e, listener, fd, peer);
}

NODISCARD static inline enum status env_sock_connect(struct env *e, const struct env_addr *addr,
                                                     int *fd)
{
    return e->vt->sock_connect(e, addr, fd);
}

NODISCARD static inline enum status env_sock_error(struct env *e, int fd)
{
    return e->vt->sock_error(e, fd);
}

NODISCARD static inline enum status env_sock_read(struct env *e, int fd, void *buf, size_t size,
                                                  size_t *got)
{
    return e->vt->sock_read(e, fd, buf, size, got);
}

NODISCARD static inline enum status
env_sock_write(struct env *e, int fd, const struct env_slice *parts, int count, size_t *put)
{
    return e->vt->sock_write(e, fd, parts, count, put);
}

NODISCARD static inline enum status env_sock_shutdown(struct env *e, int fd)
{
    return e->vt->sock_shutdown(e, fd);
}

NODISCARD static inline enum status env_sock_option(struct env *e, int fd, enum env_sockopt option,
                                                    int value)
{
    return e->vt->sock_option(e, fd, option, value);
}

NODISCARD static inline enum status env_sock_local(struct env *e, int fd, struct env_addr *addr)
{
    return e->vt->sock_local(e, fd, addr);
}

NODISCARD static inline enum status env_poller_open(struct env *e, int *poller)
{
    return e->vt->poller_open(e, poller);
}

NODISCARD static inline enum status env_poller_set(struct env *e, int poller, int fd,
                                                   unsigned interest, uint64_t token)
{
    return e->vt->poller_set(e, poller, fd, interest, token);
}

NODISCARD static inline enum status env_poller_wait(struct env *e, int poller,
                                                    struct env_event *events, int max,
                                                    uint64_t mono_ns, int *count)
{
    return e->vt->poller_wait(e, poller, events, max, mono_ns, count);
}

static inline void env_poller_wake(struct env *e, int poller)
{
    e->vt->poller_wake(e, poller);
}

static inline bool env_stop_requested(struct env *e)
{
    return e->vt->stop_requested(e);
}

NODISCARD static inline enum status env_stop_subscribe(struct env *e, int poller)
{
    return e->vt->stop_subscribe(e, poller);
}

_Noreturn static inline void env_proc_die(struct env *e, const char *reason)
{
    e->vt->proc_die(e, reason);
}

static inline void env_console(struct env *e, bool error, const char *text, size_t size)
{
    e->vt->console(e, error, text, size);
}

static inline void env_log(struct env *e, enum env_log_level level, const char *text)
{
    e->vt->log(e, level, text);
}

static inline unsigned env_cpu_features(struct env *e)
{
    return e->vt->cpu_features(e);
}

/* A scheduling point: the simulator may run another thread here. */
#define ENV_YIELD(e, text)                       \
    do {                                         \
        ENV_SITE_DEFINE("env_yields", text);     \
        if ((e)->vt->yield != NULL) {            \
            (e)->vt->yield((e), &env_site_here); \
        }                                        \
    } while (0)

/* The section that lists a library's probes; a library may have one of its own. */
#ifndef ENV_PROBES
#define ENV_PROBES "env_probes"
#endif

/* A state worth reaching: a sweep reports which were, and fails on those that never were. */
#define ENV_PROBE(e, text)                       \
    do {                                         \
        ENV_SITE_DEFINE(ENV_PROBES, text);       \
        if ((e)->vt->probe != NULL) {            \
            (e)->vt->probe((e), &env_site_here); \
        }                                        \
    } while (0)

#define ENV_SITE_DEFINE(where, text)           \
    static const struct env_site env_site_here \
        __attribute__((section(where), used, aligned(64))) = {text}

/* True when somebody listens to notes: skip the work of making one otherwise. */
static inline bool env_noting(struct env *e)
{
    return e->vt->note != NULL;
}

/* Says something about the product's own state; see env/note.h. */
static inline void env_note(struct env *e, const struct env_note *note)
{
    if (e->vt->note != NULL) {
        e->vt->note(e, note);
    }
}

#endif
