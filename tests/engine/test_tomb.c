/* test_tomb.c - fragments of range tombstones against a walk over all tombs. */
#include "base/code.h"
#include "base/prng.h"
#include "engine/tomb.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define TOMBS_MAX 40

static int backwards(void *arg, const void *a, size_t a_size, const void *b, size_t b_size)
{
    (void)arg;
    return slice_compare(slice_of(b, b_size), slice_of(a, a_size));
}

static const struct tkv_comparator backwards_order = {"test.backwards", NULL, backwards};

struct world {
    struct inject te;
    struct prng prng;
    struct order order;
    struct tomb tombs[TOMBS_MAX];
    size_t count;
    char keys[2 * TOMBS_MAX][4];
    uint64_t snapshots[8];
    struct tomb_prune prune;
};

static uint64_t below(struct world *w, uint64_t n)
{
    return prng_next(&w->prng) % n;
}

/* Short keys over few letters, the empty one too. */
static struct slice key_make(struct world *w, char *room)
{
    size_t size = (size_t)below(w, 4);
    for (size_t i = 0; i < size; i++) {
        room[i] = (char)('a' + below(w, 3) - (below(w, 20) == 0 ? 'a' : 0));
    }
    return slice_of(room, size);
}

static void world_init(struct world *w, uint64_t seed)
{
    test_env_init(&w->te, NULL);
    w->prng.state = seed;
    w->order.custom = below(w, 4) == 0 ? &backwards_order : NULL;
    w->count = (size_t)below(w, TOMBS_MAX + 1);
    for (size_t i = 0; i < w->count; i++) {
        w->tombs[i] = (struct tomb){key_make(w, w->keys[2 * i]), key_make(w, w->keys[2 * i + 1]),
                                    1 + below(w, below(w, 2) == 0 ? 10 : 1000)};
    }
    w->prune = (struct tomb_prune){.visible = below(w, 1000),
                                   .snapshots = w->snapshots,
                                   .snapshot_count = (size_t)below(w, 9)};
    uint64_t s = 0;
    for (size_t i = 0; i < 8; i++) {
        w->snapshots[i] = s += below(w, 200);
    }
}

static uint64_t cover_slow(const struct world *w, struct slice key, uint64_t sequence)
{
    uint64_t best = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct tomb *t = &w->tombs[i];
        if (t->sequence <= sequence && t->sequence > best &&
            order_compare(w->order, t->begin, key) <= 0 &&
            order_compare(w->order, key, t->end) < 0) {
            best = t->sequence;
        }
    }
    return best;
}

/* No two pieces that touch have the same sequences. */
static bool is_least(const struct tomb_set *set)
{
    for (size_t i = 1; i < tomb_set_count(set); i++) {
        struct tomb_piece a = tomb_set_piece(set, i - 1);
        struct tomb_piece b = tomb_set_piece(set, i);
        if (slice_equal(a.end, b.begin) && a.count == b.count &&
            memcmp(a.sequences, b.sequences, a.count * sizeof *a.sequences) == 0) {
            return false;
        }
    }
    return true;
}

static bool same(const struct tomb_set *x, const struct tomb_set *y)
{
    if (tomb_set_count(x) != tomb_set_count(y)) {
        return false;
    }
    for (size_t i = 0; i < tomb_set_count(x); i++) {
        struct tomb_piece a = tomb_set_piece(x, i);
        struct tomb_piece b = tomb_set_piece(y, i);
        if (!slice_equal(a.begin, b.begin) || !slice_equal(a.end, b.end) || a.count != b.count ||
            memcmp(a.sequences, b.sequences, a.count * sizeof *a.sequences) != 0) {
            return false;
        }
    }
    return true;
}

static void tomb__a_set_answers_as_its_tombs_do(void)
{
    static struct world w;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct tomb_set *set;
        world_init(&w, seed);
        EXPECT(tomb_set_new(&w.te.env.mem, w.order, w.tombs, w.count, &set) == ST_OK);
        EXPECT(tomb_set_check(set));
        EXPECT(is_least(set));
        for (int i = 0; i < 60; i++) {
            char room[4];
            struct slice key = key_make(&w, room);
            uint64_t s = below(&w, 1100);
            EXPECT(tomb_set_cover(set, key, s) == cover_slow(&w, key, s));
        }
        tomb_set_free(set);
        EXPECT(w.te.live == 0);
    }
}

/* Every snapshot, and every sequence from `visible` on, gets the answers of the whole set; and no
 * sequence is kept that nobody asks for. */
static void tomb__a_pruned_set_answers_snapshots_and_the_present(void)
{
    static struct world w;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct tomb_set *set;
        world_init(&w, seed);
        EXPECT(tomb_set_pruned(&w.te.env.mem, w.order, w.tombs, w.count, &w.prune, &set) == ST_OK);
        EXPECT(tomb_set_check(set));
        EXPECT(is_least(set));
        for (int i = 0; i < 60; i++) {
            char room[4];
            struct slice key = key_make(&w, room);
            uint64_t s = w.prune.visible + below(&w, 100);
            if (w.prune.snapshot_count > 0 && below(&w, 2) == 0) {
                s = w.snapshots[below(&w, w.prune.snapshot_count)];
            }
            EXPECT(tomb_set_cover(set, key, s) == cover_slow(&w, key, s));
        }
        for (size_t i = 0; i < tomb_set_count(set); i++) {
            struct tomb_piece p = tomb_set_piece(set, i);
            size_t wanted = w.prune.snapshot_count + 1;
            for (size_t k = 0; k < p.count; k++) {
                wanted += p.sequences[k] > w.prune.visible;
            }
            EXPECT(p.count <= wanted);
        }
        tomb_set_free(set);
    }
}

/* A queue that is trimmed from its beginning: n tombs, each within the next. */
static void tomb__nested_ranges_do_not_explode(void)
{
    enum { N = 20000 };
    static struct world w;
    static char keys[N][4];
    struct tomb *tombs = malloc(N * sizeof *tombs);
    struct tomb_set *set;
    world_init(&w, 1);
    for (uint32_t i = 0; i < N; i++) {
        for (int k = 0; k < 4; k++) {
            keys[i][k] = (char)((i + 1) >> (24 - 8 * k));
        }
        tombs[i] = (struct tomb){slice_of("", 0), slice_of(keys[i], 4), i + 1};
    }
    struct tomb_prune all = {.visible = N};
    struct order bytewise = {NULL};
    EXPECT(tomb_set_pruned(&w.te.env.mem, bytewise, tombs, N, &all, &set) == ST_OK);
    EXPECT(tomb_set_count(set) == 1);
    EXPECT(tomb_set_bytes(set) < 256);
    tomb_set_free(set);
    all.visible = N / 2;
    EXPECT(tomb_set_pruned(&w.te.env.mem, bytewise, tombs, 100 + N / 2, &all, &set) == ST_OK);
    EXPECT(tomb_set_count(set) == 101);
    EXPECT(tomb_set_check(set));
    tomb_set_free(set);
    free(tombs);
}

static void tomb__what_was_encoded_is_decoded(void)
{
    static struct world w;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct tomb_set *set;
        struct tomb_set *again;
        struct buf b;
        world_init(&w, seed);
        buf_init(&b, &w.te.env.mem);
        EXPECT(tomb_set_new(&w.te.env.mem, w.order, w.tombs, w.count, &set) == ST_OK);
        EXPECT(buf_append(&b, "head", 4) == ST_OK);
        EXPECT(tomb_set_encode(set, &b) == ST_OK);
        EXPECT(memcmp(b.data, "head", 4) == 0);
        struct slice bytes = slice_of(b.data + 4, b.size - 4);
        EXPECT(tomb_set_decode(&w.te.env.mem, w.order, bytes, &again) == ST_OK);
        EXPECT(same(set, again));
        tomb_set_free(again);
        for (size_t cut = 0; cut < bytes.size; cut++) {
            EXPECT(tomb_set_decode(&w.te.env.mem, w.order, slice_of(bytes.data, cut), &again) ==
                   ST_CORRUPT);
        }
        tomb_set_free(set);
        buf_release(&b);
        EXPECT(w.te.live == 0);
    }
}

/* Whatever the bytes are: ST_CORRUPT or a set that holds what it should. */
static void tomb__damaged_bytes_are_refused_or_well_formed(void)
{
    static struct world w;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct tomb_set *set;
        struct buf b;
        world_init(&w, seed);
        buf_init(&b, &w.te.env.mem);
        EXPECT(tomb_set_new(&w.te.env.mem, w.order, w.tombs, w.count, &set) == ST_OK);
        EXPECT(tomb_set_encode(set, &b) == ST_OK);
        tomb_set_free(set);
        for (int round = 0; round < 50; round++) {
            size_t at = (size_t)below(&w, b.size);
            char was = b.data[at];
            b.data[at] = (char)(was ^ (1 << below(&w, 8)));
            enum status st = tomb_set_decode(&w.te.env.mem, w.order, buf_slice(&b), &set);
            EXPECT(st == ST_CORRUPT || (st == ST_OK && tomb_set_check(set)));
            tomb_set_free(set);
            b.data[at] = was;
        }
        buf_release(&b);
    }
}

static void expect_bytes(const char *bytes, size_t size, enum status want)
{
    struct inject te;
    struct order bytewise = {NULL};
    struct tomb_set *set;
    test_env_init(&te, NULL);
    EXPECT(tomb_set_decode(&te.env.mem, bytewise, slice_of(bytes, size), &set) == want);
    tomb_set_free(set);
    EXPECT(te.live == 0);
}

#define BYTES(text, want) expect_bytes(text, sizeof(text) - 1, want)

static void tomb__each_rule_of_the_bytes_is_kept(void)
{
    BYTES("\0", ST_OK);
    BYTES("\1\0\1a\1b\1\7", ST_OK);
    BYTES("\2\0\1a\1b\1\7\1\1c\1\5", ST_OK);
    BYTES("\1\0\1a\1b\2\7\2", ST_OK);
    BYTES("\1\1\1a\1b\1\7", ST_CORRUPT);              /* joined to nothing */
    BYTES("\1\2\1a\1b\1\7", ST_CORRUPT);              /* no such flag */
    BYTES("\1\0\1b\1b\1\7", ST_CORRUPT);              /* empty */
    BYTES("\1\0\1a\1b\0", ST_CORRUPT);                /* no sequence */
    BYTES("\1\0\1a\1b\1\0", ST_CORRUPT);              /* sequence 0 */
    BYTES("\1\0\1a\1b\2\7\0", ST_CORRUPT);            /* twice the same */
    BYTES("\1\0\1a\1b\2\7\7", ST_CORRUPT);            /* down to 0 */
    BYTES("\2\0\1a\1b\1\7\0\1b\1c\1\5", ST_CORRUPT);  /* not said to be joined */
    BYTES("\2\0\1a\1b\1\7\0\1a\1c\1\5", ST_CORRUPT);  /* overlapping */
    BYTES("\1\0\1a\1b\1\7\0", ST_CORRUPT);            /* something behind it */
    BYTES("\xff\xff\xff\xff\xff\1\0\1a", ST_CORRUPT); /* more than there are bytes */
    BYTES("\1\0\1a\1b\1\x80\x80\x80\x80\x80\x80\x80\x80\1", ST_CORRUPT); /* 2^56 */
}

static void tomb__a_refused_allocation_is_told_and_leaves_nothing(void)
{
    static struct world w;
    bool done = false;
    for (long n = 0; !done; n++) {
        struct tomb_set *set;
        struct tomb_set *again = NULL;
        struct buf b;
        world_init(&w, 7);
        buf_init(&b, &w.te.env.mem);
        w.te.fail_at = n;
        enum status st = tomb_set_new(&w.te.env.mem, w.order, w.tombs, w.count, &set);
        if (st == ST_OK) {
            st = tomb_set_encode(set, &b);
            EXPECT(st == ST_OK || b.size == 0);
        }
        if (st == ST_OK) {
            st = tomb_set_decode(&w.te.env.mem, w.order, buf_slice(&b), &again);
        }
        EXPECT(st == ST_OK || st == ST_NOMEM);
        done = st == ST_OK && w.te.allocs <= n;
        tomb_set_free(set);
        tomb_set_free(again);
        buf_release(&b);
        EXPECT(w.te.live == 0);
    }
}

TAP_MAIN({
    RUN(tomb__a_set_answers_as_its_tombs_do);
    RUN(tomb__a_pruned_set_answers_snapshots_and_the_present);
    RUN(tomb__nested_ranges_do_not_explode);
    RUN(tomb__what_was_encoded_is_decoded);
    RUN(tomb__damaged_bytes_are_refused_or_well_formed);
    RUN(tomb__each_rule_of_the_bytes_is_kept);
    RUN(tomb__a_refused_allocation_is_told_and_leaves_nothing);
})
