/* test_client.c - the client library against everything that may become of a request. */
#include "net/client.h"

#include "fault/inject.h"
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
        clientload_draw(&lab, seed);
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

/* ---- one thing at a time ---- */

/* Runs one client program against the stand-ins; what it EXPECTs counts. */
static void run_with(int (*client)(struct clientlab *l, struct env *env))
{
    lab.client = client;
    bool well = clientlab_run(&lab);
    EXPECT(well);
    if (!well) {
        printf("# %s: %s\n", lab.t.world.failure.class, lab.t.world.failure.text);
    }
    EXPECT(lab.leaks[0] == '\0');
    clientlab_close(&lab);
}

static struct client *client_make(struct clientlab *l, struct env *env)
{
    static struct env_addr addrs[CLIENTLAB_NODES + 1];
    struct client_options o;
    struct client *c = NULL;
    clientlab_options(l, &o, addrs);
    o.inflight = 1024;
    EXPECT(client_new(env, &o, &c) == ST_OK);
    return c;
}

static struct client_call ping(uint64_t deadline)
{
    return (struct client_call){.request = {.op = PBMSG_PING}, .deadline = deadline};
}

static struct client_call incr(const char *key, uint64_t deadline)
{
    return (struct client_call){
        .request = {.op = PBMSG_INCR, .incr = {.key = slice_text(key), .delta = 1}},
        .deadline = deadline};
}

static bool open_session(struct client *c, struct env *env)
{
    struct client_call open = {.request.op = PBMSG_OPEN_SESSION,
                               .deadline = env_clock_mono(env) + SECOND};
    return client_run(c, &open) == ST_OK && open.outcome == CLIENT_DONE && client_session(c) != 0;
}

static int nobody_listens(struct clientlab *l, struct env *env)
{
    (void)l;
    struct env_addr nowhere[2] = {{.family = 4, .port = 1, .ip = {10, 0, 0, 2}},
                                  {.family = 4, .port = 2, .ip = {10, 0, 0, 2}}};
    struct client_options o;
    struct client *c;
    client_options_init(&o);
    o.nodes = nowhere;
    o.node_count = 2;
    EXPECT(client_new(env, &o, &c) == ST_OK);
    for (int write = 0; write < 2; write++) {
        uint64_t deadline = env_clock_mono(env) + 10 * SECOND;
        struct client_call call = write != 0 ? incr("1", deadline) : ping(deadline);
        EXPECT(client_run(c, &call) == ST_OK);
        EXPECT(call.outcome == CLIENT_NOT_DONE && call.code == PBMSG_CODE_TIMEOUT);
        EXPECT(call.attempts == 0 && call.response == NULL);
        uint64_t now = env_clock_mono(env);
        EXPECT(now >= deadline && now < deadline + 5 * MS);
    }
    client_free(c);
    return 0;
}

/* Two addresses, pauses from 20 ms to 2 s: some 14 in the first ten seconds, then one a second. */
static void test_client__pauses_grow_and_deadlines_hold(void)
{
    clientlab_open(&lab, 1);
    run_with(nobody_listens);
    EXPECT(lab.lost > 20 && lab.lost < 70);
    printf("# %" PRIu64 " attempts in 20 s\n", lab.lost);
}

static int silence(struct clientlab *l, struct env *env)
{
    struct client *c = client_make(l, env);
    uint64_t from = env_clock_mono(env);
    struct client_call read = ping(from + 60 * SECOND);
    EXPECT(client_run(c, &read) == ST_OK);
    /* the first node is mute; after three seconds' patience so is the next one */
    EXPECT(read.outcome == CLIENT_NOT_DONE && read.attempts >= 15 && read.attempts <= 21);
    from = env_clock_mono(env);
    struct client_call write = incr("1", from + 20 * SECOND);
    EXPECT(client_run(c, &write) == ST_OK);
    EXPECT(write.outcome == CLIENT_UNKNOWN && write.code == PBMSG_CODE_TIMEOUT);
    EXPECT(write.attempts == 1); /* to go elsewhere with it would be to do it again */
    EXPECT(l->counters[1] == 1);
    client_free(c);
    return 0;
}

/* Talking to a node that is silent does not make it alive. */
static int talk_on(struct clientlab *l, struct env *env)
{
    struct client *c = client_make(l, env);
    uint64_t from = env_clock_mono(env);
    struct client_call first = ping(from + 9 * SECOND);
    client_send(c, &first);
    for (int i = 0; i < 30; i++) {
        struct client_call next = ping(env_clock_mono(env) + 300 * MS);
        EXPECT(client_run(c, &next) == ST_OK && next.outcome == CLIENT_NOT_DONE);
    }
    EXPECT(first.ended && first.attempts >= 3);
    client_free(c);
    return 0;
}

static void test_client__a_silent_node_is_left_with_what_may_be_repeated(void)
{
    clientlab_open(&lab, 2);
    lab.weight[MOOD_SERVE] = 0;
    lab.weight[MOOD_MUTE] = 1;
    run_with(silence);
    clientlab_open(&lab, 2);
    lab.weight[MOOD_SERVE] = 0;
    lab.weight[MOOD_MUTE] = 1;
    run_with(talk_on);
}

static int follow(struct clientlab *l, struct env *env)
{
    struct client *c = client_make(l, env);
    for (int i = 0; i < 50; i++) {
        l->leader = 1 + (uint32_t)i / 10 % 3;
        struct client_call call = incr("2", env_clock_mono(env) + SECOND);
        EXPECT(client_run(c, &call) == ST_OK);
        EXPECT(call.outcome == CLIENT_DONE && call.attempts <= 2);
        EXPECT(call.response->incr.value == i + 1);
    }
    client_free(c);
    return 0;
}

static void test_client__goes_where_the_leader_is_said_to_be(void)
{
    clientlab_open(&lab, 3);
    run_with(follow);
    EXPECT(lab.counters[2] == 50);
}

#define MANY 900

static struct client_call many[MANY];
static char keys[MANY][8];
static uint32_t many_ended;

static void count_done(struct client_call *call)
{
    EXPECT(call->outcome == CLIENT_DONE);
    many_ended++;
}

static int pipeline(struct clientlab *l, struct env *env)
{
    struct client *c = client_make(l, env);
    EXPECT(open_session(c, env));
    many_ended = 0;
    uint64_t from = env_clock_mono(env);
    for (uint32_t i = 0; i < MANY; i++) {
        many[i] = (struct client_call){.once = true, .deadline = from + 20 * SECOND};
        many[i].request.op = PBMSG_INCR;
        many[i].request.incr.key = clientlab_key(i % CLIENTLAB_CALLS, keys[i]);
        many[i].done = count_done;
        client_send(c, &many[i]);
    }
    EXPECT(client_pending(c) == MANY);
    while (client_pending(c) > 0) {
        EXPECT(client_step(c, ENV_NEVER) == ST_OK);
    }
    EXPECT(many_ended == MANY);
    /* 50 ms there and 50 back: in two windows, not one by one */
    EXPECT(env_clock_mono(env) - from < SECOND);
    client_free(c);
    return 0;
}

static void test_client__pipelines_within_the_window(void)
{
    clientlab_open(&lab, 4);
    lab.t.plan.value[PLAN_NET_LATENCY_US] = 50000;
    run_with(pipeline);
}

static int sessions(struct clientlab *l, struct env *env)
{
    struct client *c = client_make(l, env);
    for (int round = 0; round < 3; round++) {
        struct client_call call = incr("3", env_clock_mono(env) + SECOND);
        call.once = true;
        EXPECT(client_run(c, &call) == ST_OK); /* none was opened, or it is gone */
        EXPECT(call.outcome == CLIENT_NOT_DONE && call.code == PBMSG_CODE_SESSION_EXPIRED);
        EXPECT(client_session(c) == 0 && open_session(c, env));
        EXPECT(client_run(c, &call) == ST_OK && call.outcome == CLIENT_DONE);
        EXPECT(call.response->incr.value == round + 1);
        l->sessions[client_session(c)].gone = true;
    }
    client_free(c);
    return 0;
}

static void test_client__a_lost_session_is_an_error_until_another_is_opened(void)
{
    clientlab_open(&lab, 5);
    run_with(sessions);
    EXPECT(lab.counters[3] == 3);
}

static void any_done(struct client_call *call)
{
    many_ended += call->outcome == CLIENT_DONE;
}

static int cut_off(struct clientlab *l, struct env *env)
{
    struct client *c = client_make(l, env);
    for (int i = 0; i < 200; i++) { /* positions in the stream are those of a connection */
        struct client_call call = ping(env_clock_mono(env) + SECOND);
        EXPECT(client_run(c, &call) == ST_OK && call.outcome == CLIENT_DONE);
    }
    l->weight[MOOD_SERVE] = 0;
    l->weight[MOOD_DROP_BEFORE] = 1;
    many_ended = 0;
    for (uint32_t i = 0; i < 200; i++) {
        many[i] = incr(clientlab_key(i, keys[i]).data, env_clock_mono(env) + 20 * SECOND);
        many[i].done = any_done;
        client_send(c, &many[i]);
    }
    while (client_pending(c) > 180) {
        EXPECT(client_step(c, ENV_NEVER) == ST_OK);
    }
    l->calm = true;
    while (client_pending(c) > 0) {
        EXPECT(client_step(c, ENV_NEVER) == ST_OK);
    }
    client_free(c);
    return 0;
}

/* A socket that takes 64 bytes at a time: most of them had not left when the node hung up. */
static void test_client__what_did_not_leave_is_sent_again(void)
{
    clientlab_open(&lab, 9);
    lab.t.plan.value[PLAN_NET_BUFFER] = 64;
    run_with(cut_off);
    EXPECT(many_ended > 150 && many_ended < 200);
    printf("# %u of 200\n", many_ended);
    for (uint32_t i = 0; i < 200; i++) {
        EXPECT(lab.counters[i] == (many[i].outcome == CLIENT_DONE));
    }
}

static int give_up(struct clientlab *l, struct env *env)
{
    struct client *c = client_make(l, env);
    uint64_t deadline = env_clock_mono(env) + 100 * SECOND;
    struct client_call calls[3] = {ping(deadline), incr("4", deadline), incr("5", deadline)};
    client_send(c, &calls[0]);
    client_send(c, &calls[1]);
    while (calls[1].attempts == 0) {
        EXPECT(client_step(c, env_clock_mono(env) + MS) == ST_OK);
    }
    client_send(c, &calls[2]);
    client_free(c);
    EXPECT(calls[0].ended && calls[0].outcome == CLIENT_NOT_DONE);
    EXPECT(calls[1].ended && calls[1].outcome == CLIENT_UNKNOWN);
    EXPECT(calls[2].ended && calls[2].outcome == CLIENT_NOT_DONE);
    EXPECT(calls[2].code == PBMSG_CODE_STOPPING);
    return 0;
}

static void test_client__freed_with_calls_under_way(void)
{
    clientlab_open(&lab, 6);
    lab.weight[MOOD_SERVE] = 0;
    lab.weight[MOOD_MUTE] = 1;
    run_with(give_up);
}

static int take_back(struct clientlab *l, struct env *env)
{
    struct client *c = client_make(l, env);
    uint64_t deadline = env_clock_mono(env) + 100 * SECOND;
    struct client_call early = incr("7", deadline);
    struct client_call late = incr("8", deadline);
    client_send(c, &early);
    client_cancel(c, &early);
    EXPECT(early.ended && early.outcome == CLIENT_NOT_DONE);
    client_send(c, &late);
    while (late.attempts == 0) {
        EXPECT(client_step(c, env_clock_mono(env) + MS) == ST_OK);
    }
    client_cancel(c, &late);
    client_cancel(c, &late); /* it has ended: nothing happens */
    EXPECT(late.ended && late.outcome == CLIENT_UNKNOWN && client_pending(c) == 0);
    struct client_call next = ping(deadline); /* late's response comes first, and finds nobody */
    EXPECT(client_run(c, &next) == ST_OK && next.outcome == CLIENT_DONE);
    client_wake(c);
    EXPECT(client_step(c, ENV_NEVER) ==
           ST_OK); /* with nothing to wait for it returns all the same */
    client_free(c);
    return 0;
}

static void test_client__calls_are_taken_back_and_waits_ended(void)
{
    clientlab_open(&lab, 10);
    run_with(take_back);
    EXPECT(lab.counters[7] == 0 && lab.counters[8] == 1);
}

/* ---- memory ---- */

static int steady(struct clientlab *l, struct env *env)
{
    struct inject in;
    inject_init(&in, env);
    in.fail_at = -1;
    struct client *c = client_make(l, &in.env);
    EXPECT(open_session(c, env));
    long before = 0;
    for (uint32_t i = 0; i < 500; i++) {
        struct client_call call = incr("6", env_clock_mono(env) + SECOND);
        call.once = i % 2 == 0;
        EXPECT(client_run(c, &call) == ST_OK && call.outcome == CLIENT_DONE);
        before = i == 20 ? in.allocs : before;
    }
    EXPECT(in.allocs == before);
    client_free(c);
    EXPECT(in.live == 0);
    inject_release(&in);
    return 0;
}

static void test_client__a_stream_of_calls_allocates_nothing(void)
{
    clientlab_open(&lab, 7);
    run_with(steady);
}

static int refused(struct clientlab *l, struct env *env)
{
    static struct env_addr addrs[CLIENTLAB_NODES + 1];
    struct client_options o;
    struct inject in;
    bool all = false;
    clientlab_options(l, &o, addrs);
    for (uint32_t n = 0; !all && n < 100; n++) {
        struct client *c = NULL;
        inject_init(&in, env);
        in.fail_at = (long)n;
        enum status st = client_new(&in.env, &o, &c);
        EXPECT(st == (c != NULL ? ST_OK : ST_NOMEM));
        if (c != NULL) {
            struct client_call call =
                incr(clientlab_key(n, keys[0]).data, env_clock_mono(env) + SECOND);
            EXPECT(client_run(c, &call) == ST_OK);
            EXPECT(l->counters[n] == (call.outcome == CLIENT_DONE) ||
                   call.outcome == CLIENT_UNKNOWN);
        }
        client_free(c);
        EXPECT(in.live == 0 && in.descriptors == 0);
        all = in.allocs <= (long)n;
        inject_release(&in);
    }
    EXPECT(all);
    return 0;
}

static void test_client__refused_memory(void)
{
    clientlab_open(&lab, 8);
    run_with(refused);
}

TAP_MAIN(RUN(test_client__every_call_is_done_when_nothing_fails);
         RUN(test_client__says_what_became_of_it); RUN(test_client__pauses_grow_and_deadlines_hold);
         RUN(test_client__a_silent_node_is_left_with_what_may_be_repeated);
         RUN(test_client__goes_where_the_leader_is_said_to_be);
         RUN(test_client__pipelines_within_the_window);
         RUN(test_client__a_lost_session_is_an_error_until_another_is_opened);
         RUN(test_client__what_did_not_leave_is_sent_again);
         RUN(test_client__freed_with_calls_under_way);
         RUN(test_client__calls_are_taken_back_and_waits_ended);
         RUN(test_client__a_stream_of_calls_allocates_nothing); RUN(test_client__refused_memory);)
