/* pbdec.h - reads a protobuf message into a struct.
 *
 * Nothing is copied: strings and bytes point into the input, lists lie in the arena.
 *
 * Invariants (tests/net/test_pb*.c, tests/fuzz/fuzz_pb.c, tests/interop/test_pb.py)
 *   I1  no byte outside the input is read; memory is taken for items that have arrived, not for
 *       those that are announced, and never over the arena's limit
 *   I2  messages and groups nest at most PB_DEPTH_MAX deep, so the stack is bounded
 *   I3  what the reference implementation refuses is refused, what it takes is taken and means
 *       the same; but see pb.h for numbers that are too long
 * Failure: ST_CORRUPT, ST_TOOBIG (the arena's limit, PB_SIZE_MAX), ST_NOMEM. A pbdec_error says
 * what and where, and the struct is zeroed. Determinism: a function of the bytes. */
#ifndef NET_PBDEC_H
#define NET_PBDEC_H

#include "base/err.h"
#include "net/pb.h"
#include "net/pbarena.h"

enum pbdec_fault {
    PBDEC_FAULT_NONE,
    PBDEC_FAULT_CUT,    /* the bytes end inside a field */
    PBDEC_FAULT_VARINT, /* longer than ten bytes or over 64 bits; a tag or length over 32 */
    PBDEC_FAULT_NUMBER, /* field number 0 */
    PBDEC_FAULT_WIRE,   /* wire type 6 or 7 */
    PBDEC_FAULT_LENGTH, /* a length that runs past the end */
    PBDEC_FAULT_GROUP,  /* a group that ends without having begun, or under another number */
    PBDEC_FAULT_DEEP,   /* over PB_DEPTH_MAX */
    PBDEC_FAULT_UTF8,
    PBDEC_FAULT_SIZE,   /* the input is over PB_SIZE_MAX */
    PBDEC_FAULT_MANY,   /* the arena's limit is reached */
    PBDEC_FAULT_MEMORY, /* an allocation was refused */
    PBDEC_FAULTS
};

struct pbdec_error {
    enum pbdec_fault fault;
    size_t offset; /* into the input: where the field that failed begins */
    char path[96]; /* "append.entries[3].term"; "" when it is in no known field; a long one loses
                    * its beginning */
};

/* Reads a message. The struct is zeroed first. `error` may be NULL. */
NODISCARD enum status pbdec_read(const struct pb_table *t, struct slice in, struct pbarena *arena,
                                 void *message, struct pbdec_error *error);

/* For a person; never NULL. */
const char *pbdec_fault_text(enum pbdec_fault fault);

/* "Request: put.key at byte 12: a length runs past the end". */
void pbdec_error_text(const struct pb_table *t, const struct pbdec_error *error, struct err *err);

#endif
