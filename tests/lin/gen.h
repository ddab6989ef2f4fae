/* gen.h - small random histories of every kind of operation, legal or not. For the fuzzer. */
#ifndef TESTS_LIN_GEN_H
#define TESTS_LIN_GEN_H

#include "base/prng.h"
#include "tests/lin/brute.h"

#define GEN_STEPS_MAX 4

struct gen {
    struct lin_op ops[BRUTE_OPS_MAX];
    struct lin_step steps[BRUTE_OPS_MAX][GEN_STEPS_MAX];
    struct lin_pair pairs[BRUTE_OPS_MAX][BRUTE_KEYS_MAX];
    char texts[BRUTE_OPS_MAX * 8][BRUTE_TEXT_MAX];
    int text_count;
    int count;
    struct brute_store start;
    struct lin_value fallback;
};

/* What a run draws from; gen_style picks one at random. */
struct gen_style {
    int ops_max;
    int keys;
    int values;     /* different ones; 0: every write has its own */
    int time_max;   /* few times make many equal ones */
    int length_max; /* of an operation */
    int info;       /* percent of unknown outcomes */
    int fail;
    int lie; /* percent of histories with one result changed */
    int weight[LIN_KIND_COUNT];
};

void gen_style(struct gen_style *style, struct prng *g);

/* A history in which each result is what a store gave at some instant between call and return, or
 * what it did not (a lie): so that both verdicts are common. */
void gen_history(struct gen *out, const struct gen_style *style, struct prng *g);

/* Adds it to h; false when refused. */
bool gen_add(const struct gen *gen, struct lin_history *h);

#endif
