/* shadowing.h - shadow crashes: clone the disk of a process under test, let the power go, recover
 * on the clone in a world of its own, judge what is found, throw it away. The run goes on as if
 * nothing had been.
 *
 * What a recovery is and what it may find is the business of whoever knows the program under test:
 * it embeds a `struct shadowed` in what it wants to remember of one recovery. Decisions come from a
 * chooser of their own, so that the parent's trace and tape are the same with shadows on and off. A
 * recovery may itself be crashed, shadow_depth deep. */
#ifndef SIM_SHADOWING_H
#define SIM_SHADOWING_H

#include "sim/proc.h"
#include "sim/trial.h"

struct shadowed;

/* Of a run. */
struct shadowing {
    struct world *world; /* the run's */
    const struct trial_options *options;
    struct trial_result *result; /* counts */
    proc_main_fn *main;          /* what recovers; its user is the struct shadowed */
    void (*judge)(struct shadowed *s);
    /* A crash of the given disk, which is s->disk's when there is an outer recovery: makes a
     * struct shadowed and calls shadowed_crash. */
    void (*crash)(struct shadowing *run, struct shadowed *outer, const struct simdisk *d,
                  enum simdisk_strategy strategy, unsigned depth, const char *what);
    void *user;
    struct chooser chooser;
    struct chooser_stream draw;
    uint64_t done; /* nested ones apart */
};

/* One recovery. */
struct shadowed {
    struct shadowing *run;
    struct world world;
    struct plan plan; /* the run's, with another seed; its lists are borrowed */
    struct shadowed *outer;
    unsigned depth;   /* further crashes allowed inside */
    const char *what; /* for reports */
};

/* The fields above `chooser` are set by the caller. */
void shadowing_init(struct shadowing *run);

/* There is room for one more, and nothing has failed. */
bool shadowing_room(const struct shadowing *run);
/* A disk operation of the process under test: a shadow crash happens here if one is drawn. */
void shadowing_point(struct shadowing *run, const struct simdisk *d, enum disk_op op);
/* A promise leaves: maybe one that drops everything unsynced. */
void shadowing_promise(struct shadowing *run, const struct simdisk *d);

/* s->run, outer, depth and what are set: crashes a copy of d, runs the recovery, judges it, and
 * passes a failure on. */
void shadowed_crash(struct shadowed *s, const struct simdisk *d, enum simdisk_strategy strategy);
/* The same in two steps, for whoever draws in between; takes the disk. */
struct simdisk *shadowed_disk(struct shadowing *run, const struct simdisk *d,
                              enum simdisk_strategy strategy);
void shadowed_run(struct shadowed *s, struct simdisk *disk);

/* Fails the recovery's world, and so the run. */
void shadowed_fail(struct shadowed *s, const char *class, const char *text);

#endif
