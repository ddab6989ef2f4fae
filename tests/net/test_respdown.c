/* test_respdown.c - replies turned down to RESP2 are those that would have been written in it. */
#include "base/prng.h"
#include "net/reply.h"
#include "net/respdown.h"
#include "tests/net/testmem.h"
#include "tests/tap.h"

#include <string.h>

static struct testmem memory;
static struct mem *const mem = &memory.mem;

static bool downs(const char *resp3, const char *resp2)
{
    struct buf out;
    buf_init(&out, mem);
    enum status st = respdown(slice_text(resp3), &out);
    bool same = st == ST_OK && slice_equal(buf_slice(&out), slice_text(resp2));
    if (!same) {
        printf("# %s: %s: %.*s\n", resp3, status_text(st), (int)out.size, out.data);
    }
    buf_release(&out);
    return same;
}

static void respdown__each_type(void)
{
    EXPECT(downs("+OK\r\n", "+OK\r\n"));
    EXPECT(downs("-ERR no\r\n", "-ERR no\r\n"));
    EXPECT(downs(":-5\r\n", ":-5\r\n"));
    EXPECT(downs("$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n"));
    EXPECT(downs("$0\r\n\r\n", "$0\r\n\r\n"));
    EXPECT(downs("$-1\r\n", "$-1\r\n"));
    EXPECT(downs("_\r\n", "$-1\r\n"));
    EXPECT(downs("#t\r\n", ":1\r\n"));
    EXPECT(downs("#f\r\n", ":0\r\n"));
    EXPECT(downs(",3.5\r\n", "$3\r\n3.5\r\n"));
    EXPECT(downs("(123\r\n", "$3\r\n123\r\n"));
    EXPECT(downs("=6\r\ntxt:ab\r\n", "$2\r\nab\r\n"));
    EXPECT(downs("!6\r\nERR no\r\n", "-ERR no\r\n"));
    EXPECT(downs("*2\r\n_\r\n*1\r\n#t\r\n", "*2\r\n$-1\r\n*1\r\n:1\r\n"));
    EXPECT(downs("*-1\r\n", "*-1\r\n"));
    EXPECT(downs("%2\r\n+a\r\n_\r\n+b\r\n*0\r\n", "*4\r\n+a\r\n$-1\r\n+b\r\n*0\r\n"));
    EXPECT(downs("~1\r\n:1\r\n", "*1\r\n:1\r\n"));
    EXPECT(downs(">1\r\n:1\r\n", "*1\r\n:1\r\n"));
    EXPECT(downs("*2\r\n|1\r\n+k\r\n*2\r\n:1\r\n|1\r\n:7\r\n:8\r\n:2\r\n:3\r\n:4\r\n",
                 "*2\r\n:3\r\n:4\r\n"));
}

static void respdown__knows_what_is_the_same(void)
{
    EXPECT(!respdown_changes(slice_text("+OK\r\n")));
    EXPECT(!respdown_changes(slice_text("$-1\r\n")));
    EXPECT(respdown_changes(slice_text("_\r\n")));
    EXPECT(respdown_changes(slice_text("*0\r\n"))); /* what is in it may */
    EXPECT(respdown_changes(slice_of(NULL, 0)));
}

static void one(struct reply *r, struct prng *g, unsigned depth)
{
    uint64_t kind = prng_below(g, depth < 4 ? 8 : 6);
    uint64_t n = prng_below(g, 4);
    switch (kind) {
    case 0:
        reply_simple(r, "OK");
        break;
    case 1:
        reply_error(r, "ERR %d", (int)n);
        break;
    case 2:
        reply_integer(r, (int64_t)n - 2);
        break;
    case 3:
    case 4:
        reply_bulk(r, slice_of("\r\n$_*", n));
        break;
    case 5:
        reply_null(r);
        break;
    default:
        if (kind == 6) {
            reply_array(r, n);
        } else {
            reply_map(r, n);
        }
        for (uint64_t i = 0; i < n * (kind == 6 ? 1 : 2); i++) {
            one(r, g, depth + 1);
        }
    }
}

static void write_reply(struct buf *out, int protocol, uint64_t seed)
{
    struct reply r;
    struct prng g = {seed};
    buf_init(out, mem);
    reply_init(&r, out, protocol, 1 << 20);
    one(&r, &g, 0);
    EXPECT(r.st == ST_OK);
}

static void respdown__is_what_would_have_been_written(void)
{
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct buf three, two, down;
        write_reply(&three, 3, seed);
        write_reply(&two, 2, seed);
        buf_init(&down, mem);
        EXPECT(respdown(buf_slice(&three), &down) == ST_OK);
        EXPECT(slice_equal(buf_slice(&down), buf_slice(&two)));
        EXPECT(respdown_changes(buf_slice(&three)) ||
               slice_equal(buf_slice(&three), buf_slice(&two)));
        buf_release(&three);
        buf_release(&two);
        buf_release(&down);
    }
}

/* A part of a reply is none, and neither is anything else. */
static void respdown__says_what_is_no_reply(void)
{
    static const char text[] = "|1\r\n+k\r\n$2\r\nab\r\n*2\r\n=5\r\ntxt:a\r\n!2\r\nno\r\n";
    static const char *const bad[] = {"x\r\n",   "$x\r\n",  "$1\r\nab\r\n",
                                      "*x\r\n",  "\r\n",    "=3\r\ntxt\r\n",
                                      "$-2\r\n", "%-1\r\n", "*99999999999999\r\n"};
    struct buf out;
    buf_init(&out, mem);
    for (size_t n = 1; n < sizeof text - 1; n++) {
        enum status st = respdown(slice_of(text, n), &out);
        EXPECT(st == ST_CORRUPT || (st == ST_OK && text[n - 1] == '\n'));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT(respdown(slice_text(bad[i]), &out) == ST_CORRUPT);
    }
    buf_release(&out);
}

static void respdown__refused_memory_is_said(void)
{
    struct buf out;
    buf_init(&out, mem);
    memory.fail_in = 0;
    EXPECT(respdown(slice_text("*1\r\n_\r\n"), &out) == ST_NOMEM);
    memory.fail_in = -1;
    buf_release(&out);
    EXPECT(memory.live == 0);
}

TAP_MAIN({
    memory = TESTMEM();
    RUN(respdown__each_type);
    RUN(respdown__knows_what_is_the_same);
    RUN(respdown__is_what_would_have_been_written);
    RUN(respdown__says_what_is_no_reply);
    RUN(respdown__refused_memory_is_said);
})
