/* test_tkv_fault.c - every file call fails once, every allocation is refused once, and the process
 * dies at every file call: what was promised holds. */
#include "engine/tkv.h"
#include "tests/engine/faultenv.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

#define BATCHES 24
#define KEYS    5 /* of the ring that batches write; every batch writes two and the counter */

/* What a run of the script was told. Batch i (from 1) sets "n" and two keys to i, and deletes a
 * third; so the state names its batch, and a half batch shows. */
struct told {
    bool acked[BATCHES + 1];
    int synced; /* the last batch that was promised to be durable */
    int tried;
    bool faults; /* the disk is unwell: a read may fail, but not be wrong */
};

static struct tkv *script_open(struct env *env, enum tkv_status *st)
{
    struct tkv_options o;
    struct tkv *db = NULL;
    tkv_options_init(&o);
    o.env = env;
    o.verify = true;
    o.write_buffer_bytes = 600;
    o.memtables_max = 2;
    *st = tkv_open(&o, "db", &db, NULL);
    return *st == TKV_OK ? db : NULL;
}

static enum tkv_status batch_write(struct tkv *db, struct env *env, int i, bool sync)
{
    struct tkv_write_options o;
    struct tkv_batch *b;
    char key[16], value[64];
    tkv_write_options_init(&o);
    o.sync = sync;
    enum tkv_status st = tkv_batch_new(env, &b);
    if (st != TKV_OK) {
        return st;
    }
    int n = snprintf(value, sizeof value, "%d", i);
    st = tkv_batch_put(b, "n", 1, value, (size_t)n);
    for (int k = 0; st == TKV_OK && k < 2; k++) {
        int m = snprintf(key, sizeof key, "k%d", (i + k) % KEYS);
        st = tkv_batch_put(b, key, (size_t)m, value, (size_t)n);
    }
    int m = snprintf(key, sizeof key, "k%d", (i + 2) % KEYS);
    if (st == TKV_OK) {
        st = tkv_batch_delete(b, key, (size_t)m);
    }
    if (st == TKV_OK) {
        st = tkv_write(db, &o, b, NULL);
    }
    tkv_batch_free(b);
    return st;
}

/* The state after batch i, as the script's batches make it: value of ring key k, 0: absent. */
static int ring_value(const struct told *t, int upto, int k)
{
    int v = 0;
    for (int i = 1; i <= upto; i++) {
        if (t->acked[i]) {
            v = i % KEYS == k || (i + 1) % KEYS == k ? i : (i + 2) % KEYS == k ? 0 : v;
        }
    }
    return v;
}

/* -1: the read failed. */
static int read_int(struct tkv *db, const char *key)
{
    char value[64];
    size_t size = 0;
    enum tkv_status st = tkv_get(db, NULL, key, strlen(key), value, sizeof value - 1, &size);
    if (st != TKV_OK && st != TKV_NOTFOUND) {
        return -1;
    }
    value[size] = '\0';
    return st == TKV_OK ? atoi(value) : 0;
}

/* The database holds exactly what the batches acknowledged up to some one make, or those and one
 * whose fate was left open; never less than what was promised. `live`: all that was acknowledged.
 * False: a read failed, which the disk may be the reason of. */
static bool state_check(struct tkv *db, struct told *t, bool live)
{
    int n = read_int(db, "n");
    int ring[KEYS];
    bool whole = n >= 0;
    for (int k = 0; k < KEYS; k++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", k);
        ring[k] = read_int(db, key);
        whole = whole && ring[k] >= 0;
    }
    if (!whole) {
        EXPECT(t->faults);
        return false;
    }
    int newest = 0;
    for (int i = 1; i <= t->tried; i++) {
        newest = t->acked[i] ? i : newest;
    }
    EXPECT(n >= t->synced);
    EXPECT(n <= t->tried);
    EXPECT(!live || n == newest);
    if (n == 0) {
        return true;
    }
    t->acked[n] = true; /* a failed one that is there is there whole: decided now */
    for (int k = 0; k < KEYS; k++) {
        EXPECT(ring[k] == ring_value(t, n, k));
    }
    for (int i = n + 1; i <= t->tried; i++) {
        t->acked[i] = false; /* lost, for good */
    }
    return true;
}

/* Runs the script until it is done or the database cannot be opened. */
static enum tkv_status script(struct env *env, struct told *t, int from, int to)
{
    enum tkv_status st;
    struct tkv *db = script_open(env, &st);
    if (db == NULL) {
        return st;
    }
    bool known = false;
    for (int i = 0; i < 3 && !known; i++) {
        known = state_check(db, t, false);
    }
    for (int i = from; known && i <= to; i++) {
        bool sync = i % 3 == 0;
        t->tried = i;
        st = batch_write(db, env, i, sync);
        t->acked[i] = st == TKV_OK;
        t->synced = st == TKV_OK && sync ? i : t->synced;
        (void)state_check(db, t, true);
        if (i % 11 == 0) {
            int newest = read_int(db, "n");
            t->synced = tkv_flush(db) == TKV_OK && newest > t->synced ? newest : t->synced;
        }
    }
    struct tkv_stats s = {.size = sizeof s};
    tkv_stats(db, &s);
    EXPECT(s.write_error == TKV_OK || s.write_error == TKV_IO || s.write_error == TKV_NOSPC ||
           s.write_error == TKV_NOMEM);
    int newest = read_int(db, "n");
    st = tkv_close(db);
    t->synced = st == TKV_OK && newest > t->synced ? newest : t->synced;
    return st;
}

/* A healthy disk again: opens, holds what it must, takes writes, and twice more the same. */
static void heal(struct tmpdir *dir, struct told *t)
{
    t->faults = false;
    for (int round = 0; round < 2; round++) {
        EXPECT(script(dir->env, t, t->tried + 1, t->tried + 2) == TKV_OK);
    }
    enum tkv_status st;
    struct tkv *db = script_open(dir->env, &st);
    EXPECT(db != NULL);
    struct tkv_stats s = {.size = sizeof s};
    uint64_t tables = 0;
    if (db != NULL) {
        EXPECT(state_check(db, t, true));
        EXPECT(tkv_flush(db) == TKV_OK);
        EXPECT(tkv_wait_idle(db) == TKV_OK);
        tkv_stats(db, &s);
        EXPECT(tkv_close(db) == TKV_OK);
    }
    for (int level = 0; level < TKV_LEVELS; level++) {
        tables += s.levels[level].tables;
    }
    EXPECT(tmpdir_count(dir, "db", ".log") == 1);
    EXPECT(tmpdir_count(dir, "db", ".sst") == (int)tables);
    EXPECT(tmpdir_count_prefix(dir, "db", "MANIFEST-") == 1);
    EXPECT(tmpdir_count(dir, "db", ".tmp") == 0);
}

/* Fails call n in one generation of the script, for every n; then heals. */
static void each_call(bool rest, bool tear, enum status with, bool syncs_only)
{
    for (long n = 0;; n++) {
        struct tmpdir dir;
        struct faultenv f;
        struct told t = {.synced = 0};
        tmpdir_make(&dir);
        EXPECT(script(dir.env, &t, 1, 4) == TKV_OK);
        faultenv_init(&f, dir.env);
        f.fail_at = n;
        f.rest = rest;
        f.tear = tear;
        f.with = with;
        f.syncs_only = syncs_only;
        t.faults = true;
        (void)script(&f.te.env, &t, 5, 18); /* whatever it says */
        EXPECT(f.te.live == 0);
        EXPECT(f.te.descriptors == 0);
        EXPECT(f.synced_after_failure == 0);
        heal(&dir, &t);
        tmpdir_remove(&dir);
        if (tap_failed) {
            printf("# at call %ld\n", n);
            return;
        }
        if (f.calls <= n) {
            printf("# %ld calls\n", n);
            return;
        }
    }
}

static void tkv__any_file_call_may_fail_once(void)
{
    each_call(false, false, ST_IO, false);
}

static void tkv__any_file_call_may_find_the_disk_full(void)
{
    each_call(false, true, ST_NOSPC, false);
}

static void tkv__the_process_may_die_at_any_file_call(void)
{
    each_call(true, true, ST_IO, false);
}

static void tkv__a_failed_sync_is_never_tried_again(void)
{
    each_call(false, false, ST_IO, true);
}

static void tkv__a_death_in_recovery_after_a_death_is_harmless(void)
{
    for (long n = 60; n < 64; n++) {
        for (long m = 0;; m++) {
            struct tmpdir dir;
            struct faultenv f;
            struct told t = {.synced = 0};
            tmpdir_make(&dir);
            faultenv_init(&f, dir.env);
            f.fail_at = n;
            f.rest = true;
            f.tear = true;
            t.faults = true;
            (void)script(&f.te.env, &t, 1, 10); /* it dies */
            faultenv_init(&f, dir.env);
            f.fail_at = m;
            f.rest = true;
            f.tear = true;
            enum tkv_status st;
            struct tkv *db = script_open(&f.te.env, &st);
            if (db != NULL) {
                (void)state_check(db, &t, false);
                (void)tkv_close(db); /* may fail: the disk is gone */
            }
            heal(&dir, &t);
            tmpdir_remove(&dir);
            if (tap_failed) {
                printf("# at calls %ld, %ld\n", n, m);
                return;
            }
            if (f.calls <= m) {
                break;
            }
        }
    }
}

static void tkv__any_allocation_may_be_refused(void)
{
    for (long n = 0;; n++) {
        struct tmpdir dir;
        struct test_env te;
        struct told t = {.synced = 0};
        tmpdir_make(&dir);
        EXPECT(script(dir.env, &t, 1, 4) == TKV_OK);
        test_env_init(&te, dir.env);
        te.fail_at = n;
        t.faults = true;
        enum tkv_status st = script(&te.env, &t, 5, 18);
        EXPECT(st == TKV_OK || st == TKV_NOMEM);
        EXPECT(te.live == 0);
        EXPECT(te.descriptors == 0);
        heal(&dir, &t);
        tmpdir_remove(&dir);
        if (tap_failed) {
            printf("# at allocation %ld\n", n);
            return;
        }
        if (te.allocs <= n) {
            printf("# %ld allocations\n", n);
            return;
        }
    }
}

static void tkv__short_reads_and_writes_change_nothing(void)
{
    struct tmpdir dir;
    struct test_env te;
    struct told t = {.synced = 0};
    tmpdir_make(&dir);
    test_env_init(&te, dir.env);
    te.io_max = 7;
    EXPECT(script(&te.env, &t, 1, 10) == TKV_OK);
    EXPECT(script(&te.env, &t, 11, BATCHES) == TKV_OK);
    EXPECT(t.synced == BATCHES);
    tmpdir_remove(&dir);
}

/* Writes fail while there is no room; reads go on; writes go on by themselves once there is. */
static void tkv__a_full_disk_heals(void)
{
    struct tmpdir dir;
    struct faultenv f;
    struct told t = {.synced = 0};
    tmpdir_make(&dir);
    faultenv_init(&f, dir.env);
    f.with = ST_NOSPC;
    f.rest = true;
    enum tkv_status st;
    struct tkv *db = script_open(&f.te.env, &st);
    EXPECT(batch_write(db, dir.env, 1, false) == TKV_OK);
    f.fail_at = f.calls;
    for (int i = 0; i < 3; i++) {
        EXPECT(batch_write(db, dir.env, 2, true) == TKV_NOSPC);
        EXPECT(read_int(db, "n") == 1);
    }
    struct tkv_stats s = {.size = sizeof s};
    tkv_stats(db, &s);
    EXPECT(s.write_error == TKV_NOSPC);
    f.fail_at = -1;
    EXPECT(batch_write(db, dir.env, 3, true) == TKV_OK);
    EXPECT(read_int(db, "n") == 3);
    tkv_stats(db, &s);
    EXPECT(s.write_error == TKV_OK);
    EXPECT(s.logs == 1);
    EXPECT(tkv_close(db) == TKV_OK);
    t.acked[1] = t.acked[3] = true;
    t.tried = t.synced = 3;
    heal(&dir, &t);
    tmpdir_remove(&dir);
}

TAP_MAIN({
    RUN(tkv__any_file_call_may_fail_once);
    RUN(tkv__any_file_call_may_find_the_disk_full);
    RUN(tkv__the_process_may_die_at_any_file_call);
    RUN(tkv__a_failed_sync_is_never_tried_again);
    RUN(tkv__a_death_in_recovery_after_a_death_is_harmless);
    RUN(tkv__any_allocation_may_be_refused);
    RUN(tkv__short_reads_and_writes_change_nothing);
    RUN(tkv__a_full_disk_heals);
})
