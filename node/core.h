/* core.h - the core thread: the only one that executes commands and writes to the database. On a
 * node that replicates there is no such thread: the reactor hands the jobs to the replica itself
 * (node/front.h), for nothing in that waits.
 *
 * The reactor submits jobs; the core takes as many as are there (a group), executes them in order
 * against the view (node/view.h), commits all their writes with one tkv_write, and only then
 * hands the jobs back with their replies. So a reply never tells of a write that is not as
 * durable as was asked for, one fsync serves many clients, and every command is atomic.
 *
 * When the commit fails: the group's writers get an error, and the commands that had read an
 * uncommitted write are executed again, as a smaller group, on what is really there.
 *
 * Invariants
 *   I1  replies of one connection are handed back in the order of its requests
 *   I2  a job is handed back once, whatever happens (tests/node/test_core.c)
 *   I3  a reply that rests on a commit is handed back after its NOTE_ACK (tests/node/test_core.c)
 *
 * Threads: core_submit and core_collect are the reactor's; everything else is the core's. What is
 * "of the core thread" is the reactor's on a node that replicates.
 * Failure: core_new says ST_NOMEM; core_start ST_NOMEM or ST_AGAIN. */
#ifndef NODE_CORE_H
#define NODE_CORE_H

#include "env/env.h"
#include "node/cursor.h"
#include "node/job.h"
#include "node/memberview.h"
#include "node/nodelog.h"
#include "node/nodeopt.h"
#include "node/view.h"

/* Counters for INFO. The core's own, but for clients, which comes with core_submit. */
struct core_counts {
    uint64_t clients;
    uint64_t commands;
    uint64_t groups;
    uint64_t group_most; /* commands in the largest one */
    uint64_t commits;
    uint64_t commits_failed;
};

struct core {
    struct env *env;         /* borrowed */
    struct tkv *db;          /* borrowed; NULL: it is the replica's */
    struct replica *replica; /* borrowed; NULL: this node does not replicate */
    struct front *front;     /* NULL without a replica */
    /* What this node knows of the others: member_look. NULL: nothing. */
    void (*look)(void *arg, struct memberview *v);
    void *look_arg;
    const struct nodeopt *opt;
    struct nodelog log;
    int poller; /* of the reactor, to wake it */
    struct env_thread thread;
    bool running;
    uint64_t started_ns; /* mono */

    struct env_mutex mutex; /* guards the next block */
    struct env_cond work;
    struct list queue;          /* submitted */
    struct list done;           /* to be collected */
    struct list landed;         /* the front's, back from the replica */
    uint64_t clients;           /* as the reactor last said */
    struct nodeopt_live shared; /* settings, for the reactor */
    bool stop_asked;            /* SHUTDOWN was executed */
    bool quit;                  /* core_stop was called */
    bool pumping;               /* the reactor looks at `landed` before it is done */

    /* of the core thread */
    struct nodeopt_live live;
    struct view view;
    struct tkv_batch *batch;
    struct cursor cursor;
    struct buf scratch; /* of the command being executed */
    uint64_t commit_ordinal;
    struct core_counts counts;
};

/* Either db, and it executes; or replica, and that does. */
NODISCARD enum status core_new(struct env *env, struct tkv *db, struct replica *replica,
                               const struct nodeopt *opt, struct core **core);

/* For replica_on_over, with a core as arg: the node is to end. */
void core_replica_over(void *arg);

/* Frees it; the thread must have been stopped. NULL is harmless. */
void core_free(struct core *c);

/* Starts the thread, if there is to be one; from now on the poller is woken when jobs are done. */
NODISCARD enum status core_start(struct core *c, int poller);

/* Executes what was submitted, and ends the thread. What it left is in core_collect. */
void core_stop(struct core *c);

/* Hands jobs over: the list is empty afterwards. clients: connections there are now. True: some are
 * done already, and nobody wakes the poller for them. */
bool core_submit(struct core *c, struct list *jobs, uint64_t clients);

/* Appends finished jobs to `done`, copies the settings; true once SHUTDOWN was executed. */
bool core_collect(struct core *c, struct list *done, struct nodeopt_live *live);

/* Back from the replica; from any thread. */
void core_landed(struct core *c, struct list *flight);

/* ---- for commands, on the core thread ---- */

/* Publishes c->live. */
void core_live_changed(struct core *c);
void core_shutdown(struct core *c);

/* Runs one group of jobs and settles each. Called by the thread, and by tests without one. */
void core_group_run(struct core *c, struct list *group);

#endif
