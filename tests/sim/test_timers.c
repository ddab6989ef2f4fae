/* test_timers.c - the events of virtual time, against a sorted model. */
#include "base/prng.h"
#include "sim/simmem.h"
#include "sim/timers.h"
#include "tests/tap.h"

#include <stdbool.h>

#define TIMERS 200
#define STEPS  20000

struct model {
    bool armed;
    uint64_t when, order;
};

static struct timer timer[TIMERS];
static struct model model[TIMERS];

/* The model's first, or -1. */
static int model_first(void)
{
    int best = -1;
    for (int i = 0; i < TIMERS; i++) {
        bool less = best < 0 || model[i].when < model[best].when ||
                    (model[i].when == model[best].when && model[i].order < model[best].order);
        best = model[i].armed && less ? i : best;
    }
    return best;
}

static bool same_first(const struct timers *ts)
{
    int want = model_first();
    return timers_first(ts) == (want < 0 ? NULL : &timer[want]);
}

static void step(struct timers *ts, struct prng *g, uint64_t order)
{
    uint64_t i = prng_below(g, TIMERS);
    switch (prng_below(g, 4)) {
    case 0:
    case 1:
        model[i] = (struct model){true, prng_below(g, 50), order}; /* few values: many ties */
        timers_set(ts, &timer[i], model[i].when);
        break;
    case 2:
        model[i].armed = false;
        timers_remove(ts, &timer[i]);
        break;
    default:
        if (model_first() >= 0) {
            model[model_first()].armed = false;
            timers_remove(ts, timers_first(ts));
        }
    }
}

static void first_is_the_models(void)
{
    struct timers ts;
    struct prng g = {7};
    timers_init(&ts, simmem());
    bool same = true;
    for (uint64_t n = 1; n <= STEPS && same; n++) {
        step(&ts, &g, n);
        same = same_first(&ts);
    }
    EXPECT(same);
    while (same && model_first() >= 0) {
        int i = model_first();
        model[i].armed = false;
        timers_remove(&ts, timers_first(&ts));
        EXPECT(timer[i].at == 0);
        same = same_first(&ts);
    }
    EXPECT(same);
    EXPECT(ts.count == 0);
    timers_release(&ts);
}

static void removing_twice_is_harmless(void)
{
    struct timers ts;
    struct timer a = {0}, b = {0};
    timers_init(&ts, simmem());
    timers_remove(&ts, &a);
    timers_set(&ts, &a, UINT64_MAX);
    timers_set(&ts, &b, 0);
    timers_remove(&ts, &a);
    timers_remove(&ts, &a);
    EXPECT(timers_first(&ts) == &b);
    EXPECT(ts.count == 1);
    timers_release(&ts);
}

TAP_MAIN(RUN(first_is_the_models); RUN(removing_twice_is_harmless);)
