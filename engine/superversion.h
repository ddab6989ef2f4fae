/* superversion.h - all that a reader looks in, in one piece: the memtables, and the version of the
 * tables on disk.
 *
 * Never changes once it is installed, but for the active memtable's contents. The database holds
 * one reference; short readers hold none (they are in the epoch), long ones (iterators) take one.
 * The database's reference is given back through the epoch.
 *
 * Failure: ST_NOMEM from superversion_new alone. */
#ifndef ENGINE_SUPERVERSION_H
#define ENGINE_SUPERVERSION_H

#include "engine/epoch.h"
#include "engine/memtable.h"
#include "engine/version.h"

struct superversion {
    struct env *env;         /* borrowed */
    uint64_t refs;           /* atomic */
    struct epoch_item item;  /* once it is replaced */
    struct version *version; /* a reference of each is held */
    struct memtable *active;
    size_t full_cap;
    size_t full_count;
    struct memtable *full[]; /* newest first */
};

/* An empty one with room for full_cap full memtables and one reference, the caller's. */
NODISCARD enum status superversion_new(struct env *env, size_t full_cap,
                                       struct superversion **superversion);

/* Fill one that is not installed yet; each takes a reference. Full tables come newest first. */
void superversion_set(struct superversion *s, struct version *version, struct memtable *active);
void superversion_add_full(struct superversion *s, struct memtable *t);

/* Fills s from old: the active memtable, whose last sequence is `last`, counts as full now, and
 * table takes its place. */
void superversion_rotate(struct superversion *s, const struct superversion *old,
                         struct memtable *table, uint64_t last);

void superversion_ref(struct superversion *s);
void superversion_unref(struct superversion *s); /* NULL is harmless */

/* Gives one reference back once no reader without a reference can see it. */
void superversion_retire(struct superversion *s, struct epoch *epoch);

/* Bytes of memory in its memtables. */
uint64_t superversion_bytes(const struct superversion *s);

#endif
