/* bench_sst.c - one table of 16-byte keys and 100-byte values, half of them compressible: building
 * it, point reads from cache and from file, misses, seeks, scans; and LZ4 alone. Nanoseconds of
 * processor time an operation. */
#include "base/prng.h"
#include "engine/blockcache.h"
#include "engine/lz4.h"
#include "engine/table_cursor.h"
#include "engine/tablewrite.h"
#include "env/env_posix.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PATH   "bench_sst.tmp"
#define NUMBER 1
#define VALUE  100
#define PER    4096 /* bytes of an LZ4 block */

static uint64_t entries = 1000000;
static uint64_t reads = 1000000;
static struct env *env;
static char values[1 << 20];

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(enum status st, const char *what)
{
    if (st != ST_OK) {
        printf("%s: %s\n", what, status_text(st));
        exit(1);
    }
}

static void say(const char *what, double from, double count)
{
    double ns = (now() - from) / count;
    printf("  \"%s\": {\"ns\": %.1f, \"m_per_s\": %.2f},\n", what, ns, 1e3 / ns);
}

/* 16 decimal digits. */
static struct slice key_of(uint64_t i, char key[32])
{
    for (int at = 15; at >= 0; at--) {
        key[at] = (char)('0' + i % 10);
        i /= 10;
    }
    return slice_of(key, 16);
}

static void make_values(void)
{
    struct prng g = {7};
    for (size_t i = 0; i < sizeof values; i++) {
        values[i] = i % VALUE < VALUE / 2 ? (char)prng_next(&g) : values[i - VALUE / 2];
    }
}

static void build(uint8_t compression)
{
    struct tablewrite w;
    struct table_info info;
    struct prng g = {3};
    char key[32];
    (void)unlink(PATH);
    struct tablewrite_options o = {.env = env,
                                   .number = NUMBER,
                                   .block_bytes = 4096,
                                   .filter_bits = 10,
                                   .compression = compression};
    must(tablewrite_open(&w, &o, PATH), "open");
    double from = now();
    for (uint64_t i = 0; i < entries; i++) {
        struct slice value =
            slice_of(values + (i * VALUE) % (sizeof values - sizeof values % VALUE - VALUE), VALUE);
        struct entry e = {key_of(i * 2, key), 1 + prng_below(&g, entries), value, BATCH_PUT};
        must(tablewrite_add(&w, &e), "add");
    }
    double added = now();
    must(tablewrite_finish(&w, &info), "finish");
    printf("  \"build\": {\"mb_per_s\": %.0f, \"with_sync\": %.0f},\n",
           (double)entries * (16 + VALUE) / (added - from) * 1e3,
           (double)entries * (16 + VALUE) / (now() - from) * 1e3);
    printf("  \"file_bytes\": %llu, \"per_entry\": %.2f,\n", (unsigned long long)info.size,
           (double)info.size / (double)entries);
    tablewrite_release(&w);
}

static void gets(struct table *t, const char *what, uint64_t miss, unsigned flags)
{
    struct prng g = {11};
    char key[32];
    uint64_t found = 0;
    double from = now();
    for (uint64_t i = 0; i < reads; i++) {
        struct table_hit hit;
        struct slice k = key_of(prng_below(&g, entries) * 2 + miss, key);
        enum status st = table_get(t, k, ENTRY_SEQUENCE_MAX, flags, &hit, NULL);
        if (st == ST_OK) {
            found++;
            block_unref(hit.block);
        }
    }
    say(what, from, (double)reads);
    must(found == (miss != 0 ? 0 : reads) ? ST_OK : ST_CORRUPT, what);
}

static void seeks(struct table *t, const char *what, int steps, bool back)
{
    struct prng g = {13};
    char key[32];
    struct table_cursor c;
    table_cursor_init(&c, t, 0);
    double from = now();
    for (uint64_t i = 0; i < reads; i++) {
        struct slice k = key_of(prng_below(&g, entries) * 2, key);
        table_cursor_seek(&c, k, ENTRY_SEQUENCE_MAX);
        for (int s = 0; s < steps && c.valid; s++) {
            if (back) {
                table_cursor_prev(&c);
            } else {
                table_cursor_next(&c);
            }
        }
    }
    say(what, from, (double)reads);
    must(c.st, what);
    table_cursor_release(&c);
}

static void scan(struct table *t, const char *what, unsigned flags, bool back)
{
    struct table_cursor c;
    uint64_t count = 0;
    uint64_t sum = 0;
    table_cursor_init(&c, t, flags);
    double from = now();
    if (back) {
        for (table_cursor_last(&c); c.valid; table_cursor_prev(&c)) {
            count++;
            sum += (unsigned char)c.entry.key.data[15];
        }
    } else {
        for (table_cursor_first(&c); c.valid; table_cursor_next(&c)) {
            count++;
            sum += (unsigned char)c.entry.key.data[15];
        }
    }
    say(what, from, (double)entries);
    must(count == entries && sum > 0 ? c.st : ST_CORRUPT, what);
    table_cursor_release(&c);
}

static void table_run(const char *name, uint8_t compression)
{
    struct epoch epoch;
    struct table_stats stats;
    struct table *t;
    struct table_info expect = {.number = NUMBER};
    struct table_env te = {.env = env, .stats = &stats};
    memset(&stats, 0, sizeof stats);
    printf("\"%s\": {\n", name);
    build(compression);
    must(epoch_init(&epoch, env), "epoch");
    double from = now();
    must(table_open(&te, PATH, &expect, &t, NULL), "table");
    say("open", from, 1);
    gets(t, "get_cold", 0, 0);
    gets(t, "get_missing", 1, 0);
    scan(t, "scan", TABLE_SCAN, false);
    scan(t, "scan_ordinary", 0, false);
    scan(t, "scan_back", 0, true);
    seeks(t, "seek_cold", 0, false);
    table_unref(t);
    must(blockcache_new(env, &epoch, UINT64_C(1) << 30, &te.cache), "cache");
    must(table_open(&te, PATH, &expect, &t, NULL), "table");
    gets(t, "get_filling", 0, 0);
    gets(t, "get_hot", 0, 0);
    seeks(t, "seek_hot", 0, false);
    seeks(t, "seek_hot_10_next", 10, false);
    seeks(t, "seek_hot_10_prev", 10, true);
    scan(t, "scan_hot", 0, false);
    printf("  \"memory\": %llu\n},\n", (unsigned long long)table_memory(t));
    table_unref(t);
    blockcache_free(te.cache);
    epoch_release(&epoch);
    (void)unlink(PATH);
}

static void lz4_run(void)
{
    static char packed[256][PER + 64];
    size_t sizes[256];
    char out[PER];
    static uint32_t work[LZ4_WORK / 4];
    size_t total = 0;
    int rounds = 200;
    double from = now();
    for (int r = 0; r < rounds; r++) {
        for (size_t i = 0; i < 256; i++) {
            sizes[i] = lz4_pack(values + i * PER, PER, packed[i], sizeof packed[i], work);
        }
    }
    double mid = now();
    for (int r = 0; r < rounds; r++) {
        for (size_t i = 0; i < 256; i++) {
            must(lz4_unpack(packed[i], sizes[i], out, PER), "unpack");
        }
    }
    double end = now();
    for (size_t i = 0; i < 256; i++) {
        total += sizes[i];
    }
    double mb = (double)rounds * 256 * PER * 1e3;
    printf("\"lz4\": {\"pack_mb_per_s\": %.0f, \"unpack_mb_per_s\": %.0f, \"ratio\": %.3f}\n}\n",
           mb / (mid - from), mb / (end - mid), (double)total / (256.0 * PER));
}

int main(int argc, char **argv)
{
    struct env_posix_options o = {".", ENV_LOG_ERROR + 1};
    entries = argc > 1 ? strtoull(argv[1], NULL, 10) : entries;
    reads = argc > 2 ? strtoull(argv[2], NULL, 10) : reads;
    must(env_posix_new(&o, &env), "env");
    make_values();
    printf("{\n");
    table_run("raw", TABLEFMT_RAW);
    table_run("lz4", TABLEFMT_LZ4);
    lz4_run();
    env_posix_free(env);
    return 0;
}
