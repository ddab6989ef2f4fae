/* test_json.c - JSON text: nesting, escapes, bytes that are not UTF-8, refused allocations. */
#include "base/json.h"

#include "tests/tap.h"
#include "tests/test_env.h"

/* What json_bytes makes of the bytes, without the quotes, compared with want. */
static bool quotes_as(const char *bytes, size_t size, const char *want)
{
    struct inject te;
    struct buf b;
    struct json j;
    test_env_init(&te, NULL);
    buf_init(&b, &te.env.mem);
    json_init(&j, &b);
    json_bytes(&j, NULL, slice_of(bytes, size));
    bool same = j.st == ST_OK && b.size >= 2 && b.data[0] == '"' && b.data[b.size - 1] == '"' &&
                slice_equal(slice_of(b.data + 1, b.size - 2), slice_text(want));
    if (!same) {
        printf("# got %.*s\n", (int)b.size, b.data);
    }
    buf_release(&b);
    return same;
}

static void write_sample(struct json *j)
{
    json_object(j, NULL);
    json_text(j, "name", "tiny");
    json_u64(j, "big", UINT64_MAX);
    json_i64(j, "small", INT64_MIN);
    json_array(j, "list");
    json_bool(j, NULL, true);
    json_bool(j, NULL, false);
    json_null(j, NULL);
    json_object(j, NULL);
    json_object_end(j);
    json_array(j, NULL);
    json_array_end(j);
    json_array_end(j);
    json_text(j, "none", NULL);
    json_object_end(j);
}

static const char sample[] = "{\"name\":\"tiny\",\"big\":18446744073709551615,"
                             "\"small\":-9223372036854775808,"
                             "\"list\":[true,false,null,{},[]],\"none\":null}";

static void test_json__nests_and_separates(void)
{
    struct inject te;
    struct buf b;
    struct json j;
    test_env_init(&te, NULL);
    buf_init(&b, &te.env.mem);
    json_init(&j, &b);
    write_sample(&j);
    EXPECT(j.st == ST_OK);
    EXPECT(slice_equal(buf_slice(&b), slice_text(sample)));
    buf_release(&b);
}

static void test_json__escapes_what_must_be(void)
{
    EXPECT(quotes_as("", 0, ""));
    EXPECT(quotes_as("a\"b\\c/d", 7, "a\\\"b\\\\c/d"));
    EXPECT(quotes_as("\n\t\0\x1f", 4, "\\u000a\\u0009\\u0000\\u001f"));
    EXPECT(quotes_as(" \x7f", 2, " \x7f"));
}

static void test_json__escapes_keys_too(void)
{
    struct inject te;
    struct buf b;
    struct json j;
    test_env_init(&te, NULL);
    buf_init(&b, &te.env.mem);
    json_init(&j, &b);
    json_object(&j, NULL);
    json_u64(&j, "a\"", 1);
    json_object_end(&j);
    EXPECT(slice_equal(buf_slice(&b), slice_text("{\"a\\\"\":1}")));
    buf_release(&b);
}

static void test_json__keeps_utf8(void)
{
    EXPECT(quotes_as("\xc2\x80\xdf\xbf", 4, "\xc2\x80\xdf\xbf"));
    EXPECT(quotes_as("\xe0\xa0\x80\xef\xbf\xbf", 6, "\xe0\xa0\x80\xef\xbf\xbf"));
    EXPECT(quotes_as("\xed\x9f\xbf\xee\x80\x80", 6, "\xed\x9f\xbf\xee\x80\x80"));
    EXPECT(quotes_as("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
}

/* Each bad byte becomes one U+FFFD, and reading goes on with the next. */
static void test_json__replaces_what_is_not_utf8(void)
{
    EXPECT(quotes_as("a\x80z", 3, "a\\ufffdz"));                   /* lone continuation */
    EXPECT(quotes_as("\xff\xfe", 2, "\\ufffd\\ufffd"));            /* never in UTF-8 */
    EXPECT(quotes_as("\xc0\xaf", 2, "\\ufffd\\ufffd"));            /* overlong '/' */
    EXPECT(quotes_as("\xc1\xbf", 2, "\\ufffd\\ufffd"));            /* overlong DEL */
    EXPECT(quotes_as("\xe0\x9f\xbf", 3, "\\ufffd\\ufffd\\ufffd")); /* overlong */
    EXPECT(quotes_as("\xed\xa0\x80", 3, "\\ufffd\\ufffd\\ufffd")); /* surrogate */
    EXPECT(quotes_as("\xed\xbf\xbf", 3, "\\ufffd\\ufffd\\ufffd")); /* surrogate */
    EXPECT(quotes_as("\xf0\x8f\xbf\xbf", 4, "\\ufffd\\ufffd\\ufffd\\ufffd"));
    EXPECT(quotes_as("\xf4\x90\x80\x80", 4, "\\ufffd\\ufffd\\ufffd\\ufffd")); /* > U+10FFFF */
    EXPECT(quotes_as("\xf8\x88\x80\x80\x80", 5, "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd"));
    EXPECT(quotes_as("x\xe2\x82", 3, "x\\ufffd\\ufffd")); /* cut short at the end */
    EXPECT(quotes_as("\xe2(\xa1", 3, "\\ufffd(\\ufffd")); /* cut short by another */
    EXPECT(quotes_as("\xc3\xc3\xa9", 3, "\\ufffd\xc3\xa9"));
}

/* The error sticks, the text stays a prefix of what it would have been, nothing leaks. */
static void test_json__each_nomem_sticks(void)
{
    for (long n = 0;; n++) {
        struct inject te;
        struct buf b;
        struct json j;
        test_env_init(&te, NULL);
        te.fail_at = n;
        buf_init(&b, &te.env.mem);
        json_init(&j, &b);
        write_sample(&j);
        EXPECT(b.size <= strlen(sample));
        EXPECT(b.size == 0 || memcmp(b.data, sample, b.size) == 0);
        EXPECT((j.st == ST_OK) == (b.size == strlen(sample)));
        EXPECT(j.st == ST_OK || j.st == ST_NOMEM);
        buf_release(&b);
        EXPECT(te.live == 0);
        if (te.allocs <= n) {
            EXPECT(j.st == ST_OK);
            break;
        }
        EXPECT(j.st == ST_NOMEM);
    }
}

TAP_MAIN({
    RUN(test_json__nests_and_separates);
    RUN(test_json__escapes_what_must_be);
    RUN(test_json__escapes_keys_too);
    RUN(test_json__keeps_utf8);
    RUN(test_json__replaces_what_is_not_utf8);
    RUN(test_json__each_nomem_sticks);
})
