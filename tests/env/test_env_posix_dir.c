/* test_env_posix_dir.c - directories, names and locks of the POSIX Env. */
#include "env/env_posix.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct listing {
    unsigned seen; /* bit i: the name 'a' + i */
    int count;
    int stop_after; /* 0: never */
};

static bool on_name(void *arg, const char *name)
{
    struct listing *l = arg;
    l->count++;
    if (name[0] >= 'a' && name[0] <= 'z' && name[1] == '\0') {
        l->seen |= 1u << (name[0] - 'a');
    }
    return l->count != l->stop_after;
}

static void test_dir__makes_and_lists(void)
{
    struct tmpdir t;
    struct listing l = {0};
    tmpdir_make(&t);
    EXPECT(env_dir_make(t.env, "d") == ST_OK);
    EXPECT(env_dir_make(t.env, "d") == ST_EXIST);
    EXPECT(env_dir_make(t.env, "x/y") == ST_NOENT);
    EXPECT(env_dir_list(t.env, "d", on_name, &l) == ST_OK);
    EXPECT(l.count == 0); /* neither . nor .. */
    tmpdir_write(&t, "d/a", "", 0);
    tmpdir_write(&t, "d/b", "", 0);
    EXPECT(env_dir_make(t.env, "d/c") == ST_OK);
    EXPECT(env_dir_list(t.env, "d", on_name, &l) == ST_OK);
    EXPECT(l.count == 3);
    EXPECT(l.seen == 7);
    l = (struct listing){.stop_after = 2};
    EXPECT(env_dir_list(t.env, "d", on_name, &l) == ST_OK);
    EXPECT(l.count == 2);
    EXPECT(env_dir_list(t.env, "none", on_name, &l) == ST_NOENT);
    EXPECT(env_dir_list(t.env, "d/a", on_name, &l) == ST_NOTDIR);
    EXPECT(env_dir_make(t.env, "d/a/b") == ST_NOTDIR);
    EXPECT(env_dir_sync(t.env, "d") == ST_OK);
    EXPECT(env_dir_sync(t.env, "none") == ST_NOENT);
    EXPECT(env_dir_sync(t.env, "d/a") == ST_NOTDIR);
    tmpdir_remove(&t);
}

static void test_path__stat_tells_kind_size_links(void)
{
    struct tmpdir t;
    struct env_stat st;
    tmpdir_make(&t);
    tmpdir_write(&t, "f", "12345", 5);
    EXPECT(env_path_stat(t.env, "f", &st) == ST_OK);
    EXPECT(st.kind == ENV_KIND_FILE);
    EXPECT(st.size == 5);
    EXPECT(st.links == 1);
    EXPECT(env_path_link(t.env, "f", "g") == ST_OK);
    EXPECT(env_path_stat(t.env, "g", &st) == ST_OK);
    EXPECT(st.links == 2);
    EXPECT(env_path_stat(t.env, ".", &st) == ST_OK);
    EXPECT(st.kind == ENV_KIND_DIR);
    EXPECT(env_path_stat(t.env, "/dev/null", &st) == ST_OK);
    EXPECT(st.kind == ENV_KIND_OTHER);
    EXPECT(env_path_stat(t.env, "none", &st) == ST_NOENT);
    EXPECT(env_path_stat(t.env, "f/x", &st) == ST_NOTDIR);
    tmpdir_remove(&t);
}

static void test_path__rename_replaces(void)
{
    struct tmpdir t;
    struct env_stat st;
    tmpdir_make(&t);
    tmpdir_write(&t, "a", "1", 1);
    tmpdir_write(&t, "b", "22", 2);
    EXPECT(env_dir_make(t.env, "d") == ST_OK);
    EXPECT(env_dir_make(t.env, "e") == ST_OK);
    tmpdir_write(&t, "e/x", "", 0);
    EXPECT(env_path_rename(t.env, "a", "b") == ST_OK);
    EXPECT(env_path_stat(t.env, "a", &st) == ST_NOENT);
    EXPECT(env_path_stat(t.env, "b", &st) == ST_OK);
    EXPECT(st.size == 1);
    EXPECT(env_path_rename(t.env, "a", "b") == ST_NOENT);
    EXPECT(env_path_rename(t.env, "b", "d") == ST_ISDIR);
    EXPECT(env_path_rename(t.env, "d", "b") == ST_NOTDIR);
    EXPECT(env_path_rename(t.env, "d", "e") == ST_NOTEMPTY);
    EXPECT(env_path_rename(t.env, "e", "d") == ST_OK); /* over an empty directory */
    EXPECT(env_path_rename(t.env, "d", "d/sub") == ST_INVAL);
    tmpdir_remove(&t);
}

static void test_path__links_and_removes(void)
{
    struct tmpdir t;
    struct env_stat st;
    tmpdir_make(&t);
    tmpdir_write(&t, "a", "1", 1);
    EXPECT(env_path_link(t.env, "a", "a") == ST_EXIST);
    EXPECT(env_path_link(t.env, "none", "b") == ST_NOENT);
    EXPECT(env_path_link(t.env, "a", "b") == ST_OK);
    EXPECT(env_path_remove(t.env, "a") == ST_OK);
    EXPECT(env_path_remove(t.env, "a") == ST_NOENT);
    EXPECT(env_path_stat(t.env, "b", &st) == ST_OK); /* the other name keeps the file */
    EXPECT(st.size == 1);
    EXPECT(st.links == 1);
    EXPECT(env_dir_make(t.env, "d") == ST_OK);
    tmpdir_write(&t, "d/x", "", 0);
    EXPECT(env_path_remove(t.env, "d") == ST_NOTEMPTY);
    EXPECT(env_path_remove(t.env, "d/x") == ST_OK);
    EXPECT(env_path_remove(t.env, "d") == ST_OK);
    EXPECT(env_path_link(t.env, ".", "dirlink") == ST_ACCESS);
    tmpdir_remove(&t);
}

static void test_path__across_file_systems_is_refused(void)
{
    struct tmpdir t;
    struct stat here, there;
    tmpdir_make(&t);
    tmpdir_write(&t, "a", "1", 1);
    bool two = stat(t.path, &here) == 0 && stat("/dev/shm", &there) == 0;
    if (!two || here.st_dev == there.st_dev) {
        SKIP("there is no second file system here");
    } else {
        EXPECT(env_path_rename(t.env, "a", "/dev/shm/tinykv-test-none") == ST_XDEV);
        EXPECT(env_path_link(t.env, "a", "/dev/shm/tinykv-test-none") == ST_XDEV);
    }
    tmpdir_remove(&t);
}

static void test_path__too_long_is_said_everywhere(void)
{
    struct tmpdir t;
    struct env_stat st;
    struct listing l = {0};
    char p[ENV_PATH_MAX + 1];
    int fd;
    uint64_t bytes;
    tmpdir_make(&t);
    for (size_t i = 0; i < ENV_PATH_MAX; i += 2) {
        memcpy(p + i, "a/", 2);
    }
    p[ENV_PATH_MAX] = '\0';
    EXPECT(env_dir_make(t.env, p) == ST_NAMETOOLONG);
    EXPECT(env_dir_list(t.env, p, on_name, &l) == ST_NAMETOOLONG);
    EXPECT(env_dir_sync(t.env, p) == ST_NAMETOOLONG);
    EXPECT(env_path_stat(t.env, p, &st) == ST_NAMETOOLONG);
    EXPECT(env_path_rename(t.env, "a", p) == ST_NAMETOOLONG);
    EXPECT(env_path_rename(t.env, p, "a") == ST_NAMETOOLONG);
    EXPECT(env_path_link(t.env, "a", p) == ST_NAMETOOLONG);
    EXPECT(env_path_link(t.env, p, "a") == ST_NAMETOOLONG);
    EXPECT(env_path_remove(t.env, p) == ST_NAMETOOLONG);
    EXPECT(env_path_lock(t.env, p, &fd) == ST_NAMETOOLONG);
    EXPECT(env_path_free_space(t.env, p, &bytes) == ST_NAMETOOLONG);
    p[ENV_PATH_MAX - 1] = '\0'; /* with its NUL this is the longest that goes */
    EXPECT(env_path_stat(t.env, p, &st) == ST_NOENT);
    tmpdir_remove(&t);
}

static void test_lock__is_exclusive_in_this_process_too(void)
{
    struct tmpdir t;
    struct env_stat st;
    int a = -1, b = -1;
    tmpdir_make(&t);
    EXPECT(env_path_lock(t.env, "LOCK", &a) == ST_OK);
    EXPECT(env_path_stat(t.env, "LOCK", &st) == ST_OK);
    EXPECT(env_path_lock(t.env, "LOCK", &b) == ST_BUSY);
    EXPECT(b == -1);
    /* closing another descriptor of the file drops nothing */
    EXPECT(env_file_open(t.env, "LOCK", ENV_READ, &b) == ST_OK);
    EXPECT(env_fd_close(t.env, b) == ST_OK);
    EXPECT(env_path_lock(t.env, "LOCK", &b) == ST_BUSY);
    EXPECT(env_fd_close(t.env, a) == ST_OK);
    EXPECT(env_path_lock(t.env, "LOCK", &b) == ST_OK);
    EXPECT(env_fd_close(t.env, b) == ST_OK);
    EXPECT(env_path_lock(t.env, ".", &b) == ST_ISDIR);
    EXPECT(env_path_lock(t.env, "none/LOCK", &b) == ST_NOENT);
    tmpdir_remove(&t);
}

/* A process that is killed lets go of its lock. */
static void test_lock__dies_with_its_process(void)
{
    struct tmpdir t;
    int ready[2], hold[2], fd = -1, status = 0;
    char c = 0;
    tmpdir_make(&t);
    EXPECT(pipe(ready) == 0);
    EXPECT(pipe(hold) == 0);
    pid_t child = fork();
    if (child == 0) {
        bool ok = env_path_lock(t.env, "LOCK", &fd) == ST_OK;
        bool told = ok && write(ready[1], "r", 1) == 1;
        (void)close(hold[1]);
        (void)(told && read(hold[0], &c, 1)); /* until the parent has seen it */
        _exit(0);                             /* without closing */
    }
    EXPECT(read(ready[0], &c, 1) == 1);
    EXPECT(env_path_lock(t.env, "LOCK", &fd) == ST_BUSY);
    (void)close(hold[1]);
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT(env_path_lock(t.env, "LOCK", &fd) == ST_OK);
    EXPECT(env_fd_close(t.env, fd) == ST_OK);
    (void)close(hold[0]);
    (void)close(ready[0]);
    (void)close(ready[1]);
    tmpdir_remove(&t);
}

static void test_path__free_space_is_told(void)
{
    struct tmpdir t;
    uint64_t bytes = 0;
    tmpdir_make(&t);
    EXPECT(env_path_free_space(t.env, ".", &bytes) == ST_OK);
    EXPECT(bytes > 0);
    EXPECT(env_path_free_space(t.env, "none", &bytes) == ST_NOENT);
    tmpdir_remove(&t);
}

/* The root of an Env: relative paths start there, absolute ones do not. */
static void test_env_posix__root_must_be_a_directory(void)
{
    struct tmpdir t;
    struct env *e = NULL;
    struct env_stat st;
    char path[300];
    tmpdir_make(&t);
    tmpdir_write(&t, "f", "", 0);
    (void)snprintf(path, sizeof path, "%s/f", t.path);
    struct env_posix_options o = {.root = path};
    EXPECT(env_posix_new(&o, &e) == ST_NOTDIR);
    o.root = "/nonexistent/x";
    EXPECT(env_posix_new(&o, &e) == ST_NOENT);
    EXPECT(e == NULL);
    EXPECT(env_path_stat(t.env, path, &st) == ST_OK);
    EXPECT(env_posix_new(NULL, &e) == ST_OK);
    EXPECT(env_path_stat(e, path, &st) == ST_OK);
    env_posix_free(e);
    env_posix_free(NULL);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(test_dir__makes_and_lists);
    RUN(test_path__stat_tells_kind_size_links);
    RUN(test_path__rename_replaces);
    RUN(test_path__links_and_removes);
    RUN(test_path__across_file_systems_is_refused);
    RUN(test_path__too_long_is_said_everywhere);
    RUN(test_lock__is_exclusive_in_this_process_too);
    RUN(test_lock__dies_with_its_process);
    RUN(test_path__free_space_is_told);
    RUN(test_env_posix__root_must_be_a_directory);
})
