/* test_simmedia.c - media faults of a plan in a running world, and the two monitors of the
 * simulated files: no write after a failed sync, no use of bytes that a short read did not give. */
#include "sim/simmedia.h"

#include "tests/sim/simtest.h"
#include "tests/tap.h"

#include <string.h>

#define FILES 3
#define ROUND 40

static const char *const names[FILES] = {"data/1.log", "data/2.sst", "data/CURRENT"};

/* What the program met. */
struct met {
    unsigned failed; /* calls */
    unsigned wrong;  /* reads */
};

static void write_all(struct env *env, int fd, const char *bytes, size_t size, struct met *met)
{
    size_t done = 0;
    while (done < size) {
        size_t put = 0;
        enum status st = env_file_pwrite(env, fd, bytes + done, size - done, done, &put);
        met->failed += st != ST_OK;
        if (st != ST_OK) {
            return;
        }
        done += put;
    }
    enum status st = env_file_sync(env, fd);
    met->failed += st != ST_OK;
}

static void read_all(struct env *env, int fd, const char *want, size_t size, struct met *met)
{
    char got[6000];
    size_t done = 0;
    memset(got, 0, sizeof got);
    while (done < size) {
        size_t n = 0;
        enum status st = env_file_pread(env, fd, got + done, size - done, done, &n);
        if (st != ST_OK || n == 0) {
            met->failed++;
            return;
        }
        done += n;
    }
    met->wrong += memcmp(got, want, size) != 0;
}

/* Rewrites and reads each file again and again. */
static int busy_main(struct env *env, int argc, char **argv)
{
    struct met *met = proc_of(env)->user;
    char bytes[6000];
    int fd[FILES];
    (void)argc;
    (void)argv;
    EXPECT(env_dir_make(env, "data") == ST_OK);
    for (int i = 0; i < FILES; i++) {
        EXPECT(env_file_open(env, names[i], ENV_READ | ENV_WRITE | ENV_CREATE, &fd[i]) == ST_OK);
    }
    for (int round = 0; round < ROUND; round++) {
        memset(bytes, 'a' + round % 20, sizeof bytes);
        for (int i = 0; i < FILES; i++) {
            size_t size = i == 2 ? 20 : sizeof bytes;
            write_all(env, fd[i], bytes, size, met);
            read_all(env, fd[i], bytes, size, met);
            read_all(env, fd[i], bytes, size, met);
        }
    }
    for (int i = 0; i < FILES; i++) {
        EXPECT(env_fd_close(env, fd[i]) == ST_OK);
    }
    return 0;
}

struct run {
    struct met met;
    uint64_t hash;
    uint64_t injected[PLAN_KNOBS];
    uint64_t strikes; /* of all kinds */
    uint64_t damage;
    uint64_t left;
    bool ok;
};

static void run(uint64_t seed, enum plan_knob knob, uint64_t ppm, uint64_t max, struct run *r)
{
    struct simtest t;
    memset(&t, 0, sizeof t);
    memset(r, 0, sizeof *r);
    plan_init(&t.plan, simmem(), seed);
    t.plan.value[PLAN_MEDIA_MAX] = max;
    t.plan.value[PLAN_MEDIA_EVICT] = 200000;
    t.plan.value[knob] = ppm;
    simtest_open_plan(&t);
    struct proc *p = simtest_start(&t, t.host, "busy", busy_main, &r->met);
    p->watched = true;
    t.world.faults = true;
    r->ok = simtest_run(&t);
    r->hash = t.world.trace.hash;
    memcpy(r->injected, t.world.injected, sizeof r->injected);
    for (int k = 0; k < PLAN_KNOBS; k++) {
        r->strikes += r->injected[k];
    }
    r->damage = simdisk_damage_met(t.host->disk);
    r->left = t.world.media_left;
    simtest_close(&t);
}

static void test_simmedia__each_fault_strikes_and_is_met(void)
{
    static const struct {
        enum plan_knob knob;
        bool fails; /* calls, or else reads are wrong */
    } rows[] = {{PLAN_MEDIA_ROT, false},      {PLAN_MEDIA_LSE, true},
                {PLAN_MEDIA_TRANSIENT, true}, {PLAN_MEDIA_MISREAD, false},
                {PLAN_MEDIA_LOST, false},     {PLAN_MEDIA_MISDIRECT, false},
                {PLAN_MEDIA_STALE, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned met = 0;
        unsigned other = 0;
        uint64_t strikes = 0;
        for (uint64_t seed = 0; seed < 30; seed++) {
            struct run r;
            run(seed, rows[i].knob, 30000, 5, &r);
            EXPECT(r.ok && r.strikes == r.injected[rows[i].knob]);
            EXPECT(r.strikes <= 5 && r.left == 5 - r.strikes);
            EXPECT((r.met.failed + r.met.wrong > 0) == (r.damage > 0));
            met += rows[i].fails ? r.met.failed : r.met.wrong;
            other += rows[i].fails ? r.met.wrong : r.met.failed;
            strikes += r.strikes;
        }
        EXPECT(strikes > 60 && met > 5 && other == 0);
    }
}

static void test_simmedia__a_run_repeats_and_none_is_as_without(void)
{
    struct run with;
    struct run again;
    struct run without;
    struct run none;
    run(9, PLAN_MEDIA_ROT, 20000, 3, &with);
    run(9, PLAN_MEDIA_ROT, 20000, 3, &again);
    EXPECT(with.hash == again.hash && with.strikes > 0);
    run(9, PLAN_MEDIA_ROT, 0, 3, &without);
    run(9, PLAN_MEDIA_ROT, 20000, 0, &none);
    EXPECT(without.strikes == 0 && none.strikes == 0);
    EXPECT(without.hash == none.hash && without.hash != with.hash);
    EXPECT(without.met.failed == 0 && without.met.wrong == 0);
}

static void test_simmedia__no_default_plan_has_them(void)
{
    struct plan p;
    unsigned on = 0;
    for (uint64_t seed = 0; seed < 500; seed++) {
        plan_init(&p, simmem(), seed);
        plan_draw(&p);
        EXPECT(!simmedia_wanted(&p) && plan_get(&p, PLAN_RENAME_LIES) == 0);
        EXPECT(plan_get(&p, PLAN_MEDIA_MAX) == 3);
        plan_draw_one(&p, PLAN_MEDIA_LOST, 400000);
        EXPECT(plan_get(&p, PLAN_MEDIA_LOST) <= 30000);
        on += simmedia_wanted(&p);
        plan_release(&p);
    }
    EXPECT(on > 150 && on < 250);
}

/* ---- names ---- */

static int rename_main(struct env *env, int argc, char **argv)
{
    int fd;
    struct env_stat st;
    (void)argc;
    (void)argv;
    EXPECT(env_file_open(env, "a", ENV_WRITE | ENV_CREATE, &fd) == ST_OK);
    EXPECT(env_fd_close(env, fd) == ST_OK);
    EXPECT(env_path_rename(env, "a", "b") == ST_IO);
    EXPECT(env_path_stat(env, "a", &st) == ST_NOENT && env_path_stat(env, "b", &st) == ST_OK);
    return 0;
}

static void test_simmedia__a_rename_may_lie(void)
{
    struct simtest t;
    memset(&t, 0, sizeof t);
    plan_init(&t.plan, simmem(), 1);
    t.plan.value[PLAN_RENAME_LIES] = 1000000;
    simtest_open_plan(&t);
    struct proc *p = simtest_start(&t, t.host, "mv", rename_main, NULL);
    p->watched = true;
    t.world.faults = true;
    EXPECT(simtest_run(&t) && t.world.injected[PLAN_RENAME_LIES] == 1);
    simtest_close(&t);
}

/* ---- monitors ---- */

/* Writes on after its sync failed; with "cut" only after it has cut the file to nothing. */
static int stubborn_main(struct env *env, int argc, char **argv)
{
    const char *how = proc_of(env)->user;
    size_t put;
    int fd;
    (void)argc;
    (void)argv;
    EXPECT(env_file_open(env, "log", ENV_WRITE | ENV_CREATE, &fd) == ST_OK);
    EXPECT(env_file_pwrite(env, fd, "x", 1, 0, &put) == ST_OK);
    EXPECT(env_file_sync(env, fd) == ST_IO);
    if (how != NULL) {
        EXPECT(env_file_truncate(env, fd, 0) == ST_OK);
    }
    EXPECT(env_file_pwrite(env, fd, "y", 1, 0, &put) == ST_OK);
    EXPECT(env_fd_close(env, fd) == ST_OK);
    return 0;
}

static void test_simmedia__a_write_after_a_failed_sync_fails_the_world(void)
{
    static char cut[] = "cut";
    for (int i = 0; i < 2; i++) {
        struct simtest t;
        memset(&t, 0, sizeof t);
        plan_init(&t.plan, simmem(), 1);
        t.plan.value[PLAN_SYNC_EIO] = 1000000;
        simtest_open_plan(&t);
        struct proc *p = simtest_start(&t, t.host, "app", stubborn_main, i == 0 ? NULL : cut);
        p->watched = true;
        t.world.faults = true;
        EXPECT(simtest_run(&t) == (i == 1));
        EXPECT(i == 1 || strcmp(t.world.failure.class, "write after a failed sync") == 0);
        simtest_close(&t);
    }
}

static int trusting_main(struct env *env, int argc, char **argv)
{
    char buf[100];
    unsigned *spoilt = proc_of(env)->user;
    size_t n;
    int fd;
    (void)argc;
    (void)argv;
    memset(buf, 'x', sizeof buf);
    EXPECT(env_file_open(env, "f", ENV_READ | ENV_WRITE | ENV_CREATE, &fd) == ST_OK);
    EXPECT(env_file_pwrite(env, fd, buf, 50, 0, &n) == ST_OK);
    EXPECT(env_file_pread(env, fd, buf, 100, 0, &n) == ST_OK && n <= 50);
    for (size_t i = 0; i < 100; i++) {
        bool owed = i >= n && i < 50;
        *spoilt += owed;
        EXPECT((buf[i] == 'x') == !owed); /* past the end it is the caller's own */
    }
    EXPECT(env_fd_close(env, fd) == ST_OK);
    return 0;
}

static void test_simmedia__bytes_that_a_short_read_did_not_give_are_spoilt(void)
{
    unsigned spoilt = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct simtest t;
        memset(&t, 0, sizeof t);
        plan_init(&t.plan, simmem(), seed);
        t.plan.value[PLAN_SHORT_READ] = 1000000;
        simtest_open_plan(&t);
        struct proc *p = simtest_start(&t, t.host, "app", trusting_main, &spoilt);
        p->watched = true;
        t.world.faults = true;
        EXPECT(simtest_run(&t));
        simtest_close(&t);
    }
    EXPECT(spoilt > 0);
}

/* ---- another disk ---- */

static int count_main(struct env *env, int argc, char **argv)
{
    struct env_stat st;
    (void)argc;
    (void)argv;
    return env_path_stat(env, "kept", &st) == ST_OK ? 1 : 0;
}

static void test_simmedia__a_host_comes_back_with_another_disk(void)
{
    struct simtest t;
    struct simdisk *backup = NULL;
    struct simdisk *empty = NULL;
    simtest_open(&t, 1);
    struct simdisk *d = t.host->disk;
    EXPECT(simdisk_dir_make(d, "kept") == ST_OK);
    EXPECT(simdisk_dir_sync(d, "/", simdisk_sync_begin(d)) == ST_OK);
    EXPECT(simdisk_backup(d, &backup) == ST_OK && simdisk_wiped(d, &empty) == ST_OK);
    host_power_off_to(t.host, empty);
    host_power_on(t.host);
    struct proc *p = simtest_start(&t, t.host, "a", count_main, NULL);
    EXPECT(simtest_run(&t) && p->exit_code == 0);
    host_power_off_to(t.host, backup);
    host_power_on(t.host);
    p = simtest_start(&t, t.host, "b", count_main, NULL);
    EXPECT(simtest_run(&t) && p->exit_code == 1);
    simtest_close(&t);
}

TAP_MAIN({
    RUN(test_simmedia__each_fault_strikes_and_is_met);
    RUN(test_simmedia__a_run_repeats_and_none_is_as_without);
    RUN(test_simmedia__no_default_plan_has_them);
    RUN(test_simmedia__a_rename_may_lie);
    RUN(test_simmedia__a_write_after_a_failed_sync_fails_the_world);
    RUN(test_simmedia__bytes_that_a_short_read_did_not_give_are_spoilt);
    RUN(test_simmedia__a_host_comes_back_with_another_disk);
})
