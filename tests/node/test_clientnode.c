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

/* ---- one thing at a time ---- */

static struct client_call call_of(struct env *env, uint32_t op)
{
    return (struct client_call){.request.op = op,
                                .deadline = env_clock_mono(env) + 20000 * CLIENTLAB_MS};
}

static bool run_call(struct client *c, struct client_call *call, enum pbmsg_code code)
{
    bool good = client_run(c, call) == ST_OK && call->code == (int32_t)code;
    if (!good) {
        printf("# operation %u: outcome %d, code %d\n", call->request.op, (int)call->outcome,
               call->code);
    }
    return good;
}

static void ask_group(struct client *c, struct env *env)
{
    struct client_call status = call_of(env, PBMSG_STATUS);
    EXPECT(run_call(c, &status, PBMSG_CODE_OK));
    const struct pbmsg_status_result *s = &status.response->status;
    EXPECT(s->node >= 1 && s->node <= lab.node_count);
    EXPECT(s->incarnation != 0 && s->term > 0 && s->first_index > 0);
    EXPECT(s->last_index >= s->commit_index && s->commit_index >= s->applied_index);
    EXPECT((s->role == PBMSG_ROLE_LEADER) == (s->leader == s->node));
    EXPECT(lab.node_count > 1 || s->role == PBMSG_ROLE_LEADER);
    struct client_call members = call_of(env, PBMSG_MEMBERS);
    EXPECT(run_call(c, &members, PBMSG_CODE_OK));
    const struct pbmsg_members_result *m = &members.response->members;
    EXPECT(m->members.count == lab.node_count);
    for (uint32_t i = 0; i < m->members.count; i++) {
        EXPECT(m->members.items[i].node == i + 1 && m->members.items[i].roles == 1);
    }
    struct client_call remove = call_of(env, PBMSG_REMOVE_MEMBER);
    remove.request.remove_member.node = 9; /* it goes on to the leader, which says no */
    EXPECT(run_call(c, &remove, PBMSG_CODE_NOT_FOUND) && remove.outcome == CLIENT_NOT_DONE);
}

static void ask_sessions(struct client *c, struct env *env)
{
    struct client_call open = call_of(env, PBMSG_OPEN_SESSION);
    struct client_call renew = call_of(env, PBMSG_RENEW_SESSION);
    struct client_call close = call_of(env, PBMSG_CLOSE_SESSION);
    EXPECT(run_call(c, &open, PBMSG_CODE_OK) && client_session(c) != 0);
    EXPECT(run_call(c, &renew, PBMSG_CODE_OK) && client_session(c) != 0);
    struct pbmsg_op ops[2] = {{.op = PBMSG_INCR, .incr = {.key = slice_text("s"), .delta = 2}},
                              {.op = PBMSG_GET, .get.key = slice_text("s")}};
    struct client_call batch = call_of(env, PBMSG_BATCH);
    batch.once = true;
    batch.request.batch.ops.items = ops;
    batch.request.batch.ops.count = 2;
    EXPECT(run_call(c, &batch, PBMSG_CODE_OK));
    EXPECT(batch.response->batch.results.items[0].incr.value == 2);
    EXPECT(run_call(c, &close, PBMSG_CODE_OK) && client_session(c) == 0);
    EXPECT(run_call(c, &batch, PBMSG_CODE_SESSION_EXPIRED));
}

/* A read of whichever node the client came to sees what the client knows of. */
static void ask_locally(struct client *c, struct env *env)
{
    struct client_call put = call_of(env, PBMSG_PUT);
    put.request.put = (struct pbmsg_put){.key = slice_text("l"), .value = slice_text("v")};
    EXPECT(run_call(c, &put, PBMSG_CODE_OK));
    uint64_t index = put.response->index;
    struct client_call get = call_of(env, PBMSG_GET);
    get.request.get.key = slice_text("l");
    get.request.consistency = PBMSG_CONSISTENCY_LOCAL;
    EXPECT(run_call(c, &get, PBMSG_CODE_OK) && get.response->get.found);
    EXPECT(index > 0 && get.request.min_index == index && get.response->index >= index);
    uint64_t seen = get.response->index;
    get.request.min_index = 0;
    get.request.consistency = PBMSG_CONSISTENCY_LEASE; /* without leases it is linearizable */
    EXPECT(run_call(c, &get, PBMSG_CODE_OK) && get.response->get.found);
    EXPECT(get.request.min_index == 0 && get.response->index >= seen);
}

/* A request over the node's limit: its connection ends, those before it are answered, and it is
 * known that it was not done. */
static void ask_too_much(struct client *c, struct env *env)
{
    static char big[100000];
    struct client_call small = call_of(env, PBMSG_PING);
    struct client_call put = call_of(env, PBMSG_PUT);
    put.request.put =
        (struct pbmsg_put){.key = slice_text("big"), .value = slice_of(big, sizeof big)};
    client_send(c, &small);
    EXPECT(run_call(c, &put, PBMSG_CODE_TOO_LARGE));
    EXPECT(small.ended && small.outcome == CLIENT_DONE);
    EXPECT(put.outcome == CLIENT_NOT_DONE && put.attempts == 1);
    EXPECT(run_call(c, &small, PBMSG_CODE_OK));
}

static int asking(struct clientlab *l, struct env *env)
{
    static struct env_addr addrs[CLIENTLAB_NODES + 1];
    struct client_options o;
    struct client *c;
    clientlab_options(l, &o, addrs);
    o.node_count = l->node_count;
    EXPECT(client_new(env, &o, &c) == ST_OK);
    ask_sessions(c, env);
    ask_group(c, env);
    ask_locally(c, env);
    ask_too_much(c, env);
    client_free(c);
    return 0;
}

/* Two MiB at a tenth of one a second: patience is with silence, not with slowness. */
static int slowly(struct clientlab *l, struct env *env)
{
    static struct env_addr addrs[CLIENTLAB_NODES + 1];
    static char big[2 << 20];
    struct client_options o;
    struct client *c;
    clientlab_options(l, &o, addrs);
    o.patience_ns = 2000 * CLIENTLAB_MS;
    EXPECT(client_new(env, &o, &c) == ST_OK);
    struct client_call open = call_of(env, PBMSG_OPEN_SESSION);
    EXPECT(run_call(c, &open, PBMSG_CODE_OK));
    struct client_call put = call_of(env, PBMSG_PUT);
    put.once = true;
    put.deadline += 40000 * CLIENTLAB_MS;
    put.request.put =
        (struct pbmsg_put){.key = slice_text("big"), .value = slice_of(big, sizeof big)};
    EXPECT(run_call(c, &put, PBMSG_CODE_OK) && put.attempts == 1);
    struct client_call get = call_of(env, PBMSG_GET);
    get.deadline += 40000 * CLIENTLAB_MS;
    get.request.get.key = put.request.put.key;
    EXPECT(run_call(c, &get, PBMSG_CODE_OK) && get.attempts == 1);
    EXPECT(get.response->get.value.size == sizeof big);
    client_free(c);
    return 0;
}

static void test_clientnode__slow_is_not_silent(void)
{
    lab_start(1, 1);
    plan_release(&lab.t.plan);
    plan_init(&lab.t.plan, simmem(), 1);
    lab.t.plan.value[PLAN_NET_BANDWIDTH] = 100000;
    lab.client = slowly;
    EXPECT(clientlab_run(&lab));
    EXPECT(lab.leaks[0] == '\0');
    clientlab_close(&lab);
}

static void test_clientnode__status_sessions_and_limits(void)
{
    for (uint32_t group = 1; group <= 3; group += 2) {
        lab_start(1, group);
        plan_release(&lab.t.plan);
        plan_init(&lab.t.plan, simmem(), group); /* nothing fails */
        lab.client = asking;
        for (uint32_t id = 1; id <= lab.node_count; id++) {
            (void)snprintf(words[id][4], sizeof words[0][0], "--max-request=50000");
        }
        EXPECT(clientlab_run(&lab));
        EXPECT(lab.leaks[0] == '\0');
        clientlab_close(&lab);
    }
}

TAP_MAIN(RUN(test_clientnode__a_node_alone); RUN(test_clientnode__a_group_of_one);
         RUN(test_clientnode__a_group_of_three); RUN(test_clientnode__slow_is_not_silent);
         RUN(test_clientnode__status_sessions_and_limits);)
