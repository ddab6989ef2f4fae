/* lin_zones.h - one key whose values tell which write they come from, in O(n log n). Internal.
 *
 * A block is a write with all that observe its value. In a legal order a block is a run, and block
 * A comes before B when some operation of A ended before one of B began. Two blocks that come
 * before each other are a contradiction; without such a pair there is an order (Gibbons and
 * Korach, "Testing shared memories", 1997). A successful compare-and-set ties two blocks together:
 * it ends the one and begins the other, so that chains of blocks take the place of blocks.
 *
 * What is not so clear-cut (a value written twice, appends, deletes, other keys) is weakened until
 * it is: observations are dropped, writes become writes of values that nobody sees. Then a
 * contradiction is still a proof, but its absence says nothing: LIN_UNKNOWN. */
#ifndef SIM_LIN_LIN_ZONES_H
#define SIM_LIN_LIN_ZONES_H

#include "sim/lin/lin_map.h"
#include "sim/lin/lin_split.h"

#define LIN_ZONES_WITNESS 6

/* What one operation does to the key. */
struct lin_touch {
    uint32_t place;
    bool looks;
    bool writes;
    bool differs; /* saw that the key is not `saw` */
    bool info;
    uint32_t saw;
    uint32_t wrote; /* LIN_NONE: something that nobody looks at */
    int64_t call;
    int64_t ret;
    uint32_t block; /* that it writes, LIN_NONE */
};

struct lin_block {
    int64_t first_ret; /* least return of its operations */
    int64_t last_call;
    uint32_t writer;   /* touch, LIN_NONE for the first value */
    uint32_t first_op; /* touches that give the two times */
    uint32_t last_op;
    uint32_t next; /* the block that a compare-and-set ties to its end */
    uint32_t prev;
    uint32_t chain;
    uint32_t evidence; /* a touch that shows that an unknown write took effect */
    bool seen;
    bool ambiguous; /* its value is written more than once */
};

struct lin_chain {
    int64_t first_ret;
    int64_t last_call;
    uint32_t head; /* its first block */
    uint32_t first_op;
    uint32_t last_op;
};

struct lin_zones {
    struct mem *mem;
    const struct lin_history *h;
    struct lin_touch *touches;
    uint32_t touch_count;
    size_t touch_cap;
    struct lin_block *blocks;
    uint32_t block_count;
    size_t block_cap;
    struct lin_chain *chains;
    uint32_t chain_count;
    size_t chain_cap;
    uint64_t *block_of; /* per value id: round << 32 | block */
    size_t value_count;
    uint32_t round;
    bool exact;
    bool open_ended;  /* there are writes that could have made any value: nothing can be said */
    uint32_t *places; /* the witness, places in the history */
    size_t place_count;
    size_t place_cap;
};

void lin_zones_init(struct lin_zones *z, const struct lin_history *h);
void lin_zones_release(struct lin_zones *z);

/* Decides key `local` of the part, or says LIN_UNKNOWN. After a "no" z->places is the witness.
 * With `weak` it goes on looking for a contradiction where it can no longer say "yes". */
NODISCARD enum status lin_zones_check(struct lin_zones *z, const struct lin_split *s,
                                      const struct lin_part *part, uint32_t local, bool weak,
                                      enum lin_result *result);

#endif
