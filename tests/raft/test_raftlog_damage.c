/* test_raftlog_damage.c - sectors of the log rot, cannot be read, or were never written: nothing
 * that was durable is shortened or comes back as something else; damage is flagged, and can be
 * repaired.
 *
 * One fault: the log opens, keeps every place, and knows its hard state and configurations.
 * Several: it may have to say that these are lost, but it never says anything wrong. */
#include "env/env_posix.h"
#include "raft/raftlogfmt.h"
#include "tests/engine/diskenv.h"
#include "tests/raft/logmodel.h"
#include "tests/tap.h"

#include <stdlib.h>

struct counts {
    long runs;
    long faulty;   /* runs with entries damaged */
    long doubtful; /* with entries in doubt */
    long refused;  /* that did not open */
    long hard;     /* with a hard state lost */
    long shorter;
    long vague; /* faults of which not all terms are known */
};

struct scene {
    struct env *real;
    struct diskenv disk;
    struct raftlog_options options;
    struct raftlog *log;
    struct logmodel m;
    struct chooser chooser;
    struct chooser_stream s;
    unsigned more; /* writes behind the repairs */
};

static enum status scene_open(struct scene *x)
{
    struct err err = {""};
    return raftlog_open(&x->disk.te.env, "raft", &x->options, &x->log, &err);
}

/* A log with a history, all of it durable. */
static void scene_begin(struct scene *x, struct env *real, uint64_t seed, int writes)
{
    struct raftlog_identity identity = logmodel_identity();
    struct raftlog_snapshot first = logmodel_founding();
    memset(x, 0, sizeof *x);
    x->real = real;
    diskenv_init(&x->disk, real, NULL);
    x->options = (struct raftlog_options){.segment_bytes = seed % 2 == 0 ? 32 << 10 : 64 << 10,
                                          .cache_bytes = 4 << 10,
                                          .verify = true};
    chooser_init(&x->chooser, seed);
    chooser_stream_init(&x->s, &x->chooser, CHOOSE_DISK_FAULT, 0);
    logmodel_init(&x->m, seed);
    EXPECT(raftlog_create(&x->disk.te.env, "raft", &x->options, &identity, &first, NULL) == ST_OK);
    for (int life = 0; life < 3; life++) {
        EXPECT(scene_open(x) == ST_OK);
        logmodel_settle(&x->m, x->m.count);
        for (int i = 0; i < writes; i++) {
            EXPECT(logmodel_write(&x->m, x->log) == ST_OK);
            if (choose(&x->s, 2) == 0) {
                EXPECT(logmodel_sync(&x->m, x->log) == ST_OK);
            }
            if (choose(&x->s, 10) == 0) {
                EXPECT(raftlog_tidy(x->log) == ST_OK);
            }
        }
        EXPECT(logmodel_sync(&x->m, x->log) == ST_OK);
        if (life < 2) {
            raftlog_close(x->log);
        }
    }
}

/* The machine loses power: all is on the medium, nothing in the cache. */
static void scene_crash(struct scene *x)
{
    struct simdisk *left = diskenv_crash(&x->disk, SIMDISK_DROP_ALL, &x->s);
    raftlog_close(x->log);
    x->log = NULL;
    EXPECT(x->disk.te.live == 0);
    diskenv_release(&x->disk);
    diskenv_init(&x->disk, x->real, left);
}

static void scene_end(struct scene *x)
{
    raftlog_close(x->log);
    EXPECT(x->disk.te.live == 0);
    EXPECT(x->disk.te.descriptors == 0);
    diskenv_release(&x->disk);
    logmodel_release(&x->m);
}

static const struct simdisk_aim anywhere[] = {{"raft-*.log", 1, 0, 1000}};

/* A sector of the log goes bad. */
static bool scene_rot(struct scene *x, bool cached)
{
    struct simdisk_fault f = {.class =
                                  choose(&x->s, 4) == 0 ? SIMDISK_FAULT_LSE : SIMDISK_FAULT_ROT,
                              .cached = cached,
                              .seed = choose_u64(&x->s)};
    return simdisk_aim_at(x->disk.disk, anywhere, 1, &x->s, &f.ino, &f.offset) &&
           simdisk_inject(x->disk.disk, &f) == ST_OK;
}

/* Terms that are said to be known are right. */
static void terms_check(struct scene *x, const struct raftlog_fault *f)
{
    const struct logmodel_state *s = logmodel_now(&x->m);
    for (uint64_t i = f->lo; i < f->hi; i++) {
        uint64_t term = 0;
        enum status st = raftlog_term(x->log, i, &term);
        EXPECT(f->terms_true ? st == ST_OK : st == ST_CORRUPT);
        EXPECT(!f->terms_true || term == s->entries[i - s->base.index - 1].term);
    }
}

/* Peers give back what is damaged. */
static void scene_repair(struct scene *x)
{
    const struct raftlog_start *start = raftlog_start(x->log);
    struct raftlog_fault faults[64];
    size_t n = start->fault_count < 64 ? start->fault_count : 64;
    if (n > 0) {
        memcpy(faults, start->faults, n * sizeof *faults);
    }
    for (size_t i = 0; i < n; i++) {
        EXPECT(logmodel_repair(&x->m, x->log, faults[i].lo, faults[i].hi) == ST_OK);
    }
    /* others come behind before that is on the disk: in the same group, or while it is written */
    for (unsigned i = 0; i < x->more && !tap_failed; i++) {
        EXPECT(logmodel_append(&x->m, x->log, logmodel_now(&x->m)->hard.term + 1, 2, 900) == ST_OK);
    }
    EXPECT(logmodel_sync(&x->m, x->log) == ST_OK);
}

static bool same(struct scene *x, bool masked)
{
    char why[160] = "";
    bool is = logmodel_equal(logmodel_now(&x->m), x->log, masked, why);
    if (!is) {
        printf("# %s\n", why);
    }
    return is;
}

static bool same_start(struct scene *x)
{
    char why[160] = "";
    bool is = logmodel_start_equal(logmodel_now(&x->m), raftlog_start(x->log), why);
    if (!is) {
        printf("# %s\n", why);
    }
    return is;
}

static void faults_print(struct scene *x)
{
    struct buf text;
    buf_init(&text, &x->real->mem);
    if (simdisk_faults(x->disk.disk, &text) == ST_OK && text.size > 0) {
        printf("# %.*s\n", (int)text.size, text.data);
    }
    buf_release(&text);
}

/* Opens a log with one fault in it, repairs it, opens it again. */
static void one_check(struct scene *x, struct counts *c)
{
    struct raftlog_stats stats;
    c->runs++;
    EXPECT(scene_open(x) == ST_OK);
    if (x->log == NULL) {
        return;
    }
    const struct raftlog_start *start = raftlog_start(x->log);
    EXPECT(!start->hard_lost);
    EXPECT(same_start(x));
    EXPECT(same(x, true));
    for (size_t i = 0; i < start->fault_count; i++) {
        terms_check(x, &start->faults[i]);
        c->vague += !start->faults[i].terms_true;
    }
    c->faulty += start->fault_count > 0;
    c->doubtful += start->fault_count > 0 && start->faults[0].doubt;
    bool all = start->fault_count <= 64;
    scene_repair(x);
    if (all && !tap_failed) {
        EXPECT(same(x, false));
        raftlog_stats(x->log, &stats);
        EXPECT(stats.damaged == 0);
        raftlog_close(x->log);
        x->log = NULL;
        EXPECT(scene_open(x) == ST_OK);
        EXPECT(raftlog_start(x->log)->fault_count == 0);
        EXPECT(same_start(x) && same(x, false));
    }
}

static void raftlog__one_bad_sector_is_flagged_and_repaired(void)
{
    struct env *real;
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    struct counts c = {0};
    const char *more = getenv("RAFTLOG_SEEDS");
    uint64_t seeds = more != NULL ? strtoull(more, NULL, 10) : 60;
    EXPECT(env_posix_new(&o, &real) == ST_OK);
    for (uint64_t seed = 1; seed <= seeds && !tap_failed; seed++) {
        struct scene x;
        scene_begin(&x, real, seed, 30);
        bool closed = seed % 3 == 0;
        if (closed) {
            raftlog_close(x.log);
            EXPECT(scene_open(&x) == ST_OK);
        }
        scene_crash(&x);
        struct simdisk *whole = diskenv_clone(&x.disk);
        for (int i = 0; i < 20 && !tap_failed; i++) {
            struct simdisk *copy = NULL;
            raftlog_close(x.log);
            x.log = NULL;
            diskenv_release(&x.disk);
            EXPECT(simdisk_clone(whole, &copy) == ST_OK);
            diskenv_init(&x.disk, real, copy);
            if (scene_rot(&x, false)) {
                one_check(&x, &c);
            }
            if (tap_failed) {
                faults_print(&x);
                printf("# seed %d, fault %d\n", (int)seed, i);
            }
        }
        scene_end(&x);
        simdisk_free(whole);
    }
    printf("# %ld faults: %ld damaged entries, %ld put them in doubt\n", c.runs, c.faulty,
           c.doubtful);
    EXPECT(c.faulty > 0 && c.doubtful > 0);
    env_posix_free(real);
}

/* A write of the log is lost: what its group was is in doubt or damaged, but known. */
static void raftlog__a_lost_write_is_flagged(void)
{
    struct env *real;
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    struct counts c = {0};
    EXPECT(env_posix_new(&o, &real) == ST_OK);
    for (uint64_t seed = 1; seed <= 300 && !tap_failed; seed++) {
        struct scene x;
        scene_begin(&x, real, seed, 10);
        struct simdisk_fault f = {
            .class = SIMDISK_FAULT_LOST, .extent = (enum simdisk_extent)(seed % 3), .seed = seed};
        struct raftlog_stats stats;
        char path[ENV_PATH_MAX];
        raftlog_stats(x.log, &stats);
        for (uint64_t n = 99; n > 0; n--) { /* the present segment */
            raftlogfmt_path(path, "raft", n);
            if (simdisk_open(x.disk.disk, path, ENV_READ, &f.ino) == ST_OK) {
                break;
            }
        }
        for (uint64_t i = 0; i < seed % 7; i++) {
            EXPECT(logmodel_append(&x.m, x.log, logmodel_now(&x.m)->hard.term + 1, 1, 700) ==
                   ST_OK);
            EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
        }
        enum status st = simdisk_inject(x.disk.disk, &f);
        EXPECT(st == ST_OK || st == ST_NOENT); /* nothing to strike */
        simdisk_close(x.disk.disk, f.ino);
        for (uint64_t i = 0; i < seed % 3 + 1; i++) {
            unsigned many = seed % 5 == 0 ? 5 : 2;
            EXPECT(logmodel_append(&x.m, x.log, logmodel_now(&x.m)->hard.term + 1, many, 900) ==
                   ST_OK);
            EXPECT(logmodel_sync(&x.m, x.log) == ST_OK);
        }
        scene_crash(&x);
        x.more = (unsigned)(seed / 7 % 3);
        one_check(&x, &c);
        if (tap_failed) {
            faults_print(&x);
            printf("# seed %d\n", (int)seed);
        }
        scene_end(&x);
    }
    printf("# %ld runs: %ld damaged entries, %ld put them in doubt\n", c.runs, c.faulty,
           c.doubtful);
    EXPECT(c.faulty > 0 && c.doubtful > 0);
    EXPECT(c.vague == 0); /* a group of one term: its identity says which, whatever is left of it */
    env_posix_free(real);
}

/* Both identities of some file and something behind them are bad: then a tail may go unnoticed. */
static bool tail_excused(struct scene *x)
{
    for (uint64_t n = 1; n < 100; n++) {
        char path[ENV_PATH_MAX];
        raftlogfmt_path(path, "raft", n);
        if (simdisk_damaged(x->disk.disk, path, RAFTLOGFMT_PAGE, 2 * RAFTLOGFMT_PAGE) &&
            simdisk_damaged(x->disk.disk, path, RAFTLOGFMT_DATA_AT, 1 << 20)) {
            return true;
        }
    }
    return false;
}

static void many_check(struct scene *x, struct counts *c)
{
    const struct logmodel_state *s = logmodel_now(&x->m);
    bool excused = tail_excused(x);
    enum status st = scene_open(x);
    c->runs++;
    EXPECT(st == ST_OK || st == ST_CORRUPT);
    if (st != ST_OK) {
        c->refused++;
        return;
    }
    const struct raftlog_start *start = raftlog_start(x->log);
    c->faulty += start->fault_count > 0;
    c->hard += start->hard_lost;
    if (start->last.index != s->last || start->hard.term != s->hard.term) {
        c->shorter++;
        EXPECT(start->hard_lost || excused);
        return;
    }
    EXPECT(start->base.index == s->base.index);
    EXPECT(same(x, true));
}

static void raftlog__many_bad_sectors_never_give_wrong_entries(void)
{
    struct env *real;
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    struct counts c = {0};
    EXPECT(env_posix_new(&o, &real) == ST_OK);
    for (uint64_t seed = 1; seed <= 40 && !tap_failed; seed++) {
        struct scene x;
        scene_begin(&x, real, seed, 20);
        scene_crash(&x);
        struct simdisk *whole = diskenv_clone(&x.disk);
        for (int i = 0; i < 25 && !tap_failed; i++) {
            struct simdisk *copy = NULL;
            raftlog_close(x.log);
            x.log = NULL;
            diskenv_release(&x.disk);
            EXPECT(simdisk_clone(whole, &copy) == ST_OK);
            diskenv_init(&x.disk, real, copy);
            for (int k = 0; k <= i; k++) {
                (void)scene_rot(&x, false); /* or another one does */
            }
            many_check(&x, &c);
            if (tap_failed) {
                faults_print(&x);
                printf("# seed %d, round %d\n", (int)seed, i);
            }
        }
        scene_end(&x);
        simdisk_free(whole);
    }
    printf("# %ld runs: %ld damaged entries, %ld lost the hard state, %ld shorter, %ld refused\n",
           c.runs, c.faulty, c.hard, c.shorter, c.refused);
    env_posix_free(real);
}

/* Damage that comes while the log is open is met by a read, and repaired. */
static void raftlog__damage_is_met_while_it_is_open(void)
{
    struct env *real;
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    long met = 0;
    EXPECT(env_posix_new(&o, &real) == ST_OK);
    for (uint64_t seed = 1; seed <= 150 && !tap_failed; seed++) {
        struct scene x;
        scene_begin(&x, real, seed, 20);
        scene_crash(&x);
        EXPECT(scene_open(&x) == ST_OK);
        for (int k = 0; k < 4; k++) {
            (void)scene_rot(&x, false); /* or another one does */
        }
        EXPECT(same(&x, true));
        struct raftlog_stats stats;
        raftlog_stats(x.log, &stats);
        met += stats.damaged > 0;
        /* again while more is met: what was in memory is not any more, or a repair was written
         * into a page that cannot be read */
        stats.damaged = 1;
        for (int round = 0; round < 12 && stats.damaged > 0; round++) {
            const struct logmodel_state *s = logmodel_now(&x.m);
            for (uint64_t i = s->base.index + 1; i <= s->last; i += 50) {
                uint64_t hi = i + 50 < s->last + 1 ? i + 50 : s->last + 1;
                EXPECT(logmodel_repair(&x.m, x.log, i, hi) == ST_OK);
                /* a sector that cannot be read cannot be written in part: elsewhere, then */
                EXPECT(logmodel_sync(&x.m, x.log) == ST_OK || logmodel_sync(&x.m, x.log) == ST_OK);
                x.m.history += x.m.count;
                logmodel_settle(&x.m, x.m.count);
                s = logmodel_now(&x.m);
            }
            EXPECT(same(&x, true));
            raftlog_stats(x.log, &stats);
        }
        EXPECT(stats.damaged == 0 && same(&x, false));
        if (tap_failed) {
            faults_print(&x);
            printf("# seed %d\n", (int)seed);
        }
        scene_end(&x);
    }
    printf("# met in %ld of 150\n", met);
    EXPECT(met > 0);
    env_posix_free(real);
}

TAP_MAIN({
    RUN(raftlog__one_bad_sector_is_flagged_and_repaired);
    RUN(raftlog__a_lost_write_is_flagged);
    RUN(raftlog__many_bad_sectors_never_give_wrong_entries);
    RUN(raftlog__damage_is_met_while_it_is_open);
})
