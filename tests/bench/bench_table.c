/* bench_table.c - see bench_table.h. */
#include "tests/bench/bench_table.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BASE "leveldb" /* whose figures are one in the ratios */

/* Rounds this far apart were disturbed, or the work is not steady: the figure gets a mark. */
#define UNSTEADY 1.5

void bench_table_init(struct table *t, const struct peer *const *peers, unsigned count)
{
    *t = (struct table){.peers = peers, .peer_count = count};
}

void bench_table_release(struct table *t)
{
    free(t->rows);
    *t = (struct table){0};
}

void bench_table_add(struct table *t, unsigned peer, const struct row *row)
{
    if (t->count == t->capacity) {
        t->capacity = t->capacity * 2 + 64;
        t->rows = realloc(t->rows, t->capacity * sizeof *t->rows);
        if (t->rows == NULL) {
            bench_die("out of memory");
        }
    }
    t->rows[t->count++] = (struct table_row){peer, *row};
}

/* The place of one figure in a row. */
struct figure {
    const char *title;
    const char *unit;
    size_t offset;
    double scale;
};

static const struct figure rate = {"rate", "", offsetof(struct row, rate), 1};
static const struct figure figures[] = {
    {"50th percentile", "us", offsetof(struct row, p50_us), 1},
    {"99th percentile", "us", offsetof(struct row, p99_us), 1},
    {"99.9th percentile", "us", offsetof(struct row, p999_us), 1},
    {"longest", "us", offsetof(struct row, max_us), 1},
    {"written", "MB", offsetof(struct row, written_b), 1e-6},
    {"on disk", "MB", offsetof(struct row, disk_b), 1e-6},
    {"peak memory", "MB", offsetof(struct row, peak_b), 1e-6},
    {"processor time", "s", offsetof(struct row, cpu_s), 1},
};
#define FIGURES (sizeof figures / sizeof figures[0])

static int compare(const void *x, const void *y)
{
    double a = *(const double *)x;
    double b = *(const double *)y;
    return a < b ? -1 : a > b;
}

struct sum {
    unsigned rounds; /* 0: no such row, the store cannot do it, or nothing was timed */
    double median, least, most;
};

static struct sum sum_of(const struct table *t, const char *name, unsigned peer,
                         const struct figure *f)
{
    struct sum s = {0};
    double *list = bench_alloc(t->count * sizeof *list);
    for (size_t i = 0; i < t->count; i++) {
        const struct table_row *r = &t->rows[i];
        if (r->peer == peer && strcmp(r->row.name, name) == 0 && !r->row.unsupported) {
            double value;
            memcpy(&value, (const char *)&r->row + f->offset, sizeof value);
            if (!isnan(value)) {
                list[s.rounds++] = value * f->scale;
            }
        }
    }
    if (s.rounds > 0) {
        qsort(list, s.rounds, sizeof *list, compare);
        s.median = (list[(s.rounds - 1) / 2] + list[s.rounds / 2]) / 2;
        s.least = list[0];
        s.most = list[s.rounds - 1];
    }
    free(list);
    return s;
}

/* Whether rows[i] is the first of its name. */
static bool is_first(const struct table *t, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(t->rows[k].row.name, t->rows[i].row.name) == 0) {
            return false;
        }
    }
    return true;
}

/* The base's figure for ratios; 0 when there is none. */
static double base_of(const struct table *t, const char *name, const struct figure *f)
{
    for (unsigned p = 0; p < t->peer_count; p++) {
        if (strcmp(t->peers[p]->name, BASE) == 0) {
            return sum_of(t, name, p, f).median;
        }
    }
    return 0;
}

static void print_cell(FILE *to, const struct sum *s, double base)
{
    char text[40] = "n/a";
    if (s->rounds > 0) {
        int digits = s->median < 10 ? 2 : s->median < 100 ? 1 : 0;
        const char *mark = s->most > s->least * UNSTEADY ? "~" : "";
        (void)snprintf(text, sizeof text, "%s%.*f", mark, digits, s->median);
    }
    (void)fprintf(to, " %10s", text);
    if (s->rounds > 0 && base > 0) {
        (void)fprintf(to, " (%5.2f)", s->median / base);
    } else {
        (void)fprintf(to, "        ");
    }
}

static void print_figure(const struct table *t, FILE *to, const struct figure *f)
{
    (void)fprintf(to, "%-24s %-8s", f->title, f->unit);
    for (unsigned p = 0; p < t->peer_count; p++) {
        (void)fprintf(to, " %10s        ", t->peers[p]->name);
    }
    (void)fprintf(to, "\n");
    for (size_t i = 0; i < t->count; i++) {
        const struct row *row = &t->rows[i].row;
        if (!is_first(t, i)) {
            continue;
        }
        (void)fprintf(to, "%-24s %-8s", row->name, f == &rate ? row->unit : f->unit);
        for (unsigned p = 0; p < t->peer_count; p++) {
            struct sum s = sum_of(t, row->name, p, f);
            print_cell(to, &s, base_of(t, row->name, f));
        }
        (void)fprintf(to, "\n");
    }
}

void bench_table_print(const struct table *t, FILE *to, bool all)
{
    print_figure(t, to, &rate);
    for (size_t i = 0; all && i < FIGURES; i++) {
        (void)fprintf(to, "\n");
        print_figure(t, to, &figures[i]);
    }
}

static void tsv_cell(FILE *to, bool known, double value)
{
    if (known) {
        (void)fprintf(to, "\t%.6g", value);
    } else {
        (void)fprintf(to, "\tn/a");
    }
}

static void tsv_line(const struct table *t, FILE *to, const struct row *row, unsigned peer)
{
    struct sum s = sum_of(t, row->name, peer, &rate);
    double base = base_of(t, row->name, &rate);
    (void)fprintf(to, "%s\t%s\t%s\t%u", row->name, t->peers[peer]->name, row->unit, s.rounds);
    if (s.rounds == 0) {
        (void)fprintf(to, "\tn/a\tn/a\tn/a");
    } else {
        (void)fprintf(to, "\t%.6g\t%.6g\t%.6g", s.median, s.least, s.most);
    }
    tsv_cell(to, s.rounds > 0 && base > 0, base > 0 ? s.median / base : 0);
    for (size_t i = 0; i < FIGURES; i++) {
        struct sum g = sum_of(t, row->name, peer, &figures[i]);
        tsv_cell(to, g.rounds > 0, g.median);
    }
    (void)fprintf(to, "\n");
}

void bench_table_tsv(const struct table *t, FILE *to)
{
    (void)fprintf(to, "workload\tengine\tunit\trounds\trate\trate_min\trate_max\tratio_to_" BASE
                      "\tp50_us\tp99_us\tp999_us\tmax_us\twritten_mb\tdisk_mb\tpeak_mb\tcpu_s\n");
    for (size_t i = 0; i < t->count; i++) {
        for (unsigned p = 0; is_first(t, i) && p < t->peer_count; p++) {
            tsv_line(t, to, &t->rows[i].row, p);
        }
    }
}
