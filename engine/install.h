/* install.h - one step from a state of the database to the next: made durable, then shown.
 *
 * An edit's tables are on the medium with their names before it comes here. It is appended to the
 * manifest and synced; then the new superversion takes the place of the old one; then what nothing
 * needs any more is removed. When an append, its sync, or the making of a manifest fails, the
 * manifest is in doubt: what it says after a crash is one of two states. Nothing is removed then,
 * until a new manifest with the state before that edit is durable (the next install begins with
 * it), so that both states find their files.
 *
 * Invariants
 *   N1  an edit is durable before its version is shown, and shown before anything is removed
 *   N2  while the manifest is in doubt no file is removed
 *   N3  versions are shown in the order of their edits
 *
 * Failure: the edit is not shown; its tables go with its references, once that is allowed. */
#ifndef ENGINE_INSTALL_H
#define ENGINE_INSTALL_H

#include "engine/db.h"

/* Makes e durable and shows it; the oldest `flushed_tables` full memtables leave with it. Fills
 * e's next_file and last_sequence. Takes installing and mutex. */
NODISCARD enum status install_run(struct tkv *db, struct edit *e, size_t flushed_tables);

/* The first manifest of this opening: the state is in db (superversion, numbers). No other thread
 * runs. */
NODISCARD enum status install_first(struct tkv *db);

/* This opening goes on with the manifest that it read, which is open: what it names is kept. No
 * other thread runs. */
void install_resumed(struct tkv *db);

/* Replaces the superversion by one that is filled. Under mutex, or before other threads run. */
void install_show(struct tkv *db, struct superversion *next);

/* Removes logs below the floor, and tables without references that no manifest names; frees what
 * readers have left. Takes installing and mutex. True: something waits for readers. */
bool install_sweep(struct tkv *db);

/* Lets go of the superversion and of every table. No other thread runs; what is left over is
 * removed unless the manifest is in doubt. */
void install_end(struct tkv *db);

#endif
