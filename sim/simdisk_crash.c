/* simdisk_crash.c - one crash outcome: a strategy picks a version for each cell, model E is
 * projected onto, a sector tears, and a new disk is made of what is left.
 *
 * Draws happen in one order, which is part of every seed's meaning: strategy (names, then the
 * cells of each inode by id), projection, fill, tearing, then bytes file by file. */
#include "base/ck.h"
#include "base/hash.h"
#include "sim/simdisk_int.h"

#include <string.h>

#define TEAR_PPM     300000u
#define VERDICTS_MAX 256u

enum fill { FILL_ZEROS, FILL_STALE, FILL_NOISE };

struct crash {
    const struct simdisk *d;
    struct simdisk *after;
    struct chooser_stream *s;
    struct simdisk_cells c;
    uint64_t cut;          /* model E: metadata up to here happened */
    enum fill fill;        /* of sectors within a size that were never written */
    unsigned char *sector; /* scratch: four sectors */
};

enum simdisk_strategy simdisk_draw_strategy(struct chooser_stream *s)
{
    static const uint32_t weights[SIMDISK_STRATEGIES] = {
        [SIMDISK_DROP_ALL] = 12,  [SIMDISK_KEEP_ALL] = 3,   [SIMDISK_PREFIX] = 12,
        [SIMDISK_SUFFIX] = 10,    [SIMDISK_COIN] = 15,      [SIMDISK_DROP_ONE] = 12,
        [SIMDISK_KEEP_ONE] = 6,   [SIMDISK_PER_FILE] = 12,  [SIMDISK_META_FIRST] = 6,
        [SIMDISK_DATA_FIRST] = 2, [SIMDISK_NAMES_ONLY] = 5, [SIMDISK_NOT_NAMES] = 5,
    };
    return (enum simdisk_strategy)choose_weighted(s, weights, SIMDISK_STRATEGIES);
}

/* ---- picking ---- */

static void pick(struct crash *k, struct simdisk_cell *cell, uint32_t version)
{
    cell->pick = version;
    if (cell->kind == SIMDISK_CELL_SIZE) {
        cell->size = simdisk_cell_size(&k->c, cell, version);
    }
}

static void pick_newest(struct crash *k, struct simdisk_cell *cell)
{
    pick(k, cell, cell->versions - 1);
}

/* Any version below `count`; a size may also stop at a sector boundary on its way up. */
static void pick_any(struct crash *k, struct simdisk_cell *cell, uint32_t count)
{
    uint32_t v = (uint32_t)choose(k->s, count);
    pick(k, cell, v);
    if (cell->kind != SIMDISK_CELL_SIZE || v + 1 >= cell->versions) {
        return;
    }
    uint64_t next = simdisk_cell_size(&k->c, cell, v + 1);
    uint64_t whole = cell->size / k->d->cell;
    uint64_t steps = next > cell->size ? (next - 1) / k->d->cell - whole : 0;
    uint64_t step = choose(k->s, steps + 1);
    if (step > 0) {
        cell->size = (whole + step) * k->d->cell;
    }
}

/* Which cells take their newest version, by kind. */
static void pick_kinds(struct crash *k, bool names, bool meta, bool data)
{
    for (size_t i = 0; i < k->c.count; i++) {
        struct simdisk_cell *cell = &k->c.v[i];
        bool newest = cell->kind == SIMDISK_CELL_NAME   ? names
                      : cell->kind == SIMDISK_CELL_DATA ? data
                                                        : meta;
        if (newest) {
            pick_newest(k, cell);
        }
    }
}

static uint64_t version_lsn(const struct crash *k, const struct simdisk_cell *cell, uint32_t v)
{
    const struct simdisk_inode *n = cell->inode;
    switch (cell->kind) {
    case SIMDISK_CELL_NAME:
        return n->names[cell->index]->v[v].lsn;
    case SIMDISK_CELL_DATA:
    case SIMDISK_CELL_SIZE:
        return n->pend->u[k->c.touch[cell->first + cell->floor + v - 1].a].lsn;
    case SIMDISK_CELL_EXTENT:
        return n->pend->u[cell->index].lsn;
    }
    return 0;
}

/* All updates in the order in which they were made, up to a cut or from it on. */
static enum status pick_ordered(struct crash *k, bool prefix)
{
    size_t total = 0;
    for (size_t i = 0; i < k->c.count; i++) {
        total += k->c.v[i].versions - 1;
    }
    struct simdisk_touch *order = mem_alloc(k->d->mem, (2 * total + 1) * sizeof *order);
    if (order == NULL) {
        return ST_NOMEM;
    }
    size_t at = 0;
    for (size_t i = 0; i < k->c.count; i++) {
        for (uint32_t v = 1; v < k->c.v[i].versions; v++) {
            order[at++] = (struct simdisk_touch){version_lsn(k, &k->c.v[i], v), (uint32_t)i, v};
        }
    }
    simdisk_touch_sort(order, order + total, total);
    size_t cut = (size_t)choose(k->s, total + 1);
    size_t end = prefix ? cut : total;
    for (at = prefix ? 0 : cut; at < end; at++) {
        pick(k, &k->c.v[order[at].a], order[at].b); /* later ones overrule */
    }
    mem_release(k->d->mem, order);
    return ST_OK;
}

static void pick_coin(struct crash *k)
{
    static const uint32_t chances[] = {50000, 250000, 500000, 750000, 950000};
    uint32_t ppm = chances[choose(k->s, sizeof chances / sizeof *chances)];
    for (size_t i = 0; i < k->c.count; i++) {
        struct simdisk_cell *cell = &k->c.v[i];
        if (!choose_chance(k->s, ppm)) {
            continue;
        }
        if (choose_chance(k->s, 700000)) {
            pick_newest(k, cell);
        } else {
            pick_any(k, cell, cell->versions);
        }
    }
}

static void pick_per_file(struct crash *k)
{
    enum { ALL, NONE, HALF } how = ALL;
    const struct simdisk_inode *last = NULL;
    for (size_t i = 0; i < k->c.count; i++) {
        struct simdisk_cell *cell = &k->c.v[i];
        if (i < k->c.names || cell->inode != last) {
            how = choose(k->s, 3);
            last = cell->inode;
        }
        if (how == ALL || (how == HALF && choose(k->s, 2) == 1)) {
            pick_newest(k, cell);
        }
    }
}

static void pick_but_one(struct crash *k)
{
    pick_kinds(k, true, true, true);
    if (k->c.count > 0) {
        struct simdisk_cell *cell = &k->c.v[choose(k->s, k->c.count)];
        pick_any(k, cell, cell->versions - 1);
    }
}

static enum status pick_all(struct crash *k, enum simdisk_strategy strategy)
{
    switch (strategy) {
    case SIMDISK_KEEP_ALL:
        pick_kinds(k, true, true, true);
        break;
    case SIMDISK_PREFIX:
    case SIMDISK_SUFFIX:
        return pick_ordered(k, strategy == SIMDISK_PREFIX);
    case SIMDISK_COIN:
        pick_coin(k);
        break;
    case SIMDISK_DROP_ONE:
        pick_but_one(k);
        break;
    case SIMDISK_KEEP_ONE:
        if (k->c.count > 0) {
            pick_newest(k, &k->c.v[choose(k->s, k->c.count)]);
        }
        break;
    case SIMDISK_PER_FILE:
        pick_per_file(k);
        break;
    case SIMDISK_META_FIRST:
        pick_kinds(k, true, true, false);
        break;
    case SIMDISK_DATA_FIRST:
        pick_kinds(k, false, false, true);
        break;
    case SIMDISK_NAMES_ONLY:
        pick_kinds(k, true, false, false);
        break;
    case SIMDISK_NOT_NAMES:
        pick_kinds(k, false, true, true);
        break;
    case SIMDISK_DROP_ALL:
    case SIMDISK_STRATEGIES:
        break;
    }
    return ST_OK;
}

/* ---- model E ---- */

/* Whether this pick means that a metadata operation happened: its journal record is there. */
static bool is_meta(const struct crash *k, const struct simdisk_cell *cell)
{
    if (cell->pick == 0 || cell->kind == SIMDISK_CELL_DATA) {
        return false;
    }
    return cell->kind != SIMDISK_CELL_SIZE ||
           cell->inode->pend->u[k->c.touch[cell->first + cell->pick - 1].a].kind == SIMDISK_TRUNC;
}

static void project_data(struct crash *k, struct simdisk_cell *cell)
{
    uint32_t low;
    uint32_t high;
    if (!simdisk_data_range(k->d, &k->c, cell, k->cut, &low, &high)) {
        cell->pick = SIMDISK_PICK_ZEROS;
    } else if (cell->pick < low || cell->pick > high) {
        cell->pick = low + (uint32_t)choose(k->s, high - low + 1);
    }
}

/* The smallest cut that holds every metadata operation that was picked, and the nearest legal
 * choice for everything else. */
static void project(struct crash *k)
{
    k->cut = k->d->jc;
    for (size_t i = 0; i < k->c.count; i++) {
        const struct simdisk_cell *cell = &k->c.v[i];
        uint64_t lsn = is_meta(k, cell) ? version_lsn(k, cell, cell->pick) : 0;
        k->cut = lsn > k->cut ? lsn : k->cut;
    }
    for (size_t i = 0; i < k->c.count; i++) {
        struct simdisk_cell *cell = &k->c.v[i];
        switch (cell->kind) {
        case SIMDISK_CELL_NAME:
            cell->pick = simdisk_name_at(cell->inode->names[cell->index], k->cut);
            break;
        case SIMDISK_CELL_DATA:
            project_data(k, cell);
            break;
        case SIMDISK_CELL_SIZE:
            cell->size = simdisk_size_nearest(k->d, cell->inode, k->cut, cell->size);
            break;
        case SIMDISK_CELL_EXTENT:
            cell->pick = version_lsn(k, cell, 1) <= k->cut;
            break;
        }
    }
}

/* ---- names ---- */

/* The version of a name that was picked. */
static simdisk_ino picked_name(const struct crash *k, const struct simdisk_inode *dir, size_t index)
{
    const struct simdisk_name *n = dir->names[index];
    if (n->count == 1) {
        return n->v[0].ino;
    }
    size_t low = 0;
    size_t high = k->c.names;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct simdisk_cell *c = &k->c.v[mid];
        if (c->inode->id < dir->id || (c->inode->id == dir->id && c->index < index)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    CK(low < k->c.names);
    return n->v[k->c.v[low].pick].ino;
}

/* Binds name to that inode of the new disk, which is made if it is not there yet. NULL with
 * ST_OK: a second name of a directory, which a file system check would remove. */
static enum status bind(struct crash *k, const struct simdisk_name *from, simdisk_ino ino,
                        struct simdisk_inode *dir, struct simdisk_inode **out)
{
    struct simdisk *a = k->after;
    bool is_dir = simdisk_inode_find(k->d, ino)->dir;
    struct simdisk_inode *n = simdisk_inode_find(a, ino);
    *out = NULL;
    if (n != NULL && is_dir) {
        return ST_OK;
    }
    if (n == NULL) {
        n = simdisk_inode_new(a, ino, is_dir);
    }
    struct simdisk_name *name =
        n != NULL ? simdisk_name_room(a, dir, from->text, from->len, 0) : NULL;
    if (name == NULL) {
        return ST_NOMEM;
    }
    name->v[0].ino = ino;
    dir->entries++;
    dir->subdirs += is_dir;
    n->holds++;
    n->links++;
    n->parent = dir->id;
    a->used += SIMDISK_NAME_BYTES;
    *out = n;
    return ST_OK;
}

/* Takes over the names of a directory and of those below it. Names that were guaranteed come in
 * a first round, so that they win over a second name of the same directory. */
static enum status attach(struct crash *k, const struct simdisk_inode *from,
                          struct simdisk_inode *to, bool certain)
{
    enum status st = ST_OK;
    for (size_t i = 0; i < from->name_count && st == ST_OK; i++) {
        const struct simdisk_name *name = from->names[i];
        simdisk_ino ino = picked_name(k, from, i);
        if (ino == 0 || (certain && name->count > 1)) {
            continue;
        }
        struct simdisk_inode *n = simdisk_name_lookup(k->after, to, name);
        if (n == NULL) {
            st = bind(k, name, ino, to, &n);
        }
        if (n != NULL && n->dir) {
            st = attach(k, simdisk_inode_find(k->d, ino), n, certain);
        }
    }
    return st;
}

/* ---- tearing ---- */

/* Where the cells of that inode begin. */
static size_t first_cell(const struct crash *k, const struct simdisk_inode *n)
{
    size_t low = k->c.names;
    size_t high = k->c.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (k->c.v[mid].inode->id < n->id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static uint64_t final_size(const struct crash *k, const struct simdisk_inode *n)
{
    for (size_t i = first_cell(k, n); i < k->c.count && k->c.v[i].inode == n; i++) {
        if (k->c.v[i].kind == SIMDISK_CELL_SIZE) {
            return k->c.v[i].size;
        }
    }
    return simdisk_floor_size(n);
}

/* Whether power may have failed while that sector was on its way, in a file that is left. */
static bool in_flight(const struct crash *k, const struct simdisk_cell *cell)
{
    return cell->kind == SIMDISK_CELL_DATA && cell->pick > 0 && cell->pick != SIMDISK_PICK_ZEROS &&
           simdisk_inode_find(k->after, cell->inode->id) != NULL &&
           cell->index * k->d->cell < final_size(k, cell->inode);
}

static uint32_t picked_update(const struct crash *k, const struct simdisk_cell *cell)
{
    return k->c.touch[cell->first + cell->floor + cell->pick - 1].a;
}

/* Some of the sectors of the write that `hit` belongs to become noise. */
static void tear_write(struct crash *k, struct simdisk_cell *hit)
{
    uint32_t update = picked_update(k, hit);
    hit->torn = SIMDISK_NOISE;
    for (size_t i = k->c.names; i < k->c.count; i++) {
        struct simdisk_cell *cell = &k->c.v[i];
        bool same = cell != hit && cell->inode == hit->inode && in_flight(k, cell) &&
                    picked_update(k, cell) == update;
        if (same && choose(k->s, 2) == 1) {
            cell->torn = SIMDISK_NOISE;
        }
    }
}

static void tear_sector(struct crash *k, struct simdisk_cell *hit)
{
    uint64_t how = choose(k->s, 8);
    hit->torn = how < 2 ? SIMDISK_NOISE : how < 5 ? SIMDISK_NEW_OLD : SIMDISK_OLD_NEW;
    hit->torn_at = 8 * (1 + (uint32_t)choose(k->s, k->d->cell / 8 - 1));
}

static void tear(struct crash *k)
{
    size_t count = 0;
    enum simdisk_tear mode = k->d->o.tear;
    if ((mode != SIMDISK_T8 && mode != SIMDISK_TX) || !choose_chance(k->s, TEAR_PPM)) {
        return;
    }
    for (size_t i = k->c.names; i < k->c.count; i++) {
        count += in_flight(k, &k->c.v[i]);
    }
    if (count == 0) {
        return;
    }
    size_t at = (size_t)choose(k->s, count);
    for (size_t i = k->c.names; i < k->c.count; i++) {
        if (in_flight(k, &k->c.v[i]) && at-- == 0) {
            if (mode == SIMDISK_T8) {
                tear_sector(k, &k->c.v[i]);
            } else {
                tear_write(k, &k->c.v[i]);
            }
            return;
        }
    }
}

/* ---- bytes ---- */

static void noise(uint64_t seed, unsigned char *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (unsigned char)hash_mix(seed + i);
    }
}

/* A sector that was given to the file and never written. */
static void fill(struct crash *k, unsigned char *out)
{
    const struct simdisk_stale *stale = k->d->stale;
    if (k->fill == FILL_NOISE) {
        noise(choose_u64(k->s), out, k->d->cell);
    } else if (k->fill == FILL_STALE && stale != NULL && stale->count > 0) {
        uint64_t i = choose(k->s, stale->count);
        memcpy(out, stale->at[i].chunk->bytes + (size_t)stale->at[i].cell * k->d->cell, k->d->cell);
    }
}

/* A bit of 1 in mask[] for each byte of the cell that some pending write covers. */
static void covered(const struct crash *k, const struct simdisk_cell *cell, unsigned char *mask)
{
    uint64_t start = cell->index * k->d->cell;
    memset(mask, 0, k->d->cell);
    for (uint32_t i = cell->floor; i < cell->touches; i++) {
        const struct simdisk_update *u = &cell->inode->pend->u[k->c.touch[cell->first + i].a];
        uint64_t from = u->off > start ? u->off : start;
        uint64_t to = u->kind == SIMDISK_DATA ? u->off + u->len : UINT64_MAX;
        to = to < start + k->d->cell ? to : start + k->d->cell;
        memset(mask + (from - start), 1, (size_t)(to - from));
    }
}

/* Damages the picked bytes in out. With power-safe overwrite only what was being written can be
 * hurt; without it the rest of the sector is. */
static void tear_bytes(struct crash *k, const struct simdisk_cell *cell, unsigned char *out)
{
    size_t n = k->d->cell;
    unsigned char *old = out + n;
    unsigned char *mask = out + 2 * n;
    unsigned char *junk = out + 3 * n;
    covered(k, cell, mask);
    noise(choose_u64(k->s), junk, n);
    if (!simdisk_cell_bytes(k->d, &k->c, cell, 0, old) && k->d->o.model == SIMDISK_P) {
        fill(k, old);
    }
    for (size_t i = 0; i < n; i++) {
        bool first = i < cell->torn_at;
        if (mask[i] == 0) {
            out[i] = k->d->o.psow ? out[i] : junk[i];
        } else if (cell->torn == SIMDISK_NOISE) {
            out[i] = junk[i];
        } else if (first == (cell->torn == SIMDISK_OLD_NEW)) {
            out[i] = old[i];
        }
    }
}

static enum status write_cell(struct crash *k, const struct simdisk_cell *cell,
                              struct simdisk_image **image)
{
    const struct simdisk *d = k->d;
    unsigned char *out = k->sector;
    bool zeros = cell->pick == SIMDISK_PICK_ZEROS;
    bool written = !zeros && simdisk_cell_bytes(d, &k->c, cell, cell->pick, out);
    if (zeros) {
        memset(out, 0, d->cell);
    } else if (!written && d->o.model == SIMDISK_P) {
        fill(k, out);
    }
    if (cell->torn != SIMDISK_WHOLE) {
        tear_bytes(k, cell, out);
    }
    uint64_t at = cell->index * d->cell;
    if (!simdisk_image_prepare(d, image, at, d->cell)) {
        return ST_NOMEM;
    }
    simdisk_image_put(d, *image, at, out, d->cell);
    return ST_OK;
}

static enum status write_extent(struct crash *k, const struct simdisk_cell *cell,
                                struct simdisk_image **image)
{
    const struct simdisk_update *u = &cell->inode->pend->u[cell->index];
    bool ok = cell->pick == 0 || simdisk_image_extend(k->d, image, u->off, u->len);
    return ok ? ST_OK : ST_NOMEM;
}

/* The data cell of that sector, or NULL: it has one version only. */
static const struct simdisk_cell *cell_at(const struct crash *k, const struct simdisk_inode *n,
                                          uint64_t index)
{
    size_t i = first_cell(k, n);
    while (i < k->c.count && k->c.v[i].inode == n && k->c.v[i].kind == SIMDISK_CELL_DATA &&
           k->c.v[i].index < index) {
        i++;
    }
    bool here = i < k->c.count && k->c.v[i].inode == n && k->c.v[i].kind == SIMDISK_CELL_DATA &&
                k->c.v[i].index == index;
    return here ? &k->c.v[i] : NULL;
}

/* Of one sector of a flaw what the version that was picked leaves of it. */
static void carry_sector(const struct crash *k, const struct simdisk_inode *from, uint64_t index,
                         struct simdisk_flaw *f)
{
    const struct simdisk_cell *cell = cell_at(k, from, index);
    uint64_t start = index * k->d->cell;
    bool there = f->lsn <= from->synced; /* else it came with an update that is not guaranteed */
    uint32_t count =
        cell != NULL && cell->pick != SIMDISK_PICK_ZEROS ? cell->floor + cell->pick : 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct simdisk_update *u = &from->pend->u[k->c.touch[cell->first + i].a];
        uint64_t to = u->kind == SIMDISK_DATA ? u->off + u->len : UINT64_MAX;
        there = there || u->lsn == f->lsn;
        if (u->lsn > f->lsn && to > start) {
            uint64_t end = to < start + k->d->cell ? to : start + k->d->cell;
            simdisk_flaw_clear(k->d, f, u->off > start ? u->off : start, end);
        }
    }
    if (!there || (cell != NULL && cell->pick == SIMDISK_PICK_ZEROS)) {
        simdisk_flaw_clear(k->d, f, start, start + k->d->cell);
    }
}

/* Media faults stay where they are; the cache that hid them is gone. */
static enum status carry_flaws(struct crash *k, const struct simdisk_inode *from,
                               struct simdisk_inode *to)
{
    for (const struct simdisk_flaw *f = from->flaws; f != NULL; f = f->next) {
        struct simdisk_flaw *copy = simdisk_flaw_copy(k->d->mem, f);
        if (copy == NULL) {
            return ST_NOMEM;
        }
        for (uint64_t at = f->off; at < f->off + f->len; at += k->d->cell) {
            carry_sector(k, from, at / k->d->cell, copy);
        }
        simdisk_flaw_clear(k->d, copy, to->base_size, UINT64_MAX);
        copy->masked = false;
        copy->lsn = 0;
        simdisk_flaw_add(k->after, to, copy);
    }
    return ST_OK;
}

/* Makes the file `to` of what is left of `from`. */
static enum status write_file(struct crash *k, const struct simdisk_inode *from,
                              struct simdisk_inode *to)
{
    enum status st = ST_OK;
    uint64_t size = final_size(k, from);
    bool cut = size < from->base_size; /* otherwise nothing lies past it (I2) */
    to->base = simdisk_image_share(from->base);
    for (size_t i = first_cell(k, from); i < k->c.count && k->c.v[i].inode == from && st == ST_OK;
         i++) {
        const struct simdisk_cell *cell = &k->c.v[i];
        if (cell->kind == SIMDISK_CELL_EXTENT) {
            st = write_extent(k, cell, &to->base);
        } else if (cell->kind == SIMDISK_CELL_DATA && cell->index * k->d->cell < size) {
            bool as_is = cell->pick == 0 && cell->floor == 0 &&
                         simdisk_image_written(k->d, from->base, cell->index);
            st = as_is ? ST_OK : write_cell(k, cell, &to->base);
            cut = cut || !as_is;
        }
    }
    if (st == ST_OK && cut && !simdisk_image_prepare_cut(k->d, &to->base, size)) {
        st = ST_NOMEM;
    }
    if (st != ST_OK) {
        return st;
    }
    if (cut) {
        simdisk_image_cut(k->d, to->base, size, true);
    }
    to->vol = simdisk_image_share(to->base);
    to->base_size = size;
    to->vol_size = size;
    to->blocks = simdisk_image_blocks_past(k->d, to->vol, 0);
    k->after->used += to->blocks * k->d->o.page;
    return from->flaws != NULL ? carry_flaws(k, from, to) : ST_OK;
}

static enum status write_files(struct crash *k)
{
    enum status st = ST_OK;
    for (size_t i = 0; i < k->after->inode_count && st == ST_OK; i++) {
        struct simdisk_inode *n = k->after->inodes[i];
        if (!n->dir) {
            st = write_file(k, simdisk_inode_find(k->d, n->id), n);
        }
    }
    return st;
}

/* ---- the whole ---- */

/* What was decided, for simdisk_why; the first of it where it is much. */
static enum status keep_verdicts(struct crash *k)
{
    size_t count = k->c.count < VERDICTS_MAX ? k->c.count : VERDICTS_MAX;
    if (count == 0) {
        return ST_OK;
    }
    struct simdisk_verdict *v = mem_zalloc(k->d->mem, count * sizeof *v);
    if (v == NULL) {
        return ST_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const struct simdisk_cell *cell = &k->c.v[i];
        v[i].kind = cell->kind;
        v[i].ino = cell->inode->id;
        v[i].value = cell->kind == SIMDISK_CELL_SIZE ? cell->size : cell->index;
        v[i].pick = cell->pick;
        v[i].versions = cell->versions;
        v[i].torn = cell->torn;
        if (cell->kind == SIMDISK_CELL_NAME) {
            const struct simdisk_name *n = cell->inode->names[cell->index];
            size_t len = n->len < sizeof v[i].text ? n->len : sizeof v[i].text - 1;
            memcpy(v[i].text, n->text, len);
        }
    }
    k->after->verdicts = v;
    k->after->verdict_count = count;
    return ST_OK;
}

static void inherit(struct simdisk *after, const struct simdisk *d)
{
    after->next_ino = d->next_ino;
    after->lsn = d->lsn;
    after->jc = d->lsn;
    after->lies = d->lies;
    after->damage_met = d->damage_met;
    after->watch = d->watch;
    after->watch_arg = d->watch_arg;
    after->stale = d->stale;
    if (after->stale != NULL) {
        after->stale->refs++;
    }
}

static enum status build(struct crash *k)
{
    struct simdisk_inode *root = simdisk_inode_find(k->after, SIMDISK_ROOT);
    const struct simdisk_inode *old = simdisk_inode_find(k->d, SIMDISK_ROOT);
    enum status st = attach(k, old, root, true);
    if (st == ST_OK) {
        st = attach(k, old, root, false);
    }
    if (st != ST_OK) {
        return st;
    }
    static const uint32_t fills[] = {[FILL_ZEROS] = 5, [FILL_STALE] = 3, [FILL_NOISE] = 2};
    if (k->d->o.model == SIMDISK_P) {
        k->fill = (enum fill)choose_weighted(k->s, fills, 3);
    }
    tear(k);
    st = write_files(k);
    return st == ST_OK ? keep_verdicts(k) : st;
}

enum status simdisk_crash(const struct simdisk *d, enum simdisk_strategy strategy,
                          struct chooser_stream *s, struct simdisk **after)
{
    struct crash k = {.d = d, .s = s};
    enum status st = simdisk_cells_build(d, &k.c);
    if (st == ST_OK) {
        k.sector = mem_alloc(d->mem, 4 * (size_t)d->cell);
        st = k.sector != NULL ? simdisk_new(d->mem, &d->o, &k.after) : ST_NOMEM;
    }
    if (st == ST_OK) {
        inherit(k.after, d);
        st = pick_all(&k, strategy);
    }
    if (st == ST_OK) {
        if (d->o.model == SIMDISK_E) {
            project(&k);
        }
        st = build(&k);
    }
    mem_release(d->mem, k.sector);
    simdisk_cells_release(&k.c);
    if (st != ST_OK) {
        simdisk_free(k.after);
        return st;
    }
    *after = k.after;
    return ST_OK;
}
