/* bench_work.c - see bench_work.h. */
#define _GNU_SOURCE
#include "tests/bench/bench_work.h"

#include "tests/bench/bench_meter.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX  8
#define BATCH        1000    /* entries of one in fillbatch */
#define SCAN         10      /* entries after a seek */
#define SCAN_MAX     100     /* entries of a scan of YCSB */
#define TOMBSTONES   100000u /* neighbours deleted */
#define SEEKS        200     /* at each place of tombstones */
#define OPENS        20
#define REPLAY_BYTES (48u << 20) /* most that the log holds before the crash */
#define SALT         0x1234567

enum way { WAY_SEQ, WAY_RANDOM, WAY_HOT };

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

/* ---- one operation each ---- */

static void put(struct worker *w, uint64_t id, bool sync)
{
    struct slice key = data_key(w->key, id);
    struct slice value = data_value(w->data, w->value, id, prng_next(&w->prng));
    meter_before(&w->meter);
    w->peer->put(w->t, key, value, sync);
    meter_after(&w->meter);
}

static void right(struct worker *w, uint64_t id, struct slice value)
{
    if (!bench_data_right(w->data, id, value, w->run->c->check)) {
        bench_die("%s %s: a wrong value of key %llu (%zu bytes)", w->peer->name,
                  w->run->workload->name, (unsigned long long)id, value.size);
    }
}

static void lost(struct worker *w, uint64_t id)
{
    bench_die("%s %s: key %llu was not found", w->peer->name, w->run->workload->name,
              (unsigned long long)id);
}

/* Without the clock. */
static void get_bare(struct worker *w, uint64_t id)
{
    size_t size;
    if (!w->peer->get(w->t, data_key(w->key, id), w->got, sizeof w->got, &size)) {
        lost(w, id);
    }
    right(w, id, slice_of(w->got, size));
}

static void get(struct worker *w, uint64_t id)
{
    meter_before(&w->meter);
    get_bare(w, id);
    meter_after(&w->meter);
}

static void right_entry(struct worker *w, uint64_t id, const struct entry *e)
{
    char key[DATA_KEY_BYTES + 1];
    if (!slice_equal(data_key(key, id), e->key)) {
        bench_die("%s %s: found %.*s where key %llu is", w->peer->name, w->run->workload->name,
                  (int)e->key.size, e->key.data, (unsigned long long)id);
    }
    right(w, id, e->value);
}

/* A seek to id and count entries after it. Every key below `known` is there. */
static void scan(struct worker *w, uint64_t id, uint64_t count, uint64_t known)
{
    struct entry e;
    meter_before(&w->meter);
    w->peer->cursor_open(w->t);
    bool there = w->peer->seek(w->t, data_key(w->key, id), &e);
    for (uint64_t i = id; there && i <= id + count; i++) {
        if (i < known) {
            right_entry(w, i, &e);
        }
        there = i < id + count && w->peer->next(w->t, &e);
        if (!there && i + 1 < known && i < id + count) {
            lost(w, i + 1);
        }
    }
    w->peer->cursor_close(w->t);
    meter_after(&w->meter);
}

/* ---- loops ---- */

static uint64_t entries(const struct worker *w)
{
    return w->data->entries;
}

static void fill(struct worker *w)
{
    enum way way = *(const enum way *)w->arg;
    bool sync = w->run->workload->sync;
    uint64_t from = w->index * w->ops;
    for (uint64_t i = from; i < from + w->ops; i++) {
        uint64_t at = i % entries(w);
        put(w, way == WAY_SEQ ? at : data_shuffle(w->data, at, 0), sync);
    }
}

static void fill_batches(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops;) {
        meter_before(&w->meter);
        for (unsigned k = 0; k < BATCH && i < w->ops; k++, i++) {
            w->peer->batch_put(w->t, data_key(w->key, i),
                               data_value(w->data, w->value, i, prng_next(&w->prng)));
        }
        w->peer->batch_write(w->t);
        meter_after(&w->meter);
    }
}

static void overwrite(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        put(w, prng_below(&w->prng, entries(w)), false);
    }
}

static void delete_all(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        struct slice key = data_key(w->key, data_shuffle(w->data, i, SALT));
        meter_before(&w->meter);
        w->peer->remove(w->t, key);
        meter_after(&w->meter);
    }
}

static void read_keys(struct worker *w)
{
    enum way way = *(const enum way *)w->arg;
    uint64_t range = way == WAY_HOT ? (entries(w) + 99) / 100 : entries(w);
    for (uint64_t i = 0; i < w->ops; i++) {
        get(w, prng_below(&w->prng, range));
    }
}

/* Keys that lie between those that are there. */
static void read_missing(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        size_t size;
        struct slice key = data_key(w->key, prng_below(&w->prng, entries(w)));
        w->key[key.size++] = '.';
        meter_before(&w->meter);
        bool found = w->peer->get(w->t, key, w->got, sizeof w->got, &size);
        meter_after(&w->meter);
        if (found) {
            bench_die("%s %s: found what was never written", w->peer->name, w->run->workload->name);
        }
    }
}

static void seek_random(struct worker *w)
{
    for (uint64_t i = 0; i < w->ops; i++) {
        scan(w, prng_below(&w->prng, entries(w)), SCAN, entries(w));
    }
}

static void read_pass(struct worker *w, bool back)
{
    struct entry e;
    w->peer->cursor_open(w->t);
    bool there = back ? w->peer->last(w->t, &e) : w->peer->first(w->t, &e);
    uint64_t n = 0;
    for (; there; n++) {
        uint64_t id = back ? entries(w) - 1 - n : n;
        if (w->run->c->check) {
            right_entry(w, id, &e);
        } else {
            right(w, id, e.value);
        }
        meter_before(&w->meter);
        there = back ? w->peer->prev(w->t, &e) : w->peer->next(w->t, &e);
        meter_after(&w->meter);
    }
    w->peer->cursor_close(w->t);
    if (n != entries(w)) {
        bench_die("%s %s: %llu entries of %llu", w->peer->name, w->run->workload->name,
                  (unsigned long long)n, (unsigned long long)entries(w));
    }
}

static void read_all(struct worker *w)
{
    bool back = w->arg != NULL;
    for (uint64_t i = 0; i < w->ops; i += entries(w)) {
        read_pass(w, back);
    }
}

static void read_until_done(struct worker *w)
{
    static const enum way way = WAY_RANDOM;
    w->arg = &way;
    read_keys(w);
    atomic_store(w->stop, true);
}

static void write_until_stopped(struct worker *w)
{
    for (w->ops = 0; !atomic_load_explicit(w->stop, memory_order_relaxed); w->ops++) {
        put(w, prng_below(&w->prng, entries(w)), false);
    }
}

/* ---- YCSB ---- */

struct ycsb {
    unsigned read, update, insert, scan, modify; /* of a hundred */
    bool latest;                                 /* the newest keys are the hottest */
};

/* The i-th key ever written; those that come after the fill are in an order of their own. */
static uint64_t ycsb_id(struct worker *w, uint64_t i)
{
    uint64_t n = entries(w);
    return i < n ? i : n + data_shuffle(w->data, i - n, SALT);
}

static uint64_t ycsb_pick(struct worker *w, const struct ycsb *y, uint64_t i, uint64_t inserted)
{
    uint64_t rank = w->data->ranks[i & (DATA_ZIPF - 1)];
    return y->latest ? ycsb_id(w, entries(w) + inserted - 1 - rank)
                     : data_shuffle(w->data, rank, SALT);
}

static void ycsb_modify(struct worker *w, uint64_t id)
{
    struct slice value = data_value(w->data, w->value, id, prng_next(&w->prng));
    meter_before(&w->meter);
    get_bare(w, id);
    w->peer->put(w->t, data_key(w->key, id), value, false);
    meter_after(&w->meter);
}

static void ycsb(struct worker *w)
{
    const struct ycsb *y = w->arg;
    uint64_t inserted = 0;
    for (uint64_t i = 0; i < w->ops; i++) {
        unsigned dice = (unsigned)prng_below(&w->prng, 100);
        if (dice < y->insert && inserted < entries(w)) {
            put(w, ycsb_id(w, entries(w) + inserted++), false);
            continue;
        }
        uint64_t id = ycsb_pick(w, y, i, inserted);
        if (dice < y->insert + y->update) {
            put(w, id, false);
        } else if (dice < y->insert + y->update + y->modify) {
            ycsb_modify(w, id);
        } else if (dice < y->insert + y->update + y->modify + y->scan) {
            scan(w, id, prng_below(&w->prng, SCAN_MAX), entries(w));
        } else {
            get(w, id);
        }
    }
}

/* ---- workers ---- */

static void *work(void *arg)
{
    struct worker *w = arg;
    uint64_t ops = w->ops;
    w->t = w->peer->thread_new(w->run->db);
    meter_begin(&w->meter, w->run->c->ns_per_tick);
    if (w->warm > 0) {
        w->ops = w->warm;
        w->fn(w);
        w->ops = ops;
    }
    (void)pthread_barrier_wait(w->ready);
    meter_begin(&w->meter, w->run->c->ns_per_tick);
    w->begin = meter_ticks();
    w->fn(w);
    w->end = meter_ticks();
    w->peer->thread_free(w->t);
    return NULL;
}

static struct worker *worker_new(struct run *r, work_fn *fn, uint64_t ops, unsigned index)
{
    struct worker *w = bench_alloc(sizeof *w);
    w->run = r;
    w->data = &r->c->data;
    w->peer = r->peer;
    w->fn = fn;
    w->arg = r->workload->arg;
    w->index = index;
    w->ops = ops;
    w->prng.state = r->c->seed + index;
    return w;
}

/* All at once; returns when all have ended. */
static void workers_run(struct worker **list, unsigned n)
{
    pthread_barrier_t ready;
    atomic_bool stop = false;
    (void)pthread_barrier_init(&ready, NULL, n);
    for (unsigned i = 0; i < n; i++) {
        list[i]->ready = &ready;
        list[i]->stop = &stop;
        if (pthread_create(&list[i]->thread, NULL, work, list[i]) != 0) {
            bench_die("cannot start a thread");
        }
    }
    for (unsigned i = 0; i < n; i++) {
        (void)pthread_join(list[i]->thread, NULL);
    }
    (void)pthread_barrier_destroy(&ready);
}

static struct row *row_add(struct run *r, const char *name, const char *unit)
{
    struct row *row = &r->rows[r->row_count++];
    *row = (struct row){.p50_us = NAN, .p99_us = NAN, .p999_us = NAN, .max_us = NAN};
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    (void)snprintf(row->unit, sizeof row->unit, "%s", unit);
    return row;
}

static void row_latency(struct row *row, const struct meter *m)
{
    row->p50_us = meter_quantile(m, 0.5) / 1e3;
    row->p99_us = meter_quantile(m, 0.99) / 1e3;
    row->p999_us = meter_quantile(m, 0.999) / 1e3;
    row->max_us = (double)m->max * m->ns_per_tick / 1e3;
}

/* A row about what these workers did together, which are freed. */
static void row_of(struct run *r, const char *name, struct worker **list, unsigned n)
{
    struct row *row = row_add(r, name, "k/s");
    uint64_t begin = list[0]->begin;
    uint64_t end = list[0]->end;
    double ops = 0;
    for (unsigned i = 0; i < n; i++) {
        begin = list[i]->begin < begin ? list[i]->begin : begin;
        end = list[i]->end > end ? list[i]->end : end;
        ops += (double)list[i]->ops;
        if (i > 0) {
            meter_merge(&list[0]->meter, &list[i]->meter);
        }
    }
    row->rate = ops / ((double)(end - begin) * r->c->ns_per_tick / 1e6);
    row_latency(row, &list[0]->meter);
    for (unsigned i = 0; i < n; i++) {
        free(list[i]);
    }
}

/* threads workers of the same kind, ops and warm each. */
static void run_same(struct run *r, work_fn *fn, unsigned threads, uint64_t ops, uint64_t warm)
{
    struct worker *list[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++) {
        list[i] = worker_new(r, fn, ops > 0 ? ops : 1, i);
        list[i]->warm = warm;
    }
    workers_run(list, threads);
    row_of(r, r->workload->name, list, threads);
}

/* ---- what the list names ---- */

static void run_fill(struct run *r)
{
    run_same(r, fill, 1, r->c->data.entries, 0);
}

static void run_sync(struct run *r)
{
    run_same(r, fill, 1, r->c->syncs, 0);
}

static void run_sync8(struct run *r)
{
    run_same(r, fill, 8, r->c->syncs, 0);
}

static void run_batch(struct run *r)
{
    run_same(r, fill_batches, 1, r->c->data.entries, 0);
}

static void run_overwrite(struct run *r)
{
    run_same(r, overwrite, 1, r->c->data.entries, 0);
}

static void run_delete(struct run *r)
{
    run_same(r, delete_all, 1, r->c->data.entries, 0);
}

static void run_read(struct run *r)
{
    run_same(r, read_keys, 1, r->c->reads, r->c->reads / 10);
}

static void run_read2(struct run *r)
{
    run_same(r, read_keys, 2, r->c->reads, r->c->reads / 10);
}

static void run_missing(struct run *r)
{
    run_same(r, read_missing, 1, r->c->reads, r->c->reads / 10);
}

static void run_seek(struct run *r)
{
    run_same(r, seek_random, 1, r->c->reads / 4, r->c->reads / 40);
}

/* Whole passes: at least four times the reads, for an entry takes a tenth of the time. */
static void run_scan(struct run *r)
{
    uint64_t n = r->c->data.entries;
    run_same(r, read_all, 1, (r->c->reads * 4 + n - 1) / n * n, n);
}

static void run_ycsb(struct run *r)
{
    const struct ycsb *y = r->workload->arg;
    run_same(r, ycsb, 1, y->scan > 0 ? r->c->reads / 20 : r->c->reads / 2, 0);
}

/* Scans over keys of which the hot ones have thousands of versions: updates come first, as many
 * as in ycsb_a, and nothing waits for what they leave to be done. */
static void run_aged(struct run *r)
{
    static const struct ycsb update = {.update = 100};
    struct worker *w = worker_new(r, ycsb, r->c->reads / 2, 1);
    w->arg = &update;
    workers_run(&w, 1);
    free(w);
    run_ycsb(r);
}

static void run_both(struct run *r)
{
    struct worker *reader = worker_new(r, read_until_done, r->c->reads / 2, 0);
    struct worker *writer = worker_new(r, write_until_stopped, 0, 1);
    workers_run((struct worker *[]){reader, writer}, 2);
    row_of(r, "readwhilewriting.reader", &reader, 1);
    row_of(r, "readwhilewriting.writer", &writer, 1);
}

/* ---- compaction ---- */

static double used_bytes(const struct run *r)
{
    double file = r->after.file_b - r->before.file_b;
    double called = r->after.called_b - r->before.called_b;
    return file > called ? file : called;
}

static void run_compaction(struct run *r)
{
    run_same(r, overwrite, 1, r->c->data.entries, 0);
    r->row_count = 0;
    struct row *row = row_add(r, r->workload->name, "MB/cpu-s");
    bench_proc_settle(r->c->settle_ms);
    bench_proc_sync(r->dir);
    r->before = bench_proc_usage();
    row->unsupported = r->peer->compact == NULL || !r->peer->compact(r->db);
    r->after = bench_proc_usage();
    r->ended = true;
    double cpu = r->after.cpu_s - r->before.cpu_s;
    row->rate = cpu > 0 ? used_bytes(r) / 1e6 / cpu : 0;
}

/* ---- tombstones ---- */

static void seek_same(struct worker *w)
{
    const uint64_t *ids = w->arg; /* sought, to be found */
    for (uint64_t i = 0; i < w->ops; i++) {
        struct entry e;
        struct slice key = data_key(w->key, ids[0]);
        meter_before(&w->meter);
        w->peer->cursor_open(w->t);
        if (!w->peer->seek(w->t, key, &e)) {
            lost(w, ids[1]);
        }
        w->peer->cursor_close(w->t);
        meter_after(&w->meter);
    }
}

/* Found once more, outside the clock, to look at what it is. */
static void seek_right(struct run *r, const uint64_t ids[2])
{
    struct entry e;
    struct worker *w = worker_new(r, NULL, 0, 0);
    w->t = r->peer->thread_new(r->db);
    r->peer->cursor_open(w->t);
    if (!r->peer->seek(w->t, data_key(w->key, ids[0]), &e)) {
        lost(w, ids[1]);
    }
    right_entry(w, ids[1], &e);
    r->peer->cursor_close(w->t);
    r->peer->thread_free(w->t);
    free(w);
}

static void seeks_at(struct run *r, const char *name, uint64_t sought, uint64_t found)
{
    const uint64_t ids[2] = {sought, found};
    struct worker *w = worker_new(r, seek_same, SEEKS, 0);
    w->arg = ids;
    w->warm = 5;
    workers_run(&w, 1);
    row_of(r, name, &w, 1);
    seek_right(r, ids);
}

static void run_tombstones(struct run *r)
{
    char buffer[DATA_KEY_BYTES + 1];
    uint64_t n = r->c->data.entries;
    uint64_t from = n / 4;
    uint64_t count = n / 4 < TOMBSTONES ? n / 4 : TOMBSTONES;
    void *t = r->peer->thread_new(r->db);
    for (uint64_t id = from; id < from + count; id++) {
        r->peer->remove(t, data_key(buffer, id));
    }
    r->peer->thread_free(t);
    bench_proc_settle(r->c->settle_ms);
    seeks_at(r, "tombstones.there", from, from + count);
    seeks_at(r, "tombstones.elsewhere", n / 4 * 3, n / 4 * 3);
}

/* ---- open ---- */

static void run_open(struct run *r)
{
    struct meter m;
    double ticks = 0;
    meter_begin(&m, r->c->ns_per_tick);
    for (unsigned i = 0; i < OPENS; i++) {
        uint64_t begin = meter_ticks();
        meter_before(&m);
        r->db = r->peer->open(&r->c->peer, r->dir);
        meter_after(&m);
        ticks += (double)(meter_ticks() - begin);
        r->peer->close(r->db);
        m.last = meter_ticks(); /* the close is not looked at */
    }
    r->after = bench_proc_usage();
    struct row *row = row_add(r, r->workload->name, "opens/s");
    row->rate = OPENS / (ticks * r->c->ns_per_tick / 1e9);
    row_latency(row, &m);
}

/* ---- replay ---- */

/* In a child: writes, tells that it did, and waits for its end. */
static void replay_write(struct run *r, uint64_t count, int told)
{
    char key[DATA_KEY_BYTES + 1];
    char *value = bench_alloc(DATA_VALUE_MAX);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *t = r->peer->thread_new(r->peer->open(&r->c->peer, r->dir));
    for (uint64_t id = 0; id < count; id++) {
        uint64_t at = data_shuffle(&r->c->data, id, 0);
        r->peer->put(t, data_key(key, at), data_value(&r->c->data, value, at, id), false);
    }
    if (write(told, "", 1) != 1) {
        _exit(3);
    }
    for (;;) {
        (void)pause();
    }
}

static void replay_crash(struct run *r, uint64_t count)
{
    int ends[2];
    char byte;
    if (pipe(ends) != 0) {
        bench_die("pipe: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0) {
        replay_write(r, count, ends[1]);
    }
    (void)close(ends[1]);
    bool wrote = pid > 0 && read(ends[0], &byte, 1) == 1;
    (void)close(ends[0]);
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    if (!wrote) {
        bench_die("%s %s: the child that was to write did not", r->peer->name, r->workload->name);
    }
}

/* All that the killed child wrote without sync must be there. */
static void replay_check(struct run *r, uint64_t count)
{
    struct worker *w = worker_new(r, NULL, 0, 0);
    w->t = r->peer->thread_new(r->db);
    for (uint64_t id = 0; id < count; id += r->c->check ? 1 : 97) {
        get_bare(w, data_shuffle(w->data, id, 0));
    }
    r->peer->thread_free(w->t);
    free(w);
}

static void run_replay(struct run *r)
{
    struct row *row = row_add(r, r->workload->name, "MB/s");
    double entry = DATA_KEY_BYTES + (double)r->c->data.value_bytes;
    double limit = (double)r->c->peer.write_buffer_bytes / 2; /* a memtable holds more than data */
    limit = limit < REPLAY_BYTES ? limit : REPLAY_BYTES;
    uint64_t count = (uint64_t)(limit / entry);
    count = count < r->c->data.entries ? count : r->c->data.entries;
    row->unsupported = !r->peer->has_log;
    if (row->unsupported) {
        return;
    }
    replay_crash(r, count);
    bench_proc_sync(r->dir);
    uint64_t begin = meter_ns();
    r->db = r->peer->open(&r->c->peer, r->dir);
    row->rate = (double)count * entry / 1e6 / ((double)(meter_ns() - begin) / 1e9);
    replay_check(r, count);
    r->peer->close(r->db);
    r->after = bench_proc_usage();
}

/* ---- the list ---- */

static const enum way seq = WAY_SEQ, random_way = WAY_RANDOM, hot = WAY_HOT;
static const struct ycsb mix_a = {.read = 50, .update = 50};
static const struct ycsb mix_b = {.read = 95, .update = 5};
static const struct ycsb mix_c = {.read = 100};
static const struct ycsb mix_d = {.read = 95, .insert = 5, .latest = true};
static const struct ycsb mix_e = {.scan = 95, .insert = 5};
static const struct ycsb mix_f = {.read = 50, .modify = 50};

/* clang-format off */
const struct workload bench_work_list[] = {
    {"fillseq", WORK_EMPTY, WORK_ALL, .run = run_fill, .arg = &seq},
    {"fillbatch", WORK_EMPTY, WORK_ALL, .run = run_batch},
    {"fillsync", WORK_EMPTY, .sync = true, .run = run_sync, .arg = &random_way},
    {"fillsync8", WORK_EMPTY, .sync = true, .run = run_sync8, .arg = &random_way},
    {"fillrandom", WORK_EMPTY, WORK_ALL, .run = run_fill, .arg = &random_way},
    {"readrandom", WORK_FULL, .run = run_read, .arg = &random_way},
    {"readrandom2", WORK_FULL, .run = run_read2, .arg = &random_way},
    {"readmissing", WORK_FULL, .run = run_missing},
    {"readhot", WORK_FULL, .run = run_read, .arg = &hot},
    {"seekrandom", WORK_FULL, .run = run_seek},
    {"readseq", WORK_FULL, .run = run_scan},
    {"readreverse", WORK_FULL, .run = run_scan, .arg = "back"},
    {"open", WORK_FULL, .self = true, .run = run_open},
    {"overwrite", WORK_COPY, WORK_ALL, .run = run_overwrite},
    {"compaction", WORK_COPY, WORK_ALL, .run = run_compaction},
    {"readwhilewriting", WORK_COPY, WORK_ALL, .run = run_both},
    {"ycsb_a", WORK_COPY, WORK_ALL, .zipf = true, .run = run_ycsb, .arg = &mix_a},
    {"ycsb_b", WORK_COPY, WORK_ALL, .zipf = true, .run = run_ycsb, .arg = &mix_b},
    {"ycsb_c", WORK_FULL, .zipf = true, .run = run_ycsb, .arg = &mix_c},
    {"ycsb_d", WORK_COPY, .zipf = true, .run = run_ycsb, .arg = &mix_d},
    {"ycsb_e", WORK_COPY, .zipf = true, .run = run_ycsb, .arg = &mix_e},
    {"ycsb_e_aged", WORK_COPY, .zipf = true, .run = run_aged, .arg = &mix_e},
    {"ycsb_f", WORK_COPY, WORK_ALL, .zipf = true, .run = run_ycsb, .arg = &mix_f},
    {"deleterandom", WORK_COPY, WORK_NONE, .run = run_delete},
    {"tombstones", WORK_COPY, .run = run_tombstones},
    {"replay", WORK_EMPTY, .self = true, .run = run_replay},
    {.name = NULL},
};
/* clang-format on */

/* Every key must be there, or none. */
static void check_end(struct run *r, enum work_end end)
{
    struct entry e;
    struct worker *w = worker_new(r, NULL, 0, 0);
    w->t = r->peer->thread_new(r->db);
    if (end == WORK_ALL) {
        read_pass(w, false);
        read_pass(w, true);
    } else {
        r->peer->cursor_open(w->t);
        if (r->peer->first(w->t, &e)) {
            bench_die("%s %s: %.*s is still there", r->peer->name, r->workload->name,
                      (int)e.key.size, e.key.data);
        }
        r->peer->cursor_close(w->t);
    }
    r->peer->thread_free(w->t);
    free(w);
}

/* Opens, waits until what that set off has ended, works, waits likewise, closes. */
static void run_opened(struct run *r)
{
    r->db = r->peer->open(&r->c->peer, r->dir);
    bench_proc_settle(r->c->settle_ms);
    bench_proc_sync(r->dir);
    r->before = bench_proc_usage();
    r->workload->run(r);
    if (!r->ended) {
        bench_proc_settle(r->c->settle_ms);
        r->after = bench_proc_usage();
    }
    if (r->c->check && r->workload->end != WORK_ANY) {
        check_end(r, r->workload->end);
    }
    r->peer->close(r->db);
}

unsigned bench_work_run(const struct workload *w, const struct work_config *config,
                        const struct peer *peer, const char *dir, struct row rows[WORK_ROWS])
{
    struct work_config own = *config;
    own.peer.sync = w->sync;
    struct run r = {.workload = w, .c = &own, .peer = peer, .dir = dir, .rows = rows};
    double held = bench_proc_memory("VmRSS");
    r.before = bench_proc_usage();
    if (w->self) {
        w->run(&r);
    } else {
        run_opened(&r);
    }
    double peak = bench_proc_memory("VmHWM") - held;
    double disk = bench_proc_disk(dir);
    for (unsigned i = 0; i < r.row_count; i++) {
        rows[i].written_b = used_bytes(&r);
        rows[i].cpu_s = r.after.cpu_s - r.before.cpu_s;
        rows[i].disk_b = disk;
        rows[i].peak_b = peak;
    }
    return r.row_count;
}
