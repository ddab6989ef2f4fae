/* pbenc.h - writes a struct as a protobuf message.
 *
 * Invariants: I1 pbenc_size is what pbenc_write writes (CK)   I2 what is written decodes to the
 * same (tests/net/test_pb.c, tests/fuzz/fuzz_pb.c)   I3 one struct has one encoding.
 * Failure: ST_TOOBIG over PB_SIZE_MAX, ST_INVAL for a string that is no UTF-8, ST_NOMEM; the output
 * is as before. Nesting over PB_DEPTH_MAX is a bug.
 * Ownership: everything is borrowed for the call. Determinism: a function of the struct. */
#ifndef NET_PBENC_H
#define NET_PBENC_H

#include "base/buf.h"
#include "net/pb.h"

/* Bytes of the message; checks what has to be checked. ST_INVAL, ST_TOOBIG. */
NODISCARD enum status pbenc_size(const struct pb_table *t, const void *message, size_t *size);

/* Writes a message that pbenc_size has measured to to[0, size). */
void pbenc_write(const struct pb_table *t, const void *message, void *to, size_t size);

/* Both, at the end of a buffer. */
NODISCARD enum status pbenc_append(const struct pb_table *t, const void *message, struct buf *out);

#endif
