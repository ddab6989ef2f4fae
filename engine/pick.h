/* pick.h - which compaction comes next.
 *
 * Levels from 1 on grow towards the last one: targets are computed from what the fullest level
 * holds, so that a small database does not drag half-empty levels along; level 0 goes straight to
 * the first level that has a target (the base). A level's score is what it holds over its
 * target, level 0's is its number of tables over options.level0_files; the highest score of 1 or
 * more goes first. When no level is too full, level 0 goes down if cursors have looked into several
 * of its tables often; then tables dense with deletes go down, or are written
 * again where they are when nothing lies deeper, so that space comes back without waiting for
 * luck.
 *
 * Invariants
 *   P1  level 0 goes down as a whole, as far as it was there when the choice was made: an older
 *       table never stays above a newer one
 *   P2  all tables of the written level that the chosen ones overlap are inputs too
 *   P3  see J3 in compact.h
 *   P4  choosing ends when nothing is written: every choice makes progress
 *
 * All functions run under db->mutex. Failure: ST_NOMEM; nothing is marked then. */
#ifndef ENGINE_PICK_H
#define ENGINE_PICK_H

#include "engine/compact.h"

/* The most urgent compaction that does not meet one in hand; its inputs are marked busy, and it is
 * in db->compactions. NULL: none. */
NODISCARD enum status pick_next(struct tkv *db, struct compaction **c);

/* One step of compact-range: what of `level` lies in [begin, end] (NULL: open) goes down, or, at
 * the deepest level, is written again if it holds deletes that may go. Called again until NULL:
 * nothing is left to do at this level, or it would meet one in hand. */
NODISCARD enum status pick_manual(struct tkv *db, int level, const struct slice *begin,
                                  const struct slice *end, struct compaction **c);

/* The inputs are not busy any more; frees it. */
void pick_done(struct compaction *c);

/* What the levels of v are to hold, in bytes; levels above the base have 0. Returns the base. */
int pick_targets(const struct version *v, const struct tkv_options *o,
                 uint64_t targets[TKV_LEVELS]);

/* From so many needless looks of cursors into tables of level 0 on (db->level0_reads) it is cheaper
 * to compact it, however few they are; two tables at least. */
uint64_t pick_reads_limit(const struct version *v);

#endif
