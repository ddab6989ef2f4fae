/* tabindex.c - see tabindex.h. */
#include "engine/tabindex.h"

#include "base/ck.h"
#include "base/code.h"

void tabindex_build_init(struct tabindex_build *b, struct mem *mem)
{
    *b = (struct tabindex_build){.blocks = 0};
    buf_init(&b->out, mem);
    buf_init(&b->last, mem);
}

void tabindex_build_release(struct tabindex_build *b)
{
    buf_release(&b->out);
    buf_release(&b->last);
}

static size_t common(struct slice a, struct slice b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    size_t i = 0;
    while (i < n && a.data[i] == b.data[i]) {
        i++;
    }
    return i;
}

/* A short key s with last <= s < next, for bytewise order: a prefix of next where that is less
 * than all of it, else last itself. */
static struct slice shorten(struct slice last, struct slice next)
{
    size_t n = common(last, next);
    return n < last.size && n + 1 < next.size ? slice_of(next.data, n + 1) : last;
}

enum status tabindex_build_add(struct tabindex_build *b, struct order o, struct slice last,
                               uint64_t last_sequence, const struct slice *next, uint64_t size)
{
    struct slice separator = last;
    uint64_t sequence = 0;
    if (next != NULL && slice_equal(last, *next)) {
        sequence = last_sequence;
    } else if (next != NULL && order_bytewise(o)) {
        separator = shorten(last, *next);
    }
    size_t shared = common(buf_slice(&b->last), separator);
    size_t rest = separator.size - shared;
    enum status st = buf_reserve(&b->out, rest + 4 * CODE_VARINT_MAX);
    if (st == ST_OK) {
        st = buf_reserve(&b->last, separator.size);
    }
    if (st != ST_OK) {
        return st;
    }
    char *p = b->out.data + b->out.size;
    p += code_put_varint(p, shared);
    p += code_put_varint(p, (uint64_t)rest << 1 | (sequence > 0));
    if (rest > 0) {
        memcpy(p, separator.data + shared, rest);
        memcpy(b->last.data + shared, separator.data + shared, rest);
    }
    p += rest;
    p += sequence > 0 ? code_put_varint(p, sequence) : 0;
    p += code_put_varint(p, size);
    b->out.size = (size_t)(p - b->out.data);
    b->last.size = separator.size;
    b->blocks++;
    return ST_OK;
}

/* One row of the index as bytes. */
struct row {
    size_t shared;
    struct slice rest;
    uint64_t sequence;
    uint64_t size;
};

static bool row_get(struct slice *bytes, size_t last_size, struct row *row)
{
    const char *p = bytes->data;
    const char *end = p + bytes->size;
    uint64_t shared;
    uint64_t rest;
    size_t n = code_get_varint(p, end, &shared);
    size_t m = n == 0 ? 0 : code_get_varint(p + n, end, &rest);
    if (m == 0 || shared > last_size || rest >> 1 > (uint64_t)(end - p) - n - m) {
        return false;
    }
    p += n + m;
    row->shared = (size_t)shared;
    row->rest = slice_of(p, (size_t)(rest >> 1));
    row->sequence = 0;
    p += row->rest.size;
    if ((rest & 1) != 0) {
        n = code_get_varint(p, end, &row->sequence);
        if (n == 0 || row->sequence == 0 || row->sequence > ENTRY_SEQUENCE_MAX) {
            return false;
        }
        p += n;
    }
    n = code_get_varint(p, end, &row->size);
    *bytes = slice_of(p + n, (size_t)(end - p) - n);
    return n > 0 && row->shared + row->rest.size <= TKV_KEY_MAX;
}

/* What has to be known before memory is asked for. */
struct measure {
    uint64_t bytes; /* of whole separators */
    size_t shared;  /* by all */
    bool numbered;
};

static bool measure(struct slice bytes, uint64_t count, uint64_t total, struct measure *m)
{
    struct row row;
    size_t last = 0;
    uint64_t sum = 0;
    *m = (struct measure){.bytes = 0};
    for (uint64_t i = 0; i < count; i++) {
        if (!row_get(&bytes, last, &row) || row.size > total - sum) {
            return false;
        }
        sum += row.size;
        last = row.shared + row.rest.size;
        m->bytes += last;
        m->numbered = m->numbered || row.sequence > 0;
        if (i == 0) {
            m->shared = last;
        } else if (row.shared < m->shared) {
            m->shared = row.shared;
        }
    }
    return bytes.size == 0 && sum == total && count < UINT32_MAX && m->bytes <= UINT32_MAX;
}

/* Lays the arrays out in one block of memory. */
static enum status reserve(struct tabindex *ix, const struct measure *m)
{
    bool bytewise = order_bytewise(ix->order);
    uint64_t words = ix->count + 1u;
    words += bytewise ? ix->count : 0u;
    words += m->numbered ? ix->count : 0u;
    uint64_t size = 8 * words + 4 * (uint64_t)ix->count + m->shared + m->bytes -
                    m->shared * (uint64_t)ix->count;
    if (size > SIZE_MAX / 2) {
        return ST_NOMEM;
    }
    uint64_t *at = mem_alloc(ix->mem, (size_t)size);
    if (at == NULL) {
        return ST_NOMEM;
    }
    ix->block = at;
    ix->memory = size;
    ix->offsets = at;
    at += ix->count + 1u;
    if (bytewise) {
        ix->prefixes = at;
        at += ix->count;
    }
    if (m->numbered) {
        ix->sequences = at;
        at += ix->count;
    }
    ix->ends = (uint32_t *)(void *)at;
    ix->bytes = (const char *)(ix->ends + ix->count);
    return ST_OK;
}

static uint64_t prefix_of(const char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < 8; i++) {
        v = v << 8 | (i < n ? (unsigned char)p[i] : 0u);
    }
    return v;
}

/* Fills the arrays; the bytes have been measured. What a separator shares with the one before it
 * has been stored there, or is what all share. */
static void fill(struct tabindex *ix, struct slice bytes, char *to)
{
    struct row row = {0};
    size_t skip = ix->shared.size;
    size_t last = 0;
    uint64_t offset = 0;
    const char *before = to; /* the last separator, behind skip */
    ix->bytes = to;
    for (uint32_t i = 0; i < ix->count; i++) {
        bool good = row_get(&bytes, last, &row);
        CK(good); /* these bytes have been measured */
        size_t again = i == 0 ? 0 : row.shared - skip;
        size_t drop = i == 0 ? skip : 0;
        char *start = to;
        memcpy(to, before, again);
        memcpy(to + again, row.rest.data + drop, row.rest.size - drop);
        to += again + row.rest.size - drop;
        last = row.shared + row.rest.size;
        ix->ends[i] = (uint32_t)(to - ix->bytes);
        ix->offsets[i] = offset;
        offset += row.size;
        if (ix->prefixes != NULL) {
            ix->prefixes[i] = prefix_of(start, last - skip);
        }
        if (ix->sequences != NULL) {
            ix->sequences[i] = row.sequence;
        }
        before = start;
    }
    ix->offsets[ix->count] = offset;
}

enum status tabindex_load(struct tabindex *ix, struct mem *mem, struct order o, struct slice bytes,
                          uint64_t count, uint64_t total)
{
    struct measure m;
    *ix = (struct tabindex){.mem = mem, .order = o};
    if (!measure(bytes, count, total, &m)) {
        return ST_CORRUPT;
    }
    m.shared = order_bytewise(o) ? m.shared : 0;
    ix->count = (uint32_t)count;
    enum status st = reserve(ix, &m);
    if (st != ST_OK) {
        return st;
    }
    char *shared = (char *)(ix->ends + ix->count);
    struct row first;
    struct slice peek = bytes;
    if (ix->count > 0 && row_get(&peek, 0, &first)) {
        memcpy(shared, first.rest.data, m.shared);
    }
    ix->shared = slice_of(shared, m.shared);
    fill(ix, bytes, shared + m.shared);
    return ST_OK;
}

void tabindex_release(struct tabindex *ix)
{
    if (ix->mem != NULL) {
        mem_release(ix->mem, ix->block);
    }
    *ix = (struct tabindex){.mem = NULL};
}

/* The first i with prefixes[i] >= p. Without a branch that could be guessed wrong. */
static uint32_t search(const uint64_t *prefixes, uint32_t count, uint64_t p)
{
    uint32_t at = 0;
    for (uint32_t n = count; n > 1;) {
        uint32_t half = n / 2;
        at += prefixes[at + half - 1] < p ? half : 0;
        n -= half;
    }
    return at + (prefixes[at] < p);
}

static bool before(const struct tabindex *ix, uint32_t i, struct slice key, uint64_t sequence)
{
    return entry_compare(ix->order, tabindex_separator(ix, i), tabindex_sequence(ix, i), key,
                         sequence) < 0;
}

static uint32_t settle(const struct tabindex *ix, uint32_t low, uint32_t high, struct slice key,
                       uint64_t sequence)
{
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (before(ix, mid, key, sequence)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

uint32_t tabindex_find(const struct tabindex *ix, struct slice key, uint64_t sequence)
{
    if (ix->count == 0) {
        return 0;
    }
    if (ix->prefixes == NULL) {
        return settle(ix, 0, ix->count, key, sequence);
    }
    size_t n = key.size < ix->shared.size ? key.size : ix->shared.size;
    int c = n == 0 ? 0 : memcmp(key.data, ix->shared.data, n);
    if (c != 0 || n < ix->shared.size) {
        return c > 0 ? ix->count : 0;
    }
    struct slice rest = slice_of(key.data + n, key.size - n);
    uint64_t p = prefix_of(rest.data, rest.size);
    uint32_t at = search(ix->prefixes, ix->count, p);
    if (at == ix->count || ix->prefixes[at] != p || !before(ix, at, rest, sequence)) {
        return at;
    }
    uint32_t end = p == UINT64_MAX ? ix->count : search(ix->prefixes, ix->count, p + 1);
    return settle(ix, at + 1, end, rest, sequence);
}
