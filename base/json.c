/* json.c - see json.h. */
#include "base/json.h"

#include <stdio.h>

static void put(struct json *j, const char *data, size_t size)
{
    if (j->st == ST_OK) {
        j->st = buf_append(j->out, data, size);
    }
}

static void put_text(struct json *j, const char *text)
{
    put(j, text, strlen(text));
}

/* Bytes of the UTF-8 sequence at p (of at most n), or 0 when it is not one. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80       ? 1
                 : p[0] >> 5 == 6  ? 2
                 : p[0] >> 4 == 14 ? 3
                 : p[0] >> 3 == 30 ? 4
                                   : 0;
    if (len == 0 || len > n) {
        return 0;
    }
    if (len == 1) {
        return 1;
    }
    uint32_t code = p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code < 0xe000;
    return code >= least[len] && code <= 0x10ffff && !surrogate ? len : 0;
}

static void put_quoted(struct json *j, struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    put_text(j, "\"");
    size_t done = 0; /* bytes before here are written */
    for (size_t i = 0; i < s.size;) {
        size_t len = utf8_length(p + i, s.size - i);
        if (len > 1 || (len == 1 && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\')) {
            i += len;
            continue;
        }
        put(j, s.data + done, i - done);
        if (len == 0) {
            put_text(j, "\\ufffd");
        } else if (p[i] == '"' || p[i] == '\\') {
            char two[2] = {'\\', (char)p[i]};
            put(j, two, 2);
        } else {
            char code[8];
            (void)snprintf(code, sizeof code, "\\u%04x", (unsigned)p[i]);
            put_text(j, code);
        }
        done = ++i;
    }
    put(j, s.data + done, s.size - done);
    put_text(j, "\"");
}

static void begin_item(struct json *j, const char *key)
{
    if (j->comma) {
        put_text(j, ",");
    }
    j->comma = true;
    if (key != NULL) {
        put_quoted(j, slice_text(key));
        put_text(j, ":");
    }
}

void json_init(struct json *j, struct buf *out)
{
    *j = (struct json){.out = out};
}

static void open_group(struct json *j, const char *key, const char *bracket)
{
    begin_item(j, key);
    put_text(j, bracket);
    j->comma = false;
}

static void close_group(struct json *j, const char *bracket)
{
    put_text(j, bracket);
    j->comma = true;
}

void json_object(struct json *j, const char *key)
{
    open_group(j, key, "{");
}

void json_object_end(struct json *j)
{
    close_group(j, "}");
}

void json_array(struct json *j, const char *key)
{
    open_group(j, key, "[");
}

void json_array_end(struct json *j)
{
    close_group(j, "]");
}

void json_text(struct json *j, const char *key, const char *value)
{
    if (value == NULL) {
        json_null(j, key);
        return;
    }
    json_bytes(j, key, slice_text(value));
}

void json_bytes(struct json *j, const char *key, struct slice value)
{
    begin_item(j, key);
    put_quoted(j, value);
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    begin_item(j, key);
    put_text(j, text);
}

void json_i64(struct json *j, const char *key, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    begin_item(j, key);
    put_text(j, text);
}

void json_bool(struct json *j, const char *key, bool value)
{
    begin_item(j, key);
    put_text(j, value ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
    begin_item(j, key);
    put_text(j, "null");
}
