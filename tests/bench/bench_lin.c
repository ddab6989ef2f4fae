/* bench_lin.c - the checker's speed against the figures of the histories' README.
 *
 *     bench_lin [HISTORIES [GENERATOR [NAME]]]     (defaults: $LIN_HISTORIES, $LIN_GEN, all)
 *
 * One line a data set: name, operations, milliseconds to parse, milliseconds to check (median of
 * the rounds), porcupine's milliseconds on its two-core machine, and the ratio. Nanoseconds an
 * operation and peak memory come last. Single-threaded; porcupine used all cores. */
#include "base/prng.h"
#include "sim/lin/lin_rec.h"
#include "sim/lin/lin_sort.h"
#include "tests/lin/libc_mem.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 201

struct set {
    const char *name;
    const char *files;  /* prefix of stored files, all of them summed, */
    const char *recipe; /* or arguments of the generator */
    double porcupine_ms;
    double goal; /* ratio that is asked for, 0: none */
    bool online; /* also as a stream */
};

static const struct set sets[] = {
    {"kv_c01_ok", "kv_c01-ok", NULL, 0.084, 1, false},
    {"kv_c10_bad", "kv_c10-bad", NULL, 0.184, 1, false},
    {"kv_c50_ok", "kv_c50-ok", NULL, 87.9, 40, false},
    {"etcd", "etcd_", NULL, 134, 80, false}, /* 51 of the 102 files that took 268 ms are stored */
    {"knossos", "knossos_", NULL, 7.6, 10, false}, /* 62 of 122: 14.9 ms */
    {"reg_100k_50", NULL, "--mix reg --ops 100000 --clients 50 --keys 10 --seed 150", 3530, 400,
     true},
    {"reg_100k_stale", NULL,
     "--mix reg --bug stale --at 95 --ops 100000 --clients 50 --keys 10 --seed 1450", 13900, 400,
     false},
    {"reg_100k_1key", NULL, "--mix reg --ops 100000 --clients 8 --keys 1 --seed 450", 90000, 0,
     true},
    {"reg_1m_50", NULL, "--mix reg --ops 1000000 --clients 50 --keys 100 --seed 250", 3570, 40,
     true},
    {"reg_1m_500_hot", NULL, "--mix reg --ops 1000000 --clients 500 --keys 20 --hot 80 --seed 350",
     0, 0, false},
    {"kv_100k_50", NULL,
     "--mix kv --ops 100000 --clients 50 --keys 100 --info 10 --fail 10 --seed 650", 121, 1, true},
    {"cas_100k_50", NULL, "--mix cas --ops 100000 --clients 50 --keys 20 --info 10 --seed 850", 210,
     1, false},
    {"small_100k_10", NULL,
     "--mix cas --ops 100000 --clients 10 --keys 20 --vdom 5 --info 5 --seed 950", 133, 1, false},
    {"scan_10k_10", NULL, "--mix scan --ops 10000 --clients 10 --keys 10 --seed 1050", 9500, 100,
     false},
    {"batch_10k_8", NULL, "--mix batch --ops 10000 --clients 8 --keys 8 --seed 1250", 1800, 100,
     false},
    {"kv_1m_500", NULL, "--mix kv --ops 1000000 --clients 500 --keys 1000 --info 2 --seed 750", 0,
     0, false},
};

static struct mem mem;

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *list, int n)
{
    qsort(list, (size_t)n, sizeof *list, compare);
    return list[n / 2];
}

static void must(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "bench_lin: %s\n", what);
        exit(3);
    }
}

static void read_all(struct lin_history *h, FILE *f)
{
    static char piece[1 << 18];
    struct lin_jsonl r;
    struct err err = {""};
    enum status st = ST_OK;
    size_t n;
    lin_history_init(h, &mem);
    lin_jsonl_init(&r, h, "history");
    while (st == ST_OK && (n = fread(piece, 1, sizeof piece, f)) > 0) {
        st = lin_jsonl_feed(&r, slice_of(piece, n), &err);
    }
    st = st == ST_OK ? lin_jsonl_end(&r, &err) : st;
    must(st == ST_OK, err.text);
    lin_jsonl_release(&r);
}

/* The median of as many rounds as fit into a quarter of a second, at least three. */
static double check_ms(const struct lin_history *h)
{
    double times[ROUNDS_MAX];
    double start = now_ms();
    int n = 0;
    while (n < ROUNDS_MAX && (n < 3 || now_ms() - start < 250)) {
        struct lin_verdict v = {0};
        double from = now_ms();
        must(lin_check(h, NULL, &v) == ST_OK, "the check failed");
        times[n++] = now_ms() - from;
        must(v.result != LIN_UNKNOWN, "a verdict is unknown");
        lin_verdict_release(&v);
    }
    return median(times, n);
}

struct figures {
    size_t ops;
    double parse_ms;
    double check_ms;
    long peak_kb;
};

static void online(const char *name, const struct lin_history *h);

static void add_history(struct figures *f, FILE *from, const char *online_name)
{
    struct lin_history h;
    double start = now_ms();
    read_all(&h, from);
    f->parse_ms += now_ms() - start;
    f->ops += h.count;
    f->check_ms += check_ms(&h);
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    f->peak_kb = use.ru_maxrss;
    if (online_name != NULL) {
        online(online_name, &h);
    }
    lin_history_release(&h);
}

/* ---- online ---- */

static struct lin_value value_of(const struct lin_history *h, uint32_t id)
{
    return id == LIN_ABSENT ? (struct lin_value){0}
                            : (struct lin_value){true, lin_strtab_get(&h->values, id - 1)};
}

static struct lin_op op_of(const struct lin_history *h, const struct lin_rec *r)
{
    struct lin_op op = {.kind = (enum lin_kind)r->kind,
                        .outcome = (enum lin_outcome)r->outcome,
                        .call = r->call,
                        .ret = r->ret,
                        .node = -1};
    op.step = (struct lin_step){.key = lin_strtab_get(&h->keys, r->key),
                                .value = value_of(h, r->value),
                                .expect = value_of(h, r->expect),
                                .result_known = r->known,
                                .result_true = r->kind == LIN_CAS && r->result == 1,
                                .result = value_of(h, r->kind == LIN_CAS ? 0 : r->result)};
    return op;
}

static double online_ms(const struct lin_op *ops, const int64_t *horizons, size_t count,
                        enum lin_result *result)
{
    struct lin_online o;
    lin_online_init(&o, &mem, NULL);
    double start = now_ms();
    for (size_t i = 0; i < count; i++) {
        must(lin_online_take(&o, &ops[i], NULL) == ST_OK, "an operation was refused");
        must(lin_online_advance(&o, horizons[i + 1]) == ST_OK, "out of memory");
    }
    double ms = now_ms() - start;
    *result = o.result;
    lin_online_release(&o);
    return ms;
}

/* Feeds the operations of a history without scans and batches in the order in which they end. */
static void online(const char *name, const struct lin_history *h)
{
    struct lin_key *keys = malloc(h->count * sizeof *keys);
    struct lin_op *ops = malloc(h->count * sizeof *ops);
    int64_t *horizons = malloc((h->count + 1) * sizeof *horizons);
    must(keys != NULL && ops != NULL && horizons != NULL, "out of memory");
    for (size_t i = 0; i < h->count; i++) {
        int64_t end = h->ops[i].outcome == LIN_INFO ? h->ops[i].call : h->ops[i].ret;
        keys[i] = (struct lin_key){lin_key_of(end), (uint32_t)i};
    }
    must(lin_sort(&mem, keys, h->count) == ST_OK, "out of memory");
    horizons[h->count] = INT64_MAX;
    for (size_t i = h->count; i-- > 0;) {
        ops[i] = op_of(h, &h->ops[keys[i].item]);
        horizons[i] = ops[i].call < horizons[i + 1] ? ops[i].call : horizons[i + 1];
    }
    double times[ROUNDS_MAX];
    double begin = now_ms();
    enum lin_result result = LIN_UNKNOWN;
    int n = 0;
    while (n < ROUNDS_MAX && (n < 3 || now_ms() - begin < 250)) {
        times[n++] = online_ms(ops, horizons, h->count, &result);
    }
    double ms = median(times, n);
    printf("online %-15s ops %8zu ms %9.2f mops_s %6.2f goal 4 %s verdict %s\n", name, h->count, ms,
           (double)h->count / ms / 1e3, (double)h->count / ms >= 4e3 ? "met" : "MISSED",
           lin_result_text(result));
    free(keys);
    free(ops);
    free(horizons);
}

static bool add_files(struct figures *f, const char *dir, const char *prefix)
{
    char command[1024];
    char path[1024];
    bool any = false;
    (void)snprintf(command, sizeof command, "ls %s/%s*.jsonl 2>/dev/null", dir, prefix);
    FILE *list = popen(command, "r");
    must(list != NULL, "cannot list the histories");
    while (fgets(path, sizeof path, list) != NULL) {
        path[strcspn(path, "\n")] = '\0';
        FILE *file = fopen(path, "rb");
        must(file != NULL, path);
        add_history(f, file, NULL);
        (void)fclose(file);
        any = true;
    }
    (void)pclose(list);
    return any;
}

/* The generator writes to a file first, so that its own work is not in the time to parse. */
static void add_recipe(struct figures *f, const char *gen, const struct set *s)
{
    char command[1024];
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/bench_lin_%d.jsonl", (int)getpid());
    (void)snprintf(command, sizeof command, "%s %s >%s 2>/dev/null", gen, s->recipe, path);
    must(system(command) == 0, "the generator failed");
    FILE *file = fopen(path, "rb");
    must(file != NULL, path);
    add_history(f, file, s->online ? s->name : NULL);
    (void)fclose(file);
    (void)remove(path);
}

static void print(const struct set *s, const struct figures *f)
{
    double ratio = s->porcupine_ms / f->check_ms;
    printf("%-15s ops %8zu parse_ms %8.2f check_ms %9.3f ns_op %7.1f peak_mb %4ld", s->name, f->ops,
           f->parse_ms, f->check_ms, f->check_ms * 1e6 / (double)f->ops, f->peak_kb / 1024);
    if (s->porcupine_ms > 0) {
        printf(" porcupine_ms %9.3f ratio %7.1f", s->porcupine_ms, ratio);
    }
    if (s->goal > 0) {
        printf(" goal %3.0f %s", s->goal, ratio >= s->goal ? "met" : "MISSED");
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : getenv("LIN_HISTORIES");
    const char *gen = argc > 2 ? argv[2] : getenv("LIN_GEN");
    mem = libc_mem();
    (void)setvbuf(stdout, NULL, _IOLBF, 4096);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        const struct set *s = &sets[i];
        if (argc > 3 && strcmp(argv[3], s->name) != 0) {
            continue;
        }
        if (s->files != NULL ? dir == NULL : gen == NULL) {
            printf("%-15s skipped: %s\n", s->name,
                   s->files != NULL ? "no histories" : "no generator");
            continue;
        }
        /* A process for each, so that the peak of memory is its own. */
        pid_t pid = fork();
        if (pid == 0) {
            struct figures f = {0};
            if (s->files == NULL) {
                add_recipe(&f, gen, s);
            } else if (!add_files(&f, dir, s->files)) {
                printf("%-15s skipped: no such files\n", s->name);
                return 0;
            }
            print(s, &f);
            return 0;
        }
        int how = 0;
        must(pid > 0 && waitpid(pid, &how, 0) == pid && how == 0, s->name);
    }
    return 0;
}
