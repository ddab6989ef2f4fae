/* test_raftlog_threads.c - one log on real threads, as node/replica.c uses it: one appends (and
 * truncates, marks snapshots, compacts), one syncs and tidies, others read, ask for terms and for
 * figures. What is read is always some entry that was appended at that index, and at the end, and
 * after another open, the log is what the appender thinks. For ThreadSanitizer too.
 *
 * An entry's bytes are a function of its index and term, so that any reader can judge it. */
#include "base/hash.h"
#include "raft/raftlog.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

#define READERS 3
#define WRITES  20000
#define ENTRIES (WRITES * 8)
#define AHEAD   64 /* writes that may wait for the disk */
#define PAYLOAD 300

struct shared {
    struct env *env;
    struct raftlog *log;
    struct env_mutex mutex;
    struct env_cond work;        /* for the writer */
    struct env_cond room;        /* for the appender */
    uint64_t appended;           /* guarded: seq of the last write */
    uint64_t durable;            /* guarded */
    uint64_t first;              /* guarded: what a reader may hope for */
    uint64_t last;               /* guarded */
    bool over;                   /* guarded */
    uint64_t wrong;              /* guarded: what readers found fault with */
    uint64_t seen;               /* guarded: entries that they read */
    uint64_t terms[ENTRIES + 1]; /* the appender's own */
    struct raft_place snapshot;
};

struct reader {
    struct shared *s;
    uint64_t seed;
    struct env_thread thread;
};

/* ---- what an entry is ---- */

static size_t payload_size(uint64_t index, uint64_t term)
{
    return (size_t)(hash_mix(index * 31 + term) % PAYLOAD);
}

static void payload_fill(char *p, uint64_t index, uint64_t term)
{
    size_t n = payload_size(index, term);
    for (size_t i = 0; i < n; i++) {
        p[i] = (char)(index * 7 + term * 3 + i);
    }
}

static bool entry_right(const struct raft_entry *e)
{
    char want[PAYLOAD];
    payload_fill(want, e->index, e->term);
    return e->kind == RAFT_COMMAND &&
           slice_equal(e->data, slice_of(want, payload_size(e->index, e->term)));
}

static bool batch_right(const struct raftlog_batch *b, uint64_t lo, uint64_t hi)
{
    bool right = b->count > 0 && b->count <= hi - lo;
    for (size_t i = 0; right && i < b->count; i++) {
        const struct raft_entry *e = &b->entries[i];
        right = e->index == lo + i && (i == 0 || e->term >= e[-1].term) && entry_right(e);
    }
    return right;
}

/* ---- the appender: the test's own thread ---- */

static void tell_appended(struct shared *s, uint64_t seq, uint64_t first, uint64_t last)
{
    env_mutex_lock(s->env, &s->mutex);
    s->appended = seq;
    s->first = first;
    s->last = last;
    env_cond_signal(s->env, &s->work);
    while (s->appended > s->durable + AHEAD) {
        (void)env_cond_wait(s->env, &s->room, &s->mutex, ENV_NEVER); /* the loop decides */
    }
    env_mutex_unlock(s->env, &s->mutex);
}

static void write_one(struct shared *s, uint64_t seq, uint64_t *last, uint64_t *term)
{
    char data[8][PAYLOAD];
    struct raft_entry entries[8];
    uint64_t h = hash_mix(seq);
    struct raftlog_write w = {.seq = seq, .entries = entries, .count = h % 8};
    struct raftlog_snapshot mark = {s->snapshot, slice_text("members"), true};
    struct raft_hard hard = {*term, seq};
    if (h / 8 % 16 == 0 && *last > s->snapshot.index + 4) { /* another leader */
        w.truncate = *last - h / 128 % 4;
        *last = w.truncate - 1;
        hard.term = ++*term;
        w.hard = &hard;
    }
    if (h / 1024 % 32 == 0 && *last > s->snapshot.index + 40) {
        mark.place.index = *last - 20;
        mark.place.term = s->terms[mark.place.index];
        s->snapshot = mark.place;
        w.snapshot = &mark;
        w.compact = mark.place.index > 400 ? mark.place.index - 400 : 0;
    }
    for (size_t i = 0; i < w.count; i++) {
        uint64_t index = ++*last;
        s->terms[index] = *term;
        payload_fill(data[i], index, *term);
        entries[i] = (struct raft_entry){index, *term, RAFT_COMMAND,
                                         slice_of(data[i], payload_size(index, *term))};
    }
    EXPECT(raftlog_append(s->log, &w) == ST_OK);
}

static void append_all(struct shared *s, uint64_t *last)
{
    uint64_t term = 1;
    for (uint64_t seq = 1; seq <= WRITES && !tap_failed; seq++) {
        struct raftlog_stats stats;
        write_one(s, seq, last, &term);
        raftlog_stats(s->log, &stats);
        EXPECT(stats.last == *last && !stats.broken);
        tell_appended(s, seq, stats.first, *last);
    }
}

/* ---- the log writer ---- */

static void writer_main(void *arg)
{
    struct shared *s = arg;
    env_mutex_lock(s->env, &s->mutex);
    while (!s->over || s->durable < s->appended) {
        if (s->durable == s->appended) {
            (void)env_cond_wait(s->env, &s->work, &s->mutex, ENV_NEVER); /* the loop decides */
            continue;
        }
        env_mutex_unlock(s->env, &s->mutex);
        struct raftlog_stats stats;
        uint64_t durable = 0;
        enum status st = raftlog_sync(s->log, &durable);
        raftlog_stats(s->log, &stats);
        bool tidy = stats.spares > 0 || (stats.pending == 0 && stats.untidy);
        st = st == ST_OK && tidy ? raftlog_tidy(s->log) : st;
        env_mutex_lock(s->env, &s->mutex);
        s->wrong += st != ST_OK || durable < s->durable || stats.durable != durable;
        s->durable = durable;
        env_cond_signal(s->env, &s->room);
    }
    env_mutex_unlock(s->env, &s->mutex);
}

/* ---- readers ---- */

/* One look; false: something is wrong. */
static bool look(struct reader *r, struct raftlog_batch *b, uint64_t first, uint64_t last)
{
    struct raftlog *log = r->s->log;
    r->seed = hash_mix(r->seed + 1);
    uint64_t lo = first + r->seed % (last - first + 1);
    uint64_t hi = lo + 1 + r->seed / 1024 % (last - lo + 1);
    uint64_t term = 0;
    bool peek = r->seed / 65536 % 4 == 0;
    enum status st = peek ? raftlog_peek(log, lo, hi, 2000, b) : raftlog_read(log, lo, hi, 2000, b);
    if (st == ST_OK && !batch_right(b, lo, hi)) {
        return false;
    }
    /* gone since: compacted, or truncated */
    bool well = st == ST_OK || st == ST_NOENT || (peek && st == ST_AGAIN);
    enum status told = raftlog_term(log, lo, &term);
    return well && (told == ST_OK ? term > 0 : told == ST_NOENT);
}

static void reader_main(void *arg)
{
    struct reader *r = arg;
    struct shared *s = r->s;
    struct raftlog_batch b = {.count = 0};
    bool over = false;
    while (!over) {
        env_mutex_lock(s->env, &s->mutex);
        uint64_t first = s->first;
        uint64_t last = s->last;
        over = s->over;
        env_mutex_unlock(s->env, &s->mutex);
        b.count = 0;
        bool right = last < first || look(r, &b, first, last);
        env_mutex_lock(s->env, &s->mutex);
        s->wrong += !right;
        s->seen += right ? b.count : 0;
        env_mutex_unlock(s->env, &s->mutex);
    }
    raftlog_batch_release(&b);
}

/* ---- the whole ---- */

/* The log is what the appender thinks. */
static void compare(struct shared *s, uint64_t last)
{
    struct raftlog_stats stats;
    struct raftlog_batch b = {.count = 0};
    raftlog_stats(s->log, &stats);
    EXPECT(stats.last == last && stats.damaged == 0 && stats.first > 1);
    for (uint64_t at = stats.first; at <= last && !tap_failed; at += b.count) {
        EXPECT(raftlog_read(s->log, at, last + 1, 4000, &b) == ST_OK && b.count > 0);
        EXPECT(batch_right(&b, at, last + 1));
        for (size_t i = 0; i < b.count; i++) {
            EXPECT(b.entries[i].term == s->terms[at + i]);
        }
    }
    raftlog_batch_release(&b);
}

static uint64_t threads_run(struct shared *s)
{
    struct reader readers[READERS];
    struct env_thread writer;
    uint64_t last = 0;
    EXPECT(env_thread_start(s->env, &writer, "log writer", writer_main, s) == ST_OK);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.s = s, .seed = i};
        EXPECT(env_thread_start(s->env, &readers[i].thread, "reader", reader_main, &readers[i]) ==
               ST_OK);
    }
    append_all(s, &last);
    env_mutex_lock(s->env, &s->mutex);
    s->over = true;
    env_cond_signal(s->env, &s->work);
    env_mutex_unlock(s->env, &s->mutex);
    env_thread_join(s->env, &writer);
    for (unsigned i = 0; i < READERS; i++) {
        env_thread_join(s->env, &readers[i].thread);
    }
    EXPECT(s->wrong == 0);
    EXPECT(s->durable == WRITES);
    EXPECT(s->seen > 0);
    printf("# %d entries read\n", (int)s->seen);
    return last;
}

static void raftlog__threads_read_what_one_appends_and_one_syncs(void)
{
    struct tmpdir t;
    struct raftlog_options o = {
        .segment_bytes = 64 << 10, .group_bytes = 8 << 10, .cache_bytes = 16 << 10};
    struct raftlog_identity identity = {1, 2, 3, 4};
    struct raftlog_snapshot founding = {{0, 0}, slice_text("members"), false};
    struct shared *s = calloc(1, sizeof *s);
    tmpdir_make(&t);
    s->env = t.env;
    s->first = 1;
    env_mutex_init(s->env, &s->mutex);
    env_cond_init(s->env, &s->work);
    env_cond_init(s->env, &s->room);
    EXPECT(raftlog_create(t.env, "log", &o, &identity, &founding, NULL) == ST_OK);
    EXPECT(raftlog_open(t.env, "log", &o, &s->log, NULL) == ST_OK);
    uint64_t last = threads_run(s);
    compare(s, last);
    raftlog_close(s->log);
    EXPECT(raftlog_open(t.env, "log", &o, &s->log, NULL) == ST_OK);
    EXPECT(raftlog_start(s->log)->fault_count == 0);
    compare(s, last);
    raftlog_close(s->log);
    env_cond_release(s->env, &s->room);
    env_cond_release(s->env, &s->work);
    env_mutex_release(s->env, &s->mutex);
    free(s);
    tmpdir_clear(&t, "log");
    tmpdir_remove(&t);
}

TAP_MAIN({ RUN(raftlog__threads_read_what_one_appends_and_one_syncs); })
