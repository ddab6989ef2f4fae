/* raftlog_impl.h - the inside of struct raftlog, for raft/raftlog*.c.
 *
 * `m` guards everything but what is the writer's: `seg` and what it holds, but for seg.number and
 * seg.failed, which change under `m` and are read by others under it. */
#ifndef RAFT_RAFTLOG_IMPL_H
#define RAFT_RAFTLOG_IMPL_H

#include "raft/raftseg.h"
#include "raft/raftstate.h"

/* A file that holds groups. */
struct raftlog_file {
    uint64_t number;
    uint64_t size;
    uint32_t epoch;
    uint32_t sector;
};

struct raftlog {
    struct env *env; /* borrowed */
    char *dir;       /* owned */
    struct raftlog_options options;
    struct raftlog_identity identity;
    struct env_mutex m;
    struct raftstate state;
    struct raftstage stage;
    uint64_t appended; /* seq of the last write taken */
    uint64_t durable;
    uint64_t sequence; /* of the last group begun */
    uint64_t floor;    /* segments below are not needed by the state as it is appended */
    uint64_t done;     /* nor by the state that is durable */
    bool broken;
    struct raftlog_file *files; /* owned; ascending */
    size_t file_count;
    size_t file_cap;
    uint64_t number; /* of the present segment */
    uint64_t groups;
    uint64_t written;
    bool ready;       /* the next segment is */
    uint64_t indexed; /* the places go on, record by record, up to this entry; 0: they do not */
    /* the writer's */
    struct raftseg seg;
    /* what recovery found; owned */
    struct raftlog_start start;
    struct raft_run *start_runs;
    struct raftlog_config *start_configs;
    struct raftlog_fault *start_faults;
};

/* Options with the defaults filled in. ST_INVAL: out of their ranges. */
NODISCARD enum status raftlog_defaults(const struct raftlog_options *from,
                                       struct raftlog_options *to);

/* An empty one: no files, nothing durable. ST_NOMEM. */
NODISCARD enum status raftlog_make(struct env *env, const char *dir,
                                   const struct raftlog_options *options,
                                   const struct raftlog_identity *identity, struct raftlog **log);
/* Frees it as it is. */
void raftlog_drop(struct raftlog *log);

/* Room for records of so many bytes with so many entries, runs and places. With m held. */
NODISCARD enum status raftlog_reserve(struct raftlog *log, uint64_t bytes, size_t entries,
                                      size_t places);
/* Begins a group if none is open, or if that is full: of bytes, or of runs of terms. With m held.
 */
void raftlog_group(struct raftlog *log, uint64_t bytes, size_t runs);
/* Room for one more file. With m held. */
NODISCARD enum status raftlog_sync_reserve(struct raftlog *log);
/* Writes the first group, which is closed, in a new segment if it has to or if `fresh`; without m.
 */
NODISCARD enum status raftlog_sync_group(struct raftlog *log, struct raftstage_group *g,
                                         bool fresh);
/* Closes the open group: it says what the state is now. With m held. */
void raftlog_close_group(struct raftlog *log);

/* raftlog_peek. */
NODISCARD enum status raftlog_read_cached(struct raftlog *log, uint64_t lo, uint64_t hi,
                                          size_t max_bytes, struct raftlog_batch *batch);

#endif
