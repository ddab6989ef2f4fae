/* test_filter.c - the filter: nothing is missing, false positives stay rare, damage is told. */
#include "engine/filter.h"

#include "tests/tap.h"
#include "tests/test_env.h"

static struct slice key_of(unsigned i, char key[32])
{
    return slice_of(key, (size_t)snprintf(key, 32, "key-%u-%u", i % 7, i));
}

/* Per mille of false positives with so many bits a key. */
static double rate(unsigned count, uint32_t bits, unsigned *probes)
{
    struct test_env te;
    struct buf hashes;
    struct buf out;
    struct filter f;
    char key[32];
    unsigned wrong = 0;
    test_env_init(&te, NULL);
    buf_init(&hashes, &te.env.mem);
    buf_init(&out, &te.env.mem);
    for (unsigned i = 0; i < count; i++) {
        uint64_t h = filter_hash(key_of(i, key));
        EXPECT(buf_append(&hashes, &h, sizeof h) == ST_OK);
    }
    EXPECT(filter_build(&out, (const uint64_t *)(void *)hashes.data, count, bits) == ST_OK);
    EXPECT(filter_load(&f, &te.env.mem, buf_slice(&out)) == ST_OK);
    EXPECT((uintptr_t)f.lines % FILTER_LINE == 0);
    for (unsigned i = 0; i < count; i++) {
        EXPECT(filter_may_have(&f, filter_hash(key_of(i, key))));
    }
    for (unsigned i = 0; i < 100000; i++) {
        wrong += filter_may_have(&f, filter_hash(key_of(count + i, key)));
    }
    *probes = f.probes;
    EXPECT(filter_memory(&f) >= out.size - 1);
    filter_release(&f);
    filter_release(&f);
    buf_release(&out);
    buf_release(&hashes);
    EXPECT(te.live == 0);
    return wrong / 100.0;
}

static void filter__false_positives(void)
{
    /* What a classic filter would have: 145, 21.6, 8.2, 0.46 per mille for 4, 8, 10, 16 bits. */
    static const struct {
        uint32_t bits;
        double most;
    } want[] = {{1, 800}, {4, 165}, {8, 29}, {10, 12.5}, {16, 1.5}, {64, 0.1}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        unsigned probes;
        double r = rate(20000, want[i].bits, &probes);
        printf("# %u bits: %.2f per mille, %u probes\n", want[i].bits, r, probes);
        EXPECT(r < want[i].most);
        EXPECT(probes >= 1 && probes <= FILTER_PROBES_MAX);
    }
    unsigned probes;
    EXPECT(rate(1, 10, &probes) < 40);
}

/* Part of the format: a change here makes every filter on disk useless. */
static void filter__hashes_never_change(void)
{
    static const char bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const uint64_t want[] = {
        0x63b29fbaa272f522u, 0x54df31466f266f8eu, 0x54d7674ef121ffdbu, 0x882ed4f56f85950eu,
        0x821bf93c0998a540u, 0x714d1c82b3b802b3u, 0xaa54a9ede5f2fe6bu, 0xad36248578ca9c6eu,
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        uint64_t h = filter_hash(slice_of(bytes, i * i % 37));
        if (h != want[i]) {
            printf("# 0x%016llxu,\n", (unsigned long long)h);
        }
        EXPECT(h == want[i]);
    }
    EXPECT(filter_hash(slice_text("abc")) != filter_hash_prefix(slice_text("abc")));
}

static void filter__keys_that_differ_little(void)
{
    char zero[40] = {0};
    uint64_t seen[40];
    for (size_t n = 0; n < 40; n++) { /* the same byte, only more of it */
        seen[n] = filter_hash(slice_of(zero, n));
        for (size_t k = 0; k < n; k++) {
            EXPECT(seen[k] != seen[n]);
        }
    }
    char key[24] = {0};
    for (size_t bit = 0; bit < sizeof key * 8; bit++) {
        uint64_t before = filter_hash(slice_of(key, sizeof key));
        key[bit / 8] = (char)(key[bit / 8] ^ 1 << bit % 8);
        int moved = __builtin_popcountll(before ^ filter_hash(slice_of(key, sizeof key)));
        EXPECT(moved > 8 && moved < 56);
    }
}

static void filter__damage(void)
{
    struct test_env te;
    struct filter f;
    char bytes[130] = {0};
    test_env_init(&te, NULL);
    bytes[64] = 6;
    bytes[128] = 6;
    EXPECT(filter_load(&f, &te.env.mem, slice_of(bytes, 65)) == ST_OK);
    filter_release(&f);
    EXPECT(filter_load(&f, &te.env.mem, slice_of(bytes, 129)) == ST_OK);
    filter_release(&f);
    EXPECT(filter_load(&f, &te.env.mem, slice_of(bytes, 0)) == ST_CORRUPT);
    EXPECT(filter_load(&f, &te.env.mem, slice_of(bytes, 1)) == ST_CORRUPT);
    EXPECT(filter_load(&f, &te.env.mem, slice_of(bytes, 128)) == ST_CORRUPT);
    bytes[64] = 0;
    EXPECT(filter_load(&f, &te.env.mem, slice_of(bytes, 65)) == ST_CORRUPT);
    bytes[64] = FILTER_PROBES_MAX + 1;
    EXPECT(filter_load(&f, &te.env.mem, slice_of(bytes, 65)) == ST_CORRUPT);
    bytes[64] = 6;
    te.fail_at = te.allocs;
    EXPECT(filter_load(&f, &te.env.mem, slice_of(bytes, 65)) == ST_NOMEM);
    EXPECT(te.live == 0);
}

TAP_MAIN({
    RUN(filter__false_positives);
    RUN(filter__hashes_never_change);
    RUN(filter__keys_that_differ_little);
    RUN(filter__damage);
})
