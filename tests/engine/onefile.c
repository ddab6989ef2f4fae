/* onefile.c - see onefile.h. */
#include "tests/engine/onefile.h"

#include <stdlib.h>
#include <string.h>

static struct onefile *of(struct env *e)
{
    return (struct onefile *)(void *)e;
}

static enum status called(struct env *e)
{
    struct onefile *f = of(e);
    return f->calls++ == f->fail_at ? ST_IO : ST_OK;
}

static enum status one_open(struct env *e, const char *path, unsigned flags, int *fd)
{
    (void)path;
    (void)flags;
    enum status st = called(e);
    if (st == ST_OK) {
        *fd = 3;
        atomic_fetch_add(&of(e)->te.descriptors, 1);
    }
    return st;
}

static size_t cut(struct env *e, size_t n)
{
    size_t most = of(e)->te.io_max;
    return most > 0 && n > most ? most : n;
}

static enum status one_pread(struct env *e, int fd, void *buf, size_t size, uint64_t offset,
                             size_t *got)
{
    struct onefile *f = of(e);
    (void)fd;
    size_t left = offset < f->size ? f->size - (size_t)offset : 0;
    *got = cut(e, size < left ? size : left);
    if (*got > 0) {
        memcpy(buf, f->data + offset, *got);
    }
    return called(e);
}

/* Writes bytes from `offset` on, with zeros where the file ended before. */
static void bytes_set(struct onefile *f, size_t offset, const void *bytes, size_t size)
{
    if (offset + size > f->cap) {
        f->cap = 2 * (offset + size);
        f->data = realloc(f->data, f->cap);
    }
    if (offset > f->size) {
        memset(f->data + f->size, 0, offset - f->size);
    }
    if (size > 0) {
        memcpy(f->data + offset, bytes, size);
    }
    f->size = offset + size > f->size ? offset + size : f->size;
}

static enum status one_append(struct env *e, int fd, const struct env_slice *parts, int count,
                              size_t *put)
{
    struct onefile *f = of(e);
    (void)fd;
    (void)count;
    enum status st = called(e);
    if (st != ST_OK) {
        return st;
    }
    *put = cut(e, parts[0].size);
    bytes_set(f, f->size, parts[0].data, *put);
    return ST_OK;
}

static enum status one_pwrite(struct env *e, int fd, const void *buf, size_t size, uint64_t offset,
                              size_t *put)
{
    (void)fd;
    enum status st = called(e);
    if (st != ST_OK) {
        return st;
    }
    *put = cut(e, size);
    bytes_set(of(e), (size_t)offset, buf, *put);
    return ST_OK;
}

static enum status one_sync(struct env *e, int fd)
{
    (void)fd;
    return called(e);
}

static enum status one_writeback(struct env *e, int fd, uint64_t offset, uint64_t size)
{
    (void)fd;
    (void)offset;
    (void)size;
    return called(e);
}

static enum status one_size(struct env *e, int fd, uint64_t *size)
{
    (void)fd;
    *size = of(e)->size;
    return called(e);
}

static enum status one_close(struct env *e, int fd)
{
    (void)fd;
    atomic_fetch_sub(&of(e)->te.descriptors, 1);
    return ST_OK;
}

static unsigned no_features(struct env *e)
{
    (void)e;
    return 0;
}

void onefile_init(struct onefile *f)
{
    *f = (struct onefile){.fail_at = -1};
    test_env_init(&f->te, NULL);
    f->te.vt.file_open = one_open;
    f->te.vt.file_pread = one_pread;
    f->te.vt.file_append = one_append;
    f->te.vt.file_pwrite = one_pwrite;
    f->te.vt.file_sync = one_sync;
    f->te.vt.file_datasync = one_sync;
    f->te.vt.file_writeback = one_writeback;
    f->te.vt.file_size = one_size;
    f->te.vt.fd_close = one_close;
    f->te.vt.cpu_features = no_features;
}

void onefile_release(struct onefile *f)
{
    free(f->data);
    f->data = NULL;
}

void onefile_set(struct onefile *f, const void *data, size_t size)
{
    f->data = realloc(f->data, size + 1);
    f->cap = size + 1;
    f->size = size;
    if (size > 0) {
        memcpy(f->data, data, size);
    }
}
