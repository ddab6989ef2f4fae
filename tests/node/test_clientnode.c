/* test_clientnode.c - the client library against the real node, in a simulated world: resets,
 * delays, kills; what was said of each call is compared with the counters that are left. */
#include "net/client.h"

#include "node/node.h"
#include "tests/net/clientload.h"
#include "tests/tap.h"

#include <inttypes.h>

#define SEEDS 40

static struct clientlab lab;
static struct clientload load;
static struct clientload_tally tally;

static char program[] = "tinykv";
static char serve[] = "serve";
static char data[] = "--data=data";
static char listen_at[] = "--listen=0.0.0.0:7000";
static char level[] = "--log-level=error";
static char *alone[] = {program, serve, data, listen_at, level, NULL};

static void node_alone(uint64_t seed)
{
    memset(&load, 0, sizeof load);
    clientlab_open(&lab, seed);
    lab.load = &load;
    lab.client = clientload_main;
    lab.program = node_main;
    lab.argc = sizeof alone / sizeof *alone - 1;
    lab.argv[1] = alone;
    lab.node_count = 1;
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

/* A node that does not replicate has no sessions; everything else holds. */
static void test_clientnode__a_node_alone(void)
{
    uint64_t resets = 0;
    tally = (struct clientload_tally){.again = 0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        node_alone(seed);
        judge(seed);
        resets += lab.t.world.injected[PLAN_NET_RESET];
    }
    clientload_print(&tally);
    EXPECT(resets > 0 && tally.again > 0);
    EXPECT(tally.ended[CLIENTLOAD_WRITE][CLIENT_DONE] > 0);
    EXPECT(tally.ended[CLIENTLOAD_WRITE][CLIENT_NOT_DONE] > 0);
    EXPECT(tally.ended[CLIENTLOAD_WRITE][CLIENT_UNKNOWN] > 0);
}

TAP_MAIN(RUN(test_clientnode__a_node_alone);)
