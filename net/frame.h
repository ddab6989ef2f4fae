/* frame.h - where messages begin and end in a stream of bytes: frames of clients and of peers, and
 * the preamble that tells who is speaking.
 *
 * A connection begins with eight bytes that no RESP request begins with, "\0TKVPB\1\n" for a
 * client's protobuf and "\0TKVPR\1\n" for a peer; so all three may share a port. A client's frame
 * is a length as a varint and the message. A peer's frame has a head of 16 bytes with a CRC of
 * its own, so that a damaged length is found at once and not waited for, and a CRC over the
 * message. docs/format-pb.md has the bytes.
 *
 * The caller owns a buffer that grows at its end; frame_parse looks at it whenever bytes were
 * added, and never looks at a byte twice.
 *
 * Invariants (tests/net/test_frame.c, tests/fuzz/fuzz_peerframe.c)
 *   I1  the frames found do not depend on how the bytes were cut into calls
 *   I2  nothing is allocated; a length over the limit is refused when it is read
 *   I3  of a peer, no message with a changed bit comes out; not one wrong bit is waited for
 * Failure: ST_CORRUPT (or ST_TOOBIG, ST_UNSUPPORTED) and `fault` names it: framing is lost for
 * ever, and later calls say the same.
 * Ownership: a payload points into the caller's bytes. Determinism: a function of the bytes. */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include "base/buf.h"
#include "net/pb.h"

#define FRAME_PREAMBLE_SIZE 8u
#define FRAME_VERSION       1
#define FRAME_PEER_HEAD     16u /* bytes before a peer's message */
#define FRAME_PEER_MAGIC    0x4b54u
#define FRAME_LENGTH_MAX    5u /* bytes of a client's length */

enum frame_speaker {
    FRAME_RESP, /* any first byte but 0 */
    FRAME_CLIENT,
    FRAME_PEER,
};

enum frame_fault {
    FRAME_FAULT_NONE,
    FRAME_FAULT_PREAMBLE, /* it begins like one and goes on otherwise */
    FRAME_FAULT_VERSION,  /* of the preamble */
    FRAME_FAULT_LENGTH,   /* a length of more than 5 bytes or 32 bits */
    FRAME_FAULT_TOO_LONG, /* over the limit */
    FRAME_FAULT_MAGIC,    /* not the head of a frame */
    FRAME_FAULT_HEAD_CRC,
    FRAME_FAULT_TYPE,  /* a frame of a kind that this version does not know */
    FRAME_FAULT_FLAGS, /* a flag that this version does not know */
    FRAME_FAULT_CRC,   /* of the message */
    FRAME_FAULTS
};

/* For a person; never NULL. */
const char *frame_fault_text(enum frame_fault fault);

/* ---- preambles ---- */

/* who: FRAME_CLIENT or FRAME_PEER. */
void frame_preamble(enum frame_speaker who, char out[FRAME_PREAMBLE_SIZE]);

/* Who speaks on a connection whose first bytes are these. ST_OK: drop FRAME_PREAMBLE_SIZE bytes,
 * unless it is FRAME_RESP. ST_AGAIN: not enough to tell. ST_CORRUPT, ST_UNSUPPORTED: *fault. */
NODISCARD enum status frame_detect(struct slice in, enum frame_speaker *who,
                                   enum frame_fault *fault);

/* ---- reading ---- */

struct frame_reader {
    enum frame_speaker who;
    bool hardware;      /* crc32c.h */
    size_t payload_max; /* of a message */
    enum frame_fault fault;
    size_t at;      /* ST_OK: length of the frame: drop so many bytes */
    size_t head;    /* of this frame: bytes before the message; 0: not known yet */
    size_t payload; /* bytes of its message */
    size_t summed;  /* of which the crc has seen so many */
    uint32_t crc;
    uint32_t crc_want;
};

/* payload_max is at most PB_SIZE_MAX. */
void frame_init(struct frame_reader *r, enum frame_speaker who, size_t payload_max, bool hardware);

/* Looks for a frame at data[0, size), where each call gets the bytes of the one before and more.
 * ST_OK: *payload is its message, r->at its length; the next call begins a new frame behind it.
 * ST_AGAIN: not all there yet. */
NODISCARD enum status frame_parse(struct frame_reader *r, const char *data, size_t size,
                                  struct slice *payload);

/* How many bytes, beyond the size given to the last call, are surely missing; 0 when unknown. */
size_t frame_missing(const struct frame_reader *r, size_t size);

/* ---- writing: at the end of a buffer, which is as before unless ST_OK ---- */

NODISCARD enum status frame_append_client(struct buf *out, const struct pb_table *t,
                                          const void *message);
NODISCARD enum status frame_append_peer(struct buf *out, const struct pb_table *t,
                                        const void *message, bool hardware);

#endif
