/* simenv_file.c - files of a simulated process: simdisk with latency, short I/O, errors and
 * crash points around it. */
#include "base/ck.h"
#include "fault/namepat.h"
#include "sim/latency.h"
#include "sim/simenv_int.h"
#include "sim/simmedia.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_US 1000u
#define PAGE      4096u
#define CALM      3u         /* writes of a growing file without a sync, and then ... */
#define WINDOW    (2 * PAGE) /* ... it is made longer by so much */

/* Virtual medians: to and from the page cache, but for syncs. */
static const uint64_t median_us[DISK_OPS] = {
    [DISK_OPEN] = 30,  [DISK_READ] = 80, [DISK_WRITE] = 20,
    [DISK_SYNC] = 500, [DISK_META] = 40, [DISK_DIRSYNC] = 700,
};

/* A write that the device has not finished: what a kill may leave half done. */
struct in_flight {
    simdisk_ino ino;
    const struct env_slice *parts;
    int count;
    size_t size; /* in all; fewer than the parts hold when it is to be short */
    uint64_t offset;
    bool append;
};

/* ---- points ---- */

static void crash_point(struct proc *p)
{
    struct world *w = p->world;
    struct host *h = p->host;
    if (world_fault(w, &h->disk_fault, PLAN_KILL_AT_OP)) {
        proc_kill(p);
    }
    if (world_fault(w, &h->disk_fault, PLAN_POWER_AT_OP)) {
        host_power_off(h, simdisk_draw_strategy(&h->disk_crash));
    }
}

static void disk_point(struct proc *p, enum disk_op op, bool before)
{
    const struct world_hooks *hooks = p->world->hooks;
    if (!p->watched) {
        return;
    }
    if (hooks != NULL && hooks->disk_point != NULL) {
        hooks->disk_point(p->world->hooks_arg, p, op, before);
    }
    if (before) {
        simmedia_point(p);
    }
    if (op != DISK_READ && op != DISK_OPEN) {
        crash_point(p);
    }
}

void simenv_disk_enter(struct proc *p, enum disk_op op)
{
    disk_point(p, op, true);
}

void simenv_disk_wait(struct proc *p, enum disk_op op, size_t bytes)
{
    struct world *w = p->world;
    struct host *h = p->host;
    uint64_t ns = latency_draw(&h->disk_time, median_us[op] * NS_PER_US) + bytes / 2;
    ns *= plan_get(w->plan, PLAN_DISK_SLOW);
    if (world_fault(w, &h->disk_time, PLAN_DISK_TAIL)) {
        ns = latency_tail(&h->disk_time, ns);
    }
    (void)task_park(&w->sched, WAIT_DISK, p, w->sched.now + ns); /* ends by its deadline */
}

void simenv_disk_leave(struct proc *p, enum disk_op op)
{
    disk_point(p, op, false);
}

/* ---- open ---- */

enum status simenv_file_open(struct env *e, const char *path, unsigned flags, int *fd)
{
    struct proc *p = proc_of(e);
    enum disk_op op = (flags & (ENV_CREATE | ENV_TRUNCATE)) != 0 ? DISK_META : DISK_OPEN;
    if ((flags & (ENV_READ | ENV_WRITE)) == 0) {
        return ST_INVAL;
    }
    simenv_disk_enter(p, op);
    simenv_disk_wait(p, op, 0);
    struct fd_entry entry = {.kind = FD_FILE, .flags = flags};
    (void)snprintf(entry.name, sizeof entry.name, "%s", namepat_base(path));
    enum status st = ST_OK;
    bool fails =
        op == DISK_META && p->watched && world_fault(p->world, &p->host->disk_fault, PLAN_META_EIO);
    if (fails) {
        st = ST_IO;
    } else {
        st = simdisk_open(p->host->disk, path, flags, &entry.ino);
    }
    if (st == ST_OK) {
        st = proc_fd_new(p, entry, fd);
        if (st != ST_OK) {
            simdisk_close(p->host->disk, entry.ino);
        }
    }
    proc_trace(p, TRACE_OPEN, entry.name, st == ST_OK ? (uint64_t)*fd : 0, flags, 0, st);
    simenv_disk_leave(p, op);
    return st;
}

/* A locked file is an open file too. */
static struct fd_entry *file_at(struct proc *p, int fd)
{
    struct fd_entry *f = proc_fd(p, fd, FD_FILE);
    return f != NULL ? f : proc_fd(p, fd, FD_LOCK);
}

static struct fd_entry *file_for(struct proc *p, int fd, unsigned mode)
{
    struct fd_entry *f = file_at(p, fd);
    return f != NULL && (f->flags & mode) == mode ? f : NULL;
}

/* ---- reading ---- */

/* Bytes of the file that were asked for and not delivered: whoever uses them shall notice. */
static void spoil(const struct proc *p, simdisk_ino ino, unsigned char *buf, uint64_t offset,
                  size_t got, size_t size)
{
    uint64_t end = simdisk_size(p->host->disk, ino);
    uint64_t there = end > offset ? end - offset : 0;
    size = there < size ? (size_t)there : size; /* past the end a kernel leaves the buffer alone */
    if (got < size) {
        memset(buf + got, 0xdb, size - got);
    }
}

enum status simenv_file_pread(struct env *e, int fd, void *buf, size_t size, uint64_t offset,
                              size_t *got)
{
    struct proc *p = proc_of(e);
    struct fd_entry *f = file_for(p, fd, ENV_READ);
    if (f == NULL || offset > INT64_MAX) {
        return offset > INT64_MAX ? ST_INVAL : ST_BADFD;
    }
    simenv_disk_enter(p, DISK_READ);
    simenv_disk_wait(p, DISK_READ, size);
    f = file_for(p, fd, ENV_READ);
    CK(f != NULL); /* closed under a read: a bug of the caller */
    size_t whole = size;
    if (size > 1 && p->watched && world_fault(p->world, &p->host->disk_fault, PLAN_SHORT_READ)) {
        size = 1 + (size_t)choose(&p->host->disk_fault, size - 1);
    }
    *got = 0;
    enum status st = simdisk_read(p->host->disk, f->ino, buf, size, offset, got);
    spoil(p, f->ino, buf, offset, *got, whole);
    proc_trace(p, TRACE_READ, f->name, (uint64_t)fd, offset, *got, st);
    return st;
}

/* ---- writing ---- */

/* Applies the first `size` bytes of the parts. */
static enum status apply(struct simdisk *d, const struct in_flight *w, size_t size, size_t *done)
{
    uint64_t at = w->append ? simdisk_size(d, w->ino) : w->offset;
    enum status st = ST_OK;
    *done = 0;
    for (int i = 0; i < w->count && *done < size && st == ST_OK; i++) {
        size_t part = w->parts[i].size < size - *done ? w->parts[i].size : size - *done;
        size_t put = 0;
        st = part > 0 ? simdisk_write(d, w->ino, w->parts[i].data, part, at + *done, &put) : ST_OK;
        *done += put;
        if (put < part) {
            break;
        }
    }
    return *done > 0 ? ST_OK : st;
}

void simfile_interrupt(struct proc *p, void *in_flight)
{
    const struct in_flight *w = in_flight;
    struct chooser_stream *s = &p->host->disk_fault;
    uint64_t pages = choose(s, w->size / PAGE + 2);
    size_t size = pages * PAGE < w->size ? (size_t)(pages * PAGE) : w->size;
    size_t done;
    (void)apply(p->host->disk, w, size, &done); /* nobody is left to hear of an error */
    trace_mix(&p->world->trace, done, w->ino);
}

/* How many bytes a write is to take: all, or fewer, mostly up to the end of a page. */
static size_t shortened(struct proc *p, size_t size, uint64_t offset)
{
    struct chooser_stream *s = &p->host->disk_fault;
    if (size <= 1 || !p->watched || !world_fault(p->world, s, PLAN_SHORT_WRITE)) {
        return size;
    }
    size_t k = 1 + (size_t)choose(s, size - 1);
    uint64_t end = (offset + k) / PAGE * PAGE;
    return end > offset && choose(s, 10) > 0 ? (size_t)(end - offset) : k;
}

/* A file that grows may be longer than what was written, as ENV_GROWS says: by zeros, once writes
 * follow on each other without a sync. Where there is no room it is not. */
static void grow_ahead(struct proc *p, struct fd_entry *f, uint64_t at, size_t size)
{
    if ((f->flags & ENV_GROWS) == 0 || f->calm++ < CALM ||
        at + size <= simdisk_size(p->host->disk, f->ino)) {
        return;
    }
    enum status st = simdisk_allocate(p->host->disk, f->ino, at / PAGE * PAGE, WINDOW, false);
    trace_mix(&p->world->trace, at, st);
}

static enum status write_out(struct proc *p, int fd, struct in_flight *w, enum trace_kind kind,
                             size_t *put)
{
    struct fd_entry *f = file_for(p, fd, ENV_WRITE);
    *put = 0;
    if (f == NULL || w->offset > INT64_MAX) {
        return w->offset > INT64_MAX ? ST_INVAL : ST_BADFD;
    }
    if (w->append && (f->flags & ENV_GROWS) != 0) {
        return ST_INVAL; /* where its end is, who wrote it alone knows */
    }
    w->ino = f->ino;
    simenv_disk_enter(p, DISK_WRITE);
    uint64_t at = w->append ? simdisk_size(p->host->disk, f->ino) : w->offset;
    w->size = shortened(p, w->size, at);
    struct task *t = p->world->sched.current;
    t->in_flight = w;
    simenv_disk_wait(p, DISK_WRITE, w->size);
    t->in_flight = NULL;
    enum status st = ST_IO;
    f = file_for(p, fd, ENV_WRITE); /* the table may have moved meanwhile */
    CK(f != NULL);                  /* closed under a write: a bug of the caller */
    if (simdisk_sync_failed(p->host->disk, w->ino)) {
        world_fail(p->world, "write after a failed sync",
                   "%s writes to %s, whose sync failed: what is there now nobody knows", p->name,
                   f->name);
    }
    if (!p->watched || !world_fault(p->world, &p->host->disk_fault, PLAN_WRITE_EIO)) {
        simmedia_write(p, w->ino);
        grow_ahead(p, f, at, w->size);
        st = apply(p->host->disk, w, w->size, put);
    }
    proc_trace(p, kind, f->name, (uint64_t)fd, at, *put, st);
    simenv_disk_leave(p, DISK_WRITE);
    return st;
}

enum status simenv_file_pwrite(struct env *e, int fd, const void *buf, size_t size, uint64_t offset,
                               size_t *put)
{
    struct env_slice part = {buf, size};
    struct in_flight w = {.parts = &part, .count = 1, .size = size, .offset = offset};
    return write_out(proc_of(e), fd, &w, TRACE_WRITE, put);
}

enum status simenv_file_append(struct env *e, int fd, const struct env_slice *parts, int count,
                               size_t *put)
{
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += parts[i].size;
    }
    struct in_flight w = {.parts = parts, .count = count, .size = size, .append = true};
    return write_out(proc_of(e), fd, &w, TRACE_APPEND, put);
}

/* ---- making durable ---- */

static enum status sync_file(struct proc *p, int fd, bool data_only)
{
    struct fd_entry *f = file_at(p, fd);
    if (f == NULL) {
        return ST_BADFD;
    }
    simdisk_ino ino = f->ino;
    f->calm = 0;
    simenv_disk_enter(p, DISK_SYNC);
    struct simdisk *d = p->host->disk;
    uint64_t mark = simdisk_sync_begin(d);
    simenv_disk_wait(p, DISK_SYNC, 0);
    enum status st = ST_OK;
    bool fails = p->watched && world_fault(p->world, &p->host->disk_fault, PLAN_SYNC_EIO);
    if (fails || simdisk_sync_owes(d, ino)) {
        st = simdisk_sync_fail(d, ino, mark, data_only, &p->host->disk_fault);
    } else {
        simdisk_sync_end(d, ino, mark, data_only);
    }
    f = file_at(p, fd);
    CK(f != NULL); /* closed under a sync: a bug of the caller */
    proc_trace(p, TRACE_SYNC, f->name, (uint64_t)fd, data_only, 0, st);
    simenv_disk_leave(p, DISK_SYNC);
    return st;
}

enum status simenv_file_sync(struct env *e, int fd)
{
    return sync_file(proc_of(e), fd, false);
}

enum status simenv_file_datasync(struct env *e, int fd)
{
    return sync_file(proc_of(e), fd, true);
}

/* ---- sizes ---- */

enum status simenv_file_truncate(struct env *e, int fd, uint64_t size)
{
    struct proc *p = proc_of(e);
    struct fd_entry *f = file_for(p, fd, ENV_WRITE);
    if (f == NULL || size > INT64_MAX) {
        return size > INT64_MAX ? ST_INVAL : ST_BADFD;
    }
    simenv_disk_enter(p, DISK_META);
    simenv_disk_wait(p, DISK_META, 0);
    f = file_for(p, fd, ENV_WRITE); /* the table may have moved meanwhile */
    CK(f != NULL);                  /* closed under a truncate: a bug of the caller */
    enum status st = simdisk_truncate(p->host->disk, f->ino, size);
    proc_trace(p, TRACE_TRUNCATE, f->name, (uint64_t)fd, size, 0, st);
    simenv_disk_leave(p, DISK_META);
    return st;
}

enum status simenv_file_allocate(struct env *e, int fd, uint64_t offset, uint64_t size,
                                 bool keep_size)
{
    struct proc *p = proc_of(e);
    struct fd_entry *f = file_for(p, fd, ENV_WRITE);
    bool nonsense = size == 0 || size > INT64_MAX || offset > INT64_MAX;
    if (f == NULL || nonsense) {
        return nonsense && proc_fd_open(p, fd) ? ST_INVAL : ST_BADFD;
    }
    simenv_disk_enter(p, DISK_META);
    simenv_disk_wait(p, DISK_META, 0);
    f = file_for(p, fd, ENV_WRITE); /* the table may have moved meanwhile */
    CK(f != NULL);                  /* closed under an allocate: a bug of the caller */
    enum status st = simdisk_allocate(p->host->disk, f->ino, offset, size, keep_size);
    proc_trace(p, TRACE_ALLOCATE, f->name, (uint64_t)fd, offset, size, st);
    simenv_disk_leave(p, DISK_META);
    return st;
}

enum status simenv_file_size(struct env *e, int fd, uint64_t *size)
{
    struct proc *p = proc_of(e);
    struct fd_entry *f = file_at(p, fd);
    if (f == NULL) {
        return ST_BADFD;
    }
    *size = simdisk_size(p->host->disk, f->ino);
    return ST_OK;
}

enum status simenv_file_writeback(struct env *e, int fd, uint64_t offset, uint64_t size)
{
    struct proc *p = proc_of(e);
    if (proc_fd_open(p, fd) && (offset > INT64_MAX || size > INT64_MAX - offset)) {
        return ST_INVAL;
    }
    /* It promises nothing, and a crash here may keep any version of anything anyway. */
    return file_at(p, fd) != NULL ? ST_OK : ST_BADFD;
}

enum status simenv_fd_close(struct env *e, int fd)
{
    struct proc *p = proc_of(e);
    if (!proc_fd_open(p, fd)) {
        return ST_BADFD;
    }
    proc_trace(p, TRACE_CLOSE, p->fds[fd].name, (uint64_t)fd, 0, 0, ST_OK);
    proc_fd_drop(p, &p->fds[fd], false);
    return ST_OK;
}
