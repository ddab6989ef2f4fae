/* background.h - the threads that move what the memtables hold into tables, keep the levels in
 * shape, and bring a broken log back.
 *
 * A thread does one piece of work after another, the most urgent first. Flush: all full memtables
 * become one table of level 0, and the logs below it go. Renew (the log is broken): everything in
 * memory is flushed, and only on top of that a fresh log is made, so that nothing depends on bytes
 * whose sync failed. Compact: what pick_next() says. Sweep: files and memory that nobody refers to
 * any more. There is one flush or renewal at a time, and always a thread free for it when there
 * are two or more.
 *
 * A piece of work that failed is tried again after a while, longer from time to time, and at once
 * when somebody waits for it.
 *
 * Invariants
 *   B1  a table is synced, and its name durable, before an edit names it
 *   B2  a name whose directory sync failed is not used again: the next attempt makes another
 *   B3  a renewed log has nothing before it that was in doubt
 *
 * Failure: an attempt's status; the database is as before, files left over are swept. */
#ifndef ENGINE_BACKGROUND_H
#define ENGINE_BACKGROUND_H

#include "engine/db.h"

struct compaction;

NODISCARD enum status background_start(struct tkv *db);

/* Waits for what is in hand (compactions give up) and ends the threads. Harmless without any. */
void background_stop(struct tkv *db);

/* There is work. Under mutex. */
void background_kick(struct tkv *db);

/* Waits for the flush (or renewal) in hand, or else has one made; its status. Under mutex, which is
 * let go meanwhile: look at the world again. */
NODISCARD enum status background_wait_flush(struct tkv *db);

/* Waits until level 0 is below level0_stop, or a compaction failed: its status. As above. */
NODISCARD enum status background_wait_level0(struct tkv *db);

/* Waits until there is nothing to do; the status of what failed meanwhile. As above. */
NODISCARD enum status background_wait_idle(struct tkv *db);

/* Carries c out, shows the outcome, frees c. Under mutex, which is let go meanwhile. */
NODISCARD enum status background_compact(struct tkv *db, struct compaction *c);

/* Puts everything in memory into tables, without a log for what comes next: for a log that is
 * broken, and for closing. Nobody writes meanwhile. Takes mutex. */
NODISCARD enum status background_flush_all(struct tkv *db);

#endif
