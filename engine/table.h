/* table.h - an open table: a sorted, immutable file of entries and range tombs.
 *
 * Opening reads and checks footer, properties, index, filter and range tombs, and keeps the last
 * three in memory; data blocks are read when they are asked for, through the block cache. Every
 * block is checked on its way into memory.
 *
 * Invariants (table_verify)
 *   B1  entries ascend strictly in internal order, across blocks too
 *   B2  every block's separator is >= its last entry and < the first one of the next block
 *   B3  counts, sequences and bounds are what the properties say
 *   B4  the filter has every user key, and every long enough key's prefix
 *   B5  the CRCs of all blocks give `check`
 *
 * Failure: ST_CORRUPT, ST_UNSUPPORTED (a newer version), or what the Env says (ST_IO, ST_NOMEM...);
 * the message names file and offset. A table that failed a read may be asked again.
 * Ownership: counted references. Threads: any number may read at once; the counters are atomic. */
#ifndef ENGINE_TABLE_H
#define ENGINE_TABLE_H

#include "base/err.h"
#include "engine/entry.h"
#include "engine/tablefmt.h"
#include "engine/tomb.h"
#include "env/env.h"

struct block; /* engine/blockcache.h */
struct blockcache;
struct table;

#define TABLE_STRIPES 8

/* Sums, kept in stripes so that threads do not share a line. Zero it to begin. */
struct table_stats {
    struct table_stripe {
        uint64_t filter_checks;
        uint64_t filter_misses; /* reads that a filter spared */
        uint64_t read_bytes;    /* from files */
        uint64_t read_blocks;
        uint64_t unused[4];
    } stripes[TABLE_STRIPES];
};
void table_stats_sum(const struct table_stats *stats, struct table_stripe *sum);

/* What all the tables of a database share; outlives them. */
struct table_env {
    struct env *env;
    struct order order;
    struct blockcache *cache;  /* may be NULL */
    struct table_stats *stats; /* may be NULL */
    uint64_t *descriptors;     /* atomic, may be NULL: how many tables have their file open */
};

enum table_flags {
    TABLE_NO_FILL = 1, /* blocks that are read stay out of the cache */
    TABLE_SCAN = 2,    /* cursors only: past the cache, in large pieces */
};

/* expect->number counts; its size and check where they are not 0. err may be NULL here and below.
 * e is copied. */
NODISCARD enum status table_open(const struct table_env *e, const char *path,
                                 const struct table_info *expect, struct table **table,
                                 struct err *err);
void table_ref(struct table *t);
void table_unref(struct table *t); /* the last one closes the file */

uint64_t table_memory(const struct table *t);               /* index, filter, tombs, properties */
const struct tomb_set *table_tombs(const struct table *t);  /* NULL: none; borrowed from t */
const struct table_info *table_info(const struct table *t); /* borrowed, slices too */

struct table_hit {
    struct entry entry;  /* entry.key is the caller's key */
    struct block *block; /* holds the value's bytes: a reference for the caller to give back; NULL:
                            they are borrowed as struct table_room says */
};

/* Where a reader who needs the value for a moment only lets it lie. */
struct table_room {
    unsigned slot; /* of the cache's epoch, which he is in: a cached block stays until he leaves */
    char *bytes;   /* for a block that is not worth a place in the cache */
    size_t size;
};

struct table_ask {
    struct slice key;
    uint64_t hash; /* table_hash(key) */
    uint64_t sequence;
    unsigned flags;                /* of enum table_flags */
    const struct table_room *room; /* NULL: the hit gets a reference */
};

/* What filters and blocks want to know of a user key: worth sharing among the tables of one get. */
uint64_t table_hash(struct slice key);

/* The newest entry of key with sequence <= `sequence`; range tombs are not looked at. ST_NOENT:
 * not here, and hit is untouched. */
NODISCARD enum status table_find(struct table *t, const struct table_ask *ask,
                                 struct table_hit *hit, struct err *err);
NODISCARD static inline enum status table_get(struct table *t, struct slice key, uint64_t sequence,
                                              unsigned flags, struct table_hit *hit,
                                              struct err *err)
{
    return table_find(t, &(struct table_ask){key, table_hash(key), sequence, flags, NULL}, hit,
                      err);
}

/* Is there perhaps a key that starts with prefix? */
bool table_may_have_prefix(const struct table *t, struct slice prefix);

/* Reads every byte and checks B1..B5 and info (may be NULL) against what is found. */
NODISCARD enum status table_verify(struct table *t, const struct table_info *info, struct err *err);

/* About where in the file key would lie, 0..size. */
uint64_t table_offset(const struct table *t, struct slice key);

#endif
