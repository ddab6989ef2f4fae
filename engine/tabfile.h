/* tabfile.h - one table of the database, as versions share it.
 *
 * A file lives as long as something refers to it: a version, an edit, a compaction that reads it.
 * With the last reference it goes onto its set's list; whoever sweeps closes it and, when no
 * manifest names it (`kept` is not set), removes the file too.
 *
 * Invariants
 *   TF1  `kept` is set when a durable edit names the file, cleared when a durable edit drops it;
 *        only the installer writes it
 *   TF2  a file with references is never removed from the disk
 *
 * Failure: ST_NOMEM from tabfile_new alone. */
#ifndef ENGINE_TABFILE_H
#define ENGINE_TABFILE_H

#include "base/status.h"
#include "engine/tabcache.h"
#include "engine/tableinfo.h"
#include "engine/tabset.h"
#include "env/env.h"

struct tabfile {
    uint64_t refs;             /* atomic */
    struct tabset *set;        /* borrowed; outlives it */
    struct table_info info;    /* its slices point into bytes */
    uint64_t kept;             /* atomic; 0 or 1 */
    struct tabcache_slot slot; /* its open table */
    bool busy;                 /* a compaction has it as an input; under db->mutex */
    struct tabfile *next;      /* of the list of those that are gone */
    char bytes[];
};

/* A file with one reference, the caller's; info is copied with what it points to. */
NODISCARD enum status tabfile_new(struct tabset *set, const struct table_info *info,
                                  struct tabfile **file);
void tabfile_free(struct tabfile *f); /* one that was taken from the set */

void tabfile_ref(struct tabfile *f);
void tabfile_unref(struct tabfile *f); /* NULL is harmless */

#endif
