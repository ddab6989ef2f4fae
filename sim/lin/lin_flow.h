/* lin_flow.h - zones of one key while its operations come in. Internal to sim/lin.
 *
 * As long as every value is written once and nothing but reads and plain writes happens, a key
 * needs no search: of each block (a write and its reads) the least return f and the greatest call
 * s are kept. A must come before B when f(A) < s(B), and there is no order exactly when two blocks
 * must come before each other. f is set by the first return and never changes; s grows, and only
 * when an operation returns. So the only question at a return is whether a block B other than
 * its own has s(B) > f and f(B) < s.
 *
 * A block that must come before another one that is over is dead: nobody can read it any more but
 * reads that were open when it died. When those are gone it is forgotten, unless a block that is
 * kept must come before it. What is forgotten comes before all that is kept, in any order of the
 * whole, so a search that begins with the kept operations alone gives the same answers: that is
 * how a key goes over to search when a value is written twice, or something else happens to it.
 * Of a block only three operations are kept: the write, the first to return, the last called. A
 * read that lies between them has a place wherever they have theirs. */
#ifndef SIM_LIN_LIN_FLOW_H
#define SIM_LIN_LIN_FLOW_H

#include "sim/lin/lin_rec.h"

/* One operation on one key, on its way: first for its call, then for its return. */
struct lin_pending {
    struct lin_pending *next; /* of the spare ones */
    struct lin_rec rec;
    struct lin_sub *subs; /* owned; what a scan or batch does to the key */
    uint32_t sub_count;
    uint32_t slot; /* in a search; in a flow the generation of a read */
    uint64_t number;
    bool called;
    bool queued;  /* an event of it is still to come */
    uint8_t held; /* by a block, so many times */
};

struct lin_block {
    int64_t first_ret;         /* INT64_MAX: no operation of it has returned */
    int64_t last_call;         /* of those that have, and of the write */
    struct lin_pending *write; /* NULL: the first value */
    struct lin_pending *first; /* to return */
    struct lin_pending *last;  /* called */
    uint32_t value;
    uint32_t serial;
    bool dead;
    bool keep; /* while the dead are forgotten */
};

struct lin_flow {
    struct mem *mem;
    struct lin_block *blocks;
    size_t count;
    size_t cap;
    uint32_t *table; /* of places + 1 in blocks, by value */
    uint32_t table_count;
    int64_t top;    /* the greatest last_call of blocks with a return, */
    int64_t second; /* the greatest of the others, */
    int64_t gone;   /* and of those forgotten */
    uint32_t top_serial;
    uint32_t next_serial;
    uint32_t generation;
    uint32_t reads_old; /* open reads of the generation before this */
    uint32_t reads_new;
    size_t tidy_at;            /* blocks from which forgetting is worth a look */
    struct lin_pending *freed; /* let go of, for the owner to take */
};

/* Begins with a block of the first value. Zeroes *f first; release in every case. */
NODISCARD enum status lin_flow_start(struct lin_flow *f, struct mem *mem, uint32_t init);

/* Lets go of everything that is held. */
void lin_flow_release(struct lin_flow *f);

/* True for operations that a flow can take. */
bool lin_flow_suits(const struct lin_pending *p);

/* A call. *fits: false when the value has a block already; then nothing changed. */
NODISCARD enum status lin_flow_call(struct lin_flow *f, struct lin_pending *p, bool *fits);

/* A return; false when there is no order any more. */
bool lin_flow_return(struct lin_flow *f, struct lin_pending *p);

/* The first value, or LIN_NONE when it is forgotten. */
uint32_t lin_flow_init(const struct lin_flow *f);

/* The block values were given other numbers. */
void lin_flow_reindex(struct lin_flow *f);

#endif
