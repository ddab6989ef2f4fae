/* buf.c - see buf.h. */
#include "base/buf.h"

#include "base/ck.h"

#define CAP_MIN 64

void buf_release(struct buf *b)
{
    if (b->mem != NULL) {
        mem_release(b->mem, b->data);
    }
    b->data = NULL;
    b->size = 0;
    b->cap = 0;
}

enum status buf_reserve(struct buf *b, size_t extra)
{
    if (extra <= b->cap - b->size) {
        return ST_OK;
    }
    if (extra > SIZE_MAX / 2 - b->size) {
        return ST_NOMEM;
    }
    size_t cap = b->cap < CAP_MIN ? CAP_MIN : b->cap;
    while (cap - b->size < extra) {
        cap *= 2;
    }
    char *data = mem_resize(b->mem, b->data, cap);
    if (data == NULL) {
        return ST_NOMEM;
    }
    b->data = data;
    b->cap = cap;
    return ST_OK;
}

enum status buf_append(struct buf *b, const void *data, size_t size)
{
    enum status st = buf_reserve(b, size);
    if (st == ST_OK && size > 0) {
        memcpy(b->data + b->size, data, size);
        b->size += size;
    }
    return st;
}

enum status buf_append_text(struct buf *b, const char *text)
{
    return buf_append(b, text, strlen(text));
}

enum status buf_append_i64(struct buf *b, int64_t v)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        digits[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    if (v < 0) {
        digits[--at] = '-';
    }
    return buf_append(b, digits + at, sizeof digits - at);
}

void buf_consume(struct buf *b, size_t n)
{
    CK(n <= b->size);
    b->size -= n;
    if (b->size > 0 && n > 0) {
        memmove(b->data, b->data + n, b->size);
    }
}
