/* test_env_posix_tail.c - a file opened with ENV_GROWS: whatever way its bytes take, they are
 * there. */
#define _GNU_SOURCE
#include "base/prng.h"
#include "env/env_posix.h"
#include "env/fullio.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROWS (ENV_WRITE | ENV_CREATE | ENV_EXCLUSIVE | ENV_GROWS)
#define SIZE  ((size_t)6 << 20) /* some windows long */

/* What a file should hold. */
struct model {
    char *bytes;
    size_t size;
};

static char byte_at(size_t i)
{
    return (char)(1 + (i * 2654435761u >> 7) % 250); /* never 0 */
}

static struct model model_new(void)
{
    struct model m = {calloc(1, SIZE), 0};
    for (size_t i = 0; i < SIZE; i++) {
        m.bytes[i] = byte_at(i);
    }
    return m;
}

/* Writes the next n bytes. */
static bool grow(struct env *e, int fd, struct model *m, size_t n)
{
    size_t put = 0;
    if (fullio_pwrite(e, fd, m->bytes + m->size, n, m->size, &put) != ST_OK || put != n) {
        return false;
    }
    m->size += n;
    return true;
}

/* It holds what was written, and behind that nothing but zeros. */
static bool holds(struct env *e, const char *path, const struct model *m)
{
    int fd;
    size_t got = 0;
    char *bytes = calloc(1, SIZE * 2);
    bool good = env_file_open(e, path, ENV_READ, &fd) == ST_OK &&
                fullio_pread(e, fd, bytes, SIZE * 2, 0, &got) == ST_OK &&
                env_fd_close(e, fd) == ST_OK && got >= m->size &&
                memcmp(bytes, m->bytes, m->size) == 0;
    for (size_t i = m->size; good && i < got; i++) {
        good = bytes[i] == 0;
    }
    free(bytes);
    return good;
}

static void test_tail__bytes_are_there_whatever_way_they_take(void)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct tmpdir t;
        struct prng r = {.state = seed};
        struct model m = model_new();
        int fd;
        tmpdir_make(&t);
        EXPECT(env_file_open(t.env, "f", GROWS, &fd) == ST_OK);
        uint64_t large = seed % 2 == 0 ? 500 : 20; /* one in so many is */
        uint64_t sync = seed < 3 ? 3000 : 90;
        bool good = true;
        while (good && m.size + 20000 < SIZE) {
            size_t n = 1 + (size_t)prng_below(&r, prng_below(&r, large) == 0 ? 20000 : 900);
            good = grow(t.env, fd, &m, n);
            if (good && prng_below(&r, sync) == 0) {
                good = env_file_datasync(t.env, fd) == ST_OK && holds(t.env, "f", &m);
            }
            if (good && prng_below(&r, 400) == 0) { /* something else than what comes next */
                size_t at = (size_t)prng_below(&r, m.size);
                size_t put;
                m.bytes[at] = 'x';
                good = env_file_pwrite(t.env, fd, "x", 1, at, &put) == ST_OK && put == 1;
            }
        }
        EXPECT(good);
        EXPECT(holds(t.env, "f", &m));
        EXPECT(env_file_sync(t.env, fd) == ST_OK);
        EXPECT(env_fd_close(t.env, fd) == ST_OK);
        EXPECT(holds(t.env, "f", &m));
        free(m.bytes);
        tmpdir_remove(&t);
    }
}

/* What a call has returned for is not the process's any more. */
static void test_tail__a_killed_process_loses_nothing(void)
{
    struct tmpdir t;
    struct model m = model_new();
    tmpdir_make(&t);
    pid_t pid = fork();
    if (pid == 0) {
        int fd;
        bool good = env_file_open(t.env, "f", GROWS, &fd) == ST_OK;
        for (int i = 0; good && i < 30000; i++) {
            good = grow(t.env, fd, &m, 150);
        }
        (void)raise(good ? SIGKILL : SIGTERM);
    }
    int how = 0;
    EXPECT(waitpid(pid, &how, 0) == pid);
    EXPECT(WIFSIGNALED(how));
    EXPECT(WTERMSIG(how) == SIGKILL);
    m.size = (size_t)30000 * 150;
    EXPECT(holds(t.env, "f", &m));
    free(m.bytes);
    tmpdir_remove(&t);
}

/* Where there is no room for a window there may be some for a write; and its error is told. */
static void test_tail__no_room_is_an_error_and_no_signal(void)
{
    struct tmpdir t;
    struct model m = model_new();
    struct rlimit old, small;
    int fd;
    tmpdir_make(&t);
    EXPECT(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    EXPECT(getrlimit(RLIMIT_FSIZE, &old) == 0);
    EXPECT(env_file_open(t.env, "f", GROWS, &fd) == ST_OK);
    small = (struct rlimit){((rlim_t)3 << 19) + 77, old.rlim_max}; /* a window and a half */
    EXPECT(setrlimit(RLIMIT_FSIZE, &small) == 0);
    while (grow(t.env, fd, &m, 100)) {
    }
    EXPECT(m.size == small.rlim_cur / 100 * 100);
    size_t put = 9;
    EXPECT(env_file_pwrite(t.env, fd, m.bytes + m.size, 100, m.size, &put) == ST_OK);
    EXPECT(put == small.rlim_cur - m.size); /* as much as goes */
    m.size += put;
    EXPECT(env_file_pwrite(t.env, fd, m.bytes + m.size, 100, m.size, &put) == ST_TOOBIG);
    EXPECT(setrlimit(RLIMIT_FSIZE, &old) == 0);
    EXPECT(grow(t.env, fd, &m, 100));
    EXPECT(holds(t.env, "f", &m));
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    free(m.bytes);
    tmpdir_remove(&t);
}

/* A number is used again for another file, which knows nothing of the one before. */
static void test_tail__the_next_file_of_a_descriptor_is_another(void)
{
    struct tmpdir t;
    int fd[2];
    tmpdir_make(&t);
    const char *names[2] = {"f", "g"};
    for (int i = 0; i < 2; i++) {
        struct model m = model_new();
        EXPECT(env_file_open(t.env, names[i], i == 0 ? GROWS : GROWS & ~ENV_GROWS, &fd[i]) ==
               ST_OK);
        for (int k = 0; k < 300; k++) {
            EXPECT(grow(t.env, fd[i], &m, 33));
        }
        EXPECT(holds(t.env, names[i], &m));
        uint64_t size = 0;
        EXPECT(env_file_size(t.env, fd[i], &size) == ST_OK);
        EXPECT(i == 0 ? size >= m.size : size == m.size);
        EXPECT(env_fd_close(t.env, fd[i]) == ST_OK);
        free(m.bytes);
    }
    EXPECT(fd[0] == fd[1]);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(test_tail__bytes_are_there_whatever_way_they_take);
    RUN(test_tail__a_killed_process_loses_nothing);
    RUN(test_tail__no_room_is_an_error_and_no_signal);
    RUN(test_tail__the_next_file_of_a_descriptor_is_another);
})
