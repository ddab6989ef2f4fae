/* test_addr.c - numeric addresses as text. */
#include "env/addr.h"

#include "base/prng.h"
#include "tests/tap.h"

static void check_round(const char *text, const char *canonical)
{
    struct env_addr a, b;
    char out[ADDR_TEXT_MAX];
    struct err err = {""};
    EXPECT(addr_parse(text, &a, &err) == ST_OK);
    EXPECT(err.text[0] == '\0');
    EXPECT(strcmp(addr_format(&a, out), canonical) == 0);
    EXPECT(addr_parse(out, &b, NULL) == ST_OK);
    EXPECT(memcmp(&a, &b, sizeof a) == 0);
    if (tap_failed) {
        printf("# %s -> %s, not %s\n", text, out, canonical);
    }
}

static void test_addr__parses_and_formats_ipv4(void)
{
    struct env_addr a;
    check_round("127.0.0.1:6379", "127.0.0.1:6379");
    check_round("0.0.0.0:0", "0.0.0.0:0");
    check_round("255.255.255.255:65535", "255.255.255.255:65535");
    check_round(":6379", "0.0.0.0:6379");
    EXPECT(addr_parse("1.2.3.4:258", &a, NULL) == ST_OK);
    EXPECT(a.family == 4);
    EXPECT(a.port == 258);
    EXPECT(memcmp(a.ip, "\1\2\3\4\0\0\0\0\0\0\0\0\0\0\0\0", 16) == 0);
}

/* RFC 5952: lower case, no leading zeros, the longest run of zeros (the first of equals, never a
 * single group) becomes "::". */
static void test_addr__parses_and_formats_ipv6(void)
{
    struct env_addr a;
    check_round("[::1]:0", "[::1]:0");
    check_round("[::]:6379", "[::]:6379");
    check_round("[1::]:1", "[1::]:1");
    check_round("[2001:DB8:0:0:1:0:0:1]:80", "[2001:db8::1:0:0:1]:80");
    check_round("[2001:db8:0:1:1:1:1:1]:80", "[2001:db8:0:1:1:1:1:1]:80");
    check_round("[2001:0:0:1:0:0:0:1]:80", "[2001:0:0:1::1]:80");
    check_round("[0:0:0:0:0:0:0:1]:80", "[::1]:80");
    check_round("[1:2:3:4:5:6:7:8]:9", "[1:2:3:4:5:6:7:8]:9");
    check_round("[1:2:3:4:5:6::]:9", "[1:2:3:4:5:6::]:9");
    check_round("[1:2:3:4:5:6:7::]:9", "[1:2:3:4:5:6:7:0]:9");
    check_round("[::2:3:4:5:6:7:8]:9", "[0:2:3:4:5:6:7:8]:9");
    check_round("[::ffff:1.2.3.4]:9", "[::ffff:102:304]:9");
    check_round("[64:ff9b::192.0.2.33]:9", "[64:ff9b::c000:221]:9");
    check_round("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    EXPECT(addr_parse("[102:304::f]:1", &a, NULL) == ST_OK);
    EXPECT(a.family == 6);
    EXPECT(memcmp(a.ip, "\1\2\3\4\0\0\0\0\0\0\0\0\0\0\0\x0f", 16) == 0);
}

static void test_addr__refuses_what_is_no_address(void)
{
    static const char *const bad[] = {
        "",
        "6379",
        "localhost:6379",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "127.0.0.1:99999999999999999999",
        "127.0.0.1:-1",
        "127.0.0.1: 1",
        "127.0.0.1:1 ",
        "127.0.0.1:007",
        "127.0.0.256:1",
        "127.0.0:1",
        "127.0.0.0.1:1",
        "127.0.0.01:1",
        "1.2.3.:1",
        "1.2.3",
        "1",
        "::1:80",
        "[::1]",
        "[::1:80",
        "[]:80",
        "[:]:80",
        "[:::]:80",
        "[1:2:3:4:5:6:7]:80",
        "[1:2:3:4:5:6:7:8:9]:80",
        "[1:2:3:4:5:6:7:8::]:80",
        "[::1:2:3:4:5:6:7:8]:80",
        "[1::2::3]:80",
        "[1:]:80",
        "[:2:3:4:5:6:7:8]:80",
        "[:1]:80",
        "[12345::]:80",
        "[g::]:80",
        "[::1.2.3]:80",
        "[::1.2.3.4.5]:80",
        "[1.2.3.4]:80",
        "[1:2:3:4:5:6:7:1.2.3.4]:80",
        "[::1.2.3.4:1]:80",
        "[::1%lo]:80",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct env_addr a = {.family = 99};
        struct err err = {""};
        EXPECT(addr_parse(bad[i], &a, &err) == ST_INVAL);
        EXPECT(a.family == 99); /* untouched */
        EXPECT(strstr(err.text, bad[i]) != NULL);
        if (tap_failed) {
            printf("# \"%s\" -> %s\n", bad[i], err.text);
            tap_failed = 1;
        }
    }
}

/* Any address survives the way to text and back. */
static void test_addr__random_addresses_round_trip(void)
{
    struct prng g = {12};
    for (int i = 0; i < 20000; i++) {
        struct env_addr a = {.family = prng_below(&g, 2) == 0 ? 4 : 6}, b;
        char text[ADDR_TEXT_MAX];
        a.port = (uint16_t)prng_next(&g);
        for (int k = 0; k < (a.family == 4 ? 4 : 16); k++) {
            a.ip[k] = prng_below(&g, 2) == 0 ? 0 : (uint8_t)prng_next(&g);
        }
        EXPECT(addr_parse(addr_format(&a, text), &b, NULL) == ST_OK);
        EXPECT(memcmp(&a, &b, sizeof a) == 0);
    }
}

/* Any bytes at all: parsed or refused, never read past the NUL (with a sanitizer's help). */
static void test_addr__any_text_is_safe(void)
{
    static const char alphabet[] = "0123456789abcf:.[]% ";
    struct prng g = {13};
    for (int i = 0; i < 50000; i++) {
        size_t n = (size_t)prng_below(&g, 20);
        char text[20];
        struct env_addr a;
        struct err err;
        for (size_t k = 0; k < n; k++) {
            text[k] = alphabet[prng_below(&g, sizeof alphabet - 1)];
        }
        text[n] = '\0';
        enum status st = addr_parse(text, &a, &err);
        EXPECT(st == ST_OK || st == ST_INVAL);
    }
}

TAP_MAIN({
    RUN(test_addr__parses_and_formats_ipv4);
    RUN(test_addr__parses_and_formats_ipv6);
    RUN(test_addr__refuses_what_is_no_address);
    RUN(test_addr__random_addresses_round_trip);
    RUN(test_addr__any_text_is_safe);
})
