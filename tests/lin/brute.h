/* brute.h - the definition of linearizability, tried out: every order of every choice of
 * operations. Obviously right, independent of sim/lin, and slow: for a dozen operations. */
#ifndef TESTS_LIN_BRUTE_H
#define TESTS_LIN_BRUTE_H

#include "sim/lin/lin.h"

#define BRUTE_OPS_MAX  64
#define BRUTE_KEYS_MAX 8
#define BRUTE_TEXT_MAX 96 /* bytes of a value; longer ones are cut, so keep them shorter */

struct brute_value {
    bool present;
    char text[BRUTE_TEXT_MAX];
};

struct brute_key {
    char name[16];
    struct brute_value value;
};

struct brute_store {
    int count;
    struct brute_key keys[BRUTE_KEYS_MAX];
};

/* `start` names every key that any operation touches, with its first value. */
bool brute_linearizable(const struct lin_op *ops, int count, const struct brute_store *start);

/* The store takes one operation; false when what the operation saw is not what it would see. */
bool brute_apply(struct brute_store *store, const struct lin_op *op);

#endif
