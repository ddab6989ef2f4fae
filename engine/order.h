/* order.h - the order of keys: bytewise, or the one that the options name.
 *
 * Passed by value; what it points to outlives the database. */
#ifndef ENGINE_ORDER_H
#define ENGINE_ORDER_H

#include "base/slice.h"
#include "engine/tkv.h"

struct order {
    const struct tkv_comparator *custom; /* NULL: bytewise */
};

#define ORDER_BYTEWISE_NAME "tkv.bytewise"
#define ORDER_NAME_MAX      63 /* bytes */

static inline bool order_bytewise(struct order o)
{
    return o.custom == NULL;
}

static inline const char *order_name(struct order o)
{
    return o.custom == NULL ? ORDER_BYTEWISE_NAME : o.custom->name;
}

static inline int order_compare(struct order o, struct slice a, struct slice b)
{
    if (o.custom == NULL) {
        return slice_compare(a, b);
    }
    return o.custom->compare(o.custom->arg, a.data, a.size, b.data, b.size);
}

#endif
