/* get.h - point reads: the newest visible version of a key among all sources of a superversion.
 *
 * Sources are asked from the newest to the oldest: the active memtable, full ones, tables of level
 * 0, then one table at most of each deeper level. For one key everything in a newer source is newer
 * (E14), range tombstones included: so the first source that has a version, or a tombstone over the
 * key, decides.
 *
 * Invariants
 *   G1  a version is returned only when no range tombstone with a sequence between it and the
 *       reader's covers its key
 *   G2  in a steady state (tables open, blocks cached) nothing is allocated and no lock is taken
 *
 * Failure: ST_NOENT: there is none, or it was deleted. ST_AGAIN: the memtable does not know any
 * more what `sequence` would see: ask with a fresh one. Else what table_get says, and err names
 * file and offset.
 * Ownership: the caller is in the epoch since before he loaded sv, until he is done with
 * result->memtable. */
#ifndef ENGINE_GET_H
#define ENGINE_GET_H

#include "base/err.h"
#include "engine/table.h"

struct memtable;
struct superversion;
struct tkv;

struct get_result {
    struct slice value;
    struct memtable *memtable; /* holds value's bytes; borrowed from the superversion; or NULL: */
    struct block *block;       /* holds them; a reference of the caller's (block_unref); or NULL: */
    /* they lie in the cache until the caller leaves the epoch, or in the room that he gave */
};

/* ask->key and sequence are the caller's, its hash is found here. Zeroes *result first. err may be
 * NULL. */
NODISCARD enum status get_run(struct tkv *db, struct superversion *sv, struct table_ask *ask,
                              struct get_result *result, struct err *err);

#endif
