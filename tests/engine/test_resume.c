/* test_resume.c - a database that was closed cleanly is opened without making anything anew; any
 * doubt makes all of it anew, and either way holds what it held. */
#include "base/code.h"
#include "engine/manifest.h"
#include "engine/tkv.h"
#include "engine/walfmt.h"
#include "tests/engine/faultenv.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

#define RECORD (WALFMT_FRAG + MANIFEST_CLOSED)

/* ---- what an open does to the disk ---- */

static struct {
    const struct env_vt *real;
    int syncs;
    int writes; /* and names made, changed, removed */
} seen;

static enum status file_sync(struct env *e, int fd)
{
    seen.syncs++;
    return seen.real->file_sync(e, fd);
}

static enum status file_datasync(struct env *e, int fd)
{
    seen.syncs++;
    return seen.real->file_datasync(e, fd);
}

static enum status dir_sync(struct env *e, const char *path)
{
    seen.syncs++;
    return seen.real->dir_sync(e, path);
}

static enum status file_pwrite(struct env *e, int fd, const void *buf, size_t size, uint64_t offset,
                               size_t *put)
{
    seen.writes++;
    return seen.real->file_pwrite(e, fd, buf, size, offset, put);
}

static enum status path_rename(struct env *e, const char *from, const char *to)
{
    seen.writes++;
    return seen.real->path_rename(e, from, to);
}

static enum status path_remove(struct env *e, const char *path)
{
    seen.writes++;
    return seen.real->path_remove(e, path);
}

static void watch(struct tmpdir *t, struct env_vt *vt)
{
    seen.real = t->env->vt;
    *vt = *t->env->vt;
    vt->file_sync = file_sync;
    vt->file_datasync = file_datasync;
    vt->dir_sync = dir_sync;
    vt->file_pwrite = file_pwrite;
    vt->path_rename = path_rename;
    vt->path_remove = path_remove;
    t->env->vt = vt;
}

static void watch_end(struct tmpdir *t)
{
    t->env->vt = seen.real;
}

/* ---- databases ---- */

static struct tkv *must_open(struct env *env, bool log)
{
    struct tkv_options o;
    struct tkv *db = NULL;
    struct tkv_error error;
    tkv_options_init(&o);
    o.env = env;
    o.log = log;
    o.verify = true;
    o.threads = 1;
    if (tkv_open(&o, "db", &db, &error) != TKV_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    seen.syncs = seen.writes = db == NULL;
    return db;
}

/* Opens; what it did to the disk is in *syncs and *writes. */
static struct tkv *counted_open(struct env *env, bool log, int *syncs, int *writes)
{
    struct tkv_options o;
    struct tkv *db = NULL;
    tkv_options_init(&o);
    o.env = env;
    o.log = log;
    o.verify = true;
    o.threads = 1;
    seen.syncs = seen.writes = 0;
    EXPECT(tkv_open(&o, "db", &db, NULL) == TKV_OK);
    *syncs = seen.syncs;
    *writes = seen.writes;
    return db;
}

static void put(struct tkv *db, int i, bool sync)
{
    struct tkv_write_options o;
    char key[16];
    tkv_write_options_init(&o);
    o.sync = sync;
    int n = snprintf(key, sizeof key, "k%d", i);
    EXPECT(tkv_put(db, &o, key, (size_t)n, key, (size_t)n) == TKV_OK);
}

/* How many of k1, k2... are there. */
static int count(struct tkv *db)
{
    for (int i = 1;; i++) {
        char key[16], value[16];
        size_t size;
        int n = snprintf(key, sizeof key, "k%d", i);
        if (tkv_get(db, NULL, key, (size_t)n, value, sizeof value, &size) != TKV_OK) {
            return i - 1;
        }
    }
}

static void once(struct env *env, int want)
{
    struct tkv *db = must_open(env, true);
    EXPECT(count(db) == want);
    EXPECT(tkv_close(db) == TKV_OK);
}

/* A database with keys 1 to 3 in a table and an empty log, closed cleanly: in "db", and in "closed"
 * to begin again from. */
static void closed_make(struct tmpdir *t)
{
    tmpdir_make(t);
    struct tkv *db = must_open(t->env, true);
    for (int i = 1; i <= 3; i++) {
        put(db, i, false);
    }
    EXPECT(tkv_close(db) == TKV_OK);
    once(t->env, 3);
    tmpdir_copy(t, "db", "closed");
}

static void again(struct tmpdir *t)
{
    tmpdir_clear(t, "db");
    tmpdir_copy(t, "closed", "db");
}

static void path_highest(struct tmpdir *t, const char *kind, char path[96])
{
    char name[64];
    tmpdir_highest(t, "db", kind, name); /* of "": M comes after digits, C and L */
    (void)snprintf(path, 96, "db/%s", name);
}

static bool same_file(struct tmpdir *t, const char *path, const char *bytes, size_t size)
{
    size_t n;
    char *now = tmpdir_read(t, path, &n);
    bool same = n == size && memcmp(now, bytes, n) == 0;
    free(now);
    return same;
}

/* Whether an open and a close leave the manifest that was there; the keys are there in any case. */
static bool resumes(struct tmpdir *t, int keys)
{
    char before[96], after[96];
    path_highest(t, "", before);
    once(t->env, keys);
    path_highest(t, "", after);
    EXPECT(tmpdir_count_prefix(t, "db", "MANIFEST-") == 1);
    EXPECT(tmpdir_count(t, "db", ".log") <= 1);
    return strcmp(before, after) == 0;
}

/* ---- */

static void resume__nothing_is_synced_or_written_after_a_clean_close(void)
{
    struct tmpdir t;
    struct env_vt vt;
    char manifest[96], log[96];
    size_t size, log_size;
    int syncs, writes;
    closed_make(&t);
    path_highest(&t, "", manifest);
    path_highest(&t, ".log", log);
    char *bytes = tmpdir_read(&t, manifest, &size);
    char *log_bytes = tmpdir_read(&t, log, &log_size);
    watch(&t, &vt);
    for (int i = 0; i < 3; i++) {
        struct tkv *db = counted_open(t.env, true, &syncs, &writes);
        EXPECT(syncs == 0 && writes == 0);
        EXPECT(count(db) == 3);
        EXPECT(tkv_close(db) == TKV_OK);
        EXPECT(seen.syncs == 0 && seen.writes == 0); /* the record is there already */
        EXPECT(same_file(&t, manifest, bytes, size) && same_file(&t, log, log_bytes, log_size));
    }
    watch_end(&t);
    free(log_bytes);
    free(bytes);
    tmpdir_remove(&t);
}

/* The log went when its records went into a table: a new one, with its name, is all it takes. */
static void resume__after_a_flush_only_a_log_is_made(void)
{
    struct tmpdir t;
    struct env_vt vt;
    char manifest[96], now[96];
    int syncs, writes;
    closed_make(&t);
    path_highest(&t, "", manifest);
    struct tkv *db = must_open(t.env, true);
    put(db, 4, true);
    EXPECT(tkv_close(db) == TKV_OK);
    EXPECT(tmpdir_count(&t, "db", ".log") == 0);
    watch(&t, &vt);
    db = counted_open(t.env, true, &syncs, &writes);
    watch_end(&t);
    EXPECT(syncs == 2 && writes == 1);
    EXPECT(count(db) == 4);
    EXPECT(tkv_close(db) == TKV_OK);
    path_highest(&t, "", now);
    EXPECT(strcmp(manifest, now) == 0);
    EXPECT(resumes(&t, 4));
    tmpdir_remove(&t);
}

/* What follows a clean close: records in the same log, edits in the same manifest, over and over.
 */
static void resume__what_is_written_then_is_found(void)
{
    struct tmpdir t;
    char crash[16];
    closed_make(&t);
    for (int i = 4; i < 40; i++) {
        struct tkv *db = must_open(t.env, true);
        EXPECT(count(db) == i - 1);
        put(db, i, i % 2 == 0);
        if (i % 3 == 0) {
            EXPECT(tkv_flush(db) == TKV_OK);
        }
        EXPECT(tkv_wait_idle(db) == TKV_OK); /* nothing works in what is copied */
        (void)snprintf(crash, sizeof crash, "crash%d", i);
        tmpdir_copy(&t, "db", crash);
        EXPECT(tkv_close(db) == TKV_OK);
        if (i % 5 == 0) {
            tmpdir_clear(&t, "db");
            tmpdir_copy(&t, crash, "db");
        }
        if (i % 7 < 3) {
            once(t.env, i);
        }
    }
    tmpdir_remove(&t);
}

/* Without a log, an edit that is shorter than the closed record goes over it. */
static void resume__a_database_without_a_log_goes_on_too(void)
{
    struct tmpdir t;
    struct env_vt vt;
    int syncs, writes;
    uint64_t tag = 0;
    char crash[16] = "";
    tmpdir_make(&t);
    struct tkv *db = must_open(t.env, false);
    EXPECT(tkv_close(db) == TKV_OK);
    for (uint64_t i = 1; i < 20; i++) {
        struct tkv_write_options o;
        watch(&t, &vt);
        db = counted_open(t.env, false, &syncs, &writes);
        watch_end(&t);
        EXPECT(syncs == 0 && writes == 0);
        EXPECT(tkv_durable_tag(db, &tag) == TKV_OK && tag == i - 1);
        struct tkv_batch *b;
        EXPECT(tkv_batch_new(t.env, &b) == TKV_OK);
        tkv_write_options_init(&o);
        o.tag = i; /* and nothing else: an edit of a few bytes */
        EXPECT(tkv_write(db, &o, b, NULL) == TKV_OK);
        tkv_batch_free(b);
        if (i % 2 == 0) {
            EXPECT(tkv_flush(db) == TKV_OK);
            EXPECT(tkv_wait_idle(db) == TKV_OK);
            (void)snprintf(crash, sizeof crash, "crash%d", (int)i);
            tmpdir_copy(&t, "db", crash);
        }
        EXPECT(tkv_close(db) == TKV_OK);
        if (i % 4 == 0) {
            tmpdir_clear(&t, "db");
            tmpdir_copy(&t, crash, "db");
            db = must_open(t.env, false);
            EXPECT(tkv_durable_tag(db, &tag) == TKV_OK && tag == i);
            EXPECT(tkv_close(db) == TKV_OK);
        }
    }
    tmpdir_remove(&t);
}

/* ---- doubts ---- */

static void resume__a_record_cut_or_damaged_at_any_byte_is_none(void)
{
    struct tmpdir t;
    char path[96];
    size_t size;
    closed_make(&t);
    path_highest(&t, "", path);
    char *bytes = tmpdir_read(&t, path, &size);
    for (size_t at = size - RECORD; at <= size; at++) {
        again(&t);
        tmpdir_write(&t, path, bytes, at);
        EXPECT(resumes(&t, 3) == (at == size));
        if (at < size) {
            again(&t);
            bytes[at] ^= 8;
            tmpdir_write(&t, path, bytes, size);
            bytes[at] ^= 8;
            EXPECT(!resumes(&t, 3));
        }
    }
    free(bytes);
    tmpdir_remove(&t);
}

/* The record is whole, and something follows it: a crash has mixed it with what came later. */
static void resume__a_record_that_is_not_the_end_is_none(void)
{
    struct tmpdir t;
    char path[96];
    size_t size;
    closed_make(&t);
    path_highest(&t, "", path);
    char *bytes = tmpdir_read(&t, path, &size);
    char *wide = calloc(1, size + 600);
    memcpy(wide, bytes, size);
    for (size_t more = 1; more < 600; more += 13) {
        for (int dirty = 0; dirty < 2; dirty++) {
            again(&t);
            wide[size + more - 1] = (char)dirty;
            tmpdir_write(&t, path, wide, size + more);
            wide[size + more - 1] = 0;
            EXPECT(!resumes(&t, 3));
        }
    }
    free(wide);
    free(bytes);
    tmpdir_remove(&t);
}

static void resume__a_log_of_another_size_is_a_doubt(void)
{
    struct tmpdir t;
    char path[96];
    size_t size;
    closed_make(&t);
    path_highest(&t, ".log", path);
    char *bytes = tmpdir_read(&t, path, &size);
    char *wide = calloc(1, size + 100000);
    memcpy(wide, bytes, size);
    for (size_t cut = 0; cut <= size + 90000; cut += cut > size ? 4111 : 1) {
        again(&t);
        tmpdir_write(&t, path, wide, cut);
        EXPECT(resumes(&t, 3) == (cut == size));
    }
    free(wide);
    free(bytes);
    tmpdir_remove(&t);
}

/* Even one mark more: nobody says that this is on the medium. */
static void resume__a_log_with_one_mark_more_is_a_doubt(void)
{
    struct tmpdir t;
    struct wal w;
    char path[96];
    size_t size;
    closed_make(&t);
    path_highest(&t, ".log", path);
    char *bytes = tmpdir_read(&t, path, &size);
    EXPECT(wal_init(&w, t.env) == ST_OK);
    EXPECT(wal_reopen(&w, path, strtoull(path + 3, NULL, 10), code_get32(bytes + 12), size, size) ==
           ST_OK);
    EXPECT(wal_append_mark(&w) == ST_OK);
    EXPECT(wal_flush(&w) == ST_OK);
    wal_release(&w);
    EXPECT(!resumes(&t, 3));
    free(bytes);
    tmpdir_remove(&t);
}

/* A log of the same number and size, made by another process: only its epoch tells. */
static void resume__a_log_of_another_epoch_is_a_doubt(void)
{
    struct tmpdir t;
    struct wal w;
    char path[96];
    size_t size;
    struct walfmt_head head;
    closed_make(&t);
    path_highest(&t, ".log", path);
    char *bytes = tmpdir_read(&t, path, &size);
    uint64_t number = strtoull(path + 3, NULL, 10);
    EXPECT(walfmt_get_head(slice_of(bytes + WALFMT_FRAG, WALFMT_HEAD), WALFMT_LOG_MAGIC, number,
                           &head) == ST_OK);
    tmpdir_clear(&t, "db");
    tmpdir_copy(&t, "closed", "db");
    EXPECT(env_path_remove(t.env, path) == ST_OK);
    EXPECT(wal_init(&w, t.env) == ST_OK);
    EXPECT(wal_create(&w, path, &head) == ST_OK);
    EXPECT(wal_append_mark(&w) == ST_OK);
    EXPECT(wal_flush(&w) == ST_OK);
    EXPECT(w.size == size);
    wal_release(&w);
    EXPECT(!resumes(&t, 3));
    free(bytes);
    tmpdir_remove(&t);
}

static void resume__another_file_of_ours_is_a_doubt(void)
{
    static const char *const names[] = {"db/000900.tmp", "db/000901.sst", "db/000902.log",
                                        "db/MANIFEST-000002"};
    struct tmpdir t;
    closed_make(&t);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        again(&t);
        tmpdir_write(&t, names[i], "", 0);
        EXPECT(!resumes(&t, 3));
        EXPECT(resumes(&t, 3)); /* it is gone, and that one was closed too */
    }
    again(&t);
    tmpdir_write(&t, "db/notes", "x", 1);
    EXPECT(resumes(&t, 3)); /* not ours */
    tmpdir_remove(&t);
}

/* The record speaks of a log, and one is opened that is to have none; and the other way round. */
static void resume__other_options_are_served(void)
{
    struct tmpdir t;
    closed_make(&t);
    for (int i = 0; i < 4; i++) {
        struct tkv *db = must_open(t.env, i % 2 == 1);
        EXPECT(count(db) == 3);
        EXPECT(tkv_close(db) == TKV_OK);
        EXPECT(tmpdir_count(&t, "db", ".log") == i % 2);
    }
    tmpdir_remove(&t);
}

static void session(struct env *env)
{
    struct tkv_options o;
    struct tkv *db = NULL;
    tkv_options_init(&o);
    o.env = env;
    o.threads = 1;
    if (tkv_open(&o, "db", &db, NULL) != TKV_OK) {
        return;
    }
    for (int i = 4; i < 8; i++) {
        struct tkv_write_options w;
        tkv_write_options_init(&w);
        w.sync = i % 2 == 0;
        enum tkv_status st = tkv_put(db, &w, "x", 1, "y", 1);
        (void)st; /* a sync may fail */
        st = i == 5 ? tkv_flush(db) : TKV_OK;
        (void)st;
    }
    enum tkv_status st = tkv_close(db);
    (void)st;
}

/* Bytes in the page cache are no bytes on the medium once a sync has failed: whatever it was of. */
static void resume__a_process_whose_sync_failed_says_nothing(void)
{
    for (long n = 0;; n++) {
        struct tmpdir t;
        struct faultenv f;
        closed_make(&t);
        faultenv_init(&f, t.env);
        f.fail_at = n;
        f.syncs_only = true;
        f.with = ST_IO;
        session(&f.te.env);
        EXPECT(f.te.live == 0 && f.te.descriptors == 0);
        if (f.failed == 0) {
            printf("# %ld syncs\n", n);
            tmpdir_remove(&t);
            return;
        }
        EXPECT(!resumes(&t, 3));
        EXPECT(resumes(&t, 3));
        tmpdir_remove(&t);
    }
}

static void resume__any_file_call_may_fail(void)
{
    for (long n = 0;; n++) {
        struct tmpdir t;
        struct faultenv f;
        struct tkv_options o;
        struct tkv *db = NULL;
        closed_make(&t);
        faultenv_init(&f, t.env);
        f.fail_at = n;
        f.with = ST_IO;
        tkv_options_init(&o);
        o.env = &f.te.env;
        enum tkv_status st = tkv_open(&o, "db", &db, NULL);
        EXPECT(st == TKV_OK || f.failed > 0);
        if (st == TKV_OK) {
            (void)count(db);
            st = tkv_close(db);
            EXPECT(st == TKV_OK || f.failed > 0);
        }
        EXPECT(f.te.live == 0 && f.te.descriptors == 0);
        once(t.env, 3);
        tmpdir_remove(&t);
        if (f.failed == 0) {
            return;
        }
    }
}

static void resume__survives_refused_memory(void)
{
    for (long n = 0;; n++) {
        struct tmpdir t;
        struct test_env te;
        struct tkv_options o;
        struct tkv *db = NULL;
        closed_make(&t);
        test_env_init(&te, t.env);
        te.fail_at = n;
        tkv_options_init(&o);
        o.env = &te.env;
        enum tkv_status st = tkv_open(&o, "db", &db, NULL);
        EXPECT(st == TKV_OK || st == TKV_NOMEM);
        if (st == TKV_OK) {
            EXPECT(tkv_close(db) == TKV_OK);
        }
        EXPECT(te.live == 0 && te.descriptors == 0);
        bool refused = te.allocs > n;
        EXPECT(resumes(&t, 3)); /* nothing was changed */
        tmpdir_remove(&t);
        if (!refused) {
            return;
        }
    }
}

TAP_MAIN({
    RUN(resume__nothing_is_synced_or_written_after_a_clean_close);
    RUN(resume__after_a_flush_only_a_log_is_made);
    RUN(resume__what_is_written_then_is_found);
    RUN(resume__a_database_without_a_log_goes_on_too);
    RUN(resume__a_record_cut_or_damaged_at_any_byte_is_none);
    RUN(resume__a_record_that_is_not_the_end_is_none);
    RUN(resume__a_log_of_another_size_is_a_doubt);
    RUN(resume__a_log_with_one_mark_more_is_a_doubt);
    RUN(resume__a_log_of_another_epoch_is_a_doubt);
    RUN(resume__another_file_of_ours_is_a_doubt);
    RUN(resume__other_options_are_served);
    RUN(resume__a_process_whose_sync_failed_says_nothing);
    RUN(resume__any_file_call_may_fail);
    RUN(resume__survives_refused_memory);
})
