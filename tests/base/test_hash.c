/* test_hash.c - hashes and the small generator have golden values: seeds and traces depend on
 * them, on every machine. */
#include "base/hash.h"

#include "base/prng.h"
#include "tests/tap.h"

/* The first outputs of splitmix64 with seed 0, as published with xoshiro's sources. */
static void test_prng__is_splitmix64(void)
{
    struct prng g = {0};
    EXPECT(prng_next(&g) == 0xe220a8397b1dcdafu);
    EXPECT(prng_next(&g) == 0x6e789e6aa1b965f4u);
    EXPECT(prng_next(&g) == 0x06c45d188009454fu);
    EXPECT(prng_next(&g) == 0xf88bb8a8724c81ecu);
}

static void test_prng__below_stays_below_and_reaches_all(void)
{
    struct prng g = {9};
    unsigned seen = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = prng_below(&g, 7);
        EXPECT(v < 7);
        seen |= 1u << v;
    }
    EXPECT(seen == 0x7f);
    EXPECT(prng_below(&g, 1) == 0);
}

static void test_hash__golden_values(void)
{
    EXPECT(hash_mix(0) == 0);
    EXPECT(hash_mix(1) == 0x5692161d100b05e5u);
    EXPECT(hash_add(0, 0) == 0xe220a8397b1dcdafu);
    EXPECT(hash_add(1, 2) == 0x44675ca383bfaf68u);
    EXPECT(hash_bytes(0, "", 0) == 0xe220a8397b1dcdafu);
    EXPECT(hash_bytes(0, "a", 1) == 0xb0f4835c6f0524fdu);
    EXPECT(hash_bytes(0, "12345678", 8) == 0x7b42334588d7d6c1u);
    EXPECT(hash_bytes(7, "123456789", 9) == 0x74486254756c6490u);
}

/* Zero bytes at the end count, and so does where a run is cut. */
static void test_hash__length_and_order_matter(void)
{
    static const char zeros[32] = {0};
    for (size_t n = 1; n < sizeof zeros; n++) {
        for (size_t k = 0; k < n; k++) {
            EXPECT(hash_bytes(0, zeros, n) != hash_bytes(0, zeros, k));
        }
    }
    EXPECT(hash_add(hash_add(0, 1), 2) != hash_add(hash_add(0, 2), 1));
    EXPECT(hash_bytes(hash_bytes(0, "ab", 2), "c", 1) != hash_bytes(0, "abc", 3));
}

/* Each input bit moves about half of the output bits. */
static void test_hash__mix_avalanches(void)
{
    struct prng g = {2};
    for (int bit = 0; bit < 64; bit++) {
        int moved = 0;
        for (int i = 0; i < 100; i++) {
            uint64_t v = prng_next(&g);
            moved += __builtin_popcountll(hash_mix(v) ^ hash_mix(v ^ (uint64_t)1 << bit));
        }
        EXPECT(moved > 2800);
        EXPECT(moved < 3600);
    }
}

TAP_MAIN({
    RUN(test_prng__is_splitmix64);
    RUN(test_prng__below_stays_below_and_reaches_all);
    RUN(test_hash__golden_values);
    RUN(test_hash__length_and_order_matter);
    RUN(test_hash__mix_avalanches);
})
