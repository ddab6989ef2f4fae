/* env_posix_dir.c - directories and names. */
#define _GNU_SOURCE
#include "env/env_posix_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static bool too_long(const char *path)
{
    return strlen(path) >= ENV_PATH_MAX;
}

static enum status open_retried(struct env *e, const char *path, int bits, int *fd)
{
    if (too_long(path)) {
        return ST_NAMETOOLONG;
    }
    do {
        *fd = openat(env_posix_of(e)->root_fd, path, bits | O_CLOEXEC | O_NOCTTY, 0666);
    } while (*fd < 0 && errno == EINTR);
    return *fd < 0 ? env_posix_last() : ST_OK;
}

static enum status dir_make(struct env *e, const char *path)
{
    if (too_long(path)) {
        return ST_NAMETOOLONG;
    }
    return mkdirat(env_posix_of(e)->root_fd, path, 0777) == 0 ? ST_OK : env_posix_last();
}

static enum status dir_list(struct env *e, const char *path, env_list_fn *each, void *arg)
{
    int fd;
    enum status st = open_retried(e, path, O_RDONLY | O_DIRECTORY, &fd);
    if (st != ST_OK) {
        return st;
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        st = env_posix_last();
        (void)close(fd); /* nothing was written */
        return st;
    }
    for (;;) {
        errno = 0; /* readdir says NULL for the end and for an error */
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            st = errno == 0 ? ST_OK : env_posix_last();
            break;
        }
        bool dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        if (!dots && !each(arg, entry->d_name)) {
            break;
        }
    }
    (void)closedir(dir); /* nothing was written */
    return st;
}

static enum status dir_sync(struct env *e, const char *path)
{
    int fd;
    enum status st = open_retried(e, path, O_RDONLY | O_DIRECTORY, &fd);
    if (st != ST_OK) {
        return st;
    }
    int rc;
    do {
        rc = fsync(fd);
    } while (rc != 0 && errno == EINTR);
    st = rc == 0 ? ST_OK : env_posix_last();
    (void)close(fd); /* the sync has told all there is to tell */
    return st;
}

static enum status path_stat(struct env *e, const char *path, struct env_stat *out)
{
    if (too_long(path)) {
        return ST_NAMETOOLONG;
    }
    struct stat st;
    if (fstatat(env_posix_of(e)->root_fd, path, &st, 0) != 0) {
        return env_posix_last();
    }
    bool file = S_ISREG(st.st_mode);
    out->kind = file ? ENV_KIND_FILE : S_ISDIR(st.st_mode) ? ENV_KIND_DIR : ENV_KIND_OTHER;
    out->size = file ? (uint64_t)st.st_size : 0;
    out->links = (uint64_t)st.st_nlink;
    return ST_OK;
}

/* "Directory not empty" has two errno values; file systems differ in which they use. */
static enum status name_status(void)
{
    return errno == EEXIST ? ST_NOTEMPTY : env_posix_last();
}

static enum status path_rename(struct env *e, const char *from, const char *to)
{
    int root = env_posix_of(e)->root_fd;
    if (too_long(from) || too_long(to)) {
        return ST_NAMETOOLONG;
    }
    return renameat(root, from, root, to) == 0 ? ST_OK : name_status();
}

static enum status path_link(struct env *e, const char *from, const char *to)
{
    int root = env_posix_of(e)->root_fd;
    if (too_long(from) || too_long(to)) {
        return ST_NAMETOOLONG;
    }
    return linkat(root, from, root, to, 0) == 0 ? ST_OK : env_posix_last();
}

static enum status path_remove(struct env *e, const char *path)
{
    int root = env_posix_of(e)->root_fd;
    if (too_long(path)) {
        return ST_NAMETOOLONG;
    }
    if (unlinkat(root, path, 0) == 0) {
        return ST_OK;
    }
    if (errno != EISDIR) {
        return env_posix_last();
    }
    return unlinkat(root, path, AT_REMOVEDIR) == 0 ? ST_OK : name_status();
}

/* flock() belongs to the open file, not to the process: so a second lock of the same process
 * is refused as well, and closing another descriptor of the file does not drop it. */
static enum status path_lock(struct env *e, const char *path, int *fd)
{
    int got;
    enum status st = open_retried(e, path, O_RDWR | O_CREAT, &got);
    if (st != ST_OK) {
        return st;
    }
    int rc;
    do {
        rc = flock(got, LOCK_EX | LOCK_NB);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        st = errno == EWOULDBLOCK ? ST_BUSY : env_posix_last();
        (void)close(got); /* nothing was written */
        return st;
    }
    *fd = got;
    return ST_OK;
}

static enum status path_free_space(struct env *e, const char *path, uint64_t *bytes)
{
    int fd;
    enum status st = open_retried(e, path, O_PATH, &fd);
    if (st != ST_OK) {
        return st;
    }
    struct statvfs fs;
    if (fstatvfs(fd, &fs) == 0) {
        *bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    } else {
        st = env_posix_last();
    }
    (void)close(fd); /* nothing was written */
    return st;
}

void env_posix_dir_fill(struct env_vt *vt)
{
    vt->dir_make = dir_make;
    vt->dir_list = dir_list;
    vt->dir_sync = dir_sync;
    vt->path_stat = path_stat;
    vt->path_rename = path_rename;
    vt->path_link = path_link;
    vt->path_remove = path_remove;
    vt->path_lock = path_lock;
    vt->path_free_space = path_free_space;
}
