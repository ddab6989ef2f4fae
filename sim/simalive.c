/* simalive.c - keepalive of the simulated network. See simnet.h.
 *
 * A healthy connection's probes change nothing, so there are none: the clock of a side runs only
 * while its peer cannot be heard. It stops where Linux would: the first probe comes when the
 * connection was idle for so long, three of them a third of that apart, or what the user timeout
 * leaves; a side with bytes on their way leaves it to their retransmission. */
#include "sim/simnet_int.h"

#define PROBES   3
#define NS_PER_S 1000000000u

/* The other side's kernel knows nothing of this connection. */
static bool unknown_there(const struct simconn *c, int side)
{
    const struct simsock *other = c->side[1 - side];
    return other == NULL ? !c->ghost : other->gone || other->forgot;
}

static bool unheard(const struct simconn *c, int side)
{
    const struct half *out = &c->half[side];
    return !simconn_ack_passes(out) || !simconn_ack_passes(&c->half[1 - side]) ||
           !c->host[1 - side]->up || unknown_there(c, side);
}

static bool counts(const struct simconn *c, int side)
{
    const struct simsock *s = c->side[side];
    return s != NULL && s->keepalive_ns > 0 && s->state == SOCK_OPEN && s->owned && !s->gone;
}

/* The first probe from now on that gets no answer. */
static uint64_t first_probe(const struct simconn *c, int side)
{
    uint64_t now = c->net->world->sched.now;
    uint64_t every = c->side[side]->keepalive_ns;
    return now + every - (now - c->heard[side]) % every;
}

static uint64_t end_of_hope(const struct simconn *c, int side)
{
    const struct simsock *s = c->side[side];
    uint64_t step = s->keepalive_ns / PROBES > NS_PER_S ? s->keepalive_ns / PROBES : NS_PER_S;
    uint64_t probe = first_probe(c, side);
    if (c->host[1 - side]->up && unknown_there(c, side) && simconn_ack_passes(&c->half[side])) {
        return probe; /* it is answered with RST */
    }
    if (s->user_timeout_ns == 0) {
        return probe + PROBES * step;
    }
    uint64_t limit = probe - s->keepalive_ns + s->user_timeout_ns;
    return limit > probe + step ? limit : probe + step;
}

void simalive_look(struct simconn *c, int side)
{
    struct timers *timers = &c->net->world->sched.timers;
    struct timer *t = &c->alive[side].timer;
    bool on = counts(c, side) && unheard(c, side);
    if (!on) {
        timers_remove(timers, t);
    } else {
        uint64_t when = end_of_hope(c, side);
        if (t->at == 0 || when < t->when) {
            timers_set(timers, t, when);
        }
    }
}

static void give_up(struct simconn *c, int side)
{
    bool known = !unknown_there(c, side) || !c->host[1 - side]->up;
    struct half *out = &c->half[side];
    struct half *in = &c->half[1 - side];
    bool reset = !known && simconn_ack_passes(out) && simconn_ack_passes(in);
    c->side[side]->forgot = true;
    c->net->effects[SIMNET_KEEPALIVE]++;
    simconn_probe_window(in);
    simsock_break(c->side[side], reset ? ST_RESET : ST_TIMEOUT);
    simconn_settle(c);
}

void simalive_fire(struct timer *t)
{
    struct simalive *a = LIST_ENTRY(t, struct simalive, timer);
    struct simconn *c = a->conn;
    int side = a->side;
    if (!counts(c, side) || !unheard(c, side)) {
        return;
    }
    if (c->half[side].head < c->half[side].count || c->half[side].unacked > 0) {
        timers_set(&c->net->world->sched.timers, t,
                   c->net->world->sched.now + c->side[side]->keepalive_ns);
        return;
    }
    give_up(c, side);
}
