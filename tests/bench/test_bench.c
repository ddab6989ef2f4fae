/* test_bench.c - the parts of the engine's benchmark that figures are made of. */
#include "tests/bench/bench_data.h"
#include "tests/bench/bench_meter.h"
#include "tests/bench/bench_peer.h"
#include "tests/bench/bench_table.h"
#include "tests/tap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

noreturn void bench_die(const char *format, ...)
{
    printf("Bail out! %s\n", format);
    exit(3);
}

void *bench_alloc(size_t size)
{
    void *block = calloc(1, size);
    if (block == NULL) {
        bench_die("out of memory");
    }
    return block;
}

/* ---- keys and values ---- */

static void data__each_order_has_every_number_once(void)
{
    for (uint64_t n = 8; n < 3000; n += 331) {
        struct data d;
        bench_data_init(&d, n, 100, false);
        for (uint64_t salt = 0; salt < 1000; salt += 333) {
            char *seen = bench_alloc((size_t)n);
            uint64_t in_place = 0;
            for (uint64_t i = 0; i < n; i++) {
                uint64_t at = data_shuffle(&d, i, salt);
                EXPECT(at < n && !seen[at]);
                seen[at] = 1;
                in_place += at == i;
            }
            EXPECT(n < 100 || in_place <= n / 50);
            free(seen);
        }
        bench_data_release(&d);
    }
}

static void data__keys_sort_as_their_numbers(void)
{
    char a[DATA_KEY_BYTES + 1], b[DATA_KEY_BYTES + 1];
    const uint64_t ids[] = {0, 1, 9, 10, 99, 100, 123456, 999999, 1000000, 10000000000};
    for (size_t i = 1; i < sizeof ids / sizeof ids[0]; i++) {
        EXPECT(slice_compare(data_key(a, ids[i - 1]), data_key(b, ids[i])) < 0);
    }
    EXPECT(memcmp(data_key(a, 123456).data, "0000000000123456", 16) == 0);
}

static void data__a_wrong_value_is_told(void)
{
    static char value[DATA_VALUE_MAX];
    struct data d;
    bench_data_init(&d, 100, 100, false);
    struct slice s = data_value(&d, value, 7, 123456789);
    EXPECT(bench_data_right(&d, 7, s, true));
    EXPECT(!bench_data_right(&d, 8, s, false));
    EXPECT(!bench_data_right(&d, 7, slice_of(value, 99), false));
    for (size_t i = DATA_VALUE_MIN; i < s.size; i++) {
        value[i] ^= 1;
        EXPECT(bench_data_right(&d, 7, s, false) && !bench_data_right(&d, 7, s, true));
        value[i] ^= 1;
    }
    memset(value + 8, 0xff, 8); /* a place outside the pool */
    EXPECT(!bench_data_right(&d, 7, s, true));
    bench_data_release(&d);
}

/* By the definition: rank r is drawn in proportion to 1 / (r + 1)^0.99. */
static void data__ranks_are_zipfian(void)
{
    const uint64_t n = 1000;
    double zeta = 0;
    double count[1000] = {0};
    struct data d;
    bench_data_init(&d, n, 100, true);
    for (uint64_t i = 1; i <= n; i++) {
        zeta += pow((double)i, -0.99);
    }
    for (uint32_t i = 0; i < DATA_ZIPF; i++) {
        EXPECT(d.ranks[i] < n);
        count[d.ranks[i]]++;
    }
    double head = 0;
    double expected = 0;
    for (uint64_t r = 0; r < 100; r++) {
        head += count[r];
        expected += pow((double)(r + 1), -0.99) / zeta * DATA_ZIPF;
    }
    EXPECT(fabs(count[0] / (DATA_ZIPF / zeta) - 1) < 0.02);
    EXPECT(fabs(head / expected - 1) < 0.02);
    bench_data_release(&d);
}

/* ---- latencies ---- */

static void meter__buckets_are_in_order_and_near(void)
{
    uint32_t last = 0;
    for (uint64_t v = 0; v < (1ull << 40); v += 1 + v / 50) {
        uint32_t bucket = meter_bucket(v);
        EXPECT(bucket >= last && bucket < METER_BUCKETS);
        EXPECT(fabs(meter_value(bucket) - (double)v) <= (double)v / METER_FINE);
        last = bucket;
    }
    EXPECT(meter_bucket(UINT64_MAX) < METER_BUCKETS);
}

static void meter__quantiles_of_known_samples(void)
{
    struct meter m;
    struct meter other;
    meter_begin(&m, 2.0); /* ns a tick */
    meter_begin(&other, 2.0);
    m.every = other.every = 17; /* no trial */
    for (uint64_t v = 1; v <= 1000; v++) {
        meter_add(v % 2 == 0 ? &m : &other, v * 100);
    }
    m.max = 7;
    other.max = 9;
    meter_merge(&m, &other);
    EXPECT(m.count == 1000 && m.max == 9);
    EXPECT(fabs(meter_quantile(&m, 0.5) / 100000 - 1) < 0.04);
    EXPECT(fabs(meter_quantile(&m, 0.99) / 198000 - 1) < 0.04);
    EXPECT(fabs(meter_quantile(&m, 1) / 200000 - 1) < 0.04);
}

/* A stall between two samples shows in max, though no sample fell on it. */
static void meter__a_stall_that_was_not_sampled_shows(void)
{
    struct meter m;
    meter_begin(&m, 1.0);
    m.every = 17;
    m.left = 17;
    for (unsigned i = 0; i < 34; i++) {
        meter_before(&m);
        if (i == 3) {
            m.last -= 1000000; /* as if time had passed */
        }
        meter_after(&m);
    }
    EXPECT(m.count == 2 && m.max >= 1000000);
    EXPECT(meter_quantile(&m, 1) < 1000000);
}

/* ---- medians ---- */

static void add(struct table *t, unsigned peer, const char *name, double rate, double p99)
{
    struct row row = {.unit = "k/s", .rate = rate, .p99_us = p99};
    (void)snprintf(row.name, sizeof row.name, "%s", name);
    row.unsupported = rate < 0;
    bench_table_add(t, peer, &row);
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static void table__medians_ratios_and_what_is_missing(void)
{
    static const struct peer base = {.name = "leveldb"};
    static const struct peer other = {.name = "tinykv"};
    const struct peer *peers[] = {&other, &base};
    char *text = NULL;
    size_t size;
    struct table t;
    bench_table_init(&t, peers, 2);
    for (unsigned i = 0; i < 3; i++) {
        const double mine[] = {900, 100, 300};
        add(&t, 0, "get", mine[i], i == 0 ? NAN : 5);
        add(&t, 1, "get", 200, 4);
        add(&t, 0, "merge", -1, 0);
    }
    FILE *f = open_memstream(&text, &size);
    bench_table_tsv(&t, f);
    bench_table_print(&t, f, false);
    (void)fclose(f);
    EXPECT(has(text, "\nget\ttinykv\tk/s\t3\t300\t100\t900\t1.5\t0\t5\t0\t"));
    EXPECT(has(text, "\nget\tleveldb\tk/s\t3\t200\t200\t200\t1\t0\t4\t0\t"));
    EXPECT(has(text, "\nmerge\ttinykv\tk/s\t0\tn/a\tn/a\tn/a\tn/a\tn/a"));
    EXPECT(has(text, " ~300 ( 1.50)")); /* 100 to 900 is no steady figure */
    EXPECT(has(text, " 200 ( 1.00)") && !has(text, "~200"));
    free(text);
    bench_table_release(&t);
}

TAP_MAIN(RUN(data__each_order_has_every_number_once); RUN(data__keys_sort_as_their_numbers);
         RUN(data__a_wrong_value_is_told); RUN(data__ranks_are_zipfian);
         RUN(meter__buckets_are_in_order_and_near); RUN(meter__quantiles_of_known_samples);
         RUN(meter__a_stall_that_was_not_sampled_shows);
         RUN(table__medians_ratios_and_what_is_missing);)
