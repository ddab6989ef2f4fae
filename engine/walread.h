/* walread.h - reads a log or manifest record by record, and tells a torn tail from damage.
 *
 * A record comes out only when all its fragments are there and right. Reading stops at the first
 * byte that is not what was written (`damage`); nothing behind it is ever returned. Whether
 * that is the end of what a crash left or damage to what was safe is asked of
 * walread_evidence(): bytes that were known to be on the medium are not lost by a crash.
 *
 * Failure: ST_CORRUPT (see `damage`), ST_NOMEM, statuses of the file calls. The reader changes
 * nothing. One thread at a time. */
#ifndef ENGINE_WALREAD_H
#define ENGINE_WALREAD_H

#include "base/buf.h"
#include "engine/walfmt.h"
#include "env/env.h"

struct walread {
    struct env *env; /* borrowed */
    int fd;          /* -1: none */
    bool hardware_crc;
    bool epoch_known;
    uint32_t epoch;
    uint64_t number;
    uint64_t file_size;
    uint64_t end;    /* reading stops here: the file's size, or less when that is known */
    uint64_t at;     /* of the next fragment */
    uint64_t damage; /* after ST_CORRUPT: offset of the first bad fragment */
    char *block;     /* owned; WALFMT_BLOCK bytes */
    uint64_t block_at;
    size_t block_size;
    struct buf whole; /* a record of several fragments */
};

struct walread_record {
    uint8_t type;      /* WALFMT_FULL for data, HEADER, MARK; NONE: the end was reached */
    uint64_t sequence; /* of its first fragment */
    uint64_t synced;   /* the most that any of its fragments says */
    uint64_t start;
    uint64_t end;      /* offset behind it */
    struct slice data; /* borrowed until the next call */
};

/* Opens the file at path. With limit < UINT64_MAX the file is known to be that long: less is
 * damage at its end, and what lies behind is not read. On failure there is nothing to close. */
NODISCARD enum status walread_open(struct walread *r, struct env *env, const char *path,
                                   uint64_t number, uint64_t limit);

/* Safe on a zeroed struct and twice. */
void walread_close(struct walread *r);

NODISCARD enum status walread_next(struct walread *r, struct walread_record *record);

/* After damage: whether a fragment at or behind it says that the file was on the medium beyond it.
 * Reads the rest of the file. */
NODISCARD enum status walread_evidence(struct walread *r, bool *found);

/* After damage: whether there are only zeros from it to the end of the file: space that was written
 * ahead and never used (wal_ahead). Reads the rest of the file. */
NODISCARD enum status walread_blank(struct walread *r, bool *blank);

#endif
