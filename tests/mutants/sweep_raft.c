/* sweep_raft.c - random runs of consensus and of what is built on it, for tests/mutants/run.
 *
 *     sweep_raft WORLD FROM TO
 *
 * runs the seeds in their order up to the first that fails, and says so as `tinykv-sim sweep
 * --first-failure --json` does. Exit code 0: none failed, 1: one did, 2: usage.
 *
 *     soup     cores in memory, all checks after every step (tests/raft/soup.h)
 *     replica  replicas over simulated disks and a network in memory (tests/node/group.h)
 *     client   the client library against stand-ins for nodes (tests/net/clientload.h) */
#include "base/json.h"
#include "sim/simck.h"
#include "sim/simmem.h"
#include "tests/net/clientload.h"
#include "tests/node/group.h"
#include "tests/raft/soup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOUP_MOVES 3000

struct failure {
    char class[32];
    char text[256];
};

/* The letters before the colon are the class. */
static void invariant(struct failure *f, const char *what)
{
    (void)snprintf(f->class, sizeof f->class, "%.*s", (int)strcspn(what, ": "), what);
    (void)snprintf(f->text, sizeof f->text, "%s", what);
}

static bool soup_seed(uint64_t seed, struct failure *f)
{
    static struct soup s; /* of a run that an assertion ended nothing is given back */
    static struct simck_trap trap;
    simck_trap_set(&trap);
    if (setjmp(trap.at) != 0) {
        simck_trap_set(NULL);
        (void)snprintf(f->class, sizeof f->class, "assertion");
        (void)snprintf(f->text, sizeof f->text, "%s", trap.why);
        return false;
    }
    soup_world(&s, seed, SOUP_MOVES);
    simck_trap_set(NULL);
    bool good = soup_what(&s)[0] == '\0';
    if (!good) {
        invariant(f, soup_what(&s));
    }
    soup_release(&s);
    return good;
}

/* By what it says; "replica" is what has no letters of its own. */
static const char *replica_class(const char *what)
{
    static const char *const classes[][2] = {
        {"votes twice", "R2"},       {"comes back", "R3"},      {"is there", "X2"},
        {"stands behind", "X1"},     {"a read saw", "X1"},      {"bytes in the end", "X1"},
        {"applied something", "R6"}, {"holds something", "R6"}, {"come to rest", "L1"},
        {"assertion", "assertion"},
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strstr(what, classes[i][0]) != NULL) {
            return classes[i][1];
        }
    }
    return "replica";
}

static bool replica_seed(uint64_t seed, struct failure *f)
{
    static struct group g;
    struct prng draw = {seed};
    struct group_plan p = {.seed = seed, .writes = 40, .crashes = true, .cuts = true};
    p.nodes = 1 + 2 * (uint32_t)(prng_below(&draw, 4) != 0);
    p.clients = 1 + (uint32_t)prng_below(&draw, 3);
    p.rounds = 6 + (uint32_t)prng_below(&draw, 10);
    p.loss = (uint32_t)prng_below(&draw, 100);
    p.log = prng_below(&draw, 2) == 0 ? 8 : 0;
    p.sessions = prng_below(&draw, 2) == 0;
    p.small = prng_below(&draw, 2) == 0;
    p.away = p.nodes == 3 && prng_below(&draw, 3) == 0;
    group_run(&g, &p);
    (void)snprintf(f->class, sizeof f->class, "%s", replica_class(g.wrong));
    (void)snprintf(f->text, sizeof f->text, "%s", g.wrong);
    return g.wrong[0] == '\0';
}

static bool client_seed(uint64_t seed, struct failure *f)
{
    static struct clientlab lab;
    static struct clientload load;
    struct clientload_tally tally = {.again = 0};
    memset(&load, 0, sizeof load);
    clientlab_open(&lab, seed);
    lab.sessions_known = true;
    lab.load = &load;
    lab.client = clientload_main;
    clientload_draw(&lab, seed);
    bool ran = clientlab_run(&lab);
    bool good = clientload_judge(&load, &tally) && ran;
    uint32_t twice = 0;
    for (uint32_t i = 0; i < load.count; i++) {
        twice += lab.counters[i] > 1;
    }
    (void)snprintf(f->class, sizeof f->class, "%s", !ran ? "world" : twice > 0 ? "X2" : "client");
    (void)snprintf(f->text, sizeof f->text, "%" PRIu32 " calls were carried out twice%s%.100s",
                   twice, ran ? "" : "; ", ran ? "" : lab.t.world.failure.text);
    clientlab_close(&lab);
    return good;
}

static const struct {
    const char *name;
    bool (*seed)(uint64_t seed, struct failure *f);
} worlds[] = {{"soup", soup_seed}, {"replica", replica_seed}, {"client", client_seed}};

static void row(uint64_t seed, const struct failure *f)
{
    struct buf line;
    struct json j;
    buf_init(&line, simmem());
    json_init(&j, &line);
    json_object(&j, NULL);
    json_u64(&j, "seed", seed);
    json_text(&j, "class", f->class);
    json_text(&j, "failure", f->text);
    json_object_end(&j);
    printf("%.*s\n", (int)line.size, line.data);
    buf_release(&line);
}

int main(int argc, char **argv)
{
    size_t world = 0;
    while (argc == 4 && world < sizeof worlds / sizeof *worlds &&
           strcmp(worlds[world].name, argv[1]) != 0) {
        world++;
    }
    if (argc != 4 || world == sizeof worlds / sizeof *worlds) {
        (void)fprintf(stderr, "usage: sweep_raft soup|replica|client FROM TO\n");
        return 2;
    }
    uint64_t from = strtoull(argv[2], NULL, 10);
    uint64_t to = strtoull(argv[3], NULL, 10);
    struct failure f;
    for (uint64_t seed = from; seed <= to; seed++) {
        if (!worlds[world].seed(seed, &f)) {
            row(seed, &f);
            printf("{\"seeds\":%" PRIu64 ",\"failed\":1,\"first_failure\":%" PRIu64
                   ",\"unknown\":0}\n",
                   seed - from + 1, seed);
            return 1;
        }
    }
    printf("{\"seeds\":%" PRIu64 ",\"failed\":0,\"unknown\":0}\n", to - from + 1);
    return 0;
}
