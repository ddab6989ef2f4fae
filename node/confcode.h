/* confcode.h - a configuration as bytes: the payload of a RAFT_CONFIG entry, and what a snapshot of
 * the log keeps of it. The bytes are tinykv.proto's PeerConfig, so a tool can read them.
 *
 * Invariants: I1 what is written reads back the same   I2 one configuration has one encoding, of at
 * most CONFCODE_MAX bytes   I3 what is read is sane in form: ids ascend and are not 0, roles are
 * known, there are at most RAFT_MEMBERS_MAX (tests/node/test_confcode.c). A field that is not known
 * is refused: a configuration that is half understood must not count. The empty configuration, of a
 * node that waits to be let in, is one byte that no member begins with: no bytes at all are none.
 * Failure: ST_CORRUPT; the configuration is empty then. Determinism: functions of their inputs. */
#ifndef NODE_CONFCODE_H
#define NODE_CONFCODE_H

#include "base/slice.h"
#include "base/status.h"
#include "net/peermsg.h"
#include "raft/rafttypes.h"

#define CONFCODE_MEMBER_MAX 24u /* bytes of a member, with its tag and length */
#define CONFCODE_EMPTY      '\0'
#define CONFCODE_MAX        (CONFCODE_MEMBER_MAX * RAFT_MEMBERS_MAX)

/* Returns the bytes written. The configuration is a valid one. */
size_t confcode_write(const struct raft_config *config, char out[CONFCODE_MAX]);

NODISCARD enum status confcode_read(struct slice in, struct raft_config *config);

/* The same between structs; rows has room for RAFT_MEMBERS_MAX and is borrowed by `to`. */
void confcode_to(const struct raft_config *config, struct peermsg_member *rows,
                 struct peermsg_config *to);
NODISCARD enum status confcode_from(const struct peermsg_config *from, struct raft_config *config);

#endif
