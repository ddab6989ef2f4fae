/* cursor.h - SCAN's cursors: numbers that stand for "after this key".
 *
 * A bounded ring: the oldest cursor makes room for a new one, and asking for it later is an
 * error that says so, never a scan that quietly misses keys. A cursor may be used any number of
 * times while it is remembered. Numbers start at a random place in each incarnation, so that one
 * from before a restart is not taken for another.
 *
 * Failure: ST_NOMEM, nothing changed. */
#ifndef NODE_CURSOR_H
#define NODE_CURSOR_H

#include "base/mem.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdint.h>

struct cursor_slot {
    uint64_t id; /* 0: free */
    char *key;   /* owned */
    size_t size;
};

struct cursor {
    struct mem *mem;           /* borrowed */
    struct cursor_slot *slots; /* owned; made at the first use */
    uint32_t slot_count;
    uint64_t next; /* id of the next cursor */
};

void cursor_init(struct cursor *c, struct mem *mem, uint32_t slots, uint64_t salt);

/* Safe on a zeroed struct. */
void cursor_release(struct cursor *c);

/* Remembers the key (copied) under a new id, which is not 0 and below 2^63. */
NODISCARD enum status cursor_add(struct cursor *c, struct slice key, uint64_t *id);

/* The key of a cursor, borrowed until the next cursor_add; ST_NOENT: never given out, or too
 * long ago. */
NODISCARD enum status cursor_find(const struct cursor *c, uint64_t id, struct slice *key);

#endif
