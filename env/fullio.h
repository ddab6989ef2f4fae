/* fullio.h - whole reads and writes over an Env whose calls may be short.
 *
 * Each loops until everything is done, the file ends, or a call fails. Failure: the status of
 * the call that failed; what went before it is done, and the count says how much that is. */
#ifndef ENV_FULLIO_H
#define ENV_FULLIO_H

#include "env/env.h"

/* Reads size bytes at offset. *got < size only at the end of the file or on failure. */
NODISCARD enum status fullio_pread(struct env *e, int fd, void *buf, size_t size, uint64_t offset,
                                   size_t *got);

/* Writes size bytes at offset. *put < size only on failure. */
NODISCARD enum status fullio_pwrite(struct env *e, int fd, const void *buf, size_t size,
                                    uint64_t offset, size_t *put);

/* Appends all the parts, in order. *put is the sum of their sizes, less only on failure. */
NODISCARD enum status fullio_append(struct env *e, int fd, const struct env_slice *parts, int count,
                                    size_t *put);

#endif
