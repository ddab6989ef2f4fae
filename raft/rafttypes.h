/* rafttypes.h - the words that the parts of raft/ share: entries, hard state, configurations.
 *
 * Indices and terms start at 1; 0 means none. A node's id is drawn by its operator and is never
 * 0; an incarnation tells a node's lives apart (it is drawn anew when a node joins with an empty
 * disk). Ranges of indices are half open: [lo, hi).
 *
 * Ownership: everything here is plain data; slices are borrowed as each user says.
 * Determinism: nothing here depends on addresses or on the machine's byte order. */
#ifndef RAFT_RAFTTYPES_H
#define RAFT_RAFTTYPES_H

#include "base/slice.h"

#include <stdint.h>

#define RAFT_MEMBERS_MAX 64 /* voters and learners together */
#define RAFT_WRITE_RUNS  32 /* runs of terms that the entries of one write may begin */

/* What an entry is to consensus; its payload is the state machine's, but for configurations.
 * Values are on disk and on the wire. */
enum raft_kind {
    RAFT_COMMAND = 1, /* opaque */
    RAFT_NOOP = 2,    /* a leader's first entry of its term: no payload */
    RAFT_CONFIG = 3,  /* an encoded struct raft_config */
    RAFT_KINDS
};

/* One entry of the log. */
struct raft_entry {
    uint64_t index;
    uint64_t term;
    enum raft_kind kind;
    struct slice data; /* borrowed */
};

/* What identifies an entry without its bytes. */
struct raft_place {
    uint64_t index;
    uint64_t term;
};

/* A run of consecutive entries of one term: from `first` to where the next run begins. */
struct raft_run {
    uint64_t first;
    uint64_t term;
};

/* What a node must not forget. */
struct raft_hard {
    uint64_t term;
    uint64_t vote; /* whom it voted for in that term; 0: nobody */
};

/* How a member takes part. While a change is under way (joint consensus) a decision needs a
 * majority of the incoming voters and one of the outgoing voters. Values are on disk. */
enum raft_role {
    RAFT_IN = 1,      /* votes in the incoming configuration (the only one, when not joint) */
    RAFT_OUT = 2,     /* votes in the outgoing one */
    RAFT_LEARNER = 4, /* gets entries, has no vote */
};

struct raft_member {
    uint64_t id;
    uint64_t incarnation; /* an acknowledgement of another life of this id counts nothing */
    uint8_t roles;        /* of enum raft_role; IN and OUT together are possible */
};

/* Members, ascending by id, each at most once. Joint when one of them is RAFT_OUT. */
struct raft_config {
    uint32_t count;
    struct raft_member members[RAFT_MEMBERS_MAX];
};

#endif
