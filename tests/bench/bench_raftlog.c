/* bench_raftlog.c - the Raft log: entries taken and made durable a second, syncs beside their
 * floor, and how fast a long log opens.
 *
 *     bench_raftlog [DIR [ENTRIES]]     (defaults: the present directory, 1000000)
 *
 * One line of JSON a workload. The floor is a pwrite of the same bytes to a file that was written
 * before, and fdatasync; it and the log take turns. */
#include "env/env_posix.h"
#include "raft/raftlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DATA  100
#define BATCH 64
#define SYNCS 200

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "bench_raftlog: %s\n", what);
        exit(3);
    }
}

/* A log that is written to from its end on. */
struct bench {
    struct env *env;
    struct raftlog *log;
    uint64_t seq;
    uint64_t next;
    char data[DATA];
};

static void bench_open(struct bench *b, bool create)
{
    struct raftlog_identity identity = {1, 2, 3, 4};
    struct raftlog_snapshot first = {{0, 0}, slice_text("config"), false};
    struct err err = {""};
    if (create) {
        must(raftlog_erase(b->env, "bench_raftlog.dir", &err) == ST_OK, err.text);
        must(raftlog_create(b->env, "bench_raftlog.dir", NULL, &identity, &first, &err) == ST_OK,
             err.text);
    }
    must(raftlog_open(b->env, "bench_raftlog.dir", NULL, &b->log, &err) == ST_OK, err.text);
    b->seq = 0;
    b->next = raftlog_start(b->log)->last.index + 1;
}

static void append(struct bench *b, size_t count)
{
    struct raft_entry e[BATCH];
    for (size_t i = 0; i < count; i++) {
        e[i] = (struct raft_entry){b->next++, 1, RAFT_COMMAND, slice_of(b->data, DATA)};
    }
    struct raftlog_write w = {.seq = ++b->seq, .entries = e, .count = count};
    must(raftlog_append(b->log, &w) == ST_OK, "append");
}

static void sync_all(struct bench *b)
{
    struct raftlog_stats stats;
    do {
        uint64_t durable;
        must(raftlog_sync(b->log, &durable) == ST_OK, "sync");
        raftlog_stats(b->log, &stats);
    } while (stats.pending > 0);
}

static void line(const char *what, double per_second, const char *unit)
{
    printf("{\"bench\":\"raftlog\",\"work\":\"%s\",\"value\":%.0f,\"unit\":\"%s\"}\n", what,
           per_second, unit);
}

/* A few MiB at a time are taken, then written; the two are timed apart. */
static void bench_stream(struct bench *b, uint64_t entries)
{
    double taking = 0;
    double writing = 0;
    bench_open(b, true);
    for (uint64_t done = 0; done < entries;) {
        double start = now();
        for (int i = 0; i < 200 && done < entries; i++, done += BATCH) {
            append(b, BATCH);
        }
        taking += now() - start;
        start = now();
        sync_all(b);
        must(raftlog_tidy(b->log) == ST_OK, "tidy");
        writing += now() - start;
    }
    line("append to memory", (double)entries / taking, "entries/s");
    line("append and sync, large groups", (double)entries / (taking + writing), "entries/s");
    raftlog_close(b->log);
}

static void bench_open_time(struct bench *b)
{
    double start = now();
    bench_open(b, false);
    double took = now() - start;
    const struct raftlog_start *s = raftlog_start(b->log);
    line("open", (double)s->last.index / took, "entries/s");
    line("open", (double)s->bytes_read / took / 1e6, "MB/s");
    struct raftlog_batch batch = {.count = 0};
    uint64_t at = 1;
    start = now();
    while (at <= s->last.index) {
        must(raftlog_read(b->log, at, UINT64_MAX, 1 << 20, &batch) == ST_OK, "read");
        at += batch.count;
    }
    line("read back in order", (double)(at - 1) / (now() - start), "entries/s");
    raftlog_batch_release(&batch);
    raftlog_close(b->log);
}

/* Alternating runs of the log and of its floor, medians of five. */
static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double floor_run(struct bench *b, size_t size)
{
    static char bytes[16384];
    int fd;
    size_t put;
    must(env_file_open(b->env, "bench_raftlog.floor", ENV_WRITE | ENV_CREATE, &fd) == ST_OK,
         "floor");
    for (uint64_t at = 0; at < ((uint64_t)SYNCS + 1) * 16384; at += sizeof bytes) {
        must(env_file_pwrite(b->env, fd, bytes, sizeof bytes, at, &put) == ST_OK, "floor");
    }
    must(env_file_sync(b->env, fd) == ST_OK, "floor");
    double start = now();
    for (uint64_t i = 0; i < SYNCS; i++) {
        must(env_file_pwrite(b->env, fd, bytes, size, i * 16384, &put) == ST_OK, "floor");
        must(env_file_datasync(b->env, fd) == ST_OK, "floor");
    }
    double took = now() - start;
    (void)env_fd_close(b->env, fd);
    return SYNCS / took;
}

static double sync_run(struct bench *b, size_t entries)
{
    double start = now();
    for (int i = 0; i < SYNCS; i++) {
        append(b, entries);
        sync_all(b);
    }
    return SYNCS / (now() - start);
}

static void bench_syncs(struct bench *b, size_t entries)
{
    double log[5];
    double raw[5];
    char what[64];
    bench_open(b, true);
    for (int i = 0; i < 5; i++) {
        raw[i] = floor_run(b, entries * (DATA + 40));
        log[i] = sync_run(b, entries);
    }
    qsort(log, 5, sizeof *log, by_value);
    qsort(raw, 5, sizeof *raw, by_value);
    (void)snprintf(what, sizeof what, "sync of %d", (int)entries);
    line(what, log[2], "syncs/s");
    (void)snprintf(what, sizeof what, "floor of %d", (int)entries);
    line(what, raw[2], "syncs/s");
    raftlog_close(b->log);
}

int main(int argc, char **argv)
{
    struct env_posix_options o = {argc > 1 ? argv[1] : NULL, ENV_LOG_ERROR + 1};
    uint64_t entries = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    struct bench b = {.seq = 0};
    (void)setvbuf(stdout, NULL, _IOLBF, 4096);
    must(env_posix_new(&o, &b.env) == ST_OK, "environment");
    bench_stream(&b, entries);
    bench_open_time(&b);
    bench_syncs(&b, 1);
    bench_syncs(&b, BATCH);
    must(raftlog_erase(b.env, "bench_raftlog.dir", NULL) == ST_OK, "erase");
    must(env_path_remove(b.env, "bench_raftlog.floor") == ST_OK, "remove");
    must(env_path_remove(b.env, "bench_raftlog.dir") == ST_OK, "remove");
    env_posix_free(b.env);
    return 0;
}
