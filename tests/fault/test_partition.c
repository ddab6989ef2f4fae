/* test_partition.c - the kinds of partition: what each promises of its links, for every draw. */
#include "fault/partition.h"

#include "base/prng.h"
#include "tests/tap.h"

#include <string.h>

#define DRAWS 2000u
#define MS    1000000u

static uint64_t roll(void *arg, uint64_t n)
{
    return prng_below(arg, n);
}

static struct partition_who who_of(unsigned nodes, unsigned clients, int leader)
{
    return (struct partition_who){
        .nodes = nodes, .clients = clients, .leader = leader, .election_ns = 150 * MS};
}

/* How many nodes that one sees, itself among them, both ways. */
static unsigned sees(const struct partition *p, unsigned nodes, unsigned i)
{
    unsigned n = 0;
    for (unsigned k = 0; k < nodes; k++) {
        n += !partition_is_cut(p, i, k) && !partition_is_cut(p, k, i);
    }
    return n;
}

/* Pairs of nodes with a cut between them, and whether any is cut in one way only. */
static unsigned pairs(const struct partition *p, unsigned nodes, bool *one_way)
{
    unsigned n = 0;
    *one_way = false;
    for (unsigned i = 0; i < nodes; i++) {
        for (unsigned k = i + 1; k < nodes; k++) {
            bool there = partition_is_cut(p, i, k);
            bool back = partition_is_cut(p, k, i);
            n += there || back;
            *one_way = *one_way || there != back;
        }
    }
    return n;
}

typedef void check_fn(const struct partition *p, unsigned nodes);

static void each(enum partition_kind kind, unsigned nodes, unsigned clients, check_fn *check)
{
    struct prng g = {kind * 1000 + nodes};
    const struct partition_dice dice = {roll, &g};
    for (unsigned i = 0; i < DRAWS; i++) {
        struct partition p;
        const struct partition_who who = who_of(nodes, clients, (int)(i % (nodes + 1)) - 1);
        partition_draw(&p, kind, &who, &dice);
        EXPECT(p.kind == kind && p.hosts == nodes + clients && p.text[0] != '\0');
        for (unsigned k = 0; k < p.hosts; k++) {
            EXPECT(!partition_is_cut(&p, k, k));
            EXPECT(p.cut[k] >> p.hosts == 0);
        }
        check(&p, nodes);
    }
}

static void is_isolated(const struct partition *p, unsigned nodes)
{
    unsigned alone = 0, others = 0;
    for (unsigned i = 0; i < nodes; i++) {
        alone += sees(p, nodes, i) == 1;
        others += sees(p, nodes, i) == nodes - 1;
    }
    EXPECT(nodes == 2 ? alone == 2 : alone == 1 && others == nodes - 1);
}

static void is_halved(const struct partition *p, unsigned nodes)
{
    unsigned a = sees(p, nodes, 0);
    EXPECT(a >= 1 && a < nodes);
    for (unsigned i = 0; i < nodes; i++) {
        bool with = i == 0 || !partition_is_cut(p, 0, i);
        EXPECT(sees(p, nodes, i) == (with ? a : nodes - a));
    }
}

static void is_bridged(const struct partition *p, unsigned nodes)
{
    unsigned bridges = 0;
    for (unsigned i = 0; i < nodes; i++) {
        unsigned n = sees(p, nodes, i);
        bridges += n == nodes;
        EXPECT(n == nodes || n == (nodes - 1) / 2 + 1 || n == nodes / 2 + 1);
    }
    EXPECT(bridges == 1);
}

static uint64_t view(const struct partition *p, unsigned nodes, unsigned i)
{
    return ~p->cut[i] & (((uint64_t)1 << nodes) - 1);
}

static void is_ring(const struct partition *p, unsigned nodes)
{
    bool one_way;
    EXPECT(pairs(p, nodes, &one_way) > 0 && !one_way);
    for (unsigned i = 0; i < nodes; i++) {
        EXPECT(sees(p, nodes, i) >= nodes / 2 + 1);
        for (unsigned k = 0; k < i; k++) {
            EXPECT(view(p, nodes, i) != view(p, nodes, k));
        }
    }
}

static void is_hub(const struct partition *p, unsigned nodes)
{
    unsigned hubs = 0;
    for (unsigned i = 0; i < nodes; i++) {
        hubs += sees(p, nodes, i) == nodes;
        EXPECT(sees(p, nodes, i) == nodes || sees(p, nodes, i) == 2);
    }
    EXPECT(hubs == 1);
}

static void is_link(const struct partition *p, unsigned nodes)
{
    bool one_way;
    EXPECT(pairs(p, nodes, &one_way) == 1 && !one_way);
}

static void is_one_way(const struct partition *p, unsigned nodes)
{
    bool one_way;
    EXPECT(pairs(p, nodes, &one_way) >= 1 && one_way);
    for (unsigned i = 0; i < nodes; i++) {
        for (unsigned k = 0; k < nodes; k++) {
            EXPECT(!(partition_is_cut(p, i, k) && partition_is_cut(p, k, i)));
        }
    }
    EXPECT(!p->acks_pass || p->mode == PARTITION_DROP);
}

static void is_by_role(const struct partition *p, unsigned nodes)
{
    bool one_way;
    EXPECT(p->filter == PARTITION_PEERS || p->filter == PARTITION_CLIENTS);
    EXPECT(pairs(p, nodes, &one_way) > 0 && !one_way);
    uint64_t of_clients = 0;
    for (unsigned c = nodes; c < p->hosts; c++) {
        of_clients |= p->cut[c];
    }
    EXPECT((of_clients != 0) == (p->filter == PARTITION_CLIENTS));
}

static void is_by_class(const struct partition *p, unsigned nodes)
{
    bool one_way;
    EXPECT(p->filter == PARTITION_ONE ||
           (p->filter == PARTITION_BIGGER && p->bytes >= 100 && p->mode == PARTITION_DROP));
    EXPECT(pairs(p, nodes, &one_way) > 0 && !one_way);
}

static void is_flapping(const struct partition *p, unsigned nodes)
{
    bool one_way;
    EXPECT(p->flap_ns >= 50 * MS && p->flap_ns <= 5000u * (uint64_t)MS);
    EXPECT(p->base != PARTITION_FLAP && pairs(p, nodes, &one_way) > 0);
}

static void test_partition__every_kind_is_what_it_says(void)
{
    for (unsigned nodes = 2; nodes <= 9; nodes++) {
        each(PARTITION_ISOLATE, nodes, 3, is_isolated);
        each(PARTITION_HALVES, nodes, 3, is_halved);
        each(PARTITION_LINK, nodes, 3, is_link);
        each(PARTITION_ONEWAY, nodes, 3, is_one_way);
        each(PARTITION_ROLES, nodes, 3, is_by_role);
        each(PARTITION_CLASS, nodes, 3, is_by_class);
        each(PARTITION_FLAP, nodes, 3, is_flapping);
        if (nodes >= 3) {
            each(PARTITION_BRIDGE, nodes, 3, is_bridged);
            each(PARTITION_RING, nodes, 3, is_ring);
            each(PARTITION_HUB, nodes, 3, is_hub);
        }
    }
}

static void cuts_a_client(const struct partition *p, unsigned nodes)
{
    EXPECT(nodes == 1 && p->cut[0] != 0);
    for (unsigned i = 1; i < p->hosts; i++) {
        EXPECT(partition_is_cut(p, 0, i) == partition_is_cut(p, i, 0));
    }
}

/* A node alone can be cut from clients; where there are none, nothing fits. */
static void test_partition__a_group_of_one(void)
{
    const struct partition_who nobody = who_of(1, 0, 0), some = who_of(1, 3, 0);
    each(PARTITION_ISOLATE, 1, 3, cuts_a_client);
    for (int k = 0; k < PARTITION_KINDS; k++) {
        bool fits = k == PARTITION_ISOLATE || k == PARTITION_FLAP;
        EXPECT(partition_fits((enum partition_kind)k, &some) == fits);
        EXPECT(!partition_fits((enum partition_kind)k, &nobody));
    }
}

/* Half of the time clients are on sides, and then one of them is with the lone node and sees
 * nothing else; the other half they see everybody. */
static void test_partition__clients_are_on_sides_half_of_the_time(void)
{
    struct prng g = {7};
    const struct partition_dice dice = {roll, &g};
    const struct partition_who who = who_of(5, 3, 2);
    unsigned placed = 0, with_leader = 0;
    for (unsigned i = 0; i < DRAWS; i++) {
        struct partition p;
        partition_draw(&p, PARTITION_ISOLATE, &who, &dice);
        unsigned lone = 0;
        while (sees(&p, 5, lone) != 1) {
            lone++;
        }
        with_leader += lone == 2;
        unsigned with = 0, touched = 0;
        for (unsigned c = 5; c < 8; c++) {
            bool home = p.cut[c] == (31u & ~(1u << lone));
            bool other = p.cut[c] == 1u << lone;
            EXPECT(home || other || p.cut[c] == 0);
            with += home;
            touched += home || other;
            for (unsigned k = 0; k < 5; k++) {
                EXPECT(partition_is_cut(&p, c, k) == partition_is_cut(&p, k, c));
            }
        }
        EXPECT(touched == 0 || (touched == 3 && with >= 1));
        placed += touched > 0;
    }
    EXPECT(placed > DRAWS * 4 / 10 && placed < DRAWS * 6 / 10);
    EXPECT(with_leader > DRAWS * 5 / 10 && with_leader < DRAWS * 7 / 10); /* 1/2 + 1/2 * 1/5 */
}

/* Median 3 election timeouts, some below half of one, a few up to 100. */
static void test_partition__durations_are_log_normal(void)
{
    struct prng g = {9};
    const struct partition_dice dice = {roll, &g};
    const struct partition_who who = who_of(3, 0, -1);
    unsigned below_median = 0, short_ones = 0, long_ones = 0, staggered = 0;
    uint64_t most = 0;
    for (unsigned i = 0; i < 5 * DRAWS; i++) {
        struct partition p;
        partition_draw(&p, PARTITION_LINK, &who, &dice);
        below_median += p.ns < 3 * who.election_ns;
        short_ones += p.ns < who.election_ns / 2;
        long_ones += p.ns > 30 * who.election_ns;
        staggered += p.staggered;
        most = p.ns > most ? p.ns : most;
    }
    EXPECT(below_median > 4800 && below_median < 5200);
    EXPECT(short_ones > 200 && short_ones < 800);
    EXPECT(long_ones > 80 && long_ones < 300);
    EXPECT(staggered > 4500 && staggered < 5500);
    EXPECT(most > 90 * who.election_ns && most <= 100 * who.election_ns);
}

/* Kinds come by weight: the given ones, or their own where all are 0. */
static void test_partition__kinds_come_by_weight(void)
{
    static const uint32_t natural[PARTITION_KINDS] = {0};
    static const uint32_t two[PARTITION_KINDS] = {[PARTITION_HUB] = 3, [PARTITION_LINK] = 1};
    struct prng g = {11};
    const struct partition_dice dice = {roll, &g};
    const struct partition_who five = who_of(5, 2, 0), pair = who_of(2, 0, 0);
    unsigned n[PARTITION_KINDS + 1] = {0}, few[PARTITION_KINDS + 1] = {0};
    for (unsigned i = 0; i < 10000; i++) {
        n[partition_draw_kind(natural, &five, &dice)]++;
        few[partition_draw_kind(two, &five, &dice)]++;
        EXPECT(partition_draw_kind(two, &pair, &dice) == PARTITION_LINK);
    }
    EXPECT(n[PARTITION_KINDS] == 0 && n[PARTITION_FLAP] > 100 && n[PARTITION_FLAP] < 300);
    EXPECT(n[PARTITION_ISOLATE] > 2300 && n[PARTITION_ISOLATE] < 2700);
    EXPECT(few[PARTITION_HUB] > 7200 && few[PARTITION_HUB] < 7800);
    EXPECT(few[PARTITION_HUB] + few[PARTITION_LINK] == 10000);
}

static void test_partition__sets_are_cut_by_hand(void)
{
    struct partition p;
    partition_init(&p, 4);
    partition_cut_sets(&p, 1, 2 | 4);
    partition_cut_way(&p, 8, 15);
    EXPECT(partition_is_cut(&p, 0, 1) && partition_is_cut(&p, 2, 0) && !partition_is_cut(&p, 1, 2));
    EXPECT(partition_is_cut(&p, 3, 0) && !partition_is_cut(&p, 0, 3) &&
           !partition_is_cut(&p, 3, 3));
    EXPECT(!partition_is_cut(&p, 100, 0) && !partition_is_cut(&p, 0, 100));
}

TAP_MAIN({
    RUN(test_partition__every_kind_is_what_it_says);
    RUN(test_partition__a_group_of_one);
    RUN(test_partition__clients_are_on_sides_half_of_the_time);
    RUN(test_partition__durations_are_log_normal);
    RUN(test_partition__kinds_come_by_weight);
    RUN(test_partition__sets_are_cut_by_hand);
})
