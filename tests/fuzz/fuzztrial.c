/* fuzztrial.c - see fuzztrial.h. */
#include "tests/fuzz/fuzztrial.h"

#include "base/code.h"
#include "sim/simmem.h"

#include <stdio.h>
#include <stdlib.h>

#define HEAD       2 /* bytes before the tape */
#define TRACE_KEEP 60

/* The swarm's plan of that seed, made small. */
static void small_plan(const struct fuzztrial_world *w, struct plan *p, uint64_t seed)
{
    plan_init(p, simmem(), seed);
    p->world = w->world;
    plan_draw(p);
    if (w->draw != NULL) {
        w->draw(p);
    }
    for (size_t i = 0; i < w->limit_count; i++) {
        if (p->value[w->limits[i].knob] > w->limits[i].most) {
            p->value[w->limits[i].knob] = w->limits[i].most;
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
    (void)fprintf(stderr, "%.*s\nfuzztrial: %s: %s\n", (int)tail->size,
                  tail->data != NULL ? tail->data : "", r->failure.class, r->failure.text);
    abort();
}

void fuzztrial_run(const struct fuzztrial_world *w, const uint8_t *data, size_t size)
{
    static struct fiber_pool pool; /* stacks are kept from one input to the next */
    static int ready;
    if (size < HEAD) {
        return;
    }
    if (!ready) {
        fiber_pool_init(&pool, 0);
        ready = 1;
    }
    struct plan p;
    struct trial_result r;
    struct buf tail;
    small_plan(w, &p, code_get16(data));
    buf_init(&tail, simmem());
    struct trial_options o = {.plan = &p,
                              .pool = &pool,
                              .trace_keep = TRACE_KEEP,
                              .tape = data + HEAD,
                              .tape_size = size - HEAD};
    w->run(&o, &r, &tail);
    if (!r.ok) {
        fail(&p, &r, &tail);
    }
    buf_release(&tail);
    plan_release(&p);
}
