/* faketkv.c - see faketkv.h. */
#include "tests/node/faketkv.h"

#include "base/slice.h"

#include <stdlib.h>

struct pair {
    char *bytes; /* the key, then the value */
    size_t key_size;
    size_t value_size;
};

struct tkv {
    struct pair *pairs;
    size_t count;
    size_t cap;
    uint64_t sequence;
};

struct change {
    struct pair pair; /* a range: its bounds */
    bool erase;
    bool range;
};

struct tkv_batch {
    struct change *changes;
    uint32_t count;
    uint32_t cap;
};

struct tkv_iter {
    struct tkv *db;
    struct slice lower;
    struct slice upper;
    size_t at; /* count of pairs when not valid */
};

static struct faketkv_knobs knobs;

struct faketkv_knobs *faketkv_knobs(void)
{
    return &knobs;
}

static struct slice key_of(const struct pair *p)
{
    return slice_of(p->bytes, p->key_size);
}

static struct pair pair_make(const void *key, size_t key_size, const void *value, size_t value_size)
{
    struct pair p = {malloc(key_size + value_size + 1), key_size, value_size};
    memcpy(p.bytes, key, key_size);
    if (value_size > 0) {
        memcpy(p.bytes + key_size, value, value_size);
    }
    return p;
}

/* The first pair whose key is not below. */
static size_t lower_bound(const struct tkv *db, struct slice key)
{
    size_t low = 0;
    size_t high = db->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (slice_compare(key_of(&db->pairs[mid]), key) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static struct pair *pair_find(struct tkv *db, struct slice key)
{
    size_t i = lower_bound(db, key);
    return i < db->count && slice_equal(key_of(&db->pairs[i]), key) ? &db->pairs[i] : NULL;
}

void tkv_options_init(struct tkv_options *o)
{
    *o = (struct tkv_options){.size = sizeof *o};
}

void tkv_write_options_init(struct tkv_write_options *o)
{
    *o = (struct tkv_write_options){.size = sizeof *o};
}

void tkv_read_options_init(struct tkv_read_options *o)
{
    *o = (struct tkv_read_options){.size = sizeof *o};
}

enum tkv_status tkv_open(const struct tkv_options *o, const char *dir, struct tkv **db,
                         struct tkv_error *error)
{
    (void)o, (void)dir, (void)error;
    knobs = (struct faketkv_knobs){.fail_count = 0};
    *db = calloc(1, sizeof **db);
    return TKV_OK;
}

enum tkv_status tkv_close(struct tkv *db)
{
    for (size_t i = 0; i < db->count; i++) {
        free(db->pairs[i].bytes);
    }
    free(db->pairs);
    free(db);
    return TKV_OK;
}

enum tkv_status tkv_batch_new(struct env *env, struct tkv_batch **batch)
{
    (void)env;
    *batch = calloc(1, sizeof **batch);
    return TKV_OK;
}

void tkv_batch_clear(struct tkv_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        free(batch->changes[i].pair.bytes);
    }
    batch->count = 0;
}

void tkv_batch_free(struct tkv_batch *batch)
{
    if (batch != NULL) {
        tkv_batch_clear(batch);
        free(batch->changes);
        free(batch);
    }
}

static enum tkv_status change_add(struct tkv_batch *b, struct change c)
{
    if (b->count == b->cap) {
        b->cap = b->cap * 2 + 8;
        b->changes = realloc(b->changes, b->cap * sizeof *b->changes);
    }
    b->changes[b->count++] = c;
    return TKV_OK;
}

enum tkv_status tkv_batch_put(struct tkv_batch *batch, const void *key, size_t key_size,
                              const void *value, size_t value_size)
{
    return change_add(batch, (struct change){.pair = pair_make(key, key_size, value, value_size)});
}

enum tkv_status tkv_batch_delete(struct tkv_batch *batch, const void *key, size_t key_size)
{
    return change_add(batch,
                      (struct change){.pair = pair_make(key, key_size, NULL, 0), .erase = true});
}

enum tkv_status tkv_batch_delete_range(struct tkv_batch *batch, const void *begin,
                                       size_t begin_size, const void *end, size_t end_size)
{
    return change_add(
        batch, (struct change){.pair = pair_make(begin, begin_size, end, end_size), .range = true});
}

const void *tkv_batch_data(const struct tkv_batch *batch, size_t *size)
{
    *size = batch->count;
    return batch->changes;
}

static void range_delete(struct tkv *db, struct slice begin, struct slice end)
{
    size_t i = lower_bound(db, begin);
    size_t last = lower_bound(db, end);
    for (size_t k = i; k < last; k++) {
        free(db->pairs[k].bytes);
    }
    if (last > i) {
        memmove(&db->pairs[i], &db->pairs[last], (db->count - last) * sizeof *db->pairs);
        db->count -= last - i;
    }
    db->sequence++;
}

static void apply(struct tkv *db, const struct change *c)
{
    struct slice key = key_of(&c->pair);
    if (c->range) {
        range_delete(db, key, slice_of(c->pair.bytes + key.size, c->pair.value_size));
        return;
    }
    size_t i = lower_bound(db, key);
    bool there = i < db->count && slice_equal(key_of(&db->pairs[i]), key);
    struct pair p = pair_make(key.data, key.size, c->pair.bytes + key.size, c->pair.value_size);
    db->sequence++;
    if (there) {
        free(db->pairs[i].bytes);
    }
    if (c->erase) {
        free(p.bytes);
        if (there) {
            memmove(&db->pairs[i], &db->pairs[i + 1], (--db->count - i) * sizeof p);
        }
        return;
    }
    if (!there) {
        if (db->count == db->cap) {
            db->cap = db->cap * 2 + 8;
            db->pairs = realloc(db->pairs, db->cap * sizeof p);
        }
        memmove(&db->pairs[i + 1], &db->pairs[i], (db->count++ - i) * sizeof p);
    }
    db->pairs[i] = p;
}

enum tkv_status tkv_write(struct tkv *db, const struct tkv_write_options *o,
                          const struct tkv_batch *batch, uint64_t *sequence)
{
    knobs.writes++;
    knobs.syncs += o != NULL && o->sync;
    knobs.last_count = batch->count;
    if (knobs.fail_count > 0) {
        knobs.fail_count--;
        return knobs.write_fails;
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        apply(db, &batch->changes[i]);
    }
    if (sequence != NULL) {
        *sequence = db->sequence;
    }
    return TKV_OK;
}

enum tkv_status tkv_get_pin(struct tkv *db, const struct tkv_read_options *o, const void *key,
                            size_t key_size, struct tkv_pin *pin)
{
    (void)o;
    if (knobs.read_fails != TKV_OK) {
        return knobs.read_fails;
    }
    struct pair *p = pair_find(db, slice_of(key, key_size));
    if (p == NULL) {
        return TKV_NOTFOUND;
    }
    *pin = (struct tkv_pin){.data = p->bytes + p->key_size, .size = p->value_size};
    return TKV_OK;
}

void tkv_pin_release(struct tkv *db, struct tkv_pin *pin)
{
    (void)db, (void)pin;
}

enum tkv_status tkv_iter_new(struct tkv *db, const struct tkv_read_options *o,
                             struct tkv_iter **iter)
{
    *iter = malloc(sizeof **iter);
    **iter = (struct tkv_iter){db, slice_of(o->lower, o->lower_size),
                               slice_of(o->upper, o->upper_size), db->count};
    return TKV_OK;
}

void tkv_iter_free(struct tkv_iter *iter)
{
    free(iter);
}

/* One past the last pair in bounds, and the first one. */
static size_t end_of(const struct tkv_iter *it)
{
    return it->upper.data != NULL ? lower_bound(it->db, it->upper) : it->db->count;
}

static size_t begin_of(const struct tkv_iter *it)
{
    return it->lower.data != NULL ? lower_bound(it->db, it->lower) : 0;
}

void tkv_iter_first(struct tkv_iter *iter)
{
    iter->at = begin_of(iter);
}

void tkv_iter_last(struct tkv_iter *iter)
{
    size_t end = end_of(iter);
    iter->at = end > begin_of(iter) ? end - 1 : iter->db->count;
}

void tkv_iter_seek(struct tkv_iter *iter, const void *key, size_t key_size)
{
    size_t at = lower_bound(iter->db, slice_of(key, key_size));
    iter->at = at > begin_of(iter) ? at : begin_of(iter);
}

void tkv_iter_seek_back(struct tkv_iter *iter, const void *key, size_t key_size)
{
    struct slice to = slice_of(key, key_size);
    size_t at = lower_bound(iter->db, to);
    at += at < iter->db->count && slice_equal(key_of(&iter->db->pairs[at]), to);
    at = at < end_of(iter) ? at : end_of(iter);
    iter->at = at > begin_of(iter) ? at - 1 : iter->db->count;
}

void tkv_iter_next(struct tkv_iter *iter)
{
    iter->at++;
}

void tkv_iter_prev(struct tkv_iter *iter)
{
    iter->at = iter->at > begin_of(iter) ? iter->at - 1 : iter->db->count;
}

bool tkv_iter_valid(const struct tkv_iter *iter)
{
    return iter->at < end_of(iter);
}

const void *tkv_iter_key(const struct tkv_iter *iter, size_t *size)
{
    *size = iter->db->pairs[iter->at].key_size;
    return iter->db->pairs[iter->at].bytes;
}

const void *tkv_iter_value(const struct tkv_iter *iter, size_t *size)
{
    const struct pair *p = &iter->db->pairs[iter->at];
    *size = p->value_size;
    return p->bytes + p->key_size;
}

enum tkv_status tkv_iter_status(const struct tkv_iter *iter)
{
    (void)iter;
    return knobs.read_fails;
}

void tkv_stats(struct tkv *db, struct tkv_stats *stats)
{
    *stats = (struct tkv_stats){.size = sizeof *stats, .sequence = db->sequence};
}

const char *tkv_status_text(enum tkv_status status)
{
    return status == TKV_OK ? "ok" : "failed";
}
