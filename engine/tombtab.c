/* tombtab.c - see tombtab.h. */
#include "engine/tombtab.h"

#include "base/ck.h"

#define LIST   8 /* tombs of the smallest set */
#define FANOUT 4 /* sets of a size that become one */

struct set {
    uint32_t level;
    size_t count;
    struct tomb *tombs; /* newest first */
    size_t places;      /* keys where one begins or ends, ascending; the last only ends */
    struct slice *keys;
    uint32_t *starts;    /* of each node's sequences; nodes 1 .. 2 * (places - 1) - 1, and an end */
    uint64_t *sequences; /* of a node: newest first */
};

struct tombtab_view {
    struct tombtab_item *list; /* atomic */
    size_t count;
    const struct set **sets; /* newest first */
};

/* ---- sorting numbers of tombs ---- */

struct build {
    struct order order;
    const struct tomb *tombs;
    bool by_key; /* items are tomb * 2, + 1 for the end; else tombs, newest first */
};

static struct slice event_key(const struct build *b, uint32_t event)
{
    const struct tomb *t = &b->tombs[event / 2];
    return event % 2 == 0 ? t->begin : t->end;
}

static bool less(const struct build *b, uint32_t x, uint32_t y)
{
    return b->by_key ? order_compare(b->order, event_key(b, x), event_key(b, y)) < 0
                     : b->tombs[x].sequence > b->tombs[y].sequence;
}

static void sink(const struct build *b, uint32_t *list, size_t count, size_t at)
{
    uint32_t item = list[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && less(b, list[child], list[child + 1])) {
            child++;
        }
        if (!less(b, item, list[child])) {
            break;
        }
        list[at] = list[child];
    }
    list[at] = item;
}

static void sort(const struct build *b, uint32_t *list, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) {
        sink(b, list, count, i);
    }
    for (size_t n = count; n-- > 1;) {
        uint32_t top = list[0];
        list[0] = list[n];
        list[n] = top;
        sink(b, list, n, 0);
    }
}

/* ---- making a set ---- */

/* Numbers the places; low and high get each tomb's. */
static void places_make(struct set *s, const struct build *b, const uint32_t *events, uint32_t *low,
                        uint32_t *high)
{
    uint32_t place = 0;
    for (size_t i = 0; i < 2 * s->count; i++) {
        place += i > 0 && less(b, events[i - 1], events[i]);
        s->keys[place] = event_key(b, events[i]);
        *(events[i] % 2 == 0 ? &low[events[i] / 2] : &high[events[i] / 2]) = place;
    }
    s->places = place + 1;
}

/* Calls for each node of the tomb: counts it, or notes the sequence there. */
static void nodes_note(struct set *s, uint32_t low, uint32_t high, const uint64_t *sequence)
{
    size_t leaves = s->places - 1;
    for (size_t l = low + leaves, h = high + leaves; l < h; l /= 2, h /= 2) {
        size_t nodes[2];
        int n = 0;
        if (l % 2 == 1) {
            nodes[n++] = l++;
        }
        if (h % 2 == 1) {
            nodes[n++] = --h;
        }
        while (n-- > 0) {
            uint32_t at = s->starts[nodes[n]]++;
            if (sequence != NULL) {
                s->sequences[at] = *sequence;
            }
        }
    }
}

static bool nodes_make(struct set *s, struct arena *arena, const uint32_t *newest,
                       const uint32_t *low, const uint32_t *high)
{
    size_t nodes = 2 * (s->places - 1);
    uint32_t total = 0;
    s->starts = arena_alloc(arena, (nodes + 1) * sizeof *s->starts);
    if (s->starts == NULL) {
        return false;
    }
    memset(s->starts, 0, (nodes + 1) * sizeof *s->starts);
    for (size_t i = 0; i < s->count; i++) {
        nodes_note(s, low[i], high[i], NULL);
    }
    for (size_t i = 0; i <= nodes; i++) {
        uint32_t here = s->starts[i];
        s->starts[i] = total;
        total += here;
    }
    s->sequences = arena_alloc(arena, total * sizeof *s->sequences);
    if (s->sequences == NULL) {
        return false;
    }
    for (size_t i = 0; i < s->count; i++) {
        uint32_t tomb = newest[i];
        nodes_note(s, low[tomb], high[tomb], &s->tombs[tomb].sequence);
    }
    memmove(s->starts + 1, s->starts, nodes * sizeof *s->starts); /* each was left at its end */
    s->starts[0] = 0;
    return true;
}

/* The tree over s->tombs. False when memory is refused. */
static bool set_build(struct set *s, struct order order, struct arena *arena)
{
    size_t n = s->count;
    s->keys = arena_alloc(arena, 2 * n * sizeof *s->keys);
    uint32_t *work = mem_alloc(arena->mem, 5 * n * sizeof *work);
    bool done = false;
    if (work != NULL && s->keys != NULL) {
        uint32_t *events = work;
        uint32_t *newest = work + 2 * n;
        uint32_t *low = work + 3 * n;
        uint32_t *high = work + 4 * n;
        struct build b = {order, s->tombs, true};
        for (uint32_t i = 0; i < n; i++) {
            events[2 * i] = 2 * i;
            events[2 * i + 1] = 2 * i + 1;
            newest[i] = i;
        }
        sort(&b, events, 2 * n);
        places_make(s, &b, events, low, high);
        b.by_key = false;
        sort(&b, newest, n);
        done = nodes_make(s, arena, newest, low, high);
    }
    mem_release(arena->mem, work);
    return done;
}

/* How many of the newest sets go into a new one with the list, and the new one's level. */
static size_t sets_taken(const struct tombtab_view *v, uint32_t *level)
{
    size_t taken = 0;
    *level = 0;
    for (;;) {
        size_t same = 0;
        while (taken + same < v->count && v->sets[taken + same]->level == *level) {
            same++;
        }
        if (same < FANOUT - 1) {
            return taken;
        }
        taken += same;
        (*level)++;
    }
}

/* Makes the list a set, with sets of its size if there are enough. Where memory is refused all
 * stays as it is. */
static void list_pack(struct tombtab *t)
{
    const struct tombtab_view *v = t->view;
    uint32_t level;
    size_t taken = sets_taken(v, &level);
    size_t total = t->waiting;
    for (size_t i = 0; i < taken; i++) {
        total += v->sets[i]->count;
    }
    CK(total <= UINT32_MAX / 64);
    struct set *s = arena_alloc(t->arena, sizeof *s);
    struct tombtab_view *next = arena_alloc(t->arena, sizeof *next);
    const struct set **sets =
        arena_alloc(t->arena, (v->count - taken + 1) * sizeof(const struct set *));
    struct tomb *tombs = arena_alloc(t->arena, total * sizeof *tombs);
    if (s == NULL || next == NULL || sets == NULL || tombs == NULL) {
        return;
    }
    *s = (struct set){.level = level, .count = total, .tombs = tombs};
    for (const struct tombtab_item *i = v->list; i != NULL; i = i->next) {
        *tombs++ = i->tomb;
    }
    for (size_t i = 0; i < taken; i++) {
        memcpy(tombs, v->sets[i]->tombs, v->sets[i]->count * sizeof *tombs);
        tombs += v->sets[i]->count;
    }
    if (!set_build(s, t->order, t->arena)) {
        return;
    }
    sets[0] = s;
    for (size_t i = taken; i < v->count; i++) {
        sets[i - taken + 1] = v->sets[i];
    }
    *next = (struct tombtab_view){.count = v->count - taken + 1, .sets = sets};
    ATOMIC_SET_PTR(&t->view, next);
    t->waiting = 0;
}

/* ---- the writer's calls ---- */

void tombtab_init(struct tombtab *t, struct order order, struct arena *arena)
{
    *t = (struct tombtab){.order = order, .arena = arena};
}

enum status tombtab_prepare(struct tombtab *t)
{
    if (t->first == NULL) {
        t->first = arena_alloc(t->arena, sizeof *t->first);
        if (t->first == NULL) {
            return ST_NOMEM;
        }
        *t->first = (struct tombtab_view){.list = NULL};
    }
    return ST_OK;
}

void tombtab_link(struct tombtab *t, struct tombtab_item *item)
{
    struct tombtab_view *v = t->view != NULL ? t->view : t->first;
    CK(v != NULL);
    item->next = v->list;
    ATOMIC_SET_PTR(&v->list, item);
    if (t->view == NULL) {
        ATOMIC_SET_PTR(&t->view, v);
    }
    atomic_set_u64(&t->count, t->count + 1);
    t->waiting++;
    if (t->waiting % LIST == 0) {
        list_pack(t);
    }
}

/* ---- readers ---- */

static bool covers(struct order o, const struct tomb *t, struct slice key)
{
    return order_compare(o, t->begin, key) <= 0 && order_compare(o, key, t->end) < 0;
}

/* The first of a node's sequences that is <= sequence; 0: none. */
static uint64_t node_newest(const struct set *s, size_t node, uint64_t sequence)
{
    size_t low = s->starts[node];
    size_t end = s->starts[node + 1];
    size_t high = end;
    if (low < end && s->sequences[low] <= sequence) {
        return s->sequences[low];
    }
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->sequences[mid] > sequence) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < end ? s->sequences[low] : 0;
}

static uint64_t set_cover(const struct set *s, struct order o, struct slice key, uint64_t sequence)
{
    size_t low = 0; /* places at or before the key */
    size_t high = s->places;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (order_compare(o, s->keys[mid], key) <= 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low == 0 || low == s->places) {
        return 0;
    }
    uint64_t best = 0;
    for (size_t node = low - 1 + s->places - 1; node >= 1; node /= 2) {
        uint64_t here = node_newest(s, node, sequence);
        best = here > best ? here : best;
    }
    return best;
}

uint64_t tombtab_cover(const struct tombtab *t, struct slice key, uint64_t sequence)
{
    const struct tombtab_view *v = ATOMIC_GET_PTR(&t->view);
    uint64_t best = 0;
    if (v == NULL) {
        return 0;
    }
    for (const struct tombtab_item *i = ATOMIC_GET_PTR(&v->list); i != NULL; i = i->next) {
        if (i->tomb.sequence <= sequence && i->tomb.sequence > best &&
            covers(t->order, &i->tomb, key)) {
            best = i->tomb.sequence;
        }
    }
    for (size_t i = 0; i < v->count; i++) {
        uint64_t here = set_cover(v->sets[i], t->order, key, sequence);
        best = here > best ? here : best;
    }
    return best;
}

/* Copies the tombs <= limit to `to` (NULL: counts them); returns how many. */
static size_t collect(const struct tombtab_view *v, const struct tombtab_item *list, uint64_t limit,
                      struct tomb *to)
{
    size_t n = 0;
    for (const struct tombtab_item *i = list; i != NULL; i = i->next) {
        if (i->tomb.sequence <= limit) {
            if (to != NULL) {
                to[n] = i->tomb;
            }
            n++;
        }
    }
    for (size_t k = 0; k < v->count; k++) {
        for (size_t i = 0; i < v->sets[k]->count; i++) {
            if (v->sets[k]->tombs[i].sequence <= limit) {
                if (to != NULL) {
                    to[n] = v->sets[k]->tombs[i];
                }
                n++;
            }
        }
    }
    return n;
}

enum status tombtab_set(const struct tombtab *t, uint64_t limit, const struct tomb_prune *prune,
                        struct tomb_set **set)
{
    const struct tombtab_view *v = ATOMIC_GET_PTR(&t->view);
    *set = NULL;
    if (v == NULL) {
        return ST_OK;
    }
    const struct tombtab_item *list = ATOMIC_GET_PTR(&v->list);
    size_t count = collect(v, list, limit, NULL);
    if (count == 0) {
        return ST_OK;
    }
    struct tomb *tombs = mem_alloc(t->arena->mem, count * sizeof *tombs);
    if (tombs == NULL) {
        return ST_NOMEM;
    }
    CK(collect(v, list, limit, tombs) == count);
    enum status st = tomb_set_pruned(t->arena->mem, t->order, tombs, count, prune, set);
    mem_release(t->arena->mem, tombs);
    return st;
}

/* Every place of every set has the answer of a walk over its tombs; in O(n^2) for small sets, and
 * counts for all. */
bool tombtab_check(const struct tombtab *t)
{
    const struct tombtab_view *v = t->view;
    if (v == NULL) {
        return t->count == 0;
    }
    for (size_t k = 0; k < v->count; k++) {
        const struct set *s = v->sets[k];
        for (size_t p = 0; p < s->places && s->count <= LIST * FANOUT; p++) {
            uint64_t best = 0;
            for (size_t i = 0; i < s->count; i++) {
                bool better = s->tombs[i].sequence > best;
                best = better && covers(t->order, &s->tombs[i], s->keys[p]) ? s->tombs[i].sequence
                                                                            : best;
            }
            if (set_cover(s, t->order, s->keys[p], UINT64_MAX) != best) {
                return false;
            }
        }
    }
    return collect(v, v->list, UINT64_MAX, NULL) == t->count;
}
