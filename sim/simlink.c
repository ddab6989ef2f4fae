/* simlink.c - see simlink.h. */
#include "sim/simlink.h"

#include "base/ck.h"
#include "sim/latency.h"
#include "sim/simnet_int.h"

#define NS_PER_US 1000u
#define NS_PER_MS 1000000u
#define NS_PER_S  1000000000u
#define RATE_MAX  10000000000u
#define LOSSES    15 /* in a row, at most */

/* ---- the table ---- */

static struct simlink *link_new(struct simnet *n, const struct host *from, const struct host *to)
{
    struct world *w = n->world;
    struct simlink *l = mem_zalloc(w->mem, sizeof *l);
    CK(l != NULL);
    l->net = n;
    l->from = from;
    l->to = to;
    chooser_stream_init(&l->time, &w->chooser, CHOOSE_NET_TIME, (uint64_t)from->id << 32 | to->id);
    enum simlink_kind kind = (enum simlink_kind)plan_get(w->plan, PLAN_NET_PROFILE);
    if (kind != SIMLINK_PLAIN) {
        l->profile = simlink_draw(&l->time, kind);
    }
    return l;
}

/* Rows by the sender's id, in them links by the receiver's; both grow as hosts are met. */
struct simlink *simlink_between(struct simnet *n, const struct host *from, const struct host *to)
{
    if (from == to) {
        return NULL;
    }
    struct mem *mem = n->world->mem;
    if (from->id >= n->row_count) {
        size_t count = from->id + 1;
        n->rows = mem_resize(mem, n->rows, count * sizeof *n->rows);
        CK(n->rows != NULL);
        for (; n->row_count < count; n->row_count++) {
            n->rows[n->row_count] = (struct simlink_row){.count = 0};
        }
    }
    struct simlink_row *row = &n->rows[from->id];
    if (to->id >= row->count) {
        size_t count = to->id + 1;
        row->to = mem_resize(mem, row->to, count * sizeof(struct simlink *));
        CK(row->to != NULL);
        for (; row->count < count; row->count++) {
            row->to[row->count] = NULL;
        }
    }
    if (row->to[to->id] == NULL) {
        row->to[to->id] = link_new(n, from, to);
    }
    return row->to[to->id];
}

void simlink_free_all(struct simnet *n)
{
    struct mem *mem = n->world->mem;
    for (size_t i = 0; i < n->row_count; i++) {
        for (size_t k = 0; k < n->rows[i].count; k++) {
            if (n->rows[i].to[k] != NULL) {
                mem_release(mem, n->rows[i].to[k]->cuts);
                mem_release(mem, n->rows[i].to[k]);
            }
        }
        mem_release(mem, n->rows[i].to);
    }
    mem_release(mem, n->rows);
}

/* ---- time ---- */

struct simlink_profile simlink_draw(struct chooser_stream *s, enum simlink_kind kind)
{
    bool wan = kind == SIMLINK_WAN || (kind == SIMLINK_MIXED && choose(s, 2) == 1);
    uint64_t low = wan ? NS_PER_MS : 50 * NS_PER_US;
    uint64_t high = wan ? 80 * NS_PER_MS : 500 * NS_PER_US;
    while (low * 2 < high && choose(s, 2) == 1) {
        low *= 2; /* by magnitude */
    }
    uint64_t top = low * 2 < high ? low * 2 : high;
    struct simlink_profile p = {.latency_ns = choose_between(s, low, top)};
    p.jitter_ns = choose(s, p.latency_ns / 2 + 1);
    p.tail_ppm = 1000;
    return p;
}

static uint64_t latency(struct simnet *n, struct simlink *l)
{
    struct world *w = n->world;
    bool own = l != NULL && l->profile.latency_ns > 0;
    struct chooser_stream *s = own ? &l->time : &n->time;
    uint64_t median =
        own ? l->profile.latency_ns : plan_get(w->plan, PLAN_NET_LATENCY_US) * NS_PER_US;
    uint64_t ns = latency_draw(s, median);
    if (own && l->profile.jitter_ns > 0) {
        ns += choose(s, l->profile.jitter_ns + 1);
    }
    if (world_fault(w, s, PLAN_NET_TAIL)) {
        return latency_tail(s, ns);
    }
    bool tail = own && l->profile.tail_ppm > 0 && w->faults;
    return tail && choose_chance(s, l->profile.tail_ppm) ? latency_tail(s, ns) : ns;
}

/* Bytes a second now; 0: no limit. */
static uint64_t rate_of(const struct simlink *l)
{
    uint64_t rate = l->profile.bandwidth;
    if (rate == 0) {
        rate = plan_get(l->net->world->plan, PLAN_NET_BANDWIDTH);
    }
    if (l->clog > 0 && (rate == 0 || l->clog < rate)) {
        rate = l->clog;
    }
    return rate < RATE_MAX ? rate : RATE_MAX;
}

static uint64_t ns_for(uint64_t bytes, uint64_t rate)
{
    return rate == 0 ? 0 : bytes / rate * NS_PER_S + bytes % rate * NS_PER_S / rate;
}

static uint64_t bytes_in(uint64_t ns, uint64_t rate)
{
    return ns / NS_PER_S * rate + ns % NS_PER_S * rate / NS_PER_S;
}

bool simlink_lost(struct simlink *l)
{
    if (l == NULL) {
        return false;
    }
    struct world *w = l->net->world;
    bool lost = world_fault(w, &l->time, PLAN_NET_LOSS) ||
                (l->profile.loss_ppm > 0 && choose_chance(&l->time, l->profile.loss_ppm));
    l->lost += lost;
    l->net->effects[SIMNET_LOST] += lost;
    return lost;
}

/* How much later a segment leaves for good because it was lost, perhaps again and again. */
static uint64_t lateness(struct simlink *l)
{
    uint64_t late = 0;
    for (unsigned k = 0; k < LOSSES && simlink_lost(l); k++) {
        late += simlink_rto(k);
    }
    return late;
}

uint64_t simlink_rto(unsigned k)
{
    uint64_t rto = SIMLINK_RTO_FIRST << (k < 10 ? k : 10);
    return rto < SIMLINK_RTO_LAST ? rto : SIMLINK_RTO_LAST;
}

void simlink_send(struct simnet *n, struct simlink *l, struct segment *g)
{
    uint64_t now = n->world->sched.now;
    g->sent = now;
    g->late = 0;
    g->lag = latency(n, l);
    if (l != NULL) {
        uint64_t from = l->free_at > now ? l->free_at : now;
        g->sent = from + ns_for(g->bytes, rate_of(l));
        l->free_at = g->sent;
        g->late = lateness(l);
    }
    g->when = g->sent + g->late + g->lag;
}

uint64_t simlink_packet(struct simnet *n, struct simlink *l)
{
    uint64_t now = n->world->sched.now;
    uint64_t from = l != NULL && l->free_at > now ? l->free_at : now;
    return from + latency(n, l);
}

/* What still waits for its turn at `was` bytes a second goes on at the rate of now. */
static uint64_t other_rate(const struct simlink *l, uint64_t at, uint64_t was)
{
    uint64_t now = l->net->world->sched.now;
    return at <= now || was == 0 ? at : now + ns_for(bytes_in(at - now, was), rate_of(l));
}

static void retime(struct half *h, uint64_t was)
{
    const struct simlink *l = simconn_link(h);
    uint64_t last = 0;
    for (size_t i = h->head; i < h->count; i++) {
        struct segment *g = &h->segments[i];
        g->sent = other_rate(l, g->sent, was);
        uint64_t when = g->sent + g->late + g->lag;
        g->when = when > last ? when : last;
        last = g->when;
    }
    h->last_when = last > 0 ? last : h->last_when;
    if (h->timer.at != 0 && h->retries == 0 && h->head < h->count) {
        simconn_arm(h);
    }
}

static void rate_changed(struct simlink *l, uint64_t was)
{
    if (rate_of(l) == was) {
        return;
    }
    l->free_at = other_rate(l, l->free_at, was);
    struct simnet *n = l->net;
    for (struct list *at = n->conns.next; at != &n->conns; at = at->next) {
        struct simconn *c = LIST_ENTRY(at, struct simconn, link);
        for (int i = 0; i < 2; i++) {
            if (c->wire[i] == l) {
                retime(&c->half[i], was);
            }
        }
    }
}

void simlink_set_profile(struct world *w, const struct host *from, const struct host *to,
                         const struct simlink_profile *p)
{
    struct simlink *l = simlink_between(w->net, from, to);
    CK(l != NULL);
    uint64_t was = rate_of(l);
    l->profile = *p;
    rate_changed(l, was);
}

void simlink_clog(struct world *w, const struct host *from, const struct host *to, uint64_t rate)
{
    struct simlink *l = simlink_between(w->net, from, to);
    CK(l != NULL);
    uint64_t was = rate_of(l);
    l->clog = rate;
    rate_changed(l, was);
}

/* ---- cuts ---- */

static bool applies(const struct simlink_cut *cut, const struct simlink_packet *p)
{
    switch (cut->what) {
    case SIMLINK_ALL:
        return true;
    case SIMLINK_PORT:
        return p->port == cut->value;
    case SIMLINK_NOT_PORT:
        return p->port != cut->value;
    case SIMLINK_CONN:
        return p->conn == cut->value;
    case SIMLINK_BIGGER:
        return p->bytes > cut->value;
    }
    return false;
}

enum simlink_mode simlink_judge(const struct simlink *l, const struct simlink_packet *p)
{
    if (l == NULL) {
        return SIMLINK_PASS;
    }
    for (size_t i = 0; i < l->cut_count; i++) {
        const struct simlink_cut *cut = &l->cuts[i].cut;
        if (applies(cut, p) && !(p->ack && cut->acks_pass)) {
            return cut->mode;
        }
    }
    return SIMLINK_PASS;
}

uint64_t simlink_cut(struct world *w, const struct host *from, const struct host *to,
                     const struct simlink_cut *cut)
{
    struct simlink *l = simlink_between(w->net, from, to);
    CK(l != NULL);
    CK(cut->mode != SIMLINK_PASS);
    l->cuts = mem_resize(w->mem, l->cuts, (l->cut_count + 1) * sizeof *l->cuts);
    CK(l->cuts != NULL);
    l->cuts[l->cut_count] = (struct simlink_numbered){++w->net->cut_ids, *cut};
    l->cut_count++;
    simconn_link_changed(l);
    return w->net->cut_ids;
}

void simlink_heal(struct world *w, const struct host *from, const struct host *to, uint64_t cut)
{
    struct simlink *l = simlink_between(w->net, from, to);
    CK(l != NULL);
    for (size_t i = 0; i < l->cut_count; i++) {
        if (l->cuts[i].id == cut) {
            l->cut_count--;
            for (; i < l->cut_count; i++) {
                l->cuts[i] = l->cuts[i + 1];
            }
            simconn_link_changed(l);
            return;
        }
    }
}

static void make_well(struct simlink *l)
{
    uint64_t was = rate_of(l);
    l->clog = 0;
    rate_changed(l, was);
    if (l->cut_count > 0) {
        l->cut_count = 0;
        simconn_link_changed(l);
    }
}

void simlink_heal_all(struct world *w)
{
    struct simnet *n = w->net;
    for (size_t i = 0; i < n->row_count; i++) {
        for (size_t k = 0; k < n->rows[i].count; k++) {
            if (n->rows[i].to[k] != NULL) {
                make_well(n->rows[i].to[k]);
            }
        }
    }
}

void simlink_heal_among(struct world *w, struct host *const *hosts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            if (i != k) {
                make_well(simlink_between(w->net, hosts[i], hosts[k]));
            }
        }
    }
}

/* ---- flips ---- */

void simlink_flip_next(struct world *w, const struct host *from, const struct host *to, uint64_t n)
{
    struct simlink *l = simlink_between(w->net, from, to);
    CK(l != NULL);
    l->flips_due += n;
}

static bool flips_now(struct simlink *l)
{
    struct simnet *n = l->net;
    if (l->flips_due > 0) {
        l->flips_due--;
        return true;
    }
    uint32_t most = n->world->flip_hosts;
    if (most > 0 && (l->from->id > most || l->to->id > most)) {
        return false; /* programs there have no checksum */
    }
    if (n->flips >= plan_get(n->world->plan, PLAN_NET_FLIP_MAX)) {
        return false; /* beyond that, one might get past a checksum of 32 bits */
    }
    return world_fault(n->world, &l->time, PLAN_NET_FLIP);
}

void simlink_arrived(struct simlink *l, unsigned char *data, size_t bytes)
{
    if (l == NULL) {
        return;
    }
    l->delivered += bytes;
    if (!flips_now(l)) {
        return;
    }
    uint64_t bit = choose(&l->time, bytes * 8);
    data[bit / 8] = (unsigned char)(data[bit / 8] ^ 1u << bit % 8);
    l->flipped++;
    l->net->flips++;
    world_trace(l->net->world, TRACE_FAULT, "bit flipped on the wire", bit);
}

/* ---- questions ---- */

bool simlink_passes(struct world *w, const struct host *from, const struct host *to, uint16_t port)
{
    const struct simlink_packet p = {.port = port};
    return simlink_judge(simlink_between(w->net, from, to), &p) == SIMLINK_PASS;
}

struct simlink_state simlink_state(struct world *w, const struct host *from, const struct host *to)
{
    struct simnet *n = w->net;
    const struct simlink *l = simlink_between(n, from, to);
    CK(l != NULL);
    struct simlink_state s = {.cuts = (unsigned)l->cut_count,
                              .waiting_ns =
                                  l->free_at > w->sched.now ? l->free_at - w->sched.now : 0,
                              .delivered = l->delivered,
                              .lost = l->lost,
                              .flipped = l->flipped};
    for (struct list *at = n->conns.next; at != &n->conns; at = at->next) {
        const struct simconn *c = LIST_ENTRY(at, struct simconn, link);
        for (int i = 0; i < 2; i++) {
            s.in_flight += c->wire[i] == l ? c->half[i].fly.size : 0;
        }
    }
    return s;
}
