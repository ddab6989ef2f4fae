/* lz4.c - see lz4.h.
 *
 * A block is a run of sequences: a token (literals << 4 | match - 4, 15: more bytes follow,
 * each added until one is not 255), the literals, u16 distance, the rest of the match's length. The
 * last sequence has literals only: at least the last 5 bytes are literals, and no match begins in
 * the last 12. */
#include "engine/lz4.h"

#include "base/code.h"

#include <stdbool.h>
#include <string.h>

#define MATCH_MIN     4
#define TAIL_LITERALS 5
#define TAIL_MATCH    12 /* no match begins this close to the end */
#define DISTANCE_MAX  65535u
#define HASH_BITS     12
#define HASH_SMALL    13 /* with u16 positions */
#define SKIP_SHIFT    6  /* misses until steps grow */

size_t lz4_bound(size_t n)
{
    return n + n / 255 + 16;
}

static unsigned char *put_length(unsigned char *to, size_t n)
{
    while (n >= 255) {
        *to++ = 255;
        n -= 255;
    }
    *to++ = (unsigned char)n;
    return to;
}

/* Writes a sequence; NULL: there is no room. match 0: the last one. */
static unsigned char *put_sequence(unsigned char *to, const unsigned char *limit,
                                   const unsigned char *literals, size_t count, size_t distance,
                                   size_t match)
{
    size_t more = match == 0 ? 0 : match - MATCH_MIN;
    if ((size_t)(limit - to) <
        1 + count / 255 + 1 + count + (match == 0 ? 0 : 2 + more / 255 + 1)) {
        return NULL;
    }
    unsigned char *token = to++;
    *token = (unsigned char)((count < 15 ? count : 15) << 4 | (more < 15 ? more : 15));
    if (count >= 15) {
        to = put_length(to, count - 15);
    }
    if (count > 0) {
        memcpy(to, literals, count);
    }
    to += count;
    if (match == 0) {
        return to;
    }
    code_put16(to, (uint16_t)distance);
    to += 2;
    return more >= 15 ? put_length(to, more - 15) : to;
}

static size_t match_length(const unsigned char *a, const unsigned char *b, const unsigned char *end)
{
    const unsigned char *start = a;
    while (end - a >= 8) {
        uint64_t x = code_get64(a) ^ code_get64(b);
        if (x != 0) {
            return (size_t)(a - start) + (size_t)__builtin_ctzll(x) / 8;
        }
        a += 8;
        b += 8;
    }
    while (a < end && *a == *b) {
        a++;
        b++;
    }
    return (size_t)(a - start);
}

/* The table of places by hash: u16 for small inputs, which halves what has to be cleared. */
struct places {
    void *table;
    bool small;
};

static size_t swap_place(struct places p, uint32_t v, size_t at)
{
    if (p.small) {
        uint16_t *slot = (uint16_t *)p.table + (v * 2654435761u >> (32 - HASH_SMALL));
        size_t old = *slot;
        *slot = (uint16_t)at;
        return old;
    }
    uint32_t *slot = (uint32_t *)p.table + (v * 2654435761u >> (32 - HASH_BITS));
    size_t old = *slot;
    *slot = (uint32_t)at;
    return old;
}

size_t lz4_pack(const void *src, size_t n, void *dst, size_t cap, void *work)
{
    const unsigned char *base = src;
    const unsigned char *anchor = base;
    const unsigned char *end = base + n;
    unsigned char *to = dst;
    const unsigned char *limit = to + cap;
    if (n > TAIL_MATCH) {
        const unsigned char *last = end - TAIL_MATCH;
        const unsigned char *p = base + 1;
        struct places places = {work, n <= DISTANCE_MAX};
        unsigned misses = 1u << SKIP_SHIFT;
        memset(work, 0, LZ4_WORK);
        while (p <= last) {
            uint32_t v = code_get32(p);
            const unsigned char *ref = base + swap_place(places, v, (size_t)(p - base));
            if ((size_t)(p - ref) > DISTANCE_MAX || code_get32(ref) != v) {
                p += misses++ >> SKIP_SHIFT;
                continue;
            }
            while (p > anchor && ref > base && p[-1] == ref[-1]) {
                p--;
                ref--;
            }
            size_t size =
                MATCH_MIN + match_length(p + MATCH_MIN, ref + MATCH_MIN, end - TAIL_LITERALS);
            to = put_sequence(to, limit, anchor, (size_t)(p - anchor), (size_t)(p - ref), size);
            if (to == NULL) {
                return 0;
            }
            p += size;
            anchor = p;
            misses = 1u << SKIP_SHIFT;
            if (p <= last) {
                (void)swap_place(places, code_get32(p - 2), (size_t)(p - 2 - base));
            }
        }
    }
    to = put_sequence(to, limit, anchor, (size_t)(end - anchor), 0, 0);
    return to == NULL ? 0 : (size_t)(to - (unsigned char *)dst);
}

/* Adds the bytes that follow a full nibble. false: they are cut off or absurd. */
static bool more_length(const unsigned char **from, const unsigned char *end, size_t *n)
{
    unsigned char b = 255;
    while (b == 255) {
        if (*from == end) {
            return false;
        }
        b = *(*from)++;
        *n += b;
    }
    return true;
}

/* A match may reach into itself: then it repeats what it has just written. */
static void copy_match(unsigned char *to, size_t distance, size_t n, const unsigned char *limit)
{
    const unsigned char *from = to - distance;
    if (distance >= 8 && (size_t)(limit - to) >= n + 8) {
        for (size_t i = 0; i < n; i += 8) {
            memcpy(to + i, from + i, 8);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
}

enum status lz4_unpack(const void *src, size_t n, void *dst, size_t size)
{
    const unsigned char *from = src;
    const unsigned char *end = from + n;
    unsigned char *to = dst;
    const unsigned char *limit = to + size;
    while (from < end) {
        unsigned token = *from++;
        size_t count = token >> 4;
        if (count == 15 && !more_length(&from, end, &count)) {
            return ST_CORRUPT;
        }
        if (count > (size_t)(end - from) || count > (size_t)(limit - to)) {
            return ST_CORRUPT;
        }
        if (count > 0) {
            memcpy(to, from, count);
        }
        from += count;
        to += count;
        if (from == end) {
            return to == limit && (token & 15) == 0 ? ST_OK : ST_CORRUPT;
        }
        if (end - from < 2) {
            return ST_CORRUPT;
        }
        size_t distance = code_get16(from);
        from += 2;
        size_t match = token & 15;
        if (match == 15 && !more_length(&from, end, &match)) {
            return ST_CORRUPT;
        }
        match += MATCH_MIN;
        if (distance == 0 || distance > (size_t)(to - (unsigned char *)dst) ||
            match > (size_t)(limit - to)) {
            return ST_CORRUPT;
        }
        copy_match(to, distance, match, limit);
        to += match;
    }
    return ST_CORRUPT; /* the last sequence has no match */
}
