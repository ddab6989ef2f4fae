/* test_table.c - tables against a sorted array: every lookup, seek and step; damage; refusals. */
#include "base/prng.h"
#include "engine/blockcache.h"
#include "engine/table_cursor.h"
#include "engine/tablewrite.h"
#include "tests/engine/tmpdir.h"
#include "tests/tap.h"
#include "tests/test_env.h"

#include <stdlib.h>

#define NUMBER 7
#define PATH   "000007.sst"

static int reverse_compare(void *arg, const void *a, size_t a_size, const void *b, size_t b_size)
{
    (void)arg;
    return slice_compare(slice_of(b, b_size), slice_of(a, a_size));
}

static const struct tkv_comparator reverse_comparator = {"test.reverse", NULL, reverse_compare};
static const struct order bytewise = {NULL};
static const struct order reverse = {&reverse_comparator};

/* The model: entries in internal order, with bytes of their own. */
struct model {
    struct order order;
    struct entry *entries;
    size_t count;
};

static struct order sort_order;

static int by_entry(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    return entry_compare(sort_order, x->key, x->sequence, y->key, y->sequence);
}

static char *copy_bytes(struct slice s)
{
    char *p = malloc(s.size + 1);
    if (s.size > 0) {
        memcpy(p, s.data, s.size);
    }
    return p;
}

/* A key of one of a few shapes, so that many are alike in front. */
static size_t random_key(struct prng *g, char *key)
{
    static const char *const fronts[] = {"", "user:", "user:0000000000000000000000", "\xff\xff",
                                         "u"};
    size_t n = 0;
    const char *front = fronts[prng_below(g, 5)];
    memcpy(key, front, strlen(front));
    n = strlen(front);
    switch (prng_below(g, 6)) {
    case 0:
        return n;
    case 1:
        return n + (size_t)snprintf(key + n, 32, "%06u", (unsigned)prng_below(g, 3000));
    case 2:
        key[n++] = (char)prng_below(g, 256);
        return n;
    case 3:
        memset(key + n, 'x', 200);
        return n + (size_t)prng_below(g, 200);
    default:
        for (uint64_t left = prng_below(g, 12); left > 0; left--) {
            key[n++] = (char)("\0\xff"
                              "ab"[prng_below(g, 4)]);
        }
        return n;
    }
}

static size_t random_value_size(struct prng *g)
{
    switch (prng_below(g, 40)) {
    case 0:
        return 0;
    case 1:
        return (size_t)prng_below(g, 9000);
    default:
        return (size_t)prng_below(g, 120);
    }
}

static void model_make(struct model *m, struct prng *g, struct order o, size_t want, size_t huge)
{
    char key[512];
    m->order = o;
    m->entries = malloc((want + 1) * sizeof m->entries[0]);
    m->count = 0;
    for (size_t i = 0; i < want;) {
        size_t n = random_key(g, key);
        uint64_t versions = prng_below(g, 8) == 0 ? 1 + prng_below(g, 60) : 1;
        for (; versions > 0 && i < want; versions--, i++) {
            struct entry e = {slice_of(key, n), 1 + i * 3 + prng_below(g, 3), {NULL, 0}, BATCH_PUT};
            size_t size = i < huge ? 70000 + 1000 * i : random_value_size(g);
            char *value = malloc(size + 1);
            bool soft = prng_below(g, 2) == 0;
            for (size_t k = 0; k < size; k++) {
                value[k] = (char)(soft ? "abcabcabd"[k % 9] : (char)prng_next(g));
            }
            e.key.data = copy_bytes(e.key);
            e.value = slice_of(value, size);
            if (prng_below(g, 5) == 0) {
                e.type = BATCH_DELETE;
                e.value.size = 0;
            }
            m->entries[m->count++] = e;
        }
    }
    sort_order = o;
    qsort(m->entries, m->count, sizeof m->entries[0], by_entry);
}

static void model_release(struct model *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free((void *)(uintptr_t)m->entries[i].key.data);
        free((void *)(uintptr_t)m->entries[i].value.data);
    }
    free(m->entries);
}

/* The first entry >= (key, sequence). */
static size_t model_seek(const struct model *m, struct slice key, uint64_t sequence)
{
    size_t low = 0;
    size_t high = m->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct entry *e = &m->entries[mid];
        if (entry_compare(m->order, e->key, e->sequence, key, sequence) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static bool same(const struct entry *a, const struct entry *b)
{
    return slice_equal(a->key, b->key) && slice_equal(a->value, b->value) &&
           a->sequence == b->sequence && a->type == b->type;
}

static struct tablewrite_options options(struct env *env, struct order o)
{
    return (struct tablewrite_options){.env = env,
                                       .order = o,
                                       .number = NUMBER,
                                       .block_bytes = 4096,
                                       .filter_bits = 10,
                                       .prefix_bytes = 0,
                                       .compression = TABLEFMT_RAW};
}

static enum status write_model(const struct model *m, const struct tablewrite_options *o,
                               const struct tomb_set *tombs, const char *path)
{
    struct tablewrite w;
    struct table_info info;
    enum status st = tablewrite_open(&w, o, path);
    if (st != ST_OK) {
        return st;
    }
    for (size_t i = 0; i < m->count && st == ST_OK; i++) {
        st = tablewrite_add(&w, &m->entries[i]);
    }
    if (st == ST_OK) {
        st = tablewrite_add_tombs(&w, tombs);
    }
    if (st == ST_OK) {
        st = tablewrite_finish(&w, &info);
    }
    if (st == ST_OK) {
        EXPECT(info.entries == m->count);
        EXPECT(info.tombs == tomb_set_count(tombs));
    }
    tablewrite_release(&w);
    return st;
}

static void check_gets(struct table *t, const struct model *m, struct prng *g)
{
    char key[512];
    for (int i = 0; i < 600; i++) {
        struct table_hit hit;
        struct slice k = slice_of(key, random_key(g, key));
        uint64_t sequence = ENTRY_SEQUENCE_MAX;
        if (i % 2 == 0) {
            const struct entry *e = &m->entries[prng_below(g, m->count)];
            k = e->key;
            sequence = e->sequence + prng_below(g, 3) - 1;
        }
        size_t at = model_seek(m, k, sequence);
        bool there = at < m->count && slice_equal(m->entries[at].key, k);
        unsigned flags = i % 3 == 0 ? TABLE_NO_FILL : 0;
        enum status st = table_get(t, k, sequence, flags, &hit, NULL);
        EXPECT(st == (there ? ST_OK : ST_NOENT));
        if (st == ST_OK) {
            EXPECT(there && same(&hit.entry, &m->entries[at]));
            block_unref(hit.block);
        }
    }
}

static void check_scans(struct table *t, const struct model *m, unsigned flags)
{
    struct table_cursor c;
    size_t i = 0;
    table_cursor_init(&c, t, flags);
    for (table_cursor_first(&c); c.valid; table_cursor_next(&c)) {
        EXPECT(i < m->count && same(&c.entry, &m->entries[i]));
        i++;
    }
    EXPECT(c.st == ST_OK && i == m->count);
    for (table_cursor_last(&c); c.valid; table_cursor_prev(&c)) {
        i--;
        EXPECT(same(&c.entry, &m->entries[i]));
    }
    EXPECT(c.st == ST_OK && i == 0);
    table_cursor_release(&c);
}

static void check_seeks(struct table *t, const struct model *m, struct prng *g, unsigned flags)
{
    char key[512];
    struct table_cursor c;
    table_cursor_init(&c, t, flags);
    for (int i = 0; i < 400; i++) {
        struct slice k = slice_of(key, random_key(g, key));
        uint64_t sequence = i % 3 == 0 ? ENTRY_SEQUENCE_MAX : prng_below(g, 3 * m->count + 3);
        if (i % 2 == 0) {
            const struct entry *e = &m->entries[prng_below(g, m->count)];
            k = e->key;
            sequence = e->sequence + prng_below(g, 3) - 1;
        }
        size_t at = model_seek(m, k, sequence);
        if (i % 4 < 2) {
            table_cursor_seek(&c, k, sequence);
        } else {
            table_cursor_seek_before(&c, k, sequence);
            at--; /* over the edge: SIZE_MAX, which is no entry */
        }
        for (uint64_t steps = prng_below(g, 12) + 1; steps > 0; steps--) {
            EXPECT(c.st == ST_OK);
            EXPECT(c.valid == (at < m->count));
            if (!c.valid || at >= m->count) {
                break;
            }
            EXPECT(same(&c.entry, &m->entries[at]));
            if (prng_below(g, 4) == 0) {
                table_cursor_prev(&c);
                at--;
            } else {
                table_cursor_next(&c);
                at++;
            }
        }
    }
    table_cursor_release(&c);
}

static void check_all(struct tmpdir *d, const struct model *m, struct prng *g,
                      struct blockcache *cache)
{
    struct table_stats stats;
    struct table_stripe sum;
    struct table_env te = {d->env, m->order, cache, &stats, NULL};
    struct table_info expect = {.number = NUMBER};
    struct table *t = NULL;
    struct err err = {{0}};
    memset(&stats, 0, sizeof stats);
    enum status st = table_open(&te, PATH, &expect, &t, &err);
    EXPECT(st == ST_OK);
    if (st != ST_OK) {
        printf("# %s\n", err.text);
        return;
    }
    st = table_verify(t, NULL, &err);
    EXPECT(st == ST_OK);
    if (st != ST_OK) {
        printf("# %s\n", err.text);
    }
    check_gets(t, m, g);
    check_scans(t, m, 0);
    check_scans(t, m, TABLE_SCAN);
    check_seeks(t, m, g, 0);
    check_seeks(t, m, g, TABLE_SCAN);
    table_stats_sum(&stats, &sum);
    EXPECT(sum.read_bytes > 0);
    EXPECT(sum.filter_misses <= sum.filter_checks);
    table_unref(t);
}

static void table__reads_what_was_written(void)
{
    static const uint32_t blocks[] = {64, 300, 4096, 70000, 1u << 20};
    struct tmpdir d;
    struct prng g = {1};
    struct epoch epoch;
    struct blockcache *cache = NULL;
    tmpdir_make(&d);
    EXPECT(epoch_init(&epoch, d.env) == ST_OK);
    EXPECT(blockcache_new(d.env, &epoch, 1u << 20, &cache) == ST_OK);
    for (int i = 0; i < 40; i++) {
        struct model m;
        struct tablewrite_options o = options(d.env, i % 4 == 3 ? reverse : bytewise);
        o.block_bytes = blocks[i % 5];
        o.filter_bits = (uint32_t)(i % 3) * 7;
        o.prefix_bytes = (uint32_t)(i % 4);
        o.compression = i / 2 % 2;
        model_make(&m, &g, o.order, 1 + (size_t)prng_below(&g, i < 10 ? 20 : 3000), i % 7 == 0);
        EXPECT(write_model(&m, &o, NULL, PATH) == ST_OK);
        check_all(&d, &m, &g, i % 2 == 0 ? cache : NULL);
        blockcache_drop_file(cache, NUMBER); /* the next one has the same number */
        EXPECT(env_path_remove(d.env, PATH) == ST_OK);
        model_release(&m);
    }
    blockcache_free(cache);
    epoch_release(&epoch);
    tmpdir_remove(&d);
}

TAP_MAIN({ RUN(table__reads_what_was_written); })
