/* rewrite.h - merges tables into one: in memory, and as a base file.
 *
 * The new table holds the newest version of each key, unless that is a delete, and those older ones
 * that a live snapshot still sees. The file holds the newest ones alone: no snapshot
 * outlives the process. */
#ifndef ENGINE_REWRITE_H
#define ENGINE_REWRITE_H

#include "engine/basefile.h"

struct rewrite {
    struct env *env;
    struct memtable *const *tables; /* newest first, the base last */
    size_t count;
    const uint64_t *snapshots; /* ascending */
    size_t snapshot_count;
    const char *path; /* of the file to make */
    uint64_t number;
    uint64_t log_floor;
    uint64_t last;
};

/* *base and *size are set on ST_OK: the table is the caller's and the file is on the medium under
 * its temporary name. Otherwise a file may be left at path. */
NODISCARD enum status rewrite_run(const struct rewrite *r, struct memtable **base, uint64_t *size);

#endif
