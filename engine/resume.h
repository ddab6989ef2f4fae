/* resume.h - goes on with the files of a database that was closed cleanly.
 *
 * A manifest may end with a closed record (manifest.h): when that was written everything that
 * counts was on the medium. If the directory is still just what the record and the manifest say,
 * nothing has happened since: neither a manifest nor a log has to be made anew, and nothing to be
 * synced.
 *
 * Invariants
 *   U1  it is allowed only when the directory holds the version's tables, one manifest, the log of
 *       the record if that names one, and nothing else of ours: whatever a process does durably
 *       leaves another file, a longer log, or an edit in the record's place
 *   U2  the log has the number, the size to the byte and the epoch of the record, and holds nothing
 *       but its opening, after no other log that is needed
 *   U3  nothing rests on bytes that no sync has covered: the record itself is written over
 *
 * Failure: statuses of the file calls; the directory is as it was, but for a log that was begun.
 * Ownership: everything is borrowed. */
#ifndef ENGINE_RESUME_H
#define ENGINE_RESUME_H

#include "engine/db.h"

/* What an open has found. */
struct resume {
    uint64_t manifest;
    const struct manifest_state *state;
    const struct buf *files; /* struct dbdir_file: what the directory holds */
    size_t tables;           /* of the version; each of them is among the files */
    uint64_t log;            /* the last one; 0: none */
    uint64_t log_size;       /* of the file */
    uint32_t log_epoch;
    bool log_bare; /* it holds its opening and marks to its last byte, and needs none before it */
};

bool resume_allowed(const struct resume *r, const struct tkv_options *o);

/* It is allowed, and db shows the state that was read: readies its manifest and log for appending.
 * No other thread runs. */
NODISCARD enum status resume_run(struct tkv *db, const struct resume *r);

#endif
