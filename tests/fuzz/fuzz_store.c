/* fuzz_store.c - the engine alone beside its model, with crashes in between, on the simulated disk:
 * the input decides the operations too. See fuzztrial.h. */
#include "sim/store/store.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/fuzztrial.h"

static const struct fuzztrial_limit limits[] = {
    {PLAN_OPS, 24},          {PLAN_KEYS, 6},         {PLAN_STORE_WORKERS, 3},
    {PLAN_SHADOW_MAX, 1},    {PLAN_SHADOW_DEPTH, 1}, {PLAN_STORE_WRITE_BUFFER, 1024},
    {PLAN_STORE_LEVEL0, 2},  {PLAN_KILLS, 1},        {PLAN_POWERS, 1},
    {PLAN_STORE_THREADS, 2}, {PLAN_PAUSES, 1},       {PLAN_STOPS, 1},
    {PLAN_STORE_TWIN, 0}, /* a tape answers each twin otherwise */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzztrial_world store = {.world = PLAN_WORLD_STORE,
                                                 .draw = store_draw,
                                                 .run = store_run,
                                                 .limits = limits,
                                                 .limit_count = sizeof limits / sizeof *limits};
    fuzztrial_run(&store, data, size);
    return 0;
}
