/* bench_memtable.c - the kinds of memtable side by side.
 *
 *     bench_memtable [ENTRIES [ROUNDS]]     (defaults: 500000, 3)
 *
 * Keys of 16 bytes, values of 100. One line of JSON a workload and kind: thousands of operations a
 * second, the best of the rounds, which take turns; bytes of memory an entry. */
#include "base/prng.h"
#include "engine/memtable.h"
#include "tests/lin/libc_mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define VALUE 100

struct bench_env {
    struct env env;
    struct env_vt vt;
    struct prng prng;
};

enum work {
    INSERT_RANDOM,
    INSERT_ASCENDING,
    INSERT_HOT,
    GET,
    MISS,
    SCAN,
    SCAN_BACK,
    SEEK10,
    WORKS
};

static const char *const names[WORKS] = {"insert_random", "insert_ascending", "insert_hot",
                                         "get",           "get_missing",      "scan",
                                         "scan_back",     "seek_next10"};
static const char *const kinds[] = {"tree", "skiplist"};

static uint64_t random_u64(struct env *e)
{
    return prng_next(&((struct bench_env *)(void *)e)->prng);
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "bench_memtable: %s\n", what);
        exit(3);
    }
}

static struct slice key_make(char *key, uint64_t v)
{
    for (int i = 16; i-- > 0; v /= 10) {
        key[i] = (char)('0' + v % 10);
    }
    return slice_of(key, 16);
}

static double per_second(uint64_t count, double from)
{
    return (double)count / (now() - from) / 1e3;
}

static double insert(struct memtable *t, enum work work, uint64_t count)
{
    char key[16];
    char value[VALUE];
    struct prng p = {7};
    memset(value, 'v', sizeof value);
    double from = now();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t v = work == INSERT_RANDOM      ? prng_next(&p) % (count * 10)
                     : work == INSERT_ASCENDING ? i
                                                : prng_next(&p) % 1000;
        struct batch_entry e = {BATCH_PUT, key_make(key, v), slice_of(value, VALUE)};
        struct memtable_node *n;
        memtable_prune(t, i, NULL, 0);
        must(memtable_prepare(t, &e, &n) == ST_OK, "out of memory");
        memtable_link(t, n, i + 1);
    }
    return per_second(count, from);
}

static double get(const struct memtable *t, uint64_t count, bool missing)
{
    char key[16];
    struct prng p = {7};
    uint64_t found = 0;
    double from = now();
    for (uint64_t i = 0; i < count; i++) {
        struct entry e;
        uint64_t v = prng_next(&p) % (count * 10);
        found += memtable_get(t, key_make(key, missing ? v + count * 10 : v), count, &e) ==
                 MEMTABLE_FOUND;
    }
    must(found == (missing ? 0 : count), "wrong answers");
    return per_second(count, from);
}

static double scan(const struct memtable *t, bool back)
{
    struct memtable_cursor c;
    uint64_t count = 0;
    uint64_t sum = 0;
    memtable_cursor_init(&c, t);
    double from = now();
    for (back ? memtable_cursor_last(&c) : memtable_cursor_first(&c); c.valid;
         back ? memtable_cursor_prev(&c) : memtable_cursor_next(&c)) {
        sum += c.entry.sequence;
        count++;
    }
    must(sum > 0 && count <= memtable_count(t), "wrong walk");
    return per_second(count, from);
}

static double seek(const struct memtable *t, uint64_t count)
{
    struct memtable_cursor c;
    struct prng p = {11};
    char key[16];
    uint64_t sum = 0;
    memtable_cursor_init(&c, t);
    double from = now();
    for (uint64_t i = 0; i < count; i++) {
        memtable_cursor_seek(&c, key_make(key, prng_next(&p) % (count * 10)), ENTRY_SEQUENCE_MAX);
        for (int k = 0; k < 10 && c.valid; k++) {
            sum += c.entry.sequence;
            memtable_cursor_next(&c);
        }
    }
    must(sum > 0, "wrong walk");
    return per_second(count, from);
}

static void round_run(struct env *env, enum memtable_kind kind, uint64_t count, double *best,
                      double *bytes)
{
    double figures[WORKS];
    for (enum work w = INSERT_HOT;; w--) { /* the random table comes last and is read */
        struct memtable *t;
        must(memtable_new(env, (struct order){NULL}, kind, 1, &t) == ST_OK, "out of memory");
        figures[w] = insert(t, w, count);
        bytes[w] = (double)memtable_bytes(t) / (double)count;
        if (w == INSERT_RANDOM) {
            figures[GET] = get(t, count, false);
            figures[MISS] = get(t, count, true);
            figures[SCAN] = scan(t, false);
            figures[SCAN_BACK] = scan(t, true);
            figures[SEEK10] = seek(t, count / 4);
        }
        memtable_unref(t);
        if (w == INSERT_RANDOM) {
            break;
        }
    }
    for (int w = 0; w < WORKS; w++) {
        best[w] = figures[w] > best[w] ? figures[w] : best[w];
    }
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 500000;
    int rounds = argc > 2 ? atoi(argv[2]) : 3;
    struct bench_env b = {.env.mem = libc_mem(), .prng = {1}};
    double best[2][WORKS] = {{0}};
    double bytes[2][WORKS] = {{0}};
    b.vt.random_u64 = random_u64;
    b.env.vt = &b.vt;
    must(count >= 8, "ENTRIES is at least 8");
    for (int round = 0; round < rounds; round++) {
        for (int kind = 0; kind < 2; kind++) {
            round_run(&b.env, (enum memtable_kind)kind, count, best[kind], bytes[kind]);
        }
    }
    for (int w = 0; w < WORKS; w++) {
        for (int kind = 0; kind < 2; kind++) {
            printf("{\"work\":\"%s\",\"kind\":\"%s\",\"kops\":%.0f,\"ratio\":%.2f", names[w],
                   kinds[kind], best[kind][w], best[kind][w] / best[1][w]);
            if (w <= INSERT_HOT) {
                printf(",\"bytes_entry\":%.1f", bytes[kind][w]);
            }
            printf("}\n");
        }
    }
    return 0;
}
