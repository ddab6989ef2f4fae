/* overlay.h - the writes of a group of commands that is not committed yet.
 *
 * The core thread executes many commands and commits them as one batch. Until then their writes
 * stand here, in order, with a hash table over them, so that later commands of the group read
 * them. Each write remembers the one before it on the same key: a command that fails half way
 * is undone by taking its writes off the end.
 *
 * A write may delete a whole range: it stands for a later delete of every key in it. Ranges are in
 * no hash table, a lookup goes through all of them: there are few, as a rule none.
 *
 * Invariants (tests/node/test_overlay.c)
 *   I1  overlay_find gives the last write of a key, a range's too, or nothing when there is none
 *   I2  overlay_undo(o, n) restores exactly what overlay_find said when count was n. (Linear
 *       probing without deletions: clearing the slot that the last new key took is the inverse of
 *       taking it, and growing inserts again in the order of the writes.)
 *
 * Failure: ST_NOMEM, nothing changed.
 * Ownership: keys and values are borrowed until overlay_undo takes them off; overlay_copy gives
 * bytes that live until overlay_reset.
 * Determinism: a function of the calls. */
#ifndef NODE_OVERLAY_H
#define NODE_OVERLAY_H

#include "base/mem.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdint.h>

struct overlay_write {
    struct slice key;
    struct slice value;
    uint64_t hash;
    uint32_t before; /* the previous write of this key, or range: index + 1, or 0 */
    bool erase;      /* it deletes the key */
    bool range;      /* that too, and all keys from it to before `value` */
};

struct overlay_chunk; /* of copied bytes */

struct overlay {
    struct mem *mem; /* borrowed */
    struct overlay_write *writes;
    uint32_t count;
    uint32_t cap;
    uint32_t *slots;     /* the last write of a key: index + 1, or 0 for free */
    uint32_t slot_count; /* a power of two, or 0 */
    uint32_t key_count;
    uint32_t ranges; /* the last write that is one: index + 1, or 0 */
    size_t bytes;    /* of keys and values */
    struct overlay_chunk *chunks;
};

static inline void overlay_init(struct overlay *o, struct mem *mem)
{
    *o = (struct overlay){.mem = mem};
}

/* Safe on a zeroed struct. */
void overlay_release(struct overlay *o);

/* The last write of the key, borrowed until the next change; NULL: none. */
const struct overlay_write *overlay_find(const struct overlay *o, struct slice key);

/* The last range that hides the key from what was there before write `since`; NULL: none. */
const struct overlay_write *overlay_hides(const struct overlay *o, struct slice key,
                                          uint32_t since);

/* True when write i is the last of its key, but for ranges; a range always is. */
bool overlay_is_last(const struct overlay *o, uint32_t i);

/* Adds a write; with erase the value is not looked at. */
NODISCARD enum status overlay_add(struct overlay *o, struct slice key, struct slice value,
                                  bool erase);

/* Adds a delete of begin <= key < end; there are such keys. */
NODISCARD enum status overlay_add_range(struct overlay *o, struct slice begin, struct slice end);

/* Takes writes off the end until `count` are left. */
void overlay_undo(struct overlay *o, uint32_t count);

/* Room for `size` bytes that live until overlay_reset; NULL when refused. */
char *overlay_copy_room(struct overlay *o, size_t size);

/* Forgets everything, copies too; keeps a modest amount of memory. */
void overlay_reset(struct overlay *o);

#endif
