/* partition.h - partitions of a network as data: which directed links are cut, how, and for how
 * long.
 *
 * The ten kinds are those that studies of real failures and other testbeds name (docs/simnet.md).
 * Hosts are numbers: the nodes from 0, then the clients. Nothing here touches a network:
 * sim/netsplit.h carries a partition out. Every decision is asked of the caller's dice.
 *
 * Invariants (tests/fault/test_partition.c): I1 a host is never cut from itself   I2 what a kind
 * promises of its links holds for every draw   I3 only one-way cuts are not symmetric.
 * Failure: none. A kind that makes no sense for so few nodes is not drawn. */
#ifndef FAULT_PARTITION_H
#define FAULT_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARTITION_HOSTS_MAX 64 /* hosts beyond these are on no side */
#define PARTITION_TEXT      56

enum partition_kind {
    PARTITION_ISOLATE, /* one node sees nobody */
    PARTITION_HALVES,  /* two groups */
    PARTITION_BRIDGE,  /* two groups, and a node that sees both */
    PARTITION_RING,    /* everybody sees a majority, and no two the same */
    PARTITION_HUB,     /* everybody sees one node only */
    PARTITION_LINK,    /* one pair of nodes */
    PARTITION_ONEWAY,  /* what a node sends, or what is sent to it */
    PARTITION_ROLES,   /* between two groups: connections of nodes, or those of clients */
    PARTITION_CLASS,   /* a node's big packets, or one of its connections */
    PARTITION_FLAP,    /* any of these, on and off */
    PARTITION_KINDS
};

enum partition_mode { PARTITION_DROP, PARTITION_REJECT, PARTITION_RESET };

enum partition_filter {
    PARTITION_ALL,
    PARTITION_PEERS,   /* connections between nodes */
    PARTITION_CLIENTS, /* those of clients */
    PARTITION_BIGGER,  /* packets with more than `bytes` */
    PARTITION_ONE,     /* one connection of each link that is cut */
};

/* A number below n, n > 0. */
struct partition_dice {
    uint64_t (*below)(void *arg, uint64_t n);
    void *arg;
};

/* Whose network it is. */
struct partition_who {
    unsigned nodes;
    unsigned clients;
    int leader;           /* the node that is in the way of most; -1: nobody knows */
    uint64_t election_ns; /* an election timeout: durations are multiples of it */
};

struct partition {
    enum partition_kind kind;
    enum partition_kind base; /* of PARTITION_FLAP: what goes on and off; else as kind */
    enum partition_mode mode;
    enum partition_filter filter;
    bool acks_pass;   /* of PARTITION_ONEWAY: TCP's acknowledgements are not cut */
    bool staggered;   /* its links heal one after another */
    uint64_t bytes;   /* of PARTITION_BIGGER */
    uint64_t ns;      /* from its beginning to its end */
    uint64_t flap_ns; /* on for so long, then off; 0: always on */
    uint64_t gap_ns;  /* staggered: at most this between two links */
    unsigned hosts;
    uint64_t cut[PARTITION_HOSTS_MAX]; /* bit k of cut[i]: the link from i to k */
    char text[PARTITION_TEXT];         /* "bridge 0 1|2|3 4" for people */
};

/* No links cut, dropped when they are, for ever; for tests that say themselves which. */
void partition_init(struct partition *p, unsigned hosts);
/* From every host of one set to every host of the other: one way. */
void partition_cut_way(struct partition *p, uint64_t from, uint64_t to);
/* Both ways. */
void partition_cut_sets(struct partition *p, uint64_t a, uint64_t b);
static inline bool partition_is_cut(const struct partition *p, unsigned from, unsigned to)
{
    return from < PARTITION_HOSTS_MAX && to < PARTITION_HOSTS_MAX && (p->cut[from] >> to & 1) != 0;
}

/* The kind makes sense for these. */
bool partition_fits(enum partition_kind kind, const struct partition_who *who);
/* One of that kind, with everything about it drawn; it must fit. */
void partition_draw(struct partition *p, enum partition_kind kind, const struct partition_who *who,
                    const struct partition_dice *dice);
/* A kind by weight, those that fit; all 0: by their natural weights. PARTITION_KINDS: none fits. */
enum partition_kind partition_draw_kind(const uint32_t weights[PARTITION_KINDS],
                                        const struct partition_who *who,
                                        const struct partition_dice *dice);

/* "isolate", "bridge" … */
const char *partition_name(enum partition_kind kind);

#endif
