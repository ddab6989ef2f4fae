/* test_netsplit.c - a partition on the links of a world: exactly its links, and healed to the last.
 */
#include "sim/netsplit.h"

#include "sim/simlink.h"
#include "sim/simnet.h"
#include "tests/sim/simtest.h"
#include "tests/sim/talker.h"
#include "tests/tap.h"

#include <string.h>

#define HOSTS 5
#define MS    1000000u

struct net {
    struct simtest t;
    struct host *hosts[HOSTS];
};

static void net_open(struct net *n)
{
    simtest_open(&n->t, 1);
    for (int i = 0; i < HOSTS; i++) {
        n->hosts[i] = i == 0 ? n->t.host : world_host(&n->t.world, NULL);
    }
}

/* Links that pass for that port, as rows of bits. */
static void passing(struct net *n, uint16_t port, uint64_t rows[HOSTS])
{
    for (int i = 0; i < HOSTS; i++) {
        rows[i] = 0;
        for (int k = 0; k < HOSTS; k++) {
            bool passes = simlink_passes(&n->t.world, n->hosts[i], n->hosts[k], port);
            rows[i] |= (uint64_t)passes << k;
        }
    }
}

static bool is(struct net *n, uint16_t port, const uint64_t want[HOSTS])
{
    uint64_t rows[HOSTS];
    passing(n, port, rows);
    return memcmp(rows, want, sizeof rows) == 0;
}

static const uint64_t all[HOSTS] = {31, 31, 31, 31, 31};

/* Two groups and one host that sees both: those links, no others, until it is healed. */
static void test_netsplit__cuts_its_links_and_no_others(void)
{
    static const uint64_t bridged[HOSTS] = {1 | 2 | 4, 1 | 2 | 4, 31, 4 | 8 | 16, 4 | 8 | 16};
    struct net n;
    struct netsplit s;
    struct partition p;
    net_open(&n);
    partition_init(&p, HOSTS);
    partition_cut_sets(&p, 1 | 2, 8 | 16);
    netsplit_start(&s, &n.t.world, n.hosts, &p, 0);
    EXPECT(is(&n, 4000, bridged) && s.count == 8);
    netsplit_lift(&s);
    EXPECT(is(&n, 4000, all));
    netsplit_lay(&s);
    netsplit_lay(&s); /* twice is once */
    EXPECT(is(&n, 4000, bridged) && s.count == 8);
    netsplit_heal(&s);
    EXPECT(is(&n, 4000, all));
    netsplit_heal(&s);
    simtest_close(&n.t);
}

static void test_netsplit__heals_link_by_link(void)
{
    struct net n;
    struct netsplit s;
    struct partition p;
    net_open(&n);
    partition_init(&p, HOSTS);
    partition_cut_way(&p, 1, 31);
    netsplit_start(&s, &n.t.world, n.hosts, &p, 0);
    EXPECT(s.count == 4);
    for (size_t i = 0; i < 4; i++) {
        uint64_t rows[HOSTS];
        netsplit_heal_link(&s, i);
        netsplit_heal_link(&s, i);
        passing(&n, 4000, rows);
        EXPECT(__builtin_popcountll(rows[0]) == (int)i + 2 && rows[1] == 31);
    }
    netsplit_heal(&s);
    simtest_close(&n.t);
}

/* What one of two cuts stays cut when the other heals. */
static void test_netsplit__lies_over_another(void)
{
    static const uint64_t alone[HOSTS] = {1, 30, 30, 30, 30};
    struct net n;
    struct netsplit a, b;
    struct partition p, q;
    net_open(&n);
    partition_init(&p, HOSTS);
    partition_cut_sets(&p, 1, 30);
    partition_init(&q, HOSTS);
    partition_cut_sets(&q, 1 | 2, 28);
    netsplit_start(&a, &n.t.world, n.hosts, &p, 0);
    netsplit_start(&b, &n.t.world, n.hosts, &q, 0);
    netsplit_heal(&b);
    EXPECT(is(&n, 4000, alone));
    netsplit_heal(&a);
    EXPECT(is(&n, 4000, all));
    simtest_close(&n.t);
}

/* By roles: connections of nodes are those to the peers' port. */
static void test_netsplit__tells_peers_from_clients(void)
{
    static const uint64_t alone[HOSTS] = {1, 30, 30, 30, 30};
    struct net n;
    struct netsplit s;
    struct partition p;
    net_open(&n);
    partition_init(&p, HOSTS);
    partition_cut_sets(&p, 1, 30);
    p.filter = PARTITION_PEERS;
    netsplit_start(&s, &n.t.world, n.hosts, &p, 4000);
    EXPECT(is(&n, 4000, alone) && is(&n, 5000, all));
    netsplit_heal(&s);
    p.filter = PARTITION_CLIENTS;
    netsplit_start(&s, &n.t.world, n.hosts, &p, 4000);
    EXPECT(is(&n, 4000, all) && is(&n, 5000, alone));
    netsplit_release(&s); /* forgotten, not healed */
    EXPECT(is(&n, 5000, alone));
    simlink_heal_all(&n.t.world);
    EXPECT(is(&n, 5000, all));
    simtest_close(&n.t);
}

struct late {
    struct net *n;
    struct netsplit s;
    struct list tasks;
    size_t nobody, one;
};

static void cut_one_connection(void *arg)
{
    struct late *l = arg;
    struct sched *sched = &l->n->t.world.sched;
    struct partition p;
    partition_init(&p, HOSTS);
    partition_cut_sets(&p, 1, 30);
    p.filter = PARTITION_ONE;
    netsplit_start(&l->s, &l->n->t.world, l->n->hosts, &p, 0);
    l->nobody = l->s.count;
    netsplit_heal(&l->s);
    task_sleep_until(sched, 500 * MS);
    netsplit_start(&l->s, &l->n->t.world, l->n->hosts, &p, 0);
    l->one = l->s.count;
    netsplit_release(&l->s);
}

/* Of single connections it takes those that stand: none at first, one of two later. */
static void test_netsplit__takes_one_connection_of_a_link(void)
{
    struct net n;
    net_open(&n);
    struct talker s1 = {.end_ms = 2000}, s2 = {.end_ms = 2000, .port = 4001};
    struct talker c1 = {.size = 10, .gap_ms = 10, .start_ms = 10, .end_ms = 2000};
    struct talker c2 = {.size = 10, .gap_ms = 10, .start_ms = 20, .end_ms = 2000, .port = 4001};
    struct late l = {.n = &n};
    list_init(&l.tasks);
    c1.peer = c2.peer = n.hosts[0];
    (void)simtest_start(&n.t, n.hosts[0], "s1", talker_main, &s1);
    (void)simtest_start(&n.t, n.hosts[0], "s2", talker_main, &s2);
    (void)simtest_start(&n.t, n.hosts[1], "c1", talker_main, &c1);
    (void)simtest_start(&n.t, n.hosts[1], "c2", talker_main, &c2);
    (void)world_task(&n.t.world, "cut", &l.tasks, cut_one_connection, &l);
    EXPECT(simtest_run(&n.t));
    EXPECT(l.nobody == 0 && l.one == 2);
    EXPECT(talker_heard(&s1, 501, 2000) == 0 && talker_heard(&s2, 501, 2000) > 1400);
    while (!list_empty(&l.tasks)) {
        task_kill(LIST_ENTRY(l.tasks.next, struct task, link));
    }
    simtest_close(&n.t);
}

TAP_MAIN({
    RUN(test_netsplit__cuts_its_links_and_no_others);
    RUN(test_netsplit__heals_link_by_link);
    RUN(test_netsplit__lies_over_another);
    RUN(test_netsplit__tells_peers_from_clients);
    RUN(test_netsplit__takes_one_connection_of_a_link);
})
