/* storeproc.c - the process under test: opens the database, lets its threads use it, closes it, and
 * opens it again, as a program does that embeds the engine. */
#include "base/ck.h"
#include "sim/store/store_int.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_MS   1000000u
#define EXIT_REFUSE 1 /* faults kept it from serving */
#define MILLION     1000000u

static void pause_ms(struct env *env, uint64_t ms)
{
    env_sleep_until(env, env_clock_mono(env) + ms * NS_PER_MS);
}

/* ---- opening and closing ---- */

static enum tkv_status open_as(struct store *s, struct env *env, struct tkv **db,
                               void (*change)(struct tkv_options *o), struct tkv_error *error)
{
    struct tkv_options o;
    storeopt_make(s, env, &o);
    if (change != NULL) {
        change(&o);
    }
    return tkv_open(&o, STORE_DIR, db, error);
}

static void want_reverse(struct tkv_options *o)
{
    o->comparator = o->comparator == NULL ? &storeopt_reverse : NULL;
}

static void want_read_only(struct tkv_options *o)
{
    o->read_only = true;
}

static void want_new(struct tkv_options *o)
{
    o->error_if_exists = true;
}

/* What must not open does not, and says so. */
static void expect_refused(struct store *s, struct env *env, void (*change)(struct tkv_options *o),
                           enum tkv_status want, const char *what)
{
    struct tkv *db;
    struct tkv_error error = {{0}};
    enum tkv_status st = open_as(s, env, &db, change, &error);
    if (st == TKV_OK) {
        (void)tkv_close(db); /* it should not be open */
    }
    if (st != want && !storecheck_excused(s, st)) {
        world_fail(&s->world, "open", "opening %s said '%s' (%s) instead of '%s'", what,
                   tkv_status_text(st), error.text, tkv_status_text(want));
    }
}

static bool session_open(struct store *s, struct env *env)
{
    struct tkv_error error = {{0}};
    enum tkv_status st = open_as(s, env, &s->db, NULL, &error);
    if (st != TKV_OK) {
        s->db = NULL;
        if (!storecheck_excused(s, st)) {
            world_fail(&s->world, "E6 recovery", "opening said '%s': %s", tkv_status_text(st),
                       error.text);
        }
        return false;
    }
    s->tag_told = 0;
    return true;
}

/* Closes it; what it had acknowledged is on the disk then, if the status is right. */
static void session_close(struct store *s, struct env *env)
{
    const struct proc *p = proc_of(env);
    char leaks[256];
    uint64_t acked = s->model.acked;
    struct storecut low;
    storemodel_low(&s->model, &low);
    enum tkv_status st = tkv_close(s->db);
    s->db = NULL;
    s->open = false;
    s->crash = STORECRASH_PROCESS; /* what failed to be synced may be lost */
    if (storecheck_status(s, "tkv_close", st)) {
        storemodel_durable(&s->model, acked);
        s->model.tag = s->model.log ? 0 : low.upto[0];
        s->crash = STORECRASH_NONE;
    }
    proc_leaks(p, leaks, sizeof leaks);
    if (leaks[0] != '\0') {
        world_fail(&s->world, "leak", "after tkv_close: %s", leaks);
    }
}

/* ---- between sessions ---- */

static void report_line(void *arg, const char *line)
{
    struct err *last = arg;
    err_set(last, "%s", line);
}

static void verify_closed(struct store *s, struct env *env)
{
    struct tkv_options o;
    struct tkv_error error = {{0}};
    struct err line = {{0}};
    storeopt_make(s, env, &o);
    enum tkv_status st = tkv_verify(&o, STORE_DIR, report_line, &line, &error);
    if (st != TKV_OK && !storecheck_excused(s, st)) {
        world_fail(&s->world, "verify", "tkv_verify said '%s': %s; its last line: %s",
                   tkv_status_text(st), error.text, line.text);
    }
}

/* A reader that may change nothing: sees all, and leaves the disk as it was. */
static void read_only_open(struct store *s, struct env *env)
{
    struct tkv_error error = {{0}};
    struct storecut cut;
    struct err why = {{0}};
    const char *wrong, *class = "";
    uint64_t before = simdisk_digest(s->host->disk);
    enum tkv_status st = open_as(s, env, &s->db, want_read_only, &error);
    if (st != TKV_OK) {
        s->db = NULL;
        if (!storecheck_excused(s, st)) {
            world_fail(&s->world, "open", "opening to read only said '%s': %s", tkv_status_text(st),
                       error.text);
        }
        return;
    }
    st = storeview_scan(&s->view, &s->model, s->db, NULL, false, &wrong);
    if (storecheck_status(s, "a scan of a database opened to read", st) &&
        storecheck_state(s, &s->view)) {
        /* a write that failed last may be there now; whoever may write next decides that */
        bool right = storejudge_view(&s->model, &s->view, STORECRASH_NONE, &cut, &class, &why);
        if (wrong != NULL || !right) {
            world_fail(&s->world, "E11 resurrection", "opened to read only: %s",
                       wrong != NULL ? wrong : why.text);
        }
    }
    st = tkv_put(s->db, NULL, "x", 1, "y", 1);
    if (st != TKV_READONLY && !storecheck_excused(s, st)) {
        world_fail(&s->world, "status", "a write to a database opened to read said '%s'",
                   tkv_status_text(st));
    }
    (void)storecheck_status(s, "tkv_close after reading only", tkv_close(s->db));
    s->db = NULL;
    if (!s->world.media && simdisk_digest(s->host->disk) != before) {
        world_fail(&s->world, "read only", "a database opened to read changed the disk");
    }
}

/* What a program may do with a closed database; each with some probability. */
static void between_sessions(struct store *s, struct env *env, struct chooser_stream *draw)
{
    if (choose_chance(draw, MILLION / 3)) {
        verify_closed(s, env);
    }
    if (choose_chance(draw, MILLION / 4)) {
        expect_refused(s, env, want_new, TKV_EXIST, "with error_if_exists");
    }
    if (choose_chance(draw, MILLION / 3)) {
        read_only_open(s, env);
    }
    if (choose_chance(draw, MILLION / 4)) {
        expect_refused(s, env, want_reverse, TKV_INVALID, "with another order");
    }
}

/* ---- a session ---- */

static void worker_run(void *arg)
{
    struct storeworker *w = arg;
    struct store *s = w->store;
    struct env *env = &s->proc->env;
    const struct plan *plan = s->plan;
    uint64_t ops = plan_get(plan, PLAN_OPS);
    while (w->next < ops && !s->closing && !env_stop_requested(env)) {
        uint64_t ordinal = w->next;
        w->next += s->model.workers;
        if (plan_skips(&plan->ops, 0, ordinal)) {
            continue;
        }
        s->ops_started++;
        s->result->operations++;
        nemesis_tick(&s->nemesis);
        storeop_run(w, env, ordinal);
    }
    storeop_release(w);
    if (w->next >= ops && s->busy > 0 && w->next < UINT64_MAX / 2) {
        w->next = UINT64_MAX / 2; /* counted once */
        s->busy--;
    }
}

static void workers_run(struct store *s, struct env *env)
{
    size_t started = 0;
    s->closing = false;
    while (started < s->model.workers) {
        struct storeworker *w = &s->workers[started];
        enum status st = env_thread_start(env, &w->thread, "worker", worker_run, w);
        if (st != ST_OK) {
            break; /* refused: those that there are go on */
        }
        started++;
    }
    for (size_t i = 0; i < started; i++) {
        env_thread_join(env, &s->workers[i].thread);
    }
    if (started == 0) {
        pause_ms(env, 1);
    }
}

/* Opened and closed again, as by a program that finds nothing to do; it may be ended meanwhile. */
static void idle_run(struct store *s, struct env *env, struct chooser_stream *draw)
{
    s->closing = true;
    if (choose_chance(draw, MILLION / 2)) {
        pause_ms(env, 1 + choose(draw, 20));
    }
}

/* The operations are over: waits for the heal, and looks at everything once more. */
static void last_look(struct store *s, struct env *env)
{
    struct tkv_stats stats = {.size = sizeof stats};
    task_wake(s->director);
    while (s->phase == STOREPHASE_CHAOS) {
        pause_ms(env, 1);
    }
    if (!storeop_write_again(s, env)) {
        return;
    }
    storecheck_scan(s, &s->view, NULL, false);
    (void)storecheck_status(s, "tkv_flush", tkv_flush(s->db));
    (void)storecheck_status(s, "tkv_compact_range", tkv_compact_range(s->db, NULL, 0, NULL, 0));
    (void)storecheck_status(s, "tkv_wait_idle", tkv_wait_idle(s->db));
    storecheck_scan(s, &s->view, NULL, true);
    storecheck_descriptors(s);
    tkv_stats(s->db, &stats);
    if (s->phase == STOREPHASE_AGAIN && !s->world.failure.set) {
        storecheck_files(s, stats.logs); /* faults may have kept the one before from it */
    }
}

static void count_work(struct store *s)
{
    struct tkv_stats stats = {.size = sizeof stats};
    tkv_stats(s->db, &stats);
    s->result->flushes += stats.flushes;
    s->result->compactions += stats.compactions + stats.moves;
}

int storeproc_main(struct env *env, int argc, char **argv)
{
    struct store *s = proc_of(env)->user;
    struct chooser_stream draw;
    (void)argc;
    (void)argv;
    chooser_stream_init(&draw, &s->world.chooser, CHOOSE_WORKLOAD,
                        ((uint64_t)1 << 40) + s->host->incarnations);
    for (;;) {
        if (!session_open(s, env)) {
            return EXIT_REFUSE;
        }
        if (!storecheck_opened(s) || (!s->model.log && !storeop_replay(s))) {
            (void)tkv_close(s->db); /* faults, or the run has failed */
            s->db = NULL;
            return EXIT_REFUSE;
        }
        s->open = true;
        s->failed_starts = 0;
        if (choose_chance(&draw, MILLION / 3)) {
            storeshadow_drop(s, "power loss when a recovery serves");
        }
        if (s->phase == STOREPHASE_CHAOS && choose_chance(&draw, MILLION / 3)) {
            idle_run(s, env, &draw);
        } else if (s->phase == STOREPHASE_CHAOS) {
            workers_run(s, env);
        }
        bool over = s->busy == 0 && !env_stop_requested(env);
        if (over) {
            last_look(s, env);
        }
        count_work(s);
        session_close(s, env);
        if (s->crash == STORECRASH_NONE && choose_chance(&draw, MILLION / 3)) {
            storeshadow_drop(s, "power loss after an orderly close");
        }
        if (s->world.failure.set || over || env_stop_requested(env)) {
            return 0;
        }
        if (s->crash == STORECRASH_NONE) { /* else it may have less than was acknowledged */
            between_sessions(s, env, &draw);
        }
    }
}
