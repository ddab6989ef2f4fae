/* once.h - sessions of clients, by which a request is carried out once however often it is sent.
 *
 * A client opens a session, numbers its writes in it, and sends one again, with its number, when it
 * did not hear how it ended, to any node. The first execution stores its reply; a repetition gets
 * that (dissertation 6.3). All of it is rows of the database behind the reserved prefix, written
 * in the same batch as the effects: so it is the same on every node, and in every snapshot.
 *
 *     ff ff 'n'                 how many sessions there are      u64
 *     ff ff 's' id              a session                        version, use, floor, last
 *     ff ff 'u' use id          the same, by last use            empty
 *     ff ff 'r' id sequence     a reply that may be asked again  RESP3; empty: not kept
 *
 * `use` is the index of the log entry that last used it; nothing here reads a clock. To spare
 * writes it is brought up to date only when it is ONCE_USE_STEP behind. When there are too
 * many sessions, the one that was used longest ago goes, and its client is told so: a session that
 * is gone is an error, never a second execution.
 *
 * Invariants (tests/node/test_once.c, tests/node/test_statemachine.c)
 *   I1  a sequence number of a session is executed at most once
 *   I2  rows 'r' of a session lie in [floor, floor + ONCE_WINDOW)
 *   I3  'n' is the number of rows 's', and of rows 'u', and these name the same sessions
 *
 * Failure: what the view says, and ST_CORRUPT for rows that are none; what was done so far is to
 * be taken back by the caller (overlay_undo).
 * Determinism: a function of the rows and the arguments. */
#ifndef NODE_ONCE_H
#define NODE_ONCE_H

#include "base/buf.h"
#include "node/view.h"

#define ONCE_WINDOW       1024u /* sequence numbers of a session that may be unanswered */
#define ONCE_USE_STEP     1024u /* log entries */
#define ONCE_SEQUENCE_MAX ((uint64_t)INT64_MAX)
#define ONCE_REPLY_MAX    (64u * 1024u) /* larger replies are not kept */

/* The entry that is being executed. */
struct once {
    struct view *view; /* borrowed */
    uint64_t index;    /* of the entry */
    uint64_t salt;     /* differs between requests, the same on every node */
    bool counted;      /* out: there are more or fewer sessions now */
};

enum once_verdict {
    ONCE_NEW = 1,   /* execute it, then once_end */
    ONCE_REPEAT,    /* it was executed: this was the reply */
    ONCE_DROPPED,   /* it was executed, and its reply was too large to keep */
    ONCE_FORGOTTEN, /* the client had said that it has the reply; or it is too far back */
    ONCE_EXPIRED,   /* there is no such session, any more or at all */
};

/* A request in a session, from once_begin to once_end. */
struct once_request {
    uint64_t session;
    uint64_t sequence;
    uint64_t answered;
    /* the row */
    uint64_t use;
    uint64_t floor; /* replies below it are forgotten */
    uint64_t last;  /* the highest sequence number that was executed */
};

/* session, sequence and answered are the caller's. With ONCE_REPEAT the reply is appended. */
NODISCARD enum status once_begin(struct once *o, struct once_request *r, struct buf *reply,
                                 enum once_verdict *verdict);

/* The request was executed: keeps its reply, forgets those that are not needed any more. */
NODISCARD enum status once_end(struct once *o, struct once_request *r, struct slice reply);

/* Opens a session; when there are `most` or more, others go. */
NODISCARD enum status once_open(struct once *o, uint64_t most, uint64_t *session);

/* ST_NOENT: there is none. */
NODISCARD enum status once_renew(struct once *o, uint64_t session);
NODISCARD enum status once_close(struct once *o, uint64_t session);

/* How many there are. */
NODISCARD enum status once_count(struct once *o, uint64_t *count);

#endif
