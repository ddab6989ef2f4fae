/* test_raftlog.c - the Raft log by hand: writes come back, in this life and the next. */
#include "raft/raftlog.h"

#include "env/env_posix.h"
#include "tests/engine/diskenv.h"
#include "tests/raft/logmodel.h"
#include "tests/tap.h"

#include <stdlib.h>

/* A log on a simulated disk, and its model. */
struct scene {
    struct env *real;
    struct diskenv disk;
    struct raftlog_options options;
    struct raftlog *log;
    struct logmodel m;
};

static void scene_open(struct scene *x)
{
    struct err err = {""};
    enum status st = raftlog_open(&x->disk.te.env, "raft", &x->options, &x->log, &err);
    EXPECT(st == ST_OK);
    if (st != ST_OK) {
        printf("Bail out! %s\n", err.text);
        exit(1);
    }
    x->m.history = 0;
    logmodel_settle(&x->m, x->m.count);
}

static void scene_begin(struct scene *x, uint64_t segment_bytes, uint64_t cache_bytes)
{
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    struct raftlog_identity identity = logmodel_identity();
    struct raftlog_snapshot first = logmodel_founding();
    memset(x, 0, sizeof *x);
    EXPECT(env_posix_new(&o, &x->real) == ST_OK);
    diskenv_init(&x->disk, x->real, NULL);
    x->options = (struct raftlog_options){
        .segment_bytes = segment_bytes, .cache_bytes = cache_bytes, .verify = true};
    logmodel_init(&x->m, 1);
    EXPECT(raftlog_create(&x->disk.te.env, "raft", &x->options, &identity, &first, NULL) == ST_OK);
    scene_open(x);
}

static void scene_reopen(struct scene *x)
{
    raftlog_close(x->log);
    scene_open(x);
}

static void scene_end(struct scene *x)
{
    raftlog_close(x->log);
    EXPECT(x->disk.te.live == 0);
    EXPECT(x->disk.te.descriptors == 0);
    diskenv_release(&x->disk);
    env_posix_free(x->real);
    logmodel_release(&x->m);
}

static bool scene_same(struct scene *x)
{
    char why[160] = "";
    bool same = logmodel_equal(logmodel_now(&x->m), x->log, false, why);
    if (!same) {
        printf("# %s\n", why);
    }
    return same;
}

static bool scene_same_start(struct scene *x)
{
    char why[160] = "";
    bool same = logmodel_start_equal(logmodel_now(&x->m), raftlog_start(x->log), why);
    if (!same) {
        printf("# %s\n", why);
    }
    return same && scene_same(x);
}

static void raftlog__a_new_log_is_empty_and_says_whose_it_is(void)
{
    struct scene x;
    scene_begin(&x, 0, 0);
    const struct raftlog_start *s = raftlog_start(x.log);
    EXPECT(s->identity.node == 22 && s->identity.database == 44);
    EXPECT(s->last.index == 0 && s->run_count == 0 && s->fault_count == 0 && !s->hard_lost);
    EXPECT(slice_equal(s->snapshot.config, slice_text("founding")));
    scene_end(&x);
}

static void raftlog__entries_are_read_before_and_after_the_sync(void)
{
    struct scene x;
    scene_begin(&x, 0, 0);
    EXPECT(logmodel_append(&x.m, x.log, 1, 3, 100) == ST_OK);
    EXPECT(scene_same(&x));
    EXPECT(logmodel_sync(&x.m, x.log) == ST_OK && x.m.durable == 1);
    EXPECT(scene_same(&x));
    scene_reopen(&x);
    EXPECT(scene_same_start(&x));
    scene_end(&x);
}

static void raftlog__a_group_of_writes_shares_one_sync(void)
{
    struct scene x;
    struct raftlog_stats stats;
    uint64_t durable = 0;
    scene_begin(&x, 0, 0);
    long before = x.disk.syncs;
    (void)before;
    for (int i = 0; i < 50; i++) {
        EXPECT(logmodel_append(&x.m, x.log, 1, 2, 64) == ST_OK);
    }
    raftlog_stats(x.log, &stats);
    uint64_t groups = stats.groups;
    EXPECT(raftlog_sync(x.log, &durable) == ST_OK && durable == 50);
    raftlog_stats(x.log, &stats);
    EXPECT(stats.groups == groups + 1 && stats.pending == 0);
    scene_end(&x);
}

static void raftlog__truncation_hard_state_and_entries_come_back(void)
{
    struct scene x;
    scene_begin(&x, 0, 0);
    EXPECT(logmodel_hard(&x.m, x.log, 1, 7) == ST_OK);
    EXPECT(logmodel_append(&x.m, x.log, 1, 10, 20) == ST_OK);
    EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
    EXPECT(logmodel_hard(&x.m, x.log, 3, 0) == ST_OK);
    EXPECT(logmodel_truncate(&x.m, x.log, 6) == ST_OK);
    EXPECT(logmodel_append(&x.m, x.log, 3, 2, 500) == ST_OK);
    EXPECT(scene_same(&x));
    EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
    EXPECT(scene_same(&x));
    scene_reopen(&x);
    EXPECT(scene_same_start(&x));
    EXPECT(logmodel_append(&x.m, x.log, 3, 2, 5) == ST_OK);
    scene_reopen(&x); /* not synced: gone */
    x.m.count = 0;
    EXPECT(raftlog_start(x.log)->last.index == 7);
    x.m.count = 0;
    scene_end(&x);
}

static void raftlog__snapshots_keep_or_replace_the_log(void)
{
    struct scene x;
    scene_begin(&x, 0, 0);
    EXPECT(logmodel_append(&x.m, x.log, 1, 20, 50) == ST_OK);
    EXPECT(logmodel_snapshot(&x.m, x.log, (struct raft_place){12, 1}, true) == ST_OK);
    EXPECT(logmodel_compact(&x.m, x.log, 8) == ST_OK);
    EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
    EXPECT(scene_same(&x));
    scene_reopen(&x);
    EXPECT(scene_same_start(&x));
    EXPECT(logmodel_hard(&x.m, x.log, 4, 0) == ST_OK);
    EXPECT(logmodel_snapshot(&x.m, x.log, (struct raft_place){15, 4}, false) == ST_OK);
    EXPECT(logmodel_append(&x.m, x.log, 4, 3, 50) == ST_OK);
    EXPECT(scene_same(&x));
    EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
    scene_reopen(&x);
    EXPECT(scene_same_start(&x));
    scene_end(&x);
}

static void raftlog__segments_are_recycled(void)
{
    struct scene x;
    struct raftlog_stats stats;
    scene_begin(&x, 32 << 10, 4 << 10);
    for (int i = 0; i < 200; i++) {
        EXPECT(logmodel_append(&x.m, x.log, 1, 2, 900) == ST_OK);
        EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
        if (i % 10 == 9) {
            uint64_t last = logmodel_now(&x.m)->last;
            EXPECT(logmodel_snapshot(&x.m, x.log, (struct raft_place){last - 3, 1}, true) == ST_OK);
            EXPECT(logmodel_compact(&x.m, x.log, last - 10) == ST_OK);
            EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
            EXPECT(raftlog_tidy(x.log) == ST_OK);
            EXPECT(scene_same(&x));
        }
    }
    raftlog_stats(x.log, &stats);
    EXPECT(stats.segments <= 4);
    EXPECT(stats.cached_from > stats.first);
    scene_reopen(&x);
    EXPECT(scene_same_start(&x));
    scene_end(&x);
}

/* Of more of them not all could be told, should the group be torn. */
static void raftlog__a_group_begins_so_many_terms_and_no_more(void)
{
    struct scene x;
    struct raftlog_stats stats;
    uint64_t durable = 0;
    int groups = 0;
    scene_begin(&x, 1 << 20, 1 << 20);
    for (uint64_t term = 1; term <= 3 * RAFT_WRITE_RUNS; term++) {
        EXPECT(logmodel_append(&x.m, x.log, term, 1, 10) == ST_OK);
    }
    for (int i = 0; i < 200; i++) { /* what begins none costs none */
        EXPECT(logmodel_append(&x.m, x.log, 3 * RAFT_WRITE_RUNS, 1, 10) == ST_OK);
    }
    do {
        EXPECT(raftlog_sync(x.log, &durable) == ST_OK);
        raftlog_stats(x.log, &stats);
        groups++;
    } while (stats.pending > 0);
    EXPECT(groups == 3);
    x.m.durable = x.m.count;
    EXPECT(scene_same(&x));
    scene_reopen(&x);
    EXPECT(scene_same(&x) && scene_same_start(&x));
    scene_end(&x);
}

static void raftlog__a_write_larger_than_a_segment_goes_alone(void)
{
    struct scene x;
    scene_begin(&x, 32 << 10, 4 << 10);
    EXPECT(logmodel_append(&x.m, x.log, 1, 1, 10) == ST_OK);
    EXPECT(logmodel_append(&x.m, x.log, 1, 4, 50000) == ST_OK);
    EXPECT(logmodel_append(&x.m, x.log, 1, 1, 10) == ST_OK);
    EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
    EXPECT(scene_same(&x));
    scene_reopen(&x);
    EXPECT(scene_same_start(&x));
    scene_end(&x);
}

static void raftlog__reads_are_limited_and_know_the_ends(void)
{
    struct scene x;
    struct raftlog_batch b = {.count = 0};
    scene_begin(&x, 0, 4 << 10);
    EXPECT(logmodel_append(&x.m, x.log, 1, 50, 1000) == ST_OK);
    EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
    EXPECT(raftlog_read(x.log, 3, 40, 5000, &b) == ST_OK && b.count == 5 && b.bytes == 5000);
    EXPECT(raftlog_read(x.log, 3, 40, 10, &b) == ST_OK && b.count == 1);
    EXPECT(raftlog_read(x.log, 0, 40, 10, &b) == ST_NOENT);
    EXPECT(raftlog_read(x.log, 51, 60, 10, &b) == ST_NOENT);
    EXPECT(raftlog_peek(x.log, 50, 51, 10, &b) == ST_OK && b.count == 1);
    scene_reopen(&x);
    EXPECT(raftlog_peek(x.log, 3, 51, 10, &b) == ST_AGAIN);
    EXPECT(raftlog_read(x.log, 50, 60, 10, &b) == ST_OK && b.entries[0].index == 50);
    raftlog_batch_release(&b);
    scene_end(&x);
}

static void raftlog__random_writes_come_back(void)
{
    for (uint64_t seed = 1; seed <= 40 && !tap_failed; seed++) {
        struct scene x;
        scene_begin(&x, seed % 2 == 0 ? 32 << 10 : 64 << 10, seed % 3 == 0 ? 4 << 10 : 64 << 10);
        x.m.prng.state = seed;
        for (int life = 0; life < 4 && !tap_failed; life++) {
            for (int i = 0; i < 60 && !tap_failed; i++) {
                EXPECT(logmodel_write(&x.m, x.log) == ST_OK);
                if (i % 3 == 0) {
                    EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
                }
                if (i % 7 == 0) {
                    EXPECT(raftlog_tidy(x.log) == ST_OK);
                }
                EXPECT(scene_same(&x));
            }
            EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
            scene_reopen(&x);
            EXPECT(scene_same_start(&x));
            EXPECT(raftlog_start(x.log)->fault_count == 0);
        }
        if (tap_failed) {
            printf("# seed %d\n", (int)seed);
        }
        scene_end(&x);
    }
}

TAP_MAIN({
    RUN(raftlog__a_new_log_is_empty_and_says_whose_it_is);
    RUN(raftlog__entries_are_read_before_and_after_the_sync);
    RUN(raftlog__a_group_of_writes_shares_one_sync);
    RUN(raftlog__truncation_hard_state_and_entries_come_back);
    RUN(raftlog__snapshots_keep_or_replace_the_log);
    RUN(raftlog__segments_are_recycled);
    RUN(raftlog__a_group_begins_so_many_terms_and_no_more);
    RUN(raftlog__a_write_larger_than_a_segment_goes_alone);
    RUN(raftlog__reads_are_limited_and_know_the_ends);
    RUN(raftlog__random_writes_come_back);
})
