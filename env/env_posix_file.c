/* env_posix_file.c - files: the plain calls, retried after a signal. */
#define _GNU_SOURCE
#include "env/env_posix_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RWF_APPEND
#define RWF_APPEND 0x10 /* of the kernel; musl 1.2.3 does not name it */
#endif

#define MODE 0666 /* less the umask, as for any program's files */

int env_posix_gather(const struct env_slice *parts, int count, struct iovec *iov)
{
    int used = 0;
    for (int i = 0; i < count && used < ENV_POSIX_PARTS; i++) {
        if (parts[i].size > 0) {
            /* iov_base is not const, for readers share the type; writing calls leave it alone */
            memcpy(&iov[used].iov_base, &parts[i].data, sizeof parts[i].data);
            iov[used++].iov_len = parts[i].size;
        }
    }
    return used;
}

/* The bits of open(2), or -1 where the flags make no sense together. */
static int open_bits(unsigned flags)
{
    bool writes = (flags & ENV_WRITE) != 0;
    bool reads = (flags & ENV_READ) != 0;
    bool exclusive = (flags & ENV_EXCLUSIVE) != 0;
    if ((!writes && !reads) || (exclusive && (flags & ENV_CREATE) == 0) ||
        (!writes && (flags & (ENV_CREATE | ENV_TRUNCATE)) != 0)) {
        return -1;
    }
    reads = reads || (flags & ENV_GROWS) != 0; /* a mapping wants both */
    return (writes && reads ? O_RDWR
            : writes        ? O_WRONLY
                            : O_RDONLY) |
           ((flags & ENV_CREATE) != 0 ? O_CREAT : 0) | (exclusive ? O_EXCL : 0) |
           ((flags & ENV_TRUNCATE) != 0 ? O_TRUNC : 0);
}

static enum status file_open(struct env *e, const char *path, unsigned flags, int *fd)
{
    int bits = open_bits(flags);
    if (bits < 0) {
        return ST_INVAL;
    }
    if (strlen(path) >= ENV_PATH_MAX) {
        return ST_NAMETOOLONG;
    }
    int got;
    do {
        got = openat(env_posix_of(e)->root_fd, path, bits | O_CLOEXEC | O_NOCTTY, MODE);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return env_posix_last();
    }
    struct stat st; /* reading a directory's descriptor would fail only later */
    if (fstat(got, &st) != 0 || S_ISDIR(st.st_mode)) {
        (void)close(got); /* nothing was written */
        return ST_ISDIR;
    }
    if ((flags & ENV_GROWS) != 0 && got < ENV_POSIX_TAILS) {
        atomic_store(&env_posix_of(e)->tails[got], env_posix_tail_new(got));
    }
    *fd = got;
    return ST_OK;
}

static struct env_posix_tail *tail_of(struct env *e, int fd)
{
    return fd >= 0 && fd < ENV_POSIX_TAILS
               ? atomic_load_explicit(&env_posix_of(e)->tails[fd], memory_order_acquire)
               : NULL;
}

static enum status file_pread(struct env *e, int fd, void *buf, size_t size, uint64_t offset,
                              size_t *got)
{
    (void)e;
    ssize_t n;
    do {
        n = pread(fd, buf, size, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return env_posix_last();
    }
    *got = (size_t)n;
    return ST_OK;
}

static enum status file_pwrite(struct env *e, int fd, const void *buf, size_t size, uint64_t offset,
                               size_t *put)
{
    struct env_posix_tail *tail = tail_of(e, fd);
    if (tail != NULL && env_posix_tail_put(tail, fd, buf, size, offset)) {
        *put = size;
        return ST_OK;
    }
    ssize_t n;
    do {
        n = pwrite(fd, buf, size, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return env_posix_last();
    }
    if (tail != NULL) {
        env_posix_tail_wrote(tail, offset + (uint64_t)n);
    }
    *put = (size_t)n;
    return ST_OK;
}

static enum status file_size(struct env *e, int fd, uint64_t *size)
{
    (void)e;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return env_posix_last();
    }
    if (!S_ISREG(st.st_mode)) {
        return ST_BADFD;
    }
    *size = (uint64_t)st.st_size;
    return ST_OK;
}

/* One call at the end of the file. musl has no pwritev2; the offset (two words, as the kernel wants
 * them) is not used, but says that this is for files. */
static ssize_t append_call(int fd, const struct iovec *iov, int count)
{
    return (ssize_t)syscall(SYS_pwritev2, fd, iov, count, 0L, 0L, RWF_APPEND);
}

/* Where the kernel cannot do it in one call. */
static enum status append_at_size(struct env *e, int fd, const struct iovec *iov, int count,
                                  ssize_t *n)
{
    uint64_t end = 0;
    enum status st = file_size(e, fd, &end);
    if (st == ST_OK) {
        *n = pwritev(fd, iov, count, (off_t)end);
    }
    return st;
}

/* Not O_APPEND: on Linux that would make pwrite() append too. Not fstat() and a write at that
 * place: who asks for the times of a file makes its next write store new ones (Linux 6.13), which
 * takes as long as the writing. */
static enum status file_append(struct env *e, int fd, const struct env_slice *parts, int count,
                               size_t *put)
{
    struct iovec iov[ENV_POSIX_PARTS];
    int used = env_posix_gather(parts, count, iov);
    ssize_t n;
    do {
        n = append_call(fd, iov, used);
        if (n < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM)) {
            enum status st = append_at_size(e, fd, iov, used, &n);
            if (st != ST_OK) {
                return st;
            }
        }
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return env_posix_last();
    }
    *put = (size_t)n;
    return ST_OK;
}

/* EINVAL of a call with nothing but a descriptor: it is of the wrong kind. */
static enum status descriptor_status(void)
{
    return errno == EINVAL ? ST_BADFD : env_posix_last();
}

static void tail_synced(struct env *e, int fd)
{
    struct env_posix_tail *tail = tail_of(e, fd);
    if (tail != NULL) {
        env_posix_tail_synced(tail);
    }
}

static enum status file_sync(struct env *e, int fd)
{
    tail_synced(e, fd);
    int rc;
    do {
        rc = fsync(fd);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? ST_OK : descriptor_status();
}

static enum status file_datasync(struct env *e, int fd)
{
    tail_synced(e, fd);
    int rc;
    do {
        rc = fdatasync(fd);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? ST_OK : descriptor_status();
}

static enum status file_truncate(struct env *e, int fd, uint64_t size)
{
    (void)e;
    if (size > INT64_MAX) {
        return ST_INVAL;
    }
    int rc;
    do {
        rc = ftruncate(fd, (off_t)size);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? ST_OK : descriptor_status();
}

static enum status file_allocate(struct env *e, int fd, uint64_t offset, uint64_t size,
                                 bool keep_size)
{
    (void)e;
    int rc;
    do {
        rc = fallocate(fd, keep_size ? FALLOC_FL_KEEP_SIZE : 0, (off_t)offset, (off_t)size);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno == ENODEV) {
        return ST_BADFD; /* a socket or a poller */
    }
    return rc == 0 ? ST_OK : env_posix_last();
}

static enum status file_writeback(struct env *e, int fd, uint64_t offset, uint64_t size)
{
    (void)e;
    int rc = sync_file_range(fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
    return rc == 0 ? ST_OK : env_posix_last();
}

static enum status fd_close(struct env *e, int fd)
{
    if (fd >= 0 && fd < ENV_POSIX_TAILS) {
        env_posix_tail_free(atomic_exchange(&env_posix_of(e)->tails[fd], NULL));
    }
    if (close(fd) == 0 || errno == EINTR) {
        return ST_OK; /* Linux has let the descriptor go even when a signal came between */
    }
    return env_posix_last();
}

void env_posix_file_fill(struct env_vt *vt)
{
    vt->file_open = file_open;
    vt->file_pread = file_pread;
    vt->file_pwrite = file_pwrite;
    vt->file_append = file_append;
    vt->file_sync = file_sync;
    vt->file_datasync = file_datasync;
    vt->file_truncate = file_truncate;
    vt->file_allocate = file_allocate;
    vt->file_size = file_size;
    vt->file_writeback = file_writeback;
    vt->fd_close = fd_close;
}
