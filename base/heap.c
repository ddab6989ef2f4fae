/* heap.c - see heap.h. */
#include "base/heap.h"

#include "base/ck.h"

#include <stdbool.h>

#define CAP_MIN 16

static bool less(const struct heap_entry *a, const struct heap_entry *b)
{
    return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

void heap_release(struct heap *h)
{
    if (h->mem != NULL) {
        mem_release(h->mem, h->entries);
    }
    h->entries = NULL;
    h->count = 0;
    h->cap = 0;
}

enum status heap_push(struct heap *h, struct heap_entry entry)
{
    if (h->count == h->cap) {
        size_t cap = h->cap < CAP_MIN ? CAP_MIN : h->cap * 2;
        struct heap_entry *bigger = mem_resize(h->mem, h->entries, cap * sizeof *bigger);
        if (bigger == NULL) {
            return ST_NOMEM;
        }
        h->entries = bigger;
        h->cap = cap;
    }
    size_t at = h->count++;
    while (at > 0) {
        size_t up = (at - 1) / 2;
        if (!less(&entry, &h->entries[up])) {
            break;
        }
        h->entries[at] = h->entries[up];
        at = up;
    }
    h->entries[at] = entry;
    return ST_OK;
}

struct heap_entry heap_pop(struct heap *h)
{
    CK(h->count > 0);
    struct heap_entry first = h->entries[0];
    struct heap_entry last = h->entries[--h->count];
    size_t at = 0;
    for (;;) {
        size_t down = 2 * at + 1;
        if (down >= h->count) {
            break;
        }
        if (down + 1 < h->count && less(&h->entries[down + 1], &h->entries[down])) {
            down++;
        }
        if (!less(&h->entries[down], &last)) {
            break;
        }
        h->entries[at] = h->entries[down];
        at = down;
    }
    h->entries[at] = last;
    return first;
}
