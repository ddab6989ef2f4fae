/* store.c - see store.h: the phases of a run, and its account. */
#include "sim/store/store.h"

#include "base/ck.h"
#include "env/note.h"
#include "sim/simmem.h"
#include "sim/store/store_int.h"
#include "sim/store/storetwin.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_MS    1000000u
#define NS_PER_S     1000000000u
#define LIES_ON_PPM  100000 /* of seeds: renames that happen and say they failed */
#define MEDIA_ON_PPM 400000 /* of each kind, where a seed has any */
#define HEAL_S       600    /* virtual: by then a healthy process has come to its end */

static void phase(struct store *s, enum storephase p, const char *name)
{
    s->phase = p;
    world_trace(&s->world, TRACE_PHASE, name, s->ops_started);
}

static void wait_here(struct store *s, uint64_t until)
{
    (void)task_park(&s->world.sched, WAIT_SLEEP, s, until); /* whoever changed something wakes us */
}

/* ---- the process ---- */

static void start(struct store *s)
{
    storeorder_started(s);
    memcpy(s->faults_then, s->world.injected, sizeof s->faults_then);
    uint64_t capacity = plan_get(s->plan, PLAN_CAPACITY);
    s->damage_then = simdisk_damage_met(s->host->disk);
    s->full_then = simdisk_free_bytes(s->host->disk) < capacity / 2;
    s->proc = proc_start(s->host, "store", storeproc_main, 0, NULL, s);
    s->proc->watched = true;
    s->proc->faulty = true;
}

/* Starts it again whenever it went down. */
static void keeper_run(void *arg)
{
    struct store *s = arg;
    struct world *w = &s->world;
    struct chooser_stream draw;
    chooser_stream_init(&draw, &w->chooser, CHOOSE_NEMESIS, 1);
    for (;;) {
        while (s->proc != NULL || s->keep_down) {
            (void)task_park(&w->sched, WAIT_SLEEP, s, ENV_NEVER); /* woken when it ends */
        }
        uint64_t most = s->failed_starts > 5 ? 400u : 40u;
        task_sleep_until(&w->sched, w->sched.now + choose(&draw, most * NS_PER_MS));
        if (s->proc == NULL && !s->keep_down) {
            if (simdisk_dead(s->host->disk) && s->host->up) {
                /* Only a reboot brings such a device back. */
                host_power_off(s->host, simdisk_draw_strategy(&s->host->disk_crash));
                s->crash = STORECRASH_POWER;
            }
            if (!s->host->up) {
                host_power_on(s->host);
            }
            start(s);
        }
    }
}

/* ---- what the process does, seen from outside ---- */

static void on_probe(void *arg, struct proc *p, const struct env_site *site)
{
    struct store *s = arg;
    (void)p;
    trial_probe_reached(s->options, site);
}

static void on_note(void *arg, struct proc *p, const struct env_note *n)
{
    struct store *s = arg;
    if (p != s->proc || !slice_equal(slice_of(n->data, n->size), slice_text(STORE_DIR))) {
        return; /* copies of it are opened beside it */
    }
    if (n->kind == NOTE_TABLE) {
        storecheck_table(s, n->a, n->c == 1);
    }
    storeorder_note(s, n);
}

static void on_disk_point(void *arg, struct proc *p, enum disk_op op, bool before)
{
    struct store *s = arg;
    (void)before;
    if (p == s->proc) {
        shadowing_point(&s->shadows, s->host->disk, op);
    }
}

static void judge_end(struct store *s, const struct proc *p)
{
    char leaks[256];
    if (p->state == PROC_DIED) {
        world_fail(&s->world, "unexplained abort", "the process ended itself: %s", p->death);
        return;
    }
    if (p->state != PROC_EXITED) {
        return;
    }
    proc_leaks(p, leaks, sizeof leaks);
    if (leaks[0] != '\0') {
        world_fail(&s->world, "leak", "after exit %d: %s", p->exit_code, leaks);
    }
}

static void on_ended(void *arg, struct proc *p)
{
    struct store *s = arg;
    if (p != s->proc) {
        return;
    }
    judge_end(s, p);
    if (!s->open && storecheck_damaged(s)) {
        /* Damage kept it from serving: it may be repaired, and the operator has the sectors back.
         */
        storeshadow_repair(s);
        simdisk_heal(s->host->disk, SIMDISK_FAULT_ALL);
    }
    if (s->host->incarnations == 1) {
        s->result->allocations = p->allocations;
    }
    s->result->crashes += p->state != PROC_EXITED;
    s->failed_starts += !s->open;
    s->proc = NULL;
    s->db = NULL;
    s->open = false;
    s->table_count = 0;
    if (!s->host->up) {
        s->crash = STORECRASH_POWER;
    } else if (s->crash == STORECRASH_NONE && p->state != PROC_EXITED) {
        s->crash = STORECRASH_PROCESS;
    }
    for (size_t i = 0; i < s->model.workers; i++) {
        storeop_forget(&s->workers[i]);
    }
    if (s->keeper != NULL) {
        task_wake(s->keeper);
        task_wake(s->director);
    }
}

static const struct world_hooks store_hooks = {
    .note = on_note,
    .probe = on_probe,
    .disk_point = on_disk_point,
    .ended = on_ended,
};

/* ---- the director ---- */

/* Faults off, room on the disk, nothing paused; a device that died is replaced by a reboot. */
static void heal(struct store *s)
{
    struct host *h = s->host;
    s->world.faults = false;
    while (s->nemesis.task != NULL && !s->world.failure.set) {
        task_wake(s->nemesis.task);
        wait_here(s, s->world.sched.now + NS_PER_S);
    }
    simdisk_set_capacity(h->disk, plan_get(s->plan, PLAN_CAPACITY));
    if (s->world.media) {
        /* Damage that it met may have stopped the process's writes for good. */
        simdisk_heal(h->disk, SIMDISK_FAULT_ALL);
        if (s->proc != NULL) {
            proc_kill(s->proc);
        }
    }
    if (s->proc != NULL) {
        proc_resume(s->proc);
    }
    if (simdisk_dead(h->disk) && h->up) {
        host_power_off(h, simdisk_draw_strategy(&h->disk_crash));
    }
}

/* Until the process has ended; false when it does not in time. */
static bool await_end(struct store *s)
{
    struct sched *sched = &s->world.sched;
    uint64_t until = sched->now + (uint64_t)HEAL_S * NS_PER_S;
    while (s->proc != NULL && sched->now < until && !s->world.failure.set) {
        wait_here(s, until);
    }
    if (s->proc != NULL && !s->world.failure.set) {
        world_fail(&s->world, "L1 liveness",
                   "all faults are over, and the process does not come to its end in %d s", HEAL_S);
    }
    return s->proc == NULL && !s->world.failure.set;
}

static void director_body(struct store *s)
{
    phase(s, STOREPHASE_CHAOS, "chaos");
    s->world.faults = true;
    start(s);
    s->keeper = world_task(&s->world, "keeper", &s->tasks, keeper_run, s);
    nemesis_start(&s->nemesis, &s->tasks);
    while (s->busy > 0 && !s->world.failure.set) {
        wait_here(s, ENV_NEVER);
    }
    heal(s);
    phase(s, STOREPHASE_HEALED, "heal");
    /* The process goes on as it is, or its keeper starts it: it looks at everything and ends. */
    while (s->proc == NULL && !s->world.failure.set) {
        wait_here(s, s->world.sched.now + NS_PER_S);
    }
    s->keep_down = true;
    if (!await_end(s)) {
        return;
    }
    phase(s, STOREPHASE_AGAIN, "again");
    start(s);
    if (!await_end(s)) {
        return;
    }
    phase(s, STOREPHASE_OVER, "post mortem");
    storeshadow_drop(s, "power loss after the end");
}

static void director_run(void *arg)
{
    struct store *s = arg;
    director_body(s);
    world_stop(&s->world);
}

/* ---- the account ---- */

void store_draw(struct plan *p)
{
    static const enum plan_knob media[] = {
        PLAN_MEDIA_MAX,  PLAN_MEDIA_EVICT,     PLAN_MEDIA_ROT,
        PLAN_MEDIA_LSE,  PLAN_MEDIA_TRANSIENT, PLAN_MEDIA_MISREAD,
        PLAN_MEDIA_LOST, PLAN_MEDIA_MISDIRECT, PLAN_MEDIA_STALE};
    for (size_t i = 0; i < sizeof media / sizeof *media; i++) {
        if (plan_get(p, PLAN_STORE_MEDIA) == 1) {
            plan_draw_one(p, media[i], MEDIA_ON_PPM);
        }
    }
    plan_draw_one(p, PLAN_RENAME_LIES, LIES_ON_PPM);
}

static void workers_init(struct store *s, struct mem *mem)
{
    storeview_init(&s->view, mem, s->model.key_count);
    for (size_t i = 0; i < s->model.workers; i++) {
        struct storeworker *w = &s->workers[i];
        w->store = s;
        w->number = i;
        w->next = i;
        w->write = STOREMODEL_NONE;
        storeview_init(&w->view, mem, s->model.key_count);
        buf_init(&w->value, mem);
        for (size_t c = 0; c < STORE_HOLDS; c++) {
            w->cursors[c].in = mem_zalloc(mem, s->model.key_count * sizeof(bool));
        }
    }
    s->busy = s->model.workers;
}

/* Where damage strikes: what decides most is hit most. */
static const struct simdisk_aim aims[] = {
    {"*.log", 35, 0, 1000}, {"MANIFEST-*", 15, 0, 1000}, {"CURRENT", 5, 0, 1000},
    {"*.sst", 25, 0, 800},  {"*.sst", 15, 800, 1000},    {"*", 5, 0, 1000},
};

static void store_init(struct store *s, const struct trial_options *o, struct trial_result *r)
{
    struct mem *mem = simmem();
    const struct plan *p = o->plan;
    *s = (struct store){.options = o, .plan = p, .result = r};
    *r = (struct trial_result){0};
    struct world_options wo = trial_world(o, &store_hooks, s);
    wo.aims = aims;
    wo.aim_count = sizeof aims / sizeof *aims;
    world_init(&s->world, mem, &wo);
    trial_attach(o, &s->world);
    list_init(&s->tasks);
    bool log = plan_get(p, PLAN_STORE_LOG) == 1;
    bool backwards = plan_get(p, PLAN_STORE_ORDER) == 1;
    struct storemodel_options mo = {.workers = (size_t)plan_get(p, PLAN_STORE_WORKERS),
                                    .keys = (size_t)plan_get(p, PLAN_KEYS),
                                    .key_padding = (size_t)plan_get(p, PLAN_STORE_KEY_BYTES),
                                    .log = log,
                                    .order = backwards ? &storeopt_reverse : NULL};
    storemodel_init(&s->model, mem, &mo);
    workers_init(s, mem);
    s->host = world_host(&s->world, NULL);
    s->nemesis = (struct nemesis){.world = &s->world,
                                  .host = &s->host,
                                  .proc = &s->proc,
                                  .stopping = &s->stopping,
                                  .ops = &s->ops_started,
                                  .busy = &s->busy,
                                  .wake = &s->director};
    s->shadows = (struct shadowing){.world = &s->world,
                                    .options = o,
                                    .result = r,
                                    .main = storeshadow_main,
                                    .judge = storeshadow_judge,
                                    .crash = storeshadow_crash,
                                    .user = s};
    shadowing_init(&s->shadows);
    storeorder_init(s);
}

static void store_release(struct store *s)
{
    while (!list_empty(&s->tasks)) {
        task_kill(LIST_ENTRY(s->tasks.next, struct task, link));
    }
    nemesis_release(&s->nemesis);
    s->proc = NULL; /* its end is nobody's business any more */
    world_release(&s->world);
    for (size_t i = 0; i < s->model.workers; i++) {
        storeview_release(&s->workers[i].view);
        buf_release(&s->workers[i].value);
        for (size_t c = 0; c < STORE_HOLDS; c++) {
            mem_release(simmem(), s->workers[i].cursors[c].in);
        }
    }
    mem_release(simmem(), s->tables);
    storeorder_release(s);
    storeview_release(&s->view);
    storemodel_release(&s->model);
}

static void run_one(const struct trial_options *o, struct trial_result *r, struct buf *answers,
                    struct buf *tail)
{
    struct store *s = mem_alloc(simmem(), sizeof *s);
    store_init(s, o, r);
    s->answers = answers;
    s->director = world_task(&s->world, "director", &s->tasks, director_run, s);
    (void)world_run(&s->world); /* its failure is in the result */
    trial_account(&s->world, r);
    if (tail != NULL && !r->ok) {
        trial_tail(&s->world, tail);
    }
    store_release(s);
    mem_release(simmem(), s);
}

void store_run(const struct trial_options *o, struct trial_result *r, struct buf *tail)
{
    if (plan_get(o->plan, PLAN_STORE_TWIN) == 1) {
        storetwin_run(o, r, run_one, tail);
    } else {
        run_one(o, r, NULL, tail);
    }
}
