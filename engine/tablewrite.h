/* tablewrite.h - writing a table file, in one pass over sorted entries.
 *
 *     tablewrite_open, tablewrite_add ..., tablewrite_add_tombs, tablewrite_finish
 *
 * Invariant: entries come strictly ascending in internal order (CK); so a bug in a merge never
 * reaches the disk. Failure: what the Env or `pace` says; the writer is then only good for
 * release, and the file, unfinished, is the caller's to remove.
 * Durability: finish has synced the file, the directory is the caller's. */
#ifndef ENGINE_TABLEWRITE_H
#define ENGINE_TABLEWRITE_H

#include "base/err.h"
#include "engine/entry.h"
#include "engine/tablefmt.h"
#include "engine/tomb.h"
#include "env/env.h"

struct tablewrite_options {
    struct env *env;
    struct order order;
    uint64_t number;
    uint32_t block_bytes;  /* of a data block before compression, about; 64..1 MiB */
    uint32_t filter_bits;  /* a key; 0: no filter */
    uint32_t prefix_bytes; /* 0: prefixes are not in the filter */
    uint8_t compression;   /* enum tkv_compression */
    /* Called before every write of so many bytes; may wait. Not ST_OK: the table fails with it.
     * NULL: none. */
    enum status (*pace)(void *arg, uint64_t bytes);
    void *pace_arg;
};

struct tablewrite_state;

struct tablewrite {
    struct tablewrite_state *state; /* owned */
};

/* ST_EXIST: the file is there already. */
NODISCARD enum status tablewrite_open(struct tablewrite *w, const struct tablewrite_options *o,
                                      const char *path);
NODISCARD enum status tablewrite_add(struct tablewrite *w, const struct entry *e);
/* At most once; set may be NULL; copied before it returns. */
NODISCARD enum status tablewrite_add_tombs(struct tablewrite *w, const struct tomb_set *set);
/* Bytes of the file if it were finished now, about. */
uint64_t tablewrite_size(const struct tablewrite *w);
/* Of entries and tombs. 0: finish would be a bug: there is no empty table. */
uint64_t tablewrite_count(const struct tablewrite *w);
/* Writes what is left and syncs. info's slices are borrowed until release. */
NODISCARD enum status tablewrite_finish(struct tablewrite *w, struct table_info *info);
/* What failed and where; "" when nothing did. */
const char *tablewrite_error(const struct tablewrite *w);
/* Closes the file. Harmless on a zeroed one. */
void tablewrite_release(struct tablewrite *w);

#endif
