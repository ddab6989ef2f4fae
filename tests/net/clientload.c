/* clientload.c - see clientload.h. */
#include "tests/net/clientload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS     CLIENTLAB_MS
#define SECOND (1000 * MS)
#define SLACK  (20 * MS) /* between a deadline and its being noticed */
#define FLYING 40
#define LAST   (60 * SECOND) /* for a read after everything got well */

static void on_done(struct client_call *call)
{
    struct clientload *load = call->arg;
    struct clientload_record *x = LIST_ENTRY(call, struct clientload_record, call);
    x->ended_at = env_clock_mono(load->env);
    load->wrong += x->ended || x->ended_at > call->deadline + SLACK;
    x->ended = true;
}

static void record_send(struct clientload *load, struct prng *g)
{
    uint32_t n = load->count++;
    struct clientload_record *x = &load->records[n];
    struct client_call *call = &x->call;
    struct slice key = clientlab_key(n, x->key);
    *call = (struct client_call){.done = on_done, .arg = load};
    if (prng_below(g, 4) == 0) {
        call->request.op = PBMSG_GET;
        call->request.get.key = key;
    } else {
        call->request.op = PBMSG_INCR;
        call->request.incr = (struct pbmsg_incr){.key = key, .delta = 1};
        call->once = load->lab->sessions_known && prng_below(g, 2) == 0;
    }
    uint64_t most = prng_below(g, 5) == 0 ? 300 * MS : 6 * SECOND;
    call->deadline = env_clock_mono(load->env) + 10 * MS + prng_below(g, most);
    client_send(load->c, call);
}

static void on_open(struct client_call *call)
{
    struct clientload *load = call->arg;
    load->opening = false;
}

/* Opens one when there is none, and now and then when there is: calls under way stay in the old. */
static void open_session(struct clientload *load, struct prng *g)
{
    bool room = load->lab->session_count + 8 < CLIENTLAB_SESSIONS;
    bool wanted = client_session(load->c) == 0 || prng_below(g, 100) == 0;
    if (load->lab->sessions_known && wanted && !load->opening && room) {
        load->opening = true;
        load->open = (struct client_call){.request.op = PBMSG_OPEN_SESSION,
                                          .deadline = env_clock_mono(load->env) + 2 * SECOND,
                                          .done = on_open,
                                          .arg = load};
        client_send(load->c, &load->open);
    }
}

/* Asks for the counters, where the lab does not know them. */
static void counters_read(struct clientload *load)
{
    for (uint32_t i = 0; i < CLIENTLAB_CALLS; i++) {
        char text[24] = "";
        struct client_call call = {.request.op = PBMSG_GET,
                                   .deadline = env_clock_mono(load->env) + LAST};
        call.request.get.key = clientlab_key(i, load->records[i].key);
        enum status st = client_run(load->c, &call);
        if (st != ST_OK || call.outcome != CLIENT_DONE) {
            load->wrong++;
            return;
        }
        const struct pbmsg_get_result *r = &call.response->get;
        (void)snprintf(text, sizeof text, "%.*s", (int)r->value.size,
                       r->found ? r->value.data : "");
        load->lab->counters[i] = r->found ? (uint32_t)strtoul(text, NULL, 10) : 0;
    }
}

int clientload_main(struct clientlab *lab, struct env *env)
{
    struct clientload *load = lab->load;
    struct prng g = {lab->prng.state + 1};
    load->lab = lab;
    load->env = env;
    clientlab_options(lab, &load->options, load->addrs);
    load->options.inflight = 32;
    load->options.patience_ns = SECOND;
    if (client_new(env, &load->options, &load->c) != ST_OK) {
        load->wrong++;
        return 1;
    }
    while (load->count < CLIENTLAB_CALLS || client_pending(load->c) > 0) {
        open_session(load, &g);
        while (load->count < CLIENTLAB_CALLS && client_pending(load->c) < FLYING) {
            record_send(load, &g);
        }
        enum status st = client_step(load->c, env_clock_mono(env) + 100 * MS);
        load->wrong += st != ST_OK;
    }
    lab->calm = true;
    env_sleep_until(env, env_clock_mono(env) + 4 * SECOND);
    if (lab->program != NULL) {
        counters_read(load);
    }
    client_free(load->c);
    return 0;
}

void clientload_draw(struct clientlab *lab, uint64_t seed)
{
    struct prng g = {seed};
    clientlab_draw(lab);
    for (int i = 1; i < MOODS; i++) {
        lab->weight[i] = (uint32_t)prng_below(&g, 3) * (uint32_t)prng_below(&g, 4);
    }
    lab->weight[MOOD_EXPIRE] = seed % 3 == 0;
    lab->kills = seed % 2 == 0;
}

static bool wrong(const char *what, uint32_t i)
{
    printf("# call %u: %s\n", i, what);
    return false;
}

/* One call, whose counter ended at n. */
static bool judge_call(const struct clientload *load, uint32_t i, struct clientload_tally *tally)
{
    const struct client_call *call = &load->records[i].call;
    bool read = call->request.op == PBMSG_GET;
    uint32_t n = load->lab->counters[i];
    tally->ended[read         ? CLIENTLOAD_READ
                 : call->once ? CLIENTLOAD_ONCE
                              : CLIENTLOAD_WRITE][call->outcome]++;
    tally->again += call->attempts > 1;
    if (!load->records[i].ended) {
        return wrong("it did not end", i);
    }
    if (n > 1) {
        return wrong("it was carried out more than once", i);
    }
    if (call->outcome == CLIENT_DONE && !read && n != 1) {
        return wrong("it was not carried out, though it is said to be", i);
    }
    if (call->outcome == CLIENT_NOT_DONE && n != 0) {
        return wrong("it was carried out, though it is said not to be", i);
    }
    if (read && call->outcome == CLIENT_UNKNOWN) {
        return wrong("a read of unknown outcome", i);
    }
    if ((call->outcome == CLIENT_DONE) != (call->code == PBMSG_CODE_OK)) {
        return wrong("its code does not fit its outcome", i);
    }
    return true;
}

bool clientload_judge(const struct clientload *load, struct clientload_tally *tally)
{
    bool good = load->wrong == 0 && load->count == CLIENTLAB_CALLS;
    if (!good) {
        printf("# %u calls, %u of them late or ended twice\n", load->count, load->wrong);
    }
    for (uint32_t i = 0; i < load->count; i++) {
        good = judge_call(load, i, tally) && good;
    }
    if (load->lab->leaks[0] != '\0') {
        printf("# left behind: %s\n", load->lab->leaks);
        good = false;
    }
    return good;
}

void clientload_print(const struct clientload_tally *tally)
{
    static const char *const names[CLIENTLOAD_KINDS] = {"reads", "writes", "once"};
    for (int kind = 0; kind < CLIENTLOAD_KINDS; kind++) {
        printf("# %s: %" PRIu64 " done, %" PRIu64 " not, %" PRIu64 " unknown\n", names[kind],
               tally->ended[kind][CLIENT_DONE], tally->ended[kind][CLIENT_NOT_DONE],
               tally->ended[kind][CLIENT_UNKNOWN]);
    }
    printf("# %" PRIu64 " were sent more than once\n", tally->again);
}
