/* test_wal.c - records into fragments and back: sizes around every boundary, every cut, every flip.
 */
#include "base/code.h"
#include "base/prng.h"
#include "engine/wal.h"
#include "engine/walread.h"
#include "fault/inject.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define NUMBER ((uint64_t)7)

static const struct walfmt_head header = {
    WALFMT_LOG_MAGIC, WALFMT_VERSION, NUMBER, 5, 4711, 3, 77,
};

/* The bytes of record i are its own, so that none can pass for another. */
static char *record_bytes(int i, size_t size)
{
    struct prng p = {(uint64_t)i};
    char *bytes = malloc(size + 1);
    for (size_t k = 0; k < size; k++) {
        bytes[k] = (char)prng_next(&p);
    }
    return bytes;
}

/* Writes a log of records of these sizes; synced after record `sync_after` (-1: never). ends[i],
 * when wanted, is the offset behind record i. */
static void log_write(struct env *env, const char *path, uint64_t number, const size_t *sizes,
                      int count, int sync_after, uint64_t *ends)
{
    struct wal w;
    struct walfmt_head h = header;
    h.number = number;
    EXPECT(wal_init(&w, env) == ST_OK);
    EXPECT(wal_create(&w, path, &h) == ST_OK);
    EXPECT(wal_append_mark(&w) == ST_OK);
    for (int i = 0; i < count; i++) {
        char *bytes = record_bytes(i, sizes[i]);
        struct env_slice parts[2] = {{bytes, sizes[i] / 3},
                                     {bytes + sizes[i] / 3, sizes[i] - sizes[i] / 3}};
        EXPECT(wal_append(&w, (uint64_t)i + 1, parts, 2) == ST_OK);
        if (ends != NULL) {
            ends[i] = w.size;
        }
        if (i == sync_after) {
            EXPECT(wal_sync(&w) == ST_OK);
            EXPECT(w.synced == w.size);
        }
        free(bytes);
    }
    EXPECT(wal_flush(&w) == ST_OK);
    wal_release(&w);
}

struct result {
    int records; /* that came out, right and in order */
    uint64_t damage;
    enum status st;
    bool evidence;
};

static struct result log_read(struct env *env, const char *path, uint64_t number, uint64_t limit,
                              const size_t *sizes)
{
    struct result res = {0};
    struct walread r;
    struct walread_record record = {.type = WALFMT_HEADER};
    res.st = walread_open(&r, env, path, number, limit);
    while (res.st == ST_OK && record.type != WALFMT_NONE) {
        res.st = walread_next(&r, &record);
        if (res.st == ST_OK && record.type == WALFMT_FULL) {
            char *bytes = record_bytes(res.records, sizes[res.records]);
            EXPECT(record.sequence == (uint64_t)res.records + 1);
            EXPECT(slice_equal(record.data, slice_of(bytes, sizes[res.records])));
            free(bytes);
            res.records++;
        }
    }
    res.damage = r.damage;
    if (res.st == ST_CORRUPT) {
        EXPECT(walread_evidence(&r, &res.evidence) == ST_OK);
    }
    walread_close(&r);
    walread_close(&r);
    return res;
}

static void wal__records_of_every_awkward_size_come_back(void)
{
    struct tmpdir t;
    tmpdir_make(&t);
    /* the first record fills the first block up to d bytes before its end or beyond */
    const size_t opening = 2 * WALFMT_FRAG + WALFMT_HEAD;
    for (int d = -70; d <= 70; d++) {
        size_t fill = WALFMT_BLOCK - opening - WALFMT_FRAG;
        size_t sizes[] = {(size_t)((long)fill + d), 0, 1, WALFMT_PAYLOAD_MAX, 33};
        char path[32];
        (void)snprintf(path, sizeof path, "%d.log", d + 100);
        log_write(t.env, path, NUMBER, sizes, 5, -1, NULL);
        struct result r = log_read(t.env, path, NUMBER, UINT64_MAX, sizes);
        EXPECT(r.st == ST_OK);
        EXPECT(r.records == 5);
    }
    size_t large[] = {3, 10 * WALFMT_BLOCK + 17, 5};
    log_write(t.env, "large", NUMBER, large, 3, 1, NULL);
    struct result r = log_read(t.env, "large", NUMBER, UINT64_MAX, large);
    EXPECT(r.st == ST_OK && r.records == 3);
    tmpdir_remove(&t);
}

static void wal__cut_anywhere_gives_the_whole_records_before(void)
{
    struct tmpdir t;
    size_t sizes[] = {10, 0, WALFMT_BLOCK - 400, 300, WALFMT_BLOCK, 20};
    uint64_t ends[6];
    size_t size;
    tmpdir_make(&t);
    log_write(t.env, "log", NUMBER, sizes, 6, -1, ends);
    char *bytes = tmpdir_read(&t, "log", &size);
    for (size_t n = 0; n <= size; n += n < 500 || n % 4096 > 4000 || n + 200 > size ? 1 : 97) {
        int whole = 0;
        while (whole < 6 && ends[whole] <= n) {
            whole++;
        }
        tmpdir_write(&t, "cut", bytes, n);
        struct result r = log_read(t.env, "cut", NUMBER, UINT64_MAX, sizes);
        EXPECT(r.records == whole);
        EXPECT(r.st == ST_OK || (r.st == ST_CORRUPT && !r.evidence));
        EXPECT(r.st == ST_OK || r.damage <= n);
        /* the same when the file's right size is known: now it is damage, at its end */
        r = log_read(t.env, "cut", NUMBER, size, sizes);
        EXPECT(r.records == whole);
        EXPECT((r.st == ST_CORRUPT) == (n < size));
    }
    free(bytes);
    tmpdir_remove(&t);
}

/* Flips one bit of byte `at`; no record from there on comes out, and those before it do. */
static void flip_check(struct tmpdir *t, char *bytes, size_t size, size_t at, const size_t *sizes,
                       const uint64_t *ends, int count, uint64_t synced)
{
    bytes[at] = (char)(bytes[at] ^ 1 << at % 8);
    tmpdir_write(t, "flip", bytes, size);
    bytes[at] = (char)(bytes[at] ^ 1 << at % 8);
    int before = 0;
    while (before < count && ends[before] <= at) {
        before++;
    }
    struct result r = log_read(t->env, "flip", NUMBER, UINT64_MAX, sizes);
    if (r.st == ST_OK) {
        EXPECT(r.records == count); /* it was in a block's unused end */
        EXPECT(WALFMT_BLOCK - at % WALFMT_BLOCK < WALFMT_FRAG);
    } else {
        EXPECT(r.st == ST_CORRUPT);
        EXPECT(r.records == before);
        EXPECT(r.damage <= at);
        EXPECT(r.evidence == (at < synced));
    }
}

static void wal__any_flipped_bit_is_noticed_and_known_for_what_it_is(void)
{
    struct tmpdir t;
    /* the third record ends 20 bytes before the block does: there is an unused end */
    size_t sizes[] = {10, 300, WALFMT_BLOCK - 20 - 2 * WALFMT_FRAG - WALFMT_HEAD - 42 - 332 - 32,
                      40, 50,  60};
    uint64_t ends[6];
    size_t size;
    tmpdir_make(&t);
    log_write(t.env, "log", NUMBER, sizes, 6, 3, ends);
    EXPECT(ends[2] == WALFMT_BLOCK - 20);
    char *bytes = tmpdir_read(&t, "log", &size);
    for (size_t at = 0; at < size; at += at < 520 || at + 700 > size ? 1 : 509) {
        flip_check(&t, bytes, size, at, sizes, ends, 6, ends[3]);
    }
    free(bytes);
    tmpdir_remove(&t);
}

static void wal__zeros_behind_the_end_are_a_torn_tail(void)
{
    struct tmpdir t;
    size_t sizes[] = {10, 20};
    size_t size;
    tmpdir_make(&t);
    log_write(t.env, "log", NUMBER, sizes, 2, 1, NULL);
    char *bytes = tmpdir_read(&t, "log", &size);
    bytes = realloc(bytes, size + 3 * WALFMT_BLOCK);
    memset(bytes + size, 0, 3 * WALFMT_BLOCK);
    for (size_t extra = 1; extra < 3 * WALFMT_BLOCK; extra += 1021) {
        tmpdir_write(&t, "zeros", bytes, size + extra);
        struct result r = log_read(t.env, "zeros", NUMBER, UINT64_MAX, sizes);
        EXPECT(r.st == ST_CORRUPT && r.records == 2 && !r.evidence && r.damage == size);
    }
    tmpdir_write(&t, "only zeros", bytes + size, 5000);
    struct result r = log_read(t.env, "only zeros", NUMBER, UINT64_MAX, sizes);
    EXPECT(r.st == ST_CORRUPT && r.records == 0 && !r.evidence && r.damage == 0);
    free(bytes);
    tmpdir_remove(&t);
}

/* Bytes of another log (its number, or its epoch), or of another place of this one, are nothing. */
static void wal__leftovers_never_parse(void)
{
    struct tmpdir t;
    size_t sizes[] = {100, 100, 100, 100};
    uint64_t ends[4];
    size_t size, other_size;
    tmpdir_make(&t);
    log_write(t.env, "log", NUMBER, sizes, 4, -1, ends);
    char *bytes = tmpdir_read(&t, "log", &size);
    log_write(t.env, "number", NUMBER + ((uint64_t)1 << 32), sizes, 4, 1, NULL);
    log_write(t.env, "epoch", NUMBER, sizes, 4, 1, NULL);
    const char *others[] = {"number", "epoch"};
    for (int i = 0; i < 2; i++) {
        char *other = tmpdir_read(&t, others[i], &other_size);
        EXPECT(other_size == size);
        memcpy(other, bytes, ends[1]); /* two records of ours, then theirs at the same place */
        tmpdir_write(&t, "mixed", other, size);
        struct result r = log_read(t.env, "mixed", NUMBER, UINT64_MAX, sizes);
        EXPECT(r.st == ST_CORRUPT && r.records == 2 && r.damage == ends[1]);
        EXPECT(!r.evidence); /* nor is another log's fragment evidence of anything */
        free(other);
    }
    /* the third record again where the fourth was */
    memcpy(bytes + ends[2], bytes + ends[1], ends[2] - ends[1]);
    tmpdir_write(&t, "moved", bytes, size);
    struct result r = log_read(t.env, "moved", NUMBER, UINT64_MAX, sizes);
    EXPECT(r.st == ST_CORRUPT && r.records == 3 && r.damage == ends[2]);
    free(bytes);
    tmpdir_remove(&t);
}

/* A record comes out whole or not at all, also where its pieces are right by themselves. */
static void wal__a_record_without_all_its_fragments_is_none(void)
{
    struct tmpdir t;
    size_t sizes[] = {10, 3 * WALFMT_BLOCK + 1000, 10};
    uint64_t ends[3];
    size_t size;
    tmpdir_make(&t);
    log_write(t.env, "log", NUMBER, sizes, 3, -1, ends);
    char *bytes = tmpdir_read(&t, "log", &size);
    for (size_t block = 1; block <= 3; block++) {
        char *copy = malloc(size);
        memcpy(copy, bytes, size);
        memset(copy + block * WALFMT_BLOCK, 0, 512); /* a sector that did not get there */
        tmpdir_write(&t, "holed", copy, size);
        struct result r = log_read(t.env, "holed", NUMBER, UINT64_MAX, sizes);
        EXPECT(r.st == ST_CORRUPT && r.records == 1 && r.damage == block * WALFMT_BLOCK);
        EXPECT(!r.evidence);
        free(copy);
    }
    free(bytes);
    tmpdir_remove(&t);
}

static void wal__failures_are_told_and_nothing_is_synced_behind_them(void)
{
    struct tmpdir t;
    char value[100] = {0};
    tmpdir_make(&t);
    for (long n = 0; n < 5; n++) {
        struct inject in;
        struct inject_rule r;
        struct wal w;
        char path[32];
        inject_init(&in, t.env);
        inject_rule_init(&r);
        r.at = n;
        inject_add(&in, &r);
        (void)snprintf(path, sizeof path, "%ld", n);
        EXPECT(wal_init(&w, &in.env) == ST_OK);
        struct env_slice part = {value, sizeof value};
        enum status st = wal_create(&w, path, &header);
        st = st == ST_OK ? wal_append(&w, 1, &part, 1) : st;
        st = st == ST_OK ? wal_sync(&w) : st;
        st = st == ST_OK ? wal_append(&w, 2, &part, 1) : st;
        st = st == ST_OK ? wal_sync(&w) : st;
        EXPECT(st == ST_IO);
        EXPECT(wal_is_open(&w) == (n > 0));
        EXPECT(!wal_is_open(&w) || w.synced < w.size);
        wal_release(&w);
        EXPECT(in.live == 0 && in.descriptors == 0);
    }
    tmpdir_remove(&t);
}

static void walfmt__header_says_what_was_put(void)
{
    char bytes[WALFMT_HEAD];
    struct walfmt_head h;
    walfmt_put_head(bytes, &header);
    struct slice s = slice_of(bytes, sizeof bytes);
    EXPECT(walfmt_get_head(s, WALFMT_LOG_MAGIC, NUMBER, &h) == ST_OK);
    EXPECT(h.number == NUMBER && h.a == 5 && h.b == 4711 && h.c == 3);
    EXPECT(walfmt_get_head(s, WALFMT_MANIFEST_MAGIC, NUMBER, &h) == ST_CORRUPT);
    EXPECT(walfmt_get_head(s, WALFMT_LOG_MAGIC, NUMBER + 1, &h) == ST_CORRUPT);
    EXPECT(walfmt_get_head(slice_of(bytes, 47), WALFMT_LOG_MAGIC, NUMBER, &h) == ST_CORRUPT);
    EXPECT(walfmt_get_head(slice_of(bytes, 8), WALFMT_LOG_MAGIC, NUMBER, &h) == ST_CORRUPT);
    code_put32(bytes + 8, WALFMT_VERSION + 1);
    EXPECT(walfmt_get_head(s, WALFMT_LOG_MAGIC, NUMBER, &h) == ST_UNSUPPORTED);
    code_put32(bytes + 8, 0);
    EXPECT(walfmt_get_head(s, WALFMT_LOG_MAGIC, NUMBER, &h) == ST_CORRUPT);
}

/* What an Env was told to write back. */
struct told {
    struct inject te; /* first: an Env is its told */
    uint64_t from;    /* of the last call */
    uint64_t to;      /* all calls together reach from 0 to here, without a gap */
    unsigned calls;
};

static enum status writeback_told(struct env *e, int fd, uint64_t offset, uint64_t size)
{
    struct told *t = (struct told *)(void *)e;
    (void)fd;
    EXPECT(offset == t->to);
    t->from = offset;
    t->to = offset + size;
    t->calls++;
    return ST_UNSUPPORTED; /* a hint only */
}

/* So that the sync that ends a log of many megabytes has little left to wait for. */
static void wal__a_long_log_goes_to_the_medium_as_it_grows(void)
{
    struct tmpdir t;
    struct told told = {.calls = 0};
    struct wal w;
    char *bytes = record_bytes(0, 50000);
    struct env_slice part = {bytes, 50000};
    tmpdir_make(&t);
    test_env_init(&told.te, t.env);
    told.te.vt.file_writeback = writeback_told;
    EXPECT(wal_init(&w, &told.te.env) == ST_OK);
    EXPECT(wal_create(&w, "log", &header) == ST_OK);
    for (uint64_t i = 1; i < 200; i++) {
        EXPECT(wal_append(&w, i, &part, 1) == ST_OK);
        EXPECT(wal_flush(&w) == ST_OK);
        EXPECT(told.to % 4096 == 0); /* whole pages */
        EXPECT(told.to < w.size);    /* never the one that is written to */
        EXPECT(w.size - told.to < (2u << 20));
    }
    EXPECT(told.calls >= 5 && told.calls <= 10); /* of ten megabytes */
    EXPECT(wal_sync(&w) == ST_OK);
    EXPECT(wal_append(&w, 200, &part, 1) == ST_OK);
    EXPECT(wal_flush(&w) == ST_OK);
    EXPECT(w.started >= told.to); /* what is synced need not begin to be */
    wal_release(&w);
    EXPECT(told.te.live == 0);
    free(bytes);
    tmpdir_remove(&t);
}

TAP_MAIN({
    RUN(wal__records_of_every_awkward_size_come_back);
    RUN(wal__cut_anywhere_gives_the_whole_records_before);
    RUN(wal__any_flipped_bit_is_noticed_and_known_for_what_it_is);
    RUN(wal__zeros_behind_the_end_are_a_torn_tail);
    RUN(wal__leftovers_never_parse);
    RUN(wal__a_record_without_all_its_fragments_is_none);
    RUN(wal__failures_are_told_and_nothing_is_synced_behind_them);
    RUN(wal__a_long_log_goes_to_the_medium_as_it_grows);
    RUN(walfmt__header_says_what_was_put);
})
