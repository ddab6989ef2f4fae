/* simdisk_image.c - file contents as a table of chunks, both copied on write. */
#include "base/ck.h"
#include "base/hash.h"
#include "sim/simdisk_int.h"

#include <string.h>

/* ---- counting ---- */

void simdisk_chunk_drop(struct mem *m, struct simdisk_chunk *c)
{
    if (c != NULL && --c->refs == 0) {
        mem_release(m, c);
    }
}

void simdisk_image_drop(struct mem *m, struct simdisk_image *im)
{
    if (im == NULL || --im->refs > 0) {
        return;
    }
    for (size_t i = 0; i < im->count; i++) {
        simdisk_chunk_drop(m, im->pages[i].chunk);
    }
    mem_release(m, im->pages);
    mem_release(m, im);
}

struct simdisk_image *simdisk_image_share(struct simdisk_image *im)
{
    if (im != NULL) {
        im->refs++;
    }
    return im;
}

/* ---- becoming writable ---- */

/* A table of its own behind *im (NULL: an empty image) with room for `pages`. */
static bool own_table(struct mem *m, struct simdisk_image **im, size_t pages)
{
    struct simdisk_image *old = *im;
    if (old != NULL && old->refs == 1 && pages <= old->cap) {
        return true;
    }
    size_t count = old != NULL ? old->count : 0;
    size_t cap = pages > count ? pages + pages / 2 + 4 : count + 4;
    struct simdisk_page *table = mem_alloc(m, cap * sizeof *table);
    if (table == NULL) {
        return false;
    }
    if (count > 0) {
        memcpy(table, old->pages, count * sizeof *table);
    }
    if (old != NULL && old->refs == 1) {
        mem_release(m, old->pages);
        old->pages = table;
        old->cap = cap;
        return true;
    }
    struct simdisk_image *own = mem_alloc(m, sizeof *own);
    if (own == NULL) {
        mem_release(m, table);
        return false;
    }
    *own = (struct simdisk_image){.refs = 1, .count = count, .cap = cap, .pages = table};
    for (size_t i = 0; i < count; i++) {
        if (table[i].chunk != NULL) {
            table[i].chunk->refs++;
        }
    }
    if (old != NULL) {
        old->refs--; /* it was shared: somebody keeps it */
    }
    *im = own;
    return true;
}

/* A chunk of its own for that page. */
static bool own_chunk(const struct simdisk *d, struct simdisk_page *p)
{
    struct simdisk_chunk *old = p->chunk;
    if (old != NULL && old->refs == 1) {
        old->hashed = false;
        return true;
    }
    struct simdisk_chunk *c = mem_alloc(d->mem, sizeof *c + d->o.page);
    if (c == NULL) {
        return false;
    }
    c->refs = 1;
    c->hashed = false;
    c->written = old != NULL ? old->written : 0;
    if (old != NULL) {
        memcpy(c->bytes, old->bytes, d->o.page);
        old->refs--;
    } else {
        memset(c->bytes, 0, d->o.page);
    }
    p->chunk = c;
    return true;
}

bool simdisk_image_prepare(const struct simdisk *d, struct simdisk_image **im, uint64_t off,
                           uint64_t len)
{
    size_t first = (size_t)(off / d->o.page);
    size_t end = (size_t)((off + len + d->o.page - 1) / d->o.page);
    if (!own_table(d->mem, im, end)) {
        return false;
    }
    struct simdisk_image *own = *im;
    while (own->count < end) {
        own->pages[own->count++] = (struct simdisk_page){0};
    }
    for (size_t i = first; i < end; i++) {
        if (!own_chunk(d, &own->pages[i])) {
            return false;
        }
    }
    return true;
}

bool simdisk_image_prepare_cut(const struct simdisk *d, struct simdisk_image **im, uint64_t size)
{
    size_t page = (size_t)(size / d->o.page);
    if (*im == NULL || (*im)->count <= page) {
        return true;
    }
    if (!own_table(d->mem, im, 0)) {
        return false;
    }
    struct simdisk_page *p = &(*im)->pages[page];
    return size % d->o.page == 0 || p->chunk == NULL || own_chunk(d, p);
}

/* ---- contents ---- */

/* The bits of the cells that [from, to) of a page touches. */
static uint64_t cell_bits(const struct simdisk *d, uint64_t from, uint64_t to)
{
    uint64_t first = from / d->cell;
    uint64_t n = (to + d->cell - 1) / d->cell - first;
    return (n == 64 ? UINT64_MAX : ((uint64_t)1 << n) - 1) << first;
}

void simdisk_image_put(const struct simdisk *d, struct simdisk_image *im, uint64_t off,
                       const void *data, uint64_t len)
{
    const unsigned char *from = data;
    while (len > 0) {
        struct simdisk_page *p = &im->pages[off / d->o.page];
        uint64_t at = off % d->o.page;
        uint64_t n = d->o.page - at < len ? d->o.page - at : len;
        CK(p->chunk->refs == 1);
        memcpy(p->chunk->bytes + at, from, (size_t)n);
        p->chunk->written |= cell_bits(d, at, at + n);
        p->chunk->hashed = false;
        p->allocated = true;
        from += n;
        off += n;
        len -= n;
    }
}

/* Zeroes what the page in which `size` lies has past it. Returns the first page that is all past.
 */
static size_t cut_page(const struct simdisk *d, struct simdisk_image *im, uint64_t size)
{
    size_t page = (size_t)(size / d->o.page);
    uint64_t within = size % d->o.page;
    if (within == 0 || page >= im->count) {
        return page;
    }
    struct simdisk_chunk *c = im->pages[page].chunk;
    if (c != NULL) {
        uint64_t whole = (within + d->cell - 1) / d->cell * d->cell;
        memset(c->bytes + within, 0, (size_t)(d->o.page - within));
        c->written &= whole < d->o.page ? ~cell_bits(d, whole, d->o.page) : UINT64_MAX;
        c->hashed = false;
    }
    return page + 1;
}

void simdisk_image_cut(const struct simdisk *d, struct simdisk_image *im, uint64_t size, bool keep)
{
    if (im == NULL) {
        return;
    }
    size_t page = cut_page(d, im, size);
    for (size_t i = page; i < im->count; i++) {
        simdisk_chunk_drop(d->mem, im->pages[i].chunk);
        im->pages[i].chunk = NULL;
        im->pages[i].lost = false;
        im->pages[i].allocated = keep && im->pages[i].allocated;
    }
    if (!keep && im->count > page) {
        im->count = page;
    }
}

void simdisk_image_blank(const struct simdisk *d, struct simdisk_image *im, uint64_t size)
{
    if (im == NULL) {
        return;
    }
    for (size_t i = cut_page(d, im, size); i < im->count; i++) {
        struct simdisk_chunk *c = im->pages[i].chunk;
        if (c != NULL && c->refs == 1) {
            memset(c->bytes, 0, d->o.page);
            c->written = 0;
            c->hashed = false;
        } else {
            simdisk_chunk_drop(d->mem, c);
            c = NULL;
        }
        im->pages[i] = (struct simdisk_page){.chunk = c};
    }
}

void simdisk_image_cut_page(const struct simdisk *d, struct simdisk_image *im, size_t page,
                            uint64_t size)
{
    if (size / d->o.page == page && size % d->o.page > 0) {
        (void)cut_page(d, im, size);
    } else if (size / d->o.page <= page) {
        simdisk_chunk_drop(d->mem, im->pages[page].chunk);
        im->pages[page].chunk = NULL;
    }
}

void simdisk_image_get(const struct simdisk *d, const struct simdisk_image *im, uint64_t off,
                       void *out, uint64_t len)
{
    unsigned char *to = out;
    while (len > 0) {
        uint64_t page = off / d->o.page;
        uint64_t at = off % d->o.page;
        uint64_t n = d->o.page - at < len ? d->o.page - at : len;
        const struct simdisk_chunk *c =
            im != NULL && page < im->count ? im->pages[page].chunk : NULL;
        if (c != NULL) {
            memcpy(to, c->bytes + at, (size_t)n);
        } else {
            memset(to, 0, (size_t)n);
        }
        to += n;
        off += n;
        len -= n;
    }
}

bool simdisk_image_written(const struct simdisk *d, const struct simdisk_image *im, uint64_t index)
{
    uint64_t page = index * d->cell / d->o.page;
    if (im == NULL || page >= im->count || im->pages[page].chunk == NULL) {
        return false;
    }
    uint64_t cell = index % (d->o.page / d->cell);
    return (im->pages[page].chunk->written >> cell & 1) != 0;
}

bool simdisk_image_extend(const struct simdisk *d, struct simdisk_image **im, uint64_t off,
                          uint64_t len)
{
    size_t end = (size_t)((off + len + d->o.page - 1) / d->o.page);
    if (!own_table(d->mem, im, end)) {
        return false;
    }
    struct simdisk_image *own = *im;
    while (own->count < end) {
        own->pages[own->count++] = (struct simdisk_page){0};
    }
    for (size_t i = (size_t)(off / d->o.page); i < end; i++) {
        own->pages[i].allocated = true;
    }
    return true;
}

uint64_t simdisk_image_blocks_past(const struct simdisk *d, const struct simdisk_image *im,
                                   uint64_t size)
{
    uint64_t n = 0;
    for (size_t i = (size_t)((size + d->o.page - 1) / d->o.page); im != NULL && i < im->count;
         i++) {
        n += im->pages[i].allocated;
    }
    return n;
}

size_t simdisk_image_lost_past(const struct simdisk *d, const struct simdisk_image *im,
                               uint64_t size)
{
    size_t n = 0;
    for (size_t i = (size_t)((size + d->o.page - 1) / d->o.page); im != NULL && i < im->count;
         i++) {
        n += im->pages[i].lost;
    }
    return n;
}

static bool all_zero(const unsigned char *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* A page of zeros and a hole are the same to a reader, and to the digest. */
static uint64_t chunk_digest(const struct simdisk *d, struct simdisk_chunk *c)
{
    if (!c->hashed) {
        c->digest = all_zero(c->bytes, d->o.page) ? 0 : hash_bytes(1, c->bytes, d->o.page) | 1;
        c->hashed = true;
    }
    return c->digest;
}

uint64_t simdisk_image_digest(const struct simdisk *d, const struct simdisk_image *im)
{
    uint64_t h = 0;
    for (size_t i = 0; im != NULL && i < im->count; i++) {
        struct simdisk_chunk *c = im->pages[i].chunk;
        uint64_t own = c != NULL ? chunk_digest(d, c) : 0;
        if (own != 0) {
            h = hash_add(hash_add(h, i), own);
        }
    }
    return h;
}
