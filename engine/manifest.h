/* manifest.h - which tables and logs count: a log of edits, and CURRENT, which names it.
 *
 * MANIFEST-N is written with wal.h: a header (WALFMT_MANIFEST_MAGIC), a record with the whole
 * state, then a record for each edit, synced before anything relies on it. CURRENT holds its name
 * and a CRC; it is replaced by rename, so it always names a manifest that was whole when it was
 * named. See docs/format-manifest.md.
 *
 * Invariants
 *   M1  a manifest is made, never opened again: nothing is appended to what an older process wrote
 *   M2  the state record is synced, and the file's name durable, before CURRENT names it
 *   M3  after a failed append or sync nothing is appended to that file
 *
 * Failure: statuses of the file calls; ST_NOMEM; from reading ST_CORRUPT and ST_UNSUPPORTED with a
 * message that names file and offset. One thread at a time. */
#ifndef ENGINE_MANIFEST_H
#define ENGINE_MANIFEST_H

#include "base/err.h"
#include "engine/version.h"
#include "engine/wal.h"

struct manifest {
    struct env *env; /* borrowed */
    const char *dir; /* borrowed */
    struct order order;
    struct wal wal;
    uint64_t number;   /* of the file; 0: none */
    uint64_t edits;    /* records in it */
    uint64_t snapshot; /* bytes up to the end of the state record */
    struct buf bytes;  /* of an edit, encoded */
};

/* No file yet. */
NODISCARD enum status manifest_init(struct manifest *m, struct env *env, const char *dir,
                                    struct order order);
void manifest_release(struct manifest *m); /* safe on a zeroed one */

/* Leaves the file that is open, if there is one, and makes another, with a state (all of it: every
 * file added, every number set), synced. Its name is not durable yet. */
NODISCARD enum status manifest_create(struct manifest *m, uint64_t number,
                                      const struct edit *state);

/* Makes CURRENT name the manifest, by way of temporary file `tmp`. That is durable only once the
 * directory is synced. *renamed tells whether a failure came after a rename was tried. */
NODISCARD enum status manifest_publish(struct manifest *m, uint64_t tmp, bool *renamed);

/* Appends an edit and syncs it. */
NODISCARD enum status manifest_append(struct manifest *m, const struct edit *e);

/* It has grown so that a new one pays. */
bool manifest_grown(const struct manifest *m);

/* Says in the file, without syncing it, that all of it is on the medium; then closes it. */
void manifest_end(struct manifest *m);

/* ---- reading ---- */

struct manifest_state {
    uint64_t log_floor;
    uint64_t flushed;
    uint64_t tag;
    uint64_t next_file;
    uint64_t last_sequence;
    uint64_t size;  /* of the part that counts */
    uint64_t edits; /* records in it */
    uint32_t database;
    bool torn; /* something that is no record follows */
};

/* The number of the manifest that CURRENT names. ST_NOENT: there is no CURRENT. */
NODISCARD enum status manifest_current(struct env *env, const char *dir, uint64_t *number,
                                       struct err *err);

/* Reads a manifest: the version that it ends with (files belong to set, `kept`) and its numbers.
 * ST_INVAL: it was made under another order. */
NODISCARD enum status manifest_read(struct env *env, const char *dir, uint64_t number,
                                    struct order order, struct tabset *set,
                                    struct version **version, struct manifest_state *state,
                                    struct err *err);

#endif
