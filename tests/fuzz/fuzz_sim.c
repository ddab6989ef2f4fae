/* fuzz_sim.c - a whole small simulation, decided by the input: its first two bytes are the seed of
 * the plan, the rest is the tape that answers every choice until it ends. A check that fails ends
 * the process, after the plan and the last events were printed. */
#include "base/code.h"
#include "sim/cluster/cluster.h"
#include "sim/simmem.h"
#include "tests/fuzz/fuzz_target.h"

#include <stdio.h>
#include <stdlib.h>

#define HEAD       2 /* bytes before the tape */
#define TRACE_KEEP 60

/* The swarm's plan of that seed, made small: an input must take milliseconds. */
static void small_plan(struct plan *p, uint64_t seed)
{
    static const struct {
        enum plan_knob knob;
        uint64_t most;
    } limits[] = {
        {PLAN_CLIENTS, 2},       {PLAN_OPS, 24},       {PLAN_KEYS, 4},
        {PLAN_VALUE_BYTES, 300}, {PLAN_SHADOW_MAX, 3}, {PLAN_WRITE_BUFFER, 4096},
        {PLAN_SHADOW_DEPTH, 1},  {PLAN_KILLS, 1},      {PLAN_POWERS, 1},
        {PLAN_PAUSES, 1},        {PLAN_STOPS, 1},
    };
    plan_init(p, simmem(), seed);
    plan_draw(p);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (p->value[limits[i].knob] > limits[i].most) {
            p->value[limits[i].knob] = limits[i].most;
        }
    }
}

static void fail(const struct plan *p, const struct trial_result *r, const struct buf *tail)
{
    struct buf text;
    buf_init(&text, simmem());
    if (plan_print(p, &text) == ST_OK) {
        (void)fprintf(stderr, "%.*s\n", (int)text.size, text.data);
    }
    (void)fprintf(stderr, "%.*s\nfuzz_sim: %s: %s\n", (int)tail->size,
                  tail->data != NULL ? tail->data : "", r->failure.class, r->failure.text);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fiber_pool pool; /* stacks are kept from one input to the next */
    static int ready;
    if (size < HEAD) {
        return 0;
    }
    if (!ready) {
        fiber_pool_init(&pool, 0);
        ready = 1;
    }
    struct plan p;
    struct trial_result r;
    struct buf tail;
    small_plan(&p, code_get16(data));
    buf_init(&tail, simmem());
    struct trial_options o = {.plan = &p,
                              .pool = &pool,
                              .trace_keep = TRACE_KEEP,
                              .tape = data + HEAD,
                              .tape_size = size - HEAD};
    cluster_run(&o, &r, &tail);
    if (!r.ok) {
        fail(&p, &r, &tail);
    }
    buf_release(&tail);
    plan_release(&p);
    return 0;
}
