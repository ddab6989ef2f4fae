/* code.h - integers as bytes: fixed-width little-endian, and LEB128 varints.
 *
 * The only place that knows a byte order: everything on disk, on the wire and in a hash goes
 * through here, so that a big-endian machine writes the same bytes. */
#ifndef BASE_CODE_H
#define BASE_CODE_H

#include <stddef.h>
#include <stdint.h>

#define CODE_VARINT_MAX 10 /* bytes of the longest varint */

static inline void code_put16(void *p, uint16_t v)
{
    unsigned char *b = (unsigned char *)p;
    b[0] = (unsigned char)v;
    b[1] = (unsigned char)(v >> 8);
}

static inline void code_put32(void *p, uint32_t v)
{
    unsigned char *b = (unsigned char *)p;
    code_put16(b, (uint16_t)v);
    code_put16(b + 2, (uint16_t)(v >> 16));
}

static inline void code_put64(void *p, uint64_t v)
{
    unsigned char *b = (unsigned char *)p;
    code_put32(b, (uint32_t)v);
    code_put32(b + 4, (uint32_t)(v >> 32));
}

static inline uint16_t code_get16(const void *p)
{
    const unsigned char *b = (const unsigned char *)p;
    return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t code_get32(const void *p)
{
    const unsigned char *b = (const unsigned char *)p;
    return code_get16(b) | (uint32_t)code_get16(b + 2) << 16;
}

static inline uint64_t code_get64(const void *p)
{
    const unsigned char *b = (const unsigned char *)p;
    return code_get32(b) | (uint64_t)code_get32(b + 4) << 32;
}

/* Writes v in 1..CODE_VARINT_MAX bytes at p; returns how many. */
size_t code_put_varint(void *p, uint64_t v);

/* Bytes that code_put_varint(v) takes. */
size_t code_varint_size(uint64_t v);

/* Reads a varint from [p, end) into *v; returns its length, or 0 when it is cut short, longer
 * than ten bytes, or over 64 bits. */
size_t code_get_varint(const void *p, const void *end, uint64_t *v);

#endif
