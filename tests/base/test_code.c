/* test_code.c - integers as bytes: fixed widths and varints. */
#include "base/code.h"

#include "base/prng.h"
#include "tests/tap.h"

static void test_code__fixed_widths_are_little_endian(void)
{
    unsigned char b[8];
    code_put16(b, 0x0102);
    EXPECT(memcmp(b, "\x02\x01", 2) == 0);
    code_put32(b, 0x01020304);
    EXPECT(memcmp(b, "\x04\x03\x02\x01", 4) == 0);
    code_put64(b, 0x0102030405060708u);
    EXPECT(memcmp(b, "\x08\x07\x06\x05\x04\x03\x02\x01", 8) == 0);
    EXPECT(code_get16("\x02\x01") == 0x0102);
    EXPECT(code_get16("\xff\xff") == 0xffff);
    EXPECT(code_get32("\xfc\xff\xff\xff") == 0xfffffffcu);
    EXPECT(code_get64("\xf8\xff\xff\xff\xff\xff\xff\xff") == 0xfffffffffffffff8u);
}

static void test_code__fixed_widths_round_trip_unaligned(void)
{
    unsigned char b[16];
    struct prng g = {1};
    for (int i = 0; i < 1000; i++) {
        uint64_t v = prng_next(&g);
        unsigned char *p = b + i % 8;
        code_put64(p, v);
        EXPECT(code_get64(p) == v);
        code_put32(p, (uint32_t)v);
        EXPECT(code_get32(p) == (uint32_t)v);
        code_put16(p, (uint16_t)v);
        EXPECT(code_get16(p) == (uint16_t)v);
    }
}

static void check_varint(uint64_t v, size_t size)
{
    unsigned char b[CODE_VARINT_MAX + 1] = {0};
    uint64_t got = 0;
    EXPECT(code_varint_size(v) == size);
    EXPECT(code_put_varint(b, v) == size);
    EXPECT(code_get_varint(b, b + sizeof b, &got) == size);
    EXPECT(got == v);
    for (size_t cut = 0; cut < size; cut++) {
        EXPECT(code_get_varint(b, b + cut, &got) == 0);
    }
}

/* Both sides of every length. */
static void test_code__varints_round_trip_at_each_length(void)
{
    check_varint(0, 1);
    for (unsigned n = 1; n < 10; n++) {
        uint64_t edge = (uint64_t)1 << (7 * n);
        check_varint(edge - 1, n);
        check_varint(edge, n + 1);
    }
    check_varint(UINT64_MAX, 10);
}

static void test_code__varint_bytes_are_leb128(void)
{
    unsigned char b[CODE_VARINT_MAX];
    EXPECT(code_put_varint(b, 300) == 2);
    EXPECT(memcmp(b, "\xac\x02", 2) == 0);
    EXPECT(code_put_varint(b, UINT64_MAX) == 10);
    EXPECT(memcmp(b, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10) == 0);
}

static void test_code__varint_over_64_bits_is_refused(void)
{
    static const char bit_65[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02";
    static const char eleven[] = "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00";
    static const char ten_open[] = "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80";
    uint64_t v;
    EXPECT(code_get_varint(bit_65, bit_65 + 10, &v) == 0);
    EXPECT(code_get_varint(eleven, eleven + 11, &v) == 0);
    EXPECT(code_get_varint(ten_open, ten_open + 10, &v) == 0);
    EXPECT(code_get_varint(bit_65, bit_65, &v) == 0);
}

TAP_MAIN({
    RUN(test_code__fixed_widths_are_little_endian);
    RUN(test_code__fixed_widths_round_trip_unaligned);
    RUN(test_code__varints_round_trip_at_each_length);
    RUN(test_code__varint_bytes_are_leb128);
    RUN(test_code__varint_over_64_bits_is_refused);
})
