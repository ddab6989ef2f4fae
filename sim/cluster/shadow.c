/* shadow.c - shadow crashes: clone the node's disk, let the power go, recover on the clone with a
 * second engine in a world of its own, judge what it finds, throw it away. The run goes on as if
 * nothing had been.
 *
 * Decisions come from a chooser of their own, so that the parent's trace and tape are the same with
 * shadows on and off. A recovery may itself be crashed, shadow_depth deep. */
#include "base/ck.h"
#include "engine/tkv.h"
#include "sim/cluster/cluster_int.h"

#include <stdio.h>
#include <string.h>

#define MILLION      1000000u
#define NESTED_RARER 12 /* than outside: a recovery is little else than such points */

/* One recovery in a world of its own. */
struct shadow {
    struct cluster *cluster;
    struct world world;
    struct plan plan; /* the run's, with another seed; its lists are borrowed */
    struct chooser_stream *draw;
    struct shadow *outer;
    unsigned depth; /* further crashes allowed inside */
    bool reopen;    /* close, open again, compare (E7) */
    bool again;     /* drop everything unsynced once it serves, and recover again (E4) */
    bool opened;
    enum tkv_status open_status;
    struct tkv_error open_error;
    struct contract_view view;
    bool collecting; /* pairs, for a report */
    struct buf pairs;
    const char *what; /* for the report */
};

static void shadow_run(struct shadow *s, struct simdisk *disk);

/* ---- inside the shadow's world ---- */

static enum tkv_status scan_all(struct shadow *s, struct tkv *db, struct contract_view *v)
{
    struct tkv_iter *it;
    *v = (struct contract_view){.sequence = 0};
    enum tkv_status st = tkv_iter_new(db, NULL, &it);
    if (st != TKV_OK) {
        return st;
    }
    for (tkv_iter_first(it); tkv_iter_valid(it); tkv_iter_next(it)) {
        size_t k, n;
        const void *key = tkv_iter_key(it, &k);
        const void *value = tkv_iter_value(it, &n);
        contract_hash_add(&v->hash, slice_of(key, k), slice_of(value, n), 1);
        v->entries++;
        if (s->collecting) {
            enum status kept = contract_pair(&s->pairs, slice_of(key, k), slice_of(value, n));
            CK(kept == ST_OK);
        }
    }
    st = tkv_iter_status(it);
    tkv_iter_free(it);
    struct tkv_stats stats = {.size = sizeof stats};
    tkv_stats(db, &stats);
    v->sequence = stats.sequence;
    return st;
}

static void shadow_fail(struct shadow *s, const char *class, const char *text)
{
    world_fail(&s->world, class, "%s: %s", s->what, text);
}

/* Opens, scans, closes; what a whole program would do. */
static enum tkv_status open_and_scan(struct shadow *s, struct env *env, struct contract_view *v,
                                     bool first)
{
    struct tkv_options o;
    struct tkv *db;
    tkv_options_init(&o);
    o.env = env;
    o.write_buffer_bytes = plan_get(&s->plan, PLAN_WRITE_BUFFER);
    o.verify = true;
    enum tkv_status st = tkv_open(&o, CLUSTER_DIR, &db, &s->open_error);
    s->open_status = st;
    if (st != TKV_OK) {
        return st;
    }
    s->opened = true;
    st = scan_all(s, db, v);
    if (st != TKV_OK) {
        shadow_fail(s, "E6 recovery", tkv_status_text(st));
    }
    if (first && s->again) {
        struct simdisk *after;
        enum status crash =
            simdisk_crash(proc_of(env)->host->disk, SIMDISK_DROP_ALL, s->draw, &after);
        CK(crash == ST_OK);
        struct shadow inner = {.cluster = s->cluster,
                               .draw = s->draw,
                               .outer = s,
                               .what = "everything unsynced dropped after a recovery that served"};
        shadow_run(&inner, after);
        if (!s->world.failure.set &&
            (inner.view.hash.a != v->hash.a || inner.view.hash.b != v->hash.b)) {
            shadow_fail(s, "E4 fate",
                        "what the first recovery served is not what a second one finds");
        }
    }
    enum tkv_status closed = tkv_close(db);
    return st != TKV_OK ? st : closed;
}

static int shadow_main(struct env *env, int argc, char **argv)
{
    struct shadow *s = proc_of(env)->user;
    (void)argc;
    (void)argv;
    enum tkv_status st = open_and_scan(s, env, &s->view, true);
    if (st == TKV_OK && s->reopen && !s->world.failure.set) {
        struct contract_view second;
        s->collecting = false;
        st = open_and_scan(s, env, &second, false);
        if (st == TKV_OK && (second.hash.a != s->view.hash.a || second.hash.b != s->view.hash.b ||
                             second.sequence != s->view.sequence)) {
            shadow_fail(s, "E7 idempotence", "opening again without writes gives another state");
        }
    }
    return (int)st;
}

static void shadow_ended(void *arg, struct proc *p)
{
    struct shadow *s = arg;
    char leaks[256];
    proc_leaks(p, leaks, sizeof leaks);
    if (p->state == PROC_EXITED && leaks[0] != '\0') {
        shadow_fail(s, "leak", leaks);
    }
    world_stop(&s->world);
}

static void nested_point(void *arg, struct proc *p, enum disk_op op, bool before);

static void shadow_probe(void *arg, struct proc *p, const struct env_site *site)
{
    const struct shadow *s = arg;
    cluster_hooks.probe(s->cluster, p, site);
}

static const struct world_hooks shadow_hooks = {
    .disk_point = nested_point,
    .probe = shadow_probe,
    .ended = shadow_ended,
};

/* ---- judging ---- */

static void pass_on(struct shadow *s, const struct world_failure *f)
{
    struct world *up = s->outer != NULL ? &s->outer->world : &s->cluster->world;
    world_fail(up, f->class, "%s", f->text);
}

/* The recovery is over: did it open, and is what it found allowed? */
static void judge(struct shadow *s)
{
    struct cluster *c = s->cluster;
    struct err why;
    const char *class = "";
    size_t n;
    if (!s->opened) {
        shadow_fail(s, "E6 recovery", s->open_error.text);
        return;
    }
    if (contract_judge(&c->contract, &s->view, true, &n, &class, &why) != ST_OK) {
        struct err diff = {{0}};
        contract_explain(&c->contract, c->contract.synced, buf_slice(&s->pairs), &diff);
        world_fail(&s->world, class, "%s: %s\nagainst the least allowed state: %s", s->what,
                   why.text, diff.text);
    }
}

static void shadow_run(struct shadow *s, struct simdisk *disk)
{
    struct cluster *c = s->cluster;
    s->plan = *c->plan;
    s->plan.seed = choose_u64(s->draw);
    s->collecting = true;
    buf_init(&s->pairs, c->world.mem);
    struct world_options o = {
        .plan = &s->plan, .pool = c->options->pool, .hooks = &shadow_hooks, .hooks_arg = s};
    world_init(&s->world, c->world.mem, &o);
    simdisk_set_capacity(disk, plan_get(c->plan, PLAN_CAPACITY)); /* the operator made room */
    struct host *h = world_host(&s->world, disk);
    struct proc *p = proc_start(h, "shadow", shadow_main, 0, NULL, s);
    p->watched = s->depth > 0;
    (void)world_run(&s->world);
    c->result->shadow_crashes++;
    c->result->shadow_nested += s->outer != NULL;
    if (!s->world.failure.set) {
        judge(s);
    }
    if (s->world.failure.set) {
        pass_on(s, &s->world.failure);
    }
    world_release(&s->world);
    buf_release(&s->pairs);
}

/* ---- where shadows happen ---- */

static uint32_t rate_of(const struct cluster *c, enum disk_op op)
{
    bool meta = op == DISK_META || op == DISK_DIRSYNC;
    bool data = op == DISK_WRITE || op == DISK_SYNC;
    enum plan_knob k = meta ? PLAN_SHADOW_META : PLAN_SHADOW_DATA;
    return meta || data ? (uint32_t)plan_get(c->plan, k) : 0;
}

static void crash_and_recover(struct cluster *c, struct shadow *outer, const struct simdisk *d,
                              enum simdisk_strategy strategy, unsigned depth, const char *what)
{
    struct simdisk *after;
    enum status st = simdisk_crash(d, strategy, &c->shadow, &after);
    CK(st == ST_OK);
    struct shadow s = {.cluster = c,
                       .draw = &c->shadow,
                       .outer = outer,
                       .depth = depth,
                       .reopen = choose_chance(&c->shadow, MILLION / 8),
                       .again = choose_chance(&c->shadow, MILLION / 4),
                       .what = what};
    shadow_run(&s, after);
}

/* A crash inside a recovery. */
static void nested_point(void *arg, struct proc *p, enum disk_op op, bool before)
{
    struct shadow *s = arg;
    struct cluster *c = s->cluster;
    (void)before;
    if (s->world.failure.set || s->depth == 0 || !choose_chance(&c->shadow, rate_of(c, op) / 4)) {
        return;
    }
    unsigned depth = s->depth - 1;
    s->depth = choose_chance(&c->shadow, MILLION / 2) ? s->depth : 0;
    crash_and_recover(c, s, p->host->disk, simdisk_draw_strategy(&c->shadow), depth,
                      "power loss inside a recovery");
}

static bool room_left(const struct cluster *c)
{
    return c->judging && c->shadows_done < plan_get(c->plan, PLAN_SHADOW_MAX) &&
           !c->world.failure.set;
}

void shadow_point(struct cluster *c, enum disk_op op)
{
    if (!room_left(c) || !choose_chance(&c->shadow, rate_of(c, op))) {
        return;
    }
    c->shadows_done++;
    crash_and_recover(c, NULL, c->node_host->disk, simdisk_draw_strategy(&c->shadow),
                      (unsigned)plan_get(c->plan, PLAN_SHADOW_DEPTH), "power loss");
}

void shadow_ack(struct cluster *c)
{
    if (room_left(c) && choose_chance(&c->shadow, (uint32_t)plan_get(c->plan, PLAN_SHADOW_ACK))) {
        c->shadows_done++;
        crash_and_recover(c, NULL, c->node_host->disk, SIMDISK_DROP_ALL, 0,
                          "power loss when a promise left");
    }
}

/* What the disk holds now, recovered without (keep) or with (drop) the loss of what is not synced.
 */
static bool view_of(struct cluster *c, enum simdisk_strategy strategy, struct shadow *s)
{
    struct simdisk *after;
    enum status st = simdisk_crash(c->node_host->disk, strategy, &c->shadow, &after);
    CK(st == ST_OK);
    *s = (struct shadow){
        .cluster = c, .draw = &c->shadow, .what = "the state that a restarted node serves"};
    shadow_run(s, after);
    return !c->world.failure.set;
}

void shadow_decide(struct cluster *c)
{
    struct shadow kept, dropped;
    if (!c->judging) {
        return;
    }
    if (!view_of(c, SIMDISK_DROP_ALL, &dropped) || !view_of(c, SIMDISK_KEEP_ALL, &kept)) {
        return;
    }
    if (kept.view.hash.a != dropped.view.hash.a || kept.view.hash.b != dropped.view.hash.b) {
        world_fail(&c->world, "E4 fate",
                   "the node serves a state that a power loss now would change");
        return;
    }
    size_t n;
    const char *class = "";
    struct err why;
    /* A failed sync may take unsynced bytes out of the page cache (modes F1 and F3): then a process
     * death loses what a power loss may lose. Budget level S1 does not ask for E8. */
    bool unsynced_gone = c->power_lost || c->world.injected[PLAN_SYNC_EIO] > c->sync_errors;
    c->sync_errors = c->world.injected[PLAN_SYNC_EIO];
    if (contract_judge(&c->contract, &kept.view, unsynced_gone, &n, &class, &why) != ST_OK) {
        world_fail(&c->world, class, "after a %s: %s", c->power_lost ? "power loss" : "kill",
                   why.text);
        return;
    }
    while (n > 0 && c->contract.commits[n - 1].outcome == CONTRACT_LOST) {
        n--;
    }
    if (contract_decided(&c->contract, n)) {
        execorder_decided(&c->order, n - 1);
    }
}

void shadow_post_mortem(struct cluster *c)
{
    struct shadow s;
    if (c->judging) {
        (void)view_of(c, SIMDISK_DROP_ALL, &s); /* judged on its way */
    }
}
