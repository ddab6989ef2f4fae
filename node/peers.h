/* peers.h - the connections between the nodes of a group: messages of consensus out and in.
 *
 * Each node listens on an address of its own for other nodes and dials each of them. What it dials
 * it writes to, what it accepts it reads from: a pair of nodes has two connections, one each way,
 * so there is no question which of two is the right one. Snapshots take other connections
 * (snapsend.h), which come in by the same listener and are handed on.
 *
 * A thread of its own dials, accepts, reads and delivers. Senders encode into the peer's queue, and
 * peers_flush writes it to the socket from the sender's thread: no other thread has to wake up
 * first.
 *
 * Handshake: preamble, HELLO (cluster, from, to, incarnation, life, version), reply, and HELLO
 * again. Only the second one takes the place of an earlier connection from that node: somebody who
 * is alive said it. HELLO is said on and on, and its reply shows that the other end is there.
 *
 * Invariants (tests/node/test_peers*.c)
 *   I1  of one node's messages on one connection, those delivered are a prefix of those sent, each
 *       whole and once; another connection of that node delivers nothing more once it was replaced
 *   I2  at most one connection from each node delivers
 *   I3  what waits for a peer is at most queue_max bytes (and 64 KiB of small messages), or one
 *       message that is larger
 *   I4  a way that works again is used after at most connect_ms + retry_most_ms and three round
 *       trips, and at once when the other side gets through first
 *   I5  nothing is delivered but from a member of this cluster who meant this node
 *   I6  warm, neither sending nor receiving allocates
 * Failure: a message is lost with its connection, when a queue is full or memory is refused; then
 * `lost` tells. Bytes that lie end their connection, with a line in the log.
 * Ownership: what callbacks get is borrowed for the call.
 * Threads: all calls but open and close from any; callbacks come from the peers' own thread, which
 * holds no lock then: they may call anything but peers_close. */
#ifndef NODE_PEERS_H
#define NODE_PEERS_H

#include "base/err.h"
#include "env/env.h"
#include "node/peerwire.h"

#define PEERS_MAX     128 /* other nodes that are known at a time */
#define PEERS_RESERVE (64u * 1024u)

struct peers;

/* A connection for snapshots that came in: who it is from, and its bytes so far. */
struct peers_caller {
    uint64_t id;
    uint64_t incarnation;
    uint64_t life;
    uint64_t probe; /* of its HELLO: to be answered */
    int fd;         /* taken over */
    struct slice rest;
};

/* A node that says HELLO, and may be refused. */
struct peers_visitor {
    uint64_t id;
    uint64_t incarnation;
    uint64_t disk;        /* 0: not said */
    struct env_addr addr; /* where it says that it is reached; family 0: nothing of use */
    struct slice clients; /* where it says that it takes clients, as text; for the call */
    bool bulk;            /* the connection is for snapshots */
};

/* What is zero takes the default in brackets. */
struct peers_options {
    struct env *env; /* borrowed */
    enum env_log_level log_least;
    uint64_t cluster;
    uint64_t self;
    uint64_t incarnation;
    uint64_t life;             /* drawn at the start of this process */
    uint64_t disk;             /* drawn when this node's data were made */
    struct env_addr listen;    /* for other nodes */
    struct env_addr advertise; /* where they reach it; family 0: `listen`, as bound */
    const char *clients;       /* where it takes clients, for the others to know; NULL: none.
                                  Borrowed until peers_close */
    uint64_t connect_ms;       /* a dial, with its handshake, is given up after [1000] */
    uint64_t silence_ms;       /* a connection whose other end says nothing is dead [1000] */
    uint64_t ping_ms;          /* between two HELLOs [silence_ms / 4] */
    uint64_t retry_least_ms;   /* until the next dial; doubles, with jitter [20] */
    uint64_t retry_most_ms;    /* [500] */
    size_t queue_max;          /* bytes that wait for one peer [16 MiB] */
    size_t frame_max;          /* bytes of one message that comes in [80 MiB] */
    size_t strangers_max;      /* connections that have not said who they are [16] */
    void *arg;
    /* A message came. ST_BUSY: not taken, its connection is not read until peers_resume. All else:
     * done with it. */
    enum status (*deliver)(void *arg, const struct peerwire_in *in);
    /* What has come was delivered: before the thread waits for more. May be NULL. */
    void (*settled)(void *arg);
    /* Something that was sent to this node is probably lost. May be NULL. */
    void (*lost)(void *arg, uint64_t id);
    /* Whether this node may talk to us: *refusal, which is NONE before. A failure: nobody knows,
     * the connection is closed and the node tries again. NULL: all but those that were removed. */
    enum status (*admit)(void *arg, const struct peers_visitor *v, enum peermsg_refusal *refusal);
    /* That node has admitted us. Said with each of its answers to HELLO. May be NULL. */
    void (*admitted)(void *arg, uint64_t id);
    /* A connection for snapshots; NULL: there are none. */
    void (*bulk)(void *arg, const struct peers_caller *caller);
};

/* Listens; the thread starts with peers_start. `err` says what went wrong. */
NODISCARD enum status peers_open(const struct peers_options *o, struct peers **peers,
                                 struct err *err);
NODISCARD enum status peers_start(struct peers *p);
/* Ends the thread, and every connection. NULL is harmless. */
void peers_close(struct peers *p);

/* Where it listens, as bound. */
struct env_addr peers_address(const struct peers *p);

/* There is such a node; family 0: it will tell its address when it dials us. ST_TOOBIG: too many.
 * Its own id is ignored. */
NODISCARD enum status peers_set(struct peers *p, uint64_t id, const struct env_addr *addr);
/* Talk to it no more, until peers_set, or until another life of it calls: it may have been added
 * again, and lead, while we were behind. */
void peers_remove(struct peers *p, uint64_t id, uint64_t incarnation);
/* Where that node is reached. False: not known. */
bool peers_find(struct peers *p, uint64_t id, struct env_addr *addr);

/* Encodes the message for m->to. ST_OK: queued, peers_flush sends it. Else it is lost, and `lost`
 * will say so: ST_BUSY the queue is full, ST_NOTCONN there is no connection, ST_NOENT no such node,
 * NOMEM, TOOBIG. */
NODISCARD enum status peers_send(struct peers *p, const struct raft_msg *m,
                                 const struct raft_entry *entries);
/* What was queued leaves now, as far as the sockets take it. At the end of a sender's turn. */
void peers_flush(struct peers *p);
/* There is room again for what `deliver` refused. */
void peers_resume(struct peers *p);

/* ---- for people ---- */

struct peers_stats {
    uint64_t id;
    struct env_addr addr;
    bool removed;
    bool up;             /* what it is sent gets there */
    bool heard;          /* what it sends comes in */
    uint64_t queued;     /* bytes that wait */
    uint64_t sent;       /* messages, ever */
    uint64_t sent_bytes; /* of their frames */
    uint64_t dropped;    /* messages that were never queued */
    uint64_t received;
    uint64_t received_bytes;
    uint64_t dials;
    uint64_t connects; /* dials that came to be connections */
    uint64_t replaced; /* connections from it that a newer one took the place of */
    uint64_t rtt_ns;   /* of the last HELLO */
};

struct peers_totals {
    uint64_t accepted;
    uint64_t refused[PEERMSG_REFUSAL_REMOVED + 1]; /* by enum peermsg_refusal; [0]: all others */
    uint64_t garbage;                              /* connections closed for what they said */
    uint64_t crowded;                              /* closed, for too many had not said who */
};

/* At most `most` rows, ascending by id; returns how many. `totals` may be NULL. */
size_t peers_stats(struct peers *p, struct peers_stats *rows, size_t most,
                   struct peers_totals *totals);

#endif
