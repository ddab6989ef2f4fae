/* raftstage.h - the tail of the log in memory: records on their way to disk, and entries that were
 * read or written lately.
 *
 * Records are laid down once, in the form they have on disk, in chunks that form a queue; the
 * writer seals them (chain, CRC) in place and hands them to the file. They stay until newer ones
 * need the room, and serve reads by index.
 *
 * Groups: records are gathered in an open group; it is closed when it is large or when the writer
 * comes for it. Closed groups are not changed any more, but for being sealed.
 *
 * Invariants: G1 what belongs to a group that is not done yet is never dropped   G2 cached entries
 * are [from, to), each the latest of its index. Failure: ST_NOMEM from the reserving calls; nothing
 * has changed then. Memory: chunks and groups are used again, so that a steady stream allocates
 * nothing. Not synchronized. */
#ifndef RAFT_RAFTSTAGE_H
#define RAFT_RAFTSTAGE_H

#include "raft/raftlogfmt.h"

struct raftstage_chunk {
    struct raftstage_chunk *next;
    size_t cap;
    size_t used;
    uint64_t newest; /* the highest index of an entry here that is not truncated; 0: none */
    char data[];
};

struct raftstage_group {
    struct raftstage_group *next;
    struct raftstage_chunk *chunk; /* where it begins, */
    size_t at;
    struct raftstage_chunk *end_chunk; /* and ends */
    size_t end;
    bool closed;
    bool vague; /* not all terms of its entries are known */
    uint64_t sequence;
    uint64_t seq;                  /* of the last write in it; 0: none */
    uint64_t cut;                  /* entries from here on were truncated by a later group */
    size_t places;                 /* at most so many are needed for its entries */
    struct raftlogfmt_block block; /* its identity; complete when closed */
    size_t runs;                   /* of terms that writes in it began */
    char configs[2 * RAFTLOG_CONFIG_MAX];
    char run_bytes[RAFTLOGFMT_RUNS * RAFTLOGFMT_RUN];
};

struct raftstage {
    struct env *env; /* borrowed */
    uint64_t limit;
    size_t chunk_bytes;
    struct raftstage_chunk *head; /* oldest */
    struct raftstage_chunk *tail;
    struct raftstage_chunk *spare; /* to be used again */
    uint64_t spare_bytes;
    struct raftstage_group *groups;  /* not done yet, oldest first */
    struct raftstage_group *filling; /* the last of them, while it is open */
    struct raftstage_group *idle;    /* to be used again */
    int idle_count;
    uint64_t held;    /* bytes of chunks from head to tail */
    uint64_t pending; /* bytes of groups */
    size_t places;    /* what all groups need */
    /* cached entries */
    uint64_t from;
    uint64_t to;
    char **slots; /* the record of index i at i & (cap - 1) */
    size_t slot_cap;
};

void raftstage_init(struct raftstage *s, struct env *env, uint64_t limit);
void raftstage_release(struct raftstage *s);

/* Room for records of so many bytes, for entries among them, and for a group. */
NODISCARD enum status raftstage_reserve(struct raftstage *s, uint64_t bytes, size_t entries);

/* Begins a group; takes what was reserved. The caller sets block.info.before and such. */
struct raftstage_group *raftstage_begin(struct raftstage *s, uint64_t sequence);

/* Lays down a record of the open group. An ENTRY becomes the cached one of its index. */
void raftstage_put(struct raftstage *s, const struct raftlogfmt_record *r);

/* No entries are cached but from index on (which is the next one). */
void raftstage_restart(struct raftstage *s, uint64_t index);
/* Entries from index on are gone, in groups before the open one too. */
void raftstage_truncate(struct raftstage *s, uint64_t from);
/* All entries are gone, the next one is index. */
void raftstage_clear(struct raftstage *s, uint64_t index);

/* The first group is done. */
void raftstage_done(struct raftstage *s);

/* The record of a cached entry. */
static inline const char *raftstage_entry(const struct raftstage *s, uint64_t index)
{
    return s->slots[index & (s->slot_cap - 1)];
}

#endif
