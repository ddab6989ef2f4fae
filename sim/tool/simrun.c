/* simrun.c - tinykv-sim run and replay: one run, and what happened in it. */
#include "sim/simmem.h"
#include "sim/tool/simtool.h"

#include <inttypes.h>
#include <string.h>

static void print_event(void *arg, const struct trace_event *e)
{
    char line[256];
    (void)arg;
    trace_format(e, line, sizeof line);
    (void)puts(line);
}

static void account(const struct plan *p, const struct trial_result *r, uint64_t wall_ns)
{
    (void)printf("seed %" PRIu64 ": %s, trace hash %016" PRIx64 "\n", p->seed,
                 !r->ok       ? "FAILED"
                 : r->unknown ? "unknown"
                              : "ok",
                 r->trace_hash);
    (void)printf("  %" PRIu64 " operations (%" PRIu64 " answered), %" PRIu64 " crashes, %" PRIu64
                 " shadow recoveries (%" PRIu64 " inside a recovery)\n",
                 r->operations, r->replies, r->crashes, r->shadow_crashes, r->shadow_nested);
    if (p->world == PLAN_WORLD_STORE) {
        (void)printf("  %" PRIu64 " flushes, %" PRIu64 " compactions\n", r->flushes,
                     r->compactions);
    }
    (void)printf("  %.3f s of virtual time, %" PRIu64 " steps, %" PRIu64 " events, %" PRIu64
                 " choices in %.1f ms\n",
                 (double)r->virtual_ns / 1e9, r->steps, r->events, r->choices,
                 (double)wall_ns / 1e6);
    (void)printf("  faults:");
    for (int k = 0; k < PLAN_KNOBS; k++) {
        if (r->injected[k] > 0) {
            (void)printf(" %s %" PRIu64, plan_name((enum plan_knob)k), r->injected[k]);
        }
    }
    (void)printf("\n");
}

struct run {
    struct plan plan;
    struct fiber_pool pool;
    struct buf tape, record, history, tail;
    struct trial_options o;
    struct trial_result r;
    uint64_t wall_ns;
};

static int run_open(struct run *x, const struct simargs *a)
{
    memset(x, 0, sizeof *x);
    int code = simargs_plan(a, a->what, &x->plan);
    buf_init(&x->tape, simmem());
    buf_init(&x->record, simmem());
    buf_init(&x->history, simmem());
    buf_init(&x->tail, simmem());
    fiber_pool_init(&x->pool, 0);
    x->o =
        (struct trial_options){.plan = &x->plan, .pool = &x->pool, .trace_keep = (size_t)a->tail};
    if (code == EXIT_FINE && a->tape != NULL) {
        code = simfile_read(a->tape, &x->tape) ? EXIT_FINE : EXIT_USAGE;
        x->o.tape = x->tape.data != NULL ? x->tape.data : "";
        x->o.tape_size = x->tape.size;
    }
    x->o.record = a->record != NULL ? &x->record : NULL;
    x->o.history = a->history != NULL ? &x->history : NULL;
    return code;
}

static void run_close(struct run *x)
{
    buf_release(&x->tape);
    buf_release(&x->record);
    buf_release(&x->history);
    buf_release(&x->tail);
    fiber_pool_release(&x->pool);
    plan_release(&x->plan);
}

static int run_go(struct run *x, const struct simargs *a)
{
    uint64_t from = wall_clock_ns();
    watchdog_start(20);
    simworld_run(&x->o, &x->r, &x->tail);
    x->wall_ns = wall_clock_ns() - from;
    if (a->record != NULL && !simfile_write(a->record, buf_slice(&x->record))) {
        return EXIT_TOOL;
    }
    if (a->history != NULL && !simfile_write(a->history, buf_slice(&x->history))) {
        return EXIT_TOOL;
    }
    return x->r.ok && !x->r.unknown ? EXIT_FINE : EXIT_CHECK;
}

static void show(struct run *x, const struct simargs *a)
{
    if (a->json) {
        struct buf line;
        buf_init(&line, simmem());
        simreport_json(&x->plan, &x->r, x->wall_ns, &line);
        (void)printf("%.*s\n", (int)line.size, line.data);
        buf_release(&line);
        return;
    }
    if (!x->r.ok && !a->full_trace) {
        (void)printf("the last %" PRIu64 " events:\n%.*s", a->tail, (int)x->tail.size,
                     x->tail.data != NULL ? x->tail.data : "");
    }
    account(&x->plan, &x->r, x->wall_ns);
    if (!x->r.ok) {
        char seed[24];
        (void)snprintf(seed, sizeof seed, "%" PRIu64, x->plan.seed);
        simreport_failure(stdout, a, a->what != NULL ? a->what : seed, &x->plan, &x->r);
    }
}

static int one_run(const struct simargs *a, bool watch)
{
    struct run x;
    int code = run_open(&x, a);
    if (code == EXIT_FINE) {
        x.o.watch = watch ? print_event : NULL;
        code = run_go(&x, a);
        show(&x, a);
    }
    run_close(&x);
    return code;
}

int plan_command(const struct simargs *a)
{
    struct plan p;
    struct buf text;
    int code = simargs_plan(a, a->what, &p);
    if (code != EXIT_FINE) {
        return code;
    }
    buf_init(&text, simmem());
    code = plan_print(&p, &text) == ST_OK ? EXIT_FINE : EXIT_TOOL;
    (void)printf("%.*s", (int)text.size, text.data);
    buf_release(&text);
    plan_release(&p);
    return code;
}

int run_command(const struct simargs *a)
{
    return one_run(a, a->full_trace);
}

int replay_command(const struct simargs *a)
{
    return one_run(a, a->full_trace);
}
