/* manifest.h - which tables and logs count: a log of edits, and CURRENT, which names it.
 *
 * MANIFEST-N is written with wal.h: a header (WALFMT_MANIFEST_MAGIC), a record with the whole
 * state, then a record for each edit, synced before anything relies on it. CURRENT holds its name
 * and a CRC; it is replaced by rename, so it always names a manifest that was whole when it was
 * named. See docs/format-manifest.md.
 *
 * Invariants
 *   M1  a process appends to the manifest that it made, or to one that ends with a closed record,
 *       from where that begins: what lies before it was synced, and what is written is synced anew
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

#define MANIFEST_CLOSED 40 /* bytes of a closed record's payload */

/* A closed record says: when it was written everything was on the medium that counts for the
 * database, with its name: the manifest up to this record, CURRENT, the tables, and one log, or
 * none. It tells of the past, so that nothing rests on its own fate: it is not synced, it is no
 * part of what an open that goes on with the manifest keeps, and the next edit is written over it.
 */
struct manifest_closed {
    uint64_t log; /* number of the log; 0: there was none */
    uint64_t log_size;
    uint32_t log_epoch;
    uint64_t next_file;
    uint64_t last_sequence;
};

struct manifest {
    struct env *env; /* borrowed */
    const char *dir; /* borrowed */
    struct order order;
    struct wal wal;
    uint64_t number;   /* of the file; 0: none */
    uint64_t edits;    /* records in it */
    uint64_t snapshot; /* bytes up to the end of the state record */
    struct buf bytes;  /* of an edit, encoded */
    bool resumed;      /* the file still ends with `found`, behind wal.size */
    struct manifest_closed found;
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

/* Says in the file, without syncing it, that all of it is on the medium, and with `closed` (may be
 * NULL) that everything else is too; then closes it. */
void manifest_end(struct manifest *m, const struct manifest_closed *closed);

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
    /* the file ends with a closed record, that is its last byte too: */
    bool closed;
    struct manifest_closed closing;
    uint64_t closed_at; /* where that begins */
    uint32_t epoch;     /* of the file */
    uint64_t snapshot;  /* bytes up to the end of the state record */
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

/* The payload of a mark. False: it is no closed record, or one of a kind that is not known. */
bool manifest_get_closed(struct slice payload, struct manifest_closed *closed);

/* Opens a manifest that was read and ends with a closed record, to go on with it: the next edit is
 * written over that record. No file is open. */
NODISCARD enum status manifest_reopen(struct manifest *m, uint64_t number,
                                      const struct manifest_state *state);

#endif
