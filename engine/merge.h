/* merge.h - every entry of several tables in internal order: for rewriting them as one.
 *
 * Tables must not change meanwhile and must not share an entry. Choosing among them is a scan: they
 * are few (options.memtables_max + 1). Zero to start over; nothing to release but the array. */
#ifndef ENGINE_MERGE_H
#define ENGINE_MERGE_H

#include "engine/memtable.h"

struct merge {
    struct env *env;            /* borrowed */
    const struct skl_node **at; /* owned; NULL: that table is done */
    size_t count;
    size_t least; /* index of the present entry */
};

/* Stands on the first entry. */
NODISCARD enum status merge_init(struct merge *m, struct env *env, struct memtable *const *tables,
                                 size_t count);
void merge_release(struct merge *m);

/* The present entry; NULL at the end. */
static inline const struct skl_node *merge_entry(const struct merge *m)
{
    return m->at[m->least];
}

/* One entry on; there must be a present one. */
void merge_next(struct merge *m);

#endif
