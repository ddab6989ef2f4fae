/* pbdec.c - see pbdec.h. */
#include "net/pbdec.h"

#include "base/code.h"
#include "net/pbwire.h"
#include "net/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TAG_MAX   5     /* bytes of a tag and of a length, as the reference reads them */
#define ITEMS_MIN 4u    /* of a list; it doubles from there */
#define BYTE_LAST 0x80u /* a byte below it ends a varint */

struct reader {
    const unsigned char *at;
    const unsigned char *base;
    struct pbarena *arena;
    unsigned depth;
    struct pbdec_error error;
};

static enum status fail(struct reader *r, enum pbdec_fault fault)
{
    r->error.fault = fault;
    switch (fault) {
    case PBDEC_FAULT_MEMORY:
        return ST_NOMEM;
    case PBDEC_FAULT_SIZE:
    case PBDEC_FAULT_MANY:
        return ST_TOOBIG;
    default:
        return ST_CORRUPT;
    }
}

/* Puts "name" or "name[i]" in front of the path of what failed. */
static void path_add(struct reader *r, const struct pb_field *f, const void *message)
{
    char part[48];
    char path[sizeof r->error.path];
    struct pb_list list = {.count = 0};
    if (f->label == PB_REPEATED) {
        list = pbwire_list_get(pbwire_at(message, f->offset));
    }
    const char *dot = r->error.path[0] != '\0' ? "." : "";
    if (f->label == PB_REPEATED && f->kind == PB_MESSAGE && list.count > 0) {
        (void)snprintf(part, sizeof part, "%s[%" PRIu32 "]%s", f->name, list.count - 1, dot);
    } else {
        (void)snprintf(part, sizeof part, "%s%s", f->name, dot);
    }
    size_t head = strlen(part);
    size_t rest = strlen(r->error.path);
    size_t cut = head + rest < sizeof path ? 0 : head + rest + 1 - sizeof path;
    cut = cut < head ? cut : head; /* the inner end says more */
    memcpy(path, part + cut, head - cut);
    memcpy(path + (head - cut), r->error.path, rest + 1);
    memcpy(r->error.path, path, head - cut + rest + 1);
}

/* Reads a varint of at most `bytes_max` bytes and `bits` bits. */
static enum status varint_slow(struct reader *r, const unsigned char *end, unsigned bytes_max,
                               unsigned bits, uint64_t *value)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < bytes_max; n++) {
        if (r->at == end) {
            return fail(r, PBDEC_FAULT_CUT);
        }
        uint64_t low = *r->at & 0x7f;
        if (7 * n + 7 > bits && low >> (bits - 7 * n) != 0) {
            return fail(r, PBDEC_FAULT_VARINT);
        }
        sum |= low << (7 * n);
        if (*r->at++ < BYTE_LAST) {
            *value = sum;
            return ST_OK;
        }
    }
    return fail(r, PBDEC_FAULT_VARINT);
}

static inline enum status varint_read(struct reader *r, const unsigned char *end, uint64_t *value)
{
    if (r->at < end && *r->at < BYTE_LAST) {
        *value = *r->at++;
        return ST_OK;
    }
    return varint_slow(r, end, CODE_VARINT_MAX, 64, value);
}

static inline enum status tag_read(struct reader *r, const unsigned char *end, uint32_t *tag)
{
    uint64_t v;
    enum status st = ST_OK;
    if (r->at < end && *r->at < BYTE_LAST) {
        v = *r->at++;
    } else {
        st = varint_slow(r, end, TAG_MAX, 32, &v);
    }
    if (st == ST_OK) {
        *tag = (uint32_t)v;
        st = *tag >> 3 == 0 ? fail(r, PBDEC_FAULT_NUMBER) : ST_OK;
    }
    return st;
}

/* Reads a length and the bytes that it announces. */
static inline enum status run_read(struct reader *r, const unsigned char *end, struct slice *run)
{
    uint64_t size;
    enum status st = ST_OK;
    if (r->at < end && *r->at < BYTE_LAST) {
        size = *r->at++;
    } else {
        st = varint_slow(r, end, TAG_MAX, 32, &size);
    }
    if (st != ST_OK) {
        return st;
    }
    if (size > (uint64_t)(end - r->at)) {
        return fail(r, PBDEC_FAULT_LENGTH);
    }
    *run = slice_of(r->at, (size_t)size);
    r->at += size;
    return ST_OK;
}

static enum status fixed_skip(struct reader *r, const unsigned char *end, size_t size)
{
    if (size > (size_t)(end - r->at)) {
        return fail(r, PBDEC_FAULT_CUT);
    }
    r->at += size;
    return ST_OK;
}

/* Skips what stands behind the tag of an unknown field that is no group. */
static enum status plain_skip(struct reader *r, const unsigned char *end, uint32_t tag)
{
    uint64_t number;
    struct slice run;
    switch (tag & 7) {
    case PBWIRE_VARINT:
        return varint_read(r, end, &number);
    case PBWIRE_64:
        return fixed_skip(r, end, 8);
    case PBWIRE_LENGTH:
        return run_read(r, end, &run);
    case PBWIRE_32:
        return fixed_skip(r, end, 4);
    default:
        return fail(r, PBDEC_FAULT_WIRE);
    }
}

/* Skips a group and the groups in it, without recursion. */
static enum status group_skip(struct reader *r, const unsigned char *end, uint32_t tag)
{
    uint32_t begun[PB_DEPTH_MAX];
    uint32_t count = 0;
    enum status st = ST_OK;
    do {
        if ((tag & 7) == PBWIRE_GROUP) {
            if (r->depth + count >= PB_DEPTH_MAX) {
                return fail(r, PBDEC_FAULT_DEEP);
            }
            begun[count++] = tag >> 3;
        } else if ((tag & 7) == PBWIRE_GROUP_END) {
            if (begun[count - 1] != tag >> 3) {
                return fail(r, PBDEC_FAULT_GROUP);
            }
            count--;
        } else {
            st = plain_skip(r, end, tag);
        }
        if (st == ST_OK && count > 0) {
            st = tag_read(r, end, &tag);
        }
    } while (st == ST_OK && count > 0);
    return st;
}

static enum status unknown_skip(struct reader *r, const unsigned char *end, uint32_t tag)
{
    switch (tag & 7) {
    case PBWIRE_GROUP:
        return group_skip(r, end, tag);
    case PBWIRE_GROUP_END:
        return fail(r, PBDEC_FAULT_GROUP);
    default:
        return plain_skip(r, end, tag);
    }
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

static void scalar_set(enum pb_kind kind, uint64_t v, void *to)
{
    uint32_t u32 = (uint32_t)v;
    bool truth = v != 0;
    switch (kind) {
    case PB_SINT32:
        u32 = (uint32_t)unzigzag(u32);
        memcpy(to, &u32, sizeof u32);
        break;
    case PB_INT32:
    case PB_ENUM:
    case PB_UINT32:
    case PB_FIXED32:
    case PB_SFIXED32:
        memcpy(to, &u32, sizeof u32);
        break;
    case PB_BOOL:
        memcpy(to, &truth, sizeof truth);
        break;
    case PB_SINT64:
        v = (uint64_t)unzigzag(v);
        memcpy(to, &v, sizeof v);
        break;
    default:
        memcpy(to, &v, sizeof v);
        break;
    }
}

static enum status scalar_read(struct reader *r, const unsigned char *end, enum pb_kind kind,
                               void *to)
{
    uint64_t v = 0;
    const unsigned char *from = r->at;
    enum status st;
    switch (pbwire_of(kind)) {
    case PBWIRE_32:
        st = fixed_skip(r, end, 4);
        v = st == ST_OK ? code_get32(from) : 0;
        break;
    case PBWIRE_64:
        st = fixed_skip(r, end, 8);
        v = st == ST_OK ? code_get64(from) : 0;
        break;
    default:
        st = varint_read(r, end, &v);
        break;
    }
    if (st == ST_OK) {
        scalar_set(kind, v, to);
    }
    return st;
}

/* Adds a zeroed item. A list has room for the next power of two, ITEMS_MIN at least, so its
 * count alone tells when it is full. */
static enum status list_add(struct reader *r, const struct pb_field *f, void *message, void **item)
{
    char *place = (char *)message + f->offset;
    struct pb_list list = pbwire_list_get(place);
    uint32_t n = list.count;
    if (n == 0 || (n >= ITEMS_MIN && (n & (n - 1)) == 0)) {
        size_t cap = n == 0 ? ITEMS_MIN : (size_t)n * 2;
        enum status st = pbarena_grow(r->arena, &list.items, (size_t)n * f->size, cap * f->size);
        if (st != ST_OK) {
            return fail(r, st == ST_TOOBIG ? PBDEC_FAULT_MANY : PBDEC_FAULT_MEMORY);
        }
    }
    *item = (char *)list.items + (size_t)n * f->size;
    memset(*item, 0, f->size);
    list.count++;
    memcpy(place, &list, sizeof list);
    return ST_OK;
}

static enum status packed_read(struct reader *r, const unsigned char *end, const struct pb_field *f,
                               void *message)
{
    struct slice run;
    void *item;
    enum status st = run_read(r, end, &run);
    if (st != ST_OK) {
        return st;
    }
    const unsigned char *stop = r->at;
    r->at -= run.size;
    while (st == ST_OK && r->at < stop) {
        st = list_add(r, f, message, &item);
        st = st == ST_OK ? scalar_read(r, stop, (enum pb_kind)f->kind, item) : st;
    }
    return st;
}

static enum status message_read(struct reader *r, const unsigned char *end,
                                const struct pb_table *t, void *message);

static enum status sub_read(struct reader *r, const unsigned char *end, const struct pb_field *f,
                            void *value)
{
    struct slice run;
    enum status st = run_read(r, end, &run);
    if (st != ST_OK) {
        return st;
    }
    if (r->depth >= PB_DEPTH_MAX) {
        return fail(r, PBDEC_FAULT_DEEP);
    }
    const unsigned char *stop = r->at;
    r->at -= run.size;
    r->depth++;
    st = message_read(r, stop, f->sub, value);
    r->depth--;
    return st;
}

static enum status value_read(struct reader *r, const unsigned char *end, const struct pb_field *f,
                              void *value)
{
    struct slice run;
    enum status st;
    switch ((enum pb_kind)f->kind) {
    case PB_MESSAGE:
        return sub_read(r, end, f, value);
    case PB_STRING:
    case PB_BYTES:
        st = run_read(r, end, &run);
        if (st == ST_OK && f->kind == PB_STRING && !utf8_valid(run)) {
            st = fail(r, PBDEC_FAULT_UTF8);
        }
        if (st == ST_OK) {
            memcpy(value, &run, sizeof run);
        }
        return st;
    default:
        return scalar_read(r, end, (enum pb_kind)f->kind, value);
    }
}

/* The place of the value: a new item of a list; what a oneof held before is gone. */
static enum status value_place(struct reader *r, const struct pb_field *f, void *message,
                               void **value)
{
    static const bool set = true;
    char *base = (char *)message;
    *value = base + f->offset;
    switch ((enum pb_label)f->label) {
    case PB_REPEATED:
        return list_add(r, f, message, value);
    case PB_OPTIONAL:
        memcpy(base + f->has, &set, sizeof set);
        return ST_OK;
    case PB_ONEOF:
        if (pbwire_which_get(message, f) != f->number) {
            memset(*value, 0, f->size);
            memcpy(base + f->has, &f->number, sizeof f->number);
        }
        return ST_OK;
    default:
        return ST_OK;
    }
}

static enum status field_read(struct reader *r, const unsigned char *end, const struct pb_field *f,
                              enum pbwire wire, void *message)
{
    void *value;
    if (wire != pbwire_of((enum pb_kind)f->kind)) {
        return packed_read(r, end, f, message);
    }
    enum status st = value_place(r, f, message, &value);
    return st == ST_OK ? value_read(r, end, f, value) : st;
}

static bool wire_fits(const struct pb_field *f, enum pbwire wire)
{
    return wire == pbwire_of((enum pb_kind)f->kind) ||
           (wire == PBWIRE_LENGTH && f->label == PB_REPEATED);
}

/* Fields come in order, as a rule: the field found last, or the one behind it. */
static const struct pb_field *field_next(const struct pb_table *t, uint32_t number, uint32_t *hint)
{
    for (uint32_t i = *hint; i < t->count && i < *hint + 2; i++) {
        if (t->fields[i].number == number) {
            *hint = i;
            return &t->fields[i];
        }
    }
    const struct pb_field *f = pb_field_find(t, number);
    if (f != NULL) {
        *hint = (uint32_t)(f - t->fields);
    }
    return f;
}

static enum status message_read(struct reader *r, const unsigned char *end,
                                const struct pb_table *t, void *message)
{
    uint32_t hint = 0;
    enum status st = ST_OK;
    while (st == ST_OK && r->at < end) {
        const unsigned char *from = r->at;
        const struct pb_field *f = NULL;
        uint32_t tag = 0;
        st = tag_read(r, end, &tag);
        if (st == ST_OK) {
            f = field_next(t, tag >> 3, &hint);
            f = f != NULL && wire_fits(f, (enum pbwire)(tag & 7)) ? f : NULL;
            st = f != NULL ? field_read(r, end, f, (enum pbwire)(tag & 7), message)
                           : unknown_skip(r, end, tag);
        }
        if (st != ST_OK && f != NULL) {
            path_add(r, f, message);
        }
        if (st != ST_OK && r->error.offset == SIZE_MAX) {
            r->error.offset = (size_t)(from - r->base);
        }
    }
    return st;
}

enum status pbdec_read(const struct pb_table *t, struct slice in, struct pbarena *arena,
                       void *message, struct pbdec_error *error)
{
    const unsigned char *data = (const unsigned char *)in.data;
    struct reader r = {.at = data, .base = data, .arena = arena};
    r.error = (struct pbdec_error){.offset = SIZE_MAX};
    memset(message, 0, t->size);
    enum status st = ST_OK;
    if (in.size > PB_SIZE_MAX) {
        st = fail(&r, PBDEC_FAULT_SIZE);
        r.error.offset = 0;
    } else if (in.size > 0) {
        st = message_read(&r, data + in.size, t, message);
    }
    if (st != ST_OK) {
        memset(message, 0, t->size);
    }
    if (error != NULL) {
        *error = st != ST_OK ? r.error : (struct pbdec_error){.fault = PBDEC_FAULT_NONE};
    }
    return st;
}

const char *pbdec_fault_text(enum pbdec_fault fault)
{
    static const char *const texts[PBDEC_FAULTS] = {
        [PBDEC_FAULT_NONE] = "nothing is wrong",
        [PBDEC_FAULT_CUT] = "the bytes end inside a field",
        [PBDEC_FAULT_VARINT] = "a number is longer than its type allows",
        [PBDEC_FAULT_NUMBER] = "there is no field number 0",
        [PBDEC_FAULT_WIRE] = "unknown wire type",
        [PBDEC_FAULT_LENGTH] = "a length runs past the end",
        [PBDEC_FAULT_GROUP] = "a group ends that did not begin",
        [PBDEC_FAULT_DEEP] = "messages are nested too deep",
        [PBDEC_FAULT_UTF8] = "a string is not UTF-8",
        [PBDEC_FAULT_SIZE] = "the message is too long",
        [PBDEC_FAULT_MANY] = "there are too many items",
        [PBDEC_FAULT_MEMORY] = "out of memory",
    };
    return (unsigned)fault < PBDEC_FAULTS ? texts[fault] : "?";
}

void pbdec_error_text(const struct pb_table *t, const struct pbdec_error *error, struct err *err)
{
    err_set(err, "%s: %s%sat byte %zu: %s", t->name, error->path, error->path[0] != '\0' ? " " : "",
            error->offset, pbdec_fault_text(error->fault));
}
