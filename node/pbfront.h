/* pbfront.h - protobuf at the client port: a Request becomes a job of the commands that there are,
 * and the job's reply becomes the Response.
 *
 * So both protocols go one way through the node, and what holds for commands (order, atomicity,
 * durability, sessions, undoing) holds for both. A request that no command stands in for is
 * answered at once; its job only waits for its turn. docs/format-pb.md has the table.
 *
 *     message --pbfront_job--> job (a command, or EXEC with its queue) --core--> reply in RESP3
 *             --pbfront_answer--> the same job, its reply a frame with a Response
 *
 * Invariants (tests/node/test_pbfront.c, tests/fuzz/fuzz_pbfront.c)
 *   I1  every message that is taken is answered by one Response with its id
 *   I2  a Response says NO_MEMORY, TOO_LARGE … only of what was not done; a reply that says that
 *       it is not known becomes UNKNOWN, and so does one that cannot be told
 *   I3  what is refused is refused before anything of it is executed
 *
 * Failure: ST_NOMEM, and then there is no job, or the reply cannot be told: close the connection.
 * Ownership: a message is borrowed for the call. Threads: the reactor's. Determinism: a function of
 * its arguments. */
#ifndef NODE_PBFRONT_H
#define NODE_PBFRONT_H

#include "net/frame.h"
#include "net/pbarena.h"
#include "net/pbmsg.h"
#include "net/respval.h"
#include "node/job.h"

#define PBFRONT_ARENA_MAX ((size_t)64 << 20) /* of a request's lists, or a response's */

struct pbfront {
    struct mem *mem; /* borrowed */
    struct pbarena arena;
    struct respval value;
};

void pbfront_init(struct pbfront *f, struct mem *mem);
void pbfront_release(struct pbfront *f);

/* Makes a job of a Request. now_ns: mono. */
NODISCARD enum status pbfront_job(struct pbfront *f, struct slice message, uint64_t now_ns,
                                  struct job **job);

/* Makes a job that says that framing is lost, after which the connection ends. */
NODISCARD enum status pbfront_job_lost(struct pbfront *f, enum frame_fault fault, struct job **job);

/* Puts the Response in the place of the reply, when the request came as protobuf. */
NODISCARD enum status pbfront_answer(struct pbfront *f, struct job *j);

#endif
