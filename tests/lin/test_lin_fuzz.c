/* test_lin_fuzz.c - the checker against the definition, on small random histories.
 *
 * Usage: test_lin_fuzz [count [seed]]; without arguments a run of seconds. Prints the first
 * history on which the two differ. */
#include "sim/lin/lin_deep.h"
#include "sim/lin/lin_graph.h"
#include "tests/lin/brute.h"
#include "tests/lin/gen.h"
#include "tests/lin/libc_mem.h"

#include <stdio.h>
#include <stdlib.h>

static void print_history(const struct lin_history *h)
{
    struct buf out;
    buf_init(&out, h->mem);
    for (size_t i = 0; i < h->count; i++) {
        buf_clear(&out);
        if (lin_history_say(h, i, &out) == ST_OK) {
            printf("# %.*s\n", (int)out.size, out.data);
        }
    }
    buf_release(&out);
}

/* The witness alone, all of it certain, must have no order. */
static bool witness_is_illegal(const struct gen *gen, const struct lin_verdict *v)
{
    static struct lin_op ops[BRUTE_OPS_MAX];
    for (size_t i = 0; i < v->witness_count; i++) {
        ops[i] = gen->ops[v->witness[i]];
    }
    return v->witness_count > 0 && !brute_linearizable(ops, (int)v->witness_count, &gen->start);
}

/* The online checker, fed as operations complete (unknown ones at a random moment). */
static enum lin_result run_online(const struct gen *gen, struct mem *mem, struct prng *g)
{
    struct lin_online o;
    bool taken[BRUTE_OPS_MAX] = {false};
    bool good = true;
    lin_online_init(&o, mem, NULL);
    good = lin_history_set_default(&o.h, gen->fallback) == ST_OK;
    for (int k = 0; k < gen->start.count; k++) {
        const struct brute_key *key = &gen->start.keys[k];
        struct lin_value v = {key->value.present, slice_text(key->value.text)};
        good = good && lin_online_set_init(&o, slice_text(key->name), v) == ST_OK;
    }
    for (int n = 0; n < gen->count && good; n++) {
        int next = -1;
        for (int i = 0; i < gen->count; i++) {
            bool lost = gen->ops[i].outcome == LIN_INFO && prng_below(g, 3) == 0;
            if (!taken[i] && (next < 0 || lost || gen->ops[i].ret < gen->ops[next].ret)) {
                next = i;
            }
        }
        taken[next] = true;
        good = lin_online_take(&o, &gen->ops[next], NULL) == ST_OK;
        int64_t horizon = INT64_MAX;
        for (int i = 0; i < gen->count; i++) {
            horizon = !taken[i] && gen->ops[i].call < horizon ? gen->ops[i].call : horizon;
        }
        if (prng_below(g, 4) == 0) {
            o.values_max = 0; /* forget values often */
        }
        good = good && lin_online_advance(&o, horizon) == ST_OK;
    }
    enum lin_result result = good ? o.result : LIN_UNKNOWN;
    lin_online_release(&o);
    return result;
}

/* Exact on one key; over several a "no" must be right. */
static bool online_agrees(const struct gen *gen, struct mem *mem, uint64_t seed,
                          enum lin_result expected)
{
    struct prng g = {seed + 77};
    enum lin_result r = run_online(gen, mem, &g);
    bool single = gen->start.count == 1;
    bool lists = false;
    for (int i = 0; i < gen->count; i++) {
        lists = lists || gen->ops[i].kind == LIN_SCAN || gen->ops[i].kind == LIN_BATCH;
    }
    single = single || !lists;
    return single ? r == expected
                  : r == expected || (r == LIN_LINEARIZABLE && expected == LIN_NON_LINEARIZABLE);
}

/* The graph alone: 1 where it says "no" of a part, 0 where it says nothing, -1: it failed. */
static int graph_says_no(const struct lin_history *h)
{
    struct lin_split s;
    int no = lin_split_make(&s, h) == ST_OK ? 0 : -1;
    for (uint32_t i = 0; i < s.part_count && no == 0; i++) {
        struct lin_circle c;
        if (lin_graph_check(h, &s, &s.parts[i], &c) != ST_OK) {
            no = -1;
        }
        no = no == 0 && c.count > 0 ? 1 : no;
        lin_circle_release(&c);
    }
    lin_split_release(&s);
    return no;
}

/* Depth first alone: 1 where it finds an order of every part, 0 where it does not, and would have
 * gone on; -1 where it was through and found none; -2: it failed. */
static int deep_says_yes(const struct lin_history *h)
{
    struct lin_split s;
    int yes = lin_split_make(&s, h) == ST_OK ? 1 : -2;
    for (uint32_t i = 0; i < s.part_count && yes == 1; i++) {
        struct lin_prog p;
        struct lin_search search = {0};
        bool found = false;
        bool good = lin_prog_make(&p, h, &s, &s.parts[i], NULL) == ST_OK &&
                    lin_search_init(&search, &p, UINT64_MAX, SIZE_MAX) == ST_OK &&
                    lin_deep_run(&search, &found) == ST_OK;
        bool through = search.steps <= (uint64_t)p.event_count * LIN_DEEP_STEPS;
        if (!good || !found) {
            yes = !good ? -2 : through ? -1 : 0;
        }
        lin_search_release(&search);
        lin_prog_release(&p);
    }
    lin_split_release(&s);
    return yes;
}

static bool agree(struct gen *gen, uint64_t seed, uint64_t counts[3])
{
    struct prng g = {seed};
    struct gen_style style;
    gen_style(&style, &g);
    gen_history(gen, &style, &g);
    struct mem mem = libc_mem();
    struct lin_history h;
    struct lin_verdict v = {0};
    lin_history_init(&h, &mem);
    bool good = gen_add(gen, &h) && lin_check(&h, NULL, &v) == ST_OK;
    bool legal = brute_linearizable(gen->ops, gen->count, &gen->start);
    enum lin_result expected = legal ? LIN_LINEARIZABLE : LIN_NON_LINEARIZABLE;
    counts[expected]++;
    const char *what = NULL;
    int graph = graph_says_no(&h);
    int deep = deep_says_yes(&h);
    counts[2] += graph == 1 ? 1 : 0;
    if (graph < 0 || (graph == 1 && legal)) {
        what = "the graph has a circle where there is an order";
    } else if (deep < -1 || (deep == 1 && !legal) || (deep == -1 && legal)) {
        what = "depth first differs";
    } else if (!good || v.result != expected) {
        what = "the verdicts differ";
    } else if (!legal && !witness_is_illegal(gen, &v)) {
        what = "the witness does not contradict itself";
    } else if (!online_agrees(gen, &mem, seed, expected)) {
        what = "the online checker differs";
    }
    if (what != NULL) {
        printf("# seed %llu: %s; right is %s, it says %s (%s)\n", (unsigned long long)seed, what,
               lin_result_text(expected), lin_result_text(v.result), v.text != NULL ? v.text : "");
        for (int k = 0; k < gen->start.count; k++) {
            printf("# at first %s = %s\n", gen->start.keys[k].name,
                   gen->start.keys[k].value.present ? gen->start.keys[k].value.text : "absent");
        }
        print_history(&h);
    }
    lin_verdict_release(&v);
    lin_history_release(&h);
    return what == NULL;
}

int main(int argc, char **argv)
{
    static struct gen gen;
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 60000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    uint64_t counts[3] = {0};
    uint64_t done = 0;
    while (done < count && agree(&gen, seed + done, counts)) {
        done++;
    }
    printf("# %llu histories: %llu linearizable, %llu not, %llu of them by the graph\n",
           (unsigned long long)done, (unsigned long long)counts[LIN_LINEARIZABLE],
           (unsigned long long)counts[LIN_NON_LINEARIZABLE], (unsigned long long)counts[2]);
    printf("%sok 1 - fuzz__checker_and_definition_agree\n1..1\n", done == count ? "" : "not ");
    return 0;
}
