/* reply.c - see reply.h. */
#include "net/reply.h"

#include "base/ck.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ERROR_MAX 512

void reply_init(struct reply *r, struct buf *out, int protocol, uint64_t bytes_max)
{
    CK(protocol == 2 || protocol == 3);
    *r = (struct reply){.out = out, .protocol = protocol, .bytes_max = bytes_max, .st = ST_OK};
}

/* Makes room for `extra` bytes; false when there is none, and then r->st says why. */
static bool room(struct reply *r, size_t extra)
{
    if (r->st == ST_OK && (extra > r->bytes_max || r->out->size > r->bytes_max - extra)) {
        r->st = ST_TOOBIG;
    }
    if (r->st == ST_OK) {
        r->st = buf_reserve(r->out, extra);
    }
    return r->st == ST_OK;
}

static void put(struct reply *r, const void *bytes, size_t size)
{
    if (size > 0 && room(r, size)) {
        memcpy(r->out->data + r->out->size, bytes, size);
        r->out->size += size;
    }
}

/* A type byte, a number, CRLF. */
static void put_header(struct reply *r, char type, int64_t value)
{
    char line[24];
    int n = snprintf(line, sizeof line, "%c%" PRId64 "\r\n", type, value);
    CK(n > 0);
    CK((size_t)n < sizeof line);
    put(r, line, (size_t)n);
}

void reply_simple(struct reply *r, const char *text)
{
    size_t size = strlen(text);
    if (room(r, size + 3)) {
        put(r, "+", 1);
        put(r, text, size);
        put(r, "\r\n", 2);
    }
}

void reply_error(struct reply *r, const char *fmt, ...)
{
    char line[ERROR_MAX + 3] = "-";
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line + 1, ERROR_MAX, fmt, args);
    va_end(args);
    CK(n >= 0);
    size_t size = strlen(line);
    for (size_t i = 1; i < size; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    memcpy(line + size, "\r\n", 3);
    put(r, line, size + 2);
}

void reply_integer(struct reply *r, int64_t value)
{
    put_header(r, ':', value);
}

void reply_bulk(struct reply *r, struct slice bytes)
{
    if (room(r, bytes.size + 24)) { /* one growth for the three */
        put_header(r, '$', (int64_t)bytes.size);
        put(r, bytes.data, bytes.size);
        put(r, "\r\n", 2);
    }
}

void reply_text(struct reply *r, const char *text)
{
    reply_bulk(r, slice_text(text));
}

void reply_null(struct reply *r)
{
    reply_raw(r, r->protocol == 2 ? slice_text("$-1\r\n") : slice_text("_\r\n"));
}

void reply_null_array(struct reply *r)
{
    reply_raw(r, r->protocol == 2 ? slice_text("*-1\r\n") : slice_text("_\r\n"));
}

void reply_array(struct reply *r, uint64_t count)
{
    put_header(r, '*', (int64_t)count);
}

void reply_map(struct reply *r, uint64_t count)
{
    if (r->protocol == 2) {
        put_header(r, '*', (int64_t)count * 2);
    } else {
        put_header(r, '%', (int64_t)count);
    }
}

void reply_raw(struct reply *r, struct slice bytes)
{
    put(r, bytes.data, bytes.size);
}
