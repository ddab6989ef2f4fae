/* test_buf.c - the growable buffer and slices, and under refused allocations. */
#include "base/buf.h"

#include "base/prng.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <limits.h>
#include <stdlib.h>

static bool holds(const struct buf *b, const char *text)
{
    return slice_equal(buf_slice(b), slice_text(text));
}

static void test_buf__starts_empty_and_releases_twice(void)
{
    struct buf zero = {0};
    struct inject te;
    struct buf b;
    test_env_init(&te, NULL);
    buf_release(&zero);
    buf_init(&b, &te.env.mem);
    EXPECT(b.size == 0);
    EXPECT(buf_append(&b, NULL, 0) == ST_OK);
    EXPECT(te.live == 0);
    EXPECT(buf_append_text(&b, "x") == ST_OK);
    buf_release(&b);
    buf_release(&b);
    EXPECT(b.size == 0);
    EXPECT(te.live == 0);
    EXPECT(buf_append_text(&b, "again") == ST_OK); /* usable after a release */
    EXPECT(holds(&b, "again"));
    buf_release(&b);
    EXPECT(te.live == 0);
}

/* Random appends and consumes against a plain array. */
static void test_buf__keeps_what_was_appended(void)
{
    struct inject te;
    struct buf b;
    struct prng g = {3};
    char *model = malloc(1 << 20);
    size_t start = 0, end = 0;
    test_env_init(&te, NULL);
    buf_init(&b, &te.env.mem);
    while (end < (1 << 20) - 300) {
        size_t n = (size_t)prng_below(&g, 300);
        for (size_t i = 0; i < n; i++) {
            model[end + i] = (char)prng_next(&g);
        }
        EXPECT(buf_append(&b, model + end, n) == ST_OK);
        end += n;
        if (prng_below(&g, 4) == 0) {
            size_t drop = (size_t)prng_below(&g, end - start + 1);
            buf_consume(&b, drop);
            start += drop;
        }
        EXPECT(b.size == end - start);
        EXPECT(b.size <= b.cap);
    }
    EXPECT(memcmp(b.data, model + start, b.size) == 0);
    EXPECT(te.allocs < 40); /* growth doubles */
    buf_release(&b);
    free(model);
    EXPECT(te.live == 0);
}

static void test_buf__writes_numbers_in_decimal(void)
{
    static const struct {
        int64_t v;
        const char *text;
    } rows[] = {{0, "0"},
                {7, "7"},
                {-1, "-1"},
                {10, "10"},
                {-120, "-120"},
                {INT64_MAX, "9223372036854775807"},
                {INT64_MIN, "-9223372036854775808"}};
    struct inject te;
    struct buf b;
    test_env_init(&te, NULL);
    buf_init(&b, &te.env.mem);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_clear(&b);
        EXPECT(buf_append_i64(&b, rows[i].v) == ST_OK);
        EXPECT(holds(&b, rows[i].text));
    }
    buf_release(&b);
}

static void test_buf__refuses_sizes_that_do_not_fit(void)
{
    struct inject te;
    struct buf b;
    test_env_init(&te, NULL);
    buf_init(&b, &te.env.mem);
    EXPECT(buf_append_text(&b, "abc") == ST_OK);
    EXPECT(buf_reserve(&b, SIZE_MAX) == ST_NOMEM);
    EXPECT(buf_reserve(&b, SIZE_MAX / 2) == ST_NOMEM);
    EXPECT(holds(&b, "abc"));
    buf_release(&b);
}

/* Reserved room is used without another allocation. */
static void test_buf__reserve_is_enough(void)
{
    struct inject te;
    struct buf b;
    char data[1000] = {0};
    test_env_init(&te, NULL);
    buf_init(&b, &te.env.mem);
    EXPECT(buf_reserve(&b, sizeof data) == ST_OK);
    EXPECT(te.allocs == 1);
    EXPECT(buf_append(&b, data, sizeof data) == ST_OK);
    EXPECT(te.allocs == 1);
    buf_release(&b);
}

static void test_buf__each_nomem_leaves_contents(void)
{
    for (long n = 0;; n++) {
        struct inject te;
        struct buf b;
        size_t size = 0;
        test_env_init(&te, NULL);
        te.fail_at = n;
        buf_init(&b, &te.env.mem);
        for (int i = 0; i < 200; i++) {
            enum status st = buf_append(&b, "0123456789", 10);
            EXPECT(st == ST_OK || st == ST_NOMEM);
            size += st == ST_OK ? 10 : 0;
            EXPECT(b.size == size);
            EXPECT(size == 0 || memcmp(b.data + size - 10, "0123456789", 10) == 0);
        }
        EXPECT(n >= te.allocs || size == 1990); /* one append was refused, the next was not */
        buf_release(&b);
        EXPECT(te.live == 0);
        if (te.allocs <= n) {
            EXPECT(n == 6); /* 64, 128, … 2048 */
            break;
        }
    }
}

static void test_slice__orders_bytes_unsigned_and_prefixes_first(void)
{
    static const char *const sorted[] = {"", "a", "aa", "ab", "b", "\x7f", "\x80", "\xff"};
    int n = (int)(sizeof sorted / sizeof *sorted);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < n; k++) {
            int c = slice_compare(slice_text(sorted[i]), slice_text(sorted[k]));
            EXPECT((c < 0) == (i < k));
            EXPECT((c > 0) == (i > k));
            EXPECT(slice_equal(slice_text(sorted[i]), slice_text(sorted[k])) == (i == k));
        }
    }
    EXPECT(slice_equal(slice_of(NULL, 0), slice_text("")));
    EXPECT(slice_compare(slice_of("a\0b", 3), slice_of("a\0c", 3)) < 0);
}

static void test_mem__zalloc_is_zeroed(void)
{
    struct inject te;
    test_env_init(&te, NULL);
    char *p = mem_alloc(&te.env.mem, 64);
    memset(p, 0xa5, 64);
    mem_release(&te.env.mem, p);
    char *z = mem_zalloc(&te.env.mem, 64);
    for (int i = 0; i < 64; i++) {
        EXPECT(z[i] == 0);
    }
    mem_release(&te.env.mem, z);
    mem_release(&te.env.mem, NULL);
    te.fail_at = te.allocs;
    EXPECT(mem_zalloc(&te.env.mem, 64) == NULL);
    EXPECT(te.live == 0);
}

TAP_MAIN({
    RUN(test_buf__starts_empty_and_releases_twice);
    RUN(test_buf__keeps_what_was_appended);
    RUN(test_buf__writes_numbers_in_decimal);
    RUN(test_buf__refuses_sizes_that_do_not_fit);
    RUN(test_buf__reserve_is_enough);
    RUN(test_buf__each_nomem_leaves_contents);
    RUN(test_slice__orders_bytes_unsigned_and_prefixes_first);
    RUN(test_mem__zalloc_is_zeroed);
})
