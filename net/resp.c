/* resp.c - see resp.h. */
#include "net/resp.h"

#include "base/ck.h"

#include <stdio.h>
#include <string.h>

#define FRAMING_SLACK (64u * 1024u)
#define ARGS_KEEP     64 /* a larger argument table is given back after its request */

struct resp_limits resp_limits_default(void)
{
    return (struct resp_limits){
        .request_bytes_max = 512u * 1024u * 1024u + FRAMING_SLACK,
        .args_max = RESP_ARGS_MAX,
    };
}

void resp_init(struct resp_parser *p, struct mem *mem, struct resp_limits limits)
{
    *p = (struct resp_parser){.mem = mem, .limits = limits};
}

void resp_release(struct resp_parser *p)
{
    if (p->mem != NULL) {
        mem_release(p->mem, p->args);
    }
    p->args = NULL;
    p->arg_count = 0;
    p->arg_cap = 0;
}

static enum status fail(struct resp_parser *p, const char *what)
{
    p->failed = true;
    (void)snprintf(p->error, sizeof p->error, "Protocol error: %s", what); /* cut is fine */
    return ST_CORRUPT;
}

static void start_over(struct resp_parser *p)
{
    if (p->arg_cap > ARGS_KEEP) {
        resp_release(p);
    }
    p->at = 0;
    p->searched = 0;
    p->started = false;
    p->done = false;
    p->owed = 0;
    p->in_bulk = false;
    p->arg_count = 0;
}

static enum status arg_add(struct resp_parser *p, struct resp_arg arg)
{
    if (p->arg_count == p->arg_cap) {
        uint32_t cap = p->arg_cap == 0 ? 8 : p->arg_cap * 2;
        struct resp_arg *args = mem_resize(p->mem, p->args, cap * sizeof *args);
        if (args == NULL) {
            return ST_NOMEM;
        }
        p->args = args;
        p->arg_cap = cap;
    }
    p->args[p->arg_count++] = arg;
    return ST_OK;
}

/* Finds the line that starts at p->at: *end is the offset of its '\n'. */
static enum status line_find(struct resp_parser *p, const char *data, size_t size, size_t *end,
                             const char *too_long)
{
    size_t from = p->searched > p->at ? p->searched : p->at;
    size_t limit = p->at + RESP_INLINE_MAX;
    size_t stop = size < limit ? size : limit;
    const char *nl = stop > from ? memchr(data + from, '\n', stop - from) : NULL;
    if (nl != NULL) {
        *end = (size_t)(nl - data);
        return ST_OK;
    }
    p->searched = stop > from ? stop : from;
    return size >= limit ? fail(p, too_long) : ST_AGAIN;
}

/* A decimal number, perhaps negative, that fills the line exactly: "12\r". */
static bool line_number(const char *text, size_t size, int64_t *value)
{
    if (size < 2 || text[size - 1] != '\r') {
        return false;
    }
    size_t at = text[0] == '-' ? 1 : 0;
    size_t end = size - 1;
    if (at == end || end - at > 18) {
        return false;
    }
    int64_t v = 0;
    for (; at < end; at++) {
        if (text[at] < '0' || text[at] > '9') {
            return false;
        }
        v = v * 10 + (text[at] - '0');
    }
    *value = text[0] == '-' ? -v : v;
    return true;
}

static void line_take(struct resp_parser *p, size_t end)
{
    p->at = end + 1;
    p->searched = p->at;
}

/* ---- lines of words ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes the escape after a backslash at data[at]; returns where it ends. */
static size_t escape_decode(const char *data, size_t at, size_t end, char *out)
{
    if (data[at] == 'x' && at + 2 < end && hex_digit(data[at + 1]) >= 0 &&
        hex_digit(data[at + 2]) >= 0) {
        *out = (char)(hex_digit(data[at + 1]) * 16 + hex_digit(data[at + 2]));
        return at + 3;
    }
    static const char from[] = "nrtba";
    static const char to[] = "\n\r\t\b\a";
    const char *hit = data[at] != '\0' ? strchr(from, data[at]) : NULL;
    *out = hit != NULL ? to[hit - from] : data[at];
    return at + 1;
}

/* Decodes the quoted run whose opening quote is data[*at] to data[*put]; false when it does not
 * close. Decoded text is never longer than its source, so it may overwrite it. */
static bool quoted_decode(char *data, size_t *at, size_t end, size_t *put)
{
    char quote = data[(*at)++];
    while (*at < end && data[*at] != quote) {
        char c = data[*at];
        if (c == '\\' && quote == '"' && *at + 1 < end) {
            *at = escape_decode(data, *at + 1, end, &c);
        } else if (c == '\\' && *at + 1 < end && data[*at + 1] == '\'') {
            c = '\'';
            *at += 2;
        } else {
            (*at)++;
        }
        data[(*put)++] = c;
    }
    if (*at == end) {
        return false;
    }
    (*at)++;
    return *at == end || is_space(data[*at]); /* "a"b is no word */
}

/* Splits data[0, end) into words. Nothing in the line is changed unless ST_OK or ST_CORRUPT is
 * sure to follow, so that a refused allocation can be tried again. */
static enum status words_split(struct resp_parser *p, char *data, size_t end)
{
    size_t words_max = 0;
    for (size_t i = 0; i < end; i++) {
        words_max += !is_space(data[i]) && (i == 0 || is_space(data[i - 1]));
    }
    while (p->arg_cap < words_max) { /* room for all, before the first byte is changed */
        enum status st = arg_add(p, (struct resp_arg){.size = 0});
        if (st != ST_OK) {
            p->arg_count = 0;
            return st;
        }
    }
    p->arg_count = 0;
    for (size_t at = 0; at < end;) {
        if (is_space(data[at])) {
            at++;
            continue;
        }
        struct resp_arg arg = {.offset = at};
        size_t put = at;
        while (at < end && !is_space(data[at])) {
            if (data[at] != '"' && data[at] != '\'') {
                data[put++] = data[at++];
            } else if (!quoted_decode(data, &at, end, &put)) {
                return fail(p, "unbalanced quotes in request");
            }
        }
        arg.size = put - arg.offset;
        CK(p->arg_count < p->arg_cap);
        p->args[p->arg_count++] = arg;
    }
    return ST_OK;
}

static enum status parse_line(struct resp_parser *p, char *data, size_t size)
{
    size_t end;
    enum status st = line_find(p, data, size, &end, "too big inline request");
    if (st != ST_OK) {
        return st;
    }
    st = words_split(p, data, end);
    if (st == ST_OK) {
        line_take(p, end);
    }
    return st;
}

/* ---- arrays of bulk strings ---- */

static enum status parse_array_header(struct resp_parser *p, const char *data, size_t size)
{
    size_t end;
    int64_t count;
    enum status st = line_find(p, data, size, &end, "too big mbulk count string");
    if (st != ST_OK) {
        return st;
    }
    if (!line_number(data + 1, end - 1, &count) || count > p->limits.args_max) {
        return fail(p, "invalid multibulk length");
    }
    p->started = true;
    p->owed = count > 0 ? (uint32_t)count : 0; /* Redis takes "*-1" as an empty request */
    line_take(p, end);
    return ST_OK;
}

static enum status parse_bulk_header(struct resp_parser *p, const char *data, size_t size)
{
    size_t end;
    int64_t length;
    if (size == p->at) {
        return ST_AGAIN;
    }
    if (data[p->at] != '$') {
        char what[] = "expected '$', got '?'";
        unsigned char c = (unsigned char)data[p->at];
        what[sizeof what - 3] = c >= 0x20 && c < 0x7f ? (char)c : '?';
        return fail(p, what);
    }
    enum status st = line_find(p, data, size, &end, "too big bulk count string");
    if (st != ST_OK) {
        return st;
    }
    if (!line_number(data + p->at + 1, end - p->at - 1, &length) || length < -1) {
        return fail(p, "invalid bulk length");
    }
    if (length == -1) {
        st = arg_add(p, (struct resp_arg){.offset = end, .null = true});
        p->owed -= st == ST_OK;
    } else if ((uint64_t)length > p->limits.request_bytes_max ||
               end + 3 > p->limits.request_bytes_max - (uint64_t)length) {
        return fail(p, "invalid bulk length");
    } else {
        p->in_bulk = true;
        p->bulk_size = (size_t)length;
    }
    if (st == ST_OK) {
        line_take(p, end);
    }
    return st;
}

static enum status parse_bulk(struct resp_parser *p, const char *data, size_t size)
{
    if (size - p->at < p->bulk_size + 2) {
        return ST_AGAIN;
    }
    const char *end = data + p->at + p->bulk_size;
    if (end[0] != '\r' || end[1] != '\n') {
        return fail(p, "bulk string not followed by CRLF");
    }
    enum status st = arg_add(p, (struct resp_arg){.offset = p->at, .size = p->bulk_size});
    if (st == ST_OK) {
        p->at += p->bulk_size + 2;
        p->searched = p->at;
        p->in_bulk = false;
        p->owed--;
    }
    return st;
}

static enum status parse_array(struct resp_parser *p, const char *data, size_t size)
{
    enum status st = p->started ? ST_OK : parse_array_header(p, data, size);
    while (st == ST_OK && p->owed > 0) {
        st = p->in_bulk ? parse_bulk(p, data, size) : parse_bulk_header(p, data, size);
    }
    return st;
}

enum status resp_parse(struct resp_parser *p, char *data, size_t size)
{
    if (p->failed) {
        return ST_CORRUPT;
    }
    if (p->done) {
        start_over(p);
    }
    CK(p->at <= size);
    if (size == 0) {
        return ST_AGAIN;
    }
    enum status st = data[0] == '*' ? parse_array(p, data, size) : parse_line(p, data, size);
    p->done = st == ST_OK;
    return st;
}

size_t resp_missing(const struct resp_parser *p, size_t size)
{
    if (!p->in_bulk || size - p->at >= p->bulk_size + 2) {
        return 0;
    }
    return p->bulk_size + 2 - (size - p->at);
}
