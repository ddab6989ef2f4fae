/* gossip.h - a group of programs that know nothing of key-value stores: each counts, durably, and
 * all tell each other how far everybody has come.
 *
 * A node's own number is synced before it is said. What it knows of the others it learns again
 * after a restart. Frames have a length and a CRC; connections that do not get on are given up and
 * made again, so that a healed network is used soon. Nothing here knows that it is simulated, but
 * for the story that it tells the test through its process. */
#ifndef TESTS_SIM_GOSSIP_H
#define TESTS_SIM_GOSSIP_H

#include "sim/proc.h"

#define GOSSIP_MAX  5
#define GOSSIP_PORT 7000

struct gossip_story {
    unsigned nodes;
    uint64_t said[GOSSIP_MAX];  /* the greatest number that each promised */
    uint64_t tried[GOSSIP_MAX]; /* and that it began to store */
    const char *wrong;          /* a promise that was broken */
    /* planted bugs */
    bool trusting;  /* no CRC */
    bool hasty;     /* says a number before it is synced */
    bool believing; /* never gives a connection up */
};

struct gossip_node {
    struct gossip_story *story;
    unsigned number;
    struct host *hosts[GOSSIP_MAX]; /* whose addresses it was given */
    uint64_t view[GOSSIP_MAX];      /* what its present incarnation knows */
    uint64_t direct[GOSSIP_MAX];    /* of that, what each said itself */
    uint64_t accepted, dialled, refused_frames, no_descriptor;
};

int gossip_main(struct env *env, int argc, char **argv);

#endif
