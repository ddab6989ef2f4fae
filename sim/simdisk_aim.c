/* simdisk_aim.c - where media faults strike: a file by a class of names, a sector of it. */
#include "fault/namepat.h"
#include "sim/simdisk_int.h"

#include <string.h>

bool simdisk_aim_matches(const struct simdisk_aim *row, const char *name)
{
    return namepat_matches(row->name, name, strlen(name));
}

/* A part of one file, in sectors [from, to). */
struct part {
    const struct simdisk_inode *n;
    uint64_t from, to;
    uint64_t written; /* of these, on media */
};

static struct part part_of(const struct simdisk *d, const struct simdisk_inode *n,
                           const struct simdisk_aim *row)
{
    uint64_t sectors = (n->base_size + d->cell - 1) / d->cell;
    struct part p = {.n = n, .from = sectors * row->from / 1000, .to = sectors * row->to / 1000};
    p.to = p.to == p.from && p.to < sectors ? p.to + 1 : p.to; /* small files: a sector at least */
    for (uint64_t i = p.from; i < p.to; i++) {
        p.written += simdisk_image_written(d, n->base, i);
    }
    return p;
}

/* The part with number `at` that a row matches; without one, how many there are. */
static size_t find_part(const struct simdisk *d, const struct simdisk_aim *row, size_t at,
                        struct part *out)
{
    size_t count = 0;
    for (size_t i = 0; i < d->inode_count; i++) {
        const struct simdisk_inode *dir = d->inodes[i];
        for (size_t k = 0; k < dir->name_count; k++) {
            const struct simdisk_name *name = dir->names[k];
            const struct simdisk_inode *n = simdisk_inode_find(d, simdisk_name_now(name));
            if (n == NULL || n->dir || !namepat_matches(row->name, name->text, name->len)) {
                continue;
            }
            struct part p = part_of(d, n, row);
            if (p.written > 0 && count++ == at) {
                *out = p;
                return count;
            }
        }
    }
    return count;
}

static const struct simdisk_aim *draw_row(const struct simdisk *d, const struct simdisk_aim *rows,
                                          size_t count, struct chooser_stream *s)
{
    struct part p;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += find_part(d, &rows[i], 0, &p) > 0 ? rows[i].weight : 0;
    }
    if (sum == 0) {
        return NULL;
    }
    uint64_t at = choose(s, sum);
    for (size_t i = 0;; i++) {
        uint64_t weight = find_part(d, &rows[i], 0, &p) > 0 ? rows[i].weight : 0;
        if (at < weight) {
            return &rows[i];
        }
        at -= weight;
    }
}

bool simdisk_aim_at(const struct simdisk *d, const struct simdisk_aim *rows, size_t count,
                    struct chooser_stream *s, simdisk_ino *ino, uint64_t *offset)
{
    const struct simdisk_aim *row = draw_row(d, rows, count, s);
    struct part p;
    if (row == NULL) {
        return false;
    }
    size_t files = find_part(d, row, SIZE_MAX, &p);
    (void)find_part(d, row, (size_t)choose(s, files), &p);
    uint64_t at = choose(s, p.written);
    uint64_t sector = p.from;
    while (!simdisk_image_written(d, p.n->base, sector) || at-- > 0) {
        sector++;
    }
    *ino = p.n->id;
    *offset = sector * d->cell;
    return true;
}
