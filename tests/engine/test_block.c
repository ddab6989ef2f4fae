/* test_block.c - data blocks and the index: what goes in comes out, at every size and place. */
#include "base/prng.h"
#include "engine/blockread.h"
#include "engine/blockwrite.h"
#include "engine/filter.h"
#include "engine/tabindex.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

static const struct order bytewise = {NULL};

struct sample {
    struct test_env te;
    struct blockwrite w;
    struct buf out;
    struct blockread r;
};

static void sample_begin(struct sample *s)
{
    test_env_init(&s->te, NULL);
    blockwrite_init(&s->w, &s->te.env.mem);
    buf_init(&s->out, &s->te.env.mem);
}

static void sample_add(struct sample *s, struct slice key, uint64_t sequence, struct slice value)
{
    struct entry e = {key, sequence, value, BATCH_PUT};
    EXPECT(blockwrite_add(&s->w, &e, filter_hash(key)) == ST_OK);
}

static void sample_finish(struct sample *s)
{
    EXPECT(blockwrite_finish(&s->w, &s->out) == ST_OK);
    EXPECT(s->out.size == blockwrite_size(&s->w));
    EXPECT(blockread_init(&s->r, buf_slice(&s->out)) == ST_OK);
    EXPECT(s->r.count == s->w.count);
}

static void sample_end(struct sample *s)
{
    blockwrite_release(&s->w);
    buf_release(&s->out);
    EXPECT(s->te.live == 0);
}

static struct slice number_key(unsigned i, char key[16])
{
    return slice_of(key, (size_t)snprintf(key, 16, "%08u", i));
}

static void block__every_width_of_sequences(void)
{
    for (unsigned width = 0; width <= 7; width++) {
        struct sample s;
        char key[16];
        uint64_t top = width == 0 ? 0 : (UINT64_C(1) << (8 * width - 1)) + 1;
        sample_begin(&s);
        for (unsigned i = 0; i < 40; i++) {
            sample_add(&s, number_key(i, key), 77 + (i % 3 == 1 ? top : 0), slice_text("v"));
        }
        sample_finish(&s);
        EXPECT(s.r.width == width);
        for (unsigned i = 0; i < 40; i++) {
            EXPECT(blockread_sequence(&s.r, i) == 77 + (i % 3 == 1 ? top : 0));
        }
        sample_end(&s);
    }
}

/* 65,535 bytes of entries still have short offsets. */
static void block__short_offsets_up_to_their_limit(void)
{
    for (int more = -1; more <= 1; more++) {
        struct sample s;
        static char value[70000];
        struct entry e;
        sample_begin(&s);
        sample_add(&s, slice_text("a"), 1, slice_of(value, (size_t)(65535 - 3 - 3 + more)));
        sample_add(&s, slice_text("b"), 1, slice_of(NULL, 0));
        sample_finish(&s);
        EXPECT(s.w.entries.size == (size_t)(65535 + more));
        EXPECT(s.r.wide == (more > 0));
        struct slice b = slice_text("b");
        EXPECT(blockread_find(&s.r, b, filter_hash(b), 1, &e) == ST_OK && e.value.size == 0);
        sample_end(&s);
    }
}

/* Counts around the borders of groups and of the eight marks that are looked at together. */
static void block__find_and_seek_at_every_count(void)
{
    char scratch[16];
    for (unsigned count = 1; count < 70; count++) {
        struct sample s;
        char key[16];
        struct entry e;
        uint32_t at;
        sample_begin(&s);
        for (unsigned i = 0; i < count; i++) {
            sample_add(&s, number_key(10 * i + 5, key), 100 + i, slice_of(key, 8));
        }
        sample_finish(&s);
        for (unsigned i = 0; i < count; i++) {
            struct slice k = number_key(10 * i + 5, key);
            EXPECT(blockread_find(&s.r, k, filter_hash(k), 100 + i, &e) == ST_OK);
            EXPECT(slice_equal(e.value, k) && e.sequence == 100 + i);
            EXPECT(blockread_find(&s.r, k, filter_hash(k), 99 + i, &e) == ST_NOENT);
            EXPECT(blockread_seek(&s.r, bytewise, k, 100 + i, scratch, 16, &at) == ST_OK);
            EXPECT(at == i);
            EXPECT(blockread_seek(&s.r, bytewise, k, 99 + i, scratch, 16, &at) == ST_OK);
            EXPECT(at == i + 1);
            k = number_key(10 * i, key);
            EXPECT(blockread_find(&s.r, k, filter_hash(k), 1000, &e) == ST_NOENT);
            EXPECT(blockread_seek(&s.r, bytewise, k, 0, scratch, 16, &at) == ST_OK);
            EXPECT(at == i);
        }
        sample_end(&s);
    }
}

static void block__damaged_tails_and_entries(void)
{
    struct sample s;
    struct blockread r;
    struct blockread_item it;
    sample_begin(&s);
    sample_add(&s, slice_text("key"), 300, slice_text("value"));
    sample_add(&s, slice_text("kez"), 1, slice_text("value"));
    sample_finish(&s);
    size_t n = s.out.size;
    char *p = s.out.data;
    for (size_t cut = 0; cut < BLOCKREAD_TAIL; cut++) {
        EXPECT(blockread_init(&r, slice_of(p, cut)) == ST_CORRUPT);
    }
    char tail[BLOCKREAD_TAIL];
    memcpy(tail, p + n - BLOCKREAD_TAIL, sizeof tail);
    p[n - 5] = 8; /* width */
    EXPECT(blockread_init(&r, slice_of(p, n)) == ST_CORRUPT);
    memcpy(p + n - BLOCKREAD_TAIL, tail, sizeof tail);
    p[n - 4] = 0; /* count */
    EXPECT(blockread_init(&r, slice_of(p, n)) == ST_CORRUPT);
    p[n - 4] = 100;
    EXPECT(blockread_init(&r, slice_of(p, n)) == ST_CORRUPT);
    memcpy(p + n - BLOCKREAD_TAIL, tail, sizeof tail);
    EXPECT(blockread_init(&r, slice_of(p, n)) == ST_OK);
    EXPECT(blockread_item(&r, 1, &it) && it.shared == 2);
    p[1] = 0x7e; /* the first key reaches beyond its entry */
    EXPECT(!blockread_item(&r, 0, &it));
    p[1] = (char)0xff; /* and with a long size too */
    EXPECT(!blockread_item(&r, 0, &it));
    sample_end(&s);
}

static void block__refused_allocations(void)
{
    for (long n = 0;; n++) {
        struct sample s;
        char key[16];
        bool all = true;
        sample_begin(&s);
        s.te.fail_at = n;
        for (unsigned i = 0; i < 200; i++) {
            struct entry e = {number_key(i, key), 1, slice_text("some value"), BATCH_PUT};
            uint32_t before = s.w.count;
            enum status st = blockwrite_add(&s.w, &e, 0);
            EXPECT(st == ST_OK || (st == ST_NOMEM && s.w.count == before));
            all = all && st == ST_OK;
        }
        all = blockwrite_finish(&s.w, &s.out) == ST_OK && all;
        bool reached = s.te.allocs > n;
        EXPECT(all == !reached);
        sample_end(&s);
        if (!reached) {
            break;
        }
    }
}

/* ---- the index ---- */

static int reverse_compare(void *arg, const void *a, size_t a_size, const void *b, size_t b_size)
{
    (void)arg;
    return slice_compare(slice_of(b, b_size), slice_of(a, a_size));
}

static const struct tkv_comparator reverse_comparator = {"test.reverse", NULL, reverse_compare};

struct place {
    char key[40];
    size_t size;
    uint64_t sequence;
};

static struct order place_order;

static int by_place(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    return entry_compare(place_order, slice_of(x->key, x->size), x->sequence,
                         slice_of(y->key, y->size), y->sequence);
}

/* Blocks of two entries each, from a sorted list of random places. */
static void index_round(struct prng *g, struct order o, size_t blocks)
{
    struct test_env te;
    struct tabindex_build b;
    struct tabindex ix;
    size_t count = 2 * blocks;
    struct place *p = calloc(count + 1, sizeof *p);
    uint64_t total = 0;
    unsigned front = (unsigned)prng_below(g, 3) * 10;
    for (size_t i = 0; i < count; i++) {
        memset(p[i].key, 'f', front);
        p[i].size = front;
        for (uint64_t left = prng_below(g, 11); left > 0; left--) {
            p[i].key[p[i].size++] = (char)("\0\xff"
                                           "ab"[prng_below(g, 4)]);
        }
        p[i].sequence = i + 1; /* none twice */
    }
    place_order = o;
    qsort(p, count, sizeof *p, by_place);
    test_env_init(&te, NULL);
    tabindex_build_init(&b, &te.env.mem);
    for (size_t i = 1; i < count; i += 2) {
        struct slice next = slice_of(p[i + 1].key, p[i + 1].size);
        EXPECT(tabindex_build_add(&b, o, slice_of(p[i].key, p[i].size), p[i].sequence,
                                  i + 1 < count ? &next : NULL, 10 + i) == ST_OK);
        total += 10 + i;
    }
    EXPECT(tabindex_load(&ix, &te.env.mem, o, buf_slice(&b.out), blocks, total + 1) == ST_CORRUPT);
    EXPECT(tabindex_load(&ix, &te.env.mem, o, buf_slice(&b.out), blocks + 1, total) == ST_CORRUPT);
    EXPECT(tabindex_load(&ix, &te.env.mem, o, buf_slice(&b.out), blocks, total) == ST_OK);
    EXPECT(ix.count == blocks && ix.offsets[blocks] == total);
    for (size_t i = 0; i < count; i++) {
        EXPECT(tabindex_find(&ix, slice_of(p[i].key, p[i].size), p[i].sequence) == i / 2);
    }
    for (int i = 0; i < 100; i++) { /* any key: not behind its block, not before it */
        char key[4];
        for (size_t k = 0; k < sizeof key; k++) {
            key[k] = (char)("\0\xff"
                            "af"[prng_below(g, 4)]);
        }
        struct slice s = slice_of(key, (size_t)prng_below(g, 5));
        uint32_t at = tabindex_find(&ix, s, 5);
        EXPECT(at == 0 || entry_compare(o, slice_of(p[2 * at - 1].key, p[2 * at - 1].size),
                                        p[2 * at - 1].sequence, s, 5) < 0);
        EXPECT(at == blocks || 2 * at + 2 >= count ||
               entry_compare(o, s, 5, slice_of(p[2 * at + 2].key, p[2 * at + 2].size),
                             p[2 * at + 2].sequence) < 0);
    }
    tabindex_release(&ix);
    te.fail_at = te.allocs;
    EXPECT(tabindex_load(&ix, &te.env.mem, o, buf_slice(&b.out), blocks, total) == ST_NOMEM);
    tabindex_release(&ix);
    tabindex_build_release(&b);
    EXPECT(te.live == 0);
    free(p);
}

static void index__names_the_block_of_every_key(void)
{
    struct prng g = {5};
    for (size_t i = 0; i < 400; i++) {
        index_round(&g, i % 4 == 3 ? (struct order){&reverse_comparator} : bytewise, 1 + i % 90);
    }
}

static void index__damaged_bytes(void)
{
    struct prng g = {6};
    struct test_env te;
    struct tabindex_build b;
    struct tabindex ix;
    test_env_init(&te, NULL);
    tabindex_build_init(&b, &te.env.mem);
    struct slice next = slice_text("banana");
    EXPECT(tabindex_build_add(&b, bytewise, slice_text("apple"), 3, &next, 100) == ST_OK);
    EXPECT(tabindex_build_add(&b, bytewise, slice_text("banana"), 3, &next, 100) == ST_OK);
    EXPECT(tabindex_build_add(&b, bytewise, slice_text("bone"), 3, NULL, 100) == ST_OK);
    for (size_t cut = 0; cut < b.out.size; cut++) {
        EXPECT(tabindex_load(&ix, &te.env.mem, bytewise, slice_of(b.out.data, cut), 3, 300) ==
               ST_CORRUPT);
    }
    for (int i = 0; i < 5000; i++) {
        char *p = b.out.data + prng_below(&g, b.out.size);
        char before = *p;
        *p = (char)prng_next(&g);
        enum status st = tabindex_load(&ix, &te.env.mem, bytewise, buf_slice(&b.out), 3, 300);
        EXPECT(st == ST_OK || st == ST_CORRUPT);
        if (st == ST_OK) {
            EXPECT(tabindex_find(&ix, slice_text("bob"), 1) <= 3);
        }
        tabindex_release(&ix);
        *p = before;
    }
    tabindex_build_release(&b);
    EXPECT(te.live == 0);
}

TAP_MAIN({
    RUN(block__every_width_of_sequences);
    RUN(block__short_offsets_up_to_their_limit);
    RUN(block__find_and_seek_at_every_count);
    RUN(block__damaged_tails_and_entries);
    RUN(block__refused_allocations);
    RUN(index__names_the_block_of_every_key);
    RUN(index__damaged_bytes);
})
