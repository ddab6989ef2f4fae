/* diskenv.c - see diskenv.h. */
#include "tests/engine/diskenv.h"

#include "base/atomic.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t all_disks = PTHREAD_MUTEX_INITIALIZER;

void diskenv_lock(void)
{
    (void)pthread_mutex_lock(&all_disks); /* cannot fail */
}

void diskenv_unlock(void)
{
    (void)pthread_mutex_unlock(&all_disks); /* cannot fail */
}

static void must(bool ok, const char *what)
{
    if (!ok) {
        printf("Bail out! %s\n", what);
        exit(1);
    }
}

void diskenv_watch(struct diskenv *d, diskenv_before_fn *before, void *arg)
{
    if (before != NULL) {
        d->arg = arg;
    }
    ATOMIC_SET_PTR(&d->before, before);
}

static struct diskenv *of(struct env *e)
{
    return (struct diskenv *)(void *)e;
}

static struct diskenv *enter(struct env *e)
{
    struct diskenv *d = of(e);
    diskenv_before_fn *before = ATOMIC_GET_PTR(&d->before);
    if (before != NULL) {
        before(d->arg);
    }
    diskenv_lock();
    return d;
}

static enum status leave(struct diskenv *d, enum status st)
{
    diskenv_unlock();
    (void)d;
    return st;
}

static int fd_take(struct diskenv *d, simdisk_ino ino, bool lock)
{
    for (int i = 0; i < DISKENV_FDS; i++) {
        if (!d->fds[i].used) {
            d->fds[i].used = true;
            d->fds[i].lock = lock;
            d->fds[i].failed = false;
            d->fds[i].ino = ino;
            return i;
        }
    }
    must(false, "descriptors");
    return -1;
}

static enum status file_open(struct env *e, const char *path, unsigned flags, int *fd)
{
    struct diskenv *d = enter(e);
    simdisk_ino ino;
    enum status st = simdisk_open(d->disk, path, flags, &ino);
    if (st == ST_OK) {
        *fd = fd_take(d, ino, false);
    }
    return leave(d, st);
}

static enum status fd_close(struct env *e, int fd)
{
    struct diskenv *d = enter(e);
    if (d->fds[fd].lock) {
        simdisk_unlock(d->disk, d->fds[fd].ino);
    }
    simdisk_close(d->disk, d->fds[fd].ino);
    d->fds[fd].used = false;
    return leave(d, ST_OK);
}

static enum status file_pread(struct env *e, int fd, void *buf, size_t size, uint64_t offset,
                              size_t *got)
{
    struct diskenv *d = enter(e);
    return leave(d, simdisk_read(d->disk, d->fds[fd].ino, buf, size, offset, got));
}

static enum status file_pwrite(struct env *e, int fd, const void *buf, size_t size, uint64_t offset,
                               size_t *put)
{
    struct diskenv *d = enter(e);
    return leave(d, simdisk_write(d->disk, d->fds[fd].ino, buf, size, offset, put));
}

static enum status file_append(struct env *e, int fd, const struct env_slice *parts, int count,
                               size_t *put)
{
    struct diskenv *d = enter(e);
    must(count > 0, "append of nothing");
    uint64_t end = simdisk_size(d->disk, d->fds[fd].ino);
    return leave(d, simdisk_write(d->disk, d->fds[fd].ino, parts[0].data, parts[0].size, end, put));
}

static enum status file_sync(struct env *e, int fd)
{
    struct diskenv *d = enter(e);
    uint64_t mark = simdisk_sync_begin(d->disk);
    must(!d->fds[fd].failed, "a failed sync was tried again");
    if (d->fail_sync > 0 && ++d->syncs % d->fail_sync == 0) {
        d->fds[fd].failed = true;
        return leave(d, simdisk_sync_fail(d->disk, d->fds[fd].ino, mark, false, &d->faults));
    }
    simdisk_sync_end(d->disk, d->fds[fd].ino, mark, false);
    return leave(d, ST_OK);
}

static enum status file_truncate(struct env *e, int fd, uint64_t size)
{
    struct diskenv *d = enter(e);
    return leave(d, simdisk_truncate(d->disk, d->fds[fd].ino, size));
}

static enum status file_allocate(struct env *e, int fd, uint64_t offset, uint64_t size,
                                 bool keep_size)
{
    struct diskenv *d = enter(e);
    return leave(d, simdisk_allocate(d->disk, d->fds[fd].ino, offset, size, keep_size));
}

static enum status file_size(struct env *e, int fd, uint64_t *size)
{
    struct diskenv *d = enter(e);
    *size = simdisk_size(d->disk, d->fds[fd].ino);
    return leave(d, ST_OK);
}

static enum status dir_make(struct env *e, const char *path)
{
    struct diskenv *d = enter(e);
    return leave(d, simdisk_dir_make(d->disk, path));
}

static enum status dir_list(struct env *e, const char *path, env_list_fn *each, void *arg)
{
    struct diskenv *d = enter(e);
    return leave(d, simdisk_dir_list(d->disk, path, &d->faults, each, arg));
}

static enum status dir_sync(struct env *e, const char *path)
{
    struct diskenv *d = enter(e);
    return leave(d, simdisk_dir_sync(d->disk, path, simdisk_sync_begin(d->disk)));
}

static enum status path_stat(struct env *e, const char *path, struct env_stat *st)
{
    struct diskenv *d = enter(e);
    return leave(d, simdisk_stat(d->disk, path, st));
}

static enum status path_rename(struct env *e, const char *from, const char *to)
{
    struct diskenv *d = enter(e);
    return leave(d, simdisk_rename(d->disk, from, to));
}

static enum status path_remove(struct env *e, const char *path)
{
    struct diskenv *d = enter(e);
    return leave(d, simdisk_remove(d->disk, path));
}

static enum status path_lock(struct env *e, const char *path, int *fd)
{
    struct diskenv *d = enter(e);
    simdisk_ino ino;
    enum status st = simdisk_open(d->disk, path, ENV_WRITE | ENV_CREATE, &ino);
    if (st == ST_OK) {
        st = simdisk_lock(d->disk, ino);
        if (st == ST_OK) {
            *fd = fd_take(d, ino, true);
        } else {
            simdisk_close(d->disk, ino);
        }
    }
    return leave(d, st);
}

void diskenv_init(struct diskenv *d, struct env *below, struct simdisk *disk)
{
    memset(d, 0, sizeof *d);
    test_env_init(&d->te, below);
    chooser_init(&d->chooser, 1);
    chooser_stream_init(&d->faults, &d->chooser, CHOOSE_DISK_FAULT, 0);
    d->disk = disk;
    if (disk == NULL) {
        struct simdisk_options o;
        simdisk_options_init(&o);
        must(simdisk_new(&below->mem, &o, &d->disk) == ST_OK, "disk");
    }
    struct env_vt *vt = &d->te.vt;
    vt->file_open = file_open;
    vt->fd_close = fd_close;
    vt->file_pread = file_pread;
    vt->file_append = file_append;
    vt->file_pwrite = file_pwrite;
    vt->file_sync = file_sync;
    vt->file_datasync = file_sync;
    vt->file_truncate = file_truncate;
    vt->file_allocate = file_allocate;
    vt->file_size = file_size;
    vt->dir_make = dir_make;
    vt->dir_list = dir_list;
    vt->dir_sync = dir_sync;
    vt->path_stat = path_stat;
    vt->path_rename = path_rename;
    vt->path_remove = path_remove;
    vt->path_lock = path_lock;
}

void diskenv_release(struct diskenv *d)
{
    diskenv_lock();
    simdisk_free(d->disk);
    diskenv_unlock();
}

struct simdisk *diskenv_clone(struct diskenv *d)
{
    struct simdisk *copy = NULL;
    diskenv_lock();
    must(simdisk_clone(d->disk, &copy) == ST_OK, "clone");
    diskenv_unlock();
    return copy;
}

struct simdisk *diskenv_crash(struct diskenv *d, enum simdisk_strategy strategy,
                              struct chooser_stream *s)
{
    struct simdisk *after = NULL;
    diskenv_lock();
    must(simdisk_crash(d->disk, strategy, s, &after) == ST_OK, "crash");
    diskenv_unlock();
    return after;
}
