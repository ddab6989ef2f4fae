/* pbarena.h - memory for what one decoded message holds beside its struct: its repeated fields.
 *
 * Blocks are handed out one behind the other from chunks and are never given back singly;
 * pbarena_reset makes them all free at once and keeps a chunk that is large enough for what was
 * needed last, so that a stream of like messages allocates nothing.
 *
 * Invariants (tests/net/test_pbarena.c)
 *   I1  a block stays where it is until reset or release, unless it is itself grown
 *   I2  the sizes handed out since the last reset are never more than `limit`
 *   I3  after a reset at most `keep` bytes are held
 * Failure: ST_TOOBIG over the limit, ST_NOMEM when memory is refused; all blocks stay valid.
 * Ownership: chunks belong to the arena. Determinism: a function of the calls. */
#ifndef NET_PBARENA_H
#define NET_PBARENA_H

#include "base/mem.h"
#include "base/status.h"

#include <stddef.h>

struct pbarena_chunk {
    struct pbarena_chunk *older;
    size_t cap; /* bytes behind this header */
};

struct pbarena {
    struct mem *mem; /* borrowed */
    size_t limit;
    size_t keep;
    struct pbarena_chunk *chunk; /* owned; the newest, from which blocks are taken */
    size_t at;                   /* bytes taken of it */
    size_t taken;                /* since the last reset, of all chunks */
    size_t wish;                 /* the next chunk has at least so many bytes */
};

void pbarena_init(struct pbarena *a, struct mem *mem, size_t limit, size_t keep);

/* Safe on a zeroed struct. */
void pbarena_release(struct pbarena *a);

/* All blocks are gone. */
void pbarena_reset(struct pbarena *a);

/* Makes the block at *block larger, from old_size to new_size bytes; NULL and 0: a new one. It may
 * move; old bytes are kept, new ones are undefined. Aligned to 8. */
NODISCARD enum status pbarena_grow(struct pbarena *a, void **block, size_t old_size,
                                   size_t new_size);

#endif
