/* blockread.c - see blockread.h. */
#include "engine/blockread.h"

#include "base/code.h"

#define ONES  0x0101010101010101u
#define HIGHS 0x8080808080808080u

enum status blockread_init(struct blockread *r, struct slice block)
{
    if (block.size < BLOCKREAD_TAIL || block.size > UINT32_MAX) {
        return ST_CORRUPT;
    }
    const char *tail = block.data + block.size - BLOCKREAD_TAIL;
    /* The columns of a block of usual size: all lines at once instead of one by one. */
    for (size_t back = 64; back <= 192 && back < block.size; back += 64) {
        __builtin_prefetch(tail - (back < block.size - BLOCKREAD_TAIL ? back : 0));
    }
    uint64_t base = code_get64(tail);
    uint32_t count = code_get32(tail + 8);
    r->data = block.data;
    r->base = base & ENTRY_SEQUENCE_MAX;
    r->width = (uint8_t)(base >> 56);
    r->wide = (count & BLOCKREAD_WIDE) != 0;
    r->count = count & ~BLOCKREAD_WIDE;
    uint64_t columns = (uint64_t)r->count * (1u + r->width + (r->wide ? 4u : 2u));
    uint64_t room = block.size - BLOCKREAD_TAIL;
    if (r->count == 0 || r->width > 7 || columns > room) {
        return ST_CORRUPT;
    }
    r->ends = (uint32_t)(room - columns);
    r->offsets = r->data + r->ends;
    r->sequences = r->offsets + (size_t)r->count * (r->wide ? 4u : 2u);
    r->marks = r->sequences + (size_t)r->count * r->width;
    return ST_OK;
}

bool blockread_item_long(const char *p, const char *end, struct blockread_item *it)
{
    uint64_t shared;
    uint64_t rest;
    size_t n = code_get_varint(p, end, &shared);
    size_t m = n == 0 ? 0 : code_get_varint(p + n, end, &rest);
    if (m == 0 || shared > TKV_KEY_MAX || rest >> 1 > (uint64_t)(end - p) - n - m) {
        return false;
    }
    p += n + m;
    it->shared = (uint32_t)shared;
    it->type = (rest & 1) != 0 ? BATCH_DELETE : BATCH_PUT;
    it->rest = slice_of(p, (size_t)(rest >> 1));
    it->value = slice_of(p + (rest >> 1), (size_t)(end - p) - (size_t)(rest >> 1));
    return true;
}

/* Is entry i of that key, and not too new? */
static enum status match(const struct blockread *r, uint32_t i, struct slice key, uint64_t sequence,
                         struct entry *e)
{
    struct blockread_item it;
    struct slice head;
    uint64_t found = blockread_sequence(r, i);
    if (found > sequence) {
        return ST_NOENT;
    }
    if (!blockread_item(r, i, &it)) {
        return ST_CORRUPT;
    }
    if (it.shared + it.rest.size != key.size ||
        memcmp(it.rest.data, key.data + it.shared, it.rest.size) != 0) {
        return ST_NOENT;
    }
    if (it.shared > 0) {
        if (!blockread_head(r, i, &head) || head.size < it.shared) {
            return ST_CORRUPT;
        }
        if (memcmp(head.data, key.data, it.shared) != 0) {
            return ST_NOENT;
        }
    }
    *e = (struct entry){key, found, it.value, it.type};
    return ST_OK;
}

enum status blockread_find(const struct blockread *r, struct slice key, uint64_t hash,
                           uint64_t sequence, struct entry *e)
{
    uint64_t want = (hash & 0xff) * ONES;
    for (uint32_t i = 0; i < r->count; i += 8) {
        /* The tail lies behind the marks: eight bytes can always be read. A byte of x is 0 where a
         * mark is the wanted one; the classic test may also point at bytes above such a one,
         * which match() sorts out, as it does with bytes that are not marks. */
        uint64_t x = code_get64(r->marks + i) ^ want;
        uint64_t hits = (x - ONES) & ~x & HIGHS;
        while (hits != 0) {
            uint32_t at = i + (uint32_t)__builtin_ctzll(hits) / 8;
            hits &= hits - 1;
            enum status st = at < r->count ? match(r, at, key, sequence, e) : ST_NOENT;
            if (st != ST_NOENT) {
                return st;
            }
        }
    }
    return ST_NOENT;
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

static int by_sequence(uint64_t a, uint64_t b)
{
    return a > b ? -1 : a < b;
}

/* Looks among the entries (from, to) of one group, whose head lies before the key, for the first
 * that does not. Sharing the whole common part, an entry is decided by `shared` alone unless it
 * leaves the head just where the key does. */
static enum status seek_group(const struct blockread *r, struct slice head, struct slice key,
                              uint64_t sequence, uint32_t from, uint32_t to, uint32_t *at)
{
    size_t same = common(head, key);
    struct slice tail = slice_of(key.data + same, key.size - same);
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        struct blockread_item it;
        if (!blockread_item(r, mid, &it) || it.shared > head.size) {
            return ST_CORRUPT;
        }
        int c = it.shared > same ? -1 : it.shared < same;
        if (c == 0) {
            c = slice_compare(it.rest, tail);
        }
        if (c == 0) {
            c = by_sequence(blockread_sequence(r, mid), sequence);
        }
        if (c < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    *at = from;
    return ST_OK;
}

static enum status seek_bytewise(const struct blockread *r, struct slice key, uint64_t sequence,
                                 uint32_t *at)
{
    uint32_t low = 0; /* groups before it have heads before the key */
    uint32_t high = (r->count + BLOCKREAD_GROUP - 1) / BLOCKREAD_GROUP;
    struct slice head;
    struct slice last = {NULL, 0}; /* the head of group low - 1 */
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (!blockread_head(r, mid * BLOCKREAD_GROUP, &head)) {
            return ST_CORRUPT;
        }
        int c = slice_compare(head, key);
        if (c == 0) {
            c = by_sequence(blockread_sequence(r, mid * BLOCKREAD_GROUP), sequence);
        }
        if (c < 0) {
            low = mid + 1;
            last = head;
        } else {
            high = mid;
        }
    }
    if (low == 0) {
        *at = 0;
        return ST_OK;
    }
    uint32_t end =
        r->count - (low - 1) * BLOCKREAD_GROUP > BLOCKREAD_GROUP ? low * BLOCKREAD_GROUP : r->count;
    return seek_group(r, last, key, sequence, (low - 1) * BLOCKREAD_GROUP + 1, end, at);
}

static enum status seek_custom(const struct blockread *r, struct order o, struct slice key,
                               uint64_t sequence, char *scratch, size_t cap, uint32_t *at)
{
    uint32_t low = 0;
    uint32_t high = r->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        struct blockread_item it;
        struct slice head;
        if (!blockread_item(r, mid, &it) || !blockread_head(r, mid, &head) ||
            it.shared > head.size || it.shared + it.rest.size > cap) {
            return ST_CORRUPT;
        }
        memcpy(scratch, head.data, it.shared);
        memcpy(scratch + it.shared, it.rest.data, it.rest.size);
        struct slice whole = slice_of(scratch, it.shared + it.rest.size);
        if (entry_compare(o, whole, blockread_sequence(r, mid), key, sequence) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *at = low;
    return ST_OK;
}

enum status blockread_seek(const struct blockread *r, struct order o, struct slice key,
                           uint64_t sequence, char *scratch, size_t cap, uint32_t *at)
{
    return order_bytewise(o) ? seek_bytewise(r, key, sequence, at)
                             : seek_custom(r, o, key, sequence, scratch, cap, at);
}
