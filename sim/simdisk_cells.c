/* simdisk_cells.c - the versions that a crash chooses from, derived from base and pend, and which
 * of them model E allows. */
#include "base/ck.h"
#include "sim/simdisk_int.h"

#include <string.h>

/* ---- lists ---- */

static enum status grow(struct mem *m, void **v, size_t *cap, size_t want, size_t item)
{
    if (want <= *cap) {
        return ST_OK;
    }
    size_t bigger = want * 2 + 16;
    void *p = mem_resize(m, *v, bigger * item);
    if (p == NULL) {
        return ST_NOMEM;
    }
    *v = p;
    *cap = bigger;
    return ST_OK;
}

static enum status cell_add(struct simdisk_cells *c, struct simdisk_cell cell)
{
    void *v = c->v;
    enum status st = grow(c->mem, &v, &c->cap, c->count + 1, sizeof cell);
    c->v = v;
    if (st == ST_OK) {
        c->v[c->count++] = cell;
    }
    return st;
}

static enum status touch_room(struct simdisk_cells *c, size_t extra)
{
    void *v = c->touch;
    enum status st = grow(c->mem, &v, &c->touch_cap, c->touch_count + extra, sizeof *c->touch);
    c->touch = v;
    return st;
}

static enum status touch_add(struct simdisk_cells *c, uint64_t key, size_t update)
{
    enum status st = touch_room(c, 1);
    if (st == ST_OK) {
        c->touch[c->touch_count++] = (struct simdisk_touch){.key = key, .a = (uint32_t)update};
    }
    return st;
}

void simdisk_cells_release(struct simdisk_cells *c)
{
    mem_release(c->mem, c->v);
    mem_release(c->mem, c->touch);
    c->v = NULL;
    c->touch = NULL;
}

/* Merges v[0, mid) and v[mid, n), both in order, by way of tmp. */
static void merge(struct simdisk_touch *v, struct simdisk_touch *tmp, size_t mid, size_t n)
{
    memcpy(tmp, v, mid * sizeof *v);
    size_t i = 0;
    size_t j = mid;
    size_t out = 0;
    while (i < mid) {
        bool right = j < n && v[j].key < tmp[i].key;
        v[out++] = right ? v[j++] : tmp[i++];
    }
}

void simdisk_touch_sort(struct simdisk_touch *v, struct simdisk_touch *tmp, size_t n)
{
    bool sorted = true;
    for (size_t i = 1; i < n && sorted; i++) {
        sorted = v[i - 1].key <= v[i].key;
    }
    for (size_t run = 1; run < n && !sorted; run *= 2) {
        for (size_t at = 0; at + run < n; at += 2 * run) {
            size_t len = n - at < 2 * run ? n - at : 2 * run;
            merge(v + at, tmp, run, len);
        }
    }
}

/* ---- data cells ---- */

/* The cells that update i concerns: what it wrote, or what it cut of pages that exist. */
static enum status touch_update(const struct simdisk *d, const struct simdisk_update *u, size_t i,
                                uint64_t extent, struct simdisk_cells *c)
{
    uint64_t from = u->off;
    uint64_t to = u->off + u->len;
    if (u->kind == SIMDISK_TRUNC) {
        to = u->len < extent ? u->len : extent; /* len: the size before */
    } else if (u->kind != SIMDISK_DATA) {
        return ST_OK;
    }
    enum status st = ST_OK;
    for (uint64_t k = from / d->cell; k * d->cell < to && from < to && st == ST_OK; k++) {
        st = touch_add(c, k, i);
    }
    return st;
}

/* End of all bytes that base or a pending write holds. */
static uint64_t data_extent(const struct simdisk *d, const struct simdisk_inode *n)
{
    uint64_t end = n->base != NULL ? (uint64_t)n->base->count * d->o.page : 0;
    for (size_t i = 0; i < n->pend->count; i++) {
        const struct simdisk_update *u = &n->pend->u[i];
        if (u->kind == SIMDISK_DATA && u->off + u->len > end) {
            end = u->off + u->len;
        }
    }
    return end;
}

static bool is_data(const struct simdisk_cells *c, const struct simdisk_inode *n, size_t touch)
{
    return n->pend->u[c->touch[touch].a].kind == SIMDISK_DATA;
}

/* A cell from touches [first, end), all of one sector. A cut of what was never there is nothing. */
static enum status data_cell(const struct simdisk *d, const struct simdisk_inode *n, size_t first,
                             size_t end, struct simdisk_cells *c)
{
    uint64_t index = c->touch[first].key;
    bool written = simdisk_image_written(d, n->base, index);
    while (!written && first < end && !is_data(c, n, first)) {
        first++;
    }
    uint32_t floor = 0;
    while (first + floor < end && n->pend->u[c->touch[first + floor].a].lsn <= n->synced) {
        floor++;
    }
    uint32_t touches = (uint32_t)(end - first);
    if (touches == 0) {
        return ST_OK;
    }
    return cell_add(c, (struct simdisk_cell){.kind = SIMDISK_CELL_DATA,
                                             .inode = n,
                                             .index = index,
                                             .first = first,
                                             .touches = touches,
                                             .floor = floor,
                                             .versions = touches - floor + 1});
}

static enum status data_cells(const struct simdisk *d, const struct simdisk_inode *n,
                              struct simdisk_cells *c)
{
    uint64_t extent = data_extent(d, n);
    size_t first = c->touch_count;
    enum status st = ST_OK;
    for (size_t i = 0; i < n->pend->count && st == ST_OK; i++) {
        st = touch_update(d, &n->pend->u[i], i, extent, c);
    }
    size_t count = c->touch_count - first;
    if (st == ST_OK && count == 0) {
        return ST_OK;
    }
    if (st == ST_OK) {
        st = touch_room(c, count); /* what sorting needs */
    }
    if (st != ST_OK) {
        return st;
    }
    simdisk_touch_sort(c->touch + first, c->touch + first + count, count);
    size_t end = first + count;
    while (first < end && st == ST_OK) {
        size_t next = first + 1;
        while (next < end && c->touch[next].key == c->touch[first].key) {
            next++;
        }
        st = data_cell(d, n, first, next, c);
        first = next;
    }
    return st;
}

/* Applies one touch to the bytes of the sector at `start`. True: it holds data now. */
static bool touch_apply(const struct simdisk *d, const struct simdisk_update *u, uint64_t start,
                        bool pending, bool written, unsigned char *out)
{
    uint64_t end = start + d->cell;
    uint64_t from = u->off > start ? u->off : start;
    if (u->kind == SIMDISK_TRUNC) {
        memset(out + (from - start), 0, (size_t)(end - from));
        return u->off > start ? written : pending; /* a cut that is done leaves nothing there */
    }
    uint64_t to = u->off + u->len < end ? u->off + u->len : end;
    memcpy(out + (from - start), u->blob->bytes + u->at + (from - u->off), (size_t)(to - from));
    return true;
}

bool simdisk_cell_bytes(const struct simdisk *d, const struct simdisk_cells *c,
                        const struct simdisk_cell *cell, uint32_t version, unsigned char *out)
{
    const struct simdisk_inode *n = cell->inode;
    uint64_t start = cell->index * d->cell;
    bool written = simdisk_image_written(d, n->base, cell->index);
    CK(version < cell->versions);
    simdisk_image_get(d, n->base, start, out, d->cell);
    for (uint32_t i = 0; i < cell->floor + version; i++) {
        const struct simdisk_update *u = &n->pend->u[c->touch[cell->first + i].a];
        written = touch_apply(d, u, start, i >= cell->floor, written, out);
    }
    return written;
}

/* ---- sizes and extents ---- */

static bool sets_size(const struct simdisk_update *u)
{
    return u->kind == SIMDISK_APPEND || u->kind == SIMDISK_TRUNC;
}

uint64_t simdisk_floor_size(const struct simdisk_inode *n)
{
    uint64_t size = n->base_size;
    for (size_t i = 0; n->pend != NULL && i < n->pend->count; i++) {
        const struct simdisk_update *u = &n->pend->u[i];
        if (sets_size(u) && u->lsn <= n->synced) {
            size = u->off;
        }
    }
    return size;
}

static enum status size_cells(const struct simdisk_inode *n, struct simdisk_cells *c)
{
    struct simdisk_cell cell = {
        .kind = SIMDISK_CELL_SIZE, .inode = n, .first = c->touch_count, .versions = 1};
    enum status st = ST_OK;
    for (size_t i = 0; i < n->pend->count && st == ST_OK; i++) {
        const struct simdisk_update *u = &n->pend->u[i];
        if (sets_size(u) && u->lsn > n->synced) {
            st = touch_add(c, 0, i);
            cell.touches++;
            cell.versions++;
        }
    }
    cell.size = simdisk_floor_size(n);
    if (st == ST_OK && cell.versions > 1) {
        st = cell_add(c, cell);
    }
    for (size_t i = 0; i < n->pend->count && st == ST_OK; i++) {
        const struct simdisk_update *u = &n->pend->u[i];
        if (u->kind == SIMDISK_EXTENT && u->lsn > n->synced) {
            st = cell_add(c,
                          (struct simdisk_cell){
                              .kind = SIMDISK_CELL_EXTENT, .inode = n, .index = i, .versions = 2});
        }
    }
    return st;
}

uint64_t simdisk_cell_size(const struct simdisk_cells *c, const struct simdisk_cell *cell,
                           uint32_t version)
{
    const struct simdisk_inode *n = cell->inode;
    return version == 0 ? simdisk_floor_size(n)
                        : n->pend->u[c->touch[cell->first + version - 1].a].off;
}

enum status simdisk_cells_of(const struct simdisk *d, const struct simdisk_inode *n,
                             struct simdisk_cells *c)
{
    if (n->pend == NULL || n->pend->count == 0) {
        return ST_OK;
    }
    enum status st = data_cells(d, n, c);
    return st == ST_OK ? size_cells(n, c) : st;
}

/* ---- all of it ---- */

static enum status name_cells(const struct simdisk_inode *dir, struct simdisk_cells *c)
{
    enum status st = ST_OK;
    for (size_t i = 0; i < dir->name_count && st == ST_OK; i++) {
        const struct simdisk_name *n = dir->names[i];
        if (n->count > 1) {
            st = cell_add(c, (struct simdisk_cell){.kind = SIMDISK_CELL_NAME,
                                                   .inode = dir,
                                                   .index = i,
                                                   .versions = (uint32_t)n->count});
        }
    }
    return st;
}

enum status simdisk_cells_build(const struct simdisk *d, struct simdisk_cells *c)
{
    *c = (struct simdisk_cells){.mem = d->mem};
    enum status st = ST_OK;
    for (size_t i = 0; i < d->inode_count && st == ST_OK; i++) {
        if (d->inodes[i]->dir) {
            st = name_cells(d->inodes[i], c);
        }
    }
    c->names = c->count;
    for (size_t i = 0; i < d->inode_count && st == ST_OK; i++) {
        st = simdisk_cells_of(d, d->inodes[i], c);
    }
    return st;
}

/* ---- what model E allows ---- */

uint32_t simdisk_name_at(const struct simdisk_name *n, uint64_t cut)
{
    size_t k = n->count - 1;
    while (k > 0 && n->v[k].lsn > cut) {
        k--;
    }
    return (uint32_t)k;
}

/* The sizes of a file after its last change that the journal has: that size, the sizes of the
 * appends since, and every sector boundary on the way. */
struct sizes {
    uint64_t start;
    uint64_t last;
    size_t from; /* appends are updates [from, to) */
    size_t to;
};

static struct sizes sizes_at(const struct simdisk_inode *n, uint64_t cut)
{
    struct sizes z = {.start = simdisk_floor_size(n)};
    size_t count = n->pend != NULL ? n->pend->count : 0;
    z.last = z.start;
    for (z.to = 0; z.to < count; z.to++) {
        const struct simdisk_update *u = &n->pend->u[z.to];
        bool forces = u->kind == SIMDISK_TRUNC || u->kind == SIMDISK_FLUSH;
        if (u->lsn <= n->synced) {
            continue;
        }
        if (u->kind == SIMDISK_APPEND) {
            z.last = u->off;
        } else if (forces && u->lsn <= cut) {
            z.start = u->off;
            z.last = u->off;
            z.from = z.to + 1;
        } else if (u->kind == SIMDISK_TRUNC) {
            break;
        }
    }
    return z;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static uint64_t nearer(uint64_t want, uint64_t a, uint64_t b)
{
    return distance(want, b) < distance(want, a) ? b : a;
}

static uint64_t nearest_e(const struct simdisk *d, const struct simdisk_inode *n, uint64_t cut,
                          uint64_t want)
{
    struct sizes z = sizes_at(n, cut);
    uint64_t best = z.start;
    uint64_t down = want / d->cell * d->cell;
    if (down > z.start && down < z.last) {
        best = nearer(want, best, down);
    }
    if (down + d->cell > z.start && down + d->cell < z.last) {
        best = nearer(want, best, down + d->cell);
    }
    for (size_t i = z.from; i < z.to; i++) {
        const struct simdisk_update *u = &n->pend->u[i];
        if (u->kind == SIMDISK_APPEND && u->lsn > n->synced) {
            best = nearer(want, best, u->off);
        }
    }
    return best;
}

/* Model P: any size that it had since, and every boundary that a growth crossed. */
static bool legal_p(const struct simdisk *d, const struct simdisk_inode *n, uint64_t size)
{
    uint64_t before = simdisk_floor_size(n);
    bool legal = size == before;
    for (size_t i = 0; n->pend != NULL && i < n->pend->count && !legal; i++) {
        const struct simdisk_update *u = &n->pend->u[i];
        if (sets_size(u) && u->lsn > n->synced) {
            legal = size == u->off || (size % d->cell == 0 && size > before && size < u->off);
            before = u->off;
        }
    }
    return legal;
}

bool simdisk_size_legal(const struct simdisk *d, const struct simdisk_inode *n, uint64_t cut,
                        uint64_t size)
{
    return d->o.model == SIMDISK_P ? legal_p(d, n, size) : nearest_e(d, n, cut, size) == size;
}

uint64_t simdisk_size_nearest(const struct simdisk *d, const struct simdisk_inode *n, uint64_t cut,
                              uint64_t want)
{
    if (d->o.model == SIMDISK_P) {
        CK(legal_p(d, n, want));
        return want;
    }
    return nearest_e(d, n, cut, want);
}

uint64_t simdisk_size_least(const struct simdisk *d, const struct simdisk_inode *n, uint64_t cut)
{
    if (d->o.model == SIMDISK_E) {
        return sizes_at(n, cut).start;
    }
    uint64_t least = simdisk_floor_size(n);
    for (size_t i = 0; n->pend != NULL && i < n->pend->count; i++) {
        const struct simdisk_update *u = &n->pend->u[i];
        if (sets_size(u) && u->lsn > n->synced && u->off < least) {
            least = u->off;
        }
    }
    return least;
}

/* Of the versions after the last committed cut of the sector and before the next one, those
 * that were written: data before size. */
bool simdisk_data_range(const struct simdisk *d, const struct simdisk_cells *c,
                        const struct simdisk_cell *cell, uint64_t cut, uint32_t *low,
                        uint32_t *high)
{
    const struct simdisk_inode *n = cell->inode;
    bool skip = false; /* the first one is the zeros of a cut, and there are others */
    *low = 0;
    *high = cell->versions - 1;
    if (d->o.model == SIMDISK_P) {
        return true;
    }
    for (uint32_t v = 1; v < cell->versions; v++) {
        const struct simdisk_update *u = &n->pend->u[c->touch[cell->first + cell->floor + v - 1].a];
        if (u->kind == SIMDISK_TRUNC && u->lsn > cut) {
            *high = v - 1;
            break;
        }
        if (u->kind == SIMDISK_TRUNC) {
            *low = v;
            skip = u->off <= cell->index * d->cell;
        }
    }
    if (skip && *low < *high) {
        ++*low;
    }
    if (*low > 0 || cell->floor > 0 || simdisk_image_written(d, n->base, cell->index)) {
        return true;
    }
    ++*low; /* version 0 was never written */
    return *low <= *high;
}
