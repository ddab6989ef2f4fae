/* bench_table.h - the rows of all rounds, their medians, and how they are shown. */
#ifndef TESTS_BENCH_BENCH_TABLE_H
#define TESTS_BENCH_BENCH_TABLE_H

#include "tests/bench/bench_work.h"

#include <stdio.h>

struct table {
    const struct peer *const *peers; /* columns */
    unsigned peer_count;
    struct table_row {
        unsigned peer; /* index */
        struct row row;
    } * rows; /* of every round, as they came */
    size_t count;
    size_t capacity;
};

void bench_table_init(struct table *t, const struct peer *const *peers, unsigned count);
void bench_table_release(struct table *t);
void bench_table_add(struct table *t, unsigned peer, const struct row *row);

/* One line a workload: each store's rate, and its ratio to LevelDB's where that took part. With
 * all, further tables: 99th percentiles, bytes written, size on disk, memory, CPU. */
void bench_table_print(const struct table *t, FILE *to, bool all);

/* One line a workload and store, tab-separated, with a line of names first. */
void bench_table_tsv(const struct table *t, FILE *to);

#endif
