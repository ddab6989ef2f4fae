/* test_sched.c - who runs, when, and how a run ends: the scheduler alone, without processes. */
#include "env/env.h"
#include "sim/sched.h"
#include "sim/simmem.h"
#include "tests/tap.h"

#define LOG_MAX 4096

struct bench {
    struct fiber_pool pool;
    struct trace trace;
    struct chooser chooser;
    struct sched s;
    struct list tasks;
    char log[LOG_MAX]; /* a letter each time a task gets on */
    size_t size;
    unsigned alive;
};

struct actor {
    struct bench *b;
    char letter;
    unsigned rounds;
    enum sched_point point;
    bool sleeps;
};

static void bench_open(struct bench *b, enum sched_policy policy, uint64_t seed)
{
    memset(b, 0, sizeof *b);
    fiber_pool_init(&b->pool, 0);
    trace_init(&b->trace, simmem(), 0);
    chooser_init(&b->chooser, seed);
    struct sched_options o = {.policy = policy,
                              .step_ns = 1000,
                              .steps_max = 3000,
                              .pct_changes = 3,
                              .pct_steps = 60,
                              .starve_ns = 1000000};
    sched_init(&b->s, simmem(), &b->pool, &b->trace, &b->chooser, &o);
    list_init(&b->tasks);
}

static void bench_close(struct bench *b)
{
    while (!list_empty(&b->tasks)) {
        task_kill(LIST_ENTRY(b->tasks.next, struct task, link));
    }
    sched_release(&b->s);
    trace_release(&b->trace);
    EXPECT(b->pool.live == 0);
    fiber_pool_release(&b->pool);
}

static void say(struct bench *b, char letter)
{
    if (b->size + 1 < LOG_MAX) {
        b->log[b->size++] = letter;
    }
}

static void act(void *arg)
{
    struct actor *a = arg;
    for (unsigned i = 0; i < a->rounds; i++) {
        say(a->b, a->letter);
        if (a->sleeps) {
            task_sleep_until(&a->b->s, a->b->s.now + 10000);
        } else {
            task_point(&a->b->s, a->point);
        }
    }
    if (--a->b->alive == 0) {
        sched_stop(&a->b->s);
    }
}

static struct task *actor_start(struct bench *b, struct actor *a)
{
    b->alive++;
    return task_spawn(&b->s, NULL, "actor", &b->tasks, act, a);
}

/* Three tasks of 20 points each. */
static void three(struct bench *b, enum sched_policy policy, uint64_t seed, enum sched_point point)
{
    struct actor a[3];
    bench_open(b, policy, seed);
    for (int i = 0; i < 3; i++) {
        a[i] = (struct actor){b, (char)('a' + i), 20, point, false};
        (void)actor_start(b, &a[i]); /* owned by the bench's list */
    }
    EXPECT(sched_run(&b->s) == SCHED_STOPPED);
    EXPECT(b->size == 60);
}

static unsigned switches(const struct bench *b)
{
    unsigned n = 0;
    for (size_t i = 1; i < b->size; i++) {
        n += b->log[i] != b->log[i - 1];
    }
    return n;
}

static void run_to_block_does_not_give_way(void)
{
    struct bench b;
    three(&b, SCHED_BLOCK, 1, POINT_LABEL);
    EXPECT(switches(&b) == 2);
    EXPECT(b.log[0] == 'a' && b.log[20] == 'b' && b.log[40] == 'c');
    bench_close(&b);
    three(&b, SCHED_LIFO, 1, POINT_LABEL);
    EXPECT(switches(&b) == 2);
    EXPECT(b.log[0] == 'c' && b.log[20] == 'b' && b.log[40] == 'a');
    bench_close(&b);
}

static void labels_give_way_at_labels_alone(void)
{
    struct bench b;
    three(&b, SCHED_LABELS, 1, POINT_LABEL);
    EXPECT(switches(&b) > 10);
    bench_close(&b);
    three(&b, SCHED_LABELS, 1, POINT_LOCK);
    EXPECT(switches(&b) == 2);
    bench_close(&b);
}

/* Few switches: each is a change of priority, or an end. And the changes do happen. */
static void pct_switches_at_changes(void)
{
    unsigned most = 0, lowered = 0;
    char first[3] = {0};
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct bench b;
        three(&b, SCHED_PCT, seed, POINT_LABEL);
        most = switches(&b) > most ? switches(&b) : most;
        first[b.log[0] - 'a'] = 1;
        for (struct list *l = b.tasks.next; l != &b.tasks; l = l->next) {
            lowered += LIST_ENTRY(l, struct task, link)->priority < 16;
        }
        bench_close(&b);
    }
    EXPECT(most <= 2 + 3);
    EXPECT(first[0] && first[1] && first[2]);
    EXPECT(lowered > 0);
}

static void random_depends_on_the_seed_alone(void)
{
    struct bench a, b, c;
    three(&a, SCHED_RANDOM, 5, POINT_LABEL);
    three(&b, SCHED_RANDOM, 5, POINT_LABEL);
    three(&c, SCHED_RANDOM, 6, POINT_LABEL);
    EXPECT(memcmp(a.log, b.log, 60) == 0);
    EXPECT(a.trace.hash == b.trace.hash);
    EXPECT(memcmp(a.log, c.log, 60) != 0);
    EXPECT(switches(&a) > 10);
    bench_close(&a);
    bench_close(&b);
    bench_close(&c);
}

/* The starved one is not picked while others are ready and the time is not over; it is afterwards.
 */
static void starvation_is_bounded(void)
{
    struct bench b;
    struct actor a[3];
    bench_open(&b, SCHED_STARVE, 1);
    b.s.starved = 2;
    for (int i = 0; i < 3; i++) {
        a[i] = (struct actor){&b, (char)('a' + i), 1000, POINT_LABEL, false};
        (void)actor_start(&b, &a[i]); /* owned by the bench's list */
    }
    b.s.starve_until = 200000; /* of a run of at least 1000 steps */
    (void)sched_run(&b.s);     /* stopped, or its budget is spent */
    const char *starved = memchr(b.log, 'b', b.size);
    EXPECT(starved != NULL && starved - b.log >= 200 && starved - b.log < 1000);
    bench_close(&b);
}

struct parked {
    struct bench *b;
    uint64_t deadline;
    uint64_t back;
    bool woken;
};

static void park(void *arg)
{
    struct parked *p = arg;
    p->woken = task_park(&p->b->s, WAIT_COND, p, p->deadline);
    p->back = p->b->s.now;
}

static struct task *parked_start(struct bench *b, struct parked *p, uint64_t deadline)
{
    *p = (struct parked){.b = b, .deadline = deadline};
    return task_spawn(&b->s, NULL, "parked", &b->tasks, park, p);
}

static void deadlines_pass_in_order_and_then_it_is_a_deadlock(void)
{
    struct bench b;
    struct parked late, soon, past, never;
    bench_open(&b, SCHED_BLOCK, 1);
    (void)parked_start(&b, &late, 9000000);
    (void)parked_start(&b, &soon, 5000000);
    (void)parked_start(&b, &past, 0);
    struct task *stuck = parked_start(&b, &never, ENV_NEVER);
    EXPECT(sched_run(&b.s) == SCHED_DEADLOCK);
    EXPECT(past.back > 0 && past.back < 100000 && !past.woken);
    EXPECT(soon.back == 5000000 + 1000 && !soon.woken);
    EXPECT(late.back == 9000000 + 1000 && !late.woken);
    EXPECT(task_waits(stuck, WAIT_COND, &never));
    EXPECT(!task_waits(stuck, WAIT_MUTEX, &never));
    task_wake(stuck);
    task_wake(stuck); /* ready already */
    EXPECT(b.s.ready_count == 1);
    EXPECT(sched_run(&b.s) == SCHED_DEADLOCK);
    EXPECT(never.woken);
    EXPECT(stuck->state == TASK_DONE);
    bench_close(&b);
}

/* A wake takes the deadline back: it must not fire into the next wait. */
static void a_wake_disarms_the_deadline(void)
{
    struct bench b;
    struct parked p;
    bench_open(&b, SCHED_BLOCK, 1);
    struct task *t = parked_start(&b, &p, 5000000);
    struct actor a = {&b, 'a', 1, POINT_LABEL, true};
    struct task *sleeper = actor_start(&b, &a);
    EXPECT(sched_run(&b.s) == SCHED_STOPPED);
    EXPECT(sleeper->state == TASK_DONE);
    EXPECT(t->timer.at != 0);
    task_wake(t);
    EXPECT(t->timer.at == 0);
    b.s.stop = false;
    EXPECT(sched_run(&b.s) == SCHED_DEADLOCK);
    EXPECT(p.woken && p.back < 5000000);
    bench_close(&b);
}

/* What becomes ready while it is held runs when it is let go, with its deadline long past. */
static void a_held_task_does_not_run(void)
{
    struct bench b;
    struct parked p;
    struct actor a = {&b, 'a', 3, POINT_LABEL, true};
    bench_open(&b, SCHED_BLOCK, 1);
    struct task *t = parked_start(&b, &p, 15000);
    (void)actor_start(&b, &a); /* owned by the bench's list */
    task_hold(t, true);
    EXPECT(t->state == TASK_HELD);
    task_hold(t, false);
    EXPECT(t->state == TASK_READY);
    b.s.steps_max = 2;
    EXPECT(sched_run(&b.s) == SCHED_EXHAUSTED);
    b.s.steps_max = 3000;
    task_hold(t, true);
    EXPECT(t->state == TASK_WAITING);
    EXPECT(sched_run(&b.s) == SCHED_STOPPED);
    EXPECT(t->state == TASK_HELD && p.back == 0);
    task_hold(t, false);
    b.s.stop = false;
    EXPECT(sched_run(&b.s) == SCHED_DEADLOCK);
    EXPECT(p.back > 30000 && !p.woken);
    bench_close(&b);
}

static void hold_self(void *arg)
{
    struct bench *b = arg;
    task_hold(b->s.current, true);
    for (int i = 0; i < 50; i++) {
        task_point(&b->s, POINT_LABEL);
        say(b, 'h');
    }
}

/* Held while it runs: it stops at the next point at which it gives way. */
static void a_task_held_while_it_runs_stops_at_a_point(void)
{
    struct bench b;
    struct actor a = {&b, 'a', 400, POINT_LABEL, false};
    bench_open(&b, SCHED_RANDOM, 1);
    struct task *t = task_spawn(&b.s, NULL, "held", &b.tasks, hold_self, &b);
    (void)actor_start(&b, &a); /* owned by the bench's list */
    EXPECT(sched_run(&b.s) == SCHED_STOPPED);
    EXPECT(t->state == TASK_HELD);
    bench_close(&b);
}

static void a_livelock_spends_the_budget(void)
{
    struct bench b;
    struct actor a[2];
    bench_open(&b, SCHED_RANDOM, 1);
    for (int i = 0; i < 2; i++) {
        a[i] = (struct actor){&b, 'x', UINT32_MAX, POINT_LABEL, false};
        (void)actor_start(&b, &a[i]); /* owned by the bench's list */
    }
    EXPECT(sched_run(&b.s) == SCHED_EXHAUSTED);
    EXPECT(b.s.steps == 3000);
    EXPECT(b.s.now == 3000 * 1000);
    bench_close(&b);
}

static void end_self(void *arg)
{
    struct bench *b = arg;
    task_kill(b->s.current);
    task_leave(&b->s);
}

static void a_task_may_kill_itself(void)
{
    struct bench b;
    bench_open(&b, SCHED_BLOCK, 1);
    (void)task_spawn(&b.s, NULL, "gone", &b.tasks, end_self, &b);
    EXPECT(sched_run(&b.s) == SCHED_DEADLOCK);
    EXPECT(list_empty(&b.tasks));
    EXPECT(b.pool.live == 0);
    bench_close(&b);
}

TAP_MAIN(RUN(run_to_block_does_not_give_way); RUN(labels_give_way_at_labels_alone);
         RUN(pct_switches_at_changes); RUN(random_depends_on_the_seed_alone);
         RUN(starvation_is_bounded); RUN(deadlines_pass_in_order_and_then_it_is_a_deadlock);
         RUN(a_wake_disarms_the_deadline); RUN(a_held_task_does_not_run);
         RUN(a_task_held_while_it_runs_stops_at_a_point); RUN(a_livelock_spends_the_budget);
         RUN(a_task_may_kill_itself);)
