/* bench_alone.c - see bench_alone.h. */
#include "tests/bench/bench_alone.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOMBSTONES   100000u /* neighbours deleted */
#define SEEKS        200     /* at each place of tombstones */
#define OPENS        20
#define REPLAY_BYTES (48u << 20) /* most that the log holds before the crash */

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
            bench_run_lost(w, ids[1]);
        }
        w->peer->cursor_close(w->t);
        meter_after(&w->meter);
    }
}

/* Found once more, outside the clock, to look at what it is. */
static void seek_right(struct run *r, const uint64_t ids[2])
{
    struct entry e;
    struct worker *w = bench_run_worker(r, NULL, 0, 0);
    w->t = r->peer->thread_new(r->db);
    r->peer->cursor_open(w->t);
    if (!r->peer->seek(w->t, data_key(w->key, ids[0]), &e)) {
        bench_run_lost(w, ids[1]);
    }
    bench_run_right_entry(w, ids[1], &e);
    r->peer->cursor_close(w->t);
    r->peer->thread_free(w->t);
    free(w);
}

static void seeks_at(struct run *r, const char *name, uint64_t sought, uint64_t found)
{
    const uint64_t ids[2] = {sought, found};
    struct worker *w = bench_run_worker(r, seek_same, SEEKS, 0);
    w->arg = ids;
    w->warm = 5;
    bench_run_all(&w, 1);
    bench_run_row_of(r, name, &w, 1);
    seek_right(r, ids);
}

void bench_alone_tombstones(struct run *r)
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
    bench_proc_calm(r->c->settle_ms, NULL);
    seeks_at(r, "tombstones.there", from, from + count);
    seeks_at(r, "tombstones.elsewhere", n / 4 * 3, n / 4 * 3);
}

/* ---- open ---- */

void bench_alone_open(struct run *r)
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
    struct row *row = bench_run_row(r, r->workload->name, "opens/s");
    row->rate = OPENS / (ticks * r->c->ns_per_tick / 1e9);
    bench_run_latency(row, &m);
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
    struct worker *w = bench_run_worker(r, NULL, 0, 0);
    w->t = r->peer->thread_new(r->db);
    for (uint64_t id = 0; id < count; id += r->c->check ? 1 : 97) {
        bench_run_get_bare(w, data_shuffle(w->data, id, 0));
    }
    r->peer->thread_free(w->t);
    free(w);
}

void bench_alone_replay(struct run *r)
{
    struct row *row = bench_run_row(r, r->workload->name, "MB/s");
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
    bench_proc_calm(r->c->settle_ms, r->dir);
    uint64_t begin = meter_ns();
    r->db = r->peer->open(&r->c->peer, r->dir);
    row->rate = (double)count * entry / 1e6 / ((double)(meter_ns() - begin) / 1e9);
    replay_check(r, count);
    r->peer->close(r->db);
    r->after = bench_proc_usage();
}
