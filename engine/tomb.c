/* tomb.c - see tomb.h.
 *
 * Fragmenting is one sweep over the sorted ends of all tombs. Tombs are grouped in stripes: of one
 * stripe only the newest that covers a place is wanted there. Without pruning every sequence is a
 * stripe of its own. Each stripe has a heap of the tombs that the sweep is inside of, newest on
 * top; one that has ended is thrown away when it comes to the top. */
#include "engine/tomb.h"

#include "base/ck.h"
#include "base/code.h"
#include "engine/entry.h"

struct tomb_set {
    struct mem *mem;
    struct order order;
    size_t bytes; /* of this block */
    size_t count;
    struct tomb_piece pieces[]; /* then the sequences, then the keys */
};

/* ---- putting a set together ---- */

struct draft_piece {
    size_t begin, begin_size; /* offsets into keys */
    size_t end, end_size;
    size_t sequence; /* index of the first */
    size_t count;
};

struct draft {
    struct order order;
    struct buf pieces;    /* struct draft_piece */
    struct buf sequences; /* uint64_t */
    struct buf keys;
};

static void draft_init(struct draft *d, struct mem *mem, struct order order)
{
    d->order = order;
    buf_init(&d->pieces, mem);
    buf_init(&d->sequences, mem);
    buf_init(&d->keys, mem);
}

static void draft_release(struct draft *d)
{
    buf_release(&d->pieces);
    buf_release(&d->sequences);
    buf_release(&d->keys);
}

static size_t draft_sequences(const struct draft *d)
{
    return d->sequences.size / sizeof(uint64_t);
}

static struct draft_piece *draft_last(const struct draft *d)
{
    return d->pieces.size == 0
               ? NULL
               : (struct draft_piece *)(void *)(d->pieces.data + d->pieces.size) - 1;
}

static struct slice draft_end(const struct draft *d, const struct draft_piece *p)
{
    return slice_of(d->keys.data + p->end, p->end_size);
}

static enum status draft_key(struct draft *d, struct slice key, size_t *at)
{
    *at = d->keys.size;
    return buf_append(&d->keys, key.data, key.size);
}

/* Adds the piece [begin, end) with the sequences that were appended since the last one. A piece
 * that goes on where the last one ends shares its key; with the same sequences it is the same
 * piece. */
static enum status draft_add(struct draft *d, struct slice begin, struct slice end)
{
    struct draft_piece *last = draft_last(d);
    struct draft_piece p = {.begin_size = begin.size, .end_size = end.size};
    bool joined = last != NULL && slice_equal(draft_end(d, last), begin);
    enum status st = ST_OK;
    p.sequence = last == NULL ? 0 : last->sequence + last->count;
    p.count = draft_sequences(d) - p.sequence;
    CK(p.count > 0);
    if (joined && last->count == p.count) {
        const uint64_t *all = (const uint64_t *)(const void *)d->sequences.data;
        if (memcmp(all + last->sequence, all + p.sequence, p.count * sizeof *all) == 0) {
            d->keys.size = last->end; /* its key is the last one, and only its own */
            st = draft_key(d, end, &p.end);
            if (st == ST_OK) {
                last->end = p.end;
                last->end_size = p.end_size;
                d->sequences.size -= p.count * sizeof *all;
            }
            return st;
        }
    }
    if (joined) {
        p.begin = last->end;
    } else {
        st = draft_key(d, begin, &p.begin);
    }
    if (st == ST_OK) {
        st = draft_key(d, end, &p.end);
    }
    return st != ST_OK ? st : buf_append(&d->pieces, &p, sizeof p);
}

/* The set of the draft's pieces; NULL when there is none. */
static enum status draft_finish(const struct draft *d, struct tomb_set **set)
{
    *set = NULL;
    size_t count = d->pieces.size / sizeof(struct draft_piece);
    if (count == 0) {
        return ST_OK;
    }
    struct mem *mem = d->pieces.mem;
    size_t bytes = sizeof(struct tomb_set) + count * sizeof(struct tomb_piece) + d->sequences.size +
                   d->keys.size;
    struct tomb_set *s = mem_alloc(mem, bytes);
    if (s == NULL) {
        return ST_NOMEM;
    }
    *s = (struct tomb_set){.mem = mem, .order = d->order, .bytes = bytes, .count = count};
    uint64_t *sequences = (uint64_t *)(void *)(s->pieces + count);
    char *keys = (char *)sequences + d->sequences.size;
    memcpy(sequences, d->sequences.data, d->sequences.size);
    if (d->keys.size > 0) {
        memcpy(keys, d->keys.data, d->keys.size);
    }
    const struct draft_piece *from = (const struct draft_piece *)(const void *)d->pieces.data;
    for (size_t i = 0; i < count; i++) {
        s->pieces[i] = (struct tomb_piece){
            .begin = slice_of(keys + from[i].begin, from[i].begin_size),
            .end = slice_of(keys + from[i].end, from[i].end_size),
            .sequences = sequences + from[i].sequence,
            .count = from[i].count,
        };
    }
    *set = s;
    return ST_OK;
}

/* ---- the sweep ---- */

struct sweep {
    struct order order;
    const struct tomb *tombs;
    size_t count;
    const struct tomb_prune *prune;
    uint32_t *events;    /* 2 * count: tomb * 2, + 1 for its end; by key */
    uint32_t *newest;    /* count: tombs by sequence, newest first: where the stripes' heaps are */
    uint32_t *ends;      /* by tomb: the place where it ends; places are numbered by key */
    uint32_t *stripe_of; /* by tomb */
    uint32_t *first;     /* by stripe: of its heap in `heaps` */
    uint32_t *sizes;     /* by stripe: of its heap */
    uint32_t *heaps;     /* count */
    uint32_t *active;    /* stripes with a tomb at the sweep's place, newest first */
    uint32_t *fresh;     /* stripes that became so at this place */
    size_t active_count;
    size_t fresh_count;
};

static struct slice event_key(const struct sweep *w, uint32_t event)
{
    const struct tomb *t = &w->tombs[event / 2];
    return event % 2 == 0 ? t->begin : t->end;
}

typedef bool sweep_less(const struct sweep *w, uint32_t a, uint32_t b);

static bool event_less(const struct sweep *w, uint32_t a, uint32_t b)
{
    return order_compare(w->order, event_key(w, a), event_key(w, b)) < 0;
}

static bool newer(const struct sweep *w, uint32_t a, uint32_t b)
{
    return w->tombs[a].sequence > w->tombs[b].sequence;
}

static bool smaller(const struct sweep *w, uint32_t a, uint32_t b)
{
    (void)w;
    return a < b;
}

/* Lets list[at] sink in a heap whose top is the last in the order of `less`. */
static void sink(const struct sweep *w, uint32_t *list, size_t count, size_t at, sweep_less *less)
{
    uint32_t item = list[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && less(w, list[child], list[child + 1])) {
            child++;
        }
        if (!less(w, item, list[child])) {
            break;
        }
        list[at] = list[child];
    }
    list[at] = item;
}

/* Heap sort: in place, never quadratic; libc's may allocate. */
static void sort(const struct sweep *w, uint32_t *list, size_t count, sweep_less *less)
{
    for (size_t i = count / 2; i-- > 0;) {
        sink(w, list, count, i, less);
    }
    for (size_t n = count; n-- > 1;) {
        uint32_t top = list[0];
        list[0] = list[n];
        list[n] = top;
        sink(w, list, n, 0, less);
    }
}

static bool older(const struct sweep *w, uint32_t a, uint32_t b)
{
    return newer(w, b, a);
}

static void heap_push(const struct sweep *w, uint32_t *heap, uint32_t size, uint32_t tomb)
{
    uint32_t at = size;
    while (at > 0 && newer(w, tomb, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = tomb;
}

/* How many snapshots are below the sequence. */
static size_t snapshots_below(const struct tomb_prune *p, uint64_t sequence)
{
    size_t low = 0;
    size_t high = p->snapshot_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (p->snapshots[mid] < sequence) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* Whether nobody who matters sees the older of two sequences where the newer covers too. */
static bool hides(const struct tomb_prune *p, uint64_t later, uint64_t earlier)
{
    return later == earlier || (p != NULL && later <= p->visible &&
                                snapshots_below(p, later) == snapshots_below(p, earlier));
}

static void stripes_make(struct sweep *w)
{
    uint32_t stripe = 0;
    sort(w, w->newest, w->count, newer);
    for (uint32_t i = 0; i < w->count; i++) {
        uint32_t tomb = w->newest[i];
        if (i > 0 &&
            !hides(w->prune, w->tombs[w->newest[i - 1]].sequence, w->tombs[tomb].sequence)) {
            stripe++;
        }
        if (i == 0 || w->stripe_of[w->newest[i - 1]] != stripe) {
            w->first[stripe] = i;
        }
        w->stripe_of[tomb] = stripe;
    }
}

static void places_make(struct sweep *w)
{
    uint32_t place = 0;
    sort(w, w->events, 2 * w->count, event_less);
    for (size_t i = 0; i < 2 * w->count; i++) {
        place += i > 0 && event_less(w, w->events[i - 1], w->events[i]);
        if (w->events[i] % 2 == 1) {
            w->ends[w->events[i] / 2] = place;
        }
    }
}

/* Takes a tomb that begins here. */
static void begin_tomb(struct sweep *w, uint32_t tomb)
{
    uint32_t stripe = w->stripe_of[tomb];
    if (w->sizes[stripe] == 0) {
        w->fresh[w->fresh_count++] = stripe;
    }
    heap_push(w, w->heaps + w->first[stripe], w->sizes[stripe]++, tomb);
}

/* Drops what has ended at this place; returns whether the stripe still covers it. */
static bool stripe_settle(struct sweep *w, uint32_t stripe, uint32_t place)
{
    uint32_t *heap = w->heaps + w->first[stripe];
    while (w->sizes[stripe] > 0 && w->ends[heap[0]] <= place) {
        heap[0] = heap[--w->sizes[stripe]];
        sink(w, heap, w->sizes[stripe], 0, older);
    }
    return w->sizes[stripe] > 0;
}

/* Brings active[] to this place: what has ended goes, what is fresh comes in, in order. */
static void active_settle(struct sweep *w, uint32_t place)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->active_count; i++) {
        if (stripe_settle(w, w->active[i], place)) {
            w->active[kept++] = w->active[i];
        }
    }
    sort(w, w->fresh, w->fresh_count, smaller);
    w->active_count = kept + w->fresh_count;
    for (size_t to = w->active_count; w->fresh_count > 0;) {
        bool old = kept > 0 && w->active[kept - 1] > w->fresh[w->fresh_count - 1];
        w->active[--to] = old ? w->active[--kept] : w->fresh[--w->fresh_count];
    }
}

static enum status sweep_run(struct sweep *w, struct draft *d)
{
    size_t total = 2 * w->count;
    size_t next;
    uint32_t place = 0;
    for (size_t i = 0; i < total; i = next, place++) {
        for (next = i; next < total && !event_less(w, w->events[i], w->events[next]); next++) {
            if (w->events[next] % 2 == 0) {
                begin_tomb(w, w->events[next] / 2);
            }
        }
        active_settle(w, place);
        for (size_t k = 0; k < w->active_count; k++) {
            uint32_t top = w->heaps[w->first[w->active[k]]];
            enum status st =
                buf_append(&d->sequences, &w->tombs[top].sequence, sizeof w->tombs[top].sequence);
            if (st != ST_OK) {
                return st;
            }
        }
        if (w->active_count > 0) {
            enum status st =
                draft_add(d, event_key(w, w->events[i]), event_key(w, w->events[next]));
            if (st != ST_OK) {
                return st;
            }
        }
    }
    return ST_OK;
}

enum status tomb_set_pruned(struct mem *mem, struct order order, const struct tomb *tombs,
                            size_t count, const struct tomb_prune *prune, struct tomb_set **set)
{
    CK(count <= UINT32_MAX / 16);
    *set = NULL;
    if (count == 0) {
        return ST_OK;
    }
    uint32_t *work = mem_zalloc(mem, 10 * count * sizeof *work);
    if (work == NULL) {
        return ST_NOMEM;
    }
    struct sweep w = {.order = order, .tombs = tombs, .prune = prune};
    w.events = work;
    w.newest = work + 2 * count;
    w.ends = work + 3 * count;
    w.stripe_of = work + 4 * count;
    w.first = work + 5 * count;
    w.sizes = work + 6 * count;
    w.heaps = work + 7 * count;
    w.active = work + 8 * count;
    w.fresh = work + 9 * count;
    for (uint32_t i = 0; i < count; i++) {
        if (order_compare(order, tombs[i].begin, tombs[i].end) < 0) {
            w.newest[w.count] = i;
            w.events[2 * w.count] = 2 * i;
            w.events[2 * w.count + 1] = 2 * i + 1;
            w.count++;
        }
    }
    stripes_make(&w);
    places_make(&w);
    struct draft d;
    draft_init(&d, mem, order);
    enum status st = sweep_run(&w, &d);
    if (st == ST_OK) {
        st = draft_finish(&d, set);
    }
    draft_release(&d);
    mem_release(mem, work);
    return st;
}

enum status tomb_set_new(struct mem *mem, struct order order, const struct tomb *tombs,
                         size_t count, struct tomb_set **set)
{
    return tomb_set_pruned(mem, order, tombs, count, NULL, set);
}

void tomb_set_free(struct tomb_set *set)
{
    if (set != NULL) {
        mem_release(set->mem, set);
    }
}

/* ---- questions ---- */

size_t tomb_set_count(const struct tomb_set *set)
{
    return set == NULL ? 0 : set->count;
}

struct tomb_piece tomb_set_piece(const struct tomb_set *set, size_t i)
{
    CK(set != NULL);
    CK(i < set->count);
    return set->pieces[i];
}

uint64_t tomb_set_bytes(const struct tomb_set *set)
{
    return set == NULL ? 0 : set->bytes;
}

size_t tomb_set_find(const struct tomb_set *set, struct slice key)
{
    size_t low = 0;
    size_t high = tomb_set_count(set);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (order_compare(set->order, set->pieces[mid].end, key) <= 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

uint64_t tomb_set_cover(const struct tomb_set *set, struct slice key, uint64_t sequence)
{
    size_t at = tomb_set_find(set, key);
    if (at == tomb_set_count(set) || order_compare(set->order, key, set->pieces[at].begin) < 0) {
        return 0;
    }
    const struct tomb_piece *p = &set->pieces[at];
    size_t low = 0;
    size_t high = p->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (p->sequences[mid] > sequence) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < p->count ? p->sequences[low] : 0;
}

/* ---- as bytes ----
 *
 *     varint pieces, then for each piece:
 *     u8 joined (1: it begins where the last one ends), unless joined: varint size, begin
 *     varint size, end, varint sequences, the first as a varint, then how far each one is below */

static enum status put_varint(struct buf *out, uint64_t v)
{
    unsigned char bytes[CODE_VARINT_MAX];
    return buf_append(out, bytes, code_put_varint(bytes, v));
}

static enum status put_key(struct buf *out, struct slice key)
{
    enum status st = put_varint(out, key.size);
    return st != ST_OK ? st : buf_append(out, key.data, key.size);
}

static enum status put_piece(struct buf *out, const struct tomb_piece *p, bool joined)
{
    enum status st = buf_append(out, joined ? "\1" : "\0", 1);
    if (st == ST_OK && !joined) {
        st = put_key(out, p->begin);
    }
    if (st == ST_OK) {
        st = put_key(out, p->end);
    }
    if (st == ST_OK) {
        st = put_varint(out, p->count);
    }
    for (size_t i = 0; i < p->count && st == ST_OK; i++) {
        st = put_varint(out, i == 0 ? p->sequences[0] : p->sequences[i - 1] - p->sequences[i]);
    }
    return st;
}

enum status tomb_set_encode(const struct tomb_set *set, struct buf *out)
{
    size_t before = out->size;
    size_t count = tomb_set_count(set);
    enum status st = put_varint(out, count);
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        const struct tomb_piece *p = &set->pieces[i];
        st = put_piece(out, p, i > 0 && slice_equal(p[-1].end, p->begin));
    }
    if (st != ST_OK) {
        out->size = before;
    }
    return st;
}

static bool get_varint(struct slice *in, uint64_t *v)
{
    size_t n = in->size == 0 ? 0 : code_get_varint(in->data, in->data + in->size, v);
    *in = slice_of(in->data + n, in->size - n);
    return n > 0;
}

static bool get_key(struct slice *in, struct slice *key)
{
    uint64_t size;
    if (!get_varint(in, &size) || size > in->size || size > TKV_KEY_MAX) {
        return false;
    }
    *key = slice_of(in->data, (size_t)size);
    *in = slice_of(in->data + size, in->size - (size_t)size);
    return true;
}

static enum status get_sequences(struct slice *in, struct draft *d)
{
    uint64_t count, v, sequence = 0;
    if (!get_varint(in, &count) || count == 0 || count > in->size) {
        return ST_CORRUPT;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!get_varint(in, &v) || v == 0 || v > ENTRY_SEQUENCE_MAX || (i > 0 && v >= sequence)) {
            return ST_CORRUPT;
        }
        sequence = i == 0 ? v : sequence - v;
        enum status st = buf_append(&d->sequences, &sequence, sizeof sequence);
        if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

/* One piece behind *last, which becomes its end. */
static enum status get_piece(struct slice *in, struct draft *d, bool first, struct slice *last)
{
    if (in->size == 0 || (unsigned char)in->data[0] > (first ? 0 : 1)) {
        return ST_CORRUPT;
    }
    bool joined = in->data[0] == 1;
    struct slice begin = *last;
    struct slice end;
    *in = slice_of(in->data + 1, in->size - 1);
    if (!joined && !get_key(in, &begin)) {
        return ST_CORRUPT;
    }
    if (!joined && !first && order_compare(d->order, begin, *last) <= 0) {
        return ST_CORRUPT; /* equal: it would be joined */
    }
    if (!get_key(in, &end) || order_compare(d->order, begin, end) >= 0) {
        return ST_CORRUPT;
    }
    enum status st = get_sequences(in, d);
    *last = end;
    return st != ST_OK ? st : draft_add(d, begin, end);
}

enum status tomb_set_decode(struct mem *mem, struct order order, struct slice bytes,
                            struct tomb_set **set)
{
    struct draft d;
    struct slice last = slice_of(NULL, 0);
    uint64_t count;
    *set = NULL;
    draft_init(&d, mem, order);
    enum status st = get_varint(&bytes, &count) ? ST_OK : ST_CORRUPT;
    for (uint64_t i = 0; st == ST_OK && i < count; i++) {
        st = get_piece(&bytes, &d, i == 0, &last);
    }
    if (st == ST_OK) {
        st = bytes.size == 0 ? draft_finish(&d, set) : ST_CORRUPT;
    }
    draft_release(&d);
    return st;
}

bool tomb_set_check(const struct tomb_set *set)
{
    for (size_t i = 0; i < tomb_set_count(set); i++) {
        const struct tomb_piece *p = &set->pieces[i];
        if (p->count == 0 || order_compare(set->order, p->begin, p->end) >= 0 ||
            (i > 0 && order_compare(set->order, p[-1].end, p->begin) > 0)) {
            return false; /* T1 */
        }
        for (size_t k = 1; k < p->count; k++) {
            if (p->sequences[k - 1] <= p->sequences[k]) {
                return false; /* T2 */
            }
        }
    }
    return true;
}
