/* pbdump.c - see pbdump.h. It looks at members by itself, so that it shares no mistake with the
 * codec. */
#include "tests/net/pbdump.h"

#include <inttypes.h>
#include <stdio.h>

static enum status add(struct buf *out, const char *text)
{
    return buf_append_text(out, text);
}

static enum status number_add(struct buf *out, bool negative_too, uint64_t v)
{
    char text[24];
    if (negative_too) {
        (void)snprintf(text, sizeof text, "%" PRId64, (int64_t)v);
    } else {
        (void)snprintf(text, sizeof text, "%" PRIu64, v);
    }
    return add(out, text);
}

static enum status hex_add(struct buf *out, struct slice s)
{
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < s.size; i++) {
        char text[3];
        (void)snprintf(text, sizeof text, "%02x", (unsigned)(unsigned char)s.data[i]);
        st = add(out, text);
    }
    return st;
}

static enum status message_add(struct buf *out, const struct pb_table *t, const void *message)
{
    enum status st = add(out, "{");
    st = st == ST_OK ? pbdump(out, t, message) : st;
    return st == ST_OK ? add(out, "}") : st;
}

static enum status value_add(struct buf *out, const struct pb_field *f, const void *at)
{
    switch ((enum pb_kind)f->kind) {
    case PB_INT32:
    case PB_SINT32:
    case PB_SFIXED32:
    case PB_ENUM:
        return number_add(out, true, (uint64_t)(int64_t) * (const int32_t *)at);
    case PB_INT64:
    case PB_SINT64:
    case PB_SFIXED64:
        return number_add(out, true, (uint64_t) * (const int64_t *)at);
    case PB_UINT32:
    case PB_FIXED32:
        return number_add(out, false, *(const uint32_t *)at);
    case PB_UINT64:
    case PB_FIXED64:
        return number_add(out, false, *(const uint64_t *)at);
    case PB_BOOL:
        return number_add(out, false, *(const bool *)at ? 1 : 0);
    case PB_STRING:
    case PB_BYTES:
        return hex_add(out, *(const struct slice *)at);
    case PB_MESSAGE:
        return message_add(out, f->sub, at);
    default:
        return ST_INVAL;
    }
}

static enum status list_add(struct buf *out, const struct pb_field *f, const struct pb_list *list)
{
    enum status st = add(out, "[");
    for (uint32_t i = 0; st == ST_OK && i < list->count; i++) {
        st = i > 0 ? add(out, ",") : ST_OK;
        st = st == ST_OK ? value_add(out, f, (const char *)list->items + (size_t)i * f->size) : st;
    }
    return st == ST_OK ? add(out, "]") : st;
}

static bool is_zero(const char *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool is_there(const struct pb_field *f, const char *base)
{
    const char *at = base + f->offset;
    switch ((enum pb_label)f->label) {
    case PB_REPEATED:
        return ((const struct pb_list *)(const void *)at)->count > 0;
    case PB_OPTIONAL:
        return *(const bool *)(base + f->has);
    case PB_ONEOF:
        return *(const uint32_t *)(const void *)(base + f->has) == f->number;
    default:
        return f->kind == PB_STRING || f->kind == PB_BYTES
                   ? ((const struct slice *)(const void *)at)->size > 0
                   : !is_zero(at, f->size);
    }
}

enum status pbdump(struct buf *out, const struct pb_table *t, const void *message)
{
    const char *base = message;
    enum status st = ST_OK;
    for (uint32_t i = 0; st == ST_OK && i < t->count; i++) {
        const struct pb_field *f = &t->fields[i];
        const void *at = base + f->offset;
        if (!is_there(f, base)) {
            continue;
        }
        st = add(out, f->name);
        st = st == ST_OK ? add(out, "=") : st;
        if (st == ST_OK) {
            st = f->label == PB_REPEATED ? list_add(out, f, at) : value_add(out, f, at);
        }
        st = st == ST_OK ? add(out, ";") : st;
    }
    return st;
}
