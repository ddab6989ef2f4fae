/* test_chooser.c - decisions: independent streams, tapes that replay, tapes of any bytes. */
#include "sim/chooser.h"

#include "base/prng.h"
#include "sim/simmem.h"
#include "tests/tap.h"

/* A stream's answers do not depend on how often others were asked. */
static void test_chooser__streams_are_independent(void)
{
    struct chooser c;
    struct chooser_stream a, b;
    uint64_t alone[50];
    chooser_init(&c, 7);
    chooser_stream_init(&a, &c, CHOOSE_SCHED, 1);
    for (int i = 0; i < 50; i++) {
        alone[i] = choose(&a, 1000);
    }
    chooser_init(&c, 7);
    chooser_stream_init(&a, &c, CHOOSE_SCHED, 1);
    chooser_stream_init(&b, &c, CHOOSE_SCHED, 2);
    for (int i = 0; i < 50; i++) {
        for (int k = 0; k < i; k++) {
            (void)choose(&b, 9);
        }
        EXPECT(choose(&a, 1000) == alone[i]);
    }
}

static void test_chooser__pairs_and_seeds_differ(void)
{
    struct chooser c, d;
    struct chooser_stream s[4];
    unsigned same = 0;
    chooser_init(&c, 7);
    chooser_init(&d, 8);
    chooser_stream_init(&s[0], &c, CHOOSE_SCHED, 1);
    chooser_stream_init(&s[1], &c, CHOOSE_SCHED, 2);
    chooser_stream_init(&s[2], &c, CHOOSE_NET_TIME, 1);
    chooser_stream_init(&s[3], &d, CHOOSE_SCHED, 1);
    for (int i = 0; i < 64; i++) {
        uint64_t first = choose_u64(&s[0]);
        for (int k = 1; k < 4; k++) {
            same += choose_u64(&s[k]) == first;
        }
    }
    EXPECT(same == 0);
}

static void test_chooser__answers_stay_in_range_and_spread(void)
{
    struct chooser c;
    struct chooser_stream s;
    unsigned seen[7] = {0};
    chooser_init(&c, 3);
    chooser_stream_init(&s, &c, CHOOSE_WORKLOAD, 0);
    for (int i = 0; i < 7000; i++) {
        uint64_t v = choose(&s, 7);
        EXPECT(v < 7);
        seen[v % 7]++;
    }
    for (int i = 0; i < 7; i++) {
        EXPECT(seen[i] > 850 && seen[i] < 1150);
    }
    EXPECT(choose(&s, 1) == 0);
    for (int i = 0; i < 100; i++) {
        uint64_t v = choose_between(&s, 10, 12);
        EXPECT(v >= 10 && v <= 12);
    }
}

static void test_chooser__chance_keeps_its_rate(void)
{
    struct chooser c;
    struct chooser_stream s;
    unsigned hits = 0;
    chooser_init(&c, 3);
    chooser_stream_init(&s, &c, CHOOSE_NET_FAULT, 0);
    for (int i = 0; i < 100000; i++) {
        hits += choose_chance(&s, 20000);
    }
    EXPECT(hits > 1800 && hits < 2200);
    uint64_t before = c.decisions;
    EXPECT(!choose_chance(&s, 0));
    EXPECT(choose_chance(&s, 1000000));
    EXPECT(c.decisions == before); /* certainties ask nothing */
}

static void test_chooser__weights_are_kept(void)
{
    static const uint32_t weights[] = {0, 70, 30};
    struct chooser c;
    struct chooser_stream s;
    unsigned seen[3] = {0};
    chooser_init(&c, 5);
    chooser_stream_init(&s, &c, CHOOSE_PLAN, 0);
    for (int i = 0; i < 10000; i++) {
        seen[choose_weighted(&s, weights, 3)]++;
    }
    EXPECT(seen[0] == 0);
    EXPECT(seen[1] > 6700 && seen[1] < 7300);
}

static void ask(struct chooser *c, uint64_t *answers, int n)
{
    struct chooser_stream a, b;
    chooser_stream_init(&a, c, CHOOSE_SCHED, 0);
    chooser_stream_init(&b, c, CHOOSE_DISK_TIME, 3);
    for (int i = 0; i < n; i++) {
        answers[i] = i % 3 == 0   ? choose(&a, 5)
                     : i % 3 == 1 ? choose_chance(&b, 300000)
                                  : choose_u64(&a);
    }
}

/* A recording, replayed on another seed, gives the recorded answers. */
static void test_chooser__recording_replays(void)
{
    enum { N = 300 };
    struct chooser c;
    struct buf tape;
    uint64_t first[N], second[N];
    buf_init(&tape, simmem());
    chooser_init(&c, 99);
    chooser_record(&c, &tape);
    ask(&c, first, N);
    EXPECT(!c.record_failed);
    chooser_init(&c, 1234);
    chooser_play(&c, tape.data, tape.size);
    ask(&c, second, N);
    EXPECT(memcmp(first, second, sizeof first) == 0);
    EXPECT(c.tape_at == tape.size);
    buf_release(&tape);
}

/* Past the end of the tape the seed answers, with the ordinals it would have had. */
static void test_chooser__short_tape_falls_back_to_the_seed(void)
{
    enum { N = 60 };
    struct chooser c;
    uint64_t seeded[N], taped[N];
    chooser_init(&c, 4);
    ask(&c, seeded, N);
    chooser_init(&c, 4);
    chooser_play(&c, "\x01\x01", 2);
    ask(&c, taped, N);
    EXPECT(taped[0] == 1 && taped[1] == 1);
    EXPECT(memcmp(seeded + 2, taped + 2, (N - 2) * sizeof *seeded) == 0);
    chooser_init(&c, 4);
    chooser_play(&c, "", 0);
    ask(&c, taped, N);
    EXPECT(memcmp(seeded, taped, sizeof seeded) == 0);
}

static void test_chooser__any_bytes_are_a_tape(void)
{
    struct prng g = {1};
    for (int round = 0; round < 200; round++) {
        unsigned char bytes[64];
        uint64_t answers[90];
        struct chooser c;
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (unsigned char)prng_next(&g);
        }
        chooser_init(&c, 4);
        chooser_play(&c, bytes, sizeof bytes);
        ask(&c, answers, 90);
        for (int i = 0; i < 90; i += 3) {
            EXPECT(answers[i] < 5);
        }
        EXPECT(c.tape_at == sizeof bytes);
    }
}

TAP_MAIN({
    RUN(test_chooser__streams_are_independent);
    RUN(test_chooser__pairs_and_seeds_differ);
    RUN(test_chooser__answers_stay_in_range_and_spread);
    RUN(test_chooser__chance_keeps_its_rate);
    RUN(test_chooser__weights_are_kept);
    RUN(test_chooser__recording_replays);
    RUN(test_chooser__short_tape_falls_back_to_the_seed);
    RUN(test_chooser__any_bytes_are_a_tape);
})
