/* test_slept.c - clocks of a machine that sleeps now and then, read by a thread that is late. */
#include "node/slept.h"

#include "base/prng.h"
#include "tests/tap.h"

struct machine {
    struct prng prng;
    uint64_t now;    /* what passed, asleep or not */
    uint64_t asleep; /* of it */
    uint64_t sleeps;
};

/* Time passes between two reads: little as a rule, much now and then. */
static void pass(struct machine *m)
{
    m->now +=
        prng_below(&m->prng, 20) == 0 ? prng_below(&m->prng, 50000) : prng_below(&m->prng, 50);
}

static void sleep_for(struct machine *m, uint64_t time)
{
    m->now += time;
    m->asleep += time;
    m->sleeps++;
}

static uint64_t mono(struct machine *m)
{
    pass(m);
    return 1000 + m->now - m->asleep;
}

static uint64_t boot(struct machine *m)
{
    pass(m);
    return 5000 + m->now;
}

/* One reading; it sleeps before read number `at`, if that is 0 or 1. */
static bool look(struct machine *m, struct slept *s, unsigned at, uint64_t time)
{
    if (at == 0) {
        sleep_for(m, time);
    }
    uint64_t before = mono(m);
    if (at == 1) {
        sleep_for(m, time);
    }
    uint64_t between = boot(m);
    return slept_look(s, before, between, mono(m));
}

static void slept__a_late_reader_is_no_sleeper(void)
{
    struct machine m = {.prng = {7}};
    struct slept s;
    slept_init(&s);
    for (int i = 0; i < 100000; i++) {
        EXPECT(!look(&m, &s, 2, 0));
    }
    EXPECT(s.most >= 4000 && s.most < 4010);
}

/* A long one at once, a short one by the first reading that is narrow enough; and then no more. */
static void slept__a_sleep_is_told_once(void)
{
    struct machine m = {.prng = {8}};
    struct slept s;
    slept_init(&s);
    for (int i = 0; i < 4000; i++) {
        for (int k = 0; k < 60; k++) { /* some reading is narrow */
            EXPECT(!look(&m, &s, 2, 0));
        }
        bool brief = prng_below(&m.prng, 2) == 0;
        bool told = look(&m, &s, (unsigned)prng_below(&m.prng, 2), brief ? 300 : 200000);
        EXPECT(told || brief);
        for (int k = 0; !told && k < 60; k++) {
            told = look(&m, &s, 2, 0);
        }
        EXPECT(told);
    }
    EXPECT(m.sleeps == 4000);
}

/* Clocks that are wrong about each other make no bound that wraps. */
static void slept__a_boot_clock_behind_is_none(void)
{
    struct slept s;
    slept_init(&s);
    EXPECT(!slept_look(&s, 100, 50, 101) && s.most == 0);
    EXPECT(!slept_look(&s, 200, 150, 201) && s.most == 0);
    EXPECT(slept_look(&s, 300, 400, 301) && s.most == 100);
}

TAP_MAIN({
    RUN(slept__a_late_reader_is_no_sleeper);
    RUN(slept__a_sleep_is_told_once);
    RUN(slept__a_boot_clock_behind_is_none);
})
