/* memberlab.h - a few members of a group (node/member.h), each on a machine of its own in a
 * simulated world with its network, and on each a client that remembers what it was told.
 *
 * A client appends numbers of its own to one key through the replica of its node. At the end all
 * are up, stop in good order, and the account is made: what was acknowledged is there, once; what
 * was not done is not there; all nodes hold the same. */
#ifndef TESTS_NODE_MEMBERLAB_H
#define TESTS_NODE_MEMBERLAB_H

#include "node/member.h"
#include "sim/proc.h"

#define MEMBERLAB_MOST   5u
#define MEMBERLAB_WRITES 8192u
#define MEMBERLAB_MS     1000000ull
#define MEMBERLAB_SECOND (1000 * MEMBERLAB_MS)

enum memberlab_fate { MEMBERLAB_OPEN, MEMBERLAB_DONE, MEMBERLAB_NOT_DONE, MEMBERLAB_UNKNOWN };

struct memberlab;

struct memberlab_node {
    struct memberlab *lab;
    uint64_t id;
    struct host *host;
    struct proc *proc; /* NULL: it is down */
    struct member *member;
    uint64_t incarnation; /* while it runs */
    bool may_fail;        /* to open: `err` says why */
    bool quiet;           /* its client writes nothing */
    uint64_t leads;       /* the term that it leads; 0: none */
    uint64_t done;        /* writes that its client was told of */
    uint64_t applied;     /* the last entry, as its notes say */
    bool opened;
    struct err err; /* why it did not */
    bool stopped;   /* in good order, with these: */
    uint64_t hash;
    struct replica_status end;
};

struct memberlab {
    struct plan plan;
    struct fiber_pool pool;
    struct world world;
    struct list tasks;
    uint32_t count;
    uint32_t founders; /* ids up to this one; the others join */
    void (*story)(struct memberlab *lab);
    struct memberlab_node node[MEMBERLAB_MOST + 1]; /* by id, from 1 */
    struct {
        uint64_t term;
        uint64_t digest;
    } history[4 * MEMBERLAB_WRITES];
    uint8_t fates[MEMBERLAB_WRITES];
    uint32_t writes;
    uint64_t done;                /* writes that somebody was told of */
    uint64_t refused;             /* times that a wiped node was */
    struct replica_change change; /* wanted of whoever leads, while kind is not 0 */
    uint64_t changed_by;          /* the node that brought the last one about */
    uint64_t installed;           /* snapshots */
    bool calm;                    /* clients rest */
    bool ending;
    char *value; /* of the key, in the end; malloc'ed */
    size_t value_size;
    char wrong[400]; /* the first thing that was; "": nothing */
};

/* Runs `story` over so many nodes, which it has to start, to the end: lab->wrong. */
void memberlab_run(struct memberlab *lab, uint64_t seed, uint32_t count,
                   void (*story)(struct memberlab *lab));

/* ---- for the story ---- */

void memberlab_up(struct memberlab *lab, uint64_t id);
void memberlab_kill(struct memberlab *lab, uint64_t id);
void memberlab_power(struct memberlab *lab, uint64_t id);          /* off, and on */
void memberlab_wipe(struct memberlab *lab, uint64_t id);           /* the same with an empty disk */
void memberlab_cut(struct memberlab *lab, uint64_t a, uint64_t b); /* both ways */
void memberlab_heal(struct memberlab *lab);
void memberlab_pass(struct memberlab *lab, uint64_t ns);
/* Until so many more writes are done; too long is wrong. */
void memberlab_writes(struct memberlab *lab, uint64_t more);
/* A change of the group, asked until it is done; too long is wrong. */
void memberlab_change(struct memberlab *lab, enum replica_change_kind kind, uint64_t id);
/* Whoever leads in the highest term; NULL: nobody. */
struct memberlab_node *memberlab_leader(struct memberlab *lab);
__attribute__((format(__printf__, 2, 3))) void memberlab_wrong(struct memberlab *lab,
                                                               const char *fmt, ...);

#endif
