/* cover.h - the range tombs of one source as a reader at one sequence sees them: which is the
 * newest over a key?
 *
 * Made for keys that come in order: an answer holds up to the edge of its piece, and until then
 * costs one comparison. A level opens only those of its tables that have tombs.
 *
 * Failure: ST_NOMEM; what tabcache_get says. Ownership: memtable, version and cache are borrowed;
 * cover_release() gives back what the cover holds itself. */
#ifndef ENGINE_COVER_H
#define ENGINE_COVER_H

#include "engine/memtable.h"
#include "engine/tabcache.h"
#include "engine/tabfile.h"

struct cover {
    uint64_t tomb;      /* the answer: sequence of the newest tomb over the last key; 0: none */
    struct slice begin; /* of the piece that gave it, when there is one */
    struct slice end;

    /* private */
    struct order order;
    uint64_t sequence;            /* the reader's */
    const struct tomb_set *set;   /* of a memtable or of the open table */
    struct tomb_set *own;         /* owned: a memtable's */
    struct table *table;          /* reference */
    struct tabcache *tabcache;    /* NULL: a memtable */
    struct tabfile *const *files; /* ascending */
    size_t count;
    size_t file;       /* the open one's index */
    bool known;        /* the answer holds, in one direction, */
    bool backward;     /* this one, */
    bool endless;      /* to the end, or */
    struct slice edge; /* forward: below it; backward: from it on */
};

/* The tombs of a table in memory that the sequence sees; what is linked later has none. */
NODISCARD enum status cover_init_memtable(struct cover *c, const struct memtable *t,
                                          uint64_t sequence);
/* count files, ascending and disjoint; opens none yet. */
void cover_init_files(struct cover *c, struct tabcache *tabcache, struct order order,
                      struct tabfile *const *files, size_t count, uint64_t sequence);
void cover_release(struct cover *c); /* harmless on a zeroed one */

/* Any key may come next. */
static inline void cover_reset(struct cover *c)
{
    c->known = false;
}

/* Finds the answer for a key from scratch; backward: keys descend from here on. */
NODISCARD enum status cover_find(struct cover *c, struct slice key, bool backward, struct err *err);

/* Sets the answer for a key that does not lie before the last one in the present direction (unless
 * reset). err may be NULL. */
NODISCARD static inline enum status cover_at(struct cover *c, struct slice key, bool backward,
                                             struct err *err)
{
    if (c->known && c->backward == backward &&
        (c->endless || (order_compare(c->order, key, c->edge) >= 0) == backward)) {
        return ST_OK;
    }
    return cover_find(c, key, backward, err);
}

#endif
