/* hash.c - see hash.h. */
#include "base/hash.h"

uint64_t hash_bytes(uint64_t h, const void *data, size_t size)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t left = size;
    while (left >= 8) {
        h = hash_add(h, code_get64(p));
        p += 8;
        left -= 8;
    }
    uint64_t tail = 0;
    for (size_t i = 0; i < left; i++) {
        tail |= (uint64_t)p[i] << (8 * i);
    }
    return hash_add(h, tail ^ ((uint64_t)size << 56));
}
