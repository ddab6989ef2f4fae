/* conntab.c - see conntab.h. */
#include "net/conntab.h"

#include "base/ck.h"

#define GENERATION_MASK 0x7fffffffu

void conntab_release(struct conntab *t)
{
    if (t->mem != NULL) {
        mem_release(t->mem, t->slots);
    }
    t->slots = NULL;
    t->used = 0;
    t->cap = 0;
    t->count = 0;
    t->vacant = 0;
}

static enum status grow(struct conntab *t)
{
    uint32_t cap = t->cap == 0 ? 16 : t->cap * 2;
    struct conntab_slot *slots = mem_resize(t->mem, t->slots, cap * sizeof *slots);
    if (slots == NULL) {
        return ST_NOMEM;
    }
    t->slots = slots;
    t->cap = cap;
    return ST_OK;
}

enum status conntab_add(struct conntab *t, void *item, uint64_t *token)
{
    CK(item != NULL);
    if (t->vacant == 0 && t->used == t->cap) {
        enum status st = grow(t);
        if (st != ST_OK) {
            return st;
        }
    }
    uint32_t i;
    if (t->vacant != 0) {
        i = t->vacant - 1;
        t->vacant = t->slots[i].next_free;
    } else {
        i = t->used++;
        t->slots[i] = (struct conntab_slot){.generation = 0};
    }
    struct conntab_slot *s = &t->slots[i];
    s->item = item;
    t->count++;
    *token = (uint64_t)s->generation << 32 | i;
    return ST_OK;
}

static struct conntab_slot *slot_of(const struct conntab *t, uint64_t token)
{
    uint32_t i = (uint32_t)token;
    if (i >= t->used || t->slots[i].item == NULL) {
        return NULL;
    }
    return t->slots[i].generation == (uint32_t)(token >> 32) ? &t->slots[i] : NULL;
}

void *conntab_find(const struct conntab *t, uint64_t token)
{
    const struct conntab_slot *s = slot_of(t, token);
    return s != NULL ? s->item : NULL;
}

void conntab_remove(struct conntab *t, uint64_t token)
{
    struct conntab_slot *s = slot_of(t, token);
    CK(s != NULL);
    s->item = NULL;
    s->generation = (s->generation + 1) & GENERATION_MASK;
    s->next_free = t->vacant;
    t->vacant = (uint32_t)token + 1;
    t->count--;
}
