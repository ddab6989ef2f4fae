/* bench_raft.c - the Raft core: three (or more) nodes in memory, every check on after each step.
 *
 *     bench_raft [--nodes N] [--window W] [--batch B] [--commands C] [--rounds R] [--alone]
 *                [--no-checks]
 *
 * A leader has W proposals of B commands of 64 bytes under way. A node's turn: it takes each
 * message that waits for it in a step of its own, then its disk says that all it wrote is durable,
 * then its state machine that all is applied; with --alone the disk and the state machine speak
 * after every single step. Payloads are copied once into each node's log.
 *
 * Seconds are of the processor (one thread; others may be on the machine).
 *
 * One line of JSON for each power of ten of entries in the log: commits a second and nanoseconds a
 * step of that stretch, the best of the rounds; blocks of memory that were asked for in it (by the
 * checker, whose model grows by doubling: the core asks for none). Without arguments: windows
 * of 1 and 64, batches of 1 and 64. */
#include "sim/cluster/raftwatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NODES_MAX 8
#define RING      (1u << 14) /* entries at hand */
#define BYTES     64
#define INBOX     4096

struct shape {
    uint32_t nodes;
    uint32_t window;
    uint32_t batch;
    uint64_t commands;
    uint32_t rounds;
    bool alone;
    bool checks;
};

struct parcel {
    struct raft_msg m;
    const struct bench_node *from; /* whose rings hold the entries */
};

struct bench_node {
    struct raft *core;
    struct raft_out out;
    uint64_t done;
    uint64_t wrote;
    uint64_t apply_to;
    uint64_t applied;
    struct raft_item items[RING];
    char payload[RING][BYTES];
    struct parcel inbox[INBOX];
    uint32_t in_lo, in_hi;
    struct parcel held[INBOX];
    uint64_t held_after[INBOX];
    uint32_t held_count;
};

struct bench {
    struct shape shape;
    struct bench_node *nodes; /* node i has id i + 1 */
    struct raftwatch watch;
    struct raft_item batch_items[1024];
    struct raft_item in_items[RING];
    char command[BYTES];
    uint64_t now;
    uint64_t steps;
};

static uint64_t blocks;

static void *count_alloc(struct mem *m, size_t size)
{
    (void)m;
    blocks++;
    return malloc(size);
}

static void *count_resize(struct mem *m, void *block, size_t size)
{
    (void)m;
    blocks++;
    return realloc(block, size);
}

static void count_release(struct mem *m, void *block)
{
    (void)m;
    free(block);
}

static void must(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "bench_raft: %s\n", what);
        exit(3);
    }
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- a driver, as lean as can be ---- */

static void leaves(struct bench *b, const struct parcel *p)
{
    struct bench_node *to = &b->nodes[p->m.to - 1];
    if (b->shape.checks) {
        raftwatch_sent(&b->watch, &p->m);
    }
    must(to->in_hi - to->in_lo < INBOX, "an inbox is full");
    to->inbox[to->in_hi++ % INBOX] = *p;
}

/* Payloads of the entries that this step writes. */
static void store(struct bench_node *n, const struct bench_node *from)
{
    const struct raft_write *w = &n->out.save;
    for (uint64_t i = w->lo; i < w->hi; i++) {
        n->items[i % RING] = w->items[i - w->lo];
        n->items[i % RING].term = w->term != 0 ? w->term : w->items[i - w->lo].term;
        if (from != NULL && !w->own) {
            memcpy(n->payload[i % RING], from->payload[i % RING], BYTES);
        }
    }
}

static void step(struct bench *b, struct bench_node *n, struct raft_event *e,
                 const struct bench_node *from)
{
    e->now = b->now;
    b->steps++;
    enum status st = raft_step(n->core, e, &n->out);
    must(st == ST_OK, "a step was refused");
    if (b->shape.checks) {
        raftwatch_stepped(&b->watch, n->core, e, &n->out, NULL);
    }
    if (n->out.save.seq != 0) {
        n->wrote = n->out.save.seq;
        store(n, from);
    }
    n->apply_to = n->out.apply_hi > n->out.apply_lo ? n->out.apply_hi : n->apply_to;
    for (uint32_t i = 0; i < n->out.count; i++) {
        const struct raft_action *a = &n->out.actions[i];
        if (a->type == RAFT_SEND) {
            struct parcel p = {a->msg, n};
            if (a->after > n->done) {
                n->held[n->held_count] = p;
                n->held_after[n->held_count++] = a->after;
            } else {
                leaves(b, &p);
            }
        }
    }
}

static void disk(struct bench *b, struct bench_node *n, uint64_t id)
{
    if (n->wrote > n->done) {
        struct raft_event e = {.type = RAFT_EV_PERSISTED, .index = n->wrote};
        if (b->shape.checks) {
            raftwatch_durable(&b->watch, id, n->wrote);
        }
        n->done = n->wrote;
        step(b, n, &e, NULL);
        for (uint32_t i = 0; i < n->held_count; i++) {
            leaves(b, &n->held[i]);
        }
        n->held_count = 0;
    }
    if (n->apply_to > n->applied + 1) {
        struct raft_event e = {.type = RAFT_EV_APPLIED, .index = n->apply_to - 1};
        n->applied = n->apply_to - 1;
        step(b, n, &e, NULL);
    }
}

static void receive(struct bench *b, struct bench_node *n)
{
    struct parcel p = n->inbox[n->in_lo++ % INBOX];
    struct raft_event e = {.type = RAFT_EV_RECEIVE, .msg = &p.m};
    if (p.m.type == RAFT_MSG_APPEND && p.m.count > 0) {
        uint64_t first = p.m.place.index + 1;
        uint64_t at = first % RING;
        if (at + p.m.count <= RING) {
            p.m.items = &p.from->items[at];
        } else {
            for (uint32_t i = 0; i < p.m.count; i++) {
                b->in_items[i] = p.from->items[(first + i) % RING];
            }
            p.m.items = b->in_items;
        }
    }
    step(b, n, &e, p.from);
}

static void turn(struct bench *b, uint32_t i)
{
    struct bench_node *n = &b->nodes[i];
    while (n->in_lo != n->in_hi) {
        receive(b, n);
        if (b->shape.alone) {
            disk(b, n, i + 1);
        }
    }
    disk(b, n, i + 1);
}

static void propose(struct bench *b, struct bench_node *leader)
{
    struct raft_event e = {.type = RAFT_EV_PROPOSE, .items = b->batch_items};
    e.count = b->shape.batch;
    step(b, leader, &e, NULL);
    must(leader->out.save.hi > leader->out.save.lo, "a proposal was refused");
    for (uint64_t i = leader->out.save.lo; i < leader->out.save.hi; i++) {
        memcpy(leader->payload[i % RING], b->command, BYTES);
    }
}

/* ---- a run ---- */

static void begin(struct bench *b, const struct shape *shape)
{
    static struct mem mem = {count_alloc, count_resize, count_release};
    struct raft_config config = {.count = shape->nodes};
    *b = (struct bench){.shape = *shape, .now = 1};
    b->nodes = calloc(shape->nodes, sizeof *b->nodes);
    must(b->nodes != NULL, "no memory");
    raftwatch_init(&b->watch, &mem);
    for (uint32_t i = 0; i < shape->nodes; i++) {
        config.members[i] = (struct raft_member){i + 1, 1, RAFT_IN};
    }
    for (uint32_t i = 0; i < 1024; i++) {
        b->batch_items[i] = (struct raft_item){.kind = RAFT_COMMAND, .bytes = BYTES};
    }
    for (uint32_t i = 0; i < shape->nodes; i++) {
        struct bench_node *n = &b->nodes[i];
        struct raft_options o = {.cluster = 1, .self = i + 1, .incarnation = 1, .seed = i};
        o.verify = shape->checks;
        o.members = NODES_MAX;
        o.window = RING / 2;
        n->core = raft_init(malloc(raft_size(&o)), &o);
        n->out.cap = raft_actions_max(n->core);
        n->out.actions = malloc(n->out.cap * sizeof *n->out.actions);
        struct raft_start start = {.config = &config};
        struct raft_event e = {.type = RAFT_EV_START, .now = b->now, .start = &start};
        must(raft_step(n->core, &e, &n->out) == ST_OK, "no start");
        raftwatch_started(&b->watch, n->core, &start);
    }
}

static void end(struct bench *b)
{
    for (uint32_t i = 0; i < b->shape.nodes; i++) {
        free(b->nodes[i].core);
        free(b->nodes[i].out.actions);
    }
    free(b->nodes);
    raftwatch_release(&b->watch);
}

static struct bench_node *elect(struct bench *b)
{
    struct raft_view v;
    struct raft_event e = {.type = RAFT_EV_TIME, .force = RAFT_FORCE_ELECTION};
    step(b, &b->nodes[0], &e, NULL);
    for (int k = 0; k < 20; k++) {
        for (uint32_t i = 0; i < b->shape.nodes; i++) {
            turn(b, i);
        }
    }
    raft_view(b->nodes[0].core, &v);
    must(v.state == RAFT_LEADER && v.commit > 0, "nobody was elected");
    return &b->nodes[0];
}

struct stretch {
    double seconds;
    uint64_t steps;
    uint64_t blocks;
    uint64_t commits;
};

/* Until `to` commands are applied by the leader. */
static struct stretch run_to(struct bench *b, struct bench_node *leader, uint64_t to)
{
    struct stretch s = {.steps = b->steps, .blocks = blocks, .commits = leader->applied};
    uint64_t proposed = leader->applied;
    uint64_t ahead = (uint64_t)b->shape.window * b->shape.batch;
    double start = seconds();
    while (leader->applied < to) {
        while (proposed < leader->applied + ahead) {
            propose(b, leader);
            proposed += b->shape.batch;
            if (b->shape.alone) {
                disk(b, leader, 1);
            }
        }
        for (uint32_t i = 0; i < b->shape.nodes; i++) {
            turn(b, b->shape.nodes - 1 - i);
        }
    }
    s.seconds = seconds() - start;
    s.steps = b->steps - s.steps;
    s.blocks = blocks - s.blocks;
    s.commits = leader->applied - s.commits;
    must(raftwatch_ok(&b->watch), b->watch.what);
    while (leader->applied < proposed) { /* nothing under way between stretches */
        for (uint32_t i = 0; i < b->shape.nodes; i++) {
            turn(b, i);
        }
    }
    return s;
}

static void measure(const struct shape *shape)
{
    struct stretch best[8];
    int count = 0;
    for (uint32_t round = 0; round < shape->rounds; round++) {
        struct bench b;
        begin(&b, shape);
        struct bench_node *leader = elect(&b);
        int i = 0;
        for (uint64_t to = 1000; to <= shape->commands && i < 8; to *= 10, i++) {
            struct stretch s = run_to(&b, leader, to);
            if (round == 0 ||
                s.seconds / (double)s.commits < best[i].seconds / (double)best[i].commits) {
                best[i] = s;
            }
        }
        count = i;
        end(&b);
    }
    uint64_t to = 1000;
    for (int i = 0; i < count; i++, to *= 10) {
        printf("{\"bench\": \"raft\", \"nodes\": %u, \"window\": %u, \"batch\": %u, \"alone\": %s, "
               "\"checks\": %s, \"entries\": %llu, \"commits_per_s\": %.0f, "
               "\"ns_per_step\": %.0f, \"steps_per_commit\": %.2f, \"blocks\": %llu}\n",
               shape->nodes, shape->window, shape->batch, shape->alone ? "true" : "false",
               shape->checks ? "true" : "false", (unsigned long long)to,
               (double)best[i].commits / best[i].seconds,
               best[i].seconds * 1e9 / (double)best[i].steps,
               (double)best[i].steps / (double)best[i].commits, (unsigned long long)best[i].blocks);
    }
}

static uint64_t number(const char *text)
{
    char *rest = NULL;
    uint64_t v = text != NULL ? strtoull(text, &rest, 10) : 0;
    if (text == NULL || *rest != '\0' || v == 0) {
        (void)fprintf(stderr, "bench_raft: a number above 0 is wanted\n");
        exit(2);
    }
    return v;
}

int main(int argc, char **argv)
{
    struct shape shape = {3, 0, 0, 1000000, 3, false, true};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--alone") == 0) {
            shape.alone = true;
        } else if (strcmp(argv[i], "--no-checks") == 0) {
            shape.checks = false;
        } else if (strcmp(argv[i], "--nodes") == 0 && ++i > 0) {
            shape.nodes = (uint32_t)number(value);
        } else if (strcmp(argv[i], "--window") == 0 && ++i > 0) {
            shape.window = (uint32_t)number(value);
        } else if (strcmp(argv[i], "--batch") == 0 && ++i > 0) {
            shape.batch = (uint32_t)number(value);
        } else if (strcmp(argv[i], "--commands") == 0 && ++i > 0) {
            shape.commands = number(value);
        } else if (strcmp(argv[i], "--rounds") == 0 && ++i > 0) {
            shape.rounds = (uint32_t)number(value);
        } else {
            (void)fprintf(stderr, "bench_raft: unknown option %s\n", argv[i]);
            return 2;
        }
    }
    bool too_many = shape.nodes > NODES_MAX || shape.batch > 1024 ||
                    (uint64_t)shape.window * shape.batch > RING / 4;
    if (too_many) {
        (void)fprintf(stderr, "bench_raft: at most 8 nodes and 4096 commands under way\n");
        return 2;
    }
    for (int k = 0; k < 3; k++) {
        struct shape s = shape;
        s.window = shape.window != 0 ? shape.window : k == 0 ? 1 : 64;
        s.batch = shape.batch != 0 ? shape.batch : k == 2 ? 64 : 1;
        measure(&s);
        if (shape.window != 0 || shape.batch != 0) {
            break;
        }
    }
    return 0;
}
