/* test_clientnode.c - the client library against the real node, in a simulated world: resets,
 * delays, kills; what was said of each call is compared with the counters that are left. */
#include "net/client.h"

#include "node/node.h"
#include "tests/net/clientload.h"
#include "tests/tap.h"

#include <inttypes.h>
#include <stdlib.h>

#define SEEDS 40 /* CLIENT_SEEDS=N: others */

static struct clientlab lab;
static struct clientload load;
static struct clientload_tally tally;

static uint64_t seeds(void)
{
    const char *text = getenv("CLIENT_SEEDS");
    return text != NULL ? strtoull(text, NULL, 10) : SEEDS;
}

#define ARGS 8

static char words[CLIENTLAB_NODES + 1][ARGS][96];
static char *argvs[CLIENTLAB_NODES + 1][ARGS + 1];

/* The arguments of node `id`; hosts are numbered from the client's, which is the first. */
static int node_args(uint32_t id, uint32_t group)
{
    int argc = 0;
    static const char *const all[] = {"tinykv", "serve", "--data=data", "--listen=0.0.0.0:7000",
                                      "--log-level=error"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        (void)snprintf(words[id][argc++], sizeof words[0][0], "%s", all[i]);
    }
    if (group > 0) {
        (void)snprintf(words[id][argc++], sizeof words[0][0], "--id=%u", id);
    }
    if (group > 1) {
        (void)snprintf(words[id][argc++], sizeof words[0][0],
                       "--peers=1=10.0.0.2:7001,2=10.0.0.3:7001,3=10.0.0.4:7001");
    }
    for (int i = 0; i < argc; i++) {
        argvs[id][i] = words[id][i];
    }
    argvs[id][argc] = NULL;
    return argc;
}

/* group: members; 0: a node that does not replicate. */
static void lab_start(uint64_t seed, uint32_t group)
{
    memset(&load, 0, sizeof load);
    clientlab_open(&lab, seed);
    lab.load = &load;
    lab.client = clientload_main;
    lab.sessions_known = group > 0;
    lab.program = node_main;
    lab.node_count = group > 0 ? group : 1;
    for (uint32_t id = 1; id <= lab.node_count; id++) {
        lab.argc = node_args(id, group);
        lab.argv[id] = argvs[id];
    }
    clientlab_draw(&lab);
    lab.kills = seed % 2 == 0;
}

static void judge(uint64_t seed)
{
    bool well = clientlab_run(&lab);
    if (!well) {
        printf("# %s: %s\n", lab.t.world.failure.class, lab.t.world.failure.text);
    }
    well = clientload_judge(&load, &tally) && well;
    EXPECT(well);
    if (!well) {
        printf("# seed %" PRIu64 "\n", seed);
    }
    clientlab_close(&lab);
}

static void many_seeds(uint32_t group)
{
    uint64_t resets = 0;
    tally = (struct clientload_tally){.again = 0};
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        lab_start(seed, group);
        judge(seed);
        resets += lab.t.world.injected[PLAN_NET_RESET];
    }
    clientload_print(&tally);
    EXPECT(resets > 0 && tally.again > 0);
    EXPECT(tally.ended[CLIENTLOAD_WRITE][CLIENT_DONE] > 0);
    EXPECT(tally.ended[CLIENTLOAD_WRITE][CLIENT_NOT_DONE] > 0);
    EXPECT(tally.ended[CLIENTLOAD_WRITE][CLIENT_UNKNOWN] > 0);
    EXPECT(group == 0 || tally.ended[CLIENTLOAD_ONCE][CLIENT_DONE] > 0);
}

/* A node that does not replicate has no sessions; everything else holds. */
static void test_clientnode__a_node_alone(void)
{
    many_seeds(0);
}

static void test_clientnode__a_group_of_one(void)
{
    many_seeds(1);
}

static void test_clientnode__a_group_of_three(void)
{
    many_seeds(3);
}

TAP_MAIN(RUN(test_clientnode__a_node_alone); RUN(test_clientnode__a_group_of_one);
         RUN(test_clientnode__a_group_of_three);)
