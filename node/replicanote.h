/* replicanote.h - what a replica's notes about consensus carry (env/note.h): whoever checks a group
 * from outside sees what its core sees, without a copy. Borrowed for the call. */
#ifndef NODE_REPLICANOTE_H
#define NODE_REPLICANOTE_H

#include "raft/raft.h"

/* NOTE_CORE_STARTED */
struct replicanote_start {
    const struct raft *core;
    const struct raft_start *start;
};

/* NOTE_CORE_STEPPED */
struct replicanote_step {
    const struct raft *core;
    const struct raft_event *event;
    const struct raft_out *out;
    const struct raft_entry *entries; /* of the event, with their payloads; or NULL */
};

#endif
