/* groupchange.c - the operators of a group: one hands leadership over, one has nodes leave and
 * join.
 *
 * Each is a program on a host of its own and speaks to the nodes as `tinykv ctl` does (RAFT
 * TRANSFER, STATUS, ADDRESS, ADD, PROMOTE, REMOVE over RESP). What a person does by hand, the
 * keeper of a node does for it: a disk is wiped, a process is started with --join. A disk is wiped
 * only when its node is no member of any configuration that may count; that is the budget for lost
 * disks, and who keeps to it sees more than an operator.
 *
 * Event i of each has a stream of choices of its own, so that a plan may leave others out. */
#include "sim/group/groupworld_int.h"

#include "base/ck.h"
#include "net/respclient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000ull
#define STREAMS   600000u /* actors of CHOOSE_NEMESIS from here on are of operators */
#define TRIES     8       /* until a request is given up */
#define NEAR      16u     /* entries that one who gets a vote may lack */
#define ROUNDS    24      /* of looking whether somebody is there, or has caught up */

enum answer { ANSWER_DONE, ANSWER_NO, ANSWER_AGAIN, ANSWER_UNKNOWN };

struct talk {
    struct groupoperator *o;
    struct groupworld *g;
    struct env *env;
    struct chooser_stream s; /* of the event that is on */
    struct respclient rc;
    unsigned hint; /* who leads, it was said; from 1, 0: nobody said so */
};

static void rest(struct talk *t, uint64_t ns)
{
    env_sleep_until(t->env, env_clock_mono(t->env) + ns);
}

static uint64_t election_ns(const struct talk *t)
{
    return t->g->election_ns / 2;
}

/* Until the faults are over. */
static bool goes_on(const struct talk *t)
{
    return t->g->world.faults && !t->g->world.failure.set;
}

/* ---- a request ---- */

static bool says(const struct talk *t, const char *word)
{
    struct slice text = respclient_text(&t->rc, 0);
    size_t n = strlen(word);
    return text.size >= n && memcmp(text.data, word, n) == 0;
}

/* What the reply means. */
static enum answer understand(struct talk *t)
{
    char text[64];
    if (t->rc.value.nodes[0].type != RESPVAL_ERROR) {
        return ANSWER_DONE;
    }
    struct slice s = respclient_text(&t->rc, 0);
    (void)snprintf(text, sizeof text, "%.*s", (int)s.size, s.data);
    if (sscanf(text, "NOTLEADER node %u", &t->hint) == 1 || says(t, "TRYAGAIN")) {
        return ANSWER_AGAIN;
    }
    return says(t, "UNKNOWN") ? ANSWER_UNKNOWN : ANSWER_NO;
}

/* Asks one node; t->rc holds the reply until it is closed. */
static enum answer ask(struct talk *t, unsigned node, const char *const *words, size_t count)
{
    struct groupworld *g = t->g;
    struct env_addr addr = {.family = 4, .port = WORKLOAD_PORT, .ip = {10, 0, 0, 1}};
    uint64_t ms = plan_get(g->plan, PLAN_GROUP_REQUEST_MS);
    uint64_t until = env_clock_mono(t->env) + ms * NS_PER_MS + 2 * g->election_ns;
    addr.ip[3] = (unsigned char)(node + 1);
    t->hint = 0;
    enum status st = respclient_open(&t->rc, t->env, &addr, until);
    st = st == ST_OK ? respclient_call(&t->rc, words, count, until) : st;
    if (st == ST_OK) {
        return understand(t);
    }
    return t->rc.sent > 0 ? ANSWER_UNKNOWN : ANSWER_AGAIN;
}

/* Whom to ask for a change: who leads, mostly. */
static unsigned whom(struct talk *t)
{
    struct groupworld *g = t->g;
    int leader = groupworld_leader(g);
    if (t->hint > 0 && t->hint <= g->nodes) {
        return t->hint - 1;
    }
    return leader >= 0 && choose(&t->s, 4) > 0 ? (unsigned)leader
                                               : (unsigned)choose(&t->s, g->nodes);
}

/* Asks until somebody does it, or says no, or nobody knows. */
static enum answer ask_leader(struct talk *t, const char *const *words, size_t count)
{
    enum answer a = ANSWER_AGAIN;
    t->hint = 0;
    for (int i = 0; i < TRIES && a == ANSWER_AGAIN && goes_on(t); i++) {
        struct groupworld *g = t->g;
        unsigned node = whom(t);
        a = ask(t, node, words, count);
        if (a == ANSWER_UNKNOWN && t->rc.poison != ST_OK && t->o->members) {
            const struct proc *p = g->procs[node];
            g->pending.proc = p != NULL ? p->id : 0;
            g->pending.asked = node;
        }
        respclient_close(&t->rc);
        if (a == ANSWER_AGAIN) {
            rest(t, choose(&t->s, election_ns(t)));
        }
    }
    return a;
}

static const char *number(char text[24], uint64_t v)
{
    (void)snprintf(text, 24, "%llu", (unsigned long long)v);
    return text;
}

/* A change of that member: what comes of it if nobody says so stands in g->pending. */
static enum answer change(struct talk *t, const char *word, unsigned node, const char *life)
{
    char id[24];
    const char *words[4] = {"RAFT", word, number(id, node + 1), life};
    t->g->pending = (struct grouppending){.node = node, .votes = strcmp(word, "PROMOTE") == 0};
    world_trace(&t->g->world, TRACE_FAULT, word, node + 1);
    return ask_leader(t, words, life != NULL ? 4 : 3);
}

/* ---- leadership ---- */

static unsigned some_of(struct talk *t, uint64_t set)
{
    unsigned n = (unsigned)choose(&t->s, (uint64_t)__builtin_popcountll(set));
    while (n-- > 0) {
        set &= set - 1;
    }
    return (unsigned)__builtin_ctzll(set);
}

static void transfer(struct talk *t)
{
    struct groupworld *g = t->g;
    char id[24];
    unsigned node = some_of(t, groupmembers_now(g));
    const char *words[3] = {"RAFT", "TRANSFER", number(id, node + 1)};
    world_injected(&g->world, PLAN_TRANSFERS);
    world_trace(&g->world, TRACE_FAULT, "transfer to node", node + 1);
    (void)ask_leader(t, words, 3); /* whoever leads then, leads */
}

/* ---- members ---- */

/* The text of a field of the last reply, a map. */
static bool field(const struct talk *t, const char *name, char *out, size_t size)
{
    const struct respval *v = &t->rc.value;
    for (uint32_t i = 0; i + 1 < v->nodes[0].count; i += 2) {
        struct slice key = respclient_text(&t->rc, respval_child(v, 0, i));
        if (slice_equal(key, slice_text(name))) {
            struct slice text = respclient_text(&t->rc, respval_child(v, 0, i + 1));
            (void)snprintf(out, size, "%.*s", (int)text.size, text.data);
            return true;
        }
    }
    return false;
}

/* The life of a node that waits to be added. */
static bool ask_life(struct talk *t, unsigned node, char *life, size_t size)
{
    static const char *const words[2] = {"RAFT", "STATUS"};
    bool known = false;
    for (int i = 0; i < ROUNDS && !known && goes_on(t); i++) {
        known = ask(t, node, words, 2) == ANSWER_DONE && field(t, "incarnation", life, size);
        respclient_close(&t->rc);
        if (!known) {
            rest(t, election_ns(t));
        }
    }
    return known;
}

/* Starts it with nothing, unless it waits to be added already. */
static void start_anew(struct talk *t, unsigned node)
{
    struct groupworld *g = t->g;
    struct groupnode *n = &g->node[node];
    bool waits = n->joins && g->procs[node] != NULL && !n->was_member && choose(&t->s, 2) == 0;
    if (!waits) {
        n->wipe = true;
        n->keep_down = false;
        task_wake(n->keeper);
    }
    g->load.asked |= (uint64_t)1 << node;
}

static void await_caught_up(struct talk *t, unsigned node)
{
    const struct groupworld *g = t->g;
    for (int i = 0; i < ROUNDS && goes_on(t); i++) {
        if (g->node[node].up && g->node[node].view.applied + NEAR >= g->watch.committed) {
            return;
        }
        rest(t, election_ns(t));
    }
}

static void join(struct talk *t, unsigned node)
{
    struct groupworld *g = t->g;
    char life[24], id[24], address[32];
    (void)snprintf(address, sizeof address, "10.0.0.%u:%u", node + 1, GROUP_PEER_PORT);
    const char *words[4] = {"RAFT", "ADDRESS", number(id, node + 1), address};
    start_anew(t, node);
    if (!ask_life(t, node, life, sizeof life)) {
        return;
    }
    if (choose(&t->s, 2) == 0) {
        (void)ask(t, whom(t), words, 4); /* the node itself says where it is, too */
        respclient_close(&t->rc);
    }
    g->node[node].was_member = true;
    if (change(t, "ADD", node, life) != ANSWER_DONE || choose(&t->s, 8) == 0) {
        return;
    }
    if (choose(&t->s, 4) > 0) {
        await_caught_up(t, node);
    }
    (void)change(t, "PROMOTE", node, NULL);
}

/* What becomes of one that is no member any more. */
static void dismiss(struct talk *t, unsigned node)
{
    struct groupworld *g = t->g;
    uint64_t fate = choose(&t->s, 3);
    if (fate == 0 || g->procs[node] == NULL) {
        return; /* nobody thinks of it */
    }
    g->node[node].keep_down = true;
    g->load.asked &= ~((uint64_t)1 << node);
    if (fate == 1) {
        proc_kill(g->procs[node]);
    } else {
        g->stopping[node] = true;
        proc_request_stop(g->procs[node]);
    }
}

/* The node that was asked and did not answer is started again: nothing of the request is left but
 * what is in logs. */
static void forget_pending(struct groupworld *g)
{
    struct proc *p = g->procs[g->pending.asked];
    if (g->pending.proc != 0 && p != NULL && p->id == g->pending.proc) {
        world_trace(&g->world, TRACE_FAULT, "did not answer the operator: node",
                    g->pending.asked + 1);
        proc_kill(p);
    }
    g->pending.proc = 0;
}

static uint64_t nobody(const struct groupworld *g)
{
    return (((uint64_t)1 << g->nodes) - 1) & ~groupmembers_perhaps(g);
}

static void member_change(struct talk *t)
{
    struct groupworld *g = t->g;
    forget_pending(g);
    uint64_t voters = groupmembers_voters(g);
    unsigned least = g->founders > 2 ? 2 : 1;
    bool may_leave = (unsigned)__builtin_popcountll(voters) > least;
    unsigned node = some_of(t, groupmembers_now(g));
    bool leaves = may_leave && (nobody(g) == 0 || choose(&t->s, 2) == 0);
    if (!leaves && nobody(g) == 0) {
        return;
    }
    world_injected(&g->world, PLAN_MEMBER_CHANGES);
    if (leaves && change(t, "REMOVE", node, NULL) == ANSWER_DONE) {
        dismiss(t, node);
    }
    uint64_t free = nobody(g);
    if (free != 0 && (!leaves || choose(&t->s, 2) == 0)) {
        join(t, some_of(t, free));
    }
}

/* ---- the program ---- */

static enum plan_knob knob_of(const struct groupoperator *o)
{
    return o->members ? PLAN_MEMBER_CHANGES : PLAN_TRANSFERS;
}

struct event {
    uint64_t at; /* behind the start of the operator */
    uint64_t ordinal;
    struct chooser_stream s;
};

/* In the order of their times. */
static void draw_events(struct groupworld *g, const struct groupoperator *o, uint64_t count,
                        struct event *events)
{
    for (uint64_t i = 0; i < count; i++) {
        struct event e = {.ordinal = i};
        chooser_stream_init(&e.s, &g->world.chooser, CHOOSE_NEMESIS,
                            STREAMS + (o->members ? 10000u : 0) + i);
        e.at = choose(&e.s, g->net.span_ns + 1);
        uint64_t at = i;
        for (; at > 0 && events[at - 1].at > e.at; at--) {
            events[at] = events[at - 1];
        }
        events[at] = e;
    }
}

static int operator_main(struct env *env, int argc, char **argv)
{
    struct groupoperator *o = proc_of(env)->user;
    struct groupworld *g = o->world;
    struct talk t = {.o = o, .g = g, .env = env};
    struct event events[GROUPCHANGE_EVENTS];
    uint64_t count = plan_get(g->plan, knob_of(o));
    uint64_t since = env_clock_mono(env);
    (void)argc;
    (void)argv;
    CK(count <= GROUPCHANGE_EVENTS);
    draw_events(g, o, count, events);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t from = o->members ? GROUPWORLD_CHANGE_ORDINALS : GROUPWORLD_TRANSFER_ORDINALS;
        t.s = events[i].s;
        env_sleep_until(env, since + events[i].at);
        if (goes_on(&t) && !plan_skips(&g->plan->events, 0, from + events[i].ordinal)) {
            (o->members ? member_change : transfer)(&t);
        }
    }
    o->over = true;
    groupworld_news(g);
    return 0;
}

void groupchange_start(struct groupworld *g)
{
    for (unsigned i = 0; i < GROUP_OPERATORS; i++) {
        struct groupoperator *o = &g->operators[i];
        o->world = g;
        o->members = i == 1;
        o->over = plan_get(g->plan, knob_of(o)) == 0;
        if (!o->over) {
            (void)proc_start(o->host, i == 0 ? "hand" : "staff", operator_main, 0, NULL, o);
        }
    }
}

bool groupchange_over(const struct groupworld *g)
{
    return g->operators[0].over && g->operators[1].over;
}

void groupchange_settle(struct groupworld *g)
{
    forget_pending(g);
}
