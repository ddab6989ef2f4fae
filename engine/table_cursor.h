/* table_cursor.h - a position in a table that moves both ways.
 *
 * A cursor takes blocks from the cache; what is not there it reads into a buffer of its own, a
 * block or two at first and growing pieces as it goes on, so that most of what it reads it reads
 * where the processor's caches have the buffer already. Only the first blocks of a journey are
 * offered to the cache. With TABLE_SCAN it reads large pieces at once and leaves the cache alone.
 * In a steady state neither a seek nor a step allocates.
 *
 * Invariants: entry is meaningful only while valid; st != ST_OK implies !valid.
 * Failure: the cursor becomes invalid, st says why, err has the text; a seek, first or last begins
 * anew. At the end of the table it is invalid with ST_OK.
 * Ownership: the table is borrowed and outlives the cursor; entry is borrowed until it moves. One
 * thread at a time. */
#ifndef ENGINE_TABLE_CURSOR_H
#define ENGINE_TABLE_CURSOR_H

#include "engine/blockread.h"
#include "engine/table.h"

#define TABLE_CURSOR_KEY 104 /* bytes of a key that need no allocation */

struct table_cursor {
    struct entry entry;
    bool valid;
    enum status st;

    /* private */
    struct table *table;
    unsigned flags;
    struct blockread in; /* the present block */
    uint32_t at;         /* entry in it */
    uint32_t index;      /* its number */
    struct slice head;   /* key of the present group's first entry */
    uint32_t group;      /* which that is */
    uint32_t run;        /* adjacent blocks entered so far, up to a few */
    struct block *block; /* reference: what `in` lies in; or NULL: in ahead or unpacked */
    char *ahead;         /* owned: what was read ahead */
    size_t ahead_cap, ahead_size;
    uint64_t ahead_offset; /* in the file */
    size_t piece;          /* bytes to read next time */
    char *unpacked;        /* owned: one block of it, decompressed */
    size_t unpacked_cap;
    char *key; /* owned, or `small`: where keys are put together */
    size_t key_cap;
    struct err err;
    char small[TABLE_CURSOR_KEY];
};

/* On no entry; never fails and does not allocate. */
void table_cursor_init(struct table_cursor *c, struct table *t, unsigned flags);
void table_cursor_release(struct table_cursor *c); /* harmless on a zeroed one */

void table_cursor_first(struct table_cursor *c);
void table_cursor_last(struct table_cursor *c);
/* The first entry >= (key, sequence) in internal order. */
void table_cursor_seek(struct table_cursor *c, struct slice key, uint64_t sequence);
/* The last entry < (key, sequence). */
void table_cursor_seek_before(struct table_cursor *c, struct slice key, uint64_t sequence);
void table_cursor_next(struct table_cursor *c); /* valid */
void table_cursor_prev(struct table_cursor *c); /* valid */

/* Copies the message of the last failure; returns st. err may be NULL. */
NODISCARD enum status table_cursor_error(const struct table_cursor *c, struct err *err);

#endif
