/* envscript.h - random scripts of Env calls, and a player that writes down what came of each call.
 *
 * A script is a function of its seed alone. The log of a play is text, a line a call: "call =
 * result". Two worlds that behave alike give the same log. What is normalised, and nothing else:
 *
 *   - descriptors are written relative to the lowest one that was free at the start
 *   - ports are not written; a connection's peer is named by the script's own slot
 *   - connect: decided at once (ST_OK) counts as ST_INPROGRESS
 *   - a transfer over a socket is repeated until it is whole, would block, ended or failed
 *   - events of several waits are joined and sorted (batches may be cut and permuted)
 *   - connections send at once (ENV_OPT_NODELAY): bytes held back are not a quiet state
 *   - names of a directory are sorted; a directory's own link count is not looked at
 *   - a poller is not watched by a poller, and what is no poller is not woken: both are bugs
 *
 * Determinism: after each call that may send something the world is asked to settle. */
#ifndef TESTS_ENV_ENVSCRIPT_H
#define TESTS_ENV_ENVSCRIPT_H

#include "base/buf.h"
#include "env/env.h"

#define ENVSCRIPT_SLOTS 14 /* descriptors that a script knows */
#define ENVSCRIPT_CALLS 40 /* at most */

enum envscript_code {
    CALL_OPEN,
    CALL_PREAD,
    CALL_PWRITE,
    CALL_APPEND,
    CALL_SYNC,
    CALL_DATASYNC,
    CALL_TRUNCATE,
    CALL_ALLOCATE,
    CALL_SIZE,
    CALL_WRITEBACK,
    CALL_CLOSE,
    CALL_MKDIR,
    CALL_LIST,
    CALL_DIRSYNC,
    CALL_STAT,
    CALL_RENAME,
    CALL_LINK,
    CALL_REMOVE,
    CALL_LOCK,
    CALL_SPACE,
    CALL_LISTEN,
    CALL_RELISTEN, /* on the port that slot b has or had */
    CALL_CONNECT,
    CALL_ACCEPT,
    CALL_ERROR,
    CALL_SEND,
    CALL_RECEIVE,
    CALL_FLOOD, /* fills a connection, then empties it at the other end */
    CALL_SHUTDOWN,
    CALL_OPTION,
    CALL_LOCAL,
    CALL_POLLER,
    CALL_INTEREST,
    CALL_POLL,
    CALL_WAKE,
    CALL_STOP,
    CALL_CODES
};

struct envscript_call {
    enum envscript_code code;
    int a, b; /* slots */
    const char *path, *to;
    unsigned flags;
    uint64_t x, y;
};

struct envscript {
    uint64_t seed;
    struct envscript_call calls[ENVSCRIPT_CALLS];
    size_t count;
};

void envscript_make(struct envscript *s, uint64_t seed);

/* What a world does besides its Env. */
struct envscript_world {
    struct env *env;
    void *arg;
    /* Waits until what was sent has arrived; `acked`: and a late acknowledgement has too. */
    void (*settle)(void *arg, bool acked);
    void (*request_stop)(void *arg); /* of env */
};

/* Plays it in an empty directory; everything is closed again afterwards. */
void envscript_play(const struct envscript *s, const struct envscript_world *w, struct buf *log);

#endif
