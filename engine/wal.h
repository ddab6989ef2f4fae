/* wal.h - writes one log (or manifest): records cut into fragments, gathered, appended, synced.
 *
 * Records are staged in memory and go to the file when wal_flush() says so or the stage is full,
 * so that a group of them is one append. What a record says in `synced` is how far the
 * file was known to be on the medium when it was staged. Each megabyte is sent on its way to the
 * medium when the next begins.
 *
 * Invariants
 *   W1  a file is made, and appended to by the process that made it; by another only where that
 *       one has said that all of it was on the medium when it closed it (manifest.h, M1)
 *   W2  after any failure the file is not written or synced again: the caller shuts it
 *   W3  what follows `size` in the file is zeros (the Env may put some there too: ENV_GROWS)
 *   W4  synced <= size, and it moves only when a sync of all that was flushed has succeeded
 *
 * Failure: statuses of the file calls; ST_NOMEM from wal_init only. One thread at a time. */
#ifndef ENGINE_WAL_H
#define ENGINE_WAL_H

#include "engine/walfmt.h"
#include "env/env.h"

#define WAL_STAGE (2 * WALFMT_BLOCK) /* holds any fragment besides what waits */

struct wal {
    struct env *env; /* borrowed */
    char *stage;     /* owned; WAL_STAGE bytes */
    size_t staged;
    int fd; /* -1: no file */
    bool hardware_crc;
    uint32_t epoch;
    uint64_t number;
    uint64_t size;    /* of what counts, with what is staged */
    uint64_t synced;  /* on the medium for sure */
    uint64_t filled;  /* of the file: zeros may follow what counts */
    uint64_t ahead;   /* bytes of zeros that wal_ahead() writes next; 0: none */
    uint64_t started; /* up to here the file was told to go to the medium without waiting */
    uint64_t written; /* bytes handed to files so far, zeros too */
};

/* No file yet. */
NODISCARD enum status wal_init(struct wal *w, struct env *env);

/* Closes the file if there is one and frees the stage. Safe on a zeroed struct. */
void wal_release(struct wal *w);

/* Makes the file at path, which must not exist, and stages its header. head->number counts.
 * The name is not durable yet. On failure there is no file open, but one may exist. */
NODISCARD enum status wal_create(struct wal *w, const char *path, const struct walfmt_head *head);

/* Opens the file at path that an older process wrote (W1): its bytes up to `size` are on the medium
 * for sure and count; what it holds up to `filled` does not, and is written over. */
NODISCARD enum status wal_reopen(struct wal *w, const char *path, uint64_t number, uint32_t epoch,
                                 uint64_t size, uint64_t filled);

/* After wal_flush(): writes zeros over what the file still holds behind `size`. */
NODISCARD enum status wal_blank(struct wal *w);

/* Stages one record: the parts one after another. May flush. */
NODISCARD enum status wal_append(struct wal *w, uint64_t sequence, const struct env_slice *parts,
                                 int count);

/* Stages a mark: ends the opening of a log, and says how far it is synced. */
NODISCARD enum status wal_append_mark(struct wal *w);

/* A mark with a payload. It is one fragment: false when the block has no room for it, and then
 * nothing is staged. */
NODISCARD bool wal_append_note(struct wal *w, const void *payload, size_t size);

/* Before a sync: hands what is staged to the file, and has zeros written behind it if there are
 * none left, up to `limit` bytes of the file: what comes next goes into space that the file system
 * knows already, so that the syncs after this one need not write metadata. Only an attempt: when
 * it fails the file is as it was but for zeros at its end. */
NODISCARD enum status wal_ahead(struct wal *w, uint64_t limit);

/* Hands what is staged to the file. */
NODISCARD enum status wal_flush(struct wal *w);

/* Flushes, and waits until all of it is on the medium. */
NODISCARD enum status wal_sync(struct wal *w);

/* Closes the file, whatever state it is in; what is staged is dropped. Harmless without one. */
void wal_shut(struct wal *w);

static inline bool wal_is_open(const struct wal *w)
{
    return w->fd >= 0;
}

#endif
