/* bulk.h - a connection between two nodes that is spoken over by waiting: for snapshots.
 *
 * Whoever sends or takes a snapshot has a thread for it, reads and writes files between two
 * messages, and may block; so this is the simple shape: say a message, hear a message, each until a
 * deadline. What is heard is framed and checked as everything from another node.
 *
 * Invariants (tests/node/test_snapshot.c): I1 messages arrive whole and in order, whatever short
 * reads and writes there are   I2 a wait ends at its deadline, or soon after bulk_wake when `stop`
 * says so I3 memory is taken for bytes that have come, not for lengths that were announced.
 * Failure: ST_TIMEOUT, ST_STOPPED, what the socket says, ST_CORRUPT and `why`; then the connection
 * is of no use: bulk_hang_up. Only after ST_TIMEOUT of bulk_hear it may be used on. Threads: one,
 * but for bulk_wake. Determinism: a function of what the Env answers. */
#ifndef NET_BULK_H
#define NET_BULK_H

#include "env/env.h"
#include "net/frame.h"
#include "net/pbarena.h"
#include "net/peermsg.h"

struct bulk {
    struct env *env; /* borrowed */
    bool (*stop)(void *arg);
    void *arg;
    int poller; /* owned; -1: none */
    int fd;     /* owned; -1: none */
    unsigned interest;
    bool hardware;
    size_t frame_max;
    struct frame_reader frames;
    struct buf in;
    size_t in_at;
    struct buf out;
    struct pbarena arena;
    const char *why;
};

/* stop is asked before each wait. ST_NOMEM, ST_MFILE; release it in every case. */
NODISCARD enum status bulk_init(struct bulk *b, struct env *env, size_t frame_max,
                                bool (*stop)(void *arg), void *arg);
/* Safe on a zeroed struct and twice. */
void bulk_release(struct bulk *b);

/* Connects and says the preamble. */
NODISCARD enum status bulk_dial(struct bulk *b, const struct env_addr *addr, uint64_t deadline_ns);
/* Goes on with a connection whose next bytes are `rest`; takes fd over, in every case. */
NODISCARD enum status bulk_adopt(struct bulk *b, int fd, struct slice rest);
/* Closes the connection; another may follow. */
void bulk_hang_up(struct bulk *b);

NODISCARD enum status bulk_say(struct bulk *b, const struct peermsg *m, uint64_t deadline_ns);
/* ST_STOPPED also when the other side closed. What m borrows lives until the next bulk_hear. */
NODISCARD enum status bulk_hear(struct bulk *b, struct peermsg *m, uint64_t deadline_ns);
/* Waits for nothing but time, or bulk_wake. */
NODISCARD enum status bulk_rest(struct bulk *b, uint64_t until_ns);

/* The present wait asks `stop` again. */
void bulk_wake(struct bulk *b);

#endif
