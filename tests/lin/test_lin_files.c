/* test_lin_files.c - the recorded histories and those of the generator, with their verdicts.
 *
 * LIN_HISTORIES names the folder (README.md, verdicts.tsv, recipes.tsv, …), LIN_GEN the generator;
 * what is absent is skipped. LIN_ALL=1 also runs the recipes of a million operations. */
#include "sim/lin/lin_rec.h"
#include "tests/lin/brute.h"
#include "tests/lin/libc_mem.h"
#include "tests/tap.h"

#include <stdio.h>
#include <unistd.h>

#define WITNESS_MAX 11 /* operations that the definition can be tried on */

static struct mem mem;

static const char *folder(void)
{
    const char *dir = getenv("LIN_HISTORIES");
    return dir != NULL ? dir : "../shared/histories";
}

static bool feed(struct lin_history *h, FILE *f, const char *name)
{
    static char piece[1 << 16];
    struct lin_jsonl r;
    struct err err = {""};
    lin_jsonl_init(&r, h, name);
    enum status st = ST_OK;
    size_t n;
    while (st == ST_OK && (n = fread(piece, 1, sizeof piece, f)) > 0) {
        st = lin_jsonl_feed(&r, slice_of(piece, n), &err);
    }
    st = st == ST_OK ? lin_jsonl_end(&r, &err) : st;
    lin_jsonl_release(&r);
    if (st != ST_OK) {
        printf("# %s\n", err.text);
    }
    return st == ST_OK;
}

/* ---- a stored operation as the definition wants it ---- */

static struct lin_value value_of(const struct lin_history *h, uint32_t id)
{
    return id == LIN_ABSENT ? (struct lin_value){0}
                            : (struct lin_value){true, lin_strtab_get(&h->values, id - 1)};
}

static struct lin_step step_of(const struct lin_history *h, const struct lin_sub *s)
{
    return (struct lin_step){.kind = (enum lin_kind)s->kind,
                             .key = lin_strtab_get(&h->keys, s->key),
                             .value = value_of(h, s->value),
                             .expect = value_of(h, s->kind == LIN_CAS ? s->expect : 0),
                             .result_known = s->known,
                             .result_true = s->result == 1,
                             .result = value_of(h, s->kind == LIN_CAS ? 0 : s->result)};
}

static struct lin_op op_of(const struct lin_history *h, uint32_t place, struct lin_step *steps,
                           struct lin_pair *pairs)
{
    const struct lin_rec *r = &h->ops[place];
    struct lin_op op = {.kind = (enum lin_kind)r->kind,
                        .outcome = (enum lin_outcome)r->outcome,
                        .call = r->call,
                        .ret = r->ret,
                        .result_known = r->known,
                        .steps = steps,
                        .pairs = pairs};
    if (r->kind != LIN_SCAN && r->kind != LIN_BATCH) {
        struct lin_sub one = {r->key, r->value, r->expect, r->result, r->kind, r->known};
        op.step = step_of(h, &one);
        return op;
    }
    for (uint32_t i = 0; i < r->result; i++) {
        steps[i] = step_of(h, &h->subs[r->expect + i]);
        pairs[i] = (struct lin_pair){steps[i].key, steps[i].result.text};
    }
    op.step_count = r->result;
    op.pair_count = r->result;
    if (r->kind == LIN_SCAN) {
        op.lo = lin_strtab_get(&h->values, r->key - 1);
        op.hi = lin_strtab_get(&h->values, r->value - 1);
    }
    return op;
}

static void name_key(struct brute_store *store, const struct lin_history *h, uint32_t key)
{
    char name[16];
    struct slice s = lin_strtab_get(&h->keys, key);
    (void)snprintf(name, sizeof name, "%.*s", (int)s.size, s.data);
    for (int i = 0; i < store->count; i++) {
        if (strcmp(store->keys[i].name, name) == 0) {
            return;
        }
    }
    if (store->count == BRUTE_KEYS_MAX) {
        return;
    }
    struct brute_key *k = &store->keys[store->count++];
    struct lin_value v = value_of(h, h->fallback);
    for (size_t i = 0; i < h->init_count; i++) {
        v = h->init[2 * i] == key ? value_of(h, h->init[2 * i + 1]) : v;
    }
    memcpy(k->name, name, sizeof name);
    k->value.present = v.present;
    (void)snprintf(k->value.text, sizeof k->value.text, "%.*s", (int)v.text.size,
                   v.present ? v.text.data : "");
}

/* False only when the definition finds an order for it; what is too large for it passes. */
static bool witness_is_illegal(const struct lin_history *h, const struct lin_verdict *v)
{
    static struct lin_op ops[WITNESS_MAX];
    static struct lin_step steps[WITNESS_MAX][64];
    static struct lin_pair pairs[WITNESS_MAX][64];
    struct brute_store store = {0};
    if (v->witness_count == 0) {
        return false;
    }
    for (size_t i = 0; i < v->witness_count; i++) {
        const struct lin_rec *r = &h->ops[v->witness[i]];
        bool list = r->kind == LIN_SCAN || r->kind == LIN_BATCH;
        if (v->witness_count > WITNESS_MAX || r->kind == LIN_APPEND || (list && r->result > 64)) {
            return true;
        }
        ops[i] = op_of(h, v->witness[i], steps[i], pairs[i]);
        for (uint32_t n = 0; n < (list ? r->result : 1); n++) {
            name_key(&store, h, list ? h->subs[r->expect + n].key : r->key);
        }
    }
    return store.count == BRUTE_KEYS_MAX || !brute_linearizable(ops, (int)v->witness_count, &store);
}

/* ---- checks ---- */

struct tally {
    int files;
    int wrong;
    int small; /* witnesses of at most six operations */
    int no;
};

static void check(FILE *f, const char *name, const char *expected, struct tally *t)
{
    struct lin_history h;
    struct lin_verdict v = {0};
    lin_history_init(&h, &mem);
    t->files++;
    bool good = feed(&h, f, name) && lin_check(&h, NULL, &v) == ST_OK &&
                strcmp(lin_result_text(v.result), expected) == 0;
    if (good && v.result == LIN_NON_LINEARIZABLE) {
        t->no++;
        t->small += v.witness_count <= 6 ? 1 : 0;
        good = witness_is_illegal(&h, &v);
    }
    if (!good) {
        t->wrong++;
        printf("# %s: should be %s, is %s: %s\n", name, expected, lin_result_text(v.result),
               v.text != NULL ? v.text : "");
    }
    lin_verdict_release(&v);
    lin_history_release(&h);
}

/* The next line of a table, cut at its tabs; the number of fields. */
static int next_row(FILE *f, char *line, size_t size, char **fields, int most)
{
    if (fgets(line, (int)size, f) == NULL) {
        return 0;
    }
    line[strcspn(line, "\n")] = '\0';
    int n = 0;
    for (char *p = line; p != NULL && n < most;) {
        fields[n++] = p;
        p = strchr(p, '\t');
        if (p != NULL) {
            *p++ = '\0';
        }
    }
    return n;
}

static FILE *open_in_folder(const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder(), name);
    return fopen(path, "rb");
}

static void files__verdicts_are_right(void)
{
    FILE *table = open_in_folder("verdicts.tsv");
    struct tally t = {0};
    char line[2048];
    char *field[16];
    if (table == NULL) {
        SKIP("no recorded histories: set LIN_HISTORIES to their folder");
        return;
    }
    (void)next_row(table, line, sizeof line, field, 16);
    while (next_row(table, line, sizeof line, field, 16) > 1) {
        FILE *f = open_in_folder(field[0]);
        EXPECT(f != NULL);
        if (f != NULL) {
            check(f, field[0], field[1], &t);
            (void)fclose(f);
        }
    }
    (void)fclose(table);
    printf("# %d files, %d wrong; %d of %d witnesses have at most six operations\n", t.files,
           t.wrong, t.small, t.no);
    EXPECT(t.files > 0);
    EXPECT(t.wrong == 0);
    EXPECT(t.no - t.small <= 6);
}

static void recipes__verdicts_are_right(void)
{
    const char *gen = getenv("LIN_GEN");
    FILE *table = gen != NULL ? open_in_folder("recipes.tsv") : NULL;
    struct tally t = {0};
    char line[2048];
    char *field[16];
    if (table == NULL) {
        SKIP("no generator: it is built where the recorded histories are");
        return;
    }
    (void)next_row(table, line, sizeof line, field, 16);
    while (next_row(table, line, sizeof line, field, 16) == 8) {
        char command[2048];
        if (strtol(field[2], NULL, 10) > 200000 && getenv("LIN_ALL") == NULL) {
            continue;
        }
        (void)snprintf(command, sizeof command, "%s %s 2>/dev/null", gen, field[7]);
        FILE *f = popen(command, "r");
        EXPECT(f != NULL);
        if (f != NULL) {
            check(f, field[0], field[1], &t);
            (void)pclose(f);
        }
    }
    (void)fclose(table);
    printf("# %d recipes, %d wrong\n", t.files, t.wrong);
    EXPECT(t.files > 0);
    EXPECT(t.wrong == 0);
    EXPECT(t.small == t.no);
}

TAP_MAIN(mem = libc_mem(); RUN(files__verdicts_are_right); RUN(recipes__verdicts_are_right);)
