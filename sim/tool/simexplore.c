/* simexplore.c - the explore command: every interleaving of small Raft groups. */
#include "sim/explore/explore.h"
#include "sim/simmem.h"
#include "sim/tool/simtool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: tinykv-sim explore [PRESET...] [OPTIONS]\n"
    "\n"
    "Visits every interleaving of a small Raft group, breadth first, and checks its invariants in\n"
    "each state; prints the shortest run to a violation. Without PRESET: all of them.\n"
    "\n"
    "  --states N   stop after so many different states (default 0: when all are visited)\n"
    "  --depth N    go no deeper than N moves\n"
    "  --json       an object a preset\n"
    "  --quiet      no progress\n"
    "\n"
    "presets\n";

struct run {
    const char *name;
    uint64_t begun_ns;
    bool quiet;
    bool shown;
};

static double rate_of(const struct run *r, uint64_t states)
{
    double seconds = (double)(wall_clock_ns() - r->begun_ns) / 1e9;
    return seconds > 0 ? (double)states / seconds : 0;
}

static bool show(void *arg, const struct explore_progress *p)
{
    struct run *r = arg;
    if (!r->quiet) {
        r->shown = true;
        (void)fprintf(stderr,
                      "\r%s: %" PRIu64 " states, %" PRIu64 " to expand, depth %" PRIu32
                      ", %.0f states/s   ",
                      r->name, p->states, p->states - p->expanded, p->depth, rate_of(r, p->states));
    }
    return true;
}

static void tell_marks(const struct explore_result *r)
{
    const char *before = "  met:";
    for (int m = 0; m < EXPLORE_MARKS; m++) {
        if ((r->reached >> m & 1) != 0) {
            (void)printf("%s %s", before, explore_mark_name((enum explore_mark)m));
            before = ",";
        }
    }
    (void)printf("%s\n", before[0] == ' ' ? "  met: nothing worth a name" : "");
}

static void tell(const struct explore_result *r, const struct run *run, const struct buf *trace)
{
    const struct explore_progress *e = &r->end;
    (void)printf("%s: %s, %" PRIu64 " states, %" PRIu64 " moves, depth %" PRIu32
                 ", %.0f states/s, %" PRIu64 " moves cut, %" PRIu64 " messages lost\n",
                 run->name,
                 r->violated   ? "VIOLATED"
                 : r->complete ? "complete"
                               : "stopped",
                 e->states, e->moves, e->depth, rate_of(run, e->states), r->cut, r->lost);
    tell_marks(r);
    if (r->violated) {
        (void)printf("  %s\n  the shortest run to it, %" PRIu32 " moves:\n%.*s", r->what,
                     r->trace_moves, (int)trace->size, trace->data);
    }
}

static void tell_json(const struct explore_result *r, const struct run *run)
{
    (void)printf(
        "{\"preset\":\"%s\",\"violated\":%s,\"complete\":%s,\"states\":%" PRIu64
        ",\"moves\":%" PRIu64 ",\"depth\":%" PRIu32 ",\"states_per_s\":%.0f,\"cut\":%" PRIu64
        ",\"what\":\"%s\",\"trace_moves\":%" PRIu32 "}\n",
        run->name, r->violated ? "true" : "false", r->complete ? "true" : "false", r->end.states,
        r->end.moves, r->end.depth, rate_of(run, r->end.states), r->cut, r->what, r->trace_moves);
}

static int explore_one(const struct explore_preset *p, const struct explore_options *o, bool json,
                       bool quiet)
{
    struct run run = {explore_name(p), wall_clock_ns(), quiet || isatty(2) == 0, false};
    struct explore_options options = *o;
    struct explore_result r;
    struct buf trace;
    buf_init(&trace, simmem());
    options.progress = show;
    options.arg = &run;
    explore_run(p, &options, simmem(), &r, &trace);
    if (run.shown) {
        (void)fprintf(stderr, "\n");
    }
    if (json) {
        tell_json(&r, &run);
    } else {
        tell(&r, &run, &trace);
    }
    (void)fflush(stdout); /* the caller looks whether it could be written */
    buf_release(&trace);
    if (r.st != ST_OK) {
        (void)fprintf(stderr, "tinykv-sim: %s: %s\n", run.name, status_text(r.st));
        return EXIT_TOOL;
    }
    return r.violated ? EXIT_CHECK : EXIT_FINE;
}

static int help(FILE *to)
{
    (void)fputs(usage, to);
    const struct explore_preset *p;
    for (unsigned i = 0; (p = explore_at(i)) != NULL; i++) {
        (void)fprintf(to, "  %-10s %s\n", explore_name(p), explore_purpose(p));
    }
    return to == stdout ? EXIT_FINE : EXIT_USAGE;
}

static bool number(const char *text, uint64_t *n)
{
    char *end;
    *n = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static int bad(const char *what, const char *arg)
{
    (void)fprintf(stderr, "tinykv-sim: explore: %s '%s' (see tinykv-sim explore --help)\n", what,
                  arg);
    return EXIT_USAGE;
}

int simexplore_command(int argc, char **argv)
{
    struct explore_options o = {.states_max = 0};
    bool json = false;
    bool quiet = false;
    int named = 0;
    for (int i = 1; i < argc; i++) {
        uint64_t n;
        if (strcmp(argv[i], "--help") == 0) {
            return help(stdout);
        }
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--quiet") == 0) {
            quiet = true;
        } else if (strcmp(argv[i], "--states") == 0 || strcmp(argv[i], "--depth") == 0) {
            bool depth = argv[i][2] == 'd';
            if (i + 1 == argc || !number(argv[i + 1], &n) || (depth && n > UINT32_MAX)) {
                return bad("a number is needed after", argv[i]);
            }
            o.depth_max = depth ? (uint32_t)n : o.depth_max;
            o.states_max = depth ? o.states_max : n;
            i++;
        } else if (argv[i][0] == '-') {
            return bad("unknown option", argv[i]);
        } else if (explore_find(argv[i]) == NULL) {
            return bad("there is no preset", argv[i]);
        } else {
            argv[1 + named++] = argv[i];
        }
    }
    int code = EXIT_FINE;
    const struct explore_preset *p;
    for (unsigned i = 0; code == EXIT_FINE || code == EXIT_CHECK; i++) {
        p = named > 0 ? (i < (unsigned)named ? explore_find(argv[1 + i]) : NULL) : explore_at(i);
        if (p == NULL) {
            break;
        }
        int one = explore_one(p, &o, json, quiet);
        code = one != EXIT_FINE ? one : code;
    }
    return code;
}
