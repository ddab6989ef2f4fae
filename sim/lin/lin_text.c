/* lin_text.c - see lin_text.h. */
#include "sim/lin/lin_text.h"

#define DEPTH_MAX 64 /* of nested brackets in a value that is passed over */

void lin_text_init(struct lin_text *t, struct slice text, struct buf *scratch)
{
    buf_clear(scratch);
    *t = (struct lin_text){
        .p = text.data, .end = text.data + text.size, .size = text.size, .scratch = scratch};
}

bool lin_text_fail(struct lin_text *t, const char *what)
{
    if (t->wrong == NULL) {
        t->wrong = what;
    }
    return false;
}

bool lin_text_word(struct lin_text *t, const char *word)
{
    lin_text_space(t);
    size_t n = strlen(word);
    if ((size_t)(t->end - t->p) < n || memcmp(t->p, word, n) != 0) {
        return false;
    }
    t->p += n;
    return true;
}

static bool hex4(struct lin_text *t, uint32_t *out)
{
    if (t->end - t->p < 4) {
        return lin_text_fail(t, "the text ends in an escape");
    }
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = *t->p++;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16) {
            return lin_text_fail(t, "bad digit in a \\u escape");
        }
        v = v << 4 | digit;
    }
    *out = v;
    return true;
}

static size_t encode_utf8(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static bool unicode(struct lin_text *t, char *out, size_t *n)
{
    uint32_t c;
    if (!hex4(t, &c)) {
        return false;
    }
    if (c >= 0xd800 && c < 0xe000) {
        uint32_t low;
        if (c >= 0xdc00 || t->end - t->p < 2 || t->p[0] != '\\' || t->p[1] != 'u') {
            return lin_text_fail(t, "half of a surrogate pair");
        }
        t->p += 2;
        if (!hex4(t, &low)) {
            return false;
        }
        if (low < 0xdc00 || low >= 0xe000) {
            return lin_text_fail(t, "half of a surrogate pair");
        }
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *n = encode_utf8(c, out);
    return true;
}

/* After the backslash. */
static bool escape(struct lin_text *t, char *out, size_t *n)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (t->p == t->end) {
        return lin_text_fail(t, "the text ends in a string");
    }
    char c = *t->p++;
    if (c == 'u') {
        return unicode(t, out, n);
    }
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    if (at == NULL) {
        return lin_text_fail(t, "unknown escape in a string");
    }
    *out = to[at - from];
    *n = 1;
    return true;
}

/* A string with escapes; `start` is just after its opening quote. */
static bool decode(struct lin_text *t, const char *start, struct slice *out)
{
    struct buf *b = t->scratch;
    /* Room for the whole text at once: later strings must not move this one. */
    if (b->size == 0 && buf_reserve(b, t->size + 4) != ST_OK) {
        t->nomem = true;
        return lin_text_fail(t, "out of memory");
    }
    size_t begin = b->size;
    t->p = start;
    while (t->p < t->end && *t->p != '"') {
        char c = *t->p++;
        size_t n = 1;
        char bytes[4] = {c};
        if ((unsigned char)c < 0x20) {
            return lin_text_fail(t, "control character in a string");
        }
        if (c == '\\' && !escape(t, bytes, &n)) {
            return false;
        }
        memcpy(b->data + b->size, bytes, n);
        b->size += n;
    }
    if (t->p == t->end) {
        return lin_text_fail(t, "the text ends in a string");
    }
    t->p++;
    *out = slice_of(b->data + begin, b->size - begin);
    return true;
}

bool lin_text_string(struct lin_text *t, struct slice *out)
{
    if (!lin_text_take(t, '"')) {
        return lin_text_fail(t, "a string was expected");
    }
    const char *start = t->p;
    const char *p = start;
    const char *end = t->end;
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) {
        p++;
    }
    if (p < end && *p == '"') {
        *out = slice_of(start, (size_t)(p - start));
        t->p = p + 1;
        return true;
    }
    if (p < end && *p == '\\') {
        return decode(t, start, out);
    }
    t->p = p;
    return lin_text_fail(t,
                         p == end ? "the text ends in a string" : "control character in a string");
}

bool lin_text_integer(struct lin_text *t, int64_t *out)
{
    lin_text_space(t);
    const char *p = t->p;
    bool negative = p < t->end && *p == '-';
    p += negative ? 1 : 0;
    const char *first = p;
    uint64_t sum = 0;
    while (p < t->end && *p >= '0' && *p <= '9' && p - first < 19) {
        sum = sum * 10 + (uint64_t)(*p++ - '0');
    }
    bool more = p < t->end && ((*p >= '0' && *p <= '9') || *p == '.' || *p == 'e' || *p == 'E');
    if (p == first || more || (*first == '0' && p - first > 1) || sum > (uint64_t)INT64_MAX) {
        return lin_text_fail(t, "a 64-bit integer was expected");
    }
    *out = negative ? -(int64_t)sum : (int64_t)sum;
    t->p = p;
    return true;
}

static bool skip_scalar(struct lin_text *t)
{
    if (t->p < t->end && *t->p == '"') {
        /* The contents do not matter, so the scratch buffer is not spent on them. */
        size_t size = t->scratch->size;
        struct slice s;
        bool good = lin_text_string(t, &s);
        t->scratch->size = size;
        return good;
    }
    if (lin_text_word(t, "true") || lin_text_word(t, "false") || lin_text_word(t, "null")) {
        return true;
    }
    const char *start = t->p;
    while (t->p < t->end && *t->p != '\0' && strchr("+-0123456789.eE", *t->p) != NULL) {
        t->p++;
    }
    return t->p > start || lin_text_fail(t, "a value was expected");
}

/* Opens brackets until a scalar has been passed; *depth counts them in closing[]. */
static bool skip_down(struct lin_text *t, char *closing, int *depth)
{
    for (;;) {
        lin_text_space(t);
        if (t->p == t->end || (*t->p != '{' && *t->p != '[')) {
            return skip_scalar(t);
        }
        if (*depth == DEPTH_MAX) {
            return lin_text_fail(t, "nested too deeply");
        }
        char close = *t->p++ == '{' ? '}' : ']';
        if (lin_text_take(t, close)) {
            return true;
        }
        closing[(*depth)++] = close;
        struct slice key;
        if (close == '}' && !(lin_text_string(t, &key) &&
                              (lin_text_take(t, ':') || lin_text_fail(t, "':' was expected")))) {
            return false;
        }
    }
}

bool lin_text_skip(struct lin_text *t, struct slice *out)
{
    char closing[DEPTH_MAX];
    int depth = 0;
    lin_text_space(t);
    const char *start = t->p;
    do {
        if (!skip_down(t, closing, &depth)) {
            return false;
        }
        while (depth > 0 && lin_text_take(t, closing[depth - 1])) {
            depth--;
        }
        if (depth > 0) {
            struct slice key;
            if (!lin_text_take(t, ',')) {
                return lin_text_fail(t, "',' or a closing bracket was expected");
            }
            if (closing[depth - 1] == '}' && !(lin_text_string(t, &key) && lin_text_take(t, ':'))) {
                return lin_text_fail(t, "a member was expected");
            }
        }
    } while (depth > 0);
    if (out != NULL) {
        *out = slice_of(start, (size_t)(t->p - start));
    }
    return true;
}

bool lin_text_done(struct lin_text *t)
{
    lin_text_space(t);
    return t->p == t->end;
}
