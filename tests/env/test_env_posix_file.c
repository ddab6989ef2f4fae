/* test_env_posix_file.c - files of the POSIX Env: each call, and each error that can be had. */
#define _GNU_SOURCE
#include "env/env_posix.h"
#include "env/fullio.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RW_NEW (ENV_READ | ENV_WRITE | ENV_CREATE | ENV_EXCLUSIVE)

static void test_file__open_flags_do_what_they_say(void)
{
    struct tmpdir t;
    int fd = -1;
    uint64_t size = 9;
    tmpdir_make(&t);
    EXPECT(env_file_open(t.env, "f", ENV_READ, &fd) == ST_NOENT);
    EXPECT(env_file_open(t.env, "f", ENV_READ | ENV_WRITE, &fd) == ST_NOENT);
    EXPECT(env_file_open(t.env, "f", RW_NEW, &fd) == ST_OK);
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    EXPECT(env_file_open(t.env, "f", RW_NEW, &fd) == ST_EXIST);
    tmpdir_write(&t, "f", "12345", 5);
    EXPECT(env_file_open(t.env, "f", ENV_WRITE | ENV_CREATE, &fd) == ST_OK);
    EXPECT(env_file_size(t.env, fd, &size) == ST_OK);
    EXPECT(size == 5);
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    EXPECT(env_file_open(t.env, "f", ENV_WRITE | ENV_TRUNCATE, &fd) == ST_OK);
    EXPECT(env_file_size(t.env, fd, &size) == ST_OK);
    EXPECT(size == 0);
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    tmpdir_remove(&t);
}

static void test_file__open_refuses_bad_flags_and_paths(void)
{
    struct tmpdir t;
    int fd = -1;
    char longest[ENV_PATH_MAX + 1];
    tmpdir_make(&t);
    tmpdir_write(&t, "f", "", 0);
    EXPECT(env_dir_make(t.env, "d") == ST_OK);
    EXPECT(env_file_open(t.env, "f", 0, &fd) == ST_INVAL);
    EXPECT(env_file_open(t.env, "f", ENV_CREATE, &fd) == ST_INVAL);
    EXPECT(env_file_open(t.env, "f", ENV_WRITE | ENV_EXCLUSIVE, &fd) == ST_INVAL);
    EXPECT(env_file_open(t.env, "f", ENV_READ | ENV_TRUNCATE, &fd) == ST_INVAL);
    EXPECT(env_file_open(t.env, "f", ENV_READ | ENV_CREATE, &fd) == ST_INVAL);
    EXPECT(env_file_open(t.env, "d", ENV_READ, &fd) == ST_ISDIR);
    EXPECT(env_file_open(t.env, "d", ENV_WRITE, &fd) == ST_ISDIR);
    EXPECT(env_file_open(t.env, "f/x", ENV_READ, &fd) == ST_NOTDIR);
    EXPECT(env_file_open(t.env, "", ENV_READ, &fd) == ST_NOENT);
    EXPECT(env_file_open(t.env, "none/x", ENV_WRITE | ENV_CREATE, &fd) == ST_NOENT);
    for (size_t i = 0; i < ENV_PATH_MAX; i += 2) {
        memcpy(longest + i, "./", 2);
    }
    longest[ENV_PATH_MAX] = '\0';
    EXPECT(env_file_open(t.env, longest, ENV_READ, &fd) == ST_NAMETOOLONG);
    longest[ENV_PATH_MAX - 1] = '\0';
    EXPECT(env_file_open(t.env, longest, ENV_READ, &fd) == ST_ISDIR); /* the longest that goes */
    memset(longest, 'a', sizeof longest);
    longest[300] = '\0'; /* a name over 255 bytes */
    EXPECT(env_file_open(t.env, longest, ENV_READ, &fd) == ST_NAMETOOLONG);
    EXPECT(fd == -1);
    tmpdir_remove(&t);
}

/* In a child that is nobody, for root may open everything. */
static void test_file__open_says_access(void)
{
    struct tmpdir t;
    int fd, status = -1;
    char path[300];
    tmpdir_make(&t);
    tmpdir_write(&t, "f", "", 0);
    (void)snprintf(path, sizeof path, "%s/f", t.path);
    EXPECT(chmod(path, 0) == 0);
    pid_t child = fork();
    if (child == 0) {
        bool nobody = geteuid() != 0 || seteuid(65534) == 0;
        _exit(nobody && env_file_open(t.env, "f", ENV_READ, &fd) == ST_ACCESS ? 0 : 1);
    }
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT(status == 0);
    tmpdir_remove(&t);
}

/* Files and sockets share the numbers, and the lowest free one comes first. */
static void test_file__descriptors_are_lowest_first(void)
{
    struct tmpdir t;
    struct env_addr any = {.family = 4, .ip = {127, 0, 0, 1}};
    int a, b, c, d, s;
    tmpdir_make(&t);
    tmpdir_write(&t, "f", "", 0);
    EXPECT(env_file_open(t.env, "f", ENV_READ, &a) == ST_OK);
    EXPECT(env_file_open(t.env, "f", ENV_READ, &b) == ST_OK);
    EXPECT(env_poller_open(t.env, &c) == ST_OK);
    EXPECT(env_path_lock(t.env, "l", &d) == ST_OK);
    EXPECT(b == a + 1);
    EXPECT(c == a + 2); /* a poller takes one number, not two */
    EXPECT(d == a + 3);
    EXPECT(env_fd_close(t.env, b) == ST_OK);
    EXPECT(env_sock_listen(t.env, &any, 1, &s) == ST_OK);
    EXPECT(s == b);
    EXPECT(env_fd_close(t.env, b) == ST_OK);
    EXPECT(env_fd_close(t.env, b) == ST_BADFD);
    EXPECT(env_fd_close(t.env, a) == ST_OK);
    EXPECT(env_fd_close(t.env, c) == ST_OK);
    EXPECT(env_fd_close(t.env, d) == ST_OK);
    tmpdir_remove(&t);
}

/* No descriptor of an Env reaches a program that is started. */
static void test_file__descriptors_close_on_exec(void)
{
    struct tmpdir t;
    struct env_addr any = {.family = 4, .ip = {127, 0, 0, 1}}, at, peer;
    struct env_event ev;
    int fds[6], count = 0;
    bool inherited[256];
    for (int fd = 0; fd < 256; fd++) {
        inherited[fd] = fcntl(fd, F_GETFD) != -1;
    }
    tmpdir_make(&t);
    EXPECT(env_file_open(t.env, "f", RW_NEW, &fds[0]) == ST_OK);
    EXPECT(env_path_lock(t.env, "l", &fds[1]) == ST_OK);
    EXPECT(env_poller_open(t.env, &fds[2]) == ST_OK);
    EXPECT(env_sock_listen(t.env, &any, 1, &fds[3]) == ST_OK);
    EXPECT(env_sock_local(t.env, fds[3], &at) == ST_OK);
    enum status st = env_sock_connect(t.env, &at, &fds[4]);
    EXPECT(st == ST_OK || st == ST_INPROGRESS);
    EXPECT(env_poller_set(t.env, fds[2], fds[3], ENV_IN, 1) == ST_OK);
    EXPECT(env_poller_wait(t.env, fds[2], &ev, 1, ENV_NEVER, &count) == ST_OK);
    EXPECT(env_sock_accept(t.env, fds[3], &fds[5], &peer) == ST_OK);
    for (int fd = 0; fd < 256; fd++) { /* the Env's own too */
        int flags = fcntl(fd, F_GETFD);
        EXPECT(flags == -1 || (flags & FD_CLOEXEC) != 0 || inherited[fd]);
    }
    for (int i = 0; i < 6; i++) {
        EXPECT(env_fd_close(t.env, fds[i]) == ST_OK);
    }
    tmpdir_remove(&t);
}

static bool on_no_name(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return false;
}

/* A call that fails, or that gives no descriptor, keeps none. */
static void test_file__failures_keep_no_descriptor(void)
{
    struct tmpdir t;
    struct env_addr any = {.family = 4, .ip = {127, 0, 0, 1}}, taken;
    int lock, listener, before, after, none;
    uint64_t bytes;
    tmpdir_make(&t);
    EXPECT(env_path_lock(t.env, "l", &lock) == ST_OK);
    EXPECT(env_sock_listen(t.env, &any, 1, &listener) == ST_OK);
    EXPECT(env_sock_local(t.env, listener, &taken) == ST_OK);
    EXPECT(env_file_open(t.env, "f", ENV_WRITE | ENV_CREATE, &before) == ST_OK);
    EXPECT(env_fd_close(t.env, before) == ST_OK);
    EXPECT(env_path_lock(t.env, "l", &none) == ST_BUSY);
    EXPECT(env_file_open(t.env, ".", ENV_READ, &none) == ST_ISDIR);
    EXPECT(env_sock_listen(t.env, &taken, 1, &none) == ST_ADDRUSE);
    EXPECT(env_dir_list(t.env, ".", on_no_name, NULL) == ST_OK);
    EXPECT(env_dir_sync(t.env, ".") == ST_OK);
    EXPECT(env_path_free_space(t.env, ".", &bytes) == ST_OK);
    EXPECT(env_file_open(t.env, "f", ENV_READ, &after) == ST_OK);
    EXPECT(after == before);
    EXPECT(env_fd_close(t.env, after) == ST_OK);
    EXPECT(env_fd_close(t.env, lock) == ST_OK);
    EXPECT(env_fd_close(t.env, listener) == ST_OK);
    tmpdir_remove(&t);
}

static void test_file__says_when_descriptors_run_out(void)
{
    struct tmpdir t;
    struct rlimit old, few;
    struct env_addr any = {.family = 4, .ip = {127, 0, 0, 1}};
    int fd, next;
    tmpdir_make(&t);
    tmpdir_write(&t, "f", "", 0);
    EXPECT(getrlimit(RLIMIT_NOFILE, &old) == 0);
    EXPECT(env_file_open(t.env, "f", ENV_READ, &next) == ST_OK);
    few = (struct rlimit){(rlim_t)next + 1, old.rlim_max};
    EXPECT(setrlimit(RLIMIT_NOFILE, &few) == 0);
    EXPECT(env_file_open(t.env, "f", ENV_READ, &fd) == ST_MFILE);
    EXPECT(env_path_lock(t.env, "l", &fd) == ST_MFILE);
    EXPECT(env_poller_open(t.env, &fd) == ST_MFILE);
    EXPECT(env_sock_listen(t.env, &any, 1, &fd) == ST_MFILE);
    EXPECT(env_sock_connect(t.env, &any, &fd) == ST_MFILE);
    EXPECT(env_dir_sync(t.env, ".") == ST_MFILE);
    struct env *other = NULL;
    EXPECT(env_posix_new(NULL, &other) == ST_MFILE);
    EXPECT(other == NULL);
    EXPECT(setrlimit(RLIMIT_NOFILE, &old) == 0);
    EXPECT(env_fd_close(t.env, next) == ST_OK);
    tmpdir_remove(&t);
}

static void test_file__reads_and_writes_at_offsets(void)
{
    struct tmpdir t;
    int fd;
    size_t n = 99;
    char b[16];
    uint64_t size;
    tmpdir_make(&t);
    EXPECT(env_file_open(t.env, "f", RW_NEW, &fd) == ST_OK);
    EXPECT(env_file_pread(t.env, fd, b, sizeof b, 0, &n) == ST_OK);
    EXPECT(n == 0);
    EXPECT(fullio_pwrite(t.env, fd, "world", 5, 6, &n) == ST_OK);
    EXPECT(n == 5);
    EXPECT(fullio_pwrite(t.env, fd, "hello", 5, 0, &n) == ST_OK);
    EXPECT(env_file_size(t.env, fd, &size) == ST_OK);
    EXPECT(size == 11);
    EXPECT(fullio_pread(t.env, fd, b, sizeof b, 0, &n) == ST_OK);
    EXPECT(n == 11);
    EXPECT(memcmp(b, "hello\0world", 11) == 0); /* a hole reads as zeros */
    EXPECT(fullio_pread(t.env, fd, b, 3, 8, &n) == ST_OK);
    EXPECT(n == 3);
    EXPECT(memcmp(b, "rld", 3) == 0);
    EXPECT(env_file_pread(t.env, fd, b, sizeof b, 11, &n) == ST_OK);
    EXPECT(n == 0);
    EXPECT(env_file_pread(t.env, fd, b, sizeof b, 1 << 30, &n) == ST_OK);
    EXPECT(n == 0);
    EXPECT(env_file_pread(t.env, fd, b, 1, UINT64_MAX, &n) == ST_INVAL);
    EXPECT(env_file_pwrite(t.env, fd, b, 1, UINT64_MAX, &n) == ST_INVAL);
    EXPECT(env_file_sync(t.env, fd) == ST_OK);
    EXPECT(env_file_datasync(t.env, fd) == ST_OK);
    EXPECT(env_file_writeback(t.env, fd, 0, 11) == ST_OK);
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    tmpdir_remove(&t);
}

/* pwrite in the middle must not move where append goes, nor append disturb the middle. */
static void test_file__appends_at_the_present_end(void)
{
    struct tmpdir t;
    int fd;
    size_t n;
    char b[32];
    struct env_slice parts[3] = {{"cd", 2}, {"", 0}, {"efg", 3}};
    tmpdir_make(&t);
    tmpdir_write(&t, "f", "ab", 2);
    EXPECT(env_file_open(t.env, "f", ENV_READ | ENV_WRITE, &fd) == ST_OK);
    EXPECT(fullio_append(t.env, fd, parts, 3, &n) == ST_OK);
    EXPECT(n == 5);
    EXPECT(fullio_pwrite(t.env, fd, "B", 1, 1, &n) == ST_OK);
    EXPECT(fullio_append(t.env, fd, parts, 1, &n) == ST_OK);
    EXPECT(env_file_truncate(t.env, fd, 8) == ST_OK);
    EXPECT(fullio_append(t.env, fd, parts, 1, &n) == ST_OK);
    EXPECT(fullio_pread(t.env, fd, b, sizeof b, 0, &n) == ST_OK);
    EXPECT(n == 10);
    EXPECT(memcmp(b, "aBcdefgccd", 10) == 0);
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    tmpdir_remove(&t);
}

/* More parts than one system call takes, some empty, in calls of any length. */
static void test_fullio__appends_many_parts_in_order(void)
{
    struct tmpdir t;
    struct env_slice parts[500];
    char *text = malloc(500 * 7), *want = malloc(500 * 7), *got = malloc(500 * 7);
    size_t total = 0;
    tmpdir_make(&t);
    for (size_t i = 0; i < 500; i++) {
        parts[i] = (struct env_slice){text + 7 * i, i % 8};
        for (size_t k = 0; k < 7; k++) {
            text[7 * i + k] = (char)(i * 31 + k);
        }
        memcpy(want + total, parts[i].data, parts[i].size);
        total += parts[i].size;
    }
    for (size_t most = 0; most < 12; most++) {
        struct inject te;
        int fd;
        size_t n = 0;
        test_env_init(&te, t.env);
        te.io_max = most;
        unsigned flags = ENV_READ | ENV_WRITE | ENV_CREATE | ENV_TRUNCATE;
        EXPECT(env_file_open(&te.env, "f", flags, &fd) == ST_OK);
        EXPECT(fullio_append(&te.env, fd, parts, 500, &n) == ST_OK);
        EXPECT(n == total);
        EXPECT(fullio_pread(&te.env, fd, got, total + 1, 0, &n) == ST_OK);
        EXPECT(n == total);
        EXPECT(memcmp(got, want, total) == 0);
        EXPECT(env_fd_close(&te.env, fd) == ST_OK);
        EXPECT(te.descriptors == 0);
    }
    free(text);
    free(want);
    free(got);
    tmpdir_remove(&t);
}

static void test_fullio__short_calls_add_up(void)
{
    struct tmpdir t;
    char in[1000], out[1000];
    tmpdir_make(&t);
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = (char)(i * 7);
    }
    for (size_t most = 1; most < 70; most += 11) {
        struct inject te;
        int fd;
        size_t n = 0;
        test_env_init(&te, t.env);
        te.io_max = most;
        EXPECT(env_file_open(&te.env, "g", ENV_READ | ENV_WRITE | ENV_CREATE, &fd) == ST_OK);
        EXPECT(fullio_pwrite(&te.env, fd, in, sizeof in, 5, &n) == ST_OK);
        EXPECT(n == sizeof in);
        memset(out, 0, sizeof out);
        EXPECT(fullio_pread(&te.env, fd, out, sizeof out, 5, &n) == ST_OK);
        EXPECT(n == sizeof out);
        EXPECT(memcmp(in, out, sizeof in) == 0);
        EXPECT(env_fd_close(&te.env, fd) == ST_OK);
    }
    tmpdir_remove(&t);
}

static void test_fullio__says_how_far_it_came(void)
{
    struct tmpdir t;
    int fd;
    size_t n = 7;
    struct env_slice part = {"x", 1};
    tmpdir_make(&t);
    tmpdir_write(&t, "f", "abc", 3);
    EXPECT(env_file_open(t.env, "f", ENV_READ, &fd) == ST_OK);
    EXPECT(fullio_pwrite(t.env, fd, "x", 1, 0, &n) == ST_BADFD);
    EXPECT(n == 0);
    n = 7;
    EXPECT(fullio_append(t.env, fd, &part, 1, &n) == ST_BADFD);
    EXPECT(n == 0);
    EXPECT(fullio_append(t.env, fd, NULL, 0, &n) == ST_OK);
    const struct env_slice empty[2] = {{"", 0}, {NULL, 0}};
    EXPECT(fullio_append(t.env, fd, empty, 2, &n) == ST_OK);
    EXPECT(fullio_pwrite(t.env, fd, NULL, 0, 0, &n) == ST_OK); /* nothing is asked of the file */
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    EXPECT(fullio_pread(t.env, fd, &n, 1, 0, &n) == ST_BADFD);
    tmpdir_remove(&t);
}

static void test_file__truncate_cuts_and_extends(void)
{
    struct tmpdir t;
    int fd;
    size_t n;
    char b[8];
    uint64_t size;
    tmpdir_make(&t);
    tmpdir_write(&t, "f", "abcdef", 6);
    EXPECT(env_file_open(t.env, "f", ENV_READ | ENV_WRITE, &fd) == ST_OK);
    EXPECT(env_file_truncate(t.env, fd, 2) == ST_OK);
    EXPECT(env_file_truncate(t.env, fd, 4) == ST_OK);
    EXPECT(fullio_pread(t.env, fd, b, sizeof b, 0, &n) == ST_OK);
    EXPECT(n == 4);
    EXPECT(memcmp(b, "ab\0\0", 4) == 0);
    EXPECT(env_file_truncate(t.env, fd, UINT64_MAX) == ST_INVAL);
    EXPECT(env_file_size(t.env, fd, &size) == ST_OK);
    EXPECT(size == 4);
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    EXPECT(env_file_open(t.env, "f", ENV_READ, &fd) == ST_OK);
    EXPECT(env_file_truncate(t.env, fd, 0) == ST_BADFD); /* not open for writing */
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    tmpdir_remove(&t);
}

static void test_file__allocate_keeps_the_size_or_not(void)
{
    struct tmpdir t;
    int fd;
    uint64_t size;
    size_t n;
    char b[4];
    struct env_slice part = {"data", 4};
    tmpdir_make(&t);
    EXPECT(env_file_open(t.env, "f", RW_NEW, &fd) == ST_OK);
    enum status st = env_file_allocate(t.env, fd, 0, 1 << 16, true);
    if (st == ST_UNSUPPORTED) {
        SKIP("this file system has no fallocate");
    } else {
        EXPECT(st == ST_OK);
        EXPECT(env_file_size(t.env, fd, &size) == ST_OK);
        EXPECT(size == 0);
        EXPECT(fullio_append(t.env, fd, &part, 1, &n) == ST_OK); /* at 0, not at 65536 */
        EXPECT(fullio_pread(t.env, fd, b, 4, 0, &n) == ST_OK);
        EXPECT(n == 4 && memcmp(b, "data", 4) == 0);
        EXPECT(env_file_allocate(t.env, fd, 0, 8192, false) == ST_OK);
        EXPECT(env_file_size(t.env, fd, &size) == ST_OK);
        EXPECT(size == 8192);
        EXPECT(env_file_allocate(t.env, fd, 0, 0, true) == ST_INVAL);
    }
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    tmpdir_remove(&t);
}

/* What is no file says so, in every call that wants one. */
static void test_file__wrong_kinds_are_bad_descriptors(void)
{
    struct tmpdir t;
    struct env_addr any = {.family = 4, .ip = {127, 0, 0, 1}};
    struct env_slice part = {"x", 1};
    int fds[2];
    uint64_t size;
    size_t n;
    char c;
    tmpdir_make(&t);
    EXPECT(env_sock_listen(t.env, &any, 1, &fds[0]) == ST_OK);
    fds[1] = 12345; /* never opened */
    for (int i = 0; i < 2; i++) {
        EXPECT(env_file_pread(t.env, fds[i], &c, 1, 0, &n) == ST_BADFD);
        EXPECT(env_file_pwrite(t.env, fds[i], &c, 1, 0, &n) == ST_BADFD);
        EXPECT(env_file_append(t.env, fds[i], &part, 1, &n) == ST_BADFD);
        EXPECT(env_file_sync(t.env, fds[i]) == ST_BADFD);
        EXPECT(env_file_datasync(t.env, fds[i]) == ST_BADFD);
        EXPECT(env_file_truncate(t.env, fds[i], 0) == ST_BADFD);
        EXPECT(env_file_size(t.env, fds[i], &size) == ST_BADFD);
        EXPECT(env_file_writeback(t.env, fds[i], 0, 1) == ST_BADFD);
        EXPECT(env_file_allocate(t.env, fds[i], 0, 1, true) != ST_OK);
    }
    EXPECT(env_fd_close(t.env, fds[0]) == ST_OK);
    tmpdir_remove(&t);
}

/* A file size limit stands in for a full disk where one cannot be made. */
static void test_file__limits_are_errors_and_lose_nothing(void)
{
    struct tmpdir t;
    struct rlimit old, small;
    int fd;
    size_t n;
    char block[8192];
    uint64_t size;
    tmpdir_make(&t);
    memset(block, 'z', sizeof block);
    EXPECT(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    EXPECT(getrlimit(RLIMIT_FSIZE, &old) == 0);
    EXPECT(env_file_open(t.env, "f", RW_NEW, &fd) == ST_OK);
    small = (struct rlimit){10000, old.rlim_max};
    EXPECT(setrlimit(RLIMIT_FSIZE, &small) == 0);
    EXPECT(fullio_pwrite(t.env, fd, block, sizeof block, 0, &n) == ST_OK);
    EXPECT(fullio_pwrite(t.env, fd, block, sizeof block, sizeof block, &n) == ST_TOOBIG);
    EXPECT(n == 10000 - sizeof block); /* a short write first, then the error */
    EXPECT(setrlimit(RLIMIT_FSIZE, &old) == 0);
    EXPECT(env_file_size(t.env, fd, &size) == ST_OK);
    EXPECT(size == 10000);
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    tmpdir_remove(&t);
}

static void test_file__full_device_says_so(void)
{
    struct tmpdir t;
    int fd;
    size_t n;
    struct env_slice part = {"x", 1};
    tmpdir_make(&t);
    if (env_file_open(t.env, "/dev/full", ENV_WRITE, &fd) != ST_OK) {
        SKIP("there is no /dev/full here");
        tmpdir_remove(&t);
        return;
    }
    EXPECT(env_file_pwrite(t.env, fd, "x", 1, 0, &n) == ST_NOSPC);
    EXPECT(env_file_append(t.env, fd, &part, 1, &n) == ST_BADFD); /* it has no end to go to */
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    tmpdir_remove(&t);
}

static void test_status__errno_table(void)
{
    EXPECT(env_posix_status(0) == ST_IO);
    EXPECT(env_posix_status(-1) == ST_IO);
    EXPECT(env_posix_status(100000) == ST_IO);
    EXPECT(env_posix_status(ENOSPC) == ST_NOSPC);
    EXPECT(env_posix_status(EDQUOT) == ST_NOSPC);
    EXPECT(env_posix_status(EAGAIN) == ST_AGAIN);
    EXPECT(env_posix_status(EROFS) == ST_ROFS);
    EXPECT(env_posix_status(ENFILE) == ST_MFILE);
    EXPECT(env_posix_status(ETIMEDOUT) == ST_TIMEOUT);
    EXPECT(env_posix_status(ECONNRESET) == ST_RESET);
    EXPECT(env_posix_status(EXDEV) == ST_XDEV);
    EXPECT(env_posix_status(EILSEQ) == ST_IO); /* one that has no row */
}

TAP_MAIN({
    RUN(test_file__open_flags_do_what_they_say);
    RUN(test_file__open_refuses_bad_flags_and_paths);
    RUN(test_file__open_says_access);
    RUN(test_file__descriptors_are_lowest_first);
    RUN(test_file__descriptors_close_on_exec);
    RUN(test_file__failures_keep_no_descriptor);
    RUN(test_file__says_when_descriptors_run_out);
    RUN(test_file__reads_and_writes_at_offsets);
    RUN(test_file__appends_at_the_present_end);
    RUN(test_fullio__appends_many_parts_in_order);
    RUN(test_fullio__short_calls_add_up);
    RUN(test_fullio__says_how_far_it_came);
    RUN(test_file__truncate_cuts_and_extends);
    RUN(test_file__allocate_keeps_the_size_or_not);
    RUN(test_file__wrong_kinds_are_bad_descriptors);
    RUN(test_file__limits_are_errors_and_lose_nothing);
    RUN(test_file__full_device_says_so);
    RUN(test_status__errno_table);
})
