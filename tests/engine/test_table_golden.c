/* test_table_golden.c - the table of docs/format-table.md is written byte for byte, and read.
 *
 * With TKV_GOLDEN_WRITE set in the environment its bytes are printed instead. */
#include "engine/blockcache.h"
#include "engine/table_cursor.h"
#include "engine/tablewrite.h"
#include "tests/engine/onefile.h"
#include "tests/tap.h"

#include <stdlib.h>

#ifndef GOLDEN_DIR
#define GOLDEN_DIR "seeds/golden"
#endif

static const struct order bytewise = {NULL};

static const struct {
    const char *key;
    uint64_t sequence;
    const char *value; /* NULL: a delete */
} example[] = {{"apple", 9, "red"}, {"apple", 2, NULL}, {"apply", 300, ""}, {"pear", 5, "green"}};

#define COUNT (sizeof example / sizeof example[0])

static struct entry entry_of(size_t i)
{
    struct entry e = {slice_text(example[i].key), example[i].sequence, {NULL, 0}, BATCH_DELETE};
    if (example[i].value != NULL) {
        e.type = BATCH_PUT;
        e.value = slice_text(example[i].value);
    }
    return e;
}

static void write_example(struct onefile *f, struct table_info *info)
{
    struct tablewrite_options o = {.env = &f->te.env,
                                   .order = bytewise,
                                   .number = 12,
                                   .block_bytes = 64,
                                   .filter_bits = 10,
                                   .compression = TABLEFMT_RAW};
    struct tomb tomb = {slice_text("b"), slice_text("c"), 7};
    struct tomb_set *set;
    struct tablewrite w;
    EXPECT(tablewrite_open(&w, &o, "000012.sst") == ST_OK);
    for (size_t i = 0; i < COUNT; i++) {
        struct entry e = entry_of(i);
        EXPECT(tablewrite_add(&w, &e) == ST_OK);
    }
    EXPECT(tomb_set_new(&f->te.env.mem, bytewise, &tomb, 1, &set) == ST_OK);
    EXPECT(tablewrite_add_tombs(&w, set) == ST_OK);
    EXPECT(tablewrite_finish(&w, info) == ST_OK);
    tomb_set_free(set);
    tablewrite_release(&w);
}

static size_t hex_read(unsigned char *bytes, size_t cap)
{
    FILE *f = fopen(GOLDEN_DIR "/000012.sst.hex", "r");
    size_t n = 0;
    unsigned v;
    if (f == NULL) {
        return 0;
    }
    while (n < cap && fscanf(f, "%2x", &v) == 1) {
        bytes[n++] = (unsigned char)v;
    }
    (void)fclose(f); /* it was only read */
    return n;
}

static void golden__the_table_is_written_byte_for_byte(void)
{
    struct onefile f;
    struct table_info info;
    unsigned char want[4096];
    onefile_init(&f);
    write_example(&f, &info);
    if (getenv("TKV_GOLDEN_WRITE") != NULL) {
        for (size_t i = 0; i < f.size; i++) {
            printf("%s%02x", i % 16 == 0 ? "\n" : " ", f.data[i]);
        }
        printf("\n");
    }
    size_t n = hex_read(want, sizeof want);
    EXPECT(n == f.size && memcmp(want, f.data, n) == 0);
    EXPECT(info.size == f.size);
    onefile_release(&f);
}

static void golden__the_table_is_read(void)
{
    struct onefile f;
    unsigned char bytes[4096];
    struct table *t = NULL;
    struct table_cursor c;
    struct err err = {{0}};
    size_t i = 0;
    onefile_init(&f);
    onefile_set(&f, bytes, hex_read(bytes, sizeof bytes));
    struct table_env te = {&f.te.env, bytewise, NULL, NULL, NULL};
    struct table_info expect = {.number = 12};
    enum status st = table_open(&te, "000012.sst", &expect, &t, &err);
    EXPECT(st == ST_OK);
    if (st != ST_OK) {
        printf("# %s\n", err.text);
        return;
    }
    EXPECT(table_verify(t, NULL, &err) == ST_OK);
    table_cursor_init(&c, t, 0);
    for (table_cursor_first(&c); c.valid; table_cursor_next(&c)) {
        struct entry e = entry_of(i++);
        EXPECT(slice_equal(c.entry.key, e.key) && slice_equal(c.entry.value, e.value));
        EXPECT(c.entry.sequence == e.sequence && c.entry.type == e.type);
    }
    EXPECT(i == COUNT);
    EXPECT(tomb_set_cover(table_tombs(t), slice_text("b"), 7) == 7);
    EXPECT(slice_equal(table_info(t)->least, slice_text("apple")));
    EXPECT(slice_equal(table_info(t)->most, slice_text("pear")));
    table_cursor_release(&c);
    table_unref(t);
    onefile_release(&f);
}

TAP_MAIN({
    RUN(golden__the_table_is_written_byte_for_byte);
    RUN(golden__the_table_is_read);
})
