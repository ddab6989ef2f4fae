/* bench_run.c - see bench_run.h. */
#include "tests/bench/bench_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- one operation each ---- */

void bench_run_put(struct worker *w, uint64_t id, bool sync)
{
    struct slice key = data_key(w->key, id);
    struct slice value = data_value(w->data, w->value, id, prng_next(&w->prng));
    meter_before(&w->meter);
    w->peer->put(w->t, key, value, sync);
    meter_after(&w->meter);
}

void bench_run_right(struct worker *w, uint64_t id, struct slice value)
{
    if (!bench_data_right(w->data, id, value, w->run->c->check)) {
        bench_die("%s %s: a wrong value of key %llu (%zu bytes)", w->peer->name,
                  w->run->workload->name, (unsigned long long)id, value.size);
    }
}

noreturn void bench_run_lost(struct worker *w, uint64_t id)
{
    bench_die("%s %s: key %llu was not found", w->peer->name, w->run->workload->name,
              (unsigned long long)id);
}

void bench_run_get_bare(struct worker *w, uint64_t id)
{
    size_t size;
    if (!w->peer->get(w->t, data_key(w->key, id), w->got, sizeof w->got, &size)) {
        bench_run_lost(w, id);
    }
    bench_run_right(w, id, slice_of(w->got, size));
}

void bench_run_get(struct worker *w, uint64_t id)
{
    meter_before(&w->meter);
    bench_run_get_bare(w, id);
    meter_after(&w->meter);
}

void bench_run_right_entry(struct worker *w, uint64_t id, const struct entry *e)
{
    char key[DATA_KEY_BYTES + 1];
    if (!slice_equal(data_key(key, id), e->key)) {
        bench_die("%s %s: found %.*s where key %llu is", w->peer->name, w->run->workload->name,
                  (int)e->key.size, e->key.data, (unsigned long long)id);
    }
    bench_run_right(w, id, e->value);
}

void bench_run_scan(struct worker *w, uint64_t id, uint64_t count, uint64_t known)
{
    struct entry e;
    meter_before(&w->meter);
    w->peer->cursor_open(w->t);
    bool there = w->peer->seek(w->t, data_key(w->key, id), &e);
    for (uint64_t i = id; there && i <= id + count; i++) {
        if (i < known) {
            bench_run_right_entry(w, i, &e);
        }
        there = i < id + count && w->peer->next(w->t, &e);
        if (!there && i + 1 < known && i < id + count) {
            bench_run_lost(w, i + 1);
        }
    }
    w->peer->cursor_close(w->t);
    meter_after(&w->meter);
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

struct worker *bench_run_worker(struct run *r, work_fn *fn, uint64_t ops, unsigned index)
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

void bench_run_all(struct worker **list, unsigned n)
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

struct row *bench_run_row(struct run *r, const char *name, const char *unit)
{
    struct row *row = &r->rows[r->row_count++];
    *row = (struct row){.p50_us = NAN, .p99_us = NAN, .p999_us = NAN, .max_us = NAN};
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    (void)snprintf(row->unit, sizeof row->unit, "%s", unit);
    return row;
}

void bench_run_latency(struct row *row, const struct meter *m)
{
    row->p50_us = meter_quantile(m, 0.5) / 1e3;
    row->p99_us = meter_quantile(m, 0.99) / 1e3;
    row->p999_us = meter_quantile(m, 0.999) / 1e3;
    row->max_us = (double)m->max * m->ns_per_tick / 1e3;
}

void bench_run_row_of(struct run *r, const char *name, struct worker **list, unsigned n)
{
    struct row *row = bench_run_row(r, name, "k/s");
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
    bench_run_latency(row, &list[0]->meter);
    for (unsigned i = 0; i < n; i++) {
        free(list[i]);
    }
}

void bench_run_same(struct run *r, work_fn *fn, unsigned threads, uint64_t ops, uint64_t warm)
{
    struct worker *list[RUN_THREADS_MAX];
    for (unsigned i = 0; i < threads; i++) {
        list[i] = bench_run_worker(r, fn, ops > 0 ? ops : 1, i);
        list[i]->warm = warm;
    }
    bench_run_all(list, threads);
    bench_run_row_of(r, r->workload->name, list, threads);
}

double bench_run_bytes(const struct run *r)
{
    double file = r->after.file_b - r->before.file_b;
    double called = r->after.called_b - r->before.called_b;
    return file > called ? file : called;
}
