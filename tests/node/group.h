/* group.h - a group of replicas in a simulated world, joined by a network in memory, with clients
 * that remember: what was acknowledged is there, once, in an order that real time allows.
 *
 * Each client appends numbers of its own to one key, through the node that it is at, and reads how
 * long the key has become. At the end everybody is up, all nodes stop in good order, and the
 * account is made. */
#ifndef TESTS_NODE_GROUP_H
#define TESTS_NODE_GROUP_H

#include "base/prng.h"
#include "node/replica.h"
#include "node/snapstage.h"
#include "sim/proc.h"

#define GROUP_MOST       5u
#define GROUP_WRITES_MAX 8192u
#define GROUP_INDEX_MAX  32768u
#define GROUP_TERMS_MAX  4096u

struct group_plan {
    uint64_t seed;
    uint32_t nodes;
    uint32_t clients; /* at each node */
    uint32_t writes;  /* of each client in each of its node's lives, at most */
    uint32_t rounds;  /* of misfortune */
    uint32_t loss;    /* of a thousand messages while it lasts */
    uint32_t log;     /* entries after which it is compacted; 0: the default */
    uint32_t power;   /* goes at this disk operation of a node since its first snapshot came */
    uint32_t runs;    /* terms that a core remembers; 0: the default */
    bool away;        /* the last node comes to be in the second round, */
    bool joins;       /* and knows nobody then */
    bool crashes;     /* power and processes go */
    bool cuts;        /* links */
    bool changes;     /* members come and go, leadership is handed on */
    bool sessions;    /* writes are numbered, and sent again when their fate is unknown */
    bool fresh;       /* reads by lease and of what is there, too; clocks drift */
    bool small;       /* small limits everywhere, and slow reading of old entries */
};

enum group_fate { GROUP_OPEN, GROUP_DONE, GROUP_NOT_DONE, GROUP_UNKNOWN, GROUP_FATES };

struct group_write {
    enum group_fate fate;
    uint64_t began; /* virtual time */
    uint64_t ended;
};

struct group;

/* A message on its way, as the bytes of the wire. */
struct group_mail {
    struct list link;
    uint64_t at; /* when it comes: virtual time */
    uint64_t to;
    struct buf frame;
};

struct group_node {
    struct group *g;
    uint64_t id;
    struct host *host;
    struct proc *proc;              /* NULL: it is down */
    struct replica *replica;        /* of that process */
    struct list said_mail;          /* struct group_mail of its own, until it flushes */
    struct list mail;               /* that is on its way to it */
    bool full;                      /* its inbox is, until it resumes */
    uint64_t life;                  /* how often it was started */
    struct snapstage stage;         /* of that process, */
    bool staged;                    /* and it is whole */
    uint32_t points;                /* disk operations since the first time */
    uint32_t busy;                  /* clients */
    uint64_t applied;               /* as its notes say */
    uint64_t said_term;             /* the highest that a message of it carried, */
    struct raft_place said;         /* and how far it said that its log is durable, in which term */
    uint8_t votes[GROUP_TERMS_MAX]; /* whom it elected */
    struct replica_status end;      /* when it stopped in good order */
    uint64_t hash;
    bool doomed; /* it has just said what a crash must not take back */
    bool stopped;
};

struct group {
    struct group_plan plan;
    struct plan world_plan;
    struct fiber_pool pool;
    struct world world;
    struct list tasks;
    struct task *reaper; /* takes the power of the doomed */
    struct prng net;
    struct peerwire wire;
    struct pbarena arena;
    struct group_node node[GROUP_MOST + 1];
    struct list parcels; /* snapshots on their way */
    bool cut[GROUP_MOST + 1][GROUP_MOST + 1];
    bool calm;                             /* no more misfortune */
    bool whole;                            /* a leader saw that all nodes vote */
    uint64_t changes[REPLICA_UNKNOWN + 1]; /* asked for, by outcome */
    uint64_t snapshots;                    /* taken when asked for */
    bool ending;                           /* clients stop, then nodes */
    struct group_write writes[GROUP_WRITES_MAX];
    uint32_t write_count;
    uint64_t longest; /* length of the key that somebody was told */
    uint64_t index;   /* of the log, that somebody was told of; as old as `longest` at least */
    uint64_t reads;   /* answered */
    uint64_t local;   /* of them, of what was there */
    uint64_t old;     /* of those, of a state that was over for somebody */
    uint64_t staged;  /* snapshots that came in whole */
    uint64_t installed;
    uint64_t interrupted; /* installations, by plan.power */
    uint64_t refused;     /* messages, for a time, by full inboxes */
    uint64_t fates[GROUP_FATES];
    char *value; /* of the key, in the end; malloc'ed */
    size_t value_size;
    struct {
        uint64_t term;
        uint64_t digest;
    } history[GROUP_INDEX_MAX]; /* what was executed at an index, as first seen */
    char wrong[256];            /* the first thing that was; "": nothing */
};

/* Runs it to the end and makes the account: g->wrong. */
void group_run(struct group *g, const struct group_plan *plan);

#endif
