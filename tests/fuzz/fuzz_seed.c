/* fuzz_seed.c - any text as a .seed file: refused with a message and without a trace, or a plan
 * within its limits that prints and parses to itself. */
#include "base/buf.h"
#include "base/ck.h"
#include "fault/plan.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/test_env.h"

static void check_limits(const struct plan *p)
{
    for (int k = 0; k < PLAN_KNOBS; k++) {
        CK(plan_get(p, (enum plan_knob)k) >= plan_min((enum plan_knob)k));
        CK(plan_get(p, (enum plan_knob)k) <= plan_max((enum plan_knob)k));
    }
}

static void check_round(const struct plan *p, struct mem *mem)
{
    struct buf first;
    struct buf second;
    struct plan again;
    struct err err = {""};
    buf_init(&first, mem);
    buf_init(&second, mem);
    plan_init(&again, mem, 0);
    CK(plan_print(p, &first) == ST_OK);
    CK(plan_parse(&again, buf_slice(&first), &err) == ST_OK);
    CK(plan_print(&again, &second) == ST_OK);
    CK(slice_equal(buf_slice(&first), buf_slice(&second)));
    CK(again.seed == p->seed);
    plan_release(&again);
    buf_release(&first);
    buf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inject te;
    struct plan p;
    struct err err = {""};
    test_env_init(&te, NULL);
    plan_init(&p, &te.env.mem, 42);
    enum status st = plan_parse(&p, slice_of(data, size), &err);
    check_limits(&p);
    if (st == ST_OK) {
        check_round(&p, &te.env.mem);
    } else {
        CK(err.text[0] != '\0');
        CK(p.seed == 42);
        CK(p.ops.count == 0);
        CK(p.events.count == 0);
    }
    plan_release(&p);
    CK(te.live == 0);
    return 0;
}
