/* utf8.c - see utf8.h. The table of well-formed sequences is that of the Unicode standard (3-7):
 * after the first byte only the second has a range of its own. */
#include "net/utf8.h"

#include <stdint.h>

/* Length of the sequence that begins with this byte, and the range of its second byte; 0: none. */
static size_t sequence(unsigned char first, unsigned char *low, unsigned char *high)
{
    *low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static bool sequence_fits(const unsigned char *p, size_t size, unsigned char low,
                          unsigned char high)
{
    if (size > 1 && (p[1] < low || p[1] > high)) {
        return false;
    }
    for (size_t i = 2; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return false;
        }
    }
    return true;
}

bool utf8_valid(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t left = s.size;
    while (left > 0) {
        unsigned char low;
        unsigned char high;
        size_t size = sequence(*p, &low, &high);
        if (size == 0 || size > left || !sequence_fits(p, size, low, high)) {
            return false;
        }
        p += size;
        left -= size;
    }
    return true;
}
