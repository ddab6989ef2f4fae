/* raftstate.h - what the log says, apart from its bytes: where it begins and ends, its terms, its
 * configurations, hard state, snapshot mark, and where on disk its entries lie.
 *
 * Recovery and appending go through the same few steps, so that what is read back is what was
 * said. Steps cannot fail: what they need is reserved before (raftstate_reserve).
 *
 * Invariants (raftstate_check): S1 base <= snapshot <= last   S2 runs ascend in index and term,
 * cover (base, last] and nothing else   S3 configurations ascend and lie in (snapshot, last]. Not
 * synchronized. */
#ifndef RAFT_RAFTSTATE_H
#define RAFT_RAFTSTATE_H

#include "raft/raftlogfmt.h"
#include "raft/raftplaces.h"

/* A configuration entry; newest first. */
struct raftstate_config {
    struct raftstate_config *older;
    struct raft_place place;
    bool lost; /* its content is damaged */
    size_t size;
    char data[];
};

struct raftstate {
    struct env *env; /* borrowed */
    struct raft_hard hard;
    struct raft_place base;
    struct raft_place last;
    struct raft_place snapshot;
    size_t snapshot_size; /* 0: lost */
    char snapshot_config[RAFTLOG_CONFIG_MAX];
    struct raftstate_config *configs; /* owned; newest first */
    uint64_t cut_sequence;            /* as in struct raftlogfmt_info */
    uint64_t cut_from;
    uint64_t cut_before;
    struct raft_run *runs; /* owned; of [run_head, run_head + run_count) */
    size_t run_head;
    size_t run_count;
    size_t run_cap;
    struct raftplaces places;
};

void raftstate_init(struct raftstate *s, struct env *env);
void raftstate_release(struct raftstate *s);

/* Room for n entries of as many terms. */
NODISCARD enum status raftstate_reserve(struct raftstate *s, size_t runs, size_t places);

/* A configuration to be entered later; NULL: refused. Freed by env_release if it is not. */
struct raftstate_config *raftstate_config_new(struct env *env, const struct raft_place *place,
                                              struct slice data);

/* The entry behind the last one. One reserved run. */
void raftstate_entry(struct raftstate *s, const struct raft_place *place);
/* Whether a damaged entry, whose term may be a lower bound, can have had this one. */
bool raftstate_repairable(const struct raftstate *s, const struct raft_place *place);
/* A damaged entry whose term may have been a lower bound has this one. One reserved run. */
void raftstate_repair(struct raftstate *s, const struct raft_place *place);
/* An entry of the log is a configuration, maybe one whose content was lost; takes c,
 * or frees it when the snapshot covers it. */
void raftstate_config(struct raftstate *s, struct raftstate_config *c);
/* Entries from index on go, in the group of that sequence. */
void raftstate_truncate(struct raftstate *s, uint64_t from, uint64_t sequence);
/* The snapshot mark moves. config.size 0: lost. */
void raftstate_snapshot(struct raftstate *s, const struct raft_place *place, struct slice config,
                        bool keep, uint64_t sequence);
/* The log begins behind place now. */
void raftstate_compact(struct raftstate *s, const struct raft_place *place);

/* The term of an entry in [base, last]. */
uint64_t raftstate_term(const struct raftstate *s, uint64_t index);
/* Where the run of terms that index is in begins; index itself at the base. */
uint64_t raftstate_run(const struct raftstate *s, uint64_t index);

/* The runs, ascending. */
static inline const struct raft_run *raftstate_runs(const struct raftstate *s)
{
    return s->run_count > 0 ? s->runs + s->run_head : NULL;
}

/* Fills in what the state says into the info of a group that ends here, and the block's
 * configurations (borrowed from s). */
void raftstate_tell(const struct raftstate *s, struct raftlogfmt_block *b);

bool raftstate_check(const struct raftstate *s);

#endif
