/* test_tkv_tags.c - databases without a log: tags, what a flush makes durable, what a death loses;
 * and opening for reading only, and options out of their range. */
#include "engine/tkv.h"
#include "tests/engine/faultenv.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

static enum tkv_status open_as(struct env *env, bool log, bool read_only, struct tkv **db)
{
    struct tkv_options o;
    struct tkv_error error = {.text = ""};
    tkv_options_init(&o);
    o.env = env;
    o.verify = true;
    o.log = log;
    o.read_only = read_only;
    o.write_buffer_bytes = 4096;
    *db = NULL;
    enum tkv_status st = tkv_open(&o, "db", db, &error);
    EXPECT(st == TKV_OK || error.text[0] != '\0');
    return st;
}

static enum tkv_status put(struct tkv *db, const char *key, uint64_t tag, bool sync)
{
    struct tkv_write_options o;
    tkv_write_options_init(&o);
    o.tag = tag;
    o.sync = sync;
    return tkv_put(db, &o, key, strlen(key), "v", 1);
}

static bool has(struct tkv *db, const char *key)
{
    char v[8];
    size_t n;
    return tkv_get(db, NULL, key, strlen(key), v, sizeof v, &n) == TKV_OK;
}

static uint64_t durable(struct tkv *db)
{
    uint64_t tag = 0;
    EXPECT(tkv_durable_tag(db, &tag) == TKV_OK);
    return tag;
}

/* What a flush took is there after a death, with its tag; what came later is not. */
static void tags__are_durable_with_their_data(void)
{
    struct tmpdir t;
    struct tkv *db;
    tmpdir_make(&t);
    EXPECT(open_as(t.env, false, false, &db) == TKV_OK);
    EXPECT(put(db, "a", 5, false) == TKV_OK);
    EXPECT(put(db, "b", 9, false) == TKV_OK);
    EXPECT(put(db, "c", 0, false) == TKV_OK);
    EXPECT(durable(db) == 0);
    EXPECT(tkv_flush_to(db, 10) == TKV_INVALID);
    EXPECT(tkv_flush_to(db, 9) == TKV_OK);
    EXPECT(durable(db) == 9);
    EXPECT(put(db, "d", 8, false) == TKV_INVALID); /* tags do not go down */
    EXPECT(!has(db, "d"));
    EXPECT(put(db, "e", 9, false) == TKV_OK);
    EXPECT(put(db, "f", 12, false) == TKV_OK);
    EXPECT(tmpdir_count(&t, "db", ".log") == 0);
    tmpdir_copy(&t, "db", "dead");
    EXPECT(tkv_close(db) == TKV_OK); /* and closing flushes */
    EXPECT(open_as(t.env, false, false, &db) == TKV_OK);
    EXPECT(durable(db) == 12);
    EXPECT(has(db, "a") && has(db, "c") && has(db, "e") && has(db, "f"));
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_clear(&t, "db");
    tmpdir_copy(&t, "dead", "db");
    EXPECT(open_as(t.env, false, false, &db) == TKV_OK);
    EXPECT(durable(db) == 9);
    EXPECT(has(db, "a") && has(db, "b") && has(db, "c") && !has(db, "e") && !has(db, "f"));
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

/* An empty batch moves the tag; a synced write without a log is a flush. */
static void tags__of_nothing_and_of_synced_writes(void)
{
    struct tmpdir t;
    struct tkv *db;
    struct tkv_batch *b;
    struct tkv_write_options o;
    tmpdir_make(&t);
    EXPECT(open_as(t.env, false, false, &db) == TKV_OK);
    EXPECT(tkv_batch_new(t.env, &b) == TKV_OK);
    tkv_write_options_init(&o);
    o.tag = 3;
    EXPECT(tkv_write(db, &o, b, NULL) == TKV_OK);
    EXPECT(tkv_flush_to(db, 3) == TKV_OK);
    EXPECT(durable(db) == 3);
    EXPECT(put(db, "a", 4, true) == TKV_OK);
    EXPECT(durable(db) == 4);
    EXPECT(put(db, "b", 5, false) == TKV_OK);
    EXPECT(tkv_sync(db) == TKV_OK);
    EXPECT(durable(db) == 5);
    tkv_batch_free(b);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

/* From with a log to without and back: nothing is lost on the way. */
static void tags__the_log_may_be_switched_off_and_on(void)
{
    struct tmpdir t;
    struct tkv *db;
    tmpdir_make(&t);
    EXPECT(open_as(t.env, true, false, &db) == TKV_OK);
    EXPECT(put(db, "a", 0, true) == TKV_OK);
    tmpdir_copy(&t, "db", "dead"); /* with a log to replay */
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_clear(&t, "db");
    tmpdir_copy(&t, "dead", "db");
    EXPECT(open_as(t.env, false, false, &db) == TKV_OK);
    EXPECT(has(db, "a"));
    EXPECT(tmpdir_count(&t, "db", ".log") == 0);
    tmpdir_clear(&t, "dead");
    tmpdir_copy(&t, "db", "dead"); /* what was replayed is in a table */
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_clear(&t, "db");
    tmpdir_copy(&t, "dead", "db");
    EXPECT(open_as(t.env, true, false, &db) == TKV_OK);
    EXPECT(has(db, "a"));
    EXPECT(put(db, "b", 0, true) == TKV_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    EXPECT(open_as(t.env, true, false, &db) == TKV_OK);
    EXPECT(has(db, "a") && has(db, "b"));
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

/* With a file call failing, for each of them: a tag that was told to be durable is, with its data.
 */
static void tags__hold_whatever_fails(void)
{
    for (long n = 0;; n++) {
        struct tmpdir t;
        struct faultenv f;
        struct tkv *db;
        char key[16];
        uint64_t promised = 0;
        tmpdir_make(&t);
        faultenv_init(&f, t.env);
        f.fail_at = n;
        f.rest = n % 2 == 1;
        if (open_as(&f.te.env, false, false, &db) == TKV_OK) {
            for (uint64_t i = 1; i <= 12; i++) {
                (void)snprintf(key, sizeof key, "k%02d", (int)i);
                (void)put(db, key, i, false);
                if (i % 4 == 0) {
                    (void)tkv_flush_to(db, i);
                }
                promised = durable(db);
            }
            (void)tkv_close(db);
        }
        EXPECT(f.te.live == 0 && f.te.descriptors == 0);
        EXPECT(open_as(t.env, false, false, &db) == TKV_OK);
        if (db != NULL) {
            EXPECT(durable(db) >= promised);
            for (uint64_t i = 1; i <= promised; i++) {
                (void)snprintf(key, sizeof key, "k%02d", (int)i);
                EXPECT(has(db, key));
            }
            EXPECT(tkv_close(db) == TKV_OK);
        }
        tmpdir_remove(&t);
        if (tap_failed || f.calls <= n) {
            printf("# %ld calls\n", n);
            return;
        }
    }
}

static void read_only__changes_nothing(void)
{
    struct tmpdir t;
    struct tkv *db;
    tmpdir_make(&t);
    EXPECT(open_as(t.env, true, true, &db) == TKV_NOTFOUND);
    EXPECT(open_as(t.env, true, false, &db) == TKV_OK);
    EXPECT(put(db, "a", 0, false) == TKV_OK);
    EXPECT(tkv_flush(db) == TKV_OK);
    EXPECT(put(db, "b", 0, true) == TKV_OK);
    tmpdir_copy(&t, "db", "dead");
    EXPECT(open_as(t.env, true, true, &(struct tkv *){NULL}) == TKV_BUSY);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_clear(&t, "db");
    tmpdir_copy(&t, "dead", "db"); /* without a LOCK file: none is made */
    int files = tmpdir_count(&t, "db", "");
    EXPECT(open_as(t.env, true, true, &db) == TKV_OK);
    EXPECT(has(db, "a") && has(db, "b"));
    EXPECT(put(db, "c", 0, false) == TKV_READONLY);
    EXPECT(tkv_flush(db) == TKV_READONLY);
    EXPECT(tkv_compact_range(db, NULL, 0, NULL, 0) == TKV_READONLY);
    EXPECT(tkv_sync(db) == TKV_OK);
    EXPECT(tkv_wait_idle(db) == TKV_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    EXPECT(tmpdir_count(&t, "db", "") == files);
    EXPECT(open_as(t.env, true, false, &db) == TKV_OK);
    EXPECT(has(db, "a") && has(db, "b"));
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_remove(&t);
}

static enum tkv_status try(struct tmpdir *t, struct tkv_options *o, struct tkv_error *error)
{
    struct tkv *db;
    o->env = t->env;
    enum tkv_status st = tkv_open(o, "db", &db, error);
    if (st == TKV_OK) {
        EXPECT(tkv_close(db) == TKV_OK);
    }
    return st;
}

static int backwards(void *arg, const void *a, size_t n, const void *b, size_t m)
{
    (void)arg;
    size_t k = n < m ? n : m;
    int c = k > 0 ? memcmp(b, a, k) : 0;
    return c != 0 ? c : (n < m) - (n > m);
}

static void options__are_looked_at_by_name(void)
{
    struct tmpdir t;
    struct tkv_options o;
    struct tkv_error error;
    tmpdir_make(&t);
#define REFUSED(field, value, name)             \
    tkv_options_init(&o);                       \
    o.field = (value);                          \
    EXPECT(try(&t, &o, &error) == TKV_INVALID); \
    EXPECT(strstr(error.text, name) != NULL);   \
    EXPECT(tmpdir_count_prefix(&t, ".", "db") == 0)
    REFUSED(write_buffer_bytes, 0, "write_buffer_bytes");
    REFUSED(memtables_max, 65, "memtables_max");
    REFUSED(files_max, 7, "files_max");
    REFUSED(block_bytes, 63, "block_bytes");
    REFUSED(table_bytes, 0, "table_bytes");
    REFUSED(filter_bits, 65, "filter_bits");
    REFUSED(compression[6], 2, "compression");
    REFUSED(level0_files, 0, "level0_files");
    REFUSED(level0_slow, 3, "level0_slow");
    REFUSED(level0_stop, 11, "level0_stop");
    REFUSED(level_factor, 1, "level_factor");
    REFUSED(threads, 17, "threads");
#undef REFUSED
    tkv_options_init(&o);
    struct tkv_comparator nameless = {"", NULL, backwards};
    o.comparator = &nameless;
    EXPECT(try(&t, &o, &error) == TKV_INVALID);
    tkv_options_init(&o);
    o.size = offsetof(struct tkv_options, threads); /* an older program's: the default is taken */
    o.threads = 99;
    EXPECT(try(&t, &o, &error) == TKV_OK);
    tkv_options_init(&o);
    o.size = sizeof o + 8;
    EXPECT(try(&t, &o, &error) == TKV_INVALID);
    struct tkv_comparator other = {"backwards", NULL, backwards};
    tkv_options_init(&o);
    o.comparator = &other;
    EXPECT(try(&t, &o, &error) == TKV_INVALID); /* made under another order */
    EXPECT(strstr(error.text, "backwards") != NULL && strstr(error.text, "bytewise") != NULL);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(tags__are_durable_with_their_data);
    RUN(tags__of_nothing_and_of_synced_writes);
    RUN(tags__the_log_may_be_switched_off_and_on);
    RUN(tags__hold_whatever_fails);
    RUN(read_only__changes_nothing);
    RUN(options__are_looked_at_by_name);
})
