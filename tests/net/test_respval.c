/* test_respval.c - the client's parser: types, nesting, limits, rubbish, refused memory. */
#include "net/respval.h"

#include "base/prng.h"
#include "tests/net/testmem.h"
#include "tests/tap.h"

static enum status parse(struct respval *v, const char *text)
{
    return respval_parse(v, text, strlen(text));
}

static void test_respval__types_of_resp3(void)
{
    static const char text[] =
        "*9\r\n#t\r\n,1.5\r\n(123\r\n!3\r\nERR\r\n=7\r\ntxt:abc\r\n~1\r\n:1\r\n"
        ">1\r\n:2\r\n|1\r\n+a\r\n+b\r\n_\r\n%1\r\n+k\r\n-v\r\n";
    static const enum respval_type types[] = {
        RESPVAL_BOOL,  RESPVAL_DOUBLE, RESPVAL_BIGNUM, RESPVAL_ERROR, RESPVAL_BULK,
        RESPVAL_ARRAY, RESPVAL_PUSH,   RESPVAL_NULL,   RESPVAL_MAP,
    };
    struct testmem t = TESTMEM();
    struct respval v;
    respval_init(&v, &t.mem);
    EXPECT(parse(&v, text) == ST_OK);
    EXPECT(v.at == sizeof text - 1);
    for (uint32_t i = 0; i < 9; i++) {
        EXPECT(v.nodes[respval_child(&v, 0, i)].type == types[i]);
    }
    EXPECT(v.nodes[respval_child(&v, 0, 0)].integer == 1);
    EXPECT(slice_equal(respval_text(&v, text, respval_child(&v, 0, 4)), slice_text("txt:abc")));
    respval_release(&v);
    EXPECT(t.live == 0);
}

/* A second reply behind the first one is left for the next call. */
static void test_respval__one_at_a_time(void)
{
    struct testmem t = TESTMEM();
    struct respval v;
    respval_init(&v, &t.mem);
    EXPECT(parse(&v, "*1\r\n*1\r\n*0\r\n:5\r\n") == ST_OK);
    EXPECT(v.at == 12 && v.count == 3);
    EXPECT(parse(&v, ":5\r\n") == ST_OK);
    EXPECT(v.at == 4 && v.count == 1 && v.nodes[0].integer == 5);
    EXPECT(parse(&v, "|1\r\n+a\r\n+b\r\n:6\r\n") == ST_OK); /* an attribute before the value */
    EXPECT(v.count == 1 && v.nodes[0].integer == 6);
    respval_release(&v);
}

static void test_respval__rubbish_is_corrupt_for_ever(void)
{
    const char *bad[] = {"x\r\n",
                         ":\r\n",
                         ":1x\r\n",
                         "$-2\r\n",
                         "$1\r\nab\r\n",
                         "*-2\r\n",
                         "#x\r\n",
                         "_x\r\n",
                         "+a\n",
                         "\r\n",
                         "%-1\r\n",
                         "$9999999999\r\n",
                         "*999999999\r\n",
                         ":99999999999999999999\r\n",
                         ":9223372036854775808\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct testmem t = TESTMEM();
        struct respval v;
        respval_init(&v, &t.mem);
        EXPECT(parse(&v, bad[i]) == ST_CORRUPT);
        EXPECT(parse(&v, ":1\r\n") == ST_CORRUPT);
        respval_release(&v);
        EXPECT(t.live == 0);
    }
}

/* Nesting is fine down to the limit, refused below it, and takes no stack. */
static void test_respval__depth_is_limited(void)
{
    for (int depth = RESPVAL_DEPTH_MAX; depth <= RESPVAL_DEPTH_MAX + 1; depth++) {
        struct testmem t = TESTMEM();
        struct respval v;
        char text[256] = "";
        for (int i = 0; i < depth; i++) {
            memcpy(text + strlen(text), "*1\r\n", 5);
        }
        memcpy(text + strlen(text), ":1\r\n", 5);
        respval_init(&v, &t.mem);
        EXPECT(parse(&v, text) == (depth <= RESPVAL_DEPTH_MAX ? ST_OK : ST_CORRUPT));
        respval_release(&v);
    }
}

static void test_respval__refused_memory_loses_nothing(void)
{
    static const char text[] = "*20\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"
                               ":1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n";
    for (long n = 0; n < 3; n++) {
        struct testmem t = TESTMEM();
        struct respval v;
        t.fail_in = n;
        respval_init(&v, &t.mem);
        EXPECT(parse(&v, text) == ST_NOMEM);
        EXPECT(parse(&v, text) == ST_OK);
        EXPECT(v.count == 21 && v.nodes[0].count == 20);
        respval_release(&v);
        EXPECT(t.live == 0);
    }
}

/* Random bytes from the alphabet of the protocol: any answer but a crash or a leak. */
static void test_respval__survives_noise(void)
{
    static const char alphabet[] = "+-:$*_#,(!=%~>|0123456789\r\n\r\nab";
    struct prng g = {.state = 7};
    for (int round = 0; round < 20000; round++) {
        struct testmem t = TESTMEM();
        struct respval v;
        char text[40];
        for (size_t i = 0; i < sizeof text; i++) {
            text[i] = alphabet[prng_below(&g, sizeof alphabet - 1)];
        }
        respval_init(&v, &t.mem);
        enum status st = respval_parse(&v, text, sizeof text);
        EXPECT(st == ST_OK || st == ST_AGAIN || st == ST_CORRUPT);
        EXPECT(st != ST_OK || (v.at <= sizeof text && v.nodes[0].next == v.count));
        respval_release(&v);
        EXPECT(t.live == 0);
    }
}

TAP_MAIN({
    RUN(test_respval__types_of_resp3);
    RUN(test_respval__one_at_a_time);
    RUN(test_respval__rubbish_is_corrupt_for_ever);
    RUN(test_respval__depth_is_limited);
    RUN(test_respval__refused_memory_loses_nothing);
    RUN(test_respval__survives_noise);
})
