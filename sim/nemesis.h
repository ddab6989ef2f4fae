/* nemesis.h - what happens to a process under test, or to one of several, at drawn moments: death,
 * power loss, of all at once too, pauses, orderly restarts, a full disk.
 *
 * Event `i` depends on its own stream of choices, so that a plan may leave others out. Events are
 * placed by the number of operations that the workload has begun; whoever counts them calls
 * nemesis_tick. */
#ifndef SIM_NEMESIS_H
#define SIM_NEMESIS_H

#include "sim/proc.h"

struct nemesis_event;

struct nemesis {
    struct world *world;
    size_t targets;           /* processes under test; 0: one */
    struct host **host;       /* of each of them */
    struct proc **proc;       /* their present incarnations; NULL while they are down */
    bool *stopping;           /* set while they were asked to end */
    uint64_t pause_ms;        /* the longest pause; 0: 400 */
    const uint64_t *ops;      /* operations begun */
    const size_t *busy;       /* whoever makes operations; 0: the events are over */
    struct task *const *wake; /* told at the end */
    struct task *task;        /* NULL once it is over */
    struct nemesis_event *events;
    uint64_t at; /* waits for so many operations */
};

/* The fields above `task` are set; it runs as a task of the world, owned by `tasks`. */
void nemesis_start(struct nemesis *n, struct list *tasks);
void nemesis_release(struct nemesis *n);

/* An operation has begun. */
void nemesis_tick(struct nemesis *n);

#endif
