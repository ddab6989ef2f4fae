/* test_client.c - the client library against everything that may become of a request. */
#include "net/client.h"

#include "tests/net/clientlab.h"
#include "tests/tap.h"

#include <inttypes.h>
#include <stdlib.h>

#define MS     CLIENTLAB_MS
#define SECOND (1000 * MS)
#define SLACK  (20 * MS) /* between a deadline and its being noticed */
#define SEEDS  200
#define FLYING 40

static struct clientlab lab;

/* A call on the counter of its own number. */
struct record {
    struct client_call call;
    char key[8];
    uint64_t ended_at;
    bool ended; /* done() was called */
};

struct run {
    struct env *env;
    struct client *c;
    struct record records[CLIENTLAB_CALLS];
    uint32_t count;
    uint32_t wrong; /* done() twice, a call that ended late … */
    bool opening;
    struct client_call open;
};

static struct run run;       /* outlives the process, for the judgement */
static uint64_t tally[3][4]; /* reads, writes, once; by outcome, over all seeds */
static uint64_t again;       /* calls that were sent more than once */

static void on_done(struct client_call *call)
{
    struct record *x = call->arg;
    x->ended_at = env_clock_mono(run.env);
    run.wrong += x->ended || x->ended_at > call->deadline + SLACK;
    x->ended = true;
}

static void record_send(struct prng *g, bool can_once)
{
    uint32_t n = run.count++;
    struct record *x = &run.records[n];
    struct client_call *call = &x->call;
    struct slice key = clientlab_key(n, x->key);
    *call = (struct client_call){.done = on_done, .arg = x};
    if (prng_below(g, 4) == 0) {
        call->request.op = PBMSG_GET;
        call->request.get.key = key;
    } else {
        call->request.op = PBMSG_INCR;
        call->request.incr = (struct pbmsg_incr){.key = key, .delta = 1};
        call->once = can_once && prng_below(g, 2) == 0;
    }
    uint64_t most = prng_below(g, 5) == 0 ? 300 * MS : 6 * SECOND;
    call->deadline = env_clock_mono(run.env) + 10 * MS + prng_below(g, most);
    client_send(run.c, call);
}

static void on_open(struct client_call *call)
{
    (void)call;
    run.opening = false;
}

static void open_session(void)
{
    if (client_session(run.c) == 0 && !run.opening && lab.session_count + 8 < CLIENTLAB_SESSIONS) {
        run.opening = true;
        run.open = (struct client_call){.request.op = PBMSG_OPEN_SESSION,
                                        .deadline = env_clock_mono(run.env) + 2 * SECOND,
                                        .done = on_open};
        client_send(run.c, &run.open);
    }
}

/* Keeps some calls flying until all have ended; then everything gets well, and what was put off
 * happens. */
static int many_calls(struct clientlab *l, struct env *env)
{
    struct client_options o;
    struct env_addr addrs[CLIENTLAB_NODES + 1];
    struct prng g = {l->prng.state + 1};
    run.env = env;
    clientlab_options(l, &o, addrs);
    o.inflight = 32;
    o.patience_ns = SECOND;
    EXPECT(client_new(env, &o, &run.c) == ST_OK);
    while (run.count < CLIENTLAB_CALLS || client_pending(run.c) > 0) {
        open_session();
        while (run.count < CLIENTLAB_CALLS && client_pending(run.c) < FLYING) {
            record_send(&g, true);
        }
        EXPECT(client_step(run.c, env_clock_mono(env) + 100 * MS) == ST_OK);
    }
    client_free(run.c);
    l->calm = true;
    env_sleep_until(env, env_clock_mono(env) + 4 * SECOND);
    return 0;
}

/* What is said to have happened did, once; what is said not to, did not. */
static void judge(uint64_t seed)
{
    int before = tap_failed;
    EXPECT(run.wrong == 0);
    EXPECT(run.count == CLIENTLAB_CALLS);
    EXPECT(lab.leaks[0] == '\0');
    for (uint32_t i = 0; i < run.count; i++) {
        const struct client_call *call = &run.records[i].call;
        bool read = call->request.op == PBMSG_GET;
        uint32_t n = lab.counters[i];
        EXPECT(run.records[i].ended);
        EXPECT(n <= 1); /* never twice */
        EXPECT(call->outcome != CLIENT_DONE || read || n == 1);
        EXPECT(call->outcome != CLIENT_NOT_DONE || n == 0);
        EXPECT(!read || call->outcome != CLIENT_UNKNOWN);
        EXPECT((call->outcome == CLIENT_DONE) == (call->code == PBMSG_CODE_OK));
        tally[read ? 0 : call->once ? 2 : 1][call->outcome]++;
        again += call->attempts > 1;
    }
    if (tap_failed != before) {
        printf("# seed %" PRIu64 "\n", seed);
    }
}

static void lab_start(uint64_t seed)
{
    memset(&run, 0, sizeof run);
    clientlab_open(&lab, seed);
    lab.client = many_calls;
}

static void lab_finish(uint64_t seed)
{
    bool well = clientlab_run(&lab);
    EXPECT(well);
    if (!well) {
        printf("# seed %" PRIu64 ": %s: %s\n", seed, lab.t.world.failure.class,
               lab.t.world.failure.text);
    }
    judge(seed);
    clientlab_close(&lab);
}

static void test_client__every_call_is_done_when_nothing_fails(void)
{
    lab_start(1);
    lab_finish(1);
    for (uint32_t i = 0; i < run.count; i++) {
        EXPECT(run.records[i].call.outcome == CLIENT_DONE || run.records[i].call.once);
        EXPECT(run.records[i].call.attempts <= 1);
    }
}

/* Every mood, resets, splits, kills, each in some seeds. */
static void test_client__says_what_became_of_it(void)
{
    uint64_t resets = 0, repeats = 0, moods[MOODS] = {0};
    memset(tally, 0, sizeof tally);
    again = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        lab_start(seed);
        plan_draw(&lab.t.plan);
        plan_draw_net(&lab.t.plan);
        lab.t.plan.value[PLAN_NET_FLIP] = 0; /* this protocol has TCP's checksum only */
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
    EXPECT(resets > 0 && repeats > 0 && again > 0);
    for (int kind = 0; kind < 3; kind++) {
        printf("# %s: %" PRIu64 " done, %" PRIu64 " not, %" PRIu64 " unknown\n",
               kind == 0   ? "reads"
               : kind == 1 ? "writes"
                           : "once",
               tally[kind][CLIENT_DONE], tally[kind][CLIENT_NOT_DONE], tally[kind][CLIENT_UNKNOWN]);
        EXPECT(tally[kind][CLIENT_DONE] > 0 && tally[kind][CLIENT_NOT_DONE] > 0);
        EXPECT((tally[kind][CLIENT_UNKNOWN] > 0) == (kind > 0));
    }
    printf("# %" PRIu64 " sent again, %" PRIu64 " numbers met again, %" PRIu64 " resets\n", again,
           repeats, resets);
}

TAP_MAIN(RUN(test_client__every_call_is_done_when_nothing_fails);
         RUN(test_client__says_what_became_of_it);)
