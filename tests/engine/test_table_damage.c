/* test_table_damage.c - a table whose bytes lie, whose disk fails, and that gets no memory. */
#include "base/code.h"
#include "base/crc32c.h"
#include "engine/blockcache.h"
#include "engine/table_cursor.h"
#include "engine/tabledump.h"
#include "engine/tablewrite.h"
#include "tests/engine/onefile.h"
#include "tests/tap.h"

#include <stdlib.h>

#define NUMBER 5
#define KEYS   90

static const struct order bytewise = {NULL};

/* Entry i of the table that all tests use; its bytes lie in the two buffers. Keys 30..39 are
 * versions of one, so that they lie in several blocks. */
static struct entry entry_of(unsigned i, char key[64], char value[64])
{
    unsigned k = i / 10 == 3 ? 30 : i;
    int n = snprintf(key, 64, "prefix-%05u%s", k, k % 4 == 0 ? "-and-a-tail" : "");
    struct entry e = {slice_of(key, (size_t)n), 500 - i, {NULL, 0}, BATCH_DELETE};
    if (i % 7 != 3) {
        e.type = BATCH_PUT;
        e.value = slice_of(value, (size_t)snprintf(value, 64, "value value value %u", i));
    }
    return e;
}

static struct tablewrite_options options(struct onefile *f, uint8_t compression)
{
    return (struct tablewrite_options){.env = &f->te.env,
                                       .order = bytewise,
                                       .number = NUMBER,
                                       .block_bytes = 256,
                                       .filter_bits = 10,
                                       .prefix_bytes = 6,
                                       .compression = compression};
}

static enum status write_tombs(struct onefile *f, struct tablewrite *w)
{
    const struct tomb tombs[] = {{slice_text("a"), slice_text("c"), 3},
                                 {slice_text("b"), slice_text("z"), 900}};
    struct tomb_set *set = NULL;
    enum status st = tomb_set_new(&f->te.env.mem, bytewise, tombs, 2, &set);
    if (st == ST_OK) {
        st = tablewrite_add_tombs(w, set);
    }
    tomb_set_free(set);
    return st;
}

static enum status write_table(struct onefile *f, uint8_t compression, struct table_info *info)
{
    struct tablewrite w = {NULL};
    struct tablewrite_options o = options(f, compression);
    char key[64];
    char value[64];
    f->size = 0;
    enum status st = tablewrite_open(&w, &o, "table");
    for (unsigned i = 0; i < KEYS && st == ST_OK; i++) {
        struct entry e = entry_of(i, key, value);
        st = tablewrite_add(&w, &e);
    }
    if (st == ST_OK) {
        st = write_tombs(f, &w);
    }
    if (st == ST_OK) {
        st = tablewrite_finish(&w, info);
        info->least = slice_text("a");
        info->most = slice_text("z");
    }
    tablewrite_release(&w);
    return st;
}

static bool same(const struct entry *a, const struct entry *b)
{
    return slice_equal(a->key, b->key) && slice_equal(a->value, b->value) &&
           a->sequence == b->sequence && a->type == b->type;
}

/* Every read is right or an error. True: there was an error. */
static bool reads_noticed(struct table *t)
{
    bool noticed = false;
    char key[64];
    char value[64];
    struct table_cursor c;
    unsigned i = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        struct entry e = entry_of(k, key, value);
        struct table_hit hit;
        struct err err = {{0}};
        char bytes[1000];
        struct table_room room = {0, bytes, sizeof bytes};
        struct table_ask ask = {e.key, table_hash(e.key), e.sequence, 0, k % 2 == 0 ? &room : NULL};
        enum status st = table_find(t, &ask, &hit, &err);
        EXPECT(st != ST_NOENT);
        if (st == ST_OK) {
            EXPECT(same(&hit.entry, &e));
            block_unref(hit.block);
        } else {
            EXPECT(strstr(err.text, "table: ") == err.text && strstr(err.text, " at ") != NULL);
            noticed = true;
        }
    }
    table_cursor_init(&c, t, TABLE_SCAN);
    for (table_cursor_first(&c); c.valid; table_cursor_next(&c)) {
        struct entry e = entry_of(i++, key, value);
        EXPECT(same(&c.entry, &e));
    }
    EXPECT((c.st == ST_OK) == (i == KEYS));
    noticed = noticed || c.st != ST_OK;
    table_cursor_release(&c);
    return noticed;
}

static void flip_every_byte(uint8_t compression)
{
    struct onefile f;
    struct table_info info;
    onefile_init(&f);
    EXPECT(write_table(&f, compression, &info) == ST_OK);
    EXPECT(f.size == info.size);
    struct table_env te = {&f.te.env, bytewise, NULL, NULL, NULL};
    long opened = 0;
    for (size_t i = 0; i < f.size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct table *t = NULL;
            struct err err;
            f.data[i] ^= (unsigned char)(1u << bit);
            enum status st = table_open(&te, "table", &info, &t, &err);
            if (st == ST_OK) {
                opened++;
                EXPECT(reads_noticed(t));
                EXPECT(table_verify(t, &info, &err) == ST_CORRUPT);
                EXPECT(strstr(err.text, "table: ") == err.text);
                table_unref(t);
            } else {
                EXPECT(st == ST_CORRUPT);
            }
            f.data[i] ^= (unsigned char)(1u << bit);
        }
    }
    EXPECT(opened > 0 && opened < (long)f.size * 8);
    EXPECT(f.te.live == 0 && f.te.descriptors == 0);
    onefile_release(&f);
}

static void table__every_flipped_bit_is_noticed(void)
{
    flip_every_byte(TABLEFMT_RAW);
    flip_every_byte(TABLEFMT_LZ4);
}

/* Damage behind an open table's back: verify looks at the disk again, all of it. */
static void table__verify_reads_the_file_again(void)
{
    struct onefile f;
    struct table_info info;
    struct table *t;
    struct err err;
    onefile_init(&f);
    EXPECT(write_table(&f, TABLEFMT_RAW, &info) == ST_OK);
    struct table_env te = {&f.te.env, bytewise, NULL, NULL, NULL};
    EXPECT(table_open(&te, "table", &info, &t, &err) == ST_OK);
    EXPECT(table_verify(t, &info, &err) == ST_OK);
    for (size_t i = 0; i < f.size; i++) {
        f.data[i] ^= 0x10;
        EXPECT(table_verify(t, &info, &err) == ST_CORRUPT);
        f.data[i] ^= 0x10;
    }
    f.size--;
    EXPECT(table_verify(t, &info, &err) == ST_CORRUPT);
    f.size++;
    EXPECT(table_verify(t, &info, &err) == ST_OK);
    info.entries++;
    EXPECT(table_verify(t, &info, &err) == ST_CORRUPT);
    info.entries--;
    info.most = slice_text("y");
    EXPECT(table_verify(t, &info, &err) == ST_CORRUPT);
    table_unref(t);
    onefile_release(&f);
}

static void table__wrong_size_number_check_or_version(void)
{
    struct onefile f;
    struct table_info info;
    struct table *t;
    struct err err;
    onefile_init(&f);
    EXPECT(write_table(&f, TABLEFMT_LZ4, &info) == ST_OK);
    struct table_env te = {&f.te.env, bytewise, NULL, NULL, NULL};
    struct table_info other = info;
    other.number++;
    EXPECT(table_open(&te, "table", &other, &t, &err) == ST_CORRUPT);
    other = info;
    other.check++;
    EXPECT(table_open(&te, "table", &other, &t, &err) == ST_CORRUPT);
    other = info;
    other.size++;
    EXPECT(table_open(&te, "table", &other, &t, &err) == ST_CORRUPT);
    EXPECT(strstr(err.text, "expected") != NULL);
    for (size_t cut = 0; cut < f.size; cut++) {
        struct onefile part;
        onefile_init(&part);
        onefile_set(&part, f.data, cut);
        struct table_env pe = {&part.te.env, bytewise, NULL, NULL, NULL};
        other = (struct table_info){.number = NUMBER};
        EXPECT(table_open(&pe, "table", &other, &t, &err) == ST_CORRUPT);
        onefile_release(&part);
    }
    unsigned char *footer = f.data + f.size - TABLEFMT_FOOTER;
    code_put32(footer + 48, info.check + 1); /* well formed, but not what the blocks give */
    code_put32(footer + 64, crc32c(0, footer, 64));
    other = (struct table_info){.number = NUMBER};
    EXPECT(table_open(&te, "table", &other, &t, &err) == ST_OK);
    EXPECT(table_verify(t, NULL, &err) == ST_CORRUPT);
    EXPECT(strstr(err.text, "check is") != NULL);
    table_unref(t);
    code_put32(footer + 48, info.check);
    code_put32(footer + 52, TABLEFMT_VERSION + 1);
    code_put32(footer + 64, crc32c(0, footer, 64));
    EXPECT(table_open(&te, "table", &info, &t, &err) == ST_UNSUPPORTED);
    EXPECT(f.te.live == 0 && f.te.descriptors == 0);
    onefile_release(&f);
}

/* Writes, opens and reads; any status but wrong data. */
static enum status whole_life(struct onefile *f, struct blockcache *cache, unsigned flags)
{
    struct table_info info;
    struct table *t = NULL;
    struct table_cursor c;
    char key[64];
    char value[64];
    unsigned i = 0;
    enum status st = write_table(f, TABLEFMT_LZ4, &info);
    struct table_env te = {&f->te.env, bytewise, cache, NULL, NULL};
    if (st == ST_OK) {
        st = table_open(&te, "table", &info, &t, NULL);
    }
    if (st != ST_OK) {
        return st;
    }
    for (unsigned k = 0; k < KEYS && st == ST_OK; k += 5) {
        struct table_hit hit;
        struct entry e = entry_of(k, key, value);
        st = table_get(t, e.key, e.sequence, 0, &hit, NULL);
        EXPECT(st != ST_NOENT);
        if (st == ST_OK) {
            EXPECT(same(&hit.entry, &e));
            block_unref(hit.block);
        }
    }
    table_cursor_init(&c, t, flags);
    for (table_cursor_first(&c); c.valid; table_cursor_next(&c)) {
        struct entry e = entry_of(i++, key, value);
        EXPECT(same(&c.entry, &e));
    }
    EXPECT((c.st == ST_OK) == (i == KEYS));
    st = st == ST_OK ? c.st : st;
    if (st == ST_OK) {
        table_cursor_seek_before(&c, slice_text("q"), 0);
        EXPECT(c.valid || c.st != ST_OK);
        st = c.st;
    }
    if (st == ST_OK) {
        st = table_verify(t, &info, NULL);
    }
    table_cursor_release(&c);
    table_unref(t);
    return st;
}

static void table__refused_allocations(void)
{
    for (long n = 0;; n++) {
        struct onefile f;
        onefile_init(&f);
        f.te.fail_at = n;
        enum status st = whole_life(&f, NULL, n % 2 == 0 ? 0 : TABLE_SCAN);
        bool reached = f.te.allocs > n;
        EXPECT(st == (reached ? ST_NOMEM : ST_OK));
        EXPECT(f.te.live == 0);
        EXPECT(f.te.descriptors == 0);
        onefile_release(&f);
        if (!reached) {
            break;
        }
    }
}

static void table__failing_calls_and_short_io(void)
{
    struct onefile f;
    for (long n = 0;; n++) {
        onefile_init(&f);
        f.fail_at = n;
        enum status st = whole_life(&f, NULL, TABLE_SCAN);
        bool reached = f.calls > n;
        EXPECT(st == (reached ? ST_IO : ST_OK));
        EXPECT(f.te.live == 0 && f.te.descriptors == 0);
        onefile_release(&f);
        if (!reached) {
            break;
        }
    }
    for (long n = 0;; n++) { /* what is read ahead may fail without harm */
        onefile_init(&f);
        f.fail_at = n;
        enum status st = whole_life(&f, NULL, 0);
        bool reached = f.calls > n;
        EXPECT(st == ST_OK || (reached && st == ST_IO));
        EXPECT(f.te.live == 0 && f.te.descriptors == 0);
        onefile_release(&f);
        if (!reached) {
            break;
        }
    }
    for (size_t most = 1; most < 200; most += 13) {
        onefile_init(&f);
        f.te.io_max = most;
        EXPECT(whole_life(&f, NULL, 0) == ST_OK);
        onefile_release(&f);
    }
}

/* A get that leaves the block where the caller says: right in a room of any size, packed or not,
 * and damage is seen there too. */
static void table__a_glance_is_as_good_as_a_block(void)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct onefile f;
        struct table_info info;
        struct table *t;
        char key[64], value[64], bytes[400];
        onefile_init(&f);
        EXPECT(write_table(&f, packed ? TABLEFMT_LZ4 : TABLEFMT_RAW, &info) == ST_OK);
        struct table_env te = {&f.te.env, bytewise, NULL, NULL, NULL};
        EXPECT(table_open(&te, "table", &info, &t, NULL) == ST_OK);
        unsigned glanced = 0, owned = 0;
        for (size_t size = 0; size <= sizeof bytes; size += 50) {
            struct table_room room = {0, bytes, size};
            for (unsigned k = 0; k < KEYS; k += 3) {
                struct table_hit hit;
                struct entry e = entry_of(k, key, value);
                struct table_ask ask = {e.key, table_hash(e.key), e.sequence, 0, &room};
                EXPECT(table_find(t, &ask, &hit, NULL) == ST_OK && same(&hit.entry, &e));
                glanced += hit.block == NULL;
                owned += hit.block != NULL;
                block_unref(hit.block);
            }
        }
        EXPECT(glanced > 0 && owned > 0);
        table_unref(t);
        onefile_release(&f);
    }
}

static void table__range_tombs_come_back(void)
{
    struct onefile f;
    struct table_info info;
    struct table *t;
    onefile_init(&f);
    EXPECT(write_table(&f, TABLEFMT_LZ4, &info) == ST_OK);
    EXPECT(info.tombs == 3 && info.most_open && info.sequence_max == 900 && info.sequence_min == 3);
    struct table_env te = {&f.te.env, bytewise, NULL, NULL, NULL};
    EXPECT(table_open(&te, "table", &info, &t, NULL) == ST_OK);
    EXPECT(tomb_set_count(table_tombs(t)) == 3);
    EXPECT(tomb_set_cover(table_tombs(t), slice_text("b"), 1000) == 900);
    EXPECT(tomb_set_cover(table_tombs(t), slice_text("b"), 800) == 3);
    EXPECT(slice_equal(table_info(t)->least, slice_text("a")));
    EXPECT(slice_equal(table_info(t)->most, slice_text("z")));
    EXPECT(table_info(t)->most_open);
    EXPECT(table_memory(t) > 0);
    EXPECT(table_may_have_prefix(t, slice_text("prefix-000")));
    EXPECT(!table_may_have_prefix(t, slice_text("suffix-000")));
    EXPECT(table_may_have_prefix(t, slice_text("suff"))); /* too short to tell */
    EXPECT(table_offset(t, slice_text("a")) == 0);
    EXPECT(table_offset(t, slice_text("q")) > table_offset(t, slice_text("prefix-00040")));
    table_unref(t);
    onefile_release(&f);
}

static void table__only_range_tombs(void)
{
    struct onefile f;
    struct tablewrite w;
    struct table_info info;
    struct table *t;
    struct table_hit hit;
    struct table_cursor c;
    onefile_init(&f);
    struct tablewrite_options o = options(&f, TABLEFMT_RAW);
    EXPECT(tablewrite_open(&w, &o, "table") == ST_OK);
    EXPECT(write_tombs(&f, &w) == ST_OK);
    EXPECT(tablewrite_count(&w) == 3);
    EXPECT(tablewrite_finish(&w, &info) == ST_OK);
    EXPECT(slice_equal(info.least, slice_text("a")) && slice_equal(info.most, slice_text("z")));
    struct table_env te = {&f.te.env, bytewise, NULL, NULL, NULL};
    EXPECT(table_open(&te, "table", &info, &t, NULL) == ST_OK);
    EXPECT(table_verify(t, &info, NULL) == ST_OK);
    EXPECT(table_get(t, slice_text("b"), 5, 0, &hit, NULL) == ST_NOENT);
    table_cursor_init(&c, t, 0);
    table_cursor_first(&c);
    EXPECT(!c.valid && c.st == ST_OK);
    table_cursor_last(&c);
    EXPECT(!c.valid && c.st == ST_OK);
    table_cursor_seek(&c, slice_text("b"), 1);
    EXPECT(!c.valid && c.st == ST_OK);
    table_cursor_seek_before(&c, slice_text("b"), 1);
    EXPECT(!c.valid && c.st == ST_OK);
    table_cursor_release(&c);
    table_unref(t);
    tablewrite_release(&w);
    onefile_release(&f);
}

struct lines {
    long count, damaged, puts;
};

static void take(void *arg, const char *line)
{
    struct lines *l = arg;
    l->count++;
    l->damaged += strstr(line, "damaged") != NULL;
    l->puts += strstr(line, " put 'prefix-") != NULL;
}

static void dump__shows_entries_and_steps_over_damage(void)
{
    struct onefile f;
    struct table_info info;
    struct lines l = {0};
    struct err err = {{0}};
    onefile_init(&f);
    EXPECT(write_table(&f, TABLEFMT_LZ4, &info) == ST_OK);
    EXPECT(tabledump_file(&f.te.env, "table", NUMBER, take, &l, &err) == ST_OK);
    EXPECT(l.damaged == 0 && l.puts == (long)(info.entries - info.deletes));
    f.data[10] ^= 1;
    struct lines less = {0};
    EXPECT(tabledump_file(&f.te.env, "table", NUMBER, take, &less, &err) == ST_CORRUPT);
    EXPECT(less.damaged == 1 && less.puts > 0 && less.puts < l.puts);
    EXPECT(strstr(err.text, "block at 0") != NULL);
    EXPECT(f.te.live == 0);
    onefile_release(&f);
}

TAP_MAIN({
    RUN(table__every_flipped_bit_is_noticed);
    RUN(table__verify_reads_the_file_again);
    RUN(table__wrong_size_number_check_or_version);
    RUN(table__refused_allocations);
    RUN(table__failing_calls_and_short_io);
    RUN(table__a_glance_is_as_good_as_a_block);
    RUN(table__range_tombs_come_back);
    RUN(table__only_range_tombs);
    RUN(dump__shows_entries_and_steps_over_damage);
})
