/* ferry.h - the snapshots of a member on their way: a receiver for those that come (snaprecv.h),
 * and a sender for each that leaves (snapsend.h), between the replica and the peers.
 *
 * Failure: a snapshot that cannot be sent is told to the replica at once; what comes while another
 * waits is refused by the receiver, and offered again by its sender.
 * Ownership: everything in the options is borrowed until ferry_close.
 * Threads: ferry_send on the replica's thread, ferry_take on its snapshotter's, ferry_call on the
 * peers'; open, stop and close on one more. */
#ifndef NODE_FERRY_H
#define NODE_FERRY_H

#include "node/peers.h"
#include "node/replica.h"
#include "node/snaprecv.h"

#define FERRY_SENDERS 8u

struct ferry_options {
    struct env *env;
    enum env_log_level log_least;
    uint64_t cluster;
    uint64_t self;
    uint64_t incarnation;
    uint64_t life;
    uint64_t connect_ms; /* a call is given up after it */
    uint64_t silence_ms; /* the other end is asked for no longer than this: then another connection
                            goes on where this one was */
    const char *dir;     /* where what comes is staged: a name of its own in the node's directory */
    struct replica *replica;
    struct peers *peers; /* to ask where a node is */
};

struct ferry;

NODISCARD enum status ferry_open(const struct ferry_options *o, struct ferry **ferry,
                                 struct err *err);

/* What replica_transport's send_snapshot and take_snapshot have to do. */
void ferry_send(struct ferry *f, const struct raft_msg *m, const struct snapset *set,
                const char *dir);
NODISCARD enum status ferry_take(struct ferry *f, const char *to, struct err *err);

/* A connection for snapshots that came in. */
void ferry_call(struct ferry *f, const struct peers_caller *caller);

/* Ends what leaves; the replica has stopped, and is told of each. */
void ferry_stop(struct ferry *f);
/* After ferry_stop, when no more calls come in. NULL is harmless. */
void ferry_close(struct ferry *f);

#endif
