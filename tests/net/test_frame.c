/* test_frame.c - frames come out the same however their bytes are cut; a damaged one never does;
 * the examples of docs/format-pb.md. */
#include "net/frame.h"

#include "base/code.h"
#include "base/crc32c.h"
#include "net/pbdec.h"
#include "net/pbmsg.h"
#include "net/peermsg.h"
#include "tests/net/testmem.h"
#include "tests/tap.h"

#include <stdlib.h>

#define LIMIT 5000

/* ---- preambles ---- */

static enum status detect(const char *data, size_t size, enum frame_speaker *who,
                          enum frame_fault *fault)
{
    return frame_detect(slice_of(data, size), who, fault);
}

static void test_frame__preamble_tells_who_speaks(void)
{
    enum frame_speaker who;
    enum frame_fault fault;
    char p[FRAME_PREAMBLE_SIZE];
    frame_preamble(FRAME_CLIENT, p);
    EXPECT(memcmp(p, "\0TKVPB\1\n", 8) == 0);
    for (size_t size = 0; size < 8; size++) {
        EXPECT(detect(p, size, &who, &fault) == ST_AGAIN);
    }
    EXPECT(detect(p, 8, &who, &fault) == ST_OK);
    EXPECT(who == FRAME_CLIENT);
    frame_preamble(FRAME_PEER, p);
    EXPECT(memcmp(p, "\0TKVPR\1\n", 8) == 0);
    EXPECT(detect(p, 7, &who, &fault) == ST_AGAIN);
    EXPECT(detect(p, 8, &who, &fault) == ST_OK);
    EXPECT(who == FRAME_PEER);
    EXPECT(detect("\0TKVPR\1\n\1", 9, &who, &fault) == ST_OK);
    EXPECT(who == FRAME_PEER);
}

static void test_frame__resp_is_known_by_its_first_byte(void)
{
    enum frame_speaker who;
    enum frame_fault fault;
    for (int c = 1; c < 256; c++) {
        char byte = (char)c;
        EXPECT(detect(&byte, 1, &who, &fault) == ST_OK);
        EXPECT(who == FRAME_RESP);
    }
    EXPECT(detect("*1\r\n$4\r\nPING\r\n", 14, &who, &fault) == ST_OK);
    EXPECT(who == FRAME_RESP);
}

static void test_frame__bad_preamble_is_refused_at_its_first_wrong_byte(void)
{
    enum frame_speaker who;
    enum frame_fault fault;
    char p[FRAME_PREAMBLE_SIZE];
    for (size_t at = 1; at < 8; at++) {
        frame_preamble(FRAME_CLIENT, p);
        p[at] = (char)(p[at] ^ 0x40);
        enum status st = detect(p, at + 1, &who, &fault);
        if (at == 6) { /* the version */
            EXPECT(st == ST_AGAIN);
            EXPECT(detect(p, 8, &who, &fault) == ST_UNSUPPORTED);
            EXPECT(fault == FRAME_FAULT_VERSION);
        } else {
            EXPECT(st == ST_CORRUPT);
            EXPECT(fault == FRAME_FAULT_PREAMBLE);
        }
    }
}

/* ---- streams ---- */

struct stream {
    struct testmem memory;
    struct buf bytes;
    size_t count; /* of frames */
};

static void stream_init(struct stream *s)
{
    *s = (struct stream){.memory = TESTMEM()};
    buf_init(&s->bytes, &s->memory.mem);
}

static void stream_release(struct stream *s)
{
    buf_release(&s->bytes);
    EXPECT(s->memory.live == 0);
}

/* Frames with a value of each of these sizes. */
static void stream_fill(struct stream *s, enum frame_speaker who, const size_t *sizes, size_t count)
{
    static char value[LIMIT];
    memset(value, 'v', sizeof value);
    for (size_t i = 0; i < count; i++) {
        struct pbmsg_request request = {.op = PBMSG_PING};
        struct peermsg peer = {.term = i, .body = PEERMSG_CHUNK};
        request.ping.payload = slice_of(value, sizes[i]);
        peer.chunk.data = slice_of(value, sizes[i]);
        enum status st = who == FRAME_CLIENT
                             ? frame_append_client(&s->bytes, &pbmsg_request_table, &request)
                             : frame_append_peer(&s->bytes, &peermsg_table, &peer, i % 2 == 0);
        EXPECT(st == ST_OK);
        s->count++;
    }
}

/* Reads the stream, handing over the bytes in pieces: up to `first`, then `step` each. Returns the
 * number of frames whose size is that of `sizes`. */
static size_t stream_read(struct stream *s, enum frame_speaker who, const size_t *sizes,
                          size_t first, size_t step)
{
    struct frame_reader r;
    struct slice payload;
    size_t at = 0;
    size_t got = 0;
    frame_init(&r, who, LIMIT + 100, true);
    for (size_t have = first; at < s->bytes.size; have += step) {
        have = have < s->bytes.size ? have : s->bytes.size;
        enum status st;
        while ((st = frame_parse(&r, s->bytes.data + at, have - at, &payload)) == ST_OK) {
            got += payload.size >= sizes[got] && payload.size < sizes[got] + 20;
            EXPECT(payload.data + payload.size == s->bytes.data + at + r.at);
            at += r.at;
        }
        EXPECT(st == ST_AGAIN);
        EXPECT(frame_missing(&r, have - at) <= s->bytes.size - have);
        if (st != ST_AGAIN || have == s->bytes.size) {
            break;
        }
    }
    return got;
}

static void cuts_check(enum frame_speaker who)
{
    static const size_t sizes[] = {0, 1, 5, 127, 128, 0, 300};
    size_t count = sizeof sizes / sizeof *sizes;
    struct stream s;
    stream_init(&s);
    stream_fill(&s, who, sizes, count);
    for (size_t first = 0; first <= s.bytes.size; first++) {
        EXPECT(stream_read(&s, who, sizes, first, s.bytes.size) == count);
    }
    for (size_t step = 1; step < 40; step++) {
        EXPECT(stream_read(&s, who, sizes, 0, step) == count);
    }
    stream_release(&s);
}

static void test_frame__every_cut_gives_the_same_frames(void)
{
    cuts_check(FRAME_CLIENT);
    cuts_check(FRAME_PEER);
}

/* A frame of any size has the room that it takes, and not a byte less. */
static void test_frame__room_is_there(void)
{
    for (size_t size = 0; size < 300; size++) {
        for (int peer = 0; peer < 2; peer++) {
            struct stream s;
            stream_init(&s);
            stream_fill(&s, peer ? FRAME_PEER : FRAME_CLIENT, &size, 1);
            EXPECT(s.bytes.size <= s.bytes.cap);
            stream_release(&s);
        }
    }
}

static void test_frame__missing_bytes_are_known(void)
{
    struct stream s;
    struct frame_reader r;
    struct slice payload;
    static const size_t size = 1000;
    stream_init(&s);
    stream_fill(&s, FRAME_PEER, &size, 1);
    frame_init(&r, FRAME_PEER, LIMIT, false);
    EXPECT(frame_parse(&r, s.bytes.data, 15, &payload) == ST_AGAIN);
    EXPECT(frame_missing(&r, 15) == 0);
    EXPECT(frame_parse(&r, s.bytes.data, 16, &payload) == ST_AGAIN);
    EXPECT(frame_missing(&r, 16) == s.bytes.size - 16);
    EXPECT(frame_parse(&r, s.bytes.data, s.bytes.size - 1, &payload) == ST_AGAIN);
    EXPECT(frame_missing(&r, s.bytes.size - 1) == 1);
    EXPECT(frame_parse(&r, s.bytes.data, s.bytes.size, &payload) == ST_OK);
    EXPECT(frame_missing(&r, s.bytes.size) == 0);
    stream_release(&s);
}

/* ---- what is refused ---- */

static enum status client_parse(struct frame_reader *r, const char *data, size_t size)
{
    struct slice payload;
    frame_init(r, FRAME_CLIENT, LIMIT, false);
    return frame_parse(r, data, size, &payload);
}

static void test_frame__client_lengths(void)
{
    struct frame_reader r;
    EXPECT(client_parse(&r, "", 0) == ST_AGAIN);
    EXPECT(client_parse(&r, "\0", 1) == ST_OK);
    EXPECT(r.at == 1);
    EXPECT(client_parse(&r, "\x80\x00", 2) == ST_OK); /* longer than needed */
    EXPECT(r.at == 2);
    EXPECT(client_parse(&r, "\x88\x27", 2) == ST_AGAIN); /* 5000: the limit */
    EXPECT(client_parse(&r, "\x89\x27", 2) == ST_TOOBIG);
    EXPECT(r.fault == FRAME_FAULT_TOO_LONG);
    EXPECT(client_parse(&r, "\xff\xff\xff\xff\x0f", 5) == ST_TOOBIG);
    EXPECT(client_parse(&r, "\xff\xff\xff\xff\x1f", 5) == ST_CORRUPT);
    EXPECT(r.fault == FRAME_FAULT_LENGTH);
    EXPECT(client_parse(&r, "\x80\x80\x80\x80", 4) == ST_AGAIN);
    EXPECT(client_parse(&r, "\x80\x80\x80\x80\x80", 5) == ST_CORRUPT);
    EXPECT(r.fault == FRAME_FAULT_LENGTH);
    struct slice payload;
    EXPECT(frame_parse(&r, "\0", 1, &payload) == ST_CORRUPT); /* for ever */
}

/* Makes the head's own sum right again, so that what comes after it is looked at. */
static void head_seal(char *head)
{
    code_put32(head + 12, crc32c(0, head, 12));
}

static enum frame_fault peer_fault(const struct stream *s, size_t size, size_t limit)
{
    struct frame_reader r;
    struct slice payload;
    frame_init(&r, FRAME_PEER, limit, false);
    enum status st = frame_parse(&r, s->bytes.data, size, &payload);
    if (st == ST_CORRUPT || st == ST_TOOBIG) {
        EXPECT(frame_parse(&r, s->bytes.data, size, &payload) == st);
        EXPECT((st == ST_TOOBIG) == (r.fault == FRAME_FAULT_TOO_LONG));
    }
    return r.fault;
}

static void test_frame__peer_heads(void)
{
    struct stream s;
    static const size_t size = 100;
    stream_init(&s);
    stream_fill(&s, FRAME_PEER, &size, 1);
    char *head = s.bytes.data;
    EXPECT(peer_fault(&s, s.bytes.size, LIMIT) == FRAME_FAULT_NONE);
    EXPECT(peer_fault(&s, 16, s.bytes.size - 16) == FRAME_FAULT_NONE);
    EXPECT(peer_fault(&s, 16, s.bytes.size - 17) == FRAME_FAULT_TOO_LONG);
    head[2] = 2;
    EXPECT(peer_fault(&s, 16, LIMIT) == FRAME_FAULT_HEAD_CRC);
    head_seal(head);
    EXPECT(peer_fault(&s, 16, LIMIT) == FRAME_FAULT_TYPE);
    head[2] = 1;
    head[3] = 1;
    head_seal(head);
    EXPECT(peer_fault(&s, 16, LIMIT) == FRAME_FAULT_FLAGS);
    head[3] = 0;
    head[0] ^= 1;
    head_seal(head);
    EXPECT(peer_fault(&s, 16, LIMIT) == FRAME_FAULT_MAGIC);
    stream_release(&s);
}

/* Every bit of a frame turned: it never comes out, and bytes that a damaged head announces are
 * not waited for. */
static void test_frame__no_turned_bit_comes_through(void)
{
    struct stream s;
    static const size_t size = 60;
    stream_init(&s);
    stream_fill(&s, FRAME_PEER, &size, 1);
    for (size_t at = 0; at < s.bytes.size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            s.bytes.data[at] = (char)(s.bytes.data[at] ^ (1 << bit));
            enum frame_fault fault = peer_fault(&s, s.bytes.size, LIMIT);
            EXPECT(fault == (at < 2    ? FRAME_FAULT_MAGIC
                             : at < 16 ? FRAME_FAULT_HEAD_CRC
                                       : FRAME_FAULT_CRC));
            s.bytes.data[at] = (char)(s.bytes.data[at] ^ (1 << bit));
        }
    }
    stream_release(&s);
}

static void test_frame__refused_memory_writes_nothing(void)
{
    struct stream s;
    struct pbmsg_request request = {.op = PBMSG_PING};
    struct peermsg peer = {.body = PEERMSG_CHUNK};
    static char large[500];
    stream_init(&s);
    EXPECT(buf_append_text(&s.bytes, "before") == ST_OK);
    request.ping.payload = slice_of(large, sizeof large);
    peer.chunk.data = slice_of(large, sizeof large);
    s.memory.fail_in = 0;
    EXPECT(frame_append_client(&s.bytes, &pbmsg_request_table, &request) == ST_NOMEM);
    s.memory.fail_in = 0;
    EXPECT(frame_append_peer(&s.bytes, &peermsg_table, &peer, false) == ST_NOMEM);
    request = (struct pbmsg_request){.op = PBMSG_ADD_MEMBER};
    request.add_member.address = slice_text("\xff");
    EXPECT(frame_append_client(&s.bytes, &pbmsg_request_table, &request) == ST_INVAL);
    peer = (struct peermsg){.body = PEERMSG_HELLO};
    peer.hello.address = slice_text("\xff");
    EXPECT(frame_append_peer(&s.bytes, &peermsg_table, &peer, false) == ST_INVAL);
    EXPECT(slice_equal(buf_slice(&s.bytes), slice_text("before")));
    stream_release(&s);
}

static void test_frame__faults_have_texts(void)
{
    for (int i = 0; i < FRAME_FAULTS; i++) {
        EXPECT(frame_fault_text((enum frame_fault)i)[0] != '\0');
    }
    EXPECT(strcmp(frame_fault_text(FRAME_FAULTS), "?") == 0);
}

/* ---- the examples of docs/format-pb.md ---- */

static void hex_print(const char *name, struct slice s)
{
    printf("# %s (%zu bytes)\n#", name, s.size);
    for (size_t i = 0; i < s.size; i++) {
        printf(" %02x", (unsigned)(unsigned char)s.data[i]);
    }
    printf("\n");
}

static bool is_golden(const char *name, struct slice got, const char *want, size_t want_size)
{
    bool same = slice_equal(got, slice_of(want, want_size));
    if (!same) {
        hex_print(name, got);
    }
    return same;
}

static const char golden_put[] = "\x15\x08\x07\x10\x83\x02\x18\x05\x52\x0c\x0a\x03"
                                 "key\x12\x05value";

static void put_make(struct pbmsg_request *request)
{
    *request = (struct pbmsg_request){.id = 7, .session = 259, .sequence = 5, .op = PBMSG_PUT};
    request->put.key = slice_text("key");
    request->put.value = slice_text("value");
}

static void test_frame__golden_request(void)
{
    struct stream s;
    struct pbmsg_request request;
    struct frame_reader r;
    struct pbarena arena;
    struct slice payload;
    stream_init(&s);
    put_make(&request);
    EXPECT(frame_append_client(&s.bytes, &pbmsg_request_table, &request) == ST_OK);
    EXPECT(is_golden("put", buf_slice(&s.bytes), golden_put, sizeof golden_put - 1));
    frame_init(&r, FRAME_CLIENT, LIMIT, false);
    pbarena_init(&arena, &s.memory.mem, 1024, 1024);
    EXPECT(frame_parse(&r, golden_put, sizeof golden_put - 1, &payload) == ST_OK);
    EXPECT(pbdec_read(&pbmsg_request_table, payload, &arena, &request, NULL) == ST_OK);
    EXPECT(request.id == 7);
    EXPECT(request.session == 259);
    EXPECT(request.sequence == 5);
    EXPECT(request.op == PBMSG_PUT);
    EXPECT(slice_equal(request.put.key, slice_text("key")));
    EXPECT(slice_equal(request.put.value, slice_text("value")));
    pbarena_release(&arena);
    stream_release(&s);
}

static const char golden_append[] =
    "\x54\x4b\x01\x00\x42\x00\x00\x00\x20\x64\xed\xc8\x8b\xcf\x04\x2e" /* head */
    "\x09\x88\x77\x66\x55\x44\x33\x22\x11"                             /* cluster */
    "\x10\x01\x18\x02"                                                 /* from, to */
    "\x21\x99\x00\x00\x00\x00\x00\x00\x00"                             /* incarnation */
    "\x28\x03\x30\x04\x38\xac\x02"                                     /* term, session, probe */
    "\x42\x23\x08\x05"                                                 /* raft: append */
    "\x29\x10\x00\x00\x00\x00\x00\x00\x00"                             /* stamp */
    "\x30\x29\x38\x02\x50\x28"                                         /* place, commit */
    "\x6a\x10\x0a\x04\x08\x03\x10\x02"                                 /* entries: a run */
    "\x1a\x03one\x1a\x03two";

static void append_make(struct peermsg *m, struct peermsg_run *run, struct slice payloads[2])
{
    *m = (struct peermsg){.cluster = 0x1122334455667788,
                          .from_node = 1,
                          .to_node = 2,
                          .incarnation = 0x99,
                          .term = 3,
                          .session = 4,
                          .probe = 300,
                          .body = PEERMSG_RAFT};
    *run = (struct peermsg_run){.term = 3, .count = 2};
    payloads[0] = slice_text("one");
    payloads[1] = slice_text("two");
    m->raft = (struct peermsg_raft){.type = PEERMSG_RAFT_APPEND,
                                    .stamp = 0x10,
                                    .place_index = 41,
                                    .place_term = 2,
                                    .commit = 40,
                                    .has_entries = true};
    m->raft.entries.runs.items = run;
    m->raft.entries.runs.count = 1;
    m->raft.entries.payload.items = payloads;
    m->raft.entries.payload.count = 2;
}

static void test_frame__golden_append(void)
{
    struct stream s;
    struct peermsg m;
    struct peermsg_run run;
    struct slice payloads[2];
    struct frame_reader r;
    struct pbarena arena;
    struct slice payload;
    const char *what;
    stream_init(&s);
    append_make(&m, &run, payloads);
    EXPECT(frame_append_peer(&s.bytes, &peermsg_table, &m, true) == ST_OK);
    EXPECT(is_golden("append", buf_slice(&s.bytes), golden_append, sizeof golden_append - 1));
    frame_init(&r, FRAME_PEER, LIMIT, false);
    pbarena_init(&arena, &s.memory.mem, 1024, 1024);
    EXPECT(frame_parse(&r, golden_append, sizeof golden_append - 1, &payload) == ST_OK);
    EXPECT(pbdec_read(&peermsg_table, payload, &arena, &m, NULL) == ST_OK);
    EXPECT(peermsg_check(&m, &what) == ST_OK);
    EXPECT(m.cluster == 0x1122334455667788);
    EXPECT(m.probe == 300);
    EXPECT(m.raft.place_index == 41);
    EXPECT(m.raft.entries.payload.count == 2);
    EXPECT(slice_equal(m.raft.entries.payload.items[1], slice_text("two")));
    EXPECT(m.raft.entries.runs.items[0].count == 2);
    pbarena_release(&arena);
    stream_release(&s);
}

TAP_MAIN(RUN(test_frame__preamble_tells_who_speaks);
         RUN(test_frame__resp_is_known_by_its_first_byte);
         RUN(test_frame__bad_preamble_is_refused_at_its_first_wrong_byte);
         RUN(test_frame__every_cut_gives_the_same_frames); RUN(test_frame__room_is_there);
         RUN(test_frame__missing_bytes_are_known); RUN(test_frame__client_lengths);
         RUN(test_frame__peer_heads); RUN(test_frame__no_turned_bit_comes_through);
         RUN(test_frame__refused_memory_writes_nothing); RUN(test_frame__faults_have_texts);
         RUN(test_frame__golden_request); RUN(test_frame__golden_append);)
