/* logmodel.c - see logmodel.h. */
#include "tests/raft/logmodel.h"

#include "base/code.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64

static void must(bool ok, const char *what)
{
    if (!ok) {
        printf("Bail out! %s\n", what);
        exit(1);
    }
}

/* Bytes of a payload. */
static void fill(char *p, uint64_t tag, uint32_t size)
{
    for (uint32_t i = 0; i < size; i += 8) {
        char word[8];
        code_put64(word, hash_mix(tag + i));
        memcpy(p + i, word, size - i < 8 ? size - i : 8);
    }
}

static bool filled(struct slice data, uint64_t tag, uint32_t size)
{
    char *p = malloc((size_t)size + 1);
    must(p != NULL, "memory");
    fill(p, tag, size);
    bool same = data.size == size && (size == 0 || memcmp(data.data, p, size) == 0);
    free(p);
    return same;
}

static struct slice config_text(char text[24], uint64_t tag)
{
    fill(text, tag, 24);
    return slice_of(text, 24);
}

struct raftlog_snapshot logmodel_founding(void)
{
    static const char founding[] = "founding";
    return (struct raftlog_snapshot){{0, 0}, slice_of(founding, 8), false};
}

struct raftlog_identity logmodel_identity(void)
{
    return (struct raftlog_identity){11, 22, 33, 44};
}

void logmodel_init(struct logmodel *m, uint64_t seed)
{
    memset(m, 0, sizeof *m);
    m->prng.state = seed;
    m->size_max = 300;
    m->states[0] = calloc(1, sizeof *m->states[0]);
    must(m->states[0] != NULL, "memory");
}

void logmodel_release(struct logmodel *m)
{
    for (uint64_t i = 0; i <= m->count; i++) {
        free(m->states[i]);
    }
    memset(m, 0, sizeof *m);
}

struct logmodel_state *logmodel_now(struct logmodel *m)
{
    return m->states[m->count];
}

void logmodel_settle(struct logmodel *m, uint64_t n)
{
    struct logmodel_state *keep = m->states[n];
    for (uint64_t i = 0; i <= m->count; i++) {
        if (i != n) {
            free(m->states[i]);
        }
        m->states[i] = NULL;
    }
    m->states[0] = keep;
    m->count = m->durable = 0;
}

/* A copy of the present state, to be changed. */
static struct logmodel_state *state_copy(struct logmodel *m)
{
    struct logmodel_state *s = malloc(sizeof *s);
    must(s != NULL, "memory");
    *s = *logmodel_now(m);
    return s;
}

static struct logmodel_entry *entry_of(struct logmodel_state *s, uint64_t index)
{
    return &s->entries[index - s->base.index - 1];
}

static uint64_t term_of(struct logmodel_state *s, uint64_t index)
{
    return index == s->base.index ? s->base.term : entry_of(s, index)->term;
}

/* A write in the making: the log's form of it, and the state behind it. */
struct making {
    struct logmodel_state *after;
    struct raftlog_write w;
    struct raft_hard hard;
    struct raftlog_snapshot snapshot;
    char config[24];
    struct raft_entry entries[BATCH];
    char *data[BATCH];
};

static void making_begin(struct logmodel *m, struct making *k)
{
    memset(k, 0, sizeof *k);
    k->after = state_copy(m);
}

static void add_hard(struct making *k, uint64_t term, uint64_t vote)
{
    k->hard = (struct raft_hard){term, vote};
    k->after->hard = k->hard;
    k->w.hard = &k->hard;
}

static void add_truncate(struct making *k, uint64_t from)
{
    k->w.truncate = from;
    k->after->last = from - 1 < k->after->last ? from - 1 : k->after->last;
}

static void add_entry(struct logmodel *m, struct making *k, uint64_t term, uint8_t kind,
                      uint32_t size)
{
    struct logmodel_state *s = k->after;
    must(s->last - s->base.index < LOGMODEL_ENTRIES, "the model is full");
    must(k->w.count < BATCH, "the write is full");
    struct logmodel_entry e = {term, prng_next(&m->prng), size, kind};
    size_t i = k->w.count++;
    k->data[i] = malloc((size_t)size + 1);
    must(k->data[i] != NULL, "memory");
    fill(k->data[i], e.tag, size);
    s->last++;
    *entry_of(s, s->last) = e;
    k->entries[i] =
        (struct raft_entry){s->last, term, (enum raft_kind)kind, slice_of(k->data[i], size)};
    k->w.entries = k->entries;
}

static void drop_front(struct logmodel_state *s, uint64_t index)
{
    uint64_t gone = index - s->base.index;
    uint64_t term = term_of(s, index);
    memmove(s->entries, s->entries + gone, (size_t)(s->last - index) * sizeof *s->entries);
    s->base = (struct raft_place){index, term};
}

static void add_snapshot(struct logmodel *m, struct making *k, struct raft_place place, bool keep)
{
    struct logmodel_state *s = k->after;
    uint64_t tag = prng_next(&m->prng);
    k->snapshot = (struct raftlog_snapshot){place, config_text(k->config, tag), keep};
    k->w.snapshot = &k->snapshot;
    s->snapshot = place;
    s->snapshot_tag = tag;
    if (!keep) {
        s->base = place;
        s->last = place.index;
    }
}

/* Gives the write to the log; the model takes it when the log does. */
static enum status making_end(struct logmodel *m, struct making *k, struct raftlog *log)
{
    must(m->count < LOGMODEL_WRITES, "the history is full");
    k->w.seq = m->history + m->count + 1;
    enum status st = raftlog_append(log, &k->w);
    if (st == ST_OK) {
        m->states[++m->count] = k->after;
    } else {
        free(k->after);
    }
    for (size_t i = 0; i < k->w.count; i++) {
        free(k->data[i]);
    }
    return st;
}

enum status logmodel_append(struct logmodel *m, struct raftlog *log, uint64_t term, size_t count,
                            uint32_t size)
{
    struct making k;
    making_begin(m, &k);
    for (size_t i = 0; i < count; i++) {
        add_entry(m, &k, term, RAFT_COMMAND, size);
    }
    return making_end(m, &k, log);
}

enum status logmodel_truncate(struct logmodel *m, struct raftlog *log, uint64_t from)
{
    struct making k;
    making_begin(m, &k);
    add_truncate(&k, from);
    return making_end(m, &k, log);
}

enum status logmodel_hard(struct logmodel *m, struct raftlog *log, uint64_t term, uint64_t vote)
{
    struct making k;
    making_begin(m, &k);
    add_hard(&k, term, vote);
    return making_end(m, &k, log);
}

enum status logmodel_snapshot(struct logmodel *m, struct raftlog *log, struct raft_place place,
                              bool keep)
{
    struct making k;
    making_begin(m, &k);
    add_snapshot(m, &k, place, keep);
    return making_end(m, &k, log);
}

enum status logmodel_compact(struct logmodel *m, struct raftlog *log, uint64_t index)
{
    struct making k;
    making_begin(m, &k);
    k.w.compact = index;
    drop_front(k.after, index);
    return making_end(m, &k, log);
}

enum status logmodel_repair(struct logmodel *m, struct raftlog *log, uint64_t lo, uint64_t hi)
{
    enum status st = ST_OK;
    for (uint64_t i = lo; i < hi && st == ST_OK; i++) {
        struct making k;
        making_begin(m, &k);
        const struct logmodel_entry *e = entry_of(k.after, i);
        k.data[0] = malloc((size_t)e->size + 1);
        must(k.data[0] != NULL, "memory");
        fill(k.data[0], e->tag, e->size);
        k.entries[0] =
            (struct raft_entry){i, e->term, (enum raft_kind)e->kind, slice_of(k.data[0], e->size)};
        k.w.entries = k.entries;
        k.w.count = 1;
        k.w.repair = true;
        st = making_end(m, &k, log);
    }
    return st;
}

enum status logmodel_sync(struct logmodel *m, struct raftlog *log)
{
    struct raftlog_stats stats;
    enum status st;
    do {
        uint64_t durable;
        st = raftlog_sync(log, &durable);
        if (st == ST_OK && durable > m->history + m->durable) {
            m->durable = durable - m->history;
        }
        raftlog_stats(log, &stats);
    } while (st == ST_OK && stats.pending > 0);
    return st;
}

/* ---- random writes ---- */

static uint32_t random_size(struct logmodel *m)
{
    uint64_t how = prng_below(&m->prng, 20);
    return how == 0   ? (uint32_t)prng_below(&m->prng, 20 * (uint64_t)m->size_max)
           : how == 1 ? 0
                      : (uint32_t)prng_below(&m->prng, m->size_max);
}

static void random_entries(struct logmodel *m, struct making *k)
{
    struct logmodel_state *s = k->after;
    uint64_t n = prng_below(&m->prng, prng_below(&m->prng, 8) == 0 ? 30 : 5);
    for (uint64_t i = 0; i < n && s->last - s->base.index < LOGMODEL_ENTRIES; i++) {
        bool config = prng_below(&m->prng, 25) == 0;
        uint64_t least = s->last >= s->base.index ? term_of(s, s->last) : 0;
        uint64_t term = least > s->hard.term ? least : s->hard.term;
        term = term > 0 ? term : 1;
        if (m->catches_up && prng_below(&m->prng, 4) == 0) {
            term += 1 + prng_below(&m->prng, 2);
            add_hard(k, term, 0);
        }
        add_entry(m, k, term, config ? RAFT_CONFIG : RAFT_COMMAND,
                  config ? 1 + (uint32_t)prng_below(&m->prng, 60) : random_size(m));
    }
}

static void random_snapshot(struct logmodel *m, struct making *k)
{
    struct logmodel_state *s = k->after;
    bool ahead = prng_below(&m->prng, 4) == 0;
    uint64_t room = s->last - s->snapshot.index;
    if (ahead) {
        struct raft_place place = {s->last + prng_below(&m->prng, 20) + 1, s->hard.term + 1};
        add_hard(k, place.term, 0);
        add_snapshot(m, k, place, false);
    } else if (room > 0) {
        uint64_t index = s->snapshot.index + 1 + prng_below(&m->prng, room);
        struct raft_place place = {index, term_of(s, index)};
        add_snapshot(m, k, place, true);
    }
}

enum status logmodel_write(struct logmodel *m, struct raftlog *log)
{
    struct making k;
    making_begin(m, &k);
    struct logmodel_state *s = k.after;
    uint64_t how = prng_below(&m->prng, 16);
    bool full = s->last - s->base.index > LOGMODEL_ENTRIES / 2;
    if (how == 0) {
        add_hard(&k, s->hard.term + 1, prng_below(&m->prng, 4));
    }
    if (how == 1 || full) {
        random_snapshot(m, &k);
    }
    if ((how == 2 || (m->catches_up && how > 12)) && s->last > s->snapshot.index) {
        add_hard(&k, s->hard.term + 1, 0); /* another leader */
        add_truncate(&k, s->snapshot.index + 1 + prng_below(&m->prng, s->last - s->snapshot.index));
    }
    if (how != 3) {
        random_entries(m, &k);
    }
    if ((how == 4 || full) && s->snapshot.index > s->base.index) {
        uint64_t room = s->snapshot.index - s->base.index;
        k.w.compact = s->base.index + (full ? room : 1 + prng_below(&m->prng, room));
        drop_front(s, k.w.compact);
    }
    return making_end(m, &k, log);
}

/* ---- comparing ---- */

static bool differ(char why[160], const char *what, uint64_t want, uint64_t have)
{
    if (why != NULL) {
        (void)snprintf(why, 160, "%s: %llu, should be %llu", what, (unsigned long long)have,
                       (unsigned long long)want);
    }
    return false;
}

static bool entries_equal(const struct logmodel_state *s, struct raftlog *log, bool masked,
                          char why[160])
{
    struct raftlog_batch b = {.count = 0};
    uint64_t at = s->base.index + 1;
    bool same = true;
    while (at <= s->last && same) {
        enum status st = raftlog_read(log, at, s->last + 1, 5000, &b);
        if (st == ST_CORRUPT && masked && b.bad_lo <= at && b.bad_hi > at) {
            at = b.bad_hi;
            continue;
        }
        if (st != ST_OK || b.count == 0) {
            same = differ(why, status_name(st), ST_OK, at);
        }
        for (size_t i = 0; i < b.count && same; i++, at++) {
            const struct logmodel_entry *e = &s->entries[at - s->base.index - 1];
            uint64_t term = 0;
            same = b.entries[i].index == at && b.entries[i].term == e->term &&
                   (uint8_t)b.entries[i].kind == e->kind && raftlog_term(log, at, &term) == ST_OK &&
                   term == e->term && filled(b.entries[i].data, e->tag, e->size);
            if (!same) {
                (void)differ(why, "entry", e->term, at);
            }
        }
    }
    raftlog_batch_release(&b);
    return same;
}

bool logmodel_equal(const struct logmodel_state *s, struct raftlog *log, bool masked, char why[160])
{
    struct raftlog_stats stats;
    raftlog_stats(log, &stats);
    if (stats.first != s->base.index + 1) {
        return differ(why, "first", s->base.index + 1, stats.first);
    }
    if (stats.last != s->last) {
        return differ(why, "last", s->last, stats.last);
    }
    return entries_equal(s, log, masked, why);
}

static bool runs_equal(const struct logmodel_state *s, const struct raftlog_start *start,
                       char why[160])
{
    size_t run = 0;
    uint64_t before = 0;
    for (uint64_t i = s->base.index + 1; i <= s->last; i++) {
        uint64_t term = s->entries[i - s->base.index - 1].term;
        if (term == before) {
            continue;
        }
        before = term;
        if (run >= start->run_count || start->runs[run].first != i ||
            start->runs[run].term != term) {
            return differ(why, "run", i, run);
        }
        run++;
    }
    return run == start->run_count || differ(why, "runs", run, start->run_count);
}

static bool configs_equal(const struct logmodel_state *s, const struct raftlog_start *start,
                          char why[160])
{
    size_t n = 0;
    for (uint64_t i = s->base.index + 1; i <= s->last; i++) {
        const struct logmodel_entry *e = &s->entries[i - s->base.index - 1];
        if (e->kind != RAFT_CONFIG || i <= s->snapshot.index) {
            continue;
        }
        if (n >= start->config_count || start->configs[n].place.index != i ||
            start->configs[n].place.term != e->term ||
            !filled(start->configs[n].data, e->tag, e->size)) {
            return differ(why, "configuration", i, n);
        }
        n++;
    }
    return n == start->config_count || differ(why, "configurations", n, start->config_count);
}

bool logmodel_start_equal(const struct logmodel_state *s, const struct raftlog_start *start,
                          char why[160])
{
    char text[24];
    struct slice config =
        s->snapshot.index > 0 ? config_text(text, s->snapshot_tag) : logmodel_founding().config;
    if (start->hard.term != s->hard.term || start->hard.vote != s->hard.vote) {
        return differ(why, "term", s->hard.term, start->hard.term);
    }
    if (start->base.index != s->base.index || start->base.term != s->base.term) {
        return differ(why, "base", s->base.index, start->base.index);
    }
    if (start->last.index != s->last) {
        return differ(why, "last", s->last, start->last.index);
    }
    if (start->snapshot.place.index != s->snapshot.index ||
        start->snapshot.place.term != s->snapshot.term) {
        return differ(why, "snapshot", s->snapshot.index, start->snapshot.place.index);
    }
    if (!slice_equal(start->snapshot.config, config)) {
        return differ(why, "snapshot's configuration", config.size, start->snapshot.config.size);
    }
    return (start->fault_count > 0 || (runs_equal(s, start, why) && configs_equal(s, start, why)));
}

long logmodel_find(struct logmodel *m, struct raftlog *log, char why[160])
{
    const struct raftlog_start *start = raftlog_start(log);
    char first[160] = "";
    for (uint64_t n = m->count + 1; n-- > m->durable;) {
        if (logmodel_start_equal(m->states[n], start, why) &&
            logmodel_equal(m->states[n], log, start->fault_count > 0, why)) {
            return (long)n;
        }
        if (first[0] == '\0') {
            memcpy(first, why, sizeof first);
        }
    }
    memcpy(why, first, sizeof first);
    return -1;
}
