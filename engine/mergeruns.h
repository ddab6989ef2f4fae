/* mergeruns.h - several runs as one, in internal order, both ways.
 *
 * A heap of the runs by their present entries. The first eight bytes of each key are kept beside
 * it, so that most comparisons touch no key; one run alone needs no heap.
 *
 * Invariants: every run that has an entry in the present direction is in the heap, its top is the
 * present entry; two runs never stand on equal (key, sequence).
 *
 * Failure: a run that fails ends the merge: `at` is NULL and `st` says why, never a silent gap. A
 * seek begins anew. Ownership: runs are the caller's; they must not move. */
#ifndef ENGINE_MERGERUNS_H
#define ENGINE_MERGERUNS_H

#include "engine/run.h"

struct mergeruns_place {
    uint64_t lead; /* the key's first bytes as a number; in bytewise order it decides most */
    struct run *run;
};

struct mergeruns {
    const struct entry *at; /* the present entry; NULL: none */
    enum status st;
    struct run *from; /* the run that it comes from */

    /* private */
    struct order order;
    struct run *runs;
    size_t count;
    struct mergeruns_place *heap; /* owned by the caller: room for count */
    size_t live;
    bool backward;
};

/* heap has room for count places; borrowed as runs are. Stands on nothing. */
void mergeruns_init(struct mergeruns *m, struct order order, struct run *runs, size_t count,
                    struct mergeruns_place *heap);

void mergeruns_first(struct mergeruns *m);
void mergeruns_last(struct mergeruns *m);
/* The first entry >= (key, sequence), forward from there. */
void mergeruns_seek(struct mergeruns *m, struct slice key, uint64_t sequence);
/* The last entry < (key, sequence), backward from there. */
void mergeruns_seek_before(struct mergeruns *m, struct slice key, uint64_t sequence);

/* One entry on in the present direction, of which the last seek decides. On an entry. */
void mergeruns_step(struct mergeruns *m);

/* Forward only, on an entry: every run that stands before (key, sequence) goes there. */
void mergeruns_skip(struct mergeruns *m, struct slice key, uint64_t sequence);

/* On an entry: the run that it comes from jumps, forward to the first entry >= (key, sequence) or,
 * going backward, to the last one < (key, sequence), which is not behind the present one. The key
 * is not the present entry's own. */
void mergeruns_jump(struct mergeruns *m, struct slice key, uint64_t sequence);

/* The message of the run that failed; returns st. err may be NULL. */
NODISCARD enum status mergeruns_error(const struct mergeruns *m, struct err *err);

#endif
