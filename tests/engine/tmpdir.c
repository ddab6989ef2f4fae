/* tmpdir.c - see tmpdir.h. */
#define _GNU_SOURCE
#include "tests/engine/tmpdir.h"

#include "env/env_posix.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(bool ok, const char *what)
{
    if (!ok) {
        printf("Bail out! %s\n", what);
        exit(1);
    }
}

void tmpdir_make(struct tmpdir *t)
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || base[0] == '\0') {
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; /* syncs are many */
    }
    (void)snprintf(t->path, sizeof t->path, "%.200s/tkv-XXXXXX", base);
    must(mkdtemp(t->path) != NULL, "mkdtemp");
    struct env_posix_options o = {t->path, ENV_LOG_ERROR + 1};
    must(env_posix_new(&o, &t->env) == ST_OK, "env_posix_new");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void tmpdir_remove(struct tmpdir *t)
{
    env_posix_free(t->env);
    must(nftw(t->path, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0, "nftw");
}

static void full_path(struct tmpdir *t, const char *path, char out[512])
{
    (void)snprintf(out, 512, "%s/%s", t->path, path);
}

void tmpdir_clear(struct tmpdir *t, const char *dir)
{
    char path[512];
    full_path(t, dir, path);
    if (access(path, F_OK) == 0) {
        must(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0, "nftw");
    }
}

char *tmpdir_read(struct tmpdir *t, const char *path, size_t *size)
{
    char full[512];
    full_path(t, path, full);
    FILE *f = fopen(full, "rb");
    must(f != NULL, full);
    must(fseek(f, 0, SEEK_END) == 0, "fseek");
    *size = (size_t)ftell(f);
    char *data = malloc(*size + 1);
    must(data != NULL, "malloc");
    rewind(f);
    must(fread(data, 1, *size, f) == *size, "fread");
    (void)fclose(f);
    return data;
}

void tmpdir_write(struct tmpdir *t, const char *path, const void *data, size_t size)
{
    char full[512];
    full_path(t, path, full);
    FILE *f = fopen(full, "wb");
    must(f != NULL, full);
    must(size == 0 || fwrite(data, 1, size, f) == size, "fwrite");
    must(fclose(f) == 0, "fclose");
}

/* Calls each for the files of a directory. */
static void files_each(struct tmpdir *t, const char *dir, void (*each)(void *, const char *),
                       void *arg)
{
    char path[512];
    full_path(t, dir, path);
    DIR *d = opendir(path);
    must(d != NULL, path);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != '.') {
            each(arg, e->d_name);
        }
    }
    (void)closedir(d);
}

struct copying {
    struct tmpdir *t;
    const char *from;
    const char *to;
};

static void copy_one(void *arg, const char *name)
{
    struct copying *c = arg;
    char path[512];
    size_t size;
    if (strcmp(name, "LOCK") == 0) {
        return;
    }
    (void)snprintf(path, sizeof path, "%s/%s", c->from, name);
    char *data = tmpdir_read(c->t, path, &size);
    (void)snprintf(path, sizeof path, "%s/%s", c->to, name);
    tmpdir_write(c->t, path, data, size);
    free(data);
}

void tmpdir_copy(struct tmpdir *t, const char *from, const char *to)
{
    char path[512];
    struct copying c = {t, from, to};
    full_path(t, to, path);
    must(mkdir(path, 0777) == 0, path);
    files_each(t, from, copy_one, &c);
}

struct looking {
    const char *suffix;
    int count;
    char *highest;
    bool prefix; /* suffix is one */
};

static void look_at(void *arg, const char *name)
{
    struct looking *l = arg;
    size_t n = strlen(name);
    size_t k = strlen(l->suffix);
    if (n >= k && strncmp(l->prefix ? name : name + n - k, l->suffix, k) == 0) {
        l->count++;
        if (l->highest != NULL && strcmp(name, l->highest) > 0) {
            (void)snprintf(l->highest, 64, "%s", name);
        }
    }
}

int tmpdir_count(struct tmpdir *t, const char *dir, const char *suffix)
{
    struct looking l = {suffix, 0, NULL, false};
    files_each(t, dir, look_at, &l);
    return l.count;
}

void tmpdir_highest(struct tmpdir *t, const char *dir, const char *suffix, char name[64])
{
    struct looking l = {suffix, 0, name, false};
    name[0] = '\0';
    files_each(t, dir, look_at, &l);
}

int tmpdir_count_prefix(struct tmpdir *t, const char *dir, const char *prefix)
{
    struct looking l = {prefix, 0, NULL, true};
    files_each(t, dir, look_at, &l);
    return l.count;
}
