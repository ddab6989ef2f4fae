/* main.c - tinykv-sim, the testbed. */
#include "sim/tool/simtool.h"

#include <string.h>

static const char usage[] =
    "usage: tinykv-sim COMMAND [OPTIONS]\n"
    "\n"
    "  run --seed S            one seed, and a short account of what happened in it\n"
    "  sweep --seeds A..B      many seeds, with a progress bar; failures say how to replay them\n"
    "  replay SEED|FILE.seed   the same run again, with the events before the failure\n"
    "  shrink SEED|FILE.seed   the smallest plan that still fails, written as a .seed file\n"
    "  plan SEED|FILE.seed     the plan of a seed, as text to edit\n"
    "  knobs                   every knob of a plan, with its limits and meaning\n"
    "  check FILE.jsonl ...    are these histories linearizable?\n"
    "  explore [PRESET...]     every interleaving of small Raft groups (explore --help)\n"
    "\n"
    "options\n"
    "  --world NAME            node (default): the whole server; store: the engine alone;\n"
    "                          cluster: a group of whole servers\n"
    "  --set KNOB=VALUE        change one knob of the plan (may be given more than once)\n"
    "  --json                  machine-readable: an object a run, and one of totals\n"
    "  --trace                 run, replay: print every event\n"
    "  --tail N                events shown before a failure (40)\n"
    "  --tape FILE             run, replay: these bytes answer the choices, then the seed\n"
    "  --record FILE           run, replay: write the tape of this run\n"
    "  --history FILE          run, replay: write what the clients saw, for `check`\n"
    "  --jobs N                sweep: worker processes (one a core)\n"
    "  --shard I/N             sweep: only every N-th seed, from the I-th on\n"
    "  --hashes                sweep: print each seed's trace hash\n"
    "  --twice-every K         sweep: run every K-th seed twice and compare\n"
    "  --require-probes        sweep: fail when a probe or an enabled fault was never reached\n"
    "  --first-failure         sweep: stop after the first seed, in order, that fails\n"
    "  --junit FILE            sweep: results as JUnit XML\n"
    "  --max-runs N            shrink: at most so many tries (2000)\n"
    "  --out FILE              shrink: where the plan goes (shrunk-SEED.seed)\n"
    "  --quiet                 no progress\n"
    "\n"
    "exit codes: 0 nothing wrong, 1 a checker failed, 2 bad usage, 3 the tool itself failed\n";

static int knobs_command(void)
{
    for (int i = 0; i < PLAN_KNOBS; i++) {
        enum plan_knob k = (enum plan_knob)i;
        bool node = plan_concerns(k, PLAN_WORLD_NODE);
        bool store = plan_concerns(k, PLAN_WORLD_STORE);
        const char *world = node && store ? "all" : node ? "node" : store ? "store" : "cluster";
        (void)printf("%-18s %-5s %-7s %llu..%llu, default %llu: %s\n", plan_name(k),
                     plan_is_fault(k) ? "fault" : "size", world, (unsigned long long)plan_min(k),
                     (unsigned long long)plan_max(k), (unsigned long long)plan_default(k),
                     plan_doc(k));
    }
    return EXIT_FINE;
}

/* A report that could not be written is no success. */
static int said(int code)
{
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        (void)fputs("tinykv-sim: standard output cannot be written\n", stderr);
        return code == EXIT_FINE ? EXIT_TOOL : code;
    }
    return code;
}

static int command(int argc, char **argv)
{
    struct simargs a;
    if (argc < 2) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        (void)fputs(usage, stdout);
        return EXIT_FINE;
    }
    if (strcmp(argv[1], "knobs") == 0) {
        return knobs_command();
    }
    if (strcmp(argv[1], "check") == 0) {
        return simcheck_command(argc - 1, argv + 1);
    }
    if (strcmp(argv[1], "explore") == 0) {
        return simexplore_command(argc - 1, argv + 1);
    }
    static const struct {
        const char *name;
        int (*run)(const struct simargs *a);
    } commands[] = {
        {"run", run_command},       {"replay", replay_command}, {"sweep", sweep_command},
        {"shrink", shrink_command}, {"plan", plan_command},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            int code = simargs_parse(&a, argc, argv);
            return code != EXIT_FINE ? code : commands[i].run(&a);
        }
    }
    (void)fprintf(stderr, "tinykv-sim: unknown command '%s' (see --help)\n", argv[1]);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    return said(command(argc, argv));
}
