/* world.h - one simulated world: hosts, their disks and network, the processes on them, virtual
 * time, and the seed that decides all of it.
 *
 * Put a program in:   world_init → world_host → proc_start(host, main, …) → world_run → look →
 * world_release. The program gets a struct env and cannot tell; docs/sim.md shows a whole one.
 * A world knows nothing of key-value stores.
 *
 * Invariants
 *   I1 the trace hash is a function of the plan (and tape) alone
 *   I2 a killed process leaves nothing behind in the world: tasks, heap and descriptors go with it
 *   I3 shadow recoveries do not change the parent's trace
 * Failure: what a check finds goes to world_fail; the first one is kept and stops the run. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "fault/plan.h"
#include "sim/chooser.h"
#include "sim/sched.h"
#include "sim/simdisk.h"
#include "sim/trace.h"

struct proc;
struct simnet;
struct world;

/* Classes of disk operation, for latency, crash points and shadow points. */
enum disk_op {
    DISK_OPEN,
    DISK_READ,
    DISK_WRITE,
    DISK_SYNC,
    DISK_META, /* create, rename, link, remove, truncate */
    DISK_DIRSYNC,
    DISK_OPS
};

/* A machine: what survives the death of its processes. */
struct host {
    struct world *world;
    uint32_t id;      /* from 1 */
    uint32_t address; /* 10.x.y.z, the lower 24 bits; the id at first */
    bool up;
    struct simdisk *disk;
    /* clocks: local = offset + (virtual time - since) scaled by rate */
    int64_t drift_ppm;
    uint64_t mono_base;
    int64_t wall_offset; /* ns */
    uint64_t incarnations;
    struct chooser_stream clock;
    struct chooser_stream disk_time;
    struct chooser_stream disk_fault;
    struct chooser_stream disk_crash;
    struct chooser_stream media;
    bool spared;        /* no media fault strikes here */
    uint16_t port_next; /* ephemeral */
    uint16_t port_span; /* how many there are */
};

/* What the testbed wants to hear of; each may be NULL. Called in the scheduler's order, on the
 * stack of whoever acts; must not park. */
struct world_hooks {
    void (*note)(void *arg, struct proc *p, const struct env_note *n);
    void (*probe)(void *arg, struct proc *p, const struct env_site *site);
    /* Around each disk operation of a process that is watched (proc.watched). */
    void (*disk_point)(void *arg, struct proc *p, enum disk_op op, bool before);
    void (*ended)(void *arg, struct proc *p); /* exited, died or was killed; heap still there */
};

/* Why a run failed; class is a short name for "the same way". */
struct world_failure {
    bool set;
    char class[48];  /* "E2 durability", "linearizability", "deadlock" … */
    char text[1024]; /* one or more lines for a person */
    uint64_t time;
};

struct world {
    struct mem *mem;
    struct fiber_pool *pool;
    const struct plan *plan;
    struct chooser chooser;
    struct trace trace;
    struct sched sched;
    struct simnet *net;
    struct host **hosts;
    size_t host_count;
    struct list procs; /* of struct proc, ended ones too */
    uint32_t proc_ids;
    const struct simdisk_aim *aims; /* where media faults strike; NULL: any file */
    size_t aim_count;
    uint32_t flip_hosts;           /* bits flip on links between the first so many; 0: on all */
    bool media;                    /* the plan has media faults */
    uint64_t media_left;           /* how many may still happen */
    bool faults;                   /* false: nothing is injected (warm-up, final phase, shadows) */
    uint64_t injected[PLAN_KNOBS]; /* how often each fault happened */
    const struct world_hooks *hooks;
    void *hooks_arg;
    struct world_failure failure;
    struct world *outer; /* the world that a shadow runs inside of */
};

struct world_options {
    const struct plan *plan; /* borrowed */
    struct fiber_pool *pool;
    size_t trace_keep; /* events kept for a report */
    const struct world_hooks *hooks;
    void *hooks_arg;
    const struct simdisk_aim *aims; /* borrowed; where media faults strike; NULL: any file */
    size_t aim_count;
};

void world_init(struct world *w, struct mem *mem, const struct world_options *o);
void world_release(struct world *w);

/* A new machine with an empty disk, or on `disk`, which it then owns. */
struct host *world_host(struct world *w, struct simdisk *disk);

/* Runs until somebody stops it (world_stop, world_fail), and turns a deadlock or a spent budget
 * into a failure. True when nothing failed. */
bool world_run(struct world *w);
void world_stop(struct world *w);

/* Records the first failure and stops the world. */
__attribute__((format(__printf__, 3, 4))) void world_fail(struct world *w, const char *class,
                                                          const char *fmt, ...);

/* A line in the trace from the world itself. */
void world_trace(struct world *w, enum trace_kind kind, const char *text, uint64_t a);

/* A task of the testbed itself (a nemesis), outside any process. */
struct task *world_task(struct world *w, const char *name, struct list *owner,
                        void (*run)(void *arg), void *arg);

/* Draws whether fault k happens now, by its rate in ppm, and counts it. */
bool world_fault(struct world *w, struct chooser_stream *s, enum plan_knob k);
/* Counts one that was decided elsewhere. */
void world_injected(struct world *w, enum plan_knob k);

/* The world that is running on this thread, or NULL; what ck_fail() needs. */
struct world *world_current(void);

/* The power of a host goes: its processes vanish, its sockets fall silent, and its disk keeps what
 * the strategy and the model allow. Up again with host_power_on. */
void host_power_off(struct host *h, enum simdisk_strategy strategy);
void host_power_on(struct host *h);
/* The same, and another disk takes the place of its own: an empty one (simdisk_wiped), or one of
 * earlier days (simdisk_backup). The host owns it. */
void host_power_off_to(struct host *h, struct simdisk *disk);

uint64_t host_mono(const struct host *h);
int64_t host_wall(const struct host *h);
/* The virtual time at which this host's mono clock reads `mono`. */
uint64_t host_when(const struct host *h, uint64_t mono);

#endif
