/* peerlab.c - see peerlab.h. */
#include "tests/node/peerlab.h"

#include "base/ck.h"

#include <string.h>

/* ---- what a message holds: a function of who says it, its life and its count ---- */

struct word {
    struct raft_msg m;
    struct raft_entry entries[PEERTEST_ENTRIES];
    char *bytes;
    size_t used;
};

static void word_entry(struct word *w, struct prng *g, size_t size)
{
    struct raft_entry *e = &w->entries[w->m.count];
    char *to = w->bytes + w->used;
    for (size_t i = 0; i < size; i++) {
        to[i] = (char)(i % 61 + (g->state & 63));
    }
    *e = (struct raft_entry){.index = w->m.place.index + 1 + w->m.count,
                             .term = 1 + w->m.count / 4,
                             .kind = RAFT_COMMAND,
                             .data = slice_of(to, size)};
    w->used += size;
    w->m.count++;
}

static void word_make(struct word *w, uint64_t from, uint64_t to, uint64_t life, uint64_t count,
                      size_t large)
{
    struct prng g = {hash_add(hash_add(life, from), count)};
    bool append = prng_below(&g, 3) != 0;
    w->used = 0;
    w->m = (struct raft_msg){.type = append ? RAFT_MSG_APPEND : RAFT_MSG_HEARTBEAT,
                             .from = from,
                             .to = to,
                             .term = prng_next(&g),
                             .session = life,
                             .context = count,
                             .place = {prng_below(&g, 1000), 1},
                             .commit = prng_next(&g)};
    for (uint64_t n = append ? prng_below(&g, 12) : 0; n > 0; n--) {
        word_entry(w, &g, prng_below(&g, 200));
    }
    if (append && large > 0 && count % 5 == 0) {
        word_entry(w, &g, large);
    }
}

static bool word_is(const struct word *w, const struct peerwire_in *in)
{
    const struct raft_msg *a = &w->m, *b = &in->msg;
    bool same = a->type == b->type && a->to == b->to && a->term == b->term &&
                a->place.index == b->place.index && a->commit == b->commit && a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++) {
        const struct raft_entry *x = &w->entries[i], *y = &in->entries[i];
        same = x->index == y->index && x->term == y->term && x->kind == y->kind &&
               slice_equal(x->data, y->data);
    }
    return same;
}

/* ---- a node ---- */

static void judge(struct peerlab_node *n, struct word *w, const struct peerwire_in *in)
{
    uint64_t from = in->msg.from;
    if (from == 0 || from > PEERLAB_NODES || from == n->id) {
        n->wrong++;
        return;
    }
    const struct peerlab_node *sender = &n->lab->nodes[from];
    uint64_t life = in->msg.session;
    word_make(w, from, n->id, life, in->msg.context, sender->large);
    w->m.cluster = in->msg.cluster;
    n->wrong += !word_is(w, in);
    n->lives[from] += n->life_of[from] != life;
    n->newest[from] = n->life_of[from] == life ? n->newest[from] : 0;
    n->gaps[from] += n->newest[from] != 0 && in->msg.context > n->newest[from] + 1;
    n->life_of[from] = life;
    n->disorder += in->msg.context <= n->newest[from];
    n->newest[from] = in->msg.context;
    n->heard[from]++;
    n->heard_at[from] = n->lab->t.world.sched.now;
}

static enum status on_deliver(void *arg, const struct peerwire_in *in)
{
    struct peerlab_node *n = arg;
    enum status st = peerbox_put(&n->box, in, NULL);
    n->busy += st == ST_BUSY;
    return st;
}

static void on_lost(void *arg, uint64_t id)
{
    struct peerlab_node *n = arg;
    CK(id >= 1 && id <= PEERLAB_NODES);
    n->told[id]++;
}

static void turn_take(struct peerlab_node *n, struct word *w)
{
    bool resume;
    struct list *got = peerbox_take(&n->box, &resume);
    for (struct list *l = got->next; l != got; l = l->next) {
        judge(n, w, &LIST_ENTRY(l, struct peerbox_message, link)->in);
    }
    if (resume) {
        peers_resume(n->p);
    }
}

static void turn_say(struct peerlab_node *n, struct word *w)
{
    for (unsigned to = 1; to <= PEERLAB_NODES; to++) {
        for (unsigned i = 0; i < n->burst && to != n->id && (n->peers >> to & 1) != 0; i++) {
            word_make(w, n->id, to, n->life, ++n->said[to], n->large);
            w->m.cluster = n->options.cluster;
            enum status st = peers_send(n->p, &w->m, w->entries);
            n->sent[to] += st == ST_OK;
            n->dropped[to] += st != ST_OK;
        }
    }
    peers_flush(n->p);
}

static void talk(struct peerlab_node *n, struct env *env)
{
    struct world *world = &n->lab->t.world;
    struct word w = {.bytes = n->scratch};
    uint64_t taken_ns = 0;
    while (world->sched.now < n->end_ms * PEERLAB_MS) {
        turn_say(n, &w);
        if (world->sched.now - taken_ns >= n->slow_ms * PEERLAB_MS) {
            turn_take(n, &w);
            taken_ns = world->sched.now;
        }
        n->heap_most = n->proc->heap_bytes > n->heap_most ? n->proc->heap_bytes : n->heap_most;
        env_sleep_until(env, env_clock_mono(env) + n->gap_ms * PEERLAB_MS);
    }
}

struct env_addr peerlab_address(const struct peerlab_node *n)
{
    struct env_addr a = {.family = 4, .port = PEERLAB_PORT};
    a.ip[0] = 10;
    a.ip[1] = (uint8_t)(n->host->address >> 16);
    a.ip[2] = (uint8_t)(n->host->address >> 8);
    a.ip[3] = (uint8_t)n->host->address;
    return a;
}

static enum status peers_begin(struct peerlab_node *n, struct env *env)
{
    struct err err;
    struct peers_options o = n->options;
    o.env = env;
    o.log_least = ENV_LOG_INFO;
    o.self = n->id;
    o.life = n->life;
    o.listen = (struct env_addr){.family = 4, .port = PEERLAB_PORT};
    o.arg = n;
    o.deliver = on_deliver;
    o.lost = on_lost;
    enum status st = peers_open(&o, &n->p, &err);
    n->options.cluster = o.cluster;
    for (unsigned to = 1; st == ST_OK && to <= n->lab->count; to++) {
        if ((n->peers >> to & 1) != 0) {
            struct env_addr addr = peerlab_address(&n->lab->nodes[to]);
            st = peers_set(n->p, to, &addr);
        }
    }
    return st == ST_OK ? peers_start(n->p) : st;
}

static int node_run(struct env *real, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct peerlab_node *n = proc_of(real)->user;
    struct inject in;
    inject_init(&in, real);
    in.fail_at = n->fail_at;
    struct env *env = n->fail_at >= 0 ? &in.env : real;
    n->proc = proc_of(real);
    n->life = env_random_u64(env);
    memset(n->said, 0, sizeof n->said);
    memset(n->sent, 0, sizeof n->sent);
    peerbox_init(&n->box, env, 64 * 1024);
    n->opened = peers_begin(n, env) == ST_OK;
    if (n->opened) {
        talk(n, env);
        n->stats_count = peers_stats(n->p, n->stats, PEERLAB_NODES + 1, &n->totals);
    }
    peers_close(n->p);
    n->p = NULL;
    peerbox_release(&n->box);
    n->allocs = (uint64_t)in.allocs;
    n->live = in.live;
    n->proc = NULL;
    inject_release(&in);
    return 0;
}

/* ---- the world ---- */

void peerlab_open(struct peerlab *lab, uint64_t seed, unsigned count, uint64_t end_ms)
{
    memset(lab, 0, sizeof *lab);
    CK(count <= PEERLAB_NODES);
    plan_init(&lab->t.plan, simmem(), seed);
    list_init(&lab->tasks);
    lab->count = count;
    for (unsigned id = 1; id <= count; id++) {
        struct peerlab_node *n = &lab->nodes[id];
        n->lab = lab;
        n->id = id;
        n->peers = ((1u << (count + 1)) - 2) & ~(1u << id);
        n->gap_ms = 10;
        n->burst = 1;
        n->end_ms = end_ms;
        n->fail_at = -1;
        n->options.cluster = 0xc1;
        n->options.incarnation = id;
    }
}

static void ended(void *arg, struct proc *p)
{
    struct simtest *t = arg;
    struct peerlab_node *n = p->user;
    if (n != NULL && p->state == PROC_EXITED) {
        proc_leaks(p, n->leaks, sizeof n->leaks);
    }
    if (--t->running == 0) {
        world_stop(&t->world);
    }
}

static void steer_body(void *arg)
{
    struct peerlab *lab = arg;
    lab->steer(lab);
}

void peerlab_start(struct peerlab_node *n)
{
    (void)simtest_start(&n->lab->t, n->host, "node", node_run, n);
}

bool peerlab_run(struct peerlab *lab)
{
    simtest_open_plan(&lab->t);
    lab->t.hooks.ended = ended;
    lab->nodes[1].host = lab->t.host;
    for (unsigned id = 2; id <= lab->count; id++) {
        lab->nodes[id].host = world_host(&lab->t.world, NULL);
    }
    lab->t.world.faults = true;
    for (unsigned id = 1; id <= lab->count; id++) {
        peerlab_start(&lab->nodes[id]);
    }
    if (lab->steer != NULL) {
        (void)world_task(&lab->t.world, "steer", &lab->tasks, steer_body, lab);
    }
    return simtest_run(&lab->t);
}

void peerlab_close(struct peerlab *lab)
{
    while (!list_empty(&lab->tasks)) {
        task_kill(LIST_ENTRY(lab->tasks.next, struct task, link));
    }
    simtest_close(&lab->t);
}

void peerlab_at(struct peerlab *lab, uint64_t ms)
{
    task_sleep_until(&lab->t.world.sched, ms * PEERLAB_MS);
}

void peerlab_cut(struct peerlab *lab, unsigned a, unsigned b, bool there, bool back)
{
    static const struct simlink_cut drop = {.mode = SIMLINK_DROP};
    struct host *x = lab->nodes[a].host, *y = lab->nodes[b].host;
    if (there) {
        (void)simlink_cut(&lab->t.world, x, y, &drop);
    }
    if (back) {
        (void)simlink_cut(&lab->t.world, y, x, &drop);
    }
}
