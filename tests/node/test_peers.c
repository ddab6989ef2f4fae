/* test_peers.c - connections between nodes, over the simulated network. */
#include "base/code.h"
#include "base/crc32c.h"
#include "net/frame.h"
#include "tests/node/peerlab.h"
#include "tests/tap.h"

#include <stdlib.h>

static struct peerlab lab;

/* Nothing wrong was seen, nothing is left over. */
static void all_well(void)
{
    for (unsigned id = 1; id <= lab.count; id++) {
        const struct peerlab_node *n = &lab.nodes[id];
        EXPECT(n->wrong == 0);
        EXPECT(n->disorder == 0);
        EXPECT(n->leaks[0] == '\0');
        if (n->leaks[0] != '\0') {
            printf("# node %u leaves %s\n", id, n->leaks);
        }
    }
}

static void everybody_heard_everybody(uint64_t least)
{
    for (unsigned a = 1; a <= lab.count; a++) {
        for (unsigned b = 1; b <= lab.count; b++) {
            EXPECT(a == b || lab.nodes[a].heard[b] >= least);
        }
    }
}

static void peers__messages_arrive_whole_and_in_order(void)
{
    peerlab_open(&lab, 1, 3, 5000);
    EXPECT(peerlab_run(&lab));
    all_well();
    for (unsigned a = 1; a <= 3; a++) {
        for (unsigned b = 1; b <= 3; b++) {
            const struct peerlab_node *n = &lab.nodes[a];
            EXPECT(a == b || n->heard[b] + 5 >= lab.nodes[b].sent[a]);
            EXPECT(a == b || n->dropped[b] <= 2); /* before the first dial */
        }
        EXPECT(lab.nodes[a].stats_count == 2);
        EXPECT(lab.nodes[a].stats[0].up && lab.nodes[a].stats[1].up);
        EXPECT(lab.nodes[a].stats[0].heard && lab.nodes[a].stats[1].heard);
        EXPECT(lab.nodes[a].stats[0].connects == 1 && lab.nodes[a].stats[0].replaced == 0);
        EXPECT(lab.nodes[a].stats[0].rtt_ns > 0);
        EXPECT(lab.nodes[a].stats[0].id < lab.nodes[a].stats[1].id);
    }
    peerlab_close(&lab);
}

static void peers__large_messages_in_small_pieces(void)
{
    peerlab_open(&lab, 2, 2, 4000);
    lab.t.plan.value[PLAN_NET_BUFFER] = 4096;
    lab.t.plan.value[PLAN_NET_SPLIT] = 500000;
    lab.nodes[1].large = PEERLAB_LARGE;
    lab.nodes[1].gap_ms = 50;
    EXPECT(peerlab_run(&lab));
    all_well();
    everybody_heard_everybody(20);
    peerlab_close(&lab);
}

/* Whatever the network does: what arrives is right, and things do arrive. */
static void peers__any_network(void)
{
    uint64_t resets = 0, flips = 0, garbage = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        peerlab_open(&lab, seed, 3, 8000);
        plan_draw(&lab.t.plan);
        plan_draw_net(&lab.t.plan);
        lab.t.plan.value[PLAN_NET_LOSS] = seed % 3 == 0 ? 300 : 0;
        if (seed % 5 == 0) { /* large messages on links that they do not fill for ever */
            lab.t.plan.value[PLAN_NET_BUFFER] = 65536;
            lab.t.plan.value[PLAN_NET_BANDWIDTH] = 0;
        }
        for (unsigned id = 1; id <= 3; id++) {
            lab.nodes[id].burst = 1 + (unsigned)(seed % 4);
            lab.nodes[id].large = seed % 5 == 0 ? 100000 : 0;
            lab.nodes[id].slow_ms = seed % 7 == 0 ? 300 : 0;
        }
        bool well = peerlab_run(&lab);
        EXPECT(well);
        if (!well) {
            printf("# seed %llu: %s: %s\n", (unsigned long long)seed, lab.t.world.failure.class,
                   lab.t.world.failure.text);
        }
        int before = tap_failed;
        all_well();
        everybody_heard_everybody(1);
        if (tap_failed != before) {
            printf("# seed %llu\n", (unsigned long long)seed);
        }
        for (unsigned id = 1; id <= 3; id++) {
            garbage += lab.nodes[id].totals.garbage;
        }
        resets += lab.t.world.injected[PLAN_NET_RESET];
        flips += lab.t.world.injected[PLAN_NET_FLIP];
        peerlab_close(&lab);
    }
    printf("# %llu resets, %llu flips, %llu connections closed for what they said\n",
           (unsigned long long)resets, (unsigned long long)flips, (unsigned long long)garbage);
    EXPECT(resets > 0 && flips > 0 && garbage > 0);
}

/* ---- cuts ---- */

static bool cut_there, cut_back;
static uint64_t cut_heal_ms;
static uint64_t
    heard_late[PEERLAB_NODES + 1]; /* when node i heard its peer first, after the heal */
static uint64_t heard_cut[PEERLAB_NODES + 1];

static void cut_and_watch(struct peerlab *l)
{
    peerlab_at(l, 2000);
    peerlab_cut(l, 1, 2, cut_there, cut_back);
    peerlab_at(l, cut_heal_ms);
    for (unsigned id = 1; id <= 2; id++) {
        heard_cut[id] = l->nodes[id].heard[3 - id];
        heard_late[id] = 0;
        l->nodes[id].heard_at[3 - id] = 0;
    }
    simlink_heal_all(&l->t.world);
    for (uint64_t ms = cut_heal_ms; ms < cut_heal_ms + 5000; ms += 10) {
        peerlab_at(l, ms);
        for (unsigned id = 1; id <= 2; id++) {
            bool news = l->nodes[id].heard_at[3 - id] != 0 && heard_late[id] == 0;
            heard_late[id] = news ? ms - cut_heal_ms : heard_late[id];
        }
    }
}

/* A way that works again is used within connect_ms + retry_most_ms and a little. */
static void cut_case(bool there, bool back, uint64_t heal_ms)
{
    cut_there = there;
    cut_back = back;
    cut_heal_ms = heal_ms;
    peerlab_open(&lab, heal_ms, 2, heal_ms + 6000);
    lab.steer = cut_and_watch;
    EXPECT(peerlab_run(&lab));
    all_well();
    for (unsigned id = 1; id <= 2; id++) {
        EXPECT(heard_late[id] > 0 && heard_late[id] <= 1550);
        EXPECT(lab.nodes[id].told[3 - id] > 0); /* what was lost in between was told */
        EXPECT(lab.nodes[id].stats[0].up && lab.nodes[id].stats[0].heard);
        printf("# healed at %llu: node %u heard after %llu ms\n", (unsigned long long)heal_ms, id,
               (unsigned long long)heard_late[id]);
    }
    peerlab_close(&lab);
}

static void peers__a_healed_way_is_used_soon(void)
{
    cut_case(true, true, 6000);
    cut_case(true, true, 20000);
    cut_case(true, true, 33333);
}

static void peers__a_cut_one_way_is_healed_too(void)
{
    cut_case(true, false, 7000);
    cut_case(false, true, 11000);
}

static void flap(struct peerlab *l)
{
    for (uint64_t ms = 1000; ms < 9000; ms += 400) {
        peerlab_at(l, ms);
        peerlab_cut(l, 1, 2, true, ms % 800 == 0);
        peerlab_at(l, ms + 150);
        simlink_heal_all(&l->t.world);
    }
}

static void peers__short_cuts_do_not_cost_the_connection(void)
{
    peerlab_open(&lab, 5, 2, 12000);
    lab.steer = flap;
    EXPECT(peerlab_run(&lab));
    all_well();
    everybody_heard_everybody(600);
    peerlab_close(&lab);
}

static void cut_quietly(struct peerlab *l)
{
    peerlab_at(l, 2000);
    peerlab_cut(l, 1, 2, true, true);
}

/* Nobody sends anything, so nothing is dropped; what was under way may be lost all the same. */
static void peers__the_end_of_a_link_is_told(void)
{
    peerlab_open(&lab, 6, 2, 5000);
    lab.steer = cut_quietly;
    lab.nodes[1].burst = 0;
    lab.nodes[2].burst = 0;
    EXPECT(peerlab_run(&lab));
    all_well();
    EXPECT(lab.nodes[1].told[2] == 1 && lab.nodes[2].told[1] == 1);
    peerlab_close(&lab);
}

/* ---- lives ---- */

static void away_for_long(struct peerlab *l)
{
    peerlab_at(l, 1000);
    l->t.running++;
    proc_kill(l->nodes[2].proc);
    peerlab_at(l, 21000);
    heard_cut[2] = l->nodes[2].heard[1];
    peerlab_start(&l->nodes[2]);
    l->t.running--;
    peerlab_at(l, 21150);
    EXPECT(l->nodes[1].heard[2] > 0 && l->nodes[1].lives[2] == 2);
    EXPECT(l->nodes[2].heard[1] > heard_cut[2]);
}

/* Node 1 would dial again in half a minute: it hears that node 2 is back and does not wait. */
static void peers__who_comes_back_is_dialed_at_once(void)
{
    peerlab_open(&lab, 10, 2, 23000);
    lab.steer = away_for_long;
    lab.nodes[1].options.retry_most_ms = 30000;
    EXPECT(peerlab_run(&lab));
    all_well();
    EXPECT(lab.nodes[1].stats[0].dials < 30); /* and did not dial all the time */
    peerlab_close(&lab);
}

static void kill_and_start(struct peerlab *l)
{
    for (uint64_t ms = 1000; ms < 8000; ms += 1000) {
        peerlab_at(l, ms);
        l->t.running++; /* the world goes on while it is away */
        proc_kill(l->nodes[2].proc);
        peerlab_at(l, ms + 300);
        peerlab_start(&l->nodes[2]);
        l->t.running--;
    }
}

static void peers__a_new_life_takes_the_place_of_the_old(void)
{
    peerlab_open(&lab, 11, 3, 10000);
    lab.steer = kill_and_start;
    EXPECT(peerlab_run(&lab));
    all_well();
    EXPECT(lab.nodes[1].lives[2] == 8);
    EXPECT(lab.nodes[1].heard[2] > 400);
    EXPECT(lab.nodes[1].heard[3] > 900); /* who is not concerned notices nothing */
    EXPECT(lab.nodes[2].heard[1] > 400);
    peerlab_close(&lab);
}

static void power_and_start(struct peerlab *l)
{
    peerlab_at(l, 2000);
    l->t.running++;
    host_power_off(l->nodes[2].host, SIMDISK_KEEP_ALL);
    peerlab_at(l, 2100); /* sooner than anybody could find out */
    host_power_on(l->nodes[2].host);
    peerlab_start(&l->nodes[2]);
    l->t.running--;
}

/* Nobody tells node 1 that its connection to node 2 is half open; node 2's call does. */
static void peers__half_open_connections_go(void)
{
    peerlab_open(&lab, 12, 2, 6000);
    lab.steer = power_and_start;
    EXPECT(peerlab_run(&lab));
    all_well();
    EXPECT(lab.nodes[1].lives[2] == 2);
    EXPECT(lab.nodes[2].heard[1] > 350 && lab.nodes[1].heard[2] > 350);
    EXPECT(lab.nodes[1].stats[0].replaced == 1);
    peerlab_close(&lab);
}

/* ---- bounds ---- */

static void pause_second(struct peerlab *l)
{
    peerlab_at(l, 500);
    proc_pause(l->nodes[2].proc);
    peerlab_at(l, 6000);
    proc_resume(l->nodes[2].proc);
}

static void peers__memory_is_bounded(void)
{
    peerlab_open(&lab, 21, 2, 8000);
    lab.steer = pause_second;
    lab.nodes[1].large = 50000;
    lab.nodes[1].burst = 4;
    lab.nodes[1].options.queue_max = 400000;
    lab.nodes[1].options.silence_ms = 20000; /* the queue fills before the link is given up */
    EXPECT(peerlab_run(&lab));
    all_well();
    EXPECT(lab.nodes[1].dropped[2] > 100);
    EXPECT(lab.nodes[1].told[2] > 0);
    EXPECT(lab.nodes[1].heap_most < 2500000);
    EXPECT(lab.nodes[2].heap_most < 2500000);
    EXPECT(lab.nodes[2].heard[1] > 100);
    peerlab_close(&lab);
}

static void peers__who_is_slow_is_waited_for(void)
{
    peerlab_open(&lab, 22, 2, 8000);
    lab.nodes[1].burst = 20;
    lab.nodes[2].slow_ms = 700; /* its box is full long before */
    EXPECT(peerlab_run(&lab));
    all_well();
    EXPECT(lab.nodes[2].busy > 5);
    EXPECT(lab.nodes[1].stats[0].connects == 1); /* slow is not dead */
    EXPECT(lab.nodes[2].heard[1] > 500);
    EXPECT(lab.nodes[2].gaps[1] == 0); /* nothing was thrown away */
    peerlab_close(&lab);
}

static void clog_link(struct peerlab *l)
{
    peerlab_at(l, 500);
    simlink_clog(&l->t.world, l->nodes[1].host, l->nodes[2].host, 50000);
}

/* A message takes six seconds, and silence is endured for half of one. */
static void peers__a_long_message_is_no_silence(void)
{
    peerlab_open(&lab, 23, 2, 30000);
    lab.steer = clog_link;
    lab.nodes[1].gap_ms = 2000;
    lab.nodes[1].large = 300000;
    lab.nodes[1].options.silence_ms = 500;
    lab.nodes[2].options.silence_ms = 500;
    lab.t.plan.value[PLAN_NET_BUFFER] = 8192; /* what is acknowledged at once */
    EXPECT(peerlab_run(&lab));
    all_well();
    EXPECT(lab.nodes[1].stats[0].connects == 1);
    EXPECT(lab.nodes[2].heard[1] > 8);
    peerlab_close(&lab);
}

static uint64_t allocations_then[PEERLAB_NODES + 1];

static void count_allocations(struct peerlab *l)
{
    peerlab_at(l, 8000);
    for (unsigned id = 1; id <= 3; id++) {
        allocations_then[id] = l->nodes[id].proc->allocations;
    }
    peerlab_at(l, 12000);
    for (unsigned id = 1; id <= 3; id++) {
        uint64_t more = l->nodes[id].proc->allocations - allocations_then[id];
        EXPECT(more == 0);
        if (more > 0) {
            printf("# node %u: %llu\n", id, (unsigned long long)more);
        }
    }
}

static void peers__nothing_is_allocated_once_it_is_warm(void)
{
    peerlab_open(&lab, 23, 3, 13000);
    lab.steer = count_allocations;
    for (unsigned id = 1; id <= 3; id++) {
        lab.nodes[id].burst = 15;
    }
    EXPECT(peerlab_run(&lab));
    all_well();
    everybody_heard_everybody(9000);
    peerlab_close(&lab);
}

/* ---- who may talk ---- */

static void peers__another_cluster_is_refused(void)
{
    peerlab_open(&lab, 31, 3, 4000);
    lab.nodes[3].options.cluster = 0xc2;
    EXPECT(peerlab_run(&lab));
    all_well();
    EXPECT(lab.nodes[1].heard[3] == 0 && lab.nodes[3].heard[1] == 0);
    EXPECT(lab.nodes[1].heard[2] > 300);
    EXPECT(lab.nodes[1].totals.refused[PEERMSG_REFUSAL_CLUSTER] > 0);
    EXPECT(lab.nodes[3].totals.refused[PEERMSG_REFUSAL_CLUSTER] > 0);
    EXPECT(lab.nodes[1].totals.garbage == 0);
    EXPECT(!lab.nodes[1].stats[1].up);
    peerlab_close(&lab);
}

/* The address of node 2 answers as node 3 does, for both are told it is node 2's. */
static void peers__another_node_at_that_address_is_refused(void)
{
    peerlab_open(&lab, 32, 3, 4000);
    lab.nodes[2].id = 9;
    lab.nodes[2].peers = 0;
    lab.nodes[3].peers = 1u << 1;
    EXPECT(peerlab_run(&lab));
    EXPECT(lab.nodes[2].totals.refused[PEERMSG_REFUSAL_NODE] > 0);
    EXPECT(lab.nodes[2].heard[1] == 0);
    EXPECT(lab.nodes[1].heard[3] > 300);
    peerlab_close(&lab);
}

static uint64_t removed_life; /* of node 2, as node 1 is told */

static void remove_second(struct peerlab *l)
{
    struct env_addr addr = peerlab_address(&l->nodes[2]);
    peerlab_at(l, 1000);
    peers_remove(l->nodes[1].p, 2, removed_life);
    peerlab_at(l, 2000);
    heard_cut[1] = l->nodes[1].heard[2];
    peerlab_at(l, 3000);
    EXPECT(l->nodes[1].heard[2] == heard_cut[1]);
    EXPECT(peers_set(l->nodes[1].p, 2, &addr) == ST_OK);
}

static void remove_another_life(struct peerlab *l)
{
    peerlab_at(l, 1000);
    peers_remove(l->nodes[1].p, 2, removed_life);
    peerlab_at(l, 2000);
    heard_cut[1] = l->nodes[1].heard[2];
}

/* Node 1 has learned of the removal of an earlier life of 2, and not yet that it was added again.
 */
static void peers__another_life_of_who_was_removed_is_let_in(void)
{
    peerlab_open(&lab, 33, 2, 6000);
    removed_life = 99;
    lab.steer = remove_another_life;
    EXPECT(peerlab_run(&lab));
    all_well();
    EXPECT(lab.nodes[1].totals.refused[PEERMSG_REFUSAL_REMOVED] == 0);
    EXPECT(lab.nodes[1].heard[2] > heard_cut[1] + 150);
    EXPECT(lab.nodes[2].heard[1] > 300);
    peerlab_close(&lab);
}

static void peers__who_was_removed_is_refused_until_it_is_set(void)
{
    removed_life = 2;
    peerlab_open(&lab, 33, 2, 6000);
    lab.steer = remove_second;
    EXPECT(peerlab_run(&lab));
    all_well();
    EXPECT(heard_cut[1] > 50 && heard_cut[1] < 110);
    EXPECT(lab.nodes[1].heard[2] > heard_cut[1] + 150);
    EXPECT(lab.nodes[1].totals.refused[PEERMSG_REFUSAL_REMOVED] > 0);
    EXPECT(lab.nodes[1].heard[2] < lab.nodes[2].sent[1] + 110);
    peerlab_close(&lab);
}

static struct {
    unsigned asked;                                          /* of node 2 by node 1 */
    bool right;                                              /* what it was asked with */
    unsigned admitted[PEERLAB_NODES + 1][PEERLAB_NODES + 1]; /* who was told, by whom */
} door;

static enum status on_admit(void *arg, const struct peers_visitor *v, enum peermsg_refusal *refusal)
{
    struct peerlab_node *n = arg;
    struct env_addr far = peerlab_address(&n->lab->nodes[v->id]);
    door.right = door.right && v->disk == 0xd0 + v->id && v->incarnation == v->id && !v->bulk &&
                 v->addr.port == far.port && memcmp(v->addr.ip, far.ip, 4) == 0;
    *refusal = v->id == 3 ? PEERMSG_REFUSAL_INCARNATION : *refusal;
    return v->id == 2 && ++door.asked <= 3 ? ST_IO : ST_OK;
}

static void on_admitted(void *arg, uint64_t id)
{
    struct peerlab_node *n = arg;
    door.admitted[n->id][id]++;
}

/* Node 1 does not know at first about 2, and does not want 3. */
static void peers__who_is_let_in_is_asked_and_told(void)
{
    peerlab_open(&lab, 34, 3, 6000);
    memset(&door, 0, sizeof door);
    door.right = true;
    lab.nodes[1].options.admit = on_admit;
    for (uint64_t id = 1; id <= 3; id++) {
        lab.nodes[id].options.disk = 0xd0 + id;
        lab.nodes[id].options.admitted = on_admitted;
    }
    EXPECT(peerlab_run(&lab));
    all_well();
    EXPECT(door.right && door.asked == 4);
    EXPECT(lab.nodes[1].heard[2] > 300 && lab.nodes[1].heard[3] == 0);
    EXPECT(lab.nodes[1].totals.refused[PEERMSG_REFUSAL_INCARNATION] > 0);
    EXPECT(door.admitted[3][1] == 0 && door.admitted[3][2] > 3);
    EXPECT(door.admitted[2][1] > 3 && door.admitted[1][3] > 3);
    EXPECT(lab.nodes[1].totals.garbage == 0);
    peerlab_close(&lab);
}

static void peers__who_calls_is_called_back(void)
{
    peerlab_open(&lab, 34, 2, 4000);
    lab.nodes[2].peers = 0; /* it knows nobody */
    EXPECT(peerlab_run(&lab));
    all_well();
    EXPECT(lab.nodes[2].heard[1] > 300);
    EXPECT(lab.nodes[2].stats_count == 1);
    EXPECT(lab.nodes[2].stats[0].up);
    EXPECT(lab.nodes[2].stats[0].addr.port == PEERLAB_PORT);
    peerlab_close(&lab);
}

/* ---- somebody else on the line ---- */

struct rogue {
    struct peerlab_node *to;
    const char *bytes;
    size_t size;
    unsigned times;
    bool hold;       /* keeps the connection */
    uint64_t closed; /* connections that the node ended */
};

static int rogue_main(struct env *env, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct rogue *r = proc_of(env)->user;
    struct env_addr to = peerlab_address(r->to);
    env_sleep_until(env, env_clock_mono(env) + 500 * PEERLAB_MS);
    int fds[64], held = 0;
    for (unsigned i = 0; i < r->times; i++) {
        char scrap[256];
        size_t n = 0;
        int fd;
        enum status st = env_sock_connect(env, &to, &fd);
        if (st != ST_OK && st != ST_INPROGRESS) {
            continue;
        }
        env_sleep_until(env, env_clock_mono(env) + 20 * PEERLAB_MS);
        struct env_slice part = {r->bytes, r->size};
        st = r->size > 0 ? env_sock_write(env, fd, &part, 1, &n) : ST_OK;
        if (r->hold && held < 64) {
            fds[held++] = fd;
            continue;
        }
        env_sleep_until(env, env_clock_mono(env) + 30 * PEERLAB_MS);
        do {
            st = env_sock_read(env, fd, scrap, sizeof scrap, &n);
        } while (st == ST_OK && n > 0);
        r->closed += st != ST_AGAIN;
        (void)env_fd_close(env, fd);
    }
    env_sleep_until(env, env_clock_mono(env) + 3000 * PEERLAB_MS);
    while (held > 0) {
        (void)env_fd_close(env, fds[--held]);
    }
    return 0;
}

static struct rogue rogue;

static void rogue_begin(struct peerlab *l)
{
    struct host *h = world_host(&l->t.world, NULL);
    struct proc *p = proc_start(h, "rogue", rogue_main, 0, NULL, &rogue);
    l->t.running++;
    (void)p;
}

static void rogue_ended(void *arg, struct proc *p)
{
    struct simtest *t = arg;
    if (p->user != &rogue) {
        struct peerlab_node *n = p->user;
        proc_leaks(p, n->leaks, sizeof n->leaks);
    }
    if (--t->running == 0) {
        world_stop(&t->world);
    }
}

static void rogue_steer(struct peerlab *l)
{
    l->t.hooks.ended = rogue_ended;
    rogue_begin(l);
}

static void rogue_case(const char *bytes, size_t size, unsigned times, bool hold)
{
    peerlab_open(&lab, 41, 2, 6000);
    rogue = (struct rogue){&lab.nodes[1], bytes, size, times, hold, 0};
    lab.steer = rogue_steer;
    EXPECT(peerlab_run(&lab));
    all_well();
    everybody_heard_everybody(500);
    EXPECT(lab.nodes[1].heap_most < 400000);
    EXPECT(lab.nodes[1].stats[0].connects == 1);
    peerlab_close(&lab);
}

/* A frame with a true head of that length, behind the preamble. */
static size_t lying_frame(char *out, uint32_t length)
{
    struct buf b;
    struct peermsg m = {.body = PEERMSG_HELLO};
    buf_init(&b, simmem());
    frame_preamble(FRAME_PEER, out);
    EXPECT(frame_append_peer(&b, &peermsg_table, &m, false) == ST_OK);
    memcpy(out + FRAME_PREAMBLE_SIZE, b.data, b.size);
    char *head = out + FRAME_PREAMBLE_SIZE;
    code_put32(head + 4, length);
    code_put32(head + 12, crc32c(0, head, 12));
    size_t size = FRAME_PREAMBLE_SIZE + b.size;
    buf_release(&b);
    return size;
}

static void peers__garbage_is_named_and_closed(void)
{
    char bytes[300];
    struct prng g = {9};
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)prng_next(&g);
    }
    bytes[0] = 0;
    rogue_case(bytes, sizeof bytes, 20, false);
    EXPECT(rogue.closed == 20 && lab.nodes[1].totals.garbage == 20);
    rogue_case("GET / HTTP/1.0\r\n\r\n", 18, 5, false);
    EXPECT(rogue.closed == 5 && lab.nodes[1].totals.garbage == 5);
    size_t size = lying_frame(bytes, 70u << 20);
    rogue_case(bytes, size, 5, false);
    EXPECT(rogue.closed == 5 && lab.nodes[1].totals.garbage == 5);
    size = lying_frame(bytes, 4000); /* within what a stranger may say, and never said */
    rogue_case(bytes, size, 5, true);
    EXPECT(lab.nodes[1].totals.garbage == 0);
}

static void peers__strangers_are_few(void)
{
    rogue_case("", 0, 60, true);
    EXPECT(lab.nodes[1].totals.crowded > 20);
}

/* ---- memory ---- */

static void peers__refused_memory_loses_messages_and_nothing_else(void)
{
    long n = 0;
    bool reached = true;
    for (; reached; n += 1 + n / 25) {
        peerlab_open(&lab, 51, 2, 1500);
        lab.nodes[1].fail_at = n;
        lab.nodes[1].gap_ms = 100;
        lab.nodes[2].gap_ms = 100;
        EXPECT(peerlab_run(&lab));
        reached = lab.nodes[1].allocs > (uint64_t)n;
        all_well();
        EXPECT(lab.nodes[1].live == 0);
        EXPECT(!lab.nodes[1].opened || (lab.nodes[1].heard[2] > 3 && lab.nodes[2].heard[1] > 3));
        if (tap_failed) {
            printf("# allocation %ld\n", n);
        }
        peerlab_close(&lab);
    }
    printf("# %ld allocations\n", n);
}

TAP_MAIN(RUN(peers__messages_arrive_whole_and_in_order); RUN(peers__large_messages_in_small_pieces);
         RUN(peers__a_healed_way_is_used_soon); RUN(peers__a_cut_one_way_is_healed_too);
         RUN(peers__short_cuts_do_not_cost_the_connection); RUN(peers__the_end_of_a_link_is_told);
         RUN(peers__who_comes_back_is_dialed_at_once);
         RUN(peers__a_new_life_takes_the_place_of_the_old); RUN(peers__half_open_connections_go);
         RUN(peers__memory_is_bounded); RUN(peers__who_is_slow_is_waited_for);
         RUN(peers__a_long_message_is_no_silence); RUN(peers__nothing_is_allocated_once_it_is_warm);
         RUN(peers__another_cluster_is_refused);
         RUN(peers__another_node_at_that_address_is_refused);
         RUN(peers__who_was_removed_is_refused_until_it_is_set);
         RUN(peers__another_life_of_who_was_removed_is_let_in);
         RUN(peers__who_is_let_in_is_asked_and_told); RUN(peers__who_calls_is_called_back);
         RUN(peers__garbage_is_named_and_closed); RUN(peers__strangers_are_few);
         RUN(peers__refused_memory_loses_messages_and_nothing_else); RUN(peers__any_network);)
