/* test_soup.c - random worlds: every invariant after every step, and a good end. */
#include "tests/raft/soup.h"
#include "tests/tap.h"

#include <stdlib.h>

static uint64_t seeds_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static bool one_world(uint64_t seed, uint32_t moves, uint64_t *seen, uint64_t *reads)
{
    struct soup s;
    soup_world(&s, seed, moves);
    bool good = soup_what(&s)[0] == '\0';
    if (!good) {
        printf("# seed %llu, step %llu: %s\n", (unsigned long long)seed,
               (unsigned long long)s.steps, soup_what(&s));
    }
    *seen |= s.seen;
    *reads += s.reads_served;
    soup_release(&s);
    return good;
}

static void test_soup__no_invariant_breaks_in_random_worlds(void)
{
    uint64_t from = seeds_from("SOUP_FROM", 1);
    uint64_t count = seeds_from("SOUP_SEEDS", 400);
    uint32_t moves = (uint32_t)seeds_from("SOUP_MOVES", 3000);
    uint64_t seen = 0;
    uint64_t reads = 0;
    uint64_t bad = 0;
    for (uint64_t seed = from; seed < from + count && bad < 5; seed++) {
        bad += !one_world(seed, moves, &seen, &reads);
    }
    EXPECT(bad == 0);
    for (int i = 0; i < RAFT_SEEN_COUNT && count >= 400; i++) {
        if ((seen & RAFT_SEEN(i)) == 0) {
            printf("# never seen: %d\n", i);
        }
    }
    printf("# reads served: %llu\n", (unsigned long long)reads);
}

TAP_MAIN({ RUN(test_soup__no_invariant_breaks_in_random_worlds); })
