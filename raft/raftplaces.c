/* raftplaces.c - see raftplaces.h. */
#include "raft/raftplaces.h"

#include "base/ck.h"

#include <string.h>

#define CAP_MIN 64

void raftplaces_init(struct raftplaces *p, struct mem *mem)
{
    *p = (struct raftplaces){.mem = mem};
}

void raftplaces_release(struct raftplaces *p)
{
    if (p->mem != NULL) {
        mem_release(p->mem, p->list);
    }
    *p = (struct raftplaces){.mem = p->mem};
}

static struct raftplace *first_of(const struct raftplaces *p)
{
    return p->list + p->head;
}

enum status raftplaces_reserve(struct raftplaces *p, size_t n)
{
    if (p->cap - p->head - p->count >= n) {
        return ST_OK;
    }
    if (p->head >= p->count + n) { /* moving down pays for itself */
        memmove(p->list, first_of(p), p->count * sizeof *p->list);
        p->head = 0;
        if (p->cap - p->count >= n) {
            return ST_OK;
        }
    }
    size_t cap = p->cap < CAP_MIN ? CAP_MIN : p->cap;
    while (cap - p->head - p->count < n) {
        cap *= 2;
    }
    struct raftplace *list = mem_resize(p->mem, p->list, cap * sizeof *list);
    if (list == NULL) {
        return ST_NOMEM;
    }
    p->list = list;
    p->cap = cap;
    return ST_OK;
}

void raftplaces_add(struct raftplaces *p, const struct raftplace *place)
{
    CK(p->head + p->count < p->cap);
    CK(p->count == 0 || first_of(p)[p->count - 1].index < place->index);
    first_of(p)[p->count++] = *place;
    p->faulty = p->faulty || (raftplace_flags(place) & RAFTPLACE_DAMAGED) != 0;
}

/* How many places begin at or below index. */
static size_t places_below(const struct raftplaces *p, uint64_t index)
{
    size_t lo = 0;
    size_t hi = p->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (first_of(p)[mid].index <= index) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

void raftplaces_cut(struct raftplaces *p, uint64_t from)
{
    CK(from > 0);
    p->count = places_below(p, from - 1);
}

void raftplaces_drop(struct raftplaces *p, uint64_t first)
{
    size_t below = places_below(p, first);
    size_t gone = below > 0 ? below - 1 : 0; /* the last of them still holds `first` */
    p->head += gone;
    p->count -= gone;
    if (p->count == 0) {
        p->head = 0;
    }
}

/* Puts n places in the stead of `gone` ones at position `at`. */
static void splice(struct raftplaces *p, size_t at, size_t gone, const struct raftplace *list,
                   size_t n)
{
    struct raftplace *base = first_of(p);
    CK(at + gone <= p->count);
    CK(p->head + p->count - gone + n <= p->cap);
    memmove(base + at + n, base + at + gone, (p->count - at - gone) * sizeof *base);
    memcpy(base + at, list, n * sizeof *base);
    p->count = p->count - gone + n;
}

void raftplaces_set(struct raftplaces *p, const struct raftplace *place, uint64_t hi,
                    const struct raftplace *rest)
{
    struct raftplace list[2] = {*place};
    size_t n = 1;
    CK(place->index > 0);
    CK(place->index < hi);
    size_t at = places_below(p, place->index - 1);
    size_t behind = places_below(p, hi - 1);
    bool begins = behind < p->count && first_of(p)[behind].index == hi;
    if (rest != NULL && !begins) {
        list[n] = *rest;
        list[n++].index = hi;
    }
    splice(p, at, behind - at, list, n);
    p->faulty = p->faulty || (raftplace_flags(place) & RAFTPLACE_DAMAGED) != 0;
}

const struct raftplace *raftplaces_find(const struct raftplaces *p, uint64_t index, uint64_t *next)
{
    size_t below = places_below(p, index);
    *next = below < p->count ? first_of(p)[below].index : UINT64_MAX;
    return below > 0 ? &first_of(p)[below - 1] : NULL;
}

uint64_t raftplaces_floor(const struct raftplaces *p, uint64_t below)
{
    for (size_t i = 0; i < p->count; i++) {
        uint64_t segment = first_of(p)[i].segment;
        below = segment < below ? segment : below;
    }
    return below;
}

uint64_t raftplaces_damaged(const struct raftplaces *p, uint64_t first, uint64_t end)
{
    uint64_t n = 0;
    for (size_t i = 0; p->faulty && i < p->count; i++) {
        const struct raftplace *at = &first_of(p)[i];
        uint64_t lo = at->index > first ? at->index : first;
        uint64_t hi = i + 1 < p->count && at[1].index < end ? at[1].index : end;
        if ((raftplace_flags(at) & RAFTPLACE_DAMAGED) != 0 && lo < hi) {
            n += hi - lo;
        }
    }
    return n;
}

bool raftplaces_check(const struct raftplaces *p)
{
    for (size_t i = 1; i < p->count; i++) {
        if (first_of(p)[i - 1].index >= first_of(p)[i].index) {
            return false; /* P1 */
        }
    }
    return p->head + p->count <= p->cap;
}
