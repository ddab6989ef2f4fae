/* fuzz_sim.c - a whole small simulation of the node: see fuzztrial.h. */
#include "sim/cluster/cluster.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/fuzztrial.h"

static const struct fuzztrial_limit limits[] = {
    {PLAN_CLIENTS, 2},       {PLAN_OPS, 24},       {PLAN_KEYS, 4},
    {PLAN_VALUE_BYTES, 300}, {PLAN_SHADOW_MAX, 3}, {PLAN_WRITE_BUFFER, 4096},
    {PLAN_SHADOW_DEPTH, 1},  {PLAN_KILLS, 1},      {PLAN_POWERS, 1},
    {PLAN_PAUSES, 1},        {PLAN_STOPS, 1},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzztrial_world node = {.world = PLAN_WORLD_NODE,
                                                .run = cluster_run,
                                                .limits = limits,
                                                .limit_count = sizeof limits / sizeof *limits};
    fuzztrial_run(&node, data, size);
    return 0;
}
