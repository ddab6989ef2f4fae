/* watchdog.c - notices a simulated thread that never gives control back: real time passes, and the
 * scheduler takes no step. */
#include "sim/proc.h"
#include "sim/tool/simtool.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Written by the handler alone; a process has one watchdog. */
static volatile uint64_t seen_steps;
static volatile uint64_t seen_seed;

static void say(const char *text)
{
    ssize_t n = write(2, text, strlen(text));
    (void)n; /* nothing to do about it in a handler */
}

static void on_alarm(int signal)
{
    const struct world *w = world_current();
    (void)signal;
    if (w == NULL) {
        return;
    }
    if (w->sched.steps != seen_steps || w->plan->seed != seen_seed) {
        seen_steps = w->sched.steps;
        seen_seed = w->plan->seed;
        return;
    }
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)w->plan->seed);
    say("tinykv-sim: watchdog: seed ");
    say(digits);
    say(": a thread does not come back: ");
    say(w->sched.current != NULL ? w->sched.current->name : "(the simulator itself)");
    say("\n");
    _exit(EXIT_TOOL);
}

void watchdog_start(unsigned seconds)
{
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_handler = on_alarm;
    act.sa_flags = SA_RESTART;
    struct itimerval every = {{(time_t)seconds, 0}, {(time_t)seconds, 0}};
    if (sigaction(SIGALRM, &act, NULL) != 0 || setitimer(ITIMER_REAL, &every, NULL) != 0) {
        (void)fprintf(stderr, "tinykv-sim: no watchdog: the timer was refused\n");
    }
}
