/* lin_prog.h - one part of a history made ready for search. Internal to sim/lin.
 *
 * Each operation becomes what it demands of the state and what it does to it; calls and returns
 * become one list of events (calls before returns where the times are equal), and operations
 * that are open at the same time have different slots. Keys are places in the part; values are
 * ids of the history, beyond which lie those that the search itself makes (append, incr). */
#ifndef SIM_LIN_LIN_PROG_H
#define SIM_LIN_LIN_PROG_H

#include "sim/lin/lin_map.h"
#include "sim/lin/lin_split.h"

enum lin_type {
    LIN_T_IS,    /* observes: key is `need` */
    LIN_T_NOT,   /* observes: key is not `need` (a compare-and-set that did not take place) */
    LIN_T_VIEW,  /* observes: several keys at once (subs) */
    LIN_T_PUT,   /* key becomes `val`, whatever it was */
    LIN_T_CAS,   /* key is `need` and becomes `val` */
    LIN_T_MAYBE, /* key becomes `val` if it is `need`; which of the two is not known */
    LIN_T_APPEND,
    LIN_T_INCR,  /* need: the new number, or LIN_NONE when that is not known */
    LIN_T_BATCH, /* several (subs), some of them writing */
};

struct lin_prog_op {
    uint32_t place; /* in the history */
    uint8_t type;
    bool info;  /* need not ever take effect */
    bool total; /* can take effect in any state, and shows nothing */
    bool twin;  /* others have the very same effect */
    uint32_t key;
    uint32_t need;
    uint32_t val;
    uint32_t sub; /* view and batch: subs[sub, sub + sub_count) */
    uint32_t sub_count;
    uint32_t slot;
    uint32_t call_at; /* event of its call */
    uint32_t ret_at;  /* event of its return, LIN_NONE without one */
    int64_t deadline; /* its return; LIN_NEVER without one */
    uint32_t last_at; /* the last event at which its value may still be looked at */
    uint32_t must_at; /* until this event somebody has to see its value, which is only its own */
    uint32_t group;   /* equal for operations of equal effect */
};

struct lin_prog {
    struct mem *mem;
    const struct lin_history *h;
    uint32_t key_count;
    uint32_t *init; /* value of each local key */
    struct lin_prog_op *ops;
    uint32_t op_count;
    struct lin_sub *subs; /* keys local; values as ids */
    size_t sub_count;
    size_t sub_cap;
    uint32_t *sub_seen;  /* per sub: until this event somebody has to see what it writes */
    struct lin_map owed; /* (key, value) that has one writer -> the last call that has to see it */
    uint32_t *events;    /* op * 2, + 1 for the return */
    uint32_t event_count;
    uint32_t slot_count;
    uint32_t *seen_at;  /* per key: last event at which anything looks at it */
    uint32_t *loose_at; /* per key: the same, for those that do not name one value */
    uint8_t *blurred;   /* per key: something looks at it without naming a value, not an append */
    bool grows;         /* there are appends */
};

/* Zeroes *p first; release in every case. `keep` (may be NULL) says of each operation of the part
 * whether it is there, and whether only as a writer (enum lin_keep in lin_witness.h). */
NODISCARD enum status lin_prog_make(struct lin_prog *p, const struct lin_history *h,
                                    const struct lin_split *s, const struct lin_part *part,
                                    const uint8_t *keep);
void lin_prog_release(struct lin_prog *p);

/* One operation of p->h alone, without slot and events. */
NODISCARD enum status lin_prog_compile(struct lin_prog *p, const struct lin_split *s,
                                       const struct lin_part *part, uint32_t place,
                                       struct lin_prog_op *op);

static inline bool lin_prog_observes(const struct lin_prog_op *op)
{
    return op->type <= LIN_T_VIEW;
}

#endif
