/* simargs.c - the command line of tinykv-sim. */
#include "sim/simmem.h"
#include "sim/tool/simtool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAIL_MAX  1000000    /* events kept for a report */
#define SEEDS_MAX 1000000000 /* of one sweep, which remembers a number for each */

static bool parse_u64(const char *text, uint64_t *v)
{
    char *end;
    errno = 0;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    *v = strtoull(text, &end, hex ? 16 : 10); /* never octal: a .seed file knows none */
    return errno == 0 && *end == '\0';
}

/* "A..B", inclusive, or one number. */
static bool parse_range(const char *text, uint64_t *first, uint64_t *last)
{
    char left[32];
    const char *dots = strstr(text, "..");
    if (dots == NULL) {
        *first = 0;
        bool ok = parse_u64(text, last) && *last > 0;
        *last -= ok;
        return ok && *last < SEEDS_MAX;
    }
    size_t n = (size_t)(dots - text);
    if (n >= sizeof left) {
        return false;
    }
    memcpy(left, text, n);
    left[n] = '\0';
    return parse_u64(left, first) && parse_u64(dots + 2, last) && *first <= *last &&
           *last - *first < SEEDS_MAX;
}

static bool parse_shard(const char *text, uint64_t *i, uint64_t *n)
{
    char left[32];
    const char *slash = strchr(text, '/');
    size_t size = slash != NULL ? (size_t)(slash - text) : sizeof left;
    if (size >= sizeof left) {
        return false;
    }
    memcpy(left, text, size);
    left[size] = '\0';
    return parse_u64(left, i) && parse_u64(slash + 1, n) && *i >= 1 && *i <= *n;
}

enum kind { FLAG, NUMBER, TEXT, RANGE, SHARD, SET, WORLD };

struct option {
    const char *name;
    enum kind kind;
    size_t at; /* offset in struct simargs */
};

static const struct option options[] = {
    {"--seed", NUMBER, offsetof(struct simargs, seed)},
    {"--seeds", RANGE, 0},
    {"--jobs", NUMBER, offsetof(struct simargs, jobs)},
    {"--shard", SHARD, 0},
    {"--json", FLAG, offsetof(struct simargs, json)},
    {"--hashes", FLAG, offsetof(struct simargs, hashes)},
    {"--quiet", FLAG, offsetof(struct simargs, quiet)},
    {"--trace", FLAG, offsetof(struct simargs, full_trace)},
    {"--require-probes", FLAG, offsetof(struct simargs, check_probes)},
    {"--first-failure", FLAG, offsetof(struct simargs, first_failure)},
    {"--tail", NUMBER, offsetof(struct simargs, tail)},
    {"--max-runs", NUMBER, offsetof(struct simargs, max_runs)},
    {"--tape", TEXT, offsetof(struct simargs, tape)},
    {"--record", TEXT, offsetof(struct simargs, record)},
    {"--history", TEXT, offsetof(struct simargs, history)},
    {"--junit", TEXT, offsetof(struct simargs, junit)},
    {"--world", WORLD, 0},
    {"--out", TEXT, offsetof(struct simargs, out)},
    {"--twice-every", NUMBER, offsetof(struct simargs, twice_every)},
    {"--set", SET, 0},
};

static const struct option *find(const char *name)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(options[i].name, name) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

static bool take(struct simargs *a, const struct option *o, const char *value)
{
    char *base = (char *)a;
    uint64_t n;
    switch (o->kind) {
    case FLAG:
        *(bool *)(base + o->at) = true;
        return true;
    case NUMBER:
        if (!parse_u64(value, &n)) {
            return false;
        }
        if (o->at == offsetof(struct simargs, jobs)) {
            a->jobs = n > 0 && n <= 256 ? (unsigned)n : 0;
            return a->jobs > 0;
        }
        if (o->at == offsetof(struct simargs, tail) && n > TAIL_MAX) {
            return false;
        }
        *(uint64_t *)(void *)(base + o->at) = n;
        a->have_seed = a->have_seed || o->at == offsetof(struct simargs, seed);
        return true;
    case TEXT:
        *(const char **)(void *)(base + o->at) = value;
        return true;
    case RANGE:
        return parse_range(value, &a->first, &a->last);
    case SHARD:
        return parse_shard(value, &a->shard, &a->shards);
    case WORLD:
        return plan_world_of(value, &a->world);
    case SET:
        if (a->set_count == sizeof a->sets / sizeof *a->sets || strchr(value, '=') == NULL) {
            return false;
        }
        a->sets[a->set_count++] = value;
        return true;
    }
    return false;
}

int simargs_parse(struct simargs *a, int argc, char **argv)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *a = (struct simargs){.program = argv[0],
                          .last = 199,
                          .jobs = cores > 0 ? (unsigned)cores : 1,
                          .shard = 1,
                          .shards = 1,
                          .tail = 40,
                          .max_runs = 2000};
    for (int i = 2; i < argc; i++) {
        const struct option *o = find(argv[i]);
        if (o == NULL && argv[i][0] != '-' && a->what == NULL) {
            a->what = argv[i];
            continue;
        }
        if (o == NULL) {
            (void)fprintf(stderr,
                          "tinykv-sim: unknown option or extra argument '%s' (see --help)\n",
                          argv[i]);
            return EXIT_USAGE;
        }
        const char *value = o->kind == FLAG ? "" : i + 1 < argc ? argv[++i] : NULL;
        if (value == NULL || !take(a, o, value)) {
            (void)fprintf(stderr, "tinykv-sim: %s: %s%s%s\n", o->name,
                          value == NULL ? "wants a value" : "cannot be '",
                          value != NULL ? value : "", value != NULL ? "'" : "");
            return EXIT_USAGE;
        }
    }
    return EXIT_FINE;
}

static int apply_sets(const struct simargs *a, struct plan *p)
{
    for (unsigned i = 0; i < a->set_count; i++) {
        char name[64];
        uint64_t v;
        struct err err;
        const char *eq = strchr(a->sets[i], '=');
        size_t n = (size_t)(eq - a->sets[i]);
        n = n < sizeof name ? n : sizeof name - 1;
        memcpy(name, a->sets[i], n);
        name[n] = '\0';
        err_set(&err, "'%s' is no number", eq + 1);
        if (!parse_u64(eq + 1, &v) || plan_set(p, name, v, &err) != ST_OK) {
            (void)fprintf(stderr, "tinykv-sim: --set %s: %s\n", a->sets[i], err.text);
            return EXIT_USAGE;
        }
    }
    return EXIT_FINE;
}

int simargs_plan_of_seed(const struct simargs *a, uint64_t seed, struct plan *p)
{
    plan_init(p, simmem(), seed);
    p->world = a->world;
    simworld_draw(p);
    return apply_sets(a, p);
}

int simargs_plan(const struct simargs *a, const char *what, struct plan *p)
{
    uint64_t seed = a->seed;
    if (what == NULL && !a->have_seed) {
        (void)fprintf(stderr, "tinykv-sim: which seed, or which .seed file?\n");
        return EXIT_USAGE;
    }
    if (what == NULL || parse_u64(what, &seed)) {
        return simargs_plan_of_seed(a, seed, p);
    }
    struct buf text;
    struct err err;
    buf_init(&text, simmem());
    if (!simfile_read(what, &text)) {
        return EXIT_USAGE;
    }
    plan_init(p, simmem(), 0);
    enum status st = plan_parse(p, buf_slice(&text), &err);
    buf_release(&text);
    if (st != ST_OK) {
        (void)fprintf(stderr, "tinykv-sim: %s: %s\n", what, err.text);
        return EXIT_USAGE;
    }
    return apply_sets(a, p);
}

bool simfile_read(const char *path, struct buf *out)
{
    char piece[65536];
    size_t n;
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        (void)fprintf(stderr, "tinykv-sim: %s: %s\n", path, strerror(errno));
        return false;
    }
    enum status st = ST_OK;
    while (st == ST_OK && (n = fread(piece, 1, sizeof piece, f)) > 0) {
        st = buf_append(out, piece, n);
    }
    bool ok = st == ST_OK && ferror(f) == 0;
    if (!ok) {
        (void)fprintf(stderr, "tinykv-sim: %s: cannot be read\n", path);
    }
    (void)fclose(f); /* only read */
    return ok;
}

bool simfile_write(const char *path, struct slice text)
{
    FILE *f = fopen(path, "wb");
    bool ok = f != NULL && fwrite(text.data, 1, text.size, f) == text.size;
    if (f != NULL && fclose(f) != 0) {
        ok = false;
    }
    if (!ok) {
        (void)fprintf(stderr, "tinykv-sim: %s: %s\n", path, strerror(errno));
    }
    return ok;
}
