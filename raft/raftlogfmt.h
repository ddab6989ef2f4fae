/* raftlogfmt.h - the bytes of the Raft log: records, what a group says, state blocks, file names.
 *
 * See docs/format-raftlog.md. A segment file, in pages of 4096 bytes:
 *
 *     page 0       header: a state block
 *     pages 1, 2   identity slots: state blocks; group s writes slot s mod 2
 *     page 3       the header again
 *     page 4 …     groups, each from a sector boundary on
 *
 * A group is a GROUP record and the records that belong together. A record is a head of 40 bytes,
 * a payload, and zeros up to a multiple of 8. CRCs begin with the segment's number, its epoch and
 * the offset in the file, none of which is where the reader takes them from: bytes of another
 * segment, of an earlier use of this file, or of another place never parse.
 *
 * Parsing never fails a CK: bytes that are not right are no record. */
#ifndef RAFT_RAFTLOGFMT_H
#define RAFT_RAFTLOGFMT_H

#include "env/env.h"
#include "raft/raftlog.h"

#define RAFTLOGFMT_VERSION 2                   /* 1: blocks without runs */
#define RAFTLOGFMT_MAGIC   0x0a544641524b5654u /* "TKVRAFT\n" */
#define RAFTLOGFMT_PAGE    ((uint64_t)4096)
#define RAFTLOGFMT_COPY_AT (3 * RAFTLOGFMT_PAGE)
#define RAFTLOGFMT_DATA_AT (4 * RAFTLOGFMT_PAGE)
#define RAFTLOGFMT_RECORD  40
#define RAFTLOGFMT_INFO    160
#define RAFTLOGFMT_GROUP   (RAFTLOGFMT_RECORD + RAFTLOGFMT_INFO)
#define RAFTLOGFMT_BLOCK   272 /* of a state block, without its configurations */
#define RAFTLOGFMT_ALIGN   8
#define RAFTLOGFMT_RUN     16 /* bytes of a run of terms */
#define RAFTLOGFMT_RUNS    40 /* at most, in a state block */
#define RAFTLOGFMT_UNTOLD  0xffff
#define RAFTLOGFMT_NAME    32 /* bytes of the longest file name with its '/' and NUL */

/* Where group s writes its identity. */
static inline uint64_t raftlogfmt_slot_at(uint64_t sequence)
{
    return RAFTLOGFMT_PAGE * (1 + sequence % 2);
}

static inline uint64_t raftlogfmt_up(uint64_t v, uint64_t to)
{
    return (v + to - 1) / to * to;
}

enum raftlogfmt_type {
    RAFTLOGFMT_NONE,     /* what zeros say */
    RAFTLOGFMT_MARK,     /* begins a group: payload is a struct raftlogfmt_info */
    RAFTLOGFMT_ENTRY,    /* index, term, kind, data: behind the last one */
    RAFTLOGFMT_TRUNCATE, /* entries from index on go */
    RAFTLOGFMT_SNAPSHOT, /* index, term; payload: the configuration; flag KEEP */
    RAFTLOGFMT_COMPACT,  /* entries up to index are given up */
    RAFTLOGFMT_LOST,   /* entries from index on, below the u64 in the payload, were written and are
                          lost; their term; flags DOUBT, VAGUE */
    RAFTLOGFMT_REPAIR, /* an entry that takes the place of a damaged one */
    RAFTLOGFMT_TYPES
};

enum raftlogfmt_flag {
    RAFTLOGFMT_LAST = 1,  /* the last record of its group */
    RAFTLOGFMT_DOUBT = 2, /* LOST: perhaps they were never durable */
    RAFTLOGFMT_KEEP = 4,  /* SNAPSHOT: the entries behind it stay */
    RAFTLOGFMT_VAGUE = 8, /* LOST: the term is a lower bound */
};

struct raftlogfmt_record {
    uint32_t crc;
    uint32_t chain; /* crc of the record before this one, be it in another segment */
    uint32_t size;  /* of the payload */
    uint8_t type;
    uint8_t kind;
    uint16_t flags;
    uint64_t sequence; /* of its group */
    uint64_t index;
    uint64_t term;
    const char *payload; /* borrowed */
};

/* What a group says of itself and of the log around it. In a segment's header: of the log before
 * the segment's first group, `before` and `last` being the same. */
struct raftlogfmt_info {
    uint64_t bytes;  /* of the whole group */
    uint64_t synced; /* groups up to this sequence were durable when this one was written */
    struct raft_hard hard;
    struct raft_place before; /* the log's last entry before the group, */
    struct raft_place last;   /* and behind it */
    uint64_t before_run;      /* index of the first entry of the run of terms that `before` is in */
    uint64_t last_run;        /* and `last` */
    struct raft_place base;   /* the place before the log's first entry */
    uint64_t floor;           /* segments with lower numbers are not needed */
    struct raft_place snapshot;
    uint64_t cut_sequence; /* the latest group that truncated, this one too; 0: none ever */
    uint64_t cut_from;     /* from where on */
    uint64_t cut_before;   /* the group that truncated before that one */
    uint64_t config_index; /* the latest configuration entry behind the snapshot; 0: none */
    uint32_t records;      /* behind the GROUP record */
    uint32_t epoch;
};

enum raftlogfmt_kind {
    RAFTLOGFMT_HEADER = 1,   /* of a segment */
    RAFTLOGFMT_IDENTITY = 2, /* of a group */
    RAFTLOGFMT_OWNER = 3,    /* the file raft.id: whose log it is, and nothing else */
};

/* A state block. */
struct raftlogfmt_block {
    uint8_t kind; /* enum raftlogfmt_kind */
    bool chained; /* chain is known */
    uint32_t version;
    uint64_t number; /* of the segment */
    uint32_t epoch;
    uint32_t sector;
    struct raftlog_identity identity;
    uint64_t sequence; /* header: of its first group; identity: of the group */
    uint64_t offset;   /* of that group in the file */
    uint32_t chain;    /* header: crc of the last record before; identity: of the group's last */
    uint64_t previous; /* number of the segment before; 0: none */
    struct raftlogfmt_info info;
    struct slice snapshot; /* configuration of the snapshot; borrowed */
    struct slice config;   /* content of config_index; empty: none, or lost; borrowed */
    uint64_t config_term;
    bool told;         /* runs is known: version 2, and not too many */
    struct slice runs; /* identity: the runs of terms that begin among the group's entries, encoded,
                          ascending, the one that `last` is in too; borrowed */
};

/* Bytes of a record with this payload. */
static inline uint64_t raftlogfmt_size(uint64_t payload)
{
    return raftlogfmt_up(RAFTLOGFMT_RECORD + payload, RAFTLOGFMT_ALIGN);
}

/* ---- records ---- */

/* What CRCs of a segment begin with; give it to the calls below. */
uint32_t raftlogfmt_seed(uint64_t number, uint32_t epoch);

/* Writes head, payload and padding at p (raftlogfmt_size bytes); crc, chain and LAST come with
 * raftlogfmt_seal. */
void raftlogfmt_put(char *p, const struct raftlogfmt_record *r);
void raftlogfmt_put_info(char *p, const struct raftlogfmt_info *info);
void raftlogfmt_get_info(const char *p, struct raftlogfmt_info *info);
void raftlogfmt_put_run(char *p, const struct raft_run *run);
struct raft_run raftlogfmt_get_run(const char *p);

/* Sets chain, LAST and crc of the record at p, which will lie at offset; returns the crc. */
uint32_t raftlogfmt_seal(bool hardware, uint32_t seed, uint64_t offset, uint32_t chain, bool last,
                         char *p);

/* The record at p, of which `left` bytes are there; false: it is none. */
bool raftlogfmt_get(bool hardware, uint32_t seed, uint64_t offset, const char *p, uint64_t left,
                    struct raftlogfmt_record *r);

/* The same for a GROUP record; its info makes sense too. */
bool raftlogfmt_get_group(bool hardware, uint32_t seed, uint64_t offset, const char *p,
                          uint64_t left, struct raftlogfmt_record *r, struct raftlogfmt_info *info);

/* The fields of a head, unchecked. */
void raftlogfmt_head(const char *p, struct raftlogfmt_record *r);

/* ---- state blocks ---- */

/* Writes a block of at most RAFTLOGFMT_PAGE bytes, as it lies at offset `at`; zeros behind it. */
void raftlogfmt_put_block(bool hardware, char page[RAFTLOGFMT_PAGE],
                          const struct raftlogfmt_block *b, uint64_t at);

/* ST_CORRUPT: it is none of that segment and place. ST_UNSUPPORTED: of a newer version. */
NODISCARD enum status raftlogfmt_get_block(bool hardware, const char page[RAFTLOGFMT_PAGE],
                                           uint64_t number, uint64_t at,
                                           struct raftlogfmt_block *b);

/* ---- names ---- */

/* dir/raft-000001.log */
void raftlogfmt_path(char path[ENV_PATH_MAX], const char *dir, uint64_t number);
/* dir/name */
void raftlogfmt_path_of(char path[ENV_PATH_MAX], const char *dir, const char *name);
/* Whether a directory entry is a segment's name, and of which number (not 0). */
bool raftlogfmt_number(const char *name, uint64_t *number);

#define RAFTLOGFMT_ID    "raft.id"    /* the owner, in two copies of a page */
#define RAFTLOGFMT_TMP   "raft.tmp"   /* the owner in the making */
#define RAFTLOGFMT_ERASE "raft.erase" /* is there while the log is being removed */

#endif
