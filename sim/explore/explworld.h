/* explworld.h - one state of a small Raft group, and its moves. For explore.c alone.
 *
 * A world is one block of memory without pointers: this struct, then the cores. Its rooms are the
 * bounds of the search; what would overflow them is cut, never an error. */
#ifndef SIM_EXPLORE_EXPLWORLD_H
#define SIM_EXPLORE_EXPLWORLD_H

#include "raft/raft.h"
#include "sim/explore/explore.h"

#define EXPLWORLD_NODES   5
#define EXPLWORLD_LOG     10 /* entries; indices 1.. */
#define EXPLWORLD_NET     16
#define EXPLWORLD_HELD    8
#define EXPLWORLD_WRITES  6
#define EXPLWORLD_TERMS   8
#define EXPLWORLD_ITEMS   4
#define EXPLWORLD_MOVES   256
#define EXPLWORLD_READS   4
#define EXPLWORLD_PRELUDE 3

/* Roles of node i in a packed configuration: bits 3 (i - 1) and up. */
#define EXPLWORLD_ROLE_BITS 3
#define EXPLWORLD_ROLE_MASK 7u

/* In `term` node `leader` was elected with the vote of `voter`, and all it sent was lost. */
struct explworld_election {
    uint8_t leader, voter, term;
};

/* What may happen in all. */
struct explore_preset {
    const char *name;
    const char *purpose;
    uint8_t nodes; /* that exist; voters are the first `voters` */
    uint8_t voters;
    uint8_t terms; /* no timeout above this one */
    uint8_t crashes;
    uint8_t beats;
    uint8_t twice; /* deliveries that leave the message where it is */
    uint8_t proposals;
    uint8_t reads;
    uint8_t changes; /* the voters become change[0], then change[1] */
    uint8_t net;     /* messages in flight at most */
    bool prevote;
    bool instant;                                         /* writes are durable at once */
    uint32_t message_entries;                             /* of an append, 0: as usual */
    uint8_t change[2];                                    /* masks of nodes */
    struct explworld_election prelude[EXPLWORLD_PRELUDE]; /* what came before the search */
};

struct explworld_entry {
    uint8_t term;
    uint8_t kind;  /* 0: none */
    uint16_t what; /* a command's number; a configuration: three bits of roles a node */
};

struct explworld_msg {
    struct raft_msg m;
    uint64_t after;
    struct explworld_entry entries[EXPLWORLD_ITEMS];
};

struct explworld_write {
    uint64_t seq;
    bool has_hard;
    struct raft_hard hard;
    uint64_t truncate;
    uint64_t lo, hi;
    struct explworld_entry entries[EXPLWORLD_ITEMS];
};

struct explworld_node {
    struct explworld_entry log[EXPLWORLD_LOG + 1];
    struct explworld_entry disk[EXPLWORLD_LOG + 1];
    uint64_t last;
    uint64_t disk_last;
    uint64_t told; /* the last write that the core knows to be durable */
    struct raft_hard hard;
    uint32_t lives;
    uint32_t write_count;
    uint32_t held_count;
    struct explworld_write writes[EXPLWORLD_WRITES];
    struct explworld_msg held[EXPLWORLD_HELD];
};

struct explworld {
    const struct explore_preset *preset;
    uint8_t crashes, beats, twice, proposals, reads, changes; /* used so far */
    uint32_t net_count;
    uint64_t committed; /* entries that somebody has committed */
    uint64_t leader[EXPLWORLD_TERMS + 2];
    struct explworld_entry agreed[EXPLWORLD_LOG + 1];
    uint8_t agreed_in[EXPLWORLD_LOG + 1]; /* the term of whoever committed it first */
    uint64_t asked[EXPLWORLD_READS];      /* what was committed when read i was asked */
    uint64_t marks;
    uint32_t lost;  /* messages, by the last move, for want of room */
    bool cut;       /* the last move does not fit in here */
    char what[160]; /* violated; "": nothing is */
    struct explworld_node node[EXPLWORLD_NODES + 1];
    struct explworld_msg net[EXPLWORLD_NET];
    uint64_t core_size;
};

/* A move: its kind, and the node or message (its place in the net) that it is about. */
typedef uint16_t explworld_move;

enum explworld_kind {
    EXPLWORLD_TIMEOUT = 1,
    EXPLWORLD_BEAT,
    EXPLWORLD_DELIVER,
    EXPLWORLD_TWICE,
    EXPLWORLD_PERSIST,
    EXPLWORLD_CRASH,
    EXPLWORLD_PROPOSE,
    EXPLWORLD_CHANGE,
    EXPLWORLD_READ,
};

static inline explworld_move explworld_move_of(enum explworld_kind kind, uint32_t at)
{
    return (explworld_move)((uint32_t)kind << 8 | at);
}

static inline enum explworld_kind explworld_kind_of(explworld_move m)
{
    return (enum explworld_kind)(m >> 8);
}

static inline uint32_t explworld_at_of(explworld_move m)
{
    return m & 255u;
}

/* ---- looking in ---- */

static inline struct raft *explworld_core(const struct explworld *w, uint64_t id)
{
    return (struct raft *)((uintptr_t)(w + 1) + (id - 1) * w->core_size);
}

static inline struct raft_view explworld_view(const struct explworld *w, uint64_t id)
{
    struct raft_view v;
    raft_view(explworld_core(w, id), &v);
    return v;
}

/* What a search carries around the worlds: rooms for steps, the cores' options. */
struct explworld_tools {
    struct mem *mem;
    struct raft_options options;
    struct raft_action *actions;
    uint32_t action_cap;
    size_t size; /* of a world with its cores */
};

NODISCARD enum status explworld_tools_init(struct explworld_tools *t, struct mem *mem,
                                           const struct explore_preset *p);
void explworld_tools_release(struct explworld_tools *t);

/* The first state: all nodes have just started. */
void explworld_begin(const struct explworld_tools *t, struct explworld *w,
                     const struct explore_preset *p);
void explworld_copy(struct explworld *to, const struct explworld *from);
/* The moves there are; at most EXPLWORLD_MOVES. */
uint32_t explworld_moves(const struct explworld *w, explworld_move *moves);
/* Makes one; look at `cut` and `what` then. */
void explworld_make(const struct explworld_tools *t, struct explworld *w, explworld_move move);
/* explequal.c: the same for all worlds that differ in the numbers of nodes alone. */
uint64_t explworld_digest(const struct explworld *w);
/* explshow.c: a line about a move that is about to be made. */
void explworld_tell(const struct explworld *w, explworld_move move, struct buf *out);
/* Lines about where everybody stands. */
void explworld_show(const struct explworld *w, struct buf *out);

#endif
