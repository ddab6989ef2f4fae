/* test_resp.c - requests come out the same however their bytes are cut; bad ones are refused. */
#include "net/resp.h"

#include "base/buf.h"
#include "tests/net/testmem.h"
#include "tests/tap.h"

#include <stdbool.h>

/* Feeds text in pieces that end at the cuts, and writes what was parsed in a form to compare:
 * "<arg>|<arg>;" a request, "(null)" for a null, "!<error>" at a protocol error. */
static void parse_in_pieces(const char *text, size_t size, const size_t *cuts, int cut_count,
                            struct resp_limits limits, struct buf *out, struct testmem *t)
{
    struct resp_parser p;
    struct buf in;
    size_t fed = 0;
    resp_init(&p, &t->mem, limits);
    buf_init(&in, &t->mem);
    for (int i = 0; i <= cut_count; i++) {
        size_t to = i < cut_count ? cuts[i] : size;
        EXPECT(buf_append(&in, text + fed, to - fed) == ST_OK);
        fed = to;
        enum status st;
        while ((st = in.size > 0 ? resp_parse(&p, in.data, in.size) : ST_AGAIN) == ST_OK) {
            for (uint32_t a = 0; a < p.arg_count; a++) {
                EXPECT(buf_append_text(out, a > 0 ? "|" : "") == ST_OK);
                EXPECT(p.args[a].null
                           ? buf_append_text(out, "(null)") == ST_OK
                           : buf_append(out, in.data + p.args[a].offset, p.args[a].size) == ST_OK);
            }
            EXPECT(buf_append_text(out, ";") == ST_OK);
            buf_consume(&in, p.at);
        }
        if (st == ST_CORRUPT) {
            EXPECT(buf_append_text(out, "!") == ST_OK);
            EXPECT(buf_append_text(out, p.error) == ST_OK);
            EXPECT(resp_parse(&p, in.data, in.size) == ST_CORRUPT); /* final */
            break;
        }
    }
    resp_release(&p);
    buf_release(&in);
}

struct sample {
    const char *text;
    const char *want;
};

static const struct sample corpus[] = {
    {"*1\r\n$4\r\nPING\r\n", "PING;"},
    {"PING\r\n", "PING;"},
    {"PING\n", "PING;"},
    {"\r\n\r\nPING\r\n", ";;PING;"},
    {"  set  a\tb  \r\n", "set|a|b;"},
    {"set a \"x y\\r\\n\\x41\\\"\"\r\n", "set|a|x y\r\nA\";"},
    {"set a 'it\\'s \\n'\r\n", "set|a|it's \\n;"},
    {"set k\"a b\"\r\n", "set|ka b;"},
    {"set a \"\"\r\n", "set|a|;"},
    {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*1\r\n$4\r\nQUIT\r\n", "SET|k|;QUIT;"},
    {"*2\r\n$4\r\nECHO\r\n$6\r\na\r\nb\r\n\r\n", "ECHO|a\r\nb\r\n;"},
    {"*4\r\n$3\r\nCAS\r\n$1\r\nk\r\n$-1\r\n$1\r\nv\r\n", "CAS|k|(null)|v;"},
    {"*0\r\n*-1\r\nPING\r\n", ";;PING;"},
    {"PING\r\n*1\r\n$4\r\nPING\r\nECHO x\r\n", "PING;PING;ECHO|x;"},
    {"set a \"x\r\n", "!Protocol error: unbalanced quotes in request"},
    {"set \"a\"b\r\n", "!Protocol error: unbalanced quotes in request"},
    {"*1\r\n:4\r\n", "!Protocol error: expected '$', got ':'"},
    {"*x\r\n", "!Protocol error: invalid multibulk length"},
    {"*\r\n", "!Protocol error: invalid multibulk length"},
    {"*1\n$4\r\nPING\r\n", "!Protocol error: invalid multibulk length"},
    {"*1048577\r\n", "!Protocol error: invalid multibulk length"},
    {"*99999999999999999999\r\n", "!Protocol error: invalid multibulk length"},
    {"*1\r\n$-2\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$4x\r\nPING\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$999999999999\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$4\r\nPINGx\r\n", "!Protocol error: bulk string not followed by CRLF"},
    {"PING\r\n*1\r\n$4\r\nPINGxx", "PING;!Protocol error: bulk string not followed by CRLF"},
};

/* Whole, cut at every byte, cut at every pair of places, and byte by byte: the same. */
static void test_resp__every_cut_gives_the_same_requests(void)
{
    for (size_t s = 0; s < sizeof corpus / sizeof *corpus; s++) {
        size_t size = strlen(corpus[s].text);
        for (size_t a = 0; a <= size; a++) {
            for (size_t b = a; b <= size; b++) {
                struct testmem t = TESTMEM();
                struct buf out;
                size_t cuts[2] = {a, b};
                buf_init(&out, &t.mem);
                parse_in_pieces(corpus[s].text, size, cuts, 2, resp_limits_default(), &out, &t);
                bool same = slice_equal(buf_slice(&out), slice_text(corpus[s].want));
                EXPECT(same);
                if (!same) {
                    printf("# sample %zu cut %zu %zu: %.*s\n", s, a, b, (int)out.size, out.data);
                }
                buf_release(&out);
                EXPECT(t.live == 0);
            }
        }
    }
}

static void test_resp__byte_by_byte(void)
{
    for (size_t s = 0; s < sizeof corpus / sizeof *corpus; s++) {
        struct testmem t = TESTMEM();
        struct buf out;
        size_t cuts[256];
        size_t size = strlen(corpus[s].text);
        for (size_t i = 0; i < size; i++) {
            cuts[i] = i;
        }
        buf_init(&out, &t.mem);
        parse_in_pieces(corpus[s].text, size, cuts, (int)size, resp_limits_default(), &out, &t);
        EXPECT(slice_equal(buf_slice(&out), slice_text(corpus[s].want)));
        buf_release(&out);
    }
}

/* A request must fit request_bytes_max, and is refused at the header that says it will not. */
static void test_resp__size_is_refused_at_the_header(void)
{
    struct testmem t = TESTMEM();
    struct resp_limits limits = {.request_bytes_max = 40, .args_max = 3};
    struct {
        const char *text;
        const char *want;
    } c[] = {
        {"*2\r\n$4\r\nECHO\r\n$19\r\n", ""},
        {"*2\r\n$4\r\nECHO\r\n$20\r\n", "!Protocol error: invalid bulk length"},
        {"*2\r\n$41\r\n", "!Protocol error: invalid bulk length"},
        {"*4\r\n", "!Protocol error: invalid multibulk length"},
        {"*3\r\n", ""},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        struct buf out;
        buf_init(&out, &t.mem);
        parse_in_pieces(c[i].text, strlen(c[i].text), NULL, 0, limits, &out, &t);
        EXPECT(slice_equal(buf_slice(&out), slice_text(c[i].want)));
        buf_release(&out);
    }
}

/* A line without an end is given up at 64 KiB, a length header as well. */
static void test_resp__endless_lines_are_refused(void)
{
    static char line[RESP_INLINE_MAX + 2];
    const char *starts[] = {"x", "*1", "*1\r\n$1"};
    const char *errors[] = {"Protocol error: too big inline request",
                            "Protocol error: too big mbulk count string",
                            "Protocol error: too big bulk count string"};
    for (int i = 0; i < 3; i++) {
        struct testmem t = TESTMEM();
        struct resp_parser p;
        size_t from = i == 2 ? 4 : 0;
        memset(line, '1', sizeof line);
        memcpy(line, starts[i], strlen(starts[i]));
        resp_init(&p, &t.mem, resp_limits_default());
        EXPECT(resp_parse(&p, line, from + RESP_INLINE_MAX - 1 - (i == 2 ? 4 : 0)) == ST_AGAIN);
        EXPECT(i == 2 || resp_parse(&p, line, RESP_INLINE_MAX) == ST_CORRUPT);
        if (i == 2) {
            static char longer[RESP_INLINE_MAX + 8];
            memset(longer, '1', sizeof longer);
            memcpy(longer, starts[i], strlen(starts[i]));
            EXPECT(resp_parse(&p, longer, sizeof longer) == ST_CORRUPT);
        }
        EXPECT(strcmp(p.error, errors[i]) == 0);
        resp_release(&p);
    }
}

/* Announcing a million arguments of half a gigabyte allocates nothing. */
static void test_resp__announced_lengths_allocate_nothing(void)
{
    struct testmem t = TESTMEM();
    struct resp_parser p;
    char text[] = "*1048576\r\n$536870912\r\nabc";
    t.fail_in = 0;
    resp_init(&p, &t.mem, resp_limits_default());
    EXPECT(resp_parse(&p, text, sizeof text - 1) == ST_AGAIN);
    EXPECT(resp_missing(&p, sizeof text - 1) == 536870912u + 2 - 3);
    EXPECT(t.live == 0 && t.fail_in == 0);
    resp_release(&p);
}

/* Refuse each allocation: ST_NOMEM, and the same call again goes on as though nothing was. */
static void test_resp__refused_memory_loses_nothing(void)
{
    const char *texts[] = {
        "*9\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n"
        "$1\r\ng\r\n$1\r\nh\r\n$1\r\ni\r\n",
        "a b \"c\" d e f g h i\r\n"};
    for (int s = 0; s < 2; s++) {
        for (long n = 0; n < 2; n++) {
            struct testmem t = TESTMEM();
            struct resp_parser p;
            char text[128];
            size_t size = strlen(texts[s]);
            memcpy(text, texts[s], size);
            resp_init(&p, &t.mem, resp_limits_default());
            t.fail_in = n;
            EXPECT(resp_parse(&p, text, size) == ST_NOMEM);
            EXPECT(resp_parse(&p, text, size) == ST_OK);
            EXPECT(p.arg_count == 9 && p.at == size);
            for (uint32_t i = 0; i < 9 && i < p.arg_count; i++) {
                EXPECT(p.args[i].size == 1 && text[p.args[i].offset] == "abcdefghi"[i]);
            }
            resp_release(&p);
            EXPECT(t.live == 0);
        }
    }
}

/* A long bulk that arrives in small pieces is not searched again from its start: 4 MiB in pieces
 * of 64 bytes would take minutes then. */
static void test_resp__long_bulk_in_small_pieces_is_linear(void)
{
    enum { SIZE = 4 << 20 };
    struct testmem t = TESTMEM();
    struct resp_parser p;
    char *text = malloc(SIZE + 64);
    int n = snprintf(text, 64, "*1\r\n$%d\r\n", SIZE);
    memset(text + n, 'x', SIZE);
    memcpy(text + n + SIZE, "\r\n", 2);
    resp_init(&p, &t.mem, resp_limits_default());
    for (size_t at = 1; at < (size_t)n + SIZE + 2; at += 64) {
        EXPECT(resp_parse(&p, text, at) == ST_AGAIN);
    }
    EXPECT(resp_parse(&p, text, (size_t)n + SIZE + 2) == ST_OK);
    resp_release(&p);
    free(text);
}

TAP_MAIN({
    RUN(test_resp__every_cut_gives_the_same_requests);
    RUN(test_resp__byte_by_byte);
    RUN(test_resp__size_is_refused_at_the_header);
    RUN(test_resp__endless_lines_are_refused);
    RUN(test_resp__announced_lengths_allocate_nothing);
    RUN(test_resp__refused_memory_loses_nothing);
    RUN(test_resp__long_bulk_in_small_pieces_is_linear);
})
