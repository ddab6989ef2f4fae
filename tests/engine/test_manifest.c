/* test_manifest.c - manifests and CURRENT: what is read is what was written, cut or damaged ones
 * are told, and a database outgrows one, or does without one whose sync failed. */
#include "engine/db.h"
#include "engine/manifest.h"
#include "engine/tkv.h"
#include "tests/engine/faultenv.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

#define EDITS 40

static const struct order bytewise = {NULL};

static enum status add(struct edit *e, struct tabset *set, uint64_t n)
{
    char least[16], most[16];
    (void)snprintf(least, sizeof least, "%06d", (int)n * 2);
    (void)snprintf(most, sizeof most, "%06d", (int)n * 2 + 1);
    struct table_info t = {.number = n,
                           .size = n,
                           .sequence_min = n,
                           .sequence_max = n,
                           .least = slice_text(least),
                           .most = slice_text(most)};
    struct tabfile *f;
    enum status st = tabfile_new(set, &t, &f);
    if (st == ST_OK) {
        st = edit_add_file(e, 1 + (int)(n % 3), f);
        tabfile_unref(f);
    }
    return st;
}

static void sweep(struct tabset *set)
{
    for (struct tabfile *f = tabset_take(set), *next; f != NULL; f = next) {
        next = f->next;
        tabfile_free(f);
    }
}

/* Writes MANIFEST-000100: a state without files, and then edits: number i adds table i and removes
 * table i / 2 when i is even. ends[i]: bytes up to the end of edit i. */
static enum status written(struct env *env, uint64_t ends[EDITS + 1])
{
    struct manifest m;
    struct tabset set;
    struct edit e;
    bool renamed;
    tabset_init(&set, env);
    edit_init(&e, env);
    enum status st = env_dir_make(env, "m");
    if (st == ST_OK) {
        st = manifest_init(&m, env, "m", bytewise);
    }
    if (st == ST_OK) {
        e.next_file = 1;
        st = manifest_create(&m, 100, &e);
        ends[0] = m.wal.size;
        for (uint64_t i = 1; st == ST_OK && i <= EDITS; i++) {
            edit_release(&e);
            st = add(&e, &set, i);
            if (st == ST_OK && i % 2 == 0) {
                st = edit_remove_file(&e, 1 + (int)(i / 2 % 3), i / 2);
            }
            e.next_file = i + 1;
            e.last_sequence = i * 3;
            e.has_flushed = true;
            e.flushed = i * 2;
            st = st == ST_OK ? manifest_append(&m, &e) : st;
            ends[i] = m.wal.size;
        }
        if (st == ST_OK) {
            st = manifest_publish(&m, 101, &renamed);
        }
        manifest_end(&m, NULL);
        manifest_release(&m);
    }
    edit_release(&e);
    sweep(&set);
    tabset_release(&set);
    return st;
}

/* Reads it; on ST_OK it must be the state after edit *at. */
static enum status read_back(struct env *env, uint64_t *at, struct err *err)
{
    struct tabset set;
    struct version *v = NULL;
    struct manifest_state s;
    tabset_init(&set, env);
    enum status st = manifest_read(env, "m", 100, bytewise, &set, &v, &s, err);
    if (st == ST_OK) {
        uint64_t k = s.edits - 1;
        size_t count = 0;
        *at = k;
        EXPECT(k <= EDITS);
        EXPECT(s.last_sequence == k * 3 && s.flushed == k * 2 && s.next_file == k + 1);
        for (int level = 0; level < TKV_LEVELS; level++) {
            for (size_t i = 0; i < v->levels[level].count; i++) {
                uint64_t n = v->levels[level].files[i]->info.number;
                EXPECT(n >= 1 && n <= k && 2 * n > k && level == 1 + (int)(n % 3));
                EXPECT(v->levels[level].files[i]->kept == 1);
                count++;
            }
        }
        EXPECT(count == k - k / 2);
        version_unref(v);
    }
    sweep(&set);
    tabset_release(&set);
    return st;
}

static void manifest__is_read_as_it_was_written(void)
{
    struct tmpdir t;
    uint64_t ends[EDITS + 1], at = 0, number = 0;
    tmpdir_make(&t);
    EXPECT(written(t.env, ends) == ST_OK);
    EXPECT(read_back(t.env, &at, NULL) == ST_OK && at == EDITS);
    EXPECT(manifest_current(t.env, "m", &number, NULL) == ST_OK && number == 100);
    tmpdir_remove(&t);
}

/* Cut at any byte it is the state after the last whole edit; in the first one it is damaged. */
static void manifest__is_a_prefix_of_its_edits_when_cut(void)
{
    struct tmpdir t;
    struct err err;
    size_t size;
    uint64_t ends[EDITS + 1];
    tmpdir_make(&t);
    EXPECT(written(t.env, ends) == ST_OK);
    char *bytes = tmpdir_read(&t, "m/MANIFEST-000100", &size);
    uint64_t k = 0;
    for (size_t cut = 0; cut <= size; cut++) {
        uint64_t at = 0;
        tmpdir_write(&t, "m/MANIFEST-000100", bytes, cut);
        enum status st = read_back(t.env, &at, &err);
        while (k < EDITS && ends[k + 1] <= cut) {
            k++;
        }
        EXPECT(st == (cut < ends[0] ? ST_CORRUPT : ST_OK));
        EXPECT(st != ST_OK || at == k);
        EXPECT(st == ST_OK || strstr(err.text, "MANIFEST-000100") != NULL);
    }
    free(bytes);
    tmpdir_remove(&t);
}

static void manifest__damage_is_told(void)
{
    struct tmpdir t;
    struct err err;
    size_t size;
    uint64_t ends[EDITS + 1], at;
    tmpdir_make(&t);
    EXPECT(written(t.env, ends) == ST_OK);
    char *bytes = tmpdir_read(&t, "m/MANIFEST-000100", &size);
    for (size_t bad = 0; bad < ends[EDITS]; bad += 3) {
        bytes[bad] ^= 32;
        tmpdir_write(&t, "m/MANIFEST-000100", bytes, size);
        bytes[bad] ^= 32;
        EXPECT(read_back(t.env, &at, &err) == ST_CORRUPT);
        EXPECT(strstr(err.text, "MANIFEST-000100") != NULL && strstr(err.text, "offset") != NULL);
    }
    free(bytes);
    bytes = tmpdir_read(&t, "m/CURRENT", &size);
    for (size_t bad = 0; bad < size; bad++) {
        uint64_t number;
        bytes[bad] ^= 2;
        tmpdir_write(&t, "m/CURRENT", bytes, size);
        bytes[bad] ^= 2;
        EXPECT(manifest_current(t.env, "m", &number, &err) == ST_CORRUPT);
        tmpdir_write(&t, "m/CURRENT", bytes, bad);
        EXPECT(manifest_current(t.env, "m", &number, &err) == ST_CORRUPT);
        EXPECT(strstr(err.text, "CURRENT") != NULL);
    }
    free(bytes);
    tmpdir_remove(&t);
}

static void manifest__survives_refused_memory(void)
{
    uint64_t ends[EDITS + 1], at;
    for (long n = 0;; n++) {
        struct tmpdir t;
        struct test_env te;
        tmpdir_make(&t);
        EXPECT(written(t.env, ends) == ST_OK);
        test_env_init(&te, t.env);
        te.fail_at = n;
        enum status st = read_back(&te.env, &at, NULL);
        EXPECT(st == (te.allocs > n ? ST_NOMEM : ST_OK));
        EXPECT(te.live == 0 && te.descriptors == 0);
        tmpdir_clear(&t, "m");
        test_env_init(&te, t.env);
        te.fail_at = n;
        st = written(&te.env, ends);
        EXPECT(st == ST_OK || st == ST_NOMEM);
        EXPECT(te.live == 0 && te.descriptors == 0);
        bool done = te.allocs <= n;
        tmpdir_remove(&t);
        if (tap_failed || done) {
            return;
        }
    }
}

static struct tkv *db_open(struct env *env)
{
    struct tkv_options o;
    struct tkv *db = NULL;
    struct tkv_error error;
    tkv_options_init(&o);
    o.env = env;
    o.verify = true;
    if (tkv_open(&o, "db", &db, &error) != TKV_OK) {
        printf("# %s\n", error.text);
    }
    EXPECT(db != NULL);
    return db;
}

/* Long keys make long edits: soon a new manifest takes over, and the old one goes. */
static void manifest__a_database_outgrows_one(void)
{
    struct tmpdir t;
    char before[64], after[64];
    char *key = malloc(60000);
    tmpdir_make(&t);
    struct tkv *db = db_open(t.env);
    tmpdir_highest(&t, "db", "", before);
    for (int i = 0; i < 8; i++) {
        memset(key, 'a' + i, 60000);
        EXPECT(tkv_put(db, NULL, key, 60000, "v", 1) == TKV_OK);
        EXPECT(tkv_flush(db) == TKV_OK);
    }
    EXPECT(tkv_wait_idle(db) == TKV_OK);
    tmpdir_highest(&t, "db", "", after);
    EXPECT(strncmp(after, "MANIFEST-", 9) == 0 && strcmp(before, after) != 0);
    EXPECT(tmpdir_count_prefix(&t, "db", "MANIFEST-") == 1);
    EXPECT(tkv_close(db) == TKV_OK);
    db = db_open(t.env);
    for (int i = 0; i < 8; i++) {
        char v[4];
        size_t n;
        memset(key, 'a' + i, 60000);
        EXPECT(tkv_get(db, NULL, key, 60000, v, sizeof v, &n) == TKV_OK);
    }
    EXPECT(tkv_close(db) == TKV_OK);
    free(key);
    tmpdir_remove(&t);
}

/* Takes one thing away from a closed database and looks whether it is missed by name. */
static void missed(const char *what, bool is_prefix, const char *text)
{
    struct tmpdir t;
    struct tkv_options o;
    struct tkv_error error;
    struct tkv *db;
    char name[64], path[400];
    tmpdir_make(&t);
    db = db_open(t.env);
    EXPECT(tkv_put(db, NULL, "k", 1, "v", 1) == TKV_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_highest(&t, "db", is_prefix ? "" : what, name);
    if (strcmp(what, "CURRENT") == 0) {
        (void)snprintf(name, sizeof name, "CURRENT");
    }
    (void)snprintf(path, sizeof path, "%s/db/%s", t.path, name);
    EXPECT(remove(path) == 0);
    int files = tmpdir_count(&t, "db", "");
    tkv_options_init(&o);
    o.env = t.env;
    EXPECT(tkv_open(&o, "db", &db, &error) == TKV_CORRUPT);
    EXPECT(strstr(error.text, text) != NULL);
    EXPECT(tmpdir_count(&t, "db", "") == files); /* nothing was changed */
    tmpdir_remove(&t);
}

static void manifest__what_is_missing_is_named(void)
{
    missed("MANIFEST-", true, "MANIFEST-");
    missed(".sst", false, ".sst");
    missed("CURRENT", false, "CURRENT");
}

/* A sync of the manifest fails, whichever: writes go on, and both before and after a restart all
 * is there, with no file too many. */
static void manifest__in_doubt_is_resolved_by_a_new_one(void)
{
    for (long n = 0; n < 60; n++) {
        struct tmpdir t;
        struct faultenv f;
        struct tkv_options o;
        struct tkv *db = NULL;
        char key[16], v[4];
        size_t size;
        int in = 0;
        tmpdir_make(&t);
        faultenv_init(&f, t.env);
        f.syncs_only = true;
        tkv_options_init(&o);
        o.env = &f.te.env;
        o.verify = true;
        EXPECT(tkv_open(&o, "db", &db, NULL) == TKV_OK);
        f.fail_at = f.calls + n;
        for (int i = 0; i < 20; i++) {
            (void)snprintf(key, sizeof key, "k%02d", i);
            enum tkv_status st = tkv_put(db, NULL, key, 3, "v", 1);
            in += st == TKV_OK && in == i;
            if (tkv_flush(db) != TKV_OK) {
                EXPECT(tkv_flush(db) == TKV_OK); /* the second time it works */
            }
        }
        EXPECT(in == 20);
        EXPECT(tkv_wait_idle(db) == TKV_OK);
        EXPECT(tmpdir_count_prefix(&t, "db", "MANIFEST-") == 1);
        struct tkv_stats s = {.size = sizeof s};
        tkv_stats(db, &s);
        uint64_t tables = 0;
        for (int level = 0; level < TKV_LEVELS; level++) {
            tables += s.levels[level].tables;
        }
        EXPECT(tmpdir_count(&t, "db", ".sst") == (int)tables);
        EXPECT(tkv_close(db) == TKV_OK);
        EXPECT(f.te.live == 0 && f.te.descriptors == 0 && f.synced_after_failure == 0);
        db = db_open(t.env);
        for (int i = 0; db != NULL && i < 20; i++) {
            (void)snprintf(key, sizeof key, "k%02d", i);
            EXPECT(tkv_get(db, NULL, key, 3, v, sizeof v, &size) == TKV_OK);
        }
        EXPECT(tkv_close(db) == TKV_OK);
        tmpdir_remove(&t);
        if (tap_failed) {
            printf("# sync %ld\n", n);
            return;
        }
    }
}

/* D5: a directory sync that failed may have lost any name made before it; the next one's success
 * does not bring it back. */
static void names__count_only_if_no_sync_failed_since(void)
{
    struct tmpdir t;
    struct faultenv f;
    struct tkv_options o;
    struct tkv *db = NULL;
    tmpdir_make(&t);
    faultenv_init(&f, t.env);
    tkv_options_init(&o);
    o.env = &f.te.env;
    EXPECT(tkv_open(&o, "db", &db, NULL) == TKV_OK);
    EXPECT(tkv_wait_idle(db) == TKV_OK);
    uint64_t mine = db_names_begin(db);
    uint64_t other = db_names_begin(db);
    f.fail_at = f.calls;
    EXPECT(db_names_sync(db, other) == ST_IO);
    EXPECT(db_names_sync(db, mine) == ST_IO); /* though this sync succeeded */
    EXPECT(db_names_sync(db, db_names_begin(db)) == ST_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(names__count_only_if_no_sync_failed_since);
    RUN(manifest__is_read_as_it_was_written);
    RUN(manifest__is_a_prefix_of_its_edits_when_cut);
    RUN(manifest__damage_is_told);
    RUN(manifest__survives_refused_memory);
    RUN(manifest__a_database_outgrows_one);
    RUN(manifest__what_is_missing_is_named);
    RUN(manifest__in_doubt_is_resolved_by_a_new_one);
})
