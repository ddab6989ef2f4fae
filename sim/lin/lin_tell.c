/* lin_tell.c - see lin_tell.h: known shapes of a contradiction, each with its sentence. */
#include "sim/lin/lin_tell.h"

#include <stdio.h>

#define PLACES_MAX 64 /* longer witnesses are only counted */

void lin_tell_sort(const struct lin_history *h, uint32_t *places, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        uint32_t p = places[i];
        size_t at = i;
        for (; at > 0 && (h->ops[places[at - 1]].call > h->ops[p].call ||
                          (h->ops[places[at - 1]].call == h->ops[p].call && places[at - 1] > p));
             at--) {
            places[at] = places[at - 1];
        }
        places[at] = p;
    }
}

/* What an operation saw (or wrote) of one key; value ids. */
struct view {
    bool looks;
    bool writes;
    uint32_t saw;
    uint32_t wrote;
};

static bool told(const struct lin_rec *op)
{
    return op->outcome == LIN_OK && op->known;
}

static struct view view_sub(const struct lin_sub *s, bool known)
{
    struct view v = {0};
    switch (s->kind) {
    case LIN_GET:
        v.looks = known;
        v.saw = s->result;
        break;
    case LIN_PUT:
    case LIN_DEL:
        v.writes = true;
        v.wrote = s->value;
        break;
    case LIN_CAS:
        v.looks = known && s->result != 0;
        v.saw = s->expect;
        v.writes = (v.looks || !known) && s->expect != s->value;
        v.wrote = s->value;
        break;
    case LIN_INCR:
        v.writes = known;
        v.wrote = s->result;
        break;
    default:
        break;
    }
    return v;
}

static struct view view_of(const struct lin_history *h, uint32_t place, uint32_t key)
{
    const struct lin_rec *op = &h->ops[place];
    if (op->kind != LIN_SCAN && op->kind != LIN_BATCH) {
        struct lin_sub one = {op->key, op->value, op->expect, op->result, op->kind, op->known};
        return op->key == key ? view_sub(&one, told(op)) : (struct view){0};
    }
    struct view v = {0};
    for (uint32_t i = 0; i < op->result; i++) {
        const struct lin_sub *s = &h->subs[op->expect + i];
        if (s->key == key) {
            struct view n = view_sub(s, told(op) && s->known);
            v.looks = v.looks || (n.looks && !v.writes);
            v.saw = n.looks && !v.writes ? n.saw : v.saw;
            v.writes = v.writes || n.writes;
            v.wrote = n.writes ? n.wrote : v.wrote;
        }
    }
    return v;
}

struct teller {
    const struct lin_history *h;
    const uint32_t *places;
    size_t count;
    uint32_t key;
    struct view views[PLACES_MAX];
};

static const struct lin_rec *op_at(const struct teller *t, size_t i)
{
    return &t->h->ops[t->places[i]];
}

static bool before(const struct teller *t, size_t a, size_t b)
{
    return op_at(t, a)->outcome == LIN_OK && op_at(t, a)->ret < op_at(t, b)->call;
}

static enum status say_value(struct buf *out, const struct lin_history *h, uint32_t id)
{
    if (id == LIN_ABSENT) {
        return buf_append_text(out, "absent");
    }
    struct slice s = lin_strtab_get(&h->values, id - 1);
    enum status st = buf_append_text(out, "\"");
    if (st == ST_OK) {
        st = buf_append(out, s.data, s.size < 40 ? s.size : 40);
    }
    return st == ST_OK ? buf_append_text(out, s.size < 40 ? "\"" : "...\"") : st;
}

/* A template: %a, %b, %c are the places of three operations, %k the key, %v the value that a saw,
 * %w the value of c. */
static enum status fill(const struct teller *t, struct buf *out, const char *text,
                        const size_t *abc)
{
    enum status st = ST_OK;
    for (const char *p = text; *p != '\0' && st == ST_OK; p++) {
        if (*p != '%') {
            st = buf_append(out, p, 1);
            continue;
        }
        p++;
        if (*p == 'k') {
            struct slice key = lin_strtab_get(&t->h->keys, t->key);
            st = buf_append(out, key.data, key.size < 40 ? key.size : 40);
        } else if (*p == 'v') {
            st = say_value(out, t->h, t->views[abc[0]].saw);
        } else if (*p == 'w') {
            const struct view *v = &t->views[abc[2]];
            st = say_value(out, t->h, v->writes ? v->wrote : v->saw);
        } else {
            st = buf_append_i64(out, t->places[abc[*p - 'a']]);
        }
    }
    return st;
}

/* ---- shapes: each returns its sentence or NULL, with the operations it is about ---- */

/* Every write of the value that a saw was over before c, or came too late for a. */
static bool all_before(const struct teller *t, size_t a, size_t c)
{
    for (size_t i = 0; i < t->count; i++) {
        bool writes = t->views[i].writes && t->views[i].wrote == t->views[a].saw && i != a;
        if (writes && !before(t, i, c) && !before(t, a, i)) {
            return false;
        }
    }
    return true;
}

/* a saw the value of b; c wrote later than b and was over before a began. */
static const char *stale(const struct teller *t, size_t a, size_t b, size_t c)
{
    const struct view *v = t->views;
    bool fits = v[a].looks && v[b].writes && v[b].wrote == v[a].saw && v[c].writes &&
                v[c].wrote != v[a].saw && before(t, b, c) && before(t, c, a) && all_before(t, a, c);
    return fits ? "operation %a saw %k = %v (written by operation %b), but operation %c wrote %w "
                  "after that and was acknowledged before operation %a began"
                : NULL;
}

/* The same, with a read of the newer value in place of its acknowledgement. */
static const char *inverted(const struct teller *t, size_t a, size_t b, size_t c)
{
    const struct view *v = t->views;
    if (!v[a].looks || !v[b].writes || v[b].wrote != v[a].saw || !v[c].looks ||
        v[c].saw == v[a].saw || !before(t, c, a)) {
        return NULL;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (v[i].writes && v[i].wrote == v[c].saw && before(t, b, i) && all_before(t, a, i)) {
            return "operation %a saw %k = %v (written by operation %b), but operation %c had seen "
                   "the newer value %w before operation %a began";
        }
    }
    return NULL;
}

/* a and b saw one value, c another in between; it was written once. */
static const char *again(const struct teller *t, size_t a, size_t b, size_t c)
{
    const struct view *v = t->views;
    bool fits = v[a].looks && v[b].looks && v[c].looks && v[a].saw == v[b].saw &&
                v[c].saw != v[a].saw && before(t, b, c) && before(t, c, a);
    size_t writers = 0;
    for (size_t i = 0; i < t->count && fits; i++) {
        writers += v[i].writes && v[i].wrote == v[a].saw ? 1 : 0;
    }
    return fits && writers <= 1
               ? "operation %a saw %k = %v, as operation %b had, but in between operation %c saw "
                 "%w; %v was written no more than once"
               : NULL;
}

/* The same with an acknowledged write in between. */
static const char *again_written(const struct teller *t, size_t a, size_t b, size_t c)
{
    const struct view *v = t->views;
    bool fits = v[a].looks && v[b].looks && v[c].writes && v[a].saw == v[b].saw &&
                v[c].wrote != v[a].saw && before(t, b, c) && before(t, c, a);
    size_t writers = 0;
    for (size_t i = 0; i < t->count && fits; i++) {
        writers += v[i].writes && v[i].wrote == v[a].saw ? 1 : 0;
    }
    return fits && writers <= 1
               ? "operation %a saw %k = %v, as operation %b had, but in between operation %c wrote "
                 "%w and was acknowledged; %v was written no more than once"
               : NULL;
}

/* c had seen something else before a began, and the value of a was not written after that. */
static const char *back(const struct teller *t, size_t a, size_t b, size_t c)
{
    const struct view *v = t->views;
    bool fits = b != c && v[a].looks && v[c].looks && v[c].saw != v[a].saw && before(t, c, a) &&
                all_before(t, a, c);
    return fits ? "operation %a saw %k = %v, but operation %c had seen %w before operation %a "
                  "began, and nothing wrote %v after that"
                : NULL;
}

/* a and c both replaced the value of b. */
static const char *taken_twice(const struct teller *t, size_t a, size_t b, size_t c)
{
    const struct view *v = t->views;
    bool fits = a < c && v[a].looks && v[a].writes && v[c].looks && v[c].writes &&
                v[a].saw == v[c].saw && v[b].writes && v[b].wrote == v[a].saw;
    return fits ? "operations %a and %c both replaced %k = %v, which operation %b wrote once"
                : NULL;
}

/* a saw what b began to write later. */
static const char *early(const struct teller *t, size_t a, size_t b, size_t c)
{
    const struct view *v = t->views;
    bool fits = c == a && v[a].looks && v[b].writes && v[b].wrote == v[a].saw && before(t, a, b);
    for (size_t i = 0; i < t->count && fits; i++) {
        fits = i == b || i == a || !v[i].writes || v[i].wrote != v[a].saw;
    }
    return fits ? "operation %a saw %k = %v before operation %b began to write it" : NULL;
}

static const char *mismatch(const struct teller *t, size_t a, size_t b, size_t c)
{
    const struct lin_rec *op = op_at(t, a);
    bool fits = c == a && op->kind == LIN_CAS && told(op) && op->result == 0 && op->key == t->key &&
                t->views[b].writes && t->views[b].wrote == op->expect && before(t, b, a);
    return fits ? "compare-and-set %a found that %k was not %v, but operation %b had written just "
                  "that before, and nothing can have changed it"
                : NULL;
}

/* a saw the value that batch b wrote here, but of another key what b overwrites there. */
static const char *torn(const struct teller *t, size_t a, size_t b, size_t c)
{
    const struct lin_rec *batch = op_at(t, b);
    if (c != a || batch->kind != LIN_BATCH || !t->views[a].looks || !t->views[b].writes ||
        t->views[b].wrote != t->views[a].saw) {
        return NULL;
    }
    for (uint32_t i = 0; i < batch->result; i++) {
        const struct lin_sub *s = &t->h->subs[batch->expect + i];
        struct view other = view_of(t->h, t->places[a], s->key);
        struct view whole = view_of(t->h, t->places[b], s->key);
        if (s->key != t->key && other.looks && whole.writes && other.saw != whole.wrote) {
            return "operation %a saw %k = %v, which batch %b wrote, but not what the same batch "
                   "wrote to another key";
        }
    }
    return NULL;
}

/* a saw the new value of b, but of another key an older one than was acknowledged before b began.
 */
static const char *fractured(const struct teller *t, size_t a, size_t b, size_t c)
{
    const struct lin_rec *wide = op_at(t, a);
    bool list = wide->kind == LIN_SCAN || wide->kind == LIN_BATCH;
    if (!list || c == a || !t->views[a].looks || !t->views[b].writes ||
        t->views[b].wrote != t->views[a].saw || !before(t, c, b)) {
        return NULL;
    }
    for (uint32_t i = 0; i < wide->result; i++) {
        const struct lin_sub *s = &t->h->subs[wide->expect + i];
        struct view newer = view_of(t->h, t->places[c], s->key);
        if (s->key == t->key || s->kind != LIN_GET || !newer.writes || newer.wrote == s->result) {
            continue;
        }
        for (size_t n = 0; n < t->count; n++) {
            struct view older = view_of(t->h, t->places[n], s->key);
            if (older.writes && older.wrote == s->result && before(t, n, c)) {
                return "operation %a saw %k = %v of operation %b, but of another key a value that "
                       "operation %c had replaced before operation %b began";
            }
        }
    }
    return NULL;
}

typedef const char *shape_fn(const struct teller *t, size_t a, size_t b, size_t c);

static enum status try_shape(const struct teller *t, shape_fn *shape, struct buf *out, bool *found)
{
    for (size_t a = t->count; a-- > 0;) { /* the latest first: that is where it shows */
        for (size_t b = 0; b < t->count; b++) {
            for (size_t c = 0; c < t->count; c++) {
                const char *text = a != b && b != c ? shape(t, a, b, c) : NULL;
                if (text != NULL) {
                    *found = true;
                    return fill(t, out, text, (size_t[]){a, b, c});
                }
            }
        }
    }
    return ST_OK;
}

static enum status tell_key(struct teller *t, struct buf *out, bool *found)
{
    static shape_fn *const shapes[] = {taken_twice,   early,    stale, inverted,  again,
                                       again_written, mismatch, torn,  fractured, back};
    for (size_t i = 0; i < t->count; i++) {
        t->views[i] = view_of(t->h, t->places[i], t->key);
        const struct lin_rec *op = op_at(t, i);
        if (op->kind == LIN_CAS && op->key == t->key && told(op) && op->result == 0) {
            t->views[i].saw = op->expect; /* for the text */
        }
    }
    enum status st = ST_OK;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && st == ST_OK && !*found; i++) {
        st = try_shape(t, shapes[i], out, found);
    }
    return st;
}

static uint32_t seen_by(const struct lin_rec *op)
{
    return op->kind == LIN_CAS ? op->expect : op->result;
}

uint32_t lin_tell_failed_writer(const struct lin_history *h, uint32_t place)
{
    const struct lin_rec *op = &h->ops[place];
    if (op->kind != LIN_GET && op->kind != LIN_CAS) {
        return LIN_NONE;
    }
    for (size_t i = 0; i < h->count; i++) {
        const struct lin_rec *w = &h->ops[i];
        if (w->outcome == LIN_FAIL && (w->kind == LIN_PUT || w->kind == LIN_CAS) &&
            w->key == op->key && w->value == seen_by(op)) {
            return (uint32_t)i;
        }
    }
    return LIN_NONE;
}

/* One look for a value that nothing wrote. */
static enum status tell_unwritten(const struct lin_history *h, const uint32_t *places, size_t count,
                                  struct buf *out)
{
    uint32_t look = places[0];
    uint32_t failed = LIN_NONE;
    for (size_t i = 0; i < count; i++) {
        if (h->ops[places[i]].outcome == LIN_FAIL) {
            failed = places[i];
        } else {
            look = places[i];
        }
    }
    char text[128];
    (void)snprintf(text, sizeof text, "operation %u saw ", look);
    enum status st = buf_append_text(out, text);
    const struct lin_rec *op = &h->ops[look];
    if (op->kind == LIN_GET || op->kind == LIN_CAS) {
        struct teller t = {.h = h, .places = places, .count = count, .key = op->key};
        t.views[0].saw = seen_by(op);
        st = st == ST_OK ? fill(&t, out, "%k = %v", (size_t[]){0, 0, 0}) : st;
    } else {
        st = st == ST_OK ? buf_append_text(out, "something") : st;
    }
    if (failed == LIN_NONE) {
        return st == ST_OK ? buf_append_text(out, ", which nothing can have written by then") : st;
    }
    (void)snprintf(text, sizeof text,
                   ", which only operation %u would have written, and that failed", failed);
    return st == ST_OK ? buf_append_text(out, text) : st;
}

/* The keys that the operations name. */
static enum status tell_keys(struct teller *t, struct buf *out, bool *found)
{
    enum status st = ST_OK;
    for (size_t i = 0; i < t->count && st == ST_OK && !*found; i++) {
        const struct lin_rec *op = op_at(t, i);
        bool list = op->kind == LIN_SCAN || op->kind == LIN_BATCH;
        for (uint32_t n = 0; n < (list ? op->result : 1) && st == ST_OK && !*found; n++) {
            t->key = list ? t->h->subs[op->expect + n].key : op->key;
            st = tell_key(t, out, found);
        }
    }
    return st;
}

enum status lin_tell(const struct lin_history *h, const uint32_t *places, size_t count,
                     struct buf *out)
{
    size_t alive = 0;
    for (size_t i = 0; i < count; i++) {
        alive += h->ops[places[i]].outcome != LIN_FAIL ? 1 : 0;
    }
    if (alive == 1) {
        return tell_unwritten(h, places, count, out);
    }
    bool found = false;
    enum status st = ST_OK;
    if (count <= PLACES_MAX / 4) {
        struct teller t = {.h = h, .places = places, .count = count};
        st = tell_keys(&t, out, &found);
    }
    if (st != ST_OK || found) {
        return st;
    }
    char text[160];
    (void)snprintf(text, sizeof text,
                   "%zu operations contradict each other: no order of them that respects their "
                   "times gives each what it saw",
                   count);
    return buf_append_text(out, text);
}
