/* test_pbarena.c - blocks stay where they are, limits hold, and a like load allocates nothing. */
#include "net/pbarena.h"

#include "tests/net/testmem.h"
#include "tests/tap.h"

#include <stdbool.h>
#include <stdint.h>

static void test_pbarena__blocks_keep_their_bytes(void)
{
    struct testmem t = TESTMEM();
    struct pbarena a;
    unsigned char *blocks[200];
    pbarena_init(&a, &t.mem, 1u << 20, 1u << 20);
    for (unsigned i = 0; i < 200; i++) {
        void *p = NULL;
        EXPECT(pbarena_grow(&a, &p, 0, i + 1) == ST_OK);
        EXPECT((uintptr_t)p % 8 == 0);
        memset(p, (int)i, i + 1);
        blocks[i] = p;
    }
    for (unsigned i = 0; i < 200; i++) { /* those in the middle move, and take their bytes along */
        void *p = blocks[i];
        EXPECT(pbarena_grow(&a, &p, i + 1, 2 * i + 2) == ST_OK);
        blocks[i] = p;
        memset(blocks[i] + i + 1, (int)i, i + 1);
    }
    for (unsigned i = 0; i < 200; i++) {
        for (unsigned n = 0; n < 2 * i + 2; n++) {
            EXPECT(blocks[i][n] == i);
        }
    }
    pbarena_release(&a);
    EXPECT(t.live == 0);
}

static void test_pbarena__the_last_block_grows_in_place(void)
{
    struct testmem t = TESTMEM();
    struct pbarena a;
    void *p = NULL;
    pbarena_init(&a, &t.mem, 1000, 1000);
    EXPECT(pbarena_grow(&a, &p, 0, 8) == ST_OK);
    void *first = p;
    for (size_t size = 16; size <= 992; size += 8) {
        EXPECT(pbarena_grow(&a, &p, size - 8, size) == ST_OK);
        EXPECT(p == first);
    }
    EXPECT(a.taken == 992);
    EXPECT(t.live == 1);
    pbarena_release(&a);
}

static void test_pbarena__limit_is_met_exactly(void)
{
    struct testmem t = TESTMEM();
    struct pbarena a;
    void *p = NULL;
    void *q = NULL;
    pbarena_init(&a, &t.mem, 100, 100);
    EXPECT(pbarena_grow(&a, &p, 0, 40) == ST_OK);
    EXPECT(pbarena_grow(&a, &q, 0, 64) == ST_TOOBIG);
    EXPECT(q == NULL);
    EXPECT(pbarena_grow(&a, &q, 0, 56) == ST_OK);      /* 96 */
    EXPECT(pbarena_grow(&a, &p, 40, 48) == ST_TOOBIG); /* it would have to move */
    void *r = NULL;
    EXPECT(pbarena_grow(&a, &r, 0, SIZE_MAX) == ST_TOOBIG);
    EXPECT(pbarena_grow(&a, &r, 0, 5) == ST_TOOBIG); /* rounded up to 8 */
    EXPECT(a.taken == 96);
    pbarena_reset(&a);
    EXPECT(pbarena_grow(&a, &r, 0, 96) == ST_OK);
    pbarena_release(&a);
    EXPECT(t.live == 0);
}

static enum status take(struct pbarena *a, size_t size)
{
    void *p = NULL;
    return pbarena_grow(a, &p, 0, size);
}

static void test_pbarena__several_chunks_become_one(void)
{
    struct testmem t = TESTMEM();
    struct pbarena a;
    pbarena_init(&a, &t.mem, 1u << 20, 1u << 20);
    for (int i = 0; i < 100; i++) {
        EXPECT(take(&a, 500) == ST_OK);
    }
    EXPECT(t.live > 1);
    pbarena_reset(&a);
    EXPECT(t.live == 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            EXPECT(take(&a, 500) == ST_OK);
        }
        EXPECT(t.live == 1);
        t.fail_in = 0; /* no further request */
        pbarena_reset(&a);
    }
    pbarena_release(&a);
    EXPECT(t.live == 0);
}

static void test_pbarena__keeps_no_more_than_it_may(void)
{
    struct testmem t = TESTMEM();
    struct pbarena a;
    pbarena_init(&a, &t.mem, 1u << 20, 4096);
    EXPECT(take(&a, 4096) == ST_OK);
    pbarena_reset(&a);
    EXPECT(t.live == 1);
    EXPECT(take(&a, 5000) == ST_OK);
    pbarena_reset(&a);
    EXPECT(t.live == 0);
    EXPECT(take(&a, 8) == ST_OK);
    EXPECT(a.chunk->cap == 4096);
    pbarena_release(&a);
    EXPECT(take(&a, 5000) == ST_OK); /* in one chunk */
    EXPECT(t.live == 1);
    pbarena_reset(&a);
    EXPECT(t.live == 0);
    pbarena_release(&a);
}

static void test_pbarena__refused_memory_changes_nothing(void)
{
    struct testmem t = TESTMEM();
    struct pbarena a = {0};
    pbarena_release(&a); /* safe on zeros */
    pbarena_init(&a, &t.mem, 1u << 20, 1u << 20);
    void *p = NULL;
    t.fail_in = 0;
    EXPECT(pbarena_grow(&a, &p, 0, 16) == ST_NOMEM);
    EXPECT(p == NULL);
    EXPECT(pbarena_grow(&a, &p, 0, 16) == ST_OK);
    memset(p, 7, 16);
    void *old = p;
    t.fail_in = 0;
    EXPECT(pbarena_grow(&a, &p, 16, 5000) == ST_NOMEM);
    EXPECT(p == old);
    EXPECT(((char *)p)[15] == 7);
    EXPECT(a.taken == 16);
    EXPECT(pbarena_grow(&a, &p, 16, 5000) == ST_OK);
    EXPECT(((char *)p)[15] == 7);
    pbarena_release(&a);
    EXPECT(t.live == 0);
}

TAP_MAIN(RUN(test_pbarena__blocks_keep_their_bytes);
         RUN(test_pbarena__the_last_block_grows_in_place); RUN(test_pbarena__limit_is_met_exactly);
         RUN(test_pbarena__several_chunks_become_one); RUN(test_pbarena__keeps_no_more_than_it_may);
         RUN(test_pbarena__refused_memory_changes_nothing);)
