/* fuzz_batch.c - any bytes as an encoded batch: walking stays inside of them; walk, check and
 * decode agree about what is one; what was walked, written again, is the same changes; and a batch
 * that refused bytes is as before. */
#include "base/ck.h"
#include "base/hash.h"
#include "engine/batch.h"
#include "engine/tkv.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/test_env.h"

#define SIZE_MOST (1u << 16)

struct seen {
    const uint8_t *data;
    size_t size;
    uint64_t hash;
    uint32_t count;
    struct tkv_batch *copy; /* gets the changes; NULL: none */
};

static void inside(const struct seen *s, const struct tkv_slice *part)
{
    const uint8_t *p = part->data;
    CK(part->size <= s->size);
    CK(part->size == 0 || (p >= s->data && p + part->size <= s->data + s->size));
}

static enum tkv_status copy_one(struct tkv_batch *b, const struct tkv_change *c)
{
    switch (c->type) {
    case TKV_PUT:
        return tkv_batch_put(b, c->key.data, c->key.size, c->value.data, c->value.size);
    case TKV_DELETE:
        CK(c->value.size == 0);
        return tkv_batch_delete(b, c->key.data, c->key.size);
    default:
        CK(c->type == TKV_DELETE_RANGE);
        return tkv_batch_delete_range(b, c->key.data, c->key.size, c->value.data, c->value.size);
    }
}

static bool each(void *arg, const struct tkv_change *c)
{
    struct seen *s = arg;
    inside(s, &c->key);
    inside(s, &c->value);
    CK(c->key.size <= TKV_KEY_MAX);
    CK(c->value.size <= TKV_VALUE_MAX);
    s->hash = hash_add(hash_add(s->hash, c->type), c->key.size);
    s->hash = hash_bytes(s->hash, c->key.data, c->key.size);
    s->hash = hash_bytes(s->hash, c->value.data, c->value.size);
    s->count++;
    CK(s->copy == NULL || copy_one(s->copy, c) == TKV_OK);
    return true;
}

static enum tkv_status walk(const void *data, size_t size, struct tkv_batch *copy, struct seen *s)
{
    *s = (struct seen){.data = data, .size = size, .copy = copy};
    return tkv_batch_walk(data, size, each, s);
}

/* The same changes again, from a batch. */
static void same(const struct tkv_batch *b, const struct seen *want)
{
    struct seen s;
    size_t size;
    const void *data = tkv_batch_data(b, &size);
    CK(walk(data, size, NULL, &s) == TKV_OK);
    CK(s.hash == want->hash);
    CK(s.count == want->count);
    CK(tkv_batch_count(b) == want->count);
}

/* Bytes behind a change that was in it before. */
static void decode(struct env *env, const uint8_t *data, size_t size, enum tkv_status want,
                   uint32_t count)
{
    struct tkv_batch *b;
    size_t before;
    size_t after;
    CK(tkv_batch_new(env, &b) == TKV_OK);
    CK(tkv_batch_put(b, "first", 5, "one", 3) == TKV_OK);
    (void)tkv_batch_data(b, &before); /* its size */
    CK(tkv_batch_decode(b, data, size) == want);
    (void)tkv_batch_data(b, &after);
    CK(tkv_batch_count(b) == (want == TKV_OK ? count + 1 : 1));
    CK(want == TKV_OK || after == before);
    tkv_batch_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inject te;
    struct tkv_batch *copy;
    struct seen s;
    uint32_t count = 0;
    if (size > SIZE_MOST) {
        return 0;
    }
    test_env_init(&te, NULL);
    CK(tkv_batch_new(&te.env, &copy) == TKV_OK);
    enum tkv_status st = walk(data, size, copy, &s);
    CK(st == TKV_OK || st == TKV_CORRUPT || st == TKV_UNSUPPORTED);
    enum status checked = batch_check(slice_of(data, size), &count);
    CK((int)checked == (int)st); /* the values are the same */
    CK(st != TKV_OK || s.count == count);
    same(copy, &s);
    decode(&te.env, data, size, st, count);
    tkv_batch_free(copy);
    CK(te.live == 0);
    return 0;
}
