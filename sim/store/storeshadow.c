/* storeshadow.c - shadow crashes of the database (sim/shadowing.h): opens what a power loss would
 * leave, reads it, and judges it by the model. */
#include "base/ck.h"
#include "sim/store/store_int.h"

#include <stdio.h>
#include <string.h>

#define MILLION 1000000u

struct shadow {
    struct shadowed base; /* first */
    struct store *store;
    bool reopen; /* close, open again, compare (E7) */
    bool again;  /* drop everything unsynced once it serves, and recover again (E4) */
    bool verify; /* tkv_verify at the end */
    bool opened;
    struct tkv_error error;
    struct storeview view;
    struct storeview second;
};

static void shadow_init(struct shadow *s, struct shadowing *run)
{
    s->store = run->user;
    s->base.run = run;
    storeview_init(&s->view, run->world->mem, s->store->model.key_count);
    storeview_init(&s->second, run->world->mem, s->store->model.key_count);
}

static void shadow_release(struct shadow *s)
{
    storeview_release(&s->view);
    storeview_release(&s->second);
}

static enum tkv_status read_all(struct shadow *s, struct tkv *db, struct storeview *v)
{
    const char *wrong;
    struct tkv_stats stats = {.size = sizeof stats};
    enum tkv_status st = storeview_scan(v, &s->store->model, db, NULL, false, &wrong);
    if (st == TKV_OK && wrong != NULL) {
        shadowed_fail(&s->base, "E10 isolation", wrong);
    }
    if (st == TKV_OK && !s->store->model.log) {
        st = tkv_durable_tag(db, &v->tag);
    }
    tkv_stats(db, &stats);
    v->sequence = stats.sequence;
    return st;
}

/* What serves is durable already. */
static void crash_again(struct shadow *s, const struct simdisk *disk, const struct storeview *v)
{
    struct shadow inner = {
        .base = {.outer = &s->base,
                 .what = "everything unsynced dropped after a recovery that served"}};
    shadow_init(&inner, s->base.run);
    shadowed_crash(&inner.base, disk, SIMDISK_DROP_ALL);
    if (!s->base.world.failure.set && !storeview_same(&inner.view, v)) {
        shadowed_fail(&s->base, "E4 fate",
                      "what the first recovery served is not what a second one finds");
    }
    shadow_release(&inner);
}

/* Opens, scans, closes; what a whole program would do. */
static enum tkv_status open_and_scan(struct shadow *s, struct env *env, struct storeview *v,
                                     bool first)
{
    struct tkv_options o;
    struct tkv *db;
    storeopt_make(s->store, env, &o);
    enum tkv_status st = tkv_open(&o, STORE_DIR, &db, &s->error);
    if (st != TKV_OK) {
        s->opened = false;
        return st;
    }
    s->opened = true;
    st = read_all(s, db, v);
    if (st != TKV_OK) {
        shadowed_fail(&s->base, "E6 recovery", tkv_status_text(st));
    }
    if (first && s->again && !s->base.world.failure.set) {
        crash_again(s, proc_of(env)->host->disk, v);
    }
    enum tkv_status closed = tkv_close(db);
    if (closed != TKV_OK) {
        shadowed_fail(&s->base, "E6 recovery", "tkv_close failed without a fault");
    }
    return st;
}

static void reopen_and_compare(struct shadow *s, struct env *env)
{
    struct storeview *second = &s->second;
    enum tkv_status st = open_and_scan(s, env, second, false);
    if (st == TKV_OK &&
        (!storeview_same(second, &s->view) || second->sequence < s->view.sequence)) {
        shadowed_fail(&s->base, "E7 idempotence",
                      "opening again without writes gives another state");
    }
}

static void verify_all(struct shadow *s, struct env *env)
{
    struct tkv_options o;
    struct tkv_error error = {{0}};
    storeopt_make(s->store, env, &o);
    enum tkv_status st = tkv_verify(&o, STORE_DIR, NULL, NULL, &error);
    if (st != TKV_OK && !(STORE_PARTIAL && st == TKV_UNSUPPORTED)) {
        shadowed_fail(&s->base, "verify", error.text);
    }
}

int storeshadow_main(struct env *env, int argc, char **argv)
{
    struct shadow *s = proc_of(env)->user; /* its base comes first */
    (void)argc;
    (void)argv;
    enum tkv_status st = open_and_scan(s, env, &s->view, true);
    if (st == TKV_OK && s->reopen && !s->base.world.failure.set) {
        reopen_and_compare(s, env);
    }
    if (st == TKV_OK && s->verify && !s->base.world.failure.set) {
        verify_all(s, env);
    }
    return (int)st;
}

/* The recovery is over: did it open, and is what it found allowed? */
void storeshadow_judge(struct shadowed *base)
{
    struct shadow *s = (struct shadow *)(void *)base;
    struct storecut cut;
    struct err why = {{0}};
    const char *class = "";
    if (!s->opened) {
        shadowed_fail(base, "E6 recovery", s->error.text);
        return;
    }
    if (!storejudge_view(&s->store->model, &s->view, STORECRASH_POWER, &cut, &class, &why)) {
        shadowed_fail(base, class, why.text);
    }
}

void storeshadow_crash(struct shadowing *run, struct shadowed *outer, const struct simdisk *d,
                       enum simdisk_strategy strategy, unsigned depth, const char *what)
{
    struct simdisk *after = shadowed_disk(run, d, strategy);
    struct shadow s = {.base = {.outer = outer, .depth = depth, .what = what}};
    s.reopen = choose_chance(&run->draw, MILLION / 8);
    s.again = choose_chance(&run->draw, MILLION / 4);
    s.verify = choose_chance(&run->draw, MILLION / 8);
    shadow_init(&s, run);
    shadowed_run(&s.base, after);
    shadow_release(&s);
}

void storeshadow_drop(struct store *s, const char *what)
{
    if (!s->world.failure.set) {
        storeshadow_crash(&s->shadows, NULL, s->host->disk, SIMDISK_DROP_ALL, 0, what);
    }
}
