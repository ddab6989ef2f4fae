/* explore.h - every interleaving of a small Raft group, breadth first.
 *
 * A world is a handful of cores (raft/raft.h), their disks, and a bounded set of messages in
 * flight. Time stands still: that an election timeout or a heartbeat comes is a move like any
 * other. From each state every possible move is made once; states that differ only in which node
 * has which number count as one. Invariants are checked after each move, and the first violation
 * comes with a shortest run that leads to it.
 *
 * A preset says how much may happen (terms, crashes, proposals ...). Within these bounds the search
 * is complete, but for what a full net loses and for moves that do not fit into the world's other
 * rooms (entries, writes); both are counted.
 *
 * Moves: a timeout, a heartbeat, a message arrives (or arrives and stays), a write
 * becomes durable, a crash with restart, a proposal, a change of members, a read. Losing a message
 * is the same as never delivering it, and no move; a net that is full loses one of the earliest
 * term in it.
 *
 * Invariants (letters as in docs/raft.md): ES VD LM LC SM DU CM RD, and that no core refuses an
 * event.
 *
 * Failure: no memory ends the search with what was found so far. Determinism: a function of the
 * preset and the limits. */
#ifndef SIM_EXPLORE_EXPLORE_H
#define SIM_EXPLORE_EXPLORE_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct explore_preset;

/* By name; NULL: there is none. */
const struct explore_preset *explore_find(const char *name);
/* The i-th; NULL behind the last. */
const struct explore_preset *explore_at(unsigned i);
const char *explore_name(const struct explore_preset *p);
const char *explore_purpose(const struct explore_preset *p);

struct explore_progress {
    uint64_t states; /* different ones so far */
    uint64_t expanded;
    uint64_t moves;
    uint32_t depth; /* of those that are expanded now */
};

struct explore_options {
    uint64_t states_max; /* 0: none */
    uint32_t depth_max;  /* 0: none */
    /* Called now and then; false ends the search. May be NULL. */
    bool (*progress)(void *arg, const struct explore_progress *p);
    void *arg;
};

struct explore_result {
    enum status st; /* ST_OK, or ST_NOMEM: the search is not complete */
    bool complete;  /* every state within the bounds was expanded */
    bool violated;
    struct explore_progress end;
    uint64_t cut;  /* moves left out for want of room in the world */
    uint64_t lost; /* messages that a full net lost: of the earliest term in it */
    char what[160];
    uint32_t trace_moves;
    uint64_t reached; /* bits of enum explore_mark */
};

/* States worth having met: a search that met none of them proves little. */
enum explore_mark {
    EXPLORE_LEADER,
    EXPLORE_TWO_LEADERS, /* at a time, in different terms */
    EXPLORE_COMMITTED,
    EXPLORE_TRUNCATED, /* a durable entry was */
    EXPLORE_JOINT,
    EXPLORE_READ,
    EXPLORE_CRASHED_VOTE, /* a crash took a vote that was not durable */
    EXPLORE_MARKS
};
const char *explore_mark_name(enum explore_mark m);

/* Searches. The shortest run to a violation is appended to trace, a line a move. */
void explore_run(const struct explore_preset *p, const struct explore_options *o, struct mem *mem,
                 struct explore_result *result, struct buf *trace);

#endif
