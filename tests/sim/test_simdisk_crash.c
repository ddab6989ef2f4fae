/* test_simdisk_crash.c - what crashes draw: the same from the same stream, torn sectors, stale
 * ones; and what failing syncs lose in each of their four modes. */
#include "sim/simdisk.h"

#include "base/hash.h"
#include "sim/simdisk_int.h"
#include "tests/sim/disksteps.h"

/* ---- one seed, one outcome ---- */

static void test_simdisk_crash__crash_is_a_function_of_its_stream(void)
{
    struct simdisk_options o;
    simdisk_options_init(&o);
    o.tear = SIMDISK_T8;
    struct simdisk *d = disk(&o);
    uint64_t digests[2] = {0, 0};
    char why[2][4000];
    for (int i = 0; i < 8; i++) {
        char path[16];
        (void)snprintf(path, sizeof path, "f%d", i);
        make_file(d, path, (char)('a' + i), 3000);
    }
    struct simdisk *copy;
    EXPECT(simdisk_clone(d, &copy) == ST_OK);
    for (int k = 0; k < 2; k++) {
        struct chooser c;
        struct chooser_stream s;
        stream(&c, &s, 5);
        for (int i = 0; i < 50; i++) {
            struct simdisk *after;
            struct buf text;
            buf_init(&text, simmem());
            EXPECT(simdisk_crash(k == 0 ? d : copy, SIMDISK_COIN, &s, &after) == ST_OK);
            digests[k] = hash_add(digests[k], simdisk_digest(after));
            EXPECT(simdisk_why(after, &text) == ST_OK);
            EXPECT(buf_append(&text, "", 1) == ST_OK);
            (void)snprintf(why[k], sizeof why[k], "%s", text.data);
            buf_release(&text);
            simdisk_free(after);
        }
    }
    EXPECT(digests[0] == digests[1]);
    EXPECT(strcmp(why[0], why[1]) == 0 && strstr(why[0], "kept v") != NULL);
    EXPECT(digests[0] == 0xd0ec178e39763bfau); /* and on every machine */
    simdisk_free(d);
    simdisk_free(copy);
}

/* With noise for a sector and power-safe overwrite, guaranteed neighbours stay whole; without it
 * they are hurt in some crash. */
static void test_simdisk_crash__tearing_spares_neighbours_only_with_psow(void)
{
    for (int psow = 0; psow < 2; psow++) {
        struct simdisk_options o;
        struct chooser c;
        struct chooser_stream s;
        size_t hurt = 0;
        size_t torn = 0;
        simdisk_options_init(&o);
        o.tear = psow != 0 ? SIMDISK_T8 : SIMDISK_TX;
        o.psow = psow != 0;
        struct simdisk *d = disk(&o);
        stream(&c, &s, 3);
        simdisk_ino ino = must_open(d, "f", RW);
        append(d, ino, 'x', 200);
        sync_file(d, ino);
        sync_root(d);
        append(d, ino, 'y', 200);
        EXPECT(simdisk_guaranteed(d, "f", 0, 200) == (psow != 0));
        for (int i = 0; i < 400; i++) {
            struct simdisk *after;
            char bytes[400] = {0};
            size_t n;
            EXPECT(simdisk_crash(d, SIMDISK_KEEP_ALL, &s, &after) == ST_OK);
            simdisk_ino at = must_open(after, "f", ENV_READ);
            EXPECT(simdisk_read(after, at, bytes, 400, 0, &n) == ST_OK && n == 400);
            for (size_t k = 0; k < 200; k++) {
                hurt += bytes[k] != 'x';
                torn += bytes[200 + k] != 'y';
            }
            simdisk_free(after);
        }
        EXPECT((hurt > 0) == (psow == 0));
        EXPECT(torn > 0);
        simdisk_close(d, ino);
        simdisk_free(d);
    }
}

/* Bytes of a deleted file come back in a file that grew without its data. */
static void test_simdisk_crash__unwritten_sectors_may_be_stale(void)
{
    struct simdisk *d = plain_disk();
    struct chooser c;
    struct chooser_stream s;
    size_t stale = 0;
    size_t zeros = 0;
    stream(&c, &s, 3);
    make_file(d, "old", 's', 4096);
    EXPECT(simdisk_remove(d, "old") == ST_OK);
    make_file(d, "f", 'x', 512);
    sync_root(d);
    for (int i = 0; i < 200; i++) {
        struct simdisk *after;
        char bytes[512];
        size_t n;
        EXPECT(simdisk_crash(d, SIMDISK_META_FIRST, &s, &after) == ST_OK);
        simdisk_ino at = must_open(after, "f", ENV_READ);
        EXPECT(simdisk_read(after, at, bytes, 512, 0, &n) == ST_OK && n == 512);
        stale += bytes[0] == 's' && bytes[511] == 's';
        zeros += bytes[0] == 0 && bytes[511] == 0;
        simdisk_free(after);
    }
    EXPECT(stale > 30 && stale < 90);
    EXPECT(zeros > 70 && zeros < 130);
    simdisk_free(d);
}

/* A moved directory may be left with both its names; the one that is guaranteed is kept, and what
 * is below it, whatever else survives. */
static void test_simdisk_crash__guaranteed_name_of_a_directory_wins(void)
{
    struct simdisk *d = plain_disk();
    struct chooser c;
    struct chooser_stream s;
    stream(&c, &s, 3);
    EXPECT(simdisk_dir_make(d, "b") == ST_OK);
    EXPECT(simdisk_dir_make(d, "z") == ST_OK);
    make_file(d, "b/f", 'x', 1);
    EXPECT(simdisk_dir_sync(d, "b", simdisk_sync_begin(d)) == ST_OK);
    sync_root(d);
    EXPECT(simdisk_rename(d, "b", "z/b") == ST_OK);
    EXPECT(simdisk_dir_sync(d, "z", simdisk_sync_begin(d)) == ST_OK);
    EXPECT(simdisk_name_guaranteed(d, "z/b/f"));
    for (int i = 0; i < 10 * SIMDISK_STRATEGIES; i++) {
        struct simdisk *after;
        struct env_stat st;
        enum simdisk_strategy how = (enum simdisk_strategy)(i % SIMDISK_STRATEGIES);
        EXPECT(simdisk_crash(d, how, &s, &after) == ST_OK);
        EXPECT(simdisk_stat(after, "z/b/f", &st) == ST_OK);
        EXPECT(simdisk_stat(after, "b", &st) == ST_NOENT);
        EXPECT(simdisk_check(after));
        simdisk_free(after);
    }
    simdisk_free(d);
}

/* ---- failing syncs ---- */

struct failing {
    struct simdisk *d;
    struct chooser c;
    struct chooser_stream s;
    simdisk_ino ino;
};

/* A file of one guaranteed page 'A', overwritten with 'B', whose sync then fails. */
static enum status fail_sync(struct failing *f, enum simdisk_fsync_fail mode, uint64_t seed)
{
    struct simdisk_options o;
    char b[4096];
    size_t done;
    simdisk_options_init(&o);
    o.fsync_fail = mode;
    f->d = disk(&o);
    stream(&f->c, &f->s, seed);
    f->ino = must_open(f->d, "f", RW);
    append(f->d, f->ino, 'A', 4096);
    sync_file(f->d, f->ino);
    sync_root(f->d);
    memset(b, 'B', sizeof b);
    EXPECT(simdisk_write(f->d, f->ino, b, sizeof b, 0, &done) == ST_OK);
    return simdisk_sync_fail(f->d, f->ino, simdisk_sync_begin(f->d), false, &f->s);
}

static char first_byte(struct simdisk *d)
{
    char c = 0;
    size_t n;
    simdisk_ino ino = must_open(d, "f", ENV_READ);
    EXPECT(simdisk_read(d, ino, &c, 1, 0, &n) == ST_OK);
    simdisk_close(d, ino);
    return c;
}

static void failing_end(struct failing *f)
{
    EXPECT(simdisk_check(f->d));
    simdisk_close(f->d, f->ino);
    simdisk_free(f->d);
}

/* F1: the cache has the new bytes, says clean, a second sync is content, media have the old. */
static void test_simdisk_crash__f1_loses_pages_that_look_clean(void)
{
    size_t lost = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct failing f;
        struct simdisk *after;
        EXPECT(fail_sync(&f, SIMDISK_F1, seed) == ST_IO);
        EXPECT(first_byte(f.d) == 'B');
        append(f.d, f.ino, 'D', 100); /* another page: that one is written */
        sync_file(f.d, f.ino);
        EXPECT(simdisk_guaranteed(f.d, "f", 4096, 100));
        bool sure = simdisk_guaranteed(f.d, "f", 0, 1);
        EXPECT(simdisk_crash(f.d, SIMDISK_KEEP_ALL, &f.s, &after) == ST_OK);
        EXPECT((first_byte(after) == 'B') == sure);
        simdisk_free(after);
        lost += !sure;
        if (!sure) { /* any byte written makes the whole page dirty */
            size_t done;
            EXPECT(simdisk_write(f.d, f.ino, "C", 1, 4000, &done) == ST_OK);
            EXPECT(simdisk_check(f.d));
            sync_file(f.d, f.ino);
            EXPECT(simdisk_guaranteed(f.d, "f", 0, 4096));
        }
        failing_end(&f);
    }
    EXPECT(lost > 10 && lost < 40);
}

static void test_simdisk_crash__f1_eviction_shows_media(void)
{
    size_t changed = 0;
    size_t killed = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct failing f;
        struct simdisk *copy;
        EXPECT(fail_sync(&f, SIMDISK_F1, seed) == ST_IO);
        EXPECT(simdisk_clone(f.d, &copy) == ST_OK);
        simdisk_process_died(copy, &f.s);
        EXPECT(simdisk_check(copy));
        killed += first_byte(copy) == 'A';
        simdisk_free(copy);
        simdisk_evict(f.d, &f.s);
        changed += first_byte(f.d) == 'A';
        EXPECT(simdisk_guaranteed(f.d, "f", 0, 4096));
        failing_end(&f);
    }
    EXPECT(changed > 10 && changed < 40);
    EXPECT(killed > 0 && killed < changed);
}

static void test_simdisk_crash__f2_tells_at_the_next_sync(void)
{
    struct failing f;
    EXPECT(fail_sync(&f, SIMDISK_F2, 4) == ST_OK);
    EXPECT(simdisk_sync_owes(f.d, f.ino));
    EXPECT(simdisk_sync_fail(f.d, f.ino, simdisk_sync_begin(f.d), false, &f.s) == ST_IO);
    EXPECT(!simdisk_sync_owes(f.d, f.ino));
    failing_end(&f);
}

/* F3: bytes and size go back at once. */
static void test_simdisk_crash__f3_reverts_cache_and_size(void)
{
    struct failing f;
    EXPECT(fail_sync(&f, SIMDISK_F3, 4) == ST_IO);
    EXPECT(simdisk_guaranteed(f.d, "f", 0, 4096));
    append(f.d, f.ino, 'C', 5000);
    EXPECT(simdisk_sync_fail(f.d, f.ino, simdisk_sync_begin(f.d), false, &f.s) == ST_IO);
    EXPECT(simdisk_size(f.d, f.ino) == 4096);
    EXPECT(simdisk_pending_bytes(f.d) == 0);
    failing_end(&f);
}

static void test_simdisk_crash__f4_is_the_end(void)
{
    struct failing f;
    simdisk_ino ino;
    enum status dead = fail_sync(&f, SIMDISK_F4, 4);
    EXPECT(dead == ST_IO || dead == ST_ROFS);
    EXPECT(simdisk_sync_owes(f.d, f.ino));
    EXPECT(simdisk_open(f.d, "g", RW, &ino) == dead);
    EXPECT(simdisk_rename(f.d, "f", "g") == dead);
    EXPECT(simdisk_remove(f.d, "f") == dead);
    simdisk_sync_end(f.d, f.ino, simdisk_sync_begin(f.d), false);
    EXPECT(!simdisk_guaranteed(f.d, "f", 0, 1));
    failing_end(&f);
}

/* A page written while the failing sync ran is dirty again: nothing of it is lost. */
static void test_simdisk_crash__failing_sync_spares_pages_written_since(void)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct simdisk *d = plain_disk();
        struct chooser c;
        struct chooser_stream s;
        stream(&c, &s, seed);
        simdisk_ino ino = must_open(d, "f", RW);
        append(d, ino, 'x', 10000);
        uint64_t mark = simdisk_sync_begin(d);
        append(d, ino, 'y', 100);
        EXPECT(simdisk_sync_fail(d, ino, mark, false, &s) == ST_IO);
        EXPECT(simdisk_check(d));
        EXPECT(!simdisk_guaranteed(d, "f", 8192, 1));
        sync_file(d, ino);
        EXPECT(simdisk_guaranteed(d, "f", 8192, 1908));
        EXPECT(simdisk_check(d));
        simdisk_close(d, ino);
        simdisk_free(d);
    }
}

TAP_MAIN({
    RUN(test_simdisk_crash__crash_is_a_function_of_its_stream);
    RUN(test_simdisk_crash__tearing_spares_neighbours_only_with_psow);
    RUN(test_simdisk_crash__unwritten_sectors_may_be_stale);
    RUN(test_simdisk_crash__guaranteed_name_of_a_directory_wins);
    RUN(test_simdisk_crash__f1_loses_pages_that_look_clean);
    RUN(test_simdisk_crash__f1_eviction_shows_media);
    RUN(test_simdisk_crash__f2_tells_at_the_next_sync);
    RUN(test_simdisk_crash__f3_reverts_cache_and_size);
    RUN(test_simdisk_crash__f4_is_the_end);
    RUN(test_simdisk_crash__failing_sync_spares_pages_written_since);
})
