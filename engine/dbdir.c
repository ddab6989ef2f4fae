/* dbdir.c - see dbdir.h. */
#include "engine/dbdir.h"

#include "base/ck.h"

#include <string.h>

struct listing {
    struct buf *files;
    bool others;
    enum status st;
};

static bool name_take(void *arg, const char *name)
{
    struct listing *l = arg;
    struct dbdir_file f = {.number = 0};
    f.kind = fname_parse(name, &f.number);
    if (f.kind == FNAME_OTHER) {
        l->others = true;
    } else {
        l->st = buf_append(l->files, &f, sizeof f);
    }
    return l->st == ST_OK;
}

static bool after(const struct dbdir_file *a, const struct dbdir_file *b)
{
    return a->kind != b->kind ? a->kind > b->kind : a->number > b->number;
}

/* Heapsort: a directory may hold many files, and any order. */
static void sift(struct dbdir_file *f, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && after(&f[child + 1], &f[child])) {
            child++;
        }
        if (!after(&f[child], &f[at])) {
            return;
        }
        struct dbdir_file moved = f[at];
        f[at] = f[child];
        f[child] = moved;
    }
}

static void sort(struct dbdir_file *f, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) {
        sift(f, i, count);
    }
    for (size_t n = count; n > 1; n--) {
        struct dbdir_file last = f[n - 1];
        f[n - 1] = f[0];
        f[0] = last;
        sift(f, 0, n - 1);
    }
}

enum status dbdir_list(struct env *env, const char *dir, struct buf *files, bool *others)
{
    struct listing l = {files, false, ST_OK};
    size_t had = files->size;
    enum status st = env_dir_list(env, dir, name_take, &l);
    st = st == ST_OK ? l.st : st;
    if (st == ST_OK && files->size > had) {
        sort((void *)(files->data + had), (files->size - had) / sizeof(struct dbdir_file));
    }
    if (others != NULL) {
        *others = l.others;
    }
    return st;
}

enum status dbdir_parent_sync(struct env *env, const char *dir)
{
    char path[ENV_PATH_MAX];
    size_t n = strlen(dir);
    CK(n < sizeof path);
    while (n > 1 && dir[n - 1] == '/') {
        n--;
    }
    while (n > 0 && dir[n - 1] != '/') {
        n--;
    }
    while (n > 1 && dir[n - 1] == '/') {
        n--;
    }
    if (n == 0) {
        return env_dir_sync(env, ".");
    }
    memcpy(path, dir, n);
    path[n] = '\0';
    return env_dir_sync(env, path);
}

static enum status kind_remove(struct env *env, const char *dir, const struct buf *files,
                               bool current)
{
    enum status st = ST_OK;
    for (size_t at = 0; st == ST_OK && at < files->size; at += sizeof(struct dbdir_file)) {
        struct dbdir_file f;
        char path[ENV_PATH_MAX];
        memcpy(&f, files->data + at, sizeof f);
        if ((f.kind == FNAME_CURRENT) == current) {
            fname_make(path, dir, f.kind, f.number);
            st = env_path_remove(env, path);
        }
    }
    return st;
}

enum status dbdir_remove(struct env *env, const char *dir)
{
    struct buf files;
    bool others;
    buf_init(&files, &env->mem);
    enum status st = dbdir_list(env, dir, &files, &others);
    if (st == ST_OK) {
        st = kind_remove(env, dir, &files, true);
    }
    if (st == ST_OK) {
        st = env_dir_sync(env, dir);
    }
    if (st == ST_OK) {
        st = kind_remove(env, dir, &files, false);
    }
    if (st == ST_OK && !others) {
        st = env_path_remove(env, dir);
    }
    buf_release(&files);
    return st;
}

enum status dbdir_lock(struct env *env, const char *dir, int *fd, struct err *err)
{
    struct buf files;
    struct env_stat stat;
    char path[ENV_PATH_MAX];
    buf_init(&files, &env->mem);
    enum status st = strlen(dir) <= ENV_PATH_MAX - FNAME_SIZE ? ST_OK : ST_NAMETOOLONG;
    if (st == ST_OK) {
        st = env_path_stat(env, dir, &stat);
    }
    if (st == ST_OK && stat.kind != ENV_KIND_DIR) {
        st = ST_NOTDIR;
    }
    if (st == ST_OK) {
        st = dbdir_list(env, dir, &files, NULL);
    }
    if (st != ST_OK) {
        st = err_status(err, st, dir);
    } else if (files.size == 0) {
        err_set(err, "%s: there is no database", dir);
        st = ST_NOENT;
    } else {
        fname_make(path, dir, FNAME_LOCK, 0);
        st = env_path_lock(env, path, fd);
        if (st != ST_OK) {
            st = err_status(err, st, path);
        }
    }
    buf_release(&files);
    return st;
}
