/* storecopy.c - see storecopy.h. */
#include "sim/store/storecopy.h"

#include <stdio.h>

static void fail(struct store *s, const char *class, enum tkv_status st, const char *what,
                 const struct tkv_error *error)
{
    if (!storecheck_excused(s, st)) {
        world_fail(&s->world, class, "%s said '%s': %s", what, tkv_status_text(st), error->text);
    }
}

/* Its state is that of a moment between `low` and now. */
static void compare(struct storeworker *w, struct tkv *copy, const struct storecut *low)
{
    struct store *s = w->store;
    struct storecut cut = *low;
    struct slice stripes[STOREMODEL_WORKERS];
    const char *wrong, *class = "checkpoint";
    struct err why = {{0}};
    enum tkv_status st = storeview_scan(&w->view, &s->model, copy, NULL, false, &wrong);
    if (!storecheck_status(s, "a scan of a checkpoint", st)) {
        return;
    }
    bool ok = wrong == NULL;
    if (!ok) {
        err_set(&why, "a scan of a checkpoint found %s", wrong);
    } else if (s->model.workers > 1) {
        for (size_t i = 0; i < s->model.workers; i++) {
            stripes[i] = storeview_value(&w->view, s->model.stripes[i]);
        }
        ok = storejudge_cut(&s->model, stripes, low, &cut, &class, &why);
    }
    if (!ok || !storejudge_same(&s->model, &w->view, &cut, &why)) {
        world_fail(&s->world, "checkpoint", "%s", why.text);
    }
}

static bool is_there(struct env *env, const char *dir)
{
    struct env_stat stat;
    return env_path_stat(env, dir, &stat) == ST_OK;
}

/* Opens the copy, compares it, and removes it. */
static void look_and_destroy(struct storeworker *w, struct env *env, const char *dir,
                             const struct storecut *low)
{
    struct store *s = w->store;
    struct tkv_options o;
    struct tkv *copy;
    struct tkv_error error = {{0}};
    storeopt_make(s, env, &o);
    o.create_if_missing = false;
    enum tkv_status st = tkv_open(&o, dir, &copy, &error);
    if (st != TKV_OK) {
        fail(s, "checkpoint", st, "opening a checkpoint", &error);
    } else {
        compare(w, copy, low);
        st = tkv_close(copy);
        if (st != TKV_OK) {
            fail(s, "checkpoint", st, "closing a checkpoint", &error);
        }
    }
    st = tkv_destroy(&o, dir, &error);
    if (st != TKV_OK) {
        fail(s, "destroy", st, "tkv_destroy", &error);
    } else if (is_there(env, dir)) {
        world_fail(&s->world, "destroy", "tkv_destroy of %s left it there", dir);
    }
}

void storecopy_run(struct storeworker *w, struct env *env, uint64_t ordinal)
{
    struct store *s = w->store;
    struct storecut low;
    struct tkv_error error = {{0}};
    char dir[40];
    (void)snprintf(dir, sizeof dir, "copy%llu.%llu", (unsigned long long)ordinal,
                   (unsigned long long)s->host->incarnations);
    storemodel_low(&s->model, &low);
    uint64_t faults = storecheck_faults(s);
    enum tkv_status st = tkv_checkpoint(s->db, dir, &error);
    if (st == TKV_OK) {
        look_and_destroy(w, env, dir, &low);
        return;
    }
    fail(s, "checkpoint", st, "tkv_checkpoint", &error);
    /* a second fault may have kept it from tidying up */
    if (storecheck_faults(s) <= faults + 1 && !simdisk_dead(s->host->disk) && is_there(env, dir)) {
        world_fail(&s->world, "checkpoint", "it failed (%s), and left %s", error.text, dir);
    }
}
