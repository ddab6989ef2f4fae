/* test_raftlog_crash.c - the power goes at every disk operation, in recovery too: what is found is
 * the log after some write, no earlier one than was said to be durable, and it stays that.
 *
 * The log lies on a simulated disk (model P or E, torn sectors of every kind). Before operations
 * the disk is cloned, crashed, and what is left opened; deeper ones crash again while they open.
 * Without damage to the medium nothing may be called damaged; a last group may be in doubt, and
 * then only when nobody was told that it is durable. */
#include "env/env_posix.h"
#include "tests/engine/diskenv.h"
#include "tests/raft/logmodel.h"
#include "tests/tap.h"

#include <stdlib.h>

#define DEPTH 3

struct power {
    struct env *real;
    struct diskenv *disk; /* whose operations are watched */
    struct raftlog_options options;
    struct logmodel *m;
    struct chooser chooser;
    struct chooser_stream crash;
    int depth;
    int odds;         /* one operation in so many */
    uint64_t durable; /* deeper: what the crash before found */
    long *boots;
    long *doubts;
    long *torn;
};

static void before(void *arg);

static struct raftlog *log_open(struct env *env, const struct raftlog_options *o)
{
    struct raftlog *log = NULL;
    struct err err = {""};
    enum status st = raftlog_open(env, "raft", o, &log, &err);
    EXPECT(st == ST_OK);
    if (st != ST_OK) {
        printf("# %s: %s\n", status_name(st), err.text);
    }
    return log;
}

/* Which state it is; what is in doubt was not durable, and nothing is damaged. */
static long state_find(struct power *p, struct raftlog *log)
{
    char why[160] = "";
    const struct raftlog_start *start = raftlog_start(log);
    long n = logmodel_find(p->m, log, why);
    EXPECT(n >= 0);
    EXPECT(!start->hard_lost);
    for (size_t i = 0; i < start->fault_count; i++) {
        EXPECT(start->faults[i].doubt);
        EXPECT(start->faults[i].terms_true); /* and logmodel_find compared them */
        EXPECT(n > (long)p->m->durable);
        ++*p->doubts;
    }
    EXPECT(start->fault_count == 0 || start->torn_bytes == 0); /* one of the two */
    *p->torn += start->torn_bytes > 0;
    for (size_t i = 0; tap_failed && i < start->fault_count; i++) {
        printf("# fault [%d, %d) %s\n", (int)start->faults[i].lo, (int)start->faults[i].hi,
               start->faults[i].doubt ? "in doubt" : "damaged");
    }
    if (tap_failed) {
        printf("# snapshot %d base %d\n", (int)start->snapshot.place.index, (int)start->base.index);
        printf("# %s; durable %d of %d, last %d\n", why, (int)p->m->durable, (int)p->m->count,
               (int)start->last.index);
    }
    return n;
}

/* What a power loss now would leave, opened; and opened again after another one. */
static void crash_check(struct power *p)
{
    struct diskenv env;
    struct power inner = *p;
    enum simdisk_strategy strategy = simdisk_draw_strategy(&p->crash);
    struct simdisk *after = diskenv_crash(p->disk, strategy, &p->crash);
    uint64_t seed = choose_u64(&p->crash);

    diskenv_init(&env, p->real, after);
    inner.depth++;
    inner.disk = &env;
    inner.odds = 16;
    chooser_init(&inner.chooser, seed);
    chooser_stream_init(&inner.crash, &inner.chooser, CHOOSE_DISK_CRASH, 0);
    if (inner.depth < DEPTH) {
        diskenv_watch(&env, before, &inner);
    }
    ++*p->boots;
    struct raftlog *log = log_open(&env.te.env, &p->options);
    if (log != NULL) {
        diskenv_watch(&env, NULL, NULL);
        long n = state_find(&inner, log);
        raftlog_close(log);
        struct diskenv again; /* decided once: another loss of power changes nothing */
        diskenv_init(&again, p->real, diskenv_crash(&env, SIMDISK_DROP_ALL, &inner.crash));
        log = log_open(&again.te.env, &p->options);
        EXPECT(log == NULL || state_find(&inner, log) == n);
        raftlog_close(log);
        EXPECT(again.te.live == 0);
        diskenv_release(&again);
    }
    EXPECT(env.te.live == 0);
    EXPECT(env.te.descriptors == 0);
    if (tap_failed) {
        printf("# depth %d, strategy %d\n", inner.depth, (int)strategy);
    }
    diskenv_release(&env);
}

static void before(void *arg)
{
    struct power *p = arg;
    if (!tap_failed && choose(&p->crash, (uint64_t)p->odds) == 0) {
        crash_check(p);
    }
}

/* A group of one: what is in doubt goes. */
static void doubt_cut(struct power *p, struct raftlog *log)
{
    const struct raftlog_start *start = raftlog_start(log);
    if (start->fault_count > 0) {
        EXPECT(logmodel_truncate(p->m, log, start->faults[0].lo) == ST_OK);
        EXPECT(logmodel_sync(p->m, log) == ST_OK);
    }
}

static void generation(struct power *p, struct raftlog *log)
{
    for (int i = 0; i < 25 && !tap_failed; i++) {
        EXPECT(logmodel_write(p->m, log) == ST_OK);
        if (choose(&p->crash, 3) == 0) {
            EXPECT(logmodel_sync(p->m, log) == ST_OK);
        }
        if (choose(&p->crash, 8) == 0) {
            EXPECT(raftlog_tidy(log) == ST_OK);
        }
    }
}

static void disk_options(struct simdisk_options *o, uint64_t seed)
{
    static const enum simdisk_tear tears[] = {SIMDISK_T512, SIMDISK_T8, SIMDISK_TX, SIMDISK_T4096};
    simdisk_options_init(o);
    o->model = seed % 3 == 0 ? SIMDISK_E : SIMDISK_P;
    o->tear = tears[seed % 4];
    o->psow = seed % 5 != 0;
}

/* Generations on one disk: closed, or killed with the page cache left as it was, or without. */
static void power_run(struct env *real, uint64_t seed, struct power *totals)
{
    struct diskenv disk;
    struct simdisk_options o;
    struct simdisk *d = NULL;
    struct logmodel m;
    struct raftlog_identity identity = logmodel_identity();
    struct raftlog_snapshot first = logmodel_founding();
    struct power p = *totals;
    p.real = real;
    p.disk = &disk;
    p.m = &m;
    p.odds = 10;
    p.options = (struct raftlog_options){.segment_bytes = 32 << 10,
                                         .cache_bytes = seed % 2 == 0 ? 4 << 10 : 64 << 10,
                                         .group_bytes = seed % 3 == 0 ? 1000 : 0,
                                         .sector_bytes = seed % 4 == 1 ? 4096 : 512,
                                         .verify = true};
    disk_options(&o, seed);
    EXPECT(simdisk_new(&real->mem, &o, &d) == ST_OK);
    logmodel_init(&m, seed);
    m.catches_up = seed / 2 % 2 == 1;
    chooser_init(&p.chooser, seed);
    chooser_stream_init(&p.crash, &p.chooser, CHOOSE_DISK_CRASH, 0);
    diskenv_init(&disk, real, d);
    EXPECT(raftlog_create(&disk.te.env, "raft", &p.options, &identity, &first, NULL) == ST_OK);
    for (int g = 0; g < 4 && !tap_failed; g++) {
        diskenv_watch(&disk, before, &p);
        struct raftlog *log = log_open(&disk.te.env, &p.options);
        long n = log != NULL ? state_find(&p, log) : -1;
        if (n < 0) {
            break;
        }
        logmodel_settle(&m, (uint64_t)n);
        doubt_cut(&p, log);
        generation(&p, log);
        diskenv_watch(&disk, NULL, NULL);
        struct simdisk *left =
            g % 2 == 0 ? diskenv_clone(&disk)
                       : diskenv_crash(&disk, simdisk_draw_strategy(&p.crash), &p.crash);
        raftlog_close(log);
        EXPECT(disk.te.live == 0);
        diskenv_release(&disk);
        diskenv_init(&disk, real, left);
        simdisk_process_died(left, &p.crash);
    }
    diskenv_release(&disk);
    logmodel_release(&m);
    if (tap_failed) {
        printf("# seed %d\n", (int)seed);
    }
}

static void raftlog__a_power_loss_anywhere_leaves_a_durable_prefix(void)
{
    struct env *real;
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    const char *seeds = getenv("RAFTLOG_SEEDS");
    const char *from = getenv("RAFTLOG_FROM");
    uint64_t first = from != NULL ? strtoull(from, NULL, 10) : 1;
    uint64_t count = seeds != NULL ? strtoull(seeds, NULL, 10) : 24;
    long boots = 0;
    long doubts = 0;
    long torn = 0;
    struct power totals = {.boots = &boots, .doubts = &doubts, .torn = &torn};
    EXPECT(env_posix_new(&o, &real) == ST_OK);
    for (uint64_t seed = first; seed < first + count && !tap_failed; seed++) {
        power_run(real, seed, &totals);
    }
    printf("# %ld recoveries, %ld in doubt, %ld torn tails\n", boots, doubts, torn);
    EXPECT(boots > 0 && doubts > 0 && torn > 0);
    env_posix_free(real);
}

/* Making a log is all or nothing too: either there is none, or an empty one. */
static void raftlog__a_power_loss_while_it_is_made_leaves_none_or_an_empty_one(void)
{
    struct env *real;
    struct env_posix_options po = {NULL, ENV_LOG_ERROR + 1};
    struct raftlog_options o = {.segment_bytes = 32 << 10, .verify = true};
    struct raftlog_identity identity = logmodel_identity();
    struct raftlog_snapshot first = logmodel_founding();
    long none = 0;
    long made = 0;
    EXPECT(env_posix_new(&po, &real) == ST_OK);
    for (uint64_t seed = 1; seed <= 400 && !tap_failed; seed++) {
        struct diskenv disk;
        struct diskenv left;
        struct chooser c;
        struct chooser_stream s;
        struct inject in;
        struct inject_rule rule;
        struct raftlog *log = NULL;
        chooser_init(&c, seed);
        chooser_stream_init(&s, &c, CHOOSE_DISK_CRASH, 0);
        diskenv_init(&disk, real, NULL);
        inject_init(&in, &disk.te.env);
        inject_rule_init(&rule); /* the process ends at the n-th call */
        rule.calls = INJECT_ANY;
        rule.at = (long)(seed % 40);
        rule.rest = true;
        inject_add(&in, &rule);
        enum status st = raftlog_create(&in.env, "raft", &o, &identity, &first, NULL);
        diskenv_init(&left, real, diskenv_crash(&disk, simdisk_draw_strategy(&s), &s));
        enum status opened = raftlog_open(&left.te.env, "raft", &o, &log, NULL);
        EXPECT(opened == ST_OK || (opened == ST_NOENT && st != ST_OK));
        if (opened == ST_OK) {
            EXPECT(raftlog_start(log)->last.index == 0);
            EXPECT(raftlog_start(log)->identity.node == identity.node);
            made++;
        } else {
            EXPECT(raftlog_create(&left.te.env, "raft", &o, &identity, &first, NULL) == ST_OK);
            none++;
        }
        raftlog_close(log);
        EXPECT(left.te.live == 0 && in.live == 0);
        inject_release(&in);
        diskenv_release(&left);
        diskenv_release(&disk);
        if (tap_failed) {
            printf("# seed %d: create %s, open %s\n", (int)seed, status_name(st),
                   status_name(opened));
        }
    }
    EXPECT(none > 0 && made > 0);
    env_posix_free(real);
}

TAP_MAIN({
    RUN(raftlog__a_power_loss_anywhere_leaves_a_durable_prefix);
    RUN(raftlog__a_power_loss_while_it_is_made_leaves_none_or_an_empty_one);
})
