/* cursor.c - see cursor.h. */
#include "node/cursor.h"

#include "base/ck.h"

#include <string.h>

#define ID_LIMIT (1ull << 62) /* leaves ages until the counter could leave 63 bits */

void cursor_init(struct cursor *c, struct mem *mem, uint32_t slots, uint64_t salt)
{
    CK(slots > 0);
    *c = (struct cursor){.mem = mem, .slot_count = slots, .next = salt % ID_LIMIT + 1};
}

void cursor_release(struct cursor *c)
{
    for (uint32_t i = 0; c->slots != NULL && i < c->slot_count; i++) {
        mem_release(c->mem, c->slots[i].key);
    }
    if (c->mem != NULL) {
        mem_release(c->mem, c->slots);
    }
    c->slots = NULL;
}

enum status cursor_add(struct cursor *c, struct slice key, uint64_t *id)
{
    if (c->slots == NULL) {
        c->slots = mem_zalloc(c->mem, c->slot_count * sizeof *c->slots);
        if (c->slots == NULL) {
            return ST_NOMEM;
        }
    }
    char *copy = mem_alloc(c->mem, key.size + 1);
    if (copy == NULL) {
        return ST_NOMEM;
    }
    if (key.size > 0) {
        memcpy(copy, key.data, key.size);
    }
    struct cursor_slot *s = &c->slots[c->next % c->slot_count];
    mem_release(c->mem, s->key);
    *s = (struct cursor_slot){.id = c->next++, .key = copy, .size = key.size};
    *id = s->id;
    return ST_OK;
}

enum status cursor_find(const struct cursor *c, uint64_t id, struct slice *key)
{
    if (c->slots == NULL || id == 0) {
        return ST_NOENT;
    }
    const struct cursor_slot *s = &c->slots[id % c->slot_count];
    if (s->id != id) {
        return ST_NOENT;
    }
    *key = slice_of(s->key, s->size);
    return ST_OK;
}
