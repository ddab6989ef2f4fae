/* overlay.c - see overlay.h. */
#include "node/overlay.h"

#include "base/ck.h"
#include "base/hash.h"

#define SLOTS_MIN   64u
#define WRITES_MIN  32u
#define WRITES_KEEP 4096u /* larger tables are given back by overlay_reset */
#define CHUNK_BYTES (64u * 1024u)

struct overlay_chunk {
    struct overlay_chunk *next;
    size_t used;
    size_t size;
    char bytes[];
};

/* ---- the table ---- */

/* The slot of the key: the one that holds it, or the free one where it would go. */
static uint32_t slot_find(const struct overlay *o, struct slice key, uint64_t hash)
{
    uint32_t mask = o->slot_count - 1;
    uint32_t s = (uint32_t)hash & mask;
    while (o->slots[s] != 0) {
        const struct overlay_write *w = &o->writes[o->slots[s] - 1];
        if (w->hash == hash && slice_equal(w->key, key)) {
            break;
        }
        s = (s + 1) & mask;
    }
    return s;
}

/* Makes the table twice as large, filling it in the order of the writes (I2). */
static enum status slots_grow(struct overlay *o)
{
    uint32_t count = o->slot_count == 0 ? SLOTS_MIN : o->slot_count * 2;
    uint32_t *slots = mem_zalloc(o->mem, count * sizeof *slots);
    if (slots == NULL) {
        return ST_NOMEM;
    }
    mem_release(o->mem, o->slots);
    o->slots = slots;
    o->slot_count = count;
    for (uint32_t i = 0; i < o->count; i++) {
        if (!o->writes[i].range) {
            o->slots[slot_find(o, o->writes[i].key, o->writes[i].hash)] = i + 1;
        }
    }
    return ST_OK;
}

static enum status writes_grow(struct overlay *o)
{
    uint32_t cap = o->cap == 0 ? WRITES_MIN : o->cap * 2;
    struct overlay_write *writes = mem_resize(o->mem, o->writes, cap * sizeof *writes);
    if (writes == NULL) {
        return ST_NOMEM;
    }
    o->writes = writes;
    o->cap = cap;
    return ST_OK;
}

const struct overlay_write *overlay_find(const struct overlay *o, struct slice key)
{
    if (o->count == 0) {
        return NULL;
    }
    uint32_t at = 0;
    if (o->key_count > 0) {
        at = o->slots[slot_find(o, key, hash_bytes(0, key.data, key.size))];
    }
    const struct overlay_write *range = overlay_hides(o, key, at);
    return range != NULL || at == 0 ? range : &o->writes[at - 1];
}

const struct overlay_write *overlay_hides(const struct overlay *o, struct slice key, uint32_t since)
{
    for (uint32_t at = o->ranges; at > since; at = o->writes[at - 1].before) {
        const struct overlay_write *w = &o->writes[at - 1];
        if (slice_compare(w->key, key) <= 0 && slice_compare(key, w->value) < 0) {
            return w;
        }
    }
    return NULL;
}

bool overlay_is_last(const struct overlay *o, uint32_t i)
{
    CK(i < o->count);
    return o->writes[i].range ||
           o->slots[slot_find(o, o->writes[i].key, o->writes[i].hash)] == i + 1;
}

enum status overlay_add(struct overlay *o, struct slice key, struct slice value, bool erase)
{
    if (o->count == o->cap) {
        enum status st = writes_grow(o);
        if (st != ST_OK) {
            return st;
        }
    }
    if (o->key_count >= o->slot_count / 2) {
        enum status st = slots_grow(o);
        if (st != ST_OK) {
            return st;
        }
    }
    uint64_t hash = hash_bytes(0, key.data, key.size);
    uint32_t *slot = &o->slots[slot_find(o, key, hash)];
    o->writes[o->count] = (struct overlay_write){
        .key = key,
        .value = erase ? slice_of(NULL, 0) : value,
        .hash = hash,
        .before = *slot,
        .erase = erase,
    };
    o->key_count += *slot == 0;
    *slot = ++o->count;
    o->bytes += key.size + (erase ? 0 : value.size);
    return ST_OK;
}

enum status overlay_add_range(struct overlay *o, struct slice begin, struct slice end)
{
    CK(slice_compare(begin, end) < 0);
    if (o->count == o->cap) {
        enum status st = writes_grow(o);
        if (st != ST_OK) {
            return st;
        }
    }
    o->writes[o->count] = (struct overlay_write){
        .key = begin,
        .value = end,
        .hash = hash_bytes(0, begin.data, begin.size),
        .before = o->ranges,
        .erase = true,
        .range = true,
    };
    o->ranges = ++o->count;
    o->bytes += begin.size + end.size;
    return ST_OK;
}

/* Takes the last write out of its table. */
static void unlink_last(struct overlay *o, const struct overlay_write *w)
{
    if (w->range) {
        CK(o->ranges == o->count);
        o->ranges = w->before;
        return;
    }
    uint32_t s = slot_find(o, w->key, w->hash);
    CK(o->slots[s] == o->count);
    o->slots[s] = w->before;
    o->key_count -= w->before == 0;
}

void overlay_undo(struct overlay *o, uint32_t count)
{
    CK(count <= o->count);
    while (o->count > count) {
        const struct overlay_write *w = &o->writes[o->count - 1];
        unlink_last(o, w);
        o->bytes -= w->key.size + w->value.size;
        o->count--;
    }
}

/* ---- copies ---- */

char *overlay_copy_room(struct overlay *o, size_t size)
{
    struct overlay_chunk *c = o->chunks;
    if (c == NULL || c->size - c->used < size) {
        size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        c = mem_alloc(o->mem, sizeof *c + room);
        if (c == NULL) {
            return NULL;
        }
        *c = (struct overlay_chunk){.next = o->chunks, .size = room};
        o->chunks = c;
    }
    char *at = c->bytes + c->used;
    c->used += size;
    return at;
}

/* Frees the chunks, but for one of the usual size when `keep`. */
static void chunks_release(struct overlay *o, bool keep)
{
    struct overlay_chunk *kept = NULL;
    while (o->chunks != NULL) {
        struct overlay_chunk *c = o->chunks;
        o->chunks = c->next;
        if (keep && kept == NULL && c->size == CHUNK_BYTES) {
            *c = (struct overlay_chunk){.size = CHUNK_BYTES};
            kept = c;
        } else {
            mem_release(o->mem, c);
        }
    }
    o->chunks = kept;
}

static void tables_release(struct overlay *o)
{
    mem_release(o->mem, o->writes);
    mem_release(o->mem, o->slots);
    o->writes = NULL;
    o->slots = NULL;
    o->cap = 0;
    o->slot_count = 0;
}

void overlay_reset(struct overlay *o)
{
    overlay_undo(o, 0);
    chunks_release(o, true);
    if (o->cap > WRITES_KEEP || o->slot_count > WRITES_KEEP * 2) {
        tables_release(o);
    }
}

void overlay_release(struct overlay *o)
{
    if (o->mem == NULL) {
        return;
    }
    chunks_release(o, false);
    tables_release(o);
    *o = (struct overlay){.mem = o->mem};
}
