/* tablefmt.c - see tablefmt.h. */
#include "engine/tablefmt.h"

#include "base/code.h"
#include "base/crc32c.h"

#define PROPS_FIXED 88 /* bytes before the three texts */

static uint32_t frame_crc(bool hardware, const char *p, size_t size, uint64_t number,
                          uint64_t offset)
{
    char place[16];
    code_put64(place, number);
    code_put64(place + 8, offset);
    return crc32c_on(hardware, crc32c_on(hardware, 0, place, sizeof place), p, size);
}

uint32_t tablefmt_seal(bool hardware, char *p, size_t size, uint8_t type, uint64_t number,
                       uint64_t offset)
{
    p[size] = (char)type;
    uint32_t crc = frame_crc(hardware, p, size + 1, number, offset);
    code_put32(p + size + 1, crc);
    return crc;
}

bool tablefmt_sealed(bool hardware, const char *p, size_t size, uint64_t number, uint64_t offset,
                     uint32_t *found, uint32_t *want)
{
    *found = 0;
    *want = 0;
    if (size < TABLEFMT_TRAIL) {
        return false;
    }
    *found = code_get32(p + size - 4);
    *want = frame_crc(hardware, p, size - 4, number, offset);
    return *found == *want;
}

static enum status put_text(struct buf *b, struct slice s)
{
    char head[CODE_VARINT_MAX];
    enum status st = buf_append(b, head, code_put_varint(head, s.size));
    return st == ST_OK ? buf_append(b, s.data, s.size) : st;
}

static bool get_text(struct slice *rest, struct slice *s)
{
    uint64_t size;
    size_t n = code_get_varint(rest->data, rest->data + rest->size, &size);
    if (n == 0 || size > rest->size - n) {
        return false;
    }
    *s = slice_of(rest->data + n, (size_t)size);
    *rest = slice_of(rest->data + n + size, rest->size - n - (size_t)size);
    return true;
}

enum status tablefmt_put_props(struct buf *b, const struct tablefmt_props *p)
{
    char fixed[PROPS_FIXED] = {0};
    const uint64_t sums[] = {
        p->info.entries,      p->info.deletes,   p->info.tombs, p->info.sequence_min,
        p->info.sequence_max, p->info.raw_bytes, p->blocks,     p->key_max};
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
        code_put64(fixed + 8 * i, sums[i]);
    }
    code_put32(fixed + 64, p->block_bytes);
    code_put32(fixed + 68, p->filter_bits);
    code_put32(fixed + 72, p->prefix_bytes);
    code_put32(fixed + 76, p->compression);
    code_put32(fixed + 80, p->info.most_open);
    enum status st = buf_append(b, fixed, sizeof fixed);
    if (st == ST_OK) {
        st = put_text(b, p->order);
    }
    if (st == ST_OK) {
        st = put_text(b, p->info.least);
    }
    if (st == ST_OK) {
        st = put_text(b, p->info.most);
    }
    return st;
}

enum status tablefmt_get_props(struct slice bytes, struct tablefmt_props *p)
{
    if (bytes.size < PROPS_FIXED) {
        return ST_CORRUPT;
    }
    const char *at = bytes.data;
    *p = (struct tablefmt_props){
        .info.entries = code_get64(at),
        .info.deletes = code_get64(at + 8),
        .info.tombs = code_get64(at + 16),
        .info.sequence_min = code_get64(at + 24),
        .info.sequence_max = code_get64(at + 32),
        .info.raw_bytes = code_get64(at + 40),
        .info.most_open = code_get32(at + 80) == 1,
        .blocks = code_get64(at + 48),
        .key_max = code_get64(at + 56),
        .block_bytes = code_get32(at + 64),
        .filter_bits = code_get32(at + 68),
        .prefix_bytes = code_get32(at + 72),
        .compression = (uint8_t)code_get32(at + 76),
    };
    struct slice rest = slice_of(at + PROPS_FIXED, bytes.size - PROPS_FIXED);
    bool good = get_text(&rest, &p->order) && get_text(&rest, &p->info.least) &&
                get_text(&rest, &p->info.most) && rest.size == 0;
    good = good && code_get32(at + 76) <= TABLEFMT_LZ4 && code_get32(at + 80) <= 1 &&
           code_get32(at + 84) == 0;
    good = good && p->info.deletes <= p->info.entries && p->blocks <= p->info.entries &&
           p->info.sequence_min <= p->info.sequence_max && p->key_max <= TKV_KEY_MAX;
    return good && (p->info.entries > 0) == (p->blocks > 0) ? ST_OK : ST_CORRUPT;
}

void tablefmt_put_footer(char p[TABLEFMT_FOOTER], const struct tablefmt_footer *f)
{
    code_put64(p, f->number);
    code_put64(p + 8, f->data);
    code_put64(p + 16, f->filter);
    code_put64(p + 24, f->tombs);
    code_put64(p + 32, f->index);
    code_put64(p + 40, f->props);
    code_put32(p + 48, f->check);
    code_put32(p + 52, TABLEFMT_VERSION);
    code_put64(p + 56, TABLEFMT_MAGIC);
    code_put32(p + 64, crc32c(0, p, 64));
}

/* Do the parts, all of them, take up the file, and is each that has to be there big enough? */
static bool parts_fit(const struct tablefmt_footer *f, uint64_t size)
{
    const uint64_t parts[] = {f->data, f->filter, f->tombs, f->index, f->props};
    uint64_t left = size - TABLEFMT_FOOTER;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i] > left || (parts[i] > 0 && parts[i] < TABLEFMT_TRAIL)) {
            return false;
        }
        left -= parts[i];
    }
    return left == 0 && f->index > 0 && f->props > 0;
}

enum status tablefmt_get_footer(const char p[TABLEFMT_FOOTER], uint64_t number, uint64_t size,
                                struct tablefmt_footer *f)
{
    *f = (struct tablefmt_footer){
        .number = code_get64(p),
        .data = code_get64(p + 8),
        .filter = code_get64(p + 16),
        .tombs = code_get64(p + 24),
        .index = code_get64(p + 32),
        .props = code_get64(p + 40),
        .check = code_get32(p + 48),
    };
    uint32_t version = code_get32(p + 52);
    if (code_get64(p + 56) != TABLEFMT_MAGIC || code_get32(p + 64) != crc32c(0, p, 64)) {
        return ST_CORRUPT;
    }
    if (version > TABLEFMT_VERSION) {
        return ST_UNSUPPORTED;
    }
    if (version == 0 || f->number != number || size < TABLEFMT_FOOTER || !parts_fit(f, size)) {
        return ST_CORRUPT;
    }
    return ST_OK;
}
