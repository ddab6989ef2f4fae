/* test_watchdog.c - a simulated thread that never comes back ends its process, by name; one that
 * does is left alone. In real time: this is what the watchdog is about. */
#include "sim/tool/simtool.h"
#include "tests/sim/simtest.h"
#include "tests/tap.h"

#include <sys/wait.h>
#include <unistd.h>

static int spin(struct env *env, int argc, char **argv)
{
    (void)env;
    (void)argc;
    (void)argv;
    for (volatile unsigned i = 0;; i++) {
    }
    return 0;
}

/* Two seconds of real time, with steps. */
static int busy(struct env *env, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    uint64_t until = wall_clock_ns() + 2500000000u;
    while (wall_clock_ns() < until) {
        env->vt->sleep_until(env, env->vt->clock_mono(env) + 1000);
    }
    return 0;
}

/* Runs main under a watchdog of a second, in a child; its wait status and what it said. */
static int watched(proc_main_fn *program, char *said, size_t size)
{
    int fds[2], how = -1;
    size_t got = 0;
    EXPECT(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct simtest t;
        (void)dup2(fds[1], 2);
        simtest_open(&t, 77);
        t.world.sched.steps_max = UINT64_MAX;
        watchdog_start(1);
        (void)simtest_start(&t, t.host, "node", program, NULL);
        bool ok = simtest_run(&t);
        _exit(ok ? 0 : 1);
    }
    (void)close(fds[1]);
    for (ssize_t n; got + 1 < size && (n = read(fds[0], said + got, size - got - 1)) > 0;) {
        got += (size_t)n;
    }
    said[got] = '\0';
    (void)close(fds[0]);
    EXPECT(waitpid(pid, &how, 0) == pid);
    return how;
}

static void a_thread_that_spins_is_named(void)
{
    char said[256];
    int how = watched(spin, said, sizeof said);
    EXPECT(WIFEXITED(how) && WEXITSTATUS(how) == EXIT_TOOL);
    EXPECT(strstr(said, "watchdog: seed 77: a thread does not come back: main") != NULL);
}

static void steps_keep_it_quiet(void)
{
    char said[256];
    int how = watched(busy, said, sizeof said);
    EXPECT(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    EXPECT(said[0] == '\0');
}

TAP_MAIN(RUN(a_thread_that_spins_is_named); RUN(steps_keep_it_quiet);)
