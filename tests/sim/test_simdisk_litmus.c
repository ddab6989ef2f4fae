/* test_simdisk_litmus.c - the litmus table of the disk model: for each row the exhaustive answer
 * under P and E, and that crashes drawn from seeds agree with it. */
#include "sim/simdisk.h"
#include "tests/sim/outcomes.h"
#include "tests/tap.h"

#include <stdlib.h>

#define SAMPLES 200 /* crashes for each strategy */

/* ---- programs, in units ---- */

static void must(enum status st)
{
    EXPECT(st == ST_OK);
}

/* Writes units at unit offset `at`; -1: at the end. */
static void put(struct simdisk *d, const char *name, int at, const char *units)
{
    char bytes[64 * UNIT];
    size_t n = strlen(units);
    simdisk_ino ino;
    size_t done;
    for (size_t i = 0; i < n * UNIT; i++) {
        bytes[i] = units[i / UNIT];
    }
    must(simdisk_open(d, name, ENV_WRITE | ENV_CREATE, &ino));
    uint64_t off = at < 0 ? simdisk_size(d, ino) : (uint64_t)at * UNIT;
    must(simdisk_write(d, ino, bytes, n * UNIT, off, &done));
    EXPECT(done == n * UNIT);
    simdisk_close(d, ino);
}

static void create(struct simdisk *d, const char *name)
{
    simdisk_ino ino;
    must(simdisk_open(d, name, ENV_WRITE | ENV_CREATE, &ino));
    simdisk_close(d, ino);
}

static void cut(struct simdisk *d, const char *name, uint64_t units)
{
    simdisk_ino ino;
    must(simdisk_open(d, name, ENV_WRITE, &ino));
    must(simdisk_truncate(d, ino, units * UNIT));
    simdisk_close(d, ino);
}

static void sync_how(struct simdisk *d, const char *name, bool data_only)
{
    simdisk_ino ino;
    must(simdisk_open(d, name, ENV_WRITE, &ino));
    simdisk_sync_end(d, ino, simdisk_sync_begin(d), data_only);
    simdisk_close(d, ino);
}

static void sync(struct simdisk *d, const char *name)
{
    sync_how(d, name, false);
}

static void dirsync(struct simdisk *d)
{
    must(simdisk_dir_sync(d, "/", simdisk_sync_begin(d)));
}

static void create_append(struct simdisk *d)
{
    put(d, "a", -1, "A");
}

static void create_append_sync(struct simdisk *d)
{
    create_append(d);
    sync(d, "a");
}

static void a_guaranteed(struct simdisk *d)
{
    create_append_sync(d);
    dirsync(d);
}

static void two_sectors_dirsync(struct simdisk *d)
{
    put(d, "a", -1, "AB");
    dirsync(d);
}

static void overwrite_append(struct simdisk *d)
{
    a_guaranteed(d);
    put(d, "a", 0, "B");
    put(d, "a", 1, "C");
}

static void old_guaranteed(struct simdisk *d)
{
    put(d, "c", -1, "O");
    sync(d, "c");
    dirsync(d);
}

static void replace_unsynced(struct simdisk *d)
{
    old_guaranteed(d);
    put(d, "t", -1, "N");
    must(simdisk_rename(d, "t", "c"));
}

static void replace_synced(struct simdisk *d)
{
    old_guaranteed(d);
    put(d, "t", -1, "N");
    sync(d, "t");
    must(simdisk_rename(d, "t", "c"));
}

static void replace_dirsync(struct simdisk *d)
{
    replace_synced(d);
    dirsync(d);
}

static void rename_fresh(struct simdisk *d)
{
    put(d, "t", -1, "N");
    must(simdisk_rename(d, "t", "c"));
    dirsync(d);
}

static void two_logs(struct simdisk *d)
{
    create(d, "v");
    create(d, "w");
    dirsync(d);
    put(d, "v", -1, "V");
    put(d, "w", -1, "W");
    sync(d, "w");
}

static void two_names(struct simdisk *d)
{
    create(d, "x");
    put(d, "y", -1, "Y");
    sync(d, "y");
}

static void x_guaranteed(struct simdisk *d, const char *units)
{
    put(d, "x", -1, units);
    sync(d, "x");
    dirsync(d);
}

static void unlinked(struct simdisk *d)
{
    x_guaranteed(d, "X");
    must(simdisk_remove(d, "x"));
}

static void log_gone(struct simdisk *d)
{
    put(d, "wal", -1, "W");
    sync(d, "wal");
    put(d, "man", -1, "M");
    sync(d, "man");
    dirsync(d);
    put(d, "man", -1, "N");
    must(simdisk_remove(d, "wal"));
}

static void cut_append(struct simdisk *d)
{
    x_guaranteed(d, "AB");
    cut(d, "x", 1);
    put(d, "x", 1, "C");
}

static void overwrite_two(struct simdisk *d)
{
    x_guaranteed(d, "AA");
    put(d, "x", 0, "BB");
}

static void datasync_overwrite(struct simdisk *d)
{
    x_guaranteed(d, "A");
    create(d, "y");
    put(d, "x", 0, "B");
    sync_how(d, "x", true);
}

static void datasync_append(struct simdisk *d)
{
    x_guaranteed(d, "A");
    create(d, "y");
    put(d, "x", -1, "B");
    sync_how(d, "x", true);
}

static void linked(struct simdisk *d)
{
    a_guaranteed(d);
    must(simdisk_link(d, "a", "b"));
}

static void linked_dirsync(struct simdisk *d)
{
    linked(d);
    dirsync(d);
}

static void linked_unlinked(struct simdisk *d)
{
    linked_dirsync(d);
    must(simdisk_remove(d, "a"));
    dirsync(d);
}

static void failed_sync(struct simdisk *d)
{
    struct chooser c;
    struct chooser_stream s;
    simdisk_ino ino;
    chooser_init(&c, 4);
    chooser_stream_init(&s, &c, CHOOSE_DISK_FAULT, 1);
    x_guaranteed(d, "A");
    put(d, "x", 0, "B");
    must(simdisk_open(d, "x", ENV_WRITE, &ino));
    uint64_t mark = simdisk_sync_begin(d);
    EXPECT(simdisk_sync_fail(d, ino, mark, false, &s) == ST_IO);
    simdisk_close(d, ino);
    sync(d, "x");
}

/* ---- questions ---- */

/* name = units; "-": no such file; "*": whatever, but there. */
struct want {
    const char *name;
    const char *units;
};

static bool meets(const char *text, const struct want *w)
{
    for (; w->name != NULL; w++) {
        const char *have = outcomes_units(text, w->name);
        if (w->units[0] == '-' || have == NULL) {
            if ((w->units[0] == '-') != (have == NULL)) {
                return false;
            }
        } else if (w->units[0] != '*' && strcmp(have, w->units) != 0) {
            return false;
        }
    }
    return true;
}

enum ask { POSSIBLE, ALWAYS };

struct row {
    const char *what;
    void (*program)(struct simdisk *d);
    enum ask ask;
    struct want want[3];
    struct want or [2]; /* or this instead */
    bool p, e;          /* the answers */
};

static const struct row rows[] = {
    {"1 name absent", create_append, POSSIBLE, {{"a", "-"}}, {{0}}, true, true},
    {"2 present and empty", create_append, POSSIBLE, {{"a", ""}}, {{0}}, true, true},
    {"3 full size, garbage", create_append, POSSIBLE, {{"a", "?"}}, {{"a", "0"}}, true, false},
    {"4 synced, name missing", create_append_sync, POSSIBLE, {{"a", "-"}}, {{0}}, true, false},
    {"5 synced and dirsynced", a_guaranteed, ALWAYS, {{"a", "A"}}, {{0}}, true, true},
    {"6 second sector real",
     two_sectors_dirsync,
     POSSIBLE,
     {{"a", "?B"}},
     {{"a", "0B"}},
     true,
     false},
    {"7 only the first sector", two_sectors_dirsync, POSSIBLE, {{"a", "A"}}, {{0}}, true, true},
    {"8 overwrite lost, append kept", overwrite_append, POSSIBLE, {{"a", "AC"}}, {{0}}, true, true},
    {"9 c garbage", replace_unsynced, POSSIBLE, {{"c", "?"}}, {{0}}, true, false},
    {"9 c empty", replace_unsynced, POSSIBLE, {{"c", ""}}, {{0}}, true, false},
    {"10 old or new", replace_synced, ALWAYS, {{"c", "O"}}, {{"c", "N"}}, true, true},
    {"11 c new, t there", replace_synced, POSSIBLE, {{"c", "N"}, {"t", "*"}}, {{0}}, true, false},
    {"12 c old, t gone", replace_synced, POSSIBLE, {{"c", "O"}, {"t", "-"}}, {{0}}, true, false},
    {"13 c new", replace_dirsync, ALWAYS, {{"c", "N"}}, {{0}}, true, true},
    {"14 fresh name, c empty", rename_fresh, POSSIBLE, {{"c", ""}}, {{0}}, true, true},
    {"15 w there, v empty", two_logs, POSSIBLE, {{"w", "W"}, {"v", ""}}, {{0}}, true, true},
    {"16 x guaranteed", two_names, ALWAYS, {{"x", "*"}}, {{0}}, false, true},
    {"17 y guaranteed", two_names, ALWAYS, {{"y", "*"}}, {{0}}, false, true},
    {"18 x back", unlinked, POSSIBLE, {{"x", "X"}}, {{0}}, true, true},
    {"19 x gone", unlinked, POSSIBLE, {{"x", "-"}}, {{0}}, true, true},
    {"20 wal gone, edit lost", log_gone, POSSIBLE, {{"wal", "-"}, {"man", "M"}}, {{0}}, true, true},
    {"21 old tail back", cut_append, POSSIBLE, {{"x", "AB"}}, {{0}}, true, true},
    {"22 zeros in the tail", cut_append, POSSIBLE, {{"x", "A0"}}, {{0}}, true, false},
    {"23 synced after a failure", failed_sync, ALWAYS, {{"x", "B"}}, {{0}}, false, false},
    {"24 first half new", overwrite_two, POSSIBLE, {{"x", "BA"}}, {{0}}, true, true},
    {"24 second half new", overwrite_two, POSSIBLE, {{"x", "AB"}}, {{0}}, true, true},
    {"25 y guaranteed", datasync_overwrite, ALWAYS, {{"y", "*"}}, {{0}}, false, false},
    {"26 y guaranteed", datasync_append, ALWAYS, {{"y", "*"}}, {{0}}, false, true},
    {"28 b missing", linked, POSSIBLE, {{"b", "-"}}, {{0}}, true, true},
    {"29 b there", linked_dirsync, ALWAYS, {{"b", "A"}}, {{0}}, true, true},
    {"29 b outlives a", linked_unlinked, ALWAYS, {{"b", "A"}, {"a", "-"}}, {{0}}, true, true},
};

#define ROWS (sizeof rows / sizeof *rows)

static bool holds(const struct row *r, const char *text)
{
    return meets(text, r->want) || (r->or [0].name != NULL && meets(text, r->or));
}

static bool answer(const struct row *r, const struct outcomes *o)
{
    size_t n = 0;
    for (size_t i = 0; i < o->count; i++) {
        n += holds(r, o->v[i]);
    }
    return r->ask == POSSIBLE ? n > 0 : n == o->count;
}

/* What every crash of a program says, next to what all outcomes say: nothing outside of them, and
 * what is possible does happen. Garbage is looked for as '?' only in the exhaustive answer. */
static void sample(const struct row *r, const struct simdisk *d, const struct outcomes *o,
                   bool expected)
{
    struct chooser c;
    struct chooser_stream s;
    size_t met = 0;
    size_t total = 0;
    chooser_init(&c, 99);
    chooser_stream_init(&s, &c, CHOOSE_DISK_CRASH, 1);
    for (int k = 0; k < SAMPLES * SIMDISK_STRATEGIES; k++) {
        struct simdisk *after;
        must(simdisk_crash(d, (enum simdisk_strategy)(k % SIMDISK_STRATEGIES), &s, &after));
        char *text = outcomes_text(after);
        if (!outcomes_hold(o, text)) {
            printf("# %s: an illegal outcome %s\n", r->what, text);
            EXPECT(false);
        }
        met += holds(r, text);
        total++;
        free(text);
        simdisk_free(after);
    }
    bool garbage = strchr(r->want[0].units, '?') != NULL;
    bool got = r->ask == POSSIBLE ? met > 0 : met == total;
    if (!garbage && got != expected) {
        printf("# %s: %zu of %zu crashes\n", r->what, met, total);
        EXPECT(false);
    }
}

static void run_rows(enum simdisk_model model)
{
    for (size_t i = 0; i < ROWS; i++) {
        struct simdisk *d = outcomes_disk(model);
        struct outcomes o = {0};
        bool expected = model == SIMDISK_P ? rows[i].p : rows[i].e;
        rows[i].program(d);
        outcomes_all(d, &o);
        if (answer(&rows[i], &o) != expected) {
            printf("# row %s\n", rows[i].what);
            EXPECT(false);
        }
        sample(&rows[i], d, &o, expected);
        outcomes_release(&o);
        simdisk_free(d);
    }
}

static void test_simdisk_litmus__every_row_under_p(void)
{
    run_rows(SIMDISK_P);
}

static void test_simdisk_litmus__every_row_under_e(void)
{
    run_rows(SIMDISK_E);
}

/* Row 27. Row 23's program draws what its failing sync loses, so its outcomes are not compared. */
static void test_simdisk_litmus__e_is_within_p(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        struct simdisk *dp = outcomes_disk(SIMDISK_P);
        struct simdisk *de = outcomes_disk(SIMDISK_E);
        struct outcomes p = {0};
        struct outcomes e = {0};
        rows[i].program(dp);
        rows[i].program(de);
        outcomes_all(dp, &p);
        outcomes_all(de, &e);
        for (size_t k = 0; k < e.count; k++) {
            EXPECT(outcomes_hold(&p, e.v[k]));
        }
        EXPECT(e.count > 0 && e.count <= p.count);
        outcomes_release(&p);
        outcomes_release(&e);
        simdisk_free(dp);
        simdisk_free(de);
    }
}

TAP_MAIN({
    RUN(test_simdisk_litmus__every_row_under_p);
    RUN(test_simdisk_litmus__every_row_under_e);
    RUN(test_simdisk_litmus__e_is_within_p);
})
