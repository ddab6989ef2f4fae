/* bench_work.c - see bench_work.h. */
#include "tests/bench/bench_work.h"

#include "tests/bench/bench_alone.h"
#include "tests/bench/bench_run.h"

#include <stdlib.h>

#define BATCH    1000 /* entries of one in fillbatch */
#define SCAN     10   /* entries after a seek */
#define SCAN_MAX 100  /* entries of a scan of YCSB */
#define SALT     0x1234567

enum way { WAY_SEQ, WAY_RANDOM, WAY_HOT };

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
        bench_run_put(w, way == WAY_SEQ ? at : data_shuffle(w->data, at, 0), sync);
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
        bench_run_put(w, prng_below(&w->prng, entries(w)), false);
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
        bench_run_get(w, prng_below(&w->prng, range));
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
        bench_run_scan(w, prng_below(&w->prng, entries(w)), SCAN, entries(w));
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
            bench_run_right_entry(w, id, &e);
        } else {
            bench_run_right(w, id, e.value);
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
        bench_run_put(w, prng_below(&w->prng, entries(w)), false);
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
    bench_run_get_bare(w, id);
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
            bench_run_put(w, ycsb_id(w, entries(w) + inserted++), false);
            continue;
        }
        uint64_t id = ycsb_pick(w, y, i, inserted);
        if (dice < y->insert + y->update) {
            bench_run_put(w, id, false);
        } else if (dice < y->insert + y->update + y->modify) {
            ycsb_modify(w, id);
        } else if (dice < y->insert + y->update + y->modify + y->scan) {
            bench_run_scan(w, id, prng_below(&w->prng, SCAN_MAX), entries(w));
        } else {
            bench_run_get(w, id);
        }
    }
}

/* ---- what the list names ---- */

static void run_fill(struct run *r)
{
    bench_run_same(r, fill, 1, r->c->data.entries, 0);
}

static void run_sync(struct run *r)
{
    bench_run_same(r, fill, 1, r->c->syncs, 0);
}

static void run_sync8(struct run *r)
{
    bench_run_same(r, fill, 8, r->c->syncs, 0);
}

static void run_batch(struct run *r)
{
    bench_run_same(r, fill_batches, 1, r->c->data.entries, 0);
}

static void run_overwrite(struct run *r)
{
    bench_run_same(r, overwrite, 1, r->c->data.entries, 0);
}

static void run_delete(struct run *r)
{
    bench_run_same(r, delete_all, 1, r->c->data.entries, 0);
}

static void run_read(struct run *r)
{
    bench_run_same(r, read_keys, 1, r->c->reads, r->c->reads / 10);
}

static void run_read2(struct run *r)
{
    bench_run_same(r, read_keys, 2, r->c->reads, r->c->reads / 10);
}

static void run_missing(struct run *r)
{
    bench_run_same(r, read_missing, 1, r->c->reads, r->c->reads / 10);
}

static void run_seek(struct run *r)
{
    bench_run_same(r, seek_random, 1, r->c->reads / 4, r->c->reads / 40);
}

/* Whole passes: at least four times the reads, for an entry takes a tenth of the time. */
static void run_scan(struct run *r)
{
    uint64_t n = r->c->data.entries;
    bench_run_same(r, read_all, 1, (r->c->reads * 4 + n - 1) / n * n, n);
}

static void run_ycsb(struct run *r)
{
    const struct ycsb *y = r->workload->arg;
    bench_run_same(r, ycsb, 1, y->scan > 0 ? r->c->reads / 20 : r->c->reads / 2, 0);
}

/* Scans over keys of which the hot ones have thousands of versions: updates come first, as many
 * as in ycsb_a, and nothing waits for what they leave to be done. */
static void run_aged(struct run *r)
{
    static const struct ycsb update = {.update = 100};
    struct worker *w = bench_run_worker(r, ycsb, r->c->reads / 2, 1);
    w->arg = &update;
    bench_run_all(&w, 1);
    free(w);
    run_ycsb(r);
}

static void run_both(struct run *r)
{
    struct worker *reader = bench_run_worker(r, read_until_done, r->c->reads / 2, 0);
    struct worker *writer = bench_run_worker(r, write_until_stopped, 0, 1);
    bench_run_all((struct worker *[]){reader, writer}, 2);
    bench_run_row_of(r, "readwhilewriting.reader", &reader, 1);
    bench_run_row_of(r, "readwhilewriting.writer", &writer, 1);
}

/* ---- compaction ---- */

static void run_compaction(struct run *r)
{
    bench_run_same(r, overwrite, 1, r->c->data.entries, 0);
    r->row_count = 0;
    struct row *row = bench_run_row(r, r->workload->name, "MB/cpu-s");
    bench_proc_calm(r->c->settle_ms, r->dir);
    r->before = bench_proc_usage();
    row->unsupported = r->peer->compact == NULL || !r->peer->compact(r->db);
    r->after = bench_proc_usage();
    r->ended = true;
    double cpu = r->after.cpu_s - r->before.cpu_s;
    row->rate = cpu > 0 ? bench_run_bytes(r) / 1e6 / cpu : 0;
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
    {"open", WORK_FULL, .self = true, .run = bench_alone_open},
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
    {"tombstones", WORK_COPY, .run = bench_alone_tombstones},
    {"replay", WORK_EMPTY, .self = true, .run = bench_alone_replay},
    {.name = NULL},
};
/* clang-format on */

/* Every key must be there, or none. */
static void check_end(struct run *r, enum work_end end)
{
    struct entry e;
    struct worker *w = bench_run_worker(r, NULL, 0, 0);
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
    bench_proc_calm(r->c->settle_ms, r->dir);
    r->before = bench_proc_usage();
    r->workload->run(r);
    if (!r->ended) {
        bench_proc_calm(r->c->settle_ms, NULL);
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
        rows[i].written_b = bench_run_bytes(&r);
        rows[i].cpu_s = r.after.cpu_s - r.before.cpu_s;
        rows[i].disk_b = disk;
        rows[i].peak_b = peak;
    }
    return r.row_count;
}
