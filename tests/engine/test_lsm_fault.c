/* test_lsm_fault.c - reads and compactions when a block is damaged, a file call fails once, or
 * memory is refused once: an error is told, never a short scan, a wrong value, or a table that goes
 * for good. */
#include "engine/tkv.h"
#include "tests/engine/faultenv.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

#define KEYS  400
#define GONE  7  /* every so many-th key was deleted */
#define RANGE 30 /* keys from here on, ten of them, were deleted as a range */

static void key_text(int k, char text[16])
{
    (void)snprintf(text, 16, "key%05d", k);
}

static bool present(int k)
{
    return k % GONE != 0 && !(k >= RANGE && k < RANGE + 10);
}

static void value_text(int k, char text[64])
{
    (void)snprintf(text, 64, "value of %d, and some bytes more of %d", k, k * k);
}

static struct tkv *db_open(struct env *env)
{
    struct tkv_options o;
    struct tkv_error error = {.text = ""};
    struct tkv *db = NULL;
    tkv_options_init(&o);
    o.env = env;
    o.block_bytes = 200;
    o.table_bytes = 3000;
    o.level0_files = 100; /* nothing is compacted by itself */
    o.level0_slow = 100;
    o.level0_stop = 100;
    o.level1_bytes = 6000;
    o.level_factor = 3;
    o.cache_bytes = 0;
    o.threads = 1;
    if (tkv_open(&o, "db", &db, &error) != TKV_OK) {
        printf("# %s\n", error.text);
    }
    return db;
}

/* Two versions of everything, in several tables of level 0 and below. */
static void fill(struct tkv *db)
{
    char key[16], end[16], value[64];
    for (int round = 0; round < 2; round++) {
        for (int k = 0; k < KEYS; k++) {
            key_text(k, key);
            value_text(round == 0 ? k + 1 : k, value);
            EXPECT(tkv_put(db, NULL, key, strlen(key), value, strlen(value)) == TKV_OK);
            if (k % 100 == 99 && round > 0) {
                EXPECT(tkv_flush(db) == TKV_OK);
            }
        }
        if (round == 0) {
            EXPECT(tkv_flush(db) == TKV_OK);
            EXPECT(tkv_compact_range(db, NULL, 0, NULL, 0) == TKV_OK);
        }
    }
    for (int k = 0; k < KEYS; k += GONE) {
        key_text(k, key);
        EXPECT(tkv_delete(db, NULL, key, strlen(key)) == TKV_OK);
    }
    key_text(RANGE, key);
    key_text(RANGE + 10, end);
    EXPECT(tkv_delete_range(db, NULL, key, strlen(key), end, strlen(end)) == TKV_OK);
    EXPECT(tkv_flush(db) == TKV_OK);
}

static bool right(const struct tkv_iter *it, int k)
{
    char key[16], value[64];
    size_t n;
    key_text(k, key);
    value_text(k, value);
    const void *p = tkv_iter_key(it, &n);
    bool same = n == strlen(key) && memcmp(p, key, n) == 0;
    p = tkv_iter_value(it, &n);
    return same && n == strlen(value) && memcmp(p, value, n) == 0;
}

/* Forward and back; what is shown is right and without a gap, the end is the end or an error. The
 * error that came, if any. */
static enum tkv_status scan(struct tkv *db, bool back)
{
    struct tkv_iter *it;
    enum tkv_status st = tkv_iter_new(db, NULL, &it);
    if (st != TKV_OK) {
        return st;
    }
    int k = back ? KEYS - 1 : 0;
    int step = back ? -1 : 1;
    for (back ? tkv_iter_last(it) : tkv_iter_first(it); tkv_iter_valid(it);
         back ? tkv_iter_prev(it) : tkv_iter_next(it), k += step) {
        while (k >= 0 && k < KEYS && !present(k)) {
            k += step;
        }
        if (k < 0 || k >= KEYS || !right(it, k)) {
            EXPECT(!"the scan is right");
            break;
        }
    }
    while (k >= 0 && k < KEYS && !present(k)) {
        k += step;
    }
    st = tkv_iter_status(it);
    EXPECT(st != TKV_OK || (back ? k < 0 : k == KEYS));
    tkv_iter_free(it);
    return st;
}

/* Every key; the first error. */
/* As tkv_get, by way of a pin. */
static enum tkv_status get_pinned(struct tkv *db, const char *key, char got[64], size_t *size)
{
    struct tkv_pin pin;
    enum tkv_status st = tkv_get_pin(db, NULL, key, strlen(key), &pin);
    if (st == TKV_OK) {
        *size = pin.size;
        memcpy(got, pin.data, pin.size < 64 ? pin.size : 64);
        tkv_pin_release(db, &pin);
    }
    return st;
}

static enum tkv_status get_all(struct tkv *db, int stride, bool pin)
{
    enum tkv_status first = TKV_OK;
    for (int k = 0; k < KEYS; k += stride) {
        char key[16], value[64], got[64];
        size_t size = 0;
        key_text(k, key);
        value_text(k, value);
        enum tkv_status st = pin ? get_pinned(db, key, got, &size)
                                 : tkv_get(db, NULL, key, strlen(key), got, sizeof got, &size);
        if (st == TKV_OK) {
            EXPECT(present(k));
            EXPECT(size == strlen(value) && memcmp(got, value, size) == 0);
        } else if (st == TKV_NOTFOUND) {
            EXPECT(!present(k));
        } else if (first == TKV_OK) {
            first = st;
        }
    }
    return first;
}

static bool healthy(struct tkv *db)
{
    return scan(db, false) == TKV_OK && scan(db, true) == TKV_OK && get_all(db, 1, false) == TKV_OK;
}

static uint64_t tables(struct tkv *db)
{
    struct tkv_stats s = {.size = sizeof s};
    uint64_t n = 0;
    tkv_stats(db, &s);
    for (int level = 0; level < TKV_LEVELS; level++) {
        n += s.levels[level].tables;
    }
    return n;
}

/* ---- damage ---- */

struct damage {
    struct tmpdir dir;
    int count;
    int which; /* table that gets it */
    char path[64];
};

static bool table_each(void *arg, const char *name)
{
    struct damage *d = arg;
    size_t n = strlen(name);
    if (n > 4 && strcmp(name + n - 4, ".sst") == 0 && d->count++ == d->which) {
        (void)snprintf(d->path, sizeof d->path, "db/%.40s", name);
    }
    return true;
}

static void flip(struct tmpdir *dir, const char *path, size_t at)
{
    size_t size;
    char *bytes = tmpdir_read(dir, path, &size);
    bytes[at % size] = (char)(bytes[at % size] ^ 0x10);
    tmpdir_write(dir, path, bytes, size);
    free(bytes);
}

/* P16, E19, E22: a damaged block in each table in turn. */
static void lsm_fault__damage_is_told_and_nothing_is_lost(void)
{
    struct damage d = {.count = 0};
    tmpdir_make(&d.dir);
    struct tkv *db = db_open(d.dir.env);
    fill(db);
    EXPECT(healthy(db));
    EXPECT(tkv_close(db) == TKV_OK);
    int met = 0;
    for (d.which = 0;; d.which++) {
        d.count = 0;
        d.path[0] = '\0';
        EXPECT(env_dir_list(d.dir.env, "db", table_each, &d) == ST_OK);
        if (d.path[0] == '\0') {
            break;
        }
        flip(&d.dir, d.path, 100);
        db = db_open(d.dir.env);
        uint64_t before = tables(db);
        enum tkv_status forward = scan(db, false);
        EXPECT(forward == TKV_CORRUPT);
        EXPECT(scan(db, true) == TKV_CORRUPT);
        enum tkv_status st = get_all(db, 1, false);
        EXPECT(st == TKV_OK || st == TKV_CORRUPT);
        met += st == TKV_CORRUPT;
        EXPECT(tkv_compact_range(db, NULL, 0, NULL, 0) == TKV_CORRUPT);
        EXPECT(tables(db) <= before + 8);
        EXPECT(scan(db, false) == TKV_CORRUPT);
        EXPECT(tkv_close(db) == TKV_OK);
        flip(&d.dir, d.path, 100);
        db = db_open(d.dir.env);
        EXPECT(healthy(db));
        EXPECT(tkv_close(db) == TKV_OK);
        if (tap_failed) {
            printf("# table %s\n", d.path);
            break;
        }
    }
    EXPECT(met > 0);
    EXPECT(d.which > 5);
    tmpdir_remove(&d.dir);
}

/* ---- calls that fail ---- */

/* Makes the database anew on f, whole and in order. */
static struct tkv *prepared(struct tmpdir *dir, struct env *env)
{
    tmpdir_clear(dir, "db");
    struct tkv *db = db_open(env);
    fill(db);
    EXPECT(tkv_wait_idle(db) == TKV_OK);
    return db;
}

static void lsm_fault__any_file_call_of_a_compaction_may_fail(void)
{
    struct tmpdir dir;
    struct faultenv f;
    tmpdir_make(&dir);
    EXPECT(env_dir_make(dir.env, "db") == ST_OK);
    bool reached = true;
    for (long n = 0; reached && !tap_failed; n += 1 + n / 8) {
        faultenv_init(&f, dir.env);
        f.with = ST_IO;
        struct tkv *db = prepared(&dir, &f.te.env);
        long at = atomic_load(&f.calls) + n;
        atomic_store(&f.fail_at, at);
        enum tkv_status st = tkv_compact_range(db, NULL, 0, NULL, 0);
        EXPECT(st == TKV_OK || st == TKV_IO);
        reached = atomic_load(&f.calls) > at;
        atomic_store(&f.fail_at, -1);
        EXPECT(healthy(db));
        EXPECT(tkv_compact_range(db, NULL, 0, NULL, 0) == TKV_OK);
        EXPECT(healthy(db));
        EXPECT(tkv_close(db) == TKV_OK);
        db = db_open(&f.te.env);
        EXPECT(healthy(db));
        EXPECT(tkv_close(db) == TKV_OK);
        EXPECT(f.te.live == 0 && f.te.descriptors == 0);
        if (tap_failed) {
            printf("# at call %ld\n", n);
        }
    }
    tmpdir_remove(&dir);
}

/* Reads with the n-th allocation, or the n-th file call, refused. */
static void reads_refused(bool memory)
{
    struct tmpdir dir;
    struct faultenv f;
    tmpdir_make(&dir);
    faultenv_init(&f, dir.env);
    f.with = ST_IO;
    struct tkv *db = db_open(&f.te.env);
    fill(db);
    EXPECT(tkv_wait_idle(db) == TKV_OK);
    enum tkv_status want = memory ? TKV_NOMEM : TKV_IO;
    for (int what = 0; what < 4; what++) {
        long met = 0;
        bool reached = true;
        for (long n = 0; reached && !tap_failed; n += 1 + n / 4) {
            long at = n + (memory ? atomic_load(&f.te.allocs) : atomic_load(&f.calls));
            if (memory) {
                f.te.fail_at = at;
            } else {
                atomic_store(&f.fail_at, at);
            }
            enum tkv_status st = what >= 2 ? get_all(db, 9, what == 3) : scan(db, what == 1);
            EXPECT(st == TKV_OK || st == want);
            met += st != TKV_OK;
            reached = (memory ? atomic_load(&f.te.allocs) : atomic_load(&f.calls)) > at;
            f.te.fail_at = -1;
            atomic_store(&f.fail_at, -1);
            EXPECT(healthy(db));
        }
        EXPECT((met > 0) == (!memory || what != 2)); /* a get allocates nothing */
    }
    EXPECT(tkv_close(db) == TKV_OK);
    EXPECT(f.te.live == 0 && f.te.descriptors == 0);
    tmpdir_remove(&dir);
}

static void lsm_fault__any_allocation_of_a_read_may_be_refused(void)
{
    reads_refused(true);
}

static void lsm_fault__any_file_call_of_a_read_may_fail(void)
{
    reads_refused(false);
}

TAP_MAIN({
    RUN(lsm_fault__damage_is_told_and_nothing_is_lost);
    RUN(lsm_fault__any_file_call_of_a_compaction_may_fail);
    RUN(lsm_fault__any_allocation_of_a_read_may_be_refused);
    RUN(lsm_fault__any_file_call_of_a_read_may_fail);
})
