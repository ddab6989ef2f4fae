/* lin_map.h - a hash map from 64-bit keys to 64-bit values. Internal to sim/lin. */
#ifndef SIM_LIN_LIN_MAP_H
#define SIM_LIN_LIN_MAP_H

#include "base/mem.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct lin_map_slot {
    uint64_t key;
    uint64_t value;
};

struct lin_map {
    struct mem *mem;
    struct lin_map_slot *slots; /* key UINT64_MAX: free */
    size_t slot_count;
    size_t count;
};

static inline void lin_map_init(struct lin_map *m, struct mem *mem)
{
    *m = (struct lin_map){.mem = mem};
}

void lin_map_release(struct lin_map *m);

/* The value of the key, entered as `fresh` when new; valid until the next call. NULL: no memory.
 * The key is not UINT64_MAX. */
uint64_t *lin_map_at(struct lin_map *m, uint64_t key, uint64_t fresh);

/* The value of the key, or NULL. */
const uint64_t *lin_map_find(const struct lin_map *m, uint64_t key);

/* Two 32-bit ids as one key. */
static inline uint64_t lin_map_pair(uint32_t a, uint32_t b)
{
    return (uint64_t)a << 32 | b;
}

#endif
