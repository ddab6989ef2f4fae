/* crc32c.c - see crc32c.h. */
#include "base/crc32c.h"

#include "base/code.h"
#include "base/crc32c_table.h"

#if defined(__x86_64__)
#define CRC32_U64(c, w) __builtin_ia32_crc32di(c, w)
#define CRC32_U8(c, b)  __builtin_ia32_crc32qi(c, b)
#elif defined(__aarch64__)
#include <arm_acle.h>
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *p = (const unsigned char *)data;
    crc = ~crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint32_t lo = code_get32(p) ^ crc;
        uint32_t hi = code_get32(p + 4);
        crc = crc32c_table[7][lo & 255] ^ crc32c_table[6][lo >> 8 & 255] ^
              crc32c_table[5][lo >> 16 & 255] ^ crc32c_table[4][lo >> 24] ^
              crc32c_table[3][hi & 255] ^ crc32c_table[2][hi >> 8 & 255] ^
              crc32c_table[1][hi >> 16 & 255] ^ crc32c_table[0][hi >> 24];
    }
    for (; size > 0; size--, p++) {
        crc = crc32c_table[0][(crc ^ *p) & 255] ^ crc >> 8;
    }
    return ~crc;
}

#if defined(__x86_64__) || defined(__aarch64__)
#if defined(__x86_64__)
#define HARDWARE __attribute__((target("sse4.2")))
#else
#define HARDWARE        __attribute__((target("+crc")))
#define CRC32_U64(c, w) __crc32cd((uint32_t)(c), w)
#define CRC32_U8(c, b)  __crc32cb(c, b)
#endif

/* What becomes of c over CRC32C_STREAM zero bytes. */
static uint32_t shift(uint32_t c)
{
    uint32_t sum = 0;
    for (int k = 0; k < 8; k++) {
        sum ^= crc32c_shift[k][c >> 4 * k & 15];
    }
    return sum;
}

/* The instruction's result comes after three cycles, but one can be started in each: so three
 * streams lie side by side, and are put together by what zeros would have made of the first ones.
 */
HARDWARE static uint32_t crc_hardware(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *p = (const unsigned char *)data;
    uint64_t c = (uint32_t)~crc;
    for (; size >= 3 * CRC32C_STREAM; size -= 3 * CRC32C_STREAM, p += 3 * CRC32C_STREAM) {
        uint64_t second = 0;
        uint64_t third = 0;
        for (size_t i = 0; i < CRC32C_STREAM; i += 8) {
            c = CRC32_U64(c, code_get64((const char *)p + i));
            second = CRC32_U64(second, code_get64((const char *)p + CRC32C_STREAM + i));
            third = CRC32_U64(third, code_get64((const char *)p + 2 * CRC32C_STREAM + i));
        }
        c = shift(shift((uint32_t)c) ^ (uint32_t)second) ^ (uint32_t)third;
    }
    for (; size >= 8; size -= 8, p += 8) {
        c = CRC32_U64(c, code_get64((const char *)p));
    }
    uint32_t rest = (uint32_t)c;
    for (; size > 0; size--, p++) {
        rest = CRC32_U8(rest, *p);
    }
    return ~rest;
}
#else
static uint32_t crc_hardware(uint32_t crc, const void *data, size_t size)
{
    return crc32c(crc, data, size);
}
#endif

uint32_t crc32c_on(bool hardware, uint32_t crc, const void *data, size_t size)
{
    return hardware ? crc_hardware(crc, data, size) : crc32c(crc, data, size);
}
