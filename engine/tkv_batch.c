/* tkv_batch.c - the public face of batches; see tkv.h. */
#include "base/ck.h"
#include "engine/batch.h"
#include "engine/tkv_impl.h"

enum tkv_status tkv_batch_new(struct env *env, struct tkv_batch **batch)
{
    struct tkv_batch *b = env_alloc(env, sizeof *b);
    if (b == NULL) {
        return TKV_NOMEM;
    }
    b->env = env;
    buf_init(&b->bytes, &env->mem);
    enum status st = buf_reserve(&b->bytes, BATCH_HEAD);
    if (st != ST_OK) {
        tkv_batch_free(b);
        return TKV_NOMEM;
    }
    tkv_batch_clear(b);
    *batch = b;
    return TKV_OK;
}

void tkv_batch_free(struct tkv_batch *batch)
{
    if (batch != NULL) {
        buf_release(&batch->bytes);
        env_release(batch->env, batch);
    }
}

void tkv_batch_clear(struct tkv_batch *batch)
{
    batch_put_head(batch->bytes.data, 0);
    batch->bytes.size = BATCH_HEAD;
}

static enum tkv_status add(struct tkv_batch *batch, const struct batch_entry *e)
{
    size_t value_max = e->type == BATCH_DELETE_RANGE ? TKV_KEY_MAX : TKV_VALUE_MAX;
    if (e->key.size > TKV_KEY_MAX || e->value.size > value_max) {
        return TKV_TOOBIG;
    }
    return tkv_impl_status(batch_add(&batch->bytes, e));
}

enum tkv_status tkv_batch_put(struct tkv_batch *batch, const void *key, size_t key_size,
                              const void *value, size_t value_size)
{
    struct batch_entry e = {BATCH_PUT, slice_of(key, key_size), slice_of(value, value_size)};
    return add(batch, &e);
}

enum tkv_status tkv_batch_delete(struct tkv_batch *batch, const void *key, size_t key_size)
{
    struct batch_entry e = {BATCH_DELETE, slice_of(key, key_size), slice_of(NULL, 0)};
    return add(batch, &e);
}

enum tkv_status tkv_batch_delete_range(struct tkv_batch *batch, const void *begin,
                                       size_t begin_size, const void *end, size_t end_size)
{
    struct batch_entry e = {BATCH_DELETE_RANGE, slice_of(begin, begin_size),
                            slice_of(end, end_size)};
    return add(batch, &e);
}

/* Adds the count changes of an encoded batch, which is well formed. */
static enum status join(struct tkv_batch *batch, struct slice data, uint32_t count)
{
    uint32_t had = batch_count(buf_slice(&batch->bytes));
    size_t more = data.size - BATCH_HEAD;
    if (more > TKV_BATCH_MAX - batch->bytes.size || count > UINT32_MAX - had) {
        return ST_TOOBIG;
    }
    enum status st = buf_reserve(&batch->bytes, more);
    if (st == ST_OK) {
        /* data may be the batch's own bytes, which have moved */
        const char *from = data.data != NULL ? data.data : batch->bytes.data;
        memcpy(batch->bytes.data + batch->bytes.size, from + BATCH_HEAD, more);
        batch->bytes.size += more;
        batch_put_head(batch->bytes.data, had + count);
    }
    return st;
}

enum tkv_status tkv_batch_append(struct tkv_batch *batch, const struct tkv_batch *other)
{
    struct slice data = buf_slice(&other->bytes);
    uint32_t count = batch_count(data);
    return tkv_impl_status(
        join(batch, slice_of(other == batch ? NULL : data.data, data.size), count));
}

enum tkv_status tkv_batch_decode(struct tkv_batch *batch, const void *data, size_t size)
{
    uint32_t count;
    enum status st = batch_check(slice_of(data, size), &count);
    return tkv_impl_status(st == ST_OK ? join(batch, slice_of(data, size), count) : st);
}

uint32_t tkv_batch_count(const struct tkv_batch *batch)
{
    return batch_count(buf_slice(&batch->bytes));
}

const void *tkv_batch_data(const struct tkv_batch *batch, size_t *size)
{
    *size = batch->bytes.size;
    return batch->bytes.data;
}

enum tkv_status tkv_batch_walk(const void *data, size_t size, tkv_batch_fn *each, void *arg)
{
    struct batch_walk w;
    struct batch_entry e;
    bool more = true;
    enum status st = batch_walk_init(&w, slice_of(data, size));
    while (st == ST_OK && more) {
        st = batch_walk_next(&w, &e, &more);
        struct tkv_change change = {
            (enum tkv_change_type)e.type, {e.key.data, e.key.size}, {e.value.data, e.value.size}};
        if (st == ST_OK && more && !each(arg, &change)) {
            break;
        }
    }
    return tkv_impl_status(st);
}
