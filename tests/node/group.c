/* group.c - see group.h. */
#include "tests/node/group.h"

#include "base/ck.h"
#include "env/note.h"
#include "net/frame.h"
#include "net/pbdec.h"
#include "sim/simmem.h"
#include "tests/node/groupship.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS       1000000ull
#define SECOND   (1000 * MS)
#define ID_BYTES 6 /* "00017;" */
#define KEY      "log"
#define CLUSTER  7
#define PATIENCE (20 * SECOND) /* of the last phase */

__attribute__((format(__printf__, 2, 3))) static void wrong(struct group *g, const char *fmt, ...)
{
    if (g->wrong[0] == '\0') {
        va_list args;
        va_start(args, fmt);
        (void)vsnprintf(g->wrong, sizeof g->wrong, fmt, args);
        va_end(args);
        world_stop(&g->world);
    }
}

static uint64_t now_of(const struct group *g)
{
    return g->world.sched.now;
}

/* ---- the network ---- */

static void mail_free(struct group_mail *m)
{
    list_remove(&m->link);
    buf_release(&m->frame);
    mem_release(simmem(), m);
}

static void mail_clear(struct group_node *n)
{
    while (!list_empty(&n->mail)) {
        mail_free(LIST_ENTRY(n->mail.next, struct group_mail, link));
    }
    while (!list_empty(&n->said_mail)) {
        mail_free(LIST_ENTRY(n->said_mail.next, struct group_mail, link));
    }
    n->full = false;
}

/* What a node says must be on its disk: a crash that comes now must not take it back. */
static void remember(struct group_node *n, const struct raft_msg *m)
{
    n->said_term = m->term > n->said_term ? m->term : n->said_term;
    if (m->type == RAFT_MSG_APPEND_REPLY && m->ok &&
        (m->term > n->said.term || m->index > n->said.index)) {
        n->said = (struct raft_place){m->index, m->term};
    }
    if (m->type == RAFT_MSG_VOTE_REPLY && m->ok && m->term < GROUP_TERMS_MAX) {
        if (n->votes[m->term] != 0 && n->votes[m->term] != m->to) {
            wrong(n->g, "node %" PRIu64 " votes twice in term %" PRIu64, n->id, m->term);
        }
        n->votes[m->term] = (uint8_t)m->to;
    }
    bool weighty = m->type == RAFT_MSG_VOTE || (m->type == RAFT_MSG_VOTE_REPLY && m->ok);
    if (weighty && n->g->plan.crashes && !n->g->calm && prng_below(&n->g->net, 6) == 0) {
        n->doomed = true;
        task_wake(n->g->reaper);
    }
}

/* The same after a start: what the disk gave back. */
static void recall(struct group_node *n)
{
    struct replica_status s;
    replica_status(n->replica, &s);
    n->applied = n->applied == 0 ? s.applied.place.index : n->applied; /* there may be no more */
    if (s.raft.term < n->said_term) {
        wrong(n->g, "node %" PRIu64 " spoke of term %" PRIu64 " and comes back in %" PRIu64, n->id,
              n->said_term, s.raft.term);
    }
    if (s.raft.term == n->said.term && s.raft.last < n->said.index) {
        wrong(n->g, "node %" PRIu64 " said that it has %" PRIu64 " and comes back with %" PRIu64,
              n->id, n->said.index, s.raft.last);
    }
}

static void deliver(void *arg, const struct raft_msg *m, const struct raft_entry *entries)
{
    struct group_node *n = arg;
    struct group *g = n->g;
    remember(n, m);
    bool lost = m->to == 0 || m->to > g->plan.nodes || g->node[m->to].proc == NULL ||
                g->cut[m->from][m->to] || (!g->calm && prng_below(&g->net, 1000) < g->plan.loss);
    if (lost) {
        return;
    }
    struct group_mail *mail = mem_zalloc(simmem(), sizeof *mail);
    uint64_t most = g->calm ? 2 * MS : 1 + prng_below(&g->net, 40 * MS);
    mail->at = now_of(g) + prng_below(&g->net, most);
    mail->to = m->to;
    buf_init(&mail->frame, simmem());
    CK(peerwire_append(&g->wire, m, entries, &mail->frame) == ST_OK);
    list_insert(&n->said_mail, &mail->link);
}

static void flush(void *arg)
{
    struct group_node *n = arg;
    while (!list_empty(&n->said_mail)) {
        struct group_mail *m = LIST_ENTRY(n->said_mail.next, struct group_mail, link);
        list_remove(&m->link);
        list_insert(&n->g->node[m->to].mail, &m->link);
    }
}

static void resume(void *arg)
{
    struct group_node *n = arg;
    n->full = false;
}

static struct group_mail *mail_due(struct group_node *n)
{
    for (struct list *l = n->mail.next; l != &n->mail; l = l->next) {
        struct group_mail *m = LIST_ENTRY(l, struct group_mail, link);
        if (m->at <= now_of(n->g)) {
            return m;
        }
    }
    return NULL;
}

/* ---- a client ---- */

struct client {
    struct env *env;
    struct group_node *node;
    struct env_thread thread;
    struct env_mutex mutex;
    struct env_cond cond;
    bool done;
    struct replica_request q;
    struct prng prng;
    uint64_t length; /* that a read saw */
    uint64_t seen;   /* the longest that this client was told of */
    uint64_t session;
    uint64_t sequence;
};

static void on_done(struct replica_request *q)
{
    struct client *c = LIST_ENTRY(q, struct client, q);
    if (q->reads && q->outcome == REPLICA_DONE) {
        struct view_value value;
        struct view *v = &replica_machine(c->node->replica)->view;
        c->length = 0;
        if (view_get(v, slice_text(KEY), &value) == ST_OK) {
            c->length = value.bytes.size;
            view_value_release(v, &value);
        }
        q->index = replica_machine(c->node->replica)->applied.place.index;
    }
    env_mutex_lock(c->env, &c->mutex);
    c->done = true;
    env_cond_signal(c->env, &c->cond);
    env_mutex_unlock(c->env, &c->mutex);
}

/* Submits c->q and waits for its end. */
static enum replica_outcome ask(struct client *c, uint64_t patience)
{
    struct list one;
    list_init(&one);
    list_init(&c->q.link);
    c->q.done = on_done;
    c->q.deadline = env_clock_mono(c->env) + patience;
    c->done = false;
    list_insert(&one, &c->q.link);
    replica_submit(c->node->replica, &one);
    env_mutex_lock(c->env, &c->mutex);
    while (!c->done) {
        (void)env_cond_wait(c->env, &c->cond, &c->mutex, ENV_NEVER);
    }
    env_mutex_unlock(c->env, &c->mutex);
    return c->q.outcome;
}

/* A write of three words or less. */
static enum replica_outcome command(struct client *c, const char *a, const char *b, const char *d)
{
    struct slice args[3] = {slice_text(a), slice_text(b), slice_text(d)};
    struct replica_command command = {args, 3};
    c->q.reads = false;
    c->q.head.commands = 1;
    c->q.commands = &command;
    return ask(c, 4 * SECOND);
}

static bool session_open(struct client *c)
{
    c->q.head = (struct envelope_request){.session = 0};
    enum replica_outcome outcome = command(c, "session", "open", "1000");
    bool good = outcome == REPLICA_DONE && c->q.reply.size > 2 && c->q.reply.data[0] == ':';
    c->session = good ? strtoull(c->q.reply.data + 1, NULL, 10) : 0;
    return good;
}

/* Somebody knows of that length, and of the index that the answer came with. */
static void told_of(struct client *c, uint64_t length)
{
    struct group *g = c->node->g;
    g->longest = length > g->longest ? length : g->longest;
    g->index = c->q.index > g->index ? c->q.index : g->index;
    c->seen = length > c->seen ? length : c->seen;
}

/* The reply to APPEND is the length of the key then. */
static void write_done(struct client *c, uint32_t id)
{
    struct group *g = c->node->g;
    bool number = c->q.reply.size > 2 && c->q.reply.data[0] == ':';
    uint64_t length = number ? strtoull(c->q.reply.data + 1, NULL, 10) : 0;
    if (!number || length % ID_BYTES != 0) {
        wrong(g, "write %u: reply %.*s", id, (int)c->q.reply.size, c->q.reply.data);
    }
    told_of(c, length);
}

static void write_one(struct client *c)
{
    struct group *g = c->node->g;
    uint32_t id = g->write_count++;
    char text[16];
    (void)snprintf(text, sizeof text, "%05u;", id);
    g->writes[id] = (struct group_write){.fate = GROUP_OPEN, .began = now_of(g)};
    c->q.head = (struct envelope_request){.session = 0};
    if (c->session != 0) {
        c->q.head.session = c->session;
        c->q.head.sequence = ++c->sequence;
        c->q.head.answered = c->sequence;
    }
    enum replica_outcome outcome = command(c, "append", KEY, text);
    bool risked = outcome == REPLICA_UNKNOWN;
    while (risked && outcome != REPLICA_DONE && c->session != 0 && !g->ending) {
        outcome = command(c, "append", KEY, text); /* what was unknown stays so until it is done */
    }
    outcome = risked && outcome != REPLICA_DONE ? REPLICA_UNKNOWN : outcome;
    if (outcome == REPLICA_DONE) {
        write_done(c, id);
    }
    g->writes[id].ended = now_of(g);
    g->writes[id].fate = outcome == REPLICA_DONE       ? GROUP_DONE
                         : outcome == REPLICA_NOT_DONE ? GROUP_NOT_DONE
                                                       : GROUP_UNKNOWN;
}

static void read_one(struct client *c)
{
    struct group *g = c->node->g;
    uint64_t before = g->longest;
    uint64_t index = g->index;
    bool local = false;
    c->q.reads = true;
    if (g->plan.fresh) {
        c->q.fresh = (enum replica_freshness)prng_below(&c->prng, 3);
        local = c->q.fresh == REPLICA_LOCAL;
        c->q.min_index = local && prng_below(&c->prng, 3) == 0 ? index : 0;
    }
    if (ask(c, 4 * SECOND) != REPLICA_DONE) {
        return;
    }
    if (local && c->q.min_index == 0) { /* a client of this node sees no less than before */
        g->old += c->length < before;
        before = c->seen;
    }
    if (c->length < before || c->q.index < c->q.min_index) {
        wrong(g, "a read (%d) saw %" PRIu64 " bytes after somebody was told of %" PRIu64,
              (int)c->q.fresh, c->length, before);
    }
    g->local += local;
    told_of(c, c->length);
    g->reads++;
}

static void client_main(void *arg)
{
    struct client *c = arg;
    struct group *g = c->node->g;
    for (uint32_t i = 0; i < g->plan.writes && !g->ending; i++) {
        if (g->plan.sessions && c->session == 0 && !session_open(c)) {
            continue;
        }
        if (g->write_count < GROUP_WRITES_MAX) {
            write_one(c);
        }
        if (prng_below(&c->prng, 2) == 0) {
            read_one(c);
        }
        if (prng_below(&c->prng, 4) == 0) {
            env_sleep_until(c->env, env_clock_mono(c->env) + prng_below(&c->prng, 300 * MS));
        }
    }
    c->node->busy--;
}

/* ---- an operator ---- */

/* Asks for a change here; only a leader does any. */
static void change(struct client *c, enum replica_change_kind kind, uint64_t node)
{
    struct replica_change x = {.kind = kind, .node = node, .incarnation = 99 + node};
    c->q.change = &x;
    enum replica_outcome outcome = ask(c, SECOND);
    c->q.change = NULL;
    c->node->g->changes[outcome]++;
}

/* Any node does this for itself; what it says it has is no less than it had. */
static void snapshot(struct client *c)
{
    struct replica_status s;
    struct replica_change x = {.kind = REPLICA_SNAPSHOT};
    replica_status(c->node->replica, &s);
    c->q.change = &x;
    enum replica_outcome outcome = ask(c, SECOND);
    c->q.change = NULL;
    if (outcome == REPLICA_UNKNOWN ||
        (outcome == REPLICA_DONE && x.place.index < s.applied.place.index)) {
        wrong(c->node->g, "a snapshot of less than was there");
    }
    c->node->g->snapshots += outcome == REPLICA_DONE;
}

static const struct raft_peer_view *member_of(const struct replica_members *m, uint64_t node)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->member[i].id == node) {
            return &m->member[i];
        }
    }
    return NULL;
}

/* Brings the group back to what it was. */
static void restore(struct client *c, const struct replica_members *m)
{
    struct group *g = c->node->g;
    bool whole = true;
    for (uint64_t id = 1; id <= g->plan.nodes; id++) {
        const struct raft_peer_view *p = member_of(m, id);
        whole = whole && p != NULL && (p->roles & RAFT_IN) != 0;
        if (p == NULL || (p->roles == RAFT_LEARNER && prng_below(&c->prng, 2) == 0)) {
            change(c, REPLICA_JOIN, id);
        } else if (p->roles == RAFT_LEARNER) {
            change(c, REPLICA_PROMOTE, id);
        }
    }
    g->whole = whole;
}

static void operator_main(void *arg)
{
    struct client *c = arg;
    struct group *g = c->node->g;
    struct replica_members m;
    while (!g->ending) {
        env_sleep_until(c->env, env_clock_mono(c->env) + prng_below(&c->prng, 600 * MS));
        replica_members(c->node->replica, &m);
        uint64_t node = 1 + prng_below(&c->prng, g->plan.nodes);
        const struct raft_peer_view *p = member_of(&m, node);
        if (prng_below(&c->prng, 8) == 0) {
            snapshot(c);
        }
        if (!m.leads) {
            continue;
        }
        if (g->calm) {
            restore(c, &m);
        } else if (p == NULL) {
            change(c, prng_below(&c->prng, 2) == 0 ? REPLICA_ADD : REPLICA_JOIN, node);
        } else if (p->roles == RAFT_LEARNER) {
            change(c, REPLICA_PROMOTE, node);
        } else {
            bool removes = prng_below(&c->prng, 2) == 0;
            bool named = prng_below(&c->prng, 2) == 0;
            change(c, removes ? REPLICA_REMOVE : REPLICA_TRANSFER, removes || named ? node : 0);
        }
    }
}

static void client_start(struct client *c, struct env *env, struct group_node *n, uint64_t seed,
                         bool operates)
{
    *c = (struct client){.env = env, .node = n, .prng = {seed}};
    env_mutex_init(env, &c->mutex);
    env_cond_init(env, &c->cond);
    buf_init(&c->q.reply, &env->mem);
    void (*run)(void *) = operates ? operator_main : client_main;
    if (env_thread_start(env, &c->thread, operates ? "operator" : "client", run, c) != ST_OK) {
        wrong(n->g, "no thread for a client");
    }
}

static void client_end(struct client *c)
{
    env_thread_join(c->env, &c->thread);
    buf_release(&c->q.reply);
    env_cond_release(c->env, &c->cond);
    env_mutex_release(c->env, &c->mutex);
}

/* ---- a node's process ---- */

static struct raft_config founders(const struct group *g)
{
    struct raft_config c = {.count = g->plan.nodes};
    for (uint32_t i = 0; i < c.count; i++) {
        c.members[i] = (struct raft_member){.id = i + 1, .incarnation = 100 + i, .roles = RAFT_IN};
    }
    return c;
}

static struct replica_options options_of(struct group_node *n, struct tkv_options *engine)
{
    struct replica_options o = {.dir = "."};
    o.transport = (struct replica_transport){.deliver = deliver,
                                             .flush = flush,
                                             .resume = resume,
                                             .send_snapshot = groupship_send,
                                             .take_snapshot = groupship_take,
                                             .arg = n};
    o.raft.verify = true;
    o.engine = engine;
    tkv_options_init(engine);
    engine->verify = true;
    o.log_entries = n->g->plan.log;
    o.raft.runs = n->g->plan.runs;
    o.raft.lease = n->g->plan.fresh;
    if (n->g->plan.small) {
        engine->write_buffer_bytes = 4096;
        o.log.segment_bytes = 32 * 1024;
        o.log.cache_bytes = 512;
        o.raft.message_entries = 4;
        o.raft.warm_bytes = 256;
        o.proposals = 4;
        o.envelope_bytes = 128;
        o.inbox_bytes = 2048;
    }
    return o;
}

static enum status node_open(struct env *env, struct group_node *n, struct err *err)
{
    struct tkv_options engine;
    struct replica_options o = options_of(n, &engine);
    enum status st = replica_open(env, &o, &n->replica, err);
    if (st == ST_NOENT) {
        struct raftlog_identity identity = {
            .cluster = CLUSTER, .node = n->id, .incarnation = 99 + n->id};
        bool joins = n->g->plan.joins && n->id == n->g->plan.nodes;
        struct raft_config config = joins ? (struct raft_config){.count = 0} : founders(n->g);
        st = replica_create(env, &o, &identity, &config, err);
        if (st == ST_OK) {
            st = replica_open(env, &o, &n->replica, err);
        }
    }
    return st == ST_OK ? replica_start(n->replica) : st;
}

static void mail_read(struct group *g, const struct buf *frame, struct peerwire_in *in)
{
    struct frame_reader reader;
    struct slice payload;
    struct peermsg m;
    const char *what;
    pbarena_reset(&g->arena);
    frame_init(&reader, FRAME_PEER, PB_SIZE_MAX, false);
    CK(frame_parse(&reader, frame->data, frame->size, &payload) == ST_OK);
    CK(pbdec_read(&peermsg_table, payload, &g->arena, &m, NULL) == ST_OK);
    CK(peermsg_check(&m, &what) == ST_OK);
    CK(peerwire_read(&m, &g->arena, in, &what) == ST_OK);
}

static void mail_bring(struct group_node *n)
{
    struct group_mail *m;
    while (!n->full && (m = mail_due(n)) != NULL) {
        struct peerwire_in in;
        mail_read(n->g, &m->frame, &in);
        n->full = true; /* what resumes may come before the answer */
        if (replica_receive(n->replica, &in) == ST_BUSY) {
            n->g->refused++;
        } else {
            n->full = false;
            mail_free(m);
        }
    }
}

static void value_keep(struct group *g, struct statemachine *sm)
{
    struct view_value value;
    if (g->value == NULL && view_get(&sm->view, slice_text(KEY), &value) == ST_OK) {
        g->value = malloc(value.bytes.size + 1);
        memcpy(g->value, value.bytes.data, value.bytes.size);
        g->value_size = value.bytes.size;
        view_value_release(&sm->view, &value);
    }
}

static int node_main_here(struct env *env, int argc, char **argv)
{
    struct group_node *n = proc_of(env)->user;
    struct group *g = n->g;
    struct client clients[8], operator;
    struct err err = {.text = ""};
    (void)argc;
    (void)argv;
    groupship_open(env, n);
    if (node_open(env, n, &err) != ST_OK) {
        wrong(g, "node %" PRIu64 " does not open: %s", n->id, err.text);
        return 1;
    }
    recall(n);
    n->busy = g->calm && g->plan.rounds > 0 ? 0 : g->plan.clients;
    uint32_t count = n->busy;
    for (uint32_t i = 0; i < count; i++) {
        client_start(&clients[i], env, n, prng_next(&g->net), false);
    }
    if (g->plan.changes) {
        client_start(&operator, env, n, prng_next(&g->net), true);
    }
    while (!env_stop_requested(env)) {
        mail_bring(n);
        replica_turn(n->replica);
        groupship_bring(n);
        if (replica_failed(n->replica) != ST_OK) {
            wrong(g, "node %" PRIu64 " failed", n->id);
        }
        env_sleep_until(env, env_clock_mono(env) + 2 * MS);
    }
    for (uint32_t i = 0; i < count; i++) {
        client_end(&clients[i]);
    }
    if (g->plan.changes) {
        client_end(&operator);
    }
    replica_stop(n->replica);
    groupship_close(n);
    replica_status(n->replica, &n->end);
    if (statemachine_hash(replica_machine(n->replica), &n->hash) != ST_OK) {
        wrong(g, "node %" PRIu64 " cannot be read", n->id);
    }
    value_keep(g, replica_machine(n->replica));
    n->stopped = true;
    return replica_close(n->replica) == ST_OK ? 0 : 1;
}

/* ---- the world ---- */

static void node_up(struct group_node *n)
{
    if (n->proc == NULL && n->g->wrong[0] == '\0') {
        mail_clear(n);
        n->applied = 0;
        n->life++;
        n->proc = proc_start(n->host, "node", node_main_here, 0, NULL, n);
        n->proc->watched = n->g->plan.power != 0;
    }
}

static void on_note(void *arg, struct proc *p, const struct env_note *note)
{
    struct group *g = arg;
    struct group_node *n = p->user;
    if (note->kind == NOTE_INSTALLED) {
        g->installed++;
        n->applied = note->a - 1;
    } else if (note->kind != NOTE_APPLIED) {
        return;
    }
    if (note->a >= GROUP_INDEX_MAX) {
        return;
    }
    if (n->applied != 0 && note->a != n->applied + 1) {
        wrong(g, "node %" PRIu64 " applied %" PRIu64 " after %" PRIu64, n->id, note->a, n->applied);
    }
    n->applied = note->a;
    if (g->history[note->a].term == 0) {
        g->history[note->a].term = note->b;
        g->history[note->a].digest = note->c;
    } else if (g->history[note->a].term != note->b || g->history[note->a].digest != note->c) {
        wrong(g, "node %" PRIu64 " applied something else at %" PRIu64, n->id, note->a);
    }
}

/* The power goes when so much was done since a snapshot came. */
static void on_disk_point(void *arg, struct proc *p, enum disk_op op, bool before)
{
    struct group *g = arg;
    struct group_node *n = p->user;
    (void)op, (void)before;
    if (g->plan.power == 0 || (n->points == 0 && !n->staged)) {
        return;
    }
    if (++n->points == g->plan.power) {
        n->doomed = true;
        g->interrupted++;
        task_wake(g->reaper);
        host_power_off(n->host, simdisk_draw_strategy(&n->host->disk_crash));
    }
}

static void on_ended(void *arg, struct proc *p)
{
    struct group *g = arg;
    struct group_node *n = p->user;
    n->proc = NULL;
    n->replica = NULL;
    groupship_ended(n);
    if (p->state == PROC_DIED) {
        wrong(g, "node %" PRIu64 " died: %s", n->id, p->death);
    } else if (p->state == PROC_EXITED) {
        char leaks[160];
        proc_leaks(p, leaks, sizeof leaks);
        if (!g->ending || p->exit_code != 0 || leaks[0] != '\0') {
            wrong(g, "node %" PRIu64 " exited with %d %.150s", n->id, p->exit_code, leaks);
        }
    }
    bool all = g->ending;
    for (uint32_t i = 1; i <= g->plan.nodes; i++) {
        all = all && g->node[i].stopped && g->node[i].proc == NULL;
    }
    if (all) {
        world_stop(&g->world);
    }
}

static void pass(struct group *g, uint64_t ns)
{
    task_sleep_until(&g->world.sched, now_of(g) + ns);
}

static void power_cycle(struct group *g, struct group_node *n, struct chooser_stream *draw)
{
    host_power_off(n->host, simdisk_draw_strategy(draw));
    pass(g, choose(draw, 200 * MS));
    host_power_on(n->host);
}

static void misfortune(struct group *g, struct chooser_stream *draw)
{
    struct group_node *n = &g->node[1 + choose(draw, g->plan.nodes)];
    switch (choose(draw, 6)) {
    case 0: /* the power of one */
        if (g->plan.crashes && n->proc != NULL) {
            power_cycle(g, n, draw);
        }
        break;
    case 1: /* the process of one */
        if (g->plan.crashes && n->proc != NULL) {
            proc_kill(n->proc);
        }
        break;
    case 2: /* the power of all */
        for (uint32_t i = 1; g->plan.crashes && i <= g->plan.nodes; i++) {
            if (choose(draw, 3) != 0) {
                host_power_off(g->node[i].host, simdisk_draw_strategy(draw));
                host_power_on(g->node[i].host);
            }
        }
        break;
    case 3: /* some links */
        for (uint32_t i = 1; g->plan.cuts && i <= g->plan.nodes; i++) {
            for (uint32_t k = 1; k <= g->plan.nodes; k++) {
                g->cut[i][k] = choose(draw, 3) == 0;
            }
        }
        break;
    case 4: /* one from all */
        for (uint32_t i = 1; g->plan.cuts && i <= g->plan.nodes; i++) {
            g->cut[n->id][i] = g->cut[i][n->id] = true;
        }
        break;
    default:
        memset(g->cut, 0, sizeof g->cut);
        break;
    }
}

static void reap(void *arg)
{
    struct group *g = arg;
    for (;;) {
        (void)task_park(&g->world.sched, WAIT_SLEEP, g, ENV_NEVER);
        for (uint32_t i = 1; i <= g->plan.nodes; i++) {
            struct group_node *n = &g->node[i];
            if (n->doomed && (n->proc == NULL || !g->calm)) {
                if (n->proc != NULL) {
                    host_power_off(n->host, SIMDISK_DROP_ALL);
                }
                host_power_on(n->host);
                node_up(n);
            }
            n->doomed = false;
        }
    }
}

static bool all_quiet(const struct group *g)
{
    bool quiet = g->whole || !g->plan.changes;
    for (uint32_t i = 1; i <= g->plan.nodes; i++) {
        const struct group_node *n = &g->node[i];
        quiet = quiet && n->proc != NULL && n->busy == 0 && n->applied > 0 &&
                n->applied == g->node[1].applied;
    }
    return quiet;
}

/* Waits until nothing is going on; false: it did not come to that. */
static bool calm_down(struct group *g)
{
    uint64_t end = now_of(g) + PATIENCE + (uint64_t)g->plan.writes * SECOND;
    for (int quiet = 0; quiet < 10 && now_of(g) < end;) {
        pass(g, 200 * MS);
        quiet = all_quiet(g) ? quiet + 1 : 0;
    }
    return all_quiet(g);
}

static void fate(void *arg)
{
    struct group *g = arg;
    struct chooser_stream draw;
    chooser_stream_init(&draw, &g->world.chooser, CHOOSE_NEMESIS, 0);
    for (uint32_t i = 0; i < g->plan.rounds; i++) {
        for (uint32_t k = 1; k <= g->plan.nodes; k++) {
            bool away = i == 0 && g->plan.away && k == g->plan.nodes;
            if (!away && (i <= g->plan.away || choose(&draw, 3) != 0)) {
                node_up(&g->node[k]);
            }
        }
        pass(g, choose(&draw, 4 * SECOND));
        misfortune(g, &draw);
    }
    memset(g->cut, 0, sizeof g->cut);
    g->calm = true;
    for (uint32_t k = 1; k <= g->plan.nodes; k++) {
        node_up(&g->node[k]);
    }
    if (!calm_down(g)) {
        wrong(g, "it does not come to rest: applied %" PRIu64 " %" PRIu64 " %" PRIu64,
              g->node[1].applied, g->node[2].applied, g->node[3].applied);
    }
    g->ending = true;
    for (uint32_t k = 1; k <= g->plan.nodes; k++) {
        if (g->node[k].proc != NULL) {
            proc_request_stop(g->node[k].proc);
        }
    }
}

/* ---- the account ---- */

static void account_value(struct group *g)
{
    static uint32_t times[GROUP_WRITES_MAX];
    uint64_t latest = 0; /* the latest beginning of those so far */
    memset(times, 0, sizeof times);
    for (size_t at = 0; at + ID_BYTES <= g->value_size; at += ID_BYTES) {
        uint32_t id = (uint32_t)strtoul(g->value + at, NULL, 10);
        if (id >= g->write_count) {
            wrong(g, "write %u out of nowhere", id);
            return;
        }
        times[id]++;
        const struct group_write *w = &g->writes[id];
        bool known = w->fate == GROUP_DONE;
        if (known && w->ended < latest) {
            wrong(g, "write %u stands behind one that began after its end", id);
        }
        latest = w->began > latest ? w->began : latest;
    }
    for (uint32_t i = 0; i < g->write_count; i++) {
        enum group_fate f = g->writes[i].fate;
        g->fates[f]++;
        if (times[i] > 1 || (f == GROUP_DONE && times[i] == 0) ||
            (f == GROUP_NOT_DONE && times[i] > 0)) {
            wrong(g, "write %u (fate %d) is there %u times", i, f, times[i]);
        }
    }
}

static void account(struct group *g)
{
    const struct group_node *one = &g->node[1];
    for (uint32_t i = 1; i <= g->plan.nodes; i++) {
        const struct group_node *n = &g->node[i];
        if (!n->stopped) {
            wrong(g, "node %u did not stop", i);
        } else if (n->hash != one->hash || n->end.applied.digest != one->end.applied.digest) {
            wrong(g, "node %u holds something else than node 1, at %" PRIu64 " and %" PRIu64, i,
                  n->end.applied.place.index, one->end.applied.place.index);
        }
    }
    if (g->value_size < g->longest) {
        wrong(g, "%zu bytes in the end, somebody was told of %" PRIu64, g->value_size, g->longest);
    }
    account_value(g);
}

void group_run(struct group *g, const struct group_plan *p)
{
    const struct world_hooks hooks = {
        .note = on_note, .ended = on_ended, .disk_point = on_disk_point};
    memset(g, 0, sizeof *g);
    g->plan = *p;
    g->net.state = p->seed;
    g->wire.mem = simmem();
    list_init(&g->parcels);
    pbarena_init(&g->arena, simmem(), SIZE_MAX / 2, 1u << 20);
    list_init(&g->tasks);
    plan_init(&g->world_plan, simmem(), p->seed);
    if (p->fresh) { /* as the core's default has it */
        CK(plan_set(&g->world_plan, "clock_drift", 500, NULL) == ST_OK);
    }
    fiber_pool_init(&g->pool, 0);
    struct world_options o = {
        .plan = &g->world_plan, .pool = &g->pool, .hooks = &hooks, .hooks_arg = g};
    world_init(&g->world, simmem(), &o);
    for (uint32_t i = 1; i <= p->nodes; i++) {
        g->node[i] = (struct group_node){.g = g, .id = i, .host = world_host(&g->world, NULL)};
        list_init(&g->node[i].mail);
        list_init(&g->node[i].said_mail);
    }
    g->reaper = world_task(&g->world, "reaper", &g->tasks, reap, g);
    (void)world_task(&g->world, "fate", &g->tasks, fate, g);
    if (!world_run(&g->world) && g->wrong[0] == '\0') {
        wrong(g, "%s: %.200s", g->world.failure.class, g->world.failure.text);
    }
    while (!list_empty(&g->tasks)) {
        task_kill(LIST_ENTRY(g->tasks.next, struct task, link));
    }
    if (g->wrong[0] == '\0') {
        account(g);
    }
    for (uint32_t i = 1; i <= p->nodes; i++) {
        mail_clear(&g->node[i]);
    }
    world_release(&g->world);
    fiber_pool_release(&g->pool);
    plan_release(&g->world_plan);
    groupship_release(g);
    peerwire_release(&g->wire);
    pbarena_release(&g->arena);
    free(g->value);
    g->value = NULL;
}
