/* fuzz_table.c - any bytes as a table: whatever is asked ends in an answer or an error, the same
 * with short reads, and nothing is left behind.
 *
 * A fuzzer cannot guess a checksum. So the last bytes of an input are taken for a footer, and when
 * its parts fit, the checksums of all blocks that it and the index tell are put right. */
#include "base/ck.h"
#include "base/hash.h"
#include "engine/blockcache.h"
#include "engine/table_cursor.h"
#include "engine/table_impl.h"
#include "engine/tabledump.h"
#include "tests/engine/onefile.h"
#include "tests/fuzz/fuzz_target.h"

#include "base/crc32c.h"
#include <stdlib.h>

#define NUMBER 12

static void seal(unsigned char *p, uint64_t size, uint64_t offset)
{
    if (size >= TABLEFMT_TRAIL) {
        (void)tablefmt_seal(false, (char *)p + offset, (size_t)size - TABLEFMT_TRAIL,
                            p[offset + size - TABLEFMT_TRAIL], NUMBER, offset);
    }
}

/* Data blocks, as the index has them. Opening checks no CRC of theirs, so it tells them. */
static void seal_data(struct onefile *f)
{
    struct table_env te = {.env = &f->te.env};
    struct table_info expect = {.number = NUMBER};
    struct table *t;
    if (table_open_any(&te, "table", &expect, true, &t, NULL) == ST_OK) {
        for (uint32_t i = 0; i < t->index.count; i++) {
            seal(f->data, t->index.offsets[i + 1] - t->index.offsets[i], t->index.offsets[i]);
        }
        table_unref(t);
    }
}

static void repair(struct onefile *f)
{
    if (f->size < TABLEFMT_FOOTER) {
        return;
    }
    struct tablefmt_footer foot;
    char *p = (char *)f->data + f->size - TABLEFMT_FOOTER;
    code_put64(p, NUMBER);
    code_put32(p + 52, TABLEFMT_VERSION);
    code_put64(p + 56, TABLEFMT_MAGIC);
    code_put32(p + 64, crc32c(0, p, 64));
    if (tablefmt_get_footer(p, NUMBER, f->size, &foot) != ST_OK) {
        return;
    }
    uint64_t at = foot.data;
    const uint64_t parts[] = {foot.filter, foot.tombs, foot.index, foot.props};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        seal(f->data, parts[i], at);
        at += parts[i];
    }
    seal_data(f);
}

static void take(void *arg, const char *line)
{
    uint64_t *h = arg;
    *h = hash_bytes(*h, line, strlen(line));
}

static uint64_t add_entry(uint64_t h, const struct entry *e)
{
    h = hash_add(hash_add(h, e->sequence), e->type);
    h = hash_bytes(h, e->key.data, e->key.size);
    return hash_bytes(h, e->value.data, e->value.size);
}

static uint64_t walk(struct table *t, unsigned flags, uint64_t h)
{
    struct table_cursor c;
    int left = 3000;
    table_cursor_init(&c, t, flags);
    for (table_cursor_first(&c); c.valid && left-- > 0; table_cursor_next(&c)) {
        struct table_hit hit;
        h = add_entry(h, &c.entry);
        if (left % 16 == 0 && table_get(t, c.entry.key, c.entry.sequence, 0, &hit, NULL) == ST_OK) {
            h = add_entry(h, &hit.entry);
            block_unref(hit.block);
        }
    }
    h = hash_add(h, (uint64_t)c.st);
    for (table_cursor_last(&c); c.valid && left-- > -3000; table_cursor_prev(&c)) {
        h = add_entry(h, &c.entry);
    }
    for (unsigned i = 0; i < 256; i += 17) {
        char key[2] = {(char)i, 'p'};
        table_cursor_seek(&c, slice_of(key, i % 3), i);
        h = c.valid ? add_entry(h, &c.entry) : hash_add(h, (uint64_t)c.st);
        table_cursor_seek_before(&c, slice_of(key, i % 3), i);
        h = c.valid ? add_entry(h, &c.entry) : hash_add(h, (uint64_t)c.st);
    }
    table_cursor_release(&c);
    return h;
}

static uint64_t read_all(struct onefile *f)
{
    struct table_env te = {.env = &f->te.env};
    struct table_info expect = {.number = NUMBER};
    struct table *t;
    struct err err;
    uint64_t h = 0;
    enum status st = table_open(&te, "table", &expect, &t, &err);
    CK(st == ST_OK || st == ST_CORRUPT || st == ST_INVAL);
    if (st == ST_OK) {
        h = walk(t, TABLE_SCAN, h);
        h = walk(t, TABLE_NO_FILL, h);
        st = table_verify(t, NULL, &err);
        CK(st == ST_OK || st == ST_CORRUPT);
        table_unref(t);
    }
    h = hash_add(h, (uint64_t)tabledump_file(&f->te.env, "table", NUMBER, take, &h, &err));
    CK(f->te.live == 0);
    CK(f->te.descriptors == 0);
    return hash_add(h, (uint64_t)st);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct onefile f;
    if (size > 1u << 16) {
        return 0;
    }
    onefile_init(&f);
    onefile_set(&f, data, size);
    repair(&f);
    uint64_t whole = read_all(&f);
    f.te.io_max = 7;
    CK(read_all(&f) == whole);
    onefile_release(&f);
    return 0;
}
