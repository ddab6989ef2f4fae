/* lin_strtab.c - byte strings, each stored once. See lin_rec.h. */
#include "sim/lin/lin_rec.h"

#include "base/hash.h"

void lin_strtab_init(struct lin_strtab *t, struct mem *mem)
{
    *t = (struct lin_strtab){.mem = mem};
}

void lin_strtab_release(struct lin_strtab *t)
{
    if (t->mem != NULL) {
        mem_release(t->mem, t->bytes);
        mem_release(t->mem, t->ends);
        mem_release(t->mem, t->slots);
    }
    *t = (struct lin_strtab){.mem = t->mem};
}

enum status lin_grow(struct mem *mem, void *array, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap) {
        return ST_OK;
    }
    size_t want = *cap < 16 ? 16 : *cap * 2;
    want = want < need ? need : want;
    void *old;
    memcpy(&old, array, sizeof old);
    void *block = mem_resize(mem, old, want * size);
    if (block == NULL) {
        return ST_NOMEM;
    }
    memcpy(array, &block, sizeof block);
    *cap = want;
    return ST_OK;
}

/* The slot that holds the string, or the free one where it would go. Half of the hash is kept in
 * the slot, so that other strings are hardly ever looked at. */
static uint32_t find_slot(const struct lin_strtab *t, struct slice text, uint64_t hash)
{
    uint32_t mask = t->slot_count - 1;
    uint32_t i = (uint32_t)hash & mask;
    for (; t->slots[i] != 0; i = (i + 1) & mask) {
        bool alike = t->slots[i] >> 32 == hash >> 32;
        if (alike && slice_equal(lin_strtab_get(t, (uint32_t)t->slots[i] - 1), text)) {
            break;
        }
    }
    return i;
}

uint32_t lin_strtab_find(const struct lin_strtab *t, struct slice text)
{
    if (t->slot_count == 0) {
        return LIN_NONE;
    }
    uint32_t slot = find_slot(t, text, hash_bytes(0, text.data, text.size));
    return t->slots[slot] != 0 ? (uint32_t)t->slots[slot] - 1 : LIN_NONE;
}

/* Makes the table wider. Half of a hash does not say where a string goes in it, so all are hashed
 * again: the table doubles, so each string is hashed twice on average. */
static enum status rehash(struct lin_strtab *t)
{
    if ((t->count + 1) * 2ull <= t->slot_count) {
        return ST_OK;
    }
    struct lin_strtab wider = *t;
    wider.slot_count = t->slot_count > 0 ? t->slot_count * 2 : 32;
    wider.slots = mem_zalloc(t->mem, wider.slot_count * sizeof *wider.slots);
    if (wider.slots == NULL) {
        return ST_NOMEM;
    }
    for (uint32_t id = 0; id < t->count; id++) {
        struct slice text = lin_strtab_get(t, id);
        uint64_t hash = hash_bytes(0, text.data, text.size);
        uint32_t i = (uint32_t)hash & (wider.slot_count - 1);
        while (wider.slots[i] != 0) { /* all are different: no need to compare */
            i = (i + 1) & (wider.slot_count - 1);
        }
        wider.slots[i] = hash >> 32 << 32 | (id + 1);
    }
    mem_release(t->mem, t->slots);
    *t = wider;
    return ST_OK;
}

static enum status reserve(struct lin_strtab *t, size_t text_size)
{
    if (t->size + text_size > UINT32_MAX || t->count == UINT32_MAX - 1) {
        return ST_TOOBIG;
    }
    size_t cap = t->count_cap;
    enum status st = lin_grow(t->mem, &t->ends, &cap, (size_t)t->count + 1, sizeof *t->ends);
    if (st != ST_OK) {
        return st;
    }
    t->count_cap = (uint32_t)cap;
    st = lin_grow(t->mem, &t->bytes, &t->cap, t->size + text_size, 1);
    return st == ST_OK ? rehash(t) : st;
}

enum status lin_strtab_add(struct lin_strtab *t, struct slice text, uint32_t *id)
{
    uint64_t hash = hash_bytes(0, text.data, text.size);
    uint32_t slot = 0;
    if (t->slot_count > 0) {
        slot = find_slot(t, text, hash);
        if (t->slots[slot] != 0) {
            *id = (uint32_t)t->slots[slot] - 1;
            return ST_OK;
        }
    }
    uint32_t slots_before = t->slot_count;
    enum status st = reserve(t, text.size);
    if (st != ST_OK) {
        return st;
    }
    slot = t->slot_count != slots_before ? find_slot(t, text, hash) : slot;
    if (text.size > 0) {
        memcpy(t->bytes + t->size, text.data, text.size);
    }
    t->size += text.size;
    t->ends[t->count] = (uint32_t)t->size;
    t->slots[slot] = hash >> 32 << 32 | (t->count + 1);
    *id = t->count++;
    return ST_OK;
}
