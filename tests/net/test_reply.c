/* test_reply.c - what the reply writer writes, the client's parser reads; in both dialects. */
#include "net/reply.h"

#include "net/respval.h"
#include "tests/net/testmem.h"
#include "tests/tap.h"

static void write_all(struct reply *r)
{
    reply_array(r, 9);
    reply_simple(r, "OK");
    reply_error(r, "ERR bad '%s'", "a\r\nb");
    reply_integer(r, INT64_MIN);
    reply_bulk(r, slice_of("a\0\r\n", 4));
    reply_bulk(r, slice_of(NULL, 0));
    reply_null(r);
    reply_null_array(r);
    reply_map(r, 1);
    reply_text(r, "k");
    reply_array(r, 0);
    reply_raw(r, slice_text(":7\r\n"));
}

static void test_reply__resp2_bytes(void)
{
    struct testmem t = TESTMEM();
    struct buf out;
    struct reply r;
    buf_init(&out, &t.mem);
    reply_init(&r, &out, 2, 1 << 20);
    write_all(&r);
    static const char want[] =
        "*9\r\n+OK\r\n-ERR bad 'a??b'\r\n:-9223372036854775808\r\n"
        "$4\r\na\0\r\n\r\n$0\r\n\r\n$-1\r\n*-1\r\n*2\r\n$1\r\nk\r\n*0\r\n:7\r\n";
    EXPECT(r.st == ST_OK);
    EXPECT(slice_equal(buf_slice(&out), slice_of(want, sizeof want - 1)));
    buf_release(&out);
}

static void test_reply__resp3_bytes(void)
{
    struct testmem t = TESTMEM();
    struct buf out;
    struct reply r;
    buf_init(&out, &t.mem);
    reply_init(&r, &out, 3, 1 << 20);
    reply_null(&r);
    reply_null_array(&r);
    reply_map(&r, 2);
    EXPECT(slice_equal(buf_slice(&out), slice_text("_\r\n_\r\n%2\r\n")));
    buf_release(&out);
}

/* Over its limit the reply stops growing and says so; so with refused memory. */
static void test_reply__limit_and_memory_stick(void)
{
    struct testmem t = TESTMEM();
    struct buf out;
    struct reply r;
    char big[200] = {0};
    buf_init(&out, &t.mem);
    reply_init(&r, &out, 2, 100);
    reply_simple(&r, "OK");
    reply_bulk(&r, slice_of(big, sizeof big));
    EXPECT(r.st == ST_TOOBIG);
    size_t size = out.size;
    reply_simple(&r, "OK");
    EXPECT(out.size == size && r.st == ST_TOOBIG);
    buf_release(&out);
    t.fail_in = 0;
    reply_init(&r, &out, 2, 1000);
    reply_bulk(&r, slice_of(big, sizeof big));
    EXPECT(r.st == ST_NOMEM && out.size == 0);
    reply_integer(&r, 1);
    EXPECT(r.st == ST_NOMEM && out.size == 0);
    buf_release(&out);
    EXPECT(t.live == 0);
}

/* An error is one line of at most 512 bytes whatever is put into it. */
static void test_reply__error_is_cut(void)
{
    struct testmem t = TESTMEM();
    struct buf out;
    struct reply r;
    char big[2000];
    memset(big, 'x', sizeof big);
    buf_init(&out, &t.mem);
    reply_init(&r, &out, 2, 1 << 20);
    reply_error(&r, "ERR %.*s", (int)sizeof big, big);
    EXPECT(out.size <= 515 && out.size > 500);
    EXPECT(memcmp(out.data + out.size - 2, "\r\n", 2) == 0);
    buf_release(&out);
}

/* Every cut of a written reply parses to the same tree. */
static void test_reply__client_reads_it_at_every_cut(void)
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct testmem t = TESTMEM();
        struct buf out;
        struct reply r;
        buf_init(&out, &t.mem);
        reply_init(&r, &out, protocol, 1 << 20);
        write_all(&r);
        for (size_t cut = 1; cut < out.size; cut++) {
            struct respval v;
            respval_init(&v, &t.mem);
            EXPECT(respval_parse(&v, out.data, cut) == ST_AGAIN);
            EXPECT(respval_parse(&v, out.data, out.size) == ST_OK);
            EXPECT(v.at == out.size && v.nodes[0].count == 9 && v.nodes[0].next == v.count);
            EXPECT(v.nodes[respval_child(&v, 0, 1)].type == RESPVAL_ERROR);
            EXPECT(v.nodes[respval_child(&v, 0, 2)].integer == INT64_MIN);
            EXPECT(slice_equal(respval_text(&v, out.data, respval_child(&v, 0, 3)),
                               slice_of("a\0\r\n", 4)));
            EXPECT(v.nodes[respval_child(&v, 0, 5)].type == RESPVAL_NULL);
            EXPECT(v.nodes[respval_child(&v, 0, 6)].type == RESPVAL_NULL);
            uint32_t map = respval_child(&v, 0, 7);
            EXPECT(v.nodes[map].type == (protocol == 3 ? RESPVAL_MAP : RESPVAL_ARRAY));
            EXPECT(v.nodes[map].count == 2);
            EXPECT(v.nodes[respval_child(&v, 0, 8)].integer == 7);
            respval_release(&v);
        }
        buf_release(&out);
        EXPECT(t.live == 0);
    }
}

TAP_MAIN({
    RUN(test_reply__resp2_bytes);
    RUN(test_reply__resp3_bytes);
    RUN(test_reply__limit_and_memory_stick);
    RUN(test_reply__error_is_cut);
    RUN(test_reply__client_reads_it_at_every_cut);
})
