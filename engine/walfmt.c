/* walfmt.c - see walfmt.h. */
#include "engine/walfmt.h"

#include "base/code.h"
#include "base/crc32c.h"

_Static_assert(WALFMT_PAYLOAD_MAX <= UINT16_MAX, "a payload's size fits its field");

void walfmt_put_frag(void *p, const struct walfmt_frag *f)
{
    char *at = p;
    code_put32(at, 0);
    code_put16(at + 4, f->size);
    at[6] = (char)f->type;
    at[7] = (char)f->flags;
    code_put32(at + 8, f->number);
    code_put32(at + 12, f->epoch);
    code_put64(at + 16, f->sequence);
    code_put64(at + 24, f->synced);
}

void walfmt_get_frag(const void *p, struct walfmt_frag *f)
{
    const char *at = p;
    f->crc = code_get32(at);
    f->size = code_get16(at + 4);
    f->type = (uint8_t)at[6];
    f->flags = (uint8_t)at[7];
    f->number = code_get32(at + 8);
    f->epoch = code_get32(at + 12);
    f->sequence = code_get64(at + 16);
    f->synced = code_get64(at + 24);
}

uint32_t walfmt_crc(bool hardware, const void *p, uint64_t number, uint64_t offset)
{
    char place[16];
    code_put64(place, number);
    code_put64(place + 8, offset);
    size_t size = WALFMT_FRAG - 4 + (size_t)code_get16((const char *)p + 4);
    uint32_t crc = crc32c_on(hardware, 0, place, sizeof place);
    return crc32c_on(hardware, crc, (const char *)p + 4, size);
}

void walfmt_put_head(void *p, const struct walfmt_head *h)
{
    char *at = p;
    code_put64(at, h->magic);
    code_put32(at + 8, h->version);
    code_put32(at + 12, h->database);
    code_put64(at + 16, h->number);
    code_put64(at + 24, h->a);
    code_put64(at + 32, h->b);
    code_put64(at + 40, h->c);
}

enum status walfmt_get_head(struct slice payload, uint64_t magic, uint64_t number,
                            struct walfmt_head *h)
{
    if (payload.size < 24 || code_get64(payload.data) != magic) {
        return ST_CORRUPT;
    }
    h->magic = magic;
    h->version = code_get32(payload.data + 8);
    h->database = code_get32(payload.data + 12);
    h->number = code_get64(payload.data + 16);
    if (h->version > WALFMT_VERSION) {
        return ST_UNSUPPORTED;
    }
    if (payload.size != WALFMT_HEAD || h->version == 0 || h->number != number) {
        return ST_CORRUPT;
    }
    h->a = code_get64(payload.data + 24);
    h->b = code_get64(payload.data + 32);
    h->c = code_get64(payload.data + 40);
    return ST_OK;
}
