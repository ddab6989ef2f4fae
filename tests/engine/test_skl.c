/* test_skl.c - the skip list against a sorted array, and the arena below it. */
#include "base/prng.h"
#include "engine/skl.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

/* A test_env without an Env below has no randomness of its own: heights come from here. */
struct world {
    struct inject te;
    struct prng prng;
};

static uint64_t random_u64(struct env *e)
{
    return prng_next(&((struct world *)(void *)e)->prng);
}

static void world_init(struct world *w, uint64_t seed)
{
    test_env_init(&w->te, NULL);
    w->te.vt.random_u64 = random_u64;
    w->prng.state = seed;
}

struct model_entry {
    char key[16];
    size_t key_size;
    uint64_t sequence;
};

static int model_order(const void *a, const void *b)
{
    const struct model_entry *x = a;
    const struct model_entry *y = b;
    int c = slice_compare(slice_of(x->key, x->key_size), slice_of(y->key, y->key_size));
    return c != 0 ? c : x->sequence > y->sequence ? -1 : x->sequence < y->sequence;
}

static bool same(const struct skl_node *n, const struct model_entry *m)
{
    return n != NULL && n->sequence == m->sequence &&
           slice_equal(skl_key(n), slice_of(m->key, m->key_size)) &&
           skl_value(n).size == sizeof m->sequence &&
           memcmp(skl_value(n).data, &m->sequence, sizeof m->sequence) == 0;
}

static enum status add(struct skl *l, const struct model_entry *m)
{
    struct skl_node *n = skl_node_new(l, 1, slice_of(m->key, m->key_size),
                                      slice_of(&m->sequence, sizeof m->sequence));
    if (n == NULL) {
        return ST_NOMEM;
    }
    skl_link(l, n, m->sequence);
    return ST_OK;
}

static void probe_check(const struct skl *l, const struct model_entry *model, int count,
                        const struct model_entry *at)
{
    int i = 0;
    while (i < count && model_order(&model[i], at) < 0) {
        i++;
    }
    struct slice key = slice_of(at->key, at->key_size);
    const struct skl_node *n = skl_seek(l, key, at->sequence);
    EXPECT(i < count ? same(n, &model[i]) : n == NULL);
    n = skl_before(l, key, at->sequence);
    EXPECT(i > 0 ? same(n, &model[i - 1]) : n == NULL);
}

static struct model_entry entry_draw(struct prng *p, uint64_t sequence)
{
    struct model_entry m = {.sequence = sequence};
    m.key_size = prng_below(p, 4); /* the empty key too, and prefixes of each other */
    for (size_t i = 0; i < m.key_size; i++) {
        m.key[i] = (char)(prng_below(p, 3) * 127); /* bytes over 127 sort unsigned */
    }
    return m;
}

static void skl__agrees_with_a_sorted_array(void)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;
        struct arena arena;
        struct skl l;
        struct prng p = {seed};
        struct model_entry model[300];
        world_init(&w, seed);
        arena_init(&arena, &w.te.env.mem);
        EXPECT(skl_init(&l, &w.te.env, (struct order){NULL}, &arena) == ST_OK);
        int count = (int)prng_below(&p, 300);
        for (int i = 0; i < count; i++) {
            model[i] = entry_draw(&p, (uint64_t)i + 1);
            EXPECT(add(&l, &model[i]) == ST_OK);
        }
        qsort(model, (size_t)count, sizeof model[0], model_order);
        const struct skl_node *n = skl_first(&l);
        for (int i = 0; i < count; i++, n = skl_next(n)) {
            EXPECT(same(n, &model[i]));
        }
        EXPECT(n == NULL);
        EXPECT(count > 0 ? same(skl_last(&l), &model[count - 1]) : skl_last(&l) == NULL);
        for (int i = 0; i < 100; i++) {
            struct model_entry at = entry_draw(&p, prng_below(&p, 310));
            at.sequence = prng_below(&p, 8) == 0 ? SKL_SEQUENCE_MAX : at.sequence;
            probe_check(&l, model, count, &at);
        }
        EXPECT(skl_count(&l) == (uint64_t)count);
        EXPECT(skl_check(&l));
        arena_release(&arena);
        EXPECT(w.te.live == 0);
    }
}

static void skl__ascending_and_descending_runs_keep_it_well_formed(void)
{
    for (int direction = 0; direction < 3; direction++) {
        struct world w;
        struct arena arena;
        struct skl l;
        world_init(&w, 9);
        arena_init(&arena, &w.te.env.mem);
        EXPECT(skl_init(&l, &w.te.env, (struct order){NULL}, &arena) == ST_OK);
        for (int i = 0; i < 2000; i++) {
            int v = direction == 0 ? i : direction == 1 ? 1999 - i : (i / 2) + (i % 2) * 1000;
            struct model_entry m = {.key_size = 4, .sequence = (uint64_t)i + 1};
            (void)snprintf(m.key, sizeof m.key, "%04d", v);
            EXPECT(add(&l, &m) == ST_OK);
        }
        EXPECT(skl_check(&l));
        EXPECT(skl_count(&l) == 2000);
        EXPECT(memcmp(skl_key(skl_last(&l)).data, "1999", 4) == 0);
        arena_release(&arena);
    }
}

static void skl__a_refused_node_changes_nothing(void)
{
    for (long n = 0; n < 6; n++) {
        struct world w;
        struct arena arena;
        struct skl l;
        world_init(&w, 3);
        w.te.fail_at = n;
        arena_init(&arena, &w.te.env.mem);
        enum status st = skl_init(&l, &w.te.env, (struct order){NULL}, &arena);
        EXPECT((st == ST_OK) == (n > 0));
        uint64_t linked = 0;
        for (int i = 0; st == ST_OK && i < 400; i++) {
            struct model_entry m = {.key_size = 4, .sequence = (uint64_t)i + 1};
            (void)snprintf(m.key, sizeof m.key, "%04d", i * 7 % 400);
            linked += add(&l, &m) == ST_OK;
        }
        EXPECT(st != ST_OK || (skl_check(&l) && skl_count(&l) == linked));
        EXPECT(st != ST_OK || linked >= 399);
        arena_release(&arena);
        EXPECT(w.te.live == 0);
    }
}

/* A writer who adds an entry in the middle of a search: at its n-th comparison. */
struct busy {
    struct skl *list;
    struct model_entry *entry; /* NULL: it has been added */
    uint64_t left;
};

static int busy_compare(void *arg, const void *a, size_t a_size, const void *b, size_t b_size)
{
    struct busy *w = arg;
    if (w->entry != NULL && w->left-- == 0) {
        struct model_entry *m = w->entry;
        w->entry = NULL;
        EXPECT(add(w->list, m) == ST_OK);
    }
    return slice_compare(slice_of(a, a_size), slice_of(b, b_size));
}

/* Whether a search for (c, 2) finds it, while `other` comes in at the n-th comparison; *more:
 * there were as many. */
static bool found_beside_a_writer(struct model_entry *other, uint64_t n, bool *more)
{
    struct world w;
    struct arena arena;
    struct skl l;
    struct model_entry a = {.key = "a", .key_size = 1, .sequence = 1};
    struct model_entry c = {.key = "c", .key_size = 1, .sequence = 2};
    struct busy busy = {.list = &l};
    const struct tkv_comparator order = {"busy", &busy, busy_compare};
    world_init(&w, n / 8);
    arena_init(&arena, &w.te.env.mem);
    EXPECT(skl_init(&l, &w.te.env, (struct order){&order}, &arena) == ST_OK);
    EXPECT(add(&l, &a) == ST_OK && add(&l, &c) == ST_OK);
    busy.entry = other;
    busy.left = n % 8;
    const struct skl_node *seek = skl_seek(&l, slice_of("c", 1), 2);
    bool found = same(seek, &c);
    *more = busy.entry == NULL;
    busy.entry = NULL;
    EXPECT(skl_check(&l));
    arena_release(&arena);
    return found;
}

static void skl__a_search_finds_its_entry_while_others_come(void)
{
    struct model_entry others[] = {
        {.key = "b", .key_size = 1, .sequence = 3},
        {.key = "c", .key_size = 1, .sequence = 3}, /* newer than what the reader may see */
        {.key = "d", .key_size = 1, .sequence = 3},
    };
    uint64_t met = 0;
    for (size_t o = 0; o < 3; o++) {
        for (uint64_t n = 0; n < 160; n++) { /* twenty lists, eight places each */
            bool more;
            EXPECT(found_beside_a_writer(&others[o], n, &more));
            met += more;
        }
    }
    EXPECT(met > 100);
}

/* What skl_check is for: each kind of damage is seen. */
static void skl__check_sees_what_is_wrong(void)
{
    struct world w;
    struct arena arena;
    struct skl l;
    world_init(&w, 5);
    arena_init(&arena, &w.te.env.mem);
    EXPECT(skl_init(&l, &w.te.env, (struct order){NULL}, &arena) == ST_OK);
    for (int i = 0; i < 200; i++) {
        struct model_entry m = {.key_size = 4, .sequence = (uint64_t)i + 1};
        (void)snprintf(m.key, sizeof m.key, "%04d", i);
        EXPECT(add(&l, &m) == ST_OK);
    }
    EXPECT(skl_check(&l));
    l.count++;
    EXPECT(!skl_check(&l));
    l.count--;
    EXPECT(l.height > 1);
    l.height--;
    EXPECT(!skl_check(&l));
    l.height++;
    struct skl_node *first = l.head->next[0];
    l.head->next[1] = NULL;
    EXPECT(!skl_check(&l));
    l.head->next[0] = first->next[0];
    EXPECT(!skl_check(&l));
    arena_release(&arena);
}

static void arena__pieces_are_aligned_apart_and_counted(void)
{
    struct world w;
    struct arena a;
    world_init(&w, 1);
    arena_init(&a, &w.te.env.mem);
    char *last = NULL;
    size_t total = 0;
    for (size_t i = 1; i < 3000; i++) {
        size_t size = i % 97 == 0 ? i * 50 : i % 60 + 1;
        char *p = arena_alloc(&a, size);
        EXPECT(p != NULL && (uintptr_t)p % 8 == 0 && p != last);
        memset(p, (int)i, size); /* the sanitizer watches its ends */
        total += (size + 7) / 8 * 8;
        last = p;
    }
    EXPECT(arena_bytes(&a) == total);
    EXPECT(w.te.live < 200); /* many pieces a block */
    arena_release(&a);
    arena_release(&a);
    EXPECT(w.te.live == 0);
}

TAP_MAIN({
    RUN(skl__agrees_with_a_sorted_array);
    RUN(skl__ascending_and_descending_runs_keep_it_well_formed);
    RUN(skl__a_refused_node_changes_nothing);
    RUN(skl__a_search_finds_its_entry_while_others_come);
    RUN(skl__check_sees_what_is_wrong);
    RUN(arena__pieces_are_aligned_apart_and_counted);
})
