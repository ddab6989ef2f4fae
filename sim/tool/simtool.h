/* simtool.h - what the commands of tinykv-sim share. */
#ifndef SIM_TOOL_SIMTOOL_H
#define SIM_TOOL_SIMTOOL_H

#include "fault/plan.h"
#include "sim/trial.h"

#include <stdio.h>

enum exit_code {
    EXIT_FINE = 0,
    EXIT_CHECK = 1, /* a checker failed */
    EXIT_USAGE = 2,
    EXIT_TOOL = 3, /* the tool itself failed */
};

/* Options after the command; one set for all of them. */
struct simargs {
    const char *program;   /* as it was called, for replay lines */
    const char *what;      /* a seed or a file */
    enum plan_world world; /* of seeds; a file says its own */
    bool have_seed;
    uint64_t seed;
    uint64_t first, last; /* of a sweep */
    unsigned jobs;
    uint64_t shard, shards; /* 1/1: all */
    bool json;
    bool hashes;
    bool quiet;
    bool full_trace;
    bool check_probes;  /* unreached probes fail a sweep */
    bool first_failure; /* a sweep ends with its first failing seed, in their order */
    uint64_t tail;      /* events shown around a failure */
    uint64_t max_runs;  /* of shrink */
    const char *tape;
    const char *record;
    const char *history;
    const char *junit;
    const char *out;
    uint64_t twice_every; /* every k-th seed is run twice and compared; 0: none */
    const char *sets[64]; /* name=value */
    unsigned set_count;
};

/* Parses; on a usage error says what is wrong on stderr and returns EXIT_USAGE, else EXIT_FINE. */
int simargs_parse(struct simargs *a, int argc, char **argv);

/* The plan of a seed, or of a .seed file, with --set applied. EXIT_FINE, or the exit code after a
 * message. */
int simargs_plan(const struct simargs *a, const char *what, struct plan *p);
int simargs_plan_of_seed(const struct simargs *a, uint64_t seed, struct plan *p);

/* Reads a whole file; the caller releases out. False after a message. */
bool simfile_read(const char *path, struct buf *out);
bool simfile_write(const char *path, struct slice text);

/* One object about a run, without the newline. */
void simreport_json(const struct plan *p, const struct trial_result *r, uint64_t wall_ns,
                    struct buf *out);
/* What failed, and the line that replays it. */
void simreport_failure(FILE *to, const struct simargs *a, const char *what, const struct plan *p,
                       const struct trial_result *r);

/* The plan of a seed in its world. */
void simworld_draw(struct plan *p);
/* Runs the world that the plan is for. */
void simworld_run(const struct trial_options *o, struct trial_result *r, struct buf *tail);

/* A sweep of that world is to reach this probe (sim/trial.h). */
bool simworld_probe(size_t i, enum plan_world world);

uint64_t wall_clock_ns(void);

/* Ends the process when a simulated thread does not come back for `seconds`. */
void watchdog_start(unsigned seconds);

int run_command(const struct simargs *a);
int replay_command(const struct simargs *a);
int sweep_command(const struct simargs *a);
int shrink_command(const struct simargs *a);
int plan_command(const struct simargs *a);
/* argv[0] is "check". */
int simcheck_command(int argc, char **argv);
/* argv[0] is "explore". */
int simexplore_command(int argc, char **argv);

#endif
