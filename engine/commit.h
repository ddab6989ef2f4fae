/* commit.h - how a change gets in: the queue of writers, groups of them, and log rotation.
 *
 * Writers queue. When nobody leads, one of them does: it makes room (a new memtable and log when
 * the present one is full; it waits while too much waits to be flushed or compacted, and is slowed
 * down before that), takes as many from the front of the queue as are reasonable, writes one record
 * for each batch in one append, syncs once if any of them wants that, puts the entries into the
 * active table, makes them visible by raising the sequence, and wakes the others. Everything that
 * can fail for lack of memory is done before the log is touched.
 *
 * Writers that sync in a loop would fall into two groups that take turns: who has just been woken
 * is not back yet when the next one leads. So before a sync a leader waits for as many as were seen
 * around the last one, for a part of the time that syncs take at most.
 *
 * Groups have numbers, and two conditions take turns: a commit waits on that of its group, or, when
 * it is in none, of the next one. So one call wakes all of a group, without the mutex.
 *
 * Invariants
 *   C1  a record is in the log, and synced if that was asked for, before its changes are visible
 *   C2  after a failed append or sync nothing is appended to that log (db_break)
 *   C3  the log being left is synced to its end before the next one exists (so no later change
 *       can survive an earlier one)
 *
 *   C4  tags never go down from one change to the next (TKV_INVALID)
 *   C5  who waits for the background is told when an attempt of it fails
 *
 * Failure: the group's writers all get the status; none of their changes becomes visible. */
#ifndef ENGINE_COMMIT_H
#define ENGINE_COMMIT_H

#include "engine/db.h"

/* One request; lives on its caller's stack. Zero it, fill the first part, run it. */
struct commit {
    struct slice batch; /* encoded; or else, when count is 1, a single change: */
    struct batch_entry entry;
    uint32_t count; /* changes; 0: nothing but what follows */
    bool sync;      /* of the log; without a log the caller flushes afterwards */
    bool rotate;    /* leave the active table, if it holds anything; count is 0 */
    uint64_t tag;   /* 0: none */

    uint64_t sequence; /* out: of its last change; for a rotation the last number given before it */

    /* private */
    struct list link;
    bool taken; /* by group `round` */
    bool done;
    uint64_t round;
    enum status st;
    uint64_t first;              /* sequence */
    struct memtable_node *nodes; /* made, not linked */
    uint64_t end;                /* offset behind its record in the log */
};

/* Makes and gives back the conditions that writers wait for. */
void commit_init(struct tkv *db);
void commit_release(struct tkv *db);

NODISCARD enum status commit_run(struct tkv *db, struct commit *c);

#endif
