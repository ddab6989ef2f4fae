/* lz4.h - the LZ4 block format: a fast compressor and a decoder that trusts nothing.
 *
 * What lz4_pack writes any LZ4 library reads, and the other way round. */
#ifndef ENGINE_LZ4_H
#define ENGINE_LZ4_H

#include "base/status.h"

#include <stddef.h>

#define LZ4_WORK ((size_t)16 << 10) /* bytes of memory for lz4_pack, aligned for a u32 */

/* A capacity at which lz4_pack of n bytes cannot fail. */
size_t lz4_bound(size_t n);

/* Compresses n bytes into dst; returns the size, 0 when it is more than cap. n < 2^31. */
size_t lz4_pack(const void *src, size_t n, void *dst, size_t cap, void *work);

/* dst gets exactly size bytes, or it is ST_CORRUPT and what dst holds means nothing. */
NODISCARD enum status lz4_unpack(const void *src, size_t n, void *dst, size_t size);

#endif
