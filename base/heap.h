/* heap.h - a binary min-heap of (key, tie, item), for timers.
 *
 * Equal keys come out in the order of `tie`, which the caller makes unique (a counter), so the
 * order never depends on the heap's history. An entry that is no longer wanted is left in place
 * and recognised by its owner when it comes out. Failure: ST_NOMEM, nothing changed. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/mem.h"
#include "base/status.h"

#include <stdint.h>

struct heap_entry {
    uint64_t key;
    uint64_t tie;
    void *item; /* the caller's */
};

struct heap {
    struct mem *mem; /* borrowed */
    struct heap_entry *entries;
    size_t count;
    size_t cap;
};

static inline void heap_init(struct heap *h, struct mem *mem)
{
    *h = (struct heap){.mem = mem};
}

/* Frees the array, not the items. Safe on a zeroed struct. */
void heap_release(struct heap *h);

NODISCARD enum status heap_push(struct heap *h, struct heap_entry entry);

/* The least entry, or NULL; valid until the next call. */
static inline const struct heap_entry *heap_first(const struct heap *h)
{
    return h->count > 0 ? &h->entries[0] : NULL;
}

/* Takes the least entry out; the heap must not be empty. */
struct heap_entry heap_pop(struct heap *h);

#endif
