/* contract.h - what the engine's directory may hold after a crash: contracts E1 to E8 as a model.
 *
 * The node says when it commits a batch and how that ended (env/note.h). The model keeps the
 * batches in commit order and, for each, a hash of the whole database after it; so a recovered view
 * is judged by looking for its hash among the states that are allowed:
 *   E1  prefix        the view is the state after some batch n, in order
 *   E2  durability    n is at least the last batch acknowledged with sync (power loss), or the last
 *       acknowledged at all (process death, E8)
 *   E3  atomicity     follows: there is no state between two batches
 *   E4  fate          what a recovery served is never undone: contract_decided raises the bound
 *   E5  failed write  a batch that failed is absent, or whole at its place
 * The hash of a map is the sum of its entries' hashes, so it is updated in O(1) a change. */
#ifndef SIM_CLUSTER_CONTRACT_H
#define SIM_CLUSTER_CONTRACT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Two independent 64-bit sums. */
struct contract_hash {
    uint64_t a, b;
};

/* Adds an entry to a view's hash; subtracting is the same with sign -1. */
void contract_hash_add(struct contract_hash *h, struct slice key, struct slice value, int sign);

enum contract_outcome { CONTRACT_PENDING, CONTRACT_OK, CONTRACT_FAILED, CONTRACT_LOST };

struct contract_commit {
    enum contract_outcome outcome;
    bool sync;
    uint64_t sequence; /* of its last change; 0 unknown */
    size_t at;         /* of its encoded batch in contract.batches */
    size_t size;
    struct contract_hash after; /* the state once it is applied at its place */
};

struct contract_cell {
    uint64_t key_a, key_b; /* identity of the key; 0,0: empty */
    bool present;
    struct contract_hash entry; /* of (key, value) */
};

struct contract_undo {
    uint64_t key_a, key_b;
    bool present;
    struct contract_hash entry;
};

struct contract {
    struct mem *mem;
    struct buf batches;
    struct contract_commit *commits;
    size_t count;
    size_t cap;
    size_t synced; /* commits [0, synced) must survive a power loss */
    size_t acked;  /* commits [0, acked) must survive a process death */
    /* the state after every commit that is OK or pending */
    struct contract_cell *cells;
    size_t cell_count;
    size_t cell_cap; /* a power of two */
    struct contract_hash state;
    struct contract_undo *undo; /* of the pending commit */
    size_t undo_count;
    size_t undo_cap;
};

void contract_init(struct contract *c, struct mem *mem);
void contract_release(struct contract *c);

/* The node is about to commit this encoded batch. At most one is pending. */
void contract_begin(struct contract *c, struct slice batch, bool sync);
void contract_end(struct contract *c, enum status st, uint64_t sequence);

struct contract_view {
    struct contract_hash hash;
    uint64_t entries;
    uint64_t sequence; /* the engine's, after recovery */
};

/* Judges a view recovered after a power loss (or, else, after a process death only). ST_OK and *n =
 * the number of commits it holds, or ST_CORRUPT with what is wrong (class "E1 prefix" or "E2
 * durability"). */
enum status contract_judge(const struct contract *c, const struct contract_view *v, bool power,
                           size_t *n, const char **class, struct err *why);

/* A recovery that serves has found n commits: the rest never was, and these are durable. */
/* True when the last of them was in doubt until now. */
bool contract_decided(struct contract *c, size_t n);

/* Says where a view (pairs in key order, encoded by contract_pair) differs from the state after n.
 */
void contract_explain(const struct contract *c, size_t n, struct slice pairs, struct err *why);
/* Appends a pair in the form that contract_explain reads. */
NODISCARD enum status contract_pair(struct buf *out, struct slice key, struct slice value);

#endif
