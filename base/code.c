/* code.c - see code.h. */
#include "base/code.h"

size_t code_put_varint(void *p, uint64_t v)
{
    unsigned char *b = (unsigned char *)p;
    size_t n = 0;
    while (v >= 0x80) {
        b[n++] = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    b[n++] = (unsigned char)v;
    return n;
}

size_t code_varint_size(uint64_t v)
{
    size_t n = 1;
    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

size_t code_get_varint(const void *p, const void *end, uint64_t *v)
{
    const unsigned char *b = (const unsigned char *)p;
    size_t size = (size_t)((const unsigned char *)end - b);
    uint64_t sum = 0;
    for (size_t n = 0; n < size && n < CODE_VARINT_MAX; n++) {
        if (n == CODE_VARINT_MAX - 1 && b[n] > 1) {
            return 0; /* the 65th bit */
        }
        sum |= (uint64_t)(b[n] & 0x7f) << (7 * n);
        if (b[n] < 0x80) {
            *v = sum;
            return n + 1;
        }
    }
    return 0;
}
