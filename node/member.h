/* member.h - one node of a group as `tinykv serve --id` runs it: the replica (replica.h), the
 * connections to the other nodes (peers.h), and what it knows of itself and them (roster.h).
 *
 *     member_open     locks the directory, makes the node's data or opens them, listens
 *     member_start    the threads
 *     member_replica  takes requests (replica_submit)
 *     member_stop     the threads end; every request is done() with
 *     member_close
 *
 * Whose disk is it? A founder that lost its disk could vote again, and undo what it once promised.
 * So each disk has a number, drawn when its data are made and said in each HELLO. A member
 * remembers, durably, on which disk it first met each other member, and refuses it on another. And
 * a founder says nothing to anybody before all other founders have noted its disk: whatever it ever
 * promised, it promised under a disk that all of them know.
 *
 * Invariants (tests/node/test_member.c)
 *   I1  a message leaves a founder only when every other one has its disk noted durably
 *   I2  data of another node, cluster or disk never run
 *
 * Failure: what it says goes to err, for a person. Ownership: opt is borrowed until member_close.
 * Threads: those of replica and peers; calls from one. */
#ifndef NODE_MEMBER_H
#define NODE_MEMBER_H

#include "node/memberview.h"
#include "node/nodeopt.h"
#include "node/replica.h"

struct member;

/* opt->id is not 0. */
NODISCARD enum status member_open(struct env *env, const struct nodeopt *opt, struct member **m,
                                  struct err *err);
NODISCARD enum status member_start(struct member *m, struct err *err);
struct replica *member_replica(struct member *m);
void member_stop(struct member *m);
/* After member_stop, or without member_start. NULL is harmless. */
NODISCARD enum status member_close(struct member *m);

/* From any thread. */
void member_look(void *member, struct memberview *v);

/* Where it takes other nodes; family 0: it does not. */
struct env_addr member_address(const struct member *m);

#endif
