/* pbdump.h - a message as text, from its table: "name=value;" for each field that would be written,
 * bytes as hex, lists as [a,b], messages as {...}. tests/interop/test_pb.py writes the same from
 * Python's messages. */
#ifndef TESTS_NET_PBDUMP_H
#define TESTS_NET_PBDUMP_H

#include "base/buf.h"
#include "net/pb.h"

NODISCARD enum status pbdump(struct buf *out, const struct pb_table *t, const void *message);

#endif
