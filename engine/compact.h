/* compact.h - one compaction: tables of a level, and what they overlap in another, rewritten there.
 *
 * pick.h chooses it under db->mutex; it then belongs to the thread that runs it. What it makes is
 * an edit: the inputs out, the outputs in. Nothing changes before that edit is installed.
 *
 * Invariants
 *   J1  outputs hold what the inputs held, less what collapse.h allows
 *   J2  any failure to read an input, or to write an output, is the compaction's failure: inputs
 *       stay (never bytes from an unverified block under a fresh checksum)
 *   J3  two compactions in hand share no input, nor do their ranges meet in a level they write
 *
 * Failure: statuses of the file calls, ST_CORRUPT naming the file, ST_NOMEM; ST_AGAIN: the database
 * is being closed. Outputs go with their references. */
#ifndef ENGINE_COMPACT_H
#define ENGINE_COMPACT_H

#include "engine/db.h"
#include "engine/edit.h"

struct compaction {
    struct list link;        /* of those in hand; under mutex */
    struct tkv *db;          /* borrowed */
    struct version *version; /* a reference; inputs are its files */
    int level;               /* where the first inputs lie */
    int output;              /* level that is written; may be `level` itself */
    struct tabfile **inputs; /* owned array; of `level` first, then of `output` */
    size_t input_count;
    size_t upper_count; /* of `level` */
    bool move;          /* its files go down as they are */
    bool manual;        /* of compact-range */
    struct slice least; /* user keys that it spans, both inclusive; point into inputs */
    struct slice most;
    uint64_t *snapshots; /* owned; ascending, what is visible last */
    size_t snapshot_count;
    uint64_t bytes_in;

    /* out */
    uint64_t bytes_out;
    uint64_t ns;
};

/* Fills e (initialised, empty). Without mutex. err may be NULL. */
NODISCARD enum status compact_run(struct compaction *c, struct edit *e, struct err *err);

/* One table out of full memtables: what a flush makes. */
struct compact_flush {
    struct tkv *db;                 /* borrowed, as all below */
    struct memtable *const *tables; /* newest first */
    size_t count;
    const uint64_t *snapshots; /* ascending, what is visible last */
    size_t snapshot_count;
    /* All older data; NULL: not known, and every delete stays. One that was shown once the
     * memtables were full will do: later ones hold the same keys, but for those that are dropped.
     */
    const struct version *version;
};
/* *file is the caller's reference; NULL: nothing was left. Synced, its name is not. */
NODISCARD enum status compact_flush(const struct compact_flush *f, struct tabfile **file,
                                    struct err *err);

#endif
