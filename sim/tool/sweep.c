/* sweep.c - tinykv-sim sweep: many seeds, in worker processes, so that one that crashes takes only
 * itself. */
#include "base/ck.h"
#include "base/heap.h"
#include "base/json.h"
#include "sim/simmem.h"
#include "sim/tool/simtool.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WATCHDOG_S 60
#define NONE       UINT64_MAX

/* In memory that all workers share. */
struct probe_count {
    _Atomic uint64_t seeds;
    _Atomic uint64_t first;
};

struct board {
    _Atomic uint64_t next; /* index of the next seed to run */
    struct probe_count probes[];
};

/* What a worker sends for each seed; below PIPE_BUF it would be atomic, but each has its own pipe.
 */
struct row {
    uint64_t index; /* of the seed, among those of this sweep */
    uint64_t seed;
    uint64_t wall_ns;
    bool twice_differs;
    struct trial_result result;
};

struct worker {
    pid_t pid;
    int fd;
    struct row row; /* being read */
    size_t got;
    _Atomic uint64_t *seed; /* that it is on, in shared memory */
};

struct sweep {
    const struct simargs *a;
    struct board *board;
    _Atomic uint64_t *seeds; /* one a worker */
    size_t probe_count;
    struct worker *workers;
    uint64_t total, done, failed, unknown;
    uint64_t started_ns, shown_ns;
    uint64_t operations, crashes, shadows, steps, wall_ns, virtual_ns;
    uint64_t injected[PLAN_KNOBS];
    uint64_t injected_seeds[PLAN_KNOBS];
    uint64_t enabled_seeds[PLAN_KNOBS];
    uint64_t hash_of_hashes;
    uint64_t *shadow_counts; /* per seed, for the median */
    uint64_t ops_least;
    FILE *junit;
    bool tty;
    /* --first-failure: rows are taken in the order of their seeds, whatever order they come in */
    struct heap ahead; /* of struct row, owned: those that came before a smaller one */
    bool over;         /* a failure was taken: nothing after it counts */
    uint64_t failure;  /* its seed */
};

static uint64_t seed_at(const struct simargs *a, uint64_t i)
{
    return a->first + i * a->shards + (a->shard - 1);
}

static uint64_t index_of(const struct simargs *a, uint64_t seed)
{
    return (seed - (a->shard - 1) - a->first) / a->shards;
}

static uint64_t seed_count(const struct simargs *a)
{
    uint64_t all = a->last - a->first + 1;
    return all < a->shard ? 0 : (all - a->shard) / a->shards + 1;
}

/* ---- a worker ---- */

static bool write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        p += n;
        size -= (size_t)n;
    }
    return true;
}

static void count_probes(struct sweep *s, const uint8_t *reached, uint64_t seed)
{
    for (size_t i = 0; i < s->probe_count; i++) {
        if (reached[i] == 0) {
            continue;
        }
        atomic_fetch_add(&s->board->probes[i].seeds, 1);
        uint64_t first = atomic_load(&s->board->probes[i].first);
        while (seed < first &&
               !atomic_compare_exchange_weak(&s->board->probes[i].first, &first, seed)) {
        }
    }
}

static void run_seed(struct sweep *s, struct fiber_pool *pool, uint64_t i, struct row *row)
{
    struct plan plan;
    uint8_t *probes = mem_zalloc(simmem(), s->probe_count + 1);
    *row = (struct row){.index = i, .seed = seed_at(s->a, i)};
    int code = simargs_plan_of_seed(s->a, row->seed, &plan);
    CK(code == EXIT_FINE);
    struct trial_options o = {.plan = &plan, .pool = pool, .probes = probes};
    uint64_t from = wall_clock_ns();
    simworld_run(&o, &row->result, NULL);
    row->wall_ns = wall_clock_ns() - from;
    if (s->a->twice_every > 0 && i % s->a->twice_every == 0) {
        struct trial_result again;
        simworld_run(&o, &again, NULL);
        row->twice_differs = again.trace_hash != row->result.trace_hash;
    }
    count_probes(s, probes, row->seed);
    mem_release(simmem(), probes);
    plan_release(&plan);
}

static _Noreturn void work(struct sweep *s, unsigned w, int fd)
{
    struct fiber_pool pool;
    struct row row;
    fiber_pool_init(&pool, 0);
    watchdog_start(WATCHDOG_S);
    for (;;) {
        uint64_t i = atomic_fetch_add(&s->board->next, 1);
        if (i >= s->total) {
            _exit(0);
        }
        atomic_store(&s->seeds[w], seed_at(s->a, i));
        run_seed(s, &pool, i, &row);
        if (!write_all(fd, &row, sizeof row)) {
            _exit(EXIT_TOOL);
        }
        atomic_store(&s->seeds[w], NONE);
    }
}

static bool worker_start(struct sweep *s, unsigned w)
{
    int fds[2];
    if (pipe(fds) != 0) {
        return false;
    }
    (void)fflush(NULL); /* else the child would print it again */
    pid_t pid = fork();
    if (pid < 0) {
        (void)close(fds[0]);
        (void)close(fds[1]);
        return false;
    }
    if (pid == 0) {
        (void)close(fds[0]);
        work(s, w, fds[1]);
    }
    (void)close(fds[1]);
    s->workers[w] = (struct worker){.pid = pid, .fd = fds[0], .seed = &s->seeds[w]};
    return true;
}

/* ---- the parent ---- */

static void bar(struct sweep *s, bool last)
{
    uint64_t now = wall_clock_ns();
    uint64_t every = s->tty ? 100000000u : 5000000000u;
    if (s->a->quiet || s->a->json || (!last && now - s->shown_ns < every)) {
        return;
    }
    s->shown_ns = now;
    double seconds = (double)(now - s->started_ns) / 1e9;
    char fill[31];
    size_t n = s->total > 0 ? (size_t)(30 * s->done / s->total) : 30;
    memset(fill, '.', 30);
    memset(fill, '#', n);
    fill[30] = '\0';
    (void)fprintf(stderr, "%s[%s] %" PRIu64 "/%" PRIu64 " seeds  %.0f/s  %" PRIu64 " failed%s",
                  s->tty ? "\r" : "", fill, s->done, s->total,
                  seconds > 0 ? (double)s->done / seconds : 0.0, s->failed,
                  s->tty && !last ? "" : "\n");
}

static void junit_case(struct sweep *s, const struct row *r)
{
    if (s->junit == NULL) {
        return;
    }
    (void)fprintf(s->junit, "  <testcase name=\"seed %" PRIu64 "\" time=\"%.3f\"", r->seed,
                  (double)r->wall_ns / 1e9);
    if (r->result.ok && !r->result.unknown) {
        (void)fprintf(s->junit, "/>\n");
        return;
    }
    (void)fprintf(s->junit, "><failure message=\"%s\"><![CDATA[",
                  r->result.ok ? "unknown" : r->result.failure.class);
    for (const char *p = r->result.failure.text; *p != '\0'; p++) {
        bool plain = (*p >= ' ' && *p <= '~') || *p == '\n';       /* XML knows no other controls */
        (void)fputc(*p == ']' ? ')' : plain ? *p : '?', s->junit); /* nothing may end the section */
    }
    (void)fprintf(s->junit, "]]></failure></testcase>\n");
}

static void say_row(struct sweep *s, const struct row *r)
{
    struct plan plan;
    (void)simargs_plan_of_seed(s->a, r->seed, &plan); /* it worked in the worker */
    if (s->a->json) {
        struct buf line;
        buf_init(&line, simmem());
        simreport_json(&plan, &r->result, r->wall_ns, &line);
        (void)printf("%.*s\n", (int)line.size, line.data);
        buf_release(&line);
    } else if (s->a->hashes) {
        (void)printf("%" PRIu64 " %016" PRIx64 "\n", r->seed, r->result.trace_hash);
    }
    if (!r->result.ok && !s->a->json) {
        char seed[24];
        (void)snprintf(seed, sizeof seed, "%" PRIu64, r->seed);
        if (s->tty) {
            (void)fprintf(stderr, "\r\033[K");
        }
        simreport_failure(stderr, s->a, seed, &plan, &r->result);
    }
    plan_release(&plan);
}

static void add_faults(struct sweep *s, const struct row *r)
{
    struct plan plan;
    (void)simargs_plan_of_seed(s->a, r->seed, &plan); /* it worked in the worker */
    for (int k = 0; k < PLAN_KNOBS; k++) {
        bool fault =
            plan_is_fault((enum plan_knob)k) && plan_concerns((enum plan_knob)k, s->a->world);
        s->injected[k] += r->result.injected[k];
        s->injected_seeds[k] += r->result.injected[k] > 0;
        s->enabled_seeds[k] += fault && plan_get(&plan, (enum plan_knob)k) > 0;
    }
    plan_release(&plan);
}

static void take_row(struct sweep *s, struct row *r)
{
    if (r->twice_differs && r->result.ok) {
        r->result.ok = false;
        (void)snprintf(r->result.failure.class, sizeof r->result.failure.class, "determinism");
        (void)snprintf(r->result.failure.text, sizeof r->result.failure.text,
                       "two runs of this seed have different trace hashes");
    }
    s->shadow_counts[s->done] = r->result.shadow_crashes;
    s->done++;
    s->failed += !r->result.ok;
    s->unknown += r->result.ok && r->result.unknown;
    s->operations += r->result.operations;
    s->ops_least = r->result.operations < s->ops_least ? r->result.operations : s->ops_least;
    s->crashes += r->result.crashes;
    s->shadows += r->result.shadow_crashes;
    s->steps += r->result.steps;
    s->wall_ns += r->wall_ns;
    s->virtual_ns += r->result.virtual_ns;
    s->hash_of_hashes += r->result.trace_hash * (2 * r->seed + 1);
    add_faults(s, r);
    junit_case(s, r);
    say_row(s, r);
    bar(s, false);
}

/* Ends the workers where they are: what they are on has no part in the result. */
static void workers_kill(struct sweep *s)
{
    for (unsigned w = 0; w < s->a->jobs; w++) {
        struct worker *k = &s->workers[w];
        if (k->fd >= 0) {
            (void)kill(k->pid, SIGKILL); /* or it has just ended by itself */
            (void)waitpid(k->pid, NULL, 0);
            (void)close(k->fd);
            k->fd = -1;
        }
    }
}

/* Takes a row now, or with --first-failure when those of all smaller seeds have come. */
static void row_came(struct sweep *s, struct row *r)
{
    if (!s->a->first_failure) {
        take_row(s, r);
        return;
    }
    struct row *own = mem_alloc(simmem(), sizeof *own);
    *own = *r;
    enum status st = heap_push(&s->ahead, (struct heap_entry){own->index, 0, own});
    CK(st == ST_OK);
    while (!s->over && s->ahead.count > 0 && heap_first(&s->ahead)->key == s->done) {
        own = heap_pop(&s->ahead).item;
        take_row(s, own);
        s->over = !own->result.ok;
        s->failure = own->seed;
        mem_release(simmem(), own);
    }
    if (s->over) {
        workers_kill(s);
    }
}

/* A worker is gone: with its work, or in the middle of a seed. */
static void worker_ended(struct sweep *s, unsigned w)
{
    int how = 0;
    struct worker *k = &s->workers[w];
    (void)close(k->fd);
    k->fd = -1;
    (void)waitpid(k->pid, &how, 0);
    uint64_t seed = atomic_load(&s->seeds[w]);
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0) {
        return;
    }
    struct row r = {.index = seed != NONE ? index_of(s->a, seed) : 0, .seed = seed};
    (void)snprintf(r.result.failure.class, sizeof r.result.failure.class, "the simulator itself");
    if (WIFSIGNALED(how)) {
        (void)snprintf(r.result.failure.text, sizeof r.result.failure.text,
                       "the process that ran this seed died of signal %d", WTERMSIG(how));
    } else {
        (void)snprintf(r.result.failure.text, sizeof r.result.failure.text,
                       "the process that ran this seed ended with %d", WEXITSTATUS(how));
    }
    r.result.failure.set = true;
    if (seed != NONE && s->done < s->total) {
        row_came(s, &r);
    }
    atomic_store(&s->seeds[w], NONE);
    if (!s->over && !worker_start(s, w)) {
        (void)fprintf(stderr, "tinykv-sim: cannot start another worker: %s\n", strerror(errno));
    }
}

static void read_worker(struct sweep *s, unsigned w)
{
    struct worker *k = &s->workers[w];
    ssize_t n = read(k->fd, (char *)&k->row + k->got, sizeof k->row - k->got);
    if (n < 0 && errno == EINTR) {
        return;
    }
    if (n <= 0) {
        worker_ended(s, w);
        return;
    }
    k->got += (size_t)n;
    if (k->got == sizeof k->row) {
        k->got = 0;
        row_came(s, &k->row);
    }
}

static void collect(struct sweep *s)
{
    struct pollfd *fds = mem_zalloc(simmem(), s->a->jobs * sizeof *fds);
    for (;;) {
        unsigned open = 0;
        for (unsigned w = 0; w < s->a->jobs; w++) {
            fds[w] = (struct pollfd){.fd = s->workers[w].fd, .events = POLLIN};
            open += fds[w].fd >= 0;
        }
        if (open == 0) {
            break;
        }
        if (poll(fds, s->a->jobs, 200) < 0 && errno != EINTR) {
            break;
        }
        for (unsigned w = 0; w < s->a->jobs; w++) {
            if (s->workers[w].fd >= 0 && fds[w].revents != 0) {
                read_worker(s, w);
            }
        }
        bar(s, false);
    }
    mem_release(simmem(), fds);
}

/* ---- the end ---- */

static int by_count(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t median_shadows(struct sweep *s)
{
    qsort(s->shadow_counts, s->done, sizeof *s->shadow_counts, by_count);
    return s->done > 0 ? s->shadow_counts[s->done / 2] : 0;
}

static unsigned unreached_probes(const struct sweep *s, bool print)
{
    unsigned n = 0;
    for (size_t i = 0; i < s->probe_count; i++) {
        if (simworld_probe(i, s->a->world) && atomic_load(&s->board->probes[i].seeds) == 0) {
            n++;
            if (print) {
                (void)printf("  never reached: %s\n", trial_probe_name(i));
            }
        }
    }
    return n;
}

static unsigned unreached_faults(const struct sweep *s, bool print)
{
    unsigned n = 0;
    for (int k = 0; k < PLAN_KNOBS; k++) {
        bool missing = s->enabled_seeds[k] > 0 && s->injected[k] == 0;
        n += missing;
        if (missing && print) {
            (void)printf("  never happened: %s\n", plan_name((enum plan_knob)k));
        }
    }
    return n;
}

static void totals_json(struct sweep *s, uint64_t median)
{
    struct buf line;
    struct json j;
    char hash[24];
    (void)snprintf(hash, sizeof hash, "%016" PRIx64, s->hash_of_hashes);
    buf_init(&line, simmem());
    json_init(&j, &line);
    json_object(&j, NULL);
    json_u64(&j, "seeds", s->done);
    json_u64(&j, "failed", s->failed);
    if (s->over) {
        json_u64(&j, "first_failure", s->failure);
    }
    json_u64(&j, "unknown", s->unknown);
    json_u64(&j, "operations", s->operations);
    json_u64(&j, "operations_least", s->ops_least);
    json_u64(&j, "crashes", s->crashes);
    json_u64(&j, "shadow_crashes", s->shadows);
    json_u64(&j, "shadow_crashes_median", median);
    json_u64(&j, "steps", s->steps);
    json_u64(&j, "wall_ns", s->wall_ns);
    json_text(&j, "hash", hash);
    json_object(&j, "probes");
    /* behind a first failure seeds may have run that do not count */
    for (size_t i = 0; i < s->probe_count && !s->over; i++) {
        json_u64(&j, trial_probe_name(i), atomic_load(&s->board->probes[i].seeds));
    }
    json_object_end(&j);
    json_object(&j, "faults");
    for (int k = 0; k < PLAN_KNOBS; k++) {
        if (plan_is_fault((enum plan_knob)k)) {
            json_u64(&j, plan_name((enum plan_knob)k), s->injected[k]);
        }
    }
    json_object_end(&j);
    json_object_end(&j);
    (void)printf("%.*s\n", (int)line.size, line.data);
    buf_release(&line);
}

static void totals(struct sweep *s, uint64_t median)
{
    double cpu = (double)s->wall_ns / 1e9;
    (void)printf("%" PRIu64 " seeds: %" PRIu64 " failed, %" PRIu64 " unknown; %" PRIu64
                 " operations, %" PRIu64 " crashes, %" PRIu64 " shadow recoveries (median %" PRIu64
                 " a seed)\n",
                 s->done, s->failed, s->unknown, s->operations, s->crashes, s->shadows, median);
    (void)printf(
        "%.1f seeds a second a core, %.0f s of virtual time; hash of all traces %016" PRIx64 "\n",
        cpu > 0 ? (double)s->done / cpu : 0.0, (double)s->virtual_ns / 1e9, s->hash_of_hashes);
    if (s->over) {
        return; /* the failure says how to replay it; and what was reached is not only of these */
    }
    size_t wanted = 0;
    for (size_t i = 0; i < s->probe_count; i++) {
        wanted += simworld_probe(i, s->a->world);
    }
    (void)printf("probes reached: %zu of %zu\n", wanted - unreached_probes(s, false), wanted);
    if (!s->a->quiet) {
        (void)unreached_probes(s, true);
        (void)unreached_faults(s, true);
    }
    if (s->failed == 0) {
        (void)printf("replay any of them with: %s replay SEED\n", s->a->program);
    }
}

static bool sweep_open(struct sweep *s, const struct simargs *a)
{
    *s = (struct sweep){.a = a, .total = seed_count(a), .tty = isatty(2) != 0, .ops_least = NONE};
    s->probe_count = trial_probe_count();
    size_t size = sizeof *s->board + s->probe_count * sizeof s->board->probes[0];
    size_t all = size + a->jobs * sizeof *s->seeds;
    void *shared = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return false;
    }
    s->board = shared;
    s->seeds = (_Atomic uint64_t *)(void *)((char *)shared + size);
    for (size_t i = 0; i < s->probe_count; i++) {
        atomic_store(&s->board->probes[i].first, NONE);
    }
    for (unsigned w = 0; w < a->jobs; w++) {
        atomic_store(&s->seeds[w], NONE);
    }
    heap_init(&s->ahead, simmem());
    s->workers = mem_zalloc(simmem(), a->jobs * sizeof *s->workers);
    s->shadow_counts = mem_zalloc(simmem(), (s->total + 1) * sizeof *s->shadow_counts);
    if (a->junit != NULL) {
        s->junit = fopen(a->junit, "w");
        if (s->junit == NULL) {
            (void)fprintf(stderr, "tinykv-sim: %s: %s\n", a->junit, strerror(errno));
            return false;
        }
        (void)fprintf(s->junit, "<testsuite name=\"sweep\">\n");
    }
    return true;
}

/* Works on a half-opened one too. False when the report could not be written whole. */
static bool sweep_close(struct sweep *s)
{
    bool ok = true;
    if (s->junit != NULL) {
        (void)fprintf(s->junit, "</testsuite>\n");
        ok = fclose(s->junit) == 0;
    }
    while (s->ahead.count > 0) {
        mem_release(simmem(), heap_pop(&s->ahead).item);
    }
    heap_release(&s->ahead);
    mem_release(simmem(), s->workers);
    mem_release(simmem(), s->shadow_counts);
    return ok;
}

static int sweep_all(struct sweep *s)
{
    const struct simargs *a = s->a;
    s->started_ns = wall_clock_ns();
    for (unsigned w = 0; w < a->jobs; w++) {
        if (!worker_start(s, w)) {
            (void)fprintf(stderr, "tinykv-sim: cannot start a worker: %s\n", strerror(errno));
            return EXIT_TOOL;
        }
    }
    collect(s);
    bar(s, true);
    uint64_t median = median_shadows(s);
    if (a->json) {
        totals_json(s, median);
    } else {
        totals(s, median);
    }
    bool short_of =
        a->check_probes && (unreached_probes(s, false) + unreached_faults(s, false)) > 0;
    if (s->done < s->total && !s->over) {
        return EXIT_TOOL;
    }
    return s->failed > 0 || s->unknown > 0 || short_of ? EXIT_CHECK : EXIT_FINE;
}

int sweep_command(const struct simargs *a)
{
    struct sweep s;
    struct plan check;
    if (a->what != NULL) {
        (void)fprintf(stderr, "tinykv-sim: sweep takes --seeds A..B, not '%s'\n", a->what);
        return EXIT_USAGE;
    }
    int code = simargs_plan_of_seed(a, a->first, &check);
    if (code != EXIT_FINE) {
        return code;
    }
    plan_release(&check);
    code = sweep_open(&s, a) ? sweep_all(&s) : EXIT_TOOL;
    return sweep_close(&s) ? code : EXIT_TOOL;
}
