/* simdisk_query.c - what checkers ask: is this guaranteed, what did the crash do, are two disks
 * the same, is this one sound. */
#include "base/ck.h"
#include "base/hash.h"
#include "sim/simdisk_int.h"

#include <stdio.h>
#include <string.h>

/* ---- names ---- */

static bool one_binding(const struct simdisk_name *n)
{
    for (size_t i = 1; i < n->count; i++) {
        if (n->v[i].ino != n->v[0].ino) {
            return false;
        }
    }
    return n->v[0].ino != 0;
}

/* The name under which dir is known in its parent now. */
static const struct simdisk_name *name_of(const struct simdisk *d, const struct simdisk_inode *dir)
{
    const struct simdisk_inode *parent = simdisk_inode_find(d, dir->parent);
    for (size_t i = 0; parent != NULL && i < parent->name_count; i++) {
        if (simdisk_name_now(parent->names[i]) == dir->id) {
            return parent->names[i];
        }
    }
    return NULL;
}

static bool dir_guaranteed(const struct simdisk *d, const struct simdisk_inode *dir)
{
    while (dir != NULL && dir->id != SIMDISK_ROOT) {
        const struct simdisk_name *n = name_of(d, dir);
        if (n == NULL || !one_binding(n)) {
            return false;
        }
        dir = simdisk_inode_find(d, dir->parent);
    }
    return dir != NULL;
}

bool simdisk_name_guaranteed(const struct simdisk *d, const char *path)
{
    struct simdisk_inode *n;
    struct simdisk_inode *dir;
    struct simdisk_name *name;
    if (simdisk_path_find(d, path, &n) != ST_OK ||
        simdisk_path_name(d, path, &dir, &name) != ST_OK) {
        return false;
    }
    if (n->dir) {
        return dir_guaranteed(d, n);
    }
    return one_binding(name) && dir_guaranteed(d, dir);
}

bool simdisk_name_bound(const struct simdisk *d, const char *path)
{
    struct simdisk_inode *dir;
    struct simdisk_name *name;
    if (simdisk_path_name(d, path, &dir, &name) != ST_OK || name == NULL) {
        return false;
    }
    for (size_t i = 0; i < name->count; i++) {
        if (name->v[i].ino == 0) {
            return false;
        }
    }
    return dir_guaranteed(d, dir);
}

/* The first name that is bound to an inode now, and its directory. */
static const struct simdisk_name *any_name(const struct simdisk *d, simdisk_ino ino,
                                           const struct simdisk_inode **dir)
{
    for (size_t i = 0; i < d->inode_count; i++) {
        for (size_t k = 0; k < d->inodes[i]->name_count; k++) {
            if (simdisk_name_now(d->inodes[i]->names[k]) == ino) {
                *dir = d->inodes[i];
                return d->inodes[i]->names[k];
            }
        }
    }
    return NULL;
}

bool simdisk_path_of(const struct simdisk *d, simdisk_ino ino, char *path, size_t size)
{
    size_t at = size; /* written from its end */
    while (ino != SIMDISK_ROOT) {
        const struct simdisk_inode *dir;
        const struct simdisk_name *n = any_name(d, ino, &dir);
        if (n == NULL || at < n->len + 1) {
            return false;
        }
        at -= n->len + 1;
        memcpy(path + at, n->text, n->len);
        path[at + n->len] = at + n->len + 1 == size ? '\0' : '/';
        ino = dir->id;
    }
    memmove(path, path + at, size - at);
    return at < size;
}

/* ---- bytes ---- */

/* A question about [from, to) of one file. */
struct ask {
    const struct simdisk *d;
    const struct simdisk_inode *n;
    uint64_t from;
    uint64_t to;
    struct simdisk_cells c;
    unsigned char *now; /* one sector of the volatile image */
    unsigned char *then;
};

/* Tearing may leave noise where anything was being written, even the same bytes again. */
static bool may_tear(const struct ask *a, const struct simdisk_cell *cell)
{
    const struct simdisk_options *o = &a->d->o;
    if (o->tear != SIMDISK_T8 && o->tear != SIMDISK_TX) {
        return false;
    }
    for (uint32_t i = cell->floor; i < cell->touches; i++) {
        const struct simdisk_update *u = &a->n->pend->u[a->c.touch[cell->first + i].a];
        uint64_t end = u->kind == SIMDISK_DATA ? u->off + u->len : UINT64_MAX;
        if (!o->psow || (u->off < a->to && end > a->from)) {
            return true;
        }
    }
    return false;
}

/* Whether all of that sector's legal versions agree with the volatile image where it is asked. */
static bool cell_sure(const struct ask *a, const struct simdisk_cell *cell, uint64_t cut)
{
    uint64_t start = cell->index * a->d->cell;
    uint64_t from = a->from > start ? a->from - start : 0;
    uint64_t to = a->to < start + a->d->cell ? a->to - start : a->d->cell;
    uint32_t low;
    uint32_t high;
    simdisk_image_get(a->d, a->n->vol, start, a->now, a->d->cell);
    if (may_tear(a, cell)) {
        return false;
    }
    if (!simdisk_data_range(a->d, &a->c, cell, cut, &low, &high)) {
        memset(a->then, 0, a->d->cell);
        return memcmp(a->now + from, a->then + from, (size_t)(to - from)) == 0;
    }
    for (uint32_t v = low; v <= high; v++) {
        bool written = simdisk_cell_bytes(a->d, &a->c, cell, v, a->then);
        if (!written && a->d->o.model == SIMDISK_P) {
            return false; /* it may hold anything */
        }
        if (memcmp(a->now + from, a->then + from, (size_t)(to - from)) != 0) {
            return false;
        }
    }
    return true;
}

/* The same for the whole range, with the metadata committed up to cut. */
static bool range_sure(const struct ask *a, uint64_t cut)
{
    if (simdisk_size_least(a->d, a->n, cut) < a->to) {
        return false;
    }
    for (size_t i = 0; i < a->c.count; i++) {
        const struct simdisk_cell *cell = &a->c.v[i];
        uint64_t start = cell->index * a->d->cell;
        bool asked =
            cell->kind == SIMDISK_CELL_DATA && start < a->to && start + a->d->cell > a->from;
        if (asked && !cell_sure(a, cell, cut)) {
            return false;
        }
    }
    return true;
}

/* Model E: once for every cut that makes a difference to this file. */
static bool sure(const struct ask *a)
{
    if (!range_sure(a, a->d->jc)) {
        return false;
    }
    if (a->d->o.model == SIMDISK_P) {
        return true;
    }
    for (size_t i = 0; a->n->pend != NULL && i < a->n->pend->count; i++) {
        const struct simdisk_update *u = &a->n->pend->u[i];
        bool cuts = u->kind == SIMDISK_TRUNC || u->kind == SIMDISK_FLUSH;
        if (cuts && u->lsn > a->d->jc && !range_sure(a, u->lsn)) {
            return false;
        }
    }
    return true;
}

/* Whether cache and media agree in the asked part of a lost page: they differ in some part of it.
 */
static bool same_on_media(const struct ask *a, uint64_t page)
{
    uint64_t start = page * a->d->o.page;
    uint64_t from = a->from > start ? a->from : start;
    uint64_t to = a->to < start + a->d->o.page ? a->to : start + a->d->o.page;
    while (from < to) {
        unsigned char cache[64];
        unsigned char media[64];
        size_t n = to - from < sizeof cache ? (size_t)(to - from) : sizeof cache;
        simdisk_image_get(a->d, a->n->vol, from, cache, n);
        simdisk_image_get(a->d, a->n->base, from, media, n);
        if (memcmp(cache, media, n) != 0) {
            return false;
        }
        from += n;
    }
    return true;
}

static bool any_lost(const struct ask *a)
{
    const struct simdisk_image *vol = a->n->vol;
    for (uint64_t p = a->from / a->d->o.page;
         a->n->lost > 0 && vol != NULL && p < vol->count && p * a->d->o.page < a->to; p++) {
        if (vol->pages[p].lost && !same_on_media(a, p)) {
            return true;
        }
    }
    return false;
}

bool simdisk_guaranteed(const struct simdisk *d, const char *path, uint64_t offset, uint64_t size)
{
    struct simdisk_inode *n;
    if (simdisk_path_find(d, path, &n) != ST_OK || n->dir || offset > n->vol_size ||
        size > n->vol_size - offset) {
        return false;
    }
    struct ask a = {.d = d, .n = n, .from = offset, .to = offset + size, .c = {.mem = d->mem}};
    if (any_lost(&a)) {
        return false;
    }
    if (n->pend == NULL || n->pend->count == 0) {
        return true;
    }
    bool yes = false; /* and without memory to find out: no */
    a.now = mem_alloc(d->mem, 2 * (size_t)d->cell);
    if (a.now != NULL && simdisk_cells_of(d, n, &a.c) == ST_OK) {
        a.then = a.now + d->cell;
        yes = sure(&a);
    }
    mem_release(d->mem, a.now);
    simdisk_cells_release(&a.c);
    return yes;
}

bool simdisk_file_guaranteed(const struct simdisk *d, const char *path)
{
    struct simdisk_inode *n;
    return simdisk_path_find(d, path, &n) == ST_OK && !n->dir && simdisk_name_guaranteed(d, path) &&
           simdisk_guaranteed(d, path, 0, n->vol_size);
}

/* ---- what a crash did ---- */

/* The first name of an inode, or its number. */
static void label(const struct simdisk *d, simdisk_ino ino, char *out, size_t size)
{
    const struct simdisk_inode *dir;
    const struct simdisk_name *n = any_name(d, ino, &dir);
    if (n != NULL) {
        (void)snprintf(out, size, "%s", n->text);
        return;
    }
    (void)snprintf(out, size, "inode %llu (gone)", (unsigned long long)ino);
}

static const char *torn_text(unsigned torn)
{
    switch (torn) {
    case SIMDISK_WHOLE:
        return "";
    case SIMDISK_NOISE:
        return " (torn: noise)";
    default:
        return " (torn)";
    }
}

static void verdict_text(const struct simdisk *d, const struct simdisk_verdict *v, char *out,
                         size_t size)
{
    char who[64];
    label(d, v->ino, who, sizeof who);
    unsigned long long value = (unsigned long long)v->value;
    unsigned last = v->versions - 1;
    switch ((enum simdisk_cell_kind)v->kind) {
    case SIMDISK_CELL_NAME:
        (void)snprintf(out, size, "name %s kept v%u of 0..%u\n", v->text, v->pick, last);
        return;
    case SIMDISK_CELL_SIZE:
        (void)snprintf(out, size, "%s size is %llu\n", who, value);
        return;
    case SIMDISK_CELL_EXTENT:
        (void)snprintf(out, size, "%s allocation %s\n", who, v->pick != 0 ? "kept" : "lost");
        return;
    case SIMDISK_CELL_DATA:
        break;
    }
    if (v->pick == SIMDISK_PICK_ZEROS) {
        (void)snprintf(out, size, "%s sector %llu reads as zeros\n", who, value);
    } else {
        (void)snprintf(out, size, "%s sector %llu kept v%u of 0..%u%s\n", who, value, v->pick, last,
                       torn_text(v->torn));
    }
}

enum status simdisk_why(const struct simdisk *d, struct buf *out)
{
    enum status st = ST_OK;
    for (size_t i = 0; i < d->verdict_count && st == ST_OK; i++) {
        char line[160];
        verdict_text(d, &d->verdicts[i], line, sizeof line);
        st = buf_append_text(out, line);
    }
    return st;
}

/* ---- digest ---- */

static uint64_t digest_dir(const struct simdisk *d, const struct simdisk_inode *dir, uint64_t h)
{
    for (size_t i = 0; i < dir->name_count; i++) {
        const struct simdisk_name *name = dir->names[i];
        simdisk_ino ino = simdisk_name_now(name);
        if (ino == 0) {
            continue;
        }
        const struct simdisk_inode *n = simdisk_inode_find(d, ino);
        h = hash_bytes(h, name->text, name->len);
        if (n->dir) {
            h = digest_dir(d, n, hash_add(h, 1));
        } else {
            h = hash_add(hash_add(hash_add(h, 2), n->vol_size), n->links);
            h = hash_add(h, simdisk_image_digest(d, n->vol));
            h = n->flaws != NULL ? hash_add(h, simdisk_flaws_digest(n)) : h;
        }
    }
    return hash_add(h, 3);
}

uint64_t simdisk_digest(const struct simdisk *d)
{
    return digest_dir(d, simdisk_inode_find(d, SIMDISK_ROOT), 0);
}

/* ---- soundness ---- */

static bool zero_past(const struct simdisk *d, const struct simdisk_image *im, uint64_t size)
{
    uint64_t end = im != NULL ? (uint64_t)im->count * d->o.page : 0;
    for (uint64_t at = size; at < end; at++) {
        const struct simdisk_chunk *c = im->pages[at / d->o.page].chunk;
        if (c != NULL && c->bytes[at % d->o.page] != 0) {
            return false;
        }
    }
    return true;
}

/* I1 for one sector that pend touches. */
static bool newest_is_volatile(const struct simdisk *d, const struct simdisk_cells *c,
                               const struct simdisk_cell *cell, unsigned char *two)
{
    uint64_t page = cell->index * d->cell / d->o.page;
    const struct simdisk_image *vol = cell->inode->vol;
    if (vol != NULL && page < vol->count && vol->pages[page].lost) {
        return true;
    }
    (void)simdisk_cell_bytes(d, c, cell, cell->versions - 1, two);
    simdisk_image_get(d, vol, cell->index * d->cell, two + d->cell, d->cell);
    return memcmp(two, two + d->cell, d->cell) == 0;
}

static bool file_sound(const struct simdisk *d, const struct simdisk_inode *n)
{
    struct simdisk_cells c = {.mem = d->mem};
    unsigned char *two = mem_alloc(d->mem, 2 * (size_t)d->cell);
    bool ok = zero_past(d, n->vol, n->vol_size) && zero_past(d, n->base, n->base_size);
    ok = ok && simdisk_image_lost_past(d, n->vol, 0) == n->lost;
    ok = ok && simdisk_flaws_sound(d, n); /* I5 */
    ok = ok && (n->links == 0 || simdisk_image_blocks_past(d, n->vol, 0) == n->blocks);
    for (size_t i = 1; ok && n->pend != NULL && i < n->pend->count; i++) {
        ok = n->pend->u[i - 1].lsn <= n->pend->u[i].lsn; /* I3 */
    }
    if (two != NULL && simdisk_cells_of(d, n, &c) == ST_OK) {
        for (size_t i = 0; ok && i < c.count; i++) {
            ok = c.v[i].kind != SIMDISK_CELL_DATA || newest_is_volatile(d, &c, &c.v[i], two);
        }
    }
    mem_release(d->mem, two);
    simdisk_cells_release(&c);
    return ok;
}

static uint64_t held_by(const struct simdisk_inode *dir, simdisk_ino ino)
{
    uint64_t n = 0;
    for (size_t i = 0; i < dir->name_count; i++) {
        for (size_t k = 0; k < dir->names[i]->count; k++) {
            n += dir->names[i]->v[k].ino == ino;
        }
    }
    return n;
}

static bool dir_sound(const struct simdisk_inode *dir)
{
    size_t entries = 0;
    bool ok = true;
    for (size_t i = 0; i < dir->name_count && ok; i++) {
        entries += simdisk_name_now(dir->names[i]) != 0;
        ok = i == 0 || strcmp(dir->names[i - 1]->text, dir->names[i]->text) < 0; /* I3 */
    }
    return ok && entries == dir->entries;
}

bool simdisk_check(const struct simdisk *d)
{
    for (size_t i = 0; i < d->inode_count; i++) {
        const struct simdisk_inode *n = d->inodes[i];
        uint64_t holds = 0;
        for (size_t k = 0; k < d->inode_count; k++) {
            holds += held_by(d->inodes[k], n->id);
        }
        bool alive = holds > 0 || n->openers > 0 || n->locked || n->id == SIMDISK_ROOT;
        bool ordered = i == 0 || d->inodes[i - 1]->id < n->id;
        if (holds != n->holds || !alive || !ordered) { /* I3, I4 */
            return false;
        }
        if (!(n->dir ? dir_sound(n) : file_sound(d, n))) {
            return false;
        }
    }
    return true;
}
