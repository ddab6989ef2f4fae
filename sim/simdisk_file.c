/* simdisk_file.c - what is done to the bytes of one file: read, write, truncate, allocate.
 *
 * Each call first gets all the memory that it needs and then changes things, so that a refused
 * allocation changes nothing that anybody can see. */
#include "base/ck.h"
#include "sim/simdisk_int.h"

#include <string.h>

static struct simdisk_inode *file_of(const struct simdisk *d, simdisk_ino ino)
{
    struct simdisk_inode *n = simdisk_inode_find(d, ino);
    CK(n != NULL);
    CK(!n->dir);
    return n;
}

uint64_t simdisk_size(const struct simdisk *d, simdisk_ino ino)
{
    return file_of(d, ino)->vol_size;
}

enum status simdisk_read(struct simdisk *d, simdisk_ino ino, void *buf, size_t size,
                         uint64_t offset, size_t *done)
{
    struct simdisk_inode *n = file_of(d, ino);
    *done = 0;
    if (d->dead == ST_IO) {
        return ST_IO;
    }
    if (n->flaws == NULL || offset >= n->vol_size) {
        return simdisk_pristine(d, ino, buf, size, offset, done);
    }
    uint64_t left = n->vol_size - offset;
    return simdisk_flaws_read(d, n, buf, left < size ? (size_t)left : size, offset, done);
}

enum status simdisk_pristine(const struct simdisk *d, simdisk_ino ino, void *buf, size_t size,
                             uint64_t offset, size_t *done)
{
    const struct simdisk_inode *n = file_of(d, ino);
    *done = 0;
    if (offset > INT64_MAX) {
        return ST_INVAL;
    }
    if (offset >= n->vol_size) {
        return ST_OK;
    }
    uint64_t left = n->vol_size - offset;
    size = left < size ? (size_t)left : size;
    simdisk_image_get(d, n->vol, offset, buf, size);
    *done = size;
    return ST_OK;
}

/* ---- room ---- */

static bool allocated(const struct simdisk_inode *n, uint64_t page)
{
    return n->vol != NULL && page < n->vol->count && n->vol->pages[page].allocated;
}

static bool lost(const struct simdisk_inode *n, uint64_t page)
{
    return n->vol != NULL && page < n->vol->count && n->vol->pages[page].lost;
}

/* How much of [off, off + len) fits, in whole pages after the first; *pages: newly taken. */
static uint64_t fitting(const struct simdisk *d, const struct simdisk_inode *n, uint64_t off,
                        uint64_t len, uint64_t *pages)
{
    uint64_t room = simdisk_free_bytes(d) / d->o.page;
    *pages = 0;
    for (uint64_t p = off / d->o.page; p * d->o.page < off + len; p++) {
        if (allocated(n, p)) {
            continue;
        }
        if (*pages == room) {
            return p * d->o.page > off ? p * d->o.page - off : 0;
        }
        ++*pages;
    }
    return len;
}

static void take(struct simdisk *d, struct simdisk_inode *n, uint64_t pages)
{
    n->blocks += pages;
    d->used += pages * d->o.page;
}

/* ---- writing ---- */

/* What a write puts on its way to media: its bytes, widened at both ends to whole pages where a
 * page there was lost by a failed sync, since writing any byte of it makes all of it dirty. */
struct span {
    uint64_t from;
    uint64_t to;
};

static struct span widened(const struct simdisk *d, const struct simdisk_inode *n, uint64_t off,
                           uint64_t len)
{
    struct span s = {off, off + len};
    uint64_t first = off / d->o.page;
    uint64_t last = (off + len - 1) / d->o.page;
    uint64_t size = n->vol_size > s.to ? n->vol_size : s.to;
    if (lost(n, first)) {
        s.from = first * d->o.page;
    }
    if (lost(n, last)) {
        uint64_t end = (last + 1) * d->o.page;
        s.to = end < size ? end : size;
    }
    return s;
}

static void unlose(const struct simdisk *d, struct simdisk_inode *n, struct span s)
{
    for (uint64_t p = s.from / d->o.page; n->lost > 0 && p * d->o.page < s.to; p++) {
        if (lost(n, p)) {
            n->vol->pages[p].lost = false;
            n->lost--;
        }
    }
}

/* Everything is there: cannot fail. */
static void commit_write(struct simdisk *d, struct simdisk_inode *n, const void *buf, uint64_t off,
                         uint64_t len, struct span s, struct simdisk_blob *blob)
{
    simdisk_image_put(d, n->vol, off, buf, len);
    unlose(d, n, s);
    if (s.from == off && s.to == off + len) {
        memcpy(blob->bytes, buf, (size_t)len);
    } else {
        simdisk_image_get(d, n->vol, s.from, blob->bytes, s.to - s.from);
        simdisk_image_put(d, n->vol, s.from, blob->bytes, s.to - s.from); /* it counts as written */
    }
    blob->refs = 1;
    simdisk_pend_add(n, (struct simdisk_update){.lsn = ++d->lsn,
                                                .kind = SIMDISK_DATA,
                                                .off = s.from,
                                                .len = s.to - s.from,
                                                .blob = blob});
    if (off + len > n->vol_size) {
        simdisk_pend_add(
            n, (struct simdisk_update){
                   .lsn = ++d->lsn, .kind = SIMDISK_APPEND, .off = off + len, .len = n->vol_size});
        n->vol_size = off + len;
    }
}

enum status simdisk_write(struct simdisk *d, simdisk_ino ino, const void *buf, size_t size,
                          uint64_t offset, size_t *done)
{
    struct simdisk_inode *n = file_of(d, ino);
    *done = 0;
    if (d->dead != ST_OK) {
        return d->dead;
    }
    if (offset > INT64_MAX) {
        return ST_INVAL;
    }
    if (size == 0) {
        return ST_OK;
    }
    if (offset >= SIMDISK_SIZE_MAX) {
        return ST_TOOBIG;
    }
    uint64_t len = SIMDISK_SIZE_MAX - offset < size ? SIMDISK_SIZE_MAX - offset : size;
    uint64_t pages;
    len = fitting(d, n, offset, len, &pages);
    if (len == 0) {
        return ST_NOSPC;
    }
    simdisk_tell(
        d, &(struct simdisk_event){
               .action = SIMDISK_WRITES, .ino = ino, .offset = offset, .data = buf, .size = len});
    struct span s = widened(d, n, offset, len);
    struct simdisk_flaw *made[2] = {NULL, NULL};
    if (n->flaws != NULL || d->armed) {
        enum status st = simdisk_flaws_prepare(d, n, s.from, s.to, made);
        if (st != ST_OK) {
            return st;
        }
    }
    struct simdisk_blob *blob = mem_alloc(d->mem, sizeof *blob + (size_t)(s.to - s.from));
    if (blob == NULL || !simdisk_pend_reserve(d, n, 2) ||
        !simdisk_image_prepare(d, &n->vol, s.from, s.to - s.from)) {
        mem_release(d->mem, blob);
        mem_release(d->mem, made[0]);
        mem_release(d->mem, made[1]);
        return ST_NOMEM;
    }
    uint64_t lsn = d->lsn + 1;
    take(d, n, pages);
    commit_write(d, n, buf, offset, len, s, blob);
    if (made[0] != NULL) {
        simdisk_flaws_commit(d, n, lsn, made);
    }
    *done = (size_t)len;
    return ST_OK;
}

/* ---- sizes ---- */

enum status simdisk_truncate(struct simdisk *d, simdisk_ino ino, uint64_t size)
{
    struct simdisk_inode *n = file_of(d, ino);
    if (d->dead != ST_OK) {
        return d->dead;
    }
    if (size > INT64_MAX) {
        return ST_INVAL;
    }
    if (size > SIMDISK_SIZE_MAX) {
        return ST_TOOBIG;
    }
    if (size == n->vol_size && simdisk_image_blocks_past(d, n->vol, size) == 0) {
        return ST_OK;
    }
    simdisk_tell(d, &(struct simdisk_event){.action = SIMDISK_TRUNCATES, .ino = ino, .size = size});
    if (!simdisk_pend_reserve(d, n, 1) || !simdisk_image_prepare_cut(d, &n->vol, size)) {
        return ST_NOMEM;
    }
    n->sync_failed = n->sync_failed && size > 0; /* nothing of doubtful fate is left */
    if (size < n->vol_size) {
        simdisk_remember(d, n, size);
    }
    uint64_t freed = simdisk_image_blocks_past(d, n->vol, size);
    n->lost -= simdisk_image_lost_past(d, n->vol, size);
    simdisk_image_cut(d, n->vol, size, false);
    n->blocks -= freed;
    d->freeing += freed * d->o.page;
    simdisk_pend_add(n,
                     (struct simdisk_update){
                         .lsn = ++d->lsn, .kind = SIMDISK_TRUNC, .off = size, .len = n->vol_size});
    n->vol_size = size;
    return ST_OK;
}

enum status simdisk_allocate(struct simdisk *d, simdisk_ino ino, uint64_t offset, uint64_t size,
                             bool keep_size)
{
    struct simdisk_inode *n = file_of(d, ino);
    if (d->dead != ST_OK) {
        return d->dead;
    }
    if (size == 0 || offset > INT64_MAX || size > INT64_MAX) {
        return ST_INVAL;
    }
    uint64_t end = offset + size;
    if (end > SIMDISK_SIZE_MAX) {
        return ST_TOOBIG;
    }
    uint64_t pages;
    if (fitting(d, n, offset, size, &pages) < size) {
        return ST_NOSPC; /* all or nothing */
    }
    if (!simdisk_pend_reserve(d, n, 2) || !simdisk_image_extend(d, &n->vol, offset, size)) {
        return ST_NOMEM;
    }
    take(d, n, pages);
    simdisk_pend_add(n, (struct simdisk_update){
                            .lsn = ++d->lsn, .kind = SIMDISK_EXTENT, .off = offset, .len = size});
    if (!keep_size && end > n->vol_size) {
        simdisk_pend_add(
            n, (struct simdisk_update){
                   .lsn = ++d->lsn, .kind = SIMDISK_TRUNC, .off = end, .len = n->vol_size});
        n->vol_size = end;
    }
    return ST_OK;
}
