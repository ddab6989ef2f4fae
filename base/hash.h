/* hash.h - non-cryptographic 64-bit hashes, equal on every machine.
 *
 * hash_mix is the finalizer of MurmurHash3 as improved by Stafford (variant 13), the one in
 * splitmix64; hash_bytes folds eight little-endian bytes at a time through it. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/code.h"

#include <stddef.h>
#include <stdint.h>

/* A bijection of 64 bits in which every input bit moves every output bit. */
static inline uint64_t hash_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Folds v into a running hash h; order matters. */
static inline uint64_t hash_add(uint64_t h, uint64_t v)
{
    return hash_mix((h + 0x9e3779b97f4a7c15u) ^ (v * 0xff51afd7ed558ccdu));
}

/* The same for several in a row. */
static inline uint64_t hash_fold(uint64_t h, const uint64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        h = hash_add(h, values[i]);
    }
    return h;
}

#define HASH_FOLD(h, ...)                           \
    hash_fold((h), (const uint64_t[]){__VA_ARGS__}, \
              sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* Hash of a run of bytes, continuing from h (0 to start). */
uint64_t hash_bytes(uint64_t h, const void *data, size_t size);

#endif
