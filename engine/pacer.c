/* pacer.c - see pacer.h. */
#include "engine/pacer.h"

#include "base/ck.h"

#define SECOND      ((uint64_t)1000000000)
#define SECONDS_MAX ((uint64_t)1 << 29) /* years: no debt is longer */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How long so many bytes take, and how many bytes fit in so long; rate is 1..PACER_RATE_MAX, so no
 * product overflows. */
static uint64_t ns_of(uint64_t bytes, uint64_t rate)
{
    return least(bytes / rate, SECONDS_MAX) * SECOND + bytes % rate * SECOND / rate;
}

static uint64_t bytes_of(uint64_t ns, uint64_t rate)
{
    return least(ns / SECOND, SECONDS_MAX) * rate + ns % SECOND * rate / SECOND;
}

void pacer_init(struct pacer *p, struct env *env, uint64_t bytes_per_s)
{
    *p = (struct pacer){.env = env, .rate = least(bytes_per_s, PACER_RATE_MAX)};
    env_mutex_init(env, &p->mutex);
    env_cond_init(env, &p->changed);
}

void pacer_release(struct pacer *p)
{
    if (p->env != NULL) {
        CK(p->next == p->serving);
        env_cond_release(p->env, &p->changed);
        env_mutex_release(p->env, &p->mutex);
    }
    *p = (struct pacer){0};
}

/* Until when the one whose turn it is must wait; 0: not at all. Under the mutex. */
static uint64_t wait_until(struct pacer *p, uint64_t now)
{
    return p->rate != 0 && p->hurry == 0 && p->free_at > now ? p->free_at : 0;
}

/* Pays for bytes at the time now. Under the mutex. */
static void pay(struct pacer *p, uint64_t now, uint64_t bytes)
{
    p->bytes += bytes;
    if (p->rate != 0 && p->hurry == 0) {
        uint64_t earliest = now > PACER_BURST_NS ? now - PACER_BURST_NS : 0;
        p->free_at = p->free_at > earliest ? p->free_at : earliest;
        p->free_at += ns_of(bytes, p->rate);
    }
}

void pacer_wait(struct pacer *p, uint64_t bytes)
{
    env_mutex_lock(p->env, &p->mutex);
    uint64_t ticket = p->next++;
    uint64_t start = env_clock_mono(p->env), now = start;
    while (ticket != p->serving || wait_until(p, now) != 0) {
        uint64_t until = ticket != p->serving ? ENV_NEVER : wait_until(p, now);
        (void)env_cond_wait(p->env, &p->changed, &p->mutex, until); /* the clock tells */
        now = env_clock_mono(p->env);
    }
    pay(p, now, bytes);
    p->waits += now > start;
    p->waited_ns += now - start;
    p->serving++;
    if (p->serving != p->next) {
        env_cond_broadcast(p->env, &p->changed);
    }
    env_mutex_unlock(p->env, &p->mutex);
}

enum status pacer_pace(void *arg, uint64_t bytes)
{
    pacer_wait(arg, bytes);
    return ST_OK;
}

void pacer_set(struct pacer *p, uint64_t bytes_per_s)
{
    env_mutex_lock(p->env, &p->mutex);
    uint64_t now = env_clock_mono(p->env);
    uint64_t rate = least(bytes_per_s, PACER_RATE_MAX);
    if (p->rate != 0 && p->free_at > now) { /* what is owed stays, in bytes */
        uint64_t owed = bytes_of(p->free_at - now, p->rate);
        p->free_at = rate != 0 ? now + ns_of(owed, rate) : now;
    }
    p->rate = rate;
    env_cond_broadcast(p->env, &p->changed);
    env_mutex_unlock(p->env, &p->mutex);
}

void pacer_hurry(struct pacer *p, bool on)
{
    env_mutex_lock(p->env, &p->mutex);
    CK(on || p->hurry > 0);
    p->hurry = on ? p->hurry + 1 : p->hurry - 1;
    p->free_at = 0; /* what was owed is forgiven */
    env_cond_broadcast(p->env, &p->changed);
    env_mutex_unlock(p->env, &p->mutex);
}

void pacer_stats(struct pacer *p, struct pacer_stats *s)
{
    env_mutex_lock(p->env, &p->mutex);
    *s = (struct pacer_stats){.bytes = p->bytes, .waits = p->waits, .waited_ns = p->waited_ns};
    env_mutex_unlock(p->env, &p->mutex);
}
