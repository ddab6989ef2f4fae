/* test_inject.c - the Env that makes calls of another fail: by number, by kind, by name. */
#include "fault/inject.h"

#include "fault/namepat.h"
#include "sim/simmem.h"
#include "tests/sim/simtest.h"
#include "tests/tap.h"

/* Each test is a program in a small world, so that there is an Env below and nothing on disk. */
static void in_world(proc_main_fn *main)
{
    struct simtest t;
    simtest_open(&t, 1);
    struct proc *p = simtest_start(&t, t.host, "app", main, NULL);
    EXPECT(simtest_run(&t) && p->exit_code == 0);
    simtest_close(&t);
}

#define RW (ENV_READ | ENV_WRITE | ENV_CREATE)

static void rule(struct inject *in, struct inject_rule *r, unsigned calls, const char *name,
                 long at)
{
    inject_rule_init(r);
    r->calls = calls;
    r->name = name;
    r->at = at;
    inject_add(in, r);
}

static void test_inject__names_are_matched_with_one_star(void)
{
    EXPECT(namepat_matches("*.log", "000001.log", 10) && !namepat_matches("*.log", "a.logs", 6));
    EXPECT(namepat_matches("MANIFEST-*", "MANIFEST-1", 10) && namepat_matches("*", "", 0));
    EXPECT(!namepat_matches("MANIFEST-*", "MANIFEST", 8) && namepat_matches("a*a", "aa", 2));
    EXPECT(!namepat_matches("a*a", "a", 1) && namepat_matches("CURRENT", "CURRENT", 7));
    EXPECT(!namepat_matches("CURRENT", "CURRENT.tmp", 11) && namepat_matches("x*y", "xxyy", 4));
    EXPECT(strcmp(namepat_base("a/b/c"), "c") == 0 && strcmp(namepat_base("c"), "c") == 0);
}

static void test_inject__memory_alone_refuses_and_counts(void)
{
    struct inject in;
    inject_init_mem(&in, simmem());
    in.fail_at = 1;
    void *a = mem_alloc(&in.env.mem, 8);
    EXPECT(a != NULL && mem_alloc(&in.env.mem, 8) == NULL && in.live == 1);
    a = mem_resize(&in.env.mem, a, 16);
    EXPECT(a != NULL && in.live == 1 && in.allocs == 3);
    in.fail_at = 3;
    in.fail_rest = true;
    EXPECT(mem_resize(&in.env.mem, a, 32) == NULL && mem_alloc(&in.env.mem, 1) == NULL);
    mem_release(&in.env.mem, a);
    mem_release(&in.env.mem, NULL);
    EXPECT(in.live == 0);
    inject_release(&in);
}

/* Opens, writes, syncs and reads two files; the status of the first call that fails. */
static enum status script(struct env *env)
{
    static const char *const names[] = {"d/1.log", "d/2.sst"};
    struct env_slice part = {"abcdefgh", 8};
    enum status st = env_dir_make(env, "d");
    st = st == ST_EXIST ? ST_OK : st;
    for (int i = 0; i < 2 && st == ST_OK; i++) {
        char got[8];
        size_t n = 0;
        int fd;
        st = env_file_open(env, names[i], RW, &fd);
        if (st != ST_OK) {
            return st;
        }
        st = env_file_append(env, fd, &part, 1, &n);
        st = st == ST_OK ? env_file_pwrite(env, fd, "x", 1, 0, &n) : st;
        st = st == ST_OK ? env_file_datasync(env, fd) : st;
        st = st == ST_OK ? env_file_pread(env, fd, got, 8, 0, &n) : st;
        enum status closed = env_fd_close(env, fd);
        st = st == ST_OK ? closed : st;
    }
    return st;
}

/* Every call fails once, and a rule counts what it matches. */
static int each_main(struct env *env, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    for (long n = 0; n < 20; n++) {
        struct inject in;
        struct inject_rule r;
        inject_init(&in, env);
        rule(&in, &r, INJECT_ANY, NULL, n);
        enum status st = script(&in.env);
        EXPECT(st == (n < 11 ? ST_IO : ST_OK)); /* a directory; and five calls for each file */
        EXPECT(r.struck == (n < 11) && r.seen == (n < 11 ? n + 1 : 11));
        EXPECT(in.descriptors == 0 && in.live == 0);
        inject_release(&in);
    }
    return 0;
}

static void test_inject__each_call_fails_once(void)
{
    in_world(each_main);
}

static int kinds_main(struct env *env, int argc, char **argv)
{
    struct inject in;
    struct inject_rule writes;
    struct inject_rule syncs;
    struct inject_rule all;
    (void)argc;
    (void)argv;
    inject_init(&in, env);
    rule(&in, &writes, INJECT_WRITE, NULL, -1);
    rule(&in, &syncs, INJECT_SYNC, "*.sst", 0);
    rule(&in, &all, INJECT_ANY, "*.log", -1);
    syncs.with = ST_NOSPC;
    EXPECT(script(&in.env) == ST_NOSPC);
    EXPECT(writes.seen == 4 && syncs.seen == 1 && all.seen == 5);
    EXPECT(syncs.struck == 1 && writes.struck == 0 && in.synced_after_failure == 0);
    EXPECT(script(&in.env) == ST_OK); /* by itself */
    syncs.rest = true;
    EXPECT(script(&in.env) == ST_NOSPC && script(&in.env) == ST_NOSPC);
    syncs.rest = false;
    all.every = 2;
    EXPECT(script(&in.env) == ST_IO);
    writes.every = 1;
    writes.with = ST_NOSPC;
    all.every = 1;
    all.calls = INJECT_WRITE;
    EXPECT(script(&in.env) == ST_NOSPC); /* both strike: the first decides */
    inject_release(&in);
    return 0;
}

static void test_inject__rules_go_by_kind_and_name(void)
{
    in_world(kinds_main);
}

static int short_main(struct env *env, int argc, char **argv)
{
    struct inject in;
    struct inject_rule r;
    struct env_slice parts[2] = {{"abcdef", 6}, {"gh", 2}};
    char got[8];
    size_t n = 0;
    int fd;
    (void)argc;
    (void)argv;
    inject_init(&in, env);
    rule(&in, &r, INJECT_WRITE | INJECT_READ, "f", 0);
    r.how = INJECT_SHORT;
    EXPECT(env_file_open(&in.env, "f", RW, &fd) == ST_OK);
    EXPECT(env_file_append(&in.env, fd, parts, 2, &n) == ST_OK && n == 3);
    EXPECT(env_file_append(&in.env, fd, parts, 2, &n) == ST_OK && n == 8);
    r.at = 2;
    EXPECT(env_file_pread(&in.env, fd, got, 8, 0, &n) == ST_OK && n == 4);
    EXPECT(memcmp(got, "abca", 4) == 0);
    r.at = 3;
    r.how = INJECT_TEAR;
    EXPECT(env_file_pwrite(&in.env, fd, "XXXX", 4, 0, &n) == ST_OK && n == 2);
    EXPECT(env_file_pwrite(&in.env, fd, "XX", 2, 2, &n) == ST_IO); /* and then it is told */
    EXPECT(env_file_pwrite(&in.env, fd, "Y", 1, 2, &n) == ST_OK);
    r.at = 6;
    EXPECT(env_file_pread(&in.env, fd, got, 8, 0, &n) == ST_IO); /* reads do not tear */
    in.io_max = 3;
    EXPECT(env_file_pread(&in.env, fd, got, 8, 0, &n) == ST_OK && n == 3);
    EXPECT(memcmp(got, "XXY", 3) == 0);
    EXPECT(env_file_append(&in.env, fd, parts, 2, &n) == ST_OK && n == 3);
    EXPECT(env_fd_close(&in.env, fd) == ST_OK && in.descriptors == 0);
    inject_release(&in);
    return 0;
}

static void test_inject__reads_and_writes_may_be_short(void)
{
    in_world(short_main);
}

static int sync_main(struct env *env, int argc, char **argv)
{
    struct inject in;
    struct inject_rule r;
    int fd;
    (void)argc;
    (void)argv;
    inject_init(&in, env);
    rule(&in, &r, INJECT_SYNC, NULL, 0);
    EXPECT(env_file_open(&in.env, "f", RW, &fd) == ST_OK);
    EXPECT(env_file_sync(&in.env, fd) == ST_IO && in.synced_after_failure == 0);
    EXPECT(env_file_sync(&in.env, fd) == ST_OK && in.synced_after_failure == 1);
    EXPECT(env_fd_close(&in.env, fd) == ST_OK);
    EXPECT(env_file_open(&in.env, "g", RW, &fd) == ST_OK); /* the same number, another file */
    EXPECT(env_file_sync(&in.env, fd) == ST_OK && in.synced_after_failure == 1);
    EXPECT(env_fd_close(&in.env, fd) == ST_OK);
    inject_release(&in);
    return 0;
}

static void test_inject__syncs_after_a_failed_one_are_counted(void)
{
    in_world(sync_main);
}

static int names_main(struct env *env, int argc, char **argv)
{
    struct inject in;
    struct inject_rule r;
    struct env_stat st;
    (void)argc;
    (void)argv;
    inject_init(&in, env);
    rule(&in, &r, INJECT_RENAME | INJECT_LINK | INJECT_REMOVE | INJECT_LOCK, "CURRENT", -1);
    int fd;
    EXPECT(env_file_open(&in.env, "a", RW, &fd) == ST_OK && env_fd_close(&in.env, fd) == ST_OK);
    r.at = 0;
    r.rest = true;
    EXPECT(env_path_rename(&in.env, "a", "CURRENT") == ST_IO);
    EXPECT(env_path_rename(&in.env, "a", "b") == ST_OK &&
           env_path_link(&in.env, "b", "c") == ST_OK);
    EXPECT(env_path_link(&in.env, "CURRENT", "d") == ST_IO);
    EXPECT(env_path_remove(&in.env, "CURRENT") == ST_IO && r.seen == 3);
    EXPECT(env_path_lock(&in.env, "CURRENT", &fd) == ST_IO && in.descriptors == 0);
    EXPECT(env_path_stat(&in.env, "b", &st) == ST_OK);
    inject_release(&in);
    return 0;
}

static void test_inject__a_rename_goes_by_either_name(void)
{
    in_world(names_main);
}

/* Under a rule with a name an open needs memory of its own; refused, it leaves nothing behind. */
static int refused_main(struct env *env, int argc, char **argv)
{
    struct inject below;
    struct inject in;
    struct inject_rule r;
    int fd;
    (void)argc;
    (void)argv;
    for (long n = 0; n < 2; n++) {
        inject_init(&below, env);
        inject_init(&in, &below.env);
        rule(&in, &r, INJECT_READ, "x", 0);
        below.fail_at = n;
        EXPECT(env_file_open(&in.env, "f", RW, &fd) == ST_NOMEM);
        EXPECT(in.descriptors == 0 && below.descriptors == 0);
        EXPECT(env_file_open(&in.env, "f", RW, &fd) == ST_OK);
        EXPECT(env_fd_close(&in.env, fd) == ST_OK);
        inject_release(&in);
        EXPECT(below.live == 0);
        inject_release(&below);
    }
    return 0;
}

static void test_inject__an_open_that_cannot_be_named_leaves_nothing(void)
{
    in_world(refused_main);
}

TAP_MAIN({
    RUN(test_inject__names_are_matched_with_one_star);
    RUN(test_inject__memory_alone_refuses_and_counts);
    RUN(test_inject__each_call_fails_once);
    RUN(test_inject__rules_go_by_kind_and_name);
    RUN(test_inject__reads_and_writes_may_be_short);
    RUN(test_inject__syncs_after_a_failed_one_are_counted);
    RUN(test_inject__a_rename_goes_by_either_name);
    RUN(test_inject__an_open_that_cannot_be_named_leaves_nothing);
})
