/* test_lz4.c - LZ4: round trips, damage, limits of memory, and the real library both ways. */
#include "engine/lz4.h"

#include "base/prng.h"
#include "tests/tap.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static uint32_t work[LZ4_WORK / 4];

/* Data of several kinds, which compress from not at all to very well. */
static void fill(struct prng *g, unsigned char *p, size_t n)
{
    unsigned kind = (unsigned)prng_below(g, 5);
    for (size_t i = 0; i < n; i++) {
        size_t back = 1 + (size_t)prng_below(g, i + 1);
        switch (kind) {
        case 0:
            p[i] = (unsigned char)prng_next(g);
            break;
        case 1:
            p[i] = 'z';
            break;
        case 2:
            p[i] = (unsigned char)("abcd"[prng_below(g, 4)]);
            break;
        case 3:
            p[i] = (unsigned char)(i % 300 < 150 ? (unsigned char)prng_next(g) : p[i - 150]);
            break;
        default: /* copies of what went before, of any length */
            p[i] = (unsigned char)prng_next(g);
            for (uint64_t left = prng_below(g, 40); left > 0 && i + 1 < n && back <= i; left--) {
                i++;
                p[i] = p[i - back];
            }
            break;
        }
    }
}

static size_t some_size(struct prng *g, int i)
{
    return i < 300 ? (size_t)i : (size_t)prng_below(g, i % 10 == 0 ? 300000 : 9000);
}

/* Everything is malloc'ed to its exact size, so that a sanitizer sees each byte too far. */
static void lz4__what_is_packed_comes_back(void)
{
    struct prng g = {1};
    for (int i = 0; i < 3000; i++) {
        size_t n = some_size(&g, i);
        unsigned char *src = malloc(n + 1);
        unsigned char *back = malloc(n + 1);
        fill(&g, src, n);
        unsigned char *packed = malloc(lz4_bound(n));
        size_t size = lz4_pack(src, n, packed, lz4_bound(n), work);
        EXPECT(size > 0 && size <= lz4_bound(n));
        unsigned char *exact = malloc(size);
        memcpy(exact, packed, size);
        EXPECT(lz4_unpack(exact, size, back, n) == ST_OK);
        EXPECT(memcmp(src, back, n) == 0);
        EXPECT(lz4_unpack(exact, size, back, n + 1) == ST_CORRUPT);
        EXPECT(n == 0 || lz4_unpack(exact, size, back, n - 1) == ST_CORRUPT);
        for (size_t cut = 0; cut < size && cut < 100; cut++) {
            EXPECT(lz4_unpack(exact, cut, back, n) == ST_CORRUPT);
        }
        free(exact);
        free(packed);
        free(back);
        free(src);
    }
}

static void lz4__no_byte_beyond_the_capacity(void)
{
    struct prng g = {2};
    for (int i = 0; i < 300; i++) {
        size_t n = some_size(&g, i);
        unsigned char *src = malloc(n + 1);
        fill(&g, src, n);
        unsigned char *most = malloc(lz4_bound(n));
        size_t size = lz4_pack(src, n, most, lz4_bound(n), work);
        for (size_t cap = 0; cap < size; cap += 1 + size / 50) {
            unsigned char *tight = malloc(cap + 1);
            tight[cap] = 0x5a;
            EXPECT(lz4_pack(src, n, tight, cap, work) == 0);
            EXPECT(tight[cap] == 0x5a);
            free(tight);
        }
        free(most);
        free(src);
    }
}

static void lz4__damage_is_an_error_or_other_bytes(void)
{
    struct prng g = {3};
    for (int i = 0; i < 20000; i++) {
        unsigned char src[400];
        unsigned char packed[500];
        size_t n = (size_t)prng_below(&g, sizeof src);
        fill(&g, src, n);
        size_t size = lz4_pack(src, n, packed, sizeof packed, work);
        unsigned char *exact = malloc(size);
        unsigned char *back = malloc(n + 1);
        memcpy(exact, packed, size);
        exact[prng_below(&g, size)] = (unsigned char)prng_next(&g);
        enum status st = lz4_unpack(exact, size, back, n);
        EXPECT(st == ST_OK || st == ST_CORRUPT);
        free(back);
        free(exact);
    }
}

static void lz4__a_match_lies_in_what_was_written(void)
{
    unsigned char good[] = {0x10, 'a', 1, 0, 0x50, 'b', 'c', 'd', 'e', 'f'};
    unsigned char back[10];
    EXPECT(lz4_unpack(good, sizeof good, back, 10) == ST_OK && memcmp(back, "aaaaabcdef", 10) == 0);
    good[2] = 0;
    EXPECT(lz4_unpack(good, sizeof good, back, 10) == ST_CORRUPT);
    good[2] = 2;
    EXPECT(lz4_unpack(good, sizeof good, back, 10) == ST_CORRUPT);
}

static void lz4__ratio_of_text(void)
{
    static unsigned char text[1 << 16];
    static unsigned char packed[1 << 17];
    for (size_t i = 0; i + 16 < sizeof text; i += 16) {
        (void)snprintf((char *)text + i, 17, "key %06u value ", (unsigned)(i / 16));
    }
    size_t size = lz4_pack(text, sizeof text - 16, packed, sizeof packed, work);
    EXPECT(size > 0 && size < sizeof text / 2);
    memset(text, 7, sizeof text);
    size = lz4_pack(text, sizeof text, packed, sizeof packed, work);
    EXPECT(size > 0 && size < 300);
}

typedef int real_pack(const char *src, char *dst, int n, int cap);
typedef int real_unpack(const char *src, char *dst, int n, int cap);

static void lz4__the_real_library_agrees(void)
{
    struct prng g = {4};
    void *lib = dlopen("liblz4.so.1", RTLD_NOW);
    if (lib == NULL) {
        SKIP("liblz4 is not installed");
        return;
    }
    real_pack *pack;
    real_unpack *unpack;
    *(void **)(void *)&pack = dlsym(lib, "LZ4_compress_default");
    *(void **)(void *)&unpack = dlsym(lib, "LZ4_decompress_safe");
    double ours = 0;
    double theirs = 0;
    for (int i = 0; i < 2000; i++) {
        size_t n = some_size(&g, i);
        size_t bound = lz4_bound(n);
        char *src = malloc(n + 1);
        char *packed = malloc(bound);
        char *back = malloc(n + 1);
        fill(&g, (unsigned char *)src, n);
        size_t size = lz4_pack(src, n, packed, bound, work);
        ours += (double)size;
        EXPECT(unpack(packed, back, (int)size, (int)n) == (int)n);
        EXPECT(memcmp(src, back, n) == 0);
        memset(back, 0, n + 1);
        int real = pack(src, packed, (int)n, (int)bound);
        theirs += real;
        EXPECT(real > 0);
        EXPECT(lz4_unpack(packed, (size_t)real, back, n) == ST_OK);
        EXPECT(memcmp(src, back, n) == 0);
        free(back);
        free(packed);
        free(src);
    }
    printf("# %.3f times the size of the real library's output\n", ours / theirs);
    EXPECT(ours < 1.1 * theirs);
    EXPECT(dlclose(lib) == 0);
}

TAP_MAIN({
    RUN(lz4__what_is_packed_comes_back);
    RUN(lz4__no_byte_beyond_the_capacity);
    RUN(lz4__damage_is_an_error_or_other_bytes);
    RUN(lz4__a_match_lies_in_what_was_written);
    RUN(lz4__ratio_of_text);
    RUN(lz4__the_real_library_agrees);
})
