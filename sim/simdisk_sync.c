/* simdisk_sync.c - what becomes guaranteed, and what a failing sync loses. */
#include "base/ck.h"
#include "sim/simdisk_int.h"

#include <string.h>

#define KEEP_SOME_PPM 300000u /* a failed page reached media in some older version */
#define READ_ONLY_PPM 500000u /* F4: reads go on */

/* ---- folding ---- */

/* One update onto the guaranteed image. False: refused, nothing done. */
static bool apply(struct simdisk *d, struct simdisk_inode *n, const struct simdisk_update *u)
{
    switch (u->kind) {
    case SIMDISK_DATA:
        if (!simdisk_image_prepare(d, &n->base, u->off, u->len)) {
            return false;
        }
        simdisk_image_put(d, n->base, u->off, u->blob->bytes + u->at, u->len);
        return true;
    case SIMDISK_TRUNC:
        if (!simdisk_image_prepare_cut(d, &n->base, u->off)) {
            return false;
        }
        simdisk_image_cut(d, n->base, u->off, false);
        n->base_size = u->off;
        return true;
    case SIMDISK_APPEND:
        n->base_size = u->off;
        return true;
    case SIMDISK_EXTENT:
        return simdisk_image_extend(d, &n->base, u->off, u->len);
    case SIMDISK_FLUSH:
        return true;
    }
    return true;
}

/* The first k updates are on media. */
static void reached(struct simdisk *d, struct simdisk_inode *n, size_t k)
{
    for (size_t i = 0; n->flaws != NULL && i < k; i++) {
        simdisk_flaws_reached(d, n, &n->pend->u[i]);
    }
}

static void drop_first(struct simdisk *d, struct simdisk_pend *p, size_t k)
{
    for (size_t i = 0; i < k; i++) {
        if (p->u[i].blob != NULL && --p->u[i].blob->refs == 0) {
            mem_release(d->mem, p->u[i].blob);
        }
    }
    p->count -= k;
    memmove(p->u, p->u + k, p->count * sizeof p->u[0]);
}

/* All of it is guaranteed, so the volatile image is the guaranteed one. */
static void fold_all(struct simdisk *d, struct simdisk_inode *n)
{
    simdisk_image_drop(d->mem, n->base);
    n->base = simdisk_image_share(n->vol);
    n->base_size = n->vol_size;
    simdisk_pend_drop(d->mem, n->pend);
    n->pend = NULL;
}

void simdisk_fold(struct simdisk *d, struct simdisk_inode *n)
{
    size_t k = 0;
    while (n->pend != NULL && k < n->pend->count && n->pend->u[k].lsn <= n->synced) {
        k++;
    }
    if (k == 0) {
        return;
    }
    if (k == n->pend->count && n->lost == 0) {
        reached(d, n, k);
        fold_all(d, n);
        return;
    }
    if (!simdisk_pend_reserve(d, n, 0)) {
        return; /* `synced` says it as well */
    }
    size_t done = 0;
    while (done < k && apply(d, n, &n->pend->u[done])) {
        done++;
    }
    reached(d, n, done);
    drop_first(d, n->pend, done);
}

/* ---- success ---- */

uint64_t simdisk_sync_begin(const struct simdisk *d)
{
    return d->lsn;
}

static void commit(struct simdisk *d, uint64_t mark)
{
    if (mark <= d->jc) {
        return;
    }
    d->jc = mark;
    for (size_t i = 0; i < d->inode_count;) {
        struct simdisk_inode *n = d->inodes[i];
        simdisk_ino id = n->id;
        if (n->dir) {
            simdisk_names_fold(d, n, mark);
        }
        i = simdisk_inode_at(d, id + 1); /* folding may have freed inodes */
    }
}

static void give_back(struct simdisk *d)
{
    d->used -= d->freeing;
    d->freeing = 0;
}

/* Whether the inode has a size or an extent to be written: then fdatasync is a journal commit. */
static bool meta_pending(const struct simdisk_inode *n, uint64_t mark)
{
    for (size_t i = 0; n->pend != NULL && i < n->pend->count; i++) {
        const struct simdisk_update *u = &n->pend->u[i];
        bool due = u->lsn > n->synced && u->lsn <= mark;
        if (due && u->kind != SIMDISK_DATA && u->kind != SIMDISK_FLUSH) {
            return true;
        }
    }
    return false;
}

void simdisk_sync_end(struct simdisk *d, simdisk_ino ino, uint64_t mark, bool data_only)
{
    struct simdisk_inode *n = simdisk_inode_find(d, ino);
    CK(n != NULL);
    if (d->dead != ST_OK) {
        return;
    }
    bool meta = meta_pending(n, mark);
    if (!d->lies) {
        n->synced = mark > n->synced ? mark : n->synced;
        simdisk_fold(d, n);
        if (d->o.model == SIMDISK_E && (meta || !data_only)) {
            commit(d, mark);
        }
        give_back(d);
    }
    simdisk_tell(d, &(struct simdisk_event){.action = SIMDISK_SYNCED, .ino = ino});
}

enum status simdisk_dir_sync(struct simdisk *d, const char *path, uint64_t mark)
{
    struct simdisk_inode *n;
    enum status st = simdisk_path_find(d, path, &n);
    if (st != ST_OK) {
        return st;
    }
    if (!n->dir) {
        return ST_NOTDIR;
    }
    if (d->dead != ST_OK) {
        return d->dead;
    }
    simdisk_ino ino = n->id;
    if (!d->lies) {
        simdisk_names_fold(d, n, mark);
        if (d->o.model == SIMDISK_E) {
            commit(d, mark);
        }
        give_back(d);
    }
    simdisk_tell(d,
                 &(struct simdisk_event){.action = SIMDISK_DIR_SYNCED, .ino = ino, .path = path});
    return ST_OK;
}

/* ---- failure ---- */

enum fate { FATE_WRITTEN, FATE_FAILED, FATE_BUSY };

/* A page that the failing sync was to write. */
struct dirty {
    uint64_t page;
    uint32_t touches; /* data updates up to the mark */
    uint32_t keep;    /* of these, how many reach media */
    uint32_t seen;
    enum fate fate;
};

struct failure {
    struct simdisk *d;
    struct simdisk_inode *n;
    uint64_t mark;
    struct dirty *pages; /* ascending */
    size_t count;
    size_t frags; /* pieces that stay pending on busy pages */
};

static struct dirty *dirty_find(const struct failure *f, uint64_t page)
{
    size_t low = 0;
    size_t high = f->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (f->pages[mid].page < page) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < f->count && f->pages[low].page == page ? &f->pages[low] : NULL;
}

static uint64_t first_page(const struct failure *f, const struct simdisk_update *u)
{
    return u->off / f->d->o.page;
}

static uint64_t end_page(const struct failure *f, const struct simdisk_update *u)
{
    return (u->off + u->len + f->d->o.page - 1) / f->d->o.page;
}

/* Lists the dirty pages into f->pages. False: refused. */
static bool dirty_pages(struct failure *f)
{
    const struct simdisk_pend *p = f->n->pend;
    size_t total = 0;
    for (size_t i = 0; i < p->count && p->u[i].lsn <= f->mark; i++) {
        if (p->u[i].kind == SIMDISK_DATA) {
            total += (size_t)(end_page(f, &p->u[i]) - first_page(f, &p->u[i]));
        }
    }
    struct simdisk_touch *t = mem_alloc(f->d->mem, (2 * total + 1) * sizeof *t);
    f->pages = mem_alloc(f->d->mem, (total + 1) * sizeof *f->pages);
    if (t == NULL || f->pages == NULL) {
        mem_release(f->d->mem, t);
        return false;
    }
    size_t k = 0;
    for (size_t i = 0; i < p->count && p->u[i].lsn <= f->mark; i++) {
        for (uint64_t g = first_page(f, &p->u[i]);
             p->u[i].kind == SIMDISK_DATA && g < end_page(f, &p->u[i]); g++) {
            t[k++] = (struct simdisk_touch){.key = g};
        }
    }
    simdisk_touch_sort(t, t + total, total);
    for (k = 0; k < total; k++) {
        if (f->count == 0 || f->pages[f->count - 1].page != t[k].key) {
            f->pages[f->count++] = (struct dirty){.page = t[k].key};
        }
        f->pages[f->count - 1].touches++;
    }
    mem_release(f->d->mem, t);
    return true;
}

/* Pages written again since the mark are dirty anew and fail nothing; *cut: a truncate up to
 * the mark, *later: anything after it. */
static void find_busy(struct failure *f, bool *cut, bool *later)
{
    const struct simdisk_pend *p = f->n->pend;
    *cut = false;
    *later = false;
    for (size_t i = 0; i < p->count; i++) {
        const struct simdisk_update *u = &p->u[i];
        *cut = *cut || (u->lsn <= f->mark && u->kind == SIMDISK_TRUNC);
        *later = *later || u->lsn > f->mark;
        for (uint64_t g = first_page(f, u);
             u->lsn > f->mark && u->kind == SIMDISK_DATA && g < end_page(f, u); g++) {
            struct dirty *page = dirty_find(f, g);
            if (page != NULL && page->fate != FATE_BUSY) {
                page->fate = FATE_BUSY;
                f->frags += page->touches;
            }
        }
    }
}

/* Draws the failing set: all pages, some, or one. */
static void draw_failing(struct failure *f, struct chooser_stream *s, bool all)
{
    uint64_t kind = all ? 0 : choose(s, 3);
    uint64_t one = kind == 2 ? choose(s, f->count) : 0;
    for (size_t i = 0; i < f->count; i++) {
        struct dirty *p = &f->pages[i];
        bool fails = kind == 0 || (kind == 1 && choose(s, 2) == 1) || (kind == 2 && i == one);
        p->keep = p->touches;
        if (p->fate == FATE_BUSY) {
            p->keep = 0;
        } else if (fails) {
            p->fate = FATE_FAILED;
            p->keep = choose_chance(s, KEEP_SOME_PPM) ? (uint32_t)choose(s, p->touches + 1) : 0;
        }
    }
}

/* The piece of u that lies on that page. */
static struct simdisk_update piece(const struct failure *f, const struct simdisk_update *u,
                                   uint64_t page)
{
    uint64_t from = page * f->d->o.page > u->off ? page * f->d->o.page : u->off;
    uint64_t end = (page + 1) * f->d->o.page;
    end = end < u->off + u->len ? end : u->off + u->len;
    struct simdisk_update part = *u;
    part.off = from;
    part.len = end - from;
    part.at = u->at + (size_t)(from - u->off);
    return part;
}

/* All the memory that carrying out the failure takes. */
static bool prepare(struct failure *f, struct simdisk_pend **rest)
{
    struct simdisk *d = f->d;
    const struct simdisk_pend *p = f->n->pend;
    size_t cap = p->count + f->frags + 1;
    if (!simdisk_image_prepare(d, &f->n->vol, 0, 0)) {
        return false;
    }
    for (size_t i = 0; i < p->count && p->u[i].lsn <= f->mark; i++) {
        const struct simdisk_update *u = &p->u[i];
        bool ok = u->kind == SIMDISK_DATA    ? simdisk_image_prepare(d, &f->n->base, u->off, u->len)
                  : u->kind == SIMDISK_TRUNC ? simdisk_image_prepare_cut(d, &f->n->base, u->off)
                  : u->kind == SIMDISK_EXTENT ? simdisk_image_extend(d, &f->n->base, u->off, u->len)
                                              : true;
        if (!ok) {
            return false;
        }
    }
    *rest = mem_alloc(d->mem, sizeof **rest + cap * sizeof p->u[0]);
    if (*rest == NULL) {
        return false;
    }
    **rest = (struct simdisk_pend){.refs = 1, .cap = cap};
    return true;
}

static void keep_pending(struct simdisk_pend *rest, struct simdisk_update u)
{
    if (u.blob != NULL) {
        u.blob->refs++;
    }
    CK(rest->count < rest->cap);
    rest->u[rest->count++] = u;
}

/* One data update up to the mark: page by page to media, to the pending rest, or nowhere. */
static void settle_data(struct failure *f, const struct simdisk_update *u,
                        struct simdisk_pend *rest)
{
    for (uint64_t g = first_page(f, u); g < end_page(f, u); g++) {
        struct dirty *p = dirty_find(f, g);
        struct simdisk_update part = piece(f, u, g);
        if (p->fate == FATE_BUSY) {
            keep_pending(rest, part);
        } else if (p->seen++ < p->keep) {
            simdisk_image_put(f->d, f->n->base, part.off, part.blob->bytes + part.at, part.len);
            simdisk_flaws_reached(f->d, f->n, &part);
        } else {
            simdisk_flaws_failed(f->d, f->n, &part);
        }
    }
}

/* F1, F2: sizes and extents are written, of the data what the pages' fates say. */
static void settle(struct failure *f, struct simdisk_pend *rest)
{
    struct simdisk_pend *p = f->n->pend;
    for (size_t i = 0; i < p->count; i++) {
        const struct simdisk_update *u = &p->u[i];
        if (u->lsn > f->mark) {
            keep_pending(rest, *u);
        } else if (u->kind == SIMDISK_DATA) {
            settle_data(f, u, rest);
        } else if (u->kind == SIMDISK_TRUNC) {
            simdisk_image_blank(f->d, f->n->base, u->off);
            simdisk_flaws_reached(f->d, f->n, u);
            f->n->base_size = u->off;
        } else if (u->kind == SIMDISK_APPEND) {
            f->n->base_size = u->off;
        }
    }
    simdisk_pend_drop(f->d->mem, p);
    f->n->pend = rest;
}

static const unsigned char *page_bytes(const struct simdisk_image *im, uint64_t page)
{
    const struct simdisk_chunk *c = im != NULL && page < im->count ? im->pages[page].chunk : NULL;
    return c != NULL ? c->bytes : NULL;
}

/* The cache has bytes now that media do not have, and says that it is clean. */
static void mark_lost(const struct failure *f)
{
    struct simdisk_image *vol = f->n->vol;
    for (size_t i = 0; i < f->count; i++) {
        uint64_t g = f->pages[i].page;
        const unsigned char *in_cache = page_bytes(vol, g);
        const unsigned char *on_media = page_bytes(f->n->base, g);
        if (f->pages[i].fate != FATE_FAILED || in_cache == NULL || vol->pages[g].lost) {
            continue;
        }
        if (on_media == NULL || memcmp(in_cache, on_media, f->d->o.page) != 0) {
            vol->pages[g].lost = true;
            f->n->lost++;
        }
    }
}

/* F3: cache and size go back to what is on media; what was to be written is gone. */
static void revert(struct failure *f, struct simdisk_pend *rest)
{
    struct simdisk *d = f->d;
    struct simdisk_inode *n = f->n;
    uint64_t size = n->base_size;
    for (size_t i = 0; i < n->pend->count; i++) {
        if (n->pend->u[i].kind == SIMDISK_DATA) {
            settle_data(f, &n->pend->u[i], rest);
        }
    }
    simdisk_pend_drop(d->mem, n->pend);
    n->pend = rest;
    simdisk_image_cut(d, n->base, size, true);
    simdisk_image_drop(d->mem, n->vol);
    n->vol = simdisk_image_share(n->base);
    n->vol_size = size;
    n->lost = 0;
    simdisk_flaws_uncover(d, n, SIZE_MAX);
    uint64_t blocks = simdisk_image_blocks_past(d, n->vol, 0);
    d->used += (blocks - n->blocks) * d->o.page; /* modulo 2^64: it may shrink */
    n->blocks = blocks;
}

static void lose(struct simdisk *d, struct simdisk_inode *n, uint64_t mark,
                 struct chooser_stream *s)
{
    bool f3 = d->o.fsync_fail == SIMDISK_F3;
    struct failure f = {.d = d, .n = n, .mark = mark};
    struct simdisk_pend *rest = NULL;
    bool cut;
    bool later;
    simdisk_fold(d, n);
    if (n->pend == NULL || n->pend->count == 0 || n->pend->u[0].lsn <= n->synced) {
        return; /* nothing to lose, or no memory to do it with */
    }
    if (!dirty_pages(&f)) {
        goto out;
    }
    find_busy(&f, &cut, &later);
    bool entangled = f3 ? later || n->lost > 0 : f.frags > 0 && cut;
    if (f.count == 0 || entangled) {
        goto out; /* everything stays pending: a later sync that succeeds covers it */
    }
    draw_failing(&f, s, f3);
    if (!prepare(&f, &rest) || (f3 && !simdisk_image_prepare_cut(d, &n->base, n->base_size))) {
        mem_release(d->mem, rest);
        goto out;
    }
    if (f3) {
        revert(&f, rest);
    } else {
        settle(&f, rest);
        mark_lost(&f);
    }
out:
    mem_release(d->mem, f.pages);
}

enum status simdisk_sync_fail(struct simdisk *d, simdisk_ino ino, uint64_t mark, bool data_only,
                              struct chooser_stream *s)
{
    (void)data_only; /* metadata goes through either way */
    struct simdisk_inode *n = simdisk_inode_find(d, ino);
    CK(n != NULL);
    if (d->dead != ST_OK) {
        return d->dead;
    }
    if (d->o.fsync_fail == SIMDISK_F4) {
        d->dead = choose_chance(s, READ_ONLY_PPM) ? ST_ROFS : ST_IO;
        return d->dead;
    }
    bool told = n->owes_error || d->o.fsync_fail != SIMDISK_F2;
    if (!n->owes_error) {
        lose(d, n, mark, s);
    }
    n->owes_error = !told;
    n->sync_failed = told;
    simdisk_tell(d, &(struct simdisk_event){.action = SIMDISK_SYNC_FAILED, .ino = ino});
    return told ? ST_IO : ST_OK;
}

bool simdisk_sync_failed(const struct simdisk *d, simdisk_ino ino)
{
    const struct simdisk_inode *n = simdisk_inode_find(d, ino);
    return n != NULL && n->sync_failed;
}

bool simdisk_dead(const struct simdisk *d)
{
    return d->dead != ST_OK;
}

bool simdisk_sync_owes(const struct simdisk *d, simdisk_ino ino)
{
    const struct simdisk_inode *n = simdisk_inode_find(d, ino);
    return d->dead != ST_OK || (n != NULL && n->owes_error);
}

/* ---- eviction ---- */

/* Bytes from here on are zeros on a page that nobody has written since, whatever media hold: the
 * file ends here, or a cut is on its way. */
static uint64_t sound_end(const struct simdisk_inode *n)
{
    uint64_t end = n->vol_size;
    for (size_t i = 0; n->pend != NULL && i < n->pend->count; i++) {
        const struct simdisk_update *u = &n->pend->u[i];
        end = u->kind == SIMDISK_TRUNC && u->off < end ? u->off : end;
    }
    return end;
}

static void evict_page(struct simdisk *d, struct simdisk_inode *n, size_t page)
{
    if (!simdisk_image_prepare(d, &n->vol, 0, 0)) {
        return; /* it stays in the cache */
    }
    struct simdisk_page *to = &n->vol->pages[page];
    struct simdisk_chunk *c =
        n->base != NULL && page < n->base->count ? n->base->pages[page].chunk : NULL;
    if (c != NULL) {
        c->refs++;
    }
    simdisk_chunk_drop(d->mem, to->chunk);
    to->chunk = c;
    to->lost = false;
    n->lost--;
    simdisk_flaws_uncover(d, n, SIZE_MAX); /* it is short of room, so nothing clean stays */
    uint64_t end = sound_end(n);
    if (simdisk_image_prepare_cut(d, &n->vol, end)) {
        simdisk_image_cut_page(d, n->vol, page, end);
    }
}

void simdisk_evict_all(struct simdisk *d, struct simdisk_inode *n)
{
    for (size_t i = 0; n->lost > 0 && i < n->vol->count; i++) {
        if (n->vol->pages[i].lost) {
            evict_page(d, n, i);
        }
    }
}

/* The page number `at` among the lost ones of n. */
static size_t lost_page(const struct simdisk_inode *n, uint64_t at)
{
    for (size_t i = 0;; i++) {
        CK(i < n->vol->count);
        if (n->vol->pages[i].lost && at-- == 0) {
            return i;
        }
    }
}

/* Pages of n of which the cache alone is right. */
static uint64_t evictable(const struct simdisk *d, const struct simdisk_inode *n)
{
    return n->lost + simdisk_flaws_masked(d, n);
}

void simdisk_evict(struct simdisk *d, struct chooser_stream *s)
{
    uint64_t total = 0;
    for (size_t i = 0; i < d->inode_count; i++) {
        total += evictable(d, d->inodes[i]);
    }
    if (total == 0) {
        return;
    }
    uint64_t at = choose(s, total);
    size_t i = 0;
    while (at >= evictable(d, d->inodes[i])) {
        at -= evictable(d, d->inodes[i++]);
    }
    struct simdisk_inode *n = d->inodes[i];
    if (at < n->lost) {
        evict_page(d, n, lost_page(n, at));
    } else {
        simdisk_flaws_uncover(d, n, (size_t)(at - n->lost));
    }
}
