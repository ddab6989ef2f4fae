/* peerwire.h - messages of consensus as frames, and back.
 *
 * raft/raftmsg.h is what the core says, net/peermsg.h what stands on the wire; this joins the two
 * and puts the entries' payloads in.
 *
 * Invariants: I1 what was written reads back the same (tests/node/test_peerwire.c)   I2 bytes that
 * lie end in ST_CORRUPT, never in a CK   I3 writing allocates nothing once the scratch is as large
 * as the largest message.
 * Ownership: what is read is borrowed from the payload's bytes and from the arena.
 * Determinism: functions of their inputs. */
#ifndef NODE_PEERWIRE_H
#define NODE_PEERWIRE_H

#include "base/buf.h"
#include "net/pbarena.h"
#include "net/peermsg.h"
#include "raft/raftmsg.h"

/* The columns of the message that is being written. Zeroed but for mem it is valid. */
struct peerwire {
    struct mem *mem; /* borrowed */
    bool hardware;   /* crc32c.h */
    struct slice *payload;
    struct peermsg_run *runs;
    char *kinds;
    uint32_t cap; /* of each of the three */
};

void peerwire_release(struct peerwire *w);

/* Appends the frame of a message at the end of `out`. Entries are those that m->count counts, in
 * order; PROPOSE's have no index or term. m->items is not looked at. On failure (NOMEM, TOOBIG)
 * `out` is as before. */
NODISCARD enum status peerwire_append(struct peerwire *w, const struct raft_msg *m,
                                      const struct raft_entry *entries, struct buf *out);

/* A message as it came. */
struct peerwire_in {
    struct raft_msg msg;              /* with its items and config */
    const struct raft_entry *entries; /* msg.count; where there are no places, index and term 0 */
};

/* The body is PEERMSG_RAFT and has passed peermsg_check. ST_CORRUPT, and *what names why; NOMEM,
 * TOOBIG of the arena. */
NODISCARD enum status peerwire_read(const struct peermsg *m, struct pbarena *arena,
                                    struct peerwire_in *in, const char **what);

#endif
