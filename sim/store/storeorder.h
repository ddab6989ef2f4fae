/* storeorder.h - the order in which the database makes things durable and gives others up (ORDER).
 *
 * What is waited for by luck elsewhere, a crash at the wrong moment, is here a rule on each
 * operation: watches the disk of the run (simdisk_watch) and what the engine says of itself
 * (env/note.h). Rules
 *   O1  a table that the manifest names is guaranteed, with its name
 *   O2  a manifest that counts is guaranteed that far, with its name and CURRENT's
 *   O3  what becomes CURRENT is guaranteed
 *   O4  a log is removed only when all it holds is in tables that such a manifest names
 *   O5  a table is removed only when it is named no more; a manifest when another one counts
 *   O6  a log that an open goes on with is guaranteed, with its name
 * A broken rule fails the run. Recoveries on clones of the disk are not watched. */
#ifndef SIM_STORE_STOREORDER_H
#define SIM_STORE_STOREORDER_H

#include "base/buf.h"
#include "env/env.h"

struct store;

struct storeorder {
    struct buf records; /* struct known_record: in logs, in the order of their writing */
    uint64_t starts;    /* of processes */
    uint64_t manifest;  /* the one that counts; 0: none yet */
    uint64_t flushed;   /* every change up to it is in its tables */
    uint64_t replayed;  /* the last change that the last opening found */
};

void storeorder_init(struct store *s);
void storeorder_release(struct store *s);
/* A process starts: what its recovery will find is its own business. */
void storeorder_started(struct store *s);
/* A note of the process under test. */
void storeorder_note(struct store *s, const struct env_note *n);
/* A recovery was judged: the database has all that it said it found, and no log has more. */
void storeorder_opened(struct store *s);

#endif
