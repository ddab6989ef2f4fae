/* env.h - the seam between TinyKV and the world.
 *
 * Everything that the product does to the outside, and everything that is not a function of
 * its inputs, goes through a `struct env`: memory, clocks, randomness, threads, files,
 * directories, sockets, pollers, the process itself. env_posix.h has the real one; sim/ has one
 * where a seed decides everything. The style is blocking: a call returns when its work is
 * done, on a real thread or on a simulated one.
 *
 * Rules for callers
 *   - Any call may fail with any status its comment names; nothing else changes then.
 *   - I/O may be short: 0 < done < asked. env/fullio.h has the loops.
 *   - Sockets never block and may say ST_INTR; files block and never do.
 *   - After a failed sync the fate of the file's unsynced bytes is unknown for ever. Syncing
 *     again and believing the result is a bug.
 *   - Paths are relative to the process's directory or absolute, '/' separated, UTF-8, at most
 *     ENV_PATH_MAX bytes with the NUL.
 *   - Mutexes, condition variables and threads live in the caller's memory and must not move.
 *
 * Rules for implementations
 *   - Descriptors are small integers; the lowest free one is handed out first, files and
 *     sockets share them.
 *   - yield, probe and note are optional (NULL in production) and change nothing that the
 *     caller can see. They, logging and checks draw no random choices. */
#ifndef ENV_ENV_H
#define ENV_ENV_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENV_PATH_MAX 1024
#define ENV_NEVER    UINT64_MAX /* a deadline that does not come */

struct env;

/* ---- threads: storage for any implementation, embedded by the caller ---- */

struct env_thread {
    uint64_t opaque[4];
};
struct env_mutex {
    uint64_t opaque[8];
};
struct env_cond {
    uint64_t opaque[8];
};

/* ---- files and directories ---- */

enum env_open_flags {
    ENV_READ = 1,
    ENV_WRITE = 2,
    ENV_CREATE = 4,    /* make it when absent */
    ENV_EXCLUSIVE = 8, /* with ENV_CREATE: ST_EXIST when present */
    ENV_TRUNCATE = 16, /* cut it to nothing */
    ENV_GROWS = 32,    /* with ENV_WRITE, a hint: written by pwrites, mostly small, each where the
                          last one ended, by one thread at a time; never by append. It may then
                          be longer than what was written, by zeros */
};

struct env_slice {
    const void *data;
    size_t size;
};

enum env_kind { ENV_KIND_NONE, ENV_KIND_FILE, ENV_KIND_DIR, ENV_KIND_OTHER };

struct env_stat {
    enum env_kind kind;
    uint64_t size;  /* bytes; files only */
    uint64_t links; /* names of this file */
};

/* One entry of a directory ("." and ".." are left out); return false to stop early. */
typedef bool env_list_fn(void *arg, const char *name);

/* ---- sockets ---- */

struct env_addr {
    uint8_t family; /* 4 or 6 */
    uint16_t port;  /* host order; 0: choose a free one */
    uint8_t ip[16]; /* network order; family 4 uses the first four */
};

enum env_sockopt {
    ENV_OPT_NODELAY,         /* 0 or 1 */
    ENV_OPT_USER_TIMEOUT_MS, /* 0: the system's default; give up on unacknowledged data after */
    ENV_OPT_SEND_BUFFER,     /* bytes, a hint */
    ENV_OPT_RECEIVE_BUFFER,  /* bytes, a hint */
    ENV_OPT_KEEPALIVE_S,     /* 0: off; probe an idle peer after so many seconds */
};

/* ---- poller ---- */

enum env_ready {
    ENV_IN = 1,   /* reading or accepting would not say ST_AGAIN */
    ENV_OUT = 2,  /* writing would not; a pending connect is decided */
    ENV_ERR = 4,  /* an error is pending (always reported) */
    ENV_HUP = 8,  /* both directions are closed (always reported) */
    ENV_EDGE = 16 /* interest only: report arrivals, not states */
};

struct env_event {
    uint64_t token; /* as given to poller_set; any but UINT64_MAX */
    uint32_t ready; /* of enum env_ready */
};

/* ---- process and observation ---- */

enum env_log_level { ENV_LOG_DEBUG, ENV_LOG_INFO, ENV_LOG_WARN, ENV_LOG_ERROR };

enum env_cpu { ENV_CPU_CRC32C = 1 };

/* A place in the code worth naming. Lives in its own linker section, so that a tool can list
 * every one, reached or not; holds its text in place, so that the section needs no relocation. */
struct env_site {
    char name[64]; /* "module: what", e.g. "wal: torn tail cut" */
};

/* What the product says about itself; see env/note.h for the kinds and their fields. */
struct env_note {
    uint32_t kind;
    uint64_t a, b, c;
    const void *data; /* borrowed for the call */
    size_t size;
};

/* ---- the table ---- */

struct env_vt {
    /* clock: all in ns. mono never goes back; boot also counts time in suspend; wall is for
     * people and may jump. sleep_until takes a mono time. */
    uint64_t (*clock_mono)(struct env *e);
    uint64_t (*clock_boot)(struct env *e);
    int64_t (*clock_wall)(struct env *e);
    void (*sleep_until)(struct env *e, uint64_t mono_ns);

    uint64_t (*random_u64)(struct env *e);

    /* threads: start fails with ST_NOMEM or ST_AGAIN. name is copied (15 bytes are kept).
     * Every started thread must be joined, once. */
    enum status (*thread_start)(struct env *e, struct env_thread *t, const char *name,
                                void (*run)(void *arg), void *arg);
    void (*thread_join)(struct env *e, struct env_thread *t);
    void (*mutex_init)(struct env *e, struct env_mutex *m);
    void (*mutex_release)(struct env *e, struct env_mutex *m); /* must be unlocked */
    void (*mutex_lock)(struct env *e, struct env_mutex *m);
    void (*mutex_unlock)(struct env *e, struct env_mutex *m);
    void (*cond_init)(struct env *e, struct env_cond *c);
    void (*cond_release)(struct env *e, struct env_cond *c); /* nobody may wait */
    /* Waits with m held, may wake without cause. ST_TIMEOUT once mono_ns is past, else ST_OK. */
    enum status (*cond_wait)(struct env *e, struct env_cond *c, struct env_mutex *m,
                             uint64_t mono_ns);
    void (*cond_signal)(struct env *e, struct env_cond *c);
    void (*cond_broadcast)(struct env *e, struct env_cond *c);

    /* files. open: NOENT EXIST ISDIR NOTDIR MFILE NOSPC IO ROFS ACCESS NOMEM INVAL. */
    enum status (*file_open)(struct env *e, const char *path, unsigned flags, int *fd);
    /* *got < size is legal anywhere; *got == 0 with ST_OK only at or past the end. IO. */
    enum status (*file_pread)(struct env *e, int fd, void *buf, size_t size, uint64_t offset,
                              size_t *got);
    /* 0 < *put <= the bytes asked for. NOSPC IO ROFS: nothing was written. */
    enum status (*file_pwrite)(struct env *e, int fd, const void *buf, size_t size, uint64_t offset,
                               size_t *put);
    enum status (*file_append)(struct env *e, int fd, const struct env_slice *parts, int count,
                               size_t *put);             /* at the present end; one writer a file */
    enum status (*file_sync)(struct env *e, int fd);     /* bytes, size, extents */
    enum status (*file_datasync)(struct env *e, int fd); /* bytes, and a size needed to read them */
    enum status (*file_truncate)(struct env *e, int fd, uint64_t size);
    /* Reserves blocks; the size stays as it is when keep_size. NOSPC IO UNSUPPORTED. */
    enum status (*file_allocate)(struct env *e, int fd, uint64_t offset, uint64_t size,
                                 bool keep_size);
    enum status (*file_size)(struct env *e, int fd, uint64_t *size);
    /* Starts writing dirty bytes back. A hint for smoothness: promises nothing about a crash. */
    enum status (*file_writeback)(struct env *e, int fd, uint64_t offset, uint64_t size);
    /* Closes a file, socket or lock. The descriptor is gone whatever it returns. */
    enum status (*fd_close)(struct env *e, int fd);

    /* directories */
    enum status (*dir_make)(struct env *e, const char *path);
    enum status (*dir_list)(struct env *e, const char *path, env_list_fn *each, void *arg);
    enum status (*dir_sync)(struct env *e, const char *path); /* makes its names durable */
    enum status (*path_stat)(struct env *e, const char *path, struct env_stat *st);
    enum status (*path_rename)(struct env *e, const char *from, const char *to); /* replaces */
    enum status (*path_link)(struct env *e, const char *from, const char *to);   /* hard link */
    enum status (*path_remove)(struct env *e, const char *path); /* a file or an empty directory */
    /* Takes an exclusive advisory lock on a file, made when absent. ST_BUSY when it is held, by
     * this process too. Dropped by fd_close and by the death of the process. */
    enum status (*path_lock)(struct env *e, const char *path, int *fd);
    enum status (*path_free_space)(struct env *e, const char *path, uint64_t *bytes);

    /* sockets: non-blocking byte streams. */
    enum status (*sock_listen)(struct env *e, const struct env_addr *addr, int backlog, int *fd);
    /* AGAIN INTR ABORTED MFILE NOMEM; after MFILE the connection stays queued. */
    enum status (*sock_accept)(struct env *e, int listener, int *fd, struct env_addr *peer);
    /* OK: connected. INPROGRESS: *fd is valid, wait for ENV_OUT, then ask sock_error. */
    enum status (*sock_connect)(struct env *e, const struct env_addr *addr, int *fd);
    enum status (*sock_error)(struct env *e, int fd); /* and clears the pending error */
    /* ST_OK with *got == 0: the peer closed. AGAIN INTR RESET TIMEOUT. */
    enum status (*sock_read)(struct env *e, int fd, void *buf, size_t size, size_t *got);
    /* 0 < *put. AGAIN INTR RESET PIPE TIMEOUT. OK says nothing about delivery. */
    enum status (*sock_write)(struct env *e, int fd, const struct env_slice *parts, int count,
                              size_t *put);
    enum status (*sock_shutdown)(struct env *e, int fd); /* no more writes from here */
    enum status (*sock_option)(struct env *e, int fd, enum env_sockopt option, int value);
    enum status (*sock_local)(struct env *e, int fd, struct env_addr *addr);

    /* pollers: descriptors too (fd_close). Interest 0 forgets fd; closing an fd forgets it,
     * but events already handed out stay handed out. */
    enum status (*poller_open)(struct env *e, int *poller);
    enum status (*poller_set)(struct env *e, int poller, int fd, unsigned interest, uint64_t token);
    /* Up to max > 0 events in any order; *count == 0 at the deadline (mono), after a wake, after
     * stop_subscribe's event, or for no reason. INTR too. */
    enum status (*poller_wait)(struct env *e, int poller, struct env_event *events, int max,
                               uint64_t mono_ns, int *count);
    /* Makes the present or the next wait return. From any thread. */
    void (*poller_wake)(struct env *e, int poller);

    /* process */
    bool (*stop_requested)(struct env *e);
    enum status (*stop_subscribe)(struct env *e, int poller); /* wakes it when stop is asked for */
    void (*proc_die)(struct env *e, const char *reason) __attribute__((noreturn));
    void (*console)(struct env *e, bool error, const char *text, size_t size);
    void (*log)(struct env *e, enum env_log_level level, const char *text); /* one line, no \n */
    unsigned (*cpu_features)(struct env *e);                                /* of enum env_cpu */

    /* observation: each may be NULL */
    void (*yield)(struct env *e, const struct env_site *site);
    void (*probe)(struct env *e, const struct env_site *site);
    void (*note)(struct env *e, const struct env_note *note);
};

struct env {
    struct mem mem; /* the memory group */
    const struct env_vt *vt;
};

/* ---- call forms: env_<call>(env, …) for each member, thin and inlined ---- */

#include "env/env_calls.h"

#endif
