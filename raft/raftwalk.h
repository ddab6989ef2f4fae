/* raftwalk.h - recovery: goes through the segments in the order in which they were written, brings
 * a log's state to what they say, and tells torn from damaged from doubtful.
 *
 * The last group is held back: it is not known to be durable. raftwalk_restage lays it down in
 * memory as though it had just been appended, so that it is written again, elsewhere.
 *
 * Everything read is parsed: a group that contradicts what came before it counts as broken.
 *
 * Failure: ST_NOMEM, statuses of the file calls, ST_UNSUPPORTED. Not synchronized. */
#ifndef RAFT_RAFTWALK_H
#define RAFT_RAFTWALK_H

#include "raft/raftlog_impl.h"
#include "raft/raftscan.h"

/* A segment file. */
struct raftwalk_file {
    uint64_t number;
    uint64_t size;
    bool begun;    /* a group of it is, or was, there */
    bool headed;   /* head is right */
    bool slotted;  /* slot is: the later identity of the two */
    int slots_bad; /* slots that hold something else than an identity or nothing */
    uint32_t epoch;
    uint32_t sector;
    uint64_t first; /* sequence of its first group, as far as that is known; 0: not */
    uint64_t end;   /* offset behind the last group that counts */
    struct raftlogfmt_block head;
    struct raftlogfmt_block slot;
    char *pages; /* owned; RAFTLOGFMT_DATA_AT bytes, which the blocks point into */
};

/* A group as it was found. */
struct raftwalk_group {
    enum { RAFTWALK_NONE, RAFTWALK_WHOLE, RAFTWALK_BROKEN, RAFTWALK_DOUBT } how;
    uint64_t sequence;
    uint64_t offset;
    uint64_t end; /* of its bytes, as far as they are to be looked at */
    uint32_t chain_before;
    bool chained_before;
    struct raftlogfmt_info info;
    const struct raftlogfmt_block *block; /* the same as its identity says, with configurations; or
                                             NULL */
};

struct raftwalk {
    struct raftlog *log;
    struct raftwalk_file *files; /* owned; ascending by number */
    size_t count;
    size_t cap;
    /* the file at hand */
    const struct raftwalk_file *file;
    char *data; /* owned; all of it */
    size_t data_cap;
    struct raftscan scan;
    /* how far it has come */
    bool begun;        /* a state is known */
    uint64_t sequence; /* of the last group that counts; 0: not known */
    uint32_t chain;
    bool chained;
    bool strange;                  /* what was read since the snapshot is of another history */
    uint64_t next;                 /* as in struct raftseg */
    uint64_t next_where;           /* offset of the last place */
    struct raftwalk_group pending; /* in the last file: not applied yet */
    bool restaging;
    uint64_t groups; /* found in the last file */
    uint64_t torn;   /* bytes */
    uint64_t bytes;  /* read */
};

void raftwalk_init(struct raftwalk *w, struct raftlog *log);
void raftwalk_release(struct raftwalk *w);

/* Adds the file of that number, its first pages read. */
NODISCARD enum status raftwalk_add(struct raftwalk *w, uint64_t number);

/* Sorts the files and finds which count: [*from, *to); none when they are equal. */
NODISCARD enum status raftwalk_choose(struct raftwalk *w, size_t *from, size_t *to);

/* Goes through them. */
NODISCARD enum status raftwalk_run(struct raftwalk *w, size_t from, size_t to);

/* Lays down the pending group in the log's open group, or nothing when there is none. */
NODISCARD enum status raftwalk_restage(struct raftwalk *w);

#endif
