/* bench_alone.h - the workloads that are more than a loop over keys: seeks over tombstones, opening
 * again and again, the replay of a log after a crash. */
#ifndef TESTS_BENCH_BENCH_ALONE_H
#define TESTS_BENCH_BENCH_ALONE_H

#include "tests/bench/bench_run.h"

void bench_alone_tombstones(struct run *r);
void bench_alone_open(struct run *r);
void bench_alone_replay(struct run *r);

#endif
