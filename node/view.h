/* view.h - what a command sees: the database under the group's uncommitted writes.
 *
 * Reads look into the overlay first; scans merge it with an engine iterator. `dirty` is set by
 * every read whose answer came from an uncommitted write, so that the core can run it again when
 * the group's commit fails.
 *
 * Failure: the engine's statuses (ST_NOMEM, ST_IO, ST_CORRUPT …), nothing changed.
 * Ownership: keys and values written are borrowed until the group ends; values read live until
 * view_value_release, and no longer than the next change of the view. */
#ifndef NODE_VIEW_H
#define NODE_VIEW_H

#include "engine/tkv.h"
#include "env/env.h"
#include "node/overlay.h"

struct view {
    struct env *env; /* borrowed */
    struct tkv *db;  /* borrowed */
    struct overlay overlay;
    bool dirty;
};

/* Keys that begin with ff ff are the node's own (sessions, the applied index): no command names
 * them, no walk of a command meets them. */
#define VIEW_RESERVED "\xff\xff"
static inline bool view_key_reserved(struct slice key)
{
    return key.size >= 2 && memcmp(key.data, VIEW_RESERVED, 2) == 0;
}

void view_init(struct view *v, struct env *env, struct tkv *db);
void view_release(struct view *v);

/* The status of the tree for one of the engine. */
enum status view_status(enum tkv_status st);

struct view_value {
    struct slice bytes;
    struct tkv_pin pin; /* private */
};

/* ST_NOENT: no such key, and value needs no release. */
NODISCARD enum status view_get(struct view *v, struct slice key, struct view_value *value);
void view_value_release(struct view *v, struct view_value *value); /* safe on a zeroed one */

/* ST_OK or ST_NOENT. */
NODISCARD enum status view_exists(struct view *v, struct slice key);

NODISCARD enum status view_put(struct view *v, struct slice key, struct slice value);
NODISCARD enum status view_delete(struct view *v, struct slice key);

/* Deletes begin <= key < end, as far as they are not reserved; a bound with data == NULL is open.
 * Nothing is written when there can be no such keys. */
NODISCARD enum status view_delete_range(struct view *v, struct slice begin, struct slice end);

/* What the overlay's write is for a batch. */
NODISCARD enum status view_batch_add(struct tkv_batch *batch, const struct overlay_write *w);

/* An ordered walk over lower <= key < upper; a bound with data == NULL is open. */
struct view_iter {
    struct view *view;
    struct tkv_iter *base;
    uint32_t *sorted; /* overlay writes in the range, by key */
    uint32_t sorted_count;
    uint32_t at;
    bool reverse;
    bool on_overlay; /* the present key is the overlay's */
    bool shadowed;   /* and the engine's iterator stands on it too */
    bool valid;
};

/* Starts on the first key in its direction, of those that are not reserved. The view must not
 * change while it is open. view_iter_close is needed after failure too. */
NODISCARD enum status view_iter_open(struct view_iter *it, struct view *v, struct slice lower,
                                     struct slice upper, bool reverse);
void view_iter_close(struct view_iter *it);

/* The same over all keys. */
NODISCARD enum status view_iter_open_all(struct view_iter *it, struct view *v, struct slice lower,
                                         struct slice upper, bool reverse);

/* Present key and value while it->valid, borrowed until the next step. */
struct slice view_iter_key(const struct view_iter *it);
struct slice view_iter_value(const struct view_iter *it);
void view_iter_next(struct view_iter *it);

/* Ask at the end of every walk: a walk that failed just ends. */
NODISCARD enum status view_iter_status(const struct view_iter *it);

#endif
