/* crc32c.c - see crc32c.h. */
#include "base/crc32c.h"

#include "base/code.h"
#include "base/crc32c_table.h"

#include <string.h>

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

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc, const void *data,
                                                               size_t size)
{
    const unsigned char *p = (const unsigned char *)data;
    uint64_t c = (uint32_t)~crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = CRC32_U64(c, word);
    }
    uint32_t c32 = (uint32_t)c;
    for (; size > 0; size--, p++) {
        c32 = CRC32_U8(c32, *p);
    }
    return ~c32;
}
#elif defined(__aarch64__)
__attribute__((target("+crc"))) static uint32_t crc_hardware(uint32_t crc, const void *data,
                                                             size_t size)
{
    const unsigned char *p = (const unsigned char *)data;
    uint32_t c = ~crc;
    for (; size >= 8; size -= 8, p += 8) {
        c = __crc32cd(c, code_get64(p));
    }
    for (; size > 0; size--, p++) {
        c = __crc32cb(c, *p);
    }
    return ~c;
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
