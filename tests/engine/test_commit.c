/* test_commit.c - groups of writers, in a simulated world: who meets whom is decided by a seed. */
#include "engine/tkv.h"

#include "tests/sim/simtest.h"
#include "tests/tap.h"

#include <stdio.h>
#include <stdlib.h>

#define SEEDS   20
#define THREADS 8
#define WRITES  40
#define REST_NS 300000       /* about half of a sync */
#define BIG     (700u << 10) /* two do not fit into a group */

struct shared {
    struct env *env;
    struct tkv *db;
    unsigned threads;
    char *big;        /* a value to be written by all, without sync; NULL: small ones with */
    uint64_t rest_ns; /* what all writers but the first take between two writes */
    uint64_t syncs;
    uint64_t first_ns; /* what the first writer took in all */
    unsigned wrong;
};

struct writer {
    struct shared *s;
    unsigned id;
    struct env_thread thread;
};

static void put(struct shared *s, unsigned id, unsigned i)
{
    struct tkv_write_options o;
    char key[16];
    tkv_write_options_init(&o);
    o.sync = s->big == NULL;
    int n = snprintf(key, sizeof key, "%u.%u", id, i);
    s->wrong +=
        tkv_put(s->db, &o, key, (size_t)n, o.sync ? "v" : s->big, o.sync ? 1 : BIG) != TKV_OK;
}

static void write_all(void *arg)
{
    struct writer *w = arg;
    uint64_t since = env_clock_mono(w->s->env);
    for (unsigned i = 0; i < (w->s->big == NULL ? WRITES : 3); i++) {
        put(w->s, w->id, i);
        if (w->id > 0 && w->s->rest_ns > 0) {
            env_sleep_until(w->s->env, env_clock_mono(w->s->env) + w->s->rest_ns);
        }
    }
    if (w->id == 0) {
        w->s->first_ns = env_clock_mono(w->s->env) - since;
    }
}

static int program(struct env *env, int argc, char **argv)
{
    struct shared *s = proc_of(env)->user;
    struct writer all[THREADS];
    struct tkv_options o;
    struct tkv_stats stats;
    (void)argc;
    (void)argv;
    s->env = env;
    tkv_options_init(&o);
    o.env = env;
    o.threads = 1;
    if (tkv_open(&o, "db", &s->db, NULL) != TKV_OK) {
        return 1;
    }
    for (unsigned i = 0; i < s->threads; i++) {
        all[i] = (struct writer){.s = s, .id = i};
        if (env_thread_start(env, &all[i].thread, "writer", write_all, &all[i]) != ST_OK) {
            return 2;
        }
    }
    for (unsigned i = 0; i < s->threads; i++) {
        env_thread_join(env, &all[i].thread);
    }
    stats.size = sizeof stats;
    tkv_stats(s->db, &stats);
    s->syncs = stats.syncs;
    return tkv_close(s->db) == TKV_OK ? 0 : 3;
}

static struct shared run(uint64_t seed, struct shared s)
{
    struct simtest t;
    simtest_open(&t, seed);
    struct proc *p = simtest_start(&t, t.host, "writers", program, &s);
    EXPECT(simtest_run(&t));
    EXPECT(p->state == PROC_EXITED);
    EXPECT(p->exit_code == 0);
    EXPECT(s.wrong == 0);
    simtest_close(&t);
    return s;
}

/* Without a leader who waits they would meet in two halves that take turns: two syncs a round. */
static void commit__writers_that_sync_in_a_loop_share_each_sync(void)
{
    for (unsigned threads = 2; threads <= THREADS; threads += 3) {
        uint64_t syncs = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            syncs += run(seed, (struct shared){.threads = threads}).syncs;
        }
        printf("# %u writers: %llu syncs in %u rounds\n", threads, (unsigned long long)syncs,
               SEEDS * WRITES);
        EXPECT(syncs >= (uint64_t)SEEDS * WRITES);
        EXPECT(syncs < (uint64_t)SEEDS * WRITES * 5 / 4);
    }
}

/* Each of its writes may make the first writer wait for a sync that is not its own, and a part of
 * one for nobody. */
static void commit__who_does_not_come_at_once_is_not_waited_for_long(void)
{
    uint64_t alone = 0;
    uint64_t beside = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        alone += run(seed, (struct shared){.threads = 1}).first_ns / WRITES / SEEDS;
        beside +=
            run(seed, (struct shared){.threads = 2, .rest_ns = REST_NS}).first_ns / WRITES / SEEDS;
    }
    printf("# %llu and %llu ns a write\n", (unsigned long long)alone, (unsigned long long)beside);
    EXPECT(beside < alone * 5 / 4);
}

/* Whom a group leaves behind is woken all the same. */
static void commit__a_group_may_be_full(void)
{
    char *big = calloc(1, BIG);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct shared s = run(seed, (struct shared){.threads = 4, .big = big});
        EXPECT(s.syncs == 0);
    }
    free(big);
}

TAP_MAIN({
    RUN(commit__writers_that_sync_in_a_loop_share_each_sync);
    RUN(commit__who_does_not_come_at_once_is_not_waited_for_long);
    RUN(commit__a_group_may_be_full);
})
