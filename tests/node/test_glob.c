/* test_glob.c - patterns, one a line; and that none takes for ever. */
#include "node/glob.h"

#include "tests/tap.h"

static const struct {
    const char *pattern;
    const char *text;
    bool match;
} rows[] = {
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"*", "abc", true},
    {"a*c", "abc", true},
    {"a*c", "abd", false},
    {"a*c", "ac", true},
    {"*b*", "abc", true},
    {"**a", "ba", true},
    {"a?c", "abc", true},
    {"a?c", "ac", false},
    {"?", "", false},
    {"h[ae]llo", "hello", true},
    {"h[ae]llo", "hillo", false},
    {"h[^e]llo", "hallo", true},
    {"h[^e]llo", "hello", false},
    {"h[a-c]", "hb", true},
    {"h[c-a]", "hb", true},
    {"h[a-c]", "hd", false},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"[\\]]", "]", true},
    {"[ab", "a", true},
    {"a\\", "a\\", true},
    {"abc", "abcd", false},
    {"abcd", "abc", false},
    {"*a*b", "xaybzb", true},
    {"*a*b", "xaybz", false},
    {"[a-", "a", true},
    {"user:*:name", "user:1:2:name", true},
    {"\xff*", "\xff\x01", true},
};

static void test_glob__table(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool match = glob_match(slice_text(rows[i].pattern), slice_text(rows[i].text));
        EXPECT(match == rows[i].match);
        if (match != rows[i].match) {
            printf("# %s against %s\n", rows[i].pattern, rows[i].text);
        }
    }
}

/* A recursive matcher takes 2^20 steps and more for this one. */
static void test_glob__many_stars_are_no_trap(void)
{
    char text[20000];
    memset(text, 'a', sizeof text);
    EXPECT(!glob_match(slice_text("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"),
                       slice_of(text, sizeof text)));
}

TAP_MAIN({
    RUN(test_glob__table);
    RUN(test_glob__many_stars_are_no_trap);
})
