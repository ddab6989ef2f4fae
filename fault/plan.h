/* plan.h - what can go wrong in a run, and how much of it: the catalogue and one run's plan.
 *
 * A plan is a seed, a value for each knob of the catalogue, and two lists of things left out
 * (operations of clients, events of the nemesis), by which a failing run is shrunk. plan_draw gives
 * each seed its own subset of faults, rates and sizes (the swarm); plan_print and plan_parse are
 * the .seed file, which a person may edit.
 *
 * Invariants: I1 a drawn value lies in its knob's limits   I2 the draw of one knob depends on the
 * seed and the knob's name only, so adding a knob changes no other   I3 parse(print(p)) == p
 * (tests/fault/test_plan.c).
 * Failure: ST_INVAL with line and cause from plan_parse, ST_NOMEM; the plan is unchanged then.
 * Rates are in ppm: chances per million opportunities. */
#ifndef FAULT_PLAN_H
#define FAULT_PLAN_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* X(id, name, section, min, max, default, draw, on_ppm, doc)
 * draw: FIX keeps the default; LIN and LOG draw from [low, high], uniform or by magnitude;
 * PICK draws an index by weights. on_ppm: how often a run has it at all (else min). */
enum plan_knob {
#define PLAN_KNOB(id, ...) PLAN_##id,
#include "fault/catalogue.h"
#undef PLAN_KNOB
    PLAN_KNOBS
};

/* Which simulated world a plan is for; old .seed files do not say, and mean the node's. */
enum plan_world { PLAN_WORLD_NODE, PLAN_WORLD_STORE, PLAN_WORLD_CLUSTER, PLAN_WORLDS };

struct plan_range {
    uint64_t actor; /* client, 0 for the nemesis */
    uint64_t first; /* ordinals left out, inclusive */
    uint64_t last;
};

struct plan_skips {
    struct plan_range *ranges;
    size_t count;
    size_t cap;
};

struct plan {
    struct mem *mem; /* borrowed */
    enum plan_world world;
    uint64_t seed;
    uint64_t value[PLAN_KNOBS];
    struct plan_skips ops;    /* client operations that are not issued */
    struct plan_skips events; /* nemesis events that do not happen */
};

/* Every knob at its default, nothing left out; for the world of the node. */
void plan_init(struct plan *p, struct mem *mem, uint64_t seed);
void plan_release(struct plan *p);
NODISCARD enum status plan_copy(const struct plan *from, struct plan *to);

/* The swarm: every knob of p->world drawn for p->seed, the others at their defaults. */
void plan_draw(struct plan *p);
/* The knobs of a network between several hosts, which plan_draw leaves at their defaults but for
 * the world of clusters. */
void plan_draw_net(struct plan *p);
/* One knob drawn for p->seed as though the catalogue gave it this on_ppm: for worlds that use knobs
 * which are never on by default. */
void plan_draw_one(struct plan *p, enum plan_knob k, uint32_t on_ppm);

/* The text of a .seed file; knobs at their drawn value are printed too, so that it stands alone. */
NODISCARD enum status plan_print(const struct plan *p, struct buf *out);
/* Reads one. Unknown names, values out of limits, a newer version: ST_INVAL, err says which line.
 */
NODISCARD enum status plan_parse(struct plan *p, struct slice text, struct err *err);

/* Sets one knob by name, as from a command line "name=value". ST_INVAL with a message. */
NODISCARD enum status plan_set(struct plan *p, const char *name, uint64_t value, struct err *err);

NODISCARD enum status plan_skip(struct plan *p, struct plan_skips *list, struct plan_range range);
bool plan_skips(const struct plan_skips *list, uint64_t actor, uint64_t ordinal);

static inline uint64_t plan_get(const struct plan *p, enum plan_knob k)
{
    return p->value[k];
}

const char *plan_name(enum plan_knob k);
/* The knob means something in that world. */
bool plan_concerns(enum plan_knob k, enum plan_world w);
/* It is of a network between several hosts: plan_draw_net draws it. */
bool plan_is_net(enum plan_knob k);
const char *plan_world_name(enum plan_world w);
bool plan_world_of(const char *name, enum plan_world *w); /* false: there is none such */
const char *plan_doc(enum plan_knob k);
uint64_t plan_min(enum plan_knob k);
uint64_t plan_max(enum plan_knob k);
uint64_t plan_default(enum plan_knob k);
/* A fault is off at its least value and is counted when it happens; other knobs are sizes and
 * shapes. */
bool plan_is_fault(enum plan_knob k);
/* Some seeds have it; else it is for plan_draw_one and for plans written by hand. */
bool plan_is_drawn(enum plan_knob k);

#endif
