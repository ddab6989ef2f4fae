/* netsplit.h - a partition (fault/partition.h) carried out on the links of a world.
 *
 * Host i of the partition is hosts[i]. It can be laid and lifted again and again, healed link by
 * link, and lie over others: each of its cuts is its own.
 * Ownership: hosts is borrowed until it is healed; its list of cuts is freed by netsplit_heal and
 * by netsplit_release. Every call is noted in the trace. */
#ifndef SIM_NETSPLIT_H
#define SIM_NETSPLIT_H

#include "fault/partition.h"
#include "sim/world.h"

struct netsplit_cut {
    uint8_t from, to; /* of hosts */
    uint64_t id;      /* 0: healed */
};

struct netsplit {
    struct world *world;
    struct host *const *hosts;
    struct partition partition;
    uint16_t peer_port; /* connections to it are between nodes */
    struct netsplit_cut *cuts;
    size_t count;
};

/* Lays it. A partition by roles or of single connections takes what is there at that moment. */
void netsplit_start(struct netsplit *s, struct world *w, struct host *const *hosts,
                    const struct partition *p, uint16_t peer_port);
/* Off and on again, for one that flaps. */
void netsplit_lift(struct netsplit *s);
void netsplit_lay(struct netsplit *s);
/* Heals its i-th link, i < count; harmless when it is healed. */
void netsplit_heal_link(struct netsplit *s, size_t i);
/* Heals what is left of it. */
void netsplit_heal(struct netsplit *s);
/* Forgets it, and leaves the links as they are. */
void netsplit_release(struct netsplit *s);

#endif
