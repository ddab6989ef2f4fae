/* bench_proc.c - see bench_proc.h. */
#define _GNU_SOURCE
#include "tests/bench/bench_proc.h"

#include "tests/bench/bench_peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The number behind "name:" in a file of /proc; 0 when it is not told. */
static double field_of(const char *path, const char *name)
{
    char line[256];
    double value = 0;
    size_t n = strlen(name);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, name, n) == 0 && line[n] == ':') {
            value = strtod(line + n + 1, NULL);
        }
    }
    (void)fclose(f);
    return value;
}

static double cpu_s(void)
{
    struct rusage r;
    (void)getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

struct usage bench_proc_usage(void)
{
    return (struct usage){.cpu_s = cpu_s(),
                          .file_b = field_of("/proc/self/io", "write_bytes"),
                          .called_b = field_of("/proc/self/io", "wchar")};
}

double bench_proc_memory(const char *field)
{
    return field_of("/proc/self/status", field) * 1024;
}

#define LOOKS 5 /* that must find it quiet */

static void wait_quiet(unsigned quiet_ms)
{
    const struct timespec pause = {0, (long)(quiet_ms) * (1000000 / LOOKS)};
    double before = cpu_s();
    double busy = (double)quiet_ms / 1e3 / LOOKS / 20; /* 5 % of a processor */
    for (unsigned quiet = 0, looks = 0; quiet < LOOKS && looks < 15000; looks++) {
        (void)nanosleep(&pause, NULL);
        double now = cpu_s();
        quiet = now - before <= busy ? quiet + 1 : 0;
        before = now;
    }
}

static void sync_all(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0) {
        bench_die("sync of %s: %s", dir, strerror(errno));
    }
    (void)close(fd);
}

void bench_proc_calm(unsigned quiet_ms, const char *dir)
{
    if (quiet_ms > 0) {
        wait_quiet(quiet_ms);
    }
    if (quiet_ms > 0 && dir != NULL) {
        sync_all(dir);
    }
}

typedef void visit_fn(void *arg, const char *path, const struct stat *st);

/* Calls visit for all in dir, and at last for dir itself. */
static void walk(const char *dir, visit_fn *visit, void *arg)
{
    struct stat st;
    char path[PROC_PATH_MAX];
    DIR *d = opendir(dir);
    if (d == NULL) {
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        if (snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path) {
            bench_die("too long a path in %s", dir);
        }
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            walk(path, visit, arg);
        } else {
            visit(arg, path, &st);
        }
    }
    (void)closedir(d);
    (void)lstat(dir, &st);
    visit(arg, dir, &st);
}

static void add_blocks(void *arg, const char *path, const struct stat *st)
{
    (void)path;
    *(double *)arg += S_ISREG(st->st_mode) ? (double)st->st_blocks * 512 : 0;
}

double bench_proc_disk(const char *dir)
{
    double sum = 0;
    walk(dir, add_blocks, &sum);
    return sum;
}

static void remove_one(void *arg, const char *path, const struct stat *st)
{
    (void)arg;
    (void)st;
    (void)remove(path);
}

void bench_proc_remove(const char *dir)
{
    walk(dir, remove_one, NULL);
}

/* Holes stay holes: LMDB's and preallocated files have them. */
static void copy_bytes(int in, int out, off_t size, const char *path)
{
    off_t at = 0;
    while (at < size) {
        off_t data = lseek(in, at, SEEK_DATA);
        off_t end = data < 0 ? size : lseek(in, data, SEEK_HOLE);
        if (data < 0) {
            break; /* nothing but a hole is left */
        }
        for (off_t from = data, to = data; from < end;) {
            ssize_t n = copy_file_range(in, &from, out, &to, (size_t)(end - from), 0);
            if (n <= 0) {
                bench_die("copy of %s: %s", path, n == 0 ? "it became shorter" : strerror(errno));
            }
        }
        at = end;
    }
    if (ftruncate(out, size) != 0) {
        bench_die("copy of %s: %s", path, strerror(errno));
    }
}

struct copying {
    size_t skip; /* length of the path of the source directory */
    const char *to;
};

static void copy_one(void *arg, const char *path, const struct stat *st)
{
    const struct copying *c = arg;
    char target[PROC_PATH_MAX];
    if (!S_ISREG(st->st_mode)) {
        return;
    }
    (void)snprintf(target, sizeof target, "%s%s", c->to, path + c->skip);
    int in = open(path, O_RDONLY | O_CLOEXEC);
    int out = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (in < 0 || out < 0) {
        bench_die("copy of %s to %s: %s", path, target, strerror(errno));
    }
    copy_bytes(in, out, st->st_size, path);
    (void)close(in);
    (void)close(out);
}

static void make_one(void *arg, const char *path, const struct stat *st)
{
    const struct copying *c = arg;
    char target[PROC_PATH_MAX];
    if (S_ISDIR(st->st_mode) && path[c->skip] != '\0') {
        (void)snprintf(target, sizeof target, "%s%s", c->to, path + c->skip);
        if (mkdir(target, 0777) != 0) {
            bench_die("%s: %s", target, strerror(errno));
        }
    }
}

/* Stores keep flat directories, or one level of them: deeper ones would be met inside first. */
void bench_proc_copy(const char *from, const char *to)
{
    struct copying c = {strlen(from), to};
    if (mkdir(to, 0777) != 0) {
        bench_die("%s: %s", to, strerror(errno));
    }
    walk(from, make_one, &c);
    walk(from, copy_one, &c);
}
