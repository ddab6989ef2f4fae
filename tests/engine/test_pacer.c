/* test_pacer.c - a limit that holds, in order, and lets go at once.
 *
 * With one thread the clock is made up: waiting for a time moves it there. */
#include "base/prng.h"
#include "engine/pacer.h"
#include "env/env_posix.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#define SECOND ((uint64_t)1000000000)

/* ---- an Env whose clock moves when somebody waits for it ---- */

struct clockenv {
    struct inject te; /* first: the Env's address is the clockenv's */
    uint64_t now;
    uint64_t waits;
    bool early; /* every second wait ends without cause, half way */
    struct pacer *set_rate;
    uint64_t rate; /* what the next wait sets before it ends */
};

static struct env *posix;

static uint64_t clock_now(struct env *e)
{
    return ((struct clockenv *)(void *)e)->now;
}

static enum status clock_wait(struct env *e, struct env_cond *c, struct env_mutex *m,
                              uint64_t mono_ns)
{
    struct clockenv *k = (struct clockenv *)(void *)e;
    (void)c;
    k->waits++;
    EXPECT(mono_ns != ENV_NEVER);
    EXPECT(mono_ns > k->now);
    if (k->set_rate != NULL) {
        struct pacer *p = k->set_rate;
        k->set_rate = NULL;
        env_mutex_unlock(e, m);
        pacer_set(p, k->rate);
        env_mutex_lock(e, m);
        return ST_OK;
    }
    if (k->early && k->waits % 2 == 0) {
        k->now += (mono_ns - k->now) / 2;
        return ST_OK;
    }
    k->now = mono_ns;
    return ST_TIMEOUT;
}

static void begin(struct clockenv *k, struct pacer *p, uint64_t rate)
{
    *k = (struct clockenv){.now = 1000 * SECOND};
    test_env_init(&k->te, posix);
    k->te.vt.clock_mono = clock_now;
    k->te.vt.cond_wait = clock_wait;
    pacer_init(p, &k->te.env, rate);
}

static void pacer__without_a_rate_nobody_waits(void)
{
    struct clockenv k;
    struct pacer p;
    struct pacer_stats st;
    begin(&k, &p, 0);
    for (int i = 0; i < 100; i++) {
        pacer_wait(&p, UINT64_MAX / 200);
    }
    EXPECT(k.waits == 0);
    pacer_stats(&p, &st);
    EXPECT(st.bytes == UINT64_MAX / 200 * 100 && st.waits == 0 && st.waited_ns == 0);
    pacer_release(&p);
    pacer_release(&(struct pacer){0});
}

static void pacer__the_rate_is_met(void)
{
    static const uint64_t rates[] = {1, 100, 1000000, 50000000, PACER_RATE_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        uint64_t rate = rates[i] < PACER_RATE_MAX ? rates[i] : PACER_RATE_MAX;
        struct clockenv k;
        struct pacer p;
        begin(&k, &p, rates[i]);
        uint64_t start = k.now;
        k.early = i % 2 == 0;
        for (int n = 0; n < 101; n++) {
            EXPECT(pacer_pace(&p, rate / 10 + 1) ==
                   ST_OK); /* the last one's time is not waited for */
        }
        uint64_t want =
            (rate / 10 + 1) * 100 / rate * SECOND + (rate / 10 + 1) * 100 % rate * SECOND / rate;
        EXPECT(k.now - start <= want);
        EXPECT(k.now - start + PACER_BURST_NS + 200 >= want);
        struct pacer_stats st;
        pacer_stats(&p, &st);
        EXPECT(st.waited_ns == k.now - start);
        pacer_release(&p);
    }
}

/* L1 over every span between two requests, with pauses of any length. */
static void pacer__no_span_gets_more(void)
{
    enum { REQUESTS = 120 };
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct prng r = {seed};
        struct clockenv k;
        struct pacer p;
        uint64_t rate = 1 + prng_next(&r) % 10000000;
        uint64_t at[REQUESTS], bytes[REQUESTS];
        begin(&k, &p, rate);
        for (int i = 0; i < REQUESTS; i++) {
            k.now += prng_next(&r) % 3 == 0 ? prng_next(&r) % SECOND : 0;
            bytes[i] = prng_next(&r) % rate;
            pacer_wait(&p, bytes[i]);
            at[i] = k.now;
        }
        for (int i = 0; i < REQUESTS; i++) {
            double sum = 0;
            for (int j = i; j < REQUESTS; j++) {
                double span = (double)(at[j] - at[i]) + PACER_BURST_NS + REQUESTS;
                EXPECT(sum <= span * (double)rate / (double)SECOND);
                sum += (double)bytes[j];
            }
        }
        pacer_release(&p);
    }
}

static void pacer__idle_time_allows_a_short_burst(void)
{
    struct clockenv k;
    struct pacer p;
    begin(&k, &p, SECOND); /* a byte a nanosecond */
    pacer_wait(&p, 1);
    k.now += 10 * SECOND;
    uint64_t start = k.now;
    for (int i = 0; i < 10; i++) {
        pacer_wait(&p, PACER_BURST_NS / 10);
    }
    EXPECT(k.waits == 0);
    pacer_wait(&p, 1000);
    EXPECT(k.waits == 0);
    pacer_wait(&p, 1);
    EXPECT(k.now == start + 1000);
    pacer_release(&p);
}

static void pacer__a_new_rate_counts_for_what_is_owed(void)
{
    struct clockenv k;
    struct pacer p;
    begin(&k, &p, 1000);
    pacer_wait(&p, 100000); /* 100 s are owed */
    uint64_t start = k.now;
    k.set_rate = &p;
    k.rate = 10000;
    pacer_wait(&p, 1);
    EXPECT(k.now - start <= 10 * SECOND);
    EXPECT(k.now - start + 2 * PACER_BURST_NS * 10 >= 10 * SECOND);
    pacer_wait(&p, 100000);
    start = k.now;
    k.set_rate = &p;
    k.rate = 0;
    pacer_wait(&p, 1);
    EXPECT(k.now == start);
    pacer_set(&p, 1); /* what went through without a rate is not owed */
    pacer_wait(&p, 1);
    EXPECT(k.now == start);
    pacer_release(&p);
}

static void pacer__who_is_in_a_hurry_does_not_wait(void)
{
    struct clockenv k;
    struct pacer p;
    begin(&k, &p, 1000);
    pacer_hurry(&p, true);
    pacer_hurry(&p, true);
    pacer_hurry(&p, false);
    for (int i = 0; i < 10; i++) {
        pacer_wait(&p, 1000000);
    }
    EXPECT(k.waits == 0);
    pacer_hurry(&p, false);
    pacer_wait(&p, 1000);
    EXPECT(k.waits == 0); /* the hurry's bytes are not owed */
    pacer_wait(&p, 1);
    EXPECT(k.waits == 1);
    pacer_wait(&p, 1000000);
    pacer_hurry(&p, true); /* what is owed is forgiven */
    pacer_hurry(&p, false);
    k.waits = 0;
    pacer_wait(&p, 1);
    EXPECT(k.waits == 0);
    pacer_release(&p);
}

/* ---- real threads, and an Env that notes who was let through when ---- */

enum { THREADS = 6 };

struct orderenv {
    struct inject te; /* first */
    struct pacer *p;
    uint64_t bytes; /* all this is under the pacer's mutex */
    uint64_t order[THREADS + 1];
    size_t count;
};

struct asker {
    struct pacer *p;
    uint64_t bytes;
    struct env_thread thread;
};

static void order_unlock(struct env *e, struct env_mutex *m)
{
    struct orderenv *o = (struct orderenv *)(void *)e;
    if (o->p->bytes != o->bytes && o->count < THREADS + 1) {
        o->order[o->count++] = o->p->bytes - o->bytes;
        o->bytes = o->p->bytes;
    }
    env_mutex_unlock(o->te.under, m);
}

static void ask(void *arg)
{
    struct asker *a = arg;
    pacer_wait(a->p, a->bytes);
}

static uint64_t asked(struct pacer *p)
{
    env_mutex_lock(p->env, &p->mutex);
    uint64_t n = p->next;
    env_mutex_unlock(p->env, &p->mutex);
    return n;
}

/* Threads queue up behind a debt of years, and then it is let go of: by hurry or by the rate. */
static void in_order(bool hurry)
{
    struct orderenv o = {0};
    struct pacer p;
    struct asker askers[THREADS];
    test_env_init(&o.te, posix);
    o.p = &p;
    o.te.vt.mutex_unlock = order_unlock;
    pacer_init(&p, &o.te.env, 1);
    pacer_wait(&p, 1000000000);
    for (uint64_t i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.p = &p, .bytes = 10 + i};
        EXPECT(env_thread_start(posix, &askers[i].thread, "asker", ask, &askers[i]) == ST_OK);
        while (asked(&p) < i + 2) {
            env_sleep_until(posix, env_clock_mono(posix) + 100000); /* until he stands in line */
        }
    }
    EXPECT(o.count == 1); /* nobody is through */
    if (hurry) {
        pacer_hurry(&p, true);
    } else {
        pacer_set(&p, 0);
    }
    for (int i = 0; i < THREADS; i++) {
        env_thread_join(posix, &askers[i].thread);
    }
    EXPECT(o.count == THREADS + 1);
    for (uint64_t i = 0; i < THREADS; i++) {
        EXPECT(o.order[i + 1] == 10 + i);
    }
    struct pacer_stats st;
    pacer_stats(&p, &st);
    EXPECT(st.waits == THREADS);
    pacer_release(&p);
}

static void pacer__who_asks_first_goes_first(void)
{
    in_order(true);
    in_order(false);
}

struct crowd {
    struct pacer *p;
    struct env_thread thread;
};

static void crowd_run(void *arg)
{
    struct crowd *c = arg;
    for (uint64_t i = 0; i < 300; i++) {
        pacer_wait(c->p, 10000);
    }
}

/* Rates and hurries change under a crowd; everybody gets through, and everything is counted. */
static void pacer__threads(void)
{
    struct pacer p;
    struct crowd crowd[THREADS];
    pacer_init(&p, posix, 500000000);
    for (int i = 0; i < THREADS; i++) {
        crowd[i].p = &p;
        EXPECT(env_thread_start(posix, &crowd[i].thread, "crowd", crowd_run, &crowd[i]) == ST_OK);
    }
    for (uint64_t i = 0; i < 200; i++) {
        pacer_set(&p, i % 7 == 0 ? 0 : i * 10000000);
        pacer_hurry(&p, true);
        pacer_hurry(&p, false);
    }
    pacer_set(&p, 1000000000);
    for (int i = 0; i < THREADS; i++) {
        env_thread_join(posix, &crowd[i].thread);
    }
    struct pacer_stats st;
    pacer_stats(&p, &st);
    EXPECT(st.bytes == (uint64_t)THREADS * 300 * 10000);
    pacer_release(&p);
}

TAP_MAIN({
    if (env_posix_new(NULL, &posix) != ST_OK) {
        return 1;
    }
    RUN(pacer__without_a_rate_nobody_waits);
    RUN(pacer__the_rate_is_met);
    RUN(pacer__no_span_gets_more);
    RUN(pacer__idle_time_allows_a_short_burst);
    RUN(pacer__a_new_rate_counts_for_what_is_owed);
    RUN(pacer__who_is_in_a_hurry_does_not_wait);
    RUN(pacer__who_asks_first_goes_first);
    RUN(pacer__threads);
    env_posix_free(posix);
})
