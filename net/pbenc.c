/* pbenc.c - see pbenc.h.
 *
 * Writing goes backwards: a message's bytes are there before its length is put in front of them,
 * so no length is computed twice. The size of the whole is computed first, for an allocation of
 * just that, and the writer must meet it exactly. */
#include "net/pbenc.h"

#include "base/ck.h"
#include "base/code.h"
#include "net/pbwire.h"
#include "net/utf8.h"

#include <string.h>

#define BYTE_LAST 0x80u /* a byte below it ends a varint */

static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

/* The number as its varint or fixed-width form has it: negative ones are widened to 64 bits. */
static uint64_t scalar_get(enum pb_kind kind, const void *value)
{
    int32_t i32 = 0;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    bool truth = false;
    switch (kind) {
    case PB_INT32:
    case PB_ENUM:
    case PB_SFIXED32:
        memcpy(&i32, value, sizeof i32);
        return (uint64_t)(int64_t)i32;
    case PB_SINT32:
        memcpy(&i32, value, sizeof i32);
        return zigzag(i32);
    case PB_UINT32:
    case PB_FIXED32:
        memcpy(&u32, value, sizeof u32);
        return u32;
    case PB_SINT64:
        memcpy(&u64, value, sizeof u64);
        return zigzag((int64_t)u64);
    case PB_BOOL:
        memcpy(&truth, value, sizeof truth);
        return truth;
    default:
        memcpy(&u64, value, sizeof u64);
        return u64;
    }
}

static size_t scalar_size(enum pb_kind kind, const void *value)
{
    enum pbwire wire = pbwire_of(kind);
    if (wire == PBWIRE_VARINT) {
        uint64_t v = scalar_get(kind, value);
        return v < 0x80 ? 1 : code_varint_size(v);
    }
    return wire == PBWIRE_32 ? 4 : 8;
}

static size_t tag_size(const struct pb_field *f)
{
    return f->number < 16 ? 1 : code_varint_size((uint64_t)f->number << 3);
}

/* A member of a oneof that is not the one set. A request has twenty of them, so they are passed
 * over before anything else is looked at. */
static inline bool is_unset_member(const void *message, const struct pb_field *f)
{
    return f->label == PB_ONEOF && pbwire_which_get(message, f) != f->number;
}

/* Whether a field that is neither a list nor an unset member is written. */
static bool is_set(const void *message, const struct pb_field *f)
{
    const void *value = pbwire_at(message, f->offset);
    switch ((enum pb_label)f->label) {
    case PB_OPTIONAL:
        return pbwire_flag_get(message, f);
    case PB_ONEOF:
        return true;
    default:
        return f->kind == PB_STRING || f->kind == PB_BYTES
                   ? pbwire_slice_get(value).size > 0
                   : scalar_get((enum pb_kind)f->kind, value) != 0;
    }
}

static enum status message_size(const struct pb_table *t, const void *message, unsigned depth,
                                uint64_t *size);

/* Size of one value with its length, where it has one. */
static enum status value_size(const struct pb_field *f, const void *value, unsigned depth,
                              uint64_t *size)
{
    enum status st = ST_OK;
    if (pbwire_of((enum pb_kind)f->kind) != PBWIRE_LENGTH) {
        *size = scalar_size((enum pb_kind)f->kind, value);
        return ST_OK;
    }
    if (f->kind == PB_MESSAGE) {
        st = message_size(f->sub, value, depth + 1, size);
    } else {
        struct slice s = pbwire_slice_get(value);
        *size = s.size;
        st = f->kind == PB_STRING && !utf8_valid(s) ? ST_INVAL : ST_OK;
    }
    *size += code_varint_size(*size);
    return st;
}

static bool is_packed(const struct pb_field *f)
{
    return pbwire_of((enum pb_kind)f->kind) != PBWIRE_LENGTH;
}

static uint64_t packed_size(const struct pb_field *f, struct pb_list list)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        size += scalar_size((enum pb_kind)f->kind, pbwire_at(list.items, (size_t)i * f->size));
    }
    return size;
}

static enum status list_size(const struct pb_field *f, struct pb_list list, unsigned depth,
                             uint64_t *size)
{
    enum status st = ST_OK;
    *size = 0;
    if (is_packed(f)) {
        uint64_t inner = packed_size(f, list);
        *size = list.count > 0 ? tag_size(f) + code_varint_size(inner) + inner : 0;
        return ST_OK;
    }
    for (uint32_t i = 0; st == ST_OK && i < list.count; i++) {
        uint64_t one;
        st = value_size(f, pbwire_at(list.items, (size_t)i * f->size), depth, &one);
        *size += tag_size(f) + one;
    }
    return st;
}

static enum status message_size(const struct pb_table *t, const void *message, unsigned depth,
                                uint64_t *size)
{
    enum status st = ST_OK;
    CK(depth <= PB_DEPTH_MAX);
    *size = 0;
    for (uint32_t i = 0; st == ST_OK && i < t->count; i++) {
        const struct pb_field *f = &t->fields[i];
        const void *value = pbwire_at(message, f->offset);
        uint64_t one = 0;
        if (is_unset_member(message, f)) {
            continue;
        }
        if (f->label == PB_REPEATED) {
            st = list_size(f, pbwire_list_get(value), depth, &one);
        } else if (is_set(message, f)) {
            st = value_size(f, value, depth, &one);
            one += tag_size(f);
        }
        *size += one;
    }
    return st;
}

enum status pbenc_size(const struct pb_table *t, const void *message, size_t *size)
{
    uint64_t sum;
    enum status st = message_size(t, message, 0, &sum);
    if (st == ST_OK && sum > PB_SIZE_MAX) {
        st = ST_TOOBIG;
    }
    *size = st == ST_OK ? (size_t)sum : 0;
    return st;
}

/* Bytes are put in front of `at`. */
struct writer {
    unsigned char *at;
    unsigned char *least;
};

static unsigned char *room(struct writer *w, size_t size)
{
    CK(size <= (size_t)(w->at - w->least));
    w->at -= size;
    return w->at;
}

static void put_varint(struct writer *w, uint64_t v)
{
    if (v < BYTE_LAST) {
        *room(w, 1) = (unsigned char)v;
    } else {
        (void)code_put_varint(room(w, code_varint_size(v)), v); /* as many as there is room for */
    }
}

static void put_tag(struct writer *w, const struct pb_field *f, enum pbwire wire)
{
    put_varint(w, (uint64_t)f->number << 3 | wire);
}

static void put_bytes(struct writer *w, struct slice s)
{
    if (s.size > 0) {
        memcpy(room(w, s.size), s.data, s.size);
    }
}

static void put_scalar(struct writer *w, enum pb_kind kind, const void *value)
{
    uint64_t v = scalar_get(kind, value);
    switch (pbwire_of(kind)) {
    case PBWIRE_32:
        code_put32(room(w, 4), (uint32_t)v);
        break;
    case PBWIRE_64:
        code_put64(room(w, 8), v);
        break;
    default:
        put_varint(w, v);
        break;
    }
}

static void put_message(struct writer *w, const struct pb_table *t, const void *message);

static void put_value(struct writer *w, const struct pb_field *f, const void *value)
{
    enum pbwire wire = pbwire_of((enum pb_kind)f->kind);
    const unsigned char *end = w->at;
    if (wire != PBWIRE_LENGTH) {
        put_scalar(w, (enum pb_kind)f->kind, value);
    } else {
        if (f->kind == PB_MESSAGE) {
            put_message(w, f->sub, value);
        } else {
            put_bytes(w, pbwire_slice_get(value));
        }
        put_varint(w, (uint64_t)(end - w->at));
    }
    put_tag(w, f, wire);
}

static void put_list(struct writer *w, const struct pb_field *f, struct pb_list list)
{
    const unsigned char *end = w->at;
    bool packed = is_packed(f);
    for (uint32_t i = list.count; i-- > 0;) {
        const void *item = pbwire_at(list.items, (size_t)i * f->size);
        if (packed) {
            put_scalar(w, (enum pb_kind)f->kind, item);
        } else {
            put_value(w, f, item);
        }
    }
    if (packed && list.count > 0) {
        put_varint(w, (uint64_t)(end - w->at));
        put_tag(w, f, PBWIRE_LENGTH);
    }
}

static void put_message(struct writer *w, const struct pb_table *t, const void *message)
{
    for (uint32_t i = t->count; i-- > 0;) {
        const struct pb_field *f = &t->fields[i];
        const void *value = pbwire_at(message, f->offset);
        if (is_unset_member(message, f)) {
            continue;
        }
        if (f->label == PB_REPEATED) {
            put_list(w, f, pbwire_list_get(value));
        } else if (is_set(message, f)) {
            put_value(w, f, value);
        }
    }
}

void pbenc_write(const struct pb_table *t, const void *message, void *to, size_t size)
{
    unsigned char *least = (unsigned char *)to;
    struct writer w = {.at = least + size, .least = least};
    put_message(&w, t, message);
    CK(w.at == least);
}

enum status pbenc_append(const struct pb_table *t, const void *message, struct buf *out)
{
    size_t size;
    enum status st = pbenc_size(t, message, &size);
    st = st == ST_OK ? buf_reserve(out, size) : st;
    if (st == ST_OK && size > 0) {
        pbenc_write(t, message, out->data + out->size, size);
        out->size += size;
    }
    return st;
}
