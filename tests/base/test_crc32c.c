/* test_crc32c.c - the checksum against its definition, its table against its rule, and the
 * hardware against the portable form. */
#include "base/crc32c.h"

#include "base/crc32c_table.h"
#include "base/prng.h"
#include "tests/tap.h"

#include <stdlib.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

static bool has_hardware(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("sse4.2");
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#else
    return true; /* it is the portable form there */
#endif
}

/* One bit at a time, as the definition has it. */
static uint32_t by_definition(uint32_t crc, const unsigned char *p, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

static void test_crc32c__table_follows_its_rule(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
        }
        for (int k = 0; k < 8; k++) {
            EXPECT(crc32c_table[k][b] == crc);
            crc = crc >> 8 ^ crc32c_table[0][crc & 255];
        }
    }
    for (uint32_t n = 0; n < 16; n++) {
        for (int k = 0; k < 8; k++) {
            uint32_t crc = n << 4 * k;
            for (size_t i = 0; i < CRC32C_STREAM; i++) {
                crc = crc >> 8 ^ crc32c_table[0][crc & 255];
            }
            EXPECT(crc32c_shift[k][n] == crc);
        }
    }
}

/* RFC 3720, appendix B.4, and the check value of the catalogues. */
static void test_crc32c__known_answers(void)
{
    unsigned char b[48];
    EXPECT(crc32c(0, "123456789", 9) == 0xe3069283u);
    EXPECT(crc32c(0, "", 0) == 0);
    memset(b, 0, 32);
    EXPECT(crc32c(0, b, 32) == 0x8a9136aau);
    memset(b, 0xff, 32);
    EXPECT(crc32c(0, b, 32) == 0x62a8ab43u);
    for (unsigned i = 0; i < 32; i++) {
        b[i] = (unsigned char)i;
    }
    EXPECT(crc32c(0, b, 32) == 0x46dd794eu);
    for (unsigned i = 0; i < 32; i++) {
        b[i] = (unsigned char)(31 - i);
    }
    EXPECT(crc32c(0, b, 32) == 0x113fdb5cu);
}

static void test_crc32c__all_forms_agree(void)
{
    unsigned char data[300];
    struct prng g = {5};
    bool hardware = has_hardware();
    if (!hardware) {
        SKIP("this processor has no CRC32C instruction");
    }
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)prng_next(&g);
    }
    for (size_t from = 0; from < 9; from++) {
        for (size_t size = 0; size + from <= sizeof data; size++) {
            uint32_t start = (uint32_t)prng_next(&g);
            uint32_t want = by_definition(start, data + from, size);
            EXPECT(crc32c(start, data + from, size) == want);
            EXPECT(crc32c_on(false, start, data + from, size) == want);
            EXPECT(crc32c_on(hardware, start, data + from, size) == want);
        }
    }
}

/* Where three streams begin and end. */
static void test_crc32c__long_pieces(void)
{
    static unsigned char data[3 * (3 * CRC32C_STREAM) + 40];
    struct prng g = {6};
    bool hardware = has_hardware();
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)prng_next(&g);
    }
    for (size_t rounds = 1; rounds <= 3; rounds++) {
        for (size_t i = 0; i < 40; i++) {
            size_t size = rounds * 3 * CRC32C_STREAM + i - 20;
            size_t from = i % 9;
            uint32_t start = (uint32_t)prng_next(&g);
            EXPECT(crc32c_on(hardware, start, data + from, size) ==
                   by_definition(start, data + from, size));
        }
    }
}

static void test_crc32c__extends(void)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog";
    size_t size = sizeof text - 1;
    uint32_t whole = crc32c(0, text, size);
    for (size_t cut = 0; cut <= size; cut++) {
        EXPECT(crc32c(crc32c(0, text, cut), text + cut, size - cut) == whole);
    }
}

TAP_MAIN({
    RUN(test_crc32c__table_follows_its_rule);
    RUN(test_crc32c__known_answers);
    RUN(test_crc32c__all_forms_agree);
    RUN(test_crc32c__long_pieces);
    RUN(test_crc32c__extends);
})
