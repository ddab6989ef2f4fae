/* batch.h - a list of changes as bytes: what tkv_write() takes and what a log record holds.
 *
 *     u32 count, u32 flags (0), then count times:
 *     u8 type, varint key size, varint value size (not for a delete), the key, the value
 *
 * Reading trusts nothing: any damage is ST_CORRUPT, a flag that is not known ST_UNSUPPORTED. */
#ifndef ENGINE_BATCH_H
#define ENGINE_BATCH_H

#include "base/buf.h"
#include "base/code.h"

#include <stdbool.h>

#define BATCH_HEAD           8
#define BATCH_ENTRY_HEAD_MAX (1 + 2 * CODE_VARINT_MAX)

enum batch_type { BATCH_PUT = 1, BATCH_DELETE = 2, BATCH_DELETE_RANGE = 3 };

struct batch_entry {
    uint8_t type;       /* of enum batch_type */
    struct slice key;   /* a range delete: where it begins */
    struct slice value; /* empty for a delete; a range delete: where it ends */
};

/* Walks a batch: zero it but for `rest` and `count` with batch_walk_init. */
struct batch_walk {
    struct slice rest; /* borrowed */
    uint32_t left;     /* entries still to come */
};

/* Writes the head for count entries at p (BATCH_HEAD bytes). */
void batch_put_head(void *p, uint32_t count);

/* Writes all of an entry but key and value at p; returns its size, at most BATCH_ENTRY_HEAD_MAX. */
size_t batch_put_entry_head(void *p, uint8_t type, size_t key_size, size_t value_size);

/* Appends an entry and counts it; b holds a batch (or nothing: then the head comes first). */
NODISCARD enum status batch_add(struct buf *b, const struct batch_entry *entry);

/* The count in the head; data is at least BATCH_HEAD bytes. */
uint32_t batch_count(struct slice data);

NODISCARD enum status batch_walk_init(struct batch_walk *w, struct slice data);

/* The next entry. *more is false at the end, and then the whole batch has been well formed. */
NODISCARD enum status batch_walk_next(struct batch_walk *w, struct batch_entry *entry, bool *more);

/* Walks all of it; *count gets the number of entries. */
NODISCARD enum status batch_check(struct slice data, uint32_t *count);

#endif
