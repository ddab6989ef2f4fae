/* test_tkv_whole.c - whole databases: copied, checked, repaired, described, removed. */
#include "engine/tkv.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <unistd.h>

#define KEYS 400

struct lines {
    char text[32768];
    int count;
};

static void take(void *arg, const char *line)
{
    struct lines *l = arg;
    size_t n = strlen(l->text);
    (void)snprintf(l->text + n, sizeof l->text - n, "%s\n", line);
    l->count++;
}

static bool says(const struct lines *l, const char *what)
{
    return strstr(l->text, what) != NULL;
}

static struct tkv_options small(struct tmpdir *t)
{
    struct tkv_options o;
    tkv_options_init(&o);
    o.env = t->env;
    o.write_buffer_bytes = 4096;
    o.block_bytes = 256;
    o.table_bytes = 2048;
    return o;
}

static struct tkv *opened(struct tmpdir *t, const char *dir)
{
    struct tkv_options o = small(t);
    struct tkv_error error = {.text = ""};
    struct tkv *db = NULL;
    EXPECT(tkv_open(&o, dir, &db, &error) == TKV_OK);
    if (db == NULL) {
        printf("# %s\n", error.text);
        exit(1);
    }
    return db;
}

static void key_of(char key[16], int i)
{
    (void)snprintf(key, 16, "key%06d", i);
}

static void put(struct tkv *db, int i, const char *value)
{
    char key[16];
    key_of(key, i);
    EXPECT(tkv_put(db, NULL, key, strlen(key), value, strlen(value)) == TKV_OK);
}

/* Fills dir: every key twice, each seventh deleted, 100..119 deleted as a range. */
static void fill(struct tkv *db)
{
    char key[16];
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < KEYS; i++) {
            put(db, i, turn == 0 ? "old value of a key" : "new value of a key");
        }
    }
    for (int i = 0; i < KEYS; i += 7) {
        key_of(key, i);
        EXPECT(tkv_delete(db, NULL, key, strlen(key)) == TKV_OK);
    }
    EXPECT(tkv_delete_range(db, NULL, "key000100", 9, "key000120", 9) == TKV_OK);
}

static bool gone(int i)
{
    return i % 7 == 0 || (i >= 100 && i < 120);
}

/* How many keys have their newest value; *wrong: that have another than none or that one. */
static int right(struct tkv *db, int *wrong)
{
    int count = 0;
    *wrong = 0;
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        char value[32];
        size_t size = 0;
        key_of(key, i);
        enum tkv_status st = tkv_get(db, NULL, key, strlen(key), value, sizeof value, &size);
        if (st == TKV_OK && size == 18 && memcmp(value, "new value of a key", 18) == 0) {
            count++;
            *wrong += gone(i);
        } else {
            *wrong += st == TKV_OK || (st == TKV_NOTFOUND && !gone(i));
        }
    }
    return count;
}

static int expected(void)
{
    int n = 0;
    for (int i = 0; i < KEYS; i++) {
        n += !gone(i);
    }
    return n;
}

static void made(struct tmpdir *t, const char *dir)
{
    struct tkv *db = opened(t, dir);
    fill(db);
    EXPECT(tkv_close(db) == TKV_OK);
}

static void flip(struct tmpdir *t, const char *path, size_t at)
{
    size_t size;
    char *bytes = tmpdir_read(t, path, &size);
    EXPECT(at < size);
    bytes[at] ^= 0x40;
    tmpdir_write(t, path, bytes, size);
    free(bytes);
}

static void path_highest(struct tmpdir *t, const char *suffix, char path[96])
{
    char name[64];
    tmpdir_highest(t, "db", suffix, name);
    EXPECT(name[0] != '\0');
    (void)snprintf(path, 96, "db/%s", name);
}

/* ---- leftovers of other files ---- */

/* A crash can leave bytes of a file that was removed where a new log was to be. */
static void leftovers__of_a_manifest_or_another_database_are_no_log(void)
{
    struct tmpdir t;
    char name[64];
    char path[96];
    size_t size;
    int wrong;
    tmpdir_make(&t);
    made(&t, "db");
    made(&t, "other"); /* by the same steps: its files have the same numbers */
    uint64_t number = 0;
    for (uint64_t i = 1; i < 1000; i++) {
        struct env_stat stat;
        (void)snprintf(path, sizeof path, "db/MANIFEST-%06d", (int)i);
        number = env_path_stat(t.env, path, &stat) == ST_OK ? i : number;
    }
    (void)snprintf(path, sizeof path, "db/MANIFEST-%06d", (int)number);
    char *bytes = tmpdir_read(&t, path, &size);
    (void)snprintf(path, sizeof path, "db/%06d.log", (int)number);
    tmpdir_write(&t, path, bytes, size);
    free(bytes);
    struct tkv *db = opened(&t, "db");
    EXPECT(right(db, &wrong) == expected() && wrong == 0);
    put(db, 3, "new value of a key");
    EXPECT(tkv_close(db) == TKV_OK);
    db = opened(&t, "other");
    put(db, 3, "a value of the other one");
    EXPECT(tkv_wait_idle(db) == TKV_OK); /* or files go while they are copied */
    tmpdir_copy(&t, "other", "crashed"); /* its log holds that */
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_highest(&t, "crashed", ".log", name);
    (void)snprintf(path, sizeof path, "crashed/%s", name);
    bytes = tmpdir_read(&t, path, &size);
    (void)snprintf(path, sizeof path, "db/%s", name);
    tmpdir_write(&t, path, bytes, size);
    free(bytes);
    db = opened(&t, "db");
    EXPECT(right(db, &wrong) == expected() && wrong == 0);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

/* ---- checkpoint ---- */

static void checkpoint__holds_what_was_there(void)
{
    struct tmpdir t;
    struct tkv_error error;
    int wrong;
    tmpdir_make(&t);
    struct tkv *db = opened(&t, "db");
    fill(db);
    EXPECT(tkv_checkpoint(db, "copy", &error) == TKV_OK);
    EXPECT(tkv_checkpoint(db, "copy", &error) == TKV_EXIST);
    EXPECT(strstr(error.text, "copy") != NULL);
    for (int i = 0; i < KEYS; i++) {
        put(db, i, "later");
    }
    EXPECT(tkv_compact_range(db, NULL, 0, NULL, 0) == TKV_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    struct tkv_options o = small(&t);
    EXPECT(tkv_destroy(&o, "db", &error) == TKV_OK);
    struct tkv *copy = opened(&t, "copy");
    EXPECT(right(copy, &wrong) == expected() && wrong == 0);
    EXPECT(tkv_close(copy) == TKV_OK);
    tmpdir_remove(&t);
}

static void checkpoint__of_an_empty_database_opens(void)
{
    struct tmpdir t;
    int wrong;
    tmpdir_make(&t);
    struct tkv *db = opened(&t, "db");
    EXPECT(tkv_checkpoint(db, "copy", NULL) == TKV_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    struct tkv *copy = opened(&t, "copy");
    EXPECT(right(copy, &wrong) == 0);
    EXPECT(tkv_close(copy) == TKV_OK);
    tmpdir_remove(&t);
}

/* ---- destroy ---- */

static void destroy__leaves_what_is_not_its_own(void)
{
    struct tmpdir t;
    struct tkv_error error;
    tmpdir_make(&t);
    struct tkv_options o = small(&t);
    EXPECT(tkv_destroy(&o, "db", &error) == TKV_NOTFOUND);
    made(&t, "db");
    tmpdir_write(&t, "db/notes", "mine", 4);
    struct tkv *db = opened(&t, "db");
    EXPECT(tkv_destroy(&o, "db", &error) == TKV_BUSY);
    EXPECT(tkv_close(db) == TKV_OK);
    EXPECT(tkv_destroy(&o, "db", &error) == TKV_OK);
    EXPECT(tmpdir_count(&t, "db", "") == 1);
    EXPECT(tkv_destroy(&o, "db", &error) == TKV_NOTFOUND);
    tmpdir_remove(&t);
}

/* ---- verify and repair ---- */

static void verify__reads_everything(void)
{
    struct tmpdir t;
    struct lines l = {.text = ""};
    struct tkv_error error;
    char path[96];
    tmpdir_make(&t);
    struct tkv_options o = small(&t);
    EXPECT(tkv_verify(&o, "db", take, &l, &error) == TKV_NOTFOUND);
    made(&t, "db");
    EXPECT(tkv_verify(&o, "db", take, &l, &error) == TKV_OK);
    EXPECT(says(&l, ".sst: level ") && says(&l, ": right"));
    path_highest(&t, ".sst", path);
    flip(&t, path, 3);
    struct lines bad = {.text = ""};
    EXPECT(tkv_verify(&o, "db", take, &bad, &error) == TKV_CORRUPT);
    EXPECT(strstr(error.text, path + 3) != NULL && strstr(error.text, "block at 0") != NULL);
    EXPECT(says(&bad, "WRONG"));
    tmpdir_remove(&t);
}

static void repair__changes_nothing_without_need(void)
{
    struct tmpdir t;
    struct lines l = {.text = ""};
    struct tkv_error error;
    tmpdir_make(&t);
    struct tkv_options o = small(&t);
    EXPECT(tkv_repair(&o, "db", take, &l, &error) == TKV_NOTFOUND);
    made(&t, "db");
    int files = tmpdir_count(&t, "db", "");
    EXPECT(tkv_repair(&o, "db", take, &l, &error) == TKV_OK);
    EXPECT(says(&l, "nothing was changed"));
    EXPECT(tmpdir_count(&t, "db", "") == files);
    tmpdir_remove(&t);
}

/* Opens what was repaired, and says how many keys are right; nothing may be wrong but absent. */
static int repaired(struct tmpdir *t, struct lines *l, bool absent_is_wrong)
{
    struct tkv_error error = {.text = ""};
    struct tkv_options o = small(t);
    int wrong;
    EXPECT(tkv_repair(&o, "db", take, l, &error) == TKV_OK);
    if (error.text[0] != '\0') {
        printf("# %s\n", error.text);
    }
    EXPECT(tkv_verify(&o, "db", NULL, NULL, &error) == TKV_OK);
    struct tkv *db = opened(t, "db");
    int n = right(db, &wrong);
    EXPECT(!absent_is_wrong || wrong == 0);
    EXPECT(tkv_put(db, NULL, "after", 5, "x", 1) == TKV_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    return n;
}

static void repair__keeps_all_but_the_damaged_block(void)
{
    struct tmpdir t;
    struct lines l = {.text = ""};
    char path[96];
    tmpdir_make(&t);
    struct tkv *db = opened(&t, "db");
    fill(db);
    EXPECT(tkv_compact_range(db, NULL, 0, NULL, 0) == TKV_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    path_highest(&t, ".sst", path);
    flip(&t, path, 20); /* in its first block */
    int n = repaired(&t, &l, false);
    EXPECT(n < expected() && n > expected() - 60);
    EXPECT(says(&l, "DAMAGED") && says(&l, "blocks could be read") && says(&l, "db/lost"));
    tmpdir_remove(&t);
}

static void repair__does_without_a_manifest(void)
{
    struct tmpdir t;
    struct lines l = {.text = ""};
    tmpdir_make(&t);
    struct tkv *db = opened(&t, "db");
    fill(db);
    EXPECT(tkv_compact_range(db, NULL, 0, NULL, 0) == TKV_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    EXPECT(env_path_remove(t.env, "db/CURRENT") == ST_OK);
    EXPECT(repaired(&t, &l, true) == expected());
    EXPECT(says(&l, "all tables are taken"));
    tmpdir_remove(&t);
}

static void repair__takes_logs_up_to_their_damage(void)
{
    struct tmpdir t;
    struct lines l = {.text = ""};
    char path[96];
    size_t size;
    tmpdir_make(&t);
    struct tkv_options o = small(&t);
    struct tkv *db = NULL;
    o.write_buffer_bytes = 1 << 20;
    EXPECT(tkv_open(&o, "first", &db, NULL) == TKV_OK);
    fill(db);
    EXPECT(tkv_sync(db) == TKV_OK);
    put(db, 1, "not sure of this one");
    tmpdir_copy(&t, "first", "db"); /* as a crash leaves it */
    EXPECT(tkv_close(db) == TKV_OK);
    path_highest(&t, ".log", path);
    char *bytes = tmpdir_read(&t, path, &size);
    while (bytes[size - 1] == 0) {
        size--; /* zeros may follow */
    }
    free(bytes);
    flip(&t, path, size / 4); /* in the first half: all that was deleted later is back */
    struct tkv_error error;
    EXPECT(tkv_open(&o, "db", &db, &error) == TKV_CORRUPT);
    (void)repaired(&t, &l, false);
    EXPECT(says(&l, "DAMAGED, what follows is lost"));
    tmpdir_remove(&t);
}

static void repair__goes_on_after_an_interruption(void)
{
    struct tmpdir t;
    struct lines l = {.text = ""};
    char path[96];
    tmpdir_make(&t);
    made(&t, "db");
    path_highest(&t, ".sst", path);
    /* as if it had been cut short after moving the first files away */
    EXPECT(env_dir_make(t.env, "db/lost") == ST_OK);
    EXPECT(env_path_rename(t.env, "db/CURRENT", "db/lost/CURRENT") == ST_OK);
    char moved[128];
    (void)snprintf(moved, sizeof moved, "db/lost/%s", path + 3);
    EXPECT(env_path_rename(t.env, path, moved) == ST_OK);
    EXPECT(env_dir_make(t.env, "db/repair") == ST_OK);
    tmpdir_write(&t, "db/repair/000001.sst", "half", 4);
    EXPECT(repaired(&t, &l, true) == expected());
    tmpdir_remove(&t);
}

/* ---- descriptions ---- */

static void property__knows_its_pages(void)
{
    static const char *const names[] = {"stats", "levels", "tables", "memory", "options"};
    struct tmpdir t;
    char text[8192];
    size_t size;
    tmpdir_make(&t);
    struct tkv *db = opened(&t, "db");
    fill(db);
    EXPECT(tkv_compact_range(db, NULL, 0, NULL, 0) == TKV_OK);
    for (int i = 0; i < 5; i++) {
        EXPECT(tkv_property(db, names[i], NULL, 0, &size) == TKV_OK && size > 0);
        EXPECT(tkv_property(db, names[i], text, sizeof text, &size) == TKV_OK);
        EXPECT(size > 0 && text[(size < sizeof text ? size : sizeof text) - 1] != '\0');
    }
    EXPECT(tkv_property(db, "nonsense", text, sizeof text, &size) == TKV_NOTFOUND);
    struct tkv_stats s = {.size = sizeof s};
    tkv_stats(db, &s);
    EXPECT(s.flushes > 0 && s.written_bytes > 0 && s.sequence > KEYS);
    EXPECT(s.compactions > 0 && s.compaction_bytes_in > s.compaction_bytes_out);
    EXPECT(s.compaction_bytes_out > 0);
    uint64_t sum = 0;
    for (int i = 0; i < TKV_LEVELS; i++) {
        sum += s.levels[i].bytes_out;
    }
    EXPECT(sum == s.compaction_bytes_out);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

static void size__grows_with_the_range(void)
{
    struct tmpdir t;
    uint64_t all;
    uint64_t half;
    uint64_t none;
    tmpdir_make(&t);
    struct tkv *db = opened(&t, "db");
    fill(db);
    EXPECT(tkv_compact_range(db, NULL, 0, NULL, 0) == TKV_OK);
    EXPECT(tkv_approximate_size(db, NULL, 0, NULL, 0, &all) == TKV_OK);
    EXPECT(tkv_approximate_size(db, "key000200", 9, NULL, 0, &half) == TKV_OK);
    EXPECT(tkv_approximate_size(db, "z", 1, NULL, 0, &none) == TKV_OK);
    EXPECT(all > half && half > 0 && none == 0);
    EXPECT(half > all / 4 && half < all - all / 4);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(leftovers__of_a_manifest_or_another_database_are_no_log);
    RUN(checkpoint__holds_what_was_there);
    RUN(checkpoint__of_an_empty_database_opens);
    RUN(destroy__leaves_what_is_not_its_own);
    RUN(verify__reads_everything);
    RUN(repair__changes_nothing_without_need);
    RUN(repair__keeps_all_but_the_damaged_block);
    RUN(repair__does_without_a_manifest);
    RUN(repair__takes_logs_up_to_their_damage);
    RUN(repair__goes_on_after_an_interruption);
    RUN(property__knows_its_pages);
    RUN(size__grows_with_the_range);
})
