/* partition.c - see partition.h. */
#include "fault/partition.h"

#include "base/ck.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_MS 1000000u
#define QUANTILES 64
#define FLAP_MIN  (50 * (uint64_t)NS_PER_MS)
#define FLAP_MAX  (5000 * (uint64_t)NS_PER_MS)

static const struct {
    const char *name;
    uint32_t weight;
    unsigned nodes; /* at least */
} kinds[PARTITION_KINDS] = {
    [PARTITION_ISOLATE] = {"isolate", 25, 1}, [PARTITION_HALVES] = {"halves", 15, 2},
    [PARTITION_BRIDGE] = {"bridge", 15, 3},   [PARTITION_RING] = {"ring", 8, 3},
    [PARTITION_HUB] = {"hub", 7, 3},          [PARTITION_LINK] = {"link", 8, 2},
    [PARTITION_ONEWAY] = {"oneway", 12, 2},   [PARTITION_ROLES] = {"roles", 5, 2},
    [PARTITION_CLASS] = {"class", 3, 2},      [PARTITION_FLAP] = {"flap", 2, 1},
};

/* 1000 exp(1.1 z) at the middle of each of 64 equal slices of the normal distribution, but for the
 * last, which stands for all that is longer. */
static const uint16_t spread[QUANTILES - 1] = {
    70,   112,  144,  172,  198,  223,  247,  270,  294,  317,  341,  365,  389,  413,  438,  463,
    489,  515,  542,  570,  598,  628,  658,  688,  720,  753,  788,  823,  860,  898,  937,  979,
    1022, 1067, 1114, 1163, 1215, 1270, 1327, 1388, 1452, 1521, 1594, 1671, 1754, 1844, 1940, 2044,
    2158, 2282, 2419, 2571, 2741, 2932, 3150, 3403, 3699, 4055, 4494, 5057, 5819, 6944, 8901,
};

const char *partition_name(enum partition_kind kind)
{
    return kinds[kind].name;
}

static uint64_t below(const struct partition_dice *d, uint64_t n)
{
    return n > 1 ? d->below(d->arg, n) : 0;
}

/* ---- sets of hosts ---- */

void partition_init(struct partition *p, unsigned hosts)
{
    *p = (struct partition){.kind = PARTITION_HALVES, .base = PARTITION_HALVES, .ns = UINT64_MAX};
    p->hosts = hosts < PARTITION_HOSTS_MAX ? hosts : PARTITION_HOSTS_MAX;
}

void partition_cut_way(struct partition *p, uint64_t from, uint64_t to)
{
    for (unsigned i = 0; i < p->hosts; i++) {
        if ((from >> i & 1) != 0) {
            p->cut[i] |= to & ~((uint64_t)1 << i);
        }
    }
}

void partition_cut_sets(struct partition *p, uint64_t a, uint64_t b)
{
    partition_cut_way(p, a, b);
    partition_cut_way(p, b, a);
}

static uint64_t bit(unsigned host)
{
    return (uint64_t)1 << host;
}

static uint64_t first_bits(unsigned n)
{
    return n >= 64 ? UINT64_MAX : bit(n) - 1;
}

/* A draw in the making. */
struct making {
    struct partition *p;
    const struct partition_who *who;
    const struct partition_dice *dice;
    unsigned order[PARTITION_HOSTS_MAX]; /* the nodes, shuffled; the leader first with p 1/2 */
    unsigned nodes;
    unsigned home; /* a node on a small side */
    size_t at;     /* in p->text */
};

static uint64_t ask(struct making *m, uint64_t n)
{
    return below(m->dice, n);
}

static uint64_t set_of(const struct making *m, unsigned first, unsigned end)
{
    uint64_t set = 0;
    for (unsigned i = first; i < end; i++) {
        set |= bit(m->order[i]);
    }
    return set;
}

static void shuffle(struct making *m)
{
    for (unsigned i = 0; i < m->nodes; i++) {
        m->order[i] = i;
    }
    for (unsigned i = m->nodes; i > 1; i--) {
        unsigned k = (unsigned)ask(m, i);
        unsigned other = m->order[k];
        m->order[k] = m->order[i - 1];
        m->order[i - 1] = other;
    }
    for (unsigned i = 0; i < m->nodes; i++) {
        bool leads = m->who->leader >= 0 && m->order[i] == (unsigned)m->who->leader;
        if (leads && ask(m, 2) == 0) {
            m->order[i] = m->order[0];
            m->order[0] = (unsigned)m->who->leader;
            break;
        }
    }
    m->home = m->order[0];
}

/* ---- text ---- */

static void say(struct making *m, const char *text)
{
    int n = snprintf(m->p->text + m->at, PARTITION_TEXT - m->at, "%s", text);
    m->at = m->at + (size_t)n < PARTITION_TEXT ? m->at + (size_t)n : PARTITION_TEXT - 1;
}

static void say_set(struct making *m, uint64_t set, const char *before)
{
    for (unsigned i = 0; i < PARTITION_HOSTS_MAX; i++) {
        if ((set >> i & 1) != 0) {
            char host[16];
            (void)snprintf(host, sizeof host, "%s%u", before, i);
            say(m, host);
            before = " ";
        }
    }
}

/* ---- the kinds ---- */

static void between(struct making *m, uint64_t a, uint64_t b)
{
    partition_cut_sets(m->p, a, b);
    say_set(m, a, " ");
    say_set(m, b, "|");
}

/* A lone node has clients only: one of them, and each of the others with p 1/2. */
static void isolate(struct making *m)
{
    uint64_t all = first_bits(m->nodes);
    uint64_t one = bit(m->order[0]);
    if (m->nodes == 1) {
        unsigned clients = m->p->hosts - 1;
        all = bit(1 + (unsigned)ask(m, clients));
        for (unsigned i = 0; i < clients; i++) {
            all |= ask(m, 2) == 0 ? bit(1 + i) : 0;
        }
    }
    between(m, one, all & ~one);
}

static void halves(struct making *m)
{
    unsigned n = m->nodes;
    unsigned size = ask(m, 2) == 0 ? n / 2 : 1 + (unsigned)ask(m, n - 1);
    if (2 * size > n) {
        m->home = m->order[size];
    }
    between(m, set_of(m, 0, size), set_of(m, size, n));
}

static void bridge(struct making *m)
{
    unsigned n = m->nodes;
    unsigned size = (n - 1) / 2;
    partition_cut_sets(m->p, set_of(m, 0, size), set_of(m, size, n - 1));
    say_set(m, set_of(m, 0, size), " ");
    say_set(m, set_of(m, n - 1, n), "|");
    say_set(m, set_of(m, size, n - 1), "|");
}

/* On a circle each sees its neighbours, as many as make a majority. Three nodes make a chain. */
static void ring(struct making *m)
{
    unsigned n = m->nodes;
    unsigned sees = (n / 2 + 1) / 2; /* on either hand */
    if (n == 3) {
        partition_cut_sets(m->p, bit(m->order[0]), bit(m->order[2]));
    }
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = i + 1; k < n; k++) {
            unsigned apart = k - i < n - (k - i) ? k - i : n - (k - i);
            if (apart > sees) {
                partition_cut_sets(m->p, bit(m->order[i]), bit(m->order[k]));
            }
        }
    }
    for (unsigned i = 0; i < n; i++) {
        say_set(m, bit(m->order[i]), i == 0 ? " " : "-");
    }
}

static void hub(struct making *m)
{
    unsigned n = m->nodes;
    for (unsigned i = 0; i + 1 < n; i++) {
        partition_cut_sets(m->p, bit(m->order[i]), set_of(m, i + 1, n - 1));
    }
    say_set(m, bit(m->order[n - 1]), " ");
}

static void oneway(struct making *m)
{
    unsigned n = m->nodes;
    unsigned size = ask(m, 2) == 0 ? n - 1 : 1 + (unsigned)ask(m, n - 1);
    uint64_t one = bit(m->order[0]);
    uint64_t others = set_of(m, 1, 1 + size);
    bool sends = ask(m, 2) == 0; /* it does not hear, or is not heard */
    partition_cut_way(m->p, sends ? others : one, sends ? one : others);
    say_set(m, sends ? others : one, " ");
    say_set(m, sends ? one : others, ">");
    m->p->acks_pass = ask(m, 2) == 0;
}

/* Connections of nodes are cut between the two sides; or a side's clients are cut off from it. */
static void roles(struct making *m)
{
    unsigned n = m->nodes;
    unsigned size = ask(m, 2) == 0 ? 1 : n / 2;
    uint64_t side = set_of(m, 0, size);
    bool peers = m->p->hosts == n || ask(m, 2) == 0;
    m->p->filter = peers ? PARTITION_PEERS : PARTITION_CLIENTS;
    say(m, peers ? " peers" : " clients");
    between(m, side, peers ? set_of(m, size, n) : first_bits(m->p->hosts) & ~side);
}

static void class(struct making *m)
{
    uint64_t one = bit(m->order[0]);
    uint64_t others = ask(m, 2) == 0 ? bit(m->order[1]) : set_of(m, 1, m->nodes);
    m->p->filter = ask(m, 2) == 0 ? PARTITION_BIGGER : PARTITION_ONE;
    m->p->bytes = 100 + ask(m, 1300);
    say(m, m->p->filter == PARTITION_ONE ? " one connection" : " big packets");
    between(m, one, others);
}

static void links(struct making *m, enum partition_kind kind)
{
    static void (*const make[PARTITION_KINDS])(struct making * m) = {
        [PARTITION_ISOLATE] = isolate, [PARTITION_HALVES] = halves, [PARTITION_BRIDGE] = bridge,
        [PARTITION_RING] = ring,       [PARTITION_HUB] = hub,       [PARTITION_ONEWAY] = oneway,
        [PARTITION_ROLES] = roles,     [PARTITION_CLASS] = class,
    };
    say(m, m->at > 0 ? " " : "");
    say(m, kinds[kind].name);
    if (kind == PARTITION_LINK) {
        between(m, bit(m->order[0]), bit(m->order[1]));
    } else {
        make[kind](m);
    }
}

/* ---- clients ---- */

/* A client on a side sees what one node there sees. At least one is on a small side, where a leader
 * may not know yet that it leads no more. */
static void place_clients(struct making *m)
{
    struct partition *p = m->p;
    unsigned n = m->nodes;
    bool theirs = p->filter == PARTITION_PEERS || p->filter == PARTITION_CLIENTS;
    if (n < 2 || p->hosts == n || theirs || ask(m, 2) == 0) {
        return;
    }
    unsigned small = n + (unsigned)ask(m, p->hosts - n);
    for (unsigned c = n; c < p->hosts; c++) {
        unsigned home = c == small ? m->home : (unsigned)ask(m, n);
        p->cut[c] |= p->cut[home] & first_bits(n);
        for (unsigned i = 0; i < n; i++) {
            p->cut[i] |= (p->cut[i] >> home & 1) << c;
        }
    }
    say(m, " +clients");
}

/* ---- drawing ---- */

bool partition_fits(enum partition_kind kind, const struct partition_who *who)
{
    bool somebody = who->nodes > 1 || (who->nodes == 1 && who->clients > 0);
    return somebody && who->nodes >= kinds[kind].nodes;
}

enum partition_kind partition_draw_kind(const uint32_t weights[PARTITION_KINDS],
                                        const struct partition_who *who,
                                        const struct partition_dice *dice)
{
    uint64_t given = 0, sum = 0;
    for (int k = 0; k < PARTITION_KINDS; k++) {
        given += weights[k];
    }
    uint64_t w[PARTITION_KINDS];
    for (int k = 0; k < PARTITION_KINDS; k++) {
        bool fits = partition_fits((enum partition_kind)k, who);
        w[k] = !fits ? 0 : given > 0 ? weights[k] : kinds[k].weight;
        sum += w[k];
    }
    if (sum == 0) {
        return PARTITION_KINDS;
    }
    uint64_t at = below(dice, sum);
    int k = 0;
    while (at >= w[k]) {
        at -= w[k++];
    }
    return (enum partition_kind)k;
}

/* Log-normal, median 3 election timeouts, at most 100. */
static uint64_t draw_ns(struct making *m)
{
    uint64_t unit = m->who->election_ns;
    uint64_t k = ask(m, QUANTILES);
    if (k == QUANTILES - 1) {
        return unit * 40 + unit * ask(m, 61);
    }
    return unit * 3 * spread[k] / 1000;
}

/* From 50 ms to 5 s by magnitude, or around an election timeout. */
static uint64_t draw_flap(struct making *m)
{
    if (ask(m, 2) == 0) {
        return m->who->election_ns / 2 + ask(m, m->who->election_ns * 3 / 2 + 1);
    }
    uint64_t low = FLAP_MIN;
    while (low * 2 < FLAP_MAX && ask(m, 4) != 0) {
        low *= 2;
    }
    uint64_t top = low * 2 < FLAP_MAX ? low * 2 : FLAP_MAX;
    return low + ask(m, top - low + 1);
}

static enum partition_mode draw_mode(struct making *m)
{
    uint64_t k = ask(m, 10);
    bool drops = k < 8 || m->p->filter == PARTITION_BIGGER || m->p->acks_pass;
    return drops ? PARTITION_DROP : k == 8 ? PARTITION_REJECT : PARTITION_RESET;
}

void partition_draw(struct partition *p, enum partition_kind kind, const struct partition_who *who,
                    const struct partition_dice *dice)
{
    static const char *const modes[] = {"", " reject", " reset"};
    static const uint32_t natural[PARTITION_KINDS] = {0};
    struct making m = {.p = p, .who = who, .dice = dice, .nodes = who->nodes};
    CK(partition_fits(kind, who));
    CK(who->nodes <= PARTITION_HOSTS_MAX / 2);
    partition_init(p, who->nodes + who->clients);
    p->kind = kind;
    p->base = kind;
    p->ns = draw_ns(&m);
    while (p->base == PARTITION_FLAP) {
        p->base = partition_draw_kind(natural, who, dice);
    }
    if (kind == PARTITION_FLAP) {
        say(&m, kinds[kind].name);
        p->flap_ns = draw_flap(&m);
    }
    shuffle(&m);
    links(&m, p->base);
    place_clients(&m);
    p->mode = draw_mode(&m);
    say(&m, modes[p->mode]);
    p->staggered = ask(&m, 2) == 0;
    p->gap_ns = 2 * who->election_ns;
}
