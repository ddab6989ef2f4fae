/* fuzz_peerframe.c - any bytes as what a peer or a client sends: the frames found are the same
 * whether the bytes come at once or cut anywhere, a payload lies inside the bytes, a broken stream
 * stays broken, and nothing over the limit comes out.
 *
 * The first byte of an input seeds the cuts, the second says what the rest is: the stream of a peer
 * or of a client, or (so that checksums are no wall) a message that is put into a frame first. */
#include "base/buf.h"
#include "base/ck.h"
#include "base/hash.h"
#include "base/prng.h"
#include "net/frame.h"
#include "net/pbdec.h"
#include "net/peermsg.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/test_env.h"

#define LIMIT 4096

struct stream {
    enum frame_speaker who;
    struct mem *mem;
    struct buf in;
    struct frame_reader reader;
    uint64_t hash; /* of all messages, and of the fault in the end */
    bool broken;
};

static void add_message(struct stream *s, struct slice payload)
{
    CK(s->reader.at <= s->in.size);
    CK(payload.size <= LIMIT);
    CK(payload.data >= s->in.data);
    CK(payload.data + payload.size == s->in.data + s->reader.at);
    CK(frame_missing(&s->reader, s->in.size) == 0);
    s->hash = hash_bytes(hash_add(s->hash, payload.size), payload.data, payload.size);
    buf_consume(&s->in, s->reader.at);
}

/* Hands over some bytes and takes the frames that are whole. */
static void feed(struct stream *s, const uint8_t *data, size_t size)
{
    struct slice payload;
    enum status st = ST_OK;
    CK(buf_append(&s->in, data, size) == ST_OK);
    while (!s->broken && st == ST_OK) {
        st = frame_parse(&s->reader, s->in.data, s->in.size, &payload);
        if (st == ST_OK) {
            add_message(s, payload);
        } else if (st != ST_AGAIN) {
            CK(st == ST_CORRUPT || st == ST_TOOBIG);
            CK(s->reader.fault != FRAME_FAULT_NONE);
            CK(frame_parse(&s->reader, s->in.data, s->in.size, &payload) == st);
            s->broken = true;
        } else {
            CK(s->in.size < LIMIT + FRAME_PEER_HEAD);
            CK(frame_missing(&s->reader, s->in.size) <= LIMIT);
        }
    }
}

static uint64_t read_all(enum frame_speaker who, struct mem *mem, struct slice bytes, uint64_t seed)
{
    struct stream s = {.who = who, .mem = mem};
    struct prng g = {seed};
    const uint8_t *data = (const uint8_t *)bytes.data;
    size_t size = bytes.size;
    buf_init(&s.in, mem);
    frame_init(&s.reader, who, LIMIT, (seed & 1) != 0); /* both sums are the same */
    while (size > 0) {
        size_t step = seed == 0 ? size : 1 + (size_t)prng_below(&g, size < 40 ? size : 40);
        feed(&s, data, step);
        data += step;
        size -= step;
    }
    buf_release(&s.in);
    return hash_add(s.hash, s.reader.fault);
}

static void both_ways(enum frame_speaker who, struct mem *mem, struct slice bytes, uint8_t seed)
{
    uint64_t whole = read_all(who, mem, bytes, 0);
    CK(read_all(who, mem, bytes, 1 + (uint64_t)seed) == whole);
}

/* Bytes that are a message go through a frame and come out as the same message. */
static void through_frame(struct mem *mem, struct slice bytes, uint8_t seed)
{
    struct peermsg m;
    struct pbarena arena;
    struct buf frame;
    struct frame_reader r;
    struct slice payload;
    pbarena_init(&arena, mem, 1u << 18, 0);
    buf_init(&frame, mem);
    if (pbdec_read(&peermsg_table, bytes, &arena, &m, NULL) == ST_OK) {
        CK(frame_append_peer(&frame, &peermsg_table, &m, (seed & 1) != 0) == ST_OK);
        frame_init(&r, FRAME_PEER, PB_SIZE_MAX, (seed & 2) != 0);
        CK(frame_parse(&r, frame.data, frame.size, &payload) == ST_OK);
        CK(r.at == frame.size);
        frame.data[seed % frame.size] ^= (char)(1u << seed % 8);
        frame_init(&r, FRAME_PEER, PB_SIZE_MAX, (seed & 2) != 0);
        CK(frame_parse(&r, frame.data, frame.size, &payload) == ST_CORRUPT);
        frame.data[seed % frame.size] ^= (char)(1u << seed % 8);
        both_ways(FRAME_PEER, mem, buf_slice(&frame), seed);
    }
    pbarena_release(&arena);
    buf_release(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inject te;
    if (size < 2) {
        return 0;
    }
    struct slice rest = slice_of(data + 2, size - 2);
    test_env_init(&te, NULL);
    switch (data[1] % 3) {
    case 0:
        both_ways(FRAME_PEER, &te.env.mem, rest, data[0]);
        break;
    case 1:
        both_ways(FRAME_CLIENT, &te.env.mem, rest, data[0]);
        break;
    default:
        through_frame(&te.env.mem, rest, data[0]);
        break;
    }
    CK(te.live == 0);
    return 0;
}
