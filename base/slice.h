/* slice.h - a borrowed run of bytes, and the byte order of keys. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data; /* borrowed; may be NULL only when size is 0 */
    size_t size;
};

static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){(const char *)data, size};
}

/* The bytes of a NUL-terminated string, without the NUL. */
static inline struct slice slice_text(const char *text)
{
    return (struct slice){text, strlen(text)};
}

/* Byte order, unsigned; a proper prefix comes first. < 0, 0, > 0 as memcmp. */
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    int c = n > 0 ? memcmp(a.data, b.data, n) : 0;
    if (c != 0) {
        return c;
    }
    return a.size < b.size ? -1 : a.size > b.size;
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#endif
