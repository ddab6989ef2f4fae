/* workload.c - see workload.h: a client of the run, one operation an ordinal. */
#include "base/ck.h"
#include "sim/cluster/workop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_US     1000u
#define NS_PER_MS     1000000u
#define ROUNDS_A_NODE 12     /* of a group, about */
#define VERIFY_MS     60000u /* once all is healed only a node that is stuck takes longer */

static int64_t now(const struct session *s)
{
    return (int64_t)s->load->world->sched.now;
}

static uint64_t deadline(struct session *s)
{
    uint64_t ms = !s->me->verifier         ? plan_get(s->load->plan, PLAN_TIMEOUT_MS)
                  : s->load->answer_ms > 0 ? s->load->answer_ms
                                           : VERIFY_MS;
    return env_clock_mono(s->env) + ms * NS_PER_MS;
}

static void pause_ns(struct session *s, uint64_t ns)
{
    env_sleep_until(s->env, env_clock_mono(s->env) + ns);
}

/* ---- what came of it ---- */

static bool recorded(const struct wop *w)
{
    return w->kind != W_BUFFERED && w->kind != W_OTHER;
}

static struct lin_value present(struct slice text)
{
    return (struct lin_value){true, text};
}

static struct lin_value reply_value(const struct session *s, uint32_t node)
{
    bool null = s->rc.value.nodes[node].type == RESPVAL_NULL;
    return (struct lin_value){!null, null ? slice_of(NULL, 0) : respclient_text(&s->rc, node)};
}

static void learn(struct session *s, const char *key, struct lin_value v)
{
    uint64_t n = 0;
    if (key[0] != 'k' || sscanf(key + 1, "%llu", (unsigned long long *)&n) != 1 ||
        n >= plan_get(s->load->plan, PLAN_KEYS)) {
        return;
    }
    buf_clear(&s->seen[n]);
    if (v.present) {
        enum status st = buf_append(&s->seen[n], v.text.data, v.text.size);
        CK(st == ST_OK);
    }
}

/* Where the tries before the last one are kept. */
static size_t keep_tries(struct workload *l, const struct wop *w)
{
    size_t at = l->tries.size / sizeof(struct history_try);
    enum status st = buf_append(&l->tries, w->tries, w->try_count * sizeof *w->tries);
    CK(st == ST_OK);
    return at;
}

static void record(struct session *s, struct wop *w, struct lin_op *op, enum lin_outcome outcome)
{
    struct workload *l = s->load;
    struct err err;
    op->client = ++l->client_ids;
    op->outcome = outcome;
    op->call = w->call;
    op->ret = outcome == LIN_INFO ? LIN_NEVER : now(s);
    op->node = -1;
    op->index = 1; /* judge_history() puts the real one */
    if (l->history.count == l->ref_cap) {
        l->ref_cap = l->ref_cap == 0 ? 256 : l->ref_cap * 2;
        l->refs = mem_resize(l->world->mem, l->refs, l->ref_cap * sizeof *l->refs);
    }
    l->refs[l->history.count] = (struct history_ref){.conn = w->conn,
                                                     .number = w->number,
                                                     .before = keep_tries(l, w),
                                                     .before_count = w->try_count,
                                                     .answered = outcome != LIN_INFO,
                                                     .refused = outcome == LIN_FAIL};
    if (lin_history_add(&s->load->history, op, &err) != ST_OK) {
        world_fail(s->load->world, "X3 reply", "operation %llu got a reply that cannot be: %s",
                   (unsigned long long)w->ordinal, err.text);
    }
}

/* The operation as the history wants it, results left out. */
static void describe(const struct session *s, const struct wop *w, struct lin_op *op,
                     struct lin_step *steps)
{
    static const enum lin_kind kinds[W_KINDS] = {
        [W_GET] = LIN_GET,    [W_SET] = LIN_PUT,       [W_DEL] = LIN_DEL,
        [W_CAS] = LIN_CAS,    [W_APPEND] = LIN_APPEND, [W_INCR] = LIN_INCR,
        [W_SETNX] = LIN_CAS,  [W_GETSET] = LIN_BATCH,  [W_MGET] = LIN_BATCH,
        [W_MSET] = LIN_BATCH, [W_MULTI] = LIN_BATCH,   [W_RANGE] = LIN_SCAN,
    };
    const struct part *p = &w->parts[0];
    *op = (struct lin_op){.kind = kinds[w->kind]};
    op->step.key = slice_text(p->key);
    op->step.value = w->kind == W_INCR ? present(slice_text("1")) : present(workop_value(s, p));
    if (w->kind == W_CAS && !w->expect_absent) {
        op->step.expect = present(workop_text(s, w->expect_at, w->expect_size));
    }
    op->lo = slice_text(p->key);
    op->hi = slice_text(w->parts[1].key);
    op->steps = steps;
    for (unsigned i = 0; op->kind == LIN_BATCH && w->kind != W_GETSET && i < w->part_count; i++) {
        enum lin_kind k = w->kind == W_MGET   ? LIN_GET
                          : w->kind == W_MSET ? LIN_PUT
                                              : w->parts[i].kind;
        steps[op->step_count++] =
            (struct lin_step){.kind = k,
                              .key = slice_text(w->parts[i].key),
                              .value = present(workop_value(s, &w->parts[i]))};
    }
    if (w->kind == W_GETSET) {
        steps[0] = (struct lin_step){.kind = LIN_GET, .key = slice_text(p->key)};
        steps[1] = (struct lin_step){.kind = LIN_PUT, .key = slice_text(p->key)};
        steps[1].value = present(workop_value(s, p));
        op->step_count = 2;
    }
}

static void settle_unknown(struct session *s, struct wop *w)
{
    struct lin_op op;
    struct lin_step steps[WORKOP_PARTS_MAX];
    if (w->settled || !recorded(w)) {
        return;
    }
    w->settled = true;
    bool reads = w->kind == W_GET || w->kind == W_MGET || w->kind == W_RANGE;
    if (w->sent && !reads) {
        describe(s, w, &op, steps);
        record(s, w, &op, LIN_INFO);
    }
}

/* A node of a group says TRYAGAIN when it is certain that nothing happened or will. */
static void settle_refused(struct session *s, struct wop *w)
{
    struct lin_op op;
    struct lin_step steps[WORKOP_PARTS_MAX];
    w->settled = true;
    describe(s, w, &op, steps);
    record(s, w, &op, LIN_FAIL);
}

static void bad_reply(struct session *s, const struct wop *w)
{
    static const char *const names[W_KINDS] = {"GET",   "SET",    "DEL",      "CAS",  "APPEND",
                                               "INCR",  "SET NX", "SET GET",  "MGET", "MSET",
                                               "MULTI", "RANGE",  "buffered", "other"};
    const struct respval_node *root = &s->rc.value.nodes[0];
    struct slice text = respclient_text(&s->rc, 0);
    world_fail(s->load->world, "X3 reply",
               "operation %llu (%s %s, %u parts) got a reply of type %d, count %u, text '%.*s'",
               (unsigned long long)w->ordinal, names[w->kind], w->parts[0].key, w->part_count,
               (int)root->type, root->count, text.size > 80 ? 80 : (int)text.size,
               text.data != NULL ? text.data : "");
}

/* Fills in what a batch of parts saw: child i of node `array` belongs to step i. */
static bool batch_results(struct session *s, struct wop *w, struct lin_op *op,
                          struct lin_step *steps)
{
    const struct respval_node *root = &s->rc.value.nodes[0];
    op->result_known = true;
    if (root->type != RESPVAL_ARRAY || root->count != w->part_count) {
        return false;
    }
    for (unsigned i = 0; i < w->part_count; i++) {
        if (steps[i].kind == LIN_GET) {
            steps[i].result_known = true;
            steps[i].result = reply_value(s, respval_child(&s->rc.value, 0, i));
            learn(s, w->parts[i].key, steps[i].result);
        }
    }
    return true;
}

static bool range_results(struct session *s, struct lin_op *op, struct buf *pairs)
{
    const struct respval_node *root = &s->rc.value.nodes[0];
    if (root->type != RESPVAL_ARRAY || root->count % 2 != 0) {
        return false;
    }
    for (uint32_t i = 0; i < root->count; i += 2) {
        struct lin_pair pair = {respclient_text(&s->rc, respval_child(&s->rc.value, 0, i)),
                                respclient_text(&s->rc, respval_child(&s->rc.value, 0, i + 1))};
        enum status st = buf_append(pairs, &pair, sizeof pair);
        CK(st == ST_OK);
    }
    op->pairs = (const struct lin_pair *)(const void *)pairs->data;
    op->pair_count = root->count / 2;
    op->result_known = true;
    return true;
}

/* Fills in what the reply says; false when such a request cannot get such a reply. */
static bool results(struct session *s, struct wop *w, struct lin_op *op, struct lin_step *steps,
                    struct buf *pairs)
{
    const struct respval_node *root = &s->rc.value.nodes[0];
    op->step.result_known = true;
    switch (w->kind) {
    case W_GET:
        op->step.result = reply_value(s, 0);
        learn(s, w->parts[0].key, op->step.result);
        return root->type == RESPVAL_BULK || root->type == RESPVAL_NULL;
    case W_SET:
        return root->type == RESPVAL_SIMPLE;
    case W_DEL:
    case W_APPEND:
        return root->type == RESPVAL_INTEGER;
    case W_CAS:
        op->step.result_true = root->type == RESPVAL_INTEGER && root->integer == 1;
        return root->type == RESPVAL_INTEGER && (root->integer == 0 || root->integer == 1);
    case W_SETNX:
        op->step.result_true = root->type == RESPVAL_SIMPLE;
        return root->type == RESPVAL_SIMPLE || root->type == RESPVAL_NULL;
    case W_INCR: {
        char text[24];
        int n = snprintf(text, sizeof text, "%lld", (long long)root->integer);
        size_t at, size;
        workop_keep(s, &at, &size, slice_of(text, (size_t)n));
        op->step.result = present(workop_text(s, at, size));
        return root->type == RESPVAL_INTEGER;
    }
    case W_GETSET:
        op->result_known = true;
        steps[0].result_known = true;
        steps[0].result = reply_value(s, 0);
        return root->type == RESPVAL_BULK || root->type == RESPVAL_NULL;
    case W_MGET:
    case W_MULTI:
        return batch_results(s, w, op, steps);
    case W_MSET:
        op->result_known = true;
        return root->type == RESPVAL_SIMPLE;
    case W_RANGE:
        return range_results(s, op, pairs);
    case W_BUFFERED:
    case W_OTHER:
    case W_KINDS:
        break;
    }
    return true;
}

/* Where the scan goes on; from the start when it was the end, or the cursor was forgotten. */
static void follow_cursor(struct session *s)
{
    char text[24] = "0";
    const struct respval_node *root = &s->rc.value.nodes[0];
    if (root->type == RESPVAL_ARRAY && root->count == 2) {
        struct slice at = respclient_text(&s->rc, respval_child(&s->rc.value, 0, 0));
        (void)snprintf(text, sizeof text, "%.*s", (int)at.size, at.data);
    }
    s->cursor = strtoull(text, NULL, 10);
}

static void settle_known(struct session *s, struct wop *w)
{
    struct lin_op op;
    struct lin_step steps[WORKOP_PARTS_MAX];
    struct buf pairs;
    if (w->kind == W_OTHER && w->parts[0].value_at == WORKOP_SCAN) {
        follow_cursor(s);
    }
    if (!recorded(w)) {
        return;
    }
    if (s->rc.value.nodes[0].type == RESPVAL_ERROR) {
        struct slice why = respclient_text(&s->rc, 0);
        if (why.size >= 8 && memcmp(why.data, "TRYAGAIN", 8) == 0) {
            settle_refused(s, w);
            return;
        }
        settle_unknown(s, w); /* it may have happened, or may yet show after a crash */
        return;
    }
    w->settled = true;
    buf_init(&pairs, s->load->world->mem);
    describe(s, w, &op, steps);
    if (!results(s, w, &op, steps, &pairs)) {
        bad_reply(s, w);
    } else {
        record(s, w, &op, LIN_OK);
        s->load->result->replies++;
    }
    buf_release(&pairs);
}

/* ---- the conversation ---- */

static void hang_up(struct session *s)
{
    for (size_t i = 0; i < s->op_count; i++) {
        struct wop *w = &s->ops[i];
        w->sent = w->queued && respclient_left(&s->rc, w->start);
        settle_unknown(s, w);
    }
    s->op_count = 0;
    if (!s->running) {
        buf_clear(&s->text); /* of an operation that is tried again it is still needed */
    }
    if (s->open) {
        respclient_close(&s->rc);
        s->open = false;
    }
}

/* Any of the nodes that are to be asked now. */
static unsigned some_node(struct session *s)
{
    const struct workload *l = s->load;
    if (l->nodes == 1 || s->me->only > 0) {
        return s->me->only > 0 ? s->me->only - 1 : 0;
    }
    uint64_t asked = l->asked & (((uint64_t)1 << l->nodes) - 1);
    unsigned n = (unsigned)choose(&s->own, (uint64_t)__builtin_popcountll(asked));
    while (n-- > 0) {
        asked &= asked - 1;
    }
    return (unsigned)__builtin_ctzll(asked);
}

static bool dial(struct session *s)
{
    struct env_addr addr = {.family = 4, .port = WORKLOAD_PORT, .ip = {10, 0, 0, 1}};
    if (s->open) {
        return true;
    }
    addr.ip[3] = (unsigned char)(some_node(s) + 1);
    static const char *const ping[] = {"PING"};
    enum status st = respclient_open(&s->rc, s->env, &addr, deadline(s));
    s->open = true;
    if (st == ST_OK) {
        s->conn = simsock_id(proc_of(s->env)->fds[s->rc.fd].sock);
        s->requests = 1;
        st = respclient_call(&s->rc, ping, 1, deadline(s)); /* it may have no room for us */
    }
    if (st != ST_OK || s->rc.value.nodes[0].type == RESPVAL_ERROR) {
        hang_up(s);
        s->backoff = s->backoff < 6 ? s->backoff + 1 : s->backoff;
        pause_ns(s, ((uint64_t)1 << s->backoff) * NS_PER_MS / 2 + choose(&s->own, NS_PER_MS));
        return false;
    }
    s->backoff = 0;
    return true;
}

/* The last reply was an error. */
static bool refused(const struct session *s)
{
    return s->load->nodes > 1 && s->rc.value.nodes[0].type == RESPVAL_ERROR;
}

/* Receives the replies owed to one operation; the last one tells its outcome. */
static enum status receive_op(struct session *s, struct wop *w)
{
    while (w->replies > 0) {
        enum status st = respclient_receive(&s->rc, deadline(s));
        if (st != ST_OK) {
            return st;
        }
        if (--w->replies == 0) {
            settle_known(s, w);
        }
    }
    return ST_OK;
}

/* Sends what is queued, takes the replies; anything else ends the connection. */
static bool exchange(struct session *s)
{
    enum status st = respclient_flush(&s->rc, deadline(s));
    if (st == ST_OK && world_fault(s->load->world, &s->own, PLAN_VANISH)) {
        hang_up(s);
        return false;
    }
    for (size_t i = 0; i < s->op_count && st == ST_OK; i++) {
        s->ops[i].sent = true;
        st = receive_op(s, &s->ops[i]);
    }
    if (st != ST_OK) {
        hang_up(s);
        return false;
    }
    s->op_count = 0;
    buf_clear(&s->text);
    return true;
}

static struct wop *op_new(struct session *s)
{
    if (s->op_count == s->op_cap) {
        s->op_cap = s->op_cap == 0 ? 8 : s->op_cap * 2;
        s->ops = mem_resize(s->load->world->mem, s->ops, s->op_cap * sizeof *s->ops);
    }
    return &s->ops[s->op_count++];
}

/* Requests that are no requests: the node must say so, close, and go on with others. */
static void send_garbage(struct session *s)
{
    static const char *const junk[] = {"*3\r\n$-7\r\n",         "*99999999999\r\n",
                                       "*1\r\n$9\r\nshort\r\n", "*2\r\n:1\r\n:2\r\n",
                                       "*1\r\n$536870913\r\n",  "\"unbalanced\r\n"};
    struct slice text = slice_text(junk[choose(&s->own, sizeof junk / sizeof *junk)]);
    enum status st = respclient_queue_raw(&s->rc, text, NULL);
    uint64_t until = deadline(s);
    while (st == ST_OK) {
        st = respclient_receive(&s->rc, until);
    }
    hang_up(s);
}

/* Asks for much and reads late: the node must not let the replies pile up. */
static void read_slowly(struct session *s)
{
    struct slice args[3] = {slice_text("RANGE"), slice_text("-"), slice_text("+")};
    enum status st = ST_OK;
    uint64_t count = 5 + choose(&s->own, 40);
    for (uint64_t i = 0; i < count && st == ST_OK; i++) {
        st = respclient_queue(&s->rc, args, 3, NULL);
        s->requests++;
    }
    if (st == ST_OK) {
        st = respclient_flush(&s->rc, deadline(s));
    }
    pause_ns(s, choose(&s->own, 60u * NS_PER_MS));
    for (uint64_t i = 0; i < count && st == ST_OK; i++) {
        st = respclient_receive(&s->rc, deadline(s));
    }
    if (st != ST_OK) {
        hang_up(s);
    }
}

static void note_start(struct session *s)
{
    struct workload *l = s->load;
    l->started++;
    l->result->operations++;
    nemesis_tick(l->nemesis);
}

/* ---- in sessions ---- */

static bool reply_says(const struct session *s, const char *word)
{
    struct slice text = respclient_text(&s->rc, 0);
    size_t n = strlen(word);
    return s->rc.value.nodes[0].type == RESPVAL_ERROR && text.size >= n &&
           memcmp(text.data, word, n) == 0;
}

static bool session_open(struct session *s)
{
    static const char *const words[] = {"SESSION", "OPEN", "1000000"};
    enum status st = respclient_call(&s->rc, words, 3, deadline(s));
    s->requests++;
    if (st != ST_OK || s->rc.value.nodes[0].type != RESPVAL_INTEGER) {
        hang_up(s);
        return false;
    }
    s->once = (uint64_t)s->rc.value.nodes[0].integer;
    s->sequence = 1;
    return true;
}

/* One try. True: its outcome is known, or never will be. */
static bool try_once(struct session *s, struct wop *w, bool *maybe)
{
    if (w->number != 0) {
        w->tries[w->try_count++] = (struct history_try){w->conn, w->number};
    }
    w->queued = false;
    w->replies = 0;
    enum status st = workop_queue(s, w);
    st = st == ST_OK ? respclient_flush(&s->rc, deadline(s)) : st;
    bool left = w->queued && respclient_left(&s->rc, w->start);
    w->sent = w->sent || left;
    st = st == ST_OK ? respclient_receive(&s->rc, deadline(s)) : st;
    if (st != ST_OK) {
        *maybe = *maybe || left;
        hang_up(s);
        return false;
    }
    if (s->rc.value.nodes[0].type != RESPVAL_ERROR) {
        settle_known(s, w);
        return true;
    }
    bool gone = reply_says(s, "SESSIONEXPIRED") || reply_says(s, "FORGOTTEN");
    *maybe = *maybe || !(gone || reply_says(s, "TRYAGAIN"));
    s->once = gone ? 0 : s->once;
    return gone;
}

/* Sends it again under one number until it is known what came of it, or patience is over. */
static void run_once(struct session *s, struct wop *w)
{
    bool maybe = false;
    bool over = false;
    s->running = true; /* the values are needed over several connections */
    s->sequence++;
    for (unsigned i = 0; i < WORKOP_TRIES && !over && !s->load->world->failure.set; i++) {
        bool open = dial(s) && (s->once != 0 || (!w->sent && session_open(s)));
        over = open && try_once(s, w, &maybe);
    }
    s->running = false;
    if (!w->settled && !maybe && w->sent) {
        settle_refused(s, w);
    } else {
        w->sent = maybe;
        settle_unknown(s, w);
    }
}

/* The next operation, if it can be run in a session. */
static bool run_next(struct session *s, uint64_t *next)
{
    struct wop w;
    if (!s->load->sessions || plan_skips(&s->load->plan->ops, 0, *next)) {
        return false;
    }
    workop_draw(s, &w, *next);
    if (workop_runs(&w)) {
        w.call = now(s);
        note_start(s);
        run_once(s, &w);
        *next += s->me->stride;
    }
    buf_clear(&s->text);
    return workop_runs(&w);
}

/* Up to `count` operations from *next on, sent together. */
static void one_round(struct session *s, uint64_t *next, uint64_t count)
{
    const struct plan *plan = s->load->plan;
    uint64_t ops = plan_get(plan, PLAN_OPS);
    while (!dial(s)) {
        if (s->load->world->failure.set) {
            return;
        }
    }
    enum status st = ST_OK;
    for (uint64_t i = 0; i < count && *next < ops; *next += s->me->stride) {
        if (plan_skips(&plan->ops, 0, *next)) {
            continue;
        }
        struct wop *w = op_new(s);
        workop_draw(s, w, *next);
        w->call = now(s);
        note_start(s);
        if (st == ST_OK) {
            st = workop_queue(s, w);
        }
        i++;
    }
    if (st != ST_OK) {
        hang_up(s);
        return;
    }
    (void)exchange(s); /* its failure is in the history already */
}

static void work(struct session *s)
{
    const struct plan *plan = s->load->plan;
    uint64_t next = s->me->first;
    while (next < plan_get(plan, PLAN_OPS)) {
        if (s->load->nodes > 1 && choose(&s->own, ROUNDS_A_NODE) == 0) {
            hang_up(s); /* it goes to another one */
        }
        if (run_next(s, &next)) {
            pause_ns(s, choose(&s->own, plan_get(plan, PLAN_THINK_US) + 1) * NS_PER_US);
            continue;
        }
        one_round(s, &next, 1 + choose(&s->own, plan_get(plan, PLAN_PIPELINE)));
        if (s->open && world_fault(s->load->world, &s->own, PLAN_GARBAGE)) {
            send_garbage(s);
        }
        if (s->open && world_fault(s->load->world, &s->own, PLAN_SLOW_READ)) {
            read_slowly(s);
        }
        pause_ns(s, choose(&s->own, plan_get(plan, PLAN_THINK_US) + 1) * NS_PER_US);
    }
}

/* ---- the verifier: reads every key once all is healed ---- */

/* It has to be answered: of a group within some time, else after so many tries. */
static bool may_try(const struct session *s, int tries, int64_t since)
{
    uint64_t patience = s->load->patience_ns;
    bool late = patience > 0 ? now(s) - since > (int64_t)patience : tries <= 0;
    return !late && !s->load->world->failure.set;
}

static void verify_key(struct session *s, enum wkind kind, const char *key, int *tries)
{
    int64_t since = now(s);
    while (may_try(s, *tries, since)) {
        if (!dial(s)) {
            (*tries)--;
            continue;
        }
        struct wop *w = op_new(s);
        *w = (struct wop){.kind = kind, .part_count = 1, .ordinal = UINT32_MAX};
        (void)snprintf(w->parts[0].key, sizeof w->parts[0].key, "%s", key);
        if (kind == W_SET) {
            char value[32];
            (void)snprintf(value, sizeof value, "w%u.%u", s->me->number, s->me->wrote++);
            workop_keep(s, &w->parts[0].value_at, &w->parts[0].value_size, slice_text(value));
        }
        w->call = now(s);
        if (workop_queue(s, w) == ST_OK && exchange(s) && !refused(s)) {
            return;
        }
        hang_up(s);
        (*tries)--;
    }
    s->me->failed = true;
}

/* Each node of a group that is asked takes a write, whoever leads; or so many are taken by any. */
static void verify_writes(struct session *s)
{
    char key[32];
    int tries = 0;
    uint64_t asked = s->load->asked;
    for (unsigned i = 0; i < s->load->nodes && s->load->nodes > 1; i++) {
        if ((asked >> i & 1) != 0) {
            hang_up(s);
            s->me->only = s->load->each ? i + 1 : 0;
            workop_key(i, key, sizeof key);
            verify_key(s, W_SET, key, &tries);
        }
    }
    s->me->only = 0;
}

static void verify(struct session *s)
{
    char key[32];
    int tries = 200;
    verify_writes(s);
    for (uint64_t i = 0; i < plan_get(s->load->plan, PLAN_KEYS); i++) {
        workop_key(i, key, sizeof key);
        verify_key(s, W_GET, key, &tries);
    }
    for (int i = 0; i < 6; i++) {
        (void)snprintf(key, sizeof key, "a%03d", i);
        verify_key(s, W_GET, key, &tries);
    }
}

int workload_main(struct env *env, int argc, char **argv)
{
    struct client *me = proc_of(env)->user;
    struct workload *l = me->load;
    struct session s = {.me = me, .env = env, .load = l};
    uint64_t keys = plan_get(l->plan, PLAN_KEYS);
    (void)argc;
    (void)argv;
    buf_init(&s.text, l->world->mem);
    s.seen = mem_zalloc(l->world->mem, (size_t)keys * sizeof *s.seen);
    for (uint64_t i = 0; i < keys; i++) {
        buf_init(&s.seen[i], l->world->mem);
    }
    chooser_stream_init(&s.own, &l->world->chooser, CHOOSE_WORKLOAD,
                        (uint64_t)(me->number + 1) << 40);
    if (me->verifier) {
        verify(&s);
    } else {
        work(&s);
    }
    hang_up(&s);
    for (uint64_t i = 0; i < keys; i++) {
        buf_release(&s.seen[i]);
    }
    mem_release(l->world->mem, s.seen);
    mem_release(l->world->mem, s.ops);
    buf_release(&s.text);
    me->done = true;
    l->running--;
    task_wake(*l->wake);
    return 0;
}
