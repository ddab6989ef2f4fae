/* raftwatch_int.h - what the files of the watch share. Included by sim/cluster/raftwatch*.c only.
 */
#ifndef SIM_CLUSTER_RAFTWATCH_INT_H
#define SIM_CLUSTER_RAFTWATCH_INT_H

#include "base/hash.h"
#include "sim/cluster/raftwatch.h"

#include <string.h>

#define U(x) ((unsigned long long)(x))

/* One entry as it was first written anywhere. */
struct raftwatch_entry {
    uint64_t term; /* 0: none seen */
    uint64_t prev; /* term of the entry before */
    uint64_t id;
    uint64_t committed; /* 1 + the term it was committed with; 0: not (yet). At the index's first */
    uint64_t committed_id;
    uint64_t other; /* 1 + the place in `others` of another entry of this index; 0: none */
};

/* A write on its way to the disk. Its runs are in the node's `runs_ahead`. */
struct raftwatch_write {
    uint64_t seq;
    struct raft_hard hard;
    struct raft_place place;
    uint64_t truncate;
    uint64_t hi;
    uint32_t runs; /* how many */
    bool has_hard;
    bool has_snapshot;
    bool keep;
};

/* A queue in an array: what is taken is moved out when it is half of it. */
struct raftwatch_queue {
    struct raftwatch_array a;
    size_t head;
};

struct raftwatch_node {
    uint64_t id;
    uint64_t incarnation;
    bool known;   /* D is */
    bool running; /* and the rest is of its process */
    bool doubt;   /* it died: some of `writes` may be on D */
    /* D */
    struct raft_hard hard;
    uint64_t based; /* D may begin anywhere up to here: what was compacted or installed */
    uint64_t floor; /* what is at or below is in a snapshot */
    uint64_t floor_term;
    uint64_t last;
    struct raftwatch_array runs;
    struct raftwatch_array votes; /* of a term: whom (pairs), ascending; what is on D */
    /* on its way there */
    struct raftwatch_queue writes;
    struct raftwatch_queue runs_ahead;
    struct raft_hard latest; /* with all of them */
    /* the process */
    uint8_t state;
    uint64_t term;
    uint64_t commit;
    uint64_t apply_next;
    uint64_t config_index;
    struct raft_config config;
};

/* The first one is kept. */
__attribute__((format(printf, 2, 3))) void raftwatch_violated(struct raftwatch *w,
                                                              const char *format, ...);

void *raftwatch_grow(struct raftwatch *w, struct raftwatch_array *a, size_t size);
void *raftwatch_queue_push(struct raftwatch *w, struct raftwatch_queue *q, size_t size);
struct raftwatch_entry *raftwatch_first_at(const struct raftwatch *w, uint64_t index);
struct raftwatch_entry *raftwatch_entry_of(const struct raftwatch *w, uint64_t index,
                                           uint64_t term);
uint64_t raftwatch_identity(const struct raft_item *item, uint64_t id);
void raftwatch_note_entry(struct raftwatch *w, struct raftwatch_node *n, uint64_t index,
                          uint64_t term, uint64_t prev, uint64_t id);
struct raftwatch_node *raftwatch_node_of(struct raftwatch *w, uint64_t id);
struct raftwatch_node *raftwatch_node_make(struct raftwatch *w, uint64_t id);
uint64_t raftwatch_disk_term(const struct raftwatch_node *n, uint64_t index);
bool raftwatch_disk_has(const struct raftwatch_node *n, uint64_t index, uint64_t term);
/* The next write that is on its way is on D; false: there is none. */
bool raftwatch_disk_next(struct raftwatch *w, struct raftwatch_node *n);
/* None of them is, nor will be. */
void raftwatch_disk_drop(struct raftwatch_node *n);
void raftwatch_disk_run(struct raftwatch *w, struct raftwatch_node *n, uint64_t first,
                        uint64_t term);
void raftwatch_disk_hard(struct raftwatch *w, struct raftwatch_node *n, struct raft_hard hard);

#endif
