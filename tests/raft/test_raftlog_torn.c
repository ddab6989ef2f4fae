/* test_raftlog_torn.c - groups of which bytes are missing, made by hand: what recovery says of
 * their terms, and that nothing else takes their place.
 *
 * The segment is read while the log is open, so without its closing mark, changed, and put back. */
#include "raft/raftlogfmt.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

#define SEGMENT ((size_t)64 << 10)

struct scene {
    struct tmpdir t;
    struct raftlog *log;
    struct raftlog_batch batch;
    char *bytes; /* of the segment of the log's first life; malloc'ed */
    uint64_t seq;
};

static uint64_t epoch_random(struct env *e)
{
    (void)e;
    return 0x11223344;
}

static void scene_open(struct scene *x, const char *dir)
{
    struct env_vt vt = *x->t.env->vt;
    const struct env_vt *real = x->t.env->vt;
    struct raftlog_options o = {.segment_bytes = SEGMENT, .verify = true};
    vt.random_u64 = epoch_random; /* so that bytes can be moved between two logs */
    x->t.env->vt = &vt;
    EXPECT(raftlog_open(x->t.env, dir, &o, &x->log, NULL) == ST_OK);
    x->t.env->vt = real;
    x->seq = 0;
}

static void scene_create(struct scene *x, const char *dir)
{
    struct raftlog_options o = {.segment_bytes = SEGMENT};
    struct raftlog_identity identity = {1, 2, 3, 4};
    struct raftlog_snapshot first = {{0, 0}, slice_text("cfg"), false};
    EXPECT(raftlog_create(x->t.env, dir, &o, &identity, &first, NULL) == ST_OK);
    scene_open(x, dir);
}

static void scene_begin(struct scene *x)
{
    memset(x, 0, sizeof *x);
    tmpdir_make(&x->t);
    scene_create(x, "log");
}

static void scene_end(struct scene *x)
{
    raftlog_batch_release(&x->batch);
    raftlog_close(x->log);
    free(x->bytes);
    tmpdir_clear(&x->t, "log");
    tmpdir_remove(&x->t);
}

/* n entries of a term from `from` on, whatever was there. */
static void put(struct scene *x, uint64_t from, size_t n, uint64_t term, const char *text)
{
    struct raft_entry entries[8];
    struct raft_hard hard = {term, 0};
    struct raftlog_write w = {
        .seq = ++x->seq, .hard = &hard, .truncate = from, .entries = entries, .count = n};
    struct raftlog_stats stats;
    raftlog_stats(x->log, &stats);
    w.truncate = from <= stats.last ? from : 0;
    for (size_t i = 0; i < n; i++) {
        entries[i] = (struct raft_entry){from + i, term, RAFT_COMMAND, slice_text(text)};
    }
    EXPECT(raftlog_append(x->log, &w) == ST_OK);
}

static void sync_all(struct scene *x)
{
    struct raftlog_stats stats;
    uint64_t durable;
    do {
        EXPECT(raftlog_sync(x->log, &durable) == ST_OK);
        raftlog_stats(x->log, &stats);
    } while (stats.pending > 0);
}

/* The machine loses power: x->bytes is what is changed before scene_return. */
static void scene_leave(struct scene *x)
{
    size_t size = 0;
    x->bytes = tmpdir_read(&x->t, "log/raft-000002.log", &size);
    EXPECT(size == SEGMENT);
    raftlog_close(x->log);
    x->log = NULL;
}

static void scene_return(struct scene *x)
{
    tmpdir_write(&x->t, "log/raft-000002.log", x->bytes, SEGMENT);
    scene_open(x, "log");
}

/* The latest identity in a segment's first pages; *at is its offset. */
static bool identity_of(const char *bytes, uint64_t number, struct raftlogfmt_block *b,
                        uint64_t *at)
{
    bool found = false;
    for (uint64_t i = 0; i < 2; i++) {
        struct raftlogfmt_block one;
        uint64_t slot = raftlogfmt_slot_at(i);
        bool right = raftlogfmt_get_block(false, bytes + slot, number, slot, &one) == ST_OK;
        if (right && (!found || one.sequence > b->sequence)) {
            *b = one;
            *at = slot;
            found = true;
        }
    }
    return found;
}

/* Entries 1..10 of term 1; then in one group 5..8 of term 2, and 7, 8 of term 3, 9 of term 5. All
 * of that group is lost but its identity. */
static void several_terms(struct scene *x, struct raftlogfmt_block *b, uint64_t *at)
{
    scene_begin(x);
    put(x, 1, 8, 1, "one");
    put(x, 9, 2, 1, "one");
    sync_all(x);
    put(x, 5, 4, 2, "two");
    put(x, 7, 2, 3, "three");
    put(x, 9, 1, 5, "five");
    sync_all(x);
    scene_leave(x);
    EXPECT(identity_of(x->bytes, 2, b, at));
    memset(x->bytes + b->offset, 0, (size_t)b->info.bytes);
}

static void raftlog__a_torn_group_of_several_terms_is_told_exactly(void)
{
    static const struct raft_run runs[] = {{1, 1}, {5, 2}, {7, 3}, {9, 5}};
    struct scene x;
    struct raftlogfmt_block b;
    uint64_t at;
    several_terms(&x, &b, &at);
    EXPECT(b.told && b.runs.size == 3 * RAFTLOGFMT_RUN);
    scene_return(&x);
    const struct raftlog_start *s = raftlog_start(x.log);
    EXPECT(s->last.index == 9 && s->last.term == 5 && s->hard.term == 5);
    EXPECT(s->fault_count == 1 && s->faults[0].lo == 5 && s->faults[0].hi == 10);
    EXPECT(s->faults[0].doubt && s->faults[0].terms_true && s->torn_bytes == 0);
    EXPECT(s->run_count == 4 && memcmp(s->runs, runs, sizeof runs) == 0);
    EXPECT(raftlog_read(x.log, 1, 10, 1000, &x.batch) == ST_OK && x.batch.count == 4);
    EXPECT(raftlog_read(x.log, 5, 10, 1000, &x.batch) == ST_CORRUPT);
    scene_end(&x);
}

/* As an identity of version 1 is, or one of too many runs; and it says so for good. */
static void raftlog__terms_that_are_not_told_are_a_lower_bound(void)
{
    struct scene x;
    struct raftlogfmt_block b;
    char page[RAFTLOGFMT_PAGE];
    uint64_t at;
    uint64_t term;
    size_t size = 0;
    several_terms(&x, &b, &at);
    b.told = false;
    b.runs = slice_of(NULL, 0);
    raftlogfmt_put_block(false, page, &b, at);
    memcpy(x.bytes + at, page, sizeof page);
    scene_return(&x);
    const struct raftlog_start *s = raftlog_start(x.log);
    EXPECT(s->last.index == 9 && s->last.term == 5);
    EXPECT(s->fault_count == 2 && s->faults[0].lo == 5 && s->faults[0].hi == 9);
    EXPECT(!s->faults[0].terms_true && s->faults[1].terms_true);
    EXPECT(raftlog_term(x.log, 7, &term) == ST_CORRUPT);
    EXPECT(raftlog_term(x.log, 9, &term) == ST_OK && term == 5);
    char *opening = tmpdir_read(&x.t, "log/raft-000003.log", &size);
    EXPECT(identity_of(opening, 3, &b, &at) && !b.told); /* should this one be torn too */
    free(opening);
    scene_end(&x);
}

/* A block is parsed: runs that no writer lists make it none. */
static void raftlogfmt__runs_that_cannot_be_are_no_block(void)
{
    static const struct raft_run rows[][2] = {
        {{7, 3}, {9, 5}}, {{9, 3}, {9, 5}}, {{7, 5}, {9, 5}}, {{7, 3}, {8, 5}}, {{7, 3}, {9, 4}}};
    struct scene x;
    struct raftlogfmt_block b;
    struct raftlogfmt_block read;
    char page[RAFTLOGFMT_PAGE];
    char bytes[2 * RAFTLOGFMT_RUN];
    uint64_t at;
    several_terms(&x, &b, &at);
    b.runs = slice_of(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        raftlogfmt_put_run(bytes, &rows[i][0]);
        raftlogfmt_put_run(bytes + RAFTLOGFMT_RUN, &rows[i][1]);
        raftlogfmt_put_block(false, page, &b, at);
        enum status st = raftlogfmt_get_block(false, page, 2, at, &read);
        EXPECT(st == (i == 0 ? ST_OK : ST_CORRUPT));
    }
    scene_end(&x);
}

/* Without any identity: but a later group says that it was durable. */
static void raftlog__a_broken_group_before_another_is_damage(void)
{
    struct scene x;
    struct raftlogfmt_block b;
    uint64_t at;
    size_t size = 0;
    scene_begin(&x);
    put(&x, 1, 3, 1, "a");
    sync_all(&x);
    put(&x, 4, 3, 2, "b");
    sync_all(&x);
    char *bytes = tmpdir_read(&x.t, "log/raft-000002.log", &size);
    EXPECT(identity_of(bytes, 2, &b, &at));
    free(bytes);
    put(&x, 7, 3, 2, "c");
    sync_all(&x);
    scene_leave(&x);
    memset(x.bytes + RAFTLOGFMT_PAGE, 0, 2 * RAFTLOGFMT_PAGE);
    x.bytes[b.offset + RAFTLOGFMT_GROUP + 48 + 20] ^= 1; /* in the second entry's head */
    scene_return(&x);
    const struct raftlog_start *s = raftlog_start(x.log);
    EXPECT(s->hard_lost && s->last.index == 9 && s->torn_bytes == 0);
    EXPECT(s->fault_count == 1 && s->faults[0].lo == 5 && s->faults[0].hi == 6);
    EXPECT(!s->faults[0].doubt);
    EXPECT(raftlog_read(x.log, 6, 10, 1000, &x.batch) == ST_OK && x.batch.count == 4);
    scene_end(&x);
}

/* A segment that is right in itself, and not the one that the next was written behind. */
static void raftlog__a_segment_of_another_history_is_damage(void)
{
    struct scene x;
    size_t size = 0;
    scene_begin(&x);
    put(&x, 1, 3, 1, "this");
    sync_all(&x);
    raftlog_close(x.log);
    scene_create(&x, "other");
    put(&x, 1, 3, 1, "that");
    sync_all(&x);
    raftlog_close(x.log);
    scene_open(&x, "log");
    put(&x, 4, 1, 1, "here");
    sync_all(&x);
    raftlog_close(x.log);
    x.log = NULL;
    x.bytes = tmpdir_read(&x.t, "other/raft-000002.log", &size);
    tmpdir_write(&x.t, "log/raft-000002.log", x.bytes, size);
    scene_open(&x, "log");
    EXPECT(raftlog_start(x.log)->last.index == 4 && raftlog_start(x.log)->fault_count == 1);
    EXPECT(raftlog_read(x.log, 1, 5, 1000, &x.batch) == ST_CORRUPT);
    EXPECT(raftlog_read(x.log, 4, 5, 1000, &x.batch) == ST_OK);
    EXPECT(slice_equal(x.batch.entries[0].data, slice_text("here")));
    tmpdir_clear(&x.t, "other");
    scene_end(&x);
}

TAP_MAIN({
    RUN(raftlog__a_torn_group_of_several_terms_is_told_exactly);
    RUN(raftlog__terms_that_are_not_told_are_a_lower_bound);
    RUN(raftlogfmt__runs_that_cannot_be_are_no_block);
    RUN(raftlog__a_broken_group_before_another_is_damage);
    RUN(raftlog__a_segment_of_another_history_is_damage);
})
