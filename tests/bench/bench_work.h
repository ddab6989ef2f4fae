/* bench_work.h - the workloads of the engine's benchmark.
 *
 * bench_work_run() does one of them on one store in the calling process, which is to be a fresh
 * child: so its peak of memory, its CPU time and its bytes are those of this work alone. */
#ifndef TESTS_BENCH_BENCH_WORK_H
#define TESTS_BENCH_BENCH_WORK_H

#include "tests/bench/bench_data.h"
#include "tests/bench/bench_peer.h"
#include "tests/bench/bench_proc.h"

#define WORK_ROWS 2 /* most that one workload tells */

struct work_config {
    struct data data;
    struct peer_config peer;
    uint64_t reads; /* operations of a reading workload */
    uint64_t syncs; /* of a thread of fillsync */
    uint64_t seed;
    unsigned settle_ms;
    bool check; /* every byte that is read */
    double ns_per_tick;
};

/* One line of the result. Crosses a pipe as it is. */
struct row {
    char name[24];
    char unit[12];
    bool unsupported; /* by this store */
    double rate;
    double p50_us, p99_us, p999_us, max_us; /* NAN where nothing was timed one by one */
    double written_b;                       /* when the background work had ended */
    double disk_b;
    double peak_b; /* less what the process held before the store was opened */
    double cpu_s;
};

/* What a workload finds in the directory. */
enum work_start {
    WORK_EMPTY, /* nothing */
    WORK_FULL,  /* every key once, written in random order; and leaves it so */
    WORK_COPY,  /* a copy of such, to change */
};

/* What is there afterwards, looked at where config.check is set. */
enum work_end { WORK_ANY, WORK_ALL, WORK_NONE };

struct run;

struct workload {
    const char *name;
    enum work_start start;
    enum work_end end;
    bool sync; /* its writes ask for sync */
    bool zipf; /* wants drawn ranks */
    bool self; /* opens the store by itself */
    void (*run)(struct run *r);
    const void *arg;
};

/* In the order in which they are run; ends with a NULL name. */
extern const struct workload bench_work_list[];

/* The workload that leaves what WORK_FULL asks for. */
#define WORK_FILL "fillrandom"

/* Returns how many rows it filled. */
unsigned bench_work_run(const struct workload *w, const struct work_config *c,
                        const struct peer *peer, const char *dir, struct row rows[WORK_ROWS]);

#endif
