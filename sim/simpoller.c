/* simpoller.c - the simulated epoll; see simnet.h. */
#include "base/ck.h"
#include "sim/simnet_int.h"

#define SPINS_MAX  20000u
#define SPIN_STEPS 64u /* of the scheduler, for one */

bool simsock_over(const struct simsock *s)
{
    return s->state == SOCK_OPEN && s->conn->half[0].fin_in && s->conn->half[1].fin_in;
}

unsigned simsock_ready(const struct simsock *s)
{
    if (s->state == SOCK_LISTENING) {
        return list_empty(&s->queue) ? 0 : ENV_IN;
    }
    if (s->state == SOCK_CONNECTING) {
        return 0;
    }
    if (s->state == SOCK_DEAD) {
        return (s->never ? 0 : ENV_IN) | ENV_OUT | ENV_HUP |
               (s->error != ST_OK ? (unsigned)ENV_ERR : 0);
    }
    const struct half *out = &s->conn->half[s->side];
    const struct half *in = &s->conn->half[1 - s->side];
    unsigned ready = 0;
    if (in->in.size > 0 || in->fin_in) {
        ready |= ENV_IN;
    }
    if (out->fin_sent || simconn_room(out) > 0) {
        ready |= ENV_OUT;
    }
    if (in->fin_in && out->fin_sent) {
        ready |= ENV_HUP;
    }
    return ready;
}

static void poller_poke(struct simpoller *p)
{
    (void)proc_wake_all(p->owner, WAIT_POLLER, p); /* nobody may be waiting */
}

static void interest_notify(struct interest *i, unsigned what)
{
    unsigned relevant = what & (i->mask | ENV_ERR | ENV_HUP);
    if (relevant == 0) {
        return;
    }
    i->arrived |= relevant;
    if (list_empty(&i->ready)) {
        list_insert(&i->poller->ready, &i->ready);
    }
    poller_poke(i->poller);
}

void simsock_notify(struct simsock *s, unsigned what)
{
    for (struct list *l = s->watchers.next; l != &s->watchers; l = l->next) {
        interest_notify(LIST_ENTRY(l, struct interest, by_sock), what);
    }
}

static void interest_free(struct interest *i)
{
    list_remove(&i->by_poller);
    list_remove(&i->by_sock);
    list_remove(&i->ready);
    mem_release(i->poller->owner->world->mem, i);
}

void simsock_unwatch(struct simsock *s)
{
    while (!list_empty(&s->watchers)) {
        interest_free(LIST_ENTRY(s->watchers.next, struct interest, by_sock));
    }
}

struct simpoller *simpoller_new(struct proc *owner)
{
    struct simpoller *p = mem_zalloc(owner->world->mem, sizeof *p);
    p->owner = owner;
    list_init(&p->interests);
    list_init(&p->ready);
    list_insert(&owner->pollers, &p->link);
    return p;
}

void simpoller_free(struct simpoller *p)
{
    while (!list_empty(&p->interests)) {
        interest_free(LIST_ENTRY(p->interests.next, struct interest, by_poller));
    }
    list_remove(&p->link);
    mem_release(p->owner->world->mem, p);
}

enum status simpoller_set(struct simpoller *p, struct simsock *s, unsigned interest, uint64_t token)
{
    struct interest *i = NULL;
    for (struct list *l = s->watchers.next; l != &s->watchers; l = l->next) {
        struct interest *at = LIST_ENTRY(l, struct interest, by_sock);
        i = at->poller == p ? at : i;
    }
    if (interest == 0) {
        if (i != NULL) {
            interest_free(i);
        }
        return ST_OK;
    }
    if (i == NULL) {
        i = mem_zalloc(p->owner->world->mem, sizeof *i);
        i->poller = p;
        i->sock = s;
        list_init(&i->ready);
        list_insert(&p->interests, &i->by_poller);
        list_insert(&s->watchers, &i->by_sock);
    }
    i->mask = interest;
    i->token = token;
    i->arrived = 0;
    unsigned now = simsock_ready(s);
    if (s->state == SOCK_OPEN && (now & ENV_OUT) == 0 && (interest & ENV_OUT) != 0) {
        s->wants_room = true; /* a write that just filled the buffer did not ask */
    }
    interest_notify(i, now); /* what is ready already counts as arriving */
    return ST_OK;
}

/* What this interest reports now; 0 takes it off the ready list. As epoll does, an edge tells all
 * that is ready, not just what is new. */
static unsigned reportable(struct interest *i)
{
    unsigned now = simsock_ready(i->sock);
    if ((now & ENV_OUT) == 0) {
        i->sock->wants_room = true;
    }
    now &= i->mask | ENV_ERR | ENV_HUP;
    return (i->mask & ENV_EDGE) != 0 && i->arrived == 0 ? 0 : now;
}

/* Up to max of the events there are, in a drawn order; the rest stays for the next wait. */
static int collect(struct simpoller *p, struct env_event *events, int max)
{
    struct chooser_stream *s = &p->owner->net_fault;
    uint64_t ready = 0;
    for (struct list *l = p->ready.next; l != &p->ready;) {
        struct interest *i = LIST_ENTRY(l, struct interest, ready);
        l = l->next;
        if (reportable(i) == 0) {
            list_remove(&i->ready);
        } else {
            ready++;
        }
    }
    uint64_t want = ready < (uint64_t)max ? ready : (uint64_t)max;
    if (want > 1 && choose_chance(s, 250000)) {
        want = 1 + choose(s, want);
    }
    int count = 0;
    for (uint64_t left = ready; (uint64_t)count < want; left--) {
        uint64_t k = choose(s, left);
        struct list *l = p->ready.next;
        while (k-- > 0) {
            l = l->next;
        }
        struct interest *i = LIST_ENTRY(l, struct interest, ready);
        events[count++] = (struct env_event){i->token, reportable(i)};
        i->arrived = 0;
        /* To the end: those not drawn yet stay in front. */
        list_remove(&i->ready);
        list_insert(&p->ready, &i->ready);
    }
    return count;
}

/* Readiness that is not there, for one socket that somebody reads. */
static int spurious(struct simpoller *p, struct env_event *events)
{
    uint64_t n = 0;
    for (struct list *l = p->interests.next; l != &p->interests; l = l->next) {
        n++;
    }
    if (n == 0 || !world_fault(p->owner->world, &p->owner->net_fault, PLAN_NET_SPURIOUS)) {
        return 0;
    }
    uint64_t k = choose(&p->owner->net_fault, n);
    struct list *l = p->interests.next;
    while (k-- > 0) {
        l = l->next;
    }
    const struct interest *i = LIST_ENTRY(l, struct interest, by_poller);
    bool deciding = i->sock->state == SOCK_CONNECTING; /* epoll never lies about a connect */
    if (deciding || (i->mask & ENV_IN) == 0) {
        return 0;
    }
    events[0] = (struct env_event){i->token, ENV_IN};
    return 1;
}

/* A poller that returns at once, again and again, to a process that does nothing with it; one that
 * sleeps in between is slow, not busy. */
static void watch_for_spinning(struct simpoller *p, bool parked)
{
    struct proc *owner = p->owner;
    struct sched *s = &owner->world->sched;
    if (parked || owner->spins == 0) {
        owner->spins = 0;
        owner->spins_since = s->now;
    }
    owner->spins += !parked;
    if (owner->spins < SPINS_MAX) {
        return;
    }
    if (s->now - owner->spins_since < SPINS_MAX * SPIN_STEPS * s->step_ns) {
        world_fail(owner->world, "busy loop",
                   "%s waited %u times for events that were there, and did nothing else",
                   owner->name, SPINS_MAX);
        proc_die_now(owner, "busy loop"); /* it would not give way by itself */
    }
    owner->spins = 0;
}

size_t simnet_unwatched(struct simnet *n, const struct host *h)
{
    size_t count = 0;
    for (struct list *l = n->socks.next; l != &n->socks; l = l->next) {
        struct simsock *s = LIST_ENTRY(l, struct simsock, link);
        bool open = s->host == h && s->owned && !s->gone && s->conn != NULL;
        if (!open || s->state != SOCK_OPEN || (simsock_ready(s) & ENV_IN) == 0) {
            continue;
        }
        bool told = false;
        for (struct list *k = s->watchers.next; k != &s->watchers; k = k->next) {
            struct interest *i = LIST_ENTRY(k, struct interest, by_sock);
            told = told || (!list_empty(&i->ready) && (reportable(i) & ENV_IN) != 0);
        }
        count += !told;
    }
    return count;
}

enum status simpoller_wait(struct simpoller *p, struct env_event *events, int max, uint64_t mono_ns,
                           int *count)
{
    struct world *w = p->owner->world;
    CK(max > 0);
    *count = 0;
    if (world_fault(w, &p->owner->net_fault, PLAN_NET_INTR)) {
        return ST_INTR;
    }
    *count = spurious(p, events);
    bool parked = false;
    while (*count == 0) {
        *count = collect(p, events, max);
        if (*count > 0 || p->woken || host_mono(p->owner->host) >= mono_ns) {
            break;
        }
        uint64_t when = mono_ns == ENV_NEVER ? ENV_NEVER : host_when(p->owner->host, mono_ns);
        (void)task_park(&w->sched, WAIT_POLLER, p, when); /* the loop looks at the clock */
        parked = true;
    }
    watch_for_spinning(p, parked);
    p->woken = false;
    return ST_OK;
}

void simpoller_wake(struct simpoller *p)
{
    p->woken = true;
    poller_poke(p);
}

void simpoller_subscribe_stop(struct simpoller *p)
{
    p->wants_stop = true;
    if (p->owner->stop_requested) {
        simpoller_wake(p);
    }
}

void simpoller_stop(struct simpoller *p)
{
    if (p->wants_stop) {
        simpoller_wake(p);
    }
}

struct list *simpoller_link(struct simpoller *p)
{
    return &p->link;
}

struct simpoller *simpoller_of_link(struct list *link)
{
    return LIST_ENTRY(link, struct simpoller, link);
}
