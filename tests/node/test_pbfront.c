/* test_pbfront.c - protobuf requests through the core, over an engine that fails when told to.
 *
 * A request is encoded, made into a job, executed in a group of its own, and its response decoded
 * again; so what a test sees is what a client would. */
#include "node/pbfront.h"

#include "env/env_posix.h"
#include "net/pbdec.h"
#include "net/pbenc.h"
#include "node/core.h"
#include "tests/node/faketkv.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

struct world {
    struct env *posix;
    struct inject te;
    struct nodeopt opt;
    struct tkv *db;
    struct core *core;
    struct session *session;
    struct pbfront pb;
    /* of the last request */
    struct buf bytes;  /* the response's frame */
    struct slice rest; /* the response */
    struct pbarena arena;
    struct pbmsg_response r;
    bool ends;
};

static void world_init(struct world *w)
{
    char data[] = "--data=x";
    char level[] = "--log-level=error";
    char *argv[] = {data, level};
    memset(w, 0, sizeof *w);
    EXPECT(env_posix_new(NULL, &w->posix) == ST_OK);
    test_env_init(&w->te, w->posix);
    w->te.fail_at = -1;
    EXPECT(nodeopt_parse(&w->opt, 2, argv, NULL) == ST_OK);
    EXPECT(tkv_open(NULL, "x", &w->db, NULL) == TKV_OK);
    EXPECT(core_new(&w->te.env, w->db, NULL, &w->opt, &w->core) == ST_OK);
    w->session = job_session_new(&w->te.env.mem, 1, true);
    pbfront_init(&w->pb, &w->te.env.mem);
    buf_init(&w->bytes, &w->posix->mem);
    pbarena_init(&w->arena, &w->posix->mem, 1u << 20, 0);
}

static void world_release(struct world *w)
{
    pbarena_release(&w->arena);
    buf_release(&w->bytes);
    pbfront_release(&w->pb);
    job_session_free(&w->te.env.mem, w->session);
    core_free(w->core);
    EXPECT(tkv_close(w->db) == TKV_OK);
    EXPECT(w->te.live == 0);
    env_posix_free(w->posix);
}

/* Takes the response out of the job's bytes. */
static void response_read(struct world *w, const struct job *j)
{
    struct frame_reader reader;
    struct pbdec_error error;
    frame_init(&reader, FRAME_CLIENT, 1u << 30, false);
    buf_clear(&w->bytes);
    EXPECT(buf_append(&w->bytes, j->out.bytes.data, j->out.bytes.size) == ST_OK);
    EXPECT(frame_parse(&reader, w->bytes.data, w->bytes.size, &w->rest) == ST_OK);
    EXPECT(reader.at == w->bytes.size);
    pbarena_reset(&w->arena);
    EXPECT(pbdec_read(&pbmsg_response_table, w->rest, &w->arena, &w->r, &error) == ST_OK);
    w->ends = j->ends;
}

/* Executes bytes that should be a request. */
static enum status ask_bytes(struct world *w, struct slice message, uint64_t now_ns)
{
    struct job *j;
    struct list group;
    list_init(&group);
    enum status st = pbfront_job(&w->pb, message, now_ns, &j);
    if (st != ST_OK) {
        EXPECT(st == ST_NOMEM && j == NULL);
        return st;
    }
    j->session = w->session;
    list_insert(&group, &j->link);
    core_group_run(w->core, &group);
    list_remove(&j->link);
    st = pbfront_answer(&w->pb, j);
    if (st == ST_OK) {
        response_read(w, j);
    }
    job_free(j);
    return st;
}

static enum status ask_at(struct world *w, const struct pbmsg_request *r, uint64_t now_ns)
{
    struct buf message;
    buf_init(&message, &w->posix->mem);
    EXPECT(pbenc_append(&pbmsg_request_table, r, &message) == ST_OK);
    enum status st = ask_bytes(w, buf_slice(&message), now_ns);
    if (st == ST_OK) {
        EXPECT(w->r.id == r->id);
        EXPECT(w->r.result == (w->r.code == PBMSG_CODE_OK ? r->op : 0));
        EXPECT((w->r.message.size == 0) == (w->r.code == PBMSG_CODE_OK));
        EXPECT(!w->ends);
    }
    buf_release(&message);
    return st;
}

/* Executes a request; true when its response has that code. */
static bool ask(struct world *w, const struct pbmsg_request *r, enum pbmsg_code code)
{
    bool good = ask_at(w, r, 0) == ST_OK && w->r.code == (int32_t)code;
    if (!good) {
        printf("# code %d: %.*s\n", w->r.code, (int)w->r.message.size, w->r.message.data);
    }
    return good;
}

#define ASK(w, code_, ...) \
    EXPECT(ask((w), &(struct pbmsg_request){.id = 7, __VA_ARGS__}, PBMSG_CODE_##code_))

static struct slice text(const char *t)
{
    return slice_text(t);
}

static bool is(struct slice got, const char *want)
{
    return slice_equal(got, slice_text(want));
}

static void put(struct world *w, const char *key, const char *value)
{
    ASK(w, OK, .op = PBMSG_PUT, .put = {.key = text(key), .value = text(value)});
    EXPECT(w->r.put.done && !w->r.put.has_previous);
}

/* The value, "(none)" when there is none. */
static bool holds(struct world *w, const char *key, const char *want)
{
    ASK(w, OK, .op = PBMSG_GET, .get = {.key = text(key)});
    return is(w->r.get.found ? w->r.get.value : text("(none)"), want);
}

/* ---- operations ---- */

static void test_pbfront__gets_what_was_put(void)
{
    struct world w;
    world_init(&w);
    EXPECT(holds(&w, "k", "(none)"));
    put(&w, "k", "value");
    EXPECT(holds(&w, "k", "value") && w.r.get.size == 5);
    ASK(&w, OK, .op = PBMSG_GET, .get = {.key = text("k"), .size_only = true});
    EXPECT(w.r.get.found && w.r.get.size == 5 && w.r.get.value.size == 0);
    put(&w, "", "");
    ASK(&w, OK, .op = PBMSG_GET, .get = {.size_only = true});
    EXPECT(w.r.get.found && w.r.get.size == 0);
    ASK(&w, OK, .op = PBMSG_DELETE, .delete = {.key = text("k")});
    EXPECT(w.r.delete.existed);
    ASK(&w, OK, .op = PBMSG_DELETE, .delete = {.key = text("k")});
    EXPECT(!w.r.delete.existed);
    ASK(&w, OK, .op = PBMSG_PING, .ping = {.payload = text("x\r\n")});
    EXPECT(is(w.r.ping.payload, "x\r\n"));
    ASK(&w, OK, .op = PBMSG_PING);
    EXPECT(w.r.ping.payload.size == 0);
    world_release(&w);
}

static void put_if(struct world *w, const char *value, int condition, bool previous)
{
    ASK(w, OK, .op = PBMSG_PUT,
        .put = {
            .key = text("k"), .value = text(value), .condition = condition, .previous = previous});
}

static void test_pbfront__conditions_of_a_put(void)
{
    struct world w;
    world_init(&w);
    for (int previous = 0; previous < 2; previous++) {
        ASK(&w, OK, .op = PBMSG_DELETE, .delete = {.key = text("k")});
        put_if(&w, "1", PBMSG_CONDITION_PRESENT, previous != 0);
        EXPECT(!w.r.put.done && !w.r.put.has_previous);
        put_if(&w, "2", PBMSG_CONDITION_ABSENT, previous != 0);
        EXPECT(w.r.put.done && !w.r.put.has_previous);
        put_if(&w, "3", PBMSG_CONDITION_ABSENT, previous != 0);
        EXPECT(!w.r.put.done && w.r.put.has_previous == (previous != 0));
        EXPECT(previous == 0 || is(w.r.put.previous, "2"));
        put_if(&w, "4", PBMSG_CONDITION_PRESENT, previous != 0);
        EXPECT(w.r.put.done && w.r.put.has_previous == (previous != 0));
        put_if(&w, "5", PBMSG_CONDITION_NONE, previous != 0);
        EXPECT(w.r.put.done && w.r.put.has_previous == (previous != 0));
        EXPECT(previous == 0 || is(w.r.put.previous, "4"));
        EXPECT(holds(&w, "k", "5"));
    }
    ASK(&w, UNSUPPORTED, .op = PBMSG_PUT, .put = {.key = text("k"), .condition = 3});
    EXPECT(holds(&w, "k", "5"));
    world_release(&w);
}

static void test_pbfront__cas_append_incr(void)
{
    struct world w;
    world_init(&w);
    ASK(&w, OK, .op = PBMSG_CAS, .cas = {.key = text("c"), .value = text("")});
    EXPECT(w.r.cas.done); /* it was absent, as was expected */
    ASK(&w, OK, .op = PBMSG_CAS, .cas = {.key = text("c"), .value = text("x")});
    EXPECT(!w.r.cas.done);
    ASK(&w, OK, .op = PBMSG_CAS,
        .cas = {.key = text("c"), .has_expected = true, .value = text("x")});
    EXPECT(w.r.cas.done && holds(&w, "c", "x"));
    ASK(&w, OK, .op = PBMSG_APPEND, .append = {.key = text("c"), .value = text("yz")});
    EXPECT(w.r.append.size == 3);
    ASK(&w, NOT_INTEGER, .op = PBMSG_INCR, .incr = {.key = text("c"), .delta = 1});
    ASK(&w, OK, .op = PBMSG_INCR, .incr = {.key = text("n"), .delta = INT64_MIN});
    EXPECT(w.r.incr.value == INT64_MIN);
    ASK(&w, OVERFLOW, .op = PBMSG_INCR, .incr = {.key = text("n"), .delta = -1});
    ASK(&w, OK, .op = PBMSG_INCR, .incr = {.key = text("n"), .delta = 0});
    EXPECT(w.r.incr.value == INT64_MIN);
    world_release(&w);
}

static void test_pbfront__keys_have_limits(void)
{
    struct world w;
    world_init(&w);
    char *key = calloc(1, TKV_KEY_MAX + 1);
    struct slice large = slice_of(key, TKV_KEY_MAX + 1);
    ASK(&w, TOO_LARGE, .op = PBMSG_GET, .get = {.key = large});
    ASK(&w, OK, .op = PBMSG_GET, .get = {.key = slice_of(key, TKV_KEY_MAX)});
    ASK(&w, BAD_REQUEST, .op = PBMSG_APPEND, .append = {.key = text("\xff\xff"), .value = large});
    struct pbmsg_op ops[] = {{.op = PBMSG_PUT, .put = {.key = text("a"), .value = text("1")}},
                             {.op = PBMSG_PUT, .put = {.key = text("\xff\xffs")}}};
    ASK(&w, BAD_REQUEST, .op = PBMSG_BATCH, .batch.ops = {ops, 2});
    EXPECT(holds(&w, "a", "(none)")); /* nothing of it was done */
    ops[1].put.key = large;
    ASK(&w, TOO_LARGE, .op = PBMSG_BATCH, .batch.ops = {ops, 2});
    EXPECT(holds(&w, "a", "(none)"));
    free(key);
    world_release(&w);
}

static void test_pbfront__a_batch_is_one_commit(void)
{
    struct world w;
    world_init(&w);
    struct pbmsg_op ops[] = {
        {.op = PBMSG_PUT, .put = {.key = text("a"), .value = text("1")}},
        {.op = PBMSG_PUT, .put = {.key = text("a"), .value = text("2"), .previous = true}},
        {.op = PBMSG_GET, .get = {.key = text("a")}},
        {.op = PBMSG_GET, .get = {.key = text("none")}},
        {.op = PBMSG_GET, .get = {.key = text("a"), .size_only = true}},
        {.op = PBMSG_APPEND, .append = {.key = text("a"), .value = text("x")}},
        {.op = PBMSG_INCR, .incr = {.key = text("a"), .delta = 1}},
        {.op = PBMSG_INCR, .incr = {.key = text("n"), .delta = -9}},
        {.op = PBMSG_CAS, .cas = {.key = text("a"), .value = text("3")}},
        {.op = PBMSG_DELETE, .delete = {.key = text("n")}},
    };
    long writes = faketkv_knobs()->writes;
    ASK(&w, OK, .op = PBMSG_BATCH, .batch.ops = {ops, sizeof ops / sizeof *ops});
    EXPECT(faketkv_knobs()->writes == writes + 1);
    const struct pbmsg_op_result *r = w.r.batch.results.items;
    EXPECT(w.r.batch.results.count == sizeof ops / sizeof *ops);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        EXPECT(r[i].code == (i == 6 ? PBMSG_CODE_NOT_INTEGER : PBMSG_CODE_OK));
        EXPECT(r[i].result == (i == 6 ? 0 : ops[i].op));
    }
    EXPECT(r[0].put.done && !r[0].put.has_previous);
    EXPECT(r[1].put.done && is(r[1].put.previous, "1"));
    EXPECT(is(r[2].get.value, "2") && !r[3].get.found && r[4].get.size == 1);
    EXPECT(r[5].append.size == 2 && r[7].incr.value == -9 && !r[8].cas.done && r[9].delete.existed);
    EXPECT(holds(&w, "a", "2x"));
    ASK(&w, BAD_REQUEST, .op = PBMSG_BATCH);
    ops[3].op = 0;
    ASK(&w, UNSUPPORTED, .op = PBMSG_BATCH, .batch.ops = {ops, 4});
    world_release(&w);
}

/* ---- scans ---- */

/* Walks in pages and writes the keys, a '|' behind each page. */
static const char *walk(struct world *w, struct pbmsg_scan scan)
{
    static char seen[256];
    char place[64];
    size_t at = 0;
    for (int pages = 0; pages < 40; pages++) {
        ASK(w, OK, .op = PBMSG_SCAN, .scan = scan);
        const struct pbmsg_scan_result *r = &w->r.scan;
        EXPECT(r->count == r->pairs.count);
        for (uint32_t i = 0; i < r->pairs.count; i++) {
            const struct pbmsg_pair *p = &r->pairs.items[i];
            EXPECT(p->value.size == (scan.keys_only ? 0 : 2));
            at += (size_t)snprintf(seen + at, sizeof seen - at, "%.*s", (int)p->key.size,
                                   p->key.data);
        }
        at += (size_t)snprintf(seen + at, sizeof seen - at, "|");
        if (r->continuation.size == 0) {
            return seen;
        }
        memcpy(place, r->continuation.data, r->continuation.size);
        scan.continuation = slice_of(place, r->continuation.size);
    }
    return "without end";
}

static void test_pbfront__scans_in_pages(void)
{
    struct world w;
    world_init(&w);
    for (char c = 'a'; c <= 'g'; c++) {
        put(&w, (char[]){c, '\0'}, "vv");
    }
    put(&w, "-", "vv"); /* RANGE takes this for an open bound */
#define WALKS(want, ...) EXPECT(strcmp(walk(&w, (struct pbmsg_scan){__VA_ARGS__}), want) == 0)
    WALKS("-abcdefg|", .limit = 0);
    WALKS("-ab|cde|fg|", .limit = 3);
    WALKS("gfe|dcb|a-|", .limit = 3, .reverse = true);
    WALKS("cd|e|", .start = text("c"), .has_end = true, .end = text("f"), .limit = 2);
    WALKS("ed|c|", .start = text("c"), .has_end = true, .end = text("f"), .limit = 2,
          .reverse = true, .keys_only = true);
    WALKS("-|", .has_end = true, .end = text("a"));
    WALKS("|", .has_end = true);
    WALKS("|", .start = text("x"));
    WALKS("bd|f|", .pattern = text("[bdf]"), .limit = 2);
    WALKS("-|a|b|c|d|e|f|g|", .bytes_limit = 1);
    WALKS("-ab|cde|fg|", .bytes_limit = 33);
#undef WALKS
    ASK(&w, OK, .op = PBMSG_SCAN, .scan = {.count_only = true});
    EXPECT(w.r.scan.count == 8 && w.r.scan.pairs.count == 0);
    ASK(&w, OK, .op = PBMSG_SCAN,
        .scan = {.count_only = true, .pattern = text("[a-c]"), .start = text("b")});
    EXPECT(w.r.scan.count == 2);
    world_release(&w);
}

/* ---- what is refused, and what fails ---- */

static void test_pbfront__says_what_it_does_not_do(void)
{
    struct world w;
    world_init(&w);
    ASK(&w, BAD_REQUEST, .op = 0);
    ASK(&w, UNSUPPORTED, .op = PBMSG_ADD_MEMBER, .add_member = {.node = 3, .incarnation = 1});
    ASK(&w, UNSUPPORTED, .op = PBMSG_MEMBERS);
    ASK(&w, UNSUPPORTED, .op = PBMSG_STATUS);
    EXPECT(ask_bytes(&w, slice_of("\x52\xff", 2), 0) == ST_OK);
    EXPECT(w.r.code == PBMSG_CODE_BAD_REQUEST && w.r.id == 0);
    EXPECT(is(w.r.message, "Request: put at byte 0: the bytes end inside a field"));
    struct job *j;
    EXPECT(pbfront_job_lost(&w.pb, FRAME_FAULT_TOO_LONG, &j) == ST_OK);
    response_read(&w, j);
    EXPECT(w.r.code == PBMSG_CODE_TOO_LARGE && w.ends);
    job_free(j);
    world_release(&w);
}

static void test_pbfront__deletes_ranges(void)
{
    struct world w;
    world_init(&w);
    for (char c = 'a'; c <= 'g'; c++) {
        put(&w, (char[]){c, '\0'}, "vv");
    }
    ASK(&w, BAD_REQUEST, .op = PBMSG_DELETE_RANGE, .delete_range.start = text("a"));
    ASK(&w, BAD_REQUEST, .op = PBMSG_DELETE_RANGE,
        .delete_range = {.has_end = true, .end = text("b"), .to_end = true});
    ASK(&w, OK, .op = PBMSG_DELETE_RANGE, .delete_range.has_end = true); /* to before "" */
    ASK(&w, OK, .op = PBMSG_SCAN, .scan.count_only = true);
    EXPECT(w.r.scan.count == 7);
    ASK(&w, OK, .op = PBMSG_DELETE_RANGE,
        .delete_range = {.start = text("b"), .has_end = true, .end = text("d")});
    EXPECT(holds(&w, "b", "(none)") && holds(&w, "c", "(none)") && holds(&w, "d", "vv"));
    ASK(&w, OK, .op = PBMSG_DELETE_RANGE, .delete_range = {.start = text("f"), .to_end = true});
    EXPECT(holds(&w, "e", "vv") && holds(&w, "f", "(none)") && holds(&w, "g", "(none)"));
    ASK(&w, OK, .op = PBMSG_DELETE_RANGE, .delete_range.to_end = true);
    EXPECT(holds(&w, "a", "(none)") && holds(&w, "e", "(none)"));
    world_release(&w);
}

static void test_pbfront__a_session_is_not_forgotten_silently(void)
{
    struct world w;
    world_init(&w);
    ASK(&w, UNSUPPORTED, .op = PBMSG_OPEN_SESSION);
    ASK(&w, SESSION_EXPIRED, .op = PBMSG_RENEW_SESSION);
    ASK(&w, UNSUPPORTED, .op = PBMSG_CLOSE_SESSION, .session = 3);
    /* done without its session it would perhaps be done twice */
    ASK(&w, UNSUPPORTED, .session = 3, .sequence = 1, .op = PBMSG_PUT, .put.key = text("k"));
    ASK(&w, BAD_REQUEST, .session = 3, .op = PBMSG_PUT, .put.key = text("k"));
    ASK(&w, BAD_REQUEST, .session = 3, .sequence = UINT64_MAX, .op = PBMSG_PUT,
        .put.key = text("k"));
    ASK(&w, BAD_REQUEST, .sequence = 1, .op = PBMSG_PUT, .put.key = text("k"));
    struct pbmsg_op op = {.op = PBMSG_PUT, .put.key = text("k")};
    ASK(&w, UNSUPPORTED, .session = 3, .sequence = 1, .op = PBMSG_BATCH, .batch.ops = {&op, 1});
    EXPECT(holds(&w, "k", "(none)"));
    world_release(&w);
}

static void test_pbfront__what_comes_too_late_is_not_begun(void)
{
    struct world w;
    world_init(&w);
    struct pbmsg_request r = {.id = 1,
                              .timeout_ms = 1000,
                              .op = PBMSG_PUT,
                              .put = {.key = text("k"), .value = text("v")}};
    uint64_t now = env_clock_mono(w.posix);
    EXPECT(ask_at(&w, &r, now - 1000000000) == ST_OK && w.r.code == PBMSG_CODE_TIMEOUT);
    EXPECT(holds(&w, "k", "(none)"));
    r.timeout_ms = 3600u * 1000;
    EXPECT(ask_at(&w, &r, now) == ST_OK && w.r.code == PBMSG_CODE_OK);
    world_release(&w);
}

static void test_pbfront__durability_of_a_request(void)
{
    struct world w;
    world_init(&w);
    long syncs = faketkv_knobs()->syncs;
    put(&w, "k", "1");
    EXPECT(faketkv_knobs()->syncs == syncs + 1);
    ASK(&w, OK, .durability = PBMSG_DURABILITY_BUFFERED, .op = PBMSG_DELETE,
        .delete.key = text("k"));
    EXPECT(faketkv_knobs()->syncs == syncs + 1);
    w.session->sync = false;
    ASK(&w, OK, .durability = PBMSG_DURABILITY_SYNC, .op = PBMSG_APPEND, .append.key = text("k"));
    EXPECT(faketkv_knobs()->syncs == syncs + 2);
    world_release(&w);
}

static void test_pbfront__failures_say_what_became_of_it(void)
{
    struct world w;
    world_init(&w);
    struct faketkv_knobs *k = faketkv_knobs();
    k->write_fails = TKV_IO;
    k->fail_count = 1;
    ASK(&w, UNKNOWN, .op = PBMSG_PUT, .put.key = text("k"));
    k->write_fails = TKV_NOSPC;
    k->fail_count = 1;
    ASK(&w, UNKNOWN, .op = PBMSG_PUT, .put.key = text("k"));
    k->read_fails = TKV_CORRUPT;
    ASK(&w, DAMAGED, .op = PBMSG_GET, .get.key = text("k"));
    ASK(&w, DAMAGED, .op = PBMSG_SCAN);
    k->read_fails = TKV_IO;
    ASK(&w, READ_FAILED, .op = PBMSG_GET, .get.key = text("k"));
    k->read_fails = TKV_OK;
    world_release(&w);
}

/* Each allocation once: the answer says that nothing was done, or there is none. */
static void test_pbfront__refused_memory(void)
{
    struct world w;
    world_init(&w);
    struct pbmsg_op ops[] = {{.op = PBMSG_INCR, .incr = {.key = text("n"), .delta = 1}},
                             {.op = PBMSG_GET, .get = {.key = text("n")}}};
    struct pbmsg_request r = {.op = PBMSG_BATCH, .batch.ops = {ops, 2}};
    int64_t done = 0;
    int64_t unknown = 0;
    bool all = false;
    for (long n = 0; !all; n++) {
        w.te.allocs = 0;
        w.te.fail_at = n;
        enum status st = ask_at(&w, &r, 0);
        all = w.te.allocs <= n;
        w.te.fail_at = -1;
        unknown += st != ST_OK;
        EXPECT(st == ST_OK || st == ST_NOMEM);
        done += st == ST_OK && w.r.code == PBMSG_CODE_OK;
        EXPECT(st != ST_OK || w.r.code == PBMSG_CODE_OK || w.r.code == PBMSG_CODE_NO_MEMORY);
    }
    ASK(&w, OK, .op = PBMSG_INCR, .incr = {.key = text("n")});
    EXPECT(w.r.incr.value >= done && w.r.incr.value <= done + unknown);
    EXPECT(done > 0 && unknown > 0);
    world_release(&w);
}

TAP_MAIN(RUN(test_pbfront__gets_what_was_put); RUN(test_pbfront__conditions_of_a_put);
         RUN(test_pbfront__cas_append_incr); RUN(test_pbfront__keys_have_limits);
         RUN(test_pbfront__a_batch_is_one_commit); RUN(test_pbfront__scans_in_pages);
         RUN(test_pbfront__deletes_ranges); RUN(test_pbfront__says_what_it_does_not_do);
         RUN(test_pbfront__a_session_is_not_forgotten_silently);
         RUN(test_pbfront__what_comes_too_late_is_not_begun);
         RUN(test_pbfront__durability_of_a_request);
         RUN(test_pbfront__failures_say_what_became_of_it); RUN(test_pbfront__refused_memory);)
