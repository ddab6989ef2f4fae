/* simdisk_media.c - media that keep something else than was written: flaws over the pristine bytes.
 *
 * A flaw belongs to one version of its sectors (simdisk_int.h). What readers see is vol, where a
 * flaw is not hidden by the cache, and where no pending update came after it. What a crash leaves
 * follows from the versions that it picks (simdisk_crash.c). Updates that reach media clear the
 * marks of the bytes that they bring, and a flaw without marks is gone. */
#include "base/ck.h"
#include "base/hash.h"
#include "base/prng.h"
#include "sim/simdisk_int.h"

#include <stdio.h>
#include <string.h>

/* ---- one flaw ---- */

static struct simdisk_flaw *flaw_new(struct mem *m, enum simdisk_fault_class class, uint64_t off,
                                     uint64_t len)
{
    struct simdisk_flaw *f = mem_zalloc(m, sizeof *f + 2 * (size_t)len);
    if (f != NULL) {
        f->class = class;
        f->off = off;
        f->len = len;
        f->live = f->bytes + len;
    }
    return f;
}

struct simdisk_flaw *simdisk_flaw_copy(struct mem *m, const struct simdisk_flaw *f)
{
    struct simdisk_flaw *copy = flaw_new(m, f->class, f->off, f->len);
    if (copy != NULL) {
        memcpy(copy, f, sizeof *f + 2 * (size_t)f->len);
        copy->live = copy->bytes + copy->len;
        copy->next = NULL;
    }
    return copy;
}

static bool marks_any(const struct simdisk_flaw *f, uint64_t from, uint64_t to)
{
    from = from > f->off ? from - f->off : 0;
    to = to < f->off + f->len ? to - f->off : f->len;
    return to > from && to <= f->len && memchr(f->live + from, 1, (size_t)(to - from)) != NULL;
}

static uint64_t marks_count(const struct simdisk_flaw *f)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < f->len; i++) {
        n += f->live[i];
    }
    return n;
}

void simdisk_flaw_add(struct simdisk *d, struct simdisk_inode *n, struct simdisk_flaw *f)
{
    if (!marks_any(f, 0, UINT64_MAX)) {
        mem_release(d->mem, f);
        return;
    }
    struct simdisk_flaw **last = &n->flaws;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    f->next = NULL;
    *last = f;
}

void simdisk_flaws_drop(struct simdisk *d, struct simdisk_inode *n)
{
    while (n->flaws != NULL) {
        struct simdisk_flaw *f = n->flaws;
        n->flaws = f->next;
        mem_release(d->mem, f);
    }
}

void simdisk_flaw_clear(const struct simdisk *d, struct simdisk_flaw *f, uint64_t from, uint64_t to)
{
    from = from > f->off ? from : f->off;
    to = to < f->off + f->len ? to : f->off + f->len;
    if (from >= to) {
        return;
    }
    if (f->masked) { /* the cache writes whole sectors, and it has them right */
        from = from / d->cell * d->cell;
        to = (to + d->cell - 1) / d->cell * d->cell;
    }
    memset(f->live + (from - f->off), 0, (size_t)(to - from));
}

/* Frees those without a mark. */
static void prune(struct simdisk *d, struct simdisk_inode *n)
{
    struct simdisk_flaw **at = &n->flaws;
    while (*at != NULL) {
        struct simdisk_flaw *f = *at;
        if (marks_any(f, 0, UINT64_MAX)) {
            at = &f->next;
        } else {
            *at = f->next;
            mem_release(d->mem, f);
        }
    }
}

static uint64_t update_end(const struct simdisk_update *u)
{
    return u->kind == SIMDISK_TRUNC ? UINT64_MAX : u->off + u->len;
}

/* Whether it gives bytes, or takes them away. */
static bool concerns_bytes(const struct simdisk_update *u)
{
    return u->kind == SIMDISK_DATA || u->kind == SIMDISK_TRUNC;
}

void simdisk_flaws_reached(struct simdisk *d, struct simdisk_inode *n,
                           const struct simdisk_update *u)
{
    for (struct simdisk_flaw *f = n->flaws; f != NULL && concerns_bytes(u); f = f->next) {
        if (u->lsn > f->lsn) {
            simdisk_flaw_clear(d, f, u->off, update_end(u));
        }
    }
    prune(d, n);
}

void simdisk_flaws_failed(struct simdisk *d, struct simdisk_inode *n,
                          const struct simdisk_update *u)
{
    for (struct simdisk_flaw *f = n->flaws; f != NULL; f = f->next) {
        if (u->lsn == f->lsn) {
            simdisk_flaw_clear(d, f, u->off, update_end(u));
        }
    }
    prune(d, n);
}

/* ---- what hides a flaw ---- */

static bool page_lost(const struct simdisk_inode *n, uint64_t page)
{
    return n->vol != NULL && page < n->vol->count && n->vol->pages[page].lost;
}

/* Whether the cache holds something that media do not have yet on the pages of [from, to). */
static bool dirty(const struct simdisk *d, const struct simdisk_inode *n, uint64_t from,
                  uint64_t to)
{
    uint64_t first = from / d->o.page;
    uint64_t end = (to + d->o.page - 1) / d->o.page;
    for (uint64_t p = first; n->lost > 0 && p < end; p++) {
        if (page_lost(n, p)) {
            return true;
        }
    }
    for (size_t i = 0; n->pend != NULL && i < n->pend->count; i++) {
        const struct simdisk_update *u = &n->pend->u[i];
        if (u->lsn > n->synced && concerns_bytes(u) && u->off < end * d->o.page &&
            update_end(u) > first * d->o.page) {
            return true;
        }
    }
    return false;
}

static bool uncoverable(const struct simdisk *d, const struct simdisk_inode *n,
                        const struct simdisk_flaw *f)
{
    return f->masked && !f->spent && !dirty(d, n, f->off, f->off + f->len);
}

size_t simdisk_flaws_masked(const struct simdisk *d, const struct simdisk_inode *n)
{
    size_t count = 0;
    for (const struct simdisk_flaw *f = n->flaws; f != NULL; f = f->next) {
        count += uncoverable(d, n, f);
    }
    return count;
}

void simdisk_flaws_uncover(const struct simdisk *d, struct simdisk_inode *n, size_t at)
{
    for (struct simdisk_flaw *f = n->flaws; f != NULL; f = f->next) {
        bool can = uncoverable(d, n, f);
        if (can && at == SIZE_MAX) {
            f->masked = false;
        } else if (can && at-- == 0) {
            f->masked = false;
            return;
        }
    }
}

/* Whether a read of the page of f fails: the page is not in the cache, and no pending update has
 * brought all that is bad. */
static bool fails_reads(const struct simdisk *d, const struct simdisk_inode *n,
                        const struct simdisk_flaw *f)
{
    bool bad = f->class == SIMDISK_FAULT_LSE || f->class == SIMDISK_FAULT_TRANSIENT;
    if (!bad || f->masked || f->spent || page_lost(n, f->off / d->o.page)) {
        return false;
    }
    for (size_t i = 0; n->pend != NULL && i < n->pend->count; i++) {
        const struct simdisk_update *u = &n->pend->u[i];
        if (u->lsn > f->lsn && concerns_bytes(u) && u->off <= f->off &&
            update_end(u) >= f->off + f->len) {
            return false;
        }
    }
    return true;
}

/* ---- reading ---- */

/* Whether out, which is what was read at `at`, is what should be there. */
static bool as_it_should(const struct simdisk *d, const struct simdisk_inode *n, uint64_t at,
                         const unsigned char *out, uint64_t len)
{
    unsigned char should[256];
    while (len > 0) {
        size_t k = len < sizeof should ? (size_t)len : sizeof should;
        simdisk_image_get(d, n->vol, at, should, k);
        if (memcmp(should, out, k) != 0) {
            return false;
        }
        at += k;
        out += k;
        len -= k;
    }
    return true;
}

/* Gives out, which begins at `base`, the right bytes of [from, to) as far as [low, high) goes. */
static void restore(const struct simdisk *d, const struct simdisk_inode *n, unsigned char *out,
                    uint64_t base, uint64_t low, uint64_t high, uint64_t from, uint64_t to)
{
    from = from > low ? from : low;
    to = to < high ? to : high;
    if (from < to) {
        simdisk_image_get(d, n->vol, from, out + (from - base), to - from);
    }
}

/* Lays f over out, the bytes [from, to) of the file. True: they are wrong now. */
static bool lay_over(const struct simdisk *d, const struct simdisk_inode *n,
                     const struct simdisk_flaw *f, uint64_t from, uint64_t to, unsigned char *out)
{
    uint64_t low = f->off > from ? f->off : from;
    uint64_t high = f->off + f->len < to ? f->off + f->len : to;
    bool bad = f->class == SIMDISK_FAULT_LSE || f->class == SIMDISK_FAULT_TRANSIENT;
    if (low >= high || f->masked || f->spent || bad) {
        return false;
    }
    for (uint64_t i = low; i < high; i++) {
        if (f->live[i - f->off] != 0) {
            out[i - from] = f->bytes[i - f->off];
        }
    }
    for (size_t i = 0; n->pend != NULL && i < n->pend->count; i++) {
        const struct simdisk_update *u = &n->pend->u[i];
        if (u->lsn > f->lsn && concerns_bytes(u)) {
            restore(d, n, out, from, low, high, u->off, update_end(u));
        }
    }
    for (uint64_t p = low / d->o.page; n->lost > 0 && p * d->o.page < high; p++) {
        if (page_lost(n, p)) {
            restore(d, n, out, from, low, high, p * d->o.page, (p + 1) * d->o.page);
        }
    }
    return !as_it_should(d, n, low, out + (low - from), high - low);
}

/* The first page of a read that fails, or UINT64_MAX. */
static uint64_t failing_page(const struct simdisk *d, const struct simdisk_inode *n, uint64_t from,
                             uint64_t to)
{
    uint64_t least = UINT64_MAX;
    for (const struct simdisk_flaw *f = n->flaws; f != NULL; f = f->next) {
        uint64_t start = f->off / d->o.page * d->o.page;
        if (start < to && start + d->o.page > from && start < least && fails_reads(d, n, f)) {
            least = start;
        }
    }
    return least;
}

/* One of its failures has happened. */
static void count_failure(const struct simdisk *d, struct simdisk_inode *n, uint64_t page)
{
    for (struct simdisk_flaw *f = n->flaws; f != NULL; f = f->next) {
        if (f->class == SIMDISK_FAULT_TRANSIENT && f->off / d->o.page * d->o.page == page &&
            fails_reads(d, n, f)) {
            f->reads--;
            f->spent = f->reads == 0;
        }
    }
}

enum status simdisk_flaws_read(struct simdisk *d, struct simdisk_inode *n, void *buf, size_t size,
                               uint64_t offset, size_t *done)
{
    uint64_t stop = failing_page(d, n, offset, offset + size);
    if (stop <= offset && size > 0) {
        d->damage_met++;
        count_failure(d, n, stop);
        return ST_IO;
    }
    size = stop - offset < size ? (size_t)(stop - offset) : size; /* up to it, as a kernel does */
    simdisk_image_get(d, n->vol, offset, buf, size);
    bool wrong = false;
    for (struct simdisk_flaw *f = n->flaws; f != NULL; f = f->next) {
        bool hit = lay_over(d, n, f, offset, offset + size, buf);
        bool once = f->class == SIMDISK_FAULT_MISREAD || f->class == SIMDISK_FAULT_STALE;
        f->spent = f->spent || (hit && once);
        wrong = wrong || hit;
    }
    d->damage_met += wrong;
    *done = size;
    return ST_OK;
}

/* ---- writing ---- */

static bool partly_bad(const struct simdisk *d, const struct simdisk_inode *n, uint64_t from,
                       uint64_t to)
{
    for (const struct simdisk_flaw *f = n->flaws; f != NULL; f = f->next) {
        bool whole = from <= f->off && to >= f->off + f->len;
        if (f->class == SIMDISK_FAULT_LSE && from < f->off + f->len && to > f->off && !whole &&
            fails_reads(d, n, f)) {
            return true;
        }
    }
    return false;
}

/* Of the sectors of a write, those that the armed fault takes. */
static void armed_range(const struct simdisk *d, uint64_t *from, uint64_t *to)
{
    const struct simdisk_fault *f = &d->next_fault;
    uint64_t unit = f->extent == SIMDISK_ONE_PAGE ? d->o.page : d->cell;
    *from = *from / d->cell * d->cell;
    *to = (*to + d->cell - 1) / d->cell * d->cell;
    if (f->extent == SIMDISK_WHOLE_WRITE) {
        return;
    }
    uint64_t first = *from / unit;
    uint64_t count = (*to + unit - 1) / unit - first;
    uint64_t at = first + hash_mix(f->seed) % count;
    *from = at * unit > *from ? at * unit : *from;
    *to = (at + 1) * unit < *to ? (at + 1) * unit : *to;
}

/* Sectors that this file never had on media hold what was there before: zeros, or somebody's. */
static void fill_fresh(const struct simdisk *d, const struct simdisk_inode *n,
                       struct simdisk_flaw *f)
{
    const struct simdisk_stale *stale = d->stale;
    uint64_t seed = d->next_fault.seed;
    for (uint64_t at = 0; stale != NULL && stale->count > 0 && (seed & 1) != 0 && at < f->len;
         at += d->cell) {
        if (!simdisk_image_written(d, n->vol, (f->off + at) / d->cell)) {
            uint64_t i = hash_mix(seed + at) % stale->count;
            memcpy(f->bytes + at, stale->at[i].chunk->bytes + (size_t)stale->at[i].cell * d->cell,
                   d->cell);
        }
    }
}

/* The place where a misdirected write lands, as far as its file goes. */
static enum status landing(const struct simdisk *d, uint64_t len, struct simdisk_flaw **f)
{
    const struct simdisk_fault *fault = &d->next_fault;
    const struct simdisk_inode *n = simdisk_inode_find(d, fault->to);
    uint64_t off = fault->to_offset / d->cell * d->cell;
    if (n == NULL || off >= n->base_size) {
        return ST_OK; /* nobody's sectors: the write is lost */
    }
    uint64_t left = (n->base_size - off + d->cell - 1) / d->cell * d->cell;
    *f = flaw_new(d->mem, SIMDISK_FAULT_MISDIRECT, off, left < len ? left : len);
    return *f != NULL ? ST_OK : ST_NOMEM;
}

enum status simdisk_flaws_prepare(struct simdisk *d, struct simdisk_inode *n, uint64_t from,
                                  uint64_t to, struct simdisk_flaw *made[2])
{
    if (partly_bad(d, n, from, to)) {
        d->damage_met++;
        return ST_IO;
    }
    if (!d->armed || d->next_fault.ino != n->id) {
        return ST_OK;
    }
    enum simdisk_fault_class class = d->next_fault.class;
    armed_range(d, &from, &to);
    made[0] = flaw_new(d->mem, class, from, to - from);
    if (made[0] == NULL) {
        return ST_NOMEM;
    }
    simdisk_image_get(d, n->vol, from, made[0]->bytes, to - from);
    fill_fresh(d, n, made[0]);
    enum status st = class == SIMDISK_FAULT_MISDIRECT ? landing(d, to - from, &made[1]) : ST_OK;
    if (st != ST_OK) {
        mem_release(d->mem, made[0]);
    }
    return st;
}

/* Marks the bytes of f that are not those of the image, up to a size. */
static void mark_differing(const struct simdisk *d, const struct simdisk_image *im, uint64_t size,
                           struct simdisk_flaw *f)
{
    simdisk_image_get(d, im, f->off, f->live, f->len);
    for (uint64_t i = 0; i < f->len; i++) {
        f->live[i] = f->off + i < size && f->live[i] != f->bytes[i];
    }
}

void simdisk_flaws_commit(struct simdisk *d, struct simdisk_inode *n, uint64_t lsn,
                          struct simdisk_flaw *made[2])
{
    struct simdisk_inode *other = simdisk_inode_find(d, d->next_fault.to);
    mark_differing(d, n->vol, n->vol_size, made[0]);
    if (!marks_any(made[0], 0, UINT64_MAX)) { /* nobody could tell: it waits for another */
        mem_release(d->mem, made[0]);
        mem_release(d->mem, made[1]);
        return;
    }
    d->armed = false;
    made[0]->masked = true;
    made[0]->lsn = lsn;
    if (made[1] != NULL) {
        simdisk_image_get(d, n->vol, made[0]->off, made[1]->bytes, made[1]->len);
        mark_differing(d, other->base, other->base_size, made[1]);
        made[1]->lsn = other->synced;
        made[1]->masked =
            d->next_fault.cached || dirty(d, other, made[1]->off, made[1]->off + made[1]->len);
        simdisk_flaw_add(d, other, made[1]);
    }
    simdisk_flaw_add(d, n, made[0]);
}

/* ---- injecting ---- */

static void flip(struct prng *g, unsigned char *bytes, uint64_t size)
{
    uint64_t bit = prng_below(g, size * 8);
    bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
}

static enum simdisk_rot draw_rot(struct prng *g)
{
    static const struct {
        unsigned below;
        enum simdisk_rot kind;
    } shares[] = {{40, SIMDISK_ROT_BIT},       {65, SIMDISK_ROT_BITS},  {80, SIMDISK_ROT_ZERO},
                  {85, SIMDISK_ROT_ZERO_PAGE}, {95, SIMDISK_ROT_NOISE}, {100, SIMDISK_ROT_COPY}};
    unsigned at = (unsigned)prng_below(g, 100);
    size_t i = 0;
    while (at >= shares[i].below) {
        i++;
    }
    return shares[i].kind;
}

/* Damages f->bytes, of which `size` lie within the file. */
static void mutate(const struct simdisk *d, const struct simdisk_inode *n, enum simdisk_rot kind,
                   struct prng *g, struct simdisk_flaw *f, uint64_t size)
{
    uint64_t sectors = (n->base_size + d->cell - 1) / d->cell;
    switch (kind) {
    case SIMDISK_ROT_ANY:
    case SIMDISK_ROT_BIT:
        break; /* done where nothing else has an effect */
    case SIMDISK_ROT_BITS:
        for (uint64_t i = 2 + prng_below(g, 7); i > 0; i--) {
            flip(g, f->bytes, size);
        }
        break;
    case SIMDISK_ROT_ZERO:
    case SIMDISK_ROT_ZERO_PAGE:
        memset(f->bytes, 0, (size_t)f->len);
        break;
    case SIMDISK_ROT_NOISE:
        for (uint64_t i = 0; i < f->len; i++) {
            f->bytes[i] = (unsigned char)prng_below(g, 256);
        }
        break;
    case SIMDISK_ROT_COPY:
        simdisk_image_get(d, n->base, prng_below(g, sectors) * d->cell, f->bytes, d->cell);
        break;
    }
    mark_differing(d, n->base, n->base_size, f);
    if (!marks_any(f, 0, UINT64_MAX)) {
        simdisk_image_get(d, n->base, f->off, f->bytes, f->len);
        flip(g, f->bytes, size);
        mark_differing(d, n->base, n->base_size, f);
    }
}

static struct simdisk_flaw *make_rot(const struct simdisk *d, const struct simdisk_inode *n,
                                     const struct simdisk_fault *fault)
{
    struct prng g = {fault->seed};
    enum simdisk_rot kind = fault->rot == SIMDISK_ROT_ANY ? draw_rot(&g) : fault->rot;
    uint64_t unit = kind == SIMDISK_ROT_ZERO_PAGE ? d->o.page : d->cell;
    uint64_t off = fault->offset / unit * unit;
    uint64_t end = (n->base_size + d->cell - 1) / d->cell * d->cell;
    struct simdisk_flaw *f =
        flaw_new(d->mem, fault->class, off, end - off < unit ? end - off : unit);
    if (f != NULL) {
        uint64_t left = n->base_size - off;
        simdisk_image_get(d, n->base, off, f->bytes, f->len);
        mutate(d, n, kind, &g, f, left < f->len ? left : f->len);
    }
    return f;
}

static enum status inject_here(struct simdisk *d, struct simdisk_inode *n,
                               const struct simdisk_fault *fault)
{
    uint64_t off = fault->offset / d->cell * d->cell;
    const struct simdisk_inode *source = n;
    simdisk_fold(d, n);
    if (off >= n->base_size || !simdisk_image_written(d, n->base, off / d->cell)) {
        return ST_NOENT;
    }
    if (fault->class == SIMDISK_FAULT_MISREAD) {
        source = simdisk_inode_find(d, fault->to);
        if (source == NULL || source->dir || fault->to_offset >= source->vol_size) {
            return ST_NOENT;
        }
    }
    bool rot = fault->class == SIMDISK_FAULT_ROT;
    struct simdisk_flaw *f =
        rot ? make_rot(d, n, fault) : flaw_new(d->mem, fault->class, off, d->cell);
    if (f == NULL) {
        return ST_NOMEM;
    }
    if (fault->class == SIMDISK_FAULT_MISREAD) {
        uint64_t from = fault->to_offset / d->cell * d->cell;
        simdisk_image_get(d, source->vol, from, f->bytes, f->len);
        mark_differing(d, n->base, n->base_size, f);
    } else if (!rot) {
        memset(f->live, 1, (size_t)f->len);
        f->reads = 1 + (uint32_t)(hash_mix(fault->seed) % 3);
    }
    if (!marks_any(f, 0, UINT64_MAX)) {
        mem_release(d->mem, f);
        return ST_NOENT;
    }
    f->lsn = n->synced;
    f->masked = fault->cached || dirty(d, n, f->off, f->off + f->len);
    simdisk_flaw_add(d, n, f);
    return ST_OK;
}

static bool any_misdirected(const struct simdisk *d)
{
    for (size_t i = 0; i < d->inode_count; i++) {
        for (const struct simdisk_flaw *f = d->inodes[i]->flaws; f != NULL; f = f->next) {
            if (f->class == SIMDISK_FAULT_MISDIRECT) {
                return true;
            }
        }
    }
    return false;
}

enum status simdisk_inject(struct simdisk *d, const struct simdisk_fault *fault)
{
    CK(fault->class < SIMDISK_FAULT_CLASSES);
    struct simdisk_inode *n = simdisk_inode_find(d, fault->ino);
    if (fault->class == SIMDISK_FAULT_LIE) {
        d->lies = true;
        return ST_OK;
    }
    if (n == NULL || n->dir) {
        return ST_NOENT;
    }
    bool misdirects = fault->class == SIMDISK_FAULT_MISDIRECT;
    if (misdirects || fault->class == SIMDISK_FAULT_LOST || fault->class == SIMDISK_FAULT_STALE) {
        if (d->armed || (misdirects && any_misdirected(d))) {
            return ST_BUSY;
        }
        d->armed = true;
        d->next_fault = *fault;
        return ST_OK;
    }
    return inject_here(d, n, fault);
}

void simdisk_heal(struct simdisk *d, unsigned classes)
{
    for (size_t i = 0; i < d->inode_count; i++) {
        struct simdisk_inode *n = d->inodes[i];
        for (struct simdisk_flaw *f = n->flaws; f != NULL; f = f->next) {
            if ((classes >> f->class & 1) != 0) {
                memset(f->live, 0, (size_t)f->len);
            }
        }
        prune(d, n);
    }
    d->armed = d->armed && (classes >> d->next_fault.class & 1) == 0;
    d->lies = d->lies && (classes >> SIMDISK_FAULT_LIE & 1) == 0;
}

/* ---- asking ---- */

bool simdisk_damaged(const struct simdisk *d, const char *path, uint64_t offset, uint64_t size)
{
    struct simdisk_inode *n;
    if (simdisk_path_find(d, path, &n) != ST_OK) {
        return false;
    }
    uint64_t end = size < UINT64_MAX - offset ? offset + size : UINT64_MAX;
    for (const struct simdisk_flaw *f = n->flaws; f != NULL; f = f->next) {
        bool bad = f->class == SIMDISK_FAULT_LSE || f->class == SIMDISK_FAULT_TRANSIENT;
        uint64_t page = f->off / d->o.page * d->o.page;
        if (bad ? page < end && page + d->o.page > offset : marks_any(f, offset, end)) {
            return true;
        }
    }
    return false;
}

uint64_t simdisk_damage_met(const struct simdisk *d)
{
    return d->damage_met;
}

static const char *class_text(enum simdisk_fault_class class)
{
    static const char *const text[SIMDISK_FAULT_CLASSES] = {
        [SIMDISK_FAULT_LSE] = "latent error",  [SIMDISK_FAULT_TRANSIENT] = "transient error",
        [SIMDISK_FAULT_ROT] = "bit rot",       [SIMDISK_FAULT_LOST] = "lost write",
        [SIMDISK_FAULT_STALE] = "stale read",  [SIMDISK_FAULT_MISDIRECT] = "misdirected write",
        [SIMDISK_FAULT_LIE] = "lying flushes", [SIMDISK_FAULT_MISREAD] = "misdirected read"};
    return text[class];
}

static enum status flaw_text(const struct simdisk *d, const struct simdisk_inode *n,
                             const struct simdisk_flaw *f, struct buf *out)
{
    char where[ENV_PATH_MAX];
    char line[128];
    if (!simdisk_path_of(d, n->id, where, sizeof where)) {
        (void)snprintf(where, sizeof where, "inode %llu (gone)", (unsigned long long)n->id);
    }
    (void)snprintf(line, sizeof line, " sector %llu: %s in %llu bytes%s%s\n",
                   (unsigned long long)(f->off / d->cell), class_text(f->class),
                   (unsigned long long)marks_count(f), f->masked ? ", behind the cache" : "",
                   f->spent ? ", spent" : "");
    enum status st = buf_append_text(out, where);
    return st == ST_OK ? buf_append_text(out, line) : st;
}

enum status simdisk_faults(const struct simdisk *d, struct buf *out)
{
    enum status st = ST_OK;
    for (size_t i = 0; i < d->inode_count; i++) {
        const struct simdisk_inode *n = d->inodes[i];
        for (const struct simdisk_flaw *f = n->flaws; f != NULL && st == ST_OK; f = f->next) {
            st = flaw_text(d, n, f, out);
        }
    }
    if (st == ST_OK && d->armed) {
        st = buf_append_text(out, class_text(d->next_fault.class));
        st = st == ST_OK ? buf_append_text(out, " at the next write\n") : st;
    }
    return st == ST_OK && d->lies ? buf_append_text(out, "lying flushes\n") : st;
}

uint64_t simdisk_flaws_digest(const struct simdisk_inode *n)
{
    uint64_t h = 0;
    for (const struct simdisk_flaw *f = n->flaws; f != NULL; f = f->next) {
        h = hash_add(hash_add(h, f->class), f->off);
        h = hash_add(hash_add(h, f->len), f->masked + 2u * f->spent + 4u * f->reads);
        h = hash_bytes(h, f->bytes, 2 * (size_t)f->len);
    }
    return h;
}

bool simdisk_flaws_sound(const struct simdisk *d, const struct simdisk_inode *n)
{
    bool ok = true;
    for (const struct simdisk_flaw *f = n->flaws; f != NULL && ok; f = f->next) {
        ok = f->off % d->cell == 0 && f->len % d->cell == 0 && marks_any(f, 0, UINT64_MAX);
    }
    return ok;
}

/* ---- whole devices ---- */

enum status simdisk_wiped(const struct simdisk *d, struct simdisk **after)
{
    enum status st = simdisk_new(d->mem, &d->o, after);
    if (st == ST_OK) {
        simdisk_watch(*after, d->watch, d->watch_arg);
        (*after)->damage_met = d->damage_met + 1;
    }
    return st;
}

enum status simdisk_backup(const struct simdisk *d, struct simdisk **image)
{
    struct chooser c;
    struct chooser_stream s;
    chooser_init(&c, 0);
    chooser_stream_init(&s, &c, CHOOSE_DISK_CRASH, 0); /* with nothing kept there is no choice */
    enum status st = simdisk_crash(d, SIMDISK_DROP_ALL, &s, image);
    if (st == ST_OK) {
        simdisk_heal(*image, SIMDISK_FAULT_ALL);
    }
    return st;
}
