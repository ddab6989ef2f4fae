/* collapse.h - which versions of keys a merge may leave out: the rule that compaction and flush
 * share.
 *
 * Snapshots cut the sequences into stripes: (s0, s1], (s1, s2] … the first one from 0, the last one
 * ending at what is visible. Of several versions of a key in one stripe nobody can see any but the
 * newest. So a version goes when a newer one of its key, or a range tomb over it, lies in the same
 * stripe; and a delete in the first stripe goes when nothing older of its key can lie deeper.
 *
 * Invariants
 *   K1  at every snapshot, and at what is visible, the answer for every key is the same with the
 *       entries that were left out as without them
 *   K2  a delete goes only with everything that it hides
 *
 * Failure: ST_NOMEM from collapse_init and collapse_keep. Entries come in internal order. */
#ifndef ENGINE_COLLAPSE_H
#define ENGINE_COLLAPSE_H

#include "base/buf.h"
#include "engine/entry.h"
#include "engine/tomb.h"
#include "engine/version.h"

struct collapse {
    struct order order;
    const uint64_t *snapshots; /* ascending, what is visible last; at least one; borrowed */
    size_t snapshot_count;
    const struct tomb_set *tombs;  /* of all that is merged; borrowed; NULL: none */
    const struct version *version; /* what lies deeper; borrowed; NULL: anything may */
    int deeper;                    /* the first level that is deeper; 0: of a flush, all are */

    /* private */
    size_t piece;             /* first piece of tombs that does not end before the last key */
    size_t files[TKV_LEVELS]; /* likewise, of each deeper level */
    struct buf key;           /* the last key */
    bool any;                 /* there was one */
    size_t stripe;            /* of its last version */
};

/* Fields above `private` are filled by the caller, the rest is zero. */
void collapse_init(struct collapse *c, struct mem *mem);
void collapse_release(struct collapse *c);

/* Whether the entry stays. */
NODISCARD enum status collapse_keep(struct collapse *c, const struct entry *e, bool *keep);

/* Whether a range tomb of that sequence has to stay: begin ascends from call to call. */
bool collapse_tomb(const struct collapse *c, struct slice begin, struct slice end,
                   uint64_t sequence);

#endif
