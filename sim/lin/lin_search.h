/* lin_search.h - just-in-time linearization of one part, breadth first. Internal to sim/lin.
 *
 * A node is a state of the store and, for each open operation, two bits:
 *   done   its obligation is met: it has taken effect, or could have without anyone noticing
 *   live   its effect is still to be had
 * All nodes stand at the same event. A call sets the bits of its slot; a return asks of every
 * node that the operation be done, and tries sequences of open operations in the nodes where it is
 * not. Nothing takes effect before somebody needs it. docs/lin.md has the rules and why each of
 * them is sound. */
#ifndef SIM_LIN_LIN_SEARCH_H
#define SIM_LIN_LIN_SEARCH_H

#include "sim/lin/lin_concat.h"

struct lin_nodes {
    uint64_t *words;
    size_t count;
    size_t cap;
};

struct lin_search {
    struct mem *mem;
    const struct lin_prog *p; /* borrowed */
    struct lin_concat concat;
    uint32_t width;      /* 64-bit words of one bit per slot */
    uint32_t node_words; /* width done, width live, then values in pairs */
    struct lin_nodes now;
    struct lin_nodes next;
    struct lin_nodes pool; /* all that was reached within one return */
    uint32_t *table;       /* of places + 1 in pool or next, by hash */
    size_t table_count;    /* in use, a power of two */
    size_t table_cap;
    uint64_t *observers; /* open slots that only look */
    uint64_t *writers;   /* open slots that write */
    uint32_t *slot_op;
    uint32_t *stamp;  /* per key: the last application that overwrote it blindly */
    uint32_t applied; /* number of this application, even */
    uint8_t *near;    /* per key: matters to the operation that returns */
    uint32_t event;
    uint64_t steps;
    uint64_t steps_max;
    size_t bytes;
    size_t bytes_max;
    size_t widest;
    bool stopped; /* a limit was hit */

    void (*progress)(void *arg, uint64_t events); /* may be NULL */
    void *progress_arg;
};

/* Zeroes *s first; release in every case. */
NODISCARD enum status lin_search_init(struct lin_search *s, const struct lin_prog *p,
                                      uint64_t steps_max, size_t bytes_max);
void lin_search_release(struct lin_search *s);

/* Runs to the end. *result tells; where it is "no", *event is the return that could not be. */
NODISCARD enum status lin_search_run(struct lin_search *s, enum lin_result *result,
                                     uint32_t *event);

/* The same by hand, for a program whose operations come and go (op i in slot i): the first node,
 * then one call or return at a time. Zero nodes in s->now: there is no order; s->stopped: a limit.
 */
NODISCARD enum status lin_search_start(struct lin_search *s);
void lin_search_call(struct lin_search *s, uint32_t op);
NODISCARD enum status lin_search_return(struct lin_search *s, uint32_t op);

/* Makes room for p->slot_count slots after it grew. */
NODISCARD enum status lin_search_widen(struct lin_search *s);

#endif
