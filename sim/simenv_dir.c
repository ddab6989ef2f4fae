/* simenv_dir.c - directories and names of a simulated process. */
#include "fault/namepat.h"
#include "sim/simenv_int.h"

#include <stdio.h>
#include <string.h>

/* A change of names: latency and points around it, and now and then an error with nothing done. */
static bool name_enter(struct proc *p, enum disk_op op, enum status *st)
{
    simenv_disk_enter(p, op);
    simenv_disk_wait(p, op, 0);
    *st = ST_IO;
    return !p->watched || !world_fault(p->world, &p->host->disk_fault, PLAN_META_EIO);
}

static enum status name_leave(struct proc *p, enum disk_op op, enum trace_kind kind,
                              const char *path, enum status st)
{
    proc_trace(p, kind, namepat_base(path), 0, 0, 0, st);
    simenv_disk_leave(p, op);
    return st;
}

enum status simenv_dir_make(struct env *e, const char *path)
{
    struct proc *p = proc_of(e);
    enum status st;
    if (name_enter(p, DISK_META, &st)) {
        st = simdisk_dir_make(p->host->disk, path);
    }
    return name_leave(p, DISK_META, TRACE_DIR, path, st);
}

struct names {
    struct buf text; /* NUL-terminated, one after the other */
    uint64_t count;
};

static bool keep_name(void *arg, const char *name)
{
    struct names *n = arg;
    n->count++;
    return buf_append(&n->text, name, strlen(name) + 1) == ST_OK;
}

/* The names are taken at once: the caller's function may call the Env. */
enum status simenv_dir_list(struct env *e, const char *path, env_list_fn *each, void *arg)
{
    struct proc *p = proc_of(e);
    struct names n = {0};
    buf_init(&n.text, p->world->mem);
    simenv_disk_enter(p, DISK_READ);
    simenv_disk_wait(p, DISK_READ, 0);
    enum status st = simdisk_dir_list(p->host->disk, path, &p->host->disk_fault, keep_name, &n);
    proc_trace(p, TRACE_DIR, namepat_base(path), n.count, 0, 0, st);
    if (st == ST_OK) {
        const char *name = n.text.data;
        for (uint64_t i = 0; i < n.count && each(arg, name); i++) {
            name += strlen(name) + 1;
        }
    }
    buf_release(&n.text);
    return st;
}

enum status simenv_dir_sync(struct env *e, const char *path)
{
    struct proc *p = proc_of(e);
    simenv_disk_enter(p, DISK_DIRSYNC);
    uint64_t mark = simdisk_sync_begin(p->host->disk);
    simenv_disk_wait(p, DISK_DIRSYNC, 0);
    enum status st = ST_IO;
    if (!p->watched || !world_fault(p->world, &p->host->disk_fault, PLAN_META_EIO)) {
        st = simdisk_dir_sync(p->host->disk, path, mark);
    }
    return name_leave(p, DISK_DIRSYNC, TRACE_DIRSYNC, path, st);
}

enum status simenv_path_stat(struct env *e, const char *path, struct env_stat *st)
{
    return simdisk_stat(proc_of(e)->host->disk, path, st);
}

enum status simenv_path_rename(struct env *e, const char *from, const char *to)
{
    struct proc *p = proc_of(e);
    enum status st;
    if (name_enter(p, DISK_META, &st)) {
        st = simdisk_rename(p->host->disk, from, to);
        if (st == ST_OK && p->watched && world_fault(p->world, &p->host->media, PLAN_RENAME_LIES)) {
            st = ST_IO;
        }
    }
    return name_leave(p, DISK_META, TRACE_RENAME, to, st);
}

enum status simenv_path_link(struct env *e, const char *from, const char *to)
{
    struct proc *p = proc_of(e);
    enum status st;
    if (name_enter(p, DISK_META, &st)) {
        st = simdisk_link(p->host->disk, from, to);
    }
    return name_leave(p, DISK_META, TRACE_LINK, to, st);
}

enum status simenv_path_remove(struct env *e, const char *path)
{
    struct proc *p = proc_of(e);
    enum status st;
    if (name_enter(p, DISK_META, &st)) {
        st = simdisk_remove(p->host->disk, path);
    }
    return name_leave(p, DISK_META, TRACE_REMOVE, path, st);
}

enum status simenv_path_lock(struct env *e, const char *path, int *fd)
{
    struct proc *p = proc_of(e);
    struct simdisk *d = p->host->disk;
    simenv_disk_enter(p, DISK_META);
    simenv_disk_wait(p, DISK_META, 0);
    struct fd_entry entry = {.kind = FD_LOCK, .flags = ENV_READ | ENV_WRITE};
    (void)snprintf(entry.name, sizeof entry.name, "%s", namepat_base(path));
    enum status st = simdisk_open(d, path, ENV_READ | ENV_WRITE | ENV_CREATE, &entry.ino);
    if (st == ST_OK) {
        st = simdisk_lock(d, entry.ino);
        if (st == ST_OK) {
            st = proc_fd_new(p, entry, fd);
            if (st != ST_OK) {
                simdisk_unlock(d, entry.ino);
            }
        }
        if (st != ST_OK) {
            simdisk_close(d, entry.ino);
        }
    }
    proc_trace(p, TRACE_LOCK, entry.name, st == ST_OK ? (uint64_t)*fd : 0, 0, 0, st);
    simenv_disk_leave(p, DISK_META);
    return st;
}

enum status simenv_path_free_space(struct env *e, const char *path, uint64_t *bytes)
{
    struct proc *p = proc_of(e);
    struct env_stat exists;
    enum status st = simdisk_stat(p->host->disk, path, &exists);
    *bytes = simdisk_free_bytes(p->host->disk);
    return st;
}
