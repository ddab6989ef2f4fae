/* raftwalk_step.h - the single steps of a recovery: each brings the log's state on, and either
 * notes where an entry lies or, when the last group is laid down again, puts a record for it.
 *
 * Steps are given what was parsed; false from a step: this does not fit, nothing has changed.
 * Failure: ST_NOMEM is kept in `st`; steps do nothing then. */
#ifndef RAFT_RAFTWALK_STEP_H
#define RAFT_RAFTWALK_STEP_H

#include "raft/raftwalk.h"

struct raftwalk_step {
    struct raftwalk *walk;
    uint64_t sequence; /* of the group */
    bool doubt;        /* what is lost is in doubt */
    bool told;         /* runs has the terms of what is lost, as a block does */
    struct slice runs;
    enum status st;
};

/* One record of a group, in its order. */
bool raftwalk_step_record(struct raftwalk_step *s, const struct raftlogfmt_record *r,
                          uint64_t offset);

/* The log's last entry becomes `last`, whose run of terms begins at `run`: what is missing is lost,
 * but for entries found in [from, to) of the file in groups of sequences [lo, hi]; from == to: none
 * are looked for. */
void raftwalk_step_lose(struct raftwalk_step *s, const struct raft_place *last, uint64_t run,
                        uint64_t from, uint64_t to, uint64_t lo, uint64_t hi);

bool raftwalk_step_truncate(struct raftwalk_step *s, uint64_t from);
bool raftwalk_step_snapshot(struct raftwalk_step *s, const struct raft_place *place,
                            struct slice config, bool keep);
bool raftwalk_step_compact(struct raftwalk_step *s, const struct raft_place *place);
/* The latest configuration entry is at index, of that term and content (empty: lost). */
void raftwalk_step_config(struct raftwalk_step *s, const struct raft_place *place,
                          struct slice data);

#endif
