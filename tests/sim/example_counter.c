/* example_counter.c - somebody else's program in the simulator: a counter that survives power loss.
 *
 * Nothing here knows of TinyKV's store. The program keeps a number in a file: it writes the next
 * one to a temporary file, syncs it, renames it over the old one and syncs the directory, then says
 * the number. The test takes its power away at drawn moments and holds it to what it said. */
#include "sim/proc.h"

#include "sim/simmem.h"
#include "tests/tap.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 20
#define LAST   200u

struct story {
    struct fiber_pool pool;
    struct world world;
    struct host *host;
    struct proc *proc;
    struct list tasks;
    uint64_t said;  /* the greatest number that the program promised */
    uint64_t tried; /* the greatest that it began to store */
    bool careless;  /* leave out the directory's sync: a planted bug */
    const char *wrong;
};

/* ---- the program ---- */

static uint64_t counter_load(struct env *env)
{
    char text[32] = "";
    size_t got = 0;
    int fd;
    if (env_file_open(env, "count", ENV_READ, &fd) != ST_OK) {
        return 0;
    }
    enum status st = env_file_pread(env, fd, text, sizeof text - 1, 0, &got);
    (void)env_fd_close(env, fd);
    return st == ST_OK ? strtoull(text, NULL, 10) : UINT64_MAX;
}

static enum status counter_store(struct env *env, uint64_t n, bool careless)
{
    char text[32];
    size_t put;
    int fd;
    int size = snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    enum status st = env_file_open(env, "count.tmp", ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &fd);
    if (st != ST_OK) {
        return st;
    }
    st = env_file_pwrite(env, fd, text, (size_t)size, 0, &put);
    st = st == ST_OK ? env_file_sync(env, fd) : st;
    (void)env_fd_close(env, fd);
    st = st == ST_OK ? env_path_rename(env, "count.tmp", "count") : st;
    return st == ST_OK && !careless ? env_dir_sync(env, ".") : st;
}

static int counter_main(struct env *env, int argc, char **argv)
{
    struct story *s = proc_of(env)->user;
    (void)argc;
    (void)argv;
    /* After a power loss the old name may still be there, beside the new one, for the same file: to
     * truncate it would empty the count. The world found this in a first version. */
    enum status st = env_path_remove(env, "count.tmp");
    uint64_t n = st == ST_OK || st == ST_NOENT ? counter_load(env) : UINT64_MAX;
    if (n < s->said || n > s->tried) {
        s->wrong = n < s->said ? "a number that was said is gone" : "a number out of nowhere";
    }
    while (n < LAST && s->wrong == NULL) {
        s->tried = ++n > s->tried ? n : s->tried;
        if (counter_store(env, n, s->careless) != ST_OK) {
            return 1;
        }
        s->said = n;
    }
    return 0;
}

/* ---- the world around it ---- */

static void ended(void *arg, struct proc *p)
{
    struct story *s = arg;
    s->proc = NULL;
    if (p->state == PROC_EXITED) {
        world_stop(&s->world);
    }
}

static void fate(void *arg)
{
    struct story *s = arg;
    struct sched *sched = &s->world.sched;
    struct chooser_stream draw;
    chooser_stream_init(&draw, &s->world.chooser, CHOOSE_NEMESIS, 0);
    for (int i = 0; i < ROUNDS; i++) {
        s->proc = proc_start(s->host, "counter", counter_main, 0, NULL, s);
        task_sleep_until(sched, sched->now + choose(&draw, 20000000));
        if (s->proc != NULL) {
            host_power_off(s->host, simdisk_draw_strategy(&draw));
            host_power_on(s->host);
        }
    }
    s->proc = proc_start(s->host, "counter", counter_main, 0, NULL, s);
}

/* What went wrong under this seed, or NULL. */
static const char *tell(uint64_t seed, bool careless)
{
    struct story s = {.careless = careless};
    struct plan plan;
    const struct world_hooks hooks = {.ended = ended};
    plan_init(&plan, simmem(), seed);
    fiber_pool_init(&s.pool, 0);
    list_init(&s.tasks);
    struct world_options o = {.plan = &plan, .pool = &s.pool, .hooks = &hooks, .hooks_arg = &s};
    world_init(&s.world, simmem(), &o);
    s.host = world_host(&s.world, NULL);
    (void)world_task(&s.world, "fate", &s.tasks, fate, &s);
    bool ok = world_run(&s.world);
    while (!list_empty(&s.tasks)) {
        task_kill(LIST_ENTRY(s.tasks.next, struct task, link));
    }
    world_release(&s.world);
    fiber_pool_release(&s.pool);
    plan_release(&plan);
    return !ok ? "the world failed" : s.wrong;
}

static void test_example__a_careful_counter_keeps_its_word(void)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        EXPECT(tell(seed, false) == NULL);
    }
}

static void test_example__a_careless_one_is_found(void)
{
    unsigned found = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        found += tell(seed, true) != NULL;
    }
    EXPECT(found > 50);
}

TAP_MAIN({
    RUN(test_example__a_careful_counter_keeps_its_word);
    RUN(test_example__a_careless_one_is_found);
})
