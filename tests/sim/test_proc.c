/* test_proc.c - processes, threads, time and the scheduler, with small programs in a world. */
#include "sim/proc.h"

#include "tests/sim/simtest.h"
#include "tests/tap.h"

#include <stdio.h>

#define MS 1000000u

struct shared {
    struct env *env;
    struct env_mutex m;
    struct env_cond c;
    struct env_thread threads[4];
    unsigned counter;
    unsigned turn;
    bool late;
};

static const struct env_site label = {"test: label"};

static void count_up(void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < 100; i++) {
        env_mutex_lock(s->env, &s->m);
        unsigned seen = s->counter;
        s->env->vt->yield(s->env, &label);
        s->counter = seen + 1;
        env_mutex_unlock(s->env, &s->m);
    }
}

static int count_main(struct env *env, int argc, char **argv)
{
    struct shared *s = proc_of(env)->user;
    (void)argc;
    (void)argv;
    s->env = env;
    env_mutex_init(env, &s->m);
    for (int i = 0; i < 4; i++) {
        if (env_thread_start(env, &s->threads[i], "count", count_up, s) != ST_OK) {
            return 1;
        }
    }
    for (int i = 0; i < 4; i++) {
        env_thread_join(env, &s->threads[i]);
    }
    env_mutex_release(env, &s->m);
    return 0;
}

/* Under every policy: a mutex excludes, threads end and are joined, nothing is left. */
static void test_proc__mutex_excludes_under_every_policy(void)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct simtest t = {0};
        struct shared s = {0};
        plan_init(&t.plan, simmem(), seed);
        t.plan.value[PLAN_POLICY] = seed % 6;
        simtest_open_plan(&t);
        struct proc *p = simtest_start(&t, t.host, "count", count_main, &s);
        EXPECT(simtest_run(&t));
        EXPECT(s.counter == 400);
        EXPECT(p->state == PROC_EXITED && p->exit_code == 0);
        simtest_close(&t);
    }
}

static void ping_pong(void *arg)
{
    struct shared *s = arg;
    env_mutex_lock(s->env, &s->m);
    for (int i = 0; i < 50; i++) {
        while (s->turn % 2 == 0) {
            (void)env_cond_wait(s->env, &s->c, &s->m, ENV_NEVER);
        }
        s->turn++;
        env_cond_broadcast(s->env, &s->c);
    }
    env_mutex_unlock(s->env, &s->m);
}

static int cond_main(struct env *env, int argc, char **argv)
{
    struct shared *s = proc_of(env)->user;
    (void)argc;
    (void)argv;
    s->env = env;
    env_mutex_init(env, &s->m);
    env_cond_init(env, &s->c);
    if (env_thread_start(env, &s->threads[0], "pong", ping_pong, s) != ST_OK) {
        return 1;
    }
    env_mutex_lock(env, &s->m);
    for (int i = 0; i < 50; i++) {
        while (s->turn % 2 == 1) {
            (void)env_cond_wait(env, &s->c, &s->m, ENV_NEVER);
        }
        s->turn++;
        env_cond_broadcast(env, &s->c);
    }
    uint64_t from = env_clock_mono(env);
    while (env_cond_wait(env, &s->c, &s->m, from + 5 * MS) != ST_TIMEOUT) {
    }
    s->late = env_clock_mono(env) >= from + 5 * MS;
    env_mutex_unlock(env, &s->m);
    env_thread_join(env, &s->threads[0]);
    env_cond_release(env, &s->c);
    env_mutex_release(env, &s->m);
    return 0;
}

static void test_proc__conditions_wake_and_time_out(void)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct simtest t = {0};
        struct shared s = {0};
        plan_init(&t.plan, simmem(), seed);
        t.plan.value[PLAN_POLICY] = seed % 6;
        t.plan.value[PLAN_SPURIOUS_WAKE] = seed % 2 * 200000;
        t.plan.value[PLAN_CLOCK_DRIFT] = 50000;
        simtest_open_plan(&t);
        t.world.faults = true;
        (void)simtest_start(&t, t.host, "cond", cond_main, &s);
        EXPECT(simtest_run(&t));
        EXPECT(s.turn == 100);
        EXPECT(s.late);
        EXPECT(seed % 2 == 0 || t.world.injected[PLAN_SPURIOUS_WAKE] > 0);
        simtest_close(&t);
    }
}

static void lock_in_order(struct shared *s, struct env_mutex *first, struct env_mutex *second)
{
    env_mutex_lock(s->env, first);
    env_sleep_until(s->env, env_clock_mono(s->env) + MS);
    env_mutex_lock(s->env, second);
}

static struct env_mutex *other_mutex(struct shared *s)
{
    return (struct env_mutex *)(void *)&s->c;
}

static void lock_ba(void *arg)
{
    struct shared *s = arg;
    lock_in_order(s, other_mutex(s), &s->m);
}

static int deadlock_main(struct env *env, int argc, char **argv)
{
    struct shared *s = proc_of(env)->user;
    (void)argc;
    (void)argv;
    s->env = env;
    env_mutex_init(env, &s->m);
    env_mutex_init(env, other_mutex(s));
    if (env_thread_start(env, &s->threads[0], "second", lock_ba, s) != ST_OK) {
        return 1;
    }
    lock_in_order(s, &s->m, other_mutex(s));
    return 0;
}

static void test_proc__deadlock_is_reported_with_who_waits(void)
{
    struct simtest t;
    struct shared s = {0};
    simtest_open(&t, 1);
    (void)simtest_start(&t, t.host, "dead", deadlock_main, &s);
    EXPECT(!simtest_run(&t));
    EXPECT(strcmp(t.world.failure.class, "deadlock") == 0);
    EXPECT(strstr(t.world.failure.text, "dead thread main") != NULL);
    EXPECT(strstr(t.world.failure.text, "dead thread second") != NULL);
    EXPECT(strstr(t.world.failure.text, "a mutex") != NULL);
    simtest_close(&t);
}

static int leak_main(struct env *env, int argc, char **argv)
{
    int fd;
    (void)argc;
    (void)argv;
    (void)env_alloc(env, 100);
    return env_file_open(env, "left-open", ENV_WRITE | ENV_CREATE, &fd) == ST_OK ? 0 : 1;
}

static char leaks_seen[256];

static void note_leaks(void *arg, struct proc *p)
{
    struct simtest *t = arg;
    proc_leaks(p, leaks_seen, sizeof leaks_seen);
    world_stop(&t->world);
}

static void test_proc__leaks_of_a_clean_exit_are_named(void)
{
    struct simtest t;
    simtest_open(&t, 1);
    t.hooks.ended = note_leaks;
    (void)simtest_start(&t, t.host, "leak", leak_main, NULL);
    EXPECT(simtest_run(&t));
    EXPECT(strstr(leaks_seen, "1 heap blocks (100 bytes)") != NULL);
    EXPECT(strstr(leaks_seen, "left-open") != NULL);
    simtest_close(&t);
}

static int die_main(struct env *env, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)env_alloc(env, 10);
    env_proc_die(env, "because");
}

static void test_proc__die_ends_only_itself(void)
{
    struct simtest t;
    struct shared s = {0};
    simtest_open(&t, 3);
    struct proc *dies = simtest_start(&t, t.host, "dies", die_main, NULL);
    struct proc *lives = simtest_start(&t, t.host, "lives", count_main, &s);
    EXPECT(simtest_run(&t));
    EXPECT(dies->state == PROC_DIED && strcmp(dies->death, "because") == 0);
    EXPECT(dies->heap_blocks == 0);
    EXPECT(lives->state == PROC_EXITED && s.counter == 400);
    simtest_close(&t);
}

static int fd_main(struct env *env, int argc, char **argv)
{
    int a, b, c, p;
    (void)argc;
    (void)argv;
    bool ok = env_file_open(env, "a", ENV_WRITE | ENV_CREATE, &a) == ST_OK && a == 0;
    ok = ok && env_poller_open(env, &p) == ST_OK && p == 1;
    ok = ok && env_file_open(env, "b", ENV_WRITE | ENV_CREATE, &b) == ST_OK && b == 2;
    ok = ok && env_fd_close(env, p) == ST_OK && env_fd_close(env, p) == ST_BADFD;
    ok = ok && env_file_open(env, "c", ENV_WRITE | ENV_CREATE, &c) == ST_OK && c == 1;
    ok = ok && env_fd_close(env, a) == ST_OK && env_fd_close(env, b) == ST_OK &&
         env_fd_close(env, c) == ST_OK;
    return ok ? 0 : 1;
}

static void test_proc__descriptors_are_lowest_first(void)
{
    struct simtest t;
    simtest_open(&t, 3);
    struct proc *p = simtest_start(&t, t.host, "fds", fd_main, NULL);
    EXPECT(simtest_run(&t));
    EXPECT(p->exit_code == 0);
    simtest_close(&t);
}

static int sleepy_main(struct env *env, int argc, char **argv)
{
    uint64_t *woke = proc_of(env)->user;
    (void)argc;
    (void)argv;
    env_sleep_until(env, env_clock_mono(env) + 10 * MS);
    *woke = proc_of(env)->world->sched.now;
    return 0;
}

static void pause_it(void *arg)
{
    struct proc *p = arg;
    proc_pause(p);
    task_sleep_until(&p->world->sched, 500 * MS);
    proc_resume(p);
}

static void test_proc__a_paused_process_does_not_run(void)
{
    struct simtest t;
    struct list tasks;
    uint64_t woke = 0;
    simtest_open(&t, 3);
    list_init(&tasks);
    struct proc *p = simtest_start(&t, t.host, "sleepy", sleepy_main, &woke);
    (void)world_task(&t.world, "pauser", &tasks, pause_it, p);
    EXPECT(simtest_run(&t));
    EXPECT(woke >= 500 * MS && woke < 520 * MS);
    while (!list_empty(&tasks)) {
        task_kill(LIST_ENTRY(tasks.next, struct task, link));
    }
    simtest_close(&t);
}

static int refused_main(struct env *env, int argc, char **argv)
{
    unsigned *refused = proc_of(env)->user;
    (void)argc;
    (void)argv;
    for (int i = 0; i < 1000; i++) {
        void *p = env_alloc(env, 64);
        *refused += p == NULL;
        env_release(env, p);
    }
    return 0;
}

static void test_proc__allocations_are_refused_as_planned(void)
{
    struct simtest t = {0};
    unsigned refused = 0;
    plan_init(&t.plan, simmem(), 5);
    t.plan.value[PLAN_REFUSE] = 100000;
    simtest_open_plan(&t);
    t.world.faults = true;
    simtest_start(&t, t.host, "oom", refused_main, &refused)->faulty = true;
    EXPECT(simtest_run(&t));
    EXPECT(refused > 60 && refused < 150);
    EXPECT(t.world.injected[PLAN_REFUSE] == refused);
    simtest_close(&t);
}

static uint64_t hash_of_run(uint64_t seed, uint64_t policy)
{
    struct simtest t = {0};
    struct shared s = {0};
    plan_init(&t.plan, simmem(), seed);
    t.plan.value[PLAN_POLICY] = policy;
    simtest_open_plan(&t);
    (void)simtest_start(&t, t.host, "count", count_main, &s);
    EXPECT(simtest_run(&t));
    uint64_t hash = t.world.trace.hash;
    simtest_close(&t);
    return hash;
}

static void test_proc__same_seed_same_trace(void)
{
    for (uint64_t policy = 0; policy < 6; policy++) {
        EXPECT(hash_of_run(9, policy) == hash_of_run(9, policy));
    }
    EXPECT(hash_of_run(9, 0) != hash_of_run(10, 0));
}

static void truncate_it(void *arg)
{
    struct shared *s = arg;
    const struct env_vt *vt = s->env->vt;
    s->late = vt->file_truncate(s->env, 0, 5) != ST_OK || vt->file_allocate(s->env, 0, 0, 7, false);
}

/* Opens files, so that the table of descriptors moves, while a thread's truncate is under way. */
static int table_main(struct env *env, int argc, char **argv)
{
    struct shared *s = proc_of(env)->user;
    uint64_t size = 0;
    int fd;
    (void)argc;
    (void)argv;
    s->env = env;
    bool ok = env_file_open(env, "a", ENV_WRITE | ENV_CREATE, &fd) == ST_OK && fd == 0;
    ok = ok && env_thread_start(env, &s->threads[0], "cut", truncate_it, s) == ST_OK;
    for (int i = 0; i < 100 && ok; i++) {
        ok = env_file_open(env, "b", ENV_WRITE | ENV_CREATE, &fd) == ST_OK;
    }
    env_thread_join(env, &s->threads[0]);
    ok = ok && !s->late && env_file_size(env, 0, &size) == ST_OK && size == 7;
    for (; fd >= 0; fd--) {
        (void)env_fd_close(env, fd); /* each of them is open */
    }
    return ok ? 0 : 1;
}

static void test_proc__the_table_of_descriptors_may_move(void)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct simtest t;
        struct shared s = {0};
        simtest_open(&t, seed);
        struct proc *p = simtest_start(&t, t.host, "table", table_main, &s);
        EXPECT(simtest_run(&t));
        EXPECT(p->exit_code == 0);
        simtest_close(&t);
    }
}

TAP_MAIN({
    RUN(test_proc__the_table_of_descriptors_may_move);
    RUN(test_proc__mutex_excludes_under_every_policy);
    RUN(test_proc__conditions_wake_and_time_out);
    RUN(test_proc__deadlock_is_reported_with_who_waits);
    RUN(test_proc__leaks_of_a_clean_exit_are_named);
    RUN(test_proc__die_ends_only_itself);
    RUN(test_proc__descriptors_are_lowest_first);
    RUN(test_proc__a_paused_process_does_not_run);
    RUN(test_proc__allocations_are_refused_as_planned);
    RUN(test_proc__same_seed_same_trace);
})
