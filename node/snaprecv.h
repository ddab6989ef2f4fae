/* snaprecv.h - takes snapshots that come in: a thread that serves one connection at a time and
 * stages what it brings (snapstage.h).
 *
 * A connection that comes while another is served takes its place: whoever sends a snapshot dials
 * again only when he thinks that the first one is dead, or when there is a new leader. What is
 * staged stays; the same snapshot goes on where it was. When it is whole `staged` tells, with the
 * message that the core is to get, and again whenever it is offered again (by a new leader). It
 * stays until snaprecv_take or snaprecv_drop; nothing else is taken meanwhile.
 *
 * Invariants (tests/node/test_snapshot.c): I1 what `staged` tells of is durable, and is what one
 * sender offered   I2 nothing that an interrupted transfer left survives snaprecv_open.
 * Failure: told to the sender, with a line in the log; then nothing is staged.
 * Ownership: callers' descriptors are taken over. Threads: its own; all calls from any other. */
#ifndef NODE_SNAPRECV_H
#define NODE_SNAPRECV_H

#include "node/nodelog.h"
#include "node/peers.h"
#include "node/snapstage.h"
#include "raft/raftmsg.h"

struct snaprecv;

struct snaprecv_staged {
    struct raft_msg msg; /* RAFT_MSG_SNAPSHOT, as its sender's core meant it */
    uint64_t config_index;
    uint64_t bytes;
    const char *dir;
};

/* What is zero takes the default in brackets. */
struct snaprecv_options {
    struct env *env; /* borrowed */
    enum env_log_level log_least;
    uint64_t cluster;
    uint64_t self;
    uint64_t incarnation;
    uint64_t life;
    const char *dir;     /* where it is staged: a name of its own in the node's directory */
    size_t frame_max;    /* bytes of a message [8 MiB] */
    uint64_t silence_ms; /* a sender that says nothing is dead [10000] */
    void *arg;
    void (*staged)(void *arg, const struct snaprecv_staged *s); /* on its thread, no lock held */
};

/* Throws away what is left of earlier days and starts the thread. */
NODISCARD enum status snaprecv_open(const struct snaprecv_options *o, struct snaprecv **receiver,
                                    struct err *err);
void snaprecv_close(struct snaprecv *r);

/* A connection (peers_options.bulk). */
void snaprecv_call(struct snaprecv *r, const struct peers_caller *caller);

/* What is whole goes to that name, durably. ST_NOENT: nothing is. */
NODISCARD enum status snaprecv_take(struct snaprecv *r, const char *to, struct err *err);
/* Nobody wants it. */
void snaprecv_drop(struct snaprecv *r);

#endif
