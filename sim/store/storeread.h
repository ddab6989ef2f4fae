/* storeread.h - reading operations of a worker, each checked against the model: points, snapshots,
 * cursors held open across writes, pins. */
#ifndef SIM_STORE_STOREREAD_H
#define SIM_STORE_STOREREAD_H

#include "sim/store/store_int.h"

void storeread_get(struct storeworker *w, struct env *env);
void storeread_pin(struct storeworker *w);
void storeread_unpin(struct storeworker *w);
void storeread_many(struct storeworker *w, struct env *env);
void storeread_scan(struct storeworker *w);
void storeread_snapshot(struct storeworker *w);    /* takes one, or lets one go */
void storeread_by_snapshot(struct storeworker *w); /* reads through one that is held */
void storeread_cursor(struct storeworker *w);      /* makes one, or lets one go */
void storeread_move(struct storeworker *w);        /* moves one that is held, some steps */

/* Lets go of everything that the worker holds, checking it once more. */
void storeread_release(struct storeworker *w);

#endif
