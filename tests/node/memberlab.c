/* memberlab.c - see memberlab.h. */
#include "tests/node/memberlab.h"

#include "base/ck.h"
#include "env/note.h"
#include "sim/simlink.h"
#include "sim/simmem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS       MEMBERLAB_MS
#define SECOND   MEMBERLAB_SECOND
#define ID_BYTES 6 /* "00017;" */
#define KEY      "log"
#define PORT     7000
#define PATIENCE (30 * SECOND)

void memberlab_wrong(struct memberlab *lab, const char *fmt, ...)
{
    if (lab->wrong[0] == '\0') {
        va_list args;
        va_start(args, fmt);
        (void)vsnprintf(lab->wrong, sizeof lab->wrong, fmt, args);
        va_end(args);
        world_stop(&lab->world);
    }
}

/* ---- a client ---- */

struct client {
    struct env *env;
    struct memberlab_node *node;
    struct env_thread thread;
    struct env_mutex mutex;
    struct env_cond cond;
    bool done;
    struct replica_request q;
};

static void on_done(struct replica_request *q)
{
    struct client *c = LIST_ENTRY(q, struct client, q);
    env_mutex_lock(c->env, &c->mutex);
    c->done = true;
    env_cond_signal(c->env, &c->cond);
    env_mutex_unlock(c->env, &c->mutex);
}

/* Submits c->q and waits for its end. */
static enum replica_outcome ask(struct client *c)
{
    struct list one;
    list_init(&one);
    list_init(&c->q.link);
    c->q.done = on_done;
    c->q.deadline = env_clock_mono(c->env) + 3 * SECOND;
    c->done = false;
    list_insert(&one, &c->q.link);
    replica_submit(member_replica(c->node->member), &one);
    env_mutex_lock(c->env, &c->mutex);
    while (!c->done) {
        (void)env_cond_wait(c->env, &c->cond, &c->mutex, ENV_NEVER);
    }
    env_mutex_unlock(c->env, &c->mutex);
    return c->q.outcome;
}

static enum replica_outcome append(struct client *c, const char *text)
{
    struct slice args[3] = {slice_text("append"), slice_text(KEY), slice_text(text)};
    struct replica_command command = {args, 3};
    c->q.change = NULL;
    c->q.head = (struct envelope_request){.commands = 1};
    c->q.commands = &command;
    return ask(c);
}

/* What the story wants, if this node leads. */
static void change_one(struct client *c)
{
    struct memberlab *lab = c->node->lab;
    struct replica_change change = lab->change;
    if (change.kind == 0 || c->node->leads == 0) {
        return;
    }
    c->q.change = &change;
    if (ask(c) == REPLICA_DONE) {
        lab->change.kind = 0;
        lab->changed_by = c->node->id;
    }
}

static void write_one(struct client *c)
{
    struct memberlab *lab = c->node->lab;
    uint32_t id = lab->writes++;
    char text[16];
    (void)snprintf(text, sizeof text, "%05u;", id);
    lab->fates[id] = MEMBERLAB_OPEN;
    switch (append(c, text)) {
    case REPLICA_DONE:
        lab->fates[id] = MEMBERLAB_DONE;
        lab->done++;
        c->node->done++;
        break;
    case REPLICA_NOT_DONE:
        lab->fates[id] = MEMBERLAB_NOT_DONE;
        break;
    default:
        lab->fates[id] = MEMBERLAB_UNKNOWN;
        break;
    }
}

static void client_main(void *arg)
{
    struct client *c = arg;
    struct memberlab *lab = c->node->lab;
    while (!env_stop_requested(c->env)) {
        if (!lab->calm && !c->node->quiet && lab->writes < MEMBERLAB_WRITES) {
            write_one(c);
        }
        change_one(c);
        env_sleep_until(c->env, env_clock_mono(c->env) + 20 * MS);
    }
}

static void client_start(struct client *c, struct env *env, struct memberlab_node *n)
{
    *c = (struct client){.env = env, .node = n};
    env_mutex_init(env, &c->mutex);
    env_cond_init(env, &c->cond);
    buf_init(&c->q.reply, &env->mem);
    CK(env_thread_start(env, &c->thread, "client", client_main, c) == ST_OK);
}

static void client_end(struct client *c)
{
    env_thread_join(c->env, &c->thread);
    buf_release(&c->q.reply);
    env_cond_release(c->env, &c->cond);
    env_mutex_release(c->env, &c->mutex);
}

/* ---- a node's process ---- */

/* The founders, and itself. */
static void peers_text(const struct memberlab_node *n, char *text, size_t size)
{
    const struct memberlab *lab = n->lab;
    size_t at = (size_t)snprintf(text, size, "--peers=");
    for (uint32_t i = 1; i <= lab->count; i++) {
        if (i > lab->founders && i != n->id) {
            continue;
        }
        at += (size_t)snprintf(text + at, size - at, "%s%u=10.0.0.%u:%u", i > 1 ? "," : "", i,
                               (unsigned)lab->node[i].host->address, PORT);
    }
}

static enum status options_make(const struct memberlab_node *n, struct nodeopt *opt)
{
    static char texts[4][256]; /* options are parsed without a pause, but keep their text */
    char *argv[6];
    struct err err;
    int argc = 0;
    (void)snprintf(texts[0], sizeof texts[0], "--data=d");
    (void)snprintf(texts[1], sizeof texts[1], "--id=%" PRIu64, n->id);
    peers_text(n, texts[2], sizeof texts[2]);
    for (; argc < 3; argc++) {
        argv[argc] = texts[argc];
    }
    if (n->id > n->lab->founders) {
        (void)snprintf(texts[3], sizeof texts[3], "--join");
        argv[argc++] = texts[3];
    }
    static char verify[] = "--verify", segment[] = "--log-segment=64k";
    argv[argc++] = verify;
    argv[argc++] = segment;
    enum status st = nodeopt_parse(opt, argc, argv, &err);
    opt->data = "d";
    return st;
}

static void value_keep(struct memberlab *lab, struct statemachine *sm)
{
    struct view_value value;
    if (lab->value == NULL && view_get(&sm->view, slice_text(KEY), &value) == ST_OK) {
        lab->value = malloc(value.bytes.size + 1);
        memcpy(lab->value, value.bytes.data, value.bytes.size);
        lab->value_size = value.bytes.size;
        view_value_release(&sm->view, &value);
    }
}

static void end_note(struct memberlab_node *n)
{
    struct replica *r = member_replica(n->member);
    replica_status(r, &n->end);
    if (statemachine_hash(replica_machine(r), &n->hash) != ST_OK) {
        memberlab_wrong(n->lab, "node %" PRIu64 " cannot be read", n->id);
    }
    value_keep(n->lab, replica_machine(r));
    n->stopped = true;
}

static int node_main_here(struct env *env, int argc, char **argv)
{
    struct memberlab_node *n = proc_of(env)->user;
    struct nodeopt opt;
    struct client client;
    (void)argc, (void)argv;
    CK(options_make(n, &opt) == ST_OK);
    n->opened = false;
    enum status st = member_open(env, &opt, &n->member, &n->err);
    if (st != ST_OK) {
        return 1;
    }
    n->opened = true;
    n->incarnation = replica_identity(member_replica(n->member))->incarnation;
    CK(member_start(n->member, &n->err) == ST_OK);
    client_start(&client, env, n);
    while (!env_stop_requested(env)) {
        if (replica_failed(member_replica(n->member)) != ST_OK) {
            memberlab_wrong(n->lab, "node %" PRIu64 " failed", n->id);
        }
        env_sleep_until(env, env_clock_mono(env) + 10 * MS);
    }
    client_end(&client);
    member_stop(n->member);
    end_note(n);
    return member_close(n->member) == ST_OK ? 0 : 1;
}

/* ---- what the world tells ---- */

static void applied_note(struct memberlab *lab, struct memberlab_node *n,
                         const struct env_note *note)
{
    CK(note->a < sizeof lab->history / sizeof *lab->history);
    if (n->applied != 0 && note->a != n->applied + 1) {
        memberlab_wrong(lab, "node %" PRIu64 " applied %" PRIu64 " after %" PRIu64, n->id, note->a,
                        n->applied);
    }
    n->applied = note->a;
    if (lab->history[note->a].term == 0) {
        lab->history[note->a].term = note->b;
        lab->history[note->a].digest = note->c;
    } else if (lab->history[note->a].term != note->b || lab->history[note->a].digest != note->c) {
        memberlab_wrong(lab, "node %" PRIu64 " applied something else at %" PRIu64, n->id, note->a);
    }
}

static void on_note(void *arg, struct proc *p, const struct env_note *note)
{
    struct memberlab *lab = arg;
    struct memberlab_node *n = p->user;
    if (note->kind == NOTE_ROLE) {
        n->leads = note->b == RAFT_LEADER ? note->a : 0;
    }
    if (note->kind == NOTE_INSTALLED) {
        lab->installed++;
        n->applied = 0; /* it goes on elsewhere */
    }
    if (note->kind == NOTE_APPLIED) {
        applied_note(lab, n, note);
    }
}

static void on_probe(void *arg, struct proc *p, const struct env_site *site)
{
    struct memberlab *lab = arg;
    (void)p;
    lab->refused += strcmp(site->name, "member: a wiped node is refused") == 0;
}

static void exit_check(struct memberlab *lab, const struct memberlab_node *n, struct proc *p)
{
    char leaks[160];
    proc_leaks(p, leaks, sizeof leaks);
    bool fine = n->opened ? lab->ending && p->exit_code == 0 : n->may_fail;
    if (!fine || leaks[0] != '\0') {
        memberlab_wrong(lab, "node %" PRIu64 " exited with %d: %s; left: %s", n->id, p->exit_code,
                        n->err.text, leaks);
    }
}

static void on_ended(void *arg, struct proc *p)
{
    struct memberlab *lab = arg;
    struct memberlab_node *n = p->user;
    n->proc = NULL;
    n->member = NULL;
    n->leads = 0;
    n->applied = 0;
    if (p->state == PROC_DIED) {
        memberlab_wrong(lab, "node %" PRIu64 " died: %s", n->id, p->death);
    } else if (p->state == PROC_EXITED) {
        exit_check(lab, n, p);
    }
    bool all = lab->ending;
    for (uint32_t i = 1; i <= lab->count; i++) {
        all = all && lab->node[i].proc == NULL;
    }
    if (all) {
        world_stop(&lab->world);
    }
}

/* ---- for the story ---- */

static uint64_t now_of(const struct memberlab *lab)
{
    return lab->world.sched.now;
}

void memberlab_up(struct memberlab *lab, uint64_t id)
{
    struct memberlab_node *n = &lab->node[id];
    if (n->proc == NULL && lab->wrong[0] == '\0') {
        n->stopped = false;
        n->proc = proc_start(n->host, "node", node_main_here, 0, NULL, n);
    }
}

void memberlab_kill(struct memberlab *lab, uint64_t id)
{
    if (lab->node[id].proc != NULL) {
        proc_kill(lab->node[id].proc);
    }
}

void memberlab_power(struct memberlab *lab, uint64_t id)
{
    struct host *h = lab->node[id].host;
    host_power_off(h, simdisk_draw_strategy(&h->disk_crash));
    host_power_on(h);
}

void memberlab_wipe(struct memberlab *lab, uint64_t id)
{
    struct host *h = lab->node[id].host;
    struct simdisk *empty;
    CK(simdisk_wiped(h->disk, &empty) == ST_OK);
    host_power_off_to(h, empty);
    host_power_on(h);
}

void memberlab_cut(struct memberlab *lab, uint64_t a, uint64_t b)
{
    static const struct simlink_cut drop = {.mode = SIMLINK_DROP};
    (void)simlink_cut(&lab->world, lab->node[a].host, lab->node[b].host, &drop);
    (void)simlink_cut(&lab->world, lab->node[b].host, lab->node[a].host, &drop);
}

void memberlab_heal(struct memberlab *lab)
{
    simlink_heal_all(&lab->world);
}

void memberlab_pass(struct memberlab *lab, uint64_t ns)
{
    task_sleep_until(&lab->world.sched, now_of(lab) + ns);
}

void memberlab_writes(struct memberlab *lab, uint64_t more)
{
    uint64_t want = lab->done + more;
    uint64_t end = now_of(lab) + PATIENCE;
    while (lab->done < want && now_of(lab) < end && lab->wrong[0] == '\0') {
        memberlab_pass(lab, 5 * MS);
    }
    if (lab->done < want) {
        memberlab_wrong(lab, "only %" PRIu64 " of %" PRIu64 " writes in time", lab->done, want);
    }
}

void memberlab_change(struct memberlab *lab, enum replica_change_kind kind, uint64_t id)
{
    uint64_t end = now_of(lab) + PATIENCE;
    while (lab->node[id].incarnation == 0 && now_of(lab) < end) {
        memberlab_pass(lab, 5 * MS); /* until it has begun */
    }
    lab->change =
        (struct replica_change){.kind = kind, .node = id, .incarnation = lab->node[id].incarnation};
    while (lab->change.kind != 0 && now_of(lab) < end && lab->wrong[0] == '\0') {
        memberlab_pass(lab, 5 * MS);
    }
    if (lab->change.kind != 0) {
        memberlab_wrong(lab, "change %d of node %" PRIu64 " did not come about: %d", (int)kind, id,
                        (int)lab->change.why);
    }
}

struct memberlab_node *memberlab_leader(struct memberlab *lab)
{
    struct memberlab_node *best = NULL;
    for (uint32_t i = 1; i <= lab->count; i++) {
        struct memberlab_node *n = &lab->node[i];
        bool higher = best == NULL || n->leads > best->leads;
        best = n->leads != 0 && higher ? n : best;
    }
    return best;
}

/* ---- the end ---- */

static bool all_level(const struct memberlab *lab)
{
    bool level = true;
    uint64_t applied = 0;
    for (uint32_t i = 1; i <= lab->count; i++) {
        const struct memberlab_node *n = &lab->node[i];
        applied = applied == 0 && n->proc != NULL ? n->applied : applied;
        level = level && (n->proc == NULL || n->applied == applied);
    }
    return level && applied > 0;
}

/* Clients rest, and all apply the same. */
static void calm_down(struct memberlab *lab)
{
    uint64_t end = now_of(lab) + PATIENCE;
    lab->calm = true;
    memberlab_pass(lab, 4 * SECOND); /* longer than a client waits */
    for (int quiet = 0; quiet < 5 && now_of(lab) < end; memberlab_pass(lab, 200 * MS)) {
        quiet = all_level(lab) ? quiet + 1 : 0;
    }
    if (!all_level(lab)) {
        memberlab_wrong(lab, "it does not come to rest: applied %" PRIu64 " %" PRIu64 " %" PRIu64,
                        lab->node[1].applied, lab->node[2].applied, lab->node[3].applied);
    }
}

static void fate(void *arg)
{
    struct memberlab *lab = arg;
    lab->story(lab);
    memberlab_heal(lab);
    calm_down(lab);
    lab->ending = true;
    for (uint32_t i = 1; i <= lab->count; i++) {
        if (lab->node[i].proc != NULL) {
            proc_request_stop(lab->node[i].proc);
        }
    }
}

static void account_value(struct memberlab *lab)
{
    static uint32_t times[MEMBERLAB_WRITES];
    memset(times, 0, sizeof times);
    for (size_t at = 0; at + ID_BYTES <= lab->value_size; at += ID_BYTES) {
        uint32_t id = (uint32_t)strtoul(lab->value + at, NULL, 10);
        if (id >= lab->writes) {
            memberlab_wrong(lab, "write %u out of nowhere", id);
            return;
        }
        times[id]++;
    }
    for (uint32_t i = 0; i < lab->writes; i++) {
        uint8_t f = lab->fates[i];
        if (times[i] > 1 || (f == MEMBERLAB_DONE && times[i] == 0) ||
            (f == MEMBERLAB_NOT_DONE && times[i] > 0)) {
            memberlab_wrong(lab, "write %u (fate %d) is there %u times", i, f, times[i]);
        }
    }
}

static void account(struct memberlab *lab)
{
    const struct memberlab_node *one = NULL;
    for (uint32_t i = 1; i <= lab->count; i++) {
        const struct memberlab_node *n = &lab->node[i];
        one = one == NULL && n->stopped ? n : one;
        if (!n->stopped && !n->may_fail) {
            memberlab_wrong(lab, "node %u did not stop", i);
        } else if (n->stopped &&
                   (n->hash != one->hash || n->end.applied.digest != one->end.applied.digest)) {
            memberlab_wrong(lab, "node %u holds something else than others", i);
        }
    }
    account_value(lab);
}

void memberlab_run(struct memberlab *lab, uint64_t seed, uint32_t count,
                   void (*story)(struct memberlab *lab))
{
    const struct world_hooks hooks = {.note = on_note, .probe = on_probe, .ended = on_ended};
    memset(lab, 0, sizeof *lab);
    lab->count = count;
    lab->founders = count;
    lab->story = story;
    list_init(&lab->tasks);
    plan_init(&lab->plan, simmem(), seed);
    fiber_pool_init(&lab->pool, 0);
    struct world_options o = {
        .plan = &lab->plan, .pool = &lab->pool, .hooks = &hooks, .hooks_arg = lab};
    world_init(&lab->world, simmem(), &o);
    for (uint32_t i = 1; i <= count; i++) {
        lab->node[i] =
            (struct memberlab_node){.lab = lab, .id = i, .host = world_host(&lab->world, NULL)};
    }
    (void)world_task(&lab->world, "fate", &lab->tasks, fate, lab);
    if (!world_run(&lab->world) && lab->wrong[0] == '\0') {
        memberlab_wrong(lab, "%s: %.200s", lab->world.failure.class, lab->world.failure.text);
    }
    while (!list_empty(&lab->tasks)) {
        task_kill(LIST_ENTRY(lab->tasks.next, struct task, link));
    }
    if (lab->wrong[0] == '\0') {
        account(lab);
    }
    lab->ending = false; /* what world_release ends is no news */
    world_release(&lab->world);
    fiber_pool_release(&lab->pool);
    plan_release(&lab->plan);
    free(lab->value);
    lab->value = NULL;
}
