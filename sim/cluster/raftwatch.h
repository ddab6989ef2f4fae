/* raftwatch.h - the checks of a Raft group from outside: sees every step, write, send and start of
 * every node, and says when something that must hold did not.
 *
 * It keeps its own model of each node's disk (D: terms, hard state), of every entry ever written
 * (LM) and of what is committed, and reads the rest from the cores. It draws no choices and
 * changes nothing. It knows nothing of whoever steps the cores: a fixture in memory, the simulated
 * cluster, a search. Each call costs O(1) amortised, O(members) where a quorum is counted, and
 * O(entries) where entries are named.
 *
 * Checks (letters as in docs/raft.md, "What must hold")
 *   ES  one leader a term          VD  votes: one a term, on disk when they leave
 *   HS  terms on disk never go back, nothing is sent in a term above them
 *   LM  (index, term) has one entry and one predecessor
 *   AO  a leader never rewrites its log
 *   LC  a new leader has all that was committed in earlier terms
 *   SM  what is applied at i is what was first committed at i, in order; snapshots too
 *   DU  what is committed first is on the disks of a quorum
 *   CM  commit never goes back, a leader moves it onto its own term only
 *   MA  what a leader believes a peer to have, its disk has
 *   ME  configurations follow each other in steps whose quorums meet, one at a time
 *   RE  what a start is given is what the disk had
 *   RD  a read sees all that was committed when it was asked (LI at this level, and LE)
 * The first violation is kept in `what`; later calls do nothing.
 *
 * Damage: an entry that was durable and is damaged counts as being there (its place is kept); the
 * fault budget says how much of that is fair.
 *
 * Failure: out of memory is a violation of its own ("NOMEM"). Ownership: memory comes from `mem`.
 * Determinism: a function of what it is told. */
#ifndef SIM_CLUSTER_RAFTWATCH_H
#define SIM_CLUSTER_RAFTWATCH_H

#include "base/mem.h"
#include "raft/raft.h"

#define RAFTWATCH_NODES 64

struct raftwatch_node;
struct raftwatch_entry;

struct raftwatch_commit {
    uint64_t term;  /* of the leader that committed */
    uint64_t index; /* the most that it did */
};

/* A growing array. */
struct raftwatch_array {
    void *data;
    size_t count;
    size_t cap;
};

struct raftwatch {
    struct mem *mem; /* borrowed */
    struct raftwatch_node *nodes;
    uint32_t node_count;
    struct raftwatch_array entries; /* of struct raftwatch_entry: the first seen at each index, */
    uint64_t entries_from;          /* from this one on, */
    struct raftwatch_array others;  /* and entries of other terms there */
    struct raftwatch_array leaders; /* of a term: its leader (uint64_t pairs), a hash table */
    size_t leader_count;
    struct raftwatch_array commits; /* of struct raftwatch_commit, terms ascending */
    uint64_t committed;             /* the largest index that anybody has committed */
    uint64_t steps;
    char what[200]; /* the first violation; "": none */
};

void raftwatch_init(struct raftwatch *w, struct mem *mem);
void raftwatch_release(struct raftwatch *w);

static inline bool raftwatch_ok(const struct raftwatch *w)
{
    return w->what[0] == '\0';
}

/* A process of this node began with this start. The first one of a node is believed. */
void raftwatch_started(struct raftwatch *w, const struct raft *r, const struct raft_start *start);

/* A step is over (ST_OK). ids, if known, names the payloads of the entries of out->save. */
void raftwatch_stepped(struct raftwatch *w, const struct raft *r, const struct raft_event *event,
                       const struct raft_out *out, const uint64_t *ids);

/* The node's writes up to seq are on its disk (whether it has been told or not). */
void raftwatch_durable(struct raftwatch *w, uint64_t node, uint64_t seq);

/* A message of the node leaves it. */
void raftwatch_sent(struct raftwatch *w, const struct raft_msg *m);

/* The node's process is gone, and what was not durable with it. */
void raftwatch_crashed(struct raftwatch *w, uint64_t node);

/* The same, but what was on its way may be on the disk or not, up to some write: the next start
 * shows which. */
void raftwatch_died(struct raftwatch *w, uint64_t node);

/* Its disk is gone too: what starts under this id next is believed. */
void raftwatch_wiped(struct raftwatch *w, uint64_t node);

/* A read is asked somewhere now; the same number goes to _served when it is answered from what
 * this node has applied. */
uint64_t raftwatch_asked(const struct raftwatch *w);
void raftwatch_served(struct raftwatch *w, const struct raft *r, uint64_t asked);

/* The configuration by which that node acts, or acted when it died, and the index of its entry.
 * False: nothing is known of it, or it was wiped. */
bool raftwatch_config(const struct raftwatch *w, uint64_t node, const struct raft_config **config,
                      uint64_t *index);

/* What the entry at index was when it was committed, for state digests; 0: not committed yet, or
 * forgotten. */
uint64_t raftwatch_committed_id(const struct raftwatch *w, uint64_t index);

/* Nothing below index will be asked about any more. */
void raftwatch_forget(struct raftwatch *w, uint64_t index);

#endif
