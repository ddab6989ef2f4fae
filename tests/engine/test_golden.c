/* test_golden.c - a log and a manifest that a released version wrote are read, and written again
 * byte for byte.
 *
 * The files are found by GOLDEN_DIR. With TKV_GOLDEN_WRITE set in the environment the examples of
 * docs/format-wal.md and docs/format-manifest.md are printed. */
#include "engine/batch.h"
#include "engine/manifest.h"
#include "engine/wal.h"
#include "engine/walread.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"

#include <stdlib.h>

#ifndef GOLDEN_DIR
#define GOLDEN_DIR "seeds/golden"
#endif

static uint64_t epoch_random(struct env *e)
{
    (void)e;
    return 0x11223344;
}

/* Writes the example log at "log" of the directory. */
static void example_write(struct tmpdir *t)
{
    struct env_vt vt = *t->env->vt;
    const struct env_vt *real = t->env->vt;
    struct wal w;
    struct walfmt_head head = {WALFMT_LOG_MAGIC, WALFMT_VERSION, 1, 0, 0, 0, 0};
    struct buf batch;
    vt.random_u64 = epoch_random;
    t->env->vt = &vt;
    buf_init(&batch, &t->env->mem);
    EXPECT(wal_init(&w, t->env) == ST_OK);
    EXPECT(wal_create(&w, "log", &head) == ST_OK);
    EXPECT(wal_append_mark(&w) == ST_OK);
    EXPECT(wal_sync(&w) == ST_OK);
    struct batch_entry one = {BATCH_PUT, slice_text("a"), slice_text("1")};
    EXPECT(batch_add(&batch, &one) == ST_OK);
    struct env_slice part = {batch.data, batch.size};
    EXPECT(wal_append(&w, 1, &part, 1) == ST_OK);
    EXPECT(wal_sync(&w) == ST_OK);
    buf_clear(&batch);
    struct batch_entry two = {BATCH_PUT, slice_text("b"), slice_text("22")};
    struct batch_entry three = {BATCH_DELETE, slice_text("a"), slice_of(NULL, 0)};
    EXPECT(batch_add(&batch, &two) == ST_OK);
    EXPECT(batch_add(&batch, &three) == ST_OK);
    part = (struct env_slice){batch.data, batch.size};
    EXPECT(wal_append(&w, 2, &part, 1) == ST_OK);
    EXPECT(wal_flush(&w) == ST_OK);
    wal_release(&w);
    buf_release(&batch);
    t->env->vt = real;
}

/* A table of the example manifest. */
static void example_table(struct edit *e, struct tabset *set, int level, uint64_t number,
                          const char *least, const char *most)
{
    struct table_info info = {.number = number,
                              .size = 300,
                              .check = 0x89abcdef,
                              .entries = 4,
                              .deletes = 1,
                              .sequence_min = number * 2,
                              .sequence_max = number * 2 + 3,
                              .raw_bytes = 60,
                              .least = slice_text(least),
                              .most = slice_text(most)};
    struct tabfile *f;
    EXPECT(tabfile_new(set, &info, &f) == ST_OK);
    EXPECT(edit_add_file(e, level, f) == ST_OK);
    tabfile_unref(f);
}

static const struct manifest_closed example_closed = {
    .log = 12, .log_size = 112, .log_epoch = 0x55667788, .next_file = 13, .last_sequence = 30};

/* Writes the example manifest: a state with table 5 in level 6, then a flush that adds table 9; and
 * how it was closed. */
static void example_manifest(struct tmpdir *t, const struct manifest_closed *closed)
{
    struct env_vt vt = *t->env->vt;
    const struct env_vt *real = t->env->vt;
    struct manifest m;
    struct tabset set;
    struct edit e;
    vt.random_u64 = epoch_random;
    t->env->vt = &vt;
    tabset_init(&set, t->env);
    edit_init(&e, t->env);
    EXPECT(manifest_init(&m, t->env, t->path, (struct order){NULL}) == ST_OK);
    m.dir = ".";
    e.has_log_floor = e.has_flushed = true;
    e.log_floor = 6;
    e.flushed = 13;
    e.next_file = 8;
    e.last_sequence = 13;
    example_table(&e, &set, 6, 5, "apple", "pear");
    EXPECT(manifest_create(&m, 7, &e) == ST_OK);
    edit_release(&e);
    e.has_log_floor = e.has_flushed = e.has_tag = true;
    e.log_floor = 8;
    e.flushed = 21;
    e.tag = 300;
    e.next_file = 10;
    e.last_sequence = 22;
    example_table(&e, &set, 0, 9, "fig", "fig");
    EXPECT(manifest_append(&m, &e) == ST_OK);
    edit_release(&e);
    if (closed != NULL) {
        manifest_end(&m, closed);
    }
    manifest_release(&m);
    for (struct tabfile *f = tabset_take(&set), *next; f != NULL; f = next) {
        next = f->next;
        tabfile_free(f);
    }
    tabset_release(&set);
    t->env->vt = real;
}

static size_t hex_read(const char *path, char *bytes, size_t cap)
{
    FILE *f = fopen(path, "r");
    size_t n = 0;
    unsigned v;
    if (f == NULL) {
        return 0;
    }
    while (n < cap && fscanf(f, "%2x", &v) == 1) {
        bytes[n++] = (char)v;
    }
    (void)fclose(f); /* it was only read */
    return n;
}

/* What was written at name is what the golden file holds. */
static void same_bytes(struct tmpdir *t, const char *name, const char *golden)
{
    char want[4096];
    size_t size;
    char *got = tmpdir_read(t, name, &size);
    if (getenv("TKV_GOLDEN_WRITE") != NULL) {
        for (size_t i = 0; i < size; i++) {
            printf("%s%02x", i % 16 == 0 ? "\n# " : " ", (unsigned char)got[i]);
        }
        printf("\n");
    }
    size_t n = hex_read(golden, want, sizeof want);
    EXPECT(n == size);
    EXPECT(n == size && memcmp(got, want, n) == 0);
    free(got);
}

static void golden__the_log_is_written_byte_for_byte(void)
{
    struct tmpdir t;
    tmpdir_make(&t);
    example_write(&t);
    same_bytes(&t, "log", GOLDEN_DIR "/000001.log.hex");
    tmpdir_remove(&t);
}

static void golden__the_manifest_is_written_byte_for_byte(void)
{
    struct tmpdir t;
    tmpdir_make(&t);
    example_manifest(&t, NULL);
    same_bytes(&t, "MANIFEST-000007", GOLDEN_DIR "/MANIFEST-000007.hex");
    tmpdir_remove(&t);
}

static void golden__a_closed_manifest_is_written_byte_for_byte(void)
{
    struct tmpdir t;
    tmpdir_make(&t);
    example_manifest(&t, &example_closed);
    same_bytes(&t, "MANIFEST-000007", GOLDEN_DIR "/MANIFEST-000007-closed.hex");
    tmpdir_remove(&t);
}

/* Reads the golden manifest of that name; what both have is checked, the rest is in *s. */
static void manifest_check(const char *name, struct manifest_state *s)
{
    struct tmpdir t;
    char bytes[4096];
    struct tabset set;
    struct version *v = NULL;
    tmpdir_make(&t);
    tabset_init(&set, t.env);
    size_t size = hex_read(name, bytes, sizeof bytes);
    tmpdir_write(&t, "MANIFEST-000007", bytes, size);
    EXPECT(manifest_read(t.env, ".", 7, (struct order){NULL}, &set, &v, s, NULL) == ST_OK);
    EXPECT(s->log_floor == 8 && s->flushed == 21 && s->tag == 300);
    EXPECT(s->edits == 2 && s->size == size && !s->torn);
    if (v != NULL) {
        EXPECT(v->levels[6].count == 1 && v->levels[0].count == 1);
        const struct table_info *info = &v->levels[6].files[0]->info;
        EXPECT(info->number == 5 && info->check == 0x89abcdef);
        EXPECT(slice_equal(info->most, slice_text("pear")));
        version_unref(v);
    }
    for (struct tabfile *f = tabset_take(&set), *next; f != NULL; f = next) {
        next = f->next;
        tabfile_free(f);
    }
    tabset_release(&set);
    tmpdir_remove(&t);
}

static void golden__the_manifest_is_read(void)
{
    struct manifest_state s;
    manifest_check(GOLDEN_DIR "/MANIFEST-000007.hex", &s);
    EXPECT(s.next_file == 10 && s.last_sequence == 22 && !s.closed);
}

static void golden__the_closed_manifest_is_read(void)
{
    struct manifest_state s;
    manifest_check(GOLDEN_DIR "/MANIFEST-000007-closed.hex", &s);
    EXPECT(s.next_file == 13 && s.last_sequence == 30 && s.closed);
    EXPECT(s.closed_at == 0xe6 && s.size == s.closed_at + WALFMT_FRAG + MANIFEST_CLOSED);
    EXPECT(s.closing.log == 12 && s.closing.log_size == 112);
    EXPECT(s.closing.log_epoch == 0x55667788 && s.epoch == 0x11223344);
    EXPECT(s.snapshot == 0xa2);
}

static void golden__the_log_is_read(void)
{
    struct tmpdir t;
    char bytes[4096];
    struct walread r;
    struct walread_record record;
    const uint8_t types[] = {WALFMT_HEADER, WALFMT_MARK, WALFMT_FULL, WALFMT_FULL, WALFMT_NONE};
    const uint64_t sequences[] = {0, 0, 1, 2, 0};
    const uint64_t synced[] = {0, 0, 112, 157, 0};
    tmpdir_make(&t);
    size_t size = hex_read(GOLDEN_DIR "/000001.log.hex", bytes, sizeof bytes);
    tmpdir_write(&t, "log", bytes, size);
    EXPECT(walread_open(&r, t.env, "log", 1, UINT64_MAX) == ST_OK);
    for (int i = 0; i < 5; i++) {
        uint32_t count;
        EXPECT(walread_next(&r, &record) == ST_OK);
        EXPECT(record.type == types[i]);
        EXPECT(record.sequence == sequences[i]);
        EXPECT(record.synced == synced[i]);
        EXPECT(record.type != WALFMT_FULL || batch_check(record.data, &count) == ST_OK);
    }
    walread_close(&r);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(golden__the_log_is_written_byte_for_byte);
    RUN(golden__the_log_is_read);
    RUN(golden__the_manifest_is_written_byte_for_byte);
    RUN(golden__the_manifest_is_read);
    RUN(golden__a_closed_manifest_is_written_byte_for_byte);
    RUN(golden__the_closed_manifest_is_read);
})
