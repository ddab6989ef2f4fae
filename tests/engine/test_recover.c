/* test_recover.c - directories as crashes, failures and people leave them. A crash is made by
 * copying the files of an open database. */
#include "base/code.h"
#include "base/crc32c.h"
#include "engine/tkv.h"
#include "engine/walfmt.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

static enum tkv_status open_with(struct env *env, const char *dir, struct tkv **db,
                                 struct tkv_error *error)
{
    struct tkv_options o;
    tkv_options_init(&o);
    o.env = env;
    o.verify = true;
    *db = NULL;
    return tkv_open(&o, dir, db, error);
}

static struct tkv *must_open(struct env *env, const char *dir)
{
    struct tkv *db;
    struct tkv_error error;
    if (open_with(env, dir, &db, &error) != TKV_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    return db;
}

/* Sets key n to i; keys are k0, k1... */
static void put(struct tkv *db, int i, bool sync)
{
    struct tkv_write_options o;
    char key[16], value[64];
    tkv_write_options_init(&o);
    o.sync = sync;
    int k = snprintf(key, sizeof key, "k%d", i);
    int n = snprintf(value, sizeof value, "value %d", i);
    EXPECT(tkv_put(db, &o, key, (size_t)k, value, (size_t)n) == TKV_OK);
}

/* How many of k1, k2... are there; -1 when they are no prefix of 1..most. */
static int prefix_of(struct tkv *db, int most)
{
    int count = 0;
    bool ended = false;
    for (int i = 1; i <= most; i++) {
        char key[16], value[64];
        size_t size = 0;
        int k = snprintf(key, sizeof key, "k%d", i);
        enum tkv_status st = tkv_get(db, NULL, key, (size_t)k, value, sizeof value - 1, &size);
        value[size] = '\0';
        bool right = st == TKV_OK && atoi(value + 6) == i;
        if (st == TKV_OK && (!right || ended)) {
            return -1;
        }
        ended = ended || st != TKV_OK;
        count += right;
    }
    return count;
}

static int open_count(struct tmpdir *t, const char *dir, int most)
{
    struct tkv *db = must_open(t->env, dir);
    int n = prefix_of(db, most);
    EXPECT(tkv_close(db) == TKV_OK);
    return n;
}

/* Offsets of the fragments of a log that fits in a block; returns how many. *end: what counts. */
static int fragments_end(const char *bytes, size_t size, size_t at[64], size_t *end)
{
    int n = 0;
    size_t o = 0;
    while (n < 64 && o + WALFMT_FRAG <= size && bytes[o + 6] != 0) {
        at[n++] = o;
        o += WALFMT_FRAG + code_get16(bytes + o + 4);
    }
    *end = o;
    return n;
}

static int fragments(const char *bytes, size_t size, size_t at[64])
{
    size_t end;
    return fragments_end(bytes, size, at, &end);
}

/* A database in "live" with six records, of which the first three are synced and known to be so;
 * and its files, as a crash finds them, in "db" and in "crash", to begin again from. The log's name
 * and bytes are handed out; zeros that were written ahead are cut off. */
static char *crashed(struct tmpdir *t, char path[80], size_t *size)
{
    char name[64];
    tmpdir_make(t);
    struct tkv *db = must_open(t->env, "live");
    for (int i = 1; i <= 6; i++) {
        put(db, i, i == 3);
    }
    tmpdir_copy(t, "live", "db");
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_highest(t, "db", ".log", name);
    (void)snprintf(path, 80, "db/%s", name);
    char *bytes = tmpdir_read(t, path, size);
    size_t at[64];
    (void)fragments_end(bytes, *size, at, size);
    tmpdir_write(t, path, bytes, *size);
    tmpdir_copy(t, "db", "crash");
    return bytes;
}

/* What recovery calls dropped of bytes [from, to): nothing of zeros, for they may have been written
 * ahead, and a torn fragment can begin with some (its CRC covers an epoch that is random). */
static uint64_t torn(const char *bytes, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (bytes[i] != 0) {
            return to - from;
        }
    }
    return 0;
}

static void recover__a_torn_tail_is_cut_at_any_byte(void)
{
    struct tmpdir t;
    char path[80];
    size_t size;
    size_t at[64];
    char *bytes = crashed(&t, path, &size);
    EXPECT(fragments(bytes, size, at) == 8); /* header, mark, six records */
    for (size_t cut = at[5]; cut <= size; cut++) {
        tmpdir_clear(&t, "db");
        tmpdir_copy(&t, "crash", "db");
        tmpdir_write(&t, path, bytes, cut);
        struct tkv *db = must_open(t.env, "db");
        int whole = 3 + (cut >= at[6]) + (cut >= at[7]) + (cut >= size);
        EXPECT(prefix_of(db, 6) == whole);
        struct tkv_stats s = {.size = sizeof s};
        tkv_stats(db, &s);
        EXPECT(s.sequence == (uint64_t)whole);
        EXPECT(s.recovered_records == (uint64_t)whole);
        size_t end = cut >= size ? size : cut >= at[7] ? at[7] : cut >= at[6] ? at[6] : at[5];
        EXPECT(s.recovered_dropped == torn(bytes, end, cut));
        put(db, whole + 1, true);
        EXPECT(tkv_close(db) == TKV_OK);
        EXPECT(open_count(&t, "db", 9) == whole + 1);
    }
    free(bytes);
    tmpdir_remove(&t);
}

/* A hole in what was never synced: nothing behind it comes back. */
static void recover__nothing_behind_a_hole_comes_back(void)
{
    struct tmpdir t;
    char path[80];
    size_t size;
    size_t at[64];
    char *bytes = crashed(&t, path, &size);
    (void)fragments(bytes, size, at);
    memset(bytes + at[5], 0, at[6] - at[5]); /* the fourth of six */
    tmpdir_write(&t, path, bytes, size);
    EXPECT(open_count(&t, "db", 6) == 3);
    EXPECT(open_count(&t, "db", 6) == 3);
    free(bytes);
    tmpdir_remove(&t);
}

/* Zeros that were written ahead, as many as there may be, are a clean end; anything in them is not.
 */
static void recover__zeros_written_ahead_are_no_torn_tail(void)
{
    struct tmpdir t;
    char path[80];
    size_t size;
    char *bytes = crashed(&t, path, &size);
    char *wide = calloc(1, 100000);
    memcpy(wide, bytes, size);
    for (size_t tail = 0; tail <= 90000; tail = tail * 3 + 1) {
        for (int dirty = 0; dirty < 2 && tail > (size_t)dirty; dirty++) {
            tmpdir_clear(&t, "db");
            tmpdir_copy(&t, "crash", "db");
            wide[size + tail - 1] = (char)dirty;
            tmpdir_write(&t, path, wide, size + tail);
            wide[size + tail - 1] = 0;
            struct tkv *db = must_open(t.env, "db");
            struct tkv_stats s = {.size = sizeof s};
            tkv_stats(db, &s);
            EXPECT(prefix_of(db, 6) == 6);
            EXPECT(s.recovered_dropped == (dirty ? tail : 0));
            EXPECT(tkv_close(db) == TKV_OK);
        }
    }
    /* a database that syncs leaves such a tail itself */
    struct tkv *db = must_open(t.env, "ahead");
    put(db, 1, true);
    tmpdir_copy(&t, "ahead", "dead");
    EXPECT(tkv_close(db) == TKV_OK);
    char name[64];
    tmpdir_highest(&t, "dead", ".log", name);
    (void)snprintf(path, sizeof path, "dead/%s", name);
    free(bytes);
    bytes = tmpdir_read(&t, path, &size);
    EXPECT(size > 1000 && bytes[size - 1] == 0);
    EXPECT(open_count(&t, "dead", 1) == 1);
    free(wide);
    free(bytes);
    tmpdir_remove(&t);
}

static void recover__damage_in_what_was_synced_is_told_and_nothing_is_changed(void)
{
    struct tmpdir t;
    char path[80];
    size_t size;
    size_t at[64];
    char *bytes = crashed(&t, path, &size);
    (void)fragments(bytes, size, at);
    for (size_t bad = 0; bad < at[5]; bad++) {
        struct tkv *db;
        struct tkv_error error;
        char where[32];
        int f = 0;
        while (at[f + 1] <= bad) {
            f++;
        }
        bytes[bad] = (char)(bytes[bad] ^ 4);
        tmpdir_write(&t, path, bytes, size);
        bytes[bad] = (char)(bytes[bad] ^ 4);
        EXPECT(open_with(t.env, "db", &db, &error) == TKV_CORRUPT);
        (void)snprintf(where, sizeof where, "offset %d", (int)at[f]);
        EXPECT(strstr(error.text, path + 3) != NULL);
        EXPECT(strstr(error.text, where) != NULL);
        EXPECT(tmpdir_count(&t, "db", ".log") == 1);
    }
    tmpdir_write(&t, path, bytes, size);
    EXPECT(open_count(&t, "db", 6) == 6);
    free(bytes);
    tmpdir_remove(&t);
}

/* Process death, recovery, and then a power loss that takes what the dead process had not synced:
 * what the recovery served stays. */
static void recover__what_was_served_survives_the_loss_of_the_page_cache(void)
{
    struct tmpdir t;
    char path[80];
    size_t size;
    size_t at[64];
    char *bytes = crashed(&t, path, &size);
    (void)fragments(bytes, size, at);
    struct tkv *db = must_open(t.env, "db");
    EXPECT(prefix_of(db, 6) == 6);
    EXPECT(tmpdir_count(&t, "db", ".log") == 2); /* the first three stay where they are */
    tmpdir_copy(&t, "db", "later");
    EXPECT(tkv_close(db) == TKV_OK);
    memcpy(path, "db/", 3);
    char later[96];
    (void)snprintf(later, sizeof later, "later/%s", path + 3);
    tmpdir_write(&t, later, bytes, at[5]); /* the unsynced rest of the old log is gone */
    EXPECT(open_count(&t, "later", 6) == 6);
    free(bytes);
    tmpdir_remove(&t);
}

/* A new log that a crash left unfinished counts for nothing, wherever it was cut; the old
 * one still has everything. */
static void recover__an_unfinished_new_log_is_ignored(void)
{
    struct tmpdir t;
    char path[80], name[64], fresh[80];
    size_t size, fresh_size;
    size_t at[64];
    char *bytes = crashed(&t, path, &size);
    struct tkv *db = must_open(t.env, "db");
    tmpdir_highest(&t, "db", ".log", name);
    (void)snprintf(fresh, sizeof fresh, "db/%s", name);
    char *opening = tmpdir_read(&t, fresh, &fresh_size);
    tmpdir_copy(&t, "db", "opened");
    EXPECT(tkv_close(db) == TKV_OK);
    int n = fragments(opening, fresh_size, at);
    EXPECT(n == 6); /* header, three copies, mark, and the mark that says it is synced */
    for (size_t cut = 0; cut <= fresh_size; cut++) {
        tmpdir_clear(&t, "db");
        tmpdir_copy(&t, "opened", "db");
        tmpdir_write(&t, path, bytes, size);
        tmpdir_write(&t, fresh, opening, cut);
        EXPECT(open_count(&t, "db", 6) == 6);
        /* and with a hole in it instead */
        if (cut + 1 < at[5]) {
            char *holed = malloc(fresh_size);
            memcpy(holed, opening, fresh_size);
            holed[cut] ^= 1;
            tmpdir_clear(&t, "db");
            tmpdir_copy(&t, "opened", "db");
            tmpdir_write(&t, path, bytes, size);
            tmpdir_write(&t, fresh, holed, at[5]); /* before it was known to be synced */
            EXPECT(open_count(&t, "db", 6) == 6);
            free(holed);
        }
    }
    free(opening);
    free(bytes);
    tmpdir_remove(&t);
}

/* Once the opening is known to be synced, damage to the copies in it is damage. */
static void recover__damage_to_copies_is_told(void)
{
    struct tmpdir t;
    char path[80], name[64], fresh[80];
    size_t size, fresh_size;
    char *bytes = crashed(&t, path, &size);
    struct tkv *db = must_open(t.env, "db");
    tmpdir_highest(&t, "db", ".log", name);
    (void)snprintf(fresh, sizeof fresh, "db/%s", name);
    tmpdir_copy(&t, "db", "opened");
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_clear(&t, "db");
    tmpdir_copy(&t, "opened", "db");
    char *opening = tmpdir_read(&t, fresh, &fresh_size);
    for (size_t bad = 0; bad < 200; bad += 7) {
        struct tkv_error error;
        opening[bad] ^= 16;
        tmpdir_write(&t, fresh, opening, fresh_size);
        opening[bad] ^= 16;
        EXPECT(open_with(t.env, "db", &db, &error) == TKV_CORRUPT);
        EXPECT(strstr(error.text, name) != NULL);
    }
    free(opening);
    free(bytes);
    tmpdir_remove(&t);
}

static void recover__a_log_that_a_later_one_needs_is_missed(void)
{
    struct tmpdir t;
    char path[80], full[160];
    size_t size;
    struct tkv_error error;
    char *bytes = crashed(&t, path, &size);
    struct tkv *db = must_open(t.env, "db");
    tmpdir_copy(&t, "db", "opened");
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_clear(&t, "db");
    tmpdir_copy(&t, "opened", "db");
    (void)snprintf(full, sizeof full, "%s/%s", t.path, path);
    EXPECT(remove(full) == 0);
    EXPECT(open_with(t.env, "db", &db, &error) == TKV_CORRUPT);
    EXPECT(strstr(error.text, path + 3) != NULL);
    tmpdir_write(&t, path, bytes, 150); /* there, but shorter than it is known to be */
    EXPECT(open_with(t.env, "db", &db, &error) == TKV_CORRUPT);
    EXPECT(strstr(error.text, path + 3) != NULL);
    tmpdir_write(&t, path, bytes, size);
    EXPECT(open_count(&t, "db", 6) == 6);
    free(bytes);
    tmpdir_remove(&t);
}

static void recover__a_newer_format_is_refused_by_name(void)
{
    struct tmpdir t;
    char path[80];
    size_t size;
    struct tkv *db;
    struct tkv_error error;
    char *bytes = crashed(&t, path, &size);
    code_put32(bytes + WALFMT_FRAG + 8, WALFMT_VERSION + 1);
    uint64_t number = code_get32(bytes + 8);
    code_put32(bytes, walfmt_crc(false, bytes, number, 0));
    tmpdir_write(&t, path, bytes, size);
    EXPECT(open_with(t.env, "db", &db, &error) == TKV_UNSUPPORTED);
    EXPECT(strstr(error.text, path + 3) != NULL);
    free(bytes);
    tmpdir_remove(&t);
}

/* Flips each byte of the manifest, and cuts it: what was durable is told to be damaged. */
static void recover__a_damaged_manifest_is_told(void)
{
    struct tmpdir t;
    char name[64], path[80];
    size_t size;
    size_t at[64];
    tmpdir_make(&t);
    struct tkv *db = must_open(t.env, "db");
    for (int i = 1; i <= 20; i++) {
        put(db, i, false);
    }
    EXPECT(tkv_flush(db) == TKV_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    tmpdir_highest(&t, "db", "", name); /* M comes after digits, C and L */
    (void)snprintf(path, sizeof path, "db/%s", name);
    char *bytes = tmpdir_read(&t, path, &size);
    int n = fragments(bytes, size, at);
    EXPECT(n == 4); /* header, state, the flush, the mark at the end */
    for (size_t bad = 0; bad < at[n - 1]; bad++) {
        struct tkv_error error;
        bytes[bad] ^= 1;
        tmpdir_write(&t, path, bytes, size);
        bytes[bad] ^= 1;
        EXPECT(open_with(t.env, "db", &db, &error) == TKV_CORRUPT);
        EXPECT(strstr(error.text, name) != NULL && strstr(error.text, "offset") != NULL);
    }
    for (size_t cut = 0; cut < at[2]; cut++) {
        tmpdir_write(&t, path, bytes, cut);
        EXPECT(open_with(t.env, "db", &db, NULL) == TKV_CORRUPT);
    }
    tmpdir_write(&t, path, bytes, size);
    EXPECT(open_count(&t, "db", 20) == 20);
    free(bytes);
    tmpdir_remove(&t);
}

static void recover__opening_again_and_again_does_not_grow(void)
{
    struct tmpdir t;
    char path[80];
    size_t size;
    char *bytes = crashed(&t, path, &size);
    uint64_t log_bytes = 0;
    for (int i = 0; i < 12; i++) {
        struct tkv *db = must_open(t.env, "db");
        struct tkv_stats s = {.size = sizeof s};
        tkv_stats(db, &s);
        EXPECT(s.sequence == 6);
        EXPECT(prefix_of(db, 6) == 6);
        EXPECT(i < 2 || s.log_bytes <= log_bytes);
        log_bytes = s.log_bytes;
        char copy[16];
        (void)snprintf(copy, sizeof copy, "copy%d", i);
        tmpdir_copy(&t, "db", copy); /* and crashing instead of closing does not either */
        EXPECT(tkv_close(db) == TKV_OK);
        EXPECT(tmpdir_count(&t, "db", ".log") <= 3);
        if (i % 2 == 1) {
            tmpdir_clear(&t, "db");
            tmpdir_copy(&t, copy, "db");
        }
    }
    free(bytes);
    tmpdir_remove(&t);
}

static void recover__a_crash_loop_with_writes_does_not_pile_up_logs(void)
{
    struct tmpdir t;
    tmpdir_make(&t);
    char from[16] = "g0";
    struct tkv *db = must_open(t.env, from);
    EXPECT(tkv_close(db) == TKV_OK);
    for (int i = 1; i <= 30; i++) {
        char to[16];
        db = must_open(t.env, from);
        EXPECT(prefix_of(db, i - 1) == i - 1);
        put(db, i, true);
        (void)snprintf(to, sizeof to, "g%d", i);
        tmpdir_copy(&t, from, to);
        EXPECT(tmpdir_count(&t, to, ".log") <= 7);
        EXPECT(tkv_close(db) == TKV_OK);
        memcpy(from, to, sizeof from);
    }
    tmpdir_remove(&t);
}

static void recover__other_names_are_left_alone_and_numbers_are_not_used_again(void)
{
    struct tmpdir t;
    char path[80], name[64];
    size_t size;
    char *bytes = crashed(&t, path, &size);
    tmpdir_write(&t, "db/000900.tmp", "x", 1);
    tmpdir_write(&t, "db/000003.tmp.bak", "x", 1);
    tmpdir_write(&t, "db/12.log", "x", 1); /* not as we write it */
    tmpdir_write(&t, "db/notes", "x", 1);
    EXPECT(open_count(&t, "db", 6) == 6);
    EXPECT(tmpdir_count(&t, "db", ".tmp") == 0);
    EXPECT(tmpdir_count(&t, "db", "12.log") == 1);
    EXPECT(tmpdir_count(&t, "db", "notes") == 1);
    EXPECT(tmpdir_count(&t, "db", ".bak") == 1);
    tmpdir_highest(&t, "db", ".log", name);
    EXPECT(tmpdir_count_prefix(&t, "db", "MANIFEST-000901") == 1);
    free(bytes);
    tmpdir_remove(&t);
}

static void recover__options_are_kept(void)
{
    struct tmpdir t;
    struct tkv_options o;
    struct tkv *db = NULL;
    struct tkv_error error;
    tmpdir_make(&t);
    tkv_options_init(&o);
    o.env = t.env;
    o.create_if_missing = false;
    EXPECT(tkv_open(&o, "db", &db, &error) == TKV_NOTFOUND);
    EXPECT(strstr(error.text, "db") != NULL);
    o.create_if_missing = true;
    EXPECT(tkv_open(&o, "db", &db, &error) == TKV_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    o.error_if_exists = true;
    EXPECT(tkv_open(&o, "db", &db, &error) == TKV_EXIST);
    o.error_if_exists = false;
    o.create_if_missing = false;
    EXPECT(tkv_open(&o, "db", &db, &error) == TKV_OK);
    EXPECT(tkv_close(db) == TKV_OK);
    o.memtables_max = 0;
    EXPECT(tkv_open(&o, "db", &db, &error) == TKV_INVALID);
    tkv_options_init(&o);
    EXPECT(tkv_open(&o, "db", &db, &error) == TKV_INVALID);
    o.env = t.env;
    tmpdir_write(&t, "file", "x", 1);
    EXPECT(tkv_open(&o, "file", &db, &error) == TKV_INVALID);
    EXPECT(tkv_open(&o, "", &db, &error) == TKV_INVALID);
    EXPECT(tkv_open(&o, "a/b/c", &db, NULL) == TKV_NOTFOUND);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(recover__a_torn_tail_is_cut_at_any_byte);
    RUN(recover__nothing_behind_a_hole_comes_back);
    RUN(recover__zeros_written_ahead_are_no_torn_tail);
    RUN(recover__damage_in_what_was_synced_is_told_and_nothing_is_changed);
    RUN(recover__what_was_served_survives_the_loss_of_the_page_cache);
    RUN(recover__an_unfinished_new_log_is_ignored);
    RUN(recover__damage_to_copies_is_told);
    RUN(recover__a_log_that_a_later_one_needs_is_missed);
    RUN(recover__a_newer_format_is_refused_by_name);
    RUN(recover__a_damaged_manifest_is_told);
    RUN(recover__opening_again_and_again_does_not_grow);
    RUN(recover__a_crash_loop_with_writes_does_not_pile_up_logs);
    RUN(recover__other_names_are_left_alone_and_numbers_are_not_used_again);
    RUN(recover__options_are_kept);
})
