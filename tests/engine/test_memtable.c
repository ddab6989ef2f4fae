/* test_memtable.c - both kinds of memtable against a sorted array. */
#include "base/prng.h"
#include "engine/memtable.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define ENTRIES_MAX 6000
#define KEY_MAX     24

static int backwards(void *arg, const void *a, size_t a_size, const void *b, size_t b_size)
{
    (void)arg;
    return slice_compare(slice_of(b, b_size), slice_of(a, a_size));
}

static const struct tkv_comparator backwards_order = {"test.backwards", NULL, backwards};

enum pattern {
    RANDOM,
    ASCENDING,
    DESCENDING,
    HOT,   /* few keys, many versions */
    SHORT, /* few letters, the empty key too */
    LONG,  /* long common beginnings that differ between regions */
    MIXED, /* runs and others, in turn */
    PATTERNS
};

struct model_entry {
    char key[KEY_MAX];
    size_t size;
    uint64_t sequence;
    uint8_t type;
};

struct world {
    struct test_env te;
    struct prng prng;
    struct order order;
    struct memtable *table;
    struct model_entry *model; /* as linked */
    struct model_entry *sorted;
    size_t count;
    enum pattern pattern;
    uint64_t run;
    uint64_t visible; /* as memtable_prune was told last */
    uint64_t snapshots[4];
    size_t snapshot_count;
};

static uint64_t random_u64(struct env *e)
{
    return prng_next(&((struct world *)(void *)e)->prng);
}

static uint64_t below(struct world *w, uint64_t n)
{
    return prng_next(&w->prng) % n;
}

static void world_init(struct world *w, uint64_t seed, enum pattern pattern)
{
    *w = (struct world){.pattern = pattern};
    test_env_init(&w->te, NULL);
    w->te.vt.random_u64 = random_u64;
    w->prng.state = seed;
    w->model = malloc(ENTRIES_MAX * sizeof *w->model);
    w->sorted = malloc(ENTRIES_MAX * sizeof *w->sorted);
}

static enum status world_open(struct world *w, enum memtable_kind kind, bool custom)
{
    w->order.custom = custom ? &backwards_order : NULL;
    return memtable_new(&w->te.env, w->order, kind, 1, &w->table);
}

static void world_close(struct world *w)
{
    memtable_unref(w->table);
    EXPECT(w->te.live == 0);
    free(w->model);
    free(w->sorted);
}

static struct slice key_of(const struct model_entry *m)
{
    return slice_of(m->key, m->size);
}

static size_t key_make(struct world *w, char *key)
{
    enum pattern p = w->pattern == MIXED ? (enum pattern)(w->run / 100 % MIXED) : w->pattern;
    uint64_t v = 0;
    size_t size = 0;
    w->run++;
    switch (p) {
    case RANDOM:
        v = below(w, 1000000);
        break;
    case ASCENDING:
        v = w->run;
        break;
    case DESCENDING:
        v = 1000000 - w->run;
        break;
    case HOT:
        v = below(w, 10) == 0 ? below(w, 100000) : below(w, 5);
        break;
    case LONG:
        return (size_t)snprintf(key, KEY_MAX, "%c/a-long-road/%02u", 'a' + (int)below(w, 20),
                                (unsigned)below(w, 100));
    default:
        size = (size_t)below(w, 6);
        for (size_t i = 0; i < size; i++) {
            key[i] = (char)(below(w, 4) - 1);
        }
        return size;
    }
    return (size_t)snprintf(key, KEY_MAX, "%016llu", (unsigned long long)v);
}

static void value_make(const struct model_entry *m, char *value)
{
    memcpy(value, &m->sequence, sizeof m->sequence);
}

/* Makes, and links when it could be made. */
static enum status add(struct world *w)
{
    struct model_entry *m = &w->model[w->count];
    struct memtable_node *n;
    char value[8];
    m->size = key_make(w, m->key);
    m->sequence = w->count + 1;
    m->type = below(w, 8) == 0 ? BATCH_DELETE : BATCH_PUT;
    value_make(m, value);
    struct batch_entry e = {m->type, key_of(m), slice_of(value, m->type == BATCH_PUT ? 8 : 0)};
    enum status st = memtable_prepare(w->table, &e, &n);
    if (st == ST_OK) {
        memtable_link(w->table, n, m->sequence);
        w->count++;
    }
    return st;
}

static struct order sort_order; /* qsort has no argument for it */

static int model_compare(const void *a, const void *b)
{
    const struct model_entry *x = a;
    const struct model_entry *y = b;
    return entry_compare(sort_order, key_of(x), x->sequence, key_of(y), y->sequence);
}

static void model_sort(struct world *w)
{
    sort_order = w->order;
    memcpy(w->sorted, w->model, w->count * sizeof *w->model);
    qsort(w->sorted, w->count, sizeof *w->sorted, model_compare);
}

static bool is(const struct entry *e, const struct model_entry *m)
{
    return e->sequence == m->sequence && e->type == m->type && slice_equal(e->key, key_of(m)) &&
           e->value.size == (m->type == BATCH_PUT ? 8 : 0) &&
           (e->value.size == 0 || memcmp(e->value.data, &m->sequence, 8) == 0);
}

/* The first entry of the model at or after (key, sequence). */
static size_t model_find(const struct world *w, struct slice key, uint64_t sequence)
{
    size_t low = 0;
    size_t high = w->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct model_entry *m = &w->sorted[mid];
        if (entry_compare(w->order, key_of(m), m->sequence, key, sequence) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* A key of the table or another, of its kind. */
static struct slice key_pick(struct world *w, char *room)
{
    if (w->count > 0 && below(w, 2) == 0) {
        return key_of(&w->model[below(w, w->count)]);
    }
    return slice_of(room, key_make(w, room));
}

static void walk_check(struct world *w)
{
    struct memtable_cursor c;
    size_t i = 0;
    memtable_cursor_init(&c, w->table);
    for (memtable_cursor_first(&c); c.valid && i < w->count; memtable_cursor_next(&c), i++) {
        EXPECT(is(&c.entry, &w->sorted[i]));
    }
    EXPECT(!c.valid);
    EXPECT(i == w->count);
    for (memtable_cursor_last(&c); c.valid && i > 0; memtable_cursor_prev(&c)) {
        EXPECT(is(&c.entry, &w->sorted[--i]));
    }
    EXPECT(!c.valid);
    EXPECT(i == 0);
}

/* From somewhere, some steps to and fro. */
static void roam_check(struct world *w)
{
    struct memtable_cursor c;
    char room[KEY_MAX];
    struct slice key = key_pick(w, room);
    uint64_t s = below(w, w->count + 2);
    size_t at = model_find(w, key, s);
    memtable_cursor_init(&c, w->table);
    if (below(w, 2) == 0) {
        memtable_cursor_seek(&c, key, s);
    } else {
        memtable_cursor_seek_before(&c, key, s);
        at--; /* before the first one: SIZE_MAX */
    }
    for (int step = 0; step < 12; step++) {
        EXPECT(c.valid == (at < w->count));
        if (!c.valid || at >= w->count) {
            return;
        }
        EXPECT(is(&c.entry, &w->sorted[at]));
        if (below(w, 3) > 0) {
            memtable_cursor_next(&c);
            at++;
        } else {
            memtable_cursor_prev(&c);
            at--;
        }
    }
}

static void get_check(struct world *w)
{
    char room[KEY_MAX];
    struct slice key = key_pick(w, room);
    uint64_t s = below(w, w->count + 2);
    struct entry e;
    size_t at = model_find(w, key, s);
    bool there = at < w->count && slice_equal(key_of(&w->sorted[at]), key);
    enum memtable_answer a = memtable_get(w->table, key, s, &e);
    EXPECT(a == (there ? MEMTABLE_FOUND : MEMTABLE_ABSENT));
    EXPECT(a != MEMTABLE_FOUND || !there || is(&e, &w->sorted[at]));
}

static void memtable__both_kinds_agree_with_a_sorted_array(void)
{
    for (unsigned round = 0; round < 4 * PATTERNS * 4; round++) {
        struct world w;
        world_init(&w, round + 1, (enum pattern)(round / 4 % PATTERNS));
        EXPECT(world_open(&w, (enum memtable_kind)(round % 2), round / 2 % 2 == 1) == ST_OK);
        static const size_t sizes[] = {0, 40, 700, ENTRIES_MAX};
        size_t size = sizes[round / 4 / PATTERNS];
        while (w.count < size) {
            EXPECT(add(&w) == ST_OK);
        }
        model_sort(&w);
        EXPECT(memtable_check(w.table));
        EXPECT(memtable_count(w.table) == w.count);
        walk_check(&w);
        for (int i = 0; i < 1000; i++) {
            get_check(&w);
            roam_check(&w);
        }
        world_close(&w);
    }
}

static void memtable__huge_and_empty_keys_find_their_place(void)
{
    enum { N = 300, SIZE = 65535 };
    static char key[SIZE];
    for (int kind = 0; kind < 2; kind++) {
        struct world w;
        world_init(&w, 1, RANDOM);
        EXPECT(world_open(&w, (enum memtable_kind)kind, false) == ST_OK);
        memset(key, 'k', SIZE);
        for (unsigned i = 0; i < N; i++) {
            unsigned v = i * 7919 % N; /* each once */
            size_t size = v == 0 ? 0 : SIZE - v % 3;
            struct memtable_node *n;
            key[SIZE - 4] = (char)(v >> 8);
            key[SIZE - 3] = (char)v;
            struct batch_entry e = {BATCH_PUT, slice_of(key, size), slice_of("", 0)};
            EXPECT(memtable_prepare(w.table, &e, &n) == ST_OK);
            memtable_link(w.table, n, i + 1);
        }
        EXPECT(memtable_check(w.table));
        struct memtable_cursor c;
        unsigned seen = 0;
        memtable_cursor_init(&c, w.table);
        struct slice last = slice_of(NULL, 0);
        for (memtable_cursor_first(&c); c.valid; memtable_cursor_next(&c)) {
            struct entry e;
            EXPECT(seen == 0 ? c.entry.key.size == 0 : slice_compare(last, c.entry.key) < 0);
            EXPECT(memtable_get(w.table, c.entry.key, N, &e) == MEMTABLE_FOUND);
            EXPECT(e.sequence == c.entry.sequence);
            last = c.entry.key;
            seen++;
        }
        EXPECT(seen == N);
        world_close(&w);
    }
}

/* ---- pruning ---- */

static bool registered(const struct world *w, uint64_t s)
{
    for (size_t i = 0; i < w->snapshot_count; i++) {
        if (w->snapshots[i] == s) {
            return true;
        }
    }
    return s >= w->visible;
}

static void pruned_get_check(struct world *w)
{
    char room[KEY_MAX];
    struct slice key = key_pick(w, room);
    uint64_t s = below(w, 3) == 0 ? below(w, w->count + 2)
                                  : w->visible + below(w, w->count - w->visible + 1);
    struct entry e;
    if (below(w, 3) == 0 && w->snapshot_count > 0) {
        s = w->snapshots[below(w, w->snapshot_count)];
    }
    size_t at = model_find(w, key, s);
    bool there = at < w->count && slice_equal(key_of(&w->sorted[at]), key);
    enum memtable_answer a = memtable_get(w->table, key, s, &e);
    EXPECT(a != MEMTABLE_STALE || (there && !registered(w, s)));
    if (a != MEMTABLE_STALE) {
        EXPECT(a == (there ? MEMTABLE_FOUND : MEMTABLE_ABSENT));
        EXPECT(a != MEMTABLE_FOUND || !there || is(&e, &w->sorted[at]));
    }
}

/* What a reader at s sees, going forward or back: the newest version <= s of each key. */
static void pruned_walk_check(struct world *w, uint64_t s)
{
    struct memtable_cursor c;
    memtable_cursor_init(&c, w->table);
    memtable_cursor_first(&c);
    for (size_t i = 0; i < w->count; i++) {
        const struct model_entry *m = &w->sorted[i];
        bool newest = m->sequence <= s &&
                      (i == 0 || m[-1].sequence > s || !slice_equal(key_of(&m[-1]), key_of(m)));
        while (newest && c.valid && !is(&c.entry, m) &&
               entry_compare(w->order, c.entry.key, c.entry.sequence, key_of(m), m->sequence) < 0) {
            memtable_cursor_next(&c);
        }
        EXPECT(!newest || (c.valid && is(&c.entry, m)));
    }
}

static void memtable__pruning_keeps_what_snapshots_and_the_present_see(void)
{
    for (unsigned round = 0; round < 2 * PATTERNS * 4; round++) {
        struct world w;
        world_init(&w, round + 1, (enum pattern)(round / 2 % PATTERNS));
        EXPECT(world_open(&w, MEMTABLE_TREE, round % 2 == 1) == ST_OK);
        while (w.count < ENTRIES_MAX / 2) {
            uint64_t roll = below(&w, 400);
            if (roll == 0 && w.snapshot_count < 4) {
                w.snapshots[w.snapshot_count++] = w.count;
            } else if (roll == 1 && w.snapshot_count > 0) {
                size_t at = (size_t)below(&w, w.snapshot_count--);
                for (; at < w.snapshot_count; at++) {
                    w.snapshots[at] = w.snapshots[at + 1];
                }
            }
            w.visible = w.count;
            memtable_prune(w.table, w.count, w.snapshots, w.snapshot_count);
            for (uint64_t n = 1 + below(&w, roll < 20 ? 30 : 4); n > 0; n--) {
                EXPECT(add(&w) == ST_OK);
            }
            if (roll < 4) {
                model_sort(&w);
                for (int i = 0; i < 100; i++) {
                    pruned_get_check(&w);
                }
            }
        }
        model_sort(&w);
        EXPECT(memtable_check(w.table));
        pruned_walk_check(&w, w.count);
        for (size_t i = 0; i < w.snapshot_count; i++) {
            pruned_walk_check(&w, w.snapshots[i]);
        }
        world_close(&w);
    }
}

static void memtable__a_hot_key_stays_small(void)
{
    struct world w;
    world_init(&w, 1, RANDOM);
    EXPECT(world_open(&w, MEMTABLE_TREE, false) == ST_OK);
    for (uint64_t s = 1; s <= 100000; s++) {
        struct memtable_node *n;
        struct entry e;
        struct batch_entry put = {BATCH_PUT, slice_text(s % 50 == 0 ? "other" : "hot"),
                                  slice_of("", 0)};
        memtable_prune(w.table, s - 1, NULL, 0);
        EXPECT(memtable_prepare(w.table, &put, &n) == ST_OK);
        memtable_link(w.table, n, s);
        EXPECT(memtable_get(w.table, put.key, s, &e) == MEMTABLE_FOUND);
        EXPECT(e.sequence == s);
    }
    EXPECT(memtable_count(w.table) <= 64);
    EXPECT(memtable_check(w.table));
    struct entry e;
    EXPECT(memtable_get(w.table, slice_text("hot"), 7, &e) == MEMTABLE_STALE);
    EXPECT(memtable_get(w.table, slice_text("cold"), 7, &e) == MEMTABLE_ABSENT);
    world_close(&w);
}

/* ---- range tombs ---- */

static void memtable__tombs_cover_as_a_walk_over_them_says(void)
{
    for (unsigned round = 0; round < 40; round++) {
        struct world w;
        struct tomb tombs[300];
        char keys[600][KEY_MAX];
        size_t count = 0;
        world_init(&w, round + 1, round % 4 == 3 ? SHORT : RANDOM);
        EXPECT(world_open(&w, (enum memtable_kind)(round % 2), round / 2 % 2 == 1) == ST_OK);
        EXPECT(!memtable_has_tombs(w.table));
        for (uint64_t s = 1; s <= 300; s++) {
            struct tomb *t = &tombs[count];
            struct memtable_node *n;
            t->begin = slice_of(keys[2 * count], key_make(&w, keys[2 * count]));
            t->end = slice_of(keys[2 * count + 1], key_make(&w, keys[2 * count + 1]));
            t->sequence = s;
            struct batch_entry e = {BATCH_DELETE_RANGE, t->begin, t->end};
            if (round >= 20) { /* some memory, or all from some point on, is refused */
                w.te.fail_at = s % 16 == 7 ? w.te.allocs + (long)(round % 4) : w.te.fail_at;
                w.te.fail_rest = round >= 30 && s > 100;
            }
            enum status st = memtable_prepare(w.table, &e, &n);
            EXPECT(st == ST_OK || (st == ST_NOMEM && round >= 20));
            if (st != ST_OK) {
                continue;
            }
            memtable_link(w.table, n, s);
            count += order_compare(w.order, t->begin, t->end) < 0;
            for (int i = 0; i < 10; i++) {
                char room[KEY_MAX];
                struct slice key = slice_of(room, key_make(&w, room));
                uint64_t at = below(&w, s + 1);
                uint64_t want = 0;
                for (size_t k = 0; k < count; k++) {
                    bool over = order_compare(w.order, tombs[k].begin, key) <= 0 &&
                                order_compare(w.order, key, tombs[k].end) < 0;
                    want = over && tombs[k].sequence <= at ? tombs[k].sequence : want;
                }
                EXPECT(memtable_cover(w.table, key, at) == want);
            }
        }
        w.te.fail_at = -1;
        EXPECT(memtable_has_tombs(w.table) == (count > 0));
        EXPECT(memtable_count(w.table) == count);
        EXPECT(memtable_check(w.table));
        uint64_t limit = below(&w, 301);
        struct tomb_prune view = {.visible = limit};
        struct tomb_set *all;
        struct tomb_set *some;
        EXPECT(memtable_tombs(w.table, limit, NULL, &all) == ST_OK);
        EXPECT(memtable_tombs(w.table, limit, &view, &some) == ST_OK);
        for (int i = 0; i < 200; i++) {
            char room[KEY_MAX];
            struct slice key = slice_of(room, key_make(&w, room));
            uint64_t at = below(&w, limit + 1);
            EXPECT(tomb_set_cover(all, key, at) == memtable_cover(w.table, key, at));
            EXPECT(tomb_set_cover(some, key, limit) == memtable_cover(w.table, key, limit));
        }
        tomb_set_free(all);
        tomb_set_free(some);
        world_close(&w);
    }
}

/* ---- refused memory ---- */

/* Whatever is refused: what could be prepared is linked, found and in order. */
static void memtable__refused_memory_loses_nothing(void)
{
    for (unsigned round = 0; round < 400; round++) {
        struct world w;
        world_init(&w, round + 1, (enum pattern)(round % PATTERNS));
        w.te.fail_at = round / 2;
        w.te.fail_rest = round % 5 == 0;
        enum status st = world_open(&w, (enum memtable_kind)(round % 3 == 0), round % 7 == 0);
        EXPECT(st == ST_OK || st == ST_NOMEM);
        if (st != ST_OK) {
            w.table = NULL;
        }
        for (int i = 0; st == ST_OK && i < 1500; i++) {
            enum status one = add(&w);
            EXPECT(one == ST_OK || one == ST_NOMEM);
        }
        if (st == ST_OK) {
            model_sort(&w);
            EXPECT(memtable_check(w.table));
            EXPECT(memtable_count(w.table) == w.count);
            walk_check(&w);
            for (int i = 0; i < 100; i++) {
                get_check(&w);
                roam_check(&w);
            }
        }
        world_close(&w);
    }
}

/* Everything is prepared, and then no node can be had any more: the overflow list. */
static void memtable__a_group_is_linked_without_any_memory(void)
{
    enum { GROUP = 1500 };
    static struct memtable_node *nodes[GROUP];
    unsigned full = 0;
    for (unsigned round = 0; round < PATTERNS; round++) {
        struct world w;
        world_init(&w, round + 1, (enum pattern)round);
        EXPECT(world_open(&w, MEMTABLE_TREE, round == 4) == ST_OK);
        for (int i = 0; i < GROUP; i++) {
            struct model_entry *m = &w.model[w.count];
            char value[8];
            m->size = key_make(&w, m->key);
            m->sequence = ++w.count;
            m->type = BATCH_PUT;
            value_make(m, value);
            struct batch_entry e = {m->type, key_of(m), slice_of(value, 8)};
            EXPECT(memtable_prepare(w.table, &e, &nodes[i]) == ST_OK);
        }
        w.te.fail_at = w.te.allocs;
        w.te.fail_rest = true;
        for (int i = 0; i < GROUP; i++) {
            memtable_link(w.table, nodes[i], (uint64_t)i + 1);
        }
        full += memtable_bytes(w.table) == UINT64_MAX; /* else a block had room enough */
        model_sort(&w);
        EXPECT(memtable_check(w.table));
        walk_check(&w);
        w.te.fail_at = -1;
        w.te.fail_rest = false;
        for (int i = 0; i < 300; i++) {
            get_check(&w);
            roam_check(&w);
            EXPECT(add(&w) == ST_OK);
            model_sort(&w);
        }
        EXPECT(memtable_check(w.table));
        walk_check(&w);
        world_close(&w);
    }
    EXPECT(full >= PATTERNS / 2);
}

TAP_MAIN({
    RUN(memtable__both_kinds_agree_with_a_sorted_array);
    RUN(memtable__huge_and_empty_keys_find_their_place);
    RUN(memtable__pruning_keeps_what_snapshots_and_the_present_see);
    RUN(memtable__a_hot_key_stays_small);
    RUN(memtable__tombs_cover_as_a_walk_over_them_says);
    RUN(memtable__refused_memory_loses_nothing);
    RUN(memtable__a_group_is_linked_without_any_memory);
})
