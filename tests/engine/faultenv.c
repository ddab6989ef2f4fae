/* faultenv.c - see faultenv.h. */
#include "tests/engine/faultenv.h"

#include <string.h>

static struct faultenv *of(struct env *e)
{
    return (struct faultenv *)(void *)e;
}

static struct env *below(struct env *e)
{
    return of(e)->te.under;
}

/* Counts a call; true when it is to fail. */
static bool counted_fails(struct env *e)
{
    struct faultenv *f = of(e);
    long n = atomic_fetch_add(&f->calls, 1);
    long at = atomic_load(&f->fail_at);
    bool yes = at >= 0 && (n == at || (f->rest && n > at));
    yes = yes || (f->every > 0 && n % f->every == f->every - 1);
    atomic_fetch_add(&f->failed, yes);
    return yes;
}

static bool fails(struct env *e)
{
    return !of(e)->syncs_only && counted_fails(e);
}

static enum status file_open(struct env *e, const char *path, unsigned flags, int *fd)
{
    if (fails(e)) {
        return of(e)->with;
    }
    enum status st = env_file_open(below(e), path, flags, fd);
    if (st == ST_OK) {
        atomic_fetch_add(&of(e)->te.descriptors, 1);
        if (*fd == of(e)->bad_fd) {
            of(e)->bad_fd = -1; /* another file now */
        }
    }
    return st;
}

static enum status file_pread(struct env *e, int fd, void *buf, size_t size, uint64_t offset,
                              size_t *got)
{
    return fails(e) ? of(e)->with : env_file_pread(below(e), fd, buf, size, offset, got);
}

static enum status file_append(struct env *e, int fd, const struct env_slice *parts, int count,
                               size_t *put)
{
    struct faultenv *f = of(e);
    if (!fails(e)) {
        return env_file_append(below(e), fd, parts, count, put);
    }
    if (f->tear && count > 0 && parts[0].size > 1) {
        struct env_slice half = {parts[0].data, parts[0].size / 2};
        enum status st = env_file_append(below(e), fd, &half, 1, put);
        (void)st; /* the failure is what is told */
        if (!f->rest) {
            f->fail_at = atomic_load(&f->calls); /* short now, and the error next */
            return st;
        }
    }
    return f->with;
}

static enum status file_pwrite(struct env *e, int fd, const void *buf, size_t size, uint64_t offset,
                               size_t *put)
{
    struct faultenv *f = of(e);
    if (!fails(e)) {
        return env_file_pwrite(below(e), fd, buf, size, offset, put);
    }
    if (f->tear && size > 1) {
        enum status st = env_file_pwrite(below(e), fd, buf, size / 2, offset, put);
        if (!f->rest) {
            f->fail_at = atomic_load(&f->calls); /* short now, and the error next */
            return st;
        }
    }
    return f->with;
}

static enum status sync_with(struct env *e, int fd, enum status (*call)(struct env *, int))
{
    struct faultenv *f = of(e);
    if (fd == f->bad_fd) {
        atomic_fetch_add(&f->synced_after_failure, 1);
    }
    if (counted_fails(e)) {
        f->bad_fd = fd;
        return f->with;
    }
    return call(below(e), fd);
}

static enum status file_sync(struct env *e, int fd)
{
    return sync_with(e, fd, env_file_sync);
}

static enum status file_datasync(struct env *e, int fd)
{
    return sync_with(e, fd, env_file_datasync);
}

static enum status file_size(struct env *e, int fd, uint64_t *size)
{
    return fails(e) ? of(e)->with : env_file_size(below(e), fd, size);
}

static enum status dir_make(struct env *e, const char *path)
{
    return fails(e) ? of(e)->with : env_dir_make(below(e), path);
}

static enum status dir_list(struct env *e, const char *path, env_list_fn *each, void *arg)
{
    return fails(e) ? of(e)->with : env_dir_list(below(e), path, each, arg);
}

static enum status dir_sync(struct env *e, const char *path)
{
    return fails(e) ? of(e)->with : env_dir_sync(below(e), path);
}

static enum status path_stat(struct env *e, const char *path, struct env_stat *st)
{
    return fails(e) ? of(e)->with : env_path_stat(below(e), path, st);
}

static enum status path_rename(struct env *e, const char *from, const char *to)
{
    return fails(e) ? of(e)->with : env_path_rename(below(e), from, to);
}

static enum status path_remove(struct env *e, const char *path)
{
    return fails(e) ? of(e)->with : env_path_remove(below(e), path);
}

static enum status path_lock(struct env *e, const char *path, int *fd)
{
    if (fails(e)) {
        return of(e)->with;
    }
    enum status st = env_path_lock(below(e), path, fd);
    if (st == ST_OK) {
        atomic_fetch_add(&of(e)->te.descriptors, 1);
    }
    return st;
}

void faultenv_init(struct faultenv *f, struct env *under)
{
    memset(f, 0, sizeof *f);
    test_env_init(&f->te, under);
    f->fail_at = -1;
    f->with = ST_IO;
    f->bad_fd = -1;
    f->te.vt.file_open = file_open;
    f->te.vt.file_pread = file_pread;
    f->te.vt.file_append = file_append;
    f->te.vt.file_pwrite = file_pwrite;
    f->te.vt.file_sync = file_sync;
    f->te.vt.file_datasync = file_datasync;
    f->te.vt.file_size = file_size;
    f->te.vt.dir_make = dir_make;
    f->te.vt.dir_list = dir_list;
    f->te.vt.dir_sync = dir_sync;
    f->te.vt.path_stat = path_stat;
    f->te.vt.path_rename = path_rename;
    f->te.vt.path_remove = path_remove;
    f->te.vt.path_lock = path_lock;
}
