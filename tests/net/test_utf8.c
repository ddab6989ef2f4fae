/* test_utf8.c - every sequence of up to four bytes that matters, against arithmetic. */
#include "net/utf8.h"

#include "tests/tap.h"

#include <stdint.h>
#include <stdlib.h>

/* The code point that size bytes are when they are its only encoding; -1: none. By arithmetic
 * alone, without ranges of second bytes. */
static long decode(const unsigned char *p, size_t size)
{
    static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (size == 1) {
        return p[0] < 0x80 ? p[0] : -1;
    }
    unsigned char mask = (unsigned char)(0x7f >> size);
    if ((p[0] & ~mask) != lead[size]) {
        return -1;
    }
    long v = p[0] & mask;
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return -1;
        }
        v = v << 6 | (p[i] & 0x3f);
    }
    bool good = v >= least[size] && v <= 0x10ffff && (v < 0xd800 || v > 0xdfff);
    return good ? v : -1;
}

static void test_utf8__all_sequences_of_up_to_three_bytes(void)
{
    long wrong = 0;
    for (uint32_t i = 0; i < 1u << 24; i++) {
        unsigned char b[3] = {(unsigned char)(i >> 16), (unsigned char)(i >> 8), (unsigned char)i};
        bool want = decode(b, 3) >= 0;
        if (b[0] < 0x80) { /* then the other two are on their own */
            want = decode(b + 1, 2) >= 0 || (decode(b + 1, 1) >= 0 && decode(b + 2, 1) >= 0);
        } else if (!want) {
            want = decode(b, 2) >= 0 && decode(b + 2, 1) >= 0;
        }
        wrong += utf8_valid(slice_of(b, 3)) != want;
    }
    EXPECT(wrong == 0);
}

static void test_utf8__four_bytes(void)
{
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90,
                                          0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    long wrong = 0;
    for (unsigned first = 0xf0; first <= 0xff; first++) {
        for (unsigned second = 0; second < 256; second++) {
            for (size_t c = 0; c < sizeof edges; c++) {
                for (size_t d = 0; d < sizeof edges; d++) {
                    unsigned char b[4] = {(unsigned char)first, (unsigned char)second, edges[c],
                                          edges[d]};
                    wrong += utf8_valid(slice_of(b, 4)) != (decode(b, 4) >= 0);
                }
            }
        }
    }
    EXPECT(wrong == 0);
}

static void test_utf8__a_cut_sequence_is_none(void)
{
    const char *text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
    static const bool whole[] = {true, true,  false, true,  false, false,
                                 true, false, false, false, true,  true};
    for (size_t size = 0; size <= strlen(text); size++) {
        char *copy = malloc(size > 0 ? size : 1); /* of its very size, for sanitizers */
        memcpy(copy, text, size);
        EXPECT(utf8_valid(slice_of(copy, size)) == whole[size]);
        free(copy);
    }
    EXPECT(utf8_valid(slice_of(NULL, 0)));
    EXPECT(!utf8_valid(slice_text("\x80")));
}

TAP_MAIN(RUN(test_utf8__all_sequences_of_up_to_three_bytes); RUN(test_utf8__four_bytes);
         RUN(test_utf8__a_cut_sequence_is_none);)
