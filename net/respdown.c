/* respdown.c - see respdown.h. */
#include "net/respdown.h"

#include <stdio.h>
#include <string.h>

/* What is being read. */
struct down {
    struct slice in;
    size_t at;
    struct buf *out;
    uint64_t skip; /* elements of attributes that are still to be thrown away */
};

static bool is_plain(char type)
{
    return type == '+' || type == '-' || type == ':' || type == '$';
}

bool respdown_changes(struct slice resp3)
{
    return resp3.size == 0 || !is_plain(resp3.data[0]);
}

/* The rest of the line behind its type; false: it has no end. */
static bool line_read(struct down *d, struct slice *line)
{
    const char *from = d->in.data + d->at;
    const char *end = memchr(from, '\n', d->in.size - d->at);
    if (end == NULL || end - from < 2 || end[-1] != '\r') {
        return false;
    }
    *line = slice_of(from + 1, (size_t)(end - from) - 2);
    d->at += (size_t)(end - from) + 1;
    return true;
}

static bool number_read(struct slice text, uint64_t *value)
{
    uint64_t v = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || v > UINT32_MAX) {
            return false;
        }
        v = v * 10 + (uint64_t)(text.data[i] - '0');
    }
    *value = v;
    return text.size > 0;
}

/* The bytes behind a length, and their line end. */
static bool bulk_read(struct down *d, struct slice length, struct slice *bytes)
{
    uint64_t size;
    if (!number_read(length, &size) || d->in.size - d->at < size + 2) {
        return false;
    }
    *bytes = slice_of(d->in.data + d->at, size);
    d->at += size + 2;
    return memcmp(bytes->data + size, "\r\n", 2) == 0;
}

static enum status put(struct down *d, const char *data, size_t size)
{
    return d->skip > 0 ? ST_OK : buf_append(d->out, data, size);
}

static enum status put_line(struct down *d, char type, struct slice text)
{
    enum status st = put(d, &type, 1);
    st = st == ST_OK ? put(d, text.data, text.size) : st;
    return st == ST_OK ? put(d, "\r\n", 2) : st;
}

static enum status put_bulk(struct down *d, struct slice bytes)
{
    char length[24];
    int n = snprintf(length, sizeof length, "%zu", bytes.size);
    enum status st = put_line(d, '$', slice_of(length, (size_t)n));
    st = st == ST_OK ? put(d, bytes.data, bytes.size) : st;
    return st == ST_OK ? put(d, "\r\n", 2) : st;
}

static enum status put_list(struct down *d, uint64_t count)
{
    char length[24];
    int n = snprintf(length, sizeof length, "%llu", (unsigned long long)count);
    return put_line(d, '*', slice_of(length, (size_t)n));
}

/* An element whose length line was read. */
static enum status bulk(struct down *d, char type, struct slice length)
{
    struct slice bytes;
    if (length.size == 2 && memcmp(length.data, "-1", 2) == 0) {
        return put_line(d, '$', length);
    }
    if (!bulk_read(d, length, &bytes) || (type == '=' && bytes.size < 4)) {
        return ST_CORRUPT;
    }
    if (type == '!') {
        return put_line(d, '-', bytes);
    }
    return put_bulk(d, type == '=' ? slice_of(bytes.data + 4, bytes.size - 4) : bytes);
}

static enum status aggregate(struct down *d, char type, struct slice length)
{
    uint64_t count;
    if (type == '*' && length.size == 2 && memcmp(length.data, "-1", 2) == 0) {
        return put_line(d, '*', length);
    }
    if (!number_read(length, &count)) {
        return ST_CORRUPT;
    }
    count *= type == '%' || type == '|' ? 2 : 1;
    enum status st = ST_OK;
    if (type == '|') {
        d->skip += d->skip > 0 ? 1 : 0; /* the element behind it is still owed */
    } else {
        st = put_list(d, count);
    }
    d->skip += d->skip > 0 || type == '|' ? count : 0;
    return st;
}

static enum status element(struct down *d)
{
    char type = d->in.data[d->at];
    struct slice line;
    bool skipped = d->skip > 0;
    enum status st;
    if (!line_read(d, &line)) {
        return ST_CORRUPT;
    }
    switch (type) {
    case '+':
    case '-':
    case ':':
        st = put_line(d, type, line);
        break;
    case '(':
    case ',':
        st = put_bulk(d, line);
        break;
    case '_':
        st = put(d, "$-1\r\n", 5);
        break;
    case '#':
        st = put_line(d, ':', slice_text(line.size == 1 && line.data[0] == 't' ? "1" : "0"));
        break;
    case '$':
    case '=':
    case '!':
        st = bulk(d, type, line);
        break;
    case '*':
    case '~':
    case '>':
    case '%':
    case '|':
        st = aggregate(d, type, line);
        break;
    default:
        return ST_CORRUPT;
    }
    d->skip -= skipped;
    return st;
}

enum status respdown(struct slice resp3, struct buf *out)
{
    struct down d = {.in = resp3, .out = out};
    enum status st = ST_OK;
    while (st == ST_OK && d.at < resp3.size) {
        st = element(&d);
    }
    return st == ST_OK && d.skip > 0 ? ST_CORRUPT : st;
}
