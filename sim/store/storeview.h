/* storeview.h - a whole database as somebody read it: each key of the model with its value. */
#ifndef SIM_STORE_STOREVIEW_H
#define SIM_STORE_STOREVIEW_H

#include "sim/store/storemodel.h"

struct storeseen {
    size_t at, size; /* in storeview.text */
    bool present;
};

struct storeview {
    struct mem *mem;
    struct buf text;
    struct storeseen *seen; /* one a key */
    size_t key_count;
    size_t entries;
    uint64_t sequence; /* of the last change, as the engine says */
    uint64_t tag;      /* tkv_durable_tag(), in a database without a log */
};

void storeview_init(struct storeview *v, struct mem *mem, size_t key_count);
void storeview_release(struct storeview *v);
bool storeview_same(const struct storeview *a, const struct storeview *b);

/* The value of a key; data NULL: it is absent. */
static inline struct slice storeview_value(const struct storeview *v, size_t key)
{
    const struct storeseen *s = &v->seen[key];
    return s->present ? slice_of(s->size > 0 ? v->text.data + s->at : "", s->size)
                      : slice_of(NULL, 0);
}

/* Reads everything through a cursor, forward or back. What the engine says, or TKV_OK and *wrong =
 * NULL; else *wrong says what no cursor may do: keys out of order, twice, or never written (E10).
 */
enum tkv_status storeview_scan(struct storeview *v, const struct storemodel *m, struct tkv *db,
                               const struct tkv_snapshot *snapshot, bool back, const char **wrong);

#endif
