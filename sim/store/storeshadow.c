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
    bool repair; /* tkv_repair at first; then whatever it found is fine that was ever written */
    const struct simdisk *disk;
    uint64_t damage; /* met before it began */
    bool opened;
    bool unread; /* damage excuses that */
    enum storecrash crash;
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

/* Media faults have met this recovery: what it cannot read it may say so of. */
static bool damaged(const struct shadow *s)
{
    return simdisk_damage_met(s->disk) > s->damage;
}

static bool excused(const struct shadow *s, enum tkv_status st)
{
    return (st == TKV_CORRUPT || st == TKV_IO) && damaged(s);
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
    if (st != TKV_OK && !excused(s, st)) {
        shadowed_fail(&s->base, "E6 recovery", tkv_status_text(st));
    }
    bool tainted = storecheck_tainted(s->disk, s->damage);
    if (first && s->again && !s->base.world.failure.set && !tainted) {
        crash_again(s, proc_of(env)->host->disk, v);
    }
    enum tkv_status closed = tkv_close(db);
    if (closed != TKV_OK && !excused(s, closed)) {
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
    if (st != TKV_OK && !excused(s, st)) {
        shadowed_fail(&s->base, "verify", error.text);
    }
}

/* False: damage kept it from its end. */
static bool repair(struct shadow *s, struct env *env)
{
    struct tkv_options o;
    struct tkv_error error = {{0}};
    storeopt_make(s->store, env, &o);
    enum tkv_status st = tkv_repair(&o, STORE_DIR, NULL, NULL, &error);
    s->opened = true;
    s->unread = st != TKV_OK;
    bool nothing = st == TKV_NOTFOUND && s->store->model.synced == 0 && s->store->model.tag == 0;
    if (st != TKV_OK && !nothing && !excused(s, st)) {
        shadowed_fail(&s->base, "repair", error.text);
    }
    return st == TKV_OK;
}

/* What damage has cost a recovery around this one, or the one that the run is in the middle of, is
 * gone here too. */
static uint64_t damage_before(const struct shadow *s)
{
    const struct shadow *outer = (const struct shadow *)(const void *)s->base.outer;
    bool recovering = !s->store->open;
    return outer != NULL ? outer->damage
           : recovering  ? s->store->damage_decided
                         : simdisk_damage_met(s->disk);
}

int storeshadow_main(struct env *env, int argc, char **argv)
{
    struct shadow *s = proc_of(env)->user; /* its base comes first */
    (void)argc;
    (void)argv;
    s->disk = proc_of(env)->host->disk;
    s->damage = damage_before(s);
    if (s->repair && !repair(s, env)) {
        return 1;
    }
    enum tkv_status st = open_and_scan(s, env, &s->view, true);
    s->unread = st != TKV_OK;
    s->crash = storecheck_tainted(s->disk, s->damage) ? STORECRASH_DAMAGE : STORECRASH_POWER;
    if (st == TKV_OK && s->reopen && !s->base.world.failure.set && s->crash != STORECRASH_DAMAGE) {
        reopen_and_compare(s, env);
    }
    if (st == TKV_OK && s->verify && !s->base.world.failure.set) {
        verify_all(s, env);
    }
    return (int)st;
}

/* Each key has a value that some write gave it. */
static void judge_repaired(struct shadow *s)
{
    const struct storemodel *m = &s->store->model;
    for (size_t key = 0; key < m->key_count; key++) {
        const struct storekey *k = &m->keys[key];
        struct slice is = storeview_value(&s->view, key);
        bool known = is.data == NULL;
        for (size_t i = 0; i < k->count && !known; i++) {
            known = k->versions[i].present && slice_equal(k->versions[i].value, is);
        }
        if (!known) {
            shadowed_fail(&s->base, "E21 laundering", "a repaired key has a value never written");
        }
    }
}

/* The recovery is over: did it open, and is what it found allowed? */
void storeshadow_judge(struct shadowed *base)
{
    struct shadow *s = (struct shadow *)(void *)base;
    struct storecut cut;
    struct err why = {{0}};
    const char *class = "";
    if (!s->opened && (s->crash != STORECRASH_DAMAGE || s->repair)) {
        shadowed_fail(base, "E6 recovery", s->error.text);
    }
    if (!s->opened || s->unread) {
        return;
    }
    if (s->repair && s->crash == STORECRASH_DAMAGE) {
        judge_repaired(s);
    } else if (!storejudge_view(&s->store->model, &s->view, s->crash, &cut, &class, &why)) {
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
    s.repair = choose_chance(&run->draw, MILLION / 32);
    s.base.depth = s.repair ? 0 : depth; /* half a repair is judged by nobody */
    shadow_init(&s, run);
    shadowed_run(&s.base, after);
    shadow_release(&s);
}

void storeshadow_repair(struct store *s)
{
    struct shadow repaired = {.base = {.what = "a repair"}, .repair = true};
    if (!s->world.failure.set) {
        shadow_init(&repaired, &s->shadows);
        shadowed_crash(&repaired.base, s->host->disk, SIMDISK_KEEP_ALL);
        shadow_release(&repaired);
    }
}

void storeshadow_drop(struct store *s, const char *what)
{
    if (!s->world.failure.set) {
        storeshadow_crash(&s->shadows, NULL, s->host->disk, SIMDISK_DROP_ALL, 0, what);
    }
}
