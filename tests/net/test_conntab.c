/* test_conntab.c - tokens find their item until it is removed, and never another one. */
#include "net/conntab.h"

#include "base/prng.h"
#include "tests/net/testmem.h"
#include "tests/tap.h"

static void test_conntab__a_reused_slot_has_another_token(void)
{
    struct testmem t = TESTMEM();
    struct conntab c;
    int a;
    int b;
    uint64_t ta;
    uint64_t tb;
    conntab_init(&c, &t.mem);
    EXPECT(conntab_add(&c, &a, &ta) == ST_OK);
    conntab_remove(&c, ta);
    EXPECT(conntab_find(&c, ta) == NULL);
    EXPECT(conntab_add(&c, &b, &tb) == ST_OK);
    EXPECT((uint32_t)ta == (uint32_t)tb); /* the slot is the same one */
    EXPECT(ta != tb);
    EXPECT(conntab_find(&c, ta) == NULL);
    EXPECT(conntab_find(&c, tb) == &b);
    conntab_release(&c);
    EXPECT(t.live == 0);
}

/* Random adding and removing against a plain list of what is there and what ever was. */
static void test_conntab__matches_a_model(void)
{
    enum { ITEMS = 200, STEPS = 20000 };
    static uint64_t tokens[ITEMS];
    static uint64_t gone[STEPS];
    static char items[ITEMS];
    static int present[ITEMS];
    int gone_count = 0;
    struct testmem t = TESTMEM();
    struct conntab c;
    struct prng g = {.state = 3};
    conntab_init(&c, &t.mem);
    for (int step = 0; step < STEPS; step++) {
        size_t i = prng_below(&g, ITEMS);
        if (present[i]) {
            conntab_remove(&c, tokens[i]);
            gone[gone_count++] = tokens[i];
        } else {
            EXPECT(conntab_add(&c, &items[i], &tokens[i]) == ST_OK);
        }
        present[i] = !present[i];
        size_t j = prng_below(&g, ITEMS);
        EXPECT(!present[j] || conntab_find(&c, tokens[j]) == &items[j]);
        if (gone_count > 0) {
            EXPECT(conntab_find(&c, gone[prng_below(&g, (uint64_t)gone_count)]) == NULL);
        }
    }
    EXPECT(c.used <= ITEMS); /* lowest free slots are used again */
    conntab_release(&c);
    EXPECT(t.live == 0);
}

static void test_conntab__refused_memory_changes_nothing(void)
{
    struct testmem t = TESTMEM();
    struct conntab c;
    uint64_t token;
    int x;
    t.fail_in = 0;
    conntab_init(&c, &t.mem);
    EXPECT(conntab_add(&c, &x, &token) == ST_NOMEM);
    EXPECT(c.count == 0 && conntab_find(&c, 0) == NULL);
    EXPECT(conntab_add(&c, &x, &token) == ST_OK);
    EXPECT(c.count == 1 && conntab_find(&c, token) == &x);
    conntab_release(&c);
}

TAP_MAIN({
    RUN(test_conntab__a_reused_slot_has_another_token);
    RUN(test_conntab__matches_a_model);
    RUN(test_conntab__refused_memory_changes_nothing);
})
