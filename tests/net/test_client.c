/* test_client.c - the client library against everything that may become of a request. */
#include "net/client.h"

#include "tests/net/clientload.h"
#include "tests/tap.h"

#include <inttypes.h>
#include <stdlib.h>

#define MS     CLIENTLAB_MS
#define SECOND (1000 * MS)
#define SEEDS  200 /* CLIENT_SEEDS=N: others */

static struct clientlab lab;
static struct clientload load;
static struct clientload_tally tally;

static uint64_t seeds(void)
{
    const char *text = getenv("CLIENT_SEEDS");
    return text != NULL ? strtoull(text, NULL, 10) : SEEDS;
}

static void lab_start(uint64_t seed)
{
    memset(&load, 0, sizeof load);
    clientlab_open(&lab, seed);
    lab.sessions_known = true;
    lab.load = &load;
    lab.client = clientload_main;
}

static void lab_finish(uint64_t seed)
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

static void test_client__every_call_is_done_when_nothing_fails(void)
{
    lab_start(1);
    lab_finish(1);
    for (uint32_t i = 0; i < load.count; i++) {
        const struct client_call *call = &load.records[i].call;
        EXPECT(call->outcome == CLIENT_DONE || call->code == PBMSG_CODE_SESSION_EXPIRED);
        EXPECT(call->attempts == (call->outcome == CLIENT_DONE));
    }
}

/* Every mood, resets, splits, kills, each in some seeds. */
static void test_client__says_what_became_of_it(void)
{
    uint64_t resets = 0, repeats = 0, moods[MOODS] = {0};
    tally = (struct clientload_tally){.again = 0};
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        lab_start(seed);
        clientlab_draw(&lab);
        struct prng g = {seed};
        for (int i = 1; i < MOODS; i++) {
            lab.weight[i] = (uint32_t)prng_below(&g, 3) * (uint32_t)prng_below(&g, 4);
        }
        lab.weight[MOOD_EXPIRE] = seed % 3 == 0;
        lab.kills = seed % 2 == 0;
        lab_finish(seed);
        resets += lab.t.world.injected[PLAN_NET_RESET];
        repeats += lab.repeats;
        for (int i = 0; i < MOODS; i++) {
            moods[i] += lab.moods[i];
        }
    }
    for (int i = 0; i < MOODS; i++) {
        EXPECT(moods[i] > 0);
    }
    EXPECT(resets > 0 && repeats > 0 && tally.again > 0);
    clientload_print(&tally);
    printf("# %" PRIu64 " numbers met again, %" PRIu64 " resets\n", repeats, resets);
    for (int kind = 0; kind < CLIENTLOAD_KINDS; kind++) {
        const uint64_t *ended = tally.ended[kind];
        EXPECT(ended[CLIENT_DONE] > 0 && ended[CLIENT_NOT_DONE] > 0);
        EXPECT((ended[CLIENT_UNKNOWN] > 0) == (kind != CLIENTLOAD_READ));
    }
}

TAP_MAIN(RUN(test_client__every_call_is_done_when_nothing_fails);
         RUN(test_client__says_what_became_of_it);)
