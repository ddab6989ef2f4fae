/* view.c - see view.h. */
#include "node/view.h"

#include "base/ck.h"

void view_init(struct view *v, struct env *env, struct tkv *db)
{
    *v = (struct view){.env = env, .db = db};
    overlay_init(&v->overlay, &env->mem);
}

void view_release(struct view *v)
{
    overlay_release(&v->overlay);
}

/* The engine's values are those of enum status, checked here once. */
_Static_assert((int)TKV_NOMEM == (int)ST_NOMEM, "status");
_Static_assert((int)TKV_IO == (int)ST_IO, "status");
_Static_assert((int)TKV_NOSPC == (int)ST_NOSPC, "status");
_Static_assert((int)TKV_CORRUPT == (int)ST_CORRUPT, "status");
_Static_assert((int)TKV_NOTFOUND == (int)ST_NOENT, "status");
_Static_assert((int)TKV_BUSY == (int)ST_BUSY, "status");
_Static_assert((int)TKV_READONLY == (int)ST_ROFS, "status");
_Static_assert((int)TKV_MFILE == (int)ST_MFILE, "status");
_Static_assert((int)TKV_TOOBIG == (int)ST_TOOBIG, "status");

enum status view_status(enum tkv_status st)
{
    return (enum status)(int)st;
}

/* ---- one key ---- */

enum status view_get(struct view *v, struct slice key, struct view_value *value)
{
    *value = (struct view_value){.bytes = {NULL, 0}};
    const struct overlay_write *w = overlay_find(&v->overlay, key);
    if (w != NULL) {
        v->dirty = true;
        value->bytes = w->value;
        return w->erase ? ST_NOENT : ST_OK;
    }
    enum status st = view_status(tkv_get_pin(v->db, NULL, key.data, key.size, &value->pin));
    if (st == ST_OK) {
        value->bytes = slice_of(value->pin.data, value->pin.size);
    }
    return st;
}

void view_value_release(struct view *v, struct view_value *value)
{
    tkv_pin_release(v->db, &value->pin);
    *value = (struct view_value){.bytes = {NULL, 0}};
}

enum status view_exists(struct view *v, struct slice key)
{
    struct view_value value;
    enum status st = view_get(v, key, &value);
    if (st == ST_OK) {
        view_value_release(v, &value);
    }
    return st;
}

enum status view_put(struct view *v, struct slice key, struct slice value)
{
    return overlay_add(&v->overlay, key, value, false);
}

enum status view_delete(struct view *v, struct slice key)
{
    return overlay_add(&v->overlay, key, slice_of(NULL, 0), true);
}

enum status view_delete_range(struct view *v, struct slice begin, struct slice end)
{
    struct slice most = slice_of(VIEW_RESERVED, 2);
    begin = begin.data != NULL ? begin : slice_of("", 0);
    end = end.data == NULL || slice_compare(end, most) > 0 ? most : end;
    return slice_compare(begin, end) < 0 ? overlay_add_range(&v->overlay, begin, end) : ST_OK;
}

enum status view_batch_add(struct tkv_batch *batch, const struct overlay_write *w)
{
    enum tkv_status st;
    if (w->range) {
        st = tkv_batch_delete_range(batch, w->key.data, w->key.size, w->value.data, w->value.size);
    } else if (w->erase) {
        st = tkv_batch_delete(batch, w->key.data, w->key.size);
    } else {
        st = tkv_batch_put(batch, w->key.data, w->key.size, w->value.data, w->value.size);
    }
    return view_status(st);
}

/* ---- walks ---- */

static struct slice sorted_key(const struct view_iter *it, uint32_t i)
{
    return it->view->overlay.writes[it->sorted[i]].key;
}

/* Restores the heap order (greatest first, in the walk's direction) below node i. */
static void sift(struct view_iter *it, uint32_t i, uint32_t count)
{
    for (;;) {
        uint32_t top = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < count; child++) {
            int c = slice_compare(sorted_key(it, child), sorted_key(it, top));
            if (it->reverse ? c < 0 : c > 0) {
                top = child;
            }
        }
        if (top == i) {
            return;
        }
        uint32_t t = it->sorted[i];
        it->sorted[i] = it->sorted[top];
        it->sorted[top] = t;
        i = top;
    }
}

/* Heapsort: in place, no worst case, and keys are distinct. */
static void sorted_sort(struct view_iter *it)
{
    for (uint32_t i = it->sorted_count / 2; i-- > 0;) {
        sift(it, i, it->sorted_count);
    }
    for (uint32_t end = it->sorted_count; end > 1; end--) {
        uint32_t t = it->sorted[0];
        it->sorted[0] = it->sorted[end - 1];
        it->sorted[end - 1] = t;
        sift(it, 0, end - 1);
    }
}

static bool in_range(struct slice key, struct slice lower, struct slice upper)
{
    return (lower.data == NULL || slice_compare(key, lower) >= 0) &&
           (upper.data == NULL || slice_compare(key, upper) < 0);
}

/* Its write is the last word on its key. */
static bool counts(const struct overlay *o, uint32_t i)
{
    return !o->writes[i].range && overlay_is_last(o, i) &&
           overlay_hides(o, o->writes[i].key, i + 1) == NULL;
}

/* Lists the overlay's keys in the range, in order. */
static enum status sorted_make(struct view_iter *it, struct slice lower, struct slice upper)
{
    const struct overlay *o = &it->view->overlay;
    if (o->count == 0) {
        return ST_OK;
    }
    it->view->dirty = true;
    it->sorted = mem_alloc(o->mem, o->count * sizeof *it->sorted);
    if (it->sorted == NULL) {
        return ST_NOMEM;
    }
    for (uint32_t i = 0; i < o->count; i++) {
        if (in_range(o->writes[i].key, lower, upper) && counts(o, i)) {
            it->sorted[it->sorted_count++] = i;
        }
    }
    sorted_sort(it);
    return ST_OK;
}

static struct slice base_key(const struct view_iter *it)
{
    size_t size;
    const void *data = tkv_iter_key(it->base, &size);
    return slice_of(data, size);
}

static void base_step(struct view_iter *it)
{
    if (it->reverse) {
        tkv_iter_prev(it->base);
    } else {
        tkv_iter_next(it->base);
    }
}

/* Passes over the database's keys that ranges of the overlay delete: in one seek a range. */
static void base_settle(struct view_iter *it)
{
    const struct overlay *o = &it->view->overlay;
    while (o->ranges != 0 && tkv_iter_valid(it->base)) {
        const struct overlay_write *w = overlay_hides(o, base_key(it), 0);
        if (w == NULL) {
            return;
        }
        if (!it->reverse) {
            tkv_iter_seek(it->base, w->value.data, w->value.size);
            continue;
        }
        tkv_iter_seek_back(it->base, w->key.data, w->key.size);
        if (tkv_iter_valid(it->base) && slice_equal(base_key(it), w->key)) {
            base_step(it);
        }
    }
}

/* Settles on the nearer of the two sources' keys, passing over deleted ones. */
static void settle(struct view_iter *it)
{
    for (;;) {
        base_settle(it);
        bool base = tkv_iter_valid(it->base);
        bool over = it->at < it->sorted_count;
        int c = base && over ? slice_compare(sorted_key(it, it->at), base_key(it)) : 0;
        c = it->reverse ? -c : c;
        it->on_overlay = over && (!base || c <= 0);
        it->shadowed = it->on_overlay && base && c == 0;
        it->valid = base || over;
        if (!it->on_overlay || !it->view->overlay.writes[it->sorted[it->at]].erase) {
            return;
        }
        if (it->shadowed) {
            base_step(it);
        }
        it->at++;
    }
}

enum status view_iter_open(struct view_iter *it, struct view *v, struct slice lower,
                           struct slice upper, bool reverse)
{
    struct slice end = slice_of(VIEW_RESERVED, 2);
    bool beyond = upper.data == NULL || slice_compare(upper, end) > 0;
    return view_iter_open_all(it, v, lower, beyond ? end : upper, reverse);
}

enum status view_iter_open_all(struct view_iter *it, struct view *v, struct slice lower,
                               struct slice upper, bool reverse)
{
    *it = (struct view_iter){.view = v, .reverse = reverse};
    enum status st = sorted_make(it, lower, upper);
    if (st != ST_OK) {
        return st;
    }
    struct tkv_read_options o;
    tkv_read_options_init(&o);
    o.lower = lower.data;
    o.lower_size = lower.size;
    o.upper = upper.data;
    o.upper_size = upper.size;
    st = view_status(tkv_iter_new(v->db, &o, &it->base));
    if (st != ST_OK) {
        it->base = NULL;
        return st;
    }
    if (reverse) {
        tkv_iter_last(it->base);
    } else {
        tkv_iter_first(it->base);
    }
    settle(it);
    return ST_OK;
}

void view_iter_close(struct view_iter *it)
{
    if (it->base != NULL) {
        tkv_iter_free(it->base);
    }
    if (it->view != NULL) {
        mem_release(it->view->overlay.mem, it->sorted);
    }
    *it = (struct view_iter){.valid = false};
}

struct slice view_iter_key(const struct view_iter *it)
{
    CK(it->valid);
    return it->on_overlay ? sorted_key(it, it->at) : base_key(it);
}

struct slice view_iter_value(const struct view_iter *it)
{
    CK(it->valid);
    if (it->on_overlay) {
        return it->view->overlay.writes[it->sorted[it->at]].value;
    }
    size_t size;
    const void *data = tkv_iter_value(it->base, &size);
    return slice_of(data, size);
}

void view_iter_next(struct view_iter *it)
{
    CK(it->valid);
    if (!it->on_overlay || it->shadowed) {
        base_step(it);
    }
    if (it->on_overlay) {
        it->at++;
    }
    settle(it);
}

enum status view_iter_status(const struct view_iter *it)
{
    return view_status(tkv_iter_status(it->base));
}
