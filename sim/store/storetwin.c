/* storetwin.c - see storetwin.h. */
#include "sim/store/storetwin.h"

#include "base/ck.h"
#include "base/hash.h"
#include "sim/simmem.h"

#include <stdio.h>
#include <string.h>

/* Options that no answer may depend on. */
static const enum plan_knob layout[] = {
    PLAN_STORE_WRITE_BUFFER, PLAN_STORE_MEMTABLES,   PLAN_STORE_BLOCK_BYTES,
    PLAN_STORE_TABLE_BYTES,  PLAN_STORE_LEVEL0,      PLAN_STORE_LEVEL1_BYTES,
    PLAN_STORE_LEVEL_FACTOR, PLAN_STORE_CACHE_BYTES, PLAN_STORE_META_BYTES,
    PLAN_STORE_FILES_MAX,    PLAN_STORE_FILTER_BITS, PLAN_STORE_PREFIX_BYTES,
    PLAN_STORE_COMPRESSION,  PLAN_STORE_THREADS,
};

/* One thread and no faults: what it is answered is a function of what it asks. */
static void calm(struct plan *p)
{
    for (int k = 0; k < PLAN_KNOBS; k++) {
        if (plan_is_fault((enum plan_knob)k)) {
            p->value[k] = plan_min((enum plan_knob)k);
        }
    }
    p->value[PLAN_STORE_WORKERS] = 1;
    p->value[PLAN_SHADOW_MAX] = 0;
    p->value[PLAN_REFUSE_AT] = 0;
}

static void other_layout(struct plan *p)
{
    struct plan other;
    plan_init(&other, p->mem, hash_mix(p->seed ^ 0x7477696eu));
    other.world = PLAN_WORLD_STORE;
    plan_draw(&other);
    for (size_t i = 0; i < sizeof layout / sizeof *layout; i++) {
        p->value[layout[i]] = plan_get(&other, layout[i]);
    }
    plan_release(&other);
}

static void run_as(const struct trial_options *o, const struct plan *p, bool first,
                   struct trial_result *r, storetwin_run_fn *run, struct buf *answers,
                   struct buf *tail)
{
    struct trial_options mine = *o;
    mine.plan = p;
    if (!first) { /* a tape is one run's */
        mine.tape = NULL;
        mine.record = NULL;
    }
    run(&mine, r, answers, tail);
}

static void compare(const struct buf *a, const struct buf *b, struct trial_result *r)
{
    struct storetwin_answer x, y;
    size_t least = a->size < b->size ? a->size : b->size;
    for (size_t at = 0; at + sizeof x <= least; at += sizeof x) {
        memcpy(&x, a->data + at, sizeof x);
        memcpy(&y, b->data + at, sizeof y);
        if (x.ordinal != y.ordinal || x.hash != y.hash) {
            r->ok = false;
            r->failure.set = true;
            (void)snprintf(r->failure.class, sizeof r->failure.class, "E12 equivalence");
            (void)snprintf(r->failure.text, sizeof r->failure.text,
                           "operation %llu is answered otherwise with other options",
                           (unsigned long long)x.ordinal);
            return;
        }
    }
}

void storetwin_run(const struct trial_options *o, struct trial_result *r, storetwin_run_fn *run,
                   struct buf *tail)
{
    struct plan p;
    struct buf answers[2];
    struct trial_result second;
    enum status st = plan_copy(o->plan, &p);
    CK(st == ST_OK);
    buf_init(&answers[0], simmem());
    buf_init(&answers[1], simmem());
    calm(&p);
    run_as(o, &p, true, r, run, &answers[0], tail);
    if (r->ok) {
        other_layout(&p);
        run_as(o, &p, false, &second, run, &answers[1], tail);
        second.trace_hash = hash_add(r->trace_hash, second.trace_hash);
        second.operations += r->operations;
        second.replies += r->replies;
        second.events += r->events;
        second.steps += r->steps;
        second.choices += r->choices;
        second.virtual_ns += r->virtual_ns;
        second.flushes += r->flushes;
        second.compactions += r->compactions;
        second.shadow_crashes += r->shadow_crashes;
        *r = second;
        if (r->ok) {
            compare(&answers[0], &answers[1], r);
        }
    }
    buf_release(&answers[0]);
    buf_release(&answers[1]);
    plan_release(&p);
}
