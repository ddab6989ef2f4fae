/* background.h - the thread that keeps logs short and brings a broken log back.
 *
 * An attempt does one of two things. Flush: full tables and the base are merged into a new base,
 * and the logs below it go. Renew (the log is broken): everything visible is merged into a new
 * base, and only on top of that a fresh log is made, so that nothing depends on bytes whose sync
 * failed. Attempts run when kicked; one that failed is tried again when somebody waits for it.
 *
 * Invariants
 *   B1  a base is synced before it has its name, and its name is durable before it is installed
 *   B2  logs and the old base are removed after that, never before
 *   B3  a name whose directory sync failed is not used again: the next attempt makes another
 *
 * Failure: an attempt's status; the database is as before, a file that is left over is removed
 * or ignored by the next open. */
#ifndef ENGINE_BACKGROUND_H
#define ENGINE_BACKGROUND_H

#include "engine/db.h"

NODISCARD enum status background_start(struct tkv *db);

/* Waits for the attempt in hand and ends the thread. */
void background_stop(struct tkv *db);

/* There is work. Under mutex. */
void background_kick(struct tkv *db);

/* Waits for the attempt in hand, or else has one made; its status. Under mutex, which is let go
 * meanwhile: look at the world again. */
NODISCARD enum status background_wait(struct tkv *db);

#endif
