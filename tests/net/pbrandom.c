/* pbrandom.c - see pbrandom.h. */
#include "tests/net/pbrandom.h"

#define DEPTH_MAX 4

struct maker {
    struct prng *g;
    struct pbarena *arena;
};

static uint64_t below(struct maker *m, uint64_t n)
{
    return prng_below(m->g, n);
}

static uint64_t number(struct maker *m)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     127,
                                     128,
                                     16383,
                                     16384,
                                     INT32_MAX,
                                     (uint64_t)INT32_MAX + 1,
                                     UINT32_MAX,
                                     (uint64_t)UINT32_MAX + 1,
                                     INT64_MAX,
                                     (uint64_t)INT64_MAX + 1,
                                     UINT64_MAX,
                                     UINT64_MAX - 1,
                                     (uint64_t)INT32_MIN,
                                     0xffffffff80000000u};
    if (below(m, 2) == 0) {
        return edges[below(m, sizeof edges / sizeof *edges)];
    }
    return prng_next(m->g) >> below(m, 64);
}

static enum status bytes_make(struct maker *m, bool text, struct slice *out)
{
    static const char *const pieces[] = {"a",
                                         "~",
                                         "\x7f",
                                         "\xc2\x80",
                                         "\xdf\xbf",
                                         "\xe0\xa0\x80",
                                         "\xed\x9f\xbf",
                                         "\xee\x80\x80",
                                         "\xef\xbf\xbf",
                                         "\xf0\x90\x80\x80",
                                         "\xf4\x8f\xbf\xbf"};
    size_t want = below(m, 20) == 0 ? (size_t)below(m, 400) : (size_t)below(m, 12);
    void *block = NULL;
    enum status st = pbarena_grow(m->arena, &block, 0, want + 4);
    if (st != ST_OK) {
        return st;
    }
    char *at = block;
    size_t size = 0;
    while (size < want) {
        if (text) {
            const char *p = pieces[below(m, sizeof pieces / sizeof *pieces)];
            memcpy(at + size, p, strlen(p));
            size += strlen(p);
        } else {
            at[size++] = (char)prng_next(m->g);
        }
    }
    *out = slice_of(at, size);
    return ST_OK;
}

static enum status message_make(struct maker *m, const struct pb_table *t, unsigned depth,
                                void *message);

static enum status value_make(struct maker *m, const struct pb_field *f, unsigned depth, void *at)
{
    uint64_t v = number(m);
    uint32_t u32 = (uint32_t)v;
    bool truth = (v & 1) != 0;
    struct slice s = {NULL, 0};
    enum status st;
    switch ((enum pb_kind)f->kind) {
    case PB_MESSAGE:
        return message_make(m, f->sub, depth + 1, at);
    case PB_STRING:
    case PB_BYTES:
        st = bytes_make(m, f->kind == PB_STRING, &s);
        memcpy(at, &s, sizeof s);
        return st;
    case PB_BOOL:
        memcpy(at, &truth, sizeof truth);
        return ST_OK;
    default:
        memcpy(at, f->size == 4 ? (void *)&u32 : (void *)&v, f->size);
        return ST_OK;
    }
}

static enum status list_make(struct maker *m, const struct pb_field *f, unsigned depth, void *at)
{
    struct pb_list list = {NULL, (uint32_t)below(m, below(m, 8) == 0 ? 20 : 4)};
    enum status st = ST_OK;
    if (list.count > 0) {
        st = pbarena_grow(m->arena, &list.items, 0, (size_t)list.count * f->size);
    }
    if (st != ST_OK) {
        return st;
    }
    if (list.count > 0) {
        memset(list.items, 0, (size_t)list.count * f->size);
    }
    for (uint32_t i = 0; st == ST_OK && i < list.count; i++) {
        st = value_make(m, f, depth, (char *)list.items + (size_t)i * f->size);
    }
    memcpy(at, &list, sizeof list);
    return st;
}

/* The members of a oneof follow each other in our tables: the first one decides for all. */
static void oneof_choose(struct maker *m, const struct pb_table *t, uint32_t first, char *base)
{
    const struct pb_field *f = &t->fields[first];
    uint32_t members = 0;
    while (first + members < t->count && t->fields[first + members].label == PB_ONEOF) {
        members++;
    }
    uint32_t pick = (uint32_t)below(m, members + 1);
    uint32_t which = pick < members ? t->fields[first + pick].number : 0;
    memcpy(base + f->has, &which, sizeof which);
}

static enum status field_make(struct maker *m, const struct pb_field *f, unsigned depth, char *base)
{
    bool set = f->kind == PB_MESSAGE ? below(m, 2) == 0 && depth < DEPTH_MAX : below(m, 2) == 0;
    uint32_t which = 0;
    switch ((enum pb_label)f->label) {
    case PB_REPEATED:
        if (f->kind == PB_MESSAGE && depth >= DEPTH_MAX) {
            return ST_OK;
        }
        return list_make(m, f, depth, base + f->offset);
    case PB_OPTIONAL:
        memcpy(base + f->has, &set, sizeof set);
        return set ? value_make(m, f, depth, base + f->offset) : ST_OK;
    case PB_ONEOF:
        memcpy(&which, base + f->has, sizeof which);
        return which == f->number ? value_make(m, f, depth, base + f->offset) : ST_OK;
    default:
        return set ? value_make(m, f, depth, base + f->offset) : ST_OK;
    }
}

static enum status message_make(struct maker *m, const struct pb_table *t, unsigned depth,
                                void *message)
{
    enum status st = ST_OK;
    memset(message, 0, t->size);
    for (uint32_t i = 0; st == ST_OK && i < t->count; i++) {
        const struct pb_field *f = &t->fields[i];
        if (f->label == PB_ONEOF && (i == 0 || t->fields[i - 1].label != PB_ONEOF)) {
            oneof_choose(m, t, i, message);
        }
        st = field_make(m, f, depth, message);
    }
    return st;
}

enum status pbrandom(struct prng *g, const struct pb_table *t, struct pbarena *arena, void *message)
{
    struct maker m = {g, arena};
    return message_make(&m, t, 0, message);
}
