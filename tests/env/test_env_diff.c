/* test_env_diff.c - random scripts of Env calls give the same results on Linux and in the simulator
 * with all faults off: return values, streams, readiness once quiet, and what is left in the end.
 *
 * usage: test_env_diff [COUNT [FIRST_SEED]]   (with -v as the third argument: the logs as well) */
#define _GNU_SOURCE
#include "env/env_posix.h"
#include "tests/engine/tmpdir.h"
#include "tests/env/envscript.h"
#include "tests/sim/simtest.h"
#include "tests/tap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MS       1000000u
#define ACK_US   50000l /* Linux delays an acknowledgement by up to 40 ms */
#define TOLD_MAX 8      /* differences that are shown */

/* Loopback delivers while the call that sends is still running, but for a busy machine, where it
 * may be later: what differs is tried again with patience. */
static const long patience_us[] = {0, 1000, 10000};
#define TRIES (sizeof patience_us / sizeof *patience_us)

struct on_posix {
    struct tmpdir scratch;
    long patience_us;
};

static void posix_settle(void *arg, bool acked)
{
    const struct on_posix *w = arg;
    if (w->patience_us > 0) {
        struct timespec t = {0, (acked ? ACK_US : w->patience_us) * 1000};
        (void)nanosleep(&t, NULL); /* shorter is no harm */
    }
}

static void posix_stop(void *arg)
{
    struct on_posix *w = arg;
    env_posix_request_stop(w->scratch.env);
}

static void play_posix(const struct envscript *s, long patience, struct buf *log)
{
    struct on_posix w = {.patience_us = patience};
    tmpdir_make(&w.scratch);
    struct envscript_world world = {w.scratch.env, &w, posix_settle, posix_stop};
    envscript_play(s, &world, log);
    tmpdir_remove(&w.scratch);
}

struct on_sim {
    const struct envscript *s;
    struct buf *log;
    struct env *env;
};

static void sim_settle(void *arg, bool acked)
{
    const struct on_sim *w = arg;
    (void)acked;
    env_sleep_until(w->env, env_clock_mono(w->env) + 5 * MS);
}

static void sim_stop(void *arg)
{
    const struct on_sim *w = arg;
    proc_request_stop(proc_of(w->env));
}

static int sim_main(struct env *env, int argc, char **argv)
{
    struct on_sim *w = proc_of(env)->user;
    (void)argc;
    (void)argv;
    w->env = env;
    struct envscript_world world = {env, w, sim_settle, sim_stop};
    envscript_play(w->s, &world, w->log);
    return 0;
}

static void play_sim(const struct envscript *s, struct buf *log)
{
    struct simtest t;
    struct on_sim w = {.s = s, .log = log};
    simtest_open(&t, s->seed);
    struct proc *p = simtest_start(&t, t.host, "script", sim_main, &w);
    if (!simtest_run(&t) || p->state != PROC_EXITED) {
        (void)printf("# %s: %s\n", t.world.failure.class, t.world.failure.text);
        enum status st = buf_append_text(log, "the world failed\n");
        EXPECT(st == ST_OK);
    }
    simtest_close(&t);
}

/* ---- comparing ---- */

static size_t line_end(struct slice s, size_t at)
{
    const char *end = at < s.size ? memchr(s.data + at, '\n', s.size - at) : NULL;
    return end != NULL ? (size_t)(end - s.data) : s.size;
}

/* Where the first line that differs begins; SIZE_MAX when none does. */
static size_t first_difference(struct slice a, struct slice b)
{
    for (size_t at = 0; at < a.size || at < b.size;) {
        size_t end_a = line_end(a, at);
        size_t end_b = line_end(b, at);
        if (end_a != end_b || memcmp(a.data + at, b.data + at, end_a - at) != 0) {
            return at;
        }
        at = end_a + 1;
    }
    return SIZE_MAX;
}

static void show(uint64_t seed, const struct buf *posix, const struct buf *sim, size_t at)
{
    struct slice a = buf_slice(posix);
    struct slice b = buf_slice(sim);
    (void)printf(
        "# script %" PRIu64 " differs first at\n#   Linux:     %.*s\n#   simulator: %.*s\n", seed,
        (int)(line_end(a, at) - at), a.data + at, (int)(line_end(b, at) - at), b.data + at);
}

static bool verbose;

/* True when the two worlds agree on the script of that seed. */
static bool agree(uint64_t seed, bool tell)
{
    struct envscript s;
    struct buf posix, sim;
    size_t at = SIZE_MAX;
    envscript_make(&s, seed);
    buf_init(&posix, simmem());
    buf_init(&sim, simmem());
    play_sim(&s, &sim);
    for (size_t i = 0; i < TRIES; i++) {
        buf_clear(&posix);
        play_posix(&s, patience_us[i], &posix);
        at = first_difference(buf_slice(&posix), buf_slice(&sim));
        if (at == SIZE_MAX) {
            break;
        }
    }
    if (at != SIZE_MAX && tell) {
        show(seed, &posix, &sim, at);
    }
    if (verbose) {
        (void)printf("# ---- Linux\n%.*s# ---- simulator\n%.*s", (int)posix.size, posix.data,
                     (int)sim.size, sim.data);
    }
    buf_release(&posix);
    buf_release(&sim);
    return at == SIZE_MAX;
}

static uint64_t count = 1000;
static uint64_t first;

static void test_env_diff__linux_and_the_simulator_agree(void)
{
    uint64_t differ = 0;
    for (uint64_t i = 0; i < count; i++) {
        bool same = agree(first + i, differ < TOLD_MAX);
        EXPECT(same);
        differ += !same;
    }
    (void)printf("# %" PRIu64 " scripts, %" PRIu64 " differ\n", count, differ);
}

/* Files in memory where there is such a place: syncing them costs nothing. */
static void choose_folder(void)
{
    struct stat st;
    if (getenv("TMPDIR") == NULL && stat("/dev/shm", &st) == 0 && access("/dev/shm", W_OK) == 0) {
        (void)setenv("TMPDIR", "/dev/shm", 1); /* else /tmp */
    }
}

int main(int argc, char **argv)
{
    (void)setvbuf(stdout, NULL, _IOLBF, 4096);
    count = argc > 1 ? strtoull(argv[1], NULL, 10) : count;
    first = argc > 2 ? strtoull(argv[2], NULL, 10) : first;
    verbose = argc > 3;
    for (int fd = 3; fd < 256; fd++) {
        (void)close(fd); /* what was inherited would leave gaps between the numbers */
    }
    choose_folder();
    RUN(test_env_diff__linux_and_the_simulator_agree);
    (void)printf("1..%d\n", tap_n);
    return 0;
}
