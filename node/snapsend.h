/* snapsend.h - one snapshot on its way to one node: a thread, a connection, and as many tries as it
 * takes.
 *
 * Dial, HELLO, offer; the other side says where it stands, and chunks go from there, so many bytes
 * ahead of what it acknowledged and so many a second. When the connection breaks the next one goes
 * on at what is staged. It ends when the other side has everything durably, refuses it, or nothing
 * moved for give_up_ms.
 *
 * Invariants (tests/node/test_snapshot.c): I1 `done` is called once, with true only if the other
 * side has all of it durably   I2 at most window bytes are neither acknowledged nor lost
 * Failure: told by `done`, with a line in the log. Ownership: the set and the directory are
 * borrowed until snapsend_free. Threads: its own; start and free from one other. */
#ifndef NODE_SNAPSEND_H
#define NODE_SNAPSEND_H

#include "node/nodelog.h"
#include "node/snapset.h"

struct snapsend;

/* What is zero takes the default in brackets. */
struct snapsend_options {
    struct env *env; /* borrowed */
    enum env_log_level log_least;
    uint64_t cluster;
    uint64_t self;
    uint64_t incarnation;
    uint64_t life;
    uint64_t to;
    struct env_addr addr; /* where that node takes others */
    uint64_t term;        /* of the leader that sends it, and the session: raft.h */
    uint64_t session;
    const struct snapset *set;
    const char *dir;     /* where its files are */
    size_t chunk;        /* bytes [256 KiB] */
    size_t window;       /* [1 MiB] */
    uint64_t rate;       /* bytes a second; [no limit] */
    uint64_t connect_ms; /* [1000] */
    uint64_t reply_ms;   /* a reply takes no longer, with the other side's syncs [10000] */
    uint64_t retry_ms;   /* between two tries [200] */
    uint64_t give_up_ms; /* [60000] */
    void *arg;
    /* On the sender's thread; snapsend_free must not be called in it. */
    void (*done)(void *arg, uint64_t node, uint64_t session, bool ok);
};

NODISCARD enum status snapsend_start(const struct snapsend_options *o, struct snapsend **sender);
/* Ends it, done or not; `done` has been called when this returns. NULL is harmless. */
void snapsend_free(struct snapsend *s);

/* Bytes that the other side has, of how many; tries so far. */
void snapsend_progress(struct snapsend *s, uint64_t *bytes, uint64_t *of, uint64_t *tries);

#endif
