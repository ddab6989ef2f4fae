/* memtree.c - see memtree.h. */
#include "engine/memtree.h"

#include "base/ck.h"
#include "base/code.h"

#define LEAF       MEMTREE_LEAF
#define INNER      64
#define TAIL       16         /* unsorted slots of an inner node */
#define LEAF_LIVE  44         /* fewer than so many are left after pruning: one new leaf will do */
#define RUN        8          /* so many slots filled in order make a run */
#define HEIGHT_MAX 16         /* 24^16 leaves */
#define LINE       64         /* bytes of a cache line */
#define AHEAD      6          /* records that a cursor has on their way to the cache */
#define WHOLE_KEY  UINT64_MAX /* a bound before every version of its key */

/* How a node turns a key into eight bytes that compare as the key does, or equal. */
enum frame_mode {
    FRAME_NONE,    /* a custom order: always 0 */
    FRAME_CERTAIN, /* every key that comes here shares the first `skip` bytes */
    FRAME_CHECKED, /* most do: those of `common`; others become 0 or the greatest */
};

struct frame {
    const char *common;
    uint32_t skip;
    uint32_t mode;
};

struct memtree_node {
    uint64_t count; /* atomic; slots below it are complete */
    uint32_t level; /* 0: a leaf */
    uint32_t sorted;
    struct frame frame;
};

struct slot {
    uint64_t prefix;
    const struct record *record;
};

struct leaf {
    struct memtree_node head;
    const uint64_t
        *lost; /* by sorted slot: the least sequence that was dropped between this version
                  and the next older one that is here, 0: none; NULL: none at all */
    struct memtree_bound high;
    uint64_t unused;
    uint64_t tags[LEAF / 8]; /* a byte of each key's hash; atomic words */
    struct slot slots[LEAF];
};

struct inner {
    struct memtree_node head;
    uint64_t prefixes[INNER];
    struct memtree_bound bounds[INNER];   /* of slot 0: not looked at, it takes what is below */
    struct memtree_node *children[INNER]; /* atomic */
};

/* Memory for a node, in wait. */
struct memtree_spare {
    struct memtree_spare *next;
};

struct memtree_cell {
    struct memtree_cell *next;
    const struct record *record;
};

struct target {
    enum { AT, BEFORE, FIRST, LAST } what; /* AT: at or after; BEFORE: what is less */
    struct slice key;
    uint64_t sequence;
};

struct range {
    struct memtree_bound low, high;
};

/* ---- keys as numbers ---- */

static uint64_t load8(struct slice s, size_t skip)
{
    uint64_t v = 0;
    if (s.size >= skip + 8) {
        return __builtin_bswap64(code_get64(s.data + skip));
    }
    for (size_t i = skip; i < skip + 8; i++) {
        v = v << 8 | (i < s.size ? (unsigned char)s.data[i] : 0);
    }
    return v;
}

static uint64_t prefix_of(const struct frame *f, struct slice key)
{
    if (f->mode == FRAME_NONE) {
        return 0;
    }
    if (f->mode == FRAME_CHECKED) {
        size_t n = key.size < f->skip ? key.size : f->skip;
        int c = n > 0 ? memcmp(key.data, f->common, n) : 0;
        if (c != 0 || n < f->skip) {
            return c > 0 ? UINT64_MAX : 0;
        }
    }
    return load8(key, f->skip);
}

static uint8_t tag_of(struct slice key)
{
    uint64_t a = load8(key, 0);
    uint64_t b = key.size > 8 ? load8(key, key.size - 8) : key.size;
    return (uint8_t)(((a ^ b * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu) >> 56);
}

static size_t shared(struct slice a, struct slice b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    size_t i = 0;
    while (i < n && a.data[i] == b.data[i]) {
        i++;
    }
    return i;
}

/* The frame of a node for keys in `range`, of which the least and the greatest are given. */
static struct frame frame_for(struct order order, const struct range *range, struct slice least,
                              struct slice greatest)
{
    if (!order_bytewise(order)) {
        return (struct frame){NULL, 0, FRAME_NONE};
    }
    size_t certain = 0;
    if (range->low.record != NULL && range->high.record != NULL) {
        certain = shared(record_key(range->low.record), record_key(range->high.record));
    }
    size_t actual = shared(least, greatest);
    if (actual >= certain + 4) {
        return (struct frame){least.data, (uint32_t)actual, FRAME_CHECKED};
    }
    return (struct frame){NULL, (uint32_t)certain, FRAME_CERTAIN};
}

static int bound_compare(struct order o, const struct memtree_bound *a, struct slice key,
                         uint64_t sequence)
{
    return entry_compare(o, record_key(a->record), a->sequence, key, sequence);
}

static int record_compare(struct order o, const struct record *a, const struct record *b)
{
    return entry_compare(o, record_key(a), a->sequence, record_key(b), b->sequence);
}

/* Whether the record is less than what is asked for. */
static bool record_before(struct order o, const struct record *r, const struct target *g)
{
    return g->what == LAST || (g->what != FIRST && entry_compare(o, record_key(r), r->sequence,
                                                                 g->key, g->sequence) < 0);
}

/* ---- finding ---- */

static unsigned count_below(const uint64_t *list, unsigned n, uint64_t prefix)
{
    const uint64_t *base = list;
    while (n > 1) {
        unsigned half = n / 2;
        base += base[half - 1] < prefix ? half : 0;
        n -= half;
    }
    return (unsigned)(base - list) + (n == 1 && base[0] < prefix);
}

/* Whether what is asked for may lie behind the separator of slot i. */
static bool behind(struct order o, const struct inner *n, unsigned i, uint64_t prefix,
                   const struct target *g)
{
    if (g->what >= FIRST) {
        return g->what == LAST;
    }
    if (n->prefixes[i] != prefix) {
        return n->prefixes[i] < prefix;
    }
    int c = bound_compare(o, &n->bounds[i], g->key, g->sequence);
    return g->what == BEFORE ? c < 0 : c <= 0;
}

static bool slot_above(struct order o, const struct inner *n, unsigned i, unsigned j)
{
    if (n->prefixes[i] != n->prefixes[j]) {
        return n->prefixes[i] > n->prefixes[j];
    }
    return bound_compare(o, &n->bounds[i], record_key(n->bounds[j].record), n->bounds[j].sequence) >
           0;
}

/* The sorted slots that what is asked for may lie behind; slot 0 always is one. */
static unsigned sorted_behind(struct order o, const struct inner *n, uint64_t prefix,
                              const struct target *g)
{
    unsigned high = n->head.sorted;
    if (g->what >= FIRST) {
        return g->what == LAST ? high : 1;
    }
    unsigned low = 1 + count_below(n->prefixes + 1, high - 1, prefix);
    if (low == high || n->prefixes[low] != prefix) {
        return low;
    }
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (behind(o, n, mid, prefix, g)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* The slot among the first `count` that leads to what is asked for; narrows range when given. */
static unsigned choose(struct order o, const struct inner *n, unsigned count,
                       const struct target *g, struct range *range)
{
    uint64_t prefix = g->what >= FIRST ? 0 : prefix_of(&n->head.frame, g->key);
    unsigned next = sorted_behind(o, n, prefix, g);
    unsigned best = next - 1;
    unsigned above =
        next < n->head.sorted ? next : 0; /* the least that it is not behind; 0: none */
    for (unsigned i = n->head.sorted; i < count; i++) {
        if (behind(o, n, i, prefix, g)) {
            best = best == 0 || slot_above(o, n, i, best) ? i : best;
        } else if (range != NULL) {
            above = above == 0 || slot_above(o, n, above, i) ? i : above;
        }
    }
    if (range != NULL) {
        range->low = best > 0 ? n->bounds[best] : range->low;
        range->high = above > 0 ? n->bounds[above] : range->high;
    }
    return best;
}

/* One level down. The count is looked at again after the child: who sees a child that has shrunk
 * sees the sibling that took the rest (T6). Each round sees a higher count, so they are few. */
static struct memtree_node *child_get(struct order o, const struct inner *n, const struct target *g,
                                      struct range *range, unsigned *slot)
{
    uint64_t count = atomic_get_u64(&n->head.count);
    for (;;) {
        struct range narrow = range != NULL ? *range : (struct range){0};
        *slot = choose(o, n, (unsigned)count, g, range != NULL ? &narrow : NULL);
        struct memtree_node *child = ATOMIC_GET_PTR(&n->children[*slot]);
        uint64_t now = atomic_get_u64(&n->head.count);
        if (now == count) {
            if (range != NULL) {
                *range = narrow;
            }
            return child;
        }
        count = now;
    }
}

static struct leaf *leaf_find(const struct memtree *t, const struct target *g, struct range *range)
{
    struct memtree_node *n = ATOMIC_GET_PTR(&t->root);
    unsigned slot;
    while (n->level > 0) {
        n = child_get(t->order, (const struct inner *)n, g, range, &slot);
    }
    return (struct leaf *)n;
}

/* The slots below count whose tags are as given, as bits. */
static uint64_t tags_match(const struct leaf *l, unsigned count, uint8_t tag)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t mask = 0;
    for (unsigned w = 0; w * 8 < count; w++) {
        uint64_t x = atomic_get_u64(&l->tags[w]) ^ (ones * tag);
        uint64_t hit = (x - ones) & ~x & (ones << 7); /* a few too many, never too few */
        mask |= ((hit >> 7) * 0x0102040810204080u >> 56) << (8 * w);
    }
    return count == 64 ? mask : mask & (((uint64_t)1 << count) - 1);
}

static uint64_t lost_at(const struct leaf *l, unsigned i)
{
    return l->lost != NULL && i < l->head.sorted ? l->lost[i] : 0;
}

/* The newest version <= sequence in the leaf. Those that were put in since it was made are newer
 * than those it was made of, and the later the newer. *stale: one that has been dropped would be
 * the answer, which is told by the oldest version that is newer than what is asked for. */
static const struct record *leaf_get(const struct leaf *l, struct slice key, uint64_t sequence,
                                     bool *stale)
{
    unsigned count = (unsigned)atomic_get_u64(&l->head.count);
    uint64_t mask = tags_match(l, count, tag_of(key));
    uint64_t old = l->head.sorted == 64 ? UINT64_MAX : (((uint64_t)1 << l->head.sorted) - 1);
    uint64_t tail = mask & ~old;
    mask &= old;
    if ((tail | mask) == 0) {
        return NULL;
    }
    uint64_t prefix = prefix_of(&l->head.frame, key);
    while ((tail | mask) != 0) {
        unsigned i;
        if (tail != 0) {
            i = 63 - (unsigned)__builtin_clzll(tail);
            tail ^= (uint64_t)1 << i;
        } else {
            i = (unsigned)__builtin_ctzll(mask);
            mask &= mask - 1;
        }
        const struct slot *s = &l->slots[i];
        if (s->prefix == prefix && slice_equal(record_key(s->record), key)) {
            if (s->record->sequence <= sequence) {
                return s->record;
            }
            uint64_t lost = lost_at(l, i);
            *stale = lost != 0 && lost <= sequence;
        }
    }
    return NULL;
}

static const struct record *overflow_get(const struct memtree *t, struct slice key,
                                         uint64_t sequence)
{
    const struct record *best = NULL;
    for (const struct memtree_cell *c = ATOMIC_GET_PTR(&t->overflow); c != NULL; c = c->next) {
        const struct record *r = c->record;
        if (r->sequence <= sequence && (best == NULL || r->sequence > best->sequence) &&
            slice_equal(record_key(r), key)) {
            best = r;
        }
    }
    return best;
}

const struct record *memtree_get(const struct memtree *t, struct slice key, uint64_t sequence,
                                 bool *stale)
{
    const struct record *over = overflow_get(t, key, sequence);
    const struct record *r;
    struct target g = {AT, key, sequence};
    *stale = false;
    for (;;) {
        const struct leaf *l = leaf_find(t, &g, NULL);
        r = leaf_get(l, key, sequence, stale);
        if (r != NULL || *stale || l->high.record == NULL || l->high.sequence == WHOLE_KEY ||
            !slice_equal(record_key(l->high.record), key)) {
            break;
        }
        g.sequence = l->high.sequence; /* its versions go on in the next leaf */
    }
    return over != NULL && (r == NULL || over->sequence > r->sequence) ? over : r;
}

/* ---- making nodes ---- */

static bool spare_add(struct memtree *t, size_t size, struct memtree_spare **list, size_t *count)
{
    char *p = arena_alloc(t->arena, size + LINE);
    if (p == NULL) {
        return false;
    }
    struct memtree_spare *n = (void *)(p + (LINE - (uintptr_t)p % LINE));
    n->next = *list;
    *list = n;
    (*count)++;
    return true;
}

/* Makes sure of spare nodes; false when memory is refused. */
static bool spares_reserve(struct memtree *t, size_t leaves, size_t inners)
{
    while (t->spare_leaf_count < leaves) {
        if (!spare_add(t, sizeof(struct leaf), &t->spare_leaves, &t->spare_leaf_count)) {
            return false;
        }
    }
    while (t->spare_inner_count < inners) {
        if (!spare_add(t, sizeof(struct inner), &t->spare_inners, &t->spare_inner_count)) {
            return false;
        }
    }
    return true;
}

static void *spare_take(struct memtree_spare **list, size_t *count)
{
    struct memtree_spare *n = *list;
    CK(n != NULL);
    *list = n->next;
    (*count)--;
    return n;
}

/* An empty leaf below `high`, which becomes the rightmost one when that is open. */
static struct leaf *leaf_new(struct memtree *t, struct frame frame, struct memtree_bound high,
                             const uint64_t *lost)
{
    struct leaf *l = spare_take(&t->spare_leaves, &t->spare_leaf_count);
    l->head = (struct memtree_node){.frame = frame};
    l->lost = lost;
    l->high = high;
    l->unused = 0;
    t->rightmost = high.record == NULL ? &l->head : t->rightmost;
    memset(l->tags, 0, sizeof l->tags);
    return l;
}

static void leaf_put(struct leaf *l, const struct record *r, uint64_t prefix, uint8_t tag)
{
    uint64_t i = l->head.count;
    CK(i < LEAF);
    l->slots[i] = (struct slot){prefix, r};
    atomic_set_u64(&l->tags[i / 8], l->tags[i / 8] | (uint64_t)tag << (i % 8 * 8));
    atomic_set_u64(&l->head.count, i + 1);
}

static void leaf_append(struct leaf *l, const struct record *r)
{
    struct slice key = record_key(r);
    leaf_put(l, r, prefix_of(&l->head.frame, key), tag_of(key));
}

static uint8_t tag_get(const struct leaf *l, unsigned i)
{
    return (uint8_t)(atomic_get_u64(&l->tags[i / 8]) >> (i % 8 * 8));
}

static bool slot_less(struct order o, const struct leaf *l, unsigned i, unsigned j)
{
    if (l->slots[i].prefix != l->slots[j].prefix) {
        return l->slots[i].prefix < l->slots[j].prefix;
    }
    return record_compare(o, l->slots[i].record, l->slots[j].record) < 0;
}

/* Puts slot i into its place among the n that order[] has. */
static void order_add(struct order o, const struct leaf *l, uint8_t *order, unsigned n, unsigned i)
{
    unsigned low = 0;
    unsigned high = n;
    if (n > 0 && slot_less(o, l, order[n - 1], i)) {
        low = n; /* as it is in an ascending run */
    }
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (slot_less(o, l, order[mid], i)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    memmove(order + low + 1, order + low, n - low);
    order[low] = (uint8_t)i;
}

/* ---- the way down, for the writer ---- */

struct step {
    struct inner *node;
    unsigned slot;
    struct range range; /* of the node */
};

struct path {
    unsigned depth;
    struct step steps[HEIGHT_MAX];
    struct leaf *leaf;
    struct range range; /* of the leaf */
};

static void path_find(const struct memtree *t, const struct target *g, struct path *p)
{
    struct memtree_node *n = t->root;
    p->depth = 0;
    p->range = (struct range){0};
    while (n->level > 0) {
        CK(p->depth < HEIGHT_MAX);
        struct step *s = &p->steps[p->depth++];
        s->node = (struct inner *)n;
        s->range = p->range;
        n = child_get(t->order, s->node, g, &p->range, &s->slot);
    }
    p->leaf = (struct leaf *)n;
}

static bool inner_has_room(const struct inner *n)
{
    return n->head.count < INNER && n->head.count - n->head.sorted < TAIL;
}

/* Whether what is in n and one more slot fit into one new node. */
static bool inner_fits_one(const struct inner *n)
{
    return n->head.count + 1 <= INNER - TAIL;
}

/* Inner nodes that one more child below the path may take. */
static size_t inners_wanted(const struct path *p)
{
    size_t wanted = 0;
    for (unsigned i = p->depth; i-- > 0;) {
        if (inner_has_room(p->steps[i].node)) {
            return wanted;
        }
        if (inner_fits_one(p->steps[i].node)) {
            return wanted + 1;
        }
        wanted += 2;
    }
    return wanted + 1; /* a new root */
}

/* ---- making changes visible ---- */

struct branch {
    struct memtree_bound bound;
    struct memtree_node *child;
};

static struct inner *inner_new(struct memtree *t, const struct branch *list, unsigned count,
                               const struct range *range)
{
    struct inner *n = spare_take(&t->spare_inners, &t->spare_inner_count);
    const struct memtree_bound *first = &list[count > 1 ? 1 : 0].bound;
    const struct memtree_bound *last = &list[count - 1].bound;
    CK(count >= 2);
    CK(count <= INNER - TAIL);
    n->head = (struct memtree_node){
        .count = count,
        .sorted = count,
        .level = list[0].child->level + 1,
        .frame = frame_for(t->order, range, record_key(first->record), record_key(last->record)),
    };
    for (unsigned i = 0; i < count; i++) {
        n->bounds[i] = list[i].bound;
        n->prefixes[i] = i == 0 ? 0 : prefix_of(&n->head.frame, record_key(list[i].bound.record));
        n->children[i] = list[i].child;
    }
    return n;
}

/* What is at `depth` of the path becomes n, with the same range. */
static void replace(struct memtree *t, const struct path *p, unsigned depth, struct memtree_node *n)
{
    if (depth == 0) {
        ATOMIC_SET_PTR(&t->root, n);
    } else {
        const struct step *s = &p->steps[depth - 1];
        ATOMIC_SET_PTR(&s->node->children[s->slot], n);
    }
}

/* The slots of a node in order, with the child of `slot` replaced and one put in behind it. */
static unsigned branches_of(struct order o, const struct step *s, struct memtree_node *left,
                            const struct branch *right, struct branch *list)
{
    const struct inner *n = s->node;
    unsigned count = 0;
    uint8_t order[INNER];
    for (unsigned i = 0; i < n->head.count; i++) {
        unsigned at = i;
        while (i >= n->head.sorted && at > 1 && slot_above(o, n, order[at - 1], i)) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = (uint8_t)i;
    }
    for (unsigned i = 0; i < n->head.count; i++) {
        unsigned from = order[i];
        list[count++] = (struct branch){n->bounds[from], n->children[from]};
        if (from == s->slot) {
            list[count - 1].child = left;
            list[count++] = *right;
        }
    }
    return count;
}

static void inner_append(struct inner *n, const struct branch *b)
{
    uint64_t i = n->head.count;
    n->bounds[i] = b->bound;
    n->prefixes[i] = prefix_of(&n->head.frame, record_key(b->bound.record));
    n->children[i] = b->child;
    atomic_set_u64(&n->head.count, i + 1);
}

/* What the path leads to has become `left`, and `right` behind the bound. */
static void attach(struct memtree *t, const struct path *p, struct memtree_node *left,
                   struct branch right)
{
    struct branch list[INNER + 1];
    for (unsigned depth = p->depth; depth-- > 0;) {
        const struct step *s = &p->steps[depth];
        if (inner_has_room(s->node)) {
            inner_append(s->node, &right);
            replace(t, p, depth + 1, left); /* in this order: T6 */
            return;
        }
        unsigned count = branches_of(t->order, s, left, &right, list);
        if (inner_fits_one(s->node)) {
            replace(t, p, depth, &inner_new(t, list, count, &s->range)->head);
            return;
        }
        /* where the last child was split again, what comes will come there too */
        unsigned half = s->range.high.record == NULL && s->slot == s->node->head.count - 1
                            ? INNER - TAIL
                            : count / 2;
        half = half > count - 2 ? count - 2 : half;
        struct range low = {s->range.low, list[half].bound};
        struct range high = {list[half].bound, s->range.high};
        left = &inner_new(t, list, half, &low)->head;
        right = (struct branch){list[half].bound,
                                &inner_new(t, list + half, count - half, &high)->head};
    }
    list[0] = (struct branch){{NULL, 0}, left};
    list[1] = right;
    replace(t, p, 0, &inner_new(t, list, 2, &(struct range){0})->head);
}

/* ---- dividing a full leaf ---- */

/* How many snapshots are below the sequence. */
static size_t snapshots_below(const struct memtree *t, uint64_t sequence)
{
    size_t low = 0;
    size_t high = t->snapshot_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->snapshots[mid] < sequence) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* Whether nobody can ask for the older one of two versions of a key that lie side by side. */
static bool hidden(const struct memtree *t, uint64_t newer, uint64_t older)
{
    return newer <= t->visible && snapshots_below(t, newer) == snapshots_below(t, older);
}

static bool same_key(const struct leaf *l, unsigned i, unsigned j)
{
    return l->slots[i].prefix == l->slots[j].prefix &&
           slice_equal(record_key(l->slots[i].record), record_key(l->slots[j].record));
}

/* Takes hidden versions out of the order; returns how many stay, and by place in the order what
 * was lost below each (see struct leaf). */
static unsigned order_prune(const struct memtree *t, const struct leaf *l, uint8_t *order,
                            unsigned count, uint64_t *lost, bool *any)
{
    unsigned kept = 0;
    unsigned newer = 0;
    *any = false;
    for (unsigned i = 0; i < count; i++) {
        unsigned at = order[i];
        uint64_t sequence = l->slots[at].record->sequence;
        uint64_t below = lost_at(l, at);
        if (i > 0 && t->visible > 0 && same_key(l, newer, at) &&
            hidden(t, l->slots[newer].record->sequence, sequence)) {
            lost[kept - 1] = below != 0 ? below : sequence; /* what is below it is less */
        } else {
            lost[kept] = below;
            order[kept++] = (uint8_t)at;
        }
        *any = *any || lost[kept - 1] != 0;
        newer = at;
    }
    return kept;
}

/* A leaf of slots of an old one, and room for r, which will come in too. */
static struct leaf *leaf_part(struct memtree *t, const struct leaf *from, const uint8_t *order,
                              unsigned count, const struct range *range, const uint64_t *lost,
                              const struct record *r)
{
    struct slice least = record_key(from->slots[order[0]].record);
    struct slice greatest = record_key(from->slots[order[count - 1]].record);
    struct slice own = record_key(r);
    if (order_bytewise(t->order)) {
        least = slice_compare(own, least) < 0 ? own : least;
        greatest = slice_compare(own, greatest) > 0 ? own : greatest;
    }
    const struct frame *old = &from->head.frame;
    struct frame f = frame_for(t->order, range, least, greatest);
    bool keep = old->mode != FRAME_CHECKED && f.skip < old->skip + 4;
    struct leaf *l = leaf_new(t, keep ? *old : f, range->high, lost);
    for (unsigned i = 0; i < count; i++) {
        const struct slot *s = &from->slots[order[i]];
        leaf_put(l, s->record, keep ? s->prefix : prefix_of(&f, record_key(s->record)),
                 tag_get(from, order[i]));
    }
    l->head.sorted = count;
    return l;
}

/* Where to cut: near the middle, between two keys if that is possible there. */
static unsigned cut_find(const struct leaf *l, const uint8_t *order, unsigned count)
{
    for (unsigned off = 0; off < count / 4; off++) {
        if (!same_key(l, order[count / 2 - off - 1], order[count / 2 - off])) {
            return count / 2 - off;
        }
        if (!same_key(l, order[count / 2 + off - 1], order[count / 2 + off])) {
            return count / 2 + off;
        }
    }
    return count / 2;
}

/* A run that goes up leaves the leaf as it is and goes on in a new one, as does one that goes
 * down. False: this is no run. */
static bool divide_run(struct memtree *t, const struct path *p, const uint8_t *order,
                       const struct record *r, bool *refused)
{
    struct leaf *l = p->leaf;
    const struct record *first = l->slots[order[0]].record;
    const struct record *last = l->slots[order[LEAF - 1]].record;
    bool up = order_compare(t->order, record_key(r), record_key(last)) > 0;
    bool down = order_compare(t->order, record_key(r), record_key(first)) < 0;
    for (unsigned i = 0; i < RUN; i++) {
        up = up && order[LEAF - 1 - i] == LEAF - 1 - i;
        down = down && order[i] == LEAF - 1 - i;
    }
    if (!up && !down) {
        return false;
    }
    *refused = !spares_reserve(t, 1, inners_wanted(p));
    if (*refused) {
        return true;
    }
    struct memtree_bound bound = {up ? r : first, WHOLE_KEY};
    struct range range = p->range;
    range.low = up ? bound : range.low;
    range.high = up ? range.high : bound;
    struct frame f = frame_for(t->order, &range, record_key(r), record_key(r));
    if (f.mode == FRAME_CHECKED) {
        /* one key says little about what keys share */
        f = frame_for(t->order, &range, record_key(up ? last : r), record_key(up ? r : first));
    }
    struct leaf *n = leaf_new(t, f, range.high, NULL);
    leaf_append(n, r);
    attach(t, p, up ? &l->head : &n->head, (struct branch){bound, up ? &n->head : &l->head});
    return true;
}

/* Rewrites a full leaf, and puts r in. False when memory is refused: nothing has changed. */
static bool divide(struct memtree *t, const struct target *g, const struct record *r)
{
    struct path p;
    uint8_t order[LEAF + 1];
    bool refused = false;
    path_find(t, g, &p);
    struct leaf *l = p.leaf;
    unsigned count = l->head.sorted;
    for (unsigned i = 0; i < LEAF; i++) {
        if (i < count) {
            order[i] = (uint8_t)i;
        } else {
            order_add(t->order, l, order, i, i);
        }
    }
    if (divide_run(t, &p, order, r, &refused)) {
        return !refused;
    }
    uint64_t below[LEAF];
    uint64_t *lost = NULL;
    bool any;
    count = order_prune(t, l, order, LEAF, below, &any);
    if (any) {
        lost = arena_alloc(t->arena, count * sizeof *lost);
        if (lost == NULL) {
            return false;
        }
        memcpy(lost, below, count * sizeof *lost);
    }
    if (!spares_reserve(t, 2, inners_wanted(&p))) {
        return false;
    }
    atomic_set_u64(&t->count, t->count - (LEAF - count));
    if (count < LEAF_LIVE) {
        struct leaf *n = leaf_part(t, l, order, count, &p.range, lost, r);
        leaf_append(n, r);
        replace(t, &p, p.depth, &n->head);
        return true;
    }
    unsigned cut = cut_find(l, order, count);
    bool whole = !same_key(l, order[cut - 1], order[cut]);
    const struct record *first = l->slots[order[cut]].record;
    struct memtree_bound bound = {first, whole ? WHOLE_KEY : first->sequence};
    struct range low = {p.range.low, bound};
    struct range high = {bound, p.range.high};
    struct leaf *left = leaf_part(t, l, order, cut, &low, lost, r);
    struct leaf *right =
        leaf_part(t, l, order + cut, count - cut, &high, lost != NULL ? lost + cut : NULL, r);
    leaf_append(bound_compare(t->order, &bound, g->key, g->sequence) <= 0 ? right : left, r);
    attach(t, &p, &left->head, (struct branch){bound, &right->head});
    return true;
}

/* ---- the writer's calls ---- */

enum status memtree_init(struct memtree *t, struct order order, struct arena *arena)
{
    *t = (struct memtree){.order = order, .arena = arena};
    if (!spares_reserve(t, 1, 0)) {
        return ST_NOMEM;
    }
    struct frame f = {NULL, 0, order_bytewise(order) ? FRAME_CERTAIN : FRAME_NONE};
    t->root = &leaf_new(t, f, (struct memtree_bound){0}, NULL)->head;
    return ST_OK;
}

static bool cells_reserve(struct memtree *t, size_t count)
{
    while (t->cell_count < count) {
        struct memtree_cell *c = arena_alloc(t->arena, sizeof *c);
        if (c == NULL) {
            return false;
        }
        c->next = t->cells;
        t->cells = c;
        t->cell_count++;
    }
    return true;
}

struct record *memtree_new_record(struct memtree *t, uint8_t type, struct slice key,
                                  struct slice value)
{
    CK(key.size <= RECORD_KEY_MAX);
    CK(value.size <= UINT32_MAX);
    if (!cells_reserve(t, t->waiting + 1)) {
        return NULL;
    }
    struct record *r = arena_alloc(t->arena, sizeof *r + key.size + value.size);
    if (r == NULL) {
        return NULL;
    }
    r->chain = NULL;
    r->value_size = (uint32_t)value.size;
    r->key_size = (uint32_t)key.size & RECORD_KEY_MAX;
    r->type = type;
    char *bytes = (char *)(r + 1);
    if (key.size > 0) {
        memcpy(bytes, key.data, key.size);
    }
    if (value.size > 0) {
        memcpy(bytes + key.size, value.data, value.size);
    }
    t->waiting++;
    return r;
}

void memtree_link(struct memtree *t, struct record *r, uint64_t sequence)
{
    struct target g = {AT, record_key(r), sequence};
    CK(t->waiting > 0);
    r->sequence = sequence;
    bool above = t->greatest == NULL || order_compare(t->order, g.key, record_key(t->greatest)) > 0;
    struct leaf *l = above ? (struct leaf *)t->rightmost : leaf_find(t, &g, NULL);
    t->greatest = above ? r : t->greatest;
    if (l->head.count < LEAF) {
        leaf_append(l, r);
    } else if (!divide(t, &g, r)) {
        struct memtree_cell *c = t->cells;
        t->cells = c->next;
        t->cell_count--;
        *c = (struct memtree_cell){t->overflow, r};
        ATOMIC_SET_PTR(&t->overflow, c);
    }
    t->waiting--;
    atomic_set_u64(&t->count, t->count + 1);
}

void memtree_prune(struct memtree *t, uint64_t visible, const uint64_t *snapshots, size_t count)
{
    t->visible = visible;
    t->snapshots = snapshots;
    t->snapshot_count = count;
}

/* ---- in order ---- */

void memtree_cursor_init(struct memtree_cursor *c, const struct memtree *t)
{
    c->tree = t;
    c->count = 0;
    c->at = 0;
    c->to_high = false;
}

/* Whether slot i is less than what is asked for. */
static bool slot_before(struct order o, const struct leaf *l, unsigned i, uint64_t prefix,
                        const struct target *g)
{
    if (g->what < FIRST && l->slots[i].prefix != prefix) {
        return l->slots[i].prefix < prefix;
    }
    return record_before(o, l->slots[i].record, g);
}

/* How many of the sorted slots are. */
static unsigned sorted_before(struct order o, const struct leaf *l, uint64_t prefix,
                              const struct target *g)
{
    unsigned low = 0;
    unsigned high = l->head.sorted;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (slot_before(o, l, mid, prefix, g)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* Copies what a leaf has on the asked side of the target. */
static void copy_leaf(struct memtree_cursor *c, const struct target *g)
{
    const struct memtree *t = c->tree;
    struct range range = {{NULL, 0}, {NULL, 0}};
    uint8_t order[LEAF + 1];
    const struct leaf *l = leaf_find(t, g, &range);
    unsigned total = (unsigned)atomic_get_u64(&l->head.count);
    bool back = g->what == BEFORE || g->what == LAST;
    c->to_high = !back;
    c->low = range.low;
    c->high = range.high;
    c->count = 0;
    uint64_t prefix = g->what >= FIRST ? 0 : prefix_of(&l->head.frame, g->key);
    unsigned cut = sorted_before(t->order, l, prefix, g);
    for (unsigned i = back ? 0 : cut, end = back ? cut : l->head.sorted; i < end; i++) {
        order[c->count++] = (uint8_t)i;
    }
    for (unsigned i = l->head.sorted; i < total; i++) {
        if (slot_before(t->order, l, i, prefix, g) == back) {
            order_add(t->order, l, order, c->count++, i);
        }
    }
    for (unsigned i = 0; i < c->count; i++) {
        c->list[i] = l->slots[order[i]].record;
    }
    for (unsigned i = 0; i < AHEAD && i < c->count; i++) {
        __builtin_prefetch(c->list[back ? c->count - 1 - i : i]);
    }
}

/* Goes on in the direction of the target until there is something. */
static const struct record *tree_move(struct memtree_cursor *c, struct target g)
{
    bool back = g.what == BEFORE || g.what == LAST;
    for (;;) {
        copy_leaf(c, &g);
        if (c->count > 0) {
            c->at = back ? c->count - 1 : 0;
            return c->list[c->at];
        }
        const struct memtree_bound *b = back ? &c->low : &c->high;
        if (b->record == NULL) {
            return NULL;
        }
        g = (struct target){back ? BEFORE : AT, record_key(b->record), b->sequence};
    }
}

/* The nearest record of the overflow list on the asked side of the target. */
static const struct record *overflow_near(const struct memtree *t, const struct target *g)
{
    bool back = g->what == BEFORE || g->what == LAST;
    const struct record *best = NULL;
    for (const struct memtree_cell *c = ATOMIC_GET_PTR(&t->overflow); c != NULL; c = c->next) {
        if (record_before(t->order, c->record, g) == back &&
            (best == NULL || (record_compare(t->order, c->record, best) > 0) == back)) {
            best = c->record;
        }
    }
    return best;
}

static const struct record *cursor_move(struct memtree_cursor *c, struct target g)
{
    const struct record *r = tree_move(c, g);
    if (!memtree_full(c->tree)) {
        return r;
    }
    const struct record *over = overflow_near(c->tree, &g);
    bool back = g.what == BEFORE || g.what == LAST;
    if (over != NULL && (r == NULL || (record_compare(c->tree->order, over, r) > 0) == back)) {
        c->count = 0; /* stands beside the tree: every step looks again */
        return over;
    }
    return r;
}

const struct record *memtree_cursor_first(struct memtree_cursor *c)
{
    return cursor_move(c, (struct target){.what = FIRST});
}

const struct record *memtree_cursor_last(struct memtree_cursor *c)
{
    return cursor_move(c, (struct target){.what = LAST});
}

const struct record *memtree_cursor_seek(struct memtree_cursor *c, struct slice key,
                                         uint64_t sequence)
{
    return cursor_move(c, (struct target){AT, key, sequence});
}

const struct record *memtree_cursor_before(struct memtree_cursor *c, struct slice key,
                                           uint64_t sequence)
{
    return cursor_move(c, (struct target){BEFORE, key, sequence});
}

const struct record *memtree_cursor_next(struct memtree_cursor *c, const struct record *from)
{
    if (c->at + 1 < c->count && !memtree_full(c->tree)) {
        c->at++;
        if (c->at + AHEAD < c->count) {
            __builtin_prefetch(c->list[c->at + AHEAD]);
        }
        return c->list[c->at];
    }
    CK(from->sequence > 0);
    if (c->count > 0 && c->to_high && !memtree_full(c->tree)) {
        if (c->high.record == NULL) {
            return NULL;
        }
        return cursor_move(c, (struct target){AT, record_key(c->high.record), c->high.sequence});
    }
    return cursor_move(c, (struct target){AT, record_key(from), from->sequence - 1});
}

const struct record *memtree_cursor_prev(struct memtree_cursor *c, const struct record *from)
{
    if (c->at > 0 && c->at < c->count && !memtree_full(c->tree)) {
        c->at--;
        if (c->at >= AHEAD) {
            __builtin_prefetch(c->list[c->at - AHEAD]);
        }
        return c->list[c->at];
    }
    return cursor_move(c, (struct target){BEFORE, record_key(from), from->sequence});
}

/* ---- checking ---- */

static bool in_range(struct order o, const struct range *range, struct slice key, uint64_t sequence)
{
    return (range->low.record == NULL || bound_compare(o, &range->low, key, sequence) <= 0) &&
           (range->high.record == NULL || bound_compare(o, &range->high, key, sequence) > 0);
}

static bool leaf_check(const struct memtree *t, const struct leaf *l, const struct range *range)
{
    for (unsigned i = 0; i < l->head.count; i++) {
        const struct record *r = l->slots[i].record;
        struct slice key = record_key(r);
        if (!in_range(t->order, range, key, r->sequence) ||
            (i > 0 && i < l->head.sorted && !slot_less(t->order, l, i - 1, i)) ||
            l->slots[i].prefix != prefix_of(&l->head.frame, key) || tag_get(l, i) != tag_of(key)) {
            return false;
        }
    }
    return true;
}

/* One leaf after the other from the left, each from the root with the bound where it begins. */
bool memtree_check(const struct memtree *t)
{
    uint64_t seen = 0;
    struct target g = {.what = FIRST};
    struct path p;
    unsigned depth = 0;
    bool first = true;
    do {
        path_find(t, &g, &p);
        depth = first ? p.depth : depth;
        first = false;
        if (p.depth != depth || !leaf_check(t, p.leaf, &p.range)) {
            return false; /* T1, T2, T4 */
        }
        for (unsigned i = 0; i < p.depth; i++) {
            const struct inner *n = p.steps[i].node;
            for (unsigned k = 1; k < n->head.count; k++) {
                if (!in_range(t->order, &p.steps[i].range, record_key(n->bounds[k].record),
                              n->bounds[k].sequence) ||
                    n->prefixes[k] != prefix_of(&n->head.frame, record_key(n->bounds[k].record)) ||
                    (k > 1 && k < n->head.sorted && !slot_above(t->order, n, k, k - 1))) {
                    return false;
                }
            }
        }
        seen += p.leaf->head.count;
        if (p.range.high.record != NULL) {
            g = (struct target){AT, record_key(p.range.high.record), p.range.high.sequence};
        }
    } while (p.range.high.record != NULL);
    for (const struct memtree_cell *c = t->overflow; c != NULL; c = c->next) {
        seen++;
    }
    return seen == t->count; /* T3 */
}
