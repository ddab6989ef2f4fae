/* lin_sort.c - see lin_sort.h. */
#include "sim/lin/lin_sort.h"

#include <stdbool.h>
#include <string.h>

#define SMALL 48   /* below this, insertion sort is quicker */
#define FEW   1024 /* below this, passes by fewer bits are */

static void insertion(struct lin_key *keys, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct lin_key k = keys[i];
        size_t at = i;
        for (; at > 0 && keys[at - 1].key > k.key; at--) {
            keys[at] = keys[at - 1];
        }
        keys[at] = k;
    }
}

/* One stable pass by `bits` bits, at most 11. */
static void pass(const struct lin_key *from, struct lin_key *to, size_t count, int shift, int bits)
{
    size_t starts[2048];
    size_t digits = (size_t)1 << bits;
    memset(starts, 0, digits * sizeof *starts);
    for (size_t i = 0; i < count; i++) {
        starts[from[i].key >> shift & (digits - 1)]++;
    }
    size_t sum = 0;
    for (size_t d = 0; d < digits; d++) {
        size_t n = starts[d];
        starts[d] = sum;
        sum += n;
    }
    for (size_t i = 0; i < count; i++) {
        to[starts[from[i].key >> shift & (digits - 1)]++] = from[i];
    }
}

enum status lin_sort(struct mem *mem, struct lin_key *keys, size_t count)
{
    bool sorted = true;
    uint64_t differ = 0;
    for (size_t i = 1; i < count; i++) {
        sorted = sorted && keys[i - 1].key <= keys[i].key;
        differ |= keys[i].key ^ keys[0].key;
    }
    if (sorted) {
        return ST_OK;
    }
    if (count <= SMALL) {
        insertion(keys, count);
        return ST_OK;
    }
    struct lin_key *other = mem_alloc(mem, count * sizeof *other);
    if (other == NULL) {
        return ST_NOMEM;
    }
    struct lin_key *from = keys;
    struct lin_key *to = other;
    int bits = count < FEW ? 8 : 11; /* the counters cost as much as so many keys */
    for (int shift = 0; shift < 64; shift += bits) {
        if ((differ >> shift & ((1u << bits) - 1)) == 0) {
            continue;
        }
        pass(from, to, count, shift, bits);
        struct lin_key *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys) {
        memcpy(keys, from, count * sizeof *keys);
    }
    mem_release(mem, other);
    return ST_OK;
}
