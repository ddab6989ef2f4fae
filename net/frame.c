/* frame.c - see frame.h. */
#include "net/frame.h"

#include "base/ck.h"
#include "base/code.h"
#include "base/crc32c.h"
#include "net/pbenc.h"

#include <string.h>

#define TYPE_MESSAGE 1

/* A peer's head, all little-endian. */
enum head {
    HEAD_MAGIC = 0,    /* u16 */
    HEAD_TYPE = 2,     /* u8 */
    HEAD_FLAGS = 3,    /* u8: none are known */
    HEAD_SIZE = 4,     /* u32: of the message */
    HEAD_CRC = 8,      /* u32: of the message */
    HEAD_HEAD_CRC = 12 /* u32: of the bytes before it */
};

_Static_assert(HEAD_HEAD_CRC + 4 == FRAME_PEER_HEAD, "the head's CRC is its end");

const char *frame_fault_text(enum frame_fault fault)
{
    static const char *const texts[FRAME_FAULTS] = {
        [FRAME_FAULT_NONE] = "nothing is wrong",
        [FRAME_FAULT_PREAMBLE] = "not a known preamble",
        [FRAME_FAULT_VERSION] = "a preamble of another version",
        [FRAME_FAULT_LENGTH] = "a length of more than 32 bits",
        [FRAME_FAULT_TOO_LONG] = "a message over the limit",
        [FRAME_FAULT_MAGIC] = "not the head of a frame",
        [FRAME_FAULT_HEAD_CRC] = "the head of a frame is damaged",
        [FRAME_FAULT_TYPE] = "a frame of unknown type",
        [FRAME_FAULT_FLAGS] = "a frame with unknown flags",
        [FRAME_FAULT_CRC] = "a message is damaged",
    };
    return (unsigned)fault < FRAME_FAULTS ? texts[fault] : "?";
}

/* ---- preambles ---- */

#define VERSION_AT 6

void frame_preamble(enum frame_speaker who, char out[FRAME_PREAMBLE_SIZE])
{
    CK(who == FRAME_CLIENT || who == FRAME_PEER);
    memcpy(out, who == FRAME_CLIENT ? "\0TKVPB\1\n" : "\0TKVPR\1\n", FRAME_PREAMBLE_SIZE);
}

/* Whether the bytes begin like a preamble, its version aside. */
static bool preamble_fits(struct slice in, enum frame_speaker who)
{
    char want[FRAME_PREAMBLE_SIZE];
    frame_preamble(who, want);
    for (size_t i = 0; i < in.size && i < sizeof want; i++) {
        if (i != VERSION_AT && in.data[i] != want[i]) {
            return false;
        }
    }
    return true;
}

enum status frame_detect(struct slice in, enum frame_speaker *who, enum frame_fault *fault)
{
    *fault = FRAME_FAULT_NONE;
    *who = FRAME_RESP;
    if (in.size == 0) {
        return ST_AGAIN;
    }
    if (in.data[0] != '\0') {
        return ST_OK;
    }
    bool client = preamble_fits(in, FRAME_CLIENT);
    if (!client && !preamble_fits(in, FRAME_PEER)) {
        *fault = FRAME_FAULT_PREAMBLE;
        return ST_CORRUPT;
    }
    if (in.size < FRAME_PREAMBLE_SIZE) {
        return ST_AGAIN;
    }
    *who = client ? FRAME_CLIENT : FRAME_PEER;
    if (in.data[VERSION_AT] != FRAME_VERSION) {
        *fault = FRAME_FAULT_VERSION;
        return ST_UNSUPPORTED;
    }
    return ST_OK;
}

/* ---- reading ---- */

void frame_init(struct frame_reader *r, enum frame_speaker who, size_t payload_max, bool hardware)
{
    CK(who == FRAME_CLIENT || who == FRAME_PEER);
    CK(payload_max <= PB_SIZE_MAX);
    *r = (struct frame_reader){.who = who, .payload_max = payload_max, .hardware = hardware};
}

static enum status fault_status(enum frame_fault fault)
{
    return fault == FRAME_FAULT_TOO_LONG ? ST_TOOBIG : ST_CORRUPT;
}

static enum status fail(struct frame_reader *r, enum frame_fault fault)
{
    r->fault = fault;
    return fault_status(fault);
}

static enum status head_set(struct frame_reader *r, size_t head, uint64_t payload)
{
    if (payload > r->payload_max) {
        return fail(r, FRAME_FAULT_TOO_LONG);
    }
    r->head = head;
    r->payload = (size_t)payload;
    return ST_OK;
}

static enum status client_head(struct frame_reader *r, const unsigned char *b, size_t size)
{
    uint64_t length = 0;
    for (unsigned i = 0; i < size && i < FRAME_LENGTH_MAX; i++) {
        length |= (uint64_t)(b[i] & 0x7f) << (7 * i);
        if (length > UINT32_MAX) {
            break;
        }
        if (b[i] < 0x80) {
            return head_set(r, i + 1, length);
        }
    }
    return size < FRAME_LENGTH_MAX && length <= UINT32_MAX ? ST_AGAIN : fail(r, FRAME_FAULT_LENGTH);
}

static enum status peer_head(struct frame_reader *r, const unsigned char *b, size_t size)
{
    if (size < FRAME_PEER_HEAD) {
        return ST_AGAIN;
    }
    if (code_get16(b + HEAD_MAGIC) != FRAME_PEER_MAGIC) {
        return fail(r, FRAME_FAULT_MAGIC);
    }
    if (code_get32(b + HEAD_HEAD_CRC) != crc32c_on(r->hardware, 0, b, HEAD_HEAD_CRC)) {
        return fail(r, FRAME_FAULT_HEAD_CRC);
    }
    if (b[HEAD_TYPE] != TYPE_MESSAGE) {
        return fail(r, FRAME_FAULT_TYPE);
    }
    if (b[HEAD_FLAGS] != 0) {
        return fail(r, FRAME_FAULT_FLAGS);
    }
    r->crc = 0;
    r->crc_want = code_get32(b + HEAD_CRC);
    return head_set(r, FRAME_PEER_HEAD, code_get32(b + HEAD_SIZE));
}

/* Takes the bytes of the message that have come since the last call into the sum. */
static void sum_extend(struct frame_reader *r, const char *data, size_t size)
{
    size_t there = size - r->head < r->payload ? size - r->head : r->payload;
    if (r->who == FRAME_PEER && there > r->summed) {
        r->crc = crc32c_on(r->hardware, r->crc, data + r->head + r->summed, there - r->summed);
        r->summed = there;
    }
}

enum status frame_parse(struct frame_reader *r, const char *data, size_t size,
                        struct slice *payload)
{
    const unsigned char *bytes = (const unsigned char *)data;
    enum status st = ST_OK;
    if (r->fault != FRAME_FAULT_NONE) {
        return fault_status(r->fault);
    }
    if (r->head == 0) {
        st = r->who == FRAME_CLIENT ? client_head(r, bytes, size) : peer_head(r, bytes, size);
    }
    if (st != ST_OK) {
        return st;
    }
    CK(size >= r->head);
    sum_extend(r, data, size);
    if (size - r->head < r->payload) {
        return ST_AGAIN;
    }
    if (r->who == FRAME_PEER && r->crc != r->crc_want) {
        return fail(r, FRAME_FAULT_CRC);
    }
    *payload = slice_of(data + r->head, r->payload);
    r->at = r->head + r->payload;
    r->head = 0;
    r->summed = 0;
    return ST_OK;
}

size_t frame_missing(const struct frame_reader *r, size_t size)
{
    if (r->head == 0 || size >= r->head + r->payload) {
        return 0;
    }
    return r->head + r->payload - size;
}

/* ---- writing ---- */

enum status frame_append_client(struct buf *out, const struct pb_table *t, const void *message)
{
    size_t size;
    enum status st = pbenc_size(t, message, &size);
    st = st == ST_OK ? buf_reserve(out, FRAME_LENGTH_MAX + size) : st;
    if (st == ST_OK) {
        out->size += code_put_varint(out->data + out->size, size);
        pbenc_write(t, message, out->data + out->size, size);
        out->size += size;
    }
    return st;
}

enum status frame_append_peer(struct buf *out, const struct pb_table *t, const void *message,
                              bool hardware)
{
    size_t size;
    enum status st = pbenc_size(t, message, &size);
    st = st == ST_OK ? buf_reserve(out, FRAME_PEER_HEAD + size) : st;
    if (st != ST_OK) {
        return st;
    }
    unsigned char *head = (unsigned char *)out->data + out->size;
    unsigned char *payload = head + FRAME_PEER_HEAD;
    pbenc_write(t, message, payload, size);
    code_put16(head + HEAD_MAGIC, FRAME_PEER_MAGIC);
    head[HEAD_TYPE] = TYPE_MESSAGE;
    head[HEAD_FLAGS] = 0;
    code_put32(head + HEAD_SIZE, (uint32_t)size);
    code_put32(head + HEAD_CRC, crc32c_on(hardware, 0, payload, size));
    code_put32(head + HEAD_HEAD_CRC, crc32c_on(hardware, 0, head, HEAD_HEAD_CRC));
    out->size += FRAME_PEER_HEAD + size;
    return ST_OK;
}
