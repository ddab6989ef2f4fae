/* tkv_iter.c - ordered cursors over a version; see tkv.h.
 *
 * A cursor has one place in each table: the newest version of some key that its sequence sees, a
 * delete too. Among them it takes the least key (the greatest, going back); where several tables
 * have that key the newest table wins, and a winner that is a delete is passed over. Versions that
 * do not count are passed by seeking, not one by one.
 *
 * Invariant: going forward, every place is at the present key or the first after it; going back,
 * at it or the last before. */
#include "base/ck.h"
#include "engine/tkv_impl.h"

#define STEPS_BEFORE_SEEK 4 /* older versions that are walked over before seeking past them */

struct tkv_iter {
    struct tkv *db;
    struct memview *version; /* referenced */
    uint64_t sequence;
    struct slice lower; /* copies lie behind the places; data NULL: open */
    struct slice upper;
    bool back;                    /* the direction of the places */
    const struct skl_node *entry; /* present; NULL: on nothing */
    const struct skl_node *places[];
};

/* ---- one table ---- */

/* From n on forward, the first entry that the cursor sees, which is the newest of its key. */
static const struct skl_node *settle(const struct skl *l, const struct skl_node *n,
                                     uint64_t sequence)
{
    while (n != NULL && n->sequence > sequence) {
        n = skl_seek(l, skl_key(n), sequence); /* past what is too new, perhaps to the next key */
    }
    return n;
}

static const struct skl_node *table_seek(const struct skl *l, struct slice key, uint64_t sequence)
{
    return settle(l, skl_seek(l, key, sequence), sequence);
}

/* The first visible key after that of n. */
static const struct skl_node *table_next(const struct skl *l, const struct skl_node *n,
                                         uint64_t sequence)
{
    struct slice key = skl_key(n);
    const struct skl_node *at = skl_next(n);
    for (int steps = 0; at != NULL && slice_equal(skl_key(at), key); steps++) {
        at = steps < STEPS_BEFORE_SEEK ? skl_next(at) : skl_seek(l, key, 0);
    }
    return settle(l, at, sequence);
}

/* The last visible key before `key`; with key.data NULL, of all. */
static const struct skl_node *table_before(const struct skl *l, struct slice key, uint64_t sequence)
{
    const struct skl_node *n =
        key.data == NULL ? skl_last(l) : skl_before(l, key, SKL_SEQUENCE_MAX);
    while (n != NULL) {
        /* n is the oldest version of its key; the newest that counts is wanted */
        const struct skl_node *newest = skl_seek(l, skl_key(n), sequence);
        if (newest != NULL && slice_equal(skl_key(newest), skl_key(n))) {
            return newest;
        }
        n = skl_before(l, skl_key(n), SKL_SEQUENCE_MAX);
    }
    return NULL;
}

/* ---- all of them ---- */

static const struct skl *list_of(const struct tkv_iter *it, size_t i)
{
    return &it->version->tables[i]->skl;
}

/* Takes the winner among the places; passes over deletes. */
static void choose(struct tkv_iter *it)
{
    size_t count = it->version->count;
    for (;;) {
        const struct skl_node *best = NULL;
        for (size_t i = 0; i < count; i++) {
            const struct skl_node *n = it->places[i];
            int c = n == NULL || best == NULL ? 0 : slice_compare(skl_key(n), skl_key(best));
            if (n != NULL && (best == NULL || (it->back ? c > 0 : c < 0))) {
                best = n; /* of equal keys the first table's stays */
            }
        }
        it->entry = best;
        if (best == NULL || best->type == BATCH_PUT) {
            break;
        }
        struct slice key = skl_key(best);
        for (size_t i = 0; i < count; i++) {
            const struct skl_node *n = it->places[i];
            if (n != NULL && slice_equal(skl_key(n), key)) {
                it->places[i] = it->back ? table_before(list_of(it, i), key, it->sequence)
                                         : table_next(list_of(it, i), n, it->sequence);
            }
        }
    }
    if (it->entry != NULL) {
        struct slice key = skl_key(it->entry);
        bool outside = it->back ? it->lower.data != NULL && slice_compare(key, it->lower) < 0
                                : it->upper.data != NULL && slice_compare(key, it->upper) >= 0;
        it->entry = outside ? NULL : it->entry;
    }
}

/* To the first key at or after `key`; with data NULL, of all. */
static void forward_from(struct tkv_iter *it, struct slice key)
{
    it->back = false;
    for (size_t i = 0; i < it->version->count; i++) {
        const struct skl *l = list_of(it, i);
        it->places[i] = key.data == NULL ? settle(l, skl_first(l), it->sequence)
                                         : table_seek(l, key, it->sequence);
    }
    choose(it);
}

/* To the last key before `key`; with data NULL, of all. */
static void back_from(struct tkv_iter *it, struct slice key)
{
    it->back = true;
    for (size_t i = 0; i < it->version->count; i++) {
        it->places[i] = table_before(list_of(it, i), key, it->sequence);
    }
    choose(it);
}

/* ---- public ---- */

/* A bound's copy; one that is there but empty keeps a data pointer. */
static struct slice bound_copy(char **at, const void *data, size_t size)
{
    if (data == NULL) {
        return slice_of(NULL, 0);
    }
    struct slice s = slice_of(*at, size);
    memcpy(*at, data, size);
    *at += size;
    return s;
}

enum tkv_status tkv_iter_new(struct tkv *db, const struct tkv_read_options *o,
                             struct tkv_iter **iter)
{
    uint64_t sequence;
    size_t bounds = o != NULL ? o->lower_size + o->upper_size : 0;
    struct memview *v = tkv_impl_view(db, o, &sequence);
    size_t places = v->count * sizeof(const struct skl_node *);
    struct tkv_iter *it = env_alloc(db->env, sizeof *it + places + bounds + 1);
    if (it == NULL) {
        memview_unref(v);
        return TKV_NOMEM;
    }
    *it = (struct tkv_iter){.db = db, .version = v, .sequence = sequence};
    memset(it->places, 0, places);
    char *at = (char *)(it->places + v->count);
    if (o != NULL) {
        it->lower = bound_copy(&at, o->lower, o->lower_size);
        it->upper = bound_copy(&at, o->upper, o->upper_size);
    }
    (void)atomic_add_u64(&db->iterators, 1); /* the count is looked at in tkv_close alone */
    *iter = it;
    return TKV_OK;
}

void tkv_iter_free(struct tkv_iter *iter)
{
    if (iter != NULL) {
        (void)atomic_add_u64(&iter->db->iterators, -1); /* as above */
        memview_unref(iter->version);
        env_release(iter->db->env, iter);
    }
}

void tkv_iter_first(struct tkv_iter *iter)
{
    forward_from(iter, iter->lower);
}

void tkv_iter_last(struct tkv_iter *iter)
{
    back_from(iter, iter->upper);
}

void tkv_iter_seek(struct tkv_iter *iter, const void *key, size_t key_size)
{
    struct slice k = slice_of(key_size > 0 ? key : "", key_size);
    bool below = iter->lower.data != NULL && slice_compare(k, iter->lower) < 0;
    forward_from(iter, below ? iter->lower : k);
}

void tkv_iter_seek_back(struct tkv_iter *iter, const void *key, size_t key_size)
{
    struct slice k = slice_of(key_size > 0 ? key : "", key_size);
    if (iter->upper.data != NULL && slice_compare(k, iter->upper) >= 0) {
        back_from(iter, iter->upper);
        return;
    }
    /* last <= key: the key itself, or what is before it */
    forward_from(iter, k);
    if (iter->entry == NULL || !slice_equal(skl_key(iter->entry), k) ||
        (iter->lower.data != NULL && slice_compare(k, iter->lower) < 0)) {
        back_from(iter, k);
    }
}

void tkv_iter_next(struct tkv_iter *iter)
{
    CK(iter->entry != NULL);
    struct slice key = skl_key(iter->entry);
    if (iter->back) {
        iter->back = false;
        for (size_t i = 0; i < iter->version->count; i++) {
            iter->places[i] = table_seek(list_of(iter, i), key, iter->sequence);
        }
    }
    for (size_t i = 0; i < iter->version->count; i++) {
        const struct skl_node *n = iter->places[i];
        if (n != NULL && slice_equal(skl_key(n), key)) {
            iter->places[i] = table_next(list_of(iter, i), n, iter->sequence);
        }
    }
    choose(iter);
}

void tkv_iter_prev(struct tkv_iter *iter)
{
    CK(iter->entry != NULL);
    struct slice key = skl_key(iter->entry);
    key = slice_of(key.size > 0 ? key.data : "", key.size);
    if (!iter->back) {
        back_from(iter, key);
        return;
    }
    for (size_t i = 0; i < iter->version->count; i++) {
        const struct skl_node *n = iter->places[i];
        if (n != NULL && slice_equal(skl_key(n), key)) {
            iter->places[i] = table_before(list_of(iter, i), key, iter->sequence);
        }
    }
    choose(iter);
}

bool tkv_iter_valid(const struct tkv_iter *iter)
{
    return iter->entry != NULL;
}

const void *tkv_iter_key(const struct tkv_iter *iter, size_t *size)
{
    CK(iter->entry != NULL);
    struct slice s = skl_key(iter->entry);
    *size = s.size;
    return s.data;
}

const void *tkv_iter_value(const struct tkv_iter *iter, size_t *size)
{
    CK(iter->entry != NULL);
    struct slice s = skl_value(iter->entry);
    *size = s.size;
    return s.data;
}

enum tkv_status tkv_iter_status(const struct tkv_iter *iter)
{
    (void)iter; /* everything is in memory: nothing can fail under way */
    return TKV_OK;
}
