/* raftplaces.h - where the entries of the log lie, sparsely; and which cannot be read.
 *
 * A place says: the record of entry `index` is at `offset` of `segment`, and the entries behind it,
 * up to the next place's index, follow it record by record. There is one at each discontinuity,
 * and every few KiB, so that a read walks little. A damaged place has no record; its segment is
 * where the evidence lies.
 *
 * Invariants: P1 indices ascend strictly (raftplaces_check). Failure: ST_NOMEM from
 * raftplaces_reserve only; what was reserved cannot fail. Not synchronized. */
#ifndef RAFT_RAFTPLACES_H
#define RAFT_RAFTPLACES_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum raftplace_flag {
    RAFTPLACE_DAMAGED = 1,
    RAFTPLACE_DOUBT = 2, /* with DAMAGED */
    RAFTPLACE_VAGUE = 4, /* with DAMAGED: the term is a lower bound */
    RAFTPLACE_FLAGS = 7
};

struct raftplace {
    uint64_t index;
    uint64_t segment;
    uint64_t where; /* offset, a multiple of 8, and flags */
};

struct raftplaces {
    struct mem *mem; /* borrowed */
    struct raftplace *list;
    size_t head; /* of list: the first that counts */
    size_t count;
    size_t cap;
    bool faulty; /* one of them is or was damaged */
};

static inline uint64_t raftplace_offset(const struct raftplace *p)
{
    return p->where & ~(uint64_t)RAFTPLACE_FLAGS;
}

static inline unsigned raftplace_flags(const struct raftplace *p)
{
    return (unsigned)(p->where & RAFTPLACE_FLAGS);
}

void raftplaces_init(struct raftplaces *p, struct mem *mem);
void raftplaces_release(struct raftplaces *p);

/* Room for n more. */
NODISCARD enum status raftplaces_reserve(struct raftplaces *p, size_t n);

/* Behind the last one; takes one reserved place. */
void raftplaces_add(struct raftplaces *p, const struct raftplace *place);

/* Forgets the entries from index on; those below `first`. */
void raftplaces_cut(struct raftplaces *p, uint64_t from);
void raftplaces_drop(struct raftplaces *p, uint64_t first);

/* Puts [place->index, hi) over what is there; when `rest` is not NULL, entry hi lies there (and was
 * not the beginning of a place before: else it keeps its own). Takes up to two reserved places. */
void raftplaces_set(struct raftplaces *p, const struct raftplace *place, uint64_t hi,
                    const struct raftplace *rest);

/* The place that index belongs to, and where the next one begins (UINT64_MAX: there is none);
 * NULL: index lies before all. */
const struct raftplace *raftplaces_find(const struct raftplaces *p, uint64_t index, uint64_t *next);

/* The lowest segment that any of them needs, at most `below`. */
uint64_t raftplaces_floor(const struct raftplaces *p, uint64_t below);

/* Damaged entries below end. */
uint64_t raftplaces_damaged(const struct raftplaces *p, uint64_t first, uint64_t end);

bool raftplaces_check(const struct raftplaces *p);

#endif
