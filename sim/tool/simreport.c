/* simreport.c - how tinykv-sim tells of a run. */
#include "base/json.h"
#include "sim/tool/simtool.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

uint64_t wall_clock_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static const char *verdict(const struct trial_result *r)
{
    return !r->ok ? "failed" : r->unknown ? "unknown" : "ok";
}

void simreport_json(const struct plan *p, const struct trial_result *r, uint64_t wall_ns,
                    struct buf *out)
{
    struct json j;
    char hash[24];
    (void)snprintf(hash, sizeof hash, "%016" PRIx64, r->trace_hash);
    json_init(&j, out);
    json_object(&j, NULL);
    json_u64(&j, "seed", p->seed);
    json_text(&j, "verdict", verdict(r));
    json_text(&j, "trace_hash", hash);
    json_u64(&j, "events", r->events);
    json_u64(&j, "steps", r->steps);
    json_u64(&j, "virtual_ns", r->virtual_ns);
    json_u64(&j, "operations", r->operations);
    json_u64(&j, "replies", r->replies);
    json_u64(&j, "crashes", r->crashes);
    json_u64(&j, "shadow_crashes", r->shadow_crashes);
    json_u64(&j, "shadow_nested", r->shadow_nested);
    if (p->world == PLAN_WORLD_STORE) {
        json_u64(&j, "flushes", r->flushes);
        json_u64(&j, "compactions", r->compactions);
    }
    json_bool(&j, "searched", r->searched);
    if (r->searched) {
        json_text(&j, "order", r->order_why);
    }
    json_u64(&j, "wall_ns", wall_ns);
    if (!r->ok) {
        json_text(&j, "class", r->failure.class);
        json_text(&j, "failure", r->failure.text);
    }
    json_object_end(&j);
}

void simreport_failure(FILE *to, const struct simargs *a, const char *what, const struct plan *p,
                       const struct trial_result *r)
{
    (void)fprintf(to, "FAILED  seed %" PRIu64 " at %.6f s: %s\n  %s\n", p->seed,
                  (double)r->failure.time / 1e9, r->failure.class, r->failure.text);
    (void)fprintf(to, "  replay: %s replay %s", a->program, what);
    if (p->world != PLAN_WORLD_NODE) {
        (void)fprintf(to, " --world %s", plan_world_name(p->world));
    }
    for (unsigned i = 0; i < a->set_count; i++) {
        (void)fprintf(to, " --set %s", a->sets[i]);
    }
    (void)fprintf(to, "\n");
}
