/* test_statemachine.c - the same log fed in many ways leads to the same database; what is sent
 * twice is done once; what cannot be applied changes nothing. Over the real engine. */
#include "node/statemachine.h"

#include "base/prng.h"
#include "env/env_posix.h"
#include "net/resp.h"
#include "node/once.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <inttypes.h>
#include <stdlib.h>

#define ENTRIES_MAX 512

/* ---- logs ---- */

struct log {
    struct inject te;
    struct raft_entry entries[ENTRIES_MAX];
    uint32_t count;
    struct buf bytes;         /* of the entry that is being made */
    struct envelope_writer w; /* for it */
};

static void log_init(struct log *l)
{
    memset(l, 0, sizeof *l);
    test_env_init(&l->te, NULL);
    buf_init(&l->bytes, &l->te.env.mem);
}

static void log_release(struct log *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        free((void *)(uintptr_t)l->entries[i].data.data);
    }
    buf_release(&l->bytes);
}

static void log_add(struct log *l, enum raft_kind kind, struct slice data)
{
    char *copy = malloc(data.size + 1);
    memcpy(copy, data.size > 0 ? data.data : "", data.size);
    EXPECT(l->count < ENTRIES_MAX);
    l->entries[l->count] = (struct raft_entry){.index = l->count + 1,
                                               .term = 1 + l->count / 100,
                                               .kind = kind,
                                               .data = slice_of(copy, data.size)};
    l->count++;
}

static void log_begin(struct log *l)
{
    struct envelope head = {.origin = 1, .life = 77, .ordinal = l->count + 1, .reply_max = 1 << 16};
    buf_clear(&l->bytes);
    envelope_begin(&l->w, &l->bytes, &head);
}

static void log_end(struct log *l)
{
    EXPECT(envelope_end(&l->w) == ST_OK);
    log_add(l, RAFT_COMMAND, buf_slice(&l->bytes));
}

/* A line of words as a command. */
static void log_words(struct log *l, const char *line)
{
    char text[512];
    struct resp_parser p;
    struct slice args[32];
    size_t size = (size_t)snprintf(text, sizeof text, "%s\n", line);
    resp_init(&p, &l->te.env.mem, resp_limits_default());
    EXPECT(resp_parse(&p, text, size) == ST_OK);
    for (uint32_t i = 0; i < p.arg_count; i++) {
        args[i] = slice_of(text + p.args[i].offset, p.args[i].size);
    }
    envelope_command(&l->w, args, p.arg_count);
    resp_release(&p);
}

static void log_request(struct log *l, uint64_t session, uint64_t sequence, const char *line)
{
    envelope_request(
        &l->w, &(struct envelope_request){.commands = 1, .session = session, .sequence = sequence});
    log_words(l, line);
}

/* An entry of one request. */
static void log_one(struct log *l, uint64_t session, uint64_t sequence, const char *line)
{
    log_begin(l);
    log_request(l, session, sequence, line);
    log_end(l);
}

/* ---- a machine ---- */

struct machine {
    struct tmpdir t;
    struct inject te;
    struct tkv *db;
    struct statemachine sm;
    struct buf replies[64]; /* of the last entry */
    uint32_t asked;
};

static enum tkv_status db_open(struct machine *m, bool log)
{
    struct tkv_options o;
    tkv_options_init(&o);
    o.env = &m->te.env;
    o.log = log;
    o.verify = true;
    o.write_buffer_bytes = 8192;
    o.threads = 1;
    return tkv_open(&o, "db", &m->db, NULL);
}

static void machine_open(struct machine *m)
{
    struct err err = {.text = ""};
    EXPECT(db_open(m, false) == TKV_OK);
    EXPECT(statemachine_open(&m->sm, &m->te.env, m->db, &err) == ST_OK);
    if (err.text[0] != '\0') {
        printf("# %s\n", err.text);
    }
}

static void machine_init(struct machine *m)
{
    memset(m, 0, sizeof *m);
    tmpdir_make(&m->t);
    test_env_init(&m->te, m->t.env);
    for (int i = 0; i < 64; i++) {
        buf_init(&m->replies[i], &m->te.env.mem);
    }
    machine_open(m);
}

static void machine_close(struct machine *m)
{
    statemachine_release(&m->sm);
    EXPECT(tkv_close(m->db) == TKV_OK);
}

static void machine_release(struct machine *m)
{
    machine_close(m);
    for (int i = 0; i < 64; i++) {
        buf_release(&m->replies[i]);
    }
    EXPECT(m->te.live == 0);
    EXPECT(m->te.descriptors == 0);
    tmpdir_remove(&m->t);
}

/* The power goes: what was not flushed is gone. */
static void machine_crash(struct machine *m)
{
    EXPECT(tkv_wait_idle(m->db) == TKV_OK);
    tmpdir_copy(&m->t, "db", "dead");
    machine_close(m);
    tmpdir_clear(&m->t, "db");
    tmpdir_copy(&m->t, "dead", "db");
    tmpdir_clear(&m->t, "dead");
    machine_open(m);
}

static struct buf *on_reply(void *arg, const struct envelope *e, uint32_t request)
{
    struct machine *m = arg;
    EXPECT(e->life == 77);
    m->asked = request + 1;
    return &m->replies[request];
}

/* Applies and commits one entry with somebody waiting for the replies. */
static void machine_do(struct machine *m, const struct raft_entry *e)
{
    struct statemachine_sink sink = {on_reply, m};
    EXPECT(statemachine_apply(&m->sm, e, &sink) == ST_OK);
    EXPECT(statemachine_commit(&m->sm) == ST_OK);
}

static uint64_t machine_hash(struct machine *m)
{
    uint64_t hash = 0;
    EXPECT(statemachine_hash(&m->sm, &hash) == ST_OK);
    return hash;
}

static bool replied(const struct machine *m, uint32_t request, const char *want)
{
    struct slice got = buf_slice(&m->replies[request]);
    bool same = slice_equal(got, slice_text(want));
    if (!same) {
        printf("# got %.*s\n", (int)got.size, got.data);
    }
    return same;
}

/* Applies one line and compares the reply. */
static bool says(struct machine *m, struct log *l, uint64_t session, uint64_t sequence,
                 const char *line, const char *want)
{
    log_one(l, session, sequence, line);
    machine_do(m, &l->entries[l->count - 1]);
    bool same = replied(m, 0, want);
    if (!same) {
        printf("# for %s\n", line);
    }
    return same;
}

/* ---- random logs ---- */

static const char *draw_line(struct prng *g, char *line, size_t size)
{
    static const char *const forms[] = {
        "set k%d v%d",
        "set k%d %d",
        "incr k%d",
        "incrby k%d %d",
        "append k%d x%d",
        "del k%d k%d",
        "cas k%d v%d new",
        "cas k%d v%d if absent",
        "set k%d v%d nx get",
        "mset k%d 1 k%d 2",
        "get k%d",
        "range k%d + limit %d",
        "dbsize",
        "exists k%d k%d",
        "nosuch k%d",
        "incr",
        "scan 0",
        "ping",
        "config get x",
        "set \"\\xff\\xffs\" v",
        "strlen k%d",
        "session open 3",
        "session close %d",
        "mget k%d k%d",
        "delrange k%d k%d",
        "delrange k%d to end",
    };
    const char *form = forms[prng_below(g, sizeof forms / sizeof *forms)];
    int a = (int)prng_below(g, 12);
    int b = (int)prng_below(g, 12);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(line, size, form, a, b);
#pragma GCC diagnostic pop
    return line;
}

/* Sessions that the log opens are known after a first run only: requests name them by number. */
static uint64_t draw_session(struct prng *g, const uint64_t *ids, uint32_t count)
{
    uint64_t at = prng_below(g, 2 * (uint64_t)count + 2);
    return at < count ? ids[at] : at == count ? 4711 : 0;
}

static void draw_entry(struct log *l, struct prng *g, const uint64_t *ids, uint32_t id_count)
{
    char line[128];
    uint64_t dice = prng_below(g, 20);
    if (dice == 0) {
        log_add(l, RAFT_NOOP, slice_of(NULL, 0));
        return;
    }
    if (dice == 1) {
        log_add(l, RAFT_CONFIG, slice_text(draw_line(g, line, sizeof line)));
        return;
    }
    log_begin(l);
    for (uint64_t n = prng_below(g, 6) + 1; n > 0; n--) {
        uint64_t session = draw_session(g, ids, id_count);
        uint64_t sequence = prng_below(g, 12);
        if (prng_below(g, 4) == 0) {
            uint32_t commands = (uint32_t)prng_below(g, 4);
            envelope_request(&l->w, &(struct envelope_request){.transaction = true,
                                                               .commands = commands,
                                                               .session = session,
                                                               .sequence = sequence});
            for (; commands > 0; commands--) {
                log_words(l, draw_line(g, line, sizeof line));
            }
        } else {
            log_request(l, session, sequence, draw_line(g, line, sizeof line));
        }
    }
    log_end(l);
}

/* A log with sessions opened at its beginning and used later on. */
static void draw_log(struct log *l, uint64_t seed, uint32_t count)
{
    struct prng g = {seed};
    struct machine m;
    uint64_t ids[4];
    log_init(l);
    machine_init(&m);
    for (uint32_t i = 0; i < 4; i++) {
        log_one(l, 0, 0, "session open 3"); /* the first one is evicted */
        machine_do(&m, &l->entries[i]);
        ids[i] = strtoull(m.replies[0].data + 1, NULL, 10);
    }
    machine_release(&m);
    while (l->count < count) {
        draw_entry(l, &g, ids, 4);
    }
}

/* Feeds the log to a machine in batches, with crashes and flushes between. With a sink or without,
 * at will: it makes no difference. */
static void feed(struct machine *m, const struct log *l, uint64_t seed, bool crashes)
{
    struct prng g = {seed};
    struct statemachine_sink sink = {on_reply, m};
    while (m->sm.applied.place.index < l->count) {
        const struct raft_entry *e = &l->entries[m->sm.applied.place.index];
        bool waits = prng_below(&g, 2) == 0;
        EXPECT(statemachine_apply(&m->sm, e, waits ? &sink : NULL) == ST_OK);
        if (seed == 0 || prng_below(&g, 3) == 0) {
            EXPECT(statemachine_commit(&m->sm) == ST_OK);
        }
        if (crashes && prng_below(&g, 40) == 0 && m->sm.committed.place.index > 0) {
            EXPECT(tkv_flush_to(m->db, m->sm.committed.place.index) == TKV_OK);
        }
        if (crashes && prng_below(&g, 60) == 0) {
            machine_crash(m);
        }
    }
    EXPECT(statemachine_commit(&m->sm) == ST_OK);
}

static void statemachine__equal_logs_give_equal_databases(void)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        static struct log l;
        struct machine one;
        draw_log(&l, seed, 300);
        machine_init(&one);
        feed(&one, &l, 0, false);
        uint64_t hash = machine_hash(&one);
        EXPECT(one.sm.counts.repeats > 0);
        EXPECT(one.sm.counts.skipped > 0);
        for (uint64_t way = 1; way <= 4; way++) {
            struct machine two;
            machine_init(&two);
            feed(&two, &l, seed * 100 + way, true);
            EXPECT(machine_hash(&two) == hash);
            EXPECT(two.sm.applied.digest == one.sm.applied.digest);
            EXPECT(two.sm.committed.place.index == 300 && two.sm.committed.place.term == 3);
            machine_release(&two);
        }
        machine_release(&one);
        log_release(&l);
    }
}

/* A crash gives back exactly what was flushed: never half of a batch, never less. */
static void statemachine__a_crash_goes_back_to_the_tag(void)
{
    static struct log l;
    struct machine m;
    log_init(&l);
    machine_init(&m);
    for (int i = 1; i <= 20; i++) {
        char want[16];
        (void)snprintf(want, sizeof want, ":%d\r\n", i);
        EXPECT(says(&m, &l, 0, 0, "incr n", want));
    }
    EXPECT(tkv_flush_to(m.db, 20) == TKV_OK);
    EXPECT(says(&m, &l, 0, 0, "incr n", ":21\r\n"));
    uint64_t digest = m.sm.applied.digest;
    uint64_t hash = machine_hash(&m);
    machine_crash(&m);
    EXPECT(m.sm.applied.place.index == 20);
    EXPECT(m.sm.applied.digest != digest);
    machine_do(&m, &l.entries[20]);
    EXPECT(replied(&m, 0, ":21\r\n"));
    EXPECT(m.sm.applied.digest == digest);
    EXPECT(machine_hash(&m) == hash);
    machine_release(&m);
    log_release(&l);
}

/* ---- exactly once ---- */

static uint64_t open_session(struct machine *m, struct log *l)
{
    log_one(l, 0, 0, "session open 8");
    machine_do(m, &l->entries[l->count - 1]);
    EXPECT(m->replies[0].data[0] == ':');
    return strtoull(m->replies[0].data + 1, NULL, 10);
}

static void statemachine__what_is_sent_twice_is_done_once(void)
{
    static struct log l;
    struct machine m;
    log_init(&l);
    machine_init(&m);
    uint64_t s = open_session(&m, &l);
    EXPECT(says(&m, &l, s, 1, "incr n", ":1\r\n"));
    EXPECT(says(&m, &l, s, 1, "incr n", ":1\r\n"));
    EXPECT(says(&m, &l, s, 1, "set n other", ":1\r\n")); /* the number counts, not the words */
    EXPECT(says(&m, &l, s, 2, "incr n x", "-ERR wrong number of arguments for 'incr' command\r\n"));
    EXPECT(says(&m, &l, s, 2, "incr n", "-ERR wrong number of arguments for 'incr' command\r\n"));
    EXPECT(says(&m, &l, s, 0, "incr n",
                "-FORGOTTEN the session has left this sequence number behind, nothing was done "
                "now\r\n"));
    EXPECT(says(&m, &l, 99, 1, "incr n",
                "-SESSIONEXPIRED there is no such session (any more), nothing was done\r\n"));
    EXPECT(says(&m, &l, 0, 0, "get n", "$1\r\n1\r\n"));
    machine_crash(&m); /* sessions are rows like others */
    while (m.sm.applied.place.index < l.count) {
        machine_do(&m, &l.entries[m.sm.applied.place.index]);
    }
    EXPECT(says(&m, &l, s, 1, "incr n", ":1\r\n"));
    /* Twice in one entry. */
    log_begin(&l);
    log_request(&l, s, 3, "append n x");
    log_request(&l, s, 3, "append n x");
    log_request(&l, s, 4, "append n x");
    log_end(&l);
    machine_do(&m, &l.entries[l.count - 1]);
    EXPECT(replied(&m, 0, ":2\r\n") && replied(&m, 1, ":2\r\n") && replied(&m, 2, ":3\r\n"));
    char line[64];
    (void)snprintf(line, sizeof line, "session close %" PRIu64, s);
    EXPECT(says(&m, &l, 0, 0, line, "+OK\r\n"));
    EXPECT(says(&m, &l, s, 3, "append n x",
                "-SESSIONEXPIRED there is no such session (any more), nothing was done\r\n"));
    machine_release(&m);
    log_release(&l);
}

/* Two openings in one entry, of which the second evicts the first, are two sessions. */
static void statemachine__sessions_of_one_entry_differ(void)
{
    static struct log l;
    struct machine m;
    log_init(&l);
    machine_init(&m);
    log_begin(&l);
    log_request(&l, 0, 0, "session open 1");
    log_request(&l, 0, 0, "session open 1");
    log_end(&l);
    machine_do(&m, &l.entries[0]);
    EXPECT(!slice_equal(buf_slice(&m.replies[0]), buf_slice(&m.replies[1])));
    machine_release(&m);
    log_release(&l);
}

static void statemachine__a_transaction_is_done_once(void)
{
    static struct log l;
    struct machine m;
    log_init(&l);
    machine_init(&m);
    uint64_t s = open_session(&m, &l);
    for (int i = 0; i < 2; i++) {
        log_begin(&l);
        envelope_request(&l.w,
                         &(struct envelope_request){
                             .transaction = true, .commands = 5, .session = s, .sequence = 1});
        log_words(&l, "incr n");
        log_words(&l, "get absent");
        log_words(&l, "scan 0");
        log_words(&l, "info");
        log_words(&l, "session open 3");
        log_end(&l);
        machine_do(&m, &l.entries[l.count - 1]);
        EXPECT(replied(&m, 0,
                       "*5\r\n:1\r\n_\r\n-ERR SCAN cannot be in a transaction here, use RANGE\r\n"
                       "-ERR 'info' cannot be replicated\r\n-ERR there are no sessions here\r\n"));
    }
    machine_release(&m);
    log_release(&l);
}

/* ---- limits ---- */

/* A reply over the sender's limit is an error without effect, on every node alike. */
static void statemachine__a_reply_over_the_limit_undoes_the_request(void)
{
    static struct log l;
    struct machine m;
    log_init(&l);
    machine_init(&m);
    EXPECT(says(&m, &l, 0, 0, "set k 0123456789012345678901234567890123456789", "+OK\r\n"));
    struct envelope head = {.origin = 1, .life = 77, .ordinal = 1, .reply_max = 32};
    buf_clear(&l.bytes);
    envelope_begin(&l.w, &l.bytes, &head);
    log_request(&l, 0, 0, "set k x get");
    log_request(&l, 0, 0, "set j 1");
    log_end(&l);
    struct raft_entry *e = &l.entries[l.count - 1];
    machine_do(&m, e);
    EXPECT(replied(&m, 0, "-ERR the reply or the transaction is too big, nothing was changed\r\n"));
    EXPECT(replied(&m, 1, "+OK\r\n"));
    EXPECT(says(&m, &l, 0, 0, "strlen k", ":40\r\n"));
    machine_release(&m);
    log_release(&l);
}

static void statemachine__its_own_rows_are_nobody_elses(void)
{
    static struct log l;
    struct machine m;
    log_init(&l);
    machine_init(&m);
    uint64_t session = open_session(&m, &l);
    EXPECT(says(&m, &l, 0, 0, "set \"\\xff\\xff\" v",
                "-ERR keys may not begin with the bytes ff ff\r\n"));
    EXPECT(says(&m, &l, 0, 0, "mset a 1 \"\\xff\\xffn\" v",
                "-ERR keys may not begin with the bytes ff ff\r\n"));
    EXPECT(says(&m, &l, 0, 0, "get \"\\xff\\xffa\"",
                "-ERR keys may not begin with the bytes ff ff\r\n"));
    EXPECT(says(&m, &l, 0, 0, "set \"\\xff\" v", "+OK\r\n"));
    EXPECT(says(&m, &l, 0, 0, "set \"\\xff\\xfe\" v", "+OK\r\n"));
    EXPECT(says(&m, &l, 0, 0, "dbsize", ":2\r\n"));
    EXPECT(says(&m, &l, 0, 0, "range - + limit 1 rev", "*2\r\n$2\r\n\xff\xfe\r\n$1\r\nv\r\n"));
    EXPECT(says(&m, &l, 0, 0, "range \"\\xff\\xff\" \"\\xff\\xff\\xff\"", "*0\r\n"));
    EXPECT(says(&m, &l, session, 1, "set k v", "+OK\r\n"));
    EXPECT(says(&m, &l, 0, 0, "delrange \"\" \"\\xff\\xff\\xff\"", "+OK\r\n"));
    EXPECT(says(&m, &l, 0, 0, "delrange \"\\xff\\xff\" to end", "+OK\r\n"));
    EXPECT(says(&m, &l, 0, 0, "dbsize", ":0\r\n"));
    EXPECT(says(&m, &l, session, 1, "set k v", "+OK\r\n")); /* its reply is there */
    EXPECT(says(&m, &l, 0, 0, "dbsize", ":0\r\n"));
    machine_release(&m);
    log_release(&l);
}

/* ---- ranges ---- */

#define MODEL_KEYS 26

/* A line, done to the model: a value is a letter, 0 for none. */
static void draw_range_line(struct prng *g, char *model, char *line, size_t size)
{
    int a = (int)prng_below(g, MODEL_KEYS);
    int b = (int)prng_below(g, MODEL_KEYS);
    switch (prng_below(g, 6)) {
    case 0:
        (void)snprintf(line, size, "delrange %c %c", 'a' + a, 'a' + b);
        for (int k = a; k < b; k++) {
            model[k] = 0;
        }
        return;
    case 1:
        a = MODEL_KEYS - 1 - a / 4;
        (void)snprintf(line, size, "delrange %c TO end", 'a' + a);
        memset(model + a, 0, (size_t)(MODEL_KEYS - a));
        return;
    case 2:
        (void)snprintf(line, size, "del %c", 'a' + a);
        model[a] = 0;
        return;
    default:
        (void)snprintf(line, size, "set %c %c", 'a' + a, 'A' + b);
        model[a] = (char)('A' + b);
        return;
    }
}

/* What RANGE says of the model. */
static void model_range(const char *model, bool reverse, char *out)
{
    int count = 0;
    for (int k = 0; k < MODEL_KEYS; k++) {
        count += model[k] != 0;
    }
    out += sprintf(out, "*%d\r\n", 2 * count);
    for (int i = 0; i < MODEL_KEYS; i++) {
        int k = reverse ? MODEL_KEYS - 1 - i : i;
        if (model[k] != 0) {
            out += sprintf(out, "$1\r\n%c\r\n$1\r\n%c\r\n", 'a' + k, model[k]);
        }
    }
}

/* Reads see what was written before them in their entry, in other entries that are not committed
 * to the database yet, and in it. */
static void statemachine__deleted_ranges_agree_with_an_array(void)
{
    static struct log l;
    struct machine m;
    struct prng g = {5};
    char model[MODEL_KEYS] = {0};
    char line[64], want[1024];
    log_init(&l);
    machine_init(&m);
    struct statemachine_sink sink = {on_reply, &m};
    for (int step = 0; step < 400; step++) {
        log_begin(&l);
        uint32_t writes = (uint32_t)prng_below(&g, 8);
        for (uint32_t i = 0; i < writes; i++) {
            draw_range_line(&g, model, line, sizeof line);
            log_request(&l, 0, 0, line);
        }
        log_request(&l, 0, 0, "range - +");
        log_request(&l, 0, 0, "range - + rev");
        int k = (int)prng_below(&g, MODEL_KEYS);
        (void)snprintf(line, sizeof line, "exists %c", 'a' + k);
        log_request(&l, 0, 0, line);
        log_end(&l);
        EXPECT(statemachine_apply(&m.sm, &l.entries[l.count - 1], &sink) == ST_OK);
        model_range(model, false, want);
        EXPECT(replied(&m, writes, want));
        model_range(model, true, want);
        EXPECT(replied(&m, writes + 1, want));
        EXPECT(replied(&m, writes + 2, model[k] != 0 ? ":1\r\n" : ":0\r\n"));
        if (prng_below(&g, 3) == 0) {
            EXPECT(statemachine_commit(&m.sm) == ST_OK);
        }
    }
    EXPECT(says(&m, &l, 0, 0, "delrange a to b", "-ERR syntax error\r\n"));
    EXPECT(says(&m, &l, 0, 0, "delrange a b c", "-ERR syntax error\r\n"));
    EXPECT(says(&m, &l, 0, 0, "delrange b a", "+OK\r\n"));
    model_range(model, false, want);
    EXPECT(says(&m, &l, 0, 0, "range - +", want));
    machine_release(&m);
    log_release(&l);
}

static void statemachine__configurations_are_kept(void)
{
    static struct log l;
    struct machine m;
    struct raft_place place;
    struct buf payload;
    log_init(&l);
    machine_init(&m);
    buf_init(&payload, &m.te.env.mem);
    EXPECT(statemachine_config(&m.sm, &place, &payload) == ST_NOENT);
    log_add(&l, RAFT_CONFIG, slice_text("first"));
    log_add(&l, RAFT_NOOP, slice_of(NULL, 0));
    log_add(&l, RAFT_CONFIG, slice_text("second"));
    log_add(&l, RAFT_NOOP, slice_of(NULL, 0));
    feed(&m, &l, 1, false);
    EXPECT(tkv_flush_to(m.db, 4) == TKV_OK);
    machine_crash(&m);
    EXPECT(statemachine_config(&m.sm, &place, &payload) == ST_OK);
    EXPECT(place.index == 3 && place.term == 1);
    EXPECT(slice_equal(buf_slice(&payload), slice_text("second")));
    buf_release(&payload);
    machine_release(&m);
    log_release(&l);
}

/* ---- failures ---- */

/* An entry that is none stops the machine where it is. */
static void statemachine__an_entry_that_is_none_changes_nothing(void)
{
    static struct log l;
    struct machine m;
    log_init(&l);
    machine_init(&m);
    EXPECT(says(&m, &l, 0, 0, "set a 1", "+OK\r\n"));
    uint64_t hash = machine_hash(&m);
    log_one(&l, 0, 0, "set a 2");
    struct raft_entry e = l.entries[1];
    e.data.size--;
    EXPECT(statemachine_apply(&m.sm, &e, NULL) == ST_CORRUPT);
    e.data = slice_text("\x02");
    EXPECT(statemachine_apply(&m.sm, &e, NULL) == ST_UNSUPPORTED);
    EXPECT(m.sm.applied.place.index == 1);
    EXPECT(statemachine_commit(&m.sm) == ST_OK);
    EXPECT(machine_hash(&m) == hash);
    machine_do(&m, &l.entries[1]);
    EXPECT(m.sm.applied.place.index == 2);
    machine_release(&m);
    log_release(&l);
}

static void statemachine__a_foreign_database_is_refused(void)
{
    struct machine m;
    struct err err;
    machine_init(&m);
    EXPECT(tkv_put(m.db, NULL, "a", 1, "1", 1) == TKV_OK);
    machine_close(&m);
    EXPECT(db_open(&m, false) == TKV_OK);
    EXPECT(statemachine_open(&m.sm, &m.te.env, m.db, &err) == ST_CORRUPT);
    EXPECT(strstr(err.text, "not written by a replicated node") != NULL);
    struct tkv_write_options o;
    tkv_write_options_init(&o);
    o.tag = 5;
    EXPECT(tkv_put(m.db, &o, "b", 1, "1", 1) == TKV_OK);
    EXPECT(tkv_flush_to(m.db, 5) == TKV_OK);
    EXPECT(statemachine_open(&m.sm, &m.te.env, m.db, &err) == ST_CORRUPT);
    EXPECT(strstr(err.text, "tag 5") != NULL);
    machine_release(&m);
}

/* Every allocation refused once: trying again leads to the same state as ever. */
static void statemachine__refused_memory_is_tried_again(void)
{
    static struct log l;
    struct machine one;
    draw_log(&l, 99, 40);
    machine_init(&one);
    feed(&one, &l, 0, false);
    uint64_t hash = machine_hash(&one);
    bool reached = true;
    for (long n = 0; reached; n++) {
        struct machine m;
        machine_init(&m);
        struct statemachine_sink sink = {on_reply, &m};
        long before = m.te.allocs;
        m.te.fail_at = before + n;
        while (m.sm.applied.place.index < l.count) {
            enum status st = statemachine_apply(&m.sm, &l.entries[m.sm.applied.place.index], &sink);
            EXPECT(st == ST_OK || st == ST_NOMEM);
            if (m.sm.applied.place.index % 5 == 0) {
                st = statemachine_commit(&m.sm);
                EXPECT(st == ST_OK || st == ST_NOMEM);
            }
        }
        while (statemachine_commit(&m.sm) != ST_OK) {
        }
        reached = m.te.allocs > before + n;
        m.te.fail_at = -1;
        EXPECT(machine_hash(&m) == hash);
        EXPECT(m.sm.applied.digest == one.sm.applied.digest);
        machine_release(&m);
        EXPECT(reached || n > 20);
    }
    machine_release(&one);
    log_release(&l);
}

static void statemachine__refused_memory_at_opening(void)
{
    for (long n = 0;; n++) {
        struct machine m;
        machine_init(&m);
        machine_close(&m);
        EXPECT(db_open(&m, false) == TKV_OK); /* so that it has no iterators put by */
        long before = m.te.allocs;
        m.te.fail_at = before + n;
        enum status st = statemachine_open(&m.sm, &m.te.env, m.db, NULL);
        bool reached = m.te.allocs > before + n;
        m.te.fail_at = -1;
        EXPECT(st == (reached ? ST_NOMEM : ST_OK));
        machine_release(&m);
        if (!reached) {
            EXPECT(n > 0);
            return;
        }
    }
}

TAP_MAIN({
    RUN(statemachine__equal_logs_give_equal_databases);
    RUN(statemachine__a_crash_goes_back_to_the_tag);
    RUN(statemachine__what_is_sent_twice_is_done_once);
    RUN(statemachine__sessions_of_one_entry_differ);
    RUN(statemachine__a_transaction_is_done_once);
    RUN(statemachine__a_reply_over_the_limit_undoes_the_request);
    RUN(statemachine__its_own_rows_are_nobody_elses);
    RUN(statemachine__deleted_ranges_agree_with_an_array);
    RUN(statemachine__configurations_are_kept);
    RUN(statemachine__an_entry_that_is_none_changes_nothing);
    RUN(statemachine__a_foreign_database_is_refused);
    RUN(statemachine__refused_memory_is_tried_again);
    RUN(statemachine__refused_memory_at_opening);
})
