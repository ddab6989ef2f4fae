/* test_raftlog_fault.c - refused memory, full disks, failing calls and failing syncs: the log says
 * so, has not changed, and goes on where it may; after a failed fsync it never does (R7). */
#include "env/env_posix.h"
#include "tests/engine/diskenv.h"
#include "tests/raft/logmodel.h"
#include "tests/tap.h"

#include <stdlib.h>

struct scene {
    struct env *real;
    struct diskenv disk;
    struct inject in; /* over the disk's Env */
    struct inject_rule rule;
    struct raftlog_options options;
    struct raftlog *log;
    struct logmodel m;
};

static void scene_begin(struct scene *x)
{
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    struct raftlog_identity identity = logmodel_identity();
    struct raftlog_snapshot first = logmodel_founding();
    memset(x, 0, sizeof *x);
    EXPECT(env_posix_new(&o, &x->real) == ST_OK);
    diskenv_init(&x->disk, x->real, NULL);
    inject_init(&x->in, &x->disk.te.env);
    inject_rule_init(&x->rule);
    inject_add(&x->in, &x->rule);
    x->options =
        (struct raftlog_options){.segment_bytes = 32 << 10, .cache_bytes = 4 << 10, .verify = true};
    logmodel_init(&x->m, 7);
    EXPECT(raftlog_create(&x->in.env, "raft", &x->options, &identity, &first, NULL) == ST_OK);
}

static enum status scene_open(struct scene *x)
{
    enum status st = raftlog_open(&x->in.env, "raft", &x->options, &x->log, NULL);
    if (st == ST_OK) {
        x->m.history = 0;
        logmodel_settle(&x->m, x->m.count);
    }
    return st;
}

static void scene_end(struct scene *x)
{
    raftlog_close(x->log);
    EXPECT(x->in.live == 0);
    EXPECT(x->in.descriptors == 0);
    inject_release(&x->in);
    diskenv_release(&x->disk);
    env_posix_free(x->real);
    logmodel_release(&x->m);
}

static bool same(struct scene *x)
{
    char why[160] = "";
    bool is = logmodel_equal(logmodel_now(&x->m), x->log, false, why);
    if (!is) {
        printf("# %s\n", why);
    }
    return is;
}

/* A life of writes, each call made again when memory or a file call was refused. */
static long life(struct scene *x, enum status expected)
{
    long refused = 0;
    for (int i = 0; i < 40 && !tap_failed; i++) {
        struct prng before = x->m.prng;
        enum status st = logmodel_write(&x->m, x->log);
        if (st != ST_OK) {
            EXPECT(st == expected);
            x->m.prng = before;
            EXPECT(logmodel_write(&x->m, x->log) == ST_OK);
            refused++;
        }
        st = logmodel_sync(&x->m, x->log);
        if (st != ST_OK) {
            EXPECT(st == expected);
            EXPECT(logmodel_sync(&x->m, x->log) == ST_OK);
            refused++;
        }
        st = raftlog_tidy(x->log);
        if (st != ST_OK) {
            EXPECT(st == expected);
            refused++;
        }
    }
    return refused;
}

static void raftlog__each_refused_allocation_changes_nothing(void)
{
    long reached = 0;
    for (long n = 0; !tap_failed; n++) {
        struct scene x;
        scene_begin(&x);
        x.in.allocs = 0;
        x.in.fail_at = n;
        enum status st = scene_open(&x);
        EXPECT(st == ST_OK || st == ST_NOMEM);
        if (st == ST_NOMEM) {
            EXPECT(scene_open(&x) == ST_OK);
        }
        (void)life(&x, ST_NOMEM);
        bool more = x.in.allocs > n;
        x.in.fail_at = -1;
        EXPECT(same(&x));
        raftlog_close(x.log);
        EXPECT(scene_open(&x) == ST_OK);
        EXPECT(same(&x));
        scene_end(&x);
        reached = n;
        if (!more) {
            break;
        }
    }
    printf("# %ld allocations\n", reached);
    EXPECT(reached > 20);
}

/* Calls that are no syncs may fail and be made again: nothing was promised. */
static void raftlog__each_failing_write_is_made_up_for(void)
{
    for (long n = 0; !tap_failed; n++) {
        struct scene x;
        scene_begin(&x);
        EXPECT(scene_open(&x) == ST_OK);
        x.rule.calls = INJECT_WRITE | INJECT_OPEN | INJECT_ALLOCATE | INJECT_RENAME | INJECT_REMOVE;
        x.rule.with = n % 2 == 0 ? ST_IO : ST_NOSPC;
        x.rule.how = n % 3 == 0 ? INJECT_TEAR : INJECT_FAIL;
        x.rule.seen = 0;
        x.rule.at = n;
        (void)life(&x, x.rule.with);
        bool more = x.rule.seen > n;
        x.rule.at = -1;
        EXPECT(same(&x));
        raftlog_close(x.log);
        EXPECT(scene_open(&x) == ST_OK);
        EXPECT(raftlog_start(x.log)->fault_count == 0);
        EXPECT(same(&x));
        if (tap_failed) {
            printf("# call %ld\n", n);
        }
        scene_end(&x);
        if (!more) {
            printf("# %ld calls\n", n);
            break;
        }
    }
}

/* R7: once a sync failed nothing is durable any more, whatever later syncs would say. */
static void raftlog__a_failed_sync_breaks_it_for_good(void)
{
    for (long n = 0; n < 12 && !tap_failed; n++) {
        struct scene x;
        struct raftlog_stats stats;
        uint64_t durable = 0;
        enum status st = ST_OK;
        scene_begin(&x);
        EXPECT(scene_open(&x) == ST_OK);
        x.rule.calls = n % 4 == 3 ? INJECT_DIRSYNC : INJECT_SYNC;
        x.rule.seen = 0;
        x.rule.at = n % 4 == 3 ? n / 4 : n;
        for (int i = 0; i < 200 && st == ST_OK; i++) {
            st = logmodel_append(&x.m, x.log, 1, 1, 700);
            st = st == ST_OK ? raftlog_sync(x.log, &durable) : st;
        }
        EXPECT(st == ST_IO);
        raftlog_stats(x.log, &stats);
        EXPECT(stats.broken && stats.durable == durable);
        EXPECT(raftlog_sync(x.log, &durable) == ST_IO);
        EXPECT(raftlog_tidy(x.log) == ST_IO);
        EXPECT(logmodel_append(&x.m, x.log, 1, 1, 10) == ST_IO);
        EXPECT(same(&x)); /* reads go on */
        EXPECT(x.in.synced_after_failure == 0);
        scene_end(&x);
    }
}

/* Room is reserved before anything is promised; when there is some again, it goes on. */
static void raftlog__a_full_disk_is_met_before_the_promise(void)
{
    struct scene x;
    struct raftlog_stats stats;
    enum status st = ST_OK;
    int taken = 0;
    scene_begin(&x);
    EXPECT(scene_open(&x) == ST_OK);
    simdisk_set_capacity(x.disk.disk, 200 << 10);
    while (st == ST_OK && taken < 500) {
        EXPECT(logmodel_append(&x.m, x.log, 1, 1, 2000) == ST_OK);
        st = logmodel_sync(&x.m, x.log);
        taken += st == ST_OK;
        x.m.history += x.m.count;
        logmodel_settle(&x.m, x.m.count);
    }
    EXPECT(st == ST_NOSPC);
    EXPECT(taken > 20);
    raftlog_stats(x.log, &stats);
    EXPECT(!stats.broken && stats.pending > 0);
    EXPECT(same(&x));
    simdisk_set_capacity(x.disk.disk, 1 << 20);
    EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
    EXPECT(same(&x));
    raftlog_close(x.log);
    EXPECT(scene_open(&x) == ST_OK && same(&x));
    scene_end(&x);
}

/* A steady stream of writes allocates nothing. */
static void raftlog__a_steady_stream_allocates_nothing(void)
{
    struct scene x;
    struct raft_entry e[8];
    char data[100] = {0};
    long before = 0;
    uint64_t durable;
    scene_begin(&x);
    x.options.cache_bytes = 256 << 10;
    x.options.verify = false;
    EXPECT(scene_open(&x) == ST_OK);
    uint64_t seq = 0;
    for (uint64_t i = 0; i < 6000; i++) {
        before = i == 3000 ? x.in.allocs : before;
        for (uint64_t k = 0; k < 8; k++) {
            e[k] = (struct raft_entry){i * 8 + k + 1, 1, RAFT_COMMAND, slice_of(data, sizeof data)};
        }
        struct raftlog_write w = {.seq = ++seq, .entries = e, .count = 8};
        EXPECT(raftlog_append(x.log, &w) == ST_OK && raftlog_sync(x.log, &durable) == ST_OK);
        if (i % 100 == 99) {
            struct raftlog_snapshot s = {{i * 8, 1}, slice_text("c"), true};
            w = (struct raftlog_write){.seq = ++seq, .snapshot = &s, .compact = i * 8 - 100};
            EXPECT(raftlog_append(x.log, &w) == ST_OK && raftlog_sync(x.log, &durable) == ST_OK);
            EXPECT(raftlog_tidy(x.log) == ST_OK);
        }
    }
    EXPECT(x.in.allocs == before);
    scene_end(&x);
}

TAP_MAIN({
    RUN(raftlog__each_refused_allocation_changes_nothing);
    RUN(raftlog__each_failing_write_is_made_up_for);
    RUN(raftlog__a_failed_sync_breaks_it_for_good);
    RUN(raftlog__a_full_disk_is_met_before_the_promise);
    RUN(raftlog__a_steady_stream_allocates_nothing);
})
