/* filter.c - see filter.h. */
#include "engine/filter.h"

#include "base/code.h"

#define SEED_KEY    0x2d358dccaa6c78a5u
#define SEED_PREFIX 0x8bb84b93962eacc9u
#define STEP        0x9e3779b1u

__extension__ typedef unsigned __int128 wide_product;

/* Multiplies to 128 bits and folds: every bit of both halves moves the result (as in wyhash). */
static uint64_t fold(uint64_t a, uint64_t b)
{
    wide_product r = (wide_product)a * b;
    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

/* 0..8 bytes as a number. Sizes differ elsewhere, so that padding is no collision. */
static uint64_t load(const char *p, size_t n)
{
    if (n >= 4) {
        return code_get32(p) | (uint64_t)code_get32(p + n - 4) << 32;
    }
    if (n == 0) {
        return 0;
    }
    return (uint64_t)(unsigned char)p[0] | (uint64_t)(unsigned char)p[n / 2] << 8 |
           (uint64_t)(unsigned char)p[n - 1] << 16;
}

static uint64_t hash(struct slice key, uint64_t seed)
{
    const char *p = key.data;
    size_t n = key.size;
    uint64_t h = seed ^ fold(key.size ^ SEED_PREFIX, SEED_KEY);
    while (n > 16) {
        h = fold(code_get64(p) ^ 0xa0761d6478bd642fu, code_get64(p + 8) ^ h);
        p += 16;
        n -= 16;
    }
    uint64_t a = n >= 8 ? code_get64(p) : load(p, n);
    uint64_t b = n > 8 ? code_get64(p + n - 8) : 0;
    h = fold(a ^ 0xe7037ed1a0b428dbu, b ^ h);
    return fold(h ^ 0x589965cc75374cc3u, 0x1d8e4e27c47d124fu);
}

uint64_t filter_hash(struct slice key)
{
    return hash(key, SEED_KEY);
}

uint64_t filter_hash_prefix(struct slice prefix)
{
    return hash(prefix, SEED_PREFIX);
}

/* ln 2 bits a key is best for a whole filter; lines fill unevenly, so a little less. */
static unsigned probes_for(uint32_t bits)
{
    unsigned n = (unsigned)(bits * 62 / 100);
    return n < 1 ? 1 : n > FILTER_PROBES_MAX ? FILTER_PROBES_MAX : n;
}

static uint64_t line_of(uint64_t h, uint64_t count)
{
    return (uint64_t)(((wide_product)h * count) >> 64);
}

enum status filter_build(struct buf *out, const uint64_t *hashes, size_t count, uint32_t bits)
{
    unsigned probes = probes_for(bits);
    uint64_t lines = ((uint64_t)count * bits + FILTER_LINE * 8 - 1) / (FILTER_LINE * 8);
    lines = lines < 1 ? 1 : lines;
    enum status st = buf_reserve(out, lines * FILTER_LINE + 1);
    if (st != ST_OK) {
        return st;
    }
    char *p = out->data + out->size;
    memset(p, 0, lines * FILTER_LINE);
    for (size_t i = 0; i < count; i++) {
        char *line = p + line_of(hashes[i], lines) * FILTER_LINE;
        uint32_t h = (uint32_t)hashes[i];
        for (unsigned k = 0; k < probes; k++) {
            unsigned bit = h >> 23;
            line[bit / 8] = (char)(line[bit / 8] | 1 << bit % 8);
            h *= STEP;
        }
    }
    p[lines * FILTER_LINE] = (char)probes;
    out->size += lines * FILTER_LINE + 1;
    return ST_OK;
}

enum status filter_load(struct filter *f, struct mem *mem, struct slice bytes)
{
    *f = (struct filter){.mem = mem};
    if (bytes.size < FILTER_LINE + 1 || bytes.size % FILTER_LINE != 1) {
        return ST_CORRUPT;
    }
    unsigned probes = (unsigned char)bytes.data[bytes.size - 1];
    if (probes < 1 || probes > FILTER_PROBES_MAX) {
        return ST_CORRUPT;
    }
    char *block = mem_alloc(mem, bytes.size + FILTER_LINE);
    if (block == NULL) {
        return ST_NOMEM;
    }
    char *lines = block + (FILTER_LINE - (uintptr_t)block % FILTER_LINE) % FILTER_LINE;
    memcpy(lines, bytes.data, bytes.size - 1);
    f->block = block;
    f->lines = lines;
    f->count = bytes.size / FILTER_LINE;
    f->probes = probes;
    return ST_OK;
}

void filter_release(struct filter *f)
{
    if (f->mem != NULL) {
        mem_release(f->mem, f->block);
    }
    *f = (struct filter){.mem = f->mem};
}

uint64_t filter_memory(const struct filter *f)
{
    return f->block == NULL ? 0 : f->count * FILTER_LINE + FILTER_LINE;
}

bool filter_may_have(const struct filter *f, uint64_t hash64)
{
    if (f->lines == NULL) {
        return true;
    }
    const char *line = f->lines + line_of(hash64, f->count) * FILTER_LINE;
    uint32_t h = (uint32_t)hash64;
    for (unsigned k = 0; k < f->probes; k++) {
        unsigned bit = h >> 23;
        if (((unsigned char)line[bit / 8] >> bit % 8 & 1) == 0) {
            return false;
        }
        h *= STEP;
    }
    return true;
}
