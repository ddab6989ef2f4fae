/* edit.h - one atomic step from a version of the database to the next, in memory and as bytes.
 *
 * Bytes (the payload of a manifest's record; docs/format-manifest.md): fields, each a varint tag
 * and what it calls for; the last field is a CRC-free end, as the record carries its own CRC.
 *
 * Ownership: an edit holds a reference to each file that it adds.
 * Failure: ST_NOMEM, and then it is as before; ST_CORRUPT and ST_UNSUPPORTED from edit_decode. */
#ifndef ENGINE_EDIT_H
#define ENGINE_EDIT_H

#include "base/buf.h"
#include "engine/order.h"
#include "engine/tabfile.h"

struct edit_add {
    int level;
    struct tabfile *file;
};

struct edit_remove {
    int level;
    uint64_t number;
};

struct edit {
    struct env *env; /* borrowed */
    struct edit_add *added;
    size_t added_count;
    size_t added_cap;
    struct edit_remove *removed;
    size_t removed_count;
    size_t removed_cap;
    bool has_log_floor;
    bool has_flushed;
    bool has_tag;
    uint64_t log_floor; /* logs below it are not needed */
    uint64_t flushed;   /* every change up to this sequence is in tables */
    uint64_t tag;       /* the highest of those changes */
    uint32_t database;  /* in the first edit of a manifest; 0: not said */
    /* the installer fills these */
    uint64_t next_file;
    uint64_t last_sequence;
};

void edit_init(struct edit *e, struct env *env);
void edit_release(struct edit *e); /* safe on a zeroed one and twice */

/* Takes a reference of its own. */
NODISCARD enum status edit_add_file(struct edit *e, int level, struct tabfile *f);
NODISCARD enum status edit_remove_file(struct edit *e, int level, uint64_t number);

/* Appends the edit's bytes. order_text: the comparator's name, in the first edit of a manifest
 * (else empty). */
NODISCARD enum status edit_encode(const struct edit *e, struct slice order_text, struct buf *out);

/* Reads an edit into e (initialised and empty); the files it adds belong to set. *order_text
 * points into bytes; empty when there is none. */
NODISCARD enum status edit_decode(struct edit *e, struct tabset *set, struct slice bytes,
                                  struct slice *order_text);

#endif
