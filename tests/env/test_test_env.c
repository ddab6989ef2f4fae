/* test_test_env.c - the Env that tests lay over others does what its header says. */
#include "tests/test_env.h"

#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

static void test_test_env__refuses_the_nth_allocation(void)
{
    struct inject te;
    test_env_init(&te, NULL);
    te.fail_at = 1;
    void *a = env_alloc(&te.env, 8);
    EXPECT(a != NULL);
    EXPECT(env_alloc(&te.env, 8) == NULL);
    EXPECT(te.live == 1);
    void *b = env_resize(&te.env, NULL, 8);
    EXPECT(b != NULL);
    EXPECT(te.live == 2);
    b = env_resize(&te.env, b, 100);
    EXPECT(te.live == 2);
    EXPECT(te.allocs == 4);
    te.fail_at = 4;
    te.fail_rest = true;
    EXPECT(env_resize(&te.env, b, 200) == NULL); /* and b stays */
    EXPECT(env_alloc(&te.env, 1) == NULL);
    env_release(&te.env, a);
    env_release(&te.env, b);
    env_release(&te.env, NULL);
    EXPECT(te.live == 0);
}

static void test_test_env__counts_descriptors(void)
{
    struct tmpdir t;
    struct inject te;
    struct env_addr any = {.family = 4, .ip = {127, 0, 0, 1}};
    int fds[4];
    tmpdir_make(&t);
    test_env_init(&te, t.env);
    EXPECT(env_file_open(&te.env, "f", ENV_WRITE | ENV_CREATE, &fds[0]) == ST_OK);
    EXPECT(env_path_lock(&te.env, "l", &fds[1]) == ST_OK);
    EXPECT(env_poller_open(&te.env, &fds[2]) == ST_OK);
    EXPECT(env_sock_listen(&te.env, &any, 1, &fds[3]) == ST_OK);
    EXPECT(env_file_open(&te.env, "none", ENV_READ, &fds[0]) == ST_NOENT);
    EXPECT(te.descriptors == 4);
    for (int i = 0; i < 4; i++) {
        EXPECT(env_fd_close(&te.env, fds[i]) == ST_OK);
    }
    EXPECT(env_fd_close(&te.env, fds[0]) == ST_BADFD);
    EXPECT(te.descriptors == 0);
    tmpdir_remove(&t);
}

static void test_test_env__cuts_io(void)
{
    struct tmpdir t;
    struct inject te;
    struct env_slice parts[3] = {{"", 0}, {"abcdef", 6}, {"g", 1}};
    char b[8];
    size_t n = 0;
    int fd;
    tmpdir_make(&t);
    test_env_init(&te, t.env);
    te.io_max = 4;
    EXPECT(env_file_open(&te.env, "f", ENV_READ | ENV_WRITE | ENV_CREATE, &fd) == ST_OK);
    EXPECT(env_file_append(&te.env, fd, parts, 3, &n) == ST_OK);
    EXPECT(n == 4);
    EXPECT(env_file_pwrite(&te.env, fd, "123456", 6, 4, &n) == ST_OK);
    EXPECT(n == 4);
    EXPECT(env_file_pread(&te.env, fd, b, 8, 0, &n) == ST_OK);
    EXPECT(n == 4);
    EXPECT(memcmp(b, "abcd", 4) == 0);
    te.io_max = 0;
    EXPECT(env_file_pread(&te.env, fd, b, 8, 0, &n) == ST_OK);
    EXPECT(n == 8);
    EXPECT(memcmp(b, "abcd1234", 8) == 0);
    EXPECT(env_fd_close(&te.env, fd) == ST_OK);
    tmpdir_remove(&t);
}

/* Nothing is left out: a call that the table lacks would be a jump to NULL in somebody's test. */
static void test_test_env__passes_every_call_on(void)
{
    struct tmpdir t;
    struct inject te;
    tmpdir_make(&t);
    test_env_init(&te, t.env);
    void *const *mine = (void *const *)(const void *)&te.vt;
    void *const *below = (void *const *)(const void *)t.env->vt;
    for (size_t i = 0; i < sizeof te.vt / sizeof *mine; i++) {
        EXPECT((mine[i] != NULL) == (below[i] != NULL));
        EXPECT(mine[i] == NULL || mine[i] != below[i]);
    }
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(test_test_env__refuses_the_nth_allocation);
    RUN(test_test_env__counts_descriptors);
    RUN(test_test_env__cuts_io);
    RUN(test_test_env__passes_every_call_on);
})
