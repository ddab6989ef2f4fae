/* test_contract.c - the judges of a run: each predicate fires on a violation, and only then. */
#include "sim/cluster/contract.h"
#include "sim/cluster/execorder.h"

#include "engine/tkv.h"
#include "env/env.h"
#include "sim/simmem.h"
#include "tests/tap.h"

/* A batch is written "a=1 b=2 c" (c is deleted). */
struct judge {
    struct contract c;
    struct env env;
    struct tkv_batch *batch;
};

static void judge_open(struct judge *j)
{
    contract_init(&j->c, simmem());
    j->env = (struct env){.mem = *simmem()};
    EXPECT(tkv_batch_new(&j->env, &j->batch) == TKV_OK);
}

static void judge_close(struct judge *j)
{
    tkv_batch_free(j->batch);
    contract_release(&j->c);
}

static void commit(struct judge *j, const char *text, bool sync, enum status st)
{
    size_t size;
    tkv_batch_clear(j->batch);
    for (const char *at = text; *at != '\0'; at += *at == ' ') {
        size_t n = strcspn(at, " ");
        if (n > 2 && at[1] == '=') {
            EXPECT(tkv_batch_put(j->batch, at, 1, at + 2, n - 2) == TKV_OK);
        } else {
            EXPECT(tkv_batch_delete(j->batch, at, 1) == TKV_OK);
        }
        at += n;
    }
    const void *data = tkv_batch_data(j->batch, &size);
    contract_begin(&j->c, slice_of(data, size), sync);
    if (st != ST_INPROGRESS) {
        contract_end(&j->c, st, 1);
    }
}

/* The class of the verdict on a view written "a=1 b=2", "" when it is allowed; *n as judged. */
static const char *verdict(struct judge *j, const char *view, bool power, size_t *n)
{
    struct contract_view v = {.sequence = 0};
    struct err why;
    const char *class = "";
    for (const char *at = view; *at != '\0'; at += *at == ' ') {
        size_t len = strcspn(at, " ");
        contract_hash_add(&v.hash, slice_of(at, 1), slice_of(at + 2, len - 2), 1);
        v.entries++;
        at += len;
    }
    enum status st = contract_judge(&j->c, &v, power, n, &class, &why);
    EXPECT((st == ST_OK) == (class[0] == '\0'));
    return class;
}

#define ALLOWED(view, power, count)                             \
    do {                                                        \
        size_t n_ = SIZE_MAX;                                   \
        EXPECT(strcmp(verdict(&j, view, power, &n_), "") == 0); \
        EXPECT(n_ == (count));                                  \
    } while (0)
#define REFUSED(view, power, class)                                \
    do {                                                           \
        size_t n_;                                                 \
        EXPECT(strcmp(verdict(&j, view, power, &n_), class) == 0); \
    } while (0)

static void test_contract__what_was_synced_survives_power_loss(void)
{
    struct judge j;
    judge_open(&j);
    ALLOWED("", true, 0);
    commit(&j, "a=1", true, ST_OK);
    commit(&j, "b=2", false, ST_OK);
    commit(&j, "c=3", false, ST_OK);
    REFUSED("", true, "E2 durability");
    ALLOWED("a=1", true, 1);
    ALLOWED("a=1 b=2", true, 2);
    ALLOWED("a=1 b=2 c=3", true, 3);
    REFUSED("a=1 c=3", true, "E1 prefix");
    REFUSED("a=2", true, "E1 prefix");
    REFUSED("a=1", false, "E2 durability"); /* E8: a process death keeps all */
    judge_close(&j);
}

static void test_contract__a_batch_is_whole(void)
{
    struct judge j;
    judge_open(&j);
    commit(&j, "a=1 b=1", true, ST_OK);
    commit(&j, "a=2 b=2 c=2", true, ST_INPROGRESS);
    ALLOWED("a=1 b=1", true, 1);
    ALLOWED("a=2 b=2 c=2", true, 2);
    REFUSED("a=2 b=1", true, "E3 atomicity");
    REFUSED("a=2 b=2", true, "E3 atomicity");
    judge_close(&j);
}

static void test_contract__deleted_stays_deleted(void)
{
    struct judge j;
    judge_open(&j);
    commit(&j, "a=1 b=1", true, ST_OK);
    commit(&j, "a", true, ST_OK);
    ALLOWED("b=1", true, 2);
    REFUSED("a=1 b=1", true, "E2 durability");
    judge_close(&j);
}

/* A failed batch is absent, or whole at its place, and is undone in the states after it. */
static void test_contract__a_failed_batch_is_absent_or_whole(void)
{
    struct judge j;
    judge_open(&j);
    commit(&j, "a=1", true, ST_OK);
    commit(&j, "a=2 b=2", true, ST_IO);
    ALLOWED("a=1", true, 1);
    ALLOWED("a=2 b=2", true, 2);
    REFUSED("a=2", true, "E3 atomicity");
    commit(&j, "c=3", true, ST_OK);
    ALLOWED("a=1 c=3", true, 3);
    REFUSED("a=2 b=2 c=3", true, "E1 prefix");
    judge_close(&j);
}

/* E4: what a recovery found is fixed; what it did not find never comes back. */
static void test_contract__fate_is_decided_once(void)
{
    struct judge j;
    judge_open(&j);
    commit(&j, "a=1", true, ST_OK);
    commit(&j, "b=2", false, ST_OK);
    commit(&j, "c=3", false, ST_OK);
    EXPECT(!contract_decided(&j.c, 2));
    ALLOWED("a=1 b=2", true, 3); /* the lost third stands for the same state */
    REFUSED("a=1", true, "E2 durability");
    REFUSED("a=1 b=2 c=3", true, "E1 prefix");
    commit(&j, "d=4", true, ST_OK);
    ALLOWED("a=1 b=2 d=4", true, 4);
    commit(&j, "e=5", true, ST_INPROGRESS);
    EXPECT(contract_decided(&j.c, 5)); /* it was in doubt */
    REFUSED("a=1 b=2 d=4", true, "E2 durability");
    judge_close(&j);
}

static void test_contract__explains_the_first_difference(void)
{
    struct judge j;
    struct buf pairs;
    struct err why = {{0}};
    judge_open(&j);
    buf_init(&pairs, simmem());
    commit(&j, "a=1 b=2", true, ST_OK);
    EXPECT(contract_pair(&pairs, slice_text("a"), slice_text("9")) == ST_OK);
    contract_explain(&j.c, 1, buf_slice(&pairs), &why);
    EXPECT(strcmp(why.text, "key 'a' holds '9' and should hold 1") == 0);
    buf_clear(&pairs);
    EXPECT(contract_pair(&pairs, slice_text("a"), slice_text("1")) == ST_OK);
    contract_explain(&j.c, 1, buf_slice(&pairs), &why);
    EXPECT(strncmp(why.text, "key 'b' should hold '2", 22) == 0);
    buf_release(&pairs);
    judge_close(&j);
}

/* Requests get places in the order of execution; one that runs again moves; a commit decided by a
 * recovery happens then. */
static void test_execorder__places_follow_execution(void)
{
    struct execorder o;
    execorder_init(&o, simmem());
    execorder_session(&o, 1, 100);
    execorder_session(&o, 90, 200); /* beyond the first table */
    execorder_executed(&o, 1, 1, true);
    execorder_executed(&o, 90, 1, false);
    execorder_commit(&o, 0);
    EXPECT(execorder_find(&o, 100, 1)->commit == 0);
    EXPECT(execorder_find(&o, 200, 1)->commit == EXECORDER_NONE);
    EXPECT(execorder_find(&o, 100, 1)->place < execorder_find(&o, 200, 1)->place);
    execorder_executed(&o, 1, 1, true); /* the commit failed: again */
    EXPECT(execorder_find(&o, 100, 1)->place > execorder_find(&o, 200, 1)->place);
    execorder_commit(&o, 1);
    execorder_committed(&o);
    EXPECT(execorder_find(&o, 100, 1)->commit == 1);
    execorder_executed(&o, 1, 2, true);
    execorder_commit(&o, EXECORDER_REFUSED);
    execorder_executed(&o, 1, 3, true);
    execorder_commit(&o, 2);
    EXPECT(execorder_find(&o, 100, 2)->commit == EXECORDER_REFUSED);
    EXPECT(execorder_find(&o, 100, 3)->commit == 2);
    uint64_t before = execorder_find(&o, 100, 3)->place;
    execorder_decided(&o, 2);
    EXPECT(execorder_find(&o, 100, 3)->place > before);
    EXPECT(execorder_find(&o, 100, 4) == NULL);
    for (uint64_t i = 10; i < 2000; i++) {
        execorder_executed(&o, 1, i, false);
    }
    EXPECT(execorder_find(&o, 100, 1999) != NULL && execorder_find(&o, 100, 10) != NULL);
    execorder_release(&o);
}

TAP_MAIN({
    RUN(test_contract__what_was_synced_survives_power_loss);
    RUN(test_contract__a_batch_is_whole);
    RUN(test_contract__deleted_stays_deleted);
    RUN(test_contract__a_failed_batch_is_absent_or_whole);
    RUN(test_contract__fate_is_decided_once);
    RUN(test_contract__explains_the_first_difference);
    RUN(test_execorder__places_follow_execution);
})
