/* shrink.c - tinykv-sim shrink: the smallest plan that still fails in the same way (the same
 * failure class), by leaving out faults, clients, operations and events, as long as anything goes.
 */
#include "sim/group/groupworld.h"
#include "sim/netnemesis.h"
#include "sim/simmem.h"
#include "sim/tool/simtool.h"

#include <inttypes.h>
#include <string.h>

struct shrink {
    const struct simargs *a;
    struct fiber_pool pool;
    struct plan best;
    char class[48];
    uint64_t runs;
    uint64_t kept;
};

static void try_run(struct shrink *s, const struct plan *p, struct trial_result *r)
{
    struct trial_options o = {.plan = p, .pool = &s->pool};
    simworld_run(&o, r, NULL);
    s->runs++;
}

static bool budget_left(const struct shrink *s)
{
    return s->runs < s->a->max_runs;
}

/* Takes the candidate when it fails in the same way; releases it otherwise. */
static bool attempt(struct shrink *s, struct plan *candidate)
{
    struct trial_result r;
    try_run(s, candidate, &r);
    bool same = !r.ok && strcmp(r.failure.class, s->class) == 0;
    if (same) {
        plan_release(&s->best);
        s->best = *candidate;
        s->kept++;
    } else {
        plan_release(candidate);
    }
    if (!s->a->quiet) {
        (void)fprintf(stderr, "\r%" PRIu64 " runs, %" PRIu64 " steps smaller ", s->runs, s->kept);
    }
    return same;
}

static bool try_knob(struct shrink *s, enum plan_knob k, uint64_t v)
{
    struct plan p;
    if (!budget_left(s) || plan_get(&s->best, k) == v || !plan_concerns(k, s->best.world) ||
        plan_copy(&s->best, &p) != ST_OK) {
        return false;
    }
    p.value[k] = v;
    return attempt(s, &p);
}

/* The least value by halving, towards `floor`. */
static bool lower_knob(struct shrink *s, enum plan_knob k, uint64_t floor)
{
    bool any = try_knob(s, k, floor);
    while (!any || plan_get(&s->best, k) > floor) {
        uint64_t v = floor + (plan_get(&s->best, k) - floor) / 2;
        if (v == plan_get(&s->best, k) || !try_knob(s, k, v)) {
            break;
        }
        any = true;
    }
    return any;
}

static bool drop_faults(struct shrink *s)
{
    bool any = false;
    for (int k = 0; k < PLAN_KNOBS; k++) {
        if (plan_is_fault((enum plan_knob)k)) {
            any = try_knob(s, (enum plan_knob)k, plan_min((enum plan_knob)k)) || any;
        }
    }
    return any;
}

/* The engine's options one by one, and what its operations look like. */
static bool simpler_store(struct shrink *s)
{
    bool any = lower_knob(s, PLAN_STORE_WORKERS, 1);
    any = lower_knob(s, PLAN_STORE_VALUE_BYTES, 0) || any;
    for (int k = 0; k < PLAN_KNOBS; k++) {
        bool its = !plan_concerns((enum plan_knob)k, PLAN_WORLD_NODE) &&
                   plan_concerns((enum plan_knob)k, PLAN_WORLD_STORE) && k != PLAN_STORE_WORKERS &&
                   k != PLAN_STORE_VALUE_BYTES;
        if (its && !plan_is_fault((enum plan_knob)k)) {
            any = try_knob(s, (enum plan_knob)k, plan_default((enum plan_knob)k)) || any;
        }
    }
    return any;
}

/* Fewer nodes, and the network as it is without knobs. */
static bool simpler_group(struct shrink *s)
{
    bool any = lower_knob(s, PLAN_GROUP_NODES, 1);
    any = lower_knob(s, PLAN_GROUP_SPAN, 1) || any;
    for (int k = 0; k < PLAN_KNOBS; k++) {
        if (plan_is_net((enum plan_knob)k) && !plan_is_fault((enum plan_knob)k)) {
            any = try_knob(s, (enum plan_knob)k, plan_default((enum plan_knob)k)) || any;
        }
    }
    return any;
}

static bool simpler_knobs(struct shrink *s)
{
    static const enum plan_knob plain[] = {PLAN_POLICY,       PLAN_STEP_NS,    PLAN_TEAR,
                                           PLAN_DISK_SLOW,    PLAN_MIX,        PLAN_BACKLOG,
                                           PLAN_WRITE_BUFFER, PLAN_IDLE_MS,    PLAN_NET_BUFFER,
                                           PLAN_SHADOW_DEPTH, PLAN_MAX_CLIENTS};
    bool any = false;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        any = try_knob(s, plain[i], plan_default(plain[i])) || any;
    }
    any = lower_knob(s, PLAN_PIPELINE, 1) || any;
    any = lower_knob(s, PLAN_VALUE_BYTES, 0) || any;
    any = lower_knob(s, PLAN_KEYS, 1) || any;
    any = lower_knob(s, PLAN_THINK_US, 0) || any;
    if (s->best.world == PLAN_WORLD_CLUSTER) {
        any = simpler_group(s) || any;
    }
    return s->best.world == PLAN_WORLD_STORE ? simpler_store(s) || any : any;
}

/* Leaves out runs of `count` ordinals from `from` on: all at once, then halves, down to one. */
static bool drop_ordinals(struct shrink *s, bool events, uint64_t from, uint64_t count)
{
    bool any = false;
    uint64_t end = from + count;
    for (uint64_t size = count; size > 0; size /= 2) {
        for (uint64_t at = from; at < end && budget_left(s); at += size) {
            struct plan p;
            const struct plan_skips *now = events ? &s->best.events : &s->best.ops;
            if (plan_skips(now, 0, at) || plan_copy(&s->best, &p) != ST_OK) {
                continue;
            }
            struct plan_range r = {0, at, at + size < end ? at + size - 1 : end - 1};
            if (plan_skip(&p, events ? &p.events : &p.ops, r) != ST_OK) {
                plan_release(&p);
                continue;
            }
            any = attempt(s, &p) || any;
        }
    }
    return any;
}

/* The events of each nemesis of that world. */
static bool drop_events(struct shrink *s)
{
    const struct plan *p = &s->best;
    uint64_t own = plan_get(p, PLAN_KILLS) + plan_get(p, PLAN_POWERS) + plan_get(p, PLAN_PAUSES) +
                   plan_get(p, PLAN_STOPS) + plan_get(p, PLAN_DISK_FULL) +
                   plan_get(p, PLAN_BLACKOUTS);
    bool any = drop_ordinals(s, true, 0, own);
    any = drop_ordinals(s, true, GROUPWORLD_NET_ORDINALS, netnemesis_events(p)) || any;
    any = drop_ordinals(s, true, GROUPWORLD_TRANSFER_ORDINALS, plan_get(p, PLAN_TRANSFERS)) || any;
    return drop_ordinals(s, true, GROUPWORLD_CHANGE_ORDINALS, plan_get(p, PLAN_MEMBER_CHANGES)) ||
           any;
}

static void shrink_all(struct shrink *s)
{
    bool any = true;
    while (any && budget_left(s)) {
        any = drop_faults(s);
        any = lower_knob(s, PLAN_OPS, 1) || any;
        any = lower_knob(s, PLAN_CLIENTS, 1) || any;
        any = drop_events(s) || any;
        any = drop_ordinals(s, false, 0, plan_get(&s->best, PLAN_OPS)) || any;
        any = simpler_knobs(s) || any;
    }
}

static uint64_t ops_left(const struct plan *p)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < plan_get(p, PLAN_OPS); i++) {
        n += !plan_skips(&p->ops, 0, i);
    }
    return n;
}

static int shrink_write(struct shrink *s)
{
    struct buf text;
    char name[64];
    const char *path = s->a->out;
    (void)snprintf(name, sizeof name, "shrunk-%" PRIu64 ".seed", s->best.seed);
    path = path != NULL ? path : name;
    buf_init(&text, simmem());
    enum status st = buf_append_text(&text, "# fails with: ");
    st = st == ST_OK ? buf_append_text(&text, s->class) : st;
    st = st == ST_OK ? buf_append_text(&text, "\n") : st;
    st = st == ST_OK ? plan_print(&s->best, &text) : st;
    bool ok = st == ST_OK && simfile_write(path, buf_slice(&text));
    buf_release(&text);
    if (!ok) {
        return EXIT_TOOL;
    }
    bool store = s->best.world == PLAN_WORLD_STORE;
    (void)printf("%s: %" PRIu64 " %s, %" PRIu64 " operations, after %" PRIu64 " runs\n"
                 "  replay: %s replay %s\n",
                 path, plan_get(&s->best, store ? PLAN_STORE_WORKERS : PLAN_CLIENTS),
                 store ? "threads" : "clients", ops_left(&s->best), s->runs, s->a->program, path);
    return EXIT_FINE;
}

int shrink_command(const struct simargs *a)
{
    struct shrink s = {.a = a};
    struct trial_result r;
    int code = simargs_plan(a, a->what, &s.best);
    if (code != EXIT_FINE) {
        return code;
    }
    fiber_pool_init(&s.pool, 0);
    watchdog_start(60);
    try_run(&s, &s.best, &r);
    if (r.ok) {
        (void)fprintf(stderr, "tinykv-sim: seed %" PRIu64 " does not fail: nothing to shrink\n",
                      s.best.seed);
        code = EXIT_USAGE;
    } else {
        (void)snprintf(s.class, sizeof s.class, "%s", r.failure.class);
        shrink_all(&s);
        if (!a->quiet) {
            (void)fprintf(stderr, "\n");
        }
        code = shrink_write(&s);
    }
    plan_release(&s.best);
    fiber_pool_release(&s.pool);
    return code;
}
