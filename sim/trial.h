/* trial.h - one simulated run of a whole world with its checks: what it is asked for and what it
 * answers, the same for every world that tinykv-sim knows (docs/sim.md).
 *
 * A trial is a function of its plan (and tape): the same result and trace hash every time. */
#ifndef SIM_TRIAL_H
#define SIM_TRIAL_H

#include "sim/world.h"

struct trial_options {
    const struct plan *plan; /* borrowed */
    struct fiber_pool *pool;
    size_t trace_keep;
    trace_watch_fn *watch; /* sees every event; NULL: nobody */
    void *watch_arg;
    const void *tape; /* answers the choices; NULL: the seed does */
    size_t tape_size;
    struct buf *record;  /* gets the tape of this run; NULL: not wanted */
    struct buf *history; /* gets the clients' history as JSON lines; NULL: not wanted */
    uint8_t *probes;     /* one byte a probe site, set when reached; NULL: not wanted */
};

struct trial_result {
    bool ok;
    bool unknown; /* the history's verdict was "unknown" */
    bool
        searched; /* the order of execution did not explain the history: a search did, or did not */
    char order_why[256]; /* the first operation that it did not explain, and why */
    struct world_failure failure;
    uint64_t trace_hash;
    uint64_t events;
    uint64_t steps;
    uint64_t virtual_ns;
    uint64_t operations;     /* of clients, begun */
    uint64_t replies;        /* with a definite outcome */
    uint64_t crashes;        /* real ones: kills, powers, deaths */
    uint64_t shadow_crashes; /* recoveries that scanned everything */
    uint64_t shadow_nested;  /* of these, inside a recovery */
    uint64_t allocations;    /* of the first process under test */
    uint64_t flushes;        /* of the engine; the store world counts them */
    uint64_t compactions;    /* as above; tables that only moved are counted too */
    uint64_t injected[PLAN_KNOBS];
    uint64_t choices;
};

/* Options of a world that is to run this trial. */
struct world_options trial_world(const struct trial_options *o, const struct world_hooks *hooks,
                                 void *hooks_arg);

/* Who watches it, and what answers its choices: to be called once the world is there. */
void trial_attach(const struct trial_options *o, struct world *w);

/* What every world can say of itself at the end. */
void trial_account(const struct world *w, struct trial_result *r);

/* Faults injected so far that let a correct node fail to start, or end itself. */
uint64_t trial_excuses(const struct world *w);
/* The device serves nothing until it is rebooted, or has no room for a start. */
bool trial_disk_unwell(const struct simdisk *d);

/* The lines of the trace's ring, one an event. */
void trial_tail(const struct world *w, struct buf *tail);

/* What lies in a directory, for checks of what may be there at rest. */
struct trial_files {
    uint64_t count;
    char names[600]; /* " a b c", as far as they fit */
};
/* Reads it in the order of names. */
NODISCARD enum status trial_files(struct simdisk *d, const char *dir, struct trial_files *f);

/* ---- probes: the ENV_PROBE sites that this program was linked with ---- */

size_t trial_probe_count(void);
const char *trial_probe_name(size_t i);
/* It lies in the engine. */
bool trial_probe_engine(size_t i);
void trial_probe_reached(const struct trial_options *o, const struct env_site *site);

#endif
