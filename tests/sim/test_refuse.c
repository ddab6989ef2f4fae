/* test_refuse.c - every allocation of the first node process is refused once, each in a run of its
 * own. Whatever the node makes of it (an error reply, an exit with a message), no check of the run
 * may fail: nothing leaks, nothing acknowledged is lost, it serves again.
 *
 * usage: test_refuse [SCRIPT [FIRST [LAST]]]: only that script, only those allocations. */
#include "sim/cluster/cluster.h"
#include "sim/simmem.h"
#include "tests/tap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FAR      1000000u /* more than any such run makes */
#define TOLD_MAX 5        /* failures that are shown whole */

struct setting {
    const char *name;
    uint64_t value;
};

/* Short runs without faults, with a write buffer so small that logs rotate and tables are
 * written; both kinds of durability, batches, scans, many requests at once. */
static const struct setting common[] = {
    {"clients", 2},         {"ops", 60},       {"keys", 6},        {"value_bytes", 600},
    {"write_buffer", 2048}, {"shadow_max", 1}, {"shadow_meta", 0}, {"shadow_data", 0},
    {"shadow_ack", 0},
};

struct script {
    const char *name;
    uint64_t seed;
    struct setting own[4];
};

static const struct script scripts[] = {
    {"all kinds", 11, {{"mix", 0}, {"pipeline", 4}, {"policy", 0}, {"clients", 2}}},
    {"batches and scans", 12, {{"mix", 2}, {"pipeline", 8}, {"policy", 1}, {"clients", 3}}},
    {"few at once", 13, {{"mix", 1}, {"pipeline", 1}, {"max_clients", 2}, {"clients", 5}}},
    {"slow readers",
     14,
     {{"output_limit", 4096}, {"slow_read", 100000}, {"pipeline", 8}, {"mix", 2}}},
};
#define SCRIPTS (sizeof scripts / sizeof *scripts)

static size_t only_script = SCRIPTS;
static uint64_t first = 1, last = FAR;
static uint8_t *probes;

static void run(const struct script *s, struct fiber_pool *pool, uint64_t refuse_at,
                struct trial_result *r, struct buf *tail)
{
    struct plan plan;
    struct err err;
    plan_init(&plan, simmem(), s->seed);
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
        EXPECT(plan_set(&plan, common[i].name, common[i].value, &err) == ST_OK);
    }
    for (size_t i = 0; i < sizeof s->own / sizeof *s->own; i++) {
        EXPECT(plan_set(&plan, s->own[i].name, s->own[i].value, &err) == ST_OK);
    }
    EXPECT(plan_set(&plan, "refuse_at", refuse_at, &err) == ST_OK);
    struct trial_options o = {
        .plan = &plan, .pool = pool, .trace_keep = tail != NULL ? 40 : 0, .probes = probes};
    cluster_run(&o, r, tail);
    plan_release(&plan);
}

static bool reached(const char *probe)
{
    for (size_t i = 0; i < trial_probe_count(); i++) {
        if (strcmp(trial_probe_name(i), probe) == 0) {
            return probes[i] != 0;
        }
    }
    return false;
}

static void tell(const struct script *s, uint64_t n, const struct trial_result *r,
                 const struct buf *tail)
{
    (void)printf("# script '%s', allocation %" PRIu64 " refused: %s: %s\n", s->name, n,
                 r->failure.class, r->failure.text);
    (void)printf("# the last events:\n%.*s", (int)tail->size, tail->data != NULL ? tail->data : "");
}

static void refuse_each(const struct script *s, struct fiber_pool *pool)
{
    struct trial_result r;
    unsigned failed = 0;
    uint64_t n = first;
    for (; n <= last; n++) {
        struct buf tail;
        buf_init(&tail, simmem());
        run(s, pool, n, &r, &tail);
        EXPECT(r.ok && !r.unknown);
        if (!r.ok && ++failed <= TOLD_MAX) {
            tell(s, n, &r, &tail);
        }
        buf_release(&tail);
        if (r.injected[PLAN_REFUSE_AT] == 0) {
            break; /* past the last */
        }
    }
    (void)printf("# '%s': %" PRIu64 " allocations refused, %u runs failed\n", s->name, n - first,
                 failed);
    EXPECT(n > first);
}

static void test_refuse__every_allocation_of_a_run(void)
{
    struct fiber_pool pool;
    fiber_pool_init(&pool, 0);
    for (size_t i = 0; i < SCRIPTS; i++) {
        if (only_script == SCRIPTS || only_script == i) {
            refuse_each(&scripts[i], &pool);
        }
    }
    if (only_script == SCRIPTS) {
        EXPECT(reached("flush: failed"));
        EXPECT(reached("core: commit failed"));
        EXPECT(reached("server: no memory for a client"));
        EXPECT(reached("conn: no memory to read into"));
    }
    fiber_pool_release(&pool);
}

/* The runs do what they are chosen for. */
static void test_refuse__the_runs_without_a_refusal(void)
{
    struct fiber_pool pool;
    struct trial_result r;
    fiber_pool_init(&pool, 0);
    for (size_t i = 0; i < SCRIPTS; i++) {
        memset(probes, 0, trial_probe_count());
        run(&scripts[i], &pool, 0, &r, NULL);
        EXPECT(r.ok && !r.unknown);
        EXPECT(r.operations >= 60 && r.crashes == 0);
        EXPECT(r.allocations > 150);
        EXPECT(r.injected[PLAN_REFUSE_AT] == 0);
        EXPECT(reached("log: rotated") && reached("flush: installed"));
    }
    fiber_pool_release(&pool);
}

int main(int argc, char **argv)
{
    (void)setvbuf(stdout, NULL, _IOLBF, 4096);
    if (argc > 1) {
        only_script = strtoul(argv[1], NULL, 10);
    }
    if (argc > 2) {
        first = strtoull(argv[2], NULL, 10);
        last = argc > 3 ? strtoull(argv[3], NULL, 10) : first;
    }
    probes = mem_zalloc(simmem(), trial_probe_count());
    RUN(test_refuse__the_runs_without_a_refusal);
    RUN(test_refuse__every_allocation_of_a_run);
    mem_release(simmem(), probes);
    (void)printf("1..%d\n", tap_n);
    return 0;
}
