/* collapse.c - see collapse.h. */
#include "engine/collapse.h"

#include "base/ck.h"

void collapse_init(struct collapse *c, struct mem *mem)
{
    CK(c->snapshot_count > 0);
    buf_init(&c->key, mem);
}

void collapse_release(struct collapse *c)
{
    buf_release(&c->key);
}

/* The index of the first snapshot that sees the sequence; the count when only the future does. */
static size_t stripe_of(const struct collapse *c, uint64_t sequence)
{
    if (sequence <= c->snapshots[0]) {
        return 0; /* nearly always: there are few snapshots */
    }
    size_t low = 1;
    size_t high = c->snapshot_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->snapshots[middle] < sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Whether a range tomb in the entry's own stripe is over it. Keys ascend. */
static bool covered(struct collapse *c, const struct entry *e, size_t stripe)
{
    size_t count = tomb_set_count(c->tombs);
    for (; c->piece < count; c->piece++) {
        struct tomb_piece p = tomb_set_piece(c->tombs, c->piece);
        if (order_compare(c->order, e->key, p.end) >= 0) {
            continue;
        }
        if (order_compare(c->order, e->key, p.begin) < 0) {
            return false;
        }
        for (size_t i = p.count; i-- > 0;) {
            if (p.sequences[i] > e->sequence) { /* the oldest of those that are newer */
                return stripe_of(c, p.sequences[i]) == stripe;
            }
        }
        return false;
    }
    return false;
}

/* Whether a table of level 0 overlaps [begin, end]. There are few, and their order is not that of
 * keys. */
static bool lies_in_zero(const struct collapse *c, struct slice begin, struct slice end)
{
    const struct version_level *l = &c->version->levels[0];
    for (size_t i = 0; i < l->count; i++) {
        if (!version_file_before(c->order, l->files[i], begin) &&
            order_compare(c->order, l->files[i]->info.least, end) <= 0) {
            return true;
        }
    }
    return false;
}

/* Whether a deeper level may hold the key. Keys ascend. */
static bool lies_deeper(struct collapse *c, struct slice key)
{
    if (c->version == NULL) {
        return true;
    }
    for (int level = c->deeper; level < TKV_LEVELS; level++) {
        const struct version_level *l = &c->version->levels[level];
        size_t *at = &c->files[level];
        if (level == 0) {
            if (lies_in_zero(c, key, key)) {
                return true;
            }
            continue;
        }
        while (*at < l->count && version_file_before(c->order, l->files[*at], key)) {
            (*at)++;
        }
        if (*at < l->count && order_compare(c->order, l->files[*at]->info.least, key) <= 0) {
            return true;
        }
    }
    return false;
}

static enum status key_note(struct collapse *c, struct slice key)
{
    buf_clear(&c->key);
    c->any = true;
    return buf_append(&c->key, key.data, key.size);
}

enum status collapse_keep(struct collapse *c, const struct entry *e, bool *keep)
{
    size_t stripe = stripe_of(c, e->sequence);
    enum status st = ST_OK;
    bool same = c->any && slice_equal(buf_slice(&c->key), e->key);
    *keep = false;
    if (!same) {
        st = key_note(c, e->key);
    } else if (c->stripe == stripe && stripe < c->snapshot_count) {
        return ST_OK; /* hidden by the version before it */
    }
    c->stripe = stripe;
    if (st != ST_OK || (c->tombs != NULL && stripe < c->snapshot_count && covered(c, e, stripe))) {
        return st;
    }
    *keep = e->type != BATCH_DELETE || stripe > 0 || lies_deeper(c, e->key);
    return ST_OK;
}

bool collapse_tomb(const struct collapse *c, struct slice begin, struct slice end,
                   uint64_t sequence)
{
    if (c->version == NULL || stripe_of(c, sequence) > 0 ||
        (c->deeper == 0 && lies_in_zero(c, begin, end))) {
        return true;
    }
    for (int level = c->deeper > 0 ? c->deeper : 1; level < TKV_LEVELS; level++) {
        size_t first;
        size_t count;
        version_overlap(c->version, level, &begin, &end, &first, &count);
        if (count > 0) {
            return true;
        }
    }
    return false;
}
