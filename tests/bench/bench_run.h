/* bench_run.h - what the workloads of the engine's benchmark share: workers on threads of their
 * own, single operations with the clock around them and a look at what they gave, and rows.
 *
 * Whatever a store gives back is compared: a wrong or a missing value ends the process. */
#ifndef TESTS_BENCH_BENCH_RUN_H
#define TESTS_BENCH_BENCH_RUN_H

#include "tests/bench/bench_meter.h"
#include "tests/bench/bench_work.h"

#include <pthread.h>
#include <stdatomic.h>

#define RUN_THREADS_MAX 8

/* One workload on one store. */
struct run {
    const struct workload *workload;
    const struct work_config *c;
    const struct peer *peer;
    const char *dir;
    void *db;
    struct row *rows;
    unsigned row_count;
    struct usage before; /* what was used when the measured part began */
    struct usage after;
    bool ended; /* after was filled by the workload itself */
};

struct worker;
typedef void work_fn(struct worker *w);

struct worker {
    struct run *run;
    const struct data *data;
    const struct peer *peer;
    work_fn *fn;
    const void *arg;
    unsigned index;
    uint64_t ops;  /* to do; of a writer beside a reader: done */
    uint64_t warm; /* operations before those, not counted */
    uint64_t begin, end;
    pthread_t thread;
    pthread_barrier_t *ready;
    atomic_bool *stop;
    void *t; /* the store's handle */
    struct prng prng;
    struct meter meter;
    char key[DATA_KEY_BYTES + 2];
    char value[DATA_VALUE_MAX];
    char got[DATA_VALUE_MAX];
};

/* A worker of this run, with its argument; freed with free(). */
struct worker *bench_run_worker(struct run *r, work_fn *fn, uint64_t ops, unsigned index);

/* Starts all at once, each on a thread, and returns when all have ended. */
void bench_run_all(struct worker **list, unsigned n);

/* So many workers of the same kind, ops and warm-up each, and the row about them. */
void bench_run_same(struct run *r, work_fn *fn, unsigned threads, uint64_t ops, uint64_t warm);

/* A new row, without latencies. */
struct row *bench_run_row(struct run *r, const char *name, const char *unit);
void bench_run_latency(struct row *row, const struct meter *m);

/* A row about what these workers did together, which are freed. */
void bench_run_row_of(struct run *r, const char *name, struct worker **list, unsigned n);

/* Written between r->before and r->after, whichever way it was counted more. */
double bench_run_bytes(const struct run *r);

/* ---- one operation each ---- */

void bench_run_put(struct worker *w, uint64_t id, bool sync);
void bench_run_get(struct worker *w, uint64_t id);
void bench_run_get_bare(struct worker *w, uint64_t id); /* without the clock */

/* A seek to id and count entries after it. Every key below known is there. */
void bench_run_scan(struct worker *w, uint64_t id, uint64_t count, uint64_t known);

/* Ends the process when this is not the value, or the entry, of id. */
void bench_run_right(struct worker *w, uint64_t id, struct slice value);
void bench_run_right_entry(struct worker *w, uint64_t id, const struct entry *e);

noreturn void bench_run_lost(struct worker *w, uint64_t id);

#endif
