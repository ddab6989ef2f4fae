/* test_simdisk.c - the simulated disk as a file system: against a trivial model, its statuses,
 * room, clones, refused memory; guaranteed() and crashes against every outcome. */
#include "sim/simdisk.h"

#include "base/prng.h"
#include "sim/simdisk_int.h"
#include "sim/simmem.h"
#include "tests/sim/disksteps.h"
#include "tests/sim/outcomes.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

/* ---- statuses, as Linux gives them ---- */

static void test_simdisk__paths_fail_as_on_linux(void)
{
    struct simdisk *d = plain_disk();
    struct env_stat st;
    simdisk_ino ino;
    char longest[300];
    memset(longest, 'n', sizeof longest);
    longest[256] = '\0';
    EXPECT(simdisk_dir_make(d, "/a") == ST_OK);
    EXPECT(simdisk_dir_make(d, "a/b/") == ST_OK);
    make_file(d, "./a/f", 'x', 10);
    EXPECT(simdisk_stat(d, "a/b/../../a//f", &st) == ST_OK && st.size == 10 && st.links == 1);
    EXPECT(simdisk_stat(d, "/../a", &st) == ST_OK && st.kind == ENV_KIND_DIR && st.links == 3);
    EXPECT(simdisk_stat(d, "", &st) == ST_NOENT);
    EXPECT(simdisk_stat(d, "a/f/", &st) == ST_NOTDIR);
    EXPECT(simdisk_stat(d, "a/f/x", &st) == ST_NOTDIR);
    EXPECT(simdisk_stat(d, "a/none/x", &st) == ST_NOENT);
    EXPECT(simdisk_stat(d, longest, &st) == ST_NAMETOOLONG);
    longest[255] = '\0';
    EXPECT(simdisk_stat(d, longest, &st) == ST_NOENT);
    EXPECT(simdisk_open(d, "a", ENV_WRITE, &ino) == ST_ISDIR);
    EXPECT(simdisk_open(d, "a", ENV_READ, &ino) == ST_ISDIR);
    EXPECT(simdisk_open(d, "new/", RW, &ino) == ST_ISDIR);
    EXPECT(simdisk_open(d, "none", ENV_READ, &ino) == ST_NOENT);
    EXPECT(simdisk_open(d, "a/f", RW | ENV_EXCLUSIVE, &ino) == ST_EXIST);
    EXPECT(simdisk_open(d, "a/f", ENV_READ | ENV_CREATE, &ino) == ST_INVAL);
    EXPECT(simdisk_dir_make(d, "a/f") == ST_EXIST);
    EXPECT(simdisk_dir_make(d, "/") == ST_EXIST);
    EXPECT(simdisk_dir_make(d, "none/x") == ST_NOENT);
    EXPECT(simdisk_remove(d, "a") == ST_NOTEMPTY);
    EXPECT(simdisk_remove(d, "none") == ST_NOENT);
    EXPECT(simdisk_remove(d, ".") == ST_INVAL);
    EXPECT(simdisk_remove(d, "/") == ST_BUSY);
    EXPECT(simdisk_dir_sync(d, "a/f", 0) == ST_NOTDIR);
    EXPECT(simdisk_link(d, "a", "c") == ST_ACCESS);
    EXPECT(simdisk_link(d, "a/f", "a/b") == ST_EXIST);
    EXPECT(simdisk_check(d));
    simdisk_free(d);
}

static void test_simdisk__renames_fail_as_on_linux(void)
{
    struct simdisk *d = plain_disk();
    struct env_stat st;
    EXPECT(simdisk_dir_make(d, "a") == ST_OK);
    EXPECT(simdisk_dir_make(d, "a/b") == ST_OK);
    EXPECT(simdisk_dir_make(d, "e") == ST_OK);
    make_file(d, "f", 'x', 1);
    make_file(d, "a/g", 'y', 2);
    EXPECT(simdisk_rename(d, "none", "x") == ST_NOENT);
    EXPECT(simdisk_rename(d, "a", "a/b/c") == ST_INVAL);
    EXPECT(simdisk_rename(d, "a/b", "a") == ST_NOTEMPTY);
    EXPECT(simdisk_rename(d, "a/g", "a") == ST_NOTEMPTY); /* before ST_ISDIR, for an ancestor */
    EXPECT(simdisk_rename(d, "e", "a") == ST_NOTEMPTY);
    EXPECT(simdisk_rename(d, "e", "f") == ST_NOTDIR);
    EXPECT(simdisk_rename(d, "f", "e") == ST_ISDIR);
    EXPECT(simdisk_rename(d, "f", "h/") == ST_NOTDIR);
    EXPECT(simdisk_rename(d, "f", ".") == ST_BUSY);
    EXPECT(simdisk_rename(d, "f", "f") == ST_OK);
    EXPECT(simdisk_link(d, "f", "l") == ST_OK);
    EXPECT(simdisk_rename(d, "f", "l") == ST_OK); /* one file: nothing happens */
    EXPECT(simdisk_stat(d, "f", &st) == ST_OK && st.links == 2);
    EXPECT(simdisk_rename(d, "f", "a/g") == ST_OK);
    EXPECT(simdisk_stat(d, "a/g", &st) == ST_OK && st.size == 1 && st.links == 2);
    EXPECT(simdisk_rename(d, "a/b", "e/") == ST_OK); /* an empty directory is replaced */
    EXPECT(simdisk_stat(d, "e/..", &st) == ST_OK && st.links == 4);
    EXPECT(simdisk_check(d));
    simdisk_free(d);
}

/* ---- the volatile image against a trivial model ---- */

#define MODEL_NAMES 6
#define MODEL_SIZE  3000

struct model_file {
    int links;
    size_t size;
    unsigned char bytes[MODEL_SIZE];
};

struct model {
    struct model_file file[64];
    int files;
    int name[MODEL_NAMES]; /* -1: none */
};

static void name_text(int i, char *out)
{
    (void)snprintf(out, 16, i % 2 == 0 ? "n%d" : "d/n%d", i);
}

static void model_drop(struct model *m, int name)
{
    m->name[name] = -1;
}

static bool model_agrees(struct simdisk *d, const struct model *m)
{
    unsigned char bytes[MODEL_SIZE + 1];
    bool ok = true;
    for (int i = 0; i < MODEL_NAMES && ok; i++) {
        char path[16];
        simdisk_ino ino;
        size_t got;
        name_text(i, path);
        enum status st = simdisk_open(d, path, ENV_READ, &ino);
        if (m->name[i] < 0) {
            ok = st == ST_NOENT;
            continue;
        }
        const struct model_file *f = &m->file[m->name[i]];
        ok = st == ST_OK && simdisk_read(d, ino, bytes, sizeof bytes, 0, &got) == ST_OK &&
             got == f->size && memcmp(bytes, f->bytes, got) == 0;
        if (st == ST_OK) {
            simdisk_close(d, ino);
        }
    }
    return ok;
}

/* One random operation on both. */
static void model_step(struct simdisk *d, struct model *m, struct prng *g)
{
    char path[16];
    char other[16];
    int a = (int)prng_below(g, MODEL_NAMES);
    int b = (int)prng_below(g, MODEL_NAMES);
    name_text(a, path);
    name_text(b, other);
    uint64_t op = prng_below(g, 12);
    if (m->name[a] < 0) {
        if (m->files < 64 && op < 6) {
            simdisk_close(d, must_open(d, path, RW));
            m->name[a] = m->files;
            m->file[m->files++] = (struct model_file){.links = 1};
        }
        return;
    }
    struct model_file *f = &m->file[m->name[a]];
    simdisk_ino ino = must_open(d, path, ENV_READ | ENV_WRITE);
    if (op < 5) {
        unsigned char bytes[700];
        size_t n = 1 + (size_t)prng_below(g, sizeof bytes);
        size_t off = (size_t)prng_below(g, op < 2 ? f->size + 1 : MODEL_SIZE - n);
        off = off + n > MODEL_SIZE ? MODEL_SIZE - n : off;
        size_t done;
        memset(bytes, (int)prng_below(g, 256), sizeof bytes);
        EXPECT(simdisk_write(d, ino, bytes, n, off, &done) == ST_OK && done == n);
        memcpy(f->bytes + off, bytes, n);
        f->size = off + n > f->size ? off + n : f->size;
    } else if (op < 7) {
        size_t n = (size_t)prng_below(g, MODEL_SIZE);
        EXPECT(simdisk_truncate(d, ino, n) == ST_OK);
        if (n < f->size) {
            memset(f->bytes + n, 0, f->size - n);
        }
        f->size = n;
    } else if (op == 7) {
        simdisk_sync_end(d, ino, simdisk_sync_begin(d), prng_below(g, 2) == 1);
    } else if (op == 8) {
        EXPECT(simdisk_remove(d, path) == ST_OK);
        model_drop(m, a);
    } else if (op == 9) {
        EXPECT(simdisk_rename(d, path, other) == ST_OK);
        if (m->name[a] != m->name[b]) {
            m->name[b] = m->name[a];
            model_drop(m, a);
        }
    } else if (op == 10) {
        enum status st = simdisk_link(d, path, other);
        EXPECT(st == (m->name[b] < 0 ? ST_OK : ST_EXIST));
        m->name[b] = m->name[b] < 0 ? m->name[a] : m->name[b];
    } else {
        EXPECT(simdisk_dir_sync(d, prng_below(g, 2) == 0 ? "/" : "d", simdisk_sync_begin(d)) ==
               ST_OK);
    }
    simdisk_close(d, ino);
}

/* Random operations; now and then every invariant, a clone that must not be moved by what
 * follows, and crashes that must be sound and change nothing. */
static void fuzz(uint64_t seed, enum simdisk_model model, enum simdisk_tear tear)
{
    struct simdisk_options o;
    struct chooser c;
    struct chooser_stream s;
    struct prng g = {seed};
    static struct model m;
    simdisk_options_init(&o);
    o.model = model;
    o.tear = tear;
    o.page = 1024;
    stream(&c, &s, seed);
    memset(&m, 0, sizeof m);
    memset(m.name, -1, sizeof m.name);
    struct simdisk *d = disk(&o);
    struct simdisk *old = NULL;
    uint64_t old_digest = 0;
    EXPECT(simdisk_dir_make(d, "d") == ST_OK);
    for (int i = 0; i < 150; i++) {
        model_step(d, &m, &g);
        if (i % 10 == 0) {
            struct simdisk *after;
            uint64_t before = simdisk_digest(d);
            EXPECT(model_agrees(d, &m));
            EXPECT(simdisk_check(d));
            EXPECT(simdisk_crash(d, simdisk_draw_strategy(&s), &s, &after) == ST_OK);
            EXPECT(simdisk_check(after));
            EXPECT(simdisk_pending_bytes(after) == 0);
            simdisk_free(after);
            EXPECT(simdisk_digest(d) == before);
        }
        if (i == 70) {
            EXPECT(simdisk_clone(d, &old) == ST_OK);
            old_digest = simdisk_digest(d);
            EXPECT(simdisk_digest(old) == old_digest);
        }
    }
    EXPECT(simdisk_digest(old) == old_digest);
    EXPECT(simdisk_check(old));
    simdisk_free(d);
    EXPECT(simdisk_digest(old) == old_digest);
    simdisk_free(old);
}

static void test_simdisk__volatile_image_is_a_file_system(void)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        fuzz(seed, seed % 2 == 0 ? SIMDISK_P : SIMDISK_E, (enum simdisk_tear)(seed % 4));
    }
}

/* An unlinked file lives to its last close. */
static void test_simdisk__unlinked_file_lives_while_open(void)
{
    struct simdisk *d = plain_disk();
    char got[4];
    size_t n;
    simdisk_ino ino = must_open(d, "f", RW);
    append(d, ino, 'x', 3);
    EXPECT(simdisk_remove(d, "f") == ST_OK);
    append(d, ino, 'y', 1);
    EXPECT(simdisk_read(d, ino, got, 4, 0, &n) == ST_OK && n == 4 && memcmp(got, "xxxy", 4) == 0);
    EXPECT(simdisk_check(d));
    simdisk_close(d, ino);
    sync_root(d);
    EXPECT(simdisk_check(d));
    EXPECT(simdisk_free_bytes(d) == (uint64_t)1 << 30);
    simdisk_free(d);
}

/* ---- room ---- */

static void test_simdisk__full_disk_writes_whole_pages_then_refuses(void)
{
    struct simdisk_options o;
    simdisk_options_init(&o);
    o.capacity = 4096 * 4; /* one name, three pages */
    struct simdisk *d = disk(&o);
    char bytes[20000] = {1};
    size_t done;
    simdisk_ino ino = must_open(d, "f", RW);
    EXPECT(simdisk_write(d, ino, bytes, sizeof bytes, 100, &done) == ST_OK);
    EXPECT(done == 3 * 4096 - 100);
    EXPECT(simdisk_write(d, ino, bytes, 1, 3 * 4096, &done) == ST_NOSPC && done == 0);
    EXPECT(simdisk_write(d, ino, bytes, 1, 0, &done) == ST_OK && done == 1);
    simdisk_ino second;
    EXPECT(simdisk_open(d, "g", RW, &second) == ST_NOSPC);
    EXPECT(simdisk_dir_make(d, "g") == ST_NOSPC);
    EXPECT(simdisk_rename(d, "f", "g") == ST_NOSPC);
    EXPECT(simdisk_allocate(d, ino, 0, 4 * 4096, true) == ST_NOSPC);
    EXPECT(simdisk_truncate(d, ino, 0) == ST_OK);
    EXPECT(simdisk_free_bytes(d) == 0); /* freed blocks come back with the next sync */
    sync_file(d, ino);
    EXPECT(simdisk_free_bytes(d) == 3 * 4096);
    simdisk_set_capacity(d, 4096);
    EXPECT(simdisk_write(d, ino, bytes, 1, 0, &done) == ST_NOSPC);
    simdisk_close(d, ino);
    simdisk_free(d);
}

static void test_simdisk__allocate_takes_room_and_reads_zeros(void)
{
    struct simdisk *d = plain_disk();
    char got[8] = {1};
    size_t n;
    simdisk_ino ino = must_open(d, "f", RW);
    EXPECT(simdisk_allocate(d, ino, 0, 8192, true) == ST_OK);
    EXPECT(simdisk_size(d, ino) == 0);
    EXPECT(simdisk_allocate(d, ino, 0, 8192, false) == ST_OK);
    EXPECT(simdisk_size(d, ino) == 8192);
    EXPECT(simdisk_free_bytes(d) == ((uint64_t)1 << 30) - 3 * 4096);
    EXPECT(simdisk_read(d, ino, got, 8, 8188, &n) == ST_OK && n == 4 && got[0] == 0);
    EXPECT(!simdisk_guaranteed(d, "f", 0, 8192));
    sync_file(d, ino);
    EXPECT(simdisk_guaranteed(d, "f", 0, 8192));
    EXPECT(simdisk_check(d));
    simdisk_close(d, ino);
    simdisk_free(d);
}

/* ---- what a sync covers ---- */

static void test_simdisk__sync_covers_what_was_before_its_mark(void)
{
    struct simdisk *d = plain_disk();
    simdisk_ino ino = must_open(d, "f", RW);
    append(d, ino, 'x', 600);
    uint64_t mark = simdisk_sync_begin(d);
    append(d, ino, 'y', 600);
    make_file(d, "g", 'z', 1);
    simdisk_sync_end(d, ino, mark, true);
    EXPECT(simdisk_guaranteed(d, "f", 0, 600));
    EXPECT(!simdisk_guaranteed(d, "f", 0, 601));
    EXPECT(simdisk_pending_bytes(d) == 601);
    EXPECT(simdisk_dir_sync(d, "/", mark) == ST_OK);
    EXPECT(simdisk_name_guaranteed(d, "f"));
    EXPECT(!simdisk_name_guaranteed(d, "g"));
    EXPECT(simdisk_check(d));
    sync_file(d, ino);
    EXPECT(simdisk_guaranteed(d, "f", 0, 1200));
    simdisk_close(d, ino);
    simdisk_free(d);
}

/* A name needs every directory above it. */
static void test_simdisk__name_needs_its_directories(void)
{
    struct simdisk *d = plain_disk();
    EXPECT(simdisk_dir_make(d, "a") == ST_OK);
    make_file(d, "a/f", 'x', 1);
    EXPECT(simdisk_dir_sync(d, "a", simdisk_sync_begin(d)) == ST_OK);
    EXPECT(!simdisk_name_guaranteed(d, "a/f"));
    sync_root(d);
    EXPECT(simdisk_name_guaranteed(d, "a/f"));
    EXPECT(simdisk_rename(d, "a", "b") == ST_OK);
    EXPECT(!simdisk_name_guaranteed(d, "b/f"));
    simdisk_free(d);
}

/* Random programs of whole and broken units on up to three files, sampled and exhausted. */
static void unit_step(struct simdisk *d, struct prng *g, int *letter)
{
    static const char *const names[] = {"a", "b", "c"};
    const char *name = names[prng_below(g, 3)];
    const char *other = names[prng_below(g, 3)];
    char bytes[2 * UNIT];
    size_t done;
    simdisk_ino ino = must_open(d, name, RW);
    uint64_t size = simdisk_size(d, ino);
    uint64_t op = prng_below(g, 10);
    if (op < 5) {
        uint64_t room = 3 * UNIT;
        size_t n = 1 + (size_t)prng_below(g, sizeof bytes);
        uint64_t off = op < 3 && size < room ? size : prng_below(g, room);
        memset(bytes, 'A' + (*letter)++ % 26, sizeof bytes);
        EXPECT(simdisk_write(d, ino, bytes, n, off, &done) == ST_OK);
    } else if (op == 5) {
        EXPECT(simdisk_truncate(d, ino, prng_below(g, 3 * UNIT)) == ST_OK);
    } else if (op == 6) {
        simdisk_sync_end(d, ino, simdisk_sync_begin(d), prng_below(g, 2) == 1);
    } else if (op == 7) {
        sync_root(d);
    } else if (op == 8) {
        EXPECT(simdisk_rename(d, name, other) == ST_OK);
    } else {
        EXPECT(simdisk_remove(d, name) == ST_OK);
    }
    simdisk_close(d, ino);
}

/* guaranteed() says exactly what all outcomes of the file say, for every range of it. */
static void check_ranges(struct simdisk *d, const char *name)
{
    struct outcomes o = {0};
    struct env_stat st;
    if (simdisk_stat(d, name, &st) != ST_OK) {
        return;
    }
    char *now = outcomes_text(d);
    const char *at = strstr(now, name) + 2;
    outcomes_file(d, name, &o);
    for (uint64_t from = 0; from < st.size; from += 5) {
        for (uint64_t len = 1; from + len <= st.size; len += 7) {
            bool all = true;
            for (size_t i = 0; i < o.count && all; i++) {
                all = strlen(o.v[i]) >= from + len && memcmp(o.v[i] + from, at + from, len) == 0;
            }
            EXPECT(simdisk_guaranteed(d, name, from, len) == all);
        }
    }
    outcomes_release(&o);
    free(now);
}

static void random_program(uint64_t seed, enum simdisk_model model, struct outcomes *o)
{
    struct prng g = {seed};
    struct chooser c;
    struct chooser_stream s;
    int letter = 0;
    struct simdisk *d = outcomes_disk(model);
    stream(&c, &s, seed);
    for (int i = 0; i < 7; i++) {
        unit_step(d, &g, &letter);
    }
    EXPECT(simdisk_check(d));
    outcomes_all(d, o);
    for (int i = 0; i < 4 * SIMDISK_STRATEGIES; i++) {
        struct simdisk *after;
        EXPECT(simdisk_crash(d, (enum simdisk_strategy)(i % SIMDISK_STRATEGIES), &s, &after) ==
               ST_OK);
        char *text = outcomes_text(after);
        EXPECT(outcomes_hold(o, text));
        free(text);
        simdisk_free(after);
    }
    check_ranges(d, "a");
    check_ranges(d, "b");
    check_ranges(d, "c");
    simdisk_free(d);
}

static void test_simdisk__crashes_and_guarantees_agree_with_all_outcomes(void)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct outcomes p = {0};
        struct outcomes e = {0};
        random_program(seed, SIMDISK_P, &p);
        random_program(seed, SIMDISK_E, &e);
        for (size_t i = 0; i < e.count; i++) {
            EXPECT(outcomes_hold(&p, e.v[i]));
        }
        outcomes_release(&p);
        outcomes_release(&e);
    }
}

/* ---- refused memory ---- */

static enum status script(struct simdisk *d, struct chooser_stream *s)
{
    char bytes[5000] = "script";
    struct simdisk *copy = NULL;
    struct simdisk *after = NULL;
    size_t done;
    simdisk_ino ino = 0;
    enum status st = simdisk_dir_make(d, "d");
    if (st == ST_OK) {
        st = simdisk_open(d, "d/f", RW, &ino);
    }
    for (int i = 0; i < 6 && st == ST_OK; i++) {
        st = simdisk_write(d, ino, bytes, sizeof bytes, (uint64_t)i * 3000, &done);
        if (i == 1 || i == 4) {
            uint64_t mark = simdisk_sync_begin(d);
            st = st == ST_OK ? simdisk_write(d, ino, bytes, 10, 0, &done) : st;
            simdisk_sync_end(d, ino, mark, true);
        }
        if (i == 2) {
            EXPECT(simdisk_sync_fail(d, ino, simdisk_sync_begin(d), false, s) == ST_IO);
        }
    }
    if (ino != 0) {
        simdisk_close(d, ino);
    }
    st = st == ST_OK ? simdisk_link(d, "d/f", "g") : st;
    st = st == ST_OK ? simdisk_rename(d, "d/f", "h") : st;
    st = st == ST_OK ? simdisk_clone(d, &copy) : st;
    st = st == ST_OK ? simdisk_remove(copy, "g") : st;
    st = st == ST_OK ? simdisk_crash(d, SIMDISK_PREFIX, s, &after) : st;
    simdisk_free(copy);
    simdisk_free(after);
    return st;
}

static void test_simdisk__each_refused_allocation_fails_cleanly(void)
{
    for (long n = 0; n < 10000; n++) {
        struct inject te;
        struct simdisk_options o;
        struct chooser c;
        struct chooser_stream s;
        struct simdisk *d;
        test_env_init(&te, NULL);
        te.fail_at = n;
        simdisk_options_init(&o);
        stream(&c, &s, 1);
        enum status st = simdisk_new(&te.env.mem, &o, &d);
        if (st == ST_OK) {
            st = script(d, &s);
            EXPECT(simdisk_check(d));
            simdisk_free(d);
        }
        EXPECT(st == ST_OK || st == ST_NOMEM);
        EXPECT(te.live == 0);
        if (te.allocs <= n) {
            EXPECT(st == ST_OK);
            return;
        }
    }
    EXPECT(false);
}

TAP_MAIN({
    RUN(test_simdisk__paths_fail_as_on_linux);
    RUN(test_simdisk__renames_fail_as_on_linux);
    RUN(test_simdisk__volatile_image_is_a_file_system);
    RUN(test_simdisk__unlinked_file_lives_while_open);
    RUN(test_simdisk__full_disk_writes_whole_pages_then_refuses);
    RUN(test_simdisk__allocate_takes_room_and_reads_zeros);
    RUN(test_simdisk__sync_covers_what_was_before_its_mark);
    RUN(test_simdisk__name_needs_its_directories);
    RUN(test_simdisk__crashes_and_guarantees_agree_with_all_outcomes);
    RUN(test_simdisk__each_refused_allocation_fails_cleanly);
})
