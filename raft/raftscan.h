/* raftscan.h - reading what may be damaged: bytes that cannot be read are zeros, and records are
 * found behind those that are broken.
 *
 * Failure: statuses of the file calls that are not about single pages. */
#ifndef RAFT_RAFTSCAN_H
#define RAFT_RAFTSCAN_H

#include "raft/raftlogfmt.h"

#define RAFTSCAN_TRIES                                                         \
    4 /* a read that fails, or brings something wrong, may do better next time \
       */

/* Bytes of a segment, in memory. */
struct raftscan {
    bool hardware;
    uint32_t seed;
    const char *data;
    uint64_t at; /* offset of data[0] in the file; a multiple of RAFTLOGFMT_ALIGN */
    uint64_t size;
};

/* Reads size bytes at offset; pages that cannot be read are zeros, and so is what lies behind the
 * file's end. */
NODISCARD enum status raftscan_read(struct env *env, int fd, char *data, size_t size,
                                    uint64_t offset);

/* The record at an offset. */
bool raftscan_get(const struct raftscan *s, uint64_t offset, struct raftlogfmt_record *r);

/* The first record at or behind offset that belongs to a group of [lo, hi]; false: there is none.
 * *offset is moved to it. */
bool raftscan_next(const struct raftscan *s, uint64_t *offset, uint64_t lo, uint64_t hi,
                   struct raftlogfmt_record *r);

#endif
