/* lin_map.c - see lin_map.h. */
#include "sim/lin/lin_map.h"

#include "base/hash.h"

void lin_map_release(struct lin_map *m)
{
    if (m->mem != NULL) {
        mem_release(m->mem, m->slots);
    }
    *m = (struct lin_map){.mem = m->mem};
}

static struct lin_map_slot *find(const struct lin_map *m, uint64_t key)
{
    size_t mask = m->slot_count - 1;
    size_t i = (size_t)hash_mix(key) & mask;
    while (m->slots[i].key != UINT64_MAX && m->slots[i].key != key) {
        i = (i + 1) & mask;
    }
    return &m->slots[i];
}

static int grow(struct lin_map *m)
{
    struct lin_map wider = *m;
    wider.slot_count = m->slot_count > 0 ? m->slot_count * 2 : 16;
    wider.slots = mem_alloc(m->mem, wider.slot_count * sizeof *wider.slots);
    if (wider.slots == NULL) {
        return 0;
    }
    for (size_t i = 0; i < wider.slot_count; i++) {
        wider.slots[i].key = UINT64_MAX;
    }
    for (size_t i = 0; i < m->slot_count; i++) {
        if (m->slots[i].key != UINT64_MAX) {
            *find(&wider, m->slots[i].key) = m->slots[i];
        }
    }
    mem_release(m->mem, m->slots);
    *m = wider;
    return 1;
}

uint64_t *lin_map_at(struct lin_map *m, uint64_t key, uint64_t fresh)
{
    if ((m->count + 1) * 2 > m->slot_count && !grow(m)) {
        return NULL;
    }
    struct lin_map_slot *slot = find(m, key);
    if (slot->key == UINT64_MAX) {
        *slot = (struct lin_map_slot){key, fresh};
        m->count++;
    }
    return &slot->value;
}

const uint64_t *lin_map_find(const struct lin_map *m, uint64_t key)
{
    if (m->slot_count == 0) {
        return NULL;
    }
    const struct lin_map_slot *slot = find(m, key);
    return slot->key == UINT64_MAX ? NULL : &slot->value;
}
