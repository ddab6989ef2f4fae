/* raftseg.h - the segment files: making them, switching to the next, writing groups into one.
 *
 * A file is made (or a spare one renamed) with its space reserved and its name durable before it
 * is used; its header is durable before its first group is written. New space is zeroed ahead in
 * steps, so that most syncs write no metadata; recycled files have no need of that.
 *
 * Failure: statuses of the file calls. Before a sync nothing has happened that counts: the group
 * may be written again, which is done in another segment. After a failed sync `failed` is set, and
 * nothing may be written any more. One thread at a time. */
#ifndef RAFT_RAFTSEG_H
#define RAFT_RAFTSEG_H

#include "raft/raftplaces.h"
#include "raft/raftstage.h"

#define RAFTSEG_STRIDE 4096 /* bytes of a file between two places */

struct raftseg {
    struct env *env; /* borrowed */
    const char *dir; /* borrowed */
    struct raftlog_identity identity;
    bool hardware;
    uint64_t segment_bytes;
    uint32_t sector;
    /* the present one */
    int fd; /* -1: none yet */
    uint64_t number;
    uint64_t size;
    uint64_t at;     /* where the next group goes */
    uint64_t filled; /* from here on nothing has been written since the space was reserved */
    uint64_t ahead;  /* zeros to be written at once next time */
    uint32_t epoch;
    uint32_t seed;
    bool spoiled; /* a write to it failed half-way: the next group goes elsewhere */
    bool failed;
    /* the next one */
    uint64_t next_number; /* never used so far */
    uint64_t next_size;   /* of the file that is ready under that name; 0: none is */
    bool next_used;       /* it was written before */
    /* what comes before the next group */
    uint64_t synced;                /* sequence of the last group that is durable */
    uint32_t chain;                 /* crc of its last record */
    bool chained;                   /* that is known */
    struct raftlogfmt_block before; /* the state behind it; configurations in configs */
    char configs[2 * RAFTLOG_CONFIG_MAX];
    /* numbers of files that may be written again */
    uint64_t *spares;
    size_t spare_count;
    size_t spare_cap;
    uint64_t written; /* bytes */
    char *page;       /* owned: RAFTLOGFMT_DATA_AT bytes */
    char *zeros;      /* owned */
    /* where the entries of the group just written lie; owned */
    struct raftplace *places;
    bool *repairs; /* of each: it takes the place of a damaged one */
    size_t place_count;
    size_t place_cap;
    bool place_cut;      /* entries of it, or before it, were truncated in it */
    uint64_t place_next; /* the index that would follow the last of them without a gap; 0: none */
};

/* options are complete. ST_NOMEM. */
NODISCARD enum status raftseg_init(struct raftseg *s, struct env *env, const char *dir,
                                   const struct raftlog_options *options,
                                   const struct raftlog_identity *identity);
void raftseg_release(struct raftseg *s);

/* Makes the next file ready, of at least `size` bytes. */
NODISCARD enum status raftseg_prepare(struct raftseg *s, uint64_t size);

/* The group fits the present segment as it is. */
bool raftseg_fits(const struct raftseg *s, uint64_t bytes);

/* Goes to the next segment, whose first group is that of the sequence and size. */
NODISCARD enum status raftseg_switch(struct raftseg *s, uint64_t sequence, uint64_t bytes);

/* Writes a closed group and its identity, and syncs them. Fills in s->places. */
NODISCARD enum status raftseg_write(struct raftseg *s, struct raftstage_group *g);

/* The number is not needed any more: kept as a spare, or removed. */
void raftseg_retire(struct raftseg *s, uint64_t number, uint64_t size);

/* Copies a block with its configurations into `before`. */
void raftseg_remember(struct raftseg *s, const struct raftlogfmt_block *b);

#endif
