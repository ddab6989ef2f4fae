/* conntab.h - connections by token: a descriptor's number may be handed out again at once, a
 * token never is.
 *
 * A token is a slot (the lowest free one, so that the table stays small) and the slot's
 * generation, which counts up whenever the slot is given to somebody else. Events and replies
 * carry tokens, so what was meant for a closed connection finds nobody, instead of finding the
 * next one that got the same descriptor.
 *
 * Failure: ST_NOMEM, nothing changed. */
#ifndef NET_CONNTAB_H
#define NET_CONNTAB_H

#include "base/mem.h"
#include "base/status.h"

#include <stdint.h>

struct conntab_slot {
    uint32_t generation;
    uint32_t next_free; /* while item is NULL: index + 1, or 0 */
    void *item;
};

struct conntab {
    struct mem *mem; /* borrowed */
    struct conntab_slot *slots;
    uint32_t used; /* slots ever given out */
    uint32_t cap;
    uint32_t count;
    uint32_t vacant; /* first of the chain: index + 1, or 0 */
};

static inline void conntab_init(struct conntab *t, struct mem *mem)
{
    *t = (struct conntab){.mem = mem};
}

/* Frees the table, not the items. Safe on a zeroed struct. */
void conntab_release(struct conntab *t);

/* Stores item (not NULL) and gives its token, which is below 2^63. */
NODISCARD enum status conntab_add(struct conntab *t, void *item, uint64_t *token);

/* The item, or NULL when it was removed. */
void *conntab_find(const struct conntab *t, uint64_t token);

/* Takes it out; the token is of a present item. */
void conntab_remove(struct conntab *t, uint64_t token);

#endif
