/* respval.c - see respval.h. */
#include "net/respval.h"

#include "base/ck.h"

#include <string.h>

#define ATTRIBUTE UINT32_MAX

void respval_init(struct respval *v, struct mem *mem)
{
    *v = (struct respval){.mem = mem};
}

void respval_release(struct respval *v)
{
    if (v->mem != NULL) {
        mem_release(v->mem, v->nodes);
    }
    v->nodes = NULL;
    v->count = 0;
    v->cap = 0;
}

static enum status fail(struct respval *v)
{
    v->failed = true;
    return ST_CORRUPT;
}

static void start_over(struct respval *v)
{
    v->count = 0;
    v->at = 0;
    v->searched = 0;
    v->depth = 0;
    v->in_bulk = false;
    v->done = false;
}

/* Makes room for one node, so that what follows cannot fail. */
static enum status node_room(struct respval *v)
{
    if (v->count < v->cap) {
        return ST_OK;
    }
    if (v->cap >= RESPVAL_NODES_MAX) {
        return fail(v);
    }
    uint32_t cap = v->cap == 0 ? 8 : v->cap * 2;
    struct respval_node *nodes = mem_resize(v->mem, v->nodes, cap * sizeof *nodes);
    if (nodes == NULL) {
        return ST_NOMEM;
    }
    v->nodes = nodes;
    v->cap = cap;
    return ST_OK;
}

/* A value is complete: close every aggregate that this completes. */
static void value_done(struct respval *v)
{
    while (v->depth > 0) {
        struct respval_level *l = &v->levels[v->depth - 1];
        CK(l->owed > 0);
        if (--l->owed > 0) {
            return;
        }
        v->depth--;
        if (l->node == ATTRIBUTE) {
            v->count = l->first; /* thrown away; the value it belongs to is still owed */
            return;
        }
        v->nodes[l->node].next = v->count;
    }
    v->done = true;
}

static struct respval_node *node_add(struct respval *v, enum respval_type type)
{
    CK(v->count < v->cap);
    struct respval_node *n = &v->nodes[v->count++];
    *n = (struct respval_node){.type = type, .next = v->count};
    return n;
}

static void leaf_add(struct respval *v, enum respval_type type, size_t offset, size_t size,
                     int64_t integer)
{
    struct respval_node *n = node_add(v, type);
    n->offset = offset;
    n->size = size;
    n->integer = integer;
    value_done(v);
}

static enum status aggregate_add(struct respval *v, char type, int64_t count)
{
    bool pairs = type == '%' || type == '|';
    if (count < 0 || count > (pairs ? RESPVAL_NODES_MAX / 2 : RESPVAL_NODES_MAX)) {
        return fail(v);
    }
    uint32_t owed = (uint32_t)count * (pairs ? 2 : 1);
    if (type == '|' && owed == 0) {
        return ST_OK;
    }
    if (owed > 0 && v->depth == RESPVAL_DEPTH_MAX) {
        return fail(v);
    }
    uint32_t first = v->count;
    if (type != '|') {
        node_add(v, type == '%'   ? RESPVAL_MAP
                    : type == '>' ? RESPVAL_PUSH
                                  : RESPVAL_ARRAY)
            ->count = owed;
    }
    if (owed == 0) {
        value_done(v);
        return ST_OK;
    }
    v->levels[v->depth++] = (struct respval_level){
        .node = type == '|' ? ATTRIBUTE : first,
        .owed = owed,
        .first = first,
    };
    return ST_OK;
}

static bool text_number(const char *text, size_t size, int64_t *value)
{
    bool negative = size > 0 && text[0] == '-';
    size_t at = size > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    if (at == size || size - at > 19) {
        return false;
    }
    uint64_t u = 0;
    for (; at < size; at++) {
        if (text[at] < '0' || text[at] > '9') {
            return false;
        }
        u = u * 10 + (uint64_t)(text[at] - '0');
    }
    if (u > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *value = (int64_t)(negative ? 0 - u : u);
    return true;
}

static enum status bulk_begin(struct respval *v, char type, int64_t size)
{
    if (size == -1 && type == '$') {
        leaf_add(v, RESPVAL_NULL, 0, 0, 0);
        return ST_OK;
    }
    if (size < 0 || size > RESPVAL_BULK_MAX) {
        return fail(v);
    }
    v->in_bulk = true;
    v->bulk_size = (size_t)size;
    v->bulk_type = type == '!' ? RESPVAL_ERROR : RESPVAL_BULK;
    return ST_OK;
}

/* A line whose first byte tells a type with a number in it. */
static enum status number_line(struct respval *v, char type, const char *text, size_t size)
{
    int64_t value;
    if (!text_number(text, size, &value)) {
        return fail(v);
    }
    switch (type) {
    case ':':
        leaf_add(v, RESPVAL_INTEGER, 0, 0, value);
        return ST_OK;
    case '$':
    case '=':
    case '!':
        return bulk_begin(v, type, value);
    default:
        if (value == -1 && type == '*') {
            leaf_add(v, RESPVAL_NULL, 0, 0, 0);
            return ST_OK;
        }
        return aggregate_add(v, type, value);
    }
}

/* One line, without its end; text begins after the type byte and is at `offset`. */
static enum status line_take(struct respval *v, char type, const char *text, size_t offset,
                             size_t size)
{
    switch (type) {
    case '+':
        leaf_add(v, RESPVAL_SIMPLE, offset, size, 0);
        return ST_OK;
    case '-':
        leaf_add(v, RESPVAL_ERROR, offset, size, 0);
        return ST_OK;
    case ',':
        leaf_add(v, RESPVAL_DOUBLE, offset, size, 0);
        return ST_OK;
    case '(':
        leaf_add(v, RESPVAL_BIGNUM, offset, size, 0);
        return ST_OK;
    case '_':
        leaf_add(v, RESPVAL_NULL, 0, 0, 0);
        return size == 0 ? ST_OK : fail(v);
    case '#':
        if (size != 1 || (text[0] != 't' && text[0] != 'f')) {
            return fail(v);
        }
        leaf_add(v, RESPVAL_BOOL, 0, 0, text[0] == 't');
        return ST_OK;
    case ':':
    case '$':
    case '=':
    case '!':
    case '*':
    case '~':
    case '>':
    case '%':
    case '|':
        return number_line(v, type, text, size);
    default:
        return fail(v);
    }
}

static enum status parse_line(struct respval *v, const char *data, size_t size)
{
    size_t from = v->searched > v->at ? v->searched : v->at;
    const char *nl = size > from ? memchr(data + from, '\n', size - from) : NULL;
    if (nl == NULL) {
        v->searched = size;
        return size - v->at > RESPVAL_LINE_MAX ? fail(v) : ST_AGAIN;
    }
    size_t end = (size_t)(nl - data);
    if (end < v->at + 2 || data[end - 1] != '\r') {
        return fail(v);
    }
    size_t text = v->at + 1;
    enum status st = line_take(v, data[v->at], data + text, text, end - 1 - text);
    if (st == ST_OK) {
        v->at = end + 1;
        v->searched = v->at;
    }
    return st;
}

static enum status parse_bulk(struct respval *v, const char *data, size_t size)
{
    if (size - v->at < v->bulk_size + 2) {
        return ST_AGAIN;
    }
    const char *end = data + v->at + v->bulk_size;
    if (end[0] != '\r' || end[1] != '\n') {
        return fail(v);
    }
    v->in_bulk = false;
    leaf_add(v, v->bulk_type, v->at, v->bulk_size, 0);
    v->at += v->bulk_size + 2;
    v->searched = v->at;
    return ST_OK;
}

enum status respval_parse(struct respval *v, const char *data, size_t size)
{
    if (v->failed) {
        return ST_CORRUPT;
    }
    if (v->done) {
        start_over(v);
    }
    CK(v->at <= size);
    enum status st = ST_OK;
    while (st == ST_OK && !v->done) {
        st = node_room(v);
        if (st == ST_OK) {
            st = v->in_bulk ? parse_bulk(v, data, size) : parse_line(v, data, size);
        }
    }
    return st;
}

struct slice respval_text(const struct respval *v, const char *data, uint32_t i)
{
    CK(i < v->count);
    return slice_of(data + v->nodes[i].offset, v->nodes[i].size);
}

uint32_t respval_child(const struct respval *v, uint32_t i, uint32_t n)
{
    CK(i < v->count);
    CK(n < v->nodes[i].count);
    uint32_t at = i + 1;
    while (n-- > 0) {
        at = v->nodes[at].next;
    }
    return at;
}
