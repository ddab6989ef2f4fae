/* intake.h - what comes in on a connection, made into jobs: RESP or protobuf, as its first bytes
 * say.
 *
 * Invariants (tests/node/test_pbfront.c, tests/node/test_node.c)
 *   I1  a connection speaks one protocol from its first byte to its last
 *   I2  each request there is becomes one job, in order; framing that is lost becomes a last one
 *       that says so
 * Failure: ST_NOMEM, ST_CORRUPT (a browser that was tricked into posting here): close.
 * Ownership: a job is the caller's. Threads: the reactor's. */
#ifndef NODE_INTAKE_H
#define NODE_INTAKE_H

#include "node/nodeopt.h"
#include "node/pbfront.h"

struct intake {
    struct mem *mem; /* borrowed */
    bool known;      /* who speaks */
    bool lost;       /* framing is: nothing more comes */
    enum frame_speaker who;
    struct resp_parser resp;
    struct frame_reader frames;
    struct conn_out hello; /* our preamble */
    char preamble[FRAME_PREAMBLE_SIZE];
};

void intake_init(struct intake *in, struct mem *mem);

/* After its conn was released. */
void intake_release(struct intake *in);

/* Takes the next request off the connection's input. ST_OK: *job, or NULL when there was nothing to
 * answer. ST_AGAIN: not all there yet. */
NODISCARD enum status intake_take(struct intake *in, struct pbfront *pb, struct conn *conn,
                                  const struct nodeopt_live *live, uint64_t now_ns,
                                  struct job **job);

/* How many bytes, beyond those that are there, are surely missing. */
size_t intake_missing(const struct intake *in, size_t size);

#endif
