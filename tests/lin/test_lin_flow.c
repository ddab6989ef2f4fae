/* test_lin_flow.c - the stream against the check of the whole, on histories of one key that are
 * long enough for blocks to be forgotten.
 *
 * Usage: test_lin_flow [count [seed]]; without arguments a run of a second or two. */
#include "base/prng.h"
#include "sim/lin/lin.h"
#include "tests/lin/libc_mem.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdio.h>
#include <stdlib.h>

#define OPS_MAX     300
#define CLIENTS_MAX 8
#define TEXT_MAX    12

static struct mem mem;
static uint64_t rounds = 20000;
static uint64_t first_seed = 1;

struct style {
    uint64_t clients;
    uint64_t ops;
    uint64_t reads;  /* of ten */
    uint64_t twice;  /* one write in so many writes an old value, 0: none */
    uint64_t others; /* one operation in so many is no read or plain write, 0: none */
    uint64_t stale;  /* one read in so many sees an old value, 0: none */
    uint64_t lost;   /* one write in so many gets no answer, 0: none */
    int64_t tick;    /* events at one time */
};

struct client {
    struct lin_op op;
    int state; /* 0: idle, 1: called, 2: took effect */
    int64_t id;
};

struct world {
    struct prng g;
    struct style style;
    struct lin_op ops[OPS_MAX]; /* in the order of their ends */
    int count;
    struct client clients[CLIENTS_MAX];
    char texts[OPS_MAX + 1][TEXT_MAX];
    int writes;
    struct lin_value now;
    int64_t time;
    int64_t horizons[OPS_MAX]; /* after each operation */
};

static bool one_in(struct world *w, uint64_t n)
{
    return n > 0 && prng_below(&w->g, n) == 0;
}

static struct lin_value old_value(struct world *w)
{
    uint64_t back = prng_below(&w->g, 6);
    int at = w->writes - 1 - (int)back;
    return at < 0 ? (struct lin_value){0} : (struct lin_value){true, slice_text(w->texts[at])};
}

static struct lin_value new_value(struct world *w)
{
    if (one_in(w, w->style.twice)) {
        return old_value(w);
    }
    (void)snprintf(w->texts[w->writes], TEXT_MAX, "%d", w->writes);
    return (struct lin_value){true, slice_text(w->texts[w->writes++])};
}

static void begin(struct world *w, struct client *c)
{
    struct lin_op *op = &c->op;
    *op = (struct lin_op){.client = c->id, .call = w->time / w->style.tick, .node = -1};
    op->step.key = slice_text("k");
    op->step.result_known = true;
    op->kind = prng_below(&w->g, 10) < w->style.reads ? LIN_GET : LIN_PUT;
    if (one_in(w, w->style.others)) {
        op->kind = prng_below(&w->g, 2) == 0 ? LIN_CAS : LIN_DEL;
    }
    if (op->kind == LIN_PUT || op->kind == LIN_CAS) {
        op->step.value = new_value(w);
        op->kind = op->step.value.present ? op->kind : LIN_DEL;
    }
    op->step.expect = op->kind == LIN_CAS ? old_value(w) : (struct lin_value){0};
    c->state = 1;
}

static bool same(struct lin_value a, struct lin_value b)
{
    return a.present == b.present && (!a.present || slice_equal(a.text, b.text));
}

static void take_effect(struct world *w, struct client *c)
{
    struct lin_step *s = &c->op.step;
    c->state = 2;
    if (c->op.kind == LIN_GET) {
        s->result = one_in(w, w->style.stale) ? old_value(w) : w->now;
        return;
    }
    s->result_true = c->op.kind != LIN_CAS || same(w->now, s->expect);
    w->now = s->result_true ? s->value : w->now;
}

static void end(struct world *w, struct client *c, bool lost)
{
    c->op.ret = lost ? LIN_NEVER : w->time / w->style.tick;
    c->op.outcome = lost ? LIN_INFO : LIN_OK;
    c->id += lost ? CLIENTS_MAX : 0;
    c->state = 0;
    w->ops[w->count++] = c->op;
    int64_t horizon = w->time / w->style.tick;
    for (uint64_t i = 0; i < w->style.clients; i++) {
        const struct client *o = &w->clients[i];
        horizon = o->state != 0 && o->op.call < horizon ? o->op.call : horizon;
    }
    w->horizons[w->count - 1] = horizon;
}

static void make(struct world *w, uint64_t seed)
{
    *w = (struct world){.g = {seed}};
    struct prng *g = &w->g;
    w->style = (struct style){.clients = 1 + prng_below(g, CLIENTS_MAX),
                              .ops = 10 + prng_below(g, OPS_MAX - 10),
                              .reads = 1 + prng_below(g, 9),
                              .tick = 1 + (int64_t)prng_below(g, 3)};
    w->style.twice = prng_below(g, 3) == 0 ? 3 + prng_below(g, 60) : 0;
    w->style.others = prng_below(g, 4) == 0 ? 3 + prng_below(g, 60) : 0;
    w->style.stale = prng_below(g, 2) == 0 ? 10 + prng_below(g, 200) : 0;
    w->style.lost = prng_below(g, 3) == 0 ? 20 + prng_below(g, 60) : 0;
    for (uint64_t i = 0; i < w->style.clients; i++) {
        w->clients[i].id = (int64_t)i;
    }
    while (w->count < (int)w->style.ops) {
        struct client *c = &w->clients[prng_below(g, w->style.clients)];
        w->time++;
        bool write = c->op.kind != LIN_GET;
        if (c->state == 0) {
            if (w->writes < OPS_MAX) {
                begin(w, c);
            }
        } else if (write && one_in(w, w->style.lost)) {
            end(w, c, true);
        } else if (c->state == 1) {
            take_effect(w, c);
        } else {
            end(w, c, false);
        }
    }
}

static enum status run_stream(const struct world *w, struct mem *m, enum lin_result *result)
{
    struct lin_online o;
    lin_online_init(&o, m, NULL);
    enum status st = ST_OK;
    for (int i = 0; i < w->count && st == ST_OK; i++) {
        st = lin_online_take(&o, &w->ops[i], NULL);
        if (st == ST_OK && i % 40 == 39) {
            o.values_max = 0; /* forget values */
        }
        st = st == ST_OK ? lin_online_advance(&o, i + 1 == w->count ? INT64_MAX : w->horizons[i])
                         : st;
    }
    *result = o.result;
    lin_online_release(&o);
    return st;
}

static enum lin_result run_whole(const struct world *w)
{
    struct lin_history h;
    struct lin_verdict v = {0};
    lin_history_init(&h, &mem);
    bool good = true;
    for (int i = 0; i < w->count; i++) {
        good = good && lin_history_add(&h, &w->ops[i], NULL) == ST_OK;
    }
    good = good && lin_check(&h, NULL, &v) == ST_OK;
    enum lin_result result = good ? v.result : LIN_UNKNOWN;
    lin_verdict_release(&v);
    lin_history_release(&h);
    return result;
}

static void stream__agrees_with_the_whole(void)
{
    static struct world w;
    uint64_t counts[3] = {0};
    for (uint64_t i = 0; i < rounds && tap_failed == 0; i++) {
        make(&w, first_seed + i);
        enum lin_result result;
        EXPECT(run_stream(&w, &mem, &result) == ST_OK);
        enum lin_result right = run_whole(&w);
        counts[right]++;
        EXPECT(result == right);
        if (result != right) {
            printf("# seed %llu: right is %s, it says %s\n", (unsigned long long)(first_seed + i),
                   lin_result_text(right), lin_result_text(result));
        }
    }
    printf("# %llu linearizable, %llu not\n", (unsigned long long)counts[LIN_LINEARIZABLE],
           (unsigned long long)counts[LIN_NON_LINEARIZABLE]);
}

static void stream__every_refusal_of_memory_is_reported_and_leaks_nothing(void)
{
    static struct world w;
    for (uint64_t seed = 1; seed < 12; seed++) {
        make(&w, seed);
        w.count = w.count < 60 ? w.count : 60;
        for (long n = 0; tap_failed == 0; n++) {
            struct test_env te;
            test_env_init(&te, NULL);
            te.fail_at = n;
            enum lin_result result;
            enum status st = run_stream(&w, &te.env.mem, &result);
            bool reached = te.allocs > n;
            EXPECT(st == (reached ? ST_NOMEM : ST_OK));
            EXPECT(te.live == 0);
            if (!reached) {
                break;
            }
        }
    }
}

TAP_MAIN(mem = libc_mem(); tap_only = argc > 1 && argv[1][0] > '9' ? argv[1] : NULL;
         rounds = tap_only == NULL && argc > 1 ? strtoull(argv[1], NULL, 10) : rounds;
         first_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : first_seed;
         RUN(stream__agrees_with_the_whole);
         RUN(stream__every_refusal_of_memory_is_reported_and_leaks_nothing);)
