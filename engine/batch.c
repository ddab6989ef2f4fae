/* batch.c - see batch.h. */
#include "engine/batch.h"

#include "base/ck.h"
#include "engine/tkv.h"

void batch_put_head(void *p, uint32_t count)
{
    code_put32(p, count);
    code_put32((char *)p + 4, 0);
}

size_t batch_put_entry_head(void *p, uint8_t type, size_t key_size, size_t value_size)
{
    char *at = p;
    *at++ = (char)type;
    at += code_put_varint(at, key_size);
    if (type != BATCH_DELETE) {
        at += code_put_varint(at, value_size);
    }
    return (size_t)(at - (char *)p);
}

enum status batch_add(struct buf *b, const struct batch_entry *entry)
{
    char head[BATCH_ENTRY_HEAD_MAX];
    size_t before = b->size;
    size_t head_size = batch_put_entry_head(head, entry->type, entry->key.size, entry->value.size);
    size_t want = BATCH_HEAD + head_size + entry->key.size + entry->value.size;
    if (want > TKV_BATCH_MAX || b->size > TKV_BATCH_MAX - want) {
        return ST_TOOBIG;
    }
    enum status st = buf_reserve(b, want);
    if (st != ST_OK) {
        return st;
    }
    if (before == 0) {
        batch_put_head(b->data, 0);
        b->size = BATCH_HEAD;
    }
    st = buf_append(b, head, head_size);
    CK(st == ST_OK); /* there is room for all three */
    st = buf_append(b, entry->key.data, entry->key.size);
    CK(st == ST_OK);
    st = buf_append(b, entry->value.data, entry->value.size);
    CK(st == ST_OK);
    code_put32(b->data, code_get32(b->data) + 1);
    return ST_OK;
}

uint32_t batch_count(struct slice data)
{
    CK(data.size >= BATCH_HEAD);
    return code_get32(data.data);
}

enum status batch_walk_init(struct batch_walk *w, struct slice data)
{
    if (data.size < BATCH_HEAD) {
        return ST_CORRUPT;
    }
    if (code_get32(data.data + 4) != 0) {
        return ST_UNSUPPORTED;
    }
    w->left = code_get32(data.data);
    w->rest = slice_of(data.data + BATCH_HEAD, data.size - BATCH_HEAD);
    return ST_OK;
}

/* Takes size bytes off the front of rest. */
static bool take(struct slice *rest, uint64_t size, struct slice *out)
{
    if (size > rest->size) {
        return false;
    }
    *out = slice_of(rest->data, (size_t)size);
    rest->data += size;
    rest->size -= (size_t)size;
    return true;
}

static bool take_varint(struct slice *rest, uint64_t *v)
{
    struct slice dropped;
    size_t n = code_get_varint(rest->data, rest->data + rest->size, v);
    return n > 0 && take(rest, n, &dropped);
}

enum status batch_walk_next(struct batch_walk *w, struct batch_entry *entry, bool *more)
{
    *more = false;
    if (w->left == 0) {
        return w->rest.size == 0 ? ST_OK : ST_CORRUPT;
    }
    struct slice type;
    uint64_t key_size = 0;
    uint64_t value_size = 0;
    if (!take(&w->rest, 1, &type)) {
        return ST_CORRUPT;
    }
    entry->type = (uint8_t)type.data[0];
    uint64_t value_max = entry->type == BATCH_PUT ? TKV_VALUE_MAX : TKV_KEY_MAX;
    if (entry->type < BATCH_PUT || entry->type > BATCH_DELETE_RANGE ||
        !take_varint(&w->rest, &key_size) ||
        (entry->type != BATCH_DELETE && !take_varint(&w->rest, &value_size)) ||
        key_size > TKV_KEY_MAX || value_size > value_max ||
        !take(&w->rest, key_size, &entry->key) || !take(&w->rest, value_size, &entry->value)) {
        return ST_CORRUPT;
    }
    w->left--;
    *more = true;
    return ST_OK;
}

enum status batch_check(struct slice data, uint32_t *count)
{
    struct batch_walk w;
    struct batch_entry entry;
    bool more = true;
    *count = 0;
    enum status st = batch_walk_init(&w, data);
    while (st == ST_OK && more) {
        st = batch_walk_next(&w, &entry, &more);
        *count += more;
    }
    return st;
}
