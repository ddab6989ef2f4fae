/* basefile.h - the file that holds everything that lives up to a sequence.
 *
 * Written whole under a temporary name and synced before it gets its own, so one that has a
 * name of its own is complete: any damage in it is damage. It says from which log on to replay.
 *
 * Failure: statuses of the file calls, ST_NOMEM, ST_CORRUPT with a message naming file and offset,
 * ST_UNSUPPORTED for one of a newer version. */
#ifndef ENGINE_BASEFILE_H
#define ENGINE_BASEFILE_H

#include "base/err.h"
#include "engine/memtable.h"
#include "engine/wal.h"

struct basefile {
    struct wal wal;
    struct buf gathered; /* entries that make the next record */
    uint64_t last;
    uint64_t count;
};

struct basefile_info {
    uint64_t log_floor; /* logs from this number on go on top */
    uint64_t last;      /* every change up to this sequence is in it, or was overwritten */
    uint64_t size;      /* of the file */
};

/* Makes the file at path. basefile_release() is due whatever this says. */
NODISCARD enum status basefile_begin(struct basefile *b, struct env *env, const char *path,
                                     uint64_t number, uint64_t log_floor, uint64_t last);
/* Adds a key, ascending. */
NODISCARD enum status basefile_add(struct basefile *b, struct slice key, struct slice value);
/* Writes the end and syncs; *size gets the file's. */
NODISCARD enum status basefile_finish(struct basefile *b, uint64_t *size);
/* Closes it and frees the memory. Safe on a zeroed struct. */
void basefile_release(struct basefile *b);

/* Reads number in dir into a new table, where every entry carries the file's last sequence. */
NODISCARD enum status basefile_load(struct env *env, const char *dir, uint64_t number,
                                    struct memtable **table, struct basefile_info *info,
                                    struct err *err);

#endif
