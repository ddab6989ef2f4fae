/* witness_store.c - for each bug planted in tables, manifest, compactions and reads, a scripted run
 * that the correct tree passes and the mutant fails. Nothing is drawn by chance: the script says
 * what is written and what fails, and the power goes at every disk operation of it.
 *
 * A database of letters: the value of a key is its letter, many times. What it may hold after a
 * crash is then two sets of letters: those that were promised, and those that were tried. */
#include "base/ck.h"
#include "engine/tkv.h"
#include "sim/simdisk.h"
#include "tests/sim/simtest.h"
#include "tests/tap.h"

#include <string.h>

#define DIR         "data"
#define US          1000u
#define LETTERS     26
#define MOMENTS_MAX 4000
#define ROTS        16 /* places that damage is tried in */
#define SEEDS       4  /* schedules tried where threads meet */
#define ALL         ((1u << LETTERS) - 1)

/* The disk as it was at one moment, and what a recovery from it has to find. */
struct moment {
    struct simdisk *disk; /* owned */
    uint32_t synced;      /* letters promised */
    uint32_t tried;
};

struct witness {
    struct simtest sim; /* first: hooks get it */
    void (*change)(struct tkv_options *o);
    uint32_t synced;
    uint32_t tried;
    uint32_t seed; /* of choices that the script leaves open */
    bool done;     /* the script came to its end */
    bool right;    /* and liked what it saw */
    /* moments */
    bool looking;
    struct moment moments[MOMENTS_MAX];
    size_t count;
    /* P12 */
    unsigned fail_after; /* syncs of the directory until a write fails; 0: none is to */
    bool fail_next;      /* the next one */
    /* P18 */
    struct tkv *db;
    bool stop; /* the thread that reads */
    /* the reader */
    bool opened;
    bool wrong; /* a key or a value that nobody wrote */
    uint32_t keys;
};

static void witness_open(struct witness *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    simtest_open(&w->sim, seed);
}

static void witness_close(struct witness *w)
{
    for (size_t i = 0; i < w->count; i++) {
        simdisk_free(w->moments[i].disk);
    }
    simtest_close(&w->sim);
}

/* ---- programs over the engine ---- */

static enum tkv_status db_open(struct env *env, struct tkv **db)
{
    struct witness *w = proc_of(env)->user;
    struct tkv_options o;
    tkv_options_init(&o);
    o.env = env;
    o.verify = true;
    o.block_bytes = 256;
    if (w->change != NULL) {
        w->change(&o);
    }
    return tkv_open(&o, DIR, db, NULL);
}

static uint32_t bit_of(char letter)
{
    return 1u << (letter - 'a');
}

/* The value of a letter: that letter, n times. */
static enum tkv_status put(struct witness *w, struct tkv *db, char letter, size_t n, bool sync)
{
    char value[4096];
    struct tkv_write_options o;
    CK(n <= sizeof value);
    memset(value, letter, n);
    tkv_write_options_init(&o);
    o.sync = sync;
    w->tried |= bit_of(letter);
    enum tkv_status st = tkv_put(db, &o, &letter, 1, value, n);
    if (sync && st == TKV_OK) {
        w->synced = w->tried;
    }
    return st;
}

static bool same_bytes(const char *p, size_t n, char c)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != c) {
            return false;
        }
    }
    return n > 0;
}

/* Looks at everything; what it cannot read is no answer. */
static enum tkv_status scan(struct witness *w, struct tkv *db)
{
    struct tkv_iter *it;
    w->keys = 0;
    CK(tkv_iter_new(db, NULL, &it) == TKV_OK);
    for (tkv_iter_first(it); tkv_iter_valid(it); tkv_iter_next(it)) {
        size_t k, n;
        const char *key = tkv_iter_key(it, &k);
        const char *value = tkv_iter_value(it, &n);
        bool letter = k == 1 && key[0] >= 'a' && key[0] < 'a' + LETTERS;
        w->wrong = w->wrong || !letter || !same_bytes(value, n, key[0]);
        w->keys |= letter ? bit_of(key[0]) : 0;
    }
    enum tkv_status st = tkv_iter_status(it);
    tkv_iter_free(it);
    return st;
}

static int reader_main(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    (void)argc;
    (void)argv;
    w->opened = db_open(env, &db) == TKV_OK;
    if (!w->opened) {
        return 1;
    }
    w->wrong = scan(w, db) != TKV_OK || w->wrong;
    return tkv_close(db) == TKV_OK ? 0 : 1;
}

static int script_end(struct env *env, struct tkv *db, bool right)
{
    struct witness *w = proc_of(env)->user;
    w->looking = false;
    w->right = right;
    w->done = true;
    return tkv_close(db) == TKV_OK ? 0 : 1;
}

/* Runs the writer's script to its end; false when it did not get there. */
static bool script_run(struct witness *w, proc_main_fn *writer)
{
    struct proc *p = simtest_start(&w->sim, w->sim.host, "writer", writer, w);
    p->watched = true;
    if (!simtest_run(&w->sim)) {
        printf("# %s: %s\n", w->sim.world.failure.class, w->sim.world.failure.text);
    }
    if (p->death[0] != '\0') {
        printf("# the writer died: %s\n", p->death);
    }
    return !w->sim.world.failure.set && w->done;
}

/* ---- the power goes at every disk operation ---- */

static void keep_moment(void *arg, struct proc *p, enum disk_op op, bool before)
{
    struct witness *w = arg;
    (void)before;
    if (!w->looking || op == DISK_READ || op == DISK_OPEN) {
        return;
    }
    CK(w->count < MOMENTS_MAX);
    struct moment *m = &w->moments[w->count++];
    CK(simdisk_clone(p->host->disk, &m->disk) == ST_OK);
    m->synced = w->synced;
    m->tried = w->tried;
}

/* What a power loss at that moment leaves opens, and is right. */
static bool recovers(struct witness *w, const struct moment *m, enum simdisk_strategy strategy,
                     uint64_t seed)
{
    struct chooser c;
    struct chooser_stream s;
    struct simdisk *after;
    chooser_init(&c, seed);
    chooser_stream_init(&s, &c, CHOOSE_DISK_CRASH, 0);
    CK(simdisk_crash(m->disk, strategy, &s, &after) == ST_OK);
    struct host *h = world_host(&w->sim.world, after);
    w->wrong = false;
    (void)simtest_start(&w->sim, h, "reader", reader_main, w);
    CK(simtest_run(&w->sim));
    return w->opened && !w->wrong && (w->keys & m->synced) == m->synced &&
           (w->keys & ~m->tried) == 0;
}

/* The script, and then every moment of it under one strategy; how many of them are not right. */
static unsigned bad_moments(proc_main_fn *writer, void (*change)(struct tkv_options *o),
                            enum simdisk_strategy strategy, uint64_t seeds)
{
    unsigned bad = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        static struct witness w; /* it is large */
        witness_open(&w, seed);
        w.change = change;
        w.sim.hooks.disk_point = keep_moment;
        EXPECT(script_run(&w, writer));
        EXPECT(w.count > 20);
        w.sim.hooks.disk_point = NULL;
        for (size_t i = 0; i < w.count; i++) {
            bad += !recovers(&w, &w.moments[i], strategy, i);
        }
        witness_close(&w);
    }
    return bad;
}

static void small_levels(struct tkv_options *o)
{
    o->level0_files = 2;
    o->level1_bytes = 2048;
    o->level_factor = 2;
    o->table_bytes = 1024;
}

/* Two flushes and a compaction, all of it synced. */
static int flush_and_compact(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, &db) == TKV_OK);
    w->looking = true;
    for (char c = 'a'; c <= 'f'; c++) {
        CK(put(w, db, c, 300, true) == TKV_OK);
        if (c == 'c' || c == 'f') {
            CK(tkv_flush(db) == TKV_OK);
        }
    }
    CK(tkv_compact_range(db, NULL, 0, NULL, 0) == TKV_OK);
    CK(tkv_wait_idle(db) == TKV_OK);
    return script_end(env, db, true);
}

/* E2, E6: a table that the manifest names is there, to its last byte. */
static void test_witness__P07_sst_unsynced_install(void)
{
    EXPECT(bad_moments(flush_and_compact, small_levels, SIMDISK_DROP_ALL, 1) == 0);
}

/* E6: and it has its name. */
static void test_witness__P08_sst_name_unsynced(void)
{
    EXPECT(bad_moments(flush_and_compact, small_levels, SIMDISK_NOT_NAMES, 1) == 0);
}

/* E2: a log is gone only once the manifest says for good that it is not needed. */
static void test_witness__P09_manifest_edit_unsynced(void)
{
    EXPECT(bad_moments(flush_and_compact, small_levels, SIMDISK_NAMES_ONLY, 1) == 0);
}

/* E2: the same, where all that was done stays done: the order of the operations is at fault. */
static void test_witness__P11_gc_before_manifest(void)
{
    EXPECT(bad_moments(flush_and_compact, small_levels, SIMDISK_KEEP_ALL, 1) == 0);
}

static int open_again(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    (void)argc;
    (void)argv;
    for (int i = 0; i < 3; i++) {
        int fd = -1;
        w->looking = i > 0;
        if (i > 0) { /* it was killed: the next opening makes a manifest of its own */
            CK(env_file_open(env, DIR "/000001.tmp", ENV_WRITE | ENV_CREATE, &fd) == ST_OK);
            CK(env_fd_close(env, fd) == ST_OK);
        }
        CK(db_open(env, &db) == TKV_OK);
        CK(put(w, db, (char)('a' + i), 100, true) == TKV_OK);
        w->looking = false;
        if (i < 2) {
            CK(tkv_close(db) == TKV_OK);
        }
    }
    return script_end(env, db, true);
}

/* E6, E15: whatever of renames and removals a crash inside an opening keeps, CURRENT names a
 * manifest that is there. */
static void test_witness__P10_current_rename_unsynced(void)
{
    EXPECT(bad_moments(open_again, NULL, SIMDISK_COIN, SEEDS) == 0);
}

/* ---- P12 ---- */

/* A flush syncs the directory for the new log, and for the table; then comes the manifest. Faults
 * are on for the one write to that. */
static void fail_manifest_write(void *arg, struct proc *p, enum disk_op op, bool before)
{
    struct witness *w = arg;
    if (op == DISK_DIRSYNC && !before && w->fail_after > 0) {
        w->fail_after--;
        w->fail_next = w->fail_after == 0;
    } else if (op == DISK_WRITE && w->fail_next) {
        p->world->faults = before;
        w->fail_next = before;
    } else {
        keep_moment(arg, p, op, before);
    }
}

static int flush_fails_once(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, &db) == TKV_OK);
    CK(put(w, db, 'a', 300, true) == TKV_OK);
    w->fail_after = 2;
    bool failed = tkv_flush(db) != TKV_OK;
    CK(w->fail_after == 0);
    CK(!w->fail_next);
    w->looking = true;
    CK(put(w, db, 'b', 300, true) == TKV_OK);
    CK(tkv_flush(db) == TKV_OK);
    CK(put(w, db, 'c', 300, true) == TKV_OK);
    CK(tkv_flush(db) == TKV_OK);
    return script_end(env, db, failed);
}

/* E2, E15: edits behind one that failed count, wherever they were written. */
static void test_witness__P12_manifest_append_after_error(void)
{
    static struct witness w;
    memset(&w, 0, sizeof w);
    plan_init(&w.sim.plan, simmem(), 1);
    w.sim.plan.value[PLAN_WRITE_EIO] = 1000000;
    simtest_open_plan(&w.sim);
    w.sim.hooks.disk_point = fail_manifest_write;
    EXPECT(script_run(&w, flush_fails_once));
    EXPECT(w.right);
    unsigned bad = 0;
    for (size_t i = 0; i < w.count; i++) {
        bad += !recovers(&w, &w.moments[i], SIMDISK_DROP_ALL, i);
    }
    EXPECT(w.count > 10);
    EXPECT(bad == 0);
    witness_close(&w);
}

/* ---- P13 ---- */

static void no_compactions(struct tkv_options *o)
{
    o->level0_files = 64;
    o->level0_slow = 64;
    o->level0_stop = 64;
    o->cache_bytes = 0;
}

static void tiny_buffer(struct tkv_options *o)
{
    o->write_buffer_bytes = 256;
    o->memtables_max = 8;
    no_compactions(o);
}

/* Every put has the log rotated, sooner than tables are written. */
static int rotate_often(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, &db) == TKV_OK);
    w->looking = true;
    for (char c = 'a'; c <= 'h'; c++) {
        CK(put(w, db, c, 1000, false) == TKV_OK);
    }
    return script_end(env, db, true);
}

/* E15: what lies about when a process dies is not in the way of the next one. */
static void test_witness__P13_file_number_reuse(void)
{
    EXPECT(bad_moments(rotate_often, tiny_buffer, SIMDISK_KEEP_ALL, SEEDS) == 0);
}

/* ---- P14, P15, P17: nothing fails ---- */

static int delete_above(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, &db) == TKV_OK);
    for (char c = 'a'; c < 'a' + LETTERS; c++) {
        CK(put(w, db, c, 1000, false) == TKV_OK);
    }
    CK(tkv_compact_range(db, NULL, 0, NULL, 0) == TKV_OK); /* to the last level */
    for (int i = 0; i < 2; i++) {
        CK(tkv_delete(db, NULL, "a", 1) == TKV_OK);
        CK(put(w, db, 'b', 1000, false) == TKV_OK);
        CK(tkv_flush(db) == TKV_OK); /* two of them are merged into a level between */
    }
    CK(tkv_wait_idle(db) == TKV_OK);
    CK(scan(w, db) == TKV_OK);
    return script_end(env, db, w->keys == (ALL & ~bit_of('a')));
}

static void right_without_faults(proc_main_fn *writer, void (*change)(struct tkv_options *o))
{
    static struct witness w;
    witness_open(&w, 1);
    w.change = change;
    EXPECT(script_run(&w, writer));
    EXPECT(w.right);
    EXPECT(!w.wrong);
    witness_close(&w);
}

/* E11: a delete holds as long as anything below it holds the key. */
static void test_witness__P14_tombstone_dropped_early(void)
{
    right_without_faults(delete_above, small_levels);
}

static size_t size_of(struct tkv *db, const struct tkv_snapshot *snapshot, char letter)
{
    struct tkv_read_options o;
    char value[4096];
    size_t size = 0;
    tkv_read_options_init(&o);
    o.snapshot = snapshot;
    enum tkv_status st = tkv_get(db, &o, &letter, 1, value, sizeof value, &size);
    return st == TKV_OK ? size : 0;
}

static int snapshot_over_compaction(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    const struct tkv_snapshot *snapshot;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, &db) == TKV_OK);
    CK(put(w, db, 'a', 10, false) == TKV_OK);
    CK(tkv_snapshot_new(db, &snapshot) == TKV_OK);
    CK(put(w, db, 'a', 20, false) == TKV_OK);
    CK(tkv_flush(db) == TKV_OK);
    CK(tkv_compact_range(db, NULL, 0, NULL, 0) == TKV_OK);
    bool right = size_of(db, snapshot, 'a') == 10 && size_of(db, NULL, 'a') == 20;
    tkv_snapshot_free(db, snapshot);
    return script_end(env, db, right);
}

/* E10: a snapshot sees what it saw. */
static void test_witness__P15_snapshot_ignored(void)
{
    right_without_faults(snapshot_over_compaction, NULL);
}

static int two_versions(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, &db) == TKV_OK);
    CK(put(w, db, 'a', 10, false) == TKV_OK);
    CK(tkv_flush(db) == TKV_OK);
    CK(put(w, db, 'a', 20, false) == TKV_OK);
    CK(tkv_flush(db) == TKV_OK);
    return script_end(env, db, size_of(db, NULL, 'a') == 20);
}

/* E9: the last write is read. */
static void test_witness__P17_l0_search_order(void)
{
    right_without_faults(two_versions, NULL);
}

/* ---- P16, P19: damage ---- */

/* Damages a data block of some table, which readers will see. */
static void damage_table(struct env *env, enum simdisk_fault_class class)
{
    static const struct simdisk_aim tables[] = {{"*.sst", 1, 50, 700}};
    struct witness *w = proc_of(env)->user;
    struct simdisk *disk = proc_of(env)->host->disk;
    struct simdisk_fault f = {.class = class, .rot = SIMDISK_ROT_BITS, .seed = w->seed};
    struct chooser c;
    struct chooser_stream s;
    chooser_init(&c, w->seed);
    chooser_stream_init(&s, &c, CHOOSE_DISK_FAULT, 0);
    CK(simdisk_aim_at(disk, tables, 1, &s, &f.ino, &f.offset));
    CK(simdisk_inject(disk, &f) == ST_OK);
}

static enum tkv_status put_all(struct witness *w, struct tkv *db)
{
    enum tkv_status st = TKV_OK;
    for (char c = 'a'; st == TKV_OK && c < 'a' + LETTERS; c++) {
        st = put(w, db, c, 1000, false);
    }
    return st == TKV_OK ? tkv_flush(db) : st;
}

/* Whatever a compaction says of a table that it cannot read, nothing is lost by it. */
static int compact_damaged(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, &db) == TKV_OK);
    CK(put_all(w, db) == TKV_OK);
    CK(put_all(w, db) == TKV_OK);
    CK(scan(w, db) == TKV_OK);
    damage_table(env, SIMDISK_FAULT_LSE);
    enum tkv_status st = tkv_compact_range(db, NULL, 0, NULL, 0);
    bool told = st == TKV_IO || st == TKV_CORRUPT;
    simdisk_heal(proc_of(env)->host->disk, SIMDISK_FAULT_ALL);
    bool all = scan(w, db) == TKV_OK && w->keys == ALL;
    return script_end(env, db, told && all);
}

/* E19, E2. */
static void test_witness__P16_compaction_eats_read_error(void)
{
    right_without_faults(compact_damaged, no_compactions);
}

static int read_damaged(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct tkv *db;
    (void)argc;
    (void)argv;
    CK(db_open(env, &db) == TKV_OK);
    CK(put_all(w, db) == TKV_OK);
    damage_table(env, SIMDISK_FAULT_ROT);
    for (char c = 'a'; c < 'a' + LETTERS; c++) {
        struct tkv_pin pin = {0};
        enum tkv_status st = tkv_get_pin(db, NULL, &c, 1, &pin);
        bool whole = st == TKV_OK && pin.size == 1000 && same_bytes(pin.data, pin.size, c);
        w->wrong = w->wrong || !(whole || st == TKV_CORRUPT);
        tkv_pin_release(db, &pin);
    }
    bool told = scan(w, db) == TKV_CORRUPT;
    return script_end(env, db, told);
}

/* E19: damaged bytes are told of, never returned. */
static void test_witness__P19_block_crc_unchecked(void)
{
    for (uint32_t seed = 1; seed <= ROTS; seed++) {
        static struct witness w;
        witness_open(&w, 1);
        w.seed = seed;
        w.change = no_compactions;
        EXPECT(script_run(&w, read_damaged));
        EXPECT(w.right);
        EXPECT(!w.wrong);
        witness_close(&w);
    }
}

/* ---- P18 ---- */

static void read_on(void *arg)
{
    struct witness *w = arg;
    struct env *env = &LIST_ENTRY(w->sim.world.procs.next, struct proc, link)->env;
    while (!w->stop) {
        w->wrong = w->wrong || size_of(w->db, NULL, 'a') != 1000;
        env_sleep_until(env, env_clock_mono(env) + 10 * US);
    }
}

static int read_beside_flush(struct env *env, int argc, char **argv)
{
    struct witness *w = proc_of(env)->user;
    struct env_thread reader;
    (void)argc;
    (void)argv;
    CK(db_open(env, &w->db) == TKV_OK);
    CK(put(w, w->db, 'a', 1000, true) == TKV_OK);
    CK(env_thread_start(env, &reader, "reader", read_on, w) == ST_OK);
    CK(tkv_flush(w->db) == TKV_OK);
    w->stop = true;
    env_thread_join(env, &reader);
    return script_end(env, w->db, true);
}

/* E9: what was written is there at every moment of its way into a table. */
static void test_witness__P18_memtable_dropped_before_install(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        static struct witness w;
        witness_open(&w, seed);
        EXPECT(script_run(&w, read_beside_flush));
        EXPECT(!w.wrong);
        witness_close(&w);
    }
}

TAP_MAIN(RUN(test_witness__P07_sst_unsynced_install); RUN(test_witness__P08_sst_name_unsynced);
         RUN(test_witness__P09_manifest_edit_unsynced);
         RUN(test_witness__P10_current_rename_unsynced); RUN(test_witness__P11_gc_before_manifest);
         RUN(test_witness__P12_manifest_append_after_error);
         RUN(test_witness__P13_file_number_reuse); RUN(test_witness__P14_tombstone_dropped_early);
         RUN(test_witness__P15_snapshot_ignored); RUN(test_witness__P16_compaction_eats_read_error);
         RUN(test_witness__P17_l0_search_order);
         RUN(test_witness__P18_memtable_dropped_before_install);
         RUN(test_witness__P19_block_crc_unchecked);)
