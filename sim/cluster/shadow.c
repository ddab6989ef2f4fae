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

#define MILLION 1000000u

/* One recovery in a world of its own. */
struct shadow {
    struct shadowed base; /* first */
    struct cluster *cluster;
    bool reopen; /* close, open again, compare (E7) */
    bool again;  /* drop everything unsynced once it serves, and recover again (E4) */
    bool opened;
    enum tkv_status open_status;
    struct tkv_error open_error;
    struct contract_view view;
    bool collecting; /* pairs, for a report */
    struct buf pairs;
};

static void shadow_run(struct shadow *s, struct simdisk *disk)
{
    s->collecting = true;
    buf_init(&s->pairs, s->cluster->world.mem);
    shadowed_run(&s->base, disk);
    buf_release(&s->pairs);
}

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

/* Opens, scans, closes; what a whole program would do. */
static enum tkv_status open_and_scan(struct shadow *s, struct env *env, struct contract_view *v,
                                     bool first)
{
    struct tkv_options o;
    struct tkv *db;
    tkv_options_init(&o);
    o.env = env;
    o.write_buffer_bytes = plan_get(&s->base.plan, PLAN_WRITE_BUFFER);
    o.verify = true;
    enum tkv_status st = tkv_open(&o, CLUSTER_DIR, &db, &s->open_error);
    s->open_status = st;
    if (st != TKV_OK) {
        return st;
    }
    s->opened = true;
    st = scan_all(s, db, v);
    if (st != TKV_OK) {
        shadowed_fail(&s->base, "E6 recovery", tkv_status_text(st));
    }
    if (first && s->again) {
        struct shadowing *run = s->base.run;
        struct simdisk *after = shadowed_disk(run, proc_of(env)->host->disk, SIMDISK_DROP_ALL);
        struct shadow inner = {
            .base = {.run = run,
                     .outer = &s->base,
                     .what = "everything unsynced dropped after a recovery that served"},
            .cluster = s->cluster};
        shadow_run(&inner, after);
        if (!s->base.world.failure.set &&
            (inner.view.hash.a != v->hash.a || inner.view.hash.b != v->hash.b)) {
            shadowed_fail(&s->base, "E4 fate",
                          "what the first recovery served is not what a second one finds");
        }
    }
    enum tkv_status closed = tkv_close(db);
    return st != TKV_OK ? st : closed;
}

int shadow_main(struct env *env, int argc, char **argv)
{
    struct shadow *s = proc_of(env)->user; /* its base comes first */
    (void)argc;
    (void)argv;
    enum tkv_status st = open_and_scan(s, env, &s->view, true);
    if (st == TKV_OK && s->reopen && !s->base.world.failure.set) {
        struct contract_view second;
        s->collecting = false;
        st = open_and_scan(s, env, &second, false);
        if (st == TKV_OK && (second.hash.a != s->view.hash.a || second.hash.b != s->view.hash.b ||
                             second.sequence != s->view.sequence)) {
            shadowed_fail(&s->base, "E7 idempotence",
                          "opening again without writes gives another state");
        }
    }
    return (int)st;
}

/* ---- judging ---- */

/* The recovery is over: did it open, and is what it found allowed? */
void shadow_judge(struct shadowed *base)
{
    struct shadow *s = (struct shadow *)(void *)base;
    struct cluster *c = s->cluster;
    struct err why;
    const char *class = "";
    size_t n;
    if (!s->opened) {
        shadowed_fail(base, "E6 recovery", s->open_error.text);
        return;
    }
    if (contract_judge(&c->contract, &s->view, true, &n, &class, &why) != ST_OK) {
        struct err diff = {{0}};
        contract_explain(&c->contract, c->contract.synced, buf_slice(&s->pairs), &diff);
        world_fail(&base->world, class, "%s: %s\nagainst the least allowed state: %s", base->what,
                   why.text, diff.text);
    }
}

void shadow_crash(struct shadowing *run, struct shadowed *outer, const struct simdisk *d,
                  enum simdisk_strategy strategy, unsigned depth, const char *what)
{
    struct simdisk *after = shadowed_disk(run, d, strategy);
    struct shadow s = {.base = {.run = run, .outer = outer, .depth = depth, .what = what},
                       .cluster = run->user,
                       .reopen = choose_chance(&run->draw, MILLION / 8),
                       .again = choose_chance(&run->draw, MILLION / 4)};
    shadow_run(&s, after);
}

/* ---- where shadows happen ---- */

void shadow_point(struct cluster *c, enum disk_op op)
{
    if (c->judging) {
        shadowing_point(&c->shadows, c->node_host->disk, op);
    }
}

void shadow_ack(struct cluster *c)
{
    if (c->judging) {
        shadowing_promise(&c->shadows, c->node_host->disk);
    }
}

/* What the disk holds now, recovered without (keep) or with (drop) the loss of what is not synced.
 */
static bool view_of(struct cluster *c, enum simdisk_strategy strategy, struct shadow *s)
{
    *s = (struct shadow){
        .base = {.run = &c->shadows, .what = "the state that a restarted node serves"},
        .cluster = c};
    shadow_run(s, shadowed_disk(&c->shadows, c->node_host->disk, strategy));
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
