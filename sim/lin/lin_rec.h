/* lin_rec.h - how a history is stored. Internal to sim/lin.
 *
 * Keys and values are ids of the history's tables. A value id of 0 (LIN_ABSENT) is "absent".
 * Field use by kind:
 *   get            key, result
 *   put, del       key, value (0 for del)
 *   cas            key, expect, value, result (1: it was equal)
 *   append, incr   key, value, result (incr)
 *   scan           key = lo, value = hi (ids of values), subs[expect, expect + result)
 *   batch          subs[expect, expect + result) */
#ifndef SIM_LIN_LIN_REC_H
#define SIM_LIN_LIN_REC_H

#include "sim/lin/lin.h"

#define LIN_ABSENT 0u

struct lin_rec {
    int64_t call;
    int64_t ret;
    uint32_t key;
    uint32_t value;
    uint32_t expect;
    uint32_t result;
    uint32_t client;
    uint32_t line;
    uint8_t kind;
    uint8_t outcome;
    bool known; /* what it saw is known */
};

/* A part of a batch, or one pair of a scan's result (kind LIN_GET). */
struct lin_sub {
    uint32_t key;
    uint32_t value;
    uint32_t expect;
    uint32_t result;
    uint8_t kind;
    bool known;
};

struct lin_mark_rec {
    int64_t at;
    int64_t until;
    int32_t node;
    uint32_t text; /* value id; LIN_ABSENT: none */
    uint8_t kind;
};

/* "fault", "leader", "term". */
const char *lin_mark_name(enum lin_mark_kind kind);

/* ---- string tables ---- */

void lin_strtab_init(struct lin_strtab *t, struct mem *mem);
void lin_strtab_release(struct lin_strtab *t);

/* The id of the string, added when new. ST_NOMEM, ST_TOOBIG beyond 4 GiB of text. */
NODISCARD enum status lin_strtab_add(struct lin_strtab *t, struct slice text, uint32_t *id);

#define LIN_NONE UINT32_MAX

/* The id of a string, or LIN_NONE. */
uint32_t lin_strtab_find(const struct lin_strtab *t, struct slice text);

static inline struct slice lin_strtab_get(const struct lin_strtab *t, uint32_t id)
{
    uint32_t start = id > 0 ? t->ends[id - 1] : 0;
    /* Nothing is stored while all strings are empty. */
    return slice_of(start > 0 ? t->bytes + start : t->bytes, t->ends[id] - start);
}

/* ---- increments ---- */

/* Canonical decimal (no sign but '-', no leading zeros) within 64 bits. */
bool lin_number_parse(struct slice text, int64_t *out);

/* Grows *array of elements of `size` bytes so that it holds `need`. */
NODISCARD enum status lin_grow(struct mem *mem, void *array, size_t *cap, size_t need, size_t size);

/* The places of the operations in the order of their calls, equal ones as they were added; NULL
 * in *order when they are in that order already. The caller releases it. */
NODISCARD enum status lin_sort_calls(const struct lin_history *h, uint32_t **order);

/* Checks the operation and stores its keys, values and parts, all but the operation itself, its
 * client, and its meta data: those are for the caller. Statuses as lin_history_add. */
NODISCARD enum status lin_history_record(struct lin_history *h, const struct lin_op *op,
                                         struct lin_rec *rec, struct err *err);

/* ---- for people ---- */

/* Appends what the operation did, without client and times: `put k "v1"`. */
NODISCARD enum status lin_say_what(const struct lin_history *h, size_t place, struct buf *out);

int64_t lin_say_client(const struct lin_history *h, size_t place);

#endif
