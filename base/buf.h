/* buf.h - a growable run of bytes.
 *
 * Zeroed but for `mem` it is empty and valid. Failure: ST_NOMEM only, and then the contents are
 * as before. Growth doubles, so n appends cost O(n). */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/mem.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdint.h>

struct buf {
    struct mem *mem; /* borrowed; outlives the buffer */
    char *data;      /* owned; NULL while cap is 0 */
    size_t size;
    size_t cap;
};

static inline void buf_init(struct buf *b, struct mem *mem)
{
    *b = (struct buf){.mem = mem};
}

/* Frees the bytes; the buffer is empty and usable again. Safe on a zeroed struct. */
void buf_release(struct buf *b);

/* Makes room for `extra` more bytes. */
NODISCARD enum status buf_reserve(struct buf *b, size_t extra);

NODISCARD enum status buf_append(struct buf *b, const void *data, size_t size);
NODISCARD enum status buf_append_text(struct buf *b, const char *text);

/* Appends a number in decimal. */
NODISCARD enum status buf_append_i64(struct buf *b, int64_t v);

/* Drops the first n <= size bytes, moving the rest down. */
void buf_consume(struct buf *b, size_t n);

static inline void buf_clear(struct buf *b)
{
    b->size = 0;
}

static inline struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->data, b->size);
}

#endif
