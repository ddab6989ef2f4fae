/* test_envelope.c - envelopes written and read, bytes that lie, refused memory. */
#include "node/envelope.h"

#include "base/prng.h"
#include "env/env.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#define S(text) slice_of("" text, sizeof text - 1)

static const struct envelope head_of = {
    .origin = 3, .life = 0x1122334455667788, .ordinal = 9, .reply_max = 1 << 20};

static void command(struct envelope_writer *w, const struct slice *args, uint32_t count)
{
    envelope_command(w, args, count);
}

/* SET k v; in a session INCR n; a transaction of GET k and CAS k (null) "". */
static enum status sample(struct buf *out)
{
    struct envelope_writer w;
    envelope_begin(&w, out, &head_of);
    envelope_request(&w, &(struct envelope_request){.commands = 1});
    command(&w, (struct slice[]){S("SET"), S("k"), S("v")}, 3);
    envelope_request(&w, &(struct envelope_request){
                             .commands = 1, .session = 0xabcd, .sequence = 300, .answered = 299});
    command(&w, (struct slice[]){S("INCR"), S("n")}, 2);
    envelope_request(&w, &(struct envelope_request){.commands = 2, .transaction = true});
    command(&w, (struct slice[]){S("GET"), S("k")}, 2);
    command(&w, (struct slice[]){S("CAS"), S("k"), {NULL, 0}, S("")}, 4);
    return envelope_end(&w);
}

static const unsigned char golden[] = {
    1,    0,    0,    0,    3,    0,    0,    0,              /* version, count */
    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,           /* life */
    3,    0,    0,    0,    0,    0,    0,    0,              /* origin */
    9,    0,    0,    0,    0,    0,    0,    0,              /* ordinal */
    0,    0,    0x10, 0,    0,    0,    0,    0,              /* reply_max */
    0,    3,    4,    'S',  'E',  'T',  2,    'k',  2,   'v', /* SET k v */
    2,    0xcd, 0xab, 0,    0,    0,    0,    0,    0,        /* in session 0xabcd */
    0xac, 2,    0xab, 2,                                      /* sequence 300, answered 299 */
    2,    5,    'I',  'N',  'C',  'R',  2,    'n',            /* INCR n */
    1,    2,    2,    4,    'G',  'E',  'T',  2,    'k',      /* a transaction of two: GET k */
    4,    4,    'C',  'A',  'S',  2,    'k',  0,    1,        /* CAS k (null) "" */
};

static void envelope__bytes_are_those_of_the_document(void)
{
    struct inject te;
    struct buf out;
    test_env_init(&te, NULL);
    buf_init(&out, &te.env.mem);
    EXPECT(sample(&out) == ST_OK);
    EXPECT(slice_equal(buf_slice(&out), slice_of(golden, sizeof golden)));
    buf_release(&out);
    EXPECT(te.live == 0);
}

static bool args_are(struct envelope_reader *r, const struct slice *want, uint32_t count)
{
    uint32_t got;
    const struct slice *args = envelope_args(r, &got);
    bool same = got == count;
    for (uint32_t i = 0; same && i < count; i++) {
        same = slice_equal(args[i], want[i]) && (args[i].data == NULL) == (want[i].data == NULL);
    }
    return same;
}

static void envelope__what_was_written_is_read(void)
{
    struct inject te;
    struct envelope_reader r;
    struct envelope head;
    struct envelope_request q;
    test_env_init(&te, NULL);
    envelope_reader_init(&r, &te.env.mem);
    EXPECT(envelope_open(&r, slice_of(golden, sizeof golden), &head) == ST_OK);
    EXPECT(head.origin == 3 && head.life == head_of.life && head.ordinal == 9);
    EXPECT(head.reply_max == 1 << 20 && head.count == 3);
    EXPECT(envelope_next(&r, &q) && !q.transaction && q.commands == 1 && q.session == 0);
    EXPECT(args_are(&r, (struct slice[]){S("SET"), S("k"), S("v")}, 3));
    EXPECT(envelope_next(&r, &q) && q.session == 0xabcd && q.sequence == 300 && q.answered == 299);
    EXPECT(envelope_next(&r, &q) && q.transaction && q.commands == 2); /* INCR was passed over */
    EXPECT(args_are(&r, (struct slice[]){S("GET"), S("k")}, 2));
    EXPECT(args_are(&r, (struct slice[]){S("CAS"), S("k"), {NULL, 0}, S("")}, 4));
    envelope_rewind(&r);
    EXPECT(args_are(&r, (struct slice[]){S("GET"), S("k")}, 2));
    envelope_rewind(&r);
    EXPECT(args_are(&r, (struct slice[]){S("GET"), S("k")}, 2));
    EXPECT(!envelope_next(&r, &q));
    envelope_reader_release(&r);
    EXPECT(te.live == 0);
}

/* Opens bytes and walks over all of them. */
static enum status walk(struct envelope_reader *r, struct slice bytes)
{
    struct envelope head;
    struct envelope_request q;
    uint32_t requests = 0;
    enum status st = envelope_open(r, bytes, &head);
    while (envelope_next(r, &q)) {
        requests++;
        for (uint32_t i = 0; i < q.commands; i++) {
            uint32_t count;
            const struct slice *args = envelope_args(r, &count);
            for (uint32_t k = 0; k < count; k++) {
                EXPECT(args[k].size == 0 ||
                       (args[k].data >= bytes.data &&
                        args[k].data + args[k].size <= bytes.data + bytes.size));
            }
        }
    }
    EXPECT(requests == (st == ST_OK ? head.count : 0));
    return st;
}

/* Cut anywhere, or with something behind it, it is none. */
static void envelope__a_part_is_corrupt(void)
{
    struct inject te;
    struct envelope_reader r;
    char bytes[sizeof golden + 1] = {0};
    test_env_init(&te, NULL);
    envelope_reader_init(&r, &te.env.mem);
    memcpy(bytes, golden, sizeof golden);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        char *exact = env_alloc(&te.env, size + 1); /* so that a sanitizer sees a step too far */
        memcpy(exact, bytes, size);
        enum status want = size == sizeof golden ? ST_OK : ST_CORRUPT;
        EXPECT(walk(&r, slice_of(exact, size)) == want);
        env_release(&te.env, exact);
    }
    envelope_reader_release(&r);
    EXPECT(te.live == 0);
}

static void envelope__fields_that_cannot_be_are_corrupt(void)
{
    static const struct {
        size_t at;
        unsigned char byte;
        enum status want;
    } cases[] = {
        {0, 0, ST_CORRUPT},    {0, 2, ST_UNSUPPORTED}, {0, 255, ST_UNSUPPORTED},
        {1, 1, ST_CORRUPT},    {3, 1, ST_CORRUPT},     {4, 0, ST_CORRUPT},
        {4, 2, ST_CORRUPT},    {4, 4, ST_CORRUPT},     {7, 1, ST_CORRUPT},
        {40, 4, ST_CORRUPT},   {40, 128, ST_CORRUPT},  {41, 0, ST_CORRUPT},
        {41, 200, ST_CORRUPT}, {42, 99, ST_CORRUPT},   {8, 1, ST_OK},
        {72, 200, ST_CORRUPT}, {16, 77, ST_OK},        {39, 255, ST_OK},
    };
    struct inject te;
    struct envelope_reader r;
    test_env_init(&te, NULL);
    envelope_reader_init(&r, &te.env.mem);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char bytes[sizeof golden];
        memcpy(bytes, golden, sizeof golden);
        bytes[cases[i].at] = cases[i].byte;
        enum status got = walk(&r, slice_of(bytes, sizeof bytes));
        EXPECT(got == cases[i].want);
        if (got != cases[i].want) {
            printf("# byte %zu = %u: %s\n", cases[i].at, cases[i].byte, status_name(got));
        }
    }
    unsigned char bytes[sizeof golden];
    memcpy(bytes, golden, sizeof golden);
    bytes[51] = 0; /* session 0 is none, and then there is no such flag */
    bytes[52] = 0;
    EXPECT(walk(&r, slice_of(bytes, sizeof bytes)) == ST_CORRUPT);
    envelope_reader_release(&r);
}

/* Any change of any byte is read or refused, and nothing outside is looked at. */
static void envelope__any_bytes(void)
{
    struct inject te;
    struct envelope_reader r;
    struct prng g = {1};
    unsigned opened = 0;
    test_env_init(&te, NULL);
    envelope_reader_init(&r, &te.env.mem);
    for (int i = 0; i < 20000; i++) {
        unsigned char bytes[sizeof golden];
        memcpy(bytes, golden, sizeof golden);
        for (uint64_t k = prng_below(&g, 4); k < 4; k++) {
            bytes[prng_below(&g, sizeof bytes)] = (unsigned char)prng_next(&g);
        }
        opened += walk(&r, slice_of(bytes, sizeof bytes)) == ST_OK;
    }
    EXPECT(opened > 1000);
    EXPECT(opened < 19000);
    envelope_reader_release(&r);
}

static void envelope__without_requests_is_refused(void)
{
    struct inject te;
    struct buf out;
    struct envelope_writer w;
    test_env_init(&te, NULL);
    buf_init(&out, &te.env.mem);
    EXPECT(buf_append(&out, "x", 1) == ST_OK);
    envelope_begin(&w, &out, &head_of);
    EXPECT(envelope_end(&w) == ST_INVAL);
    EXPECT(out.size == 1);
    buf_release(&out);
}

/* Refused memory: what was in the buffer stays, and trying again works. */
static void envelope__refused_memory_changes_nothing(void)
{
    for (long n = 0;; n++) {
        struct inject te;
        struct buf out;
        struct envelope_reader r;
        test_env_init(&te, NULL);
        buf_init(&out, &te.env.mem);
        envelope_reader_init(&r, &te.env.mem);
        te.fail_at = n;
        enum status st = sample(&out);
        EXPECT(st == ST_OK || (st == ST_NOMEM && out.size == 0));
        bool wrote = st == ST_OK || sample(&out) == ST_OK;
        EXPECT(wrote && slice_equal(buf_slice(&out), slice_of(golden, sizeof golden)));
        st = walk(&r, buf_slice(&out));
        EXPECT(st == ST_OK || st == ST_NOMEM);
        EXPECT(walk(&r, buf_slice(&out)) == ST_OK);
        envelope_reader_release(&r);
        buf_release(&out);
        EXPECT(te.live == 0);
        if (te.allocs <= n) {
            EXPECT(n > 1);
            return;
        }
    }
}

TAP_MAIN({
    RUN(envelope__bytes_are_those_of_the_document);
    RUN(envelope__what_was_written_is_read);
    RUN(envelope__a_part_is_corrupt);
    RUN(envelope__fields_that_cannot_be_are_corrupt);
    RUN(envelope__any_bytes);
    RUN(envelope__without_requests_is_refused);
    RUN(envelope__refused_memory_changes_nothing);
})
