/* version.c - see version.h. */
#include "engine/version.h"

#include "base/atomic.h"
#include "base/ck.h"

#include <inttypes.h>

enum status version_new(struct env *env, struct order order, struct version **version)
{
    struct version *v = env_alloc(env, sizeof *v);
    if (v == NULL) {
        return ST_NOMEM;
    }
    *v = (struct version){.env = env, .refs = 1, .order = order};
    *version = v;
    return ST_OK;
}

void version_ref(struct version *v)
{
    uint64_t refs = atomic_add_u64(&v->refs, 1);
    CK(refs > 1);
}

void version_unref(struct version *v)
{
    if (v == NULL) {
        return;
    }
    uint64_t refs = atomic_add_u64(&v->refs, -1);
    CK(refs < UINT64_MAX / 2);
    if (refs > 0) {
        return;
    }
    for (int level = 0; level < TKV_LEVELS; level++) {
        for (size_t i = 0; i < v->levels[level].count; i++) {
            tabfile_unref(v->levels[level].files[i]);
        }
        env_release(v->env, v->levels[level].files);
    }
    env_release(v->env, v);
}

/* ---- building ---- */

/* Whether a comes before b in its level. */
static bool before(struct order o, int level, const struct tabfile *a, const struct tabfile *b)
{
    if (level == 0) {
        return a->info.sequence_max != b->info.sequence_max
                   ? a->info.sequence_max > b->info.sequence_max
                   : a->info.number > b->info.number;
    }
    return order_compare(o, a->info.least, b->info.least) < 0;
}

/* Sorts files[0..count) by merging; spare holds as many. Returns where the sorted ones are. */
static struct tabfile **sort(struct order o, int level, struct tabfile **files,
                             struct tabfile **spare, size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t from = 0; from < count; from += 2 * width) {
            size_t middle = from + width < count ? from + width : count;
            size_t end = middle + width < count ? middle + width : count;
            size_t a = from;
            size_t b = middle;
            for (size_t i = from; i < end; i++) {
                bool second = a == middle || (b < end && before(o, level, files[b], files[a]));
                spare[i] = second ? files[b++] : files[a++];
            }
        }
        struct tabfile **swap = files;
        files = spare;
        spare = swap;
    }
    return files;
}

static bool removed(const struct edit *e, int level, uint64_t number)
{
    for (size_t i = 0; i < e->removed_count; i++) {
        if (e->removed[i].level == level && e->removed[i].number == number) {
            return true;
        }
    }
    return false;
}

static size_t count_of(const struct edit *e, int level, size_t *removed_count)
{
    size_t added = 0;
    *removed_count = 0;
    for (size_t i = 0; i < e->added_count; i++) {
        added += e->added[i].level == level;
    }
    for (size_t i = 0; i < e->removed_count; i++) {
        *removed_count += e->removed[i].level == level;
    }
    return added;
}

/* Neighbours of a level fit each other. */
static bool fits(struct order o, int level, const struct tabfile *a, const struct tabfile *b)
{
    if (level == 0) {
        return b->info.sequence_max < a->info.sequence_min;
    }
    return version_file_before(o, a, b->info.least);
}

/* Fills v's level with what stays of base's and what the edit adds. */
static enum status level_apply(const struct version_level *base, const struct edit *e, int level,
                               struct version *v)
{
    size_t gone;
    size_t added = count_of(e, level, &gone);
    struct version_level *to = &v->levels[level];
    if (base->count + added == 0) {
        return gone == 0 ? ST_OK : ST_CORRUPT;
    }
    to->files = env_alloc(v->env, (base->count + added) * sizeof(struct tabfile *));
    struct tabfile **pool = env_alloc(v->env, (2 * added + 1) * sizeof(struct tabfile *));
    if (to->files == NULL || pool == NULL) {
        env_release(v->env, pool);
        return ST_NOMEM;
    }
    size_t n = 0;
    for (size_t i = 0; i < e->added_count; i++) {
        if (e->added[i].level == level) {
            pool[n++] = e->added[i].file;
        }
    }
    struct tabfile **news = sort(v->order, level, pool, pool + added, added);
    size_t dropped = 0;
    size_t at = 0;
    enum status st = ST_OK;
    for (size_t i = 0; i < base->count || at < added;) {
        bool old =
            i < base->count && (at == added || before(v->order, level, base->files[i], news[at]));
        struct tabfile *f = old ? base->files[i++] : news[at++];
        if (old && gone > 0 && removed(e, level, f->info.number)) {
            dropped++;
            continue;
        }
        if (to->count > 0 && !fits(v->order, level, to->files[to->count - 1], f)) {
            st = ST_CORRUPT;
        }
        tabfile_ref(f);
        to->files[to->count++] = f;
        to->bytes += f->info.size;
        to->tombs += f->info.tombs;
    }
    env_release(v->env, pool);
    return dropped == gone ? st : ST_CORRUPT;
}

enum status version_apply(const struct version *base, const struct edit *e,
                          struct version **version)
{
    struct version *v;
    enum status st = version_new(base->env, base->order, &v);
    if (st != ST_OK) {
        return st;
    }
    for (int level = 0; st == ST_OK && level < TKV_LEVELS; level++) {
        st = level_apply(&base->levels[level], e, level, v);
    }
    if (st != ST_OK) {
        version_unref(v);
        return st;
    }
    *version = v;
    return ST_OK;
}

/* ---- asking ---- */

bool version_file_before(struct order o, const struct tabfile *f, struct slice key)
{
    int c = order_compare(o, f->info.most, key);
    return c < 0 || (c == 0 && f->info.most_open);
}

size_t version_find(const struct version *v, int level, struct slice key)
{
    CK(level >= 1);
    const struct version_level *l = &v->levels[level];
    size_t low = 0;
    size_t high = l->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (version_file_before(v->order, l->files[middle], key)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void version_overlap(const struct version *v, int level, const struct slice *begin,
                     const struct slice *end, size_t *first, size_t *count)
{
    CK(level >= 1);
    const struct version_level *l = &v->levels[level];
    *first = begin == NULL ? 0 : version_find(v, level, *begin);
    size_t low = *first;
    size_t high = l->count;
    while (end != NULL && low < high) {
        size_t middle = low + (high - low) / 2;
        if (order_compare(v->order, l->files[middle]->info.least, *end) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *count = (end == NULL ? l->count : low) - *first;
}

/* ---- checking ---- */

bool version_bounds_right(struct order o, const struct table_info *t)
{
    int c = order_compare(o, t->least, t->most);
    return c <= 0 && !(c == 0 && t->most_open) && t->sequence_min <= t->sequence_max &&
           t->number != 0;
}

static bool file_check(const struct version *v, int level, size_t i, struct err *err)
{
    const struct tabfile *f = v->levels[level].files[i];
    if (!version_bounds_right(v->order, &f->info)) {
        err_set(err, "table %" PRIu64 " in level %d: its bounds are none", f->info.number, level);
        return false;
    }
    if (i > 0 && !fits(v->order, level, v->levels[level].files[i - 1], f)) {
        err_set(err, "tables %" PRIu64 " and %" PRIu64 " in level %d meet",
                v->levels[level].files[i - 1]->info.number, f->info.number, level);
        return false;
    }
    return true;
}

bool version_check(const struct version *v, struct err *err)
{
    for (int level = 0; level < TKV_LEVELS; level++) {
        uint64_t bytes = 0;
        for (size_t i = 0; i < v->levels[level].count; i++) {
            bytes += v->levels[level].files[i]->info.size;
            if (!file_check(v, level, i, err)) {
                return false;
            }
        }
        if (bytes != v->levels[level].bytes) {
            err_set(err, "level %d: its size is not the sum of its tables'", level);
            return false;
        }
    }
    return true;
}
