/* blockwrite.c - see blockwrite.h. */
#include "engine/blockwrite.h"

#include "base/ck.h"
#include "engine/blockread.h"

#define ENTRY_HEAD_MAX 10 /* bytes: two varints of sizes below 2^32 */
#define ROWS_MIN       64

void blockwrite_init(struct blockwrite *w, struct mem *mem)
{
    *w = (struct blockwrite){.least = UINT64_MAX};
    buf_init(&w->entries, mem);
}

void blockwrite_release(struct blockwrite *w)
{
    if (w->entries.mem != NULL) {
        mem_release(w->entries.mem, w->rows);
        buf_release(&w->entries);
    }
    w->rows = NULL;
    w->count = 0;
    w->cap = 0;
}

void blockwrite_clear(struct blockwrite *w)
{
    buf_clear(&w->entries);
    w->count = 0;
    w->least = UINT64_MAX;
    w->most = 0;
}

static enum status rows_reserve(struct blockwrite *w)
{
    if (w->count < w->cap) {
        return ST_OK;
    }
    uint32_t cap = w->cap == 0 ? ROWS_MIN : w->cap * 2;
    struct blockwrite_row *rows =
        mem_resize(w->entries.mem, w->rows, (size_t)cap * sizeof w->rows[0]);
    if (rows == NULL) {
        return ST_NOMEM;
    }
    w->rows = rows;
    w->cap = cap;
    return ST_OK;
}

static size_t common(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t n = a_size < b_size ? a_size : b_size;
    size_t i = 0;
    while (i < n && a[i] == b[i]) {
        i++;
    }
    return i;
}

enum status blockwrite_add(struct blockwrite *w, const struct entry *e, uint64_t hash)
{
    enum status st = rows_reserve(w);
    if (st == ST_OK) {
        st = buf_reserve(&w->entries, ENTRY_HEAD_MAX + e->key.size + e->value.size);
    }
    if (st != ST_OK) {
        return st;
    }
    struct buf *b = &w->entries;
    bool first = w->count % BLOCKREAD_GROUP == 0;
    size_t shared =
        first ? 0 : common(b->data + w->head_at, w->head_size, e->key.data, e->key.size);
    size_t rest = e->key.size - shared;
    CK(e->type == BATCH_PUT || e->value.size == 0);
    w->rows[w->count++] = (struct blockwrite_row){e->sequence, (uint32_t)b->size, (uint8_t)hash};
    char *p = b->data + b->size;
    p += code_put_varint(p, shared);
    p += code_put_varint(p, (uint64_t)rest << 1 | (e->type == BATCH_DELETE));
    if (first) {
        w->head_at = (uint32_t)(p - b->data);
        w->head_size = (uint32_t)rest;
    }
    if (rest > 0) {
        memcpy(p, e->key.data + shared, rest);
    }
    if (e->value.size > 0) {
        memcpy(p + rest, e->value.data, e->value.size);
    }
    b->size = (size_t)(p - b->data) + rest + e->value.size;
    w->least = e->sequence < w->least ? e->sequence : w->least;
    w->most = e->sequence > w->most ? e->sequence : w->most;
    return ST_OK;
}

static uint8_t width_of(const struct blockwrite *w)
{
    uint8_t width = 0;
    for (uint64_t range = w->most - w->least; range > 0; range >>= 8) {
        width++;
    }
    return width;
}

uint64_t blockwrite_size(const struct blockwrite *w)
{
    uint64_t row =
        1u + (w->count > 0 ? width_of(w) : 0u) + (w->entries.size > UINT16_MAX ? 4u : 2u);
    return w->entries.size + w->count * row + BLOCKREAD_TAIL;
}

uint64_t blockwrite_size_with(const struct blockwrite *w, size_t key_size, size_t value_size)
{
    return blockwrite_size(w) + 2 + key_size + value_size + 3;
}

static char *put_low(char *p, uint64_t v, uint8_t width)
{
    for (uint8_t i = 0; i < width; i++) {
        p[i] = (char)(v >> 8 * i);
    }
    return p + width;
}

enum status blockwrite_finish(const struct blockwrite *w, struct buf *out)
{
    CK(w->count > 0);
    uint64_t size = blockwrite_size(w);
    enum status st = buf_reserve(out, (size_t)size);
    if (st != ST_OK) {
        return st;
    }
    bool wide = w->entries.size > UINT16_MAX;
    uint8_t width = width_of(w);
    char *p = out->data + out->size;
    memcpy(p, w->entries.data, w->entries.size);
    p += w->entries.size;
    for (uint32_t i = 0; i < w->count; i++) {
        p = put_low(p, w->rows[i].offset, wide ? 4 : 2);
    }
    for (uint32_t i = 0; i < w->count; i++) {
        p = put_low(p, w->rows[i].sequence - w->least, width);
    }
    for (uint32_t i = 0; i < w->count; i++) {
        *p++ = (char)w->rows[i].mark;
    }
    code_put64(p, w->least | (uint64_t)width << 56);
    code_put32(p + 8, w->count | (wide ? BLOCKREAD_WIDE : 0));
    out->size += (size_t)size;
    return ST_OK;
}
