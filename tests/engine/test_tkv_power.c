/* test_tkv_power.c - the power goes at every disk operation, in recovery too: what is found then is
 * a prefix of what was written, with everything that was promised, and stays what it is.
 *
 * The engine runs on a simulated disk (model P: nothing is durable but by its own sync). Before
 * each operation the disk is cloned, crashed, and a second engine opened on what is left. */
#include "base/prng.h"
#include "engine/tkv.h"
#include "env/env_posix.h"
#include "tests/engine/diskenv.h"
#include "tests/tap.h"

#include <stdlib.h>

#define BATCHES 60
#define KEYS    5

/* What was told so far. Batch i sets "n" and two ring keys to i and deletes a third. */
struct told {
    bool acked[BATCHES + 1];
    int synced;
    int tried;
};

struct power {
    struct env *real;
    struct env_mutex mutex; /* of told */
    struct told told;
    struct diskenv *disk; /* whose operations are watched */
    struct chooser chooser;
    struct chooser_stream crash;
    int depth; /* 0: the run; deeper: a recovery that is watched as well */
    long *boots;
};

static struct tkv *db_open(struct env *env)
{
    struct tkv_options o;
    struct tkv *db = NULL;
    struct tkv_error error;
    tkv_options_init(&o);
    o.env = env;
    o.verify = true;
    o.write_buffer_bytes = 700;
    o.memtables_max = 2;
    enum tkv_status st = tkv_open(&o, "db", &db, &error);
    EXPECT(st == TKV_OK);
    if (st != TKV_OK) {
        printf("# %s\n", error.text);
    }
    return db;
}

static int read_int(struct tkv *db, const char *key)
{
    char value[64];
    size_t size = 0;
    enum tkv_status st = tkv_get(db, NULL, key, strlen(key), value, sizeof value - 1, &size);
    value[size] = '\0';
    return st == TKV_OK ? atoi(value) : 0;
}

/* The batch that the state ends with; its whole state is checked. */
static int state_check(struct tkv *db, const struct told *t)
{
    int n = read_int(db, "n");
    EXPECT(n >= t->synced);
    EXPECT(n <= t->tried);
    for (int k = 0; k < KEYS; k++) {
        char key[16];
        int want = 0;
        for (int i = 1; i <= n; i++) {
            if (t->acked[i] || i == n) {
                want = i % KEYS == k || (i + 1) % KEYS == k ? i : (i + 2) % KEYS == k ? 0 : want;
            }
        }
        (void)snprintf(key, sizeof key, "k%d", k);
        EXPECT(read_int(db, key) == want);
    }
    return n;
}

static void before(void *arg);

/* What a power loss now would leave, opened. */
static void crash_check(struct power *p)
{
    struct diskenv env;
    env_mutex_lock(p->real, &p->mutex); /* nothing is tried or told meanwhile */
    struct power inner = *p;
    enum simdisk_strategy strategy = simdisk_draw_strategy(&p->crash);
    struct simdisk *after = diskenv_crash(p->disk, strategy, &p->crash);
    uint64_t seed = choose_u64(&p->crash);
    env_mutex_unlock(p->real, &p->mutex);

    diskenv_init(&env, p->real, after);
    env_mutex_init(p->real, &inner.mutex);
    inner.depth++;
    inner.disk = &env;
    chooser_init(&inner.chooser, seed);
    chooser_stream_init(&inner.crash, &inner.chooser, CHOOSE_DISK_CRASH, 0);
    if (inner.depth < 3) {
        diskenv_watch(&env, before, &inner);
    }
    ++*p->boots;
    struct tkv *db = db_open(&env.te.env);
    if (db != NULL) {
        int n = state_check(db, &inner.told);
        diskenv_watch(&env, NULL, NULL);
        EXPECT(tkv_close(db) == TKV_OK);
        if (choose(&inner.crash, 2) == 0) { /* it goes on with what is there */
            db = db_open(&env.te.env);
            EXPECT(db != NULL && state_check(db, &inner.told) == n);
            EXPECT(db != NULL && tkv_close(db) == TKV_OK);
        }
        /* decided once: another loss of power changes nothing */
        struct diskenv again;
        after = diskenv_crash(&env, SIMDISK_DROP_ALL, &inner.crash);
        diskenv_init(&again, p->real, after);
        db = db_open(&again.te.env);
        if (db != NULL) {
            EXPECT(state_check(db, &inner.told) == n);
            EXPECT(tkv_close(db) == TKV_OK);
        }
        EXPECT(again.te.live == 0);
        diskenv_release(&again);
    }
    EXPECT(env.te.live == 0);
    if (tap_failed) {
        printf("# depth %d, strategy %d, told: tried %d synced %d\n", inner.depth, (int)strategy,
               inner.told.tried, inner.told.synced);
    }
    diskenv_release(&env);
    env_mutex_release(p->real, &inner.mutex);
}

static void before(void *arg)
{
    struct power *p = arg;
    env_mutex_lock(p->real, &p->mutex);
    bool look = !tap_failed && choose(&p->crash, p->depth == 0 ? 4 : 40) == 0;
    env_mutex_unlock(p->real, &p->mutex);
    if (look) {
        crash_check(p);
    }
}

static enum tkv_status batch_write(struct tkv *db, struct env *env, int i, bool sync)
{
    struct tkv_write_options o;
    struct tkv_batch *b;
    char key[16], value[64];
    tkv_write_options_init(&o);
    o.sync = sync;
    int n = snprintf(value, sizeof value, "%d", i);
    EXPECT(tkv_batch_new(env, &b) == TKV_OK);
    EXPECT(tkv_batch_put(b, "n", 1, value, (size_t)n) == TKV_OK);
    for (int k = 0; k < 3; k++) {
        int m = snprintf(key, sizeof key, "k%d", (i + k) % KEYS);
        EXPECT((k < 2 ? tkv_batch_put(b, key, (size_t)m, value, (size_t)n)
                      : tkv_batch_delete(b, key, (size_t)m)) == TKV_OK);
    }
    enum tkv_status st = tkv_write(db, &o, b, NULL);
    tkv_batch_free(b);
    return st;
}

static void generation(struct power *p, struct tkv *db, int from, int to)
{
    for (int i = from; i <= to && !tap_failed; i++) {
        env_mutex_lock(p->real, &p->mutex);
        p->told.tried = i;
        bool sync = choose(&p->crash, 3) == 0;
        env_mutex_unlock(p->real, &p->mutex);
        enum tkv_status st = batch_write(db, p->real, i, sync);
        EXPECT(st == TKV_OK || p->disk->fail_sync > 0);
        env_mutex_lock(p->real, &p->mutex);
        p->told.acked[i] = st == TKV_OK;
        p->told.synced = st == TKV_OK && sync ? i : p->told.synced;
        env_mutex_unlock(p->real, &p->mutex);
        if (i % 20 == 7) {
            int n = read_int(db, "n");
            st = tkv_flush(db);
            env_mutex_lock(p->real, &p->mutex);
            p->told.synced = st == TKV_OK ? n : p->told.synced;
            env_mutex_unlock(p->real, &p->mutex);
        }
    }
}

/* What a new generation found decides the fate of what the one before left open: a failed batch
 * that was the last and is there is in for good, and what is not there stays away. */
static void fate_take(struct power *p, struct tkv *db)
{
    int n = state_check(db, &p->told);
    env_mutex_lock(p->real, &p->mutex);
    for (int i = 1; i <= p->told.tried; i++) {
        p->told.acked[i] = i == n || (p->told.acked[i] && i < n);
    }
    p->told.tried = n;
    p->told.synced = n; /* what open served is durable */
    env_mutex_unlock(p->real, &p->mutex);
}

/* An orderly close, and an opening with nothing to do, in a row: the power may go anywhere in them
 * too. A failed sync fails the close or the open. */
static void close_and_look(struct power *p, struct tkv *db, const struct tkv_options *o)
{
    for (int i = 0; i < 3 && db != NULL; i++) {
        int n = read_int(db, "n");
        enum tkv_status st = tkv_close(db);
        EXPECT(st == TKV_OK || p->disk->fail_sync > 0);
        if (st == TKV_OK) {
            env_mutex_lock(p->real, &p->mutex);
            p->told.synced = n;
            env_mutex_unlock(p->real, &p->mutex);
        }
        st = tkv_open(o, "db", &db, NULL);
        EXPECT(st == TKV_OK || p->disk->fail_sync > 0);
        db = st == TKV_OK ? db : NULL;
        if (db != NULL) {
            fate_take(p, db);
        }
    }
    if (db != NULL) {
        (void)tkv_close(db); /* may fail: a sync may */
    }
}

/* Three generations on one disk. Of the odd seeds each is closed; of the others it is killed with
 * its page cache left as it was. */
static void power_run(struct env *real, uint64_t seed, long fail_sync, long *boots)
{
    struct diskenv disk;
    struct power p = {.real = real, .disk = &disk, .boots = boots};
    env_mutex_init(real, &p.mutex);
    chooser_init(&p.chooser, seed);
    chooser_stream_init(&p.crash, &p.chooser, CHOOSE_DISK_CRASH, 0);
    diskenv_init(&disk, real, NULL);
    disk.fail_sync = fail_sync;
    for (int g = 0; g < 3 && !tap_failed; g++) {
        diskenv_watch(&disk, before, &p);
        struct tkv *db = NULL;
        struct tkv_options o;
        tkv_options_init(&o);
        o.env = &disk.te.env;
        o.write_buffer_bytes = 700;
        o.memtables_max = 2;
        while (tkv_open(&o, "db", &db, NULL) != TKV_OK) {
            EXPECT(fail_sync > 0); /* a failed sync fails the open; the next one is another */
        }
        fate_take(&p, db);
        generation(&p, db, g * 20 + 1, g * 20 + 20);
        if (seed % 2 == 1) {
            close_and_look(&p, db, &o);
            EXPECT(disk.te.live == 0);
            diskenv_watch(&disk, NULL, NULL);
            continue;
        }
        diskenv_watch(&disk, NULL, NULL);
        struct simdisk *killed = diskenv_clone(&disk); /* its bytes, dirty ones too */
        (void)tkv_close(db);                           /* may fail: a sync may */
        EXPECT(disk.te.live == 0);
        diskenv_release(&disk);
        diskenv_init(&disk, real, killed);
        diskenv_lock();
        simdisk_process_died(killed, &p.crash);
        diskenv_unlock();
        disk.fail_sync = fail_sync;
        disk.syncs = g;
    }
    diskenv_release(&disk);
    env_mutex_release(real, &p.mutex);
    if (tap_failed) {
        printf("# seed %d\n", (int)seed);
    }
}

static void runs(long fail_sync, uint64_t seeds)
{
    struct env *real;
    struct env_posix_options o = {NULL, ENV_LOG_ERROR + 1};
    long boots = 0;
    EXPECT(env_posix_new(&o, &real) == ST_OK);
    for (uint64_t seed = 1; seed <= seeds && !tap_failed; seed++) {
        power_run(real, seed, fail_sync, &boots);
    }
    printf("# %ld recoveries\n", boots);
    env_posix_free(real);
}

static void tkv__a_power_loss_anywhere_keeps_what_was_promised(void)
{
    runs(0, 10);
}

static void tkv__and_where_syncs_fail_too(void)
{
    runs(7, 10);
}

TAP_MAIN({
    RUN(tkv__a_power_loss_anywhere_keeps_what_was_promised);
    RUN(tkv__and_where_syncs_fail_too);
})
