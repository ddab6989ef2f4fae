/* test_golden.c - a log that a released version wrote is read, and written again byte for byte.
 *
 * argv[1] of the program is not used: the file is found by GOLDEN_DIR. With TKV_GOLDEN_WRITE set in
 * the environment the example of docs/format-wal.md is printed instead. */
#include "engine/batch.h"
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
    struct walfmt_head head = {WALFMT_LOG_MAGIC, WALFMT_VERSION, 1, 0, 0, 0};
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

static size_t hex_read(char *bytes, size_t cap)
{
    FILE *f = fopen(GOLDEN_DIR "/000001.log.hex", "r");
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

static void golden__the_example_is_written_byte_for_byte(void)
{
    struct tmpdir t;
    char want[4096];
    size_t size;
    tmpdir_make(&t);
    example_write(&t);
    char *got = tmpdir_read(&t, "log", &size);
    if (getenv("TKV_GOLDEN_WRITE") != NULL) {
        for (size_t i = 0; i < size; i++) {
            printf("%s%02x", i % 16 == 0 ? "\n# " : " ", (unsigned char)got[i]);
        }
        printf("\n");
    }
    size_t n = hex_read(want, sizeof want);
    EXPECT(n == size);
    EXPECT(n == size && memcmp(got, want, n) == 0);
    free(got);
    tmpdir_remove(&t);
}

static void golden__the_example_is_read(void)
{
    struct tmpdir t;
    char bytes[4096];
    struct walread r;
    struct walread_record record;
    const uint8_t types[] = {WALFMT_HEADER, WALFMT_MARK, WALFMT_FULL, WALFMT_FULL, WALFMT_NONE};
    const uint64_t sequences[] = {0, 0, 1, 2, 0};
    const uint64_t synced[] = {0, 0, 112, 157, 0};
    tmpdir_make(&t);
    size_t size = hex_read(bytes, sizeof bytes);
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
    RUN(golden__the_example_is_written_byte_for_byte);
    RUN(golden__the_example_is_read);
})
