/* storeview.c - see storeview.h. */
#include "sim/store/storeview.h"

#include "base/ck.h"

#include <string.h>

void storeview_init(struct storeview *v, struct mem *mem, size_t key_count)
{
    *v = (struct storeview){.mem = mem, .key_count = key_count};
    buf_init(&v->text, mem);
    v->seen = mem_zalloc(mem, key_count * sizeof *v->seen);
}

void storeview_release(struct storeview *v)
{
    if (v->mem != NULL) {
        buf_release(&v->text);
        mem_release(v->mem, v->seen);
    }
    *v = (struct storeview){0};
}

static void view_clear(struct storeview *v)
{
    buf_clear(&v->text);
    memset(v->seen, 0, v->key_count * sizeof *v->seen);
    v->entries = 0;
}

static void view_set(struct storeview *v, size_t key, struct slice value)
{
    v->seen[key] = (struct storeseen){v->text.size, value.size, true};
    enum status st = buf_append(&v->text, value.data, value.size);
    CK(st == ST_OK);
    v->entries++;
}

bool storeview_same(const struct storeview *a, const struct storeview *b)
{
    bool same = a->entries == b->entries;
    for (size_t i = 0; i < a->key_count && same; i++) {
        same = a->seen[i].present == b->seen[i].present &&
               slice_equal(storeview_value(a, i), storeview_value(b, i));
    }
    return same;
}

enum tkv_status storeview_scan(struct storeview *v, const struct storemodel *m, struct tkv *db,
                               const struct tkv_snapshot *snapshot, bool back, const char **wrong)
{
    struct tkv_iter *it;
    struct tkv_read_options o;
    size_t last = STOREMODEL_NONE;
    tkv_read_options_init(&o);
    o.snapshot = snapshot;
    *wrong = NULL;
    view_clear(v);
    enum tkv_status st = tkv_iter_new(db, &o, &it);
    if (st != TKV_OK) {
        return st;
    }
    back ? tkv_iter_last(it) : tkv_iter_first(it);
    while (tkv_iter_valid(it) && *wrong == NULL) {
        size_t k, n;
        const void *key = tkv_iter_key(it, &k);
        const void *value = tkv_iter_value(it, &n);
        size_t at = storemodel_find(m, slice_of(key, k));
        if (at == STOREMODEL_NONE) {
            *wrong = "a key that nobody wrote";
        } else if (last != STOREMODEL_NONE && (back ? at >= last : at <= last)) {
            *wrong = at == last ? "the same key twice" : "keys out of order";
        } else {
            view_set(v, at, slice_of(value, n));
        }
        last = at;
        back ? tkv_iter_prev(it) : tkv_iter_next(it);
    }
    st = tkv_iter_status(it);
    tkv_iter_free(it);
    return st;
}
