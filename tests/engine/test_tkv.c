/* test_tkv.c - the engine through its public header, on real files: the short way round. */
#include "engine/tkv.h"
#include "env/env_posix.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

static bool value_is(struct tkv *db, const char *key, const char *want)
{
    char value[256];
    size_t size = 0;
    enum tkv_status st = tkv_get(db, NULL, key, strlen(key), value, sizeof value, &size);
    if (want == NULL) {
        return st == TKV_NOTFOUND;
    }
    return st == TKV_OK && size == strlen(want) && memcmp(value, want, size) == 0;
}

static enum tkv_status put(struct tkv *db, const char *key, const char *value)
{
    return tkv_put(db, NULL, key, strlen(key), value, strlen(value));
}

static struct tkv *db_open(struct env *env, const char *dir)
{
    struct tkv_options o;
    struct tkv *db = NULL;
    struct tkv_error error;
    tkv_options_init(&o);
    o.env = env;
    o.verify = true;
    o.write_buffer_bytes = 8192;
    if (tkv_open(&o, dir, &db, &error) != TKV_OK) {
        printf("# %s\n", error.text);
        return NULL;
    }
    return db;
}

static void tkv__what_is_put_is_got_and_comes_back_after_a_restart(void)
{
    struct tmpdir t;
    tmpdir_make(&t);
    struct tkv *db = db_open(t.env, "db");
    EXPECT(db != NULL);
    EXPECT(value_is(db, "a", NULL));
    EXPECT(put(db, "a", "1") == TKV_OK);
    EXPECT(put(db, "b", "2") == TKV_OK);
    EXPECT(put(db, "a", "3") == TKV_OK);
    EXPECT(tkv_delete(db, NULL, "b", 1) == TKV_OK);
    EXPECT(value_is(db, "a", "3"));
    EXPECT(value_is(db, "b", NULL));
    EXPECT(tkv_close(db) == TKV_OK);
    for (int i = 0; i < 3; i++) {
        db = db_open(t.env, "db");
        EXPECT(db != NULL);
        EXPECT(value_is(db, "a", "3"));
        EXPECT(value_is(db, "b", NULL));
        EXPECT(tkv_close(db) == TKV_OK);
    }
    tmpdir_remove(&t);
}

static void tkv__many_keys_rotate_flush_and_survive(void)
{
    struct tmpdir t;
    char key[32], value[64];
    tmpdir_make(&t);
    struct tkv *db = db_open(t.env, "db");
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof key, "key%04d", i * 7 % 1000);
        (void)snprintf(value, sizeof value, "value %d", i);
        EXPECT(put(db, key, value) == TKV_OK);
    }
    EXPECT(tkv_flush(db) == TKV_OK);
    struct tkv_stats s = {.size = sizeof s};
    tkv_stats(db, &s);
    EXPECT(s.sequence == 5000);
    EXPECT(s.flushes > 0);
    EXPECT(s.logs == 1);
    EXPECT(tkv_close(db) == TKV_OK);
    db = db_open(t.env, "db");
    for (int i = 4000; i < 5000; i++) {
        (void)snprintf(key, sizeof key, "key%04d", i * 7 % 1000);
        (void)snprintf(value, sizeof value, "value %d", i);
        EXPECT(value_is(db, key, value));
    }
    struct tkv_iter *it;
    EXPECT(tkv_iter_new(db, NULL, &it) == TKV_OK);
    int n = 0;
    for (tkv_iter_first(it); tkv_iter_valid(it); tkv_iter_next(it)) {
        size_t size;
        (void)snprintf(key, sizeof key, "key%04d", n++);
        EXPECT(memcmp(tkv_iter_key(it, &size), key, 7) == 0);
    }
    EXPECT(n == 1000);
    for (tkv_iter_last(it); tkv_iter_valid(it); tkv_iter_prev(it)) {
        n--;
    }
    EXPECT(n == 0);
    tkv_iter_free(it);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

static void tkv__a_second_opener_is_refused(void)
{
    struct tmpdir t;
    tmpdir_make(&t);
    struct tkv *db = db_open(t.env, "db");
    struct tkv_options o;
    struct tkv *other = NULL;
    struct tkv_error error;
    tkv_options_init(&o);
    o.env = t.env;
    EXPECT(tkv_open(&o, "db", &other, &error) == TKV_BUSY);
    EXPECT(strstr(error.text, "LOCK") != NULL);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(tkv__what_is_put_is_got_and_comes_back_after_a_restart);
    RUN(tkv__many_keys_rotate_flush_and_survive);
    RUN(tkv__a_second_opener_is_refused);
})
