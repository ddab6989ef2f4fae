/* lin_graph.h - a proof of "no" across keys: a circle of operations each of which must come before
 * the next. Internal to sim/lin.
 *
 * Where a value of a key has one writer, it is known which write a look saw. Then four things force
 * an order: a look comes after the write that it saw; an operation that ended comes before those
 * that began later; an operation that overwrote what it saw comes after all others that saw it; and
 * of two blocks of a key (a write and its looks; blocks joined by such overwriting are a chain) one
 * comes before the other as a whole when any operation of it ended before one of the other began.
 * Scans and batches lie in blocks of several keys, so circles run through them. Times are chained
 * through nodes of their own, so that there are O(n) edges, not O(n^2).
 *
 * No circle proves nothing: the writes of a key whose order neither time nor a chain tells may
 * still have none. */
#ifndef SIM_LIN_LIN_GRAPH_H
#define SIM_LIN_LIN_GRAPH_H

#include "sim/lin/lin_split.h"

enum lin_reason {
    LIN_R_SAW,   /* b saw `value`, which a wrote */
    LIN_R_TIME,  /* a ended before b began */
    LIN_R_OVER,  /* a saw `value`, which b overwrote having seen it, too */
    LIN_R_BLOCK, /* a belongs to a value of the key that comes before that of b: see first, then */
};

/* One step of the circle; the last one leads back to the first. */
struct lin_link {
    uint32_t place; /* in the history: this operation comes before that of the next link */
    enum lin_reason reason;
    uint32_t key;
    uint32_t value;
    uint32_t first; /* LIN_R_BLOCK: `first` (of a's value) ended before `then` (of b's) began; */
    uint32_t then;  /* LIN_NONE: a's is the value at first */
};

struct lin_circle {
    struct mem *mem;
    struct lin_link *links;
    size_t count;
    uint32_t *more; /* operations that the reasons rest on besides */
    size_t more_count;
    size_t more_cap;
};

/* The shortest circle of a part; none when count is 0. Zeroes *c first, release in every case. */
NODISCARD enum status lin_graph_check(const struct lin_history *h, const struct lin_split *s,
                                      const struct lin_part *part, struct lin_circle *c);
void lin_circle_release(struct lin_circle *c);

/* Appends the circle as a sentence. */
NODISCARD enum status lin_circle_say(const struct lin_history *h, const struct lin_circle *c,
                                     struct buf *out);

#endif
